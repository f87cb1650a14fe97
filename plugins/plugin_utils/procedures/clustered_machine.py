# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A clustered virtual machine as its owner sees it: resource, snapshots, disk chains, volumes. Reads only.

For this collection only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from ..errors import Refusal, WsmanFault
from ..journal import Entry
from ..windows import cluster, hyperv
from ..windows.cluster import VmResource, Windows
from ..windows.hyperv import HyperV, Setting, VirtualMachine
from ..windows.operating_system import SERVER_2008_R2, SERVER_2012, read_operating_system
from ..windows.services import find_service
from ..windows.volumes import Volume, read_volumes, volume_of
from ..wsman.faults import is_access_denied
from .base import Host
from .disk_chains import Chain, Merge, depth_of, needed, pending_layers, problems, read_chain

OFFLINE_ACTIONS = {"turn_off": 0, "save": 1, "shutdown": 2, "force_shutdown": 3}
RESOURCE_STATES = {
    cluster.RESOURCE_INITIALIZING: "initializing",
    cluster.RESOURCE_ONLINE: "online",
    cluster.RESOURCE_OFFLINE: "offline",
    cluster.RESOURCE_FAILED: "failed",
    cluster.RESOURCE_PENDING: "pending",
    cluster.RESOURCE_ONLINE_PENDING: "pending",
    cluster.RESOURCE_OFFLINE_PENDING: "pending",
}
# UNCONFIRMED which numbers version 2 has for saved and paused: those of both versions are taken.
VM_STATES = {
    2: "running",
    3: "off",
    4: "stopping",
    6: "saved",
    9: "paused",
    10: "starting",
    32768: "paused",
    32769: "saved",
    32770: "starting",
    32773: "saving",
    32774: "stopping",
}
HEALTH = {5: "ok", 20: "major_failure", 25: "critical"}
FILE_TYPES = {hyperv.FIXED: "fixed", hyperv.DYNAMIC: "dynamic", hyperv.DIFFERENCING: "differencing"}
ACTIVITIES = {
    hyperv.CREATING: "creating a snapshot",
    hyperv.APPLYING: "applying a snapshot",
    hyperv.EXPORTING: "being exported",
    hyperv.MIGRATING: "migrating",
}

COMPONENT_USABLE = (2, 3)

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """Where the machine was found. elsewhere: why it is not this host's, None where it is."""

    windows: Windows
    node: str
    hyperv: HyperV
    name: str
    vm_id: str | None
    resource: VmResource | None
    machine: VirtualMachine | None
    elsewhere: str | None = None


@dataclass(frozen=True)
class Sight:
    """The machine, its snapshots and its disks at one moment; read on the node that owns it."""

    build: int
    resource: VmResource
    machine: VirtualMachine
    settings: tuple[Setting, ...]
    chains: tuple[Chain, ...]

    @property
    def snapshots(self) -> list[Setting]:
        """The snapshots."""
        return [setting for setting in self.settings if not setting.current]

    @property
    def parents(self) -> dict[str, str | None]:
        """Each snapshot and what it was made from."""
        known = {snapshot.id for snapshot in self.snapshots}
        return {s.id: s.parent if s.parent in known else None for s in self.snapshots}

    @property
    def start(self) -> str | None:
        """The snapshot that the running configuration was made from."""
        return next((setting.parent for setting in self.settings if setting.current), None)

    @property
    def depth(self) -> int:
        """Snapshots from the running configuration to the root."""
        return depth_of(self.start, self.parents)

    @property
    def pending(self) -> int:
        """Layers that no snapshot explains."""
        return pending_layers(self.chains, self.depth)

    @property
    def merging(self) -> bool | None:
        """Whether Hyper-V says that it merges; None on Windows Server 2008, which never says."""
        if self.build < SERVER_2008_R2:
            return None
        # A deletion is followed by its merge and waited for in the same way.
        return self.machine.activity in (hyperv.MERGING, hyperv.DELETING)

    @property
    def layers(self) -> list[str]:
        """Paths of all layers."""
        return [layer.path for chain in self.chains for layer in chain.layers]

    @property
    def layer_bytes(self) -> int:
        """Size of all layers."""
        return sum(layer.file_size for chain in self.chains for layer in chain.layers)

    @property
    def complete(self) -> bool:
        """Whether every chain could be read to its base: while files are merged one may go under the reader."""
        return all(chain.missing is None for chain in self.chains)

    @property
    def calm(self) -> bool:
        """Whether nothing is left to merge."""
        return self.complete and self.pending == 0 and not self.merging

    @property
    def at_rest(self) -> bool:
        """Whether the cluster has taken the machine offline and it is off."""
        return self.resource.state == cluster.RESOURCE_OFFLINE and self.machine.off

    @property
    def in_service(self) -> bool:
        """Whether the resource is online and the machine runs."""
        return self.resource.state == cluster.RESOURCE_ONLINE and self.machine.running


