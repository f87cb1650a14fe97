# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What must never happen to DHCP servers is seen when it happens, and nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from winsim import Fleet, Host
from winsim.log import Request, command_writes
from winsim.providers import providers
from winsim.providers.dhcp import Server, is_serving, violations
from winsim.providers.dhcp.invariants import JOURNAL, InvariantBroken, Witness, secret_seen
from winsim.providers.files import write
from winsim.providers.operating_system import Files
from winsim.providers.registry import RegistryState

SCOPE = {"ScopeId": "10.0.1.0", "SubnetMask": "255.255.255.0", "StartRange": "10.0.1.10", "EndRange": "10.0.1.200"}
OLD, NEW = {"name": "old.corp.example", "ip": "192.0.2.1"}, {"name": "new.corp.example", "ip": "192.0.2.2"}


def build(authorized: list[dict[str, str]], new: dict[str, Any] | None = None, **more: Any) -> Fleet:
    return Fleet.load({
        "domain": "corp.example", "clock": {"speed": 0}, "directory": {"servers": authorized},
        "hosts": {
            "old": {"features": ["DHCP"], "dhcp": {"scopes": [{**SCOPE, "leases": 20}]}},
            "new": {"features": ["DHCP"], "dhcp": {"scopes": [SCOPE]}} if new is None else new,
            "dc1": {"features": ["RSAT-DHCP"], "directory_role": {"domain_controller": True}},
        },
        **more,
    })  # fmt: skip


def numbers(fleet: Fleet) -> list[int]:
    return sorted({each.number for each in violations(fleet)})


def service(host: Host, method: str) -> None:
    providers.invoke(host, "root/cimv2", "Win32_Service", method, {"Name": "DHCPServer"}, {})
    host.fleet.clock.advance(2)


def change_list(fleet: Fleet, method: str, entry: dict[str, str]) -> None:
    inputs = {"DnsName": entry["name"], "IPAddress": entry["ip"]}
    answer = providers.invoke(
        fleet.host("dc1"), "root/Microsoft/Windows/DHCP", "PS_DhcpServerInDC", method, None, inputs
    )
    assert answer["ReturnValue"] == 0
    fleet.clock.advance(1)


def journal(host: Host, state: str | None) -> None:
    registry = host.state(RegistryState)
    if state is None:
        registry.make(JOURNAL).keys.clear()
    else:
        registry.set(f"{JOURNAL}\\m1", "State", json.dumps({"state": state}))
    host.fleet.clock.advance(1)


def asked(host: Host, **more: Any) -> None:
    """A request that the wire would have told of."""
    given = {
        "n": 1, "time": host.now(), "user": "Administrator", "action": "Invoke", "resource": "Win32_Service",
        "namespace": "root/cimv2", "what": "StopService", "wql": "", "properties": (), "writes": True, "status": 200,
        "fault": None, "request": "", "answer": "", "secure": True,
    }  # fmt: skip
    for watcher in host.fleet.watchers:
        watcher(host, Request(**{**given, **more}))


def test_a_fleet_at_rest_breaks_nothing() -> None:
    fleet = build([OLD], dhcp_clients={"renewals_per_minute": 60, "arrivals_per_minute": 6})
    fleet.clock.advance(600)
    assert violations(fleet, raising=True) == []


def test_two_servers_for_one_scope_are_seen_with_the_moment_and_the_request() -> None:
    fleet = build([OLD])
    journal(fleet.host("old"), "frozen")
    asked(fleet.host("dc1"), resource="PS_DhcpServerInDC", what="Add")
    change_list(fleet, "Add", NEW)
    found = [each for each in violations(fleet) if each.number == 1]
    assert len(found) == 1
    assert found[0].when <= fleet.clock.now()
    assert found[0].request == "dc1 #1 Invoke PS_DhcpServerInDC Add"
    assert "old and new can both lease 10.0.1.0" in str(found[0])
    with pytest.raises(InvariantBroken, match=r"10\.0\.1\.0"):
        violations(fleet, raising=True)


def test_two_servers_of_a_failover_relationship_share_a_scope() -> None:
    relationship = [{"Name": "pair", "PartnerServer": "x", "ScopeId": ["10.0.1.0"]}]
    fleet = build([OLD, NEW])
    assert numbers(fleet) == [1]
    fleet = build([OLD])
    for name in ("old", "new"):
        fleet.host(name).state(Server).records["v4Failover"] = [dict(each) for each in relationship]
    change_list(fleet, "Add", NEW)
    assert numbers(fleet) == []


