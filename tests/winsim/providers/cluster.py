# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Failover clusters (root/MSCluster, cluster.exe). A cluster is shared by its nodes; ClusSvc makes a host take part.

Section `clusters` of the fleet file:

    clusters:
      CL1:
        nodes: [N1, N2]                              # or {N1: {state: Paused}, N9: {build: 14393, state: Down}}
        HangRecoveryAction: 3                        # and the other properties in DEFAULTS below
        ClusSvcHangTimeout: 60
        resources: {Disk 1: {DeadlockTimeout: 300000}}     # private properties
        groups: {VM 1: {}}
        shared_volumes: {'C:\\ClusterStorage\\Volume1': {size: 1 TiB, free: 800 GiB}}

A node that is a host of the fleet is Up while that host runs ClusSvc, Joining while the service starts, else Down,
unless its state here is Paused, Joining or Down. Other nodes have a build and a state of their own. Failover-Clustering
counts as installed on every node; on a host that is in no cluster it is a feature in `features`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from winsim.fleet import Fleet, integer, mapping, refuse, size, text
from winsim.host import NEWEST_BUILD, OLDEST_BUILD, Host, release_of
from winsim.switches import declare

from . import Fault, Instance, Output, Provider, Shape, Wbem, from_win32
from . import services as service_provider
from .eventlog import record
from .operating_system import bugcheck
from .services import Service, ServicesState

__all__ = ["Cluster", "Clusters", "Node", "Owned", "cluster_of", "hang", "highest_action"]

cluster = Provider("cluster")

NAMESPACE = "root/MSCluster"
FEATURE = "Failover-Clustering"
COMMAND_FEATURE = "RSAT-Clustering-CmdInterface"
EVENT_SOURCE = "Microsoft-Windows-FailoverClustering"
SERVICE = "ClusSvc"

UP, DOWN, PAUSED, JOINING = 0, 1, 2, 3
STATES = {"Up": UP, "Down": DOWN, "Paused": PAUSED, "Joining": JOINING}
DISABLED, LOG, TERMINATE, BUGCHECK, BUGCHECK_ALL, DEBUG_BREAK, LIVE_DUMP = range(7)
USER_MODE_HEALTH_MONITOR = 0x9E
WINDOWS_2008_R2, WINDOWS_2012, WINDOWS_2012_R2, WINDOWS_10_1703 = 7600, 9200, 9600, 15063

ERROR_INVALID_PARAMETER = 87
EPT_S_NOT_REGISTERED = 1753
ERROR_RESOURCE_NOT_FOUND = 5007
ERROR_GROUP_NOT_FOUND = 5013
ERROR_CLUSTER_NODE_DOWN = 5050

declare(
    "cluster.stopped",
    {
        "fault": "queries fail with HRESULT_FROM_WIN32(EPT_S_NOT_REGISTERED): the cluster service has no endpoint",
        "node_down": "queries fail with HRESULT_FROM_WIN32(ERROR_CLUSTER_NODE_DOWN)",
        "empty": "queries return no instances",
    },
    open_question="how root/MSCluster answers while the Cluster service of the host does not run",
    page="hang_recovery",
)
declare(
    "cluster.hang_timeout_put",
    {
        "refuse": "a Put of ClusSvcHangTimeout is refused as read-only",
        "ignore": "it succeeds and changes nothing",
        "accept": "it sets the property",
    },
    open_question="whether the provider takes ClusSvcHangTimeout in a Put; both reference pages say read-only",
    page="hang_recovery",
)
declare(
    "cluster.hang_timeout_2008",
    {"absent": "the class of Windows Server 2008 lacks ClusSvcHangTimeout", "present": "it has it"},
    open_question="whether Windows Server 2008 has ClusSvcHangTimeout; the reference dates it from 2008 R2 on",
    page="hang_recovery",
)
declare(
    "cluster.live_dump_from",
    {
        "15063": "HangRecoveryAction 6 is accepted from build 15063 on",
        "9600": "2012 R2 and 2016 accept it too",
    },
    open_question="whether Windows Server 2012 R2 and 2016 accept HangRecoveryAction 6",
    page="hang_recovery",
)
declare(
    "cluster.live_dump_trace",
    {
        "events": "a live dump leaves events 4870 and 7031, as terminate_service does",
        "none": "it leaves neither",
    },
    open_question="which events HangRecoveryAction 6 leaves behind",
    page="hang_recovery",
)


