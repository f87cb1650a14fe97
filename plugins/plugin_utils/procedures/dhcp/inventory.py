# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a DHCP server knows, as canonical records that two servers can be compared by. Pure. For this collection only.

Addresses as Windows writes them, IPv6 in lower case; client ids and hardware addresses in lower case with hyphens;
times UTC ISO 8601; durations in seconds; nothing, null and an empty text are the same.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...journal import utc_text
from ...wsman.bindings import CimClass

Record = dict[str, Any]

CATEGORIES = (
    "v4_scopes",
    "v4_exclusions",
    "v4_reservations",
    "v4_leases",
    "v4_option_definitions",
    "v4_option_values",
    "v4_policies",
    "v4_filters",
    "v4_filter_lists",
    "v4_classes",
    "v4_superscopes",
    "v4_multicast_scopes",
    "v4_dns_settings",
    "v6_scopes",
    "v6_exclusions",
    "v6_reservations",
    "v6_leases",
    "v6_option_definitions",
    "v6_option_values",
    "v6_classes",
    "server_settings",
    "audit_log",
    "dhcp_groups",
)
LEASES = ("v4_leases", "v6_leases")
FULL, COUNTS = "full", "counts"

_LOWER = ("ClientId", "ClientDuid", "MacAddress", "Prefix")


@dataclass(frozen=True)
class Inventory:
    """All that was read of a server at one time.

    level: full, or counts where only netsh answers; noted: what is recorded and not compared; warnings: of the reading.
    """

    level: str
    taken_utc: str
    records: Mapping[str, Sequence[Record]]
    noted: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many records each category has."""
        return {name: len(self.records.get(name, ())) for name in CATEGORIES if name in self.records}

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each category."""
        return {name: digest(self.records[name]) for name in CATEGORIES if name in self.records}

    @property
    def sha256(self) -> str:
        """SHA-256 over all categories."""
        return hashlib.sha256(json.dumps(self.digests, sort_keys=True).encode()).hexdigest()

    @property
    def scopes(self) -> frozenset[str]:
        """The ScopeIds of all IPv4 scopes."""
        return frozenset(str(scope["ScopeId"]) for scope in self.records.get("v4_scopes", ()))

    def summary(self) -> dict[str, Any]:
        """Counts and digests, without any record, for results."""
        return {
            "level": self.level,
            "taken_utc": self.taken_utc,
            "counts": self.counts,
            "digests": self.digests,
        }

    def as_json(self) -> dict[str, Any]:
        """For the manifest."""
        return {**self.summary(), "records": {name: list(found) for name, found in self.records.items()}}


def from_json(data: Mapping[str, Any]) -> Inventory:
    """The inventory of a manifest. Errors: KeyError, TypeError for what is none."""
    return Inventory(data["level"], data["taken_utc"], {name: tuple(found) for name, found in data["records"].items()})


def digest(records: Iterable[Record]) -> str:
    """SHA-256 over the sorted JSON lines."""
    lines = sorted(json.dumps(record, sort_keys=True, ensure_ascii=False) for record in records)
    return hashlib.sha256("\n".join(lines).encode("utf-8")).hexdigest()


def ordered(records: Iterable[Record]) -> tuple[Record, ...]:
    """Records in an order that does not depend on the server."""
    return tuple(sorted(records, key=lambda record: json.dumps(record, sort_keys=True)))


def canonical(found: CimClass, without: Iterable[str] = (), **more: Any) -> Record:
    """The record of what the server gave. more: where it belongs."""
    left_out = set(without)
    record = {name: _value(name, getattr(found, name)) for name in found.__cim__.properties if name not in left_out}
    return {**record, **{name: _value(name, value) for name, value in more.items()}}


def _value(name: str, value: Any) -> Any:
    if value is None or value == "" or value == ():
        return None
    if isinstance(value, datetime.timedelta):
        return int(value.total_seconds())
    if isinstance(value, datetime.datetime):
        return utc_text(value)
    if isinstance(value, (tuple, list)):
        return sorted((_value(name, one) for one in value), key=str) if name in _UNORDERED else [*value]
    if isinstance(value, str) and (name in _LOWER or (":" in value and name.endswith(("Range", "IPAddress")))):
        return value.lower()
    return value


# The order of an option's values matters to clients; that of conditions and member scopes does not.
_UNORDERED = ("ScopeId", "VendorClass", "UserClass", "MacAddress", "ClientId", "RelayAgent", "CircuitId", "RemoteId")


def frozen_digest(leases: Iterable[Record]) -> str:
    """SHA-256 of what only a client's request can change: that a lease expires by itself is no sign of life."""
    kept = ("ScopeId", "IPAddress", "ClientId", "HostName", "LeaseExpiryTime")
    return digest({name: lease.get(name) for name in kept} for lease in leases)


def active_leases(leases: Iterable[Record], scope: str) -> list[Record]:
    """The leases of a scope that count as in use."""
    states = ("Active", "ActiveReservation")
    return [lease for lease in leases if lease["ScopeId"] == scope and lease["AddressState"] in states]
