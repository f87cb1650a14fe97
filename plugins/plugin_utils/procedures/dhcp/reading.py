# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading a DHCP server whole, category by category. For this collection only."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import FieldnotesError
from ...journal import utc_text
from ...windows import dhcp
from ...windows.dhcp_netsh import Netsh, addresses_in
from ...windows.server import group_members
from ..base import Host
from .facts import Facts
from .inventory import COUNTS, FULL, Inventory, Record, active_leases, canonical, ordered

GROUPS = ("DHCP Administrators", "DHCP Users")
_SERVER_SETTINGS = ("ConflictDetectionAttempts", "ActivatePolicies", "NapEnabled", "NpsUnreachableAction")


@dataclass(frozen=True)
class Leases:
    """The IPv4 leases of a server. warnings: one for each scope whose count its statistics do not confirm."""

    records: Sequence[Record]
    warnings: tuple[str, ...] = ()


def read_leases(server: dhcp.DhcpServer, scopes: Iterable[str]) -> Leases:
    """The IPv4 leases of scopes. Errors: FieldnotesError.

    UNCONFIRMED how a large answer arrives: where the count differs from the statistics, the cmdlet is asked as well.
    """
    leases: list[Record] = []
    warnings: list[str] = []
    for scope in scopes:
        found = _leases_of(server.read, server, scope)
        if found is None:
            found = _leases_of(server.read_by_cmdlet, server, scope)
        if found is None:
            found = [canonical(one) for one in server.read(dhcp.LEASES, ScopeId=scope, AllLeases=True)]
            warnings.append(f"count_mismatch: the leases of scope {scope} are not as many as its statistics say")
        leases += found
    return Leases(leases, tuple(warnings))


def _leases_of(read: Callable[..., tuple[Any, ...]], server: dhcp.DhcpServer, scope: str) -> list[Record] | None:
    """The leases of a scope; None where they are not as many as its statistics, read directly after, say."""
    found = [canonical(one) for one in read(dhcp.LEASES, ScopeId=scope, AllLeases=True)]
    statistics = server.read(dhcp.SCOPE_STATISTICS, ScopeId=(scope,))
    counted = statistics[0].AddressesInUse if statistics else 0
    return found if len(active_leases(found, scope)) == counted else None


def read_inventory(host: Host, server: dhcp.DhcpServer, facts: Facts, leases: Leases | None = None) -> Inventory:
    """Everything of a server that runs or is paused, Windows Server 2012 and later. Errors: FieldnotesError."""
    return _Reader(host, server, facts).inventory(leases)


