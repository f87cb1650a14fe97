# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""WinRS: cmd shells and the processes in them (MS-WSMV, text-based command shell). Providers play the processes.

`dispatch(host, user, request)` answers a request on a cmd shell with the elements of the answer's body; it raises
`soap.Fault`. A Receive is held until there is output, an end, or the request's OperationTimeout.
"""

from __future__ import annotations

import base64
import binascii
import ntpath
import time
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from . import commandline, soap, switches
from .host import Host
from .providers import Output, PlayedProcess, Process, Provider, providers
from .soap import RSP, Fault, ProviderFault, Request, node, qname

__all__ = ["CMD", "SHELL", "Shells", "dispatch", "end_shells"]

SHELL = RSP
CMD = f"{RSP}/cmd"

E_UNKNOWN = 0x8033805B
E_TIMED_OUT = 0x80338029
E_SHELLS_PER_USER = 0x803381A5
E_OPERATIONS_PER_USER = 0x803381A6
E_COMMANDS_PER_SHELL = 0x803381E9
E_FILE_NOT_FOUND = 0x80070002
ERROR_ACCESS_DENIED = 5
ERROR_NOT_SUPPORTED = 50
ERROR_INVALID_PARAMETER = 87
ERROR_OPERATION_ABORTED = 995

PLUGIN = ("Shell cmd plugin", r"%systemroot%\system32\winrscmd.dll")
SKIP_IGNORED_SINCE = 9600  # WINRS_SKIP_CMD_SHELL means nothing from Windows Server 2012 R2 on
IDLE_SECONDS = 7200.0
PIECE = 1021  # bytes of output in one Stream element: a prime, so that pieces end inside lines and characters

switches.declare(
    "winrs.output",
    {
        "before_done": "the answer that says Done holds only the last byte of each stream, the rest came before it",
        "with_done": "a process that is over answers with all its output and Done at once",
    },
    open_question="whether the output of a process that is over comes before or with Done",
    page=switches.WIRE,
)


@dataclass
class Command:
    """A process in a shell, running or over; `output` is what no Receive has fetched yet."""

    id: str
    codec: str
    arguments: list[str]
    waiting: PlayedProcess | None = None  # a process that reads all of its input before it does anything
    process: Process | None = None
    stdin: bytearray = field(default_factory=bytearray)
    output: dict[str, bytearray] = field(default_factory=lambda: {"stdout": bytearray(), "stderr": bytearray()})
    exit_code: int | None = None
    done: bool = False  # and somebody was told
    receives: int = 0

    def run(self, host: Host, played: PlayedProcess) -> None:
        """Start the process with the input that has come."""
        result = played.run(host, self.arguments, self.stdin.decode(self.codec, "replace"))
        if isinstance(result, Output):
            self.take(result.stdout, result.stderr)
            self.exit_code = result.exit_code
        else:
            self.process = result

    def take(self, stdout: str, stderr: str) -> None:
        for name, text in (("stdout", stdout), ("stderr", stderr)):
            self.output[name] += text.encode(self.codec, "replace")

    def look(self) -> None:
        """Fetch what a running process has printed and whether it has ended."""
        if self.process is not None:
            exit_code = self.process.exit_code
            self.take(*self.process.take())
            self.exit_code = exit_code


@dataclass
class Shell:
    """A cmd shell. It belongs to its user and outlives the connection it was created on."""

    id: str
    user: str
    codec: str
    idle_seconds: float
    created: datetime
    used: datetime
    environment: dict[str, str]
    directory: str | None
    streams: tuple[str, str]
    commands: dict[str, Command] = field(default_factory=dict)
    started: int = 0  # commands: a Signal does not lower what counts against the operations of a user


class Shells:
    """The open cmd shells of a host by upper-case id; reached by `host.attached(Shells)`."""

    def __init__(self) -> None:
        self.open: dict[str, Shell] = {}

    def of(self, user: str) -> list[Shell]:
        return [shell for shell in self.open.values() if shell.user == user]


_winrs = Provider("winrs")


@_winrs.stopping
def end_shells(host: Host) -> None:
    """End all shells with their processes: the host or the WinRM service goes down."""
    with host.fleet.changed:
        shells = host.attached(Shells)
        for shell in shells.open.values():
            _end_commands(shell)
        shells.open.clear()
        host.fleet.changed.notify_all()


def dispatch(host: Host, user: str, request: Request) -> list[ET.Element]:
    """The body of the answer to a request on a cmd shell; raises soap.Fault."""
    operation = request.action.rpartition("/")[2]
    with host.fleet.changed:
        _expire(host)
        match operation:
            case "Create":
                return _create(host, user, request)
            case "Command":
                return _command(host, _shell(host, user, request), request)
            case "Send":
                return _send(host, _shell(host, user, request), request)
            case "Receive":
                return _receive(host, _shell(host, user, request), request)
            case "Signal":
                return _signal(_shell(host, user, request), request)
            case "Delete":
                return _delete(host, _shell(host, user, request))
            case "Get":
                return [_describe(host, _shell(host, user, request))]
    raise Fault(ERROR_NOT_SUPPORTED, "a:ActionNotSupported", detail="ActionMismatch")


# --- shells ------------------------------------------------------------------------------------------------------


def _create(host: Host, user: str, request: Request) -> list[ET.Element]:
    shells = host.attached(Shells)
    if len(shells.of(user)) >= host.winrm.max_shells_per_user:
        raise Fault(E_SHELLS_PER_USER, "w:QuotaLimit")
    wanted = request.content
    if wanted is None or wanted.tag != qname(RSP, "Shell"):
        raise Fault(ERROR_INVALID_PARAMETER, "w:InvalidParameter", detail="InvalidValue")
    shell = Shell(
        id=_new_id(),
        user=user,
        codec=_codec(host, request.option("WINRS_CODEPAGE")),
        idle_seconds=_seconds(wanted.findtext(qname(RSP, "IdleTimeOut"))),
        created=host.now(),
        used=host.now(),
        environment={each.get("Name", ""): each.text or "" for each in wanted.iter(qname(RSP, "Variable"))},
        directory=wanted.findtext(qname(RSP, "WorkingDirectory")),
        streams=(
            wanted.findtext(qname(RSP, "InputStreams")) or "stdin",
            wanted.findtext(qname(RSP, "OutputStreams")) or "stdout stderr",
        ),
    )
    shells.open[shell.id] = shell
    reference = soap.Reference(request.resource_uri, {"ShellId": shell.id}, request.to)
    return [soap.endpoint(reference, qname(soap.X, "ResourceCreated")), _describe(host, shell)]


def _describe(host: Host, shell: Shell) -> ET.Element:
    now = host.now()
    element = node(qname(RSP, "Shell"))
    owner = f"{host.domain.split('.')[0].upper() if host.domain else host.name}\\{shell.user}"
    for name, text in (
        ("ShellId", shell.id),
        ("ResourceUri", CMD),
        ("Owner", owner),
        ("ClientIP", host.winrm.listen),  # a simulated host is called from where it lives
        ("IdleTimeOut", f"PT{shell.idle_seconds:.3f}S"),
        ("InputStreams", shell.streams[0]),
        ("OutputStreams", shell.streams[1]),
        ("ShellRunTime", _span(now - shell.created)),
        ("ShellInactivity", _span(now - shell.used)),
    ):
        element.append(node(qname(RSP, name), text))
    if shell.environment:
        environment = node(qname(RSP, "Environment"))
        for name, value in shell.environment.items():
            environment.append(node(qname(RSP, "Variable"), value, {"Name": name}))
        element.append(environment)
    if shell.directory is not None:
        element.append(node(qname(RSP, "WorkingDirectory"), shell.directory))
    return element


def _shell(host: Host, user: str, request: Request) -> Shell:
    selector = request.selector("ShellId")
    shell = host.attached(Shells).open.get(selector.upper()) if isinstance(selector, str) else None
    if shell is None:
        plugin = ProviderFault(*PLUGIN, number=E_UNKNOWN)
        raise Fault(E_UNKNOWN, "w:InvalidSelectors", detail="UnexpectedSelectors", provider=plugin)
    if shell.user != user:
        raise Fault(ERROR_ACCESS_DENIED, "w:AccessDenied")
    shell.used = host.now()
    return shell


def _delete(host: Host, shell: Shell) -> list[ET.Element]:
    _end_commands(shell)
    del host.attached(Shells).open[shell.id]
    host.fleet.changed.notify_all()
    return []


def _expire(host: Host) -> None:
    shells = host.attached(Shells)
    for shell in list(shells.open.values()):
        if host.now() - shell.used > timedelta(seconds=shell.idle_seconds):
            _end_commands(shell)
            del shells.open[shell.id]


def _end_commands(shell: Shell) -> None:
    for command in shell.commands.values():
        if command.process is not None and command.process.exit_code is None:
            command.process.signal("terminate")


# --- processes ---------------------------------------------------------------------------------------------------


def _command(host: Host, shell: Shell, request: Request) -> list[ET.Element]:
    if any(not command.done for command in shell.commands.values()):
        raise Fault(E_COMMANDS_PER_SHELL, "w:QuotaLimit")
    if sum(each.started for each in host.attached(Shells).of(shell.user)) >= host.winrm.max_operations_per_user:
        raise Fault(E_OPERATIONS_PER_USER, "w:QuotaLimit")
    wanted = request.content
    if wanted is None or wanted.tag != qname(RSP, "CommandLine"):
        raise Fault(ERROR_INVALID_PARAMETER, "w:InvalidParameter", detail="InvalidValue")
    written = [wanted.findtext(qname(RSP, "Command")) or ""]
    written += [argument.text or "" for argument in wanted.findall(qname(RSP, "Arguments"))]
    skip = (request.option("WINRS_SKIP_CMD_SHELL") or "").lower() == "true"
    command = Command(_new_id(), shell.codec, [])
    _start(host, shell, command, " ".join(written), direct=skip and host.build < SKIP_IGNORED_SINCE)
    shell.commands[command.id] = command
    shell.started += 1
    response = node(qname(RSP, "CommandResponse"))
    response.append(node(qname(RSP, "CommandId"), command.id))
    return [response]


def _start(host: Host, shell: Shell, command: Command, line: str, *, direct: bool) -> None:
    if not direct:
        try:
            line = commandline.through_cmd(line, shell.environment)
        except commandline.NotPlayed as error:
            raise Fault(ERROR_NOT_SUPPORTED, "w:UnsupportedFeature", reason=str(error)) from error
    executable, *command.arguments = commandline.split(line) or [""]
    played = providers.process(host, executable)
    if direct and (played is None or not ntpath.isabs(executable)):
        plugin = ProviderFault(*PLUGIN, _file_not_found(host.language))
        raise Fault(E_FILE_NOT_FOUND, "w:InternalError", provider=plugin)
    if played is None:
        command.take("", _not_recognized(host.language, executable))
        command.exit_code = 1
    elif (exit_code := _forced_exit(host, executable)) is not None:
        command.exit_code = exit_code
    elif played.reads_stdin:
        command.waiting = played
    else:
        command.run(host, played)


def _file_not_found(language: str) -> str:
    """The system's text for ERROR_FILE_NOT_FOUND."""
    if language.lower().startswith("de"):
        return "Das System kann die angegebene Datei nicht finden. "
    return "The system cannot find the file specified. "


