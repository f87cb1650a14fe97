# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a failover cluster does with a node whose user mode hangs. For this collection only.

https://learn.microsoft.com/previous-versions/windows/desktop/mscs/cluster-hangrecoveryaction
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import FieldnotesError, Refusal, VerificationFailed, WsmanFault
from ..journal import Entry, Journal
from ..windows import registry
from ..windows.cluster import NODE_DOWN, NODE_JOINING, NODE_PAUSED, Cluster, Node
from ..windows.operating_system import (
    SERVER_2012,
    ComputerSystem,
    DataFile,
    OperatingSystem,
    PageFileUsage,
    read_operating_system,
)
from ..windows.services import find_service
from ..wsman.faults import WBEM_E_INVALID_NAMESPACE, is_access_denied
from ..wsman.wql import literal
from .base import Host, JournalPlan, Plan, Step

ACTIONS = {
    "disabled": 0,
    "log": 1,
    "terminate_service": 2,
    "bugcheck": 3,
    "bugcheck_all": 4,
    "debug_break": 5,
    "live_dump": 6,
}
DUMP_TYPES = {"none": 0, "complete": 1, "kernel": 2, "small": 3, "automatic": 7}

WINDOWS_10_1703 = 15063
"""The first build with live_dump: the reference dates it to Windows 10 version 1703 and names no server."""

CRASH_CONTROL = registry.Key(r"SYSTEM\CurrentControlSet\Control\CrashControl")
DUMP_OVERHEAD = 257 * 2**20
_SHORTEST_TIMEOUT, _LONGEST_TIMEOUT, _SHORT_TIMEOUT = 6, 2**32 - 1, 30


@dataclass(frozen=True)
class Parameters:
    """What the task asks for; None keeps what is there. timeout: seconds."""

    action: str | None
    timeout: int | None
    dump_type: str | None
    cluster: str | None
    force: bool

    @property
    def goal(self) -> dict[str, int | None]:
        """The wanted values as Windows' numbers."""
        return {
            "action": None if self.action is None else ACTIONS[self.action],
            "timeout": self.timeout,
            "dump_type": None if self.dump_type is None else DUMP_TYPES[self.dump_type],
        }


@dataclass(frozen=True)
class State:
    """What is there.

    dump: CrashDumpEnabled; own_build, cluster_exe (its path), memory, paging_file (bytes on the boot volume) are None
    where the run needs no answer or the host has none.
    """

    cluster: Cluster
    nodes: tuple[Node, ...]
    node: str
    dump: int | None
    own_build: int | None
    cluster_exe: str | None
    memory: int | None
    paging_file: int | None
    journal: Entry | None

    @property
    def oldest(self) -> Node:
        """The node with the lowest build, which decides what the cluster accepts."""
        return min(self.nodes, key=lambda node: node.BuildNumber)

    @property
    def values(self) -> dict[str, int | None]:
        """The managed values as Windows' numbers."""
        return {
            "action": self.cluster.HangRecoveryAction,
            "timeout": self.cluster.ClusSvcHangTimeout,
            "dump_type": self.dump,
        }


def highest_action(build: int) -> int:
    """The largest HangRecoveryAction that a build accepts."""
    if build < SERVER_2012:
        return ACTIONS["bugcheck"]
    return ACTIONS["debug_break"] if build < WINDOWS_10_1703 else ACTIONS["live_dump"]


def allowed_actions(build: int) -> list[str]:
    """The actions that a build accepts."""
    return [name for name, value in ACTIONS.items() if value <= highest_action(build)]


def default_action(build: int) -> str:
    """The action that Windows has by default."""
    return "bugcheck" if build < WINDOWS_10_1703 else "live_dump"


def first_build_with(action: str) -> int:
    """The build from which on an action exists."""
    if ACTIONS[action] <= ACTIONS["bugcheck"]:
        return 0
    return SERVER_2012 if ACTIONS[action] <= ACTIONS["debug_break"] else WINDOWS_10_1703


def name_of(number: int | None, names: Mapping[str, int]) -> str | None:
    if number is None:
        return None
    return next((name for name, value in names.items() if value == number), "unknown")


# Reading


