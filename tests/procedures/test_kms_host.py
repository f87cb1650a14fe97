# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""kms_host on simulated hosts of every generation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from support.world import World, step_names
from winsim import Host
from winsim.log import Request
from winsim.providers.firewall import FirewallState
from winsim.providers.licensing import LicensingState, Product, settings_key
from winsim.providers.registry import RegistryState
from winsim.trouble import Trouble, troubles_of

SERVER_2008, SERVER_2008_R2, SERVER_2012, SERVER_2019, SERVER_2022 = 6002, 7601, 9200, 17763, 20348
NEW, OLD, CLIENT = ("-".join([letter * 5] * 5) for letter in "ABC")
OFFICE_KEY = "-".join(["E" * 5] * 5)
OFFICE_2016 = "98ebfe73-2084-4c97-932c-c0cd1643bea7"
CONFIRMATION = "012345678901234567890123456789012345678901234567"
OURS = r"HKLM\SOFTWARE\fieldnotes.windows"
JOURNAL = OURS + r"\Journal\kms_host"
WOW = r"HKLM\SOFTWARE\Wow6432Node\Microsoft\Windows NT\CurrentVersion\SoftwareProtectionPlatform"
INSTALL, RECORD, ACTIVATE = "install KMS host key ending AAAAA", "record KMS version", "activate"
RESTART, PUBLISH = "restart licensing service", "wait until the SRV records are published"


def fleet(
    build: int = SERVER_2019,
    installed: Mapping[str, int] | None = None,
    *,
    new: Mapping[str, Any] | None = None,
    keys: Mapping[str, Any] | None = None,
    switches: Mapping[str, str] | None = None,
    host: Mapping[str, Any] | None = None,
    zones: list[str] | None = None,
    recorded: bool | None = None,
    **licensing: Any,
) -> dict[str, Any]:
    """A fleet of one host K1; new: what is special about the key AAAAA."""
    known = {
        NEW: {"kind": "kms_host", "channel": "2012_C", **(new or {})},
        OLD: {"kind": "kms_host"},
        CLIENT: {"kind": "kms_client"},
        OFFICE_KEY: {"kind": "kms_host", "product": OFFICE_2016},
        **(keys or {}),
    }
    holds = {CLIENT: 1} if installed is None else dict(installed)
    values: dict[str, Any] = {}
    if recorded if recorded is not None else any(key in (NEW, OLD) for key in holds):
        values["KeyManagementServiceVersion"] = "10.0.0.1"
    if zones is not None:
        values["DnsDomainPublishList"] = zones
    last = "SoftwareProtectionPlatform" if build >= SERVER_2008_R2 else "SL"
    given = dict(host or {})
    registry = {rf"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\{last}": values, **given.pop("registry", {})}
    return {
        "clock": {"speed": 0},
        "domain": "corp.example.com",
        "switches": dict(switches or {}),
        "hosts": {
            "K1": {
                "build": build,
                "registry": registry,
                "licensing": {"keys": known, "installed": holds, **licensing},
                **given,
            }
        },
    }


def run(world: World, **arguments: Any) -> dict[str, Any]:
    result = world.run("K1", "kms_host", **arguments)
    check_secrecy(world, result)
    return result


def check_secrecy(world: World, result: Mapping[str, Any]) -> None:
    """No key in the result, in the registry, or in what anybody on the way could read."""
    shown = json.dumps(result, default=str) + json.dumps(world.fleet.dump()["hosts"]["K1"]["states"]["registry"])
    plain = bytes(world.host("K1").plaintext).decode("utf-8", errors="replace")
    for secret in (NEW, OLD, CLIENT, OFFICE_KEY, CONFIRMATION):
        assert secret not in shown
        assert secret not in plain


def licensing(world: World) -> LicensingState:
    return world.host("K1").state(LicensingState)


def windows(world: World) -> Product:
    product = licensing(world).primary()
    assert product is not None
    return product


def registry(host: Host) -> RegistryState:
    return host.state(RegistryState)


def setting(world: World, name: str) -> Any:
    host = world.host("K1")
    return registry(host).get(settings_key(host), name)


def journal(world: World) -> dict[str, Any] | None:
    text = registry(world.host("K1")).get(JOURNAL, "State")
    return None if text is None else json.loads(str(text))


def calls(requests: list[Request] | Any, method: str) -> int:
    return sum(request.what == method for request in requests)


def writes(world: World, since: int = 0) -> list[str]:
    return [request.what for request in world.writes("K1", since)]


# The acceptance table


