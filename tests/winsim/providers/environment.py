# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Environment variables of the system, which stand in the registry.

The class is one of the few whose instances a Create makes and a Delete removes (CreateBy PutInstance):
https://learn.microsoft.com/en-us/windows/win32/cimwin32prov/win32-environment
"""

from __future__ import annotations

from collections.abc import Iterator

from winsim.host import Host

from . import Fault, Instance, Provider, Wbem
from .registry import RegistryState

environment = Provider("environment")

NAMESPACE, CLASS = "root/cimv2", "Win32_Environment"
KEY = "HKLM\\SYSTEM\\CurrentControlSet\\Control\\Session Manager\\Environment"
SYSTEM = "<SYSTEM>"


@environment.instances(NAMESPACE, CLASS)
def variables(host: Host) -> Iterator[Instance]:
    key = host.state(RegistryState).key(KEY)
    for value in key.values.values() if key is not None else ():
        yield {
            "Caption": f"{SYSTEM}\\{value.name}",
            "Description": f"{SYSTEM}\\{value.name}",
            "Name": value.name,
            "Status": "OK",
            "SystemVariable": True,
            "UserName": SYSTEM,
            "VariableValue": str(value.data),
        }


@environment.create(NAMESPACE, CLASS)
def create(host: Host, values: Instance) -> Instance:
    if values.get("UserName") != SYSTEM or not values.get("Name") or not values.get("VariableValue"):
        raise Fault(Wbem.INVALID_PARAMETER)
    host.state(RegistryState).set(KEY, values["Name"], values["VariableValue"])
    return values


@environment.modify(NAMESPACE, CLASS)
def change(host: Host, instance: Instance, changes: Instance) -> None:
    if not changes.get("VariableValue"):
        raise Fault(Wbem.INVALID_PARAMETER)
    host.state(RegistryState).set(KEY, instance["Name"], changes["VariableValue"])


@environment.delete(NAMESPACE, CLASS)
def delete(host: Host, instance: Instance) -> None:
    key = host.state(RegistryState).key(KEY)
    if key is not None:
        del key.values[instance["Name"].lower()]
