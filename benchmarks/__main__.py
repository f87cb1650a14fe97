# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``./dev bench``: the same goals with this collection and with ansible.windows, side by side on a simulated fleet."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from .fleet import fleet
from .measuring import ENVIRONMENT, ROOT, Playbooks, Samples, settle
from .report import FULL, chart, plain, ratios, rows, table, too_small, variants
from .serving import serving
from .units import STEADY

RESULTS = ROOT / "benchmarks" / "results.json"
BOUNDS = ROOT / "benchmarks" / "bounds.json"
CHARTS = ROOT / "docs"

_VERSIONS = """
import importlib.metadata, json, pathlib, platform, ssl, ansible_collections
packages = ("ansible-core", "pypsrp", "pywinrm", "pyspnego", "requests", "cryptography")
manifest = pathlib.Path(list(ansible_collections.__path__)[0]) / "ansible" / "windows" / "MANIFEST.json"
theirs = json.loads(manifest.read_text())["collection_info"]["version"]
found = {"Python": platform.python_version(), "OpenSSL": ssl.OPENSSL_VERSION, "ansible.windows": theirs}
print(json.dumps({**found, **{name: importlib.metadata.version(name) for name in packages}}))
"""


def main() -> int:
    """Exit code 1 where a ratio is too small."""
    options = _parser().parse_args()
    measured = [(variant, Samples()) for variant in variants(check=options.check)]
    with tempfile.TemporaryDirectory() as temporary, serving(fleet(options.hosts), Path(temporary)) as server:
        playbooks = Playbooks(server, Path(temporary), options.forks)
        settle(playbooks, STEADY, FULL[0])
        for number in range(options.rounds):
            for variant, samples in measured:
                playbooks.sample(variant, samples)
                cpu = 1000 * samples.rounds[-1].cpu
                print(f"round {number + 1}: {variant.connection}: {variant.unit.name}: {cpu:.1f} ms", flush=True)
    found = rows(measured)
    print(table(found))
    print(json.dumps(ratios(found), indent=1))
    if options.write:
        result = {
            "machine": machine(),
            "versions": versions(),
            "run": {"hosts": options.hosts, "forks": options.forks, "rounds": options.rounds},
            "ratios": ratios(found),
            "rows": plain(found),
        }
        RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        for connection in FULL:
            name = f"speed-{connection.split()[1]}.svg"
            (CHARTS / name).write_text(chart(found, connection), encoding="utf-8")
    if options.check:
        bounds = json.loads(BOUNDS.read_text(encoding="utf-8"))
        complaints = too_small(ratios(found), bounds["at least"], bounds["tolerance"])
        print("\n".join(complaints) or "every ratio is within its bounds")
        return 1 if complaints else 0
    return 0


def machine() -> dict[str, str]:
    """The processor, how many there are, and the kernel."""
    names = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return {
        "processor": names[0] if names else platform.machine(),
        "processors": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
    }


def versions() -> dict[str, str]:
    """What the playbooks ran with."""
    python = ENVIRONMENT / "bin" / "python"
    found: dict[str, str] = json.loads(subprocess.check_output([python, "-c", _VERSIONS], text=True))
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds, in each of which everything is measured once")
    parser.add_argument("--hosts", type=int, default=4, help="simulated hosts")
    parser.add_argument("--forks", type=int, default=4, help="Ansible's workers")
    parser.add_argument("--check", action="store_true", help="measure what the ratios need, and compare them to bounds")
    parser.add_argument("--write", action="store_true", help="keep the result and the charts for the documents")
    return parser


if __name__ == "__main__":
    sys.exit(main())
