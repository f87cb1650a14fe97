# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kerberos against a real KDC: prepares what kerberos_cases.py needs, and runs it.

MIT's KDC comes from Debian's packages. The Python libraries are built against its headers, so they have an environment
of their own, which finds everything else where this one does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from support.points import Point

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements" / "kerberos.txt"
PROGRAMS = {
    "krb5kdc": "krb5-kdc",
    "kadmin.local": "krb5-admin-server",
    "kinit": "krb5-user",
    "krb5-config": "libkrb5-dev",
    "gcc": "gcc",
}
PATH = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])


def install_kdc() -> None:
    """The Debian packages, where they are missing and this process may install them; else the tests are skipped."""
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program, path=PATH) is None]
    if not missing:
        return
    packages = " ".join(missing)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip(f"Kerberos was not tested: it needs the Debian packages {packages}, and only root can install them")
    run(["apt-get", "update"])
    run(["apt-get", "install", "--yes", "--no-install-recommends", *missing], DEBIAN_FRONTEND="noninteractive")


def python_with_kerberos() -> Path:
    """The interpreter of an environment with requirements/kerberos.txt and everything that this one has."""
    folder = ROOT / ".cache" / "kerberos"
    python = folder / "bin" / "python"
    stamp, wanted = folder / "stamp", f"{sys.prefix} {sys.version}\n{REQUIREMENTS.read_text(encoding='utf-8')}"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    venv.create(folder, clear=True, with_pip=True)
    run([str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "-r", str(REQUIREMENTS)])
    scheme = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", vars=scheme))
    line = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    (packages / "tests.pth").write_text(line, encoding="utf-8")
    stamp.write_text(wanted, encoding="utf-8")
    return python


def run(command: list[str], **environment: str) -> None:
    """A command that must succeed; what it said is shown where it did not."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    result = subprocess.run(
        command,
        env={**kept, "PATH": PATH, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout[-4000:]}"


@pytest.mark.faults
def test_every_case_of_kerberos(point: Point, tmp_path: Path) -> None:
    install_kdc()
    python = python_with_kerberos()
    report = tmp_path / "report.xml"
    cases = Path(__file__).with_name("kerberos_cases.py")
    try:
        run([str(python), "-m", "pytest", "-p", "no:cacheprovider", "-q", f"--junitxml={report}", str(cases)])
    finally:
        tried = ET.parse(report).iter("testcase") if report.is_file() else ()
        for case in tried:
            if not len(case):
                with point("who gets in: Kerberos", str(case.get("name")).partition("[")[0]):
                    pass
    assert report.is_file()
