# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Volumes of a host and the shared ones of its cluster, with their free space. For this collection only.

https://learn.microsoft.com/en-us/previous-versions/windows/desktop/vdswmi/win32-volume
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..wsman.bindings import CimClass
from ..wsman.types import uint64
from .cluster import DiskPartition, SharedVolume, SharedVolumeToPartition
from .operating_system import SERVER_2008_R2, SERVER_2012
from .registry import HasCim

_MEGABYTE = 2**20


class LocalVolume(CimClass, namespace="root/cimv2", wmi="Win32_Volume"):
    """A volume of the host. Name: root directory with a backslash at its end; sizes in bytes."""

    Name: str
    FreeSpace: uint64 | None
    Capacity: uint64 | None


@dataclass(frozen=True)
class Volume:
    """A place for files. path: root directory; sizes in bytes, None where Windows does not tell."""

    path: str
    free: int | None
    total: int | None

    def holds(self, file: str) -> bool:
        """Whether a file lies below the root directory."""
        root = self.path.rstrip("\\").lower()
        return file.lower().startswith(root + "\\")


def volume_of(file: str, volumes: Iterable[Volume]) -> Volume | None:
    """The volume that a file is on: the longest root directory counts."""
    holding = [volume for volume in volumes if volume.holds(file)]
    return max(holding, key=lambda volume: len(volume.path), default=None)


def read_volumes(host: HasCim, build: int) -> list[Volume]:
    """The volumes of the host, and the Cluster Shared Volumes, which Windows Server 2008 does not have."""
    found = [Volume(v.Name, v.FreeSpace, v.Capacity) for v in host.cim.query(LocalVolume)]
    if build < SERVER_2008_R2:
        return found
    shared = host.cim.query(SharedVolume)
    if not shared:
        return found
    partitions = host.cim.query(DiskPartition)
    if build >= SERVER_2012:
        on = {
            link.GroupComponent.keys.get("Name", "").lower(): link.PartComponent.keys.get("Path", "").lower()
            for link in host.cim.query(SharedVolumeToPartition)
        }
        pairs = ((v, next((p for p in partitions if p.Path.lower() == on.get(v.Name.lower())), None)) for v in shared)
    else:
        # Windows Server 2008 R2 has no association of the two: both name the volume.
        pairs = ((v, next((p for p in partitions if guid_in(v.VolumeName) in _names(p)), None)) for v in shared)
    return [*found, *(_shared(volume, partition) for volume, partition in pairs)]


def guid_in(name: str | None) -> str:
    """The GUID of a volume name in lower case, or what never is one."""
    found = re.search(r"\{([0-9a-f-]{36})\}", (name or "").lower())
    return found[1] if found else "?"


def _names(partition: DiskPartition) -> tuple[str, ...]:
    return guid_in(partition.VolumeGuid), guid_in(partition.Path), (partition.VolumeGuid or "").strip("{}").lower()


def _shared(volume: SharedVolume, partition: DiskPartition | None) -> Volume:
    if partition is None:
        return Volume(volume.Name, None, None)
    # The cluster counts in megabytes.
    return Volume(volume.Name, partition.FreeSpace * _MEGABYTE, partition.TotalSize * _MEGABYTE)
