# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The DHCP Server of Windows Server 2012 and later, root/Microsoft/Windows/DHCP. For this collection only.

https://learn.microsoft.com/en-us/previous-versions/windows/desktop/dhcpserverpsprov/dhcp-classes
The PS_ classes hold the static methods behind the cmdlets of DhcpServer; results travel as embedded instances. No page
says whether they may be called over WS-Management without ComputerName, so `DhcpServer` knows the other ways as well.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from ..errors import CmdletFailed, FieldnotesError, MalformedAnswer, MethodFailed, WsmanFault
from ..wsman.bindings import CimClass, Method, key
from ..wsman.cim import Cim
from ..wsman.cmdlets import SWITCH, Cmdlet, Cmdlets, PSObject
from ..wsman.faults import is_access_denied
from ..wsman.types import CimType, boolean, decode_interval, decode_moment, interval, moment, uint16, uint32
from .cluster import NAMESPACE as CLUSTER
from .services import find_service

NAMESPACE = "root/Microsoft/Windows/DHCP"
MODULE = "DhcpServer"
SERVICE = "DHCPServer"
SERVER_2012_R2 = 9600
"""The first build with multicast scopes and DNS credentials in the provider."""

# Data


class Setting(CimClass, namespace=NAMESPACE, wmi="DhcpServerSetting"):
    """Settings of the server. IsAuthorized: what the service itself believes."""

    IsDomainJoined: boolean | None
    IsAuthorized: boolean | None
    RestoreStatus: boolean | None
    NapEnabled: boolean | None
    ConflictDetectionAttempts: uint32 | None
    NpsUnreachableAction: str | None
    ActivatePolicies: boolean | None


class Database(CimClass, namespace=NAMESPACE, wmi="DhcpServerDatabase"):
    """Where the database is."""

    FileName: str | None
    BackupPath: str | None


class AuditLog(CimClass, namespace=NAMESPACE, wmi="DhcpServerAuditLog"):
    """The audit log."""

    Enable: boolean | None
    Path: str | None
    MaxMBFileSize: uint32 | None
    DiskCheckInterval: uint32 | None
    MinMBDiskSpace: uint32 | None


class DnsCredential(CimClass, namespace=NAMESPACE, wmi="DhcpServerDnsCredential"):
    """The account of dynamic DNS updates; its password cannot be read. Windows Server 2012 R2 and later."""

    UserName: str | None
    DomainName: str | None


class AuthorizedServer(CimClass, namespace=NAMESPACE, wmi="DhcpServerInDC"):
    """An entry of the authorization list in Active Directory: it belongs to a name and an address, not to a machine."""

    DnsName: str | None
    IPAddress: str | None


class Scope(CimClass, namespace=NAMESPACE, wmi="DhcpServerv4Scope"):
    """A scope."""

    ScopeId: str | None
    Name: str | None
    Description: str | None
    SubnetMask: str | None
    StartRange: str | None
    EndRange: str | None
    SuperscopeName: str | None
    LeaseDuration: interval | None
    NapProfile: str | None
    NapEnable: boolean | None
    Delay: uint16 | None
    State: str | None
    Type: str | None
    MaxBootpClients: uint32 | None
    ActivatePolicies: boolean | None


class ScopeStatistics(CimClass, namespace=NAMESPACE, wmi="DhcpServerv4ScopeStatistics"):
    """Counts of a scope."""

    ScopeId: str | None
    AddressesInUse: uint32 | None


class Statistics(CimClass, namespace=NAMESPACE, wmi="DhcpServerv4Statistics"):
    """Counters of the service since its start."""

    Acks: uint32 | None
    ServerStartTime: moment | None


class Lease(CimClass, namespace=NAMESPACE, wmi="DhcpServerv4Lease"):
    """A lease. LeaseExpiryTime is None where it never expires."""

    IPAddress: str | None
    ScopeId: str | None
    ClientId: str | None
    HostName: str | None
    AddressState: str | None
    ClientType: str | None
    LeaseExpiryTime: moment | None
    PolicyName: str | None
    Description: str | None
    DnsRR: str | None
    DnsRegistration: str | None


