# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""snapshot_offline_action and its info module on a simulated cluster CL1 of N1 and N2 with the machine app1."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from support.world import World, step_names
from winsim.providers import services
from winsim.providers.cluster import Clusters, Owned, SharedVolume
from winsim.providers.hyperv import HyperVState, Machine, fail_over, merge, start_by_hand
from winsim.providers.registry import RegistryState
from winsim.trouble import Asked, Trouble, troubles_of

SERVER_2008, SERVER_2008_R2, SERVER_2012, SERVER_2019 = 6003, 7601, 9200, 17763
MODULE = "snapshot_offline_action"
RESOURCE = "Virtual Machine app1"
SHARED = "C:\\ClusterStorage\\Volume1"
BASE = f"{SHARED}\\app1\\app1.vhd"
OURS = r"HKLM\SOFTWARE\fieldnotes.windows"
GIB = 2**30
ONLINE, OFFLINE = 2, 3
SAVE, SHUT_DOWN = 1, 2

WRITE = "write the journal"
SET = f"set OfflineAction of {RESOURCE} from save to shutdown"
DELETE_TWO = "delete 2 snapshots"
TAKE = "take app1 offline through the cluster"
WAIT = "wait for the merge"
BACK = "set OfflineAction back to save"
BRING = "bring app1 online"
REMOVE = "remove the journal"
ALL_EIGHT = [WRITE, SET, DELETE_TWO, TAKE, WAIT, BACK, BRING, REMOVE]


class Lab(World):
    """The cluster of the page's examples; app1 can be told otherwise."""

    def __init__(
        self,
        build: int = SERVER_2008_R2,
        *,
        free: str = "500 GiB",
        switches: dict[str, str] | None = None,
        others: dict[str, Any] | None = None,
        **machine: Any,
    ) -> None:
        app1: dict[str, Any] = {
            "cluster": "CL1",
            "owner": "N1",
            "snapshots": ["one", "two"],
            "disks": [{"path": BASE}],
            "shutdown_seconds": 5,
            "start_seconds": 5,
            **machine,
        }
        shared = {SHARED: {"size": "1 TiB", "free": free}}
        super().__init__(
            {
                "clock": {"speed": 0},
                "switches": switches or {},
                "hosts": {"N1": {"build": build}, "N2": {"build": build}},
                "clusters": {"CL1": {"nodes": ["N1", "N2"], "shared_volumes": shared}},
                "virtual_machines": {"app1": app1, **(others or {})},
            }
        )

    def __enter__(self) -> Lab:
        super().__enter__()
        return self

    @property
    def vm(self) -> Machine:
        return self.fleet.state(HyperVState).get("app1")

    @property
    def resource(self) -> Owned:
        return self.fleet.state(Clusters).clusters["cl1"].resources[RESOURCE.lower()]

    @property
    def group(self) -> Owned:
        return self.fleet.state(Clusters).clusters["cl1"].groups["app1"]

    @property
    def shared(self) -> SharedVolume:
        return self.fleet.state(Clusters).clusters["cl1"].shared_volumes[SHARED.lower()]

    @property
    def offline_action(self) -> int:
        return int(self.resource.private["OfflineAction"])

    @property
    def attached(self) -> str:
        return self.vm.disks[0].path

    def registry(self, host: str) -> RegistryState:
        return self.host(host).state(RegistryState)

    @property
    def journals(self) -> list[str]:
        """Where a journal of any run is left."""
        nodes = [name for name in ("N1", "N2") if self.registry(name).key(OURS) is not None]
        return [*(["group"] if "FieldnotesJournal" in self.group.private else []), *nodes]

    def journal(self) -> dict[str, Any]:
        """The authority, decoded."""
        text = str(self.group.private["FieldnotesJournal"])
        found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return found

    @property
    def step(self) -> int | None:
        """The step of the journal, None without one."""
        return int(self.journal()["step"]) if "group" in self.journals else None

    def do(self, host: str = "N1", **arguments: Any) -> dict[str, Any]:
        return self.run(host, MODULE, vm="app1", **arguments)

    def drop(self, when: Callable[[Asked], bool], kind: str = "drop_before", host: str = "N1") -> None:
        troubles_of(self.host(host)).add(Trouble(kind), when=when)

    def is_merged_and_served(self, action: int = SAVE) -> None:
        """The end of every run that goes right."""
        assert self.vm.snapshots == {}
        assert self.attached == BASE
        assert (self.vm.state, self.resource.state) == ("running", ONLINE)
        assert self.offline_action == action
        assert self.journals == []

    def is_untouched(self) -> None:
        assert self.writes("N1") == self.writes("N2") == []


def left_over(layers: int = 1, **more: Any) -> dict[str, Any]:
    """A machine without snapshots whose disk still has layers of deleted ones."""
    return {"snapshots": [], "disks": [{"path": BASE, "layers": ["1 GiB"] * layers}], **more}


def watch(lab: Lab, look: Callable[[], object]) -> None:
    """Look at something each time N1 is asked something."""

    def always(asked: Asked) -> bool:
        look()
        return False

    troubles_of(lab.host("N1")).add(Trouble("fault"), when=always)


