# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Services and their processes (Win32_Service, Win32_DependentService, Win32_Process).

Section `services` of a host: what differs from a fresh Windows, by service name.

    services:
      Spooler: {state: Stopped, start_mode: Disabled}
      Backup: {display_name: Backup Agent, start_seconds: 30, depends_on: [RpcSs]}
      Telnet: null                                              # not installed

Starting and stopping take `start_seconds` and `stop_seconds` of the clock. `fails` is a service-specific trouble: a
service that has it ends again, with that Win32 exit code, when it should have started.
"""

from __future__ import annotations

import ntpath
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from winsim.fleet import boolean, integer, mapping, number, refuse, sequence, text
from winsim.host import Host
from winsim.switches import declare

from . import Instance, Provider, Reference
from .eventlog import record

__all__ = ["Service", "ServicesState", "contributes", "crash", "running", "when_started"]

services = Provider("services")

NAMESPACE = "root/cimv2"
STATES = ("Stopped", "Start Pending", "Stop Pending", "Running", "Continue Pending", "Pause Pending", "Paused")
START_MODES = {"Boot": "Boot", "System": "System", "Automatic": "Auto", "Manual": "Manual", "Disabled": "Disabled"}
CONTROL_MANAGER = "Service Control Manager"
ERROR_PROCESS_ABORTED = 1067
ERROR_SERVICE_NEVER_STARTED = 1077

declare(
    "services.stop_stopped",
    {
        "6": "StopService of a stopped service returns 6 (service not active)",
        "5": "it returns 5 (service cannot accept control)",
    },
    open_question="which of two fitting return codes StopService has for a stopped service",
    page="contract: Win32_Service return codes",
)

# Return codes of Win32_Service methods.
SUCCESS = 0
DEPENDENTS_RUNNING = 3
CANNOT_ACCEPT_CONTROL = 5
NOT_ACTIVE = 6
ALREADY_RUNNING = 10
DEPENDENCY_DELETED = 12
DEPENDENCY_FAILURE = 13
SERVICE_DISABLED = 14
INVALID_PARAMETER = 21
ALREADY_PAUSED = 24


@dataclass
class Service:
    """A service. `state` as in Win32_Service.State; while it is pending, `due` is when that ends.

    `boot_seconds` is how long after boot an automatic service is running; `restart_seconds` is when the control manager
    starts it again after a crash, None for never (then `due` of the stopped service).
    """

    name: str
    display_name: str
    path: str
    state: str = "Running"
    start_mode: str = "Auto"
    start_name: str = "LocalSystem"
    depends_on: list[str] = field(default_factory=list)
    accept_pause: bool = False
    accept_stop: bool = True
    start_seconds: float = 1.0
    stop_seconds: float = 1.0
    boot_seconds: float = 0.0
    restart_seconds: float | None = None
    exit_code: int = 0
    crashes: int = 0
    fails: int | None = None
    pid: int = 0
    started_at: datetime | None = None
    due: datetime | None = None


@dataclass
class ServicesState:
    """Services by lower-case name."""

    services: dict[str, Service] = field(default_factory=dict)
    next_pid: int = 620

    def get(self, name: str) -> Service | None:
        return self.services.get(name.lower())


# Names of a fresh Windows: service, English and German display name, executable, start mode, what it depends on.
SVCHOST = "C:\\Windows\\System32\\svchost.exe -k netsvcs"
FRESH: tuple[tuple[str, str, str, str, str, tuple[str, ...]], ...] = (
    ("RpcSs", "Remote Procedure Call (RPC)", "Remoteprozeduraufruf (RPC)", SVCHOST, "Auto", ()),
    ("EventLog", "Windows Event Log", "Windows-Ereignisprotokoll", SVCHOST, "Auto", ()),
    ("Winmgmt", "Windows Management Instrumentation", "Windows-Verwaltungsinstrumentation", SVCHOST, "Auto",
     ("RpcSs",)),
    ("WinRM", "Windows Remote Management (WS-Management)", "Windows-Remoteverwaltung (WS-Verwaltung)", SVCHOST, "Auto",
     ("RpcSs",)),
    ("LanmanServer", "Server", "Server", SVCHOST, "Auto", ()),
    ("LanmanWorkstation", "Workstation", "Arbeitsstationsdienst", SVCHOST, "Auto", ()),
    ("Dnscache", "DNS Client", "DNS-Client", SVCHOST, "Auto", ()),
    ("Dhcp", "DHCP Client", "DHCP-Client", SVCHOST, "Auto", ()),
    ("Schedule", "Task Scheduler", "Aufgabenplanung", SVCHOST, "Auto", ("RpcSs",)),
    ("Spooler", "Print Spooler", "Druckwarteschlange", "C:\\Windows\\System32\\spoolsv.exe", "Auto", ("RpcSs",)),
    ("Netlogon", "Netlogon", "Anmeldedienst", "C:\\Windows\\System32\\lsass.exe", "Auto", ("LanmanWorkstation",)),
    ("W32Time", "Windows Time", "Windows-Zeitgeber", SVCHOST, "Auto", ()),
    ("VSS", "Volume Shadow Copy", "Volumeschattenkopie", "C:\\Windows\\System32\\vssvc.exe", "Manual", ("RpcSs",)),
    ("wuauserv", "Windows Update", "Windows Update", SVCHOST, "Manual", ("RpcSs",)),
    ("TrustedInstaller", "Windows Modules Installer", "Windows Modules Installer",
     "C:\\Windows\\servicing\\TrustedInstaller.exe", "Manual", ()),
)  # fmt: skip

Contribution = Callable[[Host], Iterable[Service]]
_contributions: list[Contribution] = []


def contributes(function: Contribution) -> Contribution:
    """(host) -> services that a subsystem brings along."""
    _contributions.append(function)
    return function


_when_started: dict[str, Callable[[Host], None]] = {}
Started = TypeVar("Started", bound=Callable[[Host], None])


def when_started(name: str) -> Callable[[Started], Started]:
    """(host): what a subsystem does each time its service has started."""

    def decorate(function: Started) -> Started:
        _when_started[name.lower()] = function
        return function

    return decorate


def display_name(host: Host, english: str, german: str) -> str:
    return german if host.language == "de-DE" else english


# Building


@services.section("services", ServicesState)
def build(host: Host, data: Any, path: str) -> ServicesState:
    state = ServicesState()
    for name, english, german, executable, start_mode, needs in FRESH:
        shown = display_name(host, english, german)
        fresh = Service(name, shown, executable, start_mode=start_mode, depends_on=list(needs))
        fresh.state = "Running" if start_mode == "Auto" else "Stopped"
        state.services[name.lower()] = fresh
    if host.domain is None:
        state.services["netlogon"].start_mode, state.services["netlogon"].state = "Manual", "Stopped"
    for contribution in _contributions:
        state.services.update((service.name.lower(), service) for service in contribution(host))
    for name, given in mapping(data, path).items():
        if given is None:
            state.services.pop(name.lower(), None)
        else:
            _adjust(state, name, given, f"{path}.{name}")
    for service in state.services.values():
        for needed in service.depends_on:
            if state.get(needed) is None:
                refuse(f"{path}.{service.name}.depends_on", f"there is no service {needed}")
        if service.state in ("Running", "Paused"):
            _give_process(state, service, host.boot_time)
        else:
            service.exit_code = service.exit_code or ERROR_SERVICE_NEVER_STARTED
    return state


def _adjust(state: ServicesState, name: str, data: Any, path: str) -> None:
    checks: dict[str, Callable[[Any, str], Any]] = {
        "display_name": text,
        "path": text,
        "state": lambda value, where: text(value, where, ("Running", "Stopped", "Paused")),
        "start_mode": lambda value, where: text(value, where, START_MODES.values()),
        "start_name": text,
        "depends_on": lambda value, where: [text(each, where) for each in sequence(value, where)],
        "accept_pause": boolean,
        "accept_stop": boolean,
        "start_seconds": number,
        "stop_seconds": number,
        "boot_seconds": number,
        "restart_seconds": number,
        "exit_code": integer,
        "fails": integer,
    }
    given = mapping(data, path, checks)
    program = f"C:\\Program Files\\{name}\\{name}.exe"
    service = state.services.setdefault(name.lower(), Service(name, name, program))
    for key, value in given.items():
        setattr(service, key, checks[key](value, f"{path}.{key}"))
    if "start_mode" in given and "state" not in given:
        service.state = "Running" if service.start_mode == "Auto" else "Stopped"


def _give_process(state: ServicesState, service: Service, when: datetime) -> None:
    state.next_pid += 4
    service.pid, service.started_at, service.exit_code = state.next_pid, when, 0


# What happens to services


def running(host: Host, name: str) -> bool:
    """Whether the host is up and the service runs."""
    service = host.state(ServicesState).get(name)
    return host.up_at is None and service is not None and service.state == "Running"


def start(host: Host, service: Service) -> int:
    """Start as StartService does: what it depends on first; returns the method's code."""
    if service.state in ("Running", "Paused"):
        return ALREADY_RUNNING
    if service.start_mode == "Disabled":
        return SERVICE_DISABLED
    if service.state != "Stopped":
        return ALREADY_RUNNING if service.state == "Start Pending" else CANNOT_ACCEPT_CONTROL
    ready = host.now()
    for name in service.depends_on:
        needed = host.state(ServicesState).get(name)
        if needed is None:
            return DEPENDENCY_DELETED
        if start(host, needed) not in (SUCCESS, ALREADY_RUNNING):
            return DEPENDENCY_FAILURE
        ready = max(ready, needed.due or ready)
    _pending(host, service, "Start Pending", ready + timedelta(seconds=service.start_seconds))
    return SUCCESS


