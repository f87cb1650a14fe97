# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a procedure of several steps leaves on its host while it runs. For this collection only."""

from __future__ import annotations


class ModuleDocFragment:
    """Notes for every module that writes a journal."""

    DOCUMENTATION = r"""
options: {}
notes:
  - A change of several steps is recorded in the registry of the host under
    C(HKLM\SOFTWARE\fieldnotes.windows\Journal) before the first step and removed after the result was verified.
    The record holds no secret. Every user of the host can read it.
  - A task that was interrupted (lost connection, killed controller) is finished or rolled back by the next run, from
    any controller. The return value RV(resumed) says that this happened.
  - If a step fails, the steps before it are undone in reverse order.
"""
