# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Network adapters (root/cimv2). In the fleet file, per host:

    adapters:
      NLB: {addresses: [10.0.0.11, 10.0.0.10], mac: 00-15-5D-00-01-02}

Without it a host has one adapter, `Ethernet`, with the addresses of the host. GUID and hardware address follow from the
names of host and adapter where they are not given.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from winsim.fleet import mapping, sequence, text
from winsim.host import Host
from winsim.trouble import troubles_of

from . import Instance, Provider

__all__ = ["Adapter", "Adapters", "reset"]

adapters = Provider("adapters")

NAMESPACE = "root/cimv2"
CONNECTED = 2


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


@dataclass
class Adapters:
    """Adapters by lower-case connection name, in the order of their indexes."""

    adapters: dict[str, Adapter] = field(default_factory=dict)

    def get(self, name: str) -> Adapter | None:
        return self.adapters.get(name.lower())

    def with_address(self, address: str) -> Adapter | None:
        """The adapter that an address stands on."""
        return next((each for each in self.adapters.values() if address in each.addresses), None)


@adapters.section("adapters", Adapters)
def build(host: Host, data: Any, path: str) -> Adapters:
    given = mapping(data, path) or {"Ethernet": {"addresses": host.profile.addresses}}
    found = Adapters()
    for index, (name, entry) in enumerate(given.items(), 1):
        found.adapters[name.lower()] = _adapter(host, name, index, entry, f"{path}.{name}")
    return found


def _adapter(host: Host, name: str, index: int, data: Any, path: str) -> Adapter:
    given = mapping(data, path, {"addresses", "mac", "guid", "description"})
    seed = hashlib.sha256(f"{host.name}/{name}".lower().encode()).digest()
    mac = text(given.get("mac", "-".join(f"{byte:02X}" for byte in b"\x00\x15\x5d" + seed[:3])), f"{path}.mac").upper()
    guid = text(given.get("guid", f"{{{uuid.UUID(bytes=seed[:16], version=4)}}}"), f"{path}.guid").upper()
    addresses = [
        text(address, f"{path}.addresses") for address in sequence(given.get("addresses"), f"{path}.addresses")
    ]
    description = text(given.get("description", "Microsoft Hyper-V Network Adapter"), f"{path}.description")
    return Adapter(name, guid, mac, mac, index, description, addresses)


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
            "NetConnectionID": each.name,
            "NetConnectionStatus": CONNECTED,
            "NetEnabled": True,
            "PhysicalAdapter": True,
            "PowerManagementSupported": False,
            "ProductName": each.description,
            "ServiceName": "netvsc",
            "Speed": 10_000_000_000,
            "SystemCreationClassName": "Win32_ComputerSystem",
            "SystemName": host.name.upper(),
            "TimeOfLastReset": host.boot_time,
        }


@adapters.instances(NAMESPACE, "Win32_NetworkAdapterConfiguration")
def configurations(host: Host) -> Iterator[Instance]:
    for each in host.state(Adapters).adapters.values():
        yield {
            "Caption": f"[{each.index:08}] {each.description}",
            "Description": each.description,
            "DHCPEnabled": False,
            "DNSDomain": host.domain,
            "DNSHostName": host.name,
            "Index": each.index,
            "InterfaceIndex": each.index + 10,
            "IPAddress": list(each.addresses) or None,
            "IPEnabled": bool(each.addresses),
            "IPSubnet": ["64" if ":" in address else "255.255.255.0" for address in each.addresses] or None,
            "MACAddress": each.mac.replace("-", ":"),
            "ServiceName": "netvsc",
            "SettingID": each.guid,
        }
