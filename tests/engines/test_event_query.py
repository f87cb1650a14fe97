# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The queries by which Ansible Automation Platform counts nodes that had no events of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from engines.tools import ROOT, Tools
from support.world import World

QUERIES: dict[str, dict[str, str]] = yaml.safe_load(
    (ROOT / "extensions" / "audit" / "event_query.yml").read_text(encoding="utf-8")
)
# Platform compiles the expression with the Python package jq and gives it the result of each event.
COUNT = """
import json, sys, jq
query, result = json.load(sys.stdin)
print(json.dumps(jq.compile(query).input(result).all()))
"""


def nodes(tools: Tools, module: str, result: dict[str, Any]) -> list[dict[str, Any]]:
    """What the query of a module makes of a result."""
    given = tools.folder / "given.json"
    given.write_text(json.dumps([QUERIES[f"fieldnotes.windows.{module}"]["query"], result]), encoding="utf-8")
    found: list[dict[str, Any]] = json.loads(tools.run("python", "-c", COUNT, given=given))
    return found


@pytest.mark.parametrize("name", QUERIES)
def test_each_query_is_for_a_module_of_this_collection(name: str) -> None:
    namespace, _dot, module = name.rpartition(".")
    assert namespace == "fieldnotes.windows"
    assert Path(ROOT, "plugins", "modules", f"{module}.py").is_file()
    assert set(QUERIES[name]) == {"query"}


def test_a_look_at_a_fleet_counts_each_host_that_answered(tools: Tools) -> None:
    with World({"hosts": {"N1": {}, "N2": {}, "GONE": {"network": {"answers": "web_page"}}}}) as world:
        variables = {
            **world.variables("N1"),
            "ansible_play_batch": list(world.fleet.hosts),
            "hostvars": {name: world.variables(name) for name in world.fleet.hosts},
        }
        result = world.run("N1", "fleet_info", variables=variables, procedures=[{"module": "ipv6_info"}])
    assert nodes(tools, "fleet_info", result) == [
        {"name": name, "canonical_facts": {"host_name": name}, "facts": {"device_type": "windows_host"}}
        for name in ("N1", "N2")
    ]
    assert nodes(tools, "fleet_info", {"failed": True, "msg": "x"}) == []


def test_a_merge_counts_the_virtual_machine(tools: Tools) -> None:
    fleet = {
        "hosts": {"HV1": {"build": 7601}},
        "clusters": {"HV": {"nodes": ["HV1"], "shared_volumes": {r"C:\ClusterStorage\Volume1": {"size": "1 TiB"}}}},
        "virtual_machines": {
            "app1": {
                "cluster": "HV",
                "owner": "HV1",
                "disks": [{"path": r"C:\ClusterStorage\Volume1\app1\app1.vhd", "layers": ["2 GiB"]}],
            }
        },
    }
    with World(fleet) as world:
        result = world.run("HV1", "snapshot_offline_action", vm="app1", check=True)
        refused = world.run("HV1", "snapshot_offline_action", vm="nobody", check=True)
    (machine,) = nodes(tools, "snapshot_offline_action", result)
    assert machine["name"] == "app1"
    assert machine["canonical_facts"] == {"id": result["before"]["id"]}
    assert nodes(tools, "snapshot_offline_action", refused) == []
