# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One of the two servers, and what is done to it: service, authorization, files. For this collection only."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from ...errors import (
    CmdletFailed,
    ConnectionTrouble,
    Failure,
    FieldnotesError,
    MethodFailed,
    StepTimeout,
    WsmanFault,
)
from ...journal import Entry, Journal
from ...windows import dhcp, dhcp_netsh, transfer
from ...windows.services import Service, find_service
from ...wsman.faults import is_access_denied
from ..base import Host
from .facts import Facts, read_facts
from .inventory import Inventory
from .manifest import copy_path, save
from .parameters import MODULE, Parameters
from .reading import Leases, read_counts, read_inventory, read_leases

STOPPED, RUNNING, PAUSED, ABSENT = "Stopped", "Running", "Paused", "Absent"
HELD_SECONDS = 30
"""How long a server must say of itself that it is not authorized before it counts as held."""

# Win32_Service shows Auto where ChangeStartMode wants Automatic.
_MODES = {"auto": "Automatic", "manual": "Manual", "disabled": "Disabled"}


@dataclass(frozen=True)
class Authorization:
    """An entry of the authorization list."""

    name: str
    ip: str

    def concerns(self, name: str, addresses: Iterable[str]) -> bool:
        """Whether it authorizes a server of this name or with one of these addresses."""
        return self.name.lower() == name.lower() or self.ip in addresses


T = TypeVar("T")


class read_once(Generic[T]):
    """A property that is read when it is first asked for, and then kept.

    functools.cached_property of Python 3.10 and 3.11 holds one lock for all instances while it reads: where one
    process asks many hosts, a slow one would hold up the others.
    """

    def __init__(self, read: Callable[[Any], T]) -> None:
        self._read = read
        self.__doc__ = read.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> T:
        found = self._read(instance)
        instance.__dict__[self._name] = found
        return found


def start_mode(shown: str | None) -> str:
    """The start mode as ChangeStartMode wants it."""
    return _MODES.get((shown or "").lower(), shown or "")


