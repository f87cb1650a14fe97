# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of the action plugin of the same name. The action plugin reads its argument specification from here."""

from __future__ import annotations

DOCUMENTATION = r"""
module: disable_ipv6
short_description: Set which components of IPv6 are on, and bring wrongly disabled IPv6 back to a supported state
version_added: 0.1.0
author:
  - fieldnotes.windows contributors (@fieldnotes)
description:
  - Sets the registry value C(DisabledComponents), the one documented way to change what IPv6 does on Windows. It takes
    effect after a restart, which this module never does itself.
  - IPv6 is a mandatory part of Windows since Windows Vista and Windows Server 2008. The vendor advises not to disable
    it. If IPv4 must come first, use O(state=prefer_ipv4).
  - Two further places that field practice touched are managed as well, the binding of IPv6 to adapters, and the hosts
    file of Exchange 2007 servers.
  - At least one of O(state), O(disabled_components), O(adapter_binding), and O(hosts_loopback) is required.
options:
  state:
    description:
      - What shall be on. V(enabled) is 0x00, V(prefer_ipv4) 0x20, V(tunnels_disabled) 0x01, V(native_disabled) 0x10,
        V(native_and_tunnels_disabled) 0x11, and V(disabled) 0xFF.
      - The whole value is compared, so V(prefer_ipv4) changes 0x21 to 0x20. To keep other bits use
        O(disabled_components).
      - An absent value is V(enabled). V(enabled) writes 0 only over a value that is not zero.
      - V(native_disabled), V(native_and_tunnels_disabled), and V(disabled) need O(allow_unsupported=true).
      - Mutually exclusive with O(disabled_components).
    type: str
    choices:
      - enabled
      - prefer_ipv4
      - tunnels_disabled
      - native_disabled
      - native_and_tunnels_disabled
      - disabled
  disabled_components:
    description:
      - The value itself, for combinations, from 0 to 0xFF. A number, or a string that begins with C(0x).
      - The string C("20") is refused, because it could mean 20 or 0x20.
      - Mutually exclusive with O(state).
    type: raw
  allow_unsupported:
    description:
      - Accept values other than 0x00, 0x20, and 0x01, and O(hosts_loopback=exchange2007) on a host that it was not made
        for.
    type: bool
    default: false
  adapter_binding:
    description:
      - The check mark of IPv6 in the properties of the adapters. It takes effect at once.
      - V(unbound) does not disable IPv6. Services still see an IPv6 stack, but one without addresses.
      - Needs Windows Server 2012 or later.
    type: str
    choices: [unmanaged, bound, unbound]
    default: unmanaged
  adapters:
    description:
      - Names of the adapters that O(adapter_binding) is about, exact except for upper and lower case.
      - An empty list means all physical and virtual adapters that are not hidden.
    type: list
    elements: str
    default: []
  hosts_loopback:
    description:
      - What becomes of the hosts file.
      - V(exchange2007) comments out the line that gives C(localhost) the address C(::1), and adds one line with
        O(hosts_ipv4_address) for each of O(hosts_names). That is practice for Outlook Anywhere of Exchange 2007 SP1
        before Update Rollup 4 on Windows Server 2008. With later updates it must not be used.
      - V(default) takes back what V(exchange2007) did, byte for byte. Lines without the markers of this collection are
        never touched.
    type: str
    choices: [unmanaged, exchange2007, default]
    default: unmanaged
  hosts_ipv4_address:
    description:
      - IPv4 address for the added names. Required if the host has several.
    type: str
  hosts_names:
    description:
      - Names to add. An empty list means the host name, and the full name if the host is in a domain.
    type: list
    elements: str
    default: []
  hosts_backup:
    description:
      - Keep the copy of the hosts file, C(hosts.fieldnotes.bak) beside it, after a successful change.
    type: bool
    default: false
  allow_disconnect:
    description:
      - Go on although the connection of this task runs over IPv6 and O(adapter_binding=unbound) would cut it.
    type: bool
    default: false
extends_documentation_fragment:
  - fieldnotes.windows._attributes
  - fieldnotes.windows._connection
  - fieldnotes.windows._journal
notes:
  - Until the restart the record in C(HKLM\SOFTWARE\fieldnotes.windows\Journal\disable_ipv6) stays. After it the same
    task checks what is in effect and removes the record.
  - If IPv6 addresses are still there after the restart although native IPv6 is disabled, the task fails. A policy or a
    driver put it back.
  - Routing and Remote Access does not start with other values than 0 and 0x20, so with that service other values are
    refused.
seealso:
  - module: fieldnotes.windows.ipv6_info
  - module: fieldnotes.windows.outlook_anywhere_info
  - module: ansible.windows.win_reboot
  - name: Guidance for configuring IPv6 in Windows
    description: The registry value, its bits, and the vendor's position.
    link: https://learn.microsoft.com/troubleshoot/windows-server/networking/configure-ipv6-in-windows
"""

