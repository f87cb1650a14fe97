# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""disable_ipv6 on one simulated host N1."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from support.world import World, step_names
from winsim.providers import files
from winsim.providers.adapters import Adapters
from winsim.providers.registry import Kind, RegistryState
from winsim.providers.tcpip6 import HOSTS, PARAMETERS
from winsim.trouble import Trouble, troubles_of

SERVER_2008, SERVER_2008_R2, SERVER_2012_R2, SERVER_2019, SERVER_2022 = 6002, 7601, 9600, 17763, 20348

OURS = r"HKLM\SOFTWARE\fieldnotes.windows"
JOURNAL = OURS + r"\Journal\disable_ipv6"
EXCHANGE_2007 = r"HKLM\SOFTWARE\Microsoft\Exchange\v8.0"
BACKUP = HOSTS + ".fieldnotes.bak"

TWO_ADAPTERS = {
    "A": {"addresses": ["192.0.2.1"], "description": "Adapter One"},
    "B": {"addresses": ["198.51.100.1"], "description": "Adapter Two"},
}
EXCHANGE_HOSTS = "# our hosts\r\n127.0.0.1\tlocalhost\r\n::1\tlocalhost\r\n"
EXCHANGE_HOSTS_EDITED = (
    "# our hosts\r\n127.0.0.1\tlocalhost\r\n# ::1\tlocalhost # disabled by fieldnotes.windows\r\n"
    "192.0.2.1\tN1 # added by fieldnotes.windows\r\n192.0.2.1\tN1.corp.example # added by fieldnotes.windows\r\n"
)


def n1(build: int = SERVER_2019, value: Any = None, **host: Any) -> dict[str, Any]:
    """A fleet of one host; value: DisabledComponents as the fleet file writes registry data."""
    registry = dict(host.pop("registry", {}))
    if value is not None:
        registry[PARAMETERS] = {"DisabledComponents": value}
    return {
        "clock": {"speed": 0},
        "switches": host.pop("switches", {}),
        "hosts": {"N1": {"build": build, "registry": registry, **host}},
    }


def exchange_2007(text: str = EXCHANGE_HOSTS, build: int = SERVER_2008, **host: Any) -> dict[str, Any]:
    """A host with Exchange 2007 and a hosts file."""
    return n1(
        build,
        registry={EXCHANGE_2007: {"Setup": 1}},
        domain="corp.example",
        files={HOSTS: {"text": text}},
        **host,
    )


def registry(world: World) -> RegistryState:
    return world.host("N1").state(RegistryState)


def value(world: World) -> Any:
    return registry(world).get(PARAMETERS, "DisabledComponents")


def journal(world: World) -> dict[str, Any] | None:
    text = registry(world).get(JOURNAL, "State")
    return json.loads(text) if isinstance(text, str) else None


def hosts(world: World) -> str:
    content = files.read(world.host("N1"), HOSTS)
    assert content is not None
    return content.decode("latin-1")


def bound(world: World) -> dict[str, bool]:
    return {adapter.name: adapter.ipv6 for adapter in world.host("N1").state(Adapters).adapters.values()}


def is_clean(world: World) -> bool:
    """Nothing of ours is left in the registry or beside the hosts file."""
    return registry(world).key(OURS) is None and files.read(world.host("N1"), BACKUP) is None


def run(world: World, **arguments: Any) -> dict[str, Any]:
    return world.run("N1", "disable_ipv6", **arguments)


def restart(world: World) -> None:
    world.host("N1").reboot(0)


# The registry value


@pytest.mark.acceptance("disable_ipv6", "A1", "A2", "A3")
def test_prefers_ipv4_after_the_restart_and_remembers_until_then_that_it_is_due() -> None:
    with World(n1()) as world:
        world.fleet.clock.advance(60)
        first = run(world, state="prefer_ipv4")
        assert (first["changed"], first["reboot_required"], value(world)) == (True, True, 0x20)
        assert step_names(first) == ["set DisabledComponents from absent to 0x20"]
        assert first["before"]["disabled_components"] is None
        assert first["after"]["disabled_components"] == "0x20"
        assert first["disabled_components"]["state_name"] == "prefer_ipv4"
        assert first["in_effect"] == {"native": False, "prefer_ipv4": False}
        assert first["reboot_pending_since_boot"] is not None
        left = journal(world)
        assert left is not None
        assert (left["phase"], left["old"], left["new"]) == ("awaiting_restart", 0, 0x20)

        asked = len(world.requests("N1"))
        second = run(world, state="prefer_ipv4")
        assert (second["changed"], second["reboot_required"], second["resumed"]) == (False, True, False)
        assert world.writes("N1", asked) == []
        assert journal(world) == left

        restart(world)
        third = run(world, state="prefer_ipv4")
        assert (third["changed"], third["reboot_required"]) == (False, False)
        assert third["in_effect"]["prefer_ipv4"] is True
        assert third["reboot_pending_since_boot"] is None
        assert is_clean(world)


