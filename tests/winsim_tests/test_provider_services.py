# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

import pytest
from winsim import Fleet, Host
from winsim.providers import Reference, providers
from winsim.providers.eventlog import EventLogState
from winsim.providers.services import ServicesState, crash

CIMV2 = "root/cimv2"


def host(services: dict[str, Any] | None = None, **more: Any) -> Host:
    return Fleet.load({"clock": {"speed": 0}, "hosts": {"N1": {"services": services, **more}}}).host("N1")


def call(on: Host, method: str, name: str, **inputs: Any) -> int:
    return int(providers.invoke(on, CIMV2, "Win32_Service", method, {"Name": name}, inputs)["ReturnValue"])


def state(on: Host, name: str) -> str:
    return str(providers.get(on, CIMV2, "Win32_Service", {"Name": name})["State"])


def test_starting_and_stopping_take_their_time() -> None:
    on = host({"Agent": {"start_seconds": 30, "stop_seconds": 5}})
    assert call(on, "StopService", "Agent") == 0
    assert state(on, "Agent") == "Stop Pending"
    assert call(on, "StopService", "Agent") == 5
    on.fleet.clock.advance(5)
    assert state(on, "Agent") == "Stopped"
    assert call(on, "StartService", "Agent") == 0
    on.fleet.clock.advance(29)
    assert state(on, "Agent") == "Start Pending"
    on.fleet.clock.advance(1)
    assert state(on, "Agent") == "Running"
    assert call(on, "StartService", "Agent") == 10


@pytest.mark.parametrize("position", ["5", "6"])
def test_stopping_a_stopped_service_has_one_of_two_codes(position: str) -> None:
    on = host({"Agent": {"state": "Stopped"}})
    on.switches["services.stop_stopped"] = position
    assert call(on, "StopService", "Agent") == int(position)


def test_a_disabled_service_does_not_start_until_its_start_mode_is_changed() -> None:
    on = host({"Agent": {"start_mode": "Disabled"}})
    assert call(on, "StartService", "Agent") == 14
    assert call(on, "ChangeStartMode", "Agent", StartMode="Sometimes") == 21
    assert call(on, "ChangeStartMode", "Agent", StartMode="Automatic") == 0
    assert providers.get(on, CIMV2, "Win32_Service", {"Name": "Agent"})["StartMode"] == "Auto"
    assert call(on, "StartService", "Agent") == 0


def test_what_a_service_depends_on_starts_first_and_stops_last() -> None:
    on = host(
        {"Base": {"state": "Stopped", "start_seconds": 10}, "Agent": {"state": "Stopped", "depends_on": ["Base"]}}
    )
    assert call(on, "StartService", "Agent") == 0
    on.fleet.clock.advance(10)
    assert (state(on, "Base"), state(on, "Agent")) == ("Running", "Start Pending")
    on.fleet.clock.advance(1)
    assert state(on, "Agent") == "Running"
    assert call(on, "StopService", "Base") == 3
    call(on, "StopService", "Agent")
    on.fleet.clock.advance(1)
    assert call(on, "StopService", "Base") == 0


def test_a_dependency_that_cannot_start_fails_the_start() -> None:
    on = host({"Base": {"start_mode": "Disabled"}, "Agent": {"state": "Stopped", "depends_on": ["Base"]}})
    assert call(on, "StartService", "Agent") == 13


def test_dependencies_are_an_association() -> None:
    on = host({"Agent": {"depends_on": ["rpcss"]}})
    found = providers.instances(on, CIMV2, "Win32_DependentService")
    agent = Reference(CIMV2, "Win32_Service", {"Name": "Agent"})
    assert [each["Antecedent"].keys for each in found if each["Dependent"] == agent] == [{"Name": "RpcSs"}]


def test_pausing_needs_a_service_that_accepts_it() -> None:
    on = host({"Agent": {"accept_pause": True}, "Other": {}})
    assert call(on, "PauseService", "Other") == 5
    assert call(on, "ResumeService", "Agent") == 5
    assert call(on, "PauseService", "Agent") == 0
    assert state(on, "Agent") == "Paused"
    assert call(on, "PauseService", "Agent") == 24
    assert call(on, "ResumeService", "Agent") == 0
    assert state(on, "Agent") == "Running"


def test_a_service_that_fails_ends_with_its_exit_code() -> None:
    on = host({"Agent": {"state": "Stopped", "fails": 1069}})
    assert call(on, "StartService", "Agent") == 0
    on.fleet.clock.advance(1)
    found = providers.get(on, CIMV2, "Win32_Service", {"Name": "Agent"})
    assert (found["State"], found["ExitCode"], found["ProcessId"]) == ("Stopped", 1069, 0)


def test_a_running_service_has_a_process_that_a_restart_replaces() -> None:
    on = host({"Agent": {"path": "C:\\Agent\\agent.exe -s"}})

    def process() -> dict[str, Any]:
        pid = providers.get(on, CIMV2, "Win32_Service", {"Name": "Agent"})["ProcessId"]
        return providers.get(on, CIMV2, "Win32_Process", {"Handle": str(pid)})

    before = process()
    assert (before["Name"], before["ExecutablePath"]) == ("agent.exe", "C:\\Agent\\agent.exe")
    assert before["CreationDate"] == on.boot_time
    call(on, "StopService", "Agent")
    on.fleet.clock.advance(1)
    call(on, "StartService", "Agent")
    on.fleet.clock.advance(1)
    after = process()
    assert after["ProcessId"] != before["ProcessId"]
    assert after["CreationDate"] == on.now()


def test_a_restart_of_the_host_starts_what_is_automatic() -> None:
    on = host({"Agent": {"state": "Stopped"}, "Helper": {"start_mode": "Manual", "state": "Running"}})
    on.reboot(10)
    assert (state(on, "Agent"), state(on, "Helper")) == ("Stopped", "Stopped")
    on.fleet.clock.advance(10)
    assert (state(on, "Agent"), state(on, "Helper")) == ("Running", "Stopped")


def test_a_killed_process_is_event_7031_with_the_display_name_of_the_language() -> None:
    on = host({"Spooler": {"restart_seconds": 60}}, language="de-DE")
    pid = providers.get(on, CIMV2, "Win32_Service", {"Name": "Spooler"})["ProcessId"]
    killed = providers.invoke(on, CIMV2, "Win32_Process", "Terminate", {"Handle": str(pid)}, {"Reason": 1})
    assert killed == {"ReturnValue": 0}
    assert state(on, "Spooler") == "Stopped"
    written = on.state(EventLogState).logs["System"][-1]
    assert (written.code, written.strings[:4]) == (7031, ["Druckwarteschlange", "1", "60000", "1"])
    on.fleet.clock.advance(61)
    assert state(on, "Spooler") == "Running"


def test_without_winrm_the_host_does_not_answer() -> None:
    on = host()
    drops: list[str] = []
    on.on_drop(lambda: drops.append("dropped"))
    assert call(on, "StopService", "WinRM") == 0
    assert on.reachable
    on.fleet.clock.advance(1)
    assert not on.reachable
    assert drops == ["dropped"]
    on.reboot(5)
    on.fleet.clock.advance(5)
    assert on.reachable


def test_a_service_can_be_not_installed_and_changed_as_plain_state() -> None:
    on = host({"Spooler": None})
    services = on.state(ServicesState)
    assert services.get("Spooler") is None
    services.services["vss"].state = "Running"
    assert state(on, "VSS") == "Running"
    crash(on, "VSS")
    assert state(on, "VSS") == "Stopped"
