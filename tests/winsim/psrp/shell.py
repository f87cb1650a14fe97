# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PowerShell shells: WS-Management's shell operations (MS-WSMV 3.1.4) that carry PSRP.

A shell belongs to its user and outlives the connection that made it. It holds one runspace pool (`psrpcore` reads and
writes its messages) and the pipelines in it.
"""

from __future__ import annotations

import base64
import binascii
import collections
import itertools
import time
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import psrpcore
import psrpcore.types as ps

from .. import soap
from ..providers import Provider
from ..soap import RSP, Fault, ProviderFault, Request, node, qname
from ..switches import declare
from . import objects
from .generic import Runspace, configured
from .pipeline import Call, Pipeline, statements

if TYPE_CHECKING:
    from ..host import Host

RESOURCE = "http://schemas.microsoft.com/powershell/"
POWERSHELL = "http://schemas.microsoft.com/powershell"
DONE = f"{RSP}/CommandState/Done"
PLUGIN = ("Microsoft.PowerShell", r"%systemroot%\system32\pwrshplugin.dll")

TIMED_OUT = 0x80338029
UNEXPECTED_SELECTORS = 0x8033805B
INVALID_RESOURCE_URI = 0x8033803B
SHELLS_PER_USER = 0x803381A5
VERSION_REFUSED = 0x80540BC5
INVALID_PARAMETER = 87
NOT_SUPPORTED = 50
ABORTED = 995

DEFAULT_ENVELOPE = 153600
ENVELOPE_OVERHEAD = 4096
# The element around a fragment: its tags, the stream's name, the command's id.
STREAM_OVERHEAD = 160
FRAGMENT_HEADER = 21
BOM = b"\xef\xbb\xbf"
IDLE_SECONDS = 7200.0
SHORTEST_IDLE_SECONDS = 60.0

declare(
    "psrp.fragments",
    {
        "large": "messages are cut only where the envelope ends",
        "small": "messages are cut into fragments of 997 bytes",
    },
    open_question="where the server cuts its messages",
    page="MS-PSRP 2.2.4 and recordings",
)
declare(
    "psrp.streams",
    {
        "fragment": "one Stream element per fragment",
        "joined": "all fragments of an answer in one Stream element",
        "cut": "Stream elements that end anywhere within a fragment",
    },
    open_question="how fragments are laid into Stream elements",
    page="MS-PSRP and recordings",
)
declare(
    "psrp.answers",
    {
        "full": "an answer holds all that is there and fits",
        "split": "an answer holds one message, so Done comes after the output",
    },
    open_question="how much one Receive answer holds",
    page="MS-PSRP and recordings",
)

CALLS: ContextVar[tuple[Call, ...]] = ContextVar("CALLS", default=())
"""The commands that the request dispatched last in this context completed."""


class _Pool(psrpcore.ServerRunspacePool):
    """A runspace pool whose messages begin with a byte order mark, as those of Windows do.

    PowerShell's names ignore case, psrpcore's do not: clients call the call id of some messages `CI`.
    """

    def _process_message(self, message: Any) -> psrpcore.PSRPEvent[Any, Any]:
        if message.message_type in (ps.PSRPMessageType.SetMaxRunspaces, ps.PSRPMessageType.SetMinRunspaces):
            message._data = message._data.replace(b'N="CI"', b'N="ci"')
        return super()._process_message(message)

    def prepare_message(self, *arguments: Any, **keywords: Any) -> None:
        super().prepare_message(*arguments, **keywords)
        message = self._send_buffer[-1]
        header = 40
        if len(message) > header:
            message._data[header:header] = BOM


@dataclass
class Running:
    """A command of a shell: from the Command request until its Terminate."""

    wire: psrpcore.ServerPipeline
    given: list[Any] = field(default_factory=list)
    pipeline: Pipeline | None = None
    reported: bool = False


@dataclass
class Shell:
    """One runspace pool. Changed under the fleet's lock."""

    host: Host
    id: str
    resource_uri: str
    user: str
    idle_seconds: float
    runspace: Runspace
    pool: _Pool
    started: datetime
    touched: datetime
    opening: list[int]
    commands: dict[uuid.UUID, Running] = field(default_factory=dict)
    outgoing: dict[uuid.UUID | None, collections.deque[bytes]] = field(default_factory=dict)
    held: dict[uuid.UUID | None, int] = field(default_factory=dict)
    closed: bool = False

    def close(self) -> None:
        self.closed = True
        for command in self.commands.values():
            if command.pipeline is not None:
                command.pipeline.abandon()
        self.host.fleet.changed.notify_all()

    def pending(self, target: uuid.UUID | None) -> bool:
        """Is there anything to send to the pool (None) or a pipeline?"""
        return bool(self.outgoing.get(target)) or any(
            message.pipeline_id == target for message in self.pool._send_buffer
        )

    def take(self, target: uuid.UUID | None, budget: int, messages: int | None) -> list[bytes]:
        """Fragments for an answer: at most `budget` characters of it, and at most `messages` messages; at least one."""
        whole = max(64, (budget - STREAM_OVERHEAD) * 3 // 4)
        size = 997 if self.host.switches["psrp.fragments"] == "small" else whole
        while payload := self.pool.data_to_send(min(size, whole)):
            queue = self.outgoing.setdefault(payload.pipeline_id, collections.deque())
            queue.extend(_fragments(payload.data))
        queue = self.outgoing.get(target, collections.deque())
        taken: list[bytes] = []
        while queue and (messages is None or messages > 0):
            budget -= STREAM_OVERHEAD + (len(queue[0]) + 2) // 3 * 4
            if taken and budget < 0:
                break
            taken.append(queue.popleft())
            if messages is not None and _is_last(taken[-1]):
                messages -= 1
        return taken


def _fragments(data: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        body = start + FRAGMENT_HEADER
        end = body + int.from_bytes(data[start + 17 : body], "big")
        yield data[start:end]
        start = end


def _is_last(fragment: bytes) -> bool:
    return bool(fragment[16] & 2)


class Shells:
    """The open PowerShell shells of a host by lower-case id; reached by `host.attached(Shells)`."""

    def __init__(self) -> None:
        self.open: dict[str, Shell] = {}


_psrp = Provider("psrp")


@_psrp.stopping
def end_shells(host: Host) -> None:
    """End all shells with their pipelines: the host or its WinRM service goes down."""
    with host.fleet.changed:
        kept = host.attached(Shells)
        for shell in kept.open.values():
            shell.close()
        kept.open.clear()


def shells(host: Host) -> dict[str, Shell]:
    """The shells that are open now by lower-case id, those idle for too long closed first."""
    kept = host.attached(Shells)
    now = host.now()
    for key, shell in list(kept.open.items()):
        if not shell.held and now - shell.touched > timedelta(seconds=shell.idle_seconds):
            shell.close()
            del kept.open[key]
    return kept.open


def owns(host: Host, request: Request) -> bool:
    """Is the shell that a request on the general windows/shell resource selects one of these?"""
    return str(request.selector("ShellId")).lower() in shells(host)


def called() -> tuple[str, bool]:
    """For the request log: the commands that the last dispatched request completed; whether they may change state."""
    calls = CALLS.get()
    return "; ".join(map(str, calls)), any(call.writes for call in calls)


def dispatch(host: Host, user: str, request: Request) -> ET.Element:
    """The s:Body that answers a request for a PowerShell shell. A Receive is held. Raises soap.Fault."""
    CALLS.set(())
    verb = request.action.rstrip("/").rpartition("/")[2]
    handler = _HANDLERS.get(verb)
    if handler is None:
        raise Fault(0x80338012, "w:ActionNotSupported", sender=True)
    with host.fleet.changed:
        shell = None if verb == "Create" else _find(host, user, request)
        return handler(host, user, request, shell)


def _find(host: Host, user: str, request: Request) -> Shell:
    selector = request.selector("ShellId")
    shell = shells(host).get(str(selector).lower())
    if shell is None:
        raise Fault(
            UNEXPECTED_SELECTORS,
            "w:InvalidSelectors",
            detail="UnexpectedSelectors",
            provider=ProviderFault(*PLUGIN, number=UNEXPECTED_SELECTORS),
        )
    if shell.user.lower() != user.lower():
        raise Fault(5, "w:AccessDenied")
    shell.touched = host.now()
    return shell


def _create(host: Host, user: str, request: Request, _: Shell | None) -> ET.Element:
    configuration = configured(host, request.resource_uri.removeprefix(RESOURCE))
    if configuration is None:
        raise Fault(INVALID_RESOURCE_URI, "a:DestinationUnreachable", detail="InvalidResourceURI")
    version = request.option("protocolversion")
    if version is None or version.partition(".")[0] != "2":
        raise Fault(VERSION_REFUSED, "w:InvalidOptions", provider=ProviderFault(*PLUGIN, number=VERSION_REFUSED))
    content = _content(request, "Shell")
    identifier = content.get("ShellId") or str(uuid.uuid4()).upper()
    creation = content.findtext(qname(POWERSHELL, "creationXml"))
    if creation is None:
        raise _invalid("creationXml is missing")
    if len([shell for shell in shells(host).values() if shell.user.lower() == user.lower()]) >= (
        host.winrm.max_shells_per_user
    ):
        raise Fault(SHELLS_PER_USER, "w:QuotaLimit")
    pool = _pool(host)
    shell = Shell(
        host=host,
        id=identifier,
        resource_uri=request.resource_uri,
        user=user,
        idle_seconds=_idle(content),
        runspace=Runspace(host, configuration),
        pool=pool,
        started=host.now(),
        touched=host.now(),
        opening=[2, 1] if host.switches["psrp.opening_receives"] == "2" else [1, 1, 1],
    )
    _feed(shell, creation)
    shells(host)[identifier.lower()] = shell
    body = node(qname(soap.S, "Body"))
    reference = soap.Reference(request.resource_uri, {"ShellId": identifier}, request.to)
    body.append(soap.endpoint(reference, qname(soap.X, "ResourceCreated")))
    body.append(describe(shell))
    return body


def _pool(host: Host) -> _Pool:
    """A pool that speaks the protocol of the host's PowerShell: 2.1 for 2.0, 2.2 for 3.0 and 4.0, 2.3 for 5.1."""
    if host.build >= 14393:
        protocol, powershell = "2.3", f"5.1.{host.build}.1"
    elif host.build >= 9600:
        protocol, powershell = "2.2", "4.0"
    elif host.build >= 9200:
        protocol, powershell = "2.2", "3.0"
    else:
        protocol, powershell = "2.1", "2.0"
    versions = {
        "PSVersion": ps.PSVersion(powershell),
        "WSManStackVersion": ps.PSVersion("3.0" if host.build >= 9200 else "2.0"),
        "PSRemotingProtocolVersion": ps.PSVersion(protocol),
        "SerializationVersion": ps.PSVersion("1.1.0.1"),
        "BuildVersion": ps.PSVersion(f"{host.version}.1"),
    }
    pool = _Pool({"PSVersionTable": versions})
    pool.our_capability = ps.SessionCapability(
        PSVersion=ps.PSVersion("2.0"),
        protocolversion=ps.PSVersion(protocol),
        SerializationVersion=ps.PSVersion("1.1.0.1"),
    )
    return pool


def _idle(content: ET.Element) -> float:
    text = content.findtext(qname(RSP, "IdleTimeOut"))
    try:
        seconds = IDLE_SECONDS if text is None else soap.duration(text)
    except ValueError:
        raise _invalid("IdleTimeOut") from None
    if seconds < SHORTEST_IDLE_SECONDS:
        raise _invalid("IdleTimeOut")
    return seconds


def describe(shell: Shell) -> ET.Element:
    """The rsp:Shell element of a shell, for Create, and for Get and Enumerate of the windows/shell resource."""
    host, now = shell.host, shell.host.now()
    result = node(qname(RSP, "Shell"))
    for name, text in (
        ("ShellId", shell.id),
        ("ResourceUri", shell.resource_uri),
        ("Owner", f"{host.name}\\{shell.user}" if "\\" not in shell.user and "@" not in shell.user else shell.user),
        ("ClientIP", host.winrm.listen),
        ("ProcessId", str(4000 + int(uuid.uuid5(uuid.NAMESPACE_OID, shell.id)) % 1000 * 4)),
        ("IdleTimeOut", f"PT{shell.idle_seconds:.3f}S"),
        ("InputStreams", "stdin pr"),
        ("OutputStreams", "stdout"),
        ("MaxIdleTimeOut", "PT2147483.647S"),
        ("Locale", host.language),
        ("DataLocale", host.language),
        ("CompressionMode", "NoCompression"),
        ("ProfileLoaded", "Yes"),
        ("Encoding", "UTF8"),
        ("BufferMode", "Block"),
        ("State", "Connected"),
        ("ShellRunTime", _span(now - shell.started)),
        ("ShellInactivity", _span(now - shell.touched)),
    ):
        result.append(node(qname(RSP, name), text))
    return result


def _span(time_span: timedelta) -> str:
    hours, seconds = divmod(time_span.seconds, 3600)
    return f"P{time_span.days}DT{hours}H{seconds // 60}M{seconds % 60}S"


def _content(request: Request, name: str) -> ET.Element:
    content = request.content
    if content is None or content.tag != qname(RSP, name):
        raise _invalid(f"{name} is missing")
    return content


def _invalid(text: str) -> Fault:
    return Fault(
        INVALID_PARAMETER, "w:InvalidParameter", detail="InvalidValue", provider=ProviderFault(*PLUGIN, text=text)
    )


def _command_id(element: ET.Element) -> uuid.UUID | None:
    text = element.get("CommandId")
    if text is None:
        return None
    try:
        return uuid.UUID(text)
    except ValueError:
        raise _unknown_command() from None


def _unknown_command() -> Fault:
    return Fault(UNEXPECTED_SELECTORS, "w:InvalidSelectors", detail="UnexpectedSelectors")


def _command_of(shell: Shell, identifier: uuid.UUID) -> Running:
    if identifier not in shell.commands:
        raise _unknown_command()
    return shell.commands[identifier]


def _command(host: Host, user: str, request: Request, shell: Shell | None) -> ET.Element:
    assert shell is not None
    content = _content(request, "CommandLine")
    identifier = _command_id(content) or uuid.uuid4()
    if identifier in shell.commands:
        raise _invalid("CommandId is in use")
    arguments = content.find(qname(RSP, "Arguments"))
    if arguments is None or content.findtext(qname(RSP, "Command")):
        raise _invalid("a PowerShell shell runs no command line")
    shell.commands[identifier] = Running(psrpcore.ServerPipeline(shell.pool, identifier))
    _feed(shell, arguments.text)
    response = node(qname(RSP, "CommandResponse"))
    response.append(node(qname(RSP, "CommandId"), str(identifier).upper()))
    return _body(response)


def _send(host: Host, user: str, request: Request, shell: Shell | None) -> ET.Element:
    assert shell is not None
    for stream in _content(request, "Send").findall(qname(RSP, "Stream")):
        identifier = _command_id(stream)
        if identifier is not None:
            _command_of(shell, identifier)
        _feed(shell, stream.text)
    return _body(node(qname(RSP, "SendResponse")))


def _feed(shell: Shell, encoded: str | None) -> None:
    """Hand fragments to the pool and do what its messages ask."""
    try:
        data = base64.b64decode(encoded or "", validate=False)
        shell.pool.receive_data(psrpcore.PSRPPayload(data, psrpcore.StreamType.default, None))
        while (event := shell.pool.next_event()) is not None:
            _on_event(shell, event)
    except (binascii.Error, psrpcore.PSRPCoreError, ET.ParseError, ValueError, AttributeError) as error:
        raise _invalid(f"{type(error).__name__}: {error}") from error
    shell.host.fleet.changed.notify_all()


def _on_event(shell: Shell, event: psrpcore.PSRPEvent[Any, Any]) -> None:
    if isinstance(event, psrpcore.CreatePipelineEvent):
        _create_pipeline(shell, event)
    elif isinstance(event, psrpcore.PipelineInputEvent):
        _command_of(shell, event.pipeline_id).given.append(objects.plain(event.data))
    elif isinstance(event, psrpcore.EndOfPipelineInputEvent):
        _start(shell, event.pipeline_id, expects_input=True)
    elif isinstance(event, psrpcore.GetAvailableRunspacesEvent):
        busy = sum(
            1 for running in shell.commands.values() if running.pipeline is not None and not running.pipeline.over
        )
        shell.pool.runspace_availability_response(event.ci, max(0, shell.pool.max_runspaces - busy))
    elif isinstance(
        event, (psrpcore.SetMaxRunspacesEvent, psrpcore.SetMinRunspacesEvent, psrpcore.ResetRunspaceStateEvent)
    ):
        if isinstance(event, psrpcore.ResetRunspaceStateEvent):
            shell.runspace.snapins.clear()
        shell.pool.runspace_availability_response(event.ci, True)
    elif isinstance(event, psrpcore.GetCommandMetadataEvent):
        raise Fault(NOT_SUPPORTED, "w:UnsupportedFeature")


def _create_pipeline(shell: Shell, event: psrpcore.CreatePipelineEvent) -> None:
    _command_of(shell, event.pipeline_id)
    parsed = statements(event.pipeline.commands)
    CALLS.set(CALLS.get() + tuple(command.call for statement in parsed for command in statement))
    if event.pipeline.no_input:
        _start(shell, event.pipeline_id, expects_input=False)


def _start(shell: Shell, identifier: uuid.UUID, expects_input: bool) -> None:
    command = _command_of(shell, identifier)
    if command.pipeline is not None or command.wire.metadata is None:
        return
    parsed = statements(command.wire.metadata.commands)
    # PowerShell 2.0 knows no ExtraCmds: it runs the first statement and does not see the others.
    runs = parsed[:1] if shell.pool.our_capability.protocolversion < ps.PSVersion("2.2") else parsed
    command.pipeline = Pipeline(shell.runspace, command.wire, runs, command.given, expects_input)
    command.pipeline.start()


def _receive(host: Host, user: str, request: Request, shell: Shell | None) -> ET.Element:
    assert shell is not None
    desired = _content(request, "Receive").find(qname(RSP, "DesiredStream"))
    if desired is None:
        raise _invalid("DesiredStream is missing")
    target = _command_id(desired)
    command = None if target is None else _command_of(shell, target)
    if command is not None and command.reported:
        raise _unknown_command()
    # A Receive of a connection that is gone still waits here; the newest one gets the output, so that none is lost.
    turn = next(_turns)
    shell.held[target] = turn

    def mine() -> bool:
        gone = target is not None and shell.commands.get(target) is not command
        return not shell.closed and not gone and shell.held.get(target) == turn

    limit = host.winrm.max_timeout_ms / 1000
    arrived = _wait(host, min(request.operation_timeout or limit, limit), lambda: not mine() or shell.pending(target))
    if not mine():
        raise Fault(ABORTED)
    del shell.held[target]
    shell.touched = host.now()
    if not arrived:
        raise Fault(TIMED_OUT, "w:TimedOut")
    fragments = shell.take(target, _budget(host, request), _messages(shell, target))
    response = node(qname(RSP, "ReceiveResponse"))
    for piece in _pieces(fragments, host.switches["psrp.streams"]):
        attributes = {"Name": "stdout"} if target is None else {"Name": "stdout", "CommandId": str(target).upper()}
        response.append(node(qname(RSP, "Stream"), base64.b64encode(piece).decode("ascii"), attributes))
    over = command is not None and command.pipeline is not None and command.pipeline.over
    if over and command is not None and target is not None and not shell.pending(target):
        command.reported = True
        state = node(qname(RSP, "CommandState"), None, {"CommandId": str(target).upper(), "State": DONE})
        state.append(node(qname(RSP, "ExitCode"), "0"))
        response.append(state)
    return _body(response)


_turns = itertools.count()


def _wait(host: Host, seconds: float, ready: Callable[[], bool]) -> bool:
    """Hold a request until `ready` or until its time is over, on the host's clock or the client's."""
    changed, clock = host.fleet.changed, host.fleet.clock
    expired: list[bool] = []
    event = clock.after(seconds, lambda: expired.append(True))
    end = time.monotonic() + seconds
    while not ready() and not expired and (remaining := end - time.monotonic()) > 0:
        changed.wait(remaining)
        clock.now()
    event.cancel()
    return ready()


def _budget(host: Host, request: Request) -> int:
    """Characters of an answer: each counts as two bytes against MaxEnvelopeSize."""
    envelope = min(request.max_envelope_size or DEFAULT_ENVELOPE, host.winrm.max_envelope_kb * 1024)
    return max(STREAM_OVERHEAD + 96, (envelope - ENVELOPE_OVERHEAD) // 2)


def _messages(shell: Shell, target: uuid.UUID | None) -> int | None:
    """How many messages the next answer may hold; None for as many as fit."""
    if target is None and shell.opening:
        return shell.opening.pop(0)
    return 1 if shell.host.switches["psrp.answers"] == "split" else None


def _pieces(fragments: list[bytes], layout: str) -> Iterator[bytes]:
    joined = b"".join(fragments)
    if layout == "joined":
        yield joined
    elif layout == "cut":
        for start in range(0, len(joined), 331):
            yield joined[start : start + 331]
    else:
        yield from fragments


def _signal(host: Host, user: str, request: Request, shell: Shell | None) -> ET.Element:
    assert shell is not None
    content = _content(request, "Signal")
    identifier = _command_id(content)
    if identifier is None:
        raise _invalid("CommandId is missing")
    command = _command_of(shell, identifier)
    code = (content.findtext(qname(RSP, "Code")) or "").strip().rpartition("/")[2].lower()
    if code == "terminate":
        if command.pipeline is not None:
            command.pipeline.abandon()
        del shell.commands[identifier]
        shell.pool.pipeline_table.pop(identifier, None)
        shell.outgoing.pop(identifier, None)
        shell.pool._send_buffer[:] = [each for each in shell.pool._send_buffer if each.pipeline_id != identifier]
    elif code in ("ctrl_c", "ctrl_break"):
        if command.pipeline is not None:
            command.pipeline.stop()
    else:
        raise _invalid("Code")
    host.fleet.changed.notify_all()
    return _body(node(qname(RSP, "SignalResponse")))


def _delete(host: Host, user: str, request: Request, shell: Shell | None) -> ET.Element:
    assert shell is not None
    del shells(host)[shell.id.lower()]
    shell.close()
    return node(qname(soap.S, "Body"))


def _get(host: Host, user: str, request: Request, shell: Shell | None) -> ET.Element:
    assert shell is not None
    return _body(describe(shell))


def _body(content: ET.Element) -> ET.Element:
    body = node(qname(soap.S, "Body"))
    body.append(content)
    return body


_Handler = Callable[["Host", str, Request, Shell | None], ET.Element]
_HANDLERS: dict[str, _Handler] = {
    "Create": _create,
    "Command": _command,
    "Send": _send,
    "Receive": _receive,
    "Signal": _signal,
    "Delete": _delete,
    "Get": _get,
}
