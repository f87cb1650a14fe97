# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whichever way Windows behaves where no document says it: the goal is reached and the second run changes nothing, or
the task refuses as documented and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.points import Point
from support.procedures import MAIN_PATHS, Main
from support.world import World
from uncertainty.cases import CASES, WIRE, Case, others
from winsim.providers.cluster import hang


def words(positions: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={position}" for name, position in positions.items()) or "default"


def told(result: Mapping[str, Any]) -> str:
    """The code and the message of a task that failed."""
    code = result.get("refusal") or (result.get("failure") or {}).get("code") or ""
    return f"{code} {result.get('msg', '')}".strip()


def restart(world: World) -> None:
    for host in world.fleet.hosts.values():
        host.reboot(0)
    world.fleet.clock.advance(300)


def ends_at_its_goal(main: Main, home: Path, result: dict[str, Any], world: World) -> None:
    assert not {"failed", "unreachable"} & result.keys(), told(result)
    if result["reboot_required"]:
        restart(world)
        after = main.run(world, home)
        assert not {"failed", "unreachable"} & after.keys(), told(after)
    main.reached(world)
    again = main.run(world, home)
    assert (told(again), again["changed"], again["reboot_required"]) == ("", False, False)
    main.clean(world)


def ends_right(case: Case, positions: Mapping[str, str], home: Path) -> None:
    expected = case.end(positions)
    main = case.main.with_switches(positions)
    with World(main.fleet()) as world:
        if expected and main.before:
            first = [world.run(host, module, **main.at(arguments, home)) for host, module, arguments in main.before]
            if any("failed" in each for each in first):
                assert expected in told(first[-1])
                return
        main.prepare(world, home)
        asked = len(world.requests(main.host))
        planned = main.run(world, home, check=True)
        assert world.writes(main.host, asked) == [], "check mode wrote"
        result = main.run(world, home)
        if not expected:
            assert planned["changed"], told(planned)
            ends_at_its_goal(main, home, result, world)
            return
        assert "failed" in result, words(positions)
        assert expected in told(result)
        main.clean(world)
        again = main.run(world, home)
        assert "failed" in again
        main.clean(world)


@pytest.mark.faults
@pytest.mark.parametrize("name", CASES)
def test_every_position_and_the_pairs_that_can_meet(name: str, tmp_path: Path, point: Point) -> None:
    for number, positions in enumerate(CASES[name].positions()):
        with point(f"uncertainty: {name}", ("default", "position", "pair")[len(positions)]):
            try:
                ends_right(CASES[name], positions, tmp_path / str(number))
            except AssertionError as error:
                raise AssertionError(f"{words(positions)}: {error}") from error


@pytest.mark.faults
@pytest.mark.parametrize("name", MAIN_PATHS)
def test_every_way_in_which_a_server_writes_its_answers(name: str, tmp_path: Path, point: Point) -> None:
    for switch in WIRE:
        for position in others(switch):
            with point(f"uncertainty: {name}", "wire"):
                ends_right(Case(MAIN_PATHS[name], (switch,)), {switch: position}, tmp_path / f"{switch}-{position}")


SAMPLE = {
    "hang_recovery: timeout by WMI": {"cluster.hang_timeout_put": "ignore"},
    "disable_ipv6 (hosts file)": {"files.byte_content": "each", "tcpip6.prefix_policy_class": "fails"},
    "nlb_mode (node)": {"nlb.restart": "needed", "nlb.pending": "hidden"},
    "kms_host (20348)": {"licensing.stop_service": "refused", "licensing.unset_port": "null"},
    "kms_host: stopped service": {"licensing.demand_start": "refuses"},
    "kms_srv_record: either way": {"dns.wmi_namespace": "absent", "dns.missing_name": "empty"},
    "kms_srv_record (wmi)": {"dns.srv_keys": "fewer", "dns.zone_type": "from_zero"},
    "snapshot_offline_action (live, 20348)": {"cluster_resources.group_property": "refuse"},
    "dhcp_migrate: no delegation": {"directory.second_hop": "5"},
    "cim_instance": {"wire.class_schema": "absent", "wire.fragments": "unsupported"},
}


@pytest.mark.parametrize("name", SAMPLE)
def test_a_sample_of_the_matrix(name: str, tmp_path: Path) -> None:
    ends_right(CASES[name], SAMPLE[name], tmp_path)


# What the modules that only read tell


@pytest.mark.parametrize("source", ["BugCheck", "Microsoft-Windows-WER-SystemErrorReporting"])
@pytest.mark.parametrize("trace", ["events", "none"])
def test_the_history_of_hangs_counts_what_windows_leaves(source: str, trace: str) -> None:
    main = MAIN_PATHS["hang_recovery"].with_switches(
        {"eventlog.bugcheck_source": source, "cluster.live_dump_trace": trace}
    )
    with World(main.fleet()) as world:
        world.run("N1", "hang_recovery", action="live_dump")
        hang(world.host("N1"))
        world.fleet.clock.advance(600)
        history = world.run("N1", "hang_recovery_info")["history"]
        assert history["bugcheck"]["count"] == 0
        assert history["service_ended"]["count"] == (1 if trace == "events" else 0)
        world.run("N1", "hang_recovery", action="bugcheck")
        hang(world.host("N1"))
        world.fleet.clock.advance(600)
        assert world.run("N1", "hang_recovery_info")["history"]["bugcheck"]["count"] == 1
