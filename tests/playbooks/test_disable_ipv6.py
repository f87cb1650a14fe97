# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The playbook and the role of disable_ipv6, as a user runs them on inherited hosts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from playbooks.running import ROOT, Controller
from winsim import Fleet, serve
from winsim.http import Served
from winsim.providers.registry import RegistryState
from winsim.providers.tcpip6 import PARAMETERS

PLAYBOOK = ROOT / "playbooks" / "disable_ipv6.yml"
INHERITED = ROOT / "extensions" / "molecule" / "disable_ipv6" / "files" / "fleet.yml"


@pytest.fixture
def served() -> Iterator[Served]:
    """The hosts of the Molecule scenario: 0xFFFFFFFF on MAIL, IPv6 unchecked on FILE."""
    with serve(Fleet.load(yaml.safe_load(INHERITED.read_text(encoding="utf-8")))) as served:
        yield served


@pytest.fixture
def controller(served: Served, tmp_path: Path) -> Controller:
    return Controller(tmp_path, served.inventory())


def values(served: Served) -> dict[str, object]:
    hosts = served.fleet.hosts
    return {name: host.state(RegistryState).get(PARAMETERS, "DisabledComponents") for name, host in hosts.items()}


def test_the_playbook_changes_the_hosts_and_the_second_run_changes_nothing(
    served: Served, controller: Controller
) -> None:
    first = controller.run(PLAYBOOK)
    assert first.exit_code == 0, first.output
    assert first.changed == {"MAIL": 1, "FILE": 1}
    assert values(served) == {"MAIL": 0x20, "FILE": 0x20}
    assert "MAIL has 0x20 in effect after its next restart." in first.output
    assert "IPv6 is unchecked on Ethernet" in first.output
    for host in served.fleet.hosts.values():
        host.reboot(0)
    second = controller.run(PLAYBOOK)
    assert (second.exit_code, second.changed) == (0, {"MAIL": 0, "FILE": 0}), second.output
    assert "after its next restart" not in second.output


def test_check_mode_shows_the_change_and_makes_none(served: Served, controller: Controller) -> None:
    run = controller.run(PLAYBOOK, "--check", "--diff")
    assert run.exit_code == 0, run.output
    assert "-DisabledComponents: 0xFFFFFFFF" in run.output
    assert "+DisabledComponents: 0x20" in run.output
    assert values(served) == {"MAIL": 0xFFFFFFFF, "FILE": None}


def test_the_role_sets_value_and_bindings_and_is_idempotent(served: Served, controller: Controller) -> None:
    role = {
        "role": "fieldnotes.windows.disable_ipv6",
        "vars": {"disable_ipv6_disabled_components": "0x21", "disable_ipv6_adapter_binding": "bound"}
        | {"disable_ipv6_allow_unsupported": True},
    }
    play = {"hosts": "windows", "gather_facts": False, "roles": [role]}
    first = controller.run([play])
    assert first.exit_code == 0, first.output
    assert values(served) == {"MAIL": 0x21, "FILE": 0x21}
    second = controller.run([play])
    assert (second.exit_code, second.changed) == (0, {"MAIL": 0, "FILE": 0}), second.output
