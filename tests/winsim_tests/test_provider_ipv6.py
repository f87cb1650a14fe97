# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The IPv6 stack, bindings and services that listen, as simulated."""

from __future__ import annotations

from typing import Any

import pytest
from winsim import Fleet, Host
from winsim.fleet import FleetFileError
from winsim.providers import Fault, Wbem, providers
from winsim.providers.adapters import Adapters, addresses_of
from winsim.providers.registry import RegistryState
from winsim.providers.tcpip6 import PARAMETERS

STANDARD = "root/StandardCimv2"


def host(**more: Any) -> Host:
    return Fleet.load({"clock": {"speed": 0}, "hosts": {"N1": more}}).host("N1")


def disable(on: Host, value: int) -> None:
    on.state(RegistryState).set(PARAMETERS, "DisabledComponents", value)


def ipv6(on: Host) -> list[str]:
    adapter = on.state(Adapters).adapters["ethernet"]
    return [address for address in addresses_of(on, adapter) if ":" in address]


def precedence(on: Host) -> int:
    rows = providers.instances(on, STANDARD, "MSFT_NetPrefixPolicy")
    return next(int(row["Precedence"]) for row in rows if row["Prefix"] == "::ffff:0:0/96" and row["Store"] == 1)


def test_disabled_components_take_effect_with_the_next_start_only() -> None:
    on = host()
    before = precedence(on)
    disable(on, 0x30)
    assert ipv6(on)
    assert precedence(on) == before
    on.reboot(0)
    assert ipv6(on) == []
    assert precedence(on) > 40


def test_a_value_of_another_type_is_ignored() -> None:
    on = host(registry={PARAMETERS: {"DisabledComponents": "32"}})
    on.reboot(0)
    assert precedence(on) < 40


def test_a_fleet_that_was_saved_keeps_what_the_last_start_read() -> None:
    on = host()
    disable(on, 0x10)
    again = Fleet.restore(on.fleet.dump()).host("N1")
    assert ipv6(again)
    again.reboot(0)
    assert ipv6(again) == []


def test_a_binding_takes_effect_at_once_and_has_nothing_to_do_with_the_value() -> None:
    on = host()
    rows = providers.instances(on, STANDARD, "MSFT_NetAdapterBindingSettingData")
    keys = next({"InstanceID": row["InstanceID"]} for row in rows if row["ComponentID"] == "ms_tcpip6")
    for method, there in (("Disable", False), ("Enable", True)):
        cls = "MSFT_NetAdapterBindingSettingData"
        assert providers.invoke(on, STANDARD, cls, method, keys, {})["ReturnValue"] == 0
        assert bool(ipv6(on)) is there


def test_the_class_of_prefix_policies_may_fail_where_the_cmdlet_answers() -> None:
    on = host()
    on.switches["tcpip6.prefix_policy_class"] = "fails"
    with pytest.raises(Fault) as failed:
        providers.instances(on, STANDARD, "MSFT_NetPrefixPolicy")
    assert failed.value.code == Wbem.PROVIDER_FAILURE
    played = providers.cmdlet(on, "Get-NetPrefixPolicy")
    assert played is not None
    assert len(list(played.run(on, {}, []))) == 9


def test_a_service_listens_while_it_runs() -> None:
    on = host(
        services={"Mail": {"path": "C:\\mail.exe", "state": "Running"}, "Idle": {"state": "Stopped"}},
        listeners=[{"port": 6004, "service": "Mail"}, {"port": 7, "service": "Idle"}],
    )
    rows = providers.instances(on, STANDARD, "MSFT_NetTCPConnection")
    assert [row["LocalAddress"] for row in rows if row["LocalPort"] == 6004] == ["0.0.0.0", "::"]
    assert not [row for row in rows if row["LocalPort"] == 7]


@pytest.mark.parametrize(
    "section",
    [
        {"tcpip6": {"active": 1}},
        {"tcpip6": {"put_back": "yes"}},
        {"listeners": [{"port": 0, "service": "x"}]},
        {"listeners": [{"port": 1}]},
        {"adapters": {"A": {"ipv6": "no"}}},
        {"files": {"C:\\x": {"hex": "zz"}}},
        {"files": {"C:\\x": {"access": "some"}}},
    ],
)
def test_refuses_what_it_does_not_understand(section: dict[str, Any]) -> None:
    with pytest.raises(FleetFileError):
        host(**section)
