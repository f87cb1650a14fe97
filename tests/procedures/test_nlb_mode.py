# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""nlb_mode and nlb_info on a simulated web farm: cluster 10.0.0.10 of W1 and W2, managed over another adapter."""

from __future__ import annotations

import base64
import datetime
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from support.world import World, step_names
from winsim.providers.adapters import Adapters
from winsim.providers.nlb import CONVERGING, STOPPED, Clusters, Member, NlbCluster, Rule, mode_of
from winsim.providers.registry import RegistryState
from winsim.trouble import Asked, Trouble, troubles_of

Result = dict[str, Any]

MULTICAST_MAC, UNICAST_MAC, IGMP_MAC = "03-BF-0A-00-00-0A", "02-BF-0A-00-00-0A", "01-00-5E-7F-00-0A"
JOURNALS = r"HKLM\SOFTWARE\fieldnotes.windows\Journal"
CHANGE = "change operation mode of 10.0.0.10 from unicast to multicast"
WAIT = "wait for convergence"


def fleet(*, hosts: Any = None, **cluster: Any) -> dict[str, Any]:
    """W1 and W2 with CredSSP, on two adapters each. hosts: further keys of hosts; cluster: keys of the NLB cluster."""
    made: dict[str, Any] = {}
    members: dict[str, Any] = {}
    for number, name in ((1, "W1"), (2, "W2")):
        made[name] = {
            "winrm": {"credssp": True},
            "adapters": {
                "LAN": {"addresses": [f"192.0.2.{number}"]},
                "NLB": {"addresses": [f"10.0.0.1{number}", "10.0.0.10"]},
            },
        }
        members[name] = {"interface": "NLB", "dedicated": [f"10.0.0.1{number}"]}
    for name, keys in (hosts or {}).items():
        made[name] = {**made.get(name, {}), **keys}
    rules = [{"start": 80, "end": 80, "protocol": "tcp"}, {"start": 443, "end": 443, "protocol": "tcp"}]
    web = {"ip": "10.0.0.10", "rules": rules, "hosts": members, **cluster}
    return {"clock": {"speed": 0}, "hosts": made, "nlb": {"WEB": web}}


def managed_over_nlb(address: str = "127.0.20.11", **cluster: Any) -> dict[str, Any]:
    """W1 alone, reached over the adapter NLB, whose dedicated address it listens on."""
    w1 = {"winrm": {"credssp": True, "listen": address}, "adapters": {"NLB": {"addresses": [address, "10.0.0.10"]}}}
    members = {"W1": {"interface": "NLB", "dedicated": [address]}}
    return {
        "clock": {"speed": 0},
        "hosts": {"W1": w1},
        "nlb": {"WEB": {"ip": "10.0.0.10", "hosts": members, **cluster}},
    }


def run(world: World, host: str = "W1", module: str = "nlb_mode", auth: str = "credssp", **arguments: Any) -> Result:
    variables = {**world.variables(host), "ansible_psrp_auth": auth}
    return world.run(host, module, variables=variables, **arguments)


def info(world: World, host: str = "W1", **arguments: Any) -> Result:
    (cluster,) = run(world, host, "nlb_info", **arguments)["clusters"]
    return dict(cluster)


def web(world: World) -> NlbCluster:
    return world.fleet.state(Clusters).get("WEB")


def member(world: World, host: str = "W1") -> Member:
    return web(world).members[host.lower()]


def modes(world: World) -> list[str]:
    return [mode_of(each.loaded) for each in web(world).members.values()]


def journals(world: World, host: str = "W1") -> list[dict[str, Any]]:
    """The journals of the module on a host."""
    key = world.host(host).state(RegistryState).key(rf"{JOURNALS}\nlb_mode")
    return [] if key is None else [json.loads(str(each.values["state"].data)) for each in key.keys.values()]


def setting_the_mode(asked: Asked) -> bool:
    return asked.action == "Command" and "Set-NlbCluster" in _sent(asked.text)


def _sent(text: str) -> str:
    """What a Command request carries, fragments put together."""
    arguments = re.findall(r"<rsp:Arguments[^>]*>([^<]+)</rsp:Arguments>", text)
    return "".join(base64.b64decode(each).decode("utf-8", errors="replace") for each in arguments)


def sets(world: World, host: str = "W1") -> int:
    """How often the host was told to change the mode."""
    return sum(1 for entry in world.requests(host) if entry.what.startswith("Set-NlbCluster"))


@pytest.fixture
def world() -> Iterator[World]:
    with World(fleet()) as world:
        yield world


# The mode of a cluster


@pytest.mark.acceptance("nlb_mode", "A1")
def test_a_change_reaches_all_hosts_and_is_verified(world: World) -> None:
    result = run(world, mode="multicast", cluster_ip="10.0.0.10")
    assert result["changed"]
    assert step_names(result) == [CHANGE, WAIT]
    assert (result["before"]["mode"], result["after"]["mode"]) == ("unicast", "multicast")
    assert (result["after"]["mac"], result["after"]["mac_ok"]) == (MULTICAST_MAC, True)
    assert result["mac_change"] == {"from": UNICAST_MAC, "to": MULTICAST_MAC}
    assert result["after"]["status"] == "converged_default"
    assert result["diff"] == {
        "before": f"mode: unicast\nmac: {UNICAST_MAC}\n",
        "after": f"mode: multicast\nmac: {MULTICAST_MAC}\n",
    }
    assert (result["resumed"], result["reboot_required"], result["warnings"]) == (False, False, [])
    assert modes(world) == ["multicast", "multicast"]
    assert journals(world) == []


