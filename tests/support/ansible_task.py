# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs one task of this collection as Ansible does, in this process: connection plugin, action plugin, templating."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins.loader import action_loader, connection_loader
from ansible.template import Templar


def run_task(
    module: str,
    arguments: Mapping[str, Any],
    variables: Mapping[str, Any],
    *,
    check: bool = False,
    diff: bool = True,
    become: bool = False,
    clock: Any = None,
) -> dict[str, Any]:
    """The result of ``fieldnotes.windows.<module>``.

    variables: those of the host, ``ansible_connection`` among them; clock: stands in for the controller's time.
    """
    loader = DataLoader()
    task_vars = {"hostvars": {}, **variables}
    name = f"fieldnotes.windows.{module}"
    task = Task.load({name: dict(arguments), "check_mode": check, "diff": diff, "become": become})
    context = PlayContext()
    kind = str(variables.get("ansible_connection", "psrp"))
    connection = connection_loader.get(kind, context)
    connection.set_options(task_keys={"port": variables.get("ansible_port")}, var_options=dict(task_vars))
    action = action_loader.get(
        name,
        task=task,
        connection=connection,
        play_context=context,
        loader=loader,
        templar=Templar(loader=loader, variables=task_vars),
        shared_loader_obj=None,
    )
    if clock is not None:
        action.clock = clock
    result: dict[str, Any] = action.run(task_vars=task_vars)
    return result
