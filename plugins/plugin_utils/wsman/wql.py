# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Values in WQL text. For this collection only."""

from __future__ import annotations

import datetime

from .types import encode_dmtf


def literal(value: str | bool | int | datetime.datetime) -> str:
    """A value as a WQL literal, quoted and escaped (learn.microsoft.com/windows/win32/wmisdk/wql-sql-for-wmi).

    In WQL a backslash escapes, so it is doubled, and a quote gets one before it. Errors: ValueError for a NUL.
    """
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return str(value)
    text = encode_dmtf(value) if isinstance(value, datetime.datetime) else value
    if "\x00" in text:
        raise ValueError("a WQL literal cannot hold a NUL character")
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def any_of(name: str, values: list[str] | list[int] | tuple[int, ...] | tuple[str, ...]) -> str:
    """``(name = a OR name = b)``; WQL has no IN."""
    return "(" + " OR ".join(f"{name} = {literal(value)}" for value in values) + ")"
