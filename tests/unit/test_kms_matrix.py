# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which KMS host key goes where, what it activates, and what that takes."""

from __future__ import annotations

import pytest
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.errors import MethodFailed, WsmanFault
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.procedures import kms_matrix
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.procedures.kms_matrix import HostSystem
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.procedures.kms_parameters import Zone, zone_of
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.procedures.kms_state import installation_groups
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.windows.licensing import code_of

WEB, STANDARD, DATACENTER, ULTIMATE_OF_7, STORAGE = 17, 7, 8, 1, 23


def system(
    build: int, sku: int | None = DATACENTER, *, client: bool = False, pack: int = 0, caption: str = ""
) -> HostSystem:
    return HostSystem(caption, build, sku, client, pack)


@pytest.mark.parametrize(
    ("key", "allowed"),
    [("a", {WEB}), ("b", {WEB, STANDARD}), ("c", {WEB, STANDARD, DATACENTER}), ("client", set())],
)
def test_keys_of_the_2008_generation_go_by_edition(key: str, allowed: set[int]) -> None:
    taken = {
        sku for sku in (WEB, STANDARD, DATACENTER) if not kms_matrix.key_verdict(key, system(7601, sku)).is_refused
    }
    assert taken == allowed


@pytest.mark.parametrize(("key", "refusal"), [("client", ""), ("a", "R6"), ("b", "R6"), ("c", "R6"), ("ws2016", "R6")])
def test_server_keys_are_refused_on_a_client(key: str, refusal: str) -> None:
    assert kms_matrix.key_verdict(key, system(7601, 4, client=True)).refusal == refusal


@pytest.mark.parametrize(("build", "sku"), [(7601, STORAGE), (7601, None), (9200, DATACENTER), (20348, DATACENTER)])
def test_where_no_public_table_tells_there_is_a_warning(build: int, sku: int | None) -> None:
    verdict = kms_matrix.key_verdict("b", system(build, sku))
    assert not verdict.is_refused
    assert "no public table" in verdict.text


SERVERS = {"2008 R2": 7601, "2012": 9200, "2012 R2": 9600, "2016": 14393, "2019": 17763, "2022": 20348, "2025": 26100}


@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        ("ws2016", {"2012", "2012 R2", "2016"}),
        ("ws2019", {"2012 R2", "2016", "2019"}),
        ("ws2022", {"2016", "2019", "2022"}),
        ("ws2025", {"2019", "2022", "2025"}),
        ("win10", set()),
    ],
)
def test_later_keys_go_by_release(key: str, allowed: set[str]) -> None:
    taken = {name for name, build in SERVERS.items() if not kms_matrix.key_verdict(key, system(build)).is_refused}
    assert taken == allowed


def test_a_client_takes_the_key_of_clients() -> None:
    assert not kms_matrix.key_verdict("win10", system(19045, client=True)).is_refused
    assert kms_matrix.key_verdict("win10", system(22631, client=True)).refusal == "R5"


def test_the_azure_edition_is_no_kms_host() -> None:
    azure = system(20348, caption="Microsoft Windows Server 2022 Datacenter Azure Edition")
    assert kms_matrix.key_verdict("ws2022", azure).refusal == "R5"


@pytest.mark.parametrize(
    ("build", "activates", "needed"),
    [
        (6002, ["windows_7", "ws2012"], ["KB968912", "KB2691586"]),
        (7601, ["windows_10"], ["KB3079821"]),
        (7601, ["windows_7"], []),
        (9200, ["ws2016"], ["KB3172615"]),
        (9600, ["ws2016", "ws2019"], ["KB3172614", "KB4467695"]),
        (14393, ["ws2019", "ws2022"], ["KB4478877", "KB5003638"]),
        (20348, ["ws2022"], []),
        (26100, ["ws2025"], []),
    ],
)
def test_needed_updates(build: int, activates: list[str], needed: list[str]) -> None:
    assert [u.kb for u in kms_matrix.needed_updates(system(build), activates, office=False)] == needed


def test_office_on_windows_8_needs_an_update_of_its_own() -> None:
    assert "KB2757817" in [u.kb for u in kms_matrix.needed_updates(system(7601), ["windows_8"], office=True)]


@pytest.mark.parametrize(
    ("installed", "revision", "missing"),
    [(["KB5003646"], None, 0), ([], 1999, 0), ([], 1998, 1), ([], None, 1), (["kb5003646"], 1, 0)],
)
def test_a_cumulative_update_stands_for_those_before_it(
    installed: list[str], revision: int | None, missing: int
) -> None:
    needed = kms_matrix.needed_updates(system(17763), ["ws2022"], office=False)
    assert len(kms_matrix.missing_updates(needed, installed, revision)) == missing


@pytest.mark.parametrize(
    ("key", "activates", "too_new"),
    [
        ("ws2019", ["ws2016", "ws2019", "ws2022"], ["ws2022"]),
        ("ws2019", ["windows_11"], ["windows_11"]),
        ("ws2022", ["windows_11", "ws2025"], ["ws2025"]),
        ("win10", ["windows_10", "ws2008r2"], ["ws2008r2"]),
        ("b", ["ws2025"], []),
    ],
)
def test_what_a_key_is_too_old_for(key: str, activates: list[str], too_new: list[str]) -> None:
    assert kms_matrix.not_activated(key, activates) == too_new


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("corp.example.com,10,100", Zone("corp.example.com", 10, 100)),
        (" CORP.example.com. , 10", Zone("corp.example.com", 10, 0)),
        ("corp.example.com", Zone("corp.example.com")),
        ("corp.example.com, x, 5", Zone("corp.example.com", 0, 5)),
    ],
)
def test_entries_of_the_publish_list(text: str, zone: Zone) -> None:
    assert zone_of(text) == zone


@pytest.mark.parametrize(("length", "sizes"), [(54, {6}), (63, {7}), (50, {6, 2}), (0, set())])
def test_groups_of_an_installation_id(length: int, sizes: set[int]) -> None:
    groups = installation_groups("7" * length)
    assert "".join(groups) == "7" * length
    assert {len(group) for group in groups} == sizes


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MethodFailed("x", "InstallProductKey", -1073418160, ""), 0xC004F050),
        (MethodFailed("x", "InstallProductKey", 3221549136, ""), 0xC004F050),
        (WsmanFault("x", 0xC004F050, "InternalError", ""), 0xC004F050),
        (WsmanFault("x", 0x80041001, "InternalError", "Fehler 0xc004f050."), 0xC004F050),
        (WsmanFault("x", None, "InternalError", "Fehler 0x80072EE7"), 0x80072EE7),
        (WsmanFault("x", 0x80338000, "InternalError", "(0x80041001) 0x8004FE33"), 0x8004FE33),
        (WsmanFault("x", 0x80041001, "InternalError", "no number"), 0x80041001),
        (WsmanFault("x", None, "InternalError", ""), None),
    ],
)
def test_the_code_of_a_licensing_error_is_found_wherever_it_is(
    error: MethodFailed | WsmanFault, code: int | None
) -> None:
    assert code_of(error) == code
