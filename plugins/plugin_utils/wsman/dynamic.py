# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Classes that only a task names: their declaration, and values as plain JSON. For this collection only.

A host declares its classes as CIM in XML (DSP0201) under a resource of their own, which is what Get-CimClass reads: the
plug-in of WMI in the configuration of WinRM lists it from Windows Server 2012 on. Where there is none, the user's types
and the YAML types decide, and what fits two types is refused.
"""

from __future__ import annotations

import datetime
import difflib
import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import FieldnotesError, MalformedAnswer, Refusal, WsmanFault
from . import envelope
from .bindings import WMI, resource_uri
from .cim import Cim, Exchange, Item
from .envelope import Request
from .faults import WBEM_E_INVALID_CLASS, WBEM_E_INVALID_NAMESPACE, WBEM_E_NOT_FOUND, is_access_denied
from .types import (
    CimType,
    Reference,
    Scalar,
    cim_type,
    decode,
    decode_interval,
    decode_moment,
    decode_reference,
    encode,
    encode_interval,
    interval,
    moment,
    real32,
    real64,
    scalar_text,
    selector_text,
    sint8,
    sint16,
    sint32,
    sint64,
    uint8,
    uint16,
    uint32,
    uint64,
)
from .types import boolean as _boolean
from .types import char16 as _char16
from .types import reference as _reference
from .types import string as _string
from .xml import TYPE, child, children, is_nil, local_name

SCHEMA = "http://schemas.dmtf.org/wbem/cim-xml/2/cim-schema/2/*"
"""The resource of class declarations; selectors name the namespace and the class."""

_SCALARS: dict[str, CimType] = {
    name: cim_type(annotation)
    for name, annotation in {
        "uint8": uint8,
        "uint16": uint16,
        "uint32": uint32,
        "uint64": uint64,
        "sint8": sint8,
        "sint16": sint16,
        "sint32": sint32,
        "sint64": sint64,
        "real32": real32,
        "real64": real64,
        "boolean": _boolean,
        "string": _string,
        "char16": _char16,
        "datetime": moment,
        "interval": interval,
        "reference": _reference,
    }.items()
}
_ARRAYS = {name: replace(scalar, array=True) for name, scalar in _SCALARS.items()}
TYPES = tuple(_SCALARS)
"""Names of types that a user may write, each also with ``[]``; any other name is that of a class."""


def _cim_type(name: str, array: bool) -> CimType:
    return (_ARRAYS if array else _SCALARS)[name]


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


# Declarations


class UnknownClass(FieldnotesError):
    """The host has no such class, or no such namespace."""


@dataclass(frozen=True)
class Member:
    """A property or parameter. type: a name of ``TYPES``, or empty for an embedded instance; of: its class, if told."""

    name: str
    type: str
    array: bool = False
    of: str = ""
    key: bool = False
    is_in: bool = True
    is_out: bool = False

    @property
    def shown(self) -> str:
        """The type as a user writes it."""
        return (self.type or self.of or "instance") + ("[]" if self.array else "")


@dataclass(frozen=True)
class MethodDeclaration:
    """A method. returns: type of the return value, empty for none."""

    name: str
    returns: str
    static: bool
    parameters: Mapping[str, Member]


@dataclass(frozen=True)
class Declaration:
    """A class as the host declares it; members by lower-case name."""

    name: str
    properties: Mapping[str, Member]
    methods: Mapping[str, MethodDeclaration] = field(default_factory=dict)

    @property
    def keys(self) -> list[Member]:
        """The key properties."""
        return [each for each in self.properties.values() if each.key]


def declaration(element: ET.Element) -> Declaration:
    """A class from its CLASS element. Errors: MalformedAnswer."""
    if local_name(element) != "CLASS":
        raise MalformedAnswer(f"a class declaration was expected, {local_name(element)} came")
    properties, methods = {}, {}
    for one in element:
        if local_name(one).startswith("PROPERTY"):
            properties[one.get("NAME", "").lower()] = _member(one)
        elif local_name(one) == "METHOD":
            methods[one.get("NAME", "").lower()] = _method(one)
    return Declaration(element.get("NAME", ""), properties, methods)


def _method(element: ET.Element) -> MethodDeclaration:
    parameters = [_member(one) for one in element if local_name(one).startswith("PARAMETER")]
    static = _qualifier(element, "static").lower() == "true"
    by_name = {each.name.lower(): each for each in parameters}
    return MethodDeclaration(element.get("NAME", ""), element.get("TYPE", ""), static, by_name)


def _member(element: ET.Element) -> Member:
    kind, name = local_name(element), element.get("NAME", "")
    is_out = _qualifier(element, "out").lower() == "true"
    # In where it says so, and where it says neither.
    is_in = _qualifier(element, "in").lower() == "true" or not is_out
    array = kind.endswith((".ARRAY", ".REFARRAY"))
    if kind.endswith((".REFERENCE", ".REFARRAY")):
        return Member(name, "reference", array, element.get("REFERENCECLASS", ""), _is_key(element), is_in, is_out)
    of = _qualifier(element, "EmbeddedInstance")
    written = _qualifier(element, "CIMTYPE").lower()
    if of or _qualifier(element, "EmbeddedObject").lower() == "true" or written.startswith("object"):
        return Member(name, "", array, of or written.partition(":")[2], False, is_in, is_out)
    kind_of_value = element.get("TYPE", "string").lower()
    if kind_of_value not in _SCALARS:
        raise MalformedAnswer(f"the host declares {name} with the type {kind_of_value}, which CIM does not have")
    return Member(name, kind_of_value, array, "", _is_key(element), is_in, is_out)


def _is_key(element: ET.Element) -> bool:
    return _qualifier(element, "key").lower() == "true"


def _qualifier(element: ET.Element, name: str) -> str:
    for one in children(element, "QUALIFIER"):
        if one.get("NAME", "").lower() == name.lower():
            value = child(one, "VALUE")
            return (value.text or "").strip() if value is not None else "true"
    return ""


class Declarations:
    """The declarations of a host, each asked for once; None where the host does not tell."""

    def __init__(self, session: Exchange, *, ask: bool = True) -> None:
        self._session = session
        self._known: dict[tuple[str, str], Declaration | None] = {}
        self._silent = not ask
        self.untold: list[str] = []
        """Classes whose declaration the host did not give."""

    def of(self, namespace: str, name: str) -> Declaration | None:
        """Errors: UnknownClass for a class or namespace that does not exist; WsmanFault without the right to read."""
        key = (namespace.lower(), name.lower())
        if key not in self._known:
            self._known[key] = None if self._silent else self._read(namespace, name)
        return self._known[key]

    def told(self, namespace: str, name: str) -> Declaration | None:
        """The same for a class that the host itself named; None also where it is declared elsewhere."""
        try:
            return self.of(namespace, name)
        except UnknownClass:
            return None

    def _read(self, namespace: str, name: str) -> Declaration | None:
        request = Request(
            envelope.GET,
            SCHEMA,
            (("__cimnamespace", namespace), ("ClassName", name)),
            options=(("IncludeInheritedElements", "true"), ("IncludeQualifiers", "true")),
        )
        try:
            body = self._session.exchange(request, f"reading the declaration of {name}")
        except WsmanFault as fault:
            if fault.number in (WBEM_E_NOT_FOUND, WBEM_E_INVALID_CLASS):
                raise UnknownClass(f"{namespace} has no class {name} on this host") from fault
            if fault.number == WBEM_E_INVALID_NAMESPACE:
                raise UnknownClass(
                    f"this host has no namespace {namespace}: the feature that brings it is not installed, or the name "
                    "is misspelt"
                ) from fault
            if is_access_denied(fault):
                raise
            # Windows before Server 2012 does not have the resource; a declaration may be larger than an answer may be.
            self._silent = True
            self.untold.append(name)
            return None
        if len(body) != 1:
            raise MalformedAnswer(f"reading the declaration of {name}: the answer holds {len(body)} elements")
        return declaration(body[0])


# Types that a user writes


def parsed_type(name: str, written: str) -> Member:
    """``uint32``, ``string[]``, ``datetime``, ``Win32_ProcessStartup``. Errors: Refusal."""
    text = written.strip()
    array = text.endswith("[]")
    base = text.removesuffix("[]").strip()
    if base.lower() in _SCALARS:
        return Member(name, base.lower(), array)
    if not _NAME.fullmatch(base):
        raise Refusal("types", f"types: {written!r} of {name} is neither a CIM type ({', '.join(TYPES)}) nor a class")
    if base.lower() in ("int", "integer", "str", "bool", "float", "list", "dict", "text", "object"):
        raise Refusal("types", f"types: {written!r} of {name} is no CIM type; these are: {', '.join(TYPES)}")
    return Member(name, "", array, base)


@dataclass(frozen=True)
class Types:
    """What decides the type of a member: what the user wrote, then what the host declares.

    given: by lower-case name; declared: None where the host does not tell; where: for messages.
    """

    given: Mapping[str, Member]
    declared: Mapping[str, Member] | None
    where: str

    @classmethod
    def written(cls, types: Mapping[str, Any], where: str) -> Types:
        """From the option ``types``. Errors: Refusal."""
        return cls({name.lower(): parsed_type(name, str(text)) for name, text in types.items()}, None, where)

    def with_declared(self, declared: Mapping[str, Member] | None, where: str = "") -> Types:
        """The same, and what the host declares."""
        return replace(self, declared=declared, where=where or self.where)

    def member(self, name: str) -> Member | None:
        """None where nobody tells its type. Errors: Refusal for a name that the class does not have."""
        declared = None if self.declared is None else self.declared.get(name.lower())
        given = self.given.get(name.lower())
        if self.declared is not None and declared is None:
            near = difflib.get_close_matches(name.lower(), list(self.declared), n=3)
            hint = f"; near: {', '.join(self.declared[each].name for each in near)}" if near else ""
            raise Refusal("name", f"{self.where} has no {name}{hint}")
        if given is None or declared is None:
            return given or declared
        if not _agree(given, declared):
            raise Refusal("types", f"types: {name} of {self.where} is a {declared.shown}, not a {given.shown}")
        return replace(given, name=declared.name, key=declared.key)

    def known(self, name: str) -> Member | None:
        """The same for a name that the host itself said."""
        return (self.declared or {}).get(name.lower()) or self.given.get(name.lower())


def _agree(given: Member, declared: Member) -> bool:
    """Whether the user says no more than the host leaves open: the class of an instance, the kind of time."""
    if given.array != declared.array:
        return False
    if not declared.type:
        return not given.type and declared.of.lower() in ("", given.of.lower())
    return given.type == declared.type or (given.type, declared.type) == ("interval", "datetime")


# Values from the host, as plain JSON


@dataclass(frozen=True)
class Reader:
    """Elements as plain JSON, typed as far as types are known.

    A datetime is ISO 8601 UTC, an interval an ISO 8601 duration, a reference a dict of namespace, class and keys, an
    embedded instance a dict of its properties.
    """

    declarations: Declarations
    namespace: str

    def properties(self, element: ET.Element, types: Types) -> dict[str, Any]:
        """All properties of an instance under the names that the host gives. Errors: MalformedAnswer."""
        grouped: dict[str, list[ET.Element]] = {}
        for one in element:
            grouped.setdefault(local_name(one), []).append(one)
        return {name: self.value(elements, types.known(name), name) for name, elements in grouped.items()}

    def value(self, elements: Sequence[ET.Element], member: Member | None, name: str) -> Any:
        """A value, typed where the member is known. Errors: MalformedAnswer."""
        present = [one for one in elements if not is_nil(one)]
        if member is None:
            values = [self._untyped(one) for one in present]
            return values if len(values) > 1 else values[0] if values else None
        if not member.type:
            instances = [self._embedded(one, member.of) for one in present]
            return instances if member.array else instances[0] if instances else None
        # A datetime property holds a time or an interval; only the value shows which.
        kind = member.type
        if kind == "datetime" and present and _is_interval(present[0]):
            kind = "interval"
        decoded = decode(present, _cim_type(kind, member.array), name)
        if member.array:
            return [as_json(each) for each in decoded or ()]
        return as_json(decoded)

    def _untyped(self, element: ET.Element) -> Any:
        try:
            return self._guessed(element)
        except ValueError as error:
            raise MalformedAnswer(f"property {local_name(element)}: {error}") from error

    def _guessed(self, element: ET.Element) -> Any:
        if child(element, "ReferenceParameters") is not None or child(element, "EndpointReference") is not None:
            return as_json(decode_reference(element))
        wrapper = next((one for one in element if local_name(one) in ("Datetime", "Date", "CIM_DateTime")), None)
        if wrapper is not None:
            return as_json(decode_moment((wrapper.text or "").strip()))
        if child(element, "Interval") is not None:
            return as_json(decode_interval(scalar_text(element).strip()))
        return self._embedded(element, "") if len(element) else element.text or ""

    def _embedded(self, element: ET.Element, of: str) -> dict[str, Any]:
        name = (element.get(TYPE) or "").rpartition(":")[2].removesuffix("_Type") or of
        declared = self.declarations.told(self.namespace, name) if name else None
        types = Types({}, declared.properties if declared is not None else None, name)
        return self.properties(element, types)


def _is_interval(element: ET.Element) -> bool:
    text = scalar_text(element).strip()
    return child(element, "Interval") is not None or text.endswith(":000") or text.lstrip("-").startswith("P")


def as_json(value: Any) -> Any:
    """A decoded value as Ansible can return it."""
    if isinstance(value, float) and not math.isfinite(value):
        # JSON has no such numbers; XML Schema's names for them.
        return "NaN" if math.isnan(value) else "INF" if value > 0 else "-INF"
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, datetime.timedelta):
        return encode_interval(value)
    if isinstance(value, Reference):
        return reference_json(value)
    return value


def reference_json(value: Reference) -> dict[str, Any]:
    """Namespace, class and keys; the keys as their text."""
    path = value.resource_uri.removeprefix(f"{WMI}/")
    namespace, _slash, name = path.rpartition("/")
    return {"namespace": namespace, "class": name, "keys": value.keys}


# Values from the user, for the host


class _Embedded:
    """Stands where a bound class would: writes an embedded instance from a dict."""

    def __init__(self, writer: Writer, name: str) -> None:
        self._writer = writer
        self._name = name

    def encode_object(self, element: ET.Element, instance: Mapping[str, tuple[Any, CimType]]) -> None:
        """Fills the element with the members, which are typed already."""
        uri = resource_uri(self._writer.namespace, self._name)
        element.set("xmlns:emb", uri)
        element.set(TYPE, f"emb:{self._name}_Type")
        for name, (value, wanted) in instance.items():
            if value is not None:
                encode(element, f"{{{uri}}}{name}", value, wanted)


@dataclass(frozen=True)
class Writer:
    """Values of a task as typed values for the wire; what fits two types is refused."""

    declarations: Declarations
    namespace: str

    def typed(self, given: Mapping[str, Any], types: Types) -> dict[str, tuple[Any, CimType]]:
        """Each value with its type, under the name that the class has for it. Errors: Refusal."""
        result: dict[str, tuple[Any, CimType]] = {}
        for name, value in given.items():
            member = types.member(name)
            result[member.name if member is not None else name] = self.value(name, value, member)
        return result

    def value(self, name: str, value: Any, member: Member | None) -> tuple[Any, CimType]:
        """A value and the type in which it travels. Errors: Refusal."""
        if member is None:
            return _guessed(name, value)
        if member.array != isinstance(value, list) and value is not None:
            what = "a list" if member.array else "one value"
            raise _unfit(name, value, member, f"it takes {what}")
        if not member.type:
            return self._embedded(name, value, member)
        wanted = _cim_type(member.type, member.array)
        if value is None:
            return None, wanted
        if member.type == "datetime" and _are_durations(value):
            wanted = _cim_type("interval", member.array)
        each = [_scalar(name, one, member, self.namespace) for one in (value if member.array else [value])]
        return (tuple(each) if member.array else each[0]), wanted

    def _embedded(self, name: str, value: Any, member: Member) -> tuple[Any, CimType]:
        of = member.of
        instances = []
        for one in value if member.array else [value]:
            if one is None:
                break
            if not isinstance(one, dict):
                raise _unfit(name, one, member, "it takes a mapping of properties")
            of = str(one.get("__class", of))
            if not of:
                raise _unfit(name, one, member, "the host does not say of which class: add the key __class")
            declared = self.declarations.of(self.namespace, of)
            types = Types({}, declared.properties if declared is not None else None, of)
            instances.append(self.typed({key: each for key, each in one.items() if key != "__class"}, types))
        holder: Any = type(of, (), {"__cim__": _Embedded(self, of)})
        wanted = CimType(Scalar("string"), dict, array=member.array, embedded=holder)
        return (tuple(instances) if member.array else instances[0] if instances else None), wanted


def _are_durations(value: Any) -> bool:
    return all(
        isinstance(one, str) and re.match(r"-?P|\d{14}\.\d{6}:", one)
        for one in (value if isinstance(value, list) else [value])
    )


def _unfit(name: str, value: Any, member: Member, why: str) -> Refusal:
    # The value itself may be a secret, so only its kind is told.
    return Refusal("value", f"{name} is a {member.shown}, and {_kind(value)} was given: {why}")


def _kind(value: Any) -> str:
    kinds = {
        bool: "a boolean",
        int: "a number",
        float: "a number with a fraction",
        str: "text",
        list: "a list",
        dict: "a mapping",
    }
    return kinds.get(type(value), "nothing")


def _scalar(name: str, value: Any, member: Member, namespace: str) -> Any:
    """One value as the Python value of its CIM type. Errors: Refusal."""
    kind = member.type
    try:
        if kind in ("string", "char16"):
            if not isinstance(value, str):
                raise _unfit(name, value, member, "put it in quotes")
            return value
        if kind == "boolean":
            return _truth(value)
        if kind.startswith(("uint", "sint")):
            return _integer(value, _SCALARS[kind].scalar)
        if kind.startswith("real"):
            if isinstance(value, bool) or not isinstance(value, (int, float, str)):
                raise ValueError("it takes a number")
            return float(value)
        if kind == "datetime":
            return decode_interval(value) if _are_durations(value) else _aware(value)
        if kind == "interval":
            return decode_interval(str(value))
        return _as_reference(value, namespace)
    except ValueError as error:
        raise _unfit(name, value, member, str(error)) from error


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    # What a template makes of a boolean is text.
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ValueError("it takes true or false")


def _integer(value: Any, scalar: Scalar) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError("it takes a whole number")
    text = str(value).strip()
    if not re.fullmatch(r"[+-]?\d+|0x[0-9a-fA-F]+", text):
        raise ValueError("it takes a whole number")
    number = int(text, 16) if text.startswith("0x") else int(text)
    if not scalar.low <= number <= scalar.high:
        raise ValueError(f"it takes {scalar.low} to {scalar.high}")
    return number


def _aware(value: Any) -> datetime.datetime:
    text = str(value).replace(" ", "T", 1)
    if not re.search(r"(Z|[+-]\d\d:\d\d|[+-]\d{3})$", text):
        raise ValueError("it takes a time with its zone, as 2025-01-31T08:15:00Z")
    try:
        return decode_moment(text)
    except ValueError as error:
        raise ValueError("it takes a time with its zone, as 2025-01-31T08:15:00Z") from error


def _as_reference(value: Any, namespace: str) -> Reference:
    if not isinstance(value, dict) or not isinstance(value.get("keys"), dict) or "class" not in value:
        raise ValueError("it takes a mapping of class, keys and (if it is another one) namespace")
    uri = resource_uri(str(value.get("namespace") or namespace), str(value["class"]))
    return Reference(uri, tuple((str(name), selector_text(each)) for name, each in value["keys"].items()))


_TIMELIKE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?|\d{14}\.[\d*]{6}[+:-]\d{3}|-?P(\d+D)?(T[\dHMS.]+)?")


def _guessed(name: str, value: Any) -> tuple[Any, CimType]:
    """A value whose type nobody tells, where all types that it fits are written alike. Errors: Refusal.

    Numbers and booleans are the same text for every CIM type that can hold them.
    """
    remedy = f"the host does not tell the type of {name}: say it in types, as {{{name}: TYPE}}"
    values = value if isinstance(value, list) else [value]
    texts = []
    for one in values:
        if isinstance(one, bool):
            texts.append("true" if one else "false")
        elif isinstance(one, int):
            texts.append(str(one))
        elif isinstance(one, str):
            if _TIMELIKE.fullmatch(one):
                raise Refusal("types", f"{name} may be a string or a datetime, which are written differently; {remedy}")
            texts.append(one)
        elif one is None and not isinstance(value, list):
            return None, _SCALARS["string"]
        else:
            raise Refusal("types", f"{_kind(one)} can mean several types; {remedy}")
    if isinstance(value, list):
        return tuple(texts), _ARRAYS["string"]
    return texts[0], _SCALARS["string"]


def json_of(value: Any, wanted: CimType) -> Any:
    """A typed value as the reader would show it, to compare both."""
    if isinstance(value, tuple):
        return [json_of(one, replace(wanted, array=False)) for one in value]
    if wanted.embedded is not None and value is not None:
        return {name: json_of(*each) for name, each in value.items()}
    return as_json(value)


def same(wanted: Any, found: Any) -> bool:
    """Whether a value that is there is the wanted one; null, absent and an empty list are the same to Windows.

    Of an embedded instance only the wanted properties count. Texts of an untyped value are compared as texts.
    """
    if wanted in (None, []) or found in (None, []):
        return wanted in (None, []) and found in (None, [])
    if isinstance(wanted, dict) and isinstance(found, dict):
        lowered = {name.lower(): value for name, value in found.items()}
        return all(same(value, lowered.get(name.lower())) for name, value in wanted.items())
    if isinstance(wanted, list):
        have = found if isinstance(found, list) else [found]
        return len(wanted) == len(have) and all(same(a, b) for a, b in zip(wanted, have, strict=True))
    return bool(wanted == found)


# Which instance


def keyed(writer: Writer, name: str, keys: Mapping[str, Any], types: Types, declared: Declaration | None) -> Reference:
    """The reference of the instance with these keys; none for the only instance of a class. Errors: Refusal."""
    if declared is not None and keys:
        known = {each.name.lower() for each in declared.keys}
        wrong = [key for key in keys if known and key.lower() not in known]
        missing = sorted(known - {key.lower() for key in keys})
        if wrong or missing:
            shown = ", ".join(f"{each.name} ({each.shown})" for each in declared.keys)
            raise Refusal("keys", f"the keys of {name} are {shown}: give each of them and no other, or use filter")
    typed = writer.typed(keys, types)
    if any(wanted.python is Reference for value, wanted in typed.values()):
        raise Refusal("keys", f"a key of {name} is a reference: name the instance by filter")
    selectors = tuple((key, selector_text(value)) for key, (value, wanted) in typed.items())
    return Reference(resource_uri(writer.namespace, name), selectors)


def filtered(cim: Cim, namespace: str, name: str, condition: str) -> Item | None:
    """The instance that a WQL condition selects, with the host's own reference. Errors: Refusal for more than one."""
    wql = f"SELECT * FROM {name} WHERE {condition}"
    found = cim.enumerate(namespace, wql, f"looking for {name}", references=True, page=2)
    try:
        first, second = next(found, None), next(found, None)
    finally:
        found.close()
    if second is not None:
        raise Refusal("filter", f"filter selects more than one instance of {name}: it must select exactly one")
    return first


