# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The operating system and what every computer has: memory, paging files, updates, volumes, files.

Sections of a host:

    operating_system: {description: text, serial_number: text, owner: text}
    pagefiles: {'C:\\pagefile.sys': 20 GiB}                  # {} for none; default a system-managed one
    updates: [KB5034127, {id: KB5034439, installed_on: 1/20/2026}]
    volumes: {'C:': {size: 127 GiB, free: 90 GiB, label: System}, '\\\\?\\Volume{...}\\': {size: 500 MiB}}
    files: {'C:\\x\\y.exe': {size: 4096, version: 1.0.0.0}, 'C:\\x\\z.txt': {text: "a\\r\\n"}, 'C:\\x\\w.txt': null}

What can run as a process on the host is a file in the system directory by itself.
"""

from __future__ import annotations

import ntpath
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from winsim.fleet import instant, mapping, refuse, sequence, size, text
from winsim.host import Host

from . import Instance, Provider, providers
from .directory import is_domain_controller
from .eventlog import BUGCHECK_CODE, BUGCHECK_SOURCE, record
from .registry import RegistryState, contributes, expand

__all__ = [
    "File",
    "Files",
    "Pagefiles",
    "SystemState",
    "Updates",
    "Volume",
    "Volumes",
    "bugcheck",
    "contributes_files",
]

operating_system = Provider("operating_system")

NAMESPACE = "root/cimv2"
CRASH_CONTROL = "HKLM\\SYSTEM\\CurrentControlSet\\Control\\CrashControl"
MEGABYTE = 1024**2
SERVICE_PACKS = {6001: 1, 6002: 2, 6003: 2, 7601: 1}
LANGUAGES = {"en-US": (1033, "0409", "1252", "1"), "de-DE": (1031, "0407", "1252", "49")}
AUTOMATIC_DUMP_BUILD = 9200
# Between the answer to a shutdown request and the end of the connections.
SHUTDOWN_SECONDS = 2.0


@dataclass
class SystemState:
    """`active_dump` is CrashDumpEnabled as it was at the last start: Windows sets dumps up while it boots."""

    installed: datetime
    serial_number: str
    description: str = ""
    owner: str = "Windows User"
    active_dump: int | None = None
    pending_bugcheck: list[str] | None = None


@dataclass
class Pagefiles:
    """Allocated bytes by path."""

    files: dict[str, int] = field(default_factory=dict)


@dataclass
class Update:
    id: str
    installed_on: str
    description: str = "Update"


@dataclass
class Updates:
    updates: list[Update] = field(default_factory=list)


@dataclass
class Volume:
    """A volume; `device` is its `\\\\?\\Volume{...}\\` path, `letter` like `C:` or None. Sizes in bytes."""

    device: str
    letter: str | None
    label: str
    size: int
    free: int
    file_system: str = "NTFS"
    block_size: int = 4096
    drive_type: int = 3


@dataclass
class Volumes:
    volumes: list[Volume] = field(default_factory=list)


@dataclass
class File:
    """A file; `data` None is what nobody reads. `access`: `full`, `read_only` (to writers without Force), `denied`."""

    path: str
    size: int = 0
    version: str | None = None
    modified: datetime | None = None
    data: bytes | None = None
    access: str = "full"

    def __post_init__(self) -> None:
        if self.data is not None:
            self.size = len(self.data)


@dataclass
class Files:
    """Files, and folders that may be empty, by lower-case path."""

    files: dict[str, File] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)

    def add(self, file: File) -> None:
        self.files[file.path.lower()] = file


# The fleet file


@operating_system.section("operating_system", SystemState)
def build_system(host: Host, data: Any, path: str) -> SystemState:
    given = mapping(data, path, {"description", "serial_number", "owner", "installed"})
    installed = host.boot_time - timedelta(days=730)
    return SystemState(
        installed=instant(given["installed"], f"{path}.installed") if "installed" in given else installed,
        serial_number=text(given.get("serial_number", _serial(host)), f"{path}.serial_number"),
        description=text(given.get("description", ""), f"{path}.description"),
        owner=text(given.get("owner", "Windows User"), f"{path}.owner"),
    )


def _serial(host: Host) -> str:
    return f"00454-60000-00001-{zlib.crc32(host.name.encode()) % 100000:05}"


@operating_system.section("pagefiles", Pagefiles)
def build_pagefiles(host: Host, data: Any, path: str) -> Pagefiles:
    if data is None:
        return Pagefiles({"C:\\pagefile.sys": max(host.memory // 8, 1024 * MEGABYTE)})
    return Pagefiles({name: size(given, f"{path}.{name}") for name, given in mapping(data, path).items()})


@operating_system.section("updates", Updates)
def build_updates(host: Host, data: Any, path: str) -> Updates:
    updates = []
    for index, given in enumerate(sequence(data, path)):
        here = f"{path}[{index}]"
        item = {"id": given} if isinstance(given, str) else mapping(given, here, {"id", "installed_on", "description"})
        identifier = text(item.get("id"), f"{here}.id")
        on = text(item.get("installed_on", "1/15/2025"), f"{here}.installed_on")
        updates.append(Update(identifier, on, text(item.get("description", "Update"), f"{here}.description")))
    return Updates(updates)


@operating_system.section("volumes", Volumes)
def build_volumes(host: Host, data: Any, path: str) -> Volumes:
    given = {"C:": {"label": "System"}} if data is None else mapping(data, path)
    return Volumes([_volume(host, name, item, f"{path}.{name}") for name, item in given.items()])


def _volume(host: Host, name: str, data: Any, path: str) -> Volume:
    given = mapping(data, path, {"size", "free", "label", "file_system", "device"})
    letter = name.upper() if len(name) == 2 and name[1] == ":" else None
    if letter is None and not name.startswith("\\\\?\\Volume{"):
        refuse(path, "a volume is named by its drive letter (C:) or its device (\\\\?\\Volume{...}\\)")
    made = f"\\\\?\\Volume{{{uuid.uuid5(uuid.NAMESPACE_DNS, f'{host.name}.{name}')}}}\\"
    whole = size(given.get("size", 127 * 1024 * MEGABYTE), f"{path}.size")
    return Volume(
        device=text(given.get("device", made), f"{path}.device") if letter is not None else name,
        letter=letter,
        label=text(given.get("label", ""), f"{path}.label"),
        size=whole,
        free=size(given.get("free", whole * 2 // 3), f"{path}.free"),
        file_system=text(given.get("file_system", "NTFS"), f"{path}.file_system"),
    )


FilesContribution = Callable[[Host], Iterable[File]]
_contributions: list[FilesContribution] = []


def contributes_files(function: FilesContribution) -> FilesContribution:
    """(host) -> files that a subsystem brings along."""
    _contributions.append(function)
    return function


@operating_system.section("files", Files)
def build_files(host: Host, data: Any, path: str) -> Files:
    files = Files()
    for contribution in _contributions:
        for file in contribution(host):
            files.add(file)
    for name in ("cmd.exe", "ntoskrnl.exe", "drivers\\ntfs.sys"):
        files.add(File(f"{host.system_directory}\\{name}", 65536, f"{host.version}.1"))
    for name, item in mapping(data, path).items():
        given = mapping(item, f"{path}.{name}", {"size", "version", "modified", "text", "hex", "access"})
        files.add(
            File(
                name,
                size(given.get("size", 0), f"{path}.{name}.size"),
                None if given.get("version") is None else str(given["version"]),
                instant(given["modified"], f"{path}.{name}.modified") if "modified" in given else None,
                _content(given, f"{path}.{name}"),
                text(given.get("access", "full"), f"{path}.{name}.access", ("full", "read_only", "denied")),
            )
        )
    return files


def _content(given: Mapping[str, Any], path: str) -> bytes | None:
    if "text" in given:
        return text(given["text"], f"{path}.text").encode("utf-8")
    if "hex" not in given:
        return None
    try:
        return bytes.fromhex(text(given["hex"], f"{path}.hex"))
    except ValueError:
        return refuse(f"{path}.hex", "this is not hexadecimal")


@contributes
def registry_of_a_fresh_system(host: Host) -> Mapping[str, Any]:
    current: dict[str, Any] = {
        "ProductName": caption(host).removeprefix("Microsoft ").strip(),
        "CurrentBuild": str(host.build),
        "CurrentBuildNumber": str(host.build),
        "CurrentVersion": f"{min(host.release.major, 6)}.{3 if host.release.major == 10 else host.release.minor}",
        "EditionID": f"Server{host.profile.edition}",
        "InstallationType": "Server",
        "SystemRoot": host.windows_directory,
    }
    if host.release.major == 10:
        current |= {"CurrentMajorVersionNumber": 10, "CurrentMinorVersionNumber": 0}
    return {
        CRASH_CONTROL: {
            "AutoReboot": 1,
            "CrashDumpEnabled": 7 if host.build >= AUTOMATIC_DUMP_BUILD else 2,
            "DumpFile": {"expand": "%SystemRoot%\\MEMORY.DMP"},
            "LogEvent": 1,
            "MinidumpDir": {"expand": "%SystemRoot%\\Minidump"},
            "Overwrite": 1,
        },
        "HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion": current,
        "HKLM\\SYSTEM\\CurrentControlSet\\Control\\ComputerName\\ComputerName": {"ComputerName": host.name.upper()},
        "HKLM\\SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters": {
            "Hostname": host.name,
            "Domain": host.domain or "",
        },
    }


# Starting and bug checks


@operating_system.arm
def first_start(host: Host) -> None:
    """A host that has just been built booted with the registry it has; a loaded one keeps what it had."""
    state = host.state(SystemState)
    if state.active_dump is None:
        state.active_dump = dump_type(host)


@operating_system.boot
def starting(host: Host) -> None:
    state = host.state(SystemState)
    state.active_dump = dump_type(host)
    if state.pending_bugcheck is not None:
        record(host, "System", "EventLog", 6008, [host.now().strftime("%H:%M:%S"), host.now().strftime("%x")])
        record(host, "System", BUGCHECK_SOURCE, BUGCHECK_CODE, state.pending_bugcheck)
        state.pending_bugcheck = None


def dump_type(host: Host) -> int:
    """CrashDumpEnabled: 0 none, 1 complete, 2 kernel, 3 small, 7 automatic."""
    value = host.state(RegistryState).get(CRASH_CONTROL, "CrashDumpEnabled")
    return value if isinstance(value, int) else 0


def bugcheck(host: Host, code: int, parameters: Iterable[int]) -> None:
    """Stop the machine with a bug check. It starts again if AutoReboot says so, and event 1001 tells of it then."""
    registry = host.state(RegistryState)
    state = host.state(SystemState)
    numbers = ", ".join(f"0x{number:016x}" for number in parameters)
    where = registry.get(CRASH_CONTROL, "MinidumpDir" if state.active_dump == 3 else "DumpFile")
    dump = expand(host, where) if state.active_dump and isinstance(where, str) else ""
    report = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{host.name}.{host.now().isoformat()}"))
    if registry.get(CRASH_CONTROL, "LogEvent"):
        state.pending_bugcheck = [f"0x{code:08x} ({numbers})", dump, report]
    if dump:
        host.state(Files).add(File(dump, host.memory if state.active_dump == 1 else host.memory // 8))
    if registry.get(CRASH_CONTROL, "AutoReboot"):
        host.reboot()
    else:
        host.power_off()


# Win32_OperatingSystem


def caption(host: Host) -> str:
    if host.build < 7600:
        return f"Microsoft® Windows Server® 2008 {host.profile.edition} "
    if host.build < AUTOMATIC_DUMP_BUILD:
        return f"Microsoft {host.release.name} {host.profile.edition} "
    if ", version" in host.release.name:
        return f"Microsoft Windows Server {host.profile.edition}"
    return f"Microsoft {host.release.name} {host.profile.edition}"


@operating_system.instances(NAMESPACE, "Win32_OperatingSystem")
def system(host: Host) -> Iterator[Instance]:
    state = host.state(SystemState)
    number, locale, code_set, country = LANGUAGES[host.language]
    pack = SERVICE_PACKS.get(host.build, 0)
    paging = sum(host.state(Pagefiles).files.values())
    name = caption(host)
    yield {
        "BootDevice": "\\Device\\HarddiskVolume1",
        "BuildNumber": str(host.build),
        "BuildType": "Multiprocessor Free",
        "Caption": name,
        "CodeSet": code_set,
        "CountryCode": country,
        "CreationClassName": "Win32_OperatingSystem",
        "CSCreationClassName": "Win32_ComputerSystem",
        "CSDVersion": f"Service Pack {pack}" if pack else None,
        "CSName": host.name.upper(),
        "CurrentTimeZone": host.profile.time_zone,
        "Debug": False,
        "Description": state.description,
        "Distributed": False,
        "EncryptionLevel": 256,
        "ForegroundApplicationBoost": 2,
        "FreePhysicalMemory": host.memory // 2 // 1024,
        "FreeSpaceInPagingFiles": paging // 1024,
        "FreeVirtualMemory": (host.memory // 2 + paging) // 1024,
        "InstallDate": state.installed,
        "LastBootUpTime": host.boot_time,
        "LocalDateTime": host.now(),
        "Locale": locale,
        "Manufacturer": "Microsoft Corporation",
        "MaxNumberOfProcesses": 4294967295,
        "MaxProcessMemorySize": 137438953344,
        "MUILanguages": [host.language],
        "Name": f"{name}|{host.windows_directory}|\\Device\\Harddisk0\\Partition2",
        "NumberOfLicensedUsers": 0,
        "NumberOfProcesses": len(providers.instances(host, NAMESPACE, "Win32_Process")),
        "NumberOfUsers": 1,
        "OperatingSystemSKU": {"Standard": 7, "Datacenter": 8, "Enterprise": 10}.get(host.profile.edition, 7),
        "Organization": "",
        "OSArchitecture": "64-Bit" if host.language == "de-DE" else "64-bit",
        "OSLanguage": number,
        "OSProductSuite": 400,
        "OSType": 18,
        "PortableOperatingSystem": False,
        "Primary": True,
        "ProductType": 2 if is_domain_controller(host) else 3,
        "RegisteredUser": state.owner,
        "SerialNumber": state.serial_number,
        "ServicePackMajorVersion": pack,
        "ServicePackMinorVersion": 0,
        "SizeStoredInPagingFiles": paging // 1024,
        "Status": "OK",
        "SuiteMask": 400,
        "SystemDevice": "\\Device\\HarddiskVolume2",
        "SystemDirectory": host.system_directory,
        "SystemDrive": "C:",
        "TotalVirtualMemorySize": (host.memory + paging) // 1024,
        "TotalVisibleMemorySize": host.memory // 1024,
        "Version": host.version,
        "WindowsDirectory": host.windows_directory,
    }


@operating_system.modify(NAMESPACE, "Win32_OperatingSystem")
def change_system(host: Host, instance: Instance, changes: Instance) -> None:
    if "Description" in changes:
        host.state(SystemState).description = changes["Description"] or ""


@operating_system.method(NAMESPACE, "Win32_OperatingSystem", "Reboot")
def reboot(host: Host, instance: Instance | None, inputs: Instance) -> Instance:
    host.fleet.clock.after(SHUTDOWN_SECONDS, host.reboot)
    return {"ReturnValue": 0}


@operating_system.method(NAMESPACE, "Win32_OperatingSystem", "Shutdown")
def shutdown(host: Host, instance: Instance | None, inputs: Instance) -> Instance:
    host.fleet.clock.after(SHUTDOWN_SECONDS, host.power_off)
    return {"ReturnValue": 0}


@operating_system.method(NAMESPACE, "Win32_OperatingSystem", "Win32Shutdown")
@operating_system.method(NAMESPACE, "Win32_OperatingSystem", "Win32ShutdownTracker")
def win32_shutdown(host: Host, instance: Instance | None, inputs: Instance) -> Instance:
    """Flags: 1 shut down, 2 restart, 8 power off, 4 more means forced; without 1, 2 and 8 it is a log off."""
    flags = inputs.get("Flags") or 0
    delay = SHUTDOWN_SECONDS + (inputs.get("Timeout") or 0)
    if flags & 2:
        host.fleet.clock.after(delay, host.reboot)
    elif flags & (1 | 8):
        host.fleet.clock.after(delay, host.power_off)
    return {"ReturnValue": 0}


@operating_system.instances(NAMESPACE, "Win32_OSRecoveryConfiguration")
def recovery(host: Host) -> Iterator[Instance]:
    registry = host.state(RegistryState)
    dump, mini = (registry.get(CRASH_CONTROL, name) for name in ("DumpFile", "MinidumpDir"))
    kind = dump_type(host)
    yield {
        "AutoReboot": bool(registry.get(CRASH_CONTROL, "AutoReboot")),
        "DebugFilePath": dump,
        "DebugInfoType": kind if kind <= 3 else None,
        "ExpandedDebugFilePath": expand(host, dump) if isinstance(dump, str) else None,
        "ExpandedMiniDumpDirectory": expand(host, mini) if isinstance(mini, str) else None,
        "KernelDumpOnly": kind == 2,
        "MiniDumpDirectory": mini,
        "Name": f"{caption(host)}|{host.windows_directory}|\\Device\\Harddisk0\\Partition2",
        "OverwriteExistingDebugFile": bool(registry.get(CRASH_CONTROL, "Overwrite")),
        "SendAdminAlert": False,
        "WriteDebugInfo": kind != 0,
        "WriteToSystemLog": bool(registry.get(CRASH_CONTROL, "LogEvent")),
    }


# The computer


@operating_system.instances(NAMESPACE, "Win32_ComputerSystem")
def computer(host: Host) -> Iterator[Instance]:
    domain = host.domain or "WORKGROUP"
    yield {
        "AutomaticManagedPagefile": True,
        "AutomaticResetBootOption": True,
        "AutomaticResetCapability": True,
        "BootROMSupported": True,
        "BootupState": "Normal boot",
        "Caption": host.name.upper(),
        "CreationClassName": "Win32_ComputerSystem",
        "CurrentTimeZone": host.profile.time_zone,
        "DaylightInEffect": False,
        "Description": "AT/AT COMPATIBLE",
        "DNSHostName": host.name,
        "Domain": domain,
        "DomainRole": 5 if is_domain_controller(host) else 3 if host.domain else 2,
        "EnableDaylightSavingsTime": True,
        "HypervisorPresent": host.has_feature("Hyper-V"),
        "Manufacturer": "Microsoft Corporation",
        "Model": "Virtual Machine",
        "Name": host.name.upper(),
        "NetworkServerModeEnabled": True,
        "NumberOfLogicalProcessors": 4,
        "NumberOfProcessors": 1,
        "PartOfDomain": host.domain is not None,
        "PCSystemType": 4,
        "PrimaryOwnerName": host.state(SystemState).owner,
        "Roles": ["LM_Workstation", "LM_Server", "NT", "Server_NT"],
        "Status": "OK",
        "SystemType": "x64-based PC",
        "TotalPhysicalMemory": host.memory,
        "Workgroup": None if host.domain else domain,
    }


@operating_system.instances(NAMESPACE, "Win32_PageFileUsage")
def pagefile_usage(host: Host) -> Iterator[Instance]:
    for name, allocated in host.state(Pagefiles).files.items():
        yield {
            "AllocatedBaseSize": allocated // MEGABYTE,
            "Caption": name,
            "CurrentUsage": 0,
            "Description": name,
            "InstallDate": host.state(SystemState).installed,
            "Name": name,
            "PeakUsage": 0,
            "TempPageFile": False,
        }


@operating_system.instances(NAMESPACE, "Win32_QuickFixEngineering")
def updates(host: Host) -> Iterator[Instance]:
    for update in host.state(Updates).updates:
        yield {
            "Caption": f"https://support.microsoft.com/help/{update.id.removeprefix('KB')}",
            "CSName": host.name.upper(),
            "Description": update.description,
            "FixComments": "",
            "HotFixID": update.id,
            "InstalledBy": "NT AUTHORITY\\SYSTEM",
            "InstalledOn": update.installed_on,
            "ServicePackInEffect": "",
        }


# Volumes and files


@operating_system.instances(NAMESPACE, "Win32_Volume")
def volumes(host: Host) -> Iterator[Instance]:
    for volume in host.state(Volumes).volumes:
        name = f"{volume.letter}\\" if volume.letter else volume.device
        yield {
            "Access": 3,
            "Automount": True,
            "BlockSize": volume.block_size,
            "BootVolume": volume.letter == "C:",
            "Capacity": volume.size,
            "Caption": name,
            "Compressed": False,
            # The reference page marks Description as the key, so it has to tell volumes apart.
            "Description": volume.device,
            "DeviceID": volume.device,
            "DirtyBitSet": False,
            "DriveLetter": volume.letter,
            "DriveType": volume.drive_type,
            "FileSystem": volume.file_system,
            "FreeSpace": volume.free,
            "IndexingEnabled": True,
            "Label": volume.label,
            "MaximumFileNameLength": 255,
            "Name": name,
            "PageFilePresent": any(path[:2].upper() == volume.letter for path in host.state(Pagefiles).files),
            "SerialNumber": _volume_serial(volume),
            "SystemName": host.name.upper(),
            "SystemVolume": volume.letter == "C:",
        }


@operating_system.instances(NAMESPACE, "Win32_LogicalDisk")
def logical_disks(host: Host) -> Iterator[Instance]:
    for volume in host.state(Volumes).volumes:
        if volume.letter is not None:
            yield {
                "Access": 0,
                "Caption": volume.letter,
                "Compressed": False,
                "CreationClassName": "Win32_LogicalDisk",
                "Description": "Lokale Festplatte" if host.language == "de-DE" else "Local Fixed Disk",
                "DeviceID": volume.letter,
                "DriveType": volume.drive_type,
                "FileSystem": volume.file_system,
                "FreeSpace": volume.free,
                "MaximumComponentLength": 255,
                "MediaType": 12,
                "Name": volume.letter,
                "Size": volume.size,
                "SystemCreationClassName": "Win32_ComputerSystem",
                "SystemName": host.name.upper(),
                "VolumeName": volume.label,
                "VolumeSerialNumber": f"{_volume_serial(volume):08X}",
            }


def _volume_serial(volume: Volume) -> int:
    return zlib.crc32(volume.device.encode())


@operating_system.instances(NAMESPACE, "CIM_DataFile")
def data_files(host: Host) -> Iterator[Instance]:
    """The files of the state, the paging files and the executables that can run here."""
    files = dict(host.state(Files).files)
    for name, allocated in host.state(Pagefiles).files.items():
        files.setdefault(name.lower(), File(name, allocated))
    for name in providers.executables(host):
        path = f"{host.system_directory}\\{name}"
        files.setdefault(path.lower(), File(path, 65536, f"{host.version}.1"))
    return (_data_file(host, file) for file in files.values())


def _data_file(host: Host, file: File) -> Instance:
    drive, rest = ntpath.splitdrive(file.path)
    directory, name = ntpath.split(rest)
    stem, extension = ntpath.splitext(name)
    modified = file.modified if file.modified is not None else host.state(SystemState).installed
    return {
        "AccessMask": 18809343,
        "Archive": True,
        "Caption": file.path.lower(),
        "Compressed": False,
        "CreationClassName": "CIM_LogicalFile",
        "CreationDate": modified,
        "CSCreationClassName": "Win32_ComputerSystem",
        "CSName": host.name.upper(),
        "Description": file.path.lower(),
        "Drive": drive.lower(),
        "Encrypted": False,
        "Extension": extension.removeprefix(".").lower(),
        "FileName": stem.lower(),
        "FileSize": file.size,
        "FSCreationClassName": "Win32_FileSystem",
        "FSName": "NTFS",
        "Hidden": False,
        "LastAccessed": modified,
        "LastModified": modified,
        # WMI shows the names of files in lower case.
        "Name": file.path.lower(),
        "Path": f"{directory.rstrip(chr(92))}\\".lower(),
        "Readable": True,
        "Status": "OK",
        "System": False,
        "Version": file.version,
        "Writeable": True,
    }
