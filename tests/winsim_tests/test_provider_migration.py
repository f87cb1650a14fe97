# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Migration tools, server features, addresses that change, and the files that travel between hosts."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from winsim import Fleet, Host
from winsim.providers import ErrorRecord, Output, PSObject, providers
from winsim.providers.adapters import Adapters
from winsim.providers.dhcp import Server, violations
from winsim.providers.files import read, write
from winsim.providers.migration import Migration
from winsim.providers.operating_system import Files, Volumes
from winsim.providers.registry import RegistryState
from winsim.providers.services import ServicesState
from winsim.psrp.objects import Secret

SCOPE = {"ScopeId": "10.0.1.0", "SubnetMask": "255.255.255.0", "StartRange": "10.0.1.10", "EndRange": "10.0.1.200"}
PASSWORD = Secret("A long Password 1")
REBOOT_PENDING = "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Component Based Servicing\\RebootPending"


def build(old: dict[str, Any] | None = None, new: dict[str, Any] | None = None) -> tuple[Host, Host]:
    fleet = Fleet.load({
        "clock": {"speed": 0},
        "hosts": {
            "old": {"features": ["DHCP", "Migration"], "dhcp": {
                "scopes": [{**SCOPE, "leases": 40}]}, **(old or {})},
            "new": {"features": ["Migration"], **(new or {})},
        },
    })  # fmt: skip
    return fleet.host("old"), fleet.host("new")


def stopped() -> dict[str, Any]:
    return {"services": {"DHCPServer": {"state": "Stopped"}}}


def run(host: Host, name: str, **parameters: Any) -> list[Any]:
    played = providers.cmdlet(host, name)
    assert played is not None
    return [each for each in played.run(host, parameters, []) if isinstance(each, (PSObject, ErrorRecord, bytes, int))]


def folder(host: Host, path: str) -> None:
    run(host, "New-Item", Path=[path], ItemType="Directory")


def export(host: Host, **more: Any) -> list[Any]:
    folder(host, "C:\\store")
    return run(host, "Export-SmigServerSetting", FeatureId=["DHCP"], Path="C:\\store", Password=PASSWORD, **more)


def carry(old: Host, new: Host) -> None:
    new.state(Files).folders |= old.state(Files).folders
    for file in old.state(Files).files.values():
        if file.data is not None:
            write(new, file.path, file.data)


def import_dhcp(host: Host, **more: Any) -> list[Any]:
    given = {"FeatureId": ["DHCP"], "Path": "C:\\store", "Password": PASSWORD, "Force": True, **more}
    return run(host, "Import-SmigServerSetting", **given)


def texts(found: list[Any]) -> list[str]:
    return [each.message if isinstance(each, ErrorRecord) else str(each.properties["ID"]) for each in found]


@pytest.mark.parametrize("name", ["svrmig.mig", "SvrMig.mig"])
def test_what_was_exported_is_imported_on_the_other_server_and_the_password_is_nowhere(name: str) -> None:
    old, new = build(old=stopped())
    old.switches["migration.file_name"] = name
    assert [each.properties["Success"] for each in export(old, Group=True)] == [True, True]
    assert [
        each.properties["Id"] for each in run(old, "Get-SmigServerFeature", Path="C:\\store", Password=PASSWORD)
    ] == ["DHCP"]
    carry(old, new)
    (result,) = import_dhcp(new)
    assert (result.properties["ID"], result.properties["Success"]) == ("DHCP", True)
    assert new.has_feature("DHCP")
    assert new.state(Server).leases == old.state(Server).leases
    service = new.state(ServicesState).get("DHCPServer")
    assert service is not None
    assert service.state == "Stopped"
    assert violations(old.fleet) == []


def test_a_running_server_is_not_exported_and_a_failure_takes_one_of_two_forms() -> None:
    old, _ = build(old={"services": {}})
    (result,) = export(old)
    assert result.properties["Success"] is False
    assert [each.properties["Severity"] for each in result.properties["DetailsList"]] == ["Error"]
    old.switches["migration.failure"] = "error"
    assert isinstance(export(old)[0], ErrorRecord)
    assert "c:\\store\\svrmig.mig" not in old.state(Files).files


def test_a_store_that_is_there_is_never_overwritten() -> None:
    old, _ = build(old=stopped())
    export(old)
    assert texts(export(old)) == ["A migration store exists in C:\\store."]


def test_a_wrong_password_opens_nothing() -> None:
    old, _ = build(old=stopped())
    export(old)
    (refused,) = run(old, "Get-SmigServerFeature", Path="C:\\store", Password=Secret("Another Password 1"))
    assert isinstance(refused, ErrorRecord)
    assert "Another" not in refused.message


