# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which KMS host key goes on which Windows, what it activates, and which updates that takes. For this collection only.

Tables and verdicts, no request. https://learn.microsoft.com/en-us/windows-server/get-started/kms-activation-planning
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

EDITION_KEYS = ("client", "a", "b", "c")
SERVER_KEYS = ("ws2016", "ws2019", "ws2022", "ws2025")
KEY_GROUPS = ("client", "a", "b", "c", "win10", *SERVER_KEYS)

GENERATIONS = {
    "windows_7": "Windows 7",
    "windows_8": "Windows 8",
    "windows_8_1": "Windows 8.1",
    "windows_10": "Windows 10",
    "windows_11": "Windows 11",
    "ws2008r2": "Windows Server 2008 R2",
    "ws2012": "Windows Server 2012",
    "ws2012r2": "Windows Server 2012 R2",
    "ws2016": "Windows Server 2016",
    "ws2019": "Windows Server 2019",
    "ws2022": "Windows Server 2022",
    "ws2025": "Windows Server 2025",
}
"""What clients can be, oldest first among clients and among servers."""

THRESHOLDS = {"client": 25, "server": 5, "office": 5}
"""How many machines a KMS host must have counted before it activates one."""

_CLIENT = 1  # Win32_OperatingSystem.ProductType
_SERVER_2012 = 9200

# First build of each release, with its name on a server and on a client.
_RELEASES = (
    (6001, "2008", "Windows Vista"),
    (7600, "2008 R2", "Windows 7"),
    (9200, "2012", "Windows 8"),
    (9600, "2012 R2", "Windows 8.1"),
    (10240, "2016", "Windows 10"),
    (17763, "2019", "Windows 10"),
    (20348, "2022", "Windows 11"),
    (26100, "2025", "Windows 11"),
)


@dataclass(frozen=True)
class HostSystem:
    """The Windows of a KMS host. sku: OperatingSystemSKU; revision: UBR, None where it was not asked for."""

    caption: str
    build: int
    sku: int | None
    is_client: bool
    service_pack: int

    @property
    def release(self) -> str:
        """``2008 R2`` of a server, ``Windows 7`` of a client."""
        return [client if self.is_client else server for first, server, client in _RELEASES if first <= self.build][-1]

    @property
    def name(self) -> str:
        """The release as a person says it."""
        return self.release if self.is_client else f"Windows Server {self.release}"

    @property
    def edition(self) -> str:
        """For messages."""
        return " ".join(self.caption.replace("®", "").split()) or self.name

    @property
    def group(self) -> str | None:
        """Group of editions before Windows Server 2012; None for an edition no public table has."""
        return next((group for group, skus in _SKUS.items() if self.sku in skus), None)


_SKUS = {
    "client": (4, 6, 16, 27, 48, 49),
    "a": (17, 18, 29),
    "b": (7, 10, 13, 14, 36, 38, 40, 41),
    "c": (8, 12, 15, 37, 39),
}
_GROUP_NAMES = {"client": "client", "a": "A", "b": "B", "c": "C"}
_ON_GROUPS = {"client": ("client",), "a": ("a",), "b": ("a", "b"), "c": ("a", "b", "c")}
_ON_RELEASES = {
    "ws2025": ("2025", "2022", "2019"),
    "ws2022": ("2022", "2019", "2016"),
    "ws2019": ("2019", "2016", "2012 R2"),
    "ws2016": ("2016", "2012 R2", "2012"),
    "win10": ("Windows 10", "Windows 8.1", "Windows 7"),
}


@dataclass(frozen=True)
class KeyVerdict:
    """Whether a key goes on a host: the refusal's number and text, or a warning where no public table tells."""

    refusal: str = ""
    text: str = ""

    @property
    def is_refused(self) -> bool:
        """Whether Windows would not take the key."""
        return bool(self.refusal)


def _refused(system: HostSystem, key_group: str, own_group: str, allowed: Sequence[str]) -> KeyVerdict:
    number = "R6" if system.is_client and key_group not in ("client", "win10") else "R5"
    group = _GROUP_NAMES.get(key_group, key_group)
    return KeyVerdict(
        number,
        f"a KMS host key of group {group} cannot be installed on {system.edition} (group {own_group}): "
        f"it installs on {', '.join(allowed)}. Windows would answer 0xC004F015",
    )


def key_verdict(key_group: str, system: HostSystem) -> KeyVerdict:
    """R5 and R6: whether a KMS host key of a group can be installed on a host."""
    if key_group in _ON_RELEASES:
        releases = _ON_RELEASES[key_group]
        allowed = [name if name.startswith("Windows") else f"Windows Server {name}" for name in releases]
        if is_azure_edition(system):
            return _refused(system, key_group, "Azure Edition, which cannot be a KMS host", allowed)
        if system.is_client != (key_group == "win10") or system.release not in releases:
            return _refused(system, key_group, system.name, allowed)
        return KeyVerdict()
    allowed = [f"group {_GROUP_NAMES[group]}" for group in _ON_GROUPS[key_group]]
    if system.is_client and key_group != "client":
        return _refused(system, key_group, "client", allowed)
    if system.build >= _SERVER_2012 or system.group is None:
        return KeyVerdict(
            text=f"no public table says whether a KMS host key of group {_GROUP_NAMES[key_group]} can be installed on "
            f"{system.edition}: Windows will tell"
        )
    if system.group not in _ON_GROUPS[key_group]:
        return _refused(system, key_group, _GROUP_NAMES[system.group], allowed)
    return KeyVerdict()


def is_azure_edition(system: HostSystem) -> bool:
    """Whether it is a Datacenter: Azure Edition, which cannot be a KMS host. A product name is not translated."""
    return "Azure Edition" in system.caption