def in_the_merge(lab: Lab, do: Callable[[], None]) -> None:
    """Let something happen once while a run looks at a merge that has begun."""

    def look(asked: Asked) -> bool:
        if lab.vm.merge_started is not None and "Msvm_StorageJob" in asked.wql and done == []:
            done.append(True)
            do()
        return False

    done: list[bool] = []
    troubles_of(lab.host("N1")).add(Trouble("fault"), when=look)


# The acceptance table


@pytest.mark.acceptance("snapshot_offline_action", "A1")
def test_all_snapshots_are_deleted_and_merged_in_eight_steps() -> None:
    with Lab() as lab:
        result = lab.do(delete="all")
        assert result["changed"]
        assert step_names(result) == ALL_EIGHT
        lab.is_merged_and_served()
        assert result["before"]["pending_layers"] == 0
        assert [s["name"] for s in result["before"]["snapshots"]] == ["one", "two"]
        assert result["after"]["snapshots"] == []
        assert result["after"]["offline_action"] == "save"
        assert [f["path"] for f in result["after"]["disks"][0]["chain"]] == [BASE]
        assert result["merged_files"] == [f"{SHARED}\\app1\\app1_2.avhd", f"{SHARED}\\app1\\app1_1.avhd"]
        assert result["downtime_seconds"] > result["merge_seconds"] >= 120


@pytest.mark.acceptance("snapshot_offline_action", "A2")
def test_a_second_run_finds_nothing_to_do() -> None:
    with Lab() as lab:
        lab.do(delete="all")
        before = len(lab.requests("N1"))
        result = lab.do(delete="all")
        assert not result["changed"]
        assert result["steps"] == []
        assert lab.writes("N1", before) == []
        lab.is_merged_and_served()


@pytest.mark.acceptance("snapshot_offline_action", "A3")
def test_layers_left_over_are_merged_without_a_deletion() -> None:
    with Lab(**left_over()) as lab:
        result = lab.do()
        assert result["changed"]
        assert step_names(result) == [WRITE, SET, TAKE, WAIT, BACK, BRING, REMOVE]
        lab.is_merged_and_served()


@pytest.mark.acceptance("snapshot_offline_action", "A4")
def test_a_machine_that_is_off_and_merges_is_only_waited_for() -> None:
    with Lab(**left_over(state="off")) as lab:
        result = lab.do()
        assert not result["changed"]
        assert step_names(result) == [WAIT]
        assert lab.writes("N1") == []
        assert (lab.vm.state, lab.attached, lab.offline_action) == ("off", BASE, SAVE)
        assert lab.journals == []


@pytest.mark.acceptance("snapshot_offline_action", "A5")
def test_a_node_that_does_not_own_the_machine_refuses() -> None:
    with Lab() as lab:
        result = lab.do("N2", delete="all")
        assert result["failed"]
        assert result["refusal"] == "R5"
        assert result["msg"] == "VM app1 is owned by N1, not by N2: run there (not_owner: skip passes over this host)"
        lab.is_untouched()


@pytest.mark.acceptance("snapshot_offline_action", "A6")
def test_a_node_that_does_not_own_the_machine_can_be_passed_over() -> None:
    with Lab() as lab:
        result = lab.do("N2", delete="all", not_owner="skip")
        assert "failed" not in result
        assert not result["changed"]
        assert "is owned by N1, not by N2" in result["skipped_reason"]
        assert result["steps"] == []
        lab.is_untouched()


@pytest.mark.acceptance("snapshot_offline_action", "A7")
def test_from_2012_on_snapshots_are_merged_while_the_machine_runs() -> None:
    with Lab(SERVER_2019, snapshots=["one"]) as lab:
        states: list[str] = []
        watch(lab, lambda: states.append(lab.vm.state))
        result = lab.do(delete="all")
        assert result["changed"]
        assert step_names(result) == [WRITE, "delete 1 snapshots", WAIT, REMOVE]
        assert set(states) == {"running"}
        assert result["downtime_seconds"] == 0
        assert not any("TakeOffline" in request.what for request in lab.requests("N1"))
        pipelines = [r.what for r in lab.requests("N1") if "Set-ClusterParameter" in r.what]
        assert all("-Create" in each or "-Delete" in each for each in pipelines)
        lab.is_merged_and_served()


@pytest.mark.acceptance("snapshot_offline_action", "A8")
def test_a_live_merge_that_goes_on_is_only_waited_for() -> None:
    with Lab(SERVER_2019, **left_over()) as lab:
        result = lab.do()
        assert not result["changed"]
        assert step_names(result) == [WAIT]
        assert lab.writes("N1") == []
        lab.is_merged_and_served()


@pytest.mark.acceptance("snapshot_offline_action", "A9")
def test_a_machine_that_is_paused_critical_is_refused_with_the_volume() -> None:
    with Lab(state="paused", health=25, free="150 MiB") as lab:
        result = lab.do(delete="all")
        assert result["refusal"] == "R7"
        assert result["msg"] == (
            f"VM app1 is Paused-Critical: volume {SHARED} has {150 * 2**20} free. Free space first; "
            "a merge needs more, not less"
        )
        lab.is_untouched()


@pytest.mark.acceptance("snapshot_offline_action", "A10")
def test_a_merge_that_would_fill_the_volume_is_refused() -> None:
    disks = [{"path": BASE, "size": "100 GiB", "layers": ["50 GiB"]}]
    with Lab(snapshots=["one"], disks=disks, free="10 GiB") as lab:
        result = lab.do(delete="all")
        assert result["refusal"] == "R12"
        assert result["msg"] == (
            f"volume {SHARED} has {10 * GIB} bytes, the merge needs {50 * GIB + 200 * 2**20} (would end in 0x80070070, "
            "disk full). Free space or move the disk files"
        )
        lab.is_untouched()


