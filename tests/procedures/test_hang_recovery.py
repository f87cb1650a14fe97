# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""hang_recovery and hang_recovery_info on a simulated cluster CL1 of N1 and N2."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from support.points import Point
from support.world import World, step_names
from winsim import Host
from winsim.providers import cluster as cluster_provider
from winsim.providers import eventlog, services
from winsim.providers.cluster import Clusters
from winsim.providers.registry import RegistryState
from winsim.trouble import KINDS, Trouble, troubles_of

SERVER_2008, SERVER_2008_R2, SERVER_2012, SERVER_2012_R2 = 6003, 7601, 9200, 9600
SERVER_2016, SERVER_2019, SERVER_2022 = 14393, 17763, 20348

CRASH_CONTROL = r"HKLM\SYSTEM\CurrentControlSet\Control\CrashControl"
OURS = r"HKLM\SOFTWARE\fieldnotes.windows"
JOURNAL = OURS + r"\Journal\hang_recovery"


def cl1(
    build: int = SERVER_2019,
    *,
    other: int | None = None,
    action: int = 3,
    timeout: int = 60,
    cluster_exe: bool = False,
    switches: Mapping[str, str] | None = None,
    language: str = "en-US",
    nodes: Any = ("N1", "N2"),
) -> dict[str, Any]:
    """A fleet with one cluster; N2 may run another build."""
    tools = ["RSAT-Clustering-CmdInterface"] if cluster_exe else []
    return {
        "clock": {"speed": 0},
        "switches": dict(switches or {}),
        "hosts": {
            "N1": {"build": build, "language": language, "features": tools},
            "N2": {"build": other or build, "language": language},
        },
        "clusters": {
            "CL1": {
                "nodes": nodes if isinstance(nodes, dict) else list(nodes),
                "HangRecoveryAction": action,
                "ClusSvcHangTimeout": timeout,
            }
        },
    }


def values(world: World) -> tuple[int, int]:
    """HangRecoveryAction and ClusSvcHangTimeout as the cluster has them."""
    properties = world.fleet.state(Clusters).clusters["cl1"].properties
    return int(properties["HangRecoveryAction"]), int(properties["ClusSvcHangTimeout"])


def registry(host: Host) -> RegistryState:
    return host.state(RegistryState)


def has_no_journal(host: Host) -> bool:
    return registry(host).key(OURS) is None


def puts(world: World, since: int = 0) -> list[tuple[str, ...]]:
    return [request.properties for request in world.requests("N1", since) if request.action == "Put"]


@pytest.mark.acceptance("hang_recovery", "A1")
def test_sets_the_action_with_one_put() -> None:
    with World(cl1(action=6)) as world:
        result = world.run("N1", "hang_recovery", action="bugcheck")
        assert result["changed"]
        assert step_names(result) == ["set HangRecoveryAction from live_dump to bugcheck"]
        assert puts(world) == [("HangRecoveryAction",)]
        assert values(world) == (3, 60)
        assert result["before"]["action"] == "live_dump"
        assert result["after"] == {
            "action": "bugcheck",
            "action_value": 3,
            "timeout": 60,
            "dump_type": None,
            "dump_value": None,
        }
        assert result["cluster"] == "CL1"
        assert result["node"] == "N1"
        assert result["os_default_action"] == "live_dump"
        assert result["diff"] == {"before": "action: live_dump\n", "after": "action: bugcheck\n"}


@pytest.mark.acceptance("hang_recovery", "A2")
def test_second_run_changes_nothing_on_either_node() -> None:
    with World(cl1(action=6)) as world:
        assert world.run("N1", "hang_recovery", action="bugcheck")["changed"]
        asked = len(world.requests("N1"))
        assert not world.run("N1", "hang_recovery", action="bugcheck")["changed"]
        assert not world.run("N2", "hang_recovery", action="bugcheck")["changed"]
        assert world.writes("N1", asked) == world.writes("N2") == []
        assert values(world) == (3, 60)


@pytest.mark.acceptance("hang_recovery", "A3")
def test_two_steps_go_timeout_first_with_a_journal_that_is_gone_at_the_end() -> None:
    with World(cl1(SERVER_2012_R2, cluster_exe=True)) as world:
        result = world.run("N1", "hang_recovery", action="log", timeout=120)
        assert step_names(result) == [
            "set ClusSvcHangTimeout from 60 to 120 s",
            "set HangRecoveryAction from bugcheck to log",
        ]
        assert values(world) == (1, 120)
        order = [r.what for r in world.writes("N1") if r.action == "Command" or "String" in r.what or r.action == "Put"]
        assert order.index("SetStringValue") < next(i for i, what in enumerate(order) if "cluster.exe" in what)
        assert has_no_journal(world.host("N1"))


