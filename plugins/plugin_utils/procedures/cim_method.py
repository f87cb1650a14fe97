# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A method of any WMI class, called once and only if needed. For this collection only."""

from __future__ import annotations

import difflib
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import MethodFailed, Refusal, VerificationFailed
from ..journal import Entry, Journal, NoStore
from ..win_error import describe
from ..wsman.bindings import resource_uri
from ..wsman.dynamic import (
    Declaration,
    Declarations,
    Member,
    MethodDeclaration,
    Reader,
    Types,
    Writer,
    filtered,
    keyed,
    required_name,
)
from ..wsman.types import CimType, Reference
from ..wsman.xml import local_name
from .base import Host, Plan, Step
from .cim_query import warnings

_RETURN = "returnvalue"


@dataclass(frozen=True)
class Parameters:
    """creates, unless: WQL; success: return values that mean success; reads: the method changes nothing."""

    namespace: str
    name: str
    method: str
    keys: Mapping[str, Any]
    condition: str | None
    inputs: Mapping[str, Any]
    types: Mapping[str, Any]
    creates: str | None
    unless: str | None
    success: tuple[int, ...]
    reads: bool


@dataclass(frozen=True)
class Call:
    """All that the call takes."""

    uri: str
    selectors: tuple[tuple[str, str], ...]
    inputs: Mapping[str, tuple[Any, CimType]]
    outputs: Types
    reader: Reader
    declarations: Declarations


@dataclass(frozen=True)
class Answer:
    """What the method gave back."""

    value: Any
    outputs: Mapping[str, Any]


@dataclass(frozen=True)
class State:
    """reason: why nothing is to be called, else None; answer: of a method that only reads."""

    reason: str | None
    call: Call | None
    answer: Answer | None


class CimMethod:
    """Module ``cim_method``."""

    module = "cim_method"

    def parameters(self, arguments: Mapping[str, Any]) -> Parameters:
        """Errors: Refusal."""
        if arguments["keys"] and arguments["filter"]:
            raise Refusal("filter", "give keys or filter, not both")
        return Parameters(
            namespace=arguments["namespace"],
            name=required_name("class", arguments["class"]),
            method=required_name("method", arguments["method"]),
            keys=arguments["keys"] or {},
            condition=arguments["filter"],
            inputs=arguments["parameters"] or {},
            types=arguments["types"] or {},
            creates=arguments["creates"],
            unless=arguments["unless"],
            success=tuple(arguments["success"]),
            reads=arguments["reads"],
        )

    def journal(self, host: Host, parameters: Parameters) -> Journal:
        """None: one call is one step, and an input may be a secret."""
        return Journal(NoStore(), host.clock.now, host.controller)

    def observe(self, host: Host, parameters: Parameters, journal: Entry | None) -> State:
        """Errors: Refusal for what does not fit the class. A method that only reads is called here."""
        for option, wql in (("creates", parameters.creates), ("unless", parameters.unless)):
            if wql is not None and _selects(host, parameters.namespace, wql, option):
                return State(f"{option}: the query selects an instance", None, None)
        call = _prepared(host, parameters)
        return State(None, call, _invoke(host, parameters, call) if parameters.reads else None)

    def plan(self, host: Host, parameters: Parameters, state: State) -> Plan:
        """The call, and the question whether it did what it is for."""
        call, creates = state.call, parameters.creates
        answers: list[Answer] = []

        def do() -> None:
            if call is None:
                raise TypeError("only a method that is to be called has a step")
            answers.append(_invoke(host, parameters, call))

        def ask() -> None:
            if creates is not None and not _selects(host, parameters.namespace, creates, "creates"):
                raise VerificationFailed(
                    f"{parameters.method} of {parameters.name} succeeded, but the query of creates selects nothing yet"
                )

        called = call is not None and not parameters.reads
        name = " ".join(["call", parameters.method, "of", parameters.name, *map(str, parameters.keys.values())])
        steps = [Step(name=name, do=do, final=True)] if called else []
        if called and creates is not None:
            steps.append(Step(name="ask creates again", do=ask, changes=False))
        return Plan(
            steps=tuple(steps),
            goal={"invoked": called},
            warnings=tuple(warnings(call.declarations)) if call is not None else (),
            answer=lambda: _told(answers[0]) if answers else {},
            proved=True,
        )

    def report(self, parameters: Parameters, state: State) -> Mapping[str, Any]:
        """Whether it has been called."""
        return {"invoked": state.answer is not None}

    def result(self, parameters: Parameters, state: State) -> Mapping[str, Any]:
        """The answer of a method that only reads, or why there is none."""
        if state.answer is not None:
            return _told(state.answer)
        return {"invoked": False, "reason": state.reason, "return_value": None, "outputs": {}}

    def shown(self, parameters: Parameters, report: Mapping[str, Any]) -> Mapping[str, Any]:
        """Nothing: what a method changes nobody knows beforehand."""
        return {}

    def verify(self, parameters: Parameters, before: State, after: State) -> Iterable[str]:
        """The step has done it."""
        return ()


