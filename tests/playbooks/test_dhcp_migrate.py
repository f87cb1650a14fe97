# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role dhcp_migrate over two servers, as a user runs it.

The controller waits in real time: a server is held for 30 s before its import, so only one test goes that far.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playbooks.running import ROOT, Controller
from support.dhcp import DC, ID, NEW, OLD, PASSWORD, network
from winsim import Fleet, serve
from winsim.http import Served
from winsim.providers.dhcp import is_serving, violations


@contextmanager
def fleet(**changes: Any) -> Iterator[Served]:
    """The network, on a clock that runs fast: services start and stop at once."""
    with serve(Fleet.load({**network(**changes), "clock": {"speed": 60}})) as served:
        yield served


def migrate(served: Served, folder: Path, *arguments: str) -> tuple[int, str]:
    """How the playbook ended, and what it said."""
    variables = {
        "dhcp_migrate_id": ID,
        "dhcp_migrate_old": OLD,
        "dhcp_migrate_new": NEW,
        "dhcp_migrate_controller_dir": str(folder / "dhcp"),
        "dhcp_migrate_authorize_via": DC,
    }
    given = [word for name, value in variables.items() for word in ("-e", f"{name}={value}")]
    run = Controller(folder, served.inventory()).run(ROOT / "playbooks" / "dhcp_migrate.yml", *given, *arguments)
    return run.exit_code, run.output


def test_the_role_migrates_and_the_second_run_changes_nothing(tmp_path: Path) -> None:
    with fleet() as served:
        code, output = migrate(served, tmp_path)
        assert code == 0, output
        assert is_serving(served.fleet.host(NEW))
        code, output = migrate(served, tmp_path)
        assert code == 0, output
        assert "changed=0" in output
        code, output = migrate(served, tmp_path, "--tags", "cleaned")
        assert code == 0, output
        assert violations(served.fleet) == []


# A server that is stopped before its export needs no measurement of 10 s.
STOPS = {"features": ["DHCP", "RSAT-DHCP", "Migration"], "services": {"DHCPServer": {"accept_pause": False}}}


def test_the_role_brings_both_servers_back_before_the_point_of_no_return(tmp_path: Path) -> None:
    with fleet(old=STOPS, new={"feature_setup": {"unavailable": ["DHCP"]}}) as served:
        smig = ["-e", "dhcp_migrate_method=smig", "-e", f"dhcp_migrate_store_password={PASSWORD}"]
        code, output = migrate(served, tmp_path, *smig)
        assert code != 0
        assert "The old server serves again. n03_role failed" in output
        assert is_serving(served.fleet.host(OLD))
        assert not is_serving(served.fleet.host(NEW))
        assert violations(served.fleet) == []
