# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The journal on the target: what an interrupted run leaves for the next one. For this collection only.

``HKLM\\SOFTWARE\\fieldnotes.windows\\Journal\\<module>[\\<object id>]``, value ``State``, REG_SZ, JSON. Never a secret:
every user of the host can read it.
"""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .errors import FieldnotesError, Refusal, VerificationFailed
from .windows import registry
from .windows.registry import HasCim, Key

ROOT = Key("SOFTWARE\\fieldnotes.windows")
VERSION = 1
LONGEST = 96000
_VALUE = "State"

Entry = Mapping[str, Any]


def journal_key(module: str, object_id: str = "") -> Key:
    """Where the journal of a module, or of one object that it manages, stands."""
    key = ROOT.below("Journal").below(module)
    return key.below(object_id) if object_id else key


def history_key(module: str, object_id: str) -> Key:
    """Where a module keeps for good what it did to an object."""
    return ROOT.below("History").below(module).below(object_id)


def utc_text(moment: datetime.datetime) -> str:
    """ISO 8601 UTC, whole seconds, as every time of this collection is shown."""
    return moment.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class JournalStore(Protocol):
    """Where one procedure keeps its journal."""

    @property
    def place(self) -> str:
        """For messages."""

    def read(self) -> str | None:
        """The text of the journal, or None."""

    def create(self, text: str) -> None:
        """Makes room and writes; what reads back differently is an error."""

    def write(self, text: str) -> None:
        """Writes over what is there."""

    def remove(self) -> None:
        """Removes it, together with parents that became empty; harmless when it is gone."""


@dataclass(frozen=True)
class RegistryStore:
    """A journal in the registry of the target."""

    host: HasCim
    key: Key

    @property
    def place(self) -> str:
        """The registry key."""
        return str(self.key)

    def read(self) -> str | None:
        """One request."""
        return registry.read_string(self.host, self.key, _VALUE)

    def create(self, text: str) -> None:
        """Creates the key, writes, and reads back. Errors: VerificationFailed."""
        registry.create_key(self.host, self.key)
        self.write(text)
        if self.read() != text:
            raise VerificationFailed(f"{self.key} does not hold what was just written: nothing was changed")

    def write(self, text: str) -> None:
        """One request."""
        registry.write_string(self.host, self.key, _VALUE, text)

    def remove(self) -> None:
        """Deletes the key, then each parent that has nothing left in it, up to the collection's own."""
        registry.delete_key(self.host, self.key)
        parent = self.key.parent
        while parent.path.lower().startswith(ROOT.path.lower()):
            if registry.subkeys(self.host, parent) or registry.values(self.host, parent):
                return
            registry.delete_key(self.host, parent)
            parent = parent.parent


class NoStore:
    """For a module whose steps need no journal: nothing is read, nothing is written."""

    place = "no journal"

    def read(self) -> str | None:
        """None."""
        return None

    def create(self, text: str) -> None:
        """Nothing."""

    def write(self, text: str) -> None:
        """Nothing."""

    def remove(self) -> None:
        """Nothing."""


class Journal:
    """The journal of one procedure on one host, as entries instead of text."""

    def __init__(self, store: JournalStore, now: Callable[[], datetime.datetime], controller: str) -> None:
        self._store = store
        self._now = now
        self._controller = controller
        self.entry: dict[str, Any] | None = None

    @property
    def place(self) -> str:
        """Where it is kept, for messages."""
        return self._store.place

    def find(self) -> Entry | None:
        """The entry that an earlier run left, or None. Errors: Refusal for one that cannot be used."""
        text = self._store.read()
        self.entry = None if text is None else self._parsed(text)
        return self.entry

    def _parsed(self, text: str) -> dict[str, Any]:
        try:
            entry = json.loads(text)
            version = entry["version"]
        except (ValueError, KeyError, TypeError) as error:
            raise Refusal(
                "journal",
                f"the journal in {self.place} cannot be read ({error}): an earlier run was interrupted and what it did "
                "is unknown. Check the host, then delete that key",
            ) from error
        if not isinstance(version, int) or version > VERSION:
            raise Refusal(
                "journal",
                f"the journal in {self.place} was written by a newer version of this collection (format {version}): "
                "finish with that version",
            )
        return dict(entry)

    def create(self, content: Entry) -> None:
        """Writes the first entry; the common keys are added here."""
        now = utc_text(self._now())
        self.entry = {
            "version": VERSION,
            "run_id": str(uuid.uuid4()),
            "started_utc": now,
            "updated_utc": now,
            "controller": self._controller,
            **content,
        }
        self._store.create(self._text(self.entry))

    def update(self, **changes: Any) -> None:
        """Writes changed keys; all others, known or not, are kept."""
        if self.entry is None:
            return
        self.entry = {**self.entry, **changes, "updated_utc": utc_text(self._now())}
        self._store.write(self._text(self.entry))

    def replace(self, content: Entry) -> None:
        """Reduces the entry to this content and the common keys; creates it where there is none."""
        if self.entry is None:
            self.create(content)
            return
        common = ("version", "run_id", "started_utc", "controller")
        kept = {name: self.entry[name] for name in common if name in self.entry}
        self.entry = {**kept, "updated_utc": utc_text(self._now()), **content}
        self._store.write(self._text(self.entry))

    def remove(self) -> None:
        """Removes the journal from the host; harmless when there is none."""
        self._store.remove()
        self.entry = None

    @staticmethod
    def _text(entry: Entry) -> str:
        text = json.dumps(entry, sort_keys=True, separators=(",", ":"))
        if len(text) > LONGEST:
            raise FieldnotesError(f"the journal would have {len(text)} characters, {LONGEST} are possible")
        return text
