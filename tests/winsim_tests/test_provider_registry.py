# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

import pytest
from winsim import Fleet, Host
from winsim.providers import providers
from winsim.providers.registry import Kind, RegistryState

KEY = "SOFTWARE\\Example"
CRASH_CONTROL = "SYSTEM\\CurrentControlSet\\Control\\CrashControl"


def host(registry: dict[str, Any] | None = None, **more: Any) -> Host:
    return Fleet.load({"clock": {"speed": 0}, "hosts": {"N1": {"registry": registry, **more}}}).host("N1")


def call(on: Host, method: str, key: str, **inputs: Any) -> dict[str, Any]:
    arguments = {"hDefKey": 0x80000002, "sSubKeyName": key, **inputs}
    return providers.invoke(on, "root/default", "StdRegProv", method, None, arguments)


@pytest.mark.parametrize(
    ("type_name", "parameter", "data", "kind"),
    [
        ("String", "sValue", "text", Kind.STRING),
        ("MultiString", "sValue", ["a", "b"], Kind.MULTI),
        ("DWORD", "uValue", 0xFFFFFFFF, Kind.DWORD),
        ("QWORD", "uValue", 2**64 - 1, Kind.QWORD),
        ("Binary", "uValue", [0, 255], Kind.BINARY),
    ],
)
def test_a_value_is_read_back_as_it_was_set(type_name: str, parameter: str, data: Any, kind: Kind) -> None:
    on = host({f"HKLM\\{KEY}": {}})
    written = call(on, f"Set{type_name}Value", KEY, sValueName="Value", **{parameter: data})
    assert written == {"ReturnValue": 0}
    assert call(on, f"Get{type_name}Value", KEY, sValueName="VALUE") == {"ReturnValue": 0, parameter: data}
    assert call(on, "EnumValues", KEY) == {"ReturnValue": 0, "sNames": ["Value"], "Types": [kind]}


def test_an_expanded_string_is_kept_unexpanded_and_read_expanded() -> None:
    on = host()
    found = call(on, "GetExpandedStringValue", CRASH_CONTROL, sValueName="DumpFile")
    assert found == {"ReturnValue": 0, "sValue": "C:\\Windows\\MEMORY.DMP"}
    kept = on.state(RegistryState).get(f"HKLM\\{CRASH_CONTROL}", "DumpFile")
    assert kept == "%SystemRoot%\\MEMORY.DMP"


def test_both_namespaces_show_the_same_registry_and_hklm_is_the_default() -> None:
    on = host({f"HKLM\\{KEY}": {"Level": 3}})
    inputs = {"hDefKey": None, "sSubKeyName": KEY, "sValueName": "Level"}
    for namespace in ("root/default", "root/cimv2"):
        found = providers.invoke(on, namespace, "StdRegProv", "GetDWORDValue", None, inputs)
        assert found == {"ReturnValue": 0, "uValue": 3}


@pytest.mark.parametrize(
    ("method", "key", "inputs"),
    [
        ("GetDWORDValue", "SOFTWARE\\Nothing", {"sValueName": "Level"}),
        ("GetDWORDValue", KEY, {"sValueName": "Nothing"}),
        ("SetDWORDValue", "SOFTWARE\\Nothing", {"sValueName": "Level", "uValue": 1}),
        ("DeleteValue", KEY, {"sValueName": "Nothing"}),
        ("DeleteKey", "SOFTWARE\\Nothing", {}),
        ("EnumKey", "SOFTWARE\\Nothing", {}),
        ("EnumValues", "SOFTWARE\\Nothing", {}),
    ],
)
def test_what_is_absent_is_error_2(method: str, key: str, inputs: dict[str, Any]) -> None:
    assert call(host({f"HKLM\\{KEY}": {"Level": 3}}), method, key, **inputs) == {"ReturnValue": 2}


