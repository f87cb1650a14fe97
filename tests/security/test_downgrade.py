# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Somebody on the way who takes protection away, changes, repeats or makes up what the host says.

Every test has a password and a product key at stake: neither may have passed the relay in any form.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.bindings import resource_uri
from security.relay import Change, Message, Relay, answer
from security.secrets import found
from support.dhcp import DC, ID, NEW, OLD, Migration, network
from support.world import World
from winsim.certificates import Authority
from winsim.providers.cluster import Clusters

pytestmark = pytest.mark.counted

PASSWORD = "Kein-Wort-davon-2026"
FLEET: dict[str, Any] = {"clock": {"speed": 0}, "password": PASSWORD, "clusters": {"CL1": {"nodes": ["N1"]}}}
SOAP = "application/soap+xml;charset=UTF-8"
ENCRYPTED = 'multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted";boundary="Encrypted Boundary"'
ENVELOPE = '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/><s:Body>{}</s:Body></s:Envelope>'
FAULT = ENVELOPE.format(
    "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode>"
    '<s:Value xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd">w:AccessDenied</s:Value></s:Subcode></s:Code>'
    '<s:Reason><s:Text xml:lang="en">made up</s:Text></s:Reason></s:Fault>'
).encode()
_STD_REG_PROV = resource_uri("root/default", "StdRegProv")
NOTHING_THERE = ENVELOPE.format(
    f'<p:GetStringValue_OUTPUT xmlns:p="{_STD_REG_PROV}"><p:ReturnValue>2</p:ReturnValue></p:GetStringValue_OUTPUT>'
).encode()


@contextlib.contextmanager
def standing_between(
    auth: str = "ntlm", winrm: dict[str, Any] | None = None, **changes: Any
) -> Iterator[tuple[World, Relay]]:
    """A node of a cluster, and somebody between it and its controller who does not know the password."""
    host = {"build": 17763, "winrm": {"credssp": auth == "credssp", **(winrm or {})}}
    with World({**FLEET, "hosts": {"N1": host}}) as world:
        tls = changes.pop("tls", "shown" in changes)
        port = world.served.https_port("N1") if tls else world.served.http_port("N1")
        with Relay(port, tls=tls, **changes) as relay:
            yield world, relay


Between = Callable[..., contextlib.AbstractContextManager[tuple[World, Relay]]]


@pytest.fixture(params=[False, True], ids=["direct", "proxy"])
def between(request: pytest.FixtureRequest) -> Between:
    """Both ways to a host: straight, where he sits on the wire, and through a proxy, which is he."""
    return functools.partial(standing_between, proxy=request.param)


def change(world: World, relay: Relay, auth: str = "ntlm", **variables: Any) -> dict[str, Any]:
    """A task that changes the host, through the relay."""
    way = {"ansible_psrp_proxy": f"http://127.0.0.1:{relay.port}"} if relay.proxy else {"ansible_port": relay.port}
    known = {**way, "ansible_psrp_auth": auth, "ansible_password": PASSWORD}
    given = {**world.variables("N1"), **known, **variables}
    return world.run("N1", "hang_recovery", action="log", variables=given)


def stopped(world: World, relay: Relay, result: dict[str, Any], *words: str, believed: bool = False) -> None:
    """The task says what happened, the host is as it was, and nothing that was heard is of use.

    believed: the relay is a TLS server that the controller was told to trust, so it may hear the first question.
    """
    assert result.get("unreachable") or result.get("failed"), result
    assert not result["changed"]
    for word in words:
        assert word in result["msg"]
    assert "Traceback" not in result["msg"]
    assert world.fleet.state(Clusters).clusters["cl1"].properties["HangRecoveryAction"] == 6
    assert not found({"password": PASSWORD}, {"the wire": relay.heard.data(), "the result": str(result).encode()})
    assert believed or not any(b"Envelope" in request.body for request in relay.heard.requests)


def only(status: int, changed: Change) -> Change:
    """Change answers of one status alone."""
    return lambda message: changed(message) if message.status == status else message


def only_encrypted(changed: Change) -> Change:
    """Change encrypted messages alone."""
    return lambda message: changed(message) if message.encrypted else message


