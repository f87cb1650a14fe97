# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The operating system and the machine, root/cimv2. For this collection only."""

from __future__ import annotations

from ..wsman.bindings import CimClass, key
from ..wsman.types import moment, uint32, uint64
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


class PageFileUsage(CimClass, namespace="root/cimv2", wmi="Win32_PageFileUsage"):
    """A paging file in use. AllocatedBaseSize is in MB."""

    Name: str = key()
    AllocatedBaseSize: uint32


class DataFile(CimClass, namespace="root/cimv2", wmi="CIM_DataFile"):
    """One file."""

    Name: str = key()


def read_operating_system(host: HasCim) -> OperatingSystem:
    """The one operating system that runs."""
    return host.cim.query_one(OperatingSystem)
