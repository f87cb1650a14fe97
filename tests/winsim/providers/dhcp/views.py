# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can be asked of a DHCP server: one function per data class, behind its PS_ class and its cmdlet alike.

A view is (host, server, inputs) -> records; inputs have the parameter names that method and cmdlet share. Durations
become `timedelta` where the class declares a time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from winsim import schema
from winsim.host import Host
from winsim.switches import declare

from .. import directory
from ..adapters import Adapters
from .clients import addresses_free
from .server import ERROR_DHCP_SUBNET_NOT_PRESENT, DhcpError, addresses, call, state_of
from .state import NAMESPACE, Lease, Record, Server

__all__ = ["VIEWS", "Inputs", "View", "shown"]

Inputs = dict[str, Any]
ViewFunction = Callable[[Host, Server, Inputs], Iterable[Record]]

declare(
    "dhcp.workgroup_authorized",
    {"false": "a workgroup server is shown as not authorized", "true": "it is shown as authorized"},
    open_question="what IsAuthorized says of a server that is in no domain",
    page="dhcp_migrate",
)

ERROR_FILE_NOT_FOUND = 2
ERROR_INVALID_PARAMETER = 87


@dataclass(frozen=True)
class View:
    """`noun` is the data class without its prefix; `methods` those of the PS_ class that answer with it."""

    noun: str
    methods: tuple[str, ...]
    function: ViewFunction

    @property
    def data_class(self) -> str:
        return f"DhcpServer{self.noun}"

    def records(self, host: Host, inputs: Inputs) -> list[Record]:
        """The answer of the host's server, ready to be shown. Raises DhcpError."""
        server = call(host)
        return [shown(self.data_class, each) for each in self.function(host, server, inputs)]


VIEWS: list[View] = []


def view(noun: str, *methods: str) -> Callable[[ViewFunction], ViewFunction]:
    def decorate(function: ViewFunction) -> ViewFunction:
        VIEWS.append(View(noun, methods or ("Get",), function))
        return function

    return decorate


@functools.cache
def _durations(data_class: str) -> frozenset[str]:
    declared = schema.load().find(26100, NAMESPACE, data_class)
    assert declared is not None, data_class
    return frozenset(each.name for each in declared.properties if each.type == "datetime")


def shown(data_class: str, record: Record) -> Record:
    """A record as the outside sees it: without its hidden keys, seconds as a duration."""
    times = _durations(data_class)
    return {
        key: timedelta(seconds=value) if key in times and isinstance(value, (int, float)) else value
        for key, value in record.items()
        if not key.startswith("@")
    }


# Choosing


def _known_scopes(server: Server, inputs: Inputs) -> list[Record]:
    """The scopes asked for (all where none is named). Raises DhcpError for one that is not there."""
    wanted = inputs.get("ScopeId")
    if wanted is None:
        return list(server.records["v4Scope"])
    found = []
    for scope_id in wanted if isinstance(wanted, list) else [wanted]:
        scope = server.scope(scope_id)
        if scope is None:
            raise DhcpError(ERROR_DHCP_SUBNET_NOT_PRESENT, f"Scope {scope_id} is not found.")
        found.append(scope)
    return found


def _known_prefixes(server: Server, inputs: Inputs) -> list[Record]:
    wanted = inputs.get("Prefix")
    everything = server.records["v6Scope"]
    if wanted is None:
        return list(everything)
    names = wanted if isinstance(wanted, list) else [wanted]
    found = [each for each in everything if each["Prefix"] in names]
    if len(found) != len(names):
        raise DhcpError(ERROR_DHCP_SUBNET_NOT_PRESENT, "The prefix is not found.")
    return found


def _named(records: Iterable[Record], inputs: Inputs, *keys: str) -> Iterator[Record]:
    """The records whose values are among those asked for; text without regard to case."""
    for record in records:
        if all(_among(record.get(key), inputs.get(key)) for key in keys):
            yield record


def _among(value: Any, wanted: Any) -> bool:
    if wanted is None:
        return True
    choices = wanted if isinstance(wanted, list) else [wanted]
    return str(value).lower() in (str(each).lower() for each in choices)


# The server itself


@view("Setting")
def setting(host: Host, server: Server, inputs: Inputs) -> Iterator[Record]:
    alone = host.switches["dhcp.workgroup_authorized"] == "true"
    yield {
        **server.one("Setting"),
        "IsDomainJoined": host.domain is not None,
        "IsAuthorized": alone if host.domain is None else server.authorized,
    }


