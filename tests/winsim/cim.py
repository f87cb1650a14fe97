# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CIM over WS-Management: Get, Put, Create, Delete, Enumerate, Pull, Release and methods.

Of WMI classes and of the resources of WinRM itself. Every request is held against the schema of the host's build before
a provider hears of it; what the schema lacks is refused with the number Windows has for it. Sources: DSP0226, DSP0227,
MS-WSMV, recorded answers.
"""

from __future__ import annotations

import functools
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from . import class_schema, log, schema, soap, values, wql
from .host import Host
from .providers import QUERIED, Embedded, Instance, Reference, Shape, Wbem, providers
from .providers import Fault as ProviderRefusal
from .schema import Class, Element, Method, Parameter, Property
from .soap import Fault, Request, Selector, WmiFault, local, node, qname
from .values import Codec, Form, Refused, compare_key

__all__ = ["FRAGMENT", "Body", "Reply", "dispatch", "note"]

FRAGMENT = qname(soap.W, "FragmentTransfer")
TRANSFER = soap.X + "/"
ENUMERATION = soap.N + "/"
CONFIG = "http://schemas.microsoft.com/wbem/wsman/1/config"
CONFIG_NAMESPACE = "winrm/config"
WQL = "http://schemas.microsoft.com/wbem/wsman/1/WQL"
SELECTOR_FILTER = "http://schemas.dmtf.org/wbem/wsman/1/wsman/SelectorFilter"
XPATH = ("http://www.w3.org/TR/1999/REC-xpath-19991116", "http://schemas.dmtf.org/wbem/wsman/1/wsman/xpath-level-1")
# What an envelope needs beside its items.
ENVELOPE_ROOM = 1400

Body = ET.Element | Sequence[ET.Element] | None


@dataclass(frozen=True)
class Reply:
    action: str
    body: Body
    headers: tuple[ET.Element, ...] = ()


@dataclass
class Context:
    """An enumeration that has not come to its end."""

    user: str
    items: list[ET.Element]
    expires: datetime


@dataclass
class Contexts:
    """The enumerations open on a host, by their identifier."""

    open: dict[str, Context] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """What a request is about: a class of a namespace on a host, and how its values are written."""

    host: Host
    namespace: str
    cls: Class
    codec: Codec
    uri: str
    resource: bool = False


def dispatch(host: Host, user: str, request: Request, limit: int) -> Reply:
    """The answer to a request on WMI or on a resource of WinRM. Raises soap.Fault or the fault of a provider."""
    handlers: dict[str, Callable[[], Reply]] = {
        TRANSFER + "Get": lambda: _get(host, request),
        TRANSFER + "Put": lambda: _put(host, request),
        TRANSFER + "Create": lambda: _create(host, request),
        TRANSFER + "Delete": lambda: _delete(host, request),
        ENUMERATION + "Enumerate": lambda: _enumerate(host, user, request, limit),
        ENUMERATION + "Pull": lambda: _pull(host, user, request, limit),
        ENUMERATION + "Release": lambda: _release(host, user, request),
    }
    try:
        if request.action in handlers:
            return handlers[request.action]()
        if request.action.lower().startswith(request.resource_uri.lower() + "/") and request.resource_uri:
            return _invoke(host, request)
    except Refused as refused:
        raise WmiFault(Wbem.INVALID_PARAMETER, str(refused), parameter=refused.member) from refused
    raise Fault(0x80338013, "a:ActionNotSupported", addressing=True)


def note(request: Request, notes: log.Notes) -> None:
    """What the log says about the request."""
    verb = request.action.rpartition("/")[2]
    parsed = values.parse_uri(request.resource_uri, _cim_namespace(request))
    if parsed is not None:
        notes.namespace, notes.resource = parsed
    if (asked := class_schema.named(request)) is not None:
        notes.namespace, notes.resource = asked[0], f"declaration of {asked[1]}"
    content = request.content
    if request.action.startswith((TRANSFER, ENUMERATION)):
        notes.action = verb
        notes.writes = verb in ("Put", "Create", "Delete")
        if verb in ("Put", "Create"):
            notes.properties = log.local_names(content)
        found = content.find(qname(soap.W, "Filter")) if content is not None else None
        if found is not None and found.get("Dialect", WQL) == WQL:
            notes.wql = found.text or ""
    else:
        notes.action, notes.what, notes.writes = "Invoke", verb, log.method_writes(verb)


# --- classes and instances ---------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=4096)
def _shaped(namespace: str, name: str, build: int, shape: Shape) -> Class | None:
    found = schema.load().find(build, namespace, name)
    return None if found is None else found.at(build, shape.present, shape.absent, shape.writable, shape.keys)


def _class(host: Host, namespace: str, name: str) -> Class | None:
    return _shaped(namespace, name, host.build, providers.shape(host, namespace, name))


def _form(host: Host) -> Form:
    switches = host.switches
    return Form(
        omi=switches["wire.dialect"] == "omi",
        digits=int(switches["wire.datetime_digits"]),
        null_absent=switches["wire.null"] == "absent",
    )


def _codec(host: Host, namespace: str) -> Codec:
    return Codec(namespace, lambda name: _class(host, namespace, name), _form(host))


def _cim_namespace(request: Request) -> str | None:
    selected = request.selector("__cimnamespace")
    return selected if isinstance(selected, str) else None


def _check_namespace(host: Host, namespace: str) -> None:
    if not schema.load().has_namespace(namespace) or not providers.namespace_available(host, namespace):
        raise WmiFault(Wbem.INVALID_NAMESPACE, parameter=namespace)


def _wmi_target(host: Host, namespace: str, name: str) -> Target:
    _check_namespace(host, namespace)
    cls = _class(host, namespace, name)
    if cls is None:
        raise WmiFault(Wbem.INVALID_CLASS, operation="GetObject", parameter=name)
    codec = _codec(host, namespace)
    return Target(host, namespace, cls, codec, codec.form.uri(namespace, cls.name))


def _target(host: Host, request: Request) -> Target:
    """The class a request names. Raises Fault."""
    parsed = values.parse_uri(request.resource_uri, _cim_namespace(request))
    if parsed is not None:
        return _wmi_target(host, *parsed)
    known = schema.load().resources
    resource = next((each for uri, each in known.items() if uri.lower() == request.resource_uri.lower()), None)
    if resource is None or resource.resource is None:
        raise Fault(0x8033803B, "a:DestinationUnreachable", detail="InvalidResourceURI")
    codec = Codec(CONFIG_NAMESPACE, _resource_class, _form(host))
    return Target(host, CONFIG_NAMESPACE, resource, codec, resource.resource or "", resource=True)


def _resource_class(name: str) -> Class | None:
    return next((each for each in schema.load().resources.values() if each.name == name), None)


def _rows(target: Target) -> Iterator[tuple[Class, Instance]]:
    """All instances of the class and of those derived from it, each with its class."""
    host, namespace, compiled = target.host, target.namespace, schema.load()
    derived = []
    if not target.resource:
        for each in compiled.classes(host.build, namespace):
            if each.name != target.cls.name and compiled.is_a(host.build, namespace, each.name, target.cls.name):
                derived.append(each.name)
    played = False
    for name in [target.cls.name, *derived]:
        cls = target.cls if name == target.cls.name else _class(host, namespace, name)
        try:
            instances = providers.instances(host, namespace, name)
        except ProviderRefusal as refusal:
            if refusal.code == Wbem.PROVIDER_LOAD_FAILURE and (derived or played):
                continue
            raise
        played = True
        if cls is not None:
            for instance in instances:
                yield cls, _known(cls, instance)
    if not played:
        raise ProviderRefusal(Wbem.PROVIDER_LOAD_FAILURE, f"nobody plays {namespace}:{target.cls.name} here")


def _known(cls: Class, instance: Instance) -> Instance:
    """The instance, held against the declared class: a provider may name what other builds have, but invent nothing."""
    if not cls.open and cls.declared:
        for name in instance:
            if name not in cls.declared and not name.startswith("@"):
                raise LookupError(f"{cls.name} has no property {name}: a provider invented it")
    return instance


def _find(target: Target, selectors: Mapping[str, Selector], *, whole_key: bool = True) -> tuple[Instance, Instance]:
    """(instance, its key values) of the instance the selectors name. Raises Fault."""
    cls = target.cls
    try:
        keys = target.codec.keys(cls, selectors)
    except Refused as refused:
        if refused.unknown:
            raise Fault(0x8033805B, "w:InvalidSelectors", detail="UnexpectedSelectors") from refused
        raise Fault(0x8033805C, "w:InvalidSelectors", detail="TypeMismatch") from refused
    names = [key.name for key in cls.keys]
    if whole_key and not cls.singleton and set(names) - set(keys):
        raise Fault(0x8033805A, "w:InvalidSelectors", detail="InsufficientSelectors")
    if any(isinstance(value, Reference) for value in keys.values()):
        # References are compared as Windows does, whatever the case of names and the spelling of the namespace.
        matching = [row for _, row in _rows(target) if all(_same(row.get(name), value) for name, value in keys.items())]
        if len(matching) != 1:
            raise WmiFault(Wbem.NOT_FOUND, operation="GetObject", parameter=cls.name)
        instance = matching[0]
    else:
        instance = providers.get(target.host, target.namespace, cls.name, keys)
    return _known(cls, instance), {name: instance[name] for name in names or keys if name in instance}


def _same(left: Any, right: Any) -> bool:
    return bool(compare_key(left) == compare_key(right))


# --- Get, Put, Create, Delete ------------------------------------------------------------------------------------


def _represent(target: Target, instance: Instance) -> ET.Element:
    if target.resource:
        return _config(target.cls, target.codec, instance, target.uri)
    return target.codec.instance(target.cls, instance)


def _declaration(host: Host, request: Request, namespace: str, name: str) -> Reply:
    """The declaration of a class, as GetClass has it."""
    if host.build < class_schema.FIRST_BUILD or host.switches["wire.class_schema"] == "absent":
        raise Fault(0x8033803B, "a:DestinationUnreachable", detail="InvalidResourceURI")
    _check_namespace(host, namespace)
    cls = _class(host, namespace, name)
    if cls is None:
        raise WmiFault(Wbem.NOT_FOUND, operation="GetObject", parameter=name)
    return Reply(TRANSFER + "GetResponse", class_schema.declaration(cls, host.build, request.options))


def _get(host: Host, request: Request) -> Reply:
    if (asked := class_schema.named(request)) is not None:
        return _declaration(host, request, *asked)
    target = _target(host, request)
    instance, _ = _find(target, request.selectors)
    fragment = _fragment(target, request)
    if fragment is None:
        return Reply(TRANSFER + "GetResponse", _represent(target, instance))
    return Reply(TRANSFER + "GetResponse", _show(target, instance, fragment), (fragment.header(),))


@dataclass(frozen=True)
class _Fragment:
    """One property, or (`text`) the text of its value."""

    expression: str
    property: Property
    text: bool

    def header(self) -> ET.Element:
        return node(FRAGMENT, self.expression, {qname(soap.S, "mustUnderstand"): "true"})


def _fragment(target: Target, request: Request) -> _Fragment | None:
    if request.fragment is None or target.host.switches["wire.fragments"] == "unsupported":
        return None
    header = request.header.find(FRAGMENT)
    dialect = header.get("Dialect", XPATH[0]) if header is not None else XPATH[0]
    if dialect not in XPATH:
        raise Fault(0x80338090, "w:FragmentDialectNotSupported")
    if not request.fragment:
        raise Fault(0x80338109, "w:CannotProcessFilter")
    path, _, last = request.fragment.partition("/")
    found = target.cls.property(path.rpartition(":")[2])
    if found is None or last not in ("", "text()"):
        raise Fault(0x80338093, "w:CannotProcessFilter", reason=f"The fragment path {request.fragment} is not valid.")
    return _Fragment(request.fragment, found, last == "text()")


def _show(target: Target, instance: Instance, fragment: _Fragment) -> ET.Element:
    result = node(qname(soap.W, "XmlFragment"), attributes={"xmlns:xsi": soap.XSI, "xmlns:p": target.uri})
    members = target.codec.member(fragment.property, target.uri, instance.get(fragment.property.name))
    if fragment.text:
        result.text = "".join("".join(each.itertext()) for each in members)
    else:
        result.extend(members)
    return result


def _put(host: Host, request: Request) -> Reply:
    target = _target(host, request)
    instance, keys = _find(target, request.selectors)
    content = request.content
    if content is None:
        raise Fault(0x80338027, "w:SchemaValidationError")
    fragment = _fragment(target, request)
    if fragment is not None:
        if content.tag != qname(soap.W, "XmlFragment"):
            raise Fault(0x80338059, "w:InvalidRepresentation", detail="InvalidFragment")
        sent = _sent_fragment(target, fragment, content)
    else:
        if local(content).lower() != _element_name(target).lower():
            raise Fault(0x80338058, "x:InvalidRepresentation", detail="InvalidNamespace")
        sent = _read(target, content)
        _refuse_lost(target, instance, sent)
    changes = _changes(target, instance, sent)
    if changes:
        providers.modify(host, target.namespace, target.cls.name, keys, changes)
    after = providers.get(host, target.namespace, target.cls.name, keys)
    if fragment is not None:
        return Reply(TRANSFER + "PutResponse", _show(target, after, fragment), (fragment.header(),))
    return Reply(TRANSFER + "PutResponse", _represent(target, after))


def _element_name(target: Target) -> str:
    return _config_name(target.cls) if target.resource else target.cls.name


def _sent_fragment(target: Target, fragment: _Fragment, content: ET.Element) -> Instance:
    wanted = fragment.property
    if fragment.text:
        carrier = node(wanted.name, content.text or "")
        return {wanted.name: target.codec.value(wanted, [carrier])}
    names = {local(each).lower() for each in content}
    if names != {wanted.name.lower()}:
        raise Fault(0x80338059, "w:InvalidRepresentation", detail="InvalidFragment")
    return {wanted.name: target.codec.value(wanted, list(content))}


def _read(target: Target, content: ET.Element) -> Instance:
    """The properties a client sent. Raises the fault of WMI where one is not in the class or has no such value."""
    if target.resource:
        order = [each.name.lower() for each in target.cls.properties]
        places = [order.index(local(each).lower()) for each in content if local(each).lower() in order]
        if places != sorted(places):
            raise Fault(0x80338041, "w:SchemaValidationError")
    try:
        return target.codec.read(content, target.cls.property, allow_unknown=target.cls.open)
    except Refused as refused:
        code = Wbem.INVALID_PROPERTY if refused.unknown else Wbem.TYPE_MISMATCH
        raise WmiFault(code, str(refused), operation="PutInstance", parameter=refused.member) from refused


def _refuse_lost(target: Target, instance: Instance, sent: Instance) -> None:
    """A whole Put replaces the instance: an element that is left out although it has a value is a mistake."""
    if target.resource:
        return
    for each in target.cls.properties:
        if each.name not in sent and instance.get(each.name) not in (None, [], ()):
            text = f"The element {each.name} is missing."
            raise Fault(0x80338057, "w:SchemaValidationError", detail="MissingValues", reason=text)


def _changes(target: Target, instance: Instance, sent: Instance) -> Instance:
    """What differs from the instance as a client reads it. Raises the fault of WMI for what cannot be written."""
    changes: Instance = {}
    for name, value in sent.items():
        each = target.cls.property(name)
        if each is None:
            changes[name] = value
            continue
        shown = target.codec.member(each, target.uri, instance.get(each.name))
        now = None if each.array and not instance.get(each.name) else target.codec.value(each, shown)
        if value == now or (value in (None, []) and now is None):
            continue
        if each.writable_since > target.host.build or each.key:
            raise WmiFault(Wbem.READ_ONLY, operation="PutInstance", parameter=f"{target.cls.name}.{each.name}")
        changes[each.name] = value
    return changes


def _create(host: Host, request: Request) -> Reply:
    target = _target(host, request)
    content = request.content
    if content is None or local(content).lower() != _element_name(target).lower():
        raise Fault(0x80338058, "x:InvalidRepresentation", detail="InvalidNamespace")
    sent = {name: value for name, value in _read(target, content).items() if value is not None}
    # A resource of WinRM may get its keys as selectors alone.
    sent = {**target.codec.keys(target.cls, request.selectors), **sent} if target.resource else sent
    created = providers.create(host, target.namespace, target.cls.name, sent)
    keys = {key.name: created[key.name] for key in target.cls.keys if created.get(key.name) is not None}
    wire = soap.Reference(target.uri, target.codec.selectors(keys), request.to)
    return Reply(TRANSFER + "CreateResponse", soap.endpoint(wire, qname(soap.X, "ResourceCreated")))


def _delete(host: Host, request: Request) -> Reply:
    target = _target(host, request)
    _, keys = _find(target, request.selectors)
    providers.delete(host, target.namespace, target.cls.name, keys)
    return Reply(TRANSFER + "DeleteResponse", None)


# --- enumerations ------------------------------------------------------------------------------------------------


def _enumerate(host: Host, user: str, request: Request, limit: int) -> Reply:
    content = request.content
    if content is None or content.tag != qname(soap.N, "Enumerate"):
        raise Fault(0x80338027, "w:SchemaValidationError")
    items = _items(host, request, content)
    optimized = content.find(qname(soap.W, "OptimizeEnumeration")) is not None
    response = node(qname(soap.N, "EnumerateResponse"))
    omi = host.switches["wire.dialect"] == "omi"
    batch: list[ET.Element] = []
    if optimized:
        # A client that names no number gets one item (DSP0226 8.2.3).
        most = _number(content, qname(soap.W, "MaxElements")) or 1
        if not omi and host.switches["wire.first_answer"] == "one_item":
            most = min(most, 1)
        batch = _batch(items, most, limit)
    rest = items[len(batch) :]
    ended = optimized and not rest
    response.append(_context_element("" if ended else _keep(host, user, rest, omi)))
    if optimized:
        carrier = node(qname(soap.W, "Items"), "")
        carrier.extend(batch)
        response.append(carrier)
    if ended:
        response.append(node(qname(soap.W, "EndOfSequence")))
    return Reply(ENUMERATION + "EnumerateResponse", response)


def _pull(host: Host, user: str, request: Request, limit: int) -> Reply:
    content = request.content
    if content is None or content.tag != qname(soap.N, "Pull"):
        raise Fault(0x80338027, "w:SchemaValidationError")
    context = _take(host, user, content)
    most = _number(content, qname(soap.N, "MaxElements")) or 1
    batch = _batch(context.items, most, limit, _number(content, qname(soap.N, "MaxCharacters")))
    rest = context.items[len(batch) :]
    response = node(qname(soap.N, "PullResponse"))
    if rest:
        # The recorded servers name a new context in each answer; only the last one named counts.
        response.append(_context_element(_keep(host, user, rest, host.switches["wire.dialect"] == "omi")))
    carrier = node(qname(soap.N, "Items"), "")
    carrier.extend(batch)
    response.append(carrier)
    if not rest:
        response.append(node(qname(soap.N, "EndOfSequence")))
    return Reply(ENUMERATION + "PullResponse", response)


def _release(host: Host, user: str, request: Request) -> Reply:
    if request.content is None:
        raise Fault(0x80338027, "w:SchemaValidationError")
    _take(host, user, request.content)
    return Reply(ENUMERATION + "ReleaseResponse", None)


def _context_element(identifier: str) -> ET.Element:
    return node(qname(soap.N, "EnumerationContext"), identifier)


def _keep(host: Host, user: str, items: list[ET.Element], numbered: bool) -> str:
    contexts = host.attached(Contexts).open
    now = host.now()
    for identifier in [each for each, context in contexts.items() if context.expires <= now]:
        del contexts[identifier]
    if sum(context.user == user for context in contexts.values()) >= host.winrm.max_operations_per_user:
        raise Fault(0x803381A6, "w:QuotaLimit")
    identifier = str(len(host.log) * 7 + len(contexts)) if numbered else soap.new_id()
    contexts[identifier] = Context(user, items, now + timedelta(milliseconds=host.winrm.enumeration_timeout_ms))
    return identifier


def _take(host: Host, user: str, content: ET.Element) -> Context:
    identifier = (content.findtext(qname(soap.N, "EnumerationContext")) or "").strip()
    contexts = host.attached(Contexts).open
    context = contexts.get(identifier)
    if context is None or context.user.lower() != user.lower() or context.expires <= host.now():
        raise Fault(0x8033801B, "n:InvalidEnumerationContext")
    del contexts[identifier]
    return context


def _number(content: ET.Element, tag: str) -> int | None:
    text = content.findtext(tag)
    try:
        number = None if text is None else int(text)
    except ValueError as error:
        raise Fault(0x80338041, "w:SchemaValidationError") from error
    if number is not None and number < 1:
        raise Fault(0x80338041, "w:SchemaValidationError")
    return number


def _batch(items: list[ET.Element], most: int, limit: int, characters: int | None = None) -> list[ET.Element]:
    """As many of the items as may and do fit; raises Fault if not even the first one does."""
    batch: list[ET.Element] = []
    room = limit - soap.size(" " * ENVELOPE_ROOM)
    if characters is not None:
        room = min(room, soap.size(" " * characters))
    for item in items[:most]:
        room -= soap.size(soap.serialize(item))
        if room < 0:
            break
        batch.append(item)
    if items and not batch:
        raise Fault(0x80338048, "w:EncodingLimit", detail="MaxEnvelopeSizeExceeded")
    return batch


@dataclass(frozen=True)
class Found:
    """One result: its class, its values, and the selected properties (None for all)."""

    target: Target
    instance: Instance
    names: tuple[str, ...] | None = None


def _items(host: Host, request: Request, content: ET.Element) -> list[ET.Element]:
    mode = (content.findtext(qname(soap.W, "EnumerationMode")) or "").strip()
    if mode not in ("", "EnumerateEPR", "EnumerateObjectAndEPR"):
        raise Fault(0x80338086, "w:UnsupportedFeature", detail="EnumerationMode")
    found = content.find(qname(soap.W, "Filter"))
    if found is None:
        found = content.find(qname(soap.N, "Filter"))
    dialect = None if found is None else found.get("Dialect", "")
    if found is None:
        results = [
            Found(replace(target, cls=cls), row) for target in [_target(host, request)] for cls, row in _rows(target)
        ]
    elif dialect == WQL:
        results = _query(host, request, found.text or "")
    elif dialect == SELECTOR_FILTER:
        results = _selected(_target(host, request), soap.parse_selectors(found.find(qname(soap.W, "SelectorSet"))))
    else:
        raise Fault(0x80338019, "n:FilterDialectRequestedUnavailable")
    return [_item(result, mode) for result in results]


def _item(result: Found, mode: str) -> ET.Element:
    target = result.target
    reference = None
    if mode:
        keys = {key.name: result.instance[key.name] for key in target.cls.keys if key.name in result.instance}
        uri = target.uri if target.resource else target.codec.form.uri(target.namespace, target.cls.name)
        reference = soap.endpoint(soap.Reference(uri, target.codec.selectors(keys)))
        if mode == "EnumerateEPR":
            return reference
    if target.resource:
        shown = _represent(target, result.instance)
    elif result.names is None:
        shown = target.codec.listed(target.cls, result.instance)
    elif target.codec.form.omi:
        shown = target.codec.listed(target.cls, result.instance, only=result.names)
    else:
        shown = target.codec.fragment(target.cls, result.instance, result.names)
    if reference is None:
        return shown
    item = node(qname(soap.W, "Item"))
    item.extend([shown, reference])
    return item


def _selected(target: Target, selectors: Mapping[str, Selector]) -> list[Found]:
    wanted: Instance = {}
    for name, value in selectors.items():
        each = target.cls.property(name)
        if each is None:
            raise Fault(0x8033801A, "n:CannotProcessFilter")
        text = node(each.name, value if isinstance(value, str) else None)
        wanted[each.name] = (
            target.codec.reference(value) if isinstance(value, soap.Reference) else target.codec.value(each, [text])
        )
    return [
        Found(replace(target, cls=cls), row)
        for cls, row in _rows(target)
        if all(_same(row.get(name), value) for name, value in wanted.items())
    ]


def _query(host: Host, request: Request, text: str) -> list[Found]:
    parsed = values.parse_uri(request.resource_uri, _cim_namespace(request))
    if parsed is None or parsed[1] != "*":
        raise Fault(0x803380FB, "a:DestinationUnreachable", detail="InvalidResourceURI")
    namespace = parsed[0]
    _check_namespace(host, namespace)
    try:
        query = wql.parse(text)
        if isinstance(query, wql.Select):
            return list(_select(host, namespace, query))
        if isinstance(query, wql.References):
            return [found for found, _ in _references(host, namespace, query.path, query.role, query.result)]
        return list(_associators(host, namespace, query))
    except (ProviderRefusal, WmiFault) as refusal:
        code = refusal.code if isinstance(refusal, ProviderRefusal) else refusal.wmi_status
        reason = refusal.text if isinstance(refusal, ProviderRefusal) else refusal.reason
        raise WmiFault(code, reason or None, operation="ExecQuery", parameter=text) from refusal


def _select(host: Host, namespace: str, query: wql.Select) -> Iterator[Found]:
    target = _wmi_target(host, namespace, query.cls)
    names = wql.check(query, target.cls)
    system = {"__namespace": namespace.replace("/", "\\"), "__server": host.name}
    token = QUERIED.set(wql.demanded(query.where))
    try:
        rows = list(_rows(target))
    finally:
        QUERIED.reset(token)
    for cls, row in rows:
        if wql.matches(query.where, cls, row, _is_a(host, namespace), {**system, "__class": cls.name}):
            yield Found(replace(target, cls=cls), row, names if query.names else None)


def _is_a(host: Host, namespace: str) -> Callable[[str, str], bool]:
    return lambda name, ancestor: schema.load().is_a(host.build, namespace, name, ancestor)


def _references(
    host: Host, namespace: str, path: wql.ObjectPath, role: str | None, association: str | None
) -> Iterator[tuple[Found, Property]]:
    """The association instances that point to an object, each with the property that does."""
    source = _wmi_target(host, path.namespace or namespace, path.cls)
    selectors = {
        name or (source.cls.keys[0].name if source.cls.keys else ""): str(each) for name, each in path.keys.items()
    }
    keys = source.codec.keys(source.cls, selectors)
    providers.get(host, source.namespace, source.cls.name, keys)
    if association is not None and _class(host, namespace, association) is None:
        raise WmiFault(Wbem.INVALID_CLASS, parameter=association)
    is_a = _is_a(host, namespace)
    for declared in schema.load().classes(host.build, namespace):
        references = [each for each in declared.properties if each.type == "reference"]
        if not references or (association is not None and not is_a(declared.name, association)):
            continue
        target = _wmi_target(host, namespace, declared.name)
        try:
            rows = providers.instances(host, namespace, declared.name)
        except ProviderRefusal as refusal:
            if refusal.code == Wbem.PROVIDER_LOAD_FAILURE and association is None:
                continue
            raise
        for row in rows:
            for each in references:
                value = row.get(each.name)
                points = isinstance(value, Reference) and wql.same_object(value, replace(path, keys=keys))
                if points and (role is None or role.lower() == each.name.lower()):
                    yield Found(target, _known(target.cls, row)), each


def _associators(host: Host, namespace: str, query: wql.Associators) -> Iterator[Found]:
    for found, source in _references(host, namespace, query.path, query.role, query.association):
        for each in found.target.cls.properties:
            value = found.instance.get(each.name)
            if each.name == source.name or not isinstance(value, Reference):
                continue
            if query.result_role is not None and query.result_role.lower() != each.name.lower():
                continue
            if query.result is not None and not _is_a(host, value.namespace)(value.cls, query.result):
                continue
            target = _wmi_target(host, value.namespace, value.cls)
            yield Found(target, _known(target.cls, providers.get(host, value.namespace, value.cls, value.keys)))


# --- methods -----------------------------------------------------------------------------------------------------


def _invoke(host: Host, request: Request) -> Reply:
    target = _target(host, request)
    name = request.action.rpartition("/")[2]
    method = target.cls.method(name)
    if method is None:
        raise WmiFault(Wbem.INVALID_METHOD, operation="ExecMethod", parameter=f"{target.cls.name}.{name}")
    inputs = _inputs(target, method, request)
    keys: Instance | None = None
    if not method.static:
        if not request.selectors and target.cls.keys and not target.cls.singleton:
            raise WmiFault(Wbem.INVALID_METHOD_PARAMETERS, operation="ExecMethod", parameter=target.cls.name)
        _, keys = _find(target, request.selectors, whole_key=False)
    if not method.implemented:
        raise WmiFault(0x80041055, operation="ExecMethod", parameter=f"{target.cls.name}.{name}")
    outputs = providers.invoke(host, target.namespace, target.cls.name, method.name, keys, inputs)
    elements: list[Element] = sorted(
        (each for each in method.parameters if each.is_out), key=lambda each: each.name.lower()
    )
    if method.returns is not None:
        if "ReturnValue" not in outputs:
            raise LookupError(f"{target.cls.name}.{method.name} returns {method.returns}: a provider left it out")
        elements.append(_return_value(method.returns))
    return Reply(request.action + "Response", target.codec.outputs(method.name, target.cls, elements, outputs))


def _return_value(kind: str) -> Parameter:
    return Parameter(
        name="ReturnValue", type=kind, array=False, embedded=False, of=None, values=(), since=0, until=schema.FOREVER,
        is_in=False, is_out=True, mandatory=False,
    )  # fmt: skip


def _inputs(target: Target, method: Method, request: Request) -> Instance:
    where = f"{target.cls.name}.{method.name}"
    content = request.content
    given: Iterable[ET.Element] = () if content is None else content
    if content is not None and local(content).lower() != f"{method.name}_INPUT".lower():
        raise WmiFault(Wbem.INVALID_METHOD_PARAMETERS, operation="ExecMethod", parameter=where)
    accepted = {each.name.lower(): each for each in method.parameters if each.is_in}
    carrier = node("inputs")
    carrier.extend(given)
    try:
        inputs = target.codec.read(carrier, lambda name: accepted.get(name.lower()), allow_unknown=False)
    except Refused as refused:
        code = Wbem.INVALID_METHOD_PARAMETERS if refused.unknown else Wbem.TYPE_MISMATCH
        raise WmiFault(code, str(refused), operation="ExecMethod", parameter=where) from refused
    missing = [each.name for each in accepted.values() if each.mandatory and each.name not in inputs]
    if missing:
        text = f"{where} needs {', '.join(missing)}"
        raise WmiFault(Wbem.INVALID_METHOD_PARAMETERS, text, operation="ExecMethod", parameter=where)
    return inputs


# --- resources of WinRM ------------------------------------------------------------------------------------------


def _config_name(cls: Class) -> str:
    name = cls.name.removeprefix("WSMan_")
    return "Auth" if name.endswith("Auth") else name


def _config(cls: Class, codec: Codec, instance: Instance, uri: str, tag: str | None = None) -> ET.Element:
    """The element of a resource, in the order of its schema; nested resources are in the namespace of the outer one."""
    element = node(qname(uri, tag or _config_name(cls)), attributes={"xmlns:cfg": uri} if tag is None else None)
    element.attrib.update({name[1:]: str(value) for name, value in instance.items() if name.startswith("@")})
    for each in cls.properties:
        value = instance.get(each.name)
        inner = _resource_class(each.of) if each.of else None
        if inner is not None and isinstance(value, Embedded):
            element.append(_config(inner, codec, value.values, uri, each.name))
        elif value is None or (each.array and not value):
            element.append(node(qname(uri, each.name), "" if each.type == "string" and not each.array else None))
        else:
            element.extend(codec.member(each, uri, value))
    return element
