# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""docs/uncertainty.md is complete: each switch, its positions, each open point of a page; and each is tried."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import winsim
from uncertainty.cases import CASES, WIRE
from winsim.switches import Switch, table

DOCS = Path(__file__).parents[2] / "docs"
PROCEDURES = sorted((DOCS / "procedures").glob("*.md"))

ELSEWHERE = {
    "eventlog.bugcheck_source": "test_the_history_of_hangs_counts_what_windows_leaves",
    "cluster.live_dump_trace": "test_the_history_of_hangs_counts_what_windows_leaves",
    "migration.session_lost": "test_the_new_server_is_found_again_under_the_address_of_the_old_one",
}
"""Switches that only matter to what no case of the matrix does, and the test that tries their positions."""


def declared() -> Mapping[str, Switch]:
    for module in pkgutil.walk_packages(winsim.__path__, "winsim."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return table()


def rows() -> dict[str, list[str]]:
    """Switch -> the other cells of its row."""
    lines = [line for line in (DOCS / "uncertainty.md").read_text(encoding="utf-8").splitlines() if "| `" in line]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    assert len({each[0] for each in cells}) == len(cells)
    return {each[0].strip("` "): each[1:] for each in cells}


def positions(switch: Switch) -> str:
    return "<br>".join(
        f"`{name}`{' (default)' if name == switch.default else ''}: {meaning}"
        for name, meaning in switch.positions.items()
    )


def test_every_switch_is_told_with_all_its_positions() -> None:
    found = {name: cells[:2] for name, cells in rows().items()}
    assert found == {switch.name: [switch.open_question, positions(switch)] for switch in declared().values()}


def test_every_row_says_what_is_done() -> None:
    assert [name for name, cells in rows().items() if len(cells) != 3 or len(cells[2]) < 5] == []


@pytest.mark.parametrize("page", PROCEDURES, ids=lambda page: page.stem)
def test_every_open_point_of_a_page_names_its_switch(page: Path) -> None:
    text = page.read_text(encoding="utf-8").split("\n## UNCONFIRMED\n", 1)[1].split("\n## ")[0]
    points = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| ")][1:]
    assert points
    for point in points:
        named = re.findall(r"`([a-z0-9_]+\.[a-z0-9_]+)`", point[-1])
        assert named or point[-1].strip().startswith("none: "), point[0]
        assert set(named) <= rows().keys()


def test_every_switch_is_tried_in_every_position() -> None:
    tried = {name for case in CASES.values() for name in case.switches} | set(WIRE) | ELSEWHERE.keys()
    assert declared().keys() <= tried


@pytest.mark.parametrize("name", sorted(set(ELSEWHERE.values())))
def test_what_is_tried_elsewhere_is_there(name: str) -> None:
    tests = Path(__file__).parents[1].rglob("test_*.py")
    assert any(f"def {name}(" in path.read_text(encoding="utf-8") for path in tests)