@view("Database")
def database(host: Host, server: Server, inputs: Inputs) -> list[Record]:
    return server.records["Database"]


@view("AuditLog")
def audit_log(host: Host, server: Server, inputs: Inputs) -> list[Record]:
    return server.records["AuditLog"]


@view("DnsCredential")
def dns_credential(host: Host, server: Server, inputs: Inputs) -> list[Record]:
    return server.records["DnsCredential"]


@view("Version")
def version(host: Host, server: Server, inputs: Inputs) -> Iterator[Record]:
    yield {"MajorVersion": host.release.major, "MinorVersion": host.release.minor}


@view("v4Binding")
def bindings(host: Host, server: Server, inputs: Inputs) -> Iterator[Record]:
    """Adapters with a static address; a record in the configuration changes whether one is bound."""
    for adapter in host.state(Adapters).adapters.values():
        chosen = next(iter(server.of("v4Binding", InterfaceAlias=adapter.name)), {})
        for ip in (each for each in adapter.addresses if ":" not in each):
            yield {
                "InterfaceAlias": adapter.name,
                "BindingState": chosen.get("BindingState", True),
                "InterfaceGuid": adapter.guid,
                "IPAddress": ip,
                "SubnetMask": adapter.mask(ip),
            }


@view("v4Statistics")
def statistics(host: Host, server: Server, inputs: Inputs) -> Iterator[Record]:
    totals = [_usage(server, scope, host.now()) for scope in server.records["v4Scope"]]
    used, free = sum(each["AddressesInUse"] for each in totals), sum(each["AddressesFree"] for each in totals)
    share = 100.0 * used / (used + free) if used + free else 0.0
    yield {
        **server.counters,
        "ServerStartTime": server.started,
        "DelayedOffers": 0,
        "TotalScopes": len(totals),
        "ScopesWithDelayConfigured": sum(bool(scope["Delay"]) for scope in server.records["v4Scope"]),
        "TotalAddresses": used + free,
        "AddressesInUse": used,
        "AddressesAvailable": free,
        "PendingOffers": 0,
        "PercentageInUse": share,
        "PercentageAvailable": 100.0 - share if totals else 0.0,
        "PercentagePendingOffers": 0.0,
    }


# Scopes and what is in them


@view("v4Scope")
def scopes(host: Host, server: Server, inputs: Inputs) -> list[Record]:
    return _known_scopes(server, inputs)


@view("v4ScopeStatistics")
def scope_statistics(host: Host, server: Server, inputs: Inputs) -> Iterator[Record]:
    for scope in _known_scopes(server, inputs):
        yield _usage(server, scope, host.now())


def _usage(server: Server, scope: Record, now: datetime) -> Record:
    scope_id = scope["ScopeId"]
    states = [state_of(each, now) for each in server.leases.values() if each.scope == scope_id]
    used = sum(state in ("Active", "ActiveReservation") for state in states)
    free = max(0, addresses_free(server, scope) - used)
    return {
        "ScopeId": scope_id,
        "SuperscopeName": scope["SuperscopeName"],
        "AddressesFree": free,
        "AddressesInUse": used,
        "PendingOffers": states.count("Offered"),
        "ReservedAddress": len(server.of("v4Reservation", ScopeId=scope_id)),
        "PercentageInUse": 100.0 * used / (used + free) if used + free else 0.0,
    }


@view("v4ExclusionRange")
def exclusions(host: Host, server: Server, inputs: Inputs) -> Iterator[Record]:
    ids = [scope["ScopeId"] for scope in _known_scopes(server, inputs)]
    return (each for each in server.records["v4ExclusionRange"] if each["ScopeId"] in ids)


@view("v4Reservation", "GetByScopeId", "GetByIPAddress", "GetByClientId")
def reservations(host: Host, server: Server, inputs: Inputs) -> Iterator[Record]:
    """By ClientId a plain lease comes back as well, as the reference says of the cmdlet."""
    _known_scopes(server, inputs)
    now = host.now()
    found = server.records["v4Reservation"]
    for each in _named(found, inputs, *(key for key in ("ScopeId", "IPAddress", "ClientId") if key in inputs)):
        lease = server.leases.get(each["IPAddress"])
        active = lease is not None and state_of(lease, now) == "ActiveReservation"
        yield {**each, "AddressState": "ActiveReservation" if active else "InactiveReservation"}
    if "ClientId" in inputs:
        for held in leases(host, server, inputs):
            if not held["AddressState"].endswith("Reservation"):
                yield {
                    "Name": held["HostName"], "Description": "", "Type": "Both", "ClientId": held["ClientId"],
                    "IPAddress": held["IPAddress"], "ScopeId": held["ScopeId"], "AddressState": None,
                }  # fmt: skip


