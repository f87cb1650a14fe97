# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pages agree with the files that they show, and the files with what they say of themselves."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "roles").glob("*/README.md")])
HEADER = (
    "# Copyright (c) 2026, the fieldnotes.windows contributors\n"
    "# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)\n"
)


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [path for path in (ROOT / line for line in listed.splitlines()) if path.is_file() and not path.is_symlink()]


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_are_well_formed_and_lead_to_a_heading(page: Path) -> None:
    text = re.sub(r"(?ms)^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"))
    targets = [*re.findall(r"\]\(([^)\s]+)\)", text), *re.findall(r"(?m)^\[[^\]]+\]: (\S+)$", text)]
    for target in targets:
        parts = urlsplit(target)
        if parts.scheme:
            assert parts.scheme == "https", target
            assert "." in parts.netloc, target
            continue
        linked = page if not parts.path else (page.parent / parts.path).resolve()
        assert linked.exists(), target
        if parts.fragment:
            titles = re.findall(r"(?m)^#+ (.+)$", linked.read_text(encoding="utf-8"))
            anchors = {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles}
            assert parts.fragment in anchors, target


def excerpts() -> list[tuple[str, str]]:
    """(file, lines) of every excerpt of the code: its path ends the paragraph above it."""
    text = (ROOT / "docs" / "adding_a_procedure.md").read_text(encoding="utf-8")
    return re.findall(r"(?ms)`([\w/.]+\.py)`\n\n```python\n(.*?)^```$", text)


@pytest.mark.parametrize(("file", "lines"), excerpts())
def test_an_excerpt_is_in_its_file(file: str, lines: str) -> None:
    assert lines in (ROOT / file).read_text(encoding="utf-8")


def test_there_are_excerpts() -> None:
    text = (ROOT / "docs" / "adding_a_procedure.md").read_text(encoding="utf-8")
    assert len(excerpts()) == text.count("```python") > 4


def test_the_picture_is_well_formed_and_says_what_it_shows() -> None:
    picture = ET.parse(ROOT / "docs" / "images" / "architecture.svg").getroot()
    names = {element.tag.rpartition("}")[2] for element in picture}
    assert {"title", "desc"} <= names
    assert "http" not in "".join(value for element in picture.iter() for value in element.attrib.values())


def test_every_source_file_says_its_licence() -> None:
    sources = [path for path in tracked() if path.suffix == ".py" or path.name in ("dev", "run", "sanity")]
    lacking = [named(path) for path in sources if HEADER not in path.read_text(encoding="utf-8")[:400]]
    assert lacking == []


def test_no_file_names_a_place_of_one_machine() -> None:
    place = re.compile(r"(?<![\w.])/(?:root|work|home/(?!USER))/\w")
    found = [
        f"{named(path)}: {line.strip()[:100]}"
        for path in tracked()
        if path.suffix not in (".json", ".mof") and path.name != "COPYING"
        for line in path.read_text(encoding="utf-8").splitlines()
        if place.search(line) and "http" not in line
    ]
    assert found == []
