# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A journal that moves with a clustered virtual machine. For this collection only.

It stands in the cluster database, as private property FieldnotesJournal of the machine's group, so that whatever node
owns the machine next finds it; and in the registry of the node that wrote it. The cluster's copy is the authority.
The text is base64url without padding: neither a command line nor a property list has to quote it.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field

from ..errors import CmdletFailed, FieldnotesError, ProcessFailed, Refusal, VerificationFailed
from ..journal import RegistryStore, journal_key
from ..windows import cluster
from .base import Host

LONGEST = 8000
_ONLY_HERE = "only_here"


def encoded(text: str) -> str:
    """The text as it is kept. Errors: FieldnotesError for more than a private property holds."""
    result = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    if len(result) > LONGEST:
        raise FieldnotesError(f"the journal would have {len(result)} characters, {LONGEST} are possible")
    return result


def decoded(kept: str) -> str:
    """The text again; what is no base64url comes back as it is, for the journal to refuse."""
    try:
        return base64.b64decode(kept + "=" * (-len(kept) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return kept


@dataclass
class MovingStore:
    """The journal of one machine, read and written on the node that owns it.

    shown: whether CIM answers show private properties here; warnings: what became known while writing.
    """

    host: Host
    windows: cluster.Windows
    resource: str
    group: str
    vm_id: str
    shown: bool
    warnings: list[str] = field(default_factory=list)
    _in_group: bool = False
    _only_here: bool = False
    _has_key: bool = False

    @property
    def _local(self) -> RegistryStore:
        return RegistryStore(self.host, journal_key("snapshot_offline_action", self.vm_id))

    @property
    def place(self) -> str:
        """Both places."""
        return f"FieldnotesJournal of cluster group {self.group} and {self._local.place}"

    def read(self) -> str | None:
        """Two requests. A local copy counts only where the cluster took none: else it is of an earlier owner."""
        authority = cluster.read_group_text(self.host, self.windows, self.group, shown=self.shown)
        local = self._local.read()
        self._in_group, self._has_key = authority is not None, local is not None
        if authority is not None:
            return decoded(authority)
        self._only_here = local is not None and _is_only_here(decoded(local))
        return decoded(local) if local is not None and self._only_here else None

    def create(self, text: str) -> None:
        """Writes both places, the authority first. Errors: Refusal where a failover would lose the journal."""
        kept = encoded(text)
        try:
            self._write_group(kept)
        except (CmdletFailed, ProcessFailed, VerificationFailed) as error:
            self._do_without_group(text, error)
            kept = encoded(json.dumps({**json.loads(text), _ONLY_HERE: True}))
        self._local.create(kept)
        self._has_key = True

    def _write_group(self, kept: str) -> None:
        self._in_group = True
        cluster.write_group_text(self.host, self.windows, self.group, kept)
        if cluster.read_group_text(self.host, self.windows, self.group, shown=self.shown) != kept:
            raise VerificationFailed(f"group {self.group} does not show the FieldnotesJournal that was just written")

    def _do_without_group(self, text: str, error: FieldnotesError) -> None:
        """UNCONFIRMED whether a group of every Windows takes a private property that it does not know."""
        self._in_group, self._only_here = False, True
        offline = json.loads(text).get("method") == "offline"
        if offline and len(cluster.read_possible_owners(self.host, self.resource)) > 1:
            raise Refusal(
                "journal",
                f"{explained(error)}. Without it a failover of {self.resource} would lose the journal of this run: "
                "leave one possible owner for the time of the merge, or use method: live where there is one; "
                "nothing was changed",
            ) from error
        self.warnings.append(
            f"the cluster does not keep the journal of this run ({explained(error)}): it stands on this node alone"
        )

    def write(self, text: str) -> None:
        """Writes over both places."""
        if self._only_here:
            text = json.dumps({**json.loads(text), _ONLY_HERE: True})
        kept = encoded(text)
        if not self._only_here:
            self._in_group = True
            cluster.write_group_text(self.host, self.windows, self.group, kept)
        if self._has_key:
            self._local.write(kept)
        else:
            self._local.create(kept)
            self._has_key = True

    def remove(self) -> None:
        """Removes the copy, then the authority: a run that ends in between is found and finished."""
        self._local.remove()
        self._has_key = False
        if self._in_group:
            self._remove_from_group()
            self._in_group = False

    def _remove_from_group(self) -> None:
        try:
            cluster.delete_group_text(self.host, self.windows, self.group)
        except (CmdletFailed, ProcessFailed):
            if cluster.read_group_text(self.host, self.windows, self.group, shown=self.shown) is not None:
                raise
            # Another run that followed this journal has removed it.


def _is_only_here(text: str) -> bool:
    try:
        return bool(json.loads(text).get(_ONLY_HERE))
    except (ValueError, AttributeError):
        # It cannot be read: let the journal say so.
        return True


def explained(error: FieldnotesError) -> str:
    """The error, with the remedy where it is one of access.

    UNCONFIRMED whether the cluster cmdlets work in a session without delegated credentials.
    """
    if not cluster.denies_access(error):
        return str(error)
    return (
        f"{error}. The cluster refuses the account as it comes over this connection: connect with CredSSP or Kerberos "
        "delegation (ansible_psrp_auth=credssp, or ansible_psrp_negotiate_delegate=true), or give the account full "
        "control of the cluster"
    )


@dataclass(frozen=True)
class AbandonedStore:
    """The copy on a node that does not own the machine: stale whatever it says."""

    local: RegistryStore

    @property
    def place(self) -> str:
        """The registry key."""
        return self.local.place

    def read(self) -> str | None:
        """An empty journal where there is one."""
        return None if self.local.read() is None else '{"version":1}'

    def create(self, text: str) -> None:
        """Nothing is begun here."""

    def write(self, text: str) -> None:
        """Nothing is gone on with here."""

    def remove(self) -> None:
        """Removes the copy, and nothing of the cluster's."""
        self.local.remove()
