# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The hosts file as bytes: what is ours in it, put in and taken out again byte for byte. For this collection only.

Bytes are looked at as Latin-1, so that every byte outside of our lines stays what it is, whatever the file's encoding.
"""

from __future__ import annotations

import codecs
import dataclasses
import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import Refusal

DISABLED = " # disabled by fieldnotes.windows"
ADDED = " # added by fieldnotes.windows"

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LOOPBACK = ipaddress.IPv6Address("::1")


@dataclass(frozen=True)
class Line:
    """One line. text: without its end; end: ``\\r\\n``, ``\\n``, or nothing for a last line that has none."""

    text: str
    end: str

    @property
    def is_disabled(self) -> bool:
        """Commented out by us."""
        return self.text.startswith("# ") and self.text.endswith(DISABLED)

    @property
    def is_added(self) -> bool:
        """Put in by us."""
        return self.text.endswith(ADDED) and bool(self.mapping[1])

    @property
    def mapping(self) -> tuple[str, tuple[str, ...]]:
        """Address and names of an active line, empty for any other."""
        address, *names = self.text.partition("#")[0].split() or [""]
        return address, tuple(names)

    @property
    def is_loopback(self) -> bool:
        """An active line that gives localhost the IPv6 loopback address, in any spelling."""
        address, names = self.mapping
        return is_loopback(address) and "localhost" in (name.lower() for name in names)


@dataclass(frozen=True)
class HostsFile:
    """A hosts file taken apart; ``content`` puts it together again."""

    path: str
    mark: bytes
    lines: tuple[Line, ...]

    @property
    def content(self) -> bytes:
        """The bytes of the file."""
        return self.mark + "".join(line.text + line.end for line in self.lines).encode("latin-1")

    @property
    def loopback_active(self) -> bool:
        """Whether localhost has the IPv6 loopback address by an active line."""
        return any(line.is_loopback for line in self.lines)

    @property
    def loopback_commented(self) -> bool:
        """Whether such a line is there as a comment, ours or as Windows ships it."""
        comments = (line.text.lstrip() for line in self.lines if line.text.lstrip().startswith("#"))
        return any(Line(text.lstrip("# \t"), "").is_loopback for text in comments)

    @property
    def added(self) -> list[tuple[str, str]]:
        """Address and name of each line that we added."""
        return [(line.mapping[0], name) for line in self.lines if line.is_added for name in line.mapping[1]]

    @property
    def is_managed(self) -> bool:
        """Whether something in it is ours."""
        return any(line.is_disabled or line.is_added for line in self.lines)

    @property
    def touched(self) -> list[str]:
        """The lines that are ours or that we would comment out: all that a change can be about."""
        return [line.text for line in self.lines if line.is_disabled or line.is_added or line.is_loopback]


def is_loopback(address: str) -> bool:
    """Whether a word is the IPv6 loopback address, in any spelling."""
    try:
        return ipaddress.IPv6Address(address.partition("%")[0]) == _LOOPBACK
    except ValueError:
        return False


def parse(path: str, content: bytes) -> HostsFile:
    """Takes a file apart. Errors: Refusal R8 for UTF-16, which Windows cannot read as a hosts file."""
    if content.startswith(_UTF16):
        raise unusable(path, "UTF-16")
    mark = codecs.BOM_UTF8 if content.startswith(codecs.BOM_UTF8) else b""
    pieces = re.findall(r"([^\n]*?)(\r?\n|\Z)", content[len(mark) :].decode("latin-1"))
    return HostsFile(path, mark, tuple(Line(text, end) for text, end in pieces if text or end))


def unusable(path: str, what: str) -> Refusal:
    """R8."""
    return Refusal("R8", f"hosts file {path} is {what}: Windows reads it as ANSI/UTF-8 only; save it so first")


def for_exchange_2007(file: HostsFile, address: str, names: Sequence[str]) -> HostsFile:
    """localhost without IPv6, and each name at this IPv4 address. Errors: Refusal R9 for a name mapped elsewhere."""
    wanted = [name.lower() for name in names]
    kept: list[Line] = []
    for number, line in enumerate(file.lines, 1):
        if line.is_loopback:
            kept.append(dataclasses.replace(line, text=f"# {line.text}{DISABLED}"))
            continue
        elsewhere = _elsewhere(line, address, wanted)
        if elsewhere and not line.is_added:
            raise Refusal(
                "R9",
                f"{file.path} line {number} maps {elsewhere} to {line.mapping[0]}: remove it or leave {elsewhere} out "
                "of hosts_names",
            )
        if not elsewhere:
            kept.append(line)
    there = {name.lower() for line in kept if _same(line.mapping[0], address) for name in line.mapping[1]}
    missing = [name for name in names if name.lower() not in there]
    texts = [f"{address}\t{name}{ADDED}" for name in dict.fromkeys(missing)]
    return dataclasses.replace(file, lines=_appended(_closed(file, kept), texts, _end_of(file)))


def as_shipped(file: HostsFile) -> HostsFile:
    """What is ours taken out, byte for byte; every other line stays."""
    kept = [_enabled(line) if line.is_disabled else line for line in file.lines if not line.is_added]
    return dataclasses.replace(file, lines=_closed(file, kept))


def _enabled(line: Line) -> Line:
    return dataclasses.replace(line, text=line.text[len("# ") : -len(DISABLED)])


def _elsewhere(line: Line, address: str, names: Iterable[str]) -> str:
    """The first of these names that the line maps to another address, else nothing."""
    mapped, found = line.mapping
    if _same(mapped, address):
        return ""
    return next((name for name in found if name.lower() in names), "")


def _same(one: str, other: str) -> bool:
    try:
        return ipaddress.ip_address(one) == ipaddress.ip_address(other)
    except ValueError:
        return False


def _end_of(file: HostsFile) -> str:
    return next((line.end for line in reversed(file.lines) if line.end), "\r\n")


def _closed(file: HostsFile, lines: Sequence[Line]) -> tuple[Line, ...]:
    """The lines that are left of a file: without a final line end where the file had none."""
    if lines and lines[-1].end and not file.lines[-1].end:
        return (*lines[:-1], dataclasses.replace(lines[-1], end=""))
    return tuple(lines)


def _appended(lines: tuple[Line, ...], texts: Sequence[str], end: str) -> tuple[Line, ...]:
    """The lines with these at the end. A file without a final line end keeps having none."""
    if not texts:
        return lines
    new = [Line(text, end) for text in texts]
    if lines and not lines[-1].end:
        # A carriage return that ends the file is text; with a bare line feed behind it, it would read as a line end.
        closing = "\r\n" if lines[-1].text.endswith("\r") else end
        lines = (*lines[:-1], dataclasses.replace(lines[-1], end=closing))
        new[-1] = dataclasses.replace(new[-1], end="")
    return (*lines, *new)
