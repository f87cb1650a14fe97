# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""SRV records of a Microsoft DNS server: root/MicrosoftDNS, or the DnsServer cmdlets. For this collection only.

https://learn.microsoft.com/en-us/windows/win32/dns/dns-wmi-provider
https://learn.microsoft.com/en-us/powershell/module/dnsserver/
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..errors import CmdletFailed, MalformedAnswer
from ..wsman.bindings import CimClass, Method, key
from ..wsman.cim import Cim
from ..wsman.cmdlets import SWITCH, Cmdlet, Cmdlets, PSObject, pipe
from ..wsman.types import Reference, decode_interval, uint16, uint32
from ..wsman.wql import any_of, literal

NAMESPACE = "root/MicrosoftDNS"

_IN = 1
_OBJECT_NOT_FOUND = 13
_NAME_DOES_NOT_EXIST = "WIN32 9714"
"""DNS_ERROR_NAME_DOES_NOT_EXIST, as the DnsServer module writes it in an error id."""


class Server(CimClass, namespace=NAMESPACE, wmi="MicrosoftDNS_Server"):
    """The DNS server; exactly one instance."""

    Name: str = key()


class ZoneInstance(CimClass, namespace=NAMESPACE, wmi="MicrosoftDNS_Zone"):
    """One zone. No page prints the numbers of ZoneType."""

    Name: str = key()
    ZoneType: uint32
    DsIntegrated: bool | None
    Paused: bool | None
    Shutdown: bool | None
    MasterServers: tuple[str, ...] | None
    LocalMasterServers: tuple[str, ...] | None


_DATA: dict[str, Any] = {"Priority": uint16 | None, "Weight": uint16 | None, "Port": uint16 | None}


class SrvInstance(CimClass, namespace=NAMESPACE, wmi="MicrosoftDNS_SRVType"):
    """One SRV record. Its class page names no key: use the reference that came with it."""

    OwnerName: str
    SRVDomainName: str
    Priority: uint16
    Weight: uint16
    Port: uint16
    TTL: uint32
    TimeStamp: uint32 | None

    CreateInstanceFromPropertyData = Method(
        {
            "DnsServerName": str,
            "ContainerName": str,
            "OwnerName": str,
            "RecordClass": uint32 | None,
            "TTL": uint32 | None,
            "Priority": uint16,
            "Weight": uint16,
            "Port": uint16,
            "SRVDomainName": str,
        },
        static=True,
        void=True,
    )
    Modify = Method({"TTL": uint32 | None, **_DATA, "SRVDomainName": str | None}, void=True)


class AliasInstance(CimClass, namespace=NAMESPACE, wmi="MicrosoftDNS_CNAMEType"):
    """One CNAME record."""

    OwnerName: str


GET_ZONE = Cmdlet("Get-DnsServerZone", "DnsServer")
GET_RECORD = Cmdlet("Get-DnsServerResourceRecord", "DnsServer", ("ZoneName", "Name", "RRType"))
ADD_RECORD = Cmdlet(
    "Add-DnsServerResourceRecord",
    "DnsServer",
    ("Srv", "ZoneName", "Name", "DomainName", "Priority", "Weight", "Port", "TimeToLive"),
)
REMOVE_RECORD = Cmdlet(
    "Remove-DnsServerResourceRecord", "DnsServer", ("ZoneName", "Name", "RRType", "RecordData", "Force")
)
SELECT_OBJECT = Cmdlet("Select-Object", "Microsoft.PowerShell.Utility", ("ExpandProperty", "Property"))
WHERE_OBJECT = Cmdlet("Where-Object", "Microsoft.PowerShell.Core", ("Property", "In", "Value"))


def plain(name: str) -> str:
    """A DNS name as names are compared: lower case, without the trailing dot."""
    return name.rstrip(".").lower()


@dataclass(frozen=True)
class Zone:
    """A zone as far as it matters for a write. obstacle: what keeps it from being written, empty for nothing."""

    name: str
    obstacle: str = ""
    ds_integrated: bool = False


@dataclass(frozen=True)
class SrvRecord:
    """An SRV record. ttl: seconds, None for the zone's default; static: not made by dynamic update.

    reference: where the server has it, as long as its data stays the same.
    """

    owner: str
    target: str
    port: int
    priority: int
    weight: int
    ttl: int | None
    static: bool = True
    reference: Reference | None = field(default=None, compare=False, repr=False)

    @property
    def data(self) -> tuple[str, int, int, int]:
        """What makes it the same record to DNS."""
        return (plain(self.target), self.port, self.priority, self.weight)


