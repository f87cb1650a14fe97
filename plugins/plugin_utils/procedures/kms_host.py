# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A machine that activates others: its key, its activation, what it publishes. For this collection only.

https://learn.microsoft.com/en-us/windows-server/get-started/kms-create-host
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ..errors import (
    ConnectionLost,
    ConnectionTrouble,
    Failure,
    FieldnotesError,
    InsecureConnection,
    MethodFailed,
    ProcessFailed,
    Refusal,
    StepTimeout,
    VerificationFailed,
    WsmanFault,
)
from ..journal import Entry, Journal, utc_text
from ..win_error import describe
from ..windows import eventlog, firewall, licensing, netstat, network, registry, services
from ..windows.licensing import Licence
from ..windows.operating_system import read_operating_system
from ..wsman.faults import OPERATION_TIMEDOUT, WBEM_E_INVALID_CLASS, WBEM_E_INVALID_NAMESPACE, is_access_denied
from ..wsman.wql import any_of
from . import kms_matrix
from .base import Findings, Host, Plan, Step
from .kms_matrix import HostSystem, Update

SERVER_2003_REFUSAL = (
    "Windows Server 2003 cannot be managed here and cannot activate Windows 8/Server 2012 or later: "
    "use a KMS host on Server 2008 R2 or later"
)
PREDEFINED_RULE, OUR_RULE = "SPPSVC-In-TCP", "fieldnotes-kms-in"
_PROGRAM = r"%SystemRoot%\System32\sppsvc.exe"
_OLDEST_BUILD = 6001
_LONGEST_INTERVAL, _SHORTEST_INTERVAL = 43200, 15
_LOST_ACTIVATION_SECONDS, _PUBLISHING_SECONDS = 60.0, 60.0
_AWAITING = "awaiting_service_start"
_WINDOWS_NT = registry.Key(r"SOFTWARE\Microsoft\Windows NT\CurrentVersion")

_SETTINGS = ("port", "publishing", "zones", "priority", "activation_interval", "renewal_interval")
"""What waits for a KMS host that is activated, by the names of the journal, in the order of the steps."""

_PARAMETER_OF = {"port": "listening_port", "publishing": "dns_publishing", "zones": "dns_publish_zones",
                 "priority": "low_priority"}  # fmt: skip


class Zone(NamedTuple):
    """A DNS zone that the host publishes in; domain in lower case, without the dot at its end."""

    domain: str
    priority: int = 0
    weight: int = 0

    @property
    def text(self) -> str:
        """As DnsDomainPublishList has it."""
        return f"{self.domain}, {self.priority}, {self.weight}"


def zone_of(text: str) -> Zone:
    """An entry of DnsDomainPublishList; numbers may be missing, and what is none counts as 0."""
    domain, *numbers = [part.strip() for part in text.split(",")]
    values = [int(number) if number.isdigit() else 0 for number in numbers[:2]]
    return Zone(domain.lower().rstrip("."), *values)


# Parameters


@dataclass(frozen=True)
class Parameters:
    """What the task asks for; None keeps what is there. Intervals in minutes, timeout in seconds."""

    present: bool
    product_key: str | None = field(repr=False)
    office: bool
    activation_id: str | None
    replace_existing: bool
    force_install: bool
    key_group: str | None
    activates: tuple[str, ...]
    update_check: str
    activation: str
    confirmation_id: str | None = field(repr=False)
    settings: Mapping[str, Any]
    firewall: str
    firewall_profiles: tuple[str, ...]
    restarts: bool
    replacement: str | None = field(repr=False)
    timeout: int

    @property
    def key(self) -> str | None:
        """The key that this run installs where another one is installed."""
        return self.product_key if self.present else self.replacement

    @property
    def tail(self) -> str | None:
        """The last five characters of that key, the only ones that are ever shown."""
        return None if self.key is None else self.key[-5:]

    @property
    def product(self) -> str:
        """For messages."""
        return f"Office ({self.activation_id})" if self.office else "Windows"


def _product_key(value: str | None, name: str) -> str | None:
    """The key in its normal form. Errors: Refusal R2, which never repeats what was given."""
    if value is None:
        return None
    key = re.sub(r"\s", "", value).upper()
    if not re.fullmatch(r"[A-Z0-9]{5}(-[A-Z0-9]{5}){4}", key):
        raise Refusal("R2", f"{name} is not a 5x5 product key (25 letters and digits in five groups)")
    return key


