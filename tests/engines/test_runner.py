# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ansible-runner, which AWX and Automation Platform run jobs with: a job in three slices on three workers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from engines.tools import SECRET, Tools, finished, nodes
from winsim import Fleet, serve
from winsim.http import Served
from winsim.providers.registry import RegistryState

HOSTS, SLICES = 60, 3
TCPIP6 = r"HKLM\SYSTEM\CurrentControlSet\Services\Tcpip6\Parameters"
IPV6 = {"module": "disable_ipv6", "arguments": {"state": "prefer_ipv4"}}
PLAY = {
    "name": "A slice of the fleet",
    "hosts": "windows",
    "gather_facts": False,
    "tasks": [
        {"name": "IPv4 first", "fieldnotes.windows.disable_ipv6": IPV6["arguments"]},
        {"name": "Look", "fieldnotes.windows.fleet_info": {"procedures": [IPV6]}, "register": "fleet"},
    ],
}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve(Fleet.load(nodes(HOSTS))) as served:
        yield served


def part(inventory: dict[str, Any], number: int) -> dict[str, Any]:
    """The inventory of a slice: every third host, as AWX deals them out."""
    windows = inventory["all"]["children"]["windows"]
    hosts = dict(islice(windows["hosts"].items(), number, None, SLICES))
    return {"all": {"children": {"windows": {"hosts": hosts, "vars": windows["vars"]}}}}


@dataclass(frozen=True)
class Job:
    """A run of a play by ansible-runner. folder: its private data directory."""

    tools: Tools
    name: str

    @property
    def folder(self) -> Path:
        return self.tools.folder / self.name

    def events(self, module: str) -> Iterator[dict[str, Any]]:
        """The results of a module, with their hosts, in the order of the events."""
        files = (self.folder / "artifacts" / self.name / "job_events").glob("*.json")
        for file in sorted(files, key=lambda each: int(each.name.split("-")[0])):
            data = json.loads(file.read_text(encoding="utf-8"))["event_data"]
            if data.get("resolved_action") == f"fieldnotes.windows.{module}" and "res" in data:
                yield {"host": data["host"], **data["res"]}

    def transmit(self, play: dict[str, Any], inventory: dict[str, Any]) -> Path:
        """What is sent to a worker."""
        self.tools.write(f"{self.name}/inventory/hosts.yml", inventory)
        self.tools.write(f"{self.name}/project/play.yml", [play])
        sent = self.folder / "sent"
        finished(
            self.tools.start("ansible-runner", "transmit", self.folder, "-i", self.name, "-p", "play.yml", into=sent)
        )
        return sent

    def process(self, answer: Path) -> None:
        """Takes what came back from the worker."""
        self.tools.run("ansible-runner", "process", self.folder, "-i", self.name, given=answer)


def test_three_workers_share_a_fleet_and_their_results_become_one_report(served: Served, tools: Tools) -> None:
    jobs = [Job(tools, f"slice{number}") for number in range(SLICES)]
    running = []
    for number, job in enumerate(jobs):
        sent = job.transmit(PLAY, part(served.inventory(), number))
        answer = job.folder / "answer"
        place = tools.folder / f"worker{number}"
        running.append(tools.start("ansible-runner", "worker", "--private-data-dir", place, given=sent, into=answer))
    for worker in running:
        finished(worker)
    for job in jobs:
        job.process(job.folder / "answer")
        assert (job.folder / "artifacts" / job.name / "status").read_text(encoding="utf-8") == "successful"

    results = [result for job in jobs for result in job.events("disable_ipv6")]
    assert sorted(result["host"] for result in results) == list(served.fleet.hosts)
    assert all(result["changed"] for result in results)
    for host in served.fleet.hosts.values():
        assert host.state(RegistryState).get(TCPIP6, "DisabledComponents") == 0x20

    fleets = [fleet for job in jobs for fleet in job.events("fleet_info")]
    assert [len(fleet["hosts"]) for fleet in fleets] == [HOSTS // SLICES] * SLICES
    report = {"fleet": fleets, "json": str(tools.folder / "audit.json")}
    play = {"hosts": "localhost", "gather_facts": False, "tasks": [{"fieldnotes.windows.audit_report": report}]}
    tools.run("ansible-playbook", tools.write("report.yml", [play]))
    audit = json.loads((tools.folder / "audit.json").read_text(encoding="ascii"))
    assert audit["counts"]["compliant"] == HOSTS
    assert sorted(host["name"] for host in audit["hosts"]) == list(served.fleet.hosts)


def test_events_hold_no_secret_that_comes_from_a_variable(served: Served, tools: Tools) -> None:
    job = Job(tools, "kms")
    tools.write("kms/env/extravars", {"key": SECRET})
    task = {"fieldnotes.windows.kms_host": {"product_key": "{{ key }}", "firewall": "open"}, "check_mode": True}
    inventory = part(served.inventory(), 0)
    play = {"hosts": "N01", "gather_facts": False, "tasks": [task]}
    tools.write("kms/inventory/hosts.yml", inventory)
    tools.write("kms/project/play.yml", [play])
    tools.run("ansible-runner", "run", job.folder, "-i", "kms", "-p", "play.yml")
    (result,) = job.events("kms_host")
    assert result["changed"]
    for file in (job.folder / "artifacts").rglob("*"):
        assert file.is_dir() or SECRET not in file.read_text(encoding="utf-8", errors="replace"), file
