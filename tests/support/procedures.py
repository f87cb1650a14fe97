# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The main path of every procedure that changes something: a fleet, a task, the goal, and what must not be left.

The fleets are as small as the steps of a procedure allow, because a matrix runs each of them hundreds of times.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from winsim.providers import files
from winsim.providers.adapters import Adapters
from winsim.providers.cluster import Clusters
from winsim.providers.dhcp import is_serving
from winsim.providers.dns import DnsState
from winsim.providers.environment import KEY as ENVIRONMENT
from winsim.providers.hyperv import HyperVState
from winsim.providers.licensing import LicensingState, settings_key
from winsim.providers.nlb import Clusters as NlbClusters
from winsim.providers.nlb import mode_of
from winsim.providers.registry import RegistryState
from winsim.providers.services import ServicesState

from support.dhcp import DC, ID, LIVING, NEW, OLD, network, scope
from support.world import World

OURS = r"HKLM\SOFTWARE\fieldnotes.windows"
SERVER_2008, SERVER_2008_R2, SERVER_2019, SERVER_2022 = 6003, 7601, 17763, 20348

Fleet = dict[str, Any]
Goal = Callable[[World], None]


@dataclass(frozen=True)
class Main:
    """One way through a procedure.

    fleet: a fresh description; host: where the task runs; reached: asserts the goal; clean: asserts that nothing of the
    run is left, other than the journal that waits for a restart, where a procedure documents one; auth: of the
    connection; before: tasks that run first, as (host, module, arguments); home: whether the task keeps files on the
    controller; living: names in winsim's state that differ after an honest run too.
    """

    name: str
    module: str
    host: str
    fleet: Callable[[], Fleet]
    arguments: Mapping[str, Any]
    reached: Goal
    clean: Goal
    auth: str = "ntlm"
    before: tuple[tuple[str, str, Mapping[str, Any]], ...] = ()
    home: bool = False
    living: tuple[str, ...] = ()

    def with_switches(self, switches: Mapping[str, str]) -> Main:
        """The same where Windows behaves otherwise."""
        return replace(self, fleet=lambda: {**self.fleet(), "switches": {**self.fleet()["switches"], **switches}})

    def prepare(self, world: World, home: Path) -> None:
        """The tasks that come before. home: the directory of this run on the controller."""
        for host, module, arguments in self.before:
            result = world.run(host, module, **self.at(arguments, home))
            assert not {"failed", "unreachable"} & result.keys(), result["msg"]

    def run(self, world: World, home: Path, *, check: bool = False, **changes: Any) -> dict[str, Any]:
        """The task itself; changes: to its arguments."""
        # A controller's time-outs are real time, and a test may hold an answer back for as long as another run takes.
        patient = {"ansible_psrp_read_timeout": 600}
        hosts = {name: {**world.variables(name), **patient} for name in world.fleet.hosts}
        variables = {**hosts[self.host], "ansible_psrp_auth": self.auth, "hostvars": hosts}
        arguments = self.at({**self.arguments, **changes}, home)
        return world.run(self.host, self.module, check=check, variables=variables, **arguments)

    def at(self, arguments: Mapping[str, Any], home: Path) -> dict[str, Any]:
        return {**arguments, "controller_dir": str(home)} if self.home else dict(arguments)


def registry(world: World, host: str) -> RegistryState:
    """The registry of a host."""
    return world.host(host).state(RegistryState)


def journal(world: World, host: str, module: str) -> dict[str, Any] | None:
    """The journal of a module that has one for each host."""
    text = registry(world, host).get(rf"{OURS}\Journal\{module}", "State")
    return None if text is None else json.loads(str(text))


def nothing_of_ours(*hosts: str) -> Goal:
    """No key of the collection is left in the registries."""

    def check(world: World) -> None:
        left = [host for host in hosts if registry(world, host).key(OURS) is not None]
        assert left == [], f"a journal is left on {left}"

    return check


# hang_recovery


