# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Real clients at the rim: who gets in, by which way, and what a listener on the wire could read."""

from __future__ import annotations

import base64
import contextlib
import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from pypsrp.exceptions import AuthenticationError, WinRMTransportError, WSManFaultError
from pypsrp.wsman import WSMan
from winsim import Fleet, serve
from winsim.http import Rim, Served
from winsim.trouble import Trouble, troubles_of

PASSWORD = "Pa:ss w\u00f6rd'1"
IDENTIFY = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
    ' xmlns:i="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd">'
    "<s:Header/><s:Body><i:Identify/></s:Body></s:Envelope>"
)
CONFIG = "http://schemas.microsoft.com/wbem/wsman/1/config"


@pytest.fixture
def served() -> Iterator[Served]:
    fleet = Fleet.load(
        {
            "password": PASSWORD,
            "domain": "corp.example",
            "clock": {"speed": 0},
            "hosts": {"N1": {}, "N2": {"users": {"bob": "of-N2-only"}}},
        }
    )
    with serve(fleet) as served:
        yield served


def client(served: Served, host: str = "N1", *, tls: bool = False, **options: Any) -> WSMan:
    settings: dict[str, Any] = {"username": "Administrator", "password": PASSWORD, "auth": "ntlm", "ssl": tls}
    if tls:
        settings["cert_validation"] = str(served.ca_path)
    port = served.https_port(host) if tls else served.http_port(host)
    return WSMan(served.address(host), port=port, no_proxy=True, **(settings | options))


def ask(wsman: WSMan, times: int = 1) -> None:
    """Get a resource that every host has; raises what the client raises."""
    with wsman:
        for _ in range(times):
            wsman.get(CONFIG)


@contextlib.contextmanager
def plain_http(served: Served) -> Iterator[Callable[..., tuple[http.client.HTTPResponse, bytes]]]:
    """One connection to N1; calling it sends a request and returns the answer and its body."""
    connection = http.client.HTTPConnection(served.address("N1"), served.http_port("N1"))

    def request(*arguments: Any) -> tuple[http.client.HTTPResponse, bytes]:
        connection.request(*arguments)
        answer = connection.getresponse()
        return answer, answer.read()

    with contextlib.closing(connection):
        yield request


# --- ways in -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("auth", ["ntlm", "negotiate"])
def test_ntlm_over_http_encrypts_every_message(served: Served, auth: str) -> None:
    ask(client(served, auth=auth), times=3)
    host = served.fleet.host("N1")
    assert [entry.secure for entry in host.log] == [True, True, True]
    assert host.plaintext == b""


def test_ntlm_takes_three_legs_with_empty_bodies_and_one_connection(served: Served) -> None:
    ask(client(served), times=2)
    legs = served.fleet.host("N1").handshakes
    assert [(leg.status, leg.user) for leg in legs] == [(401, None), (401, None), (200, "Administrator")]


@pytest.mark.parametrize("options", [{"auth": "basic"}, {"auth": "ntlm"}, {"auth": "ntlm", "encryption": "always"}])
def test_tls_is_trusted_through_the_authority_of_the_fleet(served: Served, options: dict[str, Any]) -> None:
    ask(client(served, tls=True, **options))
    assert served.fleet.host("N1").log[-1].secure
    assert served.fleet.host("N1").plaintext == b""


def test_credssp_delegates_and_encrypts_in_chunks(served: Served) -> None:
    served.fleet.host("N1").winrm.credssp = True
    with client(served, auth="credssp") as wsman:
        wsman.get(CONFIG)
        # More than one TLS record each way: the server must put the chunks of the question together.
        with pytest.raises(WSManFaultError):
            wsman.get(CONFIG + "/" + "x" * 20000)
    assert all(entry.secure for entry in served.fleet.host("N1").log)


@pytest.mark.parametrize("name", ["Administrator", "ADMINISTRATOR", ".\\Administrator", "N1\\Administrator",
                                  "CORP\\Administrator", "corp.example\\Administrator",
                                  "Administrator@corp.example"])  # fmt: skip
@pytest.mark.parametrize("auth", ["ntlm", "basic"])
def test_a_user_may_be_written_in_every_form_windows_takes(served: Served, name: str, auth: str) -> None:
    ask(client(served, tls=auth == "basic", username=name, auth=auth))
    assert served.fleet.host("N1").log[-1].user == "Administrator"


@pytest.mark.parametrize("auth", ["ntlm", "negotiate", "basic"])
def test_a_wrong_password_is_refused(served: Served, auth: str) -> None:
    with pytest.raises(AuthenticationError):
        ask(client(served, tls=True, password="wrong", auth=auth))
    assert served.fleet.host("N1").log == []


@pytest.mark.parametrize("auth", ["ntlm", "basic"])
def test_a_user_of_one_host_is_nobody_on_another(served: Served, auth: str) -> None:
    ask(client(served, "N2", tls=True, username="bob", password="of-N2-only", auth=auth))
    with pytest.raises(AuthenticationError):
        ask(client(served, "N1", tls=True, username="bob", password="of-N2-only", auth=auth))


