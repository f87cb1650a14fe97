# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One simulated Windows host: what every subsystem shares. Their own states are reached by `host.state(type)`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, TypeVar

from .providers import providers
from .switches import Switches

if TYPE_CHECKING:
    from .fleet import Fleet

__all__ = ["RELEASES", "Host", "Profile", "Release", "User", "WinRM", "release_of"]

T = TypeVar("T")

NEVER = datetime.max.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class Release:
    """A Windows Server release: the first build of it, its name, its kernel version."""

    build: int
    name: str
    major: int
    minor: int


# https://learn.microsoft.com/windows/win32/sysinfo/operating-system-version and the release information of each server.
RELEASES = (
    Release(6001, "Windows Server 2008", 6, 0),
    Release(7600, "Windows Server 2008 R2", 6, 1),
    Release(9200, "Windows Server 2012", 6, 2),
    Release(9600, "Windows Server 2012 R2", 6, 3),
    Release(14393, "Windows Server 2016", 10, 0),
    Release(16299, "Windows Server, version 1709", 10, 0),
    Release(17134, "Windows Server, version 1803", 10, 0),
    Release(17763, "Windows Server 2019", 10, 0),
    Release(18362, "Windows Server, version 1903", 10, 0),
    Release(19041, "Windows Server, version 2004", 10, 0),
    Release(20348, "Windows Server 2022", 10, 0),
    Release(25398, "Windows Server, version 23H2", 10, 0),
    Release(26100, "Windows Server 2025", 10, 0),
)
OLDEST_BUILD = RELEASES[0].build
NEWEST_BUILD = RELEASES[-1].build


def release_of(build: int) -> Release:
    """The release a build belongs to: the newest one that is not newer than the build."""
    return [release for release in RELEASES if release.build <= build][-1]


@dataclass
class User:
    """An account that may sign in. Without `administrator` WS-Management refuses it (access denied)."""

    name: str
    password: str = field(repr=False)
    administrator: bool = True


@dataclass
class WinRM:
    """How the host's WinRM is set up and where it listens. Ports 0 are chosen when it is served.

    `certificate`: `ca` (signed by the fleet's authority), `self_signed`, `unknown_ca`, `expired`, `not_yet_valid`,
    `wrong_name`, `revoked`, `weak_key`. `tls`: lowest and highest version. Sizes in kB, times in ms as in winrm/config.
    Basic is on, unlike on a fresh Windows, so that hosts without a domain can be talked to.
    """

    listen: str = "127.0.0.1"
    http: bool = True
    https: bool = True
    http_port: int = 0
    https_port: int = 0
    certificate: str = "ca"
    tls: str = "1.2-1.3"
    basic: bool = True
    negotiate: bool = True
    kerberos: bool = False
    credssp: bool = False
    client_certificates: bool = True
    allow_unencrypted: bool = False
    cbt: str = "Relaxed"
    max_envelope_kb: int = 500
    max_timeout_ms: int = 60000
    enumeration_timeout_ms: int = 240000
    max_operations_per_user: int = 1500
    max_shells_per_user: int = 30


@dataclass
class Profile:
    """What the fleet file says about the host itself (see fleet.py)."""

    name: str
    build: int = 20348
    language: str = "en-US"
    domain: str | None = None
    edition: str = "Datacenter"
    memory: int = 16 * 1024**3
    time_zone: int = 0
    boot_seconds: float = 20.0
    addresses: list[str] = field(default_factory=list)
    features: list[str] = field(default_factory=list)
    users: dict[str, User] = field(default_factory=dict)
    winrm: WinRM = field(default_factory=WinRM)


