# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names of Windows error numbers, from the public headers (winerror.h, wsmerror.h, WbemCli.h and others).

For this collection only. The table is ``data/win_errors.json``; it is read when the first name is asked for.
"""

from __future__ import annotations

import functools
import json
import pathlib
from typing import cast

_TABLE = pathlib.Path(__file__).parent / "data" / "win_errors.json"
_FACILITY_WIN32 = 0x80070000


def unsigned(number: int) -> int:
    """The 32-bit number without sign: -2147217394 and 2147749902 are both 0x8004100E."""
    return number & 0xFFFFFFFF


@functools.lru_cache(maxsize=1)
def _names() -> dict[str, dict[str, list[str]]]:
    return cast("dict[str, dict[str, list[str]]]", json.loads(_TABLE.read_text(encoding="utf-8")))


def name_of(number: int) -> str | None:
    """The first documented name of an HRESULT, or of the Win32 error inside it; None when there is none."""
    code = unsigned(number)
    names = _names()["hresult"].get(f"{code:08X}")
    if names is None and code & 0xFFFF0000 in (0, _FACILITY_WIN32):
        names = _names()["win32"].get(str(code & 0xFFFF))
    return names[0] if names else None


def win32_name_of(number: int) -> str | None:
    """The documented name of a Win32 system error number (process exit codes, StdRegProv returns)."""
    names = _names()["win32"].get(str(unsigned(number)))
    return names[0] if names else None


def describe(number: int) -> str:
    """Name and number for a message: ``WBEM_E_INVALID_NAMESPACE 0x8004100E``, ``ERROR_ACCESS_DENIED 5``."""
    code = unsigned(number)
    text = f"0x{code:08X}" if code > 0xFFFF else str(code)
    name = name_of(code)
    return f"{name} {text}" if name else text


def describe_win32(number: int) -> str:
    """Number and name of a Win32 error for a message: ``5 (ERROR_ACCESS_DENIED)``."""
    name = win32_name_of(number)
    return f"{number} ({name})" if name else str(number)
