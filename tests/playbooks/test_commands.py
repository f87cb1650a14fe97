# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The demo and the Molecule scenario: they end well and leave no process behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from playbooks.running import ROOT, command, environment

DEMO = [sys.executable, str(ROOT / "demo" / "demo.py")]
CHANGED = re.compile(r"^\w+ .*changed=(\d+)", re.MULTILINE)
RECAP = "PLAY RECAP"
SECONDS = 400


def start_demo(home: Path) -> subprocess.Popen[str]:
    # The simulated fleet writes its errors where the demo does, so this pipe ends when the last of both has ended.
    return subprocess.Popen(
        DEMO, env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def test_the_demo_changes_then_changes_nothing_and_leaves_no_process(tmp_path: Path) -> None:
    with start_demo(tmp_path) as demo:
        told, errors = demo.communicate(timeout=SECONDS)
    assert demo.returncode == 0, told + errors
    counts = [sum(map(int, CHANGED.findall(recap.partition("\n\n")[0]))) for recap in told.split(RECAP)[1:]]
    first, second = counts[::2], counts[1::2]
    assert len(first) == len(second) > 4
    assert all(first), told
    assert not any(second), told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_told_to_end_takes_its_fleet_with_it(tmp_path: Path, number: signal.Signals) -> None:
    # A shell lets what it starts in the background ignore SIGINT, and the demo would inherit that from these tests.
    signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)
    with start_demo(tmp_path) as demo:
        assert demo.stdout is not None
        assert any(line.strip() == "ready" for line in demo.stdout)
        demo.send_signal(number)
        _, errors = demo.communicate(timeout=SECONDS)
    assert demo.returncode == 128 + number
    assert "Traceback" not in errors


SCENARIOS = sorted(file.parent.name for file in (ROOT / "extensions" / "molecule").glob("*/molecule.yml"))


def molecule(name: str, scenario: Path, verb: str, *flags: str) -> None:
    result = subprocess.run(
        [command("molecule"), verb, "--scenario-name", name, *flags],
        cwd=ROOT / "extensions",
        env={**environment(scenario.parent), "MOLECULE_EPHEMERAL_DIRECTORY": str(scenario)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_molecule_scenario_passes_and_stops_its_fleet(tmp_path: Path, name: str) -> None:
    scenario = tmp_path / "scenario"
    molecule(name, scenario, "test", "--destroy", "never")
    served_by = int((scenario / "winsim.pid").read_text(encoding="utf-8"))
    os.kill(served_by, 0)
    molecule(name, scenario, "destroy")
    with pytest.raises(ProcessLookupError):
        os.kill(served_by, 0)
