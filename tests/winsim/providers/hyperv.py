# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hyper-V: virtual machines with snapshots and disk chains, alone or as resources of a cluster.

Windows Server 2008 and 2008 R2 show root/virtualization, later ones root/virtualization/v2 (2012 both). Section of the
fleet file:

    virtual_machines:
      app1:
        cluster: CL1                       # with resource `Virtual Machine app1` and group `app1`; else `host: N1`
        owner: N1
        state: running                     # or off, saved, paused
        offline_action: 1                  # and pending_timeout (ms), possible_owners
        snapshots: [before, after]         # each made from the one before; or {name, parent, type, id}
        disks:
          - path: 'V:\\app1\\app1.vhd'       # the base; type fixed, dynamic or differencing (with `parent`)
            size: 40 GiB
            file_size: 10 GiB
            layers: [5 GiB, 5 GiB]         # snapshot files, the attached one first; default one for each snapshot
        shutdown_component: ok             # or missing, not_responding
        shutdown_seconds: 30               # how long the guest takes; start_seconds, merge_seconds (per layer)

A merge takes time on the clock. Before Windows Server 2012 it runs while the machine is off and begins anew after a
start; later it runs beside the machine. Files live on the shared volumes of the cluster and on the volumes of the host;
the volume of a clustered machine that is not shared moves with it.
"""

from __future__ import annotations

import ntpath
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from winsim.fleet import Fleet, integer, mapping, number, refuse, sequence, size, text
from winsim.host import Host
from winsim.switches import declare

from . import Embedded, Fault, Instance, Provider, Reference, Wbem
from . import services as service_provider
from .cluster import Cluster, Clusters, Owned, SharedVolume
from .cluster_resources import FAILED, OFFLINE, OFFLINE_PENDING, ONLINE, ONLINE_PENDING, Kind, after, kind, move, settle
from .operating_system import Volume, Volumes
from .services import Service

__all__ = ["Disk", "DiskFile", "HyperVState", "Machine", "Snapshot", "fail_over", "shut_down_inside", "start_by_hand"]

hyperv = Provider("hyperv")

Rows = Callable[[Host], Iterator[Instance]]

V1, V2 = "root/virtualization", "root/virtualization/v2"
FEATURE = "Hyper-V"
SERVICE = "vmms"
WINDOWS_2008_R2, WINDOWS_2012, WINDOWS_2012_R2 = 7600, 9200, 9600
RESOURCE_TYPE = "Virtual Machine"

FIXED, DYNAMIC, DIFFERENCING = 2, 3, 4
TYPES = {"fixed": FIXED, "dynamic": DYNAMIC, "differencing": DIFFERENCING}
TURN_OFF, SAVE, SHUT_DOWN, FORCE = range(4)
MERGING, DELETING = 32772, 32770
JOB_STARTED, FAILED_CALL, FILE_NOT_FOUND = 4096, 32768, 32779
JOB_RUNNING, JOB_COMPLETED, JOB_EXCEPTION = 4, 7, 10
MERGE_JOB = 5
DISK_FULL = 0x80070070
IDE = "83F8638B-8DCA-4152-9EDA-2CA8B33039B4"
COMPONENT_STATUS = {"ok": 2, "degraded": 3, "not_responding": 12}
SAVE_SECONDS, RESTART_SECONDS, DELETE_SECONDS = 5.0, 5.0, 2.0

declare(
    "hyperv.embedded",
    {
        "cim_xml": "disk information is passed on as Hyper-V writes it, as text in CIM-XML",
        "nested": "WinRM nests the embedded instance as elements",
    },
    open_question="how WinRM passes on the instances that Hyper-V embeds in text",
    page="snapshot_offline_action",
)
declare(
    "hyperv.enabled_states",
    {
        "documented": "version 2 reports saved as 6 and paused as 9",
        "version_1": "it reports 32769 and 32768 as version 1 does",
        "other": "it reports numbers that no page names",
    },
    open_question="which EnabledState version 2 has for saved and paused machines",
    page="snapshot_offline_action",
)
declare(
    "hyperv.transitions",
    {
        "version_1": "version 1 reports starting as 32770 and stopping as 32774",
        "cim": "it reports 10 and 4",
    },
    open_question="which EnabledState version 1 has for machines that start and stop",
    page="snapshot_offline_action",
)
declare(
    "hyperv.removal",
    {
        "job": "removing a snapshot returns 4096 and a job that can be polled",
        "forgotten": "it returns 4096 and a job that is forgotten as soon as it is done",
        "at_once": "it returns 0",
    },
    open_question="how the removal of a snapshot tree ends",
    page="snapshot_offline_action",
)


@dataclass
class DiskFile:
    """A disk file; `missing`: it was lost."""

    path: str
    type: int
    parent: str | None
    file_size: int
    max_size: int
    identifier: str
    parent_identifier: str | None = None
    missing: bool = False


@dataclass
class Disk:
    """A disk of a machine: its place and the file that is attached now."""

    place: str
    path: str


@dataclass
class Snapshot:
    id: str
    name: str
    parent: str | None
    type: str = "Realized"


@dataclass
class Machine:
    """A virtual machine. `node` is the host that shows it; `start` the snapshot its configuration was made from.

    `merge_started`, `merge_due`: of the layer that is being merged; `stalled`: the volume was full. `activity` is what
    OperationalStatus[1] shows besides.
    """

    id: str
    name: str
    node: str
    cluster: str | None = None
    state: str = "running"
    health: int = 5
    degraded: bool = False
    activity: int | None = None
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    start: str | None = None
    disks: list[Disk] = field(default_factory=list)
    files: dict[str, DiskFile] = field(default_factory=dict)
    component: str = "ok"
    shutdown_seconds: float = 30.0
    start_seconds: float = 10.0
    merge_seconds: float = 60.0
    merge_started: datetime | None = None
    merge_due: datetime | None = None
    stalled: bool = False

    @property
    def resource_name(self) -> str:
        return f"Virtual Machine {self.name}"

    def chain(self, disk: Disk) -> list[DiskFile]:
        """From the attached file to the base, as far as it goes."""
        files: list[DiskFile] = []
        path: str | None = disk.path
        while path is not None and path.lower() in self.files and self.files[path.lower()] not in files:
            files.append(self.files[path.lower()])
            path = files[-1].parent
        return files

    def layers(self, disk: Disk) -> list[DiskFile]:
        """The leading files that snapshots made."""
        found = []
        for file in self.chain(disk):
            if not file.path.lower().endswith((".avhd", ".avhdx")):
                break
            found.append(file)
        return found

    @property
    def depth(self) -> int:
        depth, at = 0, self.start
        while at is not None:
            depth, at = depth + 1, self.snapshots[at].parent
        return depth

    @property
    def pending(self) -> int:
        return sum(max(0, len(self.layers(disk)) - self.depth) for disk in self.disks)


@dataclass
class Job:
    """The removal of snapshots."""

    id: str
    machine: str
    state: int = JOB_RUNNING
    percent: int = 0
    error: int = 0
    text: str = ""


@dataclass
class HyperVState:
    """Machines by lower-case name, jobs by id. `fail_removal`: the next removal of a snapshot ends in an error."""

    machines: dict[str, Machine] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    fail_removal: bool = False

    def get(self, name: str) -> Machine:
        return self.machines[name.lower()]


# The fleet file


@hyperv.shared("virtual_machines", HyperVState)
def build(fleet: Fleet, data: Any, path: str) -> HyperVState:
    state = HyperVState()
    for name, given in mapping(data, path).items():
        state.machines[name.lower()] = _machine(fleet, name, given, f"{path}.{name}")
    return state


KEYS = {
    "id", "name", "cluster", "host", "owner", "state", "offline_action", "shutdown_action", "pending_timeout",
    "possible_owners", "snapshots", "disks", "shutdown_component", "shutdown_seconds", "start_seconds", "merge_seconds",
    "health",
}  # fmt: skip


def _machine(fleet: Fleet, key: str, data: Any, path: str) -> Machine:
    given = mapping(data, path, KEYS)
    name = text(given.get("name", key), f"{path}.name")
    made = Machine(
        text(given.get("id", str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{key}.vm")).upper()), f"{path}.id"),
        name,
        text(given.get("owner", given.get("host", "")), f"{path}.owner"),
        cluster=given.get("cluster"),
        state=text(given.get("state", "running"), f"{path}.state", ("running", "off", "saved", "paused")),
        health=integer(given.get("health", 5), f"{path}.health", 0, 30),
        component=text(given.get("shutdown_component", "ok"), f"{path}.shutdown_component"),
    )
    for seconds in ("shutdown_seconds", "start_seconds", "merge_seconds"):
        if seconds in given:
            setattr(made, seconds, number(given[seconds], f"{path}.{seconds}"))
    host = fleet.find_host(made.node)
    if host is None:
        refuse(f"{path}.owner", f"the fleet has no host {made.node!r}")
    _snapshots(made, given.get("snapshots"), f"{path}.snapshots")
    suffix = ".avhdx" if host.build >= WINDOWS_2012 else ".avhd"
    for index, disk in enumerate(sequence(given.get("disks"), f"{path}.disks")):
        _disk(made, index, disk, suffix, f"{path}.disks[{index}]")
    if made.cluster is not None:
        _join(fleet, made, given, path)
    elif not host.has_feature(FEATURE):
        host.profile.features.append(FEATURE)
    return made


def _snapshots(made: Machine, data: Any, path: str) -> None:
    previous: str | None = None
    for index, each in enumerate(sequence(data, path)):
        given = {"name": each} if isinstance(each, str) else mapping(each, path, {"id", "name", "parent", "type"})
        name = text(given.get("name"), f"{path}[{index}].name")
        made_id = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{made.id}.{index}")).upper()
        parent = given.get("parent", ...)
        above = previous if parent is ... else next((s.id for s in made.snapshots.values() if s.name == parent), None)
        snapshot = Snapshot(str(given.get("id", made_id)), name, above, str(given.get("type", "Realized")))
        made.snapshots[snapshot.id] = snapshot
        previous = snapshot.id
    made.start = previous


def _disk(made: Machine, index: int, data: Any, suffix: str, path: str) -> None:
    given = mapping(data, path, {"path", "type", "size", "file_size", "layers", "parent"})
    base = text(given.get("path"), f"{path}.path")
    total = size(given.get("size", "40 GiB"), f"{path}.size")
    file_type = TYPES[text(given.get("type", "dynamic"), f"{path}.type", TYPES)]
    parent = given.get("parent")
    below = made.files.get(str(parent).lower()) if parent else None
    if parent and below is None:
        below = _file(made, str(parent), DYNAMIC, None, size(given.get("file_size", "10 GiB"), path), total)
    at = _file(made, base, file_type, below, size(given.get("file_size", "10 GiB"), f"{path}.file_size"), total)
    stem = ntpath.splitext(base)[0]
    layers = sequence(given.get("layers", ["1 GiB"] * len(made.snapshots)), f"{path}.layers")
    for position, bytes_of in enumerate(reversed(layers), 1):
        name = f"{stem}_{position}{suffix}"
        at = _file(made, name, DIFFERENCING, at, size(bytes_of, f"{path}.layers"), total)
    made.disks.append(Disk(f"{IDE}\\0\\{index}", at.path))


def _file(made: Machine, path: str, file_type: int, parent: DiskFile | None, length: int, total: int) -> DiskFile:
    identifier = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{made.id}.{path}")).upper()
    file = DiskFile(
        path,
        file_type,
        parent.path if parent else None,
        length,
        total,
        identifier,
        parent.identifier if parent else None,
    )
    made.files[path.lower()] = file
    return file


def _join(fleet: Fleet, made: Machine, given: dict[str, Any], path: str) -> None:
    each = fleet.state(Clusters).get(str(made.cluster))
    if each is None:
        refuse(f"{path}.cluster", f"the fleet has no cluster {made.cluster!r}")
    for node in each.nodes.values():
        host = fleet.find_host(node.name)
        if host is not None and not host.has_feature(FEATURE):
            host.profile.features.append(FEATURE)
    each.groups[made.name.lower()] = Owned(made.name, node=made.node)
    each.resources[made.resource_name.lower()] = Owned(
        made.resource_name,
        {
            "OfflineAction": integer(given.get("offline_action", SAVE), f"{path}.offline_action", 0, 3),
            "ShutdownAction": integer(given.get("shutdown_action", 0), f"{path}.shutdown_action", 0, 1),
            "VmId": made.id,
        },
        type=RESOURCE_TYPE,
        state=ONLINE if made.state in ("running", "paused") else OFFLINE,
        group=made.name,
        pending_timeout=integer(given.get("pending_timeout", 600000), f"{path}.pending_timeout", 0, 2**32 - 1),
        possible_owners=[str(node) for node in sequence(given.get("possible_owners"), path)],
    )


@service_provider.contributes
def management_service(host: Host) -> Iterable[Service]:
    if host.has_feature(FEATURE):
        yield Service(
            SERVICE,
            service_provider.display_name(
                host, "Hyper-V Virtual Machine Management", "Hyper-V-Verwaltung für virtuelle Computer"
            ),
            "C:\\Windows\\System32\\vmms.exe",
            state="Running",
            start_mode="Auto",
        )


@hyperv.arm
def arm(host: Host) -> None:
    """Merges go on after the fleet was built or loaded; so do transitions of resources."""
    for vm in host.fleet.state(HyperVState).machines.values():
        if vm.node.lower() != host.name.lower():
            continue
        each, resource = _clustered(host.fleet, vm)
        if each is not None and resource is not None and resource.due is not None:
            again = _offline if resource.state == OFFLINE_PENDING else _online
            again(host.fleet, each, resource)
        if vm.merge_due is not None:
            _schedule(host.fleet, vm, vm.merge_due)
        else:
            merge(host.fleet, vm)


def _clustered(fleet: Fleet, vm: Machine) -> tuple[Cluster | None, Owned | None]:
    each = fleet.state(Clusters).get(vm.cluster) if vm.cluster else None
    return each, each.resources.get(vm.resource_name.lower()) if each is not None else None


def _machine_of(fleet: Fleet, resource: Owned) -> Machine:
    wanted = str(resource.private["VmId"]).lower()
    return next(vm for vm in fleet.state(HyperVState).machines.values() if vm.id.lower() == wanted)


# Merging


def merge(fleet: Fleet, vm: Machine) -> None:
    """Go on with what is left to merge, if the machine's state lets it; else forget how far it got."""
    build_number = fleet.host(vm.node).build
    lets = vm.state == "off" or (build_number >= WINDOWS_2012 and vm.state == "running")
    if not lets or vm.pending == 0 or vm.stalled:
        vm.merge_started = vm.merge_due = None
        return
    if vm.merge_started is None:
        vm.merge_started = fleet.clock.now()
        vm.merge_due = vm.merge_started + timedelta(seconds=vm.merge_seconds)
        _schedule(fleet, vm, vm.merge_due)


