# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""kms_srv_record on a simulated DNS server DNS1."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from support.world import World, step_names
from winsim.providers.dns import DnsState, Record, Zone
from winsim.providers.registry import RegistryState
from winsim.trouble import Trouble, troubles_of

ZONE, BRANCH, LAB = "corp.example.com", "branch.example.com", "lab.example.com"
KMS01, OLD02 = "kms01.corp.example.com", "old02.corp.example.com"
JOURNAL = r"HKLM\SOFTWARE\fieldnotes.windows\Journal\kms_srv_record"
BOTH = pytest.mark.parametrize("method", ["wmi", "cmdlet"])


def srv(target: str = KMS01, port: int = 1688, **more: Any) -> dict[str, Any]:
    return {"name": "_vlmcs._tcp", "target": f"{target}.", "port": port, **more}


def dns1(
    *records: Mapping[str, Any],
    zones: Mapping[str, Any] | None = None,
    build: int = 20348,
    switches: Mapping[str, str] | None = None,
) -> World:
    """A DNS server whose zone corp.example.com holds the records."""
    return World(
        {
            "clock": {"speed": 0},
            "switches": dict(switches or {}),
            "hosts": {
                "DNS1": {
                    "build": build,
                    "domain": ZONE,
                    "dns": {"zones": {ZONE: {"records": list(records)}, **(zones or {})}},
                },
                "MEMBER": {"build": build},
            },
        }
    )


def zone(world: World, name: str = ZONE) -> Zone:
    zones = world.host("DNS1").state(DnsState).zones
    assert zones is not None
    return zones[name]


def data(records: Sequence[Record]) -> list[tuple[str, int, int, int]]:
    return [(each.target.rstrip(".").lower(), each.priority, each.weight, each.port) for each in records]


def srv_data(world: World, name: str = ZONE) -> list[tuple[str, int, int, int]]:
    return data([each for each in zone(world, name).records if each.kind == "SRV"])


def run(world: World, *, check: bool = False, target: str = KMS01, **arguments: Any) -> dict[str, Any]:
    return world.run("DNS1", "kms_srv_record", check=check, **{"zones": [ZONE], "target": target, **arguments})


def journal_is_gone(world: World) -> bool:
    return world.host("DNS1").state(RegistryState).key(JOURNAL) is None


# The acceptance table


@BOTH
@pytest.mark.acceptance("kms_host", "B1")
def test_record_is_created_static_with_the_documented_defaults(method: str) -> None:
    with dns1() as world:
        result = run(world, method=method)
        assert result["changed"]
        assert srv_data(world) == [(KMS01, 0, 0, 1688)]
        assert [each.stamp for each in zone(world).records] == [0]
        assert result["records"][ZONE] == [
            {
                "owner": f"_vlmcs._tcp.{ZONE}",
                "target": KMS01,
                "port": 1688,
                "priority": 0,
                "weight": 0,
                "ttl": 3600,
                "static": True,
            }
        ]
        assert [each["target"] for each in result["created"]] == [KMS01]
        assert result["modified"] == result["removed"] == []
        assert journal_is_gone(world)


@BOTH
@pytest.mark.acceptance("kms_host", "B2")
def test_record_in_another_spelling_is_no_change(method: str) -> None:
    with dns1(srv("KMS01.corp.example.com")) as world:
        result = run(world, method=method)
        assert not result["changed"]
        assert result["steps"] == []
        assert zone(world).records[0].target == "KMS01.corp.example.com."
        assert world.writes("DNS1") == []


@pytest.mark.acceptance("kms_host", "B3")
def test_only_the_weight_of_a_dynamic_record_is_modified_and_read_again() -> None:
    with dns1(srv(days_old=3, ttl=900)) as world:
        stamp = zone(world).records[0].stamp
        result = run(world, weight=50, method="wmi")
        assert result["changed"]
        assert step_names(result) == [f"change SRV record of {KMS01} in {ZONE}: weight from 0 to 50"]
        assert zone(world).records == [Record("_vlmcs._tcp", "SRV", f"{KMS01}.", 900, 0, 50, 1688, stamp)]
        (modify,) = world.writes("DNS1")
        assert (modify.action, modify.what) == ("Invoke", "Modify")
        assert "Weight>50<" in modify.request
        assert not any(name in modify.request for name in ("Port>", "TTL>", "Priority>", "SRVDomainName>"))
        last = world.requests("DNS1")[-2:]
        assert any("MicrosoftDNS_SRVType" in each.wql for each in last)
        assert result["records"][ZONE][0]["weight"] == 50


