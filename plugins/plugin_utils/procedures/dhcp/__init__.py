# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rooms of ``dhcp_migrate``: see ``procedures/dhcp_migrate.py`` for the procedure. For this collection only."""
