# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Credentials that are right, wrong or missing, by each kind of authentication: one clear line, and no secret in it."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from security.secrets import found
from support.world import World

pytestmark = pytest.mark.counted

PASSWORD = "Kein-Wort-davon-2026"
WRONG = "Auch-davon-kein-Wort"


def world() -> World:
    host = {"build": 17763, "winrm": {"credssp": True}}
    fleet = {"clock": {"speed": 0}, "password": PASSWORD, "clusters": {"CL1": {"nodes": ["N1"]}}}
    return World({**fleet, "hosts": {"N1": host}})


def ask(served: World, auth: str, transport: str = "https", **changes: Any) -> dict[str, Any]:
    variables = {**served.variables("N1", transport=transport), "ansible_psrp_auth": auth, **changes}
    return served.run("N1", "hang_recovery", action="live_dump", variables=variables)


def refused(served: World, result: dict[str, Any], *words: str) -> None:
    assert result["unreachable"], result
    for word in words:
        assert word in result["msg"]
    assert not found({"right": PASSWORD, "wrong": WRONG}, {"the result": str(result).encode()})
    assert served.requests("N1") == []


@pytest.mark.parametrize("auth", ["basic", "ntlm", "negotiate", "credssp"])
def test_the_right_password_gets_in_and_a_wrong_one_does_not(auth: str) -> None:
    with world() as served:
        refused(served, ask(served, auth, ansible_password=WRONG), "refused the credentials of Administrator", auth)
        refused(served, ask(served, auth, ansible_user="nobody"), "refused the credentials of nobody", auth)
        assert not ask(served, auth).get("unreachable")


@pytest.mark.parametrize("missing", ["ansible_user", "ansible_password"])
@pytest.mark.parametrize("auth", ["basic", "ntlm", "negotiate", "credssp"])
def test_credentials_that_are_not_there_are_one_clear_line(auth: str, missing: str) -> None:
    without: dict[str, Any] = {missing: None}
    with world() as served:
        refused(served, ask(served, auth, **without), "127.0.0.1")


def test_a_version_of_credssp_that_is_too_old_gets_no_password() -> None:
    with world() as served:
        result = ask(served, "credssp", ansible_psrp_credssp_minimum_version=7)
        refused(served, result, "minimum requirements of 7")
        assert not ask(served, "credssp", ansible_psrp_credssp_minimum_version=6).get("unreachable")


@pytest.mark.parametrize("transport", ["http", "https"])
def test_kerberos_without_its_libraries_says_what_to_install(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spnego._gss.HAS_GSSAPI", False)
    with world() as served:
        refused(served, ask(served, "kerberos", transport), "needs Python libraries", 'pip install "pypsrp[kerberos]"')


def test_a_user_who_is_no_administrator_is_let_in_and_refused_by_windows() -> None:
    with world() as served:
        served.host("N1").users["Administrator"].administrator = False
        result = ask(served, "ntlm")
        assert result["failed"]
        assert "ERROR_ACCESS_DENIED 5" in result["msg"]


@pytest.mark.parametrize("auth", ["basic", "ntlm", "credssp"])
def test_the_password_of_a_proxy_is_not_told(auth: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with world() as served:
        result = ask(served, auth, ansible_psrp_proxy=f"http://somebody:{WRONG}@127.0.0.1:{port}")
        refused(served, result, "127.0.0.1")
