# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Points of a matrix, counted: what ``./dev faults`` tells at its end.

A point is one thing that was tried and had to end well. A test of a matrix asks for the fixture ``point``::

    def test_no_answer_breaks_us(point: Point) -> None:
        for answer in ANSWERS:
            with point("hostile servers: CIM", answer.kind):
                ...

The subject is a row of the table, ``module (scenario)``; the kind is what was done to it. A point is passed when its
block ends without an exception; an exception goes on to the test. ``message`` is the number of the request that a
point is about, where it is about one: the table then also says how many messages there are.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest

_PROPERTY = "point"


class Point(Protocol):
    """Counts a point: ``with point(subject, kind): ...``."""

    def __call__(
        self, subject: str, kind: str, message: int | None = None
    ) -> contextlib.AbstractContextManager[None]: ...


@pytest.fixture
def point(request: pytest.FixtureRequest) -> Point:
    """Counts points of the test that asks for it; see this file's docstring."""
    # A property of the test travels with its report, from a worker of xdist too.
    properties = request.node.user_properties

    @contextlib.contextmanager
    def count(subject: str, kind: str, message: int | None = None) -> Iterator[None]:
        passed = False
        try:
            yield
            passed = True
        finally:
            properties.append((_PROPERTY, [subject, kind, message, passed]))

    return count


@dataclass
class _Count:
    tried: int = 0
    passed: int = 0

    def add(self, passed: bool) -> None:
        self.tried += 1
        self.passed += passed

    def as_dict(self) -> dict[str, int]:
        return {"tried": self.tried, "passed": self.passed}


@dataclass
class _Row(_Count):
    messages: set[int] = field(default_factory=set)
    kinds: defaultdict[str, _Count] = field(default_factory=lambda: defaultdict(_Count))


class Table:
    """What was tried in this run. Sees every report, those of xdist's workers too."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._rows: defaultdict[str, _Row] = defaultdict(_Row)
        self._tests: defaultdict[str, int] = defaultdict(int)
        self._began = time.time()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            self._tests[report.outcome] += 1
        if report.when != "call":
            return
        for name, value in report.user_properties:
            if name == _PROPERTY:
                self._add(*value)  # type: ignore[misc]  # pytest calls every value an object

    def _add(self, subject: str, kind: str, message: int | None, passed: bool) -> None:
        row = self._rows[subject]
        row.add(passed)
        row.kinds[kind].add(passed)
        if message is not None:
            row.messages.add(message)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if not self._rows:
            return
        terminalreporter.section("points")
        for line in self.lines():
            terminalreporter.write_line(line)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(self.as_dict(), indent=2) + "\n", encoding="utf-8")

    def lines(self) -> Iterator[str]:
        """The table, as text."""
        heads = ("module (scenario)", "messages", "points", "passed")
        cells = [
            (name, str(len(row.messages) or ""), str(row.tried), str(row.passed))
            for name, row in sorted(self._rows.items())
        ]
        total = ("all", "", str(self._sum("tried")), str(self._sum("passed")))
        widths = [max(len(line[column]) for line in (heads, *cells, total)) for column in range(len(heads))]
        for line in (heads, *cells, total):
            first, *numbers = line
            yield "  ".join(
                [first.ljust(widths[0]), *(text.rjust(width) for text, width in zip(numbers, widths[1:], strict=True))]
            )

    def as_dict(self) -> dict[str, Any]:
        """The table, for pages that quote it. Seconds of the whole run; tests by outcome."""
        return {
            "seconds": round(time.time() - self._began),
            "tests": dict(self._tests),
            "points": {"tried": self._sum("tried"), "passed": self._sum("passed")},
            "subjects": [
                {
                    "subject": name,
                    "messages": len(row.messages) or None,
                    **row.as_dict(),
                    "kinds": {kind: count.as_dict() for kind, count in sorted(row.kinds.items())},
                }
                for name, row in sorted(self._rows.items())
            ],
        }

    def _sum(self, what: str) -> int:
        return sum(getattr(row, what) for row in self._rows.values())


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--points", metavar="FILE", help="print how many points were tried, and write them to this file")


def pytest_configure(config: pytest.Config) -> None:
    # Workers of xdist report to the process that was started, and it alone counts.
    if (file := config.getoption("--points")) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Table(Path(file)), "points")
