# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A real WinRS client: shells, processes, their output and what goes wrong with them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from pypsrp.exceptions import WSManFaultError
from pypsrp.shell import CommandState, Process, SignalCode, WinRS
from pypsrp.wsman import WSMan
from winsim import Fleet, Host, commandline, serve
from winsim import providers as playing
from winsim.http import Served

PASSWORD = "Passw0rd"
TIMED_OUT = 2150858793
UNKNOWN = 2150858843

played = playing.Provider("winrs tests")


@played.process("echoes.exe")
def echoes(host: Host, arguments: list[str], stdin: str) -> playing.Output:
    return playing.Output("".join(f"[{each}]\r\n" for each in arguments), "Gr\u00fc\u00dfe\r\n", exit_code=-3)


@played.process("turns.exe", reads_stdin=True)
def turns(host: Host, arguments: list[str], stdin: str) -> playing.Output:
    return playing.Output(stdin[::-1])


@played.process("floods.exe")
def floods(host: Host, arguments: list[str], stdin: str) -> playing.Output:
    return playing.Output("\u00e4 line of output\r\n" * 20000)


@played.process("lingers.exe")
def lingers(host: Host, arguments: list[str], stdin: str) -> playing.Process:
    process = playing.Process(host)
    host.fleet.clock.after(50, lambda: process.print("half\r\n"))
    host.fleet.clock.after(100, lambda: process.print("whole\r\n"))
    host.fleet.clock.after(100, lambda: process.exit(0))
    return process


@played.process("broods.exe")
def broods(host: Host, arguments: list[str], stdin: str) -> playing.Process:
    process = playing.Process(host)
    process.on_signal = lambda name: process.exit(7)
    return process


@pytest.fixture
def served() -> Iterator[Served]:
    hosts: dict[str, Any] = {"N1": {"winrm": {"credssp": True}}, "ALT": {"build": 7601, "language": "de-DE"}}
    with serve(Fleet.load({"password": PASSWORD, "clock": {"speed": 0}, "hosts": hosts})) as served:
        yield served


@contextlib.contextmanager
def connected(served: Served, host: str = "N1", **options: Any) -> Iterator[WSMan]:
    settings = {"username": "Administrator", "password": PASSWORD, "auth": "ntlm", "no_proxy": True}
    with WSMan(served.address(host), port=served.http_port(host), ssl=False, **(settings | options)) as wsman:  # type: ignore[arg-type]
        yield wsman


@contextlib.contextmanager
def shell_on(served: Served, host: str = "N1", **options: Any) -> Iterator[WinRS]:
    with connected(served, host) as wsman, WinRS(wsman, **options) as shell:
        yield shell


def run(shell: WinRS, executable: str, *arguments: str, **options: Any) -> Process:
    process = Process(shell, executable, list(arguments), **options)
    process.invoke()
    process.signal(SignalCode.CTRL_C)
    return process


def test_a_process_gets_its_arguments_and_gives_output_errors_and_exit_code(served: Served) -> None:
    with shell_on(served, codepage=65001) as shell:
        process = run(shell, "echoes", "one", '"two words"', r"C:\a\\")
    assert process.stdout.decode() == "[one]\r\n[two words]\r\n[C:\\a\\\\]\r\n"
    assert process.stderr.decode() == "Gr\u00fc\u00dfe\r\n"
    assert process.rc == -3


@pytest.mark.parametrize("position", ["before_done", "with_done"])
def test_output_comes_before_or_with_done(served: Served, position: str) -> None:
    host = served.fleet.host("N1")
    host.switches["winrs.output"] = position
    with shell_on(served) as shell:
        assert run(shell, "echoes", "x").stdout == b"[x]\r\n"
    receives = [entry for entry in host.log if entry.action == "Receive"]
    assert len(receives) == {"before_done": 2, "with_done": 1}[position]
    assert "CommandState/Done" in receives[-1].answer


def test_the_shell_tells_what_it_is(served: Served) -> None:
    with shell_on(served, environment={"A": "b"}, working_directory="C:\\Temp") as shell:
        assert shell.id == (shell.id or "").upper()
    answer = served.fleet.host("N1").log[0].answer
    assert "<rsp:Owner>N1\\Administrator</rsp:Owner>" in answer
    assert "<rsp:IdleTimeOut>PT7200.000S</rsp:IdleTimeOut>" in answer
    assert "<rsp:ShellRunTime>P0DT0H0M0S</rsp:ShellRunTime>" in answer
    assert 'Name="A">b<' in answer
    assert "WorkingDirectory>C:\\Temp<" in answer


