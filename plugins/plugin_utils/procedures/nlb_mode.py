# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The operation mode of a Network Load Balancing cluster. For this collection only.

https://learn.microsoft.com/en-us/previous-versions/windows/desktop/wlbsprov/network-load-balancing-provider-reference
https://learn.microsoft.com/en-us/powershell/module/networkloadbalancingclusters/set-nlbcluster
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ..errors import (
    CmdletFailed,
    ConnectionLost,
    ConnectionTrouble,
    FieldnotesError,
    Refusal,
    StepTimeout,
    VerificationFailed,
    WsmanFault,
)
from ..journal import Entry, Journal, utc_text
from ..windows.nlb import (
    CONVERGED,
    CONVERGING,
    DEFAULT,
    DRAINING,
    RESTART_NEEDED,
    SET_NLB_CLUSTER,
    STOPPED,
    SUSPENDED,
    ClusterSetting,
    Node,
)
from ..windows.operating_system import SERVER_2008_R2, read_operating_system
from ..wsman.faults import WBEM_E_INVALID_NAMESPACE
from ..wsman.types import decode_moment
from .base import Findings, Host, JournalPlan, Plan, Step
from .nlb_cluster import (
    STATUS,
    Bound,
    Members,
    NlbCluster,
    adapter_names,
    bound_to,
    nodes_of,
    read_bound,
    read_clusters,
    read_members,
    read_modes,
    read_setting,
    rule_text,
    rules_digest,
    sorted_rules,
)
from .nlb_network import (
    CLUSTER_MODES,
    FLAGS,
    mode_of,
    network_actions,
    normal_address,
    virtual_addresses,
)

_SETTLING_SECONDS = 30.0
_AWAITING_RESTART = "awaiting_restart"
_CHANGE = "change operation mode of"

T = TypeVar("T")


@dataclass(frozen=True)
class Parameters:
    """What the task asks for; times in seconds."""

    mode: str
    interface: str | None
    scope: str
    cluster_ip: str | None
    allow_management_adapter: bool
    allow_mixed: bool
    wait: bool
    wait_timeout: int
    reconnect_timeout: int


@dataclass(frozen=True)
class State:
    """What is there.

    members: where a change or its check needs them; modes: of the hosts, where it is known; same_ip: adapters with this
    cluster address; awaits_restart: an earlier run's change takes effect with the next restart.
    """

    cluster: NlbCluster
    same_ip: int
    journal: Entry | None
    members: Members | None = None
    modes: Mapping[str, str] | None = None
    awaits_restart: bool = False


# The procedure


