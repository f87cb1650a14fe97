# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One WS-Management session to one host: opened by the first request, closed always. For this collection only."""

from __future__ import annotations

import contextlib
import struct
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from ..errors import (
    AnswerTimeout,
    AuthenticationFailed,
    CertificateRefused,
    ConnectionLost,
    FieldnotesError,
    InsecureConnection,
    MalformedAnswer,
    NotWinRM,
    Unreachable,
    Unsendable,
    WsmanFault,
)
from ..win_error import unsigned
from . import certificates, direct, envelope, kerberos
from .cim import Cim
from .cmdlets import Cmdlets
from .envelope import Request
from .faults import fault_in
from .libraries import (
    AuthenticationError,
    LogonErrors,
    WinRMError,
    WinRMTransportError,
    WSMan,
    WSManFaultError,
    requests_errors,
    urllib3_errors,
)
from .process import Processes
from .settings import Settings
from .shells import Client
from .transport import Adapter

# By which words a server offers what an authentication kind needs; a client certificate is not on offer in words.
_NEGOTIATE = ("negotiate", "kerberos", "ntlm")
_SCHEMES = {
    "basic": ("basic",),
    "certificate": ("",),
    "credssp": ("credssp",),
    "kerberos": _NEGOTIATE,
    "negotiate": _NEGOTIATE,
    "ntlm": _NEGOTIATE,
}


