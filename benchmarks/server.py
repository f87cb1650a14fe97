# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The other end of every benchmark, in a process of its own: winsim, and canned answers for whoever sends PowerShell.

winsim refuses scripts, as it must. The tasks of ansible.windows are nothing else, so here every script and every
process named powershell is answered at once with one module result: what remains is what such a task costs the
controller. Everything else is answered by winsim as in the tests.

``python -m benchmarks.server FLEET.json`` prints one line of JSON (an inventory for each connection), then answers each
line on standard input with one line (what was received and sent since the last one), and ends with standard input.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h11
from winsim import Fleet, Host, http, serve
from winsim.providers import Output, Provider
from winsim.psrp import shell

RESULT = json.dumps({"changed": False, "failed": False, "invocation": {"module_args": {}}, "ping": "pong"})

CONNECTIONS = {
    f"{connection} {transport} {auth}": {"connection": connection, "transport": transport, "auth": auth}
    for connection in ("psrp", "winrm")
    for transport, auth in (("https", "basic"), ("http", "ntlm"))
}


class CannedPipeline:
    """Stands for a pipeline of scripts: whatever was sent, it puts out one module result and is over."""

    over = True

    def __init__(self, wire: Any) -> None:
        self.wire = wire

    def start(self) -> None:
        self.wire.start()
        self.wire.write_output(RESULT)
        self.wire.complete()

    def stop(self) -> None:
        """Nothing runs any more."""

    def abandon(self) -> None:
        """Nothing runs any more."""


_winsims_own: Any = shell.Pipeline  # type: ignore[attr-defined]


def _pipeline(runspace: Any, wire: Any, commands: Any, given: Any, expects_input: bool) -> Any:
    """Scripts are canned; cmdlets by name run on winsim."""
    if any(command.is_script for statement in commands for command in statement):
        return CannedPipeline(wire)
    return _winsims_own(runspace, wire, commands, given, expects_input)


_powershell = Provider("powershell")


@_powershell.process("powershell.exe", reads_stdin=True)
def _run_powershell(host: Host, arguments: Sequence[str], stdin: str) -> Output:
    return Output(RESULT + "\r\n")


class Counts:
    """What went over the wire since the last look; bytes are those of HTTP, under TLS if there is TLS."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cpu = time.process_time()
        self._counts = dict.fromkeys(("connections", "requests", "received", "sent"), 0)

    def add(self, name: str, number: int) -> None:
        with self._lock:
            self._counts[name] += number

    def take(self) -> dict[str, float]:
        with self._lock:
            cpu = time.process_time()
            taken = {**self._counts, "cpu": cpu - self._cpu}
            self._cpu = cpu
            self._counts = dict.fromkeys(self._counts, 0)
        return taken


counts = Counts()


class CountedHttp(h11.Connection):
    """h11's server side of a connection, counting."""

    def receive_data(self, data: bytes) -> None:
        counts.add("received", len(data))
        super().receive_data(data)

    def next_event(self) -> Any:
        event = super().next_event()
        if isinstance(event, h11.Request):
            counts.add("requests", 1)
        return event

    def send(self, event: Any) -> Any:
        data = super().send(event)
        counts.add("sent", len(data or b""))
        return data


class CountedConversation(http._Conversation):
    """A connection of winsim, counting."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._http = CountedHttp(h11.SERVER)
        counts.add("connections", 1)


def main() -> None:
    http._Conversation = CountedConversation  # type: ignore[misc,assignment]
    shell.Pipeline = _pipeline  # type: ignore[attr-defined,assignment]
    fleet = Fleet.load(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    with serve(fleet) as served, contextlib.suppress(KeyboardInterrupt):
        print(json.dumps({name: served.inventory(**how) for name, how in CONNECTIONS.items()}), flush=True)
        counts.take()
        for _ in sys.stdin:
            taken = counts.take()
            with fleet.lock:
                for host in fleet.hosts.values():
                    # Requests of hundreds of KiB each would pile up.
                    host.log.clear()
                    host.handshakes.clear()
                    host.plaintext = bytearray()
            print(json.dumps(taken), flush=True)


if __name__ == "__main__":
    main()
