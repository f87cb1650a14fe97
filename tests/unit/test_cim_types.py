# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CIM values on the wire: what Windows and other servers send, and what we send."""

from __future__ import annotations

import datetime
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.errors import MalformedAnswer
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman import types
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.bindings import CimClass, key
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.types import (
    Reference,
    cim_type,
    decode,
    encode,
    interval,
    moment,
    sint32,
    uint8,
    uint32,
    uint64,
)
from hypothesis import given
from hypothesis import strategies as st

UTC = datetime.timezone.utc
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
CIM = 'xmlns:cim="http://schemas.dmtf.org/wbem/wscim/1/common"'


def read(annotation: Any, *elements: str) -> Any:
    return decode([ET.fromstring(text) for text in elements], cim_type(annotation), "X")


@pytest.mark.parametrize(
    ("annotation", "elements", "expected"),
    [
        pytest.param(str, ["<X>C:</X>"], "C:", id="text"),
        pytest.param(str, ["<X></X>"], "", id="empty text is not null"),
        pytest.param(str, [f'<X {XSI} xsi:nil="true"/>'], None, id="nil"),
        pytest.param(str, [], None, id="absent"),
        pytest.param(bool, ["<X>true</X>"], True, id="boolean of Windows"),
        pytest.param(bool, ["<X>TRUE</X>"], True, id="boolean in capitals"),
        pytest.param(bool, ["<X>0</X>"], False, id="boolean as digit"),
        pytest.param(uint32, ["<X>4294967295</X>"], 4294967295, id="unsigned"),
        pytest.param(uint32, ["<X>-1</X>"], 4294967295, id="unsigned delivered signed"),
        pytest.param(uint32, ["<X>0x80041002</X>"], 0x80041002, id="hexadecimal"),
        pytest.param(sint32, ["<X>-7</X>"], -7, id="signed"),
        pytest.param(uint64, ["<X>18446744073709551615</X>"], 2**64 - 1, id="uint64 keeps every digit"),
        pytest.param(tuple[str, ...], ["<X>a</X>", "<X></X>"], ("a", ""), id="array"),
        pytest.param(tuple[str, ...], [], None, id="empty array cannot be told from null"),
        pytest.param(tuple[uint8, ...], ["<X>1</X>", "<X>255</X>"], (1, 255), id="octets as numbers"),
        pytest.param(tuple[uint8, ...], ["<X>AQI=</X>"], (1, 2), id="octets as base64"),
    ],
)
def test_reads(annotation: Any, elements: list[str], expected: Any) -> None:
    assert read(annotation, *elements) == expected


@pytest.mark.parametrize(
    "text",
    [
        f"<X {CIM}><cim:Datetime>2013-04-15T16:28:43.488171Z</cim:Datetime></X>",
        "<X><Datetime>2013-04-15T16:28:43.4881710Z</Datetime></X>",
        f"<X {CIM}><cim:CIM_DateTime>20130415182843.488171+120</cim:CIM_DateTime></X>",
        "<X><Datetime>2013-04-15T18:28:43.488171+02:00</Datetime></X>",
        "<X>20130415162843.488171+000</X>",
    ],
)
def test_reads_a_datetime_in_every_form(text: str) -> None:
    assert read(moment, text) == datetime.datetime(2013, 4, 15, 16, 28, 43, 488171, UTC)


def test_reads_a_date_and_a_time_with_unknown_digits() -> None:
    assert read(moment, "<X><Date>2013-04-15</Date></X>") == datetime.datetime(2013, 4, 15, tzinfo=UTC)
    assert read(moment, "<X>20130415162843.******+000</X>") == datetime.datetime(2013, 4, 15, 16, 28, 43, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (f"<X {CIM}><cim:Interval>P1DT2H3M4.5S</cim:Interval></X>", 93784.5),
        ("<X>PT7200.000S</X>", 7200),
        ("<X>P0DT0H0M0S</X>", 0),
        ("<X>-PT1M</X>", -60),
        ("<X>00000001020304.500000:000</X>", 93784.5),
    ],
)
def test_reads_an_interval_in_every_form(text: str, seconds: float) -> None:
    assert read(interval, text) == datetime.timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("annotation", "elements", "said"),
    [
        (uint32, ["<X>4294967296</X>"], "outside uint32"),
        (uint8, ["<X>-129</X>"], "outside uint8"),
        (uint32, ["<X>three</X>"], "X"),
        (bool, ["<X>maybe</X>"], "not a boolean"),
        (moment, ["<X>yesterday</X>"], "not a CIM datetime"),
        (moment, ["<X>2013-13-45T99:99:99Z</X>"], "X"),
        (interval, ["<X>P</X>"], "not a CIM interval"),
        (str, ["<X>a</X>", "<X>b</X>"], "2 values"),
        (Reference, ["<X/>"], "ReferenceParameters"),
    ],
)
def test_refuses_what_is_not_of_the_type(annotation: Any, elements: list[str], said: str) -> None:
    with pytest.raises(MalformedAnswer, match=said):
        read(annotation, *elements)


