# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Windows Server Migration Tools, a snap-in of Windows PowerShell. For this collection only.

https://learn.microsoft.com/en-us/powershell/module/microsoft.windows.servermanager.migration/
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import CmdletFailed
from ..wsman.cmdlets import SWITCH, Cmdlet, Command, PSObject, SecureText
from .files import HasCmdlets

SNAP_IN = "Microsoft.Windows.ServerManager.Migration"
DHCP = "DHCP"
STORE_FILE = "svrmig.mig"

ADD_SNAP_IN = Cmdlet("Add-PSSnapin", "Microsoft.PowerShell.Core", ("Name",))
GET_SNAP_IN = Cmdlet("Get-PSSnapin", "Microsoft.PowerShell.Core", ("Name", "Registered"))
EXPORT = Cmdlet("Export-SmigServerSetting", SNAP_IN, ("FeatureId", "User", "Group", "IPConfig", "Path", "Password"))
IMPORT = Cmdlet(
    "Import-SmigServerSetting",
    SNAP_IN,
    (
        "FeatureId",
        "User",
        "Group",
        "IPConfig",
        "SourcePhysicalAddress",
        "TargetPhysicalAddress",
        "Force",
        "Path",
        "Password",
        "Confirm",
    ),
)
GET_FEATURE = Cmdlet("Get-SmigServerFeature", SNAP_IN, ("Path", "Password"))


@dataclass(frozen=True)
class MigrationResult:
    """How the migration of one item went. errors, warnings: titles of its details by severity."""

    id: str
    success: bool
    errors: tuple[str, ...]
    warnings: tuple[str, ...]


def is_registered(host: HasCmdlets) -> bool:
    """Whether the host has the tools. Errors: CmdletFailed."""
    result = host.cmdlets.run(GET_SNAP_IN(Registered=SWITCH), attempted="looking for the migration tools")
    return any(isinstance(one, PSObject) and _same(one.get("Name"), SNAP_IN) for one in result.output)


def _same(value: Any, wanted: str) -> bool:
    return str(value or "").lower() == wanted.lower()


def _run(
    host: HasCmdlets, command: Command, attempted: str, progress: Callable[[str], None] | None
) -> tuple[PSObject, ...]:
    # The snap-in belongs to the runspace; adding it to one that has it is an error record and harmless.
    host.cmdlets.run(ADD_SNAP_IN(Name=[SNAP_IN]), attempted="loading the migration tools", check=False)
    output = host.cmdlets.run(command, attempted=attempted, progress=progress).output
    return tuple(one for one in output if isinstance(one, PSObject))


def export_settings(
    host: HasCmdlets,
    path: str,
    password: str,
    *,
    user: str | None,
    group: bool,
    ip_config: bool,
    progress: Callable[[str], None] | None = None,
) -> list[MigrationResult]:
    """Writes the store; the service must be stopped. An existing store file makes it fail. Errors: CmdletFailed."""
    command = EXPORT(
        FeatureId=[DHCP],
        User=user,
        Group=SWITCH if group else None,
        IPConfig=SWITCH if ip_config else None,
        Path=path,
        Password=SecureText(password),
    )
    return [_result(one) for one in _run(host, command, f"exporting to {path}", progress)]


def import_settings(
    host: HasCmdlets,
    path: str,
    password: str,
    *,
    user: str | None,
    group: bool,
    progress: Callable[[str], None] | None = None,
) -> list[MigrationResult]:
    """Reads DHCP from the store; the service must be stopped. Errors: CmdletFailed."""
    command = IMPORT(
        FeatureId=[DHCP],
        User=user,
        Group=SWITCH if group else None,
        Force=SWITCH,
        Path=path,
        Password=SecureText(password),
        Confirm=False,
    )
    return [_result(one) for one in _run(host, command, f"importing from {path}", progress)]


def import_addresses(
    host: HasCmdlets, path: str, password: str, *, scope: str, sources: Sequence[str], targets: Sequence[str]
) -> list[MigrationResult]:
    """Gives the adapters the addresses of the source, which ends the session. scope: NIC, Global or All."""
    command = IMPORT(
        IPConfig=scope,
        SourcePhysicalAddress=list(sources) or None,
        TargetPhysicalAddress=list(targets) or None,
        Force=SWITCH,
        Path=path,
        Password=SecureText(password),
        Confirm=False,
    )
    return [_result(one) for one in _run(host, command, f"importing addresses from {path}", None)]


def lists_dhcp(host: HasCmdlets, path: str, password: str) -> bool:
    """Whether the store holds DHCP, and the password fits it: a wrong one is an error."""
    command = GET_FEATURE(Path=path, Password=SecureText(password))
    try:
        found = _run(host, command, f"reading the store {path}", None)
    except CmdletFailed:
        return False
    return any(_same(one.get("Id"), DHCP) for one in found)


def _result(one: PSObject) -> MigrationResult:
    details = one.get("DetailsList") or ()
    found: dict[str, list[str]] = {"error": [], "warning": []}
    for detail in details if isinstance(details, tuple) else (details,):
        severity, title = _detail(detail)
        found.setdefault(severity, []).append(title)
    return MigrationResult(
        str(one.get("ID") or ""), bool(one.get("Success")), tuple(found["error"]), tuple(found["warning"])
    )


def _detail(detail: Any) -> tuple[str, str]:
    if isinstance(detail, PSObject):
        return str(detail.get("Severity") or "").lower(), str(detail.get("Title") or detail.text)
    # One level below the result, objects are flattened to text, which nothing may be decided on.
    return "", str(detail)
