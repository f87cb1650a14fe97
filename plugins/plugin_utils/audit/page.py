# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An audit as one HTML page that needs nothing else. For this collection only."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

_LARGEST = 2**53 - 1


def page(audit: Mapping[str, Any]) -> bytes:
    """The page, as UTF-8.

    The audit stands in it as data that no browser runs, and the policy of the page lets only its own script and style
    work: a name or a value from a host can neither end the data nor start anything.
    """
    style, script = _part("page.css"), _part("page.js")
    text = Template(_part("page.html")).substitute(
        policy=_policy(style, script),
        title=html.escape(str(audit["title"])),
        style=style,
        script=script,
        report=embedded(audit),
    )
    return text.encode("utf-8", "xmlcharrefreplace")


def embedded(value: Any) -> str:
    """JSON in which nothing looks like markup, and whose numbers JavaScript can hold."""
    text = json.dumps(_exact(value), separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _exact(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _exact(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_exact(inner) for inner in value]
    # JavaScript would round a uint64 without a word.
    return str(value) if isinstance(value, int) and abs(value) > _LARGEST else value


def _policy(style: str, script: str) -> str:
    sources = {"style-src": _hash(style), "script-src": _hash(script), "img-src": "data:"}
    allowed = "; ".join(f"{name} {source}" for name, source in sources.items())
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode('utf-8')).digest()).decode('ascii')}'"


@cache
def _part(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
