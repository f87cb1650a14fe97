# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The playbook, the role and single tasks of hang_recovery, as a user runs them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playbooks.running import PLAYBOOK, Controller
from winsim import Fleet, serve
from winsim.host import Host
from winsim.http import Served
from winsim.providers.cluster import Cluster, Clusters
from winsim.providers.registry import RegistryState

CRASH_CONTROL = r"HKLM\SYSTEM\CurrentControlSet\Control\CrashControl"
COMPLETE, AUTOMATIC = 1, 7
CONNECTIONS = [
    pytest.param(connection, transport, auth, id=f"{connection} {transport} {auth}")
    for connection in ("psrp", "winrm")
    for transport, auth in (("https", "basic"), ("http", "ntlm"))
]


def cluster(served: Served) -> Cluster:
    found = served.fleet.state(Clusters).get("CL1")
    assert found is not None
    return found


def policy(served: Served) -> tuple[int, int]:
    return cluster(served).hang_recovery_action, cluster(served).hang_timeout


def dump_types(served: Served) -> list[object]:
    hosts = served.fleet.hosts.values()
    return [host.state(RegistryState).get(CRASH_CONTROL, "CrashDumpEnabled") for host in hosts]


def written(host: Host) -> list[str]:
    return [f"{entry.action} {entry.what or entry.resource}" for entry in host.log if entry.writes]


@pytest.mark.parametrize(("connection", "transport", "auth"), CONNECTIONS)
def test_the_playbook_sets_the_policy_and_the_second_run_changes_nothing(
    served: Served, tmp_path: Path, connection: str, transport: str, auth: str
) -> None:
    inventory = served.inventory(connection=connection, transport=transport, auth=auth)
    controller = Controller(tmp_path, inventory)

    first = controller.run(PLAYBOOK)
    assert first.exit_code == 0, first.output
    assert first.changed == {"N1": 2, "N2": 1}
    assert policy(served) == (3, 60)
    assert dump_types(served) == [COMPLETE, COMPLETE]
    assert all(host.log and all(entry.secure for entry in host.log) for host in served.fleet.hosts.values())

    for host in served.fleet.hosts.values():
        host.log.clear()
    second = controller.run(PLAYBOOK)
    assert second.exit_code == 0, second.output
    assert second.changed == {"N1": 0, "N2": 0}
    assert [written(host) for host in served.fleet.hosts.values()] == [[], []]


def test_check_mode_tells_the_change_and_sends_no_writing_request(served: Served, controller: Controller) -> None:
    run = controller.run(PLAYBOOK, "--check", "--diff")
    assert run.exit_code == 0, run.output
    assert run.changed == {"N1": 2, "N2": 1}
    assert "-action: live_dump" in run.output
    assert "+action: bugcheck" in run.output
    assert [written(host) for host in served.fleet.hosts.values()] == [[], []]
    assert policy(served) == (6, 60)
    assert dump_types(served) == [AUTOMATIC, AUTOMATIC]


@pytest.mark.acceptance("hang_recovery", "A2")
def test_nodes_of_a_cluster_that_has_the_policy_find_nothing_to_do(served: Served, controller: Controller) -> None:
    assert controller.task("N1", "hang_recovery", {"action": "bugcheck"}).changed == {"N1": 1}
    for host in served.fleet.hosts.values():
        host.log.clear()
    assert controller.task("CL1", "hang_recovery", {"action": "bugcheck"}).changed == {"N1": 0, "N2": 0}
    assert [written(host) for host in served.fleet.hosts.values()] == [[], []]
    assert policy(served) == (3, 60)


def test_the_role_sets_cluster_and_nodes_and_is_idempotent(served: Served, controller: Controller) -> None:
    role = {
        "role": "fieldnotes.windows.hang_recovery",
        "vars": {
            "hang_recovery_action": "log",
            "hang_recovery_timeout": 90,
            "hang_recovery_dump_type": "complete",
            "hang_recovery_cluster": "CL1",
        },
    }
    play = {"hosts": "CL1", "gather_facts": False, "roles": [role]}
    first = controller.run([play])
    assert first.exit_code == 0, first.output
    assert first.changed == {"N1": 2, "N2": 1}
    assert policy(served) == (1, 90)
    assert dump_types(served) == [COMPLETE, COMPLETE]
    assert controller.run([play]).changed == {"N1": 0, "N2": 0}


def test_the_role_leaves_alone_what_is_not_given(served: Served, controller: Controller) -> None:
    role = {"role": "fieldnotes.windows.hang_recovery", "vars": {"hang_recovery_action": "log"}}
    run = controller.run([{"hosts": "CL1", "gather_facts": False, "roles": [role]}])
    assert run.changed == {"N1": 1, "N2": 0}
    assert policy(served) == (1, 60)
    assert dump_types(served) == [AUTOMATIC, AUTOMATIC]


def test_the_role_reaches_every_cluster_of_a_play_without_run_once(tmp_path: Path) -> None:
    fleet = Fleet.load({
        "hosts": {"N1": {"build": 17763}, "N2": {"build": 17763}},
        "clusters": {"CL1": {"nodes": ["N1"]}, "CL2": {"nodes": ["N2"]}},
    })  # fmt: skip
    role = {
        "role": "fieldnotes.windows.hang_recovery",
        "vars": {"hang_recovery_action": "log", "hang_recovery_run_once": False},
    }
    with serve(fleet) as served:
        run = Controller(tmp_path, served.inventory()).run(
            [{"hosts": "windows", "gather_facts": False, "roles": [role]}]
        )
    assert run.changed == {"N1": 1, "N2": 1}, run.output


def test_info_reads_and_changes_nothing(served: Served, controller: Controller) -> None:
    run = controller.run([
        {
            "hosts": "N1",
            "gather_facts": False,
            "tasks": [
                {"fieldnotes.windows.hang_recovery_info": {}, "register": "hang"},
                {"ansible.builtin.debug": {"msg": "{{ [hang.node, hang.cluster, hang.action, hang.timeout] }}"}},
            ],
        }
    ])  # fmt: skip
    assert run.exit_code == 0, run.output
    assert re.findall(r"N1|CL1|live_dump|60", run.output.partition('"msg"')[2])[:4] == ["N1", "CL1", "live_dump", "60"]
    assert run.changed == {"N1": 0}
    assert written(served.fleet.host("N1")) == []
