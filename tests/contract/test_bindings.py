# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every class, property, method, cmdlet and parameter that the code names is in the contract."""

from __future__ import annotations

import importlib
import json
import pkgutil
from typing import Any

import pytest
from ansible_collections.fieldnotes.windows.plugins.plugin_utils import win_error, windows
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.bindings import (
    CimClass,
    Method,
    bound_classes,
    key,
    writable,
)
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.cmdlets import Cmdlet
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.types import uint16, uint32
from contract.checker import DATA, READ_ONLY_BUT_TRIED, problems_of_class, problems_of_cmdlet

for _module in pkgutil.iter_modules(windows.__path__, windows.__name__ + "."):
    importlib.import_module(_module.name)

BOUND = [cls for cls in bound_classes() if cls.__module__.startswith(windows.__name__)]
CMDLETS = list(Cmdlet.declared)


@pytest.mark.parametrize("cls", BOUND, ids=lambda cls: cls.__cim__.wmi)
def test_bound_class_is_in_the_contract(cls: type[CimClass]) -> None:
    assert problems_of_class(cls) == []


@pytest.mark.parametrize("cmdlet", CMDLETS, ids=lambda cmdlet: cmdlet.name)
def test_declared_cmdlet_is_in_the_contract(cmdlet: Cmdlet) -> None:
    assert problems_of_cmdlet(cmdlet) == []


class WrongCluster(CimClass, namespace="root/MSCluster", wmi="MSCluster_Cluster"):
    HangRecoveryAction: uint16
    Fqdn: str | None = writable()
    Nonsense: str | None
    AddNode = Method({"NodeName": uint32})
    Explode = Method()


class WrongService(CimClass, namespace="root/cimv2", wmi="Win32_Service"):
    DisplayName: str = key()
    StopService = Method(static=True)
    ChangeStartMode = Method({"Mode": str})


class WrongRegistry(CimClass, namespace="root/default", wmi="StdRegProv"):
    GetStringValue = Method({"sValueName": str}, {"sValue": str}, static=True)


class WrongNamespace(CimClass, namespace="root/cimv2", wmi="MSCluster_Node"):
    Name: str = key()


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        pytest.param(WrongCluster, "HangRecoveryAction: is a uint32, not a uint16", id="type"),
        pytest.param(WrongCluster, "Fqdn: is read-only", id="write"),
        pytest.param(WrongCluster, "Nonsense: no such property", id="property"),
        pytest.param(WrongCluster, "Explode: no such method", id="method"),
        pytest.param(WrongCluster, "AddNode(NodeName): is a string, not a uint32", id="parameter type"),
        pytest.param(WrongService, "DisplayName: is no key", id="key"),
        pytest.param(WrongService, "StopService: is not static", id="static"),
        pytest.param(WrongService, "ChangeStartMode: no In parameter Mode", id="parameter"),
        pytest.param(WrongRegistry, "lacks the mandatory parameter sSubKeyName", id="mandatory parameter"),
        pytest.param(WrongNamespace, "root/cimv2 has no class MSCluster_Node", id="namespace"),
    ],
)
def test_check_bites_on_a_wrong_binding(cls: type[CimClass], expected: str) -> None:
    assert any(expected in problem for problem in problems_of_class(cls)), problems_of_class(cls)


def test_check_bites_on_a_wrong_cmdlet() -> None:
    wrong = Cmdlet("Set-ClusterParameter", "Hyper-V", ("Name", "Colour"))
    unknown = Cmdlet("Set-Everything", "FailoverClusters")
    assert problems_of_cmdlet(wrong) == [
        "Set-ClusterParameter belongs to FailoverClusters, not to Hyper-V",
        "Set-ClusterParameter has no parameter Colour",
    ]
    assert problems_of_cmdlet(unknown) == ["no cmdlet Set-Everything"]


def test_every_exception_to_read_only_is_used_and_has_a_reason() -> None:
    written = {(c.__cim__.wmi, p.name) for c in BOUND for p in c.__cim__.properties.values() if p.writable}
    assert set(READ_ONLY_BUT_TRIED) <= written
    assert all(READ_ONLY_BUT_TRIED.values())


def test_names_of_error_numbers_are_those_of_the_headers() -> None:
    contract: dict[str, dict[str, Any]] = json.loads((DATA / "errors.json").read_text(encoding="utf-8"))
    for code, entries in contract["hresult"].items():
        assert win_error.name_of(int(code, 16)) == entries[0]["name"]
    for number, entries in contract["win32"].items():
        assert win_error.win32_name_of(int(number)) == entries[0]["name"]
