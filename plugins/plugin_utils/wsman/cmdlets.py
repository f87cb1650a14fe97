# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Typed cmdlets over PSRP: names and typed parameters, never script text. For this collection only.

SET_CLUSTER_PARAMETER = Cmdlet("Set-ClusterParameter", "FailoverClusters", ("Name", "Value"))
session.cmdlets.run(pipe(GET_CLUSTER_RESOURCE(Name="disk"), SET_CLUSTER_PARAMETER(Name="x", Value=1)), attempted="...")
"""

from __future__ import annotations

import datetime
import queue
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from ..errors import CmdletFailed, ConnectionTrouble, FieldnotesError, MalformedAnswer
from .libraries import (
    ComplexObject,
    GenericComplexObject,
    PowerShell,
    PSInvocationState,
    RunspacePoolState,
    TaggedValue,
)
from .process import Connected
from .shells import Pool
from .types import decode_moment

DEFAULT_CONFIGURATION = "Microsoft.PowerShell"


class _Switch:
    def __repr__(self) -> str:
        return "SWITCH"


SWITCH = _Switch()
"""The value of a switch parameter that is set."""


@dataclass(frozen=True)
class UInt32:
    """A value that the cmdlet must see as System.UInt32, as a DWORD property of a cluster resource."""

    value: int


@dataclass(frozen=True)
class SecureText:
    """A value that travels as SecureString, encrypted with the session key of the runspace pool."""

    value: str = field(repr=False)


@dataclass(frozen=True)
class Command:
    """One command of a pipeline, with its parameters in order."""

    name: str
    parameters: tuple[tuple[str, Any], ...] = ()


Pipeline = tuple[Command, ...]


def pipe(*commands: Command) -> Pipeline:
    """``a | b | c``."""
    return commands


@dataclass(frozen=True)
class Cmdlet:
    """A cmdlet that Windows documents, with the parameters that are used; the contract tests check all of them."""

    name: str
    module: str
    parameters: tuple[str, ...] = ()

    declared: ClassVar[list[Cmdlet]] = []

    def __post_init__(self) -> None:
        Cmdlet.declared.append(self)

    def __call__(self, **parameters: Any) -> Command:
        """The command with these parameters; None leaves one out. Errors: TypeError for an undeclared parameter."""
        unknown = [name for name in parameters if name not in self.parameters]
        if unknown:
            raise TypeError(f"{self.name} is not declared with {', '.join(unknown)}")
        return Command(self.name, tuple((n, v) for n, v in parameters.items() if v is not None))


@dataclass(frozen=True)
class PSObject:
    """An object that a cmdlet put out: properties only, one level deep; enumerations as their text."""

    types: tuple[str, ...]
    properties: Mapping[str, Any] = field(repr=False)
    text: str

    def get(self, name: str) -> Any:
        """A property by its name in any case; None where there is none."""
        lowered = name.lower()
        return next((value for key, value in self.properties.items() if key.lower() == lowered), None)

    def number(self, name: str) -> int:
        """A property that is a whole number. Errors: MalformedAnswer for anything else."""
        value = self.get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise MalformedAnswer(f"property {name}: {str(value)[:40]!r} is no whole number")
        return value

    def moment(self, name: str) -> datetime.datetime | None:
        """A property that is a DateTime, which travels as text. Errors: MalformedAnswer for another text."""
        text = self.get(name)
        try:
            return None if text is None else decode_moment(str(text))
        except ValueError as error:
            raise MalformedAnswer(f"property {name}: {error}") from error


@dataclass(frozen=True)
class CmdletResult:
    """What a pipeline put out. errors: non-terminating ones, in order; warnings: texts."""

    output: tuple[Any, ...]
    errors: tuple[CmdletFailed, ...]
    warnings: tuple[str, ...]


class Carrier(Connected, Protocol):
    """What the session gives to pipelines."""

    def require_confidentiality(self, what: str) -> None:
        """Errors: InsecureConnection where what is sent can be read on the way."""


class Cmdlets:
    """Pipelines of one session over one runspace pool per configuration, opened by the first of them."""

    def __init__(self, session: Carrier) -> None:
        self._session = session
        self._pools: dict[str, Pool] = {}
        self._previous: PowerShell | None = None

    def run(
        self,
        *statements: Command | Pipeline,
        attempted: str,
        configuration: str = DEFAULT_CONFIGURATION,
        progress: Callable[[str], None] | None = None,
        check: bool = True,
    ) -> CmdletResult:
        """Runs statements in order in one pipeline; their outputs come in order, not told apart.

        progress: called with the newest progress or verbose text, or an empty one, each time the host answered.
        check: raise the first error, terminating or not; a terminating one is always raised, and no statement after it
        runs. Errors: CmdletFailed and those of the session; InsecureConnection for a secret that could be read.
        """
        pipelines: list[Pipeline] = [s if isinstance(s, tuple) else (s,) for s in statements]
        for command in (command for commands in pipelines for command in commands):
            if _has_secret(command):
                self._session.require_confidentiality(f"a secret of {command.name}")
        pool = self._pool(configuration, attempted)
        # Windows PowerShell 2.0 (protocol 2.1) runs the first statement of a pipeline and does not see the others.
        batches = [pipelines] if _version(pool) >= (2, 2) else [[commands] for commands in pipelines]
        shells: list[PowerShell] = []
        for batch in batches:
            shells.append(self._invoke(pool, configuration, batch, attempted, progress))
            if shells[-1].state != PSInvocationState.COMPLETED:
                break
        with self._session.translated(attempted):
            return _result(shells, attempted, " | ".join(c.name for commands in pipelines for c in commands), check)

    def _invoke(
        self,
        pool: Pool,
        configuration: str,
        pipelines: Sequence[Pipeline],
        attempted: str,
        progress: Callable[[str], None] | None,
    ) -> PowerShell:
        """The pipeline, run to its end. Where that fails the pool is closed: what still runs in it is unknown."""
        try:
            with self._session.translated(attempted):
                if any(_has_secret(command) for commands in pipelines for command in commands):
                    pool.exchange_keys()
                self._end_previous()
                shell = _composed(pool, pipelines)
                shell.begin_invoke()
                while shell.state == PSInvocationState.RUNNING:
                    shell.poll_invoke()
                    if progress is not None:
                        progress(_latest(shell))
        except FieldnotesError as error:
            self._discard(configuration, pool, error)
            raise
        self._previous = shell
        return shell

    def _end_previous(self) -> None:
        # A pipeline counts against the shell's quota until it is ended; closing the pool ends the last one as well.
        previous, self._previous = self._previous, None
        if previous is not None:
            previous.close()

    def _pool(self, configuration: str, attempted: str) -> Pool:
        pool = self._pools.get(configuration)
        if pool is not None:
            return pool
        pool = Pool(self._session.wsman, configuration)
        try:
            with self._session.translated(attempted):
                pool.open()
                if pool.state != RunspacePoolState.OPENED:
                    raise MalformedAnswer(f"the host ended the new runspace pool (state {pool.state})")
        except FieldnotesError as error:
            self._discard(configuration, pool, error)
            raise
        self._pools[configuration] = pool
        return pool

    def _discard(self, configuration: str, pool: Pool, error: FieldnotesError) -> None:
        self._pools.pop(configuration, None)
        self._previous = None
        # Without a connection nobody can be told; the host ends the pool after its idle time.
        if not isinstance(error, ConnectionTrouble):
            self._close_quietly(pool)

    def _close_quietly(self, pool: Pool) -> None:
        try:
            with self._session.translated("closing a runspace pool"):
                pool.close()
        except FieldnotesError:
            pass  # the connection is gone, and the pool with it

    def close(self) -> None:
        """Closes the pools; a pool left open would count against the user's quota until its idle time-out."""
        pools = list(self._pools.values())
        self.forget()
        for pool in pools:
            self._close_quietly(pool)

    def forget(self) -> None:
        """Drops the pools without a word to the host: their connection is gone.

        What runs in them goes on: closing a pool would end it. The host ends an idle pool by itself.
        """
        self._pools = {}
        self._previous = None


