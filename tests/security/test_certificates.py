# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which servers are believed: certificates, revocation lists, versions of TLS, and client certificates."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from support.world import World
from winsim.certificates import Authority

pytestmark = pytest.mark.counted

BASIC_SECRET = "Winsim-2026"
KEY = "ansible_psrp_certificate_key_pem"


def world(**winrm: Any) -> World:
    """A cluster of one node whose WinRM is set up like this."""
    host = {"build": 17763, "winrm": winrm}
    return World({"clock": {"speed": 0}, "hosts": {"N1": host}, "clusters": {"CL1": {"nodes": ["N1"]}}})


def ask(served: World, auth: str = "basic", without: str = "", **changes: Any) -> dict[str, Any]:
    """A task that changes nothing, over HTTPS with Basic: the password itself is what a wrong server would get."""
    variables = {**served.variables("N1", transport="https"), "ansible_psrp_auth": auth, **changes}
    variables.pop(without, None)
    return served.run("N1", "hang_recovery", action="live_dump", variables=variables)


def bundle(served: World, folder: Path, *lists: bytes) -> str:
    """A file with the fleet's authority and these revocation lists."""
    file = folder / "bundle.pem"
    file.write_bytes(b"".join([served.served.authority.certificate, *lists]))
    return str(file)


def refused(served: World, result: dict[str, Any], *words: str) -> None:
    """The task says why, and the server got to know nothing."""
    assert result["unreachable"], result
    for word in words:
        assert word in result["msg"]
    assert BASIC_SECRET not in str(result)
    assert served.host("N1").handshakes == []
    assert served.requests("N1") == []


BAD = {
    "self_signed": ("signed by itself", "name the certificate itself"),
    "unknown_ca": ("is not trusted", "name its CA (ansible_psrp_ca_cert or ansible_winrm_ca_trust_path)"),
    "expired": ("has expired", "renew"),
    "not_yet_valid": ("is not valid yet", "clock of this controller"),
    "wrong_name": ("is for another name", "ansible_host"),
    "weak_key": ("is too weak", "2048 bits"),
}


# The direct connection, and the one by requests.
BOTH_WAYS = pytest.mark.parametrize("auth", ["basic", "credssp"])


@BOTH_WAYS
@pytest.mark.parametrize("kind", BAD)
def test_a_certificate_that_cannot_be_believed_is_refused_with_its_reason(kind: str, auth: str) -> None:
    with world(certificate=kind, credssp=True) as served:
        refused(served, ask(served, auth), *BAD[kind])


@BOTH_WAYS
@pytest.mark.parametrize("kind", [*BAD, "revoked"])
def test_a_user_who_wants_no_check_gets_none(kind: str, auth: str) -> None:
    with world(certificate=kind, credssp=True) as served:
        result = ask(served, auth, without="ansible_psrp_ca_cert", ansible_psrp_cert_validation="ignore")
        assert not result.get("unreachable"), result


def test_a_self_signed_certificate_is_believed_when_it_is_named_itself(tmp_path: Path) -> None:
    with world(certificate="self_signed") as served:
        refused(served, ask(served))
        # Where an administrator would export it on the host: winsim keeps it beside the authority's.
        shown = str(served.served.folder / "N1.pem")
        assert not ask(served, ansible_psrp_ca_cert=shown).get("unreachable")


