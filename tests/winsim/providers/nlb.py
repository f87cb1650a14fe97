# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Network Load Balancing (root/MicrosoftNLB, the NetworkLoadBalancingClusters cmdlets).

Sources: https://learn.microsoft.com/en-us/previous-versions/windows/desktop/wlbsprov/ (the NLB provider, with its page
"Enumerating Nodes") and https://learn.microsoft.com/en-us/powershell/module/networkloadbalancingclusters/.

Section `nlb` of the fleet file; hosts are hosts of the fleet, `interface` is one of their `adapters`:

    nlb:
      WEB:
        ip: 10.0.0.10
        mode: unicast                                 # or multicast, igmp_multicast
        rules: [{start: 80, end: 80, protocol: tcp}]
        hosts:
          W1: {interface: NLB, dedicated: [10.0.0.11]}
          W2: {interface: NLB, dedicated: [10.0.0.12], state: stopped}

The features NLB and RSAT-NLB (its cmdlets; not with `tools: false`) count as installed on these hosts; elsewhere they
stand in `features`.
"""

from __future__ import annotations

import ipaddress
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from winsim.fleet import Fleet, boolean, integer, mapping, number, refuse, sequence, text
from winsim.host import Host
from winsim.psrp.objects import Wait
from winsim.switches import declare
from winsim.trouble import is_dark

from . import CALLER, EnumValue, ErrorRecord, Fault, Instance, Provider, PSObject, Terminating, WarningMessage, Wbem
from .adapters import Adapter, Adapters, reset

__all__ = ["Clusters", "Member", "NlbCluster", "Rule"]

nlb = Provider("nlb")

NAMESPACE = "root/MicrosoftNLB"
FEATURE = "NLB"
CMDLET_FEATURE = "RSAT-NLB"
WINDOWS_2008_R2 = 7600

OK, RESTART = 1000, 1050
STOPPED, CONVERGING, CONVERGED, DEFAULT, DRAINING, SUSPENDED = 1005, 1006, 1007, 1008, 1009, 1013
STATES = {"started": 0, "stopped": STOPPED, "draining": DRAINING, "suspended": SUSPENDED}
WORDS = {
    STOPPED: "Stopped",
    CONVERGING: "Converging",
    CONVERGED: "Converged",
    DEFAULT: "Converged(default)",
    DRAINING: "Draining",
    SUSPENDED: "Suspended",
}
MODES = {"unicast": (False, False), "multicast": (True, False), "igmp_multicast": (True, True)}
CLUSTER_MODES = {"unicast": (False, False), "multicast": (True, False), "igmpmulticast": (True, True)}
PROTOCOLS = {"tcp": 1, "udp": 2, "both": 3}
FILTERING = {"single_host": 1, "multiple_host": 2, "disabled": 3}
AFFINITY = {"none": 0, "single": 1, "network": 2}
TYPE = "Microsoft.NetworkLoadBalancingClusters.PowerShell."
PAGE = "nlb_mode"

declare(
    "nlb.setting_put",
    {
        "accept": "a Put of MulticastSupportEnabled or IGMPSupport is taken",
        "refuse": "it is refused as read-only",
        "ignore": "it succeeds and changes nothing",
    },
    open_question="whether the provider takes these two in a Put; the class page calls every property read-only",
    page=PAGE,
)
declare(
    "nlb.pending",
    {
        "shown": "a changed property reads back at once, before LoadAllSettings",
        "hidden": "it reads back only after LoadAllSettings",
    },
    open_question="whether settings that are not loaded yet read back",
    page=PAGE,
)
declare(
    "nlb.restart",
    {
        "never": "LoadAllSettings and Set-NlbCluster take effect at once",
        "needed": "LoadAllSettings returns 1050, Set-NlbCluster warns with it; the mode changes at the restart",
    },
    open_question="when a mode change needs a restart, and how the cmdlet says so",
    page=PAGE,
)
declare(
    "nlb.multicast_ip",
    {
        "reported": "the IGMP group is 239.255.c.d and MulticastIPAddress tells it",
        "absent": "the same group, MulticastIPAddress is null",
        "own": "the group is another one, told by MulticastIPAddress",
    },
    open_question="which IGMP group a cluster joins, and whether MulticastIPAddress tells it",
    page=PAGE,
)
declare(
    "nlb.mac_form",
    {"dashes": "ClusterMACAddress is written 02-bf-...", "colons": "it is written 02:BF:..."},
    open_question="how ClusterMACAddress is written",
    page=PAGE,
)
declare(
    "nlb.unconfigured",
    {
        "none": "a host without a cluster shows no ClusterSetting",
        "zero": "it shows one with the cluster address 0.0.0.0",
    },
    open_question="what a host shows on which NLB is installed and not configured",
    page=PAGE,
)
declare(
    "nlb.node_name",
    {"address": "Name of a node is <cluster IP>:<host priority>", "computer": "it is the name of the computer"},
    open_question="what the key of MicrosoftNLB_Node is made of",
    page=PAGE,
)
declare(
    "nlb.node_state",
    {
        "words": "State of Get-NlbClusterNode is the text of its page: Converged(default)",
        "names": "it is the name of an enumeration: ConvergedDefault",
        "numbers": "it is the number of MicrosoftNLB_Node.StatusCode",
    },
    open_question="what the property State of Get-NlbClusterNode holds on the wire",
    page=PAGE,
)
declare(
    "nlb.cluster_mode",
    {
        "Mode": "Get-NlbCluster shows the mode in the property Mode, the heading on its page",
        "OperationMode": "in the property OperationMode, as its parameter is called",
        "absent": "it does not show it",
    },
    open_question="in which property Get-NlbCluster shows the mode",
    page=PAGE,
)
declare(
    "nlb.second_hop",
    {
        "refused": "without delegated credentials Set-NlbCluster fails and changes nothing",
        "local": "it changes this host, and puts out an error for each of the others",
    },
    open_question="what Set-NlbCluster does without delegated credentials",
    page=PAGE,
)
declare(
    "nlb.second_hop_nodes",
    {
        "errors": "without delegated credentials Get-NlbClusterNode shows this host, and an error for each other",
        "fails": "it fails as a whole",
        "unknown": "it shows the others in the state Unknown",
    },
    open_question="what Get-NlbClusterNode does without delegated credentials",
    page=PAGE,
)
declare(
    "nlb.answer",
    {
        "cluster": "Set-NlbCluster puts out the cluster",
        "error": "it puts out an error although the mode has changed",
        "fails": "it fails although the mode has changed",
    },
    open_question="what Set-NlbCluster answers when the adapter restarts under it",
    page=PAGE,
)


@dataclass
class Rule:
    """A port rule; numbers as in MicrosoftNLB_PortRuleEx."""

    start: int = 0
    end: int = 65535
    protocol: int = 3
    vip: str = "255.255.255.255"
    filtering: int = 2
    affinity: int = 1
    weight: int = 50
    equal: bool = True
    priority: int = 1
    timeout: int = 0


@dataclass
class Member:
    """A host of a cluster.

    `stored` and `loaded` are MulticastSupportEnabled and IGMPSupport as set and as the driver works; `state` is 0 for a
    host that takes part, else the code of why not; `mac` stands for the cluster's address where it was set by hand.
    """

    host: str
    interface: str
    priority: int
    dedicated: list[str]
    stored: list[bool]
    loaded: list[bool]
    state: int = 0
    mac: str | None = None
    converged_at: datetime | None = None


@dataclass
class NlbCluster:
    """What the hosts share.

    After a change an adapter is away for `reset_seconds`, then the cluster converges in `converge_seconds`, unless it
    is `stuck`. `change_seconds` is how long Set-NlbCluster works. A change loses the rules that start at `lost_ports`,
    and Set-NlbCluster fails at the host `breaks_at`, after those before it.
    """

    name: str
    ip: str
    mask: str = "255.255.255.0"
    full_name: str = ""
    interhost: bool = False
    remote_control: bool = False
    rules: list[Rule] = field(default_factory=list)
    members: dict[str, Member] = field(default_factory=dict)
    reset_seconds: float = 3.0
    converge_seconds: float = 8.0
    change_seconds: float = 0.0
    stuck: bool = False
    lost_ports: list[int] = field(default_factory=list)
    breaks_at: str | None = None


@dataclass
class Clusters:
    """NLB clusters by their key in the fleet file."""

    clusters: dict[str, NlbCluster] = field(default_factory=dict)

    def get(self, name: str) -> NlbCluster:
        return self.clusters[name]


# The fleet file


@nlb.shared("nlb", Clusters)
def build(fleet: Fleet, data: Any, path: str) -> Clusters:
    clusters = Clusters()
    for name, given in mapping(data, path).items():
        clusters.clusters[name] = _cluster(fleet, name, given, f"{path}.{name}")
    return clusters


_CLUSTER_KEYS = {"ip", "mask", "full_name", "mode", "igmp_flag", "mac", "interhost", "remote_control", "rules", "hosts"}
_SECONDS = ("reset_seconds", "converge_seconds", "change_seconds")


def _cluster(fleet: Fleet, name: str, data: Any, path: str) -> NlbCluster:
    given = mapping(data, path, {*_CLUSTER_KEYS, *_SECONDS})
    made = NlbCluster(name, text(given.get("ip"), f"{path}.ip"))
    made.mask = text(given.get("mask", made.mask), f"{path}.mask")
    made.full_name = text(given.get("full_name", f"{name.lower()}.example"), f"{path}.full_name")
    made.interhost = boolean(given.get("interhost", False), f"{path}.interhost")
    made.remote_control = boolean(given.get("remote_control", False), f"{path}.remote_control")
    made.rules = [_rule(rule, f"{path}.rules") for rule in sequence(given.get("rules", [{}]), f"{path}.rules")]
    for key in _SECONDS:
        setattr(made, key, number(given.get(key, getattr(made, key)), f"{path}.{key}"))
    flags = list(MODES[text(given.get("mode", "unicast"), f"{path}.mode", MODES)])
    flags[1] = boolean(given.get("igmp_flag", flags[1]), f"{path}.igmp_flag")
    for position, (host, entry) in enumerate(mapping(given.get("hosts"), f"{path}.hosts").items(), 1):
        member = _member(fleet, host, position, flags, entry, f"{path}.hosts.{host}")
        member.mac = text(given["mac"], f"{path}.mac") if "mac" in given else None
        made.members[host.lower()] = member
    return made


def _member(fleet: Fleet, name: str, position: int, flags: list[bool], data: Any, path: str) -> Member:
    given = mapping(data, path, {"interface", "priority", "dedicated", "state", "tools"})
    host = fleet.find_host(name)
    if host is None:
        refuse(path, f"{name} is no host of the fleet")
    tools = [CMDLET_FEATURE] if boolean(given.get("tools", True), f"{path}.tools") else []
    host.profile.features += [feature for feature in (FEATURE, *tools) if not host.has_feature(feature)]
    return Member(
        host=host.name,
        interface=text(given.get("interface", "Ethernet"), f"{path}.interface"),
        priority=integer(given.get("priority", position), f"{path}.priority", 1, 32),
        dedicated=[text(each, f"{path}.dedicated") for each in sequence(given.get("dedicated"), f"{path}.dedicated")],
        stored=list(flags),
        loaded=list(flags),
        state=STATES[text(given.get("state", "started"), f"{path}.state", STATES)],
    )


def _rule(data: Any, path: str) -> Rule:
    given = mapping(
        data, path, {"start", "end", "protocol", "vip", "filtering", "affinity", "weight", "equal", "timeout"}
    )
    return Rule(
        start=integer(given.get("start", 0), f"{path}.start", 0, 65535),
        end=integer(given.get("end", 65535), f"{path}.end", 0, 65535),
        protocol=PROTOCOLS[text(given.get("protocol", "both"), f"{path}.protocol", PROTOCOLS)],
        vip=text(given.get("vip", "255.255.255.255"), f"{path}.vip"),
        filtering=FILTERING[text(given.get("filtering", "multiple_host"), f"{path}.filtering", FILTERING)],
        affinity=AFFINITY[text(given.get("affinity", "single"), f"{path}.affinity", AFFINITY)],
        weight=integer(given.get("weight", 50), f"{path}.weight", 0, 100),
        equal=boolean(given.get("equal", True), f"{path}.equal"),
        timeout=integer(given.get("timeout", 0), f"{path}.timeout", 0),
    )


# What a cluster knows


def memberships(host: Host) -> Iterator[tuple[NlbCluster, Member]]:
    """The clusters that a host takes part in, one per adapter."""
    for each in host.fleet.state(Clusters).clusters.values():
        if host.name.lower() in each.members:
            yield each, each.members[host.name.lower()]


def adapter_of(host: Host, member: Member) -> Adapter:
    found = host.state(Adapters).get(member.interface)
    if found is None:
        raise LookupError(f"{host.name} has no adapter {member.interface}")
    return found


def mode_of(flags: list[bool]) -> str:
    """The mode that the two settings mean: IGMPSupport counts only with MulticastSupportEnabled."""
    if not flags[0]:
        return "unicast"
    return "igmp_multicast" if flags[1] else "multicast"


def group_of(host: Host, each: NlbCluster) -> str | None:
    """The IGMP group of an IPv4 cluster."""
    if ":" in each.ip:
        return None
    own = host.switches["nlb.multicast_ip"] == "own"
    return ".".join(["239", "192" if own else "255", *each.ip.split(".")[2:]])


def mac_of(host: Host, each: NlbCluster, member: Member) -> str:
    """The cluster's address in the mode that the driver works in, with dashes."""
    if member.mac is not None:
        return member.mac.upper()
    if ":" in each.ip:
        parts = [0x02, 0xBF, *zlib.crc32(ipaddress.ip_address(each.ip).packed).to_bytes(4, "big")]
    else:
        octets = [int(part) for part in each.ip.split(".")]
        parts = [0x03 if member.loaded[0] else 0x02, 0xBF, *octets]
        if mode_of(member.loaded) == "igmp_multicast":
            joined = [int(part) for part in str(group_of(host, each)).split(".")]
            parts = [0x01, 0x00, 0x5E, joined[1] & 0x7F, *joined[2:]]
    return "-".join(f"{part:02X}" for part in parts)


