# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""cim_query, cim_instance and cim_method on simulated hosts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from support.world import World, step_names
from winsim.cim import Contexts
from winsim.providers.dns import DnsState
from winsim.providers.environment import KEY
from winsim.providers.eventlog import EventLogState, Record
from winsim.providers.registry import RegistryState
from winsim.providers.services import ServicesState
from winsim.trouble import Trouble, troubles_of

SERVER_2008_R2, SERVER_2022 = 7601, 20348
OWN: dict[str, Any] = {"class": "Win32_OperatingSystem"}


def world(build: int = SERVER_2022, switches: Mapping[str, str] | None = None, **more: Any) -> World:
    return World({"clock": {"speed": 0}, "switches": dict(switches or {}), "hosts": {"N1": {"build": build, **more}}})


def of(name: str, **more: Any) -> dict[str, Any]:
    """``class`` is no name of a Python argument."""
    return {"class": name, **more}


def environment(world: World, name: str) -> Any:
    return world.host("N1").state(RegistryState).get(KEY, name)


def actions(world: World, since: int = 0) -> list[str]:
    return [each.action for each in world.requests("N1", since)]


# cim_query


def test_values_come_typed_as_the_host_declares_them() -> None:
    with world(memory="4 TiB") as w:
        result = w.run(
            "N1", "cim_query", wql="SELECT Name, TotalPhysicalMemory, PartOfDomain FROM Win32_ComputerSystem"
        )
        assert result["instances"] == [{"Name": "N1", "PartOfDomain": False, "TotalPhysicalMemory": 4 * 2**40}]
        assert (result["count"], result["truncated"], result["typed"]) == (1, False, True)
        assert not result["changed"]
        assert result["warnings"] == []


def test_times_are_iso_8601_utc_and_nulls_are_null() -> None:
    with world() as w:
        boot = w.host("N1").boot_time
        result = w.run("N1", "cim_query", **OWN, properties=["LastBootUpTime", "CSDVersion", "MUILanguages"])
        (system,) = result["instances"]
        assert system["LastBootUpTime"] == boot.strftime("%Y-%m-%dT%H:%M:%SZ")
        assert isinstance(system["MUILanguages"], list)


def test_references_are_dicts() -> None:
    with world() as w:
        result = w.run("N1", "cim_query", **of("Win32_DependentService"), references=True, max_results=1)
        (instance,) = result["instances"]
        assert set(instance["Antecedent"]) == {"namespace", "class", "keys"}
        assert set(instance["Antecedent"]["keys"]) == {"Name"}
        assert result["references"][0]["class"] == "Win32_DependentService"


def test_match_quotes_whatever_a_variable_holds() -> None:
    name = 'C:\\it\'s "here"\\a.txt'
    with world(files={name: {"size": 7}, "C:\\b.txt": {"size": 8}}) as w:
        arguments: dict[str, Any] = {"class": "CIM_DataFile", "properties": ["Name", "FileSize"]}
        one = w.run("N1", "cim_query", **arguments, match={"Name": name})
        both = w.run("N1", "cim_query", **arguments, match={"Name": [name, "C:\\b.txt"]}, filter="FileSize > 7")
        assert [each["FileSize"] for each in one["instances"]] == [7]
        assert [each["FileSize"] for each in both["instances"]] == [8]


def test_a_number_that_a_template_made_text_is_a_number_to_the_query() -> None:
    with world() as w:
        result = w.run("N1", "cim_query", **of("Win32_Service"), properties=["Name"], match={"ProcessId": "0"})
        assert result["wql"] == "SELECT Name FROM Win32_Service WHERE ProcessId = 0"


@pytest.mark.parametrize("build", [SERVER_2008_R2, SERVER_2022])
def test_where_the_host_declares_nothing_values_are_text_and_a_warning_says_so(build: int) -> None:
    with world(build, {"wire.class_schema": "absent"}) as w:
        plain = w.run("N1", "cim_query", **OWN, properties=["CSName", "ProductType"])
        assert plain["instances"] == [{"CSName": "N1", "ProductType": "3"}]
        assert not plain["typed"]
        assert "numbers and booleans are text" in plain["warnings"][0]
        named = w.run("N1", "cim_query", **OWN, properties=["CSName", "ProductType"], types={"ProductType": "uint32"})
        assert named["instances"] == [{"CSName": "N1", "ProductType": 3}]


def test_windows_before_server_2012_declares_nothing() -> None:
    with world(SERVER_2008_R2) as w:
        assert not w.run("N1", "cim_query", **OWN, properties=["CSName"])["typed"]


