# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The journal on the target: what an interrupted run leaves for the next one. For this collection only.

``HKLM\\SOFTWARE\\fieldnotes.windows\\Journal\\<module>[\\<object id>]``, value ``State``, REG_SZ, JSON. Never a secret:
every user of the host can read it.

A run that finds a journal follows it, whether its author is dead or still at work, so two controllers may follow the
same one. The registry has no operation that creates only what is not there: CreateKey also succeeds for a key that
exists, and nothing compares before it writes. So a run looks at the journal each time before it writes, and where it is
no longer its own (``run_id``) the run is superseded: it changes nothing more, and begins again with what is there now.
"""

from __future__ import annotations

import datetime
import json
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .errors import FieldnotesError, Halt, MethodFailed, Refusal, VerificationFailed
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


class Superseded(Halt):
    """Another run works on the same: look again at what is there. str(): for when that went on and on."""

    def __init__(self, message: str) -> None:
        super().__init__("superseded", f"{message}. Run the task again when no other run is at work")


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
            try:
                registry.delete_key(self.host, parent)
            except MethodFailed:
                if not registry.subkeys(self.host, parent):
                    raise
                # Another run has begun a journal in the meantime.
                return
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
    """The journal of one procedure on one host, as entries instead of text.

    exclusive: a run that goes on with it shuts out the one before, instead of both following it; the keys ``holder``,
    ``controller`` and ``process`` tell which run that is and where it runs.
    """

    def __init__(
        self, store: JournalStore, now: Callable[[], datetime.datetime], controller: str, *, exclusive: bool = False
    ) -> None:
        self._store = store
        self._now = now
        self._controller = controller
        self._holder = str(uuid.uuid4())
        self.exclusive = exclusive
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
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self.unusable(error) from error
        if not isinstance(version, int) or version > VERSION:
            raise Refusal(
                "journal",
                f"the journal in {self.place} was written by a newer version of this collection (format {version}): "
                "finish with that version",
            )
        return dict(entry)

    def unusable(self, error: Exception) -> Refusal:
        """What to say of an entry that no run of this collection can have written. error: what was stumbled over."""
        return Refusal(
            "journal",
            f"the journal in {self.place} cannot be read ({error}): an earlier run was interrupted and what it did "
            "is unknown. Check the host, then delete that key",
        )

    def create(self, content: Entry) -> None:
        """Writes the first entry; the common keys are added here. Errors: Superseded where one is there by now."""
        if (text := self._store.read()) is not None:
            raise self._superseded(text)
        now = utc_text(self._now())
        entry = {
            "version": VERSION,
            "run_id": str(uuid.uuid4()),
            "started_utc": now,
            "updated_utc": now,
            "controller": self._controller,
            **(self._hold() if self.exclusive else {}),
            **content,
        }
        self._create(entry)

    def _create(self, entry: dict[str, Any]) -> None:
        try:
            self._store.create(self._text(entry))
        except VerificationFailed as error:
            raise self._superseded(self._store.read()) from error
        except MethodFailed as error:
            raise self._gone(error) from error
        self.entry = entry

    def update(self, **changes: Any) -> None:
        """Writes changed keys; all others, known or not, are kept. Errors: Superseded."""
        if self.entry is None:
            return
        self._write({**self.entry, **changes, "updated_utc": utc_text(self._now())})

    def replace(self, content: Entry) -> None:
        """Reduces the entry to this content and the common keys; creates it where there is none. Errors: Superseded."""
        if self.entry is None:
            self.create(content)
            return
        common = ("version", "run_id", "started_utc", "controller", "holder", "process")
        kept = {name: self.entry[name] for name in common if name in self.entry}
        self._write({**kept, "updated_utc": utc_text(self._now()), **content})

    def take_over(self) -> None:
        """Before a run goes on with an exclusive journal that it found: from here on it is that run's alone."""
        if self.entry is not None and self.exclusive:
            self._put({**self.entry, **self._hold(), "updated_utc": utc_text(self._now())})

    def _hold(self) -> dict[str, Any]:
        return {"controller": self._controller, "holder": self._holder, "process": os.getpid()}

    def _write(self, entry: dict[str, Any]) -> None:
        self.check()
        self._put(entry)

    def _put(self, entry: dict[str, Any]) -> None:
        try:
            self._store.write(self._text(entry))
        except MethodFailed as error:
            raise self._gone(error) from error
        self.entry = entry

    def check(self) -> None:
        """Looks whether what stands there is still this run's journal. Errors: Superseded."""
        if self.entry is not None and not self._owns(text := self._store.read()):
            raise self._superseded(text)

    def remove(self) -> None:
        """Removes the journal from the host; harmless when there is none, or another run's by now."""
        text = None if self.entry is None else self._store.read()
        if text is None or self._owns(text):
            self._store.remove()
        self.entry = None

    def reclaim(self) -> None:
        """Writes this run's entry again where none is left.

        Whoever removed it did not know of what this run did last, so the next one has to know what there was before.
        """
        if self.entry is not None and self._store.read() is None:
            self._create(self.entry)

    def _owns(self, text: str | None) -> bool:
        if self.entry is None or text is None:
            return False
        found = self._loaded(text) or {}
        names = ("run_id", "holder") if self.exclusive else ("run_id",)
        return all(found.get(name) == self.entry.get(name) for name in names)

    def _superseded(self, text: str | None) -> Superseded:
        other = (self._loaded(text) or {}).get("controller")
        if other:
            return Superseded(f"a run of {other} has taken over, as {self.place} says")
        return Superseded(f"what this run wrote to {self.place} is gone: another run ended it")

    def _gone(self, error: MethodFailed) -> FieldnotesError:
        """What a write that Windows did not take means: between look and write the key was deleted, or it failed."""
        return self._superseded(None) if error.value == registry.ABSENT else error

    @staticmethod
    def _loaded(text: str | None) -> dict[str, Any] | None:
        try:
            found = json.loads(text or "")
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    @staticmethod
    def _text(entry: Entry) -> str:
        text = json.dumps(entry, sort_keys=True, separators=(",", ":"))
        if len(text) > LONGEST:
            raise FieldnotesError(f"the journal would have {len(text)} characters, {LONGEST} are possible")
        return text
