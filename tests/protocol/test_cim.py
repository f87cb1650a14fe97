# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CIM operations over real sockets, as Windows answers and as other servers do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.errors import MalformedAnswer, MethodFailed, WsmanFault
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.windows import registry
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.windows.cluster import Cluster, Node
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.windows.eventlog import LogEvent, read_events
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.windows.operating_system import read_operating_system
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.windows.registry import Key
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.windows.services import Service, find_service
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.faults import (
    WBEM_E_INVALID_NAMESPACE,
    is_not_found,
)
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.session import Session
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.settings import Settings
from support.world import World
from winsim.providers import eventlog
from winsim.providers.cluster import Clusters

# One position of each switch that changes how a server writes its answers.
DIALECTS = [
    pytest.param({}, id="windows"),
    pytest.param({"wire.first_answer": "all"}, id="all at once"),
    pytest.param({"wire.dialect": "omi", "wire.fragments": "unsupported"}, id="omi"),
    pytest.param({"wire.fragments": "unsupported"}, id="no fragments"),
    pytest.param({"wire.null": "absent", "wire.datetime_digits": "7"}, id="absent null"),
    pytest.param({"wire.activity_id": "on", "wire.xml_lang": "off", "wire.datetime_digits": "0"}, id="other headers"),
    pytest.param({"wire.wmi_fault": "wsman"}, id="faults of WS-Management"),
    pytest.param({"wire.wmi_fault": "msft_wmierror"}, id="faults as instances"),
]


def fleet(switches: dict[str, str] | None = None, build: int = 17763) -> dict[str, Any]:
    return {
        "clock": {"speed": 0},
        "switches": switches or {},
        "hosts": {f"N{n}": {"build": build} for n in (1, 2, 3)},
        "clusters": {"CL1": {"nodes": ["N1", "N2", "N3"], "HangRecoveryAction": 3}},
    }


@contextmanager
def session_to(world: World, host: str = "N1") -> Iterator[Session]:
    served = world.served
    with Session(
        Settings(served.address(host), served.http_port(host), False, "wsman", "Administrator", password(world), "ntlm")
    ) as session:
        yield session


def password(world: World) -> str:
    return str(world.variables("N1")["ansible_password"])


@pytest.mark.parametrize("switches", DIALECTS)
def test_every_operation_works_with_every_dialect(switches: dict[str, str]) -> None:
    with World(fleet(switches)) as world, session_to(world) as session:
        cim = session.cim
        assert [node.Name for node in cim.query(Node)] == ["N1", "N2", "N3"]
        cluster = cim.query_one(Cluster)
        assert cluster.HangRecoveryAction == 3
        cim.modify(cluster, HangRecoveryAction=1)
        assert world.fleet.state(Clusters).clusters["cl1"].properties["HangRecoveryAction"] == 1
        assert cim.get(Cluster, Name="CL1").HangRecoveryAction == 1
        system = read_operating_system(session)
        assert system.build == 17763
        assert system.LastBootUpTime.replace(microsecond=0) <= world.fleet.clock.now()
        key = Key(r"SOFTWARE\Test\Deep")
        registry.create_key(session, key)
        registry.write_strings(session, key, "Many", ("a", "b", "ü & <c>"))
        assert registry.read_strings(session, key, "Many") == ("a", "b", "ü & <c>")
        assert registry.values(session, key) == {"Many": 7}
        service = find_service(session, "W32Time") or find_service(session, "EventLog")
        assert service is not None
        with pytest.raises(WsmanFault) as absent:
            cim.get(Service, Name="NoSuchService")
        assert is_not_found(absent.value)


def test_a_put_writes_the_one_property_and_nothing_else() -> None:
    with World(fleet()) as world, session_to(world) as session:
        cluster = session.cim.query_one(Cluster)
        world.fleet.state(Clusters).clusters["cl1"].properties["ClusterLogSize"] = 777
        session.cim.modify(cluster, HangRecoveryAction=2)
        assert world.requests("N1")[-1].properties == ("HangRecoveryAction",)
        assert world.fleet.state(Clusters).clusters["cl1"].properties["ClusterLogSize"] == 777