def _hang_recovery() -> Main:
    crash_control = r"HKLM\SYSTEM\CurrentControlSet\Control\CrashControl"

    def reached(world: World) -> None:
        properties = world.fleet.state(Clusters).clusters["cl1"].properties
        assert (int(properties["HangRecoveryAction"]), int(properties["ClusSvcHangTimeout"])) == (2, 90)
        assert registry(world, "N1").get(crash_control, "CrashDumpEnabled") == 1

    return Main(
        "hang_recovery",
        "hang_recovery",
        "N1",
        lambda: {
            "clock": {"speed": 0},
            "switches": {},
            "hosts": {"N1": {"build": SERVER_2019, "features": ["RSAT-Clustering-CmdInterface"]}},
            "clusters": {"CL1": {"nodes": ["N1"], "HangRecoveryAction": 3, "ClusSvcHangTimeout": 60}},
        },
        {"action": "terminate_service", "timeout": 90, "dump_type": "complete"},
        reached,
        nothing_of_ours("N1"),
    )


# disable_ipv6

_HOSTS_FILE = "C:\\Windows\\System32\\drivers\\etc\\hosts"
_TCPIP6 = r"HKLM\SYSTEM\CurrentControlSet\Services\Tcpip6\Parameters"
_EXCHANGE_2007 = r"HKLM\SOFTWARE\Microsoft\Exchange\v8.0"


def _awaits_restart(world: World) -> None:
    """The journal is gone, or waits for the restart with which the value takes effect."""
    left = journal(world, "N1", "disable_ipv6")
    assert left is None or left["phase"] == "awaiting_restart", left


def _hosts_file() -> Main:
    mark = "by fieldnotes.windows\r\n"
    edited = (
        f"# our hosts\r\n127.0.0.1\tlocalhost\r\n# ::1\tlocalhost # disabled {mark}"
        f"192.0.2.1\tN1 # added {mark}192.0.2.1\tN1.corp.example # added {mark}"
    )

    def reached(world: World) -> None:
        content = files.read(world.host("N1"), _HOSTS_FILE)
        assert content is not None
        assert content.decode("latin-1") == edited
        assert registry(world, "N1").get(_TCPIP6, "DisabledComponents") == 0xFF

    def clean(world: World) -> None:
        _awaits_restart(world)
        assert files.read(world.host("N1"), _HOSTS_FILE + ".fieldnotes.bak") is None
        world.host("N1").reboot(0)

    return Main(
        "disable_ipv6 (hosts file)",
        "disable_ipv6",
        "N1",
        lambda: {
            "clock": {"speed": 0},
            "switches": {},
            "hosts": {
                "N1": {
                    "build": SERVER_2008,
                    "domain": "corp.example",
                    "adapters": {"A": {"addresses": ["192.0.2.1"]}},
                    "registry": {_EXCHANGE_2007: {"Setup": 1}},
                    "files": {_HOSTS_FILE: {"text": "# our hosts\r\n127.0.0.1\tlocalhost\r\n::1\tlocalhost\r\n"}},
                }
            },
        },
        {"hosts_loopback": "exchange2007", "state": "disabled", "allow_unsupported": True},
        reached,
        clean,
    )


def _bindings() -> Main:
    def reached(world: World) -> None:
        adapters = world.host("N1").state(Adapters).adapters.values()
        assert [adapter.ipv6 for adapter in adapters] == [False, False]
        assert registry(world, "N1").get(_TCPIP6, "DisabledComponents") == 0x20

    return Main(
        "disable_ipv6 (bindings)",
        "disable_ipv6",
        "N1",
        lambda: {
            "clock": {"speed": 0},
            "switches": {},
            "hosts": {
                "N1": {
                    "build": SERVER_2019,
                    "adapters": {name: {"addresses": [f"192.0.2.{n}"]} for n, name in ((1, "A"), (2, "B"))},
                }
            },
        },
        {"state": "prefer_ipv4", "adapter_binding": "unbound"},
        reached,
        _awaits_restart,
    )


# nlb_mode


def _nlb(scope_: str) -> Main:
    names = ("W1", "W2") if scope_ == "cluster" else ("W1",)

    def fleet() -> Fleet:
        hosts: dict[str, Any] = {}
        for number, name in enumerate(names, 1):
            adapters = {
                "LAN": {"addresses": [f"192.0.2.{number}"]},
                "NLB": {"addresses": [f"10.0.0.1{number}", "10.0.0.10"]},
            }
            hosts[name] = {"winrm": {"credssp": True}, "adapters": adapters}
        members = {name: {"interface": "NLB", "dedicated": [f"10.0.0.1{n}"]} for n, name in enumerate(names, 1)}
        rules = [{"start": 80, "end": 80, "protocol": "tcp"}]
        web = {"ip": "10.0.0.10", "rules": rules, "hosts": members}
        return {"clock": {"speed": 0}, "switches": {}, "hosts": hosts, "nlb": {"WEB": web}}

    def reached(world: World) -> None:
        members = world.fleet.state(NlbClusters).get("WEB").members.values()
        assert [mode_of(each.loaded) for each in members] == ["multicast"] * len(names)

    more = {} if scope_ == "cluster" else {"scope": "node", "allow_mixed": True}
    return Main(
        f"nlb_mode ({scope_})",
        "nlb_mode",
        "W1",
        fleet,
        {"mode": "multicast", "reconnect_timeout": 10, **more},
        reached,
        nothing_of_ours(*names),
        auth="credssp" if scope_ == "cluster" else "ntlm",
    )


