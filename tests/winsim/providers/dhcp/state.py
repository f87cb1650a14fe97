# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a DHCP server has: configuration, leases, counters; and how the fleet file says it.

Section `dhcp` of a host that has the feature `DHCP` (`features: [DHCP]`). Records have the property names of the
provider's data classes:

    dhcp:
      scopes:
        - ScopeId: 10.0.1.0
          SubnetMask: 255.255.255.0
          StartRange: 10.0.1.10
          EndRange: 10.0.1.200
          leases: 40                       # made up, active; or a list of {ip, client_id, state, host_name, expires_in}
          reservations: 3                  # made up at the end of the range; or a list of records
          exclusions: [[10.0.1.10, 10.0.1.19]]
          options: {3: [10.0.1.1]}         # values of a standard option
      options: {6: [10.0.0.53]}
      records: {v4Filter: [{MacAddress: 00-11-22-33-44-55, List: Deny, Description: old printer}]}
      settings: {ConflictDetectionAttempts: 2}
      database: {FileName: 'D:\\dhcp\\dhcp.mdb'}
      check_seconds: 3600                  # how often the service looks at the authorization list
      notice_seconds: 0                    # and how long it takes to act on what it found
      seconds: {export: 20, import: 30, backup: 5, restore: 5}      # how long operations take

The service itself is `DHCPServer` in section `services` (`accept_pause` and so on).
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from winsim import schema
from winsim.fleet import boolean, integer, mapping, number, refuse, sequence, text
from winsim.host import Host

from .. import Provider

__all__ = ["CATEGORIES", "NAMESPACE", "Lease", "Record", "Server", "dhcp", "hardware", "server_of"]

dhcp = Provider("dhcp")

NAMESPACE = "root/Microsoft/Windows/DHCP"
ROLE, TOOLS = "DHCP", "RSAT-DHCP"
SERVICE = "DHCPServer"
FIRST_WITH_PROVIDER = 9200

# A record of the configuration: property name -> value. Keys that begin with @ are not shown: they say where it stands.
Record = dict[str, Any]

# The data classes (without their prefix DhcpServer) that make up the configuration.
CATEGORIES = (
    "Setting", "Database", "AuditLog", "DnsCredential",
    "v4Scope", "v4ExclusionRange", "v4Reservation", "v4OptionDefinition", "v4OptionValue", "v4Policy",
    "v4PolicyIPRange", "v4Filter", "v4FilterList", "v4Class", "v4MulticastScope", "v4MulticastExclusionRange",
    "v4DnsSetting", "v4Failover", "v4Binding",
    "v6Scope", "v6ExclusionRange", "v6Reservation", "v6Lease", "v6OptionDefinition", "v6OptionValue", "v6Class",
    "v6DnsSetting", "v6Binding",
)  # fmt: skip

COUNTERS = ("Discovers", "Offers", "Requests", "Acks", "Naks", "Declines", "Releases")
DEFAULT_LEASE_SECONDS = 8 * 86400


@dataclass
class Lease:
    """An address and who has it. `expires` None: never (a reservation nobody uses, an unlimited lease)."""

    ip: str
    scope: str
    client_id: str
    host_name: str = ""
    state: str = "Active"
    expires: datetime | None = None
    client_type: str = "Dhcp"
    description: str = ""
    dns_rr: str = "AandPTR"
    dns_registration: str = "Complete"
    policy: str = ""


@dataclass
class Server:
    """A DHCP server. `records` holds the configuration by data class; durations in it are seconds.

    `authorized` is what the service believes; `noticing`: when it will believe otherwise. `started` is the start of the
    service it has seen last. `failures` maps an operation (`backup`, `restore`, `export`, `import`, `authorize`,
    `unauthorize`) to the error number with which it fails while the entry is there. `generation` counts
    replacements of the whole database, `imported` says that one was an import.
    """

    records: dict[str, list[Record]] = field(default_factory=lambda: {name: [] for name in CATEGORIES})
    leases: dict[str, Lease] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTERS, 0))
    authorized: bool = False
    check_seconds: float = 3600.0
    notice_seconds: float = 0.0
    checked: datetime | None = None
    noticing: datetime | None = None
    started: datetime | None = None
    restore_from: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    cursors: dict[str, int] = field(default_factory=dict)
    generation: int = 0
    imported: bool = False

    def of(self, name: str, **wanted: Any) -> list[Record]:
        """The records of a data class with these values (`ScopeId`, or `at_ScopeId` for a hidden `@ScopeId`)."""
        keys = {key.replace("at_", "@", 1): value for key, value in wanted.items()}
        return [each for each in self.records[name] if all(each.get(key) == value for key, value in keys.items())]

    def one(self, name: str) -> Record:
        """The record of a data class that has exactly one."""
        return self.records[name][0]

    def scope(self, scope_id: str) -> Record | None:
        return next((each for each in self.records["v4Scope"] if each["ScopeId"] == scope_id), None)