class NlbMode:
    """Module ``nlb_mode``."""

    module = "nlb_mode"

    def parameters(self, arguments: Mapping[str, Any]) -> Parameters:
        """Errors: Refusal for a time out of range."""
        for name in ("wait_timeout", "reconnect_timeout"):
            if not 10 <= arguments[name] <= 3600:
                raise Refusal(name, f"{name} must be between 10 and 3600 seconds, got {arguments[name]}")
        return Parameters(
            mode=arguments["mode"],
            interface=arguments["interface"],
            scope=arguments["scope"],
            cluster_ip=arguments["cluster_ip"],
            allow_management_adapter=arguments["allow_management_adapter"],
            allow_mixed=arguments["allow_mixed"],
            wait=arguments["wait"],
            wait_timeout=arguments["wait_timeout"],
            reconnect_timeout=arguments["reconnect_timeout"],
        )

    def journal(self, host: Host, parameters: Parameters) -> Journal:
        """One per adapter, which only the host can name. Errors: Refusal R1 to R4."""
        found = _find(host, parameters)
        host.memory["found"] = found
        return host.journal(self.module, found[0].guid)

    def observe(self, host: Host, parameters: Parameters, journal: Entry | None) -> State:
        """Errors: Refusal R5 to R9, R11, R12."""
        bound, same_ip = host.memory.pop("found", None) or _find(host, parameters)
        (cluster,) = read_clusters(host, [bound])
        _refuse_wrong_cluster(host, parameters, cluster, journal)
        state = State(cluster, same_ip, journal, awaits_restart=_awaits_restart(host, journal))
        if state.awaits_restart:
            return state
        if cluster.mode != parameters.mode:
            return self._before_a_change(host, parameters, state)
        if parameters.wait and journal is not None and _all_steps_done(journal) and _others_readable(host, journal):
            members = read_members(host, bound.interface)
            modes = read_modes(host, members) if len(members.hosts) > 1 else {}
            return State(cluster, same_ip, journal, members, modes)
        return state

    def _before_a_change(self, host: Host, parameters: Parameters, state: State) -> State:
        _refuse_change(host, parameters, state.cluster)
        cluster = _converged(host, parameters, state.cluster)
        members = None
        if parameters.scope == "cluster":
            if read_operating_system(host).build < SERVER_2008_R2:
                raise Refusal(
                    "R11",
                    f"{host.name} has no NLB cmdlets (Windows Server 2008 R2 or later); use scope: node",
                )
            members = _delegable_members(host, cluster)
        return State(cluster, state.same_ip, state.journal, members)

    def plan(self, host: Host, parameters: Parameters, state: State) -> Plan:
        """Errors: Refusal R10."""
        return _Change(host, parameters, state).plan()

    def report(self, parameters: Parameters, state: State) -> Mapping[str, Any]:
        """As one element of ``nlb_info.clusters``."""
        return state.cluster.shown(state.cluster.mode, state.cluster.mac)

    def result(self, parameters: Parameters, state: State) -> Mapping[str, Any]:
        """Nothing beside the plan's."""
        return {}

    def shown(self, parameters: Parameters, report: Mapping[str, Any]) -> Mapping[str, Any]:
        """The mode and the MAC address."""
        return {"mode": report["mode"], "mac": report["mac"]}

    def verify(self, parameters: Parameters, before: State, after: State) -> Iterable[str]:
        """Mode, MAC address, port rules, addresses and the other hosts. Errors: Refusal R13."""
        if after.awaits_restart:
            return
        _refuse_mixed(after)
        cluster, ip = after.cluster, after.cluster.bound.ip
        if cluster.mode != parameters.mode:
            yield f"the mode of {ip} on {cluster.bound.interface} is {cluster.mode}, not {parameters.mode}"
        expected = cluster.mac_in(cluster.mode)
        if expected is not None and cluster.mac != expected:
            yield f"the MAC address of {ip} is {cluster.mac}, the rule for {cluster.mode} gives {expected}"
        yield from _rule_differences(before, after)
        if before.cluster.adapter_ips != cluster.adapter_ips:
            yield (
                f"the addresses of {cluster.bound.interface} are {', '.join(cluster.adapter_ips)}, they were "
                f"{', '.join(before.cluster.adapter_ips)}"
            )
        if parameters.wait and after.members is not None:
            yield from _missing_hosts(after)


def _find(host: Host, parameters: Parameters) -> tuple[Bound, int]:
    """The one adapter that the task means, and how many have its cluster address. Errors: Refusal R1 to R4."""
    try:
        bound = read_bound(host)
    except WsmanFault as fault:
        if fault.number != WBEM_E_INVALID_NAMESPACE:
            raise
        raise Refusal("R1", f"NLB is not installed on {host.name}: ansible.windows.win_feature name=NLB") from fault
    if not bound:
        raise Refusal(
            "R2",
            f"NLB is installed on {host.name} but not configured on any adapter: create the cluster first",
        )
    chosen = bound
    if parameters.interface is not None:
        chosen = _chosen(host, bound, parameters.interface)
    if len(chosen) > 1:
        raise Refusal("R4", f"{host.name} has NLB on {adapter_names(bound)}: name one with interface")
    return chosen[0], sum(1 for each in bound if each.ip == chosen[0].ip)


def _chosen(host: Host, bound: Sequence[Bound], interface: str) -> list[Bound]:
    """Errors: Refusal R3."""
    chosen = bound_to(bound, interface)
    if not chosen:
        raise Refusal("R3", f"{interface} carries no NLB on {host.name}; NLB is bound to {adapter_names(bound)}")
    return chosen


def _refuse_wrong_cluster(host: Host, parameters: Parameters, cluster: NlbCluster, journal: Entry | None) -> None:
    """Errors: Refusal R5, R6, and the journal of another cluster."""
    bound = cluster.bound
    if parameters.cluster_ip is not None and normal_address(parameters.cluster_ip) != bound.ip:
        raise Refusal("R5", f"NLB cluster on {bound.interface} is {bound.ip}, not {parameters.cluster_ip}")
    of_rules = [str(rule["vip"]) for rule in cluster.rules]
    if cluster.peer in virtual_addresses(bound.ip, cluster.dedicated, cluster.adapter_ips, of_rules):
        raise Refusal(
            "R6",
            f"the connection goes to the cluster address {cluster.peer}, so any host may answer: use the dedicated "
            f"address of {host.name} in the inventory",
        )
    if journal is not None and normal_address(str(journal.get("cluster_ip"))) != bound.ip:
        raise Refusal(
            "journal",
            f"an interrupted run on {bound.interface} of {host.name} changed the cluster {journal.get('cluster_ip')}, "
            f"now the cluster there is {bound.ip}: look at both, then delete the journal",
        )


