# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The manifest on the controller: everything the import must reproduce. For this collection only.

``<controller_dir>/<migration_id>/manifest.json``, mode 0600 in a folder of mode 0700: a temporary file, synced and
renamed. It holds names and addresses of clients, so nothing of its records is ever logged.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import Failure
from .inventory import Inventory, from_json

SCHEMA = 1
NAME = "manifest.json"
INVENTORY = "inventory.json"

EXPORTED, RETIRED, AUTHORIZING, COMPLETED, ROLLED_BACK = (
    "exported",
    "retired",
    "authorizing",
    "completed",
    "rolled_back",
)
PHASES = (EXPORTED, RETIRED, AUTHORIZING, COMPLETED, ROLLED_BACK)
"""In their order; the later one counts where two places disagree."""


@dataclass(frozen=True)
class Manifest:
    """A manifest as it was read."""

    home: Path
    data: Mapping[str, Any]

    @property
    def path(self) -> Path:
        """The file."""
        return self.home / NAME

    @property
    def phase(self) -> str:
        """How far the migration is."""
        return str(self.data["phase"])

    @property
    def is_final(self) -> bool:
        """Whether it is no rehearsal."""
        return bool(self.data["final"])

    @property
    def inventory(self) -> Inventory:
        """What the old server had."""
        return from_json(self.data["inventory"])

    @property
    def sha256(self) -> str:
        """Over the canonical JSON without phase and history, which go on."""
        return sha256(self.data)

    @property
    def auth_name(self) -> str:
        """Name of the old server's authorization."""
        return str(self.data["auth"]["name"])

    @property
    def auth_ip(self) -> str:
        """Address of the old server's authorization."""
        return str(self.data["auth"]["ip"])

    @property
    def store_files(self) -> list[Mapping[str, Any]]:
        """The files that the import needs."""
        return [one for one in self.data["files"] if one["kind"] == "store"]

    def copy_of(self, entry: Mapping[str, Any]) -> Path:
        """Where the copy of a file is on the controller."""
        return copy_path(self.home, str(entry["kind"]), str(entry["name"]))

    def damaged(self) -> str | None:
        """The first file that is missing or not what the manifest says."""
        for entry in self.data["files"]:
            file = self.copy_of(entry)
            if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != entry["sha256"]:
                return str(entry["name"])
        return None

    def in_phase(self, phase: str, utc: str, host: str) -> Manifest:
        """The same manifest, further on; written."""
        history = [*self.data.get("history", ()), {"phase": phase, "utc": utc, "host": host}]
        return write(self.home, {**self.data, "phase": phase, "history": history})


def sha256(data: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest's content without phase and history."""
    kept = {name: value for name, value in data.items() if name not in ("phase", "history")}
    return hashlib.sha256(canonical(kept)).hexdigest()


def canonical(data: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys and no blanks, UTF-8."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def copy_path(home: Path, kind: str, name: str) -> Path:
    """Where a copy is kept. name: relative, with backslashes. Errors: Failure for one that leads elsewhere."""
    parts = name.split("\\")
    if any(part in ("", ".", "..") or "/" in part or ":" in part for part in parts):
        raise Failure(
            "E_TRANSFER", f"{name} is no name of a file of this migration.", "Look at the folder on the host."
        )
    return home.joinpath(kind, *parts)


def load(home: Path) -> Manifest | None:
    """The manifest; None where there is none, or none that can be read."""
    try:
        data = json.loads((home / NAME).read_text(encoding="utf-8"))
        manifest = Manifest(home, data)
        if data["schema"] != SCHEMA or manifest.phase not in PHASES:
            return None
        _read = (manifest.inventory, manifest.auth_name, manifest.auth_ip, manifest.store_files)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return manifest


def write(home: Path, data: Mapping[str, Any]) -> Manifest:
    """Writes a manifest. Errors: OSError."""
    save(home / NAME, canonical(data))
    return Manifest(home, data)


def save(path: Path, content: bytes) -> None:
    """A file that is there whole or not at all, readable by its owner only."""
    make_private(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def make_private(folder: Path) -> None:
    """Makes a folder that only its owner can enter, and those above it."""
    for each in (*reversed(folder.parents), folder):
        if not each.exists():
            each.mkdir(mode=0o700, exist_ok=True)


def put_aside(home: Path) -> None:
    """Renames a manifest that is over to the next free ``manifest.<n>.json``."""
    number = 1
    while (home / f"manifest.{number}.json").exists():
        number += 1
    os.replace(home / NAME, home / f"manifest.{number}.json")
