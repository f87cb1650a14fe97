# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The hosts file, byte for byte."""

from __future__ import annotations

import pytest
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.errors import Refusal
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.procedures import hosts_file
from hypothesis import example, given
from hypothesis import strategies as st

PATH = "C:\\hosts"
MINE = "10.0.0.1\tmail01 # added by fieldnotes.windows"


def edit(content: bytes, names: tuple[str, ...] = ("mail01",)) -> bytes:
    return hosts_file.for_exchange_2007(hosts_file.parse(PATH, content), "10.0.0.1", names).content


def revert(content: bytes) -> bytes:
    return hosts_file.as_shipped(hosts_file.parse(PATH, content)).content


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b"", f"{MINE}\r\n", id="empty"),
        pytest.param(
            b"::1 localhost\r\n", f"# ::1 localhost # disabled by fieldnotes.windows\r\n{MINE}\r\n", id="crlf"
        ),
        pytest.param(b"::1 localhost\n", f"# ::1 localhost # disabled by fieldnotes.windows\n{MINE}\n", id="lf"),
        pytest.param(b"a\r\n::1 x", f"a\r\n::1 x\r\n{MINE}", id="no final line end"),
        pytest.param(b"\xef\xbb\xbf1.2.3.4 x\r\n", f"\xef\xbb\xbf1.2.3.4 x\r\n{MINE}\r\n", id="UTF-8 mark"),
        pytest.param(b"# K\xf6ln \x81\r\n", f"# K\xf6ln \x81\r\n{MINE}\r\n", id="any other byte"),
        pytest.param(
            b"0:0:0:0:0:0:0:1\tLOCALHOST # why\r\n",
            f"# 0:0:0:0:0:0:0:1\tLOCALHOST # why # disabled by fieldnotes.windows\r\n{MINE}\r\n",
            id="another spelling",
        ),
        pytest.param(b"10.0.0.1 other MAIL01\r\n", "10.0.0.1 other MAIL01\r\n", id="mapped already"),
        pytest.param(b"#\t::1 localhost\r\n", f"#\t::1 localhost\r\n{MINE}\r\n", id="a comment already"),
        pytest.param(b"::2 localhost\r\n", f"::2 localhost\r\n{MINE}\r\n", id="another address"),
    ],
)
def test_puts_in_what_exchange_2007_needs_and_takes_it_out_again(before: bytes, after: str) -> None:
    edited = edit(before)
    assert edited == after.encode("latin-1")
    assert edit(edited) == edited
    assert revert(edited) == before


_LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "::1 localhost",
                "#\t::1 localhost",
                "127.0.0.1 localhost",
                "",
                "\r",
                "10.0.0.1 mail01",
                " ::1  Localhost x",
            ]
        ),
        st.text(st.characters(min_codepoint=1, max_codepoint=255, exclude_characters="\n"), max_size=12),
    ),
    max_size=6,
)


@example(lines=["::1 localhost", "\r"], end="\n", closed=False)
@given(lines=_LINES, end=st.sampled_from(["\n", "\r\n"]), closed=st.booleans())
def test_every_file_comes_back_as_it_was(lines: list[str], end: str, closed: bool) -> None:
    before = (end.join(lines) + (end if closed else "")).encode("latin-1")
    if before.startswith((b"\xff\xfe", b"\xfe\xff")):
        return
    try:
        edited = edit(before)
    except Refusal:
        return
    assert edit(edited) == edited
    assert revert(edited) == before


def test_a_line_of_ours_follows_a_new_address() -> None:
    moved = hosts_file.for_exchange_2007(hosts_file.parse(PATH, f"{MINE}\r\n".encode()), "10.0.0.2", ["mail01"])
    assert moved.added == [("10.0.0.2", "mail01")]


@pytest.mark.parametrize("line", ["10.0.0.9 mail01", "::1 mail01", "fe80::1 other Mail01 # note"])
def test_refuses_a_name_that_somebody_else_maps_elsewhere(line: str) -> None:
    with pytest.raises(Refusal, match=r"line 2 maps [mM]ail01 to") as refused:
        edit(f"# first\r\n{line}\r\n".encode())
    assert refused.value.code == "R9"


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
def test_refuses_utf_16(mark: bytes) -> None:
    with pytest.raises(Refusal, match="is UTF-16") as refused:
        hosts_file.parse(PATH, mark + b"1\x00")
    assert refused.value.code == "R8"


def test_never_touches_lines_without_its_marks() -> None:
    text = b"# ::1 localhost # by hand\r\n10.0.0.1 mail01 # added by hand\r\n"
    assert revert(text) == text
    assert not hosts_file.parse(PATH, text).is_managed
    assert hosts_file.parse(PATH, text).loopback_commented
