# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ``dhcp_migrate`` is asked for. For this collection only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import Refusal
from .inventory import CATEGORIES

MODULE = "dhcp_migrate"
EXPORTED, IMPORTED, ROLLED_BACK, CLEANED, INVENTORIED = (
    "exported",
    "imported",
    "rolled_back",
    "cleaned",
    "inventoried",
)
SMIG, DHCPSERVER = "smig", "dhcpserver"

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_LOCAL = re.compile(r"[A-Za-z]:(\\[^\\/:*?\"<>|]+)+")
_LONGEST_PATH = 246
_LONGEST_FILE = len(r"\prebackup\import\dhcpexport.xml")
_RANGES = {
    "reconnect_timeout": (30, 3600),
    "service_timeout": (10, 3600),
    "operation_timeout": (60, 86400),
    "authorization_timeout": (10, 7200),
}


@dataclass(frozen=True)
class MacPair:
    """Which adapter of new takes the addresses of which adapter of old. Both as ``XX-XX-XX-XX-XX-XX``."""

    source: str
    target: str


@dataclass(frozen=True)
class Parameters:
    """The arguments of the task; time-outs in seconds."""

    state: str
    migration_id: str
    method: str
    controller_dir: Path | None
    base_path: str
    store_password: str | None = field(repr=False)
    allow_weak_password: bool
    authorized: bool | None
    authorize_via: str | None
    dns_name: str | None
    ip_address: str | None
    peer_host: str | None
    peer_asserted_offline: bool
    target_is_dc: bool | None
    users: str
    groups: bool
    allow_account_promotion: bool
    ip_config: str
    mac_map: tuple[MacPair, ...]
    reconnect_host: str | None
    reconnect_timeout: int
    failover_policy: str
    freeze: str
    overwrite_target: bool
    allow_differences: tuple[str, ...]
    rollback_on_failure: bool
    store_on_target: str
    remove_role: bool
    allow_reboot: bool
    service_timeout: int
    operation_timeout: int
    authorization_timeout: int

    @property
    def folder(self) -> str:
        """Where the files of this migration are on the target."""
        return f"{self.base_path}\\{self.migration_id}"

    @property
    def store(self) -> str:
        """The exported data on the target."""
        return f"{self.folder}\\store"

    @property
    def backup(self) -> str:
        """The backup of the old server's database on the target."""
        return f"{self.folder}\\backup"

    @property
    def prebackup(self) -> str:
        """The backup of the new server's database before the import."""
        return f"{self.folder}\\prebackup"

    @property
    def home(self) -> Path:
        """Where the copies and the manifest are on the controller. Errors: Refusal without controller_dir."""
        if self.controller_dir is None:
            raise wrong("controller_dir", f"is required for state {self.state}")
        return self.controller_dir / self.migration_id

    @property
    def is_rehearsal(self) -> bool:
        """Whether the old server is to serve again after the export."""
        return self.state == EXPORTED and bool(self.authorized)


def wrong(name: str, reason: str) -> Refusal:
    """E_PARAM."""
    return Refusal("E_PARAM", f"{name}: {reason}.", "Correct the parameter.", "preflight")


def parse(arguments: Mapping[str, Any]) -> Parameters:
    """Typed parameters. Errors: Refusal E_PARAM."""
    state = arguments["state"]
    migration_id = arguments["migration_id"] or ""
    if state != INVENTORIED and not migration_id:
        raise wrong("migration_id", f"is required for state {state}")
    if migration_id and not _ID.fullmatch(migration_id):
        raise wrong(
            "migration_id", "letters, digits, _ and - are possible, at most 64, a letter or a digit at the start"
        )
    if state in (EXPORTED, IMPORTED, ROLLED_BACK) and not arguments["controller_dir"]:
        raise wrong("controller_dir", f"is required for state {state}")
    for name, (low, high) in _RANGES.items():
        if not low <= arguments[name] <= high:
            raise wrong(name, f"must be between {low} and {high} seconds, got {arguments[name]}")
    unknown = [name for name in arguments["allow_differences"] or () if name not in CATEGORIES]
    if unknown:
        raise wrong("allow_differences", f"there is no category {unknown[0]}")
    directory = arguments["controller_dir"]
    own = {"migration_id", "controller_dir", "base_path", "mac_map", "allow_differences"}
    return Parameters(
        migration_id=migration_id,
        controller_dir=Path(directory).expanduser() if directory else None,
        base_path=_base_path(arguments["base_path"], migration_id),
        mac_map=_mac_map(arguments["mac_map"] or ()),
        allow_differences=tuple(arguments["allow_differences"] or ()),
        **{name: arguments[name] for name in Parameters.__dataclass_fields__ if name not in own},
    )


def _base_path(path: str, migration_id: str) -> str:
    path = path.rstrip("\\")
    if not _LOCAL.fullmatch(path):
        raise wrong(
            "base_path", "must be a folder on a local drive such as C:\\DHCP\\fieldnotes, not a root or a share"
        )
    if len(path) + len(migration_id) + 1 + _LONGEST_FILE > _LONGEST_PATH:
        raise wrong("base_path", f"the paths of the store would have more than {_LONGEST_PATH} characters")
    return path


def normalized_mac(text: str) -> str:
    """``XX-XX-XX-XX-XX-XX``. Errors: Refusal E_MAC for what is no unicast hardware address."""
    digits = re.sub(r"[:\-. ]", "", text).upper()
    shown = "-".join(digits[at : at + 2] for at in range(0, len(digits), 2))
    if not re.fullmatch(r"[0-9A-F]{12}", digits):
        raise bad_mac("12 hexadecimal digits are needed", text)
    if digits in ("0" * 12, "F" * 12) or int(digits[:2], 16) & 1:
        raise bad_mac("not the address of one adapter", shown)
    return shown


def bad_mac(reason: str, mac: str) -> Refusal:
    """E_MAC."""
    return Refusal("E_MAC", f"mac_map: {reason} ({mac}).", "Correct mac_map.", "n01_preflight")


def _mac_map(entries: Sequence[Mapping[str, str]]) -> tuple[MacPair, ...]:
    pairs = tuple(MacPair(normalized_mac(one["source"]), normalized_mac(one["target"])) for one in entries)
    for side in ("source", "target"):
        seen: set[str] = set()
        for pair in pairs:
            mac = getattr(pair, side)
            if mac in seen:
                raise bad_mac(f"a {side} stands there twice", mac)
            seen.add(mac)
    return pairs


def password_faults(password: str, *, weak: bool) -> list[str]:
    """Which rules a store password breaks; never its value or its length."""
    faults = []
    if not 6 <= len(password) <= 260:
        faults.append("6 to 260 characters")
    if not weak and len(password) < 12:
        faults.append("at least 12 characters")
    kinds = (str.islower, str.isupper, str.isdigit, lambda one: not one.isalnum())
    if not weak and sum(any(kind(one) for one in password) for kind in kinds) < 3:
        faults.append("three of lower case, upper case, digits and other characters")
    return faults
