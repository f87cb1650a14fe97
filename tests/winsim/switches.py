# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Named switches: where public documents leave open how Windows behaves, each plausible behaviour is a position.

A switch is declared once, in the file its first word names (`cluster.stopped` in providers/cluster.py), and documents
itself; `table()` lists those of all files imported so far. The fleet holds one setting for all hosts and each host may
have its own.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass

__all__ = ["Switch", "Switches", "declare", "table"]


@dataclass(frozen=True)
class Switch:
    """`positions` maps each position to what it means; the first is the default unless `default` says otherwise."""

    name: str
    positions: Mapping[str, str]
    default: str
    open_question: str
    page: str


_table: dict[str, Switch] = {}


def declare(
    name: str, positions: Mapping[str, str], *, open_question: str, page: str, default: str | None = None
) -> Switch:
    """Declare a switch; `page` names the document whose open question it answers."""
    chosen = default if default is not None else next(iter(positions))
    if chosen not in positions:
        raise ValueError(f"switch {name}: the default {chosen!r} is not one of its positions")
    switch = Switch(name, dict(positions), chosen, open_question, page)
    if _table.setdefault(name, switch) != switch:
        raise ValueError(f"switch {name} is declared twice with different meanings")
    return switch


def table() -> dict[str, Switch]:
    """The switches declared so far, by name."""
    return dict(sorted(_table.items()))


class Switches(MutableMapping[str, str]):
    """Settings of one host or of the fleet. Reading falls back to `parent`, then to the default.

    Deleting returns a switch to what it inherits. A name or a position that does not exist is refused.
    """

    def __init__(self, parent: Switches | None = None) -> None:
        self.parent = parent
        self.own: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        switch = find(name)
        if name in self.own:
            return self.own[name]
        return self.parent[name] if self.parent is not None else switch.default

    def __setitem__(self, name: str, position: object) -> None:
        switch = find(name)
        # YAML reads a bare `on` or `off` as a boolean and a bare number as an integer.
        text = {True: "on", False: "off"}[position] if isinstance(position, bool) else str(position)
        if text not in switch.positions:
            raise ValueError(f"switch {name} has no position {text!r}: it has {', '.join(switch.positions)}")
        self.own[name] = text

    def __delitem__(self, name: str) -> None:
        del self.own[name]

    def __iter__(self) -> Iterator[str]:
        return iter(table())

    def __len__(self) -> int:
        return len(_table)


def find(name: str) -> Switch:
    if name not in _table:
        _import(name.partition(".")[0])
    if name not in _table:
        raise ValueError(f"there is no switch {name!r}: known are {', '.join(table())}")
    return _table[name]


def _import(area: str) -> None:
    """A switch belongs to the file its first word names; a fleet may be built before that file is needed."""
    for module in (f"winsim.providers.{area}", f"winsim.{area}"):
        if area.isidentifier() and importlib.util.find_spec(module) is not None:
            importlib.import_module(module)


WIRE = "the wire format of WS-Management (MS-WSMV, DSP0226, DSP0227)"

declare(
    "wire.fragments",
    {
        "windows": "fragment transfer works for Get and Put",
        "unsupported": "a fragment header is answered with MustUnderstand, as OMI does",
    },
    open_question="whether the server knows wsman:FragmentTransfer",
    page=WIRE,
)
declare(
    "wire.first_answer",
    {
        "one_item": "several instances: one in the EnumerateResponse, the rest by Pull",
        "all": "everything the request's MaxElements allows is in the EnumerateResponse",
    },
    open_question="how many items the first answer of an optimised enumeration holds",
    page=WIRE,
)
declare(
    "wire.dialect",
    {"windows": "resource URI as class namespace, XmlFragment for selected properties", "omi": "as OMI answers"},
    open_question="which server family's XML is spoken",
    page=WIRE,
)
declare(
    "wire.datetime_digits",
    {str(digits): f"{digits} fractional digits" for digits in (6, 0, 3, 7)},
    open_question="how many fractional digits a datetime has",
    page=WIRE,
)
declare(
    "wire.null",
    {"nil": "a null property is sent with xsi:nil", "absent": "a null property is left out"},
    open_question="how a null property is written",
    page=WIRE,
)
declare(
    "wire.activity_id",
    {"off": "no ActivityId", "on": "every answer and fault carries an ActivityId header"},
    open_question="whether the host sends ActivityId; about half of the recorded hosts do",
    page=WIRE,
)
declare(
    "wire.xml_lang",
    {"on": "the envelope carries xml:lang", "off": "it does not"},
    open_question="whether xml:lang is there",
    page=WIRE,
)
declare(
    "psrp.opening_receives",
    {"2": "the pool is Opened after two Receives", "3": "after three"},
    open_question="how many answers the opening of a runspace pool takes",
    page="MS-PSRP and recordings",
)
declare(
    "psrp.progress_first",
    {"off": "no unasked progress", "on": "the first command brings a progress record about preparing modules"},
    open_question="whether a first command brings a progress record nobody asked for",
    page="MS-PSRP and recordings",
)
