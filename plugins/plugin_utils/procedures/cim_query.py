# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Any WMI class of a host, read with WQL and typed. For this collection only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import Refusal
from ..wsman.dynamic import Declarations, Reader, Types, Writer, class_in, reference_json, required_name, typed_items
from ..wsman.wql import any_of, literal
from .base import Host

_PAGE = 32000
"""WinRM's own MaxBatchItems; the envelope size limits an answer anyway."""


@dataclass(frozen=True)
class Parameters:
    """wql: the whole query, else it is made of the others. max_results: None for all."""

    namespace: str
    wql: str | None
    name: str
    condition: str | None
    match: Mapping[str, Any]
    properties: tuple[str, ...]
    types: Mapping[str, Any]
    max_results: int | None
    references: bool


class CimQuery:
    """Module ``cim_query``."""

    module = "cim_query"

    def parameters(self, arguments: Mapping[str, Any]) -> Parameters:
        """Errors: Refusal."""
        wql, name = arguments["wql"], arguments["class"]
        if (wql is None) == (name is None):
            raise Refusal("wql", "give either wql, or class with filter, match and properties")
        if wql is not None and (arguments["filter"] or arguments["match"] or arguments["properties"]):
            raise Refusal("wql", "filter, match and properties belong to class; wql says all of it itself")
        if arguments["max_results"] is not None and arguments["max_results"] < 1:
            raise Refusal("max_results", f"max_results must be at least 1, got {arguments['max_results']}")
        return Parameters(
            namespace=arguments["namespace"],
            wql=wql,
            name=required_name("class", name) if name is not None else class_in(wql),
            condition=arguments["filter"],
            match=arguments["match"] or {},
            properties=tuple(required_name("properties", each) for each in arguments["properties"] or ()),
            types=arguments["types"] or {},
            max_results=arguments["max_results"],
            references=arguments["references"],
        )

    def answer(self, host: Host, parameters: Parameters) -> tuple[Mapping[str, Any], Iterable[str]]:
        """Errors: Refusal for a name or a value that does not fit the class."""
        types = Types.written(parameters.types, parameters.name)
        declarations = Declarations(host.session, ask=not _all_known(parameters, types))
        query = parameters.wql or _query(parameters, types, declarations)
        reader = Reader(declarations, parameters.namespace)
        most = parameters.max_results
        # One more than wanted tells whether there are more, without a request for what nobody reads.
        page = _PAGE if most is None else min(most + 1, _PAGE)
        found = typed_items(host.cim, reader, query, types, references=parameters.references, page=page)
        instances: list[dict[str, Any]] = []
        references: list[dict[str, Any] | None] = []
        truncated = False
        for instance, reference in found:
            if most is not None and len(instances) == most:
                truncated = True
                break
            instances.append(instance)
            references.append(None if reference is None else reference_json(reference))
        found.close()
        result: dict[str, Any] = {
            "instances": instances,
            "count": len(instances),
            "truncated": truncated,
            "namespace": parameters.namespace,
            "wql": query,
            "typed": not declarations.untold,
        }
        if parameters.references:
            result["references"] = references
        return result, list(warnings(declarations))


def warnings(declarations: Declarations) -> Iterable[str]:
    """What a user should know who reads values without a type."""
    if declarations.untold:
        yield (
            f"the host does not tell the types of {declarations.untold[0]} (Windows before Server 2012): numbers and "
            "booleans are text here, unless types names them"
        )


def _all_known(parameters: Parameters, types: Types) -> bool:
    """Whether the user has said every type that the result needs."""
    wanted = {each.lower() for each in (*parameters.properties, *parameters.match)}
    return bool(parameters.properties) and wanted <= set(types.given)


def _query(parameters: Parameters, types: Types, declarations: Declarations) -> str:
    """WQL from class, filter, match and properties. Errors: Refusal."""
    declared = declarations.of(parameters.namespace, parameters.name)
    typed = types.with_declared(declared.properties if declared is not None else None)
    for name in parameters.properties:
        typed.member(name)
    writer = Writer(declarations, parameters.namespace)
    conditions = [_condition(name, value, typed, writer) for name, value in parameters.match.items()]
    if parameters.condition:
        conditions.insert(0, f"({parameters.condition})" if conditions else parameters.condition)
    selected = ", ".join(parameters.properties) or "*"
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT {selected} FROM {parameters.name}{where}"


def _condition(name: str, value: Any, types: Types, writer: Writer) -> str:
    required_name("match", name)
    if value is None:
        return f"{name} IS NULL"
    if isinstance(value, list):
        if not value:
            raise Refusal("match", f"match: {name} is an empty list, which nothing can equal")
        return any_of(name, [_literal(name, one, types, writer) for one in value])
    return f"{name} = {literal(_literal(name, value, types, writer))}"


def _literal(name: str, value: Any, types: Types, writer: Writer) -> Any:
    member = types.member(name)
    if member is None and isinstance(value, (bool, int)):
        return value
    typed, _why = writer.value(name, value, member)
    if not isinstance(typed, (str, int)) and not hasattr(typed, "tzinfo"):
        raise Refusal("match", f"match: {name} is of a type that WQL cannot compare: use filter")
    return typed
