# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""winsim: a simulated fleet of Windows hosts that speaks WS-Management.

fleet = Fleet.load("fleet.yml")
with serve(fleet) as served:
    ...
"""

from __future__ import annotations

from typing import Any

from .fleet import Fleet, FleetFileError
from .host import Host

__all__ = ["Fleet", "FleetFileError", "Host", "serve"]


def __getattr__(name: str) -> Any:
    # Sockets, TLS and NTLM are heavy to import and a pure state needs none of them.
    if name == "serve":
        from .http import serve

        return serve
    raise AttributeError(name)
