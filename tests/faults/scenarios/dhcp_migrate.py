# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""dhcp_migrate: the role over both servers, with clients that go on renewing; each state alone; the way back.

What must not be at any moment, winsim looks for at every second and after every request: providers/dhcp/invariants.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from faults.scenario import CLOCK, Result, Run, Scenario, journals, went_wrong
from support.dhcp import DC, ID, LIVING, NEW, OLD, PASSWORD, Migration, network, scope
from winsim.providers import directory
from winsim.providers.dhcp import violations
from winsim.providers.operating_system import Files

RETIRED = ("Stopped", "Disabled")
SERVING = ("Running", "Auto")
Play = Callable[[Migration, Run], Sequence[Result]]


def _world(
    folder: Path,
    before: Callable[[Migration], object] = lambda world: None,
    **changes: Any,
) -> Migration:
    """Two scopes and a few leases. before: what happened before the trouble."""
    fleet = network(dhcp={"scopes": [scope(1, 3, 1), scope(2, 2, 1)]}, busy=6, **changes)
    world = Prepared({**fleet, "clock": CLOCK}, folder)
    world.before = before
    return world


class Prepared(Migration):
    """A migration of which a part is done when it begins."""

    before: Callable[[Migration], object]

    def __enter__(self) -> Prepared:
        super().__enter__()
        self.before(self)
        return self

    def __exit__(self, *exception: object) -> None:
        # The matrix itself asks for what was violated.
        super(Migration, self).__exit__(*exception)


def _task(world: Migration, run: Run, host: str, state: str, **arguments: Any) -> Result:
    common = {"migration_id": ID, "controller_dir": str(world.home), "authorize_via": DC}
    return run(host, "dhcp_migrate", state=state, **common, **arguments)


def _role(**method: str) -> Play:
    """The tasks of the role, as Ansible runs them: a host that cannot be reached ends the play without a rescue."""

    def play(world: Migration, run: Run) -> Sequence[Result]:
        results = [_task(world, run, OLD, "exported", peer_host=NEW, **method)]
        if not went_wrong(results[-1]):
            secrets = {name: value for name, value in method.items() if name == "store_password"}
            results.append(_task(world, run, NEW, "imported", peer_host=OLD, **secrets))
        failed = results[-1]
        if not failed.get("failed") or (len(results) > 1 and failed.get("ponr")):
            return results
        if len(results) > 1:
            results.append(_task(world, run, NEW, "rolled_back"))
        if not went_wrong(results[-1]) or len(results) == 1:
            results.append(_task(world, run, OLD, "rolled_back", peer_host=NEW))
        return results if went_wrong(results[-1]) else [*results, failed]

    return play


def _one(host: str, state: str, **arguments: Any) -> Play:
    return lambda world, run: [_task(world, run, host, state, **arguments)]


def _cleaned(world: Migration, run: Run) -> Sequence[Result]:
    results = [_task(world, run, NEW, "cleaned")]
    return results if went_wrong(results[-1]) else [*results, _task(world, run, OLD, "cleaned", remove_role=True)]


def _listed(world: Migration) -> list[str]:
    return [entry.name.partition(".")[0] for entry in directory.read_list(world.host(DC))]


def _retired(world: Migration) -> Iterator[str]:
    if world.service(OLD) != RETIRED:
        yield f"the old server is {world.service(OLD)}"
    if OLD in _listed(world):
        yield "the old server is authorized"


def _migrated(world: Migration) -> Iterator[str]:
    yield from _retired(world)
    if world.service(NEW) != SERVING or not world.serves(NEW):
        yield f"the new server is {world.service(NEW)}, it does not serve"
    if _listed(world) != [NEW]:
        yield f"{_listed(world)} are authorized"
    if world.marker(NEW) is None:
        yield "the new server does not know that the migration is done"


def _back(world: Migration) -> Iterator[str]:
    if world.service(OLD) != SERVING or not world.serves(OLD):
        yield f"the old server is {world.service(OLD)}, it does not serve"
    if _listed(world) != [OLD]:
        yield f"{_listed(world)} are authorized"


def _violated(world: Migration) -> Iterator[str]:
    return map(str, violations(world.fleet))


def _nothing_left(world: Migration) -> Iterator[str]:
    """After cleaning: no journal, no file; what the new server remembers for good stays."""
    yield from (each for each in journals(world) if "History" not in each)
    for name in (OLD, NEW):
        yield from (f"{name} has {path}" for path in world.host(name).state(Files).files if ID in path)


def _stays(world: Migration) -> Iterator[str]:
    """Journals and files stay until cleaning."""
    return iter(())


def _old_alone(world: Migration) -> Iterator[str]:
    yield from (each for each in journals(world) if each.startswith(OLD))


def _exported(world: Migration) -> None:
    result = world.export(peer_host=NEW)
    assert not went_wrong(result), result["msg"]


def _all_done(world: Migration) -> None:
    _exported(world)
    result = world.import_()
    assert not went_wrong(result), result["msg"]


SCENARIOS = (
    Scenario(
        "dhcp_migrate (role)",
        _world,
        _role(),
        _migrated,
        _violated,
        living=LIVING,
        left=_stays,
        readings=2,
        parts=20,
        sample=(221, 360),
    ),
    Scenario(
        "dhcp_migrate (role, smig)",
        _world,
        _role(method="smig", store_password=PASSWORD),
        _migrated,
        _violated,
        living=LIVING,
        left=_stays,
        changes=3,
        readings=16,
        parts=8,
        sample=(300,),
    ),
    Scenario(
        "dhcp_migrate (exported, rolled back)",
        lambda folder: _world(folder, _exported),
        _one(OLD, "rolled_back", peer_host=NEW),
        _back,
        _violated,
        living=LIVING,
        left=_old_alone,
        parts=4,
        sample=(35,),
    ),
    Scenario(
        "dhcp_migrate (cleaned)",
        lambda folder: _world(folder, _all_done),
        _cleaned,
        lambda world: iter(()),
        _violated,
        living=LIVING,
        left=_nothing_left,
        parts=4,
        sample=(67,),
    ),
)
