# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""kms_srv_record: two zones, one record to change, one to create, foreign ones to remove; by WMI and by cmdlets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from faults.scenario import CLOCK, Scenario, Task, in_turn
from support.world import World
from winsim.providers.dns import DnsState, Record

CORP, BRANCH = "corp.example.com", "branch.example.com"
KMS, OLD = "kms01.corp.example.com.", "old02.corp.example.com."
GOAL = (KMS, 0, 50, 1688)
TTL = {CORP: 800, BRANCH: 700}


def _record(target: str, **more: Any) -> dict[str, Any]:
    return {"name": "_vlmcs._tcp", "target": target, "port": 1688, **more}


def _fleet() -> dict[str, Any]:
    zones = {
        CORP: {"records": [_record(KMS, days_old=1, ttl=TTL[CORP])]},
        BRANCH: {"records": [_record(OLD), _record(KMS, ttl=TTL[BRANCH], weight=9)]},
    }
    return {"clock": CLOCK, "hosts": {"DNS1": {"build": 20348, "domain": CORP, "dns": {"zones": zones}}}}


def _records(world: World, zone: str) -> list[Record]:
    zones = world.host("DNS1").state(DnsState).zones
    assert zones is not None
    return [record for record in zones[zone].records if record.kind == "SRV"]


def _missing(world: World) -> Iterator[str]:
    for zone, ttl in TTL.items():
        found = [(each.target.lower(), each.priority, each.weight, each.port) for each in _records(world, zone)]
        if found != [GOAL]:
            yield f"{zone} has {found}"
        elif _records(world, zone)[0].ttl != ttl:
            yield f"the record of {zone} lives {_records(world, zone)[0].ttl} s"


def _wrong(world: World) -> Iterator[str]:
    for zone in TTL:
        if not any(each.target.lower() == KMS for each in _records(world, zone)):
            yield f"clients of {zone} find no KMS host"


def _scenario(method: str, sample: int) -> Scenario[World]:
    arguments = {"zones": [CORP, BRANCH], "target": KMS.rstrip("."), "weight": 50, "purge": True, "method": method}
    return Scenario(
        f"kms_srv_record (two zones, {method})",
        lambda _: World(_fleet()),
        in_turn(Task("DNS1", "kms_srv_record", arguments)),
        _missing,
        _wrong,
        sample=(sample,),
    )


SCENARIOS = (_scenario("wmi", 21), _scenario("cmdlet", 42))
