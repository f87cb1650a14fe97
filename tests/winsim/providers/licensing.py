# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Product activation: SoftwareLicensingService and SoftwareLicensingProduct, the service behind them, KMS hosts.

Section `licensing` of a host:

    licensing:
      keys:                                                  # what the maker of Windows knows about product keys
        AAAAA-AAAAA-AAAAA-AAAAA-AAAAA: {kind: kms_host, group: ws2019}
        BBBBB-BBBBB-BBBBB-BBBBB-BBBBB: {kind: kms_host, channel: 2012_C, activations: 0, rejected: 0xC004C003}
        CCCCC-CCCCC-CCCCC-CCCCC-CCCCC: {kind: kms_client}
        EEEEE-EEEEE-EEEEE-EEEEE-EEEEE: {kind: kms_host, product: 98ebfe73-2084-4c97-932c-c0cd1643bea7}
      licences: {98ebfe73-2084-4c97-932c-c0cd1643bea7: OfficeKMSHost}    # licence packs that were installed
      installed: {CCCCC-CCCCC-CCCCC-CCCCC-CCCCC: 2}          # keys on the host with their LicenseStatus
      addons: [DDDDD]                                        # tails of add-on keys (extended security updates)
      internet: false
      confirmation_id: '012345678901234567890123456789012345678901234567'

`group` is what the licence portal calls a key: on a host it is not for, InstallProductKey answers 0xC004F015. `reload`:
how many starts of the service it takes until the key is known (0xC004F050 before). `activation_seconds`: Activate
outlives MaxTimeoutms and takes effect so long afterwards.

Settings live in the registry, where the service reads them when it starts.
https://learn.microsoft.com/en-us/previous-versions/windows/desktop/sppwmi/softwarelicensingservice
https://learn.microsoft.com/en-us/previous-versions/windows/it-pro/windows-server-2012-r2-and-2012/dn502532(v=ws.11)
https://learn.microsoft.com/en-us/windows-server/get-started/kms-activation-planning
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from winsim.fleet import boolean, integer, mapping, number, refuse, sequence, text
from winsim.host import Host
from winsim.switches import declare

from . import Fault, Instance, Provider, Shape, Wbem, from_win32, providers, tcp
from . import services as service_provider
from .eventlog import record
from .registry import RegistryState
from .registry import contributes as in_registry
from .services import Service, ServicesState

__all__ = ["WINDOWS", "Key", "LicensingState", "Product", "kms_enabled", "settings_key"]

licensing = Provider("licensing")

NAMESPACE = "root/cimv2"
SERVICE_CLASS, PRODUCT_CLASS = "SoftwareLicensingService", "SoftwareLicensingProduct"
WINDOWS = "55c92734-d682-4d71-983e-d6ec3f16059f"
OFFICE = "0ff1ce15-a989-479d-af46-f275c6370663"
WINDOWS_2008_R2, WINDOWS_2012 = 7600, 9200
DEFAULT_PORT, NOT_A_KMS_HOST = 1688, 0xFFFFFFFF

UNLICENSED, LICENSED, OOB_GRACE = 0, 1, 2
SL_E_INVALID_PRODUCT_KEY = 0xC004F050
SL_E_PRODUCT_SKU_NOT_INSTALLED = 0xC004F015
SL_E_PKEY_NOT_INSTALLED = 0xC004F014
SL_E_CHPA_MAXIMUM_UNLOCK_EXCEEDED = 0xC004C008
SL_E_CIDIID_INVALID_DATA = 0xC004F02C
SL_E_VL_BINDING_SERVICE_UNAVAILABLE = 0xC004F074
SL_I_OOB_GRACE_PERIOD = 0x4004F00C
ERROR_SERVICE_DISABLED, ERROR_SERVICE_NOT_ACTIVE, ERROR_PROCESS_ABORTED = 1058, 1062, 1067
ERROR_WSMAN_OPERATION_TIMEDOUT = 2150858793

PUBLISHING_FAILED, PUBLISHED = 12293, 12294
PUBLISHING_SECONDS = 4.0

