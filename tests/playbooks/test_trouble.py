# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a user reads when a task cannot be done: one clear line, no traceback, no secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playbooks.running import Controller, Run
from winsim.http import Served

ARGUMENTS = {"action": "log"}
FAILED, UNREACHABLE = 2, 4


def told(run: Run, exit_code: int, *words: str) -> None:
    assert run.exit_code == exit_code, run.output
    assert "Traceback" not in run.output
    for word in words:
        assert word in run.output


def reached_by(served: Served, tmp_path: Path, **variables: Any) -> Controller:
    inventory = served.inventory(transport="https", auth="basic")
    inventory["all"]["children"]["windows"]["vars"].update(variables)
    return Controller(tmp_path, inventory)


def test_a_refusal_says_what_to_do(controller: Controller) -> None:
    run = controller.task("N1", "hang_recovery", {"action": "disabled"})
    told(run, FAILED, "set force: true")


def test_a_wrong_type_of_argument_is_named(controller: Controller) -> None:
    told(controller.task("N1", "hang_recovery", {"action": "explode"}), FAILED, "explode", "live_dump")


def test_become_is_refused_with_the_alternative(served: Served, controller: Controller) -> None:
    told(controller.task("N1", "hang_recovery", ARGUMENTS, become=True), FAILED, "become", "CredSSP")
    assert served.fleet.host("N1").log == []


def test_another_connection_is_refused(served: Served, tmp_path: Path) -> None:
    run = reached_by(served, tmp_path, ansible_connection="ssh").task("N1", "hang_recovery", ARGUMENTS)
    told(run, FAILED, "ssh", "psrp or winrm")


def test_wrong_credentials_count_as_unreachable_and_stay_secret(served: Served, tmp_path: Path) -> None:
    controller = reached_by(served, tmp_path)
    for host in controller.inventory["all"]["children"]["windows"]["hosts"].values():
        host["ansible_password"] = "Wr0ng-and-secret"
    run = controller.task("N1", "hang_recovery", ARGUMENTS, "-vvv")
    told(run, UNREACHABLE, "Administrator")
    assert "Wr0ng-and-secret" not in run.output


def test_an_untrusted_certificate_counts_as_unreachable(served: Served, tmp_path: Path) -> None:
    controller = reached_by(served, tmp_path)
    del controller.inventory["all"]["children"]["windows"]["vars"]["ansible_psrp_ca_cert"]
    told(controller.task("N1", "hang_recovery", ARGUMENTS), UNREACHABLE, "certificate")
    assert served.fleet.host("N1").log == []


def test_a_certificate_that_need_not_be_valid_is_taken(served: Served, tmp_path: Path) -> None:
    controller = reached_by(served, tmp_path, ansible_psrp_cert_validation="ignore")
    del controller.inventory["all"]["children"]["windows"]["vars"]["ansible_psrp_ca_cert"]
    assert controller.task("N1", "hang_recovery", ARGUMENTS).changed == {"N1": 1}


def test_a_password_is_not_sent_in_clear(served: Served, tmp_path: Path) -> None:
    controller = Controller(tmp_path, served.inventory(transport="http", auth="basic"))
    del controller.inventory["all"]["children"]["windows"]["vars"]["ansible_psrp_message_encryption"]
    told(controller.task("N1", "hang_recovery", ARGUMENTS), FAILED, "clear text", "HTTPS")
    assert bytes(served.fleet.host("N1").plaintext) == b""


def test_a_host_that_does_not_listen_counts_as_unreachable(served: Served, tmp_path: Path) -> None:
    controller = reached_by(served, tmp_path)
    hosts = controller.inventory["all"]["children"]["windows"]["hosts"]
    hosts["N1"]["ansible_host"] = "127.0.0.9"
    run = controller.task("windows", "hang_recovery", ARGUMENTS)
    told(run, UNREACHABLE, "127.0.0.9")
    assert run.changed == {"N1": 0, "N2": 1}