@pytest.mark.acceptance("kms_host", "A1", "A2", "A18")
def test_a_kms_client_becomes_a_kms_host_once() -> None:
    with World(fleet(SERVER_2012)) as world:
        planned = world.run("K1", "kms_host", check=True, product_key=NEW)
        assert planned["changed"]
        assert step_names(planned) == [INSTALL, RECORD, ACTIVATE, RESTART, PUBLISH]
        assert writes(world) == []
        assert planned["diff"] == {
            "before": "partial_product_key: CCCCC\nlicense_status_name: licensed\n",
            "after": "partial_product_key: AAAAA\nlicense_status_name: licensed\n",
        }
        assert any("shows only when it is installed" in warning for warning in planned["warnings"])
        check_secrecy(world, planned)

        first = run(world, product_key=NEW.lower())
        assert first["changed"]
        assert step_names(first) == [INSTALL, RECORD, ACTIVATE, RESTART, PUBLISH]
        assert (first["partial_product_key"], first["replaced_partial_product_key"]) == ("AAAAA", "CCCCC")
        assert (first["license_status_name"], first["kms_enabled"], first["key_channel"]) == (
            "licensed",
            True,
            "2012_C",
        )
        assert (first["listening_port"], first["listening"], first["current_count"]) == (1688, True, 0)
        assert first["service_restarted"]
        assert first["warnings"] == []
        version = "6.2.9200.1"
        assert setting(world, "KeyManagementServiceVersion") == version
        assert registry(world.host("K1")).get(WOW, "KeyManagementServiceVersion") == version
        assert registry(world.host("K1")).key(OURS) is None

        asked = len(world.requests("K1"))
        second = run(world, product_key=NEW)
        assert not second["changed"]
        assert second["steps"] == []
        assert second["replaced_partial_product_key"] is None
        assert writes(world, asked) == []
        # The count in the documentation. The listener is on an IPv4 and an IPv6 socket, hence the Pull.
        kinds = [
            (request.action, request.what or request.wql.partition(" FROM ")[2])
            for request in world.requests("K1", asked)
        ]
        assert kinds == [
            ("Invoke", "GetStringValue"),
            ("Enumerate", "SoftwareLicensingService"),
            ("Enumerate", "SoftwareLicensingProduct WHERE PartialProductKey <> NULL"),
            ("Enumerate", "MSFT_NetTCPConnection WHERE State = 2 AND (LocalPort = 1688)"),
            ("Pull", ""),
            ("Invoke", "EnumValues"),
        ]


@pytest.mark.acceptance("kms_host", "A3")
@pytest.mark.parametrize(("listens", "restarted"), [("after_restart", True), ("at_once", False)])
def test_an_installed_key_is_activated_without_being_installed_again(listens: str, restarted: bool) -> None:
    with World(fleet(SERVER_2012, {NEW: 2}, switches={"licensing.listens": listens})) as world:
        result = run(world, product_key=NEW)
        assert result["changed"]
        assert step_names(result) == [ACTIVATE, *([RESTART, PUBLISH] if restarted else [])]
        assert result["service_restarted"] is restarted
        assert (result["license_status"], result["listening"]) == (1, True)
        assert licensing(world).installs == 0


@pytest.mark.acceptance("kms_host", "A4", "A5")
def test_a_licensed_key_is_replaced_only_when_told_to() -> None:
    with World(fleet(SERVER_2019, {OLD: 1})) as world:
        refused = run(world, product_key=NEW)
        assert refused["refusal"] == "R4"
        assert refused["msg"] == (
            "KMS host key ending BBBBB is installed and licensed; installing another one replaces it for good (the old "
            "key cannot be read back). Set replace_existing"
        )
        assert writes(world) == []
        result = run(world, product_key=NEW, replace_existing=True)
        assert step_names(result) == [INSTALL, RECORD, ACTIVATE, RESTART, PUBLISH]
        assert (result["partial_product_key"], result["replaced_partial_product_key"]) == ("AAAAA", "BBBBB")


@pytest.mark.acceptance("kms_host", "A6")
@pytest.mark.parametrize("form", ["return_value", "fault", "text", "signed_text"])
def test_a_key_the_service_has_to_load_is_installed_after_a_restart(form: str) -> None:
    switches = {"licensing.error_form": form}
    with World(fleet(SERVER_2008_R2, new={"reload": 1}, switches=switches)) as world:
        result = run(world, product_key=NEW)
        assert step_names(result) == [RESTART, INSTALL, RECORD, ACTIVATE, RESTART, PUBLISH]
        assert licensing(world).installs == 2
        assert windows(world).status == 1
        assert registry(world.host("K1")).key(OURS) is None


@pytest.mark.acceptance("kms_host", "A7")
def test_a_key_that_is_refused_twice_leaves_everything_as_it_was() -> None:
    with World(fleet(SERVER_2008_R2, {OLD: 2}, new={"reload": 5})) as world:
        result = run(world, product_key=NEW, listening_port=1689)
        assert result["failed"]
        assert result["msg"] == (
            "Windows does not accept the key (0xC004F050), also after the licensing service was restarted. Either it "
            "is mistyped, or it is for a Windows newer than this host can hold: install the update of the table, "
            "restart, run again"
        )
        assert licensing(world).installs == 2
        assert windows(world).tail == "BBBBB"
        assert setting(world, "KeyManagementServiceListeningPort") is None
        assert registry(world.host("K1")).key(OURS) is None


@pytest.mark.acceptance("kms_host", "A8")
def test_a_key_of_another_group_is_refused_before_the_first_change() -> None:
    with World(fleet(SERVER_2008, new={"group": "b"}, host={"edition": "Datacenter"})) as world:
        result = run(world, product_key=NEW, key_group="b")
        assert result["refusal"] == "R5"
        assert result["msg"] == (
            "a KMS host key of group B cannot be installed on Microsoft Windows Server 2008 Datacenter (group C): it "
            "installs on group A, group B. Windows would answer 0xC004F015"
        )
        assert licensing(world).installs == 0