@pytest.mark.acceptance("disable_ipv6", "A4")
def test_an_absent_value_is_enabled_already() -> None:
    with World(n1()) as world:
        result = run(world, state="enabled")
        assert (result["changed"], result["reboot_required"], value(world)) == (False, False, None)
        assert world.writes("N1") == []
        assert result["disabled_components"]["configured"] is None
        assert result["disabled_components"]["state_name"] == "enabled"


@pytest.mark.acceptance("disable_ipv6", "A5")
def test_enables_by_writing_zero_over_another_value() -> None:
    with World(n1(value=0x20)) as world:
        result = run(world, state="enabled")
        assert (result["changed"], result["reboot_required"], value(world)) == (True, True, 0)


@pytest.mark.acceptance("disable_ipv6", "A6")
def test_turns_the_value_of_old_practice_into_the_one_that_was_meant() -> None:
    with World(n1(value=0xFFFFFFFF)) as world:
        result = run(world, state="disabled", allow_unsupported=True)
        assert (result["changed"], result["reboot_required"], value(world)) == (True, True, 0xFF)
        assert result["before"]["disabled_components"] == "0xFFFFFFFF"
        assert result["disabled_components"]["nonstandard"] is False


@pytest.mark.acceptance("disable_ipv6", "A7")
def test_refuses_an_unsupported_state_even_where_it_is_there_already() -> None:
    with World(n1(value=0xFF)) as world:
        result = run(world, state="disabled")
        assert result["failed"]
        assert (result["refusal"], result["msg"]) == (
            "R1",
            "disabling IPv6 is not supported by the vendor and breaks Windows components: use state: prefer_ipv4, "
            "or allow_unsupported: true",
        )
        assert len(world.requests("N1")) == 0


@pytest.mark.acceptance("disable_ipv6", "A8")
def test_changes_nothing_where_the_unsupported_state_is_there_and_accepted() -> None:
    with World(n1(value=0xFF)) as world:
        result = run(world, state="disabled", allow_unsupported=True)
        assert (result["changed"], result["reboot_required"]) == (False, False)
        assert world.writes("N1") == []
        assert result["in_effect"] == {"native": True, "prefer_ipv4": True}
        assert result["support"]["status"] == "unsupported"


@pytest.mark.acceptance("disable_ipv6", "A9")
@pytest.mark.parametrize(
    "service", [{"start_mode": "Auto", "state": "Stopped"}, {"start_mode": "Manual", "state": "Running"}]
)
@pytest.mark.parametrize("consent", [False, True])
def test_refuses_what_routing_and_remote_access_does_not_start_with(service: dict[str, str], consent: bool) -> None:
    with World(n1(services={"RemoteAccess": service})) as world:
        result = run(world, state="tunnels_disabled", allow_unsupported=consent)
        assert (result["refusal"], result["msg"]) == (
            "R3",
            "Routing and Remote Access fails after the next start with any value other than 0 and 0x20",
        )
        assert world.writes("N1") == []


def test_a_routing_service_that_nobody_starts_is_no_obstacle() -> None:
    with World(n1(services={"RemoteAccess": {"start_mode": "Disabled"}})) as world:
        assert run(world, state="tunnels_disabled")["changed"]
        assert value(world) == 1


@pytest.mark.acceptance("disable_ipv6", "A10")
def test_routing_and_remote_access_goes_with_prefer_ipv4() -> None:
    with World(n1(services={"RemoteAccess": {"start_mode": "Auto"}})) as world:
        assert run(world, state="prefer_ipv4")["changed"]
        assert value(world) == 0x20


@pytest.mark.acceptance("disable_ipv6", "A11")
def test_compares_the_whole_value() -> None:
    with World(n1(value=0x21)) as world:
        result = run(world, state="prefer_ipv4")
        assert result["changed"]
        assert step_names(result) == ["set DisabledComponents from 0x21 to 0x20"]
        assert value(world) == 0x20


