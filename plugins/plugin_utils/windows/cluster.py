# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Failover clusters, root/MSCluster. For this collection only.

https://learn.microsoft.com/en-us/previous-versions/windows/desktop/cluswmi/failover-cluster-apis-portal
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import CmdletFailed, FieldnotesError, MalformedAnswer, WsmanFault
from ..wsman.bindings import CimClass, Method, key, since, writable
from ..wsman.cim import Cim
from ..wsman.cmdlets import SWITCH, Cmdlet, Cmdlets, Command, PSObject, UInt32, pipe
from ..wsman.process import Processes
from ..wsman.types import Reference, reference, uint32
from ..wsman.wql import literal
from .operating_system import SERVER_2008_R2, SERVER_2012

NAMESPACE = "root/MSCluster"

NODE_UP = 0
NODE_DOWN = 1
NODE_PAUSED = 2
NODE_JOINING = 3


class Cluster(CimClass, namespace=NAMESPACE, wmi="MSCluster_Cluster"):
    """The cluster that the host belongs to; exactly one instance."""

    Name: str = key()
    HangRecoveryAction: uint32 = writable()
    # Read-only by the reference; see the procedure for why it is tried all the same.
    ClusSvcHangTimeout: uint32 | None = since("Windows Server 2008 R2", writable=True)
    Fqdn: str | None = since("Windows Server 2012")


class Node(CimClass, namespace=NAMESPACE, wmi="MSCluster_Node"):
    """One member server of the cluster."""

    Name: str = key()
    State: uint32
    MajorVersion: uint32
    MinorVersion: uint32
    BuildNumber: uint32


# Resources and groups

VIRTUAL_MACHINE = "Virtual Machine"
"""Type of the resource that starts and stops a virtual machine."""

RESOURCE_INITIALIZING = 1
RESOURCE_ONLINE = 2
RESOURCE_OFFLINE = 3
RESOURCE_FAILED = 4
RESOURCE_PENDING = 128
RESOURCE_ONLINE_PENDING = 129
RESOURCE_OFFLINE_PENDING = 130


class ResourceProperties(CimClass, namespace=NAMESPACE, wmi="MSCluster_Property"):
    """Private properties of a Virtual Machine resource.

    https://learn.microsoft.com/en-us/previous-versions/windows/desktop/mscs/virtual-machines-private-properties
    """

    VmId: str | None
    OfflineAction: uint32 | None


class GroupProperties(CimClass, namespace=NAMESPACE, wmi="MSCluster_Property"):
    """The private property that this collection gives a group."""

    FieldnotesJournal: str | None


class Resource(CimClass, namespace=NAMESPACE, wmi="MSCluster_Resource"):
    """A clustered resource. PendingTimeout: ms.

    https://learn.microsoft.com/en-us/previous-versions/windows/desktop/cluswmi/mscluster-resource
    """

    Name: str = key()
    State: uint32
    PendingTimeout: uint32 | None
    PrivateProperties: ResourceProperties | None
    OwnerNode: str | None = since("Windows Server 2012")
    OwnerGroup: str | None = since("Windows Server 2012")

    # Parameters and Flags came with Windows Server 2012 and are not sent.
    TakeOffline = Method({"TimeOut": uint32}, void=True)
    BringOnline = Method({"TimeOut": uint32}, void=True)


class Group(CimClass, namespace=NAMESPACE, wmi="MSCluster_ResourceGroup"):
    """A group of resources that moves between nodes as one."""

    Name: str = key()
    PrivateProperties: GroupProperties | None


class NodeToActiveResource(CimClass, namespace=NAMESPACE, wmi="MSCluster_NodeToActiveResource"):
    """Which node owns which resource."""

    GroupComponent: reference = key()
    PartComponent: reference = key()


class ResourceGroupToResource(CimClass, namespace=NAMESPACE, wmi="MSCluster_ResourceGroupToResource"):
    """Which group holds which resource."""

    GroupComponent: reference = key()
    PartComponent: reference = key()


class ResourceToPossibleOwner(CimClass, namespace=NAMESPACE, wmi="MSCluster_ResourceToPossibleOwner"):
    """Which nodes may own which resource."""

    GroupComponent: reference = key()
    PartComponent: reference = key()


class SharedVolume(CimClass, namespace=NAMESPACE, wmi="MSCluster_ClusterSharedVolume"):
    """A Cluster Shared Volume. Name: its path, such as ``C:\\ClusterStorage\\Volume1``; VolumeName: with its GUID."""

    Name: str = key()
    VolumeName: str | None


class DiskPartition(CimClass, namespace=NAMESPACE, wmi="MSCluster_DiskPartition"):
    """A partition of a clustered disk. VolumeGuid: of the volume on it; TotalSize, FreeSpace: MB."""

    Path: str = key()
    VolumeGuid: str | None
    TotalSize: uint32
    FreeSpace: uint32


