# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read before any test module, so that the collection is loaded by Ansible's importer."""

import pytest
import support
from hypothesis import HealthCheck, settings

assert support.__doc__

pytest_plugins = ["support.points"]

# A busy machine makes nothing false: no test may fail for being slow.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests that take longest begin first, so that none of them is left alone at the end."""
    items.sort(key=lambda item: "playbooks" not in item.path.parts)
