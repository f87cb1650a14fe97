# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What must never happen while DHCP servers are migrated, looked at every simulated second and after every request.

1. Two servers able to lease the same scope.
2. No server at all when a migration has ended: its journals are gone, or say rolled back, and a scope is left alone.
3. A lost lease: a server serves a scope without a lease that the one before it had given and that has not ended.
4. A change before a journal exists.
5. A secret on disk or in a request.
6. An import over live data.

`violations(fleet)` gives what was seen, each with its moment and the last request that could have changed something.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime

from winsim import log
from winsim.fleet import Fleet, mapping
from winsim.host import NEVER, Host

from ..directory import is_domain_controller
from ..operating_system import Files
from ..registry import Key, RegistryState
from . import clients
from .server import is_listed, is_running, is_serving, lay_database, service_of, state_of
from .state import Lease, Server, dhcp, server_of

__all__ = ["InvariantBroken", "Violation", "check", "importing", "secret_seen", "violations"]

ROOT = "HKLM\\SOFTWARE\\fieldnotes.windows"
JOURNAL = f"{ROOT}\\Journal\\dhcp_migrate"
HISTORY = f"{ROOT}\\History\\dhcp_migrate"
ENDED = ("rolled_back", "done")
# States that have to be there when somebody lost them.
KEPT = ("Active", "ActiveReservation", "InactiveReservation", "Declined")


class InvariantBroken(AssertionError):
    """Something happened that must never happen."""


@dataclass
class Violation:
    """`number` as in the list above; `request` names the last request that could have changed something."""

    number: int
    when: datetime
    what: str
    request: str

    def __str__(self) -> str:
        return f"{self.when.isoformat()} invariant {self.number}: {self.what} (after {self.request})"


@dataclass
class Witness:
    """What has been seen so far. `given` holds, by scope, the leases of the server that served it last."""

    violations: list[Violation] = field(default_factory=list)
    given: dict[str, list[Lease]] = field(default_factory=dict)
    serving: dict[str, int] = field(default_factory=dict)
    migrating: list[str] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    last_request: str = "no request yet"
    secrets: list[str] = field(default_factory=list)
    armed: bool = False


@dhcp.shared("dhcp_invariants", Witness)
def build(fleet: Fleet, data: object, path: str) -> Witness:
    mapping(data, path, ())
    return Witness()


def watched(fleet: Fleet) -> bool:
    """Whether the fleet has to do with DHCP servers at all."""
    return any(server_of(host) is not None for host in fleet.hosts.values())


@dhcp.arm
def arm(host: Host) -> None:
    """Once per fleet: clients act and everything is looked at, every second."""
    fleet = host.fleet
    lay_database(host)
    if host is next(iter(fleet.hosts.values())) and watched(fleet):
        watch(fleet)


def watch(fleet: Fleet) -> None:
    """Begin to look. Also called when the first DHCP server of a fleet is installed."""
    witness = fleet.state(Witness)
    if fleet.watchers and witness.armed:
        return
    witness.armed = True
    clients.enrol(fleet)
    fleet.watchers.append(after_request)
    fleet.clock.every_second(lambda: every_second(fleet))
    _settle(fleet)


def _settle(fleet: Fleet) -> None:
    """A server that runs in the beginning has long looked at the list of the directory."""
    for host in fleet.hosts.values():
        server, service = server_of(host), service_of(host)
        if server is not None and service is not None and is_running(host) and server.started is None:
            server.started = service.started_at
            server.checked = fleet.clock.now()
            server.authorized = host.domain is not None and bool(is_listed(host))


def every_second(fleet: Fleet) -> None:
    clients.step(fleet)
    check(fleet)


def after_request(host: Host, request: log.Request) -> None:
    """A request has been answered: who changes something needs a journal, and nobody shows a secret."""
    fleet = host.fleet
    witness = fleet.state(Witness)
    if request.writes:
        witness.last_request = f"{host.name} #{request.n} {request.action} {request.resource} {request.what}".strip()
        registry = request.resource == "StdRegProv"
        if not registry and request.fault is None and concerned(host) and not has_record(fleet):
            _violated(fleet, 4, f"{request.what or request.resource} changes {host.name} before there is a journal")
    if any(secret in request.request or secret in request.what for secret in witness.secrets):
        _violated(fleet, 5, f"a request to {host.name} shows a secret")
    check(fleet)


def concerned(host: Host) -> bool:
    return server_of(host) is not None or is_domain_controller(host)


def has_record(fleet: Fleet) -> bool:
    """Whether any host has a journal of a migration, or the mark of a completed one."""
    return any(_ids(host, JOURNAL) or _ids(host, HISTORY) for host in fleet.hosts.values())


def _ids(host: Host, path: str) -> dict[str, Key]:
    found = host.state(RegistryState).key(path)
    return {} if found is None else found.keys


def _violated(fleet: Fleet, number: int, what: str) -> None:
    witness = fleet.state(Witness)
    if not any(each.number == number and each.what == what for each in witness.violations):
        witness.violations.append(Violation(number, fleet.clock.now(), what, witness.last_request))


# The looks


