# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The crash matrix: a play is cut at one of its messages, and the next one must end right.

Points that cannot differ are tried once:

- A controller or a host that ends after the answer to message n ends, for the other side, before message n + 1. Both
  end after the effect only.
- A message that changes nothing has no effect that could come before or after the loss of its answer, and whatever ends
  with it, or is silent from then on, leaves what the message before it left. It is lost once.
- Where two plays were cut so that hosts and controller hold the same, what follows is the same, and is seen once.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import itertools
import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults.controller import Controller, Killed
from faults.scenario import Result, Run, Scenario, went_wrong
from support.ends import UUID, differences, end_of
from support.world import FleetClock, World
from winsim import Host, log, winrs
from winsim.psrp import shell
from winsim.trouble import Asked, Trouble, troubles_of

LOST = "request lost"
KINDS = {
    LOST: "drop_before",
    "answer lost": "drop_after",
    "host silent": "lost",
    "host restarts": "reboot",
    "controller killed": None,
}

SILENT_SECONDS = 30.0
"""How long a host cannot be reached; after it the user runs the play again."""

RUNS = 3
"""How often a play is run again at most, where it refuses as its page says."""

_ENCODED = re.compile(r'(?<=")eyJ[\w-]+(?=")')
"""JSON in base64 without padding: a journal where a place takes no quotes; it too holds random identifiers."""

_seen_to_end_well: set[tuple[str, str]] = set()


@functools.cache
def messages_of(scenario: Scenario[Any]) -> tuple[bool, ...]:
    """Whether each message of an undisturbed play changes something. The play must reach its goal."""
    with tempfile.TemporaryDirectory() as name, scenario.world(folder := Path(name)) as world:
        states = [_held(world, folder)]
        watch = _Watch(world, scenario, at=lambda message: states.append(_held(world, folder)))
        results = scenario.play(world, in_process(world))
        assert not went_wrong(results[-1]), results[-1]["msg"]
        watch.look("after the play")
        _none([*watch.broken, *scenario.missing(world)], "undisturbed")
        return tuple(before != after for before, after in itertools.pairwise(states))


@functools.cache
def undisturbed_end(scenario: Scenario[Any]) -> frozenset[str]:
    """What a play leaves that meets no trouble, after the second one, which changes nothing."""
    with tempfile.TemporaryDirectory() as name, scenario.world(folder := Path(name)) as world:
        scenario.play(world, in_process(world))
        scenario.settle(world)
        scenario.play(world, in_process(world))
        return end_of(world, scenario.living, folder)


def points_of(scenario: Scenario[Any]) -> list[tuple[int, str]]:
    """Message and kind of every point, message by message."""
    numbered = list(enumerate(messages_of(scenario), 1))
    changing = [message for message, changes in numbered if changes][:: scenario.changes]
    reading = [message for message, changes in numbered if not changes][:: scenario.readings]
    return sorted([*itertools.product(changing, KINDS), *((message, LOST) for message in reading)])


def in_process(world: World) -> Run:
    """Runs tasks in this process."""

    def run(host: str, module: str, *, auth: str = "ntlm", **arguments: Any) -> Result:
        return world.run(host, module, variables=_variables(world, host, auth), **arguments)

    return run


def by(controller: Controller, world: World) -> Run:
    """Runs tasks by a controller that can be killed."""

    def run(host: str, module: str, *, auth: str = "ntlm", **arguments: Any) -> Result:
        hosts = {name: world.variables(name) for name in world.fleet.hosts}
        return controller.run(module, arguments, {"hostvars": hosts, **_variables(world, host, auth)})

    return run


def _variables(world: World, host: str, auth: str) -> dict[str, Any]:
    return {**world.variables(host), "ansible_psrp_auth": auth}


@dataclass
class _Watch:
    """Counts messages, and looks after each whether something is wrong."""

    world: World
    scenario: Scenario[Any]
    at: Callable[[int], object] = field(default=lambda message: None)
    messages: int = 0
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world.fleet.watchers.append(self._answered)

    def _answered(self, host: Host, request: log.Request) -> None:
        self.messages += 1
        self.look(f"after message {self.messages}, {host.name} {request.action} {request.what or request.resource}")
        self.at(self.messages)

    def look(self, when: str) -> None:
        """Remembers what is wrong now."""
        if self.broken:
            return
        try:
            self.broken += [f"{sentence} ({when})" for sentence in self.scenario.wrong(self.world)]
        except Exception as error:  # in winsim's thread nobody would hear of it
            self.broken.append(f"{error!r} ({when})")


