# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Looking at a served fleet and steering it from another process: JSON over HTTP on a loopback port, with a token.

    control = Control(url, token)
    control.advance(60)
    control.set("hosts.N1.winrm.basic", False)
    control.trouble("N1", "drop_after", nth=2)

One request is one POST of `{"do": <operation>, ...}`; the answer is `{"result": ...}`, or `{"error": <text>}` with 400.
A path goes from the fleet through attributes, keys and indexes, parted by dots (a list of parts where a key holds one);
below the fleet or a host the name of a state's section works too: `hosts.N1.network.answers`.
"""

from __future__ import annotations

import dataclasses
import http.server
import json
import secrets
import threading
import typing
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .fleet import Fleet
from .host import Host
from .plain import from_plain, to_plain
from .switches import Switches
from .trouble import Trouble, troubles_of

if TYPE_CHECKING:
    from .http import Served

__all__ = ["Control", "ControlError", "ControlServer"]

Path = str | Sequence[str]

_POLL_SECONDS = 0.05  # how soon the endpoint notices that it is to end


class ControlError(Exception):
    """The served fleet refuses what it was told to do."""


class Control:
    """A client of a served fleet's control endpoint. Every method raises ControlError when the fleet refuses."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token

    def state(self, path: Path = "") -> Any:
        """The value at a path as plain data; the whole fleet's saved form without one."""
        return self._do("state", path=path)

    def set(self, path: Path, value: Any) -> None:
        """Set an attribute, a key or an element; `value` has the form in which `state` shows it."""
        self._do("set", path=path, value=value)

    def log(self, host: str) -> list[dict[str, Any]]:
        """The requests of a host, as in `host.log`."""
        entries: list[dict[str, Any]] = self._do("log", host=host)
        return entries

    def clear_log(self, host: str) -> None:
        self._do("clear_log", host=host)

    def switch(self, name: str, position: object = None, host: str | None = None) -> str:
        """Read a switch, or set it first if a position is given; of one host, or of the fleet."""
        return str(self._do("switch", name=name, position=position, host=host))

    def trouble(self, host: str, kind: str, *, nth: int = 1, action: str | None = None, **options: Any) -> None:
        """Let trouble strike the n-th request from now on (with this action, such as Put); options as in `Trouble`."""
        self._do("trouble", host=host, kind=kind, nth=nth, action=action, options=options)

    def now(self) -> str:
        """The simulated time, ISO 8601."""
        return self.advance(0)

    def advance(self, seconds: float) -> str:
        """Let simulated time pass and return the new time, ISO 8601."""
        return str(self._do("advance", seconds=seconds))

    def reboot(self, host: str, seconds: float | None = None) -> None:
        self._do("reboot", host=host, seconds=seconds)

    def power_off(self, host: str) -> None:
        self._do("power_off", host=host)

    def power_on(self, host: str) -> None:
        self._do("power_on", host=host)

    def drop_connections(self, host: str) -> None:
        self._do("drop_connections", host=host)

    def expire_authentication(self, host: str) -> None:
        self._do("expire_authentication", host=host)

    def _do(self, operation: str, **arguments: Any) -> Any:
        request = urllib.request.Request(
            self._url,
            json.dumps({"do": operation, **arguments}).encode(),
            {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
        )
        # A proxy of the environment has no business between a test and its simulated fleet.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request) as response:
                return json.load(response)["result"]
        except urllib.error.HTTPError as error:
            with error:
                told = error.read().decode("utf-8", "replace")
            raise ControlError(json.loads(told)["error"] if told else f"HTTP {error.code}") from None


class ControlServer:
    """The endpoint itself; `url` and `token` are what a `Control` needs."""

    def __init__(self, served: Served) -> None:
        self.token = secrets.token_urlsafe(24)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(served, self.token))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="winsim control", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(served: Served, token: str) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if not secrets.compare_digest(self.headers.get("Authorization", "").encode(), f"Bearer {token}".encode()):
                return self._reply(401, {"error": "the token is missing or wrong"})
            try:
                return self._reply(200, {"result": perform(served, json.loads(body))})
            except (LookupError, AttributeError, TypeError, ValueError, RuntimeError) as error:
                return self._reply(400, {"error": str(error) or type(error).__name__})

        def _reply(self, status: int, content: dict[str, Any]) -> None:
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing on stderr."""

    return Handler


def perform(served: Served, order: dict[str, Any]) -> Any:
    """Do what an order says, under the fleet's lock, and return the plain result."""
    arguments = dict(order)
    operation = _OPERATIONS.get(name := arguments.pop("do", ""))
    if operation is None:
        raise ValueError(f"there is no operation {name!r}: there are {', '.join(_OPERATIONS)}")
    with served.fleet.changed:
        result = operation(served, **arguments)
        served.fleet.changed.notify_all()
        return to_plain(result)


