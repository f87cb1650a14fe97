# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a finished migration leaves behind, deleted. For this collection only."""

from __future__ import annotations

from dataclasses import replace

from ...errors import Failure, Refusal
from ...windows import transfer
from ..base import Host, JournalPlan, Plan, Step
from . import roles
from .machine import ABSENT
from .manifest import COMPLETED, ROLLED_BACK
from .observed import State, refuse_busy
from .parameters import MODULE, Parameters
from .rolled_back import goal

_OVER = (COMPLETED, ROLLED_BACK)


def phase_of(host: Host, parameters: Parameters, state: State) -> str:
    """How far the migration is: the manifest says it, else the marker or the journal of this host."""
    if state.manifest is not None:
        return state.manifest.phase
    if host.history(MODULE, parameters.migration_id).find() is not None:
        return COMPLETED
    return str((state.journal or {}).get("state", ROLLED_BACK))


def plan(parameters: Parameters, state: State, phase: str, *, has_folder: bool) -> Plan:
    """The end of a migration: what it left is removed. Errors: Refusal E_NOT_COMPLETED."""
    machine = state.machine
    refuse_busy(parameters, replace(state, journal=None))
    if phase not in _OVER:
        raise Refusal(
            "E_NOT_COMPLETED",
            f"The migration is not completed (phase {phase}).",
            "Finish it, or roll it back.",
            "c01_folders",
        )
    is_old = (state.journal or {}).get("role") == "old"
    found = {"reboot_required": False}

    def folders() -> None:
        transfer.remove_tree(machine.host, parameters.folder)

    def role() -> None:
        change = roles.uninstall(machine, [roles.DHCP])
        if not change.success:
            raise Failure("E_EXPORT", f"c02_role failed: {change.exit_code}.", "Remove the role by hand.")
        found["reboot_required"] = change.restart_needed

    steps = []
    if parameters.store_on_target == "wipe":
        steps.append(Step(f"c01_folders: delete {parameters.folder}", folders, skip=not has_folder, code="c01_folders"))
    if parameters.remove_role and is_old:
        gone = state.service == ABSENT
        steps.append(Step("c02_role: remove the DHCP Server role", role, skip=gone, code="c02_role"))
    if state.journal is not None:
        steps.append(Step("c03_journal: delete the journal", machine.journal.remove, code="c03_journal"))
    after = dict(goal(replace(state, journal=None)))
    if parameters.remove_role and is_old:
        after.update(service=ABSENT, start_mode="")
    return Plan(
        tuple(steps),
        after,
        journal=JournalPlan(ended_by_steps=True),
        answer=lambda: dict(found),
        proved=True,
    )
