# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a KMS host is brought to its goal: the steps, and the failures they can end in. For this collection only."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..errors import (
    CmdletFailed,
    ConnectionLost,
    ConnectionTrouble,
    Failure,
    FieldnotesError,
    MethodFailed,
    StepTimeout,
    VerificationFailed,
    WsmanFault,
)
from ..journal import Entry, utc_text
from ..win_error import describe
from ..windows import firewall, licensing, registry, services
from ..windows.licensing import Licence
from ..windows.operating_system import read_operating_system
from ..wsman.faults import OPERATION_TIMEDOUT
from . import kms_matrix
from .base import Findings, Host, Step
from .kms_needs import AWAITING, Needs, plain
from .kms_parameters import PARAMETER_OF, Parameters
from .kms_state import (
    OUR_RULE,
    PREDEFINED_RULE,
    Process,
    Published,
    State,
    choose,
    display_name,
    installation_groups,
    look_for_listener,
    publishing,
    read_service,
    read_system,
    zones_published,
)

_PROGRAM = r"%SystemRoot%\System32\sppsvc.exe"
_LOST_ACTIVATION_SECONDS, _PUBLISHING_SECONDS = 60.0, 60.0


class Steps:
    """The steps, and what they learn from one to the next."""

    def __init__(self, host: Host, parameters: Parameters, state: State, needs: Needs) -> None:
        self._host = host
        self._parameters = parameters
        self._state = state
        self._needs = needs
        self._service = state.service
        self._licence = state.licence
        self._enabled = state.enabled and not needs.installs
        self._deferred = list(needs.deferred)
        self._restarted = False
        self._reboot = False
        self._published_since: datetime.datetime | None = None
        self._deadline: float | None = None
        self.findings = Findings()

    def answer(self) -> Mapping[str, Any]:
        """What only the steps know."""
        known: dict[str, Any] = {"service_restarted": self._restarted, "deferred": self._deferred}
        return {**known, "reboot_required": True} if self._reboot else known

    def awaiting(self) -> Entry:
        """What stays in the journal until the service is started by somebody else."""
        process = self._state.process
        journalled = (self._state.journal or {}).get("process")
        return {
            "phase": AWAITING,
            "wanted": self._parameters.tail or self._state.tail,
            "process": journalled or (None if process is None else process.as_dict),
        }

    def steps(self) -> Iterable[Step]:
        """In the order an administrator would take them."""
        needs, parameters, state = self._needs, self._parameters, self._state
        # The journal names a service before those that depend on it.
        for name in state.stopped:
            yield Step(f"start service {name}, which an interrupted run stopped", lambda name=name: self._start(name))  # type: ignore[misc]
        if needs.installs:
            kind = "KMS host key" if parameters.present else "replacement key"
            yield self._install_step(f"install {kind} ending {parameters.tail}", may_restart=True)
        if needs.uninstalls:
            yield Step(
                f"uninstall KMS host key ending {state.tail}",
                self._uninstall,
                stays=f"The KMS host key ending {state.tail} is gone and cannot be restored",
            )
        if needs.records_version:
            yield Step("record KMS version", self._record_version)
        if needs.activates:
            yield Step("activate", self._activate)
        for name in needs.changed_settings:
            yield self._setting_step(name, needs.wanted[name])
        if needs.clears:
            yield from self._clearing_steps()
        if needs.changes_firewall:
            yield self._firewall_step()
        if needs.restart_due and parameters.restarts:
            yield self._restart_step()
        elif needs.looks_afterwards:
            yield self._look_step()
        starts_anew = parameters.restarts and (needs.restart_due or needs.looks_afterwards)
        if parameters.present and starts_anew and needs.will_be_enabled and not needs.goes_back:
            yield Step("wait until the SRV records are published", self._await_publishing, changes=False)

    def _left(self) -> float:
        """Seconds until the task's timeout, at least one."""
        now = self._host.clock.monotonic()
        if self._deadline is None:
            self._deadline = now + self._parameters.timeout
        return max(self._deadline - now, 1.0)

    def _start(self, name: str) -> None:
        self._host.wait(
            f"service {name} stops",
            lambda: services.find_state(self._host, name) != "Stop Pending",
            timeout=self._left(),
        )
        services.start(self._host, name, timeout=self._left())
        self._restarted = self._restarted or name == self._service.name

    # The key

    def _install_step(self, name: str, *, may_restart: bool) -> Step:
        return Step(
            name,
            lambda: self._install(name, may_restart=may_restart),
            stays=f"The key ending {self._parameters.tail} stays installed: the former key cannot be restored",
        )

    def _install(self, name: str, *, may_restart: bool) -> Sequence[Step] | None:
        key, tail = str(self._parameters.key), str(self._parameters.tail)
        try:
            try:
                licensing.install_key(self._host, self._service, key)
            except (ConnectionLost, WsmanFault) as error:
                if not _is_lost(error):
                    raise
                self._after_loss(error)
                if not self._was_installed(tail):
                    licensing.install_key(self._host, self._service, key)
            licensing.refresh(self._host, self._service)
        except (MethodFailed, WsmanFault) as error:
            code = licensing.code_of(error)
            if code == licensing.SL_E_INVALID_PRODUCT_KEY and may_restart and self._parameters.restarts:
                return [self._restart_step(again=True), self._install_step(name, may_restart=False)]
            raise self._install_failure(error, code) from error
        return None

    def _after_loss(self, error: FieldnotesError) -> None:
        if isinstance(error, ConnectionTrouble):
            self._host.session.reconnect()

    def _was_installed(self, tail: str) -> bool:
        """After a lost answer the key itself tells; where the old one has the same tail, nothing does."""
        found = self._read_licence()
        return found is not None and found.tail == tail != self._state.tail

    def _read_licence(self) -> Licence | None:
        if self._service.is_2008:
            # There the service, not the licence, says whether this is a KMS host.
            self._service = read_service(self._host)
        licences = licensing.read_licences(self._host, self._service, self._parameters.activation_id)
        self._enabled = any(licence.kms_enabled for licence in licences)
        return choose(licences, self._parameters)

    def _install_failure(self, error: FieldnotesError, code: int | None) -> FieldnotesError:
        if code == licensing.SL_E_INVALID_PRODUCT_KEY:
            also = ", also after the licensing service was restarted" if self._parameters.restarts else ""
            remedy = "" if self._parameters.restarts else " (restart_service: never kept it from being loaded anew)"
            return Failure(
                "E1",
                f"Windows does not accept the key (0xC004F050){also}. Either it is mistyped, or it is for a Windows "
                f"newer than this host can hold: install the update of the table, restart, run again{remedy}",
            )
        if code == licensing.SL_E_PRODUCT_SKU_NOT_INSTALLED:
            system = self._state.system or read_system(self._host)
            line = kms_matrix.matrix_line(system)
            return Failure("E2", f"0xC004F015: KMS host key of another edition or group: {line}")
        return failure_of(error, code)

    def _uninstall(self) -> None:
        if self._licence is not None:
            licensing.uninstall(self._host, self._licence.id)
            licensing.refresh(self._host, self._service)

    def _record_version(self) -> None:
        """Errors: Failure E7, where the installed key turns out to make no KMS host."""
        if self._needs.installs:
            self._licence = self._read_licence()
            if self._licence is None or not self._licence.is_kms_host_key:
                raise _no_kms_host_key(self._licence)
        self._write_version()

    def _write_version(self) -> None:
        """Writes the value that says whether the version is recorded last, so that it speaks for both places."""
        version, name = self._service.version, licensing.VERSION_VALUE
        if not self._service.is_2008 and registry.values(self._host, licensing.WOW_SETTINGS) is not None:
            registry.write_string(self._host, licensing.WOW_SETTINGS, name, version)
        registry.write_string(self._host, self._service.key, name, version)

    # Activation

    def _activate(self) -> None:
        licence = self._licence
        if licence is None:
            raise VerificationFailed(f"{self._parameters.product} shows no key to activate")
        self._host.tell(f"activating {licence.name}")
        if self._parameters.activation == "phone":
            self._deposit(licence)
        elif not (self._needs.activating and self._licensed_within(licence, _LOST_ACTIVATION_SECONDS)):
            self._activate_online(licence)
        self._host.wait(
            "Windows calls the product licensed",
            lambda: self._status(licence) == licensing.LICENSED,
            timeout=self._left(),
            detail=lambda: "ask for the license status with kms_host_info",
        )
        self._licence = self._read_licence()

    def _activate_online(self, licence: Licence) -> None:
        """A repeated call can use up one of the few activations of a key, so a lost one is waited for."""
        self.findings.note(activating=utc_text(self._host.clock.now()))
        if self._call_activate(licence.id) or self._licensed_within(licence, _LOST_ACTIVATION_SECONDS):
            return
        if not self._call_activate(licence.id):
            self._licensed_within(licence, _LOST_ACTIVATION_SECONDS)

    def _call_activate(self, licence_id: str) -> bool:
        """Whether the answer came. Errors: Failure E2 to E9."""
        try:
            licensing.activate(self._host, licence_id)
            licensing.refresh(self._host, self._service)
        except (ConnectionLost, MethodFailed, WsmanFault) as error:
            if _is_lost(error):
                self._after_loss(error)
                return False
            raise failure_of(error, licensing.code_of(error)) from error
        return True

    def _deposit(self, licence: Licence) -> None:
        installation_id = licensing.read_installation_id(self._host, licence.id)
        try:
            licensing.deposit(self._host, licence.id, installation_id, str(self._parameters.confirmation_id))
            licensing.refresh(self._host, self._service)
        except (MethodFailed, WsmanFault) as error:
            code = licensing.code_of(error)
            if code == licensing.SL_E_CIDIID_INVALID_DATA:
                raise Failure(
                    "E6",
                    "confirmation ID refused (0xC004F02C): it belongs to another installation ID; the current one is "
                    f"{' '.join(installation_groups(installation_id))}",
                ) from error
            raise failure_of(error, code) from error

    def _status(self, licence: Licence) -> int | None:
        return licensing.read_status(self._host, licence.id)

    def _licensed_within(self, licence: Licence, seconds: float) -> bool:
        try:
            self._host.wait(
                "waiting for an activation whose answer was lost",
                lambda: self._status(licence) == licensing.LICENSED,
                timeout=min(seconds, self._left()),
            )
        except StepTimeout:
            return False
        return True

    # Settings

    def _setting_step(self, name: str, wanted: Any) -> Step:
        old = self._state.settings[name]
        words = {
            "port": f"set listening port from {old} to {wanted}",
            "publishing": f"switch DNS publishing {'on' if wanted else 'off'}",
            "zones": f"set DNS publish list to {plain(wanted)}" if wanted else "remove DNS publish list",
            "priority": f"switch low priority {'on' if wanted else 'off'}",
            "activation_interval": f"set activation interval from {old} to {wanted} minutes",
            "renewal_interval": f"set renewal interval from {old} to {wanted} minutes",
        }
        return Step(words[name], lambda: self._set_or_defer(name, wanted), lambda: self._take_back(name))

    def _set_or_defer(self, name: str, wanted: Any) -> Sequence[Step] | None:
        if not self._enabled and not self._needs.goes_back:
            parameter = PARAMETER_OF.get(name, name)
            self._deferred.append(parameter)
            self.findings.warnings.append(f"{parameter}: set by the run that finds the KMS host activated")
            return ()
        self._set(name, wanted)
        return None

    def _set(self, name: str, value: Any) -> None:
        host, service = self._host, self._service
        setters: dict[str, Callable[[Any], None]] = {
            "port": lambda v: licensing.set_port(host, service, v),
            "publishing": lambda v: licensing.set_publishing(host, service, v),
            "zones": lambda v: self._write_zones(tuple(zone.text for zone in v) or None),
            "priority": lambda v: licensing.set_low_priority(host, service, v),
            "activation_interval": lambda v: licensing.set_activation_interval(host, service, v),
            "renewal_interval": lambda v: licensing.set_renewal_interval(host, service, v),
        }
        setters[name](value)

    def _write_zones(self, zones: tuple[str, ...] | None) -> None:
        if zones is None:
            registry.delete_value(self._host, self._service.key, licensing.PUBLISH_LIST)
        else:
            registry.write_strings(self._host, self._service.key, licensing.PUBLISH_LIST, zones)

    def _take_back(self, name: str) -> None:
        if name == "zones":
            self._write_zones(self._state.zones)
        elif name == "port":
            licensing.set_port(self._host, self._service, self._state.service.port)
        else:
            self._set(name, self._state.settings[name])

    def _clearing_steps(self) -> Iterable[Step]:
        state = self._state
        if state.recorded:
            yield Step("remove recorded KMS version", self._forget_version, self._write_version)
        if state.service.port:
            yield Step("clear listening port", lambda: self._set("port", 0), lambda: self._take_back("port"))
        if state.listed:
            yield Step("remove DNS publish list", lambda: self._set("zones", ()), lambda: self._take_back("zones"))

    def _forget_version(self) -> None:
        """Deletes the value that says whether the version is recorded last."""
        keys = [self._service.key] if self._service.is_2008 else [licensing.WOW_SETTINGS, self._service.key]
        for key in keys:
            try:
                registry.delete_value(self._host, key, licensing.VERSION_VALUE)
            except MethodFailed as error:
                if error.value != registry.DENIED:
                    raise

    # Firewall

    def _firewall_step(self) -> Step:
        if self._parameters.present and self._parameters.firewall == "open":
            port = self._needs.port
            return Step(f"open firewall for TCP {port}", lambda: self._open_firewall(port), self._restore_firewall)
        return Step("close firewall", self._close_firewall, self._restore_firewall)

    def _open_firewall(self, port: int) -> None:
        state, profiles = self._state.firewall, self._parameters.firewall_profiles
        if state is None:
            return
        if state.by_netsh:
            firewall.netsh_open(self._host, self._directory, OUR_RULE, port, profiles)
        elif state.uses_predefined(port):
            firewall.set_rule(self._host, PREDEFINED_RULE, enabled=True, profiles=profiles)
            if state.has_our_rule:
                firewall.remove_rule(self._host, OUR_RULE)
        else:
            self._replace_our_rule(port, profiles, there=state.has_our_rule)

    def _replace_our_rule(self, port: int, profiles: Sequence[str], *, there: bool) -> None:
        if there:
            firewall.remove_rule(self._host, OUR_RULE)
        try:
            firewall.add_rule(self._host, OUR_RULE, display_name(port), port, _PROGRAM, profiles)
        except CmdletFailed:
            # Another run may have made a rule of this name in between; what else fails fails again.
            firewall.remove_rule(self._host, OUR_RULE)
            firewall.add_rule(self._host, OUR_RULE, display_name(port), port, _PROGRAM, profiles)

    def _close_firewall(self) -> None:
        state = self._state.firewall
        if state is None:
            return
        if state.by_netsh:
            firewall.netsh_close(self._host, self._directory, OUR_RULE)
            return
        if state.has_our_rule:
            firewall.remove_rule(self._host, OUR_RULE)
        predefined = state.rules.get(PREDEFINED_RULE)
        if self._parameters.firewall == "closed" and predefined is not None and predefined.is_enabled:
            firewall.set_rule(self._host, PREDEFINED_RULE, enabled=False)

    def _restore_firewall(self) -> None:
        state = self._state.firewall
        if state is None:
            return
        if state.by_netsh:
            if state.netsh_port:
                firewall.netsh_open(
                    self._host, self._directory, OUR_RULE, state.netsh_port, self._parameters.firewall_profiles
                )
            else:
                firewall.netsh_close(self._host, self._directory, OUR_RULE)
            return
        predefined, ours = state.rules.get(PREDEFINED_RULE), state.rules.get(OUR_RULE)
        if predefined is not None:
            profiles = predefined.profile_names
            firewall.set_rule(self._host, PREDEFINED_RULE, enabled=predefined.is_enabled, profiles=profiles)
        firewall.remove_rule(self._host, OUR_RULE)
        if ours is not None:
            port = re.search(r"\d+", ours.DisplayName or "")
            self._replace_our_rule(int(port[0]) if port else self._state.port, ours.profile_names, there=False)

    @property
    def _directory(self) -> str:
        """Known wherever netsh is needed: the same Windows needs netstat."""
        return self._state.windows_directory or read_operating_system(self._host).WindowsDirectory

    # The service

    def _restart_step(self, *, again: bool = False) -> Step:
        return Step("restart licensing service", lambda: self._restart(again=again))

    def _look_step(self) -> Step:
        if self._parameters.present:
            return Step("restart licensing service if nothing listens", lambda: self._look(restart_if=False))
        return Step("restart licensing service if it still listens", lambda: self._look(restart_if=True))

    def _look(self, *, restart_if: bool) -> Sequence[Step]:
        if self._listening() is not restart_if:
            return ()
        if self._parameters.restarts:
            return (self._restart_step(),)
        self._leave_for_later("")
        return ()

    def _listening(self) -> bool | None:
        port = self._needs.port if self._parameters.present else self._state.port
        return look_for_listener(self._host, port, self._state.windows_directory)[0]

    def _leave_for_later(self, why: str) -> None:
        self._reboot = True
        self.findings.keep = self.awaiting()
        self.findings.warnings.append(
            f"the licensing service could not be restarted ({why}): restart it or the machine"
            if why
            else f"service {self._service.name} has to start anew: restart it or the machine"
        )

    def _restart(self, *, again: bool) -> Sequence[Step] | None:
        """Errors: StepTimeout where it does not stop or does not come back."""
        host, name = self._host, self._service.name
        stopped: list[str] = []

        def stopping(service: str) -> None:
            stopped.append(service)
            self.findings.note(stopped=stopped)

        try:
            services.start_again(
                host, services.stop(host, name, timeout=self._left(), stopping=stopping), timeout=self._left()
            )
        except MethodFailed as error:
            self.findings.note(stopped=[])
            if again:
                raise
            self._leave_for_later(str(error.value))
            return ()
        self._restarted = True
        started = services.find_service(host, name)
        process_id = 0 if started is None else started.ProcessId or 0
        self._published_since = services.process_started(host, process_id)
        created = None if self._published_since is None else utc_text(self._published_since)
        if again:
            # The key comes after this start, so the journal counts from here.
            self.findings.note(stopped=[], process=Process(process_id, created).as_dict)
            return None
        self.findings.note(stopped=[])
        if self._enabled and self._parameters.present:
            self._await_listener()
        return None

    def _await_listener(self) -> None:
        try:
            self._host.wait(
                f"the KMS listens on TCP {self._needs.port}",
                lambda: self._listening() is not False,
                timeout=self._left(),
            )
        except StepTimeout:
            return  # the verification says so, with what it sees

    def _await_publishing(self) -> Sequence[Step] | None:
        """Warns of zones without a record; publishing is the work of DNS servers, and no reason to fail."""
        wanted = self._needs.wanted["publishing"]
        publishes = self._service.publishing if wanted is None else wanted
        since = self._published_since
        if not publishes or not self._restarted or not self._enabled or since is None:
            return ()
        zones = self._zones()
        if not zones:
            return ()
        found: dict[str, Published] = {}

        def all_told() -> bool:
            found.update(publishing(self._host, since))
            return all(zone in found for zone in zones)

        try:
            self._host.wait(
                "the SRV records are published", all_told, timeout=min(_PUBLISHING_SECONDS, self._left()), interval=5.0
            )
        except StepTimeout:
            missing = ", ".join(zone for zone in zones if zone not in found)
            self.findings.warnings.append(f"Windows has not told within a minute that it published in {missing}")
        for zone in zones:
            if zone in found and found[zone].code is not None:
                self.findings.warnings.append(_publishing_failed(zone, str(found[zone].code)))
        return None

    def _zones(self) -> list[str]:
        """The host's own domain, which is always published, and the list."""
        own = self._host.cim.query_one(licensing.Membership)
        listed = self._needs.wanted["zones"] if "zones" in self._needs.changed_settings else self._state.publish_list
        return zones_published(own, listed)


