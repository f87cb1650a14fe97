# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of the connection plugins, as their own documentation gives them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.settings import (
    Settings,
    UnsupportedConnection,
    from_psrp,
    from_winrm,
)


def psrp(**variables: Any) -> Settings:
    connection = connection_loader.get("psrp", PlayContext())
    connection.set_options(var_options={"ansible_host": "n1.example.test", **variables})
    return from_psrp(connection.get_option)


def winrm(**variables: Any) -> Settings:
    connection = connection_loader.get("winrm", PlayContext())
    connection.set_options(var_options={"ansible_host": "n1.example.test", **variables})
    extras = {n.removeprefix("ansible_winrm_"): v for n, v in variables.items() if n.startswith("ansible_winrm_")}
    return from_winrm(connection.get_option, extras)


@pytest.mark.parametrize(
    ("variables", "port", "ssl"),
    [
        ({}, 5986, True),
        ({"ansible_port": 5985}, 5985, False),
        ({"ansible_psrp_port": 15986}, 15986, True),
        ({"ansible_psrp_protocol": "http"}, 5985, False),
        ({"ansible_psrp_protocol": "https", "ansible_psrp_port": 5985}, 5985, True),
    ],
)
def test_psrp_port_and_protocol_default_each_other(variables: dict[str, Any], port: int, ssl: bool) -> None:
    settings = psrp(**variables)
    assert (settings.port, settings.ssl) == (port, ssl)


def test_psrp_options_arrive() -> None:
    settings = psrp(
        ansible_user="admin",
        ansible_password="secret",
        ansible_psrp_auth="credssp",
        ansible_psrp_ca_cert="/etc/ca.pem",
        ansible_psrp_proxy="http://proxy.example.test:3128",
        ansible_psrp_read_timeout=90,
        ansible_psrp_operation_timeout=60,
        ansible_psrp_max_envelope_size=512000,
        ansible_psrp_credssp_minimum_version=5,
        ansible_psrp_negotiate_hostname_override="n1",
        ansible_psrp_reconnection_retries=3,
    )
    assert settings.username == "admin"
    assert settings.cert_validation == "/etc/ca.pem"
    assert settings.proxy == "http://proxy.example.test:3128"
    assert (settings.read_timeout, settings.operation_timeout) == (90, 60)
    assert settings.max_envelope_size == 512000
    assert settings.reconnection_retries == 3
    assert settings.extras["credssp_minimum_version"] == 5
    assert settings.extras["negotiate_hostname_override"] == "n1"
    assert settings.delegates
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(("validation", "expected"), [("ignore", False), ("validate", True)])
def test_psrp_validation(validation: str, expected: bool) -> None:
    assert psrp(ansible_psrp_cert_validation=validation).cert_validation is expected


@pytest.mark.parametrize(
    ("variables", "auth", "port", "ssl"),
    [
        ({"ansible_user": "admin"}, "basic", 5986, True),
        ({"ansible_user": "admin@EXAMPLE.TEST"}, "kerberos", 5986, True),
        ({"ansible_winrm_transport": ["ntlm"], "ansible_port": 5985}, "ntlm", 5985, False),
        ({"ansible_winrm_transport": ["credssp", "ntlm"]}, "credssp", 5986, True),
        ({"ansible_winrm_transport": ["certificate"]}, "certificate", 5986, True),
        (
            {"ansible_winrm_transport": ["ssl"], "ansible_winrm_scheme": "https", "ansible_port": 5985},
            "basic",
            5985,
            True,
        ),
    ],
)
def test_winrm_transport_scheme_and_port(variables: dict[str, Any], auth: str, port: int, ssl: bool) -> None:
    settings = winrm(**variables)
    assert (settings.auth, settings.port, settings.ssl) == (auth, port, ssl)


def test_winrm_extras_arrive() -> None:
    settings = winrm(
        ansible_winrm_transport=["kerberos"],
        ansible_winrm_server_cert_validation="ignore",
        ansible_winrm_kerberos_delegation="true",
        ansible_winrm_operation_timeout_sec="40",
        ansible_winrm_read_timeout_sec="70",
        ansible_winrm_message_encryption="always",
        ansible_winrm_service="WSMAN",
    )
    assert settings.cert_validation is False
    assert settings.delegates
    assert (settings.operation_timeout, settings.read_timeout) == (40, 70)
    assert settings.encryption == "always"
    assert settings.extras["negotiate_service"] == "WSMAN"


def test_winrm_refuses_a_transport_nobody_knows() -> None:
    with pytest.raises(UnsupportedConnection, match="plain-telnet"):
        winrm(ansible_winrm_transport=["plain-telnet"])


@pytest.mark.parametrize(
    ("auth", "ssl", "encryption", "encrypts"),
    [
        ("ntlm", False, "auto", True),
        ("ntlm", False, "never", False),
        ("basic", False, "never", False),
        ("basic", True, "auto", True),
        ("certificate", True, "auto", True),
    ],
)
def test_who_can_read_what_is_sent(auth: str, ssl: bool, encryption: str, encrypts: bool) -> None:
    settings = Settings("h", 1, ssl, "wsman", "u", "p", auth, encryption=encryption)
    assert settings.encrypts is encrypts