def server_of(host: Host) -> Server | None:
    """The DHCP server of a host, None while the role is not installed."""
    return host.state(Server) if host.has_feature(ROLE) else None


def hardware(index: int) -> str:
    """The client id of the index-th made-up client: a locally administered MAC address."""
    digits = f"{0x02D000000000 + index:012x}"
    return "-".join(digits[place : place + 2] for place in range(0, 12, 2))


# A fresh server

STANDARD_OPTIONS = (
    (2, "Time Offset", "DWord", False), (3, "Router", "IPv4Address", True), (4, "Time Server", "IPv4Address", True),
    (5, "Name Servers", "IPv4Address", True), (6, "DNS Servers", "IPv4Address", True),
    (12, "Host Name", "String", False), (15, "DNS Domain Name", "String", False),
    (42, "NTP Servers", "IPv4Address", True),
    (43, "Vendor Specific Info", "BinaryData", False), (44, "WINS/NBNS Servers", "IPv4Address", True),
    (46, "WINS/NBT Node Type", "Byte", False), (51, "Lease", "DWord", False),
    (66, "Boot Server Host Name", "String", False), (67, "Bootfile Name", "String", False),
)  # fmt: skip
STANDARD_V6_OPTIONS = (
    (23, "DNS Recursive Name Server IPV6 Address List", "IPv6Address", True),
    (24, "Domain Search List", "String", True),
)
STANDARD_CLASSES = (
    ("Microsoft Windows 2000 Options", "Vendor", "MSFT 5.0"), ("Microsoft Windows 98 Options", "Vendor", "MSFT 98"),
    ("Microsoft Options", "Vendor", "MSFT"), ("Default Routing and Remote Access Class", "User", "RRAS.Microsoft"),
    ("Default BOOTP Class", "User", "BOOTP.Microsoft"),
)  # fmt: skip


def fresh(host: Host) -> Server:
    """The server as the role's installation leaves it."""
    server = Server()
    folder = f"{host.windows_directory}\\system32\\dhcp"
    one: dict[str, Record] = {
        "Setting": {
            "DynamicBootp": True, "RestoreStatus": False, "NapEnabled": False, "ConflictDetectionAttempts": 0,
            "NpsUnreachableAction": "Full", "ActivatePolicies": True,
        },
        "Database": {
            "FileName": f"{folder}\\dhcp.mdb", "BackupPath": f"{folder}\\backup", "BackupInterval": 60,
            "CleanupInterval": 60, "LoggingEnabled": True, "RestoreFromBackup": False,
        },
        "AuditLog": {
            "Enable": True, "Path": folder, "MaxMBFileSize": 70, "DiskCheckInterval": 50, "MinMBDiskSpace": 20,
        },
        "DnsCredential": {"UserName": "", "DomainName": ""},
        "v4FilterList": {"Allow": False, "Deny": False},
        "v4DnsSetting": {
            "DynamicUpdates": "OnClientRequest", "DeleteDnsRROnLeaseExpiry": True, "UpdateDnsRRForOlderClients": False,
            "NameProtection": False, "DisableDnsPtrRRUpdate": False, "DnsSuffix": "",
        },
        "v6DnsSetting": {
            "DynamicUpdates": "OnClientRequest", "DeleteDnsRROnLeaseExpiry": True, "NameProtection": False,
        },
    }  # fmt: skip
    server.records.update({name: [record] for name, record in one.items()})
    server.records["v4OptionDefinition"] = [_definition(*each) for each in STANDARD_OPTIONS]
    server.records["v6OptionDefinition"] = [_definition(*each) for each in STANDARD_V6_OPTIONS]
    server.records["v4Class"] = [
        {"Name": name, "Type": kind, "Data": f"0x{data.encode().hex().upper()}", "Description": ""}
        for name, kind, data in STANDARD_CLASSES
    ]
    return server


