# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A machine that activates others: its key, its activation, what it publishes. For this collection only.

https://learn.microsoft.com/en-us/windows-server/get-started/kms-create-host
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..errors import FieldnotesError, InsecureConnection, Refusal
from ..journal import Entry, Journal
from ..windows import licensing, registry, services
from . import kms_matrix
from .base import Host, JournalPlan, Plan
from .kms_matrix import HostSystem
from .kms_needs import Needs, plain, same
from .kms_parameters import PARAMETER_OF, Parameters, parameters_of
from .kms_state import (
    LICENCE_KEYS,
    State,
    choose,
    disabled,
    installation_groups,
    licence_result,
    look_for_listener,
    read_firewall,
    read_missing,
    read_process,
    read_service,
    read_system,
    shown_settings,
    status_name,
    still_stopped,
    with_zones,
)
from .kms_steps import Steps


class KmsHost:
    """Module ``kms_host``."""

    module = "kms_host"

    def parameters(self, arguments: Mapping[str, Any]) -> Parameters:
        """Errors: Refusal R2, R10, R11, R15, R19."""
        return parameters_of(arguments)

    def journal(self, host: Host, parameters: Parameters) -> Journal:
        """One per host. No request is made where a key would travel in clear. Errors: Refusal R13."""
        try:
            if parameters.key is not None:
                host.session.require_confidentiality("the product key")
            elif parameters.confirmation_id is not None:
                host.session.require_confidentiality("the confirmation ID")
        except InsecureConnection as error:
            raise Refusal("R13", str(error)) from error
        return host.journal(self.module)

    def observe(self, host: Host, parameters: Parameters, journal: Entry | None) -> State:
        """Errors: Refusal R1, R7, R12, R14."""
        stopped = still_stopped(host, journal)
        service = read_service(host)
        licences = tuple(licensing.read_licences(host, service, parameters.activation_id))
        port = service.port or licensing.DEFAULT_PORT
        listening, windows_directory = look_for_listener(host, port)
        # One request tells of both values whether they are there.
        names = {name.lower() for name in registry.values(host, service.key) or ()}
        state = State(
            service=service,
            licences=licences,
            licence=choose(licences, parameters),
            listed=licensing.PUBLISH_LIST.lower() in names,
            recorded=licensing.VERSION_VALUE.lower() in names,
            listening=listening,
            windows_directory=windows_directory,
            stopped=stopped,
            journal=journal,
        )
        if parameters.settings["zones"] is not None or not parameters.present or journal is not None:
            state = with_zones(host, state)
        needs = Needs(parameters, state)
        if needs.firewall:
            state = replace(state, firewall=read_firewall(host, windows_directory))
        if needs.installation_id and state.licence is not None:
            state = replace(state, installation_id=licensing.read_installation_id(host, state.licence.id))
        if parameters.present and (parameters.key_group or needs.updates):
            system = read_system(host)
            updates = parameters.activates if needs.updates else ()
            missing = read_missing(host, system, updates, office=parameters.office)
            state = replace(state, system=system, missing=missing)
        needs = Needs(parameters, state)
        if needs.clears and (needs.installs or needs.uninstalls):
            state = replace(state, membership=host.cim.query_one(licensing.Membership))
        if needs.changes or journal is not None:
            state = with_zones(host, state)
            found = services.find_service(host, service.name)
            if found is not None:
                process = read_process(host, found.ProcessId or 0)
                state = replace(state, start_mode=found.StartMode, process=process)
        return state

    def plan(self, host: Host, parameters: Parameters, state: State) -> Plan:
        """Errors: Refusal R3 to R6, R8, R9, R14; FieldnotesError for a journal that fits no key."""
        needs = Needs(parameters, state)
        _refuse(parameters, state, needs)
        run = Steps(host, parameters, state, needs)
        steps = tuple(run.steps())
        changes = any(step.changes for step in steps)
        awaiting = needs.restart_due and not parameters.restarts
        kept = awaiting and (changes or state.journal is not None)
        return Plan(
            steps=steps,
            goal=_goal(parameters, state, needs),
            warnings=tuple(_warnings(parameters, state, needs)),
            journal=JournalPlan(
                needs.journal_content() if changes else None,
                keep=run.awaiting() if kept else None,
            ),
            reboot_required=awaiting,
            extra={
                "service_restarted": False,
                "deferred": needs.deferred,
                "replaced_partial_product_key": state.tail if needs.installs and state.tail else None,
            },
            answer=run.answer,
            findings=run.findings,
            unsure=(_UNSURE,) if needs.installs else (),
        )

    def report(self, parameters: Parameters, state: State) -> Mapping[str, Any]:
        """The managed state."""
        return {
            "partial_product_key": state.tail,
            "license_status_name": status_name(state.licence),
            **shown_settings(state.settings),
            "firewall": _firewall_word(parameters, state, state.port),
        }

    def result(self, parameters: Parameters, state: State) -> Mapping[str, Any]:
        """What the host is."""
        known = licence_result(state.licence) if state.licence is not None else dict.fromkeys(LICENCE_KEYS)
        result = {
            **known,
            "listening": state.listening,
            **{name: value for name, value in shown_settings(state.settings).items() if not name.endswith("interval")},
        }
        if state.installation_id is not None:
            result["installation_id"] = state.installation_id
            result["installation_id_groups"] = installation_groups(state.installation_id)
        return result

    def shown(self, parameters: Parameters, report: Mapping[str, Any]) -> Mapping[str, Any]:
        """The key, its state, and the settings that the task gives."""
        given = {PARAMETER_OF.get(name, name) for name, value in parameters.settings.items() if value is not None}
        if parameters.firewall != "unmanaged":
            given.add("firewall")
        names = ("partial_product_key", "license_status_name")
        return {name: value for name, value in report.items() if name in names or name in given}

    def verify(self, parameters: Parameters, before: State, after: State) -> Iterable[str]:
        """What of the goal is not there, each with what is there instead."""
        needs = Needs(parameters, before)
        if not parameters.present:
            if after.is_kms_host_key:
                yield f"key ending {after.tail} is still a KMS host key"
            return
        if parameters.tail is not None and after.tail != parameters.tail:
            yield f"the key ending {after.tail} is installed after installing the one ending {parameters.tail}"
        if needs.activates and (after.licence is None or after.licence.status != licensing.LICENSED):
            yield f"the license status is {status_name(after.licence)} after the activation"
        if needs.activates and after.licence is not None and not after.licence.kms_enabled:
            yield "the host is licensed, but Windows does not call it a KMS host"
        if after.enabled:
            for name, wanted in needs.wanted.items():
                actual = after.settings[name]
                if wanted is not None and not same(name, wanted, actual):
                    yield f"{PARAMETER_OF.get(name, name)} is {plain(actual)} after setting {plain(wanted)}"
        port = after.port
        rules = after.firewall
        if parameters.firewall == "open" and rules and not rules.is_open(port, parameters.firewall_profiles):
            yield f"the firewall does not let TCP {port} in as wanted"
        if parameters.firewall == "closed" and rules and not rules.is_closed:
            yield f"the firewall still lets TCP {port} in"
        if after.enabled and after.listening is False and before.process != after.process:
            yield f"nothing listens on TCP {port} after the licensing service was restarted"


