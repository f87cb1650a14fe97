# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a runspace has of its own: which cmdlets can be called in it, and PowerShell's cmdlets for any object."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .. import cmdlets
from ..providers import EnumValue, ErrorRecord, PSObject, providers
from . import objects

if TYPE_CHECKING:
    from ..host import Host

DEFAULT_CONFIGURATION = "Microsoft.PowerShell"

# A session configuration that offers one module alone, and that module alone offers: Exchange's.
CONFIGURATIONS = {"Microsoft.Exchange": "ExchangePowerShell"}

# Snap-ins, whose cmdlets a runspace has only after Add-PSSnapin, and the module that documents them.
SNAPINS = {
    "Microsoft.DataProtectionManager.PowerShell": "Microsoft.DataProtectionManager.PowerShell",
    "Microsoft.SharePoint.PowerShell": "SharePointServer",
    "Microsoft.Windows.ServerManager.Migration": "Microsoft.Windows.ServerManager.Migration",
}


@dataclass
class Runspace:
    """The session state of one runspace pool."""

    host: Host
    configuration: str = DEFAULT_CONFIGURATION
    snapins: set[str] = field(default_factory=set)

    @property
    def release(self) -> int:
        return cmdlets.docset(self.host.build)

    def installed(self, cmdlet: cmdlets.Cmdlet) -> bool:
        """Is the module of the cmdlet on this host?"""
        return cmdlets.exists(cmdlet, self.release) and (
            cmdlet.name.lower() in STREAMS or providers.cmdlet(self.host, cmdlet.name) is not None
        )

    def offers(self, cmdlet: cmdlets.Cmdlet) -> bool:
        """Can the cmdlet be called here and now?"""
        only = CONFIGURATIONS.get(self.configuration)
        if only is not None or cmdlet.module in CONFIGURATIONS.values():
            return cmdlet.module == only and self.installed(cmdlet)
        snapin = next((name for name, module in SNAPINS.items() if module == cmdlet.module), None)
        return (snapin is None or snapin in self.snapins) and self.installed(cmdlet)

    def module_installed(self, module: str) -> bool:
        # A cmdlet that several modules document says nothing about any one of them.
        own = [cmdlet for cmdlet in cmdlets.of_module(module) if len(cmdlets.contract()[cmdlet.name.lower()]) == 1]
        return any(self.installed(cmdlet) for cmdlet in own or cmdlets.of_module(module))


def configured(host: Host, configuration: str) -> str | None:
    """The session configuration by that name, spelled as registered; None if the host has none such."""
    for name, module in ((DEFAULT_CONFIGURATION, None), *CONFIGURATIONS.items()):
        if name.lower() == configuration.lower():
            return name if module is None or Runspace(host).module_installed(module) else None
    return None


# (runspace, bound parameters, pipeline input) -> output; records are ErrorRecord objects among it.
Stream = Callable[[Runspace, Mapping[str, Any], Iterator[Any]], Iterator[Any]]


def where_object(runspace: Runspace, parameters: Mapping[str, Any], items: Iterator[Any]) -> Iterator[Any]:
    """Where-Object in its comparison form."""
    operator = next((name for name in _COMPARISONS if parameters.get(name) or parameters.get(f"C{name}")), None)
    exact = operator is not None and bool(parameters.get(f"C{operator}"))
    for item in items:
        left = objects.properties(item).get(str(parameters["Property"]).lower())
        if operator is None:
            matches = bool(left) if "Value" not in parameters else _equal(left, parameters["Value"], exact)
        else:
            matches = _COMPARISONS[operator](left, parameters.get("Value"), exact)
        if matches:
            yield item


def _equal(left: Any, right: Any, exact: bool) -> bool:
    if isinstance(left, EnumValue):
        return objects.text(right).lower() in (left.name.lower(), str(left.value))
    if left is None or right is None:
        return left is right
    if isinstance(left, bool):
        return left == (right if isinstance(right, bool) else bool(right))
    if isinstance(left, (int, float)):
        try:
            return left == float(objects.text(right))
        except ValueError:
            return False
    first, second = objects.text(left), objects.text(right)
    return first == second if exact else first.lower() == second.lower()


def _order(left: Any, right: Any, exact: bool) -> int:
    """-1, 0 or 1, as the type of the left side compares; null is less than everything."""
    if left is None or right is None:
        return (left is not None) - (right is not None)
    if isinstance(left, (int, float)):
        try:
            other = float(objects.text(right))
        except ValueError:
            return -1
        return (left > other) - (left < other)
    first, second = objects.text(left), objects.text(right)
    if not exact:
        first, second = first.lower(), second.lower()
    return (first > second) - (first < second)


def _like(left: Any, right: Any, exact: bool) -> bool:
    first, pattern = objects.text(left), objects.text(right)
    return fnmatch.fnmatchcase(first if exact else first.lower(), pattern if exact else pattern.lower())


