# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Simulated time. Whatever takes time on a simulated host lives on this clock, never on sleep."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

__all__ = ["Clock", "Event"]

ONE_SECOND = timedelta(seconds=1)


class Event:
    """Something that happens at a simulated time; `cancel()` takes it back."""

    def __init__(self, when: datetime, action: Callable[[], object]) -> None:
        self.when = when
        self.action = action
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """Simulated UTC time (aware datetimes).

    `speed` is simulated seconds per real second: 1 real time, 60 a minute in a second, 0 stands still until `advance`.
    Events and listeners run in the order of their time, under the lock; while one runs, `now()` is its time. They run
    when somebody looks at the clock or advances it, and by themselves between `start()` and `stop()`.
    `changed` (a condition of the same lock) is notified whenever an event or a listener ran and on every advance: wait
    on it instead of sleeping.
    """

    def __init__(
        self, start: datetime | None = None, speed: float = 1.0, changed: threading.Condition | None = None
    ) -> None:
        if speed < 0:
            raise ValueError(f"the clock's speed must not be negative, got {speed}")
        self.changed = changed if changed is not None else threading.Condition(threading.RLock())
        self._now = start if start is not None else datetime.now(timezone.utc)
        if self._now.tzinfo is None:
            raise ValueError("the clock's start must name its time zone")
        self._now = self._now.astimezone(timezone.utc)
        self._speed = speed
        self._anchor = time.monotonic()
        self._events: list[tuple[datetime, int, Event]] = []
        self._order = itertools.count()
        self._listeners: list[Callable[[], object]] = []
        self._next_second = self._now
        self._running = False
        self._thread: threading.Thread | None = None
        self._stop = False

    @property
    def speed(self) -> float:
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        if speed < 0:
            raise ValueError(f"the clock's speed must not be negative, got {speed}")
        with self.changed:
            self.now()
            self._speed = speed
            self.changed.notify_all()

    def now(self) -> datetime:
        """The simulated time, after everything due until then has happened."""
        with self.changed:
            if not self._running:
                real = time.monotonic()
                self._pass(self._now + timedelta(seconds=(real - self._anchor) * self._speed))
                self._anchor = real
            return self._now

    def advance(self, seconds: float) -> datetime:
        """Let `seconds` pass at once (second by second when somebody listens) and return the new time."""
        if seconds < 0:
            raise ValueError(f"time does not run backwards: {seconds}")
        with self.changed:
            if self._running:
                raise RuntimeError("an event cannot advance the clock it runs on")
            self._pass(self.now() + timedelta(seconds=seconds))
            self.changed.notify_all()
            return self._now

    def at(self, when: datetime, action: Callable[[], object]) -> Event:
        """Call `action` at `when` (at once, on the next look at the clock, if that is past)."""
        event = Event(when, action)
        with self.changed:
            heapq.heappush(self._events, (when, next(self._order), event))
            self.changed.notify_all()
        return event

    def after(self, seconds: float, action: Callable[[], object]) -> Event:
        return self.at(self.now() + timedelta(seconds=seconds), action)

    def every_second(self, listener: Callable[[], object]) -> Callable[[], None]:
        """Call `listener` at each whole simulated second from now on; what is returned ends that."""
        with self.changed:
            if not self._listeners:
                self._next_second = self.now().replace(microsecond=0) + ONE_SECOND
            self._listeners.append(listener)
            self.changed.notify_all()

        def end() -> None:
            with self.changed:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return end

    def start(self) -> None:
        """Let due events happen by themselves, in a thread of the clock's own."""
        with self.changed:
            if self._thread is None:
                self._stop = False
                self._thread = threading.Thread(target=self._run, name="winsim clock", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        with self.changed:
            thread, self._thread, self._stop = self._thread, None, True
            self.changed.notify_all()
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        with self.changed:
            while not self._stop:
                now = self.now()
                due = self._next()
                if due is None or self._speed == 0:
                    self.changed.wait()
                else:
                    self.changed.wait(max(0.0, (due - now).total_seconds() / self._speed))

    def _next(self) -> datetime | None:
        while self._events and self._events[0][2].cancelled:
            heapq.heappop(self._events)
        due = self._events[0][0] if self._events else None
        if self._listeners:
            due = self._next_second if due is None else min(due, self._next_second)
        return due

    def _pass(self, until: datetime) -> None:
        happened = False
        self._running = True
        try:
            while (due := self._next()) is not None and due <= until:
                self._now = max(self._now, due)
                happened = True
                if self._events and self._events[0][0] <= due:
                    event = heapq.heappop(self._events)[2]
                    event.action()
                else:
                    self._next_second += ONE_SECOND
                    for listener in list(self._listeners):
                        listener()
            self._now = max(self._now, until)
        finally:
            self._running = False
        if happened:
            self.changed.notify_all()