@pytest.mark.acceptance("nlb_mode", "A2")
def test_the_second_run_and_the_other_host_find_nothing_to_do(world: World) -> None:
    run(world, mode="multicast")
    before = {name: len(world.requests(name)) for name in ("W1", "W2")}
    for name in ("W1", "W2"):
        result = run(world, name, mode="multicast")
        assert (result["changed"], result["steps"], result["mac_change"]) == (False, [], None)
        assert world.writes(name, before[name]) == []
    assert modes(world) == ["multicast", "multicast"]


def test_the_steady_state_costs_eight_requests_and_a_pull_for_the_second_rule(world: World) -> None:
    run(world, mode="unicast", auth="ntlm")
    asked = [entry.wql.partition(" FROM ")[2].split()[0] if entry.wql else entry.what for entry in world.requests("W1")]
    assert asked == [
        "MicrosoftNLB_ClusterSetting",
        "Win32_NetworkAdapter",
        "GetStringValue",
        "MicrosoftNLB_NodeSetting",
        "MicrosoftNLB_Node",
        "MicrosoftNLB_PortRuleEx",
        "",
        "Win32_NetworkAdapterConfiguration",
        "Win32_ComputerSystem",
    ]


def test_info_costs_seven_requests_and_a_pull_for_the_second_rule(world: World) -> None:
    info(world)
    assert [entry.action for entry in world.requests("W1")] == ["Enumerate"] * 5 + ["Pull"] + ["Enumerate"] * 2


@pytest.mark.acceptance("nlb_mode", "A3")
def test_igmp_multicast_has_the_mac_address_of_its_group() -> None:
    with World(fleet(mode="multicast")) as world:
        result = run(world, mode="igmp_multicast")
        assert result["changed"]
        assert (result["after"]["mac"], result["after"]["mac_ok"]) == (IGMP_MAC, True)
        assert result["after"]["multicast_ip"] == "239.255.0.10"
        assert modes(world) == ["igmp_multicast", "igmp_multicast"]


@pytest.mark.parametrize("goal", ["unicast", "multicast", "igmp_multicast"])
@pytest.mark.parametrize("start", ["unicast", "multicast", "igmp_multicast"])
@pytest.mark.parametrize("scope", ["cluster", "node"])
def test_every_mode_leads_to_every_other(scope: str, start: str, goal: str) -> None:
    with World(fleet(mode=start)) as world:
        arguments: dict[str, Any] = {"mode": goal, "scope": scope, "allow_mixed": True}
        result = run(world, **arguments)
        assert result["changed"] is (start != goal), result.get("msg")
        assert mode_of(member(world).loaded) == goal
        assert not run(world, **arguments)["changed"]


@pytest.mark.acceptance("nlb_mode", "A4")
def test_igmp_without_multicast_is_unicast() -> None:
    with World(fleet(mode="unicast", igmp_flag=True)) as world:
        assert info(world)["mode"] == "unicast"
        assert run(world, mode="multicast", scope="node", allow_mixed=True)["changed"]
        assert member(world).loaded == [True, False]


# The connection over the adapter that is reset


@pytest.mark.acceptance("nlb_mode", "A5")
def test_the_adapter_of_the_connection_is_not_reset_unasked() -> None:
    with World(managed_over_nlb()) as world:
        result = run(world, mode="multicast")
        assert result["refusal"] == "R7"
        assert result["msg"] == (
            "changing NLB resets the adapter this connection uses (127.0.20.11); use another adapter, or set "
            "allow_management_adapter: true and have console access ready"
        )
        assert modes(world) == ["unicast"]
        assert world.writes("W1") == []


@pytest.mark.acceptance("nlb_mode", "A6")
def test_a_session_that_the_change_cuts_is_no_failure() -> None:
    with World(managed_over_nlb(reset_seconds=40)) as world:
        start = world.fleet.clock.now()
        result = run(world, mode="multicast", allow_management_adapter=True)
        assert result["changed"], result.get("msg")
        assert result["after"]["mac"] == MULTICAST_MAC
        assert sets(world) == 1
        logons = [each.time for each in world.host("W1").handshakes]
        assert (max(logons) - start).total_seconds() >= 40
        assert journals(world) == []


def test_a_change_that_outlasts_the_operation_timeout_and_then_cuts_the_session_is_no_failure() -> None:
    fleet = managed_over_nlb(change_seconds=45, reset_seconds=40)
    with World({**fleet, "clock": {"speed": 100}}) as world:
        result = run(world, mode="igmp_multicast", allow_management_adapter=True)
        assert result["changed"], result.get("msg")
        assert result["after"]["mac"] == IGMP_MAC
        silent = [entry for entry in world.requests("W1") if entry.fault == 0x80338029]
        assert len(silent) >= 2
        assert sets(world) == 1


@pytest.mark.parametrize("position", ["error", "fails"])
def test_an_error_although_the_mode_changed_is_no_failure(world: World, position: str) -> None:
    world.host("W1").switches["nlb.answer"] = position
    result = run(world, mode="multicast")
    assert result["changed"], result.get("msg")
    assert modes(world) == ["multicast", "multicast"]


def test_a_host_that_never_comes_back_is_unreachable_and_keeps_its_journal() -> None:
    with World(managed_over_nlb(reset_seconds=100000)) as world:
        result = run(world, mode="multicast", allow_management_adapter=True, reconnect_timeout=60)
        assert result["unreachable"]
        assert "W1 does not answer 60 s after the adapter NLB was reset" in result["msg"]
        (entry,) = journals(world)
        assert (entry["from"], entry["to"]) == ("unicast", "multicast")
        world.fleet.clock.advance(100000)
        again = run(world, mode="multicast", allow_management_adapter=True)
        assert (again["changed"], again["resumed"]) == (True, True)
        assert journals(world) == []
        assert sets(world) == 1


