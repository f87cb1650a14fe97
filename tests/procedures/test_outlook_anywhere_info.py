# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""outlook_anywhere_info on one simulated host N1. Numbers in parentheses are those of the reference's examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from support.world import World
from winsim.providers.tcpip6 import HOSTS, PARAMETERS

SERVER_2008, SERVER_2019 = 6002, 17763

BOTH, ONLY_4, ONLY_6 = ("0.0.0.0", "::"), ("0.0.0.0",), ("::",)
DS_PROXY_ON_IPV4 = {6001: ONLY_6, 6002: ONLY_6, 6004: ONLY_4}


def mail(
    ports: Mapping[int, Sequence[str]], build: int = SERVER_2019, value: int | None = None, **host: Any
) -> dict[str, Any]:
    """A host with a service that listens."""
    return {
        "clock": {"speed": 0},
        "domain": "corp.example",
        "hosts": {
            "N1": {
                "build": build,
                "registry": {} if value is None else {PARAMETERS: {"DisabledComponents": value}},
                "services": {"MSExchangeIS": {"path": "C:\\Exchange\\store.exe"}},
                "listeners": [
                    {"port": port, "service": "MSExchangeIS", "addresses": list(on)} for port, on in ports.items()
                ],
                **host,
            }
        },
    }


def ask(fleet: Mapping[str, Any], **arguments: Any) -> dict[str, Any]:
    with World(fleet) as world:
        result = world.run("N1", "outlook_anywhere_info", **arguments)
        assert result["changed"] is False
        assert world.writes("N1") == [] or {r.action for r in world.writes("N1")} == {"Command"}
        return result


def test_a_port_on_ipv4_only_is_not_reached_where_ipv6_comes_first() -> None:
    """(1)"""
    result = ask(mail(DS_PROXY_ON_IPV4))
    assert result["verdict"] == "broken"
    assert [(p["port"], p["ipv4"], p["ipv6"], p["addresses"], p["process"]) for p in result["ports"]] == [
        (6001, None, True, ["::"], "store.exe"),
        (6002, None, True, ["::"], "store.exe"),
        (6004, True, False, ["0.0.0.0"], "store.exe"),
    ]
    assert isinstance(result["ports"][2]["process_id"], int)
    assert result["findings"] == [
        "port 6004 listens on IPv4 only, and this host prefers IPv6: the RPC proxy does not reach it"
    ]


@pytest.mark.parametrize("value", [0x20, 0xFF])
@pytest.mark.parametrize("build", [SERVER_2008, SERVER_2019])
def test_is_right_where_ipv4_comes_first_or_ipv6_is_off(value: int, build: int) -> None:
    """(2)"""
    assert ask(mail(DS_PROXY_ON_IPV4, build, value))["verdict"] == "ok"


def test_an_ipv6_socket_may_serve_ipv4_too() -> None:
    """(3)"""
    result = ask(mail(dict.fromkeys((6001, 6002, 6004), ONLY_6)))
    assert result["verdict"] == "ok"
    assert [port["ipv4"] for port in result["ports"]] == [None, None, None]


def test_a_host_on_which_nothing_listens_is_no_exchange() -> None:
    """(4)"""
    result = ask(mail({}))
    assert result["verdict"] == "not_exchange"
    assert result["ports"][0] == {
        "port": 6001,
        "ipv4": False,
        "ipv6": False,
        "addresses": [],
        "process_id": None,
        "process": "",
    }


@pytest.mark.parametrize("language", ["en-US", "de-DE"])
def test_windows_server_2008_gives_the_same_answer_in_every_language(language: str) -> None:
    """(5)"""
    new = ask(mail(DS_PROXY_ON_IPV4))
    old = ask(mail(DS_PROXY_ON_IPV4, SERVER_2008, language=language))
    for name in ("verdict", "findings"):
        assert old[name] == new[name]
    drop = ("process_id",)
    assert [{k: v for k, v in port.items() if k not in drop} for port in old["ports"]] == [
        {k: v for k, v in port.items() if k not in drop} for port in new["ports"]
    ]


@pytest.mark.parametrize("build", [SERVER_2008, SERVER_2019])
def test_a_value_that_waits_for_the_restart_helps_nobody_yet(build: int) -> None:
    """(6)"""
    with World(mail(DS_PROXY_ON_IPV4, build)) as world:
        world.run("N1", "disable_ipv6", state="prefer_ipv4")
        result = world.run("N1", "outlook_anywhere_info")
        assert result["verdict"] == "broken"
        assert "restart pending: DisabledComponents is 0x20, which is not in effect yet" in result["findings"]
        world.host("N1").reboot(0)
        assert world.run("N1", "outlook_anywhere_info")["verdict"] == "ok"


def test_tells_what_the_hosts_file_says_of_the_names() -> None:
    text = "127.0.0.1 localhost\r\n192.0.2.1 N1.corp.example other\r\n"
    files = {HOSTS: {"text": text}}
    result = ask(mail(dict.fromkeys((6001, 6002, 6004), BOTH), files=files))
    assert result["findings"] == ["line 2 of the hosts file maps N1.corp.example to 192.0.2.1: DNS is not asked for it"]
    result = ask(mail(dict.fromkeys((6001, 6002, 6004), BOTH), files=files), names=["OTHER"])
    assert result["findings"] == ["line 2 of the hosts file maps other to 192.0.2.1: DNS is not asked for it"]


@pytest.mark.parametrize(
    ("ports", "text"), [([], "give at least one port"), ([0], "ports are between 1 and 65535, got 0")]
)
def test_refuses_ports_that_are_none(ports: list[int], text: str) -> None:
    result = ask(mail({}), ports=ports)
    assert (result["failed"], result["msg"]) == (True, text)
