# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What came out: rows, ratios, a table, a chart."""

from __future__ import annotations

import html
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .measuring import BUNDLED, Samples, Variant
from .units import CHANGING, EMPTY, INSTEAD, OURS, STEADY, THEIRS

PING, GOAL, PROCEDURE = INSTEAD[0].name, INSTEAD[-1].name, STEADY[0].name
FULL = ("psrp https basic", "psrp http ntlm")
SHORT = (BUNDLED, "winrm https basic", "winrm http ntlm")


def variants(*, check: bool) -> list[Variant]:
    """What a run measures. check: only what the ratios need."""
    short = [EMPTY, STEADY[0], INSTEAD[0]]
    full = [*short, INSTEAD[-1]] if check else [EMPTY, *STEADY, *CHANGING, *INSTEAD]
    found = [Variant(unit, connection) for connection in FULL for unit in full]
    return found + [Variant(unit, connection) for connection in SHORT for unit in short]


@dataclass(frozen=True)
class Row:
    """One line of the table: medians over the rounds, for one unit on one host; above_ms: over the empty action."""

    connection: str
    unit: str
    whose: str
    cpu_ms: float
    cpu_least_ms: float
    cpu_most_ms: float
    above_ms: float
    wall_ms: float
    requests: float
    connections: float
    bytes_sent: float
    bytes_received: float
    worker_rss_mib: float
    host_cpu_ms: float


def rows(measured: Sequence[tuple[Variant, Samples]]) -> list[Row]:
    """The rows. What is above the empty action is taken round by round, so that a busy minute counts for both."""
    empty = {variant.connection: samples for variant, samples in measured if variant.unit is EMPTY}
    found = []
    for variant, samples in measured:
        least, most = samples.spread("cpu")
        above = statistics.median(
            one.cpu - none.cpu for one, none in zip(samples.rounds, empty[variant.connection].rounds, strict=True)
        )
        found.append(
            Row(
                connection=variant.connection,
                unit=variant.unit.name,
                whose=variant.unit.whose,
                cpu_ms=_ms(samples.median("cpu")),
                cpu_least_ms=_ms(least),
                cpu_most_ms=_ms(most),
                above_ms=_ms(above),
                wall_ms=_ms(samples.median("wall")),
                requests=round(samples.median("requests"), 1),
                connections=round(samples.median("connections"), 1),
                # What the host receives the controller sends.
                bytes_sent=round(samples.median("received")),
                bytes_received=round(samples.median("sent")),
                worker_rss_mib=round(samples.worker_rss / 2**20),
                host_cpu_ms=_ms(samples.median("server_cpu")),
            )
        )
    return found


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 1)


def ratios(found: Sequence[Row]) -> dict[str, dict[str, float]]:
    """How many times more the other way costs, by connection."""
    by_name = {(row.connection, row.unit): row for row in found}
    result: dict[str, dict[str, float]] = {}
    for connection in dict.fromkeys(row.connection for row in found):
        ours = by_name[connection, PROCEDURE]
        result[connection] = {}
        for name, unit in (("win_ping", PING), ("the same goal", GOAL)):
            if theirs := by_name.get((connection, unit)):
                result[connection][f"processor time, {name}"] = round(theirs.above_ms / ours.above_ms, 2)
                result[connection][f"bytes sent, {name}"] = round(theirs.bytes_sent / ours.bytes_sent, 1)
    return result


def too_small(
    found: Mapping[str, Mapping[str, float]], bounds: Mapping[str, Mapping[str, float]], tolerance: float
) -> list[str]:
    """A line for each ratio that is below its bound by more than the tolerance, a share of the bound."""
    return [
        f"{connection}, {name}: {found[connection][name]}, and at least {bound} is expected"
        for connection, named in bounds.items()
        for name, bound in named.items()
        if found[connection][name] < bound * (1 - tolerance)
    ]


def table(found: Sequence[Row]) -> str:
    """The rows in Markdown."""
    head = (
        "| over | task | CPU ms | from to | above empty | wall ms | requests | bytes sent | received | RSS MiB |\n"
        "|---|---|---:|---|---:|---:|---:|---:|---:|---:|\n"
    )
    return head + "".join(
        f"| {row.connection} | {row.unit} | {row.cpu_ms:.1f} | {row.cpu_least_ms:.1f} to {row.cpu_most_ms:.1f} "
        f"| {row.above_ms:+.1f} | {row.wall_ms:.0f} | {row.requests:.0f} | {row.bytes_sent:,} "
        f"| {row.bytes_received:,} | {row.worker_rss_mib:.0f} |\n"
        for row in found
    )


def plain(found: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows for JSON."""
    return [asdict(row) for row in found]


_LEFT, _BAR, _HEIGHT, _GAP = 330, 430, 18, 6
_COLOURS = {OURS: "#1b7f5c", THEIRS: "#b3541e"}


def chart(found: Sequence[Row], connection: str) -> str:
    """Bars of the processor time above the empty action over one connection, as SVG."""
    bars = [row for row in found if row.connection == connection and row.whose]
    scale = _BAR / max(row.above_ms for row in bars)
    height = 40 + len(bars) * (_HEIGHT + _GAP) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _BAR + 80} {height}" '
        'font-family="sans-serif" font-size="13">',
        "<title>Processor time of the controller for one task on one host</title>",
        f'<rect width="{_LEFT + _BAR + 80}" height="{height}" fill="#ffffff"/>',
        f'<text x="8" y="20" font-weight="bold">CPU ms above an empty task, {html.escape(connection)}</text>',
    ]
    for number, row in enumerate(bars):
        top = 36 + number * (_HEIGHT + _GAP)
        width = max(1.0, row.above_ms * scale)
        name = f"{row.whose}: {row.unit}" if row.whose == OURS else row.unit
        parts.append(f'<text x="{_LEFT - 8}" y="{top + 13}" text-anchor="end">{html.escape(name)}</text>')
        parts.append(
            f'<rect x="{_LEFT}" y="{top}" width="{width:.0f}" height="{_HEIGHT}" fill="{_COLOURS[row.whose]}"/>'
        )
        parts.append(f'<text x="{_LEFT + width + 6:.0f}" y="{top + 13}">{row.above_ms:.1f}</text>')
    return "\n".join([*parts, "</svg>", ""])