@pytest.mark.acceptance("hang_recovery", "A4")
def test_refuses_an_action_that_the_windows_of_the_nodes_lacks() -> None:
    with World(cl1(SERVER_2008_R2)) as world:
        result = world.run("N1", "hang_recovery", action="live_dump")
        assert result["failed"]
        assert result["msg"] == (
            "action live_dump needs Windows build 15063 or later on every node; N1 runs build 7601. "
            "Allowed here: disabled, log, terminate_service, bugcheck"
        )
        assert values(world) == (3, 60)


@pytest.mark.acceptance("hang_recovery", "A5")
def test_the_oldest_node_decides_what_is_allowed() -> None:
    with World(cl1(SERVER_2019, other=SERVER_2016)) as world:
        result = world.run("N1", "hang_recovery", action="live_dump")
        assert result["failed"]
        assert "N2 runs build 14393" in result["msg"]
        assert values(world) == (3, 60)
        assert world.writes("N1") == []


@pytest.mark.acceptance("hang_recovery", "A6")
def test_disabled_needs_force() -> None:
    with World(cl1(SERVER_2022, action=6)) as world:
        result = world.run("N1", "hang_recovery", action="disabled")
        assert result["failed"]
        assert result["msg"] == (
            "disabling hang detection leaves a hung node owning its resources until someone notices; "
            "set force: true to do it, or use log"
        )
        assert values(world) == (6, 60)


@pytest.mark.acceptance("hang_recovery", "A7")
def test_disabled_with_force_is_set_with_a_warning() -> None:
    with World(cl1(SERVER_2022, action=6)) as world:
        result = world.run("N1", "hang_recovery", action="disabled", force=True)
        assert result["changed"]
        assert any("hang detection is off" in warning for warning in result["warnings"])
        assert values(world) == (0, 60)


@pytest.mark.acceptance("hang_recovery", "A8")
@pytest.mark.parametrize("timeout", [5, 0, -1, 4294967296])
def test_refuses_a_timeout_out_of_range_without_asking_the_host(timeout: int) -> None:
    with World(cl1()) as world:
        result = world.run("N1", "hang_recovery", timeout=timeout)
        assert result["failed"]
        assert result["msg"] == f"timeout must be between 6 and 4294967295 seconds, got {timeout}"
        assert world.requests("N1") == []


@pytest.mark.acceptance("hang_recovery", "A9")
@pytest.mark.parametrize(("switch", "said"), [("refuse", "0x"), ("ignore", "(ignored)")])
def test_a_timeout_that_wmi_does_not_take_changes_nothing(switch: str, said: str) -> None:
    with World(cl1(SERVER_2022, action=6, switches={"cluster.hang_timeout_put": switch})) as world:
        result = world.run("N1", "hang_recovery", action="bugcheck", timeout=90)
        assert result["failed"]
        assert not result["changed"]
        assert result["msg"].startswith("N1 has no cluster.exe, the documented way to set ClusSvcHangTimeout, and WMI")
        assert said in result["msg"]
        assert [step["status"] for step in result["steps"]] == ["failed", "planned"]
        assert values(world) == (6, 60)
        assert has_no_journal(world.host("N1"))


@pytest.mark.acceptance("hang_recovery", "A10")
def test_a_timeout_that_is_set_already_needs_no_cluster_exe() -> None:
    with World(cl1(SERVER_2022, action=6)) as world:
        result = world.run("N1", "hang_recovery", action="bugcheck", timeout=60)
        assert result["changed"]
        assert values(world) == (3, 60)
        assert not any("CIM_DataFile" in request.wql for request in world.requests("N1"))


@pytest.mark.acceptance("hang_recovery", "A11")
@pytest.mark.parametrize("module", ["hang_recovery", "hang_recovery_info"])
def test_refuses_a_host_without_clustering(module: str) -> None:
    with World({"hosts": {"LONE": {"build": SERVER_2019}}}) as world:
        arguments: dict[str, Any] = {"action": "log"} if module == "hang_recovery" else {}
        result = world.run("LONE", module, **arguments)
        assert result["failed"]
        assert result["msg"] == (
            "LONE has no failover clustering: install the feature "
            "(ansible.windows.win_feature name=Failover-Clustering) or remove LONE from this play"
        )


