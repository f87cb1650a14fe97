# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One exception per kind of trouble; each message is a sentence for a person at night. For this collection only."""

from __future__ import annotations

import re

from .win_error import describe, describe_win32

_LONGEST = 4000
# Control characters, and those that turn the direction of text: a host's words may hold them, a terminal obeys them.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """The text as a terminal may show it: at most 4000 characters, none of which does anything."""
    if len(text) > _LONGEST:
        # The beginning says what was attempted, the end what to do.
        text = f"{text[: _LONGEST * 3 // 4]} ... {text[-_LONGEST // 4 :]}"
    return _UNPRINTABLE.sub(" ", text)


class FieldnotesError(Exception):
    """Something went wrong; ``str()`` of it is what the user reads."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class Refusal(FieldnotesError):
    """Bad input or an unmet precondition, found before the first change.

    code: the number of the refusal on the procedure's page, e.g. ``R6``; remedy: what to do, where the message does not
    say it yet; step: the step of the page that found it.
    """

    def __init__(self, code: str, message: str, remedy: str = "", step: str = "") -> None:
        super().__init__(f"{message} {remedy}".rstrip())
        self.code = code
        self.remedy = remedy
        self.step = step


class Failure(FieldnotesError):
    """A step failed in a way that the procedure's page names.

    code: as on the page, e.g. ``E_VERIFY``; remedy: what to do.
    """

    def __init__(self, code: str, message: str, remedy: str = "") -> None:
        super().__init__(f"{message} {remedy}".rstrip())
        self.code = code
        self.remedy = remedy


class Halt(Failure):
    """The run stops here on purpose: nothing is taken back, and the journal lets the next run go on."""


class ConnectionTrouble(FieldnotesError):
    """The host could not be talked to; Ansible counts it as unreachable."""


class Unreachable(ConnectionTrouble):
    """No TCP connection: refused, no route, name unknown, or no answer in time."""


class AuthenticationFailed(ConnectionTrouble):
    """The host refused the credentials or offers none of the wanted authentication kinds."""


class CertificateRefused(ConnectionTrouble):
    """The server certificate is not trusted, expired, or made for another name."""


class NotWinRM(ConnectionTrouble):
    """Something answers at that address, and it is not WS-Management."""


class ConnectionLost(ConnectionTrouble):
    """The connection ended during a request: what became of that request is unknown, so read the state again."""


class AnswerTimeout(ConnectionLost):
    """The host took longer than the read time-out; the effect of the request is unknown."""


class InsecureConnection(FieldnotesError):
    """The settings would send a secret in clear."""


class MalformedAnswer(FieldnotesError):
    """The answer is not what the protocol allows: not XML, truncated, too large, or of another shape."""


class Unsendable(FieldnotesError, ValueError):
    """A value that no message can carry, or that its CIM type does not have."""


class WsmanFault(FieldnotesError):
    """A SOAP fault.

    number: the innermost error number, unsigned 32 bit, or None where the server gave none.
    subcode: local name of the fault's subcode, e.g. ``AccessDenied``.
    text: the server's words, in the server's language; never decide on it.
    """

    def __init__(self, attempted: str, number: int | None, subcode: str, text: str) -> None:
        self.attempted = attempted
        self.number = number
        self.subcode = subcode
        self.text = printable(text)
        what = describe(number) if number is not None else subcode or "a fault without a number"
        super().__init__(f"{attempted}: Windows answered {what}" + (f" ({text})" if text else ""))


class MethodFailed(FieldnotesError):
    """A CIM method returned a value that does not mean success."""

    def __init__(self, attempted: str, method: str, value: int, name: str) -> None:
        self.method = method
        self.value = value
        super().__init__(f"{attempted}: {method} returned {value}" + (f" ({name})" if name else ""))


class CmdletFailed(FieldnotesError):
    """A cmdlet ended with an error record.

    error_id: FullyQualifiedErrorId; category: number of the ErrorCategory; both are language independent.
    warnings: what it said before it failed.
    """

    def __init__(self, attempted: str, cmdlet: str, error_id: str, category: int, text: str) -> None:
        self.cmdlet = cmdlet
        self.error_id = error_id
        self.category = category
        self.warnings: tuple[str, ...] = ()
        self.text = printable(text)
        super().__init__(f"{attempted}: {cmdlet} failed with {error_id or 'an error'}" + (f": {text}" if text else ""))


class ProcessFailed(FieldnotesError):
    """An executable ended with an exit code that does not mean success."""

    def __init__(self, attempted: str, executable: str, exit_code: int) -> None:
        self.executable = executable
        self.exit_code = exit_code
        super().__init__(f"{attempted}: {executable} ended with exit code {describe_win32(exit_code)}")


class VerificationFailed(FieldnotesError):
    """The state after the change is not the goal."""


class StepTimeout(FieldnotesError):
    """A step that waits did not reach its goal in the time allowed."""