class Reservation(CimClass, namespace=NAMESPACE, wmi="DhcpServerv4Reservation"):
    """A reservation."""

    IPAddress: str | None
    ScopeId: str | None
    ClientId: str | None
    Name: str | None
    Type: str | None
    Description: str | None


class Exclusion(CimClass, namespace=NAMESPACE, wmi="DhcpServerv4ExclusionRange"):
    """Addresses of a scope that are not leased."""

    ScopeId: str | None
    StartRange: str | None
    EndRange: str | None


class OptionDefinition(CimClass, namespace=NAMESPACE, wmi="DhcpServerv4OptionDefinition"):
    """What an option is."""

    OptionId: uint32 | None
    Name: str | None
    Description: str | None
    VendorClass: str | None
    MultiValued: boolean | None
    Type: str | None
    DefaultValue: tuple[str, ...] | None


class OptionValue(CimClass, namespace=NAMESPACE, wmi="DhcpServerv4OptionValue"):
    """The value of an option on the server, a scope or a reservation."""

    OptionId: uint32 | None
    Type: str | None
    UserClass: str | None
    VendorClass: str | None
    Value: tuple[str, ...] | None
    Name: str | None
    PolicyName: str | None


class Policy(CimClass, namespace=NAMESPACE, wmi="DhcpServerv4Policy"):
    """A policy of the server or of a scope."""

    Name: str | None
    Description: str | None
    ScopeId: str | None
    Enabled: boolean | None
    Condition: str | None
    ProcessingOrder: uint16 | None
    VendorClass: tuple[str, ...] | None
    UserClass: tuple[str, ...] | None
    MacAddress: tuple[str, ...] | None
    ClientId: tuple[str, ...] | None
    RelayAgent: tuple[str, ...] | None
    CircuitId: tuple[str, ...] | None
    RemoteId: tuple[str, ...] | None
    SubscriberId: tuple[str, ...] | None
    LeaseDuration: interval | None
    Fqdn: tuple[str, ...] | None


class PolicyRange(CimClass, namespace=NAMESPACE, wmi="DhcpServerv4PolicyIPRange"):
    """Addresses that a policy leases."""

    Name: str | None
    ScopeId: str | None
    StartRange: str | None
    EndRange: str | None


class Filter(CimClass, namespace=NAMESPACE, wmi="DhcpServerv4Filter"):
    """A hardware address that is allowed or denied."""

    List: str | None
    Description: str | None
    MacAddress: str | None


class FilterList(CimClass, namespace=NAMESPACE, wmi="DhcpServerv4FilterList"):
    """Which of the two lists of filters is on."""

    Allow: boolean | None
    Deny: boolean | None


class OptionClass(CimClass, namespace=NAMESPACE, wmi="DhcpServerv4Class"):
    """A vendor or user class."""

    Name: str | None
    Type: str | None
    Data: str | None
    Description: str | None


class Superscope(CimClass, namespace=NAMESPACE, wmi="DhcpServerv4Superscope"):
    """Scopes under one name."""

    SuperscopeName: str | None
    ScopeId: tuple[str, ...] | None


class MulticastScope(CimClass, namespace=NAMESPACE, wmi="DhcpServerv4MulticastScope"):
    """A multicast scope. Windows Server 2012 R2 and later."""

    Name: str | None
    Description: str | None
    StartRange: str | None
    EndRange: str | None
    LeaseDuration: interval | None
    ExpiryTime: moment | None
    State: str | None
    Ttl: uint32 | None


class DnsSetting(CimClass, namespace=NAMESPACE, wmi="DhcpServerv4DnsSetting"):
    """How the server or a scope updates DNS."""

    DynamicUpdates: str | None
    DeleteDnsRROnLeaseExpiry: boolean | None
    UpdateDnsRRForOlderClients: boolean | None
    NameProtection: boolean | None
    DisableDnsPtrRRUpdate: boolean | None
    DnsSuffix: str | None


class Failover(CimClass, namespace=NAMESPACE, wmi="DhcpServerv4Failover"):
    """A failover relationship; its shared secret cannot be read."""

    Name: str | None
    PartnerServer: str | None
    Mode: str | None
    LoadBalancePercent: uint32 | None
    ReservePercent: uint32 | None
    ScopeId: tuple[str, ...] | None
    MaxClientLeadTime: interval | None