def read_cluster(host: Host, *, fqdn: bool) -> Cluster:
    """The host's cluster. Errors: Refusal R3 without clustering, R4 without an active cluster."""
    trouble: WsmanFault | None = None
    try:
        found = host.cim.query_optional(Cluster, leave_out=() if fqdn else ("Fqdn",))
        if found is not None:
            return found
    except WsmanFault as fault:
        if fault.number == WBEM_E_INVALID_NAMESPACE:
            raise Refusal(
                "R3",
                f"{host.name} has no failover clustering: install the feature "
                f"(ansible.windows.win_feature name=Failover-Clustering) or remove {host.name} from this play",
            ) from fault
        if is_access_denied(fault):
            raise
        trouble = fault
    service = find_service(host, "ClusSvc")
    state = service.State if service is not None else "not installed"
    if trouble is not None and state == "Running":
        raise trouble
    raise Refusal(
        "R4",
        f"{host.name} is not an active cluster member: the Cluster service (ClusSvc) is {state}; "
        "start it or join the node to its cluster",
    )


def read_nodes(host: Host) -> tuple[Node, ...]:
    """All nodes of the cluster. Errors: FieldnotesError where there are none."""
    nodes = tuple(host.cim.query(Node))
    if not nodes:
        raise FieldnotesError(f"the cluster of {host.name} shows no nodes, so what it accepts is unknown")
    return nodes


def _named_in_inventory(host: Host, nodes: Iterable[Node]) -> str | None:
    """The node that the inventory name or the address names, so that Windows need not be asked for its own name."""
    wanted = {name.partition(".")[0].lower() for name in (host.name, host.session.settings.host)}
    return next((node.Name for node in nodes if node.Name.lower() in wanted), None)


def _cluster_exe(host: Host, windows_directory: str) -> str | None:
    path = f"{windows_directory}\\System32\\cluster.exe"
    return path if host.cim.query(DataFile, f"Name = {literal(path)}") else None


def paging_file_on_boot_volume(host: Host, windows_directory: str) -> int:
    """Bytes of paging file on the boot volume."""
    volume = windows_directory[:2].lower()
    files = host.cim.query(PageFileUsage)
    return sum(f.AllocatedBaseSize for f in files if f.Name[:2].lower() == volume) * 2**20


def _differs(wanted: int | None, actual: int | None) -> bool:
    return wanted is not None and wanted != actual


# The procedure


