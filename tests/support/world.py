# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A served fleet and the tasks that run on it: what most tests need, in a few words."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from ansible_collections.fieldnotes.windows.plugins.plugin_utils.procedures.base import Clock
from winsim import Fleet, Host, serve
from winsim.log import Request

from support.ansible_task import run_task

_W = TypeVar("_W", bound="World")


class FleetClock(Clock):
    """The controller's clock, tied to the fleet's: waiting moves the simulated time instead of waiting."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._start = fleet.clock.now()

    def now(self) -> datetime.datetime:
        return self._fleet.clock.now()

    def monotonic(self) -> float:
        return (self._fleet.clock.now() - self._start).total_seconds()

    def sleep(self, seconds: float) -> None:
        self._fleet.clock.advance(seconds)


class World:
    """A fleet that is served while the ``with`` block lasts.

    ``world.run("N1", "hang_recovery", action="log")`` runs one task on a host as Ansible does and returns its result.
    """

    def __init__(self, fleet: Mapping[str, Any] | Fleet) -> None:
        self.fleet = fleet if isinstance(fleet, Fleet) else Fleet.load(fleet)
        self.served = serve(self.fleet)

    def __enter__(self: _W) -> _W:
        self.served.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.served.__exit__(*exception)

    def host(self, name: str) -> Host:
        """The simulated host."""
        return self.fleet.host(name)

    def variables(
        self, host: str, connection: str = "psrp", transport: str = "http", auth: str = "ntlm"
    ) -> dict[str, Any]:
        """The inventory variables of a host, as winsim's own inventory has them."""
        inventory = self.served.inventory(connection=connection, transport=transport, auth=auth)
        windows = inventory["all"]["children"]["windows"]
        return {"inventory_hostname": host, **windows["vars"], **windows["hosts"][host]}

    def run(
        self,
        host: str,
        module: str,
        *,
        check: bool = False,
        diff: bool = True,
        become: bool = False,
        variables: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> dict[str, Any]:
        """The result of a task; check: in check mode; variables: instead of those of the inventory."""
        return run_task(
            module,
            arguments,
            {
                "hostvars": {name: self.variables(name) for name in self.fleet.hosts},
                **(self.variables(host) if variables is None else variables),
            },
            check=check,
            diff=diff,
            become=become,
            clock=FleetClock(self.fleet),
        )

    def requests(self, host: str, since: int = 0) -> Sequence[Request]:
        """What the host was asked, from its request number ``since`` (0 is the first) on."""
        return self.host(host).log[since:]

    def writes(self, host: str, since: int = 0) -> list[Request]:
        """Those of the requests that could change something."""
        return [request for request in self.requests(host, since) if request.writes]


def step_names(result: Mapping[str, Any]) -> list[str]:
    """The steps of a result that were done, or are planned, by name."""
    return [step["name"] for step in result["steps"] if step["status"] in ("done", "planned")]
