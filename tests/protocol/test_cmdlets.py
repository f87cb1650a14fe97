# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The cmdlets carrier over real sockets: what a cmdlet is given, what it gives back, and that no pool stays open."""

from __future__ import annotations

import base64
import datetime
import re
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.errors import (
    CmdletFailed,
    ConnectionLost,
    InsecureConnection,
    MalformedAnswer,
    WsmanFault,
)
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.cmdlets import (
    SWITCH,
    Cmdlet,
    PSObject,
    SecureText,
    UInt32,
    pipe,
)
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.session import Session
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.settings import Settings
from winsim import Fleet, serve
from winsim.host import Host
from winsim.http import Served
from winsim.providers import (
    EnumValue,
    ErrorRecord,
    ProgressMessage,
    Provider,
    Registry,
    Terminating,
    WarningMessage,
)
from winsim.providers import PSObject as Shown
from winsim.psrp import Wait, generic, pipeline, shells
from winsim.trouble import Asked, Trouble, troubles_of

GET = Cmdlet("Get-ClusterResource", "FailoverClusters", ("Name",))
SET = Cmdlet("Set-ClusterParameter", "FailoverClusters", ("Name", "Value", "Create"))
STOP = Cmdlet("Stop-ClusterResource", "FailoverClusters", ("Name",))
ADD_PSSNAPIN = Cmdlet("Add-PSSnapin", "Microsoft.PowerShell.Core", ("Name",))
EXPORT = Cmdlet(
    "Export-SmigServerSetting", "Microsoft.Windows.ServerManager.Migration", ("FeatureId", "Path", "Password")
)
MIGRATION = "Microsoft.Windows.ServerManager.Migration"
SECRET = "Tr0ub4dor&3-of-the-store"
WHEN = datetime.datetime(2026, 1, 31, 8, 15, tzinfo=datetime.timezone.utc)
SWITCHES = [
    ("psrp.opening_receives", "3"),
    ("psrp.progress_first", "on"),
    ("psrp.fragments", "small"),
    ("psrp.streams", "joined"),
    ("psrp.streams", "cut"),
    ("psrp.answers", "split"),
]


@dataclass
class Stage:
    """What the acted cmdlets put out, and what they were given."""

    output: list[Any] = field(default_factory=list)
    given: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    seconds: float = 0.0


def disk(name: str) -> Shown:
    state = EnumValue("Microsoft.FailoverClusters.PowerShell.ClusterResourceState", "Online", 2)
    return Shown(("Microsoft.FailoverClusters.PowerShell.ClusterResource",), {"Name": name, "State": state}, text=name)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    acted, registry = Stage(), Registry()
    monkeypatch.setattr(generic, "providers", registry)
    monkeypatch.setattr(pipeline, "providers", registry)
    provider = Provider("stage", registry)

    @provider.cmdlet("Get-ClusterResource")
    def get(host: Host, parameters: dict[str, Any], items: list[Any]) -> Iterator[Any]:
        acted.given.append(("get", parameters))
        for entry in acted.output:
            if isinstance(entry, Exception):
                raise entry
            yield entry

    @provider.cmdlet("Set-ClusterParameter")
    def change(host: Host, parameters: dict[str, Any], items: list[Any]) -> Iterator[Any]:
        acted.given.append(("set", parameters))
        return iter(())

    @provider.cmdlet("Stop-ClusterResource")
    def stop(host: Host, parameters: dict[str, Any], items: list[Any]) -> Iterator[Any]:
        yield ProgressMessage("Stopping", "half way", 50)
        yield Wait(acted.seconds)
        acted.given.append(("stop", parameters))
        yield "stopped"

    @provider.cmdlet("Export-SmigServerSetting")
    def export(host: Host, parameters: dict[str, Any], items: list[Any]) -> Iterator[Any]:
        acted.given.append(("export", parameters))
        yield from acted.output

    return acted


@pytest.fixture
def served() -> Iterator[Served]:
    fleet = Fleet.load({"clock": {"speed": 0}, "hosts": {"N1": {}, "OLD": {"build": 7601}}})
    with serve(fleet) as served:
        yield served


def settings(served: Served, name: str = "N1", **changes: Any) -> Settings:
    host = served.fleet.host(name)
    values: dict[str, Any] = {
        "host": served.address(host),
        "port": served.http_port(host),
        "ssl": False,
        "path": "wsman",
        "username": "Administrator",
        "password": host.users["Administrator"].password,
        "auth": "ntlm",
    }
    return Settings(**{**values, **changes})


@pytest.fixture
def host(served: Served) -> Host:
    return served.fleet.host("N1")


@pytest.fixture
def session(served: Served, host: Host) -> Iterator[Session]:
    with Session(settings(served)) as session:
        yield session
    assert shells(host) == {}


