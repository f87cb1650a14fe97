# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""XML from a host, which is untrusted: no entities, no DTD; matched by local name. For this collection only."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator

from ..errors import MalformedAnswer

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
WSMV = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"
WSMAN_FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
CIM_COMMON = "http://schemas.dmtf.org/wbem/wscim/1/common"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
XML = "http://www.w3.org/XML/1998/namespace"

NIL = f"{{{XSI}}}nil"
TYPE = f"{{{XSI}}}type"

MAX_ELEMENTS = 500_000
"""Elements of one document at most, and attributes: their memory is many times that of their text."""
MAX_DEPTH = 100
"""Elements inside each other at most; Windows sends about twenty where objects hold objects."""


class _NoDoctype(ET.TreeBuilder):
    """Refuses a document type declaration, and with it every entity that is not built into XML."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise MalformedAnswer("the answer has a document type declaration, which WS-Management does not allow")


def parse(document: bytes | str, depth: int = MAX_DEPTH) -> ET.Element:
    """The root element of an XML document; of a text, whatever encoding its declaration names. Errors: MalformedAnswer.

    depth: elements inside each other at most. What is returned may be walked by recursion.
    """
    less, equals = ("<", "=") if isinstance(document, str) else (b"<", b"=")
    # Each element has at most two of the one, each attribute one of the other (base64 text has two at its end).
    if max(document.count(less), document.count(equals)) > 2 * MAX_ELEMENTS:  # type: ignore[arg-type]
        raise MalformedAnswer(f"the answer has more than {MAX_ELEMENTS} elements")
    try:
        root = ET.fromstring(document, parser=ET.XMLParser(target=_NoDoctype()))
    except (ET.ParseError, ValueError, LookupError) as error:
        raise MalformedAnswer(f"the answer is not well-formed XML: {error}") from error
    level = [root]
    for _deeper in range(depth):
        level = [each for parent in level for each in parent]
    if level:
        raise MalformedAnswer(f"the answer has elements nested deeper than {depth}")
    return root


def local_name(element: ET.Element) -> str:
    """The tag without its namespace."""
    return element.tag.rpartition("}")[2]


def namespace_of(element: ET.Element) -> str:
    """The namespace of the tag, or an empty string."""
    return element.tag[1:].partition("}")[0] if element.tag.startswith("{") else ""


def child(parent: ET.Element | None, *path: str) -> ET.Element | None:
    """The first descendant along local names, or None."""
    for name in path:
        if parent is None:
            return None
        parent = next((e for e in parent if local_name(e) == name), None)
    return parent


def children(parent: ET.Element, name: str) -> Iterator[ET.Element]:
    """The direct children with this local name."""
    return (e for e in parent if local_name(e) == name)


def text_of(element: ET.Element | None) -> str:
    """The text of an element without surrounding white space; empty for a missing one."""
    return (element.text or "").strip() if element is not None else ""


def is_nil(element: ET.Element) -> bool:
    """Whether ``xsi:nil`` says that the value is null."""
    value = element.get(NIL)
    return value is not None and value.strip().lower() in ("true", "1")