def _within(value: int | None, name: str, low: int, high: int, unit: str = "") -> int | None:
    if value is not None and not low <= value <= high:
        raise Refusal(name, f"{name} must be between {low} and {high}{unit}, got {value}")
    return value


def _zones(given: Sequence[Mapping[str, Any]] | None) -> tuple[Zone, ...] | None:
    """Errors: Refusal R15."""
    if given is None:
        return None
    zones: dict[str, Zone] = {}
    for each in given:
        domain = str(each["domain"])
        if re.search(r"[\s,]", domain) or not domain.strip("."):
            raise Refusal("R15", f"dns_publish_zones: {domain} is no domain: a blank or a comma cannot be in its name")
        zone = Zone(domain.lower().rstrip("."), int(each["priority"] or 0), int(each["weight"] or 0))
        if not (0 <= zone.priority <= 65535 and 0 <= zone.weight <= 65535):
            raise Refusal("R15", f"dns_publish_zones: {domain} needs a priority and a weight between 0 and 65535")
        if zones.setdefault(zone.domain, zone) != zone:
            raise Refusal("R15", f"dns_publish_zones: {domain} is there twice with different numbers")
    return tuple(zones.values())


def activation_id_of(value: str | None) -> str | None:
    """A GUID in lower case without braces. Errors: Refusal."""
    if value is None:
        return None
    text = value.strip().strip("{}").lower()
    if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text):
        raise Refusal("activation_id", f"activation_id {value} is not a GUID")
    return text


def _confirmation_id(value: str | None, activation: str) -> str | None:
    """Errors: Refusal R10."""
    if value is None:
        return None
    digits = re.sub(r"[\s-]", "", value)
    if activation != "phone" or not re.fullmatch(r"\d{48}", digits):
        raise Refusal("R10", "confirmation_id must have 48 digits and needs activation: phone")
    return digits


def _parameters(arguments: Mapping[str, Any]) -> Parameters:
    """Errors: Refusal R2, R10, R11, R15, R19."""
    present = arguments["state"] == "present"
    office = arguments["product"] == "office"
    activation_id = activation_id_of(arguments["activation_id"])
    if office and activation_id is None:
        raise Refusal("activation_id", "product: office needs activation_id, the Activation ID of the KMS host licence")
    if not office and activation_id is not None:
        raise Refusal("activation_id", "activation_id belongs to product: office")
    if office and arguments["key_group"] is not None:
        raise Refusal("R19", "key_group applies to Windows keys")
    product_key = _product_key(arguments["product_key"], "product_key")
    replacement = _product_key(arguments["replacement_product_key"], "replacement_product_key")
    if not present and replacement is None and not arguments["leave_unlicensed"]:
        raise Refusal(
            "R11",
            "removing the key leaves Windows unlicensed after the next restart: give replacement_product_key, or "
            "leave_unlicensed: true",
        )
    if arguments["firewall"] == "open" and not arguments["firewall_profiles"]:
        raise Refusal("firewall_profiles", "firewall: open needs at least one of firewall_profiles")
    interval = (_SHORTEST_INTERVAL, _LONGEST_INTERVAL, " minutes")
    return Parameters(
        present=present,
        product_key=product_key,
        office=office,
        activation_id=activation_id,
        replace_existing=arguments["replace_existing"],
        force_install=arguments["force_install"],
        key_group=arguments["key_group"],
        activates=tuple(arguments["activates"]),
        update_check=arguments["update_check"],
        activation=arguments["activation"],
        confirmation_id=_confirmation_id(arguments["confirmation_id"], arguments["activation"]),
        settings={
            "port": _within(arguments["listening_port"], "listening_port", 1, 65535),
            "publishing": arguments["dns_publishing"],
            "zones": _zones(arguments["dns_publish_zones"]),
            "priority": arguments["low_priority"],
            "activation_interval": _within(arguments["activation_interval"], "activation_interval", *interval),
            "renewal_interval": _within(arguments["renewal_interval"], "renewal_interval", *interval),
        },
        firewall=arguments["firewall"],
        firewall_profiles=tuple(p for p in firewall.PROFILES if p in arguments["firewall_profiles"]),
        restarts=arguments["restart_service"] == "auto",
        replacement=replacement,
        timeout=_within(arguments["timeout"], "timeout", 1, 86400, " seconds") or 1,
    )