@pytest.mark.acceptance("disable_ipv6", "A12")
@pytest.mark.parametrize("answer", ["wbem", "win32", "one"])
@pytest.mark.parametrize("kept", [pytest.param("32", id="REG_SZ"), pytest.param({"binary": "20"}, id="REG_BINARY")])
def test_replaces_a_value_of_another_type(kept: Any, answer: str) -> None:
    with World(n1(value=kept, switches={"registry.type_mismatch": answer})) as world:
        result = run(world, state="prefer_ipv4")
        assert result["changed"]
        assert [name.partition(",")[0] for name in step_names(result)] == [
            "delete DisabledComponents",
            "set DisabledComponents from absent to 0x20",
        ]
        key = registry(world).key(PARAMETERS)
        assert key is not None
        assert (key.values["disabledcomponents"].kind, value(world)) == (Kind.DWORD, 0x20)
        assert result["reboot_required"]


def test_a_value_of_another_type_is_enabled_already_and_told_of() -> None:
    with World(n1(value="32")) as world:
        result = run(world, state="enabled")
        assert not result["changed"]
        assert result["disabled_components"]["nonstandard"] is True
        assert result["warnings"] == ["DisabledComponents is a REG_SZ, which Windows ignores: IPv6 is enabled"]


@pytest.mark.acceptance("disable_ipv6", "A20")
def test_refuses_a_bare_number_in_a_string() -> None:
    with World(n1()) as world:
        result = run(world, disabled_components="20")
        assert result["failed"]
        assert result["msg"] == "write 0x14 or 0x20: a bare number in a string is ambiguous"
        assert world.requests("N1") == []


@pytest.mark.parametrize(("given", "written"), [(0x21, 0x21), ("0x31", 0x31), ("0X02", 2)])
def test_takes_a_number_or_hexadecimal_text(given: Any, written: int) -> None:
    with World(n1()) as world:
        assert run(world, disabled_components=given, allow_unsupported=True)["changed"]
        assert value(world) == written


@pytest.mark.parametrize("given", [-1, 256, "0xFFFFFFFF"])
def test_refuses_more_than_eight_bits(given: Any) -> None:
    with World(n1()) as world:
        result = run(world, disabled_components=given, allow_unsupported=True)
        assert (result["refusal"], result["msg"]) == (
            "R2",
            "DisabledComponents has eight bits; 0xFFFFFFFF delays every start by five seconds, the value meant is 0xFF",
        )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "nothing to do: give state, disabled_components, adapter_binding or hosts_loopback"),
        (
            {"state": "enabled", "disabled_components": 0},
            "state and disabled_components exclude each other: give one of them",
        ),
        ({"disabled_components": "prefer"}, "disabled_components is a number or a string like 0x20, not 'prefer'"),
        (
            {"hosts_loopback": "default", "hosts_names": ["a b"]},
            "hosts_names: 'a b' is not the name of a host",
        ),
    ],
)
def test_refuses_parameters_that_mean_nothing(arguments: dict[str, Any], text: str) -> None:
    with World(n1()) as world:
        result = run(world, **arguments)
        assert result["failed"]
        assert result["msg"] == text
        assert world.requests("N1") == []


@pytest.mark.acceptance("disable_ipv6", "A21")
def test_check_mode_predicts_and_writes_nothing() -> None:
    with World(n1()) as world:
        result = run(world, state="prefer_ipv4", check=True)
        assert (result["changed"], result["reboot_required"]) == (True, True)
        assert step_names(result) == ["set DisabledComponents from absent to 0x20"]
        assert result["diff"] == {"before": "DisabledComponents: absent\n", "after": "DisabledComponents: 0x20\n"}
        assert (world.writes("N1"), value(world), journal(world)) == ([], None, None)


@pytest.mark.acceptance("disable_ipv6", "A22")
def test_fails_where_ipv6_is_still_there_after_the_restart() -> None:
    with World(n1(tcpip6={"put_back": True})) as world:
        assert run(world, state="disabled", allow_unsupported=True)["reboot_required"]
        restart(world)
        for _ in range(2):  # and again, until somebody finds the cause
            result = run(world, state="disabled", allow_unsupported=True)
            assert result["failed"]
            assert result["msg"].startswith(
                "DisabledComponents 0xFF is set since before the last start but IPv6 addresses are still there: fe80::"
            )
            assert result["msg"].endswith("; a policy or a driver put it back")


def test_an_effect_that_contradicts_the_value_needs_a_restart_also_without_a_journal() -> None:
    with World(n1()) as world:
        registry(world).set(PARAMETERS, "DisabledComponents", 0x20)
        result = run(world, state="prefer_ipv4")
        assert (result["changed"], result["reboot_required"], journal(world)) == (False, True, None)


def test_native_ipv6_that_was_off_comes_back_with_the_restart() -> None:
    with World(n1(value=0x10)) as world:
        registry(world).set(PARAMETERS, "DisabledComponents", 0)
        result = run(world, state="enabled")
        assert (result["in_effect"]["native"], result["reboot_required"]) == (True, True)
        restart(world)
        result = run(world, state="enabled")
        assert (result["in_effect"]["native"], result["reboot_required"]) == (False, False)