declare(
    "licensing.error_form",
    {
        "return_value": "a licensing method that fails returns the HRESULT",
        "fault": "it ends with a fault whose number is the HRESULT",
        "text": "it ends with WBEM_E_FAILED, and the HRESULT is only in the text",
        "signed_text": "as text, the number lower case behind other words",
    },
    open_question="in which of the possible places a build puts the code of a licensing error",
    page="kms_host",
)
declare(
    "licensing.addon_2008",
    {"present": "the class of Windows Server 2008 has LicenseIsAddon", "absent": "it lacks it"},
    open_question="whether the product class of Windows Server 2008 has LicenseIsAddon, as its page says",
    page="kms_host",
)
declare(
    "licensing.stop_service",
    {"accepted": "an administrator may stop the service", "refused": "StopService returns 5"},
    open_question="whether newer builds always let an administrator stop sppsvc",
    page="kms_host",
)
declare(
    "licensing.unset_port",
    {"0": "KeyManagementServiceListeningPort is 0 while no port was set", "null": "it is null"},
    open_question="what KeyManagementServiceListeningPort shows while no port was set",
    page="kms_host",
)
declare(
    "licensing.listens",
    {
        "after_restart": "a host that was just activated listens after the next start of the service",
        "at_once": "it listens at once",
    },
    open_question="whether the service listens as soon as the host is activated",
    page="kms_host",
)
declare(
    "licensing.demand_start",
    {
        "starts": "a request to the licensing classes starts the service if it is stopped",
        "refuses": "it fails with ERROR_SERVICE_NOT_ACTIVE until somebody starts the service",
    },
    open_question="whether a request to the licensing classes starts a stopped service",
    page="kms_host",
)
declare(
    "licensing.no_internet",
    {
        "0x80072EE7": "an activation without a way to the Internet fails with WININET_E_NAME_NOT_RESOLVED",
        "0x80072EE2": "with WININET_E_TIMEOUT",
        "0x80072EFD": "with WININET_E_CANNOT_CONNECT",
        "0x8004FE33": "with the code of a proxy that wants a logon",
    },
    open_question="with which of the network errors an activation fails",
    page="kms_host",
)
declare(
    "licensing.event_strings",
    {"code_first": "strings of 12293: the code, then the domain", "domain_first": "the domain first"},
    open_question="the order of the insertion strings of events 12293 and 12294",
    page="kms_host",
)


@dataclass
class Key:
    """A product key as its maker knows it.

    kind: kms_host, kms_client, mak, esu. channel: what follows VOLUME_KMS_ in the description. group: as the licence
    portal calls it. product: ID of the licence it is for, None for the edition of Windows. activations: how many are
    left. rejected: what Activate answers, 0 for nothing. reload: starts of the service until it is known.
    """

    key: str
    kind: str = "kms_host"
    channel: str | None = None
    group: str | None = None
    product: str | None = None
    activations: int = 10
    rejected: int = 0
    reload: int = 0

    @property
    def tail(self) -> str:
        return self.key[-5:]


@dataclass
class Product:
    """A licence on the host, with or without a key. `count` and `requests` are those of a KMS host."""

    id: str
    name: str
    description: str
    application: str = WINDOWS
    addon: bool = False
    key: str | None = None
    tail: str | None = None
    status: int = UNLICENSED
    count: int = 0
    requests: dict[str, int] = field(default_factory=dict)

    @property
    def is_kms_host(self) -> bool:
        return "VOLUME_KMS" in self.description and "VOLUME_KMSCLIENT" not in self.description

    @property
    def kms_enabled(self) -> bool:
        return self.is_kms_host and self.tail is not None and self.status == LICENSED


@dataclass
class LicensingState:
    """`loaded_*`: what the service read when it started; `starts`: how often it started since the fleet was built.

    `activations`: calls of Activate; `installed`: calls of InstallProductKey.
    """

    keys: dict[str, Key] = field(default_factory=dict)
    products: list[Product] = field(default_factory=list)
    cmid: str = ""
    internet: bool = True
    internet_error: int | None = None
    confirmation_id: str | None = None
    installation_digits: int = 63
    activation_seconds: float = 0.0
    publishing_fails: dict[str, int] = field(default_factory=dict)
    starts: int = 0
    loaded_port: int = DEFAULT_PORT
    loaded_enabled: bool = False
    activations: int = 0
    installs: int = 0

    def primary(self) -> Product | None:
        """The edition of Windows that holds the key."""
        return next((p for p in self.products if p.application == WINDOWS and not p.addon and p.tail), None)

    def product(self, identifier: str) -> Product | None:
        return next((p for p in self.products if p.id.lower() == identifier.lower()), None)


