# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""SOAP envelopes of WS-Management: requests read, answers and faults written the way Windows writes them.

Sources: DMTF DSP0226, MS-WSMV, and recorded answers of Windows servers for prefixes, order and shapes.
"""

from __future__ import annotations

import re
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

S = "http://www.w3.org/2003/05/soap-envelope"
A = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
W = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
N = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
X = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
P = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"
B = "http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd"
F = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
RSP = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
CIM = "http://schemas.dmtf.org/wbem/wscim/1/common"
WSMID = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"
XML = "http://www.w3.org/XML/1998/namespace"

FAULT_DETAIL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/"
ACTION_FAULT = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"
ACTION_ADDRESSING_FAULT = "http://schemas.xmlsoap.org/ws/2004/08/addressing/fault"
ANONYMOUS = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"

# Namespaces of the headers a server knows.
UNDERSTOOD = frozenset({A, W, P, RSP, N, X, S})

NIL = f"{{{XSI}}}nil"
TYPE = f"{{{XSI}}}type"

_PREFIXES = {
    S: "s", A: "a", W: "w", N: "n", X: "x", P: "p", B: "b", F: "f", RSP: "rsp", XSI: "xsi", CIM: "cim", WSMID: "wsmid",
    XML: "xml",
}  # fmt: skip
_ROOT = {"s": S, "a": A, "n": N, "w": W}


def local(element: ET.Element) -> str:
    """The local name of an element."""
    return element.tag.rpartition("}")[2]


def qname(namespace: str, name: str) -> str:
    return f"{{{namespace}}}{name}"


def node(tag: str, text: str | None = None, attributes: Mapping[str, str] | None = None) -> ET.Element:
    """A new element; tag in `{namespace}name` form."""
    element = ET.Element(tag, dict(attributes or {}))
    element.text = text
    return element


# --- reading -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reference:
    """An endpoint reference: the value of a reference property and of a selector that is one."""

    resource_uri: str
    selectors: Mapping[str, str | Reference]
    address: str = ANONYMOUS


Selector = str | Reference


@dataclass(frozen=True)
class Request:
    """One WS-Management request, its headers read, its body left as XML."""

    action: str
    resource_uri: str
    message_id: str
    to: str
    selectors: Mapping[str, Selector]
    options: Mapping[str, str]
    header: ET.Element
    body: ET.Element
    operation_timeout: float | None  # seconds
    max_envelope_size: int | None  # bytes
    fragment: str | None  # the expression of FragmentTransfer; None where the header is not there
    text: str = field(repr=False)

    def selector(self, name: str) -> Selector | None:
        """The selector of that name, whatever its case."""
        return next((value for key, value in self.selectors.items() if key.lower() == name.lower()), None)

    def option(self, name: str) -> str | None:
        """The option of that name, whatever its case."""
        return next((value for key, value in self.options.items() if key.lower() == name.lower()), None)

    @property
    def content(self) -> ET.Element | None:
        """The first element in the body."""
        return next(iter(self.body), None)


class _Tree(ET.TreeBuilder):
    def doctype(self, name: str, pubid: str, system: str) -> None:
        raise Fault(
            0x80338043, "w:SchemaValidationError", detail="InvalidXML", reason="A document type is not allowed."
        )


def parse_xml(data: bytes) -> ET.Element:
    """The root element of an XML document from the network; a document type declaration is refused, as are entities.

    Raises Fault.
    """
    parser = ET.XMLParser(target=_Tree())
    try:
        parser.feed(data)
        root = parser.close()
    except (ET.ParseError, ValueError, LookupError) as error:
        raise Fault(0x80338043, "w:SchemaValidationError", detail="InvalidXML", sender=True) from error
    assert isinstance(root, ET.Element)
    return root


_DURATION = re.compile(r"(-)?P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d*)?)S)?)?$")


def duration(text: str) -> float:
    """Seconds of an xs:duration without years and months. Raises ValueError."""
    match = _DURATION.match(text.strip())
    if not match or not any(match.groups()[1:]) or match[2] or match[3]:
        raise ValueError(f"not a duration: {text!r}")
    seconds = (
        float(match[4] or 0) * 86400 + float(match[5] or 0) * 3600 + float(match[6] or 0) * 60 + float(match[7] or 0)
    )
    return -seconds if match[1] else seconds


def parse(data: bytes) -> Request:
    """A request from the bytes of a body (UTF-8 or UTF-16). Raises Fault."""
    root = parse_xml(data)
    header, body = root.find(qname(S, "Header")), root.find(qname(S, "Body"))
    if root.tag != qname(S, "Envelope") or body is None:
        raise Fault(0x8033800D, "s:VersionMismatch", sender=True)
    header = header if header is not None else node(qname(S, "Header"))
    timeout = header.findtext(qname(W, "OperationTimeout"))
    size = header.findtext(qname(W, "MaxEnvelopeSize"))
    fragment = header.find(qname(W, "FragmentTransfer"))
    try:
        seconds = duration(timeout) if timeout is not None else None
        if seconds is not None and seconds <= 0:
            raise ValueError(timeout)
        limit = int(size) if size is not None else None
    except ValueError as error:
        raise Fault(0x8033800F, "a:InvalidMessageInformationHeader", addressing=True, sender=True) from error
    return Request(
        action=(header.findtext(qname(A, "Action")) or "").strip(),
        resource_uri=(header.findtext(qname(W, "ResourceURI")) or "").strip(),
        message_id=(header.findtext(qname(A, "MessageID")) or "").strip(),
        to=(header.findtext(qname(A, "To")) or "").strip(),
        selectors=parse_selectors(header.find(qname(W, "SelectorSet"))),
        options=_options(header.find(qname(W, "OptionSet"))),
        header=header,
        body=body,
        operation_timeout=seconds,
        max_envelope_size=limit,
        fragment=None if fragment is None else (fragment.text or "").strip(),
        text=as_text(data),
    )


def as_text(data: bytes) -> str:
    """The text of a message, UTF-8 or UTF-16 by its byte order mark."""
    return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", "replace")


def parse_selectors(selector_set: ET.Element | None) -> dict[str, Selector]:
    """The selectors of a SelectorSet. Raises Fault on a name given twice."""
    selectors: dict[str, Selector] = {}
    for selector in selector_set if selector_set is not None else ():
        name = selector.get("Name", "")
        if name.lower() in (known.lower() for known in selectors):
            raise Fault(0x8033805F, "w:InvalidSelectors", detail="DuplicateSelectors", sender=True)
        inner = selector.find(qname(A, "EndpointReference"))
        selectors[name] = parse_reference(inner) if inner is not None else (selector.text or "")
    return selectors


def parse_reference(element: ET.Element) -> Reference:
    """The endpoint reference whose Address and ReferenceParameters stand in the element."""
    parameters = element.find(qname(A, "ReferenceParameters"))
    uri = "" if parameters is None else (parameters.findtext(qname(W, "ResourceURI")) or "")
    selectors = None if parameters is None else parameters.find(qname(W, "SelectorSet"))
    return Reference(uri.strip(), parse_selectors(selectors), element.findtext(qname(A, "Address")) or ANONYMOUS)


def _options(option_set: ET.Element | None) -> dict[str, str]:
    return {option.get("Name", ""): option.text or "" for option in (option_set if option_set is not None else ())}


# --- writing -----------------------------------------------------------------------------------------------------

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_TEXT: dict[int, str] = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;", '"': "&quot;", "'": "&apos;"}
)
_ATTRIBUTE = {**_TEXT, **str.maketrans({"\n": "&#xA;", "\t": "&#x9;"})}


def _escape(text: str, table: dict[int, str]) -> str:
    return _FORBIDDEN.sub("\ufffd", text).translate(table)


def serialize(element: ET.Element, scope: Mapping[str, str] = _ROOT) -> str:
    """XML text with Windows' prefixes, each declared where it is first used.

    An element in a namespace without a usual prefix gets the prefix `p`, so that a QName such as `p:Class_Type` may be
    written for its xsi:type. An attribute named `xmlns:<prefix>` declares that prefix on the element.
    """
    pieces: list[str] = []
    _write(element, dict(scope), pieces)
    return "".join(pieces)


def _write(element: ET.Element, scope: dict[str, str], pieces: list[str]) -> None:
    declared = {key[6:]: value for key, value in element.attrib.items() if key.startswith("xmlns:")}

    def name(tag: str) -> str:
        namespace, brace, bare = tag.rpartition("}")
        if not brace:
            return tag
        namespace = namespace[1:]
        known = {**scope, **declared}
        prefix = _PREFIXES.get(namespace) or next((each for each in known if known[each] == namespace), "p")
        if prefix != "xml" and declared.get(prefix, scope.get(prefix)) != namespace:
            declared[prefix] = namespace
        return f"{prefix}:{bare}"

    tag = name(element.tag)
    attributes = []
    for key, value in element.attrib.items():
        if not key.startswith("xmlns:"):
            attributes.append(f' {name(key)}="{_escape(value, _ATTRIBUTE)}"')
    inner = {**scope, **declared} if declared else scope
    declarations = "".join(f' xmlns:{prefix}="{_escape(uri, _ATTRIBUTE)}"' for prefix, uri in declared.items())
    head = f"<{tag}{declarations}{''.join(attributes)}"
    if not len(element) and element.text is None:
        pieces.append(f"{head}/>")
        return
    pieces.append(f"{head}>{_escape(element.text or '', _TEXT)}")
    for child in element:
        _write(child, inner, pieces)
    pieces.append(f"</{tag}>")


def size(text: str) -> int:
    """Bytes of a text as Windows counts them against MaxEnvelopeSize: two per UTF-16 unit (the recorded answers of a
    server with 153600 bytes end below 76800 characters)."""
    return 2 * len(text) + 2 * sum(ord(character) > 0xFFFF for character in text)


def new_id() -> str:
    """A new message or context identifier as Windows writes it."""
    return f"uuid:{str(uuid.uuid4()).upper()}"


def envelope(
    action: str,
    body: ET.Element | Iterable[ET.Element] | None,
    relates_to: str,
    *,
    language: str | None = "en-US",
    activity: str | None = None,
    headers: Iterable[ET.Element] = (),
) -> bytes:
    """An answer. `body` is the s:Body element, or what stands in it; `activity` is the GUID of p:ActivityId.

    An answer without an action (to Identify) has an empty header, as has the one to a message without an identifier.
    """
    header = node(qname(S, "Header"))
    if action:
        header.append(node(qname(A, "Action"), action))
        header.append(node(qname(A, "MessageID"), new_id()))
        if activity is not None:
            header.append(node(qname(P, "ActivityId"), activity))
        header.append(node(qname(A, "To"), ANONYMOUS))
        if relates_to:
            header.append(node(qname(A, "RelatesTo"), relates_to))
    header.extend(headers)
    if not isinstance(body, ET.Element) or body.tag != qname(S, "Body"):
        content = [] if body is None else [body] if isinstance(body, ET.Element) else list(body)
        body = node(qname(S, "Body"))
        body.extend(content)
        body.text = None if content else ""
    root = node(qname(S, "Envelope"), attributes=None if language is None else {qname(XML, "lang"): language})
    root.attrib.update({f"xmlns:{prefix}": uri for prefix, uri in _ROOT.items()})
    root.extend([header, body])
    return serialize(root, {}).encode()


def selector_set(selectors: Mapping[str, Selector]) -> ET.Element:
    result = node(qname(W, "SelectorSet"))
    for name, value in selectors.items():
        selector = node(qname(W, "Selector"), attributes={"Name": name})
        if isinstance(value, Reference):
            selector.append(endpoint(value))
        else:
            selector.text = value
        result.append(selector)
    return result


def endpoint(reference: Reference, tag: str = qname(A, "EndpointReference")) -> ET.Element:
    """An endpoint reference in an element of the given name."""
    result = node(tag)
    result.append(node(qname(A, "Address"), reference.address))
    parameters = node(qname(A, "ReferenceParameters"))
    parameters.append(node(qname(W, "ResourceURI"), reference.resource_uri))
    parameters.append(selector_set(reference.selectors))
    result.append(parameters)
    return result


# --- faults ------------------------------------------------------------------------------------------------------

_GERMAN = {
    0x80338000: "Der WS-Verwaltungsdienst kann die Anforderung nicht verarbeiten. Die durch den Ressourcen-URI und die "
    "Selektoren bezeichnete Ressource wurde nicht gefunden.",
    0x80338029: "Der WS-Verwaltungsdienst kann den Vorgang nicht in der Zeit abschließen, die OperationTimeout angibt.",
    5: "Zugriff verweigert",
    0x80041002: "Nicht gefunden",
    0x8004100E: "Ungültiger Namespace",
    0x80041010: "Ungültige Klasse",
    0x80041017: "Ungültige Abfrage",
}
_ENGLISH = {
    0x80338000: "The service cannot find the resource identified by the resource URI and selectors.",
    0x80338029: "The service cannot complete the operation within the time specified in OperationTimeout.",
    0x8033805B: "The service cannot process the request because the selectors for the resource are not valid.",
    5: "Access is denied.",
    0x80041001: "Generic failure",
    0x80041002: "Not found",
    0x80041003: "Access denied",
    0x80041005: "Type mismatch",
    0x80041008: "Invalid parameter",
    0x8004100E: "Invalid namespace",
    0x80041010: "Invalid class",
    0x80041017: "Invalid query",
    0x80041019: "Object or property already exists",
    0x80041023: "Attempt to change read-only value",
    0x80041024: "Provider is not capable of the attempted operation",
    0x8004102E: "Invalid method",
    0x8004102F: "Invalid method Parameter(s)",
}


def reason(number: int, language: str) -> str:
    """The text of an error in the host's language; people read it, programs must not."""
    if language.lower().startswith("de"):
        default = f"Der WS-Verwaltungsdienst kann die Anforderung nicht verarbeiten. Fehler 0x{number:08X}."
        return _GERMAN.get(number, default) + " "
    return _ENGLISH.get(number, f"The WS-Management service cannot process the request. Error 0x{number:08X}.") + " "