def test_a_query_costs_the_declaration_and_its_pages() -> None:
    with world() as w:
        w.run("N1", "cim_query", **OWN, properties=["CSName"])
        assert actions(w) == ["Get", "Enumerate"]


def test_types_that_the_user_gives_for_all_properties_save_the_declaration() -> None:
    with world() as w:
        types = {"CSName": "string", "ProductType": "uint32"}
        result = w.run("N1", "cim_query", **OWN, properties=["CSName", "ProductType"], types=types)
        assert result["instances"] == [{"CSName": "N1", "ProductType": 3}]
        assert actions(w) == ["Enumerate"]


def many_events(w: World, count: int) -> None:
    host = w.host("N1")
    start = host.now() - timedelta(seconds=count)
    host.state(EventLogState).logs["Application"] = [
        Record(n, start + timedelta(seconds=n), "Contoso", 7, strings=["x"]) for n in range(1, count + 1)
    ]


HUGE: dict[str, Any] = {
    "class": "Win32_NTLogEvent",
    "filter": "Logfile = 'Application'",
    "properties": ["RecordNumber", "TimeGenerated"],
}


def test_a_huge_result_comes_page_by_page_and_complete() -> None:
    with world() as w:
        many_events(w, 20000)
        result = w.run("N1", "cim_query", **HUGE)
        assert result["count"] == 20000
        assert sorted(each["RecordNumber"] for each in result["instances"]) == list(range(1, 20001))
        pages = [each for each in w.requests("N1") if each.action in ("Enumerate", "Pull")]
        assert 20 < len(pages) < 100
        assert max(len(each.answer) for each in pages) <= 150 * 1024
        assert not w.host("N1").attached(Contexts).open


@pytest.mark.parametrize("first", ["one_item", "all"])
def test_max_results_stops_early_and_releases_the_enumeration(first: str) -> None:
    with world(switches={"wire.first_answer": first}) as w:
        many_events(w, 20000)
        result = w.run("N1", "cim_query", **HUGE, max_results=100)
        assert (result["count"], result["truncated"]) == (100, True)
        assert actions(w)[-1] == "Release"
        assert len(actions(w)) <= 4
        assert not w.host("N1").attached(Contexts).open


def test_max_results_of_exactly_what_there_is_is_not_truncated() -> None:
    with world() as w:
        many_events(w, 3)
        result = w.run("N1", "cim_query", **HUGE, max_results=3)
        assert (result["count"], result["truncated"]) == (3, False)
        assert not w.host("N1").attached(Contexts).open


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param({}, "give either wql, or class", id="neither"),
        pytest.param({"wql": "SELECT * FROM X", "class": "X"}, "give either wql, or class", id="both"),
        pytest.param({"class": "Win32_Srevice"}, "root/cimv2 has no class Win32_Srevice", id="class"),
        pytest.param({"class": "X", "namespace": "root/nothing"}, "no namespace root/nothing", id="namespace"),
        pytest.param({**OWN, "properties": ["CSNam"]}, "has no CSNam; near: CSName", id="property"),
        pytest.param(
            {**OWN, "match": {"ProductType": "many"}}, "ProductType is a uint32, and text was given", id="type"
        ),
        pytest.param({**OWN, "match": {"CSName": 5}}, "put it in quotes", id="number for a string"),
        pytest.param({**OWN, "types": {"ProductType": "int"}}, "'int' of ProductType is no CIM type", id="no type"),
        pytest.param({**OWN, "match": {"CSName": []}}, "empty list", id="empty list"),
        pytest.param({**OWN, "max_results": 0}, "max_results must be at least 1", id="max_results"),
        pytest.param({"wql": "SELECT Nonsense FROM Win32_Service"}, "WBEM_E_INVALID_QUERY", id="bad query"),
    ],
)
def test_cim_query_refuses_with_a_sentence(arguments: dict[str, Any], said: str) -> None:
    with world() as w:
        result = w.run("N1", "cim_query", **arguments)
        assert result["failed"]
        assert said in result["msg"]


# cim_instance


def test_a_property_is_set_once_and_read_back() -> None:
    with world() as w:
        first = w.run("N1", "cim_instance", **OWN, properties={"Description": "Print server"})
        assert first["changed"]
        assert step_names(first) == ["set Description of Win32_OperatingSystem"]
        assert first["instance"]["Description"] == "Print server"
        assert (first["before"]["properties"], first["after"]["properties"]) == (
            {"Description": ""},
            {"Description": "Print server"},
        )
        since = len(w.requests("N1"))
        second = w.run("N1", "cim_instance", **OWN, properties={"description": "Print server"})
        assert not second["changed"]
        assert actions(w, since) == ["Get", "Get"]
        (put,) = w.writes("N1")
        assert put.properties == ("Description",)


