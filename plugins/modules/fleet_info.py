# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of the action plugin of the same name. The action plugin reads its argument specification from here."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_info
short_description: Tell what a whole fleet is like, and what procedures would change on it, in one task
version_added: 0.1.0
author:
  - fieldnotes.windows contributors (@fieldnotes)
description:
  - Runs once for all hosts of the play. It opens a session to many of them at the same time, each with the host's own
    connection variables, and runs the procedures in check mode over it.
  - Never changes anything. No writing request is sent.
  - A host that is slow, dead, or refuses does not hold up the others and does not fail the task. Its entry says what
    happened.
  - A line of progress is shown now and then.
options:
  procedures:
    description:
      - What to look at. The procedures of a host run one after the other over the same session.
      - Without it, every module of this collection that tells about a host and needs no arguments. These are
        M(fieldnotes.windows.hang_recovery_info), M(fieldnotes.windows.ipv6_info), M(fieldnotes.windows.kms_host_info),
        M(fieldnotes.windows.nlb_info), M(fieldnotes.windows.outlook_anywhere_info), and
        M(fieldnotes.windows.snapshot_offline_action_info).
    type: list
    elements: dict
    suboptions:
      module:
        description:
          - A module of this collection, without its namespace.
          - A module that changes something runs in check mode.
        type: str
        required: true
        choices:
          - cim_instance
          - cim_method
          - cim_query
          - dhcp_migrate
          - disable_ipv6
          - hang_recovery
          - hang_recovery_info
          - ipv6_info
          - kms_host
          - kms_host_info
          - kms_srv_record
          - nlb_info
          - nlb_mode
          - outlook_anywhere_info
          - snapshot_offline_action
          - snapshot_offline_action_info
      arguments:
        description: Its options. They are the same for all hosts.
        type: dict
        default: {}
      hosts:
        description:
          - Names of the hosts it is for, for example C(groups['kms_hosts']). Hosts that are not in the play are passed
            over.
          - Without it, all hosts of the play.
        type: list
        elements: str
      label:
        description: What the result calls it. Needed where a module occurs twice. The name of the module by default.
        type: str
  concurrency:
    description: How many hosts are asked at the same time.
    type: int
    default: 50
  timeout:
    description:
      - How long to wait for a host, in seconds, from its first request to the last answer of all its procedures.
      - The time-outs of its connection are shortened to this where they are longer.
    type: int
    default: 60
extends_documentation_fragment:
  - fieldnotes.windows._attributes
  - fieldnotes.windows._connection
attributes:
  check_mode:
    details: The module only reads, so check mode makes no difference.
  diff_mode:
    details: The result of each procedure has its difference.
  bypass_host_loop:
    description: Forces a 'global' task that does not execute per host.
    support: full
notes:
  - The variables of a host are those of the inventory, of C(host_vars) and C(group_vars), of earlier tasks, and extra
    variables. The keywords C(connection), C(remote_user), and C(port) of the play count as well. Variables that only
    the play or the task sets do not.
  - The task belongs to the first host of the play, and so does what it registers. Let the tasks that use it be
    C(run_once).
  - With C(serial) it runs once for each batch.
  - The strategies P(ansible.builtin.free#strategy) and P(ansible.builtin.host_pinned#strategy) refuse every module that
    runs once for all hosts.
seealso:
  - module: fieldnotes.windows.cim_query
  - module: fieldnotes.windows.disable_ipv6
"""

EXAMPLES = r"""
- name: Look at every host of the play
  fieldnotes.windows.fleet_info:
  register: fleet

- name: Show the hosts that did not answer
  ansible.builtin.debug:
    msg: "{{ item.key }}: {{ item.value.msg }}"
  loop: "{{ fleet.hosts | dict2items | selectattr('value.state', 'eq', 'unreachable') }}"
  loop_control:
    label: "{{ item.key }}"
  run_once: true

- name: Count the hosts on which IPv4 does not come first yet
  fieldnotes.windows.fleet_info:
    procedures:
      - module: disable_ipv6
        arguments:
          state: prefer_ipv4
  register: ipv6

- name: Show the number
  ansible.builtin.debug:
    msg: "{{ ipv6.counts.would_change }} hosts would be changed"
  run_once: true

- name: Hold each group against what it should be
  fieldnotes.windows.fleet_info:
    procedures:
      - module: hang_recovery
        arguments:
          action: bugcheck
          timeout: 60
        hosts: "{{ groups['clusters'] }}"
      - module: cim_query
        label: stopped_services
        arguments:
          class: Win32_Service
          match:
            StartMode: Auto
            State: Stopped
          properties: [Name]
    timeout: 30
"""

RETURN = r"""
hosts:
  description: What was found, by the name of the host in the inventory, in the order of the play.
  returned: success
  type: dict
  contains:
    state:
      description:
        - The first of these that one of its procedures came to. V(unreachable), V(failed), V(refused), V(would_change),
          V(compliant), V(answered).
        - A refusal of a module that only reads counts last. It says that the host has not what the module tells about.
        - V(unreachable) also where the host did not answer all in time.
      type: str
      sample: would_change
    msg:
      description: Why the host is unreachable or its connection variables cannot be used. Empty otherwise.
      type: str
      sample: ''
    seconds:
      description: How long the host took.
      type: float
      sample: 0.2
    procedures:
      description: What each procedure came to, by its label, in the order given.
      type: dict
      contains:
        module:
          description: Name of the module, without its namespace.
          type: str
          sample: disable_ipv6
        state:
          description:
            - V(compliant) if a module that changes something would change nothing.
            - V(would_change) if it would change something.
            - V(answered) for a module that only reads.
            - V(refused) if it found a reason not to act on this host, which its page lists.
            - V(failed) for any other trouble.
            - V(unreachable) if the host could not be talked to, or gave no answer in time.
          type: str
          sample: would_change
        msg:
          description: What the refusal, the failure or the lost connection says. Empty otherwise.
          type: str
          sample: ''
        refusal:
          description: Number of the refusal on the procedure's page, for example V(R3). Null if it is none.
          type: str
          sample: null
        result:
          description:
            - What the module itself returns in check mode, see its page. Of a module that changes something, it has for
              example RV(ignore:steps), RV(ignore:before), RV(ignore:after), and RV(ignore:reboot_required).
            - Empty where the host was not asked any more.
          type: dict
          sample:
            changed: true
            steps:
              - name: set DisabledComponents to 0x20 (prefer_ipv4), as REG_DWORD
                status: planned
                seconds: 0.0
            reboot_required: true
            resumed: false
            warnings: []
counts:
  description: How many hosts are in each state.
  returned: success
  type: dict
  sample:
    answered: 0
    compliant: 960
    failed: 0
    refused: 4
    unreachable: 3
    would_change: 33
"""
