# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rim: sockets, TLS, HTTP/1.1 and who is calling. Messages themselves are answered by `wsman.handle`."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import http
import selectors
import socket
import ssl
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h11

from . import encryption, inventory, psrp, soap, winrs, wsman
from .authentication import Accounts, LogonFailed, Negotiation, basic
from .certificates import Authority, end_point_binding, principal_of
from .control import ControlServer
from .fleet import Fleet
from .host import Host
from .providers import Caller, Provider, calling, providers
from .providers.network import Network
from .trouble import is_dark

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Handshake", "Served", "serve"]

MUTUAL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
SOAP = "application/soap+xml;charset=UTF-8"
HTML = "text/html; charset=us-ascii"
NOT_FOUND = b"<html><head><title>Not Found</title></head><body><h2>Not Found</h2></body></html>\r\n"
WELCOME = b"<html><head><title>It works</title></head><body><h1>It works</h1></body></html>\r\n"

_TLS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
_JOIN_SECONDS = 5.0
_HANDSHAKE_SECONDS = 30.0


@dataclass(frozen=True)
class Handshake:
    """An HTTP request that carried no message: a leg of authentication, a refused logon, something that is no WinRM."""

    time: datetime
    method: str
    path: str
    scheme: str
    user: str | None
    status: int
    secure: bool
    refused: str = ""


_Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def header(self, name: str) -> str:
        return self.headers.get(name, "")


@dataclass(frozen=True)
class _Response:
    status: int
    body: bytes = b""
    content_type: str = ""
    headers: _Headers = ()
    announced: int | None = None  # Content-Length, where it is not the body's


class _Hangup(Exception):
    """The connection ends here, without an answer."""


class Rim:
    """What a served host has open: listeners and connections. Reached by `host.attached(Rim)`."""

    def __init__(self) -> None:
        self.tend: Callable[[], object] | None = None
        self.listeners: list[socket.socket] = []
        self.conversations: set[_Conversation] = set()
        self.logon_epoch = 0

    def drop(self) -> None:
        """End every connection."""
        for conversation in tuple(self.conversations):
            conversation.hang_up()


providers.load()  # so that this hook is the last one: WinRM listens when its service has started
_rim = Provider("rim")


@_rim.boot
def _listen_again(host: Host) -> None:
    rim = host.attached(Rim)
    if rim.tend is not None:
        rim.tend()


