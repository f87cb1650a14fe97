# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tells whether Outlook Anywhere of Exchange 2007 fails for IPv6. For this collection only.

"Outlook Anywhere connectivity problem", Exchange 2007 help, topic fd504781-10ec-4a07-a0c0-65f2200d0b21: the RPC proxy
resolves the server's name to IPv6, and DSProxy (port 6004) listens on IPv4 only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import Refusal
from ..windows import netstat, network
from ..windows.netstat import Listener
from ..windows.operating_system import (
    SERVER_2012,
    ComputerName,
    OperatingSystem,
    read_operating_system,
    read_process_names,
)
from . import disabled_components as components
from . import ipv6_state
from .base import Host
from .hosts_file import HostsFile
from .ipv6_state import Configured, Effect, Written


@dataclass(frozen=True)
class Parameters:
    """ports: TCP ports; names: empty for those of the computer."""

    ports: tuple[int, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Port:
    """Who listens on a port. ipv4: None where only an IPv6 socket listens, which may serve IPv4 as well."""

    port: int
    listeners: tuple[Listener, ...]

    @property
    def ipv6(self) -> bool:
        """Whether an IPv6 socket listens."""
        return any(":" in listener.address for listener in self.listeners)

    @property
    def ipv4(self) -> bool | None:
        """Whether an IPv4 socket listens."""
        if any(":" not in listener.address for listener in self.listeners):
            return True
        return None if self.listeners else False

    @property
    def ipv4_only(self) -> bool:
        """What breaks a client that comes over IPv6."""
        return self.ipv4 is True and not self.ipv6


class OutlookAnywhereInfo:
    """Module ``outlook_anywhere_info``."""

    module = "outlook_anywhere_info"

    def parameters(self, arguments: Mapping[str, Any]) -> Parameters:
        """Errors: Refusal for a port out of range."""
        ports = tuple(dict.fromkeys(arguments["ports"]))
        for port in ports:
            if not 1 <= port <= 65535:
                raise Refusal("ports", f"ports are between 1 and 65535, got {port}")
        if not ports:
            raise Refusal("ports", "give at least one port")
        return Parameters(ports, tuple(arguments["names"] or ()))

    def answer(self, host: Host, parameters: Parameters) -> tuple[Mapping[str, Any], Iterable[str]]:
        """One verdict, and what it stands on."""
        system = read_operating_system(host)
        ports = _read_ports(host, system, parameters.ports)
        processes = read_process_names(host, sorted({each.process_id for p in ports for each in p.listeners}))
        configured = ipv6_state.read_configured(host)
        policies = ipv6_state.read_policies(host) if system.build >= SERVER_2012 else None
        effect = ipv6_state.read_effect(host, configured, network.read_addresses(host), policies)
        waiting = ipv6_state.waiting(host, configured, system)
        hosts, warnings = ipv6_state.read_hosts_if_possible(host, system.WindowsDirectory)
        names = parameters.names or _own_names(host)
        ipv6_first = _prefers_ipv6(configured, effect, waiting)
        return {
            "ports": [_port_as_result(port, processes) for port in ports],
            "hosts": ipv6_state.hosts_as_result(hosts),
            "verdict": _verdict(ports, ipv6_first),
            "findings": [
                *_port_findings(ports, ipv6_first),
                *_effect_findings(configured, effect, waiting),
                *_name_findings(hosts, names),
            ],
        }, warnings


def _read_ports(host: Host, system: OperatingSystem, ports: Sequence[int]) -> list[Port]:
    if system.build >= SERVER_2012:
        found = [Listener(c.LocalAddress, c.LocalPort, c.OwningProcess) for c in network.read_listeners(host, ports)]
    else:
        found = netstat.read_listeners(host, system.WindowsDirectory, ports)
    return [Port(port, tuple(listener for listener in found if listener.port == port)) for port in ports]


def _own_names(host: Host) -> tuple[str, ...]:
    computer = host.cim.query_one(ComputerName)
    return tuple(name for name in (computer.short, computer.fqdn) if name)


def _port_as_result(port: Port, processes: Mapping[int, str]) -> dict[str, Any]:
    process_id = port.listeners[0].process_id if port.listeners else None
    return {
        "port": port.port,
        "ipv4": port.ipv4,
        "ipv6": port.ipv6,
        "addresses": [listener.address for listener in port.listeners],
        "process_id": process_id,
        "process": "" if process_id is None else processes.get(process_id, ""),
    }


def _prefers_ipv6(configured: Configured, effect: Effect, waiting: Written | None) -> bool:
    """Whether a client on this host comes over IPv6; what cannot be observed follows from the value that was read."""
    read_at_start = configured.effective if waiting is None else waiting.in_effect
    native_off, ipv4_first = effect.native_off, effect.prefers_ipv4
    if native_off is None:
        native_off = bool(read_at_start & components.NATIVE)
    if ipv4_first is None:
        ipv4_first = bool(read_at_start & components.PREFER_IPV4)
    return not native_off and not ipv4_first


def _verdict(ports: Sequence[Port], ipv6_first: bool) -> str:
    if not any(port.listeners for port in ports):
        return "not_exchange"
    return "broken" if ipv6_first and any(port.ipv4_only for port in ports) else "ok"


def _port_findings(ports: Sequence[Port], ipv6_first: bool) -> Iterator[str]:
    for port in ports:
        if not port.listeners:
            yield f"nothing listens on port {port.port}"
        elif port.ipv4_only and ipv6_first:
            yield f"port {port.port} listens on IPv4 only, and this host prefers IPv6: the RPC proxy does not reach it"
        elif port.ipv4_only:
            yield f"port {port.port} listens on IPv4 only, which is right while this host prefers IPv4"


def _effect_findings(configured: Configured, effect: Effect, waiting: Written | None) -> Iterator[str]:
    value = components.shown(configured.effective)
    if waiting is not None or any(effect.contradictions(configured.effective)):
        yield f"restart pending: DisabledComponents is {value}, which is not in effect yet"


def _name_findings(hosts: HostsFile | None, names: Sequence[str]) -> Iterator[str]:
    wanted = {name.lower() for name in names}
    for number, line in enumerate(hosts.lines if hosts is not None else (), 1):
        address, found = line.mapping
        for name in found:
            if name.lower() in wanted:
                yield f"line {number} of the hosts file maps {name} to {address}: DNS is not asked for it"
