# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The new server: everything imported, verified, and then authorized. For this collection only."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...errors import (
    CmdletFailed,
    ConnectionTrouble,
    Failure,
    FieldnotesError,
    Halt,
    MethodFailed,
    Refusal,
    StepTimeout,
    WsmanFault,
)
from ...journal import Entry, Superseded, utc_text
from ...windows import dhcp, migration, transfer
from ...windows.server import ServerSystem, answers_ping, fixed_disks, read_server, restart_is_pending
from ...windows.services import find_service
from ...wsman.cmdlets import SWITCH
from ...wsman.types import decode_moment
from ..base import Findings, Host, JournalPlan, Plan, Step
from . import roles
from .addresses import take_over
from .compare import Comparison, Terms, compare
from .exported import EXPORT_FILE, Progress, log_tail, result_problem, service_of
from .inventory import Inventory, Record
from .machine import ABSENT, PAUSED, RUNNING, STOPPED, Machine
from .manifest import AUTHORIZING, COMPLETED, RETIRED, Manifest
from .observed import State, refuse_general, trouble_of
from .parameters import DHCPSERVER, MODULE, SMIG, Parameters, bad_mac
from .way_back import new_steps

_PREFLIGHT = "n01_preflight"
_ANSWERING = (WsmanFault, MethodFailed, CmdletFailed)
_LATE = (AUTHORIZING, COMPLETED)
# Parts of the addresses that belong to an adapter; the rest is the host's.
_BY_ADAPTER = ("nic", "all")

# What the journal calls the state that a step leads to.
STATES = {
    "n03_role": "role_ready",
    "n05_put": "store_here",
    "n06_ip": "ip_done",
    "n09_import": "imported",
    "n11_verify": "verified",
    "n12_automatic": "ready",
    "n13_ponr": "ponr",
    "n15_live": "live",
    "n14h_hold": "held",
    "n17_tidy": "done",
}
# Done once, they need not be done again by a run that goes on; all others look before they act.
_KEPT = ("n03_role", "n04_hold", "n05_put", "n06_ip", "n08_prebackup", "n09_import")


@dataclass(frozen=True)
class NewState:
    """The new server.

    marker: what History says; old_service: of peer_host, None where nobody asked; present: what the server had before;
    drives: fixed disks; pinging: the first address of the manifest that answers and is not this host's own;
    missing_features: what is to be installed; has_tools: whether the migration tools are there or among them.
    """

    base: State
    marker: Entry | None = None
    old_service: str | None = None
    present: Inventory | None = None
    drives: tuple[str, ...] = ()
    pinging: str | None = None
    missing_features: tuple[str, ...] = ()
    has_tools: bool = True

    @property
    def manifest(self) -> Manifest:
        """The manifest. Errors: Refusal E_NO_MANIFEST."""
        manifest = self.base.manifest
        parameters = self.base.machine.parameters
        if manifest is None:
            raise _no("E_NO_MANIFEST", f"No usable manifest for {parameters.migration_id} in {parameters.home}.", "Run "
                      "exported first.")  # fmt: skip
        return manifest

    @property
    def is_marked(self) -> bool:
        """Whether this very export was imported here before."""
        manifest = self.base.manifest
        return self.marker is not None and manifest is not None and self.marker["manifest_sha256"] == manifest.sha256


def _no(code: str, message: str, remedy: str) -> Refusal:
    return Refusal(code, message, remedy, _PREFLIGHT)


def wants_authorization(parameters: Parameters) -> bool:
    """Whether the new server is to serve at the end."""
    return parameters.authorized is not False


def observe(host: Host, parameters: Parameters, state: State) -> NewState:
    """Reads what the refusals and the plan need."""
    new = NewState(state, marker=host.history(MODULE, parameters.migration_id).find())
    manifest = state.manifest
    if manifest is None:
        return new
    machine = state.machine
    if parameters.peer_host is not None:
        service = find_service(machine.peer(parameters.peer_host), dhcp.SERVICE)
        new = replace(new, old_service=service.State if service is not None else ABSENT)
    if new.is_marked:
        return new
    missing = [roles.DHCP] if state.service == ABSENT else []
    if manifest.data["method"] == SMIG:
        new = replace(new, drives=tuple(fixed_disks(host)), pinging=_pinging(parameters, state, manifest))
        if not migration.is_registered(host):
            missing.append(roles.MIGRATION)
            new = replace(new, has_tools=roles.knows(machine, roles.MIGRATION))
    present = None
    if state.service in (RUNNING, PAUSED):
        with contextlib.suppress(*_ANSWERING):
            present = machine.inventory()
    return replace(new, missing_features=tuple(missing), present=present)


