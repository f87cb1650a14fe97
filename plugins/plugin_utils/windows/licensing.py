# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Product activation and the Key Management Service, root/cimv2. For this collection only.

https://learn.microsoft.com/en-us/previous-versions/windows/desktop/sppwmi/softwarelicensingservice
https://learn.microsoft.com/en-us/previous-versions/windows/desktop/sppwmi/softwarelicensingproduct
https://learn.microsoft.com/en-us/previous-versions/windows/desktop/slwmiprov/softwarelicensingservice-vista
https://learn.microsoft.com/en-us/previous-versions/windows/it-pro/windows-server-2012-r2-and-2012/dn502532(v=ws.11)

Products are never read without a WHERE: Windows knows hundreds of editions, and walking all takes tens of seconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import FieldnotesError, MethodFailed, WsmanFault
from ..win_error import unsigned
from ..wsman.bindings import CimClass, Method, key, since
from ..wsman.faults import refuses_query
from ..wsman.types import Reference, boolean, uint16, uint32
from ..wsman.wql import literal
from . import registry
from .registry import HasCim, Key

NAMESPACE = "root/cimv2"
WINDOWS = "55c92734-d682-4d71-983e-d6ec3f16059f"
"""ApplicationID of every edition of Windows."""

DEFAULT_PORT = 1688
UNLICENSED, LICENSED = 0, 1
STATUS_NAMES = (
    "unlicensed",
    "licensed",
    "oob_grace",
    "oot_grace",
    "non_genuine_grace",
    "notification",
    "extended_grace",
)
_NOT_A_KMS_HOST = 0xFFFFFFFF

VERSION_VALUE = "KeyManagementServiceVersion"
PUBLISH_LIST = "DnsDomainPublishList"
_PORT_VALUE = "KeyManagementServiceListeningPort"
_WINDOWS_NT = r"Microsoft\Windows NT\CurrentVersion"
_SETTINGS = Key(rf"SOFTWARE\{_WINDOWS_NT}\SoftwareProtectionPlatform")
_SETTINGS_2008 = Key(rf"SOFTWARE\{_WINDOWS_NT}\SL")
WOW_SETTINGS = Key(rf"SOFTWARE\Wow6432Node\{_WINDOWS_NT}\SoftwareProtectionPlatform")

SL_E_CHPA_PRODUCT_KEY_OUT_OF_RANGE = 0xC004C001
SL_E_CHPA_PRODUCT_KEY_BLOCKED = 0xC004C003
SL_E_CHPA_MAXIMUM_UNLOCK_EXCEEDED = 0xC004C008
SL_E_PKEY_NOT_INSTALLED = 0xC004F014
SL_E_PRODUCT_SKU_NOT_INSTALLED = 0xC004F015
SL_E_CIDIID_INVALID_DATA = 0xC004F02C
SL_E_VL_NOT_WINDOWS_SLP = 0xC004F035
SL_E_INVALID_PRODUCT_KEY = 0xC004F050
SL_E_BLOCKED_PRODUCT_KEY = 0xC004F051
SL_E_VL_BINDING_SERVICE_UNAVAILABLE = 0xC004F074

PUBLISHING_FAILED, PUBLISHED = 12293, 12294
"""Events of the Application log: https://learn.microsoft.com/en-us/previous-versions/ff793440(v=technet.10)"""

_COUNTERS = ("Total", "Failed", "Unlicensed", "Licensed", "OOBGrace", "OOTGrace", "NonGenuineGrace", "Notification")
_COUNTER_NAMES = {
    "Total": "total_requests",
    "Failed": "failed_requests",
    "Unlicensed": "unlicensed_requests",
    "Licensed": "licensed_requests",
    "OOBGrace": "oob_grace_requests",
    "OOTGrace": "oot_grace_requests",
    "NonGenuineGrace": "non_genuine_grace_requests",
    "Notification": "notification_requests",
}


