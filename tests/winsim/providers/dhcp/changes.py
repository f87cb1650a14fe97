# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What changes a DHCP server or the list of authorized ones, behind methods and cmdlets alike."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from winsim.fleet import Fleet
from winsim.host import Host

from .. import directory
from ..accounts import Accounts
from ..directory import DirectoryError, Entry
from . import transfer
from .server import DhcpError, addresses, call
from .state import Lease, Record, Server, server_of

__all__ = ["add_in_dc", "add_lease", "add_scope", "add_security_groups", "remove_failover", "remove_in_dc"]

Inputs = dict[str, Any]

ERROR_INVALID_PARAMETER = 87
ERROR_DHCP_SUBNET_EXISTS = 20004
ERROR_DHCP_SUBNET_NOT_PRESENT = 20005
# MS-DHCPM: ERROR_DHCP_FO_RELATIONSHIP_DOES_NOT_EXIST is not told apart here.
ERROR_NOT_FOUND = 1168


def _entry(host: Host, inputs: Inputs) -> Entry:
    """Without a name or an address: those of this host."""
    own = addresses(host)
    if inputs.get("IPAddress") and not inputs.get("DnsName"):
        raise DhcpError(ERROR_INVALID_PARAMETER, "DnsName is missing.")
    return Entry(inputs.get("DnsName") or host.fqdn, inputs.get("IPAddress") or (own[0] if own else ""))


def _through_directory(operation: Any, host: Host, entry: Entry) -> bool:
    try:
        return bool(operation(host, entry))
    except DirectoryError as error:
        raise DhcpError(error.number) from error


def add_in_dc(host: Host, inputs: Inputs) -> tuple[Record, bool]:
    """(the entry, whether it was added). Raises DhcpError."""
    _planned(host, "authorize")
    entry = _entry(host, inputs)
    added = _through_directory(directory.authorize, host, entry)
    return {"DnsName": entry.name, "IPAddress": entry.ip}, added


def remove_in_dc(host: Host, inputs: Inputs) -> tuple[Record, bool]:
    _planned(host, "unauthorize")
    entry = _entry(host, inputs)
    removed = _through_directory(directory.unauthorize, host, entry)
    return {"DnsName": entry.name, "IPAddress": entry.ip}, removed


def _planned(host: Host, operation: str) -> None:
    server = server_of(host)
    if server is not None:
        transfer.fail_as_planned(server, operation)


def remove_failover(host: Host, inputs: Inputs) -> Iterator[Record]:
    """Deletes relationships; their scopes stay here and are deleted on the partner.

    https://learn.microsoft.com/powershell/module/dhcpserver/remove-dhcpserverv4failover
    """
    server = call(host)
    for name in inputs["Name"]:
        found = next((each for each in server.records["v4Failover"] if each["Name"].lower() == name.lower()), None)
        if found is None:
            raise DhcpError(ERROR_NOT_FOUND, f"There is no failover relationship {name}.")
        server.records["v4Failover"].remove(found)
        partner = _partner(host.fleet, found)
        if partner is not None:
            for scope_id in found.get("ScopeId") or ():
                transfer.drop_scope(partner, scope_id)
            partner.records["v4Failover"] = [
                each for each in partner.records["v4Failover"] if each["Name"].lower() != name.lower()
            ]
        yield found


def _partner(fleet: Fleet, relationship: Record) -> Server | None:
    wanted = str(relationship.get("PartnerServer", ""))
    for host in fleet.hosts.values():
        if wanted.lower() in (host.name.lower(), host.fqdn.lower()) or wanted in addresses(host):
            return server_of(host)
    return None


def add_security_groups(host: Host) -> None:
    """DHCP Users and DHCP Administrators, where they are missing.

    https://learn.microsoft.com/powershell/module/dhcpserver/add-dhcpserversecuritygroup
    """
    for name in ("DHCP Users", "DHCP Administrators"):
        host.state(Accounts).add_group(host, name)


def add_scope(host: Host, inputs: Inputs) -> Record:
    """https://learn.microsoft.com/powershell/module/dhcpserver/add-dhcpserverv4scope"""
    server = call(host)
    network = ipaddress.IPv4Network(f"{inputs['StartRange']}/{inputs['SubnetMask']}", strict=False)
    scope_id = str(network.network_address)
    if server.scope(scope_id) is not None:
        raise DhcpError(ERROR_DHCP_SUBNET_EXISTS, f"Scope {scope_id} already exists.")
    duration = inputs.get("LeaseDuration")
    record: Record = {
        "ScopeId": scope_id,
        "Name": inputs["Name"],
        "Description": inputs.get("Description") or "",
        "SubnetMask": inputs["SubnetMask"],
        "StartRange": inputs["StartRange"],
        "EndRange": inputs["EndRange"],
        "SuperscopeName": inputs.get("SuperscopeName") or "",
        "LeaseDuration": 8 * 86400 if duration is None else int(duration.total_seconds()),
        "NapProfile": "",
        "NapEnable": False,
        "Delay": inputs.get("Delay") or 0,
        "State": inputs.get("State") or "Active",
        "Type": inputs.get("Type") or "Dhcp",
        "MaxBootpClients": inputs.get("MaxBootpClients") or 4294967295,
        "ActivatePolicies": inputs.get("ActivatePolicies", True),
    }
    server.records["v4Scope"].append(record)
    return record


def remove_scopes(host: Host, inputs: Inputs) -> Iterator[Record]:
    server = call(host)
    for scope_id in inputs["ScopeId"]:
        found = server.scope(scope_id)
        if found is None:
            raise DhcpError(ERROR_DHCP_SUBNET_NOT_PRESENT, f"Scope {scope_id} is not found.")
        transfer.drop_scope(server, scope_id)
        yield found


def add_lease(host: Host, inputs: Inputs) -> None:
    """A test aid, says the reference: it tells no client."""
    server = call(host)
    if server.scope(inputs["ScopeId"]) is None:
        raise DhcpError(ERROR_DHCP_SUBNET_NOT_PRESENT, f"Scope {inputs['ScopeId']} is not found.")
    server.leases[inputs["IPAddress"]] = Lease(
        inputs["IPAddress"], inputs["ScopeId"], inputs["ClientId"].lower(), inputs.get("HostName") or "",
        inputs.get("AddressState") or "Active", inputs.get("LeaseExpiryTime"),
    )  # fmt: skip
