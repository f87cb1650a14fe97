# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Microsoft DNS server: zones, SRV and CNAME records, by WMI (root/MicrosoftDNS) and by the DnsServer cmdlets.

Section of a host; a host without it is no DNS server:

    dns:
      zones:
        corp.example.com:
          records:
            - {name: _vlmcs._tcp, type: SRV, target: kms01.corp.example.com., port: 1688}
            - {name: _vlmcs._tcp, type: SRV, target: old02.corp.example.com., port: 1688, days_old: 3}    # dynamic
            - {name: kms, type: CNAME, target: kms01.corp.example.com.}
        branch.example.com: {type: secondary, masters: [192.0.2.10]}
        lab.example.com: {ds_integrated: true, read_only: true}

`type` of a zone: primary, secondary, stub, forwarder; `paused`, `shutdown`, `read_only` (on a read-only domain
controller), `ds_integrated` are false by default, `ttl` is that of new records. A record with `days_old` is dynamic.
https://learn.microsoft.com/en-us/windows/win32/dns/dns-wmi-provider
https://learn.microsoft.com/en-us/powershell/module/dnsserver/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from winsim.fleet import boolean, integer, mapping, number, refuse, sequence, text
from winsim.host import Host
from winsim.switches import declare

from . import ErrorRecord, Fault, Instance, Provider, PSObject, Reference, Shape, Wbem, from_win32

__all__ = ["DnsState", "Record", "Zone"]

dns = Provider("dns")

NAMESPACE = "root/MicrosoftDNS"
SERVER_2012 = 9200

ACCESS_DENIED = 5
ZONE_DOES_NOT_EXIST = 9601
INVALID_ZONE_TYPE = 9611
RECORD_DOES_NOT_EXIST = 9701
RECORD_ALREADY_EXISTS = 9711
NAME_DOES_NOT_EXIST = 9714
OBJECT_NOT_FOUND, RESOURCE_EXISTS, PERMISSION_DENIED, INVALID_ARGUMENT = 13, 20, 18, 5

KINDS = ("primary", "secondary", "stub", "forwarder")
EPOCH = datetime(1601, 1, 1, tzinfo=timezone.utc)
KEYS = frozenset({"ContainerName", "DnsServerName", "DomainName", "OwnerName", "RecordClass", "RecordData"})

declare(
    "dns.srv_keys",
    {
        "all": "all six properties that tell which record it is are keys",
        "fewer": "DomainName and RecordClass are none",
    },
    open_question="the keys of MicrosoftDNS_SRVType; its page names none",
    page="kms_srv_record",
)
declare(
    "dns.wmi_namespace",
    {"present": "root/MicrosoftDNS is there with the DNS server", "absent": "only the cmdlets are"},
    open_question="whether every Windows with the DNS server role has root/MicrosoftDNS",
    page="kms_srv_record",
)
declare(
    "dns.zone_type",
    {
        "protocol": "ZoneType has the numbers of MS-DNSP: 1 primary, 2 secondary, 3 stub, 4 forwarder",
        "from_zero": "it has those of CreateZone: 0 primary, 1 secondary, 2 stub, 3 forwarder",
    },
    open_question="the numbers of MicrosoftDNS_Zone.ZoneType; the class page prints none",
    page="kms_srv_record",
)
declare(
    "dns.missing_name",
    {
        "error": "Get-DnsServerResourceRecord puts out an error for a name without records",
        "empty": "it puts out nothing",
    },
    open_question="what Get-DnsServerResourceRecord says of a name that has no records",
    page="kms_srv_record",
)


@dataclass
class Record:
    """A record. `name` is relative to the zone; `stamp` hours since 1601 for a dynamic one, 0 for a static one."""

    name: str
    kind: str
    target: str
    ttl: int
    priority: int = 0
    weight: int = 0
    port: int = 0
    stamp: int = 0

    @property
    def data(self) -> tuple[Any, ...]:
        """What makes it the same record in DNS."""
        return (self.kind, bare(self.name), bare(self.target), self.priority, self.weight, self.port)

    @property
    def written(self) -> str:
        return f"{self.priority} {self.weight} {self.port} {self.target}" if self.kind == "SRV" else self.target


