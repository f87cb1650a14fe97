# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The roles and features of either server by Server Manager's names, whatever its Windows. For this collection only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...errors import FieldnotesError
from ...windows import dism, features
from ...windows.features import FeatureChange
from ...windows.operating_system import SERVER_2008_R2
from ..base import Host
from .machine import Machine

DHCP, MIGRATION = "DHCP", "Migration"

# UNCONFIRMED names: the first that this Windows lists is it.
_DISM = {DHCP: ("DHCPServer", "DHCPServerCore"), MIGRATION: ("ServerMigration",)}


def knows(machine: Machine, name: str) -> bool:
    """Whether a feature is there or can be installed. Errors: FieldnotesError."""
    if machine.facts.has_provider:
        return features.known(machine.host, name)
    # Windows Server 2008 has neither cmdlets nor dism.exe.
    return machine.facts.build >= SERVER_2008_R2 and _listed(machine, name) is not None


def install(machine: Machine, names: Sequence[str]) -> FeatureChange:
    """Installs features with their tools. Errors: FieldnotesError."""
    if machine.facts.has_provider:
        return features.install(machine.host, names)
    return _each(machine, names, dism.enable)


def uninstall(machine: Machine, names: Sequence[str]) -> FeatureChange:
    """Removes features. Errors: FieldnotesError."""
    if machine.facts.has_provider:
        return features.uninstall(machine.host, names)
    return _each(machine, names, dism.disable)


def _each(machine: Machine, names: Sequence[str], change: Callable[[Host, str, str], bool]) -> FeatureChange:
    restart = False
    for name in names:
        found = _listed(machine, name)
        if found is None:
            raise FieldnotesError(f"{machine.host.name} has no feature {' or '.join(_DISM[name])}")
        restart |= change(machine.host, machine.facts.windows_directory, found)
    return FeatureChange(True, restart, "")


def _listed(machine: Machine, name: str) -> str | None:
    """What dism.exe calls a feature; None where this Windows has none."""
    found = {each.lower(): each for each in dism.features(machine.host, machine.facts.windows_directory)}
    return next((found[each.lower()] for each in _DISM[name] if each.lower() in found), None)