@pytest.mark.acceptance("snapshot_offline_action", "A11")
def test_a_fixed_parent_needs_no_room_to_grow() -> None:
    disks = [{"path": BASE, "type": "fixed", "size": "100 GiB", "file_size": "100 GiB", "layers": ["50 GiB"]}]
    with Lab(snapshots=["one"], disks=disks, free="10 GiB") as lab:
        result = lab.do(delete="all")
        assert result["changed"]
        volume = result["before"]["volumes"][0]
        assert volume == {
            "path": SHARED,
            "free_bytes": 10 * GIB,
            "total_bytes": 2**40,
            "needed_bytes": 200 * 2**20,
        }
        lab.is_merged_and_served()


@pytest.mark.acceptance("snapshot_offline_action", "A12")
def test_a_missing_parent_is_refused_before_anything() -> None:
    with Lab() as lab:
        lab.vm.files[BASE.lower()].missing = True
        result = lab.do(delete="all")
        assert result["refusal"] == "R9"
        assert result["msg"] == (
            f"disk {SHARED}\\app1\\app1_2.avhd: parent {BASE} is missing: the chain is broken. Restore it from backup; "
            "nothing was changed"
        )
        lab.is_untouched()


NO_COMPONENT = (
    "the guest of app1 has no working shutdown integration component: the cluster would wait PendingTimeout and then "
    "cut the power. Repair the integration services or choose shutdown: turn_off"
)


@pytest.mark.acceptance("snapshot_offline_action", "A13")
@pytest.mark.parametrize("component", ["missing", "not_responding"])
def test_a_guest_that_cannot_be_shut_down_is_refused(component: str) -> None:
    with Lab(shutdown_component=component) as lab:
        result = lab.do(delete="all")
        assert (result["refusal"], result["msg"]) == ("R13", NO_COMPONENT)
        lab.is_untouched()


@pytest.mark.acceptance("snapshot_offline_action", "A14")
def test_the_power_can_be_cut_instead() -> None:
    with Lab(shutdown_component="missing") as lab:
        seen: list[int] = []
        in_the_merge(lab, lambda: seen.append(lab.offline_action))
        result = lab.do(delete="all", shutdown="turn_off")
        assert result["changed"]
        assert f"set OfflineAction of {RESOURCE} from save to turn_off" in step_names(result)
        assert seen == [0]
        lab.is_merged_and_served()


@pytest.mark.acceptance("snapshot_offline_action", "A15")
def test_after_a_dead_controller_the_journal_knows_the_original_value() -> None:
    with Lab() as lab:
        lab.drop(lambda asked: asked.what == "RemoveVirtualSystemSnapshotTree")
        assert lab.do(delete="all")["unreachable"]
        assert lab.offline_action == SHUT_DOWN
        entry = lab.journal()
        assert (entry["original_offline_action"], entry["temporary_offline_action"], entry["step"]) == (1, 2, 3)
        assert (entry["resource"], entry["group"]) == (RESOURCE, "app1")
        assert (entry["method"], entry["node"]) == ("offline", "N1")
        assert entry["was_online"] is True
        assert entry["vm_id"] == lab.vm.id
        assert sorted(entry["snapshot_ids"]) == sorted(lab.vm.snapshots)
        assert entry["disks"] == [{"path": f"{SHARED}\\app1\\app1_2.avhd", "layers": 2}]
        assert lab.journals == ["group", "N1"]

        result = lab.do(delete="all")
        assert result["resumed"]
        assert result["changed"]
        assert step_names(result) == [DELETE_TWO, TAKE, WAIT, BACK, BRING, REMOVE]
        lab.is_merged_and_served()


@pytest.mark.acceptance("snapshot_offline_action", "A16")
def test_after_a_failover_the_other_node_goes_on_with_the_journal_of_the_group() -> None:
    with Lab() as lab:
        # One lost reading is made good by a second one; the next is the end.
        gone = Trouble("drop_before", times=2)
        troubles_of(lab.host("N1")).add(gone, when=lambda asked: lab.step == 5 and "Msvm_StorageJob" in asked.wql)
        assert lab.do(delete="all")["unreachable"]
        assert lab.journal()["step"] == 5
        fail_over(lab.fleet, lab.vm, "N2")
        assert (lab.vm.state, lab.resource.state) == ("off", OFFLINE)

        result = lab.do("N2", delete="all")
        assert result["resumed"]
        assert result["changed"]
        assert step_names(result) == [WAIT, BACK, BRING, REMOVE]
        assert result["after"]["owner_node"] == "N2"
        # What N1 wrote while it was the owner goes when N1 runs next.
        assert lab.journals == ["N1"]
        assert "skipped_reason" in lab.do("N1", delete="all", not_owner="skip")
        lab.is_merged_and_served()


