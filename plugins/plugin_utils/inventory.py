# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How Ansible would connect to a host, as the settings of a session. For this collection only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible import constants as C
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.loader import connection_loader

from .wsman.settings import Settings, UnsupportedConnection, from_psrp, from_winrm

_NO_BECOME = (
    "become is not possible: WS-Management requests run as the account of the connection. Connect as the account that "
    "may do this; for access to a third machine use CredSSP or Kerberos delegation"
)


@dataclass(frozen=True)
class Inventory:
    """The hosts of a play and how they are reached.

    task, play_context: of the task that asks; plain: templates a value; hosts: variables of each host by its name.
    """

    task: Any
    play_context: Any
    plain: Callable[[Any], Any]
    hosts: Mapping[str, Any]

    def own(self, connection: Any, variables: Mapping[str, Any]) -> Settings:
        """Settings of the task's own host from the connection plugin that Ansible has set up.

        Errors: UnsupportedConnection.
        """
        if self.task.become or getattr(connection, "become", None):
            raise UnsupportedConnection(_NO_BECOME)
        return self._of(connection, variables)

    def of(self, name: str) -> Settings:
        """Settings from another host's own variables, as Ansible would connect to it with ``delegate_to``.

        Errors: UnsupportedConnection.
        """
        if name not in self.hosts:
            raise UnsupportedConnection(f"the inventory has no host {name}")
        variables = self.hosts[name]
        if boolean(self.plain(variables.get("ansible_become", self.task.become)), strict=False):
            raise UnsupportedConnection(_NO_BECOME)
        plugin = str(self.plain(variables.get("ansible_connection") or self.task.connection))
        connection = connection_loader.get(plugin, self.play_context)
        if connection is None:
            raise UnsupportedConnection(f"there is no connection plugin {plugin}, which the inventory names for {name}")
        known = [*C.config.get_plugin_vars("connection", connection._load_name), "inventory_hostname"]
        options = {word: self.plain(variables[word]) for word in known if word in variables}
        # A host that the inventory knows by its address alone has no other.
        options.setdefault("inventory_hostname", name)
        connection.set_options(task_keys=self._keywords(), var_options=options)
        return self._of(connection, variables)

    def _keywords(self) -> dict[str, Any]:
        """What the play says of connections in keywords and on the command line, which variables override."""
        keywords = {"remote_user": self.task.remote_user, "port": self.task.port, "timeout": self.play_context.timeout}
        if self.play_context.password:
            keywords["password"] = self.play_context.password
        return keywords

    def _of(self, connection: Any, variables: Mapping[str, Any]) -> Settings:
        plugin = str(getattr(connection, "ansible_name", "") or connection.transport).rpartition(".")[2]
        if plugin == "psrp":
            return from_psrp(connection.get_option)
        if plugin == "winrm":
            prefix = "ansible_winrm_"
            extras = {n.removeprefix(prefix): self.plain(variables[n]) for n in variables if n.startswith(prefix)}
            return from_winrm(connection.get_option, extras)
        raise UnsupportedConnection(
            f"the connection {plugin} cannot carry WS-Management: set ansible_connection to psrp or winrm"
        )