# Nothing on the way: what the other tests would look like if the relay did no harm


@pytest.mark.parametrize("auth", ["ntlm", "negotiate", "credssp"])
def test_a_relay_that_only_listens_hears_nothing_of_use(between: Between, auth: str) -> None:
    with between(auth) as (world, relay):
        result = change(world, relay, auth)
        assert result["changed"], result
        assert len(relay.heard.requests) > 3
        assert not found({"password": PASSWORD}, {"the wire": relay.heard.data()})
        assert b"HangRecoveryAction" not in relay.heard.data()


def test_a_relay_reads_along_where_the_user_wants_no_encryption(between: Between) -> None:
    with between(winrm={"allow_unencrypted": True}) as (world, relay):
        result = change(world, relay, ansible_psrp_message_encryption="never")
        assert result["changed"], result
        assert b"HangRecoveryAction" in relay.heard.data()
        assert not found({"password": PASSWORD}, {"the wire": relay.heard.data()})


# Less than the inventory asks for


@pytest.mark.parametrize("auth", ["ntlm", "negotiate", "credssp"])
def test_basic_is_not_taken_where_nothing_else_is_on_offer(between: Between, auth: str) -> None:
    offer = only(401, lambda message: message.replace("WWW-Authenticate", 'Basic realm="WSMAN"'))
    with between(auth, tell=offer) as (world, relay):
        result = change(world, relay, auth)
        stopped(world, relay, result, f"({auth})", 'it offers Basic realm="WSMAN"', "password was not sent")
        assert all(not request.header("Authorization").startswith("Basic") for request in relay.heard.requests)


@pytest.mark.parametrize("connection", ["psrp", "winrm"])
def test_basic_over_http_sends_not_a_byte(connection: str) -> None:
    with standing_between() as (world, relay):
        variables = {**world.variables("N1", connection=connection, auth="basic"), "ansible_port": relay.port}
        result = world.run("N1", "hang_recovery", action="log", variables=variables)
        stopped(world, relay, result, "would send the password in clear text")
        assert relay.heard.requests == []


@pytest.mark.parametrize("transport", ["basic", "plaintext", "ssl"])
def test_each_name_of_basic_is_refused_over_http(transport: str) -> None:
    with standing_between() as (world, relay):
        variables = {**world.variables("N1", connection="winrm"), "ansible_port": relay.port}
        variables |= {"ansible_winrm_transport": transport, "ansible_winrm_scheme": "http"}
        result = world.run("N1", "hang_recovery", action="log", variables=variables)
        stopped(world, relay, result, "would send the password in clear text")
        assert relay.heard.requests == []


def weaker(flags: int) -> Callable[[Message], Message]:
    """Take flags out of the challenge of NTLM."""

    def changed(message: Message) -> Message:
        scheme, _, text = message.header("WWW-Authenticate").partition(" ")
        token = bytearray(base64.b64decode(text)) if scheme == "Negotiate" else bytearray()
        start = token.find(b"NTLMSSP\x00\x02\x00\x00\x00")
        if start < 0:
            return message
        agreed = int.from_bytes(token[start + 20 : start + 24], "little") & ~flags
        token[start + 20 : start + 24] = agreed.to_bytes(4, "little")
        return message.replace("WWW-Authenticate", f"{scheme} {base64.b64encode(token).decode()}")

    return changed


@pytest.mark.parametrize("auth", ["ntlm", "negotiate"])
@pytest.mark.parametrize(
    ("flags", "name"),
    [(0x10, "signatures"), (0x20, "encryption"), (0x80000, "extended session security"), (0x20000000, "128-bit keys")],
)
def test_ntlm_with_weak_keys_is_not_even_logged_on_with(between: Between, auth: str, flags: int, name: str) -> None:
    with between(auth, tell=only(401, weaker(flags))) as (world, relay):
        result = change(world, relay, auth)
        stopped(world, relay, result, f"offers NTLM without {name}", "The logon was not sent")
        assert b"NTLMSSP\x00\x03" not in b"".join(
            base64.b64decode(request.header("Authorization").partition(" ")[2]) for request in relay.heard.requests
        )


# A server that knows no password and says yes to everything


