# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of the action plugin of the same name. The action plugin reads its argument specification from here."""

from __future__ import annotations

DOCUMENTATION = r"""
module: outlook_anywhere_info
short_description: Tell whether Outlook Anywhere of Exchange 2007 fails for IPv6
version_added: 0.1.0
author:
  - fieldnotes.windows contributors (@fieldnotes)
description:
  - On Windows Server 2008 the RPC proxy of Exchange 2007 SP1 before Update Rollup 4 comes to the server's own ports
    over IPv6, but the directory service proxy on port 6004 listens on IPv4 only. Then Outlook Anywhere fails.
  - This module looks who listens on the ports, on which kind of address, and which kind the host prefers.
options:
  ports:
    description:
      - The TCP ports of the Exchange store, the referral service, and the directory service proxy.
    type: list
    elements: int
    default: [6001, 6002, 6004]
  names:
    description:
      - Names under which the RPC proxy looks for the server. The findings tell what the hosts file says of them.
      - An empty list means the host name, and the full name if the host is in a domain.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - fieldnotes.windows._attributes
  - fieldnotes.windows._attributes.info
  - fieldnotes.windows._connection
seealso:
  - module: fieldnotes.windows.disable_ipv6
  - module: fieldnotes.windows.ipv6_info
  - name: Guidance for configuring IPv6 in Windows
    description: The registry value, its bits, and the vendor's position.
    link: https://learn.microsoft.com/troubleshoot/windows-server/networking/configure-ipv6-in-windows
"""

EXAMPLES = r"""
- name: Look whether Outlook Anywhere can work
  fieldnotes.windows.outlook_anywhere_info:
  register: outlook

- name: Show what is wrong
  ansible.builtin.debug:
    msg: "{{ outlook.findings }}"
  when: outlook.verdict == 'broken'
"""

RETURN = r"""
ports:
  description: Who listens, in the order of O(ports).
  returned: success
  type: list
  elements: dict
  contains:
    port:
      description: TCP port.
      type: int
      sample: 6004
    ipv4:
      description: >-
        Whether an IPv4 socket listens. Null if only an IPv6 socket does, because that may serve IPv4 as well.
      type: bool
      sample: true
    ipv6:
      description: Whether an IPv6 socket listens.
      type: bool
      sample: false
    addresses:
      description: The local addresses.
      type: list
      elements: str
      sample: ['0.0.0.0']
    process_id:
      description: The process that listens. Null if none does.
      type: int
      sample: 2412
    process:
      description: Its executable. Empty if none listens.
      type: str
      sample: mad.exe
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
verdict:
  description: >-
    V(broken) if the host prefers IPv6 and a port listens on IPv4 only. V(not_exchange) if nothing listens on any of the
    ports. V(ok) otherwise.
  returned: success
  type: str
  sample: broken
findings:
  description: What the verdict stands on.
  returned: success
  type: list
  elements: str
  sample:
    - 'port 6004 listens on IPv4 only, and this host prefers IPv6: the RPC proxy does not reach it'
"""
