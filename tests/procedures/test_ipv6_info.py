# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ipv6_info on one simulated host N1. Numbers in parentheses are those of the reference's examples."""

from __future__ import annotations

from typing import Any

import pytest
from support.world import World
from winsim.providers.adapters import Adapters
from winsim.providers.tcpip6 import HOSTS, PARAMETERS

SERVER_2008, SERVER_2008_R2, SERVER_2019 = 6002, 7601, 17763


def n1(build: int = SERVER_2019, value: Any = None, **host: Any) -> dict[str, Any]:
    registry = {} if value is None else {PARAMETERS: {"DisabledComponents": value}}
    return {"clock": {"speed": 0}, "hosts": {"N1": {"build": build, "registry": registry, **host}}}


def test_an_absent_value_is_enabled() -> None:
    """(1), and the whole answer of a plain host."""
    with World(n1()) as world:
        result = world.run("N1", "ipv6_info")
        assert result["changed"] is False
        assert result["disabled_components"] == {
            "configured": None,
            "hex": "0x00",
            "bits": dict.fromkeys(
                (
                    "tunnel",
                    "tunnel_6to4",
                    "tunnel_isatap",
                    "tunnel_teredo",
                    "native",
                    "prefer_ipv4",
                    "tunnel_cp",
                    "tunnel_iptls",
                ),
                False,
            ),
            "state_name": "enabled",
            "nonstandard": False,
        }
        assert result["in_effect"] == {"native": False, "prefer_ipv4": False}
        assert (result["reboot_required"], result["reboot_pending_since_boot"]) == (False, None)
        assert result["support"] == {"status": "supported", "notes": []}
        assert result["hosts"] == {
            "loopback_active": False,
            "loopback_commented": True,
            "added": [],
            "managed": False,
        }
        link_local = world.host("N1").state(Adapters).adapters["ethernet"].link_local
        assert result["addresses"] == [
            {"alias": "Ethernet", "address": "192.0.2.1", "prefix_length": 24},
            {"alias": "Ethernet", "address": link_local, "prefix_length": 64},
        ]
        assert {"prefix": "::/0", "precedence": 40, "label": 1} in result["prefix_policies"]
        assert len(result["prefix_policies"]) == 9
        assert result["services"] == {
            "exchange_transport": False,
            "rras": False,
            "failover_cluster": False,
            "directory_service": False,
        }
        assert result["warnings"] == []
        assert world.writes("N1") == []


def test_a_combination_has_no_name_and_its_bits_are_told() -> None:
    """(2)"""
    with World(n1(value=0x31)) as world:
        found = world.run("N1", "ipv6_info")["disabled_components"]
        assert found["state_name"] == "custom"
        assert [name for name, on in found["bits"].items() if on] == ["tunnel", "native", "prefer_ipv4"]


@pytest.mark.parametrize("build", [SERVER_2008, SERVER_2008_R2])
def test_older_windows_has_no_prefix_policies_and_no_bindings(build: int) -> None:
    """(3)"""
    with World(n1(build)) as world:
        result = world.run("N1", "ipv6_info")
        assert (result["prefix_policies"], result["in_effect"]["prefer_ipv4"]) == ([], None)
        assert result["adapters"] is None
        assert result["hosts"]["loopback_active"] is (build == SERVER_2008)


def test_an_unbound_adapter_is_listed() -> None:
    """(4)"""
    adapters = {"A": {"addresses": ["192.0.2.1"]}, "B": {"addresses": ["192.0.2.2"], "ipv6": False}}
    with World(n1(adapters=adapters)) as world:
        result = world.run("N1", "ipv6_info")
        assert result["adapters"] == [{"alias": "A", "bound": True}, {"alias": "B", "bound": False}]
        assert result["support"]["status"] == "unsupported"
        assert "unchecked on B" in result["support"]["notes"][0]
        assert world.run("N1", "ipv6_info", adapters=["a"])["adapters"] == [{"alias": "A", "bound": True}]
        assert world.run("N1", "ipv6_info", adapters=["C"])["msg"] == "no adapter named C; this host has A, B"


def test_a_restart_that_is_due_is_told_with_the_start_it_counts_from() -> None:
    """(5)"""
    with World(n1()) as world:
        world.run("N1", "disable_ipv6", state="tunnels_disabled")
        boot = world.host("N1").boot_time.strftime("%Y-%m-%dT%H:%M:%SZ")
        result = world.run("N1", "ipv6_info")
        assert (result["reboot_required"], result["reboot_pending_since_boot"]) == (True, boot)
        world.host("N1").reboot(0)
        result = world.run("N1", "ipv6_info")
        assert (result["reboot_required"], result["reboot_pending_since_boot"]) == (False, None)


def test_a_key_that_may_not_be_read_is_named() -> None:
    """(6)"""
    with World(n1(registry={PARAMETERS: {"(access)": "denied"}})) as world:
        result = world.run("N1", "ipv6_info")
        assert result["failed"]
        assert PARAMETERS in result["msg"]
        assert "5 (ERROR_ACCESS_DENIED)" in result["msg"]


def test_roles_that_depend_on_ipv6_are_named() -> None:
    roles = {name: {"start_mode": "Auto"} for name in ("MSExchangeTransport", "RemoteAccess", "ClusSvc", "NTDS")}
    with World(n1(services=roles)) as world:
        assert set(world.run("N1", "ipv6_info")["services"].values()) == {True}


def test_a_hosts_file_that_cannot_be_read_is_a_warning() -> None:
    with World(n1(files={HOSTS: {"text": "", "access": "denied"}})) as world:
        result = world.run("N1", "ipv6_info")
        assert result["hosts"] is None
        assert len(result["warnings"]) == 1
        assert f"hosts file {HOSTS} is not readable" in result["warnings"][0]


def test_asks_nothing_twice() -> None:
    with World(n1(value=0x20)) as world:
        world.run("N1", "ipv6_info")
        asked = [r.wql or r.request for r in world.requests("N1") if r.wql or "StdRegProv" in r.resource]
        assert len(set(asked)) == len(asked)