def _schedule(fleet: Fleet, vm: Machine, due: datetime) -> None:
    def end() -> None:
        if vm.merge_due == due:
            _merge_one(fleet, vm)

    fleet.clock.at(due, end)


def _next_merge(vm: Machine) -> tuple[Disk, DiskFile, DiskFile] | None:
    """The disk, the layer that is merged next and the file that takes it in."""
    for disk in vm.disks:
        chain, count = vm.chain(disk), len(vm.layers(disk)) - vm.depth
        if count > 0 and len(chain) > count:
            return disk, chain[count - 1], chain[count]
    return None


def _merge_one(fleet: Fleet, vm: Machine) -> None:
    vm.merge_started = vm.merge_due = None
    found = _next_merge(vm)
    if found is None:
        return
    disk, layer, parent = found
    volume = volume_of(fleet, vm, parent.path)
    growth = 0 if parent.type == FIXED else min(layer.file_size, max(0, parent.max_size - parent.file_size))
    if volume is not None:
        if volume.free < growth:
            vm.stalled = True
            return
        volume.free += layer.file_size - growth
    parent.file_size += growth
    del vm.files[layer.path.lower()]
    child = next((file for file in vm.files.values() if (file.parent or "").lower() == layer.path.lower()), None)
    if child is not None:
        child.parent, child.parent_identifier = parent.path, parent.identifier
    else:
        disk.path = parent.path
    merge(fleet, vm)