@pytest.mark.parametrize(("position", "code"), [("wbem", 0x80041005), ("win32", 1630)])
def test_a_value_of_another_type_is_refused(position: str, code: int) -> None:
    on = host({f"HKLM\\{KEY}": {"Level": "three"}})
    on.switches["registry.type_mismatch"] = position
    assert call(on, "GetDWORDValue", KEY, sValueName="Level") == {"ReturnValue": code}


def test_a_key_is_created_with_its_parents_and_only_an_empty_one_is_deleted() -> None:
    on = host()
    path = "SOFTWARE\\Fieldnotes\\Journal\\one"
    assert call(on, "CreateKey", path) == {"ReturnValue": 0}
    assert call(on, "CreateKey", path) == {"ReturnValue": 0}
    assert call(on, "EnumKey", "SOFTWARE\\fieldnotes") == {"ReturnValue": 0, "sNames": ["Journal"]}
    assert call(on, "DeleteKey", "SOFTWARE\\Fieldnotes") == {"ReturnValue": 5}
    for key in (path, "SOFTWARE\\Fieldnotes\\Journal", "SOFTWARE\\Fieldnotes"):
        assert call(on, "DeleteKey", key) == {"ReturnValue": 0}
    assert on.state(RegistryState).key("HKLM\\SOFTWARE\\Fieldnotes") is None


def test_an_empty_key_has_null_lists() -> None:
    on = host({f"HKLM\\{KEY}": {}})
    assert call(on, "EnumKey", KEY) == {"ReturnValue": 0, "sNames": None}
    assert call(on, "EnumValues", KEY) == {"ReturnValue": 0, "sNames": None, "Types": None}


def test_a_denied_key_answers_5_and_a_read_only_one_to_writes() -> None:
    on = host({
        f"HKLM\\{KEY}\\Closed": {"(access)": "denied", "Level": 1, "Below": {"Level": 1}},
        f"HKLM\\{KEY}\\Shown": {"(access)": "read_only", "Level": 1},
    })  # fmt: skip
    assert call(on, "GetDWORDValue", f"{KEY}\\Closed", sValueName="Level") == {"ReturnValue": 5}
    assert call(on, "EnumKey", f"{KEY}\\Closed\\Below") == {"ReturnValue": 5}
    assert call(on, "GetDWORDValue", f"{KEY}\\Shown", sValueName="Level") == {"ReturnValue": 0, "uValue": 1}
    assert call(on, "SetDWORDValue", f"{KEY}\\Shown", sValueName="Level", uValue=2) == {"ReturnValue": 5}
    assert call(on, "CreateKey", f"{KEY}\\Shown\\New") == {"ReturnValue": 5}
    assert call(on, "DeleteKey", f"{KEY}\\Shown") == {"ReturnValue": 5}
    assert call(on, "CheckAccess", f"{KEY}\\Shown", uRequired=2) == {"ReturnValue": 5, "bGranted": False}
    assert call(on, "CheckAccess", f"{KEY}\\Shown", uRequired=1) == {"ReturnValue": 0, "bGranted": True}


def test_an_unknown_hive_is_refused() -> None:
    assert call(host(), "EnumKey", KEY, hDefKey=7) == {"ReturnValue": 6}


def test_setting_keeps_the_spelling_of_the_name_and_takes_the_new_type() -> None:
    on = host({f"HKLM\\{KEY}": {"Level": 3}})
    assert call(on, "SetStringValue", KEY, sValueName="LEVEL", sValue="high") == {"ReturnValue": 0}
    assert call(on, "EnumValues", KEY) == {"ReturnValue": 0, "sNames": ["Level"], "Types": [Kind.STRING]}


@pytest.mark.parametrize(("build", "dump"), [(7601, 2), (9200, 7), (26100, 7)])
def test_a_fresh_windows_has_its_crash_dump_default(build: int, dump: int) -> None:
    on = host(build=build)
    assert call(on, "GetDWORDValue", CRASH_CONTROL, sValueName="CrashDumpEnabled")["uValue"] == dump
