# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A small file system behind the item cmdlets, over the same files that CIM_DataFile shows.

https://learn.microsoft.com/en-us/powershell/module/microsoft.powershell.management (Windows PowerShell 5.1)

Paths are literal. A folder is there because a file is in it, or because somebody made it. Errors have the ids that
PowerShell's file system provider gives.
"""

from __future__ import annotations

import hashlib
import ntpath
from collections.abc import Iterable, Iterator
from typing import Any

from winsim.host import Host
from winsim.switches import declare

from . import ErrorRecord, Output, Provider, PSObject
from .operating_system import File, Files

__all__ = ["read", "write"]

files = Provider("files")

OBJECT_NOT_FOUND, PERMISSION_DENIED, RESOURCE_EXISTS, INVALID_ARGUMENT, WRITE_ERROR = 13, 18, 20, 5, 23
ITEM_NOT_FOUND = (
    "System.Management.Automation.ItemNotFoundException",
    "System.Management.Automation.SessionStateException",
    "System.Management.Automation.RuntimeException",
    "System.SystemException",
    "System.Exception",
)
UNAUTHORIZED = ("System.UnauthorizedAccessException", "System.SystemException", "System.Exception")
IO_ERROR = ("System.IO.IOException", "System.SystemException", "System.Exception")
FIRST_WITH_FILE_HASH = 9600
FIRST_WITH_CLOSE_HASH = 10240
ENCODINGS = {
    "ascii": "ascii",
    "utf8": "utf-8-sig",
    "unicode": "utf-16",
    "bigendianunicode": "utf-16-be",
    "default": "cp1252",
    "string": "utf-16",
    "oem": "cp437",
}

declare(
    "files.byte_content",
    {
        "list": "one list of numbers, as -ReadCount 0 says",
        "each": "one object per byte",
        "array": "one byte array",
    },
    open_question="in what form Get-Content -Encoding Byte -ReadCount 0 sends its bytes over a remote session",
    page="disable_ipv6",
)


# The files


def find(host: Host, path: str) -> File | None:
    return host.state(Files).files.get(_normal(path).lower())


def read(host: Host, path: str) -> bytes | None:
    """The content of a file, zeros where nobody said what is in it; None: no such file."""
    file = find(host, path)
    if file is None:
        return None
    return file.data if file.data is not None else bytes(file.size)


def write(host: Host, path: str, content: bytes) -> None:
    """Write a file in place, or a new one."""
    file = find(host, path)
    if file is None:
        file = File(_normal(path))
        host.state(Files).add(file)
    file.data, file.size, file.modified = content, len(content), host.now()


def is_folder(host: Host, path: str) -> bool:
    state, folder = host.state(Files), _normal(path).lower()
    below = f"{folder}\\"
    inside = any(name.startswith(below) for name in (*state.folders, *state.files))
    return len(folder) == 2 or folder in state.folders or inside


def _normal(path: str) -> str:
    return ntpath.normpath(path.removeprefix("Microsoft.PowerShell.Core\\FileSystem::")).rstrip("\\")


# Reading and writing


def paths(given: dict[str, Any]) -> list[str]:
    found = given.get("LiteralPath", given.get("Path"))
    return [found] if isinstance(found, str) else list(found or ())


def missing(path: str) -> ErrorRecord:
    text = f"Cannot find path '{path}' because it does not exist."
    return ErrorRecord(text, "PathNotFound", OBJECT_NOT_FOUND, ITEM_NOT_FOUND, target=path)


def denied(path: str, identifier: str) -> ErrorRecord:
    return ErrorRecord(
        f"Access to the path '{path}' is denied.", identifier, PERMISSION_DENIED, UNAUTHORIZED, target=path
    )


def encoding(given: dict[str, Any]) -> str:
    return str(getattr(given.get("Encoding"), "name", given.get("Encoding") or "Default")).lower()


@files.cmdlet("Get-Content")
def get_content(host: Host, given: dict[str, Any], items: list[Any]) -> Iterator[Any]:
    for path in paths(given):
        file, content = find(host, path), read(host, path)
        if file is None or content is None:
            yield missing(path)
        elif file.access == "denied":
            yield denied(path, "GetContentReaderUnauthorizedAccessError")
        elif encoding(given) == "byte":
            yield from [content] if given.get("Raw") else _bytes(host, content, given)
        else:
            text = content.decode(ENCODINGS[encoding(given)], "replace")
            yield from [text] if given.get("Raw") else text.splitlines()


def _bytes(host: Host, content: bytes, given: dict[str, Any]) -> Iterator[Any]:
    """-ReadCount 0 is all at once, 1 (the default) one by one; an empty file puts out nothing."""
    count = given.get("ReadCount", 1)
    form = host.switches["files.byte_content"] if count == 0 else "each"
    if not content:
        return
    if form == "each":
        yield from content
    else:
        yield list(content) if form == "list" else content


@files.cmdlet("Set-Content")
def set_content(host: Host, given: dict[str, Any], items: list[Any]) -> Iterator[Any]:
    for path in paths(given):
        yield from _put(host, path, b"", given)


@files.cmdlet("Add-Content")
def add_content(host: Host, given: dict[str, Any], items: list[Any]) -> Iterator[Any]:
    for path in paths(given):
        yield from _put(host, path, read(host, path) or b"", given)


def _put(host: Host, path: str, before: bytes, given: dict[str, Any]) -> Iterator[Any]:
    file = find(host, path)
    if not is_folder(host, ntpath.dirname(path)):
        text = f"Could not find a part of the path '{path}'."
        exception = ("System.IO.DirectoryNotFoundException", *IO_ERROR)
        yield ErrorRecord(text, "GetContentWriterDirectoryNotFoundError", OBJECT_NOT_FOUND, exception, target=path)
    elif file is not None and (file.access == "denied" or (file.access == "read_only" and not given.get("Force"))):
        yield denied(path, "GetContentWriterUnauthorizedAccessError")
    else:
        write(host, path, before + _written(given))


def _written(given: dict[str, Any]) -> bytes:
    value = given["Value"]
    values = [value] if isinstance(value, (str, bytes, int)) else list(value or ())
    if encoding(given) == "byte":
        return b"".join(each if isinstance(each, bytes) else bytes([int(each)]) for each in values)
    end = "" if given.get("NoNewline") else "\r\n"
    return "".join(f"{each!s}{end}" for each in values).encode(ENCODINGS[encoding(given)])


# Items


@files.cmdlet("Copy-Item")
def copy_item(host: Host, given: dict[str, Any], items: list[Any]) -> Iterator[Any]:
    for path in paths(given):
        file, content = find(host, path), read(host, path)
        target = str(given.get("Destination") or "")
        if file is None or content is None:
            yield missing(path)
            continue
        if is_folder(host, target):
            target = ntpath.join(target, ntpath.basename(file.path))
        there = find(host, target)
        if not is_folder(host, ntpath.dirname(target)):
            text = f"Could not find a part of the path '{target}'."
            yield ErrorRecord(text, "CopyError", WRITE_ERROR, IO_ERROR, target=path)
        elif there is not None and (
            there.access == "denied" or (there.access == "read_only" and not given.get("Force"))
        ):
            yield denied(target, "CopyFileInfoItemUnauthorizedAccessError")
        else:
            write(host, target, content)


@files.cmdlet("Remove-Item")
def remove_item(host: Host, given: dict[str, Any], items: list[Any]) -> Iterator[Any]:
    state = host.state(Files)
    for path in paths(given):
        name = _normal(path).lower()
        file = state.files.get(name)
        if file is not None and (file.access == "denied" or (file.access == "read_only" and not given.get("Force"))):
            yield denied(path, "RemoveFileSystemItemUnAuthorizedAccess")
        elif file is not None:
            del state.files[name]
        elif is_folder(host, path):
            below = [each for each in (*state.files, *state.folders) if each.startswith(f"{name}\\")]
            if below and not given.get("Recurse"):
                text = f"{path} has children and the Recurse parameter was not specified."
                yield ErrorRecord(text, "DirectoryNotEmpty", WRITE_ERROR, IO_ERROR, target=path)
                continue
            for each in (name, *below):
                state.files.pop(each, None)
                state.folders.pop(each, None)
        else:
            yield missing(path)


@files.cmdlet("New-Item")
def new_item(host: Host, given: dict[str, Any], items: list[Any]) -> Iterator[Any]:
    for folder in paths(given) or [""]:
        path = ntpath.join(folder, given["Name"]) if given.get("Name") else folder
        kind = str(given.get("ItemType") or "File").lower()
        taken = find(host, path) is not None or (kind == "file" and is_folder(host, path))
        if taken and not (given.get("Force") and kind == "file"):
            text = f"The file '{path}' already exists."
            yield ErrorRecord(text, "NewItemIOError", WRITE_ERROR, IO_ERROR, target=path)
            continue
        if kind in ("directory", "dir"):
            if is_folder(host, path) and not given.get("Force"):
                text = f"An item with the specified name {path} already exists."
                yield ErrorRecord(text, "DirectoryExist", RESOURCE_EXISTS, IO_ERROR, target=path)
                continue
            host.state(Files).folders[_normal(path).lower()] = _normal(path)
        else:
            write(host, path, str(given.get("Value") or "").encode("utf-8"))
        yield _item(host, path)


@files.cmdlet("Get-Item")
def get_item(host: Host, given: dict[str, Any], items: list[Any]) -> Iterator[Any]:
    for path in paths(given):
        if find(host, path) is None and not is_folder(host, path):
            yield missing(path)
        else:
            yield _item(host, path)


@files.cmdlet("Get-ChildItem")
def get_child_item(host: Host, given: dict[str, Any], items: list[Any]) -> Iterator[Any]:
    state = host.state(Files)
    for path in paths(given) or ["C:\\"]:
        if find(host, path) is not None:
            yield _item(host, path)
            continue
        if not is_folder(host, path):
            yield missing(path)
            continue
        start = f"{_normal(path).lower()}\\"
        # A folder is there for what lies below it, too.
        below = {name: file.path for name, file in state.files.items() if name.startswith(start)}
        below |= {name: whole for name, whole in state.folders.items() if name.startswith(start)}
        for whole in list(below.values()):
            while len(parent := ntpath.dirname(whole)) > len(start):
                below.setdefault(parent.lower(), parent)
                whole = parent
        for name in sorted(below):
            if given.get("Recurse") or "\\" not in name[len(start) :]:
                yield _item(host, below[name])


@files.cmdlet("Get-FileHash", available=lambda host: host.build >= FIRST_WITH_FILE_HASH)
def get_file_hash(host: Host, given: dict[str, Any], items: list[Any]) -> Iterator[Any]:
    algorithm = str(given.get("Algorithm") or "SHA256").upper()
    for path in paths(given):
        content = read(host, path)
        if content is None:
            yield missing(path)
            continue
        digest = hashlib.new(algorithm, content).hexdigest().upper()
        shown = {"Algorithm": algorithm, "Hash": digest, "Path": _normal(path)}
        yield PSObject(("Microsoft.Powershell.Utility.FileHash",), notes=shown)


@files.process("certutil.exe")
def certutil(host: Host, arguments: list[str], stdin: str) -> Output:
    """`-hashfile <file> SHA256`: the digits in pairs before Windows 10, together since; the words are translated."""
    if not arguments or arguments[0].lstrip("-/").lower() != "hashfile" or len(arguments) < 2:
        return Output("CertUtil: Unknown arg\r\n", exit_code=0x80070057)
    algorithm, content = (arguments[2] if len(arguments) > 2 else "SHA1"), read(host, arguments[1])
    if content is None:
        return Output("CertUtil: -hashfile command FAILED: 0x80070002\r\n", exit_code=0x80070002)
    digest = hashlib.new(algorithm, content).hexdigest()
    if host.build < FIRST_WITH_CLOSE_HASH:
        digest = " ".join(digest[place : place + 2] for place in range(0, len(digest), 2))
    german = host.language == "de-DE"
    head = f"{algorithm}-Hash der Datei {arguments[1]}:" if german else f"{algorithm} hash of file {arguments[1]}:"
    tail = (
        "CertUtil: -hashfile-Befehl wurde erfolgreich ausgeführt."
        if german
        else ("CertUtil: -hashfile command completed successfully.")
    )
    return Output(f"{head}\r\n{digest}\r\n{tail}\r\n")


@files.cmdlet("Test-Path")
def test_path(host: Host, given: dict[str, Any], items: list[Any]) -> Iterable[bool]:
    kind = str(getattr(given.get("PathType"), "name", given.get("PathType") or "Any")).lower()
    for path in paths(given):
        leaf, folder = find(host, path) is not None, is_folder(host, path)
        yield {"leaf": leaf, "container": folder}.get(kind, leaf or folder)


def _item(host: Host, path: str) -> PSObject:
    file = find(host, path)
    shown = file.path if file is not None else _normal(path)
    common = {"Name": ntpath.basename(shown), "FullName": shown, "Exists": True}
    if file is None:
        return PSObject(("System.IO.DirectoryInfo", "System.IO.FileSystemInfo"), common, {"PSIsContainer": True}, shown)
    properties = {
        **common,
        "Length": file.size,
        "DirectoryName": ntpath.dirname(shown),
        "IsReadOnly": file.access == "read_only",
        "LastWriteTimeUtc": file.modified or host.boot_time,
    }
    return PSObject(("System.IO.FileInfo", "System.IO.FileSystemInfo"), properties, {"PSIsContainer": False}, shown)
