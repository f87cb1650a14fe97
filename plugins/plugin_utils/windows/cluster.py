# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Failover clusters, root/MSCluster. For this collection only.

https://learn.microsoft.com/en-us/previous-versions/windows/desktop/cluswmi/failover-cluster-apis-portal
"""

from __future__ import annotations

from ..wsman.bindings import CimClass, key, since, writable
from ..wsman.types import uint32

NAMESPACE = "root/MSCluster"

NODE_UP = 0
NODE_DOWN = 1
NODE_PAUSED = 2
NODE_JOINING = 3


class Cluster(CimClass, namespace=NAMESPACE, wmi="MSCluster_Cluster"):
    """The cluster that the host belongs to; exactly one instance."""

    Name: str = key()
    HangRecoveryAction: uint32 = writable()
    # Read-only by the reference; see the procedure for why it is tried all the same.
    ClusSvcHangTimeout: uint32 | None = since("Windows Server 2008 R2", writable=True)
    Fqdn: str | None = since("Windows Server 2012")


class Node(CimClass, namespace=NAMESPACE, wmi="MSCluster_Node"):
    """One member server of the cluster."""

    Name: str = key()
    State: uint32
    MajorVersion: uint32
    MinorVersion: uint32
    BuildNumber: uint32
