# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Resources and groups of a failover cluster: who owns them, taking them offline and online, private properties.

The cluster itself is in cluster.py, where its section of the fleet file is described. What a resource does when it goes
offline or online belongs to the subsystem that brings it (`kind`): hyperv.py plays virtual machines.
https://learn.microsoft.com/en-us/previous-versions/windows/desktop/cluswmi/mscluster-resource
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from winsim.fleet import Fleet
from winsim.host import Host
from winsim.switches import declare

from . import CALLER, Embedded, EnumValue, ErrorRecord, Fault, Instance, Provider, PSObject, Reference, Wbem, from_win32
from .cluster import FEATURE, NAMESPACE, WINDOWS_2008_R2, Cluster, Owned, active_cluster, cluster_of

__all__ = [
    "FAILED",
    "OFFLINE",
    "OFFLINE_PENDING",
    "ONLINE",
    "ONLINE_PENDING",
    "Kind",
    "after",
    "kind",
    "move",
    "settle",
]

cluster_resources = Provider("cluster_resources")

ONLINE, OFFLINE, FAILED, ONLINE_PENDING, OFFLINE_PENDING = 2, 3, 4, 129, 130
STATES = {2: "Online", 3: "Offline", 4: "Failed", 129: "OnlinePending", 130: "OfflinePending"}
ERROR_IO_PENDING = 997
ERROR_INVALID_STATE = 5023
MEGABYTE = 1024**2
PROPERTY = "MSCluster_Property"
CLUSTER_EXCEPTION = ("Microsoft.FailoverClusters.PowerShell.ClusterCmdletException", "System.Exception")

declare(
    "cluster_resources.private_properties",
    {
        "nested": "the embedded object shows its members as elements",
        "absent": "PrivateProperties is null in every answer",
        "text": "PrivateProperties is one text, in CIM-XML",
    },
    open_question="how the embedded PrivateProperties are written in answers",
    page="snapshot_offline_action",
)
declare(
    "cluster_resources.set_parameter",
    {
        "any": "Set-ClusterParameter works over any connection",
        "delegated": "it is denied in a session without delegated credentials",
    },
    open_question="whether Set-ClusterParameter works in a session without delegated credentials",
    page="snapshot_offline_action",
)
declare(
    "cluster_resources.group_property",
    {
        "accept": "a group takes a private property it does not know, with -Create",
        "refuse": "it refuses one",
    },
    open_question="whether a cluster group takes an unknown private property",
    page="snapshot_offline_action",
)
declare(
    "cluster_resources.pending",
    {
        "returns": "TakeOffline and BringOnline return while the resource is still pending",
        "fault": "they end with HRESULT_FROM_WIN32(ERROR_IO_PENDING) then",
    },
    open_question="how TakeOffline and BringOnline end when their TimeOut passes before the transition",
    page="snapshot_offline_action",
)


@dataclass(frozen=True)
class Kind:
    """What resources of a type do when the cluster starts or stops them: each sets the state and calls `after`."""

    offline: Callable[[Fleet, Cluster, Owned], None]
    online: Callable[[Fleet, Cluster, Owned], None]
    moved: Callable[[Fleet, Cluster, Owned, str], None]


_kinds: dict[str, Kind] = {}


def kind(name: str, behaviour: Kind) -> None:
    """Say how resources of a type behave."""
    _kinds[name] = behaviour


def after(fleet: Fleet, resource: Owned, seconds: float, action: Callable[[], None]) -> None:
    """Let `action` end the transition that the resource is in, unless another one began meanwhile."""
    due = fleet.clock.now() + timedelta(seconds=seconds)
    resource.due = due

    def end() -> None:
        if resource.due == due:
            resource.due = None
            action()

    fleet.clock.at(due, end)


def settle(resource: Owned, state: int) -> None:
    """The resource is in a state that lasts."""
    resource.state, resource.due = state, None


def move(fleet: Fleet, each: Cluster, group: str, node: str) -> None:
    """The group moves to another node, with all its resources."""
    owned = each.groups[group.lower()]
    before, owned.node = owned.node, node
    for resource in _members(each, owned):
        behaviour = _kinds.get(resource.type)
        if behaviour is not None and before.lower() != node.lower():
            behaviour.moved(fleet, each, resource, node)