def test_a_connection_lost_before_the_change_is_told_and_the_next_run_changes(world: World) -> None:
    troubles_of(world.host("W1")).add(Trouble("drop_before"), when=setting_the_mode)
    result = run(world, mode="multicast")
    assert result["unreachable"]
    assert (
        "ended during the change of 10.0.0.10 to multicast, and the mode is unicast: run the task again"
        in result["msg"]
    )
    assert len(journals(world)) == 1
    assert run(world, mode="multicast")["changed"]
    assert modes(world) == ["multicast", "multicast"]


def test_an_adapter_reset_that_comes_after_the_answer_is_waited_out() -> None:
    with World(managed_over_nlb(converge_seconds=60)) as world:
        host = world.host("W1")

        def polls(asked: Asked) -> bool:
            return "FROM MicrosoftNLB_Node" in asked.wql and mode_of(member(world).loaded) == "multicast"

        troubles_of(host).add(Trouble("lost", seconds=30), nth=3, when=polls)
        assert run(world, mode="multicast", allow_management_adapter=True)["changed"]


@pytest.mark.acceptance("nlb_mode", "A7")
def test_a_connection_to_the_cluster_address_is_refused_in_any_case() -> None:
    with World(managed_over_nlb("127.0.0.10", ip="127.0.0.10")) as world:
        member(world).dedicated = ["10.0.0.11"]
        result = run(world, mode="multicast", allow_management_adapter=True)
        assert result["refusal"] == "R6"
        assert result["msg"] == (
            "the connection goes to the cluster address 127.0.0.10, so any host may answer: use the dedicated address "
            "of W1 in the inventory"
        )
        assert modes(world) == ["unicast"]


def test_a_connection_to_the_address_of_a_port_rule_is_refused() -> None:
    with World(managed_over_nlb()) as world:
        web(world).rules.append(Rule(start=25, end=25, vip="127.0.20.11"))
        assert run(world, mode="multicast", allow_management_adapter=True)["refusal"] == "R6"


# Which cluster


@pytest.mark.acceptance("nlb_mode", "A8")
def test_of_two_adapters_one_must_be_named() -> None:
    two = fleet()
    two["hosts"]["W1"]["adapters"]["NLB 2"] = {"addresses": ["10.1.0.11", "10.1.0.10"]}
    two["nlb"]["MAIL"] = {"ip": "10.1.0.10", "hosts": {"W1": {"interface": "NLB 2", "dedicated": ["10.1.0.11"]}}}
    with World(two) as world:
        result = run(world, mode="multicast")
        assert (result["refusal"], result["msg"]) == ("R4", "W1 has NLB on NLB, NLB 2: name one with interface")
        assert modes(world) == ["unicast", "unicast"]
        result = run(world, mode="multicast", interface="nlb 2")
        assert result["changed"], result.get("msg")
        assert (result["after"]["cluster_ip"], result["after"]["mac"]) == ("10.1.0.10", "03-BF-0A-01-00-0A")
        assert modes(world) == ["unicast", "unicast"]
        assert [each["interface"] for each in run(world, module="nlb_info")["clusters"]] == ["NLB", "NLB 2"]
        assert info(world, interface="NLB 2")["status"] == "converged_default"


@pytest.mark.acceptance("nlb_mode", "A9")
def test_info_on_a_host_without_nlb_is_no_failure() -> None:
    with World({"hosts": {"W1": {}}}) as world:
        result = run(world, module="nlb_info", auth="ntlm")
        assert (result["changed"], result["installed"], result["clusters"]) == (False, False, [])
        assert "failed" not in result


@pytest.mark.acceptance("nlb_mode", "A10")
def test_a_host_without_nlb_is_refused() -> None:
    with World({"hosts": {"W1": {}}}) as world:
        result = run(world, mode="unicast", auth="ntlm")
        assert (result["refusal"], result["msg"]) == (
            "R1",
            "NLB is not installed on W1: ansible.windows.win_feature name=NLB",
        )
        assert world.writes("W1") == []


@pytest.mark.parametrize("position", ["none", "zero"])
def test_a_host_without_a_cluster_is_refused(position: str) -> None:
    with World({"hosts": {"W1": {"features": ["NLB"]}}, "switches": {"nlb.unconfigured": position}}) as world:
        result = run(world, mode="unicast", auth="ntlm")
        assert (result["refusal"], result["msg"]) == (
            "R2",
            "NLB is installed on W1 but not configured on any adapter: create the cluster first",
        )
        found = run(world, module="nlb_info", auth="ntlm")
        assert (found["installed"], found["clusters"]) == (True, [])


@pytest.mark.parametrize("module", ["nlb_mode", "nlb_info"])
def test_an_interface_without_nlb_is_refused(world: World, module: str) -> None:
    arguments = {"mode": "multicast"} if module == "nlb_mode" else {}
    result = run(world, module=module, interface="LAN", **arguments)
    assert (result["refusal"], result["msg"]) == ("R3", "LAN carries no NLB on W1; NLB is bound to NLB")


def test_another_cluster_address_is_refused(world: World) -> None:
    result = run(world, mode="multicast", cluster_ip="10.0.0.99")
    assert (result["refusal"], result["msg"]) == ("R5", "NLB cluster on NLB is 10.0.0.10, not 10.0.0.99")


