# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from winsim import Fleet, FleetFileError
from winsim.providers import Fault, Wbem, providers
from winsim.providers.registry import RegistryState
from winsim.providers.services import ServicesState

START = "2026-01-31T08:00:00Z"


def load(hosts: dict[str, Any], **more: Any) -> Fleet:
    return Fleet.load({"clock": {"start": START, "speed": 0}, "hosts": hosts, **more})


def test_a_short_file_gives_a_believable_host() -> None:
    host = load({"N1": {}}, domain="corp.example").host("n1")
    assert (host.name, host.fqdn, host.build, host.version) == ("N1", "N1.corp.example", 20348, "10.0.20348")
    assert host.release.name == "Windows Server 2022"
    assert host.reachable
    found = host.find_user("CORP\\administrator")
    assert found is not None
    assert found.administrator
    states = {each["Name"]: each["State"] for each in providers.instances(host, "root/cimv2", "Win32_Service")}
    assert {states[name] for name in ("EventLog", "WinRM", "RpcSs")} == {"Running"}
    assert "ClusSvc" not in states


def test_a_file_is_read_from_disk(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yml"
    file.write_text(
        "password: of-the-lab\nclock: {start: 2026-01-31T08:00:00Z, speed: 0}\n"
        "hosts:\n  N1: {memory: 4 GiB, users: {ops: {administrator: false}, svc: own}}\n"
    )
    host = Fleet.load(file).host("N1")
    assert host.memory == 4 * 1024**3
    assert {user.name: user.password for user in host.users.values()} == {
        "Administrator": "of-the-lab",
        "ops": "of-the-lab",
        "svc": "own",
    }
    assert not host.users["ops"].administrator
    assert "of-the-lab" not in repr(host.users)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"host": {}}, r"fleet\.host: unknown key; allowed here: .*hosts"),
        ({"hosts": {"N1": {"bild": 17763}}}, r"fleet\.hosts\.N1\.bild: unknown key; allowed here: .*build"),
        ({"hosts": {"N1": {"build": 3790}}}, r"fleet\.hosts\.N1\.build: 3790 is not between 6001 and"),
        ({"hosts": {"N1": {"build": "new"}}}, r"fleet\.hosts\.N1\.build: a whole number is needed"),
        ({"hosts": {"N1": {"language": "tlh"}}}, r"fleet\.hosts\.N1\.language: 'tlh' is not one of en-US, de-DE"),
        ({"hosts": {"N1": {"memory": "much"}}}, r"fleet\.hosts\.N1\.memory"),
        ({"hosts": {"N1": {"winrm": {"ssl": True}}}}, r"fleet\.hosts\.N1\.winrm\.ssl: unknown key"),
        ({"hosts": {"N1": {"winrm": {"tls": "1.3-1.2"}}}}, r"fleet\.hosts\.N1\.winrm\.tls: '1\.3-1\.2' is no range"),
        ({"hosts": {"N1": {"winrm": {"certificate": "good"}}}}, r"certificate: 'good' is not one of ca, expired"),
        ({"hosts": {"a name": {}}}, r"fleet\.hosts\.a name: a computer name"),
        ({"hosts": {"N1": {}, "n1": {}}}, r"fleet\.hosts\.n1: there are two hosts"),
        ({"switches": {"cluster.stoped": "fault"}}, r"there is no switch 'cluster\.stoped'"),
        ({"switches": {"cluster.stopped": "sleepy"}}, r"has no position 'sleepy': it has fault, node_down, empty"),
        ({"hosts": {"N1": {"registry": {"HKXX\\A": {}}}}}, r"N1\.registry\.HKXX\\A: a path begins with one of HKCR"),
        ({"hosts": {"N1": {"services": {"X": {"state": "Tired"}}}}}, r"N1\.services\.X\.state: 'Tired'"),
        ({"hosts": {"N1": {"services": {"X": {"depends_on": ["Y"]}}}}}, r"there is no service Y"),
        ({"hosts": {"N1": {"eventlog": {"System": [{"code": 1}]}}}}, r"N1\.eventlog\.System\[0\]\.source"),
        ({"clusters": {"CL1": {}}}, r"fleet\.clusters\.CL1\.nodes: a cluster needs at least one node"),
        ({"clusters": {"CL1": {"nodes": {"A": {"state": "Sad"}}}}}, r"clusters\.CL1\.nodes\.A\.state: 'Sad'"),
        ({"clusters": {"A": {"nodes": ["N"]}, "B": {"nodes": ["N"]}}}, r"n is a node of two clusters"),
    ],
)
def test_what_nobody_knows_is_refused_with_its_place(data: dict[str, Any], message: str) -> None:
    with pytest.raises(FleetFileError, match=message):
        Fleet.load(data)


