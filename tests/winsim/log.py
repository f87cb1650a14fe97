# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host was asked: one frozen entry per WS-Management request, in `host.log`."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import datetime

__all__ = ["Notes", "Request", "command_writes", "local_names", "method_writes"]

# How the names of methods begin that only read.
READING_METHODS = ("Check", "Enum", "Find", "Get", "Is", "List", "Query", "Read", "Verify", "WillEvict", "WillOffline")
# Verbs of cmdlets that only read (https://learn.microsoft.com/powershell/scripting/developer/cmdlet).
READING_VERBS = frozenset(
    ("compare", "convertfrom", "convertto", "find", "foreach", "get", "measure", "read", "resolve", "search", "select",
     "sort", "test", "where")
)  # fmt: skip

# Command lines of processes that only read.
READING_COMMANDS = re.compile(
    r"\b(netsh(\.exe)?\b.*\s(show|dump)\b|certutil(\.exe)?\s+[-/]hashfile\b|dism(\.exe)?\b.*\s/get-"
    r"|cluster\.exe\b.*/priv$|netstat(\.exe)?\b)",
    re.IGNORECASE,
)


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
    """Whether a method or a cmdlet (whose name has a hyphen) may change state, as far as its name tells."""
    verb, hyphen, _ = name.partition("-")
    if hyphen:
        return verb.lower() not in READING_VERBS
    return not name.lower().startswith(tuple(each.lower() for each in READING_METHODS))


def command_writes(line: str) -> bool:
    """Whether a process of that command line changes state: yes, unless its words are known to look only."""
    return READING_COMMANDS.search(line) is None


def local_names(element: ET.Element | None) -> tuple[str, ...]:
    """Names of the child elements, each once."""
    children = element if element is not None else ()
    return tuple(dict.fromkeys(child.tag.rpartition("}")[2] for child in children))
