# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

import pytest
from winsim import Fleet, Host
from winsim.providers import Fault, Output, Wbem, providers
from winsim.providers.cluster import Clusters, cluster_of, hang, highest_action
from winsim.providers.eventlog import EventLogState

NAMESPACE = "root/MSCluster"


def load(build: int | dict[str, int] = 20348, cluster: dict[str, Any] | None = None, **host: Any) -> Fleet:
    builds = build if isinstance(build, dict) else {"N1": build, "N2": build}
    return Fleet.load({
        "clock": {"speed": 0},
        "hosts": {name: {"build": number, **host} for name, number in builds.items()},
        "clusters": {"CL1": {"nodes": list(builds), **(cluster or {})}},
    })  # fmt: skip


def read(on: Host) -> dict[str, Any]:
    (instance,) = providers.instances(on, NAMESPACE, "MSCluster_Cluster")
    return instance


def put(on: Host, **changes: Any) -> None:
    providers.modify(on, NAMESPACE, "MSCluster_Cluster", {"Name": "cl1"}, changes)


def node_states(on: Host) -> dict[str, int]:
    return {each["Name"]: each["State"] for each in providers.instances(on, NAMESPACE, "MSCluster_Node")}


def run(on: Host, *arguments: str) -> Output:
    played = providers.process(on, "cluster.exe")
    assert played is not None
    output = played.run(on, list(arguments), "")
    assert isinstance(output, Output)
    return output


def test_a_change_on_one_node_is_seen_on_the_other() -> None:
    fleet = load()
    put(fleet.host("N1"), HangRecoveryAction=3)
    assert read(fleet.host("N2"))["HangRecoveryAction"] == 3
    cluster = fleet.state(Clusters).get("CL1")
    assert cluster is not None
    assert cluster.hang_recovery_action == 3


@pytest.mark.parametrize(("build", "default"), [(6002, 3), (7601, 3), (9200, 3), (14393, 3), (17763, 6), (26100, 6)])
def test_the_default_action_is_that_of_the_version(build: int, default: int) -> None:
    found = read(load(build).host("N1"))
    assert (found["HangRecoveryAction"], found["ClusSvcHangTimeout"]) == (default, 60)


@pytest.mark.parametrize(("build", "highest"), [(6002, 3), (7601, 3), (9200, 5), (14393, 5), (17763, 6)])
def test_the_oldest_node_decides_which_actions_there_are(build: int, highest: int) -> None:
    on = load({"N1": 26100, "N2": build}).host("N1")
    put(on, HangRecoveryAction=highest)
    with pytest.raises(Fault) as caught:
        put(on, HangRecoveryAction=highest + 1)
    assert caught.value.code == 0x80070057
    assert read(on)["HangRecoveryAction"] == highest


def test_whether_2016_takes_a_live_dump_is_an_open_question() -> None:
    on = load(14393).host("N1")
    cluster = cluster_of(on)
    assert cluster is not None
    assert highest_action(on, cluster) == 5
    on.switches["cluster.live_dump_from"] = "9600"
    assert highest_action(on, cluster) == 6


def test_a_refused_change_changes_nothing() -> None:
    on = load(14393).host("N1")
    with pytest.raises(Fault):
        put(on, Description="new", HangRecoveryAction=6)
    assert (read(on)["Description"], read(on)["HangRecoveryAction"]) == ("", 3)


def test_a_put_of_the_timeout_has_three_possible_answers() -> None:
    on = load().host("N1")
    with pytest.raises(Fault) as caught:
        put(on, ClusSvcHangTimeout=90)
    assert caught.value.code == Wbem.READ_ONLY
    assert providers.shape(on, NAMESPACE, "MSCluster_Cluster").writable == frozenset()
    on.switches["cluster.hang_timeout_put"] = "ignore"
    put(on, ClusSvcHangTimeout=90)
    assert read(on)["ClusSvcHangTimeout"] == 60
    on.switches["cluster.hang_timeout_put"] = "accept"
    put(on, ClusSvcHangTimeout=90)
    assert read(on)["ClusSvcHangTimeout"] == 90
    assert providers.shape(on, NAMESPACE, "MSCluster_Cluster").writable == {"ClusSvcHangTimeout"}
    with pytest.raises(Fault):
        put(on, ClusSvcHangTimeout=5)


