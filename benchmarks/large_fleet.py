# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A site of any size: failover clusters, web farms, KMS hosts, DNS servers and members of five Windows versions.

``python -m benchmarks.large_fleet HOSTS`` prints it for ``./dev sim``. Each host has a loopback address of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .fleet import KEY

PASSWORD = "Winsim-2026"
DOMAIN = "example.test"
_BLOCK = 10
_BUILDS = (20348, 17763, 14393, 9600, 7601)


def large_fleet(hosts: int) -> dict[str, Any]:
    """A description for winsim; its clock stands still, so that nothing happens but what is asked."""
    described: dict[str, Any] = {}
    clusters: dict[str, Any] = {}
    farms: dict[str, Any] = {}
    for name, kind, number in _named(hosts):
        described[name] = {**_KINDS[kind](number), "winrm": {"listen": _loopback(number)}}
        if kind == "node":
            clusters.setdefault(f"CL{number // _BLOCK:04}", {"nodes": []})["nodes"].append(name)
        elif kind == "web":
            farm = farms.setdefault(f"WEB{number // _BLOCK:04}", _farm(number))
            farm["hosts"][name] = {"interface": "NLB", "dedicated": [_inside(number, 1)]}
    return {
        "password": PASSWORD,
        "domain": DOMAIN,
        "clock": {"speed": 0},
        "hosts": described,
        "clusters": clusters,
        "nlb": farms,
    }


def groups(hosts: int) -> dict[str, Any]:
    """The groups of ``playbooks/site.yml`` for an inventory, with what each of them shall be."""
    named = list(_named(hosts))

    def of(kind: str, *, every: int = 1) -> dict[str, Any]:
        return {name: {} for name, each, number in named if each == kind and number % every == 0}

    return {
        "windows": {"vars": {"disable_ipv6_state": "prefer_ipv4"}},
        "cluster_nodes": {"hosts": of("node"), "vars": {"hang_recovery_action": "log"}},
        # One host of each farm, which changes all of them.
        "nlb_clusters": {"hosts": of("web", every=2), "vars": {"nlb_mode_mode": "unicast"}},
        "kms_hosts": {"hosts": of("kms"), "vars": {"kms_host_activation": "none", "kms_host_firewall": "open"}},
        "dns_servers": {
            "hosts": of("dns"),
            "vars": {"kms_srv_record_zones": [DOMAIN], "kms_srv_record_target": f"kms.{DOMAIN}"},
        },
    }


def with_groups(inventory: Mapping[str, Any], hosts: int) -> dict[str, Any]:
    """winsim's inventory of the fleet, and the groups of the site in it."""
    children: dict[str, Any] = dict(inventory["all"]["children"])
    for name, group in groups(hosts).items():
        known = children.get(name, {})
        children[name] = {**known, **group, "vars": {**known.get("vars", {}), **group["vars"]}}
    return {"all": {**inventory["all"], "children": children}}


def _named(hosts: int) -> Iterator[tuple[str, str, int]]:
    """Name, kind and number of each host."""
    for number in range(hosts):
        kind = _ORDER[number % _BLOCK]
        yield f"{kind}{number:04}", kind, number


def _node(number: int) -> dict[str, Any]:
    return {
        "build": 17763,
        "features": ["Failover-Clustering", "RSAT-Clustering-CmdInterface"],
        "memory": "16 GiB",
        "pagefiles": {r"C:\pagefile.sys": "20 GiB"},
    }


def _web(number: int) -> dict[str, Any]:
    farm = number - number % 2
    return {
        "adapters": {
            "LAN": {"addresses": [f"192.0.2.{number % 250 + 1}"]},
            "NLB": {"addresses": [_inside(number, 1), _inside(farm, 2)]},
        }
    }


def _farm(number: int) -> dict[str, Any]:
    rules = [{"start": 443, "end": 443, "protocol": "tcp"}]
    return {"ip": _inside(number - number % 2, 2), "rules": rules, "hosts": {}}


def _kms(number: int) -> dict[str, Any]:
    keys = {KEY: {"kind": "kms_host", "group": "ws2022", "channel": "WS22"}}
    return {"licensing": {"keys": keys, "installed": {KEY: 1}}}


def _dns(number: int) -> dict[str, Any]:
    return {"dns": {"zones": {DOMAIN: {}}}}


def _member(number: int) -> dict[str, Any]:
    return {"build": _BUILDS[number // 2 % len(_BUILDS)]}


_KINDS = {"node": _node, "web": _web, "kms": _kms, "dns": _dns, "member": _member}
_ORDER: Sequence[str] = ("node", "node", "web", "web", "kms", "dns", *["member"] * 4)


def _loopback(number: int) -> str:
    return f"127.{number // 62500 + 1}.{number // 250 % 250}.{number % 250 + 1}"


def _inside(number: int, last: int) -> str:
    return f"10.{number // 250}.{number % 250}.{last}"


if __name__ == "__main__":
    json.dump(large_fleet(int(sys.argv[1])), sys.stdout, indent=1)
