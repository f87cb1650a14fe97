# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""SRV records by which clients find their KMS host, made by hand on a Microsoft DNS server. For this collection only.

https://learn.microsoft.com/en-us/windows-server/get-started/kms-create-host
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import CmdletFailed, Refusal, WsmanFault
from ..journal import Entry, Journal
from ..windows.dns import CmdletRecords, Records, SrvRecord, WmiRecords, Zone, plain
from ..wsman.faults import WBEM_E_INVALID_NAMESPACE
from .base import Host, JournalPlan, Plan, Step

SERVICE = "_vlmcs"

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)
_COMMAND_NOT_FOUND = "CommandNotFoundException"

Found = Mapping[str, tuple[SrvRecord, ...]]
"""The records of each zone."""


@dataclass(frozen=True)
class Parameters:
    """What the task asks for. zones: lower case, no trailing dot, each once; ttl: seconds, None leaves it."""

    present: bool
    zones: tuple[str, ...]
    target: str
    port: int
    priority: int
    weight: int
    ttl: int | None
    purge: bool
    method: str

    @property
    def goal(self) -> dict[str, Any]:
        """What makes two runs want the same, as the journal keeps it."""
        return {
            "state": "present" if self.present else "absent",
            "zones": list(self.zones),
            "target": self.target,
            "port": self.port,
            "priority": self.priority,
            "weight": self.weight,
            "ttl": self.ttl,
            "purge": self.purge,
        }


@dataclass(frozen=True)
class State:
    """What is there.

    found: records of the zones of the task and of an interrupted run; zones: those the server has, the parents of the
    target among them; server, alias: None where the run needs no answer.
    """

    records: Records
    zones: Mapping[str, Zone]
    found: Found
    server: str | None
    alias: bool
    journal: Entry | None


@dataclass(frozen=True)
class Change:
    """One record of a zone: made (no old), removed (no new) or changed."""

    zone: str
    old: SrvRecord | None
    new: SrvRecord | None


def owner_in(zone: str) -> str:
    """Where the records of a zone stand. A zone ``_tcp.corp.example.com`` holds those of ``corp.example.com``."""
    return f"{SERVICE}.{zone}" if zone.startswith("_tcp.") else f"{SERVICE}._tcp.{zone}"


def target_in(zone: str, target: str) -> str:
    """The full name of the target; a single label is completed with the name of the zone."""
    return target if "." in target else f"{target}.{zone.removeprefix('_tcp.')}"


# What shall be there


def wanted(parameters: Parameters, zone: str, now: Sequence[SrvRecord], before: Sequence[SrvRecord]) -> list[SrvRecord]:
    """The records of a zone after the run.

    before: those that an interrupted run with the same goal found; what it removed to make it anew keeps its time to
    live.
    """
    target = target_in(zone, parameters.target)
    others = [each for each in now if each.target != target]
    kept = [] if parameters.purge else others
    if not parameters.present:
        return kept
    earlier = [each for each in (*now, *before) if each.target == target]
    ttl = parameters.ttl if parameters.ttl is not None or not earlier else _closest(parameters, earlier).ttl
    static = _closest(parameters, earlier).static if earlier else True
    goal = SrvRecord(
        owner_in(zone), target, parameters.port, parameters.priority, parameters.weight, ttl, static=static
    )
    return [goal, *kept]


def _closest(parameters: Parameters, records: Sequence[SrvRecord]) -> SrvRecord:
    """The record that is kept or changed where several name the target: one that agrees, else the first."""
    data = (parameters.port, parameters.priority, parameters.weight)
    same = [each for each in records if (each.port, each.priority, each.weight) == data]
    return next((each for each in same if parameters.ttl in (None, each.ttl)), (same or list(records))[0])