class LicensingService(CimClass, namespace=NAMESPACE, wmi="SoftwareLicensingService"):
    """The licensing service of Windows Server 2008 R2 and later; one instance."""

    Version: str = key()
    VLActivationInterval: uint32 | None
    VLRenewalInterval: uint32 | None
    KeyManagementServiceListeningPort: uint32 | None
    KeyManagementServiceDnsPublishing: boolean | None
    KeyManagementServiceLowPriority: boolean | None
    KeyManagementServiceHostCaching: boolean | None
    ClientMachineID: str | None
    RemainingWindowsReArmCount: uint32 | None

    # Return values are HRESULTs; see code_of.
    InstallProductKey = Method({"ProductKey": str})
    RefreshLicenseStatus = Method()
    SetKeyManagementServiceListeningPort = Method({"PortNumber": uint32})
    ClearKeyManagementServiceListeningPort = Method()
    DisableKeyManagementServiceDnsPublishing = Method({"DisablePublishing": boolean})
    EnableKeyManagementServiceLowPriority = Method({"EnableLowPriority": boolean})
    SetVLActivationInterval = Method({"ActivationInterval": uint32})
    SetVLRenewalInterval = Method({"RenewalInterval": uint32})


class LicensingService2008(CimClass, namespace=NAMESPACE, wmi="SoftwareLicensingService"):
    """The licensing service of Windows Server 2008, which counts for the only KMS product it can have."""

    Version: str = key()
    VLActivationInterval: uint32 | None
    VLRenewalInterval: uint32 | None
    ClientMachineID: str | None
    IsKeyManagementServiceMachine: uint32 | None
    KeyManagementServiceCurrentCount: uint32 | None
    KeyManagementServiceTotalRequests: uint32 | None
    KeyManagementServiceFailedRequests: uint32 | None
    KeyManagementServiceUnlicensedRequests: uint32 | None
    KeyManagementServiceLicensedRequests: uint32 | None
    KeyManagementServiceOOBGraceRequests: uint32 | None
    KeyManagementServiceOOTGraceRequests: uint32 | None
    KeyManagementServiceNonGenuineGraceRequests: uint32 | None
    KeyManagementServiceNotificationRequests: uint32 | None


class Product(CimClass, namespace=NAMESPACE, wmi="SoftwareLicensingProduct"):
    """A licence on Windows Server 2008 R2 or later. PartialProductKey: the last five characters of its key."""

    ID: str = key()
    Name: str | None
    Description: str | None
    ApplicationID: str | None
    PartialProductKey: str | None
    LicenseIsAddon: boolean | None
    LicenseStatus: uint32
    LicenseStatusReason: uint32 | None
    IsKeyManagementServiceMachine: uint32 | None
    KeyManagementServiceCurrentCount: uint32 | None
    KeyManagementServiceTotalRequests: uint32 | None
    KeyManagementServiceFailedRequests: uint32 | None
    KeyManagementServiceUnlicensedRequests: uint32 | None
    KeyManagementServiceLicensedRequests: uint32 | None
    KeyManagementServiceOOBGraceRequests: uint32 | None
    KeyManagementServiceOOTGraceRequests: uint32 | None
    KeyManagementServiceNonGenuineGraceRequests: uint32 | None
    KeyManagementServiceNotificationRequests: uint32 | None

    Activate = Method()
    DepositOfflineConfirmationId = Method({"InstallationId": str, "ConfirmationId": str})
    UninstallProductKey = Method()


class Product2008(CimClass, namespace=NAMESPACE, wmi="SoftwareLicensingProduct"):
    """A licence on Windows Server 2008."""

    ID: str = key()
    Name: str | None
    Description: str | None
    ApplicationID: str | None
    PartialProductKey: str | None
    # Its page lists it; field reports say that the class lacks it. The query is then repeated without naming it.
    LicenseIsAddon: boolean | None = since("Windows Server 2008 R2")
    LicenseStatus: uint32
    LicenseStatusReason: uint32 | None


class Installation(CimClass, namespace=NAMESPACE, wmi="SoftwareLicensingProduct"):
    """The digits that are read out on the telephone; Windows makes them anew for each reading."""

    ID: str = key()
    OfflineInstallationId: str | None


