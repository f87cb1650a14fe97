# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Dataclasses as plain data (what JSON and YAML can hold) and back, by their type annotations."""

from __future__ import annotations

import base64
import dataclasses
import enum
import functools
import types
import typing
from datetime import datetime
from typing import Any, TypeVar

__all__ = ["from_plain", "to_plain"]

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """Plain form: dataclasses and mappings as dict, sequences and sets as list, times and bytes marked."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime):
        return {"$time": value.isoformat()}
    if isinstance(value, bytes | bytearray):
        return {"$bytes": base64.b64encode(value).decode("ascii")}
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return [to_plain(item) for item in sorted(value)]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"{type(value).__name__} is no part of a state that can be saved")


def from_plain(kind: type[T], data: Any) -> T:
    """The value of type `kind` that `to_plain` made `data` of."""
    return typing.cast(T, _value(kind, data))


def _value(kind: Any, data: Any) -> Any:
    if isinstance(data, dict) and set(data) == {"$time"}:
        return datetime.fromisoformat(data["$time"])
    if isinstance(data, dict) and set(data) == {"$bytes"}:
        return base64.b64decode(data["$bytes"])
    if data is None:
        return None
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _value(_arm(arguments, data), data)
    if dataclasses.is_dataclass(kind):
        hints = _hints(typing.cast(Any, kind))
        return typing.cast(Any, kind)(**{name: _value(hints[name], item) for name, item in data.items()})
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind(data)
    if origin is dict:
        # JSON knows only text as a key.
        key = int if arguments[0] is int else str
        return {key(name): _value(arguments[1], item) for name, item in data.items()}
    if origin in (list, set, frozenset):
        return origin(_value(arguments[0], item) for item in data)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_value(arguments[0], item) for item in data)
        return tuple(_value(part, item) for part, item in zip(arguments, data, strict=True))
    if isinstance(data, list):
        return [_value(Any, item) for item in data]
    if isinstance(data, dict):
        return {name: _value(Any, item) for name, item in data.items()}
    return data


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _arm(arms: tuple[Any, ...], data: Any) -> Any:
    """Which arm of a union `data` belongs to: by its shape, which is enough for states."""
    for arm in arms:
        origin = typing.get_origin(arm) or arm
        if isinstance(data, dict) and (origin is dict or dataclasses.is_dataclass(origin)):
            return arm
        if isinstance(data, list) and origin in (list, tuple, set, frozenset):
            return arm
    return Any