def changes(zone: str, now: Sequence[SrvRecord], goal: Sequence[SrvRecord]) -> list[Change]:
    """From the records that are there to those that shall be: changed ones first, so that clients find one always."""
    rest, missing = list(now), []
    for each in goal:
        agreeing = next((old for old in rest if _agrees(old, each)), None)
        if agreeing is None:
            missing.append(each)
        else:
            rest.remove(agreeing)
    found: list[Change] = []
    for each in missing:
        candidates = [old for old in rest if old.target == each.target]
        # The record with the same data first: another one changed to it would be there twice.
        old = next((one for one in candidates if one.data == each.data), candidates[0] if candidates else None)
        if old is not None:
            rest.remove(old)
        found.append(Change(zone, old, each))
    return [*sorted(found, key=lambda change: change.old is None), *(Change(zone, old, None) for old in rest)]


def _agrees(old: SrvRecord, new: SrvRecord) -> bool:
    return old.data == new.data and new.ttl in (None, old.ttl)


# The procedure


class KmsSrvRecord:
    """Module ``kms_srv_record``."""

    module = "kms_srv_record"

    def parameters(self, arguments: Mapping[str, Any]) -> Parameters:
        """Errors: Refusal R17, and one for each value that no record can have."""
        target = plain(str(arguments["target"]).strip())
        _refuse_target(target, allow_single_label=arguments["allow_single_label"])
        zones = tuple(dict.fromkeys(plain(str(zone).strip()) for zone in arguments["zones"]))
        if not zones:
            raise Refusal("zones", "zones: give at least one zone")
        for zone in zones:
            if not _is_name(zone):
                raise Refusal("zones", f"zones: {zone!r} is not the name of a zone")
        for name, low, high in (
            ("port", 1, 65535),
            ("priority", 0, 65535),
            ("weight", 0, 65535),
            ("ttl", 1, 2**31 - 1),
        ):
            value = arguments[name]
            if value is not None and not low <= value <= high:
                raise Refusal(name, f"{name} must be between {low} and {high}, got {value}")
        return Parameters(
            present=arguments["state"] == "present",
            zones=zones,
            target=target,
            port=arguments["port"],
            priority=arguments["priority"],
            weight=arguments["weight"],
            ttl=arguments["ttl"],
            purge=arguments["purge"],
            method=arguments["method"],
        )

    def journal(self, host: Host, parameters: Parameters) -> Journal:
        """One per host."""
        return host.journal(self.module)

    def observe(self, host: Host, parameters: Parameters, journal: Entry | None) -> State:
        """Errors: Refusal R16, R20; FieldnotesError where the host is no DNS server."""
        asked = tuple(dict.fromkeys((*parameters.zones, *_before(journal))))
        records, zones = _zones(host, parameters, [*asked, *_neighbours(parameters)])
        _refuse_zones(host, parameters, zones)
        found = {zone: tuple(records.read(zone, owner_in(zone))) for zone in asked if zone in zones}
        state = State(records, zones, found, None, alias=False, journal=journal)
        coming = _coming(parameters, state)
        if not coming:
            return state
        integrated = [zone for zone in parameters.zones if zones[zone].ds_integrated]
        if integrated and (locked := records.read_only(integrated)):
            _refuse_zone(host, locked[0], "read-only")
        makes = [change for change in coming if change.new is not None]
        return replace(
            state,
            server=records.server() if any(change.old is None for change in makes) else None,
            alias=bool(makes) and parameters.present and _is_alias(records, zones, parameters),
        )

    def plan(self, host: Host, parameters: Parameters, state: State) -> Plan:
        """Steps zone by zone."""
        coming = _coming(parameters, state)
        atomic = len(coming) == 1 and (state.records.in_place or not _is_change(coming[0]))
        steps = [*_taken(parameters, state), *(_step(state, change) for change in coming)] if coming else []
        before = {zone: [_plain_record(each) for each in records] for zone, records in state.found.items()}
        needed = bool(coming) and (not atomic or state.journal is not None)
        content = {"goal": parameters.goal, "before": {**before, **_before(state.journal)}}
        return Plan(
            steps=tuple(steps),
            goal=_report(_goal(parameters, state), parameters),
            warnings=("SRV target should be a host record, not an alias",) if state.alias else (),
            journal=JournalPlan(content if needed else None),
            extra={
                "created": [_shown(each.zone, each.new) for each in coming if each.old is None],
                "modified": [_shown(each.zone, each.new) for each in coming if _is_change(each)],
                "removed": [_shown(each.zone, each.old) for each in coming if each.new is None],
            },
        )

    def report(self, parameters: Parameters, state: State) -> Mapping[str, Any]:
        """The records of the zones of the task."""
        return _report(state.found, parameters)

    def result(self, parameters: Parameters, state: State) -> Mapping[str, Any]:
        """The same under the name of the return value."""
        return _report(state.found, parameters)

    def shown(self, parameters: Parameters, report: Mapping[str, Any]) -> Mapping[str, Any]:
        """A line for each record."""
        return {
            f"{zone} {number}": f"{each['priority']} {each['weight']} {each['port']} {each['target']} ttl {each['ttl']}"
            for zone, records in report["records"].items()
            for number, each in enumerate(records, 1)
        }

    def verify(self, parameters: Parameters, before: State, after: State) -> Iterable[str]:
        """Whether each zone holds what the plan said."""
        for zone, goal in _goal(parameters, before).items():
            left = changes(zone, after.found.get(zone, ()), goal)
            if left:
                yield f"{zone}: after the change it still takes to {_sentence(left[0])}: another writer was there"


