# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A controller that can be killed: each task runs in a process of its own, forked from one that has Ansible loaded."""

from __future__ import annotations

import datetime
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

from ansible_collections.fieldnotes.windows.plugins.plugin_utils.procedures.base import Clock
from support.ansible_task import run_task

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["faults.zygote"])


class Killed(Exception):
    """The controller is dead; nobody knows how far it came."""


class Controller:
    """Runs tasks, each in a new process, until somebody calls ``kill``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pid: int | None = None

    def kill(self) -> None:
        """SIGKILL, from any thread: it is given no time to do anything."""
        assert self._pid is not None, "no task runs"
        os.kill(self._pid, signal.SIGKILL)

    def run(self, module: str, arguments: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        """The result of a task. Raises Killed."""
        ours, its = _processes.Pipe()
        process = _processes.Process(target=_task, args=(its, module, dict(arguments), dict(variables)))
        process.start()
        self._pid = process.pid
        its.close()
        result = self._attend(ours)
        process.join()
        self._pid = None
        if result is None:
            assert process.exitcode == -signal.SIGKILL, f"the controller ended by itself: {process.exitcode}"
            raise Killed
        return result

    def _attend(self, pipe: Connection) -> dict[str, Any] | None:
        """Tells the process the fleet's time whenever it asks, until it ends; its result, None if it left none."""
        with pipe:
            while True:
                try:
                    word, value = pipe.recv()
                except (EOFError, ConnectionError):
                    return None
                if word == "result":
                    result: dict[str, Any] = json.loads(value)
                    return result
                self._tell(pipe, word, value)

    def _tell(self, pipe: Connection, word: str, value: Any) -> None:
        if word == "sleep":
            self._clock.sleep(value)
        pipe.send(self._clock.now() if word == "now" else self._clock.monotonic())


class _AskedClock(Clock):
    """The time of whoever started this process."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def _ask(self, word: str, value: Any = None) -> Any:
        self._pipe.send((word, value))
        return self._pipe.recv()

    def now(self) -> datetime.datetime:
        moment: datetime.datetime = self._ask("now")
        return moment

    def monotonic(self) -> float:
        return float(self._ask("monotonic"))

    def sleep(self, seconds: float) -> None:
        self._ask("sleep", seconds)


def _task(pipe: Connection, module: str, arguments: Mapping[str, Any], variables: Mapping[str, Any]) -> None:
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        sys.stdout = nowhere
        result = run_task(module, arguments, variables, clock=_AskedClock(pipe))
        pipe.send(("result", json.dumps(result, default=str)))