def test_two_adapters_with_one_cluster_address_are_told() -> None:
    two = fleet()
    two["hosts"]["W1"]["adapters"]["NLB 2"] = {"addresses": ["10.0.0.21", "10.0.0.10"]}
    two["nlb"]["TWIN"] = {"ip": "10.0.0.10", "hosts": {"W1": {"interface": "NLB 2", "priority": 3}}}
    with World(two) as world:
        said = "2 adapters of the host have the cluster address 10.0.0.10: a misconfiguration"
        assert said in run(world, module="nlb_info")["warnings"]
        assert run(world, mode="unicast", interface="NLB")["warnings"] == [said]


# The other hosts


@pytest.mark.acceptance("nlb_mode", "A11")
@pytest.mark.parametrize("position", ["words", "names", "numbers"])
def test_a_stopped_host_is_named_before_anything_changes(world: World, position: str) -> None:
    world.fleet.switches["nlb.node_state"] = position
    member(world, "W2").state = STOPPED
    result = run(world, mode="multicast")
    shown = "1005" if position == "numbers" else "Stopped"
    assert (result["refusal"], result["msg"]) == (
        "R10",
        f"host W2 of cluster 10.0.0.10 is {shown}: bring it back or remove it from the cluster, else it stays in the "
        "old mode",
    )
    assert modes(world) == ["unicast", "unicast"]
    assert world.writes("W1") == []


@pytest.mark.parametrize("position", ["words", "names", "numbers"])
def test_converged_hosts_are_known_however_their_state_is_written(world: World, position: str) -> None:
    world.fleet.switches["nlb.node_state"] = position
    assert run(world, mode="multicast")["changed"]


def test_a_host_that_cannot_be_read_is_named_before_anything_changes(world: World) -> None:
    world.host("W2").power_off()
    result = run(world, mode="multicast")
    assert result["refusal"] == "R10"
    assert result["msg"].startswith("a host of cluster 10.0.0.10 is not readable (The host W2 cannot be reached.): ")
    assert modes(world) == ["unicast", "unicast"]


@pytest.mark.acceptance("nlb_mode", "A21")
@pytest.mark.parametrize("remote_control", [True, False])
@pytest.mark.parametrize("position", ["errors", "fails", "unknown"])
def test_other_hosts_need_delegated_credentials(remote_control: bool, position: str) -> None:
    with World(fleet(remote_control=remote_control)) as world:
        world.fleet.switches["nlb.second_hop_nodes"] = position
        variables = world.variables("W1", transport="https", auth="basic")
        result = world.run("W1", "nlb_mode", variables=variables, mode="multicast")
        assert (result["refusal"], result["msg"]) == (
            "R12",
            "Set-NlbCluster changes the other hosts from W1 and needs delegated credentials: use CredSSP or Kerberos "
            "delegation",
        )
        assert modes(world) == ["unicast", "unicast"]
        assert world.writes("W1") == []


def test_a_cluster_of_one_host_needs_no_delegation() -> None:
    with World(managed_over_nlb()) as world:
        assert run(world, mode="multicast", auth="ntlm", allow_management_adapter=True)["changed"]


@pytest.mark.parametrize("position", ["refused", "local"])
@pytest.mark.parametrize("nodes", ["errors", "unknown"])
def test_delegation_that_windows_did_not_grant_changes_nothing(world: World, position: str, nodes: str) -> None:
    """Delegation was asked for and the logon brought none: Windows then shows the other hosts as not readable."""
    world.fleet.switches["nlb.second_hop"] = position
    world.fleet.switches["nlb.second_hop_nodes"] = nodes
    variables = {
        **world.variables("W1"),
        "ansible_psrp_auth": "negotiate",
        "ansible_psrp_negotiate_delegate": True,
    }
    result = world.run("W1", "nlb_mode", variables=variables, mode="multicast")
    assert result["refusal"] == "R10"
    assert modes(world) == ["unicast", "unicast"]


@pytest.mark.parametrize("position", ["Mode", "OperationMode"])
def test_hosts_that_differ_after_the_change_are_named(world: World, position: str) -> None:
    world.fleet.switches["nlb.cluster_mode"] = position
    w2 = member(world, "W2")

    def late(asked: Asked) -> bool:
        # W2 is set back by somebody, after the change and before the check.
        if mode_of(w2.loaded) == "multicast" and "FROM MicrosoftNLB_PortRuleEx" in asked.wql:
            w2.stored = w2.loaded = [False, False]
        return False

    troubles_of(world.host("W1")).add(Trouble("delay"), when=late)
    result = run(world, mode="multicast")
    assert (result["refusal"], result["msg"]) == (
        "R13",
        "cluster 10.0.0.10 is in mixed modes: W1=multicast, W2=unicast; run the task again when all hosts answer",
    )
    assert len(journals(world)) == 1


def test_a_change_that_breaks_half_way_names_the_modes_and_is_completed_by_the_next_run(world: World) -> None:
    web(world).breaks_at = "W1"
    result = run(world, mode="multicast")
    assert (result["refusal"], result["msg"]) == (
        "R13",
        "cluster 10.0.0.10 is in mixed modes: W1=unicast, W2=multicast; run the task again when all hosts answer",
    )
    assert modes(world) == ["unicast", "multicast"]
    web(world).breaks_at = None
    assert run(world, mode="multicast")["changed"]
    assert modes(world) == ["multicast", "multicast"]