class ServerBinding(CimClass, namespace=NAMESPACE, wmi="DhcpServerv4Binding"):
    """An address that the server listens on."""

    InterfaceAlias: str | None
    BindingState: boolean | None
    IPAddress: str | None


class ScopeV6(CimClass, namespace=NAMESPACE, wmi="DhcpServerv6Scope"):
    """An IPv6 scope."""

    Prefix: str | None
    Name: str | None
    Description: str | None
    Preference: uint16 | None
    PreferredLifetime: interval | None
    PrefixLength: uint32 | None
    State: str | None
    T1: interval | None
    T2: interval | None
    ValidLifetime: interval | None


class ExclusionV6(CimClass, namespace=NAMESPACE, wmi="DhcpServerv6ExclusionRange"):
    """Addresses of an IPv6 scope that are not leased."""

    Prefix: str | None
    StartRange: str | None
    EndRange: str | None


class ReservationV6(CimClass, namespace=NAMESPACE, wmi="DhcpServerv6Reservation"):
    """An IPv6 reservation."""

    IPAddress: str | None
    Prefix: str | None
    ClientDuid: str | None
    Iaid: uint32 | None
    Name: str | None
    Description: str | None


class LeaseV6(CimClass, namespace=NAMESPACE, wmi="DhcpServerv6Lease"):
    """An IPv6 lease."""

    AddressType: str | None
    IPAddress: str | None
    Prefix: str | None
    Description: str | None
    ClientDuid: str | None
    HostName: str | None
    Iaid: uint32 | None
    LeaseExpiryTime: moment | None


class OptionDefinitionV6(CimClass, namespace=NAMESPACE, wmi="DhcpServerv6OptionDefinition"):
    """What an IPv6 option is."""

    OptionId: uint32 | None
    Name: str | None
    Description: str | None
    VendorClass: str | None
    MultiValued: boolean | None
    Type: str | None
    DefaultValue: tuple[str, ...] | None


class OptionValueV6(CimClass, namespace=NAMESPACE, wmi="DhcpServerv6OptionValue"):
    """The value of an IPv6 option."""

    OptionId: uint32 | None
    Type: str | None
    UserClass: str | None
    VendorClass: str | None
    Value: tuple[str, ...] | None
    Name: str | None


class OptionClassV6(CimClass, namespace=NAMESPACE, wmi="DhcpServerv6Class"):
    """An IPv6 vendor or user class."""

    Name: str | None
    Type: str | None
    Data: str | None
    VendorId: uint32 | None
    Description: str | None


# Methods


class SettingMethods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerSetting"):
    """Static methods."""

    Get = Method({"ComputerName": str | None}, {"cmdletOutput": Setting}, static=True)


class DatabaseMethods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerDatabase"):
    """Static methods."""

    Get = Method({"ComputerName": str | None}, {"cmdletOutput": Database}, static=True)


class AuditLogMethods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerAuditLog"):
    """Static methods."""

    Get = Method({"ComputerName": str | None}, {"cmdletOutput": AuditLog}, static=True)


class DnsCredentialMethods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerDnsCredential"):
    """Static methods."""

    Get = Method({"ComputerName": str | None}, {"cmdletOutput": DnsCredential}, static=True)


class ScopeMethods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerv4Scope"):
    """Static methods."""

    Get = Method({"ComputerName": str | None}, {"cmdletOutput": tuple[Scope, ...]}, static=True)


class ScopeStatisticsMethods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerv4ScopeStatistics"):
    """Static methods."""

    Get = Method(
        {"ComputerName": str | None, "ScopeId": tuple[str, ...] | None},
        {"cmdletOutput": tuple[ScopeStatistics, ...]},
        static=True,
    )


class StatisticsMethods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerv4Statistics"):
    """Static methods."""

    Get = Method({"ComputerName": str | None}, {"cmdletOutput": Statistics}, static=True)


class LeaseMethods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerv4Lease"):
    """Static methods."""

    GetByScopeId = Method(
        {"ComputerName": str | None, "ScopeId": str, "AllLeases": boolean | None},
        {"cmdletOutput": tuple[Lease, ...]},
        static=True,
    )