@dataclass(frozen=True)
class State:
    """What is there. sight: None where another node owns the machine.

    volumes, component (OperationalStatus of the shutdown component) are read where there is something to do.
    """

    place: Place
    journal: Entry | None
    sight: Sight | None = None
    detailed: bool = False
    volumes: tuple[Volume, ...] = ()
    component: int | None = None


def method_of(wanted: str, build: int) -> str:
    """``offline`` or ``live``."""
    if wanted != "auto":
        return wanted
    return "live" if build >= SERVER_2012 else "offline"


def name_of_action(value: int | None) -> str:
    """The name of an OfflineAction."""
    return next((name for name, number in OFFLINE_ACTIONS.items() if number == value), "unknown")


def vm_state(machine: VirtualMachine) -> str:
    """The name of a machine's state."""
    return VM_STATES.get(machine.enabled, "other")


def word_of(resource: VmResource) -> str:
    """The name of a resource's state."""
    return RESOURCE_STATES.get(resource.state, "unknown")


def state_of(machine: VirtualMachine) -> str:
    """The state of a machine for a message; a number that no reference names is told."""
    word = vm_state(machine)
    return word if word != "other" else f"in EnabledState {machine.enabled}, neither running nor off"


# Reading


def asked_of(host: Host, role: str, read: Callable[[], T]) -> T:
    """What a role of the host answers. Errors: Refusal R2 where the role is not there."""
    try:
        return read()
    except WsmanFault as fault:
        if is_access_denied(fault):
            raise
        raise _not_available(host, role, str(fault)) from fault


def _not_available(host: Host, role: str, error: str) -> Refusal:
    return Refusal("R2", f"{host.name}: {role} is not available ({error}); run this on a Hyper-V cluster node")


def require_service(host: Host, role: str, service: str) -> None:
    """For an empty answer, which a stopped service may give. Errors: Refusal R2."""
    found = find_service(host, service)
    if found is None or found.State != "Running":
        raise _not_available(host, role, f"service {service} is {found.State if found else 'not installed'}")


def locate(host: Host, name: str | None, vm_id: str | None) -> Place:
    """Where the machine of a name, or of a GUID, is. Errors: Refusal R2 to R4."""
    system = read_operating_system(host)
    windows = Windows(system.build, system.WindowsDirectory)
    version = hyperv.of_build(windows.build)
    machines = asked_of(host, "Hyper-V", lambda: version.machines(host, name, vm_id))
    resources = asked_of(host, "failover clustering", lambda: cluster.read_vm_resources(host, windows))
    if not resources:
        require_service(host, "failover clustering", "ClusSvc")
    if len(machines) > 1:
        ids = ", ".join(sorted(machine.id for machine in machines))
        raise Refusal("R4", f"two VMs are named {name} ({ids}): use vm_id")
    machine = machines[0] if machines else None
    if machine is None:
        require_service(host, "Hyper-V", "vmms")
        resource = _elsewhere(name, vm_id, resources)
    else:
        resource = next((r for r in resources if hyperv.guid_of(r.vm_id) == machine.id), None)
        if resource is None:
            raise Refusal(
                "R3",
                f"VM {machine.name} is not a cluster resource: nothing would restart it, so delete its snapshots and "
                "shut it down in the ordinary way",
            )
    found = Place(
        windows,
        system.CSName,
        version,
        machine.name if machine is not None else name or vm_id or "",
        machine.id if machine is not None else (hyperv.guid_of(resource.vm_id) if resource is not None else vm_id),
        resource,
        machine,
    )
    return dataclasses.replace(found, elsewhere=_why_elsewhere(host, found))


def _elsewhere(name: str | None, vm_id: str | None, resources: Iterable[VmResource]) -> VmResource | None:
    """The resource of a machine that this host does not show. By name it is a guess, good enough for a refusal."""
    for resource in resources:
        if vm_id is not None and hyperv.guid_of(resource.vm_id) == vm_id:
            return resource
        if name is not None and name.lower() in (resource.group.lower(), resource.name.lower().rpartition(" ")[2]):
            return resource
    return None