# What is there


@dataclass(frozen=True)
class Process:
    """The process of the licensing service: another one means that the service was started since."""

    id: int
    created: str | None

    @property
    def as_dict(self) -> dict[str, Any]:
        """For the journal."""
        return {"id": self.id, "created": self.created}


@dataclass(frozen=True)
class FirewallState:
    """The rules that let clients in. netsh_port: of our rule on old Windows, 0 for none to be told; None: no rule."""

    rules: Mapping[str, firewall.FirewallRule] = field(default_factory=dict)
    by_netsh: bool = False
    netsh_port: int | None = None

    @property
    def has_our_rule(self) -> bool:
        """Whether the rule of this collection is there."""
        return self.netsh_port is not None if self.by_netsh else OUR_RULE in self.rules

    def is_open(self, port: int, profiles: Sequence[str]) -> bool:
        """Whether exactly what is wanted is open."""
        if self.by_netsh:
            return self.netsh_port == port
        wanted, unwanted = self._rules_for(port)
        rule = self.rules.get(wanted)
        fits = rule is not None and rule.is_enabled and rule.profile_names == tuple(profiles)
        if wanted == OUR_RULE:
            return fits and rule is not None and rule.DisplayName == _display_name(port)
        return fits and unwanted not in self.rules

    def _rules_for(self, port: int) -> tuple[str, str]:
        predefined = port == licensing.DEFAULT_PORT and PREDEFINED_RULE in self.rules
        return (PREDEFINED_RULE, OUR_RULE) if predefined else (OUR_RULE, PREDEFINED_RULE)

    def uses_predefined(self, port: int) -> bool:
        """Whether the rule that comes with Windows is the one for this port."""
        return not self.by_netsh and self._rules_for(port)[0] == PREDEFINED_RULE

    @property
    def is_closed(self) -> bool:
        """Whether neither rule lets anybody in."""
        predefined = self.rules.get(PREDEFINED_RULE)
        return not self.has_our_rule and (predefined is None or not predefined.is_enabled)

    def word(self, port: int, profiles: Sequence[str]) -> str:
        """For reports."""
        return "closed" if self.is_closed else "open" if self.is_open(port, profiles) else "other"


def _display_name(port: int) -> str:
    return f"Key Management Service (TCP {port})"


@dataclass(frozen=True)
class State:
    """What is there.

    licence: the one of the product, None without a key; listed, recorded: whether DnsDomainPublishList and
    KeyManagementServiceVersion are there; listening: None where it could not be looked up; zones: the entries of the
    list, None where it is absent or was not read; windows_directory: known on Windows that needs netstat; membership:
    read to say where records stay behind; the rest only where the run needs it.
    """

    service: licensing.Service
    licences: tuple[Licence, ...]
    licence: Licence | None
    listed: bool
    recorded: bool
    listening: bool | None
    zones: tuple[str, ...] | None = None
    windows_directory: str | None = None
    firewall: FirewallState | None = None
    system: HostSystem | None = None
    missing: tuple[Update, ...] = ()
    installation_id: str | None = None
    start_mode: str | None = None
    process: Process | None = None
    stopped: tuple[str, ...] = ()
    membership: licensing.Membership | None = None
    journal: Entry | None = None

    @property
    def port(self) -> int:
        """The port that counts."""
        return self.service.port or licensing.DEFAULT_PORT

    @property
    def published_zones(self) -> list[str]:
        """The host's own domain, which is always published, and the list; names only."""
        return _published_zones(self.membership, self.publish_list)

    @property
    def publish_list(self) -> tuple[Zone, ...] | None:
        """The published zones, typed; None where there are some that nobody asked for."""
        if self.listed and self.zones is None:
            return None
        return tuple(zone_of(text) for text in self.zones or () if text.strip())

    @property
    def enabled(self) -> bool:
        """Whether some product makes this a KMS host that is activated."""
        return any(licence.kms_enabled for licence in self.licences)

    @property
    def tail(self) -> str | None:
        """The tail of the installed key."""
        return None if self.licence is None else self.licence.tail

    @property
    def is_kms_host_key(self) -> bool:
        """Whether a KMS host key is installed for the product."""
        return self.licence is not None and self.licence.tail is not None and self.licence.is_kms_host_key

    @property
    def settings(self) -> dict[str, Any]:
        """The managed settings, by the names of the journal."""
        return {
            "port": self.port,
            "publishing": self.service.publishing,
            "zones": self.publish_list,
            "priority": self.service.low_priority,
            "activation_interval": self.service.activation_interval,
            "renewal_interval": self.service.renewal_interval,
        }


