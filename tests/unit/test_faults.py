# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Faults: the innermost number decides, whatever the language and the nesting."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.faults import (
    fault_in,
    is_access_denied,
    refuses_fragments,
    refuses_query,
)

F = 'xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"'
WMI_ERROR = (
    '<p:MSFT_WmiError xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/MSFT_WmiError">'
    "<p:CIMStatusCode>1</p:CIMStatusCode><p:error_Code>{}</p:error_Code><p:Message>Ungültig</p:Message></p:MSFT_WmiError>"
)


def fault(subcode: str, detail: str = "", reason: str = "Reason") -> ET.Element:
    return ET.fromstring(
        '<s:Body xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:w="urn:w"><s:Fault><s:Code>'
        f"<s:Value>s:Receiver</s:Value><s:Subcode><s:Value>{subcode}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="de-DE">{reason}</s:Text></s:Reason>'
        + (f"<s:Detail>{detail}</s:Detail>" if detail else "")
        + "</s:Fault></s:Body>"
    )


@pytest.mark.parametrize(
    ("detail", "number"),
    [
        pytest.param("", None, id="no detail"),
        pytest.param(f'<f:WSManFault {F} Code="2150858793" Machine="N1"/>', 2150858793, id="plain"),
        pytest.param(f'<f:WSManFault {F} Code="-2147217394" Machine="N1"/>', 0x8004100E, id="signed"),
        pytest.param(
            f'<f:WSManFault {F} Code="2150858778"><f:Message><f:ProviderFault provider="WMI">'
            f'<f:WSManFault Code="2147749902"/></f:ProviderFault></f:Message></f:WSManFault>',
            0x8004100E,
            id="nested",
        ),
        pytest.param(
            f'<f:WSManFault {F} Code="2150858778"><f:Message><f:ProviderFault>text only</f:ProviderFault></f:Message>'
            "</f:WSManFault>",
            2150858778,
            id="provider text",
        ),
        pytest.param(
            f'<f:WSManFault {F} Code="2150858778"><f:Message><f:ProviderFault>{WMI_ERROR.format(2147749911)}'
            "</f:ProviderFault></f:Message></f:WSManFault>",
            0x80041017,
            id="WMI error",
        ),
        pytest.param(
            "<w:FaultDetail>http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/InvalidValue</w:FaultDetail>"
            f'<f:WSManFault {F} Code="87"/>',
            87,
            id="Win32",
        ),
    ],
)
def test_the_innermost_number_counts(detail: str, number: int | None) -> None:
    found = fault_in(fault("w:InternalError", detail), "reading")
    assert found is not None
    assert found.number == number


def test_no_fault_in_an_ordinary_body() -> None:
    assert fault_in(ET.fromstring("<Body><Answer/></Body>"), "reading") is None


def test_the_message_names_what_was_tried_the_name_and_the_number() -> None:
    found = fault_in(fault("w:X", f'<f:WSManFault {F} Code="2147749902"/>', "Ungültiger\n Namespace"), "reading Y")
    assert str(found) == "reading Y: Windows answered WBEM_E_INVALID_NAMESPACE 0x8004100E (Ungültiger Namespace)"


@pytest.mark.parametrize("code", ["2147749911", "2150858778"])
def test_a_refused_query_is_known_by_its_number(code: str) -> None:
    found = fault_in(fault("w:InternalError", f'<f:WSManFault {F} Code="{code}"/>'), "reading")
    assert found is not None
    assert refuses_query(found)


@pytest.mark.parametrize("subcode", ["s:MustUnderstand", "wsman:UnsupportedFeature", "a:ActionNotSupported"])
def test_a_server_without_fragments_is_known_by_its_subcode(subcode: str) -> None:
    found = fault_in(fault(subcode), "setting")
    assert found is not None
    assert refuses_fragments(found)


@pytest.mark.parametrize(("subcode", "code"), [("w:AccessDenied", None), ("w:X", 5), ("w:X", 0x80070005)])
def test_denied_access_is_known(subcode: str, code: int | None) -> None:
    detail = "" if code is None else f'<f:WSManFault {F} Code="{code}"/>'
    found = fault_in(fault(subcode, detail), "reading")
    assert found is not None
    assert is_access_denied(found)
