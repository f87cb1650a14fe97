# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How to reach a host: the play's own ``psrp`` or ``winrm`` connection options as one frozen value.

For this collection only. Knows the documented options of the two plugins and nothing else of Ansible.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import FieldnotesError

_ENCRYPTING = ("negotiate", "kerberos", "ntlm", "credssp")

# What the connection plugin ``winrm`` calls its transports, as pypsrp's authentication kinds.
_WINRM_TRANSPORTS = {
    "basic": "basic",
    "plaintext": "basic",
    "ssl": "basic",
    "certificate": "certificate",
    "kerberos": "kerberos",
    "ntlm": "ntlm",
    "credssp": "credssp",
}


class UnsupportedConnection(FieldnotesError):
    """The play's connection cannot be used, or an option of it cannot be honoured."""


@dataclass(frozen=True)
class Settings:
    """One host's WinRM endpoint.

    auth: basic, certificate, negotiate, kerberos, ntlm or credssp; encryption: auto, always or never (of messages);
    cert_validation: True, False, or the path of a PEM bundle; time-outs in seconds; max_envelope_size in bytes;
    extras: further arguments of pypsrp.wsman.WSMan for the authentication kind.
    """

    host: str
    port: int
    ssl: bool
    path: str
    username: str | None
    password: str | None = field(repr=False)
    auth: str
    cert_validation: bool | str = True
    encryption: str = "auto"
    proxy: str | None = None
    no_proxy: bool = False
    connection_timeout: int = 30
    operation_timeout: int = 20
    read_timeout: int = 30
    max_envelope_size: int = 153600
    reconnection_retries: int = 0
    reconnection_backoff: float = 2.0
    extras: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def encrypts(self) -> bool:
        """Whether nobody on the way can read what is sent: TLS, or message encryption."""
        return self.ssl or (self.auth in _ENCRYPTING and self.encryption != "never")

    @property
    def delegates(self) -> bool:
        """Whether the host may use the account against a third machine: CredSSP, or Kerberos with delegation."""
        return self.auth == "credssp" or bool(
            self.auth in ("kerberos", "negotiate") and self.extras.get("negotiate_delegate")
        )

    @property
    def endpoint(self) -> str:
        """The URL for messages to people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.ssl else 'http'}://{host}:{self.port}/{self.path}"


def from_psrp(option: Callable[[str], Any]) -> Settings:
    """Settings from the options of the connection plugin ``psrp``. option: name to value."""
    protocol, port = option("protocol"), option("port")
    if protocol is None:
        protocol = "http" if port is not None and int(port) == 5985 else "https"
    ca_cert = option("ca_cert")
    validation: bool | str = option("cert_validation") != "ignore" and (ca_cert or True)
    return Settings(
        host=option("remote_addr"),
        port=int(port) if port is not None else (5986 if protocol == "https" else 5985),
        ssl=protocol == "https",
        path=str(option("path")).lstrip("/"),
        username=option("remote_user"),
        password=option("remote_password"),
        auth=option("auth"),
        cert_validation=validation,
        encryption=option("message_encryption"),
        proxy=option("proxy"),
        no_proxy=bool(option("ignore_proxy")),
        connection_timeout=int(option("connection_timeout")),
        operation_timeout=int(option("operation_timeout")),
        read_timeout=int(option("read_timeout")),
        max_envelope_size=int(option("max_envelope_size")),
        reconnection_retries=int(option("reconnection_retries")),
        reconnection_backoff=float(option("reconnection_backoff")),
        extras=_psrp_extras(option),
    )


_PSRP_EXTRAS = (
    "certificate_key_pem",
    "certificate_pem",
    "credssp_auth_mechanism",
    "credssp_disable_tlsv1_2",
    "credssp_minimum_version",
    "negotiate_delegate",
    "negotiate_hostname_override",
    "negotiate_send_cbt",
    "negotiate_service",
)


def _psrp_extras(option: Callable[[str], Any]) -> dict[str, Any]:
    found = {name: option(name) for name in _PSRP_EXTRAS}
    return {name: value for name, value in found.items() if value is not None}


def from_winrm(option: Callable[[str], Any], extras: Mapping[str, Any]) -> Settings:
    """Settings from the options of the connection plugin ``winrm``.

    extras: the play's ``ansible_winrm_*`` variables without their prefix, which that plugin hands to pywinrm.
    """
    port = int(option("port"))
    scheme = option("scheme") or ("http" if port == 5985 else "https")
    username = option("remote_user")
    auth, is_ssl = _winrm_auth(option("transport"), username, scheme)
    timeout = option("connection_timeout")
    operation = int(timeout or extras.get("operation_timeout_sec") or 20)
    read = int(timeout) + 10 if timeout else int(extras.get("read_timeout_sec") or 30)
    proxy = extras.get("proxy")
    return Settings(
        host=option("remote_addr"),
        port=port,
        ssl=is_ssl,
        path=str(option("path")).lstrip("/"),
        username=username,
        password=option("remote_password"),
        auth=auth,
        cert_validation=_winrm_validation(extras),
        encryption=str(extras.get("message_encryption") or "auto"),
        proxy=None if proxy in (None, "legacy_requests") else str(proxy),
        operation_timeout=operation,
        read_timeout=read,
        extras=_winrm_extras(extras),
    )


def _winrm_auth(transports: list[str] | None, username: str | None, scheme: str) -> tuple[str, bool]:
    # Without a transport the plugin guesses like this; of several, pypsrp takes one, so the first that it knows counts.
    wanted = transports or (["kerberos"] if "@" in (username or "") else ["basic"])
    for transport in wanted:
        if transport in _WINRM_TRANSPORTS:
            return _WINRM_TRANSPORTS[transport], scheme == "https"
    raise UnsupportedConnection(
        f"the winrm transport {', '.join(wanted)} is not supported: use one of {', '.join(_WINRM_TRANSPORTS)}"
    )


def _winrm_validation(extras: Mapping[str, Any]) -> bool | str:
    if extras.get("server_cert_validation") == "ignore":
        return False
    path = extras.get("ca_trust_path")
    # pywinrm's own default, meaning "what requests finds by itself".
    return True if path in (None, "legacy_requests") else os.path.expanduser(str(path))


def _winrm_extras(extras: Mapping[str, Any]) -> dict[str, Any]:
    names = {
        "cert_pem": "certificate_pem",
        "cert_key_pem": "certificate_key_pem",
        "service": "negotiate_service",
        "kerberos_delegation": "negotiate_delegate",
        "kerberos_hostname_override": "negotiate_hostname_override",
        "send_cbt": "negotiate_send_cbt",
        "credssp_auth_mechanism": "credssp_auth_mechanism",
        "credssp_disable_tlsv1_2": "credssp_disable_tlsv1_2",
        "credssp_minimum_version": "credssp_minimum_version",
    }
    found = {ours: extras[theirs] for theirs, ours in names.items() if extras.get(theirs) is not None}
    for switch in ("negotiate_delegate", "negotiate_send_cbt", "credssp_disable_tlsv1_2"):
        if switch in found:
            found[switch] = str(found[switch]).lower() in ("true", "yes", "on", "1")
    # The plugin winrm asks for a service ticket of HTTP where psrp asks for WSMAN.
    found.setdefault("negotiate_service", "HTTP")
    return found