@pytest.mark.parametrize(
    ("host", "codepage", "codec"),
    [("N1", None, "cp437"), ("ALT", None, "cp850"), ("N1", 65001, "utf-8"), ("N1", 1252, "cp1252")],
)
def test_output_is_in_the_code_page_of_the_shell(served: Served, host: str, codepage: int | None, codec: str) -> None:
    with shell_on(served, host, codepage=codepage) as shell:
        assert run(shell, "echoes").stderr == "Gr\u00fc\u00dfe\r\n".encode(codec)


def test_stdin_reaches_the_process_when_it_has_ended(served: Served) -> None:
    with shell_on(served, codepage=65001) as shell:
        process = Process(shell, "turns")
        process.begin_invoke()
        process.send("T\u00fcr".encode(), end=False)
        process.send(b" zu", end=True)
        process.end_invoke()
    assert process.stdout.decode() == "uz r\u00fcT"


@pytest.mark.parametrize("auth", ["ntlm", "credssp"])
def test_long_output_comes_whole_in_several_answers(served: Served, auth: str) -> None:
    with connected(served, auth=auth) as wsman, WinRS(wsman, codepage=65001) as shell:
        assert run(shell, "floods").stdout.decode() == "\u00e4 line of output\r\n" * 20000
    log = served.fleet.host("N1").log
    assert len([entry for entry in log if entry.action == "Receive"]) > 2
    assert {entry.status for entry in log} == {200}


# --- time --------------------------------------------------------------------------------------------------------


def test_a_receive_is_held_until_there_is_output(served: Served) -> None:
    with shell_on(served) as shell:
        process = Process(shell, "lingers")
        process.begin_invoke()
        for output, state in (b"half\r\n", CommandState.RUNNING), (b"half\r\nwhole\r\n", CommandState.DONE):
            reader = threading.Thread(target=process.poll_invoke)
            reader.start()
            served.fleet.clock.advance(50)
            reader.join()
            while process.stdout != output:  # the end of the output comes with Done
                process.poll_invoke()
            assert process.state == state
    assert process.rc == 0


def test_a_receive_without_output_ends_with_a_fault_and_the_process_lives_on(served: Served) -> None:
    faults: list[int | None] = []

    def receive(process: Process) -> None:
        try:
            process.shell.receive("stdout stderr", process.id)
        except WSManFaultError as error:
            faults.append(error.code)

    with shell_on(served) as shell:
        process = Process(shell, "broods")
        process.begin_invoke()
        for _ in range(2):
            reader = threading.Thread(target=receive, args=(process,))
            reader.start()
            while reader.is_alive():  # the time of the Receive begins when it has arrived
                served.fleet.clock.advance(20)
                reader.join(0.01)
        process.signal(SignalCode.CTRL_BREAK)
        process.end_invoke()
    assert faults == [TIMED_OUT, TIMED_OUT]
    assert process.rc == 7


def test_a_running_process_can_be_interrupted(served: Served) -> None:
    with shell_on(served) as shell:
        process = Process(shell, "lingers")
        process.begin_invoke()
        process.signal(SignalCode.CTRL_C)
        process.end_invoke()
        assert process.rc == -1073741510  # STATUS_CONTROL_C_EXIT


def test_a_shell_outlives_its_connection_but_not_a_restart(served: Served) -> None:
    host = served.fleet.host("N1")
    with connected(served) as first:
        shell = WinRS(first)
        shell.open()
        process = Process(shell, "lingers")
        process.begin_invoke()
    served.fleet.clock.advance(100)
    with connected(served) as second:
        shell.wsman = second
        process.end_invoke()
        assert process.rc == 0
    host.reboot(10)
    served.fleet.clock.advance(10)
    with connected(served) as third:
        shell.wsman = third
        with pytest.raises(WSManFaultError) as gone:
            run(shell, "echoes")
        assert gone.value.code == UNKNOWN


def test_a_held_receive_ends_with_the_connection_when_the_host_goes_down(served: Served) -> None:
    ended: list[BaseException] = []

    def wait_for_output(process: Process) -> None:
        try:
            process.poll_invoke()
        except requests.exceptions.ConnectionError as error:
            ended.append(error)

    with connected(served) as wsman:
        shell = WinRS(wsman)
        shell.open()
        process = Process(shell, "lingers")
        process.begin_invoke()
        reader = threading.Thread(target=wait_for_output, args=(process,))
        reader.start()
        served.fleet.host("N1").reboot(10)
        reader.join()
    assert len(ended) == 1