# An interrupted run


def _before(journal: Entry | None) -> Mapping[str, Any]:
    """What an interrupted run found in each zone, as the journal has it."""
    before = (journal or {}).get("before")
    return before if isinstance(before, Mapping) else {}


def _found_before(journal: Entry | None, zone: str) -> list[SrvRecord]:
    return [_record(zone, each) for each in _before(journal).get(zone, ())]


def _original(state: State, zone: str) -> Sequence[SrvRecord]:
    """The records of a zone before the first of the runs that work on this goal."""
    return _found_before(state.journal, zone) if zone in _before(state.journal) else state.found[zone]


def _goes_on(parameters: Parameters, state: State) -> bool:
    """Whether the interrupted run wanted the same."""
    return state.journal is not None and state.journal.get("goal") == parameters.goal


def _taken_back(state: State, zone: str) -> list[SrvRecord]:
    """The records of a zone without what an interrupted run with another goal did to them."""
    goal = (state.journal or {}).get("goal") or {}
    now, before = state.found[zone], _found_before(state.journal, zone)
    target = target_in(zone, str(goal.get("target", "")))
    kept = [each for each in now if each.target != target]
    known = {each.data for each in kept}
    lost = [each for each in before if each.target == target or (goal.get("purge") and each.data not in known)]
    return [*kept, *lost]


def _taken(parameters: Parameters, state: State) -> Iterable[Step]:
    """What an interrupted run with the same goal has done already, so that a failure takes that back as well."""
    if not _goes_on(parameters, state):
        return
    for zone, now in state.found.items():
        if changes(zone, now, _original(state, zone)):
            yield Step(
                name=f"records of {zone} that the interrupted run has changed",
                do=lambda: None,
                undo=_way_back(state, zone),
                skip=True,
            )


# From state to goal


def _goal(parameters: Parameters, state: State) -> dict[str, list[SrvRecord]]:
    """The records of each zone after the run."""
    goal: dict[str, list[SrvRecord]] = {}
    for zone, now in state.found.items():
        if state.journal is None or zone not in _before(state.journal):
            base, before = list(now), []
        elif _goes_on(parameters, state):
            base, before = list(now), _found_before(state.journal, zone)
        else:
            base, before = _taken_back(state, zone), []
        records = wanted(parameters, zone, base, before) if zone in parameters.zones else base
        goal[zone] = _as_made(state, zone, records)
    return goal


