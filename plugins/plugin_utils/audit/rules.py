# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the rule behind a module is written down: its procedure's page, public sources. For this collection only."""

from __future__ import annotations

import importlib
from typing import Any

import yaml

_MODULES = "ansible_collections.fieldnotes.windows.plugins.modules"

# The pages are named like the procedure; a module that only reads belongs to the procedure whose state it tells.
_PROCEDURES = {
    "cim_instance": "cim",
    "cim_method": "cim",
    "cim_query": "cim",
    "hang_recovery_info": "hang_recovery",
    "ipv6_info": "disable_ipv6",
    "kms_host_info": "kms_host",
    "nlb_info": "nlb_mode",
    "outlook_anywhere_info": "disable_ipv6",
    "snapshot_offline_action_info": "snapshot_offline_action",
}


def rule(module: str) -> dict[str, Any]:
    """Of a module: ``summary``, ``page`` (a path in the collection), ``sources``, each with ``name`` and ``link``."""
    procedure = _PROCEDURES.get(module, module)
    told = _documentation(module)
    main = "cim_query" if procedure == "cim" else procedure
    sources = {
        entry["link"]: {"name": entry["name"], "link": entry["link"]}
        for documentation in (told, _documentation(main))
        for entry in documentation.get("seealso", ())
        if "link" in entry
    }
    return {
        "summary": str(told["short_description"]),
        "page": f"docs/procedures/{procedure}.md",
        "sources": list(sources.values()),
    }


def _documentation(module: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(importlib.import_module(f"{_MODULES}.{module}").DOCUMENTATION)
    return found
