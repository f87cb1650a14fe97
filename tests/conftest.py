# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read before any test module, so that the collection is loaded by Ansible's importer."""

import support

assert support.__doc__