@pytest.mark.acceptance("kms_host", "A9")
@pytest.mark.parametrize("form", ["return_value", "fault", "text", "signed_text"])
def test_windows_own_refusal_of_a_group_is_explained(form: str) -> None:
    switches = {"licensing.error_form": form}
    with World(fleet(SERVER_2008, new={"group": "b"}, switches=switches)) as world:
        result = run(world, product_key=NEW)
        assert result["failed"]
        assert result["msg"] == (
            "0xC004F015: KMS host key of another edition or group: Microsoft Windows Server 2008 Datacenter is of "
            "group C and takes keys of group C"
        )
        assert licensing(world).installs == 1
        assert not result["changed"]
        assert registry(world.host("K1")).key(OURS) is None


@pytest.mark.acceptance("kms_host", "A10")
@pytest.mark.parametrize("unset", ["0", "null"])
def test_the_default_port_is_no_change(unset: str) -> None:
    with World(fleet(installed={NEW: 1}, switches={"licensing.unset_port": unset})) as world:
        result = run(world, listening_port=1688)
        assert (result["changed"], result["steps"], result["listening_port"]) == (False, [], 1688)


@pytest.mark.acceptance("kms_host", "A11")
def test_another_port_is_set_let_in_and_listened_on() -> None:
    with World(fleet(installed={NEW: 1})) as world:
        asked = len(world.requests("K1"))
        result = run(world, listening_port=1689, firewall="open")
        assert step_names(result) == [
            "set listening port from 1688 to 1689", "open firewall for TCP 1689", RESTART, PUBLISH,
        ]  # fmt: skip
        assert (result["listening_port"], result["listening"]) == (1689, True)
        rule = world.host("K1").state(FirewallState).get("fieldnotes-kms-in")
        assert rule is not None
        assert (rule.port, rule.profiles, rule.enabled) == (1689, 3, True)
        assert rule.display_name == "Key Management Service (TCP 1689)"
        assert rule.program == r"%SystemRoot%\System32\sppsvc.exe"
        assert calls(world.requests("K1", asked), "StopService") == 1
        assert not run(world, listening_port=1689, firewall="open")["changed"]


@pytest.mark.acceptance("kms_host", "A12")
def test_publishing_is_switched_off_by_switching_it_off() -> None:
    with World(fleet(installed={NEW: 1})) as world:
        asked = len(world.requests("K1"))
        result = run(world, dns_publishing=False)
        assert step_names(result) == ["switch DNS publishing off", RESTART]
        sent = [r for r in world.requests("K1", asked) if r.what == "DisableKeyManagementServiceDnsPublishing"]
        assert [">true</" in request.request for request in sent] == [True]
        assert (result["dns_publishing"], setting(world, "DisableDnsPublishing")) == (False, 1)
        assert not run(world, dns_publishing=False)["changed"]
        assert run(world, dns_publishing=True)["dns_publishing"]


@pytest.mark.acceptance("kms_host", "A13")
def test_the_publish_list_is_compared_as_a_set_of_zones() -> None:
    with World(fleet(installed={NEW: 1}, zones=["corp.example.com,10,100"])) as world:
        same = [{"domain": "CORP.example.com.", "priority": 10, "weight": 100}]
        result = run(world, dns_publish_zones=same)
        assert (result["changed"], result["steps"]) == (False, [])
        assert result["dns_publish_zones"] == [{"domain": "corp.example.com", "priority": 10, "weight": 100}]
        changed = run(world, dns_publish_zones=[*same, {"domain": "lab.example.com"}])
        assert setting(world, "DnsDomainPublishList") == ["corp.example.com, 10, 100", "lab.example.com, 0, 0"]
        assert changed["warnings"] == []
        removed = run(world, dns_publish_zones=[])
        assert step_names(removed) == ["remove DNS publish list", RESTART, PUBLISH]
        assert setting(world, "DnsDomainPublishList") is None


@pytest.mark.acceptance("kms_host", "A14", "A15", "A16")
@pytest.mark.parametrize("digits", [54, 63])
def test_activation_by_telephone_takes_two_runs(digits: int) -> None:
    described = fleet(internet=False, confirmation_id=CONFIRMATION, installation_digits=digits)
    with World(described) as world:
        first = run(world, activation="phone", product_key=NEW)
        assert step_names(first) == [INSTALL, RECORD, RESTART]
        assert (first["license_status"], first["partial_product_key"]) == (2, "AAAAA")
        assert len(first["installation_id"]) == digits
        assert "".join(first["installation_id_groups"]) == first["installation_id"]
        assert len(first["installation_id_groups"]) == 9
        assert "waiting for confirmation_id" in first["warnings"]

        again = run(world, activation="phone", product_key=NEW)
        assert (again["changed"], again["steps"]) == (False, [])
        assert again["installation_id"] == first["installation_id"]

        blanks = " ".join(CONFIRMATION[n : n + 6] for n in range(0, 48, 6))
        last = run(world, activation="phone", product_key=NEW, confirmation_id=blanks)
        assert step_names(last) == [ACTIVATE, RESTART, PUBLISH]
        assert (last["license_status"], last["listening"]) == (1, True)
        assert "installation_id" not in last


