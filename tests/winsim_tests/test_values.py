# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CIM values: their forms in XML, and back."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from winsim import schema, soap, values
from winsim.providers import Embedded, Reference
from winsim.schema import Class, Parameter
from winsim.values import Codec, Form, Refused

BUILD = 20348
WHEN = datetime(2013, 4, 15, 16, 28, 43, 488171, tzinfo=timezone.utc)


def member(kind: str, *, array: bool = False, of: str | None = None, embedded: bool = False) -> Parameter:
    return Parameter("X", kind, array, embedded, of, (), 0, 2**31, is_in=True, is_out=True, mandatory=False)


def find(name: str) -> Class | None:
    found = schema.load().find(BUILD, "root/cimv2", name)
    return None if found is None else found.at(BUILD)


def codec(form: Form | None = None) -> Codec:
    return Codec("root/cimv2", find, form or Form())


def written(kind: str, value: Any, form: Form | None = None, uri: str = "urn:x", **more: Any) -> str:
    elements = codec(form).member(member(kind, **more), uri, value)
    return "".join(soap.serialize(each, {"p": "urn:x", "cim": soap.CIM, "xsi": soap.XSI}) for each in elements)


def test_the_forms_of_windows() -> None:
    assert written("string", None) == '<p:X xsi:nil="true"/>'
    assert written("string", "") == "<p:X></p:X>"
    assert written("boolean", True) == "<p:X>true</p:X>"
    assert written("uint64", 2**64 - 1) == "<p:X>18446744073709551615</p:X>"
    assert written("string", ["a", "b"], array=True) == "<p:X>a</p:X><p:X>b</p:X>"
    assert written("string", [], array=True) == written("string", None, array=True) == ""
    assert written("datetime", WHEN) == "<p:X><cim:Datetime>2013-04-15T16:28:43.488171Z</cim:Datetime></p:X>"
    assert written("datetime", WHEN, uri="") == "<X><Datetime>2013-04-15T16:28:43.488171Z</Datetime></X>"
    half_past = timedelta(days=1, hours=2, minutes=30)
    assert written("datetime", half_past) == "<p:X><cim:Interval>P1DT2H30M0S</cim:Interval></p:X>"


@pytest.mark.parametrize(
    ("microseconds", "digits", "text"),
    [
        (488171, 6, ".488171"),
        (156250, 6, ".15625"),
        (0, 6, ""),
        (488171, 0, ""),
        (488171, 3, ".488"),
        (5, 7, ".0000050"),
    ],
)
def test_fractions_of_a_second(microseconds: int, digits: int, text: str) -> None:
    when = WHEN.replace(microsecond=microseconds)
    expected = f"<p:X><cim:Datetime>2013-04-15T16:28:43{text}Z</cim:Datetime></p:X>"
    assert written("datetime", when, Form(digits=digits)) == expected


def test_the_forms_of_other_servers() -> None:
    omi = Form(omi=True)
    assert written("string", None, omi) == ""
    assert written("boolean", True, omi) == "<p:X>TRUE</p:X>"
    expected = "<p:X><cim:CIM_DateTime>20130415162843.488171+000</cim:CIM_DateTime></p:X>"
    assert written("datetime", WHEN, omi) == expected


def test_a_reference_is_an_endpoint() -> None:
    reference = Reference("root/cimv2", "Win32_Service", {"Name": "W32Time"})
    (element,) = codec().member(member("reference", of="Win32_Service"), "urn:x", reference)
    assert element.findtext(f".//{{{soap.W}}}ResourceURI") == values.WMI + "root/cimv2/Win32_Service"
    assert codec().value(member("reference", of="Win32_Service"), [element]) == reference


def test_an_embedded_instance_is_an_element_of_its_own_class() -> None:
    trustee = Embedded("Win32_Trustee", {"Name": "SYSTEM", "SID": [1, 2], "SidLength": 12}, "root/cimv2")
    kind = member("string", embedded=True, of="Win32_Trustee")
    (element,) = codec().member(kind, "urn:x", trustee)
    text = soap.serialize(element, {})
    assert 'xsi:type="q:Win32_Trustee_Type"' in text
    assert "<q:SID>1</q:SID><q:SID>2</q:SID>" in text
    read = codec().value(kind, [soap.parse_xml(text.encode())])
    assert {name: value for name, value in read.values.items() if value is not None} == trustee.values


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("boolean", "TRUE", True),
        ("boolean", "0", False),
        ("uint8", "0xFF", 255),
        ("sint32", " -5 ", -5),
        ("real64", "1.5E3", 1500.0),
        ("datetime", "20130415162843.488171+000", WHEN),
        ("datetime", "2013-04-15T18:28:43.488171+02:00", WHEN),
        ("datetime", "P1DT2H", timedelta(days=1, hours=2)),
        ("datetime", "00000001020304.000005:000", timedelta(1, 7384, 5)),
        ("string", " as it is ", " as it is "),
    ],
)
def test_what_a_client_may_write(kind: str, text: str, value: Any) -> None:
    assert values.parse_value(text, kind) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("boolean", "yes"),
        ("uint8", "256"),
        ("uint32", "-1"),
        ("sint16", "many"),
        ("uint32", ""),
        ("real32", "x"),
        ("datetime", "today"),
        ("datetime", "20131315000000.000000+000"),
    ],
)
def test_what_no_value_is(kind: str, text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        values.parse_value(text, kind)


def test_several_values_where_one_belongs_are_refused() -> None:
    with pytest.raises(Refused):
        codec().value(member("string"), [soap.node("X", "a"), soap.node("X", "b")])


@pytest.mark.parametrize(
    ("kind", "value", "array"),
    [("uint8", 256, False), ("uint32", "5", False), ("string", 5, False), ("boolean", 1, False), ("string", "a", True)],
)
def test_a_value_a_provider_got_wrong_is_not_sent(kind: str, value: Any, array: bool) -> None:
    with pytest.raises((TypeError, ValueError)):
        written(kind, value, array=array)


def numbers(kind: str) -> st.SearchStrategy[Any]:
    bits, signed = int(kind[4:]), kind[0] == "s"
    return st.integers(-(2 ** (bits - 1)) if signed else 0, 2 ** (bits - signed) - 1)


KINDS = {f"{sign}int{bits}": numbers(f"{sign}int{bits}") for sign in "us" for bits in (8, 16, 32, 64)} | {
    "string": st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff")),
    "boolean": st.booleans(),
    "real64": st.floats(allow_nan=False, allow_infinity=False),
    "datetime": st.datetimes(min_value=datetime(1601, 1, 1), timezones=st.just(timezone.utc))  # noqa: DTZ001
    | st.timedeltas(min_value=timedelta(), max_value=timedelta(days=9999)),
}


@given(
    st.sampled_from(sorted(KINDS)).flatmap(lambda kind: st.tuples(st.just(kind), KINDS[kind])),
    st.sampled_from([Form(), Form(omi=True), Form(digits=7), Form(null_absent=True)]),
)
def test_every_value_survives_the_wire(typed: tuple[str, Any], form: Form) -> None:
    kind, value = typed
    (element,) = codec(form).member(member(kind), "urn:x", value)
    back = soap.parse_xml(soap.serialize(element, {}).encode())
    assert codec().value(member(kind), [back]) == value


@given(st.datetimes(min_value=datetime(1601, 1, 1), timezones=st.just(timezone.utc)))  # noqa: DTZ001
def test_the_dmtf_form_survives(when: datetime) -> None:
    assert len(values.dmtf(when)) == 25
    assert values.parse_datetime(values.dmtf(when)) == when