@dataclass(frozen=True)
class ProviderFault:
    """What a WS-Management plug-in adds to a fault: text, or a number of its own, and perhaps an instance."""

    provider: str
    path: str
    text: str | None = None
    number: int | None = None
    extended: ET.Element | None = None


class Fault(Exception):
    """A SOAP fault.

    number: decimal code of WSManFault, unsigned. subcode: QName with one of the prefixes s, a, w, n, x.
    A subcode with the prefix s is the code itself.
    detail: last part of the FaultDetail URI; None leaves the element out, as Windows does for time-outs and others.
    text: replaces the reason. addressing: the fault is about a SOAP header and has the Action of such faults.
    """

    def __init__(
        self,
        number: int,
        subcode: str = "w:InternalError",
        *,
        detail: str | None = None,
        reason: str | None = None,
        provider: ProviderFault | None = None,
        sender: bool | None = None,
        addressing: bool = False,
        status: int = 500,
    ) -> None:
        super().__init__(reason or f"{subcode} {number} (0x{number:08X})")
        self.number = number & 0xFFFFFFFF
        self.subcode = subcode
        self.detail = detail
        self.reason = reason
        self.provider = provider
        self.sender = subcode not in ("w:InternalError", "w:TimedOut", "w:QuotaLimit") if sender is None else sender
        self.addressing = addressing
        self.status = status

    @property
    def innermost(self) -> int:
        """The number that matters: the provider's where it has one."""
        if self.provider is not None and self.provider.number is not None:
            return self.provider.number
        return self.number

    def details(self, machine: str, language: str) -> list[ET.Element]:
        """What stands in s:Detail."""
        result = []
        if self.detail is not None:
            result.append(node(qname(W, "FaultDetail"), FAULT_DETAIL + self.detail))
        result.append(self._wsman_fault(machine, language))
        return result

    def _wsman_fault(self, machine: str, language: str) -> ET.Element:
        text = self.reason or reason(self.number, language)
        outer = _numbered(self.number, machine)
        message = node(qname(F, "Message"), None if self.provider else text)
        outer.append(message)
        if self.provider is not None:
            inner = node(qname(F, "ProviderFault"), self.provider.text)
            inner.attrib.update(provider=self.provider.provider, path=self.provider.path)
            if self.provider.number is not None:
                nested = _numbered(self.provider.number, machine)
                nested.append(node(qname(F, "Message"), self.reason or reason(self.provider.number, language)))
                inner.append(nested)
            if self.provider.extended is not None:
                extended = node(qname(F, "ExtendedError"))
                extended.append(self.provider.extended)
                inner.append(extended)
            message.append(inner)
        return outer

    def body(self, machine: str, language: str) -> ET.Element:
        """The s:Body of the answer."""
        body = node(qname(S, "Body"))
        fault = node(qname(S, "Fault"))
        code = node(qname(S, "Code"))
        if self.subcode.startswith("s:"):
            code.append(node(qname(S, "Value"), self.subcode))
        else:
            code.append(node(qname(S, "Value"), "s:Sender" if self.sender else "s:Receiver"))
            subcode = node(qname(S, "Subcode"))
            prefix = {"xmlns:x": X} if self.subcode.startswith("x:") else None
            subcode.append(node(qname(S, "Value"), self.subcode, prefix))
            code.append(subcode)
        text = node(qname(S, "Reason"))
        text.append(
            node(qname(S, "Text"), self.reason or reason(self.innermost, language), {qname(XML, "lang"): language})
        )
        detail = node(qname(S, "Detail"))
        detail.extend(self.details(machine, language))
        fault.extend([code, text, detail])
        body.append(fault)
        return body

    @property
    def action(self) -> str:
        return ACTION_ADDRESSING_FAULT if self.addressing else ACTION_FAULT