def _pinging(parameters: Parameters, state: State, manifest: Manifest) -> str | None:
    if parameters.ip_config not in _BY_ADAPTER:
        return None
    own = state.machine.facts.addresses
    wanted = [str(one["ip"]) for nic in manifest.data["nics"] for one in nic["addresses"] if ":" not in str(one["ip"])]
    return next((ip for ip in wanted if ip not in own and answers_ping(state.machine.host, ip)), None)


# Refusals


def refuse(parameters: Parameters, new: NewState) -> None:
    """The refusals of the import, in the order of the page. Errors: Refusal."""
    state, machine = new.base, new.base.machine
    host, facts = machine.host, machine.facts
    refuse_general(parameters, state)
    manifest = new.manifest
    damaged = manifest.damaged()
    if damaged is not None:
        raise _no(
            "E_NO_MANIFEST",
            f"No usable manifest for {parameters.migration_id} in {parameters.home}.",
            f"{damaged} is missing there or is not what the manifest says: run exported again.",
        )
    authorized = wants_authorization(parameters)
    resumed = state.journal is not None and state.journal.get("state") != "rolled_back"
    if not manifest.is_final and authorized:
        raise _no(
            "E_NOT_FINAL",
            "This export was a rehearsal; the old server may have changed since.",
            "Run a real export under a new id.",
        )
    if authorized and manifest.phase != RETIRED and not resumed and not new.is_marked:
        raise _no("E_STALE", "The old server was not confirmed to be out of service.", "Finish exported.")
    if manifest.is_final:
        _refuse_old(parameters, new)
    if new.marker is not None and not new.is_marked:
        raise _reused(parameters)
    if new.is_marked:
        return
    method = str(manifest.data["method"])
    if method == SMIG and facts.language != manifest.data["old"]["os_language"]:
        raise _no(
            "E_LANGUAGE",
            f"Source and destination have different display languages ({manifest.data['old']['os_language']}, "
            f"{facts.language}); the migration tools do not support that.",
            "Use method dhcpserver.",
        )
    if facts.build < int(manifest.data["old"]["os_build"]):
        raise _no(
            "E_OS_OLDER", "The new server runs an older Windows than the old one.", "Use a new server of that version."
        )
    path = str(manifest.data["database_path"] or "")
    if method == SMIG and path and path[:2].upper() not in new.drives:
        raise _no(
            "E_DB_DRIVE",
            f"The database path {path} needs drive {path[:2]} on {host.name}.",
            "Add a disk with that letter.",
        )
    if not resumed:
        _refuse_data(parameters, new)
    if method == SMIG and parameters.ip_config != "none":
        _refuse_addresses(parameters, new)
    if parameters.method not in ("auto", method):
        raise _no("E_METHOD", f"The store was made with {method}.", "Use that method, or auto.")
    if method == SMIG:
        if not parameters.store_password:
            raise _no("E_PARAM", "store_password: is required for the method smig.", "Give the password of the export.")
        host.session.require_confidentiality("store_password")
    if not new.has_tools:
        raise _no(
            "E_SMIG_MISSING",
            f"The migration tools are not available on {host.name}.",
            "Install the feature Migration by hand.",
        )


def _reused(parameters: Parameters) -> Refusal:
    return _no(
        "E_ID_REUSED", f"Migration id {parameters.migration_id} was used for another export.", "Use a new migration_id."
    )