def read_service(host: Host, *, details: bool = False) -> licensing.Service:
    """The licensing service. Errors: Refusal R1, R14."""
    try:
        return licensing.read_service(host, details=details)
    except WsmanFault as fault:
        # Every Windows since Vista has the class.
        if fault.number == WBEM_E_INVALID_CLASS:
            raise Refusal("R1", SERVER_2003_REFUSAL) from fault
        if is_access_denied(fault):
            raise
        for name in ("sppsvc", "slsvc"):
            service = services.find_service(host, name)
            if service is not None and service.StartMode == "Disabled":
                raise _disabled(name) from fault
            if service is not None and service.State != "Running":
                raise FieldnotesError(
                    f"{fault}. Service {name} is {service.State}: start it, or look into the event log why it ended"
                ) from fault
        raise


def _disabled(name: str) -> Refusal:
    return Refusal("R14", f"service {name} is disabled: set it to automatic (delayed)")


def choose_windows(licences: Iterable[Licence]) -> Licence | None:
    """The edition of Windows among the licences that hold a key; add-ons hold keys too. Errors: Refusal R12."""
    windows = [
        each for each in licences if each.application_id == licensing.WINDOWS and each.tail and not each.is_addon
    ]
    if len(windows) > 1 and any(each.is_addon is None for each in windows):
        windows = [each for each in windows if "VOLUME_KMS" in each.description] or windows
    if len(windows) > 1:
        names = ", ".join(sorted(f"{each.name} ending {each.tail}" for each in windows))
        raise Refusal("R12", f"several Windows products hold a key ({names}): cannot tell the primary one")
    return windows[0] if windows else None


def _choose(licences: Sequence[Licence], parameters: Parameters) -> Licence | None:
    """Errors: Refusal R7, R12."""
    if not parameters.office:
        return choose_windows(licences)
    found = next((each for each in licences if each.id == parameters.activation_id), None)
    if found is None:
        raise Refusal(
            "R7",
            f"licence {parameters.activation_id} is not installed: install the Office Volume License Pack of that "
            "Office version first",
        )
    return found


_NOT_THERE = (WBEM_E_INVALID_NAMESPACE, WBEM_E_INVALID_CLASS)


def look_for_listener(host: Host, port: int, windows_directory: str | None = None) -> tuple[bool | None, str | None]:
    """Whether something listens on a port, None where nobody tells; the Windows directory where netstat was needed."""
    try:
        if windows_directory is None:
            return bool(network.read_listeners(host, [port])), None
    except WsmanFault as fault:
        if fault.number not in _NOT_THERE:
            return None, None
        windows_directory = read_operating_system(host).WindowsDirectory
    try:
        return bool(netstat.read_listeners(host, windows_directory, [port])), windows_directory
    except (WsmanFault, ProcessFailed):
        return None, windows_directory


def read_system(host: Host) -> HostSystem:
    """The Windows of the host. Errors: Refusal R1."""
    found = host.cim.query_one(licensing.Edition)
    if int(found.BuildNumber) < _OLDEST_BUILD:
        raise Refusal("R1", SERVER_2003_REFUSAL)
    return HostSystem(
        caption=found.Caption or "",
        build=int(found.BuildNumber),
        sku=found.OperatingSystemSKU,
        is_client=found.ProductType == 1,
        service_pack=found.ServicePackMajorVersion or 0,
    )


