# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Values in WQL: nothing a user writes can end a literal."""

from __future__ import annotations

import datetime

import pytest
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.wql import any_of, literal


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "'plain'"),
        ("O'Brien", "'O\\'Brien'"),
        (r"C:\Windows", r"'C:\\Windows'"),
        ("' OR '1'='1", "'\\' OR \\'1\\'=\\'1'"),
        ("\\", "'\\\\'"),
        ("\\'", "'\\\\\\''"),
        (True, "TRUE"),
        (7, "7"),
        (datetime.datetime(2025, 1, 31, 8, 15, tzinfo=datetime.timezone.utc), "'20250131081500.000000+000'"),
    ],
)
def test_quotes(value: str | bool | int | datetime.datetime, text: str) -> None:
    assert literal(value) == text


def test_joins_alternatives() -> None:
    assert any_of("EventCode", (1, 2)) == "(EventCode = 1 OR EventCode = 2)"


def test_refuses_a_nul() -> None:
    with pytest.raises(ValueError, match="NUL"):
        literal("a\x00b")