def _is_lost(error: FieldnotesError) -> bool:
    """Whether the answer does not tell what became of the request."""
    return isinstance(error, ConnectionLost) or (isinstance(error, WsmanFault) and error.number == OPERATION_TIMEDOUT)


def _no_kms_host_key(licence: Licence | None) -> Failure:
    if licence is not None and licence.is_kms_client_key:
        return Failure(
            "E7",
            "the installed key is a KMS client key (VOLUME_KMSCLIENT): a GVLK makes a client, give the KMS host key",
        )
    what = "nothing" if licence is None else licence.description
    return Failure("E7", f"the installed key makes no KMS host ({what}): give the KMS host key")


_REJECTED = (
    licensing.SL_E_CHPA_PRODUCT_KEY_OUT_OF_RANGE,
    licensing.SL_E_CHPA_PRODUCT_KEY_BLOCKED,
    licensing.SL_E_BLOCKED_PRODUCT_KEY,
    licensing.SL_E_VL_NOT_WINDOWS_SLP,
)
_PROXY_AUTHENTICATION = 0x8004FE33


def failure_of(error: FieldnotesError, code: int | None) -> FieldnotesError:
    """E3 to E9 for a licensing error; the error itself for one that the reference does not name."""
    if code is None:
        return error
    if code == licensing.SL_E_PKEY_NOT_INSTALLED:
        return Failure("E3", "0xC004F014: Windows holds no product key for this product: give product_key")
    if code == licensing.SL_E_CHPA_MAXIMUM_UNLOCK_EXCEEDED:
        return Failure(
            "E4",
            "activation limit of this KMS host key is reached (0xC004C008): ask the Activation Center for more, or use "
            "activation: phone",
        )
    if code in _REJECTED:
        return Failure("E5", f"{describe(code)}: rejected; check the key with the volume licence portal")
    if code == licensing.SL_E_VL_BINDING_SERVICE_UNAVAILABLE:
        return Failure(
            "E7",
            "the installed key is a KMS client key (VOLUME_KMSCLIENT): a GVLK makes a client, give the KMS host key "
            "(0xC004F074)",
        )
    if code & 0xFFFFFF00 == 0x80072E00 or code == _PROXY_AUTHENTICATION:
        return Failure(
            "E9",
            f"the activation service on the Internet cannot be reached ({describe(code)}): allow it through the proxy "
            "or use activation: phone",
        )
    if isinstance(error, MethodFailed):
        return FieldnotesError(f"{error} ({describe(code)})")
    return error


def _publishing_failed(zone: str, code: str) -> str:
    return (
        f"publishing in {zone} failed ({code}): another KMS host owns the record: give the KMS hosts' group write "
        "access to it, or use kms_srv_record"
    )
