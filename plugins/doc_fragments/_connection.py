# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

"""How a module reaches its host. For this collection only."""

from __future__ import annotations


class ModuleDocFragment:
    """Notes for every module that talks to a Windows host."""

    DOCUMENTATION = r"""
options: {}
requirements:
  - pypsrp >= 0.8.1 on the controller, in the Python that runs ansible-core
notes:
  - The task uses the play's own connection, P(ansible.builtin.psrp#connection) or P(ansible.builtin.winrm#connection),
    with the variables that the inventory has already. It has no connection options of its own.
  - All logic runs on the controller. The host only answers WS-Management requests, so the task also works where
    PowerShell is restricted, and in the steady state it costs a few requests.
  - C(become) is refused. Use an account that may administer the host, and CredSSP or Kerberos delegation where
    a procedure needs a second hop.
  - The account must be an administrator of the host.
  - This collection has never run against real Windows. It is built after Microsoft's public documentation and tested
    against a simulated fleet. Try check mode first, which sends no writing request.
"""
