# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Roles and features: Get-, Install- and Uninstall-WindowsFeature since Windows Server 2012, dism.exe in any case.

Section `feature_setup` of a host; what is installed stands under `features`:

    feature_setup: {restart: [DHCP], unavailable: [Migration], seconds: 20}

`restart`: installing or removing it takes effect with the next start only.
https://learn.microsoft.com/powershell/module/servermanager/install-windowsfeature
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from winsim.fleet import mapping, number, sequence, text
from winsim.host import Host
from winsim.psrp.objects import PSObject as PSObjectType
from winsim.psrp.objects import Wait
from winsim.switches import declare

from . import EnumValue, ErrorRecord, Output, Provider, PSObject
from .dism import ERROR_SUCCESS_REBOOT_REQUIRED, command
from .registry import RegistryState

__all__ = ["Setup", "on_install", "on_remove", "set_feature"]

features = Provider("features")

FIRST_WITH_CMDLETS = 9200
COMMANDS = "Microsoft.Windows.ServerManager.Commands"
SERVICING = "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Component Based Servicing"
REBOOT_PENDING = f"{SERVICING}\\RebootPending"
ERROR_UNKNOWN_FEATURE = 0x800F080C

declare(
    "features.dism_dhcp_name",
    {name: f"dism.exe calls the DHCP server {name}" for name in ("DHCPServer", "DHCPServerCore")},
    open_question="the name that dism.exe has for the DHCP server on Windows Server 2008 R2",
    page="dhcp_migrate",
)

# Name, display name, kind, and the tools that -IncludeManagementTools brings along.
CATALOGUE: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("AD-Domain-Services", "Active Directory Domain Services", "Role", ("RSAT-AD-PowerShell",)),
    ("DHCP", "DHCP Server", "Role", ("RSAT-DHCP",)),
    ("DNS", "DNS Server", "Role", ("RSAT-DNS-Server",)),
    ("Hyper-V", "Hyper-V", "Role", ("Hyper-V-PowerShell",)),
    ("Failover-Clustering", "Failover Clustering", "Feature", ("RSAT-Clustering-PowerShell",)),
    ("Migration", "Windows Server Migration Tools", "Feature", ()),
    ("NLB", "Network Load Balancing", "Feature", ("RSAT-NLB",)),
    ("RSAT-DHCP", "DHCP Server Tools", "Feature", ()),
    ("RSAT-DNS-Server", "DNS Server Tools", "Feature", ()),
)


@dataclass
class Setup:
    """`pending` maps a feature to whether it will be there after the next start."""

    restart: list[str] = field(default_factory=list)
    unavailable: list[str] = field(default_factory=list)
    seconds: float = 0.0
    pending: dict[str, bool] = field(default_factory=dict)


@features.section("feature_setup", Setup)
def build(host: Host, data: Any, path: str) -> Setup:
    given = mapping(data, path, {"restart", "unavailable", "seconds"})
    setup = Setup(seconds=number(given.get("seconds", 0), f"{path}.seconds"))
    for key in ("restart", "unavailable"):
        setattr(setup, key, [text(each, f"{path}.{key}") for each in sequence(given.get(key), f"{path}.{key}")])
    return setup


Hook = Callable[[Host], None]
_installs: dict[str, list[Hook]] = {}
_removals: dict[str, list[Hook]] = {}


def on_install(name: str) -> Callable[[Hook], Hook]:
    """(host) -> None, called when the feature has become part of the host."""

    def decorate(function: Hook) -> Hook:
        _installs.setdefault(name.lower(), []).append(function)
        return function

    return decorate


def on_remove(name: str) -> Callable[[Hook], Hook]:
    def decorate(function: Hook) -> Hook:
        _removals.setdefault(name.lower(), []).append(function)
        return function

    return decorate


def set_feature(host: Host, name: str, *, there: bool) -> None:
    """Make the feature part of the host or take it away, now."""
    if host.has_feature(name) == there:
        return
    if there:
        host.profile.features.append(name)
    else:
        host.profile.features = [each for each in host.profile.features if each.lower() != name.lower()]
    for hook in (_installs if there else _removals).get(name.lower(), ()):
        hook(host)


def _change(host: Host, names: Iterable[str], *, there: bool) -> tuple[list[str], bool]:
    """(what changed, whether a restart is needed)."""
    setup = host.state(Setup)
    slow = {each.lower() for each in setup.restart}
    changed, restart = [], False
    for name in names:
        if setup.pending.get(name, host.has_feature(name)) == there:
            restart |= name in setup.pending
            continue
        changed.append(name)
        if name.lower() in slow:
            setup.pending[name] = there
            host.state(RegistryState).make(REBOOT_PENDING)
            restart = True
        else:
            set_feature(host, name, there=there)
    return changed, restart


@features.boot
def finish(host: Host) -> None:
    """What waited for a start is done while Windows starts."""
    setup = host.state(Setup)
    for name, there in setup.pending.items():
        set_feature(host, name, there=there)
    setup.pending.clear()
    parent = host.state(RegistryState).key(SERVICING)
    if parent is not None:
        parent.keys.pop("rebootpending", None)


def _known(host: Host) -> dict[str, tuple[str, str, tuple[str, ...]]]:
    missing = {each.lower() for each in host.state(Setup).unavailable}
    found = {name: (shown, kind, tools) for name, shown, kind, tools in CATALOGUE if name.lower() not in missing}
    return found | {name: (name, "Feature", ()) for name in host.profile.features if name not in found}