@pytest.mark.acceptance("snapshot_offline_action", "A17")
def test_a_machine_started_during_the_merge_is_told_and_the_value_given_back() -> None:
    with Lab(snapshots=["one"]) as lab:
        in_the_merge(lab, lambda: start_by_hand(lab.fleet, lab.vm))
        result = lab.do(delete="all")
        assert result["failed"]
        assert result["changed"]
        assert result["msg"].startswith(
            "VM app1 was started during the merge; its progress is lost; layers remain and merge at the next shutdown"
        )
        assert f"{SHARED}\\app1\\app1_1.avhd" in result["msg"]
        assert (lab.offline_action, lab.journals) == (SAVE, [])
        assert (lab.vm.state, lab.vm.pending) == ("running", 1)
        assert result["after"]["pending_layers"] == 1


@pytest.mark.acceptance("snapshot_offline_action", "A18")
def test_a_merge_that_takes_longer_is_left_and_waited_for_by_the_next_run() -> None:
    with Lab(merge_seconds=300) as lab:
        first = lab.do(delete="all", merge_timeout=60, on_merge_timeout="leave")
        assert first["failed"]
        assert first["changed"]
        assert first["msg"] == "merge of app1 still runs after 60 s; run the task again to go on waiting"
        assert (lab.vm.state, lab.resource.state) == ("off", OFFLINE)
        assert lab.offline_action == SHUT_DOWN
        assert lab.journals == ["group", "N1"]
        assert lab.vm.merge_started is not None
        second = lab.do(delete="all")
        assert second["resumed"]
        assert step_names(second) == [WAIT, BACK, BRING, REMOVE]
        lab.is_merged_and_served()


@pytest.mark.acceptance("snapshot_offline_action", "A19")
def test_a_differencing_disk_by_design_is_no_layer() -> None:
    disks = [{"path": BASE, "type": "differencing", "parent": f"{SHARED}\\gold.vhd", "layers": []}]
    with Lab(snapshots=[], disks=disks) as lab:
        result = lab.do()
        assert not result["changed"]
        assert result["before"]["pending_layers"] == 0
        assert len(result["before"]["disks"][0]["chain"]) == 2
        lab.is_untouched()


@pytest.mark.acceptance("snapshot_offline_action", "A20")
@pytest.mark.parametrize("build", [SERVER_2008, SERVER_2008_R2, SERVER_2019])
def test_check_mode_plans_what_the_run_then_does(build: int) -> None:
    with Lab(build) as lab:
        planned = lab.do(delete="all", check=True)
        assert planned["changed"]
        assert [step["status"] for step in planned["steps"]] == ["planned"] * len(planned["steps"])
        lab.is_untouched()
        real = lab.do(delete="all")
        assert step_names(planned) == step_names(real)
        if build == SERVER_2008_R2:
            assert step_names(planned) == ALL_EIGHT
        # Nobody can foretell how large the disk will be that takes the layers in, nor what that leaves free.
        assert planned["after"]["disks"][0]["chain"][0].pop("file_size") is None
        assert real["after"]["disks"][0]["chain"][0].pop("file_size") == 12 * GIB
        assert planned["after"].pop("volumes")[0]["free_bytes"] is None
        assert real["after"].pop("volumes")[0]["free_bytes"] > 0
        assert planned["after"] == real["after"]
        lab.is_merged_and_served()


@pytest.mark.acceptance("snapshot_offline_action", "A21")
def test_a_machine_outside_the_cluster_is_refused() -> None:
    with Lab(cluster=None, host="N1", owner="N1") as lab:
        lab.host("N1").profile.features.append("Hyper-V")
        result = lab.do(delete="all")
        assert result["refusal"] == "R3"
        assert result["msg"] == (
            "VM app1 is not a cluster resource: nothing would restart it, so delete its snapshots and shut it down in "
            "the ordinary way"
        )
        lab.is_untouched()


@pytest.mark.acceptance("snapshot_offline_action", "A22")
@pytest.mark.parametrize("build", [SERVER_2008_R2, SERVER_2019])
@pytest.mark.parametrize("position", ["documented", "version_1"])
def test_a_saved_machine_is_refused(build: int, position: str) -> None:
    switches = {"hyperv.enabled_states": position}
    with Lab(build, switches=switches, **left_over(state="saved")) as lab:
        result = lab.do(method="offline")
        assert result["refusal"] == "R8"
        assert result["msg"] == (
            "VM app1 is in a saved state: a merge needs it off, not saved. Bring it online, then run again"
        )
        lab.is_untouched()


@pytest.mark.acceptance("snapshot_offline_action", "A23")
def test_a_cluster_that_shuts_down_anyway_needs_no_change_of_its_own() -> None:
    with Lab(offline_action=SHUT_DOWN) as lab:
        result = lab.do(delete="all")
        assert result["changed"]
        assert step_names(result) == [WRITE, DELETE_TWO, TAKE, WAIT, BRING, REMOVE]
        lab.is_merged_and_served(SHUT_DOWN)


@pytest.mark.acceptance("snapshot_offline_action", "A24")
@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
def test_a_connection_lost_while_the_cluster_takes_the_machine_offline_is_opened_again(kind: str) -> None:
    with Lab() as lab:
        lab.drop(lambda asked: asked.what == "TakeOffline", kind)
        result = lab.do(delete="all")
        assert result["changed"]
        assert step_names(result) == ALL_EIGHT
        asked = [request.what for request in lab.requests("N1")].count("TakeOffline")
        assert asked == (1 if kind == "drop_after" else 2)
        lab.is_merged_and_served()


# Refusals without a row of their own

