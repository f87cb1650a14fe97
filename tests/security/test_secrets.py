# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where secrets go: to the host, encrypted, and nowhere else. Every searcher here finds what is planted."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from security.secrets import forms, found
from security.watch import Watched, files, processes
from support.dhcp import DC, ID, OLD, network
from support.dhcp import NEW as NEW_SERVER
from winsim.providers.migration import Migration
from winsim.providers.registry import RegistryState
from winsim.trouble import Asked, Trouble, troubles_of

# Letters that XML, YAML, JSON, URLs, a shell and base64 each write in their own way.
PASSWORD = "K\u00f6nig & <Wort> 'am' \"Ende\" 100%\\+/="
STORE_PASSWORD = "Tresor & <Wort> 100%+/= Nr. 7"
NEW, CLIENT = ("-".join(f"{letter}{n}XYZ" for n in range(5)) for letter in "KC")
CONFIRMATION = "4711" + "0815" * 11
SECRETS = {
    "password": PASSWORD,
    "store password": STORE_PASSWORD,
    "product key": NEW,
    "replacement key": CLIENT,
    "confirmation ID": CONFIRMATION,
}
counted = pytest.mark.counted


# The searchers find what is there


@counted
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_found_in_each_of_its_forms(secret: str) -> None:
    wanted = {secret: SECRETS[secret]}
    for name, form in forms(SECRETS[secret]).items():
        assert found(wanted, {"here": b"before" + form + b"after"}), name
    assert found(wanted, {"here": b"an innocent text", "there": b"\x00\xff" * 50}) == []


@counted
@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes])
def test_a_secret_is_found_wherever_base64_has_it(before: str, encoding: str, encode: Callable[[bytes], bytes]) -> None:
    text = encode(f"{before}{STORE_PASSWORD}and more".encode(encoding)).replace(b"\n", b"")
    assert found({"store password": STORE_PASSWORD}, {"here": text})


@counted
def test_a_secret_is_found_in_files_and_processes(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_text(NEW, encoding="utf-16-le")
    assert found({"key": NEW}, {"files": b"\n".join(files(tmp_path))})
    waits = [sys.executable, "-c", "input()"]
    for command, environment in (([*waits, NEW], {}), (waits, {"KEY": NEW})):
        with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE) as process:
            # The kernel shows both from the moment the new program has begun.
            while sys.executable.encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes():
                pass
            assert found({"key": NEW}, {"processes": b"\n".join(processes(os.getpid()))})
            process.communicate(b"\n")


def kms(**winrm: Any) -> dict[str, Any]:
    """A host K1 that could become a KMS host, whose user has a difficult password."""
    keys = {NEW: {"kind": "kms_host", "channel": "2012_C"}, CLIENT: {"kind": "kms_client"}}
    licensing = {"keys": keys, "installed": {CLIENT: 1}, "confirmation_id": CONFIRMATION}
    host = {"build": 9200, "licensing": licensing, "winrm": winrm}
    return {"clock": {"speed": 60}, "password": PASSWORD, "domain": "corp.example", "hosts": {"K1": host}}


READ = {"class": "StdRegProv", "namespace": "root/default", "method": "GetStringValue"}


@counted
def test_each_place_that_is_watched_would_show_a_secret(tmp_path: Path) -> None:
    with Watched(kms(allow_unencrypted=True), tmp_path) as watched:
        watched.fleet.host("K1").state(RegistryState).set(r"HKLM\SOFTWARE\planted", "Value", NEW)
        where = {"hDefKey": 0x80000002, "sSubKeyName": "SOFTWARE\\planted", "sValueName": "Value"}
        unprotected = {"ansible_psrp_message_encryption": "never"}
        run = watched.run("K1", "cim_method", {**READ, "parameters": where}, "-e", f"planted={NEW}", **unprotected)
        assert run.exit_code == 0, run.output
        expected = {"the screen", "the files of the controller", "processes", "the journals", "the wire of K1"}
        places = watched.places()
        assert places.keys() == expected
        assert {line.partition(", in ")[2] for line in found({"key": NEW}, places)} == expected
        for name in ("ansible.log", "payloads.json"):
            assert found({"key": NEW}, {name: (tmp_path / name).read_bytes()})


# kms_host

INSTALL, DEPOSIT = "InstallProductKey", "DepositOfflineConfirmationId"


def strike(watched: Watched, kind: str, method: str, **more: Any) -> None:
    """Trouble at the request that carries a secret."""

    def here(asked: Asked) -> bool:
        return asked.what == method

    troubles_of(watched.fleet.host("K1")).add(Trouble(kind, **more), when=here)


