# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every task of this collection that the documentation shows is run in check mode, as it stands there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from playbooks.running import Controller
from support.world import World
from winsim import Fleet

ROOT = Path(__file__).parents[2]
FLEET = Path(__file__).with_name("fleet.yml")
NAMESPACE = "fieldnotes.windows."

# The host that the examples of a module speak of.
HOSTS = {
    "cim_instance": "N1",
    "cim_method": "DNS1",
    "cim_query": "N1",
    "dhcp_migrate": "bert-old",
    "disable_ipv6": "FILE",
    "hang_recovery": "N1",
    "hang_recovery_info": "N1",
    "ipv6_info": "FILE",
    "kms_host": "KMS1",
    "kms_host_info": "KMS1",
    "kms_srv_record": "DNS1",
    "nlb_info": "W1",
    "nlb_mode": "W1",
    "outlook_anywhere_info": "MAIL",
    "snapshot_offline_action": "HV1",
    "snapshot_offline_action_info": "HV1",
}
# Examples that speak of another one: a KMS host that has its key already.
OTHER_HOSTS = {
    "Use another port, and publish in two domains": "KMS2",
    "Activate with what the telephone said": "KMS2",
    "Add the key of Office 2019, beside the one of Windows": "KMS2",
    "Make the machine a KMS client again": "KMS2",
}
# What stands for something that only a reader has.
VARIABLES = {
    "kms_host_key": "AAAAA-AAAAA-AAAAA-AAAAA-AAAAA",
    "vault_kms_host_key": "AAAAA-AAAAA-AAAAA-AAAAA-AAAAA",
    "kms_office_key": "EEEEE-EEEEE-EEEEE-EEEEE-EEEEE",
    "gvlk": "CCCCC-CCCCC-CCCCC-CCCCC-CCCCC",
    "kms_confirmation_id": "123456" * 8,
}
# What check mode has to refuse, because it does nothing: the import wants the files of an export.
REFUSED = {"Import on the new server and let it serve": "E_NO_MANIFEST"}
# They run once for the whole play, so below a playbook runs their examples.
WHOLE_PLAYS = ("audit_report", "fleet_info")


@dataclass(frozen=True)
class Example:
    """A task. place: where it stands."""

    place: str
    name: str
    module: str
    arguments: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.place}: {self.name}"


def blocks(path: Path) -> Iterator[str]:
    """The YAML of a page, without the indentation of a block in a list, or of the EXAMPLES of a module."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        yield from re.findall(r'(?s)EXAMPLES = r"""\n(.*?)"""', text)
    for indent, block in re.findall(r"(?ms)^( *)```yaml\n(.*?)^ *```$", text):
        yield re.sub(rf"(?m)^{indent}", "", block)


def examples() -> Iterator[Example]:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "roles").glob("*/README.md")]
    for path in sorted([*pages, *(ROOT / "plugins" / "modules").glob("*.py")]):
        for block in blocks(path):
            content = yaml.safe_load(block)
            for entry in content if isinstance(content, list) else []:
                for task in entry.get("tasks", [entry]):
                    for key, arguments in task.items():
                        if key.startswith(NAMESPACE):
                            module = key.removeprefix(NAMESPACE)
                            yield Example(str(path.relative_to(ROOT)), task["name"], module, arguments or {})


EXAMPLES = [example for example in examples() if example.module not in WHOLE_PLAYS]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World(Fleet.load(FLEET)) as served:
        yield served


def filled(value: Any, folder: Path) -> Any:
    """Arguments with the variables of a reader, and a folder of this machine."""
    if isinstance(value, dict):
        return {name: filled(each, folder) for name, each in value.items()}
    if isinstance(value, list):
        return [filled(each, folder) for each in value]
    if isinstance(value, str):
        text = re.sub(r"\{\{ (\w+) \}\}", lambda found: VARIABLES[found[1]], value)
        return str(folder) if text == "/srv/dhcp" else text
    return value


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_the_example_runs_in_check_mode(world: World, tmp_path: Path, example: Example) -> None:
    host = OTHER_HOSTS.get(example.name) or HOSTS[example.module]
    result = world.run(host, example.module, check=True, **filled(dict(example.arguments), tmp_path))
    refusal = REFUSED.get(example.name)
    assert result.get("refusal") == refusal, result.get("msg")
    assert bool(result.get("failed")) is (refusal is not None), result.get("msg")


@pytest.mark.parametrize("module", WHOLE_PLAYS)
def test_the_examples_of_a_whole_play_run_in_check_mode(world: World, tmp_path: Path, module: str) -> None:
    (block,) = blocks(ROOT / "plugins" / "modules" / f"{module}.py")
    inventory = world.served.inventory()
    inventory["all"]["children"]["clusters"] = {"hosts": {"N1": None, "N2": None}}
    controller = Controller(tmp_path, inventory)
    run = controller.run([{"hosts": "N1,N2,FILE", "gather_facts": False, "tasks": yaml.safe_load(block)}], "--check")
    assert run.exit_code == 0, run.output


# Commands


def commands() -> Iterator[tuple[str, str]]:
    """(page, command line) of every block without a language, or of a shell."""
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]):
        for block in re.findall(r"(?ms)^ *```(?:shell|console|)\n(.*?)^ *```$", path.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                yield str(path.relative_to(ROOT)), line.strip()


def test_every_verb_of_dev_on_a_page_or_in_a_workflow_is_there() -> None:
    known = set(re.findall(r"(?m)^  (\w+) ", (ROOT / "dev").read_text(encoding="utf-8").split("EOF")[1]))
    named = {
        verb
        for path in [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / ".github").rglob("*.*")]
        if path.is_file()
        for verb in re.findall(r"\./dev ([a-z]+)", path.read_text(encoding="utf-8"))
    }
    assert {"demo", "sim"} <= named <= known


def test_playbooks_on_a_page_are_there_and_know_the_variables_that_are_given() -> None:
    seen = 0
    for page, line in commands():
        found = re.search(r"ansible-playbook .*?(?:fieldnotes\.windows\.|playbooks/)(\w+)", line)
        if found is None:
            continue
        seen += 1
        playbook = ROOT / "playbooks" / f"{found[1]}.yml"
        assert playbook.exists(), f"{page}: {line}"
        files = [playbook, *(ROOT / "roles" / found[1]).rglob("*.yml")]
        content = "".join(file.read_text(encoding="utf-8") for file in files)
        for variable in re.findall(r"-e (\w+)=", line):
            assert variable in content, f"{page}: {variable} in {line}"
    assert seen > 1