def read_missing(host: Host, system: HostSystem, activates: Sequence[str], *, office: bool) -> tuple[Update, ...]:
    """The updates that a host lacks to activate these generations."""
    needed = kms_matrix.needed_updates(system, activates, office=office)
    if not needed:
        return ()
    numbers = sorted({update.kb for update in needed})
    installed = [fix.HotFixID for fix in host.cim.query(licensing.HotFix, any_of("HotFixID", numbers))]
    missing = kms_matrix.missing_updates(needed, installed, None)
    if any(update.revision is not None for update in missing):
        # A later cumulative update holds it, and only the later one is listed.
        revision = registry.read_dword(host, _WINDOWS_NT, "UBR")
        missing = kms_matrix.missing_updates(needed, installed, revision)
    return tuple(missing)


def _read_firewall(host: Host, windows_directory: str | None) -> FirewallState:
    try:
        if windows_directory is None:
            return FirewallState(firewall.read_rules(host, (PREDEFINED_RULE, OUR_RULE)))
    except WsmanFault as fault:
        if fault.number not in _NOT_THERE:
            raise
        windows_directory = read_operating_system(host).WindowsDirectory
    return FirewallState(by_netsh=True, netsh_port=firewall.netsh_port(host, windows_directory, OUR_RULE))


def _published_zones(own: licensing.Membership | None, listed: Iterable[Zone] | None) -> list[str]:
    zones = [own.Domain.lower()] if own is not None and own.PartOfDomain and own.Domain else []
    return list(dict.fromkeys([*zones, *(zone.domain for zone in listed or ())]))


def _with_zones(host: Host, state: State) -> State:
    if not state.listed or state.zones is not None:
        return state
    return replace(state, zones=registry.read_strings(host, state.service.key, licensing.PUBLISH_LIST) or ())


def _read_process(host: Host, process_id: int) -> Process:
    created = services.process_started(host, process_id) if process_id else None
    return Process(process_id, None if created is None else utc_text(created))


# The procedure