class ReservationMethods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerv4Reservation"):
    """Static methods."""

    GetByScopeId = Method(
        {"ComputerName": str | None, "ScopeId": str}, {"cmdletOutput": tuple[Reservation, ...]}, static=True
    )


class ExclusionMethods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerv4ExclusionRange"):
    """Static methods."""

    Get = Method({"ComputerName": str | None}, {"cmdletOutput": tuple[Exclusion, ...]}, static=True)


class OptionDefinitionMethods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerv4OptionDefinition"):
    """Static methods."""

    Get = Method(
        {"ComputerName": str | None, "All": boolean | None}, {"cmdletOutput": tuple[OptionDefinition, ...]}, static=True
    )


class OptionValueMethods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerv4OptionValue"):
    """Static methods."""

    Get = Method(
        {
            "ComputerName": str | None,
            "All": boolean | None,
            "ScopeId": str | None,
            "ReservedIP": str | None,
            "PolicyName": str | None,
        },
        {"cmdletOutput": tuple[OptionValue, ...]},
        static=True,
    )


class PolicyMethods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerv4Policy"):
    """Static methods."""

    Get = Method({"ComputerName": str | None, "ScopeId": str | None}, {"cmdletOutput": tuple[Policy, ...]}, static=True)


class PolicyRangeMethods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerv4PolicyIPRange"):
    """Static methods."""

    Get = Method(
        {"ComputerName": str | None, "ScopeId": str | None}, {"cmdletOutput": tuple[PolicyRange, ...]}, static=True
    )


class FilterMethods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerv4Filter"):
    """Static methods."""

    Get = Method({"ComputerName": str | None}, {"cmdletOutput": tuple[Filter, ...]}, static=True)


class FilterListMethods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerv4FilterList"):
    """Static methods."""

    Get = Method({"ComputerName": str | None}, {"cmdletOutput": FilterList}, static=True)


class OptionClassMethods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerv4Class"):
    """Static methods."""

    Get = Method({"ComputerName": str | None}, {"cmdletOutput": tuple[OptionClass, ...]}, static=True)


class SuperscopeMethods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerv4Superscope"):
    """Static methods."""

    Get = Method({"ComputerName": str | None}, {"cmdletOutput": tuple[Superscope, ...]}, static=True)


class MulticastScopeMethods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerv4MulticastScope"):
    """Static methods."""

    Get = Method({"ComputerName": str | None}, {"cmdletOutput": tuple[MulticastScope, ...]}, static=True)


class DnsSettingMethods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerv4DnsSetting"):
    """Static methods."""

    Get = Method({"ComputerName": str | None, "ScopeId": str | None}, {"cmdletOutput": DnsSetting}, static=True)


class FailoverMethods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerv4Failover"):
    """Static methods."""

    GetByName = Method({"ComputerName": str | None}, {"cmdletOutput": tuple[Failover, ...]}, static=True)
    Remove = Method(
        {"Name": tuple[str, ...], "Force": boolean, "ComputerName": str | None},
        {"cmdletOutput": tuple[Failover, ...]},
        static=True,
    )


class ServerBindingMethods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerv4Binding"):
    """Static methods."""

    Get = Method({"ComputerName": str | None}, {"cmdletOutput": tuple[ServerBinding, ...]}, static=True)


class ScopeV6Methods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerv6Scope"):
    """Static methods."""

    Get = Method({"ComputerName": str | None}, {"cmdletOutput": tuple[ScopeV6, ...]}, static=True)


class ExclusionV6Methods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerv6ExclusionRange"):
    """Static methods."""

    Get = Method(
        {"ComputerName": str | None, "Prefix": tuple[str, ...] | None},
        {"cmdletOutput": tuple[ExclusionV6, ...]},
        static=True,
    )


class ReservationV6Methods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerv6Reservation"):
    """Static methods."""

    GetByPrefix = Method(
        {"ComputerName": str | None, "Prefix": str}, {"cmdletOutput": tuple[ReservationV6, ...]}, static=True
    )


class LeaseV6Methods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerv6Lease"):
    """Static methods."""

    GetByPrefix = Method(
        {"ComputerName": str | None, "Prefix": str}, {"cmdletOutput": tuple[LeaseV6, ...]}, static=True
    )


