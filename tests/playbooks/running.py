# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Running ansible-playbook as a user does, and reading what a user reads."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOK = ROOT / "playbooks" / "hang_recovery.yml"

_RECAP = re.compile(r"^(\S+)\s+: (ok=.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """The end of a command. recap: the counts of each host, by their names in the recap."""

    exit_code: int
    output: str

    @property
    def recap(self) -> dict[str, dict[str, int]]:
        return {
            host: {name: int(count) for name, count in (word.split("=") for word in counts.split())}
            for host, counts in _RECAP.findall(self.output)
        }

    @property
    def changed(self) -> dict[str, int]:
        """How many tasks changed something, by host."""
        return {host: counts["changed"] for host, counts in self.recap.items()}


def command(name: str) -> str:
    """A command of the environment that runs the tests."""
    return str(Path(sys.executable).with_name(name))


def environment(home: Path) -> dict[str, str]:
    """The caller's environment without their proxies and settings of Ansible, which keeps what it writes in `home`."""
    settings = home / "ansible.cfg"
    settings.touch()
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANSIBLE_", "MOLECULE_")) and not name.lower().endswith("_proxy")
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]])
    return {**kept, "PATH": path, "ANSIBLE_HOME": str(home), "ANSIBLE_CONFIG": str(settings), "ANSIBLE_NOCOLOR": "1"}


def kill(process: subprocess.Popen[Any]) -> None:
    """Kill a command and everything it started, at once: Ansible's workers lead sessions of their own."""
    doomed = [process.pid]
    for pid in doomed:
        os.kill(pid, signal.SIGSTOP)
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            doomed.extend(int(child) for child in children.read_text(encoding="utf-8").split())
    for pid in doomed:
        os.kill(pid, signal.SIGKILL)
    process.wait()


@dataclass(frozen=True)
class Controller:
    """A machine that runs playbooks. folder: where it keeps what it writes; inventory: of the hosts it manages."""

    folder: Path
    inventory: dict[str, Any]

    def run(self, playbook: Path | list[dict[str, Any]], *arguments: str) -> Run:
        """Run a playbook: a file, or plays that are written to one."""
        if not isinstance(playbook, Path):
            playbook = self._write("playbook.yml", playbook)
        inventory = self._write("inventory.yml", self.inventory)
        result = subprocess.run(
            [command("ansible-playbook"), "-i", inventory, playbook, *arguments],
            env=environment(self.folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return Run(result.returncode, result.stdout)

    def task(self, hosts: str, module: str, arguments: dict[str, Any], *flags: str, **keywords: Any) -> Run:
        """Run a play of one task. keywords: of the play, such as become."""
        name = f"fieldnotes.windows.{module}"
        play = {"hosts": hosts, "gather_facts": False, "tasks": [{name: arguments}], **keywords}
        return self.run([play], *flags)

    def _write(self, name: str, content: Any) -> Path:
        file = self.folder / name
        file.write_text(yaml.safe_dump(content), encoding="utf-8")
        return file