def _as_made(state: State, zone: str, goal: Sequence[SrvRecord]) -> list[SrvRecord]:
    """The goal as it will look: what is made anew is static."""
    coming = changes(zone, state.found[zone], goal)
    made = {
        each.new.data for each in coming if each.new is not None and (each.old is None or not state.records.in_place)
    }
    return [replace(each, static=True) if each.data in made else each for each in goal]


def _coming(parameters: Parameters, state: State) -> list[Change]:
    return [
        change for zone, goal in _goal(parameters, state).items() for change in changes(zone, state.found[zone], goal)
    ]


def _is_change(change: Change) -> bool:
    return change.old is not None and change.new is not None


def _step(state: State, change: Change) -> Step:
    def do() -> None:
        try:
            _apply(state.records, change, state.server)
        except (WsmanFault, CmdletFailed):
            if not _is_made(change, state.records.read(change.zone, owner_in(change.zone))):
                raise
            # Another run was faster.

    return Step(name=_sentence(change), do=do, undo=_way_back(state, change.zone))


def _is_made(change: Change, found: Sequence[SrvRecord]) -> bool:
    there = [each.data for each in found]
    is_gone = change.old is None or change.old.data not in there
    return is_gone and (change.new is None or change.new.data in there)


def _way_back(state: State, zone: str) -> Any:
    """Brings a zone back to what was before, from whatever is there then."""

    def undo() -> None:
        original = [replace(each, reference=None) for each in _original(state, zone)]
        for change in changes(zone, state.records.read(zone, owner_in(zone)), original):
            _apply(state.records, change, None)

    return undo


def _apply(records: Records, change: Change, server: str | None) -> None:
    if change.new is None and change.old is not None:
        records.remove(change.zone, change.old)
    elif change.old is None and change.new is not None:
        records.create(change.zone, change.new, server)
    elif change.old is not None and change.new is not None:
        records.change(change.zone, change.old, change.new)


def _sentence(change: Change) -> str:
    if change.new is None:
        return f"remove SRV record {_where(change.old, 'from', change.zone)}"
    if change.old is None:
        return f"create SRV record {_where(change.new, 'in', change.zone)}"
    pairs = [(name, getattr(change.old, name), getattr(change.new, name)) for name in _NUMBERS]
    said = [f"{name} from {old} to {new}" for name, old, new in pairs if new is not None and new != old]
    return f"change SRV record of {change.new.target} in {change.zone}: {', '.join(said)}"


def _where(record: SrvRecord | None, word: str, zone: str) -> str:
    if record is None:
        return f"{word} {zone}"
    numbers = f"port {record.port}, priority {record.priority}, weight {record.weight}"
    return f"of {record.target} {word} {zone} ({numbers})"


# What is shown and kept

_NUMBERS = ("port", "priority", "weight", "ttl")


def _plain_record(record: SrvRecord) -> dict[str, Any]:
    numbers = {name: getattr(record, name) for name in _NUMBERS}
    return {"owner": record.owner, "target": record.target, **numbers, "static": record.static}


def _record(zone: str, kept: Mapping[str, Any]) -> SrvRecord:
    numbers = {name: kept[name] for name in _NUMBERS}
    return SrvRecord(owner=owner_in(zone), target=kept["target"], **numbers, static=kept["static"])


def _shown(zone: str, record: SrvRecord | None) -> dict[str, Any]:
    return {"zone": zone, **(_plain_record(record) if record is not None else {})}


def _report(found: Mapping[str, Sequence[SrvRecord]], parameters: Parameters) -> dict[str, Any]:
    """Records in an order of their own: DNS has none."""
    shown = {zone: sorted(found.get(zone, ()), key=lambda each: each.data) for zone in parameters.zones}
    return {"records": {zone: [_plain_record(each) for each in records] for zone, records in shown.items()}}


# Reading the server, and refusals


