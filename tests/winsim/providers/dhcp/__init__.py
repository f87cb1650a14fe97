# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""DHCP servers, their clients, and what must never happen to either.

| file | lives there |
|---|---|
| state.py | what a server has, and how the fleet file says it |
| server.py | the service: serving, authorization, granting and renewing |
| clients.py | the clients of the network, on the clock |
| views.py | what can be asked of a server, once for classes and cmdlets |
| classes.py | root/Microsoft/Windows/DHCP: the PS_ classes |
| cmdlets.py | the module DhcpServer |
| changes.py | what changes a server, behind both |
| transfer.py | backup, restore, export, import |
| netsh.py | netsh dhcp |
| disk.py | the files they read and write |
| invariants.py | two servers for one scope, no server, a lost lease ... asserted at every second |
"""

from __future__ import annotations

from . import classes, cmdlets, invariants, netsh
from .clients import Client, Network
from .invariants import violations
from .server import install, is_serving, remove, service_of
from .state import Lease, Server, server_of

__all__ = [
    "Client",
    "Lease",
    "Network",
    "Server",
    "classes",
    "cmdlets",
    "install",
    "invariants",
    "is_serving",
    "netsh",
    "remove",
    "server_of",
    "service_of",
    "violations",
]
