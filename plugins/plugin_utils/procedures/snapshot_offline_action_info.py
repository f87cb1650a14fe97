# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The clustered virtual machines of a node, their snapshots and disk chains. For this collection only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import Refusal
from ..windows import cluster, hyperv
from ..windows.cluster import VmResource, Windows
from ..windows.operating_system import read_operating_system
from .base import Host
from .clustered_machine import (
    Place,
    asked_of,
    method_of,
    owned_elsewhere,
    read_state,
    report_of,
    require_service,
)
from .disk_chains import merges


@dataclass(frozen=True)
class InfoParameters:
    """Which machine; all of the node's where neither is given."""

    vm: str | None
    vm_id: str | None


class SnapshotOfflineActionInfo:
    """Module ``snapshot_offline_action_info``."""

    module = "snapshot_offline_action_info"

    def parameters(self, arguments: Mapping[str, Any]) -> InfoParameters:
        """Errors: Refusal R1."""
        vm, vm_id = arguments["vm"], arguments["vm_id"]
        if vm is not None and vm_id is not None:
            raise Refusal("R1", "name the VM by exactly one of vm, vm_id")
        if vm_id is not None and hyperv.guid_of(vm_id) is None:
            raise Refusal("R1", f"vm_id must be a GUID, got {vm_id}")
        return InfoParameters(vm, hyperv.guid_of(vm_id) if vm_id is not None else None)

    def answer(self, host: Host, parameters: InfoParameters) -> tuple[Mapping[str, Any], Iterable[str]]:
        """Errors: Refusal R2 to R5."""
        system = read_operating_system(host)
        windows = Windows(system.build, system.WindowsDirectory)
        version = hyperv.of_build(windows.build)
        machines = asked_of(host, "Hyper-V", lambda: version.machines(host, parameters.vm, parameters.vm_id))
        resources = asked_of(host, "failover clustering", lambda: cluster.read_vm_resources(host, windows))
        if not resources:
            require_service(host, "failover clustering", "ClusSvc")
        if not machines:
            require_service(host, "Hyper-V", "vmms")
        found = []
        for machine in machines:
            resource = next((r for r in resources if hyperv.guid_of(r.vm_id) == machine.id), None)
            if resource is None or resource.owner.lower() != system.CSName.lower():
                _refuse_named(host, parameters, machine.name, resource)
                continue
            place = Place(windows, system.CSName, version, machine.name, machine.id, resource, machine)
            state = read_state(host, place, None, detailed=lambda _sight: True)
            sight = state.sight
            planned = merges(sight.chains, sight.depth) if sight is not None else ()
            found.append(report_of(state, planned))
        if not found and (parameters.vm or parameters.vm_id):
            named = parameters.vm or parameters.vm_id
            raise Refusal(
                "R5", f"there is no VM {named} on {host.name}: if another node of the cluster owns it run there"
            )
        return {
            "os_build": system.build,
            "method_auto": method_of("auto", system.build),
            "vms": found,
        }, ()


def _refuse_named(host: Host, parameters: InfoParameters, name: str, resource: VmResource | None) -> None:
    """A machine that was asked for by name is told of, or it is said why not. Errors: Refusal."""
    if parameters.vm is None and parameters.vm_id is None:
        return
    if resource is None:
        raise Refusal("R3", f"VM {name} is not a cluster resource")
    raise Refusal("R5", owned_elsewhere(name, resource.owner, host.name))
