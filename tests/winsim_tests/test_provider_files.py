# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files behind the item cmdlets, as simulated."""

from __future__ import annotations

from typing import Any

import pytest
from winsim import Fleet, Host
from winsim.providers import ErrorRecord, PSObject, files, providers

PATH = "C:\\lab\\a.txt"


def host(**entry: Any) -> Host:
    return Fleet.load({"clock": {"speed": 0}, "hosts": {"N1": {"files": {PATH: entry}}}}).host("N1")


def call(on: Host, cmdlet: str, **parameters: Any) -> list[Any]:
    played = providers.cmdlet(on, cmdlet)
    assert played is not None
    return list(played.run(on, parameters, []))


def error(output: list[Any]) -> tuple[str, int]:
    (record,) = output
    assert isinstance(record, ErrorRecord)
    return record.error_id, record.category


@pytest.mark.parametrize(("position", "output"), [("list", [[97, 98]]), ("each", [97, 98]), ("array", [b"ab"])])
def test_bytes_come_in_one_of_three_forms(position: str, output: list[Any]) -> None:
    on = host(text="ab")
    on.switches["files.byte_content"] = position
    assert call(on, "Get-Content", LiteralPath=[PATH], Encoding="Byte", ReadCount=0) == output
    assert call(on, "Get-Content", LiteralPath=[PATH], Encoding="Byte") == [97, 98]


def test_an_empty_file_puts_out_nothing() -> None:
    assert call(host(text=""), "Get-Content", LiteralPath=[PATH], Encoding="Byte", ReadCount=0) == []


def test_text_is_read_and_written_in_lines() -> None:
    on = host(text="a\r\nb\r\n")
    assert call(on, "Get-Content", LiteralPath=[PATH]) == ["a", "b"]
    assert call(on, "Set-Content", LiteralPath=[PATH], Value=["c", "d"]) == []
    assert files.read(on, PATH) == b"c\r\nd\r\n"


@pytest.mark.parametrize("value", [b"xyz", [b"xyz"], [120, 121, 122]])
def test_bytes_are_written_in_place_and_wmi_sees_the_same_file(value: Any) -> None:
    on = host(text="a")
    assert call(on, "Set-Content", LiteralPath=[PATH], Encoding="Byte", Value=value) == []
    assert files.read(on, PATH) == b"xyz"
    seen = providers.get(on, "root/cimv2", "CIM_DataFile", {"Name": PATH})
    assert seen["FileSize"] == 3


def test_copies_and_removes() -> None:
    on = host(text="a")
    assert call(on, "Copy-Item", LiteralPath=[PATH], Destination="C:\\lab\\b.txt") == []
    assert files.read(on, "C:\\LAB\\B.TXT") == b"a"
    assert call(on, "Remove-Item", LiteralPath=[PATH]) == []
    assert call(on, "Test-Path", LiteralPath=[PATH, "C:\\lab\\b.txt"]) == [False, True]


def test_makes_files_and_folders() -> None:
    on = host(text="a")
    (made,) = call(on, "New-Item", Path=["C:\\new"], ItemType="Directory")
    assert isinstance(made, PSObject)
    assert call(on, "Test-Path", LiteralPath=["C:\\new"], PathType="Container") == [True]
    assert call(on, "New-Item", Path=["C:\\new"], Name="x.txt", ItemType="File", Value="v")
    assert files.read(on, "C:\\new\\x.txt") == b"v"
    assert error(call(on, "New-Item", Path=["C:\\new\\x.txt"], ItemType="File"))[0] == "NewItemIOError"
    assert error(call(on, "Remove-Item", LiteralPath=["C:\\new"]))[0] == "DirectoryNotEmpty"
    assert call(on, "Remove-Item", LiteralPath=["C:\\new"], Recurse=True) == []
    assert call(on, "Test-Path", LiteralPath=["C:\\new"]) == [False]


@pytest.mark.parametrize("cmdlet", ["Get-Content", "Copy-Item", "Remove-Item", "Get-Item"])
def test_what_is_not_there_is_not_found(cmdlet: str) -> None:
    assert error(call(host(text=""), cmdlet, LiteralPath=["C:\\nothing"], Destination="C:\\lab\\c")) == (
        "PathNotFound",
        files.OBJECT_NOT_FOUND,
    )


def test_writing_into_a_folder_that_is_not_there_fails() -> None:
    on = host(text="")
    assert error(call(on, "Set-Content", LiteralPath=["C:\\no\\a"], Value=["x"]))[1] == files.OBJECT_NOT_FOUND


@pytest.mark.parametrize(
    ("access", "cmdlet", "refused"),
    [
        ("denied", "Get-Content", True),
        ("denied", "Set-Content", True),
        ("read_only", "Get-Content", False),
        ("read_only", "Set-Content", True),
        ("read_only", "Remove-Item", True),
    ],
)
def test_what_is_not_allowed_is_denied(access: str, cmdlet: str, refused: bool) -> None:
    output = call(host(text="a", access=access), cmdlet, LiteralPath=[PATH], Value=["x"])
    if refused:
        assert error(output)[1] == files.PERMISSION_DENIED
    else:
        assert output == ["a"]
