# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""snapshot_offline_action: run on both nodes as a playbook does, because whoever owns the machine has to act."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from faults.scenario import CLOCK, Scenario, Task, in_turn, journals
from support.world import World
from winsim.providers.cluster import Clusters, Owned
from winsim.providers.hyperv import HyperVState, Machine

SHARED = r"C:\ClusterStorage\Volume1"
BASE = rf"{SHARED}\app1\app1.vhd"
SAVE, SHUT_DOWN, ONLINE = 1, 2, 2


def _fleet(build: int) -> dict[str, Any]:
    machine = {
        "cluster": "CL1",
        "owner": "N1",
        "snapshots": ["one"],
        "disks": [{"path": BASE}],
        "merge_seconds": 5,
        "shutdown_seconds": 2,
        "start_seconds": 2,
    }
    return {
        "clock": CLOCK,
        "hosts": {"N1": {"build": build}, "N2": {"build": build}},
        "clusters": {"CL1": {"nodes": ["N1", "N2"], "shared_volumes": {SHARED: {"size": "1 TiB", "free": "500 GiB"}}}},
        "virtual_machines": {"app1": machine},
    }


def _machine(world: World) -> Machine:
    return world.fleet.state(HyperVState).get("app1")


def _resource(world: World) -> Owned:
    return world.fleet.state(Clusters).clusters["cl1"].resources["virtual machine app1"]


def _missing(world: World) -> Iterator[str]:
    machine, resource = _machine(world), _resource(world)
    if machine.snapshots:
        yield f"{len(machine.snapshots)} snapshots are there"
    if machine.disks[0].path != BASE:
        yield f"{machine.disks[0].path} is attached"
    if (machine.state, resource.state) != ("running", ONLINE):
        yield f"the machine is {machine.state}, its resource in state {resource.state}"
    if resource.private["OfflineAction"] != SAVE:
        yield f"OfflineAction is {resource.private['OfflineAction']}"


def _wrong(world: World) -> Iterator[str]:
    machine, resource = _machine(world), _resource(world)
    if resource.private["OfflineAction"] not in (SAVE, SHUT_DOWN):
        yield f"OfflineAction is {resource.private['OfflineAction']}, which nobody asked for"
    if machine.state in ("saved", "saving", "paused"):
        yield f"the machine is {machine.state}"
    for disk in machine.disks:
        if machine.chain(disk)[-1].path != BASE:
            yield f"the chain of {disk.path} does not end in {BASE}"


def _left(world: World) -> Iterator[str]:
    yield from journals(world)
    if "FieldnotesJournal" in world.fleet.state(Clusters).clusters["cl1"].groups["app1"].private:
        yield "the group still has its journal"


def _scenario(subject: str, build: int, **more: Any) -> Scenario[World]:
    task = {"vm": "app1", "delete": "all", "not_owner": "skip"}
    return Scenario(
        f"snapshot_offline_action ({subject})",
        lambda _: World(_fleet(build)),
        in_turn(*(Task(node, "snapshot_offline_action", task) for node in ("N1", "N2"))),
        _missing,
        _wrong,
        settle=lambda world: world.fleet.clock.advance(60),
        left=_left,
        # a node that restarts hands the machine over
        living=("node",),
        **more,
    )


SCENARIOS = (
    _scenario("offline", 7601, parts=5, sample=(76, 104)),
    _scenario("offline, cluster.exe", 6003, readings=4, parts=6, sample=(101,)),
    _scenario("live", 17763, parts=3, sample=(58,)),
)