@pytest.mark.acceptance("hang_recovery", "A12")
@pytest.mark.parametrize("switch", ["fault", "node_down", "empty"])
def test_refuses_a_node_whose_cluster_service_is_stopped(switch: str) -> None:
    with World(cl1(switches={"cluster.stopped": switch})) as world:
        services.crash(world.host("N1"), "ClusSvc", recorded=False)
        result = world.run("N1", "hang_recovery", action="log")
        assert result["failed"]
        assert result["msg"] == (
            "N1 is not an active cluster member: the Cluster service (ClusSvc) is Stopped; "
            "start it or join the node to its cluster"
        )
        assert values(world) == (3, 60)


@pytest.mark.acceptance("hang_recovery", "A13")
def test_refuses_another_cluster_than_the_expected() -> None:
    with World(cl1()) as world:
        result = world.run("N1", "hang_recovery", cluster="CL2", action="log")
        assert result["failed"]
        assert result["msg"] == "N1 belongs to cluster CL1, not CL2: wrong inventory group? nothing was changed"
        assert values(world) == (3, 60)


@pytest.mark.parametrize("name", ["CL1", "cl1", "cl1.example.test"])
@pytest.mark.parametrize("build", [SERVER_2008_R2, SERVER_2019])
def test_accepts_the_cluster_name_in_any_case_and_the_full_name_where_there_is_one(name: str, build: int) -> None:
    fleet = {**cl1(build), "domain": "example.test"}
    with World(fleet) as world:
        result = world.run("N1", "hang_recovery", cluster=name, action="log")
        assert bool(result.get("failed")) == ("." in name and build == SERVER_2008_R2)


@pytest.mark.acceptance("hang_recovery", "A14")
def test_a_dump_type_is_one_step_that_needs_a_restart() -> None:
    with World(cl1()) as world:
        registry(world.host("N1")).set(CRASH_CONTROL, "CrashDumpEnabled", 2)
        result = world.run("N1", "hang_recovery", action="bugcheck", dump_type="complete")
        assert step_names(result) == ["set crash dump type from kernel to complete"]
        assert result["reboot_required"]
        assert registry(world.host("N1")).get(CRASH_CONTROL, "CrashDumpEnabled") == 1
        assert values(world) == (3, 60)
        assert not any(request.what == "CreateKey" for request in world.requests("N1"))


@pytest.mark.acceptance("hang_recovery", "A15")
def test_check_mode_plans_and_writes_nothing() -> None:
    with World(cl1(SERVER_2012_R2, cluster_exe=True)) as world:
        planned = world.run("N1", "hang_recovery", check=True, action="log", timeout=90)
        assert planned["changed"]
        assert [step["status"] for step in planned["steps"]] == ["planned", "planned"]
        assert world.writes("N1") == []
        assert values(world) == (3, 60)
        assert has_no_journal(world.host("N1"))
        real = world.run("N1", "hang_recovery", action="log", timeout=90)
        assert step_names(planned) == step_names(real)
        assert planned["after"] == real["after"]


@pytest.mark.acceptance("hang_recovery", "A16")
def test_a_run_after_a_dead_controller_does_what_is_left() -> None:
    with World(cl1(SERVER_2012_R2, cluster_exe=True)) as world:
        # The controller sends nothing after the step of the timeout: its connection ends with the next write.
        troubles_of(world.host("N1")).add(Trouble("drop_before"), when=lambda asked: asked.action == "Put")
        first = world.run("N1", "hang_recovery", action="log", timeout=120)
        assert first["unreachable"]
        assert values(world) == (3, 120)
        journal = json.loads(str(registry(world.host("N1")).get(JOURNAL, "State")))
        assert journal["before"] == {"action": 3, "timeout": 60, "dump_type": None}
        assert [step["status"] for step in journal["steps"]] == ["done", "todo"]

        asked = len(world.requests("N1"))
        second = world.run("N1", "hang_recovery", action="log", timeout=120)
        assert second["resumed"]
        assert second["changed"]
        assert step_names(second) == ["set HangRecoveryAction from bugcheck to log"]
        assert not any(request.action == "Command" for request in world.requests("N1", asked))
        assert values(world) == (1, 120)
        assert has_no_journal(world.host("N1"))