SUBTREE = "delete: subtree needs snapshot, and snapshot is for delete: subtree only"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "name the VM by exactly one of vm, vm_id"),
        ({"vm": "app1", "vm_id": "5C2B4F6E-9E1F-4A36-8D0B-0C5B6A2F7F10"}, "name the VM by exactly one of vm, vm_id"),
        (
            {"vm": "app1", "delete": "subtree"},
            "delete: subtree needs snapshot, and snapshot is for delete: subtree only",
        ),
        ({"vm": "app1", "snapshot": "one"}, "delete: subtree needs snapshot, and snapshot is for delete: subtree only"),
        ({"vm_id": "app1"}, "vm_id must be a GUID, got app1"),
        ({"vm": "app1", "merge_timeout": 59}, "merge_timeout must be between 60 and 604800, got 59"),
        ({"vm": "app1", "shutdown_timeout": 7201}, "shutdown_timeout must be between 30 and 7200, got 7201"),
        ({"vm": "app1", "min_free_bytes": -1}, f"min_free_bytes must be between 0 and {2**63 - 1}, got -1"),
    ],
)
def test_parameters_that_cannot_be_meant_are_refused_without_a_request(arguments: dict[str, Any], said: str) -> None:
    with Lab() as lab:
        result = lab.run("N1", MODULE, **arguments)
        assert result["failed"]
        assert result["msg"] == said
        assert lab.requests("N1") == []


@pytest.mark.parametrize("module", [MODULE, f"{MODULE}_info"])
def test_a_host_without_hyper_v_is_refused(module: str) -> None:
    with World({"hosts": {"N1": {"build": SERVER_2019}}, "clusters": {"CL1": {"nodes": ["N1"]}}}) as world:
        result = world.run("N1", module, vm="app1")
        assert result["refusal"] == "R2"
        assert result["msg"].startswith("N1: Hyper-V is not available (")
        assert "WBEM_E_INVALID_NAMESPACE 0x8004100E" in result["msg"]
        assert result["msg"].endswith("); run this on a Hyper-V cluster node")


def test_a_host_without_a_cluster_is_refused() -> None:
    machine = {"host": "N1", "disks": [{"path": "C:\\app1.vhd"}]}
    with World({"hosts": {"N1": {"build": SERVER_2019}}, "virtual_machines": {"app1": machine}}) as world:
        result = world.run("N1", MODULE, vm="app1")
        assert result["refusal"] == "R2"
        assert result["msg"].startswith("N1: failover clustering is not available (")


@pytest.mark.parametrize("service", ["ClusSvc", "vmms"])
@pytest.mark.parametrize("position", ["fault", "node_down", "empty"])
def test_a_stopped_service_is_refused(service: str, position: str) -> None:
    with Lab(switches={"cluster.stopped": position}) as lab:
        services.crash(lab.host("N1"), service, recorded=False)
        result = lab.do(delete="all")
        assert result["refusal"] == "R2"
        assert ("Hyper-V" if service == "vmms" else "failover clustering") in result["msg"]


def test_two_machines_of_one_name_need_the_id() -> None:
    twin = "00000000-0000-0000-0000-00000000000A"
    with Lab(others={"twin": {"name": "APP1", "id": twin, "host": "N1"}}) as lab:
        result = lab.do(delete="all")
        assert result["refusal"] == "R4"
        assert result["msg"] == f"two VMs are named app1 ({', '.join(sorted([lab.vm.id, twin]))}): use vm_id"
        assert lab.run("N1", MODULE, vm_id="{" + lab.vm.id.lower() + "}", delete="all")["changed"]
        lab.is_merged_and_served()


def test_a_machine_nobody_knows_is_refused() -> None:
    with Lab() as lab:
        result = lab.run("N1", MODULE, vm="nobody")
        assert result["refusal"] == "R5"
        assert result["msg"].startswith("there is no VM nobody on N1")


def test_a_degraded_machine_counts_as_paused_critical() -> None:
    with Lab() as lab:
        lab.vm.degraded = True
        assert lab.do(delete="all")["refusal"] == "R7"
        lab.is_untouched()


@pytest.mark.parametrize(
    ("activity", "word"),
    [(32768, "creating a snapshot"), (32769, "applying a snapshot"), (32773, "being exported"), (32774, "migrating")],
)
def test_what_hyper_v_is_at_has_to_end_first(activity: int, word: str) -> None:
    with Lab() as lab:
        lab.vm.activity = activity
        result = lab.do(delete="all")
        assert (result["refusal"], result["msg"]) == ("R6", f"VM app1 is {word}: let that end first")
        lab.is_untouched()


@pytest.mark.parametrize(("state", "word"), [(4, "failed"), (1, "initializing"), (128, "pending"), (130, "pending")])
def test_a_resource_in_between_has_to_settle_first(state: int, word: str) -> None:
    with Lab() as lab:
        lab.resource.state = state
        result = lab.do(delete="all")
        assert (result["refusal"], result["msg"]) == ("R6", f"VM app1 is {word}: let that end first")
        lab.is_untouched()


