# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a process that will be killed shall not have to load itself: importing this loads Ansible and all modules.

Imported once, by the server from which ``multiprocessing`` forks every controller.
"""

from __future__ import annotations

from pathlib import Path

from support.ansible_task import run_task

MODULES = sorted(file.stem for file in Path(__file__).parents[2].joinpath("plugins", "action").glob("*.py"))

for _module in MODULES:
    # No module accepts this argument, so nobody is asked anything; but everything has been loaded by then.
    assert run_task(_module, {"no_such_argument": True}, {"ansible_host": "127.0.0.1"})["failed"]
