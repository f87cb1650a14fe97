# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A session's HTTP without requests: one connection, straight to the host. For this collection only.

It takes the place of pypsrp's transport where no proxy is in the way, for the authentication kinds that need no more
than a header. A worker of Ansible lives for one task, so what counts is the first request: requests and urllib3 take
three times as long to come to it. What protects a session in transport.py protects it here.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import os
import ssl
import sys
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ConnectionLost, MalformedAnswer, NotWinRM, Unreachable
from . import ntlm
from .certificates import believing
from .libraries import (
    AuthenticationError,
    ContextReq,
    GssChannelBindings,
    HTTPNegotiateAuth,
    NegotiateOptions,
    WinRMEncryption,
    WinRMTransportError,
    get_environ_proxies,
    requests_errors,
    spnego,
)
from .settings import Settings
from .transport import (
    MAX_ANSWER,
    MAX_REFUSAL,
    Hurried,
    default_bundle,
    encoding_of,
    is_encrypted,
    made_up,
    sent_on,
    tls_context,
)

_SOAP = "application/soap+xml;charset=UTF-8"
_NEGOTIATE = ("negotiate", "kerberos", "ntlm")
_SCHEMES = ("Negotiate", "Kerberos", "NTLM")
_REDIRECTS = (301, 302, 303, 307, 308)


def possible(settings: Settings) -> bool:
    """Whether these settings need nothing that only requests has: a proxy, CredSSP, a client certificate."""
    if settings.auth == "basic":
        complete = settings.username is not None and settings.password is not None and settings.encryption != "always"
    else:
        complete = settings.auth in _NEGOTIATE
    return complete and settings.proxy is None and (settings.no_proxy or not _proxy_of(settings.endpoint))


def _proxy_of(url: str) -> bool:
    """Whether the environment names a proxy for this URL."""
    # macOS has settings of its own; elsewhere there are none without a variable.
    if sys.platform != "darwin" and not any(name.lower().endswith("_proxy") for name in os.environ):
        return False
    return any(get_environ_proxies(url).get(name) for name in (urllib.parse.urlsplit(url).scheme, "all"))


