# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""dism.exe, whose commands belong to many subsystems: each plays its own.

    @command("/get-features")
    def get_features(host, options): ...      # options by lower-case name without the slash, '' where there is no value

https://learn.microsoft.com/windows-hardware/manufacture/desktop/dism-image-management-command-line-options-s14
"""

from __future__ import annotations

from collections.abc import Callable

from winsim.host import Host

from . import Output, Process, Provider

__all__ = ["ERROR_INVALID_PARAMETER", "ERROR_SUCCESS_REBOOT_REQUIRED", "command"]

dism = Provider("dism")

ERROR_INVALID_PARAMETER = 87
ERROR_SUCCESS_REBOOT_REQUIRED = 3010
FIRST_WITH_DISM = 7600

Command = Callable[[Host, dict[str, str]], Output | Process]
_commands: dict[str, Command] = {}


def command(option: str) -> Callable[[Command], Command]:
    """(host, options) -> Output: plays a command of dism.exe."""

    def decorate(function: Command) -> Command:
        if _commands.setdefault(option.lower(), function) is not function:
            raise ValueError(f"dism {option} is played twice")
        return function

    return decorate


@dism.process("dism.exe", available=lambda host: host.build >= FIRST_WITH_DISM)
def run(host: Host, arguments: list[str], stdin: str) -> Output | Process:
    """The command among the options; an unknown one ends with error 87."""
    options: dict[str, str] = {}
    for argument in arguments:
        name, _, value = argument.lstrip("/-").partition(":")
        options[name.lower()] = value
    for option, function in _commands.items():
        if option.lstrip("/") in options:
            return function(host, options)
    return Output(f"\r\nError: {ERROR_INVALID_PARAMETER}\r\n", exit_code=ERROR_INVALID_PARAMETER)
