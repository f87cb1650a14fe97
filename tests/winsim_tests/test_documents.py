# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What docs/ says of winsim, of the procedures and of itself is so."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import winsim
import yaml
from winsim.fleet import Fleet, FleetFileError
from winsim.switches import Switch, table

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
PROCEDURES = sorted((DOCS / "procedures").glob("*.md"))
TITLES = [
    "When to use it",
    "A case",
    "Step by step",
    "What it sends",
    "When it refuses",
    "When it is interrupted",
    "UNCONFIRMED",
    "Sources",
]
MODULES = {path.stem: path for path in (ROOT / "plugins" / "modules").glob("*.py")}
WINSIM = (DOCS / "winsim.md").read_text(encoding="utf-8")


def name_of(path: Path) -> str:
    return str(path.relative_to(DOCS))


def section(page: str, title: str) -> str:
    """What stands below the heading `## title`."""
    return re.split(r"(?m)^## ", page.split(f"\n## {title}\n", 1)[1])[0]


def part(text: str, title: str) -> str:
    """What stands below the heading `### title`."""
    return re.split(r"(?m)^### ", text.split(f"\n### {title}\n", 1)[1])[0]


def yaml_blocks(page: str) -> list[str]:
    """The indentation of a block in a list goes."""
    found = re.findall(r"(?ms)^( *)```yaml\n(.*?)^ *```$", page)
    return [re.sub(rf"(?m)^{indent}", "", block) for indent, block in found]


# Switches


def declared() -> Mapping[str, Switch]:
    """Those of every file of winsim."""
    for module in pkgutil.walk_packages(winsim.__path__, "winsim."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return table()


def row(switch: Switch) -> str:
    positions = [
        f"`{name}`{' (default)' if name == switch.default else ''}: {meaning}"
        for name, meaning in switch.positions.items()
    ]
    procedure = switch.page.partition(" ")[0]
    is_procedure = (DOCS / "procedures" / f"{procedure}.md").exists()
    page = f"[{procedure}](procedures/{procedure}.md)" if is_procedure else switch.page
    return f"| `{switch.name}` | {switch.open_question} | {'<br>'.join(positions)} | {page} |"


def test_every_switch_is_in_the_table_as_it_is_declared() -> None:
    written = [line for line in section(WINSIM, "Switches").splitlines() if line.startswith("| `")]
    wanted = [row(switch) for switch in declared().values()]
    missing = [line for line in wanted if line not in written]
    assert not missing, "docs/winsim.md, Switches, lacks these lines:\n" + "\n".join(missing)
    assert written == wanted


@pytest.mark.parametrize("page", PROCEDURES, ids=name_of)
def test_a_procedure_page_names_only_switches_that_are_there(page: Path) -> None:
    lines = [line for line in section(page.read_text(encoding="utf-8"), "UNCONFIRMED").splitlines() if "|" in line]
    named = {name for line in lines for name in re.findall(r"`([a-z0-9_]+\.[a-z0-9_]+)`", line.split("|")[-2])}
    assert named <= declared().keys()


# The fleet file


def allowed(fleet: Mapping[str, Any]) -> set[str]:
    """The keys that a refusal offers in place of one that nobody knows."""
    with pytest.raises(FleetFileError, match="unknown key; allowed here: ") as refusal:
        Fleet.load(fleet)
    return set(str(refusal.value).partition("allowed here: ")[2].split(", "))


def entries(title: str) -> dict[str, str]:
    """Key -> example."""
    rows = re.findall(r"(?m)^\| `(\w+)` \| .+ \| `(.+)` \|$", part(section(WINSIM, "The fleet file"), title))
    assert len(rows) == len(dict(rows))
    return dict(rows)


def test_every_key_of_the_fleet_file_has_an_entry() -> None:
    assert entries("Keys of the file").keys() == allowed({"nobody": 1})


def test_every_key_of_a_host_has_an_entry() -> None:
    assert entries("Keys of a host").keys() == allowed({"hosts": {"N1": {"nobody": 1}}})


@pytest.mark.parametrize("key", entries("Keys of the file"))
def test_the_example_of_a_key_of_the_file_is_taken(key: str) -> None:
    example = yaml.safe_load(entries("Keys of the file")[key])
    assert key in example
    Fleet.load({"domain": "corp.example", "hosts": {"N1": {}, "N2": {}}, **example})


@pytest.mark.parametrize("key", entries("Keys of a host"))
def test_the_example_of_a_key_of_a_host_is_taken(key: str) -> None:
    example = yaml.safe_load(entries("Keys of a host")[key])
    assert key in example
    Fleet.load({"domain": "corp.example", "hosts": {"N1": example, "N2": {}}})


def test_the_long_example_is_taken() -> None:
    (block,) = yaml_blocks(section(WINSIM, "The fleet file"))
    assert set(Fleet.load(yaml.safe_load(block)).hosts) == {"N1", "N2"}


# All pages


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_index_names_every_page_and_every_module() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([^)]+\.md)\)", index))
    assert {name_of(page) for page in PAGES if page != DOCS / "README.md"} <= linked
    assert MODULES.keys() <= set(re.findall(r"`(\w+)`", index))


@pytest.mark.parametrize("page", PROCEDURES, ids=name_of)
@pytest.mark.parametrize("title", TITLES)
def test_a_procedure_page_has_what_one_looks_for(page: Path, title: str) -> None:
    assert f"\n## {title}\n" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PROCEDURES, ids=name_of)
def test_a_procedure_page_says_that_it_never_ran_on_windows(page: Path) -> None:
    assert re.search(r"\*\*Th\w+ modules? ha\w+ never run against real Windows\.\*\*", page.read_text(encoding="utf-8"))


# Examples


def tasks(page: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(module, arguments) of every task of this collection on a page."""
    for block in yaml_blocks(page.read_text(encoding="utf-8")):
        content = yaml.safe_load(block)
        listed = content if isinstance(content, list) else []
        plays = [task for each in listed for task in each.get("tasks", [each])]
        for task in plays:
            for key, arguments in task.items():
                if key.startswith("fieldnotes.windows."):
                    yield key.rpartition(".")[2], arguments or {}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_tasks_on_a_page_use_options_that_are_there(page: Path) -> None:
    for module, arguments in tasks(page):
        found = re.search(r'DOCUMENTATION = r"""\n(.*?)"""', MODULES[module].read_text(encoding="utf-8"), re.DOTALL)
        assert found is not None
        options = yaml.safe_load(found[1]).get("options", {})
        assert arguments.keys() <= options.keys(), module
        for name, value in arguments.items():
            choices = options[name].get("choices")
            values = value if isinstance(value, list) else [value]
            assert choices is None or set(values) <= set(choices), f"{module}: {name}"
