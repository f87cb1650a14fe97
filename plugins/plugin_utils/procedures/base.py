# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every procedure is made of: a host, steps, a plan. For this collection only."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from ..errors import FieldnotesError, StepTimeout
from ..journal import Entry, Journal, RegistryStore, history_key, journal_key
from ..windows import registry
from ..wsman.cim import Cim
from ..wsman.cmdlets import Cmdlets
from ..wsman.process import Processes
from ..wsman.session import Session

P = TypeVar("P")
S = TypeVar("S")


_BETWEEN_LINES = 30.0


class Clock:
    """Time on the controller. Tests give one that moves the simulated fleet's time instead of waiting."""

    def now(self) -> datetime.datetime:
        """The time of day, aware."""
        return datetime.datetime.now(datetime.timezone.utc)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Waits."""
        time.sleep(seconds)


@dataclass(frozen=True)
class Host:
    """The target of a task.

    name: as the inventory calls it; tell: prints a line of progress; controller: name of this machine;
    open_peer: opens another inventory host with that host's own connection variables;
    memory: what a procedure carries within a run, as what it read to find its journal and need not read again.
    """

    name: str
    session: Session
    clock: Clock = field(default_factory=Clock)
    tell: Callable[[str], None] = field(default=lambda _line: None)
    controller: str = ""
    open_peer: Callable[[str], Host] | None = None
    memory: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    _peers: dict[str, Host] = field(default_factory=dict, init=False, repr=False, compare=False)
    _journals: dict[registry.Key, Journal] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def cim(self) -> Cim:
        """CIM operations."""
        return self.session.cim

    @property
    def cmdlets(self) -> Cmdlets:
        """Typed cmdlets."""
        return self.session.cmdlets

    @property
    def processes(self) -> Processes:
        """WinRS processes."""
        return self.session.processes

    def peer(self, name: str) -> Host:
        """Another host of the inventory. Errors: FieldnotesError."""
        if self.open_peer is None:
            raise FieldnotesError(f"{name} cannot be opened from here")
        self._peers[name] = self.open_peer(name)
        return self._peers[name]

    def reconnect(self) -> None:
        """Opens new connections with the next requests, to this host and to those that were opened from here."""
        for host in (self, *self._peers.values()):
            host.session.reconnect()

    def journal(self, module: str, object_id: str = "", *, exclusive: bool = False) -> Journal:
        """The journal of a module in this host's registry, the same object each time, so that steps can add to it.

        exclusive: see Journal.
        """
        return self._kept_in(journal_key(module, object_id), exclusive)

    def history(self, module: str, object_id: str) -> Journal:
        """What the module remembers of an object for good, in the form of a journal."""
        return self._kept_in(history_key(module, object_id))

    def _kept_in(self, key: registry.Key, exclusive: bool = False) -> Journal:
        if key not in self._journals:
            store = RegistryStore(self, key)
            self._journals[key] = Journal(store, self.clock.now, self.controller, exclusive=exclusive)
        return self._journals[key]

    def wait(
        self,
        what: str,
        reached: Callable[[], bool],
        *,
        timeout: float,
        interval: float = 2.0,
        longest: float = 10.0,
        detail: Callable[[], str] = lambda: "",
    ) -> None:
        """Polls until ``reached``; what: for progress and messages; all times in seconds.

        The pause grows from interval to longest. detail: what the progress line adds, which is printed at the start and
        then every half minute. Errors: StepTimeout.
        """
        start = self.clock.monotonic()
        told = start - _BETWEEN_LINES
        pause = interval
        while not reached():
            passed = self.clock.monotonic() - start
            if passed >= timeout:
                raise StepTimeout(f"{what}: not reached after {timeout:.0f} s" + _after_comma(detail()))
            if start + passed - told >= _BETWEEN_LINES:
                told = start + passed
                self.tell(f"{what}: {passed:.0f} s" + _after_comma(detail()))
            self.clock.sleep(min(pause, max(timeout - passed, 0.0)))
            pause = min(pause * 1.5, longest)


def _after_comma(text: str) -> str:
    return f", {text}" if text else ""


@dataclass(frozen=True)
class Step:
    """One thing that a run does.

    name: the sentence the user reads; do: does it and makes sure that it happened, else raises; where the doing shows
    that other steps are needed instead, or none, it returns those, and they are taken and shown in its place;
    undo: takes it back, None where nothing is to be taken back;
    changes: False for a step that only waits;
    skip: an interrupted run has done it already; it is shown and can be undone, but not done again;
    final: after its effect nothing is undone any more (the point of no return);
    stays: what the message says when the steps after this one, which cannot be undone, are taken back;
    code: short name of the step on the procedure's page; the journal then holds ``plan`` and ``done``, lists of codes,
    and ``step``, written before the step acts.
    """

    name: str
    do: Callable[[], Sequence[Step] | None]
    undo: Callable[[], object] | None = None
    changes: bool = True
    skip: bool = False
    final: bool = False
    stays: str = ""
    code: str = ""


@dataclass
class Findings:
    """What the steps find out while they run.

    warnings: for the result; keep: content that stays in the journal after verification, where only the steps can tell;
    note: writes keys into the journal of the run.
    """

    warnings: list[str] = field(default_factory=list)
    keep: Entry | None = None
    note: Callable[..., None] = field(default=lambda **_keys: None)


@dataclass(frozen=True)
class JournalPlan:
    """What a run does with its journal, which it otherwise removes at its end.

    content: written before the first step; None where one atomic step needs none, or an interrupted run's goes on;
    stale: the journal that was found belongs to something else and goes first;
    keep: content that stays after verification (until a restart, say);
    restore: content that it gets back after the steps of a failed run were undone; without it, it is removed;
    ended_by_steps: the steps themselves end the journal, or leave it for a later task;
    shown: writing and removing it are steps that the user sees.
    """

    content: Entry | None = None
    stale: bool = False
    keep: Entry | None = None
    restore: Entry | None = None
    ended_by_steps: bool = False
    shown: bool = False


@dataclass(frozen=True)
class Plan:
    """What a run will do, in order.

    goal: what ``after`` will show (check mode answers with it);
    reboot_required: whether the goal takes effect only after a restart;
    extra: further result keys;
    answer: result keys that only the steps can know, asked for when all of them are done, and with a way back also when
    one failed;
    proved: the steps themselves have made sure of the goal, so nothing is observed again;
    findings: filled by the steps;
    unsure: warnings of check mode, on what only the steps themselves can find out;
    way_back: what brings the host back after a failure, instead of each step's undo; no step where nothing may be taken
    back any more;
    rescue: what is done all the same once a step that is final has begun and the run fails, so that the host serves
    again; then the journal goes;
    then: what the run fails with when its steps are done;
    again: it only finished an interrupted run; what this task asks for is planned after it;
    comment: a line of the diff about what changes for a while only.
    """

    steps: tuple[Step, ...]
    goal: Mapping[str, Any]
    warnings: tuple[str, ...] = ()
    journal: JournalPlan = field(default_factory=JournalPlan)
    reboot_required: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)
    answer: Callable[[], Mapping[str, Any]] = field(default=dict)
    proved: bool = False
    findings: Findings = field(default_factory=Findings)
    unsure: tuple[str, ...] = ()
    way_back: Callable[[FieldnotesError], Sequence[Step]] | None = None
    rescue: Callable[[FieldnotesError], Sequence[Step]] | None = None
    then: FieldnotesError | None = None
    again: bool = False
    comment: str = ""

    @property
    def changes(self) -> bool:
        """Whether a step will change something."""
        return any(step.changes and not step.skip for step in self.steps)


class Procedure(Protocol, Generic[P, S]):
    """A procedure that changes something; the runner gives it check mode, journal, verification and rollback."""

    @property
    def module(self) -> str:
        """Name of the module."""

    def parameters(self, arguments: Mapping[str, Any]) -> P:
        """Typed parameters from validated arguments. Errors: Refusal."""

    def journal(self, host: Host, parameters: P) -> Journal:
        """Where this run keeps its journal."""

    def observe(self, host: Host, parameters: P, journal: Entry | None) -> S:
        """What is there now, in as few requests as possible. Errors: Refusal for what already the reading shows."""

    def plan(self, host: Host, parameters: P, state: S) -> Plan:
        """The steps to the goal; no request is sent here, only by the steps. Errors: Refusal."""

    def report(self, parameters: P, state: S) -> Mapping[str, Any]:
        """``before`` and ``after`` of the result."""

    def result(self, parameters: P, state: S) -> Mapping[str, Any]:
        """Result keys of the procedure's own; asked again for the state after the change."""

    def shown(self, parameters: P, report: Mapping[str, Any]) -> Mapping[str, Any]:
        """The lines of the diff: the managed part of a report."""

    def verify(self, parameters: P, before: S, after: S) -> Iterable[str]:
        """What of the state after the change is not the goal, a sentence each."""


class Inquiry(Protocol, Generic[P]):
    """A module that only reads."""

    @property
    def module(self) -> str:
        """Name of the module."""

    def parameters(self, arguments: Mapping[str, Any]) -> P:
        """Typed parameters from validated arguments. Errors: Refusal."""

    def answer(self, host: Host, parameters: P) -> tuple[Mapping[str, Any], Iterable[str]]:
        """The result keys, and warnings."""
