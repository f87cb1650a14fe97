# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone

import pytest
from winsim.clock import Clock

START = datetime(2026, 1, 31, 8, 0, tzinfo=timezone.utc)


def still() -> Clock:
    return Clock(START, speed=0)


def test_a_clock_of_speed_0_moves_only_when_advanced() -> None:
    clock = still()
    assert clock.now() == START
    assert clock.advance(90.5) == START + timedelta(seconds=90.5)
    assert clock.now() == START + timedelta(seconds=90.5)


def test_events_happen_in_the_order_of_their_time_and_at_their_time() -> None:
    clock = still()
    seen: list[tuple[str, datetime]] = []
    clock.after(20, lambda: seen.append(("late", clock.now())))
    clock.after(10, lambda: seen.append(("early", clock.now())))
    clock.after(10, lambda: seen.append(("early too", clock.now())))
    clock.advance(9.9)
    assert seen == []
    clock.advance(60)
    at_10, at_20 = START + timedelta(seconds=10), START + timedelta(seconds=20)
    assert seen == [("early", at_10), ("early too", at_10), ("late", at_20)]


def test_what_an_event_schedules_happens_in_the_same_advance_if_it_is_due() -> None:
    clock = still()
    seen: list[datetime] = []
    clock.after(1, lambda: clock.after(1, lambda: seen.append(clock.now())))
    clock.advance(5)
    assert seen == [START + timedelta(seconds=2)]


def test_a_cancelled_event_does_not_happen() -> None:
    clock = still()
    seen: list[str] = []
    clock.after(1, lambda: seen.append("cancelled")).cancel()
    clock.after(1, lambda: seen.append("kept"))
    clock.advance(2)
    assert seen == ["kept"]


def test_an_event_in_the_past_happens_on_the_next_look_and_time_does_not_run_back() -> None:
    clock = still()
    seen: list[datetime] = []
    clock.at(START - timedelta(hours=1), lambda: seen.append(clock.now()))
    assert clock.now() == START
    assert seen == [START]


def test_a_listener_hears_every_second_beside_the_events() -> None:
    clock = still()
    seen: list[object] = []
    end = clock.every_second(lambda: seen.append((clock.now() - START).total_seconds()))
    clock.after(2, lambda: seen.append("event"))
    clock.advance(3.5)
    assert seen == [1.0, "event", 2.0, 3.0]
    end()
    clock.advance(10)
    assert len(seen) == 4


def test_time_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="backwards"):
        still().advance(-1)
    with pytest.raises(ValueError, match="negative"):
        Clock(START, speed=-1)


def test_a_start_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Clock(START.replace(tzinfo=None))


def test_a_started_clock_lets_events_happen_by_themselves() -> None:
    clock = Clock(START, speed=1000)
    happened = threading.Event()
    clock.after(100, happened.set)
    clock.start()
    try:
        assert happened.wait(30)
    finally:
        clock.stop()


def test_an_advance_wakes_who_waits_for_a_change() -> None:
    clock = still()
    seen: list[datetime] = []
    waiting = threading.Event()

    def wait() -> None:
        with clock.changed:
            waiting.set()
            clock.changed.wait(30)
            seen.append(clock.now())

    thread = threading.Thread(target=wait)
    thread.start()
    assert waiting.wait(30)
    clock.advance(7)
    thread.join(30)
    assert seen == [START + timedelta(seconds=7)]
