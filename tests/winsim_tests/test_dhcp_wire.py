# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""DHCP servers over real connections: large answers, netsh, groups, pings, second hops."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

import pytest
from pypsrp.exceptions import WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.shell import Process, SignalCode, WinRS
from pypsrp.wsman import OptionSet, SelectorSet, WSMan
from winsim import Fleet, serve
from winsim.http import Served
from winsim.providers.dhcp import Server

CIMV2 = "root/cimv2"
DHCP = "root/Microsoft/Windows/DHCP"
WMI = "http://schemas.microsoft.com/wbem/wsman/1/wmi/"
COUNT = 1500


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    scope = {"ScopeId": "10.1.0.0", "SubnetMask": "255.255.0.0", "StartRange": "10.1.0.10", "EndRange": "10.1.255.200"}
    fleet = Fleet.load({
        "domain": "corp.example",
        "directory": {"servers": [{"name": "old.corp.example", "ip": "192.0.2.1"}]},
        "hosts": {
            "old": {"features": ["DHCP"], "dhcp": {"scopes": [{**scope, "leases": COUNT}]},
                    "groups": {"DHCP Users": ["CORP\\ops"]}},
            "r2": {"build": 7601, "features": ["DHCP"], "language": "de-DE",
                   "dhcp": {"scopes": [{**scope, "leases": 3, "reservations": 1, "options": {3: ["10.1.0.1"]}}]}},
            "dc1": {"features": ["RSAT-DHCP"], "directory_role": {"domain_controller": True}},
        },
    })  # fmt: skip
    with serve(fleet) as served:
        yield served


def wsman(served: Served, host: str) -> WSMan:
    user, password = "Administrator", "Winsim-2026"
    return WSMan(
        served.address(host), port=served.http_port(host), username=user, password=password, ssl=False, auth="ntlm",
        no_proxy=True,
    )  # fmt: skip


def run(served: Served, host: str, name: str, **parameters: Any) -> tuple[list[Any], list[str]]:
    with wsman(served, host) as connection, RunspacePool(connection) as pool:
        shell = PowerShell(pool)
        shell.add_cmdlet(name).add_parameters(parameters)
        output = shell.invoke()
        return output, [str(each.fq_error) for each in shell.streams.error]


def invoke(served: Served, host: str, cls: str, method: str, **inputs: str) -> ET.Element:
    uri = f"{WMI}{DHCP}/{cls}"
    body = ET.Element(f"{{{uri}}}{method}_INPUT")
    for name, value in inputs.items():
        ET.SubElement(body, f"{{{uri}}}{name}").text = value
    with wsman(served, host) as connection:
        answer: ET.Element = connection.invoke(f"{uri}/{method}", uri, body, OptionSet(), SelectorSet())
    return answer


def command(served: Served, host: str, *arguments: str) -> tuple[str, int | None]:
    with wsman(served, host) as connection, WinRS(connection, codepage=65001) as shell:
        process = Process(shell, "netsh.exe", list(arguments))
        process.invoke()
        process.signal(SignalCode.CTRL_C)
        return process.stdout.decode(), process.rc


def query(served: Served, host: str, text: str) -> list[dict[str, str]]:
    with wsman(served, host) as connection:
        uri = f"{WMI}{CIMV2}/*"
        enumerate_ns = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
        management_ns = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
        body = ET.Element(f"{{{enumerate_ns}}}Enumerate")
        ET.SubElement(body, f"{{{management_ns}}}OptimizeEnumeration")
        ET.SubElement(body, f"{{{management_ns}}}MaxElements").text = "32000"
        dialect = {"Dialect": "http://schemas.microsoft.com/wbem/wsman/1/WQL"}
        ET.SubElement(body, f"{{{management_ns}}}Filter", dialect).text = text
        answer = connection.enumerate(uri, body, OptionSet(), SelectorSet())
    items = answer.find(f".//{{{management_ns}}}Items")
    found = list(items) if items is not None else []
    return [{each.tag.rpartition("}")[2]: each.text or "" for each in item} for item in found]


def test_many_leases_arrive_whole_through_the_cmdlet(served: Served) -> None:
    output, errors = run(served, "old", "Get-DhcpServerv4Lease", ScopeId="10.1.0.0", AllLeases=True)
    assert errors == []
    assert len(output) == COUNT
    held = served.fleet.host("old").state(Server).leases
    assert {each.adapted_properties["IPAddress"] for each in output} == set(held)