def _version(pool: Pool) -> tuple[int, ...]:
    """The protocol version that both sides know."""
    found = re.fullmatch(r"([0-9]{1,4})\.([0-9]{1,4})", str(pool.protocol_version))
    return (int(found[1]), int(found[2])) if found else (2, 1)


def _composed(pool: Pool, pipelines: Sequence[Pipeline]) -> PowerShell:
    shell = PowerShell(pool)
    for number, commands in enumerate(pipelines):
        if number:
            shell.add_statement()
        for command in commands:
            shell.add_cmdlet(command.name)
            for name, value in command.parameters:
                shell.add_parameter(name, _to_wire(value))
    return shell


def _result(shells: Sequence[PowerShell], attempted: str, names: str, check: bool) -> CmdletResult:
    """What the pipelines put out. Errors: CmdletFailed."""
    errors = tuple(_error(record, attempted, names) for shell in shells for record in shell.streams.error)
    state = shells[-1].state
    if state != PSInvocationState.COMPLETED:
        # The record of the error that ended the pipeline comes last.
        failure = (
            errors[-1] if errors else CmdletFailed(attempted, names, "", 0, f"the pipeline ended in state {state}")
        )
        failure.warnings = _warnings(shells)
        raise failure
    if errors and check:
        raise errors[0]
    return CmdletResult(
        tuple(_from_wire(value) for shell in shells for value in shell.output),
        errors,
        _warnings(shells),
    )


