# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs procedures: check mode, journal, steps, verification, rollback. For this collection only."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .errors import ConnectionLost, ConnectionTrouble, Failure, FieldnotesError, Halt, Refusal, VerificationFailed
from .journal import Journal, Superseded
from .procedures.base import Host, Inquiry, P, Plan, Procedure, S, Step

PLANNED, DONE, SKIPPED, FAILED, UNDONE = "planned", "done", "skipped", "failed", "undone"


@dataclass
class StepRecord:
    """How a step went. seconds: how long it took."""

    name: str
    status: str
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """For the result."""
        return {"name": self.name, "status": self.status, "seconds": round(self.seconds, 1)}


@dataclass
class Outcome:
    """The end of a run, for Ansible to be told."""

    changed: bool = False
    failed: bool = False
    unreachable: bool = False
    message: str = ""
    warnings: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    shown: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None
    comment: str = ""


def _is_done(record: StepRecord) -> bool:
    return record.status in (DONE, SKIPPED)


def _record(step: Step) -> StepRecord:
    return StepRecord(step.name, SKIPPED if step.skip else PLANNED)


def inform(inquiry: Inquiry[P], arguments: Mapping[str, Any], host: Host) -> Outcome:
    """Answers a module that only reads."""
    outcome = Outcome()
    try:
        parameters = inquiry.parameters(arguments)
        answer, warnings = inquiry.answer(host, parameters)
        outcome.values.update(answer)
        outcome.warnings.extend(warnings)
    except FieldnotesError as error:
        _fail(outcome, error)
    return outcome


def run(
    procedure: Procedure[P, S], arguments: Mapping[str, Any], host: Host, *, check_mode: bool, patience: int = 2
) -> Outcome:
    """Brings a host to the state that the arguments ask for, or says what that would take.

    patience: how often the run begins again where another one took over its journal.
    """
    outcome = Outcome()
    outcome.values.update(steps=[], reboot_required=False, resumed=False)
    plan: Plan | None = None
    journal: Journal | None = None
    try:
        parameters = procedure.parameters(arguments)
        journal = procedure.journal(host, parameters)
        found = journal.find()
        outcome.values["resumed"] = found is not None
        with _readable(journal):
            before = procedure.observe(host, parameters, found)
            plan = procedure.plan(host, parameters, before)
        _tell(outcome, procedure, parameters, before, plan)
        if check_mode:
            _predict(outcome, plan, found is not None)
        else:
            _Run(procedure, host, journal, outcome).apply(parameters, before, plan)
        if outcome.before is not None and outcome.after is not None:
            outcome.shown = (
                procedure.shown(parameters, outcome.before),
                procedure.shown(parameters, outcome.after),
            )
    except FieldnotesError as error:
        if isinstance(error, Superseded) and journal is not None and not journal.exclusive and patience:
            return _begun_again(procedure, arguments, host, journal, outcome, patience - 1)
        _fail(outcome, error)
    if plan is not None and plan.again and not check_mode and not outcome.failed:
        return _joined(outcome, run(procedure, arguments, host, check_mode=False, patience=patience))
    return outcome


