# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The playbooks and the role of kms_srv_record and of the CIM modules, as a user runs them on a DNS server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from playbooks.running import ROOT, Controller
from winsim import Fleet, serve
from winsim.http import Served
from winsim.providers.dns import DnsState
from winsim.providers.services import ServicesState

FLEET = ROOT / "extensions" / "molecule" / "kms_srv_record" / "files" / "fleet.yml"
ZONES = ["corp.example.com", "branch.example.com"]
TARGET = "kms01.corp.example.com"


@pytest.fixture
def served() -> Iterator[Served]:
    """The DNS server of the Molecule scenario, with an old record in one of two zones."""
    with serve(Fleet.load(yaml.safe_load(FLEET.read_text(encoding="utf-8")))) as served:
        yield served


def targets(served: Served) -> dict[str, list[str]]:
    zones = served.fleet.host("DNS1").state(DnsState).zones or {}
    return {name: sorted(record.target for record in zone.records) for name, zone in zones.items()}


def test_the_playbook_makes_the_records_and_the_second_run_changes_nothing(
    served: Served, controller: Controller
) -> None:
    wanted = f'{{"kms_srv_record_hosts": "all", "kms_srv_record_zones": {ZONES}, "kms_srv_record_target": "{TARGET}"}}'
    playbook = ROOT / "playbooks" / "kms_srv_record.yml"
    checked = controller.run(playbook, "-e", wanted.replace("'", '"'), "--check", "--diff")
    assert checked.exit_code == 0, checked.output
    assert f"+branch.example.com 1: 0 0 1688 {TARGET} ttl null" in checked.output.replace("None", "null")
    assert targets(served) == {ZONES[0]: ["old02.corp.example.com."], ZONES[1]: []}
    first = controller.run(playbook, "-e", wanted.replace("'", '"'))
    assert (first.exit_code, first.changed) == (0, {"DNS1": 1}), first.output
    assert targets(served) == {ZONES[0]: [f"{TARGET}.", "old02.corp.example.com."], ZONES[1]: [f"{TARGET}."]}
    second = controller.run(playbook, "-e", wanted.replace("'", '"'))
    assert (second.exit_code, second.changed) == (0, {"DNS1": 0}), second.output


def test_the_cim_playbook_sets_the_service_and_the_second_run_changes_nothing(
    served: Served, controller: Controller, tmp_path: Path
) -> None:
    spooler = served.fleet.host("DNS1").state(ServicesState).get("Spooler")
    assert spooler is not None
    spooler.start_mode, spooler.state = "Manual", "Stopped"
    first = controller.run(ROOT / "playbooks" / "cim.yml")
    assert (first.exit_code, first.changed) == (0, {"DNS1": 3}), first.output
    assert spooler.start_mode == "Auto"
    served.fleet.clock.advance(30)
    assert spooler.state == "Running"
    second = controller.run(ROOT / "playbooks" / "cim.yml")
    assert (second.exit_code, second.changed) == (0, {"DNS1": 0}), second.output