def _refuse_change(host: Host, parameters: Parameters, cluster: NlbCluster) -> None:
    """Errors: Refusal R7, R8."""
    if cluster.on_management_adapter and not parameters.allow_management_adapter:
        raise Refusal(
            "R7",
            f"changing {cluster.bound.interface} resets the adapter this connection uses ({cluster.peer}); use another "
            "adapter, or set allow_management_adapter: true and have console access ready",
        )
    if parameters.scope == "node" and not parameters.allow_mixed:
        raise Refusal(
            "R8",
            "hosts in different modes do not form one cluster: until all hosts are done the service is split. "
            "Use scope: cluster, or set allow_mixed: true and serial: 1",
        )


def _converged(host: Host, parameters: Parameters, cluster: NlbCluster) -> NlbCluster:
    """The cluster once it converges no more. Errors: Refusal R9."""
    if cluster.status != CONVERGING:
        return cluster
    try:
        host.wait(
            f"convergence of {cluster.bound.ip} before the change",
            lambda: _status(host, cluster) != CONVERGING,
            timeout=parameters.wait_timeout,
        )
    except StepTimeout as error:
        raise Refusal(
            "R9",
            f"{host.name} is still converging ({CONVERGING}); a mode change now would hit an unstable cluster",
        ) from error
    (settled,) = read_clusters(host, [cluster.bound])
    return settled


def _status(host: Host, cluster: NlbCluster) -> int:
    here, _others = nodes_of(cluster.bound, cluster.priority, host.cim.query(Node))
    return here.StatusCode if here is not None else 0


def _delegable_members(host: Host, cluster: NlbCluster) -> Members:
    """The hosts of the cluster, where the session may change all of them.

    Asked after R12 as far as WMI tells: without delegated credentials the other hosts could not be read anyway.
    Errors: Refusal R11, R12.
    """
    delegates = host.session.settings.delegates
    refusal = Refusal(
        "R12",
        f"Set-NlbCluster changes the other hosts from {host.name} and needs delegated credentials: use CredSSP or "
        "Kerberos delegation",
    )
    if cluster.hosts > 1 and not delegates:
        raise refusal
    try:
        members = read_members(host, cluster.bound.interface)
    except CmdletFailed as error:
        if error.error_id.startswith("CommandNotFoundException"):
            raise Refusal(
                "R11",
                f"{host.name} has no NLB cmdlets: install them (ansible.windows.win_feature name=RSAT-NLB), or use "
                "scope: node",
            ) from error
        if not delegates:
            raise refusal from error
        raise
    if not delegates and (len(members.hosts) > 1 or members.errors):
        raise refusal
    return members


def _refuse_members(cluster: NlbCluster, members: Members) -> None:
    """Errors: Refusal R10."""
    remedy = "bring it back or remove it from the cluster, else it stays in the old mode"
    for member in members.hosts:
        if not member.converged:
            raise Refusal("R10", f"host {member.name} of cluster {cluster.bound.ip} is {member.state}: {remedy}")
    for error in members.errors:
        raise Refusal("R10", f"a host of cluster {cluster.bound.ip} is not readable ({error}): {remedy}")
    if not members.hosts:
        raise Refusal("R10", f"Get-NlbClusterNode shows no host of cluster {cluster.bound.ip}: {remedy}")


def _refuse_mixed(state: State) -> None:
    """Errors: Refusal R13."""
    modes = state.modes or {}
    if len(set(modes.values())) > 1:
        shown = ", ".join(f"{name}={mode}" for name, mode in modes.items())
        raise Refusal(
            "R13",
            f"cluster {state.cluster.bound.ip} is in mixed modes: {shown}; run the task again when all hosts answer",
        )


