# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of the action plugin of the same name. The action plugin reads its argument specification from here."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kms_host_info
short_description: Tell what a KMS host is, counts, and publishes
version_added: 0.1.0
author:
  - fieldnotes.windows contributors (@fieldnotes)
description:
  - Reads what C(slmgr /dlv) shows, typed, of a KMS host or of any Windows machine.
  - Reads from the Application log whether the SRV records were published, and checks whether the service listens.
  - Tells on request whether a KMS host key of a group can be installed here, and which updates are missing.
options:
  activation_id:
    description:
      - Activation ID of the one product to show. If not given, all products with a key are shown.
    type: str
  publishing_events_days:
    description:
      - How many days back publishing events are read, from 0 to 365. V(0) does not read the log.
    type: int
    default: 7
  check_listener:
    description:
      - Whether to look if the service listens on its port.
    type: bool
    default: true
  key_group:
    description:
      - What the licence portal calls a key, for RV(preflight).
    type: str
    choices: [client, a, b, c, win10, ws2016, ws2019, ws2022, ws2025]
  activates:
    description:
      - Generations of clients that the host must activate, for RV(preflight).
    type: list
    elements: str
    default: []
    choices:
      - windows_7
      - windows_8
      - windows_8_1
      - windows_10
      - windows_11
      - ws2008r2
      - ws2012
      - ws2012r2
      - ws2016
      - ws2019
      - ws2022
      - ws2025
extends_documentation_fragment:
  - fieldnotes.windows._attributes
  - fieldnotes.windows._attributes.info
  - fieldnotes.windows._connection
seealso:
  - module: fieldnotes.windows.kms_host
  - name: SoftwareLicensingProduct
    description: The class that most of the values come from.
    link: https://learn.microsoft.com/en-us/previous-versions/windows/desktop/sppwmi/softwarelicensingproduct
"""

EXAMPLES = r"""
- name: Look at a KMS host
  fieldnotes.windows.kms_host_info:
  register: kms

- name: Warn while it counts too few servers
  ansible.builtin.debug:
    msg: "{{ inventory_hostname }} does not activate servers yet"
  when: not kms.can_activate.server

- name: Ask before a new key is bought
  fieldnotes.windows.kms_host_info:
    key_group: ws2025
    activates: [ws2025]
    publishing_events_days: 0
    check_listener: false
"""

RETURN = r"""
service:
  description: The licensing service, shared by all products.
  returned: success
  type: dict
  contains:
    version:
      description: Version of the licensing service.
      type: str
      sample: 10.0.20348.1
    client_machine_id:
      description: Client machine ID.
      type: str
      sample: 1c6e1c5a-7a3d-4a0e-9a55-3d0f3b7b2f11
    listening_port:
      description: The port that counts.
      type: int
      sample: 1688
    dns_publishing:
      description: Whether the service publishes its SRV records.
      type: bool
      sample: true
    low_priority:
      description: Whether the service runs at low priority.
      type: bool
      sample: false
    host_caching:
      description: Whether the machine caches the KMS host that it found. Null on Windows Server 2008.
      type: bool
      sample: true
    remaining_rearm_count:
      description: How often Windows can be rearmed. Null on Windows Server 2008.
      type: int
      sample: 1000
    activation_interval:
      description: Minutes between the attempts of clients that are not activated.
      type: int
      sample: 120
    renewal_interval:
      description: Minutes between the renewals of activated clients.
      type: int
      sample: 10080
    dns_publish_zones:
      description: Further zones that it publishes in.
      type: list
      elements: dict
      sample: []
products:
  description: >-
    The products with a key, each with the values of M(fieldnotes.windows.kms_host) and the counters of requests
    C(total_requests), C(failed_requests), C(unlicensed_requests), C(licensed_requests), C(oob_grace_requests),
    C(oot_grace_requests), C(non_genuine_grace_requests), and C(notification_requests), null if it is no KMS host.
  returned: success
  type: list
  elements: dict
  sample:
    - product_name: Windows(R), ServerDatacenter edition
      description: Windows(R) Operating System, VOLUME_KMS_WS22 channel
      partial_product_key: AAAAA
      license_status_name: licensed
      kms_enabled: true
      current_count: 50
      total_requests: 7311
listening:
  description: Whether something listens on the port. Null if that was not or could not be looked up.
  returned: success
  type: bool
  sample: true
publishing:
  description: What the log tells of each zone.
  returned: success
  type: list
  elements: dict
  contains:
    domain:
      description: The zone.
      type: str
      sample: corp.example.com
    last_success:
      description: When the record was last published.
      type: str
      sample: '2026-01-31T08:15:00Z'
    last_failure:
      description: When publishing last failed.
      type: str
      sample: null
    last_error:
      description: Code of the last failure.
      type: str
      sample: '0x8007232D'
thresholds:
  description: How many machines a KMS host must have counted before it activates one.
  returned: success
  type: dict
  sample: {client: 25, server: 5, office: 5}
can_activate:
  description: Whether the counts are that high.
  returned: success
  type: dict
  sample: {client: false, server: true, office: false}
preflight:
  description: What speaks against O(key_group) and O(activates) on this host.
  returned: success
  type: dict
  contains:
    ok:
      description: Whether nothing that is certain does.
      type: bool
      sample: true
    findings:
      description: A sentence each.
      type: list
      elements: str
      sample: []
"""
