# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two inventories held against each other. Pure. For this collection only."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...wsman.types import decode_moment
from .inventory import CATEGORIES, COUNTS, LEASES, Inventory, Record

LONGEST_LIST = 100

# What tells a record of a category from the others of it; a record that differs in the rest has changed.
KEYS: dict[str, tuple[str, ...]] = {
    "v4_scopes": ("ScopeId",),
    "v4_exclusions": ("ScopeId", "StartRange", "EndRange"),
    "v4_reservations": ("IPAddress",),
    "v4_leases": ("IPAddress",),
    "v4_option_definitions": ("OptionId", "VendorClass"),
    "v4_option_values": ("level", "id", "OptionId", "VendorClass", "UserClass", "PolicyName"),
    "v4_policies": ("ScopeId", "Name"),
    "v4_filters": ("List", "MacAddress"),
    "v4_filter_lists": (),
    "v4_classes": ("Type", "Name"),
    "v4_superscopes": ("SuperscopeName",),
    "v4_multicast_scopes": ("Name",),
    "v4_dns_settings": ("id",),
    "v6_scopes": ("Prefix",),
    "v6_exclusions": ("Prefix", "StartRange", "EndRange"),
    "v6_reservations": ("IPAddress",),
    "v6_leases": ("IPAddress",),
    "v6_option_definitions": ("OptionId", "VendorClass"),
    "v6_option_values": ("level", "id", "OptionId", "VendorClass", "UserClass"),
    "v6_classes": ("Type", "Name"),
    "server_settings": (),
    "audit_log": (),
    "dhcp_groups": ("name",),
}
_ALWAYS_WARNINGS = ("v4_dns_settings", "audit_log")
_NAP = frozenset(("NapEnable", "NapProfile", "NapEnabled", "NpsUnreachableAction"))
_KEPT_STATES = ("Active", "ActiveReservation", "InactiveReservation", "Declined")
# What a server does to a lease by itself, without a client: not a difference between the two.
_LEASE_MOVING = frozenset(("AddressState", "DnsRR", "DnsRegistration"))
_LEASE_SOFT = _LEASE_MOVING | {"HostName", "Description"}


@dataclass(frozen=True)
class Terms:
    """How strict a comparison is.

    now: the clock of new; nap: NAP fields count; allowed: categories whose differences are warnings; extra_leases: new
    leases may have come after the inventory; kept_scopes: scopes of new that were there before the import.
    """

    now: datetime.datetime
    method: str
    nap: bool
    allowed: tuple[str, ...] = ()
    extra_leases: bool = False
    kept: Mapping[str, Sequence[Record]] = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """What differs in a category."""

    missing: tuple[Record, ...] = ()
    extra: tuple[Record, ...] = ()
    changed: tuple[Record, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.missing or self.extra or self.changed)

    def __len__(self) -> int:
        return len(self.missing) + len(self.extra) + len(self.changed)

    def __add__(self, other: Difference) -> Difference:
        return Difference(self.missing + other.missing, self.extra + other.extra, self.changed + other.changed)

    def as_dict(self) -> dict[str, Any]:
        """For the result."""
        return {
            "missing": list(self.missing[:LONGEST_LIST]),
            "extra": list(self.extra[:LONGEST_LIST]),
            "changed": list(self.changed[:LONGEST_LIST]),
            "truncated": any(len(part) > LONGEST_LIST for part in (self.missing, self.extra, self.changed)),
        }


@dataclass(frozen=True)
class Comparison:
    """What two inventories have apart. faults: what fails the import; tolerated: what is only told."""

    faults: Mapping[str, Difference]
    tolerated: Mapping[str, Difference]
    lost: tuple[Record, ...]
    expired_meanwhile: int
    level: str

    @property
    def is_equal(self) -> bool:
        """Whether nothing stands against going on."""
        return not self.faults and not self.lost

    def differences(self) -> dict[str, Any]:
        """All differences by category, for the result."""
        return {name: found.as_dict() for name, found in {**self.tolerated, **self.faults}.items()}

    def counts(self) -> str:
        """``v4_scopes 1, lost leases 2``."""
        parts = [f"{name} {len(found)}" for name, found in self.faults.items()]
        return ", ".join([*parts, f"lost leases {len(self.lost)}"] if self.lost else parts)

    def warnings(self) -> Iterable[str]:
        """A sentence for each category with a difference that is accepted."""
        for name, found in self.tolerated.items():
            parts = (("missing", found.missing), ("extra", found.extra), ("changed", found.changed))
            told = ", ".join(f"{len(part)} {word}" for word, part in parts if part)
            yield f"{name} differs from the old server ({told}); it is accepted: look at differences"
        if self.expired_meanwhile:
            yield f"{self.expired_meanwhile} leases of the old server have expired meanwhile"


def compare(old: Inventory, new: Inventory, terms: Terms) -> Comparison:
    """Holds the new server against the manifest's inventory."""
    faults: dict[str, Difference] = {}
    tolerated: dict[str, Difference] = {}
    lost, expired = lost_leases(old.records.get("v4_leases", ()), new.records.get("v4_leases", ()), terms.now)
    level = COUNTS if COUNTS in (old.level, new.level) else old.level
    for name in CATEGORIES:
        if name not in old.records or name not in new.records:
            continue
        if name in LEASES:
            # Where only pairs of address and client are known, the rule of lost leases is all there is.
            strict, soft = (Difference(), Difference()) if level == COUNTS else _leases(name, old, new, terms)
        else:
            strict, soft = _split(name, _category(name, old, new, terms, level), old, terms)
        if name in terms.allowed:
            strict, soft = Difference(), strict + soft
        if strict:
            faults[name] = strict
        if soft:
            tolerated[name] = soft
    return Comparison(faults, tolerated, lost, expired, level)


