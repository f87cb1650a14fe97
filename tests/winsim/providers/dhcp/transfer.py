# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A DHCP server's database carried to files and back: backup and restore, export and import as XML, the bare content.

https://learn.microsoft.com/powershell/module/dhcpserver/backup-dhcpserver, .../restore-dhcpserver,
.../export-dhcpserver, .../import-dhcpserver
"""

from __future__ import annotations

import copy
import dataclasses
import json
import xml.etree.ElementTree as ET
from datetime import datetime
from typing import Any

from winsim import schema
from winsim.host import Host
from winsim.plain import from_plain, to_plain
from winsim.switches import declare

from . import disk, invariants
from .server import DhcpError, call
from .state import NAMESPACE, SINGLE, Lease, Record, Server

__all__ = ["Content", "backup", "content", "export", "import_file", "load_pending", "put", "restore"]

ERROR_PATH_NOT_FOUND = 3
ERROR_FILE_EXISTS = 80
ERROR_DISK_FULL = 112
ERROR_DIR_NOT_EMPTY = 145
ERROR_DHCP_SUBNET_EXISTS = 20004
DATABASE_FILE = "new\\dhcp.mdb"
MIGRATION_PAGE = "dhcp_migrate"

declare(
    "dhcp.export_layout",
    {
        "documented": "root DHCPServer, then IPv4/Scopes/Scope/ScopeId",
        "namespaced": "the same elements in an XML namespace",
        "other": "another root and other names",
    },
    open_question="the element names of the export file",
    page=MIGRATION_PAGE,
)
declare(
    "dhcp.import_settings",
    {
        "all": "an import brings every setting of the export",
        "documented": "DNS settings, audit log and server settings stay as they were, but for conflict detection",
    },
    open_question="which server settings an import brings along: its public description does not list all",
    page=MIGRATION_PAGE,
)
declare(
    "dhcp.import_lease_text",
    {"kept": "host names and descriptions of leases are imported", "lost": "they are empty afterwards"},
    open_question="whether an import keeps host name and description of a lease",
    page=MIGRATION_PAGE,
)
declare(
    "dhcp.import_failover",
    {"absent": "export files carry no failover relationships", "carried": "an import creates them on the new server"},
    open_question="whether the export file carries failover relationships",
    page=MIGRATION_PAGE,
)

# What belongs to the machine and not to its configuration.
MACHINE = ("v4Binding", "v6Binding", "Database", "DnsCredential")
UNDOCUMENTED = ("AuditLog", "v4DnsSetting", "v6DnsSetting")


@dataclasses.dataclass
class Content:
    """All a server knows: what a backup, an export and a migration store hold."""

    records: dict[str, list[Record]]
    leases: list[Lease]


def content(server: Server, *, leases: bool = True) -> Content:
    records = {name: copy.deepcopy(found) for name, found in server.records.items() if name not in MACHINE}
    return Content(records, [dataclasses.replace(each) for each in server.leases.values()] if leases else [])


def as_bytes(found: Content) -> bytes:
    return json.dumps(to_plain(found)).encode()


def from_bytes(data: bytes) -> Content:
    return from_plain(Content, json.loads(data))


def put(host: Host, server: Server, found: Content, *, overwrite: bool, everything: bool = False) -> None:
    """Bring the content into the server. Scopes that are there already are refused, or replaced with `overwrite`;
    `everything` replaces the whole database, as a restore does.
    """
    if everything:
        for name, records in found.records.items():
            server.records[name] = copy.deepcopy(records)
        server.leases = {each.ip: dataclasses.replace(each) for each in found.leases}
    else:
        _merge(host, server, found, overwrite=overwrite)
    server.cursors.clear()
    server.generation += 1
    host.now()


def _merge(host: Host, server: Server, found: Content, *, overwrite: bool) -> None:
    coming = {each["ScopeId"] for each in found.records["v4Scope"]}
    present = {each["ScopeId"] for each in server.records["v4Scope"]}
    if coming & present and not overwrite:
        raise DhcpError(ERROR_DHCP_SUBNET_EXISTS, f"Scope {sorted(coming & present)[0]} already exists.")
    for scope_id in coming & present:
        drop_scope(server, scope_id)
    for name, records in found.records.items():
        if name == "v4Failover" and host.switches["dhcp.import_failover"] == "absent":
            continue
        if name in SINGLE:
            _take_single(host, server, name, records[0])
            continue
        if name in UNDOCUMENTED and host.switches["dhcp.import_settings"] == "documented":
            continue
        for record in records:
            same = [each for each in server.records[name] if _identity(name, each) == _identity(name, record)]
            for each in same:
                server.records[name].remove(each)
            server.records[name].append(copy.deepcopy(record))
    keep = host.switches["dhcp.import_lease_text"] == "kept"
    for lease in found.leases:
        taken = dataclasses.replace(lease)
        if not keep:
            taken.host_name = taken.description = ""
        server.leases[lease.ip] = taken


def _take_single(host: Host, server: Server, name: str, record: Record) -> None:
    if host.switches["dhcp.import_settings"] == "all":
        kept = {key: value for key, value in record.items() if key != "RestoreStatus"}
        server.one(name).update(kept)
    elif name == "Setting":
        server.one(name)["ConflictDetectionAttempts"] = record["ConflictDetectionAttempts"]
    elif name == "v4FilterList":
        server.one(name).update(record)


def _identity(name: str, record: Record) -> tuple[Any, ...]:
    keys = IDENTITY.get(name, ("Name",))
    return tuple(str(record.get(key, "")).lower() for key in (*keys, "@ScopeId", "@ReservedIP", "@Prefix"))


IDENTITY = {
    "v4Scope": ("ScopeId",),
    "v4ExclusionRange": ("ScopeId", "StartRange"),
    "v4Reservation": ("IPAddress",),
    "v4OptionDefinition": ("OptionId", "VendorClass"),
    "v4OptionValue": ("OptionId", "VendorClass", "UserClass", "PolicyName"),
    "v4Policy": ("Name", "ScopeId"),
    "v4PolicyIPRange": ("Name", "ScopeId", "StartRange"),
    "v4Filter": ("MacAddress",),
    "v4Class": ("Name", "Type"),
    "v4MulticastExclusionRange": ("Name", "StartRange"),
    "v4DnsSetting": (),
    "v6Scope": ("Prefix",),
    "v6ExclusionRange": ("Prefix", "StartRange"),
    "v6Reservation": ("IPAddress",),
    "v6Lease": ("IPAddress",),
    "v6OptionDefinition": ("OptionId", "VendorClass"),
    "v6OptionValue": ("OptionId", "VendorClass", "UserClass"),
    "v6Class": ("Name", "Type"),
}


def drop_scope(server: Server, scope_id: str) -> None:
    for name, records in server.records.items():
        server.records[name] = [
            each
            for each in records
            if scope_id not in (each.get("ScopeId"), each.get("@ScopeId")) or name == "v4Failover"
        ]
    server.leases = {ip: each for ip, each in server.leases.items() if each.scope != scope_id}


# Backup and restore


def fail_as_planned(server: Server, operation: str) -> None:
    if operation in server.failures:
        raise DhcpError(server.failures[operation])


def backup(host: Host, path: str) -> None:
    """Write the database into a folder that is there and empty."""
    server = call(host)
    fail_as_planned(server, "backup")
    if not disk.is_folder(host, path):
        raise DhcpError(ERROR_PATH_NOT_FOUND)
    if disk.listing(host, path):
        raise DhcpError(ERROR_DIR_NOT_EMPTY)
    write(host, f"{path}\\DhcpCfg", json.dumps({"version": host.version}).encode())
    write(host, f"{path}\\{DATABASE_FILE}", as_bytes(content(server)))


def write(host: Host, path: str, data: bytes) -> None:
    """Raises DhcpError where the disk is full."""
    try:
        disk.make_folder(host, path.rpartition("\\")[0])
        disk.write(host, path, data)
    except disk.DiskFull as error:
        raise DhcpError(ERROR_DISK_FULL, str(error)) from error


def restore(host: Host, path: str) -> None:
    """Mark the server to load a backup when its service starts next."""
    server = call(host)
    fail_as_planned(server, "restore")
    if disk.read(host, f"{path}\\{DATABASE_FILE}") is None:
        raise DhcpError(ERROR_PATH_NOT_FOUND)
    server.restore_from = path
    server.one("Setting")["RestoreStatus"] = True


def load_pending(host: Host, server: Server) -> None:
    """The service starts: load the backup it was told to restore."""
    if server.restore_from is None:
        return
    data = disk.read(host, f"{server.restore_from}\\{DATABASE_FILE}")
    server.restore_from = None
    server.one("Setting")["RestoreStatus"] = False
    if data is not None:
        put(host, server, from_bytes(data), overwrite=True, everything=True)
        server.one("Setting")["RestoreStatus"] = False
        server.imported = False


# Export and import


def export(host: Host, path: str, *, leases: bool, force: bool) -> None:
    """Write the XML file; an existing one is kept unless `force`."""
    server = call(host)
    if disk.read(host, path) is not None and not force:
        raise DhcpError(ERROR_FILE_EXISTS, f"The file {path} exists.")
    fail_as_planned(server, "export")
    if not disk.is_folder(host, path.rpartition("\\")[0]):
        raise DhcpError(ERROR_PATH_NOT_FOUND)
    write(host, path, to_xml(host, content(server, leases=leases)))


def import_file(host: Host, path: str, backup_path: str, *, leases: bool, overwrite: bool) -> None:
    """Save the present database into `backup_path`, then bring the file in."""
    server = call(host)
    data = disk.read(host, path)
    if data is None:
        raise DhcpError(2, f"Could not find file '{path}'.")
    fail_as_planned(server, "import")
    write(host, f"{backup_path}\\{DATABASE_FILE}", as_bytes(content(server)))
    found = from_xml(data)
    if not leases:
        found.leases = []
    invariants.importing(host)
    put(host, server, found, overwrite=overwrite)
    server.imported = True


XML_NAMESPACE = "http://schemas.microsoft.com/windows/DHCPServer"
PLURALS = {"v4Class": "Classes", "v6Class": "Classes", "v4Policy": "Policies"}


def to_xml(host: Host, found: Content) -> bytes:
    """The export file: each record an element, its values child elements."""
    layout = host.switches["dhcp.export_layout"]
    root = ET.Element("Export" if layout == "other" else "DHCPServer")
    if layout == "namespaced":
        root.set("xmlns", XML_NAMESPACE)
    for tag, text in (("MajorVersion", host.release.major), ("MinorVersion", host.release.minor)):
        ET.SubElement(root, tag).text = str(text)
    branches = {"": root, "v4": ET.SubElement(root, "IPv4"), "v6": ET.SubElement(root, "IPv6")}
    for name, records in found.records.items():
        branch = name[:2] if name[:2] in branches else ""
        bare = name.removeprefix(branch)
        parent = ET.SubElement(branches[branch], PLURALS.get(name, f"{bare}s"))
        for record in records:
            _to_element(ET.SubElement(parent, bare), record)
    parent = ET.SubElement(branches["v4"], "Leases")
    for lease in found.leases:
        _to_element(ET.SubElement(parent, "Lease"), to_plain(lease))
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def _to_element(element: ET.Element, record: Record) -> None:
    for key, value in record.items():
        if value is None:
            continue
        # Where a value belongs is an attribute, so that the names of elements stay names.
        if key.startswith("@"):
            element.set(key[1:], str(value))
            continue
        for each in value if isinstance(value, list) else [value]:
            child = ET.SubElement(element, key)
            child.text = each["$time"] if isinstance(each, dict) else str(each)


def from_xml(data: bytes) -> Content:
    root = ET.fromstring(data)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    branches = {"": root, "v4": root.find("IPv4"), "v6": root.find("IPv6")}
    records: dict[str, list[Record]] = {}
    for name in Server().records:
        branch = name[:2] if name[:2] in branches else ""
        bare = name.removeprefix(branch)
        top = branches[branch]
        parent = None if top is None else top.find(PLURALS.get(name, f"{bare}s"))
        if parent is not None:
            records[name] = [_from_element(name, element) for element in parent]
    leases = [_lease(element) for element in root.iterfind("IPv4/Leases/Lease")]
    return Content(records, leases)


def _from_element(name: str, element: ET.Element) -> Record:
    declared = schema.load().find(26100, NAMESPACE, f"DhcpServer{name}")
    assert declared is not None
    record: Record = {f"@{key}": value for key, value in element.attrib.items()}
    for member in declared.properties:
        values = [_value(member.type, child.text or "") for child in element if child.tag == member.name]
        if member.array:
            record[member.name] = values
        elif values:
            record[member.name] = values[0]
    return record


def _value(kind: str, text: str) -> Any:
    if kind == "boolean":
        return text == "True"
    return text if kind == "string" else int(text)


def _lease(element: ET.Element) -> Lease:
    given = {child.tag: child.text or "" for child in element}
    end = given.pop("expires", None)
    return Lease(**given, expires=None if end is None else datetime.fromisoformat(end))
