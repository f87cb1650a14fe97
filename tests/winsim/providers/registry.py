# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The registry and StdRegProv. Return values are Win32 error numbers: 0, 2 = no such key or value, 5 = denied.

Section `registry` of a host: paths and nested keys down to values.

    registry:
      HKLM\\SOFTWARE\\Example:
        Level: 3                          # REG_DWORD
        Path: C:\\Example                 # REG_SZ
        Names: [a, b]                     # REG_MULTI_SZ
        Target: {expand: "%SystemRoot%\\x"}   # also {string:}, {multi:}, {dword:}, {qword:}, {binary: 00ff}
        Deeper: {Value: text}             # a subkey
        (access): read_only               # writes are denied; `denied`: everything is
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from winsim.fleet import integer, mapping, refuse, sequence, text
from winsim.host import Host
from winsim.switches import declare

from . import Instance, Provider, Wbem

__all__ = ["Key", "Kind", "RegistryState", "Value", "contributes"]

registry = Provider("registry")

ERROR_FILE_NOT_FOUND = 2
ERROR_ACCESS_DENIED = 5
ERROR_INVALID_HANDLE = 6
ERROR_UNSUPPORTED_TYPE = 1630

ACCESS = "(access)"
HIVES = {
    0x80000000: "HKCR",
    0x80000001: "HKCU",
    0x80000002: "HKLM",
    0x80000003: "HKU",
    0x80000005: "HKCC",
}
LOCAL_MACHINE = 0x80000002
KEY_WRITES = 0x2 | 0x4 | 0x20 | 0x10000 | 0x40000 | 0x80000

declare(
    "registry.type_mismatch",
    {
        "wbem": "ReturnValue is WBEM_E_TYPE_MISMATCH",
        "win32": "ReturnValue is ERROR_UNSUPPORTED_TYPE",
        "one": "ReturnValue is 1",
    },
    open_question="what a StdRegProv getter returns for a value of another type",
    page="contract: StdRegProv methods have no documented code table",
)
MISMATCH = {"wbem": Wbem.TYPE_MISMATCH, "win32": ERROR_UNSUPPORTED_TYPE, "one": 1}


class Kind(IntEnum):
    """Types of registry values (winnt.h)."""

    STRING = 1
    EXPAND = 2
    BINARY = 3
    DWORD = 4
    MULTI = 7
    QWORD = 11


Data = str | int | bytes | list[str]


@dataclass
class Value:
    name: str
    kind: Kind
    data: Data


@dataclass
class Key:
    """A key; `values` and `keys` are kept under the lower-case name. `access`: `full`, `read_only` or `denied`."""

    name: str
    values: dict[str, Value] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    access: str = "full"


@dataclass
class RegistryState:
    """The hives by short name (`HKLM`). Paths start with the hive: `HKLM\\SYSTEM\\CurrentControlSet`."""

    hives: dict[str, Key] = field(default_factory=lambda: {hive: Key(hive) for hive in HIVES.values()})

    def key(self, path: str) -> Key | None:
        hive, *parts = _parts(path)
        found: Key | None = self.hives.get(hive.upper())
        for part in parts:
            found = None if found is None else found.keys.get(part.lower())
        return found

    def make(self, path: str) -> Key:
        """The key, made with its parents where it is missing."""
        hive, *parts = _parts(path)
        key = self.hives[hive.upper()]
        for part in parts:
            key = key.keys.setdefault(part.lower(), Key(part))
        return key

    def access(self, path: str) -> str:
        """The strictest access along the path, as far as its keys exist."""
        hive, *parts = _parts(path)
        key: Key | None = self.hives.get(hive.upper())
        strictest = "full"
        while key is not None:
            if key.access != "full" and strictest != "denied":
                strictest = key.access
            key = key.keys.get(parts.pop(0).lower()) if parts else None
        return strictest

    def get(self, path: str, name: str) -> Data | None:
        """Data of a value, None if it is absent."""
        key = self.key(path)
        value = None if key is None else key.values.get(name.lower())
        return None if value is None else value.data

    def set(self, path: str, name: str, data: Data, kind: Kind | None = None) -> None:
        """Set a value, making the key; the type follows the data unless `kind` says it."""
        self.make(path).values[name.lower()] = Value(name, kind if kind is not None else _kind_of(data), data)

    def delete(self, path: str, name: str) -> None:
        key = self.key(path)
        if key is not None:
            key.values.pop(name.lower(), None)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("\\") if part]


