# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One instance of any WMI class: its properties set, itself made or deleted. For this collection only."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import Refusal, WsmanFault
from ..journal import Entry, Journal, NoStore
from ..wsman.dynamic import (
    Declarations,
    Reader,
    Types,
    Writer,
    filtered,
    json_of,
    keyed,
    reference_json,
    required_name,
    same,
)
from ..wsman.faults import is_not_found
from ..wsman.types import CimType, Reference
from .base import Host, Plan, Step
from .cim_query import warnings


@dataclass(frozen=True)
class Parameters:
    """keys, condition: which instance, one of them or (the only instance of a class) none."""

    present: bool
    namespace: str
    name: str
    keys: Mapping[str, Any]
    condition: str | None
    properties: Mapping[str, Any]
    types: Mapping[str, Any]


@dataclass(frozen=True)
class State:
    """reference: of the instance; found: all its properties, None where there is none; wanted, keys: typed values."""

    reference: Reference | None
    found: Mapping[str, Any] | None
    wanted: Mapping[str, tuple[Any, CimType]]
    keys: Mapping[str, tuple[Any, CimType]]
    key_names: frozenset[str]
    writer: Writer
    types: Types
    warnings: tuple[str, ...]

    def now(self, name: str) -> Any:
        """The value of a property, in any case of its name."""
        found = self.found or {}
        return next((value for own, value in found.items() if own.lower() == name.lower()), None)

    @property
    def differing(self) -> dict[str, tuple[Any, CimType]]:
        """The wanted values that are not there."""
        return {name: typed for name, typed in self.wanted.items() if not same(json_of(*typed), self.now(name))}


class CimInstance:
    """Module ``cim_instance``."""

    module = "cim_instance"

    def parameters(self, arguments: Mapping[str, Any]) -> Parameters:
        """Errors: Refusal."""
        keys, condition = arguments["keys"] or {}, arguments["filter"]
        if keys and condition:
            raise Refusal("filter", "give keys or filter, not both")
        present = arguments["state"] == "present"
        if arguments["properties"] and not present:
            raise Refusal("properties", "properties have no meaning with state: absent")
        if not present and not keys and not condition:
            raise Refusal("keys", "say which instance shall go: give keys or filter")
        return Parameters(
            present=present,
            namespace=arguments["namespace"],
            name=required_name("class", arguments["class"]),
            keys=keys,
            condition=condition,
            properties=arguments["properties"] or {},
            types=arguments["types"] or {},
        )

    def journal(self, host: Host, parameters: Parameters) -> Journal:
        """None: to set properties again does no harm, and a value may be a secret."""
        return Journal(NoStore(), host.clock.now, host.controller)

    def observe(self, host: Host, parameters: Parameters, journal: Entry | None) -> State:
        """Errors: Refusal for a name or a value that does not fit the class, or a filter that selects several."""
        declarations = Declarations(host.session)
        declared = declarations.of(parameters.namespace, parameters.name)
        types = Types.written(parameters.types, parameters.name)
        types = types.with_declared(declared.properties if declared is not None else None)
        writer = Writer(declarations, parameters.namespace)
        wanted = writer.typed(parameters.properties, types)
        keys = writer.typed(parameters.keys, types)
        reference: Reference | None = None
        element = None
        if parameters.condition:
            item = filtered(host.cim, parameters.namespace, parameters.name, parameters.condition)
            if item is not None:
                reference, element = item.reference, item.element
        else:
            reference = keyed(writer, parameters.name, parameters.keys, types, declared)
            with _absence():
                element = host.cim.get_element(reference, f"reading {parameters.name}")
        reader = Reader(declarations, parameters.namespace)
        found = None if element is None else reader.properties(element, types)
        if parameters.condition and reference is not None and found is not None and _lacks(found, wanted):
            # Enumerations leave out what is costly to find out.
            found = reader.properties(host.cim.get_element(reference, f"reading {parameters.name}"), types)
        return State(
            reference=reference if found is not None else None,
            found=found,
            wanted=wanted,
            keys=keys,
            key_names=frozenset(each.name.lower() for each in declared.keys) if declared is not None else frozenset(),
            writer=writer,
            types=types,
            warnings=tuple(warnings(declarations)),
        )

    def plan(self, host: Host, parameters: Parameters, state: State) -> Plan:
        """Errors: Refusal for what cannot be made or changed."""
        if not parameters.present:
            steps = [] if state.found is None else [_delete(host, parameters, state)]
        elif state.found is None:
            steps = [_create(host, parameters, state)]
        else:
            steps = [_set(host, parameters, state, name, typed) for name, typed in state.differing.items()]
        goal = {name: json_of(*typed) for name, typed in state.wanted.items()}
        return Plan(
            steps=tuple(steps),
            goal=_report(goal if parameters.present else None),
            warnings=state.warnings,
        )

    def report(self, parameters: Parameters, state: State) -> Mapping[str, Any]:
        """The properties that the task names."""
        if state.found is None:
            return _report(None)
        return _report({name: state.now(name) for name in state.wanted})

    def result(self, parameters: Parameters, state: State) -> Mapping[str, Any]:
        """The whole instance."""
        return {
            "instance": None if state.found is None else dict(state.found),
            "reference": None if state.reference is None else reference_json(state.reference),
        }

    def shown(self, parameters: Parameters, report: Mapping[str, Any]) -> Mapping[str, Any]:
        """State and properties, a line each."""
        return {"state": report["state"], **(report["properties"] or {})}

    def verify(self, parameters: Parameters, before: State, after: State) -> Iterable[str]:
        """Whether Windows took what was sent: some providers ignore what they do not support."""
        if parameters.present == (after.found is None):
            yield f"{parameters.name} is {'absent' if after.found is None else 'still there'} after the change"
        elif parameters.present and after.differing:
            yield f"{', '.join(after.differing)} of {parameters.name} did not take the value that Windows was sent"


