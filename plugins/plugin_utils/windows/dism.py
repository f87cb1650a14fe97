# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Roles and features of Windows Server 2008 R2, whose cmdlets have no page. For this collection only.

https://learn.microsoft.com/en-us/windows-hardware/manufacture/desktop/dism-operating-system-package-servicing-command-line-options
"""

from __future__ import annotations

import re
from typing import Protocol

from ..wsman.process import Processes, ProcessResult
from .features import Feature, FeatureChange

ERROR_SUCCESS_REBOOT_REQUIRED = 3010

_STATES = {"enabled": "Installed", "enable pending": "InstallPending", "disable pending": "UninstallPending"}


class HasProcesses(Protocol):
    """What these functions need of a host."""

    @property
    def processes(self) -> Processes:
        """WinRS processes."""


def read_features(host: HasProcesses, windows_directory: str) -> dict[str, Feature]:
    """All features of this Windows, by dism.exe's name in lower case. Errors: ProcessFailed."""
    # The words are localised without /English.
    output = _run(host, windows_directory, "/get-features", "/english", attempted="reading the features").output
    pairs = re.findall(r"^Feature Name : (\S+)\s+State : ([^\r\n]+)", output, re.MULTILINE)
    return {name.lower(): Feature(name, _STATES.get(state.strip().lower(), "Available")) for name, state in pairs}


def enable(host: HasProcesses, windows_directory: str, name: str) -> FeatureChange:
    """Installs a feature. Errors: ProcessFailed."""
    return _change(host, windows_directory, "/enable-feature", name, f"installing {name}")


def disable(host: HasProcesses, windows_directory: str, name: str) -> FeatureChange:
    """Removes a feature. Errors: ProcessFailed."""
    return _change(host, windows_directory, "/disable-feature", name, f"removing {name}")


def _change(host: HasProcesses, windows_directory: str, verb: str, name: str, attempted: str) -> FeatureChange:
    # Without /NoRestart it asks whether to restart, and nobody answers.
    ended = _run(host, windows_directory, verb, f"/featurename:{name}", "/norestart", attempted=attempted)
    return FeatureChange(True, ended.exit_code == ERROR_SUCCESS_REBOOT_REQUIRED, str(ended.exit_code))


def _run(host: HasProcesses, windows_directory: str, *options: str, attempted: str) -> ProcessResult:
    executable = f"{windows_directory}\\System32\\dism.exe"
    success = (0, ERROR_SUCCESS_REBOOT_REQUIRED)
    return host.processes.run(executable, ["/online", *options], attempted, success=success)
