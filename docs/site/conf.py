# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How Sphinx makes the site of docs/ and of the modules' pages: ./dev docs."""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx

project = "fieldnotes.windows"
author = "the fieldnotes.windows contributors"
copyright = f"2026, {author}"

extensions = ["myst_parser", "sphinx_antsibull_ext"]
exclude_patterns = ["site"]
root_doc = "README"
# Every heading can be linked to, as forges do.
myst_heading_anchors = 3
highlight_language = "text"
pygments_style = "ansible"

html_theme = "furo"
html_title = project
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"top_of_page_buttons": []}

MODULES = "modules/index"
ANSIBLE = "https://docs.ansible.com/projects/ansible/latest"
# What the modules' pages refer to in Ansible's own documentation; to fetch its inventory would need a network.
LABELS = {
    "action_plugins": "plugins/action.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "common_return_values": "reference_appendices/common_return_values.html",
    "playbooks_conditionals": "playbook_guide/playbooks_conditionals.html",
}


def setup(app: Sphinx) -> None:
    app.connect("source-read", _contents)
    app.connect("missing-reference", _ansible)


def _contents(app: Sphinx, name: str, source: list[str]) -> None:
    """The menu: the links of the index page by section, and the modules by their names."""
    if name == root_doc:
        sections = re.findall(r"(?ms)^## (.*?)\n(.*?)(?=^## |\Z)", source[0])
        links = {title: re.findall(r"\[([^\]]+)\]\(([\w/]+)\.md\)", body) for title, body in sections}
        trees = [*links.items(), ("Reference", [("Modules and roles", MODULES)])]
        source[0] += "".join(_tree(title, dict(pages)) for title, pages in trees if pages)
    elif name.startswith("modules/"):
        # Furo shows the contents of a page by itself.
        source[0] = source[0].replace("\n.. contents::\n   :local:\n   :depth: 1\n", "")
        source[0] = re.sub(r"(?m)^    (\w+)_(module|role)$", r"    \1 (\2) <\1_\2>", source[0])


def _tree(title: str, pages: dict[str, str]) -> str:
    entries = "\n".join(f"{text} <{page}>" for text, page in pages.items())
    return f"\n\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n{entries}\n```\n"


def _ansible(app: Sphinx, env: object, node: nodes.Element, content: nodes.TextElement) -> nodes.reference | None:
    """A reference to a page of Ansible's documentation."""
    label = node.get("reftarget", "")
    plugin = re.fullmatch(r"ansible_collections\.(?!fieldnotes)(\w+)\.(\w+)\.(\w+)", label)
    page = f"collections/{'/'.join(plugin.groups())}.html" if plugin else LABELS.get(label)
    return nodes.reference("", "", content, refuri=f"{ANSIBLE}/{page}", internal=False) if page else None