def service_name(host: Host) -> str:
    return "sppsvc" if host.build >= WINDOWS_2008_R2 else "slsvc"


def settings_key(host: Host) -> str:
    """Where the service has its settings."""
    last = "SoftwareProtectionPlatform" if host.build >= WINDOWS_2008_R2 else "SL"
    return f"HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\{last}"


def kms_enabled(host: Host) -> bool:
    return any(product.kms_enabled for product in host.state(LicensingState).products)


# Building


@in_registry
def settings_of_a_fresh_host(host: Host) -> Mapping[str, Any]:
    below = {settings_key(host): {"BackupProductKeyDefault": ""}}
    if host.build >= WINDOWS_2008_R2:
        wow = "HKLM\\SOFTWARE\\Wow6432Node\\Microsoft\\Windows NT\\CurrentVersion\\SoftwareProtectionPlatform"
        below[wow] = {"ServiceSessionId": ""}
    return below


@service_provider.contributes
def own_service(host: Host) -> Iterable[Service]:
    new = host.build >= WINDOWS_2008_R2
    english, german = ("Software Protection",) * 2 if new else ("Software Licensing", "Softwarelizenzierung")
    name = service_name(host)
    return [
        Service(
            name,
            service_provider.display_name(host, english, german),
            f"C:\\Windows\\System32\\{name}.exe",
            depends_on=["RpcSs"],
            start_name="NT AUTHORITY\\NetworkService",
            accept_stop=host.switches["licensing.stop_service"] == "accepted",
        )
    ]


@licensing.section("licensing", LicensingState)
def build(host: Host, data: Any, path: str) -> LicensingState:
    allowed = {"keys", "licences", "installed", "addons", "internet", "internet_error", "confirmation_id",
               "installation_digits", "activation_seconds", "publishing_fails", "counts", "requests"}  # fmt: skip
    given = mapping(data, path, allowed)
    state = LicensingState(cmid=str(uuid.uuid5(uuid.NAMESPACE_DNS, f"cmid.{host.name}")))
    for key, about in mapping(given.get("keys"), f"{path}.keys").items():
        state.keys[key] = _key(key, about, f"{path}.keys.{key}")
    for identifier, name in mapping(given.get("licences"), f"{path}.licences").items():
        description = "Office 16, VOLUME_KMS channel"
        state.products.append(Product(identifier, text(name, f"{path}.licences"), description, OFFICE))
    for tail in sequence(given.get("addons"), f"{path}.addons"):
        name = "Windows(R), Server ESU-Year1 add-on"
        product = Product(_id(f"addon.{tail}"), name, "Windows(R) Operating System, VOLUME_MAK channel", addon=True)
        product.tail, product.status = text(tail, f"{path}.addons"), LICENSED
        state.products.append(product)
    for key, status in mapping(given.get("installed"), f"{path}.installed").items():
        if key not in state.keys:
            refuse(f"{path}.installed.{key}", "no such key in keys")
        product = _take(host, state, state.keys[key])
        product.status = integer(status, f"{path}.installed.{key}", 0, 6)
    for tail, count in mapping(given.get("counts"), f"{path}.counts").items():
        for product in state.products:
            if product.tail == tail:
                product.count = integer(count, f"{path}.counts.{tail}", 0)
                product.requests = {"Total": count * 3, "Failed": 1, "Licensed": count}
    state.internet = boolean(given.get("internet", True), f"{path}.internet")
    if "internet_error" in given:
        state.internet_error = integer(given["internet_error"], f"{path}.internet_error")
    state.confirmation_id = given.get("confirmation_id")
    state.installation_digits = integer(given.get("installation_digits", 63), f"{path}.installation_digits")
    state.activation_seconds = number(given.get("activation_seconds", 0), f"{path}.activation_seconds")
    for zone, code in mapping(given.get("publishing_fails"), f"{path}.publishing_fails").items():
        state.publishing_fails[zone] = integer(code, f"{path}.publishing_fails.{zone}")
    return state