def _warnings(shells: Sequence[PowerShell]) -> tuple[str, ...]:
    return tuple(_text(warning) for shell in shells for warning in shell.streams.warning)


def _has_secret(command: Command) -> bool:
    return any(isinstance(value, SecureText) for name, value in command.parameters)


def _to_wire(value: Any) -> Any:
    if isinstance(value, _Switch):
        return None
    if isinstance(value, UInt32):
        return TaggedValue("U32", value.value)
    if isinstance(value, SecureText):
        return TaggedValue("SS", value.value)
    if isinstance(value, bytes):
        return TaggedValue("BA", value)
    return value


def _latest(shell: PowerShell) -> str:
    for stream in (shell.streams.progress, shell.streams.verbose):
        if stream:
            newest = stream[-1]
            return str(getattr(newest, "description", None) or _text(newest))
    return ""


def _text(record: Any) -> str:
    return str(getattr(record, "message", None) or record)


def _from_wire(value: Any, known: dict[int, Any] | None = None) -> Any:
    """Primitives as they are, lists as tuples, dictionaries as dicts, enumerations as their text, else PSObject.

    A DateTime comes as its text, see ``PSObject.moment``. known: what was converted already, by the identity of what
    came: an object may be in many places. Errors: MalformedAnswer for one that is inside itself.
    """
    if value is None or isinstance(value, (str, bytes, bool, int, float)):
        return value
    known = {} if known is None else known
    if id(value) not in known:
        known[id(value)] = _INSIDE
        known[id(value)] = _converted(value, known)
    if known[id(value)] is _INSIDE:
        raise MalformedAnswer("an object of the output holds itself")
    return known[id(value)]


_INSIDE = object()


def _converted(value: Any, known: dict[int, Any]) -> Any:
    if isinstance(value, GenericComplexObject):
        if any(name == "System.Enum" for name in value.types):
            return value.to_string
        properties = {**value.adapted_properties, **value.extended_properties}
        return PSObject(
            tuple(value.types),
            {str(name): _from_wire(inner, known) for name, inner in properties.items()},
            str(value.to_string or ""),
        )
    if isinstance(value, ComplexObject):
        return str(value)
    if isinstance(value, Mapping):
        return {str(_from_wire(key, known)): _from_wire(inner, known) for key, inner in value.items()}
    if isinstance(value, queue.Queue):
        return tuple(_from_wire(inner, known) for inner in value.queue)
    if isinstance(value, Sequence):
        return tuple(_from_wire(inner, known) for inner in value)
    return value


def _error(record: Any, attempted: str, names: str) -> CmdletFailed:
    message = _message(record)
    error_id = str(getattr(record, "fq_error", None) or "")
    category = getattr(record, "category", None)
    number = int(category) if isinstance(category, int) else 0
    source = str(getattr(record, "activity", None) or names)
    return CmdletFailed(attempted, source, error_id, number, " ".join(message.split()))


def _message(record: Any) -> str:
    details = getattr(record, "details_message", None)
    exception = getattr(record, "exception", None)
    if details or not isinstance(exception, GenericComplexObject):
        return str(details or record)
    message = exception.adapted_properties.get("Message") or exception.extended_properties.get("Message")
    return str(message or exception.to_string or record)