def _refuse_old(parameters: Parameters, new: NewState) -> None:
    """E_OLD_ALIVE, E_PEER_UNKNOWN."""
    state, manifest = new.base, new.manifest
    old = str(manifest.data["old"]["fqdn"])
    # In a replacement under the same name the entry may be this host's own, added by this migration.
    own = new.is_marked or bool(state.journal and state.journal.get("authorized_here"))
    listed = any(
        entry.name.lower() == manifest.auth_name.lower() and entry.ip == manifest.auth_ip for entry in state.everyone
    )
    same = state.machine.auth_name.lower() == manifest.auth_name.lower() and state.machine.auth_ip == manifest.auth_ip
    if new.old_service in (RUNNING, PAUSED) or (listed and not (own and same)):
        raise _no("E_OLD_ALIVE", f"{old} can still lease addresses.", "Run exported on the old server.")
    if new.old_service is None and not parameters.peer_asserted_offline:
        raise _no(
            "E_PEER_UNKNOWN",
            "It cannot be checked that the old server is out of service.",
            "Give peer_host, or assert it with peer_asserted_offline.",
        )


def _refuse_data(parameters: Parameters, new: NewState) -> None:
    state, host = new.base, new.base.machine.host
    scopes = new.present.scopes if new.present is not None else frozenset()
    if scopes and not adopted(parameters, new) and not parameters.overwrite_target:
        raise _no(
            "E_TARGET_HAS_DATA",
            f"{host.name} already has {len(scopes)} scopes that are not from this migration.",
            "Set overwrite_target, or clear it.",
        )
    if state.listed or (state.machine.facts.joined and state.authorized):
        raise _no(
            "E_TARGET_AUTHORIZED",
            f"{host.name} is already authorized and would lease while data is imported.",
            "Unauthorize it first; after a change of the list, wait for replication or force it.",
        )


def _refuse_addresses(parameters: Parameters, new: NewState) -> None:
    state, manifest = new.base, new.manifest
    by_adapter = parameters.ip_config in _BY_ADAPTER
    if by_adapter:
        _refuse_map(parameters, state, manifest)
    static = [nic for nic in manifest.data["nics"] if not nic["dhcp_enabled"] and nic["addresses"]]
    connected = [nic for nic in state.machine.facts.nics if nic.is_static]
    if len(static) != len(connected):
        raise _no(
            "E_NIC_COUNT",
            f"Old had {len(static)} connected adapters, new has {len(connected)}.",
            "Set ip_config to none and the addresses yourself.",
        )
    if new.pinging is not None:
        raise _no(
            "E_IP_IN_USE",
            f"{new.pinging} is still in use; importing it would create an address conflict.",
            "Change the address of the old server first.",
        )
    if by_adapter and not parameters.reconnect_host:
        raise _no(
            "E_RECONNECT_UNSET",
            "The import changes the address of this connection; say where to reconnect.",
            "Set reconnect_host.",
        )


def _refuse_map(parameters: Parameters, state: State, manifest: Manifest) -> None:
    """E_MAC."""
    nics = {nic.mac: nic for nic in state.machine.facts.nics}
    old = {str(nic["mac"]) for nic in manifest.data["nics"]}
    if not parameters.mac_map:
        raise bad_mac("is empty", "no pair")
    for pair in parameters.mac_map:
        if pair.source not in old:
            raise bad_mac("the old server has no such adapter", pair.source)
        if pair.target not in nics or not nics[pair.target].connected:
            raise bad_mac("the new server has no such connected adapter", pair.target)


def adopted(parameters: Parameters, new: NewState) -> bool:
    """3.5.4: somebody has imported it already."""
    if new.present is None or not new.present.scopes:
        return False
    found = compare(new.manifest.inventory, new.present, terms(parameters, new, extra=True))
    return found.is_equal


def terms(parameters: Parameters, new: NewState, *, extra: bool = False, now: Any = None) -> Terms:
    """How the new server is compared with the manifest."""
    manifest = new.manifest
    kept: Mapping[str, Sequence[Record]] = new.present.records if new.present and parameters.overwrite_target else {}
    return Terms(
        now=now if now is not None else new.base.machine.host.clock.now(),
        method=str(manifest.data["method"]),
        nap=new.base.machine.facts.has_nap,
        allowed=parameters.allow_differences,
        extra_leases=extra or manifest.data["freeze"] == "stop",
        kept=kept,
    )


# The plan


