# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The HTTP rim of a session: one TLS context, one TCP connection, bounded answers. For this collection only."""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import os
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import ConnectionLost, MalformedAnswer, NotWinRM
from . import certificates, libraries, ntlm
from .libraries import (
    HTTPAdapter,
    HTTPConnection,
    HTTPConnectionPool,
    HTTPSConnection,
    HTTPSConnectionPool,
    PreparedRequest,
    Response,
    Retry,
    certifi,
)
from .rehearsal import rehearse

MAX_ANSWER = 32 * 1024 * 1024
"""Bytes of one answer at most: sixty-five times the largest envelope that Windows sends by default."""

MAX_REFUSAL = 1024 * 1024
"""Bytes of one answer with status 401 at most; Windows sends none."""

_OTHER_ENCODINGS = ("utf-16", "iso-8859-1", "windows-1252")


@functools.lru_cache(maxsize=8)
def tls_context(bundle: str) -> ssl.SSLContext:
    """A validating TLS context. bundle: path of a PEM file or directory; loading one costs 20 to 35 ms."""
    return certificates.trusting(bundle)


def default_bundle() -> str:
    """The trusted certificates that requests would use: its environment variables, else its own bundle."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()


# Made when the module is imported, which Ansible does before it forks workers: each of them inherits it.
# A bundle that cannot be read is told to the user who needs it, at the first connection.
if not libraries.missing:
    with contextlib.suppress(OSError):
        tls_context(default_bundle())
    rehearse()


class Adapter(HTTPAdapter):
    """One host's connections.

    After ``seal()`` a new TCP connection, or a 401 on the old one, raises ConnectionLost. The message encryption of
    NTLM, Kerberos and CredSSP belongs to the connection it was negotiated on; pypsrp would authenticate again and
    repeat a body that was encrypted for the old one. What became of the lost request is unknown: nobody may repeat it
    blindly.
    """

    def __init__(
        self, verify: bool | str, *, client_certificate: tuple[str, str] | None, retries: int, backoff: float
    ) -> None:
        self.sealed = False
        self.peer_address: str | None = None
        self.offered = ""
        self._unread: Response | None = None
        bundle = default_bundle() if verify is True else verify
        self._context: ssl.SSLContext | None = tls_context(bundle) if bundle else None
        if client_certificate is not None:
            # It is loaded into the context it is used with, so such a session has one of its own.
            self._context = certificates.trusting(bundle) if bundle else certificates.believing()
            certificates.show(self._context, *client_certificate)
        # Retries are for reaching the host only: a request that was sent may have had its effect.
        super().__init__(max_retries=Retry(total=retries, connect=retries, read=0, status=0, backoff_factor=backoff))

    def seal(self) -> None:
        """No further connection from here on."""
        self.sealed = True

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        if self._context is not None:
            kwargs["ssl_context"] = self._context
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools()

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        if self._context is not None:
            kwargs["ssl_context"] = self._context
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = self._pools()
        return manager

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        if self._context is None:
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
        # Else the context has the certificates; naming the bundle again would load it for each connection.

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        if not str(request.url).startswith("https:"):
            ntlm.require_strong(request.headers.get("Authorization", ""), str(request.url))
        response = super().send(request, *args, **kwargs)
        # Else requests guesses the encoding from the content, or believes any name of one.
        response.encoding = encoding_of(response.encoding)
        if self.sealed and response.status_code == 401:
            response.close()
            raise ConnectionLost("the host no longer accepts the session it had accepted")
        if response.status_code == 401:
            self.offered = response.headers.get("WWW-Authenticate", "")
            # Left unread: pypsrp takes the server certificate for channel binding from its open socket.
            self._unread = response
            bounded = functools.partial(_bounded, response.raw.stream, MAX_REFUSAL)
            response.raw.stream = bounded  # type: ignore[method-assign]
            return response
        if response.is_redirect:
            response.close()
            raise sent_on(str(request.url), response.headers["Location"], response.status_code)
        _read_bounded(response)
        if is_encrypted(request.headers.get("Content-Type")) and not is_encrypted(response.headers.get("Content-Type")):
            _distrust(response)
        return response

    def close(self) -> None:
        if self._unread is not None:
            # A connection whose answer nobody read has not gone back to the pool, which closes only its own.
            self._unread.close()
        super().close()

    def _pools(self) -> dict[str, Any]:
        adapter = self

        class Plain(HTTPConnection):
            response_class = Hurried

            def connect(self) -> None:
                adapter.refuse_when_sealed()
                super().connect()
                adapter.note_peer(self)

        class Secure(HTTPSConnection):
            response_class = Hurried

            def connect(self) -> None:
                adapter.refuse_when_sealed()
                super().connect()
                adapter.note_peer(self)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        return {"http": PlainPool, "https": SecurePool}

    def refuse_when_sealed(self) -> None:
        """Errors: ConnectionLost."""
        if self.sealed:
            raise ConnectionLost("the connection to the host ended")

    def note_peer(self, connection: HTTPConnection) -> None:
        """Remembers the address at the other end of the socket."""
        if connection.sock is not None:
            self.peer_address = str(connection.sock.getpeername()[0]).partition("%")[0]


def is_encrypted(content_type: str | bytes | None) -> bool:
    """Whether a body of this type is encrypted with the keys of the connection."""
    # What pypsrp decrypts, to the letter: anything else it would take as it came.
    kinds = ("multipart/encrypted;", "multipart/x-multi-encrypted;")
    return isinstance(content_type, str) and content_type.startswith(kinds)


def encoding_of(charset: str | None) -> str:
    """The encoding of a text that says it has this one: UTF-8 unless it is one of the few that Windows may use."""
    return charset if charset is not None and charset.lower() in _OTHER_ENCODINGS else "utf-8"


def sent_on(url: str, location: str | None, status: int) -> NotWinRM:
    """What to say of a redirect, which nobody follows."""
    return NotWinRM(
        f"{url} sends its callers on to {location} (HTTP {status}), which WinRM never does: nothing was sent there. "
        "Check address and port"
    )


def made_up() -> ConnectionLost:
    """What to say of an answer in clear text to an encrypted request."""
    return ConnectionLost(
        "an encrypted request was answered in clear text, which Windows never does: somebody on the way may have made "
        "this up. What became of the request is unknown"
    )


def _distrust(response: Response) -> None:
    """Lets an answer in clear text to an encrypted request count for its status only. Errors: ConnectionLost.

    Anybody on the way can make one up. pypsrp would take its body for the host's; Windows encrypts faults too.
    """
    if response.ok or "soap" in response.headers.get("Content-Type", ""):
        raise made_up()
    response._content = b""


def _bounded(stream: Callable[..., Iterator[bytes]], limit: int, *_amount: int, **_decode: bool) -> Iterator[bytes]:
    """Pieces of a body as they come, never decompressed: WinRM was asked for identity. Errors: MalformedAnswer."""
    read = 0
    for chunk in stream(65536, decode_content=False):
        read += len(chunk)
        if read > limit:
            raise MalformedAnswer(f"the answer is larger than {limit // 2**20} MiB")
        yield chunk


def _read_bounded(response: Response) -> None:
    """Reads the body here, up to the bound; requests would read whatever comes. Errors: MalformedAnswer."""
    try:
        # The content is handed on as read, so that authentication hooks and callers find it.
        response._content = b"".join(_bounded(response.raw.stream, MAX_ANSWER))
    except MalformedAnswer:
        response.close()
        raise
    response._content_consumed = True  # type: ignore[attr-defined]


class Hurried(http.client.HTTPResponse):
    """An answer that must be complete, head and body, when the read time-out has passed.

    Sockets count it anew with each byte, so that a host could make an answer last for ever.
    """

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        timeout = sock.gettimeout()
        if timeout is not None:
            self.fp = io.BufferedReader(_Until(self.fp.detach(), sock, time.monotonic() + timeout))


class _Until(io.RawIOBase):
    """What a socket has to say until a moment of the monotonic clock. Errors: TimeoutError."""

    def __init__(self, raw: io.RawIOBase, sock: Any, deadline: float) -> None:
        self._raw = raw
        self._sock = sock  # where pypsrp looks for it
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer did not end in time")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
