# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The cmdlets Windows documents: which a release has, what they take, how PowerShell binds a typed command to them.

The schema is `tests/contract/data/cmdlets.json`. Binding follows about_Parameters, about_Parameter_Sets and
about_Parameter_Binding: named parameters (alias or unambiguous prefix), then positions, then one parameter set, then
each pipeline object, first without and then with conversion. What cannot be bound is refused with the error record of
Windows PowerShell 5.1.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import ipaddress
import json
import pathlib
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence

from .psrp import objects
from .psrp.objects import Credential, PSObject, Secret

DATA = pathlib.Path(__file__).parent / "contract" / "cmdlets.json"
ALL_SETS = "__AllParameterSets"
OLDEST_DOCUMENTED = 2016
DOCSETS = ((26100, 2025), (20348, 2022), (17763, 2019), (14393, 2016), (9200, 2012), (0, 2008))

# Modules that came later than Windows Server 2008 R2, the first with remote PowerShell.
SINCE = {
    "CimCmdlets": 2012,
    "DISM": 2012,
    "Defender": 2016,
    "DhcpServer": 2012,
    "DnsClient": 2012,
    "DnsServer": 2012,
    "ADDSDeployment": 2012,
    "Hyper-V": 2012,
    "Microsoft.PowerShell.LocalAccounts": 2016,
    "NetAdapter": 2012,
    "NetSecurity": 2012,
    "NetTCPIP": 2012,
    "ScheduledTasks": 2012,
}

# The contract's README: a gap in the docs, the module is older than the docsets that have it.
OLDER_THAN_ITS_DOCS = frozenset({"ServerManager"})

# Modules made of functions generated from CDXML or script: PowerShell names the function in error ids, and a value that
# does not convert is an argument transformation error there.
FUNCTION_MODULES = frozenset(
    {
        "Defender",
        "DhcpServer",
        "DnsClient",
        "DnsServer",
        "NetAdapter",
        "NetSecurity",
        "NetTCPIP",
        "ScheduledTasks",
        "ServerManager",
    }
)

# about_CommonParameters, with their aliases.
COMMON = {
    "Debug": ("SwitchParameter", "db"),
    "ErrorAction": ("ActionPreference", "ea"),
    "ErrorVariable": ("String", "ev"),
    "InformationAction": ("ActionPreference", "infa"),
    "InformationVariable": ("String", "iv"),
    "OutBuffer": ("Int32", "ob"),
    "OutVariable": ("String", "ov"),
    "PipelineVariable": ("String", "pv"),
    "Verbose": ("SwitchParameter", "vb"),
    "WarningAction": ("ActionPreference", "wa"),
    "WarningVariable": ("String", "wv"),
}
ACTION_PREFERENCES = ("SilentlyContinue", "Stop", "Continue", "Inquire", "Ignore", "Suspend")

