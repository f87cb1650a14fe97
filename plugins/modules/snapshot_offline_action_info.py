# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of the action plugin of the same name. The action plugin reads its argument specification from here."""

from __future__ import annotations

DOCUMENTATION = r"""
module: snapshot_offline_action_info
short_description: Tell of snapshots, disk chains and pending merges of clustered virtual machines
version_added: 0.1.0
author:
  - fieldnotes.windows contributors (@fieldnotes)
description:
  - Reads the clustered virtual machines that a Hyper-V node owns, with their snapshots, the chains of their disk files,
    the layers that wait to be merged, and the free space of the volumes.
options:
  vm:
    description:
      - Name of one virtual machine, in any case. Without O(vm) and O(vm_id), all clustered machines of the node.
    type: str
  vm_id:
    description:
      - GUID of one virtual machine, with or without braces. Not together with O(vm).
    type: str
extends_documentation_fragment:
  - fieldnotes.windows._attributes
  - fieldnotes.windows._attributes.info
  - fieldnotes.windows._connection
notes:
  - From Windows Server 2012 on backup and replication make layers of their own. Pending layers during a backup are
    normal.
seealso:
  - module: fieldnotes.windows.snapshot_offline_action
"""

EXAMPLES = r"""
- name: Read the clustered virtual machines of each node
  fieldnotes.windows.snapshot_offline_action_info:
  register: machines

- name: Name those that wait for a merge
  ansible.builtin.debug:
    msg: "{{ item.name }} has {{ item.pending_layers }} layers to merge"
  loop: "{{ machines.vms | selectattr('pending_layers', 'gt', 0) }}"
  loop_control:
    label: "{{ item.name }}"
"""

RETURN = r"""
os_build:
  description: Build of Windows on the node.
  returned: success
  type: int
  sample: 7601
method_auto:
  description: What O(fieldnotes.windows.snapshot_offline_action#module:method=auto) means here, V(offline) or V(live).
  returned: success
  type: str
  sample: offline
vms:
  description: The clustered virtual machines that the node owns.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the virtual machine.
      type: str
      sample: app1
    id:
      description: GUID of the virtual machine.
      type: str
      sample: 5C2B4F6E-9E1F-4A36-8D0B-0C5B6A2F7F10
    resource:
      description: Cluster resource of the machine.
      type: str
      sample: Virtual Machine app1
    group:
      description: Cluster group of the machine.
      type: str
      sample: app1
    owner_node:
      description: Node that owns the machine.
      type: str
      sample: N1
    resource_state:
      description: One of V(online), V(offline), V(failed), V(pending), V(initializing), and V(unknown).
      type: str
      sample: online
    vm_state:
      description: >-
        One of V(running), V(off), V(paused), V(saved), V(starting), V(stopping), V(saving), and V(other).
      type: str
      sample: running
    health:
      description: One of V(ok), V(major_failure), V(critical), and V(unknown).
      type: str
      sample: ok
    offline_action:
      description: One of V(turn_off), V(save), V(shutdown), V(force_shutdown), and V(unknown).
      type: str
      sample: save
    offline_action_value:
      description: The number of C(OfflineAction).
      type: int
      sample: 1
    snapshots:
      description: The snapshots of the machine.
      type: list
      elements: dict
      contains:
        name:
          description: Name of the snapshot.
          type: str
          sample: before the update
        id:
          description: GUID of the snapshot.
          type: str
          sample: 0E9C2C0F-2F8C-4B1D-9C11-6A5E0E6B1B9A
        parent:
          description: GUID of the snapshot that it was made from. Null for the first.
          type: str
          sample: 5E9C2C0F-2F8C-4B1D-9C11-6A5E0E6B1B9A
        type:
          description: Kind of snapshot, from Windows Server 2012 on such as V(Realized), V(Recovery), else V(Snapshot).
          type: str
          sample: Realized
    disks:
      description: The virtual hard disks of the machine.
      type: list
      elements: dict
      contains:
        controller:
          description: What identifies controller and place of the disk.
          type: str
          sample: 83F8638B-8DCA-4152-9EDA-2CA8B33039B4\0\0
        path:
          description: The attached file.
          type: str
          sample: C:\ClusterStorage\Volume1\app1\app1_2.avhd
        chain:
          description: The files from the attached one to the base.
          type: list
          elements: dict
          contains:
            path:
              description: Path of the file.
              type: str
              sample: C:\ClusterStorage\Volume1\app1\app1.vhd
            parent:
              description: Path of the parent. Null for the base.
              type: str
              sample: C:\ClusterStorage\Volume1\app1\app1.vhd
            type:
              description: One of V(fixed), V(dynamic), and V(differencing).
              type: str
              sample: differencing
            file_size:
              description: Bytes on the volume.
              type: int
              sample: 5368709120
            max_size:
              description: Bytes that the guest sees.
              type: int
              sample: 42949672960
        problems:
          description: What is wrong with the chain, a sentence each.
          type: list
          elements: str
          sample: []
    merging:
      description: Whether Hyper-V says that it merges. Null on Windows Server 2008, which never says.
      type: bool
      sample: false
    pending_layers:
      description: Layer files that no existing snapshot explains.
      type: int
      sample: 0
    volumes:
      description: Volumes that hold files of the disks.
      type: list
      elements: dict
      contains:
        path:
          description: Root directory of the volume.
          type: str
          sample: C:\ClusterStorage\Volume1
        free_bytes:
          description: Free bytes.
          type: int
          sample: 429496729600
        total_bytes:
          description: Size of the volume.
          type: int
          sample: 1099511627776
        needed_bytes:
          description: Free bytes that the merge needs here.
          type: int
          sample: 5578424320
    shutdown_component:
      description: >-
        One of V(ok), V(missing), and V(not_responding).
      type: str
      sample: ok
refusal:
  description: Number of the refusal on the page of the procedure, where the task refuses.
  returned: when the task refuses
  type: str
  sample: R2
"""
