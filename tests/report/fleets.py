# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What fleet_info returns, made up: fleets of any size, and one whose hosts answer with what could break a page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

MODULES = (
    "disable_ipv6",
    "hang_recovery",
    "kms_host",
    "nlb_mode",
    "ipv6_info",
    "nlb_info",
    "kms_host_info",
    "cim_query",
)
STEP = "set DisabledComponents from absent to 0x20"
HOSTILE = (
    "</script><script>document.title = 'pwned'</script>",
    "<img src=x onerror=\"document.title = 'pwned'\">",
    "<!--<script>",
    "' onmouseover='document.title = 1",
    "{{ 7 * 7 }} $style ${title} \u2028 \x00 \ud800 é",
    "__proto__",
)


def entry(module: str, state: str, **result: Any) -> dict[str, Any]:
    """One procedure of one host. msg and refusal: of the entry; what else is given: of the module's own result."""
    told = {name: result.pop(name, default) for name, default in (("msg", ""), ("refusal", None))}
    return {"module": module, "state": state, **told, "result": result}


def returned(hosts: Iterable[tuple[str, dict[str, dict[str, Any]]]]) -> dict[str, Any]:
    """The result of the task."""
    return {
        "changed": False,
        "counts": {},
        "hosts": {
            name: {"state": "answered", "msg": "", "seconds": 0.1, "procedures": procedures}
            for name, procedures in hosts
        },
    }


def large(count: int) -> dict[str, Any]:
    """Hosts H0001, H0002 ... with eight procedures each: every tenth would change, every fiftieth is unreachable."""
    return returned((f"H{number:04d}", _host(number)) for number in range(1, count + 1))


def hostile() -> dict[str, Any]:
    """Hosts, messages, steps, names and values that are markup, scripts, templates, or no text at all."""
    return returned((text, _hostile(text)) for text in HOSTILE)


def _hostile(text: str) -> dict[str, dict[str, Any]]:
    result = {
        "steps": [{"name": text, "status": "planned", "seconds": 0.0}],
        "before": {text: text},
        "after": {text: [text, {"deep": text}]},
        "warnings": [text],
        text: text,
    }
    return {
        "disable_ipv6": entry("disable_ipv6", "would_change", **result),
        "nlb_mode": entry("nlb_mode", "refused", msg=text, refusal=text),
        HOSTILE[0]: entry("nlb_info", "answered", clusters=[text, 2**64 - 1, float("inf"), None]),
    }


def _host(number: int) -> dict[str, dict[str, Any]]:
    if number % 50 == 0:
        return {
            name: entry(name, "unreachable", msg=f"no answer within 60 s from 10.0.{number // 250}.9")
            for name in MODULES
        }
    return {name: _answer(name, number) for name in MODULES}


def _answer(module: str, number: int) -> dict[str, Any]:
    if module.endswith("_info") or module == "cim_query":
        return entry(module, "answered", instances=[{"Name": f"service {n}", "Size": number * n} for n in range(8)])
    changes = number % 10 == 0
    return entry(
        module,
        "would_change" if changes else "compliant",
        steps=[{"name": STEP, "status": "planned", "seconds": 0.0}] if changes else [],
        before={"value": number, "present": True},
        after={"value": 32 if changes else number, "present": True},
        reboot_required=changes,
        warnings=[],
    )