def _state(served: Served, path: Path) -> Any:
    return _walk(served.fleet, _parts(path))[0] if path else served.fleet.dump()


def _set(served: Served, path: Path, value: Any) -> None:
    *way, last = _parts(path)
    parent, kind = _walk(served.fleet, way)
    if last.startswith("_") or parent is served.fleet.hosts:
        raise LookupError(f"{last} cannot be set")
    if isinstance(parent, (dict, Switches)):
        arguments = typing.get_args(kind)
        parent[last] = from_plain(arguments[1], value) if len(arguments) == 2 else value
    elif isinstance(parent, list):
        arguments = typing.get_args(kind)
        parent[int(last)] = from_plain(arguments[0], value) if arguments else value
    else:
        getattr(parent, last)  # a name nobody knows is refused, not made
        setattr(parent, last, from_plain(_hint(parent, last), value))


def _switch(served: Served, name: str, position: object, host: str | None) -> str:
    switches = served.fleet.host(host).switches if host else served.fleet.switches
    if position is not None:
        switches[name] = str(position)
    return switches[name]


def _trouble(served: Served, host: str, kind: str, nth: int, action: str | None, options: dict[str, Any]) -> None:
    when = None if action is None else lambda asked: asked.action == action
    troubles_of(served.fleet.host(host)).add(Trouble(kind, **options), nth=nth, when=when)


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "state": _state,
    "set": _set,
    "log": lambda served, host: list(served.fleet.host(host).log),
    "clear_log": lambda served, host: served.fleet.host(host).log.clear(),
    "switch": _switch,
    "trouble": _trouble,
    "advance": lambda served, seconds: served.fleet.clock.advance(seconds).isoformat(),
    "reboot": lambda served, host, seconds: served.fleet.host(host).reboot(seconds),
    "power_off": lambda served, host: served.fleet.host(host).power_off(),
    "power_on": lambda served, host: served.fleet.host(host).power_on(),
    "drop_connections": lambda served, host: served.drop_connections(host),
    "expire_authentication": lambda served, host: served.expire_authentication(host),
}


def _parts(path: Path) -> list[str]:
    return path.split(".") if isinstance(path, str) else list(path)


def _walk(fleet: Fleet, parts: list[str]) -> tuple[Any, Any]:
    """What stands at the end of a path, and its annotated type, as far as there is one."""
    value: Any = fleet
    kind: Any = Fleet
    for part in parts:
        if part.startswith("_"):
            raise LookupError(f"{part} is nobody's business")
        if isinstance(value, (Fleet, Host)) and part in value.states:
            value, kind = value.states[part], type(value.states[part])
        elif isinstance(value, (dict, Switches)):
            value, kind = value[_key(value, part)], (typing.get_args(kind) or (Any, Any))[-1]
        elif isinstance(value, (list, tuple)):
            value, kind = value[int(part)], (typing.get_args(kind) or (Any,))[0]
        else:
            value, kind = getattr(value, part), _hint(value, part)
    return value, kind


def _key(value: dict[Any, Any] | Switches, part: str) -> Any:
    if isinstance(value, Switches) or part in value:
        return part
    found = [key for key in value if str(key).lower() == part.lower()]
    if not found:
        raise LookupError(f"there is no {part!r}: there are {', '.join(str(key) for key in value)}")
    return found[0]


def _hint(value: Any, name: str) -> Any:
    return typing.get_type_hints(type(value)).get(name, Any) if dataclasses.is_dataclass(value) else Any
