# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""kms_host_info on simulated KMS hosts and clients."""

from __future__ import annotations

from typing import Any

import pytest
from support.world import World

WINDOWS_KEY, CLIENT_KEY, OFFICE_KEY = ("-".join([letter * 5] * 5) for letter in "ACE")
OFFICE_2016 = "98ebfe73-2084-4c97-932c-c0cd1643bea7"
REQUESTS = (
    "total_requests",
    "failed_requests",
    "unlicensed_requests",
    "licensed_requests",
    "oob_grace_requests",
    "oot_grace_requests",
    "non_genuine_grace_requests",
    "notification_requests",
)


def fleet(
    installed: dict[str, int],
    build: int = 20348,
    *,
    counts: dict[str, int] | None = None,
    events: list[dict[str, Any]] | None = None,
    switches: dict[str, str] | None = None,
    updates: list[str] | None = None,
) -> dict[str, Any]:
    keys = {
        WINDOWS_KEY: {"kind": "kms_host", "channel": "WS22"},
        CLIENT_KEY: {"kind": "kms_client"},
        OFFICE_KEY: {"kind": "kms_host", "product": OFFICE_2016},
    }
    licensing = {
        "keys": keys,
        "installed": installed,
        "licences": {OFFICE_2016: "OfficeKMSHost"},
        "counts": counts or {},
    }
    host: dict[str, Any] = {"build": build, "licensing": licensing, "eventlog": {"Application": events or []}}
    host["updates"] = updates or []
    return {"clock": {"speed": 0}, "domain": "corp.example.com", "switches": switches or {}, "hosts": {"K1": host}}


@pytest.mark.acceptance("kms_host", "C1", "C3")
@pytest.mark.parametrize("unset", ["0", "null"])
def test_every_product_has_its_own_count(unset: str) -> None:
    described = fleet(
        {WINDOWS_KEY: 1, OFFICE_KEY: 1}, counts={"AAAAA": 50, "EEEEE": 6}, switches={"licensing.unset_port": unset}
    )
    with World(described) as world:
        result = world.run("K1", "kms_host_info")
        assert not result["changed"]
        found = {p["partial_product_key"]: p for p in result["products"]}
        assert {tail: p["current_count"] for tail, p in found.items()} == {"AAAAA": 50, "EEEEE": 6}
        assert found["AAAAA"]["total_requests"] == 150
        assert (found["AAAAA"]["kms_enabled"], found["AAAAA"]["key_channel"]) == (True, "WS22")
        assert (result["service"]["listening_port"], result["listening"]) == (1688, True)
        assert result["can_activate"] == {"client": True, "server": True, "office": True}
        assert result["thresholds"] == {"client": 25, "server": 5, "office": 5}
        assert result["preflight"] == {"ok": True, "findings": []}
        assert world.writes("K1") == []


@pytest.mark.acceptance("kms_host", "C2")
def test_a_kms_client_counts_nobody() -> None:
    with World(fleet({CLIENT_KEY: 1})) as world:
        result = world.run("K1", "kms_host_info")
        (product,) = result["products"]
        assert (product["kms_enabled"], product["current_count"], product["key_channel"]) == (False, None, "KMSCLIENT")
        assert [product[name] for name in REQUESTS] == [None] * len(REQUESTS)
        assert result["service"]["client_machine_id"]
        assert (result["listening"], result["warnings"]) == (False, [])


@pytest.mark.acceptance("kms_host", "C4")
def test_a_count_below_the_threshold_is_explained() -> None:
    with World(fleet({WINDOWS_KEY: 1}, counts={"AAAAA": 4})) as world:
        result = world.run("K1", "kms_host_info")
        assert result["can_activate"] == {"client": False, "server": False, "office": False}
        assert result["warnings"] == [
            "Windows(R), ServerDatacenter edition: count 4 is below the client's threshold: 25 for clients, 5 for "
            "servers and Office; see kms_cmid_info"
        ]


