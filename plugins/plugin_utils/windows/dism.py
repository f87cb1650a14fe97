# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Roles and features of Windows Server 2008 R2, whose cmdlets have no page. For this collection only.

https://learn.microsoft.com/en-us/windows-hardware/manufacture/desktop/dism-operating-system-package-servicing-command-line-options
"""

from __future__ import annotations

import re
from typing import Protocol

from ..wsman.process import Processes, ProcessResult

ERROR_SUCCESS_REBOOT_REQUIRED = 3010


class HasProcesses(Protocol):
    """What these functions need of a host."""

    @property
    def processes(self) -> Processes:
        """WinRS processes."""


def features(host: HasProcesses, windows_directory: str) -> list[str]:
    """The names of all features of this Windows, installed or not. Errors: ProcessFailed."""
    # The words are localised without /English.
    output = _run(host, windows_directory, "/get-features", "/english", attempted="reading the features").output
    return re.findall(r"^Feature Name : (\S+)", output, re.MULTILINE)


def enable(host: HasProcesses, windows_directory: str, name: str) -> bool:
    """Installs a feature; whether a restart is needed. Errors: ProcessFailed."""
    return _change(host, windows_directory, "/enable-feature", name, f"installing {name}")


def disable(host: HasProcesses, windows_directory: str, name: str) -> bool:
    """Removes a feature; whether a restart is needed. Errors: ProcessFailed."""
    return _change(host, windows_directory, "/disable-feature", name, f"removing {name}")


def _change(host: HasProcesses, windows_directory: str, verb: str, name: str, attempted: str) -> bool:
    # Without /NoRestart it asks whether to restart, and nobody answers.
    ended = _run(host, windows_directory, verb, f"/featurename:{name}", "/norestart", attempted=attempted)
    return ended.exit_code == ERROR_SUCCESS_REBOOT_REQUIRED


def _run(host: HasProcesses, windows_directory: str, *options: str, attempted: str) -> ProcessResult:
    executable = f"{windows_directory}\\System32\\dism.exe"
    success = (0, ERROR_SUCCESS_REBOOT_REQUIRED)
    return host.processes.run(executable, ["/online", *options], attempted, success=success)
