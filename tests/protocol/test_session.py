# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The session from the play's own connection: every way in, and every trouble as one clear line."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from support.world import World
from winsim.trouble import Trouble, troubles_of

FLEET: dict[str, Any] = {
    "clock": {"speed": 0},
    "hosts": {"N1": {"build": 17763}},
    "clusters": {"CL1": {"nodes": ["N1"]}},
}


@pytest.fixture
def world() -> Iterator[World]:
    with World(FLEET) as served:
        yield served


def ask(world: World, **changes: Any) -> dict[str, Any]:
    """A task that changes nothing, over the psrp connection with these variables changed."""
    return world.run("N1", "hang_recovery", action="live_dump", variables={**world.variables("N1"), **changes})


@pytest.mark.parametrize("connection", ["psrp", "winrm"])
@pytest.mark.parametrize(("transport", "auth"), [("http", "ntlm"), ("https", "ntlm"), ("https", "basic")])
def test_the_same_task_works_over_each_connection(world: World, connection: str, transport: str, auth: str) -> None:
    variables = world.variables("N1", connection=connection, transport=transport, auth=auth)
    result = world.run("N1", "hang_recovery", action="log", variables=variables)
    assert result["changed"]
    assert not world.run("N1", "hang_recovery", action="log", variables=variables)["changed"]
    assert all(request.secure for request in world.requests("N1"))
    assert not world.host("N1").plaintext


@pytest.mark.parametrize("transport", ["http", "https"])
def test_credssp_works_where_the_host_offers_it(transport: str) -> None:
    fleet = {**FLEET, "hosts": {"N1": {"build": 17763, "winrm": {"credssp": True}}}}
    with World(fleet) as world:
        variables = {**world.variables("N1", transport=transport), "ansible_psrp_auth": "credssp"}
        assert world.run("N1", "hang_recovery", action="log", variables=variables)["changed"]
        assert not world.host("N1").plaintext


def test_an_authentication_kind_that_the_host_does_not_offer_is_named(world: World) -> None:
    result = ask(world, ansible_psrp_auth="credssp")
    assert result["unreachable"]
    assert "(credssp)" in result["msg"]


def test_one_connection_carries_the_whole_task(world: World) -> None:
    assert ask(world)["changed"] is False
    # Of NTLM's two messages the first asks for the challenge, the second goes with the first request.
    assert [leg.status for leg in world.host("N1").handshakes] == [401]


def test_client_certificates_are_used(world: World) -> None:
    certificate, key = world.served.client_certificate("Administrator@example.test")
    variables = {
        **world.variables("N1", transport="https"),
        "ansible_psrp_auth": "certificate",
        "ansible_psrp_certificate_pem": str(certificate),
        "ansible_psrp_certificate_key_pem": str(key),
    }
    assert world.run("N1", "hang_recovery", action="log", variables=variables)["changed"]
    assert {request.user for request in world.requests("N1")} == {"Administrator"}


def test_become_is_refused_with_the_alternative(world: World) -> None:
    result = world.run("N1", "hang_recovery", action="log", become=True)
    assert result["failed"]
    assert result["msg"].startswith("become is not possible")
    assert "CredSSP or Kerberos delegation" in result["msg"]
    assert world.requests("N1") == []


@pytest.mark.parametrize("connection", ["local", "ssh"])
def test_other_connections_are_refused_by_name(world: World, connection: str) -> None:
    result = ask(world, ansible_connection=connection)
    assert result["failed"]
    assert f"the connection {connection} cannot carry WS-Management" in result["msg"]


def test_wrong_password_is_unreachable_and_never_shown(world: World) -> None:
    result = ask(world, ansible_password="not-the-password")
    assert result["unreachable"]
    assert "refused the credentials of Administrator (ntlm)" in result["msg"]
    assert "not-the-password" not in str(result)


@pytest.mark.parametrize("encryption", ["auto", "never"])
def test_basic_over_plain_http_is_refused_before_anything_is_sent(world: World, encryption: str) -> None:
    result = ask(world, ansible_psrp_auth="basic", ansible_psrp_message_encryption=encryption)
    assert result["failed"]
    assert "would send the password in clear text" in result["msg"]
    assert not world.host("N1").handshakes
    assert not world.requests("N1")


def test_an_untrusted_certificate_is_unreachable_with_the_remedy(world: World) -> None:
    variables = world.variables("N1", transport="https", auth="basic")
    del variables["ansible_psrp_ca_cert"]
    result = world.run("N1", "hang_recovery", action="log", variables=variables)
    assert result["unreachable"]
    assert "is not trusted" in result["msg"]
    assert "ansible_psrp_ca_cert" in result["msg"]


def test_certificates_are_not_looked_at_where_the_inventory_says_so(world: World) -> None:
    variables = world.variables("N1", transport="https", auth="basic")
    variables["ansible_psrp_cert_validation"] = "ignore"
    assert world.run("N1", "hang_recovery", action="log", variables=variables)["changed"]


@pytest.mark.parametrize(("kind", "said"), [("expired", "has expired"), ("wrong_name", "is for another name")])
def test_a_bad_certificate_is_named(kind: str, said: str) -> None:
    fleet = {**FLEET, "hosts": {"N1": {"build": 17763, "winrm": {"certificate": kind}}}}
    with World(fleet) as world:
        variables = world.variables("N1", transport="https", auth="basic")
        result = world.run("N1", "hang_recovery", action="log", variables=variables)
        assert result["unreachable"]
        assert said in result["msg"]


def test_a_bundle_that_cannot_be_read_is_named(world: World) -> None:
    variables = world.variables("N1", transport="https", auth="basic")
    variables["ansible_psrp_ca_cert"] = "/nowhere/ca.pem"
    result = world.run("N1", "hang_recovery", action="log", variables=variables)
    assert result["unreachable"]
    assert "certificates to trust" in result["msg"]


def test_a_closed_port_is_unreachable(world: World) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    result = ask(world, ansible_port=port)
    assert result["unreachable"]
    assert f"127.0.0.1:{port}" in result["msg"]
    assert "Connection refused" in result["msg"]


def test_a_host_that_never_answers_is_a_timeout() -> None:
    fleet = {**FLEET, "hosts": {"N1": {"build": 17763, "network": {"answers": "silent"}}}}
    with World(fleet) as world:
        result = ask(world, ansible_psrp_read_timeout=1, ansible_psrp_operation_timeout=1)
        assert result["unreachable"]
        assert "no answer" in result["msg"]
        assert "within 1 s" in result["msg"]


def test_a_web_server_is_not_winrm() -> None:
    fleet = {**FLEET, "hosts": {"N1": {"build": 17763, "network": {"answers": "web_page"}}}}
    with World(fleet) as world:
        result = ask(world)
        assert result["unreachable"]
        assert "not as WinRM" in result["msg"]


def test_a_wrong_path_is_not_winrm(world: World) -> None:
    result = ask(world, ansible_psrp_path="elsewhere")
    assert result["unreachable"]
    assert "not as WinRM (HTTP 404)" in result["msg"]


def test_an_answer_beyond_the_bound_is_refused(world: World) -> None:
    troubles_of(world.host("N1")).add(Trouble("oversized", size=40 * 2**20))
    result = ask(world)
    assert result["failed"]
    assert "larger than 32 MiB" in result["msg"]


def test_a_session_that_the_host_forgets_is_lost_and_not_repeated(world: World) -> None:
    troubles_of(world.host("N1")).add(Trouble("unauthorized"), nth=2)
    result = ask(world)
    assert result["unreachable"]
    assert "no longer accepts the session" in result["msg"]
    assert len(world.requests("N1")) == 2