_UNSURE = "whether Windows accepts the key, and the activation service after it, shows only when it is installed"


def _firewall_word(parameters: Parameters, state: State, port: int) -> str | None:
    if state.firewall is None or parameters.firewall == "unmanaged":
        return None
    return state.firewall.word(port, parameters.firewall_profiles)


def _refuse(parameters: Parameters, state: State, needs: Needs) -> None:
    """The refusals that need the state, in the order of the reference. Errors: Refusal, FieldnotesError."""
    if needs.strange_key:
        raise FieldnotesError(
            f"key ending {state.tail} is neither the old nor the wanted one; someone else changed it: "
            "remove journal entry kms_host after checking"
        )
    if not parameters.present:
        _refuse_disabled(state, needs)
        return
    if parameters.product_key is None and not state.is_kms_host_key and not needs.goes_back:
        raise Refusal("R3", f"no KMS host key is installed for {parameters.product}: give product_key")
    licence = state.licence
    if (
        needs.installs
        and licence is not None
        and state.is_kms_host_key
        and licence.status == licensing.LICENSED
        and licence.tail != parameters.tail
        and not parameters.replace_existing
    ):
        raise Refusal(
            "R4",
            f"KMS host key ending {licence.tail} is installed and licensed; installing another one replaces it for "
            "good (the old key cannot be read back). Set replace_existing",
        )
    if state.system is not None and parameters.key_group is not None:
        verdict = kms_matrix.key_verdict(parameters.key_group, state.system)
        if verdict.is_refused:
            raise Refusal(verdict.refusal, verdict.text)
    if state.system is not None and needs.updates:
        _refuse_updates(parameters, state, state.system)
    _refuse_disabled(state, needs)


