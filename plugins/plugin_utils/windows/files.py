# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files of a host as bytes, through the item cmdlets of Windows PowerShell (5.1 and older). For this collection only.

https://learn.microsoft.com/en-us/powershell/module/microsoft.powershell.management/get-content
``-Encoding Byte`` left PowerShell with version 6, whose endpoint has another name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from ..errors import MalformedAnswer
from ..wsman.cmdlets import SWITCH, Cmdlet, Cmdlets

_MODULE = "Microsoft.PowerShell.Management"

GET_CONTENT = Cmdlet("Get-Content", _MODULE, ("LiteralPath", "Encoding", "ReadCount"))
SET_CONTENT = Cmdlet("Set-Content", _MODULE, ("LiteralPath", "Encoding", "Value"))
COPY_ITEM = Cmdlet("Copy-Item", _MODULE, ("LiteralPath", "Destination", "Force"))
REMOVE_ITEM = Cmdlet("Remove-Item", _MODULE, ("LiteralPath", "Force"))


class HasCmdlets(Protocol):
    """What these functions need of a host."""

    @property
    def cmdlets(self) -> Cmdlets:
        """Typed cmdlets."""


def read_bytes(host: HasCmdlets, path: str) -> bytes:
    """The content of a file. Errors: CmdletFailed, also where there is no such file."""
    command = GET_CONTENT(LiteralPath=path, Encoding="Byte", ReadCount=0)
    result = host.cmdlets.run(command, attempted=f"reading {path}")
    try:
        return bytes(_bytes_in(result.output))
    except (TypeError, ValueError) as error:
        raise MalformedAnswer(f"reading {path}: {error}") from error


def _bytes_in(values: Iterable[Any]) -> Iterator[int]:
    """UNCONFIRMED whether bytes arrive one by one, as one list or as one byte array: all three are read."""
    for value in values:
        if isinstance(value, int):
            yield value
        elif isinstance(value, str):
            raise TypeError("text came where bytes were asked for")
        else:
            yield from _bytes_in(value)


def write_bytes(host: HasCmdlets, path: str, content: bytes) -> None:
    """Writes a file in place: what was set on it, its permissions among them, stays. Errors: CmdletFailed."""
    command = SET_CONTENT(LiteralPath=path, Encoding="Byte", Value=content)
    host.cmdlets.run(command, attempted=f"writing {path}")


def copy(host: HasCmdlets, source: str, destination: str) -> None:
    """Copies a file over what may be at the destination. Errors: CmdletFailed."""
    command = COPY_ITEM(LiteralPath=source, Destination=destination, Force=SWITCH)
    host.cmdlets.run(command, attempted=f"copying {source} to {destination}")


def remove(host: HasCmdlets, path: str) -> None:
    """Removes a file. Errors: CmdletFailed, also where there is none."""
    host.cmdlets.run(REMOVE_ITEM(LiteralPath=path, Force=SWITCH), attempted=f"removing {path}")
