# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ansible-playbook killed in the middle of a change: the next run completes."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest
import yaml
from playbooks.running import command, environment, kill
from support.world import World
from winsim.providers.cluster import Clusters
from winsim.providers.registry import RegistryState
from winsim.trouble import Asked, Trouble, troubles_of

FLEET = {
    "hosts": {"N1": {"build": 9600, "features": ["RSAT-Clustering-CmdInterface"]}},
    "clusters": {"CL1": {"nodes": ["N1"], "HangRecoveryAction": 3}},
}
TASK = {"fieldnotes.windows.hang_recovery": {"action": "log", "timeout": 120}}
JOURNAL = r"HKLM\SOFTWARE\fieldnotes.windows\Journal\hang_recovery"


@pytest.mark.parametrize(
    "at",
    [
        "SetStringValue",
        "Command",
        pytest.param("Put", marks=pytest.mark.acceptance("hang_recovery", "A16")),
        "DeleteKey",
    ],
)
def test_a_killed_controller_leaves_what_the_next_run_finishes(tmp_path: Path, at: str) -> None:
    with World(FLEET) as world:
        reached = threading.Event()

        def here(asked: Asked) -> bool:
            if at in (asked.action, asked.what):
                reached.set()
            return reached.is_set()

        held = troubles_of(world.host("N1")).add(Trouble("delay", seconds=None), when=here)
        (tmp_path / "inventory.yml").write_text(yaml.safe_dump(world.served.inventory()), encoding="utf-8")
        play = [{"hosts": "windows", "gather_facts": False, "tasks": [TASK]}]
        (tmp_path / "playbook.yml").write_text(yaml.safe_dump(play), encoding="utf-8")
        controller = subprocess.Popen(
            [command("ansible-playbook"), "-i", str(tmp_path / "inventory.yml"), str(tmp_path / "playbook.yml")],
            env=environment(tmp_path),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert reached.wait(60), "the playbook never came that far"
        finally:
            kill(controller)
            with world.fleet.changed:
                held.release()
                world.fleet.changed.notify_all()

        second = world.run("N1", "hang_recovery", action="log", timeout=120)
        assert "failed" not in second, second
        assert "unreachable" not in second, second
        properties = world.fleet.state(Clusters).clusters["cl1"].properties
        assert (properties["HangRecoveryAction"], properties["ClusSvcHangTimeout"]) == (1, 120)
        assert world.host("N1").state(RegistryState).key(JOURNAL) is None
        assert not world.run("N1", "hang_recovery", action="log", timeout=120)["changed"]
