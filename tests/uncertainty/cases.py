# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is run under each way in which Windows may behave, and how it has to end.

A case is a task on a fleet: the main path of a procedure, or a situation that it refuses. ``end`` tells from the
positions that are not the default ones whether the goal is reached (an empty text) or what the refusal says.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from support.dhcp import DC, ID, NEW, OLD, PASSWORD, network, scope
from support.procedures import MAIN_PATHS, SERVER_2008, SERVER_2008_R2, Fleet, Main
from support.world import World
from winsim.providers.cluster import Clusters
from winsim.providers.dhcp import is_serving
from winsim.providers.nlb import Clusters as NlbClusters
from winsim.providers.nlb import mode_of
from winsim.switches import find

Positions = Mapping[str, str]


def reached(positions: Positions) -> str:
    """The goal, whatever Windows does."""
    return ""


def says(text: str) -> Callable[[Positions], str]:
    """A refusal, whatever Windows does; text: its code or words of its message."""
    return lambda positions: text


@dataclass(frozen=True)
class Case:
    """A task and the switches that can matter to it. pairs: those of which two are tried together, if not all."""

    main: Main
    switches: tuple[str, ...]
    end: Callable[[Positions], str] = reached
    pairs: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """As ``./dev faults`` shows it."""
        return self.main.name

    def positions(self) -> Iterator[dict[str, str]]:
        """Each position of each switch, the default ones once, and then the pairs."""
        yield {}
        for name in self.switches:
            yield from ({name: other} for other in others(name))
        for first, second in itertools.combinations(self.switches if self.pairs is None else self.pairs, 2):
            for one, two in itertools.product(others(first), others(second)):
                yield {first: one, second: two}


def others(switch: str) -> list[str]:
    """The positions of a switch that are not its default."""
    found = find(switch)
    return [position for position in found.positions if position != found.default]


def variant(name: str, words: str, *, fleet: Callable[[], Fleet] | None = None, **changes: Any) -> Main:
    """A main path in another situation. changes: fields of Main; arguments are merged, None takes one away."""
    main = MAIN_PATHS[name]
    merged = {**main.arguments, **changes.pop("arguments", {})}
    arguments = {name: value for name, value in merged.items() if value is not None}
    return dataclasses.replace(
        main, name=f"{main.module}: {words}", fleet=fleet or main.fleet, arguments=arguments, **changes
    )


# hang_recovery


def cl1(build: int, **host: Any) -> Callable[[], Fleet]:
    """One node."""
    return lambda: {
        "clock": {"speed": 0},
        "switches": {},
        "hosts": {"N1": {"build": build, **host}},
        "clusters": {"CL1": {"nodes": ["N1"], "HangRecoveryAction": 3, "ClusSvcHangTimeout": 60}},
    }


def has(action: int, timeout: int) -> Callable[[World], None]:
    """The cluster's two properties."""

    def check(world: World) -> None:
        properties = world.fleet.state(Clusters).clusters["cl1"].properties
        assert (int(properties["HangRecoveryAction"]), int(properties["ClusSvcHangTimeout"])) == (action, timeout)

    return check


def by_wmi(positions: Positions) -> str:
    """Without cluster.exe there is one Put, which nobody documents."""
    return "" if positions.get("cluster.hang_timeout_put") == "accept" else "no cluster.exe"


def in_2008(positions: Positions) -> str:
    """The default is that Windows Server 2008 lacks the property."""
    return "" if positions.get("cluster.hang_timeout_2008") == "present" else "does not show ClusSvcHangTimeout"


_TIMEOUT = {"action": "log", "timeout": 90, "dump_type": None}

HANG_RECOVERY = [
    Case(
        MAIN_PATHS["hang_recovery"],
        ("cluster.hang_timeout_put", "cluster.hang_timeout_2008", "cluster.live_dump_from", "cluster.stopped"),
    ),
    Case(
        variant("hang_recovery", "timeout by WMI", fleet=cl1(17763), arguments=_TIMEOUT, reached=has(1, 90)),
        ("cluster.hang_timeout_put", "cluster.stopped", "cluster.live_dump_from"),
        by_wmi,
    ),
    Case(
        variant("hang_recovery", "Windows Server 2008", fleet=cl1(SERVER_2008), arguments=_TIMEOUT, reached=has(1, 90)),
        ("cluster.hang_timeout_2008", "cluster.hang_timeout_put", "cluster.stopped"),
        in_2008,
    ),
    Case(
        variant(
            "hang_recovery",
            "stopped service",
            fleet=cl1(17763, services={"ClusSvc": {"state": "Stopped"}}),
            arguments={"timeout": None},
        ),
        ("cluster.stopped", "cluster.hang_timeout_put"),
        says("R4"),
    ),
    Case(
        variant(
            "hang_recovery",
            "live_dump on 2016",
            fleet=cl1(14393),
            arguments={"action": "live_dump", "timeout": None, "dump_type": None},
        ),
        ("cluster.live_dump_from", "cluster.stopped"),
        says("R6"),
    ),
]


