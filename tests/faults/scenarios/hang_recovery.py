# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""hang_recovery: all three of its steps, with the executable and by WMI."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from faults.scenario import CLOCK, Scenario, Task, in_turn
from support.world import World
from winsim.providers.cluster import Clusters
from winsim.providers.registry import RegistryState

CRASH_CONTROL = r"HKLM\SYSTEM\CurrentControlSet\Control\CrashControl"
BEFORE = {"HangRecoveryAction": 3, "ClusSvcHangTimeout": 60}
GOAL = {"HangRecoveryAction": 1, "ClusSvcHangTimeout": 120}
COMPLETE = 1


def _fleet(build: int, *features: str) -> dict[str, Any]:
    return {
        "clock": CLOCK,
        "switches": {"cluster.hang_timeout_put": "accept"},
        "hosts": {"N1": {"build": build, "features": list(features)}, "N2": {"build": build}},
        "clusters": {"CL1": {"nodes": ["N1", "N2"], **BEFORE}},
    }


def _properties(world: World) -> dict[str, int]:
    properties = world.fleet.state(Clusters).clusters["cl1"].properties
    return {name: int(properties[name]) for name in GOAL}


def _dump(world: World, host: str) -> Any:
    return world.host(host).state(RegistryState).get(CRASH_CONTROL, "CrashDumpEnabled")


def _missing(world: World) -> Iterator[str]:
    if _properties(world) != GOAL:
        yield f"the cluster has {_properties(world)}"
    if _dump(world, "N1") != COMPLETE:
        yield f"N1's dump type is {_dump(world, 'N1')}"


def _wrong(world: World) -> Iterator[str]:
    found = _properties(world)
    for name, value in found.items():
        if value not in (BEFORE[name], GOAL[name]):
            yield f"{name} is {value}, which nobody asked for"
    if found["HangRecoveryAction"] == GOAL["HangRecoveryAction"] and found != GOAL:
        yield "the action was set before the timeout, the step most likely to fail"
    if _dump(world, "N2") == COMPLETE:
        yield "N2's dump type was changed"


def _scenario(how: str, build: int, *features: str, **more: Any) -> Scenario[World]:
    task = Task("N1", "hang_recovery", {"action": "log", "timeout": 120, "dump_type": "complete"})
    return Scenario(
        f"hang_recovery ({how})",
        lambda _: World(_fleet(build, *features)),
        in_turn(task),
        _missing,
        _wrong,
        # a dump type is in force once the host has restarted
        living=("active_dump",),
        **more,
    )


SCENARIOS = (
    _scenario("three steps, cluster.exe", 9600, "RSAT-Clustering-CmdInterface", sample=(24, 30)),
    _scenario("three steps, by WMI", 20348, sample=(27,)),
)
