# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tells what is set for IPv6, what of it is in effect, and what depends on it. For this collection only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..journal import utc_text
from ..windows import network
from ..windows.network import AdapterAddresses
from ..windows.operating_system import SERVER_2012, read_operating_system
from ..windows.services import read_services
from . import ipv6_state
from .base import Host

_SERVICES = ("MSExchangeTransport", "RemoteAccess", "ClusSvc", "NTDS")


@dataclass(frozen=True)
class Parameters:
    """adapters: aliases; empty for all that are visible."""

    adapters: tuple[str, ...]


class Ipv6Info:
    """Module ``ipv6_info``."""

    module = "ipv6_info"

    def parameters(self, arguments: Mapping[str, Any]) -> Parameters:
        """Nothing can be wrong here."""
        return Parameters(tuple(arguments["adapters"] or ()))

    def answer(self, host: Host, parameters: Parameters) -> tuple[Mapping[str, Any], Iterable[str]]:
        """Errors: Refusal R12; MethodFailed naming the key that may not be read."""
        configured = ipv6_state.read_configured(host)
        system = read_operating_system(host)
        modern = system.build >= SERVER_2012
        every = ipv6_state.read_bindings(host) if modern else None
        bindings = None if every is None else ipv6_state.selected(host, every, parameters.adapters)
        addresses = network.read_addresses(host)
        policies = ipv6_state.read_policies(host) if modern else None
        effect = ipv6_state.read_effect(host, configured, addresses, policies, every or ())
        waiting = ipv6_state.waiting(host, configured, system)
        hosts, warnings = ipv6_state.read_hosts_if_possible(host, system.WindowsDirectory)
        services = read_services(host, _SERVICES)
        return {
            "disabled_components": configured.as_result(),
            "in_effect": effect.as_result(),
            "reboot_required": waiting is not None or any(effect.contradictions(configured.effective)),
            "reboot_pending_since_boot": utc_text(waiting.boot) if waiting is not None else None,
            "adapters": ipv6_state.bindings_as_result(bindings),
            "hosts": ipv6_state.hosts_as_result(hosts),
            "support": ipv6_state.support_as_result(configured, bindings, system.build),
            "addresses": _with_aliases(addresses, network.read_aliases(host)),
            "prefix_policies": [
                {"prefix": policy.prefix, "precedence": policy.precedence, "label": policy.label}
                for policy in policies or ()
            ],
            "services": {
                "exchange_transport": "MSExchangeTransport" in services,
                "rras": "RemoteAccess" in services and services["RemoteAccess"].in_use,
                "failover_cluster": "ClusSvc" in services,
                "directory_service": "NTDS" in services,
            },
        }, warnings


def _with_aliases(addresses: Sequence[AdapterAddresses], aliases: Mapping[int, str]) -> list[dict[str, Any]]:
    """Every address under the name of its adapter; a tunnel has no alias, only a description."""
    return [
        {
            "alias": aliases.get(adapter.InterfaceIndex or 0) or adapter.Description,
            "address": address,
            "prefix_length": prefix_length,
        }
        for adapter in addresses
        for address, prefix_length in adapter.prefixes
    ]
