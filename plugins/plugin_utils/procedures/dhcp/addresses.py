# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The addresses of new: taken over from old by the migration tools, or given back. For this collection only."""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
from collections.abc import Mapping
from typing import Any

from ...errors import CmdletFailed, ConnectionTrouble, Failure, Halt, StepTimeout
from ...windows import migration
from ...windows.ip_settings import IpSettings, read_ip_settings
from ...wsman.session import Session
from ..base import Host
from .facts import Nic, read_nics
from .machine import Machine
from .manifest import Manifest

_PAUSE = 10.0
"""Seconds between attempts to reach a host whose address changes."""


def take_over(machine: Machine, manifest: Manifest) -> None:
    """n06: imports the addresses and finds the host again. Errors: Halt E_LOST_CONTACT, Failure E_IMPORT."""
    parameters = machine.parameters
    machine.note(ip_changed=True)
    # The session dies with the old address: whether the command answered says nothing, the addresses do.
    with contextlib.suppress(ConnectionTrouble):
        try:
            migration.import_addresses(
                machine.host,
                parameters.store,
                parameters.store_password or "",
                scope=parameters.ip_config,
                sources=[pair.source for pair in parameters.mac_map],
                targets=[pair.target for pair in parameters.mac_map],
            )
        except CmdletFailed as error:
            raise Failure("E_IMPORT", f"n06_ip failed: {error}.", "Look at the logs of the migration tools.") from error
    find_again(machine, lambda nics: _taken(machine, manifest, nics))


def find_again(machine: Machine, reached: Any) -> None:
    """Reconnects to reconnect_host until the addresses are as wanted. Errors: Halt E_LOST_CONTACT."""
    parameters, host = machine.parameters, machine.host
    old = host.session.settings.host
    wanted = parameters.reconnect_host or old

    def there() -> bool:
        try:
            return bool(reached(tuple(read_nics(host))))
        except ConnectionTrouble:
            _reopen(host, wanted)
            return False

    _reopen(host, wanted)
    try:
        host.wait(
            f"{host.name} to answer at {wanted}",
            there,
            timeout=parameters.reconnect_timeout,
            interval=_PAUSE,
            longest=_PAUSE,
        )
    except StepTimeout as error:
        raise Halt(
            "E_LOST_CONTACT",
            f"No contact with {host.name} at {wanted}, {old} after the address change.",
            "Look at its console; then run the task again with ansible_host set to the address that answers.",
        ) from error


def _reopen(host: Host, address: str) -> None:
    session: Session = host.session
    session.reconnect()
    session.settings = dataclasses.replace(session.settings, host=address)


def _taken(machine: Machine, manifest: Manifest, nics: tuple[Nic, ...]) -> bool:
    wanted = {str(nic["mac"]): nic for nic in manifest.data["nics"]}
    by_mac = {nic.mac: nic for nic in nics}
    pairs = [(pair.source, pair.target) for pair in machine.parameters.mac_map]
    return all(
        target in by_mac and _same(wanted[source], by_mac[target]) for source, target in pairs if source in wanted
    )


def _same(wanted: Mapping[str, Any], nic: Nic) -> bool:
    addresses = {str(one["ip"]) for one in wanted["addresses"] if ":" not in str(one["ip"])}
    return addresses == set(nic.ipv4) and set(wanted["gateways"]) == set(nic.gateways)


def restore(machine: Machine) -> None:
    """Gives each adapter the addresses that the journal recorded. Errors: Halt E_LOST_CONTACT, MethodFailed."""
    before = {str(nic["mac"]): nic for nic in machine.entry.get("prev_ip", ())}
    for settings in read_ip_settings(machine.host):
        mac = (settings.MACAddress or "").replace(":", "-").upper()
        if mac in before:
            with contextlib.suppress(ConnectionTrouble):
                _give(machine.host, settings, before[mac])
    find_again(machine, lambda nics: all(_same(before[nic.mac], nic) for nic in nics if nic.mac in before))
    machine.note(ip_changed=False)


def _give(host: Host, settings: IpSettings, nic: Mapping[str, Any]) -> None:
    if nic["dhcp_enabled"]:
        host.cim.invoke(IpSettings.EnableDHCP, settings)
        return
    ipv4 = [one for one in nic["addresses"] if ":" not in one["ip"]]
    if nic["gateways"]:
        host.cim.invoke(IpSettings.SetGateways, settings, DefaultIPGateway=tuple(nic["gateways"]))
    if nic["dns"]:
        host.cim.invoke(IpSettings.SetDNSServerSearchOrder, settings, DNSServerSearchOrder=tuple(nic["dns"]))
    if nic["wins"]:
        first, second = (*nic["wins"], "")[:2]
        host.cim.invoke(IpSettings.SetWINSServer, settings, WINSPrimaryServer=first, WINSSecondaryServer=second)
    # Last, because the session may end with it.
    masks = tuple(str(ipaddress.IPv4Network(f"0.0.0.0/{one['prefix']}").netmask) for one in ipv4)
    addresses = tuple(one["ip"] for one in ipv4)
    host.cim.invoke(IpSettings.EnableStatic, settings, IPAddress=addresses, SubnetMask=masks)