@dataclass(frozen=True)
class _Answer:
    """What came over HTTP."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def offered(self) -> str:
        """All ways to log on that the host names, in one line."""
        return ", ".join(self.headers.get_all("WWW-Authenticate", []))


class Direct:
    """pypsrp's transport, as far as its shells and a session use it; raises what pypsrp's own raises.

    After ``seal()`` a new connection, or a 401 on the old one, raises ConnectionLost, as ``transport.Adapter`` says.
    Errors: the library's errors for refused logons and for time-outs, and ConnectionTrouble.
    """

    def __init__(self, settings: Settings) -> None:
        self.endpoint = settings.endpoint
        self.wrap_required = settings.encryption == "always" if settings.ssl else settings.encryption != "never"
        self.encryption: WinRMEncryption | None = None
        self.sealed = False
        self.peer_address: str | None = None
        self.offered = ""
        self._settings = settings
        self._host = settings.host.strip("[]")
        self._path = "/" + urllib.parse.quote(settings.path, safe="!#$%&'()*+,/:;=?@[]~")
        self._context = _context(settings) if settings.ssl else None
        self._connection: http.client.HTTPConnection | None = None

    def seal(self) -> None:
        """No further connection from here on."""
        self.sealed = True

    def close(self) -> None:
        """Closes the connection; harmless without one."""
        if self._connection is not None:
            self._connection.close()

    def send(self, message: bytes, **_retries: Any) -> bytes:
        """The body of the answer to a message. Nothing is repeated."""
        if self._connection is not None:
            answer = self._ask(message)
        else:
            if self.sealed:
                raise ConnectionLost("the connection to the host ended")
            self._connection = self._connect()
            if self._settings.auth == "basic":
                answer = self._ask(message, _basic(self._settings))
            else:
                answer = self._log_on(message)
        if answer.status == 401:
            self.close()
            if self.sealed:
                raise ConnectionLost("the host no longer accepts the session it had accepted")
            self.offered, self.encryption = answer.offered, None
            raise AuthenticationError(f"Failed to authenticate the user {self._settings.username}")
        if answer.status >= 400:
            text = answer.body.decode(encoding_of(answer.headers.get_content_charset()), "replace")
            raise WinRMTransportError("http", answer.status, text)
        return answer.body

    # The connection

    def _connect(self) -> http.client.HTTPConnection:
        """Reaches the host, as often as the settings say. Errors: Unreachable, requests' SSLError."""
        settings = self._settings
        trouble: Exception | None = None
        for attempt in range(settings.reconnection_retries + 1):
            if attempt:
                time.sleep(settings.reconnection_backoff * 2 ** (attempt - 1))
            try:
                return self._connected()
            except ssl.SSLError as error:
                raise requests_errors.SSLError(error) from error
            except (OSError, UnicodeError) as error:
                trouble = error
        reason = "timed out" if isinstance(trouble, TimeoutError) else " ".join(str(trouble).split())
        raise Unreachable(f"{self.endpoint} cannot be reached: {reason}") from trouble

    def _connected(self) -> http.client.HTTPConnection:
        settings = self._settings
        connection = http.client.HTTPConnection(self._host, settings.port, timeout=settings.connection_timeout)
        connection.response_class = Hurried
        # Without this http.client would open another connection by itself when this one has ended.
        connection.auto_open = 0
        connection.connect()
        self.peer_address = str(connection.sock.getpeername()[0]).partition("%")[0]
        if self._context is not None:
            try:
                connection.sock = self._context.wrap_socket(
                    connection.sock, server_hostname=self._host.partition("%")[0].rstrip(".")
                )
            except BaseException:
                connection.close()
                raise
        connection.sock.settimeout(settings.read_timeout)
        return connection

    def _ask(self, message: bytes, headers: Mapping[str, str] | None = None) -> _Answer:
        """Sends a message, encrypted where it has to be, and takes its answer apart."""
        encryption = self.encryption
        if encryption is None:
            if self.wrap_required:
                raise ConnectionLost("there are no keys to encrypt the request with")
            answer = self._post(message, {"Content-Type": _SOAP, **(headers or {})})
            if is_encrypted(answer.headers.get("Content-Type")):
                raise ValueError("an encrypted answer to a request in clear text")
            return answer
        kind, body = encryption.wrap_message(message)
        content_type = f'{kind};protocol="{encryption.protocol}";boundary="Encrypted Boundary"'
        answer = self._post(body, {"Content-Type": content_type, **(headers or {})})
        if answer.status == 401:
            return answer
        given = answer.headers.get("Content-Type", "")
        if is_encrypted(given):
            boundary = answer.headers.get_boundary("Encrypted Boundary")
            return _Answer(answer.status, answer.headers, encryption.unwrap_message(answer.body, boundary))
        if answer.status < 400 or "soap" in given:
            raise made_up()
        return _Answer(answer.status, answer.headers, b"")

    def _post(self, body: bytes, headers: Mapping[str, str]) -> _Answer:
        """One request and its whole answer. Errors: NotWinRM, MalformedAnswer, requests' ReadTimeout and others."""
        connection = self._connection
        if connection is None or connection.sock is None:
            raise ConnectionLost("the connection to the host ended")
        try:
            connection.sock.settimeout(self._settings.read_timeout)
            connection.request("POST", self._path, body, dict(headers))
            with contextlib.closing(connection.getresponse()) as response:
                return self._read(response)
        except (NotWinRM, MalformedAnswer):
            # What was not read of this answer would be taken for the next one.
            connection.close()
            raise
        except TimeoutError as error:
            connection.close()
            raise requests_errors.ReadTimeout(error) from error
        except http.client.IncompleteRead as error:
            connection.close()
            raise requests_errors.ChunkedEncodingError(error) from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise requests_errors.ConnectionError(error) from error

    def _read(self, response: http.client.HTTPResponse) -> _Answer:
        if response.status in _REDIRECTS and response.getheader("Location"):
            raise sent_on(self.endpoint, response.getheader("Location"), response.status)
        limit = MAX_REFUSAL if response.status == 401 else MAX_ANSWER
        body = response.read(limit + 1)
        if len(body) > limit:
            raise MalformedAnswer(f"the answer is larger than {limit // 2**20} MiB")
        if response.length:
            raise http.client.IncompleteRead(body, response.length)
        return _Answer(response.status, response.headers, body)

    # The logon

    def _log_on(self, message: bytes) -> _Answer:
        """Logs on, and asks with the last leg; the answer to the message, or the refusal of the logon.

        As Windows' own client does it: the first leg has the first token already, without asking what is on offer, and
        the last one has the message. A host that does not know this scheme names those that it knows.
        """
        answer = self._negotiate(_SCHEMES[0], message)
        offered = answer.offered.lower()
        other = next((each for each in _SCHEMES[1:] if each.lower() in offered), "")
        knows_it_not = answer.status == 401 and _SCHEMES[0].lower() not in offered
        if knows_it_not and other and self._settings.auth in ("negotiate", other.lower()):
            if self._connection is None or self._connection.sock is None:
                self._connection = self._connect()
            answer = self._negotiate(other, message)
        return answer

    def _negotiate(self, scheme: str, message: bytes) -> _Answer:
        context = self._security_context(scheme)
        protocol = WinRMEncryption.KERBEROS if scheme == "Kerberos" else WinRMEncryption.SPNEGO
        token: bytes | None = context.step()
        while True:
            header = {"Authorization": f"{scheme} {base64.b64encode(token).decode()}"} if token else {}
            if self._context is None:
                ntlm.require_strong(header.get("Authorization", ""), self.endpoint)
            if context.complete:
                # Both ends have the keys, or will have them with this token, which NTLM's last one is.
                if self.wrap_required:
                    self.encryption = WinRMEncryption(context, protocol)
                return self._ask(message, header)
            answer = self._post(b"", header)
            given = _token(answer)
            token = context.step(given) if given and answer.status in (200, 401) else None
            if not token and not context.complete:
                if answer.status == 200:
                    raise NotWinRM(f"{self.endpoint} answers without a logon as WinRM asks for: check address and port")
                return answer

    def _security_context(self, scheme: str) -> Any:
        settings = self._settings
        extras = settings.extras
        auth = scheme.lower() if settings.auth == "negotiate" else settings.auth
        return spnego.client(
            settings.username,
            settings.password,
            hostname=extras.get("negotiate_hostname_override") or settings.host.lower(),
            service=extras.get("negotiate_service", "WSMAN"),
            channel_bindings=self._channel_binding() if extras.get("negotiate_send_cbt", True) else None,
            context_req=ContextReq.default
            | (ContextReq.delegate if extras.get("negotiate_delegate") else ContextReq(0)),
            protocol=auth,
            options=NegotiateOptions.wrapping_winrm if self.wrap_required else NegotiateOptions(0),
        )

    def _channel_binding(self) -> GssChannelBindings | None:
        """What ties the logon to this TLS connection (RFC 5929, tls-server-end-point)."""
        connected = self._connection.sock if self._connection is not None else None
        shown = connected.getpeercert(True) if isinstance(connected, ssl.SSLSocket) else None
        if not shown:
            return None
        hashed: bytes = HTTPNegotiateAuth._get_certificate_hash(shown)  # type: ignore[no-untyped-call]
        return GssChannelBindings(application_data=b"tls-server-end-point:" + hashed)


def _context(settings: Settings) -> ssl.SSLContext:
    """Errors: OSError for a bundle that cannot be read."""
    bundle = default_bundle() if settings.cert_validation is True else settings.cert_validation
    return tls_context(bundle) if bundle else believing()


def _basic(settings: Settings) -> dict[str, str]:
    text = f"{settings.username}:{settings.password}"
    try:
        credentials = text.encode("latin-1")
    except UnicodeEncodeError:
        credentials = text.encode()
    return {"Authorization": f"Basic {base64.b64encode(credentials).decode()}"}


def _token(answer: _Answer) -> bytes | None:
    """The token that continues the logon. Errors: ValueError."""
    for offered in answer.headers.get_all("WWW-Authenticate", []):
        scheme, _space, token = offered.strip().partition(" ")
        if token and scheme.lower() in _NEGOTIATE:
            return base64.b64decode(token.partition(",")[0].strip())
    return None