EXAMPLES = r"""
- name: Prefer IPv4, the supported answer to applications that stumble over IPv6
  fieldnotes.windows.disable_ipv6:
    state: prefer_ipv4
  register: ipv6

- name: Restart where it is not in effect yet
  ansible.windows.win_reboot:
  when: ipv6.reboot_required

- name: Check IPv6 again on all adapters
  fieldnotes.windows.disable_ipv6:
    adapter_binding: bound

- name: Turn 0xFFFFFFFF into the value that was meant
  fieldnotes.windows.disable_ipv6:
    state: disabled
    allow_unsupported: true

- name: Exchange 2007 SP1 without Update Rollup 4 on Windows Server 2008
  fieldnotes.windows.disable_ipv6:
    state: disabled
    allow_unsupported: true
    hosts_loopback: exchange2007

- name: Take that back after updating Exchange
  fieldnotes.windows.disable_ipv6:
    state: enabled
    hosts_loopback: default
"""

RETURN = r"""
before:
  description: What was there when the task began.
  returned: success
  type: dict
  contains: &state
    disabled_components:
      description: The value in hexadecimal, or its type where that is wrong. Null if it is absent.
      type: str
      sample: '0xFF'
    adapters:
      description: Whether IPv6 is bound, by name of the adapter. Null if O(adapter_binding=unmanaged).
      type: dict
      sample:
        Ethernet: true
    hosts:
      description: The lines of the hosts file that a change is about. Null if O(hosts_loopback=unmanaged).
      type: list
      elements: str
      sample: ['::1             localhost']
after:
  description: What is there now, read again after the change. In check mode the goal.
  returned: success
  type: dict
  contains: *state
disabled_components:
  description: What the registry value C(DisabledComponents) is.
  returned: success
  type: dict
  contains:
    configured:
      description: The value, unsigned. Null if it is absent, or of another type than REG_DWORD, which Windows ignores.
      type: int
      sample: 32
    hex:
      description: The value in hexadecimal. An absent value counts as V(0x00).
      type: str
      sample: '0x20'
    bits:
      description: Which bits are set. A bit that is set disables, except V(prefer_ipv4).
      type: dict
      sample:
        tunnel: false
        tunnel_6to4: false
        tunnel_isatap: false
        tunnel_teredo: false
        native: false
        prefer_ipv4: true
        tunnel_cp: false
        tunnel_iptls: false
    state_name:
      description: The choice of O(state) that the value is, or V(custom).
      type: str
      sample: prefer_ipv4
    nonstandard:
      description: Whether the value is above 0xFF, for example 0xFFFFFFFF, or of another type than REG_DWORD.
      type: bool
      sample: false
in_effect:
  description: What can be observed of the running system. Null where it cannot be told.
  returned: success
  type: dict
  contains:
    native:
      description: Whether native IPv6 is off. No adapter that is no tunnel has an IPv6 address.
      type: bool
      sample: false
    prefer_ipv4:
      description: Whether IPv4 comes first in the prefix policies. Null before Windows Server 2012.
      type: bool
      sample: true
reboot_pending_since_boot:
  description: >-
    Time of the start of Windows during which the value was written, ISO 8601 in UTC, as long as the restart that makes
    it effective has not happened. Null otherwise.
  returned: success
  type: str
  sample: '2025-01-31T08:15:00Z'
adapters:
  description: The adapters that the task is about. Null if O(adapter_binding=unmanaged).
  returned: success
  type: list
  elements: dict
  contains:
    alias:
      description: Name of the adapter.
      type: str
      sample: Ethernet
    bound:
      description: Whether IPv6 is checked in the properties of the adapter.
      type: bool
      sample: true
hosts:
  description: What the hosts file says. Null if O(hosts_loopback=unmanaged).
  returned: success
  type: dict
  contains:
    loopback_active:
      description: Whether an active line gives C(localhost) the address C(::1).
      type: bool
      sample: false
    loopback_commented:
      description: Whether such a line is there as a comment.
      type: bool
      sample: true
    added:
      description: The lines that M(fieldnotes.windows.disable_ipv6) added, each with C(address) and C(name).
      type: list
      elements: dict
      sample:
        - address: 192.0.2.10
          name: mail01
    managed:
      description: Whether the file holds lines with the markers of this collection.
      type: bool
      sample: true
support:
  description: The vendor's position.
  returned: success
  type: dict
  contains:
    status:
      description: One of V(supported), V(discouraged), and V(unsupported).
      type: str
      sample: supported
    notes:
      description: What an administrator should know.
      type: list
      elements: str
      sample: []
steps:
  description: The steps of the change, in their order. Empty if there was nothing to change.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: What the step does.
      type: str
      sample: set DisabledComponents from absent to 0x20
    status:
      description: One of V(planned), V(done), V(skipped), V(failed), and V(undone).
      type: str
      sample: done
    seconds:
      description: How long the step took.
      type: float
      sample: 0.2
reboot_required:
  description: >-
    Whether what is configured takes effect only after a restart. In check mode, whether it would after the run. The
    module never restarts the host.
  returned: always
  type: bool
  sample: true
resumed:
  description: Whether the task found an interrupted run and finished it or rolled it back first.
  returned: always
  type: bool
  sample: false
refusal:
  description: Number of the refusal on the page of the procedure, where the task refuses.
  returned: when the task refuses
  type: str
  sample: R1
"""
