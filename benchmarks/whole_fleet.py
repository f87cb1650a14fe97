# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A whole site at several sizes: ``playbooks/site.yml`` in check mode, for real and once more, and fleet_info.

``python -m benchmarks.whole_fleet --hosts 100 1000 3000 --forks 5 10 20 40 60`` prints a table of what each run cost
the controller, and what the simulated fleet cost at its own end; --json writes the same as data.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .accounting import run
from .large_fleet import large_fleet, with_groups
from .measuring import ENVIRONMENT, environment
from .serving import Server, serving

CONNECTION = "psrp http ntlm"
SITE = "fieldnotes.windows.site"
_USUAL_FORKS = 20

FLEET_INFO = [
    {
        "hosts": "windows",
        "gather_facts": False,
        "tasks": [
            {
                "name": "Look at all hosts",
                "fieldnotes.windows.fleet_info": {
                    "procedures": [{"module": "disable_ipv6", "arguments": {"state": "prefer_ipv4"}}],
                    "timeout": 120,
                },
            }
        ],
    }
]


@dataclass(frozen=True)
class Row:
    """One run. cpu, main_cpu, wall, server_cpu: seconds; requests: of all hosts; the rest: peak MiB.

    What is of which process: accounting.Cost.
    """

    what: str
    hosts: int
    forks: int
    wall: float
    cpu: float
    main_cpu: float
    server_cpu: float
    requests: int
    rss: int
    worker_rss: int
    worker_own: int

    def cells(self) -> list[str]:
        """For the table."""
        return [
            self.what,
            f"{self.hosts:,}",
            str(self.forks),
            f"{self.wall:.1f}",
            f"{self.hosts / self.wall:.1f}",
            f"{self.cpu / self.hosts * 1000:.1f}",
            f"{self.main_cpu / self.hosts * 1000:.1f}",
            f"{self.server_cpu / self.hosts * 1000:.1f}",
            f"{self.requests / self.hosts:.1f}",
            f"{self.rss}",
            f"{self.worker_rss}",
            f"{self.worker_own}",
        ]


HEADINGS = (
    "run",
    "hosts",
    "forks",
    "wall s",
    "hosts/s",
    "controller CPU ms/host",
    "of it the main process",
    "winsim CPU ms/host",
    "requests/host",
    "largest process MiB",
    "largest worker MiB",
    "of it its own MiB",
)


class Site:
    """A served site of one size, and the commands that run on it."""

    def __init__(self, server: Server, folder: Path, hosts: int) -> None:
        self._server = server
        self._folder = folder
        self._hosts = hosts
        self._environment = environment(folder, _USUAL_FORKS)
        self._inventory = folder / "site.json"
        self._inventory.write_text(json.dumps(with_groups(server.inventories[CONNECTION], hosts)), encoding="utf-8")
        self._fleet_info = folder / "fleet_info.yml"
        self._fleet_info.write_text(yaml.safe_dump(FLEET_INFO), encoding="utf-8")

    def site(self, what: str, forks: int, *flags: str) -> Row:
        """A run of the playbook of the site."""
        return self._run(what, SITE, forks, *flags)

    def fleet_info(self) -> Row:
        """The same look at all hosts in one task."""
        return self._run("fleet_info", str(self._fleet_info), 1)

    def _run(self, what: str, playbook: str, forks: int, *flags: str) -> Row:
        command = [str(ENVIRONMENT / "bin" / "ansible-playbook"), "-i", str(self._inventory), playbook, *flags]
        self._server.traffic()
        settings = {**self._environment, "ANSIBLE_FORKS": str(forks)}
        cost = run(command, settings, self._folder / "output", memory=True)
        traffic = self._server.traffic()
        sizes = [size >> 20 for size in (cost.rss, cost.worker_rss, cost.worker_own)]
        return Row(what, self._hosts, forks, cost.wall, cost.cpu, cost.main_cpu, traffic.cpu, traffic.requests, *sizes)


def rows(sizes: Sequence[int], forks: Sequence[int]) -> Iterator[Row]:
    """All runs. The size in the middle has each number of forks; larger ones are only looked at."""
    middle = sizes[len(sizes) // 2]
    for hosts in sizes:
        with tempfile.TemporaryDirectory(prefix="bench-") as name, serving(large_fleet(hosts), Path(name)) as server:
            site = Site(server, Path(name), hosts)
            yield site.fleet_info()
            for each in forks if hosts == middle else [_USUAL_FORKS]:
                yield site.site("site.yml --check", each, "--check")
            if hosts <= middle:
                yield site.site("site.yml, changes", _USUAL_FORKS)
                yield site.site("site.yml, again", _USUAL_FORKS)


def table(measured: Sequence[Row]) -> str:
    """As Markdown."""
    lines = [f"| {' | '.join(HEADINGS)} |", f"|{'---|' * len(HEADINGS)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row.cells())} |" for row in measured)])


def main(arguments: Sequence[str] | None = None) -> None:
    """Errors: CommandFailed."""
    parser = argparse.ArgumentParser(prog="bench fleet", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--hosts", type=int, nargs="+", default=[100, 1000, 3000], help="sizes of the fleet")
    parser.add_argument("--forks", type=int, nargs="+", default=[5, 10, 20, 40, 60], help="for the size in the middle")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args(arguments)
    measured: list[Row] = []
    for row in rows(options.hosts, options.forks):
        measured.append(row)
        print(f"{row.what}: {', '.join(row.cells()[1:])}", flush=True)
    print(table(measured))
    if options.json:
        content: Any = [dataclasses.asdict(row) for row in measured]
        options.json.write_text(json.dumps(content, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