def volume_of(fleet: Fleet, vm: Machine, path: str) -> Volume | SharedVolume | None:
    each, _ = _clustered(fleet, vm)
    for shared in each.shared_volumes.values() if each is not None else ():
        if path.lower().startswith(shared.path.lower() + "\\"):
            return shared
    volumes = fleet.host(vm.node).state(Volumes).volumes
    return next((v for v in volumes if v.letter is not None and path.lower().startswith(v.letter.lower())), None)


# Power


def _set(fleet: Fleet, vm: Machine, state: str) -> None:
    vm.state = state
    if state in ("running", "off"):
        vm.stalled = False
    merge(fleet, vm)


def _offline(fleet: Fleet, each: Cluster, resource: Owned) -> None:
    """The cluster takes the machine offline, in the way OfflineAction says."""
    vm, action = _machine_of(fleet, resource), int(resource.private.get("OfflineAction", SAVE))
    resource.state = OFFLINE_PENDING

    def end(state: str, result: int) -> None:
        _set(fleet, vm, state)
        settle(resource, result)

    if vm.state == "off" or action == TURN_OFF:
        after(fleet, resource, 1.0, lambda: end("off", OFFLINE))
    elif action == SAVE:
        vm.state = "saving"
        after(fleet, resource, SAVE_SECONDS, lambda: end("saved", OFFLINE))
    else:
        limit = resource.pending_timeout / 1000
        responds = vm.component in ("ok", "degraded")
        if responds:
            vm.state = "stopping"
        if responds and vm.shutdown_seconds <= limit:
            after(fleet, resource, vm.shutdown_seconds, lambda: end("off", OFFLINE))
        else:
            # The cluster's patience ends: it cuts the power, and the resource counts as failed.
            after(fleet, resource, limit, lambda: end("off", FAILED))