def test_an_unchecked_adapter_explains_missing_addresses() -> None:
    with World(n1(adapters={"A": {"addresses": ["192.0.2.1"], "ipv6": False}})) as world:
        result = run(world, state="enabled")
        assert (result["in_effect"]["native"], result["reboot_required"]) == (None, False)


def test_tunnels_do_not_count_as_native_ipv6() -> None:
    adapters = {**TWO_ADAPTERS, "isatap": {"addresses": ["fe80::5efe:c000:201"], "tunnel": True}}
    with World(n1(value=0x10, adapters=adapters)) as world:
        assert run(world, state="native_disabled", allow_unsupported=True)["in_effect"]["native"] is True


def test_the_old_value_asked_for_before_the_restart_is_written_back_and_needs_none() -> None:
    with World(n1(value=0x20)) as world:
        assert run(world, state="enabled")["reboot_required"]
        result = run(world, state="prefer_ipv4")
        assert (result["changed"], result["reboot_required"], value(world)) == (True, False, 0x20)
        assert is_clean(world)


def test_another_value_before_the_restart_replaces_the_one_that_waits() -> None:
    with World(n1()) as world:
        run(world, state="prefer_ipv4")
        assert run(world, state="tunnels_disabled")["reboot_required"]
        left = journal(world)
        assert left is not None
        assert (left["old"], left["new"], value(world)) == (0, 1, 1)


def test_a_clock_correction_of_seconds_is_no_restart() -> None:
    with World(n1()) as world:
        run(world, state="tunnels_disabled")
        world.host("N1").boot_time += timedelta(seconds=4)
        assert run(world, state="tunnels_disabled")["reboot_required"]
        world.host("N1").boot_time += timedelta(seconds=4)
        assert not run(world, state="tunnels_disabled")["reboot_required"]


def test_tells_that_somebody_else_changed_the_value_and_changes_it_again() -> None:
    with World(n1()) as world:
        run(world, state="prefer_ipv4")
        registry(world).set(PARAMETERS, "DisabledComponents", 0)
        restart(world)
        result = run(world, state="prefer_ipv4")
        assert (result["changed"], result["reboot_required"], value(world)) == (True, True, 0x20)
        assert result["warnings"] == [
            "an earlier run set DisabledComponents to 0x20, now it is 0x00: another writer, a Group Policy for "
            "example, changed it"
        ]


def test_a_host_without_prefix_policies_needs_the_restart_only_by_the_journal() -> None:
    with World(n1(SERVER_2008_R2)) as world:
        first = run(world, state="prefer_ipv4")
        assert (first["in_effect"]["prefer_ipv4"], first["reboot_required"]) == (None, True)
        restart(world)
        assert not run(world, state="prefer_ipv4")["reboot_required"]
        assert is_clean(world)


@pytest.mark.parametrize("position", ["answers", "fails"])
def test_reads_the_prefix_policies_from_the_class_or_the_cmdlet(position: str) -> None:
    with World(n1(value=0x20, switches={"tcpip6.prefix_policy_class": position})) as world:
        assert run(world, state="prefer_ipv4")["in_effect"]["prefer_ipv4"] is True


@pytest.mark.parametrize("position", ["follow", "untouched"])
def test_the_order_means_nothing_where_native_ipv6_is_off(position: str) -> None:
    with World(n1(value=0xFF, switches={"tcpip6.policies_without_native": position})) as world:
        assert not run(world, state="disabled", allow_unsupported=True)["reboot_required"]


def test_notes_the_slow_start_of_2008_r2_and_warns_on_a_domain_controller_or_cluster_node() -> None:
    with World(n1(SERVER_2008_R2, value=0xFF, services={"ClusSvc": {"start_mode": "Auto"}})) as world:
        result = run(world, state="disabled", allow_unsupported=True)
        assert any("KB3014406" in note for note in result["support"]["notes"])
        assert result["warnings"] == ["failover clustering / LDAP over UDP on domain controllers depend on IPv6"]


def test_refuses_to_take_the_only_addresses() -> None:
    with World(n1(adapters={"A": {"addresses": ["2001:db8::1"]}})) as world:
        result = run(world, state="native_disabled", allow_unsupported=True)
        assert (result["refusal"], result["msg"]) == ("R4", "this host has IPv6 addresses only")
        assert run(world, adapter_binding="unbound")["refusal"] == "R4"


def test_names_the_key_that_may_not_be_read() -> None:
    with World(n1(registry={PARAMETERS: {"(access)": "denied"}})) as world:
        result = run(world, state="prefer_ipv4")
        assert result["failed"]
        assert PARAMETERS in result["msg"]
        assert "ERROR_ACCESS_DENIED" in result["msg"]


