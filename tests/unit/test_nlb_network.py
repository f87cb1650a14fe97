# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rules by which the network sees an NLB cluster."""

from __future__ import annotations

import ipaddress

import pytest
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.procedures.nlb_network import (
    FLAGS,
    address_order_ok,
    expected_mac,
    group_of,
    mode_named,
    mode_of,
    network_actions,
    normal_address,
    normal_mac,
    real_addresses,
    virtual_addresses,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("multicast", "igmp", "mode"),
    [
        (False, False, "unicast"),
        (False, True, "unicast"),
        (True, False, "multicast"),
        (True, True, "igmp_multicast"),
    ],
)
def test_the_mode_follows_from_two_settings(multicast: bool, igmp: bool, mode: str) -> None:
    assert mode_of(multicast, igmp) == mode


@pytest.mark.parametrize("mode", FLAGS)
def test_the_settings_of_a_mode_mean_that_mode(mode: str) -> None:
    assert mode_of(*FLAGS[mode]) == mode


@pytest.mark.parametrize(
    ("shown", "mode"),
    [
        ("UNICAST", "unicast"),
        ("IgmpMulticast", "igmp_multicast"),
        ("IGMP_MULTICAST", "igmp_multicast"),
        ("x", None),
        (None, None),
    ],
)
def test_a_mode_is_known_in_every_spelling(shown: str | None, mode: str | None) -> None:
    assert mode_named(shown) == mode


@pytest.mark.parametrize(
    ("mode", "ip", "group", "mac"),
    [
        ("unicast", "10.0.0.10", None, "02-BF-0A-00-00-0A"),
        ("multicast", "192.168.100.255", None, "03-BF-C0-A8-64-FF"),
        ("igmp_multicast", "10.0.0.10", None, "01-00-5E-7F-00-0A"),
        ("igmp_multicast", "10.0.0.10", "0.0.0.0", "01-00-5E-7F-00-0A"),
        ("igmp_multicast", "10.0.0.10", "239.192.1.2", "01-00-5E-40-01-02"),
        ("unicast", "10.0.0.10", "239.192.1.2", "02-BF-0A-00-00-0A"),
        ("unicast", "2001:db8::1", None, None),
        ("igmp_multicast", "2001:db8::1", "239.192.1.2", None),
    ],
)
def test_the_mac_address_follows_from_mode_and_address(mode: str, ip: str, group: str | None, mac: str | None) -> None:
    assert expected_mac(mode, ip, group) == mac


@given(st.ip_addresses(v=4), st.sampled_from(sorted(FLAGS)))
def test_every_ipv4_cluster_has_a_mac_address_and_only_unicast_ones_are_unicast(
    ip: ipaddress.IPv4Address, mode: str
) -> None:
    mac = expected_mac(mode, str(ip))
    assert mac is not None
    assert normal_mac(mac) == mac
    # The lowest bit of the first byte says that a frame is for a group.
    assert bool(int(mac[:2], 16) & 1) is (mode != "unicast")


def test_the_group_is_told_in_igmp_multicast_only() -> None:
    assert group_of("multicast", "10.0.0.10", "239.255.0.10") is None
    assert group_of("igmp_multicast", "10.0.7.10", None) == "239.255.7.10"
    assert group_of("igmp_multicast", "2001:db8::1", None) is None


@pytest.mark.parametrize("text", ["02-bf-0a-00-00-0a", "02:BF:0A:00:00:0A", "02BF.0A00.000A", "02bf0a00000a"])
def test_a_mac_address_has_one_form(text: str) -> None:
    assert normal_mac(text) == "02-BF-0A-00-00-0A"


@pytest.mark.parametrize("text", [None, "", "02-BF-0A", "zz-bf-0a-00-00-0a"])
def test_what_is_no_mac_address_is_none(text: str | None) -> None:
    assert normal_mac(text) is None


def test_addresses_have_one_form() -> None:
    assert normal_address("2001:0DB8:0:0::1") == "2001:db8::1"
    assert normal_address("fe80::1%12") == "fe80::1"
    assert normal_address("Somewhere") == "somewhere"
    assert real_addresses(["0.0.0.0", "10.0.0.11", ""]) == ("10.0.0.11",)


@pytest.mark.parametrize(
    ("dedicated", "on_adapter", "right"),
    [
        (["10.0.0.11"], ["10.0.0.11", "10.0.0.10"], True),
        (["10.0.0.11"], ["10.0.0.10", "10.0.0.11"], False),
        (["10.0.0.11"], ["10.0.0.11"], False),
        (["10.0.0.11"], [], False),
        ([], ["10.0.0.10", "10.0.0.11"], True),
        ([], ["10.0.0.11", "10.0.0.10"], False),
    ],
)
def test_the_dedicated_address_stands_first(dedicated: list[str], on_adapter: list[str], right: bool) -> None:
    assert address_order_ok("10.0.0.10", dedicated, on_adapter) is right


def test_virtual_addresses_are_those_any_host_answers_on() -> None:
    on_adapter = ["10.0.0.11", "10.0.0.10", "10.0.0.20", "fe80::1"]
    rules = ["255.255.255.255", "10.0.0.30"]
    assert virtual_addresses("10.0.0.10", ["10.0.0.11"], on_adapter, rules) == {"10.0.0.10", "10.0.0.20", "10.0.0.30"}
    assert virtual_addresses("10.0.0.10", [], on_adapter, []) == {"10.0.0.10"}


def test_a_physical_host_with_talk_between_hosts_needs_only_the_switch() -> None:
    actions = network_actions("unicast", "unicast", "10.0.0.10", old_mac=None, mac=None, virtual=False, interhost=True)
    assert not any("spoofing" in action or "InterHost" in action for action in actions)
