# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The operating system and the machine, root/cimv2. For this collection only."""

from __future__ import annotations

from collections.abc import Sequence

from ..wsman.bindings import CimClass, key
from ..wsman.types import boolean, moment, uint32, uint64
from ..wsman.wql import any_of
from .registry import HasCim

SERVER_2008_R2 = 7600
SERVER_2012 = 9200


class OperatingSystem(CimClass, namespace="root/cimv2", wmi="Win32_OperatingSystem"):
    """https://learn.microsoft.com/en-us/windows/win32/cimwin32prov/win32-operatingsystem"""

    CSName: str
    BuildNumber: str
    WindowsDirectory: str
    LastBootUpTime: moment
    ProductType: uint32

    @property
    def build(self) -> int:
        """The build number, e.g. 17763 for Windows Server 2019."""
        return int(self.BuildNumber)


class ComputerSystem(CimClass, namespace="root/cimv2", wmi="Win32_ComputerSystem"):
    """https://learn.microsoft.com/en-us/windows/win32/cimwin32prov/win32-computersystem"""

    Name: str = key()
    TotalPhysicalMemory: uint64 | None


class ComputerName(CimClass, namespace="root/cimv2", wmi="Win32_ComputerSystem"):
    """The names of the computer. Domain is that of Active Directory where PartOfDomain, else a workgroup."""

    Name: str = key()
    DNSHostName: str | None
    Domain: str | None
    PartOfDomain: boolean | None

    @property
    def short(self) -> str:
        """The host name."""
        return self.DNSHostName or self.Name

    @property
    def fqdn(self) -> str | None:
        """The full name, None in a workgroup."""
        return f"{self.short}.{self.Domain}" if self.PartOfDomain and self.Domain else None


class PageFileUsage(CimClass, namespace="root/cimv2", wmi="Win32_PageFileUsage"):
    """A paging file in use. AllocatedBaseSize is in MB."""

    Name: str = key()
    AllocatedBaseSize: uint32


class RunningProcess(CimClass, namespace="root/cimv2", wmi="Win32_Process"):
    """https://learn.microsoft.com/en-us/windows/win32/cimwin32prov/win32-process"""

    Handle: str = key()
    ProcessId: uint32
    Name: str | None


class DataFile(CimClass, namespace="root/cimv2", wmi="CIM_DataFile"):
    """One file."""

    Name: str = key()


def read_process_names(host: HasCim, ids: Sequence[int]) -> dict[int, str]:
    """Names of the executables of these processes that still run."""
    found = host.cim.query(RunningProcess, any_of("ProcessId", list(ids))) if ids else []
    return {process.ProcessId: process.Name or "" for process in found}


def read_operating_system(host: HasCim) -> OperatingSystem:
    """The one operating system that runs."""
    return host.cim.query_one(OperatingSystem)