@pytest.mark.parametrize("length", [5, 261])
def test_windows_limits_the_length_of_the_password(length: int) -> None:
    old, _ = build(old=stopped())
    folder(old, "C:\\store")
    (refused,) = run(
        old, "Export-SmigServerSetting", FeatureId=["DHCP"], Path="C:\\store", Password=Secret("x" * length)
    )
    assert isinstance(refused, ErrorRecord)


def test_an_export_onto_a_full_disk_fails_and_leaves_nothing() -> None:
    old, _ = build(old=stopped())
    old.state(Volumes).volumes[0].free = 100
    (result,) = export(old)
    assert result.properties["Success"] is False
    assert read(old, "C:\\store\\svrmig.mig") is None


def test_a_server_of_another_language_or_without_the_drive_is_refused() -> None:
    database = {"scopes": [SCOPE], "database": {"FileName": "E:\\dhcp\\dhcp.mdb"}}
    for more in ({"old": {**stopped(), "dhcp": database}}, {"old": stopped(), "new": {"language": "de-DE"}}):
        old, new = build(**more)
        export(old)
        carry(old, new)
        (result,) = import_dhcp(new)
        assert result.properties["Success"] is False


def test_groups_that_exist_are_warned_of() -> None:
    old, new = build(
        old={**stopped(), "groups": {"DHCP Users": ["CORP\\ops"]}}, new={"features": ["Migration", "DHCP"], **stopped()}
    )
    export(old, Group=True)
    carry(old, new)
    groups, _ = import_dhcp(new, Group=True)
    assert {each.properties["Severity"] for each in groups.properties["DetailsList"]} == {"Warning"}


def test_an_import_may_ask_for_a_restart_once() -> None:
    old, new = build(old=stopped())
    new.state(Migration).restart_after_import = True
    export(old)
    carry(old, new)
    assert [each.properties["DetailCode"] for each in import_dhcp(new)[0].properties["DetailsList"]] == [3]
    assert new.state(RegistryState).key(REBOOT_PENDING) is not None
    new.reboot(0)
    assert new.state(RegistryState).key(REBOOT_PENDING) is None
    providers.invoke(new, "root/cimv2", "Win32_Service", "StopService", {"Name": "DHCPServer"}, {})
    new.fleet.clock.advance(2)
    assert import_dhcp(new)[0].properties["DetailsList"] == []


@pytest.mark.parametrize("position", ["survives", "ends"])
def test_importing_the_address_moves_the_host(position: str) -> None:
    lan, plain = {"mac": "00-15-5D-00-00-01", "addresses": ["10.0.0.5"], "gateways": ["10.0.0.1"]}, "00-15-5D-00-00-02"
    reach = {"reach": {"10.0.0.5": "127.0.1.5", "10.0.0.9": "127.0.1.9"}}
    old, new = build(
        old={**stopped(), "adapters": {"LAN": lan}},
        new={"adapters": {"Ethernet": {"mac": plain, "addresses": ["10.0.0.9"]}}, "addressing": reach},
    )
    new.switches["migration.session_lost"] = position
    assert new.winrm.listen == "127.0.1.9"
    export(old, IPConfig=True)
    carry(old, new)
    found = run(new, "Import-SmigServerSetting", IPConfig="NIC", SourcePhysicalAddress=[lan["mac"]],
        TargetPhysicalAddress=[plain], Path="C:\\store", Password=PASSWORD, Force=True)  # fmt: skip
    assert texts(found) == (["IPConfig"] if position == "survives" else [])
    assert new.winrm.listen == "127.0.1.5"
    adapter = new.state(Adapters).adapters["ethernet"]
    assert (adapter.addresses, adapter.gateways) == (["10.0.0.5"], ["10.0.0.1"])
    assert new.listening


def test_an_address_set_by_hand_moves_the_host_too() -> None:
    _, new = build(new={"adapters": {"Ethernet": {"addresses": ["10.0.0.9"]}},
        "addressing": {"reach": {"10.0.0.5": "127.0.1.5", "10.0.0.9": "127.0.1.9"}}})  # fmt: skip
    configuration = ("root/cimv2", "Win32_NetworkAdapterConfiguration")
    inputs = {"IPAddress": ["10.0.0.5"], "SubnetMask": ["255.255.0.0"]}
    assert providers.invoke(new, *configuration, "EnableStatic", {"Index": 1}, inputs) == {"ReturnValue": 0}
    assert new.winrm.listen == "127.0.1.5"
    shown = providers.get(new, *configuration, {"Index": 1})
    assert (shown["IPAddress"][0], shown["IPSubnet"][0]) == ("10.0.0.5", "255.255.0.0")