class SharedVolumeToPartition(CimClass, namespace=NAMESPACE, wmi="MSCluster_ClusterSharedVolumeToPartition"):
    """Which partition a Cluster Shared Volume is on. Windows Server 2012 and later."""

    GroupComponent: reference = key()
    PartComponent: reference = key()


_MODULE = "FailoverClusters"

IMPORT_MODULE = Cmdlet("Import-Module", "Microsoft.PowerShell.Core", ("Name",))
GET_CLUSTER_RESOURCE = Cmdlet("Get-ClusterResource", _MODULE, ("Name",))
GET_CLUSTER_GROUP = Cmdlet("Get-ClusterGroup", _MODULE, ("Name",))
GET_CLUSTER_PARAMETER = Cmdlet("Get-ClusterParameter", _MODULE, ("Name",))
SET_CLUSTER_PARAMETER = Cmdlet("Set-ClusterParameter", _MODULE, ("Name", "Value", "Create", "Delete"))

_ACCESS_CATEGORIES = (18, 19, 28)  # PermissionDenied, SecurityError, AuthenticationError


class HasCarriers(Protocol):
    """What these functions need of a host."""

    @property
    def cim(self) -> Cim:
        """CIM operations."""

    @property
    def cmdlets(self) -> Cmdlets:
        """Typed cmdlets."""

    @property
    def processes(self) -> Processes:
        """WinRS processes."""


@dataclass(frozen=True)
class Windows:
    """What decides how a cluster is talked to. build: of the node; directory: where its Windows is."""

    build: int
    directory: str

    @property
    def has_cmdlets(self) -> bool:
        """Whether there are cluster cmdlets; before there is cluster.exe."""
        return self.build >= SERVER_2008_R2

    @property
    def cluster_exe(self) -> str:
        """Path of the command line tool."""
        return f"{self.directory}\\System32\\cluster.exe"


@dataclass(frozen=True)
class VmResource:
    """A clustered virtual machine. pending_timeout: ms; vm_id: GUID as the cluster has it; shown: by CIM."""

    resource: Resource
    owner: str
    group: str
    vm_id: str
    offline_action: int | None
    shown: bool

    @property
    def name(self) -> str:
        """Name of the resource."""
        return self.resource.Name

    @property
    def state(self) -> int:
        """State of the resource."""
        return self.resource.State

    @property
    def pending_timeout(self) -> int | None:
        """How long the cluster waits for a transition, ms."""
        return self.resource.PendingTimeout


def read_vm_resources(host: HasCarriers, windows: Windows, name: str | None = None) -> list[VmResource]:
    """The Virtual Machine resources of the cluster, or the one of a name, with owner, group and private properties."""
    where = f"Type = {literal(VIRTUAL_MACHINE)}" + (f" AND Name = {literal(name)}" if name is not None else "")
    modern = windows.build >= SERVER_2012
    resources = host.cim.query(Resource, where, leave_out=() if modern else ("OwnerNode", "OwnerGroup"))
    if not resources:
        return []
    owners = {r.Name: r.OwnerNode for r in resources} if modern else _linked(host, NodeToActiveResource)
    groups = {r.Name: r.OwnerGroup for r in resources} if modern else _linked(host, ResourceGroupToResource)
    private = {r.Name: r.PrivateProperties for r in resources}
    # UNCONFIRMED whether an answer shows the members of the embedded object: then the cluster's own tools tell them.
    hidden = [n for n, p in private.items() if p is None or p.VmId is None or p.OfflineAction is None]
    for missing in hidden:
        told = read_private(host, windows, "resource", missing)
        action = told.get("offlineaction")
        if action is not None and not str(action).isdecimal():
            raise MalformedAnswer(f"OfflineAction of {missing} is {action!r}, and no number")
        private[missing] = ResourceProperties(
            VmId=_text(told.get("vmid")), OfflineAction=None if action is None else int(action)
        )
    return [
        VmResource(r, owners.get(r.Name) or "", groups.get(r.Name) or "", p.VmId, p.OfflineAction, r.Name not in hidden)
        for r in resources
        if (p := private[r.Name]) is not None and p.VmId is not None
    ]


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _linked(host: HasCarriers, association: type[NodeToActiveResource | ResourceGroupToResource]) -> dict[str, str]:
    """Names of the objects on the left by the names of those on the right."""
    return {_name(link.PartComponent): _name(link.GroupComponent) for link in host.cim.query(association)}


def _name(of: Reference) -> str:
    return of.keys.get("Name", "")


def read_possible_owners(host: HasCarriers, resource: str) -> list[str]:
    """Names of the nodes that may own a resource."""
    links = host.cim.query(ResourceToPossibleOwner)
    return [_name(link.PartComponent) for link in links if _name(link.GroupComponent).lower() == resource.lower()]


