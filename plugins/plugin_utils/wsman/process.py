# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""WinRS processes: an executable and an argument list, never a shell line. For this collection only."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from ..errors import FieldnotesError, MalformedAnswer, ProcessFailed
from .libraries import CommandState, Process, SignalCode, WinRS, WSMan

UTF8 = 65001


class Connected(Protocol):
    """What the session gives to shells."""

    @property
    def wsman(self) -> WSMan:
        """pypsrp's client."""

    def translated(self, attempted: str) -> AbstractContextManager[None]:
        """Errors of pypsrp and below as errors of this collection."""


@dataclass(frozen=True)
class ProcessResult:
    """How a process ended. exit_code: unsigned 32 bit; output, error: decoded as UTF-8."""

    exit_code: int
    output: str
    error: str


class Processes:
    """WinRS processes of one session; each runs in a shell of its own that is closed again."""

    def __init__(self, session: Connected) -> None:
        self._session = session

    def run(
        self,
        executable: str,
        arguments: Sequence[str],
        attempted: str,
        *,
        success: Sequence[int] = (0,),
        progress: Callable[[], None] | None = None,
    ) -> ProcessResult:
        """Runs an executable to its end.

        executable: full path (without one, Windows looks nowhere, MS-WSMV 2.2.5.2); success: exit codes that mean it;
        progress: called each time the host had nothing new to say. Errors: ProcessFailed and those of the session.
        """
        # Windows joins the arguments with blanks, so each is quoted as the C run-time library reads it.
        quoted = [subprocess.list2cmdline([argument]) for argument in arguments]
        with self._session.translated(attempted):
            shell = WinRS(self._session.wsman, codepage=UTF8)
            shell.open()
        try:
            with self._session.translated(attempted):
                process = Process(shell, executable, quoted, no_shell=True)
                process.begin_invoke()
                if not process.id:
                    raise MalformedAnswer("the host did not say which command it began")
                while process.state != CommandState.DONE:
                    process.poll_invoke()
                    if progress is not None:
                        progress()
                if not -(2**31) <= (process.rc or 0) < 2**32:
                    raise MalformedAnswer(f"the exit code {process.rc} has more than 32 bits")
                process.signal(SignalCode.CTRL_C)
        except FieldnotesError:
            _close_quietly(self._session, shell)
            raise
        with self._session.translated(attempted):
            shell.close()
        result = ProcessResult(
            (process.rc or 0) & 0xFFFFFFFF,
            process.stdout.decode("utf-8", errors="replace"),
            process.stderr.decode("utf-8", errors="replace"),
        )
        if result.exit_code not in success:
            raise ProcessFailed(attempted, executable.rpartition("\\")[2], result.exit_code)
        return result


def _close_quietly(session: Connected, shell: WinRS) -> None:
    # The first error is the one to tell; a shell that cannot be closed ends by itself after its idle time.
    try:
        with session.translated("closing a shell"):
            shell.close()
    except FieldnotesError:
        pass