def test_a_server_that_never_asks_who_is_there_is_not_talked_to(between: Between) -> None:
    with between(invent=lambda request: answer(200)) as (world, relay):
        stopped(world, relay, change(world, relay), "without a logon as WinRM asks for")


@pytest.mark.parametrize("auth", ["ntlm", "negotiate"])
def test_a_server_that_takes_any_password_learns_nothing(between: Between, auth: str) -> None:
    challenged: list[Message] = []

    def yes(message: Message) -> Message:
        if challenged:
            return answer(200, NOTHING_THERE, Content_Type=SOAP)
        if message.header("WWW-Authenticate").startswith("Negotiate "):
            challenged.append(message)
        return message

    with between(auth, tell=yes) as (world, relay):
        world.host("N1").users["Administrator"].password = "not what the controller knows"
        stopped(world, relay, change(world, relay, auth), "127.0.0.1")
        assert challenged
        assert world.requests("N1") == []


def test_credssp_gives_its_credentials_to_nobody_who_does_not_know_them(between: Between) -> None:
    with between("credssp") as (world, relay):
        world.host("N1").users["Administrator"].password = "not what the controller knows"
        stopped(world, relay, change(world, relay, "credssp"), "refused the credentials", "(credssp)")


# Answers that are not the host's


@pytest.mark.parametrize(("status", "body"), [(200, NOTHING_THERE), (500, FAULT), (400, FAULT), (200, b"")])
def test_an_answer_in_clear_text_counts_for_nothing(between: Between, status: int, body: bytes) -> None:
    made_up = only_encrypted(lambda message: answer(status, body, Content_Type=SOAP))
    with between(tell=made_up) as (world, relay):
        stopped(world, relay, change(world, relay), "in clear text")


@pytest.mark.parametrize("content_type", ["multipart/mixed;", "Multipart/Encrypted;", "multipart/encrypted", "", "x"])
def test_no_content_type_makes_clear_text_count(between: Between, content_type: str) -> None:
    made_up = only_encrypted(lambda message: answer(200, NOTHING_THERE, Content_Type=content_type))
    with between(tell=made_up) as (world, relay):
        stopped(world, relay, change(world, relay), "in clear text")


def test_a_page_in_clear_text_is_not_read(between: Between) -> None:
    made_up = only_encrypted(lambda message: answer(404, FAULT, Content_Type="text/html"))
    with between(tell=made_up) as (world, relay):
        result = change(world, relay)
        stopped(world, relay, result, "not as WinRM (HTTP 404)")
        assert "made up" not in result["msg"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--Encrypted Boundary--\r\n",
        b"no boundary",
        b"--Encrypted Boundary\r\n\tContent-Type: x\r\n\tOriginalContent: type=x;Length=5\r\n--Encrypted Boundary\r\n"
        b"\tContent-Type: application/octet-stream\r\nab--Encrypted Boundary--\r\n",
    ],
)
def test_an_encrypted_answer_of_no_shape_is_one_clear_line(between: Between, body: bytes) -> None:
    made_up = only_encrypted(lambda message: message.with_body(body, ENCRYPTED))
    with between(tell=made_up) as (world, relay):
        stopped(world, relay, change(world, relay), "calling GetStringValue")


def flipped(message: Message) -> Message:
    """One bit of the cipher text is another."""
    body = bytearray(message.body)
    body[-60] ^= 1
    return message.with_body(bytes(body))


@pytest.mark.parametrize("auth", ["ntlm", "negotiate", "credssp"])
def test_an_answer_that_was_changed_is_not_believed(between: Between, auth: str) -> None:
    with between(auth, tell=only_encrypted(flipped)) as (world, relay):
        stopped(world, relay, change(world, relay, auth), "cannot be decrypted", "changed or repeated on the way")


@pytest.mark.parametrize("auth", ["ntlm", "negotiate", "credssp"])
def test_a_request_that_was_changed_has_no_effect(between: Between, auth: str) -> None:
    with between(auth, ask=only_encrypted(flipped)) as (world, relay):
        stopped(world, relay, change(world, relay, auth), "HTTP 500")
        assert world.requests("N1") == []


