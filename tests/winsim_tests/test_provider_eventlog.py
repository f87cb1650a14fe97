# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from winsim import Fleet, Host
from winsim.providers import providers
from winsim.providers.eventlog import record

CIMV2 = "root/cimv2"


def host(eventlog: dict[str, Any] | None = None, **more: Any) -> Host:
    return Fleet.load({"clock": {"speed": 0}, "hosts": {"N1": {"eventlog": eventlog, **more}}}).host("N1")


def events(on: Host, log: str = "System") -> list[dict[str, Any]]:
    return [each for each in providers.instances(on, CIMV2, "Win32_NTLogEvent") if each["Logfile"] == log]


def test_records_are_numbered_by_time_and_shown_newest_first() -> None:
    on = host({
        "System": [
            {"code": 4869, "source": "Microsoft-Windows-FailoverClustering", "days_ago": 1, "strings": ["x", 1, 60]},
            {"code": 4870, "source": "Microsoft-Windows-FailoverClustering", "days_ago": 3, "strings": [1, 60]},
        ]
    })  # fmt: skip
    found = [each for each in events(on) if each["EventCode"] in (4869, 4870)]
    assert [each["EventCode"] for each in found] == [4869, 4870]
    assert found[0]["RecordNumber"] > found[1]["RecordNumber"]
    assert found[0]["InsertionStrings"] == ["x", "1", "60"]
    assert found[0]["TimeGenerated"] == on.now() - timedelta(days=1)
    assert (found[0]["EventType"], found[1]["EventType"]) == (2, 1)


@pytest.mark.parametrize("position", ["BugCheck", "Microsoft-Windows-WER-SystemErrorReporting"])
def test_the_source_of_a_bug_check_is_an_open_question(position: str) -> None:
    on = host({
        "System": [
            {"code": 1001, "source": "BugCheck", "strings": ["0x0000009e (0x1, 0x3c, 0x0, 0x0)", "x", "y"]},
            {"code": 1001, "source": "Windows Error Reporting", "strings": ["bucket"]},
        ]
    })  # fmt: skip
    on.switches["eventlog.bugcheck_source"] = position
    sources = {each["SourceName"] for each in events(on) if each["EventCode"] == 1001}
    assert sources == {position, "Windows Error Reporting"}


def test_a_log_reaches_back_as_far_as_it_is_said_to() -> None:
    assert events(host())[-1]["TimeGenerated"] < host().now() - timedelta(days=700)
    on = host({"System": {"since_days": 2, "records": []}})
    assert events(on)[-1]["TimeGenerated"] == on.now() - timedelta(days=2)


def test_only_the_message_is_in_the_language_of_the_host() -> None:
    records = {"System": [{"code": 7031, "source": "Service Control Manager", "strings": ["Clusterdienst", 2, 60000]}]}
    english, german = (
        next(each for each in events(host(records, language=language)) if each["EventCode"] == 7031)
        for language in ("en-US", "de-DE")
    )
    assert english.pop("Message") != german.pop("Message")
    english.pop("TimeGenerated"), english.pop("TimeWritten")
    german.pop("TimeGenerated"), german.pop("TimeWritten")
    assert english == german


def test_what_happens_is_recorded_at_its_time() -> None:
    on = host()
    on.fleet.clock.advance(60)
    number = events(on)[0]["RecordNumber"]
    record(on, "System", "Source", 42, ["a"])
    newest = events(on)[0]
    assert (newest["EventCode"], newest["RecordNumber"], newest["TimeGenerated"]) == (42, number + 1, on.now())


def test_a_restart_is_in_the_log() -> None:
    on = host()
    on.reboot(10)
    on.fleet.clock.advance(10)
    codes = [each["EventCode"] for each in events(on)[:2]]
    assert codes == [6005, 6006]


def test_a_log_of_one_s_own_has_its_file() -> None:
    on = host({"Setup": [{"code": 1, "source": "x"}]})
    found = {each["LogfileName"]: each for each in providers.instances(on, CIMV2, "Win32_NTEventlogFile")}
    assert set(found) == {"Application", "Security", "System", "Setup"}
    assert found["Setup"]["NumberOfRecords"] == 2
