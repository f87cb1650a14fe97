# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Instances as CIM-XML (DMTF DSP0201), the text in which Hyper-V embeds them. For this collection only."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from ..errors import MalformedAnswer
from .xml import child, children, local_name, parse, text_of


def instance(text: str) -> ET.Element:
    """An INSTANCE as an element with one child per value, as WS-Management writes it. Errors: MalformedAnswer."""
    root = parse(text.encode())
    if local_name(root) != "INSTANCE":
        raise MalformedAnswer(f"expected an INSTANCE of CIM-XML, found {local_name(root)}")
    element = ET.Element(root.get("CLASSNAME", "INSTANCE"))
    for prop in root:
        name = prop.get("NAME", "")
        values: list[ET.Element] = []
        if local_name(prop) == "PROPERTY":
            values = list(children(prop, "VALUE"))
        elif local_name(prop) == "PROPERTY.ARRAY" and (array := child(prop, "VALUE.ARRAY")) is not None:
            values = list(children(array, "VALUE"))
        for value in values:
            ET.SubElement(element, name).text = text_of(value)
    return element
