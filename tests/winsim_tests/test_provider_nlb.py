# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Network Load Balancing as the provider's public pages describe it."""

from __future__ import annotations

from typing import Any

import pytest
from winsim import Fleet, Host
from winsim.fleet import FleetFileError
from winsim.providers import Caller, calling, providers
from winsim.providers.adapters import Adapters
from winsim.providers.nlb import NAMESPACE, Clusters
from winsim.schema import load

SETTING, NODE = "MicrosoftNLB_ClusterSetting", "MicrosoftNLB_Node"


def made(build: int = 20348, **cluster: Any) -> Fleet:
    adapters = {
        name: {"build": build, "adapters": {"NLB": {"addresses": [f"10.0.0.{n}"]}}}
        for n, name in ((11, "W1"), (12, "W2"))
    }
    members = {name: {"interface": "NLB"} for name in adapters}
    web = {"ip": "10.0.0.10", "hosts": members, **cluster}
    return Fleet.load({"clock": {"speed": 0}, "hosts": {**adapters, "PLAIN": {}}, "nlb": {"WEB": web}})


def put(host: Host, **changes: Any) -> None:
    providers.modify(host, NAMESPACE, SETTING, {}, changes)


def load_settings(host: Host) -> int:
    return int(providers.invoke(host, NAMESPACE, SETTING, "LoadAllSettings", {}, {})["ReturnValue"])


def setting(host: Host) -> dict[str, Any]:
    (found,) = providers.instances(host, NAMESPACE, SETTING)
    return found


@pytest.mark.parametrize("build", [6002, 7601, 9600, 20348, 26100])
@pytest.mark.parametrize("cls", [SETTING, NODE, "MicrosoftNLB_NodeSetting", "MicrosoftNLB_PortRuleEx"])
def test_what_is_shown_is_in_the_schema(build: int, cls: str) -> None:
    declared = load().find(build, NAMESPACE, cls)
    assert declared is not None
    shown = {name for instance in providers.instances(made(build).host("W1"), NAMESPACE, cls) for name in instance}
    newer = {"ClientStickinessTimeout"} if build < 7600 else set()
    assert shown - newer <= {each.name for each in declared.properties}


def test_the_namespace_comes_with_the_feature() -> None:
    fleet = made()
    assert providers.namespace_available(fleet.host("W1"), NAMESPACE)
    assert not providers.namespace_available(fleet.host("PLAIN"), NAMESPACE)
    assert providers.cmdlet(fleet.host("PLAIN"), "Set-NlbCluster") is None


def test_other_hosts_show_up_only_with_remote_control_and_without_a_status() -> None:
    assert [node["StatusCode"] for node in providers.instances(made().host("W2"), NAMESPACE, NODE)] == [1007]
    nodes = providers.instances(made(remote_control=True).host("W2"), NAMESPACE, NODE)
    assert [(node["HostPriority"], node["StatusCode"]) for node in nodes] == [(2, 1007), (1, 0)]


def test_a_setting_takes_effect_when_it_is_loaded() -> None:
    fleet = made()
    host = fleet.host("W1")
    put(host, MulticastSupportEnabled=True)
    assert setting(host)["ClusterMACAddress"] == "02-bf-0a-00-00-0a"
    assert load_settings(host) == 1000
    assert setting(host)["ClusterMACAddress"] == "03-bf-0a-00-00-0a"
    adapter = host.state(Adapters).get("NLB")
    assert adapter is not None
    assert adapter.mac == adapter.permanent
    (node,) = providers.instances(host, NAMESPACE, NODE)
    assert node["StatusCode"] == 1006
    fleet.clock.advance(60)
    (node,) = providers.instances(host, NAMESPACE, NODE)
    assert node["StatusCode"] == 1008
    # In another mode W2 is a cluster of its own, whose default host it is.
    (alone,) = providers.instances(fleet.host("W2"), NAMESPACE, NODE)
    assert alone["StatusCode"] == 1008


def test_a_setting_that_needs_a_restart_takes_effect_at_the_restart() -> None:
    fleet = made()
    host = fleet.host("W1")
    host.switches["nlb.restart"] = "needed"
    put(host, MulticastSupportEnabled=True, IGMPSupport=True)
    assert load_settings(host) == 1050
    assert setting(host)["ClusterMACAddress"] == "02-bf-0a-00-00-0a"
    host.reboot(0)
    assert setting(host)["ClusterMACAddress"] == "01-00-5e-7f-00-0a"


@pytest.mark.parametrize("delegated", [True, False])
def test_the_cmdlet_changes_all_hosts_with_delegated_credentials_only(delegated: bool) -> None:
    fleet = made()
    fleet.switches["nlb.second_hop"] = "local"
    played = providers.cmdlet(fleet.host("W1"), "Set-NlbCluster")
    assert played is not None
    with calling(Caller("Administrator", delegated=delegated)):
        list(played.run(fleet.host("W1"), {"InterfaceName": "NLB", "OperationMode": "MULTICAST"}, []))
    members = fleet.state(Clusters).get("WEB").members
    assert [each.loaded[0] for each in members.values()] == [True, delegated]


def test_a_fleet_survives_being_saved_while_a_cluster_converges() -> None:
    fleet = made()
    put(fleet.host("W1"), MulticastSupportEnabled=True)
    load_settings(fleet.host("W1"))
    again = Fleet.restore(fleet.dump())
    assert setting(again.host("W1"))["MulticastSupportEnabled"] is True
    (node,) = providers.instances(again.host("W1"), NAMESPACE, NODE)
    assert node["StatusCode"] == 1006


def test_a_member_must_be_a_host_of_the_fleet() -> None:
    with pytest.raises(FleetFileError, match=r"fleet\.nlb\.WEB\.hosts\.W9: W9 is no host of the fleet"):
        made(hosts={"W9": {}})
