# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a provider is, and where all of them are found.

A provider plays one Windows subsystem: a file in this directory with small functions, each tied by a decorator to what
it plays. It is called under `fleet.lock`, after the caller (wsman, psrp, winrs) has held the request against the public
schema; it never parses or writes XML and never sleeps.

    cluster = Provider("cluster")

    @cluster.section("dns")                                  # a key of each host in the fleet file -> a state
    @cluster.shared("clusters")                              # a key of the fleet file -> a state of the whole fleet
    @cluster.available("root/MSCluster")                     # (host) -> bool; namespaces nobody names are always there
    @cluster.shape("root/MSCluster", "MSCluster_Cluster")    # (host) -> Shape, where the class differs from the schema
    @cluster.instances("root/MSCluster", "MSCluster_Node")   # (host) -> Iterable[Instance]
    @cluster.get(namespace, cls)                             # (host, keys) -> Instance | None, where Get tells more
    @cluster.modify(namespace, cls)                          # (host, instance, changes) -> None
    @cluster.create(namespace, cls)                          # (host, values) -> Instance (with its keys)
    @cluster.delete(namespace, cls)                          # (host, instance) -> None
    @cluster.method(namespace, cls, "TakeOffline")           # (host, instance | None, inputs) -> all outputs
    @cluster.process("cluster.exe")                          # (host, arguments, stdin) -> Output | Process
    @cluster.cmdlet("Set-ClusterParameter")                  # (host, parameters, pipeline input) -> Iterable of records
    @cluster.stopping, @cluster.boot, @cluster.arm           # (host): going down; up again; after building or loading

Values of an `Instance` are Python's: str, bool, int, float, aware `datetime`, `timedelta` (intervals), list,
`Reference`, `Embedded`, and None or a missing key for null. Names of properties are spelled as in the schema. A
provider may fill properties that the class lacks on an older build: the caller shows only what the schema has there.
"""

from __future__ import annotations

import contextlib
import importlib
import ntpath
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from winsim.fleet import Fleet
    from winsim.host import Host

__all__ = [
    "CALLER",
    "QUERIED",
    "Caller",
    "DebugMessage",
    "Embedded",
    "EnumValue",
    "ErrorRecord",
    "Fault",
    "Instance",
    "Output",
    "PSObject",
    "Process",
    "ProgressMessage",
    "Provider",
    "Reference",
    "Shape",
    "Terminating",
    "VerboseMessage",
    "WarningMessage",
    "Wbem",
    "calling",
    "from_win32",
    "providers",
]

Instance = dict[str, Any]
F = TypeVar("F", bound=Callable[..., Any])


class Wbem(IntEnum):
    """WMI's own error numbers (WbemCli.h)."""

    FAILED = 0x80041001
    NOT_FOUND = 0x80041002
    ACCESS_DENIED = 0x80041003
    PROVIDER_FAILURE = 0x80041004
    TYPE_MISMATCH = 0x80041005
    INVALID_PARAMETER = 0x80041008
    NOT_SUPPORTED = 0x8004100C
    INVALID_NAMESPACE = 0x8004100E
    INVALID_OBJECT = 0x8004100F
    INVALID_CLASS = 0x80041010
    PROVIDER_NOT_FOUND = 0x80041011
    PROVIDER_LOAD_FAILURE = 0x80041013
    INVALID_OPERATION = 0x80041016
    INVALID_QUERY = 0x80041017
    ALREADY_EXISTS = 0x80041019
    READ_ONLY = 0x80041023
    PROVIDER_NOT_CAPABLE = 0x80041024
    ILLEGAL_NULL = 0x80041028
    VALUE_OUT_OF_RANGE = 0x8004102B
    INVALID_METHOD = 0x8004102E
    INVALID_METHOD_PARAMETERS = 0x8004102F
    INVALID_PROPERTY = 0x80041031
    CALL_CANCELLED = 0x80041032


def from_win32(number: int) -> int:
    """HRESULT_FROM_WIN32: the HRESULT in which a Win32 error travels."""
    return 0x80070000 | (number & 0xFFFF)


