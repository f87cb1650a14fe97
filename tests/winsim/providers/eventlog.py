# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Event logs (Win32_NTLogEvent, Win32_NTEventlogFile). Only `Message` is in the host's language.

Section `eventlog` of a host: a list of records per log, or {records: [...], since_days: n}; a log reaches back 730 days
unless `since_days` says that it was cleared or has wrapped since.

    eventlog:
      System:
        - {code: 4869, source: Microsoft-Windows-FailoverClustering, days_ago: 3, strings: ['C:\\x.exe', '4711', '60']}
        - {code: 1001, source: BugCheck, time: 2026-01-31T08:15:00Z, strings: ['0x0000009e (0x0, 0x3c, 0x0, 0x0)', ...]}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from winsim.fleet import instant, integer, mapping, number, sequence, text
from winsim.host import Host
from winsim.switches import declare

from . import Instance, Provider

__all__ = ["BUGCHECK_CODE", "BUGCHECK_SOURCE", "EventLogState", "Record", "record"]

eventlog = Provider("eventlog")

SYSTEM_LOGS = ("Application", "Security", "System")
BUGCHECK_CODE = 1001
BUGCHECK_SOURCE = "BugCheck"

declare(
    "eventlog.bugcheck_source",
    {
        "BugCheck": "the source of a bug check's event 1001 is BugCheck",
        "Microsoft-Windows-WER-SystemErrorReporting": "it is the name of the provider that writes it",
    },
    open_question="how Win32_NTLogEvent names the source of event 1001 of a bug check",
    page="hang_recovery",
)

TYPES = {1: "Error", 2: "Warning", 3: "Information", 4: "Security Audit Success", 5: "Security Audit Failure"}
# Event types of what the fleet file or a provider records without saying the type.
KNOWN_TYPES = {4869: 2, 4870: 1, 7031: 1, 1001: 1, 6008: 1}
MESSAGES = {
    1001: ("The computer has restarted after a bug check: {0}. Dump: {1}.",
           "Der Computer wurde nach einer Fehlerprüfung neu gestartet: {0}. Abbild: {1}."),
    4869: ("Process {0} ({1}) did not respond for {2} seconds.",
           "Prozess {0} ({1}) antwortete {2} Sekunden lang nicht."),
    4870: ("The Cluster service ({0}) did not respond for {1} seconds; the recovery action follows.",
           "Der Clusterdienst ({0}) antwortete {1} Sekunden lang nicht; die Wiederherstellungsaktion folgt."),
    6005: ("The event log service was started.", "Der Ereignisprotokolldienst wurde gestartet."),
    6006: ("The event log service was stopped.", "Der Ereignisprotokolldienst wurde beendet."),
    6008: ("The previous shutdown was unexpected.", "Das System wurde zuvor unerwartet heruntergefahren."),
    7031: ("The service {0} terminated unexpectedly, {1} time(s) so far.",
           'Dienst "{0}" wurde unerwartet beendet, bisher {1} Mal.'),
    7036: ("The service {0} entered the state {1}.", 'Dienst "{0}" befindet sich jetzt im Status "{1}".'),
}  # fmt: skip


@dataclass
class Record:
    """One record. `kind` is the event type: 1 error, 2 warning, 3 information, 4 and 5 audits."""

    number: int
    time: datetime
    source: str
    code: int
    kind: int = 3
    strings: list[str] = field(default_factory=list)
    message: str | None = None
    category: int = 0
    user: str | None = None


@dataclass
class EventLogState:
    """Records per log, oldest first."""

    logs: dict[str, list[Record]] = field(default_factory=dict)


@eventlog.section("eventlog", EventLogState)
def build(host: Host, data: Any, path: str) -> EventLogState:
    state = EventLogState({log: [] for log in SYSTEM_LOGS})
    given = mapping(data, path)
    for log in dict.fromkeys((*SYSTEM_LOGS, *given)):
        state.logs[log] = _build_log(host, log, given.get(log), f"{path}.{log}")
    return state


