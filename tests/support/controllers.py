# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two controllers at once, in an order that a test decides.

A controller runs until its n-th message, which takes effect and whose answer is then kept back; in the meantime the
other one runs, wholly or until a message of its own. Nothing else runs beside the one that may, so each order happens
the same way each time.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from winsim.trouble import Asked, Trouble, troubles_of

from support.world import World

Result = dict[str, Any]


class Controller:
    """A machine that runs one task, in a thread of its own.

    hold: the number of the message at which it is stopped, None for a run that nobody stops.
    """

    def __init__(self, world: World, name: str, task: Callable[[], Result], hold: int | None = None) -> None:
        self._world = world
        self._task = task
        self._hold = hold
        self._messages = 0
        self._result: Result | None = None
        self._stands = threading.Event()
        self._kept = [Trouble("delay", seconds=None) for _ in world.fleet.hosts]
        self._thread = threading.Thread(target=self._run, name=name)
        self.was_held = False

    def start(self) -> None:
        """Begins, and comes back when the controller is held or at its end."""
        with self._world.fleet.lock:
            for host, trouble in zip(self._world.fleet.hosts.values(), self._kept, strict=True):
                troubles_of(host).add(trouble, when=self._counts)
        self._thread.start()
        self._stands.wait()
        with self._world.fleet.lock:
            # From here on what the message does has been done.
            pass

    def _counts(self, asked: Asked) -> bool:
        # Only one controller may run, so whatever is asked until it stands is its own.
        if self._stands.is_set():
            return False
        self._messages += 1
        if self._messages != self._hold:
            return False
        self.was_held = True
        self._stands.set()
        return True

    def _run(self) -> None:
        try:
            self._result = self._task()
        finally:
            self._stands.set()

    def finish(self) -> Result:
        """Lets it go on to its end; the result of its task."""
        with self._world.fleet.lock:
            for trouble in self._kept:
                trouble.release()
            self._world.fleet.changed.notify_all()
        self._thread.join()
        assert self._result is not None, f"the task of {self._thread.name} ended with a traceback"
        return self._result


@contextmanager
def names_of_controllers() -> Iterator[None]:
    """While this lasts a controller's host name is that of its thread."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "gethostname", lambda: threading.current_thread().name)
        yield
