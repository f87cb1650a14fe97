# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which cmdlets a release has, and what PowerShell makes of a command's arguments."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import pytest
from winsim import Fleet, cmdlets
from winsim.cmdlets import Binding, BindingError
from winsim.host import Host
from winsim.providers import EnumValue, ErrorRecord, Provider, PSObject, Registry
from winsim.psrp import Credential, Secret, generic

NOTHING: dict[str, Any] = {}
VM = PSObject(
    ("Microsoft.HyperV.PowerShell.VirtualMachine", "Microsoft.HyperV.PowerShell.VirtualizationObject"),
    {"Name": "web01", "ComputerName": "HV1"},
    text="web01",
)


def bind(name: str, /, *positional: Any, release: int = 2022, expects_input: bool = False, **named: Any) -> Binding:
    cmdlet = cmdlets.find(name, release, lambda found: True)
    arguments = [*named.items(), *((None, value) for value in positional)]
    return cmdlets.bind(cmdlet, release, arguments, expects_input)


def bound(name: str, /, *positional: Any, **named: Any) -> dict[str, Any]:
    return dict(bind(name, *positional, **named).parameters)


def refusal(name: str, /, *positional: Any, **named: Any) -> BindingError:
    with pytest.raises(BindingError) as refused:
        bind(name, *positional, **named)
    return refused.value


# What exists


@pytest.mark.parametrize(
    ("build", "year"),
    [(7601, 2008), (9600, 2012), (14393, 2016), (17763, 2019), (20348, 2022), (25398, 2022), (26100, 2025)],
)
def test_each_build_has_the_docset_of_its_release(build: int, year: int) -> None:
    assert cmdlets.docset(build) == year


@pytest.mark.parametrize(
    ("name", "release", "there"),
    [
        ("Set-ClusterParameter", 2008, True),
        ("Set-ClusterAffinityRule", 2019, False),
        ("Set-ClusterAffinityRule", 2022, True),
        ("Get-DhcpServerv4Scope", 2008, False),
        ("Get-DhcpServerv4Scope", 2012, True),
        ("Install-WindowsFeature", 2016, True),
        ("Set-ClusterNonsense", 2022, False),
        (r"FailoverClusters\Get-Cluster", 2022, True),
        (r"Hyper-V\Get-Cluster", 2022, False),
    ],
)
def test_a_cmdlet_exists_where_it_is_documented(name: str, release: int, there: bool) -> None:
    if there:
        assert cmdlets.find(name, release, lambda found: True).name == name.rpartition("\\")[2]
        return
    with pytest.raises(BindingError) as refused:
        cmdlets.find(name, release, lambda found: True)
    assert (refused.value.identifier, refused.value.category) == ("CommandNotFoundException", "ObjectNotFound")


def test_a_cmdlet_of_a_module_that_is_not_installed_is_not_found() -> None:
    with pytest.raises(BindingError) as refused:
        cmdlets.find("Get-Cluster", 2022, lambda found: False)
    assert refused.value.target == "Get-Cluster"


def test_a_parameter_exists_where_it_is_documented() -> None:
    assert bound("New-NetFirewallRule", DisplayName="x", RemoteDynamicKeywordAddresses="y")
    error = refusal("New-NetFirewallRule", release=2019, DisplayName="x", RemoteDynamicKeywordAddresses="y")
    assert error.identifier == "NamedParameterNotFound,New-NetFirewallRule"


# Names and positions


def test_names_ignore_case_take_aliases_and_unambiguous_beginnings() -> None:
    assert bound("get-service", name="x") == {"Name": ["x"]}
    assert bound("Get-Service", ServiceName="x") == {"Name": ["x"]}
    assert bound("Get-Service", RequiredS=None) == {"RequiredServices": True}
    assert bind("Get-Service", ea="Stop").common.error_action == "stop"


@pytest.mark.parametrize(
    ("named", "identifier"),
    [
        ({"Nonsense": 1}, "NamedParameterNotFound"),
        ({"D": None}, "AmbiguousParameter"),
        ({"Name": "x", "ServiceName": "y"}, "ParameterAlreadyBound"),
        ({"Name": None}, "MissingArgument"),
        ({"Name": "x", "DisplayName": "y"}, "AmbiguousParameterSet"),
    ],
)
def test_names_that_do_not_resolve(named: dict[str, Any], identifier: str) -> None:
    error = refusal("Get-Service", **named)
    assert error.identifier == f"{identifier},Microsoft.PowerShell.Commands.GetServiceCommand"
    assert (error.category, error.exception) == (
        "InvalidArgument",
        "System.Management.Automation.ParameterBindingException",
    )


def test_positions_follow_the_parameter_set() -> None:
    assert bound("Set-ClusterParameter", "OfflineAction", 1) == {"Name": "OfflineAction", "Value": 1}
    assert bound("Set-ClusterParameter", {"OfflineAction": 1}) == {"Multiple": {"OfflineAction": 1}}
    assert refusal("Get-ClusterResource", "a", "b").identifier.startswith("PositionalParameterNotFound")