def status_of(host: Host, each: NlbCluster, member: Member) -> int:
    """StatusCode of a host. Hosts in one mode form one cluster; the lowest priority among them is its default host."""
    if member.state:
        return member.state
    if each.stuck and member.converged_at is not None:
        return CONVERGING
    if member.converged_at is not None and host.now() < member.converged_at:
        return CONVERGING
    together = [m for m in each.members.values() if not m.state and mode_of(m.loaded) == mode_of(member.loaded)]
    return DEFAULT if min(together, key=lambda m: m.priority) is member else CONVERGED


def load(host: Host, each: NlbCluster, member: Member) -> None:
    """The driver takes over what is stored: the adapter restarts and all hosts converge anew."""
    before = list(member.loaded)
    member.loaded = list(member.stored)
    if mode_of(before) == mode_of(member.loaded):
        return
    adapter = adapter_of(host, member)
    adapter.mac = adapter.permanent if member.loaded[0] else mac_of(host, each, member)
    each.rules = [rule for rule in each.rules if rule.start not in each.lost_ports]
    ready = host.now() + timedelta(seconds=each.reset_seconds + each.converge_seconds)
    for other in each.members.values():
        other.converged_at = ready
    reset(host, adapter, each.reset_seconds)


@nlb.boot
def restarted(host: Host) -> None:
    for each, member in memberships(host):
        if member.stored != member.loaded:
            load(host, each, member)


