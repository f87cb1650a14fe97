# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The declaration of a class, as CIM in XML, for a client that asks for types: what Get-CimClass uses.

The WMI plug-in of WinRM lists the resource among those it answers Get for (its PlugInConfiguration, Windows Server 2012
and later); selectors and options are those of Microsoft's own client in the tests of OMI (tests of GetClass in
github.com/microsoft/omi); the form is DSP0201's, as a recorded answer of Windows has it.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping

from . import soap
from .schema import Class, Element, Method, Parameter, Property
from .soap import node
from .switches import declare

__all__ = ["FIRST_BUILD", "URI", "declaration", "named"]

URI = "http://schemas.dmtf.org/wbem/cim-xml/2/cim-schema/2/*"
FIRST_BUILD = 9200

declare(
    "wire.class_schema",
    {
        "windows": "the declaration of a class can be had from Windows Server 2012 on",
        "absent": "the resource is not there, as on older Windows",
    },
    open_question="which Windows answers a Get of the CIM schema; older ones list no such resource",
    page="the plug-in configuration of WinRM",
)


def named(request: soap.Request) -> tuple[str, str] | None:
    """(namespace, class) whose declaration a request asks for; None for another resource."""
    if request.resource_uri != URI:
        return None
    namespace, name = request.selector("__cimnamespace"), request.selector("ClassName")
    return (namespace if isinstance(namespace, str) else "root/cimv2", name if isinstance(name, str) else "")


def declaration(cls: Class, build: int, options: Mapping[str, str]) -> ET.Element:
    """The CLASS element; qualifiers only where the option asks for them."""
    qualified = options.get("IncludeQualifiers", "").lower() == "true"
    element = node("CLASS", attributes={"NAME": cls.name})
    if cls.bases:
        element.attrib.update({"SUPERCLASS": cls.bases[0], "DERIVATION": ",".join(cls.bases)})
    if qualified:
        element.extend(_flags({"Association": cls.association, "Singleton": cls.singleton}))
    element.extend(_property(each, build, qualified) for each in cls.properties)
    element.extend(_method(each, qualified) for each in cls.methods)
    return element


def _property(declared: Property, build: int, qualified: bool) -> ET.Element:
    element = _typed("PROPERTY", declared)
    if qualified:
        writable = declared.writable_since <= build
        element.extend([*_embedded(declared), *_flags({"key": declared.key, "read": True, "write": writable})])
    return element


def _method(declared: Method, qualified: bool) -> ET.Element:
    element = node("METHOD", attributes={"NAME": declared.name})
    if declared.returns is not None:
        element.set("TYPE", declared.returns)
    if qualified:
        element.extend(_flags({"static": declared.static, "Implemented": declared.implemented}))
    element.extend(_parameter(each, qualified) for each in declared.parameters)
    return element


def _parameter(declared: Parameter, qualified: bool) -> ET.Element:
    element = _typed("PARAMETER", declared)
    if qualified:
        element.extend([*_embedded(declared), *_flags({"in": declared.is_in, "out": declared.is_out})])
    return element


def _typed(kind: str, declared: Element) -> ET.Element:
    if declared.type == "reference":
        tag = "PARAMETER.REFARRAY" if declared.array else f"{kind}.REFERENCE"
        return node(tag, attributes={"NAME": declared.name, "REFERENCECLASS": declared.of or ""})
    tag = f"{kind}.ARRAY" if declared.array else kind
    return node(tag, attributes={"NAME": declared.name, "TYPE": declared.type})


def _embedded(declared: Element) -> Iterable[ET.Element]:
    if declared.embedded and declared.of:
        yield _qualifier("EmbeddedInstance", "string", declared.of)
    elif declared.embedded:
        yield _qualifier("EmbeddedObject", "boolean", "TRUE")


def _flags(flags: dict[str, bool]) -> Iterable[ET.Element]:
    return (_qualifier(name, "boolean", "TRUE") for name, value in flags.items() if value)


def _qualifier(name: str, kind: str, value: str) -> ET.Element:
    element = node("QUALIFIER", attributes={"NAME": name, "TYPE": kind})
    element.append(node("VALUE", value))
    return element