def matrix_line(system: HostSystem) -> str:
    """Which keys a host takes, for who is told 0xC004F015."""
    if system.build < _SERVER_2012:
        group = system.group
        if group is None:
            return f"no public table has the edition {system.edition}"
        keys = [_GROUP_NAMES[key] for key, groups in _ON_GROUPS.items() if group in groups]
        return f"{system.edition} is of group {_GROUP_NAMES[group]} and takes keys of group {', '.join(keys)}"
    keys = [
        key for key, releases in _ON_RELEASES.items()
        if system.release in releases and system.is_client == (key == "win10")
    ]  # fmt: skip
    known = f"takes keys of {', '.join(keys)}" if keys else "is in no public table of keys"
    return f"{system.edition} {known}"


def not_activated(key_group: str, activates: Iterable[str]) -> list[str]:
    """The wanted generations that a key of a group is too old for."""
    servers = [name for name in GENERATIONS if name.startswith("ws")]
    if key_group in ("ws2025", "ws2022"):
        newest, no_clients = key_group, frozenset[str]()
    elif key_group in SERVER_KEYS:
        newest, no_clients = key_group, frozenset({"windows_11"})
    elif key_group == "win10":
        newest, no_clients = "", frozenset({"windows_11"})
    else:
        return []
    too_new = servers[servers.index(newest) + 1 :] if newest else servers
    return [name for name in activates if name in too_new or name in no_clients]


@dataclass(frozen=True)
class Update:
    """An update that a host needs to activate a generation.

    kb: its number, empty for one without a known number; revision: the UBR from which on a cumulative update holds it;
    certain: whether its absence can be relied on, so that ``update_check: require`` may refuse.
    """

    kb: str
    generation: str
    certain: bool = False
    revision: int | None = None
    text: str = ""

    @property
    def name(self) -> str:
        """For messages."""
        return self.text or self.kb


def _several(kb: str, generations: Sequence[str], *, certain: bool = False, text: str = "") -> tuple[Update, ...]:
    return tuple(Update(kb, generation, certain, None, text) for generation in generations)


_UPDATES: dict[str, tuple[Update, ...]] = {
    "2008": (
        *_several("KB968912", ("windows_7", "ws2008r2"), certain=True),
        *_several("KB2691586", ("windows_8", "ws2012"), certain=True),
    ),
    "2008 R2": (
        *_several("KB2691586", ("windows_8", "ws2012"), certain=True),
        *_several("KB3079821", ("windows_10", "ws2012", "ws2012r2"), certain=True),
    ),
    "2012": _several("KB3172615", ("windows_10", "ws2012r2", "ws2016"), text="KB3172615 or a later rollup"),
    "2012 R2": (
        *_several("KB3172614", ("windows_10", "ws2016"), text="KB3172614 or a later rollup"),
        *_several("KB4467695", ("ws2019",), text="KB4467695 or a later rollup"),
    ),
    "2016": (
        Update("KB4478877", "ws2019", revision=2641, text="KB4478877 or a later update"),
        Update("KB5003638", "ws2022", revision=4467, text="KB5003638 or a later update"),
    ),
    "2019": (
        Update("KB5003646", "ws2022", revision=1999, text="KB5003646 or a later update"),
        Update("KB5034768", "ws2025", revision=5458, text="KB5034768 or a later update"),
    ),
    "2022": (Update("KB5034765", "ws2025", revision=2322, text="the cumulative update of February 13, 2024 or later"),),
}
_SAME_AS = {"Windows Vista": "2008", "Windows 7": "2008 R2"}


def needed_updates(system: HostSystem, activates: Sequence[str], *, office: bool) -> list[Update]:
    """What a host needs to activate these generations; office: the key is one for Office."""
    release = _SAME_AS.get(system.release, system.release)
    found = [update for update in _UPDATES.get(release, ()) if update.generation in activates]
    if office and release == "2008 R2" and "windows_8" in activates:
        found.append(Update("KB2757817", "windows_8"))
    return found


def lacks_service_pack(system: HostSystem) -> bool:
    """R9: Windows Server 2008 before service pack 2 does not take KB968912."""
    return system.release in ("2008", "Windows Vista") and system.service_pack < 2


def missing_updates(needed: Sequence[Update], installed: Iterable[str], revision: int | None) -> list[Update]:
    """Those that are neither listed nor part of the cumulative update that the revision (UBR) shows."""
    numbers = {kb.upper() for kb in installed}
    return [
        update
        for update in needed
        if update.kb not in numbers
        and not (update.revision is not None and revision is not None and revision >= update.revision)
    ]


def missing_text(system: HostSystem, update: Update) -> str:
    """R8, and the warning where the absence is not certain."""
    return (
        f"{system.name} needs {update.name} to activate {GENERATIONS[update.generation]}: "
        "install it, restart, run again"
    )


def preflight(
    key_group: str | None, system: HostSystem, missing: Sequence[Update], activates: Sequence[str]
) -> list[str]:
    """What speaks against a key of this group on this host, and what it lacks to activate these generations."""
    findings = []
    if key_group is not None:
        verdict = key_verdict(key_group, system)
        findings += [verdict.text] if verdict.text else []
        too_new = not_activated(key_group, activates)
        findings += [
            f"a KMS host key of {key_group} does not activate {GENERATIONS[generation]}" for generation in too_new
        ]
    findings += [missing_text(system, update) for update in missing]
    return findings


def can_activate(windows_count: int | None, office_counts: Sequence[int | None]) -> dict[str, bool]:
    """What a KMS host with these counts activates."""
    windows = windows_count or 0
    return {
        "client": windows >= THRESHOLDS["client"],
        "server": windows >= THRESHOLDS["server"],
        "office": max((count or 0 for count in office_counts), default=0) >= THRESHOLDS["office"],
    }
