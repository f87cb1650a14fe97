# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Procedures in check mode on all hosts of a play, in one task. For this collection only."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from .action import FieldnotesAction, library_missing, peers
from .arguments import argument_spec, validated
from .errors import FieldnotesError
from .fan_out import Job, fan_out
from .inventory import Inventory
from .procedures.base import Clock, Host
from .wsman import libraries
from .wsman.session import Session
from .wsman.settings import Settings

DEFAULTS = (
    "hang_recovery_info",
    "ipv6_info",
    "kms_host_info",
    "nlb_info",
    "outlook_anywhere_info",
    "snapshot_offline_action_info",
)
"""What tells about a host without any argument."""

UNREACHABLE, FAILED, REFUSED, WOULD_CHANGE, COMPLIANT, ANSWERED = STATES = (
    "unreachable",
    "failed",
    "refused",
    "would_change",
    "compliant",
    "answered",
)
"""States of a procedure; a host has the first of them that one of its procedures has."""

_BETWEEN_LINES = 5.0

display = Display()


@dataclass(frozen=True)
class Wanted:
    """A procedure to look at, with validated arguments. hosts: None for all."""

    label: str
    module: str
    action: type[FieldnotesAction]
    arguments: Mapping[str, Any]
    hosts: frozenset[str] | None


@dataclass
class Found:
    """What is known of a host so far. procedures: by label; trouble: state and message of those that are not there."""

    name: str
    wanted: Sequence[Wanted]
    procedures: dict[str, dict[str, Any]] = field(default_factory=dict)
    trouble: tuple[str, str] = ("", "")
    seconds: float = 0.0

    @property
    def state(self) -> str:
        """The first of the states that one of the procedures has.

        A module that only reads refuses hosts that have not what it tells about, which says little of the host.
        """
        states = [self._entry(each)["state"] for each in self.wanted]
        counted = [
            s for s, each in zip(states, self.wanted, strict=True) if s != REFUSED or not each.action.only_reads()
        ]
        return next((state for state in STATES if state in counted), REFUSED)

    def as_dict(self) -> dict[str, Any]:
        """For the result."""
        return {
            "state": self.state,
            "msg": self.trouble[1],
            "seconds": round(self.seconds, 1),
            "procedures": {each.label: self._entry(each) for each in self.wanted},
        }

    def _entry(self, wanted: Wanted) -> dict[str, Any]:
        if wanted.label in self.procedures:
            return self.procedures[wanted.label]
        state, message = self.trouble
        return {"module": wanted.module, "state": state, "msg": message, "refusal": None, "result": {}}