def actions(host: Host) -> list[str]:
    return [entry.action for entry in host.log]


def sent_commands(host: Host) -> list[str]:
    """The CLIXML of the commands as it was sent, fragments put together."""
    found = []
    for entry in host.log:
        for encoded in re.findall(r"<rsp:Arguments[^>]*>([^<]+)</rsp:Arguments>", entry.request):
            found.append(base64.b64decode(encoded).decode("utf-8", errors="replace"))
    return found


# What comes back


def test_results_are_typed(session: Session, stage: Stage) -> None:
    shown = Shown(
        ("X",), {"Name": "Q", "Big": 2**63, "On": True, "None": None, "Tags": ["a", "b"], "At": WHEN}, {"Note": 5}
    )
    stage.output = [shown, "text", 7, -1, 2**40, 2.5, False, {"key": 1}, [1, "two"], b"\x00\xff"]
    result = session.cmdlets.run(GET(), attempted="reading resources")
    first, *rest = result.output
    assert isinstance(first, PSObject)
    assert first.types[0] == "X"
    assert first.properties == {
        "Name": "Q",
        "Big": 2**63,
        "On": True,
        "None": None,
        "Tags": ("a", "b"),
        "At": "2026-01-31T08:15:00Z",
        "Note": 5,
    }
    assert (first.get("NAME"), first.get("absent")) == ("Q", None)
    assert (first.moment("At"), first.moment("None")) == (WHEN, None)
    assert rest == ["text", 7, -1, 2**40, 2.5, False, {"key": 1}, (1, "two"), b"\x00\xff"]


def test_a_text_that_is_no_time_is_told(session: Session, stage: Stage) -> None:
    stage.output = [disk("Q")]
    (shown,) = session.cmdlets.run(GET(), attempted="reading resources").output
    with pytest.raises(MalformedAnswer, match="property Name"):
        shown.moment("Name")


def test_an_enumeration_is_its_text_wherever_it_stands(session: Session, stage: Stage) -> None:
    stage.output = [disk("Quorum"), EnumValue("System.ServiceProcess.ServiceControllerStatus", "Running", 4)]
    shown, alone = session.cmdlets.run(GET(), attempted="reading resources").output
    assert (shown.get("State"), shown.text, alone) == ("Online", "Quorum", "Running")


@pytest.mark.parametrize(("switch", "position"), SWITCHES)
def test_results_are_the_same_however_the_host_cuts_its_answers(
    session: Session, stage: Stage, host: Host, switch: str, position: str
) -> None:
    host.switches[switch] = position
    stage.output = [disk(f"Disk {number}") for number in range(40)]
    result = session.cmdlets.run(GET(), attempted="reading resources")
    assert [one.get("Name") for one in result.output] == [f"Disk {number}" for number in range(40)]


def test_warnings_are_texts(session: Session, stage: Stage) -> None:
    stage.output = [WarningMessage("the resource is offline"), disk("Q"), WarningMessage("so is another")]
    result = session.cmdlets.run(GET(), attempted="reading resources")
    assert result.warnings == ("the resource is offline", "so is another")
    assert len(result.output) == 1


# What is sent


def test_one_command_feeds_the_next(session: Session, stage: Stage) -> None:
    stage.output = [disk("A"), disk("B")]
    session.cmdlets.run(pipe(GET(), SET(Name="Timeout", Value=5)), attempted="setting a parameter")
    inputs = [parameters["InputObject"].properties["Name"] for what, parameters in stage.given if what == "set"]
    assert inputs == ["A", "B"]


def test_statements_run_in_one_pipeline_and_in_order(session: Session, stage: Stage, host: Host) -> None:
    stage.output = [disk("A")]
    session.cmdlets.run(
        GET(Name="A"), pipe(GET(), SET(Name="X", Value=1)), GET(Name="B"), attempted="doing three things"
    )
    assert [what for what, _ in stage.given] == ["get", "get", "set", "get"]
    assert actions(host).count("Command") == 1


def test_windows_powershell_2_gets_each_statement_in_a_pipeline_of_its_own(served: Served, stage: Stage) -> None:
    old = served.fleet.host("OLD")
    stage.output = ["x"]
    with Session(settings(served, "OLD")) as session:
        result = session.cmdlets.run(GET(Name="A"), GET(Name="B"), attempted="reading two")
        assert result.output == ("x", "x")
        assert actions(old).count("Command") == 2
        stage.output = [Terminating(ErrorRecord("No.", "Refused", 8))]
        with pytest.raises(CmdletFailed):
            session.cmdlets.run(GET(), SET(Name="X", Value=1), attempted="doing two things")
    assert [what for what, _ in stage.given] == ["get", "get", "get"]


