# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What both sides look at before they change anything. For this collection only."""

from __future__ import annotations

import datetime
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import CmdletFailed, FieldnotesError, MethodFailed, Refusal, WsmanFault
from ...journal import Entry, journal_key
from ...windows import dhcp, registry
from ...windows.server import CLIENT, restart_is_pending
from ...wsman.faults import is_access_denied
from ...wsman.types import decode_moment
from ..base import Host
from .inventory import Inventory
from .machine import ABSENT, Authorization, Machine, start_mode
from .manifest import Manifest, load
from .parameters import EXPORTED, MODULE, Parameters

_SETTLED = ("retired", "rehearsed", "held", "done", "rolled_back")
_BUSY = datetime.timedelta(minutes=15)
_EXPECTED_STORE = 100 * 2**20


@dataclass(frozen=True)
class State:
    """A server as a run finds it.

    authorized: what the service believes, None while it does not run; listed: its entries in the authorization list;
    list_trouble: why the list cannot be read; inventory: None where the service does not answer or nobody needs it.
    """

    machine: Machine
    journal: Entry | None
    manifest: Manifest | None
    service: str
    mode: str
    authorized: bool | None
    listed: tuple[Authorization, ...]
    everyone: tuple[Authorization, ...]
    list_trouble: str
    inventory: Inventory | None = None
    others: Mapping[str, Entry] | None = None
    is_clustered: bool = False
    restart_pending: bool = False

    def with_inventory(self, inventory: Inventory | None) -> State:
        """The same with what the server knows."""
        return replace(self, inventory=inventory)


def observe(host: Host, parameters: Parameters, journal: Entry | None) -> State:
    """Facts, service, authorization, manifest: what even a run with nothing to do needs. Errors: Refusal E_RIGHTS."""
    machine = Machine(host, parameters)
    try:
        facts = machine.facts
    except WsmanFault as fault:
        if is_access_denied(fault):
            raise Refusal(
                "E_RIGHTS",
                f"Account {host.session.settings.username} may not administer {host.name} ({fault}).",
                "Use an account that is an administrator of the host.",
                step(parameters),
            ) from fault
        raise
    service = machine.service()
    everyone, trouble = _everyone(machine)
    own = {*facts.addresses, machine.auth_ip}
    authorized = None
    if service is not None and service.State in ("Running", "Paused"):
        authorized = _believed(machine)
    home = parameters.controller_dir / parameters.migration_id if parameters.controller_dir is not None else None
    return State(
        machine=machine,
        journal=journal,
        manifest=load(home) if home is not None else None,
        service=service.State if service is not None else ABSENT,
        mode=start_mode(service.StartMode) if service is not None else "",
        authorized=authorized,
        listed=tuple(entry for entry in everyone if entry.concerns(machine.auth_name, own)),
        everyone=everyone,
        list_trouble=trouble,
    )


def _everyone(machine: Machine) -> tuple[tuple[Authorization, ...], str]:
    if not machine.facts.joined:
        return (), ""
    try:
        return tuple(machine.entries()), ""
    except (WsmanFault, MethodFailed, CmdletFailed) as error:
        return (), str(error)


def _believed(machine: Machine) -> bool | None:
    try:
        return machine.is_authorized()
    except (WsmanFault, MethodFailed, CmdletFailed):
        # A paused service may not answer; it is asked again once it runs.
        return None


def look_around(state: State) -> State:
    """What only a run that will change something has to know."""
    host = state.machine.host
    return replace(
        state,
        others=_other_journals(host, state.machine.parameters),
        is_clustered=dhcp.is_cluster_role(host),
        restart_pending=restart_is_pending(host),
    )


def _other_journals(host: Host, parameters: Parameters) -> dict[str, Entry]:
    found = {}
    for name in registry.subkeys(host, journal_key(MODULE)) or ():
        if name.lower() != parameters.migration_id.lower():
            entry = host.journal(MODULE, name).find()
            if entry is not None:
                found[name] = entry
    return found


def step(parameters: Parameters) -> str:
    """The name of the first step, for failures of the preflight."""
    return "n01_preflight" if parameters.state == "imported" else "o01_preflight"


