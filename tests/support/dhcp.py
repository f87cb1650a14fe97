# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A network that changes its DHCP server: bert-old, bert-new, a domain controller, clients that never sleep."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from winsim import Host
from winsim.providers.dhcp import Server, is_serving, violations
from winsim.providers.registry import RegistryState
from winsim.providers.services import ServicesState

from support.world import World

SERVER_2008_R2, SERVER_2012, SERVER_2012_R2, SERVER_2019, SERVER_2022 = 7601, 9200, 9600, 17763, 20348
OLD, NEW, DC = "bert-old", "bert-new", "dc1"
OLD_IP, NEW_IP = "10.0.0.11", "10.0.0.12"
ID = "bert-2026"
JOURNAL = rf"HKLM\SOFTWARE\fieldnotes.windows\Journal\dhcp_migrate\{ID}"
HISTORY = rf"HKLM\SOFTWARE\fieldnotes.windows\History\dhcp_migrate\{ID}"
PASSWORD = "Fieldnotes-Store-2026"

_CLIENTS_COME = ("dhcp_clients", "dhcp_invariants", "leases", "counters", "cursors", "generation")
_FILES_DIFFER = ("data", "size", "free")
LIVING = (*_CLIENTS_COME, *_FILES_DIFFER, "manifest.1.json")
"""Leases differ at any time, and with them files and journals; the manifest of an export that was taken back stays."""


def scope(number: int, leases: int, reservations: int) -> dict[str, Any]:
    """One scope 10.0.<number>.0/24 with made-up leases and reservations."""
    net = f"10.0.{number}"
    return {
        "ScopeId": f"{net}.0",
        "SubnetMask": "255.255.255.0",
        "StartRange": f"{net}.10",
        "EndRange": f"{net}.200",
        "Name": f"floor {number}",
        "leases": leases,
        "reservations": reservations,
        "exclusions": [[f"{net}.10", f"{net}.12"]],
        "options": {3: [f"{net}.1"]},
    }


def network(
    *,
    old: Mapping[str, Any] | None = None,
    new: Mapping[str, Any] | None = None,
    domain: bool = True,
    switches: Mapping[str, str] | None = None,
    dhcp: Mapping[str, Any] | None = None,
    busy: float = 0,
    **more: Any,
) -> dict[str, Any]:
    """A fleet with three scopes, 120 leases and 7 reservations on the old server; old, new: changes to these hosts."""
    server: dict[str, Any] = {
        "scopes": [scope(1, 50, 3), scope(2, 40, 2), scope(3, 30, 2)],
        "options": {6: ["10.0.0.53"]},
        **(dhcp or {}),
    }
    fleet: dict[str, Any] = {
        "clock": {"speed": 0},
        "switches": dict(switches or {}),
        "dhcp_clients": {"renewals_per_minute": busy, "arrivals_per_minute": busy / 5},
        "hosts": {
            OLD: {
                "build": SERVER_2012_R2,
                "features": ["DHCP", "RSAT-DHCP"],
                "adapters": {"LAN": {"addresses": [OLD_IP]}},
                "dhcp": server,
                **(old or {}),
            },
            NEW: {"build": SERVER_2022, "adapters": {"LAN": {"addresses": [NEW_IP]}}, **(new or {})},
        },
        **more,
    }
    if domain:
        fleet["domain"] = "corp.example"
        fleet["directory"] = {"servers": [{"name": f"{OLD}.corp.example", "ip": OLD_IP}]}
        fleet["hosts"][DC] = {
            "build": SERVER_2022,
            "features": ["RSAT-DHCP"],
            "directory_role": {"domain_controller": True},
            "adapters": {"LAN": {"addresses": ["10.0.0.53"]}},
        }
    return fleet


class Migration(World):
    """The network, and the tasks of its migration. home: what stands for the directory on the controller."""

    def __init__(self, fleet: Mapping[str, Any], home: Path) -> None:
        super().__init__(fleet)
        self.home = home
        self.in_domain = "domain" in fleet

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        if exception[0] is None:
            assert violations(self.fleet) == []

    def migrate(self, host: str, state: str, *, check: bool = False, **arguments: Any) -> dict[str, Any]:
        """A task of the migration on a host, with what every task of it has."""
        common: dict[str, Any] = {"migration_id": ID, "controller_dir": str(self.home)}
        if self.in_domain:
            common["authorize_via"] = DC
        if state == "imported":
            common["peer_host"] = OLD
        return self.run(host, "dhcp_migrate", check=check, state=state, **{**common, **arguments})

    def export(self, **arguments: Any) -> dict[str, Any]:
        """The old server's task."""
        return self.migrate(OLD, "exported", **arguments)

    def import_(self, **arguments: Any) -> dict[str, Any]:
        """The new server's task."""
        return self.migrate(NEW, "imported", **arguments)

    def server(self, name: str) -> Server:
        """What a DHCP server knows."""
        return self.host(name).state(Server)

    def service(self, name: str) -> tuple[str, str]:
        """State and start mode of a DHCP Server service."""
        found = self.host(name).state(ServicesState).get("DHCPServer")
        return (found.state, found.start_mode) if found is not None else ("Absent", "")

    def serves(self, name: str) -> bool:
        """Whether clients get leases from a host."""
        return is_serving(self.host(name))

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest on the controller."""
        found: dict[str, Any] = json.loads((self.home / ID / "manifest.json").read_text(encoding="utf-8"))
        return found

    def journal(self, name: str) -> dict[str, Any] | None:
        """What the journal of a host says."""
        return _state(self.host(name), JOURNAL)

    def marker(self, name: str) -> dict[str, Any] | None:
        """What a host remembers of the migration."""
        return _state(self.host(name), HISTORY)


def _state(host: Host, key: str) -> dict[str, Any] | None:
    text = host.state(RegistryState).get(key, "State")
    return None if text is None else json.loads(str(text))


def codes(result: Mapping[str, Any], *statuses: str) -> list[str]:
    """Short names of the steps with these statuses; all without one."""
    return [step["name"].partition(":")[0] for step in result["steps"] if not statuses or step["status"] in statuses]
