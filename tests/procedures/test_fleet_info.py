# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A whole fleet in one task."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.arguments import argument_spec
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.fleet import DEFAULTS
from support.world import World
from winsim.providers.registry import RegistryState
from winsim.trouble import Trouble, troubles_of

TCPIP6 = r"HKLM\SYSTEM\CurrentControlSet\Services\Tcpip6\Parameters"
FLEET: dict[str, Any] = {
    "clock": {"speed": 0},
    "hosts": {"N1": {"build": 17763, "features": ["Failover-Clustering"]}, "W1": {}, "W2": {}},
    "clusters": {"CL1": {"nodes": ["N1"]}},
}
IPV6: dict[str, Any] = {"module": "disable_ipv6", "arguments": {"state": "prefer_ipv4"}}


@pytest.fixture
def world() -> Iterator[World]:
    with World(FLEET) as world:
        yield world


def look(world: World, **arguments: Any) -> dict[str, Any]:
    """The task on all hosts of the world; ``changed``: connection variables of a host that differ, by its name."""
    changed = arguments.pop("changed", {})
    variables = {
        **world.variables(next(iter(world.fleet.hosts))),
        "ansible_play_batch": list(world.fleet.hosts),
        "hostvars": {name: {**world.variables(name), **changed.get(name, {})} for name in world.fleet.hosts},
    }
    return world.run(variables["inventory_hostname"], "fleet_info", variables=variables, **arguments)


def states(result: dict[str, Any]) -> dict[str, str]:
    return {name: host["state"] for name, host in result["hosts"].items()}


def test_it_says_of_each_host_what_the_module_itself_says(world: World) -> None:
    world.run("W1", "disable_ipv6", state="prefer_ipv4")
    result = look(world, procedures=[IPV6])
    assert not result["changed"]
    assert states(result) == {"N1": "would_change", "W1": "compliant", "W2": "would_change"}
    assert result["counts"] | {"would_change": 2, "compliant": 1} == result["counts"]
    assert sum(result["counts"].values()) == 3
    for name, host in result["hosts"].items():
        alone = world.run(name, "disable_ipv6", check=True, state="prefer_ipv4")
        assert host["procedures"]["disable_ipv6"]["result"] == alone


def test_it_never_writes_and_needs_one_session_for_all_procedures(world: World) -> None:
    result = look(world, procedures=[IPV6, {"module": "kms_host_info"}, {"module": "nlb_info"}])
    for name in world.fleet.hosts:
        assert result["hosts"][name]["procedures"].keys() == {"disable_ipv6", "kms_host_info", "nlb_info"}
        assert world.requests(name)
        assert world.writes(name) == []
        assert world.host(name).state(RegistryState).get(TCPIP6, "DisabledComponents") is None
        logon = len(world.host(name).handshakes)
        world.run(name, "nlb_info")
        assert len(world.host(name).handshakes) == 2 * logon


def test_without_procedures_every_module_answers_that_needs_no_argument(world: World) -> None:
    result = look(world)
    assert states(result) == {"N1": "answered", "W1": "answered", "W2": "answered"}
    assert tuple(result["hosts"]["N1"]["procedures"]) == DEFAULTS
    assert result["hosts"]["N1"]["procedures"]["hang_recovery_info"]["result"]["cluster"] == "CL1"
    refused = result["hosts"]["W1"]["procedures"]["hang_recovery_info"]
    assert (refused["state"], refused["refusal"]) == ("refused", "R3")
    assert "W1 has no failover clustering" in refused["msg"]
    assert all(not world.writes(name) for name in world.fleet.hosts)


def test_a_refusal_of_a_module_that_changes_something_is_the_state_of_the_host(world: World) -> None:
    hang = {"module": "hang_recovery", "arguments": {"action": "bugcheck"}}
    result = look(world, procedures=[hang, {"module": "ipv6_info"}])
    assert states(result) == {"N1": "would_change", "W1": "refused", "W2": "refused"}


