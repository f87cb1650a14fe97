# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is set for IPv6 on a host and what of it is in effect. For this collection only.

https://learn.microsoft.com/en-us/troubleshoot/windows-server/networking/configure-ipv6-in-windows
Windows reads DisabledComponents when it starts, so the two differ between a change and the next start.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import CmdletFailed, MethodFailed, Refusal, WsmanFault
from ..journal import Entry
from ..windows import files, network, registry
from ..windows.network import AdapterAddresses, ProtocolBinding
from ..windows.operating_system import OperatingSystem
from ..wsman.cmdlets import PSObject
from ..wsman.faults import WBEM_E_INVALID_CLASS, WBEM_E_INVALID_NAMESPACE, is_access_denied
from ..wsman.types import decode_moment
from . import disabled_components as components
from . import hosts_file
from .base import Host
from .hosts_file import HostsFile

MODULE = "disable_ipv6"
"""Whose journal tells of a restart that is still due."""

APPLYING = "applying"
AWAITING_RESTART = "awaiting_restart"

PARAMETERS = registry.Key(r"SYSTEM\CurrentControlSet\Services\Tcpip6\Parameters")
VALUE = "DisabledComponents"

_TCPIP = registry.Key(r"SYSTEM\CurrentControlSet\Services\Tcpip\Parameters")
_REG_SZ, _REG_DWORD = 1, 4
_TYPES = {1: "REG_SZ", 2: "REG_EXPAND_SZ", 3: "REG_BINARY", 7: "REG_MULTI_SZ", 11: "REG_QWORD"}
_CLOCK_CORRECTION = datetime.timedelta(seconds=5)
_MAPPED, _ANY = ipaddress.ip_network("::ffff:0:0/96"), ipaddress.ip_network("::/0")


# DisabledComponents


@dataclass(frozen=True)
class Configured:
    """DisabledComponents as the registry has it.

    number: of a REG_DWORD; kind: the registry type of a value of another type, which Windows ignores; text: what such a
    REG_SZ holds. All None: the value is absent.
    """

    number: int | None = None
    kind: int | None = None
    text: str | None = None

    @property
    def effective(self) -> int:
        """What Windows takes it for."""
        return self.number or 0

    @property
    def shown(self) -> str:
        """For people."""
        return self.type_name if self.kind is not None else components.shown(self.number)

    @property
    def type_name(self) -> str:
        """Name of the wrong registry type."""
        return f"a {_TYPES.get(self.kind or 0, f'type {self.kind}')}"

    def as_result(self) -> dict[str, Any]:
        """``disabled_components`` of the modules."""
        return {
            "configured": self.number,
            "hex": components.shown(self.effective),
            "bits": components.bits_of(self.effective),
            "state_name": components.state_of(self.effective),
            "nonstandard": self.kind is not None or components.is_nonstandard(self.effective),
        }


def read_configured(host: Host) -> Configured:
    """One request, unless the value is of another type. Errors: MethodFailed naming the key."""
    try:
        return Configured(registry.read_dword(host, PARAMETERS, VALUE))
    except MethodFailed as error:
        if error.value == registry.DENIED:
            raise
        found = registry.values(host, PARAMETERS) or {}
        kind = next((kind for name, kind in found.items() if name.lower() == VALUE.lower()), None)
        if kind is None or kind == _REG_DWORD:
            raise
        return Configured(None, kind, registry.read_string(host, PARAMETERS, VALUE) if kind == _REG_SZ else None)


# What a run left in the journal


@dataclass(frozen=True)
class Written:
    """A value that a run wrote. in_effect: what had been read at the start before; boot: the time of that start."""

    in_effect: int
    new: int
    boot: datetime.datetime

    def restarted(self, boot: datetime.datetime) -> bool:
        """Whether the host has started since; its clock may have been corrected by seconds."""
        return boot - self.boot > _CLOCK_CORRECTION