# Features


def test_installing_the_role_brings_its_service_which_starts_and_serves_nobody() -> None:
    _, new = build()
    (result,) = run(new, "Install-WindowsFeature", Name=["DHCP"], IncludeManagementTools=True)
    assert result.properties["Success"] is True
    assert (result.properties["ExitCode"].name, result.properties["RestartNeeded"].name) == ("Success", "No")
    new.fleet.clock.advance(2)
    service = new.state(ServicesState).get("DHCPServer")
    assert service is not None
    assert service.state == "Running"
    (again,) = run(new, "Install-WindowsFeature", Name=["DHCP"])
    assert again.properties["ExitCode"].name == "NoChangeNeeded"
    run(new, "Uninstall-WindowsFeature", Name=["DHCP"])
    assert new.state(ServicesState).get("DHCPServer") is None


def test_a_feature_may_wait_for_the_next_start() -> None:
    _, new = build(new={"feature_setup": {"restart": ["DHCP"]}})
    (result,) = run(new, "Install-WindowsFeature", Name=["DHCP"])
    assert result.properties["RestartNeeded"].name == "Yes"
    assert new.state(RegistryState).key(REBOOT_PENDING) is not None
    assert run(new, "Get-WindowsFeature", Name=["DHCP"])[0].properties["InstallState"].name == "InstallPending"
    new.reboot(0)
    assert new.state(RegistryState).key(REBOOT_PENDING) is None
    assert run(new, "Get-WindowsFeature", Name=["DHCP"])[0].properties["Installed"] is True


def test_a_feature_nobody_knows_is_refused() -> None:
    _, new = build(new={"feature_setup": {"unavailable": ["Migration"]}, "features": []})
    refused, result = run(new, "Install-WindowsFeature", Name=["Migration"])
    assert isinstance(refused, ErrorRecord)
    assert result.properties["Success"] is False


@pytest.mark.parametrize("name", ["DHCPServer", "DHCPServerCore"])
def test_dism_installs_the_role_on_2008_r2_by_the_name_it_lists(name: str) -> None:
    _, new = build(new={"build": 7601})
    new.switches["features.dism_dhcp_name"] = name
    assert f"Feature Name : {name}\r\n" in process(new, "dism.exe", "/online", "/get-features").stdout
    wrong = {"DHCPServer": "DHCPServerCore", "DHCPServerCore": "DHCPServer"}[name]
    assert process(new, "dism.exe", "/online", "/enable-feature", f"/featurename:{wrong}").exit_code == 0x800F080C
    assert process(new, "dism.exe", "/online", "/enable-feature", f"/featurename:{name}").exit_code == 0
    assert new.has_feature("DHCP")


def process(host: Host, name: str, *arguments: str) -> Output:
    played = providers.process(host, name)
    assert played is not None
    found = played.run(host, list(arguments), "")
    assert isinstance(found, Output)
    return found


# Files


def test_files_are_written_in_parts_listed_and_hashed_on_both_sides() -> None:
    old, _ = build(old={"build": 9600})
    folder(old, "C:\\a\\b")
    content = bytes(range(256)) * 10
    run(old, "Set-Content", LiteralPath=["C:\\a\\b\\x"], Encoding="Byte", Value=content[:1000])
    run(old, "Add-Content", LiteralPath=["C:\\a\\b\\x"], Encoding="Byte", Value=content[1000:])
    assert run(old, "Get-Content", LiteralPath=["C:\\a\\b\\x"], Encoding="Byte", Raw=True) == [content]
    names = [each.properties["FullName"] for each in run(old, "Get-ChildItem", LiteralPath=["C:\\a"], Recurse=True)]
    assert names == ["C:\\a\\b", "C:\\a\\b\\x"]
    assert len(run(old, "Get-ChildItem", LiteralPath=["C:\\a"])) == 1
    (shown,) = run(old, "Get-FileHash", LiteralPath=["C:\\a\\b\\x"], Algorithm="SHA256")
    digest = hashlib.sha256(content).hexdigest()
    assert shown.notes["Hash"].lower() == digest
    assert digest in process(old, "certutil.exe", "-hashfile", "C:\\a\\b\\x", "SHA256").stdout.replace(" ", "")


def test_the_first_windows_to_hash_files_by_cmdlet_is_2012_r2() -> None:
    old, _ = build(old={"build": 9200})
    assert providers.cmdlet(old, "Get-FileHash") is None
