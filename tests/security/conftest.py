# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from collections.abc import Generator

import pytest
from support.points import Point

SUBJECTS = {
    "test_certificates": "who gets in: certificates and TLS",
    "test_logon": "who gets in: credentials",
    "test_downgrade": "who gets in: somebody on the way",
    "test_secrets": "where secrets go",
}
COUNTED = pytest.StashKey[Point]()


@pytest.fixture(autouse=True)
def _counted(request: pytest.FixtureRequest, point: Point) -> None:
    if request.path.stem in SUBJECTS:
        request.node.stash[COUNTED] = point


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Each test of these files is a point of the table at the end of ./dev faults."""
    point = pyfuncitem.stash.get(COUNTED, None)
    if point is None:
        return (yield)
    with point(SUBJECTS[pyfuncitem.path.stem], pyfuncitem.originalname):
        return (yield)
