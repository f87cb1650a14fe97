# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Holds what the code names against the contract: each function gives the problems of one declaration."""

from __future__ import annotations

import functools
import json
import pathlib
from collections.abc import Iterator
from typing import Any

from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.bindings import Binding, CimClass, Method
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.cmdlets import Cmdlet
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.types import CimType
from winsim import schema

DATA = pathlib.Path(__file__).parent / "data"
OLDEST, NEWEST = 6001, 26100

# Properties that are written although the reference calls them read-only, each with the reason.
READ_ONLY_BUT_TRIED = {
    ("MSCluster_Cluster", "ClusSvcHangTimeout"): (
        "UNCONFIRMED: both reference pages say Read-only while other tools set it; a Put of this one property is "
        "refused, ignored or accepted and does no harm in any case; the module reads back and refuses (R10)"
    ),
}


@functools.cache
def cmdlet_contract() -> dict[str, dict[str, Any]]:
    """Cmdlet name to what its documentation says, over all modules."""
    modules = json.loads((DATA / "cmdlets.json").read_text(encoding="utf-8"))
    return {name: {**spec, "module": module} for module, spec_of in modules.items() for name, spec in spec_of.items()}


def problems_of_class(cls: type[CimClass]) -> list[str]:
    """What of a bound class the contract does not have, on any build of Windows."""
    binding = cls.__cim__
    found = [declared for build in (NEWEST, 9200, 7600, OLDEST) if (declared := _find(build, binding)) is not None]
    if not found:
        return [f"{binding.namespace} has no class {binding.wmi}"]
    return [*_properties(binding, found), *_methods(cls, found)]


def _find(build: int, binding: Binding) -> schema.Class | None:
    return schema.load().find(build, binding.namespace, binding.wmi)


def _properties(binding: Binding, found: list[schema.Class]) -> Iterator[str]:
    for name, bound in binding.properties.items():
        where = f"{binding.wmi}.{name}"
        declared = next((p for cls in found if (p := cls.property(name)) is not None), None)
        if declared is None:
            if not found[0].open:
                yield f"{where}: no such property"
            continue
        if declared.name != name:
            yield f"{where}: the contract spells it {declared.name}"
        if problem := _type_problem(bound.type, declared):
            yield f"{where}: {problem}"
        if bound.key and not declared.key:
            yield f"{where}: is no key"
        exempt = (binding.wmi, name) in READ_ONLY_BUT_TRIED
        if bound.writable and declared.writable_since > NEWEST and not exempt:
            yield f"{where}: is read-only"
        missing = [cls for cls in found if cls.property(name) is None]
        if missing and not bound.since and not bound.type.nullable:
            yield f"{where}: older Windows lacks it, and the binding demands a value"


def _type_problem(bound: CimType, declared: schema.Property | schema.Parameter) -> str | None:
    if bound.array != declared.array:
        return f"is {'an array' if declared.array else 'no array'}"
    if bound.embedded is not None:
        return None if declared.embedded else f"is a {declared.type}, not an embedded instance"
    if bound.scalar.name != declared.type:
        return f"is a {declared.type}, not a {bound.scalar.name}"
    return None


def _methods(cls: type[CimClass], found: list[schema.Class]) -> Iterator[str]:
    for method in vars(cls).values():
        if not isinstance(method, Method):
            continue
        where = f"{cls.__cim__.wmi}.{method.name}"
        declared = next((m for one in found if (m := one.method(method.name)) is not None), None)
        if declared is None:
            yield f"{where}: no such method"
            continue
        if declared.name != method.name:
            yield f"{where}: the contract spells it {declared.name}"
        if declared.static != method.static:
            yield f"{where}: is {'' if declared.static else 'not '}static"
        if (declared.returns is None) != method.void:
            yield f"{where}: {'has no' if declared.returns is None else 'has a'} return value"
        yield from _parameters(where, method, declared)


def _parameters(where: str, method: Method, declared: schema.Method) -> Iterator[str]:
    for direction, types in (("In", method.input_types()), ("Out", method.output_types())):
        for name, bound in types.items():
            parameter = declared.parameter(name)
            if parameter is None or not (parameter.is_in if direction == "In" else parameter.is_out):
                yield f"{where}: no {direction} parameter {name}"
            elif parameter.name != name:
                yield f"{where}: the contract spells {name} {parameter.name}"
            elif problem := _type_problem(bound, parameter):
                yield f"{where}({name}): {problem}"
    for parameter in declared.parameters:
        if parameter.is_in and parameter.mandatory and parameter.name not in method.inputs:
            yield f"{where}: the binding lacks the mandatory parameter {parameter.name}"


def problems_of_cmdlet(cmdlet: Cmdlet) -> list[str]:
    """What of a declared cmdlet the contract does not have."""
    declared = cmdlet_contract().get(cmdlet.name)
    if declared is None:
        return [f"no cmdlet {cmdlet.name}"]
    found = []
    if declared["module"] != cmdlet.module:
        found.append(f"{cmdlet.name} belongs to {declared['module']}, not to {cmdlet.module}")
    found += [f"{cmdlet.name} has no parameter {p}" for p in cmdlet.parameters if p not in declared["parameters"]]
    return found