def _rule_differences(before: State, after: State) -> Iterable[str]:
    remembered = (before.journal or {}).get("port_rules_sha256")
    if remembered is not None and remembered != rules_digest(after.cluster.rules):
        yield "the port rules differ from those before the interrupted change: somebody changed them at the same time"
        return
    old, new = sorted_rules(before.cluster.rules), sorted_rules(after.cluster.rules)
    gone = [rule_text(rule) for rule in old if rule not in new]
    come = [rule_text(rule) for rule in new if rule not in old]
    if gone or come:
        missing = f"; gone: {', '.join(gone)}" if gone else ""
        added = f"; new: {', '.join(come)}" if come else ""
        yield f"the port rules differ: a second change was made at the same time{missing}{added}"


def _missing_hosts(state: State) -> Iterable[str]:
    members = state.members or Members(())
    for member in members.hosts:
        if not member.converged:
            yield f"host {member.name} is {member.state} after the change"
    for error in members.errors:
        yield f"a host of the cluster is not readable after the change ({error})"
    known = {member.name.lower() for member in members.hosts}
    for name in (state.journal or {}).get("hosts") or ():
        if str(name).lower() not in known and not members.errors:
            yield f"host {name} no longer shows up in the cluster"


def _awaits_restart(host: Host, journal: Entry | None) -> bool:
    """Whether a change of an earlier run waits for a restart that has not been yet."""
    if journal is None or journal.get("phase") != _AWAITING_RESTART:
        return False
    booted = read_operating_system(host).LastBootUpTime
    return (booted - decode_moment(str(journal.get("boot_time")))).total_seconds() <= 5


def _others_readable(host: Host, journal: Entry) -> bool:
    """Whether the other hosts, if there are any, can be asked from this one after a change of all of them."""
    alone = len(journal.get("hosts") or ()) <= 1
    return journal.get("scope") == "cluster" and (alone or host.session.settings.delegates)


def _all_steps_done(journal: Entry) -> bool:
    steps = journal.get("steps") or ()
    return bool(steps) and all(step["status"] == "done" for step in steps)


def _change_done(journal: Entry) -> bool:
    steps = journal.get("steps") or ()
    done = any(step["name"].startswith(_CHANGE) and step["status"] == "done" for step in steps)
    return done or journal.get("phase") == _AWAITING_RESTART