def required_name(option: str, text: str) -> str:
    """A class, property or method name as it may stand in a request. Errors: Refusal."""
    if not _NAME.fullmatch(text):
        raise Refusal(option, f"{option}: {text!r} is not the name of a class or of a member")
    return text


# Queries


_FROM = re.compile(r"\bFROM\s+([A-Za-z_][A-Za-z0-9_]*)", re.IGNORECASE)


def class_in(wql: str) -> str:
    """The class that a WQL SELECT asks; empty for other queries."""
    found = _FROM.search(re.sub(r"'(\\.|[^'\\])*'|\"(\\.|[^\"\\])*\"", "''", wql))
    return found[1] if found and wql.lstrip().upper().startswith("SELECT") else ""


def typed_items(
    cim: Cim, reader: Reader, wql: str, types: Types, *, references: bool, page: int
) -> Generator[tuple[dict[str, Any], Reference | None], None, None]:
    """The instances of a query, typed, one page of the host at a time; closing it early releases the enumeration.

    Types come from the declaration of each instance's own class, which may derive from the one that is asked.
    """
    asked = class_in(wql)
    typed: dict[str, Types] = {}
    found = cim.enumerate(reader.namespace, wql, f"querying {asked or 'instances'}", references=references, page=page)
    try:
        for item in found:
            name = local_name(item.element)
            of = asked if name == "XmlFragment" else name
            if of not in typed:
                typed[of] = _typed_as(reader, types, of, asked)
            yield reader.properties(item.element, typed[of]), item.reference
    finally:
        found.close()


def _typed_as(reader: Reader, types: Types, name: str, asked: str) -> Types:
    if not name:
        return types
    ask = reader.declarations.of if name == asked else reader.declarations.told
    declared = ask(reader.namespace, name)
    return types.with_declared(declared.properties if declared is not None else None, name)