def check(fleet: Fleet) -> None:
    """Look at everything now."""
    witness = fleet.state(Witness)
    serving = [(host, server) for host in fleet.hosts.values() if (server := server_of(host)) and is_serving(host)]
    by_scope: dict[str, list[Host]] = {}
    for host, server in serving:
        for scope in server.records["v4Scope"]:
            if scope["State"] == "Active":
                by_scope.setdefault(scope["ScopeId"], []).append(host)
    for scope_id, hosts in by_scope.items():
        if len(hosts) > 1 and not _partners(hosts, scope_id):
            names = " and ".join(host.name for host in hosts)
            _violated(fleet, 1, f"{names} can both lease {scope_id}")
    _check_leases(fleet, witness, serving)
    _check_ends(fleet, witness, set(by_scope))


def _partners(hosts: list[Host], scope_id: str) -> bool:
    """Servers of one failover relationship share its scopes on purpose."""
    for host in hosts:
        server = server_of(host)
        mine = server.records["v4Failover"] if server is not None else []
        if not any(scope_id in (each.get("ScopeId") or ()) for each in mine):
            return False
    return True


def _check_leases(fleet: Fleet, witness: Witness, serving: list[tuple[Host, Server]]) -> None:
    """A server that begins to serve, or whose database was replaced, must have what was given before."""
    now = fleet.clock.now()
    for name in [name for name in witness.serving if name not in {host.name for host, _ in serving}]:
        del witness.serving[name]
        _remember(fleet, witness, name)
    for host, server in serving:
        if witness.serving.get(host.name) != server.generation:
            if host.name not in witness.serving or server.generation:
                _compare(fleet, witness, host, server, now)
            witness.serving[host.name] = server.generation


def _remember(fleet: Fleet, witness: Witness, name: str) -> None:
    """What a server had given when it stopped to serve."""
    server = fleet.host(name).state(Server)
    for scope in server.records["v4Scope"]:
        scope_id = scope["ScopeId"]
        witness.given[scope_id] = [replace(each) for each in server.leases.values() if each.scope == scope_id]


def _compare(fleet: Fleet, witness: Witness, host: Host, server: Server, now: datetime) -> None:
    for scope_id in [scope["ScopeId"] for scope in server.records["v4Scope"]]:
        for lease in witness.given.get(scope_id, ()):
            held = server.leases.get(lease.ip)
            if state_of(lease, now) not in KEPT or (lease.expires is not None and lease.expires <= now):
                continue
            if held is None or held.client_id != lease.client_id:
                _violated(
                    fleet, 3, f"{host.name} serves {scope_id} without the lease of {lease.ip} ({lease.client_id})"
                )


def _check_ends(fleet: Fleet, witness: Witness, served: set[str]) -> None:
    """When the last journal of a migration is gone or rolled back everywhere, its scopes have a server."""
    if any(host.up_at not in (None, NEVER) and server_of(host) for host in fleet.hosts.values()):
        # A server that restarts just now is judged when it is up again.
        return
    going_on, ended = [], set(witness.migrating)
    for host in fleet.hosts.values():
        for name, key in _ids(host, JOURNAL).items():
            if _state(key) not in ENDED:
                going_on.append(name)
                ended.discard(name)
    witness.migrating = sorted(set(going_on))
    if ended:
        for scope_id in sorted(set(witness.given) - served):
            _violated(fleet, 2, f"migration {sorted(ended)[0]} has ended and nobody serves {scope_id}")


def _state(key: Key) -> str:
    value = key.values.get("state")
    try:
        found = json.loads(value.data) if value is not None and isinstance(value.data, str) else {}
    except ValueError:
        return "?"
    return str(found.get("state", "?")) if isinstance(found, dict) else "?"


def importing(host: Host) -> None:
    """A server is about to import."""
    server = server_of(host)
    if server is None:
        return
    if is_serving(host):
        _violated(host.fleet, 6, f"an import into {host.name} while it serves")
    elif server.imported and server.counters["Acks"]:
        _violated(host.fleet, 6, f"a second import into {host.name}, which has leased since the first")


def secret_seen(host: Host, secret: str) -> None:
    """A password was handed over: it must not turn up anywhere else."""
    witness = host.fleet.state(Witness)
    if secret and secret not in witness.secrets:
        witness.secrets.append(str.__str__(secret))


def _look_for_secrets(fleet: Fleet) -> None:
    for secret in fleet.state(Witness).secrets:
        needles = (secret.encode(), secret.encode("utf-16-le"))
        for host in fleet.hosts.values():
            for file in host.state(Files).files.values():
                if file.data is not None and any(needle in file.data for needle in needles):
                    _violated(fleet, 5, f"{file.path} on {host.name} holds a secret")
            for path in _values_with(host, secret):
                _violated(fleet, 5, f"{path} on {host.name} holds a secret")


def _values_with(host: Host, secret: str) -> list[str]:
    found: list[str] = []

    def look(key: Key, path: str) -> None:
        found.extend(f"{path}\\{each.name}" for each in key.values.values() if secret in str(each.data))
        for below in key.keys.values():
            look(below, f"{path}\\{below.name}")

    top = host.state(RegistryState).key(ROOT)
    if top is not None:
        look(top, ROOT)
    return found


def violations(fleet: Fleet, *, raising: bool = False) -> list[Violation]:
    """What was seen that must never happen. Raises InvariantBroken with all of it if `raising`."""
    with fleet.lock:
        check(fleet)
        _look_for_secrets(fleet)
        found = list(fleet.state(Witness).violations)
    if raising and found:
        raise InvariantBroken("\n".join(str(each) for each in found))
    return found