class Activation(CimClass, namespace=NAMESPACE, wmi="SoftwareLicensingProduct"):
    """What changes while a licence is activated."""

    ID: str = key()
    LicenseStatus: uint32


class HotFix(CimClass, namespace=NAMESPACE, wmi="Win32_QuickFixEngineering"):
    """An installed update, e.g. ``KB968912``."""

    HotFixID: str = key()


class Edition(CimClass, namespace=NAMESPACE, wmi="Win32_OperatingSystem"):
    """What decides about key groups. https://learn.microsoft.com/en-us/windows/win32/cimwin32prov/win32-operatingsystem"""

    Caption: str | None
    BuildNumber: str
    ProductType: uint32
    OperatingSystemSKU: uint32 | None
    ServicePackMajorVersion: uint16 | None


class Membership(CimClass, namespace=NAMESPACE, wmi="Win32_ComputerSystem"):
    """The domain of a machine."""

    Name: str = key()
    DNSHostName: str | None
    Domain: str | None
    PartOfDomain: boolean | None


@dataclass(frozen=True)
class Service:
    """The licensing service of any Windows.

    name: of the Windows service; key: where its settings stand; port: 0 where none was set; intervals: minutes;
    kms: of Windows Server 2008, where the service counts: whether it is a KMS host, its count and counters.
    """

    name: str
    key: Key
    version: str
    port: int
    publishing: bool
    low_priority: bool
    activation_interval: int | None
    renewal_interval: int | None
    host_caching: bool | None = None
    client_machine_id: str | None = None
    remaining_rearm_count: int | None = None
    kms: Mapping[str, Any] | None = None

    @property
    def is_2008(self) -> bool:
        """Whether this is Windows Server 2008, which keeps most settings in the registry only."""
        return self.name == "slsvc"

    @property
    def reference(self) -> Reference:
        """The instance, for its methods."""
        return LicensingService.__cim__.reference(Version=self.version)


@dataclass(frozen=True)
class Licence:
    """A licence of any Windows. tail: last five characters of its key; count: None where it is no KMS host."""

    id: str
    name: str
    description: str
    application_id: str
    tail: str | None
    is_addon: bool | None
    status: int
    reason: int
    kms_enabled: bool
    count: int | None
    requests: Mapping[str, int | None] = field(default_factory=dict)

    @property
    def is_kms_host_key(self) -> bool:
        """Whether the key in it makes a KMS host. A client setup key (GVLK) has another channel."""
        return "VOLUME_KMS" in self.description and "VOLUME_KMSCLIENT" not in self.description

    @property
    def is_kms_client_key(self) -> bool:
        """Whether the key in it makes a KMS client."""
        return "VOLUME_KMSCLIENT" in self.description

    @property
    def channel(self) -> str | None:
        """What follows VOLUME_KMS in the description, e.g. ``2012_C``; KMSCLIENT for a client setup key."""
        if self.is_kms_client_key:
            return "KMSCLIENT"
        found = re.search(r"VOLUME_KMS_([^\s,]+)", self.description)
        return found[1] if found else None

    @property
    def reference(self) -> Reference:
        """The instance, for its methods."""
        return Product.__cim__.reference(ID=self.id)


_DETAILS = ("KeyManagementServiceHostCaching", "ClientMachineID", "RemainingWindowsReArmCount")


def read_service(host: HasCim, *, details: bool) -> Service:
    """The licensing service. details: also what only reports need. Errors: WsmanFault."""
    try:
        found = host.cim.query_one(LicensingService, leave_out=() if details else _DETAILS)
    except WsmanFault as fault:
        # The class of Windows Server 2008 lacks most members, and the query fails as a whole.
        if not refuses_query(fault):
            raise
        return _read_service_2008(host, details)
    return Service(
        name="sppsvc",
        key=_SETTINGS,
        version=found.Version,
        port=found.KeyManagementServiceListeningPort or 0,
        publishing=found.KeyManagementServiceDnsPublishing is not False,
        low_priority=bool(found.KeyManagementServiceLowPriority),
        activation_interval=found.VLActivationInterval,
        renewal_interval=found.VLRenewalInterval,
        host_caching=found.KeyManagementServiceHostCaching,
        client_machine_id=found.ClientMachineID,
        remaining_rearm_count=found.RemainingWindowsReArmCount,
    )


