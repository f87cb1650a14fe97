# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The playbook and the role of nlb_mode, as a user runs them on a web farm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from playbooks.running import ROOT, Controller
from winsim import Fleet, serve
from winsim.http import Served
from winsim.providers.nlb import Clusters, mode_of

PLAYBOOK = ROOT / "playbooks" / "nlb_mode.yml"
FARM = ROOT / "extensions" / "molecule" / "nlb_mode" / "files" / "fleet.yml"


@pytest.fixture
def served() -> Iterator[Served]:
    """The web farm of the Molecule scenario, 10.0.0.10 on W1 and W2, on a clock that runs fast."""
    with serve(Fleet.load(yaml.safe_load(FARM.read_text(encoding="utf-8")))) as served:
        yield served


@pytest.fixture
def controller(served: Served, tmp_path: Path) -> Controller:
    inventory = served.inventory()
    inventory["all"]["children"]["windows"]["vars"]["ansible_psrp_auth"] = "credssp"
    return Controller(tmp_path, inventory)


def modes(served: Served) -> list[str]:
    return [mode_of(each.loaded) for each in served.fleet.state(Clusters).get("WEB").members.values()]


def test_the_playbook_changes_the_farm_and_the_second_run_changes_nothing(
    served: Served, controller: Controller
) -> None:
    first = controller.run(PLAYBOOK)
    assert first.exit_code == 0, first.output
    assert first.changed == {"W1": 1, "W2": 0}
    assert modes(served) == ["multicast", "multicast"]
    assert "10.0.0.10 -> 03-BF-0A-00-00-0A" in first.output
    assert "10.0.0.10 is 03-BF-0A-00-00-0A on NLB (multicast, converged" in first.output
    second = controller.run(PLAYBOOK)
    assert (second.exit_code, second.changed) == (0, {"W1": 0, "W2": 0}), second.output


def test_check_mode_shows_the_change_and_makes_none(served: Served, controller: Controller) -> None:
    run = controller.run(PLAYBOOK, "--check", "--diff")
    assert run.exit_code == 0, run.output
    assert "-mac: 02-BF-0A-00-00-0A" in run.output
    assert "+mac: 03-BF-0A-00-00-0A" in run.output
    assert modes(served) == ["unicast", "unicast"]
    assert not any(entry.writes for host in served.fleet.hosts.values() for entry in host.log)


@pytest.mark.parametrize(
    ("variables", "changed"),
    [
        ({}, {"W1": 1, "W2": 0}),
        ({"nlb_mode_scope": "node", "nlb_mode_allow_mixed": True}, {"W1": 1, "W2": 1}),
    ],
)
def test_the_role_changes_the_farm_in_either_scope(
    served: Served, controller: Controller, variables: dict[str, Any], changed: dict[str, int]
) -> None:
    role = {"role": "fieldnotes.windows.nlb_mode", "vars": {"nlb_mode_mode": "igmp_multicast", **variables}}
    play = {"hosts": "windows", "serial": 1, "gather_facts": False, "roles": [role]}
    if "nlb_mode_scope" not in variables:
        del play["serial"]
    first = controller.run([play])
    assert first.exit_code == 0, first.output
    assert first.changed == changed
    assert modes(served) == ["igmp_multicast", "igmp_multicast"]
    assert controller.run([play]).changed == {"W1": 0, "W2": 0}