def _definition(number: int, name: str, kind: str, many: bool) -> Record:
    return {
        "OptionId": number, "Name": name, "Description": name, "VendorClass": "", "MultiValued": many, "Type": kind,
        "DefaultValue": [],
    }  # fmt: skip


# The fleet file


@dhcp.section("dhcp", Server)
def build(host: Host, data: Any, path: str) -> Server:
    server = fresh(host)
    if data is None:
        return server
    if not host.has_feature(ROLE):
        refuse(path, f"the role is not installed: add {ROLE} to the features of {host.name}")
    allowed = {
        "scopes", "options", "records", "settings", "database", "check_seconds", "notice_seconds", "seconds",
    }  # fmt: skip
    given = mapping(data, path, allowed)
    for key in ("check_seconds", "notice_seconds"):
        if key in given:
            setattr(server, key, number(given[key], f"{path}.{key}"))
    for name, value in mapping(given.get("seconds"), f"{path}.seconds", OPERATIONS).items():
        server.seconds[name] = number(value, f"{path}.seconds.{name}")
    _update(server, "Setting", given.get("settings"), f"{path}.settings")
    _update(server, "Database", given.get("database"), f"{path}.database")
    _options(server, given.get("options"), f"{path}.options")
    for index, item in enumerate(sequence(given.get("scopes"), f"{path}.scopes")):
        _scope(host, server, item, f"{path}.scopes[{index}]")
    for name, items in mapping(given.get("records"), f"{path}.records", CATEGORIES).items():
        here = f"{path}.records.{name}"
        found = [_record(name, item, f"{here}[{index}]") for index, item in enumerate(sequence(items, here))]
        if len(server.records[name]) == 1 and name in SINGLE:
            server.records[name][0].update(found[0])
        else:
            server.records[name] += found
    return server


OPERATIONS = ("export", "import", "backup", "restore")
SINGLE = ("Setting", "Database", "AuditLog", "DnsCredential", "v4FilterList", "v6DnsSetting")


def _update(server: Server, name: str, data: Any, path: str) -> None:
    if data is not None:
        server.one(name).update(_record(name, data, path))


def _record(name: str, data: Any, path: str, extra: Iterable[str] = ()) -> Record:
    """A record as the data class declares it; times as seconds."""
    declared = schema.load().find(26100, NAMESPACE, f"DhcpServer{name}")
    assert declared is not None
    hidden = {f"@{key}" for key in ("ScopeId", "ReservedIP", "Prefix")}
    given = mapping(data, path, {each.name for each in declared.properties} | hidden | set(extra))
    for key, value in given.items():
        member = declared.property(key)
        if member is None:
            continue
        if member.array != isinstance(value, list):
            refuse(f"{path}.{key}", f"{'a list' if member.array else 'one value'} is needed, not {value!r}")
        for each in value if member.array else [value]:
            if member.type == "boolean":
                boolean(each, f"{path}.{key}")
            elif member.type in ("string", "char16"):
                text(each, f"{path}.{key}", member.values or None)
            else:
                integer(each, f"{path}.{key}")
    return {key: value for key, value in given.items() if key not in extra}


def _scope(host: Host, server: Server, data: Any, path: str) -> None:
    parts = ("leases", "reservations", "exclusions", "options")
    given = mapping(data, path)
    record: Record = {
        "Name": given.get("ScopeId"), "Description": "", "SuperscopeName": "", "LeaseDuration": DEFAULT_LEASE_SECONDS,
        "NapProfile": "", "NapEnable": False, "Delay": 0, "State": "Active", "Type": "Dhcp",
        "MaxBootpClients": 4294967295, "ActivatePolicies": True,
        **_record("v4Scope", data, path, parts),
    }  # fmt: skip
    for key in ("ScopeId", "SubnetMask", "StartRange", "EndRange"):
        text(record.get(key), f"{path}.{key}")
    scope_id = record["ScopeId"]
    server.records["v4Scope"].append(record)
    for start, end in sequence(given.get("exclusions"), f"{path}.exclusions"):
        server.records["v4ExclusionRange"].append({"ScopeId": scope_id, "StartRange": start, "EndRange": end})
    _options(server, given.get("options"), f"{path}.options", {"@ScopeId": scope_id})
    _reservations(server, record, given.get("reservations"), f"{path}.reservations")
    _leases(host, server, record, given.get("leases"), f"{path}.leases")


