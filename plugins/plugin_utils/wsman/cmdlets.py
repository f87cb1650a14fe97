# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Typed cmdlets over PSRP: names and typed parameters, never script text. For this collection only.

SET_CLUSTER_PARAMETER = Cmdlet("Set-ClusterParameter", "FailoverClusters", ("Name", "Value"))
session.cmdlets.run(pipe(GET_CLUSTER_RESOURCE(Name="disk"), SET_CLUSTER_PARAMETER(Name="x", Value=1)), attempted="...")
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pypsrp.complex_objects import ComplexObject, GenericComplexObject, PSInvocationState
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.serializer import TaggedValue

from ..errors import CmdletFailed, FieldnotesError
from .process import Connected

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
    properties: Mapping[str, Any]
    text: str

    def get(self, name: str) -> Any:
        """A property by its name in any case; None where there is none."""
        lowered = name.lower()
        return next((value for key, value in self.properties.items() if key.lower() == lowered), None)


@dataclass(frozen=True)
class CmdletResult:
    """What a pipeline put out. errors: non-terminating ones, in order; warnings: texts."""

    output: tuple[Any, ...]
    errors: tuple[CmdletFailed, ...]
    warnings: tuple[str, ...]


class Cmdlets:
    """Pipelines of one session over one runspace pool, opened by the first of them."""

    def __init__(self, session: Connected) -> None:
        self._session = session
        self._pools: dict[str, RunspacePool] = {}
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
        check: raise the first error, terminating or not; a terminating one is always raised. Errors: CmdletFailed and
        those of the session.
        """
        pipelines = [s if isinstance(s, tuple) else (s,) for s in statements]
        with self._session.translated(attempted):
            pool = self._pool(configuration)
            if any(_has_secret(command) for commands in pipelines for command in commands):
                pool.exchange_keys()
            self._end_previous()
            shell = PowerShell(pool)
            for number, commands in enumerate(pipelines):
                if number:
                    shell.add_statement()
                for command in commands:
                    shell.add_cmdlet(command.name)
                    for name, value in command.parameters:
                        shell.add_parameter(name, _to_wire(value))
            shell.begin_invoke()
            while shell.state == PSInvocationState.RUNNING:
                shell.poll_invoke()
                if progress is not None:
                    progress(_latest(shell))
            self._previous = shell
        names = " | ".join(command.name for commands in pipelines for command in commands)
        errors = tuple(_error(record, attempted, names) for record in shell.streams.error)
        if errors and (check or shell.state != PSInvocationState.COMPLETED):
            raise errors[-1] if shell.state != PSInvocationState.COMPLETED else errors[0]
        if shell.state != PSInvocationState.COMPLETED:
            raise CmdletFailed(attempted, names, "", 0, f"the pipeline ended in state {shell.state}")
        output = tuple(_from_wire(value) for value in shell.output)
        return CmdletResult(output, errors, tuple(str(warning) for warning in shell.streams.warning))

    def _end_previous(self) -> None:
        # A pipeline counts against the shell's quota until it is ended; closing the pool ends the last one as well.
        previous, self._previous = self._previous, None
        if previous is not None:
            previous.close()

    def _pool(self, configuration: str) -> RunspacePool:
        pool = self._pools.get(configuration)
        if pool is None:
            pool = RunspacePool(self._session.wsman, configuration_name=configuration)
            pool.open()
            self._pools[configuration] = pool
        return pool

    def close(self) -> None:
        """Closes the pools; a pool left open would count against the user's quota until its idle time-out."""
        pools = list(self._pools.values())
        self.forget()
        for pool in pools:
            try:
                with self._session.translated("closing a runspace pool"):
                    pool.close()
            except FieldnotesError:
                pass  # the connection is gone, and the pool with it

    def forget(self) -> None:
        """Drops the pools without a word to the host: their connection is gone."""
        self._pools = {}
        self._previous = None


def _has_secret(command: Command) -> bool:
    return any(isinstance(value, SecureText) for _, value in command.parameters)


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
            return str(getattr(newest, "description", None) or getattr(newest, "message", None) or newest)
    return ""


def _from_wire(value: Any, depth: int = 0) -> Any:
    """Primitives as they are, lists as tuples, dictionaries as dicts, enumerations as their text, else PSObject."""
    if isinstance(value, GenericComplexObject):
        if any(name == "System.Enum" for name in value.types):
            return value.to_string
        properties = {**value.adapted_properties, **value.extended_properties}
        return PSObject(
            tuple(value.types),
            {str(name): _from_wire(inner, depth + 1) for name, inner in properties.items()},
            str(value.to_string or ""),
        )
    if isinstance(value, ComplexObject):
        return str(value)
    if isinstance(value, Mapping):
        return {str(_from_wire(key)): _from_wire(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return tuple(_from_wire(inner, depth + 1) for inner in value)
    if isinstance(value, datetime.datetime) and value.tzinfo is None:
        return value.replace(tzinfo=datetime.timezone.utc)
    return value


def _error(record: Any, attempted: str, names: str) -> CmdletFailed:
    message = _message(record)
    error_id = str(getattr(record, "fq_error", None) or "")
    category = getattr(record, "category", None)
    number = int(category) if isinstance(category, int) else 0
    return CmdletFailed(attempted, names, error_id, number, " ".join(message.split()))


def _message(record: Any) -> str:
    details = getattr(record, "details_message", None)
    exception = getattr(record, "exception", None)
    if details or not isinstance(exception, GenericComplexObject):
        return str(details or record)
    message = exception.adapted_properties.get("Message") or exception.extended_properties.get("Message")
    return str(message or exception.to_string or record)
