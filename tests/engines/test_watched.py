# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What people see of a run in ansible-navigator and in ARA: progress, steps, why a host failed, and no secret."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engines.tools import SECRET, Tools
from winsim import Fleet, serve
from winsim.http import Served

FLEET: dict[str, Any] = {
    "hosts": {
        "KMS1": {"licensing": {"keys": {SECRET: {"kind": "kms_host", "group": "ws2022", "channel": "WS22"}}}},
        "PLAIN": {},
        "GONE": {"network": {"answers": "web_page"}},
    }
}
PLAY = {
    "name": "A KMS host",
    "hosts": "windows",
    "gather_facts": False,
    "tasks": [
        {
            "name": "Install the key and let clients in",
            "fieldnotes.windows.kms_host": {"product_key": "{{ key }}", "firewall": "open"},
            "when": "inventory_hostname != 'PLAIN'",
        },
        {
            "name": "Set the mode",
            "fieldnotes.windows.nlb_mode": {"mode": "multicast"},
            "when": "inventory_hostname == 'PLAIN'",
        },
    ],
}
INSTALL = "install KMS host key ending AAAAA"


@pytest.fixture
def served() -> Iterator[Served]:
    with serve(Fleet.load(FLEET)) as served:
        yield served


@pytest.fixture
def command(served: Served, tools: Tools) -> list[str | Path]:
    """What follows the name of the command that runs the play."""
    variables = tools.write("secret.yml", {"key": SECRET})
    inventory = tools.write("inventory.yml", served.inventory())
    return [tools.write("play.yml", [PLAY]), "-i", inventory, "-e", f"@{variables}"]


def holders(folder: Path, *known: str) -> list[str]:
    """The files below a folder that hold the secret, but those that the user wrote."""
    files = [file for file in folder.rglob("*") if file.is_file() and file.name not in known]
    assert files
    return [str(file) for file in files if SECRET.encode() in file.read_bytes()]


def test_navigator_shows_progress_and_keeps_steps_and_reasons(tools: Tools, command: list[str | Path]) -> None:
    artifact = tools.folder / "artifact.json"
    options = ["--mode", "stdout", "--execution-environment", "false", "--playbook-artifact-enable", "true"]
    places: list[str | Path] = ["--playbook-artifact-save-as", artifact, "--log-file", tools.folder / "navigator.log"]
    shown = tools.run("ansible-navigator", "run", *command, *options, *places, code=4).decode()
    assert re.search(rf"^\[KMS1\] .*{INSTALL}", shown, re.MULTILINE), shown
    assert "answers, but not as WinRM (HTTP 404)" in shown

    content = json.loads(artifact.read_text(encoding="utf-8"))
    tasks = [task for play in content["plays"] for task in play["tasks"]]
    results = {task["host"]: task["res"] for task in tasks if "res" in task and not task["res"].get("skipped")}
    assert any(INSTALL in step["name"] and step["status"] == "done" for step in results["KMS1"]["steps"])
    assert results["PLAIN"]["refusal"] == "R1"
    assert results["GONE"]["unreachable"]
    assert holders(tools.folder, "secret.yml") == []


def test_ara_records_a_run_readably(tools: Tools, command: list[str | Path]) -> None:
    plugins = tools.run("python", "-m", "ara.setup.callback_plugins").decode().strip()
    settings = {"ANSIBLE_CALLBACK_PLUGINS": plugins, "ARA_IGNORED_FILES": "secret.yml"}
    tools.run("ansible-playbook", *command, code=4, settings=settings)

    (run,) = json.loads(tools.run("ara", "playbook", "list", "-f", "json"))
    assert (run["status"], run["hosts"], run["tasks"]) == ("failed", 3, 2)
    results = json.loads(tools.run("ara", "result", "list", "--long", "-f", "json"))
    assert sorted(result["status"] for result in results) == ["changed", "failed", "skipped", "skipped", "unreachable"]

    pages = tools.folder / "pages"
    tools.run("ara-manage", "generate", pages)
    texts = [html.unescape(file.read_text(encoding="utf-8")) for file in (pages / "results").glob("*.html")]
    for part in (INSTALL, "NLB is not installed", "answers, but not as WinRM (HTTP 404)"):
        assert any(part in text for text in texts), part
    assert holders(tools.folder, "secret.yml") == []
