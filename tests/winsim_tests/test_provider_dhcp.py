# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

import pytest
from winsim import Fleet, Host
from winsim.providers import Caller, ErrorRecord, Fault, calling, providers
from winsim.providers.dhcp import Network, Server, is_serving, violations
from winsim.providers.dhcp.clients import request_lease
from winsim.providers.directory import Directory
from winsim.providers.files import is_folder
from winsim.providers.operating_system import Files
from winsim.providers.services import ServicesState

NAMESPACE = "root/Microsoft/Windows/DHCP"
SCOPE = {"ScopeId": "10.0.1.0", "SubnetMask": "255.255.255.0", "StartRange": "10.0.1.10", "EndRange": "10.0.1.200"}
OLD, NEW = "192.0.2.1", "192.0.2.2"


def build(**more: Any) -> Fleet:
    fleet: dict[str, Any] = {
        "domain": "corp.example",
        "clock": {"speed": 0},
        "directory": {"servers": [{"name": "old.corp.example", "ip": OLD}]},
        "hosts": {
            "old": {"features": ["DHCP"], "dhcp": {"scopes": [{**SCOPE, "leases": 40, "reservations": 3}]}},
            "new": {"features": ["DHCP"]},
            "dc1": {"features": ["RSAT-DHCP"], "directory_role": {"domain_controller": True}},
        },
    }
    return Fleet.load({**fleet, **more})


def ask(host: Host, noun: str, method: str = "Get", **inputs: Any) -> Any:
    outputs = providers.invoke(host, NAMESPACE, f"PS_DhcpServer{noun}", method, None, inputs)
    assert outputs["ReturnValue"] == 0
    found = outputs.get("cmdletOutput")
    if isinstance(found, list):
        return [each.values for each in found]
    return found.values if found is not None else None


def run(host: Host, name: str, **parameters: Any) -> list[Any]:
    played = providers.cmdlet(host, name)
    assert played is not None
    return list(played.run(host, parameters, []))


def service(host: Host, method: str, **inputs: Any) -> None:
    answer = providers.invoke(host, "root/cimv2", "Win32_Service", method, {"Name": "DHCPServer"}, inputs)
    assert answer["ReturnValue"] == 0
    host.fleet.clock.advance(2)


def folder(host: Host, path: str) -> None:
    host.state(Files).folders[path.lower()] = path


def listed(fleet: Fleet) -> set[str]:
    return {each["DnsName"] for each in ask(fleet.host("dc1"), "InDC") or []}


def test_what_classes_and_cmdlets_answer_is_the_same() -> None:
    old = build().host("old")
    for noun, method, inputs in (
        ("v4Scope", "Get", {}),
        ("v4Lease", "GetByScopeId", {"ScopeId": "10.0.1.0", "AllLeases": True}),
        ("v4Reservation", "GetByScopeId", {"ScopeId": "10.0.1.0"}),
        ("v4OptionDefinition", "Get", {"All": True}),
        ("v4ScopeStatistics", "Get", {}),
    ):
        by_cmdlet = [dict(each.properties) for each in run(old, f"Get-DhcpServer{noun}", **inputs)]
        assert by_cmdlet == ask(old, noun, method, **inputs)
        assert by_cmdlet


def test_addresses_in_use_are_the_active_leases() -> None:
    old = build().host("old")
    (usage,) = ask(old, "v4ScopeStatistics")
    leases = ask(old, "v4Lease", "GetByScopeId", ScopeId="10.0.1.0", AllLeases=True)
    assert usage["AddressesInUse"] == 40
    assert [each["AddressState"] for each in leases].count("Active") == 40
    assert [each["AddressState"] for each in leases].count("InactiveReservation") == 3
    assert usage["AddressesFree"] == 191 - 40


def test_a_scope_that_is_not_there_is_refused_in_each_form() -> None:
    old = build().host("old")
    for position, code in (("hresult", 0x80074E25), ("win32", 20005)):
        old.switches["dhcp.error"] = position
        with pytest.raises(Fault) as refused:
            ask(old, "v4Scope", ScopeId=["10.9.9.0"])
        assert refused.value.code == code
    old.switches["dhcp.error"] = "return_value"
    answer = providers.invoke(old, NAMESPACE, "PS_DhcpServerv4Scope", "Get", None, {"ScopeId": ["10.9.9.0"]})
    assert answer == {"ReturnValue": 20005}
    (record,) = run(old, "Get-DhcpServerv4Scope", ScopeId=["10.9.9.0"])
    assert isinstance(record, ErrorRecord)
    assert record.error_id == "DHCP 20005,Get-DhcpServerv4Scope"


def test_a_stopped_server_answers_no_management_call() -> None:
    old = build().host("old")
    service(old, "StopService")
    (record,) = run(old, "Get-DhcpServerSetting")
    assert record.error_id == "WIN32 1753,Get-DhcpServerSetting"