class KmsHost:
    """Module ``kms_host``."""

    module = "kms_host"

    def parameters(self, arguments: Mapping[str, Any]) -> Parameters:
        """Errors: Refusal R2, R10, R11, R15, R19."""
        return _parameters(arguments)

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
        stopped = _still_stopped(host, journal)
        service = read_service(host)
        licences = tuple(licensing.read_licences(host, service, parameters.activation_id))
        port = service.port or licensing.DEFAULT_PORT
        listening, windows_directory = look_for_listener(host, port)
        # One request tells of both values whether they are there.
        names = {name.lower() for name in registry.values(host, service.key) or ()}
        state = State(
            service=service,
            licences=licences,
            licence=_choose(licences, parameters),
            listed=licensing.PUBLISH_LIST.lower() in names,
            recorded=licensing.VERSION_VALUE.lower() in names,
            listening=listening,
            windows_directory=windows_directory,
            stopped=stopped,
            journal=journal,
        )
        if parameters.settings["zones"] is not None or not parameters.present or journal is not None:
            state = _with_zones(host, state)
        needs = _Needs(parameters, state)
        if needs.firewall:
            state = replace(state, firewall=_read_firewall(host, windows_directory))
        if needs.installation_id and state.licence is not None:
            state = replace(state, installation_id=licensing.read_installation_id(host, state.licence.id))
        if parameters.present and (parameters.key_group or needs.updates):
            system = read_system(host)
            updates = parameters.activates if needs.updates else ()
            missing = read_missing(host, system, updates, office=parameters.office)
            state = replace(state, system=system, missing=missing)
        needs = _Needs(parameters, state)
        if needs.clears and (needs.installs or needs.uninstalls):
            state = replace(state, membership=host.cim.query_one(licensing.Membership))
        if needs.changes or journal is not None:
            state = _with_zones(host, state)
            found = services.find_service(host, service.name)
            if found is not None:
                process = _read_process(host, found.ProcessId or 0)
                state = replace(state, start_mode=found.StartMode, process=process)
        return state

    def plan(self, host: Host, parameters: Parameters, state: State) -> Plan:
        """Errors: Refusal R3 to R6, R8, R9, R14; FieldnotesError for a journal that fits no key."""
        needs = _Needs(parameters, state)
        _refuse(parameters, state, needs)
        run = _Run(host, parameters, state, needs)
        steps = tuple(run.steps())
        changes = any(step.changes for step in steps)
        awaiting = needs.restart_due and not parameters.restarts
        kept = awaiting and (changes or state.journal is not None)
        return Plan(
            steps=steps,
            goal=_goal(parameters, state, needs),
            warnings=tuple(_warnings(parameters, state, needs)),
            journal=needs.journal_content() if changes else None,
            keep=run.awaiting() if kept else None,
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
            "license_status_name": _status_name(state.licence),
            **_shown_settings(state.settings),
            "firewall": _firewall_word(parameters, state, state.port),
        }

    def result(self, parameters: Parameters, state: State) -> Mapping[str, Any]:
        """What the host is."""
        known = licence_result(state.licence) if state.licence is not None else dict.fromkeys(_LICENCE_KEYS)
        result = {
            **known,
            "listening": state.listening,
            **{name: value for name, value in _shown_settings(state.settings).items() if not name.endswith("interval")},
        }
        if state.installation_id is not None:
            result["installation_id"] = state.installation_id
            result["installation_id_groups"] = installation_groups(state.installation_id)
        return result

    def shown(self, parameters: Parameters, report: Mapping[str, Any]) -> Mapping[str, Any]:
        """The key, its state, and the settings that the task gives."""
        given = {_PARAMETER_OF.get(name, name) for name, value in parameters.settings.items() if value is not None}
        if parameters.firewall != "unmanaged":
            given.add("firewall")
        names = ("partial_product_key", "license_status_name")
        return {name: value for name, value in report.items() if name in names or name in given}

    def verify(self, parameters: Parameters, before: State, after: State) -> Iterable[str]:
        """What of the goal is not there, each with what is there instead."""
        needs = _Needs(parameters, before)
        if not parameters.present:
            if after.is_kms_host_key:
                yield f"key ending {after.tail} is still a KMS host key"
            return
        if parameters.tail is not None and after.tail != parameters.tail:
            yield f"the key ending {after.tail} is installed after installing the one ending {parameters.tail}"
        if needs.activates and (after.licence is None or after.licence.status != licensing.LICENSED):
            yield f"the license status is {_status_name(after.licence)} after the activation"
        if needs.activates and after.licence is not None and not after.licence.kms_enabled:
            yield "the host is licensed, but Windows does not call it a KMS host"
        if after.enabled:
            for name, wanted in needs.wanted.items():
                actual = after.settings[name]
                if wanted is not None and not _same(name, wanted, actual):
                    yield f"{_PARAMETER_OF.get(name, name)} is {_plain(actual)} after setting {_plain(wanted)}"
        port = after.port
        rules = after.firewall
        if parameters.firewall == "open" and rules and not rules.is_open(port, parameters.firewall_profiles):
            yield f"the firewall does not let TCP {port} in as wanted"
        if parameters.firewall == "closed" and rules and not rules.is_closed:
            yield f"the firewall still lets TCP {port} in"
        if after.enabled and after.listening is False and before.process != after.process:
            yield f"nothing listens on TCP {port} after the licensing service was restarted"


_UNSURE = "whether Windows accepts the key, and the activation service after it, shows only when it is installed"
_LICENCE_KEYS = (
    "product_name",
    "description",
    "activation_id",
    "application_id",
    "key_channel",
    "partial_product_key",
    "license_status",
    "license_status_name",
    "license_status_reason",
    "kms_enabled",
    "current_count",
)


def licence_result(licence: Licence) -> dict[str, Any]:
    """A licence, for results."""
    return {
        "product_name": licence.name,
        "description": licence.description,
        "activation_id": licence.id,
        "application_id": licence.application_id,
        "key_channel": licence.channel,
        "partial_product_key": licence.tail,
        "license_status": licence.status,
        "license_status_name": _status_name(licence),
        "license_status_reason": f"0x{licence.reason:08X}",
        "kms_enabled": licence.kms_enabled,
        "current_count": licence.count,
    }


def _status_name(licence: Licence | None) -> str | None:
    if licence is None:
        return None
    names = licensing.STATUS_NAMES
    return names[licence.status] if licence.status < len(names) else "unknown"


