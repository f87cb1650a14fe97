# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run leaves on hosts and controller, for comparing two of its ends."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from support.world import World

UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")

OF_THE_MOMENT = ("$time", "pid", "next_pid", "starts", "exit_code", "eventlog")
"""Differs after every history: times, processes, how often a service started and how it ended, the log."""

_SHOWN = 5


def end_of(world: World, living: Collection[str] = (), folder: Path | None = None) -> frozenset[str]:
    """A line for each value of the hosts and each file in a folder. living: names in winsim's state to leave out."""
    values = _values(world.fleet.dump(), (*OF_THE_MOMENT, *living), "")
    files = _files(folder, living) if folder else ()
    return frozenset(UUID.sub("<id>", line) for line in (*values, *files))


def _files(folder: Path, without: Collection[str]) -> Iterator[str]:
    for file in folder.rglob("*"):
        if file.is_file() and file.name not in without:
            yield f"controller: {file.relative_to(folder)}"


def _values(data: Any, without: Collection[str], path: str) -> Iterator[str]:
    if isinstance(data, Mapping):
        for name, inner in _items(data):
            if name not in without:
                yield from _values(inner, without, f"{path}/{name}")
    elif isinstance(data, list):
        for number, inner in enumerate(data):
            yield from _values(inner, without, f"{path}/{number}")
    else:
        yield f"{path} = {data!r}"


def _items(data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """A registry key is what it has of values: an empty one may stay (faults.scenario.journals)."""
    is_key = {"values", "keys"} <= data.keys()
    return ((name, inner) for name, inner in data.items() if not is_key or name in ("values", "keys"))


def differences(expected: frozenset[str], found: frozenset[str]) -> Iterator[str]:
    """What one end has and the other has not, a sentence each, the first few."""
    yield from (f"is there too much: {line}" for line in sorted(found - expected)[:_SHOWN])
    yield from (f"is not there: {line}" for line in sorted(expected - found)[:_SHOWN])