@pytest.mark.acceptance("kms_host", "A17")
def test_a_client_key_is_never_activated() -> None:
    with World(fleet(installed={OLD: 2})) as world:
        result = run(world, product_key=CLIENT)
        assert result["failed"]
        assert result["msg"].startswith(
            "the installed key is a KMS client key (VOLUME_KMSCLIENT): a GVLK makes a client, give the KMS host key"
        )
        assert "The key ending CCCCC stays installed" in result["msg"]
        assert licensing(world).activations == 0
        assert (windows(world).tail, result["after"]["partial_product_key"]) == ("CCCCC", "CCCCC")
        assert result["changed"]
        assert registry(world.host("K1")).key(OURS) is None


@pytest.mark.acceptance("kms_host", "A19")
@pytest.mark.parametrize("kind", ["drop_after", "drop_before", "lost"])
def test_a_lost_answer_to_the_installation_installs_no_second_time(kind: str) -> None:
    with World(fleet(SERVER_2012)) as world:
        trouble = Trouble(kind, seconds=3600.0)
        troubles_of(world.host("K1")).add(trouble, when=lambda asked: asked.what == "InstallProductKey")
        first = run(world, product_key=NEW)
        if kind == "lost":
            # The controller is as good as dead: only another run can go on.
            assert first["unreachable"]
            assert windows(world).tail == "AAAAA"
            assert journal(world) is not None
            world.fleet.clock.advance(4000)
            second = run(world, product_key=NEW)
            assert second["resumed"]
            assert step_names(second) == [RECORD, ACTIVATE, RESTART, PUBLISH]
        assert licensing(world).installs == 1
        assert (windows(world).tail, windows(world).status) == ("AAAAA", 1)
        assert registry(world.host("K1")).key(OURS) is None


@pytest.mark.acceptance("kms_host", "A20")
def test_an_add_on_key_is_not_the_key_of_windows() -> None:
    with World(fleet(installed={NEW: 1}, addons=["DDDDD"])) as world:
        result = run(world, product_key=NEW)
        assert (result["changed"], result["steps"], result["partial_product_key"]) == (False, [], "AAAAA")


@pytest.mark.acceptance("kms_host", "A21")
def test_an_office_key_needs_the_licence_pack() -> None:
    with World(fleet()) as world:
        identifier = "bfe7a195-4f8f-4f0b-a622-cf13c7d16864"
        result = run(world, product="office", activation_id=identifier.upper(), product_key=OFFICE_KEY)
        assert result["refusal"] == "R7"
        assert result["msg"] == (
            f"licence {identifier} is not installed: install the Office Volume License Pack of that Office version "
            "first"
        )
        assert writes(world) == []


@pytest.mark.acceptance("kms_host", "A22")
def test_a_kms_host_becomes_a_client_again() -> None:
    port = {"KeyManagementServiceListeningPort": "1689"}
    described = fleet(installed={NEW: 1}, zones=["lab.example.com"])
    values = described["hosts"]["K1"]["registry"]
    next(iter(values.values())).update(port)
    with World(described) as world:
        result = run(world, state="absent", replacement_product_key=CLIENT)
        assert step_names(result) == [
            "install replacement key ending CCCCC",
            "remove recorded KMS version",
            "clear listening port",
            "remove DNS publish list",
            RESTART,
        ]
        assert (result["partial_product_key"], result["kms_enabled"], result["key_channel"]) == (
            "CCCCC",
            False,
            "KMSCLIENT",
        )
        assert (result["listening_port"], result["listening"]) == (1688, False)
        assert setting(world, "KeyManagementServiceVersion") is None
        assert setting(world, "DnsDomainPublishList") is None
        assert any("kms_srv_record" in w and "lab.example.com" in w for w in result["warnings"])
        again = run(world, state="absent", replacement_product_key=CLIENT)
        assert (again["changed"], again["steps"]) == (False, [])


@pytest.mark.acceptance("kms_host", "A23")
def test_the_key_is_not_removed_by_accident() -> None:
    with World(fleet(installed={NEW: 1})) as world:
        result = run(world, state="absent")
        assert result["refusal"] == "R11"
        assert result["msg"] == (
            "removing the key leaves Windows unlicensed after the next restart: give replacement_product_key, or "
            "leave_unlicensed: true"
        )
        assert len(world.requests("K1")) == 0
        removed = run(world, state="absent", leave_unlicensed=True)
        assert "uninstall KMS host key ending AAAAA" in step_names(removed)
        assert removed["partial_product_key"] is None
        assert not run(world, state="absent", leave_unlicensed=True)["changed"]


@pytest.mark.acceptance("kms_host", "A24")
def test_no_request_is_made_where_the_key_would_travel_in_clear() -> None:
    described = fleet(host={"winrm": {"allow_unencrypted": True}})
    with World(described) as world:
        variables = {**world.variables("K1", auth="basic"), "ansible_psrp_message_encryption": "never"}
        result = world.run("K1", "kms_host", variables=variables, product_key=NEW)
        assert result["refusal"] == "R13"
        assert result["msg"] == (
            "the product key would cross the network in clear text: use HTTPS or message encryption"
        )
        assert len(world.requests("K1")) == 0
        check_secrecy(world, result)


