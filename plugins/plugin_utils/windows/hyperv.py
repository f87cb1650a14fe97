# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Virtual machines, their snapshots and disk files: Hyper-V of every version. For this collection only.

Windows Server 2008 and 2008 R2 have root/virtualization (version 1), later ones root/virtualization/v2:
https://learn.microsoft.com/en-us/windows/win32/hyperv_v2/windows-virtualization-portal
The classes of the two differ; what they tell does not, so both are read into the same plain objects.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import MalformedAnswer, MethodFailed, WsmanFault
from ..wsman import cim_xml
from ..wsman.bindings import C, CimClass, Method, key
from ..wsman.cim import Cim, return_value
from ..wsman.faults import is_not_found
from ..wsman.types import Reference, reference, uint16, uint32, uint64
from ..wsman.wql import literal
from ..wsman.xml import child, text_of
from .operating_system import SERVER_2012
from .registry import HasCim

V1 = "root/virtualization"
V2 = "root/virtualization/v2"

JOB_STARTED = 4096
FILE_NOT_FOUND = 32779
RETURNS = {
    4096: "job started",
    32768: "failed",
    32769: "access denied",
    32770: "not supported",
    32771: "status is unknown",
    32772: "timeout",
    32773: "invalid parameter",
    32774: "system is in use",
    32775: "invalid state for this operation",
    32776: "incorrect data type",
    32777: "system is not available",
    32778: "out of memory",
    32779: "file not found",
}
"""Documented return values of the Hyper-V services."""

ENABLED, DISABLED = 2, 3
CREATING, APPLYING, DELETING, MERGING, EXPORTING, MIGRATING = 32768, 32769, 32770, 32772, 32773, 32774
FIXED, DYNAMIC, DIFFERENCING = 2, 3, 4
SNAPSHOT = "Microsoft:Hyper-V:Snapshot:"

_JOB_COMPLETED, _JOB_FAILED = 7, (8, 9, 10)
_JOB_ACTIVE = (2, 3, 4)
_MERGE_JOB = 5
_GUID = re.compile(r"[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}", re.IGNORECASE)
_INSTANCE = re.compile(r'InstanceID="((?:[^"\\]|\\.)*)"', re.IGNORECASE)


# What both versions tell


@dataclass(frozen=True)
class VirtualMachine:
    """A machine. id: GUID in upper case; enabled: EnabledState; health: HealthState; status: OperationalStatus."""

    id: str
    name: str
    enabled: int
    health: int
    status: tuple[int, ...]

    @property
    def activity(self) -> int | None:
        """OperationalStatus[1], None where there is none (Windows Server 2008 never has it)."""
        return self.status[1] if len(self.status) > 1 else None

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self.enabled == ENABLED

    @property
    def off(self) -> bool:
        """Whether it is off: neither saved nor paused."""
        return self.enabled == DISABLED


@dataclass(frozen=True)
class Setting:
    """The settings of a machine now (current), or those a snapshot holds. id, parent: GUIDs in upper case."""

    id: str
    name: str
    parent: str | None
    kind: str
    current: bool
    reference: Reference


@dataclass(frozen=True)
class AttachedDisk:
    """A disk of the machine as it is now. controller: the identifiers of controller and place; path: of the file."""

    controller: str
    path: str


@dataclass(frozen=True)
class DiskFile:
    """A virtual hard disk file. type: FIXED, DYNAMIC or DIFFERENCING; sizes in bytes; identifiers from version 2 on."""

    path: str
    parent: str | None
    type: int
    file_size: int
    max_size: int
    identifier: str | None = None
    parent_identifier: str | None = None


@dataclass(frozen=True)
class Job:
    """Something that Hyper-V does in the background. error: its own number; percent: of the work."""

    state: int
    percent: int
    error: int
    text: str

    @property
    def done(self) -> bool:
        """Whether it came to its end."""
        return self.state == _JOB_COMPLETED

    @property
    def failed(self) -> bool:
        """Whether it ended otherwise."""
        return self.state in _JOB_FAILED


@dataclass(frozen=True)
class MergeJob:
    """A merge that runs or failed. status: HRESULT of a failed one."""

    percent: int
    failed: bool
    status: int