def _key(key: str, data: Any, path: str) -> Key:
    given = mapping(data, path, {"kind", "channel", "group", "product", "activations", "rejected", "reload"})
    return Key(
        key,
        text(given.get("kind", "kms_host"), f"{path}.kind", ("kms_host", "kms_client", "mak")),
        given.get("channel"),
        given.get("group"),
        given.get("product"),
        integer(given.get("activations", 10), f"{path}.activations", 0),
        integer(given.get("rejected", 0), f"{path}.rejected", 0),
        integer(given.get("reload", 0), f"{path}.reload", 0),
    )


def _id(seed: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, seed))


def _description(key: Key) -> str:
    if key.kind == "kms_client":
        return "Windows(R) Operating System, VOLUME_KMSCLIENT channel"
    if key.kind == "mak":
        return "Windows(R) Operating System, VOLUME_MAK channel"
    channel = key.channel or (key.group.upper() if key.group else None)
    return f"Windows(R) Operating System, VOLUME_KMS{f'_{channel}' if channel else ''} channel"


def _take(host: Host, state: LicensingState, key: Key) -> Product:
    """Give a key to the licence it is for; the edition of Windows that had one gives its own back."""
    if key.product is not None:
        product = state.product(key.product)
        if product is None:
            raise _failure(host, SL_E_PRODUCT_SKU_NOT_INSTALLED)
    else:
        holder = state.primary()
        if holder is not None:
            holder.key, holder.tail, holder.status = None, None, UNLICENSED
        description = _description(key)
        identifier = _id(f"{host.release.name}.{host.profile.edition}.{description}")
        product = state.product(identifier)
        if product is None:
            name = f"Windows(R), Server{host.profile.edition} edition"
            product = Product(identifier, name, description)
            state.products.append(product)
    product.key, product.tail, product.status = key.key, key.tail, OOB_GRACE
    return product


# What the service does


@service_provider.when_started("sppsvc")
@service_provider.when_started("slsvc")
def started(host: Host) -> None:
    """Settings are read at the start of the service; a KMS host then publishes its SRV records."""
    state = host.state(LicensingState)
    state.starts += 1
    load(host)
    if state.loaded_enabled and not _dword(host, "DisableDnsPublishing"):
        for zone in _zones(host):
            host.fleet.clock.after(PUBLISHING_SECONDS, partial(_publish, host, zone))


@licensing.arm
def load(host: Host) -> None:
    state = host.state(LicensingState)
    state.loaded_port = _port(host) or DEFAULT_PORT
    state.loaded_enabled = kms_enabled(host)


def _publish(host: Host, zone: str) -> None:
    if not service_provider.running(host, service_name(host)):
        return
    code = next((c for z, c in host.state(LicensingState).publishing_fails.items() if z.lower() == zone.lower()), None)
    strings = [zone] if code is None else [f"0x{code:08X}", zone]
    if host.switches["licensing.event_strings"] == "domain_first":
        strings.reverse()
    new = host.build >= WINDOWS_2008_R2
    source = "Microsoft-Windows-Security-SPP" if new else "Microsoft-Windows-Security-Licensing-SLC"
    record(host, "Application", source, PUBLISHED if code is None else PUBLISHING_FAILED, strings)


def _zones(host: Host) -> list[str]:
    listed = host.state(RegistryState).get(settings_key(host), "DnsDomainPublishList")
    entries = listed if isinstance(listed, list) else []
    zones = [host.domain] if host.domain else []
    zones += [str(entry).partition(",")[0].strip() for entry in entries]
    return list(dict.fromkeys(zone.lower().rstrip(".") for zone in zones if zone))


@tcp.contributes
def key_management_service(host: Host) -> Iterator[tcp.Listener]:
    state, service = host.state(LicensingState), host.state(ServicesState).get(service_name(host))
    # Without a restart a service that lost its key goes on listening.
    listens = state.loaded_enabled or (kms_enabled(host) and host.switches["licensing.listens"] == "at_once")
    if service is not None and service.pid and listens:
        yield tcp.Listener(state.loaded_port, service.pid)


