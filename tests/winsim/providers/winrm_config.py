# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The settings of WinRM itself (winrm/config), which are no WMI classes: `host.winrm` as the service shows it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import Embedded, Instance, Provider

if TYPE_CHECKING:
    from ..host import Host

NAMESPACE = "winrm/config"
UNLIMITED = 2147483647

winrm_config = Provider("winrm_config")


def _auth(host: Host) -> Instance:
    winrm = host.winrm
    auth: Instance = {
        "Basic": winrm.basic,
        "Kerberos": winrm.kerberos,
        "Negotiate": winrm.negotiate,
        "Certificate": winrm.client_certificates,
        "CredSSP": winrm.credssp,
        "CbtHardeningLevel": winrm.cbt,
    }
    return auth


def _service(host: Host) -> Instance:
    winrm = host.winrm
    return {
        "RootSDDL": "O:NSG:BAD:P(A;;GA;;;BA)(A;;GR;;;IU)S:P(AU;FA;GA;;;WD)(AU;SA;GXGW;;;WD)",
        "MaxConcurrentOperations": 4294967295,
        "MaxConcurrentOperationsPerUser": winrm.max_operations_per_user,
        "EnumerationTimeoutms": winrm.enumeration_timeout_ms,
        "MaxConnections": 300,
        "MaxPacketRetrievalTimeSeconds": 120,
        "AllowUnencrypted": winrm.allow_unencrypted,
        "Auth": Embedded("WSMan_ServiceAuth", _auth(host)),
        "DefaultPorts": _ports(),
        "IPv4Filter": "*",
        "IPv6Filter": "*",
        "EnableCompatibilityHttpListener": False,
        "EnableCompatibilityHttpsListener": False,
        "AllowRemoteAccess": True,
    }


def _ports() -> Embedded:
    return Embedded("WSMan_DefaultPorts", {"HTTP": 5985, "HTTPS": 5986})


def _client() -> Instance:
    auth = {"Basic": True, "Digest": True, "Kerberos": True, "Negotiate": True, "Certificate": True, "CredSSP": False}
    return {
        "NetworkDelayms": 5000,
        "URLPrefix": "wsman",
        "AllowUnencrypted": False,
        "Auth": Embedded("WSMan_ClientAuth", auth),
        "DefaultPorts": _ports(),
    }


def _winrs(host: Host) -> Instance:
    return {
        "AllowRemoteShellAccess": True,
        "IdleTimeout": 7200000,
        "MaxConcurrentUsers": UNLIMITED,
        "MaxShellRunTime": UNLIMITED,
        "MaxProcessesPerShell": UNLIMITED,
        "MaxMemoryPerShellMB": UNLIMITED,
        "MaxShellsPerUser": host.winrm.max_shells_per_user,
    }


@winrm_config.instances(NAMESPACE, "WSMan_Config")
def config(host: Host) -> Iterable[Instance]:
    yield {
        "MaxEnvelopeSizekb": host.winrm.max_envelope_kb,
        "MaxTimeoutms": host.winrm.max_timeout_ms,
        "MaxBatchItems": 32000,
        "MaxProviderRequests": 4294967295,
        "Client": Embedded("WSMan_Client", _client()),
        "Service": Embedded("WSMan_Service", _service(host)),
        "Winrs": Embedded("WSMan_Winrs", _winrs(host)),
    }


@winrm_config.modify(NAMESPACE, "WSMan_Config")
def change_config(host: Host, instance: Instance, changes: Instance) -> None:
    host.winrm.max_envelope_kb = changes.get("MaxEnvelopeSizekb", host.winrm.max_envelope_kb)
    host.winrm.max_timeout_ms = changes.get("MaxTimeoutms", host.winrm.max_timeout_ms)


@winrm_config.instances(NAMESPACE, "WSMan_Service")
def service(host: Host) -> Iterable[Instance]:
    yield _service(host)


@winrm_config.instances(NAMESPACE, "WSMan_ServiceAuth")
def service_auth(host: Host) -> Iterable[Instance]:
    yield _auth(host)


@winrm_config.instances(NAMESPACE, "WSMan_Client")
def client(host: Host) -> Iterable[Instance]:
    yield _client()


@winrm_config.instances(NAMESPACE, "WSMan_Winrs")
def winrs(host: Host) -> Iterable[Instance]:
    yield _winrs(host)
