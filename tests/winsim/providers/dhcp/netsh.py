# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""netsh dhcp: what manages DHCP servers before Windows Server 2012. It exits with 0 whatever happened.

https://learn.microsoft.com/previous-versions/windows/it-pro/windows-xp/bb490941(v=technet.10) and the migration guide
https://learn.microsoft.com/windows-server/networking/technologies/dhcp/migrate-dhcp-server
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from winsim.host import Host
from winsim.switches import declare

from .. import Output
from ..directory import DirectoryError, Entry, authorize, read_list, unauthorize
from ..netsh import context
from . import transfer
from .server import DhcpError, call, state_of
from .state import Record, Server

__all__ = ["run"]

PAGE = "dhcp_migrate"
SYNTAX = {
    "en-US": "The following command was not found: dhcp {}.\r\n",
    "de-DE": "Folgender Befehl wurde nicht gefunden: dhcp {}.\r\n",
}
FAILED = {
    "en-US": "The command did not complete successfully ({}).\r\n",
    "de-DE": "Der Befehl wurde nicht erfolgreich ausgeführt ({}).\r\n",
}
COMPLETED = {"en-US": "Command completed successfully.\r\n", "de-DE": "Der Befehl wurde erfolgreich ausgeführt.\r\n"}

declare(
    "dhcp.netsh_clients",
    {
        "mask": "address, subnet mask, hardware address, expiry, type",
        "plain": "address and hardware address, then the rest",
    },
    open_question="the columns of show clients",
    page=PAGE,
)


@context("dhcp")
def run(host: Host, arguments: list[str]) -> Output:
    """Keywords are case-sensitive in the reference; so they are here."""
    try:
        return Output("".join(f"{line}\r\n" for line in _answer(host, arguments)) + COMPLETED[host.language])
    except (DhcpError, DirectoryError) as error:
        return Output(FAILED[host.language].format(error.number))
    except _Unknown:
        return Output(SYNTAX[host.language].format(" ".join(arguments)))


class _Unknown(Exception):
    """netsh does not know the command."""


def _answer(host: Host, words: list[str]) -> list[str]:
    match words:
        case ["show", "server"]:
            return [f"Server [{each.name}] Address [{each.ip}] Ds location: cn={each.name}" for each in read_list(host)]
        case ["add", "server", name, ip]:
            authorize(host, Entry(name, ip))
            return []
        case ["delete", "server", name, ip]:
            unauthorize(host, Entry(name, ip))
            return []
        case ["server", *rest]:
            return _server(host, rest)
    raise _Unknown


def _server(host: Host, words: list[str]) -> list[str]:
    server = call(host)
    match words:
        case ["backup", path]:
            transfer.backup(host, path)
            return []
        case ["restore", path]:
            transfer.restore(host, path)
            return []
        case ["dump"]:
            return list(_dump(server))
        case ["show", "scope"]:
            return [
                f" {each['ScopeId']:<15} - {each['SubnetMask']:<15} -{each['State']:<15} -{each['Name']}"
                for each in server.records["v4Scope"]
            ]
        case ["scope", scope_id, "show", "clients", *_] if server.scope(scope_id) is not None:
            return list(_clients(host, server, server.scope(scope_id) or {}))
    raise _Unknown


def _clients(host: Host, server: Server, scope: Record) -> Iterator[str]:
    now = host.now()
    for lease in sorted(server.leases.values(), key=lambda each: int(ipaddress.IPv4Address(each.ip))):
        if lease.scope != scope["ScopeId"]:
            continue
        end = "NEVER EXPIRES" if lease.expires is None else lease.expires.strftime("%m/%d/%Y %H:%M:%S")
        kind = "D" if state_of(lease, now) in ("Active", "ActiveReservation") else "N"
        mask = f" - {scope['SubnetMask']:<15}" if host.switches["dhcp.netsh_clients"] == "mask" else ""
        yield f"{lease.ip:<15}{mask} - {lease.client_id} - {end} -{kind}"


def _dump(server: Server) -> Iterator[str]:
    """netsh commands that would make this configuration."""
    for each in server.records["v4Class"]:
        yield f'Dhcp Server add class "{each["Name"]}" "{each["Description"]}" {each["Data"]}'
    for each in server.records["v4OptionDefinition"]:
        yield f'Dhcp Server Add Optiondef {each["OptionId"]} "{each["Name"]}" {each["Type"].upper()}'
    for each in server.records["v4Scope"]:
        scope = f"Dhcp Server Scope {each['ScopeId']}"
        yield f'Dhcp Server add scope {each["ScopeId"]} {each["SubnetMask"]} "{each["Name"]}" "{each["Description"]}"'
        yield f"{scope} Add iprange {each['StartRange']} {each['EndRange']}"
        for below in server.of("v4ExclusionRange", ScopeId=each["ScopeId"]):
            yield f"{scope} add excluderange {below['StartRange']} {below['EndRange']}"
        for below in server.of("v4Reservation", ScopeId=each["ScopeId"]):
            client = below["ClientId"].replace("-", "")
            yield f'{scope} Add reservedip {below["IPAddress"]} {client} "{below["Name"]}" "" "{below["Type"].upper()}"'
    for each in server.records["v4OptionValue"]:
        yield _option(each)


def _option(each: Record) -> str:
    values = " ".join(f'"{value}"' for value in each["Value"])
    what = f"{each['OptionId']} {each['Type'].upper()} {values}"
    if each.get("@ReservedIP"):
        return f"Dhcp Server Scope {each.get('@ScopeId')} set reservedoptionvalue {each['@ReservedIP']} {what}"
    if each.get("@ScopeId"):
        return f"Dhcp Server Scope {each['@ScopeId']} set optionvalue {what}"
    return f"Dhcp Server set optionvalue {what}"
