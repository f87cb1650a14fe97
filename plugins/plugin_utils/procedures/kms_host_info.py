# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a KMS host is, counts and publishes, read only. For this collection only."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import Refusal
from ..journal import utc_text
from ..windows import licensing, registry
from ..windows.licensing import Licence
from . import kms_matrix
from .base import Host
from .kms_parameters import activation_id_of, zone_of
from .kms_state import (
    Published,
    licence_result,
    look_for_listener,
    publishing_events,
    read_missing,
    read_service,
    read_system,
    zones_result,
)


@dataclass(frozen=True)
class InfoParameters:
    """What is asked for. days: how far back publishing events are read, 0 for not at all."""

    activation_id: str | None
    days: int
    check_listener: bool
    key_group: str | None
    activates: tuple[str, ...]


class KmsHostInfo:
    """Module ``kms_host_info``."""

    module = "kms_host_info"

    def parameters(self, arguments: Mapping[str, Any]) -> InfoParameters:
        """Errors: Refusal."""
        days = arguments["publishing_events_days"]
        if not 0 <= days <= 365:
            raise Refusal("publishing_events_days", f"publishing_events_days must be between 0 and 365, got {days}")
        return InfoParameters(
            activation_id_of(arguments["activation_id"]),
            days,
            arguments["check_listener"],
            arguments["key_group"],
            tuple(arguments["activates"]),
        )

    def answer(self, host: Host, parameters: InfoParameters) -> tuple[Mapping[str, Any], Iterable[str]]:
        """Errors: Refusal R1, R14."""
        service = read_service(host, details=True)
        wanted = parameters.activation_id
        licences = licensing.read_licences(host, service, wanted, only=wanted is not None, counters=True)
        listed = registry.read_strings(host, service.key, licensing.PUBLISH_LIST) or ()
        port = service.port or licensing.DEFAULT_PORT
        listening = look_for_listener(host, port)[0] if parameters.check_listener else None
        windows = [each for each in licences if each.application_id == licensing.WINDOWS and each.kms_enabled]
        office = [each.count for each in licences if each.application_id != licensing.WINDOWS]
        count = next((each.count for each in windows), None)
        return {
            "service": {
                "version": service.version,
                "client_machine_id": _guid(service.client_machine_id),
                "listening_port": port,
                "dns_publishing": service.publishing,
                "low_priority": service.low_priority,
                "host_caching": service.host_caching,
                "remaining_rearm_count": service.remaining_rearm_count,
                "activation_interval": service.activation_interval,
                "renewal_interval": service.renewal_interval,
                "dns_publish_zones": zones_result(zone_of(text) for text in listed if text.strip()),
            },
            "products": [{**licence_result(each), **each.requests} for each in licences],
            "listening": listening,
            "publishing": _publishing(host, parameters.days) if parameters.days else [],
            "thresholds": dict(kms_matrix.THRESHOLDS),
            "can_activate": kms_matrix.can_activate(count, office),
            "preflight": _preflight(host, parameters),
        }, _warnings(parameters, licences)


def _guid(text: str | None) -> str | None:
    return None if text is None else text.strip("{}").lower()


def _warnings(parameters: InfoParameters, licences: Sequence[Licence]) -> Iterable[str]:
    if parameters.activation_id is not None and not licences:
        yield f"no licence has the activation id {parameters.activation_id}"
    for licence in licences:
        count = licence.count
        needed = kms_matrix.THRESHOLDS["client" if licence.application_id == licensing.WINDOWS else "office"]
        if licence.kms_enabled and count is not None and count < needed:
            yield (
                f"{licence.name}: count {count} is below the client's threshold: 25 for clients, 5 for servers and "
                "Office; see kms_cmid_info"
            )


def _publishing(host: Host, days: int) -> list[dict[str, Any]]:
    """What the log tells of each zone: the newest success, and the newest failure with its code."""
    since = host.clock.now() - datetime.timedelta(days=days)
    zones: dict[str, tuple[Published | None, Published | None]] = {}
    for domain, found in publishing_events(host, since):
        success, failure = zones.get(domain, (None, None))
        if found.code is None:
            success = found if success is None or found.time > success.time else success
        else:
            failure = found if failure is None or found.time > failure.time else failure
        zones[domain] = (success, failure)
    return [
        {
            "domain": domain,
            "last_success": None if success is None else utc_text(success.time),
            "last_failure": None if failure is None else utc_text(failure.time),
            "last_error": None if failure is None else failure.code,
        }
        for domain, (success, failure) in sorted(zones.items())
    ]


def _preflight(host: Host, parameters: InfoParameters) -> dict[str, Any]:
    """The verdict of kms_host on a key group and the wanted generations, without a refusal."""
    if parameters.key_group is None and not parameters.activates:
        return {"ok": True, "findings": []}
    system = read_system(host)
    missing = read_missing(host, system, parameters.activates, office=False)
    findings = kms_matrix.preflight(parameters.key_group, system, missing, parameters.activates)
    if parameters.activates and kms_matrix.lacks_service_pack(system):
        findings.append("KB968912 needs service pack 2: install it first")
    refused = parameters.key_group is not None and kms_matrix.key_verdict(parameters.key_group, system).is_refused
    lacking = any(update.certain for update in missing) or kms_matrix.lacks_service_pack(system)
    return {"ok": not refused and not (lacking and parameters.activates), "findings": findings}
