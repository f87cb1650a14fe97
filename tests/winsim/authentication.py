# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who is calling: accounts, and the legs of Negotiate (NTLM, Kerberos), Kerberos and CredSSP.

Kerberos needs the Python packages gssapi and krb5, and the host's key in the keytab that KRB5_KTNAME names.
"""

from __future__ import annotations

import base64
import binascii
import functools
import os
import struct
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import spnego
from spnego._ntlm_raw.crypto import ntowfv1
from spnego._ntlm_raw.messages import Authenticate, AvId, NTClientChallengeV2
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import NegotiateOptions, SpnegoError

from . import encryption

if TYPE_CHECKING:
    from .host import Host, User

_PROTOCOLS = {"Negotiate": encryption.SPNEGO, "Kerberos": encryption.KERBEROS, "CredSSP": encryption.CREDSSP}

_STORE = threading.Lock()
# 1.2.840.113554.1.2.2, RFC 4121, and 1.2.840.48018.1.2.2, which Windows lists before it.
_KERBEROS = (b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02", b"\x2a\x86\x48\x82\xf7\x12\x01\x02\x02")
_NTLM = b"NTLMSSP\x00"
_TYPE_3 = _NTLM + b"\x03\x00\x00\x00"
_NO_BINDING = b"\x00" * 16


class LogonFailed(Exception):
    """The credentials or the token are not good; the text says why, for winsim's log only."""


class Accounts:
    """The users of one host, found by every form in which a client may write them.

    `Administrator`, `.\\Administrator` and `N1\\Administrator` on host N1; in a domain `CORP\\Administrator`,
    `corp.example\\Administrator` and `Administrator@corp.example` as well. Case does not matter.
    """

    def __init__(self, host: Host) -> None:
        self._forms: dict[tuple[str, str], User] = {
            (domain.upper(), name.upper()): user
            for user in host.users.values()
            for domain, name in _forms(user.name, host)
        }

    def find(self, written: str) -> User | None:
        """The user that a client's way of writing means on this host."""
        domain, _, name = written.rpartition("\\")
        return self._forms.get((domain.upper(), name.upper()))

    def logon(self, written: str, password: str) -> str:
        """The user's name, if the password is right; raises LogonFailed."""
        user = self.find(written)
        if user is None or user.password != password:
            raise LogonFailed(f"no user {written} with this password")
        return user.name

    def store(self) -> str:
        """The users as a credential file for pyspnego, with hashes, because a password may hold the separator."""
        lines = []
        for (domain, name), user in self._forms.items():
            written = f"{domain}\\{name}" if domain else name
            lines.append(f"{written}:0:{'0' * 32}:{_nt_hash(user.password)}:[U]:LCT-0\n")
        return "".join(lines)


def basic(accounts: Accounts, credentials: str) -> str:
    """The user of an `Authorization: Basic` value; raises LogonFailed."""
    try:
        given = base64.b64decode(credentials, validate=True)
    except binascii.Error as error:
        raise LogonFailed("not a Basic credential") from error
    try:
        text = given.decode()
    except UnicodeDecodeError:
        text = given.decode("latin-1")  # many clients, requests among them, write it so
    user, colon, password = text.partition(":")
    if not colon:
        raise LogonFailed("not a Basic credential")
    return accounts.logon(user, password)


class Negotiation:
    """One exchange of tokens on one connection, and the keys that come out of it."""

    def __init__(self, scheme: str, accounts: Accounts, binding: bytes | None, hardening: str) -> None:
        """`scheme`: `Negotiate`, `Kerberos` or `CredSSP`. `binding`: the connection's channel binding when it is TLS.
        `hardening`: the service's CbtHardeningLevel, `None`, `Relaxed` or `Strict`."""
        self.scheme = scheme
        self.protocol = _PROTOCOLS[scheme]
        self._accounts = accounts
        self._binding = binding
        self._hardening = hardening.lower()
        with _known(accounts):
            self.context = spnego.server(protocol=scheme.lower(), options=NegotiateOptions.use_negotiate)

    def step(self, token: str) -> str | None:
        """Take a token (base64) and return the one to answer with, if any; raises LogonFailed."""
        try:
            given = base64.b64decode(token, validate=True)
            bindings = self._bindings(given)
            with _known(self._accounts):
                answer = self.context.step(given, channel_bindings=bindings)
        except (SpnegoError, ValueError, IndexError, AttributeError, struct.error) as error:
            # AttributeError: gssapi's, when a ticket cannot be opened and the context is asked for its flags.
            raise LogonFailed(str(error)) from error
        return base64.b64encode(answer).decode() if answer else None

    @property
    def user(self) -> str | None:
        """The user that has logged on, once the exchange is complete."""
        principal = self.context.client_principal if self.context.complete else None
        user = self._accounts.find(principal) if principal else None
        return user.name if user else None

    def _bindings(self, token: bytes) -> GssChannelBindings | None:
        start = token.find(_TYPE_3)
        if self._binding is None or self._hardening == "none":
            return None
        if start < 0:
            # A ticket without binding is taken by MIT's library even so, which is what Relaxed means.
            kerberos = _NTLM not in token and any(oid in token for oid in _KERBEROS)
            return GssChannelBindings(application_data=self._binding) if kerberos else None
        if _sent_binding(token[start:]) in (None, _NO_BINDING):
            if self._hardening == "strict":
                raise LogonFailed("CbtHardeningLevel is Strict and the client sent no channel binding")
            return None
        return GssChannelBindings(application_data=self._binding)


@contextmanager
def _known(accounts: Accounts) -> Iterator[None]:
    # pyspnego's NTLM acceptor looks its users up in the file that NTLM_USER_FILE names, and nowhere else. The
    # variable belongs to the process, so it names one host's users only while one of that host's tokens is looked at.
    with _STORE, tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        file.write(accounts.store())
        file.flush()
        before = os.environ.get("NTLM_USER_FILE")
        os.environ["NTLM_USER_FILE"] = file.name
        try:
            yield
        finally:
            if before is None:
                del os.environ["NTLM_USER_FILE"]
            else:
                os.environ["NTLM_USER_FILE"] = before


def _sent_binding(authenticate: bytes) -> bytes | None:
    response = Authenticate.unpack(authenticate).nt_challenge_response or b""
    if len(response) <= 24:  # NTLMv1 has no room for one
        return None
    pairs = NTClientChallengeV2.unpack(response[16:]).av_pairs
    binding = pairs.get(AvId.channel_bindings)
    return bytes(binding) if binding is not None else None


@functools.lru_cache(maxsize=256)
def _nt_hash(password: str) -> str:
    return ntowfv1(password).hex().upper()


def _forms(name: str, host: Host) -> list[tuple[str, str]]:
    forms = [("", name), (".", name), (host.name, name)]
    if host.domain:
        forms += [(host.domain.split(".")[0], name), (host.domain, name), ("", f"{name}@{host.domain}")]
    return forms
