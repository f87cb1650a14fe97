# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Secrets are taken out of whatever a task tells, however they are written there."""

from __future__ import annotations

import pytest
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.arguments import hidden, unlogged, without

KEY = "abcde-12345-fghij-67890-klmno"


@pytest.mark.parametrize(
    "written", [KEY, KEY.upper(), KEY.replace("-", ""), KEY.replace("-", " "), "abc de12 345F-GHIJ678-90klm no"]
)
def test_a_secret_is_hidden_in_any_case_and_grouping(written: str) -> None:
    told = without({"msg": [f"the key {written} is bad"]}, hidden({"product_key": KEY}, ["product_key"]))
    assert told == {"msg": ["the key VALUE_SPECIFIED_IN_NO_LOG_PARAMETER is bad"]}


def test_what_is_no_secret_stays() -> None:
    arguments = {"product_key": KEY, "confirmation_id": None, "other": "abc"}
    told = {"tail": "klmno", "number": 3, "none": None, "text": "abc"}
    assert without(told, hidden(arguments, ["product_key", "confirmation_id"])) == told


@pytest.mark.parametrize("secret", ["a.c", "(", "\\d", "-", " "])
def test_a_secret_of_signs_hides_nothing_else(secret: str) -> None:
    assert without("abc 123", hidden({"store_password": secret}, ["store_password"])) == "abc 123"


def test_the_values_of_dictionaries_are_what_a_task_with_no_log_does_not_tell() -> None:
    arguments = {"class": "Win32_Thing", "properties": {"Password": "quite long", "Deep": [{"Number": 47110815}, "ab"]}}
    told = "setting Win32_Thing: Password is quiteLONG, Deep is 47110815 ab"
    gone = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
    assert without(told, unlogged(arguments)) == f"setting Win32_Thing: Password is {gone}, Deep is {gone} ab"
