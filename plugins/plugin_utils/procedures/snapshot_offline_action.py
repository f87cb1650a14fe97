# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Merging the deleted snapshots of a clustered virtual machine. For this collection only.

Before Windows Server 2012 a deleted snapshot is merged while the machine is off, and only as long as it stays off; the
cluster restarts or saves a machine that it did not stop itself. So the cluster is told to shut the machine down when
it takes it offline, and is told its old way again when the merge is over.
https://learn.microsoft.com/en-us/previous-versions/windows/desktop/mscs/virtual-machines-offlineaction
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..errors import (
    CmdletFailed,
    ConnectionLost,
    Failure,
    FieldnotesError,
    Halt,
    MethodFailed,
    ProcessFailed,
    Refusal,
    StepTimeout,
    VerificationFailed,
    WsmanFault,
)
from ..journal import Entry, Journal, RegistryStore, Superseded, journal_key
from ..windows import cluster, hyperv
from ..windows.cluster import Resource, VmResource
from ..windows.hyperv import MergeJob, Setting
from ..windows.operating_system import SERVER_2008_R2, SERVER_2012
from ..windows.volumes import Volume, read_volumes, volume_of
from ..wsman.types import Reference
from .base import Findings, Host, JournalPlan, Plan, Step
from .clustered_machine import (
    ACTIVITIES,
    COMPONENT_USABLE,
    OFFLINE_ACTIONS,
    Sight,
    State,
    locate,
    look,
    method_of,
    name_of_action,
    owned_elsewhere,
    read_state,
    report_of,
    root_of,
    state_of,
    vm_state,
    word_of,
)
from .disk_chains import (
    ROOM,
    Merge,
    depth_without,
    descendants,
    is_layer,
    merges,
    needed,
    problems,
    roots_among,
)
from .moving_journal import AbandonedStore, MovingStore, explained

MODULE = "snapshot_offline_action"

_DEGRADED = 3
_FOREIGN_KINDS = ("Recovery", "Replica", "Missing")
_COMFORT = 2 * 2**30
_DISK_FULL = 0x80070070
_STARTED = "started"
_MERGE_TIMEOUT = "merge_timeout"

_ANSWER = 30
"""Seconds for which a TakeOffline or BringOnline is asked to wait: WinRM ends an operation after 60 (MaxTimeoutms)."""
_SNAPSHOT_WAIT = 900
_ONLINE_WAIT = 900

T = TypeVar("T")


@dataclass(frozen=True)
class Parameters:
    """What the task asks for. Times in seconds, sizes in bytes."""

    vm: str | None
    vm_id: str | None
    delete: str
    snapshot: str | None
    method: str
    shutdown: str
    shutdown_timeout: int
    merge_timeout: int
    on_merge_timeout: str
    start: str
    min_free_bytes: int | None
    not_owner: str


# What is to be done


@dataclass(frozen=True)
class Selection:
    """The snapshots to delete, or why they cannot be."""

    ids: tuple[str, ...] = ()
    refusal: Refusal | None = None


def select(parameters: Parameters, sight: Sight) -> Selection:
    """Errors: none; R14 and R15 are kept for their turn."""
    parents, names = sight.parents, {s.id: s.name for s in sight.snapshots}
    if parameters.delete == "all":
        chosen = frozenset(parents)
    elif parameters.delete == "subtree":
        wanted = parameters.snapshot or ""
        found = [i for i in parents if i == (hyperv.guid_of(wanted) or "") or names[i].lower() == wanted.lower()]
        if not parents:
            # What is to go is gone: a second run of the same task.
            return Selection()
        if len(found) != 1:
            listed = ", ".join(f"{name} ({i})" for i, name in names.items())
            has = "has several snapshots named" if found else "has no snapshot"
            return Selection(refusal=Refusal("R14", f"VM {sight.machine.name} {has} {wanted}; it has {listed}"))
        chosen = descendants(found[0], parents)
    else:
        chosen = frozenset()
    for snapshot in sight.snapshots:
        if snapshot.id in chosen and snapshot.kind.startswith(_FOREIGN_KINDS):
            text = (
                f"{snapshot.name} is a {snapshot.kind} checkpoint of backup or replication: finish that job, "
                "do not delete it here"
            )
            return Selection(tuple(i for i in parents if i in chosen), Refusal("R15", text))
    return Selection(tuple(i for i in parents if i in chosen))


