# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fleet: hosts, what they share, the clock, and how all of it is read from a file, saved and loaded again.

A fleet file is YAML (or the same as a dict):

    password: S3cret-of-the-lab          # of every host's Administrator; or `users` per host
    domain: corp.example                 # DNS name, for hosts that name none; null for a workgroup
    clock: {start: 2026-01-31T08:00:00Z, speed: 1}
    switches: {cluster.hang_timeout_put: ignore}
    hosts:
      N1: {build: 17763, features: [Failover-Clustering]}
      N2: {}                             # a believable Windows Server 2022
    clusters:
      CL1: {nodes: [N1, N2]}

Keys of a host: those of `Profile` in host.py (`users` maps names to a password or {password, administrator}; `memory`
in bytes or as text with MiB, GiB, TiB), `switches`, and the section of each provider. Keys of the file: the above and
the shared sections of providers. What nobody knows is refused with its path and what is allowed there.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import tempfile
import threading
import typing
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml

from .certificates import Kind
from .clock import Clock
from .host import NEWEST_BUILD, OLDEST_BUILD, Host, Profile, User, WinRM
from .log import Request
from .plain import from_plain, to_plain
from .providers import providers
from .switches import Switches

__all__ = ["Fleet", "FleetFileError", "boolean", "integer", "mapping", "refuse", "sequence", "size", "text"]

T = TypeVar("T")

DEFAULT_PASSWORD = "Winsim-2026"
STATE_FILE = "fleet.json"
STATE_VERSION = 1
LANGUAGES = ("en-US", "de-DE")
CERTIFICATES = typing.get_args(Kind)
TLS_VERSIONS = ("1.0", "1.1", "1.2", "1.3")


class FleetFileError(ValueError):
    """The fleet file says something that cannot be built; the message begins with the path of the place."""


def refuse(path: str, why: str) -> NoReturn:
    raise FleetFileError(f"{path}: {why}")


def mapping(data: Any, path: str, allowed: Iterable[str] | None = None) -> dict[str, Any]:
    """`data` as a dict with text keys (None is empty), only `allowed` ones if given."""
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        refuse(path, f"a mapping is needed, not {data!r}")
    known = None if allowed is None else set(allowed)
    for key in data:
        if known is not None and key not in known:
            refuse(f"{path}.{key}", f"unknown key; allowed here: {', '.join(sorted(known))}")
    return {str(key): value for key, value in data.items()}


def sequence(data: Any, path: str) -> list[Any]:
    if data is None:
        return []
    if not isinstance(data, list | tuple):
        refuse(path, f"a list is needed, not {data!r}")
    return list(data)


def text(data: Any, path: str, choices: Iterable[str] | None = None) -> str:
    if not isinstance(data, str):
        refuse(path, f"text is needed, not {data!r}")
    if choices is not None and data not in choices:
        refuse(path, f"{data!r} is not one of {', '.join(choices)}")
    return data


def integer(data: Any, path: str, low: int | None = None, high: int | None = None) -> int:
    if isinstance(data, bool) or not isinstance(data, int):
        refuse(path, f"a whole number is needed, not {data!r}")
    if (low is not None and data < low) or (high is not None and data > high):
        refuse(path, f"{data} is not between {low} and {high}")
    return data


def number(data: Any, path: str) -> float:
    if isinstance(data, bool) or not isinstance(data, int | float) or data < 0:
        refuse(path, f"a number that is not negative is needed, not {data!r}")
    return float(data)


def boolean(data: Any, path: str) -> bool:
    if not isinstance(data, bool):
        refuse(path, f"true or false is needed, not {data!r}")
    return data


def size(data: Any, path: str) -> int:
    """Bytes: a whole number, or text such as `512 MiB`, `16GiB`."""
    found = re.fullmatch(r"(\d+)\s*(KiB|MiB|GiB|TiB)", data) if isinstance(data, str) else None
    if found:
        return int(found[1]) << 10 * (("KiB", "MiB", "GiB", "TiB").index(found[2]) + 1)
    return integer(data, path, 0, 2**64 - 1)


def instant(data: Any, path: str) -> datetime:
    """A time with its zone: ISO 8601 text, or what YAML makes of it."""
    if isinstance(data, str):
        try:
            # Python 3.10 does not read the Z.
            data = datetime.fromisoformat(data.replace("Z", "+00:00"))
        except ValueError:
            refuse(path, f"{data!r} is not a time like 2026-01-31T08:15:00Z")
    if not isinstance(data, datetime) or data.tzinfo is None:
        refuse(path, f"a time with its zone is needed (2026-01-31T08:15:00Z), not {data!r}")
    return data.astimezone(timezone.utc)