def test_hosts_authenticate_side_by_side(served: Served) -> None:
    failures: list[BaseException] = []

    def visit(host: str, user: str, password: str) -> None:
        try:
            for _ in range(5):
                ask(client(served, host, username=user, password=password))
        except BaseException as error:
            failures.append(error)

    visits = [("N1", "Administrator", PASSWORD), ("N2", "bob", "of-N2-only")]
    threads = [threading.Thread(target=visit, args=visit_of) for visit_of in visits * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_changed_password_counts_from_the_next_logon_on(served: Served) -> None:
    served.fleet.host("N1").users["Administrator"].password = "new"
    ask(client(served, password="new"))
    with pytest.raises(AuthenticationError):
        ask(client(served))


def test_a_user_who_is_no_administrator_gets_in_and_is_denied(served: Served) -> None:
    served.fleet.host("N2").users["bob"].administrator = False
    with pytest.raises(WSManFaultError) as denied:
        ask(client(served, "N2", username="bob", password="of-N2-only"))
    assert denied.value.code == 5


# --- certificates ------------------------------------------------------------------------------------------------


def test_a_client_certificate_logs_its_user_on(served: Served) -> None:
    certificate, key = served.client_certificate("Administrator@corp.example")
    ask(client(served, tls=True, auth="certificate", certificate_pem=str(certificate), certificate_key_pem=str(key)))
    assert served.fleet.host("N1").log[-1].user == "Administrator"


def test_a_certificate_of_nobody_is_refused(served: Served) -> None:
    certificate, key = served.client_certificate("nobody@corp.example")
    with pytest.raises(AuthenticationError):
        ask(
            client(served, tls=True, auth="certificate", certificate_pem=str(certificate), certificate_key_pem=str(key))
        )


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [("expired", "expired"), ("self_signed", "self-signed"), ("wrong_name", "doesn't match|not valid for")],
)
def test_a_bad_server_certificate_is_not_trusted(kind: str, complaint: str) -> None:
    fleet = Fleet.load({"password": PASSWORD, "hosts": {"N1": {"winrm": {"certificate": kind}}}})
    with serve(fleet) as served:
        with pytest.raises(requests.exceptions.SSLError, match=complaint):
            ask(client(served, tls=True, auth="basic"))
        assert fleet.host("N1").log == []


@pytest.mark.parametrize(
    ("hardening", "sends", "gets_in"),
    [("None", False, True), ("Relaxed", False, True), ("Strict", False, False), ("Relaxed", True, True),
     ("Strict", True, True)],
)  # fmt: skip
def test_channel_binding_is_asked_for_as_hard_as_configured(
    served: Served, hardening: str, sends: bool, gets_in: bool
) -> None:
    served.fleet.host("N1").winrm.cbt = hardening
    wsman = client(served, tls=True, negotiate_send_cbt=sends)
    if gets_in:
        ask(wsman)
    else:
        with pytest.raises(AuthenticationError):
            ask(wsman)


# --- refusals of HTTP --------------------------------------------------------------------------------------------


def test_without_credentials_the_ways_in_are_listed_and_the_body_is_empty(served: Served) -> None:
    with plain_http(served) as request:
        answer, body = request("POST", "/wsman", b"")
    assert (answer.status, body, answer.getheader("Content-Length")) == (401, b"", "0")
    assert answer.headers.get_all("WWW-Authenticate") == ["Negotiate"]


def test_basic_is_on_offer_in_the_clear_only_with_allow_unencrypted(served: Served) -> None:
    with pytest.raises(AuthenticationError):
        ask(client(served, auth="basic", encryption="never"))
    served.fleet.host("N1").winrm.allow_unencrypted = True
    ask(client(served, auth="basic", encryption="never"))
    assert f"Administrator:{PASSWORD}".encode("latin-1") in served.fleet.host("N1").plaintext
    assert not served.fleet.host("N1").log[-1].secure


def test_an_unencrypted_message_on_an_authenticated_connection_is_refused(served: Served) -> None:
    with pytest.raises(WinRMTransportError) as refused:
        ask(client(served, encryption="never"))
    assert (refused.value.code, refused.value.response_text) == (500, "")
    assert served.fleet.host("N1").log == []


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/somewhere", 404), ("GET", "/wsman", 405), ("POST", "/wsman?a=b", 401)]
)
def test_paths_and_methods(served: Served, method: str, path: str, status: int) -> None:
    with plain_http(served) as request:
        assert request(method, path)[0].status == status


def test_a_message_larger_than_max_envelope_size_gets_413(served: Served) -> None:
    served.fleet.host("N1").winrm.max_envelope_kb = 32
    with client(served) as wsman, pytest.raises(WinRMTransportError) as refused:
        wsman.get(CONFIG + "/" + "x" * 33000)
    assert (refused.value.code, refused.value.response_text) == (413, "")