@pytest.mark.parametrize("auth", ["ntlm", "negotiate", "credssp"])
def test_an_old_answer_is_not_taken_for_a_new_one(between: Between, auth: str) -> None:
    old: list[Message] = []

    def repeated(message: Message) -> Message:
        old.append(message)
        return old[0]

    with between(auth, tell=only_encrypted(repeated)) as (world, relay):
        stopped(world, relay, change(world, relay, auth), "changed or repeated on the way")


@pytest.mark.parametrize("auth", ["ntlm", "negotiate", "credssp"])
def test_a_request_that_is_repeated_has_no_second_effect(between: Between, auth: str) -> None:
    sent: list[Message] = []

    def repeated(message: Message) -> Message:
        sent.append(message)
        return sent[0]

    with between(auth, ask=only_encrypted(repeated)) as (world, relay):
        stopped(world, relay, change(world, relay, auth), "127.0.0.1")
        assert len(sent) > 1
        assert len(world.requests("N1")) == 1


# Elsewhere


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("transport", ["http", "https"])
def test_nobody_is_followed_to_another_place(status: int, transport: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(0)
        place = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/wsman"
        shown: dict[str, Any] = {"shown": server(Authority(), tmp_path)} if transport == "https" else {}
        with standing_between(invent=lambda request: answer(status, Location=place), **shown) as (world, relay):
            variables = world.variables("N1", transport=transport, auth="basic" if shown else "ntlm")
            variables |= {"ansible_port": relay.port, "ansible_psrp_cert_validation": "ignore"}
            result = world.run("N1", "hang_recovery", action="log", variables=variables)
            assert result["unreachable"]
            assert f"sends its callers on to {place}" in result["msg"]
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


# A relay with TLS of its own: it shows another certificate, and hands the logon on to the host


def server(authority: Authority, folder: Path) -> ssl.SSLContext:
    """Somebody's TLS server with a certificate of his own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.host(["127.0.0.1"]).write(folder, "relay"))
    return context


@pytest.mark.parametrize("auth", ["ntlm", "negotiate"])
@pytest.mark.parametrize("hardening", ["Relaxed", "Strict"])
def test_a_logon_over_tls_cannot_be_handed_on_to_another_server(auth: str, hardening: str, tmp_path: Path) -> None:
    # The controller believes the relay here: its certificate is of a CA that the user trusts.
    authority = Authority()
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(authority.certificate)
    tls = {"ansible_psrp_protocol": "https", "ansible_psrp_ca_cert": str(trusted)}
    with standing_between(auth, {"cbt": hardening}, shown=server(authority, tmp_path)) as (world, relay):
        result = change(world, relay, auth, **tls)
        stopped(world, relay, result, "refused the credentials", believed=True)
        assert relay.heard.requests
        assert world.requests("N1") == []


def test_it_is_the_channel_binding_that_stops_it(tmp_path: Path) -> None:
    authority = Authority()
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(authority.certificate)
    tls = {"ansible_psrp_protocol": "https", "ansible_psrp_ca_cert": str(trusted)}
    with standing_between(shown=server(authority, tmp_path)) as (world, relay):
        result = change(world, relay, **tls, ansible_psrp_negotiate_send_cbt=False)
        assert result["changed"], result


@pytest.mark.parametrize("hardening", ["Strict", "Relaxed"])
def test_a_logon_over_http_is_taken_over_https_unless_the_host_is_strict(hardening: str) -> None:
    with standing_between(winrm={"cbt": hardening}, tls=True) as (world, relay):
        result = change(world, relay)
        if hardening == "Strict":
            stopped(world, relay, result, "refused the credentials")
        else:
            assert result["changed"], result


def test_a_relay_whose_certificate_nobody_trusts_hears_nothing(tmp_path: Path) -> None:
    with standing_between(shown=server(Authority(), tmp_path)) as (world, relay):
        variables = {**world.variables("N1", transport="https", auth="basic"), "ansible_port": relay.port}
        result = world.run("N1", "hang_recovery", action="log", variables=variables)
        stopped(world, relay, result, "is not trusted")
        assert relay.heard.requests == []


def test_a_relay_is_heard_where_the_user_wants_no_check(tmp_path: Path) -> None:
    with standing_between(shown=server(Authority(), tmp_path)) as (world, relay):
        variables = {**world.variables("N1", transport="https", auth="basic"), "ansible_port": relay.port}
        result = world.run(
            "N1", "hang_recovery", action="log", variables={**variables, "ansible_psrp_cert_validation": "ignore"}
        )
        assert result["changed"], result
        # What the other tests look for is found where it is.
        assert found({"password": f"Administrator:{PASSWORD}"}, {"the wire": relay.heard.data()})


# Tokens of no shape


@pytest.mark.parametrize("auth", ["ntlm", "negotiate"])
@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"\x00\x00\x00",
        b"NTLMSSP\x00\x02\x00\x00\x00",
        b"NTLMSSP\x00\x02\x00\x00\x00" + b"\xff" * 60,
        b"\x60\x84\xff\xff\xff\xff",
        b"\xa1\x05abcde",
        None,
    ],
)
def test_a_token_of_no_shape_is_one_clear_line(between: Between, auth: str, token: bytes | None) -> None:
    text = "Negotiate !!!" if token is None else f"Negotiate {base64.b64encode(token).decode()}"

    def garbled(message: Message) -> Message:
        legs = message.header("WWW-Authenticate").partition(" ")[2]
        return message.replace("WWW-Authenticate", text) if legs else message

    with between(auth, tell=only(401, garbled)) as (world, relay):
        result = change(world, relay, auth)
        stopped(world, relay, result, "127.0.0.1")
        assert result["unreachable"]


# Secret parameters


def test_a_secret_parameter_is_not_sent_without_encryption() -> None:
    key = "-".join(["AAAAA"] * 5)
    licensing = {"keys": {key: {"kind": "kms_host", "channel": "2012_C"}}}
    fleet = {"clock": {"speed": 0}, "password": PASSWORD}
    host = {"build": 9200, "licensing": licensing, "winrm": {"allow_unencrypted": True}}
    with World({**fleet, "hosts": {"K1": host}}) as world, Relay(world.served.http_port("K1")) as relay:
        variables = {**world.variables("K1"), "ansible_port": relay.port, "ansible_psrp_message_encryption": "never"}
        result = world.run("K1", "kms_host", variables=variables, product_key=key)
        assert result["failed"]
        assert "the product key would cross the network in clear text" in result["msg"]
        assert not found({"product key": key}, {"the wire": relay.heard.data(), "the result": str(result).encode()})
        encrypted = {**variables, "ansible_psrp_message_encryption": "auto"}
        assert world.run("K1", "kms_host", variables=encrypted, product_key=key)["partial_product_key"] == "AAAAA"
        assert not found({"product key": key}, {"the wire": relay.heard.data()})


@pytest.mark.parametrize("check", [True, False])
def test_a_store_password_is_refused_before_the_first_change(check: bool, tmp_path: Path) -> None:
    open_hosts = {"winrm": {"allow_unencrypted": True}}
    fleet = network(old={"features": ["DHCP", "RSAT-DHCP", "Migration"], **open_hosts}, new=open_hosts)
    with Migration(fleet, tmp_path) as world:
        secret = {"method": "smig", "store_password": "Fieldnotes-Store-2026"}
        clear = {"ansible_psrp_message_encryption": "never"}
        where: dict[str, Any] = {"migration_id": ID, "controller_dir": str(tmp_path), "authorize_via": DC}

        def migrate(host: str, state: str, **more: Any) -> dict[str, Any]:
            variables = {**world.variables(host), **clear}
            return world.run(host, "dhcp_migrate", check=check, variables=variables, state=state, **where, **more)

        result = migrate(OLD, "exported", **secret)
        assert result["failed"]
        assert result["msg"] == "store_password would cross the network in clear text: use HTTPS or message encryption"
        assert world.writes(OLD) == []
        assert not world.export(**secret).get("failed")
        written = len(world.requests(NEW))
        result = migrate(NEW, "imported", peer_host=OLD, store_password=secret["store_password"])
        assert "store_password would cross the network in clear text" in result["msg"]
        assert world.writes(NEW, since=written) == []
        assert not world.import_(store_password=secret["store_password"]).get("failed")