@pytest.mark.acceptance("kms_host", "A25")
def test_an_older_recorded_version_is_no_drift() -> None:
    with World(fleet(installed={NEW: 1})) as world:
        result = run(world, product_key=NEW)
        assert (result["changed"], result["steps"]) == (False, [])
        assert setting(world, "KeyManagementServiceVersion") == "10.0.0.1"


@pytest.mark.acceptance("kms_host", "A26")
def test_a_restart_left_to_the_user_is_due_until_it_happened() -> None:
    with World(fleet(installed={NEW: 1})) as world:
        first = run(world, listening_port=1689, restart_service="never")
        assert (first["changed"], first["reboot_required"], first["service_restarted"]) == (True, True, False)
        entry = journal(world)
        assert entry is not None
        assert entry["phase"] == "awaiting_service_start"
        again = run(world, listening_port=1689, restart_service="never")
        assert (again["changed"], again["reboot_required"], again["steps"]) == (False, True, [])
        second = run(world, listening_port=1689, restart_service="auto")
        assert (second["changed"], second["reboot_required"]) == (True, False)
        assert step_names(second) == [RESTART, PUBLISH]
        assert (second["listening_port"], second["listening"]) == (1689, True)
        assert registry(world.host("K1")).key(OURS) is None


def test_a_restart_by_somebody_else_ends_the_waiting() -> None:
    with World(fleet(installed={NEW: 1})) as world:
        run(world, listening_port=1689, restart_service="never")
        world.host("K1").reboot(0)
        result = run(world, listening_port=1689, restart_service="never")
        assert (result["changed"], result["reboot_required"], result["steps"]) == (False, False, [])
        assert registry(world.host("K1")).key(OURS) is None


@pytest.mark.acceptance("kms_host", "A27")
@pytest.mark.parametrize("trouble", [None, "drop_after"])
def test_an_activation_that_outlives_its_answer_is_called_once(trouble: str | None) -> None:
    seconds = 20 if trouble is None else 0
    with World(fleet(installed={NEW: 2}, activation_seconds=seconds)) as world:
        if trouble is not None:
            troubles_of(world.host("K1")).add(Trouble(trouble), when=lambda asked: asked.what == "Activate")
        result = run(world, product_key=NEW)
        assert result["changed"]
        assert licensing(world).activations == 1
        assert windows(world).status == 1


# Refusals and failures

REFUSED = [
    (
        "R2",
        {"product_key": "AAAAA-BBBBB"},
        "product_key is not a 5x5 product key (25 letters and digits in five groups)",
    ),
    (
        "R2",
        {"state": "absent", "replacement_product_key": "12345"},
        "replacement_product_key is not a 5x5 product key (25 letters and digits in five groups)",
    ),
    ("R10", {"confirmation_id": CONFIRMATION}, "confirmation_id must have 48 digits and needs activation: phone"),
    (
        "R10",
        {"activation": "phone", "confirmation_id": CONFIRMATION[1:]},
        "confirmation_id must have 48 digits and needs activation: phone",
    ),
    (
        "R15",
        {"dns_publish_zones": [{"domain": "a.example"}, {"domain": "A.example.", "weight": 1}]},
        "dns_publish_zones: A.example. is there twice with different numbers",
    ),
    (
        "R15",
        {"dns_publish_zones": [{"domain": "a,b"}]},
        "dns_publish_zones: a,b is no domain: a blank or a comma cannot be in its name",
    ),
    (
        "R15",
        {"dns_publish_zones": [{"domain": "a.example", "weight": 65536}]},
        "dns_publish_zones: a.example needs a priority and a weight between 0 and 65535",
    ),
    (
        "R19",
        {"product": "office", "activation_id": OFFICE_2016, "key_group": "ws2019"},
        "key_group applies to Windows keys",
    ),
    ("listening_port", {"listening_port": 65536}, "listening_port must be between 1 and 65535, got 65536"),
    (
        "renewal_interval",
        {"renewal_interval": 14},
        "renewal_interval must be between 15 and 43200 minutes, got 14",
    ),
    ("activation_id", {"activation_id": OFFICE_2016}, "activation_id belongs to product: office"),
    (
        "activation_id",
        {"product": "office"},
        "product: office needs activation_id, the Activation ID of the KMS host licence",
    ),
]


@pytest.mark.parametrize(("code", "arguments", "text"), REFUSED)
def test_bad_input_is_refused_before_any_request(code: str, arguments: dict[str, Any], text: str) -> None:
    with World(fleet()) as world:
        result = run(world, **arguments)
        assert (result["refusal"], result["msg"]) == (code, text)
        assert len(world.requests("K1")) == 0


def refused(world: World, code: str, text: str, **arguments: Any) -> None:
    result = run(world, **arguments)
    assert (result.get("refusal"), result["msg"]) == (code, text)
    assert licensing(world).installs == 0
    assert registry(world.host("K1")).key(OURS) is None