@pytest.mark.parametrize(("position", "leases", "answers"), [
    ("ignores", False, True), ("serves", True, True), ("no_management", False, False),
])  # fmt: skip
def test_a_paused_server_behaves_in_one_of_three_ways(position: str, leases: bool, answers: bool) -> None:
    fleet = build()
    old = fleet.host("old")
    old.switches["dhcp.paused"] = position
    service(old, "PauseService")
    assert (request_lease(fleet, "10.0.1.0", "02-00-00-00-00-01").ip is not None) == leases
    assert isinstance(run(old, "Get-DhcpServerSetting")[0], ErrorRecord) != answers


def test_clients_renew_and_arrive_while_a_server_serves() -> None:
    fleet = build(dhcp_clients={"renewals_per_minute": 60, "arrivals_per_minute": 6})
    old, network = fleet.host("old"), fleet.state(Network)
    fleet.clock.advance(60)
    assert (network.renewed, network.granted, network.unanswered) == (60, 6, 0)
    assert ask(old, "v4Statistics")["Acks"] == 66
    service(old, "StopService")
    before = dict(old.state(Server).leases)
    fleet.clock.advance(60)
    assert network.unanswered > 60
    assert old.state(Server).leases == before


def test_a_server_serves_only_while_it_is_authorized() -> None:
    fleet = build()
    old, new, dc = fleet.host("old"), fleet.host("new"), fleet.host("dc1")
    assert is_serving(old)
    assert not is_serving(new)
    ask(dc, "InDC", "Remove", DnsName="old.corp.example", IPAddress=OLD)
    assert not is_serving(old)
    assert ask(old, "Setting")["IsAuthorized"] is False
    assert listed(fleet) == set()
    ask(dc, "InDC", "Add", DnsName="old.corp.example", IPAddress=OLD)
    assert is_serving(old)


def test_a_server_may_go_on_leasing_for_a_while_after_its_entry_is_gone() -> None:
    fleet = build()
    old = fleet.host("old")
    old.state(Server).notice_seconds = 40
    ask(fleet.host("dc1"), "InDC", "Remove", DnsName="old.corp.example", IPAddress=OLD)
    fleet.clock.advance(39)
    assert is_serving(old)
    fleet.clock.advance(2)
    assert not is_serving(old)


def test_replication_brings_a_change_to_the_other_controllers_later() -> None:
    fleet = Fleet.load({
        "domain": "corp.example", "clock": {"speed": 0},
        "directory": {"replication_seconds": 15, "servers": [{"name": "old.corp.example", "ip": OLD}]},
        "hosts": {"old": {"features": ["DHCP"], "directory_role": {"asks": "dc2"}},
                  "dc1": {"features": ["RSAT-DHCP"], "directory_role": {"domain_controller": True}},
                  "dc2": {"features": ["RSAT-DHCP"], "directory_role": {"domain_controller": True}}},
    })  # fmt: skip
    old = fleet.host("old")
    ask(fleet.host("dc1"), "InDC", "Remove", DnsName="old.corp.example", IPAddress=OLD)
    assert ask(fleet.host("dc1"), "InDC") is None
    assert ask(fleet.host("dc2"), "InDC")
    assert is_serving(old)
    again = Fleet.restore(fleet.dump())
    for each in (fleet, again):
        each.clock.advance(15)
        assert ask(each.host("dc2"), "InDC") is None
        assert not is_serving(each.host("old"))


@pytest.mark.parametrize("position", ["20070", "5"])
def test_the_list_is_out_of_reach_from_a_member_without_delegation(position: str) -> None:
    old = build().host("old")
    old.switches["directory.second_hop"] = position
    (record,) = run(old, "Get-DhcpServerInDC")
    assert record.error_id.split(",")[0].split()[1] == position
    with calling(Caller("Administrator", "CredSSP", delegated=True)):
        (entry,) = run(old, "Get-DhcpServerInDC")
    assert dict(entry.properties) == {"DnsName": "old.corp.example", "IPAddress": OLD}


def test_who_may_not_change_the_list_is_denied() -> None:
    fleet = build()
    fleet.state(Directory).may_authorize = ["Enterprise"]
    (record,) = run(fleet.host("dc1"), "Add-DhcpServerInDC", DnsName="new.corp.example", IPAddress=NEW)
    assert record.error_id == "WIN32 5,Add-DhcpServerInDC"
    assert listed(fleet) == {"old.corp.example"}


def test_a_backup_needs_an_empty_folder_and_restores_after_a_restart() -> None:
    fleet = build()
    old = fleet.host("old")
    assert run(old, "Backup-DhcpServer", Path="C:\\backup")[0].error_id == "WIN32 3,Backup-DhcpServer"
    folder(old, "C:\\backup")
    assert run(old, "Backup-DhcpServer", Path="C:\\backup") == []
    assert run(old, "Backup-DhcpServer", Path="C:\\backup")[0].error_id == "WIN32 145,Backup-DhcpServer"
    before = dict(old.state(Server).leases)
    old.state(Server).leases.clear()
    run(old, "Restore-DhcpServer", Path="C:\\backup", Force=True)
    assert ask(old, "Setting")["RestoreStatus"] is True
    service(old, "StopService")
    service(old, "StartService")
    assert ask(old, "Setting")["RestoreStatus"] is False
    assert old.state(Server).leases == before