def test_by_cmdlets_a_changed_record_is_made_anew_and_keeps_its_time_to_live() -> None:
    with dns1(srv(days_old=3, ttl=90061)) as world:
        predicted = run(world, weight=50, method="cmdlet", check=True)
        result = run(world, weight=50, method="cmdlet")
        assert zone(world).records == [Record("_vlmcs._tcp", "SRV", f"{KMS01}.", 90061, 0, 50, 1688)]
        assert predicted["after"] == result["after"]
        assert journal_is_gone(world)


@BOTH
@pytest.mark.acceptance("kms_host", "B4")
def test_records_of_other_targets_stay(method: str) -> None:
    with dns1(srv(), srv(OLD02)) as world:
        result = run(world, method=method)
        assert not result["changed"]
        assert srv_data(world) == [(KMS01, 0, 0, 1688), (OLD02, 0, 0, 1688)]


@BOTH
@pytest.mark.acceptance("kms_host", "B5")
def test_purge_removes_records_of_other_targets(method: str) -> None:
    with dns1(srv(), srv(OLD02)) as world:
        result = run(world, purge=True, method=method)
        assert result["changed"]
        assert srv_data(world) == [(KMS01, 0, 0, 1688)]
        assert [each["target"] for each in result["removed"]] == [OLD02]


@BOTH
@pytest.mark.acceptance("kms_host", "B6")
def test_a_secondary_zone_is_refused_before_any_zone_is_written(method: str) -> None:
    zones = {BRANCH: {}, LAB: {"type": "secondary", "masters": ["192.0.2.9"]}}
    with dns1(zones=zones) as world:
        result = run(world, zones=[ZONE, BRANCH, LAB], method=method)
        assert result["failed"]
        assert result["refusal"] == "R16"
        assert result["msg"].startswith(f"zone {LAB} is not a writable primary zone on DNS1 (a secondary")
        assert world.writes("DNS1") == []
        assert srv_data(world) == srv_data(world, BRANCH) == []


@BOTH
@pytest.mark.acceptance("kms_host", "B7")
def test_of_two_records_of_the_target_one_stays(method: str) -> None:
    with dns1(srv(port=1688), srv(port=1689)) as world:
        result = run(world, port=1689, method=method)
        assert result["changed"]
        assert srv_data(world) == [(KMS01, 0, 0, 1689)]


@pytest.mark.parametrize("target", ["10.0.0.5", "10.0.0.5.", "2001:db8::5"])
@pytest.mark.acceptance("kms_host", "B8")
def test_an_address_is_refused_before_the_first_request(target: str) -> None:
    with dns1() as world:
        result = run(world, target=target)
        assert result["failed"]
        assert result["refusal"] == "R17"
        assert result["msg"] == "an SRV record needs a host name: give the FQDN of the KMS host"
        assert world.requests("DNS1") == []


@BOTH
@pytest.mark.acceptance("kms_host", "B9")
def test_absent_removes_the_record_and_a_second_run_changes_nothing(method: str) -> None:
    with dns1(srv(), srv(OLD02)) as world:
        first = run(world, state="absent", method=method)
        second = run(world, state="absent", method=method)
        assert (first["changed"], second["changed"]) == (True, False)
        assert srv_data(world) == [(OLD02, 0, 0, 1688)]


@pytest.mark.parametrize("missing", ["error", "empty"])
@pytest.mark.acceptance("kms_host", "B10")
def test_cmdlets_are_used_where_the_namespace_is_absent(missing: str) -> None:
    with dns1(switches={"dns.wmi_namespace": "absent", "dns.missing_name": missing}) as world:
        first, second = run(world, method="auto"), run(world, method="auto")
        assert (first["changed"], second["changed"]) == (True, False)
        assert srv_data(world) == [(KMS01, 0, 0, 1688)]
        assert any("Add-DnsServerResourceRecord" in each.what for each in world.requests("DNS1"))