@contextlib.contextmanager
def _readable(journal: Journal) -> Iterator[None]:
    """Where an entry was found, what a procedure stumbles over is in it: others can write to that key."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        if journal.entry is None:
            raise
        raise journal.unusable(error) from error


def _begun_again(
    procedure: Procedure[P, S],
    arguments: Mapping[str, Any],
    host: Host,
    journal: Journal,
    first: Outcome,
    patience: int,
) -> Outcome:
    """Follows the journal of the other run, or finishes its own where the other one ended it without knowing all."""
    try:
        journal.reclaim()
    except FieldnotesError as error:
        if not isinstance(error, Superseded):
            _fail(first, error)
            return first
    return _joined(first, run(procedure, arguments, host, check_mode=False, patience=patience))


def _joined(first: Outcome, second: Outcome) -> Outcome:
    """An interrupted run that was finished and what the task itself asked for, as one outcome."""
    second.values["steps"] = [*first.values["steps"], *second.values["steps"]]
    second.values["resumed"] = True
    second.changed = first.changed or second.changed
    second.warnings = [*first.warnings, *(text for text in second.warnings if text not in first.warnings)]
    second.before = first.before
    if first.shown is not None and second.shown is not None:
        second.shown = (first.shown[0], second.shown[1])
    second.comment = second.comment or first.comment
    return second


def _tell(outcome: Outcome, procedure: Procedure[P, S], parameters: P, before: S, plan: Plan) -> None:
    outcome.before = outcome.after = procedure.report(parameters, before)
    outcome.values.update(procedure.result(parameters, before))
    outcome.values.update(plan.extra)
    outcome.values["reboot_required"] = plan.reboot_required
    outcome.warnings.extend(plan.warnings)
    outcome.comment = plan.comment


def _predict(outcome: Outcome, plan: Plan, journalled: bool) -> None:
    first, last = _journal_records(plan, journalled)
    records = [*first, *(_record(step) for step in plan.steps), *last]
    outcome.values["steps"] = [record.as_dict() for record in records]
    outcome.changed = plan.changes
    outcome.after = plan.goal
    outcome.warnings.extend(plan.unsure)
    if plan.then is not None:
        raise plan.then


def _journal_records(plan: Plan, journalled: bool) -> tuple[list[StepRecord], list[StepRecord]]:
    """The steps around those of the plan where a user sees the journal: writing it, removing it."""
    if not plan.journal.shown or not (journalled or plan.journal.content is not None):
        return [], []
    return ([] if journalled else [StepRecord("write the journal", PLANNED)]), [
        StepRecord("remove the journal", PLANNED)
    ]


def _fail(outcome: Outcome, error: FieldnotesError) -> None:
    outcome.failed = True
    outcome.message = str(error)
    outcome.unreachable = isinstance(error, ConnectionTrouble)
    if isinstance(error, Refusal):
        outcome.values["refusal"] = error.code
        if error.remedy:
            outcome.values["failure"] = {
                "code": error.code,
                "step": error.step,
                "state_left": "nothing was changed",
                "remedy": error.remedy,
            }


class _Run:
    """One application of a plan."""

    def __init__(self, procedure: Procedure[P, S], host: Host, journal: Journal, outcome: Outcome) -> None:
        self._procedure: Any = procedure
        self._host = host
        self._journal = journal
        self._outcome = outcome
        self._records: list[StepRecord] = []
        self._codes: list[str] = []
        self._at = ""
        self._done: list[tuple[Step, StepRecord]] = []
        self._begun: list[Step] = []
        self._opening: list[StepRecord] = []
        self._closing: list[StepRecord] = []

    def apply(self, parameters: Any, before: Any, plan: Plan) -> None:
        """Steps, verification, end of the journal; on failure the way back."""
        self._records = [_record(step) for step in plan.steps]
        self._codes = [step.code for step in plan.steps if step.code]
        self._opening, self._closing = _journal_records(plan, self._journal.entry is not None)
        plan.findings.note = self._journal.update
        try:
            if any(not step.skip for step in plan.steps):
                self._journal.take_over()
            if self._begin_journal(plan):
                plan = self._looked_again(parameters, plan)
            self._take_all(plan.steps)
            self._verify(parameters, before, plan)
        except FieldnotesError as error:
            self._outcome.values["steps"] = self._shown_steps()
            self._outcome.warnings.extend(plan.findings.warnings)
            final = self._gone_back(error, plan)
            if self._stays() or (plan.rescue is not None and self._passed()):
                self._outcome.after = self._seen_again(parameters)
            if plan.way_back is not None or plan.rescue is not None:
                self._outcome.values.update(plan.answer())
            raise final from error
        self._outcome.values["steps"] = self._shown_steps()
        self._outcome.values.update(plan.answer())
        self._outcome.warnings.extend(plan.findings.warnings)
        self._outcome.changed = self._changed()
        if plan.journal.ended_by_steps:
            return
        keep = plan.journal.keep if plan.findings.keep is None else plan.findings.keep
        if keep is not None:
            if self._changed_keep(keep):
                self._journal.replace(keep)
        elif self._journal.entry is not None:
            self._journal.remove()
            self._closed(DONE)
        if plan.then is not None:
            self._outcome.after = self._seen_again(parameters)
            raise plan.then

    def _closed(self, status: str) -> None:
        for record in self._closing:
            record.status = status
        self._outcome.values["steps"] = self._shown_steps()

    def _begin_journal(self, plan: Plan) -> bool:
        """Whether there is a new journal."""
        if plan.journal.stale:
            self._journal.remove()
        if plan.journal.content is None:
            return False
        entry = self._journal.entry
        content = {**plan.journal.content, **self._journalled_steps()}
        if entry is None:
            self._journal.create(content)
            for record in self._opening:
                record.status = DONE
            return True
        if any(entry.get(name) != value for name, value in plan.journal.content.items()):
            self._journal.replace(content)
        return False

    def _looked_again(self, parameters: Any, plan: Plan) -> Plan:
        """The plan by what is there since the journal tells others of this run. Errors: Superseded where it differs.

        What was seen before may be the work of a run that came to its end in between.
        """
        if plan.journal.ended_by_steps:
            return plan
        again: Plan = self._procedure.plan(
            self._host, parameters, self._procedure.observe(self._host, parameters, None)
        )
        same = [step.name for step in again.steps] == [step.name for step in plan.steps]
        if not (same and again.journal.content == plan.journal.content):
            if not again.steps:
                self._journal.remove()
            raise Superseded(f"{self._host.name} changes while it is looked at: another run is at work on the same")
        self._journal.check()
        again.findings.note = self._journal.update
        return again

    def _changed_keep(self, keep: Mapping[str, Any]) -> bool:
        entry = self._journal.entry or {}
        return any(entry.get(name) != value for name, value in keep.items()) or "steps" in entry

    def _journalled_steps(self) -> dict[str, Any]:
        # Steps that an interrupted run has done stay in the list, so that whoever finishes can take them back.
        if self._codes:
            done = [code for code, record in zip(self._codes, self._records, strict=False) if _is_done(record)]
            return {"plan": self._codes, "done": done}
        earlier = (self._journal.entry or {}).get("steps", ())
        status = {step["name"]: step["status"] for step in earlier}
        status.update((r.name, "done" if _is_done(r) else "todo") for r in self._records)
        return {"steps": [{"name": name, "status": value} for name, value in status.items()]}

    def _shown_steps(self) -> list[dict[str, Any]]:
        return [record.as_dict() for record in (*self._opening, *self._records, *self._closing)]

    def _passed(self) -> bool:
        """Whether a step that is final has begun."""
        return any(step.final for step in self._begun)

    def _changed(self) -> bool:
        return any(step.changes and record.status == DONE for step, record in self._done)

    def _take_all(self, steps: Sequence[Step]) -> None:
        left = deque(zip(steps, self._records, strict=True))
        while left:
            step, record = left.popleft()
            instead = self._take(step, record)
            if instead is None:
                continue
            records = [_record(each) for each in instead]
            position = next(n for n, each in enumerate(self._records) if each is record)
            self._records[position : position + 1] = records
            left.extendleft(reversed(list(zip(instead, records, strict=True))))

    def _take(self, step: Step, record: StepRecord) -> Sequence[Step] | None:
        """None, or the steps to take instead."""
        if step.skip:
            self._done.append((step, record))
            return None
        start = self._host.clock.monotonic()
        if len(self._records) > 1 or not step.changes:
            self._host.tell(step.name)
        self._begun.append(step)
        if step.code:
            self._at = step.code
            self._journal.update(step=step.code)
        try:
            instead = step.do()
        except FieldnotesError:
            record.status = FAILED
            raise
        finally:
            record.seconds = self._host.clock.monotonic() - start
        if instead is not None:
            return instead
        record.status = DONE
        self._done.append((step, record))
        self._journal.update(**self._journalled_steps())
        return None

    def _stays(self) -> list[str]:
        return [step.stays for step, record in self._done if step.stays and record.status == DONE]

    def _seen_again(self, parameters: Any) -> Mapping[str, Any] | None:
        """The report after a way back that could not take back everything; None where nobody can tell."""
        try:
            after = self._procedure.observe(self._host, parameters, None)
        except FieldnotesError:
            return None
        report: Mapping[str, Any] = self._procedure.report(parameters, after)
        return report

    def _verify(self, parameters: Any, before: Any, plan: Plan) -> None:
        if plan.proved or not plan.steps:
            self._outcome.after = plan.goal if plan.proved else self._outcome.after
            return
        after = self._procedure.observe(self._host, parameters, self._journal.entry)
        self._outcome.after = self._procedure.report(parameters, after)
        self._outcome.values.update(self._procedure.result(parameters, after))
        differences = list(self._procedure.verify(parameters, before, after))
        if differences:
            raise VerificationFailed("; ".join(differences))

    def _gone_back(self, error: FieldnotesError, plan: Plan) -> FieldnotesError:
        """Undoes what was done, where it may be undone; the error to raise, with what became of it."""
        self._outcome.changed = self._changed()
        if self._codes:
            self._outcome.values["failure"] = {
                "code": error.code if isinstance(error, Failure) else type(error).__name__,
                "step": self._at,
                "state_left": f"the journal is open in {self._journal.place}",
                "remedy": (error.remedy if isinstance(error, Failure) else "") or "run the task again",
            }
        if plan.way_back is not None:
            return error if isinstance(error, Halt) else self._taken_back(error, plan)
        if isinstance(error, (ConnectionTrouble, Halt)):
            # Nobody can undo anything now, or may; the journal, where there is one, lets the next run go on.
            return error
        if plan.rescue is not None and self._passed():
            return self._rescued(error, plan.rescue(error))
        if any(step.final for step, record in self._done):
            return error
        try:
            self._journal.check()
            for step, record in reversed(self._done):
                if step.undo is not None:
                    self._host.tell(f"undoing: {step.name}")
                    step.undo()
                    record.status = UNDONE
            if plan.journal.restore is not None:
                self._journal.replace(plan.journal.restore)
            elif self._journal.entry is not None:
                self._journal.remove()
        except Superseded as other:
            # The other run decides what becomes of what was done so far.
            return other
        except FieldnotesError as second:
            self._outcome.changed = True
            self._outcome.values["steps"] = self._shown_steps()
            return FieldnotesError(
                f"{error}. Taking back the steps before it failed as well: {second}. "
                f"What is left to do stands in {self._journal.place}; run the task again"
            )
        self._outcome.after = self._outcome.before
        self._outcome.values.update(steps=self._shown_steps(), reboot_required=False)
        self._outcome.changed = self._changed()
        if stays := self._stays():
            return FieldnotesError(f"{error}. {'; '.join(stays)}")
        return error

    def _rescued(self, error: FieldnotesError, steps: Sequence[Step]) -> FieldnotesError:
        """Lets the host serve again; the error to raise, with what became of it."""
        try:
            for step in steps:
                record = next((r for r in self._records if r.name == step.name and r.status == PLANNED), None)
                if record is None:
                    record = _record(step)
                    self._records.append(record)
                self._take(step, record)
            if self._journal.entry is not None:
                self._journal.remove()
                self._closed(DONE)
        except Halt as halt:
            return halt
        except FieldnotesError as second:
            text = f"{error}. What had to be done all the same failed as well: {second}. Run the task again"
            return ConnectionLost(text) if isinstance(second, ConnectionTrouble) else FieldnotesError(text)
        finally:
            self._outcome.values["steps"] = self._shown_steps()
            self._outcome.changed = self._changed()
        return error

    def _taken_back(self, error: FieldnotesError, plan: Plan) -> FieldnotesError:
        """Goes a procedure's own way back; the error to raise, with what became of it."""
        steps = plan.way_back(error) if plan.way_back is not None else ()
        if not steps:
            return error
        if isinstance(error, ConnectionTrouble):
            # What the last request did is unknown: every step back looks before it acts.
            self._host.reconnect()
        taken = list(self._done)
        try:
            self._journal.check()
            for step in steps:
                record = _record(step)
                self._records.append(record)
                self._take(step, record)
        except Superseded as other:
            return other
        except FieldnotesError as second:
            self._outcome.values["steps"] = self._shown_steps()
            both = [str(each).rstrip(". ") for each in (error, second)]
            text = f"{both[0]}. Going back failed as well: {both[1]}. Run the task with state=rolled_back"
            # Where the host cannot be reached now, the journal lets the next run finish or go back.
            return ConnectionLost(text) if isinstance(second, ConnectionTrouble) else FieldnotesError(text)
        for _step, record in taken:
            record.status = UNDONE if record.status == DONE else record.status
        self._outcome.values["steps"] = self._shown_steps()
        self._outcome.values["failure"]["state_left"] = "rolled back"
        self._outcome.values["rolled_back"] = True
        self._outcome.changed = False
        return FieldnotesError(str(error)) if isinstance(error, ConnectionTrouble) else error
