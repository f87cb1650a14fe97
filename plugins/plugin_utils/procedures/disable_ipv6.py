# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which components of IPv6 are on: registry value, bindings of adapters, hosts file. For this collection only.

https://learn.microsoft.com/en-us/troubleshoot/windows-server/networking/configure-ipv6-in-windows
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import CmdletFailed, ConnectionLost, Refusal, VerificationFailed
from ..journal import Entry, Journal, utc_text
from ..windows import files, network, registry
from ..windows.network import AdapterAddresses, ProtocolBinding
from ..windows.operating_system import SERVER_2012, ComputerName, OperatingSystem, read_operating_system
from ..windows.services import ServiceState, read_services
from . import disabled_components as components
from . import hosts_file, ipv6_state
from .base import Host, JournalPlan, Plan, Step
from .disabled_components import shown
from .hosts_file import HostsFile
from .ipv6_state import APPLYING, AWAITING_RESTART, Configured, Effect, Written

UNMANAGED = "unmanaged"
EXCHANGE_2007 = "exchange2007"

_EXCHANGE_2007_KEY = registry.Key(r"SOFTWARE\Microsoft\Exchange\v8.0")
_SERVER_2008 = (6001, 6002)
_DOMAIN_CONTROLLER = 2
_LARGEST_IN_JOURNAL = 64 * 1024
_OBJECT_NOT_FOUND = 13
_BACKUP = ".fieldnotes.bak"
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?")


@dataclass(frozen=True)
class Parameters:
    """What the task asks for. value: DisabledComponents, None leaves it; adapters: empty for all that are visible."""

    value: int | None
    allow_unsupported: bool
    adapter_binding: str
    adapters: tuple[str, ...]
    hosts_loopback: str
    hosts_ipv4_address: str | None
    hosts_names: tuple[str, ...]
    hosts_backup: bool
    allow_disconnect: bool

    @property
    def bound(self) -> bool | None:
        """What the adapters' bindings shall be; None leaves them."""
        return None if self.adapter_binding == UNMANAGED else self.adapter_binding == "bound"

    @property
    def manages_hosts(self) -> bool:
        """Whether the hosts file is looked at."""
        return self.hosts_loopback != UNMANAGED


@dataclass(frozen=True)
class State:
    """What is there. What the run needs no answer to is None or empty.

    bindings: of all adapters; managed: aliases of those that the task means; base: the hosts file before an interrupted
    run touched it; names: for the hosts file; exchange_2007: its registry key is there.
    """

    configured: Configured
    addresses: tuple[AdapterAddresses, ...]
    effect: Effect
    system: OperatingSystem | None
    services: Mapping[str, ServiceState]
    bindings: tuple[ProtocolBinding, ...] | None
    managed: tuple[str, ...]
    hosts: HostsFile | None
    base: HostsFile | None
    names: tuple[str, ...]
    exchange_2007: bool
    journal: Entry | None

    @property
    def interrupted(self) -> Entry | None:
        """The journal of a run that did not end."""
        return self.journal if self.journal is not None and self.journal.get("phase") == APPLYING else None

    @property
    def ipv4(self) -> list[str]:
        """The host's IPv4 addresses."""
        return [address for adapter in self.addresses for address in adapter.ipv4]

    def binding(self, alias: str) -> ProtocolBinding | None:
        """IPv6 on one adapter."""
        return next((b for b in self.bindings or () if b.Name.lower() == alias.lower()), None)

    @property
    def waiting(self) -> Written | None:
        """What was written since the last start of the host, by a run whose journal is there."""
        written = ipv6_state.written_by(self.journal)
        if written is None or self.system is None or written.restarted(self.system.LastBootUpTime):
            return None
        return written


