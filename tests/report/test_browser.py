# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The page of an audit as a user meets it: in Chromium, with mouse and keyboard, on screen and on paper."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.audit.document import document
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.audit.page import page
from report.browser import Browser, available, browser
from report.fleets import HOSTILE, STEP, entry, hostile, large, returned

pytestmark = pytest.mark.engines

CREATED = "2026-01-31T08:00:00Z"
# Rows in sight, some above and below, eight cells of six elements each, and what stands around the table.
MOST_ELEMENTS = 5000

Open = Callable[..., Browser]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if missing := available():
        pytest.skip(missing)
    with browser(tmp_path_factory.mktemp("profile")) as window:
        window.size(1440, 900)
        yield window


@pytest.fixture
def show(chromium: Browser, tmp_path: Path) -> Iterator[Open]:
    """Opens the page of a fleet. At the end the browser has complained about nothing."""

    def show(fleet: dict[str, Any], fragment: str = "", **asked: dict[str, Any]) -> Browser:
        file = tmp_path / "audit.html"
        file.write_bytes(page(document([fleet], "Audit of the Windows fleet", CREATED, asked)))
        chromium.console()
        chromium.open(file, fragment)
        chromium.settled()
        return chromium

    yield show
    assert chromium.console() == []


def small() -> dict[str, Any]:
    """Three hosts: one would change, one refuses, one is gone."""
    change = entry(
        "disable_ipv6",
        "would_change",
        steps=[{"name": STEP, "status": "planned", "seconds": 0.0}],
        before={"value": 0, "present": False},
        after={"value": 32, "present": True},
        reboot_required=True,
        warnings=["the value takes effect after a restart"],
    )
    cluster = {"cluster": "CL1", "timeout": 60}
    return returned([
        ("N1", {"disable_ipv6": change, "hang_recovery_info": entry("hang_recovery_info", "answered", **cluster)}),
        ("N2", {"disable_ipv6": entry("disable_ipv6", "refused", msg="N2 is too old", refusal="R2")}),
        ("GONE", {"disable_ipv6": entry("disable_ipv6", "unreachable", msg="no answer within 60 s")}),
    ])  # fmt: skip


def hosts(window: Browser) -> list[str]:
    """Those whose rows are in the table."""
    found: list[str] = window.run(
        "return [...document.querySelectorAll('tbody th')].map((cell) => cell.textContent.toWellFormed())"
    )
    return found


def focused(window: Browser) -> str:
    return str(window.run("return document.activeElement.getAttribute('aria-label')"))


def test_the_matrix_says_each_state_in_a_word_and_a_shape(show: Open) -> None:
    window = show(small())
    assert window.text("h1") == "Audit of the Windows fleet"
    assert "3 hosts · 2 procedures · 4 checks · 2026-01-31 08:00:00 UTC" in window.text("#subtitle")
    assert hosts(window) == ["N1", "N2", "GONE"]
    words = window.run("return [...document.querySelectorAll('.cell')].map((cell) => cell.getAttribute('aria-label'))")
    assert words == [
        "N1, disable_ipv6: would change",
        "N1, hang_recovery_info: answered",
        "N2, disable_ipv6: refused R2",
        "N2, hang_recovery_info: not asked",
        "GONE, disable_ipv6: unreachable",
        "GONE, hang_recovery_info: not asked",
    ]
    cards = window.run("return [...document.querySelectorAll('#summary svg')].map((drawn) => drawn.innerHTML)")
    cells = window.run("return [...document.querySelectorAll('.cell svg')].map((drawn) => drawn.innerHTML)")
    assert len(set(cards)) == 7
    assert [cells[0], cells[2], cells[4], cells[1]] == [cards[0], cards[1], cards[3], cards[5]]


def test_a_cell_opens_with_what_would_change_and_why_and_the_source_of_the_rule(show: Open) -> None:
    window = show(small(), disable_ipv6={"state": "prefer_ipv4"})
    window.click("[aria-label='N1, disable_ipv6: would change']")
    details = window.text("#details")
    for text in (STEP, "after a restart of the host", "the value takes effect", "prefer_ipv4", "disable_ipv6.md"):
        assert text in details
    rows = window.run("return [...document.querySelectorAll('#details thead ~ tbody tr')].map((r) => r.innerText)")
    assert rows == ["value\t0\t32", "present\tno\tyes"]
    link = window.run("return document.querySelector('#details a').href")
    assert link.startswith("https://learn.microsoft.com/")

    window.click("[aria-label='N2, disable_ipv6: refused R2']")
    assert "N2 is too old" in window.text("#details")
    assert '"When it refuses" in docs/procedures/disable_ipv6.md has a row for R2' in window.text("#details")
    window.click("[aria-label='N1, hang_recovery_info: answered']")
    assert "CL1" in window.text("#details")
    window.click("#details .close")
    assert window.run("return document.getElementById('details').hidden")


def test_the_address_of_the_page_leads_to_a_cell(show: Open) -> None:
    window = show(small(), fragment="N2/disable_ipv6")
    assert "N2 is too old" in window.text("#details")
    window.click("[aria-label='N1, disable_ipv6: would change']")
    assert window.run("return location.hash") == "#N1/disable_ipv6"


def test_filters_leave_what_was_asked_for(show: Open) -> None:
    window = show(large(200))
    window.click("[data-state=would_change]")
    assert hosts(window) == [f"H{number:04d}" for number in range(10, 200, 10) if number % 50]
    assert window.text("#shown") == "16 of 200 hosts"
    window.type("#host", "h001")
    assert hosts(window) == ["H0010"]
    window.click("#reset")
    assert window.text("#shown") == "200 of 200 hosts"
    window.run(
        "const box = document.getElementById('procedure'); box.value = 'nlb_mode';"
        "box.dispatchEvent(new Event('change'))"
    )
    assert window.count("thead th") == 2
    window.type("#host", "nobody")
    assert "No host is like that." in window.text("#matrix")