def test_whether_2008_has_the_timeout_is_an_open_question() -> None:
    old, new = load(6002).host("N1"), load(7601).host("N1")
    timeout = {"ClusSvcHangTimeout"}
    assert providers.shape(old, NAMESPACE, "MSCluster_Cluster").absent == timeout
    assert providers.shape(new, NAMESPACE, "MSCluster_Cluster").absent == frozenset()
    old.switches["cluster.hang_timeout_2008"] = "present"
    assert providers.shape(old, NAMESPACE, "MSCluster_Cluster").present == timeout


def test_without_the_feature_there_is_no_namespace() -> None:
    fleet = Fleet.load({"hosts": {"N1": {}, "N2": {"features": ["Failover-Clustering"]}}})
    assert not providers.namespace_available(fleet.host("N1"), "ROOT/mscluster")
    assert providers.namespace_available(fleet.host("N2"), "root/mscluster")
    with pytest.raises(Fault):
        read(fleet.host("N2"))


@pytest.mark.parametrize(("position", "code"), [("fault", 0x800706D9), ("node_down", 0x800713BA), ("empty", None)])
def test_a_stopped_cluster_service_is_answered_in_one_of_three_ways(position: str, code: int | None) -> None:
    fleet = load()
    on = fleet.host("N1")
    on.switches["cluster.stopped"] = position
    providers.invoke(on, "root/cimv2", "Win32_Service", "StopService", {"Name": "ClusSvc"}, {})
    fleet.clock.advance(5)
    for cls in ("MSCluster_Cluster", "MSCluster_Node"):
        if code is None:
            assert providers.instances(on, NAMESPACE, cls) == []
        else:
            with pytest.raises(Fault) as caught:
                providers.instances(on, NAMESPACE, cls)
            assert caught.value.code == code
    assert node_states(fleet.host("N2")) == {"N1": 1, "N2": 0}


def test_a_node_that_restarts_is_down_then_joining_then_up() -> None:
    fleet = load(boot_seconds=20)
    seen = fleet.host("N2")
    fleet.host("N1").reboot()
    assert node_states(seen)["N1"] == 1
    fleet.clock.advance(20)
    assert node_states(seen)["N1"] == 3
    fleet.clock.advance(10)
    assert node_states(seen)["N1"] == 0


def test_nodes_outside_the_fleet_have_a_build_and_a_state_of_their_own() -> None:
    fleet = Fleet.load({
        "hosts": {"N1": {"build": 17763}},
        "clusters": {"CL1": {"nodes": {"N1": {"state": "Paused"}, "N9": {"build": 14393, "state": "Down"}}}},
    })  # fmt: skip
    on = fleet.host("N1")
    assert node_states(on) == {"N1": 2, "N9": 1}
    versions = {
        each["Name"]: (each["MajorVersion"], each["MinorVersion"], each["BuildNumber"])
        for each in providers.instances(on, NAMESPACE, "MSCluster_Node")
    }
    assert versions == {"N1": (10, 0, 17763), "N9": (10, 0, 14393)}
    assert read(on)["HangRecoveryAction"] == 3


def test_a_provider_can_report_what_nobody_documented() -> None:
    on = load().host("N1")
    cluster = cluster_of(on)
    assert cluster is not None
    cluster.properties["HangRecoveryAction"] = 9
    assert read(on)["HangRecoveryAction"] == 9


@pytest.mark.parametrize(
    ("build", "features", "there"),
    [(6002, [], True), (7601, [], True), (9200, [], False), (20348, ["RSAT-Clustering-CmdInterface"], True)],
)
def test_cluster_exe_is_there_on_old_servers_or_as_a_feature(build: int, features: list[str], there: bool) -> None:
    on = load(build, features=features).host("N1")
    assert (providers.process(on, "C:\\Windows\\System32\\CLUSTER.EXE") is not None) is there
    files = {each["Name"] for each in providers.instances(on, "root/cimv2", "CIM_DataFile")}
    assert ("c:\\windows\\system32\\cluster.exe" in files) is there


