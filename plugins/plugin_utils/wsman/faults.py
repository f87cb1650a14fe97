# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""SOAP faults to typed errors. For this collection only.

Numbers come decimal, signed or unsigned, from Win32, HRESULT, WMI or WS-Man; the one that matters is the innermost
(MS-WSMV 2.2.4.43 and 2.2.4.44). Texts are in the server's language and decide nothing.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from ..errors import WsmanFault
from ..win_error import unsigned
from .xml import child, local_name, text_of

WBEM_E_NOT_FOUND = 0x80041002
ERROR_WSMAN_RESOURCE_NOT_FOUND = 0x80338000
WBEM_E_ACCESS_DENIED = 0x80041003
WBEM_E_INVALID_NAMESPACE = 0x8004100E
WBEM_E_INVALID_CLASS = 0x80041010
WBEM_E_INVALID_QUERY = 0x80041017
ERROR_ACCESS_DENIED = 5
E_ACCESSDENIED = 0x80070005
OPERATION_TIMEDOUT = 0x80338029

_NO_FILTER = (0x8033801A, 0x80338122)  # ..._ENUMERATE_CANNOT_PROCESS_FILTER, ERROR_WSMAN_CANNOT_PROCESS_FILTER

_NO_FRAGMENTS = (
    "MustUnderstand",
    "NotUnderstood",
    "ActionNotSupported",
    "FilteringNotSupported",
    "UnsupportedFeature",
    "CannotProcessFilter",
    "InvalidMessageInformationHeader",
)


def fault_in(body: ET.Element, attempted: str) -> WsmanFault | None:
    """The fault of a SOAP body, or None where there is none. attempted: what the message says was tried."""
    fault = child(body, "Fault")
    if fault is None:
        return None
    code = child(fault, "Code")
    value = text_of(child(code, "Subcode", "Value")) or text_of(child(code, "Value"))
    detail = child(fault, "Detail")
    text = " ".join(text_of(child(fault, "Reason", "Text")).split())
    number, inner_text = (None, "") if detail is None else _innermost(detail)
    return WsmanFault(attempted, number, value.rpartition(":")[2], inner_text or text)


def _number(text: str | None) -> int | None:
    text = (text or "").strip()
    if re.fullmatch(r"[+-]?[0-9]{1,20}", text):
        return unsigned(int(text))
    if re.fullmatch(r"0[xX][0-9a-fA-F]{1,16}", text):
        return unsigned(int(text, 16))
    return None


def _innermost(element: ET.Element) -> tuple[int | None, str]:
    """The deepest error number below an element, and the text next to it."""
    number: int | None = None
    text = ""
    for one in element:
        name = local_name(one)
        own: int | None = None
        if name == "WSManFault":
            own = _number(one.get("Code"))
            message = child(one, "Message")
            text = text_of(message) or text
        elif child(one, "error_Code") is not None:
            # An MSFT_WmiError instance: the HRESULT of WMI itself.
            own = _number(text_of(child(one, "error_Code")))
            text = text_of(child(one, "Message")) or text
        elif name == "ProviderFault":
            text = text_of(one) or text
        deeper, deeper_text = _innermost(one)
        found = deeper if deeper is not None else own
        number = found if found is not None else number
        text = deeper_text or text
    return number, " ".join(text.split())


def refuses_query(fault: WsmanFault) -> bool:
    """Whether a WQL query was refused as such, as for a property that the class of an older Windows lacks."""
    return fault.number == WBEM_E_INVALID_QUERY or fault.number in _NO_FILTER or fault.subcode == "CannotProcessFilter"


def refuses_fragments(fault: WsmanFault) -> bool:
    """Whether the server does not know fragments; such a fault comes before any effect."""
    return fault.subcode in _NO_FRAGMENTS


def is_not_found(fault: WsmanFault) -> bool:
    """Whether there is no such instance, in WMI's words or in WS-Management's."""
    return fault.number in (WBEM_E_NOT_FOUND, ERROR_WSMAN_RESOURCE_NOT_FOUND)


def is_access_denied(fault: WsmanFault) -> bool:
    """Whether the account may not do it; never worth a retry."""
    return (
        fault.number in (ERROR_ACCESS_DENIED, E_ACCESSDENIED, WBEM_E_ACCESS_DENIED) or fault.subcode == "AccessDenied"
    )