# disable_ipv6

_PARAMETERS = r"HKLM\SYSTEM\CurrentControlSet\Services\Tcpip6\Parameters"
_IPV6 = (
    "registry.type_mismatch",
    "tcpip6.prefix_policy_class",
    "tcpip6.policies_without_native",
    "files.byte_content",
)


def _ipv6_text() -> Fleet:
    """DisabledComponents of the wrong type, which Windows does not read."""
    fleet = MAIN_PATHS["disable_ipv6 (bindings)"].fleet()
    fleet["hosts"]["N1"]["registry"] = {_PARAMETERS: {"DisabledComponents": "32"}}
    return fleet


DISABLE_IPV6 = [
    Case(MAIN_PATHS["disable_ipv6 (hosts file)"], _IPV6),
    Case(MAIN_PATHS["disable_ipv6 (bindings)"], _IPV6),
    Case(variant("disable_ipv6 (bindings)", "value of another type", fleet=_ipv6_text), _IPV6),
    Case(
        variant("disable_ipv6 (bindings)", "unsupported value", arguments={"state": "disabled"}),
        _IPV6,
        says("R1"),
    ),
]


# nlb_mode

_NLB_CLUSTER = (
    "nlb.restart",
    "nlb.multicast_ip",
    "nlb.mac_form",
    "nlb.node_name",
    "nlb.node_state",
    "nlb.cluster_mode",
    "nlb.answer",
)
_NLB_NODE = (
    "nlb.setting_put",
    "nlb.pending",
    "nlb.restart",
    "nlb.multicast_ip",
    "nlb.mac_form",
    "nlb.node_name",
    "wire.fragments",
)


def by_put(positions: Positions) -> str:
    """The class page calls the two settings read-only."""
    return "" if positions.get("nlb.setting_put", "accept") == "accept" else "use scope: cluster"


def igmp(scope_: str) -> Main:
    """The mode whose MAC address depends on the group."""

    def check(world: World) -> None:
        assert {mode_of(each.loaded) for each in world.fleet.state(NlbClusters).get("WEB").members.values()} == {
            "igmp_multicast"
        }

    return variant(f"nlb_mode ({scope_})", f"IGMP, scope {scope_}", arguments={"mode": "igmp_multicast"}, reached=check)


NLB_MODE = [
    Case(MAIN_PATHS["nlb_mode (cluster)"], (*_NLB_CLUSTER, "nlb.second_hop", "nlb.second_hop_nodes"), pairs=()),
    Case(igmp("cluster"), _NLB_CLUSTER),
    Case(MAIN_PATHS["nlb_mode (node)"], _NLB_NODE, by_put),
    Case(igmp("node"), _NLB_NODE, by_put),
    Case(
        variant("nlb_mode (cluster)", "no delegation", auth="ntlm"),
        ("nlb.second_hop", "nlb.second_hop_nodes", "nlb.node_state", "nlb.node_name"),
        says("R12"),
    ),
    Case(
        variant(
            "nlb_mode (node)",
            "no cluster",
            fleet=lambda: {"clock": {"speed": 0}, "switches": {}, "hosts": {"W1": {"features": ["NLB"]}}},
        ),
        ("nlb.unconfigured", "nlb.mac_form"),
        says("R2"),
    ),
]


# kms_host, kms_srv_record

_KMS = (
    "licensing.error_form",
    "licensing.stop_service",
    "licensing.unset_port",
    "licensing.listens",
    "licensing.event_strings",
    "licensing.demand_start",
    "services.stop_stopped",
)
_KMS_NEW, _KMS_OLD = "kms_host (20348)", "kms_host (6003)"


def kms(name: str, *, licensing: Mapping[str, Any] | None = None, **host: Any) -> Callable[[], Fleet]:
    """The fleet of a main path, with more said of K1."""

    def fleet() -> Fleet:
        made = MAIN_PATHS[name].fleet()
        k1 = made["hosts"]["K1"]
        k1.update(host)
        k1["licensing"].update(licensing or {})
        return made

    return fleet