def read_private(host: HasCarriers, windows: Windows, kind: str, name: str) -> dict[str, Any]:
    """Private properties of a ``resource`` or ``group``, by lower-case name, as the cluster tells them."""
    attempted = f"reading the private properties of {kind} {name}"
    if windows.has_cmdlets:
        getter = GET_CLUSTER_RESOURCE if kind == "resource" else GET_CLUSTER_GROUP
        output = _run(host, windows, (getter(Name=name), GET_CLUSTER_PARAMETER()), attempted)
        return {str(o.get("Name")).lower(): o.get("Value") for o in output if isinstance(o, PSObject)}
    listed = host.processes.run(windows.cluster_exe, [kind, name, "/priv"], attempted).output
    # Only names of properties and what follows them are looked at: the rest of the table is in the host's language.
    wanted = re.compile(r"(?<!\S)(VmId|OfflineAction|FieldnotesJournal)[ \t]+(\S+)")
    return {found[1].lower(): found[2] for found in wanted.finditer(listed)}


def write_offline_action(host: HasCarriers, windows: Windows, resource: str, value: int) -> None:
    """Sets what the cluster does with a virtual machine that it takes offline. Errors: CmdletFailed, ProcessFailed."""
    attempted = f"setting OfflineAction of {resource} to {value}"
    if windows.has_cmdlets:
        setter = SET_CLUSTER_PARAMETER(Name="OfflineAction", Value=UInt32(value))
        _run(host, windows, (GET_CLUSTER_RESOURCE(Name=resource), setter), attempted)
        return
    words = ["resource", resource, "/priv", f"OfflineAction={value}:dword"]
    host.processes.run(windows.cluster_exe, words, attempted)


def read_group_text(host: HasCarriers, windows: Windows, group: str, *, shown: bool) -> str | None:
    """FieldnotesJournal of a group. shown: whether CIM answers show private properties here."""
    if shown:
        found = host.cim.query_optional(Group, f"Name = {literal(group)}")
        private = found.PrivateProperties if found is not None else None
        return private.FieldnotesJournal or None if private is not None else None
    return _text(read_private(host, windows, "group", group).get("fieldnotesjournal")) or None


def write_group_text(host: HasCarriers, windows: Windows, group: str, text: str) -> None:
    """Sets FieldnotesJournal of a group, which it makes where there is none. Errors: CmdletFailed, ProcessFailed."""
    attempted = f"writing FieldnotesJournal of group {group}"
    if windows.has_cmdlets:
        setter = SET_CLUSTER_PARAMETER(Name="FieldnotesJournal", Value=text, Create=SWITCH)
        _run(host, windows, (GET_CLUSTER_GROUP(Name=group), setter), attempted)
        return
    words = ["group", group, "/priv", f"FieldnotesJournal={text}:string"]
    host.processes.run(windows.cluster_exe, words, attempted)


def delete_group_text(host: HasCarriers, windows: Windows, group: str) -> None:
    """Takes FieldnotesJournal from a group that has it. Errors: CmdletFailed, ProcessFailed."""
    attempted = f"removing FieldnotesJournal of group {group}"
    if windows.has_cmdlets:
        setter = SET_CLUSTER_PARAMETER(Name="FieldnotesJournal", Delete=SWITCH)
        _run(host, windows, (GET_CLUSTER_GROUP(Name=group), setter), attempted)
        return
    words = ["group", group, "/priv:FieldnotesJournal", "/usedefault"]
    host.processes.run(windows.cluster_exe, words, attempted)


def _run(host: HasCarriers, windows: Windows, pipeline: Iterable[Command], attempted: str) -> tuple[Any, ...]:
    # Windows PowerShell 2.0 does not load a module when its cmdlet is called. -Cluster is never given: a cluster named
    # would be reached over the network, where credentials that are not delegated end.
    statements = [pipe(*pipeline)]
    if windows.build < SERVER_2012:
        statements.insert(0, pipe(IMPORT_MODULE(Name=_MODULE)))
    return host.cmdlets.run(*statements, attempted=attempted).output


def denies_access(error: FieldnotesError) -> bool:
    """Whether a cluster cmdlet failed for want of rights."""
    if not isinstance(error, CmdletFailed):
        return False
    return error.category in _ACCESS_CATEGORIES or "AccessDenied" in error.error_id


def take_offline(host: HasCarriers, resource: Resource, seconds: int) -> WsmanFault | None:
    """Asks the cluster to take a resource offline; the fault it answered, which may only say that it is still at it."""
    return _ask(host, Resource.TakeOffline, resource, seconds)


def bring_online(host: HasCarriers, resource: Resource, seconds: int) -> WsmanFault | None:
    """Asks the cluster to bring a resource online; the fault it answered, which may only say that it is still at it."""
    return _ask(host, Resource.BringOnline, resource, seconds)


def _ask(host: HasCarriers, method: Method, resource: Resource, seconds: int) -> WsmanFault | None:
    try:
        host.cim.invoke(method, resource, TimeOut=seconds)
    except WsmanFault as fault:
        return fault
    return None
