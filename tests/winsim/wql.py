# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""WQL data queries: parsed, held against the class, and answered for one instance at a time.

Source: the WQL pages of the WMI reference (https://learn.microsoft.com/en-us/windows/win32/wmisdk/wql-sql-for-wmi).
Keywords, names and text comparisons ignore case. A query that is wrong anywhere is refused as a whole.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .providers import Embedded, Fault, Instance, Reference, Wbem
from .schema import Class, Property
from .values import compare_key, parse_datetime, parse_value

__all__ = [
    "Associators",
    "ObjectPath",
    "Query",
    "References",
    "Select",
    "check",
    "demanded",
    "matches",
    "parse",
    "parse_path",
]

SYSTEM_PROPERTIES = frozenset(
    [
        "__class",
        "__derivation",
        "__dynasty",
        "__genus",
        "__namespace",
        "__path",
        "__property_count",
        "__relpath",
        "__server",
        "__superclass",
    ]
)


# --- the parsed form ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Compare:
    """`operator` is one of = <> < <= > >= LIKE, or NOT LIKE; `value` None stands for NULL (with = and <>)."""

    name: str
    operator: str
    value: str | int | float | bool | None


@dataclass(frozen=True)
class Isa:
    """Of the class or of one derived from it; `name` is an embedded object's property or __this."""

    name: str
    cls: str


@dataclass(frozen=True)
class Not:
    condition: Condition


@dataclass(frozen=True)
class And:
    left: Condition
    right: Condition


@dataclass(frozen=True)
class Or:
    left: Condition
    right: Condition


Condition = Compare | Isa | Not | And | Or


@dataclass(frozen=True)
class Select:
    """`names` is empty for *."""

    names: tuple[str, ...]
    cls: str
    where: Condition | None = None


@dataclass(frozen=True)
class ObjectPath:
    """`keys` is empty for a singleton or a class; a single value without a name stands under ''."""

    cls: str
    keys: Mapping[str, str | int | bool]
    namespace: str | None = None


@dataclass(frozen=True)
class Associators:
    path: ObjectPath
    association: str | None = None
    result: str | None = None
    result_role: str | None = None
    role: str | None = None
    keys_only: bool = False


@dataclass(frozen=True)
class References:
    path: ObjectPath
    result: str | None = None
    role: str | None = None
    keys_only: bool = False


Query = Select | Associators | References


# --- parsing -----------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<number>[+-]?(?:0[xX][0-9A-Fa-f]+|\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+|\d+(?:[eE][+-]?\d+)?))
    | (?P<path>\{[^{}]*\})
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)
    | (?P<sign><=|>=|<>|!=|[=<>(),*])
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_FLIPPED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def _invalid(why: str) -> Fault:
    return Fault(Wbem.INVALID_QUERY, why)


