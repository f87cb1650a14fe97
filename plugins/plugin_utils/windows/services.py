# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Windows services, root/cimv2. For this collection only.

https://learn.microsoft.com/en-us/windows/win32/cimwin32prov/win32-service
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import Protocol

from ..errors import MethodFailed
from ..wsman.bindings import CimClass, Method, key
from ..wsman.types import moment, uint32
from ..wsman.wql import any_of, literal
from .registry import HasCim

RETURNS = {
    0: "accepted",
    1: "not supported",
    2: "access denied",
    3: "dependent services are running",
    4: "invalid control",
    5: "the service cannot accept the control now",
    6: "not active",
    7: "request timeout",
    8: "unknown failure",
    9: "path not found",
    10: "already running",
    11: "database locked",
    12: "a dependency was deleted",
    13: "a dependency failed",
    14: "disabled",
    15: "logon failed",
    16: "marked for deletion",
    17: "no thread",
    21: "invalid parameter",
}
"""Documented return values of the Win32_Service methods."""


class Service(CimClass, namespace="root/cimv2", wmi="Win32_Service"):
    """One service. State is one of the English words of the reference on every language of Windows."""

    Name: str = key()
    DisplayName: str | None
    State: str
    StartMode: str | None
    ProcessId: uint32 | None
    AcceptPause: bool | None

    StartService = Method(returns=RETURNS, success=(0, 10))
    StopService = Method(returns=RETURNS)
    PauseService = Method(returns=RETURNS)
    ResumeService = Method(returns=RETURNS)
    ChangeStartMode = Method({"StartMode": str}, returns=RETURNS)


def find_service(host: HasCim, name: str) -> Service | None:
    """A service by its short name; None where it is not installed."""
    return host.cim.query_optional(Service, f"Name = {literal(name)}")


class ServiceState(CimClass, namespace="root/cimv2", wmi="Win32_Service"):
    """Whether a service runs, or will after the next start."""

    Name: str = key()
    State: str
    StartMode: str | None

    @property
    def in_use(self) -> bool:
        """Running, or started with Windows."""
        return self.State == "Running" or self.StartMode == "Auto"


def read_services(host: HasCim, names: Sequence[str]) -> dict[str, ServiceState]:
    """Those of these services that are installed, by name as given."""
    found = {service.Name.lower(): service for service in host.cim.query(ServiceState, any_of("Name", list(names)))}
    return {name: found[name.lower()] for name in names if name.lower() in found}


# Starting anew


class Process(CimClass, namespace="root/cimv2", wmi="Win32_Process"):
    """One process. https://learn.microsoft.com/en-us/windows/win32/cimwin32prov/win32-process"""

    Handle: str = key()
    CreationDate: moment | None


class CanWait(HasCim, Protocol):
    """What starting and stopping need of a host."""

    def wait(
        self,
        what: str,
        reached: Callable[[], bool],
        *,
        timeout: float,
        interval: float = 2.0,
        longest: float = 10.0,
        detail: Callable[[], str] = lambda: "",
    ) -> None:
        """Polls until ``reached``; times in seconds. Errors: StepTimeout."""


_DEPENDENTS_RUN, _CANNOT_ACCEPT, _NOT_ACTIVE = 3, 5, 6


def process_started(host: HasCim, process_id: int) -> datetime.datetime | None:
    """When the process was created; None where there is none with this id."""
    found = host.cim.query_optional(Process, f"Handle = {literal(str(process_id))}")
    return None if found is None else found.CreationDate


def dependents(host: HasCim, name: str) -> list[Service]:
    """The services that depend directly on a service."""
    wql = (
        f"ASSOCIATORS OF {{Win32_Service.Name={literal(name)}}} "
        "WHERE AssocClass=Win32_DependentService Role=Antecedent ResultRole=Dependent"
    )
    binding = Service.__cim__
    found = host.cim.enumerate(binding.namespace, wql, f"reading the services that depend on {name}")
    decoded = [binding.decode_object(item.element) for item in found]
    return [service for service in decoded if isinstance(service, Service)]


def find_state(host: HasCim, name: str) -> str:
    """State of a service; empty where it is not installed."""
    service = find_service(host, name)
    return "" if service is None else service.State


def _call(host: HasCim, method: Method, name: str) -> int:
    return host.cim.invoke(method, Service.__cim__.reference(Name=name), check=False).value or 0


def start(host: CanWait, name: str, *, timeout: float) -> None:
    """Starts a service and waits until it runs. timeout: seconds. Errors: MethodFailed, StepTimeout."""
    value = _call(host, Service.StartService, name)
    if value not in Service.StartService.success:
        raise MethodFailed(f"starting service {name}", "StartService", value, RETURNS.get(value, ""))
    host.wait(f"service {name} starts", lambda: find_state(host, name) == "Running", timeout=timeout)


def stop(
    host: CanWait, name: str, *, timeout: float, stopping: Callable[[str], None] = lambda _name: None
) -> list[str]:
    """Stops a service and what depends on it, and waits until they have stopped.

    stopping: told each name before that service is stopped. What was stopped, in order. Errors: MethodFailed,
    StepTimeout; services stopped by then run again.
    """
    stopped: list[str] = []
    try:
        _stop(host, name, timeout, stopping, stopped)
    except MethodFailed:
        start_again(host, stopped, timeout=timeout)
        raise
    return stopped


def _stop(host: CanWait, name: str, timeout: float, stopping: Callable[[str], None], stopped: list[str]) -> None:
    stopping(name)
    value = _call(host, Service.StopService, name)
    if value == _DEPENDENTS_RUN:
        for dependent in dependents(host, name):
            if dependent.State != "Stopped":
                _stop(host, dependent.Name, timeout, stopping, stopped)
        value = _call(host, Service.StopService, name)
    if value in (_CANNOT_ACCEPT, _NOT_ACTIVE) and find_state(host, name) in ("Stopped", "Stop Pending"):
        value = 0
    if value:
        raise MethodFailed(f"stopping service {name}", "StopService", value, RETURNS.get(value, ""))
    host.wait(f"service {name} stops", lambda: find_state(host, name) == "Stopped", timeout=timeout)
    stopped.append(name)


def start_again(host: CanWait, names: Sequence[str], *, timeout: float) -> None:
    """Starts services in the reverse of the order they were stopped in. Errors: MethodFailed, StepTimeout."""
    for name in reversed(names):
        start(host, name, timeout=timeout)