class Fleet:
    """Simulated hosts and what they share. Pure state: `serve(fleet)` opens the sockets.

    `lock` guards all state; `changed` is a condition on it, notified by the clock and whenever something ends.
    `watchers` are told of every request when it has been answered, under the lock.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.changed = clock.changed if clock is not None else threading.Condition(threading.RLock())
        self.lock = self.changed
        self.clock = clock if clock is not None else Clock(changed=self.changed)
        self.switches = Switches()
        self.hosts: dict[str, Host] = {}
        self._by_lower_name: dict[str, Host] = {}
        self.states: dict[str, Any] = {}
        self.domain: str | None = None
        self.watchers: list[Callable[[Host, Request], object]] = []

    def host(self, name: str) -> Host:
        found = self._by_lower_name.get(name.lower())
        if found is None:
            raise LookupError(f"the fleet has no host {name!r}: it has {', '.join(self.hosts)}")
        return found

    def find_host(self, name: str) -> Host | None:
        """The host of this name (short or fully qualified), None if the fleet has none."""
        return self._by_lower_name.get(name.split(".", 1)[0].lower())

    def state(self, kind: type[T]) -> T:
        """The shared state of type `kind`."""
        for state in self.states.values():
            if isinstance(state, kind):
                return state
        raise LookupError(f"the fleet has no state {kind.__name__}")

    # From a fleet file

    @classmethod
    def load(cls, source: str | os.PathLike[str] | Mapping[str, Any]) -> Fleet:
        """Build the fleet that a file (or a dict) describes. FleetFileError names the place of what it cannot build."""
        if isinstance(source, Mapping):
            data: Any = source
        else:
            data = yaml.safe_load(Path(source).read_text(encoding="utf-8"))
        providers.load()
        core = {"password", "users", "domain", "clock", "switches", "hosts"}
        file = mapping(data, "fleet", core | set(providers.shared_sections))
        fleet = cls(_clock(file.get("clock")))
        fleet.domain = None if file.get("domain") is None else text(file["domain"], "fleet.domain")
        _set_switches(fleet.switches, file.get("switches"), "fleet.switches")
        with fleet.lock:
            described = mapping(file.get("hosts"), "fleet.hosts")
            for index, (name, host_data) in enumerate(described.items()):
                fleet._add(name, host_data, file, index)
            for key, build in providers.shared_sections.items():
                fleet.states[key] = build(fleet, file.get(key), f"fleet.{key}")
            for host in fleet.hosts.values():
                fleet._build_sections(host, mapping(described[host.name], host.name))
            fleet._arm()
        return fleet

    def _add(self, name: str, data: Any, file: Mapping[str, Any], index: int) -> None:
        path = f"fleet.hosts.{name}"
        if self.find_host(name) is not None:
            refuse(path, "there are two hosts of this name")
        host = Host(self, _profile(name, data, file, index, path))
        _set_switches(host.switches, mapping(data, path).get("switches"), f"{path}.switches")
        self._join(host)

    def _join(self, host: Host) -> None:
        self.hosts[host.name] = host
        self._by_lower_name[host.name.lower()] = host

    def _build_sections(self, host: Host, data: Mapping[str, Any]) -> None:
        for key, build in providers.sections.items():
            host.states[key] = build(host, data.get(key), f"fleet.hosts.{host.name}.{key}")

    def _arm(self) -> None:
        for host in self.hosts.values():
            host.arm()
            for hook in providers.hooks["arm"]:
                hook(host)

    # Saved and loaded

    def dump(self) -> dict[str, Any]:
        """The whole state as plain data (JSON, YAML). `restore` makes the same fleet of it."""
        with self.lock:
            return {
                "version": STATE_VERSION,
                "clock": {"now": to_plain(self.clock.now()), "speed": self.clock.speed},
                "domain": self.domain,
                "switches": dict(self.switches.own),
                "states": {key: to_plain(state) for key, state in self.states.items()},
                "hosts": {name: _dump_host(host) for name, host in self.hosts.items()},
            }

    @classmethod
    def restore(cls, data: Mapping[str, Any]) -> Fleet:
        if data.get("version") != STATE_VERSION:
            raise ValueError(f"this is no state of version {STATE_VERSION}: {data.get('version')!r}")
        types = providers.load().state_types
        fleet = cls(Clock(from_plain(datetime, data["clock"]["now"]), data["clock"]["speed"]))
        fleet.domain = data["domain"]
        fleet.switches.own.update(data["switches"])
        with fleet.lock:
            fleet.states = {key: from_plain(types[key], state) for key, state in data["states"].items()}
            for saved in data["hosts"].values():
                host = Host(fleet, from_plain(Profile, saved["profile"]))
                host.switches.own.update(saved["switches"])
                host.boot_time = from_plain(datetime, saved["boot_time"])
                host.up_at = from_plain(datetime, saved["up_at"])
                host.listening = saved["listening"]
                host.forced_exits = dict(saved["forced_exits"])
                host.states = {key: from_plain(types[key], state) for key, state in saved["states"].items()}
                fleet._join(host)
            fleet._arm()
        return fleet

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Write the state into `directory`, whole or not at all."""
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=folder, delete=False) as file:
            json.dump(self.dump(), file, indent=1)
        os.replace(file.name, folder / STATE_FILE)

    @classmethod
    def resume(cls, directory: str | os.PathLike[str]) -> Fleet | None:
        """The fleet saved in `directory`; None if none was."""
        file = Path(directory) / STATE_FILE
        return cls.restore(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None


def _dump_host(host: Host) -> dict[str, Any]:
    return {
        "profile": to_plain(host.profile),
        "switches": dict(host.switches.own),
        "boot_time": to_plain(host.boot_time),
        "up_at": to_plain(host.up_at),
        "listening": host.listening,
        "forced_exits": dict(host.forced_exits),
        "states": {key: to_plain(state) for key, state in host.states.items()},
    }


def _clock(data: Any) -> Clock:
    given = mapping(data, "fleet.clock", {"start", "speed"})
    start = instant(given["start"], "fleet.clock.start") if "start" in given else None
    return Clock(start, number(given.get("speed", 1.0), "fleet.clock.speed"))


def _set_switches(switches: Switches, data: Any, path: str) -> None:
    for name, position in mapping(data, path).items():
        try:
            switches[name] = position
        except ValueError as error:
            refuse(f"{path}.{name}", str(error))


def _profile(name: str, data: Any, file: Mapping[str, Any], index: int, path: str) -> Profile:
    plain = {field.name for field in dataclasses.fields(Profile)} - {"name"}
    given = mapping(data, path, plain | {"switches"} | set(providers.sections))
    if not re.fullmatch(r"[A-Za-z0-9-]{1,15}", name):
        refuse(path, "a computer name has 1 to 15 letters, digits and hyphens")
    profile = Profile(name)
    profile.build = integer(given.get("build", profile.build), f"{path}.build", OLDEST_BUILD, NEWEST_BUILD)
    profile.language = text(given.get("language", profile.language), f"{path}.language", LANGUAGES)
    domain = given.get("domain", file.get("domain"))
    profile.domain = None if domain is None else text(domain, f"{path}.domain")
    profile.edition = text(given.get("edition", profile.edition), f"{path}.edition")
    profile.memory = size(given.get("memory", profile.memory), f"{path}.memory")
    profile.time_zone = integer(given.get("time_zone", 0), f"{path}.time_zone", -720, 840)
    profile.boot_seconds = number(given.get("boot_seconds", profile.boot_seconds), f"{path}.boot_seconds")
    default_address = f"192.0.2.{index + 1}" if index < 254 else f"198.51.100.{index - 253}"
    addresses = sequence(given.get("addresses", [default_address]), f"{path}.addresses")
    profile.addresses = [text(address, f"{path}.addresses") for address in addresses]
    profile.features = [text(f, f"{path}.features") for f in sequence(given.get("features"), f"{path}.features")]
    profile.users = _users(given.get("users", file.get("users")), f"{path}.users", file.get("password"))
    profile.winrm = _winrm(given.get("winrm"), f"{path}.winrm", profile.build)
    return profile


def _users(data: Any, path: str, password: Any) -> dict[str, User]:
    default = text(DEFAULT_PASSWORD if password is None else password, "fleet.password")
    users = {"Administrator": User("Administrator", default)}
    for name, value in mapping(data, path).items():
        if isinstance(value, str):
            users[name] = User(name, value)
            continue
        given = mapping(value, f"{path}.{name}", {"password", "administrator"})
        administrator = boolean(given.get("administrator", True), f"{path}.{name}.administrator")
        users[name] = User(name, text(given.get("password", default), f"{path}.{name}.password"), administrator)
    return users


def _winrm(data: Any, path: str, build: int) -> WinRM:
    kinds = typing.get_type_hints(WinRM)
    winrm = WinRM()
    if build < 9200:
        # The quotas of 2008 and 2008 R2 (MS-WSMV); later versions raised them.
        winrm.max_envelope_kb, winrm.max_operations_per_user = 150, 15
    for key, value in mapping(data, path, kinds).items():
        check: Any = {bool: boolean, int: integer, str: text}[kinds[key]]
        setattr(winrm, key, check(value, f"{path}.{key}"))
    if winrm.certificate not in CERTIFICATES:
        refuse(f"{path}.certificate", f"{winrm.certificate!r} is not one of {', '.join(CERTIFICATES)}")
    lowest, _, highest = winrm.tls.partition("-")
    if not (lowest in TLS_VERSIONS and highest in TLS_VERSIONS and lowest <= highest):
        refuse(f"{path}.tls", f"{winrm.tls!r} is no range of {', '.join(TLS_VERSIONS)}, such as 1.2-1.3")
    return winrm