class OptionDefinitionV6Methods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerv6OptionDefinition"):
    """Static methods."""

    Get = Method(
        {"ComputerName": str | None, "All": boolean | None},
        {"cmdletOutput": tuple[OptionDefinitionV6, ...]},
        static=True,
    )


class OptionValueV6Methods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerv6OptionValue"):
    """Static methods."""

    Get = Method(
        {"ComputerName": str | None, "All": boolean | None, "Prefix": str | None, "ReservedIP": str | None},
        {"cmdletOutput": tuple[OptionValueV6, ...]},
        static=True,
    )


class OptionClassV6Methods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerv6Class"):
    """Static methods."""

    Get = Method({"ComputerName": str | None}, {"cmdletOutput": tuple[OptionClassV6, ...]}, static=True)


class AuthorizationMethods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerInDC"):
    """The authorization list. Add and Remove also have the server that is named look at the list."""

    Get = Method({}, {"cmdletOutput": tuple[AuthorizedServer, ...]}, static=True)
    Add = Method({"DnsName": str, "IPAddress": str}, {"cmdletOutput": AuthorizedServer}, static=True)
    Remove = Method({"DnsName": str, "IPAddress": str}, {"cmdletOutput": AuthorizedServer}, static=True)


class ServerMethods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServer"):
    """Backup and restore of the database; the paths are the server's own."""

    Backup = Method({"ComputerName": str | None, "Path": str}, static=True)
    Restore = Method({"ComputerName": str | None, "Path": str, "Force": boolean}, static=True)


class SecurityGroupMethods(CimClass, namespace=NAMESPACE, wmi="PS_DhcpServerSecurityGroup"):
    """Makes the groups DHCP Administrators and DHCP Users."""

    Add = Method({"ComputerName": str | None}, static=True)


BACKUP_DHCP_SERVER = Cmdlet("Backup-DhcpServer", MODULE, ("ComputerName", "Path"))
RESTORE_DHCP_SERVER = Cmdlet("Restore-DhcpServer", MODULE, ("ComputerName", "Path", "Force"))
ADD_SECURITY_GROUP = Cmdlet("Add-DhcpServerSecurityGroup", MODULE, ("ComputerName",))
REMOVE_FAILOVER = Cmdlet("Remove-DhcpServerv4Failover", MODULE, ("ComputerName", "Name", "Force"))
GET_IN_DC = Cmdlet("Get-DhcpServerInDC", MODULE)
ADD_IN_DC = Cmdlet("Add-DhcpServerInDC", MODULE, ("DnsName", "IPAddress"))
REMOVE_IN_DC = Cmdlet("Remove-DhcpServerInDC", MODULE, ("DnsName", "IPAddress"))
# Script cmdlets: no class stands behind these two.
EXPORT_DHCP_SERVER = Cmdlet("Export-DhcpServer", MODULE, ("File", "Leases"))
IMPORT_DHCP_SERVER = Cmdlet(
    "Import-DhcpServer", MODULE, ("File", "BackupPath", "Leases", "Force", "ScopeOverwrite", "Confirm")
)


class HasBoth(Protocol):
    """What these functions need of a host."""

    @property
    def cim(self) -> Cim:
        """CIM operations."""

    @property
    def cmdlets(self) -> Cmdlets:
        """Typed cmdlets."""


@dataclass(frozen=True)
class Reading:
    """One kind of record and the two ways to read it; parameters have the same names on both."""

    method: Method
    cmdlet: Cmdlet
    record: type[CimClass]


