# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The way back of either server: as it was before. For this collection only.

Every step looks before it acts, so that it can be taken again after any interruption.
"""

from __future__ import annotations

from ...errors import Failure
from ...journal import utc_text
from ...windows import transfer
from ..base import Step
from .addresses import restore as restore_addresses
from .inventory import Inventory
from .machine import PAUSED, RUNNING, STOPPED, Machine
from .manifest import ROLLED_BACK, load


def serve_again(machine: Machine) -> None:
    """Has the old server serve as its journal says it did: start mode, authorization, service, in this order.

    Errors: Superseded; another run may have retired it by now.
    """
    machine.journal.check()
    entry = machine.entry
    machine.set_start_mode(str(entry.get("prev_start_mode") or ""))
    if entry.get("prev_authorized"):
        machine.authorize()
    wanted = str(entry.get("prev_service_state") or RUNNING)
    machine.bring(wanted)
    if entry.get("prev_authorized") and wanted == RUNNING:
        machine.wait_authorized(True)


def old_steps(machine: Machine, before: Inventory | None) -> list[Step]:
    """On the old server. before: the inventory to compare with, where there is one."""

    def start_mode() -> None:
        machine.set_start_mode(str(machine.entry.get("prev_start_mode") or ""))

    def authorize() -> None:
        if machine.entry.get("prev_authorized"):
            machine.authorize()

    def compare() -> None:
        if before is None:
            return
        counts, now = before.counts, machine.inventory().counts
        fewer = [name for name, count in counts.items() if now.get(name, 0) < count and not name.endswith("_leases")]
        if fewer:
            machine.warnings.append(f"the server has fewer records than before in {', '.join(fewer)}: look at it")

    def manifest() -> None:
        parameters = machine.parameters
        found = load(parameters.home) if parameters.controller_dir is not None else None
        if found is not None and found.phase != ROLLED_BACK:
            found.in_phase(ROLLED_BACK, utc_text(machine.host.clock.now()), machine.host.name)

    def tidy() -> None:
        transfer.remove_tree(machine.host, machine.parameters.folder)
        machine.journal.remove()

    return [
        Step("r01_start_mode: start mode of DHCP Server as before", start_mode, code="r01_start_mode"),
        Step("r02_authorize: authorization as before", authorize, code="r02_authorize"),
        Step("r03_serve: DHCP Server serves as before", lambda: serve_again(machine), code="r03_serve"),
        Step("r04_compare: compare with the inventory", compare, changes=False, code="r04_compare"),
        Step("r05_manifest: the manifest says that the migration is rolled back", manifest, code="r05_manifest"),
        Step("r06_tidy: delete store, backup and journal", tidy, code="r06_tidy"),
    ]


def new_steps(machine: Machine) -> list[Step]:
    """On the new server. Counters are read before the service stops: old may only come back if nobody was served."""
    parameters = machine.parameters

    def hold() -> None:
        state = machine.state()
        if state in (RUNNING, PAUSED):
            _note_counters(machine)
        if machine.facts.joined:
            machine.bring(STOPPED)
        elif state == RUNNING:
            machine.bring(PAUSED)

    def unauthorize() -> None:
        if machine.entry.get("authorized_here") and machine.own_entries():
            machine.unauthorize()

    def restore() -> None:
        path = _backup_to_restore(machine)
        if path is None or machine.entry.get("restored"):
            return
        _start_held(machine)
        machine.restore(path)
        machine.bring(STOPPED)
        _start_held(machine)
        machine.note(restored=True)

    def stop() -> None:
        machine.bring(STOPPED)
        entry = machine.entry
        before = str(entry.get("prev_start_mode") or "")
        machine.set_start_mode("Disabled" if entry.get("prev_service_state") == "Absent" else before)
        if entry.get("prev_service_state") == RUNNING and not machine.own_entries() and machine.facts.joined:
            # It ran before without being authorized, so it may run again.
            machine.bring(RUNNING)

    def addresses() -> None:
        if machine.entry.get("ip_changed"):
            restore_addresses(machine)

    def tidy() -> None:
        transfer.remove_tree(machine.host, parameters.folder)
        machine.journal.update(state="rolled_back", step="", done=[])

    return [
        Step("r01_hold: DHCP Server stops serving", hold, code="r01_hold"),
        Step(
            "r02_unauthorize: remove the authorization that this migration added", unauthorize, code="r02_unauthorize"
        ),
        Step("r03_restore: restore the database from before the import", restore, code="r03_restore"),
        Step("r04_stop: service state and start mode as before", stop, code="r04_stop"),
        Step("r05_addresses: addresses as before", addresses, code="r05_addresses"),
        Step("r06_tidy: delete store and backups, journal says rolled back", tidy, code="r06_tidy"),
    ]


def _note_counters(machine: Machine) -> None:
    found = machine.statistics()
    if found is None or machine.entry.get("acks"):
        return
    start = utc_text(found.ServerStartTime) if found.ServerStartTime is not None else ""
    machine.note(acks=found.Acks, server_start_utc=start)


def _backup_to_restore(machine: Machine) -> str | None:
    parameters = machine.parameters
    for path in (parameters.prebackup, f"{parameters.folder}\\import"):
        if transfer.list_files(machine.host, path):
            return path
    return None


def _start_held(machine: Machine) -> None:
    """The service runs, and nobody is served: unauthorized in a domain, paused in a workgroup."""
    machine.set_start_mode("Manual")
    if machine.facts.joined:
        machine.bring(RUNNING)
        if not machine.stays_unauthorized():
            machine.bring(STOPPED)
            raise Failure(
                "E_TARGET_AUTHORIZED",
                f"{machine.host.name} is still authorized and would lease.",
                "Wait for replication between the domain controllers, or force it; then run rolled_back.",
            )
    else:
        machine.bring(PAUSED)


def counters_are_zero(entry: object) -> bool:
    """Whether the journal of new says that it never gave a lease: only then may old come back after the PoNR."""
    return isinstance(entry, dict) and entry.get("state") == "rolled_back" and entry.get("acks") == 0