INTEGERS = {
    "Byte": (0, 2**8 - 1),
    "SByte": (-(2**7), 2**7 - 1),
    "Int16": (-(2**15), 2**15 - 1),
    "UInt16": (0, 2**16 - 1),
    "Int32": (-(2**31), 2**31 - 1),
    "UInt32": (0, 2**32 - 1),
    "Int64": (-(2**63), 2**63 - 1),
    "UInt64": (0, 2**64 - 1),
}
FLOATS = frozenset({"Single", "Double", "Decimal"})
ANYTHING = frozenset({"Object", "PSObject"})
LISTS = {"StringCollection": "String"}


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One documented parameter. `mandatory_in` holds set names or "*"; `position` counts from 0."""

    name: str
    type: str
    mandatory_in: frozenset[str]
    position: int | None
    by_value: bool
    by_property: bool
    aliases: tuple[str, ...]
    values: tuple[str, ...]
    releases: tuple[int, ...]

    @property
    def is_switch(self) -> bool:
        return self.type == "SwitchParameter"


@dataclasses.dataclass(frozen=True)
class Cmdlet:
    """One documented cmdlet with its parameter sets (name -> parameter names)."""

    name: str
    module: str
    releases: tuple[int, ...]
    sets: Mapping[str, frozenset[str]]
    default_set: str | None
    parameters: Mapping[str, Parameter]

    @property
    def is_function(self) -> bool:
        return self.module in FUNCTION_MODULES

    @property
    def error_source(self) -> str:
        """What follows the comma in a FullyQualifiedErrorId: a function's name, else the class of the cmdlet.

        The documents name the classes of PowerShell's own cmdlets only; the others are told by their cmdlet's name.
        """
        if self.module.startswith("Microsoft.PowerShell."):
            return f"Microsoft.PowerShell.Commands.{self.name.replace('-', '')}Command"
        return self.name

    def sets_of(self, parameter: str) -> frozenset[str]:
        """The sets a parameter belongs to; one that no syntax line shows, and a common one, belongs to all."""
        named = frozenset(name for name, members in self.sets.items() if parameter in members)
        return named or frozenset(self.sets)

    def mandatory(self, parameter: Parameter, parameter_set: str) -> bool:
        return "*" in parameter.mandatory_in or parameter_set in parameter.mandatory_in


class BindingError(Exception):
    """A command that PowerShell refuses before it runs: the parts of its error record."""

    def __init__(
        self, exception: str, identifier: str, category: str, message: str, command: str, target: str | None = None
    ) -> None:
        super().__init__(message)
        self.exception = exception
        self.identifier = identifier
        self.category = category
        self.command = command
        self.target = target


class NotConvertibleError(Exception):
    """A value that does not become the wanted type; the text says why, as .NET would."""


@functools.cache
def contract() -> Mapping[str, tuple[Cmdlet, ...]]:
    """Every documented cmdlet by lower-case name; a name may stand in several modules."""
    found: dict[str, list[Cmdlet]] = {}
    for module, members in json.loads(DATA.read_text(encoding="utf-8")).items():
        for name, page in members.items():
            found.setdefault(name.lower(), []).append(_cmdlet(module, name, page))
    return {name: tuple(cmdlets) for name, cmdlets in found.items()}


@functools.cache
def of_module(module: str) -> tuple[Cmdlet, ...]:
    """The documented cmdlets of a module, whatever the case of its name."""
    return tuple(
        cmdlet for entries in contract().values() for cmdlet in entries if cmdlet.module.lower() == module.lower()
    )


def _cmdlet(module: str, name: str, page: Mapping[str, object]) -> Cmdlet:
    releases = page["os"]
    sets = page["parameter_sets"]
    parameters = page["parameters"]
    default = page.get("default_set")
    assert isinstance(releases, list)
    assert isinstance(sets, dict)
    assert isinstance(parameters, dict)
    merged, marked = _merge_providers(sets)
    return Cmdlet(
        name=name,
        module=module,
        releases=tuple(int(release) for release in releases),
        sets=merged or {ALL_SETS: frozenset(parameters)},
        default_set=str(default) if default else marked,
        parameters={
            key: _parameter(key, {**entry, "mandatory_in": []} if key in _dynamic(sets) else entry)
            for key, entry in parameters.items()
            if key not in COMMON
        },
    )


def _dynamic(sets: Mapping[str, list[str]]) -> frozenset[str]:
    """The parameters that a PowerShell provider adds: they are there, and demanded, for paths of that provider only."""
    everywhere = [members for shown, members in sets.items() if shown.endswith(" - All providers")]
    if not everywhere:
        return frozenset()
    return frozenset().union(*map(frozenset, sets.values())) - frozenset().union(*map(frozenset, everywhere))


def _merge_providers(sets: Mapping[str, list[str]]) -> tuple[dict[str, frozenset[str]], str | None]:
    """The sets under their real names, and the one marked as default.

    The pages of the item cmdlets show each set once per PowerShell provider: `Path (Default) - FileSystem provider`.
    """
    merged: dict[str, frozenset[str]] = {}
    default = None
    for shown, members in sets.items():
        marked = re.sub(r" - \w+ providers?$", "", shown)
        name = marked.removesuffix(" (Default)")
        default = name if name != marked else default
        merged[name] = merged.get(name, frozenset()) | frozenset(members)
    return merged, default


def _parameter(name: str, entry: Mapping[str, object]) -> Parameter:
    def strings(key: str) -> tuple[str, ...]:
        values = entry.get(key) or []
        assert isinstance(values, list)
        return tuple(str(value) for value in values)

    position = entry.get("position")
    pipeline = strings("pipeline")
    return Parameter(
        name=name,
        type=short_type(str(entry.get("type") or "Object")),
        mandatory_in=frozenset(strings("mandatory_in")),
        position=position if isinstance(position, int) else None,
        # Exchange's pages say that a parameter takes pipeline input, not which way: both are tried.
        by_value="ByValue" in pipeline or "unspecified" in pipeline,
        by_property="ByPropertyName" in pipeline or "unspecified" in pipeline,
        aliases=strings("aliases"),
        values=strings("values"),
        releases=tuple(int(release) for release in strings("os")),
    )


def short_type(name: str) -> str:
    """`System.Security.SecureString` -> `SecureString`; arrays keep their brackets."""
    return name.rsplit(".", 1)[-1]


def documented(releases: Sequence[int], release: int) -> bool:
    """Is something with these docsets on a release? Releases older than the oldest docset count as that one."""
    return not releases or max(release, OLDEST_DOCUMENTED) in releases


def exists(cmdlet: Cmdlet, release: int) -> bool:
    """Does Windows Server `release` (a year; 2008 R2 counts as 2008) have the cmdlet, if its module is installed?"""
    if release < SINCE.get(cmdlet.module, 0):
        return False
    return cmdlet.module in OLDER_THAN_ITS_DOCS or documented(cmdlet.releases, release)


def docset(build: int) -> int:
    """The year of the docset for a build; 2008 stands for 2008 R2, an annual release has that of the one before it."""
    return next(year for first, year in DOCSETS if build >= first)


def find(name: str, release: int, present: Callable[[Cmdlet], bool]) -> Cmdlet:
    """The cmdlet of that name (`Module\\Name` too) if it is `present`, else CommandNotFoundException."""
    module, _, plain = name.rpartition("\\")
    for cmdlet in contract().get(plain.lower(), ()):
        if module and cmdlet.module.lower() != module.lower():
            continue
        if exists(cmdlet, release) and present(cmdlet):
            return cmdlet
    raise BindingError(
        "System.Management.Automation.CommandNotFoundException",
        "CommandNotFoundException",
        "ObjectNotFound",
        not_recognized(name),
        command=name,
        target=name,
    )


def not_recognized(name: str) -> str:
    return (
        f"The term '{name}' is not recognized as the name of a cmdlet, function, script file, or operable program. "
        "Check the spelling of the name, or if a path was included, verify that the path is correct and try again."
    )


@dataclasses.dataclass(frozen=True)
class Common:
    """What the common parameters ask for; an action is one of ACTION_PREFERENCES in lower case."""

    error_action: str = "continue"
    warning_action: str = "continue"
    verbose: bool = False
    debug: bool = False
    what_if: bool = False
    confirm: bool = False


@dataclasses.dataclass(frozen=True)
class Binding:
    """A command whose own arguments are bound; `sets` are those still possible: one, unless pipeline input decides."""

    cmdlet: Cmdlet
    parameters: Mapping[str, object]
    sets: frozenset[str]
    common: Common
    release: int

    def with_input(self, item: object) -> dict[str, object]:
        """All parameters for one pipeline object, or BindingError (which PowerShell reports and goes on)."""
        return _bind_input(self, item)


def bind(cmdlet: Cmdlet, release: int, arguments: Sequence[tuple[str | None, object]], expects_input: bool) -> Binding:
    """Bind (name or None, value) pairs as the engine does. Raises BindingError."""
    bound: dict[str, object] = {}
    common: dict[str, object] = {}
    positional: list[object] = []
    for name, value in arguments:
        if name is None:
            positional.append(value)
            continue
        parameter = _resolve(cmdlet, release, name)
        target = common if parameter.name in COMMON else bound
        if parameter.name in target:
            raise _error(
                cmdlet,
                "ParameterBindingException",
                "ParameterAlreadyBound",
                f"Cannot bind parameter because parameter '{parameter.name}' is specified more than once. To provide "
                "multiple values to parameters that can accept multiple values, use the array syntax.",
                parameter.name,
            )
        target[parameter.name] = _argument(cmdlet, parameter, value)
    sets = _possible_sets(cmdlet, bound)
    for value in positional:
        name, converted = _bind_position(cmdlet, release, value, bound, sets)
        bound[name] = converted
        sets = _possible_sets(cmdlet, bound)
    sets = _choose_set(cmdlet, release, bound, sets, expects_input)
    return Binding(cmdlet, bound, sets, _common(common, bound), release)


def _error(cmdlet: Cmdlet, exception: str, identifier: str, message: str, target: str | None = None) -> BindingError:
    category = "InvalidArgument" if exception == "ParameterBindingException" else "InvalidData"
    return BindingError(
        f"System.Management.Automation.{exception}",
        f"{identifier},{cmdlet.error_source}",
        category,
        message,
        command=cmdlet.name,
        target=target,
    )


def _available(cmdlet: Cmdlet, release: int) -> dict[str, Parameter]:
    return {name: entry for name, entry in cmdlet.parameters.items() if documented(entry.releases, release)}


@functools.cache
def _common_parameters() -> Mapping[str, Parameter]:
    return {
        name: Parameter(
            name,
            kind,
            frozenset(),
            None,
            by_value=False,
            by_property=False,
            aliases=(alias,),
            values=ACTION_PREFERENCES if kind == "ActionPreference" else (),
            releases=(),
        )
        for name, (kind, alias) in COMMON.items()
    }


def _resolve(cmdlet: Cmdlet, release: int, given: str) -> Parameter:
    wanted = given.lstrip("-").rstrip(":").lower()
    own = _available(cmdlet, release)
    everything = {**_common_parameters(), **own}
    for parameter in everything.values():
        if wanted in (parameter.name.lower(), *(alias.lower() for alias in parameter.aliases)):
            return parameter
    matches = [
        parameter
        for parameter in everything.values()
        if any(name.lower().startswith(wanted) for name in (parameter.name, *parameter.aliases))
    ]
    if len(matches) > 1:
        matches = [match for match in matches if match.name in own] or matches
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise _error(
            cmdlet,
            "ParameterBindingException",
            "NamedParameterNotFound",
            f"A parameter cannot be found that matches parameter name '{given}'.",
            given,
        )
    names = " ".join(f"-{match.name}" for match in matches)
    raise _error(
        cmdlet,
        "ParameterBindingException",
        "AmbiguousParameter",
        f"Parameter cannot be processed because the parameter name '{given}' is ambiguous. "
        f"Possible matches include: {names}.",
        given,
    )


def _possible_sets(cmdlet: Cmdlet, bound: Iterable[str]) -> frozenset[str]:
    possible = frozenset(cmdlet.sets)
    for name in bound:
        possible &= cmdlet.sets_of(name)
    if not possible:
        raise _ambiguous(cmdlet)
    return possible


def _ambiguous(cmdlet: Cmdlet) -> BindingError:
    return _error(
        cmdlet,
        "ParameterBindingException",
        "AmbiguousParameterSet",
        "Parameter set cannot be resolved using the specified named parameters.",
    )


def _bind_position(
    cmdlet: Cmdlet, release: int, value: object, bound: Mapping[str, object], sets: frozenset[str]
) -> tuple[str, object]:
    def rank(parameter: Parameter) -> tuple[int, bool]:
        assert parameter.position is not None
        return parameter.position, cmdlet.default_set not in cmdlet.sets_of(parameter.name)

    candidates = sorted(
        (
            parameter
            for parameter in _available(cmdlet, release).values()
            if parameter.position is not None and parameter.name not in bound and sets & cmdlet.sets_of(parameter.name)
        ),
        key=rank,
    )
    first = [parameter for parameter in candidates if parameter.position == candidates[0].position]
    for parameter in first:
        if is_exactly(parameter.type, value):
            return parameter.name, _argument(cmdlet, parameter, value)
    for parameter in first[:-1]:
        try:
            return parameter.name, _argument(cmdlet, parameter, value)
        except BindingError:
            continue
    if first:
        return first[-1].name, _argument(cmdlet, first[-1], value)
    raise _error(
        cmdlet,
        "ParameterBindingException",
        "PositionalParameterNotFound",
        f"A positional parameter cannot be found that accepts argument '{objects.text(value)}'.",
    )


def _choose_set(
    cmdlet: Cmdlet, release: int, bound: Mapping[str, object], sets: frozenset[str], expects_input: bool
) -> frozenset[str]:
    """The sets that can still win. With pipeline input to come, several may stay; without, exactly one."""
    missing = {name: _missing(cmdlet, release, bound, name, expects_input) for name in sets}
    complete = frozenset(name for name, names in missing.items() if not names)
    if not complete:
        worst = (
            cmdlet.default_set if cmdlet.default_set in missing else min(missing, key=lambda name: len(missing[name]))
        )
        raise _error(
            cmdlet,
            "ParameterBindingException",
            "MissingMandatoryParameter",
            f"Cannot process command because of one or more missing mandatory parameters: {' '.join(missing[worst])}.",
        )
    if expects_input or len(complete) == 1:
        return complete
    if cmdlet.default_set in complete:
        return frozenset({cmdlet.default_set})
    # The default set cannot be meant: then the one whose mandatory parameters were given.
    decided = frozenset(
        name for name in complete if any(cmdlet.mandatory(cmdlet.parameters[given], name) for given in bound)
    )
    if len(decided) == 1:
        return decided
    if cmdlet.default_set is None:
        # The page names no default set (Exchange's do not); there is one, so nothing is refused on its account.
        return complete
    raise _ambiguous(cmdlet)


def _missing(
    cmdlet: Cmdlet, release: int, bound: Mapping[str, object], parameter_set: str, expects_input: bool
) -> list[str]:
    return [
        parameter.name
        for parameter in _available(cmdlet, release).values()
        if parameter_set in cmdlet.sets_of(parameter.name)
        and cmdlet.mandatory(parameter, parameter_set)
        and parameter.name not in bound
        and not (expects_input and (parameter.by_value or parameter.by_property))
    ]


def _common(common: Mapping[str, object], bound: dict[str, object]) -> Common:
    """Read the common parameters; WhatIf and Confirm are documented per cmdlet but mean the same everywhere."""
    return Common(
        error_action=str(common.get("ErrorAction", "continue")).lower(),
        warning_action=str(common.get("WarningAction", "continue")).lower(),
        verbose=common.get("Verbose") is True,
        debug=common.get("Debug") is True,
        what_if=bound.pop("WhatIf", None) is True,
        confirm=bound.pop("Confirm", None) is True,
    )


def _bind_input(binding: Binding, item: object) -> dict[str, object]:
    """One pipeline object: by value and by property name without conversion, then both with it."""
    cmdlet = binding.cmdlet
    bound = dict(binding.parameters)
    sets = binding.sets
    given = objects.properties(item)
    for exact in (True, False):
        for by_value in (True, False):
            for parameter in _available(cmdlet, binding.release).values():
                if parameter.name in bound or not sets & cmdlet.sets_of(parameter.name):
                    continue
                if not (parameter.by_value if by_value else parameter.by_property):
                    continue
                if by_value:
                    value: object = item
                else:
                    name = next((name for name in (parameter.name, *parameter.aliases) if name.lower() in given), None)
                    if name is None:
                        continue
                    value = given[name.lower()]
                if exact and not is_exactly(parameter.type, value):
                    continue
                try:
                    bound[parameter.name] = _argument(cmdlet, parameter, value)
                except BindingError:
                    continue
                sets &= cmdlet.sets_of(parameter.name)
    if len(bound) == len(binding.parameters):
        raise _error(
            cmdlet,
            "ParameterBindingException",
            "InputObjectNotBound",
            "The input object cannot be bound to any parameters for the command either because the command does not "
            "take pipeline input or the input and its properties do not match any of the parameters that take pipeline "
            "input.",
            objects.text(item),
        )
    _choose_set(cmdlet, binding.release, bound, sets, expects_input=False)
    return bound


def _argument(cmdlet: Cmdlet, parameter: Parameter, value: object) -> object:
    """A value converted to its parameter's type and checked against the accepted values."""
    if value is None and not parameter.is_switch:
        raise _error(
            cmdlet,
            "ParameterBindingException",
            "MissingArgument",
            f"Missing an argument for parameter '{parameter.name}'. Specify a parameter of type '{parameter.type}' and "
            "try again.",
            parameter.name,
        )
    try:
        converted = convert(parameter.type, value, parameter.values)
    except NotConvertibleError as reason:
        if parameter.values and element_type(parameter.type) == "String":
            raise _error(
                cmdlet,
                "ParameterBindingValidationException",
                "ParameterArgumentValidationError",
                f"Cannot validate argument on parameter '{parameter.name}'. {reason}",
                parameter.name,
            ) from None
        if cmdlet.is_function:
            raise _error(
                cmdlet,
                "ParameterBindingArgumentTransformationException",
                "ParameterArgumentTransformationError",
                f"Cannot process argument transformation on parameter '{parameter.name}'. {reason}",
                parameter.name,
            ) from None
        raise _error(
            cmdlet,
            "ParameterBindingException",
            "CannotConvertArgumentNoMessage",
            f"Cannot bind parameter '{parameter.name}'. {reason}",
            parameter.name,
        ) from None
    empty_text = converted == "" or (isinstance(converted, list) and "" in converted)
    if (empty_text or converted == []) and parameter.mandatory_in:
        what = "string" if empty_text else "array"
        raise _error(
            cmdlet,
            "ParameterBindingValidationException",
            f"ParameterArgumentValidationErrorEmpty{what.title()}NotAllowed",
            f"Cannot bind argument to parameter '{parameter.name}' because it is an empty {what}.",
            parameter.name,
        )
    return converted