# Refusals


@pytest.mark.parametrize(
    ("given", "what"),
    [
        pytest.param({"type": "stub", "masters": ["192.0.2.9"]}, "stub", id="stub"),
        pytest.param({"type": "forwarder", "masters": ["192.0.2.9"]}, "forwarder", id="forwarder"),
        pytest.param({"paused": True}, "paused", id="paused"),
        pytest.param({"shutdown": True}, "shut down", id="shut down"),
        pytest.param({"read_only": True, "ds_integrated": True}, "read-only", id="read-only"),
        pytest.param(None, "not found", id="absent"),
    ],
)
@pytest.mark.parametrize("numbers", ["protocol", "from_zero"])
@BOTH
def test_r16_names_what_the_zone_is(method: str, numbers: str, given: Any, what: str) -> None:
    zones = {} if given is None else {BRANCH: given}
    with dns1(zones=zones, switches={"dns.zone_type": numbers}) as world:
        result = run(world, zones=[BRANCH], method=method)
        assert result["refusal"] == "R16"
        assert f"zone {BRANCH} is not a writable primary zone on DNS1 (" in result["msg"]
        assert what in result["msg"]
        assert world.writes("DNS1") == []


@pytest.mark.parametrize("numbers", ["protocol", "from_zero"])
def test_a_primary_zone_is_known_whichever_way_zone_types_count(numbers: str) -> None:
    secondary = {LAB: {"type": "secondary", "masters": ["192.0.2.9"]}}
    with dns1(zones=secondary, switches={"dns.zone_type": numbers}) as world:
        assert run(world)["changed"]
        assert run(world, zones=[LAB])["refusal"] == "R16"


def test_a_read_only_zone_without_the_cmdlets_fails_at_the_first_write_and_changes_nothing() -> None:
    with dns1(zones={BRANCH: {"read_only": True, "ds_integrated": True}}, build=7601) as world:
        result = run(world, zones=[ZONE, BRANCH])
        assert result["failed"]
        assert "ERROR_ACCESS_DENIED" in result["msg"] or "0x80070005" in result["msg"]
        assert srv_data(world) == srv_data(world, BRANCH) == []
        assert {step["status"] for step in result["steps"]} == {"undone", "failed"}
        assert journal_is_gone(world)


@BOTH
def test_r18_an_alias_as_target_is_a_warning(method: str) -> None:
    alias = {"name": "kms01", "type": "CNAME", "target": "server7.corp.example.com."}
    with dns1(alias) as world:
        result = run(world, method=method)
        assert result["changed"]
        assert result["warnings"] == ["SRV target should be a host record, not an alias"]


@BOTH
def test_r20_a_zone_of_its_own_would_hide_the_record(method: str) -> None:
    with dns1(zones={f"_tcp.{ZONE}": {}}) as world:
        result = run(world, method=method)
        assert result["refusal"] == "R20"
        assert result["msg"] == (
            f"_tcp.{ZONE} is a zone of its own: the record would be shadowed in {ZONE}; create it in that zone"
        )
        assert world.writes("DNS1") == []
        assert run(world, zones=[f"_tcp.{ZONE}"], method=method)["changed"]
        assert [each.name for each in zone(world, f"_tcp.{ZONE}").records] == ["_vlmcs"]


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"port": 0}, "port"),
        ({"priority": 65536}, "priority"),
        ({"ttl": 0}, "ttl"),
        ({"zones": []}, "zones"),
        ({"zones": ["corp example"]}, "zones"),
        ({"target": "kms01"}, "target"),
        ({"target": "kms 01.corp.example.com"}, "target"),
    ],
)
def test_what_no_record_can_have_is_refused_before_the_first_request(given: dict[str, Any], refusal: str) -> None:
    with dns1() as world:
        assert run(world, **given)["refusal"] == refusal
        assert world.requests("DNS1") == []


