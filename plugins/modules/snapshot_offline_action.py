# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of the action plugin of the same name. The action plugin reads its argument specification from here."""

from __future__ import annotations

DOCUMENTATION = r"""
module: snapshot_offline_action
short_description: Merge the deleted snapshots of a clustered virtual machine
version_added: 0.1.0
author:
  - fieldnotes.windows contributors (@fieldnotes)
description:
  - On Windows Server 2008 and 2008 R2 a deleted snapshot of a virtual machine is merged into its parent while the
    machine is off, and only as long as it stays off. A failover cluster restarts or saves a machine that it did not
    stop itself, so the merge never happens and the AVHD files grow until the volume is full.
  - This module makes the cluster shut the machine down when it takes it offline (C(OfflineAction)), deletes snapshots,
    takes the machine offline through the cluster, waits for the merge, gives C(OfflineAction) its old value, and brings
    the machine online again.
  - From Windows Server 2012 on deleted snapshots are merged while the machine runs. The module then deletes and waits,
    or only waits.
  - Run it on the node that owns the virtual machine.
options:
  vm:
    description:
      - Name of the virtual machine, in any case.
      - Exactly one of O(vm) and O(vm_id) is required.
    type: str
  vm_id:
    description:
      - GUID of the virtual machine, with or without braces.
    type: str
  delete:
    description:
      - Which snapshots go. With V(none) only what was deleted before is merged.
      - V(subtree) deletes O(snapshot) and everything that was made from it.
    type: str
    choices:
      - none
      - subtree
      - all
    default: none
  snapshot:
    description:
      - Name or GUID of the snapshot whose subtree goes. Required with O(delete=subtree), else not allowed.
    type: str
  method:
    description:
      - V(auto) merges live from Windows Server 2012 on, offline before.
      - V(offline) shuts the machine down on later Windows too, for a live merge that is stuck.
      - V(live) needs Windows Server 2012 or later.
    type: str
    choices:
      - auto
      - offline
      - live
    default: auto
  shutdown:
    description:
      - How the cluster stops the machine for the merge, the value that C(OfflineAction) has meanwhile.
      - V(shutdown) (2) asks the guest, V(force_shutdown) (3) forces its applications, V(turn_off) (0) cuts the power.
    type: str
    choices:
      - shutdown
      - force_shutdown
      - turn_off
    default: shutdown
  shutdown_timeout:
    description:
      - Seconds to wait for the guest to shut down, from 30 to 7200. The cluster itself waits for C(PendingTimeout) and
        then cuts the power. A warning says when that is shorter.
    type: int
    default: 600
  merge_timeout:
    description:
      - Seconds to wait for the merge, from 60 to 604800.
    type: int
    default: 14400
  on_merge_timeout:
    description:
      - V(leave) fails, and the machine stays off and goes on merging. Run the task again to go on waiting.
      - V(start) gives C(OfflineAction) its old value, starts the machine and fails. The progress of the merge is lost.
    type: str
    choices:
      - leave
      - start
    default: leave
  start:
    description:
      - Whether the machine is brought online after an offline merge.
    type: str
    choices:
      - as_before
      - always
      - never
    default: as_before
  min_free_bytes:
    description:
      - Free bytes to demand on each volume that receives merged data, instead of what the module computes. It computes
        the size of the layers that are merged into dynamic and differencing disks, and 200 MB.
    type: int
  not_owner:
    description:
      - What to do on a node that does not own the machine. V(skip) passes over the host and says why in
        RV(skipped_reason).
    type: str
    choices:
      - fail
      - skip
    default: fail
attributes:
  check_mode:
    details: Reads everything, reports the plan and makes the same refusals without a writing request.
  diff_mode:
    details: Shows snapshots, layer files, the state of the machine and C(OfflineAction).
extends_documentation_fragment:
  - fieldnotes.windows._attributes
  - fieldnotes.windows._connection
notes:
  - The run is recorded in the cluster database (private property C(FieldnotesJournal) of the group of the machine) and
    in the registry of the node under C(HKLM\SOFTWARE\fieldnotes.windows\Journal), until its result was verified.
    Whatever node owns the machine next finds it. An interrupted run is finished by the next one, from any controller,
    also after a failover. The record holds no secret.
  - Deleting snapshots is the point of no return. If a later step fails, C(OfflineAction) gets its old value and the
    machine runs again where it did.
  - Do not start the machine during an offline merge. All progress is lost.
  - Never delete AVHD files by hand, and do not run a rolling upgrade of the cluster at the same time.
  - The cluster cmdlets may need CredSSP or Kerberos delegation. The message says so if they do.
seealso:
  - module: fieldnotes.windows.snapshot_offline_action_info
  - name: OfflineAction
    description: Values of the private property of Virtual Machine resources.
    link: https://learn.microsoft.com/previous-versions/windows/desktop/mscs/virtual-machines-offlineaction
"""

EXAMPLES = r"""
- name: Delete all snapshots of app1 and merge them
  fieldnotes.windows.snapshot_offline_action:
    vm: app1
    delete: all
    not_owner: skip

- name: Merge what was deleted long ago, at night, and go on waiting tomorrow if it takes longer
  fieldnotes.windows.snapshot_offline_action:
    vm: app1
    merge_timeout: 18000
    not_owner: skip

- name: Delete one snapshot and everything that was made from it
  fieldnotes.windows.snapshot_offline_action:
    vm_id: 5C2B4F6E-9E1F-4A36-8D0B-0C5B6A2F7F10
    delete: subtree
    snapshot: before the update

- name: Shut the machine down although Windows could merge live, because the live merge is stuck
  fieldnotes.windows.snapshot_offline_action:
    vm: app1
    method: offline
    on_merge_timeout: start
"""

RETURN = r"""
before:
  description: What was there when the task began. Empty on a node that does not own the machine.
  returned: success
  type: dict
  contains: &vm
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
      description: Volumes that hold files of the disks. Null where nothing had to be done, so they were not read.
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
        One of V(ok), V(missing), and V(not_responding). Null where nothing had to be done, so it was not read.
      type: str
      sample: ok
after:
  description: What is there now, read again after the change. In check mode the goal.
  returned: success
  type: dict
  contains: *vm
skipped_reason:
  description: Why the host was passed over. Null where it was not.
  returned: success
  type: str
  sample: "VM app1 is owned by N1, not by N2: run there (not_owner: skip passes over this host)"
merged_files:
  description: Layer files that are gone.
  returned: success
  type: list
  elements: str
  sample: ['C:\ClusterStorage\Volume1\app1\app1_1.avhd']
downtime_seconds:
  description: How long the machine was not running because of this task. 0 for a live merge.
  returned: success
  type: int
  sample: 312
merge_seconds:
  description: How long the task waited for the merge.
  returned: success
  type: int
  sample: 240
steps:
  description: The steps of the change, in their order. Empty if there was nothing to do.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: What the step does.
      type: str
      sample: wait for the merge
    status:
      description: One of V(planned), V(done), V(skipped), V(failed), and V(undone).
      type: str
      sample: done
    seconds:
      description: How long the step took.
      type: float
      sample: 240.1
reboot_required:
  description: Always false.
  returned: always
  type: bool
  sample: false
resumed:
  description: Whether the task found an interrupted run and finished it first.
  returned: always
  type: bool
  sample: false
refusal:
  description: Number of the refusal on the page of the procedure, where the task refuses.
  returned: when the task refuses
  type: str
  sample: R12
"""