def test_a_change_costs_a_put_for_what_differs_and_reading_twice() -> None:
    with world() as w:
        w.run("N1", "cim_instance", **OWN, properties={"Description": "x", "CSName": "N1"})
        assert actions(w) == ["Get", "Get", "Put", "Get", "Get"]


def test_a_provider_that_ignores_a_value_is_found_out_and_the_rest_taken_back() -> None:
    with world() as w:
        wanted = {"Description": "x", "ForegroundApplicationBoost": 1}
        result = w.run("N1", "cim_instance", **OWN, properties=wanted)
        assert result["failed"]
        assert "ForegroundApplicationBoost of Win32_OperatingSystem did not take the value" in result["msg"]
        (now,) = w.run("N1", "cim_query", **OWN, properties=["Description"])["instances"]
        assert now == {"Description": ""}


def test_check_mode_writes_nothing_and_shows_the_difference() -> None:
    with world() as w:
        result = w.run("N1", "cim_instance", check=True, **OWN, properties={"Description": "Print server"})
        assert result["changed"]
        assert "Description: Print server" in result["diff"]["after"]
        assert "Print server" not in result["diff"]["before"]
        assert w.writes("N1") == []


VARIABLE: dict[str, Any] = {"class": "Win32_Environment", "keys": {"Name": "APP_HOME", "UserName": "<SYSTEM>"}}


def test_an_instance_is_made_changed_and_deleted() -> None:
    with world() as w:
        made = w.run("N1", "cim_instance", **VARIABLE, properties={"VariableValue": "D:\\App"})
        assert made["changed"]
        assert made["before"] == {"state": "absent", "properties": None}
        assert made["reference"]["keys"] == {"Name": "APP_HOME", "UserName": "<SYSTEM>"}
        assert environment(w, "APP_HOME") == "D:\\App"
        assert w.run("N1", "cim_instance", **VARIABLE, properties={"VariableValue": "E:\\App"})["changed"]
        assert environment(w, "APP_HOME") == "E:\\App"
        gone = w.run("N1", "cim_instance", **VARIABLE, state="absent")
        assert gone["after"] == {"state": "absent", "properties": None}
        assert gone["instance"] is None
        assert environment(w, "APP_HOME") is None
        assert not w.run("N1", "cim_instance", **VARIABLE, state="absent")["changed"]


def test_check_mode_predicts_making_and_deleting() -> None:
    with world() as w:
        made = w.run("N1", "cim_instance", check=True, **VARIABLE, properties={"VariableValue": "D:\\App"})
        assert made["changed"]
        assert made["after"] == {"state": "present", "properties": {"VariableValue": "D:\\App"}}
        assert not w.run("N1", "cim_instance", check=True, **VARIABLE, state="absent")["changed"]
        assert w.writes("N1") == []


def test_an_instance_without_documented_keys_is_named_by_a_filter() -> None:
    records = [{"name": "kms", "type": "CNAME", "target": "kms01.corp.example."}]
    with world(dns={"zones": {"corp.example": {"records": records}}}) as w:
        alias: dict[str, Any] = {
            "namespace": "root/MicrosoftDNS",
            "class": "MicrosoftDNS_CNAMEType",
            "filter": "ContainerName = 'corp.example' AND OwnerName = 'kms.corp.example'",
        }
        assert not w.run("N1", "cim_instance", **alias)["changed"]
        assert w.run("N1", "cim_instance", **alias, state="absent")["changed"]
        zones = w.host("N1").state(DnsState).zones
        assert zones is not None
        assert zones["corp.example"].records == []


def test_several_properties_are_several_steps_and_a_failed_one_takes_back_the_others() -> None:
    with world() as w:
        w.run("N1", "cim_instance", **OWN, properties={"Description": "before"})
        troubles_of(w.host("N1")).add(
            Trouble("fault", number=0x80041003, subcode="w:AccessDenied"),
            nth=2,
            when=lambda asked: asked.action == "Put",
        )
        wanted = {"Description": "after", "ForegroundApplicationBoost": 1}
        result = w.run("N1", "cim_instance", **OWN, properties=wanted)
        assert result["failed"]
        assert "ForegroundApplicationBoost of Win32_OperatingSystem" in result["msg"]
        assert [step["status"] for step in result["steps"]] == ["undone", "failed"]
        (now,) = w.run("N1", "cim_query", **OWN, properties=["Description"])["instances"]
        assert now == {"Description": "before"}


