# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""TCP listeners: MSFT_NetTCPConnection (Windows Server 2012 and later) and netstat.exe.

A subsystem says which ports its processes listen on:

    @contributes
    def listeners(host): yield Listener(1688, pid)

https://learn.microsoft.com/en-us/windows/win32/fwp/wmi/nettcpipprov/msft-nettcpconnection
https://learn.microsoft.com/en-us/windows-server/administration/windows-commands/netstat
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from winsim.host import Host

from . import Instance, Output, Provider
from .services import ServicesState

__all__ = ["Listener", "contributes", "listeners"]

tcp = Provider("tcp")

LISTEN = 2
ANYWHERE = ("0.0.0.0", "::")


@dataclass(frozen=True)
class Listener:
    """A port that a process listens on, at these local addresses."""

    port: int
    pid: int
    addresses: tuple[str, ...] = ANYWHERE


Contribution = Callable[[Host], Iterable[Listener]]
_contributions: list[Contribution] = []


def contributes(function: Contribution) -> Contribution:
    """(host) -> what the processes of a subsystem listen on now."""
    _contributions.append(function)
    return function


@contributes
def of_every_windows(host: Host) -> Iterator[Listener]:
    endpoint_mapper = host.state(ServicesState).get("RpcSs")
    if endpoint_mapper is not None and endpoint_mapper.pid:
        yield Listener(135, endpoint_mapper.pid)
    yield Listener(5985, 4)


def listeners(host: Host) -> list[Listener]:
    return [each for contribution in _contributions for each in contribution(host)]


@tcp.instances("root/StandardCimv2", "MSFT_NetTCPConnection")
def connections(host: Host) -> Iterator[Instance]:
    for each in listeners(host):
        for address in each.addresses:
            remote = "::" if ":" in address else "0.0.0.0"
            yield {
                "InstanceID": f"{address}++{each.port}++{remote}++0",
                "LocalAddress": address,
                "LocalPort": each.port,
                "RemoteAddress": remote,
                "RemotePort": 0,
                "State": LISTEN,
                "OwningProcess": each.pid,
            }


@tcp.process("netstat.exe")
def netstat(host: Host, arguments: list[str], stdin: str) -> Output:
    """`-ano`: addresses, the state in the language of the host, the process. `-p TCP` leaves the IPv6 rows out."""
    options = "".join(argument.lstrip("-/") for argument in arguments if argument.startswith(("-", "/")))
    only = arguments[-1].upper() if "p" in options else None
    german = host.language == "de-DE"
    state = "ABHÖREN" if german else "LISTENING"
    lines = ["", "Aktive Verbindungen" if german else "Active Connections", ""]
    lines.append("  Proto  Lokale Adresse  Remoteadresse  Status  PID" if german else
                 "  Proto  Local Address  Foreign Address  State  PID")  # fmt: skip
    for each in listeners(host):
        for address in each.addresses:
            if ":" in address and only == "TCP":
                continue
            local, remote = (f"[{address}]", "[::]") if ":" in address else (address, "0.0.0.0")
            lines.append(f"  TCP    {local}:{each.port}  {remote}:0  {state}  {each.pid}")
    lines.append("  UDP    0.0.0.0:123  *:*    1044")
    return Output(stdout="\r\n".join(lines) + "\r\n")
