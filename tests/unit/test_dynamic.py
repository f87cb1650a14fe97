# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Declarations and values of classes that only a task names."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.errors import Refusal
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.cim import Cim
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.dynamic import (
    Declarations,
    Member,
    Reader,
    Types,
    Writer,
    class_in,
    declaration,
    json_of,
    parsed_type,
    same,
    typed_items,
)
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.envelope import Request

# The form of DSP0201, with the qualifiers as a recorded answer of Windows Server writes them.
CLASS = """
<CLASS NAME="Contoso_Job" SUPERCLASS="CIM_Job" DERIVATION="CIM_Job,CIM_LogicalElement">
  <QUALIFIER NAME="dynamic" TYPE="boolean" TOSUBCLASS="false"><VALUE>TRUE</VALUE></QUALIFIER>
  <PROPERTY NAME="Id" CLASSORIGIN="Contoso_Job" TYPE="uint64">
    <QUALIFIER NAME="key" TYPE="boolean"><VALUE>TRUE</VALUE></QUALIFIER></PROPERTY>
  <PROPERTY.ARRAY NAME="Hosts" TYPE="string"></PROPERTY.ARRAY>
  <PROPERTY.REFERENCE NAME="Owner" REFERENCECLASS="Win32_Service"></PROPERTY.REFERENCE>
  <PROPERTY NAME="Start" TYPE="datetime"></PROPERTY>
  <PROPERTY NAME="Options" TYPE="string">
    <QUALIFIER NAME="EmbeddedInstance" TYPE="string"><VALUE>Contoso_Options</VALUE></QUALIFIER></PROPERTY>
  <METHOD NAME="Run" TYPE="uint32">
    <QUALIFIER NAME="static" TYPE="boolean"><VALUE>true</VALUE></QUALIFIER>
    <PARAMETER NAME="Flags" TYPE="sint32">
      <QUALIFIER NAME="in" TYPE="boolean"><VALUE>TRUE</VALUE></QUALIFIER></PARAMETER>
    <PARAMETER.ARRAY NAME="Names" TYPE="string">
      <QUALIFIER NAME="out" TYPE="boolean"><VALUE>TRUE</VALUE></QUALIFIER></PARAMETER.ARRAY></METHOD>
  <METHOD NAME="Forget"></METHOD>
</CLASS>
"""


class NoHost:
    """A session that nothing may be asked."""

    def exchange(self, request: Request, attempted: str) -> ET.Element:
        raise AssertionError(attempted)


DECLARED = declaration(ET.fromstring(CLASS))
SILENT = Declarations(NoHost(), ask=False)
TYPED = Types({}, DECLARED.properties, "Contoso_Job")
UNTYPED = Types({}, None, "Contoso_Job")


def element(text: str) -> ET.Element:
    names = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:a="urn:a" xmlns:cim="urn:cim"'
    return ET.fromstring(f"<X {names}>{text}</X>")


def read(text: str, types: Types = TYPED) -> dict[str, Any]:
    return Reader(SILENT, "root/contoso").properties(element(text), types)


def written(name: str, value: Any, types: Types = TYPED) -> Any:
    return json_of(*Writer(SILENT, "root/contoso").value(name, value, types.member(name)))


def test_declaration_tells_types_keys_methods_and_directions() -> None:
    shown = {each.name: each.shown for each in DECLARED.properties.values()}
    assert shown == {
        "Id": "uint64",
        "Hosts": "string[]",
        "Owner": "reference",
        "Start": "datetime",
        "Options": "Contoso_Options",
    }
    assert [each.name for each in DECLARED.keys] == ["Id"]
    run, forget = DECLARED.methods["run"], DECLARED.methods["forget"]
    assert (run.static, run.returns, forget.static, forget.returns) == (True, "uint32", False, "")
    assert {each.name: (each.is_in, each.is_out) for each in run.parameters.values()} == {
        "Flags": (True, False),
        "Names": (False, True),
    }


def test_values_of_every_kind_become_plain_json() -> None:
    reference = (
        "<Owner><a:Address/><a:ReferenceParameters>"
        "<ResourceURI>http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/Win32_Service</ResourceURI>"
        '<SelectorSet><Selector Name="Name">Spooler</Selector></SelectorSet></a:ReferenceParameters></Owner>'
    )
    assert read(
        "<Id>18446744073709551615</Id><Hosts>a</Hosts><Start><cim:Datetime>2025-01-31T09:15:00.5+01:00</cim:Datetime>"
        f"</Start>{reference}<Options xsi:type='p:Contoso_Options_Type'><Deep>true</Deep></Options>"
    ) == {
        "Id": 2**64 - 1,
        "Hosts": ["a"],
        "Start": "2025-01-31T08:15:00Z",
        "Owner": {"namespace": "root/cimv2", "class": "Win32_Service", "keys": {"Name": "Spooler"}},
        "Options": {"Deep": "true"},
    }


def test_null_is_null_and_an_array_without_values_is_an_empty_list() -> None:
    assert read('<Id xsi:nil="true"/><Hosts xsi:nil="true"/>') == {"Id": None, "Hosts": []}
    assert read('<Id xsi:nil="true"/>', UNTYPED) == {"Id": None}


def test_untyped_values_stay_text_but_times_show_what_they_are() -> None:
    assert read("<Id>5</Id><On>true</On><When><cim:Datetime>2025-01-31T08:15:00Z</cim:Datetime></When>", UNTYPED) == {
        "Id": "5",
        "On": "true",
        "When": "2025-01-31T08:15:00Z",
    }