@dataclass
class Node:
    """A node. `build` counts only where the fleet has no host of this name; so does `state` Up."""

    name: str
    id: int
    build: int
    state: int = UP


@dataclass
class Owned:
    """A resource or group: its private properties by name.

    What a clustered virtual machine needs besides (`cluster_resources`): a resource has a `type`, a `state`, a `group`,
    and `due`, when the transition it is in ends; a group has the `node` that owns it. `pending_timeout` in ms.
    """

    name: str
    private: dict[str, int | str] = field(default_factory=dict)
    type: str = ""
    state: int = 2
    group: str = ""
    node: str = ""
    pending_timeout: int = 180000
    possible_owners: list[str] = field(default_factory=list)
    due: datetime | None = None


@dataclass
class SharedVolume:
    """A Cluster Shared Volume; sizes in bytes."""

    path: str
    size: int
    free: int


@dataclass
class Cluster:
    """What the nodes share. `properties` are those of MSCluster_Cluster that can differ; any value may be set here."""

    name: str
    nodes: dict[str, Node] = field(default_factory=dict)
    properties: dict[str, int | str] = field(default_factory=dict)
    resources: dict[str, Owned] = field(default_factory=dict)
    groups: dict[str, Owned] = field(default_factory=dict)
    shared_volumes: dict[str, SharedVolume] = field(default_factory=dict)

    @property
    def hang_recovery_action(self) -> int:
        return int(self.properties["HangRecoveryAction"])

    @property
    def hang_timeout(self) -> int:
        return int(self.properties["ClusSvcHangTimeout"])


@dataclass
class Clusters:
    """Clusters by lower-case name."""

    clusters: dict[str, Cluster] = field(default_factory=dict)

    def get(self, name: str) -> Cluster | None:
        return self.clusters.get(name.lower())


# Documented defaults of the cluster common properties that every version has.
DEFAULTS: dict[str, int | str] = {
    "Description": "",
    "ClusSvcHangTimeout": 60,
    "DefaultNetworkRole": 3,
    "QuorumArbitrationTimeMax": 20,
    "QuorumArbitrationTimeMin": 7,
    "CrossSubnetDelay": 1000,
    "CrossSubnetThreshold": 5,
    "SameSubnetDelay": 1000,
    "SameSubnetThreshold": 5,
    "ClusterLogSize": 300,
    "ClusterLogLevel": 3,
    "AddEvictDelay": 60,
    "FixQuorum": 0,
    "ShutdownTimeoutInMinutes": 20,
}
RANGES = {"ClusSvcHangTimeout": (6, 0xFFFFFFFF)}


# The fleet file


@cluster.shared("clusters", Clusters)
def build(fleet: Fleet, data: Any, path: str) -> Clusters:
    clusters = Clusters()
    for name, given in mapping(data, path).items():
        clusters.clusters[name.lower()] = _cluster(fleet, name, given, f"{path}.{name}")
    members = [node for each in clusters.clusters.values() for node in each.nodes]
    for name in members:
        if members.count(name) > 1:
            refuse(path, f"{name} is a node of two clusters")
    return clusters


def _cluster(fleet: Fleet, name: str, data: Any, path: str) -> Cluster:
    given = mapping(data, path, {"nodes", "resources", "groups", "shared_volumes", "HangRecoveryAction", *DEFAULTS})
    nodes = given.pop("nodes", None)
    entries = dict.fromkeys(nodes) if isinstance(nodes, list) else mapping(nodes, f"{path}.nodes")
    if not entries:
        refuse(f"{path}.nodes", "a cluster needs at least one node")
    made = Cluster(name)
    for index, (node, entry) in enumerate(entries.items(), 1):
        made.nodes[node.lower()] = _node(fleet, node, index, entry, f"{path}.nodes.{node}")
    for kind, owned in (("resources", made.resources), ("groups", made.groups)):
        for each, private in mapping(given.pop(kind, None), f"{path}.{kind}").items():
            owned[each.lower()] = Owned(each, dict(mapping(private, f"{path}.{kind}.{each}")))
    for each, volume in mapping(given.pop("shared_volumes", None), f"{path}.shared_volumes").items():
        made.shared_volumes[each.lower()] = _shared_volume(each, volume, f"{path}.shared_volumes.{each}")
    made.properties = {**DEFAULTS, "HangRecoveryAction": default_action(fleet, made)}
    for key, value in given.items():
        right = text(value, f"{path}.{key}") if key == "Description" else integer(value, f"{path}.{key}", 0, 2**32 - 1)
        made.properties[key] = right
    return made


