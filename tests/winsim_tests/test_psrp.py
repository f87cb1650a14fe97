# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The PSRP server of winsim, seen by pypsrp: a real client whose bytes go straight to the server."""

from __future__ import annotations

import base64
import datetime
import itertools
import threading
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from pypsrp.complex_objects import ObjectMeta, PSInvocationState, RunspacePoolState
from pypsrp.exceptions import WinRMTransportError, WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.shell import SignalCode
from pypsrp.wsman import WSMan
from winsim import Fleet, psrp, serve, soap
from winsim.host import Host
from winsim.http import Served
from winsim.providers import (
    EnumValue,
    ErrorRecord,
    Fault,
    ProgressMessage,
    Provider,
    PSObject,
    Registry,
    Terminating,
    VerboseMessage,
    WarningMessage,
)
from winsim.psrp import Wait, generic, pipeline

RESOURCE = "Microsoft.FailoverClusters.PowerShell.ClusterResource"
TIMED_OUT = 2150858793
UNKNOWN = 2150858843


class Wire:
    """Carries pypsrp's requests to a host and keeps both sides of the conversation."""

    def __init__(self, host: Host, user: str = "Administrator") -> None:
        self.endpoint = f"http://{host.name}:5985/wsman"
        self.host = host
        self.user = user
        self.answers: list[ET.Element] = []
        self.calls: list[str] = []

    def send(self, message: bytes, **_: object) -> bytes:
        request = soap.parse(message)
        try:
            body = psrp.dispatch(self.host, self.user, request)
        except soap.Fault as fault:
            text = soap.envelope(fault.action, fault.body(self.host.name, "en-US"), request.message_id)
            raise WinRMTransportError("http", fault.status, text.decode()) from fault
        if called := psrp.called()[0]:
            self.calls.append(called)
        answer = soap.envelope(f"{request.action}Response", body, request.message_id)
        self.answers.append(ET.fromstring(answer))
        return answer

    def close(self) -> None:
        """What pypsrp asks of a transport at the end."""


def connect(host: Host, user: str = "Administrator", **options: Any) -> WSMan:
    session = WSMan("host", username=user, password="x", ssl=False, operation_timeout=20, **options)
    carry(session, Wire(host, user))
    return session


def carry(session: WSMan, wire: Wire) -> None:
    """Let a session speak through a wire from now on."""
    session.transport = cast(Any, wire)


def wire_of(pool: RunspacePool) -> Wire:
    return cast(Wire, pool.connection.transport)


def run(pool: RunspacePool, *commands: tuple[str, dict[str, Any]], statements: bool = False) -> PowerShell:
    shell = PowerShell(pool)
    for name, parameters in commands:
        shell.add_cmdlet(name)
        shell.add_parameters(parameters)
        if statements:
            shell.add_statement()
    shell.invoke()
    return shell


def resource(name: str, **more: Any) -> PSObject:
    state = EnumValue("Microsoft.FailoverClusters.PowerShell.ClusterResourceState", "Online", 2)
    return PSObject((RESOURCE,), {"Name": name, "State": state, **more}, text=name)


class Cluster:
    """A few cmdlets of a cluster, acted by the test."""

    def __init__(self) -> None:
        self.set: list[tuple[str, str, Any]] = []
        self.stopped = False
        self.resources: list[Any] = [resource("Quorum"), resource("VM1", Maintenance=False, Flags=2**63)]


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch, cluster: Cluster) -> Provider:
    registry = Registry()
    monkeypatch.setattr(generic, "providers", registry)
    monkeypatch.setattr(pipeline, "providers", registry)
    provider = Provider("stage", registry)

    @provider.cmdlet("Get-ClusterResource")
    def get(host: Host, parameters: dict[str, Any], items: list[Any]) -> Iterator[Any]:
        for entry in cluster.resources:
            if "Name" not in parameters or entry.text in parameters["Name"]:
                yield entry

    @provider.cmdlet("Set-ClusterParameter")
    def change(host: Host, parameters: dict[str, Any], items: list[Any]) -> Iterator[Any]:
        name = parameters["InputObject"].properties["Name"]
        if name == "Quorum":
            yield ErrorRecord("The resource has no such property.", "Set-ClusterParameter", 13, target=name)
            return
        cluster.set.append((name, parameters["Name"], parameters["Value"]))

    return provider


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    fleet = Fleet.load({"clock": {"start": "2026-01-31T08:00:00Z", "speed": 0}, "hosts": {"N1": {"build": 17763}}})
    fleet.clock.start()
    yield fleet
    fleet.clock.stop()


