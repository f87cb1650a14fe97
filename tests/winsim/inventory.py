# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Ansible inventory of a served fleet."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .providers.cluster import Clusters

if TYPE_CHECKING:
    from .fleet import Fleet
    from .host import Host
    from .http import Served

__all__ = ["AUTHS", "CONNECTIONS", "TRANSPORTS", "inventory", "write"]

CONNECTIONS = ("psrp", "winrm")
TRANSPORTS = ("http", "https")
AUTHS = ("ntlm", "basic")


def inventory(
    served: Served, *, connection: str = "psrp", transport: str = "http", auth: str = "ntlm"
) -> dict[str, Any]:
    """The inventory as a dict: every host in the group `windows`, and one group per cluster.

    `connection`: `psrp` or `winrm`. `transport`: `http` or `https`. `auth`: `ntlm` (over HTTP with message encryption)
    or `basic` (over HTTP only where the host allows unencrypted messages). Raises ValueError for anything else.
    """
    for value, allowed in ((connection, CONNECTIONS), (transport, TRANSPORTS), (auth, AUTHS)):
        if value not in allowed:
            raise ValueError(f"{value!r} is not one of {', '.join(allowed)}")
    variables = _psrp if connection == "psrp" else _winrm
    windows = {
        "hosts": {host.name: _host(served, host, transport) for host in served.fleet.hosts.values()},
        "vars": {"ansible_connection": connection, **variables(transport, auth, str(served.ca_path))},
    }
    groups: dict[str, Any] = {
        name: {"hosts": {node: {} for node in nodes}} for name, nodes in _clusters(served.fleet).items()
    }
    everything: dict[str, Any] = {"children": {"windows": windows, **groups}}
    if served.control is not None:
        everything["vars"] = {"winsim_control_url": served.control.url, "winsim_control_token": served.control.token}
    return {"all": everything}


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all, readable for its owner only: inventories hold passwords."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        file.write(text)
    os.replace(file.name, path)


def _host(served: Served, host: Host, transport: str) -> dict[str, Any]:
    user = next(iter(host.users.values()))
    variables: dict[str, Any] = {"ansible_host": served.address(host)}
    ports = {"http": served.http_port, "https": served.https_port}
    enabled = {"http": host.winrm.http, "https": host.winrm.https}
    if enabled[transport]:
        variables["ansible_port"] = ports[transport](host)
    for name in TRANSPORTS:
        if enabled[name]:
            variables[f"winsim_{name}_port"] = ports[name](host)
    return variables | {"ansible_user": user.name, "ansible_password": user.password}


def _psrp(transport: str, auth: str, ca_path: str) -> dict[str, Any]:
    variables: dict[str, Any] = {"ansible_psrp_protocol": transport, "ansible_psrp_auth": auth}
    if transport == "https":
        variables["ansible_psrp_ca_cert"] = ca_path
    elif auth == "basic":
        variables["ansible_psrp_message_encryption"] = "never"
    return variables


def _winrm(transport: str, auth: str, ca_path: str) -> dict[str, Any]:
    variables: dict[str, Any] = {"ansible_winrm_scheme": transport, "ansible_winrm_transport": auth}
    if transport == "https":
        variables["ansible_winrm_ca_trust_path"] = ca_path
    elif auth == "basic":
        variables["ansible_winrm_message_encryption"] = "never"
    return variables


def _clusters(fleet: Fleet) -> dict[str, list[str]]:
    """The hosts that are nodes of each cluster, by the cluster's name in the form of a group's."""
    return {
        re.sub(r"\W", "_", cluster.name): [node.name for node in cluster.nodes.values() if fleet.find_host(node.name)]
        for cluster in fleet.state(Clusters).clusters.values()
    }