@dataclass
class Zone:
    name: str
    kind: str = "primary"
    ds_integrated: bool = False
    paused: bool = False
    shutdown: bool = False
    read_only: bool = False
    ttl: int = 3600
    masters: list[str] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)

    def owner(self, record: Record) -> str:
        return self.name if record.name == "@" else f"{record.name}.{self.name}"

    def relative(self, name: str) -> str:
        """An owner name (fully qualified, or relative as the cmdlets take it) as the zone has it."""
        plain, suffix = name.rstrip("."), f".{self.name}".lower()
        if plain.lower().endswith(suffix):
            return plain[: -len(suffix)]
        return "@" if bare(plain) in ("@", bare(self.name)) else plain

    def named(self, name: str, kind: str) -> list[Record]:
        wanted = bare(self.relative(name))
        return [each for each in self.records if each.kind == kind and bare(each.name) == wanted]


@dataclass
class DnsState:
    """Zones by lower-case name; None: no DNS server."""

    zones: dict[str, Zone] | None = None


def bare(name: str) -> str:
    """How names are compared."""
    return name.rstrip(".").lower()


# The fleet file


@dns.section("dns", DnsState)
def build(host: Host, data: Any, path: str) -> DnsState:
    if data is None:
        return DnsState()
    zones = mapping(mapping(data, path, {"zones"}).get("zones"), f"{path}.zones")
    return DnsState({bare(name): _zone(host, name, given, f"{path}.zones.{name}") for name, given in zones.items()})


def _zone(host: Host, name: str, data: Any, path: str) -> Zone:
    flags = ("ds_integrated", "paused", "shutdown", "read_only")
    given = mapping(data, path, {"type", "ttl", "masters", "records", *flags})
    zone = Zone(bare(name), text(given.get("type", "primary"), f"{path}.type", KINDS))
    for flag in flags:
        setattr(zone, flag, boolean(given.get(flag, False), f"{path}.{flag}"))
    zone.ttl = integer(given.get("ttl", 3600), f"{path}.ttl", 0, 2**31 - 1)
    zone.masters = [text(each, f"{path}.masters") for each in sequence(given.get("masters"), f"{path}.masters")]
    if (zone.kind == "primary") == bool(zone.masters):
        refuse(f"{path}.masters", "every zone but a primary one has masters")
    for index, each in enumerate(sequence(given.get("records"), f"{path}.records")):
        zone.records.append(_record(host, zone, each, f"{path}.records[{index}]"))
    return zone


def _record(host: Host, zone: Zone, data: Any, path: str) -> Record:
    numbers = ("priority", "weight", "port")
    given = mapping(data, path, {"name", "type", "target", "ttl", "days_old", *numbers})
    old = given.get("days_old")
    priority, weight, port = (integer(given.get(each, 0), f"{path}.{each}", 0, 65535) for each in numbers)
    return Record(
        zone.relative(text(given.get("name"), f"{path}.name")),
        text(given.get("type", "SRV"), f"{path}.type", ("SRV", "CNAME")),
        text(given.get("target"), f"{path}.target"),
        integer(given.get("ttl", zone.ttl), f"{path}.ttl", 0, 2**31 - 1),
        priority,
        weight,
        port,
        stamp=0 if old is None else hours(host.now() - timedelta(days=number(old, f"{path}.days_old"))),
    )


def hours(moment: datetime) -> int:
    """Whole hours since 1601, as records are stamped."""
    return int((moment - EPOCH).total_seconds()) // 3600


# What the server knows


def zones_of(host: Host) -> dict[str, Zone]:
    zones = host.state(DnsState).zones
    return zones if zones is not None else {}


def installed(host: Host) -> bool:
    return host.state(DnsState).zones is not None


def refusal(zone: Zone | None) -> int:
    """The Win32 error with which a write to a zone is refused; 0 for none."""
    if zone is None:
        return ZONE_DOES_NOT_EXIST
    if zone.kind != "primary":
        return INVALID_ZONE_TYPE
    return ACCESS_DENIED if zone.read_only else 0


