# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report of an audit: what it says of a fleet, and that nothing a host answers can break out of the page."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.audit.rules import rule
from report.fleets import HOSTILE, hostile, large
from support.world import World

ROOT = Path(__file__).parents[2]
NODE = {"build": 17763, "features": ["Failover-Clustering", "RSAT-Clustering-CmdInterface"]}
TCPIP6 = r"HKLM\SYSTEM\CurrentControlSet\Services\Tcpip6\Parameters"
FLEET: dict[str, Any] = {
    "hosts": {
        "N1": NODE,
        "MAIL": {"registry": {TCPIP6: {"DisabledComponents": 0xFFFFFFFF}}},
        "GONE": {"network": {"answers": "web_page"}},
    },
    "clusters": {"CL1": {"nodes": ["N1"]}},
}
PROCEDURES: list[dict[str, Any]] = [
    {"module": "disable_ipv6", "arguments": {"state": "prefer_ipv4"}},
    {"module": "hang_recovery", "arguments": {"action": "live_dump"}, "hosts": ["N1", "GONE"]},
    {"module": "kms_host", "label": "kms", "arguments": {"product_key": "AAAAA-AAAAA-AAAAA-AAAAA-AAAAA"}},
    {"module": "nlb_mode", "arguments": {"mode": "multicast"}, "hosts": ["MAIL"]},
    {"module": "hang_recovery_info"},
]
CREATED = "2026-01-31T08:00:00Z"


class Page(HTMLParser):
    """What a browser makes of the markup. elements: names with their attributes; texts: of scripts and styles."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": [], "title": []}
        self._open = ""
        self.feed(content.decode("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag
        if tag in self.texts:
            self.texts[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in self.texts:
            self.texts[self._open][-1] += data

    @property
    def report(self) -> Any:
        """The data in the page."""
        return json.loads(self.texts["script"][0])

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World(FLEET) as world:
        yield world


@pytest.fixture(scope="module")
def audit(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The JSON of the fleet above."""
    variables = {
        **world.variables("N1"),
        "ansible_play_batch": list(world.fleet.hosts),
        "hostvars": {name: world.variables(name) for name in world.fleet.hosts},
    }
    found = world.run("N1", "fleet_info", variables=variables, procedures=PROCEDURES)
    file = tmp_path_factory.mktemp("audit") / "audit.json"
    written = report(world, fleet=[found], procedures=PROCEDURES, json=str(file))
    assert written["json"] == str(file)
    content: dict[str, Any] = json.loads(file.read_text(encoding="ascii"))
    return content


def report(world: World, *, check: bool = False, **arguments: Any) -> dict[str, Any]:
    return world.run("N1", "audit_report", check=check, created=CREATED, **arguments)


def page_of(world: World, folder: Path, fleet: dict[str, Any]) -> tuple[bytes, Any]:
    """The page of a fleet, and its JSON file."""
    html, data = folder / "audit.html", folder / "audit.json"
    result = report(world, fleet=[fleet], html=str(html), json=str(data))
    assert result["changed"], result
    return html.read_bytes(), json.loads(data.read_text(encoding="ascii"))


def cell(audit: dict[str, Any], host: str, label: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in audit["hosts"] if each["name"] == host)["procedures"][label]
    return found


def test_each_cell_says_what_was_found_and_why(audit: dict[str, Any]) -> None:
    assert [host["name"] for host in audit["hosts"]] == ["N1", "MAIL", "GONE"]
    assert [procedure["label"] for procedure in audit["procedures"]] == [
        "disable_ipv6",
        "hang_recovery",
        "kms",
        "nlb_mode",
        "hang_recovery_info",
    ]
    states = {host["name"]: [found["state"] for found in host["procedures"].values()] for host in audit["hosts"]}
    assert states["N1"][1:] == ["compliant", "would_change", "answered"]
    assert states["MAIL"] == ["would_change", "would_change", "refused", "not_there"]
    assert states["GONE"] == ["unreachable"] * 4
    assert sum(audit["counts"].values()) == 12
    assert audit["counts"] | {"unreachable": 4, "refused": 1, "answered": 1, "not_there": 1} == audit["counts"]

    mail = cell(audit, "MAIL", "disable_ipv6")
    assert mail["steps"] == ["set DisabledComponents from 0xFFFFFFFF to 0x20"]
    assert mail["reboot_required"]
    assert mail["before"] != mail["after"]
    refused = cell(audit, "MAIL", "nlb_mode")
    assert refused["refusal"] == "R1"
    assert "NLB" in refused["msg"]
    assert "not as WinRM" in cell(audit, "GONE", "disable_ipv6")["msg"]
    assert cell(audit, "N1", "hang_recovery_info")["values"]["cluster"] == "CL1"


def test_each_rule_names_what_was_asked_for_and_its_sources(audit: dict[str, Any]) -> None:
    rules = {procedure["label"]: procedure for procedure in audit["procedures"]}
    assert rules["hang_recovery"]["arguments"] == {"action": "live_dump"}
    assert rules["hang_recovery"]["page"] == rules["hang_recovery_info"]["page"] == "docs/procedures/hang_recovery.md"
    assert rules["kms"]["summary"] == "Make a machine a KMS host, keep it one, or take that away"
    assert "AAAAA-AAAAA" not in json.dumps(audit)