def element_type(kind: str) -> str:
    return kind[:-2] if kind.endswith("[]") else LISTS.get(kind, kind)


def is_list(kind: str) -> bool:
    return kind.endswith("[]") or kind in LISTS


def is_exactly(kind: str, value: object) -> bool:
    """Is the value already of that type, so that binding needs no conversion?"""
    element = element_type(kind)
    if is_list(kind) and isinstance(value, list):
        return all(is_exactly(element, entry) for entry in value)
    if kind == "Byte[]":
        return isinstance(value, bytes)
    if element in ANYTHING:
        return True
    if element == "String":
        return isinstance(value, str) and not isinstance(value, Secret)
    if element in ("Boolean", "SwitchParameter"):
        return isinstance(value, bool)
    if element in INTEGERS:
        low, high = INTEGERS[element]
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    plain: dict[str, type] = {
        "DateTime": datetime.datetime,
        "TimeSpan": datetime.timedelta,
        "Guid": uuid.UUID,
        "SecureString": Secret,
        "PSCredential": Credential,
        "Hashtable": dict,
        "IDictionary": dict,
    }
    if element in plain:
        return isinstance(value, plain[element])
    return objects.is_live(value) and _is_a(value, element)


def _is_a(value: object, kind: str) -> bool:
    """Does the type chain of a live object name the type? CIM objects append `#namespace/class` to it."""
    return any(short_type(name.partition("#")[0]) == kind for name in objects.type_names(value))