# Settings


def _value(host: Host, name: str) -> Any:
    return host.state(RegistryState).get(settings_key(host), name)


def _dword(host: Host, name: str, default: int = 0) -> int:
    value = _value(host, name)
    return value if isinstance(value, int) else default


def _port(host: Host) -> int:
    value = _value(host, "KeyManagementServiceListeningPort")
    return int(value) if isinstance(value, str) and value.isdigit() else 0


def _set(host: Host, name: str, value: int | str) -> None:
    host.state(RegistryState).set(settings_key(host), name, value)


# WMI


def _reach(host: Host) -> LicensingState:
    """The state, when the service can be asked; it is started by whoever asks, unless it is disabled."""
    service = host.state(ServicesState).get(service_name(host))
    if service is None or (service.state == "Stopped" and service.start_mode == "Disabled"):
        raise Fault(from_win32(ERROR_SERVICE_DISABLED), "The service cannot be started: it is disabled.")
    if service.state == "Stopped":
        if service.fails is not None:
            raise Fault(from_win32(ERROR_PROCESS_ABORTED), "The process terminated unexpectedly.")
        if host.switches["licensing.demand_start"] == "refuses":
            raise Fault(from_win32(ERROR_SERVICE_NOT_ACTIVE), "The service has not been started.")
        service_provider.start(host, service)
    return host.state(LicensingState)


def _failure(host: Host, code: int) -> Exception:
    """What a method that fails raises; `return_value` is handled by whoever catches it."""
    form = host.switches["licensing.error_form"]
    if form == "return_value":
        return _ReturnError(code)
    if form == "fault":
        return Fault(code, f"Error 0x{code:08X}")
    if form == "text":
        return Fault(Wbem.FAILED, f"The Software Licensing Service reported error 0x{code:08X}.")
    return Fault(Wbem.FAILED, f"Generic failure (0x80041001): the service said 0x{code:08x}")


class _ReturnError(Exception):
    def __init__(self, code: int) -> None:
        self.code = code


@licensing.shape(NAMESPACE, PRODUCT_CLASS)
def product_shape(host: Host) -> Shape:
    lacks = host.build < WINDOWS_2008_R2 and host.switches["licensing.addon_2008"] == "absent"
    return Shape(absent=frozenset({"LicenseIsAddon"}) if lacks else frozenset())


def _kept(host: Host, cls: str, values: Instance) -> Instance:
    """Without what the class of Windows Server 2008 does not have."""
    if host.build >= WINDOWS_2008_R2:
        return values
    declared = _schema(host.build, cls)
    return {name: value for name, value in values.items() if name.lower() in declared}


def _schema(build: int, cls: str) -> frozenset[str]:
    from winsim.schema import load as schema

    found = schema().find(build, NAMESPACE, cls)
    return frozenset() if found is None else frozenset(each.name.lower() for each in found.properties)


_COUNTERS = ("Total", "Failed", "Unlicensed", "Licensed", "OOBGrace", "OOTGrace", "NonGenuineGrace", "Notification")


def _counters(products: list[Product]) -> dict[str, int]:
    enabled = [product for product in products if product.kms_enabled]
    return {
        f"KeyManagementService{name}Requests": (
            sum(product.requests.get(name, 0) for product in enabled) if enabled else NOT_A_KMS_HOST
        )
        for name in _COUNTERS
    }


@licensing.instances(NAMESPACE, SERVICE_CLASS)
def service_instances(host: Host) -> Iterator[Instance]:
    state = _reach(host)
    primary = state.primary()
    windows = [primary] if primary is not None else []
    port = _port(host) or (0 if host.switches["licensing.unset_port"] == "0" else None)
    enabled = any(product.kms_enabled for product in windows)
    yield _kept(host, SERVICE_CLASS, {
        "Version": f"{host.version}.1",
        "ClientMachineID": state.cmid,
        "IsKeyManagementServiceMachine": int(enabled),
        "KeyManagementServiceCurrentCount": sum(p.count for p in windows) if enabled else NOT_A_KMS_HOST,
        "RequiredClientCount": 25 if enabled else NOT_A_KMS_HOST,
        "VLActivationInterval": _dword(host, "VLActivationInterval", 120),
        "VLRenewalInterval": _dword(host, "VLRenewalInterval", 10080),
        "KeyManagementServiceListeningPort": port,
        "KeyManagementServiceDnsPublishing": not _dword(host, "DisableDnsPublishing"),
        "KeyManagementServiceLowPriority": bool(_dword(host, "EnableKmsLowPriority")),
        "KeyManagementServiceHostCaching": True,
        "RemainingWindowsReArmCount": 4,
        "PolicyCacheRefreshRequired": 0,
        **_counters(windows),
    })  # fmt: skip