class Records(Protocol):
    """SRV records of a DNS server, one way or the other."""

    @property
    def in_place(self) -> bool:
        """Whether a change is one call; else a record is removed and another one made."""

    def server(self) -> str | None:
        """The server's own name where the way needs it for new records."""

    def zones(self, names: Sequence[str]) -> list[Zone]:
        """Those of the zones that the server has."""

    def read_only(self, names: Sequence[str]) -> list[str]:
        """Those of the zones that cannot be written although they look so; empty where it cannot be told."""

    def read(self, zone: str, owner: str) -> list[SrvRecord]:
        """The SRV records of a name."""

    def is_alias(self, zone: str, name: str) -> bool:
        """Whether a name is a CNAME in a zone."""

    def create(self, zone: str, record: SrvRecord, server: str | None) -> None:
        """Makes a static record."""

    def change(self, zone: str, old: SrvRecord, new: SrvRecord) -> None:
        """Makes one record of another with the same target."""

    def remove(self, zone: str, record: SrvRecord) -> None:
        """Removes a record."""


def _same(records: Iterable[SrvRecord], wanted: SrvRecord) -> SrvRecord:
    found = next((each for each in records if each.data == wanted.data), None)
    if found is None:
        raise MalformedAnswer(f"the SRV record of {wanted.target} in {wanted.owner} is gone: another writer removed it")
    return found


# By WMI


@dataclass(frozen=True)
class WmiRecords:
    """Through root/MicrosoftDNS. cmdlets: for what the classes do not tell."""

    cim: Cim
    cmdlets: Cmdlets
    in_place: bool = True

    def server(self) -> str | None:
        """One request."""
        return self.cim.query_one(Server).Name

    def zones(self, names: Sequence[str]) -> list[Zone]:
        """One request."""
        found = self.cim.query(ZoneInstance, any_of("Name", list(names)))
        return [Zone(plain(each.Name), _obstacle(each), bool(each.DsIntegrated)) for each in found]

    def read_only(self, names: Sequence[str]) -> list[str]:
        """The class does not have it (a zone on a read-only domain controller); the cmdlet does."""
        try:
            return [
                plain(str(each.get("ZoneName")))
                for each in _zone_objects(self.cmdlets, names)
                if _flag(each, "IsReadOnly")
            ]
        except CmdletFailed:
            return []

    def read(self, zone: str, owner: str) -> list[SrvRecord]:
        """One request; each record with its reference."""
        where = f"ContainerName = {literal(zone)} AND OwnerName = {literal(owner)}"
        return [
            SrvRecord(
                plain(each.OwnerName),
                plain(each.SRVDomainName),
                each.Port,
                each.Priority,
                each.Weight,
                each.TTL,
                not each.TimeStamp,
                each.reference,
            )
            for each in self.cim.query(SrvInstance, where, references=True)
        ]

    def is_alias(self, zone: str, name: str) -> bool:
        """One request."""
        return self.cim.any(AliasInstance, f"ContainerName = {literal(zone)} AND OwnerName = {literal(name)}")

    def create(self, zone: str, record: SrvRecord, server: str | None) -> None:
        """One request, if the server's name is known."""
        self.cim.invoke(
            SrvInstance.CreateInstanceFromPropertyData,
            DnsServerName=server or self.server(),
            ContainerName=zone,
            OwnerName=record.owner,
            RecordClass=_IN,
            TTL=record.ttl,
            Priority=record.priority,
            Weight=record.weight,
            Port=record.port,
            SRVDomainName=f"{record.target}.",
        )

    def change(self, zone: str, old: SrvRecord, new: SrvRecord) -> None:
        """One call with all that differs; the reference of the old record is dead afterwards."""
        names = {"TTL": "ttl", "Priority": "priority", "Weight": "weight", "Port": "port"}
        differing = {
            name: getattr(new, attribute)
            for name, attribute in names.items()
            if getattr(new, attribute) not in (None, getattr(old, attribute))
        }
        self.cim.invoke(SrvInstance.Modify, self._reference(zone, old), **differing)

    def remove(self, zone: str, record: SrvRecord) -> None:
        """WS-Management Delete."""
        self.cim.delete(self._reference(zone, record))

    def _reference(self, zone: str, record: SrvRecord) -> Reference:
        known = record.reference or _same(self.read(zone, record.owner), record).reference
        if known is None:
            raise MalformedAnswer(f"the server gave no reference for the SRV record of {record.target} in {zone}")
        return known


_KINDS = {1: "secondary", 2: "secondary or stub", 3: "stub or forwarder", 4: "forwarder"}


def _obstacle(zone: ZoneInstance) -> str:
    """What keeps a zone from being written.

    UNCONFIRMED whether ZoneType counts as MS-DNSP does (1 is primary) or as CreateZone (0 is primary, 1 secondary). A
    zone of any other kind has masters, a primary one has none, so both readings end right.
    """
    if zone.ZoneType > 1 or zone.MasterServers or zone.LocalMasterServers:
        return f"a {_KINDS.get(zone.ZoneType, 'foreign')} zone"
    return _standstill(bool(zone.Paused), bool(zone.Shutdown))


def _standstill(paused: bool, shut_down: bool) -> str:
    return "paused" if paused else "shut down" if shut_down else ""


# By cmdlets


def _relative(owner: str, zone: str) -> str:
    return plain(owner).removesuffix(f".{plain(zone)}")