@pytest.mark.acceptance("kms_host", "C5")
@pytest.mark.parametrize("code_first", [True, False])
def test_the_last_word_on_each_zone(code_first: bool) -> None:
    source = "Microsoft-Windows-Security-SPP"
    failed = ["0x8007232D", "corp.example.com"]
    events = [
        {"code": 12294, "source": source, "days_ago": 3, "strings": ["corp.example.com"]},
        {"code": 12293, "source": source, "days_ago": 1, "strings": failed if code_first else failed[::-1]},
        {"code": 12294, "source": source, "days_ago": 2, "strings": ["lab.example.com"]},
        {"code": 12293, "source": source, "days_ago": 30, "strings": failed},
    ]
    with World(fleet({WINDOWS_KEY: 1}, counts={"AAAAA": 50}, events=events)) as world:
        corp, lab = world.run("K1", "kms_host_info")["publishing"]
        assert corp["domain"] == "corp.example.com"
        assert corp["last_error"] == "0x8007232D"
        assert corp["last_failure"] > corp["last_success"]
        assert (lab["domain"], lab["last_failure"], lab["last_error"]) == ("lab.example.com", None, None)
        asked = len(world.requests("K1"))
        none = world.run("K1", "kms_host_info", publishing_events_days=0, check_listener=False)
        assert (none["publishing"], none["listening"]) == ([], None)
        sent = " ".join(request.wql for request in world.requests("K1", asked))
        assert "Win32_NTLogEvent" not in sent
        assert "MSFT_NetTCPConnection" not in sent


@pytest.mark.acceptance("kms_host", "C6")
@pytest.mark.parametrize("addon", ["present", "absent"])
@pytest.mark.parametrize("key", [WINDOWS_KEY, CLIENT_KEY])
def test_windows_server_2008_has_fewer_properties(addon: str, key: str) -> None:
    described = fleet({key: 1}, 6002, counts={"AAAAA": 7}, switches={"licensing.addon_2008": addon})
    with World(described) as world:
        result = world.run("K1", "kms_host_info")
        assert result.get("msg") is None
        assert (result["service"]["host_caching"], result["service"]["remaining_rearm_count"]) == (None, None)
        (product,) = result["products"]
        assert product["current_count"] == (7 if key == WINDOWS_KEY else None)
        assert result["listening"] is (key == WINDOWS_KEY)


@pytest.mark.acceptance("kms_host", "C7")
def test_an_unknown_activation_id_is_a_warning() -> None:
    with World(fleet({WINDOWS_KEY: 1}, counts={"AAAAA": 50})) as world:
        wanted = "11111111-2222-3333-4444-555555555555"
        result = world.run("K1", "kms_host_info", activation_id="{" + wanted.upper() + "}")
        assert (result["products"], result.get("failed")) == ([], None)
        assert result["warnings"] == [f"no licence has the activation id {wanted}"]
        known = world.run("K1", "kms_host_info", activation_id=OFFICE_2016)
        assert [product["activation_id"] for product in known["products"]] == [OFFICE_2016]


def test_the_preflight_tells_before_a_key_is_bought() -> None:
    with World(fleet({CLIENT_KEY: 1}, 17763)) as world:
        result = world.run("K1", "kms_host_info", key_group="ws2019", activates=["ws2022", "ws2019"])
        assert result["preflight"]["findings"] == [
            "a KMS host key of ws2019 does not activate Windows Server 2022",
            "Windows Server 2019 needs KB5003646 or a later update to activate Windows Server 2022: install it, "
            "restart, run again",
        ]
        assert result["preflight"]["ok"]
        refused = world.run("K1", "kms_host_info", key_group="b")
        assert refused["preflight"]["ok"]
        assert "no public table" in refused["preflight"]["findings"][0]
        too_old = world.run("K1", "kms_host_info", key_group="ws2016")
        assert not too_old["preflight"]["ok"]
        assert "Windows would answer 0xC004F015" in too_old["preflight"]["findings"][0]


@pytest.mark.parametrize(("arguments", "text"), [
    ({"publishing_events_days": 366}, "publishing_events_days must be between 0 and 365, got 366"),
    ({"activation_id": "x"}, "activation_id x is not a GUID"),
])  # fmt: skip
def test_bad_input_is_refused(arguments: dict[str, Any], text: str) -> None:
    with World(fleet({CLIENT_KEY: 1})) as world:
        assert world.run("K1", "kms_host_info", **arguments)["msg"] == text
        assert len(world.requests("K1")) == 0
