# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of the action plugin of the same name. The action plugin reads its argument specification from here."""

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_report
short_description: Write what a whole fleet is like as one web page and as JSON
version_added: 0.1.0
author:
  - fieldnotes.windows contributors (@fieldnotes)
description:
  - Takes what M(fieldnotes.windows.fleet_info) returned and writes it on the controller, as one HTML page, as JSON, or
    both. No host is contacted.
  - The page is a matrix of hosts and procedures. Each cell says in a word, a colour, and a symbol what was found, and
    opens with the values that were observed, what would change and why, and the sources of the rule.
  - The page needs no other file and no network, filters, prints, and stays quick with thousands of hosts. Its content
    cannot run as a program, whatever a host answered.
options:
  fleet:
    description:
      - What M(fieldnotes.windows.fleet_info) returned, the registered result as a whole.
      - Several results become one report, if the task ran more than once.
    type: list
    elements: dict
    required: true
  procedures:
    description:
      - What M(fieldnotes.windows.fleet_info) was asked for, its option of the same name. The page then tells with each
        rule what was asked for, secrets left out, and keeps this order.
    type: list
    elements: dict
    suboptions:
      module:
        description: As in M(fieldnotes.windows.fleet_info).
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
        description: As in M(fieldnotes.windows.fleet_info).
        type: dict
        default: {}
      hosts:
        description: As in M(fieldnotes.windows.fleet_info). It makes no difference here.
        type: list
        elements: str
      label:
        description: As in M(fieldnotes.windows.fleet_info).
        type: str
  html:
    description:
      - Where to write the page, on the controller. The folder must exist.
      - At least one of O(html) and O(json) is required.
    type: path
  json:
    description: Where to write the same as JSON, on the controller. The folder must exist.
    type: path
  title:
    description: The title of the page.
    type: str
    default: Audit of the Windows fleet
  created:
    description:
      - The time that the report carries, in ISO 8601. Now if it is not given.
      - With the same time and the same O(fleet) the files are always the same.
    type: str
extends_documentation_fragment:
  - fieldnotes.windows._attributes
attributes:
  check_mode:
    details: Tells whether a file would change and writes none.
  diff_mode:
    support: none
  bypass_host_loop:
    description: Forces a 'global' task that does not execute per host.
    support: full
notes:
  - The task runs once for all hosts of the play. With C(serial) it runs once for each batch, so let O(html) and O(json)
    have other names for each, or leave C(serial) out.
  - The files hold what the hosts answered about themselves, such as addresses, versions, and names, and no secret of a
    task. They get the permissions that the account gives to new files.
seealso:
  - module: fieldnotes.windows.fleet_info
"""

EXAMPLES = r"""
- name: Look at every host of the play
  fieldnotes.windows.fleet_info:
  register: fleet

- name: Write what was found
  fieldnotes.windows.audit_report:
    fleet:
      - "{{ fleet }}"
    html: audit.html
    json: audit.json
"""

RETURN = r"""
html:
  description: The path of the page.
  returned: when O(html) is given
  type: str
  sample: /home/operator/audit.html
json:
  description: The path of the JSON file.
  returned: when O(json) is given
  type: str
  sample: /home/operator/audit.json
counts:
  description: >-
    How many cells of the matrix, a procedure on a host each, are in each state. The states are those of
    M(fieldnotes.windows.fleet_info), and V(not_there) where a module that only reads found nothing to tell about.
  returned: success
  type: dict
  sample:
    answered: 600
    compliant: 280
    failed: 0
    not_there: 40
    refused: 4
    unreachable: 12
    would_change: 104
"""