def zones_result(zones: Iterable[Zone]) -> list[dict[str, Any]]:
    """Published zones, for results."""
    return [zone._asdict() for zone in zones]


def _shown_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "listening_port": settings["port"],
        "dns_publishing": settings["publishing"],
        "dns_publish_zones": None if settings["zones"] is None else zones_result(settings["zones"]),
        "low_priority": settings["priority"],
        "activation_interval": settings["activation_interval"],
        "renewal_interval": settings["renewal_interval"],
    }


def _firewall_word(parameters: Parameters, state: State, port: int) -> str | None:
    if state.firewall is None or parameters.firewall == "unmanaged":
        return None
    return state.firewall.word(port, parameters.firewall_profiles)


def installation_groups(digits: str) -> list[str]:
    """As they are read out: nine equal groups where the length allows it (54 and 63 digits both occur), else of six."""
    size = len(digits) // 9 if digits and len(digits) % 9 == 0 else 6
    return [digits[start : start + size] for start in range(0, len(digits), size)]


def _same(name: str, wanted: Any, actual: Any) -> bool:
    return set(wanted) == set(actual or ()) if name == "zones" else bool(wanted == actual)


def _plain(value: Any) -> str:
    return "; ".join(zone.text for zone in value) or "empty" if isinstance(value, tuple) else str(value)


def _still_stopped(host: Host, journal: Entry | None) -> tuple[str, ...]:
    """The services that an interrupted run stopped and that still are."""
    names = [str(name) for name in (journal or {}).get("stopped") or ()]
    found = [services.find_service(host, name) for name in names]
    return tuple(
        service.Name for service in found if service is not None and service.State in ("Stopped", "Stop Pending")
    )


# What is to be done


class _Needs:
    """What differs from the goal, an interrupted run's journal taken into account. No request."""

    def __init__(self, parameters: Parameters, state: State) -> None:
        self._parameters = parameters
        self._state = state
        self._journal = state.journal
        self.awaits = (state.journal or {}).get("phase") == _AWAITING
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
            return dict.fromkeys(_SETTINGS)
        if not self._interrupted:
            return given
        goal = self._interrupted.get("goal") or {}
        before = self._interrupted.get("before") or {}
        for name in _SETTINGS:
            if given[name] is None and goal.get(name) is not None:
                value = before.get(name) if self.goes_back else goal[name]
                given[name] = _zones_from_journal(value) if name == "zones" else value
        return given

    @property
    def differing(self) -> list[str]:
        """The settings that are not as wanted."""
        actual = self._state.settings
        return [
            name for name, value in self.wanted.items() if value is not None and not _same(name, value, actual[name])
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
        return [] if self.changed_settings else [_PARAMETER_OF.get(name, name) for name in self.differing]

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
            name for name in _SETTINGS
            if name in before
            and not _same(name, _zones_from_journal(before[name]) if name == "zones" else before[name], actual[name])
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


def _refuse(parameters: Parameters, state: State, needs: _Needs) -> None:
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


def _refuse_disabled(state: State, needs: _Needs) -> None:
    if needs.changes and state.start_mode == "Disabled":
        raise _disabled(state.service.name)


def preflight(
    key_group: str | None, system: HostSystem, missing: Sequence[Update], activates: Sequence[str]
) -> list[str]:
    """What speaks against a key of this group on this host, and what it lacks to activate these generations."""
    findings = []
    if key_group is not None:
        verdict = kms_matrix.key_verdict(key_group, system)
        findings += [verdict.text] if verdict.text else []
        too_new = kms_matrix.not_activated(key_group, activates)
        findings += [
            f"a KMS host key of {key_group} does not activate {kms_matrix.GENERATIONS[generation]}"
            for generation in too_new
        ]
    findings += [kms_matrix.missing_text(system, update) for update in missing]
    return findings


def _warnings(parameters: Parameters, state: State, needs: _Needs) -> Iterable[str]:
    if state.system is not None:
        yield from preflight(parameters.key_group, state.system, state.missing, parameters.activates)
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


def _goal(parameters: Parameters, state: State, needs: _Needs) -> dict[str, Any]:
    settings = {**state.settings, **{name: needs.wanted[name] for name in needs.changed_settings}}
    tail, status = state.tail, _status_name(state.licence)
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
        **_shown_settings(settings),
        "firewall": word,
    }


