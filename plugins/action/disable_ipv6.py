# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from ansible_collections.fieldnotes.windows.plugins.plugin_utils.action import FieldnotesAction
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.procedures.disable_ipv6 import DisableIpv6


class ActionModule(FieldnotesAction):
    """Sets which components of IPv6 are on."""

    procedure = DisableIpv6()