def asleep(positions: Positions) -> str:
    """A licensing service that nobody started."""
    return "" if positions.get("licensing.demand_start", "starts") == "starts" else "start it"


KMS_HOST = [
    Case(MAIN_PATHS[_KMS_NEW], _KMS),
    Case(MAIN_PATHS[_KMS_OLD], (*_KMS, "licensing.addon_2008")),
    Case(
        variant(_KMS_NEW, "no Internet", fleet=kms(_KMS_NEW, licensing={"internet": False})),
        ("licensing.no_internet", "licensing.error_form"),
        says("The key ending AAAAA stays installed"),
    ),
    Case(
        variant(_KMS_NEW, "stopped service", fleet=kms(_KMS_NEW, services={"sppsvc": {"state": "Stopped"}})),
        ("licensing.demand_start", "licensing.listens", "licensing.unset_port"),
        asleep,
    ),
    Case(
        variant(
            _KMS_NEW,
            "disabled service",
            fleet=kms(_KMS_NEW, services={"sppsvc": {"state": "Stopped", "start_mode": "Disabled"}}),
        ),
        ("licensing.demand_start", "licensing.error_form"),
        says("R14"),
    ),
]

_DNS = ("dns.zone_type", "dns.srv_keys", "dns.missing_name", "dns.wmi_namespace")


def wmi_only(positions: Positions) -> str:
    """The user may have asked for the one way that is not there."""
    return "" if positions.get("dns.wmi_namespace", "present") == "present" else "no namespace root/MicrosoftDNS"


def secondary() -> Fleet:
    """branch.example.com is a copy of another server's zone."""
    made = MAIN_PATHS["kms_srv_record (wmi)"].fleet()
    made["hosts"]["DNS1"]["dns"]["zones"]["branch.example.com"] = {"type": "secondary", "masters": ["10.0.0.9"]}
    return made


KMS_SRV_RECORD = [
    Case(variant("kms_srv_record (wmi)", "either way", arguments={"method": "auto"}), _DNS),
    Case(MAIN_PATHS["kms_srv_record (wmi)"], _DNS, wmi_only),
    Case(MAIN_PATHS["kms_srv_record (cmdlet)"], _DNS),
    Case(
        variant("kms_srv_record (wmi)", "secondary zone", fleet=secondary, arguments={"method": "auto"}),
        _DNS,
        says("R16"),
    ),
]


# snapshot_offline_action

_SNAPSHOTS = (
    "cluster_resources.private_properties",
    "cluster_resources.set_parameter",
    "cluster_resources.group_property",
    "cluster_resources.pending",
    "hyperv.embedded",
    "hyperv.enabled_states",
    "hyperv.transitions",
    "hyperv.removal",
)
_OFFLINE, _LIVE = "snapshot_offline_action (offline, 7601)", "snapshot_offline_action (live, 20348)"


def journal_moves(positions: Positions) -> str:
    """An offline merge on one of two possible owners needs the journal in the group."""
    if positions.get("cluster_resources.set_parameter") == "delegated":
        return "CredSSP or Kerberos delegation"
    if positions.get("cluster_resources.group_property") == "refuse":
        return "would lose the journal"
    return ""


def lab(name: str, build: int | None = None, **machine: Any) -> Callable[[], Fleet]:
    """The fleet of a main path with another Windows, or with more said of app1."""

    def fleet() -> Fleet:
        made = MAIN_PATHS[name].fleet()
        made["virtual_machines"]["app1"].update(machine)
        for host in made["hosts"].values():
            host["build"] = build or host["build"]
        return made

    return fleet


def cluster_exe_moves(positions: Positions) -> str:
    """Windows Server 2008 has cluster.exe and no cmdlets."""
    return "would lose the journal" if positions.get("cluster_resources.group_property") == "refuse" else ""


SNAPSHOTS = [
    Case(MAIN_PATHS[_OFFLINE], _SNAPSHOTS, journal_moves),
    Case(
        variant(_OFFLINE, "offline, Windows Server 2008", fleet=lab(_OFFLINE, SERVER_2008)),
        _SNAPSHOTS,
        cluster_exe_moves,
        pairs=(),
    ),
    Case(
        variant(_OFFLINE, "offline, Windows Server 2019", fleet=lab(_OFFLINE, 17763)),
        _SNAPSHOTS,
        journal_moves,
        pairs=("hyperv.embedded", "hyperv.enabled_states", "hyperv.removal", "cluster_resources.pending"),
    ),
    Case(MAIN_PATHS[_LIVE], _SNAPSHOTS),
    Case(
        variant(_OFFLINE, "saved machine", fleet=lab(_OFFLINE, state="saved")),
        ("hyperv.enabled_states", "cluster_resources.private_properties", "hyperv.embedded"),
        says("R8"),
    ),
    Case(
        variant(_OFFLINE, "live merge too early", arguments={"method": "live"}),
        ("hyperv.embedded", "cluster_resources.private_properties"),
        says("R16"),
    ),
]


