# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Nothing is played that the public schema lacks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from winsim import Fleet, Host
from winsim.providers import Embedded, Reference, providers
from winsim.schema import Property, load

# What Python values each CIM type takes.
TYPES: dict[str, tuple[type[Any], ...]] = {
    "boolean": (bool,),
    "string": (str, Embedded),
    "char16": (str,),
    "datetime": (datetime, timedelta),
    "reference": (Reference,),
    "real32": (float,),
    "real64": (float,),
}


@pytest.fixture(scope="module", params=[6002, 7601, 9600, 14393, 17763, 20348, 26100])
def host(request: pytest.FixtureRequest) -> Host:
    fleet = Fleet.load({
        "clock": {"speed": 0},
        "domain": "corp.example",
        "hosts": {"N1": {"build": request.param, "updates": ["KB5034127"]}, "N2": {"build": request.param}},
        "clusters": {"CL1": {"nodes": ["N1", "N2"], "shared_volumes": {"C:\\ClusterStorage\\Volume1": {}}}},
        "virtual_machines": {
            "app1": {
                "cluster": "CL1",
                "owner": "N1",
                "snapshots": ["one", "two"],
                "disks": [{"path": "C:\\ClusterStorage\\Volume1\\app1.vhd"}],
            }
        },
    })  # fmt: skip
    return fleet.host("N1")


def fits(declared: Property, value: Any) -> bool:
    if value is None:
        return not declared.key
    if declared.array:
        return isinstance(value, list) and all(_fits(declared, each) for each in value)
    return _fits(declared, value)


def _fits(declared: Property, value: Any) -> bool:
    if declared.type in TYPES:
        return isinstance(value, TYPES[declared.type])
    low, high = (-(2**63), 2**63 - 1) if declared.type.startswith("s") else (0, 2 ** int(declared.type[4:]) - 1)
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def classes() -> list[tuple[str, str]]:
    """WMI's classes; WinRM's own resources are no part of a namespace."""
    return [(namespace, cls) for namespace, cls, _ in providers.played("instances") if namespace.startswith("root/")]


@pytest.mark.parametrize(("namespace", "cls"), classes())
def test_every_property_of_every_instance_is_in_the_schema_with_its_type(host: Host, namespace: str, cls: str) -> None:
    declared = load().find(host.build, namespace, cls)
    if declared is None:
        # Played for newer builds: then no request for it gets past the schema of this one.
        assert load().find(26100, namespace, cls) is not None
        return
    for instance in providers.instances(host, namespace, cls):
        for name, value in instance.items():
            member = declared.property(name)
            assert member is not None or declared.open, f"{cls} has no {name}"
            assert member is None or fits(member, value), f"{cls}.{name} is {member.type}, not {value!r}"
        assert all(instance.get(key.name) is not None for key in declared.keys), f"{cls}: keys are missing"


@pytest.mark.parametrize(("namespace", "cls", "method"), providers.played("method"))
def test_every_method_is_in_the_schema(namespace: str, cls: str, method: str) -> None:
    declared = load().find(26100, namespace, cls) or load().find(7601, namespace, cls)
    assert declared is not None
    assert declared.method(method) is not None


@pytest.mark.parametrize("kind", ["modify", "create", "delete", "get", "shape"])
def test_what_else_is_played_is_of_a_class_that_has_instances(kind: str) -> None:
    played = {(namespace, cls) for namespace, cls, _ in providers.played(kind)}
    assert played <= {(namespace, cls) for namespace, cls, _ in providers.played("instances")}