@dataclass
class Machine:
    """A DHCP server within a task. answered: what the steps found for the result."""

    host: Host
    parameters: Parameters
    answered: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @read_once
    def facts(self) -> Facts:
        """What kind of machine it is; read once."""
        return read_facts(self.host)

    @read_once
    def server(self) -> dhcp.DhcpServer:
        """Its DHCP server, Windows Server 2012 and later."""
        return dhcp.DhcpServer(self.host, self.facts.fqdn)

    @read_once
    def netsh(self) -> dhcp_netsh.Netsh:
        """Its DHCP server before Windows Server 2012."""
        return dhcp_netsh.Netsh(self.host, self.facts.windows_directory)

    @property
    def journal(self) -> Journal:
        """The journal of this migration on this host."""
        return self.host.journal(MODULE, self.parameters.migration_id)

    @property
    def entry(self) -> Entry:
        """What the journal holds now."""
        return self.journal.entry or {}

    def tell(self, line: str) -> None:
        """Progress."""
        self.host.tell(line)

    def authorization(self, before: bool | None, after: bool | None) -> dict[str, Any]:
        """What the result says of the entry in the authorization list."""
        return {
            "before": before,
            "after": after,
            "name": self.auth_name,
            "ip": self.auth_ip,
            "via": self.via.name if self.facts.joined else None,
        }

    # Who it is in Active Directory

    @property
    def auth_name(self) -> str:
        """Name of its authorization."""
        return str(self.entry.get("auth_name") or self.parameters.dns_name or self.facts.fqdn)

    @property
    def auth_ip(self) -> str:
        """Address of its authorization; empty where there are several and none was given."""
        static = self.facts.static_addresses
        only = static[0] if len(static) == 1 else ""
        return str(self.entry.get("auth_ip") or self.parameters.ip_address or only)

    @read_once
    def via(self) -> Host:
        """The host on which the authorization list is read and changed."""
        if self.parameters.authorize_via is None:
            return self.host
        return self.peer(self.parameters.authorize_via)

    def peer(self, name: str) -> Host:
        """Another host of the inventory. Errors: FieldnotesError."""
        return self.host.peer(name)

    def entries(self) -> list[Authorization]:
        """The authorization list. Errors: FieldnotesError, WsmanFault where the second hop fails."""
        if not self._via_has_provider():
            return [Authorization(name, ip) for name, ip in self.netsh.authorized()]
        return [Authorization(one.DnsName or "", one.IPAddress or "") for one in dhcp.read_authorized(self.via)]

    def _via_has_provider(self) -> bool:
        return self.via is not self.host or self.facts.has_provider

    def own_entries(self) -> list[Authorization]:
        """The entries that authorize this server; none in a workgroup."""
        if not self.facts.joined:
            return []
        own = {*self.facts.addresses, self.auth_ip}
        return [entry for entry in self.entries() if entry.concerns(self.auth_name, own)]

    def authorize(self) -> None:
        """Adds the entry and makes sure that the list has it. Errors: Failure E_AUTHORIZE, E_RIGHTS."""
        self._change_list("added", lambda found: len(found) == 1)

    def unauthorize(self) -> None:
        """Removes the entry and makes sure that the list has it no more. Errors: Failure E_AUTHORIZE, E_RIGHTS."""
        self._change_list("removed", lambda found: not found)

    def _change_list(self, word: str, wanted: Callable[[list[Authorization]], bool]) -> None:
        if not self.facts.joined or wanted(self.own_entries()):
            return
        name, ip = self.auth_name, self.auth_ip
        trouble = ""
        try:
            if not self._via_has_provider():
                (self.netsh.authorize if word == "added" else self.netsh.unauthorize)(name, ip)
            else:
                (dhcp.authorize if word == "added" else dhcp.unauthorize)(self.via, name, ip)
        except (WsmanFault, MethodFailed, CmdletFailed) as error:
            # That it is as wanted already is told as a warning, or as an error: the list decides.
            trouble = str(error)
            if isinstance(error, WsmanFault) and is_access_denied(error):
                raise Failure(
                    "E_RIGHTS",
                    f"Account {self.via.session.settings.username} may not change the authorization of {name}.",
                    "Enterprise Admins may, or who has the right on the container NetServices.",
                ) from error
        try:
            self.host.wait(
                f"authorization of {name} to be {word}",
                lambda: wanted(self.own_entries()),
                timeout=self.parameters.authorization_timeout,
                interval=5,
            )
        except StepTimeout as error:
            raise Failure(
                "E_AUTHORIZE",
                f"Authorization of {name} ({ip}) could not be {word}. {trouble}".rstrip(),
                "Look at the list in Active Directory, then run the task again.",
            ) from error

    def is_authorized(self) -> bool | None:
        """What the service itself believes; None while it does not run or does not say."""
        if not self.facts.joined:
            return None
        if not self.facts.has_provider:
            return bool(self.own_entries())
        setting: dhcp.Setting = self.server.one(dhcp.SETTING)
        return setting.IsAuthorized

    def wait_authorized(self, wanted: bool) -> None:
        """Waits until the service believes it. Errors: Failure E_AUTHORIZE."""
        if not self.facts.joined:
            return
        word = "added" if wanted else "removed"
        try:
            self.host.wait(
                f"IsAuthorized of {self.host.name} to be {str(wanted).lower()}",
                lambda: self.is_authorized() is wanted,
                timeout=self.parameters.authorization_timeout,
                interval=5,
            )
        except StepTimeout as error:
            raise Failure(
                "E_AUTHORIZE",
                f"Authorization of {self.auth_name} ({self.auth_ip}) could not be {word}: the service does not see it.",
                "Wait for replication between the domain controllers, or force it.",
            ) from error

    def stays_unauthorized(self) -> bool:
        """Whether every read of 30 s says that the service is not authorized; a workgroup knows no authorization."""
        if not self.facts.joined:
            return True
        start = self.host.clock.monotonic()
        while True:
            if self.is_authorized():
                return False
            if self.host.clock.monotonic() - start >= HELD_SECONDS:
                return True
            self.host.clock.sleep(5)

    # The service

    def service(self) -> Service | None:
        """The service; None where the role is not installed."""
        return find_service(self.host, dhcp.SERVICE)

    def state(self) -> str:
        """State of the service."""
        found = self.service()
        return found.State if found is not None else ABSENT

    def bring(self, wanted: str) -> None:
        """Brings the service to Running, Paused or Stopped. Errors: Failure E_SERVICE_TIMEOUT, MethodFailed."""
        found = self._settled()
        if found is None:
            if wanted == STOPPED:
                return
            raise Failure("E_NOT_SERVER", f"There is no DHCP Server service on {self.host.name}.", "Install the role.")
        if found.State == wanted:
            return
        if wanted == STOPPED:
            self._control(found, Service.StopService, STOPPED)
        elif found.State == PAUSED:
            self._control(found, Service.ResumeService, RUNNING)
        elif found.State == STOPPED:
            self._control(found, Service.StartService, RUNNING)
        if wanted == PAUSED:
            running = self.service()
            if running is not None and running.State != PAUSED:
                self._control(running, Service.PauseService, PAUSED)
        self._wait_for(wanted)

    def _settled(self) -> Service | None:
        """The service, once it is not on its way from one state to another; setup starts it, for one."""
        found = self.service()
        if found is None or found.State in (STOPPED, RUNNING, PAUSED):
            return found
        with contextlib.suppress(StepTimeout):
            self.host.wait(
                "DHCP Server service to settle",
                lambda: self.state() in (STOPPED, RUNNING, PAUSED),
                timeout=self.parameters.service_timeout,
                interval=1,
            )
        return self.service()

    def _control(self, found: Service, method: Any, wanted: str) -> None:
        try:
            self.host.cim.invoke(method, found)
        except MethodFailed as error:
            if self.state() != wanted:
                raise Failure(
                    "E_SERVICE_TIMEOUT",
                    f"DHCP Server service on {self.host.name} stays {found.State} ({error}).",
                    "Look at the event log of the host.",
                ) from error
        self._wait_for(wanted)

    def _wait_for(self, wanted: str) -> None:
        try:
            self.host.wait(
                f"DHCP Server service to be {wanted}",
                lambda: self.state() == wanted,
                timeout=self.parameters.service_timeout,
                interval=1,
            )
        except StepTimeout as error:
            raise Failure(
                "E_SERVICE_TIMEOUT",
                f"DHCP Server service on {self.host.name} stays {self.state()}.",
                "Look at the event log of the host.",
            ) from error

    def set_start_mode(self, wanted: str) -> None:
        """Automatic, Manual or Disabled. Errors: MethodFailed, Failure."""
        found = self.service()
        if found is None or not wanted or start_mode(found.StartMode) == wanted:
            return
        self.host.cim.invoke(Service.ChangeStartMode, found, StartMode=wanted)
        again = self.service()
        if again is None or start_mode(again.StartMode) != wanted:
            raise Failure(
                "E_SERVICE_TIMEOUT",
                f"DHCP Server service on {self.host.name} does not take start mode {wanted}.",
                "Look for a policy that sets it.",
            )

    # What it knows

    def inventory(self, leases: Leases | None = None) -> Inventory:
        """All categories. leases: where they were read just now and cannot have changed. Errors: FieldnotesError."""
        if not self.facts.has_provider:
            return read_counts(self.host, self.netsh)
        return read_inventory(self.host, self.server, self.facts, leases)

    def leases(self) -> Leases:
        """The IPv4 leases. Errors: FieldnotesError."""
        if not self.facts.has_provider:
            return Leases(read_counts(self.host, self.netsh).records["v4_leases"])
        scopes = [str(one.ScopeId) for one in self.server.read(dhcp.SCOPES)]
        return read_leases(self.server, scopes)

    def scopes(self) -> list[str]:
        """The ScopeIds. Errors: FieldnotesError."""
        if not self.facts.has_provider:
            return [str(one["ScopeId"]) for one in read_counts(self.host, self.netsh).records["v4_scopes"]]
        return [str(one.ScopeId) for one in self.server.read(dhcp.SCOPES)]

    def statistics(self) -> dhcp.Statistics | None:
        """Counters of the service; None where they cannot be read."""
        if not self.facts.has_provider:
            return None
        try:
            found: dhcp.Statistics = self.server.one(dhcp.STATISTICS)
        except ConnectionTrouble:
            raise
        except FieldnotesError:
            return None
        return found

    def backup(self, path: str) -> None:
        """Backs the database up into an empty folder. Errors: FieldnotesError."""
        (self.server if self.facts.has_provider else self.netsh).backup(path)

    def restore(self, path: str) -> None:
        """Has the database restored at the next start. Errors: FieldnotesError."""
        (self.server if self.facts.has_provider else self.netsh).restore(path)

    # Files

    def empty_folder(self, path: str) -> None:
        """A folder with nothing in it."""
        transfer.remove_tree(self.host, path)
        transfer.make_folder(self.host, path)
        if transfer.list_files(self.host, path):
            raise Failure("E_STORE_NOT_EMPTY", f"{path} is not empty.", "Clean it or choose another base_path.")

    def hash_of(self, path: str) -> str:
        """SHA-256 of a file as the host computes it."""
        return transfer.file_hash(self.host, path, self.facts.build, self.facts.windows_directory)

    def fetch(self, folder: str, kind: str, home: Path) -> list[dict[str, Any]]:
        """Copies the files of a folder to the controller, as the manifest lists them. Errors: Failure E_TRANSFER."""
        files = transfer.list_files(self.host, folder)
        total, done = sum(file.size for file in files), 0
        fetched = []
        for file in files:
            name = file.path[len(folder) :].lstrip("\\")
            fetched.append({"kind": kind, "name": name, **self._fetch_one(file.path, copy_path(home, kind, name))})
            done += file.size
            self.tell(f"copied {done} of {total} bytes to the controller")
        return fetched

    def _fetch_one(self, path: str, target: Path) -> dict[str, Any]:
        wanted = self.hash_of(path)
        if target.is_file() and hashlib.sha256(target.read_bytes()).hexdigest() == wanted:
            return {"bytes": target.stat().st_size, "sha256": wanted}
        for _attempt in range(2):
            content = transfer.read_file(self.host, path, self.facts.build)
            if transfer.digest(content) == wanted:
                save(target, content)
                return {"bytes": len(content), "sha256": wanted}
            wanted = self.hash_of(path)
        raise Failure("E_TRANSFER", f"{path} arrived damaged.", "Run the task again.")

    def put(self, source: Path, path: str, wanted: str) -> None:
        """Writes a copy of the controller to the host. Errors: Failure E_TRANSFER."""
        content = source.read_bytes()
        present = {file.path.lower() for file in transfer.list_files(self.host, path.rpartition("\\")[0])}
        if path.lower() in present and self.hash_of(path) == wanted:
            return
        for _attempt in range(2):
            transfer.write_file(
                self.host, path, content, lambda done: self.tell(f"copied {done} of {len(content)} bytes to the host")
            )
            if self.hash_of(path) == wanted:
                return
        raise Failure("E_TRANSFER", f"{path} arrived damaged.", "Run the task again.")

    # The journal

    def note(self, **facts: Any) -> None:
        """Writes keys into the journal where they are not there yet."""
        entry = self.journal.entry
        if entry is not None and any(entry.get(name, _NOTHING) != value for name, value in facts.items()):
            self.journal.update(**facts)


_NOTHING: Mapping[str, Any] = {}