KEY_AGAIN = f"The key {NEW} or {NEW.lower()} or {NEW.replace('-', '')} is no good"
KMS: dict[str, tuple[dict[str, Any], tuple[str, ...], Callable[[Watched], None], str]] = {
    # what is asked for beside the key, flags, what goes wrong, what the user reads then
    "in check mode": ({}, ("--check", "--diff"), lambda watched: None, "partial_product_key"),
    "installed": ({}, ("--diff",), lambda watched: None, "partial_product_key"),
    "written in small letters": ({"product_key": NEW.lower()}, ("--diff",), lambda watched: None, "changed=1"),
    "of the wrong shape": ({"product_key": f"{NEW}-"}, (), lambda watched: None, "is not a 5x5 product key"),
    "of the wrong type": ({"product_key": [NEW]}, (), lambda watched: None, "is not a 5x5 product key"),
    "beside a wrong argument": ({"listening_port": NEW}, (), lambda watched: None, "listening_port"),
    "beside an unknown argument": ({"listening_prt": 1}, (), lambda watched: None, "listening_prt"),
    "refused": (
        {"product_key": NEW.replace("K", "Z")},
        (),
        lambda watched: None,
        "Windows does not accept the key",
    ),
    "repeated by Windows": (
        {},
        (),
        lambda watched: strike(watched, "fault", INSTALL, text=KEY_AGAIN),
        "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER",
    ),
    "lost before": ({}, (), lambda watched: strike(watched, "drop_before", INSTALL), "changed="),
    "lost after": ({}, (), lambda watched: strike(watched, "drop_after", INSTALL), "changed="),
    "answered with rubbish": ({}, (), lambda watched: strike(watched, "malformed", INSTALL), "changed="),
    "answered with HTTP 500": ({}, (), lambda watched: strike(watched, "http_500", INSTALL), "changed="),
    "without its confirmation": (
        {"activation": "phone", "confirmation_id": CONFIRMATION},
        ("--diff",),
        lambda watched: strike(watched, "fault", DEPOSIT, text=f"{CONFIRMATION}? {KEY_AGAIN}"),
        "",
    ),
    "with its confirmation": (
        {"activation": "phone", "confirmation_id": "-".join(CONFIRMATION[n : n + 6] for n in range(0, 48, 6))},
        ("--diff",),
        lambda watched: None,
        "changed=1",
    ),
    "replaced": (
        {"state": "absent", "product_key": None, "replacement_product_key": CLIENT},
        ("--diff",),
        lambda watched: strike(watched, "fault", INSTALL, text=f"not {CLIENT}"),
        "",
    ),
}
SAMPLE = ("repeated by Windows", "with its confirmation")


def samples(cases: dict[str, Any], sample: tuple[str, ...]) -> list[Any]:
    """Every case for ./dev faults, the sample for ./dev test."""
    return [pytest.param(case, marks=counted if case in sample else pytest.mark.faults) for case in cases]


@pytest.mark.parametrize("case", samples(KMS, SAMPLE))
def test_a_product_key_goes_to_the_host_alone(case: str, tmp_path: Path) -> None:
    more, flags, spoil, told = KMS[case]
    arguments = {name: value for name, value in {"product_key": NEW, **more}.items() if value is not None}
    with Watched(kms(), tmp_path) as watched:
        spoil(watched)
        run = watched.run("K1", "kms_host", arguments, *flags)
        assert told in run.output, run.output
        assert "Traceback" not in run.output
        asked = arguments.get("product_key")
        secrets = {**SECRETS, "as it was written": asked if isinstance(asked, str) else NEW}
        assert found(secrets, watched.places()) == []


# dhcp_migrate

# A server that is stopped before its export needs no measurement of 10 s.
TOOLS = {"features": ["DHCP", "RSAT-DHCP", "Migration"], "services": {"DHCPServer": {"accept_pause": False}}}
DHCP: dict[str, tuple[tuple[str, ...], str, int]] = {
    # flags, what goes wrong with the export, exit code
    "in check mode": (("--check", "--diff"), "", 0),
    "used": (("--diff",), "", 0),
    "repeated by Windows": (("--diff",), f"cannot use {STORE_PASSWORD}, {STORE_PASSWORD.upper()}", 2),
}


@pytest.mark.parametrize("case", samples(DHCP, ("repeated by Windows",)))
def test_a_store_password_goes_to_the_host_alone(case: str, tmp_path: Path) -> None:
    flags, trouble, code = DHCP[case]
    switches = {"migration.failure": "error"} if trouble else {}
    fleet = {**network(old=TOOLS, switches=switches), "clock": {"speed": 60}, "password": PASSWORD}
    arguments = {
        "state": "exported",
        "method": "smig",
        "migration_id": ID,
        "controller_dir": str(tmp_path / "dhcp"),
        "authorize_via": DC,
        "store_password": "{{ store_password }}",
    }
    with Watched(fleet, tmp_path) as watched:
        if trouble:
            watched.fleet.host(OLD).state(Migration).failures["export"] = trouble
        run = watched.run(OLD, "dhcp_migrate", arguments, *flags, store_password=STORE_PASSWORD)
        assert run.exit_code == code, run.output
        assert "Traceback" not in run.output
        # A SecureString: not even inside the encryption of the connection can it be read.
        places = {**watched.places(), "the shells of the host": watched.shells(OLD)}
        if trouble:
            assert "o09_export failed" in run.output
            assert "cannot use VALUE_SPECIFIED_IN_NO_LOG_PARAMETER" in run.output
        if case != "in check mode":
            assert b"Export-SmigServerSetting" in places["the shells of the host"]
        assert found(SECRETS, places) == []


