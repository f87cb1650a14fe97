# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Arguments of every kind for every option of every module: refused in words, or handled, and nothing is written.

What an option is comes from the documentation of its module; what it gets is of its type, or of none. The tasks run in
check mode, against hosts on which the module finds work, so that what passes validation goes all the way to the plan.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.fieldnotes.windows.plugins import modules
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.ansible_task import run_task
from support.points import Point
from support.procedures import MAIN_PATHS, Main
from support.world import FleetClock, World

MODULES = sorted(each.name for each in pkgutil.iter_modules(modules.__path__))

# Where a module finds something to read or to do; any other runs against the first of them.
PLACES = {
    "cim_instance": "cim_instance",
    "cim_method": "cim_method",
    "dhcp_migrate": "dhcp_migrate (exported)",
    "disable_ipv6": "disable_ipv6 (bindings)",
    "hang_recovery": "hang_recovery",
    "ipv6_info": "disable_ipv6 (bindings)",
    "kms_host": "kms_host (20348)",
    "kms_host_info": "kms_host (20348)",
    "kms_srv_record": "kms_srv_record (wmi)",
    "nlb_info": "nlb_mode (cluster)",
    "nlb_mode": "nlb_mode (cluster)",
    "snapshot_offline_action": "snapshot_offline_action (live, 20348)",
    "snapshot_offline_action_info": "snapshot_offline_action (live, 20348)",
}
ONCE: dict[str, dict[str, Any]] = {
    "cim_query": {"class": "Win32_Service"},
    "fleet_info": {"procedures": [{"name": "hang_recovery"}]},
    "audit_report": {"fleet": []},
}
"""Arguments that are right, for modules whose main path is not in the table."""

ODD = [
    "", " ", "0", "-1", "a" * 5000, "ä€𝄞", "\x00", "a\x07b", "\ud800", "\ufffe", "\r\n", "{{ lookup('env', 'HOME') }}",
    "{% for", "%s{0}", "'; DROP", 'a" OR ""="', "..\\..\\x", "C:\\", "\\\\?\\x", "/etc/passwd", "None", "null", "NaN",
    "true", "1e999", "0x10", "2026-01-01", "::1", "192.0.2.1", "999.1.1.1", "fe80::1%eth0", "root/cimv2",
    "Win32_Service", "Name = 'x'", "SELECT * FROM Win32_Service", "00000000-0000-0000-0000-000000000000",
    "a.example", "-", ".", "*",
]  # fmt: skip
TEXTS = st.one_of(st.sampled_from(ODD), st.text(max_size=12))
NUMBERS = st.one_of(st.integers(-2, 300), st.sampled_from([2**15, 2**16, 2**31, 2**32, 2**64, -(2**63), 10**30]))
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, st.floats(), TEXTS)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)


@functools.cache
def options(module: str) -> dict[str, Any]:
    """The documented options of a module."""
    page = importlib.import_module(f"{modules.__name__}.{module}")
    found: dict[str, Any] = yaml.safe_load(page.DOCUMENTATION).get("options") or {}
    return found


