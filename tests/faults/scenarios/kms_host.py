# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""kms_host: key, activation, settings, firewall, restart with a dependent service; and the way back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from faults.scenario import CLOCK, Scenario, Task, in_turn
from support.world import World
from winsim.providers.firewall import FirewallState
from winsim.providers.licensing import LicensingState
from winsim.providers.registry import RegistryState
from winsim.providers.services import running

NEW, CLIENT = ("-".join([letter * 5] * 5) for letter in "AC")
BASE, OF_32_BIT = (
    rf"HKLM\SOFTWARE{part}\Microsoft\Windows NT\CurrentVersion\SoftwareProtectionPlatform"
    for part in ("", r"\Wow6432Node")
)
PORT = 1689
PRESENT = {
    "product_key": NEW,
    "listening_port": PORT,
    "low_priority": True,
    "dns_publish_zones": [{"domain": "lab.example.com", "priority": 1}],
    "firewall": "open",
}
ABSENT = {"state": "absent", "replacement_product_key": CLIENT, "firewall": "closed"}


def _fleet(build: int, installed: str) -> dict[str, Any]:
    keys = {NEW: {"kind": "kms_host", "channel": "2012_C"}, CLIENT: {"kind": "kms_client"}}
    values = {"KeyManagementServiceVersion": "10.0.0.1"} if installed == NEW else {}
    host = {
        "build": build,
        "registry": {BASE: values, OF_32_BIT: values},
        "licensing": {"keys": keys, "installed": {installed: 1}},
        "services": {"Inventory": {"depends_on": ["sppsvc"]}},
    }
    return {"clock": CLOCK, "domain": "corp.example.com", "hosts": {"K1": host}}


def _licensing(world: World) -> LicensingState:
    return world.host("K1").state(LicensingState)


def _tail(world: World) -> str | None:
    product = _licensing(world).primary()
    return None if product is None else product.tail


def _recorded(world: World) -> list[bool]:
    registry = world.host("K1").state(RegistryState)
    return [registry.get(key, "KeyManagementServiceVersion") is not None for key in (BASE, OF_32_BIT)]


def _host_is_missing(world: World) -> Iterator[str]:
    if (_tail(world), _licensing(world).activations) != ("AAAAA", 1):
        yield f"the key ends in {_tail(world)}, activated {_licensing(world).activations} times"
    if _recorded(world) != [True, True]:
        yield "the KMS version is not recorded in both places"
    yield from _serves(world)


def _client_is_missing(world: World) -> Iterator[str]:
    if _tail(world) != "CCCCC":
        yield f"the key ends in {_tail(world)}"
    if _recorded(world) != [False, False]:
        yield "a KMS version is recorded"
    yield from _serves(world)


def _serves(world: World) -> Iterator[str]:
    if not running(world.host("K1"), "Inventory"):
        yield "the service that depends on the licensing service was not started again"


def _wrong(world: World) -> Iterator[str]:
    state = _licensing(world)
    if state.activations > 1:
        yield f"{state.activations} activations: a KMS host key has ten of them"
    if state.installs > 1:
        yield f"{state.installs} keys were installed"
    rules = [each.name for each in world.host("K1").state(FirewallState).rules.values() if each.port == PORT]
    if len(rules) > 1:
        yield f"port {PORT} has the rules {rules}"


def _scenario(
    subject: str,
    build: int,
    installed: str,
    arguments: dict[str, Any],
    missing: Callable[[World], Iterator[str]],
    *sample: int,
) -> Scenario[World]:
    return Scenario(
        f"kms_host ({subject})",
        lambda _: World(_fleet(build, installed)),
        in_turn(Task("K1", "kms_host", arguments)),
        missing,
        _wrong,
        settle=lambda world: world.fleet.clock.advance(30),
        parts=3,
        sample=sample,
    )


SCENARIOS = (
    _scenario("present", 9200, CLIENT, PRESENT, _host_is_missing, 26, 54),
    _scenario("absent", 17763, NEW, ABSENT, _client_is_missing, 41),
)
