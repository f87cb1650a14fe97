# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kerberos against MIT's KDC. Run by test_kerberos.py, in an environment that has the libraries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from security import realm
from security.realm import Realm
from security.relay import Relay
from security.secrets import found
from support.world import World

PASSWORD = "Kein-Wort-davon-2026"
HOST = "n1.corp.example"
KEY = "-".join(["AAAAA"] * 5)


@pytest.fixture(scope="module")
def corp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Realm]:
    with pytest.MonkeyPatch.context() as patch, Realm(tmp_path_factory.mktemp("realm")) as corp:
        for name, value in corp.environment.items():
            patch.setenv(name, value)
        corp.add_user("Administrator", PASSWORD)
        for host in (HOST, "rekeyed.corp.example"):
            corp.add_host(host)
        for service in ("HTTP", "WSMAN"):
            corp.change_key(f"{service}/rekeyed.corp.example")
        yield corp


@pytest.fixture
def world(corp: Realm) -> Iterator[World]:
    with served() as world:
        yield world


def served(**winrm: Any) -> World:
    """A KMS host in the domain, which knows its users by Kerberos alone: their passwords here are others."""
    licensing = {"keys": {KEY: {"kind": "kms_host", "channel": "2012_C"}}}
    host = {"build": 9200, "licensing": licensing, "winrm": winrm}
    fleet = {"clock": {"speed": 0}, "domain": "corp.example", "password": "not the one of the domain"}
    return World({**fleet, "hosts": {"N1": host}})


def variables(world: World, connection: str = "psrp", transport: str = "http", **changes: Any) -> dict[str, Any]:
    """Those of a user of the realm."""
    given = world.variables("N1", connection=connection, transport=transport)
    given |= {"ansible_user": f"Administrator@{realm.NAME}", "ansible_password": PASSWORD}
    if connection == "psrp":
        given |= {"ansible_psrp_auth": "kerberos", "ansible_psrp_negotiate_hostname_override": HOST}
    else:
        given |= {"ansible_winrm_transport": "kerberos", "ansible_winrm_kerberos_hostname_override": HOST}
    return {**given, **changes}


def ask(world: World, given: dict[str, Any]) -> dict[str, Any]:
    return world.run("N1", "kms_host", variables=given, product_key=KEY)


def refused(world: World, result: dict[str, Any], *words: str) -> None:
    assert result.get("unreachable"), result
    for word in words:
        assert word.lower() in result["msg"].lower()
    assert not found({"password": PASSWORD}, {"the result": str(result).encode()})
    assert world.requests("N1") == []


@pytest.mark.parametrize("connection", ["psrp", "winrm"])
@pytest.mark.parametrize("transport", ["http", "https"])
def test_a_password_becomes_a_ticket(corp: Realm, world: World, connection: str, transport: str) -> None:
    result = ask(world, variables(world, connection, transport))
    assert result.get("partial_product_key") == "AAAAA", result
    assert {request.user for request in world.requests("N1")} == {"Administrator"}
    assert all(request.secure for request in world.requests("N1"))
    # The ticket is kept in memory only.
    assert not (corp.folder / "no-cache").exists()


@pytest.mark.parametrize("auth", ["kerberos", "negotiate"])
def test_nobody_on_the_way_reads_along_and_ntlm_is_not_spoken(world: World, auth: str) -> None:
    with Relay(world.served.http_port("N1")) as relay:
        result = ask(world, variables(world, ansible_port=relay.port, ansible_psrp_auth=auth))
        assert result.get("partial_product_key") == "AAAAA", result
        heard = relay.heard.data()
        assert b"TlRMTVNTU" not in heard  # NTLMSSP in base64, at the beginning of a token
        assert b"Envelope" not in heard
        assert not found({"password": PASSWORD, "product key": KEY}, {"the wire": heard})


def test_kerberos_alone_on_offer_is_enough(corp: Realm) -> None:
    with served(negotiate=False, kerberos=True, basic=False) as world:
        result = ask(world, variables(world))
        assert result.get("partial_product_key") == "AAAAA", result