# The bindings


@pytest.mark.acceptance("disable_ipv6", "A13")
def test_refuses_to_merely_uncheck_ipv6_under_exchange_transport() -> None:
    with World(n1(SERVER_2022, services={"MSExchangeTransport": {"start_mode": "Auto"}})) as world:
        result = run(world, adapter_binding="unbound")
        assert (result["refusal"], result["msg"]) == (
            "R7",
            "Exchange transport does not start with IPv6 merely unchecked: bind it again, or disable IPv6 fully with "
            "state: disabled",
        )
        assert world.writes("N1") == []
        assert run(world, adapter_binding="unbound", state="disabled", allow_unsupported=True)["changed"]


@pytest.mark.acceptance("disable_ipv6", "A14")
def test_refuses_to_cut_its_own_connection_unless_told_so() -> None:
    adapters = {"Ethernet": {"addresses": ["192.0.2.1", "::1"]}}
    with World(n1(SERVER_2022, adapters=adapters, winrm={"listen": "::1"})) as world:
        result = run(world, adapter_binding="unbound")
        assert (result["refusal"], result["msg"]) == (
            "R5",
            "the connection itself uses IPv6 (::1): connect over IPv4, or set allow_disconnect",
        )
        assert bound(world) == {"Ethernet": True}
        assert world.writes("N1") == []

        cut = run(world, adapter_binding="unbound", allow_disconnect=True)
        assert cut["unreachable"]
        assert bound(world) == {"Ethernet": False}
        left = journal(world)
        assert left is not None
        assert left["phase"] == "applying"

        troubles_of(world.host("N1")).dark_until = None
        result = run(world, adapter_binding="unbound", allow_disconnect=True)
        assert (result["changed"], result["resumed"]) == (False, True)
        assert is_clean(world)


@pytest.mark.acceptance("disable_ipv6", "A15")
def test_unbinds_one_adapter_at_once() -> None:
    with World(n1(SERVER_2012_R2, adapters=TWO_ADAPTERS)) as world:
        result = run(world, adapter_binding="unbound", adapters=["a"])
        assert (result["changed"], result["reboot_required"]) == (True, False)
        assert step_names(result) == ["unbind IPv6 from adapter A"]
        assert bound(world) == {"A": False, "B": True}
        assert result["adapters"] == [{"alias": "A", "bound": False}]
        assert result["support"]["status"] == "unsupported"
        assert result["diff"] == {"before": "IPv6 on A: bound\n", "after": "IPv6 on A: unbound\n"}
        assert is_clean(world)


def test_binds_all_visible_adapters_again() -> None:
    adapters: dict[str, Any] = {name: {**entry, "ipv6": False} for name, entry in TWO_ADAPTERS.items()}
    adapters["isatap"] = {"addresses": ["fe80::5efe:c000:201"], "tunnel": True, "ipv6": False}
    with World(n1(adapters=adapters)) as world:
        result = run(world, adapter_binding="bound")
        assert step_names(result) == ["bind IPv6 to adapter A", "bind IPv6 to adapter B"]
        assert bound(world) == {"A": True, "B": True, "isatap": False}
        assert not run(world, adapter_binding="bound")["changed"]


def test_refuses_an_adapter_that_is_not_there() -> None:
    with World(n1(adapters=TWO_ADAPTERS)) as world:
        result = run(world, adapter_binding="bound", adapters=["A", "C"])
        assert (result["refusal"], result["msg"]) == ("R12", "no adapter named C; this host has A, B")


def test_refuses_bindings_before_2012() -> None:
    with World(n1(SERVER_2008_R2)) as world:
        result = run(world, adapter_binding="unbound")
        assert (result["refusal"], result["msg"]) == (
            "R6",
            "adapter bindings can be managed from Server 2012 on; on this host uncheck it locally or use the registry "
            "states",
        )


# The hosts file


