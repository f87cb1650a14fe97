# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Network adapters, their addresses and bindings, prefix policies, TCP listeners. For this collection only.

root/cimv2 is on every Windows; root/StandardCimv2 came with Windows 8 and Windows Server 2012
(https://learn.microsoft.com/en-us/windows/win32/fwp/wmi/wmi-about).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from ..wsman.bindings import CimClass, Method, key
from ..wsman.cmdlets import Cmdlet
from ..wsman.types import boolean, uint8, uint16, uint32
from ..wsman.wql import any_of, literal
from .registry import HasCim

CIMV2 = "root/cimv2"
STANDARD = "root/StandardCimv2"

IPV6_COMPONENT = "ms_tcpip6"
"""ComponentID of the IPv6 protocol in the bindings of an adapter."""

TUNNEL_SERVICE = "tunnel"
"""ServiceName of the adapters that Windows makes for ISATAP, 6to4 and Teredo."""

STORE_ACTIVE = 1
TCP_LISTEN = 2


class AdapterAlias(CimClass, namespace=CIMV2, wmi="Win32_NetworkAdapter"):
    """An adapter under the name an administrator gave it; None for what the network folder does not show.

    https://learn.microsoft.com/en-us/windows/win32/cimwin32prov/win32-networkadapter
    """

    DeviceID: str = key()
    InterfaceIndex: uint32 | None
    NetConnectionID: str | None


class AdapterAddresses(CimClass, namespace=CIMV2, wmi="Win32_NetworkAdapterConfiguration"):
    """The addresses of an adapter; IPSubnet is a mask for IPv4 and a prefix length for IPv6, as text.

    https://learn.microsoft.com/en-us/windows/win32/cimwin32prov/win32-networkadapterconfiguration
    """

    Index: uint32 = key()
    InterfaceIndex: uint32 | None
    Description: str | None
    IPAddress: tuple[str, ...] | None
    IPSubnet: tuple[str, ...] | None
    ServiceName: str | None

    @property
    def is_tunnel(self) -> bool:
        """Whether it is one of Windows' own IPv6 transition adapters."""
        return (self.ServiceName or "").lower() == TUNNEL_SERVICE

    @property
    def ipv4(self) -> tuple[str, ...]:
        """IPv4 addresses."""
        return tuple(address for address in self.IPAddress or () if ":" not in address)

    @property
    def ipv6(self) -> tuple[str, ...]:
        """IPv6 addresses, link-local ones included."""
        return tuple(address for address in self.IPAddress or () if ":" in address)

    @property
    def prefixes(self) -> Iterable[tuple[str, int | None]]:
        """Each address with its prefix length in bits; None where Windows gives no mask that can be read."""
        subnets = self.IPSubnet or ()
        for position, address in enumerate(self.IPAddress or ()):
            yield address, prefix_length(subnets[position]) if position < len(subnets) else None


class NetAdapter(CimClass, namespace=STANDARD, wmi="MSFT_NetAdapter"):
    """An adapter by its alias. https://learn.microsoft.com/en-us/windows/win32/fwp/wmi/netadaptercimprov/msft-netadapter"""

    Name: str
    Hidden: boolean | None


class ProtocolBinding(CimClass, namespace=STANDARD, wmi="MSFT_NetAdapterBindingSettingData"):
    """A protocol on an adapter. Name: alias of the adapter; Enabled: the tick in the adapter's properties.

    https://learn.microsoft.com/en-us/windows/win32/fwp/wmi/netadaptercimprov/msft-netadapterbindingsettingdata
    """

    InstanceID: str = key()
    Name: str
    InterfaceDescription: str | None
    Enabled: boolean

    Enable = Method(outputs={"cmdletOutput": str | None})
    Disable = Method(outputs={"cmdletOutput": str | None})


class PrefixPolicy(CimClass, namespace=STANDARD, wmi="MSFT_NetPrefixPolicy"):
    """A row of the table that orders destination addresses (RFC 6724).

    https://learn.microsoft.com/en-us/windows/win32/fwp/wmi/nettcpipprov/msft-netprefixpolicy
    """

    Prefix: str = key()
    Precedence: uint32
    Label: uint32
    Store: uint8 = key()


class TcpConnection(CimClass, namespace=STANDARD, wmi="MSFT_NetTCPConnection"):
    """A TCP connection or listener.

    https://learn.microsoft.com/en-us/windows/win32/fwp/wmi/nettcpipprov/msft-nettcpconnection
    """

    LocalAddress: str
    LocalPort: uint16
    OwningProcess: uint32


GET_NET_PREFIX_POLICY = Cmdlet("Get-NetPrefixPolicy", "NetTCPIP")


def prefix_length(subnet: str) -> int | None:
    """Bits of a prefix from a mask (``255.255.255.0``) or a number (``64``); None for anything else."""
    if subnet.isdigit():
        return int(subnet)
    try:
        return ipaddress.IPv4Network(f"0.0.0.0/{subnet}").prefixlen
    except ValueError:
        return None


def read_addresses(host: HasCim) -> list[AdapterAddresses]:
    """The adapters that have IP."""
    return host.cim.query(AdapterAddresses, "IPEnabled = TRUE")


def read_aliases(host: HasCim) -> dict[int, str]:
    """Aliases of adapters by interface index."""
    found = host.cim.query(AdapterAlias, "NetConnectionID IS NOT NULL")
    return {a.InterfaceIndex: a.NetConnectionID for a in found if a.InterfaceIndex is not None and a.NetConnectionID}


def read_ipv6_bindings(host: HasCim) -> list[ProtocolBinding]:
    """IPv6 on every adapter. Windows Server 2012 and later; before, WsmanFault for the namespace."""
    return host.cim.query(ProtocolBinding, f"ComponentID = {literal(IPV6_COMPONENT)}")


def visible_adapters(host: HasCim) -> list[str]:
    """Aliases of the physical and virtual adapters that are not hidden. Windows Server 2012 and later."""
    return [adapter.Name for adapter in host.cim.query(NetAdapter, "Hidden = FALSE", leave_out=("Hidden",))]


def read_listeners(host: HasCim, ports: Sequence[int]) -> list[TcpConnection]:
    """Who listens on these TCP ports. Windows Server 2012 and later; before, see netstat."""
    return host.cim.query(TcpConnection, f"State = {TCP_LISTEN} AND {any_of('LocalPort', list(ports))}")
