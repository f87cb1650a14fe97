# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CIM over WS-Management: get, query, modify, create, delete, invoke. For this collection only.

Works with any conforming server. What Windows does that surprises is said where it is handled.
"""

from __future__ import annotations

import contextlib
import xml.etree.ElementTree as ET
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import MalformedAnswer, MethodFailed, WsmanFault
from . import envelope
from .bindings import Binding, C, CimClass, Method, resource_uri
from .envelope import Request
from .faults import refuses_fragments, refuses_query
from .types import Reference, Scalar, decode, decode_integer, decode_reference, encode
from .xml import ENUMERATION, NIL, WSMAN, child, local_name, namespace_of, text_of

_WQL = "http://schemas.microsoft.com/wbem/wsman/1/WQL"
_MAX_ELEMENTS = 32000  # WinRM's own MaxBatchItems; the envelope size limits an answer anyway
_UINT32 = Scalar("uint32", 0, 2**32 - 1)

MAX_ITEMS = 1_000_000
"""Items of one enumeration at most; a domain controller knows fewer objects of any class that is read here."""
MAX_EMPTY_PULLS = 10
"""Answers in a row that bring no item and no end, at most. Windows brings one or the other, or a fault."""


class Exchange(Protocol):
    """What the session gives: one request there, the SOAP body of its answer back, faults raised."""

    def exchange(self, request: Request, attempted: str) -> ET.Element:
        """Errors: WsmanFault, MalformedAnswer, ConnectionTrouble."""


@dataclass(frozen=True)
class Item:
    """One item of an enumeration as it came: its element, and its reference where the server was asked for it."""

    element: ET.Element
    reference: Reference | None = None


@dataclass(frozen=True)
class MethodResult:
    """What a method gave back. value: ReturnValue, None where the method has none; outputs: Out parameters."""

    value: int | None
    outputs: Mapping[str, Any]


class Cim:
    """CIM operations of one session."""

    def __init__(self, session: Exchange) -> None:
        self._session = session

    def query(
        self,
        cls: type[C],
        where: str = "",
        *,
        leave_out: Sequence[str] = (),
        references: bool = False,
    ) -> list[C]:
        """All instances of a bound class that the WHERE text (without the word) selects, typed.

        leave_out: nullable properties that are not needed and so not asked for. references: ask for the server's own
        references, which costs all properties. Where the host refuses the query (a property is unknown to its Windows)
        the query is repeated with ``SELECT *``: nothing is asked twice on a host that has them all.
        """
        binding = cls.__cim__
        names = [name for name in binding.properties if name not in leave_out]
        attempted = f"reading {binding.wmi}"
        condition = f" WHERE {where}" if where else ""
        if references:
            wql = f"SELECT * FROM {binding.wmi}{condition}"
            found = self.enumerate(binding.namespace, wql, attempted, references=True)
            return [self._typed(binding, item, attempted) for item in found]
        wql = f"SELECT {', '.join(names)} FROM {binding.wmi}{condition}"
        try:
            return [self._typed(binding, item, attempted) for item in self.enumerate(binding.namespace, wql, attempted)]
        except WsmanFault as fault:
            if not refuses_query(fault) or not any(p.since for p in binding.properties.values()):
                raise
        wql = f"SELECT * FROM {binding.wmi}{condition}"
        return [self._typed(binding, item, attempted) for item in self.enumerate(binding.namespace, wql, attempted)]

    def query_optional(self, cls: type[C], where: str = "", *, leave_out: Sequence[str] = ()) -> C | None:
        """The one instance that the WHERE text selects, or None. Errors: MalformedAnswer for several."""
        found = self.query(cls, where, leave_out=leave_out)
        if len(found) > 1:
            raise MalformedAnswer(f"reading {cls.__cim__.wmi}: one instance was expected, {len(found)} came")
        return found[0] if found else None

    def query_one(self, cls: type[C], where: str = "", *, leave_out: Sequence[str] = ()) -> C:
        """The one instance that the WHERE text selects. Errors: MalformedAnswer for none or several."""
        found = self.query_optional(cls, where, leave_out=leave_out)
        if found is None:
            raise MalformedAnswer(f"reading {cls.__cim__.wmi}: one instance was expected, none came")
        return found

    def any(self, cls: type[CimClass], where: str) -> bool:
        """Whether an instance exists that the WHERE text selects; the host stops looking at the first."""
        binding = cls.__cim__
        first = next(iter(binding.properties))
        wql = f"SELECT {first} FROM {binding.wmi} WHERE {where}"
        found = self.enumerate(binding.namespace, wql, f"looking for {binding.wmi}", page=1)
        exists = next(found, None) is not None
        found.close()
        return exists

    def enumerate(
        self,
        namespace: str,
        wql: str,
        attempted: str,
        *,
        references: bool = False,
        page: int = _MAX_ELEMENTS,
    ) -> Generator[Item, None, None]:
        """The items of a WQL query, page by page, until the end of the sequence; closing it early releases it."""
        uri = resource_uri(namespace, "*")
        request = ET.Element(f"{{{ENUMERATION}}}Enumerate")
        ET.SubElement(request, f"{{{WSMAN}}}OptimizeEnumeration")
        ET.SubElement(request, f"{{{WSMAN}}}MaxElements").text = str(page)
        if references:
            ET.SubElement(request, f"{{{WSMAN}}}EnumerationMode").text = "EnumerateObjectAndEPR"
        ET.SubElement(request, f"{{{WSMAN}}}Filter", Dialect=_WQL).text = wql
        body = self._session.exchange(Request(envelope.ENUMERATE, uri, body=(request,)), attempted)
        answer = _expect(body, "EnumerateResponse", attempted)
        context = text_of(child(answer, "EnumerationContext"))
        ended = _ended(answer) or not context
        finished = False
        came = empty = 0
        try:
            for item in _items(answer, attempted):
                came += 1
                yield item
            while not ended:
                pull = ET.Element(f"{{{ENUMERATION}}}Pull")
                ET.SubElement(pull, f"{{{ENUMERATION}}}EnumerationContext").text = context
                ET.SubElement(pull, f"{{{ENUMERATION}}}MaxElements").text = str(page)
                body = self._session.exchange(Request(envelope.PULL, uri, body=(pull,)), attempted)
                answer = _expect(body, "PullResponse", attempted)
                # A server may give a new context with each answer, or leave it out when it stays the same.
                context = text_of(child(answer, "EnumerationContext")) or context
                ended = _ended(answer)
                before = came
                for item in _items(answer, attempted):
                    came += 1
                    yield item
                empty = empty + 1 if came == before else 0
                if not ended and (came > MAX_ITEMS or empty > MAX_EMPTY_PULLS):
                    raise MalformedAnswer(f"{attempted}: the host goes on without end after {came} items")
            finished = True
        except GeneratorExit:
            if not finished and not ended:
                self._release(uri, context)
            raise

    def _release(self, uri: str, context: str) -> None:
        release = ET.Element(f"{{{ENUMERATION}}}Release")
        ET.SubElement(release, f"{{{ENUMERATION}}}EnumerationContext").text = context
        # A context that ended by itself meanwhile is no trouble.
        with contextlib.suppress(WsmanFault):
            self._session.exchange(Request(envelope.RELEASE, uri, body=(release,)), "releasing an enumeration")

    def get(self, cls: type[C], **keys: Any) -> C:
        """One instance by its keys (none for a singleton). Errors: WsmanFault, WBEM_E_NOT_FOUND among them."""
        binding = cls.__cim__
        reference = binding.reference(**keys)
        attempted = f"reading {_named(binding.wmi, reference)}"
        found: C = self._typed(binding, Item(self.get_element(reference, attempted), reference), attempted)
        return found

    def get_element(self, reference: Reference, attempted: str) -> ET.Element:
        """One instance as it came."""
        body = self._session.exchange(Request(envelope.GET, reference.resource_uri, reference.selectors), attempted)
        return _only_child(body, attempted)

    def modify(self, instance: CimClass, **changes: Any) -> None:
        """Writes these properties of an instance and nothing else.

        Each goes as a Put of a fragment (no lost update). A server that does not know fragments says so before any
        effect; then the instance is read, merged as it came, and put whole.
        """
        binding = instance.__cim__
        if unknown := [name for name in changes if not binding.properties[name].writable]:
            raise TypeError(f"{binding.wmi} is not declared with a writable {', '.join(unknown)}")
        attempted = f"setting {', '.join(changes)} of {_named(binding.wmi, instance.reference)}"
        self.put(instance.reference, {n: (v, binding.properties[n].type) for n, v in changes.items()}, attempted)

    def put(self, reference: Reference, changes: Mapping[str, tuple[Any, Any]], attempted: str) -> None:
        """Writes properties, each given with its CimType, to the instance of a reference."""
        for name, (value, wanted) in changes.items():
            fragment = ET.Element(f"{{{WSMAN}}}XmlFragment")
            _append(fragment, reference.resource_uri, name, value, wanted)
            request = Request(envelope.PUT, reference.resource_uri, reference.selectors, (fragment,), name)
            try:
                self._session.exchange(request, attempted)
            except WsmanFault as fault:
                if not refuses_fragments(fault):
                    raise
                self._put_whole(reference, changes, attempted)
                return

    def _put_whole(self, reference: Reference, changes: Mapping[str, tuple[Any, Any]], attempted: str) -> None:
        element = self.get_element(reference, attempted)
        uri = namespace_of(element) or reference.resource_uri
        for name, (value, wanted) in changes.items():
            old = [one for one in element if local_name(one).lower() == name.lower()]
            for one in old:
                element.remove(one)
            _append(element, uri, name, value, wanted)
        self._session.exchange(
            Request(envelope.PUT, reference.resource_uri, reference.selectors, (element,)),
            attempted,
        )

    def create(self, cls: type[CimClass], **properties: Any) -> Reference:
        """Creates an instance; the reference the server gave for it."""
        binding = cls.__cim__
        typed = {name: (value, binding.properties[name].type) for name, value in properties.items()}
        return self.create_instance(binding.resource_uri, typed, f"creating {binding.wmi}")

    def create_instance(self, uri: str, properties: Mapping[str, tuple[Any, Any]], attempted: str) -> Reference:
        """Creates an instance of a resource from properties, each given with its CimType."""
        element = ET.Element(f"{{{uri}}}{uri.rpartition('/')[2]}")
        for name, (value, wanted) in properties.items():
            _append(element, uri, name, value, wanted)
        body = self._session.exchange(Request(envelope.CREATE, uri, body=(element,)), attempted)
        created = child(body, "ResourceCreated")
        return _reference(created if created is not None else body, attempted)

    def delete(self, target: CimClass | Reference) -> None:
        """Deletes an instance."""
        reference = target if isinstance(target, Reference) else target.reference
        attempted = f"deleting {_named(reference.resource_uri.rpartition('/')[2], reference)}"
        self._session.exchange(Request(envelope.DELETE, reference.resource_uri, reference.selectors), attempted)

    def invoke(
        self,
        method: Method,
        on: CimClass | Reference | None = None,
        *,
        check: bool = True,
        **inputs: Any,
    ) -> MethodResult:
        """Calls a bound method, on an instance or (static) on its class.

        Inputs that are None are left out. check: raise MethodFailed for a return value that is not success.
        """
        binding = method.binding
        reference = on if isinstance(on, Reference) else on.reference if on is not None else None
        selectors = reference.selectors if reference is not None else ()
        attempted = f"calling {method.name} of {_named(binding.wmi, reference)}"
        types = method.input_types()
        typed = {name: (value, types[name]) for name, value in inputs.items() if value is not None}
        output = self.invoke_raw(binding.resource_uri, method.name, selectors, typed, attempted)
        found: dict[str, list[ET.Element]] = {}
        for one in output:
            found.setdefault(local_name(one).lower(), []).append(one)
        try:
            outputs = {
                name: decode(found.get(name.lower(), ()), wanted, f"{method.name}.{name}")
                for name, wanted in method.output_types().items()
            }
        except MalformedAnswer as error:
            raise MalformedAnswer(f"{attempted}: {error}") from error
        if method.void:
            return MethodResult(None, outputs)
        value = return_value(output, attempted)
        if check and value not in method.success:
            raise MethodFailed(attempted, method.name, value, method.returns.get(value, ""))
        return MethodResult(value, outputs)

    def invoke_raw(
        self,
        uri: str,
        name: str,
        selectors: tuple[tuple[str, str], ...],
        inputs: Mapping[str, tuple[Any, Any]],
        attempted: str,
    ) -> ET.Element:
        """Calls a method of a resource with inputs given with their CimType; the ``<Method>_OUTPUT`` element."""
        element = ET.Element(f"{{{uri}}}{name}_INPUT")
        for parameter, (value, wanted) in inputs.items():
            encode(element, f"{{{uri}}}{parameter}", value, wanted)
        body = self._session.exchange(Request(f"{uri}/{name}", uri, selectors, (element,)), attempted)
        return _expect(body, f"{name}_OUTPUT", attempted)

    @staticmethod
    def _typed(binding: Binding, item: Item, attempted: str) -> Any:
        try:
            typed = binding.decode_object(item.element)
        except MalformedAnswer as error:
            raise MalformedAnswer(f"{attempted}: {error}") from error
        return typed.with_reference(item.reference) if item.reference is not None else typed


def return_value(output: ET.Element, attempted: str) -> int:
    """ReturnValue of a method's output, unsigned 32 bit. Errors: MalformedAnswer."""
    text = text_of(child(output, "ReturnValue"))
    try:
        # Signed or not: the documented codes are HRESULTs and Win32 errors, which are written either way.
        return decode_integer(text, _UINT32)
    except ValueError as error:
        raise MalformedAnswer(f"{attempted}: the answer has no return value") from error


