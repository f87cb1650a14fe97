# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Attributes shared by the modules of this collection. For this collection only."""

from __future__ import annotations


class ModuleDocFragment:
    """A module overrides the support of an attribute where it differs."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check_mode and return changed status prediction without modifying the target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: full
  platform:
    description: Target OS/families that can be operated against.
    platforms: windows
    support: full
  action_group:
    description: Use C(group/fieldnotes.windows.windows) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - fieldnotes.windows.windows
"""

    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check_mode and return changed status prediction without modifying the target.
    support: full
    details: The module only reads, so check mode makes no difference.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: full
    details: The module only reads, so there is never a difference to show.
"""