def _numbered(number: int, machine: str) -> ET.Element:
    return node(qname(F, "WSManFault"), attributes={"Code": str(number & 0xFFFFFFFF), "Machine": machine})


_WMI_PROVIDER = ("WMI Provider", r"%systemroot%\system32\WsmWmiPl.dll")


class WmiFault(Fault):
    """A WMI status (or another HRESULT from a WMI provider) in the clothes of a WS-Management fault.

    operation, parameter and provider_name fill the __ExtendedStatus instance that WMI hands out. Which wire form it
    takes is chosen when it is written (`as_form`).
    """

    def __init__(
        self,
        code: int,
        reason: str | None = None,
        *,
        operation: str | None = None,
        parameter: str | None = None,
        provider_name: str = "WinMgmt",
        subcode: str | None = None,
    ) -> None:
        self.wmi_status = code & 0xFFFFFFFF
        number, usual, detail = _WS_NUMBERS.get(self.wmi_status, (self.wmi_status, "w:InternalError", None))
        status = _extended_status(operation, parameter, provider_name)
        provider, path = _WMI_PROVIDER
        super().__init__(
            number,
            subcode or usual,
            detail=detail,
            reason=reason,
            provider=ProviderFault(provider, path, number=self.wmi_status, extended=status),
        )

    def as_form(self, form: str) -> Fault:
        """This fault as a server writes it: `nested` (the status in the inner WSManFault), `wsman` (only numbers of
        WS-Management where it has one), or `msft_wmierror` (an MSFT_WmiError instance in the detail)."""
        if form == "msft_wmierror":
            return _WmiErrorFault(self)
        if form == "wsman" and self.provider is not None:
            plugin = replace(self.provider, number=self.number)
            return Fault(self.number, self.subcode, detail=self.detail, reason=self.reason, provider=plugin)
        return self