def test_a_shell_that_nobody_uses_is_closed(served: Served) -> None:
    with connected(served) as wsman:
        shell = WinRS(wsman, idle_time_out=60)
        shell.open()
        served.fleet.clock.advance(59)
        run(shell, "echoes")
        served.fleet.clock.advance(61)
        with pytest.raises(WSManFaultError) as gone:
            run(shell, "echoes")
    assert gone.value.code == UNKNOWN


# --- refusals ----------------------------------------------------------------------------------------------------


def test_a_program_that_is_not_there_is_the_shells_own_error(served: Served) -> None:
    with shell_on(served) as shell:
        process = run(shell, "nowhere.exe", no_shell=True)  # which no version since 2012 R2 heeds
    assert process.rc == 1
    assert process.stderr.startswith(b"'nowhere.exe' is not recognized")


def test_without_cmd_an_old_host_finds_only_full_paths(served: Served) -> None:
    with shell_on(served, "ALT") as shell:
        with pytest.raises(WSManFaultError) as missing:
            run(shell, "echoes.exe", no_shell=True)
        assert missing.value.code == 2147942402
        assert run(shell, r"C:\Windows\System32\echoes.exe", no_shell=True).rc == -3


def test_a_forced_exit_has_no_effect_and_no_output(served: Served) -> None:
    served.fleet.host("N1").forced_exits["echoes.exe"] = 5
    with shell_on(served) as shell:
        process = run(shell, "echoes", "x")
    assert (process.rc, process.stdout) == (5, b"")


def test_operators_of_cmd_are_refused_and_quotes_protect_them(served: Served) -> None:
    with shell_on(served) as shell:
        assert run(shell, "echoes", '"a & b"').stdout == b"[a & b]\r\n"
        with pytest.raises(WSManFaultError) as refused:
            run(shell, "echoes", "a & b")
    assert refused.value.code == 50


def test_receive_of_an_unknown_command_and_without_one(served: Served) -> None:
    with shell_on(served) as shell:
        for command, code in (("4C2E4A9B-0000-0000-0000-000000000000", UNKNOWN), (None, 87)):
            with pytest.raises(WSManFaultError) as refused:
                shell.receive("stdout stderr", command)
            assert refused.value.code == code


def test_a_second_command_before_done_is_refused(served: Served) -> None:
    with shell_on(served) as shell:
        Process(shell, "lingers").begin_invoke()
        with pytest.raises(WSManFaultError) as refused:
            Process(shell, "echoes").begin_invoke()
    assert refused.value.code == 2150859241


def test_shells_per_user_and_operations_per_user_are_limited(served: Served) -> None:
    winrm = served.fleet.host("N1").winrm
    winrm.max_shells_per_user, winrm.max_operations_per_user = 1, 1
    with connected(served) as wsman, WinRS(wsman) as shell:
        with pytest.raises(WSManFaultError) as shells:
            WinRS(wsman).open()
        run(shell, "echoes")
        with pytest.raises(WSManFaultError) as operations:
            run(shell, "echoes")
    assert (shells.value.code, operations.value.code) == (2150859173, 2150859174)


def test_a_shell_belongs_to_its_user(served: Served) -> None:
    host = served.fleet.host("N1")
    host.users["eve"] = type(host.users["Administrator"])("eve", "x")
    with shell_on(served) as shell, connected(served, username="eve", password="x") as other:
        mine, shell.wsman = shell.wsman, other
        with pytest.raises(WSManFaultError) as denied:
            run(shell, "echoes")
        shell.wsman = mine
    assert denied.value.code == 5


# --- command lines -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        # The examples of CommandLineToArgvW's own documentation, and the doubled quote.
        (r'p "abc" d e', ["p", "abc", "d", "e"]),
        (r'p a\\\b d"e f"g h', ["p", r"a\\\b", "de fg", "h"]),
        (r"p a\\\"b c d", ["p", r"a\"b", "c", "d"]),
        (r'p a\\\\"b c" d e', ["p", r"a\\b c", "d", "e"]),
        ('p "" x', ["p", "", "x"]),
        ('p "a""b" c', ["p", 'a"b', "c"]),
        ("  p \t x  ", ["p", "x"]),
    ],
)
def test_arguments_are_parted_as_windows_parts_them(line: str, arguments: list[str]) -> None:
    assert commandline.split(line) == arguments


@pytest.mark.parametrize(
    ("line", "seen"), [("p %NAME% %unset%", "p value %unset%"), ("p a^&b", "p a&b"), ('p "a^b"', 'p "a^b"')]
)
def test_cmd_replaces_variables_and_takes_carets_away(line: str, seen: str) -> None:
    assert commandline.through_cmd(line, {"Name": "value"}) == seen