class FleetAction(ActionBase):
    """The action plugin of ``fleet_info``. actions: the action plugin of each module that it can run."""

    BYPASS_HOST_LOOP = True
    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    actions: ClassVar[Mapping[str, type[FieldnotesAction]]]
    spec: ClassVar[dict[str, Any]] = argument_spec("fleet_info")
    clock: ClassVar[Clock] = Clock()

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The result of the task."""
        super().run(tmp, task_vars)
        if libraries.missing:
            return library_missing()
        variables = task_vars or {}
        try:
            arguments = validated(self.spec, self._task.args)
            wanted = list(self._wanted(arguments["procedures"]))
            for name in ("concurrency", "timeout"):
                if arguments[name] < 1:
                    raise FieldnotesError(f"{name} must be at least 1, got {arguments[name]}")
        except FieldnotesError as error:
            return {"failed": True, "changed": False, "msg": str(error)}
        inventory = Inventory(self._task, self._play_context, self._templar.template, variables.get("hostvars") or {})
        hosts = _for_each(variables.get("ansible_play_batch") or [], wanted)
        for found in self._survey(hosts, inventory, arguments["concurrency"], arguments["timeout"]):
            hosts[found.name] = found
        answers = {name: found.as_dict() for name, found in hosts.items()}
        return {"changed": False, "hosts": answers, "counts": _counts(hosts.values())}

    def _wanted(self, procedures: Sequence[Mapping[str, Any]] | None) -> Iterator[Wanted]:
        """Errors: FieldnotesError for arguments that their module would not take."""
        labels: set[str] = set()
        defaults: list[Mapping[str, Any]] = [{"module": name} for name in DEFAULTS]
        for given in defaults if procedures is None else procedures:
            module = given["module"]
            label = given.get("label") or module
            if label in labels:
                raise FieldnotesError(f"procedures: {label} occurs twice: give each a label of its own")
            labels.add(label)
            action = self.actions[module]
            try:
                arguments = validated(action.spec, given.get("arguments") or {}, action.secrets)
            except FieldnotesError as error:
                raise FieldnotesError(f"procedures: {label}: {error}") from error
            hosts = given.get("hosts")
            yield Wanted(label, module, action, arguments, None if hosts is None else frozenset(hosts))

    def _survey(
        self, hosts: Mapping[str, Found], inventory: Inventory, concurrency: int, timeout: int
    ) -> Iterator[Found]:
        """Each host when all is known of it that will be."""
        progress = _Progress(len(hosts))
        jobs = self._jobs(hosts.values(), inventory, timeout)
        for name, in_time, seconds in fan_out(jobs, at_once=concurrency, deadline=timeout, each_turn=progress.tell):
            found = hosts[name]
            if not in_time:
                # Its thread may still write into the old one.
                trouble = (UNREACHABLE, f"no answer within {timeout} s")
                found = replace(found, procedures=dict(found.procedures), trouble=trouble)
            found.seconds = seconds
            progress.done.append(found)
            yield found

    def _jobs(self, hosts: Iterable[Found], inventory: Inventory, timeout: int) -> Iterator[tuple[str, Job]]:
        controller = socket.gethostname()
        for found in hosts:
            yield found.name, self._job(found, inventory, timeout, controller)

    def _job(self, found: Found, inventory: Inventory, timeout: int, controller: str) -> Job:
        try:
            settings = _hurried(inventory.of(found.name), timeout)
        except (FieldnotesError, AnsibleError) as error:
            found.trouble = (FAILED, str(error))
            return lambda: None
        until = time.monotonic() + timeout
        return lambda: self._look(found, settings, inventory, until, controller)

    def _look(self, found: Found, settings: Settings, inventory: Inventory, until: float, controller: str) -> None:
        with contextlib.ExitStack() as sessions:
            session = sessions.enter_context(Session(settings))
            open_peer = peers(inventory, sessions, self.clock)
            for wanted in found.wanted:
                if time.monotonic() >= until:
                    return
                host = Host(found.name, session, self.clock, controller=controller, open_peer=open_peer)
                entry = self._entry(wanted, host)
                found.procedures[wanted.label] = entry
                if entry["state"] == UNREACHABLE:
                    found.trouble = (UNREACHABLE, entry["msg"])
                    return

    def _entry(self, wanted: Wanted, host: Host) -> dict[str, Any]:
        """A procedure on a host; whatever goes wrong there is told of this host alone."""
        try:
            result = wanted.action.perform(wanted.arguments, host, check_mode=True, diff=bool(self._task.diff))
        except Exception as error:
            result = {"failed": True, "changed": False, "msg": f"{wanted.module}: {type(error).__name__}: {error}"}
        return {
            "module": wanted.module,
            "state": _state(wanted, result),
            "msg": result.get("msg", ""),
            "refusal": result.get("refusal"),
            "result": result,
        }


def _state(wanted: Wanted, result: Mapping[str, Any]) -> str:
    if result.get("unreachable"):
        return UNREACHABLE
    if result.get("failed"):
        return REFUSED if "refusal" in result else FAILED
    if wanted.action.only_reads():
        return ANSWERED
    return WOULD_CHANGE if result["changed"] else COMPLIANT


def _for_each(names: Iterable[str], wanted: Sequence[Wanted]) -> dict[str, Found]:
    """The hosts that are asked for something."""
    chosen = {str(name): [each for each in wanted if each.hosts is None or name in each.hosts] for name in names}
    return {name: Found(name, each) for name, each in chosen.items() if each}


def _hurried(settings: Settings, timeout: int) -> Settings:
    """The settings with no time-out longer than what the host has, so that nothing is waited for that nobody reads."""
    return replace(
        settings,
        connection_timeout=min(settings.connection_timeout, timeout),
        operation_timeout=min(settings.operation_timeout, timeout),
        read_timeout=min(settings.read_timeout, timeout),
    )


def _counts(hosts: Iterable[Found]) -> dict[str, int]:
    counts = dict.fromkeys(sorted(STATES), 0)
    for found in hosts:
        counts[found.state] += 1
    return counts


class _Progress:
    """A line now and then. done: the hosts of which all is known."""

    def __init__(self, total: int) -> None:
        self.done: list[Found] = []
        self._total = total
        self._told = time.monotonic()

    def tell(self) -> None:
        """Shows how many hosts came to what, unless the last line is not old enough."""
        if time.monotonic() - self._told < _BETWEEN_LINES:
            return
        self._told = time.monotonic()
        counts = _counts(self.done)
        states = ", ".join(f"{counts[state]} {state.replace('_', ' ')}" for state in STATES if counts[state])
        display.display(f"[fleet_info] {len(self.done)} of {self._total} hosts: {states or 'no answer yet'}")
