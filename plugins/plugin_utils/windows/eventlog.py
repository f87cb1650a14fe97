# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Classic event logs, root/cimv2. For this collection only.

https://learn.microsoft.com/en-us/previous-versions/windows/desktop/eventlogprov/win32-ntlogevent
Message is never read: it is in the language of the host and slow to make.
"""

from __future__ import annotations

import datetime

from ..wsman.bindings import CimClass
from ..wsman.types import moment, uint16, uint32
from ..wsman.wql import any_of, literal
from .registry import HasCim


class LogEvent(CimClass, namespace="root/cimv2", wmi="Win32_NTLogEvent"):
    """One record of an event log."""

    EventCode: uint16
    SourceName: str | None
    TimeGenerated: moment
    RecordNumber: uint32
    InsertionStrings: tuple[str, ...] | None

    @property
    def strings(self) -> tuple[str, ...]:
        """The insertion strings, without null."""
        return self.InsertionStrings or ()


def read_events(host: HasCim, log: str, codes: tuple[int, ...], since: datetime.datetime) -> list[LogEvent]:
    """The records of a log with these codes that are not older than a time, in the order of the host."""
    where = f"Logfile = {literal(log)} AND {any_of('EventCode', codes)} AND TimeGenerated >= {literal(since)}"
    return host.cim.query(LogEvent, where)
