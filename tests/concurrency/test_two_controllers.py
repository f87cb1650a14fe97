# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two controllers run the same task on the same host at the same time.

The registry has no lock, so a run that finds a journal follows it, and a run that finds its journal in other hands
looks again at what is there. dhcp_migrate alone lets no second run in. Whatever the order of the messages: the goal is
reached, nothing is left behind, and the next run changes nothing.
"""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.controllers import Controller, Result, names_of_controllers
from support.dhcp import ID, OLD, Migration, network, scope
from support.ends import differences, end_of
from support.points import Point
from support.procedures import MAIN_PATHS, Main, nothing_of_ours
from support.world import World
from winsim.providers.cluster import Clusters
from winsim.providers.registry import RegistryState
from winsim.trouble import Trouble, troubles_of

JOURNAL = r"HKLM\SOFTWARE\fieldnotes.windows\Journal\hang_recovery"
FIRST, SECOND = "controller-a", "controller-b"

EVERY = {
    "kms_host": 3,
    "kms_srv_record (cmdlet)": 2,
    "nlb_mode (cluster)": 2,
    "snapshot_offline_action (live": 6,
    "snapshot_offline_action (offline": 12,
    "dhcp_migrate": 24,
}
"""Of the messages of a long procedure one in so many; of the others each."""

COUNTS = ("activations", "installs")
"""Between two messages both may do a step: a key may be installed and activated twice, as docs/concurrency.md says."""

KEEPS_OUT = {"E_BUSY", "E_NOT_RUNNING", "E_STORE_NOT_EMPTY", "E_TARGET_HAS_DATA", "E_TARGET_AUTHORIZED", "superseded"}
"""How dhcp_migrate refuses beside another run: by its journal, or by what that run has done to the server already."""


@pytest.fixture(autouse=True)
def _names() -> Iterator[None]:
    with names_of_controllers():
        yield


def every(name: str) -> int:
    return next((count for prefix, count in EVERY.items() if name.startswith(prefix)), 1)


def count_messages(main: Main, home: Path) -> int:
    """Of a run that has the host for itself."""
    with World(main.fleet()) as world:
        main.prepare(world, home)
        before = sum(len(host.log) for host in world.fleet.hosts.values())
        main.run(world, home)
        return sum(len(host.log) for host in world.fleet.hosts.values()) - before


@functools.cache
def undisturbed_end(name: str) -> frozenset[str]:
    """What a run leaves that has the host for itself, after the second one, which changes nothing."""
    main = MAIN_PATHS[name]
    with tempfile.TemporaryDirectory() as home, World(main.fleet()) as world:
        main.prepare(world, Path(home))
        for _ in range(2):
            main.run(world, Path(home))
            main.clean(world)
        return what_is_left(main, world)


def what_is_left(main: Main, world: World) -> frozenset[str]:
    """Without the journals, which main.clean looks at: those that stay name their controllers."""
    return end_of(world, (*main.living, *COUNTS, "fieldnotes.windows"))


def reason(result: Mapping[str, Any]) -> str:
    return str(result.get("refusal") or (result.get("failure") or {}).get("code") or "")


def run_both(main: Main, home: Path, first_hold: int, second_hold: int | None = None) -> tuple[Result, Result] | None:
    """The first until a message, then the second until one of its own or wholly; None for a message that never comes.

    Checks everything that must hold in any order.
    """
    with World(main.fleet()) as world:
        main.prepare(world, home / FIRST)
        if (home / FIRST).exists():
            shutil.copytree(home / FIRST, home / SECOND)
        first = Controller(world, FIRST, lambda: main.run(world, home / FIRST), first_hold)
        second = Controller(world, SECOND, lambda: main.run(world, home / SECOND), second_hold)
        first.start()
        if not first.was_held:
            first.finish()
            return None
        second.start()
        results = (first.finish(), second.finish())
        for result in results:
            ended_well = not {"failed", "unreachable"} & result.keys()
            assert ended_well or (main.module == "dhcp_migrate" and reason(result) in KEEPS_OUT), result["msg"]
        assert any("failed" not in result for result in results), [result["msg"] for result in results]
        main.reached(world)
        main.clean(world)
        again = main.run(world, home / (FIRST if "failed" not in results[0] else SECOND))
        assert (again.get("msg"), again["changed"]) == (None, False)
        main.clean(world)
        assert list(differences(undisturbed_end(main.name), what_is_left(main, world))) == []
        return results


def homes(base: Path) -> Iterator[Path]:
    number = 0
    while True:
        number += 1
        yield base / str(number)


PARTS = 4


@pytest.mark.faults
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", MAIN_PATHS)
def test_a_run_between_any_two_messages_of_another(name: str, part: int, tmp_path: Path, point: Point) -> None:
    main, home = MAIN_PATHS[name], homes(tmp_path)
    last, step = count_messages(main, next(home)), every(name)
    assert last >= 3
    for message in range(1 + part * step, last + 1, PARTS * step):
        with point(f"two controllers: {name}", "a whole run in between", message):
            assert run_both(main, next(home), message) is not None


@pytest.mark.faults
@pytest.mark.parametrize("name", MAIN_PATHS)
def test_two_runs_that_take_turns(name: str, tmp_path: Path, point: Point) -> None:
    main, home = MAIN_PATHS[name], homes(tmp_path)
    last = count_messages(main, next(home))
    turns = range(2, last, max(1, last // 3))
    for message in turns:
        for other in turns:
            with point(f"two controllers: {name}", "in turns", message):
                run_both(main, next(home), message, other)


SAMPLE = {
    "hang_recovery": [3, 20],
    "disable_ipv6 (bindings)": [20],
    "kms_srv_record (wmi)": [4, 20],
    "nlb_mode (node)": [20],
    "snapshot_offline_action (live, 20348)": [50],
    "cim_instance": [2],
    "cim_method": [2],
    "dhcp_migrate (exported)": [150],
}


@pytest.mark.parametrize(("name", "message"), [(name, each) for name, some in SAMPLE.items() for each in some])
def test_a_run_within_another(name: str, message: int, tmp_path: Path) -> None:
    assert run_both(MAIN_PATHS[name], tmp_path, message) is not None


def test_reading_one_host_does_not_wait_for_another_reading(tmp_path: Path) -> None:
    assert run_both(MAIN_PATHS["dhcp_migrate (exported)"], tmp_path, 2, 2) is not None


# What the two are told


def hang(world: World, action: str, timeout: int) -> Result:
    return world.run("N1", "hang_recovery", action=action, timeout=timeout)


def test_a_run_whose_journal_another_one_has_ended_does_not_take_its_work_back() -> None:
    main = MAIN_PATHS["hang_recovery"]
    with World(main.fleet()) as world:
        first = Controller(world, FIRST, lambda: main.run(world, Path()), 20)
        first.start()
        assert first.was_held
        second = main.run(world, Path())
        assert (second["changed"], second["resumed"]) == (True, True)
        result = first.finish()
        assert "failed" not in result
        main.reached(world)


@pytest.mark.parametrize("message", range(1, 44, 6))
def test_of_two_goals_one_is_reached_whole(message: int) -> None:
    with World(MAIN_PATHS["hang_recovery"].fleet()) as world:
        first = Controller(world, FIRST, lambda: hang(world, "log", 90), message)
        first.start()
        second = hang(world, "terminate_service", 120)
        result = first.finish()
        assert "failed" not in result, result["msg"]
        assert "failed" not in second, second["msg"]
        properties = world.fleet.state(Clusters).clusters["cl1"].properties
        found = (int(properties["HangRecoveryAction"]), int(properties["ClusSvcHangTimeout"]))
        assert found in ((1, 90), (2, 120))
        nothing_of_ours("N1")(world)
        goal = ("log", 90) if found == (1, 90) else ("terminate_service", 120)
        assert not hang(world, *goal)["changed"]


def test_a_host_that_keeps_nothing_is_told_after_a_few_tries() -> None:
    """A registry whose values vanish looks like another run without end."""
    with World(MAIN_PATHS["hang_recovery"].fleet()) as world:

        def vanishes(asked: Any) -> bool:
            if asked.what == "GetStringValue":
                key = world.host("N1").state(RegistryState).key(JOURNAL)
                if key is not None:
                    key.values.clear()
            return False

        troubles_of(world.host("N1")).add(Trouble("delay"), when=vanishes)
        result = hang(world, "log", 90)
        assert result["failed"]
        assert result["msg"] == (
            f"what this run wrote to {JOURNAL} is gone: another run ended it. Run the task again when no other run is "
            "at work"
        )
        assert not result["changed"]


# dhcp_migrate lets no second run in


def small() -> dict[str, Any]:
    return network(dhcp={"scopes": [scope(1, 3, 1)]})


def test_a_second_controller_is_refused_with_the_name_of_the_first(tmp_path: Path) -> None:
    with Migration(small(), tmp_path) as world:
        first = Controller(world, FIRST, world.export, 150)
        first.start()
        assert first.was_held
        second = Controller(world, SECOND, world.export)
        second.start()
        refused = second.finish()
        assert refused["refusal"] == "E_BUSY"
        assert f"Finish it on {FIRST} or use rolled_back." in refused["msg"]
        assert "failed" not in first.finish()


def test_a_run_that_was_silent_for_long_gives_way_to_the_one_that_took_over(tmp_path: Path) -> None:
    with Migration(small(), tmp_path / "a") as world:
        first = Controller(world, FIRST, world.export, 140)
        first.start()
        assert first.was_held
        world.fleet.clock.advance(16 * 60)
        world.home = tmp_path / "b"
        second = Controller(world, SECOND, world.export)
        second.start()
        assert "failed" not in second.finish()
        result = first.finish()
        assert reason(result) == "superseded"
        assert f"a run of {SECOND} has taken over" in result["msg"]
        assert world.service(OLD) == ("Stopped", "Disabled")


def test_another_run_on_the_same_controller_is_refused_while_it_lives(tmp_path: Path) -> None:
    with Migration(small(), tmp_path) as world:
        troubles_of(world.host(OLD)).add(Trouble("drop_before"), when=lambda asked: asked.what == "Backup")
        world.export(rollback_on_failure=False)
        entry = world.journal(OLD)
        assert entry is not None
        waits = [sys.executable, "-c", "input()"]
        with subprocess.Popen(waits, stdin=subprocess.PIPE) as other:
            key = rf"HKLM\SOFTWARE\fieldnotes.windows\Journal\dhcp_migrate\{ID}"
            world.host(OLD).state(RegistryState).set(key, "State", json.dumps({**entry, "process": other.pid}))
            assert world.export()["refusal"] == "E_BUSY"
            other.communicate(b"\n")
        assert "failed" not in world.export()