def test_the_rule_of_every_module_has_a_page_and_a_public_source() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| \[\w+\]\((procedures/\w+\.md)\) \| (.*?) \|", index)
    pages = {module: f"docs/{page}" for page, modules in rows for module in re.findall(r"`(\w+)`", modules)}
    assert len(pages) >= 16
    for module, page in pages.items():
        found = rule(module)
        assert found["page"] == page
        assert all(source["link"].startswith("https://learn.microsoft.com/") for source in found["sources"])
        assert found["sources"], module


def test_the_page_holds_the_same_as_the_json_and_needs_nothing_else(world: World, tmp_path: Path) -> None:
    content, data = page_of(world, tmp_path, large(3))
    page = Page(content)
    assert page.report == data
    assert page.texts["title"] == ["Audit of the Windows fleet"]
    for tag, attributes in page.elements:
        for name in ("src", "srcset", "action", "data"):
            assert name not in attributes, tag
        assert attributes.get("href", "data:,") == "data:,"
    assert "@import" not in page.texts["style"][0]
    assert "url(" not in page.texts["style"][0]


def test_the_policy_of_the_page_lets_only_its_own_script_and_style_work(world: World, tmp_path: Path) -> None:
    page = Page(page_of(world, tmp_path, large(1))[0])
    policy = next(each["content"] for each in page.attributes("meta") if "http-equiv" in each)
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for content in (page.texts["style"][0], page.texts["script"][1]):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert all("style" not in attributes for _tag, attributes in page.elements)
    assert not [name for _tag, attributes in page.elements for name in attributes if name.startswith("on")]


def test_nothing_that_a_host_answers_becomes_markup(world: World, tmp_path: Path) -> None:
    harmless = Page(page_of(world, tmp_path, large(1))[0])
    content, data = page_of(world, tmp_path, hostile())
    page = Page(content)
    assert [name for name, _attributes in page.elements] == [name for name, _attributes in harmless.elements]
    # Half a surrogate pair is no text: U+FFFD stands for it.
    names = [text.replace("\ud800", "\ufffd") for text in HOSTILE]
    assert [host["name"] for host in page.report["hosts"]] == names
    assert [host["name"] for host in data["hosts"]] == names
    assert page.texts["script"][1] == harmless.texts["script"][1]


def test_a_title_is_text_too(world: World, tmp_path: Path) -> None:
    file = tmp_path / "audit.html"
    report(world, fleet=[large(1)], html=str(file), title=HOSTILE[0])
    page = Page(file.read_bytes())
    assert page.texts["title"] == [HOSTILE[0]]
    assert len(page.texts["script"]) == 2


def test_numbers_that_javascript_would_round_or_json_lacks_are_text_in_the_page(world: World, tmp_path: Path) -> None:
    content, data = page_of(world, tmp_path, hostile())
    name = HOSTILE[0]
    assert cell(data, name, name)["values"]["clusters"] == [name, 2**64 - 1, "inf", None]
    assert cell(Page(content).report, name, name)["values"]["clusters"] == [name, str(2**64 - 1), "inf", None]


def test_the_same_fleet_gives_the_same_files(world: World, tmp_path: Path) -> None:
    first, _data = page_of(world, tmp_path, large(20))
    again = report(world, fleet=[large(20)], html=str(tmp_path / "audit.html"), json=str(tmp_path / "audit.json"))
    assert not again["changed"]
    assert (tmp_path / "audit.html").read_bytes() == first
    assert sorted(file.name for file in tmp_path.iterdir()) == ["audit.html", "audit.json"]


def test_a_thousand_hosts_are_one_file_of_a_few_megabytes(world: World, tmp_path: Path) -> None:
    content, data = page_of(world, tmp_path, large(1000))
    assert len(data["hosts"]) == 1000
    assert sum(data["counts"].values()) == 8000
    assert len(content) < 8_000_000
    assert len(Page(content).elements) < 150


def test_two_looks_at_a_fleet_become_one_report(world: World, tmp_path: Path) -> None:
    told, held = large(4), large(5)
    for host in told["hosts"].values():
        host["procedures"] = {"ipv6_info": host["procedures"]["ipv6_info"]}
    for host in held["hosts"].values():
        host["procedures"] = {"disable_ipv6": host["procedures"]["disable_ipv6"]}
    file = tmp_path / "audit.json"
    report(world, fleet=[told, held], json=str(file))
    hosts = json.loads(file.read_text(encoding="ascii"))["hosts"]
    assert [list(host["procedures"]) for host in hosts] == [["ipv6_info", "disable_ipv6"]] * 4 + [["disable_ipv6"]]


def test_check_mode_writes_no_file(world: World, tmp_path: Path) -> None:
    result = report(world, check=True, fleet=[large(1)], html=str(tmp_path / "audit.html"))
    assert result["changed"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param({}, "one of the following is required: html, json", id="nowhere to write to"),
        pytest.param({"html": "/nowhere/audit.html"}, "No such file or directory", id="no such folder"),
        pytest.param(
            {"fleet": [{"msg": "x"}], "html": "x"}, "is not what the module fleet_info returned", id="no fleet"
        ),
    ],
)
def test_what_cannot_be_written_is_told(world: World, arguments: dict[str, Any], message: str) -> None:
    result = report(world, **{"fleet": [large(1)], **arguments})
    assert result["failed"]
    assert message in result["msg"]
