# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a failover cluster does with a hung node, and how often nodes hung. For this collection only."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import Refusal
from ..journal import utc_text
from ..windows import registry
from ..windows.eventlog import LogEvent, read_events
from ..windows.operating_system import ComputerSystem, read_operating_system
from ..windows.services import find_service
from ..wsman.wql import literal
from .base import Host
from .hang_recovery import (
    ACTIONS,
    CRASH_CONTROL,
    DUMP_OVERHEAD,
    DUMP_TYPES,
    allowed_actions,
    default_action,
    name_of,
    paging_file_on_boot_volume,
    read_cluster,
    read_nodes,
    small_paging_file,
)

_FAILOVER_CLUSTERING = "microsoft-windows-failoverclustering"
_SERVICE_CONTROL_MANAGER = "service control manager"
# UNCONFIRMED which of the two names Win32_NTLogEvent gives; Windows Error Reporting uses code 1001 as well.
_BUG_CHECK_SOURCES = ("bugcheck", "microsoft-windows-wer-systemerrorreporting")
_BUG_CHECK_0X9E = re.compile(r"\s*0x0*9e\b", re.IGNORECASE)
_HEX = re.compile(r"0x[0-9a-f]+", re.IGNORECASE)


@dataclass(frozen=True)
class InfoParameters:
    """history_days: how far back, 0 reads nothing; history_max: newest events of a kind."""

    history_days: int
    history_max: int


class HangRecoveryInfo:
    """Module ``hang_recovery_info``."""

    module = "hang_recovery_info"

    def parameters(self, arguments: Mapping[str, Any]) -> InfoParameters:
        """Errors: Refusal."""
        days, most = arguments["history_days"], arguments["history_max"]
        if not 0 <= days <= 3650:
            raise Refusal("history_days", f"history_days must be between 0 and 3650, got {days}")
        if not 1 <= most <= 1000:
            raise Refusal("history_max", f"history_max must be between 1 and 1000, got {most}")
        return InfoParameters(days, most)

    def answer(self, host: Host, parameters: InfoParameters) -> tuple[Mapping[str, Any], Iterable[str]]:
        """Errors: Refusal R3, R4."""
        cluster = read_cluster(host, fqdn=False)
        nodes = read_nodes(host)
        system = read_operating_system(host)
        build = min(node.BuildNumber for node in nodes)
        dump = _read_dump(host)
        action = str(name_of(cluster.HangRecoveryAction, ACTIONS))
        warnings = []
        if action == "unknown":
            warnings.append(
                f"cluster {cluster.Name} has HangRecoveryAction {cluster.HangRecoveryAction}, which no reference names"
            )
        history, complete = _read_history(host, parameters)
        if not complete:
            warnings.append("the System log does not reach back as far as asked: it wrapped or was cleared")
        return {
            "cluster": cluster.Name,
            "node": system.CSName,
            "action": action,
            "action_value": cluster.HangRecoveryAction,
            "timeout": cluster.ClusSvcHangTimeout,
            "allowed_actions": allowed_actions(build),
            "os_default_action": default_action(build),
            "is_default": action == default_action(build),
            "dump": dump,
            "advice": list(_advice(host, action, dump, history, system.WindowsDirectory)),
            "history": {**history, "complete": complete},
        }, warnings


def _read_dump(host: Host) -> dict[str, Any]:
    def flag(name: str) -> bool:
        return bool(registry.read_dword(host, CRASH_CONTROL, name))

    value = registry.read_dword(host, CRASH_CONTROL, "CrashDumpEnabled")
    return {
        "type": name_of(value, DUMP_TYPES),
        "value": value,
        "file": registry.read_expanded_string(host, CRASH_CONTROL, "DumpFile"),
        "auto_reboot": flag("AutoReboot"),
        "overwrite": flag("Overwrite"),
        "log_event": flag("LogEvent"),
        "minidump_dir": registry.read_expanded_string(host, CRASH_CONTROL, "MinidumpDir"),
    }


