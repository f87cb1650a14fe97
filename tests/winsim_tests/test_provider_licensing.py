# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Product activation, the firewall, and who listens, asked of the providers themselves."""

from __future__ import annotations

from typing import Any

import pytest
from winsim import Fleet, Host
from winsim.providers import Fault, providers
from winsim.providers.eventlog import EventLogState
from winsim.providers.services import ServicesState, start, stop

KMS, CLIENT = ("-".join([letter * 5] * 5) for letter in "AC")
CIMV2, STANDARD = "root/cimv2", "root/StandardCimv2"


def host(build: int = 20348, installed: dict[str, int] | None = None, **given: Any) -> Host:
    licensing = {
        "keys": {KMS: {"kind": "kms_host", "reload": given.pop("reload", 0)}, CLIENT: {"kind": "kms_client"}},
        "installed": {CLIENT: 1} if installed is None else installed,
        **given.pop("licensing", {}),
    }
    host = {"build": build, **given, "licensing": licensing}
    return Fleet.load({"clock": {"speed": 0}, "domain": "corp.example", "hosts": {"K1": host}}).host("K1")


def call(host: Host, cls: str, method: str, **inputs: Any) -> int:
    keys = {"Version": service(host)["Version"]} if cls.endswith("Service") else {"ID": _held(host)["ID"]}
    return int(providers.invoke(host, CIMV2, cls, method, keys, inputs)["ReturnValue"])


def _held(host: Host) -> dict[str, Any]:
    return next(p for p in providers.instances(host, CIMV2, "SoftwareLicensingProduct") if p["PartialProductKey"])


def service(host: Host) -> dict[str, Any]:
    return providers.instances(host, CIMV2, "SoftwareLicensingService")[0]


def restart(host: Host, name: str = "sppsvc") -> None:
    found = host.state(ServicesState).get(name)
    assert found is not None
    assert stop(host, found) == 0
    host.fleet.clock.advance(2)
    assert start(host, found) == 0
    host.fleet.clock.advance(2)


def ports(host: Host) -> set[int]:
    return {each["LocalPort"] for each in providers.instances(host, STANDARD, "MSFT_NetTCPConnection")}


def install(host: Host) -> int:
    return call(host, "SoftwareLicensingService", "InstallProductKey", ProductKey=KMS)


def test_a_key_takes_the_place_of_the_former_one_and_listens_after_a_restart() -> None:
    kms = host()
    assert install(kms) == 0
    assert (_held(kms)["PartialProductKey"], _held(kms)["LicenseStatus"]) == ("AAAAA", 2)
    assert call(kms, "SoftwareLicensingProduct", "Activate") == 0
    assert (_held(kms)["LicenseStatus"], _held(kms)["IsKeyManagementServiceMachine"]) == (1, 1)
    assert 1688 not in ports(kms)
    restart(kms)
    assert 1688 in ports(kms)


def test_settings_count_after_the_next_start_and_are_published_then() -> None:
    kms = host(installed={KMS: 1})
    assert call(kms, "SoftwareLicensingService", "SetKeyManagementServiceListeningPort", PortNumber=1700) == 0
    assert service(kms)["KeyManagementServiceListeningPort"] == 1700
    assert 1688 in ports(kms)
    restart(kms)
    assert 1700 in ports(kms)
    assert 1688 not in ports(kms)
    kms.fleet.clock.advance(10)
    events = [each for each in kms.state(EventLogState).logs["Application"] if each.code == 12294]
    assert [each.strings for each in events] == [["corp.example"]]


@pytest.mark.parametrize("form", ["return_value", "fault", "text", "signed_text"])
def test_errors_come_in_the_form_of_the_switch(form: str) -> None:
    kms = host(reload=1)
    kms.switches["licensing.error_form"] = form
    if form == "return_value":
        assert install(kms) == 0xC004F050
    else:
        with pytest.raises(Fault) as refused:
            install(kms)
        assert ("c004f050" in refused.value.text.lower()) or refused.value.code == 0xC004F050
    restart(kms)
    assert install(kms) == 0


def test_a_client_key_finds_no_kms_host_to_activate_at() -> None:
    assert call(host(), "SoftwareLicensingProduct", "Activate") == 0xC004F074


def test_whoever_asks_starts_the_service_unless_it_is_disabled() -> None:
    kms = host(services={"sppsvc": {"state": "Stopped"}})
    assert service(kms)["Version"] == "10.0.20348.1"
    kms.fleet.clock.advance(2)
    found = kms.state(ServicesState).get("sppsvc")
    assert found is not None
    assert found.state == "Running"
    with pytest.raises(Fault) as refused:
        service(host(services={"sppsvc": {"state": "Stopped", "start_mode": "Disabled"}}))
    assert refused.value.code == 0x80070422


def test_windows_server_2008_has_another_service_and_fewer_members() -> None:
    old = host(6002, {KMS: 1})
    assert "KeyManagementServiceListeningPort" not in service(old)
    assert service(old)["IsKeyManagementServiceMachine"] == 1
    assert "KeyManagementServiceCurrentCount" not in _held(old)
    assert old.state(ServicesState).get("sppsvc") is None
    restart(old, "slsvc")


def test_netsh_adds_shows_and_deletes_rules_by_name() -> None:
    old = host(7601)
    played = providers.process(old, "netsh.exe")
    assert played is not None

    def netsh(*words: str) -> Any:
        return played.run(old, ["advfirewall", "firewall", *words], "")

    assert netsh("show", "rule", "name=ours").exit_code == 1
    assert netsh("add", "rule", "name=ours", "dir=in", "localport=1700", "profile=domain").exit_code == 0
    assert "1700" in netsh("show", "rule", "name=ours").stdout
    assert netsh("delete", "rule", "name=ours").exit_code == 0
    assert netsh("delete", "rule", "name=ours").exit_code == 1
    assert played.run(old, ["nonsense"], "").exit_code == 1
