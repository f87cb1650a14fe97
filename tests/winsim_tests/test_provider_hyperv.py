# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Virtual machines, their merges, and what the cluster does with them."""

from __future__ import annotations

from typing import Any

import pytest
from winsim import Fleet
from winsim.fleet import FleetFileError
from winsim.providers import Fault, Reference, providers
from winsim.providers.cluster import Clusters, Owned
from winsim.providers.cluster_resources import FAILED, OFFLINE, OFFLINE_PENDING, ONLINE
from winsim.providers.hyperv import HyperVState, Machine, fail_over, shut_down_inside, start_by_hand
from winsim.providers.operating_system import Volumes

CLUSTER = "root/MSCluster"
V1, V2 = "root/virtualization", "root/virtualization/v2"
NAME = "Virtual Machine app1"


def fleet(build: int = 7601, **machine: Any) -> Fleet:
    app1 = {
        "cluster": "CL1",
        "owner": "N1",
        "snapshots": ["one", "two"],
        "disks": [{"path": "V:\\app1.vhd", "layers": ["2 GiB", "1 GiB"]}],
        **machine,
    }
    volumes = {"C:": {}, "V:": {"size": "100 GiB", "free": "50 GiB"}}
    return Fleet.load(
        {
            "clock": {"speed": 0},
            "hosts": {"N1": {"build": build, "volumes": volumes}, "N2": {"build": build}},
            "clusters": {"CL1": {"nodes": ["N1", "N2"]}},
            "virtual_machines": {"app1": app1},
        }
    )


def machine(of: Fleet) -> Machine:
    return of.state(HyperVState).get("app1")


def resource(of: Fleet) -> Owned:
    return of.state(Clusters).clusters["cl1"].resources[NAME.lower()]


def take_offline(of: Fleet, host: str = "N1") -> None:
    providers.invoke(of.host(host), CLUSTER, "MSCluster_Resource", "TakeOffline", {"Name": NAME}, {"TimeOut": 1})


def bring_online(of: Fleet) -> None:
    providers.invoke(of.host("N1"), CLUSTER, "MSCluster_Resource", "BringOnline", {"Name": NAME}, {"TimeOut": 1})


def remove_all(of: Fleet) -> dict[str, Any]:
    root = next(iter(machine(of).snapshots))
    old = of.host("N1").build < 9200
    namespace = V1 if old else V2
    cls = "Msvm_VirtualSystemManagementService" if old else "Msvm_VirtualSystemSnapshotService"
    method = "RemoveVirtualSystemSnapshotTree" if old else "DestroySnapshotTree"
    reference = Reference(namespace, "Msvm_VirtualSystemSettingData", {"InstanceID": f"Microsoft:{root}"})
    return providers.invoke(of.host("N1"), namespace, cls, method, {}, {"SnapshotSettingData": reference})


def free(of: Fleet, host: str = "N1") -> int:
    return next(v.free for v in of.host(host).state(Volumes).volumes if v.letter == "V:")


@pytest.mark.parametrize(
    ("action", "state", "seconds"), [(0, "off", 1), (1, "saved", 5), (2, "off", 30), (3, "off", 30)]
)
def test_offline_action_says_how_a_machine_goes_offline(action: int, state: str, seconds: int) -> None:
    of = fleet(offline_action=action)
    take_offline(of)
    assert resource(of).state == OFFLINE_PENDING
    of.clock.advance(seconds)
    assert (machine(of).state, resource(of).state) == (state, OFFLINE)


@pytest.mark.parametrize("given", [{"shutdown_component": "missing"}, {"shutdown_seconds": 1000}])
def test_a_guest_that_does_not_shut_down_is_cut_off_after_the_pending_timeout(given: dict[str, Any]) -> None:
    of = fleet(offline_action=2, pending_timeout=60000, **given)
    take_offline(of)
    of.clock.advance(59)
    assert resource(of).state == OFFLINE_PENDING
    with pytest.raises(Fault):
        bring_online(of)
    of.clock.advance(1)
    assert (machine(of).state, resource(of).state) == ("off", FAILED)


def test_before_2012_a_machine_that_runs_merges_nothing() -> None:
    of = fleet()
    assert remove_all(of)["ReturnValue"] == 4096
    of.clock.advance(10000)
    assert (machine(of).snapshots, machine(of).pending) == ({}, 2)


def test_a_machine_that_is_off_merges_layer_by_layer_and_frees_the_volume() -> None:
    of = fleet(offline_action=0, merge_seconds=100)
    before = free(of)
    remove_all(of)
    take_offline(of)
    of.clock.advance(2 + 99)
    assert machine(of).pending == 2
    of.clock.advance(10)
    assert machine(of).pending == 1
    of.clock.advance(100)
    assert (machine(of).pending, machine(of).disks[0].path) == (0, "V:\\app1.vhd")
    assert machine(of).files["v:\\app1.vhd"].file_size == 13 * 2**30
    # What the dynamic base took in it needs now, and the layers need no more.
    assert free(of) == before


