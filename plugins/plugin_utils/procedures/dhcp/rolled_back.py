# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A server as it was before the migration. For this collection only."""

from __future__ import annotations

from ...errors import Refusal
from ...windows import dhcp
from ...windows.services import find_service
from ..base import Findings, JournalPlan, Plan
from .machine import STOPPED
from .manifest import AUTHORIZING, COMPLETED, ROLLED_BACK
from .observed import State, refuse_busy, refuse_second_hop
from .parameters import MODULE, Parameters
from .way_back import counters_are_zero, new_steps, old_steps


def plan(parameters: Parameters, state: State) -> Plan:
    """The way back that a task asks for: none without a journal, or where it has been gone. Errors: Refusal."""
    journal = state.journal
    if journal is None or journal.get("state") == "rolled_back":
        return Plan((), goal(state), journal=JournalPlan(ended_by_steps=True))
    refuse_second_hop(parameters, state)
    refuse_busy(parameters, state)
    if journal.get("role") == "new":
        _refuse_new(parameters, state)
        steps = new_steps(state.machine)
    else:
        _refuse_old(parameters, state)
        before = state.manifest.inventory if state.manifest is not None else None
        steps = old_steps(state.machine, before)
    # Every step looks before it acts, so an interrupted run is simply taken again.
    return Plan(
        tuple(steps),
        goal(state),
        answer=lambda: {"rolled_back": True},
        findings=Findings(warnings=state.machine.warnings),
        journal=JournalPlan(ended_by_steps=True),
        proved=True,
    )


def goal(state: State) -> dict[str, object]:
    """After the run, as the journal tells."""
    journal = state.journal or {}
    absent = journal.get("prev_service_state") == "Absent"
    joined = state.machine.facts.joined
    return {
        "service": STOPPED if absent else journal.get("prev_service_state", state.service),
        "start_mode": "Disabled" if absent else journal.get("prev_start_mode", state.mode),
        "authorized": bool(journal.get("prev_authorized", state.listed)) if joined else None,
        "counts": state.inventory.counts if state.inventory is not None else {},
        "files": len(state.manifest.data["files"]) if state.manifest is not None else 0,
    }


def _refuse_new(parameters: Parameters, state: State) -> None:
    """After the point of no return only where nobody was ever served. Errors: Refusal E_PONR."""
    journal = state.journal or {}
    if not journal.get("ponr"):
        return
    statistics = state.machine.statistics() if state.service != STOPPED else None
    acks = statistics.Acks if statistics is not None else journal.get("acks")
    if acks != 0:
        raise _ponr(parameters, state)


def _refuse_old(parameters: Parameters, state: State) -> None:
    """E_PONR, E_IDENTITY_CHANGED. Errors: Refusal."""
    phase = state.manifest.phase if state.manifest is not None else ""
    if phase in (AUTHORIZING, COMPLETED) and not _new_is_out(parameters, state):
        raise _ponr(parameters, state)
    journal, facts = state.journal or {}, state.machine.facts
    name, ip = str(journal.get("auth_name")), str(journal.get("auth_ip"))
    own = (parameters.dns_name or facts.fqdn).lower()
    if journal.get("prev_authorized") and (own != name.lower() or ip not in facts.addresses):
        present = ", ".join(sorted(a for a in facts.addresses if ":" not in a))
        raise Refusal(
            "E_IDENTITY_CHANGED",
            f"This server is now {facts.fqdn} ({present}); it was authorized as {name} ({ip}).",
            "Restore name and address first.",
            "r01_start_mode",
        )


def _new_is_out(parameters: Parameters, state: State) -> bool:
    """Whether the new server is stopped, not listed, and never gave a lease, by its own journal."""
    if parameters.peer_host is None:
        return False
    peer = state.machine.peer(parameters.peer_host)
    entry = peer.journal(MODULE, parameters.migration_id).find()
    if not counters_are_zero(entry):
        return False
    service = find_service(peer, dhcp.SERVICE)
    name, ip = str((entry or {}).get("auth_name")), str((entry or {}).get("auth_ip"))
    listed = any(one.name.lower() == name.lower() and one.ip == ip for one in state.everyone)
    return (service is None or service.State == STOPPED) and not listed


def _ponr(parameters: Parameters, state: State) -> Refusal:
    journal = state.journal or {}
    phase = state.manifest.phase if state.manifest is not None else journal.get("state", ROLLED_BACK)
    return Refusal(
        "E_PONR",
        f"The new server may already have leased addresses (phase {phase}); going back would lose leases.",
        "Stay on the new server; mend what is wrong there.",
        "r01_hold" if journal.get("role") == "new" else "r01_start_mode",
    )
