# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventories of docs/connections.md give the sessions that the page promises."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.settings import Settings, from_psrp, from_winrm

PAGE = Path(__file__).parents[2] / "docs" / "connections.md"
BLOCKS = re.findall(r"(?ms)^```yaml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"))
GROUPS: dict[str, Mapping[str, Any]] = {
    name: group["vars"] for block in BLOCKS for name, group in yaml.safe_load(block).items()
}


def settings(variables: Mapping[str, Any]) -> Settings:
    kind = variables["ansible_connection"]
    connection = connection_loader.get(kind, PlayContext())
    connection.set_options(var_options={"ansible_host": "n1.corp.example.com", **variables})
    if kind == "psrp":
        return from_psrp(connection.get_option)
    extras = {n.removeprefix("ansible_winrm_"): v for n, v in variables.items() if n.startswith("ansible_winrm_")}
    return from_winrm(connection.get_option, extras)


@pytest.mark.parametrize("kind", ["kerberos", "ntlm", "credssp", "certificate", "basic"])
def test_both_plugins_give_the_authentication_of_the_heading(kind: str) -> None:
    psrp, winrm = settings(GROUPS[f"{kind}_psrp"]), settings(GROUPS[f"{kind}_winrm"])
    assert psrp.auth == winrm.auth == kind
    assert psrp.ssl is winrm.ssl is (kind in ("credssp", "certificate", "basic"))
    assert (psrp.port, psrp.delegates) == (winrm.port, winrm.delegates)
    assert psrp.delegates is (kind in ("kerberos", "credssp"))


@pytest.mark.parametrize("plugin", ["psrp", "winrm"])
def test_an_authority_of_ones_own_is_asked(plugin: str) -> None:
    assert settings(GROUPS[f"own_authority_{plugin}"]).cert_validation == "/etc/ansible/corp-ca.pem"


@pytest.mark.parametrize("name", GROUPS)
def test_every_variable_is_one_of_the_plugin(name: str) -> None:
    kind = GROUPS[name]["ansible_connection"]
    plugin = Path(connection_loader.find_plugin(kind)).read_text(encoding="utf-8")
    # Ansible's winrm passes on what it does not document itself.
    names = ("ca_trust_path", "cert_pem", "cert_key_pem", "kerberos_delegation")
    passed_on = {f"ansible_winrm_{each}" for each in names}
    named = {variable for variable in GROUPS[name] if variable.startswith(f"ansible_{kind}_")} - passed_on
    assert [variable for variable in sorted(named) if f"name: {variable}" not in plugin] == []
