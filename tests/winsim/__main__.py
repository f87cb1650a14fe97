# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Serve a simulated fleet until it is told to stop: `python -m winsim FLEET.yml`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from . import inventory
from .fleet import Fleet
from .http import Served, serve


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 after SIGTERM or SIGINT, 2 for a fleet that cannot be built or served."""
    options = _parser().parse_args(arguments)
    # Blocked before the first thread starts, and awaited below: no handler runs in the middle of anything.
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    try:
        fleet = (Fleet.resume(options.state) if options.state else None) or Fleet.load(options.fleet)
        with serve(fleet, control=True) as served:
            _announce(served, options)
            signal.sigwait(ends)
    except (OSError, ValueError, yaml.YAMLError) as error:
        print(f"winsim: {error}", file=sys.stderr)
        return 2
    if options.state:
        fleet.save(options.state)
    return 0


def _announce(served: Served, options: argparse.Namespace) -> None:
    if options.inventory:
        content = served.inventory(connection=options.connection, transport=options.transport, auth=options.auth)
        inventory.write(options.inventory, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    if options.ready_file:
        inventory.write(options.ready_file, json.dumps(served.summary(), indent=1))
    width = max((len(name) for name in served.fleet.hosts), default=0)
    for host in served.fleet.hosts.values():
        places = "   ".join(served.urls(host).values()) or "listens nowhere"
        print(f"{host.name:{width}}   {host.release.name:25}   {places}")
    print("ready", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="winsim", description="Serve a simulated fleet of Windows hosts.")
    parser.add_argument("fleet", metavar="FLEET.yml", type=Path, help="what the fleet is made of")
    parser.add_argument(
        "--inventory", metavar="OUT.yml", type=Path, help="write the Ansible inventory of the fleet here"
    )
    parser.add_argument("--connection", choices=inventory.CONNECTIONS, default="psrp", help="of the inventory")
    parser.add_argument("--transport", choices=inventory.TRANSPORTS, default="http", help="of the inventory")
    parser.add_argument("--auth", choices=inventory.AUTHS, default="ntlm", help="of the inventory")
    parser.add_argument(
        "--state", metavar="DIR", type=Path, help="go on from the state saved here, and save it at the end"
    )
    parser.add_argument(
        "--ready-file",
        metavar="F",
        type=Path,
        help="write addresses, the authority and the control endpoint (JSON) here",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