def parse(text: str) -> Query:
    """The parsed query. Raises Fault (WBEM_E_INVALID_QUERY)."""
    return _Parser(text).query()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._position = 0

    def query(self) -> Query:
        if self._keyword("SELECT"):
            query: Query = self._select()
        elif self._keyword("ASSOCIATORS"):
            self._expect("OF")
            query = self._associators()
        elif self._keyword("REFERENCES"):
            self._expect("OF")
            query = self._references()
        else:
            raise _invalid("a query begins with SELECT, ASSOCIATORS OF or REFERENCES OF")
        if self._position < len(self._tokens):
            raise _invalid(f"unexpected {self._tokens[self._position][1]!r}")
        return query

    def _select(self) -> Select:
        names: list[str] = []
        if not self._sign("*"):
            names.append(self._word())
            while self._sign(","):
                names.append(self._word())
        self._expect("FROM")
        cls = self._word()
        return Select(tuple(names), cls, self._either() if self._keyword("WHERE") else None)

    def _either(self) -> Condition:
        condition = self._both()
        while self._keyword("OR"):
            condition = Or(condition, self._both())
        return condition

    def _both(self) -> Condition:
        condition = self._negated()
        while self._keyword("AND"):
            condition = And(condition, self._negated())
        return condition

    def _negated(self) -> Condition:
        if self._keyword("NOT"):
            return Not(self._negated())
        if self._sign("("):
            condition = self._either()
            if not self._sign(")"):
                raise _invalid("a parenthesis is not closed")
            return condition
        return self._comparison()

    def _comparison(self) -> Condition:
        kind, text = self._peek()
        if kind in ("string", "number") or text.upper() in ("TRUE", "FALSE", "NULL"):
            value = self._literal()
            sign = self._operator()
            if sign not in _FLIPPED:
                raise _invalid(f"{sign} needs a property on its left")
            return Compare(self._word(), _FLIPPED[sign], value)
        name = self._word()
        if self._keyword("IS"):
            sign = "<>" if self._keyword("NOT") else "="
            self._expect("NULL")
            return Compare(name, sign, None)
        if self._keyword("ISA"):
            return Isa(name, self._name_or_text())
        if self._keyword("NOT"):
            self._expect("LIKE")
            return Compare(name, "NOT LIKE", self._text())
        if self._keyword("LIKE"):
            return Compare(name, "LIKE", self._text())
        sign = self._operator()
        value = self._literal()
        if value is None and sign not in ("=", "<>"):
            raise _invalid(f"nothing is {sign} NULL")
        return Compare(name, sign, value)

    def _operator(self) -> str:
        for sign in ("=", "<>", "!=", "<=", ">=", "<", ">"):
            if self._sign(sign):
                return "<>" if sign == "!=" else sign
        raise _invalid(f"an operator is missing before {self._peek()[1]!r}")

    def _literal(self) -> str | int | float | bool | None:
        kind, text = self._take()
        if kind == "string":
            return _unquoted(text)
        if kind == "number":
            if "x" in text.lower():
                return int(text, 16)
            return float(text) if set(text) & set(".eE") else int(text)
        constants = {"TRUE": True, "FALSE": False, "NULL": None}
        if kind == "word" and text.upper() in constants:
            return constants[text.upper()]
        raise _invalid(f"a value is expected where {text!r} stands")

    def _text(self) -> str:
        kind, text = self._take()
        if kind != "string":
            raise _invalid(f"LIKE needs text, not {text!r}")
        return _unquoted(text)

    def _name_or_text(self) -> str:
        kind, text = self._take()
        if kind not in ("word", "string"):
            raise _invalid(f"a class name is expected where {text!r} stands")
        return _unquoted(text) if kind == "string" else text

    # ASSOCIATORS OF, REFERENCES OF

    def _associators(self) -> Associators:
        path = self._path()
        words = self._conditions({"assocclass", "resultclass", "resultrole", "role", "keysonly"})
        return Associators(
            path,
            words.get("assocclass"),
            words.get("resultclass"),
            words.get("resultrole"),
            words.get("role"),
            "keysonly" in words,
        )

    def _references(self) -> References:
        path = self._path()
        words = self._conditions({"resultclass", "role", "keysonly"})
        return References(path, words.get("resultclass"), words.get("role"), "keysonly" in words)

    def _path(self) -> ObjectPath:
        kind, text = self._take()
        if kind != "path":
            raise _invalid("the object path must stand in braces")
        return parse_path(text[1:-1])

    def _conditions(self, allowed: set[str]) -> dict[str, str]:
        words: dict[str, str] = {}
        if not self._keyword("WHERE"):
            return words
        while self._position < len(self._tokens):
            word = self._word().lower()
            if word not in allowed or word in words:
                raise _invalid(f"{word} does not belong here")
            if word == "keysonly":
                words[word] = ""
            elif self._sign("="):
                words[word] = self._name_or_text()
            else:
                raise _invalid(f"{word} needs a value")
        if not words:
            raise _invalid("nothing follows WHERE")
        return words

    # tokens

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._position] if self._position < len(self._tokens) else ("end", "the end")

    def _take(self) -> tuple[str, str]:
        token = self._peek()
        self._position += 1
        return token

    def _keyword(self, word: str) -> bool:
        kind, text = self._peek()
        found = kind == "word" and text.upper() == word
        self._position += found
        return found

    def _sign(self, sign: str) -> bool:
        found = self._peek() == ("sign", sign)
        self._position += found
        return found

    def _expect(self, word: str) -> None:
        if not self._keyword(word):
            raise _invalid(f"{word} is expected where {self._peek()[1]!r} stands")

    def _word(self) -> str:
        kind, text = self._take()
        if kind != "word":
            raise _invalid(f"a name is expected where {text!r} stands")
        return text


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    text = text.rstrip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None or found.lastgroup is None:
            raise _invalid(f"cannot read from {text[position : position + 20]!r} on")
        yield found.lastgroup, found[found.lastgroup]
        position = found.end()


def _unquoted(text: str) -> str:
    return _ESCAPE.sub(r"\1", text[1:-1])