def is_open(entry: Entry) -> bool:
    """Whether a journal's run has not come to an end."""
    return entry.get("state") not in _SETTLED


def refuse_general(parameters: Parameters, state: State) -> None:
    """The refusals of every state, in the order of the page. Errors: Refusal."""
    machine, host = state.machine, state.machine.host

    def refuse(code: str, message: str, remedy: str) -> None:
        raise Refusal(code, message, remedy, step(parameters))

    if parameters.state == EXPORTED and (machine.facts.product_type == CLIENT or state.service == ABSENT):
        refuse("E_NOT_SERVER", f"There is no DHCP Server service on {host.name}.", "Run it on the DHCP server.")
    if state.is_clustered:
        refuse(
            "E_CLUSTERED",
            f"DHCP on {host.name} is a cluster role; it cannot be moved by this module.",
            "Move the role with the cluster's own tools.",
        )
    refuse_second_hop(parameters, state)
    if state.restart_pending and not parameters.allow_reboot:
        refuse("E_PENDING_REBOOT", f"{host.name} has a pending restart.", "Restart it first.")
    refuse_busy(parameters, state)
    problem = _controller_problem(parameters.home)
    if problem:
        refuse(
            "E_CONTROLLER_DIR",
            f"Cannot keep the copies in {parameters.home}: {problem}.",
            "Choose another controller_dir.",
        )


def refuse_second_hop(parameters: Parameters, state: State) -> None:
    """E_SECOND_HOP. Errors: Refusal."""
    if state.list_trouble:
        via = state.machine.via
        raise Refusal(
            "E_SECOND_HOP",
            f"The authorization list in Active Directory cannot be read from {via.name} with this connection "
            f"({via.session.settings.auth}).",
            "Set authorize_via, or a transport that delegates credentials.",
            step(parameters),
        )


def refuse_busy(parameters: Parameters, state: State) -> None:
    """E_BUSY. Errors: Refusal."""
    host = state.machine.host
    busy = next(((name, entry) for name, entry in (state.others or {}).items() if is_open(entry)), None)
    entry = state.journal
    if busy is None and entry is not None and is_open(entry) and _may_live(entry, host.controller):
        touched = decode_moment(str(entry.get("updated_utc")))
        if host.clock.now() - touched < _BUSY:
            busy = (parameters.migration_id, entry)
    if busy is not None:
        raise Refusal(
            "E_BUSY",
            f"Migration {busy[0]} is still open on {host.name} (state {busy[1].get('state')}).",
            f"Finish it on {busy[1].get('controller')} or use rolled_back.",
            step(parameters),
        )


def _may_live(entry: Entry, controller: str) -> bool:
    """Whether the run of a journal may be at work still: of another controller nobody can tell."""
    if entry.get("controller") != controller:
        return True
    process = entry.get("process")
    if not isinstance(process, int) or process in (0, os.getpid()):
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        # It lives, and belongs to another user.
        return True
    return True


def _controller_problem(home: Path) -> str:
    present = next(each for each in (home, *home.parents) if each.exists())
    if not present.is_dir():
        return f"{present} is not a directory"
    if not os.access(present, os.W_OK | os.X_OK):
        return f"{present} is not writable"
    _total, _used, free = shutil.disk_usage(present)
    if free < 2 * _EXPECTED_STORE:
        return f"{free // 2**20} MiB are free, {2 * _EXPECTED_STORE // 2**20} MiB are needed"
    return ""


def try_inventory(state: State) -> State:
    """With the inventory, where the service answers."""
    if state.service not in ("Running", "Paused"):
        return state
    try:
        return state.with_inventory(state.machine.inventory())
    except (WsmanFault, MethodFailed, CmdletFailed):
        return state


def report(state: State) -> dict[str, Any]:
    """``before`` and ``after``: no lease, only counts."""
    inventory = state.inventory
    files = len(state.manifest.data["files"]) if state.manifest is not None else 0
    return {
        "service": state.service,
        "start_mode": state.mode,
        "authorized": bool(state.listed) if state.machine.facts.joined else None,
        "counts": inventory.counts if inventory is not None else {},
        "files": files,
    }


def trouble_of(error: FieldnotesError) -> str:
    """An error as part of a sentence."""
    return str(error).rstrip(". ")
