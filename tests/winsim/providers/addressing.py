# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Addresses that change, and who answers at them: the methods of Win32_NetworkAdapterConfiguration, Win32_PingStatus.

Section `addressing` of a host says where on the loopback network its WinRM is found while it has an address:

    addressing: {reach: {10.0.0.11: 127.0.1.11, 10.0.0.53: 127.0.1.53}}

A change of the address that the host is reached at ends all connections, and WinRM listens at the new one. A host
whose addresses are not in `reach` stays where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from winsim.fleet import Fleet, mapping, text
from winsim.host import Host

from . import QUERIED, Instance, Provider
from .adapters import Adapter, Adapters, addresses_of

__all__ = ["Addressing", "answers", "readdress"]

addressing = Provider("addressing")

NAMESPACE = "root/cimv2"
SUCCESS, INVALID_MASK, INVALID_ADDRESS = 0, 66, 70
REQUEST_TIMED_OUT = 11010


@dataclass
class Addressing:
    """Loopback addresses by the address of the simulated network."""

    reach: dict[str, str] = field(default_factory=dict)


@addressing.section("addressing", Addressing)
def build(host: Host, data: Any, path: str) -> Addressing:
    given = mapping(data, path, {"reach"})
    reach = mapping(given.get("reach"), f"{path}.reach")
    state = Addressing({address: text(place, f"{path}.reach.{address}") for address, place in reach.items()})
    place = _place(host, state)
    if place is not None:
        host.winrm.listen = place
    return state


def _place(host: Host, state: Addressing) -> str | None:
    own = [ip for each in host.state(Adapters).adapters.values() for ip in each.addresses]
    return next((state.reach[ip] for ip in own if ip in state.reach), None)


def readdress(host: Host, change: Callable[[], object]) -> bool:
    """Make a change of addresses; True if it has ended the connections of the host."""
    before = {ip for each in host.state(Adapters).adapters.values() for ip in each.addresses}
    change()
    after = {ip for each in host.state(Adapters).adapters.values() for ip in each.addresses}
    if before == after:
        return False
    place = _place(host, host.state(Addressing))
    if place in (None, host.winrm.listen):
        return False
    assert place is not None
    host.listening = False
    host.drop_connections()
    host.winrm.listen = place
    host.listening = True
    host.drop_connections()
    return True


# Win32_NetworkAdapterConfiguration


Change = Callable[[Host, Adapter, Instance], int]


def _method(name: str) -> Callable[[Change], Change]:
    def decorate(change: Change) -> Change:
        def method(host: Host, instance: Instance | None, inputs: Instance) -> Instance:
            index = (instance or {})["Index"]
            adapter = next(each for each in host.state(Adapters).adapters.values() if each.index == index)
            return {"ReturnValue": change(host, adapter, inputs)}

        addressing.method(NAMESPACE, "Win32_NetworkAdapterConfiguration", name)(method)
        return change

    return decorate


@_method("EnableStatic")
def enable_static(host: Host, adapter: Adapter, inputs: Instance) -> int:
    wanted, masks = inputs.get("IPAddress") or [], inputs.get("SubnetMask") or []
    if not wanted:
        return INVALID_ADDRESS
    if len(wanted) != len(masks):
        return INVALID_MASK

    def change() -> None:
        adapter.addresses = [*wanted, *(each for each in adapter.addresses if ":" in each)]
        adapter.masks, adapter.dhcp = dict(zip(wanted, masks, strict=True)), False

    readdress(host, change)
    return SUCCESS


@_method("EnableDHCP")
def enable_dhcp(host: Host, adapter: Adapter, inputs: Instance) -> int:
    """Nobody leases an address to a server here: the adapter keeps what it has until its lease would come."""
    adapter.dhcp = True
    return SUCCESS


@_method("SetGateways")
def set_gateways(host: Host, adapter: Adapter, inputs: Instance) -> int:
    adapter.gateways = list(inputs.get("DefaultIPGateway") or ())
    return SUCCESS


@_method("SetDNSServerSearchOrder")
def set_dns(host: Host, adapter: Adapter, inputs: Instance) -> int:
    """Without servers those of DHCP are taken."""
    adapter.dns = list(inputs.get("DNSServerSearchOrder") or ())
    return SUCCESS


@_method("SetDNSDomain")
def set_suffix(host: Host, adapter: Adapter, inputs: Instance) -> int:
    adapter.suffix = inputs.get("DNSDomain") or ""
    return SUCCESS


@_method("SetWINSServer")
def set_wins(host: Host, adapter: Adapter, inputs: Instance) -> int:
    given = (inputs.get("WINSPrimaryServer"), inputs.get("WINSSecondaryServer"))
    adapter.wins = [each for each in given if each]
    return SUCCESS


# Win32_PingStatus


def answers(fleet: Fleet, address: str) -> bool:
    """Whether a host that is up has the address, or is known by this name."""
    for host in fleet.hosts.values():
        own = {ip for each in host.state(Adapters).adapters.values() for ip in addresses_of(host, each)}
        if host.up_at is None and (address in own or address.lower() in (host.name.lower(), host.fqdn.lower())):
            return True
    return False


@addressing.instances(NAMESPACE, "Win32_PingStatus")
def ping(host: Host) -> Iterator[Instance]:
    """One instance for the address that the query names, with the timeout it names."""
    asked = QUERIED.get()
    address = asked.get("address")
    if not isinstance(address, str) or not address:
        return
    reached = answers(host.fleet, address)
    yield {
        "Address": address,
        "BufferSize": asked.get("buffersize", 32),
        "NoFragmentation": False,
        "PrimaryAddressResolutionStatus": 0,
        "ProtocolAddress": address if reached else "",
        "RecordRoute": 0,
        "ReplyInconsistency": False,
        "ReplySize": 32 if reached else 0,
        "ResolveAddressNames": False,
        "ResponseTime": 1 if reached else None,
        "ResponseTimeToLive": 128 if reached else None,
        "SourceRoute": "",
        "SourceRouteType": 0,
        "StatusCode": 0 if reached else REQUEST_TIMED_OUT,
        "Timeout": asked.get("timeout", 1000),
        "TimeStampRoute": 0,
        "TimeToLive": 80,
        "TypeofService": 0,
    }