def _read_service_2008(host: HasCim, details: bool) -> Service:
    found = host.cim.query_one(LicensingService2008, leave_out=() if details else ("ClientMachineID",))
    port = registry.read_string(host, _SETTINGS_2008, _PORT_VALUE) or ""
    return Service(
        name="slsvc",
        key=_SETTINGS_2008,
        version=found.Version,
        port=int(port) if port.isdigit() else 0,
        publishing=not registry.read_dword(host, _SETTINGS_2008, "DisableDnsPublishing"),
        low_priority=bool(registry.read_dword(host, _SETTINGS_2008, "EnableKmsLowPriority")),
        activation_interval=found.VLActivationInterval,
        renewal_interval=found.VLRenewalInterval,
        client_machine_id=found.ClientMachineID,
        kms=_kms(found),
    )


def _kms(found: Product | LicensingService2008) -> dict[str, Any]:
    """Whether it is a KMS host, its count and its counters; Windows says 0xFFFFFFFF where it is none."""
    enabled = found.IsKeyManagementServiceMachine == 1

    def number(name: str) -> int | None:
        value = getattr(found, name)
        return None if not enabled or value in (None, _NOT_A_KMS_HOST) else int(value)

    return {
        "kms_enabled": enabled,
        "count": number("KeyManagementServiceCurrentCount"),
        "requests": {ours: number(f"KeyManagementService{theirs}Requests") for theirs, ours in _COUNTER_NAMES.items()},
    }


_NO_KMS = {"kms_enabled": False, "count": None, "requests": dict.fromkeys(_COUNTER_NAMES.values())}


def read_licences(
    host: HasCim,
    service: Service,
    activation_id: str | None = None,
    *,
    only: bool = False,
    counters: bool = False,
) -> list[Licence]:
    """The licences that hold a key, and the one with activation_id with or without a key; only: no other than that."""
    has_key = "PartialProductKey <> NULL"
    named = f"ID = {literal(activation_id)}" if activation_id is not None else ""
    where = named if only and named else f"{has_key} OR {named}" if named else has_key
    if service.is_2008:
        kms = service.kms or _NO_KMS
        # What the service counts belongs to the one KMS host key that it can have.
        return [
            _licence(each, kms if "VOLUME_KMS" in (each.Description or "") and each.PartialProductKey else _NO_KMS)
            for each in host.cim.query(Product2008, where)
        ]
    leave_out = () if counters else tuple(f"KeyManagementService{name}Requests" for name in _COUNTERS)
    return [_licence(each, _kms(each)) for each in host.cim.query(Product, where, leave_out=leave_out)]


def _licence(found: Product | Product2008, kms: Mapping[str, Any]) -> Licence:
    return Licence(
        id=found.ID.strip("{}").lower(),
        name=found.Name or "",
        description=found.Description or "",
        application_id=(found.ApplicationID or "").strip("{}").lower(),
        tail=found.PartialProductKey or None,
        is_addon=found.LicenseIsAddon,
        status=found.LicenseStatus,
        reason=found.LicenseStatusReason or 0,
        **kms,
    )


def read_status(host: HasCim, licence_id: str) -> int | None:
    """LicenseStatus of a licence; None where it is gone."""
    found = host.cim.query_optional(Activation, f"ID = {literal(licence_id)}")
    return None if found is None else found.LicenseStatus


def read_installation_id(host: HasCim, licence_id: str) -> str:
    """The digits for the telephone; empty where Windows gives none."""
    found = host.cim.query_optional(Installation, f"ID = {literal(licence_id)}")
    return "" if found is None else found.OfflineInstallationId or ""


def install_key(host: HasCim, service: Service, product_key: str) -> None:
    """Errors: MethodFailed, WsmanFault; see code_of. What the licence state is then has to be refreshed."""
    host.cim.invoke(LicensingService.InstallProductKey, service.reference, ProductKey=product_key)


