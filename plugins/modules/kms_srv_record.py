# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of the action plugin of the same name. The action plugin reads its argument specification from here."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kms_srv_record
short_description: Manage the SRV records by which clients find their KMS host
version_added: 0.1.0
author:
  - fieldnotes.windows contributors (@fieldnotes)
description:
  - Clients of volume activation find their KMS host by the SRV record C(_vlmcs._tcp) of their DNS domain. A KMS host
    publishes it by dynamic update where it may. This module makes the record by hand, for zones without dynamic update
    and for more domains than the KMS host's own.
  - It runs on a Microsoft DNS server that holds the zones as primary, and uses WMI (C(root/MicrosoftDNS)) or the
    cmdlets of the module DnsServer.
  - A record is known by its zone and its target. Port, priority, weight, and time to live are its attributes. If a zone
    has several records of the target, one stays and the others are removed. Records of other targets are left alone,
    unless O(purge) is set.
  - All zones are read before the first one is written.
options:
  state:
    description:
      - V(present) makes the record or changes it, V(absent) removes all records of the target.
    type: str
    choices:
      - present
      - absent
    default: present
  zones:
    description:
      - Zones of this server, with or without a trailing dot, in any case.
      - The record of C(corp.example.com) stands at C(_vlmcs._tcp.corp.example.com) in that zone. Where
        C(_tcp.corp.example.com) is a zone of its own, give that one.
    type: list
    elements: str
    required: true
  target:
    description:
      - Fully qualified name of the KMS host. An IP address is refused.
    type: str
    required: true
  port:
    description: TCP port of the KMS host, from 1 to 65535.
    type: int
    default: 1688
  priority:
    description: From 0 to 65535. Clients ask the lowest first.
    type: int
    default: 0
  weight:
    description: From 0 to 65535. The share among records of the same priority.
    type: int
    default: 0
  ttl:
    description:
      - Time to live of the record in seconds.
      - If not given, that of an existing record stays and a new one gets the default of its zone.
    type: int
  allow_single_label:
    description:
      - Accept a O(target) without a dot. It is completed with the name of each zone.
    type: bool
    default: false
  purge:
    description:
      - Remove every other C(_vlmcs._tcp) record of these zones, whoever made it.
    type: bool
    default: false
  method:
    description:
      - V(wmi) uses the namespace C(root/MicrosoftDNS), V(cmdlet) the module DnsServer (Windows Server 2012 and later).
      - V(auto) uses WMI, and the cmdlets where the namespace is not there.
    type: str
    choices:
      - auto
      - wmi
      - cmdlet
    default: auto
attributes:
  check_mode:
    details: Reads the zones and makes the same refusals without a writing request.
  diff_mode:
    details: Shows the records of the zones.
extends_documentation_fragment:
  - fieldnotes.windows._attributes
  - fieldnotes.windows._connection
  - fieldnotes.windows._journal
notes:
  - A record made by hand is static. A published one is dynamic and can be scavenged. Both for one host in one zone make
    the publishing of the KMS host fail with event 12293, so switch its publishing off or leave the record to it.
  - Clients keep the KMS host that they found. A changed priority or weight counts for those that look it up again.
seealso:
  - name: Create a KMS host
    description: DNS records of a KMS host.
    link: https://learn.microsoft.com/en-us/windows-server/get-started/kms-create-host
  - name: MicrosoftDNS_SRVType
    description: SRV records in WMI.
    link: https://learn.microsoft.com/en-us/windows/win32/dns/microsoftdns-srvtype
"""

EXAMPLES = r"""
- name: Let the clients of three domains find the KMS host
  fieldnotes.windows.kms_srv_record:
    zones: [corp.example.com, branch.example.com, lab.example.com]
    target: kms01.corp.example.com

- name: Ask a second KMS host only when the first one is down
  fieldnotes.windows.kms_srv_record:
    zones: [corp.example.com]
    target: kms02.corp.example.com
    priority: 10

- name: Leave kms01 as the only KMS host, whatever was published before
  fieldnotes.windows.kms_srv_record:
    zones: [corp.example.com]
    target: kms01.corp.example.com
    purge: true

- name: Remove the record of a retired KMS host
  fieldnotes.windows.kms_srv_record:
    zones: [corp.example.com]
    target: old02.corp.example.com
    state: absent
"""

RETURN = r"""
records:
  description: Records of C(_vlmcs._tcp) by zone, read again after a change.
  returned: success
  type: dict
  sample:
    corp.example.com:
      - owner: _vlmcs._tcp.corp.example.com
        target: kms01.corp.example.com
        port: 1688
        priority: 0
        weight: 0
        ttl: 3600
        static: true
created:
  description: Records that the task made, or would make in check mode.
  returned: success
  type: list
  elements: dict
  contains: &record
    zone:
      description: The zone.
      type: str
      sample: corp.example.com
    owner:
      description: Name of the record.
      type: str
      sample: _vlmcs._tcp.corp.example.com
    target:
      description: Name of the KMS host, in lower case, without a trailing dot.
      type: str
      sample: kms01.corp.example.com
    port:
      description: TCP port.
      type: int
      sample: 1688
    priority:
      description: Lower is asked first.
      type: int
      sample: 0
    weight:
      description: Share among equal priorities.
      type: int
      sample: 0
    ttl:
      description: Time to live in seconds. Null for a planned record that gets the default of its zone.
      type: int
      sample: 3600
    static:
      description: Whether the record was made by hand. Dynamic records can be scavenged.
      type: bool
      sample: true
modified:
  description: Records that the task changed, as they are afterwards.
  returned: success
  type: list
  elements: dict
  contains: *record
removed:
  description: Records that the task removed.
  returned: success
  type: list
  elements: dict
  contains: *record
before:
  description: What was there when the task began.
  returned: success
  type: dict
  contains: &state
    records:
      description: Records by zone, as in RV(records).
      type: dict
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
      sample: >-
        create SRV record of kms01.corp.example.com in corp.example.com (port 1688, priority 0, weight 0)
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
  description: Whether the task found an interrupted run and finished it or rolled it back first.
  returned: always
  type: bool
  sample: false
refusal:
  description: Number of the refusal on the page of the procedure, where the task refuses.
  returned: when the task refuses
  type: str
  sample: R16
"""
