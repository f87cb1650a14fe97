# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What docs/engines.md shows can be given to the tools as it stands."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml
from ansible_collections.fieldnotes.windows.plugins.modules.disable_ipv6 import DOCUMENTATION
from engines.tools import ROOT, Tools

GUIDE = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")


def blocks(language: str, section: str) -> list[str]:
    """The blocks of a language below a heading."""
    text = re.split(r"(?m)^## ", GUIDE.split(f"\n## {section}\n", 1)[1])[0]
    found: list[str] = re.findall(rf"(?ms)^```{language}\n(.*?)^```$", text)
    return found


def test_the_builder_takes_the_definition(tools: Tools) -> None:
    (definition,) = blocks("yaml", "An execution environment")
    file = tools.write("execution-environment.yml", yaml.safe_load(definition))
    tools.run("ansible-builder", "create", "--file", file, "--context", tools.folder / "context")
    requirements = (tools.folder / "context" / "_build" / "requirements.yml").read_text(encoding="utf-8")
    assert yaml.safe_load(requirements) == {"collections": [{"name": "fieldnotes.windows"}]}


def test_the_survey_asks_for_variables_of_the_playbook() -> None:
    (survey,) = map(json.loads, blocks("json", "Surveys"))
    assert set(survey) == {"name", "description", "spec"}
    playbook = (ROOT / "playbooks" / "audit.yml").read_text(encoding="utf-8")
    for question in survey["spec"]:
        assert {"question_name", "question_description", "variable", "type", "required"} <= set(question)
        assert question["type"] in {"text", "textarea", "password", "integer", "float", "multiplechoice", "multiselect"}
        assert re.search(rf"\b{question['variable']} \| default", playbook), question["variable"]
        if "choices" in question:
            assert question["default"] in question["choices"]
            assert set(question["choices"]) <= set(states())


def states() -> list[str]:
    choices: list[str] = yaml.safe_load(DOCUMENTATION)["options"]["state"]["choices"]
    return choices


def test_the_credential_sets_a_variable_of_the_playbook_from_its_secret_field() -> None:
    fields, injector = (yaml.safe_load(block) for block in blocks("yaml", "Credentials"))
    (field,) = fields["fields"]
    assert field["secret"]
    assert fields["required"] == [field["id"]]
    ((variable, value),) = injector["extra_vars"].items()
    assert value == f"{{{{ {field['id']} }}}}"
    playbook: list[dict[str, Any]] = yaml.safe_load((ROOT / "playbooks" / "kms_host.yml").read_text(encoding="utf-8"))
    arguments = playbook[0]["tasks"][0]["fieldnotes.windows.kms_host"]
    assert variable in arguments["product_key"]
