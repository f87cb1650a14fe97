# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PowerShell's objects: from CLIXML to plain Python for providers, and from what they put out to CLIXML.

MS-PSRP 2.2.5 (serialization). Objects are flattened to text below the first level, as a remote session does.
"""

from __future__ import annotations

import datetime
import enum
import functools
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psrpcore.types as ps
from psrpcore.types import _serializer

from ..providers import EnumValue, ErrorRecord, PSObject

__all__ = ["Credential", "PSObject", "Secret", "Wait"]

OBJECT = "System.Object"
CUSTOM_OBJECT = "System.Management.Automation.PSCustomObject"
DESERIALIZED = "Deserialized."
COR_E_SYSTEM = -2146233087  # 0x80131501, the HResult of most of PowerShell's own exceptions


def _duration(value: datetime.timedelta) -> str:
    """A TimeSpan as .NET writes xs:duration: parts that are zero are left out, all of them make PT0S."""
    sign, value = ("-", -value) if value < datetime.timedelta(0) else ("", value)
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{value.microseconds:06}".rstrip("0") if value.microseconds else ""
    parts = [(hours, f"{hours}H"), (minutes, f"{minutes}M"), (seconds or fraction, f"{seconds}{fraction}S")]
    time = "".join(text for count, text in parts if count)
    day = f"{value.days}D" if value.days else ""
    return f"{sign}P{day}{'T' + time if time else '' if day else 'T0S'}"


# psrpcore 0.3 strips the zeros of whole seconds with those of the fraction: 20 s travel as 2 s.
_serializer._serialize_duration = _duration


class Secret(str):
    """The text of a SecureString. It is a str for the provider and hides itself from every representation."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret()"


@dataclass(frozen=True)
class Credential:
    """A PSCredential."""

    username: str
    password: Secret = field(repr=False)


@dataclass(frozen=True)
class Wait:
    """A cmdlet yields it between outputs: nothing happens for `seconds` of the fleet's clock."""

    seconds: float


def plain(value: Any) -> Any:
    """A deserialized value as the Python value that binding and providers work with."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, ps.PSSecureString):
        return Secret(str(value.decrypt()))
    if isinstance(value, ps.PSCredential):
        return Credential(str(value.UserName), plain(value.Password))
    if isinstance(value, enum.Enum):
        return EnumValue(value.PSObject.type_names[0], value.name, int(value.value))  # type: ignore[attr-defined]
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, ps.PSVersion):
        return str(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, datetime.datetime):
        return datetime.datetime(
            *(value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond),
            tzinfo=value.tzinfo,
        )
    if isinstance(value, datetime.timedelta):
        return datetime.timedelta(days=value.days, seconds=value.seconds, microseconds=value.microseconds)
    if isinstance(value, uuid.UUID):
        return uuid.UUID(int=value.int)
    if isinstance(value, dict):
        return {plain(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, ps.PSObject):
        meta = value.PSObject
        return PSObject(
            types=tuple(name for name in meta.type_names if name not in (OBJECT, DESERIALIZED + OBJECT)),
            properties={entry.name: plain(entry.get_value(value)) for entry in meta.adapted_properties},
            notes={entry.name: plain(entry.get_value(value)) for entry in meta.extended_properties},
            text=meta.to_string,
        )
    return value


def is_live(value: object) -> bool:
    """An object of this session, not a property bag that came over the wire."""
    return isinstance(value, PSObject) and bool(value.types) and not value.types[0].startswith(DESERIALIZED)


def type_names(value: object) -> tuple[str, ...]:
    return value.types if isinstance(value, PSObject) else ()


def members(value: object) -> dict[str, Any]:
    """Properties of an object, notes over .NET properties, by their names."""
    if isinstance(value, PSObject):
        return {**value.properties, **value.notes}
    if isinstance(value, str):
        return {"Length": len(value)}
    if isinstance(value, dict):
        return {str(key): entry for key, entry in value.items()}
    return {}


def properties(value: object) -> dict[str, Any]:
    """The same by lower-case names, for matching."""
    return {name.lower(): entry for name, entry in members(value).items()}


def text(value: object) -> str:
    """PowerShell's conversion to text (invariant culture)."""
    if value is None:
        return ""
    if isinstance(value, EnumValue):
        return value.name
    if isinstance(value, PSObject):
        return value.text if value.text is not None else next(iter(value.types), CUSTOM_OBJECT)
    if isinstance(value, (list, tuple)):
        return " ".join(text(entry) for entry in value)
    if isinstance(value, datetime.datetime):
        return value.strftime("%m/%d/%Y %H:%M:%S")
    if isinstance(value, datetime.timedelta):
        hours, rest = divmod(value.seconds, 3600)
        days = f"{value.days}." if value.days else ""
        return f"{days}{hours:02}:{rest // 60:02}:{rest % 60:02}"
    if isinstance(value, bytes):
        return " ".join(str(byte) for byte in value)
    if isinstance(value, dict):
        return "System.Collections.Hashtable"
    if isinstance(value, Secret):
        return "System.Security.SecureString"
    if isinstance(value, Credential):
        return "System.Management.Automation.PSCredential"
    return str(value)