def convert(kind: str, value: object, accepted: Sequence[str] = ()) -> object:
    """The value as Python's form of a .NET type, by PowerShell's conversions. Raises NotConvertibleError."""
    if kind == "Byte[]" and isinstance(value, bytes):
        return value
    if is_list(kind):
        entries = list(value) if isinstance(value, (list, bytes)) else [value]
        element = element_type(kind)
        converted = [convert(element, entry, accepted) for entry in entries]
        return bytes(entry for entry in converted if isinstance(entry, int)) if kind == "Byte[]" else converted
    if kind in ANYTHING:
        return value
    if accepted and kind != "SwitchParameter" and kind != "Boolean":
        return _accepted(kind, value, accepted)
    if isinstance(value, list):
        raise NotConvertibleError(
            f"Cannot convert 'System.Object[]' to the type '{kind}'. Specified method is not supported."
        )
    converter = _CONVERTERS.get(kind)
    if converter is not None:
        return converter(kind, value)
    if kind in INTEGERS:
        return _integer(kind, value)
    if objects.is_live(value) and _is_a(value, kind):
        return value
    if isinstance(value, (PSObject, dict, Credential, Secret)) or kind in LIVE_TYPES:
        raise _no(kind, value)
    # An enumeration whose names no page lists, or a type with a constructor from text (Uri, Version, an identity).
    return str(value) if isinstance(value, (str, int)) else value