@pytest.mark.parametrize("connection", ["psrp", "winrm"])
def test_the_ca_of_the_inventory_is_the_one_that_counts(connection: str, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(Authority("another one").certificate)
    name = {"psrp": "ansible_psrp_ca_cert", "winrm": "ansible_winrm_ca_trust_path"}[connection]
    with world() as served:
        variables = served.variables("N1", connection=connection, transport="https", auth="basic")
        wrong = served.run("N1", "hang_recovery", action="live_dump", variables={**variables, name: str(other)})
        refused(served, wrong, "is not trusted")
        result = served.run("N1", "hang_recovery", action="live_dump", variables=variables)
        assert not result.get("unreachable"), result


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_ca_may_come_from_the_environment(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with world() as served:
        monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
        monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
        refused(served, ask(served, without="ansible_psrp_ca_cert"), "is not trusted")
        monkeypatch.setenv(variable, str(served.served.ca_path))
        assert not ask(served, without="ansible_psrp_ca_cert").get("unreachable")


# Revocation


def test_a_revoked_certificate_is_believed_without_a_revocation_list() -> None:
    with world(certificate="revoked") as served:
        assert not ask(served).get("unreachable")


@BOTH_WAYS
def test_a_bundle_with_a_revocation_list_refuses_what_stands_on_it(auth: str, tmp_path: Path) -> None:
    with world(certificate="revoked", credssp=True) as served:
        trusted = bundle(served, tmp_path, served.served.authority.revocation_list())
        refused(served, ask(served, auth, ansible_psrp_ca_cert=trusted), "was revoked by its CA", "new one")


def test_a_directory_with_a_revocation_list_is_a_bundle_too(tmp_path: Path) -> None:
    with world(certificate="revoked") as served:
        authority = served.served.authority
        name = _name_hash(authority.certificate)
        (tmp_path / f"{name}.0").write_bytes(authority.certificate)
        assert not ask(served, ansible_psrp_ca_cert=str(tmp_path)).get("unreachable")
        with_list = tmp_path / "with-list"
        with_list.mkdir()
        (with_list / f"{name}.0").write_bytes(authority.certificate)
        (with_list / f"{name}.r0").write_bytes(authority.revocation_list())
        assert "was revoked by its CA" in ask(served, ansible_psrp_ca_cert=str(with_list))["msg"]


def _name_hash(certificate: bytes) -> str:
    """What c_rehash calls the file of an authority: X509_NAME_hash of its name in lower case, without its header."""
    (name,) = x509.load_pem_x509_certificate(certificate).subject
    canonical = x509.Name([x509.NameAttribute(name.oid, str(name.value).lower())]).public_bytes()[2:]
    return f"{int.from_bytes(hashlib.sha1(canonical).digest()[:4], 'little'):08x}"


def test_a_bundle_with_a_revocation_list_believes_the_others(tmp_path: Path) -> None:
    with world() as served:
        trusted = bundle(served, tmp_path, served.served.authority.revocation_list())
        assert not ask(served, ansible_psrp_ca_cert=trusted).get("unreachable")


def test_an_overdue_revocation_list_is_named_and_not_taken_for_an_expired_certificate(tmp_path: Path) -> None:
    with world() as served:
        trusted = bundle(served, tmp_path, served.served.authority.revocation_list(days=-1))
        refused(served, ask(served, ansible_psrp_ca_cert=trusted), "list of its CA is overdue", "current list")


def test_a_revocation_list_of_another_ca_alone_is_not_enough(tmp_path: Path) -> None:
    other = Authority("another one")
    with world() as served:
        trusted = bundle(served, tmp_path, other.certificate, other.revocation_list())
        refused(served, ask(served, ansible_psrp_ca_cert=trusted), "none of the CA that issued", "add that CA's list")


def test_revocation_counts_with_a_client_certificate_too(tmp_path: Path) -> None:
    with world(certificate="revoked") as served:
        trusted = bundle(served, tmp_path, served.served.authority.revocation_list())
        refused(served, ask(served, **certificate_of(served), ansible_psrp_ca_cert=trusted), "was revoked by its CA")


# TLS


@BOTH_WAYS
@pytest.mark.parametrize("versions", ["1.0-1.0", "1.1-1.1", "1.0-1.1"])
@pytest.mark.parametrize("validation", ["validate", "ignore"])
def test_a_server_with_old_tls_only_is_refused(versions: str, validation: str, auth: str) -> None:
    with world(tls=versions, credssp=True) as served:
        result = ask(served, auth, ansible_psrp_cert_validation=validation)
        refused(served, result, "offers no version of TLS that this controller takes", "TLS 1.2")


@pytest.mark.parametrize("versions", ["1.0-1.2", "1.2-1.2", "1.3-1.3"])
def test_newer_tls_is_taken(versions: str) -> None:
    with world(tls=versions) as served:
        assert not ask(served).get("unreachable")


def test_https_on_a_port_that_speaks_http_is_named() -> None:
    with world() as served:
        result = ask(served, ansible_port=served.served.http_port("N1"))
        assert result["unreachable"]
        assert result["msg"].startswith("TLS with https://127.0.0.1:")
        assert BASIC_SECRET not in str(result)
        assert served.requests("N1") == []


# Client certificates


def certificate_of(served: World, principal: str = "Administrator@example.test") -> dict[str, Any]:
    """The variables of a logon with a certificate."""
    certificate, key = served.served.client_certificate(principal)
    return {
        "ansible_psrp_auth": "certificate",
        "ansible_psrp_certificate_pem": str(certificate),
        "ansible_psrp_certificate_key_pem": str(key),
    }


def test_a_client_certificate_is_the_user_and_no_password_travels() -> None:
    with world() as served:
        result = ask(served, without="ansible_password", **certificate_of(served))
        assert not result.get("unreachable"), result
        assert {request.user for request in served.requests("N1")} == {"Administrator"}


def test_a_client_certificate_of_nobody_is_refused_by_name() -> None:
    with world() as served:
        result = ask(served, without="ansible_password", **certificate_of(served, "nobody@example.test"))
        assert result["unreachable"]
        assert "(certificate)" in result["msg"]
        assert served.requests("N1") == []


def test_a_client_certificate_of_another_ca_is_refused(tmp_path: Path) -> None:
    certificate, key = Authority("another one").client("Administrator@example.test").write(tmp_path, "client")
    with world() as served:
        variables = {"ansible_psrp_certificate_pem": str(certificate), "ansible_psrp_certificate_key_pem": str(key)}
        result = ask(served, without="ansible_password", ansible_psrp_auth="certificate", **variables)
        assert result["unreachable"]
        assert "127.0.0.1" in result["msg"]
        assert served.requests("N1") == []


def test_a_host_without_certificate_logon_is_named() -> None:
    with world(client_certificates=False) as served:
        result = ask(served, without="ansible_password", **certificate_of(served))
        assert result["unreachable"]
        assert "(certificate)" in result["msg"]
        assert served.requests("N1") == []


@pytest.mark.parametrize("missing", ["certificate_pem", "certificate_key_pem"])
def test_a_client_certificate_that_the_inventory_lacks_is_named(missing: str) -> None:
    with world() as served:
        result = ask(served, **{**certificate_of(served), f"ansible_psrp_{missing}": None})
        assert result["unreachable"]
        assert missing in result["msg"]
        assert served.host("N1").handshakes == []


@pytest.mark.parametrize("validation", ["validate", "ignore"])
@pytest.mark.parametrize("wrong", ["no_such_file", "no_pem", "of_another", "encrypted"])
def test_a_client_certificate_that_cannot_be_used_is_named_and_nobody_is_asked(
    wrong: str, validation: str, tmp_path: Path
) -> None:
    key = tmp_path / "client.key"
    if wrong == "no_pem":
        key.write_text("no key\n", encoding="utf-8")
    elif wrong == "of_another":
        Authority("another one").client("Administrator@example.test").write(tmp_path, "client")
    with world() as served:
        variables = certificate_of(served)
        if wrong == "encrypted":
            mine = serialization.load_pem_private_key(Path(variables[KEY]).read_bytes(), None)
            lock = serialization.BestAvailableEncryption(b"of the key")
            pem = mine.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
            key.write_bytes(pem)
        result = ask(served, **{**variables, KEY: str(key)}, ansible_psrp_cert_validation=validation)
        assert result["unreachable"]
        assert f"with the key {key} cannot be used" in result["msg"]
        assert "the key must not be encrypted" in result["msg"]
        assert served.host("N1").handshakes == []


def test_certificates_do_not_log_on_without_tls() -> None:
    with world() as served:
        plain = {"ansible_psrp_protocol": "http", "ansible_port": served.served.http_port("N1")}
        result = ask(served, **certificate_of(served), **plain, ansible_psrp_message_encryption="never")
        assert result["unreachable"]
        assert "SSL must be used" in result["msg"]
        assert served.host("N1").handshakes == []


def test_a_password_of_netrc_is_not_sent_in_the_place_of_a_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password Of-Another-Place\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with world() as served:
        result = ask(served, without="ansible_password", **certificate_of(served))
        assert not result.get("unreachable"), result
        assert served.host("N1").handshakes == []
