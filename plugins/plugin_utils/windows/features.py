# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Roles and features of Windows Server 2012 and later. For this collection only.

https://learn.microsoft.com/en-us/powershell/module/servermanager/install-windowsfeature
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..wsman.cmdlets import SWITCH, Cmdlet, PSObject
from .files import HasCmdlets

MODULE = "ServerManager"

GET_FEATURE = Cmdlet("Get-WindowsFeature", MODULE, ("Name",))
INSTALL_FEATURE = Cmdlet("Install-WindowsFeature", MODULE, ("Name", "IncludeManagementTools", "Confirm"))
UNINSTALL_FEATURE = Cmdlet("Uninstall-WindowsFeature", MODULE, ("Name", "Confirm"))


@dataclass(frozen=True)
class FeatureChange:
    """How an installation or removal went. exit_code: Windows' word for it."""

    success: bool
    restart_needed: bool
    exit_code: str


def known(host: HasCmdlets, name: str) -> bool:
    """Whether this Windows has a feature of this name, installed or not. Errors: CmdletFailed."""
    result = host.cmdlets.run(GET_FEATURE(Name=[name]), attempted=f"looking for the feature {name}")
    return any(isinstance(one, PSObject) and one.get("Name") == name for one in result.output)


def install(host: HasCmdlets, names: Sequence[str]) -> FeatureChange:
    """Installs features with their tools. Errors: CmdletFailed."""
    command = INSTALL_FEATURE(Name=list(names), IncludeManagementTools=SWITCH, Confirm=False)
    return _change(host.cmdlets.run(command, attempted=f"installing {', '.join(names)}").output)


def uninstall(host: HasCmdlets, names: Sequence[str]) -> FeatureChange:
    """Removes features. Errors: CmdletFailed."""
    command = UNINSTALL_FEATURE(Name=list(names), Confirm=False)
    return _change(host.cmdlets.run(command, attempted=f"removing {', '.join(names)}").output)


def _change(output: Sequence[Any]) -> FeatureChange:
    one = next((value for value in reversed(output) if isinstance(value, PSObject)), None)
    if one is None:
        return FeatureChange(False, False, "no answer")
    restart = _text(one.get("RestartNeeded")).lower()
    return FeatureChange(bool(one.get("Success")), restart in ("yes", "true"), _text(one.get("ExitCode")))


def _text(value: Any) -> str:
    return value.text if isinstance(value, PSObject) else str(value)