class HyperV(Protocol):
    """The requests, which each version has in its own classes."""

    def machines(self, host: HasCim, name: str | None = None, vm_id: str | None = None) -> list[VirtualMachine]:
        """The machines on the host; those of a name, or of a GUID. Errors: WsmanFault."""

    def settings(self, host: HasCim, vm_id: str) -> list[Setting]:
        """The current settings and the snapshots of a machine."""

    def disks(self, host: HasCim, vm_id: str) -> list[AttachedDisk]:
        """The virtual hard disks of a machine as it is now."""

    def file(self, host: HasCim, path: str) -> DiskFile | None:
        """A disk file; None where there is none. Errors: MethodFailed."""

    def remove_tree(self, host: HasCim, snapshot: Setting) -> Reference | None:
        """Removes a snapshot and those below it; the job that does it, None when it is done. Errors: MethodFailed."""

    def shutdown_status(self, host: HasCim, vm_id: str) -> int | None:
        """OperationalStatus[0] of the guest's shutdown component; None where it has none."""

    def job(self, host: HasCim, job: Reference) -> Job | None:
        """A job; None where Hyper-V has forgotten it, as it does with jobs that are done."""

    def merges(self, host: HasCim, files: Iterable[str]) -> list[MergeJob]:
        """The merges of these files that run or failed."""


def of_build(build: int) -> HyperV:
    """How to talk to the Hyper-V of a Windows."""
    return _Version2() if build >= SERVER_2012 else _Version1()


def guid_of(text: str) -> str | None:
    """The last GUID in a text, in upper case."""
    found = _GUID.findall(text)
    return found[-1].upper() if found else None


def _setting_of(path: str | None) -> str | None:
    """The GUID of the settings that an object path names."""
    found = _INSTANCE.search(path or "")
    return guid_of(found[1]) if found else None


def _machine_filter(name: str | None, vm_id: str | None) -> str:
    if vm_id is not None:
        return f"Name = {literal(vm_id)}"
    return f"ElementName = {literal(name)}" if name is not None else ""


def _place(instance_id: str, vm_id: str) -> str:
    """What identifies controller and place in the InstanceID of a disk: between the machine and the last letter."""
    parts = [part for part in instance_id.split("\\") if part]
    middle = [part for part in parts[1:] if part not in ("L", "D")]
    return "\\".join(middle) or instance_id.replace(vm_id, "").strip(":\\")


# Version 1


class ComputerV1(CimClass, namespace=V1, wmi="Msvm_ComputerSystem"):
    """A machine, or the host itself, whose Name is no GUID."""

    Name: str = key()
    ElementName: str | None
    EnabledState: uint16
    HealthState: uint16 | None
    OperationalStatus: tuple[uint16, ...] | None


class SettingV1(CimClass, namespace=V1, wmi="Msvm_VirtualSystemSettingData"):
    """Settings. SettingType: 3 current, 5 snapshot; Parent: object path."""

    InstanceID: str = key()
    ElementName: str | None
    SettingType: uint16
    Parent: str | None


class DiskV1(CimClass, namespace=V1, wmi="Msvm_ResourceAllocationSettingData"):
    """A disk. Connection[0]: path of the file."""

    InstanceID: str = key()
    Connection: tuple[str, ...] | None


class FileV1(CimClass, namespace=V1, wmi="Msvm_VirtualHardDiskInfo"):
    """What GetVirtualHardDiskInfo tells."""

    Type: uint16
    FileSize: uint64
    MaxInternalSize: uint64
    ParentPath: str | None


class ImagesV1(CimClass, namespace=V1, wmi="Msvm_ImageManagementService"):
    """The service for disk files."""

    Name: str = key()
    GetVirtualHardDiskInfo = Method({"Path": str}, {"Info": str | None, "Job": reference | None}, RETURNS)


class ManagementV1(CimClass, namespace=V1, wmi="Msvm_VirtualSystemManagementService"):
    """The service for machines."""

    Name: str = key()
    RemoveVirtualSystemSnapshotTree = Method(
        {"SnapshotSettingData": reference}, {"Job": reference | None}, RETURNS, (0, JOB_STARTED)
    )


