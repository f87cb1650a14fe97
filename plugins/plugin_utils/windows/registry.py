# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The registry through StdRegProv, in root/default, which every Windows has. For this collection only.

https://learn.microsoft.com/en-us/previous-versions/windows/desktop/regprov/stdregprov
Return values are Win32 error numbers: 2 means that the key or value is absent, 5 that access is denied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import MethodFailed
from ..win_error import win32_name_of
from ..wsman.bindings import CimClass, Method
from ..wsman.cim import Cim, MethodResult
from ..wsman.types import sint32, uint8, uint32

HKLM = 2147483650

ABSENT = 2
DENIED = 5
WRONG_TYPE = 1
"""GetDWORDValue and its like answer it for a value of another type."""

_KEY = {"hDefKey": uint32 | None, "sSubKeyName": str}
_VALUE = {**_KEY, "sValueName": str}


class StdRegProv(CimClass, namespace="root/default", wmi="StdRegProv"):
    """Static methods that read and write the registry."""

    CreateKey = Method(_KEY, static=True)
    DeleteKey = Method(_KEY, static=True)
    DeleteValue = Method(_VALUE, static=True)
    EnumKey = Method(_KEY, {"sNames": tuple[str, ...]}, static=True)
    EnumValues = Method(_KEY, {"sNames": tuple[str, ...], "Types": tuple[sint32, ...]}, static=True)
    GetBinaryValue = Method(_VALUE, {"uValue": tuple[uint8, ...]}, static=True)
    GetDWORDValue = Method(_VALUE, {"uValue": uint32}, static=True)
    GetExpandedStringValue = Method(_VALUE, {"sValue": str}, static=True)
    GetMultiStringValue = Method(_VALUE, {"sValue": tuple[str, ...]}, static=True)
    GetStringValue = Method(_VALUE, {"sValue": str}, static=True)
    SetDWORDValue = Method({**_VALUE, "uValue": uint32 | None}, static=True)
    SetExpandedStringValue = Method({**_VALUE, "sValue": str | None}, static=True)
    SetMultiStringValue = Method({**_VALUE, "sValue": tuple[str, ...]}, static=True)
    SetStringValue = Method({**_VALUE, "sValue": str | None}, static=True)


class HasCim(Protocol):
    """What these functions need of a host."""

    @property
    def cim(self) -> Cim:
        """CIM operations."""


@dataclass(frozen=True)
class Key:
    """A key below HKEY_LOCAL_MACHINE."""

    path: str

    def __str__(self) -> str:
        return f"HKLM\\{self.path}"

    @property
    def parent(self) -> Key:
        """The key that holds this one."""
        return Key(self.path.rpartition("\\")[0])

    def below(self, name: str) -> Key:
        """A key in this one."""
        return Key(f"{self.path}\\{name}")


def _call(host: HasCim, method: Method, key: Key, attempted: str, absent: bool, **inputs: Any) -> MethodResult | None:
    """None for an absent key or value where that is an answer. Errors: MethodFailed."""
    result = host.cim.invoke(method, check=False, hDefKey=HKLM, sSubKeyName=key.path, **inputs)
    value = result.value or 0
    if value == 0:
        return result
    if absent and value == ABSENT:
        return None
    raise MethodFailed(attempted, method.name, value, win32_name_of(value) or "")


def _at(key: Key, name: str) -> str:
    return f"{key}, value {name}"


def read_string(host: HasCim, key: Key, name: str) -> str | None:
    """A REG_SZ value; None where key or value is absent."""
    method = StdRegProv.GetStringValue
    result = _call(host, method, key, f"reading {_at(key, name)}", True, sValueName=name)
    return None if result is None else result.outputs["sValue"] or ""


def read_expanded_string(host: HasCim, key: Key, name: str) -> str | None:
    """A REG_EXPAND_SZ value with its variables expanded by the host; None where absent."""
    method = StdRegProv.GetExpandedStringValue
    result = _call(host, method, key, f"reading {_at(key, name)}", True, sValueName=name)
    return None if result is None else result.outputs["sValue"] or ""


def read_dword(host: HasCim, key: Key, name: str) -> int | None:
    """A REG_DWORD value, unsigned; None where absent."""
    method = StdRegProv.GetDWORDValue
    result = _call(host, method, key, f"reading {_at(key, name)}", True, sValueName=name)
    value: int | None = None if result is None else result.outputs["uValue"]
    return value


def read_strings(host: HasCim, key: Key, name: str) -> tuple[str, ...] | None:
    """A REG_MULTI_SZ value; None where absent, an empty tuple where it holds nothing."""
    method = StdRegProv.GetMultiStringValue
    result = _call(host, method, key, f"reading {_at(key, name)}", True, sValueName=name)
    return None if result is None else result.outputs["sValue"] or ()


def write_string(host: HasCim, key: Key, name: str, value: str) -> None:
    """Writes a REG_SZ value into a key that exists."""
    _call(host, StdRegProv.SetStringValue, key, f"writing {_at(key, name)}", False, sValueName=name, sValue=value)


def write_dword(host: HasCim, key: Key, name: str, value: int) -> None:
    """Writes a REG_DWORD value into a key that exists."""
    _call(host, StdRegProv.SetDWORDValue, key, f"writing {_at(key, name)}", False, sValueName=name, uValue=value)


def write_strings(host: HasCim, key: Key, name: str, value: tuple[str, ...]) -> None:
    """Writes a REG_MULTI_SZ value into a key that exists."""
    _call(host, StdRegProv.SetMultiStringValue, key, f"writing {_at(key, name)}", False, sValueName=name, sValue=value)


def delete_value(host: HasCim, key: Key, name: str) -> None:
    """Deletes a value; an absent one is no error."""
    _call(host, StdRegProv.DeleteValue, key, f"deleting {_at(key, name)}", True, sValueName=name)


def create_key(host: HasCim, key: Key) -> None:
    """Creates a key and the keys above it; one that exists is no error."""
    _call(host, StdRegProv.CreateKey, key, f"creating {key}", False)


def delete_key(host: HasCim, key: Key) -> None:
    """Deletes a key without subkeys; an absent one is no error."""
    _call(host, StdRegProv.DeleteKey, key, f"deleting {key}", True)


def subkeys(host: HasCim, key: Key) -> tuple[str, ...] | None:
    """Names of the keys in a key; None where it is absent."""
    result = _call(host, StdRegProv.EnumKey, key, f"reading {key}", True)
    return None if result is None else result.outputs["sNames"] or ()


def values(host: HasCim, key: Key) -> dict[str, int] | None:
    """Names of the values in a key with their registry types (1 REG_SZ, 4 REG_DWORD ...); None where it is absent."""
    result = _call(host, StdRegProv.EnumValues, key, f"reading {key}", True)
    if result is None:
        return None
    return dict(zip(result.outputs["sNames"] or (), result.outputs["Types"] or (), strict=False))
