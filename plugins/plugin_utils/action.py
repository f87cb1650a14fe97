# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Binds a procedure to Ansible: arguments, connection, result. For this collection only."""

from __future__ import annotations

import contextlib
import importlib
import json
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import yaml
from ansible import constants as C
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import connection_loader
from ansible.utils.display import Display

from .errors import FieldnotesError
from .procedures.base import Clock, Host, Inquiry, Procedure
from .runner import Outcome, inform, run
from .wsman import libraries
from .wsman.session import Session
from .wsman.settings import Settings, UnsupportedConnection, from_psrp, from_winrm

_MODULES = "ansible_collections.fieldnotes.windows.plugins.modules"
_HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"

display = Display()


def argument_spec(module: str, secrets: Iterable[str] = ()) -> dict[str, Any]:
    """The argument specification of a module, from its own DOCUMENTATION; documentation has no word for no_log."""
    documentation = importlib.import_module(f"{_MODULES}.{module}").DOCUMENTATION
    return _options(yaml.safe_load(documentation).get("options") or {}, frozenset(secrets))


def _options(options: Mapping[str, Any], secrets: frozenset[str]) -> dict[str, Any]:
    kept = ("type", "elements", "required", "default", "choices", "aliases")
    spec: dict[str, Any] = {}
    for name, option in options.items():
        spec[name] = {word: option[word] for word in kept if word in option}
        spec[name]["no_log"] = name in secrets
        if "suboptions" in option:
            spec[name]["options"] = _options(option["suboptions"], secrets)
    return spec


