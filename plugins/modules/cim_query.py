# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of the action plugin of the same name. The action plugin reads its argument specification from here."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cim_query
short_description: Read instances of any WMI class
version_added: 0.1.0
author:
  - fieldnotes.windows contributors (@fieldnotes)
description:
  - Reads what any WMI class of a host tells, with a WQL query or by class, filter, and properties, and returns it
    typed.
  - No PowerShell starts on the host. A query costs one request for the declaration of the class, which tells the
    types, and one for each page of the result.
options:
  namespace:
    description: WMI namespace, with either kind of slash.
    type: str
    default: root/cimv2
  wql:
    description:
      - A whole WQL query, C(SELECT), C(ASSOCIATORS OF), or C(REFERENCES OF).
      - Either O(wql) or O(class) is required.
    type: str
  class:
    description: Name of the class to read. Instances of classes that derive from it come as well.
    type: str
  filter:
    description:
      - A WQL condition, the text after C(WHERE). In WQL a backslash in a string is doubled.
      - Use O(match) for values that come from variables, because it quotes them.
    type: str
  match:
    description:
      - Values that properties must have. A list means any of them, null means that the property has no value.
      - Values are quoted for WQL, whatever is in them.
    type: dict
  properties:
    description:
      - Properties to return. If not given, all of them, which costs the host more.
    type: list
    elements: str
  types:
    description:
      - CIM types by name, for properties whose type the host does not tell.
      - A type is one of V(uint8), V(uint16), V(uint32), V(uint64), V(sint8), V(sint16), V(sint32), V(sint64),
        V(real32), V(real64), V(boolean), V(string), V(char16), V(datetime), V(interval), V(reference), or the name of a
        class for an embedded instance, each with C([]) for an array.
      - Windows Server 2012 and later declare their classes, so this is needed for older hosts, and where a class leaves
        open of which class an embedded instance is. A type that contradicts the declaration is refused.
    type: dict
  max_results:
    description:
      - Return no more instances than this. The enumeration is then given up, so that the host does not go on with it.
      - If not given, all of them.
    type: int
  references:
    description:
      - Return the references of the instances as well. All properties are read then.
    type: bool
    default: false
extends_documentation_fragment:
  - fieldnotes.windows._attributes
  - fieldnotes.windows._attributes.info
  - fieldnotes.windows._connection
notes:
  - A datetime is returned as ISO 8601 UTC in whole seconds, an interval as an ISO 8601 duration, numbers of any size as
    integers, a reference as a dict of namespace, class and keys, an embedded instance as a dict.
  - A property without a value is null. WMI cannot tell an empty array from null, so an array without values is an empty
    list where its type is known, and null otherwise.
  - Windows before Server 2012 does not declare its classes to WS-Management. There numbers and booleans come as text,
    unless O(types) names them, and a warning says so.
seealso:
  - module: fieldnotes.windows.cim_instance
  - module: fieldnotes.windows.cim_method
  - name: WQL
    description: The language of the queries.
    link: https://learn.microsoft.com/en-us/windows/win32/wmisdk/wql-sql-for-wmi
"""

EXAMPLES = r"""
- name: Find the services that should run and do not
  fieldnotes.windows.cim_query:
    class: Win32_Service
    match:
      StartMode: Auto
      State: Stopped
    properties: [Name, DisplayName, ExitCode]
  register: stopped

- name: Read the volumes with less than 10 GiB left
  fieldnotes.windows.cim_query:
    wql: SELECT DriveLetter, FreeSpace FROM Win32_Volume WHERE DriveType = 3 AND FreeSpace < 10737418240
  register: volumes

- name: Read the newest event records, and no more than a hundred
  fieldnotes.windows.cim_query:
    class: Win32_NTLogEvent
    filter: Logfile = 'System' AND EventType = 1
    properties: [TimeGenerated, SourceName, EventCode]
    max_results: 100
  register: events

- name: Read the services that stop with a service, because they depend on it
  fieldnotes.windows.cim_query:
    wql: ASSOCIATORS OF {Win32_Service.Name='sppsvc'} WHERE AssocClass = Win32_DependentService Role = Antecedent

- name: Fail where a node of a failover cluster is not up
  fieldnotes.windows.cim_query:
    namespace: root/MSCluster
    class: MSCluster_Node
    properties: [Name, State]
  register: nodes
  failed_when: nodes.instances | rejectattr('State', 'eq', 0) | list
"""

RETURN = r"""
instances:
  description: The instances, each a dict of its properties under the names that the host gives.
  returned: success
  type: list
  elements: dict
  sample:
    - Name: Spooler
      DisplayName: Print Spooler
      ExitCode: 0
count:
  description: How many instances are returned.
  returned: success
  type: int
  sample: 1
truncated:
  description: Whether there are more than O(max_results).
  returned: success
  type: bool
  sample: false
references:
  description: >-
    For each instance in their order the reference, a dict of C(namespace), C(class), and C(keys), or null where the
    host gave none.
  returned: with O(references=true)
  type: list
  elements: dict
  sample:
    - namespace: root/cimv2
      class: Win32_Service
      keys:
        Name: Spooler
namespace:
  description: The namespace that was asked.
  returned: success
  type: str
  sample: root/cimv2
wql:
  description: The query that was sent.
  returned: success
  type: str
  sample: SELECT Name, DisplayName, ExitCode FROM Win32_Service WHERE StartMode = 'Auto' AND State = 'Stopped'
typed:
  description: Whether the host told the types of the properties.
  returned: success
  type: bool
  sample: true
refusal:
  description: The option or the rule by which the task refuses.
  returned: when the task refuses
  type: str
  sample: name
"""