@pytest.fixture
def host(fleet: Fleet, play: Provider) -> Host:
    return fleet.host("N1")


@pytest.fixture
def pool(host: Host) -> Iterator[RunspacePool]:
    pool = RunspacePool(connect(host))
    pool.open()
    yield pool
    if pool.id.lower() in psrp.shells(host):
        pool.close()


def test_a_pool_opens_with_the_id_of_the_client(host: Host) -> None:
    pool = RunspacePool(connect(host))
    asked = pool.id
    pool.open()
    assert (pool.state, pool.shell.id) == (RunspacePoolState.OPENED, asked)
    assert pool.protocol_version == "2.3"


@pytest.mark.parametrize("receives", [2, 3])
def test_opening_takes_as_many_receives_as_the_switch_says(host: Host, receives: int) -> None:
    host.switches["psrp.opening_receives"] = str(receives)
    pool = RunspacePool(connect(host))
    pool.open()
    answers = [answer for answer in wire_of(pool).answers if answer.find(".//{*}ReceiveResponse") is not None]
    assert len(answers) == receives
    assert all(answer.find(".//{*}CommandState") is None for answer in answers)


@pytest.mark.parametrize(("build", "version"), [(7600, "2.1"), (9200, "2.2"), (9600, "2.2"), (14393, "2.3")])
def test_the_protocol_version_is_that_of_the_powershell_of_the_release(
    fleet: Fleet, host: Host, build: int, version: str
) -> None:
    host.profile.build = build
    with RunspacePool(connect(host)) as pool:
        assert pool.protocol_version == version


def test_an_object_keeps_its_type_its_properties_and_its_text(pool: RunspacePool) -> None:
    shell = run(pool, ("Get-ClusterResource", {"Name": "VM1"}))
    (found,) = shell.output
    assert found.types[0] == RESOURCE
    assert found.adapted_properties == {"Name": "VM1", "State": "Online", "Maintenance": False, "Flags": 2**63}
    assert str(found) == "VM1"
    assert (shell.state, shell.had_errors, shell.streams.error) == (PSInvocationState.COMPLETED, False, [])


@pytest.mark.parametrize(
    ("value", "element"),
    [
        ("a\n_x0041_ \U0001f600", "<S>a_x000A__x005F_x0041_ _xD83D__xDE00_</S>"),
        (True, "<B>true</B>"),
        (5, "<I32>5</I32>"),
        (2**31, "<U32>2147483648</U32>"),
        (-(2**40), "<I64>-1099511627776</I64>"),
        (2**63, "<U64>9223372036854775808</U64>"),
        (b"\x00\xff", "<BA>AP8=</BA>"),
        (datetime.datetime(2026, 1, 31, 9, tzinfo=datetime.timezone.utc), "<DT>2026-01-31T09:00:00Z</DT>"),
        (datetime.timedelta(minutes=5), "<TS>PT5M</TS>"),
        (uuid.UUID(int=1), "<G>00000000-0000-0000-0000-000000000001</G>"),
    ],
)
def test_primitives_have_their_own_elements(pool: RunspacePool, cluster: Cluster, value: Any, element: str) -> None:
    cluster.resources = [resource("R", Held=value)]
    run(pool, ("Get-ClusterResource", {}))
    assert element.replace(">", ' N="Held">', 1) in _messages(wire_of(pool))


def _streams(wire: Wire) -> list[bytes]:
    """The content of every Stream element a wire has answered."""
    elements = (each for answer in wire.answers for each in answer.iter(f"{{{soap.RSP}}}Stream"))
    return [base64.b64decode(each.text or "") for each in elements]


def _messages(wire: Wire) -> str:
    """The text of all messages a wire has answered."""
    data = b"".join(_streams(wire))
    text = b""
    while data:
        length = int.from_bytes(data[17:21], "big")
        text += data[21 : 21 + length]
        data = data[21 + length :]
    return text.decode("utf-8", "replace")


