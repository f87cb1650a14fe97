# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a command costs the machine it runs on: processor time of its whole process tree, wall time, peak memory."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_LOOK_SECONDS = 0.02


class CommandFailed(Exception):
    """A measured command ended with another exit code than 0; the text ends with the last lines it printed."""


@dataclass(frozen=True)
class Cost:
    """One run of a command. cpu, wall: seconds; worker_rss: bytes, the largest child, 0 where nobody looked."""

    cpu: float
    wall: float
    worker_rss: int


def run(command: Sequence[str], environment: Mapping[str, str], output: Path, *, memory: bool = False) -> Cost:
    """Runs a command to its end; what it prints goes to a file.

    The processor time is what the kernel accounts to the process and to every descendant that was waited for: exact,
    and not touched by how busy the machine is otherwise, apart from what caches make of it. memory: look at the
    children's peak resident set while it runs. Errors: CommandFailed.
    """
    begin = time.monotonic()
    with output.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
    watch = _Watch(process.pid)
    if memory:
        watch.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - begin
    watch.end()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        last = "\n".join(output.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])
        raise CommandFailed(f"{command[0]} ended with exit code {process.returncode}:\n{last}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, watch.peak)


class _Watch(threading.Thread):
    """Looks at the children of a process again and again: VmHWM of each is its peak so far."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._children = Path(f"/proc/{pid}/task/{pid}/children")
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            with contextlib.suppress(OSError):
                for child in self._children.read_text(encoding="ascii").split():
                    self.peak = max(self.peak, _peak(child))

    def end(self) -> None:
        self._ended.set()
        if self.is_alive():
            self.join()


def _peak(pid: str) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0
