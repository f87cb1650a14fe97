# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of the action plugin of the same name. The action plugin reads its argument specification from here."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nlb_mode
short_description: Set the operation mode of a Network Load Balancing cluster
version_added: 0.1.0
author:
  - fieldnotes.windows contributors (@fieldnotes)
description:
  - Network Load Balancing (NLB) gives every host of a cluster the same virtual IP address. How the frames reach all
    hosts is the operation mode of the cluster, unicast, multicast, or multicast with IGMP.
  - This module changes the mode, waits until the cluster has converged, and checks mode, MAC address, port rules, and
    addresses afterwards.
  - A change of the mode resets the network adapter of every host. A connection over that adapter breaks. The module
    then connects again and decides from the state of the host.
options:
  mode:
    description:
      - The operation mode that the cluster shall have.
      - With V(unicast) the adapter gives up its own MAC address for that of the cluster. The switch never learns a port
        for it and floods.
      - With V(multicast) the adapter keeps its own MAC address and adds a multicast MAC address for the cluster.
      - V(igmp_multicast) is V(multicast) with IGMP joins, so that switches with IGMP snooping send only to the ports of
        the hosts.
    type: str
    required: true
    choices:
      - unicast
      - multicast
      - igmp_multicast
  interface:
    description:
      - Connection name of the adapter that NLB is bound to, as the network connections folder shows it.
      - Needed if the host has an NLB cluster on more than one adapter.
    type: str
  scope:
    description:
      - V(cluster) runs C(Set-NlbCluster) on this host, which changes all hosts of the cluster. It needs Windows Server
        2008 R2 or later and, if the cluster has other hosts, delegated credentials (CredSSP or Kerberos delegation).
      - V(node) changes this host only, through WMI. Whether Windows accepts that is not documented, so the module reads
        back what it wrote. It needs O(allow_mixed=true).
    type: str
    default: cluster
    choices:
      - cluster
      - node
  cluster_ip:
    description:
      - The primary IP address that the cluster is expected to have. Another one is refused before anything changes.
    type: str
  allow_management_adapter:
    description:
      - Accept that the connection of the play runs over the adapter that is reset. Have console access ready.
      - A connection to the cluster address itself is refused in any case.
    type: bool
    default: false
  allow_mixed:
    description:
      - Accept with O(scope=node) that hosts in different modes form no common cluster until all of them are changed.
        Use C(serial=1) in the play.
    type: bool
    default: false
  wait:
    description:
      - Wait until the cluster has converged.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds to wait for convergence, from 10 to 3600.
    type: int
    default: 300
  reconnect_timeout:
    description:
      - Seconds to wait for the connection to come back after the adapter was reset, from 10 to 3600.
    type: int
    default: 300
attributes:
  check_mode:
    details: Reports the plan and makes the same refusals without a writing request.
  diff_mode:
    details: Shows the mode and the MAC address of the cluster.
extends_documentation_fragment:
  - fieldnotes.windows._attributes
  - fieldnotes.windows._connection
  - fieldnotes.windows._journal
notes:
  - RV(network_actions) names what has to be done to switches and routers for the new mode. Do it in the same change
    window.
  - After the mode has changed nothing is switched back automatically, because that would reset the adapters again. The
    record on the host stays, and the next run goes on from there.
  - The module starts and stops nothing. A host that is stopped or suspended stays so, with a warning.
seealso:
  - module: fieldnotes.windows.nlb_info
  - name: Set-NlbCluster
    description: The cmdlet that changes the mode on all hosts.
    link: https://learn.microsoft.com/powershell/module/networkloadbalancingclusters/set-nlbcluster
  - name: MicrosoftNLB_ClusterSetting
    description: The settings of a cluster on a host.
    link: https://learn.microsoft.com/previous-versions/windows/desktop/wlbsprov/microsoftnlb-clustersetting
"""

EXAMPLES = r"""
- name: Stop the flooding of the VLAN
  fieldnotes.windows.nlb_mode:
    mode: igmp_multicast
    cluster_ip: 10.0.0.10
  run_once: true
  register: nlb

- name: Tell the network team what to do
  ansible.builtin.debug:
    var: nlb.network_actions
  run_once: true

- name: Change a cluster whose only adapter is the one the play uses
  fieldnotes.windows.nlb_mode:
    mode: multicast
    allow_management_adapter: true
    reconnect_timeout: 600
  run_once: true

- name: Change host by host, without delegated credentials
  fieldnotes.windows.nlb_mode:
    mode: multicast
    scope: node
    allow_mixed: true
"""

RETURN = r"""
before:
  description: The cluster when the task began, as an element of RV(fieldnotes.windows.nlb_info#module:clusters).
  returned: success
  type: dict
  sample:
    interface: NLB
    cluster_ip: 10.0.0.10
    mode: unicast
    mac: 02-BF-0A-00-00-0A
    status: converged
after:
  description: The cluster as it was read again after the change. In check mode the goal.
  returned: success
  type: dict
  sample:
    interface: NLB
    cluster_ip: 10.0.0.10
    mode: multicast
    mac: 03-BF-0A-00-00-0A
    status: converged
mac_change:
  description: The MAC address of the cluster before and after the change. Null if the mode does not change.
  returned: success
  type: dict
  contains:
    from:
      description: The address before.
      type: str
      sample: 02-BF-0A-00-00-0A
    to:
      description: The address by the rule. Null for an IPv6 cluster, whose rule is not documented.
      type: str
      sample: 03-BF-0A-00-00-0A
network_actions:
  description: What has to be done to switches, routers, and virtual adapters for the new mode.
  returned: success
  type: list
  elements: str
  sample:
    - >-
      the switch needs IGMP snooping and a querier in this VLAN,
      without a querier the entries time out after minutes and the service dies silently
steps:
  description: The steps of the change, in their order. Empty if there was nothing to change.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: What the step does.
      type: str
      sample: change operation mode of 10.0.0.10 from unicast to multicast
    status:
      description: One of V(planned), V(done), V(skipped), V(failed), and V(undone).
      type: str
      sample: done
    seconds:
      description: How long the step took.
      type: float
      sample: 14.2
reboot_required:
  description: Whether Windows reported that the new mode needs a restart. The next run after it verifies the change.
  returned: always
  type: bool
  sample: false
resumed:
  description: Whether the task found an interrupted run and finished it.
  returned: always
  type: bool
  sample: false
refusal:
  description: Number of the refusal on the page of the procedure, where the task refuses.
  returned: when the task refuses
  type: str
  sample: R7
"""