def test_r1_a_windows_without_the_licensing_classes_is_refused() -> None:
    with World(fleet()) as world:
        older = Trouble("fault", number=0x80041010, subcode="w:InvalidClass", times=9)
        troubles_of(world.host("K1")).add(older, when=lambda asked: "SoftwareLicensing" in asked.wql)
        text = (
            "Windows Server 2003 cannot be managed here and cannot activate Windows 8/Server 2012 or later: use a KMS "
            "host on Server 2008 R2 or later"
        )
        refused(world, "R1", text, product_key=NEW)


def test_r3_without_a_key_there_is_nothing_to_manage() -> None:
    with World(fleet(licences={OFFICE_2016: "OfficeKMSHost"})) as world:
        refused(world, "R3", "no KMS host key is installed for Windows: give product_key")
        text = f"no KMS host key is installed for Office ({OFFICE_2016}): give product_key"
        refused(world, "R3", text, product="office", activation_id=OFFICE_2016)


def test_r5_a_key_goes_on_the_releases_of_its_table() -> None:
    with World(fleet(SERVER_2012)) as world:
        text = (
            "a KMS host key of group ws2022 cannot be installed on Microsoft Windows Server 2012 Datacenter (group "
            "Windows Server 2012): it installs on Windows Server 2022, Windows Server 2019, Windows Server 2016. "
            "Windows would answer 0xC004F015"
        )
        refused(world, "R5", text, product_key=NEW, key_group="ws2022")


def test_r8_r9_and_the_warning_for_missing_updates() -> None:
    with World(fleet(SERVER_2008_R2, host={"updates": ["KB2691586"]})) as world:
        text = "Windows Server 2008 R2 needs KB3079821 to activate Windows 10: install it, restart, run again"
        wanted = {"product_key": NEW, "activates": ["windows_8", "windows_10"]}
        refused(world, "R8", text, update_check="require", **wanted)
        assert text in run(world, **wanted)["warnings"]
    with World(fleet(6001)) as world:
        text = (
            "KB968912 needs service pack 2: install it first (without it the update says it does not apply to the "
            "system)"
        )
        refused(world, "R9", text, product_key=NEW, activates=["windows_7"])
        assert run(world, product_key=NEW, activates=["windows_7"], update_check="skip")["changed"]


@pytest.mark.parametrize(("revision", "warned"), [(5457, True), (5458, False)])
def test_a_later_cumulative_update_counts_for_an_unlisted_one(revision: int, warned: bool) -> None:
    registry = {r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion": {"UBR": revision}}
    with World(fleet(SERVER_2019, {NEW: 1}, host={"registry": registry})) as world:
        result = run(world, product_key=NEW, activates=["ws2025"], update_check="require")
        assert not result["changed"]
        assert bool(result["warnings"]) is warned


def test_r12_two_editions_with_a_key_are_not_told_apart() -> None:
    with World(fleet(installed={NEW: 1})) as world:
        twin = Product("11111111-2222-3333-4444-555555555555", "Windows(R), twin", "VOLUME_KMS channel", tail="ZZZZZ")
        licensing(world).products.append(twin)
        text = (
            "several Windows products hold a key (Windows(R), ServerDatacenter edition ending AAAAA, Windows(R), twin "
            "ending ZZZZZ): cannot tell the primary one"
        )
        refused(world, "R12", text, product_key=NEW)


@pytest.mark.parametrize(("build", "name", "state"), [
    (SERVER_2019, "sppsvc", "Running"), (SERVER_2019, "sppsvc", "Stopped"), (SERVER_2008, "slsvc", "Running"),
])  # fmt: skip
def test_r14_a_disabled_service_is_refused(build: int, name: str, state: str) -> None:
    with World(fleet(build, host={"services": {name: {"start_mode": "Disabled", "state": state}}})) as world:
        refused(world, "R14", f"service {name} is disabled: set it to automatic (delayed)", product_key=NEW)


FORMS = ["return_value", "fault", "text", "signed_text"]


USED_UP = (
    "activation limit of this KMS host key is reached (0xC004C008): ask the Activation Center for more, or use "
    "activation: phone"
)
REJECTED = "{}: rejected; check the key with the volume licence portal"
NO_INTERNET = (
    "the activation service on the Internet cannot be reached ({}): allow it through the proxy or use activation: phone"
)
FAILED_ACTIVATIONS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"activations": 0}, {}, USED_UP),
    ({"rejected": 0xC004C001}, {}, REJECTED.format("SL_E_CHPA_PRODUCT_KEY_OUT_OF_RANGE 0xC004C001")),
    ({"rejected": 0xC004C003}, {}, REJECTED.format("SL_E_CHPA_PRODUCT_KEY_BLOCKED 0xC004C003")),
    ({"rejected": 0xC004F051}, {}, REJECTED.format("SL_E_BLOCKED_PRODUCT_KEY 0xC004F051")),
    ({"rejected": 0xC004F035}, {}, REJECTED.format("SL_E_VL_NOT_WINDOWS_SLP 0xC004F035")),
    ({"rejected": 0xC004F014}, {}, "0xC004F014: Windows holds no product key for this product: give product_key"),
    ({}, {"internet": False}, NO_INTERNET.format("WININET_E_NAME_NOT_RESOLVED 0x80072EE7")),
    ({}, {"internet": False, "internet_error": 0x80072EE2}, NO_INTERNET.format("WININET_E_TIMEOUT 0x80072EE2")),
    ({}, {"internet": False, "internet_error": 0x8004FE33}, NO_INTERNET.format("0x8004FE33")),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("new", "host", "text"), FAILED_ACTIVATIONS)