def test_a_switch_and_a_value_left_out(session: Session, stage: Stage) -> None:
    stage.output = [disk("A")]
    session.cmdlets.run(pipe(GET(Name=None), SET(Name="X", Value=1, Create=SWITCH)), attempted="setting a parameter")
    (_, getting), (_, setting) = stage.given
    assert "Name" not in getting
    assert setting["Create"]


def test_an_unsigned_number_travels_as_one(session: Session, stage: Stage, host: Host) -> None:
    stage.output = [disk("A")]
    session.cmdlets.run(pipe(GET(), SET(Name="X", Value=UInt32(4))), attempted="setting a parameter")
    assert any('<U32 N="V">4</U32>' in text for text in sent_commands(host))
    assert [parameters["Value"] for what, parameters in stage.given if what == "set"] == [4]


def test_a_parameter_that_was_not_declared_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="Colour"):
        GET(Colour="red")


def test_later_calls_share_the_pool_and_end_the_pipeline_before(session: Session, stage: Stage, host: Host) -> None:
    for _ in range(3):
        session.cmdlets.run(GET(), attempted="reading resources")
    assert actions(host).count("Create") == 1
    assert actions(host).count("Signal") == 2


# Errors


def test_a_non_terminating_error_is_raised_with_its_number_and_text(session: Session, stage: Stage) -> None:
    stage.output = [disk("A"), ErrorRecord("No such resource.", "NotThere", 13), ErrorRecord("Nor that.", "Second", 5)]
    with pytest.raises(CmdletFailed) as raised:
        session.cmdlets.run(GET(), attempted="reading resources")
    assert (raised.value.cmdlet, raised.value.category) == ("Get-ClusterResource", 13)
    assert raised.value.error_id == "NotThere,Get-ClusterResource"
    assert str(raised.value) == (
        "reading resources: Get-ClusterResource failed with NotThere,Get-ClusterResource: No such resource."
    )


def test_non_terminating_errors_can_be_taken_as_part_of_the_answer(session: Session, stage: Stage) -> None:
    stage.output = [ErrorRecord("No.", "First", 13), disk("A"), ErrorRecord("Nor that.", "Second", 5)]
    result = session.cmdlets.run(GET(), attempted="reading resources", check=False)
    assert [one.get("Name") for one in result.output] == ["A"]
    assert [(error.category, error.text) for error in result.errors] == [(13, "No."), (5, "Nor that.")]


@pytest.mark.parametrize("check", [True, False])
def test_a_terminating_error_is_raised_and_ends_the_pipeline(session: Session, stage: Stage, check: bool) -> None:
    stage.output = [ErrorRecord("Before.", "Before", 13), Terminating(ErrorRecord("The end.", "Fatal", 7))]
    with pytest.raises(CmdletFailed, match=r"failed with Fatal,Get-ClusterResource: The end\."):
        session.cmdlets.run(GET(), SET(Name="X", Value=1), attempted="reading resources", check=check)
    assert [what for what, _ in stage.given] == ["get"]


def test_a_cmdlet_that_the_host_lacks_is_an_error_of_its_own_kind(session: Session, stage: Stage) -> None:
    with pytest.raises(CmdletFailed) as raised:
        session.cmdlets.run(Cmdlet("Get-VM", "Hyper-V")(), attempted="reading machines")
    assert raised.value.error_id == "CommandNotFoundException"
    assert raised.value.category == 13


def test_the_session_goes_on_after_an_error(session: Session, stage: Stage) -> None:
    stage.output = [Terminating(ErrorRecord("No.", "Fatal", 7))]
    with pytest.raises(CmdletFailed):
        session.cmdlets.run(GET(), attempted="reading resources")
    stage.output = ["fine"]
    assert session.cmdlets.run(GET(), attempted="reading resources").output == ("fine",)


def test_a_configuration_that_is_not_there_is_a_fault(session: Session, stage: Stage) -> None:
    with pytest.raises(WsmanFault) as raised:
        session.cmdlets.run(GET(), attempted="reading resources", configuration="Microsoft.Exchange")
    assert raised.value.number == 0x8033803B


# Time


def test_a_pipeline_may_take_longer_than_the_operation_timeout(served: Served, stage: Stage, host: Host) -> None:
    host.fleet.clock.speed = 200
    stage.seconds = 65
    told: list[str] = []
    with Session(settings(served)) as session:
        result = session.cmdlets.run(STOP(Name="A"), attempted="stopping A", progress=told.append)
    assert result.output == ("stopped",)
    assert "half way" in told
    silent = [entry for entry in host.log if entry.fault == 0x80338029]
    assert len(silent) >= 2


# Secrets


def export(session: Session) -> None:
    session.cmdlets.run(
        ADD_PSSNAPIN(Name=MIGRATION),
        EXPORT(FeatureId="DHCP", Path=r"C:\store", Password=SecureText(SECRET)),
        attempted="exporting DHCP",
    )