@contextlib.contextmanager
def _absence() -> Any:
    """An instance that is not there is no trouble."""
    try:
        yield
    except WsmanFault as fault:
        if not is_not_found(fault):
            raise


def _lacks(found: Mapping[str, Any], wanted: Iterable[str]) -> bool:
    present = {name.lower() for name, value in found.items() if value is not None}
    return any(name.lower() not in present for name in wanted)


def _report(properties: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "state": "absent" if properties is None else "present",
        "properties": None if properties is None else dict(properties),
    }


def _which(parameters: Parameters, state: State) -> str:
    selectors = state.reference.selectors if state.reference is not None else ()
    named = [text for key, text in selectors] or [str(value) for value in parameters.keys.values()]
    return " ".join([parameters.name, ", ".join(named)]).strip()


def _set(host: Host, parameters: Parameters, state: State, name: str, typed: tuple[Any, CimType]) -> Step:
    if name.lower() in state.key_names:
        raise Refusal(
            "properties", f"{name} is a key of {parameters.name}: it names the instance and cannot be changed"
        )
    which, reference = _which(parameters, state), state.reference
    if reference is None:
        raise TypeError("only an instance that was found is changed or deleted")

    def put(value: tuple[Any, CimType]) -> None:
        host.cim.put(reference, {name: value}, f"setting {name} of {which}")

    undo = None
    with contextlib.suppress(Refusal):
        # An old value of a type that nobody tells cannot be written back.
        before = state.writer.value(name, state.now(name), state.types.member(name))

        def undo() -> None:
            put(before)

    return Step(name=f"set {name} of {which}", do=lambda: put(typed), undo=undo)


def _create(host: Host, parameters: Parameters, state: State) -> Step:
    if parameters.condition:
        raise Refusal(
            "filter",
            f"filter selects no instance of {parameters.name}, and what it does not find cannot be made: give keys to "
            "make one",
        )
    if not parameters.keys:
        raise Refusal("keys", f"{parameters.name} has no instance, and without keys none can be made")
    values = {**state.keys, **{name: typed for name, typed in state.wanted.items() if typed[0] is not None}}
    uri = keyed(state.writer, parameters.name, {}, state.types, None).resource_uri
    which = _which(parameters, state)
    created: list[Reference] = []

    def do() -> None:
        created.append(host.cim.create_instance(uri, values, f"creating {which}"))

    def undo() -> None:
        host.cim.delete(created[0])

    return Step(name=f"create {which}", do=do, undo=undo)


def _delete(host: Host, parameters: Parameters, state: State) -> Step:
    reference = state.reference
    if reference is None:
        raise TypeError("only an instance that was found is changed or deleted")
    return Step(name=f"delete {_which(parameters, state)}", do=lambda: host.cim.delete(reference), final=True)
