# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs units on the served fleet as ansible-playbook does, and takes the slope between few and many repetitions."""

from __future__ import annotations

import copy
import os
import re
import shutil
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import certifi
import yaml

from .accounting import Cost, run
from .serving import Server, Traffic
from .units import Task, Unit

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".cache" / "bench"

FEW, MANY = 1, 31

BUNDLED = "psrp https basic, CA bundle"
"""The same hosts, trusted through a bundle of all public authorities and the fleet's own; the environment names it."""


@dataclass(frozen=True)
class Variant:
    """A unit over a connection; the empty action opens none, so one connection stands for all."""

    unit: Unit
    connection: str


@dataclass(frozen=True)
class Sample:
    """One host-unit, from the slope of one round. cpu, wall, server_cpu: seconds; received, sent: bytes."""

    cpu: float
    wall: float
    server_cpu: float
    requests: float
    connections: float
    received: float
    sent: float


@dataclass
class Samples:
    """The samples of a variant. worker_rss: bytes."""

    rounds: list[Sample] = field(default_factory=list)
    worker_rss: int = 0

    def median(self, name: str) -> float:
        """The median of one figure over the rounds."""
        return float(statistics.median(getattr(one, name) for one in self.rounds))

    def spread(self, name: str) -> tuple[float, float]:
        """Smallest and largest of one figure."""
        values = [getattr(one, name) for one in self.rounds]
        return min(values), max(values)


class Playbooks:
    """Runs plays of any tasks against a served fleet. forks: Ansible's."""

    def __init__(self, server: Server, folder: Path, forks: int) -> None:
        self.server = server
        self.folder = folder
        self.forks = forks
        self._environment = environment(folder, forks)
        self._done: dict[tuple[str, str], int] = {}
        self.inventories = {**server.inventories, BUNDLED: _without_ca(server.inventories["psrp https basic"])}
        for name, inventory in self.inventories.items():
            self._inventory(name).write_text(yaml.safe_dump(inventory), encoding="utf-8")
        self._bundle = _bundle(server, folder)

    @property
    def hosts(self) -> int:
        """How many hosts a play has."""
        first = next(iter(self.server.inventories.values()))
        return len(first["all"]["children"]["windows"]["hosts"])

    def play(self, tasks: Sequence[Task], connection: str, *, memory: bool = False) -> tuple[Cost, Traffic]:
        """One run of ansible-playbook. Errors: CommandFailed."""
        playbook = self.folder / "playbook.yml"
        play = {"hosts": "windows", "gather_facts": False, "tasks": list(tasks)}
        # The aliases that YAML makes of a task that stands there several times are the same tasks for Ansible.
        playbook.write_text(yaml.safe_dump([play]), encoding="utf-8")
        command = [str(ENVIRONMENT / "bin" / "ansible-playbook"), "-i", str(self._inventory(connection)), str(playbook)]
        self.server.traffic()
        bundle = {"REQUESTS_CA_BUNDLE": str(self._bundle)} if connection == BUNDLED else {}
        cost = run(command, {**self._environment, **bundle}, self.folder / "output", memory=memory)
        return cost, self.server.traffic()

    def sample(self, variant: Variant, samples: Samples) -> None:
        """Adds one round of a variant: FEW repetitions, then MANY."""
        few, few_traffic = self._repetitions(variant, FEW)
        many, many_traffic = self._repetitions(variant, MANY, memory=not samples.rounds)
        units = (MANY - FEW) * self.hosts
        samples.rounds.append(
            Sample(
                (many.cpu - few.cpu) / units,
                (many.wall - few.wall) / units,
                (many_traffic.cpu - few_traffic.cpu) / units,
                (many_traffic.requests - few_traffic.requests) / units,
                (many_traffic.connections - few_traffic.connections) / units,
                (many_traffic.received - few_traffic.received) / units,
                (many_traffic.sent - few_traffic.sent) / units,
            )
        )
        samples.worker_rss = max(samples.worker_rss, many.worker_rss)

    def _repetitions(self, variant: Variant, times: int, *, memory: bool = False) -> tuple[Cost, Traffic]:
        key = variant.unit.name, variant.connection
        first = self._done.get(key, 0)
        self._done[key] = first + times
        return self.play(variant.unit.repeated(times, first=first), variant.connection, memory=memory)

    def _inventory(self, connection: str) -> Path:
        return self.folder / f"{re.sub(' ', '-', connection)}.yml"


def settle(playbooks: Playbooks, units: Iterable[Unit], connection: str) -> None:
    """Runs units once, so that they find nothing to do afterwards."""
    tasks: list[dict[str, Any]] = [task for unit in units for task in unit.tasks]
    if tasks:
        playbooks.play(tasks, connection)


def _without_ca(inventory: Mapping[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(dict(inventory))
    del changed["all"]["children"]["windows"]["vars"]["ansible_psrp_ca_cert"]
    return changed


def _bundle(server: Server, folder: Path) -> Path:
    own = Path(server.inventories["psrp https basic"]["all"]["children"]["windows"]["vars"]["ansible_psrp_ca_cert"])
    bundle = folder / "bundle.pem"
    bundle.write_bytes(Path(certifi.where()).read_bytes() + own.read_bytes())
    return bundle


def environment(folder: Path, forks: int) -> dict[str, str]:
    """The caller's environment without proxies and settings of Ansible, and with this collection."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANSIBLE_", "PYTHON")) and not name.lower().endswith("_proxy")
    }
    collection = folder / "collections" / "ansible_collections" / "fieldnotes"
    collection.mkdir(parents=True, exist_ok=True)
    for part in ("meta", "playbooks", "plugins", "roles"):
        # A copy, so that nobody's edits change what is measured in between.
        shutil.copytree(ROOT / part, collection / "windows" / part, dirs_exist_ok=True)
    settings = folder / "ansible.cfg"
    settings.touch()
    return {
        **kept,
        "PATH": os.pathsep.join([str(ENVIRONMENT / "bin"), kept.get("PATH", os.defpath)]),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_CONFIG": str(settings),
        "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
        "ANSIBLE_ACTION_PLUGINS": str(ROOT / "benchmarks" / "action"),
        "ANSIBLE_FORKS": str(forks),
        "ANSIBLE_NOCOLOR": "1",
        "PYTHONHASHSEED": "0",
    }
