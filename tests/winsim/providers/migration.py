# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Windows Server Migration Tools: a snap-in that carries DHCP, local accounts and addresses in an encrypted file.

Section `migration` of a host: the tools are there with the feature `Migration`, or registered by SmigDeploy.exe:

    migration: {registered: true, seconds: {export: 60, import: 60}, restart_after_import: true}

https://learn.microsoft.com/powershell/module/microsoft.windows.servermanager.migration/export-smigserversetting and
.../import-smigserversetting
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from winsim.fleet import boolean, mapping, number
from winsim.host import Host
from winsim.plain import from_plain, to_plain
from winsim.psrp.objects import Wait
from winsim.switches import declare

from . import ErrorRecord, Provider, PSObject, VerboseMessage
from .accounts import Accounts
from .adapters import Adapter, Adapters
from .addressing import readdress
from .dhcp import disk, invariants, service_of, transfer
from .dhcp.state import Server, server_of
from .directory import is_domain_controller
from .features import REBOOT_PENDING, set_feature
from .operating_system import Volumes
from .registry import RegistryState

__all__ = ["Migration"]

migration = Provider("migration")

TYPES = "Microsoft.Windows.ServerManager.Migration"
PAGE = "dhcp_migrate"
SHORTEST, LONGEST = 6, 260
LONGEST_PATH = 246

declare(
    "migration.file_name",
    {name: f"the store file is called {name}" for name in ("svrmig.mig", "SvrMig.mig")},
    open_question="the case of the store file's name",
    page=PAGE,
)
declare(
    "migration.session_lost",
    {
        "survives": "an import goes on when it has cut its own session",
        "ends": "it ends there, with what it has done so far",
    },
    open_question="whether a running command survives the loss of its session",
    page="dhcp_migrate",
)
declare(
    "migration.failure",
    {
        "result": "a failed item is a result without success and with details of severity Error",
        "error": "it is an error record, and there is no result",
    },
    open_question="how a migration cmdlet tells that an item failed",
    page=PAGE,
)


@dataclass
class Migration:
    """`failures`: why `export` or `import` of DHCP fails, while the entry is there."""

    registered: bool = False
    restart_after_import: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


@dataclass
class Store:
    """What the store file holds."""

    language: str
    database_path: str
    dhcp: transfer.Content | None
    groups: dict[str, list[str]] | None
    users: list[str] | None
    adapters: list[Adapter] | None


@migration.section("migration", Migration)
def build(host: Host, data: Any, path: str) -> Migration:
    given = mapping(data, path, {"registered", "seconds", "restart_after_import"})
    seconds = mapping(given.get("seconds"), f"{path}.seconds", ("export", "import"))
    return Migration(
        boolean(given.get("registered", False), f"{path}.registered"),
        boolean(given.get("restart_after_import", False), f"{path}.restart_after_import"),
        {name: number(value, f"{path}.seconds.{name}") for name, value in seconds.items()},
    )


def has_tools(host: Host) -> bool:
    return host.has_feature("Migration") or host.state(Migration).registered


# Results


def _result(identifier: str, *details: PSObject, success: bool = True) -> PSObject:
    values = {"ItemType": "WindowsFeature", "ID": identifier, "Success": success, "DetailsList": list(details)}
    return PSObject((f"{TYPES}.MigrationResult",), values)


def _detail(severity: str, title: str, code: int = 0) -> PSObject:
    values = {"FeatureId": "DHCP", "Messages": [title], "DetailCode": code, "Severity": severity, "Title": title}
    return PSObject((f"{TYPES}.MigrationResultDetails",), values, text=f"{TYPES}.MigrationResultDetails")


def _log(host: Host, line: str) -> None:
    """What went wrong stands in the tools' log as well."""
    path = f"{host.windows_directory}\\Logs\\ServerMigration.log"
    stamped = f"{host.now():%Y-%m-%d %H:%M:%S} {line}\r\n"
    disk.write(host, path, (disk.read(host, path) or b"") + stamped.encode())


def _failed(host: Host, identifier: str, title: str) -> PSObject | ErrorRecord:
    with contextlib.suppress(disk.DiskFull):
        _log(host, f"{identifier}: {title}")
    if host.switches["migration.failure"] == "error":
        return _error(title)
    return _result(identifier, _detail("Error", title, 1), success=False)