class HangRecovery:
    """Module ``hang_recovery``."""

    module = "hang_recovery"

    def parameters(self, arguments: Mapping[str, Any]) -> Parameters:
        """Errors: Refusal R1, R2."""
        given = Parameters(
            action=arguments["action"],
            timeout=arguments["timeout"],
            dump_type=arguments["dump_type"],
            cluster=arguments["cluster"],
            force=arguments["force"],
        )
        if given.action is None and given.timeout is None and given.dump_type is None:
            raise Refusal("R1", "nothing to do: give at least one of action, timeout, dump_type")
        if given.timeout is not None and not _SHORTEST_TIMEOUT <= given.timeout <= _LONGEST_TIMEOUT:
            raise Refusal(
                "R2",
                f"timeout must be between {_SHORTEST_TIMEOUT} and {_LONGEST_TIMEOUT} seconds, got {given.timeout}",
            )
        return given

    def journal(self, host: Host, parameters: Parameters) -> Journal:
        """One per host."""
        return host.journal(self.module)

    def observe(self, host: Host, parameters: Parameters, journal: Entry | None) -> State:
        """Errors: Refusal R3, R4."""
        cluster = read_cluster(host, fqdn=parameters.cluster is not None)
        nodes = read_nodes(host)
        journalled = (journal or {}).get("goal") or {}
        dump = None
        if parameters.dump_type is not None or journalled.get("dump_type") is not None:
            dump = registry.read_dword(host, CRASH_CONTROL, "CrashDumpEnabled")
        goal = parameters.goal
        new_timeout = cluster.ClusSvcHangTimeout is not None and (
            _differs(goal["timeout"], cluster.ClusSvcHangTimeout) or journalled.get("timeout") is not None
        )
        new_dump = _differs(goal["dump_type"], dump)
        system: OperatingSystem | None = None
        if new_timeout or new_dump or _differs(goal["action"], cluster.HangRecoveryAction):
            system = read_operating_system(host)
        node = system.CSName if system is not None else _named_in_inventory(host, nodes)
        cluster_exe = memory = paging_file = None
        if system is not None and new_timeout:
            cluster_exe = _cluster_exe(host, system.WindowsDirectory)
        if system is not None and new_dump and parameters.dump_type == "complete":
            memory = host.cim.query_one(ComputerSystem).TotalPhysicalMemory
            paging_file = paging_file_on_boot_volume(host, system.WindowsDirectory)
        return State(
            cluster=cluster,
            nodes=nodes,
            node=node if node is not None else host.cim.query_one(ComputerSystem).Name,
            dump=dump,
            own_build=system.build if system is not None else None,
            cluster_exe=cluster_exe,
            memory=memory,
            paging_file=paging_file,
            journal=journal,
        )

    def plan(self, host: Host, parameters: Parameters, state: State) -> Plan:
        """Errors: Refusal R5 to R8, R11 to R13."""
        cluster = state.cluster
        stale = state.journal is not None and str(state.journal.get("cluster", "")).lower() != cluster.Name.lower()
        steps = _Steps(host, state, parameters, None if stale else state.journal)
        _refuse(host, parameters, state, changes_cluster=steps.changes_cluster)
        taken = steps.in_order()
        real = [step for step in taken if not step.skip]
        return Plan(
            steps=tuple(taken),
            goal=_report(steps.goal()),
            warnings=tuple(_warnings(parameters, state, stale=stale, unsure=steps.unsure)),
            journal=JournalPlan(steps.journal_content() if len(real) > 1 else None, stale=stale),
            reboot_required=any(step is steps.dump and not step.skip for step in taken),
        )

    def report(self, parameters: Parameters, state: State) -> Mapping[str, Any]:
        """Names beside Windows' numbers."""
        return _report(state.values)

    def result(self, parameters: Parameters, state: State) -> Mapping[str, Any]:
        """What the cluster is and accepts."""
        build = state.oldest.BuildNumber
        return {
            "cluster": state.cluster.Name,
            "node": state.node,
            "allowed_actions": allowed_actions(build),
            "os_default_action": default_action(build),
        }

    def shown(self, parameters: Parameters, report: Mapping[str, Any]) -> Mapping[str, Any]:
        """Only what the task gives."""
        given = {"action": parameters.action, "timeout": parameters.timeout, "dump_type": parameters.dump_type}
        return {name: report[name] for name, value in given.items() if value is not None}

    def verify(self, parameters: Parameters, before: State, after: State) -> Iterable[str]:
        """R9 for the cluster's properties."""
        for name, wanted in parameters.goal.items():
            actual = after.values[name]
            if _differs(wanted, actual):
                yield _not_taken(name, after.cluster.Name, after.node, actual, wanted)


def _report(values: Mapping[str, int | None]) -> dict[str, Any]:
    return {
        "action": name_of(values["action"], ACTIONS),
        "action_value": values["action"],
        "timeout": values["timeout"],
        "dump_type": name_of(values["dump_type"], DUMP_TYPES),
        "dump_value": values["dump_type"],
    }


def _not_taken(name: str, cluster: str, node: str, actual: int | None, wanted: int | None) -> str:
    if name == "dump_type":
        return f"the crash dump type of {node} is {actual} after setting {wanted}: another writer changed it"
    what = {"action": "HangRecoveryAction", "timeout": "ClusSvcHangTimeout"}[name]
    return (
        f"{what} of cluster {cluster} is {actual} after setting {wanted}: another writer changed it, "
        "or Windows did not accept it; nothing else was changed"
    )