def test_many_leases_do_not_fit_into_one_cim_answer_or_are_cut(served: Served) -> None:
    host = served.fleet.host("old")
    with pytest.raises(WSManFaultError):
        invoke(served, "old", "PS_DhcpServerv4Lease", "GetByScopeId", ScopeId="10.1.0.0", AllLeases="true")
    host.switches["dhcp.large_output"] = "truncated"
    answer = invoke(served, "old", "PS_DhcpServerv4Lease", "GetByScopeId", ScopeId="10.1.0.0", AllLeases="true")
    del host.switches["dhcp.large_output"]
    leases = [each for each in answer.iter() if each.tag.endswith("}cmdletOutput")]
    assert len(leases) == 100
    assert answer.find(f".//{{{WMI}{DHCP}/PS_DhcpServerv4Lease}}ReturnValue").text == "0"  # type: ignore[union-attr]


@pytest.mark.parametrize(("position", "cls", "refused"), [
    ("optional", "PS_DhcpServerv4Scope", False), ("required", "PS_DhcpServerv4Scope", True),
    ("leases", "PS_DhcpServerv4Scope", False),
])  # fmt: skip
def test_the_computer_name_may_be_needed(served: Served, position: str, cls: str, refused: bool) -> None:
    host = served.fleet.host("old")
    host.switches["dhcp.computer_name"] = position
    try:
        if refused:
            with pytest.raises(WSManFaultError):
                invoke(served, "old", cls, "Get")
        else:
            invoke(served, "old", cls, "Get")
        invoke(served, "old", cls, "Get", ComputerName="old.corp.example")
    finally:
        del host.switches["dhcp.computer_name"]


def test_ntlm_reads_the_list_on_the_domain_controller_only(served: Served) -> None:
    assert run(served, "old", "Get-DhcpServerInDC")[1] == ["DHCP 20070,Get-DhcpServerInDC"]
    (entry,), errors = run(served, "dc1", "Get-DhcpServerInDC")
    assert errors == []
    assert entry.adapted_properties["DnsName"] == "old.corp.example"


def test_netsh_exits_with_0_whatever_happens_and_speaks_the_host_s_language(served: Served) -> None:
    dump, code = command(served, "r2", "dhcp", "server", "dump")
    assert code == 0
    lines = [line.lower() for line in dump.splitlines()]
    assert [sum(word in line for line in lines) for word in ("add scope", "add iprange", "add reservedip")] == [1, 1, 1]
    assert sum("set optionvalue" in line for line in lines) == 1
    clients, _ = command(served, "r2", "dhcp", "server", "scope", "10.1.0.0", "show", "clients", "1")
    assert sum(line.startswith("10.1.") for line in clients.splitlines()) == 4
    failed, code = command(served, "r2", "dhcp", "server", "backup", "C:\\missing")
    assert code == 0
    assert "nicht erfolgreich" in failed
    assert command(served, "r2", "dhcp", "show", "server")[1] == 0
    with pytest.raises(WSManFaultError):
        invoke(served, "r2", "PS_DhcpServerv4Scope", "Get")


def test_members_of_the_dhcp_groups_can_be_found_by_sid(served: Served) -> None:
    (group,) = query(served, "old", "SELECT Domain, Name, SID FROM Win32_Group WHERE Name = 'DHCP Users'")
    assert group["SID"].startswith("S-1-5-21-")
    path = 'Win32_Group.Domain="OLD",Name="DHCP Users"'
    (member,) = query(served, "old", f"SELECT * FROM Win32_GroupUser WHERE GroupComponent = '{path}'")
    assert "PartComponent" in member
    (account,) = query(served, "old", "SELECT SID FROM Win32_Account WHERE Domain = 'CORP' AND Name = 'ops'")
    assert account["SID"].startswith("S-1-5-21-")


@pytest.mark.parametrize(("address", "status"), [("192.0.2.3", "0"), ("192.0.2.99", "11010")])
def test_a_ping_is_answered_by_who_has_the_address(served: Served, address: str, status: str) -> None:
    text = f"SELECT StatusCode FROM Win32_PingStatus WHERE Address='{address}' AND Timeout=1000"
    assert query(served, "old", text) == [{"StatusCode": status}]
