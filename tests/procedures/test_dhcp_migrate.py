# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""dhcp_migrate on a simulated network: two servers, a domain controller, clients that go on renewing.

Leaving the ``with`` block of a `Migration` asserts that none of the invariants was broken at any simulated second.
"""

from __future__ import annotations

import datetime
import json
import re
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.dhcp import (
    DC,
    ID,
    NEW,
    NEW_IP,
    OLD,
    OLD_IP,
    PASSWORD,
    SERVER_2008_R2,
    SERVER_2012,
    SERVER_2012_R2,
    SERVER_2019,
    SERVER_2022,
    Migration,
    codes,
    network,
    scope,
)
from support.points import Point
from winsim import Host
from winsim.providers import directory, services
from winsim.providers import files as files_provider
from winsim.providers.adapters import Adapters
from winsim.providers.cluster import Clusters, Owned
from winsim.providers.dhcp import Network, Server
from winsim.providers.dhcp.state import Lease
from winsim.providers.migration import Migration as MigrationTools
from winsim.providers.operating_system import Files
from winsim.providers.registry import RegistryState
from winsim.trouble import Asked, Trouble, troubles_of

ROLLED_BACK = ("Running", "Auto")
RETIRED = ("Stopped", "Disabled")
TOOLS = {"features": ["DHCP", "RSAT-DHCP", "Migration"]}
SMALL = {"scopes": [scope(1, 3, 1)]}
ON_D = {"FileName": r"D:\dhcp\dhcp.mdb", "BackupPath": r"D:\dhcp\backup"}


def failed(result: dict[str, Any], code: str) -> str:
    """The message of a failure with this code."""
    assert result.get("failed"), result
    assert result["failure"]["code"] == code, result["msg"]
    message: str = result["msg"]
    return message


def untouched(world: Migration, host: str) -> None:
    """Nothing was written to a host, and no journal is there."""
    assert world.writes(host) == []
    assert world.journal(host) is None


def listed(world: Migration) -> list[str]:
    """Names in the authorization list, as the domain controller has it."""
    return [entry.name.partition(".")[0] for entry in directory.read_list(world.host(DC))]


def cut(world: Migration, host: str, when: Callable[[Asked], bool], nth: int = 1) -> None:
    """The request takes effect, nobody hears of it, and the host cannot be reached for a minute: as if killed."""
    troubles_of(world.host(host)).add(Trouble("lost", seconds=60), when=when, nth=nth)


def later(world: Migration) -> None:
    """The host can be reached again."""
    world.fleet.clock.advance(61)


def asks(word: str) -> Callable[[Asked], bool]:
    return lambda asked: word in asked.what


def writes_step(code: str) -> Callable[[Asked], bool]:
    """The write of the journal that says that a step begins."""
    return lambda asked: f'"step":"{code}"' in asked.text.replace("&quot;", '"')


def pipeline_of(code: str, number: int) -> Callable[[Asked], bool]:
    """The number-th pipeline of a step. What a pipeline holds is told only after it has begun."""
    begins, seen = writes_step(code), [False, 0]

    def strikes(asked: Asked) -> bool:
        seen[0] = seen[0] or begins(asked)
        seen[1] += bool(seen[0]) and asked.action == "Command"
        return seen[1] == number and asked.action == "Command"

    return strikes


def files(world: Migration, host: str) -> list[str]:
    """What is left of the migration on a host."""
    return [path for path in world.host(host).state(Files).files if ID in path]


# The way through


@pytest.mark.acceptance("dhcp_migrate", "A1")
def test_the_old_server_is_exported_and_retired(tmp_path: Path) -> None:
    with Migration(network(busy=30), tmp_path) as world:
        result = world.export()
        assert result["changed"], result
        assert (result["method"], result["freeze_used"], result["phase"]) == ("dhcpserver", "pause", "retired")
        counts = result["inventory"]["counts"]
        assert (counts["v4_scopes"], counts["v4_reservations"]) == (3, 7)
        assert counts["v4_leases"] >= 120 + 7
        assert world.manifest["final"]
        assert world.manifest["phase"] == "retired"
        assert world.service(OLD) == RETIRED
        assert listed(world) == []
        assert result["authorization"]["after"] is False
        assert result["service"] == {"state": "Stopped", "start_mode": "Disabled"}
        order = codes(result, "done")
        assert order.index("o15_unauthorize") < order.index("o16_disable")


def test_the_copies_on_the_controller_are_for_their_owner_only(tmp_path: Path) -> None:
    with Migration(network(), tmp_path) as world:
        result = world.export()
        home = tmp_path / ID
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        modes = {stat.S_IMODE(each.stat().st_mode) for each in home.rglob("*") if each.is_file()}
        assert modes == {0o600}
        assert {Path(one["path"]).name for one in result["files"]} >= {"dhcpexport.xml", "dhcp.mdb"}


@pytest.mark.acceptance("dhcp_migrate", "A2")
@pytest.mark.acceptance("dhcp_migrate", "A36")
@pytest.mark.parametrize("check", [False, True])
def test_a_second_export_has_nothing_to_do(tmp_path: Path, check: bool) -> None:
    with Migration(network(), tmp_path) as world:
        world.export()
        asked = len(world.requests(OLD)), len(world.requests(DC))
        result = world.export(check=check)
        assert not result["changed"]
        assert codes(result) == codes(result, "skipped")
        assert world.writes(OLD, asked[0]) == world.writes(DC, asked[1]) == []
        assert (len(world.requests(OLD)) - asked[0], len(world.requests(DC)) - asked[1]) == (6, 1)


@pytest.mark.acceptance("dhcp_migrate", "A3")
def test_the_new_server_gets_everything_and_serves(tmp_path: Path) -> None:
    with Migration(network(busy=30), tmp_path) as world:
        world.export()
        result = world.import_()
        assert result["changed"], result
        assert "n03_role" in codes(result, "done")
        assert "n09_import" in codes(result, "done")
        assert result["differences"] == {}
        assert result["lost_leases"] == []
        assert result["ponr"]
        assert world.service(NEW) == ("Running", "Auto")
        assert world.server(NEW).authorized
        assert listed(world) == [NEW]
        assert world.marker(NEW) is not None
        assert world.manifest["phase"] == "completed"
        assert files(world, NEW) == []
        assert any("relays" in warning for warning in result["warnings"])


@pytest.mark.acceptance("dhcp_migrate", "A4")
def test_a_second_import_does_not_touch_new_leases(tmp_path: Path) -> None:
    with Migration(network(busy=30), tmp_path) as world:
        world.export()
        world.import_()
        world.fleet.clock.advance(1800)
        before = dict(world.server(NEW).leases)
        asked = len(world.requests(NEW))
        result = world.import_()
        assert not result["changed"], result
        assert "n09_import" not in codes(result)
        assert world.writes(NEW, asked) == []
        assert world.server(NEW).leases == before


@pytest.mark.acceptance("dhcp_migrate", "A5")
def test_an_import_after_the_end_only_starts_a_stopped_service(tmp_path: Path) -> None:
    with Migration(network(), tmp_path) as world:
        world.export()
        world.import_()
        host = world.host(NEW)
        found = host.state(services.ServicesState).get("DHCPServer")
        assert found is not None
        services.stop(host, found)
        world.fleet.clock.advance(30)
        result = world.import_()
        assert result["changed"]
        assert codes(result, "done") == ["n15_live"]
        assert world.service(NEW) == ("Running", "Auto")


@pytest.mark.acceptance("dhcp_migrate", "A35")
def test_check_mode_predicts_and_writes_nothing(tmp_path: Path) -> None:
    with Migration(network(), tmp_path) as world:
        predicted = world.export(check=True)
        assert predicted["changed"]
        assert set(codes(predicted)) == set(codes(predicted, "planned"))
        assert predicted["inventory"]["frozen"] is False
        assert world.writes(OLD) == world.writes(DC) == []
        assert list(tmp_path.iterdir()) == []
        assert world.service(OLD) == ("Running", "Auto")
        done = world.export()
        assert codes(done, "done") == codes(predicted)
        assert predicted["after"]["service"] == done["after"]["service"] == "Stopped"


def test_check_mode_of_the_import_predicts_what_it_does(tmp_path: Path) -> None:
    with Migration(network(), tmp_path) as world:
        world.export()
        predicted = world.import_(check=True)
        untouched(world, NEW)
        assert predicted["changed"]
        assert predicted["after"]["counts"]["v4_scopes"] == 3
        assert codes(world.import_(), "done") == codes(predicted)


# Rehearsal, hold


@pytest.mark.acceptance("dhcp_migrate", "A25")
def test_a_rehearsal_lets_the_old_server_serve_again(tmp_path: Path) -> None:
    with Migration(network(busy=30), tmp_path) as world:
        result = world.export(authorized=True)
        assert result["changed"], result
        assert codes(result, "done")[-1] == "o14r_resume"
        assert world.service(OLD) == ROLLED_BACK
        assert world.serves(OLD)
        assert world.manifest["final"] is False
        assert listed(world) == [OLD]
        assert not world.export(authorized=True)["changed"]


@pytest.mark.acceptance("dhcp_migrate", "A24")
def test_a_rehearsal_cannot_go_live(tmp_path: Path) -> None:
    with Migration(network(), tmp_path) as world:
        world.export(authorized=True)
        failed(world.import_(), "E_NOT_FINAL")
        untouched(world, NEW)


def test_a_rehearsal_is_verified_and_held_on_the_new_server(tmp_path: Path) -> None:
    with Migration(network(), tmp_path) as world:
        world.export(authorized=True)
        result = world.import_(authorized=False)
        assert not result.get("failed"), result["msg"]
        assert world.service(NEW) == RETIRED
        assert world.marker(NEW) is None
        assert world.serves(OLD)


def test_a_held_server_goes_live_without_another_import(tmp_path: Path) -> None:
    with Migration(network(), tmp_path) as world:
        world.export()
        held = world.import_(authorized=False)
        assert codes(held, "done")[-1] == "n14h_hold"
        assert world.service(NEW) == RETIRED
        result = world.import_()
        assert not result.get("failed"), result["msg"]
        assert "n09_import" in codes(result, "skipped")
        assert "n11_verify" in codes(result, "done")
        assert world.serves(NEW)


# Workgroup


@pytest.mark.acceptance("dhcp_migrate", "A37")
@pytest.mark.parametrize("method", ["dhcpserver", "smig"])
def test_a_workgroup_has_no_authorization_and_its_new_server_pauses(tmp_path: Path, method: str) -> None:
    password = {"store_password": PASSWORD} if method == "smig" else {}
    with Migration(network(domain=False, busy=30, old=TOOLS), tmp_path) as world:
        result = world.export(method=method, **password)
        assert not result.get("failed"), result["msg"]
        assert "o15_unauthorize" not in codes(result)
        result = world.import_(**password)
        assert not result.get("failed"), result["msg"]
        assert world.serves(NEW)
        assert world.service(OLD) == RETIRED
        assert any("PauseService" in request.what for request in world.requests(NEW))


# Migration tools


@pytest.mark.acceptance("dhcp_migrate", "A6")
def test_the_migration_tools_move_windows_server_2008_r2(tmp_path: Path) -> None:
    old = {"build": SERVER_2008_R2, "features": ["DHCP", "Migration"], "migration": {"registered": True}}
    with Migration(network(old=old), tmp_path) as world:
        result = world.export(store_password=PASSWORD)
        assert not result.get("failed"), result["msg"]
        assert result["method"] == "smig"
        order = codes(result, "done")
        assert order.index("o08_stop") < order.index("o09_export") < order.index("o11_verify")
        assert any("Get-SmigServerFeature" in request.what for request in world.requests(OLD))
        assert result["inventory"]["level"] == "counts"
        assert world.service(OLD) == RETIRED
        assert world.manifest["phase"] == "retired"


OF_2008_R2: dict[str, Any] = {"build": SERVER_2008_R2, "migration": {"registered": True}}


@pytest.mark.parametrize("name", ["DHCPServer", "DHCPServerCore"])
def test_windows_server_2008_r2_gets_its_role_from_dism(tmp_path: Path, name: str) -> None:
    old = {**OF_2008_R2, "features": ["DHCP"]}
    switches = {"features.dism_dhcp_name": name}
    with Migration(network(old=old, new=OF_2008_R2, switches=switches, dhcp=SMALL), tmp_path) as world:
        result = world.export(store_password=PASSWORD)
        assert not result.get("failed"), result["msg"]
        result = world.import_(store_password=PASSWORD)
        assert not result.get("failed"), result["msg"]
        assert "n03_role" in codes(result, "done")
        assert result["comparison"] == "counts"
        assert world.serves(NEW)
        result = world.migrate(OLD, "cleaned", remove_role=True)
        assert not result.get("failed"), result["msg"]
        assert not world.host(OLD).has_feature("DHCP")


def test_windows_server_2008_r2_gets_the_migration_tools_from_dism(tmp_path: Path) -> None:
    old = {**OF_2008_R2, "features": ["DHCP"]}
    with Migration(network(old=old, new={"build": SERVER_2008_R2}, dhcp=SMALL), tmp_path) as world:
        world.export(store_password=PASSWORD)
        result = world.import_(store_password=PASSWORD)
        assert not result.get("failed"), result["msg"]
        assert world.host(NEW).has_feature("Migration")
        assert world.serves(NEW)


@pytest.mark.parametrize("build", [SERVER_2008_R2, SERVER_2022])
def test_a_role_that_takes_effect_after_a_restart_waits_for_one_that_is_allowed(tmp_path: Path, build: int) -> None:
    old = {**OF_2008_R2, "features": ["DHCP"]}
    new = {"build": build, "feature_setup": {"restart": ["DHCP", "Migration"]}}
    with Migration(network(old=old, new=new, dhcp=SMALL), tmp_path) as world:
        world.export(store_password=PASSWORD)
        result = world.import_(store_password=PASSWORD)
        failed(result, "E_REBOOT_NEEDED")
        assert not result["rolled_back"]
        result = world.import_(store_password=PASSWORD, allow_reboot=True)
        assert not result.get("failed"), result["msg"]
        assert world.serves(NEW)


@pytest.mark.parametrize("build", [SERVER_2008_R2, SERVER_2022])
def test_a_role_that_cannot_be_installed_brings_both_servers_back(tmp_path: Path, build: int) -> None:
    old = {**OF_2008_R2, "features": ["DHCP"]}
    new = {"build": build, "feature_setup": {"unavailable": ["DHCP"]}}
    with Migration(network(old=old, new=new, dhcp=SMALL), tmp_path) as world:
        world.export(store_password=PASSWORD)
        result = world.import_(store_password=PASSWORD)
        assert failed(result, "E_IMPORT").startswith("n03_role failed: installing DHCP")
        assert result["rolled_back"]
        assert world.migrate(OLD, "rolled_back")["changed"]
        assert world.serves(OLD)


def test_the_migration_tools_end_where_the_cmdlets_end(tmp_path: Path) -> None:
    with Migration(network(old=TOOLS, busy=30), tmp_path) as world:
        assert not world.export(method="smig", store_password=PASSWORD).get("failed")
        result = world.import_(store_password=PASSWORD)
        assert not result.get("failed"), result["msg"]
        assert world.serves(NEW)
        assert result["lost_leases"] == []


@pytest.mark.acceptance("dhcp_migrate", "A7")
def test_a_domain_controller_has_no_local_users(tmp_path: Path) -> None:
    old = {**TOOLS, "directory_role": {"domain_controller": True}}
    with Migration(network(old=old), tmp_path) as world:
        message = failed(world.export(method="smig", users="all", store_password=PASSWORD), "E_DC_USERS")
        assert message.startswith("A domain controller has no local users; exporting users would copy the domain.")
        untouched(world, OLD)
        assert world.serves(OLD)


@pytest.mark.acceptance("dhcp_migrate", "A8")
def test_the_groups_of_a_domain_controller_do_not_go_to_a_member(tmp_path: Path) -> None:
    old = {**TOOLS, "directory_role": {"domain_controller": True}}
    with Migration(network(old=old), tmp_path) as world:
        failed(world.export(method="smig", target_is_dc=False, store_password=PASSWORD), "E_DC_GROUPS")
        failed(world.export(method="smig", store_password=PASSWORD), "E_TARGET_ROLE_UNKNOWN")
        untouched(world, OLD)


@pytest.mark.acceptance("dhcp_migrate", "A9")
def test_the_groups_of_a_domain_controller_go_to_another(tmp_path: Path) -> None:
    old = {**TOOLS, "directory_role": {"domain_controller": True}}
    with Migration(network(old=old), tmp_path) as world:
        result = world.export(method="smig", target_is_dc=True, store_password=PASSWORD)
        assert not result.get("failed"), result["msg"]
        assert world.manifest["phase"] == "retired"


@pytest.mark.acceptance("dhcp_migrate", "A10")
@pytest.mark.parametrize("password", ["short", "alllowercaseletters", "x" * 300])
def test_a_weak_password_is_refused_and_not_shown(tmp_path: Path, password: str) -> None:
    with Migration(network(old=TOOLS), tmp_path) as world:
        result = world.export(method="smig", store_password=password)
        assert failed(result, "E_PASSWORD").startswith("store_password does not meet the rules: ")
        assert password not in json.dumps(result)
        untouched(world, OLD)


def test_the_password_is_nowhere(tmp_path: Path) -> None:
    with Migration(network(old=TOOLS), tmp_path) as world:
        shown = [world.export(method="smig", store_password=PASSWORD), world.import_(store_password=PASSWORD)]
        assert [result.get("failed") for result in shown] == [None, None]
        assert PASSWORD not in json.dumps(shown)
        for name in (OLD, NEW):
            assert PASSWORD not in json.dumps(world.journal(name))
            assert all(PASSWORD not in request.request + request.what for request in world.requests(name))
            assert PASSWORD.encode() not in bytes(world.host(name).plaintext)
        kept = b"".join(each.read_bytes() for each in tmp_path.rglob("*") if each.is_file())
        assert PASSWORD.encode() not in kept
        assert PASSWORD.encode("utf-16-le") not in kept


def test_a_failing_cmdlet_does_not_tell_the_password(tmp_path: Path) -> None:
    with Migration(network(old=TOOLS, switches={"migration.failure": "error"}), tmp_path) as world:
        world.host(OLD).state(MigrationTools).failures["export"] = f"cannot use {PASSWORD}"
        result = world.export(method="smig", store_password=PASSWORD)
        failed(result, "E_EXPORT")
        assert PASSWORD not in json.dumps(result)
        # What Windows itself writes into its log is not ours.
        kept = world.host(OLD).state(Files).files
        del kept[next(path for path in kept if path.endswith("servermigration.log"))]


# The second hop


@pytest.mark.acceptance("dhcp_migrate", "A11")
@pytest.mark.parametrize("number", ["20070", "5"])
def test_the_list_is_out_of_reach_without_delegation(tmp_path: Path, number: str) -> None:
    with Migration(network(switches={"directory.second_hop": number}), tmp_path) as world:
        result = world.export(authorize_via=None)
        message = failed(result, "E_SECOND_HOP")
        assert message.startswith(
            "The authorization list in Active Directory cannot be read from bert-old with this connection (ntlm)."
        )
        assert result["failure"]["step"] == "o01_preflight"
        untouched(world, OLD)
        assert world.serves(OLD)


@pytest.mark.acceptance("dhcp_migrate", "A12")
def test_the_list_is_read_and_changed_on_the_domain_controller(tmp_path: Path) -> None:
    with Migration(network(), tmp_path) as world:
        result = world.export()
        assert result["authorization"]["via"] == DC
        changed = [request.what for request in world.requests(DC) if request.resource == "PS_DhcpServerInDC"]
        assert {"Get", "Remove"} <= set(changed)
        assert not any(request.resource == "PS_DhcpServerInDC" for request in world.requests(OLD))
        assert world.manifest["phase"] == "retired"


# Refusals of the export


@pytest.mark.acceptance("dhcp_migrate", "A13")
def test_a_folder_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    with Migration(network(), tmp_path) as world:
        files_provider.write(world.host(OLD), rf"C:\DHCP\fieldnotes\{ID}\backup\something", b"x")
        message = failed(world.export(), "E_STORE_NOT_EMPTY")
        assert rf"C:\DHCP\fieldnotes\{ID}\backup is not empty." in message
        untouched(world, OLD)


@pytest.mark.acceptance("dhcp_migrate", "A34")
def test_failover_is_refused_with_its_names(tmp_path: Path) -> None:
    relationship = {"Name": "pair", "PartnerServer": "bert-two", "Mode": "LoadBalance", "ScopeId": ["10.0.1.0"]}
    with Migration(network(dhcp={"records": {"v4Failover": [relationship]}}), tmp_path) as world:
        message = failed(world.export(), "E_FAILOVER")
        assert message.startswith("Scopes 10.0.1.0 belong to failover relationship pair with bert-two.")
        untouched(world, OLD)
        result = world.export(failover_policy="remove")
        assert not result.get("failed"), result["msg"]
        assert codes(result, "done")[0] == "o02f_failover"
        assert [one["name"] for one in world.manifest["failover"]] == ["pair"]
        result = world.import_()
        assert any("Add-DhcpServerv4Failover" in warning for warning in result["warnings"])


@pytest.mark.acceptance("dhcp_migrate", "A40")
@pytest.mark.parametrize("state", ["exported", "imported", "rolled_back", "cleaned"])
def test_a_bad_id_is_refused_without_a_request(tmp_path: Path, state: str) -> None:
    with Migration(network(), tmp_path) as world:
        failed(world.migrate(OLD, state, migration_id="bad id!"), "E_PARAM")
        assert world.requests(OLD) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"base_path": r"\\server\share"}, "base_path: "),
        ({"base_path": "C:\\"}, "base_path: "),
        ({"base_path": "C:\\" + "x" * 240}, "base_path: "),
        ({"service_timeout": 5}, "service_timeout: must be between 10 and 3600 seconds, got 5"),
        ({"allow_differences": ["v4_nonsense"]}, "allow_differences: there is no category v4_nonsense"),
        ({"controller_dir": None}, "controller_dir: is required for state exported"),
    ],
)
def test_malformed_parameters_are_refused(tmp_path: Path, arguments: dict[str, Any], said: str) -> None:
    with Migration(network(), tmp_path) as world:
        assert failed(world.export(**arguments), "E_PARAM").startswith(said)
        assert world.requests(OLD) == []


def test_a_host_without_dhcp_is_refused(tmp_path: Path) -> None:
    with Migration(network(), tmp_path) as world:
        assert failed(world.migrate(NEW, "exported"), "E_NOT_SERVER").startswith(
            "There is no DHCP Server service on bert-new."
        )
        untouched(world, NEW)


def test_a_server_that_does_not_run_or_is_not_authorized_is_refused(tmp_path: Path) -> None:
    fleet = network()
    fleet["directory"]["servers"] = []
    with Migration(fleet, tmp_path) as world:
        failed(world.export(), "E_NOT_AUTHORIZED")
    with Migration(network(), tmp_path) as world:
        host = world.host(OLD)
        found = host.state(services.ServicesState).get("DHCPServer")
        assert found is not None
        services.stop(host, found)
        world.fleet.clock.advance(10)
        assert "is Stopped; only a healthy running server" in failed(world.export(), "E_NOT_RUNNING")


def test_several_addresses_need_to_be_told_apart(tmp_path: Path) -> None:
    old = {"adapters": {"LAN": {"addresses": [OLD_IP]}, "Second": {"addresses": ["10.9.0.1"]}}}
    with Migration(network(old=old), tmp_path) as world:
        failed(world.export(), "E_IP_MULTI")
        assert not world.export(ip_address=OLD_IP).get("failed")


def test_a_pending_restart_is_refused(tmp_path: Path) -> None:
    key = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired"
    with Migration(network(), tmp_path) as world:
        world.host(OLD).state(RegistryState).make(key)
        failed(world.export(), "E_PENDING_REBOOT")
        untouched(world, OLD)


def test_the_leases_of_a_workgroup_server_that_cannot_pause_cannot_be_frozen(tmp_path: Path) -> None:
    old = {"services": {"DHCPServer": {"accept_pause": False}}}
    with Migration(network(domain=False, old=old), tmp_path) as world:
        failed(world.export(), "E_NO_FREEZE")
        untouched(world, OLD)


@pytest.mark.parametrize("side", [OLD, NEW])
def test_a_role_of_a_cluster_is_refused(tmp_path: Path, side: str) -> None:
    with Migration(network(clusters={"CL1": {"nodes": [side]}}), tmp_path) as world:
        resource = Owned("DHCP Server 1", type="DHCP Service")
        world.fleet.state(Clusters).clusters["cl1"].resources["dhcp server 1"] = resource
        result = world.export()
        if side == NEW:
            assert not result.get("failed"), result["msg"]
            result = world.import_()
        message = failed(result, "E_CLUSTERED")
        assert message.startswith(f"DHCP on {side} is a cluster role; it cannot be moved by this module.")
        untouched(world, side)


@pytest.mark.parametrize("stopped", ["fault", "node_down", "empty"])
def test_the_feature_of_clusters_alone_makes_no_node(tmp_path: Path, stopped: str) -> None:
    old = {"features": ["DHCP", "RSAT-DHCP", "Failover-Clustering"]}
    with Migration(network(old=old, switches={"cluster.stopped": stopped}), tmp_path) as world:
        result = world.export(check=True)
        assert not result.get("failed"), result["msg"]


def test_a_folder_that_cannot_hold_the_copies_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Migration(network(), tmp_path / "file") as world:
        message = failed(world.export(), "E_CONTROLLER_DIR")
        assert message.startswith(f"Cannot keep the copies in {tmp_path / 'file' / ID}: {tmp_path / 'file'} is not a")
        untouched(world, OLD)


def test_a_full_controller_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: (2**40, 2**40 - 50 * 2**20, 50 * 2**20))
    with Migration(network(), tmp_path) as world:
        message = failed(world.export(), "E_CONTROLLER_DIR")
        assert message.startswith(f"Cannot keep the copies in {tmp_path / ID}: 50 MiB are free, 200 MiB are needed.")
        untouched(world, OLD)


def test_a_full_drive_is_refused(tmp_path: Path) -> None:
    old = {"volumes": {"C:": {}, "D:": {"size": "1 GiB", "free": "20 MiB"}}}
    with Migration(network(old=old), tmp_path) as world:
        message = failed(world.export(base_path=r"D:\dhcp"), "E_SPACE")
        assert re.match(r"D: has 20 MiB free, 1\d\d MiB are needed\.", message)
        assert failed(world.export(base_path=r"X:\dhcp"), "E_SPACE").startswith("X: has 0 MiB free")
        untouched(world, OLD)


@pytest.mark.parametrize("build", [SERVER_2008_R2, SERVER_2012_R2])
def test_a_server_without_the_migration_tools_is_refused(tmp_path: Path, build: int) -> None:
    old = {"build": build, "feature_setup": {"unavailable": ["Migration"]}}
    with Migration(network(old=old), tmp_path) as world:
        message = failed(world.export(method="smig", store_password=PASSWORD), "E_SMIG_MISSING")
        assert message.startswith("The migration tools are not available on bert-old.")
        assert "SmigDeploy.exe" in message
        untouched(world, OLD)


# Trouble during the export


@pytest.mark.acceptance("dhcp_migrate", "A14")
def test_a_full_disk_brings_the_old_server_back(tmp_path: Path) -> None:
    with Migration(network(busy=30), tmp_path) as world:
        world.server(OLD).failures["export"] = 112
        result = world.export()
        failed(result, "E_EXPORT")
        assert result["rolled_back"]
        assert result["failure"]["step"].startswith("o09")
        assert world.service(OLD) == ROLLED_BACK
        assert world.serves(OLD)
        assert listed(world) == [OLD]
        assert files(world, OLD) == []
        assert world.journal(OLD) is None


@pytest.mark.acceptance("dhcp_migrate", "A15")
def test_an_export_that_was_cut_is_repeated(tmp_path: Path) -> None:
    with Migration(network(old=TOOLS), tmp_path) as world:
        cut(world, OLD, pipeline_of("o09_export", 2))
        assert world.export(method="smig", store_password=PASSWORD).get("unreachable")
        later(world)
        assert world.service(OLD)[0] == "Stopped"
        result = world.export(method="smig", store_password=PASSWORD)
        assert not result.get("failed"), result["msg"]
        assert result["resumed"]
        assert "o08_stop" in codes(result, "skipped")
        assert "o09_export" in codes(result, "done")
        assert world.service(OLD) == RETIRED


@pytest.mark.acceptance("dhcp_migrate", "A16")
def test_a_server_that_served_meanwhile_is_exported_anew(tmp_path: Path) -> None:
    with Migration(network(busy=30), tmp_path) as world:
        cut(world, OLD, writes_step("o13_manifest"))
        assert world.export().get("unreachable")
        later(world)
        before = world.journal(OLD)
        assert before is not None
        world.host(OLD).reboot()
        world.fleet.clock.advance(600)
        assert world.serves(OLD)
        result = world.export()
        assert not result.get("failed"), result["msg"]
        assert codes(result, "skipped") == ["o03_dirs"]
        after = world.journal(OLD)
        assert after is not None
        assert after["inventory_sha256"] != before["inventory_sha256"]
        assert world.service(OLD) == RETIRED


@pytest.mark.acceptance("dhcp_migrate", "A17")
@pytest.mark.parametrize("times", [1, 2])
def test_a_lease_that_changed_is_seen_and_the_export_repeated_once(tmp_path: Path, times: int) -> None:
    with Migration(network(), tmp_path) as world:
        done: list[int] = []

        def grant(host: Host, request: Any) -> None:
            if host.name == OLD and "Export-DhcpServer" in request.what and len(done) < times:
                done.append(1)
                server: Server = host.state(Server)
                ip = f"10.0.1.{190 + len(done)}"
                server.leases[ip] = Lease(ip, "10.0.1.0", f"02-aa-00-00-00-0{len(done)}", expires=_never(world))

        world.fleet.watchers.append(grant)
        result = world.export()
        assert len(done) == times
        if times == 1:
            assert not result.get("failed"), result["msg"]
            assert any(
                lease["IPAddress"] == "10.0.1.191" for lease in world.manifest["inventory"]["records"]["v4_leases"]
            )
        else:
            failed(result, "E_NOT_FROZEN")
            assert result["rolled_back"]
            assert world.serves(OLD)


def _never(world: Migration) -> datetime.datetime:
    return world.fleet.clock.now() + datetime.timedelta(days=8)


@pytest.mark.acceptance("dhcp_migrate", "A41")
def test_a_server_that_cannot_pause_is_frozen_by_its_authorization(tmp_path: Path) -> None:
    old = {"services": {"DHCPServer": {"accept_pause": False}}}
    with Migration(network(old=old, dhcp={"notice_seconds": 40}, busy=60), tmp_path) as world:
        result = world.export()
        assert not result.get("failed"), result["msg"]
        assert result["freeze_used"] == "unauthorize"
        order = codes(result, "done")
        assert order.index("o15_unauthorize") < order.index("o05_inventory")
        granted = {lease.ip for lease in world.server(OLD).leases.values()}
        kept = {lease["IPAddress"] for lease in world.manifest["inventory"]["records"]["v4_leases"]}
        assert kept == granted
        assert world.service(OLD) == RETIRED


@pytest.mark.parametrize("paused", ["serves", "no_management"])
def test_a_pause_that_does_not_hold_gives_way_to_the_authorization(tmp_path: Path, paused: str) -> None:
    with Migration(network(switches={"dhcp.paused": paused}, busy=120), tmp_path) as world:
        result = world.export()
        assert not result.get("failed"), result["msg"]
        assert result["freeze_used"] == "unauthorize"
        assert world.service(OLD) == RETIRED


@pytest.mark.parametrize(
    ("switch", "position"),
    [
        ("dhcp.computer_name", "required"),
        ("dhcp.computer_name", "leases"),
        ("dhcp.error", "win32"),
        ("dhcp.error", "return_value"),
        ("dhcp.export_layout", "namespaced"),
        ("dhcp.export_layout", "other"),
        ("dhcp.import_settings", "documented"),
        ("dhcp.import_lease_text", "lost"),
        ("dhcp.import_failover", "carried"),
        ("files.byte_content", "each"),
    ],
)
def test_the_migration_ends_right_whichever_way_windows_is(tmp_path: Path, switch: str, position: str) -> None:
    with Migration(network(switches={switch: position}), tmp_path) as world:
        for result in (world.export(), world.import_()):
            assert not result.get("failed"), result["msg"]
        assert world.serves(NEW)


def test_leases_of_a_large_scope_are_read_by_the_cmdlet_where_the_class_cuts_them_off(tmp_path: Path) -> None:
    large = {"scopes": [scope(1, 150, 3)]}
    with Migration(network(dhcp=large, switches={"dhcp.large_output": "truncated"}), tmp_path) as world:
        result = world.export()
        assert not result.get("failed"), result["msg"]
        assert result["inventory"]["counts"]["v4_leases"] == 153
        assert not world.import_().get("failed")


# Refusals of the import


@pytest.mark.acceptance("dhcp_migrate", "A20")
def test_the_old_server_must_be_out_of_service(tmp_path: Path) -> None:
    with Migration(network(), tmp_path) as world:
        world.export()
        host = world.host(OLD)
        found = host.state(services.ServicesState).get("DHCPServer")
        assert found is not None
        found.start_mode = "Manual"
        services.start(host, found)
        world.fleet.clock.advance(30)
        message = failed(world.import_(), "E_OLD_ALIVE")
        assert message.startswith("bert-old.corp.example can still lease addresses.")
        untouched(world, NEW)


@pytest.mark.acceptance("dhcp_migrate", "A21")
def test_nobody_knows_whether_the_old_server_is_out_of_service(tmp_path: Path) -> None:
    with Migration(network(), tmp_path) as world:
        world.export()
        failed(world.import_(peer_host=None), "E_PEER_UNKNOWN")
        untouched(world, NEW)
        assert not world.import_(peer_host=None, peer_asserted_offline=True).get("failed")


@pytest.mark.acceptance("dhcp_migrate", "A22")
def test_scopes_that_are_not_from_this_migration_are_refused(tmp_path: Path) -> None:
    new = {"features": ["DHCP", "RSAT-DHCP"], "dhcp": {"scopes": [scope(7, 0, 0), scope(8, 0, 0)]}}
    with Migration(network(new=new), tmp_path) as world:
        world.export()
        message = failed(world.import_(), "E_TARGET_HAS_DATA")
        assert message.startswith("bert-new already has 2 scopes that are not from this migration.")
        untouched(world, NEW)


@pytest.mark.acceptance("dhcp_migrate", "A23")
def test_a_foreign_scope_with_the_same_id_is_replaced_and_another_kept(tmp_path: Path) -> None:
    new = {"features": ["DHCP", "RSAT-DHCP"], "dhcp": {"scopes": [scope(1, 0, 0), scope(8, 5, 0)]}}
    with Migration(network(new=new), tmp_path) as world:
        world.export()
        result = world.import_(overwrite_target=True)
        assert not result.get("failed"), result["msg"]
        assert "n08_prebackup" in codes(result, "done")
        assert any("Import-DhcpServer" in request.what for request in world.requests(NEW))
        assert list((tmp_path / ID / "prebackup").rglob("dhcp.mdb"))
        scopes = {record["ScopeId"] for record in world.server(NEW).records["v4Scope"]}
        assert scopes == {"10.0.1.0", "10.0.2.0", "10.0.3.0", "10.0.8.0"}
        assert any("1 extra" in warning for warning in result["warnings"]), result["warnings"]
        assert world.serves(NEW)


def test_a_manifest_is_needed_and_its_files_must_fit(tmp_path: Path) -> None:
    with Migration(network(), tmp_path) as world:
        failed(world.import_(), "E_NO_MANIFEST")
        world.export()
        store = next((tmp_path / ID / "store").iterdir())
        store.write_bytes(store.read_bytes() + b" ")
        failed(world.import_(), "E_NO_MANIFEST")
        untouched(world, NEW)


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        (
            {},
            {"language": "de-DE"},
            "E_LANGUAGE",
            "Source and destination have different display languages (1033, 1031); the migration tools do not support "
            "that.",
        ),
        (
            {"volumes": {"C:": {}, "D:": {}}, "dhcp": {**SMALL, "database": ON_D}},
            {},
            "E_DB_DRIVE",
            r"The database path D:\dhcp\dhcp.mdb needs drive D: on bert-new.",
        ),
        (
            {},
            {"feature_setup": {"unavailable": ["Migration"]}},
            "E_SMIG_MISSING",
            "The migration tools are not available on bert-new.",
        ),
    ],
    ids=["language", "drive", "tools"],
)
def test_a_server_that_a_migration_store_does_not_fit_is_refused(
    tmp_path: Path, old: dict[str, Any], new: dict[str, Any], code: str, said: str
) -> None:
    with Migration(network(old={**TOOLS, **old}, new=new), tmp_path) as world:
        result = world.export(method="smig", store_password=PASSWORD)
        assert not result.get("failed"), result["msg"]
        assert failed(world.import_(store_password=PASSWORD), code).startswith(said)
        untouched(world, NEW)


@pytest.mark.parametrize(("old", "new"), [(SERVER_2012_R2, SERVER_2012), (SERVER_2022, SERVER_2019)])
def test_an_older_windows_is_refused(tmp_path: Path, old: int, new: int) -> None:
    with Migration(network(old={"build": old}, new={"build": new}), tmp_path) as world:
        world.export()
        message = failed(world.import_(), "E_OS_OLDER")
        assert message.startswith("The new server runs an older Windows than the old one.")
        untouched(world, NEW)


@pytest.mark.parametrize("ip_config", ["nic", "global", "all"])
def test_another_number_of_adapters_is_refused(tmp_path: Path, ip_config: str) -> None:
    lan = {"addresses": [OLD_IP], "mac": "00-15-5D-00-00-0A"}
    old = {**TOOLS, "adapters": {"LAN": lan, "Second": {"addresses": ["10.9.0.1"], "mac": "00-15-5D-00-00-1A"}}}
    new = {"adapters": {"LAN": {"addresses": [NEW_IP], "mac": "00-15-5D-00-00-0B"}}}
    pair = {"source": "00-15-5D-00-00-0A", "target": "00-15-5D-00-00-0B"}
    with Migration(network(old=old, new=new), tmp_path) as world:
        arguments: dict[str, Any] = {"store_password": PASSWORD, "ip_config": ip_config}
        result = world.export(method="smig", ip_address=OLD_IP, **arguments)
        assert not result.get("failed"), result["msg"]
        result = world.import_(mac_map=[pair], reconnect_host="127.0.0.1", **arguments)
        message = failed(result, "E_NIC_COUNT")
        assert message.startswith("Old had 2 connected adapters, new has 1.")
        untouched(world, NEW)


@pytest.mark.acceptance("dhcp_migrate", "A31")
@pytest.mark.acceptance("dhcp_migrate", "A32")
def test_the_map_of_adapters_and_the_addresses_are_looked_at(tmp_path: Path) -> None:
    old = {**TOOLS, "adapters": {"LAN": {"addresses": [OLD_IP], "mac": "00-15-5D-00-00-0A"}}}
    new = {"adapters": {"LAN": {"addresses": [NEW_IP], "mac": "00-15-5D-00-00-0B"}}}
    with Migration(network(old=old, new=new), tmp_path) as world:
        arguments: dict[str, Any] = {"store_password": PASSWORD, "ip_config": "nic", "reconnect_host": "127.0.0.1"}
        world.export(method="smig", **{k: v for k, v in arguments.items() if k != "reconnect_host"})

        def pairs(source: str) -> list[dict[str, str]]:
            return [{"source": source, "target": "00-15-5D-00-00-0B"}]

        message = failed(world.import_(**arguments, mac_map=pairs("00:15:5d:00:00:ff")), "E_MAC")
        assert "00-15-5D-00-00-FF" in message
        failed(world.import_(**arguments), "E_MAC")
        message = failed(world.import_(**arguments, mac_map=pairs("00155d00000a")), "E_IP_IN_USE")
        assert message.startswith(f"{OLD_IP} is still in use")
        untouched(world, NEW)


@pytest.mark.acceptance("dhcp_migrate", "A33")
@pytest.mark.parametrize("command", ["survives", "ends"])
def test_the_new_server_is_found_again_under_the_address_of_the_old_one(tmp_path: Path, command: str) -> None:
    old = {**TOOLS, "adapters": {"LAN": {"addresses": [OLD_IP], "mac": "00-15-5D-00-00-0A"}}}
    new = {
        "adapters": {"LAN": {"addresses": [NEW_IP], "mac": "00-15-5D-00-00-0B"}},
        "addressing": {"reach": {NEW_IP: "127.0.7.12", OLD_IP: "127.0.7.11"}},
    }
    fleet = network(old=old, new=new, switches={"migration.session_lost": command})
    with Migration(fleet, tmp_path) as world:
        moved: dict[str, Any] = {"store_password": PASSWORD, "ip_config": "nic"}
        assert not world.export(method="smig", **moved).get("failed")
        world.host(OLD).state(Adapters).adapters["lan"].addresses = ["10.0.0.99"]
        pair = {"source": "00-15-5D-00-00-0A", "target": "00-15-5D-00-00-0B"}
        result = world.import_(**moved, mac_map=[pair], reconnect_host="127.0.7.11", ip_address=OLD_IP)
        assert not result.get("failed"), result["msg"]
        done = codes(result, "done")
        assert done[done.index("n06_ip") + 1] == "n09_import"
        assert world.host(NEW).state(Adapters).adapters["lan"].addresses[0] == OLD_IP
        assert world.serves(NEW)


def test_the_migration_tools_are_installed_where_they_are_missing(tmp_path: Path) -> None:
    with Migration(network(), tmp_path) as world:
        result = world.export(method="smig", store_password=PASSWORD)
        assert not result.get("failed"), result["msg"]
        assert codes(result, "done")[0] == "o02t_tools"


def test_an_import_that_needs_a_restart_waits_for_one_that_is_allowed(tmp_path: Path) -> None:
    with Migration(network(old=TOOLS, new={"migration": {"restart_after_import": True}}), tmp_path) as world:
        world.export(method="smig", store_password=PASSWORD)
        failed(world.import_(store_password=PASSWORD), "E_REBOOT_NEEDED")
        assert world.journal(NEW) is not None
        result = world.import_(store_password=PASSWORD, allow_reboot=True)
        assert not result.get("failed"), result["msg"]
        assert world.serves(NEW)


# Trouble during the import


@pytest.mark.acceptance("dhcp_migrate", "A18")
def test_a_missing_lease_brings_both_servers_back(tmp_path: Path) -> None:
    with Migration(network(), tmp_path) as world:
        world.export()

        def lose(host: Host, request: Any) -> None:
            if host.name == NEW and "Import-DhcpServer" in request.what:
                host.state(Server).leases.pop("10.0.1.13", None)

        world.fleet.watchers.append(lose)
        result = world.import_()
        failed(result, "E_VERIFY")
        assert [lease["ip_address"] for lease in result["lost_leases"]] == ["10.0.1.13"]
        assert result["rolled_back"]
        assert world.service(NEW) == RETIRED
        assert listed(world) == []
        back = world.migrate(OLD, "rolled_back", peer_host=NEW)
        assert back["changed"], back
        assert back["rolled_back"]
        assert world.serves(OLD)
        assert listed(world) == [OLD]
        assert world.manifest["phase"] == "rolled_back"


@pytest.mark.acceptance("dhcp_migrate", "A19")
def test_a_lease_that_expired_before_the_comparison_is_not_lost(tmp_path: Path) -> None:
    dying = {"ip": "10.0.1.50", "client_id": "02-00-00-00-00-50", "expires_in": 600}
    one = {**scope(1, 0, 0), "leases": [dying, {**dying, "ip": "10.0.1.51", "expires_in": 86400}]}
    with Migration(network(dhcp={"scopes": [one]}), tmp_path) as world:
        world.export()
        world.fleet.clock.advance(1200)

        def expire(host: Host, request: Any) -> None:
            if host.name == NEW and "Import-DhcpServer" in request.what:
                host.state(Server).leases.pop("10.0.1.50", None)

        world.fleet.watchers.append(expire)
        result = world.import_()
        assert not result.get("failed"), result["msg"]
        assert result["expired_meanwhile"] == 1
        assert result["lost_leases"] == []
        assert world.serves(NEW)


@pytest.mark.acceptance("dhcp_migrate", "A26")
def test_a_run_that_was_cut_after_the_point_of_no_return_goes_on_there(tmp_path: Path) -> None:
    with Migration(network(), tmp_path) as world:
        world.export()
        cut(world, NEW, writes_step("n14_authorize"))
        assert world.import_().get("unreachable")
        later(world)
        assert not world.serves(NEW)
        result = world.import_()
        assert not result.get("failed"), result["msg"]
        assert "n09_import" in codes(result, "skipped")
        assert "n14_authorize" in codes(result, "done")
        assert world.serves(NEW)


@pytest.mark.acceptance("dhcp_migrate", "A27")
def test_an_import_that_was_cut_is_repeated_over_its_own_scopes(tmp_path: Path) -> None:
    with Migration(network(), tmp_path) as world:
        world.export()
        cut(world, NEW, pipeline_of("n09_import", 2))
        assert world.import_().get("unreachable")
        later(world)
        # Without -ScopeOverwrite the import would now be refused: the scopes are there.
        assert len(world.server(NEW).records["v4Scope"]) == 3
        asked = len(world.requests(NEW))
        result = world.import_()
        assert not result.get("failed"), result["msg"]
        later_requests = world.requests(NEW, asked)
        position = next(n for n, request in enumerate(later_requests) if "Import-DhcpServer" in request.what)
        assert any(request.resource == "PS_DhcpServerSetting" for request in later_requests[:position])
        assert world.serves(NEW)


@pytest.mark.acceptance("dhcp_migrate", "A28")
@pytest.mark.acceptance("dhcp_migrate", "A29")
def test_a_server_that_never_sees_its_authorization_can_give_way_without_loss(tmp_path: Path) -> None:
    fleet = network()
    fleet["directory"]["replication_seconds"] = 86400
    fleet["hosts"]["dc2"] = {"build": SERVER_2022, "directory_role": {"domain_controller": True}}
    fleet["hosts"][NEW]["directory_role"] = {"asks": "dc2"}
    with Migration(fleet, tmp_path) as world:
        world.export()
        result = world.import_()
        failed(result, "E_AUTHORIZE")
        assert result["ponr"]
        assert result["failure"]["step"] == "n15_live"
        assert "rolled_back on the new server, then rolled_back on the old one" in result["failure"]["remedy"]
        assert world.service(NEW)[0] == "Running"
        assert listed(world) == [NEW]
        assert world.migrate(NEW, "rolled_back")["changed"]
        assert world.service(NEW) == RETIRED
        assert listed(world) == []
        failed(world.migrate(OLD, "rolled_back"), "E_PONR")
        back = world.migrate(OLD, "rolled_back", peer_host=NEW)
        assert back["changed"], back
        assert world.serves(OLD)


def test_a_server_with_another_address_does_not_come_back(tmp_path: Path) -> None:
    with Migration(network(), tmp_path) as world:
        world.export()
        world.host(OLD).state(Adapters).adapters["lan"].addresses = ["10.0.0.99"]
        asked = len(world.requests(OLD))
        message = failed(world.migrate(OLD, "rolled_back"), "E_IDENTITY_CHANGED")
        assert message.startswith(
            "This server is now bert-old.corp.example (10.0.0.99); it was authorized as bert-old.corp.example "
            "(10.0.0.11)."
        )
        assert world.writes(OLD, asked) == []
        assert world.service(OLD) == RETIRED
        world.host(OLD).state(Adapters).adapters["lan"].addresses = [OLD_IP]
        assert world.migrate(OLD, "rolled_back")["changed"]
        assert world.serves(OLD)


# Afterwards


@pytest.mark.acceptance("dhcp_migrate", "A30")
def test_after_the_end_the_old_server_does_not_come_back(tmp_path: Path) -> None:
    with Migration(network(), tmp_path) as world:
        world.export()
        world.import_()
        failed(world.migrate(OLD, "rolled_back"), "E_PONR")
        failed(world.migrate(OLD, "rolled_back", peer_host=NEW), "E_PONR")
        assert world.service(OLD) == RETIRED
        assert world.serves(NEW)


@pytest.mark.acceptance("dhcp_migrate", "A38")
@pytest.mark.acceptance("dhcp_migrate", "A39")
def test_the_role_goes_only_when_the_migration_is_over(tmp_path: Path) -> None:
    with Migration(network(), tmp_path) as world:
        world.export()
        message = failed(world.migrate(OLD, "cleaned", remove_role=True), "E_NOT_COMPLETED")
        assert message.startswith("The migration is not completed (phase retired).")
        assert world.host(OLD).has_feature("DHCP")
        world.import_()
        result = world.migrate(OLD, "cleaned", remove_role=True)
        assert result["changed"], result
        assert result["reboot_required"] is False
        assert not world.host(OLD).has_feature("DHCP")
        assert files(world, OLD) == []
        assert world.journal(OLD) is None
        assert not world.migrate(OLD, "cleaned", remove_role=True)["changed"]
        assert world.migrate(NEW, "cleaned")["changed"]
        assert world.journal(NEW) is None
        assert world.marker(NEW) is not None


def test_an_inventory_changes_nothing(tmp_path: Path) -> None:
    with Migration(network(), tmp_path) as world:
        result = world.run(OLD, "dhcp_migrate", state="inventoried", authorize_via=DC)
        assert not result["changed"]
        assert result["inventory"]["counts"]["v4_leases"] == 127
        assert world.writes(OLD) == []


def test_another_migration_that_is_open_is_left_alone(tmp_path: Path) -> None:
    with Migration(network(), tmp_path) as world:
        cut(world, OLD, writes_step("o05_inventory"))
        world.export()
        later(world)
        message = failed(world.export(migration_id="another"), "E_BUSY")
        assert message.startswith(f"Migration {ID} is still open on bert-old")
        assert not world.export().get("failed")


def test_a_domain_controller_that_drops_its_connection_brings_the_old_server_back(tmp_path: Path) -> None:
    with Migration(network(), tmp_path) as world:
        troubles_of(world.host(DC)).add(Trouble("drop_before"), when=lambda _: confirms(world))
        result = world.export()
        assert result["rolled_back"] is True
        assert world.service(OLD) == ("Running", "Auto")
        assert listed(world) == [OLD]
        assert world.journal(OLD) is None


def test_a_way_back_that_was_cut_does_not_hold_up_the_next_export(tmp_path: Path) -> None:
    with Migration(network(), tmp_path) as world:
        cut(world, DC, lambda _: confirms(world))
        assert world.export()["unreachable"]
        assert world.service(OLD) == ("Stopped", "Auto")
        later(world)
        result = world.export()
        assert not result.get("failed"), result["msg"]
        assert codes(result, "done")[:2] == ["o14_stop", "o15_unauthorize"]
        assert world.service(OLD) == RETIRED
        assert listed(world) == []


def confirms(world: Migration) -> bool:
    """Whether the old server is being looked at for the last time."""
    journal = world.journal(OLD)
    return journal is not None and journal.get("step") == "o17_confirm"


@pytest.mark.parametrize("rollback", [True, False])
def test_a_dropped_connection_brings_the_old_server_back_or_leaves_the_journal(tmp_path: Path, rollback: bool) -> None:
    with Migration(network(), tmp_path) as world:
        troubles_of(world.host(OLD)).add(Trouble("drop_after"), when=asks("Backup"))
        result = world.export(rollback_on_failure=rollback)
        assert result.get("failed") or result.get("unreachable")
        assert world.serves(OLD) is rollback
        assert not world.export().get("failed")
        assert world.service(OLD) == RETIRED


def test_clients_keep_their_leases_through_it_all(tmp_path: Path) -> None:
    with Migration(network(busy=60), tmp_path) as world:
        world.export()
        world.import_()
        world.fleet.clock.advance(600)
        assert world.fleet.state(Network).renewed > 0
        assert world.server(NEW).counters["Acks"] > 0


# Cut in each state


OLD_STEPS = [
    "o03_dirs",
    "o04_freeze",
    "o05_inventory",
    "o06_backup",
    "o07_backup_fetch",
    "o09_export",
    "o10_recheck",
    "o11_verify",
    "o12_fetch",
    "o13_manifest",
    "o14_stop",
    "o15_unauthorize",
    "o16_disable",
    "o17_confirm",
]


@pytest.mark.parametrize("code", ["o05_inventory", "o12_fetch"])
def test_an_export_that_was_cut_at_any_step_ends_right(tmp_path: Path, code: str) -> None:
    with Migration(network(busy=30), tmp_path) as world:
        cut(world, OLD, writes_step(code))
        assert world.export().get("unreachable")
        later(world)
        result = world.export()
        assert not result.get("failed"), result["msg"]
        assert result["resumed"]
        assert world.service(OLD) == RETIRED
        assert world.manifest["phase"] == "retired"
        assert not world.import_().get("failed")
        assert world.serves(NEW)


@pytest.mark.parametrize(
    "code", [pytest.param(code, marks=() if code == "o16_disable" else pytest.mark.faults) for code in OLD_STEPS]
)
def test_an_export_that_was_cut_at_any_step_can_be_rolled_back(tmp_path: Path, code: str, point: Point) -> None:
    with (
        point("dhcp_migrate (export cut at a step, rolled back)", "host silent"),
        Migration(network(busy=30), tmp_path) as world,
    ):
        cut(world, OLD, writes_step(code))
        assert world.export().get("unreachable")
        later(world)
        result = world.migrate(OLD, "rolled_back")
        assert not result.get("failed"), result["msg"]
        assert world.serves(OLD)
        assert listed(world) == [OLD]
        assert world.journal(OLD) is None
        assert files(world, OLD) == []
        assert not world.migrate(OLD, "rolled_back")["changed"]


@pytest.mark.parametrize("code", ["n05_put", "n11_verify", "n15_live"])
def test_an_import_that_was_cut_at_any_step_ends_right(tmp_path: Path, code: str) -> None:
    with Migration(network(busy=30), tmp_path) as world:
        world.export()
        cut(world, NEW, writes_step(code))
        assert world.import_().get("unreachable")
        later(world)
        result = world.import_()
        assert not result.get("failed"), result["msg"]
        assert world.serves(NEW)
        assert world.manifest["phase"] == "completed"
        assert world.marker(NEW) is not None
        assert not world.import_()["changed"]
