# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

import pytest
from winsim import Fleet, Host
from winsim.providers import providers
from winsim.providers.eventlog import EventLogState
from winsim.providers.operating_system import CRASH_CONTROL, Files, SystemState, bugcheck
from winsim.providers.registry import RegistryState

CIMV2 = "root/cimv2"


def host(**settings: Any) -> Host:
    return Fleet.load({"clock": {"speed": 0}, "hosts": {"N1": settings}}).host("N1")


def only(on: Host, cls: str) -> dict[str, Any]:
    (instance,) = providers.instances(on, CIMV2, cls)
    return instance


@pytest.mark.parametrize(
    ("build", "caption", "version", "service_pack"),
    [
        (6002, "Microsoft® Windows Server® 2008 Datacenter ", "6.0.6002", 2),
        (7601, "Microsoft Windows Server 2008 R2 Datacenter ", "6.1.7601", 1),
        (9600, "Microsoft Windows Server 2012 R2 Datacenter", "6.3.9600", 0),
        (14393, "Microsoft Windows Server 2016 Datacenter", "10.0.14393", 0),
        (26100, "Microsoft Windows Server 2025 Datacenter", "10.0.26100", 0),
    ],
)
def test_each_build_is_the_windows_it_is(build: int, caption: str, version: str, service_pack: int) -> None:
    system = only(host(build=build), "Win32_OperatingSystem")
    assert (system["Caption"], system["Version"], system["BuildNumber"]) == (caption, version, str(build))
    assert system["ServicePackMajorVersion"] == service_pack
    assert system["WindowsDirectory"] == "C:\\Windows"


def test_memory_and_paging_file_are_those_of_the_file() -> None:
    on = host(memory="64 GiB", pagefiles={"D:\\pagefile.sys": "66000 MiB"})
    assert only(on, "Win32_ComputerSystem")["TotalPhysicalMemory"] == 64 * 1024**3
    usage = only(on, "Win32_PageFileUsage")
    assert (usage["Name"], usage["AllocatedBaseSize"]) == ("D:\\pagefile.sys", 66000)


def test_domain_and_workgroup() -> None:
    member, alone = (only(host(domain=domain), "Win32_ComputerSystem") for domain in ("corp.example", None))
    assert (member["Domain"], member["PartOfDomain"], member["DomainRole"]) == ("corp.example", True, 3)
    assert (alone["Workgroup"], alone["PartOfDomain"], alone["DomainRole"]) == ("WORKGROUP", False, 2)


def test_a_restart_by_wmi_comes_after_the_answer() -> None:
    on = host(boot_seconds=20)
    assert providers.invoke(on, CIMV2, "Win32_OperatingSystem", "Reboot", {}, {}) == {"ReturnValue": 0}
    assert on.reachable
    on.fleet.clock.advance(10)
    assert not on.reachable
    on.fleet.clock.advance(12)
    assert on.reachable


@pytest.mark.parametrize(("flags", "off"), [(0, False), (2, False), (6, False), (1, True), (12, True)])
def test_a_shutdown_does_what_its_flags_say(flags: int, off: bool) -> None:
    on = host(boot_seconds=20)
    providers.invoke(on, CIMV2, "Win32_OperatingSystem", "Win32Shutdown", {}, {"Flags": flags})
    on.fleet.clock.advance(3600)
    assert on.reachable is not off


def test_updates_files_and_volumes_are_those_of_the_file() -> None:
    on = host(
        updates=["KB5034127"],
        files={"D:\\Data\\One.txt": {"size": 5}},
        volumes={"C:": {"size": "100 GiB", "free": "40 GiB"}, "\\\\?\\Volume{0}\\": {"label": "Hidden"}},
    )
    assert only(on, "Win32_QuickFixEngineering")["HotFixID"] == "KB5034127"
    file = providers.get(on, CIMV2, "CIM_DataFile", {"Name": "d:\\data\\one.TXT"})
    assert (file["Drive"], file["Path"], file["FileName"], file["Extension"]) == ("d:", "\\data\\", "one", "txt")
    assert file["FileSize"] == 5
    assert len(providers.instances(on, CIMV2, "Win32_Volume")) == 2
    disk = only(on, "Win32_LogicalDisk")
    assert (disk["DeviceID"], disk["Size"], disk["FreeSpace"]) == ("C:", 100 * 1024**3, 40 * 1024**3)


def test_dump_settings_take_effect_at_the_next_start() -> None:
    on = host(build=17763)
    on.state(RegistryState).set(CRASH_CONTROL, "CrashDumpEnabled", 1)
    assert on.state(SystemState).active_dump == 7
    on.reboot(1)
    on.fleet.clock.advance(1)
    assert on.state(SystemState).active_dump == 1


def test_a_bug_check_restarts_the_host_leaves_a_dump_and_is_told_of_afterwards() -> None:
    on = host()
    bugcheck(on, 0xD1, (1, 2, 3, 4))
    assert not on.reachable
    on.fleet.clock.advance(30)
    assert on.reachable
    written = next(each for each in on.state(EventLogState).logs["System"] if each.code == 1001)
    assert written.strings[0].startswith("0x000000d1 (0x0000000000000001, ")
    assert written.strings[1] == "C:\\Windows\\MEMORY.DMP"
    assert "c:\\windows\\memory.dmp" in on.state(Files).files


def test_without_auto_reboot_a_bug_check_leaves_the_host_stopped() -> None:
    on = host(registry={CRASH_CONTROL: {"AutoReboot": 0}})
    bugcheck(on, 0xD1, (1, 2, 3, 4))
    on.fleet.clock.advance(3600)
    assert not on.reachable
