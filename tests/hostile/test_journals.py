# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A journal that somebody else has written into: refused in words, and nothing is changed."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.points import Point
from support.procedures import MAIN_PATHS, OURS, Main
from support.world import World
from winsim.providers.registry import Key, RegistryState

JUNK: tuple[Any, ...] = (None, [], {}, "junk", -1, True, [[]], {"a": 1})

JOURNALLED = sorted(set(MAIN_PATHS) - {name for name, main in MAIN_PATHS.items() if main.module.startswith("cim_")})


def _texts(key: Key | None, path: str) -> Iterator[tuple[str, str]]:
    """Every journal below a key, as (path, text)."""
    if key is None:
        return
    if "state" in key.values:
        yield path, str(key.values["state"].data)
    for child in key.keys.values():
        yield from _texts(child, rf"{path}\{child.name}")


def _entry(text: str) -> dict[str, Any]:
    """What a journal holds; the one that moves with a group of a cluster is in base64, as cluster.exe can carry it."""
    entry: dict[str, Any] = json.loads(text if text.startswith("{") else base64.b64decode(text + "=="))
    return entry


def _text(entry: dict[str, Any], like: str) -> str:
    text = json.dumps(entry)
    return text if like.startswith("{") else base64.b64encode(text.encode()).decode()


def _journal_of(main: Main, home: Path) -> tuple[str, str] | None:
    """The journal of a run in its middle: where, and its text."""
    seen: list[tuple[str, str]] = []

    def look(*_: object) -> None:
        found = _texts(world.host(main.host).state(RegistryState).key(rf"{OURS}\Journal"), rf"{OURS}\Journal")
        seen.extend(each for each in found if not seen or each != seen[-1])

    with World(main.fleet()) as world:
        main.prepare(world, home)
        world.fleet.watchers.append(look)
        main.run(world, home)
    return seen[len(seen) // 2] if seen else None


def _spoiled(entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The entry with one key missing, or with another kind of value."""
    yield {"version": entry["version"]}
    for name in entry.keys() - {"version"}:
        yield {key: value for key, value in entry.items() if key != name}
        yield from ({**entry, name: junk} for junk in JUNK)


@pytest.mark.faults
@pytest.mark.parametrize("name", JOURNALLED)
def test_a_journal_that_makes_no_sense_ends_in_words(name: str, tmp_path: Path, point: Point) -> None:
    main = MAIN_PATHS[name]
    found = _journal_of(main, tmp_path / "sample")
    assert found is not None, "the run keeps no journal in the registry of its host"
    path, text = found
    with World(main.fleet()) as world:
        main.prepare(world, tmp_path / "home")
        registry = world.host(main.host).state(RegistryState)
        for spoiled in _spoiled(_entry(text)):
            with point("hostile journals", main.module):
                registry.set(path, "State", _text(spoiled, text))
                since = {host: len(world.requests(host)) for host in world.fleet.hosts}
                result = main.run(world, tmp_path / "home", check=True)
                assert not any(world.writes(host, first) for host, first in since.items()), spoiled
                if "failed" in result:
                    assert result["msg"], spoiled
                    assert "Traceback" not in result["msg"], spoiled


def test_a_journal_without_its_content_is_refused(tmp_path: Path) -> None:
    main = MAIN_PATHS["disable_ipv6 (bindings)"]
    found = _journal_of(main, tmp_path)
    assert found is not None
    path, text = found
    without = {name: value for name, value in _entry(text).items() if name != "boot"}
    with World(main.fleet()) as world:
        world.host(main.host).state(RegistryState).set(path, "State", json.dumps(without))
        result = main.run(world, tmp_path)
    assert result["refusal"] == "journal"
    assert "delete that key" in result["msg"]
    assert not world.writes(main.host)
