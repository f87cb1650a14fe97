# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CIM values as Python values and as the XML that Windows (or a server like OMI) makes of them.

Python values: str, bool, int, float, aware datetime, timedelta (interval), list, Reference, Embedded, None for null.
Sources: DMTF DSP0230 and DSP0004, MS-WSMV, recorded answers.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

from . import soap
from .providers import Embedded, Instance, Reference
from .schema import Class, Element
from .soap import CIM, NIL, TYPE, XSI, local, node, qname

__all__ = ["Codec", "Form", "class_uri", "compare_key", "dmtf", "parse_datetime", "parse_uri", "parse_value"]

WMI = "http://schemas.microsoft.com/wbem/wsman/1/wmi/"
CIM_SCHEMA = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"

_RANGES = {
    f"{sign}int{bits}": (0 if sign == "u" else -(1 << bits - 1), (1 << bits - (sign != "u")) - 1)
    for sign in ("u", "s")
    for bits in (8, 16, 32, 64)
}


def class_uri(namespace: str, name: str) -> str:
    """The resource URI of a class."""
    return f"{WMI}{namespace.replace(chr(92), '/').strip('/')}/{name}"


def parse_uri(uri: str, cim_namespace: str | None = None) -> tuple[str, str] | None:
    """(namespace, class) of a resource URI of WMI; None for another resource.

    `cim_namespace` is the selector __cimnamespace that a URI of the CIM schema goes with.
    """
    if uri.lower().startswith(WMI):
        namespace, _, name = uri[len(WMI) :].rpartition("/")
        return namespace, name
    if uri.lower().startswith(CIM_SCHEMA):
        return cim_namespace or "root/cimv2", uri[len(CIM_SCHEMA) :]
    return None


# --- dates -------------------------------------------------------------------------------------------------------

_DMTF = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)\.(\d{1,6}|\*{6}|\d*\**)([+-]\d{3}|[+-]\*{3})$")
_DMTF_INTERVAL = re.compile(r"(\d{8})(\d\d)(\d\d)(\d\d)\.(\d{6}):000$")
_ISO = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d+))?\s*(Z|[+-]\d\d:?\d\d)?)?$", re.IGNORECASE)


def parse_datetime(text: str) -> datetime | timedelta:
    """A CIM datetime in the DMTF form (25 characters), as ISO 8601 or as xs:duration. Raises ValueError."""
    text = text.strip()
    if found := _DMTF_INTERVAL.match(text):
        days, hours, minutes, seconds, micro = (int(part) for part in found.groups())
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, microseconds=micro)
    if found := _DMTF.match(text):
        year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
        micro = int(found[7].replace("*", "0").ljust(6, "0") or 0)
        offset = 0 if "*" in found[8] else int(found[8])
        zone = timezone(timedelta(minutes=offset)) if offset else timezone.utc
        return datetime(year, month, day, hour, minute, second, micro, zone)
    if found := _ISO.match(text):
        clock = time.fromisoformat(found[2]) if found[2] else time()
        zone = _zone(found[4])
        micro = int((found[3] or "0")[:6].ljust(6, "0"))
        return datetime.combine(date.fromisoformat(found[1]), clock, zone).replace(microsecond=micro)
    if text.lstrip("-").startswith("P"):
        return timedelta(seconds=soap.duration(text))
    raise ValueError(f"not a datetime: {text!r}")


def _zone(text: str | None) -> timezone:
    if text is None or text in "Zz":
        return timezone.utc
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes)) if minutes else timezone.utc


