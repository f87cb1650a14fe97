# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import importlib
from typing import ClassVar

from ansible_collections.fieldnotes.windows.plugins.plugin_utils.action import FieldnotesAction
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.fleet import FleetAction


class ActionModule(FleetAction):
    """Tells what a whole fleet is like."""

    # Imported here, in the parent, so that the worker inherits them.
    actions: ClassVar[dict[str, type[FieldnotesAction]]] = {
        name: importlib.import_module(f"{__package__}.{name}").ActionModule
        for name in FleetAction.spec["procedures"]["options"]["module"]["choices"]
    }