def test_what_needs_attention_comes_first_where_asked_for(show: Open) -> None:
    window = show(large(60))
    window.run(
        "const box = document.getElementById('order'); box.value = 'attention'; box.dispatchEvent(new Event('change'))"
    )
    assert hosts(window)[:2] == ["H0050", "H0010"]


def test_the_keyboard_reaches_every_cell(show: Open) -> None:
    window = show(large(300))
    window.run("document.querySelector('.cell').focus()")
    window.press("Down", "Down", "Right")
    assert focused(window) == "H0003, hang_recovery: compliant"
    window.press("Enter")
    assert "H0003" in window.text("#details")
    window.press("Down")
    assert "H0004" in window.text("#details")
    window.press("Escape")
    assert window.run("return document.getElementById('details').hidden")
    assert focused(window) == "H0004, hang_recovery: compliant"
    window.press(*["Down"] * 60)
    assert focused(window) == "H0064, hang_recovery: compliant"
    in_sight = window.run(
        "const cell = document.activeElement.getBoundingClientRect(),"
        " frame = document.getElementById('matrix').getBoundingClientRect();"
        "return cell.top >= frame.top && cell.bottom <= frame.bottom"
    )
    assert in_sight


def test_findings_say_once_what_many_hosts_have_in_common(show: Open) -> None:
    window = show(large(100))
    window.click("#show-findings")
    titles = window.run("return [...document.querySelectorAll('.finding h2')].map((title) => title.innerText)")
    assert titles[0].split() == ["disable_ipv6:", "would", "change", "8", "hosts"]
    assert titles[-1].split() == ["unreachable", "2", "hosts"]
    assert len(titles) == 5
    assert "no answer within 60 s from" in window.text(".finding:last-of-type")


def test_whatever_a_host_answers_is_shown_as_text(show: Open) -> None:
    window = show(hostile())
    assert hosts(window) == [text.replace("\ud800", "\ufffd") for text in HOSTILE]
    for row in range(len(HOSTILE)):
        for column in range(3):
            window.click(f"[data-row='{row}'][data-column='{column}']")
            assert HOSTILE[row].split("\x00")[0].split("\u2028")[0].strip() in window.text("#details")
    window.click("#show-findings")
    assert window.count("img") == 0
    assert window.count("script") == 2
    assert window.run("return document.title") == "Audit of the Windows fleet"


def test_the_policy_stops_what_was_put_into_the_page_all_the_same(chromium: Browser, tmp_path: Path) -> None:
    file = tmp_path / "audit.html"
    content = page(document([small()], "Audit", CREATED))
    file.write_bytes(content.replace(b"<header>", b"<script>document.title = 'pwned'</script><header>"))
    chromium.open(file)
    assert chromium.run("return document.title") == "Audit"
    assert any("Content Security Policy" in line for line in chromium.console())


def test_a_thousand_hosts_need_no_more_elements_than_the_window_has_room_for(show: Open) -> None:
    window = show(large(1000))
    assert window.count("*") < MOST_ELEMENTS
    window.run("const matrix = document.getElementById('matrix'); matrix.scrollTop = matrix.scrollHeight")
    window.settled()
    assert hosts(window)[-1] == "H1000"
    assert window.count("*") < MOST_ELEMENTS
    window.click("[data-state=compliant]")
    assert window.text("#shown") == "900 of 1,000 hosts"
    window.click("#show-findings")
    assert window.count("*") < MOST_ELEMENTS


def test_paper_has_the_findings_and_every_host(show: Open) -> None:
    window = show(large(1000))
    window.run(
        "addEventListener('beforeprint', () => {"
        " window.printed = [document.querySelectorAll('tbody th').length, document.querySelectorAll('.finding').length]"
        "})"
    )
    paper = window.pdf()
    assert paper.startswith(b"%PDF")
    assert len(re.findall(rb"/Type /Page\b", paper)) >= 15
    rows, findings = window.run("return window.printed")
    assert rows == 1000
    assert findings == 5
    window.settled()
    assert window.count("*") < MOST_ELEMENTS


def test_it_follows_the_scheme_of_the_system_and_stays_readable(show: Open) -> None:
    window = show(small())
    try:
        for scheme in ("light", "dark"):
            window.prefer(scheme)
            for selector in ("h1", "#subtitle", ".cell.compliant, .cell.refused", ".cell.would_change"):
                assert contrast(window, selector) >= 4.5, (scheme, selector)
        dark = window.run("return getComputedStyle(document.body).backgroundColor")
        window.prefer("light")
        assert window.run("return getComputedStyle(document.body).backgroundColor") != dark
    finally:
        window.prefer("light")


def test_a_narrow_window_shows_the_same(show: Open) -> None:
    window = show(small())
    try:
        window.size(500, 900)
        window.settled()
        assert window.run("return document.documentElement.scrollWidth <= innerWidth")
        window.click("[aria-label='N1, disable_ipv6: would change']")
        assert STEP in window.text("#details")
    finally:
        window.size(1440, 900)


def contrast(window: Browser, selector: str) -> float:
    """Of an element's text with the page, as WCAG 2 counts it (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio)."""
    colours = window.run(
        "const one = document.querySelector(arguments[0]);"
        "return [getComputedStyle(one).color, getComputedStyle(document.body).backgroundColor]",
        selector,
    )
    light, dark = sorted((luminance(colour) for colour in colours), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    values = [int(number) / 255 for number in re.findall(r"\d+", colour)[:3]]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
