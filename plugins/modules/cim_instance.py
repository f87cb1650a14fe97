# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of the action plugin of the same name. The action plugin reads its argument specification from here."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cim_instance
short_description: Set properties of one instance of any WMI class, make it, or delete it
version_added: 0.1.0
author:
  - fieldnotes.windows contributors (@fieldnotes)
description:
  - Brings properties of one WMI instance to the wanted values. Each property that differs is written by itself, so
    nothing else of the instance is touched, and read again afterwards.
  - Makes the instance where it is not there, if the class allows that, and deletes it with O(state=absent).
  - The instance is named by its keys, or by a filter that selects exactly one.
options:
  namespace:
    description: WMI namespace, with either kind of slash.
    type: str
    default: root/cimv2
  class:
    description: Name of the class.
    type: str
    required: true
  keys:
    description:
      - All key properties of the instance with their values.
      - For a class of which there is only one instance neither O(keys) nor O(filter) is needed.
    type: dict
  filter:
    description:
      - A WQL condition that selects exactly one instance. Use it where the keys are not known.
      - An instance that the filter does not find cannot be made.
    type: str
  properties:
    description: Wanted values of properties. Null takes a value away.
    type: dict
  state:
    description: V(present) sets the properties and makes the instance where needed, V(absent) deletes it.
    type: str
    choices:
      - present
      - absent
    default: present
  types:
    description:
      - CIM types by name, for properties and keys whose type the host does not tell.
      - A type is one of V(uint8), V(uint16), V(uint32), V(uint64), V(sint8), V(sint16), V(sint32), V(sint64),
        V(real32), V(real64), V(boolean), V(string), V(char16), V(datetime), V(interval), V(reference), or the name of a
        class for an embedded instance, each with C([]) for an array.
      - Windows Server 2012 and later declare their classes, so this is needed for older hosts, and where a class leaves
        open of which class an embedded instance is. A type that contradicts the declaration is refused.
    type: dict
attributes:
  check_mode:
    details: Reads the instance and makes the same refusals without a writing request.
  diff_mode:
    details: Shows the properties that the task names.
extends_documentation_fragment:
  - fieldnotes.windows._attributes
  - fieldnotes.windows._connection
notes:
  - A value must fit the type of its property. Text is needed for a string (quote it), a time needs its zone, and a
    list is needed for an array. The text of a whole number or of V(true) and V(false), which templates make, is
    accepted. What could mean two types is refused.
  - Strings are compared with regard to case, arrays with regard to order. Of an embedded instance only the given
    properties are compared.
  - The values stand in the result and the diff. Use C(no_log) for a task whose values are secrets.
  - If a later property fails, the ones before it are set back. A deleted instance does not come back.
seealso:
  - module: fieldnotes.windows.cim_query
  - module: fieldnotes.windows.cim_method
"""

EXAMPLES = r"""
- name: Describe the computer
  fieldnotes.windows.cim_instance:
    class: Win32_OperatingSystem
    properties:
      Description: Print server of branch 7, rack 3

- name: Let Windows write a complete dump, and keep only the newest
  fieldnotes.windows.cim_instance:
    class: Win32_OSRecoveryConfiguration
    filter: Name IS NOT NULL
    properties:
      DebugInfoType: 1
      OverwriteExistingDebugFile: true

- name: Set how long the nodes of a cluster wait for a heartbeat
  fieldnotes.windows.cim_instance:
    namespace: root/MSCluster
    class: MSCluster_Cluster
    keys:
      Name: CL1
    properties:
      SameSubnetThreshold: 10

- name: Make an environment variable of the system
  fieldnotes.windows.cim_instance:
    class: Win32_Environment
    keys:
      Name: APP_HOME
      UserName: <SYSTEM>
    properties:
      VariableValue: 'D:\App'

- name: Remove it again
  fieldnotes.windows.cim_instance:
    class: Win32_Environment
    keys:
      Name: APP_HOME
      UserName: <SYSTEM>
    state: absent
"""

RETURN = r"""
instance:
  description: All properties of the instance, read again after a change. Null if it is absent.
  returned: success
  type: dict
  sample:
    Name: CL1
    SameSubnetThreshold: 10
reference:
  description: Namespace, class, and keys of the instance. Null if it is absent.
  returned: success
  type: dict
  sample:
    namespace: root/MSCluster
    class: MSCluster_Cluster
    keys:
      Name: CL1
before:
  description: What was there when the task began.
  returned: success
  type: dict
  contains: &state
    state:
      description: V(present) or V(absent).
      type: str
      sample: present
    properties:
      description: The properties that the task names. Null if the instance is absent.
      type: dict
      sample:
        SameSubnetThreshold: 5
after:
  description: What is there now, read again after the change. In check mode the goal.
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
      sample: set SameSubnetThreshold of MSCluster_Cluster CL1
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
  sample: value
"""