def _extended_status(operation: str | None, parameter: str | None, provider_name: str) -> ET.Element:
    uri = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/__ExtendedStatus"
    status = node(qname(uri, "__ExtendedStatus"), attributes={"xmlns:p": uri, TYPE: "p:__ExtendedStatus_Type"})
    for name, text in (
        ("Description", None),
        ("Operation", operation),
        ("ParameterInfo", parameter),
        ("ProviderName", provider_name),
        ("StatusCode", None),
    ):
        status.append(node(qname(uri, name), text, {NIL: "true"} if text is None else None))
    return status


# WMI status -> number, subcode and FaultDetail of WS-Management's own. "Not found" was seen so from Windows Server
# 2012 R2, the provider that is not capable from 2008 R2.
_WS_NUMBERS: dict[int, tuple[int, str, str | None]] = {
    0x80041002: (0x80338000, "a:DestinationUnreachable", "InvalidResourceURI"),
    0x80041003: (5, "w:AccessDenied", None),
    0x80070005: (5, "w:AccessDenied", None),
    0x80041024: (0x80338102, "w:InternalError", None),
}
# WMI status -> CIM status (DSP0200).
_CIM_STATUS = {
    0x80041003: 2,
    0x8004100E: 3,
    0x80041008: 4,
    0x80041010: 5,
    0x80041002: 6,
    0x8004100C: 7,
    0x80041024: 7,
    0x80041019: 11,
    0x80041005: 13,
    0x80041017: 15,
    0x8004102E: 17,
}