def test_without_fragments_the_instance_is_read_merged_and_put_whole() -> None:
    with World(fleet({"wire.fragments": "unsupported"})) as world, session_to(world) as session:
        cluster = session.cim.query_one(Cluster)
        world.fleet.state(Clusters).clusters["cl1"].properties["Description"] = "told by somebody else"
        session.cim.modify(cluster, HangRecoveryAction=2)
        assert [request.action for request in world.requests("N1")][-3:] == ["Put", "Get", "Put"]
        properties = world.fleet.state(Clusters).clusters["cl1"].properties
        assert properties["HangRecoveryAction"] == 2
        assert properties["Description"] == "told by somebody else"


def test_a_property_that_is_not_declared_writable_is_not_sent() -> None:
    with World(fleet()) as world, session_to(world) as session:
        cluster = session.cim.query_one(Cluster)
        with pytest.raises(TypeError, match="Fqdn"):
            session.cim.modify(cluster, Fqdn="x")


def test_a_property_that_older_windows_lacks_costs_a_second_query_and_is_none() -> None:
    with World(fleet(build=7601)) as world, session_to(world) as session:
        cluster = session.cim.query_one(Cluster)
        assert cluster.Fqdn is None
        assert cluster.HangRecoveryAction == 3
        assert [request.wql for request in world.requests("N1")] == [
            "SELECT Name, HangRecoveryAction, ClusSvcHangTimeout, Fqdn FROM MSCluster_Cluster",
            "SELECT * FROM MSCluster_Cluster",
        ]


def test_a_result_of_many_pages_is_read_to_its_end() -> None:
    with World(fleet()) as world, session_to(world) as session:
        host = world.host("N1")
        start = world.fleet.clock.now()
        for number in range(3000):
            eventlog.record(host, "System", "Test", 4869, [f"text number {number}"], time=start)
        found = read_events(session, "System", (4869,), start)
        assert sorted(int(event.strings[0].split()[-1]) for event in found) == list(range(3000))
        assert sum(request.action == "Pull" for request in world.requests("N1")) > 1


def test_stopping_early_releases_the_enumeration() -> None:
    with World(fleet()) as world, session_to(world) as session:
        for number in range(5):
            eventlog.record(world.host("N1"), "System", "Test", 4869, [str(number)])
        assert session.cim.any(LogEvent, "Logfile = 'System' AND EventCode = 4869")
        assert [request.action for request in world.requests("N1")] == ["Enumerate", "Release"]
        assert not session.cim.any(LogEvent, "Logfile = 'System' AND EventCode = 1")


def test_references_of_the_server_are_used() -> None:
    with World(fleet()) as world, session_to(world) as session:
        found = session.cim.query(Service, "Name = 'EventLog'", references=True)
        assert found[0].reference.keys["Name"].lower() == "eventlog"
        assert session.cim.invoke(Service.StartService, found[0]).value == 10


def test_a_return_value_that_is_no_success_is_an_error_with_its_meaning() -> None:
    with World(fleet()) as world, session_to(world) as session:
        service = find_service(session, "EventLog")
        assert service is not None
        with pytest.raises(MethodFailed, match=r"PauseService returned \d+ \("):
            session.cim.invoke(Service.PauseService, service)


def test_registry_errors_name_the_key_and_the_error() -> None:
    with World(fleet()) as world, session_to(world) as session:
        with pytest.raises(MethodFailed, match=r"HKLM\\SOFTWARE\\Nowhere, value X.*ERROR_FILE_NOT_FOUND"):
            registry.write_string(session, Key(r"SOFTWARE\Nowhere"), "X", "y")
        assert registry.read_string(session, Key(r"SOFTWARE\Nowhere"), "X") is None


def test_an_unknown_namespace_is_known_by_its_number() -> None:
    with World({"hosts": {"N1": {}}}) as world, session_to(world) as session:
        with pytest.raises(WsmanFault) as fault:
            session.cim.query(Cluster)
        assert fault.value.number == WBEM_E_INVALID_NAMESPACE


def test_several_instances_where_one_is_expected_are_an_error() -> None:
    expected = pytest.raises(MalformedAnswer, match="one instance was expected, 3 came")
    with World(fleet()) as world, session_to(world) as session, expected:
        session.cim.query_one(Node)