def test_a_secret_arrives_and_is_seen_nowhere(
    session: Session, stage: Stage, host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    export(session)
    assert stage.given[-1][1]["Password"] == SECRET
    everything = [caplog.text, repr(EXPORT(Password=SecureText(SECRET))), *sent_commands(host)]
    everything += [entry.request + entry.answer + entry.what for entry in host.log]
    assert not [text for text in everything if SECRET in text]
    assert SECRET.encode() not in host.plaintext


def test_a_secret_is_not_in_the_error_of_the_cmdlet_that_took_it(session: Session, stage: Stage) -> None:
    stage.output = [ErrorRecord("The store cannot be written.", "StoreFailed", 26)]
    with pytest.raises(CmdletFailed) as raised:
        export(session)
    assert SECRET not in "".join(traceback.format_exception(raised.value))


def test_a_secret_is_refused_where_it_could_be_read_on_the_way(served: Served, stage: Stage, host: Host) -> None:
    host.winrm.allow_unencrypted = True
    with (
        Session(settings(served, auth="basic", encryption="never")) as session,
        pytest.raises(InsecureConnection) as raised,
    ):
        export(session)
    assert "a secret of Export-SmigServerSetting would cross the network in clear text" in str(raised.value)
    assert host.log == []
    assert stage.given == []


def test_the_key_is_exchanged_once(session: Session, stage: Stage, host: Host) -> None:
    export(session)
    keys = actions(host).count("Send")
    export(session)
    assert actions(host).count("Send") == keys > 0
    assert [parameters["Password"] for _, parameters in stage.given] == [SECRET, SECRET]


# Pools


# A run is Create, two Receives that open the pool, Command, Receive, Delete.


@pytest.mark.parametrize(
    ("kind", "nth"), [*(("fault", nth) for nth in range(1, 6)), *(("malformed", nth) for nth in range(2, 6))]
)
def test_no_pool_is_left_open_after_trouble_on_a_connection_that_lives(
    served: Served, stage: Stage, host: Host, kind: str, nth: int
) -> None:
    troubles_of(host).add(Trouble(kind), nth=nth)
    with Session(settings(served)) as session:
        with pytest.raises((WsmanFault, MalformedAnswer), match="reading resources"):
            session.cmdlets.run(GET(), attempted="reading resources")
        assert shells(host) == {}


@pytest.mark.parametrize("nth", range(1, 6))
def test_half_an_answer_is_a_lost_connection(served: Served, stage: Stage, host: Host, nth: int) -> None:
    troubles_of(host).add(Trouble("truncated"), nth=nth)
    with Session(settings(served)) as session, pytest.raises(ConnectionLost, match="reading resources"):
        session.cmdlets.run(GET(), attempted="reading resources")


@pytest.mark.parametrize("nth", range(1, 6))
@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
def test_a_lost_connection_is_told_and_the_next_call_opens_a_new_pool(
    served: Served, stage: Stage, host: Host, kind: str, nth: int
) -> None:
    stage.output = ["fine"]
    troubles_of(host).add(Trouble(kind), nth=nth)
    with Session(settings(served)) as session:
        with pytest.raises(ConnectionLost, match="reading resources"):
            session.cmdlets.run(GET(), attempted="reading resources")
        left = dict(shells(host))
        with pytest.raises(ConnectionLost):
            session.cmdlets.run(GET(), attempted="reading resources")
        session.reconnect()
        assert session.cmdlets.run(GET(), attempted="reading resources").output == ("fine",)
    assert shells(host) == left


def test_a_connection_that_ends_while_a_pipeline_runs_is_told(served: Served, stage: Stage, host: Host) -> None:
    stage.seconds = 3600

    def cut(_: str) -> None:
        host.drop_connections()

    with Session(settings(served)) as session, pytest.raises(ConnectionLost):
        session.cmdlets.run(STOP(Name="A"), attempted="stopping A", progress=cut)
    assert not stage.given


def test_a_quota_is_a_fault_before_any_effect(served: Served, stage: Stage, host: Host) -> None:
    host.winrm.max_shells_per_user = 0
    with Session(settings(served)) as session, pytest.raises(WsmanFault) as raised:
        session.cmdlets.run(GET(), attempted="reading resources")
    assert raised.value.number == 0x803381A5
    assert stage.given == []


def test_a_pool_that_cannot_be_closed_does_not_hide_the_result(served: Served, stage: Stage, host: Host) -> None:
    stage.output = ["fine"]

    def deleting(asked: Asked) -> bool:
        return asked.action == "Delete"

    troubles_of(host).add(Trouble("fault"), when=deleting)
    with Session(settings(served)) as session:
        assert session.cmdlets.run(GET(), attempted="reading resources").output == ("fine",)