def wire(value: Any, depth: int = 1) -> Any:
    """What psrpcore serializes for a value. Below `depth`, objects and enumerations are text."""
    if value is None or isinstance(value, (bool, ps.PSObject)):
        return value
    if isinstance(value, EnumValue):
        return _enumeration(value.type, value.name, value.value) if depth > 0 else value.name
    if isinstance(value, PSObject):
        return _object(value, depth) if depth > 0 else text(value)
    if isinstance(value, Secret):
        return ps.PSSecureString(str.__str__(value))
    if isinstance(value, Credential):
        return ps.PSCredential(UserName=value.username, Password=wire(value.password))
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return ps.PSDouble(value)
    if isinstance(value, (bytes, bytearray)):
        return ps.PSByteArray(bytes(value))
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc) if value.tzinfo else value
    if isinstance(value, (list, tuple)):
        array = ps.PSList([wire(entry, depth - 1) for entry in value])
        array.PSObject.type_names = ["System.Object[]", "System.Array", OBJECT]
        return array
    if isinstance(value, Mapping):
        table = ps.PSDict({wire(key, depth - 1): wire(entry, depth - 1) for key, entry in value.items()})
        table.PSObject.type_names = ["System.Collections.Hashtable", OBJECT]
        return table
    return value


def _integer(value: int) -> Any:
    """Python has one integer; .NET's smallest from Int32 up that holds the value stands for it."""
    kinds: tuple[tuple[type, int, int], ...] = (
        (ps.PSInt, -(2**31), 2**31),
        (ps.PSUInt, 0, 2**32),
        (ps.PSInt64, -(2**63), 2**63),
        (ps.PSUInt64, 0, 2**64),
    )
    return next(kind(value) for kind, low, high in kinds if low <= value < high)


def _object(value: PSObject, depth: int) -> Any:
    result = ps.PSObject()
    meta = result.PSObject
    meta.type_names = [*value.types, OBJECT]
    meta.adapted_properties = _notes(value.properties, depth)
    meta.extended_properties = _notes(value.notes, depth)
    if value.text is not None:
        meta.to_string = value.text
    return result


def _notes(values: Mapping[str, Any], depth: int) -> list[ps.PSPropertyInfo]:
    return [ps.PSNoteProperty(name, wire(value, depth - 1)) for name, value in values.items()]


@functools.cache
def _enumeration(type_name: str, name: str, value: int) -> Any:
    """A value of a .NET enumeration at top level: its type chain, its name as ToString and its number."""
    bases = (ps.PSEnumBase,)
    namespace = type(ps.PSEnumBase).__prepare__("Enumeration", bases)
    namespace[name] = value  # type: ignore[index]
    kind: Any = type(ps.PSEnumBase)("Enumeration", bases, namespace)  # type: ignore[misc]
    return ps.PSType([type_name], rehydrate=False)(kind)[name]


class _Category(ps.ErrorCategoryInfo):
    """ErrorCategoryInfo with the text Windows gives it."""

    def __str__(self) -> str:
        target = f"{self.TargetName or ''}:{self.TargetType or ''}"
        return f"{self.Category.name}: ({target}) [{self.Activity or ''}], {self.Reason or ''}"


def error(record: ErrorRecord, command: str, source: str, line: Any | None) -> ps.ErrorRecord:
    """The error record of a command. `source` follows the comma of the id unless the id has one already."""
    exception = ps.NETException(
        Message=record.message, HResult=COR_E_SYSTEM if record.hresult is None else _signed(record.hresult)
    )
    exception.PSObject.type_names = [name for name in record.exception if name != OBJECT] + [OBJECT]
    exception.PSObject.to_string = f"{record.exception[0]}: {record.message}"
    target = record.target
    result = ps.ErrorRecord(
        Exception=exception,
        CategoryInfo=_Category(
            Category=ps.ErrorCategory(record.category),
            Activity=record.activity or command,
            Reason=record.reason or record.exception[0].rsplit(".", 1)[-1],
            TargetName=record.target_name or text(target),
            TargetType=record.target_type or _target_type(target),
        ),
        TargetObject=wire(target),
        FullyQualifiedErrorId=record.error_id
        if "," in record.error_id or not source
        else f"{record.error_id},{source}",
        InvocationInfo=line,
    )
    result.serialize_extended_info = line is not None
    return result


def _target_type(target: object) -> str:
    if isinstance(target, str):
        return "String"
    return next(iter(type_names(target)), "").rsplit(".", 1)[-1]


def _signed(number: int) -> int:
    return number - 2**32 if number >= 2**31 else number