class Session:
    """The three carriers to one host over one authenticated connection.

    A dropped connection ends it: ``reconnect()`` starts anew, and only the caller knows whether repeating is harmless.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._transport: Any = None
        self._rim: Adapter | direct.Direct | None = None
        self._wsman: WSMan | None = None
        self.cim = Cim(self)
        self.cmdlets = Cmdlets(self)
        self.processes = Processes(self)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def peer_address(self) -> str | None:
        """The IP address at the other end of the connection; None before the first request."""
        return self._rim.peer_address if self._rim is not None else None

    def require_confidentiality(self, what: str) -> None:
        """Refuses before a secret would travel in clear. Errors: InsecureConnection."""
        if not self.settings.encrypts:
            raise InsecureConnection(f"{what} would cross the network in clear text: use HTTPS or message encryption")

    @property
    def wsman(self) -> WSMan:
        """pypsrp's client of this session, for shells. Errors: InsecureConnection, CertificateRefused."""
        if self._wsman is None:
            transport = self._opened()
            self._wsman = self._wsman or self._client()
            self._wsman.transport = transport
        return self._wsman

    def _opened(self) -> Any:
        """The transport: pypsrp's, or what takes its place. Errors: InsecureConnection, CertificateRefused."""
        settings = self.settings
        if self._transport is not None:
            return self._transport
        if settings.auth == "basic" and not settings.ssl:
            raise InsecureConnection(
                f"basic authentication over {settings.endpoint} would send the password in clear text: "
                "use HTTPS, or an authentication kind that encrypts messages (ntlm, kerberos, credssp)"
            )
        try:
            if direct.possible(settings):
                self._transport = self._rim = direct.Direct(settings)
            else:
                self._wsman = self._client()
                self._transport, self._rim = _with_rim(self._wsman.transport, settings)
        except (ValueError, ImportError) as error:
            raise AuthenticationFailed(f"the connection to {settings.endpoint} cannot be set up: {error}") from error
        except OSError as error:
            raise CertificateRefused(
                f"the certificates to trust for {settings.endpoint} cannot be read: {error}"
            ) from error
        return self._transport

    def _client(self) -> WSMan:
        settings = self.settings
        return Client(
            settings.host,
            max_envelope_size=settings.max_envelope_size,
            operation_timeout=settings.operation_timeout,
            port=settings.port,
            username=settings.username,
            password=settings.password,
            ssl=settings.ssl,
            path=settings.path,
            auth=settings.auth,
            cert_validation=settings.cert_validation,
            connection_timeout=settings.connection_timeout,
            read_timeout=settings.read_timeout,
            encryption=settings.encryption,
            proxy=settings.proxy,
            no_proxy=settings.no_proxy,
            **settings.extras,
        )

    def exchange(self, request: Request, attempted: str) -> ET.Element:
        """Sends one CIM operation; the SOAP body of its answer.

        Errors: WsmanFault, MalformedAnswer, ConnectionTrouble.
        """
        transport = self._opened()
        # With its first shell pypsrp learns how large the host's envelopes may be.
        most = self.settings.max_envelope_size if self._wsman is None else self._wsman.max_envelope_size
        message_id = envelope.new_id()
        with self.translated(attempted, message_id):
            message = envelope.build(request, transport.endpoint, most, self.settings.operation_timeout, message_id)
            answer = transport.send(message)
            body = envelope.body_of(answer, message_id)
        fault = fault_in(body, attempted)
        if fault is not None:
            raise fault
        return body

    def _seal(self) -> None:
        if self._rim is not None:
            self._rim.seal()

    @contextlib.contextmanager
    def translated(self, attempted: str, message_id: str = "") -> Iterator[None]:
        """Turns what pypsrp, requests and urllib3 raise into this collection's errors. attempted: for the message.

        message_id: of the one request that is sent; without it a fault is taken for the answer to whatever was sent.
        """
        where = self.settings.endpoint
        try:
            yield
            self._seal()
        except FieldnotesError as error:
            told = isinstance(error, (ConnectionLost, MalformedAnswer, Unsendable))
            if told and not str(error).startswith(attempted):
                raise type(error)(f"{attempted} on {self.settings.host}: {error}") from error
            raise
        except LogonErrors as error:
            raise self._no_logon(error, attempted) from error
        except ImportError as error:
            raise AuthenticationFailed(
                f"{self.settings.auth} needs Python libraries that this controller lacks ({error}): "
                'pip install "pypsrp[kerberos]" into the Python that runs Ansible'
            ) from error
        except WinRMTransportError as error:
            self._seal()
            raise self._http_error(error, attempted, message_id) from error
        except WSManFaultError as error:
            self._seal()
            number = unsigned(int(error.code)) if isinstance(error.code, int) else None
            subcode = "" if isinstance(error.code, int) else str(error.code or "").rpartition(":")[2]
            raise WsmanFault(attempted, number, subcode, error.provider_fault or error.reason or "") from error
        except WinRMError as error:
            raise MalformedAnswer(f"{attempted} on {self.settings.host}: {error}") from error
        except requests_errors.SSLError as error:
            raise CertificateRefused(certificates.refusal(where, _root_cause(error))) from error
        except (requests_errors.ConnectTimeout, requests_errors.ProxyError) as error:
            raise Unreachable(f"{where} cannot be reached: {_root_cause(error)}") from error
        except (requests_errors.ReadTimeout, urllib3_errors.ReadTimeoutError) as error:
            raise AnswerTimeout(
                f"{attempted}: no answer from {where} within {self.settings.read_timeout} s; "
                "whether it took effect is unknown until the state is read again"
            ) from error
        except requests_errors.ConnectionError as error:
            if _never_connected(error):
                raise Unreachable(f"{where} cannot be reached: {_root_cause(error)}") from error
            raise ConnectionLost(
                f"{attempted}: the connection to {where} ended before the answer ({_root_cause(error)}); "
                "whether it took effect is unknown until the state is read again"
            ) from error
        except (requests_errors.RequestException, urllib3_errors.HTTPError) as error:
            raise ConnectionLost(f"{attempted}: the answer of {where} broke off: {_root_cause(error)}") from error
        except (
            ET.ParseError,
            ArithmeticError,
            AttributeError,
            LookupError,
            ValueError,
            TypeError,
            RuntimeError,
            OSError,
            struct.error,
        ) as error:
            # pypsrp takes an answer apart without checks of its own: what it stumbles over is not WinRM.
            transport = self._transport
            if transport is not None and transport.wrap_required and transport.encryption is None:
                raise NotWinRM(
                    f"{where} answers without a logon as WinRM asks for: check address and port{_python_said(error)}"
                ) from error
            raise MalformedAnswer(
                f"{attempted}: {where} sent something that is not WS-Management{_python_said(error)}"
            ) from error

    def _no_logon(self, error: Exception, attempted: str) -> FieldnotesError:
        where, auth = self.settings.endpoint, self.settings.auth
        if self._transport is not None and self._transport.encryption is not None:
            return ConnectionLost(
                f"{attempted}: the answer of {where} cannot be decrypted with the keys of this connection: it was "
                f"changed or repeated on the way. Whether the request took effect is unknown{_why(error)}"
            )
        offered = self._rim.offered if self._rim is not None else ""
        if offered and not any(scheme in offered.lower() for scheme in _SCHEMES[auth]):
            kept = "" if auth == "basic" else ". The password was not sent"
            return AuthenticationFailed(
                f"{where} does not offer the authentication of the inventory ({auth}), it offers {offered}: "
                f"allow it in the WinRM service of the host, or choose another{kept}"
            )
        nobody = {"certificate": "the client certificate", "kerberos": "the cached ticket"}
        who = self.settings.username or nobody.get(auth, "nobody: there is no ansible_user")
        if no_ticket := kerberos.reason(error):
            return AuthenticationFailed(f"no Kerberos logon to {where} as {who}: {no_ticket}{_why(error)}")
        return AuthenticationFailed(
            f"{where} refused the credentials of {who} ({auth}): check user, password and authentication kind"
            f"{_why(error)}"
        )

    def _http_error(self, error: WinRMTransportError, attempted: str, message_id: str) -> FieldnotesError:
        where = self.settings.endpoint
        text = error.response_text
        if text:
            try:
                fault = fault_in(envelope.body_of(text, message_id), attempted)
            except MalformedAnswer:
                fault = None
            if fault is not None:
                return fault
        if error.code == 413:
            return WsmanFault(attempted, 0x80338111, "", "the request is larger than the host allows (HTTP 413)")
        if error.code in (404, 405) or error.code < 500:
            return NotWinRM(
                f"{where} answers, but not as WinRM (HTTP {error.code}): check port and path, and that WinRM listens "
                "there"
            )
        return ConnectionLost(f"{attempted}: {where} answered HTTP {error.code} without a reason")

    def reconnect(self) -> None:
        """Drops the connection without a word to the host; the next request opens and authenticates a new one."""
        self.cmdlets.forget()
        self.close()

    def close(self) -> None:
        """Closes what is open; harmless when nothing is."""
        if self._wsman is not None:
            self.cmdlets.close()
        transport, self._transport, self._rim, self._wsman = self._transport, None, None, None
        if transport is not None:
            with contextlib.suppress(requests_errors.RequestException, OSError):
                transport.close()


