# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of the action plugin of the same name. The action plugin reads its argument specification from here."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cim_method
short_description: Call a method of any WMI class
version_added: 0.1.0
author:
  - fieldnotes.windows contributors (@fieldnotes)
description:
  - Calls a static method of a WMI class, or a method of one instance, with typed parameters, and returns what it gives
    back.
  - O(creates) and O(unless) are queries that make the task idempotent. Without them every run calls the method and
    reports a change.
options:
  namespace:
    description: WMI namespace, with either kind of slash.
    type: str
    default: root/cimv2
  class:
    description: Name of the class.
    type: str
    required: true
  method:
    description: Name of the method.
    type: str
    required: true
  keys:
    description: All key properties of the instance to call the method on. Leave it out for a static method.
    type: dict
  filter:
    description: A WQL condition that selects exactly one instance to call the method on.
    type: str
  parameters:
    description: Inputs of the method. Those that are null are left out.
    type: dict
  types:
    description:
      - CIM types by name, for parameters whose type the host does not tell.
      - A type is one of V(uint8), V(uint16), V(uint32), V(uint64), V(sint8), V(sint16), V(sint32), V(sint64),
        V(real32), V(real64), V(boolean), V(string), V(char16), V(datetime), V(interval), V(reference), or the name of a
        class for an embedded instance, each with C([]) for an array.
      - Windows Server 2012 and later declare their classes, so this is needed for older hosts, and where a class leaves
        open of which class an embedded instance is. A type that contradicts the declaration is refused.
    type: dict
  creates:
    description:
      - A WQL query in O(namespace). If it selects an instance, the method is not called.
      - It is asked again after the call, and the task fails if it still selects nothing.
    type: str
  unless:
    description: A WQL query in O(namespace). If it selects an instance, the method is not called.
    type: str
  success:
    description: Return values that mean success. The task fails with any other.
    type: list
    elements: int
    default: [0]
  reads:
    description:
      - Says that the method changes nothing. The task then reports no change, and calls the method in check mode too.
    type: bool
    default: false
attributes:
  check_mode:
    details: Never calls the method, unless O(reads=true) says that it changes nothing.
  diff_mode:
    support: none
    details: What a method changes cannot be known before.
extends_documentation_fragment:
  - fieldnotes.windows._attributes
  - fieldnotes.windows._connection
notes:
  - A value must fit the type of its parameter, as for M(fieldnotes.windows.cim_instance).
  - If the connection is lost during the call, nobody knows whether it took effect, and the task says so. It is not
    repeated.
  - Parameters are never shown in a message, but the outputs stand in the result. Use C(no_log) for secrets.
seealso:
  - module: fieldnotes.windows.cim_query
  - module: fieldnotes.windows.cim_instance
"""

EXAMPLES = r"""
- name: Set a service to start by itself
  fieldnotes.windows.cim_method:
    class: Win32_Service
    keys:
      Name: Spooler
    method: ChangeStartMode
    parameters:
      StartMode: Automatic
    unless: SELECT Name FROM Win32_Service WHERE Name = 'Spooler' AND StartMode = 'Auto'

- name: Start it, if it does not run
  fieldnotes.windows.cim_method:
    class: Win32_Service
    keys:
      Name: Spooler
    method: StartService
    success: [0, 10]
    unless: SELECT Name FROM Win32_Service WHERE Name = 'Spooler' AND State = 'Running'

- name: Make a registry key of the application
  fieldnotes.windows.cim_method:
    namespace: root/default
    class: StdRegProv
    method: CreateKey
    parameters:
      hDefKey: 2147483650
      sSubKeyName: SOFTWARE\Contoso

- name: Read a registry value
  fieldnotes.windows.cim_method:
    namespace: root/default
    class: StdRegProv
    method: GetStringValue
    parameters:
      hDefKey: 2147483650
      sSubKeyName: SOFTWARE\Microsoft\Windows NT\CurrentVersion
      sValueName: ProductName
    reads: true
  register: product

- name: Pause a DNS zone
  fieldnotes.windows.cim_method:
    namespace: root/MicrosoftDNS
    class: MicrosoftDNS_Zone
    filter: Name = 'lab.example.com'
    method: PauseZone
    creates: SELECT Name FROM MicrosoftDNS_Zone WHERE Name = 'lab.example.com' AND Paused = TRUE
"""

RETURN = r"""
invoked:
  description: Whether the method was called.
  returned: success
  type: bool
  sample: true
reason:
  description: Why it was not called. Null if it was, and in check mode.
  returned: success
  type: str
  sample: "unless: the query selects an instance"
return_value:
  description: What the method returned. Null if it returns nothing or was not called.
  returned: success
  type: raw
  sample: 0
outputs:
  description: The outputs of the method by name, typed as in M(fieldnotes.windows.cim_query).
  returned: success
  type: dict
  sample:
    sValue: Windows Server 2022 Datacenter
before:
  description: Whether the method had been called when the task began, which only O(reads=true) makes true.
  returned: success
  type: dict
  contains: &state
    invoked:
      description: Whether it had been called.
      type: bool
      sample: false
after:
  description: The same as RV(before). What the method did nobody but the method knows. In check mode what would be.
  returned: success
  type: dict
  contains: *state
steps:
  description: The steps of the change, in their order. Empty if there was nothing to change.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: What the step does.
      type: str
      sample: call StartService of Win32_Service Spooler
    status:
      description: One of V(planned), V(done), V(skipped), V(failed), and V(undone).
      type: str
      sample: done
    seconds:
      description: How long the step took.
      type: float
      sample: 0.1
reboot_required:
  description: Never true here.
  returned: always
  type: bool
  sample: false
resumed:
  description: Never true here, because the module keeps no journal.
  returned: always
  type: bool
  sample: false
refusal:
  description: The option or the rule by which the task refuses.
  returned: when the task refuses
  type: str
  sample: method
"""
