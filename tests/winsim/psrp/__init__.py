# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PowerShell remoting (MS-PSRP over MS-WSMV shells): typed commands, played by providers."""

from __future__ import annotations

from .objects import Credential, Secret, Wait
from .pipeline import Call
from .shell import CALLS, called, describe, dispatch, end_shells, owns, shells

__all__ = [
    "CALLS",
    "Call",
    "Credential",
    "Secret",
    "Wait",
    "called",
    "describe",
    "dispatch",
    "end_shells",
    "owns",
    "shells",
]