def _with_rim(transport: Any, settings: Settings) -> tuple[Any, Adapter]:
    """pypsrp's transport with our rim. Errors: ValueError, ImportError, OSError."""
    # pypsrp builds its HTTP session with the first message; built here, it can be given our rim.
    transport.session = transport._build_session()
    verify = transport.session.verify
    # Ours to show: requests would have OpenSSL ask for the password of an encrypted key at the terminal.
    certificate, transport.session.cert = transport.session.cert, None
    if certificate is not None:
        # Without an authentication requests would send what ~/.netrc has for the host, instead of the certificate.
        transport.session.auth = lambda request: request
    rim = Adapter(
        verify if isinstance(verify, (bool, str)) else True,
        client_certificate=certificate if isinstance(certificate, tuple) else None,
        retries=settings.reconnection_retries,
        backoff=settings.reconnection_backoff,
    )
    transport.session.mount("http://", rim)
    transport.session.mount("https://", rim)
    return transport, rim


def _why(error: Exception) -> str:
    # pypsrp's own words say no more than ours; those of Kerberos and CredSSP name what is missing.
    return "" if isinstance(error, AuthenticationError) else f" ({' '.join(str(error).split())})"


def _python_said(error: Exception) -> str:
    # What is wrong with a value is for people; which attribute of what is missing is for programmers.
    told = isinstance(error, (ValueError, OSError, WinRMError)) and not isinstance(error, UnicodeEncodeError)
    return f" ({' '.join(str(error).split())})" if told and str(error) else ""


def _root_cause(error: BaseException) -> str:
    """The innermost reason that says something, in one line."""
    reason: BaseException = error
    while True:
        inner = getattr(reason, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((a for a in reason.args if isinstance(a, BaseException)), None)
        if inner is None:
            break
        reason = inner
    text = str(reason)
    return " ".join((text.rpartition(": ")[2] if "object at 0x" in text else text).split())


def _never_connected(error: requests_errors.ConnectionError) -> bool:
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, (urllib3_errors.NewConnectionError, urllib3_errors.ConnectTimeoutError)):
            return True
        inner = getattr(found, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((a for a in found.args if isinstance(a, BaseException)), None)
        found = inner
    return False