def test_a_host_s_switch_beats_the_fleet_s_and_deleting_returns_to_it() -> None:
    fleet = load({"N1": {"switches": {"cluster.stopped": "empty"}}, "N2": {}}, switches={"wire.activity_id": True})
    first, second = fleet.host("N1"), fleet.host("N2")
    assert (first.switches["cluster.stopped"], second.switches["cluster.stopped"]) == ("empty", "fault")
    assert first.switches["wire.activity_id"] == "on"
    fleet.switches["cluster.stopped"] = "node_down"
    assert (first.switches["cluster.stopped"], second.switches["cluster.stopped"]) == ("empty", "node_down")
    del first.switches["cluster.stopped"]
    assert first.switches["cluster.stopped"] == "node_down"
    with pytest.raises(ValueError, match="no position"):
        first.switches["cluster.stopped"] = "perhaps"


def test_the_whole_state_survives_a_restart_of_winsim(tmp_path: Path) -> None:
    fleet = load({"N1": {}, "N2": {"build": 9600}}, clusters={"CL1": {"nodes": ["N1", "N2"]}})
    host = fleet.host("N1")
    host.switches["cluster.hang_timeout_put"] = "accept"
    host.forced_exits["cluster.exe"] = 5
    host.state(RegistryState).set("HKLM\\SOFTWARE\\Example", "Blob", b"\x00\xff")
    providers.invoke(host, "root/cimv2", "Win32_Service", "StopService", {"Name": "Spooler"}, {})
    fleet.save(tmp_path)

    again = Fleet.resume(tmp_path)
    assert again is not None
    assert again.dump() == fleet.dump()
    loaded = again.host("N1")
    assert loaded.state(RegistryState).get("HKLM\\SOFTWARE\\Example", "Blob") == b"\x00\xff"
    assert loaded.switches["cluster.hang_timeout_put"] == "accept"
    spooler = loaded.state(ServicesState).services["spooler"]
    assert spooler.state == "Stop Pending"
    again.clock.advance(1)
    assert spooler.state == "Stopped"


def test_nothing_saved_means_nothing_to_resume(tmp_path: Path) -> None:
    assert Fleet.resume(tmp_path / "nowhere") is None
    with pytest.raises(ValueError, match="no state of version 1"):
        Fleet.restore({"version": 2})


def test_the_state_is_plain_json() -> None:
    fleet = load({"N1": {"registry": {"HKLM\\A": {"B": {"binary": "00ff"}}}}})
    assert Fleet.restore(json.loads(json.dumps(fleet.dump()))).dump() == fleet.dump()


def test_a_host_that_restarts_drops_its_connections_and_is_away_for_its_boot_time() -> None:
    fleet = load({"N1": {"boot_seconds": 30}})
    host = fleet.host("N1")
    drops: list[bool] = []
    host.on_drop(lambda: drops.append(host.reachable))
    before = host.boot_time
    host.reboot()
    assert drops == [False]
    fleet.clock.advance(29.9)
    assert not host.reachable
    assert host.boot_time == before
    fleet.clock.advance(0.1)
    assert host.reachable
    assert host.boot_time == fleet.clock.now()
    system = providers.instances(host, "root/cimv2", "Win32_OperatingSystem")[0]
    assert system["LastBootUpTime"] == fleet.clock.now()


def test_a_restart_under_way_ends_in_a_loaded_state_too() -> None:
    fleet = load({"N1": {}})
    fleet.host("N1").reboot(60)
    again = Fleet.restore(fleet.dump())
    assert not again.host("N1").reachable
    again.clock.advance(60)
    assert again.host("N1").reachable


def test_a_second_restart_counts_from_the_second() -> None:
    fleet = load({"N1": {}})
    host = fleet.host("N1")
    host.reboot(10)
    fleet.clock.advance(5)
    host.reboot(10)
    fleet.clock.advance(5)
    assert not host.reachable
    fleet.clock.advance(5)
    assert host.reachable


def test_a_host_switched_off_stays_off_until_it_is_switched_on() -> None:
    fleet = load({"N1": {}})
    host = fleet.host("N1")
    host.power_off()
    fleet.clock.advance(timedelta(days=3).total_seconds())
    assert not host.reachable
    host.power_on()
    assert host.reachable
    assert host.boot_time == fleet.clock.now()


def test_a_class_nobody_plays_is_refused_not_shown_empty() -> None:
    host = load({"N1": {}}).host("N1")
    with pytest.raises(Fault) as caught:
        providers.instances(host, "root/cimv2", "Win32_NoSuchThing")
    assert caught.value.code == Wbem.PROVIDER_LOAD_FAILURE


def test_a_feature_nobody_plays_is_a_feature_that_is_not_installed() -> None:
    host = load({"N1": {}}).host("N1")
    assert not providers.namespace_available(host, "root/SomeFeature")
    assert providers.namespace_available(host, "ROOT\\StandardCimv2")


def test_an_instance_is_found_by_its_keys_in_any_case() -> None:
    host = load({"N1": {}}).host("N1")
    assert providers.get(host, "ROOT\\CIMV2", "win32_service", {"Name": "SPOOLER"})["Name"] == "Spooler"
    with pytest.raises(Fault) as caught:
        providers.get(host, "root/cimv2", "Win32_Service", {"Name": "Nothing"})
    assert caught.value.code == Wbem.NOT_FOUND