_PATH = re.compile(r"\s*(?:\\\\[^\\]+\\)?(?:(?P<namespace>[\w\\/]+):)?(?P<cls>\w+)\s*(?P<rest>.*)$", re.DOTALL)


def parse_path(text: str) -> ObjectPath:
    r"""An object path such as `\\.\root\cimv2:Win32_Service.Name="W32Time"`. Raises Fault."""
    found = _PATH.match(text)
    if found is None:
        raise Fault(Wbem.INVALID_QUERY, f"not an object path: {text!r}")
    namespace = found["namespace"].replace("\\", "/") if found["namespace"] else None
    rest = found["rest"].strip()
    if rest in ("", "=@"):
        return ObjectPath(found["cls"], {}, namespace)
    tokens = list(_tokens(rest[1:]))
    if rest.startswith("=") and len(tokens) == 1:
        return ObjectPath(found["cls"], {"": _key_value(tokens[0])}, namespace)
    separators = tokens[3::4]
    complete = len(tokens) % 4 == 3 and all(separator == ("sign", ",") for separator in separators)
    if not rest.startswith(".") or not complete:
        raise Fault(Wbem.INVALID_QUERY, f"not an object path: {text!r}")
    keys: dict[str, str | int | bool] = {}
    for (kind, name), equals, value in zip(tokens[0::4], tokens[1::4], tokens[2::4], strict=True):
        if kind != "word" or equals != ("sign", "="):
            raise Fault(Wbem.INVALID_QUERY, f"not an object path: {text!r}")
        keys[name] = _key_value(value)
    return ObjectPath(found["cls"], keys, namespace)


def _key_value(token: tuple[str, str]) -> str | int | bool:
    kind, text = token
    if kind == "string":
        return _unquoted(text)
    if kind == "number" and re.fullmatch(r"[+-]?(0[xX][0-9A-Fa-f]+|\d+)", text):
        return int(text, 16) if "x" in text.lower() else int(text)
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    raise Fault(Wbem.INVALID_QUERY, f"not a key value: {text!r}")


# --- against the schema ------------------------------------------------------------------------------------------


def check(query: Select, cls: Class) -> tuple[str, ...]:
    """The selected names as the schema spells them. Raises Fault where a name or a literal does not fit."""
    names = []
    for name in query.names:
        head = name.partition(".")[0]
        if head.lower() in SYSTEM_PROPERTIES:
            continue
        names.append(_known(cls, head))
    if query.where is not None:
        _check_condition(query.where, cls)
    return tuple(names)


def _known(cls: Class, name: str) -> str:
    found = cls.property(name)
    if found is None and not cls.open:
        raise _invalid(f"{cls.name} has no property {name}")
    return found.name if found is not None else name


def _check_condition(condition: Condition, cls: Class) -> None:
    if isinstance(condition, And | Or):
        _check_condition(condition.left, cls)
        _check_condition(condition.right, cls)
    elif isinstance(condition, Not):
        _check_condition(condition.condition, cls)
    elif isinstance(condition, Isa):
        if condition.name.lower() != "__this":
            _known(cls, condition.name.partition(".")[0])
    elif condition.name.lower() not in SYSTEM_PROPERTIES:
        head, dot, _ = condition.name.partition(".")
        _known(cls, head)
        found = cls.property(head)
        if found is not None and not dot:
            _check_literal(condition, found)


def _check_literal(condition: Compare, found: Property) -> None:
    if condition.value is None:
        return
    if found.array:
        raise _invalid(f"{found.name} is an array")
    if condition.operator in ("LIKE", "NOT LIKE"):
        _pattern(str(condition.value))
        return
    try:
        _operand(condition.value, found.type)
    except ValueError as error:
        raise _invalid(f"{found.name}: {error}") from error


def _operand(value: str | float | bool, kind: str) -> Any:
    """The literal as a value of the property's type. Raises ValueError."""
    if kind == "string" or kind == "char16":
        return str(value)
    if kind == "boolean":
        return value if isinstance(value, bool) else parse_value(str(value), "boolean")
    if kind == "datetime":
        return parse_datetime(str(value))
    if kind == "reference":
        return parse_path(str(value))
    # A number is compared as a number, however wide the property is.
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        return int(value, 0) if re.fullmatch(r"\s*[+-]?(0[xX][0-9A-Fa-f]+|\d+)\s*", value) else float(value)
    return value