# root/MicrosoftNLB


@nlb.available(NAMESPACE)
def installed(host: Host) -> bool:
    return host.has_feature(FEATURE)


def _key(each: NlbCluster, member: Member) -> str:
    return f"{each.ip}:{member.priority}"


@nlb.instances(NAMESPACE, "MicrosoftNLB_ClusterSetting")
def cluster_settings(host: Host) -> Iterator[Instance]:
    dashes = host.switches["nlb.mac_form"] == "dashes"
    shown = False
    for each, member in memberships(host):
        shown = True
        flags = member.stored if host.switches["nlb.pending"] == "shown" else member.loaded
        mac = mac_of(host, each, member)
        told = host.switches["nlb.multicast_ip"] != "absent" and mode_of(flags) == "igmp_multicast"
        yield {
            "AdapterGuid": adapter_of(host, member).guid,
            "Caption": "Cluster Setting",
            "ClusterIPAddress": each.ip,
            "ClusterIPToMulticastIP": True,
            "ClusterMACAddress": mac.lower() if dashes else mac.replace("-", ":"),
            "ClusterName": each.full_name,
            "ClusterNetworkMask": each.mask,
            "IGMPSupport": flags[1],
            "MulticastIPAddress": group_of(host, each) if told else None,
            "MulticastSupportEnabled": flags[0],
            "Name": _key(each, member),
            "RemoteControlEnabled": each.remote_control,
            "UnicastInterHostCommSupportEnabled": each.interhost,
        }
    if not shown and host.switches["nlb.unconfigured"] == "zero":
        adapter = next(iter(host.state(Adapters).adapters.values()))
        yield {
            "AdapterGuid": adapter.guid,
            "ClusterIPAddress": "0.0.0.0",
            "IGMPSupport": False,
            "MulticastSupportEnabled": False,
            "Name": "0.0.0.0:1",
            "UnicastInterHostCommSupportEnabled": False,
        }