@cluster_resources.stopping
def leave(host: Host) -> None:
    """A node goes down: the groups it owns move to one that is up, or wait for it."""
    each = cluster_of(host)
    if each is None:
        return
    nodes = [host.fleet.find_host(name) for name in each.nodes]
    successor = next((node for node in nodes if node is not None and node is not host and node.reachable), None)
    if successor is None:
        return
    for group in each.groups.values():
        if group.node.lower() == host.name.lower():
            move(host.fleet, each, group.name, successor.name)


def _members(each: Cluster, group: Owned) -> list[Owned]:
    return [resource for resource in each.resources.values() if resource.group.lower() == group.name.lower()]


def _owner(each: Cluster, resource: Owned) -> str:
    """The node that owns a resource; one without a group belongs to the first node."""
    group = each.groups.get(resource.group.lower())
    named = group.node if group is not None else ""
    return named or next(iter(each.nodes.values())).name


def _private(host: Host, owned: Owned) -> Embedded | str | None:
    position = host.switches["cluster_resources.private_properties"]
    if position == "absent":
        return None
    if position == "text":
        values = "".join(
            f'<PROPERTY NAME="{name}" TYPE="{"uint32" if isinstance(value, int) else "string"}">'
            f"<VALUE>{value}</VALUE></PROPERTY>"
            for name, value in owned.private.items()
        )
        return f'<INSTANCE CLASSNAME="{PROPERTY}">{values}</INSTANCE>'
    return Embedded(PROPERTY, dict(owned.private))


# root/MSCluster


@cluster_resources.instances(NAMESPACE, "MSCluster_Resource")
def resources(host: Host) -> Iterator[Instance]:
    each = active_cluster(host)
    for resource in each.resources.values() if each is not None else ():
        yield {
            "Caption": resource.name,
            "CoreResource": False,
            "DeadlockTimeout": 300000,
            "IsAlivePollInterval": 0xFFFFFFFF,
            "IsClusterSharedVolume": False,
            "LooksAlivePollInterval": 0xFFFFFFFF,
            "Name": resource.name,
            "OwnerGroup": resource.group,
            "OwnerNode": _owner(each, resource) if each is not None else None,
            "PendingTimeout": resource.pending_timeout,
            "PersistentState": resource.state == ONLINE,
            "PrivateProperties": _private(host, resource),
            "RestartAction": 2,
            "RestartDelay": 500,
            "RestartPeriod": 900000,
            "RestartThreshold": 1,
            "RetryPeriodOnFailure": 3600000,
            "SeparateMonitor": False,
            "State": resource.state,
            "Status": "OK",
            "Type": resource.type or "Physical Disk",
        }


@cluster_resources.instances(NAMESPACE, "MSCluster_ResourceGroup")
def groups(host: Host) -> Iterator[Instance]:
    each = active_cluster(host)
    for group in each.groups.values() if each is not None else ():
        states = {resource.state for resource in _members(each, group)} if each is not None else set()
        yield {
            "Caption": group.name,
            "GroupType": 111,
            "IsCore": False,
            "Name": group.name,
            "OwnerNode": group.node or None,
            "PersistentState": True,
            "PrivateProperties": _private(host, group),
            "State": 0 if states <= {ONLINE} else 1 if states <= {OFFLINE} else 3,
            "Status": "OK",
        }


def _reference(cls: str, **keys: str) -> Reference:
    return Reference(NAMESPACE, cls, keys)


@cluster_resources.instances(NAMESPACE, "MSCluster_NodeToActiveResource")
def node_to_resource(host: Host) -> Iterator[Instance]:
    each = active_cluster(host)
    for resource in each.resources.values() if each is not None else ():
        assert each is not None
        yield {
            "GroupComponent": _reference("MSCluster_Node", Name=_owner(each, resource)),
            "PartComponent": _reference("MSCluster_Resource", Name=resource.name),
        }


@cluster_resources.instances(NAMESPACE, "MSCluster_ResourceGroupToResource")
def group_to_resource(host: Host) -> Iterator[Instance]:
    each = active_cluster(host)
    for resource in each.resources.values() if each is not None else ():
        if resource.group:
            yield {
                "GroupComponent": _reference("MSCluster_ResourceGroup", Name=resource.group),
                "PartComponent": _reference("MSCluster_Resource", Name=resource.name),
            }


