# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The playbook audit, as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playbooks.running import ROOT, Controller, Run
from winsim import Fleet, serve
from winsim.http import Served

AUDIT = ROOT / "playbooks" / "audit.yml"
FLEET: dict[str, Any] = {
    "hosts": {
        "N1": {"build": 17763, "features": ["Failover-Clustering", "RSAT-Clustering-CmdInterface"]},
        "W1": {"adapters": {"NLB": {"addresses": ["10.0.0.11", "10.0.0.10"]}}},
        "KMS1": {},
        "DNS1": {"dns": {"zones": {"example.test": {}}}},
        "GONE": {"network": {"answers": "web_page"}},
    },
    "clusters": {"CL1": {"nodes": ["N1"]}},
    "nlb": {"WEB": {"ip": "10.0.0.10", "mode": "multicast", "hosts": {"W1": {"interface": "NLB"}}}},
}
TOLD = {"hang_recovery_info", "nlb_info", "ipv6_info", "kms_host_info", "snapshot_offline_action_info"}
EVERYWHERE = {*TOLD, "outlook_anywhere_info", "disable_ipv6"}


@pytest.fixture
def served() -> Iterator[Served]:
    with serve(Fleet.load(FLEET)) as served:
        yield served


def audit(served: Served, folder: Path, *flags: str) -> Run:
    inventory = served.inventory()
    records = {"kms_srv_record_zones": ["example.test"], "kms_srv_record_target": "kms1.example.test"}
    inventory["all"]["children"] |= {
        "kms_hosts": {"hosts": {"KMS1": {}}},
        "dns_servers": {"hosts": {"DNS1": {}}, "vars": records},
        "cluster_nodes": {"hosts": {"N1": {}}, "vars": {"hang_recovery_action": "bugcheck_all"}},
    }
    variables = {
        "audit_hosts": "windows",
        "audit_html": str(folder / "audit.html"),
        "audit_json": str(folder / "audit.json"),
    }
    return Controller(folder, inventory).run(AUDIT, "-e", json.dumps(variables), *flags)


def test_every_host_is_held_against_what_applies_to_it_and_nothing_is_written(served: Served, tmp_path: Path) -> None:
    run = audit(served, tmp_path)
    assert run.exit_code == 0, run.output
    assert f"The report is in {tmp_path}/audit.html" in run.output
    assert (tmp_path / "audit.html").is_file()
    found = json.loads((tmp_path / "audit.json").read_text(encoding="ascii"))
    hosts = {host["name"]: host["procedures"] for host in found["hosts"]}
    assert {name: set(procedures) - EVERYWHERE for name, procedures in hosts.items()} == {
        "N1": {"hang_recovery"},
        "W1": {"nlb_mode"},
        "KMS1": {"kms_host"},
        "DNS1": {"kms_srv_record"},
        "GONE": set(),
    }
    assert all(set(procedures) >= EVERYWHERE for procedures in hosts.values())
    assert hosts["N1"]["hang_recovery"]["state"] == "would_change"
    assert hosts["W1"]["nlb_mode"]["state"] == "compliant"
    assert hosts["KMS1"]["kms_host"]["refusal"] == "R3"
    assert hosts["DNS1"]["kms_srv_record"]["state"] == "would_change"
    assert {cell["state"] for cell in hosts["GONE"].values()} == {"unreachable"}
    rules = {procedure["label"]: procedure["arguments"] for procedure in found["procedures"]}
    assert rules["hang_recovery"] == {"action": "bugcheck_all", "timeout": 60, "dump_type": "complete"}
    assert rules["kms_srv_record"]["target"] == "kms1.example.test"
    assert list(rules)[:2] == ["disable_ipv6", "hang_recovery"]
    assert [entry for host in served.fleet.hosts.values() for entry in host.log if entry.writes] == []


def test_check_mode_looks_and_leaves_no_file(served: Served, tmp_path: Path) -> None:
    run = audit(served, tmp_path, "--check")
    assert run.exit_code == 0, run.output
    assert not (tmp_path / "audit.html").exists()
    assert not (tmp_path / "audit.json").exists()
    assert "The report is in" not in run.output
    assert all(host.log for name, host in served.fleet.hosts.items() if name != "GONE")
