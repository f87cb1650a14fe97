# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Many jobs at once, each with its deadline."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.fan_out import fan_out

LONG = 3600.0


@pytest.mark.parametrize("at_once", [1, 3, 50])
def test_every_job_is_run_once_and_told_once(at_once: int) -> None:
    ran: list[str] = []

    def job(name: str) -> Callable[[], object]:
        return lambda: ran.append(name)

    names = [f"h{number}" for number in range(20)]
    ended = list(fan_out(((name, job(name)) for name in names), at_once=at_once, deadline=LONG))
    assert sorted(name for name, _in_time, _seconds in ended) == sorted(ran) == sorted(names)
    assert all(in_time for _name, in_time, _seconds in ended)


def test_no_more_run_than_are_allowed() -> None:
    # Four meet at the barrier; were there a fifth, it would be made before the first has ended.
    barrier = threading.Barrier(4)
    made = 0

    def jobs() -> Iterator[tuple[str, Callable[[], object]]]:
        nonlocal made
        for number in range(8):
            made += 1
            yield f"h{number}", barrier.wait

    for count, _ended in enumerate(fan_out(jobs(), at_once=4, deadline=LONG), start=1):
        assert made <= count + 4
    assert made == 8


def test_a_job_that_never_ends_holds_up_no_other() -> None:
    released = threading.Event()
    jobs: list[tuple[str, Callable[[], object]]] = [("dead", released.wait)]
    jobs += [(f"h{number}", lambda: None) for number in range(10)]
    try:
        ended = {name: in_time for name, in_time, _seconds in fan_out(jobs, at_once=1, deadline=1.0)}
    finally:
        released.set()
    assert not ended.pop("dead")
    assert all(ended.values())
    assert len(ended) == 10


def test_a_job_that_ends_after_its_deadline_is_not_told_again() -> None:
    released, late_is_over = threading.Event(), threading.Event()

    def late() -> None:
        released.wait()
        late_is_over.set()

    ended = []
    for name, _in_time, _seconds in fan_out([("late", late), ("next", late_is_over.wait)], at_once=1, deadline=0.5):
        ended.append(name)
        released.set()
    assert ended == ["late", "next"]


def test_the_caller_has_its_turn_while_all_wait() -> None:
    released = threading.Event()
    ended = list(fan_out([("waits", released.wait)], at_once=1, deadline=LONG, each_turn=released.set))
    assert [name for name, _in_time, _seconds in ended] == ["waits"]
