# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The simulated DNS server: records, their references, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from winsim import Fleet, Host
from winsim.fleet import FleetFileError
from winsim.providers import Fault, Reference, from_win32, providers
from winsim.providers.dns import INVALID_ZONE_TYPE, KEYS, NAMESPACE, RECORD_ALREADY_EXISTS

SRV = "MicrosoftDNS_SRVType"


def server(switches: dict[str, str] | None = None, **zones: Any) -> Host:
    record = {"name": "_vlmcs._tcp", "target": "kms01.corp.example.", "port": 1688, "days_old": 2}
    given = {"corp.example": {"records": [record]}, **zones}
    host = {"domain": "corp.example", "dns": {"zones": given}, "switches": switches or {}}
    return Fleet.load({"clock": {"speed": 0}, "hosts": {"DNS1": host}}).host("DNS1")


def keys(host: Host, index: int = 0) -> dict[str, Any]:
    record = providers.instances(host, NAMESPACE, SRV)[index]
    return {name: record[name] for name in KEYS}


def create(host: Host, zone: str = "corp.example", target: str = "kms02.corp.example.") -> Reference:
    inputs = {"DnsServerName": host.fqdn, "ContainerName": zone, "OwnerName": f"_vlmcs._tcp.{zone}"}
    numbers = {"Priority": 0, "Weight": 0, "Port": 1688, "SRVDomainName": target}
    outputs = providers.invoke(host, NAMESPACE, SRV, "CreateInstanceFromPropertyData", None, {**inputs, **numbers})
    reference: Reference = outputs["RR"]
    return reference


def test_a_modified_record_has_a_new_path_and_keeps_its_stamp() -> None:
    host = server()
    old = keys(host)
    stamp = providers.instances(host, NAMESPACE, SRV)[0]["TimeStamp"]
    outputs = providers.invoke(host, NAMESPACE, SRV, "Modify", old, {"Weight": 50})
    with pytest.raises(Fault, match="80041002"):
        providers.get(host, NAMESPACE, SRV, old)
    assert providers.get(host, NAMESPACE, SRV, outputs["RR"].keys)["TimeStamp"] == stamp > 0


def test_a_record_made_by_hand_is_static_and_makes_no_second_one() -> None:
    host = server()
    assert providers.get(host, NAMESPACE, SRV, create(host).keys)["TimeStamp"] == 0
    with pytest.raises(Fault) as refused:
        create(host)
    assert refused.value.code == from_win32(RECORD_ALREADY_EXISTS)


def test_a_zone_that_is_no_primary_one_is_not_written() -> None:
    secondary: dict[str, Any] = {"branch.example": {"type": "secondary", "masters": ["192.0.2.9"]}}
    host = server(**secondary)
    with pytest.raises(Fault) as refused:
        create(host, "branch.example")
    assert refused.value.code == from_win32(INVALID_ZONE_TYPE)


@pytest.mark.parametrize(("position", "numbers"), [("protocol", {1, 2}), ("from_zero", {0, 1})])
def test_zone_types_count_as_the_switch_says(position: str, numbers: set[int]) -> None:
    host = server({"dns.zone_type": position}, **{"b.example": {"type": "secondary", "masters": ["192.0.2.9"]}})
    assert {zone["ZoneType"] for zone in providers.instances(host, NAMESPACE, "MicrosoftDNS_Zone")} == numbers


def test_the_namespace_is_there_only_with_the_role_and_the_switch() -> None:
    assert providers.namespace_available(server(), NAMESPACE)
    assert not providers.namespace_available(server({"dns.wmi_namespace": "absent"}), NAMESPACE)
    assert not providers.namespace_available(Fleet.load({"hosts": {"N1": {}}}).host("N1"), NAMESPACE)


@pytest.mark.parametrize("zone", [{"type": "secondary"}, {"masters": ["192.0.2.9"]}, {"type": "hidden"}, {"color": 1}])
def test_a_zone_that_cannot_be_is_refused_with_its_place(zone: dict[str, Any]) -> None:
    with pytest.raises(FleetFileError, match=r"fleet\.hosts\.DNS1\.dns\.zones\.x\.example"):
        server(**{"x.example": zone})
