# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The old server: exported, copied to the controller, and retired. For this collection only."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...errors import CmdletFailed, Failure, FieldnotesError, MethodFailed, Refusal, WsmanFault
from ...journal import Entry, utc_text
from ...windows import dhcp, migration, transfer
from ...windows.server import fixed_disks, folder_size
from ...windows.services import find_service
from ...wsman.cmdlets import SWITCH
from ...wsman.xml import local_name
from ..base import Findings, Host, JournalPlan, Plan, Step
from . import roles
from .facts import read_facts
from .inventory import Inventory, from_json, frozen_digest
from .machine import ABSENT, PAUSED, RUNNING, STOPPED, Machine, start_mode
from .manifest import (
    COMPLETED,
    EXPORTED,
    INVENTORY,
    NAME,
    RETIRED,
    ROLLED_BACK,
    SCHEMA,
    Manifest,
    put_aside,
    save,
    write,
)
from .observed import State, refuse_general, trouble_of
from .parameters import DHCPSERVER, SMIG, Parameters, password_faults
from .reading import Leases
from .way_back import old_steps, serve_again

EXPORT_FILE = "dhcpexport.xml"
REGISTERED, INSTALLABLE, MISSING = "registered", "installable", "missing"
_MEASURE_SECONDS = 10
_PROGRESS_SECONDS = 15
_SPACE = 100 * 2**20
_PREFLIGHT = "o01_preflight"
_ANSWERING = (WsmanFault, MethodFailed, CmdletFailed)

# What the journal calls the state that a step leads to.
STATES = {
    "o03_dirs": "prepared",
    "o04_freeze": "frozen",
    "o07_backup_fetch": "backed_up",
    "o08_stop": "stopped",
    "o11_verify": "store_verified",
    "o13_manifest": "manifest_written",
    "o14_stop": "stopped_final",
    "o15_unauthorize": "unauthorized",
    "o17_confirm": "retired",
    "o14r_resume": "rehearsed",
}


@dataclass(frozen=True)
class OldState:
    """The old server. Nothing beyond ``base`` is read where the run has nothing to do.

    accepts_pause: Win32_Service.AcceptPause; failover: its relationships; disks: free bytes; needed: bytes; leftovers:
    folders that hold something; tools: of migration, registered, installable or missing; peer_is_dc: None where nobody
    knows.
    """

    base: State
    accepts_pause: bool = False
    setting: dhcp.Setting | None = None
    failover: tuple[dhcp.Failover, ...] = ()
    free: int | None = None
    needed: int = 0
    leftovers: tuple[str, ...] = ()
    tools: str = REGISTERED
    peer_is_dc: bool | None = None
    saved: Inventory | None = None


def resolved_method(parameters: Parameters, state: State) -> str:
    """The method of this migration: that of the journal, of the task, or what fits the hosts."""
    if state.journal is not None and state.journal.get("method"):
        return str(state.journal["method"])
    if parameters.method != "auto":
        return parameters.method
    simple = parameters.ip_config == "none" and parameters.users == "none"
    return DHCPSERVER if state.machine.facts.has_provider and simple else SMIG


def freezes(parameters: Parameters, method: str, *, accepts_pause: bool, joined: bool) -> tuple[str, ...]:
    """The freezes to try, in their order; none where the server cannot be frozen."""
    possible = {
        "pause": accepts_pause,
        "stop": method == SMIG,
        "unauthorize": method == DHCPSERVER and joined,
    }
    wanted = ("pause", "stop", "unauthorize") if parameters.freeze == "auto" else (parameters.freeze,)
    return tuple(freeze for freeze in wanted if possible[freeze])


def is_retired(state: State) -> bool:
    """Whether the server is out of service as the manifest says: nothing is to be done."""
    manifest, journal = state.manifest, state.journal
    if manifest is None or journal is None:
        return False
    same = journal.get("manifest_sha256") == manifest.sha256
    if journal.get("state") == "rehearsed":
        return same
    out = state.service == STOPPED and state.mode == "Disabled" and not state.listed
    return same and journal.get("state") == "retired" and out