@pytest.mark.acceptance("hang_recovery", "A17")
def test_a_failing_cluster_exe_is_named_and_the_action_stays() -> None:
    with World(cl1(SERVER_2012_R2, cluster_exe=True)) as world:
        world.host("N1").forced_exits["cluster.exe"] = 5
        result = world.run("N1", "hang_recovery", action="log", timeout=90)
        assert result["failed"]
        assert not result["changed"]
        assert "cluster.exe ended with exit code 5 (ERROR_ACCESS_DENIED)" in result["msg"]
        assert values(world) == (3, 60)
        assert has_no_journal(world.host("N1"))


@pytest.mark.acceptance("hang_recovery", "A18")
@pytest.mark.parametrize("source", ["BugCheck", "Microsoft-Windows-WER-SystemErrorReporting"])
def test_info_counts_hangs_and_only_their_bug_checks(source: str) -> None:
    with World(cl1()) as world:
        host = world.host("N1")
        for pid in (11, 12, 13):
            eventlog.record(host, "System", cluster_provider.EVENT_SOURCE, 4869, ["C:\\a.exe", str(pid), "60"])
        text = "0x0000009e (0xffffe001c0ffee00, 0x000000000000003c, 0x0000000000000002, 0x0000000000000000)"
        eventlog.record(host, "System", source, 1001, [text, "C:\\Windows\\MEMORY.DMP", "id"])
        eventlog.record(host, "System", source, 1001, ["0x000000d1 (0x1, 0x2, 0x3, 0x4)", "C:\\x.dmp", "id"])
        eventlog.record(host, "System", "Windows Error Reporting", 1001, ["0x0000009e (0x1, 0x2)", "", ""])
        result = world.run("N1", "hang_recovery_info")
        assert not result["changed"]
        assert result["history"]["logged"]["count"] == 3
        assert [event["pid"] for event in result["history"]["logged"]["events"]] == [13, 12, 11]
        assert result["history"]["bugcheck"]["count"] == 1
        bugcheck = result["history"]["bugcheck"]["events"][0]
        assert bugcheck["process_address"] == "0xffffe001c0ffee00"
        assert (bugcheck["seconds"], bugcheck["watchdog_source"]) == (60, 2)
        assert bugcheck["dump_file"] == "C:\\Windows\\MEMORY.DMP"
        assert any("0x9E is a reaction to a hang" in advice for advice in result["advice"])
        assert world.writes("N1") == []


@pytest.mark.acceptance("hang_recovery", "A19")
def test_info_knows_the_service_by_the_name_it_has_on_german_windows() -> None:
    with World(cl1(language="de-DE")) as world:
        host = world.host("N1")
        manager = "Service Control Manager"
        eventlog.record(host, "System", manager, 7031, ["Clusterdienst", "1", "0", "0", "Keine Aktion"])
        eventlog.record(host, "System", manager, 7031, ["Druckwarteschlange", "2", "0", "0", "Keine Aktion"])
        result = world.run("N1", "hang_recovery_info")
        assert result["history"]["service_ended"]["count"] == 1
        assert result["history"]["service_ended"]["events"][0]["times"] == 1


@pytest.mark.acceptance("hang_recovery", "A20")
def test_info_reports_a_value_that_no_reference_names() -> None:
    with World(cl1()) as world:
        world.fleet.state(Clusters).clusters["cl1"].properties["HangRecoveryAction"] = 9
        result = world.run("N1", "hang_recovery_info")
        assert "failed" not in result
        assert (result["action"], result["action_value"]) == ("unknown", 9)
        assert any("HangRecoveryAction 9" in warning for warning in result["warnings"])
        assert world.run("N1", "hang_recovery", action="bugcheck")["changed"]


@pytest.mark.acceptance("hang_recovery", "A21")
def test_windows_2008_without_the_timeout_refuses_to_set_it_and_reports_null() -> None:
    with World(cl1(SERVER_2008, switches={"cluster.hang_timeout_2008": "absent"})) as world:
        result = world.run("N1", "hang_recovery", timeout=90)
        assert result["failed"]
        assert result["msg"] == (
            "N1 does not show ClusSvcHangTimeout, so a change could not be verified; "
            "documented from Windows Server 2008 R2 on"
        )
        info = world.run("N1", "hang_recovery_info")
        assert "failed" not in info
        assert info["timeout"] is None
        assert world.run("N1", "hang_recovery", action="log")["changed"]


