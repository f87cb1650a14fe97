# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Start a simulated fleet, run each playbook twice, and stop the fleet whatever happens."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from acts import ACTS, Act

ROOT = Path(__file__).resolve().parent.parent
FLEET = ROOT / "demo" / "fleet.yml"
PLAYBOOKS = ROOT / "playbooks"
SECONDS_TO_STOP = 10.0


def main() -> None:
    # A demo that is told to end takes the fleet with it: the context manager below runs on SystemExit.
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGHUP, _end)
    with tempfile.TemporaryDirectory(prefix="winsim-") as folder:
        inventory = Path(folder) / "inventory.yml"
        say("A simulated fleet of Windows hosts starts on this machine. Nothing else is contacted.")
        with fleet(inventory):
            changes = sum(play(act, inventory) for act in ACTS)
    say(f"Done: {changes} changes in the first runs, none in the second. The fleet is gone again.")


def play(act: Act, inventory: Path) -> int:
    """Run an act twice; how many changes the first run counts."""
    say(act.story)
    first = run(act, inventory)
    say("The same again: everything is as it should be, so nothing changes.")
    second = run(act, inventory)
    if not first or second:
        fail(f"{act.playbook} changed {first} things, then {second}: expected some, then none")
    return first


@contextlib.contextmanager
def fleet(inventory: Path) -> Iterator[None]:
    """Serve the demo's fleet in a process of its own until the block ends."""
    command = [sys.executable, "-m", "winsim", str(FLEET), "--inventory", str(inventory)]
    # A session of its own, so that Ctrl-C ends the playbook first and the fleet afterwards.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            print(f"  {line.rstrip()}", flush=True)
            if line.strip() == "ready":
                break
        else:
            fail(f"the simulated fleet did not start (exit code {process.wait()})")
        yield
    finally:
        process.terminate()
        try:
            process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def run(act: Act, inventory: Path) -> int:
    """Run the playbook of an act; how many changes its recap counts."""
    # A proxy of the environment has no business between two processes on this machine.
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    folder = {act.folder: str(inventory.parent)} if act.folder else {}
    variables = json.dumps({**act.variables, **folder})
    command = ["ansible-playbook", "-i", str(inventory), str(PLAYBOOKS / act.playbook), "-e", variables]
    changes = 0
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True) as playbook:
        assert playbook.stdout is not None
        try:
            for line in playbook.stdout:
                print(line, end="", flush=True)
                changes += sum(int(count) for count in re.findall(r"\bchanged=(\d+)", line))
        except BaseException:
            playbook.terminate()
            raise
    if playbook.returncode:
        fail(f"ansible-playbook ended with exit code {playbook.returncode}")
    return changes


def say(text: str) -> None:
    print(f"\n{text}\n", flush=True)


def fail(text: str) -> NoReturn:
    raise SystemExit(f"demo: {text}")


def _end(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