def observe(host: Host, parameters: Parameters, state: State) -> OldState:
    """Reads what the refusals and the plan need."""
    machine = state.machine
    base = OldState(state)
    if state.manifest is not None and state.manifest.phase == COMPLETED:
        return base
    service = find_service(host, dhcp.SERVICE)
    if service is None or is_retired(state):
        return base
    running = state.service in (RUNNING, PAUSED)
    provider = machine.facts.has_provider and running
    smig = resolved_method(parameters, state) == SMIG
    setting = failover = None
    if provider:
        setting = _asked(lambda: machine.server.one(dhcp.SETTING))
        failover = _asked(lambda: machine.server.read(dhcp.FAILOVERS))
    drive = parameters.base_path[:2].upper()
    return replace(
        base,
        accepts_pause=bool(service.AcceptPause),
        setting=setting,
        failover=failover or (),
        free=fixed_disks(host).get(drive),
        needed=2 * _database_size(machine, running=running) + _SPACE,
        leftovers=tuple(path for path in (parameters.store, parameters.backup) if transfer.list_files(host, path)),
        tools=_tools(machine) if smig else REGISTERED,
        peer_is_dc=_peer_is_dc(machine) if smig else None,
        saved=_saved(parameters),
    )


def _asked(read: Callable[[], Any]) -> Any:
    """None where a paused service does not answer."""
    try:
        return read()
    except _ANSWERING:
        return None


def _database_size(machine: Machine, *, running: bool) -> int:
    path = f"{machine.facts.windows_directory}\\System32\\dhcp\\dhcp.mdb"
    if machine.facts.has_provider and running:
        database = _asked(lambda: machine.server.one(dhcp.DATABASE))
        path = (database.FileName if database is not None else None) or path
    return folder_size(machine.host, path.rpartition("\\")[0])


def _tools(machine: Machine) -> str:
    if migration.is_registered(machine.host):
        return REGISTERED
    if not machine.facts.has_provider:
        return MISSING
    try:
        return INSTALLABLE if roles.knows(machine, roles.MIGRATION) else MISSING
    except CmdletFailed:
        return MISSING


def _peer_is_dc(machine: Machine) -> bool | None:
    parameters = machine.parameters
    if parameters.peer_host is not None:
        return read_facts(machine.peer(parameters.peer_host)).is_dc
    return parameters.target_is_dc


