# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""WQL: what a query means, and what is refused."""

from __future__ import annotations

import contextlib
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from winsim import schema, wql
from winsim.providers import Fault, Reference, Wbem
from winsim.schema import Class
from winsim.wql import And, Associators, Compare, Isa, Not, ObjectPath, Or, References, Select

SERVICE: dict[str, Any] = {
    "Name": "W32Time",
    "DisplayName": "Windows Time",
    "PathName": r"C:\Windows\System32\svchost.exe -k LocalService",
    "Started": True,
    "ProcessId": 664,
    "InstallDate": datetime(2026, 1, 31, 12, 0, tzinfo=timezone.utc),
    "ExitCode": 4294967295,
}


def service_class() -> Class:
    found = schema.load().find(20348, "root/cimv2", "Win32_Service")
    assert found is not None
    return found.at(20348)


def holds(where: str, instance: dict[str, Any] | None = None) -> bool:
    query = wql.parse(f"SELECT * FROM Win32_Service WHERE {where}")
    assert isinstance(query, Select)
    cls = service_class()
    wql.check(query, cls)
    system = {"__class": "Win32_Service"}
    return wql.matches(query.where, cls, SERVICE if instance is None else instance, is_a, system)


def is_a(name: str, ancestor: str) -> bool:
    return schema.load().is_a(20348, "root/cimv2", name, ancestor)


@pytest.mark.parametrize(
    "where",
    [
        "Name = 'w32TIME'",
        'name="W32Time"',
        "'W32Time' = Name",
        "Name <> 'other'",
        "Name != 'other'",
        "Name > 'a' AND Name < 'z'",
        "Started = TRUE",
        "Started <> false",
        "ProcessId = 664",
        "ProcessId >= 664 and ProcessId <= 664",
        "ProcessId = '664'",
        "ProcessId = 0x298",
        "100 < ProcessId",
        "ExitCode = 4294967295",
        "DisplayName LIKE 'win%'",
        "DisplayName LIKE '_indows time'",
        "DisplayName LIKE '[u-x]indows%'",
        "DisplayName LIKE '[^a-c]%'",
        "NOT DisplayName LIKE '%server%'",
        "DisplayName NOT LIKE '%server%'",
        r"PathName = 'C:\\Windows\\System32\\svchost.exe -k LocalService'",
        r"PathName LIKE '%\\System32\\%'",
        "Description IS NULL",
        "Description = NULL",
        "Name IS NOT NULL",
        "Name <> NULL",
        "InstallDate > '20260101000000.000000+000'",
        "InstallDate = '20260131130000.000000+060'",
        "InstallDate < '2026-02-01'",
        "InstallDate <= '2026-01-31T12:00:00Z'",
        "Name = 'x' OR Started = TRUE AND ProcessId = 664",
        "NOT (Name = 'x' OR Started = FALSE)",
        "__CLASS = 'Win32_Service'",
        "__this ISA 'Win32_Service'",
    ],
)
def test_a_condition_that_holds(where: str) -> None:
    assert holds(where)


@pytest.mark.parametrize(
    "where",
    [
        "Name = 'W32Tim'",
        "DisplayName LIKE 'Time'",
        "DisplayName LIKE '[a-c]%'",
        "Description = 'x'",
        "Description <> 'x'",
        "Description LIKE '%'",
        "NOT Started = TRUE",
        "(Name = 'x' OR Started = TRUE) AND ProcessId = 1",
        "InstallDate > '2026-02-01'",
        "__CLASS = 'Win32_Process'",
        "__this ISA 'Win32_Process'",
    ],
)
def test_a_condition_that_does_not_hold(where: str) -> None:
    assert not holds(where)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "SELECT",
        "SELECT * FROM",
        "SELECT Name Win32_Service",
        "SELECT * FROM Win32_Service WHERE",
        "SELECT * FROM Win32_Service WHERE Name = 'open",
        "SELECT * FROM Win32_Service WHERE (Name = 'x'",
        "SELECT * FROM Win32_Service WHERE Name = 'x' garbage",
        "SELECT * FROM Win32_Service WHERE Name LIKE 5",
        "SELECT * FROM Win32_Service WHERE Name > NULL",
        "SELECT * FROM Win32_Service WHERE Nonsense = 1",
        "SELECT Nonsense FROM Win32_Service",
        "SELECT * FROM Win32_Service WHERE ProcessId = 'many'",
        "SELECT * FROM Win32_Service WHERE InstallDate > 'yesterday'",
        "SELECT * FROM Win32_Service WHERE Name LIKE '[a'",
        "DELETE FROM Win32_Service",
        "ASSOCIATORS OF Win32_Service",
        "ASSOCIATORS OF {Win32_Service.Name='x'} WHERE Nonsense=y",
    ],
)
def test_a_wrong_query_is_refused_as_a_whole(query: str) -> None:
    with pytest.raises(Fault) as refused:
        understood(query)
    assert refused.value.code == Wbem.INVALID_QUERY


