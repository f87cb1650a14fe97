# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The bits of DisabledComponents, the registry value that decides about IPv6. For this collection only.

https://learn.microsoft.com/en-us/troubleshoot/windows-server/networking/configure-ipv6-in-windows
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..errors import Refusal

BITS = {
    "tunnel": 0x01,
    "tunnel_6to4": 0x02,
    "tunnel_isatap": 0x04,
    "tunnel_teredo": 0x08,
    "native": 0x10,
    "prefer_ipv4": 0x20,
    "tunnel_cp": 0x40,
    "tunnel_iptls": 0x80,
}
"""What a bit that is set disables; prefer_ipv4 disables nothing, it changes an order."""

STATES = {
    "enabled": 0x00,
    "prefer_ipv4": 0x20,
    "tunnels_disabled": 0x01,
    "native_disabled": 0x10,
    "native_and_tunnels_disabled": 0x11,
    "disabled": 0xFF,
}

ALL = 0xFF
NATIVE = BITS["native"]
PREFER_IPV4 = BITS["prefer_ipv4"]

SAFE_WITH_ROUTING = (STATES["enabled"], STATES["prefer_ipv4"])
"""All that Routing and Remote Access starts with."""

WITHOUT_CONSENT = (*SAFE_WITH_ROUTING, STATES["tunnels_disabled"])
"""Values that need no allow_unsupported."""


def bits_of(value: int) -> dict[str, bool]:
    """Which bits are set; those above the eighth have no meaning."""
    return {name: bool(value & bit) for name, bit in BITS.items()}


def state_of(value: int) -> str:
    """The name of the state that a value is, ``custom`` for a combination without one."""
    return next((name for name, number in STATES.items() if number == value), "custom")


def shown(value: int | None) -> str:
    """A value for people: ``0x20``, ``0xFFFFFFFF``, ``absent``."""
    return "absent" if value is None else f"0x{value:02X}"


def is_nonstandard(value: int) -> bool:
    """Whether bits are set that do not exist; each start of Windows then takes five seconds more."""
    return value > ALL


def parse(given: Any) -> int:
    """disabled_components from an int or a string beginning with 0x. Errors: Refusal, R2 for a value out of range."""
    if isinstance(given, str) and re.fullmatch(r"-?\d+", given.strip()):
        digits = given.strip()
        hint = f"write 0x{int(digits):02X} or 0x{digits}" if not digits.startswith("-") else "give a number"
        raise Refusal("disabled_components", f"{hint}: a bare number in a string is ambiguous")
    if isinstance(given, str) and re.fullmatch(r"0[xX][0-9a-fA-F]+", given.strip()):
        given = int(given.strip(), 16)
    if isinstance(given, bool) or not isinstance(given, int):
        raise Refusal("disabled_components", f"disabled_components is a number or a string like 0x20, not {given!r}")
    if not 0 <= given <= ALL:
        raise Refusal(
            "R2",
            "DisabledComponents has eight bits; 0xFFFFFFFF delays every start by five seconds, the value meant is 0xFF",
        )
    return int(given)


def support_of(value: int, build: int | None) -> tuple[str, list[str]]:
    """The vendor's position on a value (supported, discouraged, unsupported), and notes. build: None where unknown."""
    return _status(value), list(_notes(value, build))


def _status(value: int) -> str:
    if value in SAFE_WITH_ROUTING:
        return "supported"
    return "discouraged" if value == STATES["tunnels_disabled"] else "unsupported"


_WINDOWS_7_SP1 = 7601


def _notes(value: int, build: int | None) -> Iterator[str]:
    if is_nonstandard(value):
        yield f"{shown(value)} delays every start of Windows by five seconds; the value meant is 0xFF"
    if value & NATIVE:
        yield "IPv6 is a mandatory part of Windows; to have IPv4 first use prefer_ipv4"
    if value & ALL == ALL:
        yield "the loopback address ::1 works even so"
        if build == _WINDOWS_7_SP1:
            yield "Windows 7 SP1 and Windows Server 2008 R2 SP1 start slowly with 0xFF: see KB3014406"
