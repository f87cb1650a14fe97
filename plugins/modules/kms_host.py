# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of the action plugin of the same name. The action plugin reads its argument specification from here."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kms_host
short_description: Make a machine a KMS host, keep it one, or take that away
version_added: 0.1.0
author:
  - fieldnotes.windows contributors (@fieldnotes)
description:
  - A KMS host activates the Windows and Office volume editions of a network. It needs a KMS host key (CSVLK), which it
    activates once, over the Internet or by telephone.
  - This module installs the key, activates it, sets port, publishing, priority and intervals, opens the firewall,
    restarts the licensing service exactly when that is due, and verifies that the service listens.
  - Windows shows no more of an installed key than its last five characters. A key counts as installed if these five
    agree and the product is one of a KMS host. A key with a typo further ahead but the same end counts as installed,
    and so does another key with the same end, of which there is about one in eight million. O(force_install) is the way
    out.
  - A key can be activated ten times on up to six machines. A licensed product is therefore never activated again.
options:
  state:
    description:
      - V(present) makes the machine a KMS host.
      - V(absent) replaces the key with O(replacement_product_key), or removes it with O(leave_unlicensed). If no other
        product has a KMS host key, the settings go too. Windows does not withdraw SRV records that it published.
    type: str
    choices: [present, absent]
    default: present
  product_key:
    description:
      - The KMS host key, five groups of five letters and digits.
      - If not given, the installed KMS host key stays, and only activation and settings are managed.
    type: str
  product:
    description:
      - The family of products that the key belongs to.
    type: str
    choices: [windows, office]
    default: windows
  activation_id:
    description:
      - Activation ID of the KMS host licence of an Office generation. Required with O(product=office) and refused
        without.
      - Office 2010 has C(bfe7a195-4f8f-4f0b-a622-cf13c7d16864), Office 2016 C(98ebfe73-2084-4c97-932c-c0cd1643bea7),
        and Office 2019 C(70512334-47b4-44db-a233-be5ea33b914c). For others pass the one that
        M(fieldnotes.windows.kms_host_info) lists.
    type: str
  replace_existing:
    description:
      - Allow that another licensed KMS host key of the same product is replaced. It cannot be read back.
    type: bool
    default: false
  force_install:
    description:
      - Install the key even if its last five characters are those of the installed one. The task then changes
        something on every run.
    type: bool
    default: false
  key_group:
    description:
      - What the licence portal calls the key. The module then refuses a key that Windows would not take on this host,
        before the first change.
      - V(client), V(a), V(b), and V(c) are the groups of Windows Server 2008 and 2008 R2, V(win10) is for client hosts.
    type: str
    choices: [client, a, b, c, win10, ws2016, ws2019, ws2022, ws2025]
  activates:
    description:
      - Generations of clients that this host must activate. Used only to check for required updates.
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
  update_check:
    description:
      - What happens if the host lacks an update that it needs for O(activates).
      - V(require) fails for C(KB968912), C(KB2691586), and C(KB3079821). The absence of others cannot be relied on and
        brings a warning.
    type: str
    choices: [warn, require, skip]
    default: warn
  activation:
    description:
      - V(online) activates over the Internet.
      - V(phone) returns the installation ID, and activates with the O(confirmation_id) that the telephone gives for it.
      - V(none) does not activate.
    type: str
    choices: [online, phone, none]
    default: online
  confirmation_id:
    description:
      - The 48 digits from the telephone. Blanks and hyphens are removed.
    type: str
  listening_port:
    description:
      - TCP port of the service, from 1 to 65535. Windows' default is 1688. If not given, it stays.
    type: int
  dns_publishing:
    description:
      - Whether the service publishes its SRV records by dynamic update. If not given, that stays.
    type: bool
  dns_publish_zones:
    description:
      - Further DNS zones to publish in, C(DnsDomainPublishList). The host's own domain is always published, and listed
        only to give it a priority or weight. An empty list removes the value. If not given, the list stays.
    type: list
    elements: dict
    suboptions:
      domain:
        description: Name of the zone.
        type: str
        required: true
      priority:
        description: Priority of the record, from 0 to 65535. Lower is asked first.
        type: int
        default: 0
      weight:
        description: Share among records of the same priority, from 0 to 65535.
        type: int
        default: 0
  low_priority:
    description:
      - Whether the service runs at low priority. If not given, that stays.
    type: bool
  activation_interval:
    description:
      - Minutes between the attempts of clients that are not activated, from 15 to 43200. Windows' default is 120.
    type: int
  renewal_interval:
    description:
      - Minutes between the renewals of activated clients, from 15 to 43200. Windows' default is 10080.
    type: int
  firewall:
    description:
      - V(open) lets TCP in on the port, for port 1688 with the rule that comes with Windows (C(SPPSVC-In-TCP)), for
        others with a rule C(fieldnotes-kms-in). V(closed) lets nobody in by these rules.
    type: str
    choices: [unmanaged, open, closed]
    default: unmanaged
  firewall_profiles:
    description:
      - Profiles in which the firewall is opened.
    type: list
    elements: str
    choices: [domain, private, public]
    default: [domain, private]
  restart_service:
    description:
      - V(auto) restarts the licensing service if a key was installed, a setting was changed, or nothing listens on the
        port of an activated KMS host.
      - V(never) leaves that to you. RV(reboot_required) then says that it is due.
    type: str
    choices: [auto, never]
    default: auto
  replacement_product_key:
    description:
      - With O(state=absent), the client setup key (GVLK) or multiple activation key that takes the place of the KMS
        host key.
    type: str
  leave_unlicensed:
    description:
      - With O(state=absent), remove the key and leave Windows unlicensed.
    type: bool
    default: false
  timeout:
    description:
      - Seconds for all waiting, for the service, the activation, and the publishing together.
    type: int
    default: 300