class ShutdownV1(CimClass, namespace=V1, wmi="Msvm_ShutdownComponent"):
    """The guest's shutdown service."""

    SystemName: str = key()
    OperationalStatus: tuple[uint16, ...] | None


class JobV1(CimClass, namespace=V1, wmi="Msvm_ConcreteJob"):
    """A job."""

    InstanceID: str = key()
    JobState: uint16
    PercentComplete: uint16 | None
    ErrorCode: uint16 | None
    ErrorDescription: str | None


class StorageJobV1(CimClass, namespace=V1, wmi="Msvm_StorageJob"):
    """A job on a disk file. Type 5: merging; Child: the file that is merged."""

    InstanceID: str = key()
    JobState: uint16
    PercentComplete: uint16 | None
    Type: uint16 | None
    JobCompletionStatusCode: uint32 | None
    Child: str | None


class _Version1:
    def __init__(self) -> None:
        self._services = _Services()

    def machines(self, host: HasCim, name: str | None = None, vm_id: str | None = None) -> list[VirtualMachine]:
        return _machines(host.cim.query(ComputerV1, _machine_filter(name, vm_id)))

    def settings(self, host: HasCim, vm_id: str) -> list[Setting]:
        found = host.cim.query(SettingV1, f"SystemName = {literal(vm_id)} AND (SettingType = 3 OR SettingType = 5)")
        return [
            Setting(
                guid_of(each.InstanceID) or each.InstanceID,
                each.ElementName or "",
                _setting_of(each.Parent),
                "",
                each.SettingType == 3,
                each.reference,
            )
            for each in found
        ]

    def disks(self, host: HasCim, vm_id: str) -> list[AttachedDisk]:
        where = "ResourceSubType = 'Microsoft Virtual Hard Disk' AND InstanceID LIKE " + literal(f"Microsoft:{vm_id}%")
        found = host.cim.query(DiskV1, where)
        return [AttachedDisk(_place(d.InstanceID, vm_id), d.Connection[0]) for d in found if d.Connection]

    def file(self, host: HasCim, path: str) -> DiskFile | None:
        told = _embedded(host.cim, self._services, ImagesV1, ImagesV1.GetVirtualHardDiskInfo, path, "Info", FileV1)
        if told is None:
            return None
        return DiskFile(path, told.ParentPath or None, told.Type, told.FileSize, told.MaxInternalSize)

    def remove_tree(self, host: HasCim, snapshot: Setting) -> Reference | None:
        service = self._services.find(host.cim, ManagementV1)
        method = ManagementV1.RemoveVirtualSystemSnapshotTree
        return _job_of(host.cim, method, service, snapshot.reference)

    def shutdown_status(self, host: HasCim, vm_id: str) -> int | None:
        return _first_status(host.cim.query(ShutdownV1, f"SystemName = {literal(vm_id)}"))

    def job(self, host: HasCim, job: Reference) -> Job | None:
        return _job(host.cim, JobV1, job)

    def merges(self, host: HasCim, files: Iterable[str]) -> list[MergeJob]:
        return _merges(host.cim.query(StorageJobV1, f"Type = {_MERGE_JOB}"), files)


# Version 2


class ComputerV2(CimClass, namespace=V2, wmi="Msvm_ComputerSystem"):
    """A machine, or the host itself, whose Name is no GUID."""

    Name: str
    ElementName: str | None
    EnabledState: uint16
    HealthState: uint16 | None
    OperationalStatus: tuple[uint16, ...] | None


class SettingV2(CimClass, namespace=V2, wmi="Msvm_VirtualSystemSettingData"):
    """Settings. VirtualSystemType: what they are of; Parent: object path."""

    InstanceID: str = key()
    ElementName: str | None
    VirtualSystemType: str | None
    Parent: str | None


class DiskV2(CimClass, namespace=V2, wmi="Msvm_StorageAllocationSettingData"):
    """A disk. HostResource[0]: path of the file."""

    InstanceID: str = key()
    HostResource: tuple[str, ...] | None


