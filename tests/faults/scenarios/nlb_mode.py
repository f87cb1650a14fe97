# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""nlb_mode: the whole cluster by the cmdlet, each host by WMI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from faults.scenario import CLOCK, Scenario, Task, in_turn
from support.world import World
from winsim.providers.adapters import Adapters
from winsim.providers.nlb import Clusters, NlbCluster, mode_of

HOSTS = ("W1", "W2")
ADDRESSES = {"W1": ["10.0.0.11", "10.0.0.10"], "W2": ["10.0.0.12", "10.0.0.10"]}
PORTS = [80, 443]


def _fleet() -> dict[str, Any]:
    hosts = {
        name: {
            "winrm": {"credssp": True},
            "adapters": {"LAN": {"addresses": [f"192.0.2.{number}"]}, "NLB": {"addresses": ADDRESSES[name]}},
        }
        for number, name in enumerate(HOSTS, 1)
    }
    rules = [{"start": port, "end": port, "protocol": "tcp"} for port in PORTS]
    members = {name: {"interface": "NLB", "dedicated": [ADDRESSES[name][0]]} for name in HOSTS}
    return {
        "clock": CLOCK,
        "hosts": hosts,
        "nlb": {"WEB": {"ip": "10.0.0.10", "rules": rules, "hosts": members}},
    }


def _cluster(world: World) -> NlbCluster:
    return world.fleet.state(Clusters).get("WEB")


def _modes(world: World) -> dict[str, str]:
    return {name: mode_of(_cluster(world).members[name.lower()].loaded) for name in HOSTS}


def _missing(world: World) -> Iterator[str]:
    for name, mode in _modes(world).items():
        if mode != "multicast":
            yield f"{name} is in mode {mode}"


def _wrong(world: World) -> Iterator[str]:
    rules = [rule.start for rule in _cluster(world).rules]
    if rules != PORTS:
        yield f"the port rules are {rules}"
    for name, mode in _modes(world).items():
        if mode not in ("unicast", "multicast"):
            yield f"{name} is in mode {mode}, which nobody asked for"
        found = world.host(name).state(Adapters).adapters["nlb"].addresses
        if found != ADDRESSES[name]:
            yield f"the addresses of {name} are {found}"


def _scenario(subject: str, play: Callable[[World, Any], Any], *sample: int) -> Scenario[World]:
    return Scenario(f"nlb_mode ({subject})", lambda _: World(_fleet()), play, _missing, _wrong, parts=2, sample=sample)


_CLUSTER = Task("W1", "nlb_mode", {"mode": "multicast"}, auth="credssp")
_NODES = tuple(Task(name, "nlb_mode", {"mode": "multicast", "scope": "node", "allow_mixed": True}) for name in HOSTS)

SCENARIOS = (_scenario("cluster", in_turn(_CLUSTER), 40, 43), _scenario("node by node", in_turn(*_NODES), 31))