def _zone_objects(cmdlets: Cmdlets, names: Sequence[str]) -> list[PSObject]:
    # By Name the cmdlet would fail for each zone that is not there.
    found = cmdlets.run(
        pipe(GET_ZONE(), WHERE_OBJECT(Property="ZoneName", In=SWITCH, Value=list(names))), attempted="reading DNS zones"
    )
    return [each for each in found.output if isinstance(each, PSObject)]


def _flag(found: PSObject, name: str) -> bool:
    return str(found.get(name)).lower() == "true"


@dataclass(frozen=True)
class CmdletRecords:
    """Through the DnsServer module, Windows Server 2012 and later."""

    cmdlets: Cmdlets
    in_place: bool = False

    def server(self) -> str | None:
        """The cmdlets mean their own server."""
        return None

    def zones(self, names: Sequence[str]) -> list[Zone]:
        """One pipeline."""
        return [self._zone(each) for each in _zone_objects(self.cmdlets, names)]

    @staticmethod
    def _zone(found: PSObject) -> Zone:
        kind = str(found.get("ZoneType"))
        obstacle = "read-only" if _flag(found, "IsReadOnly") else ""
        if kind.lower() != "primary":
            obstacle = f"a {kind.lower()} zone"
        standstill = _standstill(_flag(found, "IsPaused"), _flag(found, "IsShutdown"))
        return Zone(plain(str(found.get("ZoneName"))), obstacle or standstill, _flag(found, "IsDsIntegrated"))

    def read_only(self, names: Sequence[str]) -> list[str]:
        """Known from ``zones``."""
        return []

    def read(self, zone: str, owner: str) -> list[SrvRecord]:
        """One pipeline; the data of a record is an object in an object, which would travel as its name only."""
        found = self._find(zone, owner, "Srv", "Timestamp", "TimeToLive")
        return [
            SrvRecord(
                plain(owner),
                plain(str(each.get("DomainName"))),
                each.number("Port"),
                each.number("Priority"),
                each.number("Weight"),
                _seconds(each.get("TimeToLive")),
                each.get("Timestamp") is None,
            )
            for each in found
        ]

    def is_alias(self, zone: str, name: str) -> bool:
        """One pipeline."""
        return bool(self._find(zone, name, "CName", "HostName"))

    def _find(self, zone: str, owner: str, kind: str, *properties: str) -> list[PSObject]:
        """UNCONFIRMED what a name without records gives: an error of category ObjectNotFound, or nothing."""
        try:
            found = self.cmdlets.run(
                pipe(
                    GET_RECORD(ZoneName=zone, Name=_relative(owner, zone), RRType=kind),
                    SELECT_OBJECT(ExpandProperty="RecordData", Property=list(properties)),
                ),
                attempted=f"reading {owner}",
            )
        except CmdletFailed as error:
            if error.category == _OBJECT_NOT_FOUND and error.error_id.startswith(_NAME_DOES_NOT_EXIST):
                return []
            raise
        return [each for each in found.output if isinstance(each, PSObject)]

    def create(self, zone: str, record: SrvRecord, server: str | None) -> None:
        """One pipeline."""
        self.cmdlets.run(
            ADD_RECORD(
                Srv=SWITCH,
                ZoneName=zone,
                Name=_relative(record.owner, zone),
                DomainName=f"{record.target}.",
                Priority=record.priority,
                Weight=record.weight,
                Port=record.port,
                TimeToLive=_time_span(record.ttl),
            ),
            attempted=f"creating the SRV record of {record.target} in {zone}",
        )

    def change(self, zone: str, old: SrvRecord, new: SrvRecord) -> None:
        """Makes the new record, static, and removes the old one, so that clients find one at any moment.

        Records that differ in their time to live alone are one record to DNS: there the old one goes first, and is made
        again where DNS refuses the new one.
        """
        if new.data != old.data:
            self.create(zone, new, None)
            try:
                self.remove(zone, old)
            except CmdletFailed:
                self.remove(zone, new)
                raise
            return
        self.remove(zone, old)
        try:
            self.create(zone, new, None)
        except CmdletFailed:
            self.create(zone, old, None)
            raise

    def remove(self, zone: str, record: SrvRecord) -> None:
        """One pipeline. RecordData: priority, weight, port and target, a text each (example 4 of the cmdlet's page)."""
        data = [str(record.priority), str(record.weight), str(record.port), f"{record.target}."]
        self.cmdlets.run(
            REMOVE_RECORD(
                ZoneName=zone, Name=_relative(record.owner, zone), RRType="Srv", RecordData=data, Force=SWITCH
            ),
            attempted=f"removing the SRV record of {record.target} from {zone}",
        )


def _time_span(seconds: int | None) -> str | None:
    """A TimeSpan as the text that PowerShell converts whatever its language: ``1.02:03:04`` is a day and some."""
    if seconds is None:
        return None
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    return f"{day}.{hour:02}:{minute:02}:{second:02}"


def _seconds(value: object) -> int | None:
    """A TimeSpan, which travels as an ISO 8601 duration."""
    try:
        return None if value is None else int(decode_interval(str(value)).total_seconds())
    except ValueError as error:
        raise MalformedAnswer(f"the life time of a record: {error}") from error
