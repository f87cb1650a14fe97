# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playbooks.running import Controller
from winsim import Fleet, serve
from winsim.http import Served


@pytest.fixture
def served() -> Iterator[Served]:
    """CL1, two nodes with Windows Server 2019 as it is installed: live dump after 60 s, automatic memory dumps."""
    node = {"build": 17763, "features": ["Failover-Clustering", "RSAT-Clustering-CmdInterface"]}
    fleet = Fleet.load({"hosts": {"N1": node, "N2": node}, "clusters": {"CL1": {"nodes": ["N1", "N2"]}}})
    with serve(fleet) as served:
        yield served


@pytest.fixture
def controller(served: Served, tmp_path: Path) -> Controller:
    """A controller whose inventory reaches the nodes with psrp, over HTTP with NTLM and message encryption."""
    return Controller(tmp_path, served.inventory())
