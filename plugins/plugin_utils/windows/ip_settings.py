# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The IP configuration of adapters as one writes it down and restores it, root/cimv2. For this collection only.

https://learn.microsoft.com/en-us/windows/win32/cimwin32prov/win32-networkadapterconfiguration
"""

from __future__ import annotations

from ..wsman.bindings import CimClass, Method, key
from ..wsman.types import boolean, uint16, uint32
from .registry import HasCim

CONNECTED = 2
"""NetConnectionStatus of an adapter with a link."""

_SUCCESS = (0, 1)
"""1: accepted, takes effect after a restart."""


class IpSettings(CimClass, namespace="root/cimv2", wmi="Win32_NetworkAdapterConfiguration"):
    """The addresses of an adapter that has IP."""

    Index: uint32 = key()
    InterfaceIndex: uint32 | None
    MACAddress: str | None
    IPAddress: tuple[str, ...] | None
    IPSubnet: tuple[str, ...] | None
    DefaultIPGateway: tuple[str, ...] | None
    DNSServerSearchOrder: tuple[str, ...] | None
    WINSPrimaryServer: str | None
    WINSSecondaryServer: str | None
    DNSDomain: str | None
    DHCPEnabled: boolean | None

    EnableDHCP = Method(success=_SUCCESS)
    EnableStatic = Method({"IPAddress": tuple[str, ...], "SubnetMask": tuple[str, ...]}, success=_SUCCESS)
    SetGateways = Method({"DefaultIPGateway": tuple[str, ...]}, success=_SUCCESS)
    SetDNSServerSearchOrder = Method({"DNSServerSearchOrder": tuple[str, ...]}, success=_SUCCESS)
    SetWINSServer = Method({"WINSPrimaryServer": str, "WINSSecondaryServer": str}, success=_SUCCESS)


class AdapterLink(CimClass, namespace="root/cimv2", wmi="Win32_NetworkAdapter"):
    """Whether an adapter is connected, and its alias."""

    DeviceID: str = key()
    InterfaceIndex: uint32 | None
    NetConnectionID: str | None
    NetConnectionStatus: uint16 | None


def read_ip_settings(host: HasCim) -> list[IpSettings]:
    """The adapters that have IP."""
    return host.cim.query(IpSettings, "IPEnabled = TRUE")


def read_links(host: HasCim) -> dict[int, AdapterLink]:
    """Adapters with an alias, by interface index."""
    found = host.cim.query(AdapterLink, "NetConnectionID IS NOT NULL")
    return {link.InterfaceIndex: link for link in found if link.InterfaceIndex is not None}