class Fault(Exception):
    """Windows refuses: `code` is the innermost number (unsigned 32 bits), `text` what Windows would say.

    From a provider it is a provider's fault (WMI status or HRESULT); the WS-Management layer wraps it in the form of
    the host's build and picks the subcode unless `subcode` (such as `wsman:AccessDenied`) names one.
    """

    def __init__(self, code: int, text: str = "", *, subcode: str | None = None) -> None:
        self.code = int(code) & 0xFFFFFFFF
        self.text = text
        self.subcode = subcode
        super().__init__(f"0x{self.code:08X} {text}".rstrip())


@dataclass(frozen=True)
class Reference:
    """A CIM reference: an object path by its parts; `keys` holds Python values."""

    namespace: str
    cls: str
    keys: Mapping[str, Any]


@dataclass(frozen=True)
class Embedded:
    """An embedded instance and the class it is of."""

    cls: str
    values: Instance
    namespace: str | None = None


@dataclass(frozen=True)
class Shape:
    """How a class differs on this host from the schema for its build.

    `present` and `absent` add or take properties (names of the schema) that the build rule would take or leave; a Put
    of a `writable` property reaches the provider although the schema says Read. `keys` are what the references of the
    instances hold where no page says what the keys of the class are.
    """

    present: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()
    writable: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Caller:
    """Who asks. `delegated` means that the credentials can go on to a third machine (CredSSP, Kerberos delegation)."""

    user: str
    scheme: str = "Basic"
    delegated: bool = False


CALLER: ContextVar[Caller] = ContextVar("CALLER", default=Caller("Administrator"))  # noqa: B039 - frozen


@contextlib.contextmanager
def calling(caller: Caller) -> Iterator[None]:
    """Requests inside are made by `caller`; a provider reads `CALLER.get()`."""
    token = CALLER.set(caller)
    try:
        yield
    finally:
        CALLER.reset(token)


# What the query being answered asks a property to be, by lower-case name: for a class that does what it is asked
# (Win32_PingStatus) instead of having instances.
QUERIED: ContextVar[Mapping[str, Any]] = ContextVar("QUERIED", default={})  # noqa: B039 - replaced, never changed


# Processes


@dataclass(frozen=True)
class Output:
    """A process that is over at once. Text is encoded by winrs in the code page of the shell."""

    stdout: str = ""
    stderr: str = ""
    exit_code: int = 0


class Process:
    """A process that runs on the clock: its provider prints and exits it from clock events, winrs takes the output."""

    def __init__(self, host: Host) -> None:
        self._changed = host.fleet.changed
        self._stdout: list[str] = []
        self._stderr: list[str] = []
        self.exit_code: int | None = None
        self.on_signal: Callable[[str], None] | None = None

    def print(self, text: str) -> None:
        with self._changed:
            self._stdout.append(text)
            self._changed.notify_all()

    def error(self, text: str) -> None:
        with self._changed:
            self._stderr.append(text)
            self._changed.notify_all()

    def exit(self, code: int) -> None:
        with self._changed:
            if self.exit_code is None:
                self.exit_code = code
            self._changed.notify_all()

    def signal(self, name: str) -> None:
        """`ctrl_c`, `ctrl_break` or `terminate`; ends the process unless its provider wants otherwise."""
        if self.on_signal is not None:
            self.on_signal(name)
        else:
            self.exit(0xC000013A)  # STATUS_CONTROL_C_EXIT

    def take(self) -> tuple[str, str]:
        """What was printed on stdout and stderr since the last call."""
        with self._changed:
            taken = "".join(self._stdout), "".join(self._stderr)
            self._stdout.clear()
            self._stderr.clear()
            return taken


# Cmdlets


@dataclass(frozen=True)
class EnumValue:
    """A value of a .NET enumeration."""

    type: str
    name: str
    value: int


@dataclass(frozen=True)
class PSObject:
    """An object a cmdlet puts out: type chain (without `System.Object` at its end), .NET properties, notes."""

    types: tuple[str, ...]
    properties: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    text: str | None = None