@pytest.mark.parametrize("layout", ["documented", "namespaced", "other"])
def test_an_export_brings_everything_to_the_other_server(layout: str) -> None:
    fleet = build()
    old, new = fleet.host("old"), fleet.host("new")
    old.switches["dhcp.export_layout"] = layout
    folder(old, "C:\\store")
    assert run(old, "Export-DhcpServer", File="C:\\store\\x.xml", Leases=True) == [run(old, "Export-DhcpServer",
        File="C:\\store\\y.xml", Leases=True)[0]]  # fmt: skip
    new.state(Files).add(old.state(Files).files["c:\\store\\x.xml"])
    failures = [each for each in run(new, "Import-DhcpServer", File="C:\\store\\x.xml", BackupPath="C:\\b", Leases=True,
        Force=True) if isinstance(each, ErrorRecord)]  # fmt: skip
    assert failures == []
    assert is_folder(new, "C:\\b")
    for noun, method, inputs in (("v4Scope", "Get", {}), ("v4OptionDefinition", "Get", {"All": True})):
        assert ask(new, noun, method, **inputs) == ask(old, noun, method, **inputs)
    assert new.state(Server).leases == old.state(Server).leases


def test_importing_twice_needs_the_overwrite_switch() -> None:
    fleet = build()
    old = fleet.host("old")
    folder(old, "C:\\store")
    run(old, "Export-DhcpServer", File="C:\\store\\x.xml", Leases=True)
    refused = run(old, "Import-DhcpServer", File="C:\\store\\x.xml", BackupPath="C:\\b", Leases=True, Force=True)
    assert refused[-1].error_id == "DHCP 20004,Import-DhcpServer"
    again = run(old, "Import-DhcpServer", File="C:\\store\\x.xml", BackupPath="C:\\b", Leases=True, Force=True,
        ScopeOverwrite=True)  # fmt: skip
    assert not any(isinstance(each, ErrorRecord) for each in again)


def test_a_fleet_survives_saving_with_servers_clients_and_list() -> None:
    fleet = build(dhcp_clients={"renewals_per_minute": 60})
    fleet.clock.advance(10)
    again = Fleet.restore(fleet.dump())
    assert again.host("old").state(Server) == fleet.host("old").state(Server)
    again.clock.advance(10)
    assert again.state(Network).renewed == fleet.state(Network).renewed + 10
    assert violations(again) == []


def test_the_service_is_there_with_the_role() -> None:
    fleet = build()
    assert fleet.host("old").state(ServicesState).get("DHCPServer") is not None
    assert fleet.host("dc1").state(ServicesState).get("DHCPServer") is None


def test_dc_and_member_tell_their_role() -> None:
    fleet = build()
    role = {host.name: providers.get(host, "root/cimv2", "Win32_ComputerSystem", {})["DomainRole"]
            for host in fleet.hosts.values()}  # fmt: skip
    assert role == {"old": 3, "new": 3, "dc1": 5}


@pytest.mark.parametrize("position", ["false", "true"])
def test_a_workgroup_server_serves_whatever_it_says_of_its_authorization(position: str) -> None:
    fleet = Fleet.load({"clock": {"speed": 0}, "hosts": {"old": {"features": ["DHCP"], "dhcp": {"scopes": [SCOPE]}}}})
    old = fleet.host("old")
    old.switches["dhcp.workgroup_authorized"] = position
    assert ask(old, "Setting")["IsAuthorized"] == (position == "true")
    assert is_serving(old)


@pytest.mark.parametrize("position", ["absent", "carried"])
def test_removing_a_failover_relationship_deletes_its_scopes_on_the_partner_and_an_export_may_carry_it(
    position: str,
) -> None:
    relationship = {"Name": "pair", "PartnerServer": "new.corp.example", "ScopeId": ["10.0.1.0"], "Mode": "LoadBalance"}
    fleet = build()
    old, new = fleet.host("old"), fleet.host("new")
    new.switches["dhcp.import_failover"] = position
    old.state(Server).records["v4Failover"].append(dict(relationship))
    folder(old, "C:\\store")
    run(old, "Export-DhcpServer", File="C:\\store\\x.xml", Leases=True)
    new.state(Files).add(old.state(Files).files["c:\\store\\x.xml"])
    run(new, "Import-DhcpServer", File="C:\\store\\x.xml", BackupPath="C:\\b", Leases=True, Force=True)
    assert len(ask(new, "v4Failover", "GetByName") or []) == (position == "carried")
    ask(old, "v4Failover", "Remove", Name=["pair"], Force=True)
    assert ask(old, "v4Failover", "GetByName") is None
    assert ask(old, "v4Scope")
    assert ask(new, "v4Scope") is None