def test_an_enumeration_at_top_level_has_its_name_and_its_number(pool: RunspacePool, cluster: Cluster) -> None:
    cluster.resources = [EnumValue("Contoso.State", "Offline", 3)]
    run(pool, ("Get-ClusterResource", {}))
    text = _messages(wire_of(pool))
    assert "<T>Contoso.State</T><T>System.Enum</T><T>System.ValueType</T><T>System.Object</T>" in text
    assert "<I32>3</I32>" in text
    assert "<ToString>Offline</ToString>" in text


def test_nested_objects_are_text_and_lists_are_lists_of_text(pool: RunspacePool, cluster: Cluster) -> None:
    inner = PSObject(("Microsoft.FailoverClusters.PowerShell.ClusterGroup",), {"Name": "G"}, text="G")
    cluster.resources = [resource("R", OwnerGroup=inner, Dependencies=[inner, 5], Table={"a": inner})]
    (found,) = run(pool, ("Get-ClusterResource", {})).output
    assert found.adapted_properties["OwnerGroup"] == "G"
    assert found.adapted_properties["Dependencies"] == ["G", 5]
    assert found.adapted_properties["Table"] == {"a": "G"}


def test_one_command_pipes_into_the_next(pool: RunspacePool, cluster: Cluster) -> None:
    shell = run(
        pool,
        ("Get-ClusterResource", {"Name": "VM1"}),
        ("Set-ClusterParameter", {"Name": "OfflineAction", "Value": 1}),
    )
    assert (shell.output, shell.streams.error) == ([], [])
    assert cluster.set == [("VM1", "OfflineAction", 1)]
    assert wire_of(pool).calls == ["Get-ClusterResource -Name; Set-ClusterParameter -Name -Value"]


def test_statements_run_once_each_and_in_order(pool: RunspacePool) -> None:
    shell = run(
        pool,
        ("Get-ClusterResource", {"Name": "VM1"}),
        ("Get-ClusterResource", {"Name": "Quorum"}),
        statements=True,
    )
    assert [str(found) for found in shell.output] == ["VM1", "Quorum"]


def test_powershell_2_sees_only_the_first_statement(host: Host) -> None:
    host.profile.build = 7601
    with RunspacePool(connect(host)) as pool:
        names = [("Get-ClusterResource", {"Name": name}) for name in ("VM1", "Quorum")]
        assert [str(found) for found in run(pool, *names, statements=True).output] == ["VM1"]


def test_a_non_terminating_error_leaves_the_pipeline_completed(pool: RunspacePool, cluster: Cluster) -> None:
    shell = run(pool, ("Get-ClusterResource", {}), ("Set-ClusterParameter", {"Name": "A", "Value": 1}))
    assert (shell.state, shell.had_errors) == (PSInvocationState.COMPLETED, False)
    (error,) = shell.streams.error
    assert error.fq_error == "Set-ClusterParameter,Set-ClusterParameter"
    assert (error.category, error.target_name) == (13, "Quorum")
    assert cluster.set == [("VM1", "A", 1)]


def test_error_action_stop_makes_it_terminating(pool: RunspacePool, cluster: Cluster) -> None:
    shell = run(
        pool,
        ("Get-ClusterResource", {}),
        ("Set-ClusterParameter", {"Name": "A", "Value": 1, "ErrorAction": "Stop"}),
    )
    assert shell.state == PSInvocationState.FAILED
    assert [error.fq_error for error in shell.streams.error] == ["Set-ClusterParameter,Set-ClusterParameter"]
    assert cluster.set == []


def test_a_terminating_error_comes_once_and_later_statements_do_not_run(
    pool: RunspacePool, play: Provider, cluster: Cluster
) -> None:
    @play.cmdlet("Get-ClusterGroup")
    def groups(host: Host, parameters: dict[str, Any], items: list[Any]) -> Iterator[Any]:
        yield "before"
        raise Terminating(
            ErrorRecord("The cluster service is not running.", "Get-ClusterGroup", 21, hresult=0x80070001)
        )

    shell = run(pool, ("Get-ClusterGroup", {}), ("Get-ClusterResource", {}), statements=True)
    assert (shell.output, shell.state) == (["before"], PSInvocationState.FAILED)
    (error,) = shell.streams.error
    assert error.exception is not None
    assert error.exception.adapted_properties["HResult"] == 0x80070001 - 2**32
    (state,) = wire_of(pool).answers[-1].iter(f"{{{soap.RSP}}}CommandState")
    assert state.get("State", "").endswith("/Done")
    assert state.findtext(f"{{{soap.RSP}}}ExitCode") == "0"


