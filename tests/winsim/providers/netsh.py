# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""netsh.exe, whose contexts belong to many subsystems: each plays its own.

    @context("advfirewall", "firewall")
    def firewall(host, arguments): ...      # arguments after the context, as the command line has them

https://learn.microsoft.com/en-us/windows-server/administration/windows-commands/netsh
"""

from __future__ import annotations

from collections.abc import Callable

from winsim.host import Host

from . import Output, Provider

__all__ = ["context"]

netsh = Provider("netsh")

Context = Callable[[Host, list[str]], Output]
_contexts: dict[tuple[str, ...], Context] = {}


def context(*words: str) -> Callable[[Context], Context]:
    """(host, arguments after the words) -> Output: plays a context of netsh."""

    def decorate(function: Context) -> Context:
        if _contexts.setdefault(words, function) is not function:
            raise ValueError(f"netsh {' '.join(words)} is played twice")
        return function

    return decorate


@netsh.process("netsh.exe")
def run(host: Host, arguments: list[str], stdin: str) -> Output:
    """The context with the longest words that fit; an unknown command ends with exit code 1."""
    for words in sorted(_contexts, key=len, reverse=True):
        if tuple(argument.lower() for argument in arguments[: len(words)]) == words:
            return _contexts[words](host, arguments[len(words) :])
    command = " ".join(arguments)
    return Output(stdout=f"The following command was not found: {command}.\r\n", exit_code=1)