def _error(text: str) -> ErrorRecord:
    exception = (f"{TYPES}.MigrationException", "System.Exception")
    return ErrorRecord(text, f"{TYPES}.Commands", 7, exception)


# The store


def _password(host: Host, parameters: dict[str, Any]) -> str | None:
    """The password, None if it is too short or too long."""
    password = str.__str__(parameters["Password"])
    invariants.secret_seen(host, password)
    return password if SHORTEST <= len(password) <= LONGEST else None


def _key(password: str, salt: bytes) -> AESSIV:
    """Without a nonce, so that equal histories leave equal files."""
    return AESSIV(hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1000))


def _seal(store: Store, password: str, salt: bytes) -> bytes:
    return salt + _key(password, salt).encrypt(json.dumps(to_plain(store)).encode(), None)


def _open(data: bytes, password: str) -> Store | None:
    """The content, None where the password does not fit or the file is damaged."""
    try:
        return from_plain(Store, json.loads(_key(password, data[:16]).decrypt(data[16:], None)))
    except (InvalidTag, ValueError):
        return None


def _file(host: Host, folder: str) -> str | None:
    """The store file in a folder, whatever the case of its name."""
    names = [each for each in disk.listing(host, folder) if each.rpartition("\\")[2].lower() == "svrmig.mig"]
    return names[0] if names else None


def _load(host: Host, parameters: dict[str, Any]) -> Store | ErrorRecord:
    password = _password(host, parameters)
    if password is None:
        return _error(f"The password must have {SHORTEST} to {LONGEST} characters.")
    path = _file(host, parameters["Path"])
    if path is None:
        return _error(f"There is no migration store in {parameters['Path']}.")
    found = _open(disk.read(host, path) or b"", password)
    return found if found is not None else _error("The migration store cannot be decrypted with this password.")


# Cmdlets


@migration.cmdlet("Export-SmigServerSetting", available=has_tools)
def export(host: Host, parameters: dict[str, Any], items: list[Any]) -> Iterator[Any]:
    folder, password = parameters["Path"], _password(host, parameters)
    if password is None:
        yield _error(f"The password must have {SHORTEST} to {LONGEST} characters.")
        return
    if len(folder) > LONGEST_PATH or not disk.is_folder(host, folder):
        yield _error(f"The path {folder} is not valid.")
        return
    if _file(host, folder) is not None:
        yield _error(f"A migration store exists in {folder}.")
        return
    yield VerboseMessage("Exporting settings")
    yield from _takes(host, "export")
    wanted = [each.upper() for each in parameters.get("FeatureId", ())]
    server, problem = server_of(host), host.state(Migration).failures.get("export")
    if "DHCP" in wanted and (server is None or problem is not None or not _stopped(host)):
        yield _failed(host, "DHCP", problem or "The DHCP Server service is running or not installed.")
        return
    store = Store(
        host.language,
        server.one("Database")["FileName"] if server is not None else "",
        transfer.content(server) if "DHCP" in wanted and server is not None else None,
        _groups(host) if parameters.get("Group") else None,
        list(host.users) if parameters.get("User") else None,
        list(host.state(Adapters).adapters.values()) if parameters.get("IPConfig") else None,
    )
    name = f"{folder.rstrip(chr(92))}\\{host.switches['migration.file_name']}"
    salt = hashlib.sha256(f"{host.name}{host.now().isoformat()}".encode()).digest()[:16]
    try:
        disk.write(host, name, _seal(store, password, salt))
    except disk.DiskFull as error:
        yield _failed(host, "DHCP", str(error))
        return
    for identifier, part in (("DHCP", store.dhcp), ("Group", store.groups), ("User", store.users)):
        if part is not None:
            yield _result(identifier)
    if store.adapters is not None:
        yield _result("IPConfig")


def _stopped(host: Host) -> bool:
    found = service_of(host)
    return found is not None and found.state == "Stopped"


def _takes(host: Host, operation: str) -> Iterator[Wait]:
    seconds = host.state(Migration).seconds.get(operation, 0)
    if seconds:
        yield Wait(seconds)


def _groups(host: Host) -> dict[str, list[str]]:
    return {each.name: list(each.members) for each in host.state(Accounts).groups.values()}


@migration.cmdlet("Get-SmigServerFeature", available=has_tools)
def get_feature(host: Host, parameters: dict[str, Any], items: list[Any]) -> Iterator[Any]:
    """What a store holds, or without one what could be exported from this server."""
    if "Path" not in parameters:
        if server_of(host) is not None:
            yield _feature()
        return
    found = _load(host, parameters)
    if isinstance(found, ErrorRecord):
        yield found
    elif found.dhcp is not None:
        yield _feature()


