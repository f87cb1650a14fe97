# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of the action plugin of the same name. The action plugin reads its argument specification from here."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hang_recovery
short_description: Set what a failover cluster does with a hung node
version_added: 0.1.0
author:
  - fieldnotes.windows contributors (@fieldnotes)
description:
  - A failover cluster node watches its own user mode. The cluster network driver (C(netft.sys)) expects a heartbeat
    from the Cluster service. If none arrives for C(ClusSvcHangTimeout) seconds, the driver does what
    C(HangRecoveryAction) says. It does nothing, logs an event, ends the Cluster service, or stops the machine with
    bug check C(0x9E) so that another node takes over.
  - This module sets these two properties of the cluster, and the crash dump type of the node.
  - O(action) and O(timeout) belong to the cluster and are valid for all its nodes at once. O(dump_type) belongs to the
    node that the task runs on.
  - At least one of O(action), O(timeout), and O(dump_type) is required.
options:
  action:
    description:
      - What the nodes of the cluster do when the Cluster service of a node hangs, C(HangRecoveryAction).
      - Windows Server 2008 and 2008 R2 know V(disabled) to V(bugcheck), Windows Server 2012 to 2016 also
        V(bugcheck_all) and V(debug_break), Windows Server 2019 and later also V(live_dump).
        The node with the oldest Windows decides.
      - V(disabled) (0) does nothing. On Windows Server 2008 and 2008 R2 it turns the heartbeat monitoring off. It needs
        O(force=true).
      - V(log) (1) writes event 4869 to the System log.
      - V(terminate_service) (2) ends the Cluster service. That uses user mode itself, so in a real hang it may never
        finish.
      - V(bugcheck) (3) stops the machine with bug check C(0x9E) when the driver detects the hang. When the Cluster
        service detects it itself (Windows Server 2012 and later), it only ends.
      - V(bugcheck_all) (4) stops the machine in both cases.
      - V(debug_break) (5) stops the machine in the kernel debugger. It needs O(force=true).
      - V(live_dump) (6) writes a live kernel dump, then ends the process. It is the default of Windows Server 2019 and
        later.
      - If not given, the current value stays.
    type: str
    choices:
      - disabled
      - log
      - terminate_service
      - bugcheck
      - bugcheck_all
      - debug_break
      - live_dump
  timeout:
    description:
      - Seconds without a heartbeat after which a node counts as hung, C(ClusSvcHangTimeout), from 6 to 4294967295.
      - It is set with C(cluster.exe) where the node has it (always on Windows Server 2008 and 2008 R2, with the feature
        RSAT-Clustering-CmdInterface on later versions), else through WMI if WMI accepts it.
      - A value below 30 brings a warning, because a slow minute of the storage then becomes a failover.
      - Windows Server 2008 may lack the property. The task then fails.
      - If not given, the current value stays.
    type: int
  dump_type:
    description:
      - Type of the crash dump that B(this node only) writes. It takes effect after a restart.
      - V(kernel) holds no memory of user mode, where the cause of a hang usually is.
      - V(complete) needs a paging file on the boot volume of at least the size of the memory and 257 MB.
      - V(automatic) needs Windows Server 2012 or later.
      - If not given, the current value stays.
    type: str
    choices:
      - kernel
      - complete
      - automatic
  cluster:
    description:
      - Name of the cluster that the host is expected to belong to, short or fully qualified, in any case.
      - If the host belongs to another cluster the task fails before it changes anything. It is a guard against a
        wrong inventory group and never a target of a connection.
    type: str
  force:
    description:
      - Accept O(action=disabled) or O(action=debug_break), which are rarely what a production cluster needs.
    type: bool
    default: false
attributes:
  check_mode:
    details: Reports the plan and makes the same refusals without a writing request.
  diff_mode:
    details: Shows O(action), O(timeout), and O(dump_type), as far as the task gives them.
extends_documentation_fragment:
  - fieldnotes.windows._attributes
  - fieldnotes.windows._connection
  - fieldnotes.windows._journal
