# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Command lines as Windows reads them: first cmd.exe, then the program's own C runtime."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["NotPlayed", "split", "through_cmd"]

_VARIABLE = re.compile(r"%([^%=\r\n]+)%")
_OPERATORS = "&|<>()"


class NotPlayed(Exception):
    """cmd.exe would do something here that winsim does not play."""


def through_cmd(line: str, environment: Mapping[str, str]) -> str:
    """What cmd.exe hands to the program: variables replaced, carets outside quotes taken as escapes.

    A variable that is not set stays as it is written, as on a command line (not in a batch file). Raises NotPlayed.
    """
    known = {name.upper(): value for name, value in environment.items()}
    line = _VARIABLE.sub(lambda found: known.get(found[1].upper(), found[0]), line)
    result, quoted, escaped = [], False, False
    for character in line:
        if escaped:
            escaped = False
        elif character == '"':
            quoted = not quoted
        elif not quoted and character == "^":
            escaped = True
            continue
        elif not quoted and character in _OPERATORS:
            raise NotPlayed(f"cmd.exe takes {character} as an operator, and winsim plays none")
        result.append(character)
    return "".join(result)


def split(line: str) -> list[str]:
    """The arguments of a command line by the rules of CommandLineToArgvW; the program's name is the first.

    https://learn.microsoft.com/windows/win32/api/shellapi/nf-shellapi-commandlinetoargvw
    """
    arguments: list[str] = []
    current: list[str] | None = None
    quoted = False
    position = 0
    while position < len(line):
        slashes = len(line) - position - len(line[position:].lstrip("\\"))
        position += slashes
        character = line[position : position + 1]
        if character == '"':
            current = (current or []) + ["\\" * (slashes // 2)]
            if slashes % 2:
                current.append('"')
            elif quoted and line[position + 1 : position + 2] == '"':
                current.append('"')
                position += 1
            else:
                quoted = not quoted
            position += 1
        elif slashes:
            current = (current or []) + ["\\" * slashes]
        elif character in " \t" and not quoted:
            if current is not None:
                arguments.append("".join(current))
            current = None
            position += 1
        else:
            current = (current or []) + [character]
            position += 1
    if current is not None:
        arguments.append("".join(current))
    return arguments