@dataclass(frozen=True)
class ErrorRecord:
    """A non-terminating error: put out among the results, the pipeline goes on. `category` as in ErrorCategory."""

    message: str
    error_id: str
    category: int = 0
    exception: tuple[str, ...] = ("System.Exception",)
    target: Any = None
    target_name: str = ""
    target_type: str = ""
    activity: str = ""
    reason: str = ""
    hresult: int | None = None


class Terminating(Exception):
    """A terminating error: the pipeline fails with this record."""

    def __init__(self, record: ErrorRecord) -> None:
        self.record = record
        super().__init__(record.message)


@dataclass(frozen=True)
class WarningMessage:
    text: str


@dataclass(frozen=True)
class VerboseMessage:
    text: str


@dataclass(frozen=True)
class DebugMessage:
    text: str


@dataclass(frozen=True)
class ProgressMessage:
    activity: str
    status: str = ""
    percent: int = -1
    completed: bool = False


# The registry of everything that is played

InstancesFunction = Callable[["Host"], Iterable[Instance]]
GetFunction = Callable[["Host", Instance], "Instance | None"]
ModifyFunction = Callable[["Host", Instance, Instance], None]
CreateFunction = Callable[["Host", Instance], Instance]
DeleteFunction = Callable[["Host", Instance], None]
MethodFunction = Callable[["Host", "Instance | None", Instance], Instance]
ProcessFunction = Callable[["Host", list[str], str], "Output | Process"]
CmdletFunction = Callable[["Host", dict[str, Any], list[Any]], Iterable[Any]]
HostTest = Callable[["Host"], bool]
HostHook = Callable[["Host"], None]


WITH_WINDOWS = frozenset(
    {
        "root",
        "root/cimv2",
        "root/default",
        "root/standardcimv2",
        "root/microsoft/windows/storage",
        "root/microsoft/windows/taskscheduler",
    }
)


def normal(namespace: str) -> str:
    """`ROOT\\CIMV2` and `root/cimv2` are the same namespace."""
    return namespace.replace("\\", "/").strip("/").lower()


@dataclass(frozen=True)
class PlayedProcess:
    """`reads_stdin`: call `run` only when stdin has ended, with all of it; otherwise at once, with ''."""

    run: ProcessFunction
    reads_stdin: bool
    available: HostTest | None


@dataclass(frozen=True)
class PlayedCmdlet:
    run: CmdletFunction
    available: HostTest | None