@pytest.mark.acceptance("disable_ipv6", "A16", "A17")
@pytest.mark.parametrize("position", ["list", "each", "array"])
@pytest.mark.parametrize("restarted", [False, True])
def test_edits_the_hosts_file_and_takes_it_back_byte_for_byte(position: str, restarted: bool) -> None:
    with World(exchange_2007(switches={"files.byte_content": position})) as world:
        result = run(world, hosts_loopback="exchange2007", state="disabled", allow_unsupported=True)
        assert (result["changed"], result["reboot_required"], value(world)) == (True, True, 0xFF)
        assert hosts(world) == EXCHANGE_HOSTS_EDITED
        assert result["hosts"] == {
            "loopback_active": False,
            "loopback_commented": True,
            "added": [{"address": "192.0.2.1", "name": "N1"}, {"address": "192.0.2.1", "name": "N1.corp.example"}],
            "managed": True,
        }
        assert result["warnings"] == [
            "not needed from Update Rollup 4 for SP1 on; undo with hosts_loopback: default after updating"
        ]
        assert files.read(world.host("N1"), BACKUP) is None
        assert "::1\tlocalhost" in result["diff"]["before"]
        assert "# our hosts" not in result["diff"]["before"]

        again = run(world, hosts_loopback="exchange2007", state="disabled", allow_unsupported=True)
        assert (again["changed"], again["reboot_required"]) == (False, True)
        if restarted:
            restart(world)

        back = run(world, hosts_loopback="default", state="enabled")
        assert (back["changed"], back["reboot_required"], value(world)) == (True, restarted, 0)
        assert hosts(world) == EXCHANGE_HOSTS
        assert files.read(world.host("N1"), BACKUP) is None
        assert is_clean(world) is not restarted


@pytest.mark.acceptance("disable_ipv6", "A18")
def test_a_line_that_is_a_comment_already_stays_one() -> None:
    with World(n1(SERVER_2008_R2, files={HOSTS: {"text": "#\t::1 localhost\r\n"}})) as world:
        result = run(world, hosts_loopback="exchange2007", allow_unsupported=True)
        assert result["changed"]
        assert hosts(world) == "#\t::1 localhost\r\n192.0.2.1\tN1 # added by fieldnotes.windows\r\n"
        assert result["warnings"] == []
        assert is_clean(world)


def test_keeps_the_copy_where_asked_for_it() -> None:
    with World(exchange_2007()) as world:
        run(world, hosts_loopback="exchange2007", hosts_backup=True)
        assert files.read(world.host("N1"), BACKUP) == EXCHANGE_HOSTS.encode()


def test_finds_the_hosts_file_where_it_was_moved_to() -> None:
    fleet = exchange_2007()
    host = fleet["hosts"]["N1"]
    host["registry"][r"HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters"] = {
        "DataBasePath": {"expand": "D:\\net"}
    }
    host["files"]["D:\\net\\hosts"] = {"text": "::1 localhost"}
    with World(fleet) as world:
        run(world, hosts_loopback="exchange2007", hosts_names=["mail01"])
        moved = files.read(world.host("N1"), "D:\\net\\hosts")
        assert moved == (
            b"# ::1 localhost # disabled by fieldnotes.windows\r\n192.0.2.1\tmail01 # added by fieldnotes.windows"
        )
        assert hosts(world) == EXCHANGE_HOSTS


@pytest.mark.parametrize(
    ("fleet", "arguments", "code", "text"),
    [
        pytest.param(
            exchange_2007("192.0.2.9 N1\r\n"),
            {},
            "R9",
            f"{HOSTS} line 1 maps N1 to 192.0.2.9: remove it or leave N1 out of hosts_names",
            id="R9",
        ),
        pytest.param(
            n1(SERVER_2019),
            {},
            "R10",
            "the hosts file change is for Exchange 2007 SP1 before Update Rollup 4 on Windows Server 2008 only",
            id="R10 on 2019",
        ),
        pytest.param(
            n1(SERVER_2008),
            {},
            "R10",
            "the hosts file change is for Exchange 2007 SP1 before Update Rollup 4 on Windows Server 2008 only",
            id="R10 without Exchange",
        ),
        pytest.param(
            exchange_2007(adapters=TWO_ADAPTERS),
            {},
            "R11",
            "hosts_ipv4_address: choose one of 192.0.2.1, 198.51.100.1",
            id="R11 missing",
        ),
        pytest.param(
            exchange_2007(),
            {"hosts_ipv4_address": "192.0.2.77"},
            "R11",
            "hosts_ipv4_address: choose one of 192.0.2.1",
            id="R11 not there",
        ),
    ],
)
def test_refuses_the_hosts_file(fleet: Any, arguments: Mapping[str, Any], code: str, text: str) -> None:
    with World(fleet) as world:
        result = run(world, hosts_loopback="exchange2007", **arguments)
        assert (result["refusal"], result["msg"]) == (code, text)
        assert world.writes("N1") == []


def test_refuses_a_hosts_file_that_windows_cannot_read() -> None:
    fleet = exchange_2007()
    fleet["hosts"]["N1"]["files"][HOSTS] = {"hex": "fffe3100"}
    with World(fleet) as world:
        result = run(world, hosts_loopback="default")
        assert (result["refusal"], result["msg"]) == (
            "R8",
            f"hosts file {HOSTS} is UTF-16: Windows reads it as ANSI/UTF-8 only; save it so first",
        )


