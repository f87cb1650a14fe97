# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What kind of machine a server is. For this collection only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ...journal import utc_text
from ...windows.ip_settings import CONNECTED, read_ip_settings, read_links
from ...windows.network import prefix_length
from ...windows.operating_system import SERVER_2012
from ...windows.server import DOMAIN_CONTROLLER_ROLES, read_membership, read_server
from ..base import Host

_FIRST_WITHOUT_NAP = 10


@dataclass(frozen=True)
class Nic:
    """An adapter that has IP. addresses: (address, prefix length); index: what its configuration is known by."""

    index: int
    mac: str
    name: str
    connected: bool
    addresses: tuple[tuple[str, int | None], ...]
    gateways: tuple[str, ...]
    dns: tuple[str, ...]
    wins: tuple[str, ...]
    suffix: str
    dhcp_enabled: bool

    @property
    def ipv4(self) -> tuple[str, ...]:
        """Its IPv4 addresses."""
        return tuple(address for address, prefix in self.addresses if ":" not in address)

    @property
    def is_static(self) -> bool:
        """Whether it is connected and has IPv4 addresses of its own."""
        return self.connected and not self.dhcp_enabled and bool(self.ipv4)

    def as_json(self) -> dict[str, Any]:
        """For the manifest and the journal."""
        return {
            "mac": self.mac,
            "connection_name": self.name,
            "addresses": [{"ip": address, "prefix": prefix} for address, prefix in self.addresses],
            "gateways": list(self.gateways),
            "dns": list(self.dns),
            "wins": list(self.wins),
            "suffix": self.suffix,
            "dhcp_enabled": self.dhcp_enabled,
        }


@dataclass(frozen=True)
class Facts:
    """A server. version: (10, 0), say; joined: a domain member or controller."""

    netbios: str
    fqdn: str
    domain: str
    joined: bool
    domain_role: int
    version: tuple[int, ...]
    build: int
    product_type: int
    language: int | None
    install_date: str
    windows_directory: str
    nics: tuple[Nic, ...]

    @property
    def is_dc(self) -> bool:
        """Whether it is a domain controller."""
        return self.domain_role in DOMAIN_CONTROLLER_ROLES

    @property
    def has_provider(self) -> bool:
        """Whether it has the DHCP provider and cmdlets; before, only netsh."""
        return self.build >= SERVER_2012

    @property
    def has_nap(self) -> bool:
        """Whether it knows Network Access Protection, which Windows Server 2016 dropped."""
        return self.version[0] < _FIRST_WITHOUT_NAP

    @property
    def static_addresses(self) -> list[str]:
        """IPv4 addresses that are set by hand."""
        return [address for nic in self.nics if nic.is_static for address in nic.ipv4]

    @property
    def addresses(self) -> set[str]:
        """All addresses."""
        return {address for nic in self.nics for address, prefix in nic.addresses}

    def as_json(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "fqdn": self.fqdn,
            "netbios": self.netbios,
            "domain": self.domain,
            "domain_role": self.domain_role,
            "os_version": ".".join(map(str, self.version)),
            "os_build": self.build,
            "os_language": self.language,
            "install_date": self.install_date,
        }


def read_facts(host: Host) -> Facts:
    """Four queries. Errors: FieldnotesError."""
    system = read_server(host)
    membership = read_membership(host)
    netbios = membership.Name
    domain = membership.Domain or ""
    joined = bool(membership.PartOfDomain)
    short = membership.DNSHostName or netbios
    return Facts(
        netbios=netbios,
        fqdn=f"{short}.{domain}" if joined and domain else short,
        domain=domain,
        joined=joined,
        domain_role=membership.DomainRole or 0,
        version=tuple(int(part) for part in system.Version.split(".")[:2]),
        build=int(system.BuildNumber),
        product_type=system.ProductType,
        language=system.OSLanguage,
        install_date=utc_text(system.InstallDate) if system.InstallDate is not None else "",
        windows_directory=system.WindowsDirectory,
        nics=tuple(read_nics(host)),
    )


def read_nics(host: Host) -> Iterable[Nic]:
    """The adapters that have IP."""
    links = read_links(host)
    for found in read_ip_settings(host):
        link = links.get(found.InterfaceIndex or -1)
        subnets = found.IPSubnet or ()
        yield Nic(
            index=found.Index,
            mac=(found.MACAddress or "").replace(":", "-").upper(),
            name=(link.NetConnectionID if link is not None else None) or "",
            connected=link is not None and link.NetConnectionStatus == CONNECTED,
            addresses=tuple(
                (address, prefix_length(subnets[at]) if at < len(subnets) else None)
                for at, address in enumerate(found.IPAddress or ())
            ),
            gateways=found.DefaultIPGateway or (),
            dns=found.DNSServerSearchOrder or (),
            wins=tuple(one for one in (found.WINSPrimaryServer, found.WINSSecondaryServer) if one),
            suffix=found.DNSDomain or "",
            dhcp_enabled=bool(found.DHCPEnabled),
        )