def test_cluster_exe_sets_common_properties() -> None:
    on = load(7601).host("N1")
    assert run(on, "/prop", "ClusSvcHangTimeout=90").exit_code == 0
    assert run(on, "cl1", "/prop", "hangrecoveryaction=0x1").exit_code == 0
    assert (read(on)["ClusSvcHangTimeout"], read(on)["HangRecoveryAction"]) == (90, 1)
    assert "ClusSvcHangTimeout  90" in run(on, "/prop").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("/prop", "ClusSvcHangTimeout=5"),
        ("/prop", "HangRecoveryAction=4"),
        ("/prop", "NoSuchProperty=1"),
        ("/prop", "ClusSvcHangTimeout=soon"),
        ("/prop", "ClusSvcHangTimeout"),
        ("/nonsense",),
    ],
)
def test_cluster_exe_refuses_what_is_wrong(arguments: tuple[str, ...]) -> None:
    on = load(7601).host("N1")
    before = read(on)
    assert run(on, *arguments).exit_code == 87
    assert read(on) == before


def test_cluster_exe_sets_private_properties_of_resources_and_groups() -> None:
    cluster = {"resources": {"Disk 1": {"DeadlockTimeout": 300000}}, "groups": {"VM 1": {}}}
    on = load(7601, cluster).host("N1")
    assert run(on, "resource", "disk 1", "/priv", "DeadlockTimeout=5:dword").exit_code == 0
    assert run(on, "group", "VM 1", "/priv", 'Note="a:b"').exit_code == 0
    found = cluster_of(on)
    assert found is not None
    assert found.resources["disk 1"].private == {"DeadlockTimeout": 5}
    assert found.groups["vm 1"].private == {"Note": "a:b"}
    assert run(on, "resource", "Disk 2", "/priv").exit_code == 5007
    assert run(on, "group", "VM 2", "/priv").exit_code == 5013


def test_cluster_exe_needs_a_running_cluster_and_can_be_made_to_fail() -> None:
    fleet = load(7601)
    on = fleet.host("N1")
    on.forced_exits["cluster.exe"] = 5
    assert run(on, "/prop", "ClusSvcHangTimeout=90").exit_code == 5
    assert read(on)["ClusSvcHangTimeout"] == 60
    del on.forced_exits["cluster.exe"]
    providers.invoke(on, "root/cimv2", "Win32_Service", "StopService", {"Name": "ClusSvc"}, {})
    fleet.clock.advance(5)
    assert run(on, "/prop", "ClusSvcHangTimeout=90").exit_code == 1753


def test_the_service_and_its_name_in_german() -> None:
    on = load(language="de-DE").host("N1")
    service = providers.get(on, "root/cimv2", "Win32_Service", {"Name": "ClusSvc"})
    assert (service["DisplayName"], service["State"]) == ("Clusterdienst", "Running")


def codes_after_a_hang(on: Host) -> list[int]:
    before = len(on.state(EventLogState).logs["System"])
    hang(on)
    on.fleet.clock.advance(30)
    hung = {4869, 4870, 7031, 1001}
    return [each.code for each in on.state(EventLogState).logs["System"][before:] if each.code in hung]


@pytest.mark.parametrize(
    ("action", "codes"), [(0, []), (1, [4869]), (2, [4870, 7031]), (3, [1001]), (4, [1001]), (6, [4870, 7031])]
)
def test_a_hang_leaves_the_trace_of_its_action(action: int, codes: list[int]) -> None:
    on = load(cluster={"HangRecoveryAction": action, "ClusSvcHangTimeout": 120}).host("N1")
    assert codes_after_a_hang(on) == codes


def test_what_a_live_dump_leaves_is_an_open_question() -> None:
    on = load(cluster={"HangRecoveryAction": 6}).host("N1")
    on.switches["cluster.live_dump_trace"] = "none"
    assert codes_after_a_hang(on) == []


def test_a_bug_check_names_the_timeout_as_its_second_parameter() -> None:
    on = load(cluster={"HangRecoveryAction": 3, "ClusSvcHangTimeout": 90}).host("N1")
    codes_after_a_hang(on)
    written = next(each for each in on.state(EventLogState).logs["System"] if each.code == 1001)
    code, parameters = written.strings[0].split(" ", 1)
    assert code == "0x0000009e"
    assert int(parameters.strip("()").split(", ")[1], 16) == 90