def test_a_change_that_breaks_at_once_leaves_nothing_behind(world: World) -> None:
    web(world).breaks_at = "W2"
    result = run(world, mode="multicast")
    assert result["failed"]
    assert result["msg"] == (
        "changing the mode of 10.0.0.10 to multicast: Set-NlbCluster failed with NlbOperationFailed,Set-NlbCluster: "
        "The host W2 refused."
    )
    assert modes(world) == ["unicast", "unicast"]
    assert journals(world) == []


def test_a_mode_that_get_nlbcluster_does_not_show_is_not_guessed(world: World) -> None:
    world.fleet.switches["nlb.cluster_mode"] = "absent"
    assert run(world, mode="multicast")["changed"]


def test_a_host_that_stops_during_the_change_fails_the_task(world: World) -> None:
    w2 = member(world, "W2")

    def stops(asked: Asked) -> bool:
        if mode_of(w2.loaded) == "multicast":
            w2.state = STOPPED
        return False

    troubles_of(world.host("W1")).add(Trouble("delay"), when=stops)
    result = run(world, mode="multicast", wait_timeout=60)
    assert result["failed"]
    assert "W2 Stopped" in result["msg"]
    assert len(journals(world)) == 1


def test_servers_without_the_cmdlets_are_told_the_other_way() -> None:
    with World(fleet(hosts={name: {"build": 6002} for name in ("W1", "W2")})) as world:
        result = run(world, mode="multicast", auth="ntlm")
        assert (result["refusal"], result["msg"]) == (
            "R11",
            "W1 has no NLB cmdlets (Windows Server 2008 R2 or later); use scope: node",
        )
        assert [rule["timeout"] for rule in info(world)["port_rules"]] == [None, None]


def test_a_host_without_the_tools_is_told_which_to_install() -> None:
    members = {"W1": {"interface": "NLB", "dedicated": ["10.0.0.11"], "tools": False}}
    with World(_with_members(members)) as world:
        result = run(world, mode="multicast")
        assert result["refusal"] == "R11"
        assert "ansible.windows.win_feature name=RSAT-NLB" in result["msg"]


def _with_members(members: dict[str, Any]) -> dict[str, Any]:
    made = fleet()
    made["nlb"]["WEB"]["hosts"] = members
    return made


# One host


@pytest.mark.acceptance("nlb_mode", "A12")
def test_one_host_alone_needs_consent(world: World) -> None:
    result = run(world, mode="multicast", scope="node")
    assert (result["refusal"], result["msg"]) == (
        "R8",
        "hosts in different modes do not form one cluster: until all hosts are done the service is split. Use scope: "
        "cluster, or set allow_mixed: true and serial: 1",
    )
    assert modes(world) == ["unicast", "unicast"]


@pytest.mark.parametrize("position", ["shown", "hidden"])
@pytest.mark.parametrize("fragments", ["windows", "unsupported"])
def test_one_host_after_the_other_without_delegation(position: str, fragments: str) -> None:
    with World(fleet()) as world:
        world.fleet.switches["nlb.pending"] = position
        world.fleet.switches["wire.fragments"] = fragments
        for name, expected in (("W1", ["multicast", "unicast"]), ("W2", ["multicast", "multicast"])):
            result = run(world, name, mode="multicast", scope="node", allow_mixed=True, auth="ntlm")
            assert result["changed"], result.get("msg")
            assert modes(world) == expected
            assert any(f"only {name} changes" in warning for warning in result["warnings"])
            assert sets(world, name) == 0


@pytest.mark.parametrize("pending", ["shown", "hidden"])
@pytest.mark.parametrize("position", ["refuse", "ignore"])
def test_a_put_that_windows_does_not_take_ends_with_the_documented_way(position: str, pending: str) -> None:
    with World(fleet()) as world:
        world.fleet.switches["nlb.setting_put"] = position
        world.fleet.switches["nlb.pending"] = pending
        result = run(world, mode="igmp_multicast", scope="node", allow_mixed=True)
        assert result["failed"]
        assert "use scope: cluster, the documented way" in result["msg"]
        assert (modes(world), member(world).stored) == (["unicast", "unicast"], [False, False])
        assert journals(world) == []


def test_a_half_put_setting_is_taken_back(world: World) -> None:
    def second(asked: Asked) -> bool:
        return asked.action == "Put"

    troubles_of(world.host("W1")).add(Trouble("fault", number=0x80041001), nth=2, when=second)
    result = run(world, mode="igmp_multicast", scope="node", allow_mixed=True)
    assert result["failed"]
    assert member(world).stored == [False, False]
    assert journals(world) == []


def test_the_session_that_loading_cuts_is_no_failure() -> None:
    with World(managed_over_nlb(reset_seconds=40)) as world:
        result = run(
            world, mode="multicast", scope="node", allow_mixed=True, allow_management_adapter=True, auth="ntlm"
        )
        assert result["changed"], result.get("msg")
        assert modes(world) == ["multicast"]


@pytest.mark.parametrize("pending", ["shown", "hidden"])
def test_settings_put_and_not_loaded_are_loaded_by_the_next_run(pending: str) -> None:
    with World(fleet()) as world:
        world.fleet.switches["nlb.pending"] = pending

        def loading(asked: Asked) -> bool:
            return asked.what == "LoadAllSettings"

        dead = Trouble("drop_before", times=99)
        troubles_of(world.host("W1")).add(dead, when=lambda asked: bool(dead.struck) or loading(asked))
        first = run(world, mode="multicast", scope="node", allow_mixed=True, reconnect_timeout=20)
        assert first["unreachable"]
        troubles_of(world.host("W1")).clear()
        again = run(world, mode="multicast", scope="node", allow_mixed=True)
        assert (again["changed"], again["resumed"]) == (True, True), again.get("msg")
        assert mode_of(member(world).loaded) == "multicast"
        assert journals(world) == []