# kms_host

_KEY, _OTHER_KEY = ("-".join([letter * 5] * 5) for letter in "AC")


def _kms_host(build: int) -> Main:
    last = "SoftwareProtectionPlatform" if build >= SERVER_2008_R2 else "SL"
    versions = rf"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\{last}"

    def reached(world: World) -> None:
        host = world.host("K1")
        product = host.state(LicensingState).primary()
        assert product is not None
        assert (product.tail, product.status) == ("AAAAA", 1)
        assert str(registry(world, "K1").get(settings_key(host), "KeyManagementServiceListeningPort")) == "1689"

    return Main(
        f"kms_host ({build})",
        "kms_host",
        "K1",
        lambda: {
            "clock": {"speed": 0},
            "domain": "corp.example.com",
            "switches": {},
            "hosts": {
                "K1": {
                    "build": build,
                    "registry": {versions: {}},
                    "services": {"Inventory": {"depends_on": ["sppsvc" if build >= SERVER_2008_R2 else "slsvc"]}},
                    "licensing": {
                        "keys": {
                            _KEY: {"kind": "kms_host", "channel": "2012_C"},
                            _OTHER_KEY: {"kind": "kms_client"},
                        },
                        "installed": {_OTHER_KEY: 1},
                    },
                }
            },
        },
        {
            "product_key": _KEY,
            "listening_port": 1689,
            "dns_publish_zones": [{"domain": "lab.example.com", "priority": 5}],
            "firewall": "open",
        },
        reached,
        nothing_of_ours("K1"),
    )


# kms_srv_record

_ZONE, _BRANCH = "corp.example.com", "branch.example.com"
_KMS01, _OLD02 = "kms01.corp.example.com", "old02.corp.example.com"


def _kms_srv_record(method: str) -> Main:
    def srv(target: str, **more: Any) -> dict[str, Any]:
        return {"name": "_vlmcs._tcp", "target": f"{target}.", "port": 1688, **more}

    def reached(world: World) -> None:
        zones = world.host("DNS1").state(DnsState).zones
        assert zones is not None
        for name in (_ZONE, _BRANCH):
            found = [each for each in zones[name].records if each.kind == "SRV"]
            assert [(each.target.rstrip("."), each.weight) for each in found] == [(_KMS01, 50)], name

    return Main(
        f"kms_srv_record ({method})",
        "kms_srv_record",
        "DNS1",
        lambda: {
            "clock": {"speed": 0},
            "switches": {},
            "hosts": {
                "DNS1": {
                    "domain": _ZONE,
                    "dns": {
                        "zones": {
                            _ZONE: {"records": [srv(_KMS01, days_old=1, ttl=800)]},
                            _BRANCH: {"records": [srv(_OLD02)]},
                        }
                    },
                }
            },
        },
        {"zones": [_ZONE, _BRANCH], "target": _KMS01, "weight": 50, "purge": True, "method": method},
        reached,
        nothing_of_ours("DNS1"),
    )


# snapshot_offline_action

_SHARED = "C:\\ClusterStorage\\Volume1"
_BASE = f"{_SHARED}\\app1\\app1.vhd"