def _kind_of(data: Data) -> Kind:
    if isinstance(data, str):
        return Kind.STRING
    if isinstance(data, bytes):
        return Kind.BINARY
    return Kind.MULTI if isinstance(data, list) else Kind.DWORD


# The fleet file

Contribution = Callable[[Host], Mapping[str, Any]]
_contributions: list[Contribution] = []


def contributes(function: Contribution) -> Contribution:
    """(host) -> what a subsystem has in the registry of a fresh host, in the form of the fleet file."""
    _contributions.append(function)
    return function


@registry.section("registry", RegistryState)
def build(host: Host, data: Any, path: str) -> RegistryState:
    state = RegistryState()
    for contribution in _contributions:
        _fill_hives(state, contribution(host), contribution.__name__)
    _fill_hives(state, mapping(data, path), path)
    return state


def _fill_hives(state: RegistryState, data: Mapping[str, Any], path: str) -> None:
    for name, content in data.items():
        parts = _parts(name)
        if not parts or parts[0].upper() not in state.hives:
            refuse(f"{path}.{name}", f"a path begins with one of {', '.join(state.hives)}")
        _fill(state.make(name), mapping(content, f"{path}.{name}"), f"{path}.{name}")


def _fill(key: Key, content: Mapping[str, Any], path: str) -> None:
    for name, data in content.items():
        here = f"{path}.{name}"
        if name == ACCESS:
            key.access = text(data, here, ("full", "read_only", "denied"))
        elif (value := _value(name, data, here)) is not None:
            key.values[name.lower()] = value
        else:
            below = key
            for part in _parts(name):
                below = below.keys.setdefault(part.lower(), Key(part))
            _fill(below, mapping(data, here), here)


def _value(name: str, data: Any, path: str) -> Value | None:
    """The value that `data` describes; None if it describes a subkey."""
    if isinstance(data, str):
        return Value(name, Kind.STRING, data)
    if isinstance(data, int) and not isinstance(data, bool):
        return Value(name, Kind.DWORD, integer(data, path, 0, 2**32 - 1))
    if isinstance(data, list):
        return Value(name, Kind.MULTI, [text(line, path) for line in data])
    if isinstance(data, dict) and len(data) == 1:
        word, given = next(iter(data.items()))
        if word in _readers and not isinstance(given, dict):
            return Value(name, Kind[word.upper()], _readers[word](given, path))
    if data is None or isinstance(data, dict):
        return None
    return refuse(path, f"{data!r} is no registry value")


def _binary(data: Any, path: str) -> bytes:
    if isinstance(data, bytes):
        return data
    try:
        return bytes.fromhex(text(data, path))
    except ValueError:
        return refuse(path, f"{data!r} is not hexadecimal")


_readers: dict[str, Callable[[Any, str], Data]] = {
    "string": text,
    "expand": text,
    "binary": _binary,
    "dword": lambda data, path: integer(data, path, 0, 2**32 - 1),
    "qword": lambda data, path: integer(data, path, 0, 2**64 - 1),
    "multi": lambda data, path: [text(line, path) for line in sequence(data, path)],
}


# StdRegProv


class _RefusalError(Exception):
    def __init__(self, code: int) -> None:
        self.code = code


def _path(inputs: Instance) -> str:
    number = inputs.get("hDefKey")
    hive = HIVES.get(LOCAL_MACHINE if number is None else number & 0xFFFFFFFF)
    if hive is None:
        raise _RefusalError(ERROR_INVALID_HANDLE)
    return f"{hive}\\{inputs.get('sSubKeyName') or ''}"


def _open(host: Host, inputs: Instance, *, write: bool) -> Key:
    state, path = host.state(RegistryState), _path(inputs)
    _check(state, path, write=write)
    key = state.key(path)
    if key is None:
        raise _RefusalError(ERROR_FILE_NOT_FOUND)
    return key


def _check(state: RegistryState, path: str, *, write: bool) -> None:
    access = state.access(path)
    if access == "denied" or (write and access == "read_only"):
        raise _RefusalError(ERROR_ACCESS_DENIED)


Action = Callable[[Host, Instance], Instance]


def _method(name: str) -> Callable[[Action], Action]:
    """Tie an action to StdRegProv in both of its namespaces; what it refuses becomes the ReturnValue."""

    def decorate(action: Action) -> Action:
        def method(host: Host, instance: Instance | None, inputs: Instance) -> Instance:
            try:
                return {"ReturnValue": 0, **action(host, inputs)}
            except _RefusalError as refusal:
                return {"ReturnValue": refusal.code}

        for namespace in ("root/default", "root/cimv2"):
            registry.method(namespace, "StdRegProv", name)(method)
        return action

    return decorate