@nlb.modify(NAMESPACE, "MicrosoftNLB_ClusterSetting")
def change_settings(host: Host, instance: Instance, changes: Instance) -> None:
    position = host.switches["nlb.setting_put"]
    if position == "refuse":
        raise Fault(Wbem.READ_ONLY, "read-only")
    _, member = _named(host, instance)
    for place, name in enumerate(("MulticastSupportEnabled", "IGMPSupport")):
        if name in changes and position == "accept":
            member.stored[place] = bool(changes[name])


def _named(host: Host, instance: Instance | None) -> tuple[NlbCluster, Member]:
    for each, member in memberships(host):
        if instance is not None and _key(each, member) == instance["Name"]:
            return each, member
    raise Fault(Wbem.NOT_FOUND)


@nlb.method(NAMESPACE, "MicrosoftNLB_ClusterSetting", "LoadAllSettings")
def load_all_settings(host: Host, instance: Instance | None, inputs: Instance) -> Instance:
    each, member = _named(host, instance)
    if host.switches["nlb.restart"] == "needed" and member.stored != member.loaded:
        return {"ReturnValue": RESTART}
    load(host, each, member)
    return {"ReturnValue": OK}


@nlb.instances(NAMESPACE, "MicrosoftNLB_NodeSetting")
def node_settings(host: Host) -> Iterator[Instance]:
    for each, member in memberships(host):
        yield {
            "AdapterGuid": adapter_of(host, member).guid,
            "ClusterModeOnStart": True,
            "DedicatedIPAddress": next(iter(member.dedicated), "0.0.0.0"),
            "DedicatedIPAddresses": list(member.dedicated) or None,
            "HostPriority": member.priority,
            "Name": _key(each, member),
            "NumberOfRules": len(each.rules),
        }


