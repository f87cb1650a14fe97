# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of the action plugin of the same name. The action plugin reads its argument specification from here."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ipv6_info
short_description: Tell what is set for IPv6, what of it is in effect, and what depends on it
version_added: 0.1.0
author:
  - fieldnotes.windows contributors (@fieldnotes)
description:
  - Reads the registry value C(DisabledComponents), the bindings, the addresses, the prefix policies, and the hosts
    file.
  - Says whether a restart is due, and what the vendor thinks of the state.
  - Names the roles of the host that depend on IPv6.
options:
  adapters:
    description:
      - Names of the adapters whose binding is told, exact except for upper and lower case.
      - An empty list means all physical and virtual adapters that are not hidden.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - fieldnotes.windows._attributes
  - fieldnotes.windows._attributes.info
  - fieldnotes.windows._connection
notes:
  - Windows Server 2008 and 2008 R2 have no classes for bindings and prefix policies. What depends on them is null
    there, and the list of prefix policies is empty.
seealso:
  - module: fieldnotes.windows.disable_ipv6
  - module: fieldnotes.windows.outlook_anywhere_info
  - name: Guidance for configuring IPv6 in Windows
    description: The registry value, its bits, and the vendor's position.
    link: https://learn.microsoft.com/troubleshoot/windows-server/networking/configure-ipv6-in-windows
"""

EXAMPLES = r"""
- name: Read the state of IPv6
  fieldnotes.windows.ipv6_info:
  register: ipv6

- name: Show hosts on which IPv6 was disabled in a way that nobody supports
  ansible.builtin.debug:
    msg: "{{ inventory_hostname }}: {{ ipv6.support.notes | join('; ') }}"
  when: ipv6.support.status == 'unsupported'
"""

RETURN = r"""
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
      description: The choice of O(fieldnotes.windows.disable_ipv6#module:state) that the value is, or V(custom).
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
reboot_required:
  description: Whether what is configured takes effect only after a restart.
  returned: success
  type: bool
  sample: false
adapters:
  description: The adapters with their bindings. Null before Windows Server 2012.
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
  description: What the hosts file says. Null, with a warning, if it cannot be read.
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
addresses:
  description: The IP addresses of the host.
  returned: success
  type: list
  elements: dict
  contains:
    alias:
      description: Name of the adapter, its description where it has no name.
      type: str
      sample: Ethernet
    address:
      description: IPv4 or IPv6 address.
      type: str
      sample: 192.0.2.10
    prefix_length:
      description: Bits of the prefix. Null where Windows does not give them.
      type: int
      sample: 24
prefix_policies:
  description: The active prefix policies. Empty before Windows Server 2012.
  returned: success
  type: list
  elements: dict
  contains:
    prefix:
      description: The prefix.
      type: str
      sample: '::ffff:0:0/96'
    precedence:
      description: A higher number comes first.
      type: int
      sample: 35
    label:
      description: Label of the prefix.
      type: int
      sample: 4
services:
  description: Roles that depend on IPv6.
  returned: success
  type: dict
  contains:
    exchange_transport:
      description: Whether the transport service of Exchange is installed.
      type: bool
      sample: false
    rras:
      description: Whether Routing and Remote Access runs or starts with Windows.
      type: bool
      sample: false
    failover_cluster:
      description: Whether the Cluster service is installed.
      type: bool
      sample: false
    directory_service:
      description: Whether the host is a domain controller.
      type: bool
      sample: false
"""