SETTING = Reading(SettingMethods.Get, Cmdlet("Get-DhcpServerSetting", MODULE, ("ComputerName",)), Setting)
DATABASE = Reading(DatabaseMethods.Get, Cmdlet("Get-DhcpServerDatabase", MODULE, ("ComputerName",)), Database)
AUDIT_LOG = Reading(AuditLogMethods.Get, Cmdlet("Get-DhcpServerAuditLog", MODULE, ("ComputerName",)), AuditLog)
DNS_CREDENTIAL = Reading(
    DnsCredentialMethods.Get, Cmdlet("Get-DhcpServerDnsCredential", MODULE, ("ComputerName",)), DnsCredential
)
SCOPES = Reading(ScopeMethods.Get, Cmdlet("Get-DhcpServerv4Scope", MODULE, ("ComputerName",)), Scope)
SCOPE_STATISTICS = Reading(
    ScopeStatisticsMethods.Get,
    Cmdlet("Get-DhcpServerv4ScopeStatistics", MODULE, ("ComputerName", "ScopeId")),
    ScopeStatistics,
)
STATISTICS = Reading(StatisticsMethods.Get, Cmdlet("Get-DhcpServerv4Statistics", MODULE, ("ComputerName",)), Statistics)
LEASES = Reading(
    LeaseMethods.GetByScopeId, Cmdlet("Get-DhcpServerv4Lease", MODULE, ("ComputerName", "ScopeId", "AllLeases")), Lease
)
RESERVATIONS = Reading(
    ReservationMethods.GetByScopeId,
    Cmdlet("Get-DhcpServerv4Reservation", MODULE, ("ComputerName", "ScopeId")),
    Reservation,
)
EXCLUSIONS = Reading(
    ExclusionMethods.Get, Cmdlet("Get-DhcpServerv4ExclusionRange", MODULE, ("ComputerName",)), Exclusion
)
OPTION_DEFINITIONS = Reading(
    OptionDefinitionMethods.Get,
    Cmdlet("Get-DhcpServerv4OptionDefinition", MODULE, ("ComputerName", "All")),
    OptionDefinition,
)
OPTION_VALUES = Reading(
    OptionValueMethods.Get,
    Cmdlet("Get-DhcpServerv4OptionValue", MODULE, ("ComputerName", "All", "ScopeId", "ReservedIP", "PolicyName")),
    OptionValue,
)
POLICIES = Reading(PolicyMethods.Get, Cmdlet("Get-DhcpServerv4Policy", MODULE, ("ComputerName", "ScopeId")), Policy)
POLICY_RANGES = Reading(
    PolicyRangeMethods.Get, Cmdlet("Get-DhcpServerv4PolicyIPRange", MODULE, ("ComputerName", "ScopeId")), PolicyRange
)
FILTERS = Reading(FilterMethods.Get, Cmdlet("Get-DhcpServerv4Filter", MODULE, ("ComputerName",)), Filter)
FILTER_LIST = Reading(
    FilterListMethods.Get, Cmdlet("Get-DhcpServerv4FilterList", MODULE, ("ComputerName",)), FilterList
)
OPTION_CLASSES = Reading(
    OptionClassMethods.Get, Cmdlet("Get-DhcpServerv4Class", MODULE, ("ComputerName",)), OptionClass
)
SUPERSCOPES = Reading(
    SuperscopeMethods.Get, Cmdlet("Get-DhcpServerv4Superscope", MODULE, ("ComputerName",)), Superscope
)
MULTICAST_SCOPES = Reading(
    MulticastScopeMethods.Get, Cmdlet("Get-DhcpServerv4MulticastScope", MODULE, ("ComputerName",)), MulticastScope
)
DNS_SETTING = Reading(
    DnsSettingMethods.Get, Cmdlet("Get-DhcpServerv4DnsSetting", MODULE, ("ComputerName", "ScopeId")), DnsSetting
)
FAILOVERS = Reading(FailoverMethods.GetByName, Cmdlet("Get-DhcpServerv4Failover", MODULE, ("ComputerName",)), Failover)
SERVER_BINDINGS = Reading(
    ServerBindingMethods.Get, Cmdlet("Get-DhcpServerv4Binding", MODULE, ("ComputerName",)), ServerBinding
)
SCOPES_V6 = Reading(ScopeV6Methods.Get, Cmdlet("Get-DhcpServerv6Scope", MODULE, ("ComputerName",)), ScopeV6)
EXCLUSIONS_V6 = Reading(
    ExclusionV6Methods.Get, Cmdlet("Get-DhcpServerv6ExclusionRange", MODULE, ("ComputerName", "Prefix")), ExclusionV6
)
RESERVATIONS_V6 = Reading(
    ReservationV6Methods.GetByPrefix,
    Cmdlet("Get-DhcpServerv6Reservation", MODULE, ("ComputerName", "Prefix")),
    ReservationV6,
)
LEASES_V6 = Reading(
    LeaseV6Methods.GetByPrefix, Cmdlet("Get-DhcpServerv6Lease", MODULE, ("ComputerName", "Prefix")), LeaseV6
)
OPTION_DEFINITIONS_V6 = Reading(
    OptionDefinitionV6Methods.Get,
    Cmdlet("Get-DhcpServerv6OptionDefinition", MODULE, ("ComputerName", "All")),
    OptionDefinitionV6,
)
OPTION_VALUES_V6 = Reading(
    OptionValueV6Methods.Get,
    Cmdlet("Get-DhcpServerv6OptionValue", MODULE, ("ComputerName", "All", "Prefix", "ReservedIP")),
    OptionValueV6,
)
OPTION_CLASSES_V6 = Reading(
    OptionClassV6Methods.Get, Cmdlet("Get-DhcpServerv6Class", MODULE, ("ComputerName",)), OptionClassV6
)

