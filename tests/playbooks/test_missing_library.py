# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A controller without pypsrp."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_a_missing_library_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "pypsrp.py").write_text("raise ImportError(\"No module named 'pypsrp'\")\n", encoding="utf-8")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from support.ansible_task import run_task\n"
        "print(run_task('hang_recovery', {'action': 'log'}, {'inventory_hostname': 'n1'})['msg'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "the controller needs the Python library pypsrp" in done.stdout, done.stderr
    assert "pip install pypsrp" in done.stdout
    assert "Traceback" not in done.stderr
