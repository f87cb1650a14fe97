# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a session reaches its host: straight where it can, through a proxy where the user has one."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from support.world import World
from winsim.http import Rim

FLEET: dict[str, Any] = {
    "clock": {"speed": 0},
    "hosts": {"N1": {"build": 17763}},
    "clusters": {"CL1": {"nodes": ["N1"]}},
}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with World(FLEET) as served:
        yield served


@contextlib.contextmanager
def proxy() -> Iterator[tuple[str, list[str]]]:
    """A proxy that notes what it is asked for and refuses: its URL, and the first line of each request."""
    asked: list[str] = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as lines:
                asked.append(lines.readline().decode().strip())
                while lines.readline().strip():
                    pass
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def ask(world: World, transport: str = "http", auth: str = "ntlm", **changes: Any) -> dict[str, Any]:
    variables = {**world.variables("N1", transport=transport, auth=auth), **changes}
    return world.run("N1", "hang_recovery", action="live_dump", variables=variables)


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_a_proxy_of_the_environment_is_asked(world: World, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxy() as (url, asked):
        monkeypatch.setenv(variable, url)
        result = ask(world)
    assert result["unreachable"]
    assert len(asked) == 1
    assert asked[0].startswith(f"POST http://127.0.0.1:{world.served.http_port('N1')}/wsman ")
    assert world.requests("N1") == []


def test_a_proxy_of_the_inventory_is_asked(world: World) -> None:
    with proxy() as (url, asked):
        result = ask(world, "https", "basic", ansible_psrp_proxy=url)
    assert result["unreachable"]
    assert asked[0].startswith(f"CONNECT 127.0.0.1:{world.served.https_port('N1')} ")
    assert world.requests("N1") == []


@pytest.mark.parametrize("how", ["for this host", "for the whole play"])
def test_a_proxy_that_is_not_for_this_host_is_left_alone(
    world: World, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxy() as (url, asked):
        monkeypatch.setenv("http_proxy", url)
        if how == "for this host":
            monkeypatch.setenv("no_proxy", "127.0.0.1")
            result = ask(world)
        else:
            result = ask(world, ansible_psrp_ignore_proxy=True)
    assert result["changed"] is False
    assert asked == []


@pytest.mark.parametrize("transport", ["http", "https"])
def test_a_wrong_password_is_tried_once(world: World, transport: str) -> None:
    # Each try counts towards the lockout of the account.
    assert ask(world, transport, ansible_password="wrong")["unreachable"]
    assert [leg.refused != "" for leg in world.host("N1").handshakes] == [False, True]


def test_a_password_beyond_latin_1_is_sent_as_utf_8() -> None:
    with World({**FLEET, "password": "Жнива-2026"}) as world:
        assert ask(world, "https", "basic")["changed"] is False


def test_a_host_is_tried_again_as_often_as_the_inventory_says(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    host = world.host("N1")
    with world.fleet.changed:
        host.listening = False
        host.drop_connections()
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            with world.fleet.changed:
                host.listening = True
                world.fleet.changed.notify_all()
                assert world.fleet.changed.wait_for(lambda: host.attached(Rim).listeners, timeout=30)

    monkeypatch.setattr(time, "sleep", pause)
    result = ask(world, ansible_psrp_reconnection_retries=2, ansible_psrp_reconnection_backoff=3)
    assert result["changed"] is False
    assert pauses == [3, 6]