def _not_recognized(language: str, executable: str) -> str:
    """What cmd.exe prints for a program it cannot find."""
    if language.lower().startswith("de"):
        return f'Der Befehl "{executable}" ist entweder falsch geschrieben oder\r\nkonnte nicht gefunden werden.\r\n'
    return (
        f"'{executable}' is not recognized as an internal or external command,\r\noperable program or batch file.\r\n"
    )


def _forced_exit(host: Host, executable: str) -> int | None:
    name = ntpath.basename(executable).lower()
    return host.forced_exits.get(name if ntpath.splitext(name)[1] else f"{name}.exe")


def _send(host: Host, shell: Shell, request: Request) -> list[ET.Element]:
    for stream in request.body.iter(qname(RSP, "Stream")):
        command = _known_command(shell, stream.get("CommandId"))
        if stream.get("Name") != "stdin":
            raise Fault(ERROR_INVALID_PARAMETER, "w:InvalidParameter", detail="InvalidValue")
        try:
            command.stdin += base64.b64decode(stream.text or "", validate=True)
        except binascii.Error as error:
            raise Fault(ERROR_INVALID_PARAMETER, "w:InvalidParameter", detail="InvalidValue") from error
        if stream.get("End", "").lower() == "true" and command.waiting is not None:
            played, command.waiting = command.waiting, None
            command.run(host, played)
            host.fleet.changed.notify_all()
    return [node(qname(RSP, "SendResponse"))]


