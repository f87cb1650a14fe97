# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Somebody on the way between controller and host: hears every byte, and may change each request and each answer."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True)
class Message:
    """An HTTP request or answer. start: its first line; headers: names as they were sent."""

    start: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def header(self, name: str) -> str:
        """The value of a header, empty without it."""
        return next((value for given, value in self.headers if given.lower() == name.lower()), "")

    def replace(self, name: str, *values: str) -> Message:
        """The same with these values for a header, and none else."""
        kept = [(given, value) for given, value in self.headers if given.lower() != name.lower()]
        return dataclasses.replace(self, headers=(*kept, *((name, value) for value in values)))

    def with_body(self, body: bytes, content_type: str | None = None) -> Message:
        """The same with another body."""
        changed = self if content_type is None else self.replace("Content-Type", content_type)
        return dataclasses.replace(changed.replace("Content-Length", str(len(body))), body=body)

    @property
    def status(self) -> int:
        return int(self.start.split(" ")[1])

    @property
    def encrypted(self) -> bool:
        """Whether it carries an encrypted message."""
        return self.header("Content-Type").startswith("multipart/")

    def data(self) -> bytes:
        """What goes over the wire."""
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers)]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body


def answer(status: int, body: bytes = b"", **headers: str) -> Message:
    """An answer made up by somebody on the way."""
    given = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Message(f"HTTP/1.1 {status} Made up", given).with_body(body)


Change = Callable[[Message], Message]
Invent = Callable[[Message], Message | None]


@dataclass
class Heard:
    """What came by, in order."""

    requests: list[Message] = field(default_factory=list)
    answers: list[Message] = field(default_factory=list)

    def data(self) -> bytes:
        """Every byte of both directions."""
        return b"".join(message.data() for message in (*self.requests, *self.answers))


class Relay:
    """Listens on a port of 127.0.0.1 and speaks to a host's WinRM for whoever comes, connection by connection.

    ask, tell: change a request before the host gets it, an answer before the controller gets it; invent: answer a
    request in the host's place. shown: with it the relay is a TLS server that shows this certificate. tls: whether it
    is a TLS client, which believes any host. proxy: whether it is asked as an HTTP proxy. heard: everything, as the
    controller sent and got it.
    """

    def __init__(
        self,
        port: int,
        *,
        ask: Change | None = None,
        tell: Change | None = None,
        invent: Invent | None = None,
        shown: ssl.SSLContext | None = None,
        tls: bool = False,
        proxy: bool = False,
    ) -> None:
        self.heard = Heard()
        self.proxy = proxy
        self._target = port
        self._ask = ask or (lambda message: message)
        self._tell = tell or (lambda message: message)
        self._invent = invent or (lambda message: None)
        self._shown = shown
        self._tls = tls
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *exception: object) -> None:
        # A listener that is only closed goes on accepting in the thread that waits for it.
        for each in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for each in (self._listener, *self._sockets):
            each.close()

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                self._sockets.append(caller)
                self._start(lambda caller=caller: self._carry(caller))  # type: ignore[misc]

    def _carry(self, caller: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            if self._shown is not None:
                caller = self._keep(self._shown.wrap_socket(caller, server_side=True))
            host: socket.socket | None = None
            while True:
                request = _receive(caller)
                self.heard.requests.append(request)
                made_up = self._invent(request)
                if made_up is None:
                    host = host or self._connect()
                    host.sendall(self._ask(_of_origin(request) if self.proxy else request).data())
                    made_up = self._tell(_receive(host))
                self.heard.answers.append(made_up)
                caller.sendall(made_up.data())

    def _connect(self) -> socket.socket:
        host = self._keep(socket.create_connection(("127.0.0.1", self._target)))
        if not self._tls:
            return host
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return self._keep(context.wrap_socket(host))

    def _keep(self, opened: socket.socket) -> socket.socket:
        self._sockets.append(opened)
        return opened


def _of_origin(request: Message) -> Message:
    """A request as a proxy hands it on: with the path for a target, without the host (RFC 9112, section 3.2)."""
    method, target, version = request.start.split(" ")
    path = "/" + target.partition("://")[2].partition("/")[2]
    return dataclasses.replace(request, start=f"{method} {path} {version}")


def _receive(source: socket.socket) -> Message:
    """The next message. Errors: EOFError at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(source)
    head, _, body = data.partition(b"\r\n\r\n")
    start, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    message = Message(start, tuple((name, value.strip()) for name, _, value in pairs))
    length = int(message.header("Content-Length") or 0)
    while len(body) < length:
        body += _more(source)
    return dataclasses.replace(message, body=body)


def _more(source: socket.socket) -> bytes:
    received = source.recv(65536)
    if not received:
        raise EOFError
    return received