def _feature() -> PSObject:
    return PSObject((f"{TYPES}.Feature",), {"Id": "DHCP", "Name": "DHCP Server", "Role": "DHCP"}, text="DHCP")


@migration.cmdlet("Import-SmigServerSetting", available=has_tools)
def import_setting(host: Host, parameters: dict[str, Any], items: list[Any]) -> Iterator[Any]:
    store = _load(host, parameters)
    if isinstance(store, ErrorRecord):
        yield store
        return
    yield VerboseMessage("Importing settings")
    yield from _takes(host, "import")
    if parameters.get("Group") and store.groups is not None:
        yield _import_groups(host, store.groups)
    if "DHCP" in [each.upper() for each in parameters.get("FeatureId", ())]:
        yield _import_dhcp(host, store)
    if parameters.get("IPConfig") and store.adapters is not None:
        yield from _import_addresses(host, parameters, store.adapters)


def _import_groups(host: Host, groups: dict[str, list[str]]) -> PSObject:
    """Groups that exist are warned of: the normal case from domain controller to domain controller."""
    state, warnings = host.state(Accounts), []
    for name, members in groups.items():
        if name.lower() in state.groups:
            warnings.append(_detail("Warning", f"The group {name} already exists.", 2))
        group = state.add_group(host, name)
        if not is_domain_controller(host):
            group.members += [each for each in members if each not in group.members]
    return _result("Group", *warnings)


def _import_dhcp(host: Host, store: Store) -> PSObject | ErrorRecord:
    problem = host.state(Migration).failures.get("import")
    drive = store.database_path[:2].upper()
    if problem is None and store.language != host.language:
        problem = "The source and the destination have different languages."
    if problem is None and drive not in [each.letter for each in host.state(Volumes).volumes]:
        problem = f"The drive {drive} of the database does not exist."
    if problem is None and store.dhcp is None:
        problem = "The store does not hold DHCP."
    if problem is not None or store.dhcp is None:
        return _failed(host, "DHCP", problem or "")
    if server_of(host) is None:
        # The import installs the role itself, without starting the service.
        set_feature(host, "DHCP", there=True)
        installed = service_of(host)
        assert installed is not None
        installed.state, installed.due = "Stopped", None
    server = host.state(Server)
    if not _stopped(host):
        return _failed(host, "DHCP", "The DHCP Server service is running.")
    invariants.importing(host)
    if host.switches["dhcp.import_failover"] == "absent":
        store.dhcp.records["v4Failover"] = []
    transfer.put(host, server, store.dhcp, overwrite=True, everything=True)
    server.imported = True
    if host.state(Migration).restart_after_import:
        host.state(RegistryState).make(REBOOT_PENDING)
        host.state(Migration).restart_after_import = False
        return _result(
            "DHCP", _detail("Warning", "The computer must be restarted; then run the import with -Force.", 3)
        )
    return _result("DHCP")


def _import_addresses(host: Host, parameters: dict[str, Any], sources: list[Adapter]) -> Iterator[Any]:
    """Each adapter gets the addresses of the one it is mapped to; the session goes with the address it runs on."""
    pairs = zip(
        parameters.get("SourcePhysicalAddress") or (), parameters.get("TargetPhysicalAddress") or (), strict=False
    )
    for old, new in pairs:
        source = next((each for each in sources if _plain(each.mac) == _plain(old)), None)
        target = next(
            (each for each in host.state(Adapters).adapters.values() if _plain(each.mac) == _plain(new)), None
        )
        if source is None or target is None:
            yield _failed(host, "IPConfig", f"There is no adapter {old if source is None else new}.")
            return
        if _give(host, source, target) and host.switches["migration.session_lost"] == "ends":
            return
    yield _result("IPConfig")


def _give(host: Host, source: Adapter, target: Adapter) -> bool:
    def change() -> None:
        target.addresses, target.masks = list(source.addresses), dict(source.masks)
        target.gateways, target.dns, target.wins = list(source.gateways), list(source.dns), list(source.wins)
        target.suffix, target.dhcp = source.suffix, source.dhcp

    return readdress(host, change)


def _plain(mac: str) -> str:
    return "".join(character for character in mac if character.isalnum()).upper()