def test_windows_2008_with_the_timeout_sets_it_with_cluster_exe() -> None:
    with World(cl1(SERVER_2008, switches={"cluster.hang_timeout_2008": "present"})) as world:
        assert world.run("N1", "hang_recovery", timeout=90)["changed"]
        assert values(world) == (3, 90)


@pytest.mark.acceptance("hang_recovery", "A22")
def test_a_timeout_that_wmi_takes_is_set_by_put() -> None:
    with World(cl1(SERVER_2022, action=6, switches={"cluster.hang_timeout_put": "accept"})) as world:
        result = world.run("N1", "hang_recovery", action="bugcheck", timeout=90)
        assert len(step_names(result)) == 2
        assert puts(world) == [("ClusSvcHangTimeout",), ("HangRecoveryAction",)]
        assert values(world) == (3, 90)


@pytest.mark.acceptance("hang_recovery", "A23")
def test_check_mode_says_that_the_timeout_depends_on_what_wmi_accepts() -> None:
    with World(cl1(SERVER_2022, action=6, switches={"cluster.hang_timeout_put": "refuse"})) as world:
        result = world.run("N1", "hang_recovery", check=True, action="bugcheck", timeout=90)
        assert result["changed"]
        assert len(step_names(result)) == 2
        assert any("depends on what WMI accepts here" in warning for warning in result["warnings"])
        assert values(world) == (6, 60)


# Refusals and warnings that have no row of their own


def test_refuses_a_task_that_asks_for_nothing() -> None:
    with World(cl1()) as world:
        result = world.run("N1", "hang_recovery")
        assert result["failed"]
        assert result["msg"] == "nothing to do: give at least one of action, timeout, dump_type"
        assert world.requests("N1") == []


def test_debug_break_needs_force() -> None:
    with World(cl1()) as world:
        result = world.run("N1", "hang_recovery", action="debug_break")
        assert result["msg"] == (
            "debug_break stops the machine in the kernel debugger; set force: true only where one is attached"
        )
        assert world.run("N1", "hang_recovery", action="debug_break", force=True)["changed"]


@pytest.mark.parametrize(("build", "refused"), [(SERVER_2008_R2, True), (SERVER_2012, False)])
def test_automatic_dumps_need_windows_server_2012(build: int, refused: bool) -> None:
    with World(cl1(build)) as world:
        registry(world.host("N1")).set(CRASH_CONTROL, "CrashDumpEnabled", 2)
        result = world.run("N1", "hang_recovery", dump_type="automatic")
        assert bool(result.get("failed")) == refused
        if refused:
            assert result["msg"] == "automatic memory dumps exist from Windows Server 2012; use kernel or complete"


def test_a_joining_node_holds_changes_of_the_cluster_back() -> None:
    with World(cl1(nodes={"N1": {}, "N2": {"state": "Joining"}})) as world:
        result = world.run("N1", "hang_recovery", action="log")
        assert result["msg"] == "node N2 is joining cluster CL1: run again when it is up"
        assert "failed" not in world.run("N1", "hang_recovery", action="bugcheck")


@pytest.mark.parametrize(("state", "word"), [("Down", "down"), ("Paused", "paused")])
def test_a_node_that_is_away_is_named_and_does_not_refuse(state: str, word: str) -> None:
    with World(cl1(nodes={"N1": {}, "N2": {"state": state}})) as world:
        result = world.run("N1", "hang_recovery", action="log")
        assert result["changed"]
        assert f"node N2 is {word}; it gets the cluster's values when it returns" in result["warnings"]


def test_another_writer_is_found_by_reading_back() -> None:
    with World(cl1(action=6)) as world:
        properties = world.fleet.state(Clusters).clusters["cl1"].properties

        def meddle(asked: Any) -> bool:
            if asked.wql.startswith("SELECT Name, HangRecoveryAction") and puts(world):
                properties["HangRecoveryAction"] = 2
            return False

        troubles_of(world.host("N1")).add(Trouble("fault"), when=meddle)
        result = world.run("N1", "hang_recovery", action="bugcheck")
        assert result["failed"]
        assert result["msg"] == (
            "HangRecoveryAction of cluster CL1 is 2 after setting 3: another writer changed it, "
            "or Windows did not accept it; nothing else was changed"
        )