class _Change:
    """The way from what is there to the goal, an interrupted run's journal taken into account."""

    def __init__(self, host: Host, parameters: Parameters, state: State) -> None:
        self._host = host
        self._parameters = parameters
        self._state = state
        self._cluster = state.cluster
        self._bound = state.cluster.bound
        self._goal = parameters.mode
        self._findings = Findings()
        self._restart_needed = False
        journal = state.journal
        known = journal is None or self._cluster.mode in (journal.get("from"), journal.get("to"))
        self._stale = not known and not state.awaits_restart
        self._journal = journal if known else None
        self._scope = parameters.scope
        if self._resumes:
            self._scope = str((self._journal or {}).get("scope") or parameters.scope)

    @property
    def _changes(self) -> bool:
        return self._cluster.mode != self._goal

    @property
    def _resumes(self) -> bool:
        """Whether the mode is the goal because an interrupted run changed it."""
        return not self._changes and self._journal is not None and self._journal.get("to") == self._cluster.mode

    def plan(self) -> Plan:
        """Errors: Refusal R10."""
        if self._state.awaits_restart:
            return self._waiting_for_restart()
        if self._changes and self._state.members is not None:
            _refuse_members(self._cluster, self._state.members)
        mac = self._cluster.mac_in(self._goal) if self._changes else self._cluster.mac
        return Plan(
            steps=tuple(self._steps()),
            goal=self._cluster.shown(self._goal, mac),
            warnings=tuple(self._warnings()),
            journal=JournalPlan(
                self._journal_content() if self._changes else self._journal if self._resumes else None,
                stale=self._stale,
            ),
            extra=self._extra(),
            answer=lambda: {"reboot_required": True} if self._restart_needed else {},
            findings=self._findings,
        )

    def _waiting_for_restart(self) -> Plan:
        journal = self._state.journal or {}
        if journal.get("to") != self._goal:
            raise Refusal(
                "journal",
                f"the change of {self._bound.ip} to {journal.get('to')} awaits a restart of {self._host.name}: "
                "restart it first",
            )
        return Plan(
            steps=(),
            goal=self._cluster.shown(self._goal, self._cluster.mac_in(self._goal)),
            warnings=(f"the change of {self._bound.ip} to {self._goal} awaits a restart of {self._host.name}",),
            journal=JournalPlan(keep=journal),
            reboot_required=True,
            extra=self._extra(),
        )

    def _extra(self) -> dict[str, Any]:
        before = self._cluster.mode
        if self._resumes and self._journal is not None:
            before = str(self._journal.get("from"))
        if before == self._goal:
            return {"mac_change": None, "network_actions": []}
        old = self._cluster.mac if self._changes else self._cluster.mac_in(before)
        new = self._cluster.mac_in(self._goal)
        setting = self._bound.setting
        actions = network_actions(
            before,
            self._goal,
            self._bound.ip,
            old_mac=old,
            mac=new,
            virtual=self._cluster.virtual,
            interhost=bool(setting.UnicastInterHostCommSupportEnabled),
        )
        return {"mac_change": {"from": old, "to": new}, "network_actions": actions}

    def _journal_content(self) -> Entry:
        members = self._state.members
        return {
            "cluster_ip": self._bound.ip,
            "interface": self._bound.interface,
            "from": self._cluster.mode,
            "to": self._goal,
            "scope": self._scope,
            "hosts": [member.name for member in members.hosts] if members is not None else [],
            "port_rules_sha256": rules_digest(self._cluster.rules),
        }

    def _warnings(self) -> Iterable[str]:
        if self._stale and self._state.journal is not None:
            yield (
                f"the journal of an interrupted change to {self._state.journal.get('to')} is removed: the mode of "
                f"{self._bound.ip} was changed to {self._cluster.mode} meanwhile"
            )
        if self._changes or self._resumes:
            if self._state.same_ip > 1:
                yield from list(self._cluster.warnings(self._state.same_ip))[:1]
            if self._resumes and len(self._hosts) > 1 and not self._host.session.settings.delegates:
                yield (
                    f"the other hosts of {self._bound.ip} are not checked: an earlier run changed them, and this "
                    "session has no delegated credentials"
                )
            if self._scope == "node":
                yield (
                    f"only {self._host.name} changes: hosts in other modes form a cluster of their own until they are "
                    "changed as well"
                )
            return
        yield from self._cluster.warnings(self._state.same_ip)
        if self._cluster.status in (STOPPED, SUSPENDED, DRAINING):
            yield (
                f"NLB on {self._bound.interface} of {self._host.name} is {STATUS[self._cluster.status]} "
                f"({self._cluster.status}); this module starts and stops nothing"
            )

    def _steps(self) -> Iterable[Step]:
        waits = self._parameters.wait
        if self._changes:
            yield self._change_step(self._cluster.mode, skip=False)
            if waits and not self._stands_still:
                yield Step("wait for convergence", self._converge, changes=False)
        elif self._resumes and self._journal is not None:
            # A setting that was put, but perhaps not loaded, reads like the goal: loading it again harms nothing.
            again = self._scope == "node" and not _change_done(self._journal)
            yield self._change_step(str(self._journal.get("from")), skip=not again)
            if waits and not self._stands_still:
                yield Step("wait for convergence", self._converge)
            else:
                yield Step("check what the interrupted run changed", lambda: None)
        elif waits and self._cluster.status == CONVERGING:
            yield Step("wait for convergence", self._converge, changes=False)

    @property
    def _stands_still(self) -> bool:
        """Whether the host takes no part in its cluster, by an administrator's decision, so that it never converges."""
        return self._scope == "node" and self._cluster.status in (STOPPED, SUSPENDED)

    def _change_step(self, before: str, *, skip: bool) -> Step:
        return Step(
            f"{_CHANGE} {self._bound.ip} from {before} to {self._goal}",
            self._change_cluster if self._scope == "cluster" else self._change_node,
            skip=skip,
            final=True,
        )

    # The change

    def _change_cluster(self) -> None:
        trouble: FieldnotesError | None = None
        texts: list[str] = []
        try:
            result = self._host.cmdlets.run(
                SET_NLB_CLUSTER(InterfaceName=self._bound.interface, OperationMode=CLUSTER_MODES[self._goal]),
                attempted=f"changing the mode of {self._bound.ip} to {self._goal}",
                progress=lambda text: self._host.tell(text) if text else None,
                check=False,
            )
            texts = [*result.warnings, *(error.text for error in result.errors)]
            trouble = result.errors[0] if result.errors else None
        except CmdletFailed as error:
            trouble, texts = error, [*error.warnings, error.text]
        except ConnectionTrouble as error:
            # The adapter restarts under the connection: what became of the change is read from the host.
            trouble = error
            self._come_back()
            self._settle()
        if any(re.search(rf"\b{RESTART_NEEDED}\b", text) for text in texts):
            self._await_restart()
            return
        self._judge(trouble)

    def _judge(self, trouble: FieldnotesError | None) -> None:
        """Decides from the state. Errors: what went wrong, where the mode is not the goal; Refusal R13."""
        mode = self._steadily(self._mode)
        if mode == self._goal:
            if trouble is not None:
                self._host.tell(f"the mode is {mode} in spite of: {trouble}")
            return
        if isinstance(trouble, ConnectionTrouble):
            raise ConnectionLost(
                f"the connection to {self._host.name} ended during the change of {self._bound.ip} to {self._goal}, and "
                f"the mode is {mode}: run the task again"
            ) from trouble
        if isinstance(trouble, CmdletFailed) and self._scope == "cluster":
            members = self._state.members or Members(())
            _refuse_mixed(State(self._cluster, 1, None, modes=read_modes(self._host, members)))
        raise trouble or VerificationFailed(
            f"Windows took the change of {self._bound.ip} to {self._goal} without an error and the mode is {mode}"
        )

    def _change_node(self) -> None:
        host, setting = self._host, self._bound.setting
        names = ("MulticastSupportEnabled", "IGMPSupport")
        wanted = dict(zip(names, FLAGS[self._goal], strict=True))
        if not wanted["MulticastSupportEnabled"]:
            del wanted["IGMPSupport"]  # unicast ignores it
        old = {name: getattr(setting, name) for name in wanted if getattr(setting, name) != wanted[name]}
        try:
            for name in old:
                host.cim.modify(setting, **{name: wanted[name]})
            self._load(setting)
        except ConnectionTrouble:
            raise
        except FieldnotesError as error:
            self._put_back(setting, old)
            raise FieldnotesError(
                f"{host.name} did not take the mode {self._goal} ({error}): use scope: cluster, the documented way"
            ) from error
        if not self._restart_needed:
            self._judge_node(old)

    def _load(self, setting: ClusterSetting) -> None:
        trouble: ConnectionTrouble | None = None
        for _attempt in range(2):
            try:
                result = self._host.cim.invoke(ClusterSetting.LoadAllSettings, on=setting)
            except ConnectionTrouble as error:
                # Whether the call arrived is unknown; loading twice does what loading once does.
                self._come_back()
                trouble = error
                continue
            if result.value == RESTART_NEEDED:
                self._await_restart()
            return
        if trouble is not None:
            self._host.tell(f"LoadAllSettings was called twice without an answer: {trouble}")

    def _judge_node(self, old: Mapping[str, bool]) -> None:
        mode = self._steadily(self._mode)
        if mode != self._goal:
            self._put_back(self._bound.setting, old)
            raise VerificationFailed(
                f"{self._host.name} ignored the change of {self._bound.ip} to {self._goal} (the mode is {mode}): "
                "use scope: cluster, the documented way"
            )

    def _put_back(self, setting: ClusterSetting, old: Mapping[str, bool]) -> None:
        """What was put and not loaded must not take effect at the next restart."""
        current = self._steadily(lambda: read_setting(self._host, self._bound.guid))
        for name, value in old.items():
            if getattr(current, name) != value:
                self._host.cim.modify(setting, **{name: value})

    def _await_restart(self) -> None:
        self._restart_needed = True
        boot_time = utc_text(self._steadily(lambda: read_operating_system(self._host).LastBootUpTime))
        phase = {"phase": _AWAITING_RESTART, "boot_time": boot_time}
        self._findings.note(**phase)
        self._findings.keep = {**(self._journal_content() if self._changes else self._journal or {}), **phase}
        self._findings.warnings.append(f"{self._host.name} needs a restart before the mode changes to {self._goal}")

    # Waiting

    def _mode(self) -> str:
        setting = read_setting(self._host, self._bound.guid)
        return mode_of(setting.MulticastSupportEnabled, setting.IGMPSupport)

    def _steadily(self, read: Callable[[], T]) -> T:
        """Reads, once more over a new connection where the adapter took the old one with it."""
        try:
            return read()
        except ConnectionTrouble:
            self._come_back()
            return read()

    def _come_back(self) -> None:
        """Errors: ConnectionLost, where the host does not answer again within reconnect_timeout."""
        timeout = self._parameters.reconnect_timeout

        def answers() -> bool:
            self._host.session.reconnect()
            try:
                self._mode()
            except (ConnectionTrouble, WsmanFault):
                return False
            return True

        try:
            self._host.wait(f"connection to {self._host.name} after the adapter was reset", answers, timeout=timeout)
        except StepTimeout as error:
            raise ConnectionLost(
                f"{self._host.name} does not answer {timeout} s after the adapter {self._bound.interface} was reset: "
                "whether the mode changed is unknown; look at its console, and run the task again when it answers"
            ) from error

    def _settle(self) -> None:
        """Gives a change whose answer was lost some time to show."""
        timeout = min(_SETTLING_SECONDS, self._parameters.reconnect_timeout)
        try:
            self._host.wait(f"mode {self._goal}", lambda: self._steadily(self._mode) == self._goal, timeout=timeout)
        except StepTimeout:
            self._host.tell(f"the mode is not {self._goal} yet")

    def _converge(self) -> None:
        """Errors: StepTimeout; FieldnotesError for a host that stopped."""
        if self._restart_needed:
            return
        start = self._host.clock.monotonic()
        seen = [0]

        def converged() -> bool:
            seen[0] = self._steadily(lambda: _status(self._host, self._cluster))
            if seen[0] in (STOPPED, DRAINING, SUSPENDED):
                raise FieldnotesError(
                    f"NLB on {self._bound.interface} of {self._host.name} is {STATUS[seen[0]]} ({seen[0]}) after the "
                    f"change to {self._goal}: start it when the cause is known; the journal stays"
                )
            return seen[0] in (CONVERGED, DEFAULT)

        self._wait(converged, lambda: f"{STATUS.get(seen[0], 'unknown')} ({seen[0]})", start)
        if self._scope == "cluster" and len(self._hosts) > 1 and self._host.session.settings.delegates:
            members = [Members(())]

            def all_converged() -> bool:
                members[0] = self._steadily(lambda: read_members(self._host, self._bound.interface))
                return members[0].converged

            def shown() -> str:
                return ", ".join([*(f"{m.name} {m.state}" for m in members[0].hosts), *members[0].errors])

            self._wait(all_converged, shown, start)

    @property
    def _hosts(self) -> Sequence[str]:
        """Names of the hosts that the change is for, this one among them."""
        if self._state.members is not None:
            return [member.name for member in self._state.members.hosts]
        return (self._journal or {}).get("hosts") or ()

    def _wait(self, reached: Callable[[], bool], detail: Callable[[], str], start: float) -> None:
        timeout = self._parameters.wait_timeout
        left = max(timeout - (self._host.clock.monotonic() - start), 0.0)
        try:
            self._host.wait(f"convergence of {self._bound.ip}", reached, timeout=left, detail=detail)
        except StepTimeout as error:
            raise StepTimeout(
                f"{self._bound.ip} on {self._host.name} is not converged after {timeout} s ({detail()}); the mode is "
                f"{self._goal}: run the task again, it goes on from here"
            ) from error


# The report


@dataclass(frozen=True)
class InfoParameters:
    """interface: connection name, None for all."""

    interface: str | None


class NlbInfo:
    """Module ``nlb_info``."""

    module = "nlb_info"

    def parameters(self, arguments: Mapping[str, Any]) -> InfoParameters:
        """No refusal."""
        return InfoParameters(arguments["interface"])

    def answer(self, host: Host, parameters: InfoParameters) -> tuple[Mapping[str, Any], Iterable[str]]:
        """Errors: Refusal R3."""
        try:
            bound = read_bound(host)
        except WsmanFault as fault:
            if fault.number == WBEM_E_INVALID_NAMESPACE:
                return {"installed": False, "clusters": []}, ()
            raise
        chosen = bound if parameters.interface is None else _chosen(host, bound, parameters.interface)
        clusters = read_clusters(host, chosen) if chosen else []
        warnings = [
            warning
            for cluster in clusters
            for warning in cluster.warnings(sum(1 for each in bound if each.ip == cluster.bound.ip))
        ]
        shown = [cluster.shown(cluster.mode, cluster.mac) for cluster in clusters]
        return {"installed": True, "clusters": shown}, warnings