# Types whose values only another cmdlet on the host can make; their text does not convert.
LIVE_TYPES = frozenset(
    {
        "CimInstance",
        "CimSession",
        "Datasource",
        "HardDiskDrive",
        "Node",
        "PSSession",
        "PortRule",
        "ProtectionGroup",
        "ScriptBlock",
        "VMNetworkAdapter",
        "VMNetworkAdapterBase",
        "VMReplication",
        "VMSnapshot",
        "VMSwitch",
        "VirtualMachine",
        "VirtualMachineBase",
    }
)


def _no(kind: str, value: object, why: str = "") -> NotConvertibleError:
    shown = "System.Security.SecureString" if isinstance(value, Secret) else objects.text(value)
    return NotConvertibleError(f'Cannot convert value "{shown}" to type "{kind}".{why}')


def _accepted(kind: str, value: object, accepted: Sequence[str]) -> object:
    """Names of an enumeration or a ValidateSet, whatever their case; flags come as a list or with commas."""
    if isinstance(value, list):
        return ", ".join(str(_accepted(kind, entry, accepted)) for entry in value)
    wanted = objects.text(value).strip()
    names = {name.lower(): name for name in accepted}
    if wanted.lower() in names:
        return names[wanted.lower()]
    if kind == "String":
        raise NotConvertibleError(
            f'The argument "{wanted}" does not belong to the set "{",".join(accepted)}" specified by the ValidateSet '
            "attribute. Supply an argument that is in the set and then try the command again."
        )
    if "," in wanted:
        return ", ".join(str(_accepted(kind, part, accepted)) for part in wanted.split(","))
    if kind == "ActionPreference" and wanted.isdigit() and int(wanted) < len(accepted):
        return accepted[int(wanted)]
    begins = [name for key, name in names.items() if wanted and key.startswith(wanted.lower())]
    if len(begins) == 1:
        return begins[0]
    raise _no(
        kind,
        value,
        f' Error: "Unable to match the identifier name {wanted} to a valid enumerator name. Specify one of the '
        f'following enumerator names and try again: {", ".join(accepted)}"',
    )