def _build_log(host: Host, log: str, data: Any, path: str) -> list[Record]:
    content = {"records": data} if isinstance(data, list) else mapping(data, path, {"records", "since_days"})
    since = host.now() - timedelta(days=number(content.get("since_days", 730), f"{path}.since_days"))
    records = [_record(host, item, f"{path}[{n}]") for n, item in enumerate(sequence(content.get("records"), path))]
    records.append(Record(0, min(since, host.now()), "EventLog", 6005))
    if log == "System" and since < host.boot_time:
        records.append(Record(0, host.boot_time, "EventLog", 6005))
    records.sort(key=lambda each: each.time)
    for index, each in enumerate(records, 1):
        each.number = index
    return records


def _record(host: Host, data: Any, path: str) -> Record:
    allowed = {"code", "source", "time", "days_ago", "strings", "type", "message", "category", "user"}
    given = mapping(data, path, allowed)
    time = host.now() - timedelta(days=number(given.get("days_ago", 0), f"{path}.days_ago"))
    if "time" in given:
        time = instant(given["time"], f"{path}.time")
    code = integer(given.get("code"), f"{path}.code", 0, 65535)
    return Record(
        number=0,
        time=time,
        source=text(given.get("source"), f"{path}.source"),
        code=code,
        kind=integer(given.get("type", KNOWN_TYPES.get(code, 3)), f"{path}.type", 1, 5),
        strings=[str(string) for string in sequence(given.get("strings"), f"{path}.strings")],
        message=given.get("message"),
        category=integer(given.get("category", 0), f"{path}.category", 0, 65535),
        user=given.get("user"),
    )


def record(
    host: Host, log: str, source: str, code: int, strings: Sequence[str] = (), *, time: datetime | None = None
) -> Record:
    """Write a record, now unless `time` says otherwise."""
    records = host.state(EventLogState).logs.setdefault(log, [])
    number_ = records[-1].number + 1 if records else 1
    when = time if time is not None else host.now()
    written = Record(number_, when, source, code, KNOWN_TYPES.get(code, 3), list(strings))
    records.append(written)
    return written


@eventlog.stopping
def write_stop(host: Host) -> None:
    record(host, "System", "EventLog", 6006)


@eventlog.boot
def write_start(host: Host) -> None:
    record(host, "System", "EventLog", 6005)


@eventlog.instances("root/cimv2", "Win32_NTLogEvent")
def events(host: Host) -> Iterator[Instance]:
    """Newest first, log by log, as Windows enumerates them."""
    for log, records in host.state(EventLogState).logs.items():
        for each in reversed(records):
            yield _event(host, log, each)


def _event(host: Host, log: str, each: Record) -> Instance:
    source = each.source
    if each.code == BUGCHECK_CODE and source == BUGCHECK_SOURCE:
        source = host.switches["eventlog.bugcheck_source"]
    return {
        "Category": each.category,
        "ComputerName": host.fqdn,
        "EventCode": each.code,
        "EventIdentifier": each.code,
        "EventType": each.kind,
        "InsertionStrings": each.strings or None,
        "Logfile": log,
        "Message": each.message if each.message is not None else _message(host, each),
        "RecordNumber": each.number,
        "SourceName": source,
        "TimeGenerated": each.time,
        "TimeWritten": each.time,
        "Type": TYPES[each.kind],
        "User": each.user,
    }


def _message(host: Host, each: Record) -> str | None:
    texts = MESSAGES.get(each.code)
    if texts is None:
        return None
    missing = [""] * 8
    return texts[host.language == "de-DE"].format(*each.strings, *missing)


@eventlog.instances("root/cimv2", "Win32_NTEventlogFile")
def log_files(host: Host) -> Iterable[Instance]:
    for log, records in host.state(EventLogState).logs.items():
        path = f"{host.system_directory}\\Winevt\\Logs\\{log}.evtx"
        yield {
            "CreationClassName": "Win32_NTEventlogFile",
            "CSName": host.name,
            "Extension": "evtx",
            "FileName": log,
            "LogfileName": log,
            "Name": path,
            "NumberOfRecords": len(records),
            "Caption": path,
            "Status": "OK",
        }
