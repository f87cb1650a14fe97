# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from engines.tools import Tools


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker("engines")


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return Tools(tmp_path)