@registry.instances("root/default", "StdRegProv")
@registry.instances("root/cimv2", "StdRegProv")
def no_instances(host: Host) -> Iterator[Instance]:
    """StdRegProv has static methods only."""
    return iter(())


@_method("CheckAccess")
def check_access(host: Host, inputs: Instance) -> Instance:
    wanted = inputs.get("uRequired")
    try:
        _open(host, inputs, write=bool((3 if wanted is None else wanted) & KEY_WRITES))
    except _RefusalError as refusal:
        return {"bGranted": False, "ReturnValue": refusal.code}
    return {"bGranted": True}


@_method("CreateKey")
def create_key(host: Host, inputs: Instance) -> Instance:
    state, path = host.state(RegistryState), _path(inputs)
    if state.key(path) is None:
        _check(state, path, write=True)
    else:
        _check(state, path, write=False)
    state.make(path)
    return {}


@_method("DeleteKey")
def delete_key(host: Host, inputs: Instance) -> Instance:
    key = _open(host, inputs, write=True)
    parts = _parts(_path(inputs))
    if key.keys or len(parts) == 1:
        # RegDeleteKey refuses a key with subkeys, and so does StdRegProv.
        raise _RefusalError(ERROR_ACCESS_DENIED)
    parent = host.state(RegistryState).key("\\".join(parts[:-1]))
    if parent is not None:
        del parent.keys[parts[-1].lower()]
    return {}


@_method("DeleteValue")
def delete_value(host: Host, inputs: Instance) -> Instance:
    key = _open(host, inputs, write=True)
    if key.values.pop((inputs.get("sValueName") or "").lower(), None) is None:
        raise _RefusalError(ERROR_FILE_NOT_FOUND)
    return {}


@_method("EnumKey")
def enum_key(host: Host, inputs: Instance) -> Instance:
    key = _open(host, inputs, write=False)
    return {"sNames": sorted((below.name for below in key.keys.values()), key=str.lower) or None}


@_method("EnumValues")
def enum_values(host: Host, inputs: Instance) -> Instance:
    values = list(_open(host, inputs, write=False).values.values())
    return {
        "sNames": [value.name for value in values] or None,
        "Types": [int(value.kind) for value in values] or None,
    }


def _getter(method: str, output: str, kind: Kind) -> None:
    @_method(method)
    def get_value(host: Host, inputs: Instance) -> Instance:
        value = _open(host, inputs, write=False).values.get((inputs.get("sValueName") or "").lower())
        if value is None:
            raise _RefusalError(ERROR_FILE_NOT_FOUND)
        if value.kind is not kind:
            raise _RefusalError(MISMATCH[host.switches["registry.type_mismatch"]])
        if kind is Kind.EXPAND and isinstance(value.data, str):
            return {output: expand(host, value.data)}
        return {output: list(value.data) if isinstance(value.data, bytes) else value.data}


def _setter(method: str, parameter: str, kind: Kind, empty: Data) -> None:
    @_method(method)
    def set_value(host: Host, inputs: Instance) -> Instance:
        key = _open(host, inputs, write=True)
        name = inputs.get("sValueName") or ""
        given = inputs.get(parameter)
        data: Data = empty if given is None else bytes(given) if kind is Kind.BINARY else given
        kept = key.values.get(name.lower())
        key.values[name.lower()] = Value(name if kept is None else kept.name, kind, data)
        return {}


for _word, _parameter, _kind, _empty in (
    ("String", "sValue", Kind.STRING, ""),
    ("ExpandedString", "sValue", Kind.EXPAND, ""),
    ("MultiString", "sValue", Kind.MULTI, []),
    ("DWORD", "uValue", Kind.DWORD, 0),
    ("QWORD", "uValue", Kind.QWORD, 0),
    ("Binary", "uValue", Kind.BINARY, b""),
):
    _getter(f"Get{_word}Value", _parameter, _kind)
    _setter(f"Set{_word}Value", _parameter, _kind, _empty)


def expand(host: Host, content: str) -> str:
    """Environment strings of the system account; an unknown one stays as it is."""
    known = {
        "systemroot": host.windows_directory,
        "windir": host.windows_directory,
        "systemdrive": "C:",
        "programdata": "C:\\ProgramData",
        "programfiles": "C:\\Program Files",
        "computername": host.name,
    }
    return re.sub(r"%([^%]+)%", lambda found: known.get(found[1].lower(), found[0]), content)
