# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files as a service of the host writes them: folders made on the way, free space of the volume counted."""

from __future__ import annotations

from winsim.host import Host

from .. import files
from ..operating_system import Files, Volumes

__all__ = ["DiskFull", "is_folder", "listing", "make_folder", "read", "write"]

is_folder = files.is_folder
read = files.read


class DiskFull(Exception):
    """There is not enough space on the volume."""


def make_folder(host: Host, path: str) -> None:
    """Make a folder and those above it."""
    parts = path.rstrip("\\").split("\\")
    for end in range(2, len(parts) + 1):
        whole = "\\".join(parts[:end])
        host.state(Files).folders.setdefault(whole.lower(), whole)


def listing(host: Host, path: str) -> list[str]:
    """Everything below a folder: files and folders."""
    start = f"{path.rstrip(chr(92)).lower()}\\"
    state = host.state(Files)
    found = [each.path for name, each in state.files.items() if name.startswith(start)]
    return found + [whole for name, whole in state.folders.items() if name.startswith(start)]


def write(host: Host, path: str, data: bytes) -> None:
    """Write a file and make its folder. Raises DiskFull."""
    letter = path[:2].upper()
    volume = next((each for each in host.state(Volumes).volumes if each.letter == letter), None)
    before = files.find(host, path)
    grows = len(data) - (before.size if before is not None else 0)
    if volume is not None:
        if grows > volume.free:
            raise DiskFull("There is not enough space on the disk.")
        volume.free -= grows
    make_folder(host, path.rpartition("\\")[0])
    files.write(host, path, data)
