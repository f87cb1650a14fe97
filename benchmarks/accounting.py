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
    """One run of a command. cpu, main_cpu, wall: seconds; the others: peak bytes. 0 where nobody looked.

    main_cpu: of the command's own process, without its children; rss: of the largest process of the tree; worker_rss:
    of the largest child; worker_own: what of a child no other process shares.
    """

    cpu: float
    main_cpu: float
    wall: float
    rss: int
    worker_rss: int
    worker_own: int


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
    cpu = usage.ru_utime + usage.ru_stime
    return Cost(cpu, watch.cpu, wall, usage.ru_maxrss * 1024, watch.peak, watch.own)


class _Watch(threading.Thread):
    """Looks at the children of a process again and again: VmHWM of each is its peak so far."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self.own = 0
        self.cpu = 0.0
        self._stat = Path(f"/proc/{pid}/stat")
        self._children = Path(f"/proc/{pid}/task/{pid}/children")
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            with contextlib.suppress(OSError):
                # utime and stime in ticks; the name before them, in parentheses, may hold spaces.
                ticks = self._stat.read_text(encoding="utf-8").rpartition(")")[2].split()[11:13]
                self.cpu = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
                children = self._children.read_text(encoding="ascii").split()
                for child in children:
                    self.peak = max(self.peak, _kilobytes(f"/proc/{child}/status", "VmHWM") * 1024)
                # The kernel goes through all pages for this, so one of them has to stand for all.
                for child in children[:1]:
                    own = _kilobytes(f"/proc/{child}/smaps_rollup", "Private_Clean", "Private_Dirty")
                    self.own = max(self.own, own * 1024)

    def end(self) -> None:
        self._ended.set()
        if self.is_alive():
            self.join()


def _kilobytes(file: str, *names: str) -> int:
    """The sum of these lines of a file under /proc; 0 where the process has ended."""
    with contextlib.suppress(OSError):
        lines = Path(file).read_text(encoding="ascii", errors="replace").splitlines()
        return sum(int(line.split()[1]) for line in lines if line.partition(":")[0] in names)
    return 0