def lost_leases(old: Iterable[Record], new: Iterable[Record], now: datetime.datetime) -> tuple[tuple[Record, ...], int]:
    """The leases of the manifest that the new server must have and has not, and how many expired meanwhile."""
    present = {lease["IPAddress"]: lease.get("ClientId") for lease in new}
    lost, expired = [], 0
    for lease in old:
        if lease.get("AddressState", "Active") not in _KEPT_STATES:
            continue
        address = lease["IPAddress"]
        if present.get(address) == lease.get("ClientId") and address in present:
            continue
        if address not in present and _is_past(lease.get("LeaseExpiryTime"), now):
            expired += 1
        else:
            lost.append(lease)
    return tuple(lost), expired


def _is_past(expiry: str | None, now: datetime.datetime) -> bool:
    return expiry is not None and decode_moment(expiry) < now


def _leases(name: str, old: Inventory, new: Inventory, terms: Terms) -> tuple[Difference, Difference]:
    """Leases beyond the rule of lost ones. Fault: those that nobody on old had, and changed terms; told: texts."""
    before = {lease["IPAddress"]: lease for lease in old.records[name]}
    after = {lease["IPAddress"]: lease for lease in new.records[name]}
    kept = {lease["IPAddress"] for lease in terms.kept.get(name, ())}
    extra = tuple(lease for address, lease in after.items() if address not in before)
    missing: tuple[Record, ...] = ()
    if name == "v6_leases":
        missing = tuple(
            lease
            for address, lease in before.items()
            if address not in after and not _is_past(lease.get("LeaseExpiryTime"), terms.now)
        )
    same = [
        (lease, after[address])
        for address, lease in before.items()
        if address in after and after[address].get("ClientId") == lease.get("ClientId")
    ]
    broken, changed = [], []
    for was, now in same:
        if _bare(was, _LEASE_SOFT) != _bare(now, _LEASE_SOFT):
            broken.append(now)
        elif _bare(was, _LEASE_MOVING) != _bare(now, _LEASE_MOVING):
            changed.append(now)
    foreign = tuple(lease for lease in extra if lease["IPAddress"] not in kept)
    strict = Difference(missing, () if terms.extra_leases else foreign, tuple(broken))
    told = Difference(
        extra=extra if terms.extra_leases else tuple(lease for lease in extra if lease["IPAddress"] in kept),
        changed=tuple(changed),
    )
    return strict, told


def _bare(record: Record, without: frozenset[str]) -> Record:
    return {name: value for name, value in record.items() if name not in without}


def _category(name: str, old: Inventory, new: Inventory, terms: Terms, level: str) -> Difference:
    if level == COUNTS:
        return _counts(name, old, new)
    ignored = frozenset() if terms.nap else _NAP
    before = {_key(name, record): _bare(record, ignored) for record in old.records[name]}
    after = {_key(name, record): _bare(record, ignored) for record in new.records[name]}
    return Difference(
        tuple(record for key, record in before.items() if key not in after),
        tuple(record for key, record in after.items() if key not in before),
        tuple(after[key] for key, record in before.items() if key in after and after[key] != record),
    )


def _counts(name: str, old: Inventory, new: Inventory) -> Difference:
    if name == "v4_reservations":
        before = {(r["IPAddress"], r.get("ClientId")) for r in old.records[name]}
        after = {(r["IPAddress"], r.get("ClientId")) for r in new.records[name]}
        return Difference(
            tuple({"IPAddress": ip, "ClientId": client} for ip, client in sorted(before - after, key=str)),
            tuple({"IPAddress": ip, "ClientId": client} for ip, client in sorted(after - before, key=str)),
        )
    counted = [len(side.records[name]) for side in (old, new)]
    if counted[0] == counted[1]:
        return Difference()
    return Difference(changed=({"old": counted[0], "new": counted[1]},))


def _key(name: str, record: Record) -> str:
    return json.dumps([record.get(part) for part in KEYS[name]])


def _split(name: str, found: Difference, old: Inventory, terms: Terms) -> tuple[Difference, Difference]:
    """The part of a difference that is a fault, and the part that is only told."""
    if name in _ALWAYS_WARNINGS or (name == "dhcp_groups" and terms.method == "dhcpserver"):
        return Difference(), found
    kept = {_key(name, record) for record in terms.kept.get(name, ())}
    there_before = Difference(extra=tuple(record for record in found.extra if _key(name, record) in kept))
    extra = tuple(record for record in found.extra if _key(name, record) not in kept)
    changed = found.changed
    told: tuple[Record, ...] = ()
    if name == "server_settings":
        # Of the settings, an import is documented to bring this one only.
        wanted = {record.get("ConflictDetectionAttempts") for record in old.records[name]}
        changed = tuple(record for record in found.changed if record.get("ConflictDetectionAttempts") not in wanted)
        told = tuple(record for record in found.changed if record not in changed)
    return Difference(found.missing, extra, changed), there_before + Difference(changed=told)