def put(zone: Zone | None, record: Record, instead_of: Record | None = None) -> int:
    """Write a record, `instead_of` another; the Win32 error, 0 for none."""
    error = refusal(zone)
    if error or zone is None:
        return error
    if any(each.data == record.data for each in zone.records if each is not instead_of):
        return RECORD_ALREADY_EXISTS
    if instead_of is None:
        zone.records.append(record)
    else:
        zone.records[zone.records.index(instead_of)] = record
    return 0


def drop(zone: Zone | None, records: list[Record]) -> int:
    error = refusal(zone)
    if error or zone is None:
        return error
    if not records:
        return RECORD_DOES_NOT_EXIST
    zone.records = [each for each in zone.records if each not in records]
    return 0


# root/MicrosoftDNS


@dns.available(NAMESPACE)
def has_namespace(host: Host) -> bool:
    return installed(host) and host.switches["dns.wmi_namespace"] == "present"


@dns.instances(NAMESPACE, "MicrosoftDNS_Server")
def servers(host: Host) -> Iterator[Instance]:
    if installed(host):
        yield {"Name": host.fqdn, "EnableDirectoryPartitions": True, "ServerAddresses": list(host.profile.addresses)}


@dns.instances(NAMESPACE, "MicrosoftDNS_Zone")
def zones(host: Host) -> Iterator[Instance]:
    first = 1 if host.switches["dns.zone_type"] == "protocol" else 0
    for zone in zones_of(host).values():
        yield {
            "Name": zone.name,
            "ContainerName": zone.name,
            "DnsServerName": host.fqdn,
            "ZoneType": first + KINDS.index(zone.kind),
            "DsIntegrated": zone.ds_integrated,
            "Paused": zone.paused,
            "Shutdown": zone.shutdown,
            "Reverse": zone.name.endswith(".arpa"),
            "AutoCreated": False,
            "MasterServers": list(zone.masters),
        }


@dns.method(NAMESPACE, "MicrosoftDNS_Zone", "PauseZone")
def pause_zone(host: Host, instance: Instance | None, inputs: Instance) -> Instance:
    zones_of(host)[(instance or {})["Name"]].paused = True
    return {}


@dns.method(NAMESPACE, "MicrosoftDNS_Zone", "ResumeZone")
def resume_zone(host: Host, instance: Instance | None, inputs: Instance) -> Instance:
    zones_of(host)[(instance or {})["Name"]].paused = False
    return {}


def _class_of(kind: str) -> str:
    return f"MicrosoftDNS_{kind}Type"


@dns.shape(NAMESPACE, "MicrosoftDNS_SRVType")
def srv_shape(host: Host) -> Shape:
    return Shape(keys=_key_names(host))


def _key_names(host: Host) -> frozenset[str]:
    return KEYS if host.switches["dns.srv_keys"] == "all" else KEYS - {"DomainName", "RecordClass"}


@dns.shape(NAMESPACE, "MicrosoftDNS_CNAMEType")
def cname_shape(host: Host) -> Shape:
    return Shape(keys=KEYS)


@dns.instances(NAMESPACE, "MicrosoftDNS_SRVType")
def srv_records(host: Host) -> Iterator[Instance]:
    for zone, record in _records(host, "SRV"):
        numbers = {"Priority": record.priority, "Weight": record.weight, "Port": record.port}
        yield {**_common(host, zone, record), **numbers, "SRVDomainName": record.target}


@dns.instances(NAMESPACE, "MicrosoftDNS_CNAMEType")
def cname_records(host: Host) -> Iterator[Instance]:
    for zone, record in _records(host, "CNAME"):
        yield {**_common(host, zone, record), "PrimaryName": record.target}


def _records(host: Host, kind: str) -> Iterator[tuple[Zone, Record]]:
    return ((zone, each) for zone in zones_of(host).values() for each in zone.records if each.kind == kind)


def _keys(host: Host, zone: Zone, record: Record) -> Instance:
    owner = zone.owner(record)
    return {
        "ContainerName": zone.name,
        "DnsServerName": host.fqdn,
        "DomainName": owner.partition(".")[2],
        "OwnerName": owner,
        "RecordClass": 1,
        "RecordData": record.written,
    }


def _common(host: Host, zone: Zone, record: Record) -> Instance:
    keys = _keys(host, zone, record)
    shown = f"{keys['OwnerName']} IN {record.kind} {record.written}"
    return {**keys, "TTL": record.ttl, "TimeStamp": record.stamp, "TextRepresentation": shown}


