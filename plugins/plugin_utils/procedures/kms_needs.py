# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is to be done on a KMS host: where it differs from the goal, an interrupted run taken into account. No request.

For this collection only.
"""

from __future__ import annotations

from typing import Any

from ..journal import Entry
from ..windows import licensing
from ..windows.licensing import Licence
from .kms_parameters import PARAMETER_OF, SETTINGS, Parameters, Zone, zone_of
from .kms_state import FirewallState, State

AWAITING = "awaiting_service_start"


def same(name: str, wanted: Any, actual: Any) -> bool:
    return set(wanted) == set(actual or ()) if name == "zones" else bool(wanted == actual)


def plain(value: Any) -> str:
    return "; ".join(zone.text for zone in value) or "empty" if isinstance(value, tuple) else str(value)


class Needs:
    """What differs from the goal, an interrupted run's journal taken into account. No request."""

    def __init__(self, parameters: Parameters, state: State) -> None:
        self._parameters = parameters
        self._state = state
        self._journal = state.journal
        self.awaits = (state.journal or {}).get("phase") == AWAITING
        self._interrupted: Entry = {} if self.awaits or state.journal is None else state.journal

    @property
    def goes_back(self) -> bool:
        """Whether an interrupted run had not installed its key yet, and this run does not want it either."""
        journal = self._interrupted
        found = (journal.get("found") or {}).get("tail")
        return (
            journal.get("wanted") is not None
            and self._state.tail == found != journal.get("wanted")
            and self._parameters.product_key is None
            and self._parameters.present
        )

    @property
    def strange_key(self) -> bool:
        """Whether the key is neither the one an interrupted run found nor the one it wanted."""
        journal = self._interrupted
        if not journal:
            return False
        known = [(journal.get("found") or {}).get("tail"), journal.get("wanted")]
        return self._state.tail not in known and not (self._state.tail is None and journal.get("state") == "absent")

    @property
    def installs(self) -> bool:
        """Whether a key is to be installed."""
        parameters, state = self._parameters, self._state
        if parameters.key is None:
            return False
        if not parameters.present:
            return state.is_kms_host_key
        if state.tail != parameters.tail or not state.is_kms_host_key:
            return True
        # What an interrupted run has just installed is not installed again.
        journal = self._interrupted
        just = journal.get("wanted") == state.tail != (journal.get("found") or {}).get("tail")
        return parameters.force_install and not just

    @property
    def uninstalls(self) -> bool:
        """Whether the key goes and nothing takes its place."""
        return not self._parameters.present and self._parameters.key is None and self._state.is_kms_host_key

    @property
    def licensed(self) -> bool:
        """Whether the product is licensed and stays so."""
        licence = self._state.licence
        return licence is not None and licence.status == licensing.LICENSED and not self.installs

    @property
    def activates(self) -> bool:
        """Whether the product is to be activated."""
        parameters = self._parameters
        if not parameters.present or self.licensed or self.goes_back:
            return False
        return parameters.activation == "online" or (
            parameters.activation == "phone" and parameters.confirmation_id is not None
        )

    @property
    def installation_id(self) -> bool:
        """Whether somebody has to telephone."""
        parameters, licence = self._parameters, self._state.licence
        return (
            parameters.present
            and parameters.activation == "phone"
            and parameters.confirmation_id is None
            and licence is not None
            and licence.status != licensing.LICENSED
            and not self.installs
        )

    @property
    def updates(self) -> bool:
        """Whether updates are to be looked for."""
        return bool(self._parameters.activates) and self._parameters.update_check != "skip"

    @property
    def others(self) -> list[Licence]:
        """The other products' KMS host keys; the shared settings belong to them too."""
        own = self._state.licence
        return [each for each in self._state.licences if each.tail and each.is_kms_host_key and each is not own]

    @property
    def clears(self) -> bool:
        """Whether no KMS host key will be left, so that what belongs to KMS hosts goes."""
        return not self._parameters.present and not self.others

    @property
    def records_version(self) -> bool:
        """Whether monitoring has to be told that this is a KMS host."""
        if not self._parameters.present or self.goes_back:
            return False
        return self.installs or (self._state.is_kms_host_key and not self._state.recorded)

    @property
    def wanted(self) -> dict[str, Any]:
        """The settings of this run; else those of an interrupted run, or what it found where it is taken back."""
        given = dict(self._parameters.settings)
        if not self._parameters.present:
            return dict.fromkeys(SETTINGS)
        if not self._interrupted:
            return given
        goal = self._interrupted.get("goal") or {}
        before = self._interrupted.get("before") or {}
        for name in SETTINGS:
            if given[name] is None and goal.get(name) is not None:
                value = before.get(name) if self.goes_back else goal[name]
                given[name] = _zones_from_journal(value) if name == "zones" else value
        return given

    @property
    def differing(self) -> list[str]:
        """The settings that are not as wanted."""
        actual = self._state.settings
        return [
            name for name, value in self.wanted.items() if value is not None and not same(name, value, actual[name])
        ]

    @property
    def will_be_enabled(self) -> bool:
        """Whether this will be an activated KMS host when the settings' turn comes, as far as can be told."""
        own = self._state.licence
        kept = [each for each in self._state.licences if not (self.installs and each is own)]
        return self.activates or any(each.kms_enabled for each in kept)

    @property
    def changed_settings(self) -> list[str]:
        """The settings that this run changes."""
        return self.differing if self.will_be_enabled or self.goes_back else []

    @property
    def deferred(self) -> list[str]:
        """The settings that wait for activation, by their parameters."""
        return [] if self.changed_settings else [PARAMETER_OF.get(name, name) for name in self.differing]

    @property
    def port(self) -> int:
        """The effective port after this run."""
        port: int = self.wanted["port"] if "port" in self.changed_settings else self._state.port
        return port

    @property
    def firewall(self) -> bool:
        """Whether rules are to be read."""
        return self._parameters.firewall != "unmanaged" or self.clears

    @property
    def changes_firewall(self) -> bool:
        """Whether rules are to be changed."""
        state, parameters = self._state.firewall, self._parameters
        if state is None:
            return False
        if self.clears and parameters.firewall != "closed":
            return state.has_our_rule
        if parameters.firewall == "closed":
            return not state.is_closed
        return parameters.present and not state.is_open(self.port, parameters.firewall_profiles)

    @property
    def same_process(self) -> bool:
        """Whether the service has not been started since the journal was written."""
        process = self._state.process
        return process is not None and process.as_dict == (self._journal or {}).get("process")

    @property
    def left_undone(self) -> bool:
        """Whether an interrupted or waiting run has changed what the service reads only when it starts."""
        if self._journal is None or not self.same_process:
            return False
        if self.awaits:
            return True
        before = self._interrupted.get("before") or {}
        actual = self._state.settings
        changed = [
            name for name in SETTINGS
            if name in before
            and not same(name, _zones_from_journal(before[name]) if name == "zones" else before[name], actual[name])
        ]  # fmt: skip
        return bool(changed) or self._state.tail != (self._interrupted.get("found") or {}).get("tail")

    @property
    def restart_due(self) -> bool:
        """Whether the service has to start anew, as far as can be told before anything is done."""
        if self.installs and self._parameters.present:
            return True
        if self.changed_settings or self.left_undone:
            return True
        return (
            self._parameters.present
            and self._state.enabled
            and self._state.listening is False
            and not self.activates
            and not self.goes_back
        )

    @property
    def clears_something(self) -> bool:
        """Whether something of a KMS host is there that goes with its last key."""
        state = self._state
        return self.clears and bool(state.recorded or state.service.port or state.listed)

    @property
    def looks_afterwards(self) -> bool:
        """Whether only a look for the listener after the other steps tells if the service has to start anew."""
        if self.restart_due:
            return False
        return self.activates or (self.clears and (self.installs or self.uninstalls or bool(self._state.listening)))

    @property
    def changes(self) -> bool:
        """Whether anything is to be changed."""
        return (
            self.installs
            or self.uninstalls
            or self.activates
            or self.records_version
            or bool(self.changed_settings)
            or self.changes_firewall
            or self.restart_due
            or self.clears_something
            or self.looks_afterwards
            or bool(self._state.stopped)
        )

    def journal_content(self) -> Entry:
        """What the next run needs to finish or to take back. Undo data of the first run stay."""
        state, parameters = self._state, self._parameters
        licence, journal = state.licence, self._interrupted
        before = {name: _to_journal(value) for name, value in state.settings.items()}
        before["zones"] = None if state.zones is None else list(state.zones)
        before["recorded"] = state.recorded
        before["firewall"] = _firewall_to_journal(state.firewall)
        found = {"tail": state.tail, "description": "" if licence is None else licence.description}
        goal = {name: _to_journal(value) for name, value in self.wanted.items()}
        process = None if state.process is None else state.process.as_dict
        return {
            "phase": "changing",
            "state": "present" if parameters.present else "absent",
            "product": "office" if parameters.office else "windows",
            "wanted": parameters.tail or journal.get("wanted"),
            "found": journal.get("found") or found,
            "before": journal.get("before") or before,
            "goal": goal,
            "process": journal.get("process") or process,
            "stopped": list(journal.get("stopped") or ()),
        }

    @property
    def activating(self) -> bool:
        """Whether an interrupted run has called Activate, whose effect may still come."""
        return bool(self._interrupted.get("activating"))


def _to_journal(value: Any) -> Any:
    return [zone.text for zone in value] if isinstance(value, tuple) else value


def _zones_from_journal(value: Any) -> tuple[Zone, ...]:
    return tuple(zone_of(str(text)) for text in value or ())


def _firewall_to_journal(state: FirewallState | None) -> dict[str, Any] | None:
    if state is None:
        return None
    rules = {
        name: {"enabled": rule.is_enabled, "profiles": list(rule.profile_names), "display_name": rule.DisplayName}
        for name, rule in state.rules.items()
    }
    return {"rules": rules, "netsh_port": state.netsh_port}