class Registry:
    """Finds the function that plays something. Names ignore case; namespaces take either slash."""

    def __init__(self) -> None:
        self._classes: dict[tuple[str, str, str, str], Callable[..., Any]] = {}
        self._namespaces: dict[str, list[HostTest]] = {}
        self._processes: dict[str, PlayedProcess] = {}
        self._cmdlets: dict[str, PlayedCmdlet] = {}
        self.sections: dict[str, Callable[[Host, Any, str], Any]] = {}
        self.shared_sections: dict[str, Callable[[Fleet, Any, str], Any]] = {}
        self.state_types: dict[str, type[Any]] = {}
        self.hooks: dict[str, list[HostHook]] = {"stopping": [], "boot": [], "arm": []}
        self._loaded = False

    def load(self) -> Registry:
        """Import every provider file of this package; done once, before the first fleet is built."""
        if not self._loaded:
            self._loaded = True
            for module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
                importlib.import_module(f"{__name__}.{module}")
        return self

    def add(self, kind: str, namespace: str, cls: str, member: str, function: Callable[..., Any]) -> None:
        key = (kind, normal(namespace), cls.lower(), member.lower())
        if key in self._classes:
            raise ValueError(f"{kind} of {namespace}:{cls} {member} is played twice".rstrip())
        self._classes[key] = function

    def _find(self, kind: str, namespace: str, cls: str, member: str = "") -> Callable[..., Any] | None:
        return self.load()._classes.get((kind, normal(namespace), cls.lower(), member.lower()))

    def played(self, kind: str) -> list[tuple[str, str, str]]:
        """(namespace, class, method or '') of what is played of a kind (`instances`, `method` ...), in lower case."""
        return sorted(key[1:] for key in self.load()._classes if key[0] == kind)

    def namespace_available(self, host: Host, namespace: str) -> bool:
        """Whether the namespace is there on this host, as far as it depends on what is installed.

        A namespace in which nothing is played belongs to a feature that these hosts do not have, unless every Windows
        has it.
        """
        wanted = normal(namespace)
        if wanted not in WITH_WINDOWS and not any(key[1] == wanted for key in self.load()._classes):
            return False
        return all(test(host) for test in self.load()._namespaces.get(wanted, []))

    def shape(self, host: Host, namespace: str, cls: str) -> Shape:
        found = self._find("shape", namespace, cls)
        shape: Shape = found(host) if found is not None else Shape()
        return shape

    def instances(self, host: Host, namespace: str, cls: str) -> list[Instance]:
        """All instances. A class of the schema that nobody plays is refused, never shown as empty."""
        found = self._find("instances", namespace, cls)
        if found is None:
            raise Fault(Wbem.PROVIDER_LOAD_FAILURE, f"nobody plays {namespace}:{cls} here")
        return list(found(host))

    def get(self, host: Host, namespace: str, cls: str, keys: Mapping[str, Any]) -> Instance:
        """The instance with these keys (the only one there is if `keys` is empty); else WBEM_E_NOT_FOUND."""
        found = self._find("get", namespace, cls)
        if found is not None:
            instance: Instance | None = found(host, dict(keys))
            matching = [instance] if instance is not None else []
        else:
            matching = [each for each in self.instances(host, namespace, cls) if _has_keys(each, keys)]
        if len(matching) != 1:
            raise Fault(Wbem.NOT_FOUND, f"{cls} {dict(keys)}: not found")
        return matching[0]

    def modify(self, host: Host, namespace: str, cls: str, keys: Mapping[str, Any], changes: Instance) -> None:
        found = self._find("modify", namespace, cls)
        if found is None:
            raise Fault(Wbem.PROVIDER_NOT_CAPABLE, f"{cls} cannot be changed")
        found(host, self.get(host, namespace, cls, keys), changes)

    def create(self, host: Host, namespace: str, cls: str, values: Instance) -> Instance:
        """Create an instance and return it, its keys included."""
        found = self._find("create", namespace, cls)
        if found is None:
            raise Fault(Wbem.PROVIDER_NOT_CAPABLE, f"{cls} cannot be created")
        created: Instance = found(host, values)
        return created

    def delete(self, host: Host, namespace: str, cls: str, keys: Mapping[str, Any]) -> None:
        found = self._find("delete", namespace, cls)
        if found is None:
            raise Fault(Wbem.PROVIDER_NOT_CAPABLE, f"{cls} cannot be deleted")
        found(host, self.get(host, namespace, cls, keys))

    def invoke(
        self, host: Host, namespace: str, cls: str, method: str, keys: Mapping[str, Any] | None, inputs: Instance
    ) -> Instance:
        """Call a method; `keys` is None for a static one. The outputs hold ReturnValue unless the method is void."""
        found = self._find("method", namespace, cls, method)
        if found is None:
            raise Fault(Wbem.PROVIDER_NOT_CAPABLE, f"nobody plays {cls}.{method} here")
        outputs: Instance = found(host, None if keys is None else self.get(host, namespace, cls, keys), inputs)
        return outputs

    def process(self, host: Host, executable: str) -> PlayedProcess | None:
        """The process behind `cluster`, `cluster.exe` or a full path in the system directory; None: file not found."""
        directory, name = ntpath.split(executable.strip('"').lower())
        if directory and directory != host.system_directory.lower():
            return None
        name = name if ntpath.splitext(name)[1] else f"{name}.exe"
        played = self.load()._processes.get(name)
        if played is None or (played.available is not None and not played.available(host)):
            return None
        if name in host.forced_exits:
            code = host.forced_exits[name]
            return PlayedProcess(lambda *_: Output(exit_code=code), reads_stdin=False, available=None)
        return played

    def executables(self, host: Host) -> list[str]:
        """File names of the processes that can run on this host."""
        played = self.load()._processes.items()
        return sorted(name for name, each in played if each.available is None or each.available(host))

    def cmdlet(self, host: Host, name: str) -> PlayedCmdlet | None:
        """The function behind a cmdlet; None: nobody plays it here, or what it belongs to is not installed."""
        played = self.load()._cmdlets.get(name.lower())
        if played is None or (played.available is not None and not played.available(host)):
            return None
        return played


