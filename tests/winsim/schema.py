# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The classes Windows documents, from the MOF files of the contract, as they are on a given build of Windows.

What a build has:
- `MinOS`: absent on older builds.
- `NotSeenIn`: absent from the first server named on.
- `SeenIn` names only 23H2: absent before that build. If it names both servers, nobody knows since when: it is there.
- licensing classes before 2008 R2: those of `mof/ws2008`.
A provider corrects this for its host with a `Shape`.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import os
import pickle
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

__all__ = ["Class", "Method", "Parameter", "Property", "Schema", "load", "namespace_key"]

MOF = Path(__file__).parent / "contract" / "mof"
FOREVER = sys.maxsize

# Releases as the `MinOS` texts of the reference pages name them, with the first build of each.
_BUILDS = {
    "Windows 2000 Server": 2195,
    "Windows Server 2003": 3790,
    "Windows Server 2008": 6000,
    "Windows Server 2008 R2": 7600,
    "Windows Server 2008 R2 with SP1": 7601,
    "Windows 8": 9200,
    "Windows Server 2012": 9200,
    "Windows 8.1": 9600,
    "Windows Server 2012 R2": 9600,
    "Windows 10": 10240,
    "Windows Server 2016": 14393,
    "Windows Server 2019": 17763,
    "Windows Server 2022": 20348,
}
_RELEASE = re.compile("|".join(re.escape(name) for name in sorted(_BUILDS, key=len, reverse=True)))
_SERVERS = {"Server2019": 17763, "Server23H2": 25398}


@dataclass(frozen=True)
class Element:
    """What properties and parameters have in common. `type` is the CIM type; `reference` for references.

    `of` is the class of a reference or of an embedded instance; `embedded` without `of` takes any class.
    """

    name: str
    type: str
    array: bool
    embedded: bool
    of: str | None
    values: tuple[str, ...]
    since: int
    until: int

    def on(self, build: int) -> bool:
        """Whether a server of that build has it."""
        return self.since <= build < self.until


@dataclass(frozen=True)
class Property(Element):
    """`values` are the documented values (ValueMap); `value_since` the build each is known from, in parallel."""

    key: bool
    writable_since: int
    lazy: bool
    minimum: int | None
    maximum: int | None
    value_since: tuple[int, ...]
    default: str | None
    dynamic: bool


@dataclass(frozen=True)
class Parameter(Element):
    is_in: bool
    is_out: bool
    mandatory: bool


@dataclass(frozen=True)
class Method:
    """`returns` is the CIM type of ReturnValue, None for a method that returns nothing."""

    name: str
    parameters: tuple[Parameter, ...]
    returns: str | None
    static: bool
    implemented: bool
    since: int
    until: int

    def parameter(self, name: str) -> Parameter | None:
        return next((each for each in self.parameters if each.name.lower() == name.lower()), None)


@dataclass(frozen=True)
class Class:
    """One class as declared, members of every build included, until `at` picks those of one build.

    `open`: members are not all known (a stub, or a class generated on the host), so unknown ones are not refused.
    `bases`: documented superclasses, nearest first. `resource`: URI of a WinRM resource that is no WMI class.
    """

    name: str
    properties: tuple[Property, ...]
    methods: tuple[Method, ...]
    bases: tuple[str, ...]
    association: bool
    abstract: bool
    singleton: bool
    open: bool
    resource: str | None
    since: int
    until: int
    # Names of the properties of every build, for a class that `at` has cut down to one.
    declared: frozenset[str] = frozenset()

    def property(self, name: str) -> Property | None:
        return self._properties.get(name.lower())

    def method(self, name: str) -> Method | None:
        return next((each for each in self.methods if each.name.lower() == name.lower()), None)

    @functools.cached_property
    def _properties(self) -> dict[str, Property]:
        return {each.name.lower(): each for each in self.properties}

    @functools.cached_property
    def keys(self) -> tuple[Property, ...]:
        return tuple(each for each in self.properties if each.key)

    def at(
        self,
        build: int,
        present: frozenset[str] = frozenset(),
        absent: frozenset[str] = frozenset(),
        writable: frozenset[str] = frozenset(),
        keys: frozenset[str] = frozenset(),
    ) -> Class:
        """The class as a host of that build shows it, properties in Windows' order (by name, ignoring case)."""
        kept = [
            replace(
                each,
                writable_since=0 if each.name in writable else each.writable_since,
                key=each.key or each.name in keys,
            )
            for each in self.properties
            if each.name not in absent and (each.on(build) or each.name in present)
        ]
        methods = [
            replace(method, parameters=tuple(each for each in method.parameters if each.on(build)))
            for method in self.methods
            if method.since <= build < method.until
        ]
        declared = frozenset(each.name for each in self.properties)
        ordered = tuple(sorted(kept, key=lambda each: each.name.lower()))
        return replace(self, properties=ordered, methods=tuple(methods), declared=declared)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_properties", "keys")}