def _online(fleet: Fleet, each: Cluster, resource: Owned) -> None:
    vm = _machine_of(fleet, resource)
    resource.state = ONLINE_PENDING
    if vm.state != "running":
        _set(fleet, vm, "starting")

    def end() -> None:
        _set(fleet, vm, "running")
        settle(resource, ONLINE)

    after(fleet, resource, vm.start_seconds, end)


def _moved(fleet: Fleet, each: Cluster, resource: Owned, node: str) -> None:
    """The machine is registered on another node: what was merged of the current layer is lost there."""
    vm = _machine_of(fleet, resource)
    source, target = fleet.host(vm.node), fleet.host(node)
    used = [volume_of(fleet, vm, file.path) for file in vm.files.values()]
    for volume in list(source.state(Volumes).volumes):
        if volume in used and volume.letter != "C:":
            source.state(Volumes).volumes.remove(volume)
            target.state(Volumes).volumes.append(volume)
    vm.node, vm.merge_started, vm.merge_due = target.name, None, None
    if resource.state in (ONLINE, ONLINE_PENDING, OFFLINE_PENDING):
        vm.state = "off"
        _online(fleet, each, resource)
    else:
        merge(fleet, vm)


kind(RESOURCE_TYPE, Kind(_offline, _online, _moved))