@view("v4Lease", "GetByScopeId", "GetByIPAddress", "GetByClientId", "GetByBadLeases")
def leases(host: Host, server: Server, inputs: Inputs) -> Iterator[Record]:
    """Without AllLeases only what is active or reserved; BadLeases are the declined ones."""
    _known_scopes(server, inputs)
    now, server_ip = host.now(), next(iter(addresses(host)), None)
    found = list(server.leases.values())
    if inputs.get("ScopeId") is not None:
        found = [each for each in found if each.scope == inputs["ScopeId"]]
    if inputs.get("IPAddress") is not None:
        found = [each for each in found if each.ip in inputs["IPAddress"]]
        missing = set(inputs["IPAddress"]) - {each.ip for each in found}
        if missing:
            raise DhcpError(ERROR_FILE_NOT_FOUND, f"There is no lease of {sorted(missing)[0]}.")
    if inputs.get("ClientId") is not None:
        wanted = {each.lower() for each in inputs["ClientId"]}
        found = [each for each in found if each.client_id in wanted]
    everything = bool(inputs.get("AllLeases")) or "IPAddress" in inputs or "ClientId" in inputs
    for lease in found:
        state = state_of(lease, now)
        if (
            (state == "Declined")
            if inputs.get("BadLeases")
            else (everything or state not in ("Offered", "Expired", "Declined"))
        ):
            yield _lease(lease, state, server_ip)


def _lease(lease: Lease, state: str, server_ip: str | None) -> Record:
    return {
        "AddressState": state,
        "ClientId": lease.client_id,
        "ClientType": lease.client_type,
        "Description": lease.description,
        "DnsRegistration": lease.dns_registration,
        "DnsRR": lease.dns_rr,
        "HostName": lease.host_name,
        "IPAddress": lease.ip,
        "LeaseExpiryTime": lease.expires,
        "NapCapable": False,
        "NapStatus": "FullAccess",
        "PolicyName": lease.policy,
        "ScopeId": lease.scope,
        "ServerIP": server_ip,
    }


@view("v4Superscope")
def superscopes(host: Host, server: Server, inputs: Inputs) -> Iterator[Record]:
    """Scopes by the name of their superscope; those without one come under an empty name, as the cmdlet shows them."""
    names: dict[str, list[str]] = {}
    for scope in server.records["v4Scope"]:
        names.setdefault(scope["SuperscopeName"], []).append(scope["ScopeId"])
    return _named(({"SuperscopeName": name, "ScopeId": ids} for name, ids in names.items()), inputs, "SuperscopeName")


# Options, classes, policies, filters


def _definitions(server: Server, family: str, inputs: Inputs) -> Iterator[Record]:
    """Without All and VendorClass: the standard ones, those of no vendor class."""
    for each in _named(server.records[f"{family}OptionDefinition"], inputs, "OptionId"):
        if inputs.get("All") or (each["VendorClass"] or "").lower() == (inputs.get("VendorClass") or "").lower():
            yield each


@view("v4OptionDefinition")
def option_definitions(host: Host, server: Server, inputs: Inputs) -> Iterator[Record]:
    return _definitions(server, "v4", inputs)


@view("v6OptionDefinition")
def v6_option_definitions(host: Host, server: Server, inputs: Inputs) -> Iterator[Record]:
    return _definitions(server, "v6", inputs)


def _values(server: Server, family: str, scope_key: str, inputs: Inputs) -> Iterator[Record]:
    """The values set at one level. Without All those of classes and policies need their class or policy to be named."""
    if inputs.get(scope_key) is not None and inputs.get("ReservedIP") is not None:
        raise DhcpError(ERROR_INVALID_PARAMETER, f"{scope_key} and ReservedIP cannot be given together.")
    for each in _named(server.records[f"{family}OptionValue"], inputs, "OptionId"):
        if each.get(f"@{scope_key}") != inputs.get(scope_key) or each.get("@ReservedIP") != inputs.get("ReservedIP"):
            continue
        chosen = ("VendorClass", "UserClass", "PolicyName")
        if inputs.get("All") or all((each.get(key) or "") == (inputs.get(key) or "") for key in chosen):
            yield each