@cluster_resources.instances(NAMESPACE, "MSCluster_ResourceToPossibleOwner")
def possible_owners(host: Host) -> Iterator[Instance]:
    each = active_cluster(host)
    for resource in each.resources.values() if each is not None else ():
        assert each is not None
        for node in resource.possible_owners or [node.name for node in each.nodes.values()]:
            yield {
                "GroupComponent": _reference("MSCluster_Resource", Name=resource.name),
                "PartComponent": _reference("MSCluster_Node", Name=node),
            }


def _volume_guid(path: str) -> str:
    return f"\\\\?\\Volume{{{uuid.uuid5(uuid.NAMESPACE_DNS, path.lower())}}}"


@cluster_resources.instances(NAMESPACE, "MSCluster_ClusterSharedVolume")
def shared_volumes(host: Host) -> Iterator[Instance]:
    each = active_cluster(host) if host.build >= WINDOWS_2008_R2 else None
    for volume in each.shared_volumes.values() if each is not None else ():
        yield {
            "BackupState": 0,
            "Caption": volume.path,
            "FaultState": 0,
            "Name": volume.path,
            "VolumeName": _volume_guid(volume.path) + "\\",
        }


@cluster_resources.instances(NAMESPACE, "MSCluster_DiskPartition")
def partitions(host: Host) -> Iterator[Instance]:
    each = active_cluster(host)
    for volume in each.shared_volumes.values() if each is not None else ():
        yield {
            "FileSystem": "NTFS",
            "FreeSpace": volume.free // MEGABYTE,
            "Name": _volume_guid(volume.path),
            "Path": _volume_guid(volume.path),
            "TotalSize": volume.size // MEGABYTE,
            "VolumeGuid": _volume_guid(volume.path),
        }


@cluster_resources.instances(NAMESPACE, "MSCluster_ClusterSharedVolumeToPartition")
def volume_to_partition(host: Host) -> Iterator[Instance]:
    for volume in shared_volumes(host):
        yield {
            "GroupComponent": _reference("MSCluster_ClusterSharedVolume", Name=volume["Name"]),
            "PartComponent": _reference("MSCluster_DiskPartition", Path=volume["VolumeName"].rstrip("\\")),
        }


def _named(host: Host, instance: Instance | None) -> tuple[Cluster, Owned]:
    each = active_cluster(host)
    if each is None or instance is None:
        raise Fault(Wbem.NOT_FOUND)
    return each, each.resources[str(instance["Name"]).lower()]


@cluster_resources.method(NAMESPACE, "MSCluster_Resource", "TakeOffline")
def take_offline(host: Host, instance: Instance | None, inputs: Instance) -> Instance:
    each, resource = _named(host, instance)
    if resource.state == OFFLINE:
        return {}
    if resource.state in (ONLINE_PENDING, OFFLINE_PENDING):
        raise Fault(from_win32(ERROR_INVALID_STATE), "The resource is in the wrong state.")
    behaviour = _kinds.get(resource.type)
    if behaviour is None or resource.state == FAILED:
        settle(resource, OFFLINE)
    else:
        behaviour.offline(host.fleet, each, resource)
    return _ended(host, resource)


@cluster_resources.method(NAMESPACE, "MSCluster_Resource", "BringOnline")
def bring_online(host: Host, instance: Instance | None, inputs: Instance) -> Instance:
    each, resource = _named(host, instance)
    if resource.state == ONLINE:
        return {}
    if resource.state in (ONLINE_PENDING, OFFLINE_PENDING):
        raise Fault(from_win32(ERROR_INVALID_STATE), "The resource is in the wrong state.")
    behaviour = _kinds.get(resource.type)
    if behaviour is None:
        settle(resource, ONLINE)
    else:
        behaviour.online(host.fleet, each, resource)
    return _ended(host, resource)


def _ended(host: Host, resource: Owned) -> Instance:
    # The answer never waits here: a TimeOut that passes first looks the same.
    if resource.due is not None and host.switches["cluster_resources.pending"] == "fault":
        raise Fault(from_win32(ERROR_IO_PENDING), "Overlapped I/O operation is in progress.")
    return {}


# Cmdlets


def _has_cmdlets(host: Host) -> bool:
    return host.build >= WINDOWS_2008_R2 and host.has_feature(FEATURE)


def _found(host: Host, parameters: dict[str, Any], owned: dict[str, Owned], what: str) -> Iterator[Owned | ErrorRecord]:
    names = parameters.get("Name")
    for name in [str(each) for each in names] if names else [each.name for each in owned.values()]:
        if name.lower() in owned:
            yield owned[name.lower()]
        else:
            yield ErrorRecord(
                f"An error occurred opening {what} '{name}'.", "ClusterObjectNotFound", 13, CLUSTER_EXCEPTION, name
            )