def stop(host: Host, service: Service) -> int:
    if service.state == "Stopped":
        return int(host.switches["services.stop_stopped"])
    if service.state not in ("Running", "Paused") or not service.accept_stop:
        return CANNOT_ACCEPT_CONTROL
    if any(dependent.state != "Stopped" for dependent in dependents(host, service)):
        return DEPENDENTS_RUNNING
    _pending(host, service, "Stop Pending", host.now() + timedelta(seconds=service.stop_seconds))
    return SUCCESS


def dependents(host: Host, service: Service) -> list[Service]:
    """The services that depend directly on this one."""
    wanted = service.name.lower()
    everything = host.state(ServicesState).services.values()
    return [each for each in everything if wanted in (name.lower() for name in each.depends_on)]


def crash(host: Host, name: str, *, recorded: bool = True) -> None:
    """The process of a service ends without having been asked to: event 7031, and a restart where one is set up."""
    service = host.state(ServicesState).get(name)
    if service is None or service.state not in ("Running", "Paused", "Start Pending", "Stop Pending"):
        return
    service.crashes += 1
    _stopped(host, service, ERROR_PROCESS_ABORTED)
    delay, action = "0", ("0", display_name(host, "No action", "Keine Aktion"))
    if service.restart_seconds is not None:
        service.due = host.now() + timedelta(seconds=service.restart_seconds)
        _schedule(host, service)
        delay = str(round(service.restart_seconds * 1000))
        action = ("1", display_name(host, "Restart the service", "Neustart des Diensts"))
    if recorded:
        strings = [service.display_name, str(service.crashes), delay, *action]
        record(host, "System", CONTROL_MANAGER, 7031, strings)


