# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whole files between a host and the controller, in the session that is open, proved by SHA-256 on both sides.

For this collection only. Through typed item cmdlets: the file operations of Ansible's connection plugins would send
PowerShell scripts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ..errors import CmdletFailed, MalformedAnswer
from ..wsman.cmdlets import SWITCH, Cmdlet, Cmdlets, PSObject
from ..wsman.process import Processes
from .files import HasCmdlets, read_bytes
from .operating_system import SERVER_2012

_MODULE = "Microsoft.PowerShell.Management"
SERVER_2012_R2 = 9600
CHUNK = 256 * 1024
"""Bytes of a file in one request; base64 makes a third more of them."""

GET_RAW_CONTENT = Cmdlet("Get-Content", _MODULE, ("LiteralPath", "Encoding", "Raw"))
SET_CONTENT = Cmdlet("Set-Content", _MODULE, ("LiteralPath", "Encoding", "Value"))
ADD_CONTENT = Cmdlet("Add-Content", _MODULE, ("LiteralPath", "Encoding", "Value"))
GET_CHILD_ITEM = Cmdlet("Get-ChildItem", _MODULE, ("LiteralPath", "Recurse", "Force"))
NEW_ITEM = Cmdlet("New-Item", _MODULE, ("ItemType", "Path", "Force"))
REMOVE_ITEM = Cmdlet("Remove-Item", _MODULE, ("LiteralPath", "Recurse", "Force"))
TEST_PATH = Cmdlet("Test-Path", _MODULE, ("LiteralPath",))
GET_FILE_HASH = Cmdlet("Get-FileHash", "Microsoft.PowerShell.Utility", ("LiteralPath", "Algorithm"))


class HasProcesses(Protocol):
    """What hashing needs of a host."""

    @property
    def cmdlets(self) -> Cmdlets:
        """Typed cmdlets."""

    @property
    def processes(self) -> Processes:
        """Processes, where a cmdlet is too new."""


@dataclass(frozen=True)
class RemoteFile:
    """A file on the host. size: bytes."""

    path: str
    size: int


def exists(host: HasCmdlets, path: str) -> bool:
    """Whether a file or folder is there. Errors: CmdletFailed."""
    return host.cmdlets.run(TEST_PATH(LiteralPath=path), attempted=f"looking for {path}").output[-1:] == (True,)


def make_folder(host: HasCmdlets, path: str) -> None:
    """Makes a folder and those above it; one that is there stays. Errors: CmdletFailed."""
    host.cmdlets.run(NEW_ITEM(ItemType="Directory", Path=path, Force=SWITCH), attempted=f"making {path}")


def remove_tree(host: HasCmdlets, path: str) -> None:
    """Removes a file, or a folder with all that is in it; an absent one is no error. Errors: CmdletFailed."""
    if exists(host, path):
        host.cmdlets.run(REMOVE_ITEM(LiteralPath=path, Recurse=SWITCH, Force=SWITCH), attempted=f"removing {path}")


def list_files(host: HasCmdlets, folder: str) -> list[RemoteFile]:
    """All files below a folder, by path; none where there is no such folder. Errors: CmdletFailed."""
    if not exists(host, folder):
        return []
    command = GET_CHILD_ITEM(LiteralPath=folder, Recurse=SWITCH, Force=SWITCH)
    output = host.cmdlets.run(command, attempted=f"listing {folder}").output
    found = [one for one in output if isinstance(one, PSObject) and one.get("Length") is not None]
    return sorted(
        (RemoteFile(str(one.get("FullName")), one.number("Length")) for one in found), key=lambda file: file.path
    )


def file_hash(host: HasProcesses, path: str, build: int, windows_directory: str) -> str:
    """SHA-256 of a file as the host computes it, hex in lower case. Errors: CmdletFailed, ProcessFailed."""
    attempted = f"hashing {path}"
    if build >= SERVER_2012_R2:
        output = host.cmdlets.run(GET_FILE_HASH(LiteralPath=path, Algorithm="SHA256"), attempted=attempted).output
        found = next((str(one.get("Hash")) for one in output if isinstance(one, PSObject)), "")
    else:
        tool = f"{windows_directory}\\System32\\certutil.exe"
        text = host.processes.run(tool, ["-hashfile", path, "SHA256"], attempted).output
        # Only the line of 64 hex digits counts, printed with or without blanks; the rest is localised.
        lines = (line.replace(" ", "").strip() for line in text.splitlines())
        found = next((line for line in lines if re.fullmatch(r"[0-9A-Fa-f]{64}", line)), "")
    if len(found) != 64:
        raise MalformedAnswer(f"{attempted}: the host gave no hash")
    return found.lower()


def read_file(host: HasCmdlets, path: str, build: int) -> bytes:
    """The content of a file. Errors: CmdletFailed, MalformedAnswer."""
    if build < SERVER_2012:
        return read_bytes(host, path)
    # -Raw with -Encoding Byte gives the file as one byte array, which travels as base64.
    command = GET_RAW_CONTENT(LiteralPath=path, Encoding="Byte", Raw=SWITCH)
    output = host.cmdlets.run(command, attempted=f"reading {path}").output
    if len(output) == 1 and isinstance(output[0], bytes):
        return output[0]
    content = bytearray()
    for value in output:
        try:
            content += bytes([value]) if isinstance(value, int) else bytes(value)
        except (TypeError, ValueError) as error:
            raise MalformedAnswer(f"reading {path}: something else came where bytes were asked for") from error
    return bytes(content)


def write_file(host: HasCmdlets, path: str, content: bytes, progress: Callable[[int], None] = lambda _: None) -> None:
    """Writes a file in chunks; progress: bytes written so far. Errors: CmdletFailed."""
    for start in range(0, max(len(content), 1), CHUNK):
        cmdlet = ADD_CONTENT if start else SET_CONTENT
        command = cmdlet(LiteralPath=path, Encoding="Byte", Value=content[start : start + CHUNK])
        host.cmdlets.run(command, attempted=f"writing {path}")
        progress(min(start + CHUNK, len(content)))


def digest(content: bytes) -> str:
    """SHA-256 of bytes, hex in lower case."""
    return hashlib.sha256(content).hexdigest()


def last_lines(host: HasCmdlets, path: str, count: int) -> list[str]:
    """The last lines of a log file, for messages; none where it cannot be read."""
    try:
        content = read_bytes(host, path)
    except (CmdletFailed, MalformedAnswer):
        return []
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    return content.decode(encoding, errors="replace").splitlines()[-count:]