class FileV2(CimClass, namespace=V2, wmi="Msvm_VirtualHardDiskSettingData"):
    """What GetVirtualHardDiskSettingData tells."""

    Type: uint16
    MaxInternalSize: uint64
    ParentPath: str | None
    ParentIdentifier: str | None
    VirtualDiskId: str | None


class FileStateV2(CimClass, namespace=V2, wmi="Msvm_VirtualHardDiskState"):
    """What GetVirtualHardDiskState tells."""

    FileSize: uint64


class ImagesV2(CimClass, namespace=V2, wmi="Msvm_ImageManagementService"):
    """The service for disk files."""

    Name: str = key()
    GetVirtualHardDiskSettingData = Method({"Path": str}, {"SettingData": str | None, "Job": reference | None}, RETURNS)
    GetVirtualHardDiskState = Method({"Path": str}, {"State": str | None, "Job": reference | None}, RETURNS)


class SnapshotsV2(CimClass, namespace=V2, wmi="Msvm_VirtualSystemSnapshotService"):
    """The service for snapshots."""

    Name: str = key()
    DestroySnapshotTree = Method(
        {"SnapshotSettingData": reference}, {"Job": reference | None}, RETURNS, (0, JOB_STARTED)
    )


class ShutdownV2(CimClass, namespace=V2, wmi="Msvm_ShutdownComponent"):
    """The guest's shutdown service."""

    SystemName: str
    OperationalStatus: tuple[uint16, ...] | None


class JobV2(CimClass, namespace=V2, wmi="Msvm_ConcreteJob"):
    """A job."""

    InstanceID: str = key()
    JobState: uint16
    PercentComplete: uint16 | None
    ErrorCode: uint16 | None
    ErrorDescription: str | None


class StorageJobV2(CimClass, namespace=V2, wmi="Msvm_StorageJob"):
    """A job on a disk file. JobType 5: merging; Child: the file that is merged."""

    InstanceID: str = key()
    JobState: uint16
    PercentComplete: uint16 | None
    JobType: uint16 | None
    JobCompletionStatusCode: uint32 | None
    Child: str | None


class _Version2:
    def __init__(self) -> None:
        self._services = _Services()

    def machines(self, host: HasCim, name: str | None = None, vm_id: str | None = None) -> list[VirtualMachine]:
        return _machines(host.cim.query(ComputerV2, _machine_filter(name, vm_id)))

    def settings(self, host: HasCim, vm_id: str) -> list[Setting]:
        found = host.cim.query(SettingV2, f"VirtualSystemIdentifier = {literal(vm_id)}")
        return [
            Setting(
                guid_of(each.InstanceID) or each.InstanceID,
                each.ElementName or "",
                _setting_of(each.Parent),
                (each.VirtualSystemType or "").removeprefix(SNAPSHOT),
                each.VirtualSystemType == "Microsoft:Hyper-V:System:Realized",
                each.reference,
            )
            for each in found
            if (each.VirtualSystemType or "").startswith(SNAPSHOT)
            or each.VirtualSystemType == "Microsoft:Hyper-V:System:Realized"
        ]

    def disks(self, host: HasCim, vm_id: str) -> list[AttachedDisk]:
        kind = literal("Microsoft:Hyper-V:Virtual Hard Disk")
        where = f"ResourceSubType = {kind} AND InstanceID LIKE " + literal(f"Microsoft:{vm_id}%")
        found = host.cim.query(DiskV2, where)
        return [AttachedDisk(_place(d.InstanceID, vm_id), d.HostResource[0]) for d in found if d.HostResource]

    def file(self, host: HasCim, path: str) -> DiskFile | None:
        told = _embedded(
            host.cim, self._services, ImagesV2, ImagesV2.GetVirtualHardDiskSettingData, path, "SettingData", FileV2
        )
        state = _embedded(
            host.cim, self._services, ImagesV2, ImagesV2.GetVirtualHardDiskState, path, "State", FileStateV2
        )
        if told is None or state is None:
            return None
        return DiskFile(
            path,
            told.ParentPath or None,
            told.Type,
            state.FileSize,
            told.MaxInternalSize,
            told.VirtualDiskId or None,
            told.ParentIdentifier or None,
        )

    def remove_tree(self, host: HasCim, snapshot: Setting) -> Reference | None:
        service = self._services.find(host.cim, SnapshotsV2)
        return _job_of(host.cim, SnapshotsV2.DestroySnapshotTree, service, snapshot.reference)

    def shutdown_status(self, host: HasCim, vm_id: str) -> int | None:
        return _first_status(host.cim.query(ShutdownV2, f"SystemName = {literal(vm_id)}"))

    def job(self, host: HasCim, job: Reference) -> Job | None:
        return _job(host.cim, JobV2, job)

    def merges(self, host: HasCim, files: Iterable[str]) -> list[MergeJob]:
        return _merges(host.cim.query(StorageJobV2, f"JobType = {_MERGE_JOB}"), files)


