# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Windows Firewall rules: MSFT_NetFirewallRule and the NetFirewallRule cmdlets (2012 and later), netsh advfirewall.

Section `firewall` of a host: rules by name, what differs from a fresh Windows; null removes one.

    firewall:
      SPPSVC-In-TCP: {enabled: true, profiles: [domain, private], port: 1688}

https://learn.microsoft.com/en-us/windows/win32/fwp/wmi/wfascimprov/msft-netfirewallrule
https://learn.microsoft.com/en-us/troubleshoot/windows-server/networking/netsh-advfirewall-firewall-control-firewall-behavior
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from winsim.fleet import boolean, integer, mapping, sequence, text
from winsim.host import Host

from . import ErrorRecord, Instance, Output, Provider, Terminating
from .netsh import context

__all__ = ["FirewallState", "Rule"]

firewall = Provider("firewall")

NAMESPACE = "root/StandardCimv2"
PROFILES = {"domain": 1, "private": 2, "public": 4}
ANY_PROFILE = 0
ENABLED, DISABLED = 1, 2
INBOUND, OUTBOUND = 1, 2
ALLOW, BLOCK = 2, 4
OBJECT_NOT_FOUND = 13


@dataclass
class Rule:
    """A rule; `profiles` as in MSFT_NetFirewallRule.Profiles: the sum of 1 domain, 2 private, 4 public; 0 any."""

    name: str
    display_name: str
    enabled: bool = True
    profiles: int = ANY_PROFILE
    port: int | None = None
    program: str | None = None
    group: str | None = None
    direction: int = INBOUND
    action: int = ALLOW


@dataclass
class FirewallState:
    """Rules by lower-case name."""

    rules: dict[str, Rule] = field(default_factory=dict)

    def get(self, name: str) -> Rule | None:
        return self.rules.get(name.lower())


@firewall.section("firewall", FirewallState)
def build(host: Host, data: Any, path: str) -> FirewallState:
    state = FirewallState()
    german = host.language == "de-DE"
    service = "Schlüsselverwaltungsdienst" if german else "Key Management Service"
    # It comes with Windows, off on a fresh one: learn.microsoft.com/windows-server/get-started/kms-create-host
    program = "%SystemRoot%\\system32\\sppsvc.exe"
    state.rules["sppsvc-in-tcp"] = Rule(
        "SPPSVC-In-TCP", f"{service} (TCP{'-eingehend' if german else '-In'})", enabled=False,
        profiles=ANY_PROFILE, port=1688, program=program, group="@FirewallAPI.dll,-52000",
    )  # fmt: skip
    for name, given in mapping(data, path).items():
        if given is None:
            state.rules.pop(name.lower(), None)
            continue
        here = f"{path}.{name}"
        item = mapping(given, here, {"enabled", "profiles", "port", "display_name"})
        rule = state.rules.setdefault(name.lower(), Rule(name, name))
        if "enabled" in item:
            rule.enabled = boolean(item["enabled"], f"{here}.enabled")
        if "profiles" in item:
            names = [text(each, f"{here}.profiles", PROFILES) for each in sequence(item["profiles"], here)]
            rule.profiles = sum(PROFILES[each] for each in names)
        if "port" in item:
            rule.port = integer(item["port"], f"{here}.port", 1, 65535)
        rule.display_name = text(item.get("display_name", rule.display_name), f"{here}.display_name")
    return state


@firewall.instances(NAMESPACE, "MSFT_NetFirewallRule")
def rules(host: Host) -> Iterator[Instance]:
    for rule in host.state(FirewallState).rules.values():
        yield {
            "Action": rule.action,
            "CreationClassName": f"MSFT|FW|FirewallRule|{rule.name}",
            "Direction": rule.direction,
            "DisplayGroup": None if rule.group is None else rule.display_name.partition(" (")[0],
            "DisplayName": rule.display_name,
            "ElementName": rule.display_name,
            "Enabled": ENABLED if rule.enabled else DISABLED,
            "InstanceID": rule.name,
            "PolicyRuleName": "",
            "PolicyStoreSource": "PersistentStore",
            "PolicyStoreSourceType": 1,
            "PrimaryStatus": 1,
            "Profiles": rule.profiles,
            "RuleGroup": rule.group,
            "SystemCreationClassName": "",
            "SystemName": "",
        }


def _method(name: str, enabled: bool) -> None:
    @firewall.method(NAMESPACE, "MSFT_NetFirewallRule", name)
    def switch(host: Host, instance: Instance | None, inputs: Instance) -> Instance:
        rule = host.state(FirewallState).get((instance or {})["InstanceID"])
        if rule is not None:
            rule.enabled = enabled
        return {"ReturnValue": 0}


_method("Enable", True)
_method("Disable", False)