def _has_keys(instance: Instance, keys: Mapping[str, Any]) -> bool:
    return all(_same(instance.get(name), value) for name, value in keys.items())


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left.lower() == right.lower()
    return bool(left == right)


providers = Registry()


class Provider:
    """The decorators of one provider file."""

    def __init__(self, name: str, registry: Registry = providers) -> None:
        self.name = name
        self._registry = registry

    def section(self, key: str, state: type[Any]) -> Callable[[F], F]:
        """(host, data, path) -> state: builds the host's state from key `key` of the host in the fleet file.

        Called for every host; `data` is None where the file says nothing. `path` names the place in the file for
        refusals (`fleet.refuse`, `fleet.mapping`). The state is a dataclass of plain data: `host.state(type)`.
        """

        def decorate(function: F) -> F:
            self._registry.sections[key] = function
            self._registry.state_types[key] = state
            return function

        return decorate

    def shared(self, key: str, state: type[Any]) -> Callable[[F], F]:
        """(fleet, data, path) -> state: a key of the fleet itself; `fleet.state(type)`.

        Built when the hosts are there, before their sections.
        """

        def decorate(function: F) -> F:
            self._registry.shared_sections[key] = function
            self._registry.state_types[key] = state
            return function

        return decorate

    def available(self, namespace: str) -> Callable[[F], F]:
        def decorate(function: F) -> F:
            self._registry._namespaces.setdefault(normal(namespace), []).append(function)
            return function

        return decorate

    def _class(self, kind: str, namespace: str, cls: str, member: str = "") -> Callable[[F], F]:
        def decorate(function: F) -> F:
            self._registry.add(kind, namespace, cls, member, function)
            return function

        return decorate

    def shape(self, namespace: str, cls: str) -> Callable[[F], F]:
        return self._class("shape", namespace, cls)

    def instances(self, namespace: str, cls: str) -> Callable[[F], F]:
        return self._class("instances", namespace, cls)

    def get(self, namespace: str, cls: str) -> Callable[[F], F]:
        return self._class("get", namespace, cls)

    def modify(self, namespace: str, cls: str) -> Callable[[F], F]:
        return self._class("modify", namespace, cls)

    def create(self, namespace: str, cls: str) -> Callable[[F], F]:
        return self._class("create", namespace, cls)

    def delete(self, namespace: str, cls: str) -> Callable[[F], F]:
        return self._class("delete", namespace, cls)

    def method(self, namespace: str, cls: str, name: str) -> Callable[[F], F]:
        return self._class("method", namespace, cls, name)

    def process(
        self, executable: str, *, available: HostTest | None = None, reads_stdin: bool = False
    ) -> Callable[[F], F]:
        def decorate(function: F) -> F:
            self._registry._processes[executable.lower()] = PlayedProcess(function, reads_stdin, available)
            return function

        return decorate

    def cmdlet(self, name: str, *, available: HostTest | None = None) -> Callable[[F], F]:
        def decorate(function: F) -> F:
            self._registry._cmdlets[name.lower()] = PlayedCmdlet(function, available)
            return function

        return decorate

    def stopping(self, function: HostHook) -> HostHook:
        self._registry.hooks["stopping"].append(function)
        return function

    def boot(self, function: HostHook) -> HostHook:
        self._registry.hooks["boot"].append(function)
        return function

    def arm(self, function: HostHook) -> HostHook:
        self._registry.hooks["arm"].append(function)
        return function
