# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A whole site: the playbook of all roles, and fleet_info, which says the same in one task."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playbooks.running import ROOT, Controller
from winsim import Fleet, serve
from winsim.http import Served

SITE = ROOT / "playbooks" / "site.yml"
KEY = "AAAAA-AAAAA-AAAAA-AAAAA-AAAAA"
NODE = {"build": 17763, "features": ["Failover-Clustering", "RSAT-Clustering-CmdInterface"]}
FLEET = {
    "clock": {"speed": 0},
    "hosts": {
        "N1": NODE,
        "N2": NODE,
        "KMS": {"licensing": {"keys": {KEY: {"kind": "kms_host", "group": "ws2022"}}, "installed": {KEY: 1}}},
        "DNS": {"dns": {"zones": {"example.test": {}}}},
    },
    "clusters": {"CL1": {"nodes": ["N1", "N2"]}},
}
GROUPS: dict[str, Any] = {
    "windows": {"vars": {"disable_ipv6_state": "prefer_ipv4"}},
    "cluster_nodes": {"hosts": {"N1": {}, "N2": {}}, "vars": {"hang_recovery_action": "log"}},
    "kms_hosts": {"hosts": {"KMS": {}}, "vars": {"kms_host_activation": "none", "kms_host_firewall": "open"}},
    "dns_servers": {
        "hosts": {"DNS": {}},
        "vars": {"kms_srv_record_zones": ["example.test"], "kms_srv_record_target": "kms.example.test"},
    },
}


@pytest.fixture
def served() -> Iterator[Served]:
    with serve(Fleet.load(FLEET)) as served:
        yield served


@pytest.fixture
def controller(served: Served, tmp_path: Path) -> Controller:
    inventory = served.inventory()
    children = inventory["all"]["children"]
    for name, group in GROUPS.items():
        known = children.setdefault(name, {})
        known.update(group, vars={**known.get("vars", {}), **group["vars"]})
    return Controller(tmp_path, inventory)


def writes(served: Served) -> int:
    return sum(request.writes for host in served.fleet.hosts.values() for request in host.log)


def test_the_site_is_predicted_then_made_and_then_stays(served: Served, controller: Controller) -> None:
    predicted = controller.run(SITE, "--check")
    assert predicted.exit_code == 0, predicted.output
    # In check mode both nodes would be the first to change their cluster.
    assert predicted.changed == {"N1": 2, "N2": 2, "KMS": 2, "DNS": 2}
    assert writes(served) == 0
    made = controller.run(SITE)
    assert made.exit_code == 0, made.output
    assert made.changed["KMS"] == made.changed["DNS"] == 2
    assert made.changed["N1"] + made.changed["N2"] in (3, 4)
    again = controller.run(SITE)
    assert (again.exit_code, set(again.changed.values())) == (0, {0}), again.output


def test_one_task_tells_the_same_of_all_hosts_and_the_play_goes_on(served: Served, controller: Controller) -> None:
    windows = controller.inventory["all"]["children"]["windows"]
    windows["hosts"]["N2"]["ansible_port"] = 1
    for host in windows["hosts"].values():
        del host["ansible_user"]
    keywords = {"connection": windows["vars"].pop("ansible_connection"), "remote_user": "Administrator"}
    wanted = [
        {"module": "disable_ipv6", "arguments": {"state": "{{ disable_ipv6_state }}"}},
        {"module": "hang_recovery", "arguments": {"action": "log"}, "hosts": "{{ groups['cluster_nodes'] }}"},
    ]
    count = "{{ fleet.counts.would_change }} would change, {{ fleet.hosts.N2.msg }}"
    tasks = [
        {"fieldnotes.windows.fleet_info": {"procedures": wanted}, "register": "fleet"},
        {"ansible.builtin.debug": {"msg": count}, "run_once": True},
        {"fieldnotes.windows.ipv6_info": {}, "when": "inventory_hostname != 'N2'"},
    ]
    run = controller.run([{"hosts": "windows", "gather_facts": False, "tasks": tasks, **keywords}])
    assert run.exit_code == 0, run.output
    assert "3 would change, http://127.0.0.1:1/wsman cannot be reached" in run.output
    # It belongs to the first host, and a host that is unreachable for it is not lost for the play.
    assert {host: counts["ok"] for host, counts in run.recap.items() if counts["ok"]} == {"DNS": 3, "KMS": 1, "N1": 1}
    assert writes(served) == 0