def test_a_failed_activation_keeps_the_key_and_says_why(
    new: dict[str, Any], host: dict[str, Any], text: str, form: str
) -> None:
    with World(fleet(new=new, switches={"licensing.error_form": form}, **host)) as world:
        result = run(world, product_key=NEW, listening_port=1689)
        assert result["failed"]
        assert result["msg"] == f"{text}. The key ending AAAAA stays installed: the former key cannot be restored"
        assert licensing(world).activations == 1
        assert result["after"]["partial_product_key"] == "AAAAA"
        assert result["changed"]
        assert registry(world.host("K1")).key(OURS) is None


@pytest.mark.parametrize("form", FORMS)
def test_e6_the_confirmation_id_of_another_installation_id(form: str) -> None:
    switches = {"licensing.error_form": form}
    with World(fleet(installed={NEW: 2}, confirmation_id="1" * 48, switches=switches)) as world:
        asked = run(world, activation="phone")
        result = run(world, activation="phone", confirmation_id=CONFIRMATION)
        assert result["msg"] == (
            "confirmation ID refused (0xC004F02C): it belongs to another installation ID; the current one is "
            f"{' '.join(asked['installation_id_groups'])}"
        )


def test_settings_changed_before_a_failure_are_taken_back_and_the_key_stays() -> None:
    with World(fleet(installed={NEW: 1})) as world:
        fault = Trouble("fault", number=0x80041001, subcode="w:InternalError")
        troubles_of(world.host("K1")).add(
            fault, when=lambda asked: asked.what == "EnableKeyManagementServiceLowPriority"
        )
        result = run(world, listening_port=1689, dns_publish_zones=[{"domain": "lab.example.com"}], low_priority=True)
        assert result["failed"]
        assert "WBEM_E_FAILED 0x80041001" in result["msg"]
        assert [step["status"] for step in result["steps"]][:3] == ["undone", "undone", "failed"]
        assert not result["changed"]
        assert setting(world, "KeyManagementServiceListeningPort") in (None, "0")
        assert setting(world, "DnsDomainPublishList") is None
        assert registry(world.host("K1")).key(OURS) is None


# Settings, firewall, service


def test_settings_wait_for_the_activation() -> None:
    with World(fleet()) as world:
        first = run(world, product_key=NEW, activation="none", listening_port=1689)
        assert first["deferred"] == ["listening_port"]
        assert "listening_port: set by the run that finds the KMS host activated" in first["warnings"]
        assert setting(world, "KeyManagementServiceListeningPort") is None
        second = run(world, product_key=NEW, listening_port=1689)
        assert "set listening port from 1688 to 1689" in step_names(second)
        assert (second["deferred"], second["listening_port"], second["listening"]) == ([], 1689, True)


@pytest.mark.parametrize("build", [SERVER_2008, SERVER_2008_R2, SERVER_2022])
def test_every_setting_is_made_and_found_again_on_every_windows(build: int) -> None:
    wanted = {
        "listening_port": 1700,
        "dns_publishing": False,
        "low_priority": True,
        "activation_interval": 60,
        "renewal_interval": 20000,
        "dns_publish_zones": [{"domain": "lab.example.com", "priority": 5}],
        "firewall": "open",
    }
    with World(fleet(build)) as world:
        first = run(world, product_key=NEW, **wanted)
        assert first.get("msg") is None
        assert (first["listening_port"], first["listening"], first["after"]["firewall"]) == (1700, True, "open")
        second = run(world, product_key=NEW, **wanted)
        assert (second["changed"], second["steps"]) == (False, [])
        closed = run(world, firewall="closed")
        assert (step_names(closed), closed["after"]["firewall"]) == (["close firewall"], "closed")
        assert not run(world, firewall="closed")["changed"]


def test_port_1688_uses_the_rule_that_comes_with_windows() -> None:
    rules = {"fieldnotes-kms-in": {"port": 1700, "display_name": "Key Management Service (TCP 1700)"}}
    with World(fleet(installed={NEW: 1}, host={"firewall": rules})) as world:
        result = run(world, firewall="open", firewall_profiles=["domain"])
        assert step_names(result) == ["open firewall for TCP 1688"]
        state = world.host("K1").state(FirewallState)
        own = state.get("SPPSVC-In-TCP")
        assert own is not None
        assert (own.enabled, own.profiles) == (True, 1)
        assert state.get("fieldnotes-kms-in") is None
        assert not run(world, firewall="open", firewall_profiles=["domain"])["changed"]


def test_services_that_depend_on_it_are_stopped_and_started_with_it() -> None:
    services = {"Inventory": {"depends_on": ["sppsvc"]}, "Sleeper": {"depends_on": ["sppsvc"], "state": "Stopped"}}
    with World(fleet(installed={NEW: 1}, host={"services": services})) as world:
        result = run(world, listening_port=1689)
        assert (result["changed"], result["listening"]) == (True, True)
        names = [request.what for request in world.requests("K1") if request.what in ("StopService", "StartService")]
        assert names == ["StopService", "StopService", "StopService", "StartService", "StartService"]


