# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""SOAP envelopes of CIM operations. For this collection only.

pypsrp's WSMan builds envelopes too, but has no place for the fragment header; these go through its transport.
"""

from __future__ import annotations

import re
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..errors import MalformedAnswer, Unsendable
from .xml import ADDRESSING, CIM_COMMON, ENUMERATION, SOAP, TRANSFER, WSMAN, WSMV, XML, XSI, child, parse, text_of

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


def new_id() -> str:
    """A MessageID."""
    return f"uuid:{str(uuid.uuid4()).upper()}"


def build(request: Request, to: str, max_envelope_size: int, operation_timeout: int, message_id: str) -> bytes:
    """The envelope as bytes. to: endpoint URL; max_envelope_size: bytes; operation_timeout: seconds.

    Errors: Unsendable.
    """
    envelope = ET.Element(f"{{{SOAP}}}Envelope")
    header = ET.SubElement(envelope, f"{{{SOAP}}}Header")
    ET.SubElement(header, f"{{{ADDRESSING}}}Action", {_UNDERSTAND: "true"}).text = request.action
    ET.SubElement(header, f"{{{ADDRESSING}}}To").text = to
    ET.SubElement(header, f"{{{ADDRESSING}}}MessageID").text = message_id
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
    return sendable(message)


# Control characters, surrogates (which ElementTree writes as references), U+FFFE and U+FFFF: no XML 1.0 holds them.
_NO_XML = re.compile(
    rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|&#5(?:529[6-9]|5[3-9]\d\d|6\d\d\d|7[0-2]\d\d|73[0-3]\d|734[0-3]);|\xef\xbf[\xbe\xbf]"
)


def sendable(message: bytes) -> bytes:
    """A message as ElementTree wrote it, as every XML parser reads it. Errors: Unsendable."""
    if found := _NO_XML.search(message):
        shown = f"U+{found[0][0]:04X}" if len(found[0]) == 1 else "U+D800 to U+DFFF, U+FFFE or U+FFFF"
        raise Unsendable(f"character {shown} cannot be sent in XML")
    # A parser reads a bare carriage return as a line feed (XML 1.0, 2.11), so that a text would not arrive as it was.
    return message.replace(b"\r", b"&#13;")


def opened(answer: bytes | str, message_id: str) -> ET.Element:
    """The envelope of the answer to a message. Errors: MalformedAnswer, for the answer to another message as well."""
    root = parse(answer)
    body = child(root, "Body")
    if root.tag != f"{{{SOAP}}}Envelope" or body is None:
        raise MalformedAnswer(f"the answer is no SOAP 1.2 envelope but {root.tag}")
    related = text_of(child(root, "Header", "RelatesTo"))
    # A server that could not read the request cannot name it in its fault.
    if related.lower() != message_id.lower() and (related or child(body, "Fault") is None):
        raise MalformedAnswer(f"the answer is one to another message ({related or 'it names none'})")
    return root


def body_of(answer: bytes | str, message_id: str) -> ET.Element:
    """The SOAP body of the answer to a message. Errors: those of ``opened``."""
    root = opened(answer, message_id)
    body = child(root, "Body")
    return root if body is None else body