# Both


def _machines(found: Sequence[ComputerV1 | ComputerV2]) -> list[VirtualMachine]:
    return [
        VirtualMachine(
            each.Name.upper(),
            each.ElementName or "",
            each.EnabledState,
            each.HealthState or 0,
            each.OperationalStatus or (),
        )
        for each in found
        if _GUID.fullmatch(each.Name)
    ]


class _Services:
    """The services of a host with the references it gives itself: not all of their keys are documented."""

    def __init__(self) -> None:
        self._found: dict[type[CimClass], CimClass] = {}

    def find(self, cim: Cim, cls: type[CimClass]) -> CimClass:
        """The one instance of a service, asked for once."""
        if cls not in self._found:
            found = cim.query(cls, references=True)
            if len(found) != 1:
                raise MalformedAnswer(f"reading {cls.__cim__.wmi}: one instance was expected, {len(found)} came")
            self._found[cls] = found[0]
        return self._found[cls]


def _embedded(
    cim: Cim, services: _Services, service: type[CimClass], method: Method, path: str, output: str, cls: type[C]
) -> C | None:
    """The instance that a method about a file gives back; None where the file is not found. Errors: MethodFailed.

    Hyper-V embeds instances as text, in CIM-XML; UNCONFIRMED whether every WinRM passes that text on or nests elements.
    """
    attempted = f"looking into {path}"
    found = services.find(cim, service).reference
    types = method.input_types()
    answer = cim.invoke_raw(
        method.binding.resource_uri, method.name, found.selectors, {"Path": (path, types["Path"])}, attempted
    )
    value = return_value(answer, attempted)
    if value == FILE_NOT_FOUND:
        return None
    element = child(answer, output)
    if value != 0 or element is None:
        raise MethodFailed(attempted, method.name, value, RETURNS.get(value, ""))
    decoded: Any = cls.__cim__.decode_object(element if len(element) else _parsed(element))
    typed: C = decoded
    return typed


def _parsed(element: ET.Element) -> ET.Element:
    return cim_xml.instance(text_of(element))


def _job_of(cim: Cim, method: Method, service: CimClass, snapshot: Reference) -> Reference | None:
    result = cim.invoke(method, service, SnapshotSettingData=snapshot)
    job: Reference | None = result.outputs["Job"] if result.value == JOB_STARTED else None
    return job


def _job(cim: Cim, cls: type[JobV1 | JobV2], job: Reference) -> Job | None:
    try:
        element = cim.get_element(job, f"reading {cls.__cim__.wmi}")
    except WsmanFault as fault:
        if is_not_found(fault):
            return None
        raise
    told: Any = cls.__cim__.decode_object(element)
    return Job(told.JobState, told.PercentComplete or 0, told.ErrorCode or 0, told.ErrorDescription or "")


def _first_status(found: Sequence[ShutdownV1 | ShutdownV2]) -> int | None:
    return next((each.OperationalStatus[0] for each in found if each.OperationalStatus), None)


def _merges(found: Sequence[StorageJobV1 | StorageJobV2], files: Iterable[str]) -> list[MergeJob]:
    wanted = {file.lower() for file in files}
    return [
        MergeJob(job.PercentComplete or 0, job.JobState in _JOB_FAILED, job.JobCompletionStatusCode or 0)
        for job in found
        if (job.Child or "").lower() in wanted and (job.JobState in _JOB_ACTIVE or job.JobState in _JOB_FAILED)
    ]
