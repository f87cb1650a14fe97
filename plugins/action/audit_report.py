# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import contextlib
import datetime
import importlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.arguments import (
    argument_spec,
    hidden,
    validated,
    without,
)
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.audit.document import as_json, document
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.audit.page import page
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.errors import FieldnotesError


class ActionModule(ActionBase):
    """Writes what fleet_info found as a page and as JSON, on the controller."""

    BYPASS_HOST_LOOP = True
    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    spec = argument_spec("audit_report")

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The result of the task."""
        super().run(tmp, task_vars)
        try:
            arguments = validated(self.spec, self._task.args)
            files = {name: _path(name, arguments[name]) for name in ("html", "json") if arguments[name]}
            if not files:
                raise FieldnotesError("one of the following is required: html, json")
            asked = dict(_asked(arguments["procedures"] or ()))
            audit = document(arguments["fleet"], arguments["title"], arguments["created"] or _now(), asked)
            contents = {"html": page, "json": as_json}
            changed = [_put(file, contents[name](audit), self._task.check_mode) for name, file in files.items()]
        except FieldnotesError as error:
            return {"failed": True, "changed": False, "msg": str(error)}
        written = {name: str(file) for name, file in files.items()}
        return {"changed": any(changed), "counts": audit["counts"], **written}


def _asked(procedures: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The arguments of each procedure by its label, without secrets."""
    for each in procedures:
        secrets = importlib.import_module(f"{__package__}.{each['module']}").ActionModule.secrets
        given = each.get("arguments") or {}
        yield each.get("label") or each["module"], without(given, hidden(given, secrets))


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _path(name: str, text: str) -> Path:
    """A place on the controller. Errors: FieldnotesError."""
    try:
        return Path(text).resolve()
    except (OSError, ValueError) as error:
        raise FieldnotesError(f"{name} is no path of this controller: {error}") from error


def _put(file: Path, content: bytes, check_mode: bool) -> bool:
    """Writes a file as a whole or not at all; whether that changes it. Errors: FieldnotesError."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        if file.is_file() and file.read_bytes() == content:
            return False
        if not check_mode:
            with beside.open("xb") as stream:
                stream.write(content)
            beside.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise FieldnotesError(
            f"the report could not be written to {file}: {error.strerror}. Name a folder of the controller that is "
            "there and that this account may write to"
        ) from error
    return True
