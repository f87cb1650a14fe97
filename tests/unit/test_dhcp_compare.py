# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When two DHCP servers count as equal, and which leases count as lost."""

from __future__ import annotations

import datetime
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.errors import Failure, Refusal
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.procedures.dhcp import manifest
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.procedures.dhcp.compare import (
    Comparison,
    Terms,
    compare,
    lost_leases,
)
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.procedures.dhcp.exported import export_problem
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.procedures.dhcp.inventory import (
    COUNTS,
    FULL,
    Inventory,
    canonical,
    digest,
    frozen_digest,
)
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.procedures.dhcp.parameters import (
    normalized_mac,
    password_faults,
)
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.windows.dhcp import Lease, Scope

NOW = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.timezone.utc)
SOON, PAST = "2026-11-21T00:00:00Z", "2026-11-20T11:59:59Z"


def lease(ip: str = "10.0.1.20", **changes: Any) -> dict[str, Any]:
    return {
        "IPAddress": ip,
        "ScopeId": "10.0.1.0",
        "ClientId": "02-00-00-00-00-01",
        "HostName": "pc",
        "AddressState": "Active",
        "LeaseExpiryTime": SOON,
        **changes,
    }


def compared(
    old: dict[str, list[dict[str, Any]]], new: dict[str, list[dict[str, Any]]], level: str = FULL, **terms: Any
) -> Comparison:
    given = {"now": NOW, "method": "dhcpserver", "nap": True, **terms}
    return compare(Inventory(level, "", old), Inventory(FULL, "", new), Terms(**given))


@pytest.mark.parametrize("state", ["Active", "ActiveReservation", "InactiveReservation", "Declined"])
def test_a_lease_that_is_missing_is_lost(state: str) -> None:
    lost, expired = lost_leases([lease(AddressState=state)], [], NOW)
    assert [one["IPAddress"] for one in lost] == ["10.0.1.20"]
    assert expired == 0


@pytest.mark.parametrize("state", ["Expired", "Offered"])
def test_a_lease_that_nobody_has_may_be_missing(state: str) -> None:
    assert lost_leases([lease(AddressState=state)], [], NOW) == ((), 0)


def test_a_lease_that_expired_by_the_clock_of_the_new_server_is_not_lost() -> None:
    assert lost_leases([lease(LeaseExpiryTime=PAST)], [], NOW) == ((), 1)


def test_a_lease_without_an_end_is_always_lost() -> None:
    assert len(lost_leases([lease(LeaseExpiryTime=None)], [], NOW)[0]) == 1


def test_an_address_with_another_client_is_always_lost() -> None:
    old = lease(LeaseExpiryTime=PAST)
    assert lost_leases([old], [lease(ClientId="02-00-00-00-00-02")], NOW) == ((old,), 0)


def test_equal_servers_have_no_difference() -> None:
    found = compared({"v4_leases": [lease()]}, {"v4_leases": [lease()]})
    assert found.is_equal
    assert found.differences() == {}


def test_the_name_of_a_client_is_a_warning_and_its_end_a_fault() -> None:
    assert compared({"v4_leases": [lease()]}, {"v4_leases": [lease(HostName="")]}).is_equal
    assert not compared({"v4_leases": [lease()]}, {"v4_leases": [lease(LeaseExpiryTime=PAST)]}).is_equal


def test_a_lease_that_ran_out_on_the_way_has_not_changed() -> None:
    old, new = lease(LeaseExpiryTime=PAST), lease(LeaseExpiryTime=PAST, AddressState="Expired")
    assert compared({"v4_leases": [old]}, {"v4_leases": [new]}).differences() == {}


@pytest.mark.parametrize("stopped", [False, True])
def test_new_leases_are_a_fault_unless_the_old_server_served_until_its_stop(stopped: bool) -> None:
    found = compared({"v4_leases": []}, {"v4_leases": [lease()]}, extra_leases=stopped)
    assert found.is_equal is stopped
    assert len(found.differences()["v4_leases"]["extra"]) == 1


def test_a_scope_that_differs_is_named_by_its_category() -> None:
    old, new = {"ScopeId": "10.0.1.0", "Name": "a"}, {"ScopeId": "10.0.1.0", "Name": "b"}
    found = compared({"v4_scopes": [old]}, {"v4_scopes": [new]})
    assert found.counts() == "v4_scopes 1"
    assert found.differences()["v4_scopes"]["changed"] == [new]
    assert compared({"v4_scopes": [old]}, {"v4_scopes": [new]}, allowed=("v4_scopes",)).is_equal


def test_what_was_there_before_the_import_is_told_only() -> None:
    foreign = {"ScopeId": "10.0.9.0"}
    assert not compared({"v4_scopes": []}, {"v4_scopes": [foreign]}).is_equal
    found = compared({"v4_scopes": []}, {"v4_scopes": [foreign]}, kept={"v4_scopes": [foreign]})
    assert found.is_equal
    assert any("1 extra" in warning for warning in found.warnings())


def test_nap_counts_only_where_it_exists() -> None:
    old, new = {"ScopeId": "10.0.1.0", "NapEnable": True}, {"ScopeId": "10.0.1.0", "NapEnable": None}
    assert not compared({"v4_scopes": [old]}, {"v4_scopes": [new]}).is_equal
    assert compared({"v4_scopes": [old]}, {"v4_scopes": [new]}, nap=False).is_equal


