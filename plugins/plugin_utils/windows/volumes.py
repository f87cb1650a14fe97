# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Volumes of a host and the shared ones of its cluster, with their free space. For this collection only.

https://learn.microsoft.com/en-us/previous-versions/windows/desktop/vdswmi/win32-volume
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..wsman.bindings import CimClass
from ..wsman.types import uint64
from .cluster import DiskPartition, SharedVolume, SharedVolumeToPartition
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


def read_volumes(host: HasCim, *, shared: bool) -> list[Volume]:
    """The volumes of the host. shared: also the Cluster Shared Volumes, which Windows Server 2008 does not have."""
    found = [Volume(v.Name, v.FreeSpace, v.Capacity) for v in host.cim.query(LocalVolume)]
    return [*found, *(_read_shared(host) if shared else ())]


def _read_shared(host: HasCim) -> Iterable[Volume]:
    names = [volume.Name for volume in host.cim.query(SharedVolume)]
    if not names:
        return
    partitions = {partition.Path.lower(): partition for partition in host.cim.query(DiskPartition)}
    for link in host.cim.query(SharedVolumeToPartition):
        name = link.GroupComponent.keys.get("Name", "")
        partition = partitions.get(link.PartComponent.keys.get("Path", "").lower())
        if name in names and partition is not None:
            # The cluster counts in megabytes.
            yield Volume(name, partition.FreeSpace * _MEGABYTE, partition.TotalSize * _MEGABYTE)
