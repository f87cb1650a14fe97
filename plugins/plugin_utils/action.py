# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Binds a procedure to Ansible: arguments, connection, result. For this collection only."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from .arguments import argument_spec, hidden, unlogged, validated, without
from .errors import FieldnotesError
from .inventory import Inventory
from .procedures.base import Clock, Host, Inquiry, Procedure
from .runner import Outcome, inform, run
from .wsman import libraries
from .wsman.session import Session

display = Display()


class FieldnotesAction(ActionBase):
    """Base of every action plugin of this collection; a plugin names its procedure."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    procedure: ClassVar[Procedure[Any, Any] | Inquiry[Any]]
    secrets: ClassVar[tuple[str, ...]] = ()
    spec: ClassVar[dict[str, Any]]
    clock: ClassVar[Clock] = Clock()

    def __init_subclass__(cls) -> None:
        # Read once, when Ansible loads the plugin in the parent, so that each worker inherits it.
        cls.spec = argument_spec(cls.procedure.module, cls.secrets)

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The result of the task."""
        super().run(tmp, task_vars)
        if libraries.missing:
            return library_missing()
        variables = task_vars or {}
        inventory = Inventory(self._task, self._play_context, self._templar.template, variables.get("hostvars") or {})
        unsaid = unlogged(self._task.args) if self._task.no_log else []
        try:
            arguments = validated(self.spec, self._task.args, self.secrets)
            settings = inventory.own(self._connection, variables)
        except FieldnotesError as error:
            return {"failed": True, "changed": False, "msg": without(str(error), unsaid)}
        with contextlib.ExitStack() as sessions:
            name = str(variables.get("inventory_hostname", settings.host))
            host = Host(
                name=name,
                session=sessions.enter_context(Session(settings)),
                clock=self.clock,
                tell=_tell(name, [*hidden(arguments, self.secrets), *unsaid]),
                controller=socket.gethostname(),
                open_peer=peers(inventory, sessions, self.clock),
            )
            result = self.perform(arguments, host, check_mode=bool(self._task.check_mode), diff=bool(self._task.diff))
            told: dict[str, Any] = {
                name: without(result[name], unsaid) for name in ("msg", "warnings") if name in result
            }
            return {**result, **told}

    @classmethod
    def perform(cls, arguments: Mapping[str, Any], host: Host, *, check_mode: bool, diff: bool) -> dict[str, Any]:
        """The result of the module on a host, from validated arguments."""
        procedure: Any = cls.procedure
        if cls.only_reads():
            outcome = inform(procedure, arguments, host)
        else:
            outcome = run(procedure, arguments, host, check_mode=check_mode)
        result: dict[str, Any] = without(_result(outcome, diff), hidden(arguments, cls.secrets))
        return result

    @classmethod
    def only_reads(cls) -> bool:
        """Whether the module never changes anything."""
        return hasattr(cls.procedure, "answer")


def peers(inventory: Inventory, sessions: contextlib.ExitStack, clock: Clock) -> Callable[[str], Host]:
    """Opens other hosts of the inventory, each once; their sessions end with the stack."""
    opened: dict[str, Host] = {}

    def open_peer(name: str) -> Host:
        if name not in opened:
            opened[name] = Host(
                name=name,
                session=sessions.enter_context(Session(inventory.of(name))),
                clock=clock,
                tell=_tell(name),
                controller=socket.gethostname(),
            )
        return opened[name]

    return open_peer


def library_missing() -> dict[str, Any]:
    """The result of a task on a controller without pypsrp."""
    return {
        "failed": True,
        "changed": False,
        "msg": f"the controller needs the Python library pypsrp ({libraries.missing}): pip install pypsrp",
    }


def _tell(name: str, secrets: Sequence[re.Pattern[str]] = ()) -> Callable[[str], None]:
    return lambda line: display.display(f"[{name}] {without(line, secrets)}")


def _result(outcome: Outcome, diff: bool) -> dict[str, Any]:
    result: dict[str, Any] = {"changed": outcome.changed, **outcome.values}
    if outcome.before is not None:
        result["before"] = dict(outcome.before)
        result["after"] = dict(outcome.after or {})
    result["warnings"] = list(outcome.warnings)
    if outcome.shown is not None and diff:
        before, after = outcome.shown
        comment = f"# {outcome.comment}\n" if outcome.comment else ""
        result["diff"] = {"before": _lines(before), "after": _lines(after) + comment}
    if outcome.failed:
        result["unreachable" if outcome.unreachable else "failed"] = True
        result["msg"] = outcome.message
    return result


def _lines(values: Mapping[str, Any]) -> str:
    """One ``name: value`` line each, for a diff."""
    return "".join(f"{name}: {_shown(value)}\n" for name, value in values.items())


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
