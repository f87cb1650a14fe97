# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What tests of several kinds need."""

from ansible.plugins.loader import init_plugin_loader

# Before the first import of the collection: only what Ansible's own importer loaded is a collection to Ansible.
init_plugin_loader()
