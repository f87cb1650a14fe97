# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The playbook and the role of snapshot_offline_action, and a controller that is killed while it waits for a merge."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from playbooks.running import ROOT, Controller, command, environment, kill
from winsim import Fleet, Host, serve
from winsim.http import Served
from winsim.log import Request
from winsim.providers.cluster import Clusters
from winsim.providers.hyperv import HyperVState, Machine, merge
from winsim.providers.registry import RegistryState

PLAYBOOK = ROOT / "playbooks" / "snapshot_offline_action.yml"
FLEET = ROOT / "extensions" / "molecule" / "snapshot_offline_action" / "files" / "fleet.yml"
OURS = r"HKLM\SOFTWARE\fieldnotes.windows"


@pytest.fixture
def served() -> Iterator[Served]:
    """The cluster of the Molecule scenario: app1 with two snapshots on N1, db1 with a layer left over on N2."""
    with serve(Fleet.load(yaml.safe_load(FLEET.read_text(encoding="utf-8")))) as served:
        yield served


@pytest.fixture
def controller(served: Served, tmp_path: Path) -> Controller:
    return Controller(tmp_path, served.inventory())


def machine(served: Served, name: str) -> Machine:
    return served.fleet.state(HyperVState).get(name)


def is_done(served: Served, name: str, owner: str) -> None:
    """Merged, running, with the cluster's old value and no journal."""
    vm, cluster = machine(served, name), served.fleet.state(Clusters).clusters["cl1"]
    assert (vm.state, vm.snapshots, vm.pending) == ("running", {}, 0)
    assert cluster.resources[f"virtual machine {name}"].private["OfflineAction"] == 1
    assert "FieldnotesJournal" not in cluster.groups[name].private
    assert served.fleet.host(owner).state(RegistryState).key(OURS) is None


def test_the_playbook_tells_and_merges_on_the_owner_alone(served: Served, controller: Controller) -> None:
    told = controller.run(PLAYBOOK)
    assert told.exit_code == 0, told.output
    assert "db1 on N2 has 1 layers to merge" in told.output
    assert told.changed == {"N1": 0, "N2": 0}
    wanted: dict[str, Any] = {"snapshot_offline_action_vm": "app1", "snapshot_offline_action_delete": "all"}
    first = controller.run(PLAYBOOK, "-e", str(wanted))
    assert first.exit_code == 0, first.output
    assert first.changed == {"N1": 1, "N2": 0}
    is_done(served, "app1", "N1")
    second = controller.run(PLAYBOOK, "-e", str(wanted))
    assert (second.exit_code, second.changed) == (0, {"N1": 0, "N2": 0}), second.output


def test_the_role_takes_one_machine_after_the_other(served: Served, controller: Controller) -> None:
    role = {
        "role": "fieldnotes.windows.snapshot_offline_action",
        "vars": {"snapshot_offline_action_vms": ["app1", "db1"], "snapshot_offline_action_delete": "all"},
    }
    play = [{"hosts": "windows", "gather_facts": False, "roles": [role]}]
    run = controller.run(play)
    assert run.exit_code == 0, run.output
    assert run.changed == {"N1": 1, "N2": 1}
    is_done(served, "app1", "N1")
    is_done(served, "db1", "N2")
    again = controller.run(play)
    assert (again.exit_code, again.changed) == (0, {"N1": 0, "N2": 0}), again.output


def test_a_controller_killed_in_the_merge_is_followed_by_one_that_ends_it(
    served: Served, controller: Controller
) -> None:
    fleet, vm = served.fleet, machine(served, "app1")
    vm.merge_seconds = 100000.0
    looked = threading.Event()

    def watch(_host: Host, request: Request) -> None:
        if vm.state == "off" and "Msvm_StorageJob" in request.wql:
            looked.set()

    fleet.watchers.append(watch)
    arguments = {"vm": "app1", "delete": "all", "not_owner": "skip"}
    play = {"hosts": "N1", "gather_facts": False, "tasks": [{"fieldnotes.windows.snapshot_offline_action": arguments}]}
    (controller.folder / "killed.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    (controller.folder / "killed_inventory.yml").write_text(yaml.safe_dump(controller.inventory), encoding="utf-8")
    process = subprocess.Popen(
        [command("ansible-playbook"), "-i", "killed_inventory.yml", "killed.yml"],
        cwd=controller.folder,
        env=environment(controller.folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )
    try:
        assert looked.wait(60), "the playbook never came as far as the merge"
        assert process.poll() is None
    finally:
        kill(process)
    assert (vm.state, vm.pending) == ("off", 2)
    assert "FieldnotesJournal" in fleet.state(Clusters).clusters["cl1"].groups["app1"].private

    with fleet.lock:
        vm.merge_seconds = 60.0
        vm.merge_started = vm.merge_due = None
        from_here = len(fleet.host("N1").log)
        merge(fleet, vm)
    run = controller.task("N1", "snapshot_offline_action", arguments, "-v")
    assert run.exit_code == 0, run.output
    assert run.changed == {"N1": 1}
    assert '"resumed": true' in run.output
    assert not any("RemoveVirtualSystemSnapshotTree" in r.what for r in fleet.host("N1").log[from_here:])
    is_done(served, "app1", "N1")
