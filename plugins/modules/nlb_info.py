# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of the action plugin of the same name. The action plugin reads its argument specification from here."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nlb_info
short_description: Tell the Network Load Balancing clusters of a host
version_added: 0.1.0
author:
  - fieldnotes.windows contributors (@fieldnotes)
description:
  - Reads the Network Load Balancing (NLB) clusters that a host belongs to, with their operation mode, the exact MAC
    address for static ARP and MAC entries in network gear, the state of the host, and the port rules.
  - A host without NLB is no failure.
options:
  interface:
    description:
      - Connection name of one adapter that NLB is bound to. Without it all are told.
    type: str
extends_documentation_fragment:
  - fieldnotes.windows._attributes
  - fieldnotes.windows._attributes.info
  - fieldnotes.windows._connection
seealso:
  - module: fieldnotes.windows.nlb_mode
  - name: MicrosoftNLB_ClusterSetting
    description: The settings of a cluster on a host.
    link: https://learn.microsoft.com/previous-versions/windows/desktop/wlbsprov/microsoftnlb-clustersetting
"""

EXAMPLES = r"""
- name: Read the clusters of the web servers
  fieldnotes.windows.nlb_info:
  register: nlb

- name: Show what the router needs
  ansible.builtin.debug:
    msg: "arp {{ item.cluster_ip }} {{ item.mac }}"
  loop: "{{ nlb.clusters }}"
  loop_control:
    label: "{{ item.interface }}"
  when: item.mode != 'unicast'
"""

RETURN = r"""
installed:
  description: Whether NLB is installed on the host.
  returned: success
  type: bool
  sample: true
clusters:
  description: The clusters, one for each adapter that has one. Adapters without a configured cluster are left out.
  returned: success
  type: list
  elements: dict
  contains:
    interface:
      description: Connection name of the adapter.
      type: str
      sample: NLB
    adapter_guid:
      description: GUID of the adapter.
      type: str
      sample: '{1B26FE86-4A4B-4F9D-9C8D-1F8D5A6E8C11}'
    cluster_name:
      description: Full internet name of the cluster.
      type: str
      sample: www.corp.example
    cluster_ip:
      description: Primary IP address of the cluster.
      type: str
      sample: 10.0.0.10
    network_mask:
      description: Subnet mask of the cluster.
      type: str
      sample: 255.255.255.0
    mode:
      description: Operation mode, V(unicast), V(multicast), or V(igmp_multicast).
      type: str
      sample: multicast
    mac:
      description: MAC address of the cluster as Windows reports it.
      type: str
      sample: 03-BF-0A-00-00-0A
    expected_mac:
      description: MAC address by the rule. Null for an IPv6 cluster, whose rule is not documented.
      type: str
      sample: 03-BF-0A-00-00-0A
    mac_ok:
      description: Whether the two are the same. Null where one is not known.
      type: bool
      sample: true
    multicast_ip:
      description: IGMP group that the hosts join, in the mode V(igmp_multicast), else null.
      type: str
      sample: 239.255.0.10
    unicast_host_to_host:
      description: Whether hosts can talk to each other over a unicast adapter (C(UnicastInterHostCommSupportEnabled)).
      type: bool
      sample: false
    dedicated_ips:
      description: Dedicated IP addresses of the host.
      type: list
      elements: str
      sample: [10.0.0.11]
    adapter_ips:
      description: Addresses of the adapter, in its order.
      type: list
      elements: str
      sample: [10.0.0.11, 10.0.0.10]
    ip_order_ok:
      description: >-
        Whether the first address of the adapter is a dedicated one and that of the cluster comes later, or, without
        dedicated addresses, whether that of the cluster is the first.
      type: bool
      sample: true
    host_priority:
      description: Priority of the host in the cluster.
      type: int
      sample: 1
    status:
      description: >-
        State of the host, one of V(stopped), V(converging), V(converged), V(converged_default), V(draining),
        V(suspended), and V(unknown).
      type: str
      sample: converged
    status_code:
      description: The state as Windows' number.
      type: int
      sample: 1007
    port_rules:
      description: The port rules of the cluster.
      type: list
      elements: dict
      contains:
        vip:
          description: Virtual address of the rule. V(255.255.255.255) stands for all.
          type: str
          sample: 255.255.255.255
        start_port:
          description: First port.
          type: int
          sample: 80
        end_port:
          description: Last port.
          type: int
          sample: 80
        protocol:
          description: One of V(tcp), V(udp), and V(both).
          type: str
          sample: tcp
        filtering:
          description: One of V(single_host), V(multiple_host), and V(disabled).
          type: str
          sample: multiple_host
        affinity:
          description: One of V(none), V(single), and V(network).
          type: str
          sample: single
        load_weight:
          description: Share of this host where the load is not equal.
          type: int
          sample: 50
        equal_load:
          description: Whether all hosts get the same share.
          type: bool
          sample: true
        priority:
          description: Handling priority of this host where one host takes all.
          type: int
          sample: 1
        timeout:
          description: Time-out of extended affinity, C(ClientStickinessTimeout). Null on Windows Server 2008.
          type: int
          sample: 0
    is_management_adapter:
      description: Whether the connection of the play ends on this adapter.
      type: bool
      sample: false
    virtual_machine:
      description: Whether the host is a virtual machine of Hyper-V.
      type: bool
      sample: true
refusal:
  description: Number of the refusal on the page of the procedure, where the task refuses.
  returned: when the task refuses
  type: str
  sample: R3
"""
