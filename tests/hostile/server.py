# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A server that says whatever a test has it say, byte for byte, behind a certificate that is believed.

with Hostile(lambda asked: [http(envelope("<x/>", asked.message_id))]) as server, server.session() as session:
    session.cim.query(Cluster)
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.session import Session
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.settings import Settings
from winsim.certificates import Authority

PASSWORD = "Never-Told-2026"
TIMEOUT = 1
"""Seconds for an answer: the read time-out of the connections to these servers."""

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"


@dataclass(frozen=True)
class Asked:
    """A request as it came. number: how many came before it on all connections."""

    number: int
    head: bytes
    body: bytes

    @property
    def message_id(self) -> str:
        """The MessageID of the SOAP header."""
        found = re.search(rb"MessageID[^>]*>([^<]*)<", self.body)
        return found[1].decode() if found else ""


Script = Callable[[Asked], Iterable[bytes]]


class Hostile:
    """Serves a script over TLS on 127.0.0.1; without TLS where ``tls`` is False.

    The script gets each request and gives the pieces of what is sent. When it raises ``Hangup`` the connection ends.
    ``over`` is set when the server ends: what sends without end waits for it between two pieces.
    """

    def __init__(self, script: Script, *, tls: bool = True) -> None:
        self.script = script
        self.tls = tls
        self.asked: list[Asked] = []
        self.over = threading.Event()
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="hostile-")
        folder = Path(self._folder.name)
        self.ca = folder / "ca.pem"
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self.tls:
            authority = Authority()
            self.ca.write_bytes(authority.certificate)
            self._context.load_cert_chain(*authority.host(["127.0.0.1"]).write(folder, "host"))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._begin(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(5)
        self._folder.cleanup()

    def session(self, **changes: Any) -> Session:
        """A session to this server that waits a second for an answer; changes: other settings."""
        wanted: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.port,
            "ssl": self.tls,
            "path": "wsman",
            "username": "Administrator",
            "password": PASSWORD,
            "auth": "basic" if self.tls else "ntlm",
            "cert_validation": str(self.ca) if self.tls else True,
            "connection_timeout": TIMEOUT,
            "operation_timeout": TIMEOUT,
            "read_timeout": TIMEOUT,
        }
        return Session(Settings(**{**wanted, **changes}))

    def variables(self) -> dict[str, Any]:
        """The inventory variables of a host that is this server."""
        return {
            "inventory_hostname": "hostile",
            "ansible_connection": "psrp",
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": "Administrator",
            "ansible_password": PASSWORD,
            "ansible_psrp_protocol": "https",
            "ansible_psrp_auth": "basic",
            "ansible_psrp_ca_cert": str(self.ca),
            "ansible_psrp_connection_timeout": TIMEOUT,
            "ansible_psrp_operation_timeout": TIMEOUT,
            "ansible_psrp_read_timeout": TIMEOUT,
        }

    def drip(self, piece: bytes) -> Iterator[bytes]:
        """The same piece again and again, twenty times a second, until the server ends."""
        while not self.over.wait(0.05):
            yield piece

    def flood(self, piece: bytes) -> Iterator[bytes]:
        """The same piece as fast as it is taken, until the server ends."""
        while not self.over.is_set():
            yield piece

    def _begin(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            self._begin(self._talk, connection)

    def _talk(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, Hangup):
            if self.tls:
                connection = self._context.wrap_socket(connection, server_side=True)
                self._connections.append(connection)
            with contextlib.closing(connection), connection.makefile("rb") as reader:
                while (asked := self._read(reader)) is not None:
                    self.asked.append(asked)
                    for piece in self.script(asked):
                        connection.sendall(piece)

    def _read(self, reader: Any) -> Asked | None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = reader.readline()
            if not line:
                return None
            head += line
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        return Asked(len(self.asked), head, reader.read(int(length[1])) if length else b"")


class Hangup(Exception):
    """Ends the connection."""


def http(body: bytes | str = b"", status: str = "200 OK", headers: Mapping[str, str] | None = None) -> bytes:
    """An HTTP answer. headers: instead of the usual ones; an empty value leaves one out."""
    content = body if isinstance(body, bytes) else body.encode()
    wanted = {
        "Content-Type": "application/soap+xml;charset=UTF-8",
        "Content-Length": str(len(content)),
        **(headers or {}),
    }
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in wanted.items() if value)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content


def envelope(body: str, relates_to: str | None) -> str:
    """A SOAP envelope; without RelatesTo where that is None."""
    related = f"<a:RelatesTo>{relates_to}</a:RelatesTo>" if relates_to is not None else ""
    return (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{ADDRESSING}" xmlns:n="{ENUMERATION}" xmlns:w="{WSMAN}">'
        f"<s:Header>{related}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )


def enumerated(items: str, *, end: bool = True, context: str = "uuid:1") -> str:
    """The body of an answer to Enumerate."""
    ended = "<w:EndOfSequence/>" if end else ""
    return (
        f"<n:EnumerateResponse><n:EnumerationContext>{context}</n:EnumerationContext>"
        f"<w:Items>{items}</w:Items>{ended}</n:EnumerateResponse>"
    )


def pulled(items: str, *, end: bool = False, context: str = "uuid:1") -> str:
    """The body of an answer to Pull."""
    ended = "<n:EndOfSequence/>" if end else ""
    return (
        f"<n:PullResponse><n:EnumerationContext>{context}</n:EnumerationContext>"
        f"<n:Items>{items}</n:Items>{ended}</n:PullResponse>"
    )


def cluster(**properties: str) -> str:
    """One MSCluster_Cluster as WQL's SELECT answers it: a fragment."""
    values = {"Name": "CL1", "HangRecoveryAction": "3", "ClusSvcHangTimeout": "60", "Fqdn": "cl1.example", **properties}
    return "<w:XmlFragment>" + "".join(f"<{n}>{v}</{n}>" for n, v in values.items()) + "</w:XmlFragment>"


def fault(text: str = "kaput", number: str = "2150858770", relates_to: str | None = None, detail: str = "") -> str:
    """A fault as Windows writes it."""
    return envelope(
        f"<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>w:InternalError</s:Value></s:Subcode>"
        f'</s:Code><s:Reason><s:Text xml:lang="en-US">{text}</s:Text></s:Reason><s:Detail>{detail}'
        f'<f:WSManFault xmlns:f="{FAULT}" Code="{number}"><f:Message>{text}</f:Message></f:WSManFault>'
        "</s:Detail></s:Fault>",
        relates_to,
    )
