# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the demo shows: each act is a playbook that runs twice on machines of fleet.yml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Act:
    """A playbook and the variables it runs with.

    story: what the first run does, a sentence; folder: the variable that names a folder on the controller.
    """

    story: str
    playbook: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    folder: str | None = None


ACTS = (
    Act(
        "A failover cluster gets one policy for hung nodes, and each node the dump that explains the next hang.",
        "hang_recovery.yml",
        {"hang_recovery_hosts": "CL1"},
    ),
    Act(
        "A web farm that floods its switch goes to IGMP multicast: one host changes both, and the task waits for them.",
        "nlb_mode.yml",
        {"nlb_mode_hosts": "W1:W2", "nlb_mode_mode": "igmp_multicast", "ansible_psrp_auth": "credssp"},
    ),
    Act(
        "A mail server with 0xFFFFFFFF in its registry and a file server put IPv4 first, in the supported way.",
        "disable_ipv6.yml",
        {"disable_ipv6_hosts": "MAIL:FILE"},
    ),
    Act(
        "A KMS client becomes a KMS host on another port, with its firewall open.",
        "kms_host.yml",
        {
            "kms_host_hosts": "KMS1",
            "kms_host_product_key": "AAAAA-AAAAA-AAAAA-AAAAA-AAAAA",
            "kms_host_key_group": "ws2022",
            "kms_host_listening_port": 1689,
        },
    ),
    Act(
        "The clients of two domains find it, and no longer its dead predecessor.",
        "kms_srv_record.yml",
        {
            "kms_srv_record_hosts": "DNS1",
            "kms_srv_record_zones": ["example.test", "branch.example.test"],
            "kms_srv_record_target": "kms1.example.test",
            "kms_srv_record_port": 1689,
            "kms_srv_record_purge": True,
        },
    ),
    Act(
        "A clustered machine on Windows Server 2008 R2 loses its snapshots: shut down by the cluster, merged, started.",
        "snapshot_offline_action.yml",
        {
            "snapshot_offline_action_hosts": "HV",
            "snapshot_offline_action_vm": "app1",
            "snapshot_offline_action_delete": "all",
        },
    ),
    Act(
        "A DHCP server moves to new hardware with every lease; at no moment two servers lease, or none at the end.",
        "dhcp_migrate.yml",
        {
            "dhcp_migrate_old": "DHCP1",
            "dhcp_migrate_new": "DHCP2",
            "dhcp_migrate_id": "demo",
            "dhcp_migrate_authorize_via": "DC1",
        },
        folder="dhcp_migrate_controller_dir",
    ),
)