def test_a_chain_that_does_not_fit_together_is_refused() -> None:
    with Lab(SERVER_2019) as lab:
        layer = f"{SHARED}\\app1\\app1_1.avhdx"
        lab.vm.files[layer.lower()].parent_identifier = "00000000-0000-0000-0000-000000000000"
        result = lab.do(delete="all")
        assert result["refusal"] == "R10"
        assert result["msg"] == (
            f"disk {lab.attached}: chain does not fit together at {layer} (it was made from another disk than {BASE}); "
            "restore from backup"
        )
        lab.is_untouched()


def test_a_parent_that_was_resized_is_refused() -> None:
    with Lab() as lab:
        lab.vm.files[BASE.lower()].max_size *= 2
        result = lab.do(delete="all")
        assert result["refusal"] == "R11"
        assert result["msg"] == (
            f"disk {BASE} was resized after {SHARED}\\app1\\app1_1.avhd was made; the snapshot data no longer fit. "
            "Restore from backup"
        )
        lab.is_untouched()


def test_free_space_can_be_demanded() -> None:
    with Lab() as lab:
        result = lab.do(delete="all", min_free_bytes=600 * GIB)
        assert result["refusal"] == "R12"
        assert f"the merge needs {600 * GIB}" in result["msg"]
        lab.is_untouched()


def test_a_snapshot_that_is_not_there_is_refused_with_those_that_are() -> None:
    with Lab() as lab:
        result = lab.do(delete="subtree", snapshot="three")
        assert result["refusal"] == "R14"
        one, two = lab.vm.snapshots.values()
        assert result["msg"] == f"VM app1 has no snapshot three; it has one ({one.id}), two ({two.id})"
        lab.is_untouched()


def test_two_snapshots_of_one_name_need_the_id() -> None:
    with Lab(snapshots=["one", "one"]) as lab:
        assert lab.do(delete="subtree", snapshot="one")["refusal"] == "R14"
        wanted = list(lab.vm.snapshots)[1]
        assert lab.do(delete="subtree", snapshot=wanted)["changed"]
        assert len(lab.vm.snapshots) == 1


@pytest.mark.parametrize("kind", ["Recovery", "Replica:Standard", "Missing"])
def test_a_checkpoint_of_backup_or_replication_is_left_alone(kind: str) -> None:
    with Lab(SERVER_2019, snapshots=["one", {"name": "theirs", "parent": "one", "type": kind}]) as lab:
        result = lab.do(delete="all")
        assert result["refusal"] == "R15"
        assert result["msg"] == (
            f"theirs is a {kind} checkpoint of backup or replication: finish that job, do not delete it here"
        )
        lab.is_untouched()


def test_live_needs_windows_server_2012() -> None:
    with Lab() as lab:
        result = lab.do(delete="all", method="live")
        assert result["refusal"] == "R16"
        assert result["msg"] == "live merge exists from Windows Server 2012; use method: offline"
        lab.is_untouched()


# What else a user may ask for


def test_a_subtree_goes_and_what_it_was_made_from_stays() -> None:
    with Lab() as lab:
        result = lab.do(delete="subtree", snapshot="TWO")
        assert "delete 1 snapshots" in step_names(result)
        assert [snapshot.name for snapshot in lab.vm.snapshots.values()] == ["one"]
        assert lab.attached == f"{SHARED}\\app1\\app1_1.avhd"
        assert result["after"]["pending_layers"] == 0
        assert (lab.vm.state, lab.offline_action, lab.journals) == ("running", SAVE, [])


def test_offline_can_be_asked_for_on_a_later_windows() -> None:
    with Lab(SERVER_2019) as lab:
        result = lab.do(delete="all", method="offline")
        assert step_names(result) == ALL_EIGHT
        assert result["downtime_seconds"] > 0
        lab.is_merged_and_served()


@pytest.mark.parametrize(("start", "state"), [("never", "off"), ("always", "running")])
def test_the_machine_ends_as_asked(start: str, state: str) -> None:
    with Lab() as lab:
        assert "failed" not in lab.do(delete="all", start=start)
        assert (lab.vm.state, lab.offline_action, lab.journals) == (state, SAVE, [])


def test_a_merge_that_takes_longer_can_be_given_up_for_the_service() -> None:
    with Lab(merge_seconds=300) as lab:
        result = lab.do(delete="all", merge_timeout=60, on_merge_timeout="start")
        assert result["failed"]
        assert "merge of app1 did not end within 60 s; 2 layers remain" in result["msg"]
        assert (lab.vm.state, lab.resource.state, lab.offline_action) == ("running", ONLINE, SAVE)
        assert lab.journals == []
        assert result["after"]["pending_layers"] == 2


def test_a_guest_that_takes_too_long_is_told_and_runs_again() -> None:
    with Lab(shutdown_seconds=120, pending_timeout=60000) as lab:
        result = lab.do(delete="all")
        assert result["failed"]
        assert "Virtual Machine app1 did not go offline: it is failed" in result["msg"]
        assert any("before shutdown_timeout (600 s)" in warning for warning in result["warnings"])
        assert (lab.vm.state, lab.resource.state, lab.offline_action) == ("running", ONLINE, SAVE)
        assert lab.journals == []


def test_shutdown_timeout_ends_the_wait_before_the_cluster_does() -> None:
    with Lab(shutdown_seconds=300) as lab:
        result = lab.do(delete="all", shutdown_timeout=60)
        assert result["failed"]
        assert "VM app1 is stopping after shutdown_timeout (60 s)" in result["msg"]
        assert (lab.vm.state, lab.resource.state, lab.offline_action) == ("running", ONLINE, SAVE)
        assert lab.journals == []


