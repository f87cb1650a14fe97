# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A DHCP server with its leases, moved to another machine. For this collection only.

On old ``exported``: freeze the leases, take the inventory, back up, export, copy everything to the controller, and only
then stop, unauthorize and disable it, in this order: a server that restarts in between does not lease.
On new ``imported``: hold the service, import, compare everything with the manifest, and only then authorize it. From
there on there is no way back, because clients may have got leases there.
``rolled_back`` brings either of them back before that point; ``cleaned`` deletes what is left; ``inventoried`` reads.

Each state has a room of its own beside this file, in ``dhcp/``; docs/procedures/dhcp_migrate.md shows how they fit.
https://learn.microsoft.com/en-us/windows-server/networking/technologies/dhcp/migrate-dhcp-server
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import Refusal
from ..journal import Entry, Journal, NoStore
from ..windows import transfer
from .base import Host, Plan
from .dhcp import cleaned, exported, imported, rolled_back
from .dhcp.manifest import COMPLETED
from .dhcp.observed import State, look_around, observe, report, try_inventory
from .dhcp.parameters import (
    CLEANED,
    EXPORTED,
    IMPORTED,
    INVENTORIED,
    MODULE,
    ROLLED_BACK,
    Parameters,
    parse,
)


@dataclass(frozen=True)
class Migration:
    """A server, and what its side of the migration has to know beyond that."""

    server: State
    old: exported.OldState | None = None
    new: imported.NewState | None = None
    phase: str = ""
    has_folder: bool = False


class DhcpMigrate:
    """Module ``dhcp_migrate``."""

    module = MODULE

    def parameters(self, arguments: Mapping[str, Any]) -> Parameters:
        """Errors: Refusal E_PARAM."""
        return parse(arguments)

    def journal(self, host: Host, parameters: Parameters) -> Journal:
        """One per migration; reading alone needs none."""
        if parameters.state == INVENTORIED:
            return Journal(NoStore(), host.clock.now, host.controller)
        return host.journal(self.module, parameters.migration_id, exclusive=True)

    def observe(self, host: Host, parameters: Parameters, journal: Entry | None) -> Migration:
        """A run with nothing to do reads only what tells that. Errors: Refusal."""
        server = observe(host, parameters, journal)
        if parameters.state == INVENTORIED:
            return Migration(_read_whole(server))
        if parameters.state == EXPORTED:
            if exported.is_retired(server) or (server.manifest is not None and server.manifest.phase == COMPLETED):
                return Migration(server, old=exported.OldState(server))
            server = try_inventory(look_around(server))
            return Migration(server, old=exported.observe(host, parameters, server))
        server = look_around(server)
        if parameters.state == IMPORTED:
            new = imported.observe(host, parameters, server)
            return Migration(server.with_inventory(new.present), new=new)
        if parameters.state == CLEANED:
            phase = cleaned.phase_of(host, parameters, server)
            return Migration(server, phase=phase, has_folder=transfer.exists(host, parameters.folder))
        return Migration(server)

    def plan(self, host: Host, parameters: Parameters, state: Migration) -> Plan:
        """Errors: Refusal."""
        if state.old is not None:
            return exported.plan(parameters, state.old)
        if state.new is not None:
            return imported.plan(parameters, state.new)
        if parameters.state == ROLLED_BACK:
            return rolled_back.plan(parameters, state.server)
        if parameters.state == CLEANED:
            return cleaned.plan(parameters, state.server, state.phase, has_folder=state.has_folder)
        return Plan((), report(state.server))

    def report(self, parameters: Parameters, state: Migration) -> Mapping[str, Any]:
        """Service, start mode, authorization, counts."""
        return report(state.server)

    def result(self, parameters: Parameters, state: Migration) -> Mapping[str, Any]:
        """What the page lists; the steps know better and overwrite."""
        server, machine = state.server, state.server.machine
        manifest, inventory = server.manifest, server.inventory
        journal = server.journal or {}
        listed = bool(server.listed) if machine.facts.joined else None
        return {
            "migration_id": parameters.migration_id,
            "method": journal.get("method") or (manifest.data["method"] if manifest is not None else parameters.method),
            "freeze_used": journal.get("freeze"),
            "phase": manifest.phase if manifest is not None else journal.get("state", "idle"),
            "inventory": {**inventory.summary(), "frozen": False} if inventory is not None else {},
            "manifest_path": str(manifest.path) if manifest is not None else None,
            "manifest_sha256": manifest.sha256 if manifest is not None else None,
            "files": [],
            "differences": {},
            "lost_leases": [],
            "authorization": machine.authorization(listed, listed),
            "service": {"state": server.service, "start_mode": server.mode},
            "ponr": bool(journal.get("ponr")),
            "rolled_back": False,
        }

    def shown(self, parameters: Parameters, report: Mapping[str, Any]) -> Mapping[str, Any]:
        """Everything of the report: it holds no lease."""
        return report

    def verify(self, parameters: Parameters, before: Migration, after: Migration) -> Iterable[str]:
        """The steps have proved it all: see their checks."""
        return ()


def _read_whole(server: State) -> State:
    """With the inventory. Errors: Refusal where there is no service that answers."""
    if server.service not in ("Running", "Paused"):
        raise Refusal(
            "E_NOT_SERVER",
            f"There is no DHCP Server service on {server.machine.host.name} that runs.",
            "Run it on the DHCP server.",
            "o01_preflight",
        )
    return server.with_inventory(server.machine.inventory())
