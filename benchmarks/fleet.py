# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fleet that tasks are measured on: each host is a cluster of its own, a web farm of its own, and a KMS host."""

from __future__ import annotations

from typing import Any

KEY = "AAAAA-AAAAA-AAAAA-AAAAA-AAAAA"


def names(hosts: int) -> list[str]:
    """The names of this many hosts."""
    return [f"H{number:04}" for number in range(1, hosts + 1)]


def fleet(hosts: int) -> dict[str, Any]:
    """A description for winsim; its clock stands still, so that nothing happens but what is asked."""
    host = {
        "build": 17763,
        "features": ["Failover-Clustering", "RSAT-Clustering-CmdInterface"],
        "memory": "16 GiB",
        "pagefiles": {r"C:\pagefile.sys": "20 GiB"},
        "licensing": {
            "keys": {KEY: {"kind": "kms_host", "group": "ws2019", "channel": "WS19"}},
            "installed": {KEY: 1},
        },
    }
    named = names(hosts)
    return {
        "password": "Winsim-2026",
        "domain": "example.test",
        "clock": {"speed": 0},
        "hosts": {name: {**host, "adapters": _adapters(number)} for number, name in enumerate(named)},
        "clusters": {f"C{name}": {"nodes": [name]} for name in named},
        "nlb": {
            f"W{name}": {
                "ip": _address(number, 2),
                "rules": [{"start": 443, "end": 443, "protocol": "tcp"}],
                "hosts": {name: {"interface": "NLB", "dedicated": [_address(number, 1)]}},
            }
            for number, name in enumerate(named)
        },
    }


def _adapters(number: int) -> dict[str, Any]:
    return {
        "LAN": {"addresses": [f"192.0.2.{number % 250 + 1}"]},
        "NLB": {"addresses": [_address(number, 1), _address(number, 2)]},
    }


def _address(number: int, last: int) -> str:
    return f"10.{number // 250}.{number % 250}.{last}"