def fail_over(fleet: Fleet, vm: Machine, node: str) -> None:
    """The group of the machine moves to another node."""
    each, _ = _clustered(fleet, vm)
    assert each is not None
    move(fleet, each, vm.name, fleet.host(node).name)


def start_by_hand(fleet: Fleet, vm: Machine) -> None:
    """Somebody starts the machine past the cluster."""
    _set(fleet, vm, "running")


def shut_down_inside(fleet: Fleet, vm: Machine) -> None:
    """The guest shuts down by itself: the cluster, which did not do it, brings the machine back."""
    _set(fleet, vm, "off")
    each, resource = _clustered(fleet, vm)
    if each is None or resource is None:
        return
    if int(resource.private.get("ShutdownAction", 0)) == 1 or fleet.host(vm.node).build < WINDOWS_2008_R2:
        resource.state = FAILED
    after(fleet, resource, RESTART_SECONDS, lambda: _online(fleet, each, resource))


# What both versions show


@hyperv.available(V1)
def has_version_1(host: Host) -> bool:
    return host.has_feature(FEATURE) and host.build < WINDOWS_2012_R2


@hyperv.available(V2)
def has_version_2(host: Host) -> bool:
    return host.has_feature(FEATURE) and host.build >= WINDOWS_2012


def machines(host: Host) -> list[Machine]:
    if host.has_feature(FEATURE) and not service_provider.running(host, SERVICE):
        raise Fault(Wbem.PROVIDER_LOAD_FAILURE, "The Virtual Machine Management service is not running.")
    return [vm for vm in host.fleet.state(HyperVState).machines.values() if vm.node.lower() == host.name.lower()]


def _enabled(host: Host, vm: Machine) -> int:
    new = host.build >= WINDOWS_2012
    if vm.state in ("running", "off"):
        return 2 if vm.state == "running" else 3
    if vm.state in ("saved", "paused"):
        position = host.switches["hyperv.enabled_states"]
        if new and position == "other":
            return {"saved": 32780, "paused": 32781}[vm.state]
        documented = new and position == "documented"
        return {"saved": 6 if documented else 32769, "paused": 9 if documented else 32768}[vm.state]
    old = not new and host.switches["hyperv.transitions"] == "version_1"
    return {"starting": 32770 if old else 10, "stopping": 32774 if old else 4, "saving": 32773}[vm.state]


