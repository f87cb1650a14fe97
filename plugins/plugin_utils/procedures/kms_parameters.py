# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a task asks of a KMS host. For this collection only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..errors import Refusal
from ..windows import firewall

_LONGEST_INTERVAL, _SHORTEST_INTERVAL = 43200, 15
SETTINGS = ("port", "publishing", "zones", "priority", "activation_interval", "renewal_interval")
"""What waits for a KMS host that is activated, by the names of the journal, in the order of the steps."""
PARAMETER_OF = {
    "port": "listening_port",
    "publishing": "dns_publishing",
    "zones": "dns_publish_zones",
    "priority": "low_priority",
}


class Zone(NamedTuple):
    """A DNS zone that the host publishes in; domain in lower case, without the dot at its end."""

    domain: str
    priority: int = 0
    weight: int = 0

    @property
    def text(self) -> str:
        """As DnsDomainPublishList has it."""
        return f"{self.domain}, {self.priority}, {self.weight}"


def zone_of(text: str) -> Zone:
    """An entry of DnsDomainPublishList; numbers may be missing, and what is none counts as 0."""
    domain, *numbers = [part.strip() for part in text.split(",")]
    values = [int(number) if number.isdigit() else 0 for number in numbers[:2]]
    return Zone(domain.lower().rstrip("."), *values)


@dataclass(frozen=True)
class Parameters:
    """What the task asks for; None keeps what is there. Intervals in minutes, timeout in seconds."""

    present: bool
    product_key: str | None = field(repr=False)
    office: bool
    activation_id: str | None
    replace_existing: bool
    force_install: bool
    key_group: str | None
    activates: tuple[str, ...]
    update_check: str
    activation: str
    confirmation_id: str | None = field(repr=False)
    settings: Mapping[str, Any]
    firewall: str
    firewall_profiles: tuple[str, ...]
    restarts: bool
    replacement: str | None = field(repr=False)
    timeout: int

    @property
    def key(self) -> str | None:
        """The key that this run installs where another one is installed."""
        return self.product_key if self.present else self.replacement

    @property
    def tail(self) -> str | None:
        """The last five characters of that key, the only ones that are ever shown."""
        return None if self.key is None else self.key[-5:]

    @property
    def product(self) -> str:
        """For messages."""
        return f"Office ({self.activation_id})" if self.office else "Windows"


def _product_key(value: str | None, name: str) -> str | None:
    """The key in its normal form. Errors: Refusal R2, which never repeats what was given."""
    if value is None:
        return None
    key = re.sub(r"\s", "", value).upper()
    if not re.fullmatch(r"[A-Z0-9]{5}(-[A-Z0-9]{5}){4}", key):
        raise Refusal("R2", f"{name} is not a 5x5 product key (25 letters and digits in five groups)")
    return key


def _within(value: int | None, name: str, low: int, high: int, unit: str = "") -> int | None:
    if value is not None and not low <= value <= high:
        raise Refusal(name, f"{name} must be between {low} and {high}{unit}, got {value}")
    return value


def _zones(given: Sequence[Mapping[str, Any]] | None) -> tuple[Zone, ...] | None:
    """Errors: Refusal R15."""
    if given is None:
        return None
    zones: dict[str, Zone] = {}
    for each in given:
        domain = str(each["domain"])
        if re.search(r"[\s,]", domain) or not domain.strip("."):
            raise Refusal("R15", f"dns_publish_zones: {domain} is no domain: a blank or a comma cannot be in its name")
        zone = Zone(domain.lower().rstrip("."), int(each["priority"] or 0), int(each["weight"] or 0))
        if not (0 <= zone.priority <= 65535 and 0 <= zone.weight <= 65535):
            raise Refusal("R15", f"dns_publish_zones: {domain} needs a priority and a weight between 0 and 65535")
        if zones.setdefault(zone.domain, zone) != zone:
            raise Refusal("R15", f"dns_publish_zones: {domain} is there twice with different numbers")
    return tuple(zones.values())


def activation_id_of(value: str | None) -> str | None:
    """A GUID in lower case without braces. Errors: Refusal."""
    if value is None:
        return None
    text = value.strip().strip("{}").lower()
    if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text):
        raise Refusal("activation_id", f"activation_id {value} is not a GUID")
    return text


def _confirmation_id(value: str | None, activation: str) -> str | None:
    """Errors: Refusal R10."""
    if value is None:
        return None
    digits = re.sub(r"[\s-]", "", value)
    if activation != "phone" or not re.fullmatch(r"\d{48}", digits):
        raise Refusal("R10", "confirmation_id must have 48 digits and needs activation: phone")
    return digits


def parameters_of(arguments: Mapping[str, Any]) -> Parameters:
    """Errors: Refusal R2, R10, R11, R15, R19."""
    present = arguments["state"] == "present"
    office = arguments["product"] == "office"
    activation_id = activation_id_of(arguments["activation_id"])
    if office and activation_id is None:
        raise Refusal("activation_id", "product: office needs activation_id, the Activation ID of the KMS host licence")
    if not office and activation_id is not None:
        raise Refusal("activation_id", "activation_id belongs to product: office")
    if office and arguments["key_group"] is not None:
        raise Refusal("R19", "key_group applies to Windows keys")
    product_key = _product_key(arguments["product_key"], "product_key")
    replacement = _product_key(arguments["replacement_product_key"], "replacement_product_key")
    if not present and replacement is None and not arguments["leave_unlicensed"]:
        raise Refusal(
            "R11",
            "removing the key leaves Windows unlicensed after the next restart: give replacement_product_key, or "
            "leave_unlicensed: true",
        )
    if arguments["firewall"] == "open" and not arguments["firewall_profiles"]:
        raise Refusal("firewall_profiles", "firewall: open needs at least one of firewall_profiles")
    interval = (_SHORTEST_INTERVAL, _LONGEST_INTERVAL, " minutes")
    return Parameters(
        present=present,
        product_key=product_key,
        office=office,
        activation_id=activation_id,
        replace_existing=arguments["replace_existing"],
        force_install=arguments["force_install"],
        key_group=arguments["key_group"],
        activates=tuple(arguments["activates"]),
        update_check=arguments["update_check"],
        activation=arguments["activation"],
        confirmation_id=_confirmation_id(arguments["confirmation_id"], arguments["activation"]),
        settings={
            "port": _within(arguments["listening_port"], "listening_port", 1, 65535),
            "publishing": arguments["dns_publishing"],
            "zones": _zones(arguments["dns_publish_zones"]),
            "priority": arguments["low_priority"],
            "activation_interval": _within(arguments["activation_interval"], "activation_interval", *interval),
            "renewal_interval": _within(arguments["renewal_interval"], "renewal_interval", *interval),
        },
        firewall=arguments["firewall"],
        firewall_profiles=tuple(p for p in firewall.PROFILES if p in arguments["firewall_profiles"]),
        restarts=arguments["restart_service"] == "auto",
        replacement=replacement,
        timeout=_within(arguments["timeout"], "timeout", 1, 86400, " seconds") or 1,
    )