def _told(answer: Answer) -> dict[str, Any]:
    return {"invoked": True, "reason": None, "return_value": answer.value, "outputs": dict(answer.outputs)}


def _selects(host: Host, namespace: str, wql: str, option: str) -> bool:
    found = host.cim.enumerate(namespace, wql, f"asking {option}", page=1)
    exists = next(found, None) is not None
    found.close()
    return exists


def _prepared(host: Host, parameters: Parameters) -> Call:
    """Errors: Refusal."""
    declarations = Declarations(host.session)
    declared = declarations.of(parameters.namespace, parameters.name)
    method = _method(parameters, declared)
    writer = Writer(declarations, parameters.namespace)
    where = f"{parameters.name}.{parameters.method}"
    types = Types.written(parameters.types, where)
    members = None if method is None else method.parameters
    accepted = None if members is None else {name: each for name, each in members.items() if each.is_in}
    inputs = writer.typed(parameters.inputs, types.with_declared(accepted))
    target = _target(host, parameters, writer, declared, method)
    outputs = None
    if method is not None:
        outputs = {**method.parameters, _RETURN: Member("ReturnValue", method.returns or "uint32")}
    return Call(
        uri=target.resource_uri if target is not None else resource_uri(parameters.namespace, parameters.name),
        selectors=target.selectors if target is not None else (),
        inputs={name: typed for name, typed in inputs.items() if typed[0] is not None},
        outputs=types.with_declared(outputs),
        reader=Reader(declarations, parameters.namespace),
        declarations=declarations,
    )


def _method(parameters: Parameters, declared: Declaration | None) -> MethodDeclaration | None:
    """The declaration of the method, None where the host does not tell. Errors: Refusal."""
    if declared is None:
        return None
    method = declared.methods.get(parameters.method.lower())
    if method is None:
        near = difflib.get_close_matches(parameters.method.lower(), list(declared.methods), n=3)
        hint = f"; near: {', '.join(declared.methods[each].name for each in near)}" if near else ""
        raise Refusal("method", f"{parameters.name} has no method {parameters.method}{hint}")
    return method


def _target(
    host: Host,
    parameters: Parameters,
    writer: Writer,
    declared: Declaration | None,
    method: MethodDeclaration | None,
) -> Reference | None:
    """The instance to call the method on; None for a static one. Errors: Refusal."""
    named = bool(parameters.keys or parameters.condition)
    if method is not None and method.static and named:
        raise Refusal("keys", f"{method.name} of {parameters.name} is static: leave keys and filter out")
    if method is not None and not method.static and not named and declared is not None and declared.keys:
        raise Refusal(
            "keys", f"{method.name} of {parameters.name} is called on an instance: say by keys or filter on which"
        )
    if parameters.condition:
        item = filtered(host.cim, parameters.namespace, parameters.name, parameters.condition)
        if item is None or item.reference is None:
            raise Refusal("filter", f"filter selects no instance of {parameters.name}")
        return item.reference
    if not parameters.keys:
        return None
    types = Types({}, declared.properties if declared is not None else None, parameters.name)
    return keyed(writer, parameters.name, parameters.keys, types, declared)


def _invoke(host: Host, parameters: Parameters, call: Call) -> Answer:
    """Errors: MethodFailed for a return value that is no success."""
    attempted = " ".join(["calling", parameters.method, "of", parameters.name, *map(str, parameters.keys.values())])
    output = host.cim.invoke_raw(call.uri, parameters.method, call.selectors, call.inputs, attempted)
    found: dict[str, list[ET.Element]] = {}
    for one in output:
        found.setdefault(local_name(one), []).append(one)
    values = {name: call.reader.value(elements, call.outputs.known(name), name) for name, elements in found.items()}
    value = next((each for name, each in values.items() if name.lower() == _RETURN), None)
    outputs = {name: each for name, each in values.items() if name.lower() != _RETURN}
    if isinstance(value, str) and value.lstrip("-").isdigit() and call.outputs.known(_RETURN) is None:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value not in parameters.success:
        name = describe(value) if value > 0xFFFF else ""
        raise MethodFailed(attempted, parameters.method, value, name)
    return Answer(value, outputs)
