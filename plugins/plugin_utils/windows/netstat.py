# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""netstat.exe, for Windows without MSFT_NetTCPConnection. Its words are translated: only positions and numbers count.

https://learn.microsoft.com/en-us/windows-server/administration/windows-commands/netstat
For this collection only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from ..wsman.process import Processes

_NOBODY = ("0.0.0.0:0", "[::]:0")
"""The foreign address of a listener, in every language."""


class HasProcesses(Protocol):
    """What this needs of a host."""

    @property
    def processes(self) -> Processes:
        """WinRS processes."""


@dataclass(frozen=True)
class Listener:
    """A TCP socket that listens. address: without brackets and zone."""

    address: str
    port: int
    process_id: int


def listeners(output: str) -> Iterator[Listener]:
    """The listeners in the output of ``netstat -ano``: protocol, local and foreign address, a word, process id."""
    for line in output.splitlines():
        fields = line.split()
        # The word for "listening" is never read; in some languages it is several words.
        if len(fields) < 4 or fields[0].upper() != "TCP" or fields[2] not in _NOBODY:
            continue
        address, _colon, port = fields[1].rpartition(":")
        if port.isdigit() and fields[-1].isdigit():
            yield Listener(address.strip("[]").partition("%")[0], int(port), int(fields[-1]))


def read_listeners(host: HasProcesses, windows_directory: str, ports: Iterable[int]) -> list[Listener]:
    """Who listens on these TCP ports, asked of netstat.exe."""
    wanted = frozenset(ports)
    path = f"{windows_directory}\\System32\\netstat.exe"
    result = host.processes.run(path, ["-ano"], "reading the TCP listeners")
    return [found for found in listeners(result.output) if found.port in wanted]