@licensing.instances(NAMESPACE, PRODUCT_CLASS)
def product_instances(host: Host) -> Iterator[Instance]:
    for product in _reach(host).products:
        enabled = product.kms_enabled
        yield _kept(host, PRODUCT_CLASS, {
            "ID": product.id,
            "Name": product.name,
            "Description": product.description,
            "ApplicationID": product.application,
            "LicenseIsAddon": product.addon,
            "LicenseFamily": product.name,
            "LicenseStatus": product.status,
            "LicenseStatusReason": SL_I_OOB_GRACE_PERIOD if product.status == OOB_GRACE else 0,
            "GracePeriodRemaining": 43200 if product.status == OOB_GRACE else 0,
            "OfflineInstallationId": installation_id(host, product) if product.tail else None,
            "PartialProductKey": product.tail,
            "IsKeyManagementServiceMachine": int(enabled),
            "KeyManagementServiceCurrentCount": product.count if enabled else NOT_A_KMS_HOST,
            "RequiredClientCount": (25 if product.application == WINDOWS else 5) if enabled else NOT_A_KMS_HOST,
            "VLActivationInterval": _dword(host, "VLActivationInterval", 120),
            "VLRenewalInterval": _dword(host, "VLRenewalInterval", 10080),
            **_counters([product]),
        })  # fmt: skip


def installation_id(host: Host, product: Product) -> str:
    """The digits that are read out on the telephone: of this machine and this key."""
    digest = hashlib.sha512(f"{host.name}.{product.id}.{product.key}".encode()).hexdigest()
    return str(int(digest, 16)).zfill(154)[-host.state(LicensingState).installation_digits :]


Action = Callable[[Host, Instance, Instance], None]


def _method(cls: str, name: str) -> Callable[[Action], Action]:
    """Ties an action to a method; what it refuses becomes the return value where that is the form of errors here."""

    def decorate(action: Action) -> Action:
        def method(host: Host, instance: Instance | None, inputs: Instance) -> Instance:
            _reach(host)
            try:
                action(host, instance or {}, inputs)
            except _ReturnError as error:
                return {"ReturnValue": error.code}
            return {"ReturnValue": 0}

        licensing.method(NAMESPACE, cls, name)(method)
        return action

    return decorate


@_method(SERVICE_CLASS, "InstallProductKey")
def install_key(host: Host, instance: Instance, inputs: Instance) -> None:
    state = host.state(LicensingState)
    state.installs += 1
    key = state.keys.get(str(inputs.get("ProductKey")))
    if key is None or key.reload > state.starts:
        raise _failure(host, SL_E_INVALID_PRODUCT_KEY)
    if key.group is not None and not _fits(host, key.group):
        raise _failure(host, SL_E_PRODUCT_SKU_NOT_INSTALLED)
    _take(host, state, key)


# Which hosts a key of a group can be installed on: groups of editions before 2012, builds of servers afterwards.
_EDITION_GROUPS = {18: "a", 17: "a", 29: "a", 7: "b", 10: "b", 13: "b", 14: "b", 36: "b", 38: "b", 40: "b", 41: "b",
                   8: "c", 12: "c", 15: "c", 37: "c", 39: "c"}  # fmt: skip
_ON_EDITIONS = {"client": ("client",), "a": ("a",), "b": ("a", "b"), "c": ("a", "b", "c")}
_ON_BUILDS = {"ws2025": (26100, 20348, 17763), "ws2022": (20348, 17763, 14393), "ws2019": (17763, 14393, 9600),
              "ws2016": (14393, 9600, 9200), "win10": ()}  # fmt: skip