def plan(parameters: Parameters, new: NewState) -> Plan:
    """The way to the import. Errors: Refusal."""
    refuse(parameters, new)
    work = Import(parameters, new)
    steps = work.converging() if new.is_marked else work.steps()
    skipped = work.done_already() if not new.is_marked else work.converged()
    marked = tuple(replace(step, skip=step.code in skipped) for step in steps)
    idle = all(step.skip for step in marked)
    return Plan(
        marked,
        work.goal(),
        warnings=tuple(work.warnings()),
        journal=JournalPlan(
            None if new.is_marked or idle or work.goes_on else work.journal_content(),
            stale=new.base.journal is not None and not new.is_marked and not work.goes_on,
            ended_by_steps=True,
        ),
        answer=work.answer,
        findings=Findings(warnings=new.base.machine.warnings),
        proved=True,
        way_back=work.way_back,
    )


class Import:
    """The steps on the new server, and what they learn on the way."""

    def __init__(self, parameters: Parameters, new: NewState) -> None:
        self._parameters = parameters
        self._new = new
        self._machine: Machine = new.base.machine
        self._host = self._machine.host
        self._manifest = new.manifest
        self._method = str(self._manifest.data["method"])
        self._joined = self._machine.facts.joined
        self._authorized = wants_authorization(parameters)
        self._comparison: Comparison | None = None
        self._inventory: Inventory | None = None
        self._seen_authorized = False

    @property
    def _journal(self) -> Entry:
        return self._new.base.journal or {}

    # What the runner asks for

    def steps(self) -> list[Step]:
        """In the order of the page. A workgroup knows no authorization: its point of no return is its first start."""
        smig = self._method == SMIG
        early_ponr = smig and not self._joined and self._authorized
        ponr = self._step("n13_ponr", "from here on there is no way back", self._pass_ponr, final=True)
        steps = [
            self._step("n03_role", "install the DHCP Server role", self._install),
            self._step("n04_hold", "stop DHCP Server", self._hold),
            self._step("n05_put", "copy the store to the new server", self._put),
        ]
        if smig and self._parameters.ip_config != "none":
            steps.append(self._step("n06_ip", "take over the addresses", self._take_addresses))
        if not smig:
            steps.append(self._step("n07_start_held", "start DHCP Server without clients", self._start_held))
        if self._has_foreign_data():
            steps.append(self._step("n08_prebackup", "back up what the new server has", self._back_up))
        steps.append(self._step("n09_import", f"import with {_TOOLS[self._method]}", self._import))
        if early_ponr:
            steps.append(ponr)
        if smig:
            steps.append(self._step("n10_start", "start DHCP Server without clients", self._start_held))
        steps.append(self._step("n11_verify", "compare with the manifest", self._verify, changes=False))
        if not self._authorized:
            return [*steps, self._step("n14h_hold", "stop and disable DHCP Server", self._hold_disabled)]
        steps.append(self._step("n12_automatic", "start DHCP Server with Windows", self._automatic))
        if not early_ponr:
            steps.append(ponr)
        return [*steps, *self._last()]

    def _has_foreign_data(self) -> bool:
        """Whether the server had scopes before this migration; a run that goes on asks its journal."""
        if self.goes_on:
            return "n08_prebackup" in self._journal.get("plan", ())
        present = self._new.present
        return self._parameters.overwrite_target and present is not None and bool(present.scopes)

    @property
    def goes_on(self) -> bool:
        """Whether an interrupted run is finished; one that was rolled back begins anew."""
        return bool(self._journal) and self._journal.get("state") != "rolled_back"

    def _last(self) -> list[Step]:
        word = "authorize the new server" if self._joined else "let the new server serve"
        return [
            self._step("n14_authorize", word, self._authorize),
            self._step("n15_live", "wait until the new server serves", self._live, changes=False),
            self._step("n16_record", "record the completed migration", self._record),
            self._step("n17_tidy", "delete the store on the new server", self._tidy),
        ]

    def converging(self) -> list[Step]:
        """3.5.2: nothing is imported again; service, start mode and authorization are as wanted."""
        acts: list[tuple[str, str, Callable[[], None]]] = [
            ("n12_automatic", "start DHCP Server with Windows", self._automatic),
            ("n14_authorize", "authorize the new server", self._authorize),
            ("n15_live", "start DHCP Server", self._start),
            ("n17_tidy", "delete the store on the new server", self._finish),
        ]
        return [Step(f"{code}: {text}", act, code=code) for code, text, act in acts]

    def converged(self) -> frozenset[str]:
        """What of ``converging`` is as wanted already."""
        state = self._new.base
        as_wanted = {
            "n12_automatic": state.mode == "Automatic",
            "n14_authorize": not self._joined or not self._authorized or bool(state.listed),
            "n15_live": state.service == RUNNING,
            "n17_tidy": state.journal is None or state.journal.get("state") == "done",
        }
        return frozenset(code for code, there in as_wanted.items() if there)

    def _step(
        self, code: str, text: str, act: Callable[[], None], *, changes: bool = True, final: bool = False
    ) -> Step:
        def do() -> None:
            act()
            if code in STATES:
                self._machine.note(state=STATES[code])

        return Step(f"{code}: {text}", do, changes=changes, code=code, final=final)

    def done_already(self) -> frozenset[str]:
        """The steps of an interrupted run that still count."""
        journal = self._journal
        codes = [step.code for step in self.steps()]
        if journal.get("state") == "held" and not self._authorized:
            return frozenset(codes)
        if journal.get("state") == "rolled_back":
            return frozenset()
        if journal.get("ponr"):
            # Nothing is imported or compared again over what may be live data.
            return frozenset(
                code for code in codes if code not in ("n14_authorize", "n15_live", "n16_record", "n17_tidy")
            )
        done = set(journal.get("done", ()))
        if journal.get("state") == "held":
            done |= {"n09_import"}
        kept = {code for code in _KEPT if code in done}
        if "n09_import" not in kept and adopted(self._parameters, self._new) and not journal.get("importing"):
            kept.add("n09_import")
        return frozenset(kept)

    def journal_content(self) -> Entry:
        """n02."""
        state, machine = self._new.base, self._machine
        return {
            "role": "new",
            "state": "prepared",
            "method": self._method,
            "prev_service_state": state.service,
            "prev_start_mode": state.mode,
            "prev_authorized": bool(state.listed),
            "prev_features": list(self._new.missing_features),
            "prev_ip": [nic.as_json() for nic in machine.facts.nics],
            "auth_name": machine.auth_name,
            "auth_ip": machine.auth_ip,
            "base_path": self._parameters.base_path,
            "manifest_sha256": self._manifest.sha256,
            "temp_paths": [],
            "ponr": False,
        }

    def goal(self) -> Mapping[str, Any]:
        """After the run."""
        live = self._authorized
        counts = self._manifest.inventory.counts
        if self._new.is_marked and self._new.base.inventory is not None:
            counts = self._new.base.inventory.counts
        return {
            "service": RUNNING if live else STOPPED,
            "start_mode": "Automatic" if live else "Disabled",
            "authorized": live if self._joined else None,
            "counts": counts,
            "files": len(self._manifest.data["files"]),
        }

    def warnings(self) -> list[str]:
        """What an operator has to do by hand."""
        if self._new.is_marked:
            return []
        found = [
            f"failover relationship {one['name']} with {one['partner']} does not migrate: make it again with "
            "Add-DhcpServerv4Failover"
            for one in self._manifest.data["failover"]
        ]
        account = self._manifest.data["dns_credential_user"]
        if account:
            found.append(f"DNS dynamic update credential {account} must be set again")
        if self._machine.auth_ip != self._manifest.auth_ip and self._parameters.ip_config == "none":
            found.append(
                f"the address changes from {self._manifest.auth_ip} to {self._machine.auth_ip}: change the relays "
                "(IP helper) that name the old one"
            )
        return found

    def answer(self) -> Mapping[str, Any]:
        """Result keys."""
        machine = self._machine
        found: dict[str, Any] = {
            "ponr": bool(machine.entry.get("ponr")) or self._new.is_marked,
            "phase": self._manifest.phase,
            "manifest_sha256": self._manifest.sha256,
        }
        if self._comparison is not None:
            found["differences"] = self._comparison.differences()
            found["lost_leases"] = [_lost(lease) for lease in self._comparison.lost]
            found["expired_meanwhile"] = self._comparison.expired_meanwhile
            found["comparison"] = self._comparison.level
        if self._inventory is not None:
            found["inventory"] = self._inventory.summary()
        after = machine.answered.get("authorized")
        if after is not None:
            found["authorization"] = machine.authorization(bool(self._new.base.listed), after)
        service = machine.answered.get("service")
        return {**found, **({"service": service} if service else {})}

    def way_back(self, _error: FieldnotesError) -> Sequence[Step]:
        """The way back on the new server, before the point of no return; after it the new server is left as it is."""
        entry = self._machine.journal.entry
        if entry is None or entry.get("ponr") or self._new.is_marked or not self._parameters.rollback_on_failure:
            return ()
        return new_steps(self._machine)

    # The steps

    def _install(self) -> None:
        machine = self._machine
        if self._host.history(MODULE, self._parameters.migration_id).find() is not None:
            # Looked at again now that the journal keeps others out: one of them came to its end since the first look.
            machine.journal.remove()
            raise Superseded(f"{self._host.name} has just become the new server of {self._parameters.migration_id}")
        if self._new.missing_features:
            try:
                change = roles.install(machine, self._new.missing_features)
            except ConnectionTrouble:
                raise
            except FieldnotesError as error:
                raise _not_installed(trouble_of(error)) from error
            if not change.success:
                raise _not_installed(change.exit_code)
            if change.restart_needed:
                self._restart()
        if machine.state() == ABSENT:
            raise Failure(
                "E_IMPORT",
                f"n03_role failed: {self._host.name} has no DHCP Server service.",
                "Install the role by hand.",
            )

    def _restart(self) -> None:
        if not self._parameters.allow_reboot:
            raise Halt("E_REBOOT_NEEDED", f"{self._host.name} must restart to go on.", "Restart it, run again.")
        restart(self._host, self._parameters.service_timeout)

    def _hold(self) -> None:
        self._machine.bring(STOPPED)
        self._machine.set_start_mode("Manual")

    def _put(self) -> None:
        transfer.make_folder(self._host, self._parameters.store)
        for entry in self._manifest.store_files:
            path = f"{self._parameters.store}\\{entry['name']}"
            transfer.make_folder(self._host, path.rpartition("\\")[0])
            self._machine.note(temp_paths=[*self._machine.entry.get("temp_paths", ()), path])
            self._machine.put(self._manifest.copy_of(entry), path, str(entry["sha256"]))

    def _take_addresses(self) -> None:
        self._host.session.require_confidentiality("store_password")
        take_over(self._machine, self._manifest)

    def _start_held(self) -> None:
        """n07, n10: runs, and no client is served. An entry that old left behind would authorize this host at once."""
        machine = self._machine
        if machine.entry.get("ponr") is False and machine.service() is not None:
            machine.set_start_mode("Manual")
        if self._method == DHCPSERVER and self._manifest.data["groups"]:
            machine.server.add_security_groups()
        if not self._joined:
            machine.bring(PAUSED)
            return
        machine.bring(RUNNING)
        self._stay_held()

    def _stay_held(self) -> None:
        if self._machine.stays_unauthorized():
            return
        self._machine.bring(STOPPED)
        raise Failure(
            "E_TARGET_AUTHORIZED",
            f"{self._host.name} is already authorized and would lease while data is imported.",
            "Wait for replication between the domain controllers, or force it.",
        )

    def _back_up(self) -> None:
        path = self._parameters.prebackup
        self._machine.empty_folder(path)
        try:
            self._machine.backup(path)
        except _ANSWERING as error:
            raise Failure(
                "E_BACKUP", f"n08_prebackup failed: {trouble_of(error)}.", f"Look at the permissions of {path}."
            ) from error
        if not self._machine.fetch(path, "prebackup", self._parameters.home):
            raise Failure(
                "E_BACKUP", "n08_prebackup failed: the backup is empty.", "Look at the event log of the host."
            )

    def _import(self) -> None:
        """Before a repeated import the server must still be unauthorized: it would be an import over live data."""
        again = bool(self._machine.entry.get("importing"))
        if self._joined and self._machine.own_entries():
            raise Failure(
                "E_TARGET_AUTHORIZED",
                f"{self._host.name} is already authorized and would lease while data is imported.",
                "Unauthorize it first.",
            )
        self._machine.note(importing=True)
        tell = Progress(self._host, "import", self._parameters.operation_timeout)
        try:
            if self._method == DHCPSERVER:
                self._import_file(again, tell)
            else:
                self._import_store(tell)
        except CmdletFailed as error:
            log = log_tail(self._machine) if self._method == SMIG else ""
            raise Failure(
                "E_IMPORT", f"n09_import failed: {trouble_of(error)}.{log}", "Mend the cause, run again."
            ) from error

    def _import_file(self, again: bool, tell: Progress) -> None:
        before = f"{self._parameters.folder}\\import"
        transfer.make_folder(self._host, before)
        overwrite = again or self._parameters.overwrite_target
        command = dhcp.IMPORT_DHCP_SERVER(
            File=f"{self._parameters.store}\\{EXPORT_FILE}",
            BackupPath=before,
            Leases=SWITCH,
            Force=SWITCH,
            ScopeOverwrite=SWITCH if overwrite else None,
            Confirm=False,
        )
        self._host.cmdlets.run(command, attempted="importing the DHCP server", progress=tell)
        # An import may restart the service: in a workgroup it must not serve yet.
        if not self._joined:
            self._machine.bring(PAUSED)
        elif self._machine.state() != RUNNING:
            self._machine.bring(RUNNING)

    def _import_store(self, tell: Progress) -> None:
        self._host.session.require_confidentiality("store_password")
        self._machine.bring(STOPPED)
        users = str(self._manifest.data["users"])
        results = migration.import_settings(
            self._host,
            self._parameters.store,
            self._parameters.store_password or "",
            user=None if users == "none" else users.capitalize(),
            group=bool(self._manifest.data["groups"]),
            progress=tell,
        )
        problem = result_problem(results, self._machine.warnings)
        if problem:
            log = log_tail(self._machine)
            raise Failure("E_IMPORT", f"n09_import failed: {problem}.{log}", "Mend the cause, run again.")
        if restart_is_pending(self._host) and not self._new.base.restart_pending:
            # The import has installed something: after the restart it runs once more.
            self._restart()
            self._import_store(tell)
        self._machine.bring(STOPPED)

    def _verify(self) -> None:
        if self._joined:
            if self._machine.state() != RUNNING:
                self._start_held()
        elif self._machine.state() != PAUSED:
            self._machine.bring(PAUSED)
        self._inventory = self._machine.inventory()
        now = read_server(self._host).LocalDateTime
        found = compare(self._manifest.inventory, self._inventory, terms(self._parameters, self._new, now=now))
        self._comparison = found
        self._machine.warnings.extend([*self._inventory.warnings, *found.warnings()])
        if not found.is_equal:
            raise Failure(
                "E_VERIFY",
                f"The import is not equal to the export: {found.counts()}.",
                "Look at differences and lost_leases; allow_differences accepts categories.",
            )

    def _automatic(self) -> None:
        self._machine.set_start_mode("Automatic")

    def _pass_ponr(self) -> None:
        """Both written before the first client can be served here."""
        self._machine.note(ponr=True)
        if self._manifest.phase not in _LATE:
            self._manifest = self._manifest.in_phase(AUTHORIZING, self._now(), self._host.name)

    def _now(self) -> str:
        return utc_text(self._host.clock.now())

    def _authorize(self) -> None:
        machine = self._machine
        if self._method == SMIG and not self._joined and machine.state() == STOPPED:
            machine.bring(RUNNING)
        if not self._joined:
            machine.bring(RUNNING)
            return
        machine.note(authorized_here=True)
        machine.authorize()

    def _live(self) -> None:
        """Serves, with every lease of the old server that has not ended."""
        machine = self._machine
        machine.bring(RUNNING)
        try:
            machine.wait_authorized(True)
        except Failure as failure:
            raise self._not_live(failure) from failure
        active = [
            lease
            for lease in self._manifest.inventory.records.get("v4_leases", ())
            if lease.get("AddressState", "") in ("Active", "ActiveReservation")
        ]
        try:
            self._host.wait(
                "leases of the old server in use on the new one",
                lambda: not self._fewer(active),
                timeout=machine.parameters.authorization_timeout,
            )
        except StepTimeout as error:
            raise Failure(
                "E_VERIFY",
                f"Scopes {', '.join(self._fewer(active))} have fewer addresses in use than on the old server.",
                "Look at the leases of the new server; it serves.",
            ) from error
        machine.answered["service"] = service_of(machine)
        machine.answered["authorized"] = True if self._joined else None

    def _fewer(self, active: Sequence[Record]) -> list[str]:
        """Scopes in which the server counts fewer addresses than the old leases that still run."""
        if not self._machine.facts.has_provider:
            return []
        now = read_server(self._host).LocalDateTime
        counted = {one.ScopeId: one.AddressesInUse or 0 for one in self._machine.server.read(dhcp.SCOPE_STATISTICS)}
        wanted: dict[str, int] = {}
        for lease in active:
            expiry = lease.get("LeaseExpiryTime")
            if lease["AddressState"] == "Active" and (expiry is None or decode_moment(expiry) > now):
                wanted[str(lease["ScopeId"])] = wanted.get(str(lease["ScopeId"]), 0) + 1
        return [scope for scope, count in wanted.items() if counted.get(scope, 0) < count]

    def _not_live(self, failure: Failure) -> Failure:
        machine = self._machine
        found = machine.statistics()
        acks = found.Acks if found is not None else None
        machine.note(last_error=failure.code)
        remedy = failure.remedy
        if acks == 0:
            remedy = (
                "Wait for replication and run imported again; or, because no client was served yet, go back without "
                "loss: rolled_back on the new server, then rolled_back on the old one."
            )
        return Failure(failure.code, str(failure).removesuffix(failure.remedy).rstrip(), remedy)

    def _record(self) -> None:
        marker = {"manifest_sha256": self._manifest.sha256, "completed_utc": self._now()}
        history = self._host.history(MODULE, self._parameters.migration_id)
        if history.find() is None:
            history.create(marker)
        if self._manifest.phase != COMPLETED:
            self._manifest = self._manifest.in_phase(COMPLETED, self._now(), self._host.name)

    def _tidy(self) -> None:
        parameters = self._parameters
        if parameters.store_on_target != "keep":
            transfer.remove_tree(self._host, parameters.store)
        transfer.remove_tree(self._host, parameters.prebackup)
        transfer.remove_tree(self._host, f"{parameters.folder}\\import")
        self._machine.answered.setdefault("service", service_of(self._machine))

    def _finish(self) -> None:
        self._tidy()
        self._machine.note(state="done")

    def _start(self) -> None:
        if self._authorized:
            self._machine.bring(RUNNING)
        self._machine.answered["service"] = service_of(self._machine)

    def _hold_disabled(self) -> None:
        self._machine.bring(STOPPED)
        self._machine.set_start_mode("Disabled")
        self._machine.answered["service"] = service_of(self._machine)