@dataclass(frozen=True)
class Task:
    """What a run, or the interrupted one before it, has set out to do.

    original, temporary: OfflineAction; step: of the journal, 0 for a new run.
    """

    method: str
    original: int
    temporary: int
    was_online: bool
    snapshot_ids: tuple[str, ...]
    step: int = 0


def new_task(parameters: Parameters, sight: Sight, chosen: Iterable[str]) -> Task:
    """Errors: FieldnotesError where OfflineAction cannot be read."""
    original = sight.resource.offline_action
    if original is None:
        raise FieldnotesError(f"{sight.resource.name} does not show its OfflineAction: nothing was changed")
    return Task(
        method_of(parameters.method, sight.build),
        original,
        OFFLINE_ACTIONS[parameters.shutdown],
        sight.resource.state == cluster.RESOURCE_ONLINE,
        tuple(chosen),
    )


def journalled_task(entry: Entry, place: str) -> Task:
    """Errors: Refusal for a journal that lacks something."""
    try:
        return Task(
            str(entry["method"]),
            int(entry["original_offline_action"]),
            int(entry["temporary_offline_action"]),
            bool(entry["was_online"]),
            tuple(str(name) for name in entry["snapshot_ids"]),
            int(entry["step"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Refusal(
            "journal", f"the journal of {place} lacks {error}: check the VM, then remove the journal"
        ) from error


@dataclass
class Tally:
    """What the steps measure. merged: files that are gone; times in seconds, down_since on the controller's clock."""

    merged: list[str] = field(default_factory=list)
    downtime: float = 0.0
    merge: float = 0.0
    down_since: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Result keys."""
        return {
            "merged_files": list(self.merged),
            "downtime_seconds": round(self.downtime),
            "merge_seconds": round(self.merge),
        }


class SnapshotOfflineAction:
    """Module ``snapshot_offline_action``."""

    module = MODULE

    def parameters(self, arguments: Mapping[str, Any]) -> Parameters:
        """Errors: Refusal R1, and for a number out of its range."""
        given = dict(arguments)
        if (given["vm"] is None) == (given["vm_id"] is None):
            raise Refusal("R1", "name the VM by exactly one of vm, vm_id")
        if (given["delete"] == "subtree") != (given["snapshot"] is not None):
            raise Refusal("R1", "delete: subtree needs snapshot, and snapshot is for delete: subtree only")
        if given["vm_id"] is not None:
            vm_id = hyperv.guid_of(given["vm_id"])
            if vm_id is None:
                raise Refusal("R1", f"vm_id must be a GUID, got {given['vm_id']}")
            given["vm_id"] = vm_id
        for name, low, high in (
            ("shutdown_timeout", 30, 7200),
            ("merge_timeout", 60, 604800),
            ("min_free_bytes", 0, 2**63 - 1),
        ):
            value = given[name]
            if value is not None and not low <= value <= high:
                raise Refusal(name, f"{name} must be between {low} and {high}, got {value}")
        return Parameters(**{each.name: given[each.name] for each in dataclasses.fields(Parameters)})

    def journal(self, host: Host, parameters: Parameters) -> Journal:
        """In the group of the machine and on its owner; elsewhere only what an earlier owner left."""
        place = locate(host, parameters.vm, parameters.vm_id)
        host.memory["place"] = place
        if place.elsewhere is None and place.resource is not None:
            resource = place.resource
            store = MovingStore(host, place.windows, resource.name, resource.group, place.vm_id or "", resource.shown)
            host.memory["store"] = store
            return Journal(store, host.clock.now, host.controller)
        local = RegistryStore(host, journal_key(MODULE, place.vm_id or "unknown"))
        return Journal(AbandonedStore(local), host.clock.now, host.controller)

    def observe(self, host: Host, parameters: Parameters, journal: Entry | None) -> State:
        """Errors: Refusal R2 to R4."""
        place = host.memory.pop("place", None) or locate(host, parameters.vm, parameters.vm_id)

        def matters(sight: Sight) -> bool:
            return journal is not None or select(parameters, sight) != Selection() or not sight.calm

        return read_state(host, place, journal, detailed=matters)

    def plan(self, host: Host, parameters: Parameters, state: State) -> Plan:
        """Errors: Refusal R6 to R16."""
        sight = state.sight
        if sight is None:
            return _plan_elsewhere(parameters, state)
        selection = select(parameters, sight)
        tally = host.memory.setdefault("tally", Tally())
        if state.journal is not None:
            task = journalled_task(state.journal, sight.resource.name)
            return _Work(host, parameters, state, sight, task, tally).resumed()
        task = new_task(parameters, sight, selection.ids)
        work = _Work(host, parameters, state, sight, task, tally)
        if task.method == "live" and sight.build < SERVER_2012:
            raise Refusal("R16", "live merge exists from Windows Server 2012; use method: offline")
        if work.something_to_do or selection.refusal is not None:
            _refuse(parameters, state, sight, task, selection)
        return work.fresh()

    def report(self, parameters: Parameters, state: State) -> Mapping[str, Any]:
        """As the info module."""
        sight = state.sight
        planned = planned_merges(parameters, sight) if sight is not None and state.detailed else ()
        return report_of(state, planned, parameters.min_free_bytes)

    def result(self, parameters: Parameters, state: State) -> Mapping[str, Any]:
        """What the steps may say otherwise."""
        return {"skipped_reason": None, **Tally().as_dict()}

    def shown(self, parameters: Parameters, report: Mapping[str, Any]) -> Mapping[str, Any]:
        """Snapshots, layers, the machine's state, OfflineAction."""
        if not report:
            return {}
        files = [file["path"] for disk in report["disks"] for file in disk["chain"]]
        return {
            "snapshots": [snapshot["name"] for snapshot in report["snapshots"]],
            "layers": [path for path in files if is_layer(path)],
            "vm_state": report["vm_state"],
            "offline_action": report["offline_action"],
        }

    def verify(self, parameters: Parameters, before: State, after: State) -> Iterable[str]:
        """The goal (a) to (d)."""
        if before.sight is None or after.sight is None:
            if after.place.elsewhere is not None:
                yield after.place.elsewhere
            return
        task = (
            journalled_task(before.journal, before.sight.resource.name)
            if before.journal is not None
            else new_task(parameters, before.sight, select(parameters, before.sight).ids)
        )
        name, left = after.sight.machine.name, [s.name for s in after.sight.snapshots if s.id in task.snapshot_ids]
        if left:
            yield f"VM {name} still has the snapshots {', '.join(left)}"
        if not after.sight.calm:
            yield f"VM {name} still has {after.sight.pending} layers to merge"
        if after.sight.resource.offline_action != task.original:
            actual = name_of_action(after.sight.resource.offline_action)
            yield f"OfflineAction of {after.sight.resource.name} is {actual} instead of {name_of_action(task.original)}"
        if _starts(parameters, task) and not after.sight.in_service:
            yield f"VM {name} is {vm_state(after.sight.machine)} instead of running"


def planned_merges(parameters: Parameters, sight: Sight) -> list[Merge]:
    """What merges when the selected snapshots are gone."""
    gone = select(parameters, sight).ids
    return list(merges(sight.chains, depth_without(sight.start, sight.parents, gone)))


def _starts(parameters: Parameters, task: Task) -> bool:
    if parameters.start == "as_before":
        return task.was_online
    return parameters.start == "always"


def _plan_elsewhere(parameters: Parameters, state: State) -> Plan:
    """On a node that does not own the machine a journal is what an earlier owner left, and goes."""
    reason = state.place.elsewhere or ""
    stale = state.journal is not None
    if parameters.not_owner == "skip":
        return Plan(
            steps=(), goal={}, journal=JournalPlan(stale=stale), extra={"skipped_reason": reason, "resumed": False}
        )
    return Plan(
        steps=(), goal={}, journal=JournalPlan(stale=stale), extra={"resumed": False}, then=Refusal("R5", reason)
    )


def _refuse(parameters: Parameters, state: State, sight: Sight, task: Task, selection: Selection) -> None:
    """The refusals that need the state, in the order of the page. Errors: Refusal."""
    name, resource, machine = sight.machine.name, sight.resource, sight.machine
    word = word_of(resource)
    if word in ("failed", "initializing", "pending"):
        raise Refusal("R6", f"VM {name} is {word}: let that end first")
    if machine.activity in ACTIVITIES:
        raise Refusal("R6", f"VM {name} is {ACTIVITIES[machine.activity]}: let that end first")
    paused = vm_state(machine) == "paused" and machine.health in (20, 25)
    if paused or machine.status[:1] == (_DEGRADED,):
        fullest = _fullest(state, sight)
        raise Refusal(
            "R7",
            f"VM {name} is Paused-Critical: volume {fullest.path if fullest else 'unknown'} has "
            f"{fullest.free if fullest else 'unknown'} free. Free space first; a merge needs more, not less",
        )
    if task.method == "offline" and vm_state(machine) == "saved":
        raise Refusal(
            "R8",
            f"VM {name} is in a saved state: a merge needs it off, not saved. Bring it online, then run again",
        )
    found = [problem for chain in sight.chains for problem in problems(chain)]
    for code in ("R9", "R10", "R11"):
        for problem in found:
            if problem.code == code:
                raise Refusal(code, problem.text)
    for path, size in _needs(parameters, state, sight).items():
        free = next((volume.free for volume in state.volumes if volume.path == path), None)
        if free is not None and free < size:
            raise Refusal("R12", _too_little(path, free, size))
    running = machine.running and task.method == "offline" and parameters.shutdown != "turn_off"
    if running and state.component not in COMPONENT_USABLE:
        raise Refusal(
            "R13",
            f"the guest of {name} has no working shutdown integration component: the cluster would wait PendingTimeout "
            "and then cut the power. Repair the integration services or choose shutdown: turn_off",
        )
    if selection.refusal is not None:
        raise selection.refusal


def _too_little(path: str, free: int, size: int) -> str:
    return (
        f"volume {path} has {free} bytes, the merge needs {size} (would end in 0x80070070, disk full). "
        "Free space or move the disk files"
    )


def _needs(parameters: Parameters, state: State, sight: Sight) -> dict[str, int]:
    return needed(
        planned_merges(parameters, sight), lambda path: root_of(path, state.volumes), parameters.min_free_bytes
    )


def _fullest(state: State, sight: Sight) -> Volume | None:
    used = [volume_of(file.path, state.volumes) for chain in sight.chains for file in chain.files]
    known = [volume for volume in used if volume is not None and volume.free is not None]
    return min(known, key=lambda volume: volume.free or 0, default=None)


def _warnings(parameters: Parameters, state: State, sight: Sight, task: Task) -> Iterable[str]:
    limit = sight.resource.pending_timeout
    if task.method == "offline" and limit is not None and limit / 1000 < parameters.shutdown_timeout:
        yield (
            f"the cluster cuts the power of {sight.machine.name} after PendingTimeout ({limit // 1000} s), "
            f"before shutdown_timeout ({parameters.shutdown_timeout} s)"
        )
    for path, size in _needs(parameters, state, sight).items():
        volume = next((v for v in state.volumes if v.path == path), None)
        if volume is None or volume.free is None:
            yield f"the free space for a merge into {sight.machine.name}'s disks cannot be told"
        elif volume.free - size < _COMFORT:
            yield f"volume {path} will have less than 2 GB free after the merge ({volume.free - size} bytes)"


# The steps


class _Asking:
    """One thing that the cluster is asked to do with a resource, until it has answered.

    fault: its answer; it may only say that the cluster is still at it, so the state of the resource decides.
    """

    def __init__(self, host: Host, request: Callable[[Host, Resource, int], WsmanFault | None]) -> None:
        self._host = host
        self._request = request
        self._lost = 0
        self.answered = False
        self.fault: WsmanFault | None = None

    def ask(self, resource: VmResource) -> None:
        """Asks. A lost answer leaves open what the cluster does: look, and ask again where it does nothing."""
        try:
            self.fault = self._request(self._host, resource.resource, _ANSWER)
            self.answered = True
        except ConnectionLost:
            self._lost += 1
            if self._lost > 1:
                raise
            self._host.session.reconnect()


class _Work:
    """The steps of one run: from what is there to the goal of its task."""

    def __init__(
        self, host: Host, parameters: Parameters, state: State, sight: Sight, task: Task, tally: Tally
    ) -> None:
        self._host = host
        self._parameters = parameters
        self._state = state
        self._first = sight
        self._task = task
        self._tally = tally
        self._findings = Findings()
        present = {snapshot.id for snapshot in sight.snapshots}
        self._doomed = [name for name in task.snapshot_ids if name in present]
        self._offline = task.method == "offline"
        self._merges = bool(self._doomed) or not sight.calm

    @property
    def something_to_do(self) -> bool:
        """Whether (a) or (b) of the goal do not hold."""
        return self._merges

    @property
    def _vm(self) -> str:
        return self._first.machine.name

    @property
    def _name(self) -> str:
        return self._first.resource.name

    def fresh(self) -> Plan:
        """The plan of a new run."""
        steps = self._steps()
        changes = any(step.changes for step in steps)
        warnings = tuple(_warnings(self._parameters, self._state, self._first, self._task)) if self._merges else ()
        return self._plan(steps, journal=self._journal_content() if changes else None, warnings=warnings)

    def resumed(self) -> Plan:
        """The plan that finishes an interrupted run."""
        started = self._offline and self._task.step >= 5 and self._first.machine.running
        if started and self._first.pending:
            restore = [self._restore()] if self._first.resource.offline_action != self._task.original else []
            plan = self._plan(restore, journal=None, warnings=())
            return dataclasses.replace(plan, then=self._was_started(self._first), proved=True)
        return dataclasses.replace(self._plan(self._steps(), journal=None, warnings=()), again=True)

    def _plan(self, steps: list[Step], *, journal: Entry | None, warnings: tuple[str, ...]) -> Plan:
        temporary = next((step for step in steps if step.name.startswith("set OfflineAction of")), None)
        return Plan(
            steps=tuple(steps),
            goal=self._goal() if steps else report_of(self._state),
            warnings=warnings,
            journal=JournalPlan(journal, shown=True),
            findings=self._findings,
            answer=self._tally.as_dict,
            rescue=self._rescue,
            comment=(
                f"OfflineAction is {name_of_action(self._task.temporary)} while the VM is taken offline"
                if temporary is not None
                else ""
            ),
        )

    def _steps(self) -> list[Step]:
        if not self._merges and self._task.step == 0:
            # Nothing of (a) and (b) is left to do: the power state alone is no reason to act.
            return []
        stops = self._offline and self._merges and not self._first.at_rest
        now, steps = self._first.resource.offline_action, []
        if stops and now != self._task.temporary:
            steps.append(
                Step(
                    f"set OfflineAction of {self._name} from {name_of_action(now)} to "
                    f"{name_of_action(self._task.temporary)}",
                    self._set_temporary,
                    undo=lambda: self._write(self._task.original),
                )
            )
        if self._doomed:
            steps.append(Step(f"delete {len(self._doomed)} snapshots", self._delete, final=True))
        if stops:
            steps.append(Step(f"take {self._vm} offline through the cluster", self._take_offline, final=True))
        if self._merges:
            steps.append(Step("wait for the merge", self._wait, changes=False))
        if (stops and self._task.temporary != self._task.original) or now != self._task.original:
            steps.append(self._restore())
        if self._offline and _starts(self._parameters, self._task) and (stops or not self._first.in_service):
            steps.append(self._start())
        return steps

    def _restore(self) -> Step:
        return Step(f"set OfflineAction back to {name_of_action(self._task.original)}", self._set_back)

    def _start(self) -> Step:
        return Step(f"bring {self._vm} online", self._bring_online)

    def _goal(self) -> dict[str, Any]:
        """What ``after`` will show."""
        first = self._first
        goal = report_of(self._state)
        doomed = frozenset(self._doomed)
        depth = depth_without(first.start, first.parents, doomed)
        for disk, chain in zip(goal["disks"], first.chains, strict=True):
            gone = max(0, len(chain.layers) - depth)
            disk["chain"] = disk["chain"][gone:]
            if gone and disk["chain"]:
                disk["path"] = disk["chain"][0]["path"]
                # How far it grows depends on what the layers have in common.
                disk["chain"][0]["file_size"] = None
        goal["snapshots"] = [snapshot for snapshot in goal["snapshots"] if snapshot["id"] not in doomed]
        filled = _needs(self._parameters, self._state, first)
        for volume in goal["volumes"] or ():
            volume["free_bytes"] = None if volume["path"] in filled else volume["free_bytes"]
        goal["pending_layers"] = 0
        goal["merging"] = None if first.merging is None else False
        goal["offline_action"] = name_of_action(self._task.original)
        goal["offline_action_value"] = self._task.original
        if self._offline:
            running = _starts(self._parameters, self._task)
            goal["resource_state"], goal["vm_state"] = ("online", "running") if running else ("offline", "off")
        return goal

    def _journal_content(self) -> Entry:
        task, resource = self._task, self._first.resource
        return {
            "vm_id": self._first.machine.id,
            "resource": resource.name,
            "group": resource.group,
            "method": task.method,
            "original_offline_action": task.original,
            "temporary_offline_action": task.temporary,
            "was_online": task.was_online,
            "snapshot_ids": list(task.snapshot_ids),
            "disks": [{"path": chain.path, "layers": len(chain.layers)} for chain in self._first.chains],
            "step": 1,
            "node": self._state.place.node,
        }

    # Looking

    def _note(self, step: int) -> None:
        store = self._host.memory.get("store")
        if store is not None and store.warnings:
            self._findings.warnings.extend(store.warnings)
            store.warnings.clear()
        self._findings.note(step=step, node=self._state.place.node)

    def _patiently(self, read: Callable[[], T]) -> T:
        """A reading, a second time over a new connection where the first was lost: hours are a long time for one."""
        try:
            return read()
        except ConnectionLost:
            self._host.session.reconnect()
            return read()

    def _resource(self) -> VmResource:
        found = self._patiently(lambda: cluster.read_vm_resources(self._host, self._state.place.windows, self._name))
        if not found:
            raise FieldnotesError(f"cluster resource {self._name} is gone")
        return found[0]

    def _owned(self) -> VmResource:
        """The resource, on its owner still. Errors: Refusal R5."""
        resource = self._resource()
        if resource.owner.lower() != self._state.place.node.lower():
            raise Refusal("R5", owned_elsewhere(self._vm, resource.owner, self._host.name))
        return resource

    def _see(self, *, disks: bool = True) -> Sight:
        """The machine now. Errors: Halt with the new owner."""
        place, host = self._state.place, self._host
        resource = self._resource()
        if resource.owner.lower() != place.node.lower():
            raise Halt(
                "moved",
                f"VM {self._vm} has moved to {resource.owner}: run there, the journal tells where to go on",
            )
        found = self._patiently(lambda: place.hyperv.machines(host, vm_id=self._first.machine.id))
        if not found:
            raise Halt("moved", f"{host.name} no longer shows VM {self._vm}: run again on the node that owns it")
        if not disks:
            return dataclasses.replace(self._first, resource=resource, machine=found[0])
        return self._patiently(lambda: look(host, place, resource, found[0]))

    # Doing

    def _write(self, value: int) -> None:
        windows = self._state.place.windows
        try:
            cluster.write_offline_action(self._host, windows, self._name, value)
        except (CmdletFailed, ProcessFailed) as error:
            raise FieldnotesError(explained(error)) from error
        actual = self._resource().offline_action
        if actual != value:
            raise VerificationFailed(f"OfflineAction of {self._name} is {actual} after setting {value}")

    def _set_temporary(self) -> None:
        self._owned()
        self._note(2)
        self._write(self._task.temporary)

    def _delete(self) -> None:
        self._owned()
        self._note(3)
        place, host = self._state.place, self._host

        def settings() -> list[Setting]:
            return self._patiently(lambda: place.hyperv.settings(host, self._first.machine.id))

        found = settings()
        left = {s.id: s for s in found if s.id in self._doomed}
        for root in roots_among(left, self._first.parents):
            try:
                job = place.hyperv.remove_tree(host, left[root])
            except (MethodFailed, WsmanFault):
                if any(s.id == root for s in settings()):
                    raise
                # Another run that follows this journal has removed it.
                continue
            if job is not None:
                self._await_job(job, f"deleting snapshot {left[root].name} of {self._vm}")
        host.wait(
            f"deletion of the snapshots of {self._vm}",
            lambda: not any(s.id in self._doomed for s in settings()),
            timeout=_SNAPSHOT_WAIT,
        )

    def _await_job(self, reference: Reference, what: str) -> None:
        def over() -> bool:
            job = self._patiently(lambda: self._state.place.hyperv.job(self._host, reference))
            if job is not None and job.failed:
                raise Failure("job", f"{what} failed: Hyper-V ended the job with {job.error} ({job.text})")
            return job is None or job.done

        self._host.wait(what, over, timeout=_SNAPSHOT_WAIT)

    def _take_offline(self) -> None:
        try:
            self._owned()
        except Refusal as moved:
            if self._doomed:
                raise Halt("moved", str(moved)) from moved
            raise
        self._note(4)
        host, limit = self._host, self._parameters.shutdown_timeout
        start = host.clock.monotonic()
        asking = _Asking(host, cluster.take_offline)
        pending, pause = False, 2.0
        while not (sight := self._see(disks=False)).at_rest:
            state, passed = sight.resource.state, host.clock.monotonic() - start
            self._tally.down_since = self._tally.down_since or start
            pending = pending or state == cluster.RESOURCE_OFFLINE_PENDING
            if state == cluster.RESOURCE_FAILED and (pending or asking.answered):
                raise self._not_offline(sight, f"after {passed:.0f} s", asking.fault)
            if state == cluster.RESOURCE_ONLINE and (pending or asking.fault is not None):
                raise self._not_offline(sight, f"after {passed:.0f} s", asking.fault)
            if passed >= limit:
                raise self._not_offline(sight, f"after shutdown_timeout ({passed:.0f} s)", asking.fault)
            if not pending and not asking.answered:
                if sight.resource.offline_action != self._task.temporary:
                    # It would be saved, or whatever else the value says.
                    raise Superseded(f"another run has ended what was begun with {self._vm}")
                asking.ask(sight.resource)
                continue
            word = word_of(sight.resource)
            host.tell(f"{self._vm} goes offline: {passed:.0f} s, resource {word}, VM {vm_state(sight.machine)}")
            host.clock.sleep(min(pause, max(limit - passed, 0.0)))
            pause = min(pause * 1.5, 10.0)

    def _not_offline(self, sight: Sight, when: str, fault: WsmanFault | None) -> FieldnotesError:
        said = f" ({fault})" if fault is not None else ""
        return Failure(
            "offline",
            f"{self._name} did not go offline: it is {word_of(sight.resource)} and VM {self._vm} is "
            f"{state_of(sight.machine)} {when}{said}",
        )

    def _wait(self) -> None:
        self._note(5)
        host, start = self._host, self._host.clock.monotonic()
        # Windows Server 2008 has no flag that says "merging": look longer, so that a pause between files is no end.
        times, gap = (3, 30.0) if self._first.build < SERVER_2008_R2 else (2, 5.0)
        calm, size, pause = 0, -1, 5.0
        try:
            while True:
                sight = self._see()
                if self._offline and sight.machine.running and not sight.calm:
                    raise self._was_started(sight)
                calm = calm + 1 if sight.calm else 0
                if calm >= times:
                    break
                passed = host.clock.monotonic() - start
                if calm == 0:
                    if passed >= self._parameters.merge_timeout:
                        raise self._too_slow(sight, passed)
                    jobs = self._watch(sight, size)
                    size = sight.layer_bytes
                    percent = f", {jobs[0].percent} %" if jobs else ""
                    host.tell(
                        f"merge of {self._vm}: {passed:.0f} s, {sight.pending} layers left, {size} bytes{percent}"
                    )
                    host.clock.sleep(min(pause, max(self._parameters.merge_timeout - passed, 1.0)))
                    pause = min(pause * 1.5, 30.0)
                else:
                    host.clock.sleep(gap)
        finally:
            self._tally.merge += host.clock.monotonic() - start
        self._tally.merged.extend(path for path in self._first.layers if path not in sight.layers)

    def _watch(self, sight: Sight, before: int) -> list[MergeJob]:
        """The merges that run. Errors: Halt with R12 where the disk is full."""
        host, place = self._host, self._state.place
        jobs = self._patiently(lambda: place.hyperv.merges(host, sight.layers))
        full = any(job.failed and job.status == _DISK_FULL for job in jobs)
        if not full and sight.layer_bytes != before:
            return [job for job in jobs if not job.failed]
        volumes = self._patiently(lambda: read_volumes(host, place.windows.build))
        now = dataclasses.replace(self._state, volumes=tuple(volumes))
        for path, size in needed(merges(sight.chains, sight.depth), lambda p: root_of(p, volumes), None).items():
            free = next((volume.free for volume in now.volumes if volume.path == path), None)
            if free is not None and (free < ROOM or (full and free < size)):
                raise Halt("R12", _too_little(path, free, size))
        return [job for job in jobs if not job.failed]

    def _was_started(self, sight: Sight) -> Failure:
        return Failure(
            _STARTED,
            f"VM {self._vm} was started during the merge; its progress is lost; layers remain and merge at the next "
            f"shutdown ({', '.join(sight.layers)})",
        )

    def _too_slow(self, sight: Sight, passed: float) -> FieldnotesError:
        if self._parameters.on_merge_timeout == "leave":
            return Halt(
                _MERGE_TIMEOUT,
                f"merge of {self._vm} still runs after {passed:.0f} s; run the task again to go on waiting",
            )
        return Failure(
            _MERGE_TIMEOUT,
            f"merge of {self._vm} did not end within {passed:.0f} s; {sight.pending} layers remain and merge at the "
            f"next shutdown ({', '.join(sight.layers)})",
        )

    def _set_back(self) -> None:
        self._note(6)
        if self._resource().offline_action != self._task.original:
            self._write(self._task.original)

    def _bring_online(self) -> None:
        self._note(7)
        host, start, pause = self._host, self._host.clock.monotonic(), 2.0
        asking = _Asking(host, cluster.bring_online)
        while not (sight := self._see(disks=False)).in_service:
            state, passed = sight.resource.state, host.clock.monotonic() - start
            down = state in (cluster.RESOURCE_OFFLINE, cluster.RESOURCE_FAILED)
            if down and asking.answered and (state == cluster.RESOURCE_FAILED or asking.fault is not None):
                raise self._not_online(sight, asking.fault)
            if passed >= _ONLINE_WAIT:
                raise self._not_online(sight, asking.fault)
            if down and not asking.answered:
                asking.ask(sight.resource)
                continue
            host.tell(f"{self._vm} comes online: {passed:.0f} s, resource {word_of(sight.resource)}")
            host.clock.sleep(pause)
            pause = min(pause * 1.5, 10.0)
        if self._tally.down_since is not None:
            self._tally.downtime += host.clock.monotonic() - self._tally.down_since
            self._tally.down_since = None

    def _not_online(self, sight: Sight, fault: WsmanFault | None) -> StepTimeout:
        said = f" ({fault})" if fault is not None else ""
        return StepTimeout(
            f"{self._name} did not come online: it is {word_of(sight.resource)} and VM {self._vm} is "
            f"{state_of(sight.machine)}{said}"
        )

    # The way on after a failure past the point of no return

    def _rescue(self, error: FieldnotesError) -> list[Step]:
        """Availability first: OfflineAction as it was, and the machine runs again where it did."""
        if not self._offline:
            return []
        code = error.code if isinstance(error, Failure) else ""
        steps = [self._restore()]
        if code == _STARTED or (isinstance(error, Refusal) and error.code == "R5"):
            return steps
        wanted = self._task.was_online or self._parameters.start == "always"
        if wanted and (self._parameters.start != "never" or code == _MERGE_TIMEOUT):
            return [*steps, self._start()]
        return [*steps, Step(f"see whether {self._vm} still merges", lambda: self._leave(error), changes=False)]

    def _leave(self, error: FieldnotesError) -> None:
        """Errors: Halt where the machine is off with layers left, so that the next run goes on waiting."""
        sight = self._see()
        if sight.machine.off and not sight.calm:
            raise Halt("merging", f"{error}. VM {self._vm} is off and merges; run the task again to wait for it")
