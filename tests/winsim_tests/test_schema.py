# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The schema: what a build of Windows has, and where."""

from __future__ import annotations

from pathlib import Path

import pytest
from winsim import schema
from winsim.schema import Class

W2008, W2008R2, W2012, W2016, W2019, W2022, W23H2 = 6001, 7600, 9200, 14393, 17763, 20348, 25398


def find(build: int, namespace: str, name: str) -> Class:
    found = schema.load().find(build, namespace, name)
    assert found is not None
    return found.at(build)


def test_names_ignore_case_and_namespaces_take_either_slash() -> None:
    assert find(W2022, "ROOT\\mscluster", "mscluster_CLUSTER").name == "MSCluster_Cluster"
    assert find(W2022, "root/MSCluster", "MSCluster_Cluster").property("hangrecoveryaction") is not None


def test_types_keys_and_access() -> None:
    cluster = find(W2022, "root/MSCluster", "MSCluster_Cluster")
    action = cluster.property("HangRecoveryAction")
    assert action is not None
    assert (action.type, action.array, action.minimum, action.maximum) == ("uint32", False, 0, 6)
    assert action.writable_since <= W2022
    timeout = cluster.property("ClusSvcHangTimeout")
    assert timeout is not None
    assert timeout.writable_since > W2022
    assert [key.name for key in cluster.keys] == ["Name"]
    assert [each.name for each in cluster.properties] == sorted(
        (each.name for each in cluster.properties), key=str.lower
    )


@pytest.mark.parametrize(("build", "there"), [(W2008, False), (W2008R2, True), (W2022, True)])
def test_a_property_of_a_newer_release_is_absent(build: int, there: bool) -> None:
    assert (find(build, "root/MSCluster", "MSCluster_Cluster").property("ClusSvcHangTimeout") is not None) == there


def test_a_property_that_was_not_seen_any_more_is_absent_from_that_server_on() -> None:
    assert find(W2016, "root/MSCluster", "MSCluster_Cluster").property("AutoAssignedNodeSite") is not None
    assert find(W2019, "root/MSCluster", "MSCluster_Cluster").property("AutoAssignedNodeSite") is None


def test_a_parameter_seen_only_in_23h2_is_absent_before() -> None:
    for build, there in ((W2019, False), (W23H2, True)):
        method = find(build, "root/MSCluster", "MSCluster_Resource").method("BringOnline")
        assert method is not None
        assert (method.parameter("Reason") is not None) == there


def test_a_host_may_differ() -> None:
    found = schema.load().find(W2019, "root/MSCluster", "MSCluster_Cluster")
    assert found is not None
    shaped = found.at(
        W2019, frozenset({"AutoAssignedNodeSite"}), frozenset({"AutoAssignNodeSite"}), frozenset({"ClusSvcHangTimeout"})
    )
    assert shaped.property("AutoAssignedNodeSite") is not None
    assert shaped.property("AutoAssignNodeSite") is None
    timeout = shaped.property("ClusSvcHangTimeout")
    assert timeout is not None
    assert timeout.writable_since == 0


def test_licensing_of_2008_is_another_class() -> None:
    old = {each.name for each in find(W2008, "root/cimv2", "SoftwareLicensingService").properties}
    new = {each.name for each in find(W2008R2, "root/cimv2", "SoftwareLicensingService").properties}
    assert old != new


def test_the_registry_class_is_in_both_namespaces_and_system_classes_in_all() -> None:
    for namespace in ("root/default", "root/cimv2"):
        method = find(W2022, namespace, "StdRegProv").method("GetStringValue")
        assert method is not None
        assert method.static
        assert [each.name for each in method.parameters if each.mandatory] == ["sSubKeyName", "sValueName"]
    for namespace in schema.load().namespaces:
        assert find(W2022, namespace, "__SystemSecurity").singleton


def test_a_site_of_configuration_manager_has_any_code() -> None:
    assert schema.load().has_namespace("root\\SMS\\site_P01")
    assert not schema.load().has_namespace("root\\SMS\\site_TOOLONG")


def test_documented_superclasses_count() -> None:
    assert schema.load().is_a(W2022, "root/MSCluster", "MSCluster_Cluster", "CIM_Cluster")
    assert not schema.load().is_a(W2022, "root/MSCluster", "MSCluster_Cluster", "MSCluster_Node")


def test_resources_of_winrm_keep_their_order() -> None:
    config = schema.load().resources["http://schemas.microsoft.com/wbem/wsman/1/config"]
    assert [each.name for each in config.properties][:3] == ["MaxEnvelopeSizekb", "MaxTimeoutms", "MaxBatchItems"]


def test_a_second_start_takes_the_compiled_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    schema.load.cache_clear()
    compiled = schema.load()
    assert list(tmp_path.rglob("*.pickle"))
    schema.load.cache_clear()
    monkeypatch.setattr(schema, "_compile", lambda: pytest.fail("compiled again"))
    assert schema.load() == compiled


def test_a_damaged_cache_is_compiled_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    schema.load.cache_clear()
    compiled = schema.load()
    (file,) = tmp_path.rglob("*.pickle")
    file.write_bytes(b"nonsense")
    schema.load.cache_clear()
    assert schema.load() == compiled