def _match(left: Any, right: Any, exact: bool) -> bool:
    return re.search(objects.text(right), objects.text(left), 0 if exact else re.IGNORECASE) is not None


def _among(one: Any, many: Any, exact: bool) -> bool:
    return any(_equal(entry, one, exact) for entry in (many if isinstance(many, list) else [many]))


_COMPARISONS: dict[str, Callable[[Any, Any, bool], bool]] = {
    "EQ": _equal,
    "NE": lambda left, right, exact: not _equal(left, right, exact),
    "GT": lambda left, right, exact: _order(left, right, exact) > 0,
    "GE": lambda left, right, exact: _order(left, right, exact) >= 0,
    "LT": lambda left, right, exact: _order(left, right, exact) < 0,
    "LE": lambda left, right, exact: _order(left, right, exact) <= 0,
    "Like": _like,
    "NotLike": lambda left, right, exact: not _like(left, right, exact),
    "Match": _match,
    "NotMatch": lambda left, right, exact: not _match(left, right, exact),
    "Contains": lambda left, right, exact: _among(right, left, exact),
    "NotContains": lambda left, right, exact: not _among(right, left, exact),
    "In": _among,
    "NotIn": lambda left, right, exact: not _among(left, right, exact),
}


def select_object(runspace: Runspace, parameters: Mapping[str, Any], items: Iterator[Any]) -> Iterator[Any]:
    """Select-Object: part of the objects, part of their properties, or what one property holds."""
    seen: set[str] = set()
    for item in _slice(parameters, items):
        for selected in _selected(parameters, item):
            key = repr(selected)
            if isinstance(selected, ErrorRecord) or not parameters.get("Unique") or key not in seen:
                seen.add(key)
                yield selected


def _slice(parameters: Mapping[str, Any], items: Iterator[Any]) -> Iterator[Any]:
    chosen = list(items)
    if "Index" in parameters:
        return (chosen[index] for index in parameters["Index"] if 0 <= index < len(chosen))
    skip = parameters.get("Skip", 0)
    if "Last" in parameters:
        end = len(chosen) - skip
        return iter(chosen[max(0, end - parameters["Last"]) : max(0, end)])
    if "SkipLast" in parameters:
        return iter(chosen[: max(0, len(chosen) - parameters["SkipLast"])])
    return iter(chosen[skip : skip + parameters["First"]] if "First" in parameters else chosen[skip:])


def _selected(parameters: Mapping[str, Any], item: Any) -> Iterator[Any]:
    own = objects.members(item)
    if "ExpandProperty" in parameters:
        name = str(parameters["ExpandProperty"])
        if name.lower() not in objects.properties(item):
            yield ErrorRecord(
                f'Property "{name}" cannot be found.',
                "ExpandPropertyNotFound",
                5,
                ("System.Management.Automation.PSArgumentException", "System.ArgumentException"),
                target=item,
            )
            return
        value = objects.properties(item)[name.lower()]
        # With -Property as well, what is expanded gets those properties of the whole as notes.
        notes = {} if "Property" not in parameters else _chosen(parameters, own)
        for each in value if isinstance(value, list) else [value]:
            yield replace(each, notes={**each.notes, **notes}) if notes and isinstance(each, PSObject) else each
        return
    if "Property" not in parameters:
        yield item
        return
    notes = _chosen(parameters, own)
    excluded = [str(name).lower() for name in parameters.get("ExcludeProperty", [])]
    kept = {
        name: value
        for name, value in notes.items()
        if not any(fnmatch.fnmatchcase(name.lower(), pattern) for pattern in excluded)
    }
    first = next(iter(objects.type_names(item)), "System.String" if isinstance(item, str) else "System.Object")
    yield PSObject((f"Selected.{first}", objects.CUSTOM_OBJECT), notes=kept)