def test_refuses_a_hosts_file_that_it_may_not_read() -> None:
    fleet = exchange_2007()
    fleet["hosts"]["N1"]["files"][HOSTS] = {"text": "", "access": "denied"}
    with World(fleet) as world:
        result = run(world, hosts_loopback="default")
        assert result["refusal"] == "R8"
        assert "is not readable" in result["msg"]


def test_takes_everything_back_where_a_later_step_fails() -> None:
    fleet = exchange_2007()
    fleet["hosts"]["N1"]["registry"][PARAMETERS] = {"DisabledComponents": 0x20, "(access)": "read_only"}
    with World(fleet) as world:
        result = run(world, hosts_loopback="exchange2007", state="disabled", allow_unsupported=True)
        assert result["failed"]
        assert "ERROR_ACCESS_DENIED" in result["msg"]
        assert not result["changed"]
        assert hosts(world) == EXCHANGE_HOSTS
        assert is_clean(world)


def test_a_failed_run_leaves_the_restart_that_was_due_before() -> None:
    with World(exchange_2007()) as world:
        run(world, state="disabled", allow_unsupported=True)
        left = journal(world)
        assert left is not None
        world.host("N1").state(RegistryState).make(PARAMETERS).access = "read_only"
        assert run(world, hosts_loopback="exchange2007", state="enabled")["failed"]
        after = journal(world)
        assert after is not None
        assert {name: after[name] for name in ("phase", "old", "new", "boot")} == {
            name: left[name] for name in ("phase", "old", "new", "boot")
        }
        assert hosts(world) == EXCHANGE_HOSTS


# Interrupted runs

EVERYTHING = {"hosts_loopback": "exchange2007", "state": "disabled", "allow_unsupported": True}


@pytest.mark.acceptance("disable_ipv6", "A19")
def test_finishes_a_run_that_ended_after_the_hosts_file_was_written() -> None:
    with World(exchange_2007()) as world:
        troubles_of(world.host("N1")).add(
            Trouble("drop_before"), when=lambda asked: asked.what == "SetDWORDValue" and "Tcpip6" in asked.text
        )
        assert run(world, **EVERYTHING)["unreachable"]
        assert (hosts(world), value(world)) == (EXCHANGE_HOSTS_EDITED, None)
        asked = len(world.requests("N1"))
        result = run(world, **EVERYTHING)
        assert (result["changed"], result["resumed"], value(world)) == (True, True, 0xFF)
        assert hosts(world) == EXCHANGE_HOSTS_EDITED
        assert not [request for request in world.requests("N1", asked) if "Set-Content" in request.what]
        assert run(world, hosts_loopback="default", state="enabled")["changed"]
        assert hosts(world) == EXCHANGE_HOSTS
        assert is_clean(world)


def _writes_of(fleet: Callable[[], Any], arguments: Mapping[str, Any]) -> list[int]:
    """Numbers of the requests of a whole run that write."""
    with World(fleet()) as world:
        run(world, **arguments)
        return [request.n for request in world.writes("N1")]


FLEETS: dict[str, tuple[Callable[[], Any], dict[str, Any], Callable[[World], Any], Any]] = {
    "value": (lambda: n1(value="32"), {"state": "prefer_ipv4"}, value, 0x20),
    "bindings": (lambda: n1(adapters=TWO_ADAPTERS), {"adapter_binding": "unbound"}, bound, {"A": False, "B": False}),
}


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
@pytest.mark.parametrize("case", FLEETS)
def test_the_next_run_finishes_wherever_the_connection_ended(case: str, kind: str) -> None:
    fleet, arguments, seen, goal = FLEETS[case]
    for nth in _writes_of(fleet, arguments):
        with World(fleet()) as world:
            troubles_of(world.host("N1")).add(Trouble(kind), nth=nth)
            run(world, **arguments)
            result = run(world, **arguments)
            assert not result.get("failed"), (nth, result["msg"])
            assert seen(world) == goal, nth
            restart(world)
            assert not run(world, **arguments)["changed"]
            assert journal(world) is None, nth


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
@pytest.mark.parametrize("then", ["same", "back"])
def test_the_hosts_file_is_right_wherever_the_connection_ended(kind: str, then: str) -> None:
    for nth in _writes_of(exchange_2007, EVERYTHING):
        with World(exchange_2007()) as world:
            troubles_of(world.host("N1")).add(Trouble(kind), nth=nth)
            run(world, **EVERYTHING)
            if then == "same":
                result = run(world, **EVERYTHING)
                assert (hosts(world), value(world)) == (EXCHANGE_HOSTS_EDITED, 0xFF), (nth, result)
            else:
                result = run(world, state="enabled", hosts_loopback="default")
                assert (hosts(world), value(world) or 0) == (EXCHANGE_HOSTS, 0), (nth, result)
            assert not result.get("failed"), (nth, result["msg"])
            restart(world)
            run(world, state="disabled" if then == "same" else "enabled", allow_unsupported=True)
            assert (journal(world), files.read(world.host("N1"), BACKUP)) == (None, None), nth


