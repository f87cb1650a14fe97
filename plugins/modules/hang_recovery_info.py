# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of the action plugin of the same name. The action plugin reads its argument specification from here."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hang_recovery_info
short_description: Tell what a failover cluster does with a hung node, and how often nodes hung
version_added: 0.1.0
author:
  - fieldnotes.windows contributors (@fieldnotes)
description:
  - Reads the hang recovery policy of the failover cluster that a host belongs to, and the crash dump settings of
    the host.
  - Counts the hangs that the System event log of the host has recorded, and says what they left there.
  - Never reads localized text of an event.
options:
  history_days:
    description:
      - How many days back the System event log is read, from 0 to 3650. V(0) does not read it.
    type: int
    default: 90
  history_max:
    description:
      - How many of the newest events of each kind are returned, from 1 to 1000. The counts are always complete.
    type: int
    default: 50
extends_documentation_fragment:
  - fieldnotes.windows._attributes
  - fieldnotes.windows._attributes.info
  - fieldnotes.windows._connection
notes:
  - The recovery action V(disabled) leaves no trace in the log. A live dump is no bug check and is never counted as one.
seealso:
  - module: fieldnotes.windows.hang_recovery
  - name: HangRecoveryAction
    description: Values of the cluster property.
    link: https://learn.microsoft.com/previous-versions/windows/desktop/mscs/cluster-hangrecoveryaction
  - name: Bug check 0x9E
    description: USER_MODE_HEALTH_MONITOR and its parameters.
    link: https://learn.microsoft.com/windows-hardware/drivers/debugger/bug-check-0x9e--user-mode-health-monitor
"""

EXAMPLES = r"""
- name: Read the policy and the hangs of the last 90 days
  fieldnotes.windows.hang_recovery_info:
  register: hang

- name: Show nodes that were stopped by a hang
  ansible.builtin.debug:
    msg: >-
      {{ hang.node }} of {{ hang.cluster }} was stopped {{ hang.history.bugcheck.count }} times,
      the last time at {{ hang.history.bugcheck.last }}
  when: hang.history.bugcheck.count > 0

- name: Read the policy only
  fieldnotes.windows.hang_recovery_info:
    history_days: 0
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
action:
  description: >-
    Name of the recovery action, as in M(fieldnotes.windows.hang_recovery), or V(unknown), with a warning, for a number
    that this module does not know.
  returned: success
  type: str
  sample: bugcheck
action_value:
  description: The number of C(HangRecoveryAction).
  returned: success
  type: int
  sample: 3
timeout:
  description: Seconds without a heartbeat, C(ClusSvcHangTimeout). Null where Windows Server 2008 does not show it.
  returned: success
  type: int
  sample: 60
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
is_default:
  description: Whether RV(action) is RV(os_default_action).
  returned: success
  type: bool
  sample: true
dump:
  description: Crash dump settings of the host.
  returned: success
  type: dict
  contains:
    type:
      description: >-
        Type of crash dump, V(none), V(complete), V(kernel), V(small), or V(automatic), or V(unknown) for a number that
        this module does not know.
      type: str
      sample: automatic
    value:
      description: The number of C(CrashDumpEnabled).
      type: int
      sample: 7
    file:
      description: Path of the dump file, as the registry holds it.
      type: str
      sample: '%SystemRoot%\MEMORY.DMP'
    auto_reboot:
      description: Whether the host restarts after a bug check.
      type: bool
      sample: true
    overwrite:
      description: Whether a new dump replaces the old one.
      type: bool
      sample: true
    log_event:
      description: Whether a bug check is written to the System log.
      type: bool
      sample: true
    minidump_dir:
      description: Directory of small dumps, as the registry holds it.
      type: str
      sample: '%SystemRoot%\Minidump'
advice:
  description: What an administrator should know or do, given the policy, the dump settings and the history.
  returned: success
  type: list
  elements: str
  sample:
    - >-
      a kernel dump holds no user-mode memory, where the cause of a hang usually is,
      set dump_type complete before the next hang
history:
  description: The traces of hangs in the System log. Null if O(history_days=0).
  returned: success
  type: dict
  contains:
    complete:
      description: Whether the log reaches back as far as was asked. If not, a warning says so.
      type: bool
      sample: true
    logged:
      description: Event 4869, node not responsive and nothing done. The recovery action V(log) leaves it.
      type: dict
      contains: &kind
        count:
          description: Number of events.
          type: int
          sample: 3
        last:
          description: Time of the newest event, ISO 8601 in UTC, or null.
          type: str
          sample: '2025-01-31T08:15:00Z'
        events:
          description: >-
            The newest events, newest first, at most O(history_max). Each has C(time) (ISO 8601 in UTC) and C(record),
            the number in the log. C(logged) has C(process), C(pid), and C(seconds).
            C(recovered) has C(pid) and C(seconds).
            C(service_ended) has C(times). C(bugcheck) has C(process_address), C(seconds), C(watchdog_source), and
            C(dump_file).
          type: list
          elements: dict
          sample:
            - time: '2025-01-31T08:15:00Z'
              record: 41235
              pid: 1780
              seconds: 60
    recovered:
      description: Event 4870, node not responsive and the recovery action follows.
      type: dict
      contains: *kind
    service_ended:
      description: >-
        Event 7031 of the Cluster service, which ended unexpectedly. Recovery action V(terminate_service) leaves it.
      type: dict
      contains: *kind
    bugcheck:
      description: Event 1001 with bug check code C(0x9E), written after the restart.
      type: dict
      contains: *kind
"""
