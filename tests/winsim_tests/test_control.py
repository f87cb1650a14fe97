# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The control endpoint, the inventory, and the command that serves a fleet."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pypsrp.exceptions import WSManFaultError
from pypsrp.wsman import WSMan
from winsim import Fleet, serve
from winsim.control import Control, ControlError
from winsim.http import Served

CONFIG = "http://schemas.microsoft.com/wbem/wsman/1/config"
FLEET: dict[str, Any] = {
    "password": "S3cret: of #the lab",
    "clock": {"start": "2026-01-31T08:00:00+00:00", "speed": 0},
    "hosts": {"N1": {}, "N2": {}, "WEB-1": {"winrm": {"http": False}}},
    "clusters": {"CL-1": {"nodes": ["N1", "N2"]}},
}


@pytest.fixture
def served() -> Iterator[Served]:
    with serve(Fleet.load(FLEET), control=True) as served:
        yield served


@pytest.fixture
def control(served: Served) -> Control:
    assert served.control is not None
    return Control(served.control.url, served.control.token)


def ask(host: dict[str, Any]) -> None:
    with WSMan(
        host["ansible_host"],
        port=host["ansible_port"],
        username=host["ansible_user"],
        password=host["ansible_password"],
        ssl=False,
        auth="ntlm",
        no_proxy=True,
    ) as wsman:
        wsman.get(CONFIG)


def test_state_is_read_and_set_by_its_path(served: Served, control: Control) -> None:
    assert control.state("hosts.N1.profile.build") == 20348
    control.set("hosts.N1.winrm.max_shells_per_user", 3)
    control.set("hosts.N1.users.administrator.password", "new")
    control.set("hosts.N1.network.answers", "silent")
    host = served.fleet.host("N1")
    assert (host.winrm.max_shells_per_user, host.users["Administrator"].password) == (3, "new")
    assert control.state("hosts.N1.network") == {"answers": "silent"}
    control.set(["clusters", "clusters", "cl-1", "properties", "ClusSvcHangTimeout"], 90)
    assert control.state("clusters.clusters.cl-1.properties.ClusSvcHangTimeout") == 90


@pytest.mark.parametrize("path", ["hosts.N9", "hosts.N1.winrm.nothing", "hosts.N1._drops", "nowhere"])
def test_a_path_that_leads_nowhere_is_refused(control: Control, path: str) -> None:
    with pytest.raises(ControlError):
        control.state(path)
    with pytest.raises(ControlError):
        control.set(path, 1)


def test_time_passes_when_told_to(control: Control) -> None:
    assert control.now() == "2026-01-31T08:00:00+00:00"
    assert control.advance(90) == "2026-01-31T08:01:30+00:00"


def test_switches_are_those_of_the_fleet_or_of_a_host(served: Served, control: Control) -> None:
    assert control.switch("winrs.output", "with_done", host="N1") == "with_done"
    assert control.switch("winrs.output") == "before_done"
    with pytest.raises(ControlError, match="no position 'sideways'"):
        control.switch("winrs.output", "sideways")


def test_trouble_strikes_and_the_log_tells(served: Served, control: Control) -> None:
    hosts = served.inventory()["all"]["children"]["windows"]["hosts"]
    control.trouble("N1", "fault", action="Get", nth=2, number=5, subcode="w:AccessDenied")
    ask(hosts["N1"])
    with pytest.raises(WSManFaultError):
        ask(hosts["N1"])
    assert [(entry["action"], entry["fault"]) for entry in control.log("N1")] == [("Get", None), ("Get", 5)]
    control.clear_log("N1")
    assert control.log("N1") == []


def test_hosts_go_down_and_come_up(served: Served, control: Control) -> None:
    hosts = served.inventory()["all"]["children"]["windows"]["hosts"]
    control.reboot("N1", 30)
    control.power_off("N2")
    assert not served.fleet.host("N1").reachable
    control.advance(60)
    ask(hosts["N1"])
    assert not served.fleet.host("N2").reachable
    control.power_on("N2")
    ask(hosts["N2"])


