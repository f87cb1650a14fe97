# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a stranger has: an empty environment, the archive, winsim as a package, and the documentation."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "molecule.md"
RECAP = re.compile(r"^(\S+)\s+: ok=\d+ +changed=(\d+) .*failed=0 ", re.MULTILINE)

pytestmark = pytest.mark.faults


@dataclass(frozen=True)
class Machine:
    """A user's machine. home: everything on it; nothing of this repository is in its environment."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "PATH": f"{self.home / 'venv' / 'bin'}:/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(self.home / "collections"),
        }

    def run(self, *command: str, folder: Path | None = None) -> str:
        """The output of a command that ends well."""
        result = subprocess.run(
            command,
            cwd=folder or self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert result.returncode == 0, result.stdout
        return result.stdout

    @contextlib.contextmanager
    def serving(self, fleet: Path) -> Iterator[Path]:
        """The inventory of a fleet that the installed winsim serves."""
        inventory = self.home / "inventory.yml"
        command = [str(self.home / "venv" / "bin" / "winsim"), str(fleet), "--inventory", str(inventory)]
        with subprocess.Popen(
            command, cwd=self.home, env=self.environment, stdout=subprocess.PIPE, text=True
        ) as winsim:
            try:
                assert winsim.stdout is not None
                assert any(line == "ready\n" for line in winsim.stdout)
                yield inventory
            finally:
                winsim.terminate()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    home = tmp_path_factory.mktemp("stranger")
    subprocess.run([sys.executable, "-m", "venv", home / "venv"], check=True)
    packages = [f"ansible-core=={version('ansible-core')}", "pypsrp", "molecule", str(ROOT / "tests")]
    pip = [str(home / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-c", str(ROOT / "constraints.txt"), *packages], check=True)
    subprocess.run([ROOT / "dev", "build", home], check=True, env={**os.environ, "PYTHON": sys.executable})
    (archive,) = home.glob("fieldnotes-windows-*.tar.gz")
    stranger = Machine(home)
    stranger.run("ansible-galaxy", "collection", "install", str(archive), "-p", str(home / "collections"), "--offline")
    return stranger


def files_of(page: Path) -> dict[str, str]:
    """Path -> content of every file that a page shows: its path in code at the start of a line, then a block."""
    return dict(re.findall(r"(?ms)^`([\w/.]+)`[^`]*?(?:\(.*?\))?[^`]*?^```yaml\n(.*?)^```$", page.read_text("utf-8")))


def test_a_playbook_of_the_archive_reaches_its_goal_and_then_changes_nothing(machine: Machine) -> None:
    with machine.serving(ROOT / "demo" / "fleet.yml") as inventory:
        command = ["ansible-playbook", "-i", str(inventory), "fieldnotes.windows.hang_recovery"]
        command += ["-e", "hang_recovery_hosts=CL1"]
        first = dict(RECAP.findall(machine.run(*command)))
        second = dict(RECAP.findall(machine.run(*command)))
    assert len(first) == 3
    assert set(first.values()) != {"0"}
    assert set(second.values()) == {"0"}


def test_the_archive_holds_no_tests_and_no_tools(machine: Machine) -> None:
    installed = machine.home / "collections" / "ansible_collections" / "fieldnotes" / "windows"
    assert [file.name for file in (installed / "tests").iterdir()] == ["config.yml"]
    known = {"changelogs", "docs", "extensions", "meta", "playbooks", "plugins", "roles", "tests"}
    assert {entry.name for entry in installed.iterdir() if entry.is_dir()} == known


def test_the_documentation_of_the_archive_is_read(machine: Machine) -> None:
    modules = machine.run("ansible-doc", "--list", "fieldnotes.windows")
    assert modules.count("fieldnotes.windows.") == len(list((ROOT / "plugins" / "modules").glob("*.py")))


def test_the_scenario_of_the_page_passes_in_a_collection_of_ones_own(machine: Machine) -> None:
    collection = machine.home / "collections" / "ansible_collections" / "acme" / "clusters"
    files = files_of(PAGE)
    assert len(files) == 7
    for path, content in files.items():
        file = collection / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    (collection / "galaxy.yml").write_text("namespace: acme\nname: clusters\nversion: 1.0.0\n", encoding="utf-8")
    told = machine.run("molecule", "test", folder=collection / "extensions")
    assert "idempotence" in told