def understood(query: str) -> None:
    parsed = wql.parse(query)
    assert isinstance(parsed, Select)
    wql.check(parsed, service_class())


def test_selected_names_are_spelled_as_in_the_schema() -> None:
    query = wql.parse("select NAME, startmode from win32_service")
    assert isinstance(query, Select)
    assert wql.check(query, service_class()) == ("Name", "StartMode")


def test_an_array_cannot_be_compared() -> None:
    cls = schema.load().find(20348, "root/cimv2", "Win32_NetworkAdapterConfiguration")
    assert cls is not None
    query = wql.parse("SELECT * FROM Win32_NetworkAdapterConfiguration WHERE IPAddress = '10.0.0.1'")
    assert isinstance(query, Select)
    with pytest.raises(Fault):
        wql.check(query, cls.at(20348))


def test_associators_and_references() -> None:
    assert wql.parse(
        r"ASSOCIATORS OF {\\.\root\MSCluster:MSCluster_Node.Name='N1'} WHERE AssocClass = MSCluster_NodeToActiveGroup"
        " ResultClass = MSCluster_ResourceGroup Role = GroupComponent ResultRole = PartComponent"
    ) == Associators(
        ObjectPath("MSCluster_Node", {"Name": "N1"}, "root/MSCluster"),
        "MSCluster_NodeToActiveGroup",
        "MSCluster_ResourceGroup",
        "PartComponent",
        "GroupComponent",
    )
    assert wql.parse('references of {Win32_Service="W32Time"}') == References(
        ObjectPath("Win32_Service", {"": "W32Time"})
    )


def test_a_path_with_several_keys_means_the_same_object_in_any_order() -> None:
    path = wql.parse_path(r'Win32_Directory.Name="C:\\Temp",Drive=5,Hidden=TRUE')
    reference = Reference("root/cimv2", "win32_directory", {"hidden": True, "name": r"c:\temp", "Drive": 5})
    assert wql.same_object(reference, path)
    assert not wql.same_object(reference, wql.parse_path('Win32_Directory.Name="C:"'))


@pytest.mark.parametrize(
    "path", ["", "Class.Key", "Class.Key=", "Class.Key='a',", "Class.Key<'a'", "Class?", "Class=A B"]
)
def test_a_wrong_path_is_refused(path: str) -> None:
    with pytest.raises(Fault):
        wql.parse_path(path)


# A query written from any tree is read as the same tree.

NAMES = st.sampled_from(["Name", "State", "ProcessId", "Started"])
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF), max_size=12)
LITERALS = TEXTS | st.integers(-(2**63), 2**64 - 1) | st.booleans()
LEAVES = (
    st.builds(Compare, NAMES, st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), LITERALS)
    | st.builds(Compare, NAMES, st.sampled_from(["LIKE", "NOT LIKE"]), TEXTS)
    | st.builds(Compare, NAMES, st.sampled_from(["=", "<>"]), st.none())
    | st.builds(Isa, NAMES, st.sampled_from(["Win32_Service"]))
)
TREES = st.recursive(
    LEAVES, lambda inner: st.builds(And, inner, inner) | st.builds(Or, inner, inner) | st.builds(Not, inner)
)


def written(condition: wql.Condition) -> str:
    if isinstance(condition, And | Or):
        word = "AND" if isinstance(condition, And) else "OR"
        return f"({written(condition.left)}) {word} ({written(condition.right)})"
    if isinstance(condition, Not):
        return f"NOT ({written(condition.condition)})"
    if isinstance(condition, Isa):
        return f"{condition.name} ISA {condition.cls}"
    return f"{condition.name} {condition.operator} {literal(condition.value)}"


def literal(value: str | float | bool | None) -> str:
    if value is None or isinstance(value, bool):
        return {None: "NULL", True: "TRUE", False: "FALSE"}[value]
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    return str(value)


@given(st.lists(NAMES, max_size=3).map(tuple), st.none() | TREES)
def test_every_tree_survives_being_written_and_read(names: tuple[str, ...], where: wql.Condition | None) -> None:
    text = f"SELECT {', '.join(names) or '*'} FROM Win32_Service" + (f" WHERE {written(where)}" if where else "")
    assert wql.parse(text) == Select(names, "Win32_Service", where)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(Fault):
        wql.parse(text)