_TOOLS = {SMIG: "Import-SmigServerSetting", DHCPSERVER: "Import-DhcpServer"}


def _not_installed(why: str) -> Failure:
    return Failure("E_IMPORT", f"n03_role failed: {why}.", "Look at the log of the installation.")


def restart(host: Host, timeout: float) -> None:
    """Restarts the host and waits for it. Errors: Halt E_REBOOT_NEEDED where it does not come back in time."""
    before = read_server(host)
    with contextlib.suppress(ConnectionTrouble):
        host.cim.invoke(ServerSystem.Reboot, before)

    def is_back() -> bool:
        try:
            return read_server(host).LastBootUpTime > before.LastBootUpTime
        except (ConnectionTrouble, WsmanFault):
            host.session.reconnect()
            return False

    try:
        host.wait(f"{host.name} to restart", is_back, timeout=timeout, interval=5)
    except StepTimeout as error:
        raise Halt(
            "E_REBOOT_NEEDED", f"{host.name} must restart to go on.", "Look at its console, run again."
        ) from error


def _lost(lease: Record) -> dict[str, Any]:
    return {
        "ip_address": lease["IPAddress"],
        "client_id": lease.get("ClientId"),
        "scope_id": lease.get("ScopeId"),
        "state": lease.get("AddressState"),
        "expires_utc": lease.get("LeaseExpiryTime"),
    }
