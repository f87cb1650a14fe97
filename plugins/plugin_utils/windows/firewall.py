# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Windows Firewall rules. For this collection only.

Windows Server 2012 and later: https://learn.microsoft.com/en-us/windows/win32/fwp/wmi/wfascimprov/msft-netfirewallrule
Before: netsh advfirewall, whose words are translated, so only exit codes, names and numbers count.
https://learn.microsoft.com/en-us/troubleshoot/windows-server/networking/netsh-advfirewall-firewall-control-firewall-behavior
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from ..errors import CmdletFailed
from ..wsman.bindings import CimClass
from ..wsman.cmdlets import Cmdlet, Cmdlets
from ..wsman.process import Processes, ProcessResult
from ..wsman.types import uint16
from ..wsman.wql import any_of
from .registry import HasCim

PROFILES = {"domain": 1, "private": 2, "public": 4}
ANY_PROFILE = 0
_ENABLED = 1
_OBJECT_NOT_FOUND = 13  # ErrorCategory

NEW = Cmdlet(
    "New-NetFirewallRule",
    "NetSecurity",
    ("Name", "DisplayName", "Direction", "Action", "Protocol", "LocalPort", "Program", "Profile", "Enabled"),
)
SET = Cmdlet("Set-NetFirewallRule", "NetSecurity", ("Name", "Enabled", "Profile"))
REMOVE = Cmdlet("Remove-NetFirewallRule", "NetSecurity", ("Name",))


class FirewallRule(CimClass, namespace="root/StandardCimv2", wmi="MSFT_NetFirewallRule"):
    """A rule. InstanceID: its name; Profiles: sum of 1 domain, 2 private, 4 public, 0 for any."""

    InstanceID: str
    DisplayName: str | None
    Enabled: uint16
    Profiles: uint16

    @property
    def is_enabled(self) -> bool:
        """Whether it lets through."""
        return self.Enabled == _ENABLED

    @property
    def profile_names(self) -> tuple[str, ...]:
        """The profiles it is for; all of them for any."""
        return tuple(name for name, bit in PROFILES.items() if self.Profiles == ANY_PROFILE or self.Profiles & bit)


class HasCmdlets(Protocol):
    """What changing a rule needs of a host."""

    @property
    def cmdlets(self) -> Cmdlets:
        """Typed cmdlets."""


class HasProcesses(Protocol):
    """What netsh needs of a host."""

    @property
    def processes(self) -> Processes:
        """WinRS processes."""


def read_rules(host: HasCim, names: Sequence[str]) -> dict[str, FirewallRule]:
    """The rules of these names, as far as they exist. Errors: WsmanFault before Windows Server 2012."""
    found = host.cim.query(FirewallRule, any_of("InstanceID", list(names)))
    by_name = {rule.InstanceID.lower(): rule for rule in found}
    return {name: by_name[name.lower()] for name in names if name.lower() in by_name}


def set_rule(host: HasCmdlets, name: str, *, enabled: bool, profiles: Sequence[str] | None = None) -> None:
    """Switches a rule, and sets its profiles where given."""
    host.cmdlets.run(
        SET(Name=[name], Enabled=str(enabled), Profile=None if profiles is None else _profile(profiles)),
        attempted=f"setting firewall rule {name}",
    )


def add_rule(
    host: HasCmdlets,
    name: str,
    display_name: str,
    port: int,
    program: str,
    profiles: Sequence[str],
) -> None:
    """A rule that lets TCP in on a port, for one program."""
    host.cmdlets.run(
        NEW(
            Name=name,
            DisplayName=display_name,
            Direction="Inbound",
            Action="Allow",
            Protocol="TCP",
            LocalPort=[str(port)],
            Program=program,
            Profile=_profile(profiles),
            Enabled="True",
        ),
        attempted=f"creating firewall rule {name}",
    )


def remove_rule(host: HasCmdlets, name: str) -> None:
    """Removes a rule; one that is not there is no error."""
    try:
        host.cmdlets.run(REMOVE(Name=[name]), attempted=f"removing firewall rule {name}")
    except CmdletFailed as error:
        if error.category != _OBJECT_NOT_FOUND:
            raise


def _profile(profiles: Sequence[str]) -> str:
    """The names of the enumeration's flags, as PowerShell reads them."""
    return ", ".join(name.capitalize() for name in PROFILES if name in profiles)


def _netsh(host: HasProcesses, windows_directory: str, words: Sequence[str], success: Sequence[int]) -> ProcessResult:
    return host.processes.run(
        f"{windows_directory}\\System32\\netsh.exe",
        ["advfirewall", "firewall", *words],
        f"netsh advfirewall firewall {' '.join(words[:3])}",
        success=success,
    )


def netsh_port(host: HasProcesses, windows_directory: str, name: str) -> int | None:
    """The local port of a rule by its name; None where there is no such rule, 0 where it names no port."""
    result = _netsh(host, windows_directory, ["show", "rule", f"name={name}"], (0, 1))
    # The name is in the listing, never in the sentence that there is none.
    if result.exit_code or name not in result.output:
        return None
    numbers = re.findall(r":\s+(\d{1,5})\s*$", result.output, re.MULTILINE)
    return int(numbers[0]) if numbers else 0


def netsh_open(host: HasProcesses, windows_directory: str, name: str, port: int, profiles: Sequence[str]) -> None:
    """One rule of this name that lets TCP in on a port, whatever rules of the name were there."""
    netsh_close(host, windows_directory, name)
    words = ["add", "rule", f"name={name}", "dir=in", "action=allow", "protocol=TCP", f"localport={port}"]
    _netsh(host, windows_directory, [*words, f"profile={','.join(profiles)}"], (0,))


def netsh_close(host: HasProcesses, windows_directory: str, name: str) -> None:
    """Removes the rules of a name; exit code 1 says that there were none."""
    _netsh(host, windows_directory, ["delete", "rule", f"name={name}"], (0, 1))
