# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tools that ./dev engines installs into an environment of their own, run as a user runs them."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".cache" / "engines"
SECRET = "AAAAA-AAAAA-AAAAA-AAAAA-AAAAA"


def nodes(count: int) -> dict[str, Any]:
    """A fleet of plain hosts N01, N02 ..."""
    return {"hosts": {f"N{number:02d}": {} for number in range(1, count + 1)}}


def finished(process: subprocess.Popen[bytes], code: int = 0) -> bytes:
    """What a command printed, which must end with that exit code."""
    output, errors = process.communicate()
    assert process.returncode == code, (
        f"exit code {process.returncode}: {((output or b'') + errors).decode(errors='replace')}"
    )
    return output


@dataclass(frozen=True)
class Tools:
    """A controller with the tools. folder: where it keeps what it writes."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """That of the caller, without settings of Ansible, and with the tools first on the path."""
        prefixes = ("ANSIBLE_", "ARA_", "RUNNER_")
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(prefixes) and not name.lower().endswith("_proxy")
        }
        return {
            **kept,
            "HOME": str(self.folder),
            "PATH": os.pathsep.join([str(ENVIRONMENT / "bin"), kept["PATH"]]),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections"),
            "ANSIBLE_NOCOLOR": "1",
            "ARA_BASE_DIR": str(self.folder / "ara"),
        }

    def start(
        self,
        *command: str | Path,
        given: Path | None = None,
        into: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """A command. given, into: the files of its input and output; settings: further variables of its environment."""
        if not (ENVIRONMENT / "stamp").exists():
            pytest.fail("the tools are not installed: ./dev engines installs them and runs these tests")
        with contextlib.ExitStack() as files:
            return subprocess.Popen(
                [ENVIRONMENT / "bin" / command[0], *command[1:]],
                cwd=self.folder,
                env={**self.environment, **(settings or {})},
                stdin=files.enter_context(given.open("rb")) if given else subprocess.DEVNULL,
                stdout=files.enter_context(into.open("wb")) if into else subprocess.PIPE,
                stderr=subprocess.PIPE,
            )

    def run(
        self, *command: str | Path, code: int = 0, given: Path | None = None, settings: Mapping[str, str] | None = None
    ) -> bytes:
        """What a command printed, which must end with that exit code."""
        return finished(self.start(*command, given=given, settings=settings), code)

    def write(self, name: str, content: Any) -> Path:
        """A YAML file below the folder."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return file
