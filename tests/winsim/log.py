# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host was asked: one frozen entry per WS-Management request, in `host.log`."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

__all__ = ["Request", "method_writes"]

# Verbs by which methods and cmdlets only read. Everything else counts as a change.
READING = ("check", "compare", "convertfrom", "convertto", "enum", "find", "get", "inspect", "is", "list", "measure",
           "query", "read", "resolve", "search", "select", "sort", "summarize", "test", "verify", "where")  # fmt: skip


@dataclass(frozen=True)
class Request:
    """One request and its answer, after decryption.

    n: from 1 per host. action: Get, Put, Create, Delete, Enumerate, Pull, Release, Invoke, Identify, or what a shell
    was asked (Command, Send, Receive, Signal ...); `?` where the request could not be read. resource: the class, `*`
    for WQL, or the last part of another resource URI. what: the method, the command line or the cmdlets. writes:
    whether the request could change state. status: of HTTP; 0 if the connection was dropped without an answer, and
    while there is none yet. fault: the number that matters of a SOAP fault. properties: those a Put or Create sent.
    """

    n: int
    time: datetime
    user: str
    action: str
    resource: str
    namespace: str
    what: str
    wql: str
    properties: tuple[str, ...]
    writes: bool
    status: int
    fault: int | None
    request: str
    answer: str
    secure: bool


@dataclass
class Notes:
    """What is learned about a request while it is answered; becomes part of its entry."""

    action: str = "?"
    resource: str = ""
    namespace: str = ""
    what: str = ""
    wql: str = ""
    properties: tuple[str, ...] = ()
    writes: bool = False


def method_writes(name: str) -> bool:
    """Whether a method or cmdlet of that name changes state, as far as its verb tells."""
    verb = name.partition("-")[0] if "-" in name else name
    return not verb.lower().startswith(READING)


def cmdlets_write(names: Iterable[str]) -> bool:
    """Whether a pipeline of these cmdlets changes state."""
    return any(method_writes(name) for name in names)


def local_names(element: ET.Element | None) -> tuple[str, ...]:
    """Names of the child elements, each once."""
    children = element if element is not None else ()
    return tuple(dict.fromkeys(child.tag.rpartition("}")[2] for child in children))