def test_a_host_that_is_no_dns_server_is_told_so() -> None:
    with dns1() as world:
        result = world.run("MEMBER", "kms_srv_record", zones=[ZONE], target=KMS01)
        assert result["failed"]
        assert "it is no DNS server" in result["msg"]
        by_wmi = world.run("MEMBER", "kms_srv_record", zones=[ZONE], target=KMS01, method="wmi")
        assert "MEMBER has no namespace root/MicrosoftDNS" in by_wmi["msg"]


# What a user relies on


def test_a_single_label_is_completed_with_the_zone() -> None:
    with dns1(zones={BRANCH: {}}) as world:
        assert run(world, target="kms01", zones=[f"{ZONE}.", BRANCH.upper()], allow_single_label=True)["changed"]
        assert srv_data(world) == [(KMS01, 0, 0, 1688)]
        assert srv_data(world, BRANCH) == [("kms01.branch.example.com", 0, 0, 1688)]


@BOTH
def test_check_mode_writes_nothing_and_predicts_the_result(method: str) -> None:
    with dns1(srv(), srv(OLD02), zones={BRANCH: {}}) as world:
        wanted: dict[str, Any] = {"zones": [ZONE, BRANCH], "port": 1689, "ttl": 600, "purge": True, "method": method}
        predicted = run(world, check=True, **wanted)
        assert world.writes("DNS1") == []
        assert predicted["changed"]
        done = run(world, **wanted)
        assert predicted["after"] == done["after"]
        assert step_names(predicted) == step_names(done)
        assert f"0 0 1689 {KMS01} ttl 600" in predicted["diff"]["after"]
        assert OLD02 in predicted["diff"]["before"]
        assert OLD02 not in predicted["diff"]["after"]


@pytest.mark.parametrize(("zones", "requests"), [([ZONE], 3), ([ZONE, BRANCH], 4)])
def test_steady_state_by_wmi_costs_the_journal_the_zones_and_one_query_per_zone(
    zones: list[str], requests: int
) -> None:
    with dns1(srv(), zones={BRANCH: {"records": [srv()]}}, switches={"wire.first_answer": "all"}) as world:
        assert not run(world, zones=zones)["changed"]
        assert len(world.requests("DNS1")) == requests


def test_steady_state_by_cmdlets_runs_one_pipeline_for_the_zones_and_one_per_zone() -> None:
    with dns1(srv()) as world:
        assert not run(world, method="cmdlet")["changed"]
        asked = [each.what for each in world.requests("DNS1") if each.action == "Command"]
        assert len(asked) == 2
        assert asked[0].startswith("Get-DnsServerZone; Where-Object")
        assert asked[1].startswith("Get-DnsServerResourceRecord")


def test_another_goal_first_takes_back_what_an_interrupted_run_did() -> None:
    with dns1(srv(OLD02, weight=7), zones={BRANCH: {}}) as world:
        troubles_of(world.host("DNS1")).add(
            Trouble("drop_after"), when=lambda asked: asked.what == "CreateInstanceFromPropertyData"
        )
        lost = run(world, zones=[ZONE, BRANCH], purge=True)
        assert lost["unreachable"]
        assert not journal_is_gone(world)
        entry = json.loads(str(world.host("DNS1").state(RegistryState).get(JOURNAL, "State")))
        assert entry["goal"]["target"] == KMS01
        result = run(world, target="kms09.corp.example.com", zones=[BRANCH])
        assert result["resumed"]
        assert srv_data(world) == [(OLD02, 0, 7, 1688)]
        assert srv_data(world, BRANCH) == [("kms09.corp.example.com", 0, 0, 1688)]
        assert journal_is_gone(world)


def test_a_failed_step_takes_back_the_ones_before_it() -> None:
    with dns1(srv(OLD02, days_old=2), zones={BRANCH: {"records": [srv(weight=5)]}}) as world:
        troubles_of(world.host("DNS1")).add(
            Trouble("fault", number=0x80041001, subcode="w:InternalError"), when=lambda asked: asked.what == "Modify"
        )
        result = run(world, zones=[ZONE, BRANCH], weight=9)
        assert result["failed"]
        assert "WBEM_E_FAILED" in result["msg"]
        assert srv_data(world) == [(OLD02, 0, 0, 1688)]
        assert srv_data(world, BRANCH) == [(KMS01, 0, 5, 1688)]
        assert journal_is_gone(world)