def refresh(host: HasCim, service: Service) -> None:
    """Takes over the licence state after a key or an activation came or went."""
    host.cim.invoke(LicensingService.RefreshLicenseStatus, service.reference)


def activate(host: HasCim, licence_id: str) -> None:
    """Errors: MethodFailed, WsmanFault; see code_of. Each call can use up one of the activations of a key."""
    host.cim.invoke(Product.Activate, Product.__cim__.reference(ID=licence_id))


def deposit(host: HasCim, licence_id: str, installation_id: str, confirmation_id: str) -> None:
    """Activates with what the telephone said. Errors: MethodFailed, WsmanFault; see code_of."""
    host.cim.invoke(
        Product.DepositOfflineConfirmationId,
        Product.__cim__.reference(ID=licence_id),
        InstallationId=installation_id,
        ConfirmationId=confirmation_id,
    )


def uninstall(host: HasCim, licence_id: str) -> None:
    """Removes the key of a licence."""
    host.cim.invoke(Product.UninstallProductKey, Product.__cim__.reference(ID=licence_id))


def set_port(host: HasCim, service: Service, port: int) -> None:
    """The port the service listens on after its next start; 0 unsets it, 1688 is the default and set as unset."""
    port = 0 if port == DEFAULT_PORT else port
    if service.is_2008:
        if port:
            registry.write_string(host, service.key, _PORT_VALUE, str(port))
        else:
            registry.delete_value(host, service.key, _PORT_VALUE)
    elif port:
        host.cim.invoke(
            LicensingService.SetKeyManagementServiceListeningPort,
            service.reference,
            PortNumber=port,
        )
    else:
        host.cim.invoke(LicensingService.ClearKeyManagementServiceListeningPort, service.reference)


def set_publishing(host: HasCim, service: Service, on: bool) -> None:
    """Whether the service publishes its SRV records itself."""
    if service.is_2008:
        registry.write_dword(host, service.key, "DisableDnsPublishing", int(not on))
    else:
        # The method switches off what the property switches on.
        host.cim.invoke(
            LicensingService.DisableKeyManagementServiceDnsPublishing,
            service.reference,
            DisablePublishing=not on,
        )


def set_low_priority(host: HasCim, service: Service, low: bool) -> None:
    """Whether the service runs at low priority."""
    if service.is_2008:
        registry.write_dword(host, service.key, "EnableKmsLowPriority", int(low))
    else:
        host.cim.invoke(
            LicensingService.EnableKeyManagementServiceLowPriority,
            service.reference,
            EnableLowPriority=low,
        )


def set_activation_interval(host: HasCim, service: Service, minutes: int) -> None:
    """How often clients that are not activated try."""
    host.cim.invoke(LicensingService.SetVLActivationInterval, service.reference, ActivationInterval=minutes)


def set_renewal_interval(host: HasCim, service: Service, minutes: int) -> None:
    """How often activated clients renew."""
    host.cim.invoke(LicensingService.SetVLRenewalInterval, service.reference, RenewalInterval=minutes)


_CODE = re.compile(r"0x([0-9A-Fa-f]{8})")


def code_of(error: FieldnotesError) -> int | None:
    """The HRESULT of a licensing error, unsigned 32 bit; None where the error holds none.

    Builds differ in where they put it: the return value, the number of the fault, or only its text.
    """
    if isinstance(error, MethodFailed):
        return unsigned(error.value)
    if not isinstance(error, WsmanFault):
        return None
    in_text = [int(digits, 16) for digits in _CODE.findall(error.text)]
    codes = [*(() if error.number is None else (error.number,)), *in_text]
    telling = [code for code in codes if code >> 16 == 0xC004] or [code for code in codes if not _is_generic(code)]
    return next(iter(telling or codes), None)


def _is_generic(code: int) -> bool:
    """Whether it is a number of WMI or WS-Management, which only says that something failed."""
    return code >> 12 == 0x80041 or code >> 16 == 0x8033