def _shared_volume(path_of_volume: str, data: Any, path: str) -> SharedVolume:
    given = mapping(data, path, {"size", "free"})
    total = size(given.get("size", "1 TiB"), f"{path}.size")
    return SharedVolume(path_of_volume, total, size(given.get("free", total // 2), f"{path}.free"))


def _node(fleet: Fleet, name: str, number: int, data: Any, path: str) -> Node:
    given = mapping(data, path, {"state", "build"})
    host = fleet.find_host(name)
    if host is not None:
        if "build" in given:
            refuse(f"{path}.build", "the build of a host of the fleet stands with the host")
        if not host.has_feature(FEATURE):
            host.profile.features.append(FEATURE)
    build_number = integer(given.get("build", 20348), f"{path}.build", OLDEST_BUILD, NEWEST_BUILD)
    state = STATES[text(given.get("state", "Up"), f"{path}.state", STATES)]
    return Node(host.name if host is not None else name, number, build_number, state)


@service_provider.contributes
def cluster_service(host: Host) -> Iterable[Service]:
    if not host.has_feature(FEATURE):
        return
    member = cluster_of(host) is not None
    yield Service(
        SERVICE,
        service_provider.display_name(host, "Cluster Service", "Clusterdienst"),
        "C:\\Windows\\Cluster\\clussvc.exe -s",
        state="Running" if member else "Stopped",
        start_mode="Auto" if member else "Disabled",
        depends_on=["RpcSs"],
        start_seconds=10.0,
        stop_seconds=5.0,
        boot_seconds=10.0,
        restart_seconds=60.0,
    )


# What a cluster knows


def cluster_of(host: Host) -> Cluster | None:
    """The cluster this host is a node of, whether or not it runs."""
    for each in host.fleet.state(Clusters).clusters.values():
        if host.name.lower() in each.nodes:
            return each
    return None


def build_of(fleet: Fleet, node: Node) -> int:
    host = fleet.find_host(node.name)
    return node.build if host is None else host.build


def lowest_build(fleet: Fleet, each: Cluster) -> int:
    return min(build_of(fleet, node) for node in each.nodes.values())


def highest_action(host: Host, each: Cluster) -> int:
    """The highest HangRecoveryAction that the oldest node accepts."""
    build_number = lowest_build(host.fleet, each)
    if build_number >= int(host.switches["cluster.live_dump_from"]):
        return LIVE_DUMP
    return DEBUG_BREAK if build_number >= WINDOWS_2012 else BUGCHECK


def default_action(fleet: Fleet, each: Cluster) -> int:
    return LIVE_DUMP if lowest_build(fleet, each) >= WINDOWS_10_1703 else BUGCHECK


def state_of(fleet: Fleet, node: Node) -> int:
    """MSCluster_Node.State: what is said of the node, unless its host shows otherwise."""
    host = fleet.find_host(node.name)
    if host is None or node.state in (DOWN, JOINING):
        return node.state
    service = host.state(ServicesState).get(SERVICE)
    if host.up_at is not None or service is None or service.state not in ("Running", "Start Pending"):
        return DOWN
    return JOINING if service.state == "Start Pending" else node.state


def active_cluster(host: Host) -> Cluster | None:
    """The cluster the host takes part in now; None if the answer is empty; a fault as the switch says."""
    each = cluster_of(host)
    if each is not None and service_provider.running(host, SERVICE):
        return each
    position = host.switches["cluster.stopped"]
    if position == "empty":
        return None
    number = ERROR_CLUSTER_NODE_DOWN if position == "node_down" else EPT_S_NOT_REGISTERED
    raise Fault(
        from_win32(number), _text(host, "The cluster service is not running.", "Der Clusterdienst läuft nicht.")
    )


def _text(host: Host, english: str, german: str) -> str:
    return german if host.language == "de-DE" else english


def set_property(host: Host, each: Cluster, name: str, value: int | str) -> bool:
    """Set a common property of the cluster; False if the value is out of range."""
    low, high = RANGES.get(name, (0, 0xFFFFFFFF))
    if name == "HangRecoveryAction":
        high = highest_action(host, each)
    if isinstance(value, int) and not low <= value <= high:
        return False
    each.properties[name] = value
    return True


# root/MSCluster


@cluster.available(NAMESPACE)
def installed(host: Host) -> bool:
    return host.has_feature(FEATURE)


@cluster.shape(NAMESPACE, "MSCluster_Cluster")
def cluster_shape(host: Host) -> Shape:
    timeout = frozenset({"ClusSvcHangTimeout"})
    old = host.build < WINDOWS_2008_R2
    shown = not old or host.switches["cluster.hang_timeout_2008"] == "present"
    return Shape(
        present=timeout if old and shown else frozenset(),
        absent=frozenset() if shown else timeout,
        writable=timeout if shown and host.switches["cluster.hang_timeout_put"] != "refuse" else frozenset(),
    )


@cluster.instances(NAMESPACE, "MSCluster_Cluster")
def clusters(host: Host) -> Iterator[Instance]:
    each = active_cluster(host)
    if each is None:
        return
    yield {
        "Caption": each.name,
        "CreationClassName": "MSCluster_Cluster",
        "Name": each.name,
        "Fqdn": f"{each.name}.{host.domain}" if host.domain else each.name,
        "MaxNumberOfNodes": 64 if host.build >= WINDOWS_2012 else 16,
        "QuorumType": "Majority",
        "SharedVolumesRoot": "C:\\ClusterStorage",
        "Status": "OK",
        **each.properties,
    }


@cluster.modify(NAMESPACE, "MSCluster_Cluster")
def change_cluster(host: Host, instance: Instance, changes: Instance) -> None:
    each = active_cluster(host)
    if each is None:
        raise Fault(Wbem.NOT_FOUND)
    accepted = dict(changes)
    if "ClusSvcHangTimeout" in accepted:
        position = host.switches["cluster.hang_timeout_put"]
        if position == "refuse":
            raise Fault(Wbem.READ_ONLY, "ClusSvcHangTimeout is read-only")
        if position == "ignore":
            del accepted["ClusSvcHangTimeout"]
    before = dict(each.properties)
    for name, value in accepted.items():
        if not set_property(host, each, name, value):
            each.properties = before
            raise Fault(from_win32(ERROR_INVALID_PARAMETER), _text(host, "Wrong parameter.", "Falscher Parameter."))


@cluster.instances(NAMESPACE, "MSCluster_Node")
def nodes(host: Host) -> Iterator[Instance]:
    each = active_cluster(host)
    for node in each.nodes.values() if each is not None else ():
        number = build_of(host.fleet, node)
        release = release_of(number)
        yield {
            "BuildNumber": number,
            "Caption": node.name,
            "CreationClassName": "MSCluster_Node",
            "CSDVersion": "",
            "DynamicWeight": 1,
            "Id": str(node.id),
            "MajorVersion": release.major,
            "MinorVersion": release.minor,
            "Name": node.name,
            "NodeDrainStatus": 0,
            "NodeInstanceID": f"00000000-0000-0000-0000-{node.id:012}",
            "NodeWeight": 1,
            "State": state_of(host.fleet, node),
            "Status": "OK",
        }


# cluster.exe


def has_cluster_exe(host: Host) -> bool:
    return host.has_feature(COMMAND_FEATURE) or (host.build < WINDOWS_2012 and host.has_feature(FEATURE))


@cluster.process("cluster.exe", available=has_cluster_exe)
def cluster_exe(host: Host, arguments: list[str], stdin: str) -> Output:
    """`[cluster] /prop [Name=value]`, `resource R /priv [Name=value[:type]]`, `group G /priv ...`; exits 0 or Win32."""
    words = list(arguments)
    each = cluster_of(host)
    if each is None or not service_provider.running(host, SERVICE):
        return _failed(host, EPT_S_NOT_REGISTERED)
    named = words and not words[0].startswith("/") and words[0].lower() not in ("resource", "res", "group")
    if named and words.pop(0).lower() not in (each.name.lower(), "."):
        return _failed(host, EPT_S_NOT_REGISTERED)
    if len(words) >= 1 and words[0].lower() in ("/prop", "/properties"):
        return _properties(host, each, words[1:])
    if len(words) >= 3 and words[2].lower().partition(":")[0] in ("/priv", "/privproperties"):
        group = words[0].lower() == "group"
        owned = (each.groups if group else each.resources).get(words[1].lower())
        if owned is None:
            return _failed(host, ERROR_GROUP_NOT_FOUND if group else ERROR_RESOURCE_NOT_FOUND)
        one = words[2].partition(":")[2]
        if one:
            return _default(host, owned, one, words[3:])
        strict = group and host.switches["cluster_resources.group_property"] == "refuse"
        return _private(host, owned, words[3:], strict=strict)
    return _failed(host, ERROR_INVALID_PARAMETER)


def _properties(host: Host, each: Cluster, words: list[str]) -> Output:
    def write(name: str, value: int | str) -> bool:
        known = {own.lower(): own for own in each.properties}.get(name.lower())
        if known is None or type(value) is not type(each.properties[known]):
            return False
        return set_property(host, each, known, value)

    return _write_all(host, words, write) if words else _listing(each.name, each.properties)


def _private(host: Host, owned: Owned, words: list[str], *, strict: bool) -> Output:
    """strict: a property that is not there is refused."""

    def write(name: str, value: int | str) -> bool:
        own = next((known for known in owned.private if known.lower() == name.lower()), None)
        if own is None and strict:
            return False
        owned.private[own or name] = value
        return True

    return _write_all(host, words, write) if words else _listing(owned.name, owned.private)


def _default(host: Host, owned: Owned, name: str, words: list[str]) -> Output:
    """`/priv:Name /usedefault`: the property gets its default back; one that the cluster does not know is gone."""
    own = next((known for known in owned.private if known.lower() == name.lower()), None)
    if own is None or [word.lower() for word in words] != ["/usedefault"]:
        return _failed(host, ERROR_INVALID_PARAMETER)
    del owned.private[own]
    return Output()


def _write_all(host: Host, words: list[str], write: Callable[[str, int | str], bool]) -> Output:
    for word in words:
        name, equals, given = word.partition("=")
        value = _given(given)
        if not equals or value is None or not write(name, value):
            return _failed(host, ERROR_INVALID_PARAMETER)
    return Output()


def _given(written: str) -> int | str | None:
    """The value of `value[:type]`: a number for dword, without a type a number where it looks like one; None: wrong."""
    value, _, kind = written.rpartition(":")
    if kind.lower() not in ("dword", "str", "string"):
        value, kind = written, "dword" if written[:1].isdigit() else "string"
    if kind.lower() != "dword":
        return value.strip('"')
    try:
        number = int(value, 0)
    except ValueError:
        return None
    return number if 0 <= number <= 0xFFFFFFFF else None


def _listing(name: str, properties: dict[str, int | str]) -> Output:
    lines = [f"{name}  {key}  {value}" for key, value in properties.items()]
    return Output("\r\n".join([*lines, ""]))


def _failed(host: Host, number: int) -> Output:
    said = _text(host, f"System error {number} has occurred (0x{number:08x}).", f"Systemfehler {number} aufgetreten.")
    return Output(f"{said}\r\n", exit_code=number)


# Hangs


def hang(host: Host, process: str = "C:\\Windows\\System32\\svchost.exe", pid: int = 4711) -> None:
    """The host's user mode hangs: what HangRecoveryAction says happens, and leaves the trace it leaves."""
    each = cluster_of(host)
    if each is None or not service_provider.running(host, SERVICE):
        return
    action, seconds = each.hang_recovery_action, each.hang_timeout
    leaves_events = action == TERMINATE or host.switches["cluster.live_dump_trace"] == "events"
    if action == LOG:
        record(host, "System", EVENT_SOURCE, 4869, [process, str(pid), str(seconds)])
    elif action in (TERMINATE, LIVE_DUMP):
        if leaves_events:
            record(host, "System", EVENT_SOURCE, 4870, [str(pid), str(seconds)])
        service_provider.crash(host, SERVICE, recorded=leaves_events)
    elif action in (BUGCHECK, BUGCHECK_ALL):
        source = 5 if lowest_build(host.fleet, each) >= WINDOWS_2012 else 0
        bugcheck(host, USER_MODE_HEALTH_MONITOR, (0xFFFFFA8004711040, seconds, source, 0))
    elif action == DEBUG_BREAK:
        host.power_off()
