# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Starts the server of the benchmarks and asks it what it saw."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_SECONDS_TO_STOP = 10.0


@dataclass(frozen=True)
class Traffic:
    """What the server saw since it was last asked. received, sent: bytes of HTTP; cpu: seconds of its own."""

    connections: int
    requests: int
    received: int
    sent: int
    cpu: float


class Server:
    """A served fleet in its own process. inventories: by connection, such as ``psrp https basic``."""

    def __init__(self, pid: int, ask: IO[str], answers: IO[str]) -> None:
        self.pid = pid
        self._ask = ask
        self._answers = answers
        self.inventories: dict[str, dict[str, Any]] = json.loads(answers.readline() or "{}")

    def traffic(self) -> Traffic:
        """What came and went since the last time."""
        self._ask.write("\n")
        self._ask.flush()
        return Traffic(**json.loads(self._answers.readline()))


@contextlib.contextmanager
def serving(fleet: Mapping[str, Any], folder: Path) -> Iterator[Server]:
    """Serves a fleet while the block lasts. folder: where its description is written."""
    file = folder / "fleet.json"
    file.write_text(json.dumps(fleet), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.server", str(file)],
        cwd=Path(__file__).resolve().parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Server(process.pid, process.stdin, process.stdout)
    finally:
        process.stdin.close()
        try:
            process.wait(_SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