def _signal(shell: Shell, request: Request) -> list[ET.Element]:
    content = request.content
    command = _known_command(shell, content.get("CommandId") if content is not None else None)
    code = ((content.findtext(qname(RSP, "Code")) if content is not None else None) or "").rpartition("/")[2].lower()
    if command.process is not None and command.process.exit_code is None:
        command.process.signal(code)
    if command.waiting is not None:
        command.waiting = None
        command.exit_code = 0xC000013A  # STATUS_CONTROL_C_EXIT
    if code == "terminate" or command.done:
        del shell.commands[command.id]
    return [node(qname(RSP, "SignalResponse"))]


def _known_command(shell: Shell, command_id: str | None) -> Command:
    command = shell.commands.get((command_id or "").upper())
    if command is None:
        raise Fault(E_UNKNOWN, "w:InvalidSelectors", detail="UnexpectedSelectors")
    return command


# --- output ------------------------------------------------------------------------------------------------------


def _receive(host: Host, shell: Shell, request: Request) -> list[ET.Element]:
    desired = request.body.find(f".//{qname(RSP, 'DesiredStream')}")
    command_id = desired.get("CommandId") if desired is not None else None
    if not command_id:
        plugin = ProviderFault(*PLUGIN, "The parameter is incorrect. ")
        raise Fault(ERROR_INVALID_PARAMETER, "w:InvalidParameter", detail="InvalidValue", provider=plugin)
    command = _known_command(shell, command_id)
    most = host.winrm.max_envelope_kb * 1024
    # Windows counts two bytes per character; base64 and the Stream elements make three characters of two bytes.
    limit = (min(request.max_envelope_size or most, most) - 4096) // 3
    # A Receive of a connection that is gone may still be held: the newest one gets the output, so that none is lost.
    command.receives += 1
    turn = command.receives
    host.fleet.changed.notify_all()
    for _ in _until_timeout(host, request):
        if host.attached(Shells).open.get(shell.id) is not shell or command.receives != turn:
            raise Fault(ERROR_OPERATION_ABORTED)
        command.look()
        if command.exit_code is not None or any(command.output.values()):
            shell.used = host.now()
            return [_response(command, max(limit, 1), host.switches["winrs.output"] == "with_done")]
    raise Fault(E_TIMED_OUT, "w:TimedOut")