def dmtf(value: datetime | timedelta) -> str:
    """The 25 characters of the DMTF form."""
    if isinstance(value, timedelta):
        hours, rest = divmod(value.seconds, 3600)
        return f"{value.days:08d}{hours:02d}{rest // 60:02d}{rest % 60:02d}.{value.microseconds:06d}:000"
    offset = int((value.utcoffset() or timedelta()).total_seconds() // 60)
    return f"{value:%Y%m%d%H%M%S}.{value.microsecond:06d}{offset:+04d}"


def _iso(value: datetime, digits: int) -> str:
    """As Windows writes it: trailing zeros of the fraction are left out (a seventh digit shows the full fraction)."""
    fraction = f"{value.microsecond:06d}0"[:digits]
    if digits < 7:
        fraction = fraction.rstrip("0")
    offset = int((value.utcoffset() or timedelta()).total_seconds() // 60)
    zone = f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02d}:{abs(offset) % 60:02d}" if offset else "Z"
    return f"{value:%Y-%m-%dT%H:%M:%S}{'.' if fraction else ''}{fraction}{zone}"


def _duration(value: timedelta) -> str:
    hours, rest = divmod(value.seconds, 3600)
    fraction = f".{value.microseconds:06d}".rstrip("0").rstrip(".")
    return f"P{value.days}DT{hours}H{rest // 60}M{rest % 60}{fraction}S"


# --- scalars -----------------------------------------------------------------------------------------------------


def parse_value(text: str, kind: str) -> Any:
    """The value of a CIM type from its text. Raises ValueError."""
    if kind == "string" or kind == "char16":
        return text
    text = text.strip()
    if kind == "boolean":
        lowered = text.lower()
        if lowered in ("true", "1"):
            return True
        if lowered in ("false", "0"):
            return False
        raise ValueError(f"not a boolean: {text!r}")
    if kind in _RANGES:
        number = int(text, 16) if text.lower().startswith("0x") else int(text)
        return _in_range(number, kind)
    if kind in ("real32", "real64"):
        return float(text)
    if kind == "datetime":
        return parse_datetime(text)
    raise ValueError(f"a value of type {kind} cannot be text")


def _in_range(number: int, kind: str) -> int:
    low, high = _RANGES[kind]
    if not low <= number <= high:
        raise ValueError(f"{number} is out of the range of {kind}")
    return number


def compare_key(value: Any) -> Any:
    """What two key values are compared by: text without regard to case."""
    if isinstance(value, str):
        return value.lower()
    if isinstance(value, Reference):
        keys = tuple(sorted((name.lower(), compare_key(each)) for name, each in value.keys.items()))
        return (value.cls.lower(), keys)
    return value


# --- XML ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Form:
    """How a server writes XML. `omi` stands for servers like OMI and openwsman."""

    omi: bool = False
    digits: int = 6
    null_absent: bool = False

    def uri(self, namespace: str, name: str) -> str:
        return CIM_SCHEMA + name if self.omi else class_uri(namespace, name)


class Refused(ValueError):
    """A value or a member of a request that the schema does not have; `member` says which."""

    def __init__(self, member: str, why: str, *, unknown: bool = False) -> None:
        super().__init__(f"{member}: {why}")
        self.member = member
        self.unknown = unknown


@dataclass(frozen=True)
class Codec:
    """Values of classes of one namespace on one host. `find` gives the class with the members this host has."""

    namespace: str
    find: Callable[[str], Class | None]
    form: Form = Form()

    # writing

    def instance(self, cls: Class, values: Instance, *, only: Iterable[str] | None = None) -> ET.Element:
        """The element of an instance, all properties or `only` those."""
        uri = self.form.uri(self.namespace, cls.name)
        element = node(qname(uri, cls.name))
        element.attrib.update({"xmlns:xsi": XSI, "xmlns:p": uri, "xmlns:cim": CIM, TYPE: f"p:{cls.name}_Type"})
        wanted = None if only is None else {name.lower() for name in only}
        self._properties(element, uri, cls, values, wanted)
        return element

    def listed(self, cls: Class, values: Instance, *, only: Iterable[str] | None = None) -> ET.Element:
        """The same as it stands in an enumeration, where lazy properties are null."""
        return self.instance(cls, _eager(cls, values), only=only)

    def fragment(self, cls: Class, values: Instance, names: Iterable[str]) -> ET.Element:
        """The XmlFragment that answers a SELECT of named properties: no namespace, no class name."""
        element = node(qname(soap.W, "XmlFragment"), attributes={"xmlns:xsi": XSI, "xmlns:w": soap.W})
        wanted = {name.lower() for name in names}
        self._properties(element, "", cls, _eager(cls, values), wanted)
        return element

    def outputs(self, method_name: str, cls: Class, elements: Sequence[Element], values: Instance) -> ET.Element:
        """The Method_OUTPUT element; `elements` are the out parameters and the return value."""
        uri = self.form.uri(self.namespace, cls.name)
        name = f"{method_name}_OUTPUT"
        element = node(qname(uri, name))
        element.attrib.update({"xmlns:xsi": XSI, "xmlns:p": uri, "xmlns:cim": CIM, TYPE: f"p:{name}_Type"})
        known = {each.name.lower() for each in elements}
        for given in values:
            if given.lower() not in known:
                raise LookupError(f"{cls.name}.{method_name} has no output {given}: a provider invented it")
        for each in elements:
            for child in self.member(each, uri, values.get(each.name)):
                element.append(child)
        return element

    def _properties(self, parent: ET.Element, uri: str, cls: Class, values: Instance, wanted: set[str] | None) -> None:
        given = {name.lower(): value for name, value in values.items()}
        for each in cls.properties:
            if wanted is None or each.name.lower() in wanted:
                parent.extend(self.member(each, uri, given.get(each.name.lower())))
        if cls.open:
            known = {each.name.lower() for each in cls.properties}
            for name, value in values.items():
                if name.lower() not in known and (wanted is None or name.lower() in wanted):
                    parent.extend(self.member(_of_value(name, value), uri, value))

    def member(self, element: Element, uri: str, value: Any) -> list[ET.Element]:
        """The elements of one property or parameter: one, one per element of an array, none for a null left out.

        The recorded servers leave out every array that is null or empty; only scalars are nil.
        """
        tag = _tag(uri, element.name)
        if value is None or (element.array and not value):
            absent = element.array or self.form.null_absent or self.form.omi
            return [] if absent else [node(tag, attributes={NIL: "true"})]
        if element.array != isinstance(value, list | tuple):
            raise TypeError(f"{element.name} is {'an' if element.array else 'no'} array, a provider gave {value!r}")
        return [self._scalar(element, tag, uri, each) for each in (value if element.array else [value])]

    def _scalar(self, element: Element, tag: str, uri: str, value: Any) -> ET.Element:
        if isinstance(value, Embedded):
            return self._embedded(tag, uri, value)
        if isinstance(value, Reference):
            return _bare(self.endpoint(value, tag)) if not uri else self.endpoint(value, tag)
        if element.type == "datetime" and isinstance(value, datetime | timedelta):
            result = node(tag)
            result.append(self._datetime(uri, value))
            return result
        return node(tag, self.text(element, value))

    def text(self, element: Element, value: Any) -> str:
        """The text of a scalar. Raises TypeError or ValueError where a provider's value does not fit the schema."""
        kind = element.type
        if isinstance(value, bool) and kind == "boolean":
            return ("TRUE" if value else "FALSE") if self.form.omi else ("true" if value else "false")
        if isinstance(value, int) and not isinstance(value, bool) and kind in _RANGES:
            return str(_in_range(value, kind))
        if isinstance(value, int | float) and not isinstance(value, bool) and kind in ("real32", "real64"):
            return repr(float(value))
        if isinstance(value, str) and kind in ("string", "char16"):
            return value
        raise TypeError(f"{element.name} is of type {kind}, a provider gave {value!r}")

    def _datetime(self, uri: str, value: datetime | timedelta) -> ET.Element:
        namespace = CIM if uri else ""
        if isinstance(value, timedelta):
            return node(_tag(namespace, "Interval"), _duration(value))
        if self.form.omi:
            return node(_tag(namespace, "CIM_DateTime"), dmtf(value))
        return node(_tag(namespace, "Datetime"), _iso(value, self.form.digits))

    def _embedded(self, tag: str, uri: str, value: Embedded) -> ET.Element:
        cls = self.find(value.cls)
        if cls is None:
            raise LookupError(f"no class {value.cls} in {self.namespace}: a provider embedded it")
        inner = self.form.uri(value.namespace or self.namespace, cls.name)
        element = node(tag, attributes={"xmlns:p": inner, TYPE: f"p:{cls.name}_Type"})
        if uri:
            # The element's own tag is in the outer namespace; a prefix of its own keeps both apart.
            del element.attrib["xmlns:p"]
            element.attrib.update({"xmlns:q": inner, TYPE: f"q:{cls.name}_Type"})
        self._properties(element, inner if uri else "", cls, value.values, None)
        return element

    def endpoint(self, reference: Reference, tag: str = qname(soap.A, "EndpointReference")) -> ET.Element:
        """A reference as Address and ReferenceParameters in an element of that name."""
        return soap.endpoint(self.to_wire(reference), tag)

    def to_wire(self, reference: Reference) -> soap.Reference:
        uri = self.form.uri(reference.namespace, reference.cls)
        return soap.Reference(uri, self.selectors(reference.keys))

    def selectors(self, keys: Mapping[str, Any]) -> dict[str, soap.Selector]:
        """Key values as selectors."""
        return {name: self._selector(value) for name, value in keys.items()}

    def _selector(self, value: Any) -> soap.Selector:
        if isinstance(value, Reference):
            return self.to_wire(value)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, datetime | timedelta):
            return dmtf(value)
        return str(value)

    # reading

    def reference(self, wire: soap.Reference) -> Reference:
        """The CIM reference of an endpoint reference. Raises Refused."""
        cim_namespace = next(
            (value for name, value in wire.selectors.items() if name.lower() == "__cimnamespace"), self.namespace
        )
        found = parse_uri(wire.resource_uri, cim_namespace if isinstance(cim_namespace, str) else None)
        if found is None:
            raise Refused(wire.resource_uri, "not the resource URI of a class")
        namespace, name = found
        cls = self.find(name)
        return Reference(namespace, cls.name if cls else name, self.keys(cls, wire.selectors))

    def keys(self, cls: Class | None, selectors: Mapping[str, soap.Selector]) -> Instance:
        """Selectors as typed key values, named as in the schema. Raises Refused."""
        keys: Instance = {}
        for name, value in selectors.items():
            if name.lower() == "__cimnamespace":
                continue
            key = cls.property(name) if cls is not None else None
            # A class whose keys are not documented takes any property.
            if cls is not None and (key is None or not (key.key or not cls.keys)) and not cls.open:
                raise Refused(name, f"no key of {cls.name}", unknown=True)
            if isinstance(value, soap.Reference):
                keys[key.name if key else name] = self.reference(value)
            elif key is None or key.type == "reference":
                keys[key.name if key else name] = value
            else:
                try:
                    keys[key.name] = parse_value(value, key.type)
                except ValueError as error:
                    raise Refused(name, str(error)) from error
        return keys

    def read(self, parent: ET.Element, members: Callable[[str], Element | None], *, allow_unknown: bool) -> Instance:
        """The values of the child elements by the names of the schema; null ones are there as None. Raises Refused."""
        grouped: dict[str, list[ET.Element]] = {}
        for child in parent:
            grouped.setdefault(local(child).lower(), []).append(child)
        values: Instance = {}
        for children in grouped.values():
            name = local(children[0])
            element = members(name)
            if element is not None:
                values[element.name] = self.value(element, children)
            elif allow_unknown:
                texts = [child.text or "" for child in children]
                values[name] = texts[0] if len(texts) == 1 else texts
            else:
                raise Refused(name, "not in the schema", unknown=True)
        return values

    def value(self, element: Element, children: Sequence[ET.Element]) -> Any:
        """The value of a property or parameter from its elements. Raises Refused."""
        present = [child for child in children if (child.get(NIL) or "").strip() not in ("true", "1")]
        if not present:
            return None
        if not element.array and len(present) > 1:
            raise Refused(element.name, "more than one value")
        try:
            found = [self._read_scalar(element, child) for child in present]
        except ValueError as error:
            raise error if isinstance(error, Refused) else Refused(element.name, str(error)) from error
        return found if element.array else found[0]

    def _read_scalar(self, element: Element, child: ET.Element) -> Any:
        if element.type == "reference" or (len(child) and child.find(qname(soap.A, "ReferenceParameters")) is not None):
            inner = child.find(qname(soap.A, "EndpointReference"))
            return self.reference(soap.parse_reference(inner if inner is not None else child))
        if element.embedded:
            return self._read_embedded(element, child)
        if element.type == "datetime":
            return parse_datetime("".join(child.itertext()))
        if len(child):
            raise Refused(element.name, "elements where a value of a simple type belongs")
        return parse_value(child.text or "", element.type)

    def _read_embedded(self, element: Element, child: ET.Element) -> Any:
        declared = (child.get(TYPE) or "").rpartition(":")[2].removesuffix("_Type")
        if not len(child) and not declared:
            return child.text or ""  # an instance as text, which a string parameter may hold
        inner = child
        if not declared and len(child) == 1 and (child[0].get(TYPE) or "").endswith("_Type"):
            inner = child[0]
            declared = local(inner)
        name = declared or element.of
        cls = self.find(name) if name else None
        if cls is None:
            raise Refused(element.name, f"no class {name}", unknown=True)
        values = self.read(inner, cls.property, allow_unknown=cls.open)
        return Embedded(cls.name, values, self.namespace)


def _eager(cls: Class, values: Instance) -> Instance:
    lazy = {each.name for each in cls.properties if each.lazy}
    return {name: value for name, value in values.items() if name not in lazy}


def _of_value(name: str, value: Any) -> Element:
    """The declaration a member of a class that is not wholly known would have, by its value."""
    array = isinstance(value, list | tuple)
    sample = value[0] if array and value else value
    for python, kind in ((bool, "boolean"), (int, "sint64" if not array else "uint8"), (float, "real64")):
        if isinstance(sample, python):
            return Element(name, kind, array, False, None, (), 0, 0)
    return Element(
        name, "datetime" if isinstance(sample, datetime | timedelta) else "string", array, False, None, (), 0, 0
    )


def _tag(namespace: str, name: str) -> str:
    return qname(namespace, name) if namespace else name


def _bare(element: ET.Element) -> ET.Element:
    """The element and all below it without namespaces, as everything in a fragment is."""
    for each in element.iter():
        each.tag = local(each)
    return element