def _status(host: Host, vm: Machine) -> list[int]:
    activity = vm.activity or (MERGING if vm.merge_started is not None else None)
    first = 3 if vm.degraded else 11 if activity is not None else 2
    return [first] if activity is None or host.build < WINDOWS_2008_R2 else [first, activity]


def computers(host: Host) -> Iterator[Instance]:
    yield {
        "Caption": "Hosting Computer System",
        "CreationClassName": "Msvm_ComputerSystem",
        "ElementName": host.name.upper(),
        "EnabledState": 2,
        "HealthState": 5,
        "InstanceID": "Microsoft:Host",
        "Name": host.name.upper(),
        "OperationalStatus": [2],
    }
    for vm in machines(host):
        yield {
            "Caption": "Virtueller Computer" if host.language == "de-DE" else "Virtual Machine",
            "CreationClassName": "Msvm_ComputerSystem",
            "ElementName": vm.name,
            "EnabledState": _enabled(host, vm),
            "HealthState": vm.health,
            "InstanceID": f"Microsoft:{vm.id}",
            "Name": vm.id,
            "OperationalStatus": _status(host, vm),
        }


def _path(host: Host, namespace: str, identifier: str | None) -> str | None:
    if identifier is None:
        return None
    place = namespace.replace("/", "\\")
    return f'\\\\{host.name.upper()}\\{place}:Msvm_VirtualSystemSettingData.InstanceID="Microsoft:{identifier}"'


@hyperv.instances(V1, "Msvm_VirtualSystemSettingData")
def settings_1(host: Host) -> Iterator[Instance]:
    for vm in machines(host):
        for identifier, name, parent, current, _ in _settings(vm):
            yield {
                "ElementName": name,
                "InstanceID": f"Microsoft:{identifier}",
                "Parent": _path(host, V1, parent),
                "SettingType": 3 if current else 5,
                "SystemName": vm.id,
            }


@hyperv.instances(V2, "Msvm_VirtualSystemSettingData")
def settings_2(host: Host) -> Iterator[Instance]:
    for vm in machines(host):
        for identifier, name, parent, current, type_name in _settings(vm):
            yield {
                "ElementName": name,
                "InstanceID": f"Microsoft:{identifier}",
                "Parent": _path(host, V2, parent),
                "VirtualSystemIdentifier": vm.id,
                "VirtualSystemType": "Microsoft:Hyper-V:System:Realized"
                if current
                else f"Microsoft:Hyper-V:Snapshot:{type_name}",
            }


def _settings(vm: Machine) -> Iterator[tuple[str, str, str | None, bool, str]]:
    yield vm.id, vm.name, vm.start, True, ""
    for snapshot in vm.snapshots.values():
        yield snapshot.id, snapshot.name, snapshot.parent, False, snapshot.type


@hyperv.instances(V1, "Msvm_ResourceAllocationSettingData")
def disks_1(host: Host) -> Iterator[Instance]:
    for identifier, path in _attached(host):
        yield {"Connection": [path], "InstanceID": identifier, "ResourceSubType": "Microsoft Virtual Hard Disk"}


@hyperv.instances(V2, "Msvm_StorageAllocationSettingData")
def disks_2(host: Host) -> Iterator[Instance]:
    for identifier, path in _attached(host):
        yield {
            "HostResource": [path],
            "InstanceID": identifier,
            "ResourceSubType": "Microsoft:Hyper-V:Virtual Hard Disk",
        }


def _attached(host: Host) -> Iterator[tuple[str, str]]:
    """Disks of machines, and those that snapshots remember, each the file below what was made from it."""
    for vm in machines(host):
        for disk in vm.disks:
            yield f"Microsoft:{vm.id}\\{disk.place}\\L", disk.path
            chain, at = vm.chain(disk), vm.start
            for frozen in chain[1:]:
                if at is not None:
                    yield f"Microsoft:{at}\\{disk.place}\\L", frozen.path
                    at = vm.snapshots[at].parent


def components(host: Host) -> Iterator[Instance]:
    for vm in machines(host):
        if vm.component != "missing":
            yield {
                "CreationClassName": "Msvm_ShutdownComponent",
                "DeviceID": f"Microsoft:{vm.id}\\Shutdown",
                "InstanceID": f"Microsoft:{vm.id}\\Shutdown",
                "OperationalStatus": [COMPONENT_STATUS[vm.component]],
                "SystemCreationClassName": "Msvm_ComputerSystem",
                "SystemName": vm.id,
            }


