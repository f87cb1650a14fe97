# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Network Load Balancing cluster as one of its hosts shows it. For this collection only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import CmdletFailed, FieldnotesError
from ..windows.nlb import (
    CONVERGED,
    CONVERGING,
    DEFAULT,
    DRAINING,
    GET_NLB_CLUSTER,
    GET_NLB_CLUSTER_NODE,
    STOPPED,
    SUSPENDED,
    BoundAdapter,
    BoundAddresses,
    ClusterSetting,
    Machine,
    Node,
    NodeSetting,
    PortRule,
)
from ..wsman.cmdlets import PSObject
from ..wsman.wql import any_of
from .base import Host
from .nlb_network import (
    NO_ADDRESS,
    address_order_ok,
    expected_mac,
    group_of,
    mode_named,
    mode_of,
    normal_address,
    normal_mac,
    real_addresses,
)

STATUS = {
    STOPPED: "stopped",
    CONVERGING: "converging",
    CONVERGED: "converged",
    DEFAULT: "converged_default",
    DRAINING: "draining",
    SUSPENDED: "suspended",
}
PROTOCOLS = {1: "tcp", 2: "udp", 3: "both"}
FILTERING = {1: "single_host", 2: "multiple_host", 3: "disabled"}
AFFINITY = {0: "none", 1: "single", 2: "network"}

Rule = Mapping[str, Any]


@dataclass(frozen=True)
class Bound:
    """NLB on one adapter: its settings and the adapter's connection name."""

    setting: ClusterSetting
    interface: str

    @property
    def guid(self) -> str:
        """The adapter, ``{UPPER CASE}``."""
        return self.setting.AdapterGuid.upper()

    @property
    def ip(self) -> str:
        """The primary cluster address."""
        return normal_address(self.setting.ClusterIPAddress or "")


@dataclass(frozen=True)
class NlbCluster:
    """A cluster as one of its hosts shows it. hosts: how many hosts WMI shows; peer: address the session talks to."""

    bound: Bound
    dedicated: tuple[str, ...]
    priority: int
    status: int
    hosts: int
    rules: tuple[Rule, ...]
    adapter_ips: tuple[str, ...]
    virtual: bool
    peer: str

    @property
    def mode(self) -> str:
        """The operation mode."""
        return mode_of(self.bound.setting.MulticastSupportEnabled, self.bound.setting.IGMPSupport)

    @property
    def mac(self) -> str | None:
        """The cluster's MAC address as Windows reports it."""
        return normal_mac(self.bound.setting.ClusterMACAddress)

    @property
    def on_management_adapter(self) -> bool:
        """Whether the session ends on this adapter."""
        return self.peer in self.adapter_ips

    def mac_in(self, mode: str) -> str | None:
        """The MAC address by the rule."""
        return expected_mac(mode, self.bound.ip, self.bound.setting.MulticastIPAddress)

    def shown(self, mode: str, mac: str | None) -> dict[str, Any]:
        """One element of ``nlb_info.clusters``, with this mode and MAC address."""
        setting, expected = self.bound.setting, self.mac_in(mode)
        return {
            "interface": self.bound.interface,
            "adapter_guid": self.bound.guid,
            "cluster_name": setting.ClusterName,
            "cluster_ip": self.bound.ip,
            "network_mask": setting.ClusterNetworkMask,
            "mode": mode,
            "mac": mac,
            "expected_mac": expected,
            "mac_ok": None if expected is None or mac is None else mac == expected,
            "multicast_ip": group_of(mode, self.bound.ip, setting.MulticastIPAddress),
            "unicast_host_to_host": setting.UnicastInterHostCommSupportEnabled,
            "dedicated_ips": list(self.dedicated),
            "adapter_ips": list(self.adapter_ips),
            "ip_order_ok": address_order_ok(self.bound.ip, self.dedicated, self.adapter_ips),
            "host_priority": self.priority,
            "status": STATUS.get(self.status, "unknown"),
            "status_code": self.status,
            "port_rules": [dict(rule) for rule in self.rules],
            "is_management_adapter": self.on_management_adapter,
            "virtual_machine": self.virtual,
        }

    def warnings(self, same_ip: int) -> Iterable[str]:
        """What is odd about it. same_ip: adapters of the host that have this cluster address."""
        if same_ip > 1:
            yield f"{same_ip} adapters of the host have the cluster address {self.bound.ip}: a misconfiguration"
        expected = self.mac_in(self.mode)
        if expected is not None and self.mac is not None and expected != self.mac:
            yield (
                f"the cluster on {self.bound.interface} has the MAC address {self.mac}, the rule for {self.mode} gives "
                f"{expected}: right only where it was set by hand"
            )