def test_without_the_token_nothing_is_told(served: Served) -> None:
    assert served.control is not None
    with pytest.raises(ControlError, match="token"):
        Control(served.control.url, "guessed").state()


# --- the inventory -----------------------------------------------------------------------------------------------


def test_the_inventory_names_every_host_and_a_group_per_cluster(served: Served) -> None:
    children = served.inventory()["all"]["children"]
    windows = children["windows"]
    assert set(windows["hosts"]) == {"N1", "N2", "WEB-1"}
    assert windows["hosts"]["N1"]["ansible_port"] == served.http_port("N1")
    assert windows["hosts"]["N1"]["winsim_https_port"] == served.https_port("N1")
    assert windows["vars"] == {
        "ansible_connection": "psrp",
        "ansible_psrp_protocol": "http",
        "ansible_psrp_auth": "ntlm",
    }
    assert children["CL_1"]["hosts"] == {"N1": {}, "N2": {}}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"transport": "https", "auth": "basic"}, {"ansible_psrp_protocol": "https", "ansible_psrp_auth": "basic"}),
        ({"connection": "winrm"}, {"ansible_winrm_scheme": "http", "ansible_winrm_transport": "ntlm"}),
        ({"connection": "winrm", "transport": "https"}, {"ansible_winrm_scheme": "https"}),
    ],
)
def test_the_inventory_comes_for_either_connection(
    served: Served, choice: dict[str, str], expected: dict[str, str]
) -> None:
    windows = served.inventory(**choice)["all"]["children"]["windows"]
    assert windows["vars"].items() >= expected.items()
    ports = {"http": served.http_port, "https": served.https_port}
    assert windows["hosts"]["N1"]["ansible_port"] == ports[choice.get("transport", "http")]("N1")


def test_a_choice_that_does_not_exist_is_refused(served: Served) -> None:
    with pytest.raises(ValueError, match="'kerberos' is not one of ntlm, basic"):
        served.inventory(auth="kerberos")


# --- the command -------------------------------------------------------------------------------------------------


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    (folder / "fleet.yml").write_text(yaml.safe_dump(FLEET), encoding="utf-8")
    command = [sys.executable, "-m", "winsim", str(folder / "fleet.yml"), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until_ready(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    while lines[-1:] != ["ready\n"]:
        lines.append(process.stdout.readline())
        assert lines[-1], process.communicate()
    return lines


def test_the_command_serves_until_it_is_told_to_stop_and_goes_on_where_it_was(tmp_path: Path) -> None:
    options = ["--inventory", str(tmp_path / "inventory.yml"), "--ready-file", str(tmp_path / "ready.json"),
               "--state", str(tmp_path / "state")]  # fmt: skip
    for expected in (60, 75):
        with start(tmp_path, *options) as process:
            try:
                lines = wait_until_ready(process)
                assert [line.split()[0] for line in lines] == ["N1", "N2", "WEB-1", "ready"]
                inventory = yaml.safe_load((tmp_path / "inventory.yml").read_text(encoding="utf-8"))
                ask(inventory["all"]["children"]["windows"]["hosts"]["N1"])
                told = json.loads((tmp_path / "ready.json").read_text(encoding="utf-8"))
                control = Control(told["control"]["url"], told["control"]["token"])
                path = "clusters.clusters.cl-1.properties.ClusSvcHangTimeout"
                assert control.state(path) == expected
                control.set(path, 75)
            finally:
                process.send_signal(signal.SIGTERM)
                _, errors = process.communicate()
        assert (process.returncode, errors) == (0, "")


def test_the_command_refuses_a_fleet_it_cannot_build_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text("hosts: {N1: {colour: red}}\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "winsim", str(tmp_path / "bad.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("winsim: fleet.hosts.N1.colour: unknown key")
    assert done.stderr.count("\n") == 1
