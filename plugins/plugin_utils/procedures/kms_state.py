# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a KMS host is now, and how it is read. For this collection only."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ..errors import FieldnotesError, ProcessFailed, Refusal, WsmanFault
from ..journal import Entry, utc_text
from ..windows import eventlog, firewall, licensing, netstat, network, registry, services
from ..windows.licensing import Licence
from ..windows.operating_system import read_operating_system
from ..wsman.faults import WBEM_E_INVALID_CLASS, WBEM_E_INVALID_NAMESPACE, is_access_denied
from ..wsman.wql import any_of
from . import kms_matrix
from .base import Host
from .kms_matrix import HostSystem, Update
from .kms_parameters import Parameters, Zone, zone_of

SERVER_2003_REFUSAL = (
    "Windows Server 2003 cannot be managed here and cannot activate Windows 8/Server 2012 or later: "
    "use a KMS host on Server 2008 R2 or later"
)
PREDEFINED_RULE, OUR_RULE = "SPPSVC-In-TCP", "fieldnotes-kms-in"
_OLDEST_BUILD = 6001
_WINDOWS_NT = registry.Key(r"SOFTWARE\Microsoft\Windows NT\CurrentVersion")


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
            return fits and rule is not None and rule.DisplayName == display_name(port)
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


def display_name(port: int) -> str:
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
        return zones_published(self.membership, self.publish_list)

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
                raise disabled(name) from fault
            if service is not None and service.State != "Running":
                raise FieldnotesError(
                    f"{fault}. Service {name} is {service.State}: start it, or look into the event log why it ended"
                ) from fault
        raise


def disabled(name: str) -> Refusal:
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


def choose(licences: Sequence[Licence], parameters: Parameters) -> Licence | None:
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


def read_firewall(host: Host, windows_directory: str | None) -> FirewallState:
    try:
        if windows_directory is None:
            return FirewallState(firewall.read_rules(host, (PREDEFINED_RULE, OUR_RULE)))
    except WsmanFault as fault:
        if fault.number not in _NOT_THERE:
            raise
        windows_directory = read_operating_system(host).WindowsDirectory
    return FirewallState(by_netsh=True, netsh_port=firewall.netsh_port(host, windows_directory, OUR_RULE))


def zones_published(own: licensing.Membership | None, listed: Iterable[Zone] | None) -> list[str]:
    zones = [own.Domain.lower()] if own is not None and own.PartOfDomain and own.Domain else []
    return list(dict.fromkeys([*zones, *(zone.domain for zone in listed or ())]))


def with_zones(host: Host, state: State) -> State:
    if not state.listed or state.zones is not None:
        return state
    return replace(state, zones=registry.read_strings(host, state.service.key, licensing.PUBLISH_LIST) or ())


def read_process(host: Host, process_id: int) -> Process:
    created = services.process_started(host, process_id) if process_id else None
    return Process(process_id, None if created is None else utc_text(created))


LICENCE_KEYS = (
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
        "license_status_name": status_name(licence),
        "license_status_reason": f"0x{licence.reason:08X}",
        "kms_enabled": licence.kms_enabled,
        "current_count": licence.count,
    }


def status_name(licence: Licence | None) -> str | None:
    if licence is None:
        return None
    names = licensing.STATUS_NAMES
    return names[licence.status] if licence.status < len(names) else "unknown"


def zones_result(zones: Iterable[Zone]) -> list[dict[str, Any]]:
    """Published zones, for results."""
    return [zone._asdict() for zone in zones]


def shown_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "listening_port": settings["port"],
        "dns_publishing": settings["publishing"],
        "dns_publish_zones": None if settings["zones"] is None else zones_result(settings["zones"]),
        "low_priority": settings["priority"],
        "activation_interval": settings["activation_interval"],
        "renewal_interval": settings["renewal_interval"],
    }


def installation_groups(digits: str) -> list[str]:
    """As they are read out: nine equal groups where the length allows it (54 and 63 digits both occur), else of six."""
    size = len(digits) // 9 if digits and len(digits) % 9 == 0 else 6
    return [digits[start : start + size] for start in range(0, len(digits), size)]


def still_stopped(host: Host, journal: Entry | None) -> tuple[str, ...]:
    """The services that an interrupted run stopped and that still are."""
    names = [str(name) for name in (journal or {}).get("stopped") or ()]
    found = [services.find_service(host, name) for name in names]
    return tuple(
        service.Name for service in found if service is not None and service.State in ("Stopped", "Stop Pending")
    )


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