def _fits(host: Host, group: str) -> bool:
    if group in _ON_EDITIONS:
        system = providers.instances(host, NAMESPACE, "Win32_OperatingSystem")[0]
        return _EDITION_GROUPS.get(system["OperatingSystemSKU"], "client") in _ON_EDITIONS[group]
    return host.release.build in _ON_BUILDS.get(group, (host.release.build,))


@_method(SERVICE_CLASS, "RefreshLicenseStatus")
def refresh(host: Host, instance: Instance, inputs: Instance) -> None:
    """The state is always fresh here."""


@_method(SERVICE_CLASS, "SetKeyManagementServiceListeningPort")
def set_port(host: Host, instance: Instance, inputs: Instance) -> None:
    _set(host, "KeyManagementServiceListeningPort", str(inputs.get("PortNumber") or 0))


@_method(SERVICE_CLASS, "ClearKeyManagementServiceListeningPort")
def clear_port(host: Host, instance: Instance, inputs: Instance) -> None:
    host.state(RegistryState).delete(settings_key(host), "KeyManagementServiceListeningPort")


@_method(SERVICE_CLASS, "DisableKeyManagementServiceDnsPublishing")
def disable_publishing(host: Host, instance: Instance, inputs: Instance) -> None:
    _set(host, "DisableDnsPublishing", int(bool(inputs.get("DisablePublishing"))))


@_method(SERVICE_CLASS, "EnableKeyManagementServiceLowPriority")
def enable_low_priority(host: Host, instance: Instance, inputs: Instance) -> None:
    _set(host, "EnableKmsLowPriority", int(bool(inputs.get("EnableLowPriority"))))


@_method(SERVICE_CLASS, "SetVLActivationInterval")
def set_activation_interval(host: Host, instance: Instance, inputs: Instance) -> None:
    _set(host, "VLActivationInterval", int(inputs.get("ActivationInterval") or 0))


@_method(SERVICE_CLASS, "SetVLRenewalInterval")
def set_renewal_interval(host: Host, instance: Instance, inputs: Instance) -> None:
    _set(host, "VLRenewalInterval", int(inputs.get("RenewalInterval") or 0))


def _of(host: Host, instance: Instance) -> Product:
    product = host.state(LicensingState).product(instance["ID"])
    if product is None or product.tail is None:
        raise _failure(host, SL_E_PKEY_NOT_INSTALLED)
    return product


@_method(PRODUCT_CLASS, "Activate")
def activate(host: Host, instance: Instance, inputs: Instance) -> None:
    state = host.state(LicensingState)
    state.activations += 1
    product = _of(host, instance)
    if "VOLUME_KMSCLIENT" in product.description:
        raise _failure(host, SL_E_VL_BINDING_SERVICE_UNAVAILABLE)
    if not state.internet:
        told = int(host.switches["licensing.no_internet"], 16)
        raise _failure(host, told if state.internet_error is None else state.internet_error)
    key = state.keys[product.key] if product.key in state.keys else Key("")
    if key.rejected:
        raise _failure(host, key.rejected)
    if key.activations < 1:
        raise _failure(host, SL_E_CHPA_MAXIMUM_UNLOCK_EXCEEDED)
    key.activations -= 1
    if state.activation_seconds:
        host.fleet.clock.after(state.activation_seconds, partial(_license, product))
        raise Fault(ERROR_WSMAN_OPERATION_TIMEDOUT, "The operation timed out.", subcode="w:TimedOut")
    _license(product)


def _license(product: Product) -> None:
    product.status = LICENSED


@_method(PRODUCT_CLASS, "DepositOfflineConfirmationId")
def deposit(host: Host, instance: Instance, inputs: Instance) -> None:
    state, product = host.state(LicensingState), _of(host, instance)
    right = state.confirmation_id is not None and inputs.get("ConfirmationId") == state.confirmation_id
    if not right or inputs.get("InstallationId") != installation_id(host, product):
        raise _failure(host, SL_E_CIDIID_INVALID_DATA)
    _license(product)


@_method(PRODUCT_CLASS, "UninstallProductKey")
def uninstall(host: Host, instance: Instance, inputs: Instance) -> None:
    product = _of(host, instance)
    product.key, product.tail, product.status = None, None, UNLICENSED