class _WmiErrorFault(Fault):
    """An MSFT_WmiError instance in the detail, as Windows Server 2012 and later write it for some clients."""

    def __init__(self, wmi: WmiFault) -> None:
        super().__init__(wmi.wmi_status, "w:InternalError", reason=wmi.reason)

    def details(self, machine: str, language: str) -> list[ET.Element]:
        uri = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError"
        text = self.reason or reason(self.number, language)
        error = node(qname(uri, "MSFT_WmiError"), attributes={qname(B, "IsCIM_Error"): "true"})
        error.attrib.update({"xmlns:p": uri, "xmlns:cim": CIM, TYPE: "p:MSFT_WmiError_Type"})
        members: list[tuple[str, str, str | None]] = [
            ("CIMStatusCode", "cim:cimUnsignedInt", str(_CIM_STATUS.get(self.number, 1))),
            ("CIMStatusCodeDescription", "cim:cimString", None),
            ("ErrorSource", "cim:cimString", None),
            ("ErrorSourceFormat", "cim:cimUnsignedShort", "0"),
            ("ErrorType", "cim:cimUnsignedShort", "0"),
            ("Message", "cim:cimString", text),
            ("MessageID", "cim:cimString", f"HRESULT 0x{self.number:08x}"),
            ("OtherErrorSourceFormat", "cim:cimString", None),
            ("OtherErrorType", "cim:cimString", None),
            ("OwningEntity", "cim:cimString", None),
            ("PerceivedSeverity", "cim:cimUnsignedShort", "0"),
            ("ProbableCause", "cim:cimUnsignedShort", "0"),
            ("ProbableCauseDescription", "cim:cimString", None),
            ("error_Category", "cim:cimUnsignedInt", "30"),
            ("error_Code", "cim:cimUnsignedInt", str(self.number)),
            ("error_Type", "cim:cimString", "HRESULT"),
            ("error_WindowsErrorMessage", "cim:cimString", text),
        ]
        for name, kind, value in members:
            error.append(node(qname(uri, name), value, {TYPE: kind} | ({NIL: "true"} if value is None else {})))
        return [error]