def test_a_short_timeout_and_a_small_paging_file_are_warned_of() -> None:
    fleet = cl1(SERVER_2012_R2, cluster_exe=True)
    fleet["hosts"]["N1"].update(memory="16 GiB", pagefiles={"C:\\pagefile.sys": "4 GiB"})
    with World(fleet) as world:
        result = world.run("N1", "hang_recovery", timeout=20, dump_type="complete")
        assert any("20 s" in warning for warning in result["warnings"])
        needed, present = 16 * 2**30 + 257 * 2**20, 4 * 2**30
        assert any(str(needed) in warning and str(present) in warning for warning in result["warnings"])


@pytest.mark.parametrize("parameters", [{"action": "bugcheck"}, {"action": "bugcheck", "timeout": 60}, {"timeout": 60}])
def test_steady_state_costs_three_requests_and_a_pull(parameters: dict[str, Any]) -> None:
    with World(cl1()) as world:
        assert not world.run("N1", "hang_recovery", **parameters)["changed"]
        assert [request.action for request in world.requests("N1")] == ["Invoke", "Enumerate", "Enumerate", "Pull"]


def test_a_failed_step_takes_back_the_steps_before_it() -> None:
    with World(cl1(SERVER_2012_R2, cluster_exe=True)) as world:
        fault = Trouble("fault", number=0x80041001, subcode="w:InternalError")
        troubles_of(world.host("N1")).add(fault, when=lambda asked: asked.action == "Put")
        result = world.run("N1", "hang_recovery", action="log", timeout=90)
        assert result["failed"]
        assert not result["changed"]
        assert "WBEM_E_FAILED 0x80041001" in result["msg"]
        assert [step["status"] for step in result["steps"]] == ["undone", "failed"]
        assert values(world) == (3, 60)
        assert has_no_journal(world.host("N1"))


def test_what_was_taken_back_needs_no_restart() -> None:
    with World(cl1(SERVER_2012_R2)) as world:
        troubles_of(world.host("N1")).add(Trouble("fault"), when=lambda asked: asked.what == "SetDWORDValue")
        result = world.run("N1", "hang_recovery", action="log", dump_type="complete")
        assert result["failed"]
        assert result["reboot_required"] is False
        assert values(world) == (3, 60)


# Journals that a run finds


def leave_a_journal(world: World, **arguments: Any) -> None:
    """An interrupted run whose timeout is set and whose action is not."""
    troubles_of(world.host("N1")).add(Trouble("drop_before"), when=lambda asked: asked.action == "Put")
    assert world.run("N1", "hang_recovery", **arguments)["unreachable"]
    assert registry(world.host("N1")).get(JOURNAL, "State") is not None


def test_another_goal_first_takes_back_what_the_interrupted_run_did() -> None:
    with World(cl1(SERVER_2012_R2, cluster_exe=True)) as world:
        leave_a_journal(world, action="log", timeout=120)
        result = world.run("N1", "hang_recovery", action="terminate_service")
        assert step_names(result) == [
            "set ClusSvcHangTimeout from 120 to 60 s",
            "set HangRecoveryAction from bugcheck to terminate_service",
        ]
        assert values(world) == (2, 60)
        assert has_no_journal(world.host("N1"))


def test_what_somebody_changed_since_is_not_taken_back() -> None:
    with World(cl1(SERVER_2012_R2, cluster_exe=True)) as world:
        leave_a_journal(world, action="log", timeout=120)
        world.fleet.state(Clusters).clusters["cl1"].properties["ClusSvcHangTimeout"] = 200
        assert world.run("N1", "hang_recovery", action="terminate_service")["changed"]
        assert values(world) == (2, 200)
        assert has_no_journal(world.host("N1"))


def test_the_journal_of_another_cluster_is_removed_with_a_warning() -> None:
    with World(cl1(SERVER_2012_R2, cluster_exe=True)) as world:
        entry = {"version": 1, "cluster": "OLD", "goal": {"timeout": 120}, "before": {"timeout": 60}, "steps": []}
        registry(world.host("N1")).set(JOURNAL, "State", json.dumps(entry))
        result = world.run("N1", "hang_recovery", action="bugcheck")
        assert not result["changed"]
        assert any("OLD" in warning for warning in result["warnings"])
        assert values(world) == (3, 60)
        assert has_no_journal(world.host("N1"))


