# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Services that listen on TCP ports, as the fleet file names them. In the fleet file, per host:

    listeners:
      - {port: 6004, addresses: [0.0.0.0, "::"], service: MSExchangeIS}

The service has to stand in `services`; it listens while it runs. Without addresses it listens on all of both kinds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from winsim.fleet import integer, mapping, sequence, text
from winsim.host import Host

from . import Provider
from .services import ServicesState, running
from .tcp import ANYWHERE, Listener, contributes

__all__ = ["ServiceListener", "ServiceListeners"]

listeners = Provider("listeners")


@dataclass
class ServiceListener:
    """A port and the service behind it."""

    port: int
    service: str
    addresses: list[str] = field(default_factory=lambda: list(ANYWHERE))


@dataclass
class ServiceListeners:
    listeners: list[ServiceListener] = field(default_factory=list)


@listeners.section("listeners", ServiceListeners)
def build(host: Host, data: Any, path: str) -> ServiceListeners:
    return ServiceListeners([_listener(entry, f"{path}[{i}]") for i, entry in enumerate(sequence(data, path))])


def _listener(data: Any, path: str) -> ServiceListener:
    given = mapping(data, path, {"port", "service", "addresses"})
    addresses = sequence(given.get("addresses", list(ANYWHERE)), f"{path}.addresses")
    return ServiceListener(
        integer(given.get("port"), f"{path}.port", 1, 65535),
        text(given.get("service"), f"{path}.service"),
        [text(each, f"{path}.addresses") for each in addresses],
    )


@contributes
def of_services(host: Host) -> Iterator[Listener]:
    for each in host.state(ServiceListeners).listeners:
        service = host.state(ServicesState).get(each.service)
        if service is not None and running(host, each.service):
            yield Listener(each.port, service.pid, tuple(each.addresses))