# Doing it


class _Run:
    """The steps, and what they learn from one to the next."""

    def __init__(self, host: Host, parameters: Parameters, state: State, needs: _Needs) -> None:
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
            "phase": _AWAITING,
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
        return _choose(licences, self._parameters)

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
        version, name = self._service.version, licensing.VERSION_VALUE
        registry.write_string(self._host, self._service.key, name, version)
        if not self._service.is_2008 and registry.values(self._host, licensing.WOW_SETTINGS) is not None:
            registry.write_string(self._host, licensing.WOW_SETTINGS, name, version)

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
            "zones": f"set DNS publish list to {_plain(wanted)}" if wanted else "remove DNS publish list",
            "priority": f"switch low priority {'on' if wanted else 'off'}",
            "activation_interval": f"set activation interval from {old} to {wanted} minutes",
            "renewal_interval": f"set renewal interval from {old} to {wanted} minutes",
        }
        return Step(words[name], lambda: self._set_or_defer(name, wanted), lambda: self._take_back(name))

    def _set_or_defer(self, name: str, wanted: Any) -> Sequence[Step] | None:
        if not self._enabled and not self._needs.goes_back:
            parameter = _PARAMETER_OF.get(name, name)
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
            yield Step("remove recorded KMS version", self._forget_version, self._record_again)
        if state.service.port:
            yield Step("clear listening port", lambda: self._set("port", 0), lambda: self._take_back("port"))
        if state.listed:
            yield Step("remove DNS publish list", lambda: self._set("zones", ()), lambda: self._take_back("zones"))

    def _forget_version(self) -> None:
        keys = [self._service.key] if self._service.is_2008 else [self._service.key, licensing.WOW_SETTINGS]
        for key in keys:
            try:
                registry.delete_value(self._host, key, licensing.VERSION_VALUE)
            except MethodFailed as error:
                if error.value != registry.DENIED:
                    raise

    def _record_again(self) -> None:
        registry.write_string(self._host, self._service.key, licensing.VERSION_VALUE, self._service.version)

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
        firewall.add_rule(self._host, OUR_RULE, _display_name(port), port, _PROGRAM, profiles)

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
        zones = self._published_zones()
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

    def _published_zones(self) -> list[str]:
        """The host's own domain, which is always published, and the list."""
        own = self._host.cim.query_one(licensing.Membership)
        listed = self._needs.wanted["zones"] if "zones" in self._needs.changed_settings else self._state.publish_list
        return _published_zones(own, listed)


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


# Publishing


class Published(NamedTuple):
    """What the newest event of a zone tells. code: why it was not published, None where it was."""

    time: datetime.datetime
    code: str | None


_EVENT_CODE = re.compile(r"0x[0-9A-Fa-f]+")


def publishing_events(host: Host, since: datetime.datetime) -> Iterable[tuple[str, Published]]:
    """Domain and outcome of each publishing event since a time.

    The order of the strings is not documented: the code looks like a number, the domain has a dot and no blank.
    """
    codes = (licensing.PUBLISHING_FAILED, licensing.PUBLISHED)
    for event in eventlog.read_events(host, "Application", codes, since):
        strings = [text.strip() for text in event.strings]
        domain = next((s for s in strings if "." in s and " " not in s and not _EVENT_CODE.match(s)), None)
        if domain is None:
            continue
        failed = event.EventCode == licensing.PUBLISHING_FAILED
        code = next((s for s in strings if _EVENT_CODE.match(s)), "without a code") if failed else None
        yield domain.lower().rstrip("."), Published(event.TimeGenerated, code)


def publishing(host: Host, since: datetime.datetime) -> dict[str, Published]:
    """The newest outcome for each zone."""
    newest: dict[str, Published] = {}
    for domain, published in publishing_events(host, since):
        if domain not in newest or published.time >= newest[domain].time:
            newest[domain] = published
    return newest


def _publishing_failed(zone: str, code: str) -> str:
    return (
        f"publishing in {zone} failed ({code}): another KMS host owns the record: give the KMS hosts' group write "
        "access to it, or use kms_srv_record"
    )