def _string(kind: str, value: object) -> str:
    if isinstance(value, (Secret, Credential, dict)):
        raise _no(kind, value)
    return objects.text(value)


def _boolean(kind: str, value: object) -> bool:
    if isinstance(value, (bool, int, float)):
        return bool(value)
    raise _no(
        kind,
        value,
        " Boolean parameters accept only Boolean values and numbers, such as $True, $False, 1 or 0 instead.",
    )


def _switch(kind: str, value: object) -> bool:
    return True if value is None else _boolean(kind, value)


def _integer(kind: str, value: object) -> int:
    low, high = INTEGERS[kind]
    try:
        if isinstance(value, str):
            number = int(value, 16) if re.match(r"0[xX]", value) else int(value.strip())
        elif isinstance(value, (bool, int, float)):
            number = round(value)
        else:
            raise ValueError
    except ValueError:
        raise _no(kind, value, ' Error: "Input string was not in a correct format."') from None
    if not low <= number <= high:
        raise _no(kind, value, f' Error: "Value was either too large or too small for {kind}."')
    return number


def _float(kind: str, value: object) -> float:
    if isinstance(value, (str, int, float)):
        try:
            return float(value)
        except ValueError:
            pass
    raise _no(kind, value)


def _datetime(kind: str, value: object) -> datetime.datetime:
    if isinstance(value, datetime.datetime):
        return value
    if isinstance(value, str):
        for form in ("%m/%d/%Y %H:%M:%S", "%m/%d/%Y"):
            try:
                return datetime.datetime.strptime(value, form)  # noqa: DTZ007 (a DateTime of unspecified kind)
            except ValueError:
                continue
        try:
            return datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            pass
    raise _no(kind, value, ' Error: "String was not recognized as a valid DateTime."')