def jobs(host: Host) -> Iterator[Instance]:
    shown = {vm.id for vm in machines(host)}
    for job in host.fleet.state(HyperVState).jobs.values():
        if job.machine in shown:
            yield {
                "ErrorCode": job.error,
                "ErrorDescription": job.text,
                "InstanceID": job.id,
                "JobState": job.state,
                "Name": "Msvm_ConcreteJob",
                "PercentComplete": job.percent,
            }


def _storage_jobs(host: Host, kind_of_job: str) -> Iterator[Instance]:
    for vm in machines(host):
        found = _next_merge(vm)
        if found is None or (vm.merge_started is None and not vm.stalled):
            continue
        _, layer, parent = found
        passed = 0.0 if vm.merge_started is None else (host.now() - vm.merge_started).total_seconds()
        yield {
            "Child": layer.path,
            "InstanceID": f"{vm.id}-merge",
            "JobCompletionStatusCode": DISK_FULL if vm.stalled else 0,
            "JobState": JOB_EXCEPTION if vm.stalled else JOB_RUNNING,
            "Name": "Storage Job",
            "Parent": parent.path,
            "PercentComplete": min(99, int(100 * passed / max(vm.merge_seconds, 1.0))),
            kind_of_job: MERGE_JOB,
        }


@hyperv.instances(V1, "Msvm_StorageJob")
def storage_jobs_1(host: Host) -> Iterator[Instance]:
    return _storage_jobs(host, "Type")


@hyperv.instances(V2, "Msvm_StorageJob")
def storage_jobs_2(host: Host) -> Iterator[Instance]:
    return _storage_jobs(host, "JobType")


def _service(cls: str, name: str) -> Rows:
    def instances(host: Host) -> Iterator[Instance]:
        machines(host)
        yield {
            "CreationClassName": cls,
            "InstanceID": f"Microsoft:{name}",
            "Name": name,
            "SystemCreationClassName": "Msvm_ComputerSystem",
            "SystemName": host.name.upper(),
        }

    return instances


def _version_1(rows: Rows) -> Rows:
    """The same instances as the classes of version 1 have them, which are not keyed by InstanceID."""

    def instances(host: Host) -> Iterator[Instance]:
        for row in rows(host):
            yield {name: value for name, value in row.items() if name != "InstanceID"}

    return instances


for _cls, _rows in (
    ("Msvm_ComputerSystem", computers),
    ("Msvm_ShutdownComponent", components),
    ("Msvm_ImageManagementService", _service("Msvm_ImageManagementService", "vhdsvc")),
):
    hyperv.instances(V1, _cls)(_version_1(_rows))
    hyperv.instances(V2, _cls)(_rows)
hyperv.instances(V1, "Msvm_ConcreteJob")(jobs)
hyperv.instances(V2, "Msvm_ConcreteJob")(jobs)
hyperv.instances(V1, "Msvm_VirtualSystemManagementService")(
    _version_1(_service("Msvm_VirtualSystemManagementService", "vmms"))
)
hyperv.instances(V2, "Msvm_VirtualSystemSnapshotService")(_service("Msvm_VirtualSystemSnapshotService", "vssnapsvc"))


# Files


def _find_file(host: Host, path: str) -> DiskFile | None:
    for vm in machines(host):
        file = vm.files.get(path.lower())
        if file is not None and not file.missing:
            return file
    return None


def _told(host: Host, cls: str, values: dict[str, Any]) -> Embedded | str:
    if host.switches["hyperv.embedded"] == "nested":
        return Embedded(cls, values)
    properties = "".join(
        f'<PROPERTY NAME="{name}" TYPE="{"string" if isinstance(value, str) else "uint64"}">'
        f"<VALUE>{_escaped(str(value))}</VALUE></PROPERTY>"
        for name, value in values.items()
        if value is not None
    )
    return f'<INSTANCE CLASSNAME="{cls}">{properties}</INSTANCE>'


def _escaped(value: str) -> str:
    return value.replace("&", "&amp;").replace("<", "&lt;")


