# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The bits of DisabledComponents, the order of prefix policies, listeners from netstat."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.errors import Refusal
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.procedures import disabled_components as components
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.procedures.ipv6_state import Policy, prefers_ipv4
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.windows import netstat, network


@pytest.mark.parametrize(
    ("value", "name", "status"),
    [
        (0x00, "enabled", "supported"),
        (0x20, "prefer_ipv4", "supported"),
        (0x01, "tunnels_disabled", "discouraged"),
        (0x10, "native_disabled", "unsupported"),
        (0x11, "native_and_tunnels_disabled", "unsupported"),
        (0xFF, "disabled", "unsupported"),
        (0x31, "custom", "unsupported"),
        (0xFFFFFFFF, "custom", "unsupported"),
    ],
)
def test_a_value_has_a_name_and_a_standing(value: int, name: str, status: str) -> None:
    assert (components.state_of(value), components.support_of(value, None)[0]) == (name, status)


def test_notes_say_what_is_wrong_with_old_practice() -> None:
    notes = components.support_of(0xFFFFFFFF, 7601)[1]
    assert any("five seconds" in note for note in notes)
    assert any("KB3014406" in note for note in notes)
    assert not any("KB3014406" in note for note in components.support_of(0xFF, 17763)[1])


@pytest.mark.parametrize("given", [True, 1.5, "", "x", "0x", None])
def test_refuses_what_is_no_number(given: Any) -> None:
    with pytest.raises(Refusal, match="disabled_components is a number or a string like 0x20"):
        components.parse(given)


def policies(mapped: int, native: int, *more: Policy) -> list[Policy]:
    return [Policy("::ffff:0:0/96", mapped, 4), Policy("::/0", native, 1), *more]


@pytest.mark.parametrize(
    ("rows", "first"),
    [
        (policies(10, 40), False),
        (policies(35, 40), False),
        (policies(100, 40), True),
        (policies(46, 40, Policy("not a prefix", 1, 1)), True),
        (policies(40, 40), False),
        ([Policy("::/0", 40, 1)], None),
        ([], None),
    ],
)
def test_only_the_order_of_the_prefix_policies_counts(rows: list[Policy], first: bool | None) -> None:
    assert prefers_ipv4(rows) is first


@pytest.mark.parametrize(
    ("subnet", "bits"), [("255.255.255.0", 24), ("255.255.240.0", 20), ("64", 64), ("0.0.0.0", 0), ("?", None)]
)
def test_prefix_lengths_come_from_masks_and_numbers(subnet: str, bits: int | None) -> None:
    assert network.prefix_length(subnet) == bits


NETSTAT = """
Connexions actives

  Proto  Adresse locale         Adresse distante       État
  TCP    0.0.0.0:6004           0.0.0.0:0              LISTENING       2412
  TCP    [::]:6001              [::]:0                 en écoute ici   2413
  TCP    [fe80::1%11]:6002      [::]:0                 ABHÖREN         2414
  TCP    192.0.2.1:5985         192.0.2.9:50123        ESTABLISHED     4
  UDP    0.0.0.0:6004           *:*                                    2412
  TCP    0.0.0.0:1              0.0.0.0:0
"""


def test_netstat_is_read_without_its_words() -> None:
    assert list(netstat.listeners(NETSTAT)) == [
        netstat.Listener("0.0.0.0", 6004, 2412),
        netstat.Listener("::", 6001, 2413),
        netstat.Listener("fe80::1", 6002, 2414),
    ]
