# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Windows services, root/cimv2. For this collection only.

https://learn.microsoft.com/en-us/windows/win32/cimwin32prov/win32-service
"""

from __future__ import annotations

from ..wsman.bindings import CimClass, Method, key
from ..wsman.types import uint32
from ..wsman.wql import literal
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
