# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The DHCP Server service at work: when it serves, whom it believes authorizes it, how it grants and renews leases."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from winsim.fleet import Fleet
from winsim.host import Host
from winsim.switches import declare

from .. import directory
from ..adapters import Adapters
from ..features import on_install, on_remove
from ..operating_system import File, Files
from ..services import Service, ServicesState, contributes, display_name, start
from .state import COUNTERS, ROLE, SERVICE, Lease, Record, Server, free_addresses, server_of

__all__ = [
    "DhcpError",
    "addresses",
    "call",
    "grant",
    "install",
    "is_serving",
    "notice",
    "remove",
    "renew",
    "service_of",
    "state_of",
    "tick",
]

PAGE = "dhcp_migrate"
RETRY_SECONDS = 300.0
EMPTY_DATABASE, BYTES_PER_LEASE = 1024**2, 300

ERROR_ACCESS_DENIED = 5
RPC_S_SERVER_UNAVAILABLE = 1722
EPT_S_NOT_REGISTERED = 1753
# MS-DHCPM: what is particular to DHCP is between 20000 and 20099.
ERROR_DHCP_SUBNET_NOT_PRESENT = 20005
ERROR_DHCP_SERVICE_PAUSED = 20017

declare(
    "dhcp.paused",
    {
        "ignores": "a paused service answers management calls and no client",
        "serves": "it answers management calls and goes on leasing",
        "no_management": "it answers neither clients nor management calls",
    },
    open_question="what a paused DHCP Server service still does",
    page=PAGE,
)


class DhcpError(Exception):
    """The server refuses a management call: a Win32 error number, or one of its own range."""

    def __init__(self, number: int, text: str = "") -> None:
        self.number = number
        self.text = text
        super().__init__(f"{number} {text}".rstrip())


# The service


@contributes
def service(host: Host) -> Iterable[Service]:
    if host.has_feature(ROLE):
        yield new_service(host)


def new_service(host: Host) -> Service:
    path = f"{host.system_directory}\\svchost.exe -k DHCPServer"
    shown = display_name(host, "DHCP Server", "DHCP-Server")
    return Service(SERVICE, shown, path, depends_on=["RpcSs", "EventLog"], accept_pause=True)


def service_of(host: Host) -> Service | None:
    return host.state(ServicesState).get(SERVICE)


@on_install(ROLE)
def install(host: Host) -> None:
    """The role is installed: setup starts the service, which nobody has authorized yet."""
    added = new_service(host)
    added.state = "Stopped"
    host.state(ServicesState).services[SERVICE.lower()] = added
    start(host, added)
    lay_database(host)
    from .invariants import watch

    watch(host.fleet)


def lay_database(host: Host) -> None:
    """The database is a file like any other, and takes its space."""
    server = server_of(host)
    if server is not None:
        path = server.one("Database")["FileName"]
        size = EMPTY_DATABASE + BYTES_PER_LEASE * len(server.leases)
        host.state(Files).files.setdefault(path.lower(), File(path, size))


@on_remove(ROLE)
def remove(host: Host) -> None:
    host.state(ServicesState).services.pop(SERVICE.lower(), None)


def addresses(host: Host) -> list[str]:
    """The IPv4 addresses of the host."""
    return [ip for each in host.state(Adapters).adapters.values() for ip in each.addresses if ":" not in ip]


def is_running(host: Host) -> bool:
    """Whether the service runs, paused or not."""
    found = service_of(host)
    return host.up_at is None and found is not None and found.state in ("Running", "Paused")


def is_serving(host: Host) -> bool:
    """Whether clients get leases from this host now."""
    found, server = service_of(host), server_of(host)
    if host.up_at is not None or found is None or server is None:
        return False
    awake = found.state == "Running" or (found.state == "Paused" and host.switches["dhcp.paused"] == "serves")
    return awake and (host.domain is None or server.authorized)


def call(host: Host) -> Server:
    """The server, reached by a management call. Raises DhcpError where nobody answers."""
    server = server_of(host)
    if server is None or not is_running(host):
        raise DhcpError(EPT_S_NOT_REGISTERED, "There are no more endpoints available from the endpoint mapper.")
    tick(host)
    found = service_of(host)
    if found is not None and found.state == "Paused" and host.switches["dhcp.paused"] == "no_management":
        raise DhcpError(ERROR_DHCP_SERVICE_PAUSED, "The DHCP server service is paused.")
    return server


# Authorization


def is_listed(host: Host) -> bool | None:
    """Whether the list has this server by name or address; None where no domain controller answers."""
    entries = directory.authorized_servers(host)
    if entries is None:
        return None
    own = {*addresses(host)}
    return any(entry.name.lower() == host.fqdn.lower() or entry.ip in own for entry in entries)