def test_a_start_throws_away_what_was_merged_of_a_layer() -> None:
    of = fleet(offline_action=0, merge_seconds=100)
    remove_all(of)
    take_offline(of)
    of.clock.advance(90)
    start_by_hand(of, machine(of))
    of.clock.advance(1000)
    assert machine(of).pending == 2
    machine(of).state = "off"
    shut_down_inside(of, machine(of))
    assert machine(of).merge_started == of.clock.now()


def test_from_2012_on_a_machine_that_runs_merges() -> None:
    of = fleet(17763, merge_seconds=100)
    remove_all(of)
    of.clock.advance(250)
    assert (machine(of).state, machine(of).pending) == ("running", 0)


def test_a_machine_that_stops_by_itself_is_brought_back() -> None:
    of = fleet()
    shut_down_inside(of, machine(of))
    assert machine(of).state == "off"
    of.clock.advance(60)
    assert (machine(of).state, resource(of).state) == ("running", ONLINE)


def test_a_full_volume_stalls_the_merge_with_a_failed_job() -> None:
    of = fleet(offline_action=0, merge_seconds=100)
    remove_all(of)
    take_offline(of)
    next(v for v in of.host("N1").state(Volumes).volumes if v.letter == "V:").free = 0
    of.clock.advance(500)
    assert machine(of).pending == 2
    (job,) = providers.instances(of.host("N1"), V1, "Msvm_StorageJob")
    assert (job["JobState"], job["JobCompletionStatusCode"]) == (10, 0x80070070)


def test_a_machine_moves_when_its_node_restarts_and_stays_where_it_is_when_both_are_up() -> None:
    of = fleet()
    of.host("N1").reboot(30)
    assert machine(of).node == "N2"
    assert machine(of).state != "running"
    of.clock.advance(60)
    assert (machine(of).node, machine(of).state, resource(of).state) == ("N2", "running", ONLINE)


def test_a_machine_waits_for_its_node_where_no_other_is_up() -> None:
    of = fleet()
    of.host("N2").power_off()
    of.host("N1").reboot(30)
    assert machine(of).node == "N1"


def test_a_failover_takes_the_volume_along_and_starts_a_machine_that_was_online() -> None:
    of = fleet()
    fail_over(of, machine(of), "N2")
    of.clock.advance(60)
    assert (machine(of).node, machine(of).state, resource(of).state) == ("N2", "running", ONLINE)
    assert free(of, "N2") == 50 * 2**30
    assert [c["Name"] for c in providers.instances(of.host("N1"), V1, "Msvm_ComputerSystem")] == ["N1"]
    (owner,) = providers.instances(of.host("N1"), CLUSTER, "MSCluster_NodeToActiveResource")
    assert owner["GroupComponent"].keys == {"Name": "N2"}


def test_a_failover_of_a_machine_that_is_offline_leaves_it_offline() -> None:
    of = fleet(state="off", snapshots=[], merge_seconds=100)
    of.clock.advance(50)
    fail_over(of, machine(of), "N2")
    of.clock.advance(60)
    assert (machine(of).state, resource(of).state, machine(of).pending) == ("off", OFFLINE, 2)
    of.clock.advance(200)
    assert machine(of).pending == 0


@pytest.mark.parametrize("seconds", [0, 20, 60])
def test_a_fleet_that_was_saved_goes_on_where_it_was(seconds: int) -> None:
    of = fleet(offline_action=2, merge_seconds=50)
    remove_all(of)
    of.clock.advance(2)
    take_offline(of)
    of.clock.advance(seconds)
    again = Fleet.restore(of.dump())
    again.clock.advance(200)
    assert (machine(again).state, resource(again).state, machine(again).pending) == ("off", OFFLINE, 0)


def test_version_1_and_2_are_where_windows_has_them() -> None:
    for build, first, second in ((7601, True, False), (9200, True, True), (9600, False, True), (26100, False, True)):
        host = fleet(build).host("N1")
        assert providers.namespace_available(host, V1) is first
        assert providers.namespace_available(host, V2) is second


@pytest.mark.parametrize(
    ("given", "place"), [({"owner": "N9"}, "owner"), ({"cluster": "CL9"}, "cluster"), ({"state": "asleep"}, "state")]
)
def test_a_machine_that_cannot_be_built_is_refused_by_its_place(given: dict[str, Any], place: str) -> None:
    with pytest.raises(FleetFileError, match=f"virtual_machines.app1.{place}"):
        fleet(**given)
