# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Layers, merges and the room they need, without a host."""

from __future__ import annotations

import pytest
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.procedures.disk_chains import (
    ROOM,
    Chain,
    depth_of,
    depth_without,
    descendants,
    merges,
    needed,
    pending_layers,
    problems,
    read_chain,
    roots_among,
)
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.windows.hyperv import (
    DIFFERENCING,
    DYNAMIC,
    FIXED,
    DiskFile,
)

GIB = 2**30
# root -> a -> b, and root -> c beside them.
TREE: dict[str, str | None] = {"root": None, "a": "root", "b": "a", "c": "root"}


def file(path: str, parent: str | None = None, *, kind: int = DIFFERENCING, size: int = GIB, most: int = 9) -> DiskFile:
    return DiskFile(path, parent, kind, size, most)


def chain(*files: DiskFile) -> Chain:
    return Chain("0", files[0].path, files)


THREE = chain(
    file("d_3.avhd", "d_2.avhd"),
    file("d_2.avhd", "d_1.avhd", size=2 * GIB),
    file("d_1.avhd", "d.vhd", size=4 * GIB),
    file("d.vhd", kind=DYNAMIC),
)


@pytest.mark.parametrize(("start", "depth"), [(None, 0), ("root", 1), ("b", 3), ("c", 2), ("gone", 0)])
def test_depth_counts_the_snapshots_on_the_way_to_the_root(start: str | None, depth: int) -> None:
    assert depth_of(start, TREE) == depth


@pytest.mark.parametrize(("gone", "depth"), [([], 3), (["c"], 3), (["b"], 2), (["a", "b"], 1), (list(TREE), 0)])
def test_depth_after_a_deletion_leaves_out_what_is_gone(gone: list[str], depth: int) -> None:
    assert depth_without("b", TREE, gone) == depth


def test_a_circle_of_parents_ends() -> None:
    assert depth_of("x", {"x": "y", "y": "x"}) == 2


def test_a_subtree_is_a_snapshot_and_all_that_was_made_from_it() -> None:
    assert descendants("a", TREE) == {"a", "b"}
    assert descendants("root", TREE) == set(TREE)


def test_trees_are_deleted_from_their_roots() -> None:
    assert roots_among(TREE, TREE) == ["root"]
    assert roots_among(["b", "c"], TREE) == ["b", "c"]
    assert roots_among(["a", "b", "c"], TREE) == ["a", "c"]


@pytest.mark.parametrize(("depth", "pending"), [(0, 3), (1, 2), (3, 0), (5, 0)])
def test_layers_without_a_snapshot_are_pending(depth: int, pending: int) -> None:
    assert pending_layers([THREE], depth) == pending


def test_a_differencing_disk_of_an_administrator_is_no_layer() -> None:
    designed = chain(file("child.vhd", "gold.vhd"), file("gold.vhd", kind=FIXED))
    assert designed.layers == ()
    assert pending_layers([designed], 0) == 0
    assert list(merges([designed], 0)) == []


def test_layers_merge_into_the_first_file_that_stays() -> None:
    (to_base,) = merges([THREE], 0)
    assert ([layer.path for layer in to_base.layers], to_base.receiver.path) == (
        ["d_3.avhd", "d_2.avhd", "d_1.avhd"],
        "d.vhd",
    )
    assert to_base.growth == 7 * GIB
    (to_layer,) = merges([THREE], 1)
    assert (len(to_layer.layers), to_layer.receiver.path, to_layer.growth) == (2, "d_1.avhd", 3 * GIB)


def test_a_fixed_disk_does_not_grow() -> None:
    fixed = chain(file("d_1.avhd", "d.vhd"), file("d.vhd", kind=FIXED))
    (merge,) = merges([fixed], 0)
    assert merge.growth == 0


def test_room_is_needed_on_each_volume_that_takes_layers_in() -> None:
    other = chain(file("e_1.avhd", "e.vhd"), file("e.vhd", kind=DYNAMIC))
    planned = list(merges([THREE, other], 0))
    assert needed(planned, lambda path: path[0], None) == {"d": 7 * GIB + ROOM, "e": GIB + ROOM}
    assert needed(planned, lambda path: "V", None) == {"V": 8 * GIB + ROOM}
    assert needed(planned, lambda path: "V", 5) == {"V": 5}


def test_a_chain_is_followed_to_its_base() -> None:
    files = {each.path: each for each in THREE.files}
    assert read_chain("0", "d_3.avhd", files.get) == THREE


def test_a_missing_parent_and_a_circle_are_found() -> None:
    files = {each.path: each for each in THREE.files[:2]}
    missing = read_chain("0", "d_3.avhd", files.get)
    assert missing.missing == "d_1.avhd"
    assert [problem.code for problem in problems(missing)] == ["R9"]
    circle = {"x.avhd": file("x.avhd", "y.avhd"), "y.avhd": file("y.avhd", "X.avhd")}
    found = read_chain("0", "x.avhd", circle.get)
    assert found.cycle == "X.avhd"
    assert [problem.code for problem in problems(found)] == ["R10"]


def test_identifiers_are_compared_where_both_are_told() -> None:
    base = DiskFile("d.vhdx", None, DYNAMIC, GIB, 9, identifier="{AB-1}")
    child = DiskFile("d_1.avhdx", "d.vhdx", DIFFERENCING, GIB, 9, parent_identifier="ab-1")
    assert list(problems(chain(child, base))) == []
    stranger = DiskFile("d_1.avhdx", "d.vhdx", DIFFERENCING, GIB, 9, parent_identifier="ab-2")
    assert [problem.code for problem in problems(chain(stranger, base))] == ["R10"]
    untold = DiskFile("d_1.avhdx", "d.vhdx", DIFFERENCING, GIB, 9)
    assert list(problems(chain(untold, base))) == []


def test_a_resized_parent_is_found() -> None:
    resized = chain(file("d_1.avhd", "d.vhd"), file("d.vhd", kind=DYNAMIC, most=10))
    (problem,) = problems(resized)
    assert problem.code == "R11"
    assert problem.text.startswith("disk d.vhd was resized after d_1.avhd was made")