def _read_history(host: Host, parameters: InfoParameters) -> tuple[dict[str, Any], bool]:
    kinds: dict[str, list[dict[str, Any]]] = {"logged": [], "recovered": [], "service_ended": [], "bugcheck": []}
    complete = True
    if parameters.history_days:
        since = host.clock.now() - datetime.timedelta(days=parameters.history_days)
        events = read_events(host, "System", (4869, 4870, 7031, 1001), since)
        ended = any(event.EventCode == 7031 for event in events)
        service = find_service(host, "ClusSvc") if ended else None
        display_name = service.DisplayName if service is not None else None
        for event in events:
            kind, entry = _entry_of(event, display_name)
            if kind is not None:
                kinds[kind].append(entry)
        complete = host.cim.any(LogEvent, f"Logfile = 'System' AND TimeGenerated < {literal(since)}")
    return {kind: _summary(entries, parameters.history_max) for kind, entries in kinds.items()}, complete


def _summary(entries: list[dict[str, Any]], most: int) -> dict[str, Any]:
    newest = sorted(entries, key=lambda entry: (entry["time"], entry["record"]), reverse=True)
    return {"count": len(newest), "last": newest[0]["time"] if newest else None, "events": newest[:most]}


def _entry_of(event: LogEvent, display_name: str | None) -> tuple[str | None, dict[str, Any]]:
    """The kind of a record in the history, None for one that does not count, and what is told of it."""
    entry: dict[str, Any] = {"time": utc_text(event.TimeGenerated), "record": event.RecordNumber}
    source, strings = (event.SourceName or "").lower(), event.strings
    if source == _FAILOVER_CLUSTERING and event.EventCode == 4869:
        return "logged", {**entry, "process": _at(strings, 0), "pid": _int(strings, 1), "seconds": _int(strings, 2)}
    if source == _FAILOVER_CLUSTERING and event.EventCode == 4870:
        return "recovered", {**entry, "pid": _int(strings, 0), "seconds": _int(strings, 1)}
    if source == _SERVICE_CONTROL_MANAGER and event.EventCode == 7031:
        # The display name is in the language of the host, in the event as in the service.
        if display_name is not None and _at(strings, 0) == display_name:
            return "service_ended", {**entry, "times": _int(strings, 1)}
    elif source in _BUG_CHECK_SOURCES and event.EventCode == 1001 and _BUG_CHECK_0X9E.match(_at(strings, 0) or ""):
        numbers = _HEX.findall((_at(strings, 0) or "").partition("(")[2])
        return "bugcheck", {
            **entry,
            "process_address": numbers[0] if numbers else None,
            "seconds": int(numbers[1], 16) if len(numbers) > 1 else None,
            "watchdog_source": int(numbers[2], 16) if len(numbers) > 2 else None,
            "dump_file": _at(strings, 1) or None,
        }
    return None, entry


def _at(strings: Sequence[str], index: int) -> str | None:
    return strings[index] if index < len(strings) else None


def _int(strings: Sequence[str], index: int) -> int | None:
    text = (_at(strings, index) or "").strip()
    return int(text) if re.fullmatch(r"\d+", text) else None


def _advice(
    host: Host,
    action: str,
    dump: Mapping[str, Any],
    history: Mapping[str, Any],
    windows_directory: str,
) -> Iterable[str]:
    if history["bugcheck"]["count"]:
        yield (
            "bug check 0x9E is a reaction to a hang, not a fault of clustering: look at exhausted user-mode resources "
            "(events 2019 and 2020 on pool memory, memory, disk), not at the Cluster service"
        )
    if action in ("bugcheck", "bugcheck_all"):
        if dump["type"] in ("kernel", "automatic"):
            yield (
                "a kernel dump holds no user-mode memory, where the cause of a hang usually is: "
                "set dump_type: complete before the next hang"
            )
        elif dump["type"] in ("none", "small"):
            yield f"dump type {dump['type']}: the bug check of a hung node will leave no usable evidence"
    if action == "terminate_service":
        yield "terminate_service ends the service through user mode: in a real hang it may never finish"
    if dump["type"] == "complete":
        memory = host.cim.query_one(ComputerSystem).TotalPhysicalMemory
        present = paging_file_on_boot_volume(host, windows_directory)
        if memory is not None and present < memory + DUMP_OVERHEAD:
            yield small_paging_file(memory + DUMP_OVERHEAD, present)