attributes:
  check_mode:
    details: Whether Windows accepts a key shows only when it is installed. A warning says so.
  diff_mode:
    details: Shows of a key its last five characters, the license status, and the settings that the task gives.
extends_documentation_fragment:
  - fieldnotes.windows._attributes
  - fieldnotes.windows._connection
  - fieldnotes.windows._journal
notes:
  - A product key or a confirmation ID travels only over HTTPS or with message encryption. It appears in no result, log,
    journal, or message.
  - After the key is installed there is no way back to the former one. If a later step fails, settings that were changed
    are taken back and the key stays.
  - Windows takes port, publishing, priority and intervals only from an activated KMS host. Until then they are listed
    in RV(deferred).
  - Clients cache the KMS host that they found. Priority and weight count for clients that look up DNS again.
  - A second KMS host cannot update the SRV records of the first until a group of KMS hosts may write them.
seealso:
  - module: fieldnotes.windows.kms_host_info
  - module: fieldnotes.windows.kms_srv_record
  - name: Create a KMS host
    description: The procedure by hand.
    link: https://learn.microsoft.com/en-us/windows-server/get-started/kms-create-host
  - name: KMS activation planning
    description: Which key activates what, and the required updates.
    link: https://learn.microsoft.com/en-us/windows-server/get-started/kms-activation-planning
"""

EXAMPLES = r"""
- name: Make the machine a KMS host for Windows
  fieldnotes.windows.kms_host:
    product_key: "{{ kms_host_key }}"
    key_group: ws2022
    activates: [ws2022, windows_11]
    firewall: open

- name: Use another port, and publish in two domains
  fieldnotes.windows.kms_host:
    listening_port: 1689
    firewall: open
    dns_publish_zones:
      - domain: corp.example.com
        priority: 10
        weight: 100
      - domain: lab.example.com

- name: Ask for the digits to read out on the telephone
  fieldnotes.windows.kms_host:
    product_key: "{{ kms_host_key }}"
    activation: phone
  register: kms

- name: Activate with what the telephone said
  fieldnotes.windows.kms_host:
    activation: phone
    confirmation_id: "{{ kms_confirmation_id }}"

- name: Add the key of Office 2019, beside the one of Windows
  fieldnotes.windows.kms_host:
    product: office
    activation_id: 70512334-47b4-44db-a233-be5ea33b914c
    product_key: "{{ kms_office_key }}"

- name: Make the machine a KMS client again
  fieldnotes.windows.kms_host:
    state: absent
    replacement_product_key: "{{ gvlk }}"
"""

RETURN = r"""
product_name:
  description: Name of the product.
  returned: success
  type: str
  sample: Windows(R), ServerDatacenter edition