def test_a_datetime_property_may_hold_an_interval() -> None:
    assert read("<Start><cim:Interval>P1DT2H0M0S</cim:Interval></Start>") == {"Start": "P1DT2H0M0S"}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("Id", 7, 7),
        ("Id", "7", 7),
        ("id", "0x10", 16),
        ("Id", None, None),
        ("Hosts", ["a", "b"], ["a", "b"]),
        ("Hosts", [], []),
        ("Start", "2025-01-31T09:15:00+01:00", "2025-01-31T08:15:00Z"),
        ("Start", "2025-01-31 08:15:00+00:00", "2025-01-31T08:15:00Z"),
        ("Start", "P1DT2H0M0S", "P1DT2H0M0S"),
        ("Options", {"Deep": True}, {"Deep": "true"}),
    ],
)
def test_values_that_fit_are_taken(name: str, value: Any, expected: Any) -> None:
    assert written(name, value) == expected


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("Id", "many", "a whole number"),
        ("Id", True, "a whole number"),
        ("Id", 1.0, "a whole number"),
        ("Id", 2**64, "it takes 0 to"),
        ("Id", [1], "it takes one value"),
        ("Hosts", "a", "it takes a list"),
        ("Hosts", [1], "put it in quotes"),
        ("Start", "2025-01-31T08:15:00", "with its zone"),
        ("Start", "tomorrow", "with its zone"),
        ("Owner", "Spooler", "a mapping of class, keys"),
        ("Options", "deep", "a mapping of properties"),
        ("Colour", 1, "has no Colour"),
    ],
)
def test_values_that_do_not_fit_are_refused(name: str, value: Any, said: str) -> None:
    with pytest.raises(Refusal) as refused:
        written(name, value)
    assert said in str(refused.value)


@pytest.mark.parametrize("name", ["Id", "Start", "Hosts", "Owner", "Options"])
def test_a_refusal_never_shows_the_value_which_may_be_a_secret(name: str) -> None:
    with pytest.raises(Refusal) as refused:
        written(name, "hunter2")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("value", "expected"), [(5, "5"), (True, "true"), ("x", "x"), ([1, 2], ["1", "2"]), (None, None)]
)
def test_without_types_values_that_are_written_alike_are_taken(value: Any, expected: Any) -> None:
    assert written("Anything", value, UNTYPED) == expected


@pytest.mark.parametrize("value", ["2025-01-31T08:15:00Z", "20250131081500.000000+000", "P1DT2H", {"a": 1}, 1.5])
def test_without_types_what_can_be_two_things_is_refused(value: Any) -> None:
    with pytest.raises(Refusal, match="say it in types"):
        written("Anything", value, UNTYPED)


def test_a_type_of_the_user_decides_where_the_host_says_nothing() -> None:
    types = Types.written({"Anything": "datetime", "Many": "uint8[]"}, "Contoso_Job")
    assert written("anything", "2025-01-31T08:15:00Z", types) == "2025-01-31T08:15:00Z"
    assert written("Many", [1, 255], types) == [1, 255]


def test_a_type_that_contradicts_the_host_is_refused() -> None:
    with pytest.raises(Refusal, match="Id of Contoso_Job is a uint64, not a string"):
        Types({"id": Member("Id", "string")}, DECLARED.properties, "Contoso_Job").member("Id")


def test_any_other_name_is_that_of_a_class() -> None:
    assert parsed_type("X", "Win32_ProcessStartup[]") == Member("X", "", array=True, of="Win32_ProcessStartup")


@pytest.mark.parametrize("written_type", ["int", "", "a b", "bool[]"])
def test_what_is_no_type_is_refused(written_type: str) -> None:
    with pytest.raises(Refusal, match="types"):
        parsed_type("X", written_type)


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        (1, 1, True),
        ([], None, True),
        (None, [], True),
        (["a"], "a", True),
        (["a", "b"], ["b", "a"], False),
        ({"Deep": True}, {"deep": True, "More": 1}, True),
        ({"Deep": True}, {"Deep": False}, False),
        ("a", "A", False),
        (0, None, False),
    ],
)
def test_sameness(wanted: Any, found: Any, expected: bool) -> None:
    assert same(wanted, found) is expected


@pytest.mark.parametrize(
    ("wql", "name"),
    [
        ("SELECT * FROM Win32_Service", "Win32_Service"),
        ("select Name from Win32_Service where Name = 'x from y'", "Win32_Service"),
        ("SELECT ' FROM Wrong' FROM Right", "Right"),
        ("ASSOCIATORS OF {Win32_Service.Name='x'}", ""),
    ],
)
def test_the_class_of_a_query(wql: str, name: str) -> None:
    assert class_in(wql) == name


class Pages:
    """A host with endless pages of ten instances; counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def exchange(self, request: Request, attempted: str) -> ET.Element:
        verb = request.action.rpartition("/")[2]
        self.asked.append(verb)
        items = "".join(f"<Contoso_Job><Id>{n}</Id></Contoso_Job>" for n in range(10))
        return ET.fromstring(
            f"<Body><{verb}Response><EnumerationContext>c</EnumerationContext><Items>{items}</Items></{verb}Response></Body>"
        )


def test_a_page_is_asked_for_only_when_the_one_before_it_is_used_up() -> None:
    host = Pages()
    reader = Reader(Declarations(host, ask=False), "root/contoso")
    found: Iterator[Any] = typed_items(
        Cim(host), reader, "SELECT Id FROM Contoso_Job", UNTYPED, references=False, page=10
    )
    for _ in range(10):
        next(found)
    assert host.asked == ["Enumerate"]
    next(found)
    assert host.asked == ["Enumerate", "Pull"]
    found.close()  # type: ignore[attr-defined]
    assert host.asked == ["Enumerate", "Pull", "Release"]