def test_a_stopped_host_is_changed_and_left_stopped(world: World) -> None:
    member(world).state = STOPPED
    result = run(world, mode="multicast", scope="node", allow_mixed=True)
    assert result["changed"], result.get("msg")
    assert result["after"]["status"] == "stopped"


# Interrupted runs


@pytest.mark.acceptance("nlb_mode", "A13")
def test_a_change_whose_controller_died_after_it_is_finished(world: World) -> None:
    dead = Trouble("drop_after", times=99)
    troubles_of(world.host("W1")).add(dead, when=lambda asked: bool(dead.struck) or setting_the_mode(asked))
    assert run(world, mode="multicast", reconnect_timeout=10)["unreachable"]
    assert modes(world) == ["multicast", "multicast"]
    (entry,) = journals(world)
    assert {name: entry[name] for name in ("cluster_ip", "interface", "from", "to", "scope", "hosts")} == {
        "cluster_ip": "10.0.0.10",
        "interface": "NLB",
        "from": "unicast",
        "to": "multicast",
        "scope": "cluster",
        "hosts": ["W1", "W2"],
    }
    troubles_of(world.host("W1")).clear()
    result = run(world, mode="multicast")
    assert (result["changed"], result["resumed"]) == (True, True), result.get("msg")
    assert [step["status"] for step in result["steps"]] == ["skipped", "done"]
    assert sets(world) == 1
    assert journals(world) == []


def test_an_interrupted_change_is_finished_also_by_a_session_that_cannot_ask_the_other_hosts(world: World) -> None:
    dead = Trouble("drop_after", times=99)
    troubles_of(world.host("W1")).add(dead, when=lambda asked: bool(dead.struck) or setting_the_mode(asked))
    run(world, mode="multicast", reconnect_timeout=10)
    troubles_of(world.host("W1")).clear()
    result = run(world, mode="multicast", auth="ntlm")
    assert (result["changed"], result["resumed"]) == (True, True), result.get("msg")
    assert any("the other hosts of 10.0.0.10 are not checked" in warning for warning in result["warnings"])
    assert journals(world) == []


@pytest.mark.acceptance("nlb_mode", "A14")
def test_a_change_whose_controller_died_before_it_is_repeated(world: World) -> None:
    dead = Trouble("drop_before", times=99)
    troubles_of(world.host("W1")).add(dead, when=lambda asked: bool(dead.struck) or setting_the_mode(asked))
    assert run(world, mode="multicast", reconnect_timeout=10)["unreachable"]
    assert modes(world) == ["unicast", "unicast"]
    assert len(journals(world)) == 1
    troubles_of(world.host("W1")).clear()
    result = run(world, mode="multicast")
    assert (result["changed"], result["resumed"]) == (True, True), result.get("msg")
    assert modes(world) == ["multicast", "multicast"]
    assert journals(world) == []


def test_the_way_back_after_an_interrupted_change_is_a_change_of_its_own(world: World) -> None:
    dead = Trouble("drop_after", times=99)
    troubles_of(world.host("W1")).add(dead, when=lambda asked: bool(dead.struck) or setting_the_mode(asked))
    run(world, mode="multicast", reconnect_timeout=10)
    troubles_of(world.host("W1")).clear()
    world.fleet.clock.advance(60)
    result = run(world, mode="unicast")
    assert result["changed"], result.get("msg")
    assert step_names(result)[0] == "change operation mode of 10.0.0.10 from multicast to unicast"
    assert modes(world) == ["unicast", "unicast"]
    assert journals(world) == []


def test_a_mode_changed_meanwhile_ends_the_journal(world: World) -> None:
    dead = Trouble("drop_before", times=99)
    troubles_of(world.host("W1")).add(dead, when=lambda asked: bool(dead.struck) or setting_the_mode(asked))
    run(world, mode="multicast", reconnect_timeout=10)
    troubles_of(world.host("W1")).clear()
    for each in web(world).members.values():
        each.stored = [True, True]
        each.loaded = [True, True]
    result = run(world, mode="igmp_multicast")
    assert not result["changed"]
    assert any("the journal of an interrupted change to multicast is removed" in w for w in result["warnings"])
    assert journals(world) == []


def test_the_journal_of_another_cluster_is_refused(world: World) -> None:
    dead = Trouble("drop_before", times=99)
    troubles_of(world.host("W1")).add(dead, when=lambda asked: bool(dead.struck) or setting_the_mode(asked))
    run(world, mode="multicast", reconnect_timeout=10)
    troubles_of(world.host("W1")).clear()
    web(world).ip = "10.0.0.20"
    result = run(world, mode="multicast")
    assert result["refusal"] == "journal"
    assert "10.0.0.10" in result["msg"]
    assert "10.0.0.20" in result["msg"]
    assert modes(world) == ["unicast", "unicast"]


# Convergence


@pytest.mark.acceptance("nlb_mode", "A15")
def test_a_cluster_that_does_not_converge_fails_and_keeps_its_journal(world: World) -> None:
    web(world).stuck = True
    result = run(world, mode="multicast", wait_timeout=10)
    assert result["failed"]
    assert result["changed"]
    assert "10.0.0.10 on W1 is not converged after 10 s (converging (1006)); the mode is multicast" in result["msg"]
    assert modes(world) == ["multicast", "multicast"]
    assert len(journals(world)) == 1
    web(world).stuck = False
    again = run(world, mode="multicast")
    assert (again["changed"], again["resumed"]) == (True, True)
    assert journals(world) == []