class _Reader:
    def __init__(self, host: Host, server: dhcp.DhcpServer, facts: Facts) -> None:
        self._host = host
        self._server = server
        self._facts = facts

    def inventory(self, leases: Leases | None) -> Inventory:
        records: dict[str, Iterable[Record]] = {}
        scopes = self._all(dhcp.SCOPES)
        ids = [str(scope["ScopeId"]) for scope in scopes]
        records["v4_scopes"] = scopes
        records["v4_exclusions"] = self._all(dhcp.EXCLUSIONS)
        reservations = [canonical(one) for scope in ids for one in self._server.read(dhcp.RESERVATIONS, ScopeId=scope)]
        records["v4_reservations"] = reservations
        leases = leases or read_leases(self._server, ids)
        records["v4_leases"] = leases.records
        records["v4_option_definitions"] = self._all(dhcp.OPTION_DEFINITIONS, All=True)
        policies = self._policies(ids)
        records["v4_policies"] = policies
        records["v4_option_values"] = [*self._option_values(ids, reservations, policies)]
        records["v4_filters"] = self._all(dhcp.FILTERS)
        records["v4_filter_lists"] = self._all(dhcp.FILTER_LIST)
        records["v4_classes"] = self._all(dhcp.OPTION_CLASSES)
        records["v4_superscopes"] = [one for one in self._all(dhcp.SUPERSCOPES) if one["SuperscopeName"]]
        records["v4_multicast_scopes"] = self._newer(dhcp.MULTICAST_SCOPES)
        records["v4_dns_settings"] = [*self._dns_settings(ids)]
        records.update(self._ipv6())
        setting = self._server.one(dhcp.SETTING)
        records["server_settings"] = [{name: getattr(setting, name) for name in _SERVER_SETTINGS}]
        records["audit_log"] = self._all(dhcp.AUDIT_LOG)
        records["dhcp_groups"] = [*self._groups()]
        return Inventory(
            FULL,
            utc_text(self._host.clock.now()),
            {name: ordered(found) for name, found in records.items()},
            self._noted(),
            leases.warnings,
        )

    def _all(self, reading: dhcp.Reading, **selectors: Any) -> list[Record]:
        return [canonical(one) for one in self._server.read(reading, **selectors)]

    def _newer(self, reading: dhcp.Reading) -> list[Record]:
        # Windows Server 2012 lacks the class.
        return self._all(reading) if self._facts.build >= dhcp.SERVER_2012_R2 else []

    def _policies(self, scopes: Iterable[str]) -> list[Record]:
        found = [canonical(one) for one in self._server.read(dhcp.POLICIES)]
        for scope in scopes:
            ranges = [canonical(one) for one in self._server.read(dhcp.POLICY_RANGES, ScopeId=scope)]
            for one in self._server.read(dhcp.POLICIES, ScopeId=scope):
                own = [(r["StartRange"], r["EndRange"]) for r in ranges if r["Name"] == one.Name]
                found.append(canonical(one, ranges=[f"{start}-{end}" for start, end in sorted(own)]))
        return found

    def _option_values(
        self, scopes: Iterable[str], reservations: Iterable[Record], policies: Iterable[Record]
    ) -> Iterable[Record]:
        for one in self._server.read(dhcp.OPTION_VALUES, All=True):
            yield canonical(one, level="server", id="")
        for scope in scopes:
            for one in self._server.read(dhcp.OPTION_VALUES, ScopeId=scope, All=True):
                yield canonical(one, level="scope", id=scope)
        for reservation in reservations:
            address = str(reservation["IPAddress"])
            for one in self._server.read(dhcp.OPTION_VALUES, ReservedIP=address, All=True):
                yield canonical(one, level="reservation", id=address)

    def _dns_settings(self, scopes: Iterable[str]) -> Iterable[Record]:
        for one in self._server.read(dhcp.DNS_SETTING):
            yield canonical(one, id="")
        for scope in scopes:
            for one in self._server.read(dhcp.DNS_SETTING, ScopeId=scope):
                yield canonical(one, id=scope)

    def _ipv6(self) -> dict[str, list[Record]]:
        scopes = self._all(dhcp.SCOPES_V6)
        prefixes = [str(scope["Prefix"]) for scope in scopes]
        reservations = [
            canonical(one) for prefix in prefixes for one in self._server.read(dhcp.RESERVATIONS_V6, Prefix=prefix)
        ]
        leases = [canonical(one) for prefix in prefixes for one in self._server.read(dhcp.LEASES_V6, Prefix=prefix)]
        values = [canonical(one, level="server", id="") for one in self._server.read(dhcp.OPTION_VALUES_V6, All=True)]
        for prefix in prefixes:
            found = self._server.read(dhcp.OPTION_VALUES_V6, Prefix=prefix, All=True)
            values += [canonical(one, level="scope", id=prefix) for one in found]
        for reservation in reservations:
            address = str(reservation["IPAddress"])
            found = self._server.read(dhcp.OPTION_VALUES_V6, ReservedIP=address, All=True)
            values += [canonical(one, level="reservation", id=address) for one in found]
        return {
            "v6_scopes": scopes,
            "v6_exclusions": self._all(dhcp.EXCLUSIONS_V6) if prefixes else [],
            "v6_reservations": reservations,
            "v6_leases": leases,
            "v6_option_definitions": self._all(dhcp.OPTION_DEFINITIONS_V6, All=True),
            "v6_option_values": values,
            "v6_classes": self._all(dhcp.OPTION_CLASSES_V6),
        }

    def _groups(self) -> Iterable[Record]:
        for name in GROUPS:
            members = group_members(self._host, self._facts.netbios, name)
            if members is not None:
                yield {"name": name, "members": list(members)}

    def _noted(self) -> dict[str, Any]:
        """Recorded, not compared: names of adapters differ, and a password cannot be read."""
        database = self._server.one(dhcp.DATABASE)
        account = ""
        if self._facts.build >= dhcp.SERVER_2012_R2:
            with contextlib.suppress(FieldnotesError):
                for one in self._server.read(dhcp.DNS_CREDENTIAL):
                    account = "\\".join(part for part in (one.DomainName, one.UserName) if part)
        return {
            "database_path": database.FileName or "",
            "dns_credential_user": account,
            "bindings": self._all(dhcp.SERVER_BINDINGS),
        }


# Keywords of ``netsh dhcp server dump``, by category; the dump is not localised.
_KEYWORDS = {
    "v4_scopes": ("add scope",),
    "v4_exclusions": ("add excluderange",),
    "v4_option_values": ("set optionvalue", "set reservedoptionvalue"),
    "v4_option_definitions": ("add optiondef",),
    "v4_classes": ("add class",),
}


def read_counts(host: Host, netsh: Netsh) -> Inventory:
    """What netsh tells of a server: counts by category, and the pairs of leases and reservations."""
    dump = [" ".join(line.split()) for line in netsh.dump()]
    records: dict[str, list[Record]] = {name: [] for name in _KEYWORDS}
    for name, keywords in _KEYWORDS.items():
        records[name] = [{"line": line} for line in dump if any(word in line.lower() for word in keywords)]
    records["v4_scopes"] = [{"ScopeId": next(addresses_in(one["line"]), "")} for one in records["v4_scopes"]]
    records["v4_reservations"] = [_reservation(line) for line in dump if "add reservedip" in line.lower()]
    records["v4_leases"] = [
        {"ScopeId": scope["ScopeId"], "IPAddress": address, "ClientId": client}
        for scope in records["v4_scopes"]
        for address, client in netsh.clients(scope["ScopeId"])
    ]
    return Inventory(COUNTS, utc_text(host.clock.now()), {name: ordered(found) for name, found in records.items()})


def _reservation(line: str) -> Record:
    # Scope <scope> add reservedip <address> <client id> "<name>" ...
    words = line.split()
    at = next(place for place, word in enumerate(words) if word.lower() == "reservedip")
    digits = words[at + 2].lower() if len(words) > at + 2 else ""
    client = "-".join(digits[place : place + 2] for place in range(0, len(digits), 2))
    return {"IPAddress": words[at + 1], "ClientId": client}
