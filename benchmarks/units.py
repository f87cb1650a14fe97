# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is measured: a unit is one task, or what somebody would write for the same goal in several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Task = dict[str, Any]

OURS = "fieldnotes.windows"
THEIRS = "ansible.windows"

_HANG_RECOVERY_SCRIPT = """
$cluster = Get-Cluster
if ([int]$cluster.HangRecoveryAction -ne 3) {
    $cluster.HangRecoveryAction = 3
    $Ansible.Changed = $true
} else {
    $Ansible.Changed = $false
}
"""


@dataclass(frozen=True)
class Unit:
    """The tasks of one repetition.

    whose: OURS, THEIRS, or empty for Ansible's own; other: what every second repetition does instead, so that each
    repetition has something to change; None where there is nothing to change.
    """

    name: str
    whose: str
    tasks: tuple[Task, ...]
    other: tuple[Task, ...] | None = None

    def repeated(self, times: int, *, first: int = 0) -> list[Task]:
        """The tasks of a play. first: the number of repetitions before it, so that alternating ones go on changing."""
        turns: Sequence[tuple[Task, ...]] = (self.tasks, self.tasks if self.other is None else self.other)
        return [task for number in range(first, first + times) for task in turns[number % 2]]


def _ours(module: str, /, **arguments: Any) -> Task:
    return {f"{OURS}.{module}": arguments}


def _theirs(module: str, /, **arguments: Any) -> Task:
    return {f"{THEIRS}.{module}": arguments}


_CRASH_CONTROL = r"HKLM:\SYSTEM\CurrentControlSet\Control\CrashControl"
_DUMP_TYPE = _theirs("win_regedit", path=_CRASH_CONTROL, name="CrashDumpEnabled", data=7, type="dword")
_CLUSTER_SERVICE = _theirs("win_service", name="ClusSvc", state="started")
_CLUSTER_PROPERTY = _theirs("win_powershell", script=_HANG_RECOVERY_SCRIPT)

EMPTY = Unit("empty action", "", ({"empty": {}},))

# What a task finds when it has nothing to do; the units named "changes" leave this state and come back to it.
STEADY: tuple[Unit, ...] = (
    Unit("hang_recovery", OURS, (_ours("hang_recovery", action="bugcheck"),)),
    Unit("disable_ipv6", OURS, (_ours("disable_ipv6", state="prefer_ipv4"),)),
    Unit("kms_host", OURS, (_ours("kms_host", activation="none", firewall="open"),)),
    Unit("nlb_info", OURS, (_ours("nlb_info"),)),
)

CHANGING: tuple[Unit, ...] = (
    Unit(
        "hang_recovery, changes",
        OURS,
        (_ours("hang_recovery", action="log"),),
        (_ours("hang_recovery", action="bugcheck"),),
    ),
    Unit(
        "disable_ipv6, changes",
        OURS,
        (_ours("disable_ipv6", state="tunnels_disabled"),),
        (_ours("disable_ipv6", state="prefer_ipv4"),),
    ),
    Unit(
        "kms_host, changes",
        OURS,
        (_ours("kms_host", activation="none", firewall="closed"),),
        (_ours("kms_host", activation="none", firewall="open"),),
    ),
)

INSTEAD: tuple[Unit, ...] = (
    Unit("win_ping", THEIRS, (_theirs("win_ping"),)),
    Unit("win_regedit", THEIRS, (_DUMP_TYPE,)),
    Unit("win_service", THEIRS, (_CLUSTER_SERVICE,)),
    Unit("win_powershell", THEIRS, (_CLUSTER_PROPERTY,)),
    Unit("the three of them, for hang_recovery's goal", THEIRS, (_CLUSTER_SERVICE, _CLUSTER_PROPERTY, _DUMP_TYPE)),
)

UNITS: tuple[Unit, ...] = (EMPTY, *STEADY, *CHANGING, *INSTEAD)
