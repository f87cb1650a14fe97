# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the network sees of an NLB cluster: modes, addresses, and what has to be done to switches and routers.

For this collection only. Pure functions.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence

UNICAST, MULTICAST, IGMP_MULTICAST = "unicast", "multicast", "igmp_multicast"

CLUSTER_MODES = {UNICAST: "Unicast", MULTICAST: "Multicast", IGMP_MULTICAST: "IgmpMulticast"}
"""The modes as the enumeration of Set-NlbCluster calls them."""

FLAGS = {UNICAST: (False, False), MULTICAST: (True, False), IGMP_MULTICAST: (True, True)}
"""The modes as MulticastSupportEnabled and IGMPSupport."""

NO_ADDRESS = ("", "0.0.0.0", "::")


def mode_of(multicast: bool, igmp: bool) -> str:
    """The mode that the two settings mean; IGMPSupport counts only with MulticastSupportEnabled."""
    if not multicast:
        return UNICAST
    return IGMP_MULTICAST if igmp else MULTICAST


def mode_named(text: object) -> str | None:
    """The mode that Get-NlbCluster names, None for another text."""
    lowered = str(text).replace("_", "").lower()
    return next((mode for mode, name in CLUSTER_MODES.items() if name.lower() == lowered), None)


def normal_address(text: str) -> str:
    """An IP address in its shortest form; another text as it is, in lower case."""
    try:
        return str(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return text.lower()


def real_addresses(addresses: Iterable[str]) -> tuple[str, ...]:
    """The addresses in their shortest form, without those that mean none."""
    return tuple(normal_address(address) for address in addresses if address not in NO_ADDRESS)


def normal_mac(text: str | None) -> str | None:
    """``02-BF-0A-00-00-0A`` from any form with separators or none; None for what is no such address."""
    digits = re.sub(r"[-:.]", "", text or "").upper()
    if not re.fullmatch(r"[0-9A-F]{12}", digits):
        return None
    return "-".join(digits[place : place + 2] for place in range(0, 12, 2))


def group_of(mode: str, cluster_ip: str, reported: str | None) -> str | None:
    """The IGMP group: what Windows reports, else 239.255.c.d; None in other modes and for an IPv6 cluster."""
    if mode != IGMP_MULTICAST:
        return None
    if reported and _is_multicast(reported):
        return normal_address(reported)
    octets = _octets(cluster_ip)
    return None if octets is None else f"239.255.{octets[2]}.{octets[3]}"


def _is_multicast(address: str) -> bool:
    octets = _octets(address)
    return octets is not None and 224 <= octets[0] <= 239


def _octets(address: str) -> tuple[int, ...] | None:
    try:
        return tuple(ipaddress.IPv4Address(address).packed)
    except ValueError:
        return None


def expected_mac(mode: str, cluster_ip: str, reported: str | None = None) -> str | None:
    """The cluster's MAC address by the rule; None for an IPv6 primary address, whose rule no reference states.

    reported: MulticastIPAddress. UNCONFIRMED for igmp_multicast: it is the field's rule together with the standard
    mapping of group addresses (RFC 1112: 01-00-5E and the lower 23 bits), so the reported group is trusted first.
    """
    octets = _octets(cluster_ip)
    if octets is None:
        return None
    if mode == IGMP_MULTICAST:
        group = _octets(str(group_of(mode, cluster_ip, reported))) or ()
        return _mac(0x01, 0x00, 0x5E, group[1] & 0x7F, group[2], group[3])
    return _mac(0x03 if mode == MULTICAST else 0x02, 0xBF, *octets)


def _mac(*octets: int) -> str:
    return "-".join(f"{octet:02X}" for octet in octets)


def address_order_ok(cluster_ip: str, dedicated: Sequence[str], adapter_ips: Sequence[str]) -> bool:
    """Whether the adapter has a dedicated address first and the cluster's later; without one, the cluster's first."""
    first = adapter_ips[0] if adapter_ips else None
    if not dedicated:
        return first == cluster_ip
    return first in dedicated and cluster_ip in adapter_ips[1:]


def virtual_addresses(
    cluster_ip: str, dedicated: Sequence[str], adapter_ips: Sequence[str], of_rules: Iterable[str]
) -> set[str]:
    """Addresses that any host of the cluster may answer on: the cluster's, those of port rules, and, where the host's
    own addresses are known, every other one on the adapter."""
    others = {a for a in adapter_ips if dedicated and a not in dedicated and not ipaddress.ip_address(a).is_link_local}
    rules = {address for address in real_addresses(of_rules) if address != "255.255.255.255"}
    return {cluster_ip, *others, *rules}


def network_actions(
    before: str, goal: str, cluster_ip: str, *, old_mac: str | None, mac: str | None, virtual: bool, interhost: bool
) -> list[str]:
    """What the network team must do for a change of mode. interhost: UnicastInterHostCommSupportEnabled."""
    new = mac or "the cluster's new MAC address"
    actions = []
    if goal == UNICAST:
        actions.append(
            "every switch port of the VLAN sees all traffic of the cluster from now on (flooding): give it a VLAN of "
            "its own, a hub, or port mirroring"
        )
        if not interhost:
            actions.append(
                "hosts on one unicast adapter cannot talk to each other: use a second adapter, or turn "
                "UnicastInterHostCommSupportEnabled on"
            )
        if virtual:
            actions.append(
                "the host is a virtual machine: its virtual adapter must allow MAC address spoofing, else its host "
                "drops the frames"
            )
    else:
        actions.append(
            f"many routers refuse an ARP reply that binds a unicast address to a multicast MAC: set a static ARP entry "
            f"{cluster_ip} -> {new} on the router of the subnet, and static MAC entries for the ports of the hosts "
            "where flooding is not wanted"
        )
    if goal == IGMP_MULTICAST:
        actions.append(
            "the switch needs IGMP snooping and a querier in this VLAN: without a querier the entries time out after "
            "minutes and the service dies silently"
        )
    if before != UNICAST:
        old = old_mac or "the old MAC address"
        actions.append(
            f"remove the static ARP and MAC entries for {old} in the same change window: nobody has it any more"
        )
    else:
        actions.append(
            "the dedicated address changes its MAC too: neighbours keep the old one until their ARP cache expires, so "
            "connections to the host's own address may stop for minutes"
        )
    return actions