def notice(host: Host) -> None:
    """Have the service look at the list; it acts on what it finds after its `notice_seconds`."""
    server = server_of(host)
    if server is None:
        return
    found = is_listed(host)
    server.checked = host.now()
    if found is None or found == server.authorized:
        server.noticing = None
    elif server.notice_seconds == 0:
        server.authorized, server.noticing = found, None
    elif server.noticing is None:
        server.noticing = host.now() + timedelta(seconds=server.notice_seconds)


def tick(host: Host) -> None:
    """Bring the service up to the present: a start, a look at the list that is due."""
    server = server_of(host)
    found = service_of(host)
    if server is None or found is None or not is_running(host):
        return
    now = host.now()
    if found.started_at != server.started:
        _started(host, server, found.started_at)
    if host.domain is None:
        return
    if server.noticing is not None and server.noticing <= now:
        server.noticing = None
        server.authorized = bool(is_listed(host))
    patience = server.check_seconds if server.authorized else min(RETRY_SECONDS, server.check_seconds)
    if server.checked is None or now - server.checked >= timedelta(seconds=patience):
        notice(host)


def _started(host: Host, server: Server, when: datetime | None) -> None:
    from .transfer import load_pending

    server.started, server.noticing = when, None
    server.counters = dict.fromkeys(COUNTERS, 0)
    load_pending(host, server)
    server.checked = host.now()
    server.authorized = host.domain is not None and bool(is_listed(host))


@directory.on_change
def list_changed(fleet: Fleet) -> None:
    """Adding and removing a server has that server look at the list at once, where its copy has changed already."""
    for host in fleet.hosts.values():
        if host.domain is not None and is_running(host):
            notice(host)


# Leases


def state_of(lease: Lease, now: datetime) -> str:
    """AddressState of a lease at a time: what is past its end is no active lease any more."""
    if lease.expires is not None and lease.expires <= now:
        return {"Active": "Expired", "ActiveReservation": "InactiveReservation"}.get(lease.state, lease.state)
    return lease.state


def reservation_of(server: Server, scope_id: str, client_id: str) -> Record | None:
    return next(iter(server.of("v4Reservation", ScopeId=scope_id, ClientId=client_id)), None)


def grant(host: Host, scope_id: str, client_id: str, host_name: str, wanted: str | None = None) -> Lease | None:
    """Discover, Offer, Request, Ack; None where the server has no address for the client."""
    server = server_of(host)
    scope = None if server is None else server.scope(scope_id)
    if server is None or scope is None or scope["State"] != "Active":
        return None
    server.counters["Discovers"] += 1
    address = _address_for(server, scope, client_id, wanted, host.now())
    if address is None:
        return None
    for counter in ("Offers", "Requests"):
        server.counters[counter] += 1
    return _acknowledge(host, server, scope, address, client_id, host_name)


def _address_for(server: Server, scope: Record, client_id: str, wanted: str | None, now: datetime) -> str | None:
    reserved = reservation_of(server, scope["ScopeId"], client_id)
    if reserved is not None:
        return str(reserved["IPAddress"])
    held = server.leases.get(wanted) if wanted is not None else None
    if held is not None and held.scope == scope["ScopeId"] and held.client_id == client_id:
        return held.ip
    return next(free_addresses(server, scope), None) or next(
        (each.ip for each in server.leases.values()
         if each.scope == scope["ScopeId"] and state_of(each, now) == "Expired"),
        None,
    )  # fmt: skip


def _acknowledge(host: Host, server: Server, scope: Record, address: str, client_id: str, host_name: str) -> Lease:
    reserved = reservation_of(server, scope["ScopeId"], client_id) is not None
    server.counters["Acks"] += 1
    lease = Lease(
        address, scope["ScopeId"], client_id, host_name, "ActiveReservation" if reserved else "Active",
        host.now() + timedelta(seconds=scope["LeaseDuration"]),
    )  # fmt: skip
    server.leases[address] = lease
    return lease


def renew(host: Host, address: str, client_id: str, host_name: str = "") -> Lease | None:
    """Request of a client that has the address: Ack, or None for a Nak."""
    server = server_of(host)
    lease = None if server is None else server.leases.get(address)
    scope = None if server is None or lease is None else server.scope(lease.scope)
    if server is None:
        return None
    server.counters["Requests"] += 1
    if lease is None or scope is None or scope["State"] != "Active" or lease.client_id != client_id:
        server.counters["Naks"] += 1
        return None
    return _acknowledge(host, server, scope, address, client_id, host_name or lease.host_name)