def _found(host: Host, instance: Instance, kind: str) -> tuple[Zone, Record]:
    for zone, record in _records(host, kind):
        keys = _keys(host, zone, record)
        if all(instance[name] == keys[name] for name in ("ContainerName", "OwnerName", "RecordData")):
            return zone, record
    raise Fault(Wbem.NOT_FOUND)


def _made(host: Host, zone: Zone | None, record: Record, error: int) -> Instance:
    if error or zone is None:
        raise Fault(from_win32(error))
    keys = {name: value for name, value in _keys(host, zone, record).items() if name in _key_names(host)}
    return {"RR": Reference(NAMESPACE, _class_of(record.kind), keys)}


@dns.method(NAMESPACE, "MicrosoftDNS_SRVType", "CreateInstanceFromPropertyData")
def create_srv(host: Host, instance: Instance | None, inputs: Instance) -> Instance:
    if bare(inputs["DnsServerName"]) not in (bare(host.fqdn), bare(host.name)):
        raise Fault(Wbem.INVALID_PARAMETER, f"{inputs['DnsServerName']} is not this server")
    zone = zones_of(host).get(bare(inputs["ContainerName"]))
    if zone is None:
        raise Fault(from_win32(ZONE_DOES_NOT_EXIST))
    record = Record(
        zone.relative(inputs["OwnerName"]),
        "SRV",
        inputs["SRVDomainName"],
        inputs.get("TTL", zone.ttl),
        inputs["Priority"],
        inputs["Weight"],
        inputs["Port"],
    )
    return _made(host, zone, record, put(zone, record))


@dns.method(NAMESPACE, "MicrosoftDNS_SRVType", "Modify")
def modify_srv(host: Host, instance: Instance | None, inputs: Instance) -> Instance:
    """What is left out stays. The data of a record is part of its path, so the old path is dead afterwards."""
    zone, record = _found(host, instance or {}, "SRV")
    names = {"TTL": "ttl", "Priority": "priority", "Weight": "weight", "Port": "port", "SRVDomainName": "target"}
    changed = replace(record, **{names[name]: value for name, value in inputs.items() if value is not None})
    return _made(host, zone, changed, put(zone, changed, record))


@dns.delete(NAMESPACE, "MicrosoftDNS_SRVType")
def delete_srv(host: Host, instance: Instance) -> None:
    _delete(host, instance, "SRV")


@dns.delete(NAMESPACE, "MicrosoftDNS_CNAMEType")
def delete_cname(host: Host, instance: Instance) -> None:
    _delete(host, instance, "CNAME")


def _delete(host: Host, instance: Instance, kind: str) -> None:
    zone, record = _found(host, instance, kind)
    error = drop(zone, [record])
    if error:
        raise Fault(from_win32(error))


# The DnsServer module

_CIM = "Microsoft.Management.Infrastructure.CimInstance"
_ERRORS = {
    ACCESS_DENIED: PERMISSION_DENIED,
    RECORD_ALREADY_EXISTS: RESOURCE_EXISTS,
    INVALID_ZONE_TYPE: INVALID_ARGUMENT,
}


def has_module(host: Host) -> bool:
    return installed(host) and host.build >= SERVER_2012


def _failure(host: Host, error: int, what: str) -> ErrorRecord:
    message = f"Failed to process {what} on {host.name} server."
    exceptions = ("Microsoft.Management.Infrastructure.CimException", "System.Exception")
    return ErrorRecord(message, f"WIN32 {error}", _ERRORS.get(error, OBJECT_NOT_FOUND), exceptions, target=what)


def _object(name: str, properties: Mapping[str, Any], *bases: str) -> PSObject:
    types = [f"{_CIM}#root/Microsoft/Windows/DNS/{each}" for each in (name, *bases)]
    return PSObject((*types, _CIM), properties, text=name)