def test_a_change_can_be_left_to_converge_alone(world: World) -> None:
    result = run(world, mode="multicast", wait=False)
    assert result["changed"]
    assert step_names(result) == [CHANGE]
    assert result["after"]["status"] == "converging"
    assert journals(world) == []
    waiting = run(world, mode="multicast")
    assert (waiting["changed"], step_names(waiting)) == (False, [WAIT])
    assert waiting["after"]["status"] == "converged_default"


def test_a_cluster_that_converges_is_waited_for_before_the_change(world: World) -> None:
    for each in web(world).members.values():
        each.converged_at = world.fleet.clock.now() + datetime.timedelta(seconds=20)
    assert run(world, mode="multicast")["changed"]


def test_a_cluster_that_converges_for_ever_is_not_touched(world: World) -> None:
    web(world).stuck = True
    for each in web(world).members.values():
        each.converged_at = world.fleet.clock.now()
    result = run(world, mode="multicast", wait_timeout=10)
    assert (result["refusal"], result["msg"]) == (
        "R9",
        f"W1 is still converging ({CONVERGING}); a mode change now would hit an unstable cluster",
    )
    assert modes(world) == ["unicast", "unicast"]
    assert world.writes("W1") == []


@pytest.mark.parametrize(("state", "word"), [(1005, "stopped"), (1009, "draining"), (1013, "suspended")])
def test_a_host_that_stops_while_it_converges_ends_the_wait(world: World, state: int, word: str) -> None:
    w1 = member(world)

    def stops(asked: Asked) -> bool:
        if mode_of(w1.loaded) == "multicast":
            w1.state = state
        return False

    troubles_of(world.host("W1")).add(Trouble("delay"), when=stops)
    result = run(world, mode="multicast")
    assert result["failed"]
    assert f"NLB on NLB of W1 is {word} ({state}) after the change to multicast" in result["msg"]
    assert len(journals(world)) == 1


@pytest.mark.parametrize(("state", "word"), [(1005, "stopped"), (1013, "suspended")])
def test_a_stopped_host_in_the_right_mode_is_left_alone_with_a_warning(world: World, state: int, word: str) -> None:
    member(world).state = state
    result = run(world, mode="unicast")
    assert not result["changed"]
    assert result["warnings"] == [f"NLB on NLB of W1 is {word} ({state}); this module starts and stops nothing"]


def test_a_wait_out_of_range_is_refused(world: World) -> None:
    result = run(world, mode="unicast", wait_timeout=9)
    assert result["msg"] == "wait_timeout must be between 10 and 3600 seconds, got 9"
    assert world.requests("W1") == []


# Check mode


@pytest.mark.acceptance("nlb_mode", "A16")
def test_check_mode_plans_and_writes_nothing(world: World) -> None:
    result = run(world, mode="igmp_multicast", check=True)
    assert result["changed"]
    assert [step["status"] for step in result["steps"]] == ["planned", "planned"]
    assert result["mac_change"] == {"from": UNICAST_MAC, "to": IGMP_MAC}
    assert (result["after"]["mode"], result["after"]["mac"]) == ("igmp_multicast", IGMP_MAC)
    said = " ".join(result["network_actions"])
    assert "snooping" in said
    assert "querier" in said
    assert world.writes("W1") == []
    assert modes(world) == ["unicast", "unicast"]


def test_the_network_actions_name_addresses_and_traps(world: World) -> None:
    to_multicast = run(world, mode="multicast", check=True)["network_actions"]
    assert any(f"10.0.0.10 -> {MULTICAST_MAC}" in action for action in to_multicast)
    assert any("ARP cache" in action for action in to_multicast)
    run(world, mode="multicast")
    to_unicast = run(world, mode="unicast", check=True)["network_actions"]
    for trap in ("flooding", "UnicastInterHostCommSupportEnabled", "MAC address spoofing", MULTICAST_MAC):
        assert any(trap in action for action in to_unicast), trap


# MAC addresses and the order of addresses


@pytest.mark.acceptance("nlb_mode", "A17")
def test_an_ipv6_cluster_has_no_rule() -> None:
    with World(fleet(ip="2001:db8::10")) as world:
        found = info(world)
        assert (found["expected_mac"], found["mac_ok"], found["cluster_ip"]) == (None, None, "2001:db8::10")
        result = run(world, mode="multicast")
        assert result["changed"], result.get("msg")
        assert result["mac_change"]["to"] is None


@pytest.mark.acceptance("nlb_mode", "A18")
def test_a_cluster_address_before_the_dedicated_one_is_told() -> None:
    adapters = {"NLB": {"addresses": ["10.0.0.10", "10.0.0.11"]}}
    with World(fleet(hosts={"W1": {"adapters": adapters}})) as world:
        assert info(world)["ip_order_ok"] is False
        assert info(world, "W2")["ip_order_ok"] is True


@pytest.mark.acceptance("nlb_mode", "A19")
def test_a_mac_address_set_by_hand_is_told_and_left() -> None:
    with World(fleet(mac="02-BF-01-01-01-01")) as world:
        result = run(world, mode="unicast")
        assert not result["changed"]
        (warning,) = result["warnings"]
        assert "02-BF-01-01-01-01" in warning
        assert UNICAST_MAC in warning


def test_a_mac_address_that_does_not_follow_the_change_fails_it() -> None:
    with World(fleet(mac="02-BF-01-01-01-01")) as world:
        result = run(world, mode="multicast")
        assert result["failed"]
        assert (
            f"the MAC address of 10.0.0.10 is 02-BF-01-01-01-01, the rule for multicast gives {MULTICAST_MAC}"
            in result["msg"]
        )
        assert modes(world) == ["multicast", "multicast"]
        assert len(journals(world)) == 1