C = TypeVar("C", bound=CimClass)


class DhcpServer:
    """The DHCP server of a host.

    UNCONFIRMED that the methods take no ComputerName over WS-Management: on a fault they are called once more with the
    host's own name, then the cmdlet is used. The way that worked is kept, for each method by itself: an answer that is
    too large for one message, as that of many leases, says nothing of the others.
    """

    def __init__(self, host: HasBoth, fqdn: str) -> None:
        self._host = host
        self._fqdn = fqdn
        self._ways: dict[Cmdlet, int] = {}

    def read(self, reading: Reading, **selectors: Any) -> tuple[Any, ...]:
        """The records of a kind. selectors: the parameters, true for a switch. Errors: FieldnotesError."""
        found = self._called(
            reading.method,
            reading.cmdlet,
            selectors,
            f"reading {reading.record.__cim__.wmi}",
        )
        if found is None:
            return ()
        values = found if isinstance(found, tuple) else (found,)
        return tuple(_typed(reading.record, value) if isinstance(value, PSObject) else value for value in values)

    def read_by_cmdlet(self, reading: Reading, **selectors: Any) -> tuple[Any, ...]:
        """The same records from the cmdlet, whose output comes one by one. Errors: CmdletFailed."""
        found = self._by(2, reading.method, reading.cmdlet, selectors, f"reading {reading.record.__cim__.wmi}")
        return tuple(_typed(reading.record, value) for value in found if isinstance(value, PSObject))

    def one(self, reading: Reading, **selectors: Any) -> Any:
        """The record of a kind that has exactly one. Errors: MalformedAnswer."""
        found = self.read(reading, **selectors)
        if len(found) != 1:
            raise MalformedAnswer(f"reading {reading.record.__cim__.wmi}: one was expected, {len(found)} came")
        return found[0]

    def backup(self, path: str) -> None:
        """Writes a backup of the database into an empty folder of the server."""
        self._called(ServerMethods.Backup, BACKUP_DHCP_SERVER, {"Path": path}, f"backing up to {path}")

    def restore(self, path: str) -> None:
        """Has the database replaced by a backup when the service starts next."""
        self._called(
            ServerMethods.Restore, RESTORE_DHCP_SERVER, {"Path": path, "Force": True}, f"restoring from {path}"
        )

    def add_security_groups(self) -> None:
        """Makes the two local groups of the role; they may exist."""
        self._called(SecurityGroupMethods.Add, ADD_SECURITY_GROUP, {}, "making the DHCP security groups")

    def remove_failover(self, name: str) -> None:
        """Deletes a failover relationship: its scopes stay here and go from the partner."""
        selectors = {"Name": (name,), "Force": True}
        self._called(FailoverMethods.Remove, REMOVE_FAILOVER, selectors, f"removing failover relationship {name}")

    def _called(self, method: Method, cmdlet: Cmdlet, inputs: Mapping[str, Any], attempted: str) -> Any:
        trouble: FieldnotesError | None = None
        for way in range(self._ways.get(cmdlet, 0), 3):
            try:
                found = self._by(way, method, cmdlet, inputs, attempted)
            except (WsmanFault, MethodFailed, CmdletFailed, MalformedAnswer) as error:
                if isinstance(error, WsmanFault) and is_access_denied(error):
                    raise
                trouble = trouble or error
                continue
            self._ways[cmdlet] = way
            return found
        raise trouble or TypeError(f"{cmdlet.name} was asked in no way")

    def _by(self, way: int, method: Method, cmdlet: Cmdlet, inputs: Mapping[str, Any], attempted: str) -> Any:
        if way < 2:
            name = self._fqdn if way else None
            return self._host.cim.invoke(method, ComputerName=name, **inputs).outputs.get("cmdletOutput")
        parameters = {name: SWITCH if value is True else value for name, value in inputs.items()}
        return self._host.cmdlets.run(cmdlet(**_lists(parameters)), attempted=attempted).output