def _has_cmdlets(host: Host) -> bool:
    return host.build >= 9200


def _profiles(value: Any) -> int:
    """Profile is an enumeration of flags: `Domain, Private`."""
    words = str(getattr(value, "name", value)).replace(" ", "").lower().split(",")
    return ANY_PROFILE if words == ["any"] else sum(PROFILES[word] for word in words)


def _apply(rule: Rule, parameters: dict[str, Any]) -> None:
    if "Enabled" in parameters:
        rule.enabled = str(getattr(parameters["Enabled"], "name", parameters["Enabled"])) == "True"
    if "Profile" in parameters:
        rule.profiles = _profiles(parameters["Profile"])
    if "LocalPort" in parameters:
        rule.port = int(parameters["LocalPort"][0])
    if "NewDisplayName" in parameters:
        rule.display_name = str(parameters["NewDisplayName"])
    if "Program" in parameters:
        rule.program = str(parameters["Program"])


def _not_found(name: str, cmdlet: str) -> ErrorRecord:
    return ErrorRecord(
        f"No MSFT_NetFirewallRule objects found with property 'InstanceID' equal to '{name}'.",
        f"CmdletizationQuery_NotFound_InstanceID,{cmdlet}",
        category=OBJECT_NOT_FOUND,
        exception=("Microsoft.PowerShell.Cmdletization.CimJobException", "System.Exception"),
        target_name=name,
    )  # fmt: skip


@firewall.cmdlet("New-NetFirewallRule", available=_has_cmdlets)
def new_rule(host: Host, parameters: dict[str, Any], pipeline: list[Any]) -> Iterable[Any]:
    state = host.state(FirewallState)
    name = str(parameters.get("Name", parameters["DisplayName"]))
    if state.get(name) is not None:
        raise Terminating(
            ErrorRecord(
                "Cannot create a file when that file already exists.",
                "Windows System Error 183,New-NetFirewallRule",
                category=28,
                target_name="MSFT_NetFirewallRule",
            )
        )
    rule = Rule(name, str(parameters["DisplayName"]))
    _apply(rule, parameters)
    state.rules[name.lower()] = rule
    return ()


@firewall.cmdlet("Set-NetFirewallRule", available=_has_cmdlets)
def set_rule(host: Host, parameters: dict[str, Any], pipeline: list[Any]) -> Iterable[Any]:
    for name in parameters["Name"]:
        rule = host.state(FirewallState).get(str(name))
        if rule is None:
            yield _not_found(str(name), "Set-NetFirewallRule")
        else:
            _apply(rule, parameters)


@firewall.cmdlet("Remove-NetFirewallRule", available=_has_cmdlets)
def remove_rule(host: Host, parameters: dict[str, Any], pipeline: list[Any]) -> Iterable[Any]:
    for name in parameters["Name"]:
        if host.state(FirewallState).rules.pop(str(name).lower(), None) is None:
            yield _not_found(str(name), "Remove-NetFirewallRule")


@context("advfirewall", "firewall")
def advfirewall(host: Host, arguments: list[str]) -> Output:
    """`add rule`, `delete rule` and `show rule`; the last two end with 1 where no rule has the name."""
    state = host.state(FirewallState)
    verb = [argument.lower() for argument in arguments[:2]]
    given = dict(argument.lower().split("=", 1) for argument in arguments[2:] if "=" in argument)
    name = given.get("name", "")
    if verb == ["add", "rule"] and name:
        profiles = sum(PROFILES[each] for each in given.get("profile", "").split(",") if each in PROFILES)
        port = int(given["localport"]) if given.get("localport", "").isdigit() else None
        state.rules[name] = Rule(name, name, profiles=profiles, port=port)
        return Output(stdout="Ok.\r\n\r\n")
    rule = state.get(name)
    if rule is None:
        german = host.language == "de-DE"
        none = "Keine Regeln stimmen mit den angegebenen Kriterien überein." if german else \
            "No rules match the specified criteria."  # fmt: skip
        return Output(stdout=f"\r\n{none}\r\n\r\n", exit_code=1)
    if verb == ["delete", "rule"]:
        del state.rules[name]
        return Output(stdout="\r\nDeleted 1 rule(s).\r\nOk.\r\n\r\n")
    return Output(stdout=_shown(host, rule))


def _shown(host: Host, rule: Rule) -> str:
    words = ("Regelname", "Aktiviert", "Lokaler Port") if host.language == "de-DE" else \
        ("Rule Name", "Enabled", "LocalPort")  # fmt: skip
    values = (rule.name, "Ja" if host.language == "de-DE" else "Yes", str(rule.port or "Any"))
    return "\r\n" + "".join(f"{f'{word}:':37}{value}\r\n" for word, value in zip(words, values, strict=True)) + "\r\n"