@nlb.instances(NAMESPACE, "MicrosoftNLB_Node")
def nodes(host: Host) -> Iterator[Instance]:
    """This host first; others only where they run and remote control is on ("Enumerating Nodes"), with StatusCode 0."""
    for each, member in memberships(host):
        yield _node(host, each, member, status_of(host, each, member))
        for other in each.members.values():
            there = host.fleet.host(other.host)
            if other is not member and each.remote_control and there.up_at is None:
                yield _node(there, each, other, 0)


def _node(host: Host, each: NlbCluster, member: Member, status: int) -> Instance:
    return {
        "ComputerName": host.name,
        "CreationClassName": "MicrosoftNLB_Node",
        "DedicatedIPAddress": next(iter(member.dedicated), "0.0.0.0"),
        "HostPriority": member.priority,
        "Name": host.name if host.switches["nlb.node_name"] == "computer" else _key(each, member),
        "StatusCode": status,
    }


@nlb.instances(NAMESPACE, "MicrosoftNLB_PortRuleEx")
def port_rules(host: Host) -> Iterator[Instance]:
    for each, member in memberships(host):
        for rule in each.rules:
            yield {
                "AdapterGuid": adapter_of(host, member).guid,
                "Affinity": rule.affinity,
                "ClientStickinessTimeout": rule.timeout,
                "EndPort": rule.end,
                "EqualLoad": rule.equal,
                "FilteringMode": rule.filtering,
                "LoadWeight": rule.weight,
                "Name": _key(each, member),
                "PortState": 1,
                "Priority": rule.priority,
                "Protocol": rule.protocol,
                "StartPort": rule.start,
                "VirtualIpAddress": rule.vip,
            }


# The cmdlets


def has_cmdlets(host: Host) -> bool:
    return host.has_feature(CMDLET_FEATURE) and host.build >= WINDOWS_2008_R2


def _bound(host: Host, parameters: dict[str, Any], cmdlet: str) -> tuple[NlbCluster, Member]:
    wanted = str(parameters.get("InterfaceName", "")).lower()
    for each, member in memberships(host):
        if not wanted or member.interface.lower() == wanted:
            return each, member
    message = f"NLB is not bound to the interface {parameters.get('InterfaceName')}."
    raise Terminating(ErrorRecord(message, "NlbInterfaceNotFound", 13, target=parameters.get("InterfaceName")))


def _denied(name: str) -> ErrorRecord:
    return ErrorRecord(f"Access to the host {name} is denied.", "AccessDenied", 18, target=name)