def _saved(parameters: Parameters) -> Inventory | None:
    """The inventory that an interrupted run left on this controller."""
    try:
        return from_json(json.loads((parameters.home / INVENTORY).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


# Refusals


def refuse(parameters: Parameters, old: OldState) -> None:
    """The refusals of the export, in the order of the page. Errors: Refusal."""
    state, machine = old.base, old.base.machine
    refuse_general(parameters, state)
    _refuse_reused(parameters, state)
    host, facts, method = machine.host, machine.facts, resolved_method(parameters, state)

    def no(code: str, message: str, remedy: str) -> None:
        raise Refusal(code, message, remedy, _PREFLIGHT)

    if method == DHCPSERVER and not facts.has_provider:
        no("E_PARAM", "method: dhcpserver needs Windows Server 2012.", "Use smig.")
    fresh = state.journal is None
    if fresh and state.service != RUNNING:
        no(
            "E_NOT_RUNNING",
            f"The DHCP Server service on {host.name} is {state.service}; only a healthy running server can be "
            "exported.",
            "Start it and check the event log.",
        )
    if fresh and facts.joined and state.authorized is False and not parameters.is_rehearsal:
        no(
            "E_NOT_AUTHORIZED",
            f"{host.name} runs but is not authorized; it does not serve clients now.",
            "Authorize it, or find the server that serves.",
        )
    if old.setting is not None and old.setting.RestoreStatus:
        no(
            "E_RESTORE_PENDING",
            f"{host.name} is marked to restore its database at the next start.",
            "Let the restore finish.",
        )
    # A run that goes on has its freeze already: a service that is not running offers none.
    frozen = state.journal is not None and bool(state.journal.get("freeze"))
    if not frozen and not freezes(parameters, method, accepts_pause=old.accepts_pause, joined=facts.joined):
        no(
            "E_NO_FREEZE",
            "The server cannot be kept from changing leases during the export.",
            "Use method smig, or another freeze.",
        )
    if old.failover and parameters.failover_policy == "refuse":
        one = old.failover[0]
        scopes = ", ".join(scope for each in old.failover for scope in each.ScopeId or ())
        no(
            "E_FAILOVER",
            f"Scopes {scopes} belong to failover relationship {one.Name} with {one.PartnerServer}.",
            "Set failover_policy to remove: the scopes stay here and are deleted on the partner.",
        )
    if method == SMIG:
        _refuse_accounts(parameters, old)
        host.session.require_confidentiality("store_password")
        faults = password_faults(parameters.store_password or "", weak=parameters.allow_weak_password)
        if faults:
            no("E_PASSWORD", f"store_password does not meet the rules: {'; '.join(faults)}.", "Choose another one.")
    if old.free is None or old.free < old.needed:
        no(
            "E_SPACE",
            f"{parameters.base_path[:2]} has {(old.free or 0) // 2**20} MiB free, "
            f"{old.needed // 2**20} MiB are needed.",
            "Make room, or choose another base_path.",
        )
    if fresh and old.leftovers:
        no("E_STORE_NOT_EMPTY", f"{old.leftovers[0]} is not empty.", "Clean it or choose another base_path.")
    if not machine.auth_ip:
        no("E_IP_MULTI", f"{host.name} has several addresses; say which one is authorized.", "Set ip_address.")
    if old.tools == MISSING:
        no(
            "E_SMIG_MISSING",
            f"The migration tools are not available on {host.name}.",
            "Make the deployment folder on the new server with SmigDeploy.exe and register it here.",
        )


def _refuse_accounts(parameters: Parameters, old: OldState) -> None:
    facts, users, groups = old.base.machine.facts, parameters.users, parameters.groups

    def no(code: str, message: str, remedy: str) -> None:
        raise Refusal(code, message, remedy, _PREFLIGHT)

    if facts.is_dc and users != "none":
        no(
            "E_DC_USERS",
            "A domain controller has no local users; exporting users would copy the domain.",
            "Set users to none.",
        )
    if facts.is_dc and groups and old.peer_is_dc is False:
        no(
            "E_DC_GROUPS",
            "The groups of this domain controller would become local groups on a member server, and domain users local "
            "users.",
            "Set groups to false, or demote the old server first, or promote the new one first.",
        )
    if facts.is_dc and groups and old.peer_is_dc is None:
        no(
            "E_TARGET_ROLE_UNKNOWN",
            "It is not known whether the new server is a domain controller.",
            "Set target_is_dc or peer_host.",
        )
    promotes = not facts.is_dc and bool(old.peer_is_dc) and (users != "none" or groups)
    if promotes and not parameters.allow_account_promotion:
        no(
            "E_MEMBER_TO_DC",
            "Local accounts of a member server become domain accounts on a domain controller.",
            "Set users to none and groups to false, or allow_account_promotion.",
        )


def _refuse_reused(parameters: Parameters, state: State) -> None:
    """3.5.9, and 3.5.6 for a server that came back."""
    manifest, facts = state.manifest, state.machine.facts
    if manifest is None or manifest.phase == ROLLED_BACK:
        return
    old = manifest.data["old"]
    other = (old["fqdn"], old["install_date"]) != (facts.fqdn, facts.install_date)
    if other:
        raise Refusal(
            "E_ID_REUSED",
            f"Migration id {parameters.migration_id} was used for another export.",
            "Use a new migration_id.",
            _PREFLIGHT,
        )


def refuse_alive(parameters: Parameters, old: OldState) -> None:
    """3.5.6: the migration is over, and the old server runs again. Errors: Refusal."""
    if old.base.service in (RUNNING, PAUSED):
        raise Refusal(
            "E_OLD_ALIVE",
            f"{old.base.machine.host.name} can still lease addresses.",
            "Stop its DHCP Server service and disable it: the new server leases now.",
            _PREFLIGHT,
        )


# The plan


def plan(parameters: Parameters, old: OldState) -> Plan:
    """The way to the export. Errors: Refusal."""
    state = old.base
    export = Export(parameters, old)
    manifest = state.manifest
    completed = manifest is not None and manifest.phase == COMPLETED
    if completed:
        _refuse_reused(parameters, state)
        refuse_alive(parameters, old)
    if completed or is_retired(state):
        steps = tuple(replace(step, skip=True) for step in export.steps())
        return Plan(steps, export.goal(), journal=JournalPlan(ended_by_steps=True), proved=True)
    refuse(parameters, old)
    done = export.done_already()
    steps = tuple(replace(step, skip=step.code in done) for step in export.steps())
    return Plan(
        steps,
        export.goal(),
        journal=JournalPlan(None if state.journal is not None else export.journal_content(), ended_by_steps=True),
        answer=export.answer,
        findings=Findings(warnings=state.machine.warnings),
        proved=True,
        way_back=export.way_back,
    )


RETIRING = frozenset(("o14_stop", "o15_unauthorize", "o16_disable", "o17_confirm"))
"""The steps after which the old server no longer serves; each looks before it acts."""


class Export:
    """The steps on the old server, and what they learn on the way."""

    def __init__(self, parameters: Parameters, old: OldState) -> None:
        self._parameters = parameters
        self._old = old
        self._machine: Machine = old.base.machine
        self._host = self._machine.host
        self._method = resolved_method(parameters, old.base)
        joined = self._machine.facts.joined
        self._freezes = list(freezes(parameters, self._method, accepts_pause=old.accepts_pause, joined=joined))
        journalled = (old.base.journal or {}).get("freeze")
        self._freeze = str(journalled or (self._freezes[0] if self._freezes else "stop"))
        self._inventory: Inventory | None = old.saved
        self._files: list[dict[str, Any]] = []
        self._manifest: Manifest | None = old.base.manifest
        self._rested: Leases | None = None

    # What the runner asks for

    def steps(self) -> list[Step]:
        """In the order of the page; a freeze by authorization puts o15 before o04."""
        joined = self._machine.facts.joined
        smig = self._method == SMIG
        early = self._freeze == "unauthorize"
        out = self._step("o15_unauthorize", "remove the authorization of the old server", self._unauthorize)
        steps = [self._step("o03_dirs", "make empty folders for store and backup", self._make_folders)]
        if self._old.failover:
            steps.insert(0, self._step("o02f_failover", "remove the failover relationships", self._remove_failover))
        if self._old.tools == INSTALLABLE:
            steps.insert(0, self._step("o02t_tools", "install the migration tools", self._install_tools))
        if early:
            steps.append(out)
        steps += [
            self._step("o04_freeze", f"freeze the leases ({self._freeze})", self._freeze_leases),
            self._step("o05_inventory", "take the inventory", self._take_inventory, changes=False),
            self._step("o06_backup", "back up the database", self._back_up),
            self._step("o07_backup_fetch", "copy the backup to the controller", self._fetch_backup),
        ]
        if smig:
            steps.append(self._step("o08_stop", "stop DHCP Server", self._stop))
        steps.append(self._step("o09_export", f"export with {_TOOLS[self._method]}", self._export))
        if not smig:
            steps.append(self._step("o10_recheck", "look whether the leases stayed as they were", self._recheck))
        steps += [
            self._step("o11_verify", "verify the store", self._verify_store, changes=False),
            self._step("o12_fetch", "copy the store to the controller", self._fetch_store),
            self._step("o13_manifest", "write the manifest", self._write_manifest),
        ]
        if self._parameters.is_rehearsal:
            return [*steps, self._step("o14r_resume", "serve again as before", self._resume)]
        if not smig:
            steps.append(self._step("o14_stop", "stop DHCP Server", self._stop))
        if joined and not early:
            steps.append(out)
        return [
            *steps,
            self._step("o16_disable", "disable DHCP Server", self._disable),
            self._step("o17_confirm", "confirm that the old server is out of service", self._confirm),
        ]

    def _step(self, code: str, text: str, act: Callable[[], None], *, changes: bool = True) -> Step:
        def do() -> None:
            act()
            if code in STATES:
                self._machine.note(state=STATES[code])

        return Step(f"{code}: {text}", do, changes=changes, code=code)

    def done_already(self) -> frozenset[str]:
        """The steps of an interrupted run that still count: 3.5.7."""
        journal = self._old.base.journal
        if journal is None or journal.get("state") in ("rolled_back",):
            return frozenset()
        done = list(journal.get("done", ()))
        if str(journal.get("step", "")).startswith("r"):
            # The way back was begun and cut: it may have taken back already what retires the server.
            done = [code for code in done if code not in RETIRING]
        folders = frozenset(code for code in ("o02t_tools", "o02f_failover", "o03_dirs") if code in done)
        if "o05_inventory" in done and self._inventory_is_lost(journal):
            return folders
        if not self._is_held():
            return folders
        # In their order, up to the first that is not done: what came after a gap is not to be trusted.
        kept: list[str] = []
        for step in self.steps():
            if step.code not in done:
                break
            kept.append(step.code)
        if "o13_manifest" in kept and self._manifest_is_lost(journal):
            kept = kept[: kept.index("o12_fetch")] if "o12_fetch" in kept else kept
        return frozenset(kept)

    def _inventory_is_lost(self, journal: Entry) -> bool:
        return self._inventory is None or self._inventory.sha256 != journal.get("inventory_sha256")

    def _manifest_is_lost(self, journal: Entry) -> bool:
        manifest = self._old.base.manifest
        return manifest is None or manifest.sha256 != journal.get("manifest_sha256")

    def _is_held(self) -> bool:
        state = self._old.base
        if state.service in (STOPPED, PAUSED):
            return True
        return self._freeze == "unauthorize" and not state.listed and state.authorized is False

    def journal_content(self) -> Entry:
        """o02: what it takes to undo everything."""
        state, machine = self._old.base, self._machine
        return {
            "role": "old",
            "state": "idle",
            "method": self._method,
            "freeze": self._freeze,
            "prev_service_state": state.service,
            "prev_start_mode": state.mode,
            "prev_authorized": bool(state.listed) if machine.facts.joined else False,
            "auth_name": machine.auth_name,
            "auth_ip": machine.auth_ip,
            "base_path": self._parameters.base_path,
            "temp_paths": [],
            "ponr": False,
        }

    def goal(self) -> Mapping[str, Any]:
        """After the run."""
        state = self._old.base
        rehearsal = self._parameters.is_rehearsal
        inventory = state.inventory
        return {
            "service": state.service if rehearsal else STOPPED,
            "start_mode": state.mode if rehearsal else "Disabled",
            "authorized": None if not self._machine.facts.joined else bool(state.listed) and rehearsal,
            "counts": inventory.counts if inventory is not None else {},
            "files": len(state.manifest.data["files"]) if state.manifest is not None else 0,
        }

    def answer(self) -> Mapping[str, Any]:
        """Result keys."""
        found: dict[str, Any] = {"method": self._method, "freeze_used": self._machine.entry.get("freeze", self._freeze)}
        if self._inventory is not None:
            found["inventory"] = {**self._inventory.summary(), "frozen": True}
        if self._manifest is not None:
            found["manifest_path"] = str(self._manifest.path)
            found["manifest_sha256"] = self._manifest.sha256
            found["phase"] = self._manifest.phase
            found["files"] = [
                {"path": str(self._manifest.copy_of(one)), "bytes": one["bytes"], "sha256": one["sha256"]}
                for one in self._manifest.data["files"]
            ]
        after = self._machine.answered.get("authorized")
        if after is not None:
            found["authorization"] = self._machine.authorization(bool(self._old.base.listed), after)
        service = self._machine.answered.get("service")
        return {**found, **({"service": service} if service else {})}

    def way_back(self, _error: FieldnotesError) -> Sequence[Step]:
        """The way back on the old server, at once."""
        if not self._parameters.rollback_on_failure or self._machine.journal.entry is None:
            return ()
        return old_steps(self._machine, None)

    # The steps

    def _remove_failover(self) -> None:
        for one in self._old.failover:
            self._machine.server.remove_failover(one.Name or "")
        if self._machine.server.read(dhcp.FAILOVERS):
            raise Failure("E_EXPORT", "o02f_failover failed: a relationship is still there.", "Remove it by hand.")
        self._machine.warnings.append(
            "the failover relationships are removed and cannot be put back: their shared secret cannot be read"
        )

    def _install_tools(self) -> None:
        change = roles.install(self._machine, [roles.MIGRATION])
        if not change.success or not migration.is_registered(self._host):
            raise Failure(
                "E_SMIG_MISSING",
                f"The migration tools are not available on {self._host.name} ({change.exit_code}).",
                "Install the feature Migration by hand.",
            )

    def _make_folders(self) -> None:
        for path in (self._parameters.store, self._parameters.backup):
            self._machine.empty_folder(path)

    def _freeze_leases(self) -> None:
        """Measured, because nobody says what a paused service still does."""
        if self._machine.entry.get("inventory_sha256"):
            self._discard()
        for freeze in self._usable_freezes():
            self._machine.note(freeze=freeze, inventory_sha256=None)
            self._freeze = freeze
            if self._hold(freeze):
                return
        raise self._no_freeze()

    def _usable_freezes(self) -> list[str]:
        """The freeze of the journal first, then those after it."""
        order = self._freezes or [self._freeze]
        return order[order.index(self._freeze) :] if self._freeze in order else [self._freeze, *order]

    def _no_freeze(self) -> Failure:
        return Failure(
            "E_NO_FREEZE",
            "The server cannot be kept from changing leases during the export.",
            "Use method smig.",
        )

    def _discard(self) -> None:
        """The server served meanwhile: what was taken of it before is stale."""
        self._make_folders()
        self._inventory = None
        self._manifest = None
        for name in (INVENTORY, NAME):
            (self._parameters.home / name).unlink(missing_ok=True)

    def _hold(self, freeze: str) -> bool:
        """Whether the leases stay as they are now."""
        self._rested = None
        if freeze == "pause":
            if self._machine.state() != PAUSED:
                serve_again(self._machine)
                self._machine.bring(PAUSED)
            if self._leases_rest():
                return True
            serve_again(self._machine)
            return False
        if freeze == "unauthorize":
            self._machine.bring(RUNNING)
            self._machine.unauthorize()
            self._machine.wait_authorized(False)
            if not self._machine.stays_unauthorized():
                raise Failure(
                    "E_AUTHORIZE",
                    f"Authorization of {self._machine.auth_name} ({self._machine.auth_ip}) could not be removed: the "
                    "service finds itself authorized again.",
                    "Wait for replication between the domain controllers, or force it.",
                )
            return True
        # Stopped only before the export: the inventory needs the service.
        serve_again(self._machine)
        return True

    def _leases_rest(self) -> bool:
        try:
            first = frozen_digest(self._machine.leases().records)
            self._host.clock.sleep(_MEASURE_SECONDS)
            again = self._machine.leases()
        except _ANSWERING:
            return False
        if first != frozen_digest(again.records):
            return False
        # They rest, so the inventory that follows at once need not read them a third time.
        self._rested = again
        return True

    def _next_freeze(self) -> bool:
        """Whether there is another freeze, and it holds."""
        order = self._usable_freezes()[1:]
        serve_again(self._machine)
        for freeze in order:
            self._freeze = freeze
            self._machine.note(freeze=freeze)
            if self._hold(freeze):
                return True
        return False

    def _take_inventory(self) -> None:
        try:
            found = self._machine.inventory(self._rested)
        except _ANSWERING:
            if self._freeze != "pause" or not self._next_freeze():
                raise
            found = self._machine.inventory(self._rested)
        self._inventory = found
        self._machine.warnings.extend(found.warnings)
        content = json.dumps(found.as_json(), sort_keys=True, ensure_ascii=False).encode("utf-8")
        save(self._parameters.home / INVENTORY, content)
        self._machine.note(inventory_sha256=found.sha256)

    def _back_up(self) -> None:
        path = self._parameters.backup
        self._machine.empty_folder(path)
        try:
            self._machine.backup(path)
        except _ANSWERING as error:
            raise Failure(
                "E_BACKUP",
                f"o06_backup failed: {trouble_of(error)}.",
                f"Look at the permissions of {path}: the account of the DHCP service writes there.",
            ) from error
        if sum(file.size for file in transfer.list_files(self._host, path)) == 0:
            raise Failure("E_BACKUP", "o06_backup failed: the backup is empty.", "Look at the event log of the host.")

    def _fetch_backup(self) -> None:
        self._machine.fetch(self._parameters.backup, "backup", self._parameters.home)

    def _stop(self) -> None:
        self._machine.bring(STOPPED)

    def _export(self) -> None:
        path = self._parameters.store
        name = migration.STORE_FILE if self._method == SMIG else EXPORT_FILE
        for left in self._machine.entry.get("temp_paths", ()):
            transfer.remove_tree(self._host, str(left))
        self._machine.note(temp_paths=[f"{path}\\{name}"])
        try:
            self._export_to(path)
        except Failure:
            if self._method == SMIG or self._freeze != "pause" or not self._next_freeze():
                raise
            transfer.remove_tree(self._host, f"{path}\\{EXPORT_FILE}")
            self._take_inventory()
            self._back_up()
            self._fetch_backup()
            self._export_to(path)

    def _export_to(self, path: str) -> None:
        tell = Progress(self._host, "export", self._parameters.operation_timeout)
        try:
            if self._method == DHCPSERVER:
                command = dhcp.EXPORT_DHCP_SERVER(File=f"{path}\\{EXPORT_FILE}", Leases=SWITCH)
                self._host.cmdlets.run(command, attempted="exporting the DHCP server", progress=tell)
                return
            parameters = self._parameters
            self._host.session.require_confidentiality("store_password")
            results = migration.export_settings(
                self._host,
                path,
                parameters.store_password or "",
                user=None if parameters.users == "none" else parameters.users.capitalize(),
                group=parameters.groups,
                ip_config=parameters.ip_config != "none",
                progress=tell,
            )
        except CmdletFailed as error:
            raise Failure(
                "E_EXPORT", f"o09_export failed: {trouble_of(error)}.{self._log()}", "Mend the cause, run again."
            ) from error
        problem = result_problem(results, self._machine.warnings)
        if problem:
            raise Failure("E_EXPORT", f"o09_export failed: {problem}.{self._log()}", "Mend the cause, run again.")

    def _log(self) -> str:
        return log_tail(self._machine) if self._method == SMIG else ""

    def _recheck(self) -> None:
        """Once more from the beginning where a lease changed; then it is over."""
        changed = self._changed_leases()
        if not changed:
            return
        self._machine.note(step="o04_freeze")
        transfer.remove_tree(self._host, f"{self._parameters.store}\\{EXPORT_FILE}")
        if not self._hold(self._freeze) and not self._next_freeze():
            raise self._no_freeze()
        self._take_inventory()
        self._back_up()
        self._fetch_backup()
        self._export()
        changed = self._changed_leases()
        if changed:
            raise Failure(
                "E_NOT_FROZEN",
                f"Leases changed although the server was held ({changed} records).",
                "Use method smig, or another freeze.",
            )

    def _known_inventory(self) -> Inventory:
        if self._inventory is None:
            raise TypeError("the inventory is taken before it is used")
        return self._inventory

    def _changed_leases(self) -> int:
        inventory = self._known_inventory()
        before = inventory.records["v4_leases"]
        after = self._machine.leases().records
        if frozen_digest(before) == frozen_digest(after):
            return 0
        known = {json.dumps(one, sort_keys=True) for one in before}
        return len([one for one in after if json.dumps(one, sort_keys=True) not in known]) or 1

    def _verify_store(self) -> None:
        path = self._parameters.store
        files = transfer.list_files(self._host, path)
        if self._method == SMIG:
            store = next((f for f in files if f.path.lower().endswith(f"\\{migration.STORE_FILE}")), None)
            password = self._parameters.store_password or ""
            if store is None or store.size == 0 or not migration.lists_dhcp(self._host, path, password):
                raise Failure(
                    "E_EXPORT", "o11_verify failed: the store does not list DHCP.", "Look at the logs of the tools."
                )
            return
        content = transfer.read_file(self._host, f"{path}\\{EXPORT_FILE}", self._machine.facts.build)
        inventory = self._known_inventory()
        problem, warning = export_problem(content, inventory.scopes)
        if warning:
            self._machine.warnings.append(warning)
        if problem:
            raise Failure("E_EXPORT", f"o11_verify failed: {problem}.", "Run the task again.")

    def _fetch_store(self) -> None:
        self._machine.fetch(self._parameters.store, "store", self._parameters.home)

    def _write_manifest(self) -> None:
        machine, parameters, home = self._machine, self._parameters, self._parameters.home
        inventory = self._known_inventory()
        own = f"{parameters.store}\\{NAME}"
        transfer.remove_tree(self._host, own)
        self._files = [
            *machine.fetch(parameters.store, "store", home),
            *machine.fetch(parameters.backup, "backup", home),
        ]
        before = self._old.base.manifest
        if before is not None and before.phase == ROLLED_BACK and (home / NAME).exists():
            put_aside(home)
        now = utc_text(self._host.clock.now())
        data = {
            "schema": SCHEMA,
            "migration_id": parameters.migration_id,
            "phase": EXPORTED,
            "final": not parameters.is_rehearsal,
            "method": self._method,
            "freeze": self._freeze,
            "created_utc": now,
            "old": machine.facts.as_json(),
            "auth": {"name": machine.auth_name, "ip": machine.auth_ip},
            "nics": [nic.as_json() for nic in machine.facts.nics],
            "database_path": inventory.noted.get("database_path", ""),
            "users": parameters.users,
            "groups": parameters.groups,
            "ip_config": parameters.ip_config,
            "failover": [_failover_json(one) for one in self._old.failover],
            "dns_credential_user": inventory.noted.get("dns_credential_user", ""),
            "bindings": inventory.noted.get("bindings", []),
            "inventory": inventory.as_json(),
            "files": self._files,
            "history": [{"phase": EXPORTED, "utc": now, "host": self._host.name}],
        }
        self._manifest = write(home, data)
        machine.note(manifest_sha256=self._manifest.sha256)
        if self._method == DHCPSERVER:
            # The folder of a migration store may hold nothing else.
            transfer.write_file(self._host, own, self._manifest.path.read_bytes())

    def _resume(self) -> None:
        serve_again(self._machine)
        self._machine.answered["service"] = service_of(self._machine)

    def _unauthorize(self) -> None:
        self._machine.unauthorize()

    def _disable(self) -> None:
        self._machine.set_start_mode("Disabled")

    def _confirm(self) -> None:
        machine = self._machine
        found = service_of(machine)
        machine.answered["service"] = found
        machine.answered["authorized"] = False if machine.facts.joined else None
        if found != {"state": STOPPED, "start_mode": "Disabled"} or machine.own_entries():
            raise Failure(
                "E_SERVICE_TIMEOUT",
                f"{self._host.name} is not out of service: {found['state']}, {found['start_mode']}.",
                "Look who starts or authorizes it.",
            )
        manifest = self._manifest
        if manifest is None:
            raise TypeError("the manifest is written before the server is retired")
        if manifest.phase == EXPORTED:
            self._manifest = manifest.in_phase(RETIRED, utc_text(self._host.clock.now()), self._host.name)


_TOOLS = {SMIG: "Export-SmigServerSetting", DHCPSERVER: "Export-DhcpServer"}


class Progress:
    """A line every 15 s while something long runs, and its end after ``timeout`` seconds."""

    def __init__(self, host: Host, what: str, timeout: float) -> None:
        self._host = host
        self._what = what
        self._timeout = timeout
        self._start = self._told = host.clock.monotonic()

    def __call__(self, newest: str) -> None:
        now = self._host.clock.monotonic()
        if now - self._start > self._timeout:
            raise Failure(
                f"E_{self._what.upper()}",
                f"The {self._what} has not ended after {self._timeout:.0f} s.",
                "Look at the host; a larger operation_timeout waits longer.",
            )
        if now - self._told >= _PROGRESS_SECONDS:
            self._told = now
            self._host.tell(f"{self._what}: {now - self._start:.0f} s{f', {newest}' if newest else ''}")


def service_of(machine: Machine) -> dict[str, str]:
    found = machine.service()
    return {
        "state": found.State if found is not None else ABSENT,
        "start_mode": start_mode(found.StartMode) if found is not None else "",
    }


def _failover_json(one: dhcp.Failover) -> dict[str, Any]:
    lead = one.MaxClientLeadTime
    return {
        "name": one.Name,
        "partner": one.PartnerServer,
        "mode": one.Mode,
        "mclt_seconds": int(lead.total_seconds()) if lead is not None else None,
        "percent": one.LoadBalancePercent if one.Mode == "LoadBalance" else one.ReservePercent,
        "scopes": list(one.ScopeId or ()),
    }


def result_problem(results: Iterable[migration.MigrationResult], warnings: list[str]) -> str:
    """Why results do not mean success; their warnings are added."""
    found = list(results)
    for one in found:
        warnings.extend(f"{one.id}: {title}" for title in one.warnings)
    bad = next((one for one in found if not one.success or one.errors), None)
    if bad is not None:
        return f"{bad.id}: {bad.errors[0] if bad.errors else 'no success'}"
    return "" if any(one.id == migration.DHCP for one in found) else "no result for DHCP came"


def log_tail(machine: Machine) -> str:
    """The end of the migration tools' log, for a failure."""
    lines = transfer.last_lines(machine.host, f"{machine.facts.windows_directory}\\Logs\\ServerMigration.log", 20)
    return f" Log: {' | '.join(lines)}" if lines else ""


def export_problem(content: bytes, scopes: Iterable[str]) -> tuple[str, str]:
    """Why an export file cannot be used, and a warning where its layout is not the expected one.

    UNCONFIRMED element names: another layout only brings a warning.
    """
    if re.search(rb"<!DOCTYPE|<!ENTITY", content):
        return "the export file has a DTD", ""
    try:
        root = ET.fromstring(content)
    except ET.ParseError as error:
        return f"the export file is not well formed ({error})", ""
    if local_name(root) != "DHCPServer":
        return "", f"the export file begins with {local_name(root)}: its scopes were not compared"
    found = {
        (child.text or "").strip()
        for v4 in root
        if local_name(v4) == "IPv4"
        for holder in v4
        if local_name(holder) == "Scopes"
        for scope in holder
        for child in scope
        if local_name(child) == "ScopeId"
    }
    if found != set(scopes):
        return "the export file does not have the scopes of the server", ""
    return "", ""