def test_a_service_that_may_not_be_stopped_leaves_a_restart_due() -> None:
    with World(fleet(installed={NEW: 1}, switches={"licensing.stop_service": "refused"})) as world:
        result = run(world, listening_port=1689)
        assert (result["changed"], result["reboot_required"], result["service_restarted"]) == (True, True, False)
        assert "the licensing service could not be restarted (5): restart it or the machine" in result["warnings"]
        assert result["listening_port"] == 1689
        entry = journal(world)
        assert entry is not None
        assert entry["phase"] == "awaiting_service_start"
        world.host("K1").reboot(0)
        again = run(world, listening_port=1689)
        assert (again["changed"], again["reboot_required"], again["listening"]) == (False, False, True)


def test_a_service_that_does_not_come_back_is_an_error() -> None:
    with World(fleet(installed={NEW: 1}, host={"services": {"sppsvc": {"fails": 1067, "state": "Running"}}})) as world:
        result = run(world, listening_port=1689, timeout=60)
        assert result["failed"]
        assert "service sppsvc starts: not reached after" in result["msg"]


@pytest.mark.parametrize("order", ["code_first", "domain_first"])
def test_failed_publishing_is_told_with_its_code(order: str) -> None:
    described = fleet(publishing_fails={"lab.example.com": 0x8007232D}, switches={"licensing.event_strings": order})
    with World(described) as world:
        result = run(world, product_key=NEW, dns_publish_zones=[{"domain": "lab.example.com"}])
        assert result["warnings"] == [
            "publishing in lab.example.com failed (0x8007232D): another KMS host owns the record: give the KMS hosts' "
            "group write access to it, or use kms_srv_record"
        ]


def test_force_install_installs_the_same_key_again() -> None:
    with World(fleet(installed={NEW: 1})) as world:
        result = run(world, product_key=NEW, force_install=True)
        assert step_names(result) == [INSTALL, RECORD, ACTIVATE, RESTART, PUBLISH]
        assert result["replaced_partial_product_key"] == "AAAAA"


# Office beside Windows


def test_an_office_key_stands_beside_the_one_of_windows() -> None:
    described = fleet(installed={NEW: 1}, licences={OFFICE_2016: "OfficeKMSHost"})
    office = {"product": "office", "activation_id": OFFICE_2016}
    with World(described) as world:
        first = run(world, product_key=OFFICE_KEY, **office)
        assert first["changed"]
        assert (first["activation_id"], first["partial_product_key"], first["kms_enabled"]) == (
            OFFICE_2016,
            "EEEEE",
            True,
        )
        assert windows(world).tail == "AAAAA"
        assert not run(world, product_key=OFFICE_KEY, **office)["changed"]
        # The key of Windows stays, and with it what both share.
        removed = run(world, state="absent", leave_unlicensed=True, **office)
        assert step_names(removed) == ["uninstall KMS host key ending EEEEE"]
        assert setting(world, "KeyManagementServiceVersion") is not None


# Interrupted runs


def interrupted(world: World, **arguments: Any) -> dict[str, Any]:
    """The journal of a run whose controller died at InstallProductKey, before it took effect."""
    trouble = Trouble("drop_before", times=2)
    troubles_of(world.host("K1")).add(trouble, when=lambda asked: asked.what == "InstallProductKey")
    assert run(world, **arguments)["unreachable"]
    entry = journal(world)
    assert entry is not None
    return entry


def test_without_the_key_an_interrupted_run_is_taken_back() -> None:
    with World(fleet()) as world:
        entry = interrupted(world, product_key=NEW, listening_port=1689)
        assert (entry["wanted"], entry["found"]["tail"], entry["before"]["port"]) == ("AAAAA", "CCCCC", 1688)
        result = run(world)
        assert (result.get("msg"), result["steps"], result["resumed"]) == (None, [], True)
        assert registry(world.host("K1")).key(OURS) is None


def test_a_key_that_somebody_else_installed_stops_the_next_run() -> None:
    with World(fleet()) as world:
        interrupted(world, product_key=NEW)
        windows(world).tail = "QQQQQ"
        result = run(world, product_key=NEW)
        assert result["msg"] == (
            "key ending QQQQQ is neither the old nor the wanted one; someone else changed it: remove journal entry "
            "kms_host after checking"
        )


# Windows Server 2008


@pytest.mark.parametrize("addon", ["present", "absent"])
def test_windows_server_2008_is_served_through_its_own_classes(addon: str) -> None:
    with World(fleet(SERVER_2008, switches={"licensing.addon_2008": addon})) as world:
        first = run(world, product_key=NEW, listening_port=1689)
        assert (first.get("msg"), first["changed"]) == (None, True)
        assert (first["kms_enabled"], first["listening_port"], first["listening"]) == (True, 1689, True)
        assert setting(world, "KeyManagementServiceListeningPort") == "1689"
        assert not run(world, product_key=NEW, listening_port=1689)["changed"]
