# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""root/Microsoft/Windows/DHCP: the static methods of the PS_ classes, results in cmdletOutput.

https://learn.microsoft.com/previous-versions/windows/desktop/dhcpserverpsprov/dhcp-classes
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from winsim import schema
from winsim.host import Host
from winsim.switches import declare

from .. import CALLER, Embedded, Fault, Instance, Wbem, from_win32
from ..directory import DirectoryError
from . import changes, transfer
from .server import RPC_S_SERVER_UNAVAILABLE, DhcpError, addresses
from .state import FIRST_WITH_PROVIDER, NAMESPACE, ROLE, TOOLS, dhcp
from .views import VIEWS, View, authorized, shown

__all__ = ["target_of", "tools"]

PAGE = "dhcp_migrate"
TRUNCATED_TO = 100

declare(
    "dhcp.computer_name",
    {
        "optional": "a method called without ComputerName means the local server",
        "required": "it is refused as an invalid parameter",
        "leases": "it is refused by the lease and reservation classes only",
    },
    open_question="whether ComputerName may be left out over WS-Management, for every class",
    page=PAGE,
)
declare(
    "dhcp.large_output",
    {
        "fault": "an answer over the envelope's size is refused as any other",
        "truncated": f"cmdletOutput holds the first {TRUNCATED_TO} objects and nothing says that there are more",
    },
    open_question="how a large cmdletOutput array arrives",
    page=PAGE,
)
declare(
    "dhcp.error",
    {
        "hresult": "an error is a fault with the HRESULT of its Win32 number",
        "win32": "a fault with the Win32 number itself",
        "return_value": "no fault: ReturnValue is the Win32 number",
    },
    open_question="how the provider's errors arrive over WS-Management",
    page=PAGE,
)


def tools(host: Host) -> bool:
    """Whether the provider and the module DhcpServer are there: with the role, or with its tools alone."""
    return host.build >= FIRST_WITH_PROVIDER and (host.has_feature(ROLE) or host.has_feature(TOOLS))


dhcp.available(NAMESPACE)(tools)


def target_of(host: Host, computer_name: str | None) -> Host:
    """The host that a call is for. Raises DhcpError where it is another one and the credentials stay here."""
    name = (computer_name or "").lower()
    if name in ("", ".", "localhost", host.name.lower(), host.fqdn.lower()) or name in addresses(host):
        return host
    for other in host.fleet.hosts.values():
        if name in (other.name.lower(), other.fqdn.lower(), *addresses(other)) and CALLER.get().delegated:
            return other
    raise DhcpError(RPC_S_SERVER_UNAVAILABLE, "The RPC server is unavailable.")


Answer = Callable[[Host, Instance], Instance]


def method(ps_class: str, *names: str) -> Callable[[Answer], Answer]:
    """Tie a function to static methods of a PS_ class: ReturnValue 0 with what it gives, or the error it raises."""

    def decorate(answer: Answer) -> Answer:
        declared = schema.load().find(26100, NAMESPACE, ps_class)
        assert declared is not None
        for name in names:
            found = declared.method(name)
            assert found is not None, f"{ps_class}.{name}"
            takes_name = found.parameter("ComputerName") is not None

            def run(host: Host, instance: Instance | None, inputs: Instance, takes_name: bool = takes_name) -> Instance:
                given = {key: value for key, value in inputs.items() if value is not None}
                if takes_name and "ComputerName" not in given and _needs_name(host, ps_class):
                    raise Fault(Wbem.INVALID_PARAMETER, f"{ps_class}: ComputerName")
                try:
                    return {"ReturnValue": 0, **answer(target_of(host, given.pop("ComputerName", None)), given)}
                except (DhcpError, DirectoryError) as error:
                    return _refused(host, error)

            dhcp.method(NAMESPACE, ps_class, name)(run)
        return answer

    return decorate


def _needs_name(host: Host, ps_class: str) -> bool:
    position = host.switches["dhcp.computer_name"]
    return position == "required" or (position == "leases" and ps_class.endswith(("v4Lease", "v4Reservation")))


def _refused(host: Host, error: DhcpError | DirectoryError) -> Instance:
    form = host.switches["dhcp.error"]
    if form == "return_value":
        return {"ReturnValue": error.number}
    text = getattr(error, "text", "")
    raise Fault(from_win32(error.number) if form == "hresult" else error.number, text)


def output(host: Host, data_class: str, records: Iterable[Instance]) -> Instance:
    """cmdletOutput as an array."""
    found = [Embedded(data_class, record) for record in records]
    if host.switches["dhcp.large_output"] == "truncated":
        del found[TRUNCATED_TO:]
    return {"cmdletOutput": found or None}


def _play(view: View) -> None:
    ps_class = f"PS_{view.data_class}"
    declared = schema.load().find(26100, NAMESPACE, ps_class)
    found = declared.method(view.methods[0]) if declared is not None else None
    parameter = found.parameter("cmdletOutput") if found is not None else None
    assert parameter is not None, ps_class

    @method(ps_class, *view.methods)
    def answer(host: Host, inputs: Instance) -> Instance:
        records = view.records(host, inputs)
        if parameter.array:
            return output(host, view.data_class, records)
        return {"cmdletOutput": Embedded(view.data_class, records[0]) if records else None}


for _view in VIEWS:
    _play(_view)


@method("PS_DhcpServer", "Backup")
def backup(host: Host, inputs: Instance) -> Instance:
    transfer.backup(host, inputs["Path"])
    return {}


@method("PS_DhcpServer", "Restore")
def restore(host: Host, inputs: Instance) -> Instance:
    transfer.restore(host, inputs["Path"])
    return {}


@method("PS_DhcpServerInDC", "Get")
def listed(host: Host, inputs: Instance) -> Instance:
    return output(host, "DhcpServerInDC", authorized(host))


@method("PS_DhcpServerInDC", "Add")
def add(host: Host, inputs: Instance) -> Instance:
    """Already authorized is a warning, which WS-Management does not carry."""
    record, _ = changes.add_in_dc(host, inputs)
    return {"cmdletOutput": Embedded("DhcpServerInDC", record)} if inputs.get("PassThru") else {}


@method("PS_DhcpServerInDC", "Remove")
def remove(host: Host, inputs: Instance) -> Instance:
    record, _ = changes.remove_in_dc(host, inputs)
    return {"cmdletOutput": Embedded("DhcpServerInDC", record)} if inputs.get("PassThru") else {}


@method("PS_DhcpServerv4Failover", "Remove")
def remove_failover(host: Host, inputs: Instance) -> Instance:
    removed = [shown("DhcpServerv4Failover", each) for each in changes.remove_failover(host, inputs)]
    return output(host, "DhcpServerv4Failover", removed) if inputs.get("PassThru") else {}


@method("PS_DhcpServerSecurityGroup", "Add")
def add_security_groups(host: Host, inputs: Instance) -> Instance:
    changes.add_security_groups(host)
    return {}