@dataclass(frozen=True)
class Member:
    """A host of the cluster as Get-NlbClusterNode shows it."""

    name: str
    state: str
    interface: str

    @property
    def converged(self) -> bool:
        """Whether it is converged: UNCONFIRMED whether State is a text, an enumeration or a status code."""
        return self.state.lower().startswith("converged") or self.state in (str(CONVERGED), str(DEFAULT))


@dataclass(frozen=True)
class Members:
    """The hosts of the cluster; errors: what was said of hosts that cannot be read."""

    hosts: tuple[Member, ...]
    errors: tuple[str, ...] = ()

    @property
    def converged(self) -> bool:
        """Whether all of them are."""
        return not self.errors and all(member.converged for member in self.hosts)


# Reading


def read_bound(host: Host) -> list[Bound]:
    """NLB on every adapter that has a cluster. Errors: WsmanFault, WBEM_E_INVALID_NAMESPACE without NLB."""
    settings = [s for s in host.cim.query(ClusterSetting) if (s.ClusterIPAddress or "") not in NO_ADDRESS]
    if not settings:
        return []
    adapters = host.cim.query(BoundAdapter, any_of("GUID", [setting.AdapterGuid for setting in settings]))
    names = {adapter.GUID.upper(): adapter.NetConnectionID for adapter in adapters}
    return [Bound(s, names.get(s.AdapterGuid.upper()) or s.AdapterGuid.upper()) for s in settings]


def bound_to(bound: Sequence[Bound], interface: str) -> list[Bound]:
    """Those on an interface, by its connection name in any case."""
    return [each for each in bound if each.interface.lower() == interface.lower()]


def adapter_names(bound: Iterable[Bound]) -> str:
    """The connection names, for messages."""
    return ", ".join(each.interface for each in bound) or "no adapter"


def read_clusters(host: Host, bound: Sequence[Bound]) -> list[NlbCluster]:
    """What the host shows of these clusters, each class asked once."""
    own = {setting.AdapterGuid.upper(): setting for setting in host.cim.query(NodeSetting)}
    nodes = host.cim.query(Node)
    rules = host.cim.query(PortRule)
    found = host.cim.query(BoundAddresses, any_of("SettingID", [each.guid for each in bound]))
    addresses = {each.SettingID.upper(): each.IPAddress or () for each in found}
    virtual = host.cim.query_one(Machine).virtual
    clusters = []
    for each in bound:
        setting = own.get(each.guid)
        if setting is None:
            raise FieldnotesError(f"{host.name} shows no MicrosoftNLB_NodeSetting for {each.interface}")
        here, others = nodes_of(each, setting.HostPriority, nodes)
        clusters.append(
            NlbCluster(
                bound=each,
                dedicated=real_addresses(setting.DedicatedIPAddresses or ()),
                priority=setting.HostPriority,
                status=here.StatusCode if here is not None else 0,
                hosts=1 + others,
                rules=tuple(_rule(rule) for rule in rules if rule.AdapterGuid.upper() == each.guid),
                adapter_ips=tuple(normal_address(address) for address in addresses.get(each.guid, ())),
                virtual=virtual,
                peer=normal_address(host.session.peer_address or ""),
            )
        )
    return clusters


