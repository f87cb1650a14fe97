# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module DhcpServer: the same answers as the PS_ classes, as objects.

https://learn.microsoft.com/powershell/module/dhcpserver/ . An error's id is `WIN32 <number>`, or `DHCP <number>` for
the range of DHCP itself, then the cmdlet's name, as administrators report it.
"""

from __future__ import annotations

import ntpath
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from winsim.host import Host
from winsim.psrp.objects import Wait

from .. import ErrorRecord, PSObject, VerboseMessage, WarningMessage
from ..directory import DirectoryError
from . import changes, transfer
from .classes import target_of, tools
from .server import DhcpError
from .state import NAMESPACE, Record, dhcp, server_of
from .views import VIEWS, View, authorized, shown

__all__ = ["as_object"]

Inputs = dict[str, Any]
Play = Callable[[Host, Inputs], Iterable[Any]]

CIM_INSTANCE = "Microsoft.Management.Infrastructure.CimInstance"
DHCP_ERRORS = range(20000, 20100)
PERMISSION_DENIED = 18


def as_object(data_class: str, record: Record) -> PSObject:
    kinds = (f"{CIM_INSTANCE}#{NAMESPACE}/{data_class}", f"{CIM_INSTANCE}#{data_class}", CIM_INSTANCE)
    return PSObject(kinds, record, text=data_class)


def cmdlet(name: str) -> Callable[[Play], Play]:
    """Tie (host the call is for, parameters) -> output to a cmdlet of the module."""

    def decorate(play: Play) -> Play:
        def run(host: Host, parameters: Inputs, items: list[Any]) -> Iterator[Any]:
            given = {key: value for key, value in parameters.items() if value is not None}
            computer = given.pop("ComputerName", None)
            try:
                yield from play(target_of(host, computer), given)
            except (DhcpError, DirectoryError) as error:
                yield _record(host, name, error)

        dhcp.cmdlet(name, available=tools)(run)
        return play

    return decorate


def _record(host: Host, name: str, error: DhcpError | DirectoryError) -> ErrorRecord:
    family = "DHCP" if error.number in DHCP_ERRORS else "WIN32"
    reason = getattr(error, "text", "")
    return ErrorRecord(
        f"{name} failed on DHCP server {host.name.lower()}. {reason}".rstrip(),
        f"{family} {error.number},{name}",
        PERMISSION_DENIED if error.number == 5 else 0,
        ("Microsoft.Management.Infrastructure.CimException", "System.Exception"),
        target_name=host.name,
        target_type=f"{NAMESPACE}/PS_{name.partition('-')[2]}",
    )


def _play(view: View) -> None:
    @cmdlet(f"Get-{view.data_class}")
    def answer(host: Host, inputs: Inputs) -> Iterator[PSObject]:
        return (as_object(view.data_class, record) for record in view.records(host, inputs))


for _view in VIEWS:
    _play(_view)


@cmdlet("Backup-DhcpServer")
def backup(host: Host, inputs: Inputs) -> Iterator[Any]:
    yield from _takes(host, "backup")
    transfer.backup(host, inputs["Path"])


@cmdlet("Restore-DhcpServer")
def restore(host: Host, inputs: Inputs) -> Iterator[Any]:
    yield from _takes(host, "restore")
    transfer.restore(host, inputs["Path"])
    yield WarningMessage("The DHCP server service must be restarted to complete the restore operation.")


@cmdlet("Export-DhcpServer")
def export(host: Host, inputs: Inputs) -> Iterator[Any]:
    """The file is written at the end: a server that stops before leaves none."""
    yield VerboseMessage(f"Exporting server configuration of {host.name.lower()}")
    yield from _takes(host, "export")
    transfer.export(host, _local(inputs["File"]), leases=bool(inputs.get("Leases")), force=bool(inputs.get("Force")))


@cmdlet("Import-DhcpServer")
def import_server(host: Host, inputs: Inputs) -> Iterator[Any]:
    yield VerboseMessage(f"Importing server configuration into {host.name.lower()}")
    yield from _takes(host, "import")
    transfer.import_file(
        host,
        _local(inputs["File"]),
        inputs["BackupPath"],
        leases=bool(inputs.get("Leases")),
        overwrite=bool(inputs.get("ScopeOverwrite")),
    )


def _local(path: str) -> str:
    return path if ntpath.splitdrive(path)[0] else f"C:\\{path.lstrip(chr(92))}"


def _takes(host: Host, operation: str) -> Iterator[Wait]:
    server = server_of(host)
    seconds = server.seconds.get(operation, 0) if server is not None else 0
    if seconds:
        yield Wait(seconds)


@cmdlet("Get-DhcpServerInDC")
def listed(host: Host, inputs: Inputs) -> Iterator[PSObject]:
    return (as_object("DhcpServerInDC", record) for record in authorized(host))


@cmdlet("Add-DhcpServerInDC")
def add_in_dc(host: Host, inputs: Inputs) -> Iterator[Any]:
    record, added = changes.add_in_dc(host, inputs)
    if not added:
        yield WarningMessage(f"The DHCP server {record['DnsName']} is already authorized.")
    if inputs.get("PassThru"):
        yield as_object("DhcpServerInDC", record)


@cmdlet("Remove-DhcpServerInDC")
def remove_in_dc(host: Host, inputs: Inputs) -> Iterator[Any]:
    record, removed = changes.remove_in_dc(host, inputs)
    if not removed:
        yield WarningMessage(f"The DHCP server {record['DnsName']} is already de-authorized.")
    if inputs.get("PassThru"):
        yield as_object("DhcpServerInDC", record)


@cmdlet("Remove-DhcpServerv4Failover")
def remove_failover(host: Host, inputs: Inputs) -> Iterator[PSObject]:
    for record in changes.remove_failover(host, inputs):
        if inputs.get("PassThru"):
            yield as_object("DhcpServerv4Failover", shown("DhcpServerv4Failover", record))


@cmdlet("Add-DhcpServerSecurityGroup")
def add_security_groups(host: Host, inputs: Inputs) -> Iterator[Any]:
    changes.add_security_groups(host)
    return iter(())


@cmdlet("Add-DhcpServerv4Scope")
def add_scope(host: Host, inputs: Inputs) -> Iterator[PSObject]:
    record = changes.add_scope(host, inputs)
    if inputs.get("PassThru"):
        yield as_object("DhcpServerv4Scope", shown("DhcpServerv4Scope", record))


@cmdlet("Remove-DhcpServerv4Scope")
def remove_scope(host: Host, inputs: Inputs) -> Iterator[PSObject]:
    for record in changes.remove_scopes(host, inputs):
        if inputs.get("PassThru"):
            yield as_object("DhcpServerv4Scope", shown("DhcpServerv4Scope", record))


@cmdlet("Add-DhcpServerv4Lease")
def add_lease(host: Host, inputs: Inputs) -> Iterator[PSObject]:
    changes.add_lease(host, inputs)
    return iter(())