def _snapshots(build: int, method: str) -> Main:
    def reached(world: World) -> None:
        machine = world.fleet.state(HyperVState).get("app1")
        resource = world.fleet.state(Clusters).clusters["cl1"].resources["virtual machine app1"]
        assert machine.snapshots == {}
        assert machine.disks[0].path == _BASE
        assert (machine.state, resource.state) == ("running", 2)
        assert int(resource.private["OfflineAction"]) == 1

    def clean(world: World) -> None:
        nothing_of_ours("N1", "N2")(world)
        assert "FieldnotesJournal" not in world.fleet.state(Clusters).clusters["cl1"].groups["app1"].private

    return Main(
        f"snapshot_offline_action ({method}, {build})",
        "snapshot_offline_action",
        "N1",
        lambda: {
            "clock": {"speed": 0},
            "switches": {},
            "hosts": {"N1": {"build": build}, "N2": {"build": build}},
            "clusters": {
                "CL1": {"nodes": ["N1", "N2"], "shared_volumes": {_SHARED: {"size": "1 TiB", "free": "500 GiB"}}}
            },
            "virtual_machines": {
                "app1": {
                    "cluster": "CL1",
                    "owner": "N1",
                    "snapshots": ["one"],
                    "disks": [{"path": _BASE}],
                    "shutdown_seconds": 2,
                    "start_seconds": 2,
                    "merge_seconds": 5,
                }
            },
        },
        {"vm": "app1", "delete": "all", "method": method},
        reached,
        clean,
    )


# dhcp_migrate


def _dhcp(state: str) -> Main:
    common: dict[str, Any] = {"migration_id": ID, "authorize_via": DC}
    imported = {**common, "state": "imported", "peer_host": OLD}

    def exported(world: World) -> None:
        service = world.host(OLD).state(ServicesState).get("DHCPServer")
        assert service is not None
        assert (service.state, service.start_mode) == ("Stopped", "Disabled")

    def serves(world: World) -> None:
        exported(world)
        assert is_serving(world.host(NEW))

    def settled(world: World) -> None:
        # The journals stay until the task with state: cleaned.
        for host in (OLD, NEW):
            left = journal(world, host, rf"dhcp_migrate\{ID}")
            assert left is None or left["state"] in ("retired", "done"), (host, left)

    export = {**common, "state": "exported"}
    return Main(
        f"dhcp_migrate ({state})",
        "dhcp_migrate",
        OLD if state == "exported" else NEW,
        lambda: network(dhcp={"scopes": [scope(1, 3, 1)]}),
        export if state == "exported" else imported,
        exported if state == "exported" else serves,
        settled,
        before=() if state == "exported" else ((OLD, "dhcp_migrate", export),),
        home=True,
        living=LIVING,
    )


# cim_instance, cim_method


def _cim_instance() -> Main:
    def reached(world: World) -> None:
        assert registry(world, "N1").get(ENVIRONMENT, "APP_HOME") == "D:\\App"

    keys = {"Name": "APP_HOME", "UserName": "<SYSTEM>"}
    return Main(
        "cim_instance",
        "cim_instance",
        "N1",
        lambda: {"clock": {"speed": 0}, "switches": {}, "hosts": {"N1": {}}},
        {"class": "Win32_Environment", "keys": keys, "properties": {"VariableValue": "D:\\App"}},
        reached,
        nothing_of_ours("N1"),
    )


def _cim_method() -> Main:
    def reached(world: World) -> None:
        spooler = world.host("N1").state(ServicesState).get("Spooler")
        assert spooler is not None
        assert spooler.start_mode == "Auto"

    return Main(
        "cim_method",
        "cim_method",
        "N1",
        lambda: {
            "clock": {"speed": 0},
            "switches": {},
            "hosts": {"N1": {"services": {"Spooler": {"start_mode": "Manual"}}}},
        },
        {
            "class": "Win32_Service",
            "keys": {"Name": "Spooler"},
            "method": "ChangeStartMode",
            "parameters": {"StartMode": "Automatic"},
            "unless": "SELECT Name FROM Win32_Service WHERE Name = 'Spooler' AND StartMode = 'Auto'",
        },
        reached,
        nothing_of_ours("N1"),
    )


MAIN_PATHS = {
    each.name: each
    for each in (
        _hang_recovery(),
        _hosts_file(),
        _bindings(),
        _nlb("cluster"),
        _nlb("node"),
        _kms_host(SERVER_2022),
        _kms_host(SERVER_2008),
        _kms_srv_record("wmi"),
        _kms_srv_record("cmdlet"),
        _snapshots(SERVER_2008_R2, "offline"),
        _snapshots(SERVER_2022, "live"),
        _dhcp("exported"),
        _dhcp("imported"),
        _cim_instance(),
        _cim_method(),
    )
}
"""By name, as the tables of ``./dev faults`` show them."""
