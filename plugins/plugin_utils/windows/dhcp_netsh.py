# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The DHCP Server before Windows Server 2012, through netsh.exe. For this collection only.

https://learn.microsoft.com/en-us/windows-server/networking/technologies/dhcp/migrate-dhcp-server
netsh ends with 0 in many error cases and its words are localised: whoever changes something reads the state again.
Keywords are case-sensitive in the reference, so they are sent in lower case.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Protocol

from ..wsman.process import Processes


class HasProcesses(Protocol):
    """What these functions need of a host."""

    @property
    def processes(self) -> Processes:
        """WinRS processes."""


class Netsh:
    """``netsh dhcp`` of a host."""

    def __init__(self, host: HasProcesses, windows_directory: str) -> None:
        self._host = host
        self._path = f"{windows_directory}\\System32\\netsh.exe"

    def _lines(self, *arguments: str, attempted: str) -> list[str]:
        # The exit code says nothing: the lines do, or the state afterwards.
        everything = range(2**16)
        result = self._host.processes.run(self._path, ["dhcp", *arguments], attempted, success=everything)
        return result.output.splitlines()

    def backup(self, path: str) -> None:
        """Backs the database up into a folder."""
        self._lines("server", "backup", path, attempted=f"backing up to {path}")

    def restore(self, path: str) -> None:
        """Has the database restored when the service starts next."""
        self._lines("server", "restore", path, attempted=f"restoring from {path}")

    def authorized(self) -> list[tuple[str, str]]:
        """Name and address of each authorized server: any line with an IPv4 address is one."""
        found = []
        for line in self._lines("show", "server", attempted="reading the authorization list"):
            address = next(addresses_in(line), None)
            if address is not None:
                names = re.findall(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*[A-Za-z_-][A-Za-z0-9_-]*)+", line)
                bracketed = re.findall(r"\[([^\]\s]+)\]", line)
                name = next((word for word in (*bracketed, *names) if word != address), "")
                found.append((name, address))
        return found

    def authorize(self, name: str, address: str) -> None:
        """Adds an entry to the list."""
        self._lines("add", "server", name, address, attempted=f"authorizing {name} ({address})")

    def unauthorize(self, name: str, address: str) -> None:
        """Removes an entry from the list."""
        self._lines("delete", "server", name, address, attempted=f"unauthorizing {name} ({address})")

    def dump(self) -> list[str]:
        """The configuration as netsh commands, which are not localised."""
        return self._lines("server", "dump", attempted="reading the configuration of the DHCP server")

    def clients(self, scope: str) -> list[tuple[str, str]]:
        """Address and hardware address of each lease of a scope.

        UNCONFIRMED column layout: rows begin with an IPv4 address, and the hardware address is what looks like one.
        """
        attempted = f"reading the leases of scope {scope}"
        found = []
        for line in self._lines("server", "scope", scope, "show", "clients", "1", attempted=attempted):
            words = line.split()
            if words and next(addresses_in(words[0]), None) == words[0]:
                mac = re.search(r"\b[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){2,}\b", line)
                found.append((words[0], mac[0].lower() if mac else ""))
        return found


def addresses_in(line: str) -> Iterator[str]:
    """The IPv4 addresses in a line."""
    for word in re.findall(r"\d{1,3}(?:\.\d{1,3}){3}", line):
        try:
            yield str(ipaddress.IPv4Address(word))
        except ValueError:
            continue