class FieldnotesAction(ActionBase):
    """Base of every action plugin of this collection; a plugin names its procedure."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    procedure: ClassVar[Procedure[Any, Any] | Inquiry[Any]]
    secrets: ClassVar[tuple[str, ...]] = ()
    spec: ClassVar[dict[str, Any]]
    clock: ClassVar[Clock] = Clock()

    def __init_subclass__(cls) -> None:
        # Read once, when Ansible loads the plugin in the parent, so that each worker inherits it.
        cls.spec = argument_spec(cls.procedure.module, cls.secrets)

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The result of the task."""
        super().run(tmp, task_vars)
        if libraries.missing:
            return {
                "failed": True,
                "changed": False,
                "msg": f"the controller needs the Python library pypsrp ({libraries.missing}): pip install pypsrp",
            }
        variables = task_vars or {}
        try:
            arguments = self._arguments()
            settings = self._settings(variables)
        except FieldnotesError as error:
            return {"failed": True, "changed": False, "msg": str(error)}
        with contextlib.ExitStack() as sessions:
            host = Host(
                name=str(variables.get("inventory_hostname", settings.host)),
                session=sessions.enter_context(Session(settings)),
                clock=self.clock,
                tell=self._tell(variables),
                controller=socket.gethostname(),
                open_peer=self._peers(variables, sessions),
            )
            outcome = self._outcome(arguments, host)
        hidden = [str(arguments[name]) for name in self.secrets if arguments.get(name)]
        result: dict[str, Any] = _without(self._result(outcome), hidden)
        return result

    def _outcome(self, arguments: Mapping[str, Any], host: Host) -> Outcome:
        procedure: Any = self.procedure
        if hasattr(procedure, "answer"):
            return inform(procedure, arguments, host)
        return run(procedure, arguments, host, check_mode=bool(self._task.check_mode))

    def _arguments(self) -> dict[str, Any]:
        # Plain values: Ansible's own kinds of text carry their origin, which is of no use on the wire.
        given = json.loads(json.dumps(self._task.args, default=str))
        validated = ArgumentSpecValidator(self.spec).validate(given)
        if validated.error_messages:
            hidden = [str(given[name]) for name in self.secrets if given.get(name)]
            raise FieldnotesError(_without("; ".join(validated.error_messages), hidden))
        parameters: dict[str, Any] = validated.validated_parameters
        return parameters

    def _settings(self, variables: Mapping[str, Any]) -> Settings:
        if self._task.become or getattr(self._connection, "become", None):
            raise UnsupportedConnection(
                "become is not possible: WS-Management requests run as the account of the connection. Connect as the "
                "account that may do this; for access to a third machine use CredSSP or Kerberos delegation"
            )
        return self._settings_of(self._connection, variables)

    def _settings_of(self, connection: Any, variables: Mapping[str, Any]) -> Settings:
        plugin = str(getattr(connection, "ansible_name", "") or connection.transport).rpartition(".")[2]
        if plugin == "psrp":
            return from_psrp(connection.get_option)
        if plugin == "winrm":
            prefix = "ansible_winrm_"
            extras = {n.removeprefix(prefix): self._plain(variables[n]) for n in variables if n.startswith(prefix)}
            return from_winrm(connection.get_option, extras)
        raise UnsupportedConnection(
            f"the connection {plugin} cannot carry WS-Management: set ansible_connection to psrp or winrm"
        )

    def _peers(self, variables: Mapping[str, Any], sessions: contextlib.ExitStack) -> Callable[[str], Host]:
        """Opens other hosts of the inventory, each once; their sessions end with the task."""
        opened: dict[str, Host] = {}

        def open_peer(name: str) -> Host:
            if name not in opened:
                peers = variables.get("hostvars") or {}
                if name not in peers:
                    raise UnsupportedConnection(f"the inventory has no host {name}")
                settings = self._peer_settings(name, peers[name])
                opened[name] = Host(
                    name=name,
                    session=sessions.enter_context(Session(settings)),
                    clock=self.clock,
                    tell=self._tell({"inventory_hostname": name}),
                    controller=socket.gethostname(),
                )
            return opened[name]

        return open_peer

    def _peer_settings(self, name: str, variables: Mapping[str, Any]) -> Settings:
        """Settings from another host's own variables, as Ansible would connect to it with ``delegate_to``."""
        plugin = str(self._plain(variables.get("ansible_connection", "ssh")))
        connection = connection_loader.get(plugin, self._play_context)
        if connection is None:
            raise UnsupportedConnection(f"there is no connection plugin {plugin}, which the inventory names for {name}")
        known = [*C.config.get_plugin_vars("connection", connection._load_name), "inventory_hostname"]
        options = {word: self._plain(variables[word]) for word in known if word in variables}
        # A host that the inventory knows by its address alone has no other.
        options.setdefault("inventory_hostname", name)
        connection.set_options(var_options=options)
        return self._settings_of(connection, variables)

    def _plain(self, value: Any) -> Any:
        return self._templar.template(value)

    def _tell(self, variables: Mapping[str, Any]) -> Any:
        name = str(variables.get("inventory_hostname", ""))
        return lambda line: display.display(f"[{name}] {line}")

    def _result(self, outcome: Outcome) -> dict[str, Any]:
        result: dict[str, Any] = {"changed": outcome.changed, **outcome.values}
        if outcome.before is not None:
            result["before"] = dict(outcome.before)
            result["after"] = dict(outcome.after or {})
        result["warnings"] = list(outcome.warnings)
        if outcome.shown is not None and self._task.diff:
            before, after = outcome.shown
            comment = f"# {outcome.comment}\n" if outcome.comment else ""
            result["diff"] = {"before": _lines(before), "after": _lines(after) + comment}
        if outcome.failed:
            result["unreachable" if outcome.unreachable else "failed"] = True
            result["msg"] = outcome.message
        return result


def _lines(values: Mapping[str, Any]) -> str:
    """One ``name: value`` line each, for a diff."""
    return "".join(f"{name}: {_shown(value)}\n" for name, value in values.items())


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _without(value: Any, hidden: list[str]) -> Any:
    """The same value with every secret in any text replaced."""
    if isinstance(value, str):
        for secret in hidden:
            value = value.replace(secret, _HIDDEN)
        return value
    if isinstance(value, Mapping):
        return {key: _without(inner, hidden) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without(inner, hidden) for inner in value]
    return value