def test_dead_refusing_and_strange_hosts_do_not_hold_up_the_others(world: World) -> None:
    changed = {
        "N1": {"ansible_port": 1},
        "W2": {"ansible_connection": "local"},
    }
    result = look(world, procedures=[IPV6, {"module": "ipv6_info"}], changed=changed)
    assert states(result) == {"N1": "unreachable", "W1": "would_change", "W2": "failed"}
    dead, strange = result["hosts"]["N1"], result["hosts"]["W2"]
    assert "cannot be reached" in dead["msg"]
    assert {each["state"] for each in dead["procedures"].values()} == {"unreachable"}
    assert dead["procedures"]["ipv6_info"]["msg"] == dead["msg"]
    assert dead["procedures"]["ipv6_info"]["result"] == {}
    assert "the connection local cannot carry WS-Management" in strange["msg"]


def test_a_wrong_password_is_told_of_its_host_and_never_shown(world: World) -> None:
    result = look(world, procedures=[IPV6], changed={"W1": {"ansible_password": "not-the-password"}})
    assert states(result) == {"N1": "would_change", "W1": "unreachable", "W2": "would_change"}
    assert "refused the credentials" in result["hosts"]["W1"]["msg"]
    assert "not-the-password" not in str(result)


def test_a_host_that_falls_silent_has_its_deadline_and_keeps_what_it_said(world: World) -> None:
    held = troubles_of(world.host("W1")).add(
        Trouble("delay", seconds=None), when=lambda asked: "MicrosoftNLB" in asked.namespace
    )
    # One after the other, so that the next waits for the place of the silent one; long enough for a busy machine.
    result = look(world, procedures=[IPV6, {"module": "nlb_info"}], timeout=8, concurrency=1)
    with world.fleet.changed:
        held.release()
        world.fleet.changed.notify_all()
    assert states(result) == {"N1": "would_change", "W1": "unreachable", "W2": "would_change"}
    silent = result["hosts"]["W1"]
    assert "within 8 s" in silent["msg"]
    assert {label: each["state"] for label, each in silent["procedures"].items()} == {
        "disable_ipv6": "would_change",
        "nlb_info": "unreachable",
    }


def test_a_procedure_is_for_the_hosts_that_it_names(world: World) -> None:
    wanted = [
        {**IPV6, "hosts": ["W1", "not-in-the-play"]},
        {**IPV6, "label": "as_it_was", "arguments": {"state": "enabled"}, "hosts": ["W1", "W2"]},
    ]
    result = look(world, procedures=wanted)
    assert states(result) == {"W1": "would_change", "W2": "compliant"}
    assert list(result["hosts"]["W1"]["procedures"]) == ["disable_ipv6", "as_it_was"]
    assert world.requests("N1") == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"procedures": [{"module": "win_ping"}]}, "win_ping"),
        ({"procedures": [{"module": "disable_ipv6", "arguments": {"stat": "enabled"}}]}, "disable_ipv6: "),
        ({"procedures": [IPV6, IPV6]}, "disable_ipv6 occurs twice"),
        ({"concurrency": 0}, "concurrency must be at least 1"),
        ({"timeout": 0}, "timeout must be at least 1"),
    ],
)
def test_what_nobody_can_have_meant_fails_the_task_before_any_request(
    world: World, arguments: dict[str, Any], said: str
) -> None:
    result = look(world, **arguments)
    assert result["failed"]
    assert said in result["msg"]
    assert all(world.requests(name) == [] for name in world.fleet.hosts)


def test_a_secret_argument_is_not_shown(world: World) -> None:
    key = "AAAAA-BBBBB-CCCCC-DDDDD-EEEEE"
    wanted = {"module": "kms_host", "arguments": {"product_key": key}}
    result = look(world, procedures=[wanted])
    assert set(states(result).values()) == {"would_change"}
    assert key not in str(result)


def test_it_can_run_every_other_module() -> None:
    plugins = (Path(__file__).parents[2] / "plugins" / "action").glob("*.py")
    with_a_procedure = {path.stem for path in plugins if "    procedure = " in path.read_text(encoding="utf-8")}
    for module in ("fleet_info", "audit_report"):
        assert set(argument_spec(module)["procedures"]["options"]["module"]["choices"]) == with_a_procedure
