# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CIM types as Python annotations, and their form on the wire. For this collection only.

Forms: DMTF DSP0230 (CIM to WS-Management XML) and what Windows sends: numbers as decimal text, uint64 included;
booleans as ``true`` and ``false``; datetimes as a child ``cim:Datetime``, intervals as ``cim:Interval``.
"""

from __future__ import annotations

import base64
import datetime
import re
import types as _types
import typing
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Union

from ..errors import MalformedAnswer, Unsendable
from .xml import ADDRESSING, CIM_COMMON, WSMAN, child, children, is_nil, local_name, text_of


@dataclass(frozen=True)
class Scalar:
    """A CIM scalar type. name: as MOF spells it; low, high: range of an integer type, both inclusive."""

    name: str
    low: int = 0
    high: int = 0


@dataclass(frozen=True)
class Reference:
    """An endpoint reference: what names one instance (DSP0226). selectors: key property to its text."""

    resource_uri: str
    selectors: tuple[tuple[str, str], ...] = ()

    @property
    def keys(self) -> dict[str, str]:
        """The selectors as a dict."""
        return dict(self.selectors)


uint8 = Annotated[int, Scalar("uint8", 0, 2**8 - 1)]
uint16 = Annotated[int, Scalar("uint16", 0, 2**16 - 1)]
uint32 = Annotated[int, Scalar("uint32", 0, 2**32 - 1)]
uint64 = Annotated[int, Scalar("uint64", 0, 2**64 - 1)]
sint8 = Annotated[int, Scalar("sint8", -(2**7), 2**7 - 1)]
sint16 = Annotated[int, Scalar("sint16", -(2**15), 2**15 - 1)]
sint32 = Annotated[int, Scalar("sint32", -(2**31), 2**31 - 1)]
sint64 = Annotated[int, Scalar("sint64", -(2**63), 2**63 - 1)]
real32 = Annotated[float, Scalar("real32")]
real64 = Annotated[float, Scalar("real64")]
boolean = Annotated[bool, Scalar("boolean")]
string = Annotated[str, Scalar("string")]
char16 = Annotated[str, Scalar("char16")]
moment = Annotated[datetime.datetime, Scalar("datetime")]
interval = Annotated[datetime.timedelta, Scalar("datetime")]
reference = Annotated[Reference, Scalar("reference")]

_PLAIN: dict[type, Scalar] = {
    str: Scalar("string"),
    bool: Scalar("boolean"),
    datetime.datetime: Scalar("datetime"),
    datetime.timedelta: Scalar("datetime"),
    Reference: Scalar("reference"),
}


@dataclass(frozen=True)
class CimType:
    """What an annotation says: a scalar or a bound class, one or an array, null allowed or not."""

    scalar: Scalar
    python: type
    array: bool = False
    nullable: bool = False
    embedded: type | None = None


def cim_type(annotation: Any) -> CimType:
    """Reads an annotation: ``uint32``, ``str | None``, ``tuple[uint16, ...]``, a bound class. Errors: TypeError."""
    origin = typing.get_origin(annotation)
    if origin in (Union, getattr(_types, "UnionType", Union)):
        inner = [a for a in typing.get_args(annotation) if a is not _types.NoneType]
        if len(inner) != 1 or len(typing.get_args(annotation)) != 2:
            raise TypeError(f"{annotation}: a CIM type is one type, or one type and None")
        found = cim_type(inner[0])
        return CimType(found.scalar, found.python, found.array, True, found.embedded)
    if origin is tuple:
        arguments = typing.get_args(annotation)
        if len(arguments) != 2 or arguments[1] is not Ellipsis:
            raise TypeError(f"{annotation}: an array is tuple[type, ...]")
        found = cim_type(arguments[0])
        return CimType(found.scalar, found.python, True, found.nullable, found.embedded)
    if hasattr(annotation, "__metadata__"):
        scalar = next((m for m in annotation.__metadata__ if isinstance(m, Scalar)), None)
        if scalar is not None:
            return CimType(scalar, annotation.__origin__)
    if isinstance(annotation, type):
        if annotation in _PLAIN:
            return CimType(_PLAIN[annotation], annotation)
        if hasattr(annotation, "__cim__"):
            return CimType(Scalar("string"), annotation, embedded=annotation)
    raise TypeError(f"{annotation!r} is not a CIM type")


# Python's own int() takes more: digits of every script, underscores, and numbers of any length at any cost.
_INTEGER = re.compile(r"[+-]?(?:(0[xX])0*[0-9a-fA-F]{1,16}|0*[0-9]{1,20})")


def decode_integer(text: str, scalar: Scalar) -> int:
    """Decimal, or hexadecimal with 0x; a signed reading of an unsigned number is brought back (-1 is 4294967295).

    Errors: ValueError.
    """
    if not (found := _INTEGER.fullmatch(text)):
        raise ValueError(f"{text[:40]!r} is not a {scalar.name}")
    number = int(text, 16) if found[1] else int(text)
    if scalar.low == 0 and number < 0 and number >= -(scalar.high + 1) // 2:
        number += scalar.high + 1
    if not scalar.low <= number <= scalar.high:
        raise ValueError(f"{number} is outside {scalar.name}")
    return number


def decode_boolean(text: str) -> bool:
    """``true``/``false`` in any case, or ``1``/``0``."""
    lowered = text.lower()
    if lowered in ("true", "1"):
        return True
    if lowered in ("false", "0"):
        return False
    raise ValueError(f"{text[:40]!r} is not a boolean")


_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?",
    re.ASCII,
)
_DMTF = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)\.([\d*]{6})([+-])(\d{3})", re.ASCII)
_DMTF_INTERVAL = re.compile(r"(\d{8})(\d\d)(\d\d)(\d\d)\.([\d*]{6}):000", re.ASCII)
_DURATION = re.compile(
    r"(-)?P(?:(\d{1,8})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,12})(?:\.(\d+))?S)?)?",
    re.ASCII,
)


def _micro(digits: str | None) -> int:
    return int(((digits or "")[:6].replace("*", "0") + "000000")[:6])


def decode_moment(text: str) -> datetime.datetime:
    """An aware datetime from ISO 8601 (any number of fractional digits) or the 25-character DMTF form.

    Without a zone the time is UTC: that is how Windows writes ``cim:Datetime`` (MS-WSMV, and recordings).
    Errors: ValueError.
    """
    try:
        return _moment(text)
    except OverflowError as error:  # the first or last hours that Python knows, in another zone
        raise ValueError(f"{text[:40]!r} is not a CIM datetime") from error


def _moment(text: str) -> datetime.datetime:
    if found := _DMTF.fullmatch(text):
        year, month, day, hour, minute, second = (int(g) for g in found.groups()[:6])
        offset = datetime.timedelta(minutes=int(found[9]) * (1 if found[8] == "+" else -1))
        zone = datetime.timezone(offset)
        value = datetime.datetime(year, month, day, hour, minute, second, _micro(found[7]), zone)
        return value.astimezone(datetime.timezone.utc)
    if found := _ISO.fullmatch(text):
        year, month, day, hour, minute, second = (int(g or 0) for g in found.groups()[:6])
        zone = datetime.timezone.utc
        if found[8] and found[8] != "Z":
            hours, minutes = found[8][1:].split(":")
            offset = datetime.timedelta(hours=int(hours), minutes=int(minutes))
            zone = datetime.timezone(-offset if found[8][0] == "-" else offset)
        value = datetime.datetime(year, month, day, hour, minute, second, _micro(found[7]), zone)
        return value.astimezone(datetime.timezone.utc)
    raise ValueError(f"{text[:40]!r} is not a CIM datetime")


def decode_interval(text: str) -> datetime.timedelta:
    """A duration from ISO 8601 (``P1DT2H``) or the DMTF interval form. Errors: ValueError."""
    if found := _DMTF_INTERVAL.fullmatch(text):
        days, hours, minutes, seconds = (int(g) for g in found.groups()[:4])
        return datetime.timedelta(days, seconds, _micro(found[5]), minutes=minutes, hours=hours)
    if (found := _DURATION.fullmatch(text)) and text.lstrip("-") not in ("P", "PT"):
        days, hours, minutes, seconds = (int(g or 0) for g in found.groups()[1:5])
        value = datetime.timedelta(days, seconds, _micro(found[6]), minutes=minutes, hours=hours)
        return -value if found[1] else value
    raise ValueError(f"{text[:40]!r} is not a CIM interval")


def encode_moment(value: datetime.datetime) -> str:
    """ISO 8601 in UTC with microseconds where there are any. Errors: ValueError for a time without a zone."""
    if value.tzinfo is None:
        raise ValueError("a time without a zone is ambiguous")
    text = value.astimezone(datetime.timezone.utc).isoformat()
    return text.removesuffix("+00:00") + "Z"


def encode_interval(value: datetime.timedelta) -> str:
    """ISO 8601 duration with days, hours, minutes and seconds."""
    sign, value = ("-", -value) if value < datetime.timedelta(0) else ("", value)
    hours, rest = divmod(value.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    fraction = f".{value.microseconds:06d}".rstrip("0") if value.microseconds else ""
    return f"{sign}P{value.days}DT{hours}H{minutes}M{seconds}{fraction}S"


def encode_dmtf(value: datetime.datetime) -> str:
    """The 25-character DMTF form in UTC, as WQL literals want it."""
    if value.tzinfo is None:
        raise ValueError("a time without a zone is ambiguous")
    moment_utc = value.astimezone(datetime.timezone.utc)
    # strftime leaves a year before 1000 without its zeros on Linux.
    return f"{moment_utc.year:04d}" + moment_utc.strftime("%m%d%H%M%S.%f+000")


def decode_reference(element: ET.Element) -> Reference:
    """An endpoint reference: the element that holds ``Address`` and ``ReferenceParameters``, or its wrapper."""
    parameters = child(element, "ReferenceParameters")
    if parameters is None:
        parameters = child(element, "EndpointReference", "ReferenceParameters")
    if parameters is None:
        raise ValueError("an endpoint reference has no ReferenceParameters")
    selector_set = child(parameters, "SelectorSet")
    selectors = []
    for selector in children(selector_set, "Selector") if selector_set is not None else ():
        selectors.append((selector.get("Name", ""), selector.text or ""))
    return Reference(text_of(child(parameters, "ResourceURI")), tuple(selectors))


def encode_reference(parent: ET.Element, value: Reference) -> None:
    """Appends ``Address`` and ``ReferenceParameters`` to an element."""
    ET.SubElement(parent, f"{{{ADDRESSING}}}Address").text = f"{ADDRESSING}/role/anonymous"
    parameters = ET.SubElement(parent, f"{{{ADDRESSING}}}ReferenceParameters")
    ET.SubElement(parameters, f"{{{WSMAN}}}ResourceURI").text = value.resource_uri
    selector_set = ET.SubElement(parameters, f"{{{WSMAN}}}SelectorSet")
    for name, text in value.selectors:
        ET.SubElement(selector_set, f"{{{WSMAN}}}Selector", Name=name).text = text


_WRAPPERS = ("Datetime", "Date", "Time", "CIM_DateTime", "Interval")


def scalar_text(element: ET.Element) -> str:
    """The text of a value, taken out of a ``cim:Datetime``, ``cim:Interval`` or like wrapper where there is one."""
    for inner in element:
        if local_name(inner) in _WRAPPERS:
            return inner.text or ""
    return element.text or ""


def decode_scalar(element: ET.Element, wanted: CimType) -> Any:
    """One value of a type. Errors: ValueError."""
    text = scalar_text(element)
    name = wanted.scalar.name
    if wanted.python is str:
        return text
    if wanted.python is bool:
        return decode_boolean(text.strip())
    if wanted.python is int:
        return decode_integer(text.strip(), wanted.scalar)
    if wanted.python is float:
        return float(text)
    if wanted.python is datetime.datetime:
        return decode_moment(text.strip())
    if wanted.python is datetime.timedelta:
        return decode_interval(text.strip())
    if wanted.python is Reference:
        return decode_reference(element)
    raise TypeError(f"no way to read {name}")


def decode(elements: Sequence[ET.Element], wanted: CimType, name: str) -> Any:
    """The value of a property from all elements of its name; None for null, absent or (arrays) empty.

    Windows cannot tell an empty array from null: both are an element missing or nil. Errors: MalformedAnswer.
    """
    present = [e for e in elements if not is_nil(e)]
    try:
        if wanted.array and wanted.scalar.name == "uint8" and len(present) == 1 and _is_base64(present[0]):
            return tuple(base64.b64decode(text_of(present[0]), validate=True))
        values = [_decode_one(e, wanted) for e in present]
    except ValueError as error:
        raise MalformedAnswer(f"property {name}: {error}") from error
    if wanted.array:
        return tuple(values) if values else None
    if len(values) > 1:
        raise MalformedAnswer(f"property {name} has {len(values)} values and is no array")
    return values[0] if values else None


def _is_base64(element: ET.Element) -> bool:
    # WinRM writes uint8[] as repeated numbers; other servers may write xs:base64Binary in one element.
    return not text_of(element).isdigit() and bool(text_of(element))


def _decode_one(element: ET.Element, wanted: CimType) -> Any:
    if wanted.embedded is not None:
        return wanted.embedded.__cim__.decode_object(element)  # type: ignore[attr-defined]
    return decode_scalar(element, wanted)


def encode(parent: ET.Element, tag: str, value: Any, wanted: CimType) -> None:
    """Appends the element or elements of a value; an array is the element repeated. Errors: Unsendable."""
    for one in value if wanted.array else (value,):
        _encode_one(ET.SubElement(parent, tag), one, wanted)


def _encode_one(element: ET.Element, value: Any, wanted: CimType) -> None:
    if wanted.embedded is not None:
        wanted.embedded.__cim__.encode_object(element, value)  # type: ignore[attr-defined]
    elif wanted.python is bool:
        element.text = "true" if value else "false"
    elif wanted.python is int:
        if isinstance(value, bool) or not wanted.scalar.low <= int(value) <= wanted.scalar.high:
            raise Unsendable(f"{value} is outside {wanted.scalar.name}")
        element.text = str(int(value))
    elif wanted.python is float:
        element.text = repr(float(value))
    elif wanted.python is datetime.datetime:
        ET.SubElement(element, f"{{{CIM_COMMON}}}Datetime").text = encode_moment(value)
    elif wanted.python is datetime.timedelta:
        ET.SubElement(element, f"{{{CIM_COMMON}}}Interval").text = encode_interval(value)
    elif wanted.python is Reference:
        encode_reference(element, value)
    else:
        element.text = xml_text(str(value))


_NO_XML = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\ud800-\\udfff\\ufffe\\uffff]")


def xml_text(text: str) -> str:
    """The text itself where XML 1.0 can carry it (its production 2, Char). Errors: Unsendable."""
    if found := _NO_XML.search(text):
        raise Unsendable(f"character U+{ord(found[0]):04X} cannot be sent in XML")
    return text


def selector_text(value: Any) -> str:
    """A key value as the text of a selector."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.datetime):
        return encode_dmtf(value)
    return xml_text(str(value))