class _Steps:
    """The steps from what is there to the goal, an interrupted run's journal taken into account."""

    def __init__(self, host: Host, state: State, parameters: Parameters, journal: Entry | None) -> None:
        self._host = host
        self._state = state
        self._now = state.values
        self._goal = parameters.goal
        self._journal = journal
        self.wanted = {name: self._wanted(name) for name in self._goal}
        self.timeout = self._step("timeout", "ClusSvcHangTimeout", self._set_timeout, " s")
        self.action = self._step("action", "HangRecoveryAction", self._set_action, "", ACTIONS)
        self.dump = self._step("dump_type", "crash dump type", self._set_dump, "", DUMP_TYPES)

    def in_order(self) -> list[Step]:
        """The step most likely to fail goes first."""
        return [step for step in (self.timeout, self.action, self.dump) if step is not None]

    def goal(self) -> dict[str, int | None]:
        """The values after the run."""
        return {name: actual if self.wanted[name] is None else self.wanted[name] for name, actual in self._now.items()}

    @property
    def changes_cluster(self) -> bool:
        """Whether a property of the cluster will be written."""
        return any(step is not None and not step.skip for step in (self.timeout, self.action))

    @property
    def unsure(self) -> bool:
        """Whether the timeout can only be tried."""
        return self.timeout is not None and not self.timeout.skip and self._state.cluster_exe is None

    def journal_content(self) -> Entry:
        """What the next run needs to finish or to take back."""
        return {
            "cluster": self._state.cluster.Name,
            "node": self._state.node,
            "before": {name: self._original(name) for name in self._goal},
            "goal": self._goal,
        }

    def _journalled(self, part: str, name: str) -> int | None:
        value = ((self._journal or {}).get(part) or {}).get(name)
        return value if isinstance(value, int) else None

    def _original(self, name: str) -> int | None:
        """The value before the first of the runs that work on this goal."""
        before = self._journalled("before", name)
        return before if before is not None else self._now[name]

    def _wanted(self, name: str) -> int | None:
        """The goal of this run; else what was before an interrupted run that had another goal and reached it."""
        if self._goal[name] is not None or self._journal is None:
            return self._goal[name]
        reached = self._journalled("goal", name)
        if reached is not None and reached == self._now[name]:
            return self._journalled("before", name)
        return None

    def _step(
        self,
        name: str,
        what: str,
        write: Any,
        unit: str,
        names: Mapping[str, int] | None = None,
    ) -> Step | None:
        wanted, actual, original = self.wanted[name], self._now[name], self._original(name)
        if wanted is None or (wanted == actual and wanted == original):
            return None
        skip = wanted == actual
        start = original if skip else actual
        shown = [name_of(v, names) if names is not None else v for v in (start, wanted)]
        return Step(
            name=f"set {what} from {shown[0]} to {shown[1]}{unit}",
            do=lambda: write(wanted),
            undo=None if original is None else lambda: write(original),
            skip=skip,
        )

    def _read_back(self) -> Cluster:
        return read_cluster(self._host, fqdn=False)

    def _set_action(self, value: int) -> None:
        self._host.cim.modify(self._state.cluster, HangRecoveryAction=value)
        actual = self._read_back().HangRecoveryAction
        if actual != value:
            raise VerificationFailed(_not_taken("action", self._state.cluster.Name, self._state.node, actual, value))

    def _set_timeout(self, value: int) -> None:
        if self._state.cluster_exe is None:
            self._try_timeout(value)
            return
        # No cluster name: the local cluster. This is the documented way on every Windows that has the tool.
        self._host.processes.run(
            self._state.cluster_exe,
            ["/prop", f"ClusSvcHangTimeout={value}"],
            f"setting ClusSvcHangTimeout of cluster {self._state.cluster.Name} to {value} s",
        )
        actual = self._read_back().ClusSvcHangTimeout
        if actual != value:
            raise VerificationFailed(_not_taken("timeout", self._state.cluster.Name, self._state.node, actual, value))

    def _try_timeout(self, value: int) -> None:
        """UNCONFIRMED whether WMI takes it: both reference pages say Read-only, yet other tools set it.

        A Put of this one property does no harm in any case. Errors: Refusal R10.
        """
        answer = "ignored"
        try:
            self._host.cim.modify(self._state.cluster, ClusSvcHangTimeout=value)
        except WsmanFault as fault:
            answer = str(fault)
        if self._read_back().ClusSvcHangTimeout != value:
            raise Refusal(
                "R10",
                f"{self._host.name} has no cluster.exe, the documented way to set ClusSvcHangTimeout, and WMI did not "
                f"take it ({answer}): install the feature RSAT-Clustering-CmdInterface on one node and run against "
                "that node. Nothing was changed",
            )

    def _set_dump(self, value: int) -> None:
        registry.write_dword(self._host, CRASH_CONTROL, "CrashDumpEnabled", value)