def test_a_wmi_fault_of_a_provider_is_a_cim_exception(pool: RunspacePool, play: Provider) -> None:
    @play.cmdlet("Get-DhcpServerv4Scope")
    def scopes(host: Host, parameters: dict[str, Any], items: list[Any]) -> Iterator[Any]:
        raise Fault(0x80070005, "Access is denied.")

    shell = run(pool, ("Get-DhcpServerv4Scope", {}))
    assert shell.streams.error[0].fq_error == "HRESULT 0x80070005,Get-DhcpServerv4Scope"


def test_side_streams(pool: RunspacePool, play: Provider) -> None:
    @play.cmdlet("Get-Cluster")
    def get(host: Host, parameters: dict[str, Any], items: list[Any]) -> list[Any]:
        return [WarningMessage("w"), VerboseMessage("v"), ProgressMessage("p", "s", 5)]

    loud = run(pool, ("Get-Cluster", {"Verbose": None}))
    streams = loud.streams
    assert [record.message for record in streams.warning] == ["w"]
    assert [record.message for record in streams.verbose] == ["v"]
    assert [(record.activity, record.percent_complete) for record in streams.progress] == [("p", 5)]
    quiet = run(pool, ("Get-Cluster", {"WarningAction": "SilentlyContinue"}))
    assert (quiet.streams.warning, quiet.streams.verbose) == ([], [])


def test_progress_that_nobody_asked_for(host: Host) -> None:
    host.switches["psrp.progress_first"] = "on"
    with RunspacePool(connect(host)) as pool:
        shell = run(pool, ("Get-ClusterResource", {}))
        assert str(shell.streams.progress[0].activity).startswith("Preparing modules")
        assert len(shell.output) == 2


def test_script_text_is_refused_and_shows_in_the_log(pool: RunspacePool) -> None:
    shell = PowerShell(pool)
    shell.add_script("Get-ClusterResource | Out-Null")
    shell.invoke()
    assert (shell.state, shell.output) == (PSInvocationState.FAILED, [])
    assert (shell.streams.error[0].fq_error, shell.streams.error[0].category) == ("ScriptsNotAllowed", 17)
    assert wire_of(pool).calls == ["<script>"]


def test_what_if_changes_nothing(pool: RunspacePool, play: Provider, cluster: Cluster) -> None:
    @play.cmdlet("Remove-ClusterResource")
    def remove(host: Host, parameters: dict[str, Any], items: list[Any]) -> None:
        cluster.stopped = True

    shell = run(pool, ("Remove-ClusterResource", {"Name": "VM1", "WhatIf": None}))
    assert shell.state == PSInvocationState.COMPLETED
    assert not cluster.stopped


def test_a_secure_string_arrives_as_text_and_never_in_the_log(pool: RunspacePool, play: Provider) -> None:
    seen: list[Any] = []

    @play.cmdlet("Export-SmigServerSetting")
    def export(host: Host, parameters: dict[str, Any], items: list[Any]) -> None:
        seen.append(parameters["Password"])

    pool.exchange_keys()
    secret = pool.serialize("S3cret", ObjectMeta("SS"))
    shell = run(
        pool,
        ("Add-PSSnapin", {"Name": "Microsoft.Windows.ServerManager.Migration"}),
        ("Export-SmigServerSetting", {"FeatureID": "DHCP", "Path": r"C:\store", "Password": secret}),
        statements=True,
    )
    assert (shell.streams.error, seen) == ([], ["S3cret"])
    assert "S3cret" not in repr(seen)
    assert "S3cret" not in " ".join(wire_of(pool).calls)


def test_snap_in_cmdlets_need_their_snap_in(pool: RunspacePool, play: Provider) -> None:
    @play.cmdlet("Get-SmigServerFeature")
    def features(host: Host, parameters: dict[str, Any], items: list[Any]) -> list[str]:
        return ["DHCP"]

    assert run(pool, ("Get-SmigServerFeature", {})).streams.error[0].fq_error == "CommandNotFoundException"
    (registered,) = run(pool, ("Get-PSSnapin", {"Registered": None})).output
    assert str(registered) == "Microsoft.Windows.ServerManager.Migration"
    run(pool, ("Add-PSSnapin", {"Name": "microsoft.windows.servermanager.migration"}))
    assert run(pool, ("Get-SmigServerFeature", {})).output == ["DHCP"]


