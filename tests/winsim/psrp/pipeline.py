# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One PSRP pipeline: its statements bound, run on the fleet's clock, and everything they put out.

A pipeline is a generator that stops at each `Wait`; the clock goes on with it. It belongs to its shell, not to the
connection that started it, so it runs on when that breaks.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psrpcore.types as ps

from .. import cmdlets
from ..log import method_writes
from ..providers import (
    CALLER,
    CmdletFunction,
    DebugMessage,
    ErrorRecord,
    Fault,
    ProgressMessage,
    Terminating,
    VerboseMessage,
    WarningMessage,
    calling,
    providers,
)
from . import objects
from .generic import STREAMS, Runspace, Stream
from .objects import Wait

if TYPE_CHECKING:
    import psrpcore

    from ..clock import Event
    from ..host import Host

log = logging.getLogger(__name__)

RUNTIME_EXCEPTION = ("System.Management.Automation.RuntimeException", "System.SystemException", "System.Exception")
Argument = tuple[str | None, Any]

# Cmdlets that change the session and nothing on the host, although their verbs do not say so.
SESSION_ONLY = frozenset({"add-pssnapin", "foreach-object", "import-module"})


@dataclass(frozen=True)
class Call:
    """What the request log tells of a command: never a value. A script is named `<script>`."""

    cmdlet: str
    parameters: tuple[str, ...]
    writes: bool

    def __str__(self) -> str:
        return " ".join([self.cmdlet, *(f"-{name}" for name in self.parameters if name)])


@dataclass(frozen=True)
class Command:
    """A command as the client sent it."""

    text: str
    is_script: bool
    arguments: tuple[Argument, ...]
    errors_to_output: bool = False

    @property
    def call(self) -> Call:
        if self.is_script:
            return Call("<script>", (), writes=True)
        names = tuple(name.lstrip("-") if name is not None else "" for name, _ in self.arguments)
        what_if = any(name.lower() in ("whatif", "wi") for name in names)
        bare = self.text.rpartition("\\")[2]
        writes = method_writes(bare) and bare.lower() not in SESSION_ONLY and not what_if
        return Call(self.text, names, writes)


Statement = tuple[Command, ...]


def statements(commands: Iterable[Any]) -> tuple[Statement, ...]:
    """psrpcore's flat list of commands as statements."""
    result: list[list[Command]] = [[]]
    for command in commands:
        result[-1].append(
            Command(
                str(command.command_text),
                bool(command.is_script),
                tuple(
                    (None if name is None else str(name), objects.plain(value)) for name, value in command.parameters
                ),
                errors_to_output=command.merge_error == ps.PipelineResultTypes.Output
                or command.merge_to == ps.PipelineResultTypes.Output,
            )
        )
        if command.end_of_statement:
            result.append([])
    return tuple(tuple(statement) for statement in result if statement)


class Failed(Exception):
    """The pipeline ends here: a terminating error and the command it comes from."""

    def __init__(self, record: ErrorRecord, command: Prepared) -> None:
        super().__init__(record.message)
        self.record = record
        self.command = command


@dataclass(frozen=True)
class Prepared:
    """A command whose own arguments are bound; `run` is a provider's, `stream` one of PowerShell's own."""

    command: Command
    binding: cmdlets.Binding | None
    run: CmdletFunction | None
    stream: Stream | None
    position: int
    length: int

    @property
    def name(self) -> str:
        return self.binding.cmdlet.name if self.binding is not None else self.command.text

    @property
    def error_source(self) -> str:
        return self.binding.cmdlet.error_source if self.binding is not None else ""

    @property
    def common(self) -> cmdlets.Common:
        return self.binding.common if self.binding is not None else cmdlets.Common()


@dataclass(frozen=True)
class Side:
    """What travels beside the output: a record or a Wait, and whose it is."""

    what: Any
    command: Prepared