@hyperv.method(V1, "Msvm_ImageManagementService", "GetVirtualHardDiskInfo")
def disk_info(host: Host, instance: Instance | None, inputs: Instance) -> Instance:
    file = _find_file(host, str(inputs["Path"]))
    if file is None:
        return {"ReturnValue": FILE_NOT_FOUND}
    values = {
        "Type": file.type,
        "FileSize": file.file_size,
        "MaxInternalSize": file.max_size,
        "ParentPath": file.parent,
    }
    return {"ReturnValue": 0, "Info": _told(host, "Msvm_VirtualHardDiskInfo", values)}


@hyperv.method(V2, "Msvm_ImageManagementService", "GetVirtualHardDiskSettingData")
def disk_setting_data(host: Host, instance: Instance | None, inputs: Instance) -> Instance:
    file = _find_file(host, str(inputs["Path"]))
    if file is None:
        return {"ReturnValue": FILE_NOT_FOUND}
    values = {
        "InstanceID": file.identifier,
        "Type": file.type,
        "MaxInternalSize": file.max_size,
        "Path": file.path,
        "ParentPath": file.parent,
        "ParentIdentifier": file.parent_identifier,
        "VirtualDiskId": file.identifier,
    }
    return {"ReturnValue": 0, "SettingData": _told(host, "Msvm_VirtualHardDiskSettingData", values)}


@hyperv.method(V2, "Msvm_ImageManagementService", "GetVirtualHardDiskState")
def disk_state(host: Host, instance: Instance | None, inputs: Instance) -> Instance:
    file = _find_file(host, str(inputs["Path"]))
    if file is None:
        return {"ReturnValue": FILE_NOT_FOUND}
    return {"ReturnValue": 0, "State": _told(host, "Msvm_VirtualHardDiskState", {"FileSize": file.file_size})}


# Snapshots


@hyperv.method(V1, "Msvm_VirtualSystemManagementService", "RemoveVirtualSystemSnapshotTree")
def remove_tree_1(host: Host, instance: Instance | None, inputs: Instance) -> Instance:
    return _remove_tree(host, V1, inputs["SnapshotSettingData"])


@hyperv.method(V2, "Msvm_VirtualSystemSnapshotService", "DestroySnapshotTree")
def remove_tree_2(host: Host, instance: Instance | None, inputs: Instance) -> Instance:
    return _remove_tree(host, V2, inputs["SnapshotSettingData"])


def _remove_tree(host: Host, namespace: str, snapshot: Reference) -> Instance:
    wanted = str(snapshot.keys.get("InstanceID", "")).removeprefix("Microsoft:")
    vm = next((vm for vm in machines(host) if wanted in vm.snapshots), None)
    if vm is None:
        return {"ReturnValue": 32773}
    state, found = host.fleet.state(HyperVState), vm
    if state.fail_removal:
        state.fail_removal = False
        job = _new_job(state, vm)
        job.state, job.error, job.text = JOB_EXCEPTION, 32768, "The operation failed."
        return _job_answer(namespace, job)
    position = host.switches["hyperv.removal"]
    if position == "at_once":
        _drop_tree(host.fleet, vm, wanted)
        return {"ReturnValue": 0}
    job = _new_job(state, vm)
    vm.activity = DELETING

    def end() -> None:
        found.activity = None
        _drop_tree(host.fleet, found, wanted)
        job.state, job.percent = JOB_COMPLETED, 100
        if position == "forgotten":
            state.jobs.pop(job.id, None)

    host.fleet.clock.after(DELETE_SECONDS, end)
    return _job_answer(namespace, job)


def _new_job(state: HyperVState, vm: Machine) -> Job:
    job = Job(str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{vm.id}.{len(state.jobs)}")).upper(), vm.id)
    state.jobs[job.id] = job
    return job


def _job_answer(namespace: str, job: Job) -> Instance:
    keys = {"InstanceID": job.id} if namespace == V1 else {"InstanceID": job.id, "Name": "Msvm_ConcreteJob"}
    return {"ReturnValue": JOB_STARTED, "Job": Reference(namespace, "Msvm_ConcreteJob", keys)}


def _drop_tree(fleet: Fleet, vm: Machine, root: str) -> None:
    """The snapshot and those below it are gone; their files stay until they are merged."""
    gone = {root}
    while more := {s.id for s in vm.snapshots.values() if s.parent in gone and s.id not in gone}:
        gone |= more
    while vm.start is not None and vm.start in gone:
        vm.start = vm.snapshots[vm.start].parent
    for identifier in gone:
        vm.snapshots.pop(identifier, None)
    merge(fleet, vm)