def test_mandatory_parameters() -> None:
    error = refusal("Remove-NetFirewallRule", Whatever=1)
    assert error.identifier.startswith("NamedParameterNotFound")
    error = refusal("Add-DhcpServerv4Scope", Name="x", StartRange="10.0.0.1", EndRange="10.0.0.9")
    assert error.identifier == "MissingMandatoryParameter,Add-DhcpServerv4Scope"
    assert "SubnetMask" in str(error)
    assert refusal("Test-Path", LiteralPath="").identifier.startswith("ParameterArgumentValidationErrorEmptyString")


def test_common_parameters_are_no_parameters_of_the_cmdlet() -> None:
    binding = bind("Remove-ClusterGroup", Name="g", Verbose=None, WhatIf=None, Confirm=False, WarningAction=0)
    assert binding.parameters == {"Name": ["g"]}
    assert binding.common == cmdlets.Common(warning_action="silentlycontinue", verbose=True, what_if=True)
    assert refusal("Get-Cluster", ErrorAction="Perhaps").identifier.startswith("CannotConvertArgumentNoMessage")


def test_the_sets_of_item_cmdlets_are_one_for_all_providers() -> None:
    assert bound("Test-Path", LiteralPath=r"C:\x") == {"LiteralPath": [r"C:\x"]}
    assert bound("Copy-Item", r"C:\x", r"C:\y") == {"Path": [r"C:\x"], "Destination": r"C:\y"}
    assert refusal("Test-Path").identifier.startswith("MissingMandatoryParameter")
    assert refusal("Test-Path", Path="a", LiteralPath="b").identifier.startswith("AmbiguousParameterSet")


# Values


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        ("String", 5, "5"),
        ("String", EnumValue("T", "Online", 2), "Online"),
        ("String[]", "a", ["a"]),
        ("StringCollection", ["a", 1], ["a", "1"]),
        ("UInt32", "0x10", 16),
        ("Int32", "-7", -7),
        ("Boolean", 0, False),
        ("SwitchParameter", None, True),
        ("SwitchParameter", False, False),
        ("Double", "1.5", 1.5),
        ("DateTime", "01/31/2026", datetime.datetime(2026, 1, 31)),  # noqa: DTZ001 (of unspecified kind)
        ("TimeSpan", "8.00:00:00", datetime.timedelta(days=8)),
        ("Guid", "{00000000-0000-0000-0000-000000000001}", uuid.UUID(int=1)),
        ("IPAddress", "10.0.0.1", "10.0.0.1"),
        ("IPAddress[]", ["10.0.0.1", "fe80::1"], ["10.0.0.1", "fe80::1"]),
        ("Byte[]", [0, 255], b"\x00\xff"),
        ("Object[]", b"\x00\xff", [0, 255]),
        ("ADComputer", "DC1", "DC1"),
        ("Hashtable", {"a": 1}, {"a": 1}),
        ("VirtualMachine[]", VM, [VM]),
        ("PSObject", VM, VM),
    ],
)
def test_values_become_the_type_of_the_parameter(kind: str, given: Any, value: Any) -> None:
    assert cmdlets.convert(kind, given) == value


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("Boolean", "True"),
        ("SwitchParameter", "yes"),
        ("UInt32", -1),
        ("UInt16", 65536),
        ("Int32", "seven"),
        ("String", ["a", "b"]),
        ("DateTime", "soon"),
        ("TimeSpan", "a while"),
        ("Guid", "1"),
        ("IPAddress", "10.0.0.256"),
        ("SecureString", "in clear"),
        ("PSCredential", "Administrator"),
        ("Hashtable", "a=1"),
        ("VirtualMachine", "web01"),
        ("VirtualMachine", PSObject(("Deserialized.Microsoft.HyperV.PowerShell.VirtualMachine",), {"Name": "web01"})),
        ("CimSession[]", "host"),
    ],
)
def test_values_that_do_not_convert_are_refused(kind: str, given: Any) -> None:
    with pytest.raises(cmdlets.NotConvertibleError):
        cmdlets.convert(kind, given)


def test_a_function_and_a_cmdlet_refuse_a_value_each_in_its_way() -> None:
    assert refusal("Get-DhcpServerv4Lease", ScopeId="ten").identifier == (
        "ParameterArgumentTransformationError,Get-DhcpServerv4Lease"
    )
    error = refusal("Restart-Computer", Timeout="long")
    assert error.identifier.startswith("CannotConvertArgumentNoMessage,")
    assert error.category == "InvalidArgument"


