# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A playbook that is watched: whatever somebody could read while it runs and afterwards, place by place."""

from __future__ import annotations

import contextlib
import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any, Self

from playbooks.running import Controller, Run
from security.relay import Relay
from winsim import Fleet, serve
from winsim.plain import to_plain
from winsim.providers.registry import RegistryState
from winsim.trouble import Asked, Trouble, troubles_of

# Hands every result to a file as a callback gets it, Ansible's own words for it left out.
CALLBACK = """
import json
from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "payloads"

    def _keep(self, result, **_):
        with open({file!r}, "a", encoding="utf-8") as file:
            file.write(json.dumps(result._result, default=str) + "\\n")

    v2_runner_on_ok = v2_runner_on_failed = v2_runner_on_unreachable = v2_on_file_diff = _keep
"""
CONFIGURATION = """\
[defaults]
log_path = {folder}/ansible.log
log_verbosity = 5
callback_plugins = {folder}/callbacks
callbacks_enabled = payloads
local_tmp = {folder}/tmp
"""


class Watched:
    """A served fleet with somebody at every wire, and a controller in a folder of its own.

    ``run()`` runs a task at the highest verbosity. ``places()`` is what there was to read since the beginning: the
    screen, the log, what callbacks got, the files of the controller, processes, the journals, and the wires.
    """

    def __init__(self, fleet: dict[str, Any], folder: Path) -> None:
        self.fleet = Fleet.load(fleet)
        self.served = serve(self.fleet)
        self.folder = folder
        self.relays: dict[str, Relay] = {}
        self._read: defaultdict[str, set[bytes]] = defaultdict(set)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.served)
            for host in self.fleet.hosts.values():
                self.relays[host.name] = stack.enter_context(Relay(self.served.http_port(host)))
                # Never strikes: its condition is asked at each request, which is when something may be seen.
                troubles_of(host).add(Trouble("delay"), when=self._look)
            self._stack = stack.pop_all()
        for name in ("callbacks", "tmp"):
            (self.folder / name).mkdir()
        payloads = str(self.folder / "payloads.json")
        (self.folder / "callbacks" / "payloads.py").write_text(CALLBACK.format(file=payloads), encoding="utf-8")
        (self.folder / "ansible.cfg").write_text(CONFIGURATION.format(folder=self.folder), encoding="utf-8")
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def inventory(self, **options: str) -> dict[str, Any]:
        """Of the fleet, through the relays where it is HTTP."""
        inventory: dict[str, Any] = self.served.inventory(**options)
        hosts = inventory["all"]["children"]["windows"]["hosts"]
        if options.get("transport", "http") == "http":
            for name, relay in self.relays.items():
                hosts[name]["ansible_port"] = relay.port
        return inventory

    def run(self, host: str, module: str, arguments: dict[str, Any], *flags: str, **variables: Any) -> Run:
        """A task; variables: of all hosts, to be named in the arguments."""
        return self.play({"hosts": host, "tasks": [{f"fieldnotes.windows.{module}": arguments}]}, *flags, **variables)

    def play(self, play: dict[str, Any], *flags: str, **variables: Any) -> Run:
        """A play; variables: of all hosts."""
        options = {name: variables.pop(name) for name in ("connection", "transport", "auth") if name in variables}
        inventory = self.inventory(**options)
        windows = inventory["all"]["children"]["windows"]
        windows["vars"].update(variables)
        for own in windows["hosts"].values():
            own.update({name: value for name, value in variables.items() if name in own})
        run = Controller(self.folder, inventory).run([{"gather_facts": False, **play}], "-vvvvv", *flags)
        self._read["the screen"].add(run.output.encode())
        return run

    def places(self) -> dict[str, bytes]:
        """What there was to read, by the name of the place."""
        self._look()
        places = {place: b"\n".join(sorted(contents)) for place, contents in self._read.items()}
        for name, relay in self.relays.items():
            places[f"the wire of {name}"] = relay.heard.data()
        return places

    def shells(self, host: str) -> bytes:
        """Command lines and cmdlets as they reached a host: inside the encryption, but on its disks and in its logs."""
        asked = (request for request in self.fleet.host(host).log if "shell" in request.request)
        return "\n".join(f"{request.what}\n{request.request}" for request in asked).encode()

    def _look(self, asked: Asked | None = None) -> bool:
        self._read["the files of the controller"].update(files(self.folder))
        self._read["processes"].update(processes(os.getpid()))
        for host in self.fleet.hosts.values():
            journal = json.dumps(to_plain(host.state(RegistryState)), default=str)
            self._read["the journals"].add(journal.encode())
        return False


def files(folder: Path) -> set[bytes]:
    """Every file below a folder with its name, but those in which the user himself wrote the secret down."""
    found = set()
    for file in folder.rglob("*"):
        if file.name in ("inventory.yml", "playbook.yml") or not file.is_file():
            continue
        with contextlib.suppress(OSError):  # it may be gone by now
            found.add(str(file).encode() + b"\n" + file.read_bytes())
    return found


def processes(ancestor: int) -> set[bytes]:
    """Command line and environment of every process that a process has started, as other users or root see them."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(status.parent.name)] = int(status.read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    started = {pid for pid in parents if ancestor in _line(pid, parents)}
    found = set()
    for pid in started:
        for name in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                found.add(Path(f"/proc/{pid}/{name}").read_bytes())
    return found


def _line(pid: int, parents: dict[int, int]) -> list[int]:
    """The ancestors of a process."""
    line: list[int] = []
    while (parent := parents.get(pid, 0)) and parent not in line:
        line.append(parent)
        pid = parent
    return line