@dns.cmdlet("Get-DnsServerZone", available=has_module)
def get_zone(host: Host, parameters: dict[str, Any], pipeline: list[Any]) -> Iterable[Any]:
    known = zones_of(host)
    for name in parameters.get("Name", list(known)):
        zone = known.get(bare(name))
        if zone is None:
            yield _failure(host, ZONE_DOES_NOT_EXIST, f"zone {name}")
            continue
        kind = zone.kind.capitalize()
        properties = {
            "ZoneName": zone.name,
            "ZoneType": kind,
            "IsAutoCreated": False,
            "IsDsIntegrated": zone.ds_integrated,
            "IsPaused": zone.paused,
            "IsReadOnly": zone.read_only,
            "IsReverseLookupZone": zone.name.endswith(".arpa"),
            "IsShutdown": zone.shutdown,
        }
        specific = {"Forwarder": "DnsServerConditionalForwarderZone"}.get(kind, f"DnsServer{kind}Zone")
        yield _object(specific, properties, "DnsServerZone")


@dns.cmdlet("Get-DnsServerResourceRecord", available=has_module)
def get_record(host: Host, parameters: dict[str, Any], pipeline: list[Any]) -> Iterable[Any]:
    zone = zones_of(host).get(bare(parameters["ZoneName"]))
    if zone is None:
        yield _failure(host, ZONE_DOES_NOT_EXIST, f"zone {parameters['ZoneName']}")
        return
    kind = parameters.get("RRType")
    name = parameters.get("Name")
    shown = [
        each
        for each in zone.records
        if (kind is None or each.kind == kind.upper()) and (name is None or each in zone.named(name, each.kind))
    ]
    for each in shown:
        yield _record_object(each)
    if name is not None and not shown and host.switches["dns.missing_name"] == "error":
        yield _failure(host, NAME_DOES_NOT_EXIST, name)


def _record_object(record: Record) -> PSObject:
    data: dict[str, Any] = {"HostNameAlias": record.target}
    if record.kind == "SRV":
        data = {"DomainName": record.target, "Port": record.port, "Priority": record.priority, "Weight": record.weight}
    name = {"SRV": "Srv", "CNAME": "CName"}[record.kind]
    properties = {
        "DistinguishedName": None,
        "HostName": record.name,
        "RecordClass": "IN",
        "RecordData": _object(f"DnsServerResourceRecord{name}", data, "DnsServerResourceRecordData"),
        "RecordType": record.kind,
        "Timestamp": EPOCH + timedelta(hours=record.stamp) if record.stamp else None,
        "TimeToLive": timedelta(seconds=record.ttl),
        "Type": {"SRV": 33, "CNAME": 5}[record.kind],
    }
    return _object("DnsServerResourceRecord", properties)


@dns.cmdlet("Add-DnsServerResourceRecord", available=has_module)
def add_record(host: Host, parameters: dict[str, Any], pipeline: list[Any]) -> Iterable[Any]:
    zone = zones_of(host).get(bare(parameters["ZoneName"]))
    if not parameters.get("Srv"):
        raise LookupError("only SRV records are played")
    ttl = parameters.get("TimeToLive")
    record = Record(
        zone.relative(parameters["Name"]) if zone is not None else "",
        "SRV",
        parameters["DomainName"],
        int(ttl.total_seconds()) if ttl is not None else zone.ttl if zone is not None else 0,
        parameters["Priority"],
        parameters["Weight"],
        parameters["Port"],
    )
    error = put(zone, record)
    if error:
        yield _failure(host, error, parameters["Name"])


@dns.cmdlet("Remove-DnsServerResourceRecord", available=has_module)
def remove_record(host: Host, parameters: dict[str, Any], pipeline: list[Any]) -> Iterable[Any]:
    """RecordData of an SRV record: priority, weight, port and target, a text each (example 4 of the cmdlet's page)."""
    if not parameters.get("Force"):
        raise LookupError("without -Force the cmdlet asks, and nobody is there to answer")
    zone = zones_of(host).get(bare(parameters["ZoneName"]))
    kind = parameters["RRType"].upper()
    found = zone.named(parameters["Name"], kind) if zone is not None else []
    wanted = parameters.get("RecordData")
    if wanted is not None:
        found = [each for each in found if bare(each.written) == bare(" ".join(wanted))]
    error = drop(zone, found)
    if error:
        yield _failure(host, NAME_DOES_NOT_EXIST if error == RECORD_DOES_NOT_EXIST else error, parameters["Name"])
