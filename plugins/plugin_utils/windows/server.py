# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a server is: its Windows, its domain, its disks, its local groups. root/cimv2. For this collection only."""

from __future__ import annotations

from ..wsman.bindings import CimClass, Method, key
from ..wsman.types import Reference, boolean, moment, reference, uint16, uint32, uint64
from ..wsman.wql import literal
from .registry import HasCim, Key, subkeys

NAMESPACE = "root/cimv2"

DOMAIN_CONTROLLER_ROLES = (4, 5)
"""DomainRole of a backup and of a primary domain controller."""

CLIENT = 1
"""ProductType of a workstation."""

FIXED_DISK = 3

_PENDING = (
    Key(r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending"),
    Key(r"SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired"),
)


class ServerSystem(CimClass, namespace=NAMESPACE, wmi="Win32_OperatingSystem"):
    """https://learn.microsoft.com/en-us/windows/win32/cimwin32prov/win32-operatingsystem"""

    CSName: str
    Version: str
    BuildNumber: str
    ProductType: uint32
    OSLanguage: uint32 | None
    InstallDate: moment | None
    LastBootUpTime: moment
    LocalDateTime: moment
    WindowsDirectory: str

    Reboot = Method()


class Membership(CimClass, namespace=NAMESPACE, wmi="Win32_ComputerSystem"):
    """https://learn.microsoft.com/en-us/windows/win32/cimwin32prov/win32-computersystem"""

    Name: str = key()
    DNSHostName: str | None
    Domain: str | None
    PartOfDomain: boolean | None
    DomainRole: uint16 | None


class Disk(CimClass, namespace=NAMESPACE, wmi="Win32_LogicalDisk"):
    """A volume with a letter. DeviceID: ``C:``; FreeSpace: bytes."""

    DeviceID: str = key()
    FreeSpace: uint64 | None


class FileSize(CimClass, namespace=NAMESPACE, wmi="CIM_DataFile"):
    """A file and its bytes."""

    Name: str = key()
    FileSize: uint64 | None


class Ping(CimClass, namespace=NAMESPACE, wmi="Win32_PingStatus"):
    """An echo request that the host sends. StatusCode 0: an answer came; None: the name is unknown."""

    StatusCode: uint32 | None


class LocalGroup(CimClass, namespace=NAMESPACE, wmi="Win32_Group"):
    """A local group."""

    Domain: str = key()
    Name: str = key()
    SID: str | None


class GroupMember(CimClass, namespace=NAMESPACE, wmi="Win32_GroupUser"):
    """A member of a group, each as a reference."""

    GroupComponent: reference = key()
    PartComponent: reference = key()


class Account(CimClass, namespace=NAMESPACE, wmi="Win32_Account"):
    """A user or group by its SID."""

    Domain: str = key()
    Name: str = key()
    SID: str | None


def read_server(host: HasCim) -> ServerSystem:
    """The one operating system that runs."""
    return host.cim.query_one(ServerSystem)


def read_membership(host: HasCim) -> Membership:
    """Name and domain."""
    return host.cim.query_one(Membership)


def fixed_disks(host: HasCim) -> dict[str, int]:
    """Free bytes of each fixed disk, by letter and colon."""
    return {disk.DeviceID.upper(): disk.FreeSpace or 0 for disk in host.cim.query(Disk, f"DriveType = {FIXED_DISK}")}


def folder_size(host: HasCim, folder: str) -> int:
    """Bytes of the files in a folder, those of its subfolders not counted."""
    drive, _colon, rest = folder.rstrip("\\").partition(":")
    where = f"Drive = {literal(drive + ':')} AND Path = {literal(rest + chr(92))}"
    return sum(file.FileSize or 0 for file in host.cim.query(FileSize, where))


def answers_ping(host: HasCim, address: str) -> bool:
    """Whether an address answers an echo request of the host within a second."""
    found = host.cim.query(Ping, f"Address = {literal(address)} AND Timeout = 1000")
    return any(ping.StatusCode == 0 for ping in found)


def restart_is_pending(host: HasCim) -> bool:
    """Whether component servicing or an update waits for a restart: the key is there until then."""
    return any(subkeys(host, key) is not None for key in _PENDING)


def group_members(host: HasCim, computer: str, group: str) -> tuple[str, ...] | None:
    """SIDs of the members of a local group, sorted; None where there is no such group."""
    where = f"Domain = {literal(computer)} AND Name = {literal(group)}"
    if not host.cim.query(LocalGroup, where):
        return None
    members = host.cim.query(GroupMember, f"GroupComponent = {literal(_path(computer, group))}")
    return tuple(sorted(_sid(host, member.PartComponent) for member in members))


def _path(computer: str, group: str) -> str:
    return f'Win32_Group.Domain="{computer}",Name="{group}"'


def _sid(host: HasCim, member: Reference) -> str:
    keys = {name.lower(): text for name, text in member.selectors}
    where = f"Domain = {literal(keys.get('domain', ''))} AND Name = {literal(keys.get('name', ''))}"
    found = host.cim.query_optional(Account, where)
    return (found.SID if found is not None else None) or f"{keys.get('domain')}\\{keys.get('name')}"