def test_the_exchange_endpoint_offers_exchange_alone(host: Host, play: Provider) -> None:
    with pytest.raises(WSManFaultError) as refused:
        RunspacePool(connect(host), configuration_name="Microsoft.Exchange").open()
    assert refused.value.code == 0x8033803B

    @play.cmdlet("Get-ExchangeServer")
    def servers(host: Host, parameters: dict[str, Any], items: list[Any]) -> list[str]:
        return ["EX1"]

    with RunspacePool(connect(host), configuration_name="Microsoft.Exchange") as pool:
        assert run(pool, ("Get-ExchangeServer", {})).output == ["EX1"]
        assert run(pool, ("Get-ClusterResource", {})).state == PSInvocationState.FAILED
    with RunspacePool(connect(host)) as pool:
        assert run(pool, ("Get-ExchangeServer", {})).state == PSInvocationState.FAILED


@pytest.mark.parametrize("fragments", ["large", "small"])
@pytest.mark.parametrize("streams", ["fragment", "joined", "cut"])
@pytest.mark.parametrize("answers", ["full", "split"])
def test_output_survives_every_way_of_cutting_it(
    host: Host, cluster: Cluster, fragments: str, streams: str, answers: str
) -> None:
    host.switches.update({"psrp.fragments": fragments, "psrp.streams": streams, "psrp.answers": answers})
    names = [f"{number} " + "x" * 700 * number for number in range(8)]
    cluster.resources = [resource(name) for name in names]
    with RunspacePool(connect(host)) as pool:
        shell = run(pool, ("Get-ClusterResource", {}))
    assert [str(found) for found in shell.output] == names


def test_an_answer_fits_the_envelope_of_the_client(host: Host, cluster: Cluster) -> None:
    cluster.resources = [resource("x" * 100_000)]
    with RunspacePool(connect(host, max_envelope_size=32768)) as pool:
        wire = wire_of(pool)
        shell = run(pool, ("Get-ClusterResource", {}))
        assert str(shell.output[0]) == "x" * 100_000
        assert max(len(ET.tostring(answer)) for answer in wire.answers) <= 32768


def test_a_big_command_comes_in_several_fragments(host: Host, cluster: Cluster) -> None:
    with RunspacePool(connect(host, max_envelope_size=32768)) as pool:
        run(
            pool,
            ("Get-ClusterResource", {"Name": "VM1"}),
            ("Set-ClusterParameter", {"Name": "Journal", "Value": "y" * 90_000}),
        )
    assert cluster.set == [("VM1", "Journal", "y" * 90_000)]


def test_input_from_the_client_is_pipeline_input(pool: RunspacePool, play: Provider) -> None:
    @play.cmdlet("Get-Service")
    def services(host: Host, parameters: dict[str, Any], items: list[Any]) -> list[Any]:
        return list(parameters["Name"])

    shell = PowerShell(pool)
    shell.add_cmdlet("Get-Service")
    shell.invoke(input=(name for name in ("DHCPServer", "DNS")))
    assert shell.output == ["DHCPServer", "DNS"]


# Time


def slow(play: Provider, cluster: Cluster) -> None:
    @play.cmdlet("Stop-ClusterResource")
    def stop(host: Host, parameters: dict[str, Any], items: list[Any]) -> Iterator[Any]:
        yield "stopping"
        try:
            yield Wait(60)
        finally:
            cluster.stopped = True
        yield "stopped"


def begin(pool: RunspacePool, name: str = "Stop-ClusterResource") -> PowerShell:
    shell = PowerShell(pool)
    shell.add_cmdlet(name)
    shell.begin_invoke()
    return shell


def later(action: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=action)
    thread.start()
    return thread


def until_held(host: Host) -> None:
    """Wait until a Receive is held."""
    with host.fleet.changed:
        assert host.fleet.changed.wait_for(lambda: any(shell.held for shell in psrp.shells(host).values()), 10)


