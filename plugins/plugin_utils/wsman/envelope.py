# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""SOAP envelopes of CIM operations. For this collection only.

pypsrp's WSMan builds envelopes too, but has no place for the fragment header; these go through its transport.
"""

from __future__ import annotations

import uuid
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..errors import MalformedAnswer
from .xml import ADDRESSING, CIM_COMMON, ENUMERATION, SOAP, TRANSFER, WSMAN, WSMV, XML, XSI, child, parse

GET = f"{TRANSFER}/Get"
PUT = f"{TRANSFER}/Put"
CREATE = f"{TRANSFER}/Create"
DELETE = f"{TRANSFER}/Delete"
ENUMERATE = f"{ENUMERATION}/Enumerate"
PULL = f"{ENUMERATION}/Pull"
RELEASE = f"{ENUMERATION}/Release"

_ANONYMOUS = f"{ADDRESSING}/role/anonymous"
_UNDERSTAND = f"{{{SOAP}}}mustUnderstand"

for _prefix, _uri in {
    "s": SOAP,
    "a": ADDRESSING,
    "n": ENUMERATION,
    "w": WSMAN,
    "v": WSMV,
    "cim": CIM_COMMON,
    "xsi": XSI,
}.items():
    ET.register_namespace(_prefix, _uri)


@dataclass(frozen=True)
class Request:
    """One CIM operation.

    action: WS-Addressing action; resource_uri, selectors: what it is about; body: content of the SOAP body;
    fragment: XPath level 1 expression of a fragment transfer (DSP0226 section 7.7); options: names and texts of an
    OptionSet, all of them booleans.
    """

    action: str
    resource_uri: str
    selectors: tuple[tuple[str, str], ...] = ()
    body: Sequence[ET.Element] = field(default_factory=tuple)
    fragment: str | None = None
    options: tuple[tuple[str, str], ...] = ()


def build(request: Request, to: str, max_envelope_size: int, operation_timeout: int) -> bytes:
    """The envelope as bytes. to: endpoint URL; max_envelope_size: bytes; operation_timeout: seconds."""
    envelope = ET.Element(f"{{{SOAP}}}Envelope")
    header = ET.SubElement(envelope, f"{{{SOAP}}}Header")
    ET.SubElement(header, f"{{{ADDRESSING}}}Action", {_UNDERSTAND: "true"}).text = request.action
    ET.SubElement(header, f"{{{ADDRESSING}}}To").text = to
    ET.SubElement(header, f"{{{ADDRESSING}}}MessageID").text = f"uuid:{uuid.uuid4()}".upper().replace("UUID", "uuid")
    reply_to = ET.SubElement(header, f"{{{ADDRESSING}}}ReplyTo")
    ET.SubElement(reply_to, f"{{{ADDRESSING}}}Address", {_UNDERSTAND: "true"}).text = _ANONYMOUS
    ET.SubElement(header, f"{{{WSMAN}}}ResourceURI", {_UNDERSTAND: "true"}).text = request.resource_uri
    ET.SubElement(header, f"{{{WSMAN}}}MaxEnvelopeSize", {_UNDERSTAND: "true"}).text = str(max_envelope_size)
    ET.SubElement(header, f"{{{WSMAN}}}OperationTimeout").text = f"PT{operation_timeout}S"
    ET.SubElement(header, f"{{{WSMAN}}}Locale", {_UNDERSTAND: "false", f"{{{XML}}}lang": "en-US"})
    if request.selectors:
        selector_set = ET.SubElement(header, f"{{{WSMAN}}}SelectorSet")
        for name, text in request.selectors:
            ET.SubElement(selector_set, f"{{{WSMAN}}}Selector", Name=name).text = text
    if request.options:
        option_set = ET.SubElement(header, f"{{{WSMAN}}}OptionSet")
        for name, text in request.options:
            ET.SubElement(option_set, f"{{{WSMAN}}}Option", Name=name, Type="xs:boolean").text = text
    if request.fragment is not None:
        ET.SubElement(header, f"{{{WSMAN}}}FragmentTransfer", {_UNDERSTAND: "true"}).text = request.fragment
    body = ET.SubElement(envelope, f"{{{SOAP}}}Body")
    body.extend(request.body)
    message: bytes = ET.tostring(envelope, encoding="utf-8")
    return message


def body_of(answer: bytes) -> ET.Element:
    """The SOAP body of an answer. Errors: MalformedAnswer."""
    root = parse(answer)
    body = child(root, "Body")
    if root.tag != f"{{{SOAP}}}Envelope" or body is None:
        raise MalformedAnswer(f"the answer is no SOAP 1.2 envelope but {root.tag}")
    return body