def _shown_state(host: Host, status: int) -> Any:
    position = host.switches["nlb.node_state"]
    if position == "numbers":
        return status
    word = WORDS[status]
    if position == "names":
        name = word.replace("(default)", "Default")
        return EnumValue(f"{TYPE}NodeState", name, status)
    return word


def _unreachable(host: Host) -> bool:
    return not host.reachable or is_dark(host)


@nlb.cmdlet("Get-NlbClusterNode", available=has_cmdlets)
def get_nodes(host: Host, parameters: dict[str, Any], items: list[Any]) -> Iterator[Any]:
    each, member = _bound(host, parameters, "Get-NlbClusterNode")
    alone = len(each.members) == 1
    denied = not alone and not CALLER.get().delegated
    position = host.switches["nlb.second_hop_nodes"]
    if denied and position == "fails":
        raise Terminating(_denied(each.ip))
    for other in each.members.values():
        there = host.fleet.host(other.host)
        state = _shown_state(host, status_of(there, each, other))
        if other is not member and denied:
            if position == "errors":
                yield _denied(other.host)
                continue
            state = "Unknown"
        elif other is not member and _unreachable(there):
            message = f"The host {other.host} cannot be reached."
            yield ErrorRecord(message, "HostUnreachable", 6, target=other.host)
            continue
        yield PSObject(
            (f"{TYPE}Node",),
            {
                "Cluster": each.full_name,
                "Name": other.host,
                "InterfaceName": other.interface,
                "State": state,
                "HostPriority": other.priority,
            },
            text=other.host,
        )


@nlb.cmdlet("Get-NlbCluster", available=has_cmdlets)
def get_cluster(host: Host, parameters: dict[str, Any], items: list[Any]) -> Iterator[Any]:
    name = str(parameters.get("HostName") or ".")
    there = host if name in (".", host.name) else host.fleet.find_host(name)
    if there is None or (there is not host and _unreachable(there)):
        raise Terminating(ErrorRecord(f"The host {name} cannot be reached.", "HostUnreachable", 6, target=name))
    if there is not host and not CALLER.get().delegated:
        raise Terminating(_denied(name))
    yield _cluster_object(host, *_bound(there, parameters, "Get-NlbCluster"))


def _cluster_object(host: Host, each: NlbCluster, member: Member) -> PSObject:
    shown = {"Name": each.full_name, "IPAddress": each.ip, "SubnetMask": each.mask}
    name = host.switches["nlb.cluster_mode"]
    mode = mode_of(member.loaded).replace("_", "")
    spelled = {"unicast": "Unicast", "multicast": "Multicast", "igmpmulticast": "IgmpMulticast"}[mode]
    if name != "absent":
        shown[name] = spelled
    return PSObject((f"{TYPE}Cluster",), shown, text=each.full_name)


@nlb.cmdlet("Set-NlbCluster", available=has_cmdlets)
def set_cluster(host: Host, parameters: dict[str, Any], items: list[Any]) -> Iterator[Any]:
    """Changes the mode on every host, as the page of the cmdlet says; the caller's account goes on to the others."""
    each, member = _bound(host, parameters, "Set-NlbCluster")
    flags = CLUSTER_MODES[str(parameters["OperationMode"]).lower()]
    others = [other for other in each.members.values() if other is not member]
    denied = bool(others) and not CALLER.get().delegated
    if denied and host.switches["nlb.second_hop"] == "refused":
        raise Terminating(_denied(others[0].host))
    if each.change_seconds:
        yield Wait(each.change_seconds)
    for other in [member] if denied else [*others, member]:
        if other.host == each.breaks_at:
            raise Terminating(ErrorRecord(f"The host {other.host} refused.", "NlbOperationFailed", 7))
        _change(host.fleet.host(other.host), each, other, flags)
    if host.switches["nlb.restart"] == "needed":
        yield WarningMessage(f"The computer {host.name} must be restarted (status {RESTART}).")
    for other in others if denied else []:
        yield _denied(other.host)
    broken = ErrorRecord("The operation on the interface did not complete.", "NlbOperationFailed", 7)
    if host.switches["nlb.answer"] == "fails":
        raise Terminating(broken)
    yield broken if host.switches["nlb.answer"] == "error" else _cluster_object(host, each, member)


def _change(host: Host, each: NlbCluster, member: Member, flags: tuple[bool, bool]) -> None:
    member.stored = list(flags)
    if host.switches["nlb.restart"] == "never":
        load(host, each, member)
