# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A row of the crash matrix: a fleet, what a user runs on it, what must be so at the end and at every moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from support.world import World
from winsim.providers.registry import Key, RegistryState

OURS = r"HKLM\SOFTWARE\fieldnotes.windows"

CLOCK = {"speed": 0, "start": "2026-02-03T04:05:06Z"}
"""Stands still and begins at the same moment in every world, so that equal histories end in equal states."""

W = TypeVar("W", bound=World)
Result = dict[str, Any]


class Run(Protocol):
    """Runs a task on a host: ``run("N1", "hang_recovery", action="log")``."""

    def __call__(self, host: str, module: str, *, auth: str = "ntlm", **arguments: Any) -> Result: ...


@dataclass(frozen=True)
class Task:
    """One task on one host."""

    host: str
    module: str
    arguments: Mapping[str, Any]
    auth: str = "ntlm"

    def __call__(self, run: Run) -> Result:
        return run(self.host, self.module, auth=self.auth, **self.arguments)


def went_wrong(result: Result) -> bool:
    """Whether Ansible would stop here."""
    return bool(result.get("failed") or result.get("unreachable"))


def in_turn(*tasks: Task) -> Callable[[World, Run], Sequence[Result]]:
    """A play of these tasks, which ends at the first that fails."""

    def play(world: World, run: Run) -> Sequence[Result]:
        results: list[Result] = []
        for task in tasks:
            results.append(task(run))
            if went_wrong(results[-1]):
                break
        return results

    return play


def _nothing(world: Any) -> Iterator[str]:
    return iter(())


@dataclass(frozen=True)
class Scenario(Generic[W]):
    """A row of the matrix.

    subject: its name in the table, ``module (scenario)``;
    world: the fleet before anything happened; the path is a directory of the controller, empty at first;
    play: what the user runs, and runs again after trouble; the results of its tasks;
    missing: what of the goal is not reached, a sentence each;
    wrong: what must not be so at any moment, a sentence each; asked after every message;
    settle: what is done to the hosts before the last run, such as the restart that a change waits for;
    left: what must be gone after the last run, a sentence each;
    living: names in winsim's state that differ at the end after an honest history too, as leases that clients renewed;
    refusals: beginnings of what a run after trouble may refuse with, as the page says; it is then run once more;
    changes: every how many-th message that changes something is cut; more than 1 where another row has most of them;
    readings: every how many-th message that changes nothing is lost; more than 1 where another row has most of them;
    parts: how many tests share its messages;
    sample: messages at which ``./dev test`` cuts it.
    """

    subject: str
    world: Callable[[Path], W]
    play: Callable[[W, Run], Sequence[Result]]
    missing: Callable[[W], Iterator[str]]
    wrong: Callable[[W], Iterator[str]] = field(default=_nothing)
    settle: Callable[[W], object] = field(default=_nothing)
    left: Callable[[W], Iterator[str]] = field(default=lambda world: journals(world))
    living: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    changes: int = 1
    readings: int = 1
    parts: int = 1
    sample: tuple[int, ...] = ()


def journals(world: World) -> Iterator[str]:
    """What is written below the collection's own key on any host.

    A key without a value is none: a journal goes with the keys above it, one request each, and nobody looks for an
    empty one afterwards; the next journal takes it along.
    """
    for host in world.fleet.hosts.values():
        ours = host.state(RegistryState).key(OURS)
        for path in _with_values(ours, OURS) if ours is not None else ():
            yield f"{host.name} still has {path}"


def _with_values(key: Key, path: str) -> Iterator[str]:
    if key.values:
        yield path
    for below in key.keys.values():
        yield from _with_values(below, f"{path}\\{below.name}")