def test_identify_is_answered_to_strangers_who_say_that_they_are(served: Served) -> None:
    with plain_http(served) as request:
        answer, body = request("POST", "/wsman", IDENTIFY, {"WSMANIDENTIFY": "unauthenticated"})
        assert answer.status == 200
        assert b"Microsoft Corporation" in body
        assert request("POST", "/wsman", IDENTIFY)[0].status == 401


def test_the_header_of_identify_opens_nothing_else(served: Served) -> None:
    message = IDENTIFY.replace("i:Identify/", "i:Anything/")
    with plain_http(served) as request:
        assert request("POST", "/wsman", message, {"WSMANIDENTIFY": "unauthenticated"})[0].status == 401
    assert served.fleet.host("N1").log == []


# --- connections -------------------------------------------------------------------------------------------------


def test_a_new_connection_starts_without_authentication(served: Served) -> None:
    with client(served) as wsman:
        wsman.get(CONFIG)
        served.drop_connections("N1")
        with pytest.raises((requests.exceptions.ConnectionError, WinRMTransportError)):
            wsman.get(CONFIG)
    ask(client(served))


def test_expired_authentication_shows_as_401_on_an_authenticated_connection(served: Served) -> None:
    headers = {"Authorization": "Basic " + base64.b64encode(f"Administrator:{PASSWORD}".encode()).decode()}
    served.fleet.host("N1").winrm.allow_unencrypted = True
    with plain_http(served) as request:
        statuses = [request("POST", "/wsman", b"", each)[0].status for each in (headers, {})]
        served.expire_authentication("N1")
        statuses.append(request("POST", "/wsman", b"")[0].status)
    assert statuses == [200, 200, 401]


def test_a_host_that_restarts_refuses_connections_until_it_is_up(served: Served) -> None:
    host = served.fleet.host("N1")
    port = served.http_port("N1")
    host.reboot(30)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((served.address("N1"), port))
    served.fleet.clock.advance(31)
    ask(client(served))
    assert served.http_port("N1") == port


def test_without_its_winrm_service_a_host_refuses_connections(served: Served) -> None:
    host = served.fleet.host("N1")
    with served.fleet.changed:
        host.listening = False
        host.drop_connections()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((served.address("N1"), served.http_port("N1")))
    with served.fleet.changed:
        host.listening = True
        served.fleet.changed.notify_all()
        assert served.fleet.changed.wait_for(lambda: host.attached(Rim).listeners, timeout=30)
    ask(client(served))


def test_what_is_no_winrm_answers_like_a_web_server() -> None:
    fleet = Fleet.load({"hosts": {"N1": {"network": {"answers": "web_page"}}}})
    with serve(fleet) as served, plain_http(served) as request:
        answer, _ = request("POST", "/wsman", b"")
        assert (answer.status, answer.getheader("Content-Type")) == (404, "text/html; charset=us-ascii")
        assert request("GET", "/")[0].status == 200


def test_a_silent_host_takes_the_connection_and_never_answers() -> None:
    fleet = Fleet.load({"hosts": {"N1": {"network": {"answers": "silent"}}}})
    with serve(fleet) as served, pytest.raises(requests.exceptions.ReadTimeout):
        ask(client(served, read_timeout=0.1))


@pytest.mark.parametrize("tls", [False, True])
def test_a_truncated_answer_ends_the_connection(served: Served, tls: bool) -> None:
    troubles_of(served.fleet.host("N1")).add(Trouble("truncated"))
    with pytest.raises((requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        ask(client(served, tls=tls))


def test_after_an_injected_401_the_connection_is_nobodys(served: Served) -> None:
    troubles_of(served.fleet.host("N1")).add(Trouble("unauthorized"))
    with client(served) as wsman, pytest.raises((AuthenticationError, WinRMTransportError)):
        wsman.get(CONFIG)
    assert [entry.status for entry in served.fleet.host("N1").log] == [401]


def test_a_dropped_request_has_no_answer(served: Served) -> None:
    troubles_of(served.fleet.host("N1")).add(Trouble("drop_before"))
    with pytest.raises(requests.exceptions.ConnectionError):
        ask(client(served))


def test_nothing_is_left_behind() -> None:
    before = threading.active_count()
    with serve(Fleet.load({"password": PASSWORD, "hosts": {"N1": {}}})) as served:
        wsman = client(served)
        wsman.get(CONFIG)
        places = [urlsplit(url) for url in served.urls("N1").values()]
    assert threading.active_count() == before
    for place in places:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((place.hostname or "", place.port or 0))
    assert not served.ca_path.exists()
    wsman.transport.close()


def test_ipv6() -> None:
    fleet = Fleet.load({"password": PASSWORD, "hosts": {"N1": {"winrm": {"listen": "::1"}}}})
    with serve(fleet) as served:
        ask(client(served, tls=True, auth="basic"))
