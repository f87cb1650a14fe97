# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an audit found, in the form that the JSON file and the page share. For this collection only."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ..errors import FieldnotesError
from .rules import rule

FORMAT = 1
NOT_THERE = "not_there"
STATES = ("would_change", "refused", "failed", "unreachable", "compliant", "answered", NOT_THERE)

_COLLECTION = Path(__file__).resolve().parents[3]
# What every result has; the rest is the procedure's own.
_COMMON = frozenset({
    "after", "before", "changed", "diff", "failed", "failure", "msg", "reboot_required", "refusal", "resumed", "steps",
    "unreachable", "warnings",
})  # fmt: skip


def document(
    fleets: Sequence[Mapping[str, Any]],
    title: str,
    created: str,
    arguments: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """The audit as JSON has it.

    fleets: what ``fleet_info`` returned, each time it was asked; created: ISO 8601; arguments: what each procedure was
    asked for, by its label. The same input always gives the same document: how long things took is left out.
    Errors: FieldnotesError where ``fleets`` holds something else.
    """
    try:
        found = [(name, host["procedures"]) for fleet in fleets for name, host in fleet["hosts"].items()]
        hosts: dict[str, dict[str, Any]] = {}
        modules: dict[str, str] = {}
        for name, procedures in found:
            for label, entry in procedures.items():
                modules.setdefault(label, entry["module"])
                hosts.setdefault(name, {})[label] = _cell(entry)
        asked = arguments or {}
        order = [label for label in asked if label in modules] + [label for label in modules if label not in asked]
        columns = [_procedure(label, modules[label], asked.get(label, {})) for label in order]
    except (AttributeError, ImportError, KeyError, TypeError) as error:
        raise FieldnotesError(
            "fleet is not what the module fleet_info returned: register that task and give its whole result "
            f"({type(error).__name__}: {error})"
        ) from error
    counts = dict.fromkeys(STATES, 0)
    for cells in hosts.values():
        for cell in cells.values():
            counts[cell["state"]] += 1
    plain: dict[str, Any] = _plain({
        "format": FORMAT,
        "title": title,
        "created": created,
        "collection": {"name": "fieldnotes.windows", "version": version()},
        "counts": counts,
        "procedures": columns,
        "hosts": [{"name": name, "procedures": cells} for name, cells in hosts.items()],
    })  # fmt: skip
    return plain


def as_json(audit: Mapping[str, Any]) -> bytes:
    """The text of the JSON file, pure ASCII, so that no reader can take it for something else."""
    return (json.dumps(audit, indent=1, allow_nan=False) + "\n").encode("ascii")


def version() -> str:
    """Of this collection, installed or in its repository; empty where neither says."""
    for name, path in (("MANIFEST.json", ("collection_info", "version")), ("galaxy.yml", ("version",))):
        file = _COLLECTION / name
        if file.is_file():
            found: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
            for key in path:
                found = found[key]
            return str(found)
    return ""


def _procedure(label: str, module: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {"label": label, "module": module, "arguments": dict(arguments), **rule(module)}


def _cell(entry: Mapping[str, Any]) -> dict[str, Any]:
    result = entry["result"]
    return {
        "state": _state(entry),
        "msg": entry["msg"],
        "refusal": entry["refusal"],
        "steps": [step["name"] for step in result.get("steps", ())],
        "reboot_required": bool(result.get("reboot_required")),
        "resumed": bool(result.get("resumed")),
        "warnings": list(result.get("warnings", ())),
        "before": result.get("before"),
        "after": result.get("after"),
        "values": {name: value for name, value in result.items() if name not in _COMMON},
    }


def _state(entry: Mapping[str, Any]) -> str:
    """As fleet_info says; a module that only reads and refuses has found that there is nothing to tell about."""
    reads = entry["module"].endswith("_info") or entry["module"] == "cim_query"
    state = NOT_THERE if reads and entry["state"] == "refused" else entry["state"]
    if state not in STATES:
        raise KeyError(state)
    return str(state)


def _plain(value: Any) -> Any:
    """Only what JSON and Unicode have: a CIM real may be infinite, and text may hold half a surrogate pair."""
    if isinstance(value, Mapping):
        return {_text(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, (bool, int)) else _text(value)


def _text(value: Any) -> str:
    return str(value).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