# --- evaluation --------------------------------------------------------------------------------------------------

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def demanded(condition: Condition | None) -> dict[str, Any]:
    """What the condition asks properties to be, whatever else: by lower-case name."""
    if isinstance(condition, And):
        return {**demanded(condition.left), **demanded(condition.right)}
    if isinstance(condition, Compare) and condition.operator == "=" and condition.value is not None:
        return {condition.name.lower(): condition.value}
    return {}


def matches(
    condition: Condition | None,
    cls: Class,
    instance: Instance,
    is_a: Callable[[str, str], bool],
    system: Mapping[str, str] | None = None,
) -> bool:
    """Whether the instance meets the condition; a comparison with a null property never does.

    `is_a` tells whether a class is another or derived from it, `system` gives the system properties by lower-case name.
    """
    if condition is None:
        return True
    if isinstance(condition, And):
        return matches(condition.left, cls, instance, is_a, system) and matches(
            condition.right, cls, instance, is_a, system
        )
    if isinstance(condition, Or):
        return matches(condition.left, cls, instance, is_a, system) or matches(
            condition.right, cls, instance, is_a, system
        )
    if isinstance(condition, Not):
        return not matches(condition.condition, cls, instance, is_a, system)
    if isinstance(condition, Isa):
        if condition.name.lower() == "__this":
            return is_a(cls.name, condition.cls)
        embedded = _look_up(instance, condition.name)
        return isinstance(embedded, Embedded) and is_a(embedded.cls, condition.cls)
    if condition.name.lower() in SYSTEM_PROPERTIES:
        return _compare(condition, (system or {}).get(condition.name.lower()), "string")
    found = cls.property(condition.name.partition(".")[0])
    value = _look_up(instance, condition.name)
    return _compare(condition, value, found.type if found is not None and "." not in condition.name else None)


def _look_up(instance: Instance, name: str) -> Any:
    head, _, rest = name.partition(".")
    value = next((value for key, value in instance.items() if key.lower() == head.lower()), None)
    if rest:
        return _look_up(value.values, rest) if isinstance(value, Embedded) else None
    return value


def _compare(condition: Compare, value: Any, kind: str | None) -> bool:
    if condition.value is None:
        return (value is None) == (condition.operator == "=")
    if value is None:
        return False
    if condition.operator in ("LIKE", "NOT LIKE"):
        like = _pattern(str(condition.value)).fullmatch(_as_text(value)) is not None
        return like == (condition.operator == "LIKE")
    operand = _operand(condition.value, kind or _kind_of(value))
    if isinstance(operand, ObjectPath):
        same = isinstance(value, Reference) and same_object(value, operand)
        return same == (condition.operator == "=")
    if isinstance(value, datetime | timedelta) and type(value) is not type(operand):
        return False
    return _COMPARE[condition.operator](compare_key(value), compare_key(operand))


def _kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "real64"
    return "datetime" if isinstance(value, datetime | timedelta) else "string"


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return str(value)


def same_object(reference: Reference, path: ObjectPath) -> bool:
    """Whether a reference points to the object of a path."""
    keys = {name.lower(): compare_key(value) for name, value in reference.keys.items()}
    wanted = {name.lower(): compare_key(value) for name, value in path.keys.items()}
    if set(wanted) == {""} and len(keys) == 1:
        wanted = {next(iter(keys)): wanted[""]}
    return reference.cls.lower() == path.cls.lower() and keys == wanted


def _pattern(like: str) -> re.Pattern[str]:
    """The pattern of LIKE: % any text, _ any character, [abc], [a-f] and [^...] sets. Raises Fault."""
    pieces: list[str] = []
    position = 0
    while position < len(like):
        character = like[position]
        position += 1
        if character == "%":
            pieces.append(".*")
        elif character == "_":
            pieces.append(".")
        elif character == "[":
            end = like.find("]", position)
            content = like[position:end]
            if end < 0 or not content.removeprefix("^"):
                raise _invalid(f"a set is not closed, or empty: {like!r}")
            inverted = content.startswith("^")
            pieces.append(f"[{'^' if inverted else ''}{_set(content.removeprefix('^'))}]")
            position = end + 1
        else:
            pieces.append(re.escape(character))
    return re.compile("".join(pieces), re.IGNORECASE | re.DOTALL)


def _set(content: str) -> str:
    # `a=f` is the documented other way to write the range `a-f`.
    ranges = re.sub(r"(?<=\w)=(?=\w)", "-", content)
    escaped = re.sub(r"([\\\]\[^&~|])", r"\\\1", ranges)
    try:
        re.compile(f"[{escaped}]")
    except re.error as error:
        raise _invalid(f"a set that cannot be: [{content}]") from error
    return escaped
