# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Active Directory, as far as DHCP needs it: which hosts are domain controllers, and the list of authorized servers.

Each domain controller holds its own copy of the list (CN=NetServices of the configuration partition); a change on one
reaches the others after `replication_seconds`. A domain without a controller in the fleet has one outside of it.

    directory:
      replication_seconds: 15
      may_authorize: [Administrator]                     # default: every administrator
      servers: [{name: n1.corp.example, ip: 10.0.0.1}]
    hosts:
      DC1: {directory_role: {domain_controller: true}}
      N1: {directory_role: {asks: DC1}}                  # the controller it talks to; default the first one

Who calls over the network without delegation cannot use the account against a third machine
(https://learn.microsoft.com/windows/win32/winrm/multi-hop-support): the list is out of reach from a member server then,
but not on a domain controller itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from winsim.fleet import Fleet, boolean, mapping, number, refuse, sequence, text
from winsim.host import Host
from winsim.switches import declare

from . import CALLER, Provider

__all__ = [
    "Entry",
    "authorize",
    "authorized_servers",
    "is_domain_controller",
    "on_change",
    "read_list",
    "unauthorize",
]

directory = Provider("directory")

OUTSIDE = "(outside the fleet)"
ERROR_ACCESS_DENIED = 5
ERROR_DDS_NO_DS_AVAILABLE = 20070

declare(
    "directory.second_hop",
    {
        "20070": "ERROR_DDS_NO_DS_AVAILABLE: the directory service cannot be contacted",
        "5": "ERROR_ACCESS_DENIED",
    },
    open_question="how reading the authorization list fails in a session whose credentials are not delegated",
    page="dhcp_migrate",
)


@dataclass
class Entry:
    """An authorized DHCP server: authorization belongs to this name and address, not to a machine."""

    name: str
    ip: str


@dataclass
class Pending:
    """A change on its way to the copies `keys`, until `due`."""

    due: datetime
    keys: list[str]
    entry: Entry
    adds: bool


@dataclass
class Directory:
    """The copies of the list by domain and domain controller (`corp.example/DC1`)."""

    replication_seconds: float = 0.0
    may_authorize: list[str] | None = None
    lists: dict[str, list[Entry]] = field(default_factory=dict)
    reachable: bool = True
    pending: list[Pending] = field(default_factory=list)


@dataclass
class DirectoryRole:
    """What a host is in its domain; `asks`: the domain controller it talks to."""

    domain_controller: bool = False
    asks: str | None = None


class DirectoryError(Exception):
    """The directory refuses: a Win32 error number, or one of the DHCP range (20000 to 20099)."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"error {number}")


Change = Callable[[Fleet], None]
_changes: list[Change] = []


def on_change(function: Change) -> Change:
    """(fleet) -> None, called after a copy of the list has changed."""
    _changes.append(function)
    return function


# The fleet file


@directory.shared("directory", Directory)
def build(fleet: Fleet, data: Any, path: str) -> Directory:
    given = mapping(data, path, {"replication_seconds", "may_authorize", "servers"})
    state = Directory(replication_seconds=number(given.get("replication_seconds", 0), f"{path}.replication_seconds"))
    if given.get("may_authorize") is not None:
        names = sequence(given["may_authorize"], f"{path}.may_authorize")
        state.may_authorize = [text(name, f"{path}.may_authorize") for name in names]
    if fleet.domain is not None:
        state.lists[f"{fleet.domain.lower()}/{OUTSIDE}"] = []
    for index, item in enumerate(sequence(given.get("servers"), f"{path}.servers")):
        here = f"{path}.servers[{index}]"
        server = mapping(item, here, {"name", "ip"})
        if fleet.domain is None:
            refuse(here, "a fleet without a domain has no list of authorized servers")
        entry = Entry(text(server.get("name"), f"{here}.name"), text(server.get("ip"), f"{here}.ip"))
        state.lists[f"{fleet.domain.lower()}/{OUTSIDE}"].append(entry)
    return state


@directory.section("directory_role", DirectoryRole)
def build_role(host: Host, data: Any, path: str) -> DirectoryRole:
    given = mapping(data, path, {"domain_controller", "asks"})
    role = DirectoryRole(boolean(given.get("domain_controller", False), f"{path}.domain_controller"))
    if role.domain_controller:
        if host.domain is None:
            refuse(f"{path}.domain_controller", f"{host.name} is in no domain")
        state, domain = host.fleet.state(Directory), host.domain.lower()
        outside = state.lists.setdefault(f"{domain}/{OUTSIDE}", [])
        state.lists[f"{domain}/{host.name}"] = list(outside)
    if given.get("asks") is not None:
        role.asks = text(given["asks"], f"{path}.asks")
        if host.fleet.find_host(role.asks) is None:
            refuse(f"{path}.asks", f"the fleet has no host {role.asks!r}")
    return role


def is_domain_controller(host: Host) -> bool:
    return host.state(DirectoryRole).domain_controller


# The list


def _controllers(host: Host) -> list[str]:
    """The keys of the domain's copies; the one outside counts only where the fleet has no domain controller."""
    prefix = f"{(host.domain or '').lower()}/"
    keys = [key for key in host.fleet.state(Directory).lists if key.startswith(prefix)]
    inside = [key for key in keys if not key.endswith(OUTSIDE)]
    return inside or keys


def _asked(host: Host) -> str:
    """The key of the copy that the host sees. Raises DirectoryError."""
    state = host.fleet.state(Directory)
    keys = _controllers(host)
    if host.domain is None or not keys or not state.reachable:
        raise DirectoryError(ERROR_DDS_NO_DS_AVAILABLE)
    own = host.name if is_domain_controller(host) else host.state(DirectoryRole).asks
    chosen = next((key for key in keys if own is not None and key.split("/")[1].lower() == own.lower()), keys[0])
    controller = host.fleet.find_host(chosen.split("/")[1]) if not chosen.endswith(OUTSIDE) else None
    if controller is not None and controller.up_at is not None:
        raise DirectoryError(ERROR_DDS_NO_DS_AVAILABLE)
    return chosen


def _copy(host: Host) -> list[Entry]:
    return host.fleet.state(Directory).lists[_asked(host)]


def authorized_servers(host: Host) -> list[Entry] | None:
    """What the computer account of the host reads (the DHCP service itself); None without a domain controller."""
    try:
        return _copy(host)
    except DirectoryError:
        return None


def _check_caller(host: Host, *, change: bool) -> None:
    caller = CALLER.get()
    if not is_domain_controller(host) and not caller.delegated:
        raise DirectoryError(int(host.switches["directory.second_hop"]))
    allowed = host.fleet.state(Directory).may_authorize
    bare = caller.user.rsplit("\\", 1)[-1].split("@", 1)[0].lower()
    if change and allowed is not None and bare not in (name.lower() for name in allowed):
        raise DirectoryError(ERROR_ACCESS_DENIED)


def read_list(host: Host) -> list[Entry]:
    """The list as the present caller reads it on this host. Raises DirectoryError."""
    found = _copy(host)
    _check_caller(host, change=False)
    return list(found)


def authorize(host: Host, entry: Entry) -> bool:
    """Add a server as the present caller; False if it was there. Raises DirectoryError."""
    copy = _copy(host)
    _check_caller(host, change=True)
    if any(_same(each, entry) for each in copy):
        return False
    _replicate(host, entry, adds=True)
    return True


def unauthorize(host: Host, entry: Entry) -> bool:
    """Remove a server as the present caller; False if it was not there. Raises DirectoryError."""
    copy = _copy(host)
    _check_caller(host, change=True)
    if not any(_same(each, entry) for each in copy):
        return False
    _replicate(host, entry, adds=False)
    return True


def _same(left: Entry, right: Entry) -> bool:
    return left.name.lower() == right.name.lower() and left.ip == right.ip


def _replicate(host: Host, entry: Entry, *, adds: bool) -> None:
    """Change one copy now and the others of the domain when replication has reached them."""
    fleet, state, own = host.fleet, host.fleet.state(Directory), _asked(host)
    others = [key for key in _controllers(host) if key != own]
    _apply(fleet, [own], entry, adds=adds)
    if state.replication_seconds > 0 and others:
        state.pending.append(Pending(host.now() + timedelta(seconds=state.replication_seconds), others, entry, adds))
        _schedule(fleet, state.pending[-1])
    else:
        _apply(fleet, others, entry, adds=adds)


def _schedule(fleet: Fleet, pending: Pending) -> None:
    fleet.clock.at(pending.due, partial(_arrive, fleet, pending))


def _arrive(fleet: Fleet, pending: Pending) -> None:
    fleet.state(Directory).pending.remove(pending)
    _apply(fleet, pending.keys, pending.entry, adds=pending.adds)


@directory.arm
def arm(host: Host) -> None:
    """Once per fleet: what is on its way goes on."""
    if host is next(iter(host.fleet.hosts.values())):
        for pending in host.fleet.state(Directory).pending:
            _schedule(host.fleet, pending)


def _apply(fleet: Fleet, keys: list[str], entry: Entry, *, adds: bool) -> None:
    for key in keys:
        copy = fleet.state(Directory).lists[key]
        copy[:] = [each for each in copy if not _same(each, entry)] + ([Entry(entry.name, entry.ip)] if adds else [])
    for function in _changes:
        function(fleet)