Classes = dict[str, Class]


@dataclass(frozen=True)
class Schema:
    """All classes by namespace; both keys in lower case. `older` holds those that replace them before 2008 R2.

    `resources` holds WinRM's own resources by URI, and by name the classes that only occur inside them.
    """

    namespaces: Mapping[str, Classes]
    older: Mapping[str, Classes]
    resources: Mapping[str, Class]

    def has_namespace(self, namespace: str) -> bool:
        return namespace_key(namespace) in self.namespaces

    def find(self, build: int, namespace: str, name: str) -> Class | None:
        """The class as declared if a server of that build has it, else None. `at` gives its members."""
        key = namespace_key(namespace)
        found = self.older.get(key, {}).get(name.lower()) if build < _BUILDS["Windows Server 2008 R2"] else None
        found = found or self.namespaces.get(key, {}).get(name.lower())
        return found if found is not None and found.since <= build < found.until else None

    def classes(self, build: int, namespace: str) -> Iterator[Class]:
        """Every class of a namespace on that build, as declared."""
        for name in self.namespaces.get(namespace_key(namespace), {}):
            found = self.find(build, namespace, name)
            if found is not None:
                yield found

    def is_a(self, build: int, namespace: str, name: str, ancestor: str) -> bool:
        """Whether class `name` is `ancestor` or documented as derived from it."""
        if name.lower() == ancestor.lower():
            return True
        found = self.find(build, namespace, name)
        return found is not None and any(self.is_a(build, namespace, base, ancestor) for base in found.bases)


def namespace_key(namespace: str) -> str:
    """How a namespace is looked up: lower case, forward slashes, any site code of Configuration Manager."""
    key = namespace.replace("\\", "/").strip("/").lower()
    return re.sub(r"^root/sms/site_[a-z0-9]{3}$", "root/sms/site_xxx", key)


@functools.cache
def load() -> Schema:
    """The compiled contract; compiled anew (about a second) only when the MOF files or this module changed."""
    files = [*sorted(MOF.glob("*.mof")), *sorted(MOF.glob("ws2008/*.mof"))]
    digest = hashlib.sha256(repr(sys.version_info).encode())
    for file in [Path(__file__), *files]:
        digest.update(str(file.relative_to(Path(__file__).parents[1])).encode() + b"\0" + file.read_bytes())
    cached = _cache_directory() / f"schema-{digest.hexdigest()[:32]}.pickle"
    with contextlib.suppress(OSError, pickle.UnpicklingError, EOFError, AttributeError):
        # Written below, in a directory of this user alone.
        schema = pickle.loads(cached.read_bytes())
        if isinstance(schema, Schema):
            return schema
    schema = _compile()
    with contextlib.suppress(OSError):
        cached.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cached.parent, delete=False) as written:
            written.write(pickle.dumps(schema, pickle.HIGHEST_PROTOCOL))
        Path(written.name).replace(cached)
    return schema


def _cache_directory() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "winsim"


# --- compiling ---------------------------------------------------------------------------------------------------

_PRAGMA = re.compile(r'^// #pragma namespace \("(.*)"\)')


def _compile() -> Schema:
    system = _compile_files([MOF / "system_classes.mof"])
    namespaces: dict[str, Classes] = {}
    resources: dict[str, Class] = {}
    for file in sorted(MOF.glob("*.mof")):
        if file.name in ("qualifiers.mof", "system_classes.mof"):
            continue
        if file.name == "winrm_config.mof":
            resources = {each.resource or each.name: each for each in _compile_files([file]).values()}
            continue
        classes = _compile_files([MOF / "system_classes.mof", file])
        # The registry provider's class is registered in root/default and root/cimv2.
        extra = ["root/cimv2"] if file.name == "root_default_stdregprov.mof" else []
        for namespace in [_namespace_of(file), *extra]:
            namespaces.setdefault(namespace, dict(system)).update(classes)
    older = {_namespace_of(file): _compile_files([file]) for file in sorted(MOF.glob("ws2008/*.mof"))}
    return Schema(namespaces, older, resources)