def _chosen(parameters: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    notes: dict[str, Any] = {}
    for wanted in (str(name) for name in parameters["Property"]):
        found = [name for name in own if fnmatch.fnmatchcase(name.lower(), wanted.lower())]
        if not found and not any(character in wanted for character in "*?["):
            notes[wanted] = None
        notes.update({name: own[name] for name in found})
    return notes


def foreach_object(runspace: Runspace, parameters: Mapping[str, Any], items: Iterator[Any]) -> Iterator[Any]:
    """ForEach-Object with a property's name; methods and script blocks cannot be had in a no-language session."""
    for item in items:
        value = objects.properties(item).get(str(parameters["MemberName"]).lower())
        yield from value if isinstance(value, list) else [value]


def get_command(runspace: Runspace, parameters: Mapping[str, Any], items: Iterator[Any]) -> Iterator[Any]:
    """Get-Command: the documented cmdlets that can be called here."""
    modules = [str(name).lower() for name in parameters.get("Module", [])]
    for name in (str(name) for name in parameters.get("Name", ["*"])):
        found = [
            cmdlet
            for entries in cmdlets.contract().values()
            for cmdlet in entries
            if fnmatch.fnmatchcase(cmdlet.name.lower(), name.lower())
            and (not modules or cmdlet.module.lower() in modules)
            and runspace.offers(cmdlet)
        ]
        if not found and not _is_pattern(name):
            yield ErrorRecord(
                cmdlets.not_recognized(name),
                "CommandNotFoundException",
                13,
                ("System.Management.Automation.CommandNotFoundException",),
                target=name,
            )
        yield from (_command_info(cmdlet) for cmdlet in found)


def _is_pattern(name: str) -> bool:
    return any(character in name for character in "*?[")


def _command_info(cmdlet: cmdlets.Cmdlet) -> PSObject:
    kind, number = ("Function", 2) if cmdlet.is_function else ("Cmdlet", 8)
    return PSObject(
        (f"System.Management.Automation.{kind}Info", "System.Management.Automation.CommandInfo"),
        {
            "Name": cmdlet.name,
            "CommandType": EnumValue("System.Management.Automation.CommandTypes", kind, number),
            "ModuleName": cmdlet.module,
        },
        text=cmdlet.name,
    )


def get_module(runspace: Runspace, parameters: Mapping[str, Any], items: Iterator[Any]) -> Iterator[Any]:
    """Get-Module -ListAvailable; a fresh runspace has loaded none."""
    if not parameters.get("ListAvailable"):
        return
    patterns = [str(name).lower() for name in parameters.get("Name", ["*"])]
    names = sorted({cmdlet.module for entries in cmdlets.contract().values() for cmdlet in entries})
    for name in names:
        matches = any(fnmatch.fnmatchcase(name.lower(), pattern) for pattern in patterns)
        if matches and name not in SNAPINS.values() and runspace.module_installed(name):
            yield PSObject(("System.Management.Automation.PSModuleInfo",), {"Name": name}, text=name)


def import_module(runspace: Runspace, parameters: Mapping[str, Any], items: Iterator[Any]) -> Iterator[Any]:
    """Import-Module by name: nothing to do for a module that is here (it loads by itself), an error for any other."""
    for name in (str(name) for name in parameters.get("Name", [])):
        if not runspace.module_installed(name) or name in SNAPINS.values():
            yield ErrorRecord(
                f"The specified module '{name}' was not loaded because no valid module file was found in any module "
                "directory.",
                "Modules_ModuleNotFound",
                21,
                ("System.IO.FileNotFoundException", "System.IO.IOException", "System.SystemException"),
                target=name,
            )


def add_pssnapin(runspace: Runspace, parameters: Mapping[str, Any], items: Iterator[Any]) -> Iterator[Any]:
    """Add-PSSnapin: from now on the runspace has the snap-in's cmdlets."""
    for name in (str(name) for name in parameters.get("Name", [])):
        known = next((snapin for snapin in _registered(runspace) if snapin.lower() == name.lower()), None)
        if known is None:
            yield ErrorRecord(
                f"The Windows PowerShell snap-in '{name}' is not installed on this computer.",
                "AddPSSnapInRead",
                5,
                ("System.Management.Automation.PSArgumentException", "System.ArgumentException"),
                target=name,
            )
        else:
            runspace.snapins.add(known)
            if parameters.get("PassThru"):
                yield _snapin_info(known)


def get_pssnapin(runspace: Runspace, parameters: Mapping[str, Any], items: Iterator[Any]) -> Iterator[Any]:
    """Get-PSSnapin: the added snap-ins, or with -Registered those that can be added."""
    shown = _registered(runspace) if parameters.get("Registered") else sorted(runspace.snapins)
    patterns = [str(name).lower() for name in parameters.get("Name", ["*"])]
    for pattern in patterns:
        found = [name for name in shown if fnmatch.fnmatchcase(name.lower(), pattern)]
        yield from (_snapin_info(name) for name in found)
        if not found and not _is_pattern(pattern):
            yield ErrorRecord(
                f"No Windows PowerShell snap-ins matching the pattern '{pattern}' were found. Check the pattern and "
                "then try the command again.",
                "NoPSSnapInsFound",
                5,
                ("System.Management.Automation.PSArgumentException", "System.ArgumentException"),
                target=pattern,
            )


def _registered(runspace: Runspace) -> list[str]:
    return [name for name, module in SNAPINS.items() if runspace.module_installed(module)]


def _snapin_info(name: str) -> PSObject:
    return PSObject(("System.Management.Automation.PSSnapInInfo",), {"Name": name, "IsDefault": False}, text=name)


STREAMS: dict[str, Stream] = {
    "add-pssnapin": add_pssnapin,
    "foreach-object": foreach_object,
    "get-command": get_command,
    "get-module": get_module,
    "get-pssnapin": get_pssnapin,
    "import-module": import_module,
    "select-object": select_object,
    "where-object": where_object,
}
