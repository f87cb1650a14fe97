# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a caller finds at the host's address: WinRM, or something that is none.

In the fleet file, per host: `network: {answers: silent}`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import Provider

if TYPE_CHECKING:
    from ..host import Host

__all__ = ["Network"]

ANSWERS = ("winrm", "web_page", "silent")

network = Provider("network")


@dataclass
class Network:
    """`answers`: `winrm`; `web_page`, an ordinary web server; `silent`, which takes connections and says nothing."""

    answers: str = "winrm"


@network.section("network", Network)
def build(host: Host, data: Any, path: str) -> Network:
    from ..fleet import mapping, text

    given = mapping(data, path, {"answers"})
    return Network(text(given.get("answers", "winrm"), f"{path}.answers", ANSWERS))