def _lists(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in parameters.items()}


def _typed(record: type[C], found: PSObject) -> C:
    """What a cmdlet put out as what the class would have given. Errors: MalformedAnswer."""
    values = {}
    for name, prop in record.__cim__.properties.items():
        try:
            values[name] = _value(found.get(name), prop.type)
        except (TypeError, ValueError) as error:
            raise MalformedAnswer(f"property {name} of {record.__cim__.wmi}: {error}") from error
    return record(**values)


def _value(value: Any, wanted: CimType) -> Any:
    if value is None:
        return None
    if wanted.array:
        values = value if isinstance(value, tuple) else (value,)
        return tuple(_scalar(one, wanted) for one in values) or None
    return _scalar(value, wanted)


def _scalar(value: Any, wanted: CimType) -> Any:
    if wanted.python is datetime.timedelta and not isinstance(value, datetime.timedelta):
        return decode_interval(_text(value))
    if wanted.python is datetime.datetime and not isinstance(value, datetime.datetime):
        return decode_moment(_text(value))
    if wanted.python in (int, bool):
        return wanted.python(value)
    return _text(value) if wanted.python is str else value


def _text(value: Any) -> str:
    # IPAddress and enumerations come as objects that say themselves as text.
    return value.text if isinstance(value, PSObject) else str(value)


class ClusterResource(CimClass, namespace=CLUSTER, wmi="MSCluster_Resource"):
    """A resource of a failover cluster."""

    Name: str = key()


def is_cluster_role(host: HasBoth) -> bool:
    """Whether DHCP is a role of the failover cluster that the host belongs to. Errors: WsmanFault."""
    cluster = find_service(host, "ClusSvc")
    # The feature alone makes no node: until the host joins a cluster, the service is disabled.
    if cluster is None or cluster.StartMode == "Disabled":
        return False
    return host.cim.any(ClusterResource, "Type = 'DHCP Service'")


# The authorization list


def read_authorized(host: HasBoth) -> tuple[AuthorizedServer, ...]:
    """All authorized servers of the forest. Needs delegated credentials, or a domain controller as host."""
    try:
        found: tuple[AuthorizedServer, ...] | None
        found = host.cim.invoke(AuthorizationMethods.Get).outputs["cmdletOutput"]
        return found or ()
    except (WsmanFault, MethodFailed) as error:
        try:
            output = host.cmdlets.run(GET_IN_DC(), attempted="reading the authorization list").output
        except CmdletFailed:
            raise error from None
        return tuple(_typed(AuthorizedServer, one) for one in output if isinstance(one, PSObject))


def authorize(host: HasBoth, name: str, address: str) -> None:
    """Adds an entry. That it is there already is told as a warning by Windows, or as a fault: read the list."""
    _change(host, AuthorizationMethods.Add, ADD_IN_DC, name, address, f"authorizing {name} ({address})")


def unauthorize(host: HasBoth, name: str, address: str) -> None:
    """Removes an entry, by name and address: the address alone could be another server's."""
    _change(host, AuthorizationMethods.Remove, REMOVE_IN_DC, name, address, f"unauthorizing {name} ({address})")


def _change(host: HasBoth, method: Method, cmdlet: Cmdlet, name: str, address: str, attempted: str) -> None:
    try:
        host.cim.invoke(method, DnsName=name, IPAddress=address)
    except (WsmanFault, MethodFailed) as error:
        if isinstance(error, WsmanFault) and is_access_denied(error):
            raise
        host.cmdlets.run(cmdlet(DnsName=name, IPAddress=address), attempted=attempted)