def test_a_deletion_that_fails_gives_the_value_back() -> None:
    with Lab() as lab:
        lab.fleet.state(HyperVState).fail_removal = True
        result = lab.do(delete="all")
        assert result["failed"]
        assert "deleting snapshot one of app1 failed: Hyper-V ended the job with 32768" in result["msg"]
        assert (lab.vm.state, lab.offline_action, lab.journals) == ("running", SAVE, [])
        assert len(lab.vm.snapshots) == 2


def test_a_volume_that_fills_up_meanwhile_ends_the_wait_and_keeps_the_journal() -> None:
    with Lab() as lab:
        in_the_merge(lab, lambda: setattr(lab.shared, "free", 100 * 2**20))
        result = lab.do(delete="all")
        assert result["failed"]
        assert "would end in 0x80070070, disk full" in result["msg"]
        assert (lab.vm.state, lab.journals) == ("off", ["group", "N1"])
        lab.shared.free = 500 * GIB
        lab.vm.stalled = False
        merge(lab.fleet, lab.vm)
        assert lab.do(delete="all")["resumed"]
        lab.is_merged_and_served()


def test_a_machine_that_moves_during_the_merge_is_gone_on_with_on_its_new_owner() -> None:
    with Lab() as lab:
        in_the_merge(lab, lambda: fail_over(lab.fleet, lab.vm, "N2"))
        result = lab.do(delete="all")
        assert result["failed"]
        assert result["msg"] == "VM app1 has moved to N2: run there, the journal tells where to go on"
        assert "group" in lab.journals
        assert lab.do("N2", delete="all")["resumed"]
        lab.do("N1", not_owner="skip")
        lab.is_merged_and_served()


def test_an_owner_that_changes_before_the_first_step_takes_everything_back() -> None:
    with Lab() as lab:

        def move_once(asked: Asked) -> bool:
            if lab.step == 2 and lab.vm.node == "N1":
                fail_over(lab.fleet, lab.vm, "N2")
            return False

        troubles_of(lab.host("N1")).add(Trouble("fault"), when=move_once)
        result = lab.do(delete="all")
        assert result["failed"]
        assert result["refusal"] == "R5"
        assert "is owned by N2, not by N1" in result["msg"]
        assert (lab.offline_action, len(lab.vm.snapshots), lab.journals) == (SAVE, 2, [])


def test_what_differs_in_the_new_task_comes_after_the_old_run() -> None:
    with Lab() as lab:
        lab.drop(lambda asked: asked.what == "RemoveVirtualSystemSnapshotTree")
        assert lab.do(delete="subtree", snapshot="two")["unreachable"]
        result = lab.do(delete="all")
        assert result["resumed"]
        one = "delete 1 snapshots"
        first, second = [one, TAKE, WAIT, BACK, BRING, REMOVE], [WRITE, SET, one, TAKE, WAIT, BACK, BRING, REMOVE]
        assert step_names(result) == [*first, *second]
        lab.is_merged_and_served()


def test_a_local_copy_of_an_earlier_owner_is_no_journal() -> None:
    with Lab() as lab:
        text = base64.urlsafe_b64encode(json.dumps({"version": 1, "step": 5}).encode()).decode().rstrip("=")
        key = f"{OURS}\\Journal\\{MODULE}\\{lab.vm.id}"
        lab.registry("N1").set(key, "State", text)
        result = lab.do(delete="all")
        assert not result["resumed"]
        lab.is_merged_and_served()


def test_a_journal_that_cannot_be_read_is_refused_by_its_places() -> None:
    with Lab() as lab:
        lab.group.private["FieldnotesJournal"] = "not%base64"
        result = lab.do(delete="all")
        assert result["failed"]
        assert "FieldnotesJournal of cluster group app1" in result["msg"]
        lab.is_untouched()


# Windows may behave in more than one way


@pytest.mark.parametrize("build", [SERVER_2008, SERVER_2008_R2, SERVER_2012, SERVER_2019])
@pytest.mark.parametrize(
    ("switch", "position"),
    [
        ("cluster_resources.private_properties", "absent"),
        ("cluster_resources.private_properties", "text"),
        ("cluster_resources.pending", "fault"),
        ("hyperv.embedded", "nested"),
        ("hyperv.enabled_states", "version_1"),
        ("hyperv.enabled_states", "other"),
        ("hyperv.transitions", "cim"),
        ("hyperv.removal", "forgotten"),
        ("hyperv.removal", "at_once"),
    ],
)
def test_the_run_ends_right_whichever_way_windows_behaves(build: int, switch: str, position: str) -> None:
    with Lab(build, switches={switch: position}) as lab:
        assert "failed" not in lab.do(delete="all", method="offline")
        lab.is_merged_and_served()
        assert not lab.do(delete="all", method="offline")["changed"]


@pytest.mark.parametrize("position", ["absent", "text"])
def test_a_dead_controller_is_made_good_where_cim_does_not_show_private_properties(position: str) -> None:
    with Lab(switches={"cluster_resources.private_properties": position}) as lab:
        lab.drop(lambda asked: asked.what == "TakeOffline" or asked.what == "RemoveVirtualSystemSnapshotTree")
        assert lab.do(delete="all")["unreachable"]
        assert lab.do(delete="all")["resumed"]
        lab.is_merged_and_served()