description:
  description: Description of the product, which names its channel.
  returned: success
  type: str
  sample: Windows(R) Operating System, VOLUME_KMS_WS22 channel
activation_id:
  description: Activation ID of the product.
  returned: success
  type: str
  sample: 8c43a9c8-3a5f-4a2e-9a3e-0f2a3c1b7d11
application_id:
  description: Application ID of the product.
  returned: success
  type: str
  sample: 55c92734-d682-4d71-983e-d6ec3f16059f
key_channel:
  description: What follows C(VOLUME_KMS) in the description, C(KMSCLIENT) for a client setup key, null for neither.
  returned: success
  type: str
  sample: WS22
partial_product_key:
  description: Last five characters of the installed key.
  returned: success
  type: str
  sample: AAAAA
replaced_partial_product_key:
  description: Last five characters of the key that was there before, if this task replaces it.
  returned: success
  type: str
  sample: BBBBB
license_status:
  description: C(LicenseStatus) of the product, from 0 to 6.
  returned: success
  type: int
  sample: 1
license_status_name:
  description: >-
    One of V(unlicensed), V(licensed), V(oob_grace), V(oot_grace), V(non_genuine_grace), V(notification), and
    V(extended_grace).
  returned: success
  type: str
  sample: licensed
license_status_reason:
  description: Why the product has this state, an HRESULT.
  returned: success
  type: str
  sample: '0x00000000'
kms_enabled:
  description: Whether the product makes this machine an activated KMS host.
  returned: success
  type: bool
  sample: true
current_count:
  description: How many clients the KMS host has counted. Null if it is none.
  returned: success
  type: int
  sample: 50
listening_port:
  description: The port that counts.
  returned: success
  type: int
  sample: 1688
listening:
  description: Whether something listens on the port. Null if that could not be looked up.
  returned: success
  type: bool
  sample: true
dns_publishing:
  description: Whether the service publishes its SRV records.
  returned: success
  type: bool
  sample: true
dns_publish_zones:
  description: Further zones that it publishes in.
  returned: success
  type: list
  elements: dict
  sample: [{domain: corp.example.com, priority: 10, weight: 100}]
low_priority:
  description: Whether the service runs at low priority.
  returned: success
  type: bool
  sample: false
installation_id:
  description: The digits to read out on the telephone.
  returned: with O(activation=phone) while the product is not licensed
  type: str
  sample: '012345678012345678012345678012345678012345678012345678'
installation_id_groups:
  description: The same digits in groups.
  returned: with O(activation=phone) while the product is not licensed
  type: list
  elements: str
  sample: ['012345', '678012', '345678', '012345', '678012', '345678', '012345', '678012', '345678']
service_restarted:
  description: Whether the task restarted the licensing service.
  returned: success
  type: bool
  sample: true
deferred:
  description: Settings that wait until the KMS host is activated.
  returned: success
  type: list
  elements: str
  sample: [listening_port]
before:
  description: What was there when the task began.
  returned: success
  type: dict
  contains: &state
    partial_product_key:
      description: Last five characters of the installed key.
      type: str
      sample: CCCCC
    license_status_name:
      description: State of the product.
      type: str
      sample: licensed
    listening_port:
      description: The port that counts.
      type: int
      sample: 1688
    dns_publishing:
      description: Whether the service publishes its SRV records.
      type: bool
      sample: true
    dns_publish_zones:
      description: Further zones that it publishes in.
      type: list
      elements: dict
      sample: []
    low_priority:
      description: Whether the service runs at low priority.
      type: bool
      sample: false
    activation_interval:
      description: Minutes between the attempts of clients that are not activated.
      type: int
      sample: 120
    renewal_interval:
      description: Minutes between the renewals of activated clients.
      type: int
      sample: 10080
    firewall:
      description: V(open), V(closed), or V(other). Null if the task does not manage it.
      type: str
      sample: closed
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
      sample: install KMS host key ending AAAAA
    status:
      description: One of V(planned), V(done), V(skipped), V(failed), and V(undone).
      type: str
      sample: done
    seconds:
      description: How long the step took.
      type: float
      sample: 2.4
reboot_required:
  description: Whether the licensing service still has to start anew, because the task must not or could not restart it.
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
  sample: R4
"""