def _options(server: Server, data: Any, path: str, where: Mapping[str, str] | None = None) -> None:
    for option, values in mapping(data, path).items():
        known = next((each for each in STANDARD_OPTIONS if each[0] == int(option)), None)
        if known is None:
            refuse(f"{path}.{option}", "no standard option; use `records` for others")
        server.records["v4OptionValue"].append(
            {
                "OptionId": known[0], "Type": known[2], "UserClass": "", "VendorClass": "", "Name": known[1],
                "Value": [text(value, f"{path}.{option}") for value in sequence(values, f"{path}.{option}")],
                "PolicyName": "", **(where or {}),
            }
        )  # fmt: skip


def _reservations(server: Server, scope: Record, data: Any, path: str) -> None:
    if isinstance(data, int) and not isinstance(data, bool):
        last = int(ipaddress.IPv4Address(scope["EndRange"]))
        # Ids from the middle of the 24 bits of a client, away from those of made-up leases.
        data = [
            {"IPAddress": str(ipaddress.IPv4Address(last - n)), "ClientId": hardware((last - n) & 0xFFFFFF | 0x1000000)}
            for n in range(data)
        ]
    for index, item in enumerate(sequence(data, path)):
        record = {
            "Name": f"reserved{index + 1}", "Description": "", "Type": "Both", "ScopeId": scope["ScopeId"],
            **_record("v4Reservation", item, f"{path}[{index}]"),
        }  # fmt: skip
        server.records["v4Reservation"].append(record)
        server.leases[record["IPAddress"]] = Lease(
            record["IPAddress"], scope["ScopeId"], record["ClientId"], record["Name"], "InactiveReservation"
        )


def _leases(host: Host, server: Server, scope: Record, data: Any, path: str) -> None:
    end = host.now() + timedelta(seconds=scope["LeaseDuration"])
    if isinstance(data, int) and not isinstance(data, bool):
        free = free_addresses(server, scope)
        for _ in range(data):
            address = next(free, None)
            if address is None:
                refuse(path, f"scope {scope['ScopeId']} has no room for {data} leases")
            client = hardware(int(ipaddress.IPv4Address(address)) & 0xFFFFFF)
            name = f"pc{address.replace('.', '-')}"
            server.leases[address] = Lease(address, scope["ScopeId"], client, name, expires=end)
        return
    for index, item in enumerate(sequence(data, path)):
        here = f"{path}[{index}]"
        given = mapping(item, here, {"expires_in"} | {each.name for each in dataclasses.fields(Lease)} - {"scope"})
        seconds = given.pop("expires_in", scope["LeaseDuration"])
        given["ip"] = text(given.get("ip"), f"{here}.ip")
        given["client_id"] = text(given.get("client_id"), f"{here}.client_id")
        expires = None if seconds is None else host.now() + timedelta(seconds=seconds)
        server.leases[given["ip"]] = Lease(scope=scope["ScopeId"], expires=expires, **given)


def free_addresses(server: Server, scope: Record) -> Iterator[str]:
    """Addresses of the range that nobody has, from where the last search ended."""
    scope_id = scope["ScopeId"]
    first, last = (int(ipaddress.IPv4Address(scope[name])) for name in ("StartRange", "EndRange"))
    excluded = [
        (int(ipaddress.IPv4Address(each["StartRange"])), int(ipaddress.IPv4Address(each["EndRange"])))
        for each in server.of("v4ExclusionRange", ScopeId=scope_id)
    ]
    start = server.cursors.get(scope_id, first)
    start = start if first <= start <= last else first
    for place in (*range(start, last + 1), *range(first, start)):
        if any(low <= place <= high for low, high in excluded):
            continue
        address = str(ipaddress.IPv4Address(place))
        if address not in server.leases:
            server.cursors[scope_id] = place + 1
            yield address