def _why_elsewhere(host: Host, place: Place) -> str | None:
    if place.resource is None:
        return (
            f"there is no VM {place.name} on {host.name}: if another node of the cluster owns it run there "
            "(not_owner: skip passes over this host)"
        )
    if place.machine is not None and place.resource.owner.lower() == place.node.lower():
        return None
    return owned_elsewhere(place.name, place.resource.owner, host.name)


def owned_elsewhere(name: str, owner: str, host: str) -> str:
    """R5."""
    return f"VM {name} is owned by {owner}, not by {host}: run there (not_owner: skip passes over this host)"


def look(host: Host, place: Place, resource: VmResource, machine: VirtualMachine) -> Sight:
    """Snapshots and disks of a machine."""
    sight = _look_once(host, place, resource, machine)
    if any(chain.missing is not None for chain in sight.chains):
        # A merge that ends between two of these readings takes a file away: what is missing twice is missing.
        return _look_once(host, place, resource, machine)
    return sight


def _look_once(host: Host, place: Place, resource: VmResource, machine: VirtualMachine) -> Sight:
    settings = place.hyperv.settings(host, machine.id)
    disks = place.hyperv.disks(host, machine.id)
    chains = [read_chain(d.controller, d.path, lambda path: place.hyperv.file(host, path)) for d in disks]
    return Sight(place.windows.build, resource, machine, tuple(settings), tuple(chains))


def read_state(host: Host, place: Place, journal: Entry | None, *, detailed: Callable[[Sight], bool]) -> State:
    """The state of a machine that this host owns. detailed: whether volumes and shutdown component are wanted too."""
    if place.resource is None or place.machine is None or place.elsewhere is not None:
        return State(place, journal)
    sight = look(host, place, place.resource, place.machine)
    if not detailed(sight):
        return State(place, journal, sight)
    return State(
        place,
        journal,
        sight,
        True,
        tuple(read_volumes(host, place.windows.build)),
        place.hyperv.shutdown_status(host, place.machine.id),
    )


def report_of(state: State, planned: Iterable[Merge] = (), demanded: int | None = None) -> dict[str, Any]:
    """What the info module tells of a machine. planned: merges whose need of space is told with the volumes."""
    sight = state.sight
    if sight is None:
        return {}
    resource, machine = sight.resource, sight.machine
    needs = needed(planned, lambda path: root_of(path, state.volumes), demanded)
    used = {
        volume.path: volume
        for chain in sight.chains
        for file in chain.files
        if (volume := volume_of(file.path, state.volumes)) is not None
    }
    return {
        "name": machine.name,
        "id": machine.id,
        "resource": resource.name,
        "group": resource.group,
        "owner_node": resource.owner,
        "resource_state": word_of(resource),
        "vm_state": vm_state(machine),
        "health": HEALTH.get(machine.health, "unknown"),
        "offline_action": name_of_action(resource.offline_action),
        "offline_action_value": resource.offline_action,
        "snapshots": [
            {"name": s.name, "id": s.id, "parent": s.parent, "type": s.kind or "Snapshot"} for s in sight.snapshots
        ],
        "disks": [_disk(chain) for chain in sight.chains],
        "merging": sight.merging,
        "pending_layers": sight.pending,
        "volumes": [
            {
                "path": volume.path,
                "free_bytes": volume.free,
                "total_bytes": volume.total,
                "needed_bytes": needs.get(volume.path, 0),
            }
            for volume in used.values()
        ]
        if state.detailed
        else None,
        "shutdown_component": component_word(state.component) if state.detailed else None,
    }


def _disk(chain: Chain) -> dict[str, Any]:
    return {
        "controller": chain.controller,
        "path": chain.path,
        "chain": [
            {
                "path": file.path,
                "parent": file.parent,
                "type": FILE_TYPES.get(file.type, "unknown"),
                "file_size": file.file_size,
                "max_size": file.max_size,
            }
            for file in chain.files
        ],
        "problems": [problem.text for problem in problems(chain)],
    }


def component_word(status: int | None) -> str:
    """``ok``, ``missing`` or ``not_responding``."""
    if status is None:
        return "missing"
    return "ok" if status in COMPONENT_USABLE else "not_responding"


def root_of(path: str, volumes: Iterable[Volume]) -> str:
    """The root directory of the volume that a file is on; empty where none is known."""
    volume = volume_of(path, volumes)
    return volume.path if volume is not None else ""