def attempt(scenario: Scenario[Any], kind: str, message: int) -> None:
    """One point of the matrix. Raises AssertionError with what is not as it must be."""
    with tempfile.TemporaryDirectory() as name, scenario.world(folder := Path(name)) as world:
        watch = _Watch(world, scenario)
        for result in _cut(scenario, world, watch, kind, message):
            _is_told_well(result)
        left_open = _shells(world)
        for host in world.fleet.hosts.values():
            troubles_of(host).clear()
        world.fleet.clock.advance(2 * SILENT_SECONDS)
        watch.look("after the trouble")
        _none(watch.broken, "something was wrong on the way")
        known = scenario.subject, _held(world, folder)
        if known in _seen_to_end_well:
            return
        _ends_well(scenario, world, watch, left_open)
        _none(
            differences(undisturbed_end(scenario), end_of(world, scenario.living, folder)),
            "another end than undisturbed",
        )
        _seen_to_end_well.add(known)


def _ends_well(scenario: Scenario[Any], world: World, watch: _Watch, left_open: set[tuple[str, str]]) -> None:
    _play_until_it_is_done(scenario, world)
    watch.look("after the next run")
    _none(scenario.missing(world), "the goal is not reached")
    scenario.settle(world)
    third = scenario.play(world, in_process(world))
    assert not went_wrong(third[-1]), f"the last run fails: {third[-1]['msg']}"
    changed = [result.get("steps") for result in third if result["changed"]]
    assert not changed, f"the last run changes something: {changed}"
    watch.look("at the end")
    _none(watch.broken, "something was wrong on the way")
    _none(scenario.missing(world), "the goal is not reached any more")
    _none(scenario.left(world), "something is left")
    # Nobody can close the shells of a dead connection; the host does it after their idle time.
    assert _shells(world) <= left_open, "the runs after the trouble left shells open"


def _cut(scenario: Scenario[Any], world: World, watch: _Watch, kind: str, message: int) -> Sequence[Result]:
    """The play that meets the trouble; no result where its controller was killed."""
    what = KINDS[kind]
    if what is not None:
        trouble = Trouble(what, seconds=SILENT_SECONDS)
        _plan(world, trouble, message)
        results = scenario.play(world, in_process(world))
        assert trouble.struck, f"the play ended before message {message}"
        return results
    controller = Controller(FleetClock(world.fleet))
    watch.at = lambda answered: controller.kill() if answered == message else None
    try:
        scenario.play(world, by(controller, world))
    except Killed:
        return ()
    raise AssertionError(f"the play ended before message {message}")


def _plan(world: World, trouble: Trouble, message: int) -> None:
    """Lets trouble strike at a message, whichever host of the fleet it goes to."""
    asked = 0

    def is_it(_: Asked) -> bool:
        nonlocal asked
        asked += 1
        return asked == message

    for host in world.fleet.hosts.values():
        troubles_of(host).add(trouble, when=is_it)


def _play_until_it_is_done(scenario: Scenario[Any], world: World) -> None:
    for _ in range(RUNS):
        results = scenario.play(world, in_process(world))
        if not went_wrong(results[-1]):
            return
        told = results[-1]["msg"]
        assert any(told.startswith(refusal) for refusal in scenario.refusals), f"the next run fails: {told}"
    raise AssertionError(f"{RUNS} runs refuse: {told}")


def _is_told_well(result: Result) -> None:
    if went_wrong(result):
        text = result["msg"]
        assert "\n" not in text, f"more than one line: {text}"
        assert "Traceback" not in text, text


def _held(world: World, folder: Path) -> str:
    """A digest of everything that hosts and controller hold. Random identifiers count by where they stand."""
    files = {
        str(file.relative_to(folder)): file.read_bytes().decode("latin-1")
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
    held = world.fleet.dump()
    # For winsim's own messages; it holds the number of a request.
    held["states"].get("dhcp_invariants", {}).pop("last_request", None)
    text = json.dumps([held, files, len(_shells(world))], sort_keys=True, default=str)
    numbers: dict[str, str] = {}
    text = UUID.sub(
        lambda found: numbers.setdefault(found[0].lower(), f"<{len(numbers)}>"), _ENCODED.sub(_decoded, text)
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _decoded(found: re.Match[str]) -> str:
    return base64.urlsafe_b64decode(found[0] + "==").decode("latin-1")


def _shells(world: World) -> set[tuple[str, str]]:
    """Shells that are open on the hosts."""
    return {(host.name, key) for host in world.fleet.hosts.values() for key in _open_on(host)}


def _open_on(host: Host) -> Iterator[str]:
    yield from host.attached(shell.Shells).open
    yield from host.attached(winrs.Shells).open


def _none(sentences: Iterable[str], what: str) -> None:
    found = list(sentences)
    assert not found, f"{what}: {'; '.join(found)}"
