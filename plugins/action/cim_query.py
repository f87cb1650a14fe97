# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from ansible_collections.fieldnotes.windows.plugins.plugin_utils.action import FieldnotesAction
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.procedures.cim_query import CimQuery


class ActionModule(FieldnotesAction):
    """Reads instances of any WMI class."""

    procedure = CimQuery()