@view("v4OptionValue")
def option_values(host: Host, server: Server, inputs: Inputs) -> Iterator[Record]:
    _known_scopes(server, {"ScopeId": inputs.get("ScopeId")})
    return _values(server, "v4", "ScopeId", inputs)


@view("v6OptionValue")
def v6_option_values(host: Host, server: Server, inputs: Inputs) -> Iterator[Record]:
    return _values(server, "v6", "Prefix", inputs)


@view("v4Policy")
def policies(host: Host, server: Server, inputs: Inputs) -> Iterator[Record]:
    """Those of the server, or with ScopeId those of the scope."""
    _known_scopes(server, inputs)
    mine = [each for each in server.records["v4Policy"] if (each.get("ScopeId") or None) == inputs.get("ScopeId")]
    return _named(mine, inputs, "Name")


@view("v4PolicyIPRange")
def policy_ranges(host: Host, server: Server, inputs: Inputs) -> Iterator[Record]:
    _known_scopes(server, inputs)
    return _named(server.records["v4PolicyIPRange"], inputs, "ScopeId", "Name")


@view("v4Filter")
def filters(host: Host, server: Server, inputs: Inputs) -> Iterator[Record]:
    return _named(server.records["v4Filter"], inputs, "List")


@view("v4FilterList")
def filter_list(host: Host, server: Server, inputs: Inputs) -> list[Record]:
    return server.records["v4FilterList"]


@view("v4Class")
def classes(host: Host, server: Server, inputs: Inputs) -> Iterator[Record]:
    return _named(server.records["v4Class"], inputs, "Name", "Type")


@view("v6Class")
def v6_classes(host: Host, server: Server, inputs: Inputs) -> Iterator[Record]:
    return _named(server.records["v6Class"], inputs, "Name", "Type")


@view("v4MulticastScope")
def multicast_scopes(host: Host, server: Server, inputs: Inputs) -> Iterator[Record]:
    return _named(server.records["v4MulticastScope"], inputs, "Name")


@view("v4MulticastExclusionRange")
def multicast_exclusions(host: Host, server: Server, inputs: Inputs) -> Iterator[Record]:
    return _named(server.records["v4MulticastExclusionRange"], inputs, "Name")


@view("v4DnsSetting")
def dns_setting(host: Host, server: Server, inputs: Inputs) -> Iterator[Record]:
    """Of the server, or of a scope, which inherits what it has not set."""
    _known_scopes(server, inputs)
    general = next(each for each in server.records["v4DnsSetting"] if "@ScopeId" not in each)
    own = next(iter(server.of("v4DnsSetting", at_ScopeId=inputs["ScopeId"])), {}) if inputs.get("ScopeId") else {}
    yield {**general, **own}


@view("v6DnsSetting")
def v6_dns_setting(host: Host, server: Server, inputs: Inputs) -> list[Record]:
    return server.records["v6DnsSetting"]


@view("v4Failover", "GetByName", "GetByScopeId")
def failovers(host: Host, server: Server, inputs: Inputs) -> Iterator[Record]:
    for each in _named(server.records["v4Failover"], inputs, "Name"):
        wanted = inputs.get("ScopeId")
        if wanted is None or set(wanted) & set(each.get("ScopeId") or ()):
            yield each


# IPv6


@view("v6Scope")
def v6_scopes(host: Host, server: Server, inputs: Inputs) -> list[Record]:
    return _known_prefixes(server, inputs)


@view("v6ExclusionRange")
def v6_exclusions(host: Host, server: Server, inputs: Inputs) -> Iterator[Record]:
    _known_prefixes(server, inputs)
    return _named(server.records["v6ExclusionRange"], inputs, "Prefix")


@view("v6Reservation", "GetByPrefix", "GetByIPAddress")
def v6_reservations(host: Host, server: Server, inputs: Inputs) -> Iterator[Record]:
    return _named(server.records["v6Reservation"], inputs, "Prefix", "IPAddress")


@view("v6Lease", "GetByPrefix", "GetByIPAddress")
def v6_leases(host: Host, server: Server, inputs: Inputs) -> Iterator[Record]:
    return _named(server.records["v6Lease"], inputs, "Prefix", "IPAddress")


@view("v6Binding")
def v6_bindings(host: Host, server: Server, inputs: Inputs) -> list[Record]:
    return server.records["v6Binding"]


def authorized(host: Host) -> list[Record]:
    """DhcpServerInDC, which is asked of the directory, not of a server. Raises DirectoryError."""
    return [{"DnsName": entry.name, "IPAddress": entry.ip} for entry in directory.read_list(host)]