class Host:
    """A host of a fleet. Attributes are plain state: read and set them in tests, under `fleet.lock` while it is served.

    `boot_time` is the time of the last start; `up_at` is None while the host runs, else when it will run again;
    `listening` is whether its WinRM service runs.
    `forced_exits` maps an executable (`cluster.exe`) to the exit code it ends with, without effect, while it is there.
    `log`, `handshakes` (frozen entries of log.py) and `plaintext` (bytes seen unencrypted) are filled by the wire.
    """

    def __init__(self, fleet: Fleet, profile: Profile) -> None:
        self.fleet = fleet
        self.profile = profile
        self.switches = Switches(parent=fleet.switches)
        self.boot_time: datetime = fleet.clock.now() - timedelta(days=7)
        self.up_at: datetime | None = None
        self.listening = True
        self.forced_exits: dict[str, int] = {}
        self.log: list[Any] = []
        self.handshakes: list[Any] = []
        self.plaintext = bytearray()
        self.states: dict[str, Any] = {}
        self._attached: dict[type[Any], Any] = {}
        self._drops: list[Callable[[], object]] = []

    def __repr__(self) -> str:
        return f"<Host {self.name} build {self.build}>"

    @property
    def name(self) -> str:
        return self.profile.name

    @property
    def build(self) -> int:
        return self.profile.build

    @property
    def language(self) -> str:
        return self.profile.language

    @property
    def domain(self) -> str | None:
        """DNS name of the domain, None in a workgroup."""
        return self.profile.domain

    @property
    def users(self) -> dict[str, User]:
        return self.profile.users

    @property
    def winrm(self) -> WinRM:
        return self.profile.winrm

    @property
    def memory(self) -> int:
        """Physical memory in bytes."""
        return self.profile.memory

    @property
    def release(self) -> Release:
        return release_of(self.build)

    @property
    def version(self) -> str:
        """Kernel version as Windows writes it: `10.0.20348`."""
        return f"{self.release.major}.{self.release.minor}.{self.build}"

    @property
    def fqdn(self) -> str:
        return f"{self.name}.{self.domain}" if self.domain else self.name

    @property
    def windows_directory(self) -> str:
        return "C:\\Windows"

    @property
    def system_directory(self) -> str:
        return "C:\\Windows\\System32"

    def now(self) -> datetime:
        return self.fleet.clock.now()

    def has_feature(self, name: str) -> bool:
        """Whether a server feature (`Failover-Clustering`, `RSAT-Clustering-CmdInterface`) is installed."""
        return name.lower() in (feature.lower() for feature in self.profile.features)

    def find_user(self, name: str) -> User | None:
        """The user of `name`, `DOMAIN\\name`, `HOST\\name` or `name@domain`."""
        bare = name.rsplit("\\", 1)[-1].split("@", 1)[0].lower()
        return next((user for user in self.users.values() if user.name.lower() == bare), None)

    def state(self, kind: type[T]) -> T:
        """The state of type `kind`, built by the provider that owns it."""
        for state in self.states.values():
            if isinstance(state, kind):
                return state
        raise LookupError(f"{self.name} has no state {kind.__name__}")

    def attached(self, kind: type[T]) -> T:
        """An object of the host that is no Windows state (injected trouble, open shells); made on first use."""
        if kind not in self._attached:
            self._attached[kind] = kind()
        found: T = self._attached[kind]
        return found

    # Power

    @property
    def reachable(self) -> bool:
        """Whether the host takes connections: not while it is down, nor without WinRM."""
        self.now()
        return self.up_at is None and self.listening

    def on_drop(self, drop: Callable[[], object]) -> None:
        """Register what ends all connections and shells of this host when it goes down or WinRM stops."""
        self._drops.append(drop)

    def drop_connections(self) -> None:
        for drop in self._drops:
            drop()

    def reboot(self, seconds: float | None = None) -> None:
        """Restart: connections drop now, the host is up after `seconds` of the clock (the profile's boot_seconds)."""
        delay = self.profile.boot_seconds if seconds is None else seconds
        with self.fleet.lock:
            self._go_down(self.now() + timedelta(seconds=delay))
            if delay == 0:
                self._come_up()

    def power_off(self) -> None:
        """Stop for good: `power_on()` brings the host back."""
        with self.fleet.lock:
            self._go_down(NEVER)

    def power_on(self) -> None:
        with self.fleet.lock:
            self.up_at = self.now()
            self._come_up()

    def _go_down(self, up_at: datetime) -> None:
        if self.up_at is None:
            for hook in providers.load().hooks["stopping"]:
                hook(self)
        self.up_at = up_at
        self.arm()
        self.drop_connections()
        self.fleet.changed.notify_all()

    def _come_up(self) -> None:
        if self.up_at is not None and self.up_at <= self.now():
            self.up_at = None
            self.boot_time = self.now()
            for hook in providers.load().hooks["boot"]:
                hook(self)
            self.fleet.changed.notify_all()

    def arm(self) -> None:
        """Put what is pending back on the clock: after building, after loading a saved state, when going down."""
        if self.up_at is not None and self.up_at != NEVER:
            self.fleet.clock.at(self.up_at, self._come_up)
