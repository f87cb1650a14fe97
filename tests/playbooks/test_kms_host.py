# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The playbook and the role of kms_host, as a user runs them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import yaml
from playbooks.running import ROOT, Controller
from winsim import Fleet, serve
from winsim.http import Served

FLEET = ROOT / "extensions" / "molecule" / "kms_host" / "files" / "fleet.yml"
KEY = "-".join(["AAAAA"] * 5)


@pytest.fixture
def served() -> Iterator[Served]:
    """The KMS client of the Molecule scenario."""
    with serve(Fleet.load(yaml.safe_load(FLEET.read_text(encoding="utf-8")))) as served:
        yield served


def test_the_playbook_makes_a_kms_host_and_the_second_run_changes_nothing(
    served: Served, controller: Controller
) -> None:
    playbook = ROOT / "playbooks" / "kms_host.yml"
    wanted = json.dumps({"kms_host_hosts": "all", "kms_host_product_key": KEY, "kms_host_key_group": "ws2022"})
    host = served.fleet.host("KMS1")
    checked = controller.run(playbook, "-e", wanted, "--check", "--diff")
    assert checked.exit_code == 0, checked.output
    assert "+partial_product_key: AAAAA" in checked.output
    assert not any(request.writes for request in host.log)
    host.fleet.clock.speed = 50
    first = controller.run(playbook, "-e", wanted)
    assert (first.exit_code, first.changed) == (0, {"KMS1": 1}), first.output
    assert "KMS1 listens on TCP 1688; it activates nobody yet" in first.output
    second = controller.run(playbook, "-e", wanted)
    assert (second.exit_code, second.changed) == (0, {"KMS1": 0}), second.output