def _until_timeout(host: Host, request: Request) -> Iterator[None]:
    """Again whenever something has changed, until the OperationTimeout has passed on the host's clock or really."""
    seconds = min(request.operation_timeout or 60.0, host.winrm.max_timeout_ms / 1000)
    clock = host.fleet.clock
    simulated, real = host.now() + timedelta(seconds=seconds), time.monotonic() + seconds
    while True:
        yield
        left = real - time.monotonic()
        if clock.speed:
            left = min(left, (simulated - host.now()).total_seconds() / clock.speed)
        if left <= 0 or host.now() >= simulated:
            return
        host.fleet.changed.wait(left)


def _response(command: Command, limit: int, with_done: bool) -> ET.Element:
    over = command.exit_code is not None
    # What is held back comes in the next answer, with Done; nothing of a stream that is one byte long is left to hold.
    hold = 1 if over and not with_done and any(len(data) > 1 for data in command.output.values()) else 0
    response = node(qname(RSP, "ReceiveResponse"))
    for name, data in command.output.items():
        size = max(0, min(len(data) - hold, limit))
        limit -= size
        for start in range(0, size, min(PIECE, size // 2 + 1)):
            piece = bytes(data[start : min(start + min(PIECE, size // 2 + 1), size)])
            response.append(_stream(command, name, base64.b64encode(piece).decode()))
        del data[:size]
    command.done = over and not any(command.output.values())
    if command.done:
        for name in command.output:
            response.append(_stream(command, name, "", end=True))
    state = node(
        qname(RSP, "CommandState"),
        attributes={"CommandId": command.id, "State": f"{RSP}/CommandState/{'Done' if command.done else 'Running'}"},
    )
    if command.done and command.exit_code is not None:
        state.append(node(qname(RSP, "ExitCode"), str(_signed(command.exit_code))))
    response.append(state)
    return response


def _stream(command: Command, name: str, text: str, *, end: bool = False) -> ET.Element:
    attributes = {"Name": name, "CommandId": command.id} | ({"End": "true"} if end else {})
    return node(qname(RSP, "Stream"), text, attributes)


# --- small things ------------------------------------------------------------------------------------------------


def _codec(host: Host, code_page: str | None) -> str:
    """Python's name of the shell's code page: the OEM code page of the host's language unless the client chose one."""
    if code_page is None:
        return "cp437" if host.language.lower() == "en-us" else "cp850"
    codec = "utf-8" if code_page == "65001" else f"cp{code_page}"
    try:
        "".encode(codec)
    except LookupError as error:
        raise Fault(ERROR_INVALID_PARAMETER, "w:InvalidParameter", detail="InvalidValue") from error
    return codec


def _seconds(idle_timeout: str | None) -> float:
    if idle_timeout is None:
        return IDLE_SECONDS
    try:
        return soap.duration(idle_timeout)
    except ValueError as error:
        raise Fault(ERROR_INVALID_PARAMETER, "w:InvalidParameter", detail="InvalidValue") from error


def _span(span: timedelta) -> str:
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"P{days}DT{hours}H{minutes}M{seconds}S"


def _signed(number: int) -> int:
    number &= 0xFFFF_FFFF
    return number - 0x1_0000_0000 if number & 0x8000_0000 else number


def _new_id() -> str:
    return str(uuid.uuid4()).upper()
