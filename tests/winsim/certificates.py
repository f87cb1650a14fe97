# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificates made at start: an authority, what hosts show, and what clients log on with.

Elliptic keys (P-256), because an RSA key costs a tenth of a second and more for every host.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Kind = Literal["ca", "expired", "not_yet_valid", "revoked", "self_signed", "unknown_ca", "weak_key", "wrong_name"]
"""What is right (`ca`: signed by the authority) or wrong with a host's certificate."""

USER_PRINCIPAL_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
"""szOID_NT_PRINCIPAL_NAME: the alternative name by which WinRM maps a client certificate to a user."""

_Key: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_DAY = datetime.timedelta(days=1)
_WEAK_BITS = 1024
_UTF8_STRING = 0x0C


@dataclass(frozen=True)
class Identity:
    """A certificate with its private key, both PEM."""

    certificate: bytes
    key: bytes

    def write(self, folder: Path, stem: str) -> tuple[Path, Path]:
        """Write `<stem>.pem` and `<stem>.key` and return both paths."""
        certificate, key = folder / f"{stem}.pem", folder / f"{stem}.key"
        certificate.write_bytes(self.certificate)
        key.write_bytes(self.key)
        key.chmod(0o600)
        return certificate, key


class Authority:
    """A certificate authority that lives as long as one served fleet."""

    def __init__(self, name: str = "winsim authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        certificate = (
            _builder(self._name, self._name, self._key.public_key(), days=3650)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = certificate.public_bytes(serialization.Encoding.PEM)
        """The authority's own certificate, PEM."""
        self._revoked = x509.random_serial_number()

    def revocation_list(self, *, days: int = 30) -> bytes:
        """What the authority has revoked, a CRL in PEM: the certificates of the kind `revoked`. `days`: until the next
        list is due; a list may be overdue."""
        now = _now()
        entry = x509.RevokedCertificateBuilder().serial_number(self._revoked).revocation_date(now - _DAY).build()
        return (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._name)
            .last_update(now - 30 * _DAY)
            .next_update(now + days * _DAY)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .add_extension(x509.CRLNumber(1), critical=False)
            .add_revoked_certificate(entry)
            .sign(self._key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )

    def host(self, names: Iterable[str], kind: Kind = "ca") -> Identity:
        """A server certificate for `names` (host names and addresses); `kind` says what a client will not like."""
        if kind == "unknown_ca":
            return Authority("an authority nobody knows").host(names)
        wanted = list(names)
        if kind == "wrong_name":
            wanted = ["another-host.invalid"]
        key: _Key = ec.generate_private_key(ec.SECP256R1())
        if kind == "weak_key":
            key = rsa.generate_private_key(65537, _WEAK_BITS)
        subject = _name(wanted[0])
        self_signed = kind == "self_signed"
        issuer = subject if self_signed else self._name
        begin, end = {"expired": (-30, -1), "not_yet_valid": (1, 365)}.get(kind, (-30, 365))
        serial = self._revoked if kind == "revoked" else None
        builder = (
            _builder(subject, issuer, key.public_key(), begin=begin, days=end, serial=serial)
            .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in wanted]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        )
        return self._issue(builder, key, key if self_signed else self._key)

    def client(self, principal: str) -> Identity:
        """A client certificate that carries `principal` (`user@domain`) as its user principal name."""
        key = ec.generate_private_key(ec.SECP256R1())
        encoded = principal.encode()
        upn = x509.OtherName(USER_PRINCIPAL_NAME, bytes((_UTF8_STRING, len(encoded))) + encoded)
        builder = (
            _builder(_name(principal.split("@")[0]), self._name, key.public_key(), days=365)
            .add_extension(x509.SubjectAlternativeName([upn]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        )
        return self._issue(builder, key, self._key)

    def _issue(self, builder: x509.CertificateBuilder, key: _Key, signer: _Key) -> Identity:
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        certificate = builder.add_extension(issuer, critical=False).sign(signer, hashes.SHA256())
        return Identity(
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )


def principal_of(certificate: bytes) -> str | None:
    """The user principal name in a DER client certificate, or None."""
    try:
        names = x509.load_der_x509_certificate(certificate).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        return None
    for other in names.value.get_values_for_type(x509.OtherName):
        if other.type_id == USER_PRINCIPAL_NAME:
            return other.value[2:].decode()
    return None


def end_point_binding(certificate: bytes) -> bytes:
    """The `tls-server-end-point` channel binding of a PEM server certificate (RFC 5929, section 4.1)."""
    parsed = x509.load_pem_x509_certificate(certificate)
    algorithm = parsed.signature_hash_algorithm
    if algorithm is None or algorithm.name in ("md5", "sha1"):
        algorithm = hashes.SHA256()
    return b"tls-server-end-point:" + parsed.fingerprint(algorithm)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    *,
    days: int,
    begin: int = -30,
    serial: int | None = None,
) -> x509.CertificateBuilder:
    """A certificate that is valid from `begin` to `days` days from now."""
    now = _now()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(now + begin * _DAY)
        .not_valid_after(now + days * _DAY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, signs_certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
