# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Many jobs at once, each with a deadline that holds up no other. For this collection only."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator

_TURN = 1.0

Job = Callable[[], object]


def fan_out(
    jobs: Iterable[tuple[str, Job]],
    *,
    at_once: int,
    deadline: float,
    each_turn: Callable[[], object] = lambda: None,
) -> Iterator[tuple[str, bool, float]]:
    """Runs jobs in threads; name, whether it ended in time, and seconds of each, in the order in which they end.

    A job is made by the caller's thread just before it starts; its name is unique. One that does not end within
    ``deadline`` seconds is left to itself, and the next takes its place. each_turn: called at least every second.
    """
    ended: queue.SimpleQueue[str] = queue.SimpleQueue()
    running: dict[str, float] = {}
    waiting = iter(jobs)
    exhausted = False
    while not exhausted or running:
        while not exhausted and len(running) < at_once:
            if (next_one := next(waiting, None)) is None:
                exhausted = True
            else:
                name, job = next_one
                running[name] = time.monotonic()
                threading.Thread(target=_run, args=(name, job, ended), name=name, daemon=True).start()
        if running:
            first = min(running, key=running.__getitem__)
            left = running[first] + deadline - time.monotonic()
            try:
                name = ended.get(timeout=max(0.0, min(left, _TURN)))
            except queue.Empty:
                if left <= 0:
                    del running[first]
                    yield first, False, deadline
            else:
                if name in running:
                    yield name, True, time.monotonic() - running.pop(name)
        each_turn()


def _run(name: str, job: Job, ended: queue.SimpleQueue[str]) -> None:
    try:
        job()
    finally:
        ended.put(name)
