# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from ansible_collections.fieldnotes.windows.plugins.plugin_utils.action import FieldnotesAction
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.procedures.snapshot_offline_action import (
    SnapshotOfflineAction,
)


class ActionModule(FieldnotesAction):
    """Merges the deleted snapshots of a clustered virtual machine."""

    procedure = SnapshotOfflineAction()
