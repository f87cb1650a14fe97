# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Arguments of a module: specification, validation, secrets kept out of sight. For this collection only."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .errors import FieldnotesError

_MODULES = "ansible_collections.fieldnotes.windows.plugins.modules"
# Ansible would write out all the digits of such a number, which takes it hours.
_HUGE = re.compile(r"\s*[+-]?[0-9.]*[eE]\+?[0-9]{3,}\s*")
_HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"


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


def validated(spec: Mapping[str, Any], arguments: Mapping[str, Any], secrets: Iterable[str] = ()) -> dict[str, Any]:
    """The arguments by their specification, defaults among them. Errors: FieldnotesError."""
    # Plain values: Ansible's own kinds of text carry their origin, which is of no use on the wire.
    given = json.loads(json.dumps(arguments, default=str))
    validator = ArgumentSpecValidator(spec)
    huge = [
        name for name, option in spec.items() if option.get("type") == "int" and _HUGE.fullmatch(str(given.get(name)))
    ]
    if huge:
        raise FieldnotesError(f"{', '.join(huge)}: no number that can be used")
    try:
        result = validator.validate(given)
    except ArithmeticError as error:
        # Ansible reads a whole number by way of a decimal one, which may be infinite or larger than any integer.
        raise FieldnotesError(f"{', '.join(_unreadable(validator, given))}: no number that can be used") from error
    if result.error_messages:
        # Ansible calls null by the name of its Python type.
        told = re.sub(r"(?:of type |<class )?'?NoneType'?>?", "null", "; ".join(result.error_messages))
        raise FieldnotesError(without(told, hidden(given, secrets)))
    parameters: dict[str, Any] = result.validated_parameters
    return parameters


def _unreadable(validator: ArgumentSpecValidator, given: Mapping[str, Any]) -> Iterator[str]:
    """The options whose values alone stop Ansible's validation."""
    for name, value in given.items():
        try:
            validator.validate({name: value})
        except ArithmeticError:
            yield name


def hidden(arguments: Mapping[str, Any], secrets: Iterable[str]) -> list[re.Pattern[str]]:
    """What nobody may see.

    Windows and the modules write a secret otherwise than the user: in capitals, in other groups or in none.
    """
    return _patterns(str(arguments[name]) for name in secrets if arguments.get(name))


def unlogged(arguments: Mapping[str, Any]) -> list[re.Pattern[str]]:
    """What nobody may see of a task with no_log: the values in its dictionaries.

    ansible-core takes the result of such a task away, and since 2.19 prints its message and warnings all the same.
    """
    given = (value for value in arguments.values() if isinstance(value, Mapping))
    # Shorter ones are words and numbers of every message.
    return _patterns(text for value in given for text in _leaves(value) if len(text) > 3)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, (Mapping, list, tuple)):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(inner)
    elif value is not None:
        yield str(value)


def _patterns(texts: Iterable[str]) -> list[re.Pattern[str]]:
    bare = (re.sub(r"[\s-]", "", text) for text in texts)
    return [re.compile(r"[\s-]*".join(map(re.escape, text)), re.IGNORECASE) for text in bare if text]


def without(value: Any, patterns: Sequence[re.Pattern[str]]) -> Any:
    """The same value with every secret in any text replaced."""
    if not patterns:
        return value
    if isinstance(value, str):
        for pattern in patterns:
            value = pattern.sub(_HIDDEN, value)
        return value
    if isinstance(value, Mapping):
        return {key: without(inner, patterns) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [without(inner, patterns) for inner in value]
    return value
