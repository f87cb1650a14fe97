# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tests and ansible-test sanity on every supported ansible-core with every Python that it runs on: ./dev matrix."""

from __future__ import annotations

from pathlib import Path

import nox

# The last release of each line, and the Pythons of its support matrix:
# https://docs.ansible.com/ansible/latest/reference_appendices/release_and_maintenance.html
CORES = {
    "2.16.19": ("3.10", "3.11", "3.12"),
    "2.17.14": ("3.10", "3.11", "3.12"),
    "2.18.19": ("3.11", "3.12", "3.13"),
    "2.19.14": ("3.11", "3.12", "3.13"),
    "2.20.10": ("3.12", "3.13"),
    "2.21.5": ("3.12", "3.13"),
}
PAIRS = [nox.param(python, core, id=f"{core}-{python}") for core, pythons in CORES.items() for python in pythons]

# Chosen by the pair, or of no use to the tests and with wishes of their own for ansible-core.
LEFT_OUT = ("ansible-core", "ansible-lint", "antsibull", "mypy", "ruff", "types-", "yamllint")
# Pinned for the ansible-core of .venv; others want another one.
UNPINNED = ("resolvelib",)

ROOT = Path(__file__).parent
# Where Ansible finds this collection: .venv has it, and ./dev makes .venv before it starts this.
COLLECTIONS = ROOT / ".venv" / "collections"

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "venv"
nox.options.envdir = str(ROOT / ".cache" / "nox")
nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"


@nox.session
@nox.parametrize("python,core", PAIRS)
def matrix(session: nox.Session, core: str) -> None:
    """Sanity, then the tests of ./dev test; arguments after -- are pytest's."""
    requirements = _less(session, "requirements-dev.txt", (*LEFT_OUT, "-r", "-c"))
    constraints = _less(session, "constraints.txt", (*LEFT_OUT, *UNPINNED))
    session.install(f"ansible-core=={core}", "-r", "requirements.txt", "-r", requirements, "-c", constraints)
    site = session.run("python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", silent=True)
    Path(str(site).strip(), "fieldnotes_windows.pth").write_text(f"{COLLECTIONS}\n{ROOT / 'tests'}\n", encoding="utf-8")

    session.run(".ci/sanity", session.virtualenv.location, external=True)
    session.run("python", "-m", "pytest", "--numprocesses", "4", "-m", "not faults and not engines", *session.posargs)


def _less(session: nox.Session, name: str, left_out: tuple[str, ...]) -> str:
    """The path of a copy of a requirements file without the lines that begin so."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines(keepends=True)
    copy = Path(session.create_tmp()) / name
    copy.write_text("".join(line for line in lines if not line.startswith(left_out)), encoding="utf-8")
    return str(copy)