def test_output_comes_as_it_is_made(
    pool: RunspacePool, play: Provider, cluster: Cluster, fleet: Fleet, host: Host
) -> None:
    slow(play, cluster)
    shell = begin(pool)
    shell.poll_invoke()
    assert (shell.output, shell.state) == (["stopping"], PSInvocationState.RUNNING)
    waiting = later(shell.end_invoke)
    until_held(host)
    # A held Receive does not keep others out.
    fleet.clock.advance(60)
    waiting.join(10)
    assert (shell.output, shell.state) == (["stopping", "stopped"], PSInvocationState.COMPLETED)


def test_silence_until_the_operation_timeout_is_a_fault_and_the_pipeline_goes_on(
    pool: RunspacePool, play: Provider, cluster: Cluster, fleet: Fleet, host: Host
) -> None:
    slow(play, cluster)
    shell = begin(pool)
    shell.poll_invoke()
    for _ in range(2):
        codes: list[int] = []

        def receive(codes: list[int] = codes) -> None:
            try:
                pool.shell.receive("stdout", command_id=shell.id)
            except WSManFaultError as fault:
                codes.append(fault.code or 0)

        waiting = later(receive)
        until_held(host)
        fleet.clock.advance(20)
        waiting.join(10)
        assert codes == [TIMED_OUT]
    fleet.clock.advance(20)
    shell.end_invoke()
    assert shell.output == ["stopping", "stopped"]


def test_a_signal_stops_the_pipeline(
    pool: RunspacePool, play: Provider, cluster: Cluster, fleet: Fleet, host: Host
) -> None:
    slow(play, cluster)
    shell = begin(pool)
    shell.poll_invoke()
    waiting = later(shell.end_invoke)
    until_held(host)
    pool.shell.signal(SignalCode.PS_CTRL_C, shell.id)
    waiting.join(10)
    assert (shell.state, cluster.stopped) == (PSInvocationState.STOPPED, True)
    assert shell.streams.error[0].fq_error == "PipelineStopped"
    fleet.clock.advance(60)
    assert shell.output == ["stopping"]


def test_a_pipeline_outlives_the_connection_that_started_it(
    pool: RunspacePool, play: Provider, cluster: Cluster, fleet: Fleet, host: Host
) -> None:
    slow(play, cluster)
    shell = begin(pool)
    carry(pool.connection, Wire(host))
    fleet.clock.advance(60)
    shell.end_invoke()
    assert shell.output == ["stopping", "stopped"]


def test_a_newer_receive_takes_over_from_one_that_nobody_reads(
    pool: RunspacePool, play: Provider, cluster: Cluster, fleet: Fleet, host: Host
) -> None:
    slow(play, cluster)
    shell = begin(pool)
    shell.poll_invoke()
    codes: list[int] = []

    def receive() -> None:
        try:
            pool.shell.receive("stdout", command_id=shell.id)
        except WSManFaultError as fault:
            codes.append(fault.code or 0)

    abandoned = later(receive)
    until_held(host)
    waiting = later(shell.end_invoke)
    abandoned.join(10)
    assert codes == [995]
    until_held(host)
    fleet.clock.advance(60)
    waiting.join(10)
    assert shell.output == ["stopping", "stopped"]


def test_deleting_the_shell_ends_what_runs_in_it(
    pool: RunspacePool, play: Provider, cluster: Cluster, host: Host
) -> None:
    slow(play, cluster)
    shell = begin(pool)
    shell.poll_invoke()
    pool.close()
    assert cluster.stopped
    with pytest.raises(WSManFaultError) as gone:
        pool.shell.receive("stdout", command_id=shell.id)
    assert gone.value.code == UNKNOWN


def test_a_reboot_ends_all_shells(pool: RunspacePool, play: Provider, cluster: Cluster, host: Host) -> None:
    slow(play, cluster)
    begin(pool)
    host.reboot()
    assert cluster.stopped
    assert not psrp.shells(host)


def test_an_idle_shell_is_closed(pool: RunspacePool, fleet: Fleet) -> None:
    fleet.clock.advance(7201)
    with pytest.raises(WSManFaultError) as gone:
        run(pool, ("Get-ClusterResource", {}))
    assert gone.value.code == UNKNOWN


# Refusals of the shell


def test_get_tells_that_a_shell_is_alive(pool: RunspacePool) -> None:
    assert pool.shell._get_shell()["State"] == "Connected"
    pool.close()
    with pytest.raises(WSManFaultError) as gone:
        pool.shell._get_shell()
    assert gone.value.code == UNKNOWN


