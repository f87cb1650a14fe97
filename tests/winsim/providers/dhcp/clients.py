# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The clients of the network: they ask for leases and renew them while a server serves, second by second.

Section `dhcp_clients` of the fleet file:

    dhcp_clients:
      renewals_per_minute: 30       # of those that have a lease, in turn
      arrivals_per_minute: 6        # computers that nobody has seen before
      unicast: true                 # renewals go to the address of the server that gave the lease

Who has a lease when the fleet is built is a client. A renewal goes to the address of the server that gave the lease; if
nobody serves there, the client asks everybody the next time (RFC 2131, 4.4.5), for the address it has.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from winsim.fleet import Fleet, boolean, mapping, number
from winsim.host import Host

from .server import addresses, grant, is_serving, renew, tick
from .state import Lease, Record, Server, dhcp, hardware, server_of

__all__ = ["Client", "Network", "addresses_free", "serving_hosts", "step"]

FIRST_ARRIVAL = 0x800000
# A whole request, as sums of fractions come to it.
ONE = 1 - 1e-9


@dataclass
class Client:
    """A computer and the lease it believes to have; `server` is the address of the server that gave it."""

    id: str
    name: str
    scope: str
    ip: str | None = None
    expires: datetime | None = None
    server: str | None = None
    rebinding: bool = False


@dataclass
class Network:
    """All clients, how busy they are, and what became of their requests."""

    clients: list[Client] = field(default_factory=list)
    renewals_per_minute: float = 0.0
    arrivals_per_minute: float = 0.0
    unicast: bool = True
    due_renewals: float = 0.0
    due_arrivals: float = 0.0
    next_renewal: int = 0
    arrived: int = 0
    last_step: datetime | None = None
    granted: int = 0
    renewed: int = 0
    unanswered: int = 0


@dhcp.shared("dhcp_clients", Network)
def build(fleet: Fleet, data: Any, path: str) -> Network:
    given = mapping(data, path, {"renewals_per_minute", "arrivals_per_minute", "unicast"})
    network = Network(unicast=boolean(given.get("unicast", True), f"{path}.unicast"))
    for key in ("renewals_per_minute", "arrivals_per_minute"):
        setattr(network, key, number(given.get(key, 0), f"{path}.{key}"))
    return network


def enrol(fleet: Fleet) -> None:
    """Whoever has a lease in the beginning is a client."""
    network = fleet.state(Network)
    if network.last_step is not None:
        return
    network.last_step = fleet.clock.now().replace(microsecond=0)
    for host in fleet.hosts.values():
        server = server_of(host)
        for lease in server.leases.values() if server is not None else ():
            if lease.state in ("Active", "ActiveReservation"):
                owner = next(iter(addresses(host)), None)
                client = Client(lease.client_id, lease.host_name, lease.scope, lease.ip, lease.expires, owner)
                network.clients.append(client)


def serving_hosts(fleet: Fleet) -> Iterator[tuple[Host, Server]]:
    """The hosts that give leases at this moment."""
    for host in fleet.hosts.values():
        server = server_of(host)
        if server is not None and is_serving(host):
            yield host, server


def step(fleet: Fleet) -> None:
    """What the clients do in the time since the last step."""
    for host in fleet.hosts.values():
        tick(host)
    network, now = fleet.state(Network), fleet.clock.now()
    passed = (now - network.last_step).total_seconds() if network.last_step is not None else 0.0
    network.last_step = now
    network.due_renewals += network.renewals_per_minute * passed / 60
    network.due_arrivals += network.arrivals_per_minute * passed / 60
    while network.due_renewals >= ONE:
        network.due_renewals -= 1
        if network.clients:
            network.next_renewal = (network.next_renewal + 1) % len(network.clients)
            _refresh(fleet, network, network.clients[network.next_renewal])
    while network.due_arrivals >= ONE:
        network.due_arrivals -= 1
        _arrive(fleet, network)


def _refresh(fleet: Fleet, network: Network, client: Client) -> None:
    now = fleet.clock.now()
    if client.ip is None or (client.expires is not None and client.expires <= now):
        _discover(fleet, network, client)
        return
    for host, _ in list(serving_hosts(fleet)):
        own = addresses(host)
        if network.unicast and not client.rebinding and client.server not in own:
            continue
        lease = renew(host, client.ip, client.id, client.name)
        if lease is not None:
            _take(network, client, lease, own)
            network.renewed += 1
        else:
            client.ip, client.expires = None, None
        return
    network.unanswered += 1
    client.rebinding = True


def _discover(fleet: Fleet, network: Network, client: Client) -> None:
    for host, _ in list(serving_hosts(fleet)):
        lease = grant(host, client.scope, client.id, client.name, client.ip)
        if lease is not None:
            _take(network, client, lease, addresses(host))
            network.granted += 1
            return
    network.unanswered += 1


def _take(network: Network, client: Client, lease: Lease, server: list[str]) -> None:
    client.ip, client.expires = lease.ip, lease.expires
    client.server, client.rebinding = next(iter(server), None), False


def _arrive(fleet: Fleet, network: Network) -> None:
    scopes = [scope["ScopeId"] for _, server in serving_hosts(fleet) for scope in server.records["v4Scope"]]
    if not scopes:
        network.unanswered += 1
        return
    network.arrived += 1
    number = network.arrived
    client = Client(hardware(FIRST_ARRIVAL + number), f"new{number}", scopes[number % len(scopes)])
    network.clients.append(client)
    _discover(fleet, network, client)


def addresses_free(server: Server, scope: Record) -> int:
    """How many addresses the range has beside the excluded ones."""
    first, last = (int(ipaddress.IPv4Address(scope[name])) for name in ("StartRange", "EndRange"))
    return (
        last
        - first
        + 1
        - sum(
            int(ipaddress.IPv4Address(each["EndRange"])) - int(ipaddress.IPv4Address(each["StartRange"])) + 1
            for each in server.of("v4ExclusionRange", ScopeId=scope["ScopeId"])
        )
    )


def request_lease(fleet: Fleet, scope: str, client_id: str, name: str = "") -> Client:
    """A client asks now, whatever the rates are: for tests."""
    network = fleet.state(Network)
    client = Client(client_id, name, scope)
    network.clients.append(client)
    _discover(fleet, network, client)
    return client