def _pending(host: Host, service: Service, state: str, due: datetime) -> None:
    service.state, service.due = state, due
    _schedule(host, service)
    host.now()


def _schedule(host: Host, service: Service) -> None:
    if service.due is not None:
        host.fleet.clock.at(service.due, partial(_due, host, service.name, service.due))


def _due(host: Host, name: str, due: datetime) -> None:
    service = host.state(ServicesState).get(name)
    if service is None or service.due != due or host.up_at is not None:
        return
    service.due = None
    if service.state == "Stopped":
        start(host, service)
    elif service.state == "Stop Pending":
        _stopped(host, service, 0)
        _tell(host, service, "stopped", "Beendet")
    elif service.fails is not None:
        _stopped(host, service, service.fails)
        record(host, "System", CONTROL_MANAGER, 7023, [service.display_name, f"%%{service.fails}"])
    else:
        _started(host, service)
        _tell(host, service, "running", "Wird ausgeführt")


def _started(host: Host, service: Service) -> None:
    _give_process(host.state(ServicesState), service, host.now())
    service.state, service.due = "Running", None
    if service.name.lower() == "winrm":
        host.listening = True
    if service.name.lower() in _when_started:
        _when_started[service.name.lower()](host)


def _stopped(host: Host, service: Service, exit_code: int) -> None:
    service.state, service.due, service.exit_code = "Stopped", None, exit_code
    service.pid, service.started_at = 0, None
    if service.name.lower() == "winrm":
        host.listening = False
        host.drop_connections()