def test_untyped_hosts_take_numbers_and_text_and_stay_idempotent() -> None:
    with world(SERVER_2008_R2) as w:
        assert w.run("N1", "cim_instance", **OWN, properties={"Description": "7"})["changed"]
        assert not w.run("N1", "cim_instance", **OWN, properties={"Description": "7", "ProductType": 3})["changed"]


@pytest.mark.parametrize("fragments", ["windows", "unsupported"])
def test_a_server_without_fragments_gets_the_whole_instance(fragments: str) -> None:
    with world(switches={"wire.fragments": fragments}) as w:
        w.run("N1", "cim_instance", **VARIABLE, properties={"VariableValue": "a"})
        assert w.run("N1", "cim_instance", **VARIABLE, properties={"VariableValue": "b"})["changed"]
        assert environment(w, "APP_HOME") == "b"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param({**VARIABLE, "filter": "Name = 'x'"}, "give keys or filter, not both", id="both"),
        pytest.param({**OWN, "state": "absent"}, "say which instance shall go", id="absent"),
        pytest.param(
            {"class": "Win32_Environment", "keys": {"Name": "A"}, "properties": {"VariableValue": "x"}},
            "the keys of Win32_Environment are Name (string), UserName (string)",
            id="keys",
        ),
        pytest.param(
            {"class": "Win32_Environment", "filter": "Name = 'A'", "properties": {"VariableValue": "x"}},
            "filter selects no instance of Win32_Environment",
            id="filter finds none",
        ),
        pytest.param({"class": "Win32_Service", "filter": "ProcessId = 0"}, "selects more than one", id="several"),
        pytest.param(
            {**OWN, "properties": {"Description": 7}}, "Description is a string, and a number was given", id="7"
        ),
        pytest.param({**OWN, "properties": {"Description": ["a"]}}, "it takes one value", id="list"),
        pytest.param(
            {**OWN, "properties": {"LastBootUpTime": "2026-01-31T08:15:00"}}, "a time with its zone", id="naive time"
        ),
        pytest.param(
            {"class": "Win32_Service", "keys": {"Name": "Spooler"}, "properties": {"Name": "Other"}},
            "Name is a key of Win32_Service",
            id="key",
        ),
        pytest.param({**OWN, "properties": {"BuildNumber": "1"}}, "WBEM_E_READ_ONLY", id="read-only"),
        pytest.param(
            {**OWN, "properties": {"Description": "x"}, "types": {"Description": "uint32"}},
            "Description of Win32_OperatingSystem is a string, not a uint32",
            id="wrong type",
        ),
    ],
)
def test_cim_instance_refuses_with_a_sentence(arguments: dict[str, Any], said: str) -> None:
    with world() as w:
        result = w.run("N1", "cim_instance", **arguments)
        assert result["failed"]
        assert said in result["msg"]


@pytest.mark.parametrize("value", ["2026-01-31T08:15:00Z", {"a": 1}, 1.5])
def test_on_an_untyped_host_what_fits_two_types_is_refused(value: Any) -> None:
    with world(SERVER_2008_R2) as w:
        result = w.run("N1", "cim_instance", **OWN, properties={"Description": value})
        assert result["refusal"] == "types"
        assert "say it in types" in result["msg"]
        assert w.writes("N1") == []


# cim_method

SPOOLER: dict[str, Any] = {"class": "Win32_Service", "keys": {"Name": "Spooler"}}


def spooler(w: World) -> Any:
    return w.host("N1").state(ServicesState).get("Spooler")


def test_unless_makes_a_call_idempotent() -> None:
    with world() as w:
        automatic = "SELECT Name FROM Win32_Service WHERE Name = 'Spooler' AND StartMode = 'Manual'"
        call: dict[str, Any] = {
            **SPOOLER,
            "method": "ChangeStartMode",
            "parameters": {"StartMode": "Manual"},
            "unless": automatic,
        }
        first = w.run("N1", "cim_method", **call)
        assert (first["changed"], first["invoked"], first["return_value"]) == (True, True, 0)
        assert spooler(w).start_mode == "Manual"
        since = len(w.requests("N1"))
        second = w.run("N1", "cim_method", **call)
        assert (second["changed"], second["invoked"]) == (False, False)
        assert second["reason"] == "unless: the query selects an instance"
        assert actions(w, since) == ["Enumerate"]


def test_creates_is_asked_again_after_the_call() -> None:
    with world() as w:
        nobody = "SELECT Name FROM Win32_Service WHERE Name = 'Nobody'"
        result = w.run("N1", "cim_method", **SPOOLER, method="StopService", creates=nobody)
        assert result["failed"]
        assert "the query of creates selects nothing yet" in result["msg"]
        assert result["changed"]