@pytest.mark.parametrize(("switches", "word"), [("documented", "saved"), ("version_1", "saved"), ("other", "other")])
def test_an_unknown_state_is_named_and_is_neither_running_nor_off(switches: str, word: str) -> None:
    with Lab(SERVER_2019, switches={"hyperv.enabled_states": switches}, **left_over(state="saved")) as lab:
        found = lab.run("N1", f"{MODULE}_info", vm="app1")["vms"][0]
        assert found["vm_state"] == word


def test_without_delegation_the_message_names_it() -> None:
    with Lab(switches={"cluster_resources.set_parameter": "delegated"}, possible_owners=["N1"]) as lab:
        result = lab.do(delete="all")
        assert result["failed"]
        assert "CredSSP or Kerberos delegation" in result["msg"]
        assert (lab.offline_action, len(lab.vm.snapshots), lab.journals) == (SAVE, 2, [])


def test_a_group_that_takes_no_property_leaves_the_journal_on_the_node_with_a_warning() -> None:
    with Lab(switches={"cluster_resources.group_property": "refuse"}, possible_owners=["N1"]) as lab:
        lab.drop(lambda asked: asked.what == "RemoveVirtualSystemSnapshotTree")
        assert lab.do(delete="all")["unreachable"]
        assert lab.journals == ["N1"]
        result = lab.do(delete="all")
        assert result["resumed"]
        lab.is_merged_and_served()


def test_the_warning_says_that_the_cluster_keeps_no_journal() -> None:
    with Lab(switches={"cluster_resources.group_property": "refuse"}, possible_owners=["N1"]) as lab:
        result = lab.do(delete="all")
        assert any("it stands on this node alone" in warning for warning in result["warnings"])
        lab.is_merged_and_served()


def test_a_group_that_takes_no_property_and_may_fail_over_is_refused() -> None:
    with Lab(switches={"cluster_resources.group_property": "refuse"}) as lab:
        result = lab.do(delete="all")
        assert result["failed"]
        assert "a failover of Virtual Machine app1 would lose the journal" in result["msg"]
        assert (lab.offline_action, len(lab.vm.snapshots), lab.journals) == (SAVE, 2, [])


def test_a_live_merge_does_without_the_journal_in_the_group() -> None:
    with Lab(SERVER_2019, switches={"cluster_resources.group_property": "refuse"}) as lab:
        assert "failed" not in lab.do(delete="all")
        lab.is_merged_and_served()


# The info module


def test_info_tells_of_all_clustered_machines_of_the_node() -> None:
    others = {
        "lone": {"host": "N1", "disks": []},
        "away": {"cluster": "CL1", "owner": "N2", "disks": []},
    }
    with Lab(others=others) as lab:
        result = lab.run("N1", f"{MODULE}_info")
        assert not result["changed"]
        assert (result["os_build"], result["method_auto"]) == (SERVER_2008_R2, "offline")
        assert [vm["name"] for vm in result["vms"]] == ["app1"]
        found = result["vms"][0]
        assert (found["id"], found["resource"], found["group"], found["owner_node"]) == (
            lab.vm.id,
            RESOURCE,
            "app1",
            "N1",
        )
        assert (found["resource_state"], found["vm_state"], found["health"]) == ("online", "running", "ok")
        assert (found["offline_action"], found["offline_action_value"]) == ("save", 1)
        assert [s["name"] for s in found["snapshots"]] == ["one", "two"]
        assert found["snapshots"][1]["parent"] == found["snapshots"][0]["id"]
        assert [f["type"] for f in found["disks"][0]["chain"]] == ["differencing", "differencing", "dynamic"]
        assert (found["merging"], found["pending_layers"], found["shutdown_component"]) == (False, 0, "ok")
        assert found["volumes"][0]["needed_bytes"] == 0
        lab.is_untouched()


@pytest.mark.parametrize(("build", "merging"), [(SERVER_2008, None), (SERVER_2008_R2, True)])
def test_info_tells_of_a_merge_where_windows_does(build: int, merging: bool | None) -> None:
    with Lab(build, **left_over(state="off")) as lab:
        found = lab.run("N1", f"{MODULE}_info", vm="app1")["vms"][0]
        assert found["merging"] is merging
        assert found["pending_layers"] == 1
        assert found["volumes"][0]["needed_bytes"] == GIB + 200 * 2**20


def test_info_shows_what_is_wrong_with_a_chain() -> None:
    with Lab() as lab:
        lab.vm.files[BASE.lower()].missing = True
        found = lab.run("N1", f"{MODULE}_info", vm="app1")["vms"][0]
        assert "is missing: the chain is broken" in found["disks"][0]["problems"][0]


def test_info_refuses_a_machine_of_another_node() -> None:
    with Lab() as lab:
        result = lab.run("N2", f"{MODULE}_info", vm="app1")
        assert result["refusal"] == "R5"


@pytest.mark.parametrize(("build", "count"), [(SERVER_2008_R2, 11), (SERVER_2019, 10)])
def test_the_steady_state_costs_one_reading_of_each_kind(build: int, count: int) -> None:
    with Lab(build, snapshots=[], disks=[{"path": BASE, "layers": []}]) as lab:
        assert not lab.do(delete="all")["changed"]
        assert len(lab.requests("N1")) == count
        lab.is_untouched()