def _append(parent: ET.Element, uri: str, name: str, value: Any, wanted: Any) -> None:
    if value is None:
        ET.SubElement(parent, f"{{{uri}}}{name}", {NIL: "true"})
    else:
        encode(parent, f"{{{uri}}}{name}", value, wanted)


def _named(wmi: str, reference: Reference | None) -> str:
    if reference is None or not reference.selectors:
        return wmi
    return f"{wmi} {', '.join(text for name, text in reference.selectors)}"


def _expect(body: ET.Element, name: str, attempted: str) -> ET.Element:
    found = child(body, name)
    if found is None:
        came = ", ".join(local_name(e) for e in body[:5]) or "nothing"
        raise MalformedAnswer(f"{attempted}: expected {name}, the answer holds {came}")
    return found


def _only_child(body: ET.Element, attempted: str) -> ET.Element:
    if len(body) != 1:
        raise MalformedAnswer(f"{attempted}: the answer holds {len(body)} elements instead of one")
    return body[0]


def _ended(answer: ET.Element) -> bool:
    # The end is in the WS-Management namespace in an EnumerateResponse and in the enumeration namespace in a Pull.
    return child(answer, "EndOfSequence") is not None


def _items(answer: ET.Element, attempted: str) -> Iterator[Item]:
    items = child(answer, "Items")
    for one in items if items is not None else ():
        if local_name(one) == "Item":
            # EnumerateObjectAndEPR: the object and its reference, side by side.
            epr = child(one, "EndpointReference")
            reference = _reference(epr, attempted) if epr is not None else None
            for instance in one:
                if local_name(instance) != "EndpointReference":
                    yield Item(instance, reference)
        elif local_name(one) == "EndpointReference":
            yield Item(one, _reference(one, attempted))
        else:
            yield Item(one)


def _reference(element: ET.Element, attempted: str) -> Reference:
    try:
        return decode_reference(element)
    except ValueError as error:
        raise MalformedAnswer(f"{attempted}: {error}") from error