def test_accepted_values_ignore_case_and_nothing_else_is_accepted() -> None:
    assert bound("Set-Service", Name="x", StartupType="AUTOMATIC")["StartupType"] == "Automatic"
    assert bound("Add-DhcpServerv4Scope", "10.0.0.1", "10.0.0.9", "255.255.255.0", "n", State="inactive")["State"] == (
        "InActive"
    )
    assert refusal("Set-Service", Name="x", StartupType="Sometimes").category == "InvalidArgument"


def test_a_secret_shows_in_no_representation() -> None:
    secret = Secret("S3cret")
    assert secret == "S3cret"
    assert "S3cret" not in repr([secret, Credential("u", secret)])
    assert "S3cret" not in str(refusal("Get-Service", Name=secret))


# Pipeline input


def test_an_object_binds_by_value_where_its_type_fits() -> None:
    binding = bind("Checkpoint-VM", SnapshotName="s", expects_input=True)
    assert binding.with_input(VM) == {"VM": [VM], "SnapshotName": "s"}


def test_text_binds_by_value_and_an_object_by_its_properties() -> None:
    binding = bind("Stop-Service", expects_input=True)
    assert binding.with_input("DHCPServer") == {"Name": ["DHCPServer"]}
    assert binding.with_input(PSObject(("Contoso.Thing",), {"Name": "DNS"}))["Name"] == ["DNS"]


def test_input_that_fits_nothing_is_refused_alone() -> None:
    binding = bind("Get-Cluster", expects_input=True)
    with pytest.raises(BindingError) as refused:
        binding.with_input(5)
    assert refused.value.identifier.startswith("InputObjectNotBound")


# PowerShell's own cmdlets


def stream(name: str, /, *items: Any, **named: Any) -> list[Any]:
    host = Fleet.load({"hosts": {"N1": NOTHING}}).host("N1")
    parameters = bind(name, expects_input=True, **named).parameters
    return list(generic.STREAMS[name.lower()](generic.Runspace(host), parameters, iter(items)))


ONLINE = PSObject(("R",), {"Name": "a", "State": EnumValue("S", "Online", 2), "Count": 10}, text="a")
OFFLINE = PSObject(("R",), {"Name": "B", "State": EnumValue("S", "Offline", 3), "Count": 9}, text="B")


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({"Property": "Name", "EQ": None, "Value": "b"}, [OFFLINE]),
        ({"Property": "Name", "CEQ": None, "Value": "b"}, []),
        ({"Property": "State", "EQ": None, "Value": "Online"}, [ONLINE]),
        ({"Property": "State", "NE": None, "Value": 2}, [OFFLINE]),
        ({"Property": "Count", "GT": None, "Value": 9}, [ONLINE]),
        ({"Property": "Name", "Like": None, "Value": "A*"}, [ONLINE]),
        ({"Property": "Name", "Match": None, "Value": "^[ab]$"}, [ONLINE, OFFLINE]),
        ({"Property": "Name", "In": None, "Value": ["a", "c"]}, [ONLINE]),
        ({"Property": "Count"}, [ONLINE, OFFLINE]),
        ({"Property": "Nonsense", "EQ": None, "Value": "a"}, []),
    ],
)
def test_where_object(named: dict[str, Any], expected: list[PSObject]) -> None:
    assert stream("Where-Object", ONLINE, OFFLINE, **named) == expected


def test_select_object() -> None:
    (selected,) = stream("Select-Object", ONLINE, OFFLINE, First=1, Property=["Name", "Missing"])
    assert selected == PSObject(
        ("Selected.R", "System.Management.Automation.PSCustomObject"), notes={"Name": "a", "Missing": None}
    )
    assert stream("Select-Object", ONLINE, OFFLINE, ExpandProperty="Name") == ["a", "B"]
    assert stream("Select-Object", ONLINE, OFFLINE, Last=1) == [OFFLINE]
    (error,) = stream("Select-Object", ONLINE, ExpandProperty="Missing")
    assert isinstance(error, ErrorRecord)
    assert error.error_id == "ExpandPropertyNotFound"


def test_foreach_object_reads_a_property() -> None:
    assert stream("ForEach-Object", ONLINE, OFFLINE, MemberName="Count") == [10, 9]


def test_get_command_and_import_module_tell_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry()
    monkeypatch.setattr(generic, "providers", registry)

    @Provider("stage", registry).cmdlet("Get-Cluster")
    def get(host: Host, parameters: dict[str, Any], items: list[Any]) -> list[Any]:
        return []

    assert [str(found.text) for found in stream("Get-Command", Name="get-cluster*")] == ["Get-Cluster"]
    assert stream("Get-Command", Name="Get-VM")[0].error_id == "CommandNotFoundException"
    assert stream("Import-Module", Name="FailoverClusters") == []
    assert stream("Import-Module", Name="Hyper-V")[0].error_id == "Modules_ModuleNotFound"
    assert "FailoverClusters" in [found.text for found in stream("Get-Module", ListAvailable=None)]