def written_by(entry: Entry | None) -> Written | None:
    """What the journal says of a value that waits for a restart; None where none does."""
    if entry is not None and entry.get("phase") == APPLYING and entry.get("new") is None:
        entry = entry.get("earlier")
    if entry is None or entry.get("new") is None:
        return None
    old = entry.get("in_effect") if entry.get("phase") == APPLYING else entry.get("old")
    return Written(int(old or 0), int(entry["new"]), decode_moment(str(entry["boot"])))


def waiting(host: Host, configured: Configured, system: OperatingSystem) -> Written | None:
    """The value that waits for a restart, by the journal of the module that wrote it; for modules that only read."""
    written = written_by(host.journal(MODULE).find())
    if written is None or written.restarted(system.LastBootUpTime) or written.new != configured.effective:
        return None
    return written if written.new != written.in_effect else None


# What is in effect


@dataclass(frozen=True)
class Policy:
    """A row of the prefix policies."""

    prefix: str
    precedence: int
    label: int


@dataclass(frozen=True)
class Effect:
    """What can be observed of the running stack; None where nobody can tell.

    native_off: no adapter has an IPv6 address, and not because it is unchecked there; prefers_ipv4: IPv4 comes first in
    the prefix policies; ipv6: the IPv6 addresses of adapters that are no tunnels.
    """

    native_off: bool | None
    prefers_ipv4: bool | None
    ipv6: tuple[str, ...]

    def as_result(self) -> dict[str, bool | None]:
        """``in_effect`` of the modules."""
        return {"native": self.native_off, "prefer_ipv4": self.prefers_ipv4}

    def contradictions(self, value: int) -> Iterator[str]:
        """What is not as DisabledComponents says, in words that follow "but"."""
        native_off = bool(value & components.NATIVE)
        if self.native_off is not None and self.native_off != native_off:
            if native_off:
                yield f"IPv6 addresses are still there: {', '.join(self.ipv6)}"
            else:
                yield "no adapter with IPv6 has an IPv6 address"
        # Without native IPv6 the order means nothing, and nobody says what the policies look like then.
        prefer = bool(value & components.PREFER_IPV4)
        if self.prefers_ipv4 is not None and self.prefers_ipv4 != prefer and not native_off:
            yield f"the prefix policies still prefer {'IPv6' if prefer else 'IPv4'}"


def read_effect(
    host: Host,
    configured: Configured,
    addresses: Sequence[AdapterAddresses],
    policies: Sequence[Policy] | None,
    bindings: Sequence[ProtocolBinding] | None = None,
) -> Effect:
    """The effect, from what was read; bindings are asked for only where the addresses alone do not tell."""
    adapters = [adapter for adapter in addresses if not adapter.is_tunnel]
    ipv6 = tuple(address for adapter in adapters for address in adapter.ipv6)
    prefers = None if policies is None else prefers_ipv4(policies)
    if ipv6 or not adapters:
        return Effect(False if ipv6 else None, prefers, ipv6)
    if configured.effective & components.NATIVE:
        return Effect(True, prefers, ())
    bound = read_bindings(host) if bindings is None else bindings
    described = {(binding.InterfaceDescription or "").lower() for binding in bound or () if binding.Enabled}
    off = any((adapter.Description or "").lower() in described for adapter in adapters)
    return Effect(True if off else None, prefers, ())


def read_policies(host: Host) -> list[Policy] | None:
    """The active prefix policies; None before Windows Server 2012 and where they cannot be read."""
    try:
        rows = host.cim.query(network.PrefixPolicy, f"Store = {network.STORE_ACTIVE}")
        return [Policy(row.Prefix, row.Precedence, row.Label) for row in rows]
    except WsmanFault as fault:
        if is_access_denied(fault):
            raise
        if fault.number in (WBEM_E_INVALID_NAMESPACE, WBEM_E_INVALID_CLASS):
            return None
    try:
        found = host.cmdlets.run(network.GET_NET_PREFIX_POLICY(), attempted="reading the prefix policies").output
        shown = [row for row in found if isinstance(row, PSObject)]
        return [Policy(str(row.get("Prefix")), row.number("Precedence"), row.number("Label")) for row in shown]
    except CmdletFailed:
        return None


