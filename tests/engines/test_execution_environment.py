# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An execution environment: what ansible-builder finds that this collection needs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import yaml
from engines.tools import ROOT, Tools


def archive(tools: Tools) -> Path:
    """The folder of collections after an installation from the archive, as ansible-builder does it."""
    source = tools.folder / "source"
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    ).stdout.splitlines()
    for name in names:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    tools.run("ansible-galaxy", "collection", "build", "--output-path", tools.folder, source)
    built = next(tools.folder.glob("fieldnotes-windows-*.tar.gz"))
    installed = tools.folder / "collections"
    tools.run("ansible-galaxy", "collection", "install", "--offline", "--force", "-p", installed, built)
    return installed


def test_the_archive_tells_the_builder_what_to_install(tools: Tools) -> None:
    output = tools.run("ansible-builder", "introspect", "--sanitize", archive(tools))
    found = yaml.safe_load(output)
    python = {line.split(" #")[0].strip() for line in found["python"]}
    assert "pypsrp[credssp,kerberos] >= 0.8.1" in python
    required = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    for line in required:
        if not line.startswith("#"):
            assert any(each.replace("[credssp,kerberos]", "") == line for each in python), line
    assert {line.split()[0] for line in found["system"]} == {
        "gcc",
        "krb5-devel",
        "krb5-user",
        "krb5-workstation",
        "libkrb5-dev",
    }