def nodes_of(bound: Bound, priority: int, nodes: Sequence[Node]) -> tuple[Node | None, int]:
    """This host in the enumeration of all its clusters, and how many others of the cluster stand there.

    The host itself comes first and has a status; another one has the status 0 and shows up only where remote control is
    on, so one node is no proof of a cluster of one host. Where Name is written as in the settings, ``<cluster IP>:<host
    priority>``, it tells clusters apart.
    """
    here = [node for node in nodes if node.HostPriority == priority and node.StatusCode]
    others = [node for node in nodes if not node.StatusCode]
    own = next((node for node in here if node.Name.lower() == bound.setting.Name.lower()), None)
    if own is None:
        return next(iter(here), None), len(others)
    cluster = own.Name.rpartition(":")[0].lower()
    return own, sum(1 for node in others if node.Name.rpartition(":")[0].lower() == cluster)


def _rule(rule: PortRule) -> Rule:
    return {
        "vip": rule.VirtualIpAddress,
        "start_port": rule.StartPort,
        "end_port": rule.EndPort,
        "protocol": PROTOCOLS.get(rule.Protocol, "unknown"),
        "filtering": FILTERING.get(rule.FilteringMode, "unknown"),
        "affinity": AFFINITY.get(rule.Affinity, "unknown"),
        "load_weight": rule.LoadWeight,
        "equal_load": rule.EqualLoad,
        "priority": rule.Priority,
        "timeout": rule.ClientStickinessTimeout,
    }


def sorted_rules(rules: Iterable[Rule]) -> list[str]:
    """Port rules as texts that can be compared, in an order of their own."""
    return sorted(json.dumps(dict(rule), sort_keys=True) for rule in rules)


def rules_digest(rules: Iterable[Rule]) -> str:
    """SHA-256 of the port rules, whatever their order."""
    return hashlib.sha256("\n".join(sorted_rules(rules)).encode()).hexdigest()


def rule_text(rule: str) -> str:
    """One of ``sorted_rules`` for people."""
    values = json.loads(rule)
    return f"{values['vip']} {values['protocol']} {values['start_port']}-{values['end_port']} ({values['filtering']})"


def read_setting(host: Host, guid: str) -> ClusterSetting:
    """The settings on an adapter, read anew. Errors: FieldnotesError where there are none any more."""
    for setting in host.cim.query(ClusterSetting):
        if setting.AdapterGuid.upper() == guid:
            return setting
    raise FieldnotesError(f"{host.name} no longer shows NLB on the adapter {guid}")


def read_members(host: Host, interface: str) -> Members:
    """The hosts of the cluster on an interface. Errors: CmdletFailed."""
    result = host.cmdlets.run(
        GET_NLB_CLUSTER_NODE(InterfaceName=interface), attempted="reading the hosts of the cluster", check=False
    )
    hosts = tuple(
        Member(
            str(node.get("Name")),
            str(node.get("State") or "in an unknown state"),
            str(node.get("InterfaceName") or interface),
        )
        for node in result.output
        if isinstance(node, PSObject)
    )
    return Members(hosts, tuple(error.text or error.error_id for error in result.errors))


def read_modes(host: Host, members: Members) -> dict[str, str]:
    """The modes of the hosts, each asked for itself, as far as they answer and Get-NlbCluster shows a mode."""
    modes = {}
    for member in members.hosts:
        try:
            result = host.cmdlets.run(
                GET_NLB_CLUSTER(HostName=member.name, InterfaceName=member.interface),
                attempted=f"reading the mode of {member.name}",
                check=False,
            )
        except CmdletFailed:
            continue
        for cluster in result.output:
            if isinstance(cluster, PSObject) and (mode := _mode_shown(cluster)) is not None:
                modes[member.name] = mode
    return modes


def _mode_shown(cluster: PSObject) -> str | None:
    # UNCONFIRMED which: the page of Get-NlbCluster shows a column Mode, parameters are called OperationMode.
    return mode_named(cluster.get("OperationMode") or cluster.get("Mode"))