def _timespan(kind: str, value: object) -> datetime.timedelta:
    if isinstance(value, datetime.timedelta):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return datetime.timedelta(microseconds=value / 10)
    match = re.fullmatch(r"(?:(\d+)\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,7}))?)?", str(value))
    if match is None:
        raise _no(kind, value, ' Error: "String was not recognized as a valid TimeSpan."')
    days, hours, minutes, seconds, fraction = (part or "0" for part in match.groups())
    return datetime.timedelta(
        days=int(days),
        hours=int(hours),
        minutes=int(minutes),
        seconds=int(seconds),
        microseconds=int(fraction.ljust(7, "0")) // 10,
    )


def _guid(kind: str, value: object) -> uuid.UUID:
    if isinstance(value, uuid.UUID):
        return value
    try:
        return uuid.UUID(str(value))
    except ValueError:
        raise _no(kind, value) from None


def _address(kind: str, value: object) -> str:
    """IPAddress: kept as text in its canonical form."""
    try:
        return str(ipaddress.ip_address(str(value)))
    except ValueError:
        raise _no(kind, value, ' Error: "An invalid IP address was specified."') from None


def _secure(kind: str, value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    raise NotConvertibleError(f'Cannot convert the value of type "System.String" to type "System.Security.{kind}".')


def _credential(kind: str, value: object) -> Credential:
    if isinstance(value, Credential):
        return value
    raise _no(kind, value)


def _table(kind: str, value: object) -> dict[object, object]:
    if isinstance(value, dict):
        return value
    raise _no(kind, value)


_CONVERTERS = {
    "String": _string,
    "Char": _string,
    "Boolean": _boolean,
    "SwitchParameter": _switch,
    **dict.fromkeys(FLOATS, _float),
    "DateTime": _datetime,
    "TimeSpan": _timespan,
    "Guid": _guid,
    "IPAddress": _address,
    "SecureString": _secure,
    "PSCredential": _credential,
    "Hashtable": _table,
    "IDictionary": _table,
}