class Pipeline:
    """A running pipeline. All methods are called under the fleet's lock."""

    def __init__(
        self,
        runspace: Runspace,
        wire: psrpcore.ServerPipeline,
        commands: Sequence[Statement],
        given: Sequence[Any],
        expects_input: bool,
    ) -> None:
        self.runspace = runspace
        self.host = runspace.host
        self.wire = wire
        self.over = False
        self._invocation_info: bool = bool(
            wire.metadata.remote_stream_options  # type: ignore[union-attr]
            & ps.RemoteStreamOptions.AddInvocationInfoToErrorRecord
        )
        self._caller = CALLER.get()
        self._steps = self._execute(commands, given, expects_input)
        self._next: Event | None = None

    def start(self) -> None:
        self.wire.start()
        self._go_on()

    def stop(self) -> None:
        """End it as Ctrl+C does: the provider's generator is closed where it waits; PIPELINE_STATE says Stopped."""
        if not self.over:
            self._end()
            self.wire.stop()
            self.host.fleet.changed.notify_all()

    def abandon(self) -> None:
        """End it without a word: the shell is going."""
        if not self.over:
            self._end()

    def _end(self) -> None:
        self.over = True
        if self._next is not None:
            self._next.cancel()
        self._steps.close()

    def _go_on(self) -> None:
        """Run until the next Wait. Also called from the clock, hence the caller of the time of the Command."""
        if self.over:
            return
        with calling(self._caller):
            try:
                wait = next(self._steps, None)
            except Failed as failure:
                self.over = True
                self._fail(failure)
            except Exception as error:
                # A mistake of winsim, not of Windows: say so instead of looking like a slow cmdlet.
                log.exception("a cmdlet of %s broke", self.host.name)
                self.over = True
                broken = ErrorRecord(f"winsim: {error!r}", "WinsimBroken", 7, RUNTIME_EXCEPTION)
                self._fail(Failed(broken, Prepared(Command("", False, ()), None, None, None, 0, 0)))
            else:
                if wait is None:
                    self.over = True
                    self.wire.complete()
                else:
                    self._next = self.host.fleet.clock.after(wait.seconds, self._go_on)
        self.host.fleet.changed.notify_all()

    def _fail(self, failure: Failed) -> None:
        self.wire._change_state(ps.PSInvocationState.Failed, error=self._error(failure.record, failure.command))

    def _error(self, record: ErrorRecord, command: Prepared) -> ps.ErrorRecord:
        info = _invocation_info(command) if self._invocation_info and command.binding is not None else None
        return objects.error(record, command.name if command.binding is not None else "", command.error_source, info)

    def _execute(
        self, commands: Sequence[Statement], given: Sequence[Any], expects_input: bool
    ) -> Generator[Wait, None, None]:
        if self.host.switches["psrp.progress_first"] == "on":
            for completed in (False, True):
                self._write_progress(ProgressMessage("Preparing modules for first use.", "", completed=completed))
        for number, statement in enumerate(commands):
            prepared = prepare(self.runspace, statement, expects_input and number == 0)
            source: Iterator[Any] = iter(given if number == 0 else ())
            for command in prepared:
                has_input = command.position > 1 or (expects_input and number == 0)
                source = _stage(self.runspace, command, source, has_input)
            for output in source:
                if isinstance(output, Side) and isinstance(output.what, Wait):
                    yield output.what
                elif isinstance(output, Side):
                    self._write_side(output)
                else:
                    self.wire.write_output(objects.wire(output))

    def _write_side(self, side: Side) -> None:
        what = side.what
        if isinstance(what, ErrorRecord):
            record = self._error(what, side.command)
            kind = (
                ps.PSRPMessageType.PipelineOutput
                if side.command.command.errors_to_output
                else ps.PSRPMessageType.ErrorRecord
            )
            self.wire.prepare_message(record, message_type=kind)
        elif isinstance(what, WarningMessage):
            self.wire.write_warning(what.text)
        elif isinstance(what, VerboseMessage):
            self.wire.write_verbose(what.text)
        elif isinstance(what, DebugMessage):
            self.wire.write_debug(what.text)
        elif isinstance(what, ProgressMessage):
            self._write_progress(what)

    def _write_progress(self, what: ProgressMessage) -> None:
        kinds = ps.ProgressRecordType
        self.wire.write_progress(
            what.activity,
            0,
            what.status or " ",
            percent_complete=what.percent,
            record_type=kinds.Completed if what.completed else kinds.Processing,
        )


def _invocation_info(command: Prepared) -> ps.InvocationInfo:
    info = ps.PSObject()
    for name, value in (
        ("CommandType", ps.CommandTypes.Cmdlet),
        ("Definition", command.name),
        ("Name", command.name),
        ("Visibility", ps.SessionStateEntryVisibility.Public),
    ):
        ps.add_note_property(info, name, value)
    return ps.InvocationInfo(
        CommandOrigin=ps.CommandOrigin.Internal,
        ExpectingInput=command.position > 1,
        HistoryId=1,
        InvocationName=command.command.text,
        Line="",
        MyCommand=info,
        OffsetInLine=0,
        PipelineLength=command.length,
        PipelinePosition=command.position,
        PositionMessage="",
        ScriptLineNumber=0,
    )


def prepare(runspace: Runspace, statement: Statement, expects_input: bool) -> list[Prepared]:
    """Find and bind every command of a statement. Raises Failed: then nothing of the statement has run."""
    return [
        _prepare(runspace, command, position, len(statement), expects_input or position > 1)
        for position, command in enumerate(statement, 1)
    ]


