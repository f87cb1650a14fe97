# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Network adapters (root/cimv2; root/StandardCimv2 since Windows Server 2012). In the fleet file, per host:

    adapters:
      NLB: {addresses: [10.0.0.11, 10.0.0.10], mac: 00-15-5D-00-01-02}
      Lab: {addresses: [10.0.1.11, "fd00::11"], ipv6: false}      # IPv6 is unchecked in the adapter's properties
      isatap: {addresses: ["fe80::5efe:a00:b"], tunnel: true}     # one of Windows' own, which is hidden
      Wan: {addresses: [10.0.2.11], masks: {10.0.2.11: 255.255.0.0}, gateways: [10.0.2.1], dns: [10.0.0.53],
            wins: [10.0.0.42], suffix: corp.example, dhcp: false, connected: true}

An adapter that has addresses has a link-local IPv6 address too, as long as IPv6 is on. Without the section a host has
one adapter, `Ethernet`, with the addresses of the host. GUID and hardware address follow from the names of host and
adapter where they are not given.
"""

from __future__ import annotations

import hashlib
import ipaddress
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from winsim.fleet import boolean, mapping, sequence, text
from winsim.host import Host
from winsim.trouble import troubles_of

from . import Instance, Provider
from .tcpip6 import has_native

__all__ = ["Adapter", "Adapters", "addresses_of", "reset"]

adapters = Provider("adapters")

NAMESPACE = "root/cimv2"
STANDARD = "root/StandardCimv2"
CONNECTED, MEDIA_DISCONNECTED = 2, 7
LISTS = ("gateways", "dns", "wins")
IPV6 = "ms_tcpip6"
COMPONENTS = {
    "ms_msclient": "Client for Microsoft Networks",
    "ms_tcpip": "Internet Protocol Version 4 (TCP/IPv4)",
    IPV6: "Internet Protocol Version 6 (TCP/IPv6)",
}
NEVER_AGAIN = timedelta(days=365)


@dataclass
class Adapter:
    """An adapter by its connection name. `permanent` is its hardware address; `mac` the one in use; both with `-`."""

    name: str
    guid: str
    permanent: str
    mac: str
    index: int
    description: str
    addresses: list[str] = field(default_factory=list)
    ipv6: bool = True
    tunnel: bool = False
    masks: dict[str, str] = field(default_factory=dict)
    gateways: list[str] = field(default_factory=list)
    dns: list[str] = field(default_factory=list)
    wins: list[str] = field(default_factory=list)
    suffix: str | None = None
    dhcp: bool = False
    connected: bool = True

    def mask(self, address: str) -> str:
        """Subnet mask, or prefix length of an IPv6 address."""
        return "64" if ":" in address else self.masks.get(address, "255.255.255.0")

    @property
    def link_local(self) -> str:
        """fe80:: with the EUI-64 of the hardware address (RFC 4291, appendix A)."""
        octets = [int(part, 16) for part in self.permanent.split("-")]
        octets[0] ^= 2
        words = [*octets[:3], 0xFF, 0xFE, *octets[3:]]
        host = ":".join(f"{words[each] << 8 | words[each + 1]:x}" for each in range(0, 8, 2))
        return str(ipaddress.IPv6Address(f"fe80::{host}"))


@dataclass
class Adapters:
    """Adapters by lower-case connection name, in the order of their indexes."""

    adapters: dict[str, Adapter] = field(default_factory=dict)

    def get(self, name: str) -> Adapter | None:
        return self.adapters.get(name.lower())


@adapters.section("adapters", Adapters)
def build(host: Host, data: Any, path: str) -> Adapters:
    given = mapping(data, path) or {"Ethernet": {"addresses": host.profile.addresses}}
    found = Adapters()
    for index, (name, entry) in enumerate(given.items(), 1):
        found.adapters[name.lower()] = _adapter(host, name, index, entry, f"{path}.{name}")
    return found


def _adapter(host: Host, name: str, index: int, data: Any, path: str) -> Adapter:
    known = {
        "addresses",
        "mac",
        "guid",
        "description",
        "ipv6",
        "tunnel",
        "masks",
        "suffix",
        "dhcp",
        "connected",
        *LISTS,
    }
    given = mapping(data, path, known)
    seed = hashlib.sha256(f"{host.name}/{name}".lower().encode()).digest()
    mac = text(given.get("mac", "-".join(f"{byte:02X}" for byte in b"\x00\x15\x5d" + seed[:3])), f"{path}.mac").upper()
    guid = text(given.get("guid", f"{{{uuid.UUID(bytes=seed[:16], version=4)}}}"), f"{path}.guid").upper()
    addresses = [
        text(address, f"{path}.addresses") for address in sequence(given.get("addresses"), f"{path}.addresses")
    ]
    description = text(given.get("description", "Microsoft Hyper-V Network Adapter"), f"{path}.description")
    bound, tunnel = (boolean(given.get(key, key == "ipv6"), f"{path}.{key}") for key in ("ipv6", "tunnel"))
    adapter = Adapter(name, guid, mac, mac, index, description, addresses, bound, tunnel)
    adapter.masks = {
        key: text(mask, f"{path}.masks") for key, mask in mapping(given.get("masks"), f"{path}.masks").items()
    }
    for key in LISTS:
        setattr(adapter, key, [text(each, f"{path}.{key}") for each in sequence(given.get(key), f"{path}.{key}")])
    adapter.suffix = None if given.get("suffix") is None else text(given["suffix"], f"{path}.suffix")
    adapter.dhcp = boolean(given.get("dhcp", False), f"{path}.dhcp")
    adapter.connected = boolean(given.get("connected", True), f"{path}.connected")
    return adapter


def addresses_of(host: Host, adapter: Adapter) -> list[str]:
    """The addresses that the adapter has now, IPv4 first, as Windows lists them."""
    ipv4 = [address for address in adapter.addresses if ":" not in address]
    ipv6 = [address for address in adapter.addresses if ":" in address]
    if adapter.tunnel:
        return ipv6
    if not adapter.addresses or not adapter.ipv6 or not has_native(host):
        return ipv4
    return [*ipv4, *([] if adapter.link_local in ipv6 else [adapter.link_local]), *ipv6]


def reset(host: Host, adapter: Adapter, seconds: float) -> None:
    """The adapter restarts: who talks over it is cut off, and nobody gets through for `seconds` of the clock."""
    if host.winrm.listen in adapter.addresses:
        host.drop_connections()
        troubles_of(host).dark_until = host.now() + timedelta(seconds=seconds)


# root/cimv2


@adapters.instances(NAMESPACE, "Win32_NetworkAdapter")
def network_adapters(host: Host) -> Iterator[Instance]:
    for each in host.state(Adapters).adapters.values():
        yield {
            "AdapterType": "Ethernet 802.3",
            "AdapterTypeID": 0,
            "Availability": 3,
            "Caption": f"[{each.index:08}] {each.description}",
            "ConfigManagerErrorCode": 0,
            "ConfigManagerUserConfig": False,
            "CreationClassName": "Win32_NetworkAdapter",
            "Description": each.description,
            "DeviceID": str(each.index),
            "GUID": each.guid,
            "Index": each.index,
            "Installed": True,
            "InterfaceIndex": each.index + 10,
            "MACAddress": each.mac.replace("-", ":"),
            "Manufacturer": "Microsoft",
            "Name": each.description,
            "NetConnectionID": None if each.tunnel else each.name,
            "NetConnectionStatus": None if each.tunnel else CONNECTED if each.connected else MEDIA_DISCONNECTED,
            "NetEnabled": True,
            "PhysicalAdapter": not each.tunnel,
            "PowerManagementSupported": False,
            "ProductName": each.description,
            "ServiceName": "tunnel" if each.tunnel else "netvsc",
            "Speed": 10_000_000_000,
            "SystemCreationClassName": "Win32_ComputerSystem",
            "SystemName": host.name.upper(),
            "TimeOfLastReset": host.boot_time,
        }


@adapters.instances(NAMESPACE, "Win32_NetworkAdapterConfiguration")
def configurations(host: Host) -> Iterator[Instance]:
    for each in host.state(Adapters).adapters.values():
        addresses = addresses_of(host, each) if each.connected else []
        primary, secondary, *_ = [*each.wins, None, None]
        yield {
            "Caption": f"[{each.index:08}] {each.description}",
            "DefaultIPGateway": list(each.gateways) or None,
            "Description": each.description,
            "DHCPEnabled": each.dhcp,
            "DNSDomain": host.domain if each.suffix is None else each.suffix,
            "DNSHostName": host.name,
            "DNSServerSearchOrder": list(each.dns) or None,
            "Index": each.index,
            "InterfaceIndex": each.index + 10,
            "IPAddress": addresses or None,
            "IPEnabled": bool(addresses),
            "IPSubnet": [each.mask(address) for address in addresses] or None,
            "MACAddress": each.mac.replace("-", ":"),
            "ServiceName": "tunnel" if each.tunnel else "netvsc",
            "SettingID": each.guid,
            "WINSPrimaryServer": primary,
            "WINSSecondaryServer": secondary,
        }


# root/StandardCimv2


@adapters.instances(STANDARD, "MSFT_NetAdapter")
def net_adapters(host: Host) -> Iterator[Instance]:
    for each in host.state(Adapters).adapters.values():
        yield {
            "CreationClassName": "MSFT_NetAdapter",
            "DeviceID": each.guid,
            "Hidden": each.tunnel,
            "InterfaceDescription": each.description,
            "InterfaceGuid": each.guid,
            "InterfaceIndex": each.index + 10,
            "Name": each.name,
            "PermanentAddress": each.permanent.replace("-", ""),
            "SystemCreationClassName": "CIM_NetworkPort",
            "SystemName": host.fqdn,
        }


@adapters.instances(STANDARD, "MSFT_NetAdapterBindingSettingData")
def bindings(host: Host) -> Iterator[Instance]:
    for each in host.state(Adapters).adapters.values():
        for component, shown in COMPONENTS.items():
            yield {
                "ComponentID": component,
                "DisplayName": shown,
                "ElementName": shown,
                "Enabled": each.ipv6 if component == IPV6 else True,
                "InstanceID": f"{each.guid}::{component}",
                "InterfaceDescription": each.description,
                "Name": each.name,
                "SystemName": host.fqdn,
            }


def _switching(method: str, enabled: bool) -> None:
    @adapters.method(STANDARD, "MSFT_NetAdapterBindingSettingData", method)
    def switch(host: Host, instance: Instance | None, inputs: Instance) -> Instance:
        assert instance is not None
        adapter = host.state(Adapters).get(instance["Name"])
        if adapter is not None and instance["ComponentID"] == IPV6:
            adapter.ipv6 = enabled
            if not enabled and host.winrm.listen in adapter.addresses and ":" in host.winrm.listen:
                # Who talks over one of the addresses that are gone has lost the connection before the answer.
                host.drop_connections()
                troubles_of(host).dark_until = host.now() + NEVER_AGAIN
        return {"ReturnValue": 0, "cmdletOutput": None}


_switching("Enable", True)
_switching("Disable", False)