@pytest.mark.parametrize(
    ("text", "said"),
    [("{not json", "cannot be read"), ('{"version": 2}', "newer version"), ("[]", "cannot be read")],
)
def test_a_journal_that_cannot_be_used_is_refused_by_its_key(text: str, said: str) -> None:
    with World(cl1()) as world:
        registry(world.host("N1")).set(JOURNAL, "State", text)
        result = world.run("N1", "hang_recovery", action="log")
        assert result["failed"]
        assert said in result["msg"]
        assert r"HKLM\SOFTWARE\fieldnotes.windows\Journal\hang_recovery" in result["msg"]
        assert world.writes("N1") == []


# Trouble at each request


def requests_of_a_full_run() -> int:
    with World(cl1(SERVER_2012_R2, cluster_exe=True)) as world:
        world.run("N1", "hang_recovery", action="log", timeout=120, dump_type="complete")
        return len(world.requests("N1"))


@pytest.mark.parametrize(
    "kind",
    [
        "truncated",
        *(pytest.param(kind, marks=pytest.mark.faults) for kind in ("http_500", "malformed", "wrong_namespace")),
    ],
)
def test_trouble_at_any_request_is_one_clear_line_and_the_next_run_completes(kind: str, point: Point) -> None:
    assert kind in KINDS
    for nth in range(1, requests_of_a_full_run() + 1):
        subject = "hang_recovery (three steps, cluster.exe)"
        with point(subject, kind, nth), World(cl1(SERVER_2012_R2, cluster_exe=True)) as world:
            troubles_of(world.host("N1")).add(Trouble(kind), nth=nth)
            first = world.run("N1", "hang_recovery", action="log", timeout=120, dump_type="complete")
            if first.get("failed") or first.get("unreachable"):
                assert "\n" not in first["msg"], (nth, first["msg"])
                assert "Traceback" not in first["msg"]
            second = world.run("N1", "hang_recovery", action="log", timeout=120, dump_type="complete")
            assert "failed" not in second, (nth, second)
            assert "unreachable" not in second, (nth, second)
            assert values(world) == (1, 120), nth
            assert registry(world.host("N1")).get(CRASH_CONTROL, "CrashDumpEnabled") == 1
            assert registry(world.host("N1")).key(JOURNAL) is None, nth
            third = world.run("N1", "hang_recovery", action="log", timeout=120, dump_type="complete")
            assert not third["changed"], nth


@pytest.mark.parametrize(
    ("action", "dump", "said"),
    [
        (3, 2, "a kernel dump holds no user-mode memory"),
        (4, 7, "a kernel dump holds no user-mode memory"),
        (3, 0, "dump type none: the bug check of a hung node will leave no usable evidence"),
        (4, 3, "dump type small: the bug check of a hung node will leave no usable evidence"),
        (2, 2, "in a real hang it may never finish"),
        (3, 1, f"a complete dump needs a paging file of {16 * 2**30 + 257 * 2**20} bytes"),
    ],
)
def test_info_advises_on_action_and_dump(action: int, dump: int, said: str) -> None:
    fleet = cl1(action=action)
    fleet["hosts"]["N1"].update(memory="16 GiB", pagefiles={"C:\\pagefile.sys": "4 GiB", "D:\\pagefile.sys": "64 GiB"})
    with World(fleet) as world:
        registry(world.host("N1")).set(CRASH_CONTROL, "CrashDumpEnabled", dump)
        result = world.run("N1", "hang_recovery_info")
        assert any(said in advice for advice in result["advice"]), result["advice"]
        assert result["dump"]["value"] == dump
        assert result["dump"]["file"] == r"C:\Windows\MEMORY.DMP"
        assert result["is_default"] is False


def test_info_says_how_far_the_log_reaches() -> None:
    with World(cl1()) as world:
        host = world.host("N1")
        host.state(eventlog.EventLogState).logs["System"].clear()
        assert world.run("N1", "hang_recovery_info")["history"]["complete"] is False
        old = host.now() - timedelta(days=100)
        eventlog.record(host, "System", "EventLog", 6013, ["1"], time=old)
        result = world.run("N1", "hang_recovery_info")
        assert result["history"]["complete"] is True
        assert result["warnings"] == []


def test_info_without_history_does_not_read_the_log() -> None:
    with World(cl1()) as world:
        result = world.run("N1", "hang_recovery_info", history_days=0)
        assert result["history"]["logged"]["count"] == 0
        assert not any("Win32_NTLogEvent" in request.wql for request in world.requests("N1"))