# The account of the connection

ACCOUNTS = {
    "psrp, NTLM over HTTP": {},
    "psrp, CredSSP over HTTP": {"ansible_psrp_auth": "credssp"},
    "psrp, NTLM over HTTPS": {"transport": "https"},
    "psrp, Basic over HTTPS": {"transport": "https", "auth": "basic"},
    "winrm, NTLM over HTTP": {"connection": "winrm"},
    "winrm, Basic over HTTPS": {"connection": "winrm", "transport": "https", "auth": "basic"},
}


@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
@pytest.mark.parametrize("account", samples(ACCOUNTS, ("psrp, Basic over HTTPS",)))
def test_the_password_of_the_account_goes_nowhere(account: str, right: bool, tmp_path: Path) -> None:
    with Watched(kms(credssp=True), tmp_path) as watched:
        if not right:
            watched.fleet.host("K1").users["Administrator"].password = "another one"
        variables = {**ACCOUNTS[account], "ansible_password": PASSWORD}
        run = watched.run("K1", "kms_host_info", {}, "--diff", **variables)
        assert run.exit_code == (0 if right else 4), run.output
        assert "Traceback" not in run.output
        assert found(SECRETS, watched.places()) == []


@pytest.mark.faults
@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
def test_the_passwords_of_a_fleet_go_nowhere(right: bool, tmp_path: Path) -> None:
    with Watched(kms(), tmp_path) as watched:
        if not right:
            watched.fleet.host("K1").users["Administrator"].password = "another one"
        run = watched.run("K1", "fleet_info", {"procedures": [{"module": "kms_host_info"}]}, ansible_password=PASSWORD)
        assert "K1" in run.output, run.output
        assert "Traceback" not in run.output
        assert found(SECRETS, watched.places()) == []


# Roles, which check their arguments themselves

KMS_ROLE: dict[str, tuple[dict[str, Any], str]] = {
    "used": ({}, "changed=1"),
    "beside an argument of the wrong type": ({"kms_host_listening_port": "none"}, "kms_host_listening_port"),
    "of the wrong shape": ({"kms_host_product_key": f"{NEW}-"}, "is not a 5x5 product key"),
    "of the wrong type": ({"kms_host_product_key": {"key": NEW}}, "is not a 5x5 product key"),
}


@pytest.mark.faults
@pytest.mark.parametrize("case", KMS_ROLE)
def test_a_role_keeps_the_product_key_to_itself(case: str, tmp_path: Path) -> None:
    variables, told = KMS_ROLE[case]
    given = {"kms_host_product_key": NEW, **variables}
    with Watched(kms(), tmp_path) as watched:
        run = watched.play({"hosts": "K1", "roles": ["fieldnotes.windows.kms_host"]}, "--diff", **given)
        assert told in run.output, run.output
        assert found(SECRETS, watched.places()) == []


@pytest.mark.faults
def test_a_role_that_fails_on_its_way_keeps_the_store_password_to_itself(tmp_path: Path) -> None:
    variables = {
        "dhcp_migrate_id": ID,
        "dhcp_migrate_old": OLD,
        "dhcp_migrate_new": NEW_SERVER,
        "dhcp_migrate_controller_dir": str(tmp_path / "dhcp"),
        "dhcp_migrate_authorize_via": DC,
        "dhcp_migrate_method": "smig",
        "dhcp_migrate_store_password": STORE_PASSWORD,
    }
    unable = {"feature_setup": {"unavailable": ["DHCP"]}}
    fleet = {**network(old=TOOLS, new=unable), "clock": {"speed": 60}, "password": PASSWORD}
    with Watched(fleet, tmp_path) as watched:
        run = watched.play({"hosts": OLD, "roles": ["fieldnotes.windows.dhcp_migrate"]}, "--diff", **variables)
        assert "The old server serves again. n03_role failed" in run.output, run.output
        assert found(SECRETS, watched.places()) == []


@pytest.mark.faults
@pytest.mark.parametrize("trouble", ["", "fault", "drop_after"])
def test_a_task_with_no_log_tells_nothing(trouble: str, tmp_path: Path) -> None:
    method = "CheckAccess" if not trouble else "SetStringValue"
    given = {"hDefKey": 0x80000002, "sSubKeyName": NEW}
    given |= {"uRequired": 1} if not trouble else {"sValueName": "Value", "sValue": CONFIRMATION}
    arguments = {**READ, "method": method, "parameters": given}
    with Watched(kms(), tmp_path) as watched:
        if trouble:
            strike(watched, trouble, method, text=f"not {CONFIRMATION} in {NEW}")
        task = {"fieldnotes.windows.cim_method": arguments, "no_log": True}
        run = watched.play({"hosts": "K1", "tasks": [task]}, "--diff")
        assert "censored" in run.output, run.output
        places = watched.places()
        if trouble == "drop_after":
            del places["the journals"]  # the value that was asked for
        assert found(SECRETS, places) == []