def _refuse_updates(parameters: Parameters, state: State, system: HostSystem) -> None:
    certain = [update for update in state.missing if update.certain]
    if parameters.update_check == "require" and certain and not kms_matrix.lacks_service_pack(system):
        raise Refusal("R8", kms_matrix.missing_text(system, certain[0]))
    if kms_matrix.lacks_service_pack(system):
        raise Refusal(
            "R9",
            "KB968912 needs service pack 2: install it first (without it the update says it does not apply to the "
            "system)",
        )


def _refuse_disabled(state: State, needs: Needs) -> None:
    if needs.changes and state.start_mode == "Disabled":
        raise disabled(state.service.name)


def _warnings(parameters: Parameters, state: State, needs: Needs) -> Iterable[str]:
    if state.system is not None:
        yield from kms_matrix.preflight(parameters.key_group, state.system, state.missing, parameters.activates)
    if needs.deferred:
        yield f"{', '.join(needs.deferred)}: set by the run that finds the KMS host activated"
    by_phone = parameters.present and parameters.activation == "phone"
    if by_phone and not needs.licensed and parameters.confirmation_id is None:
        yield "waiting for confirmation_id"
    if needs.restart_due and not parameters.restarts:
        yield (
            f"what was changed takes effect when service {state.service.name} starts the next time: restart it, or the "
            "machine"
        )
    if state.membership is not None and state.service.publishing and state.published_zones:
        own = state.membership
        target = ".".join(
            part for part in (own.DNSHostName or own.Name, own.Domain if own.PartOfDomain else None) if part
        )
        zones = ", ".join(state.published_zones)
        yield (
            f"Windows does not withdraw the SRV records that it published in {zones}: remove them on a DNS server with "
            f"kms_srv_record, state: absent, zones: [{zones}], target: {target.lower()}"
        )
    if state.firewall is not None and state.firewall.by_netsh and parameters.firewall != "unmanaged":
        yield "this Windows does not tell the profiles of a firewall rule: firewall_profiles counts only for a new rule"


def _goal(parameters: Parameters, state: State, needs: Needs) -> dict[str, Any]:
    settings = {**state.settings, **{name: needs.wanted[name] for name in needs.changed_settings}}
    tail, status = state.tail, status_name(state.licence)
    if needs.installs:
        # What Windows makes of a key that was just installed cannot be foretold.
        tail, status = parameters.tail, None
    if needs.uninstalls:
        tail, status = None, None
    if needs.clears:
        settings.update(port=licensing.DEFAULT_PORT, zones=())
    word = None if parameters.firewall == "unmanaged" else parameters.firewall
    return {
        "partial_product_key": tail,
        "license_status_name": "licensed" if needs.activates else status,
        **shown_settings(settings),
        "firewall": word,
    }