def _active(host: Host) -> Cluster:
    each = active_cluster(host)
    if each is None:
        raise Fault(from_win32(1753), "The cluster service is not running.")
    return each


@cluster_resources.cmdlet("Get-ClusterResource", available=_has_cmdlets)
def get_resource(host: Host, parameters: dict[str, Any], given: list[Any]) -> Iterator[Any]:
    each = _active(host)
    for found in _found(host, parameters, each.resources, "resource"):
        if isinstance(found, ErrorRecord):
            yield found
            continue
        yield PSObject(
            ("Microsoft.FailoverClusters.PowerShell.ClusterResource",),
            {
                "Name": found.name,
                "State": _state("ClusterResourceState", found.state),
                "OwnerGroup": found.group,
                "OwnerNode": _owner(each, found),
                "ResourceType": found.type,
            },
            text=found.name,
        )


@cluster_resources.cmdlet("Get-ClusterGroup", available=_has_cmdlets)
def get_group(host: Host, parameters: dict[str, Any], given: list[Any]) -> Iterator[Any]:
    each = _active(host)
    for found in _found(host, parameters, each.groups, "group"):
        if isinstance(found, ErrorRecord):
            yield found
            continue
        yield PSObject(
            ("Microsoft.FailoverClusters.PowerShell.ClusterGroup",),
            {"Name": found.name, "OwnerNode": found.node},
            text=found.name,
        )


def _state(of: str, number: int) -> EnumValue:
    return EnumValue(f"Microsoft.FailoverClusters.PowerShell.{of}", STATES.get(number, str(number)), number)


def _of_input(host: Host, given: list[Any]) -> tuple[Owned, bool]:
    """The object in the pipeline, and whether it is a group."""
    each, item = _active(host), given[0] if given else None
    if isinstance(item, PSObject) and item.types:
        name = str(item.properties["Name"]).lower()
        if item.types[0].endswith("ClusterGroup"):
            return each.groups[name], True
        if item.types[0].endswith("ClusterResource"):
            return each.resources[name], False
    raise Fault(from_win32(87), "The parameter is incorrect.")


@cluster_resources.cmdlet("Get-ClusterParameter", available=_has_cmdlets)
def get_parameter(host: Host, parameters: dict[str, Any], given: list[Any]) -> Iterator[Any]:
    owned, _ = _of_input(host, given)
    wanted = [str(name).lower() for name in parameters.get("Name") or owned.private]
    for name, value in owned.private.items():
        if name.lower() in wanted:
            yield PSObject(
                ("Microsoft.FailoverClusters.PowerShell.ClusterParameter",),
                {
                    "ClusterObject": owned.name,
                    "Name": name,
                    "IsReadOnly": False,
                    "ParameterType": "UInt32" if isinstance(value, int) else "String",
                    "Value": value,
                },
                text=name,
            )


@cluster_resources.cmdlet("Set-ClusterParameter", available=_has_cmdlets)
def set_parameter(host: Host, parameters: dict[str, Any], given: list[Any]) -> Iterable[Any]:
    owned, is_group = _of_input(host, given)
    name = str(parameters["Name"])
    if host.switches["cluster_resources.set_parameter"] == "delegated" and not CALLER.get().delegated:
        yield ErrorRecord("Access is denied.", "ClusterAccessDenied", 28, CLUSTER_EXCEPTION, owned.name)
        return
    own = next((known for known in owned.private if known.lower() == name.lower()), None)
    if parameters.get("Delete"):
        if own is None:
            yield _refused(owned, name)
        else:
            del owned.private[own]
        return
    refuses = is_group and host.switches["cluster_resources.group_property"] == "refuse"
    if own is None and (refuses or not parameters.get("Create")):
        yield _refused(owned, name)
        return
    value = parameters["Value"]
    owned.private[own or name] = value if isinstance(value, int) else str(value)


def _refused(owned: Owned, name: str) -> ErrorRecord:
    return ErrorRecord(
        f"The parameter '{name}' does not exist on the cluster object '{owned.name}'.",
        "ClusterParameterNotFound",
        5,
        CLUSTER_EXCEPTION,
        owned.name,
    )