class Served:
    """A fleet on the air. Use it as a context manager; at the end every socket is closed and every thread has ended."""

    def __init__(self, fleet: Fleet, *, control: bool = False) -> None:
        self.fleet = fleet
        self.control: ControlServer | None = None
        self._with_control = control
        self.authority = Authority()
        self._contexts: dict[tuple[str, str, str, bool], tuple[ssl.SSLContext, bytes]] = {}
        self._ports: dict[tuple[str, str], int] = {}
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._down: set[Host] = set()
        self._closing = False
        self._acceptor = threading.Thread(target=self._accept, name="winsim acceptor", daemon=True)
        self._watcher = threading.Thread(target=self._watch, name="winsim watcher", daemon=True)

    def __enter__(self) -> Self:
        self._stack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            stack.callback(self._close)
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="winsim-")))
            self.ca_path = self.folder / "ca.pem"
            self.ca_path.write_bytes(self.authority.certificate)
            self._selector.register(self._woken, selectors.EVENT_READ)
            with self.fleet.lock:
                for host in self.fleet.hosts.values():
                    self._serve(host)
            self.fleet.clock.start()
            self._acceptor.start()
            self._watcher.start()
            if self._with_control:
                self.control = ControlServer(self)
                stack.callback(self.control.close)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def address(self, host: Host | str) -> str:
        return self._host(host).winrm.listen

    def http_port(self, host: Host | str) -> int:
        return self._ports[self._host(host).name, "http"]

    def https_port(self, host: Host | str) -> int:
        return self._ports[self._host(host).name, "https"]

    def urls(self, host: Host | str) -> dict[str, str]:
        """The addresses at which a host listens, by scheme."""
        address = self.address(host)
        place = f"[{address}]" if ":" in address else address
        name = self._host(host).name
        ports = {scheme: self._ports[name, scheme] for scheme in ("http", "https") if (name, scheme) in self._ports}
        return {scheme: f"{scheme}://{place}:{port}/wsman" for scheme, port in ports.items()}

    def summary(self) -> dict[str, Any]:
        """What another process needs to know: where the hosts are, the authority's file, the control endpoint."""
        control = {"url": self.control.url, "token": self.control.token} if self.control else None
        return {
            "hosts": {host.name: self.urls(host) for host in self.fleet.hosts.values()},
            "ca": str(self.ca_path),
            "control": control,
        }

    def client_certificate(self, principal: str) -> tuple[Path, Path]:
        """Certificate and key (PEM files) with which `user@domain` may log on."""
        return self.authority.client(principal).write(self.folder, principal)

    def drop_connections(self, host: Host | str) -> None:
        """End every connection of a host, as an adapter reset does."""
        self._host(host).attached(Rim).drop()

    def expire_authentication(self, host: Host | str) -> None:
        """Let the next request on every authenticated connection of a host be answered with 401."""
        self._host(host).attached(Rim).logon_epoch += 1

    def inventory(self, **options: Any) -> dict[str, Any]:
        """The Ansible inventory; see `inventory.inventory` for the options."""
        return inventory.inventory(self, **options)

    # Opening and closing

    def _host(self, host: Host | str) -> Host:
        return host if isinstance(host, Host) else self.fleet.host(host)

    def _serve(self, host: Host) -> None:
        rim = host.attached(Rim)
        self._open(host)
        rim.tend = lambda: self._tend(host)
        rim.tend()
        host.on_drop(lambda: self._drop(host))

    def _drop(self, host: Host) -> None:
        rim = host.attached(Rim)
        if rim.tend is not None:
            rim.drop()
            rim.tend()

    def _tend(self, host: Host) -> None:
        """Listen while the host can be reached: a host that is down refuses connections."""
        listens = bool(host.attached(Rim).listeners)
        if listens and not host.reachable:
            self._shut(host)
            self._down.add(host)
        elif not listens and host.reachable:
            self._open(host)
            self._down.discard(host)
            self.fleet.changed.notify_all()

    def _watch(self) -> None:
        # A boot and a drop tend to their host at once; this is for what comes up in its own time, such as a service.
        with self.fleet.changed:
            while not self._closing:
                for host in tuple(self._down):
                    self._tend(host)
                self.fleet.changed.wait()

    def _open(self, host: Host) -> None:
        winrm = host.winrm
        for scheme, wanted, port in (("http", winrm.http, winrm.http_port), ("https", winrm.https, winrm.https_port)):
            if wanted:
                listener = _listen(host, self._ports.get((host.name, scheme), port))
                self._ports[host.name, scheme] = listener.getsockname()[1]
                host.attached(Rim).listeners.append(listener)
                self._selector.register(listener, selectors.EVENT_READ, (host, scheme))

    def _shut(self, host: Host) -> None:
        rim = host.attached(Rim)
        while rim.listeners:
            listener = rim.listeners.pop()
            self._selector.unregister(listener)
            listener.close()

    def _close(self) -> None:
        self._wake.close()
        with self.fleet.changed:
            self._closing = True
            self.fleet.changed.notify_all()
        threads = [self._acceptor, self._watcher]
        for host in self.fleet.hosts.values():
            rim = host.attached(Rim)
            rim.tend = None
            self._shut(host)
            threads += [conversation.thread for conversation in tuple(rim.conversations)]
            rim.drop()
            psrp.end_shells(host)  # which ends the Receives that are held
            winrs.end_shells(host)
        self.fleet.clock.stop()
        for thread in threads:
            if thread.is_alive():
                thread.join(_JOIN_SECONDS)
        self._selector.close()
        self._woken.close()

    def _accept(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    return
                host, scheme = key.data
                with contextlib.suppress(OSError):  # the caller has gone, or the listener has just been closed
                    connection, _ = key.fileobj.accept()  # type: ignore[union-attr]
                    connection.setblocking(True)
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    tls, binding = self._tls(host) if scheme == "https" else (None, None)
                    _Conversation(host, connection, tls, binding).start()

    def _tls(self, host: Host) -> tuple[ssl.SSLContext, bytes]:
        """The TLS context of a host as it is configured now, and the channel binding of its certificate."""
        winrm = host.winrm
        key = (host.name, winrm.certificate, winrm.tls, winrm.client_certificates)
        if key not in self._contexts:
            names = [host.name.lower(), host.fqdn.lower(), winrm.listen, "localhost"]
            identity = self.authority.host(dict.fromkeys(names), winrm.certificate)  # type: ignore[arg-type]
            context = _tls_server(winrm.tls)
            context.load_cert_chain(*identity.write(self.folder, host.name))
            if winrm.client_certificates:
                context.verify_mode = ssl.CERT_OPTIONAL
                context.load_verify_locations(self.ca_path)
            self._contexts[key] = context, end_point_binding(identity.certificate)
        return self._contexts[key]


def serve(fleet: Fleet, *, control: bool = False) -> Served:
    """Serve every host of the fleet: `with serve(fleet) as served:`. `control` opens the control endpoint as well."""
    return Served(fleet, control=control)


def _tls_server(versions: str) -> ssl.SSLContext:
    """A server of TLS `versions` (`1.2-1.3`) that leaves it to its clients what is too weak: key, hash, version."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    lowest, _, highest = versions.partition("-")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.0 and 1.1 are what some hosts have
        context.minimum_version = _TLS[lowest]
        context.maximum_version = _TLS[highest]
    return context


def _listen(host: Host, port: int) -> socket.socket:
    address = host.winrm.listen
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(64)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"{host.name} cannot listen on {address} port {port}: {error.strerror}") from error
    listener.setblocking(False)
    return listener


class _Conversation:
    """One connection, from its first byte to its last, in a thread of its own."""

    def __init__(
        self, host: Host, connection: socket.socket, tls: ssl.SSLContext | None, binding: bytes | None
    ) -> None:
        self.host = host
        self.rim = host.attached(Rim)
        self.thread = threading.Thread(target=self._run, name=f"winsim {host.name}", daemon=True)
        self._socket: socket.socket | ssl.SSLSocket = connection
        self._tls = tls
        self._binding = binding
        self._http = h11.Connection(h11.SERVER)
        self._negotiation: Negotiation | None = None
        self._caller: Caller | None = None
        self._epoch = self.rim.logon_epoch

    def start(self) -> None:
        self.rim.conversations.add(self)
        self.thread.start()

    def hang_up(self) -> None:
        """End the connection from any thread."""
        with contextlib.suppress(OSError):
            # Not SSLSocket's own shutdown: that one would have the conversation's thread go on without TLS.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _run(self) -> None:
        try:
            if self._tls is not None:
                self._socket.settimeout(_HANDSHAKE_SECONDS)
                secured = self._tls.wrap_socket(self._socket, server_side=True, do_handshake_on_connect=False)
                self._socket = secured
                secured.do_handshake()
                self._socket.settimeout(None)
            while (request := self._receive()) is not None:
                self._send(self._answer(request))
        except (OSError, _Hangup):
            pass
        except h11.RemoteProtocolError as error:
            with contextlib.suppress(OSError, _Hangup, h11.LocalProtocolError):
                self._send(_Response(error.error_status_hint, headers=(("Connection", "close"),)))
        finally:
            self.rim.conversations.discard(self)
            self.hang_up()
            self._socket.close()

    # HTTP

    def _event(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                self._write(h11.InformationalResponse(status_code=100, headers=[]))
            self._http.receive_data(self._socket.recv(65536))
        return event

    def _receive(self) -> _Request | None:
        head = self._event()
        if head is h11.PAUSED:
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return None
            self._http.start_next_cycle()
            head = self._event()
        if not isinstance(head, h11.Request):
            return None
        body = bytearray()
        while isinstance(event := self._event(), h11.Data):
            body += event.data
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in head.headers}
        return _Request(head.method.decode(), head.target.decode("latin-1").split("?")[0], headers, bytes(body))

    def _send(self, response: _Response) -> None:
        length = len(response.body) if response.announced is None else response.announced
        headers = [("Server", "Microsoft-HTTPAPI/2.0"), ("Content-Length", str(length)), *response.headers]
        if response.content_type:
            headers.insert(0, ("Content-Type", response.content_type))
        phrase = http.HTTPStatus(response.status).phrase.encode()
        head = self._http.send(h11.Response(status_code=response.status, headers=headers, reason=phrase))
        assert head is not None
        if length != len(response.body):
            self._socket.sendall(head + response.body)
            raise _Hangup
        self._socket.sendall(head + b"".join(self._http.send(each) or b"" for each in _content(response.body)))
        if self._http.our_state is h11.MUST_CLOSE:
            raise _Hangup

    def _write(self, event: h11.InformationalResponse) -> None:
        self._socket.sendall(self._http.send(event) or b"")

    # What a request gets

    def _answer(self, request: _Request) -> _Response:
        if is_dark(self.host) or not self.host.reachable:
            raise _Hangup
        answers = self.host.state(Network).answers
        if answers == "silent":
            self._socket.recv(1)  # until the caller gives up
            raise _Hangup
        if answers == "web_page" or request.path.rstrip("/").lower() != "/wsman":
            found = answers == "web_page" and request.method == "GET"
            return self._note(request, _Response(200 if found else 404, WELCOME if found else NOT_FOUND, HTML))
        if request.method != "POST":
            return self._note(request, _Response(405, headers=(("Allow", "POST"),)))
        return self._winrm(request)

    def _winrm(self, request: _Request) -> _Response:
        if self._epoch != self.rim.logon_epoch:
            self._epoch, self._caller, self._negotiation = self.rim.logon_epoch, None, None
        try:
            token = self._log_on(request)
        except LogonFailed as failed:
            self._caller, self._negotiation = None, None
            return self._note(request, _Response(401, headers=self._methods()), refused=str(failed))
        if self._negotiation is not None and not self._negotiation.context.complete:
            return self._note(request, _Response(401, headers=token))
        if self._caller is None:
            if request.header("wsmanidentify").lower() == "unauthenticated" and _identifies(request.body):
                return self._message(request, request.body, Caller("", "Anonymous"), token)
            return self._note(request, _Response(401, headers=self._methods()))
        if encryption.is_encrypted(request.header("content-type")):
            return self._encrypted(request, self._caller, token)
        if not request.body:
            return self._note(request, _Response(200, headers=token))
        if not self._tls and not self.host.winrm.allow_unencrypted:
            self.host.plaintext += request.body
            return self._note(request, _Response(500, headers=token), refused="AllowUnencrypted is false")
        return self._message(request, request.body, self._caller, token)

    def _encrypted(self, request: _Request, caller: Caller, token: _Headers) -> _Response:
        negotiation = self._negotiation
        if negotiation is None:
            return self._note(request, _Response(500, headers=token), refused="no keys on this connection")
        try:
            message = encryption.decrypt(negotiation.context, request.body)
        except encryption.NotEncryptedRight as error:
            return self._note(request, _Response(500, headers=token), refused=str(error))
        response = self._message(request, message, caller, token, secure=True)
        if not response.body:
            return response
        content_type, body = encryption.encrypt(negotiation.context, negotiation.protocol, response.body)
        missing = 0 if response.announced is None else response.announced - len(response.body)
        return dataclasses.replace(
            response, content_type=content_type, body=body, announced=len(body) + missing if missing else None
        )

    def _message(
        self, request: _Request, message: bytes, caller: Caller, token: _Headers, *, secure: bool | None = None
    ) -> _Response:
        secure = bool(self._tls) if secure is None else secure
        if not secure:
            self.host.plaintext += message
        if len(message) > self.host.winrm.max_envelope_kb * 1024:
            return self._note(request, _Response(413, headers=token))
        with calling(caller):
            answer = wsman.handle(self.host, caller.user, message, secure=secure)
        if answer.drop:
            raise _Hangup
        if answer.forget:
            self._caller, self._negotiation = None, None
        if answer.status == 401:
            return _Response(401, headers=self._methods())
        if not secure:
            self.host.plaintext += answer.body
        return _Response(answer.status, answer.body, SOAP if answer.body else "", token, answer.announced)

    # Who is calling

    def _offered(self) -> list[str]:
        winrm = self.host.winrm
        offered = [("Negotiate", winrm.negotiate), ("Kerberos", winrm.kerberos), ("CredSSP", winrm.credssp)]
        # Basic would show the password, so WinRM offers it in the clear only where it would show the messages too.
        offered.append(("Basic", winrm.basic and (self._tls is not None or winrm.allow_unencrypted)))
        return [name for name, enabled in offered if enabled]

    def _methods(self) -> _Headers:
        return tuple(
            ("WWW-Authenticate", 'Basic realm="WSMAN"' if name == "Basic" else name) for name in self._offered()
        )

    def _log_on(self, request: _Request) -> _Headers:
        """Look at the Authorization header, if there is one, and return the token to answer with.

        Raises LogonFailed.
        """
        scheme, _, credentials = request.header("authorization").partition(" ")
        if not scheme:
            return ()
        if scheme == MUTUAL and self.host.winrm.client_certificates:
            self._caller = Caller(self._certificate_user(), "ClientCertificate")
            return ()
        name = {offered.lower(): offered for offered in self._offered()}.get(scheme.lower())
        if name is None:
            raise LogonFailed(f"{scheme} is not on offer here")
        accounts = Accounts(self.host)
        if name == "Basic":
            if self._tls is None:
                with contextlib.suppress(ValueError):
                    self.host.plaintext += base64.b64decode(credentials)
            self._caller = Caller(basic(accounts, credentials), "Basic")
            return ()
        if self._negotiation is None or self._negotiation.context.complete:
            self._negotiation = Negotiation(name, accounts, self._binding, self.host.winrm.cbt)
        token = self._negotiation.step(credentials)
        if self._negotiation.context.complete:
            if (user := self._negotiation.user) is None:
                raise LogonFailed("nobody of this name here")
            self._caller = Caller(user, name, delegated=name == "CredSSP")
        elif token is None:
            raise LogonFailed(f"{name} has come to an end without a user")
        return (("WWW-Authenticate", f"{name} {token}"),) if token else ()

    def _certificate_user(self) -> str:
        shown = self._socket.getpeercert(binary_form=True) if isinstance(self._socket, ssl.SSLSocket) else None
        principal = principal_of(shown) if shown else None
        user = Accounts(self.host).find(principal.partition("@")[0]) if principal else None
        if user is None:
            raise LogonFailed(f"no user is mapped to the certificate of {principal}")
        return user.name

    def _note(self, request: _Request, response: _Response, refused: str = "") -> _Response:
        scheme = request.header("authorization").partition(" ")[0]
        user = self._caller.user if self._caller else None
        secure = self._tls is not None
        entry = Handshake(self.host.now(), request.method, request.path, scheme, user, response.status, secure, refused)
        with self.host.fleet.lock:
            self.host.handshakes.append(entry)
        return response


def _identifies(body: bytes) -> bool:
    """Whether a message asks for Identify, the one thing that strangers may ask."""
    try:
        content = soap.parse(body).content
    except soap.Fault:
        return False
    return content is not None and content.tag == soap.qname(soap.WSMID, "Identify")


def _content(body: bytes) -> Iterable[h11.Event]:
    return (h11.Data(body), h11.EndOfMessage())