# dhcp_migrate

_READING = ("dhcp.computer_name", "dhcp.error", "dhcp.large_output", "files.byte_content")
_IMPORT = ("dhcp.import_settings", "dhcp.import_lease_text", "dhcp.import_failover", "dhcp.export_layout")
_TOOLS = {"features": ["DHCP", "RSAT-DHCP", "Migration"]}
_OF_2008_R2: dict[str, Any] = {"build": SERVER_2008_R2, "migration": {"registered": True}}


def migration(words: str, both: Mapping[str, Any] | None = None, **fleet: Any) -> Main:
    """A whole migration: the export comes before. both: arguments of the two tasks."""
    common = {"migration_id": ID, "authorize_via": DC, **(both or {})}
    if fleet.get("domain") is False:
        del common["authorize_via"]
    described = {"dhcp": {"scopes": [scope(1, 3, 1)]}, **fleet}

    def serves(world: World) -> None:
        assert is_serving(world.host(NEW))
        assert not is_serving(world.host(OLD))

    return dataclasses.replace(
        MAIN_PATHS["dhcp_migrate (imported)"],
        name=f"dhcp_migrate: {words}",
        fleet=lambda: {**network(**described)},
        arguments={**common, "state": "imported", "peer_host": OLD},
        before=((OLD, "dhcp_migrate", {**common, "state": "exported"}),),
        reached=serves,
    )


DHCP_MIGRATE = [
    Case(
        migration("with the cmdlets"),
        (*_READING, *_IMPORT, "dhcp.paused", "directory.second_hop"),
        pairs=("dhcp.computer_name", "dhcp.error", "dhcp.paused", "dhcp.import_settings"),
    ),
    Case(
        migration("with the migration tools", {"method": "smig", "store_password": PASSWORD}, old=_TOOLS),
        ("migration.failure", "migration.file_name", "dhcp.computer_name", "dhcp.error"),
        pairs=("migration.file_name", "dhcp.computer_name", "dhcp.error"),
    ),
    Case(
        migration(
            "Windows Server 2008 R2",
            {"store_password": PASSWORD},
            old={**_OF_2008_R2, "features": ["DHCP"]},
            new=_OF_2008_R2,
        ),
        ("features.dism_dhcp_name", "dhcp.netsh_clients", "migration.file_name", "winrs.output"),
    ),
    Case(
        migration("in a workgroup", domain=False, busy=120),
        ("dhcp.workgroup_authorized", "dhcp.paused", "dhcp.computer_name"),
        lambda positions: "E_NO_FREEZE" if positions.get("dhcp.paused", "ignores") != "ignores" else "",
    ),
    Case(
        dataclasses.replace(
            MAIN_PATHS["dhcp_migrate (exported)"],
            name="dhcp_migrate: no delegation",
            arguments={"migration_id": ID, "state": "exported"},
        ),
        ("directory.second_hop", "dhcp.error", "dhcp.computer_name"),
        says("E_SECOND_HOP"),
    ),
]


# cim_instance, cim_method

CIM = [
    Case(MAIN_PATHS[name], ("wire.class_schema", "wire.fragments", "wire.wmi_fault", "wire.dialect"))
    for name in ("cim_instance", "cim_method")
]

CASES = {
    each.name: each
    for each in (
        *HANG_RECOVERY,
        *DISABLE_IPV6,
        *NLB_MODE,
        *KMS_HOST,
        *KMS_SRV_RECORD,
        *SNAPSHOTS,
        *DHCP_MIGRATE,
        *CIM,
    )
}

WIRE = (
    "wire.activity_id",
    "wire.datetime_digits",
    "wire.first_answer",
    "wire.fragments",
    "wire.null",
    "wire.wmi_fault",
    "wire.xml_lang",
    "wire.class_schema",
    "psrp.answers",
    "psrp.fragments",
    "psrp.opening_receives",
    "psrp.progress_first",
    "psrp.streams",
    "winrs.output",
)
"""How Windows writes its answers: each main path is run under each position of these."""