def prefers_ipv4(policies: Iterable[Policy]) -> bool | None:
    """Whether IPv4 comes before native IPv6; the numbers differ between releases, their order does not."""
    precedence: dict[Any, int] = {}
    for policy in policies:
        try:
            precedence[ipaddress.ip_network(policy.prefix)] = policy.precedence
        except ValueError:
            continue
    if _MAPPED not in precedence or _ANY not in precedence:
        return None
    return precedence[_MAPPED] > precedence[_ANY]


def read_bindings(host: Host) -> list[ProtocolBinding] | None:
    """IPv6 on every adapter; None before Windows Server 2012."""
    try:
        return network.read_ipv6_bindings(host)
    except WsmanFault as fault:
        if fault.number in (WBEM_E_INVALID_NAMESPACE, WBEM_E_INVALID_CLASS):
            return None
        raise


def selected(host: Host, bindings: Sequence[ProtocolBinding], adapters: Sequence[str]) -> list[ProtocolBinding]:
    """The bindings of these adapters, of all that are not hidden where none is named. Errors: Refusal R12."""
    by_name = {binding.Name.lower(): binding for binding in bindings}
    for name in adapters:
        if name.lower() not in by_name:
            there = ", ".join(sorted(binding.Name for binding in bindings)) or "none"
            raise Refusal("R12", f"no adapter named {name}; this host has {there}")
    wanted = adapters or network.visible_adapters(host)
    return [by_name[name] for name in dict.fromkeys(name.lower() for name in wanted) if name in by_name]


def bindings_as_result(bindings: Sequence[ProtocolBinding] | None) -> list[dict[str, Any]] | None:
    """``adapters`` of the modules."""
    if bindings is None:
        return None
    return [{"alias": binding.Name, "bound": binding.Enabled} for binding in bindings]


# The hosts file


def hosts_path(host: Host, windows_directory: str) -> str:
    """Where the hosts file is; its folder can be moved."""
    moved = registry.read_expanded_string(host, _TCPIP, "DataBasePath")
    folder = moved or f"{windows_directory}\\System32\\drivers\\etc"
    return folder.rstrip("\\") + "\\hosts"


def read_hosts(host: Host, path: str) -> HostsFile:
    """Errors: Refusal R8."""
    try:
        content = files.read_bytes(host, path)
    except CmdletFailed as error:
        raise hosts_file.unusable(path, f"not readable ({error.text or error.error_id})") from error
    return hosts_file.parse(path, content)


def read_hosts_if_possible(host: Host, windows_directory: str) -> tuple[HostsFile | None, list[str]]:
    """The hosts file for a report, or None and a warning that says why not."""
    path = hosts_path(host, windows_directory)
    try:
        return read_hosts(host, path), []
    except (Refusal, WsmanFault) as error:
        return None, [str(error)]


def hosts_as_result(file: HostsFile | None) -> dict[str, Any] | None:
    """``hosts`` of the modules."""
    if file is None:
        return None
    return {
        "loopback_active": file.loopback_active,
        "loopback_commented": file.loopback_commented,
        "added": [{"address": address, "name": name} for address, name in file.added],
        "managed": file.is_managed,
    }


def support_as_result(
    configured: Configured, bindings: Sequence[ProtocolBinding] | None, build: int | None
) -> Mapping[str, Any]:
    """``support`` of the modules."""
    status, notes = components.support_of(configured.effective, build)
    if configured.kind is not None:
        notes.append(f"{VALUE} is {configured.type_name}, which Windows ignores")
    unbound = [binding.Name for binding in bindings or () if not binding.Enabled]
    if unbound:
        status = "unsupported"
        notes.append(f"IPv6 is unchecked on {', '.join(unbound)}: services still see an IPv6 stack, without addresses")
    return {"status": status, "notes": notes}
