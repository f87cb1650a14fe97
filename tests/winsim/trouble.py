# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Injected trouble: what goes wrong with a chosen request of a host.

    troubles_of(host).add(Trouble("drop_after"), nth=3)                        # the third request from now on
    troubles_of(host).add(Trouble("fault", number=5, subcode="w:AccessDenied"), when=lambda ask: ask.action == "Put")

Each trouble strikes once unless `times` says otherwise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .host import Host

__all__ = ["KINDS", "Answer", "Asked", "Trouble", "Troubles", "is_dark", "troubles_of"]

KINDS = {
    "drop_before": "the connection drops, the request has no effect",
    "drop_after": "the request takes effect, then the connection drops without an answer",
    "lost": "the request takes effect, the answer is lost and the host cannot be reached for `seconds`",
    "reboot": "the request takes effect, then the host restarts without an answer and is up again after `seconds`",
    "http_500": "HTTP 500 without SOAP, no effect",
    "unauthorized": "HTTP 401 and the end of the connection's authentication, no effect",
    "fault": "a WS-Management fault with `number`, `subcode` and, where it is given, `text`; no effect",
    "delay": "the answer waits `seconds` of the clock, or until `Trouble.release` is called if `seconds` is None",
    "truncated": "half of the body arrives, then the connection ends; the request takes effect",
    "malformed": "the body of the answer is not XML; the request takes effect",
    "oversized": "the answer is padded to `size` bytes; the request takes effect",
    "wrong_namespace": "the answer is in a SOAP namespace nobody expects; the request takes effect",
}


@dataclass(frozen=True)
class Asked:
    """What a condition may look at: the words of log.Request, before the request takes effect."""

    action: str
    resource: str
    namespace: str
    what: str
    wql: str
    text: str


@dataclass
class Trouble:
    """One thing that goes wrong; `kind` is one of KINDS."""

    kind: str
    number: int = 2150858770
    subcode: str = "w:InternalError"
    detail: str | None = None
    text: str | None = None
    seconds: float | None = 0.0
    size: int = 8 * 1024 * 1024
    times: int = 1
    struck: int = 0
    released: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no trouble {self.kind!r}: there are {', '.join(KINDS)}")

    def release(self) -> None:
        """Let an answer that waits without a time go; notify `fleet.changed` afterwards."""
        self.released = True


@dataclass
class _Planned:
    trouble: Trouble
    nth: int
    when: Callable[[Asked], bool]
    seen: int = 0


@dataclass
class Troubles:
    """The trouble planned for a host. Until `dark_until` the host takes no connection and answers nothing."""

    planned: list[_Planned] = field(default_factory=list)
    dark_until: datetime | None = None

    def add(self, trouble: Trouble, *, nth: int = 1, when: Callable[[Asked], bool] | None = None) -> Trouble:
        """Let `trouble` strike the n-th request from now on that `when` is true for (every request without it)."""
        if nth < 1:
            raise ValueError(f"the first request is number 1, not {nth}")
        self.planned.append(_Planned(trouble, nth, when or (lambda asked: True)))
        return trouble

    def clear(self) -> None:
        self.planned.clear()

    def strike(self, asked: Asked) -> Trouble | None:
        """The trouble that hits this request, if any."""
        hit = None
        for plan in list(self.planned):
            if not plan.when(asked):
                continue
            plan.seen += 1
            if hit is None and plan.seen >= plan.nth:
                hit = plan.trouble
                hit.struck += 1
                if hit.struck >= hit.times:
                    self.planned.remove(plan)
        return hit


def troubles_of(host: Host) -> Troubles:
    return host.attached(Troubles)


def is_dark(host: Host) -> bool:
    """Whether trouble keeps the host from being reached now."""
    until = troubles_of(host).dark_until
    return until is not None and host.now() < until


@dataclass(frozen=True)
class Answer:
    """What the rim sends.

    `drop`: close the connection without a word. `announced`: the Content-Length to claim, where it is not the body's;
    the connection ends after what there is. `forget`: the connection is no longer authenticated.
    """

    status: int
    body: bytes = b""
    drop: bool = False
    announced: int | None = None
    forget: bool = False


def spoil(trouble: Trouble, answer: Answer) -> Answer:
    """The answer after a trouble that lets the request take effect."""
    body = answer.body
    if trouble.kind in ("drop_after", "lost", "reboot"):
        return Answer(0, drop=True)
    if trouble.kind == "truncated":
        return dataclasses.replace(answer, body=body[: len(body) // 2], announced=len(body))
    if trouble.kind == "malformed":
        return dataclasses.replace(answer, body=body[: len(body) // 2] + b"</not></xml>")
    if trouble.kind == "oversized":
        padding = b" " * max(0, trouble.size - len(body))
        return dataclasses.replace(answer, body=body + padding)
    if trouble.kind == "wrong_namespace":
        wrong = body.replace(b"http://www.w3.org/2003/05/soap-envelope", b"http://schemas.xmlsoap.org/soap/envelope/")
        return dataclasses.replace(answer, body=wrong)
    return answer