def test_a_write_that_broke_off_is_done_again_from_what_was_there() -> None:
    with World(exchange_2007()) as world:
        troubles_of(world.host("N1")).add(
            Trouble("drop_before"), when=lambda asked: asked.what == "SetDWORDValue" and "Tcpip6" in asked.text
        )
        run(world, **EVERYTHING)
        files.write(world.host("N1"), HOSTS, EXCHANGE_HOSTS_EDITED[:40].encode())
        assert run(world, **EVERYTHING)["changed"]
        assert hosts(world) == EXCHANGE_HOSTS_EDITED


def test_another_task_takes_back_what_an_interrupted_one_began() -> None:
    with World(exchange_2007()) as world:
        troubles_of(world.host("N1")).add(
            Trouble("drop_before"), when=lambda asked: asked.what == "SetDWORDValue" and "Tcpip6" in asked.text
        )
        run(world, **EVERYTHING)
        result = run(world, state="prefer_ipv4")
        assert (result["changed"], result["resumed"]) == (True, True)
        assert (hosts(world), value(world)) == (EXCHANGE_HOSTS, 0x20)


def test_a_hosts_file_that_somebody_wrote_meanwhile_is_kept() -> None:
    with World(exchange_2007()) as world:
        troubles_of(world.host("N1")).add(
            Trouble("drop_before"), when=lambda asked: asked.what == "SetDWORDValue" and "Tcpip6" in asked.text
        )
        run(world, **EVERYTHING)
        files.write(world.host("N1"), HOSTS, (EXCHANGE_HOSTS_EDITED + "10.0.0.9 new\r\n").encode())
        assert run(world, **EVERYTHING)["changed"]
        assert hosts(world) == EXCHANGE_HOSTS_EDITED + "10.0.0.9 new\r\n"


def test_a_large_hosts_file_is_kept_in_the_copy_instead_of_the_journal() -> None:
    large = EXCHANGE_HOSTS + "".join(f"10.0.{n // 250}.{n % 250} host{n}\r\n" for n in range(4000))
    with World(exchange_2007(large, switches={"files.byte_content": "array"})) as world:
        troubles_of(world.host("N1")).add(
            Trouble("drop_before"), when=lambda asked: asked.what == "SetDWORDValue" and "Tcpip6" in asked.text
        )
        run(world, **EVERYTHING)
        left = journal(world)
        assert left is not None
        assert (left["hosts"]["old"], left["hosts"]["backup"]) == (None, BACKUP)
        run(world, state="enabled")
        assert hosts(world) == large
        assert is_clean(world)


# What it costs


def _what(world: World, since: int = 0) -> list[str]:
    return [request.wql or request.what or request.action for request in world.requests("N1", since)]


@pytest.mark.parametrize("wire", ["one_item", "all"])
@pytest.mark.parametrize(("state", "there"), [("enabled", 0), ("prefer_ipv4", 0x20), ("tunnels_disabled", 1)])
def test_at_most_six_requests_where_there_is_nothing_to_change(state: str, there: int, wire: str) -> None:
    with World(n1(value=there, switches={"wire.first_answer": wire})) as world:
        assert not run(world, state=state)["changed"]
        asked = _what(world)
        assert len(asked) <= 6, asked
        assert len(set(asked)) == len(asked)
        text = " ".join(asked)
        for unused in ("Content", "BindingSettingData", "MSFT_NetAdapter", "Win32_ComputerSystem", "OperatingSystem"):
            assert unused not in text
        assert ("Win32_Service" in text) is (state == "tunnels_disabled")


def test_the_steady_state_asks_these_questions() -> None:
    with World(n1(value=0x20)) as world:
        run(world, state="prefer_ipv4")
        assert _what(world) == [
            "GetStringValue",
            "GetDWORDValue",
            "SELECT Index, InterfaceIndex, Description, IPAddress, IPSubnet, ServiceName "
            "FROM Win32_NetworkAdapterConfiguration WHERE IPEnabled = TRUE",
            "SELECT Prefix, Precedence, Label, Store FROM MSFT_NetPrefixPolicy WHERE Store = 1",
            "Pull",
        ]
