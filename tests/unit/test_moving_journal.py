# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The text of a journal in the cluster database, and instances as Hyper-V embeds them."""

from __future__ import annotations

import re

import pytest
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.errors import FieldnotesError, MalformedAnswer
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.procedures.moving_journal import decoded, encoded
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman import cim_xml
from hypothesis import given
from hypothesis import strategies as st


@given(st.text(max_size=500))
def test_a_text_comes_back_and_needs_no_quotes(text: str) -> None:
    kept = encoded(text)
    assert re.fullmatch(r"[A-Za-z0-9_-]*", kept)
    assert decoded(kept) == text


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(FieldnotesError, match="8000 are possible"):
        encoded("x" * 6001)


@pytest.mark.parametrize("strange", ["not%base64", "a b", "gA"])
def test_what_is_no_base64_comes_back_for_the_journal_to_refuse(strange: str) -> None:
    assert decoded(strange) == strange


def test_an_instance_of_cim_xml_becomes_elements() -> None:
    element = cim_xml.instance(
        '<INSTANCE CLASSNAME="Msvm_VirtualHardDiskInfo">'
        '<QUALIFIER NAME="dynamic" TYPE="boolean"><VALUE>true</VALUE></QUALIFIER>'
        '<PROPERTY NAME="FileSize" TYPE="uint64"><VALUE>42</VALUE></PROPERTY>'
        '<PROPERTY NAME="ParentPath" TYPE="string"></PROPERTY>'
        '<PROPERTY.ARRAY NAME="Names" TYPE="string">'
        "<VALUE.ARRAY><VALUE>a</VALUE><VALUE>b &amp; c</VALUE></VALUE.ARRAY></PROPERTY.ARRAY>"
        "</INSTANCE>"
    )
    assert element.tag == "Msvm_VirtualHardDiskInfo"
    assert [(child.tag, child.text) for child in element] == [("FileSize", "42"), ("Names", "a"), ("Names", "b & c")]


@pytest.mark.parametrize("text", ["", "no xml", "<CLASS NAME='x'/>", "<!DOCTYPE x []><INSTANCE CLASSNAME='x'/>"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(MalformedAnswer):
        cim_xml.instance(text)