def _tell(host: Host, service: Service, english: str, german: str) -> None:
    record(host, "System", CONTROL_MANAGER, 7036, [service.display_name, display_name(host, english, german)])


@services.arm
def arm(host: Host) -> None:
    for service in host.state(ServicesState).services.values():
        _schedule(host, service)


@services.stopping
def stop_all(host: Host) -> None:
    for service in host.state(ServicesState).services.values():
        service.state, service.due, service.pid, service.started_at = "Stopped", None, 0, None


@services.boot
def start_all(host: Host) -> None:
    """Boot includes the start of automatic services, except of those that take their time afterwards."""
    host.listening = False
    for service in host.state(ServicesState).services.values():
        service.crashes = 0
        if service.start_mode != "Auto":
            service.exit_code = ERROR_SERVICE_NEVER_STARTED
        elif service.boot_seconds > 0:
            _pending(host, service, "Start Pending", host.now() + timedelta(seconds=service.boot_seconds))
        elif service.fails is not None:
            _stopped(host, service, service.fails)
        else:
            _started(host, service)


# Win32_Service


@services.instances(NAMESPACE, "Win32_Service")
def instances(host: Host) -> Iterator[Instance]:
    for service in host.state(ServicesState).services.values():
        yield {
            "AcceptPause": service.accept_pause and service.state in ("Running", "Paused"),
            "AcceptStop": service.accept_stop and service.state in ("Running", "Paused"),
            "Caption": service.display_name,
            "CheckPoint": int(service.state.endswith("Pending")),
            "CreationClassName": "Win32_Service",
            "DelayedAutoStart": False,
            "DesktopInteract": False,
            "DisplayName": service.display_name,
            "ErrorControl": "Normal",
            "ExitCode": service.exit_code,
            "Name": service.name,
            "PathName": service.path,
            "ProcessId": service.pid,
            "ServiceSpecificExitCode": 0,
            "ServiceType": "Share Process" if "svchost" in service.path.lower() else "Own Process",
            "Started": service.state not in ("Stopped", "Start Pending"),
            "StartMode": service.start_mode,
            "StartName": service.start_name,
            "State": service.state,
            "Status": "OK",
            "SystemCreationClassName": "Win32_ComputerSystem",
            "SystemName": host.name,
            "TagId": 0,
            "WaitHint": 2000 if service.state.endswith("Pending") else 0,
        }


@services.instances(NAMESPACE, "Win32_DependentService")
def dependencies(host: Host) -> Iterator[Instance]:
    state = host.state(ServicesState)
    for service in state.services.values():
        for name in service.depends_on:
            needed = state.get(name)
            yield {
                "Antecedent": _reference(needed.name if needed is not None else name),
                "Dependent": _reference(service.name),
                "TypeOfDependency": 3,
            }


def _reference(name: str) -> Reference:
    return Reference(NAMESPACE, "Win32_Service", {"Name": name})


Change = Callable[[Host, Service, Instance], int]