def round_trip(annotation: Any, value: Any) -> Any:
    parent = ET.Element("parent")
    encode(parent, "X", value, cim_type(annotation))
    again = ET.fromstring(ET.tostring(parent))
    return decode(list(again), cim_type(annotation), "X")


XML_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"))


@given(XML_TEXT)
def test_text_survives(value: str) -> None:
    assert round_trip(str, value) == value


@given(st.integers(0, 2**64 - 1))
def test_numbers_survive(value: int) -> None:
    assert round_trip(uint64, value) == value


@given(st.datetimes(timezones=st.just(UTC)))
def test_datetimes_survive(value: datetime.datetime) -> None:
    assert round_trip(moment, value) == value
    assert types.decode_moment(types.encode_dmtf(value)) == value


@given(st.timedeltas(datetime.timedelta(-9999), datetime.timedelta(9999)))
def test_intervals_survive(value: datetime.timedelta) -> None:
    assert round_trip(interval, value) == value


@given(st.dictionaries(XML_TEXT.filter(bool), XML_TEXT))
def test_references_survive(selectors: dict[str, str]) -> None:
    value = Reference(
        "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/Win32_Service", tuple(selectors.items())
    )
    # White space in attribute values is XML's to normalise.
    if all(" ".join(name.split()) == name for name in selectors):
        assert round_trip(Reference, value) == value


def test_a_control_character_is_refused_before_it_is_sent() -> None:
    with pytest.raises(ValueError, match=r"U\+0001"):
        round_trip(str, "a\x01b")


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        round_trip(moment, datetime.datetime(2025, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(("annotation", "value"), [(uint8, 256), (uint32, -1), (uint32, True)])
def test_a_number_out_of_range_is_refused_before_it_is_sent(annotation: Any, value: Any) -> None:
    with pytest.raises(ValueError, match="outside"):
        round_trip(annotation, value)


class Disk(CimClass, namespace="root/test", wmi="Test_Disk"):
    DeviceID: str = key()
    Size: uint64 | None


class Shelf(CimClass, namespace="root/test", wmi="Test_Shelf"):
    Name: str = key()
    Disks: tuple[Disk, ...] | None


def test_embedded_instances_survive() -> None:
    shelf = Shelf(Name="a", Disks=(Disk(DeviceID="C:", Size=2**40), Disk(DeviceID="D:", Size=None)))
    element = ET.Element("Shelf")
    Shelf.__cim__.encode_object(element, shelf)
    assert Shelf.__cim__.decode_object(ET.fromstring(ET.tostring(element))) == shelf


def test_a_fragment_without_namespaces_is_read_as_the_instance() -> None:
    fragment = ET.fromstring("<XmlFragment><DeviceID>C:</DeviceID><Size>32210153472</Size></XmlFragment>")
    assert Disk.__cim__.decode_object(fragment) == Disk(DeviceID="C:", Size=32210153472)


def test_names_match_in_any_case_and_unknown_elements_are_passed_over() -> None:
    element = ET.fromstring("<Test_Disk><deviceid>C:</deviceid><Novelty>1</Novelty></Test_Disk>")
    assert Disk.__cim__.decode_object(element) == Disk(DeviceID="C:", Size=None)


def test_a_missing_value_that_is_needed_is_named() -> None:
    with pytest.raises(MalformedAnswer, match="Test_Disk came without a value for DeviceID"):
        Disk.__cim__.decode_object(ET.fromstring("<Test_Disk><Size>1</Size></Test_Disk>"))


def test_the_reference_of_an_instance_is_made_of_its_keys() -> None:
    assert Disk(DeviceID="C:", Size=None).reference == Reference(
        "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/test/Test_Disk", (("DeviceID", "C:"),)
    )


@pytest.mark.parametrize("annotation", [dict, "uint32", int | str, tuple[int, int]])
def test_an_annotation_that_is_no_cim_type_is_refused(annotation: Any) -> None:
    with pytest.raises(TypeError):
        cim_type(annotation)
