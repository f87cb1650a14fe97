# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which server certificates are believed, what to say about one that is not, and the client's own.

For this collection only.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import NamedTuple

from ..errors import AuthenticationFailed


def trusting(bundle: str) -> ssl.SSLContext:
    """A TLS context that believes the authorities in a bundle. bundle: a PEM file, or a directory as c_rehash makes it.

    Neither OpenSSL nor requests asks whether a certificate was revoked. A bundle that holds revocation lists (CRLs)
    is taken at its word: the server's certificate must not stand on its issuer's list, and that list must be there.
    Errors: OSError for a bundle that cannot be read.
    """
    if os.path.isdir(bundle):
        context = ssl.create_default_context(capath=bundle)
        lists = any(Path(bundle).glob("*.r[0-9]*"))
    else:
        context = ssl.create_default_context(cafile=bundle)
        lists = context.cert_store_stats()["crl"] > 0
    if lists:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


def believing() -> ssl.SSLContext:
    """A TLS context that believes any server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def show(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Lets a context show a client certificate. certificate, key: PEM files. Errors: AuthenticationFailed."""
    try:
        # Without a password OpenSSL would ask for the one of a key at the terminal, and wait.
        context.load_cert_chain(certificate, key, password="")
    except OSError as error:
        raise AuthenticationFailed(
            f"the client certificate {certificate} with the key {key} cannot be used ({error}): both must be there, in "
            "PEM, belong together, and the key must not be encrypted"
        ) from error


class _Complaint(NamedTuple):
    """What OpenSSL or urllib3 says, in lower case; what that means; what to do."""

    said: str
    meaning: str
    remedy: str


_NAME = "use a name that the certificate holds as ansible_host"
_COMPLAINTS = (
    _Complaint("certificate revoked", "was revoked by its CA", "give the WinRM listener of the host a new one"),
    _Complaint(
        "unable to get certificate crl",
        "cannot be looked up: the CA bundle holds revocation lists, but none of the CA that issued this one",
        "add that CA's list to the bundle, or take the lists out of it",
    ),
    _Complaint(
        "crl has expired",
        "cannot be looked up: the revocation list of its CA is overdue",
        "put the CA's current list into the bundle",
    ),
    _Complaint("has expired", "has expired", "renew the certificate of the WinRM listener"),
    _Complaint(
        "not yet valid",
        "is not valid yet",
        "compare the clock of this controller, and the beginning of the certificate's validity",
    ),
    _Complaint("hostname mismatch", "is for another name", _NAME),
    _Complaint("doesn't match", "is for another name", _NAME),
    _Complaint("ip address mismatch", "is for another name", _NAME),
    _Complaint("too weak", "is too weak", "give the WinRM listener one with an RSA key of 2048 bits and SHA-256"),
    _Complaint(
        "self-signed certificate in certificate chain",
        "is not trusted",
        "name its CA (ansible_psrp_ca_cert or ansible_winrm_ca_trust_path)",
    ),
    _Complaint(
        "self-signed certificate",
        "is not trusted: it is signed by itself",
        "name the certificate itself as its CA (ansible_psrp_ca_cert or ansible_winrm_ca_trust_path)",
    ),
    _Complaint("verify failed", "is not trusted", "name its CA (ansible_psrp_ca_cert or ansible_winrm_ca_trust_path)"),
)
_OLD_TLS = ("alert protocol version", "unsupported protocol", "version too low", "no protocols available")


def refusal(where: str, cause: str) -> str:
    """One line about a TLS connection that did not come about. where: the URL; cause: OpenSSL's or urllib3's words."""
    said = cause.lower().replace("_", " ")
    for complaint in _COMPLAINTS:
        if complaint.said in said:
            return f"the certificate of {where} {complaint.meaning} ({cause}): {complaint.remedy}"
    if any(words in said for words in _OLD_TLS):
        return (
            f"{where} offers no version of TLS that this controller takes ({cause}): let the host's Schannel offer "
            "TLS 1.2, which Windows Server 2008 (with KB4019276) and 2008 R2 do only once it is switched on"
        )
    return f"TLS with {where} failed: {cause}"
