# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Start a simulated failover cluster, run the playbook twice, and stop the cluster whatever happens."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
FLEET = ROOT / "demo" / "fleet.yml"
PLAYBOOK = ROOT / "playbooks" / "hang_recovery.yml"
SECONDS_TO_STOP = 10.0


def main() -> None:
    # A demo that is told to end takes the cluster with it: the context manager below runs on SystemExit.
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGHUP, _end)
    with tempfile.TemporaryDirectory(prefix="winsim-") as folder:
        inventory = Path(folder) / "inventory.yml"
        say("A simulated failover cluster, CL1, starts on this machine. Nothing else is contacted.")
        with fleet(inventory):
            say("First run: the playbook changes the policy of the cluster and the dump type of its nodes.")
            first = run(inventory)
            say("Second run: everything is as it should be, so nothing changes.")
            second = run(inventory)
    if not first or second:
        fail(f"the first run changed {first} things, the second {second}: expected some, then none")
    say(f"Done: {first} changes in the first run, none in the second. The cluster is gone again.")


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
            fail(f"the simulated cluster did not start (exit code {process.wait()})")
        yield
    finally:
        process.terminate()
        try:
            process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def run(inventory: Path) -> int:
    """Run the playbook; how many changes its recap counts."""
    # A proxy of the environment has no business between two processes on this machine.
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    command = ["ansible-playbook", "-i", str(inventory), str(PLAYBOOK)]
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