# The cmdlets


def has_cmdlets(host: Host) -> bool:
    return host.build >= FIRST_WITH_CMDLETS


def _names(given: Any) -> list[str]:
    items = given if isinstance(given, list) else [given]
    return [
        str(each.properties.get("Name", each.text)) if isinstance(each, PSObjectType) else str(each) for each in items
    ]


@features.cmdlet("Get-WindowsFeature", available=has_cmdlets)
def get_feature(host: Host, parameters: dict[str, Any], items: list[Any]) -> Iterator[PSObject]:
    patterns = [each.lower() for each in _names(parameters.get("Name", ["*"]))]
    for name, (shown, kind, _) in _known(host).items():
        if any(fnmatch.fnmatchcase(name.lower(), pattern) for pattern in patterns):
            yield _feature(host, name, shown, kind)


def _feature(host: Host, name: str, shown: str, kind: str) -> PSObject:
    installed = host.has_feature(name)
    state = "Installed" if installed else "Available"
    if name in host.state(Setup).pending:
        state = "InstallPending" if host.state(Setup).pending[name] else "UninstallPending"
    values = {
        "Name": name,
        "DisplayName": shown,
        "FeatureType": kind,
        "Installed": installed,
        "InstallState": EnumValue(f"{COMMANDS}.InstallState", state, 1 if installed else 0),
    }
    return PSObject((f"{COMMANDS}.Feature",), values, text=name)


@features.cmdlet("Install-WindowsFeature", available=has_cmdlets)
def install(host: Host, parameters: dict[str, Any], items: list[Any]) -> Iterator[Any]:
    yield from _run(host, parameters, there=True)


@features.cmdlet("Uninstall-WindowsFeature", available=has_cmdlets)
def uninstall(host: Host, parameters: dict[str, Any], items: list[Any]) -> Iterator[Any]:
    yield from _run(host, parameters, there=False)


def _run(host: Host, parameters: dict[str, Any], *, there: bool) -> Iterator[Any]:
    known = {name.lower(): name for name in _known(host)}
    wanted = []
    for given in _names(parameters["Name"]):
        if given.lower() not in known:
            yield ErrorRecord(
                f"ArgumentNotValid: The role, role service, or feature name is not valid: '{given}'. "
                "The name was not found.",
                "NameDoesNotExist,Microsoft.Windows.ServerManager.Commands.AddWindowsFeatureCommand",
                5,
                ("System.Exception",),
                target=given,
            )
            yield _result(success=False, restart=False, code="InvalidArgs")
            return
        name = known[given.lower()]
        wanted += [name, *(_known(host)[name][2] if parameters.get("IncludeManagementTools") else ())]
    if host.state(Setup).seconds:
        yield Wait(host.state(Setup).seconds)
    changed, restart = _change(host, wanted, there=there)
    code = "NoChangeNeeded" if not changed else "SuccessRestartRequired" if restart else "Success"
    yield _result(success=True, restart=restart, code=code)
    if restart and parameters.get("Restart"):
        host.fleet.clock.after(2, host.reboot)


def _result(*, success: bool, restart: bool, code: str) -> PSObject:
    values = {
        "Success": success,
        "RestartNeeded": EnumValue(f"{COMMANDS}.RestartState", "Yes" if restart else "No", int(restart)),
        "ExitCode": EnumValue(f"{COMMANDS}.FeatureOperationResult+ExitCode", code, 0),
        "FeatureResult": [],
    }
    return PSObject((f"{COMMANDS}.FeatureOperationResult",), values)


# dism.exe


def _dism_names(host: Host) -> dict[str, str]:
    """Names of dism.exe and those of Server Manager."""
    return {
        host.switches["features.dism_dhcp_name"]: "DHCP",
        "DNS-Server-Full-Role": "DNS",
        "FailoverCluster-FullServer": "Failover-Clustering",
        "ServerMigration": "Migration",
    }


@command("/get-features")
def dism_get(host: Host, options: dict[str, str]) -> Output:
    lines = ["", "Deployment Image Servicing and Management tool", "", f"Image Version: {host.version}", ""]
    for name, feature in _dism_names(host).items():
        state = "Enabled" if host.has_feature(feature) else "Disabled"
        lines += [f"Feature Name : {name}", f"State : {state}", ""]
    return Output("\r\n".join(lines) + "\r\n")


@command("/enable-feature")
def dism_enable(host: Host, options: dict[str, str]) -> Output:
    return _dism_change(host, options, there=True)


@command("/disable-feature")
def dism_disable(host: Host, options: dict[str, str]) -> Output:
    return _dism_change(host, options, there=False)


def _dism_change(host: Host, options: dict[str, str], *, there: bool) -> Output:
    names = {name.lower(): feature for name, feature in _dism_names(host).items()}
    feature = names.get(options.get("featurename", "").lower())
    missing = {each.lower() for each in host.state(Setup).unavailable}
    if feature is None or feature.lower() in missing:
        return Output(f"\r\nError: 0x{ERROR_UNKNOWN_FEATURE:08x}\r\n", exit_code=ERROR_UNKNOWN_FEATURE)
    _, restart = _change(host, [feature], there=there)
    return Output("\r\n", exit_code=ERROR_SUCCESS_REBOOT_REQUIRED if restart else 0)
