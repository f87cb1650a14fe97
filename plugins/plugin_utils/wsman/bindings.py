# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Declaring WMI classes as typed, frozen Python classes. For this collection only.

    class Service(CimClass, namespace="root/cimv2", wmi="Win32_Service"):
        Name: str = key()
        State: str
        ProcessId: uint32 | None
        StopService = Method(returns={0: "accepted", 3: "dependent services are running"})

A property without ``| None`` must be in every answer. The contract tests check each name and type against the MOF.
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from ..errors import MalformedAnswer
from .types import CimType, Reference, cim_type, decode, encode, selector_text
from .xml import TYPE, local_name

if TYPE_CHECKING:
    from typing_extensions import Self, dataclass_transform
else:

    def dataclass_transform(**_options: Any) -> Any:
        """What type checkers read; typing has it from Python 3.11 on."""
        return lambda decorated: decorated


WMI = "http://schemas.microsoft.com/wbem/wsman/1/wmi"
CONFIG = "http://schemas.microsoft.com/wbem/wsman/1/config"


@dataclass(frozen=True)
class _Mark:
    """What a declaration says of a property beside its type."""

    key: bool = False
    since: str | None = None
    writable: bool = False


def key() -> Any:
    """A key property: its value goes into the selectors of the instance's reference."""
    return _Mark(key=True)


def writable() -> Any:
    """A property that is modified; ``Cim.modify`` takes no other."""
    return _Mark(writable=True)


def since(server: str, *, writable: bool = False) -> Any:
    """A property that older Windows lacks, read as None there. server: the first that has it, as the contract says."""
    return _Mark(since=server, writable=writable)


@dataclass(frozen=True)
class Property:
    """One bound property."""

    name: str
    type: CimType
    mark: _Mark

    @property
    def key(self) -> bool:
        """Whether it is part of the instance's reference."""
        return self.mark.key

    @property
    def since(self) -> str | None:
        """The first server that has it; None where every one does."""
        return self.mark.since

    @property
    def writable(self) -> bool:
        """Whether it may be modified."""
        return self.mark.writable


@dataclass(frozen=True)
class Binding:
    """What a bound class says about itself."""

    python: type[CimClass]
    namespace: str
    wmi: str
    properties: Mapping[str, Property]

    @property
    def resource_uri(self) -> str:
        """The WS-Management resource of the class (MS-WSMV 2.2.4.24: namespace with slashes, then the class)."""
        return resource_uri(self.namespace, self.wmi)

    def decode_object(self, element: ET.Element) -> CimClass:
        """A typed instance from its element (or fragment). Errors: MalformedAnswer naming the property."""
        found: dict[str, list[ET.Element]] = {}
        for one in element:
            found.setdefault(local_name(one).lower(), []).append(one)
        values: dict[str, Any] = {}
        for name, prop in self.properties.items():
            value = decode(found.get(name.lower(), ()), prop.type, f"{self.wmi}.{name}")
            if value is None and not prop.type.nullable:
                raise MalformedAnswer(f"{self.wmi} came without a value for {name}")
            values[name] = value
        return self.python(**values)

    def encode_object(self, element: ET.Element, instance: Any) -> None:
        """Fills an element with the properties of an embedded instance that are not None."""
        uri = self.resource_uri
        # xsi:type is a QName in text, which ElementTree cannot know of: declare its prefix as an attribute.
        element.set("xmlns:emb", uri)
        element.set(TYPE, f"emb:{self.wmi}_Type")
        for name, prop in self.properties.items():
            value = getattr(instance, name)
            if value is not None:
                encode(element, f"{{{uri}}}{name}", value, prop.type)

    @property
    def key_properties(self) -> Iterable[Property]:
        """The key properties."""
        return (p for p in self.properties.values() if p.key)

    def reference(self, **keys: Any) -> Reference:
        """The reference of the instance with these key values."""
        return Reference(self.resource_uri, tuple((name, selector_text(value)) for name, value in keys.items()))


def resource_uri(namespace: str, wmi: str) -> str:
    """The resource URI of a WMI class, or of WinRM's own configuration (namespace ``winrm/config``)."""
    if namespace == "winrm/config":
        return f"{CONFIG}/{wmi}" if wmi else CONFIG
    return f"{WMI}/{namespace.strip('/')}/{wmi}"


@dataclass
class Method:
    """One bound method.

    inputs, outputs: parameter name to annotation (``uint32``, ``tuple[str, ...]``, ``str | None`` for optional ones).
    returns: documented return values and what they mean; every value of ``success`` is success.
    void: the method documents no return value; failures come as faults.
    reads: it changes nothing on the host.
    """

    inputs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    outputs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    returns: Mapping[int, str] = dataclasses.field(default_factory=dict)
    success: tuple[int, ...] = (0,)
    static: bool = False
    void: bool = False
    name: str = ""
    owner: Binding | None = None

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @property
    def binding(self) -> Binding:
        """The class that the method belongs to."""
        if self.owner is None:
            raise TypeError(f"method {self.name} belongs to no bound class")
        return self.owner

    def input_types(self) -> dict[str, CimType]:
        """The In parameters with their CIM types."""
        return {name: cim_type(annotation) for name, annotation in self.inputs.items()}

    def output_types(self) -> dict[str, CimType]:
        """The Out parameters with their CIM types."""
        return {name: cim_type(annotation) for name, annotation in self.outputs.items()}


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(key, since, writable))
class CimClass:
    """Base of every bound class; subclasses are frozen dataclasses with keyword-only fields."""

    __cim__: ClassVar[Binding]
    _reference: ClassVar[Reference | None] = None

    def __init_subclass__(cls, *, namespace: str, wmi: str) -> None:
        marks = {name: mark for name, mark in vars(cls).items() if isinstance(mark, _Mark)}
        for name in marks:
            delattr(cls, name)
        for name in inspect.get_annotations(cls):
            # A nullable property needs no value: an answer may leave it out.
            if not hasattr(cls, name) and _nullable(cls, name):
                setattr(cls, name, None)
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)
        hints = typing.get_type_hints(cls, include_extras=True)
        properties = {
            field.name: Property(field.name, cim_type(hints[field.name]), marks.get(field.name, _Mark()))
            for field in dataclasses.fields(cls)  # type: ignore[arg-type]
        }
        cls.__cim__ = Binding(cls, namespace, wmi, properties)
        for method in vars(cls).values():
            if isinstance(method, Method):
                method.owner = cls.__cim__

    @property
    def reference(self) -> Reference:
        """The reference the server gave with the instance, else one built from the key properties."""
        if self._reference is not None:
            return self._reference
        return self.__cim__.reference(**{prop.name: getattr(self, prop.name) for prop in self.__cim__.key_properties})

    def with_reference(self, reference: Reference) -> Self:
        """The same instance with the reference that the server gave."""
        object.__setattr__(self, "_reference", reference)
        return self


def _nullable(cls: type, name: str) -> bool:
    annotation = inspect.get_annotations(cls)[name]
    text = annotation if isinstance(annotation, str) else str(annotation)
    return text.replace(" ", "").endswith("|None") or text.startswith("Optional[")


C = TypeVar("C", bound=CimClass)


def bound_classes() -> list[type[CimClass]]:
    """Every class bound so far, for the contract tests."""
    return list(CimClass.__subclasses__())
