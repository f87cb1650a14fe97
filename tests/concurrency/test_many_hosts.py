# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A role on a fleet, with as many hosts at a time as ansible-playbook is told to take."""

from __future__ import annotations

from pathlib import Path

import pytest
from playbooks.running import Controller
from support.points import Point
from support.world import World
from winsim.providers.registry import RegistryState

HOSTS, FORKS = 300, 50
PARAMETERS = r"HKLM\SYSTEM\CurrentControlSet\Services\Tcpip6\Parameters"


@pytest.mark.faults
def test_fifty_forks_on_three_hundred_hosts_fail_nowhere(tmp_path: Path, point: Point) -> None:
    names = [f"N{number}" for number in range(HOSTS)]
    play = {
        "hosts": "windows",
        "gather_facts": False,
        "roles": [{"role": "fieldnotes.windows.disable_ipv6", "disable_ipv6_state": "prefer_ipv4"}],
    }
    with World({"hosts": {name: {} for name in names}}) as world:
        controller = Controller(tmp_path, world.served.inventory())
        for word, changed in (("a change", 1), ("nothing to do", 0)):
            with point(f"{FORKS} forks on {HOSTS} hosts", word):
                run = controller.run([play], "--forks", str(FORKS))
                assert run.exit_code == 0, run.output[-4000:]
                assert run.changed == dict.fromkeys(names, changed)
        values = {name: world.host(name).state(RegistryState).get(PARAMETERS, "DisabledComponents") for name in names}
        assert values == dict.fromkeys(names, 0x20)