def test_a_lease_that_the_next_server_does_not_know_is_lost() -> None:
    fleet = build([OLD])
    old, new = fleet.host("old"), fleet.host("new")
    journal(old, "frozen")
    service(old, "StopService")
    change_list(fleet, "Remove", OLD)
    leases = old.state(Server).leases
    new.state(Server).leases = {ip: lease for ip, lease in leases.items() if ip != "10.0.1.15"}
    change_list(fleet, "Add", NEW)
    assert is_serving(new)
    (lost,) = violations(fleet)
    assert lost.number == 3
    assert "10.0.1.15" in lost.what


def test_a_lease_that_has_ended_meanwhile_is_not_lost() -> None:
    fleet = build([OLD])
    old, new = fleet.host("old"), fleet.host("new")
    service(old, "StopService")
    change_list(fleet, "Remove", OLD)
    for lease in old.state(Server).leases.values():
        lease.expires = fleet.clock.now()
    fleet.state(Witness).given["10.0.1.0"] = list(old.state(Server).leases.values())
    assert new.state(Server).leases == {}
    change_list(fleet, "Add", NEW)
    assert numbers(fleet) == []


@pytest.mark.parametrize("end", [None, "rolled_back"])
def test_a_migration_that_ends_leaves_a_server(end: str | None) -> None:
    fleet = build([OLD])
    old = fleet.host("old")
    journal(old, "frozen")
    service(old, "StopService")
    fleet.clock.advance(60)
    assert numbers(fleet) == []
    journal(old, end)
    assert numbers(fleet) == [2]


def test_a_migration_that_is_rolled_back_to_a_running_server_is_fine() -> None:
    fleet = build([OLD])
    old = fleet.host("old")
    journal(old, "frozen")
    service(old, "StopService")
    service(old, "StartService")
    journal(old, None)
    assert numbers(fleet) == []


def test_a_change_before_the_journal_is_seen_and_reading_is_none() -> None:
    fleet = build([OLD])
    old = fleet.host("old")
    asked(old, writes=False, resource="*", what="")
    asked(old, resource="StdRegProv", what="CreateKey")
    line = "C:\\Windows\\System32\\netsh.exe dhcp show server"
    asked(old, action="Command", resource="cmd", what=line, writes=command_writes(line))
    assert numbers(fleet) == []
    asked(old)
    assert numbers(fleet) == [4]


def test_after_the_journal_changes_are_expected() -> None:
    fleet = build([OLD])
    old = fleet.host("old")
    journal(old, "prepared")
    asked(old)
    assert numbers(fleet) == []


@pytest.mark.parametrize("place", ["file", "registry", "request"])
def test_a_secret_that_turns_up_is_seen(place: str) -> None:
    fleet = build([OLD])
    old = fleet.host("old")
    secret_seen(old, "Very secret 1")
    assert numbers(fleet) == []
    if place == "file":
        write(old, "C:\\x.txt", "the password is Very secret 1".encode("utf-16-le"))
    elif place == "registry":
        journal(old, "Very secret 1")
    else:
        asked(old, writes=False, request="<x>Very secret 1</x>")
    assert numbers(fleet) == [5]


def export(host: Host) -> None:
    host.state(Files).folders["c:\\store"] = "C:\\store"
    played = providers.cmdlet(host, "Export-DhcpServer")
    assert played is not None
    list(played.run(host, {"File": "C:\\store\\x.xml", "Leases": True}, []))


def test_an_import_into_a_server_that_serves_is_seen() -> None:
    fleet = build([OLD])
    old = fleet.host("old")
    journal(old, "prepared")
    export(old)
    played = providers.cmdlet(old, "Import-DhcpServer")
    assert played is not None
    given = {"File": "C:\\store\\x.xml", "BackupPath": "C:\\b", "Leases": True, "Force": True, "ScopeOverwrite": True}
    list(played.run(old, given, []))
    assert numbers(fleet) == [6]


def test_what_is_watched_begins_with_the_first_server_of_a_fleet() -> None:
    fleet = Fleet.load({"clock": {"speed": 0}, "hosts": {"N1": {}}})
    assert fleet.watchers == []
    played = providers.cmdlet(fleet.host("N1"), "Install-WindowsFeature")
    assert played is not None
    list(played.run(fleet.host("N1"), {"Name": ["DHCP"]}, []))
    assert len(fleet.watchers) == 1