@pytest.mark.parametrize("form", ["dashes", "colons"])
@pytest.mark.parametrize(("group", "mac"), [("reported", IGMP_MAC), ("absent", IGMP_MAC), ("own", "01-00-5E-40-00-0A")])
def test_the_igmp_group_is_trusted_where_it_is_told(group: str, mac: str, form: str) -> None:
    with World(fleet()) as world:
        world.fleet.switches["nlb.multicast_ip"] = group
        world.fleet.switches["nlb.mac_form"] = form
        result = run(world, mode="igmp_multicast")
        assert result["changed"], result.get("msg")
        assert (result["after"]["mac"], result["after"]["mac_ok"]) == (mac, True)


# What else changes


@pytest.mark.acceptance("nlb_mode", "A20")
def test_a_port_rule_that_disappears_is_told(world: World) -> None:
    web(world).lost_ports = [443]
    result = run(world, mode="multicast")
    assert result["failed"]
    assert result["changed"]
    assert "the port rules differ" in result["msg"]
    assert "gone: 255.255.255.255 tcp 443-443 (multiple_host)" in result["msg"]
    assert modes(world) == ["multicast", "multicast"]
    assert len(journals(world)) == 1


def test_a_port_rule_that_disappears_in_an_interrupted_change_is_told_by_the_next_run(world: World) -> None:
    web(world).lost_ports = [443]
    dead = Trouble("drop_after", times=99)
    troubles_of(world.host("W1")).add(dead, when=lambda asked: bool(dead.struck) or setting_the_mode(asked))
    run(world, mode="multicast", reconnect_timeout=10)
    troubles_of(world.host("W1")).clear()
    assert "the port rules differ from those before the interrupted change" in run(world, mode="multicast")["msg"]


def test_an_address_that_disappears_is_told(world: World) -> None:
    adapter = world.host("W1").state(Adapters).get("NLB")
    assert adapter is not None

    def loses(asked: Asked) -> bool:
        if mode_of(member(world).loaded) == "multicast" and "10.0.0.11" in adapter.addresses:
            adapter.addresses.remove("10.0.0.11")
        return False

    troubles_of(world.host("W1")).add(Trouble("delay"), when=loses)
    result = run(world, mode="multicast")
    assert result["failed"]
    assert "the addresses of NLB are" in result["msg"]


# Restarts


@pytest.mark.parametrize("pending", ["shown", "hidden"])
@pytest.mark.parametrize("scope", ["cluster", "node"])
def test_a_change_that_needs_a_restart_is_verified_by_the_run_after_it(scope: str, pending: str) -> None:
    with World(fleet()) as world:
        world.fleet.switches["nlb.restart"] = "needed"
        world.fleet.switches["nlb.pending"] = pending
        arguments: dict[str, Any] = {"mode": "multicast", "scope": scope, "allow_mixed": True}
        first = run(world, **arguments)
        assert (first["changed"], first["reboot_required"]) == (True, True), first.get("msg")
        assert any("needs a restart" in warning for warning in first["warnings"])
        between = run(world, **arguments)
        assert (between["changed"], between["reboot_required"]) == (False, True), between.get("msg")
        (entry,) = journals(world)
        assert entry["phase"] == "awaiting_restart"
        assert run(world, **{**arguments, "mode": "unicast"})["refusal"] == "journal"
        for name in ("W1", "W2") if scope == "cluster" else ("W1",):
            world.host(name).reboot(30)
        world.fleet.clock.advance(60)
        after = run(world, **arguments)
        assert (after["resumed"], after["reboot_required"]) == (True, False), after.get("msg")
        assert after["after"]["mac"] == MULTICAST_MAC
        assert journals(world) == []
        assert not run(world, **arguments)["changed"]


# The report


def test_info_tells_the_cluster_as_the_network_team_needs_it(world: World) -> None:
    found = info(world)
    assert found["interface"] == "NLB"
    assert (found["cluster_ip"], found["network_mask"]) == ("10.0.0.10", "255.255.255.0")
    assert (found["mode"], found["mac"], found["expected_mac"], found["mac_ok"]) == (
        "unicast",
        UNICAST_MAC,
        UNICAST_MAC,
        True,
    )
    assert (found["multicast_ip"], found["unicast_host_to_host"]) == (None, False)
    assert found["dedicated_ips"] == ["10.0.0.11"]
    assert found["adapter_ips"][:2] == ["10.0.0.11", "10.0.0.10"]
    assert (found["ip_order_ok"], found["is_management_adapter"], found["virtual_machine"]) == (True, False, True)
    assert (found["host_priority"], found["status"], found["status_code"]) == (1, "converged_default", 1008)
    assert info(world, "W2")["status"] == "converged"
    assert found["port_rules"][0] == {
        "vip": "255.255.255.255",
        "start_port": 80,
        "end_port": 80,
        "protocol": "tcp",
        "filtering": "multiple_host",
        "affinity": "single",
        "load_weight": 50,
        "equal_load": True,
        "priority": 1,
        "timeout": 0,
    }


@pytest.mark.parametrize("position", ["address", "computer"])
def test_the_node_with_a_status_is_this_host_also_where_others_show_up(position: str) -> None:
    with World(fleet(remote_control=True)) as world:
        world.fleet.switches["nlb.node_name"] = position
        assert info(world, "W1")["status_code"] == 1008
        assert info(world, "W2")["status_code"] == 1007
        assert run(world, mode="multicast")["changed"]