def of_type(option: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values that the documentation of an option allows, as far as it says."""
    kind = option.get("type", "str")
    if kind == "list":
        element = {**option, "type": option.get("elements", "str")}
        return st.lists(of_type(element), max_size=3)
    if option.get("choices"):
        return st.sampled_from(option["choices"])
    if "suboptions" in option:
        inside = {name: of_type(each) for name, each in option["suboptions"].items()}
        return st.fixed_dictionaries({}, optional=inside)
    typed: dict[str, st.SearchStrategy[Any]] = {
        "bool": st.booleans(),
        "int": NUMBERS,
        "float": st.floats(),
        "dict": st.dictionaries(TEXTS, SCALARS, max_size=3),
        "raw": ANYTHING,
    }
    return typed.get(kind, TEXTS)


def changes(module: str) -> st.SearchStrategy[dict[str, Any]]:
    """Up to three options and what they get: mostly of their types, so that it comes as far as the procedure."""
    known = options(module)

    def valued(names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
        typed = {name: of_type(known[name]) for name in names}
        untyped = dict.fromkeys(names[:1], ANYTHING)
        right = st.fixed_dictionaries(typed)
        return st.one_of(right, right, right, st.fixed_dictionaries({**typed, **untyped}))

    return st.lists(st.sampled_from(sorted(known)), max_size=3, unique=True).flatmap(valued) if known else st.just({})


class Stage:
    """A module and a fleet on which it finds work."""

    def __init__(self, module: str, world: World, main: Main, home: Path) -> None:
        self.module = module
        self.world = world
        self.main = main
        self.home = home
        self.right = dict(main.arguments) if main.module == module else ONCE.get(module, {})
        self.variables = {
            "hostvars": {name: world.variables(name) for name in world.fleet.hosts},
            "ansible_play_hosts": [main.host],
            **world.variables(main.host),
            "ansible_psrp_auth": main.auth,
        }

    def run(self, changed: Mapping[str, Any], *, bare: bool) -> dict[str, Any]:
        """A task in check mode; bare: with nothing but what is changed."""
        arguments = {**({} if bare else self.right), **changed}
        # Files of the controller stay below the directory of the test, whatever they are called.
        for name, option in options(self.module).items():
            if option.get("type") == "path" and isinstance(arguments.get(name), str):
                arguments[name] = str(self.home / arguments[name].replace("/", "_"))
        if "controller_dir" in options(self.module):
            arguments.setdefault("controller_dir", str(self.home))
        # A method of which the user says that it only reads is called in check mode too.
        if self.module == "cim_method" and arguments.get("reads") is not False:
            arguments.pop("reads", None)
        clock = FleetClock(self.world.fleet)
        return run_task(self.module, arguments, self.variables, check=True, clock=clock)

    def check(self, changed: Mapping[str, Any], *, bare: bool) -> None:
        """That a task with these arguments tells what is wrong with them, or plans, and that nothing is written."""
        before = {name: len(self.world.host(name).log) for name in self.world.fleet.hosts}
        files = sorted(self.home.rglob("*"))
        result = self.run(changed, bare=bare)
        for name, number in before.items():
            assert self.world.writes(name, number) == []
        assert sorted(self.home.rglob("*")) == files
        if result.get("failed") or result.get("unreachable"):
            assert isinstance(result["msg"], str)
            assert len(result["msg"].strip()) > 10
            for word in ("Traceback", "object at 0x", "NoneType", "\x1b", "\x00"):
                assert word not in result["msg"]


@pytest.fixture(params=MODULES)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    main = MAIN_PATHS[PLACES.get(request.param, "hang_recovery")]
    with World(main.fleet()) as world:
        main.prepare(world, tmp_path)
        yield Stage(request.param, world, main, tmp_path)


SELDOM = st.sampled_from([False, False, False, True])
EACH = settings(deadline=None, suppress_health_check=list(HealthCheck))


@settings(EACH, max_examples=4, derandomize=True)
@given(data=st.data(), bare=SELDOM)
def test_any_argument_is_refused_or_handled(stage: Stage, data: st.DataObject, bare: bool) -> None:
    stage.check(data.draw(changes(stage.module)), bare=bare)


@pytest.mark.faults
def test_any_argument_is_refused_or_handled_many_times(stage: Stage, point: Point) -> None:
    @settings(EACH, max_examples=60)
    @given(data=st.data(), bare=SELDOM)
    def check(data: st.DataObject, bare: bool) -> None:
        # Drawn first: what hypothesis draws and gives up is no point.
        given_arguments = data.draw(changes(stage.module))
        with point(f"bad arguments: {stage.module}", "any argument"):
            stage.check(given_arguments, bare=bare)

    check()


@pytest.mark.parametrize("number", ["inf", "-Infinity", float("inf"), "1e999999999", [2**64, None, None]])
def test_a_number_that_is_none_is_refused_by_the_name_of_its_option(number: Any) -> None:
    result = run_task("hang_recovery", {"action": "log", "timeout": number}, {"inventory_hostname": "N1"})
    assert result["failed"]
    assert "timeout" in result["msg"]


@pytest.mark.parametrize("module", ["", " ", "..audit_report", "no_such_module"])
def test_a_procedure_that_is_none_is_refused_with_those_that_are(module: str, tmp_path: Path) -> None:
    for asks, more in (("fleet_info", {}), ("audit_report", {"fleet": [], "html": str(tmp_path / "audit.html")})):
        result = run_task(asks, {"procedures": [{"module": module}], **more}, {"inventory_hostname": "N1"})
        assert result["failed"]
        assert "hang_recovery" in result["msg"]
    assert not list(tmp_path.iterdir())


def test_every_module_is_tried() -> None:
    assert set(PLACES) | set(ONCE) | {"hang_recovery_info", "outlook_anywhere_info"} == set(MODULES)