def test_terminate_frees_the_command_and_its_id(pool: RunspacePool) -> None:
    shell = PowerShell(pool)
    shell.add_cmdlet("Get-ClusterResource")
    for _ in range(2):
        shell.invoke()
        shell.close()
    assert len(shell.output) == 4
    with pytest.raises(WSManFaultError) as gone:
        pool.shell.receive("stdout", command_id=shell.id)
    assert gone.value.code == UNKNOWN


def test_shells_per_user_are_limited(host: Host) -> None:
    host.winrm.max_shells_per_user = 2
    pools = [RunspacePool(connect(host)) for _ in range(2)]
    for pool in pools:
        pool.open()
    with pytest.raises(WSManFaultError) as full:
        RunspacePool(connect(host)).open()
    assert full.value.code == 2150859173
    RunspacePool(connect(host, user="other")).open()
    pools[0].close()
    RunspacePool(connect(host)).open()


def test_a_shell_belongs_to_its_user(pool: RunspacePool, host: Host) -> None:
    own = wire_of(pool)
    carry(pool.connection, Wire(host, "other"))
    with pytest.raises(WSManFaultError) as refused:
        run(pool, ("Get-ClusterResource", {}))
    assert refused.value.code == 5
    carry(pool.connection, own)


def test_a_configuration_that_is_not_there_is_refused(host: Host) -> None:
    with pytest.raises(WSManFaultError) as refused:
        RunspacePool(connect(host), configuration_name="Contoso").open()
    assert refused.value.code == 0x8033803B


def test_a_protocol_version_that_is_not_2_is_refused(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pypsrp.powershell.PROTOCOL_VERSION", "3.0")
    with pytest.raises(WSManFaultError) as refused:
        RunspacePool(connect(host)).open()
    assert refused.value.code == 2152991685


def test_pool_messages_are_answered(pool: RunspacePool) -> None:
    pool.max_runspaces = 3
    assert (pool.max_runspaces, pool.get_available_runspaces()) == (3, 3)
    pool.reset_runspace_state()


def test_object_ids_count_over_all_pipelines_and_messages_begin_with_a_mark(pool: RunspacePool) -> None:
    run(pool, ("Get-ClusterResource", {}))
    run(pool, ("Get-ClusterResource", {}))
    streams = _streams(wire_of(pool))
    identifiers = [int.from_bytes(each[:8], "big") for each in streams]
    assert identifiers == list(itertools.islice(itertools.count(1), len(identifiers)))
    assert all(each[61:64] == b"\xef\xbb\xbf" for each in streams)


# Over real sockets


@pytest.fixture
def served(fleet: Fleet, host: Host) -> Iterator[Served]:
    fleet.clock.stop()
    with serve(fleet) as served:
        yield served


def over_ntlm(served: Served, host: Host) -> RunspacePool:
    session = WSMan(
        served.address(host),
        port=served.http_port(host),
        username="Administrator",
        password=host.users["Administrator"].password,
        ssl=False,
        auth="ntlm",
    )
    return RunspacePool(session)


def test_cmdlets_run_over_ntlm_with_message_encryption(served: Served, host: Host, cluster: Cluster) -> None:
    with over_ntlm(served, host) as pool:
        run(pool, ("Get-ClusterResource", {"Name": "VM1"}), ("Set-ClusterParameter", {"Name": "A", "Value": 1}))
    assert cluster.set == [("VM1", "A", 1)]
    (entry,) = (entry for entry in host.log if entry.what)
    assert (entry.action, entry.what) == ("Command", "Get-ClusterResource -Name; Set-ClusterParameter -Name -Value")
    assert (entry.writes, entry.secure) == (True, True)
    assert not host.plaintext


def test_a_signal_on_a_second_connection_stops_what_the_first_waits_for(
    served: Served, host: Host, play: Provider, cluster: Cluster
) -> None:
    slow(play, cluster)
    with over_ntlm(served, host) as pool:
        shell = begin(pool)
        shell.poll_invoke()
        waiting = later(shell.end_invoke)
        until_held(host)
        other = over_ntlm(served, host)
        other.shell.id, other.shell._selector_set = pool.shell.id, pool.shell._selector_set
        other.shell.signal(SignalCode.PS_CTRL_C, shell.id)
        waiting.join(10)
        assert (shell.state, cluster.stopped) == (PSInvocationState.STOPPED, True)
