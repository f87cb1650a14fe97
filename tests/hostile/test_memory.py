# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How much memory a hostile answer may cost: measured in a process of its own that may have no more than a gibibyte."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hostile.server import Asked, Hostile, enumerated, envelope, http
from support.points import Point

MOST = 256 * 2**20
"""Bytes by which the largest of the answers may make a worker of Ansible grow."""

# Asks one server after another, and says of each what came of it and how much the process has grown at most.
CHILD = """
import json, resource, sys
sys.path.insert(0, sys.argv[1])
import support
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.errors import FieldnotesError
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.windows.cluster import Cluster
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.session import Session
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.settings import Settings

def peak():
    # Not ru_maxrss: Linux counts in it what the process had been before it became this program.
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

start = peak()
resource.setrlimit(resource.RLIMIT_AS, (start + 2**30, start + 2**30))
for line in sys.stdin:
    with Session(Settings(**json.loads(line))) as session:
        try:
            outcome = f"{len(session.cim.query(Cluster))} instances"
        except FieldnotesError as error:
            outcome = f"{type(error).__name__}: {error}"
    print(json.dumps([outcome, peak() - start]), flush=True)
"""

Says = Callable[[Hostile, Asked], Iterable[bytes]]


def body(text: str) -> Says:
    """An envelope with this body."""
    return lambda server, asked: [http(envelope(text, asked.message_id))]


def flood(head: bytes, piece: bytes) -> Says:
    """An answer without end, as fast as it is taken."""

    def says(server: Hostile, asked: Asked) -> Iterable[bytes]:
        yield head
        yield from server.flood(piece)

    return says


MANY = b"x" * 65536
CHUNKED = {"Content-Length": "", "Transfer-Encoding": "chunked"}
ANSWERS: dict[str, Says] = {
    "small": body(enumerated("")),
    "deep": body("<a>" * 2_000_000 + "</a>" * 2_000_000),
    "elements": body("<a/>" * 7_000_000),
    "elements that are allowed": body("<a/>" * 450_000),
    "attributes": body("<a " + " ".join(f'a{n}=""' for n in range(2_000_000)) + "/>"),
    "text": body("x" * 30_000_000),
    "wide text": body("𝄞" * 7_000_000),
    "more than the bound": body("x" * 40_000_000),
    "chunks without end": flood(http(headers=CHUNKED), b"10000\r\n" + MANY + b"\r\n"),
    "refusal without end": flood(b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n", MANY),
    "a head without end": flood(b"HTTP/1.1 200 OK\r\nX: ", MANY),
    "laughs": lambda server, asked: [
        http(
            "<!DOCTYPE s [<!ENTITY a '" + "ha" * 10_000 + "'>"
            "<!ENTITY b '" + "&a;" * 1000 + "'><!ENTITY c '" + "&b;" * 1000 + "'>]>"
            + envelope("<a>&c;</a>", asked.message_id)
        )
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["small", "elements", "laughs", "refusal without end"], id="a few"),
        pytest.param(list(ANSWERS), id="all", marks=pytest.mark.faults),
    ],
)
def test_memory_stays_bounded(names: list[str], point: Point) -> None:
    tests = str(Path(__file__).parents[1])
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, tests], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for name in names:
            server = Hostile(lambda asked: ())
            server.script = functools.partial(ANSWERS[name], server)
            with point("hostile servers: memory", name), server:
                child.stdin.write(json.dumps(settings_of(server)) + "\n")
                child.stdin.flush()
                line = child.stdout.readline()
                assert line, f"the process died of {name}"
                outcome, grown = json.loads(line)
                assert outcome == "0 instances" if name == "small" else ": " in outcome
                assert grown < MOST, f"{name}: {grown // 2**20} MiB"
        child.stdin.close()
    assert child.returncode == 0


def settings_of(server: Hostile) -> dict[str, Any]:
    """What a session to a server needs, with time for large answers."""
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "ssl": True,
        "path": "wsman",
        "username": "Administrator",
        "password": "Never-Told-2026",
        "auth": "basic",
        "cert_validation": str(server.ca),
        "read_timeout": 60,
    }