class DisableIpv6:
    """Module ``disable_ipv6``."""

    module = ipv6_state.MODULE

    def parameters(self, arguments: Mapping[str, Any]) -> Parameters:
        """Errors: Refusal R1, R2."""
        given = Parameters(
            value=_wanted_value(arguments["state"], arguments["disabled_components"]),
            allow_unsupported=arguments["allow_unsupported"],
            adapter_binding=arguments["adapter_binding"],
            adapters=tuple(arguments["adapters"] or ()),
            hosts_loopback=arguments["hosts_loopback"],
            hosts_ipv4_address=arguments["hosts_ipv4_address"],
            hosts_names=tuple(arguments["hosts_names"] or ()),
            hosts_backup=arguments["hosts_backup"],
            allow_disconnect=arguments["allow_disconnect"],
        )
        if given.value is None and given.bound is None and not given.manages_hosts:
            raise Refusal(
                "parameters",
                "nothing to do: give state, disabled_components, adapter_binding or hosts_loopback",
            )
        for name in given.hosts_names:
            if not _NAME.fullmatch(name):
                raise Refusal("hosts_names", f"hosts_names: {name!r} is not the name of a host")
        if given.value is not None and given.value not in components.WITHOUT_CONSENT and not given.allow_unsupported:
            raise Refusal(
                "R1",
                "disabling IPv6 is not supported by the vendor and breaks Windows components: use state: prefer_ipv4, "
                "or allow_unsupported: true",
            )
        return given

    def journal(self, host: Host, parameters: Parameters) -> Journal:
        """One per host."""
        return host.journal(self.module)

    def observe(self, host: Host, parameters: Parameters, journal: Entry | None) -> State:
        """Errors: Refusal R6, R8, R12."""
        return _Reading(host, parameters, journal).state()

    def plan(self, host: Host, parameters: Parameters, state: State) -> Plan:
        """Errors: Refusal R3 to R5, R7, R9 to R11; VerificationFailed for a value that a restart did not bring."""
        work = _Work(host, parameters, state)
        _refuse(host, parameters, state, work)
        kept_out = work.kept_out()
        if kept_out:
            raise VerificationFailed(kept_out)
        steps = work.in_order()
        keep = work.keep()
        return Plan(
            steps=tuple(steps),
            goal=work.goal(),
            warnings=tuple(_warnings(parameters, state, work)),
            journal=JournalPlan(
                work.journal_content() if any(not step.skip for step in steps) else None,
                keep=keep,
                restore=work.earlier(),
            ),
            reboot_required=keep is not None or any(state.effect.contradictions(work.final)),
            extra={"resumed": state.interrupted is not None},
        )

    def report(self, parameters: Parameters, state: State) -> Mapping[str, Any]:
        """The value, the managed bindings and the lines of the hosts file that are ours or could be."""
        return _report(
            state.configured,
            {b.Name: b.Enabled for b in _managed(state) or ()} if state.bindings is not None else None,
            state.hosts,
        )

    def result(self, parameters: Parameters, state: State) -> Mapping[str, Any]:
        """What is set, what is in effect, and what the vendor says of it."""
        waiting = state.waiting
        due = waiting is not None and waiting.new == state.configured.effective != waiting.in_effect
        bindings = _managed(state)
        return {
            "disabled_components": state.configured.as_result(),
            "in_effect": state.effect.as_result(),
            "reboot_pending_since_boot": utc_text(waiting.boot) if due and waiting is not None else None,
            "adapters": ipv6_state.bindings_as_result(bindings),
            "hosts": ipv6_state.hosts_as_result(state.hosts),
            "support": ipv6_state.support_as_result(
                state.configured, bindings, state.system.build if state.system is not None else None
            ),
        }

    def shown(self, parameters: Parameters, report: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the task manages: value, bindings, and of the hosts file only the lines that a change is about."""
        lines: dict[str, Any] = {}
        if parameters.value is not None:
            lines["DisabledComponents"] = report["disabled_components"] or shown(None)
        for alias, bound in (report["adapters"] or {}).items():
            lines[f"IPv6 on {alias}"] = "bound" if bound else "unbound"
        if report["hosts"] is not None:
            lines["hosts"] = "".join(f"\n  {line}" for line in report["hosts"])
        return lines

    def verify(self, parameters: Parameters, before: State, after: State) -> Iterable[str]:
        """The registry value, the bindings, the bytes of the hosts file."""
        now = after.configured
        if parameters.value is not None and (now.kind is not None or now.effective != parameters.value):
            goal = shown(parameters.value)
            yield f"DisabledComponents is {now.shown} after setting {goal}: another writer changed it"
        for binding in _managed(after) or ():
            if parameters.bound is not None and binding.Enabled != parameters.bound:
                yield f"adapter {binding.Name} does not stay {parameters.adapter_binding}: another writer changed it"
        hosts = after.hosts if parameters.manages_hosts else None
        if hosts is not None and _edited(parameters, after, hosts).content != hosts.content:
            yield f"{hosts.path} is not as it was written: another writer changed it"


def _wanted_value(state: str | None, raw: Any) -> int | None:
    if state is not None and raw is not None:
        raise Refusal("parameters", "state and disabled_components exclude each other: give one of them")
    if raw is not None:
        return components.parse(raw)
    return None if state is None else components.STATES[state]


def _managed(state: State) -> list[ProtocolBinding] | None:
    """The bindings that the task means; None where it means none."""
    if state.bindings is None:
        return None
    return [binding for alias in state.managed if (binding := state.binding(alias)) is not None]


def _report(value: Configured, bindings: Mapping[str, bool] | None, hosts: HostsFile | None) -> dict[str, Any]:
    return {
        "disabled_components": value.shown if value != Configured() else None,
        "adapters": None if bindings is None else dict(bindings),
        "hosts": None if hosts is None else hosts.touched,
    }


# Reading


class _Reading:
    """One observation: asks only for what this run can use."""

    def __init__(self, host: Host, parameters: Parameters, journal: Entry | None) -> None:
        self._host = host
        self._parameters = parameters
        self._journal = journal if journal is not None and journal.get("phase") else None
        self._left: Entry = self._journal if self._journal and self._journal["phase"] == APPLYING else {}

    def state(self) -> State:
        """Errors: Refusal R6, R8, R12."""
        host, given = self._host, self._parameters
        configured = ipv6_state.read_configured(host)
        system = read_operating_system(host) if self._needs_system(configured) else None
        bindings = self._bindings(system)
        addresses = tuple(network.read_addresses(host))
        policies = None
        if system is None or system.build >= SERVER_2012:
            policies = ipv6_state.read_policies(host)
        hosts = self._hosts(system)
        return State(
            configured=configured,
            addresses=addresses,
            effect=ipv6_state.read_effect(host, configured, addresses, policies, bindings),
            system=system,
            services=read_services(host, names) if (names := self._services()) else {},
            bindings=bindings,
            managed=tuple(self._managed(bindings)) if bindings is not None else (),
            hosts=hosts,
            base=self._base(hosts),
            names=self._names(),
            exchange_2007=given.hosts_loopback == EXCHANGE_2007
            and registry.subkeys(host, _EXCHANGE_2007_KEY) is not None,
            journal=self._journal,
        )

    def _needs_system(self, configured: Configured) -> bool:
        """For the time of the start, the build, the folder of Windows, or its role."""
        given = self._parameters
        changes = given.value is not None and (configured.kind is not None or configured.effective != given.value)
        everything_off = configured.effective & components.ALL == components.ALL
        native = given.value is not None and bool(given.value & components.NATIVE)
        other = given.bound is not None or given.manages_hosts or self._journal is not None
        return changes or everything_off or native or other

    def _services(self) -> list[str]:
        given = self._parameters
        names = []
        if given.value is not None and given.value not in components.SAFE_WITH_ROUTING:
            names.append("RemoteAccess")
        if given.value is not None and given.value & components.NATIVE:
            names.append("ClusSvc")
        if given.bound is False:
            names.append("MSExchangeTransport")
        return names

    def _bindings(self, system: OperatingSystem | None) -> tuple[ProtocolBinding, ...] | None:
        if self._parameters.bound is None and not self._left.get("binding"):
            return None
        if system is not None and system.build < SERVER_2012:
            raise Refusal(
                "R6",
                "adapter bindings can be managed from Server 2012 on; on this host uncheck it locally or use the "
                "registry states",
            )
        return tuple(network.read_ipv6_bindings(self._host))

    def _managed(self, bindings: Sequence[ProtocolBinding]) -> list[str]:
        if self._parameters.bound is None:
            return list(self._left.get("binding") or ())
        return [binding.Name for binding in ipv6_state.selected(self._host, bindings, self._parameters.adapters)]

    def _hosts(self, system: OperatingSystem | None) -> HostsFile | None:
        if system is None or not (self._parameters.manages_hosts or self._left.get("hosts")):
            return None
        return ipv6_state.read_hosts(self._host, ipv6_state.hosts_path(self._host, system.WindowsDirectory))

    def _base(self, hosts: HostsFile | None) -> HostsFile | None:
        """The hosts file to start from: what an interrupted run began with, where nobody else has written since."""
        left = self._left.get("hosts")
        if hosts is None or not left or left.get("path") != hosts.path:
            return hosts
        try:
            backup = left.get("backup")
            old = base64.b64decode(left["old"]) if left.get("old") else files.read_bytes(self._host, str(backup))
        except CmdletFailed:
            return hosts
        before = hosts_file.parse(hosts.path, old)
        then = _edit(str(left["mode"]), before, str(left["address"]), tuple(left["names"]))
        # A write that broke off has left the beginning of what it wrote.
        ours = any(content.startswith(hosts.content) for content in (before.content, then.content))
        return before if ours else hosts

    def _names(self) -> tuple[str, ...]:
        given = self._parameters
        if given.hosts_loopback != EXCHANGE_2007 or given.hosts_names:
            return given.hosts_names
        computer = self._host.cim.query_one(ComputerName)
        return tuple(name for name in (computer.short, computer.fqdn) if name)


def _address(parameters: Parameters, state: State) -> str:
    return parameters.hosts_ipv4_address or (state.ipv4[0] if state.ipv4 else "")


def _edited(parameters: Parameters, state: State, start: HostsFile) -> HostsFile:
    """The hosts file as the task wants it. Errors: Refusal R9."""
    return _edit(parameters.hosts_loopback, start, _address(parameters, state), state.names)


def _edit(mode: str, start: HostsFile, address: str, names: Sequence[str]) -> HostsFile:
    if mode == EXCHANGE_2007:
        return hosts_file.for_exchange_2007(start, address, names)
    return hosts_file.as_shipped(start) if mode == "default" else start


def _parsed(address: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address or "")
    except ValueError:
        return None


# From what is there to the goal


class _Work:
    """What the run will do; what an interrupted run has done is taken into account.

    A part that this run leaves alone and an interrupted run changed goes back to what it was.
    """

    def __init__(self, host: Host, parameters: Parameters, state: State) -> None:
        self._host = host
        self._parameters = parameters
        self._state = state
        self._left: Entry = state.interrupted or {}
        self.start = self._start_value()
        self.target = self._target_value()

    # The registry value

    def _start_value(self) -> Configured:
        """The value before the first of the runs that work on this goal."""
        if self._left.get("new") is None:
            return self._state.configured
        return Configured(self._left.get("old"), self._left.get("old_type"), self._left.get("old_text"))

    def _target_value(self) -> Configured:
        wanted, now = self._parameters.value, self._state.configured
        if wanted is None:
            return self.start
        if wanted == 0 and self.start.effective == 0 == now.effective:
            return now
        return now if now == Configured(wanted) else Configured(wanted)

    @property
    def final(self) -> int:
        """What Windows will take DisabledComponents for after this run."""
        return self.target.effective

    def _value_steps(self) -> Iterator[Step]:
        now, start, target = self._state.configured, self.start, self.target
        if now.kind is not None and target.kind is None:
            yield Step(
                name=f"delete DisabledComponents, which is {now.type_name}",
                do=lambda: registry.delete_value(self._host, ipv6_state.PARAMETERS, ipv6_state.VALUE),
                undo=lambda: self._put(start),
            )
            now = Configured()
        if now != target or start != target:
            yield Step(
                name=f"set DisabledComponents from {(start if now == target else now).shown} to {target.shown}",
                do=lambda: self._put(target),
                undo=lambda: self._put(start),
                skip=now == target,
            )

    def _put(self, value: Configured) -> None:
        key, name = ipv6_state.PARAMETERS, ipv6_state.VALUE
        if value.number is not None:
            registry.write_dword(self._host, key, name, value.number)
        elif value.text is not None:
            registry.write_string(self._host, key, name, value.text)
        else:
            # Absent, or of a type that Windows ignores all the same.
            registry.delete_value(self._host, key, name)

    # The bindings

    def bindings(self) -> dict[str, tuple[ProtocolBinding, bool, bool]]:
        """By alias of each adapter whose binding changes or was changed: the binding, before, after."""
        old = {alias.lower(): bool(bound) for alias, bound in (self._left.get("binding") or {}).items()}
        found = {}
        aliases = [*old, *(alias for alias in self._state.managed if alias.lower() not in old)]
        managed = {alias.lower() for alias in self._state.managed}
        for alias in aliases:
            binding = self._state.binding(alias)
            if binding is None:
                continue
            before = old.get(alias.lower(), binding.Enabled)
            bound = self._parameters.bound
            after = bound if bound is not None and alias.lower() in managed else before
            if binding.Enabled != after or before != after:
                found[binding.Name] = (binding, before, after)
        return found

    def unbound(self) -> list[str]:
        """Adapters that lose IPv6 in this run."""
        return [alias for alias, (binding, before, after) in self.bindings().items() if binding.Enabled and not after]

    def _binding_steps(self) -> Iterator[Step]:
        own = self.own_adapter()
        # The connection's own adapter goes last: everything else is done when it may end.
        for alias, change in sorted(self.bindings().items(), key=lambda item: item[0] == own):
            yield self._binding_step(alias, *change)

    def _binding_step(self, alias: str, binding: ProtocolBinding, before: bool, after: bool) -> Step:
        return Step(
            name=f"{'bind IPv6 to' if after else 'unbind IPv6 from'} adapter {alias}",
            do=lambda: self._switch(binding, after),
            undo=lambda: self._switch(binding, before),
            skip=binding.Enabled == after,
        )

    def own_adapter(self) -> str | None:
        """Alias of the adapter that carries the connection; None where its address is not among the host's."""
        peer = _parsed(self._host.session.peer_address)
        adapters = self._state.addresses
        adapter = next((a for a in adapters if peer in map(_parsed, a.IPAddress or ()) and peer is not None), None)
        described = (adapter.Description or "").lower() if adapter is not None else None
        bindings = self._state.bindings or ()
        return next((b.Name for b in bindings if (b.InterfaceDescription or "").lower() == described), None)

    def _switch(self, binding: ProtocolBinding, bound: bool) -> None:
        try:
            self._host.cim.invoke(ProtocolBinding.Enable if bound else ProtocolBinding.Disable, binding)
        except ConnectionLost:
            # The change itself may have ended the connection; what became of it is read again afterwards.
            self._host.session.reconnect()

    # The hosts file

    def hosts(self) -> tuple[HostsFile, HostsFile] | None:
        """The hosts file before and after; None where it is not touched. Errors: Refusal R9."""
        now, base = self._state.hosts, self._state.base
        if now is None or base is None:
            return None
        goal = _edited(self._parameters, self._state, base) if self._parameters.manages_hosts else base
        return None if now.content == goal.content == base.content else (base, goal)

    def _hosts_steps(self) -> Iterator[Step]:
        change, now = self.hosts(), self._state.hosts
        if change is None or now is None:
            return
        base, goal = change
        path, backup = now.path, now.path + _BACKUP
        yield Step(
            name=f"copy {path} to {backup}",
            do=lambda: files.copy(self._host, path, backup),
            undo=lambda: self._remove(backup),
            skip=now.content != base.content,
        )
        what = {EXCHANGE_2007: "for Exchange 2007", "default": "without our lines"}
        yield Step(
            name=f"write {path} {what.get(self._parameters.hosts_loopback, 'as it was')}",
            do=lambda: self._write(path, goal.content),
            undo=lambda: self._write(path, base.content),
            skip=now.content == goal.content,
        )

    def _write(self, path: str, content: bytes) -> None:
        files.write_bytes(self._host, path, content)
        if files.read_bytes(self._host, path) != content:
            raise VerificationFailed(f"{path} holds something else than was written: another writer changed it")

    def _remove(self, path: str) -> None:
        try:
            files.remove(self._host, path)
        except CmdletFailed as error:
            if error.category != _OBJECT_NOT_FOUND:
                raise

    def _backup_steps(self) -> Iterator[Step]:
        now = self._state.hosts
        copied = self.hosts() is not None or bool(self._left.get("hosts"))
        if now is not None and copied and not self._parameters.hosts_backup:
            backup = now.path + _BACKUP
            yield Step(name=f"remove {backup}", do=lambda: self._remove(backup), changes=False)

    # All together

    def in_order(self) -> list[Step]:
        """What can be taken back without a trace goes first, what can end the connection last."""
        return [*self._hosts_steps(), *self._value_steps(), *self._binding_steps(), *self._backup_steps()]

    def goal(self) -> dict[str, Any]:
        """``after`` as it will be."""
        changed = self.bindings()
        managed = _managed(self._state)
        bindings = None if managed is None else {b.Name: changed.get(b.Name, (b, True, b.Enabled))[2] for b in managed}
        change = self.hosts()
        return _report(self.target, bindings, change[1] if change is not None else self._state.hosts)

    def journal_content(self) -> Entry:
        """What the next run needs to finish or to take back."""
        content: dict[str, Any] = {"phase": APPLYING, "boot": self._boot(), "in_effect": self._in_effect()}
        if self.target != self.start:
            content |= {"new": self.target.effective, "old": self.start.number}
            content |= {"old_type": self.start.kind, "old_text": self.start.text}
        if bindings := self.bindings():
            content["binding"] = {alias: before for alias, (_binding, before, _after) in bindings.items()}
        if (change := self.hosts()) is not None:
            old = change[0].content
            content["hosts"] = {
                "path": change[0].path,
                "old": base64.b64encode(old).decode() if len(old) <= _LARGEST_IN_JOURNAL else None,
                "backup": change[0].path + _BACKUP,
                "mode": self._parameters.hosts_loopback,
                "address": _address(self._parameters, self._state),
                "names": list(self._state.names),
            }
        if (earlier := self.earlier()) is not None:
            content["earlier"] = earlier
        return content

    def earlier(self) -> Entry | None:
        """The restart that was awaited before this run, for the journal of a run that took everything back."""
        journal = self._state.journal
        if journal is None or self._state.waiting is None:
            return None
        if journal.get("phase") == APPLYING:
            found: Entry | None = journal.get("earlier")
            return found
        return _awaiting(journal.get("old"), journal.get("new"), journal.get("boot"))

    def _in_effect(self) -> int:
        waiting = self._state.waiting
        if waiting is not None:
            return waiting.in_effect
        return self._state.configured.effective

    def _boot(self) -> str | None:
        waiting, system = self._state.waiting, self._state.system
        if waiting is not None:
            return utc_text(waiting.boot)
        return utc_text(system.LastBootUpTime) if system is not None else None

    def keep(self) -> Entry | None:
        """What stays in the journal until the restart; None where the value is in effect already."""
        changes = self.target != self._state.configured
        if (not changes and self._state.waiting is None) or self.final == self._in_effect():
            return None
        return _awaiting(self._in_effect(), self.final, self._boot())

    def kept_out(self) -> str | None:
        """Why the value is not in effect although the host was restarted; None where nothing says so."""
        written, system = ipv6_state.written_by(self._state.journal), self._state.system
        if written is None or system is None or self.target != self._state.configured or self._left:
            return None
        if not written.restarted(system.LastBootUpTime) or self.final != written.new:
            return None
        reasons = "; ".join(self._state.effect.contradictions(self.final))
        if not reasons:
            return None
        return (
            f"DisabledComponents {shown(self.final)} is set since before the last start but {reasons}; "
            "a policy or a driver put it back"
        )


def _awaiting(old: Any, new: Any, boot: Any) -> Entry:
    return {"phase": AWAITING_RESTART, "old": old, "new": new, "boot": boot}


# Refusals and warnings


def _refuse(host: Host, parameters: Parameters, state: State, work: _Work) -> None:
    """The refusals that need the state, in the order of the reference. Errors: Refusal."""
    wanted = parameters.value
    routing = state.services.get("RemoteAccess")
    if wanted is not None and wanted not in components.SAFE_WITH_ROUTING and routing is not None and routing.in_use:
        raise Refusal("R3", "Routing and Remote Access fails after the next start with any value other than 0 and 0x20")
    removes_native = parameters.bound is False or (wanted is not None and bool(wanted & components.NATIVE))
    if removes_native and not state.ipv4:
        raise Refusal("R4", "this host has IPv6 addresses only")
    _refuse_cutting(host, parameters, work)
    if parameters.bound is False and "MSExchangeTransport" in state.services and work.final != components.ALL:
        raise Refusal(
            "R7",
            "Exchange transport does not start with IPv6 merely unchecked: bind it again, or disable IPv6 fully with "
            "state: disabled",
        )
    if parameters.hosts_loopback == EXCHANGE_2007:
        _refuse_hosts(parameters, state, work)


def _refuse_cutting(host: Host, parameters: Parameters, work: _Work) -> None:
    peer = _parsed(host.session.peer_address)
    losing = work.unbound()
    if not losing or parameters.allow_disconnect or not isinstance(peer, ipaddress.IPv6Address):
        return
    own = work.own_adapter()
    if peer.ipv4_mapped is None and (own is None or own in losing):
        raise Refusal("R5", f"the connection itself uses IPv6 ({peer}): connect over IPv4, or set allow_disconnect")


def _refuse_hosts(parameters: Parameters, state: State, work: _Work) -> None:
    build = state.system.build if state.system is not None else 0
    if (build not in _SERVER_2008 or not state.exchange_2007) and not parameters.allow_unsupported:
        raise Refusal(
            "R10",
            "the hosts file change is for Exchange 2007 SP1 before Update Rollup 4 on Windows Server 2008 only",
        )
    there, given = state.ipv4, parameters.hosts_ipv4_address
    if (given is None and len(there) != 1) or (given is not None and given not in there):
        raise Refusal("R11", f"hosts_ipv4_address: choose one of {', '.join(there) or 'none, the host has no IPv4'}")
    work.hosts()


def _warnings(parameters: Parameters, state: State, work: _Work) -> Iterator[str]:
    wanted = parameters.value
    if wanted is not None and wanted & components.NATIVE:
        controller = state.system is not None and state.system.ProductType == _DOMAIN_CONTROLLER
        if controller or "ClusSvc" in state.services:
            yield "failover clustering / LDAP over UDP on domain controllers depend on IPv6"
    if parameters.hosts_loopback == EXCHANGE_2007 and state.exchange_2007 and parameters.allow_unsupported:
        yield "not needed from Update Rollup 4 for SP1 on; undo with hosts_loopback: default after updating"
    written = ipv6_state.written_by(state.journal)
    if written is not None and state.interrupted is None and written.new != state.configured.effective:
        yield (
            f"an earlier run set DisabledComponents to {shown(written.new)}, now it is {state.configured.shown}: "
            "another writer, a Group Policy for example, changed it"
        )
    if work.target.kind is not None:
        yield f"DisabledComponents is {work.target.type_name}, which Windows ignores: IPv6 is enabled"