def _refuse(host: Host, parameters: Parameters, state: State, *, changes_cluster: bool) -> None:
    """The refusals that need the state, in the order of the reference. Errors: Refusal."""
    cluster = state.cluster
    expected = parameters.cluster
    if expected is not None and expected.lower() not in (cluster.Name.lower(), (cluster.Fqdn or "").lower()):
        raise Refusal(
            "R5",
            f"{host.name} belongs to cluster {cluster.Name}, not {expected}: wrong inventory group? "
            "nothing was changed",
        )
    oldest = state.oldest
    if parameters.action is not None and ACTIONS[parameters.action] > highest_action(oldest.BuildNumber):
        raise Refusal(
            "R6",
            f"action {parameters.action} needs Windows build {first_build_with(parameters.action)} or later on every "
            f"node; {oldest.Name} runs build {oldest.BuildNumber}. "
            f"Allowed here: {', '.join(allowed_actions(oldest.BuildNumber))}",
        )
    if parameters.action == "disabled" and not parameters.force:
        raise Refusal(
            "R7",
            "disabling hang detection leaves a hung node owning its resources until someone notices; "
            "set force: true to do it, or use log",
        )
    if parameters.action == "debug_break" and not parameters.force:
        raise Refusal(
            "R8",
            "debug_break stops the machine in the kernel debugger; set force: true only where one is attached",
        )
    if parameters.dump_type == "automatic" and state.own_build is not None and state.own_build < SERVER_2012:
        raise Refusal("R11", "automatic memory dumps exist from Windows Server 2012; use kernel or complete")
    if parameters.timeout is not None and cluster.ClusSvcHangTimeout is None:
        raise Refusal(
            "R13",
            f"{host.name} does not show ClusSvcHangTimeout, so a change could not be verified; "
            "documented from Windows Server 2008 R2 on",
        )
    joining = [node.Name for node in state.nodes if node.State == NODE_JOINING]
    if joining and changes_cluster:
        raise Refusal("R12", f"node {joining[0]} is joining cluster {cluster.Name}: run again when it is up")


def _warnings(parameters: Parameters, state: State, *, stale: bool, unsure: bool) -> Iterable[str]:
    cluster = state.cluster.Name
    if stale and state.journal is not None:
        yield (
            f"the journal of an interrupted run on cluster {state.journal.get('cluster')} is removed: "
            f"{state.node} belongs to {cluster} now"
        )
    if state.cluster.HangRecoveryAction not in ACTIONS.values():
        yield f"cluster {cluster} has HangRecoveryAction {state.cluster.HangRecoveryAction}, which no reference names"
    for node in state.nodes:
        if node.State in (NODE_DOWN, NODE_PAUSED):
            word = "down" if node.State == NODE_DOWN else "paused"
            yield f"node {node.Name} is {word}; it gets the cluster's values when it returns"
    if parameters.action == "disabled":
        yield "hang detection is off: a hung node keeps its resources until someone notices"
    if parameters.timeout is not None and parameters.timeout < _SHORT_TIMEOUT:
        yield f"a timeout of {parameters.timeout} s turns a slow minute of the storage into a failover"
    if unsure:
        yield (
            f"{state.node} has no cluster.exe: whether ClusSvcHangTimeout can be set depends on what WMI accepts here; "
            "where it does not, nothing is changed"
        )
    yield from _dump_warnings(parameters.action, name_of(state.dump, DUMP_TYPES), parameters, state)


def _dump_warnings(action: str | None, dump: str | None, parameters: Parameters, state: State) -> Iterable[str]:
    goal = parameters.dump_type or dump
    if action in ("bugcheck", "bugcheck_all") and goal in ("none", "small"):
        yield f"dump type {goal}: the bug check of a hung node will leave no usable evidence"
    if state.memory is not None and state.paging_file is not None:
        needed = state.memory + DUMP_OVERHEAD
        if state.paging_file < needed:
            yield small_paging_file(needed, state.paging_file)


def small_paging_file(needed: int, present: int) -> str:
    return (
        f"a complete dump needs a paging file of {needed} bytes on the boot volume "
        f"(memory and 257 MB), it has {present} bytes"
    )