def _namespace_of(file: Path) -> str:
    found = _PRAGMA.match(file.read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(f"{file}: the first line does not name the namespace")
    return namespace_key(found[1].replace("\\\\", "\\").removeprefix("\\\\.\\"))


def _compile_files(files: Iterable[Path]) -> Classes:
    # Untyped, heavy, and not needed while the cache holds.
    pywbem: Any = importlib.import_module("pywbem")

    repository = pywbem.MOFWBEMConnection()
    compiler = pywbem.MOFCompiler(repository, log_func=None)
    for file in [MOF / "qualifiers.mof", *files]:
        compiler.compile_file(str(file), "namespace")
    return {each.classname.lower(): _class(each) for each in repository.classes["namespace"].values()}


def _class(declared: Any) -> Class:
    qualifiers = _Qualifiers(declared)
    bases = [declared.superclass, qualifiers.text("DocumentedSuperclass")]
    since, until = qualifiers.range()
    return Class(
        name=declared.classname,
        properties=tuple(_property(each) for each in declared.properties.values()),
        methods=tuple(_method(each, declared.classname) for each in declared.methods.values()),
        bases=tuple(base for base in bases if base),
        association=qualifiers.flag("Association"),
        abstract=qualifiers.flag("Abstract"),
        singleton=qualifiers.flag("Singleton"),
        open=qualifiers.flag("Stub") or qualifiers.flag("DynamicClass"),
        resource=qualifiers.text("WSManResource"),
        since=since,
        until=until,
    )


def _property(declared: Any) -> Property:
    qualifiers = _Qualifiers(declared)
    minimum, maximum = qualifiers.get("MinValue"), qualifiers.get("MaxValue")
    writable = qualifiers.flag("Write")
    return Property(
        **_element(declared, qualifiers),
        key=qualifiers.flag("Key"),
        writable_since=qualifiers.writable_since() if writable else FOREVER,
        lazy=qualifiers.flag("Lazy"),
        minimum=None if minimum is None else int(minimum),
        maximum=None if maximum is None else int(maximum),
        value_since=tuple(_build(text) for text in qualifiers.get("ValueMinOS") or ()),
        default=qualifiers.text("DefaultValue"),
        dynamic=qualifiers.flag("DynamicClass"),
    )


def _method(declared: Any, class_name: str) -> Method:
    qualifiers = _Qualifiers(declared)
    since, until = qualifiers.range()
    parameters = list(declared.parameters.values())
    # The pages mark what may be left out, but not everywhere: only a method that marks some tells which must be given.
    # Behind a cmdlet (PS_ and MSFT_ classes) almost everything may be left out, and the marks are those of some only.
    marks = not class_name.startswith(("PS_", "MSFT_")) and any(
        each.flag("Optional") and not each.flag("NotDocumented") for each in map(_Qualifiers, parameters)
    )
    return Method(
        name=declared.name,
        parameters=tuple(_parameter(each, marks) for each in parameters),
        returns=None if qualifiers.flag("Void") else declared.return_type,
        static=qualifiers.flag("Static"),
        implemented=not qualifiers.flag("NotImplemented"),
        since=since,
        until=until,
    )


def _parameter(declared: Any, marks: bool) -> Parameter:
    qualifiers = _Qualifiers(declared)
    is_in = qualifiers.flag("In", default=True)
    optional = qualifiers.flag("Optional") or qualifiers.get("DefaultValue") is not None
    return Parameter(
        **_element(declared, qualifiers),
        is_in=is_in,
        is_out=qualifiers.flag("Out"),
        mandatory=is_in and (qualifiers.flag("Required") or (marks and not optional)),
    )


def _element(declared: Any, qualifiers: _Qualifiers) -> dict[str, Any]:
    since, until = qualifiers.range()
    instance = qualifiers.text("EmbeddedInstance")
    return {
        "name": declared.name,
        "type": declared.type,
        "array": bool(declared.is_array),
        "embedded": instance is not None or qualifiers.flag("EmbeddedObject"),
        "of": instance or declared.reference_class,
        "values": tuple(qualifiers.get("ValueMap") or ()),
        "since": since,
        "until": until,
    }


class _Qualifiers:
    """The qualifiers of a declaration by name."""

    def __init__(self, declared: Any) -> None:
        self._values = {name.lower(): qualifier.value for name, qualifier in declared.qualifiers.items()}

    def get(self, name: str) -> Any:
        return self._values.get(name.lower())

    def flag(self, name: str, *, default: bool = False) -> bool:
        return bool(self._values.get(name.lower(), default))

    def text(self, name: str) -> str | None:
        value = self.get(name)
        return None if value is None else str(value)

    def range(self) -> tuple[int, int]:
        """First build that has the element, and the first that no longer has it."""
        since = _build(self.text("MinOS") or "")
        seen = [_SERVERS[server] for server in self.get("SeenIn") or ()]
        if seen and min(seen) > _SERVERS["Server2019"]:
            since = max(since, min(seen))
        gone = [_SERVERS[server] for server in self.get("NotSeenIn") or ()]
        return since, min(gone, default=FOREVER)

    def writable_since(self) -> int:
        text = self.text("MinOS") or ""
        return _build(text.partition("read-only until")[2]) or _build(text)


def _build(text: str) -> int:
    """The first build of the release a text names; 0 for none (products have releases of their own)."""
    found = _RELEASE.search(text)
    return _BUILDS[found[0]] if found else 0
