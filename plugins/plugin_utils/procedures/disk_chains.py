# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Arithmetic of differencing disks: layers, what merges into what, and what is wrong with a chain. Pure.

For this collection only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..windows.hyperv import DIFFERENCING, FIXED, DiskFile

ROOM = 200 * 2**20
"""Bytes below which Hyper-V pauses a machine: a merge must leave as much."""

_LAYERS = (".avhd", ".avhdx")


@dataclass(frozen=True)
class Chain:
    """A disk from the attached file to its base. missing: parent file that is not there; cycle: file met twice."""

    controller: str
    path: str
    files: tuple[DiskFile, ...]
    missing: str | None = None
    cycle: str | None = None

    @property
    def layers(self) -> tuple[DiskFile, ...]:
        """The leading files that snapshots made. A differencing disk that an administrator made is none."""
        found = []
        for file in self.files:
            if not is_layer(file.path):
                break
            found.append(file)
        return tuple(found)


@dataclass(frozen=True)
class Problem:
    """What is wrong with a chain. code: number of the refusal."""

    code: str
    text: str


@dataclass(frozen=True)
class Merge:
    """Layers that go, and the file that takes them in."""

    layers: tuple[DiskFile, ...]
    receiver: DiskFile

    @property
    def growth(self) -> int:
        """Bytes that the receiver may need; one of fixed size needs none."""
        return 0 if self.receiver.type == FIXED else sum(layer.file_size for layer in self.layers)


def is_layer(path: str) -> bool:
    """Whether Hyper-V made the file for a snapshot."""
    return path.lower().endswith(_LAYERS)


def read_chain(controller: str, path: str, read: Callable[[str], DiskFile | None]) -> Chain:
    """Follows the parents of a disk from the attached file. read: one file, None where there is none."""
    files: list[DiskFile] = []
    seen: set[str] = set()
    following: str | None = path
    while following is not None:
        if following.lower() in seen:
            return Chain(controller, path, tuple(files), cycle=following)
        seen.add(following.lower())
        file = read(following)
        if file is None:
            return Chain(controller, path, tuple(files), missing=following)
        files.append(file)
        following = file.parent if file.type == DIFFERENCING else None
    return Chain(controller, path, tuple(files))


def depth_of(start: str | None, parents: Mapping[str, str | None]) -> int:
    """Number of snapshots from one upwards to the root. parents: of all snapshots that exist."""
    depth, at, seen = 0, start, set[str]()
    while at is not None and at in parents and at not in seen:
        seen.add(at)
        depth, at = depth + 1, parents[at]
    return depth


def depth_without(start: str | None, parents: Mapping[str, str | None], gone: Iterable[str]) -> int:
    """The same when some snapshots are gone: what was made from them then hangs on what they were made from."""
    removed = frozenset(gone)
    depth, at, seen = 0, start, set[str]()
    while at is not None and at in parents and at not in seen:
        seen.add(at)
        depth += at not in removed
        at = parents[at]
    return depth


def descendants(root: str, parents: Mapping[str, str | None]) -> frozenset[str]:
    """A snapshot and all that were made from it."""
    found = {root}
    while more := {name for name, parent in parents.items() if parent in found and name not in found}:
        found |= more
    return frozenset(found)


def roots_among(chosen: Iterable[str], parents: Mapping[str, str | None]) -> list[str]:
    """Those of the chosen snapshots whose parent is not chosen: deleting their trees deletes all of them."""
    wanted = frozenset(chosen)
    return [name for name in parents if name in wanted and parents[name] not in wanted]


def pending_layers(chains: Iterable[Chain], depth: int) -> int:
    """Layers that no snapshot explains."""
    return sum(max(0, len(chain.layers) - depth) for chain in chains)


def merges(chains: Iterable[Chain], depth: int) -> Iterator[Merge]:
    """What merges when this many snapshots are left on the way to the root."""
    for chain in chains:
        count = len(chain.layers) - depth
        if count > 0 and len(chain.files) > count:
            yield Merge(chain.files[:count], chain.files[count])


def needed(planned: Iterable[Merge], place: Callable[[str], str], demanded: int | None) -> dict[str, int]:
    """Free bytes that the merges need on each place that holds a receiver. demanded: instead of what is computed."""
    growth: dict[str, int] = {}
    for merge in planned:
        where = place(merge.receiver.path)
        growth[where] = growth.get(where, 0) + merge.growth
    return {where: demanded if demanded is not None else size + ROOM for where, size in growth.items()}


def problems(chain: Chain) -> Iterator[Problem]:
    """What is wrong with a chain, in the order of the page."""
    if chain.missing is not None:
        yield Problem(
            "R9",
            f"disk {chain.path}: parent {chain.missing} is missing: the chain is broken. Restore it from backup; "
            "nothing was changed",
        )
    if chain.cycle is not None:
        yield _unfit(chain, chain.cycle, "a file is its own ancestor")
    pairs = list(zip(chain.files, chain.files[1:], strict=False))
    for child, parent in pairs:
        told = child.parent_identifier is not None and parent.identifier is not None
        if told and _plain(child.parent_identifier) != _plain(parent.identifier):
            yield _unfit(chain, child.path, f"it was made from another disk than {parent.path}")
    for child, parent in pairs:
        if child.max_size != parent.max_size:
            yield Problem(
                "R11",
                f"disk {parent.path} was resized after {child.path} was made; the snapshot data no longer fit. "
                "Restore from backup",
            )


def _unfit(chain: Chain, file: str, reason: str) -> Problem:
    return Problem("R10", f"disk {chain.path}: chain does not fit together at {file} ({reason}); restore from backup")


def _plain(identifier: str | None) -> str:
    return (identifier or "").strip("{}").lower()
