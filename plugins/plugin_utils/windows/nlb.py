# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Network Load Balancing, root/MicrosoftNLB and its cmdlets. For this collection only.

https://learn.microsoft.com/en-us/previous-versions/windows/desktop/wlbsprov/network-load-balancing-provider-reference
https://learn.microsoft.com/en-us/powershell/module/networkloadbalancingclusters/
"""

from __future__ import annotations

from ..wsman.bindings import CimClass, Method, key, since, writable
from ..wsman.cmdlets import Cmdlet
from ..wsman.types import boolean, uint32

NAMESPACE = "root/MicrosoftNLB"
CIMV2 = "root/cimv2"
MODULE = "NetworkLoadBalancingClusters"

OK = 1000
RESTART_NEEDED = 1050
STOPPED, CONVERGING, CONVERGED, DEFAULT, DRAINING, SUSPENDED = 1005, 1006, 1007, 1008, 1009, 1013

RETURNS = {
    OK: "WLBS_OK",
    1003: "WLBS_BAD_PARAMS: bad parameters in the registry",
    RESTART_NEEDED: "WLBS_REBOOT: a restart is needed",
    1102: "WLBS_IO_ERROR: driver I/O error",
    1103: "WLBS_TIMEOUT: time-out",
    1154: "WLBS_REG_ERROR: registry error",
}
"""Documented return values of LoadAllSettings and status codes of the provider."""


class ClusterSetting(CimClass, namespace=NAMESPACE, wmi="MicrosoftNLB_ClusterSetting"):
    """The settings of a cluster as this host has them. Name is ``<cluster IP>:<host priority>``.

    The class page calls every property read-only, while the configuration chapter tells to change
    MulticastSupportEnabled and to commit it with LoadAllSettings: read back what was written.
    """

    Name: str = key()
    AdapterGuid: str
    ClusterName: str | None
    ClusterIPAddress: str | None
    ClusterNetworkMask: str | None
    ClusterMACAddress: str | None
    MulticastSupportEnabled: boolean = writable()
    IGMPSupport: boolean = writable()
    MulticastIPAddress: str | None
    UnicastInterHostCommSupportEnabled: boolean | None

    LoadAllSettings = Method(returns=RETURNS, success=(OK, RESTART_NEEDED))


class NodeSetting(CimClass, namespace=NAMESPACE, wmi="MicrosoftNLB_NodeSetting"):
    """What belongs to this host alone."""

    AdapterGuid: str
    HostPriority: uint32
    DedicatedIPAddresses: tuple[str, ...] | None


class Node(CimClass, namespace=NAMESPACE, wmi="MicrosoftNLB_Node"):
    """A host of a cluster. Another host shows up only where remote control is on, and with StatusCode 0."""

    Name: str = key()
    HostPriority: uint32
    StatusCode: uint32


class PortRule(CimClass, namespace=NAMESPACE, wmi="MicrosoftNLB_PortRuleEx"):
    """A port rule."""

    AdapterGuid: str
    VirtualIpAddress: str = key()
    StartPort: uint32 = key()
    EndPort: uint32
    Protocol: uint32
    FilteringMode: uint32
    Affinity: uint32
    LoadWeight: uint32
    EqualLoad: boolean
    Priority: uint32
    ClientStickinessTimeout: uint32 | None = since("Windows Server 2008 R2")


class BoundAdapter(CimClass, namespace=CIMV2, wmi="Win32_NetworkAdapter"):
    """The connection name of an adapter."""

    GUID: str
    NetConnectionID: str | None


class BoundAddresses(CimClass, namespace=CIMV2, wmi="Win32_NetworkAdapterConfiguration"):
    """The addresses of an adapter, in its order."""

    SettingID: str
    IPAddress: tuple[str, ...] | None


class Machine(CimClass, namespace=CIMV2, wmi="Win32_ComputerSystem"):
    """Whether the host is a virtual machine."""

    Manufacturer: str | None
    Model: str | None

    @property
    def virtual(self) -> bool:
        """Whether it is a virtual machine of Hyper-V, as the two words say on every language of Windows."""
        return self.Manufacturer == "Microsoft Corporation" and self.Model == "Virtual Machine"


GET_NLB_CLUSTER = Cmdlet("Get-NlbCluster", MODULE, ("HostName", "InterfaceName"))
GET_NLB_CLUSTER_NODE = Cmdlet("Get-NlbClusterNode", MODULE, ("InterfaceName",))
SET_NLB_CLUSTER = Cmdlet("Set-NlbCluster", MODULE, ("InterfaceName", "OperationMode"))