def _prepare(runspace: Runspace, command: Command, position: int, length: int, expects_input: bool) -> Prepared:
    nothing = Prepared(command, None, None, None, position, length)
    if command.is_script:
        message = "The syntax is not supported by this runspace. This might be because it is in no-language mode."
        parse = ("System.Management.Automation.ParseException", *RUNTIME_EXCEPTION)
        raise Failed(ErrorRecord(message, "ScriptsNotAllowed", 17, parse), nothing)
    try:
        cmdlet = cmdlets.find(command.text, runspace.release, runspace.offers)
        binding = cmdlets.bind(cmdlet, runspace.release, command.arguments, expects_input)
    except cmdlets.BindingError as refusal:
        raise Failed(_refused(refusal), nothing) from None
    # A subsystem may play one of PowerShell's own cmdlets in its own way.
    played = providers.cmdlet(runspace.host, cmdlet.name)
    stream = STREAMS.get(cmdlet.name.lower()) if played is None else None
    return Prepared(command, binding, played.run if played is not None else None, stream, position, length)


def _refused(refusal: cmdlets.BindingError) -> ErrorRecord:
    return ErrorRecord(
        str(refusal),
        refusal.identifier,
        ps.ErrorCategory[refusal.category].value,
        (refusal.exception, *RUNTIME_EXCEPTION),
        target=refusal.target,
        activity=refusal.command,
    )


def _stage(runspace: Runspace, command: Prepared, source: Iterator[Any], has_input: bool) -> Iterator[Any]:
    """One command of a statement as a filter. What comes beside the output of earlier commands passes through."""
    assert command.binding is not None
    binding = command.binding
    if command.common.confirm:
        # A session without a user to ask: what Confirm would ask fails.
        message = (
            "A command that prompts the user failed because the host program or the command type does not support "
            "user interaction."
        )
        raise Failed(
            ErrorRecord(
                message, "HostFunctionNotImplemented", 11, ("System.Management.Automation.Host.HostException",)
            ),
            command,
        )
    if command.stream is not None:
        yield from _through(runspace, command, command.stream, binding.parameters, source)
        return
    if not has_input:
        yield from _invoke(runspace.host, command, binding.parameters, [])
        return
    for item in source:
        if isinstance(item, Side):
            yield item
            continue
        try:
            parameters = binding.with_input(item)
        except cmdlets.BindingError as refusal:
            yield from _emit(command, _refused(refusal))
            continue
        yield from _invoke(runspace.host, command, parameters, [item])


def _through(
    runspace: Runspace, command: Prepared, stream: Stream, parameters: Mapping[str, Any], source: Iterator[Any]
) -> Iterator[Any]:
    """Run one of PowerShell's own filters object by object where it can, and as a whole where it must."""
    if command.name in ("Where-Object", "ForEach-Object"):
        for item in source:
            if isinstance(item, Side):
                yield item
            else:
                yield from itertools.chain.from_iterable(
                    _emit(command, output) for output in stream(runspace, parameters, iter([item]))
                )
        return
    collected = []
    for item in source:
        if isinstance(item, Side):
            yield item
        else:
            collected.append(item)
    for output in stream(runspace, parameters, iter(collected)):
        yield from _emit(command, output)


def _invoke(host: Host, command: Prepared, parameters: Mapping[str, Any], items: list[Any]) -> Iterator[Any]:
    assert command.run is not None
    if command.common.what_if:
        return
    try:
        for output in command.run(host, dict(parameters), items) or ():
            yield from _emit(command, output)
    except Terminating as error:
        raise Failed(error.record, command) from None
    except Fault as fault:
        yield from _emit(command, _from_fault(fault))


def _from_fault(fault: Fault) -> ErrorRecord:
    """A WMI fault under a CDXML cmdlet is a CimException; the number is in its id."""
    return ErrorRecord(
        fault.text or f"HRESULT 0x{fault.code:08x}",
        f"HRESULT 0x{fault.code:08x}",
        0,
        ("Microsoft.Management.Infrastructure.CimException", "System.Exception"),
        hresult=fault.code,
    )


def _emit(command: Prepared, output: Any) -> Iterator[Any]:
    """What one thing that a cmdlet puts out becomes under its common parameters."""
    common = command.common
    if isinstance(output, ErrorRecord):
        if common.error_action == "stop":
            raise Failed(output, command)
        if common.error_action not in ("silentlycontinue", "ignore"):
            yield Side(output, command)
    elif isinstance(output, WarningMessage):
        if common.warning_action == "stop":
            stop = (
                "The running command stopped because the preference variable "
                f'"WarningPreference" or common parameter is set to Stop: {output.text}'
            )
            exception = ("System.Management.Automation.ActionPreferenceStopException", *RUNTIME_EXCEPTION)
            raise Failed(ErrorRecord(stop, "ActionPreferenceStop", 14, exception), command)
        if common.warning_action not in ("silentlycontinue", "ignore"):
            yield Side(output, command)
    elif isinstance(output, VerboseMessage):
        if common.verbose:
            yield Side(output, command)
    elif isinstance(output, DebugMessage):
        if common.debug:
            yield Side(output, command)
    elif isinstance(output, (ProgressMessage, Wait)):
        yield Side(output, command)
    elif output is not None:
        yield output