@pytest.mark.parametrize("user", [f"Administrator@{realm.NAME}", None])
def test_a_ticket_of_the_cache_is_enough(
    corp: Realm, world: World, user: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRB5CCNAME", corp.kinit("Administrator", PASSWORD, tmp_path / "cache"))
    result = ask(world, variables(world, ansible_user=user, ansible_password=None))
    assert result.get("partial_product_key") == "AAAAA", result


def test_a_ticket_that_may_be_forwarded_is_delegated(world: World) -> None:
    result = ask(world, variables(world, ansible_psrp_negotiate_delegate=True))
    assert result.get("partial_product_key") == "AAAAA", result


def test_no_ticket_and_no_password(world: World) -> None:
    refused(
        world,
        ask(world, variables(world, ansible_user=None, ansible_password=None)),
        "there is no ticket and no password",
    )


def test_a_wrong_password(world: World) -> None:
    result = ask(world, variables(world, ansible_password=f"{PASSWORD}-wrong"))
    refused(world, result, f"as Administrator@{realm.NAME}: the password is wrong")


def test_an_unknown_user(world: World) -> None:
    result = ask(world, variables(world, ansible_user=f"nobody@{realm.NAME}"))
    refused(world, result, f"nobody@{realm.NAME}", "knows no such user")


def test_a_user_whom_the_host_does_not_know(corp: Realm, world: World) -> None:
    corp.add_user("stranger", PASSWORD)
    refused(world, ask(world, variables(world, ansible_user=f"stranger@{realm.NAME}")), "refused the credentials")


def test_a_host_that_the_realm_does_not_know(world: World) -> None:
    given = variables(world, ansible_psrp_negotiate_hostname_override="no-such-host.corp.example")
    refused(world, ask(world, given), "knows no such host", "WSMAN/no-such-host.corp.example")


def test_a_host_whose_key_has_changed(world: World) -> None:
    given = variables(world, ansible_psrp_negotiate_hostname_override="rekeyed.corp.example")
    refused(world, ask(world, given), "refused the credentials")


def test_an_unknown_realm(world: World) -> None:
    result = ask(world, variables(world, ansible_user="Administrator@NOWHERE.EXAMPLE"))
    refused(world, result, "NOWHERE.EXAMPLE", "knows no domain controller of this realm")


def test_a_realm_without_a_kdc(world: World) -> None:
    result = ask(world, variables(world, ansible_user=f"Administrator@{realm.UNREACHABLE}"))
    refused(world, result, realm.UNREACHABLE, "no domain controller of this realm answers")


def test_an_expired_ticket(corp: Realm, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("KRB5CCNAME", corp.kinit("Administrator", PASSWORD, cache, "-l", "1s"))
    while corp.is_valid(cache):
        pass
    refused(
        world, ask(world, variables(world, ansible_password=None)), "the ticket has expired: get another one with kinit"
    )


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_clocks_that_differ(
    corp: Realm, world: World, seconds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("KRB5CCNAME", corp.kinit("Administrator", PASSWORD, cache))
    realm.skew(cache, seconds)
    refused(
        world, ask(world, variables(world, ansible_password=None)), "clocks of controller and domain controller differ"
    )


@pytest.mark.parametrize("auth", ["kerberos", "negotiate"])
def test_only_negotiate_falls_back_to_ntlm(world: World, auth: str) -> None:
    world.host("N1").users["Administrator"].password = PASSWORD
    given = variables(world, ansible_user="Administrator@DEAD.EXAMPLE", ansible_psrp_auth=auth)
    world.host("N1").profile.domain = "dead.example"
    if auth == "kerberos":
        refused(world, ask(world, given), "no domain controller of this realm answers")
    else:
        assert not ask(world, given).get("unreachable")


def test_an_answer_that_was_changed_is_not_believed(world: World) -> None:
    def flipped(message: Any) -> Any:
        body = bytearray(message.body)
        if message.encrypted:
            body[-60] ^= 1
        return message.with_body(bytes(body))

    with Relay(world.served.http_port("N1"), tell=flipped) as relay:
        result = ask(world, variables(world, ansible_port=relay.port))
        assert result["unreachable"]
        assert "cannot be decrypted" in result["msg"]