def test_of_the_server_settings_conflict_detection_is_a_fault() -> None:
    old = {"ConflictDetectionAttempts": 2, "ActivatePolicies": True}
    assert compared({"server_settings": [old]}, {"server_settings": [{**old, "ActivatePolicies": False}]}).is_equal
    assert not compared(
        {"server_settings": [old]}, {"server_settings": [{**old, "ConflictDetectionAttempts": 0}]}
    ).is_equal


@pytest.mark.parametrize("category", ["v4_dns_settings", "audit_log", "dhcp_groups"])
def test_what_an_import_is_not_said_to_bring_is_a_warning(category: str) -> None:
    found = compared({category: [{"id": "", "name": "x", "a": 1}]}, {category: [{"id": "", "name": "x", "a": 2}]})
    assert found.is_equal
    assert list(found.warnings())


def test_counts_are_compared_where_nothing_else_is_known() -> None:
    pair = {"ScopeId": "10.0.1.0", "IPAddress": "10.0.1.20", "ClientId": "02-00-00-00-00-01"}
    old = {"v4_scopes": [{"ScopeId": "10.0.1.0"}], "v4_leases": [pair]}
    found = compared(old, {"v4_scopes": [{"ScopeId": "10.0.1.0", "Name": "a"}], "v4_leases": [lease()]}, COUNTS)
    assert (found.is_equal, found.level) == (True, COUNTS)
    assert not compared(old, {"v4_scopes": [], "v4_leases": [lease()]}, COUNTS).is_equal


def test_lists_of_differences_end_at_a_hundred() -> None:
    found = compared({"v4_scopes": [{"ScopeId": str(n)} for n in range(150)]}, {"v4_scopes": []})
    shown = found.differences()["v4_scopes"]
    assert (len(shown["missing"]), shown["truncated"]) == (100, True)


def test_records_are_canonical() -> None:
    given: dict[str, Any] = {"LeaseDuration": datetime.timedelta(days=8), "Name": "", "NapEnable": False}
    record = canonical(Scope(**given))
    assert (record["LeaseDuration"], record["Name"], record["NapEnable"]) == (691200, None, False)
    given = {"ClientId": "02-AA-00-00-00-01", "LeaseExpiryTime": NOW}
    found = canonical(Lease(**given))
    assert (found["ClientId"], found["LeaseExpiryTime"]) == ("02-aa-00-00-00-01", "2026-11-20T12:00:00Z")


def test_digests_do_not_depend_on_the_order_and_freezing_not_on_expiry() -> None:
    one, two = lease(), lease("10.0.1.21")
    assert digest([one, two]) == digest([two, one])
    assert digest([one]) != digest([two])
    assert frozen_digest([one]) == frozen_digest([{**one, "AddressState": "Expired"}])
    assert frozen_digest([one]) != frozen_digest([{**one, "LeaseExpiryTime": PAST}])


@pytest.mark.parametrize("text", ["00155d00000a", "00:15:5D:00:00:0A", "0015.5d00.000a", "00-15-5d-00-00-0a"])
def test_a_hardware_address_has_one_form(text: str) -> None:
    assert normalized_mac(text) == "00-15-5D-00-00-0A"


@pytest.mark.parametrize("text", ["", "00155d", "zz155d00000a", "000000000000", "ff:ff:ff:ff:ff:ff", "01155d00000a"])
def test_what_is_no_unicast_address_is_refused(text: str) -> None:
    with pytest.raises(Refusal, match="mac_map: "):
        normalized_mac(text)


def test_rules_of_the_store_password() -> None:
    assert password_faults("Fieldnotes-2026", weak=False) == []
    assert password_faults("simple", weak=True) == []
    assert len(password_faults("short", weak=False)) == 3


def test_an_export_file_with_a_dtd_or_other_scopes_is_no_store() -> None:
    good = b"<DHCPServer><IPv4><Scopes><Scope><ScopeId>10.0.1.0</ScopeId></Scope></Scopes></IPv4></DHCPServer>"
    assert export_problem(good, ["10.0.1.0"]) == ("", "")
    assert export_problem(good, ["10.0.2.0"])[0]
    assert export_problem(b"<!DOCTYPE x>" + good, ["10.0.1.0"])[0] == "the export file has a DTD"
    assert "not well formed" in export_problem(good[:-5], ["10.0.1.0"])[0]
    assert export_problem(b"<Other/>", ["10.0.1.0"])[1]


def test_a_manifest_is_private_and_its_hash_outlives_its_phases(tmp_path: Path) -> None:
    data = {
        "schema": 1,
        "phase": "exported",
        "history": [],
        "auth": {"name": "a", "ip": "b"},
        "files": [],
        "inventory": {"level": FULL, "taken_utc": "", "records": {}},
    }
    found = manifest.write(tmp_path / "m", data)
    assert stat.S_IMODE(found.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(found.home.stat().st_mode) == 0o700
    later = found.in_phase("retired", "2026-11-20T12:00:00Z", "bert-old")
    assert later.sha256 == found.sha256
    read = manifest.load(tmp_path / "m")
    assert read is not None
    assert (read.phase, read.sha256) == ("retired", found.sha256)
    assert list((tmp_path / "m").iterdir()) == [found.path]
    manifest.put_aside(tmp_path / "m")
    assert manifest.load(tmp_path / "m") is None


@pytest.mark.parametrize("name", ["..\\x", "a\\..\\b", "C:\\x", "a/b", ""])
def test_no_file_of_a_host_is_written_elsewhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(Failure, match="is no name of a file"):
        manifest.copy_path(tmp_path, "store", name)