def _method(name: str) -> Callable[[Change], Change]:
    def decorate(change: Change) -> Change:
        def method(host: Host, instance: Instance | None, inputs: Instance) -> Instance:
            service = host.state(ServicesState).get((instance or {})["Name"])
            return {"ReturnValue": INVALID_PARAMETER if service is None else change(host, service, inputs)}

        services.method(NAMESPACE, "Win32_Service", name)(method)
        return change

    return decorate


@_method("StartService")
def start_service(host: Host, service: Service, inputs: Instance) -> int:
    return start(host, service)


@_method("StopService")
def stop_service(host: Host, service: Service, inputs: Instance) -> int:
    return stop(host, service)


@_method("PauseService")
def pause_service(host: Host, service: Service, inputs: Instance) -> int:
    if service.state == "Paused":
        return ALREADY_PAUSED
    if service.state == "Stopped":
        return NOT_ACTIVE
    if service.state != "Running" or not service.accept_pause:
        return CANNOT_ACCEPT_CONTROL
    service.state = "Paused"
    return SUCCESS


@_method("ResumeService")
def resume_service(host: Host, service: Service, inputs: Instance) -> int:
    if service.state == "Stopped":
        return NOT_ACTIVE
    if service.state != "Paused":
        return CANNOT_ACCEPT_CONTROL
    service.state = "Running"
    return SUCCESS


@_method("InterrogateService")
def interrogate_service(host: Host, service: Service, inputs: Instance) -> int:
    return NOT_ACTIVE if service.state == "Stopped" else SUCCESS


@_method("ChangeStartMode")
def change_start_mode(host: Host, service: Service, inputs: Instance) -> int:
    mode = START_MODES.get(inputs.get("StartMode") or "")
    if mode is None:
        return INVALID_PARAMETER
    service.start_mode = mode
    return SUCCESS


@_method("Change")
def change(host: Host, service: Service, inputs: Instance) -> int:
    """Null means unchanged."""
    mode = inputs.get("StartMode")
    if mode is not None and mode not in START_MODES:
        return INVALID_PARAMETER
    service.start_mode = service.start_mode if mode is None else START_MODES[mode]
    service.display_name = inputs.get("DisplayName") or service.display_name
    service.path = inputs.get("PathName") or service.path
    service.start_name = inputs.get("StartName") or service.start_name
    return SUCCESS


# Win32_Process

SYSTEM_PROCESSES = ((0, "System Idle Process", 0), (4, "System", 0), (372, "smss.exe", 4), (484, "wininit.exe", 372),
                    (580, "services.exe", 484), (596, "lsass.exe", 484))  # fmt: skip
SERVICES_PID = 580


@services.instances(NAMESPACE, "Win32_Process")
def processes(host: Host) -> Iterator[Instance]:
    for pid, name, parent in SYSTEM_PROCESSES:
        yield _process(host, pid, name, parent, host.boot_time, None)
    for service in host.state(ServicesState).services.values():
        if service.pid and service.started_at is not None:
            program = ntpath.basename(service.path.split(".exe", 1)[0]) + ".exe"
            yield _process(host, service.pid, program, SERVICES_PID, service.started_at, service.path)


def _process(host: Host, pid: int, name: str, parent: int, created: datetime, command: str | None) -> Instance:
    return {
        "Caption": name,
        "CommandLine": command,
        "CreationClassName": "Win32_Process",
        "CreationDate": created,
        "CSCreationClassName": "Win32_ComputerSystem",
        "CSName": host.name,
        "Description": name,
        "ExecutablePath": None if command is None else command.split(".exe", 1)[0] + ".exe",
        "Handle": str(pid),
        "Name": name,
        "OSCreationClassName": "Win32_OperatingSystem",
        "ParentProcessId": parent,
        "ProcessId": pid,
        "SessionId": 0,
        "WindowsVersion": host.version,
    }


@services.method(NAMESPACE, "Win32_Process", "Terminate")
def terminate(host: Host, instance: Instance | None, inputs: Instance) -> Instance:
    pid = (instance or {})["ProcessId"]
    for service in host.state(ServicesState).services.values():
        if service.pid == pid:
            crash(host, service.name)
            return {"ReturnValue": 0}
    return {"ReturnValue": 2}