def test_a_zone_is_paused_once() -> None:
    with world(dns={"zones": {"lab.example": {}}}) as w:
        paused = "SELECT Name FROM MicrosoftDNS_Zone WHERE Name = 'lab.example' AND Paused = TRUE"
        zones = w.host("N1").state(DnsState).zones
        assert zones is not None
        call: dict[str, Any] = {
            "namespace": "root/MicrosoftDNS",
            "class": "MicrosoftDNS_Zone",
            "method": "PauseZone",
            "filter": "Name = 'lab.example'",
            "creates": paused,
        }
        first, second = w.run("N1", "cim_method", **call), w.run("N1", "cim_method", **call)
        assert (first["changed"], second["changed"]) == (True, False)
        assert first["return_value"] is None
        assert zones["lab.example"].paused


def test_check_mode_never_calls() -> None:
    with world() as w:
        result = w.run("N1", "cim_method", check=True, **SPOOLER, method="StopService")
        assert result["changed"]
        assert not result["invoked"]
        assert step_names(result) == ["call StopService of Win32_Service Spooler"]
        assert "Invoke" not in actions(w)


@pytest.mark.parametrize("check", [True, False])
def test_a_method_that_reads_is_no_change_and_gives_typed_outputs(check: bool) -> None:
    with world() as w:
        result = w.run(
            "N1",
            "cim_method",
            check=check,
            reads=True,
            **of("StdRegProv", namespace="root/default"),
            method="EnumValues",
            parameters={"hDefKey": 2147483650, "sSubKeyName": "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion"},
        )
        assert not result["changed"]
        assert result["return_value"] == 0
        assert all(isinstance(each, int) for each in result["outputs"]["Types"])
        assert "CurrentBuild" in result["outputs"]["sNames"]
        assert w.writes("N1") == []


def test_without_a_declaration_types_type_the_outputs() -> None:
    with world(SERVER_2008_R2) as w:
        result = w.run(
            "N1",
            "cim_method",
            reads=True,
            **of("StdRegProv", namespace="root/default"),
            method="GetDWORDValue",
            parameters={
                "hDefKey": 2147483650,
                "sSubKeyName": "SYSTEM\\CurrentControlSet\\Control\\CrashControl",
                "sValueName": "CrashDumpEnabled",
            },
            types={"uValue": "uint32"},
        )
        assert result["return_value"] == 0
        assert isinstance(result["outputs"]["uValue"], int)


def test_a_call_costs_the_query_the_declaration_and_itself() -> None:
    with world() as w:
        w.run(
            "N1",
            "cim_method",
            **SPOOLER,
            method="StopService",
            unless="SELECT Name FROM Win32_Service WHERE Name = 'x'",
        )
        assert actions(w) == ["Enumerate", "Get", "Invoke"]


def test_a_lost_answer_says_that_nobody_knows() -> None:
    with world() as w:
        troubles_of(w.host("N1")).add(Trouble("drop_after"), when=lambda asked: asked.what == "StopService")
        result = w.run("N1", "cim_method", **SPOOLER, method="StopService")
        assert result["unreachable"]
        assert "whether it took effect is unknown" in result["msg"]
        assert [each.what for each in w.requests("N1")].count("StopService") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param({**SPOOLER, "method": "StopServce"}, "has no method StopServce; near: StopService", id="method"),
        pytest.param(
            {**SPOOLER, "method": "ChangeStartMode", "parameters": {"Mode": "Auto"}},
            "Win32_Service.ChangeStartMode has no Mode",
            id="parameter",
        ),
        pytest.param(
            {"class": "Win32_Service", "method": "StopService"}, "say by keys or filter on which", id="instance"
        ),
        pytest.param(
            {"class": "StdRegProv", "namespace": "root/default", "method": "EnumKey", "keys": {"x": 1}},
            "EnumKey of StdRegProv is static",
            id="static",
        ),
        pytest.param(
            {"class": "Win32_Service", "method": "StopService", "filter": "Name = 'Nobody'"},
            "filter selects no instance of Win32_Service",
            id="nobody",
        ),
        pytest.param({**SPOOLER, "method": "PauseService"}, "PauseService returned", id="return value"),
        pytest.param(
            {**SPOOLER, "keys": {"Name": "Nobody"}, "method": "StopService"}, "WBEM_E_NOT_FOUND", id="no instance"
        ),
    ],
)
def test_cim_method_refuses_or_fails_with_a_sentence(arguments: dict[str, Any], said: str) -> None:
    with world() as w:
        result = w.run("N1", "cim_method", **arguments)
        assert result["failed"]
        assert said in result["msg"]