def _neighbours(parameters: Parameters) -> Iterable[str]:
    """Zones that matter if the server has them: those that would hide the record, and those that hold the target."""
    if not parameters.present:
        return
    for zone in parameters.zones:
        if not zone.startswith("_tcp."):
            yield f"_tcp.{zone}"
        yield from _parents(target_in(zone, parameters.target))


def _parents(name: str) -> Iterable[str]:
    labels = name.split(".")
    return (".".join(labels[start:]) for start in range(1, len(labels)))


def _zones(host: Host, parameters: Parameters, names: Sequence[str]) -> tuple[Records, dict[str, Zone]]:
    """The way to the records that this host has, and the zones. Errors: Refusal where it has none."""
    asked = list(dict.fromkeys(names))
    if parameters.method != "cmdlet":
        by_wmi = WmiRecords(host.cim, host.cmdlets)
        try:
            return by_wmi, {zone.name: zone for zone in by_wmi.zones(asked)}
        except WsmanFault as fault:
            if fault.number != WBEM_E_INVALID_NAMESPACE:
                raise
            if parameters.method == "wmi":
                raise Refusal(
                    "method",
                    f"{host.name} has no namespace root/MicrosoftDNS: it is no DNS server (install the role with "
                    "ansible.windows.win_feature name=DNS), or only the DnsServer cmdlets are there (method: cmdlet)",
                ) from fault
    by_cmdlets = CmdletRecords(host.cmdlets)
    try:
        return by_cmdlets, {zone.name: zone for zone in by_cmdlets.zones(asked)}
    except CmdletFailed as error:
        if not error.error_id.startswith(_COMMAND_NOT_FOUND):
            raise
        raise Refusal(
            "method",
            f"{host.name} has neither the namespace root/MicrosoftDNS nor the cmdlets of the module DnsServer: it is "
            "no DNS server. Run this task on one, or install the role (ansible.windows.win_feature name=DNS)",
        ) from error


def _refuse_zones(host: Host, parameters: Parameters, zones: Mapping[str, Zone]) -> None:
    """Errors: Refusal R16, R20."""
    for name in parameters.zones:
        zone = zones.get(name)
        if zone is None:
            _refuse_zone(host, name, "not found")
        elif zone.obstacle:
            _refuse_zone(host, name, zone.obstacle)
    for name in parameters.zones:
        if parameters.present and f"_tcp.{name}" in zones:
            raise Refusal(
                "R20",
                f"_tcp.{name} is a zone of its own: the record would be shadowed in {name}; create it in that zone",
            )


def _refuse_zone(host: Host, zone: str, what: str) -> None:
    raise Refusal("R16", f"zone {zone} is not a writable primary zone on {host.name} ({what})")


def _is_alias(records: Records, zones: Mapping[str, Zone], parameters: Parameters) -> bool:
    """Whether the target is a CNAME, as far as this server holds its zone."""
    for target in dict.fromkeys(target_in(zone, parameters.target) for zone in parameters.zones):
        holder = next((zone for zone in _parents(target) if zone in zones), None)
        if holder is not None and records.is_alias(holder, target):
            return True
    return False


def _refuse_target(target: str, *, allow_single_label: bool) -> None:
    """Errors: Refusal R17, and one for what is no name."""
    try:
        ipaddress.ip_address(target)
    except ValueError:
        pass
    else:
        raise Refusal("R17", "an SRV record needs a host name: give the FQDN of the KMS host")
    if not _is_name(target):
        raise Refusal("target", f"target: {target!r} is not a host name")
    if "." not in target and not allow_single_label:
        raise Refusal(
            "target",
            f"target {target} has no domain: give the FQDN of the KMS host, or set allow_single_label to complete it "
            "with the name of each zone",
        )


def _is_name(name: str) -> bool:
    return 0 < len(name) <= 253 and all(_LABEL.fullmatch(label) for label in name.split("."))