notes:
  - Use C(run_once) for O(action) and O(timeout), and a separate task without it for O(dump_type), as the examples do.
    Without C(run_once) two hosts that read the old value at the same time both write it and both report a change, and
    the result is right.
  - Nodes that are down or paused get the value when they return. A warning names them. While a node is joining, the
    cluster's properties are not changed.
  - Bug check C(0x9E) is a reaction to a hang, not a fault of clustering. Look for exhausted resources of user mode.
seealso:
  - module: fieldnotes.windows.hang_recovery_info
  - name: HangRecoveryAction
    description: Values of the cluster property.
    link: https://learn.microsoft.com/previous-versions/windows/desktop/mscs/cluster-hangrecoveryaction
  - name: Bug check 0x9E
    description: USER_MODE_HEALTH_MONITOR and its parameters.
    link: https://learn.microsoft.com/windows-hardware/drivers/debugger/bug-check-0x9e--user-mode-health-monitor
  - name: Memory dump file options
    description: The types of crash dumps and the registry values that hold them.
    link: https://learn.microsoft.com/troubleshoot/windows-server/performance/memory-dump-file-options
"""

EXAMPLES = r"""
- name: Stop a hung node so that another one takes over
  fieldnotes.windows.hang_recovery:
    action: bugcheck
    timeout: 60
    cluster: CL1
  run_once: true

- name: Keep the memory of user mode for the search for the cause
  fieldnotes.windows.hang_recovery:
    dump_type: complete
  register: dump

- name: Restart where the dump type has changed
  ansible.windows.win_reboot:
  when: dump.reboot_required

- name: Only log while a debugger is prepared
  fieldnotes.windows.hang_recovery:
    action: log
  run_once: true

- name: Turn hang detection off, on purpose
  fieldnotes.windows.hang_recovery:
    action: disabled
    force: true
  run_once: true
"""

RETURN = r"""
cluster:
  description: Name of the cluster that the host belongs to.
  returned: success
  type: str
  sample: CL1
node:
  description: Computer name of the host.
  returned: success
  type: str
  sample: N1
before:
  description: What was there when the task began.
  returned: success
  type: dict
  contains: &state
    action:
      description: >-
        Name of the recovery action, one of the choices of O(action), or V(unknown) for a number that this
        module does not know.
      type: str
      sample: bugcheck
    action_value:
      description: The number of C(HangRecoveryAction).
      type: int
      sample: 3
    timeout:
      description: Seconds without a heartbeat, C(ClusSvcHangTimeout). Null where Windows Server 2008 does not show it.
      type: int
      sample: 60
    dump_type:
      description: >-
        Type of crash dump, V(none), V(complete), V(kernel), V(small), or V(automatic), or V(unknown) for a number that
        this module does not know. Null unless the task gives O(dump_type), because nothing is read that is not needed.
      type: str
      sample: kernel
    dump_value:
      description: The number of C(CrashDumpEnabled). Null unless the task gives O(dump_type).
      type: int
      sample: 2
after:
  description: What is there now, read again after the change. In check mode the goal.
  returned: success
  type: dict
  contains: *state
allowed_actions:
  description: Recovery actions that the node with the oldest Windows accepts.
  returned: success
  type: list
  elements: str
  sample: [disabled, log, terminate_service, bugcheck, bugcheck_all, debug_break]
os_default_action:
  description: Recovery action that Windows has by default on the node with the oldest Windows.
  returned: success
  type: str
  sample: bugcheck
steps:
  description: The steps of the change, in their order. Empty if there was nothing to change.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: What the step does.
      type: str
      sample: set HangRecoveryAction from live_dump to bugcheck
    status:
      description: One of V(planned), V(done), V(skipped), V(failed), and V(undone).
      type: str
      sample: done
    seconds:
      description: How long the step took.
      type: float
      sample: 0.2
reboot_required:
  description: Whether a change needs a restart of the host to take effect. Only a change of O(dump_type) does.
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
  sample: R6
"""
