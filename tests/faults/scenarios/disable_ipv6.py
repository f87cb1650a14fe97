# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""disable_ipv6: hosts file, a value of the wrong type, the value itself, two bindings; then the restart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from faults.scenario import CLOCK, Scenario, Task, in_turn, journals
from support.world import World
from winsim.providers import files
from winsim.providers.adapters import Adapters
from winsim.providers.registry import RegistryState
from winsim.providers.tcpip6 import HOSTS, PARAMETERS

BACKUP = HOSTS + ".fieldnotes.bak"
TEXT = "# our hosts\r\n127.0.0.1\tlocalhost\r\n::1\tlocalhost\r\n"
EDITED = (
    "# our hosts\r\n127.0.0.1\tlocalhost\r\n# ::1\tlocalhost # disabled by fieldnotes.windows\r\n"
    "192.0.2.1\tN1 # added by fieldnotes.windows\r\n192.0.2.1\tN1.corp.example # added by fieldnotes.windows\r\n"
)
WRONG_TYPE = "32"
ARGUMENTS = {
    "state": "disabled",
    "allow_unsupported": True,
    "hosts_loopback": "exchange2007",
    "hosts_ipv4_address": "192.0.2.1",
    "adapter_binding": "unbound",
}


def _fleet() -> dict[str, Any]:
    host = {
        "build": 17763,
        "domain": "corp.example",
        "files": {HOSTS: {"text": TEXT}},
        "registry": {PARAMETERS: {"DisabledComponents": WRONG_TYPE}},
        "adapters": {"A": {"addresses": ["192.0.2.1"]}, "B": {"addresses": ["198.51.100.1"]}},
    }
    return {"clock": CLOCK, "hosts": {"N1": host}}


def _text(world: World) -> str:
    return (files.read(world.host("N1"), HOSTS) or b"").decode("latin-1")


def _value(world: World) -> Any:
    return world.host("N1").state(RegistryState).get(PARAMETERS, "DisabledComponents")


def _missing(world: World) -> Iterator[str]:
    if _value(world) != 0xFF:
        yield f"DisabledComponents is {_value(world)}"
    if _text(world) != EDITED:
        yield f"the hosts file is {_text(world)!r}"
    for adapter in world.host("N1").state(Adapters).adapters.values():
        if adapter.ipv6:
            yield f"{adapter.name} is bound"


def _wrong(world: World) -> Iterator[str]:
    if _text(world) not in (TEXT, EDITED):
        yield f"the hosts file is {_text(world)!r}"
    if _value(world) not in (WRONG_TYPE, None, 0xFF):
        yield f"DisabledComponents is {_value(world)}"


def _restart(world: World) -> None:
    # The value takes effect with the restart; the run after it ends the journal.
    world.host("N1").reboot(0)


def _left(world: World) -> Iterator[str]:
    yield from journals(world)
    if files.read(world.host("N1"), BACKUP) is not None:
        yield f"{BACKUP} is there"


SCENARIOS = (
    Scenario(
        "disable_ipv6 (file, value, bindings)",
        lambda _: World(_fleet()),
        in_turn(Task("N1", "disable_ipv6", ARGUMENTS)),
        _missing,
        _wrong,
        settle=_restart,
        left=_left,
        parts=3,
        sample=(53, 60),
    ),
)
