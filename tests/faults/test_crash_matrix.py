# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A play that is cut at any message is made good by the next one, whatever cut it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import pytest
from faults.matrix import KINDS, attempt, points_of
from faults.scenario import Scenario
from faults.scenarios import (
    dhcp_migrate,
    disable_ipv6,
    hang_recovery,
    kms_host,
    kms_srv_record,
    nlb_mode,
    snapshot_offline_action,
)
from support.points import Point

SCENARIOS: tuple[Scenario[Any], ...] = (
    *dhcp_migrate.SCENARIOS,
    *snapshot_offline_action.SCENARIOS,
    *kms_host.SCENARIOS,
    *nlb_mode.SCENARIOS,
    *disable_ipv6.SCENARIOS,
    *kms_srv_record.SCENARIOS,
    *hang_recovery.SCENARIOS,
)

SAMPLE = [
    pytest.param(scenario, kind, message, id=f"{scenario.subject}: {kind} {message}")
    for (scenario, message), kind in zip(
        [(scenario, message) for scenario in SCENARIOS for message in scenario.sample], itertools.cycle(KINDS)
    )
]
PARTS = [
    pytest.param(scenario, part, id=f"{scenario.subject}: {part + 1} of {scenario.parts}")
    for scenario in SCENARIOS
    for part in range(scenario.parts)
]


def _all_end_well(scenario: Scenario[Any], points: Iterable[tuple[int, str]], point: Point) -> None:
    failures = []
    for message, kind in points:
        try:
            with point(scenario.subject, kind, message):
                attempt(scenario, kind, message)
        except AssertionError as error:
            failures.append(f"{kind} at message {message}: {error}")
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize(("scenario", "kind", "message"), SAMPLE)
def test_a_play_that_is_cut_is_made_good_by_the_next(
    scenario: Scenario[Any], kind: str, message: int, point: Point
) -> None:
    _all_end_well(scenario, [(message, kind)], point)


@pytest.mark.faults
@pytest.mark.parametrize(("scenario", "part"), PARTS)
def test_a_play_that_is_cut_anywhere_is_made_good_by_the_next(scenario: Scenario[Any], part: int, point: Point) -> None:
    # Neighbours together: what they leave behind is often the same, and is then seen once.
    points = points_of(scenario)
    first, last = (len(points) * edge // scenario.parts for edge in (part, part + 1))
    _all_end_well(scenario, points[first:last], point)
