# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""WS-Management as a client sees it: shapes of answers, faults, enumerations, fragments, methods, the log, trouble."""

from __future__ import annotations

import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any
from xml.sax.saxutils import escape

import pytest
from winsim import Fleet, Host, cim, soap, wsman
from winsim.providers import Embedded, Fault, Instance, Provider, Reference, Registry, Shape, Wbem
from winsim.soap import A, F, N, S, W, X
from winsim.trouble import Trouble, troubles_of

CLUSTER = "root/MSCluster"
WMI = "http://schemas.microsoft.com/wbem/wsman/1/wmi/"
WQL = "http://schemas.microsoft.com/wbem/wsman/1/WQL"
ADMIN = "Administrator"


@dataclass
class Nodes:
    """The state of the tiny subsystem that is played here."""

    action: int = 3
    groups: dict[str, str] = field(default_factory=lambda: {"Web": "N1", "Files": "N2", "Print": "N2"})
    calls: list[Instance] = field(default_factory=list)


def _tiny(registry: Registry) -> None:
    tiny = Provider("tiny", registry)
    name = "MSCluster_ResourceGroup"

    @tiny.instances(CLUSTER, "MSCluster_Cluster")
    def clusters(host: Host) -> Iterator[Instance]:
        state = host.attached(Nodes)
        yield {
            "Name": "CL1",
            "HangRecoveryAction": state.action,
            "ClusSvcHangTimeout": 60,
            "InstallDate": datetime(2026, 1, 31, 8, 0, 0, 250000, timezone.utc),
            "AdminExtensions": ["a", "b"],
            "PrivateProperties": Embedded("MSCluster_Property", {"Answer": 42, "Names": ["x", "y"]}),
            "Description": "",
            "DynamicQuorumEnabled": 1,
        }

    @tiny.modify(CLUSTER, "MSCluster_Cluster")
    def modify(host: Host, instance: Instance, changes: Instance) -> None:
        host.attached(Nodes).action = changes["HangRecoveryAction"]

    @tiny.instances(CLUSTER, "MSCluster_Node")
    def nodes(host: Host) -> Iterator[Instance]:
        for number in range(1, 4):
            yield {"Name": f"N{number}", "State": 0, "Description": "x" * 100}

    @tiny.instances(CLUSTER, name)
    def groups(host: Host) -> Iterator[Instance]:
        for group in host.attached(Nodes).groups:
            yield {"Name": group, "State": 0}

    @tiny.create(CLUSTER, name)
    def create(host: Host, values: Instance) -> Instance:
        if values["Name"] in host.attached(Nodes).groups:
            raise Fault(Wbem.ALREADY_EXISTS)
        host.attached(Nodes).groups[values["Name"]] = "N1"
        return values

    @tiny.delete(CLUSTER, name)
    def delete(host: Host, instance: Instance) -> None:
        del host.attached(Nodes).groups[instance["Name"]]

    @tiny.method(CLUSTER, name, "MoveToNewNode")
    def move(host: Host, instance: Instance | None, inputs: Instance) -> Instance:
        assert instance is not None
        host.attached(Nodes).calls.append({**inputs, "Name": instance["Name"]})
        return {}

    @tiny.method(CLUSTER, "MSCluster_Resource", "CreateResource")
    def create_resource(host: Host, instance: Instance | None, inputs: Instance) -> Instance:
        host.attached(Nodes).calls.append(inputs)
        return {"Id": "7"}

    @tiny.instances(CLUSTER, "MSCluster_NodeToActiveGroup")
    def owners(host: Host) -> Iterator[Instance]:
        for group, node in host.attached(Nodes).groups.items():
            yield {
                "GroupComponent": Reference(CLUSTER, "MSCluster_Node", {"Name": node}),
                "PartComponent": Reference(CLUSTER, name, {"Name": group}),
            }

    @tiny.available("root/MicrosoftNLB")
    def nlb(host: Host) -> bool:
        return host.has_feature("NLB")

    @tiny.method("root/default", "StdRegProv", "GetStringValue")
    def get_string(host: Host, instance: Instance | None, inputs: Instance) -> Instance:
        host.attached(Nodes).calls.append(inputs)
        return {"sValue": "hello", "ReturnValue": 0}


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    _tiny(registry)
    return registry


@pytest.fixture
def host(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(cim, "providers", registry)
    return Fleet.load({"clock": {"speed": 0}, "hosts": {"N1": {"build": 17763}}}).host("N1")


@dataclass
class Reply:
    status: int
    text: str

    @property
    def root(self) -> ET.Element:
        return ET.fromstring(self.text)

    @property
    def body(self) -> ET.Element:
        found = self.root.find(f"{{{S}}}Body")
        assert found is not None
        return found

    @property
    def content(self) -> ET.Element:
        return self.body[0]

    def find(self, tag: str) -> ET.Element | None:
        return next(self.root.iter(tag), None)

    def values(self, name: str) -> list[str | None]:
        return [each.text for each in self.body.iter() if soap.local(each) == name]

    @property
    def fault(self) -> tuple[str, int]:
        """Subcode and innermost number."""
        subcode = [each.text for each in self.body.iter(f"{{{S}}}Value")][-1]
        codes = [int(each.get("Code", "")) for each in self.body.iter(f"{{{F}}}WSManFault")]
        return subcode or "", codes[-1]


def ask(
    host: Host,
    action: str,
    uri: str,
    body: str = "",
    *,
    selectors: dict[str, str] | None = None,
    header: str = "",
    user: str = ADMIN,
) -> Reply:
    chosen = "".join(f'<w:Selector Name="{name}">{text}</w:Selector>' for name, text in (selectors or {}).items())
    message = (
        f'<s:Envelope xmlns:s="{S}" xmlns:a="{A}" xmlns:w="{W}" xmlns:n="{N}" xmlns:x="{X}"><s:Header>'
        f'<a:To>http://n1:5985/wsman</a:To><w:ResourceURI s:mustUnderstand="true">{uri}</w:ResourceURI>'
        f'<a:Action s:mustUnderstand="true">{action}</a:Action><a:MessageID>uuid:1</a:MessageID>'
        f"<w:SelectorSet>{chosen}</w:SelectorSet>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )
    return send(host, message.encode(), user)


def send(host: Host, message: bytes, user: str = ADMIN) -> Reply:
    answer = wsman.handle(host, user, message, secure=True)
    return Reply(answer.status, answer.body.decode())


def query(host: Host, text: str, *, namespace: str = CLUSTER, most: int = 32000, **more: Any) -> Reply:
    body = (
        f"<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>{most}</w:MaxElements>"
        f'<w:Filter Dialect="{WQL}">{escape(text)}</w:Filter></n:Enumerate>'
    )
    return ask(host, f"{N}/Enumerate", f"{WMI}{namespace}/*", body, **more)


def pull(host: Host, context: str, most: int = 32000, **more: Any) -> Reply:
    body = (
        f"<n:Pull><n:EnumerationContext>{context}</n:EnumerationContext><n:MaxElements>{most}</n:MaxElements></n:Pull>"
    )
    return ask(host, f"{N}/Pull", f"{WMI}{CLUSTER}/*", body, **more)


def get(host: Host, cls: str, **more: Any) -> Reply:
    return ask(host, f"{X}/Get", f"{WMI}{CLUSTER}/{cls}", **more)


def put(host: Host, body: str, **more: Any) -> Reply:
    return ask(host, f"{X}/Put", f"{WMI}{CLUSTER}/MSCluster_Cluster", body, selectors={"Name": "CL1"}, **more)


def put_fragment(host: Host, name: str, body: str) -> Reply:
    header = f'<w:FragmentTransfer s:mustUnderstand="true">{name}</w:FragmentTransfer>'
    return put(host, f"<w:XmlFragment>{body}</w:XmlFragment>", header=header)


def call(host: Host, cls: str, method: str, inputs: str, *, namespace: str = CLUSTER, **more: Any) -> Reply:
    uri = f"{WMI}{namespace}/{cls}"
    body = f'<p:{method}_INPUT xmlns:p="{uri}">{inputs}</p:{method}_INPUT>'
    return ask(host, f"{uri}/{method}", uri, body, **more)


# Shapes of answers


def test_select_star_answers_with_the_class_in_the_namespace_of_its_uri(host: Host) -> None:
    reply = query(host, "SELECT * FROM MSCluster_Cluster")
    uri = f"{WMI}{CLUSTER}/MSCluster_Cluster"
    assert '<n:EnumerationContext></n:EnumerationContext><w:Items><p:MSCluster_Cluster xmlns:xsi="' in reply.text
    assert f'xmlns:p="{uri}" xmlns:cim="{soap.CIM}" xsi:type="p:MSCluster_Cluster_Type"' in reply.text
    assert "<p:InstallDate><cim:Datetime>2026-01-31T08:00:00.25Z</cim:Datetime></p:InstallDate>" in reply.text
    assert '<p:Caption xsi:nil="true"/>' in reply.text
    assert "<p:Description></p:Description>" in reply.text
    assert "<p:AdminExtensions>a</p:AdminExtensions><p:AdminExtensions>b</p:AdminExtensions>" in reply.text
    assert "<q:Answer>42</q:Answer><q:Names>x</q:Names><q:Names>y</q:Names>" in reply.text
    assert reply.text.endswith("</w:Items><w:EndOfSequence/></n:EnumerateResponse></s:Body></s:Envelope>")


def test_a_select_of_names_answers_with_a_fragment_without_namespace_and_class(host: Host) -> None:
    reply = query(host, "select name, InstallDate, HangRecoveryAction from mscluster_cluster")
    assert (
        f'<w:XmlFragment xmlns:xsi="{soap.XSI}" xmlns:w="{W}"><HangRecoveryAction>3</HangRecoveryAction>'
        "<InstallDate><Datetime>2026-01-31T08:00:00.25Z</Datetime></InstallDate><Name>CL1</Name></w:XmlFragment>"
    ) in reply.text


def test_an_answer_repeats_the_message_id_and_names_its_action(host: Host) -> None:
    root = query(host, "SELECT Name FROM MSCluster_Cluster").root
    assert root.findtext(f".//{{{A}}}RelatesTo") == "uuid:1"
    assert root.findtext(f".//{{{A}}}Action") == f"{N}/EnumerateResponse"
    assert root.get(f"{{{soap.XML}}}lang") == "en-US"


def test_a_build_shows_only_what_it_has(host: Host) -> None:
    host.profile.build = 7600
    assert not query(host, "SELECT * FROM MSCluster_Cluster").values("DynamicQuorumEnabled")
    assert query(host, "SELECT DynamicQuorumEnabled FROM MSCluster_Cluster").fault[1] == Wbem.INVALID_QUERY


# Enumerations


def test_several_instances_come_one_first_and_then_by_pull(host: Host) -> None:
    first = query(host, "SELECT Name FROM MSCluster_Node")
    assert first.values("Name") == ["N1"]
    assert first.find(f"{{{W}}}EndOfSequence") is None
    second = pull(host, first.values("EnumerationContext")[0] or "", 1)
    assert second.values("Name") == ["N2"]
    last = pull(host, second.values("EnumerationContext")[0] or "")
    assert last.values("Name") == ["N3"]
    assert last.content[-1].tag == f"{{{N}}}EndOfSequence"
    assert not last.values("EnumerationContext")


def test_all_may_come_in_the_first_answer(host: Host) -> None:
    host.switches["wire.first_answer"] = "all"
    reply = query(host, "SELECT Name FROM MSCluster_Node")
    assert reply.values("Name") == ["N1", "N2", "N3"]
    assert reply.values("EnumerationContext") == [None]
    assert query(host, "SELECT Name FROM MSCluster_Node", most=2).values("Name") == ["N1", "N2"]


def test_nothing_found_is_an_empty_answer_at_its_end(host: Host) -> None:
    reply = query(host, "SELECT Name FROM MSCluster_Node WHERE Name = 'N9'")
    assert reply.values("Items") == [None]
    assert reply.find(f"{{{W}}}EndOfSequence") is not None


def test_a_class_is_enumerated_without_a_query_and_without_optimization(host: Host) -> None:
    first = ask(host, f"{N}/Enumerate", f"{WMI}{CLUSTER}/MSCluster_Node", "<n:Enumerate/>")
    assert not first.values("Items")
    assert pull(host, first.values("EnumerationContext")[0] or "").values("Name") == ["N1", "N2", "N3"]


def test_references_are_enumerated_on_request(host: Host) -> None:
    host.switches["wire.first_answer"] = "all"
    for mode, items in (("EnumerateEPR", 0), ("EnumerateObjectAndEPR", 3)):
        body = (
            "<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>10</w:MaxElements>"
            f"<w:EnumerationMode>{mode}</w:EnumerationMode></n:Enumerate>"
        )
        reply = ask(host, f"{N}/Enumerate", f"{WMI}{CLUSTER}/MSCluster_Node", body)
        assert reply.values("Selector") == ["N1", "N2", "N3"]
        assert reply.values("Name")[:3] == (["N1", "N2", "N3"] if items else [])


def test_a_selector_filter_chooses_by_property(host: Host) -> None:
    body = (
        f'<n:Enumerate><w:OptimizeEnumeration/><w:Filter Dialect="{cim.SELECTOR_FILTER}"><w:SelectorSet>'
        '<w:Selector Name="Name">n2</w:Selector></w:SelectorSet></w:Filter></n:Enumerate>'
    )
    assert ask(host, f"{N}/Enumerate", f"{WMI}{CLUSTER}/MSCluster_Node", body).values("Name") == ["N2"]


def test_a_context_belongs_to_its_user_expires_and_can_be_released(host: Host) -> None:
    def context() -> str:
        return query(host, "SELECT Name FROM MSCluster_Node").values("EnumerationContext")[0] or ""

    gone = ("n:InvalidEnumerationContext", 0x8033801B)
    assert pull(host, "uuid:NOBODY").fault == gone
    first = context()
    assert pull(host, first, user="somebody").fault == gone
    assert pull(host, first).status == 200
    assert pull(host, first).fault == gone
    late = context()
    host.fleet.clock.advance(240)
    assert pull(host, late).fault == gone
    released = context()
    body = f"<n:Release><n:EnumerationContext>{released}</n:EnumerationContext></n:Release>"
    assert ask(host, f"{N}/Release", f"{WMI}{CLUSTER}/*", body).status == 200
    assert pull(host, released).fault == gone


def test_too_many_contexts_are_a_quota_fault(host: Host) -> None:
    host.winrm.max_operations_per_user = 1
    assert query(host, "SELECT Name FROM MSCluster_Node").status == 200
    assert query(host, "SELECT Name FROM MSCluster_Node").fault == ("w:QuotaLimit", 0x803381A6)


def test_answers_are_cut_to_the_envelope_the_client_takes(host: Host) -> None:
    host.attached(Nodes).groups = {f"Group {number:04} {'x' * 200}": "N1" for number in range(100)}
    size = '<w:MaxEnvelopeSize s:mustUnderstand="true">16384</w:MaxEnvelopeSize>'
    reply = query(host, "SELECT * FROM MSCluster_ResourceGroup", header=size)
    found = reply.values("Name")
    answers = 1
    while reply.find(f"{{{N}}}EndOfSequence") is None:
        reply = pull(host, reply.values("EnumerationContext")[0] or "", header=size)
        assert reply.status == 200
        assert len(reply.text) * 2 <= 16384
        found += reply.values("Name")
        answers += 1
    assert found == list(host.attached(Nodes).groups)
    assert answers > 5


def test_an_item_larger_than_the_envelope_is_refused(host: Host) -> None:
    host.attached(Nodes).groups = {"x" * 9000: "N1"}
    size = "<w:MaxEnvelopeSize>8192</w:MaxEnvelopeSize>"
    reply = query(host, "SELECT Name FROM MSCluster_ResourceGroup", header=size)
    assert reply.fault == ("w:EncodingLimit", 0x80338048)
    small = "<w:MaxEnvelopeSize>4096</w:MaxEnvelopeSize>"
    assert query(host, "SELECT Name FROM MSCluster_Node", header=small).fault[0] == "w:EncodingLimit"


def test_associators_and_references(host: Host) -> None:
    host.switches["wire.first_answer"] = "all"
    path = "{MSCluster_Node.Name='n2'}"
    assert query(host, f"ASSOCIATORS OF {path}").values("Name") == ["Files", "Print"]
    narrow = f"ASSOCIATORS OF {path} WHERE ResultClass = MSCluster_ResourceGroup Role = GroupComponent"
    assert query(host, narrow).values("Name") == ["Files", "Print"]
    assert query(host, f"ASSOCIATORS OF {path} WHERE ResultClass = MSCluster_Cluster").values("Name") == []
    links = query(host, f"REFERENCES OF {path} WHERE ResultClass = MSCluster_NodeToActiveGroup")
    assert links.values("Selector") == ["N2", "Files", "N2", "Print"]
    assert query(host, "ASSOCIATORS OF {MSCluster_Node.Name='N9'}").fault[1] == Wbem.NOT_FOUND


# Get, Put, Create, Delete


def test_get_by_key_whatever_its_case(host: Host) -> None:
    reply = get(host, "mscluster_cluster", selectors={"name": "cl1"})
    assert reply.root.findtext(f".//{{{A}}}Action") == f"{X}/GetResponse"
    assert reply.content.tag == f"{{{WMI}{CLUSTER}/MSCluster_Cluster}}MSCluster_Cluster"


def test_get_by_a_key_that_is_a_reference(host: Host) -> None:
    def selector(name: str, cls: str, key: str) -> str:
        return (
            f'<w:Selector Name="{name}"><a:EndpointReference><a:Address>x</a:Address><a:ReferenceParameters>'
            f"<w:ResourceURI>{WMI}ROOT/mscluster/{cls}</w:ResourceURI><w:SelectorSet>"
            f'<w:Selector Name="Name">{key}</w:Selector></w:SelectorSet></a:ReferenceParameters>'
            "</a:EndpointReference></w:Selector>"
        )

    group = selector("PartComponent", "mscluster_resourcegroup", "WEB")
    owner = selector("GroupComponent", "MSCluster_Node", "N1")
    uri = f"{WMI}{CLUSTER}/MSCluster_NodeToActiveGroup"
    message = (
        f'<s:Envelope xmlns:s="{S}" xmlns:a="{A}" xmlns:w="{W}"><s:Header><w:ResourceURI>{uri}</w:ResourceURI>'
        f"<a:Action>{X}/Get</a:Action><a:MessageID>1</a:MessageID><w:SelectorSet>{group}{owner}</w:SelectorSet>"
        "</s:Header><s:Body/></s:Envelope>"
    )
    assert send(host, message.encode()).values("Selector") == ["N1", "Web"]


@pytest.mark.parametrize(
    ("selectors", "fault"),
    [
        ({"Name": "other"}, ("a:DestinationUnreachable", 0x80041002)),
        ({}, ("w:InvalidSelectors", 0x8033805A)),
        ({"Nonsense": "x"}, ("w:InvalidSelectors", 0x8033805B)),
        ({"Name": "CL1", "name": "CL1"}, ("w:InvalidSelectors", 0x8033805F)),
    ],
)
def test_selectors_that_name_nothing(host: Host, selectors: dict[str, str], fault: tuple[str, int]) -> None:
    assert get(host, "MSCluster_Cluster", selectors=selectors).fault == fault


def test_a_fragment_put_writes_one_property(host: Host) -> None:
    reply = put_fragment(host, "HangRecoveryAction", "<p:HangRecoveryAction xmlns:p='x'>2</p:HangRecoveryAction>")
    assert reply.status == 200
    assert reply.values("HangRecoveryAction") == ["2"]
    assert host.attached(Nodes).action == 2
    assert put_fragment(host, "HangRecoveryAction/text()", "1").status == 200
    assert host.attached(Nodes).action == 1
    header = '<w:FragmentTransfer s:mustUnderstand="true">HangRecoveryAction</w:FragmentTransfer>'
    got = get(host, "MSCluster_Cluster", selectors={"Name": "CL1"}, header=header)
    assert [soap.local(each) for each in got.content] == ["HangRecoveryAction"]


@pytest.mark.parametrize(
    ("name", "body", "number"),
    [
        ("/HangRecoveryAction", "<HangRecoveryAction>2</HangRecoveryAction>", 0x80338093),
        ("Nonsense", "<Nonsense>2</Nonsense>", 0x80338093),
        ("", "", 0x80338109),
        ("HangRecoveryAction", "<Other>2</Other>", 0x80338059),
        ("HangRecoveryAction", "<HangRecoveryAction>two</HangRecoveryAction>", Wbem.INVALID_PARAMETER),
        ("ClusSvcHangTimeout", "<ClusSvcHangTimeout>2</ClusSvcHangTimeout>", Wbem.READ_ONLY),
        ("Name", "<Name>CL2</Name>", Wbem.READ_ONLY),
    ],
)
def test_a_fragment_that_is_refused_changes_nothing(host: Host, name: str, body: str, number: int) -> None:
    assert put_fragment(host, name, body).fault[1] == number
    assert host.attached(Nodes).action == 3


def test_a_server_without_fragments_says_that_it_does_not_understand(host: Host) -> None:
    host.switches["wire.fragments"] = "unsupported"
    reply = put_fragment(host, "HangRecoveryAction", "<HangRecoveryAction>2</HangRecoveryAction>")
    assert reply.fault == ("s:MustUnderstand", 0x80338010)
    assert host.attached(Nodes).action == 3


def whole(host: Host) -> str:
    content = get(host, "MSCluster_Cluster", selectors={"Name": "CL1"}).content
    return ET.tostring(content, encoding="unicode")


def test_a_whole_put_writes_what_differs_and_takes_the_rest_as_an_echo(host: Host) -> None:
    changed = whole(host).replace("HangRecoveryAction>3<", "HangRecoveryAction>2<")
    reply = put(host, changed)
    assert reply.status == 200
    assert host.attached(Nodes).action == 2
    assert reply.values("HangRecoveryAction") == ["2"]
    assert put(host, whole(host)).status == 200


def test_a_whole_put_that_loses_a_value_is_refused(host: Host) -> None:
    uri = f"{WMI}{CLUSTER}/MSCluster_Cluster"
    lost = f'<p:MSCluster_Cluster xmlns:p="{uri}"><p:HangRecoveryAction>2</p:HangRecoveryAction></p:MSCluster_Cluster>'
    assert put(host, lost).fault == ("w:SchemaValidationError", 0x80338057)
    read_only = whole(host).replace("ClusSvcHangTimeout>60<", "ClusSvcHangTimeout>61<")
    assert put(host, read_only).fault[1] == Wbem.READ_ONLY
    assert host.attached(Nodes).action == 3


def test_a_shape_makes_a_property_writable(host: Host, registry: Registry) -> None:
    @Provider("differs", registry).shape(CLUSTER, "MSCluster_Cluster")
    def shape(host: Host) -> Shape:
        return Shape(writable=frozenset({"ClusSvcHangTimeout"}))

    with pytest.raises(KeyError):  # it reaches the provider, which does not know it
        put_fragment(host, "ClusSvcHangTimeout", "<ClusSvcHangTimeout>61</ClusSvcHangTimeout>")


def test_create_and_delete(host: Host) -> None:
    uri = f"{WMI}{CLUSTER}/MSCluster_ResourceGroup"
    body = f'<p:MSCluster_ResourceGroup xmlns:p="{uri}"><p:Name>New</p:Name></p:MSCluster_ResourceGroup>'
    created = ask(host, f"{X}/Create", uri, body)
    assert created.content.tag == f"{{{X}}}ResourceCreated"
    assert (created.values("Address"), created.values("Selector")) == (["http://n1:5985/wsman"], ["New"])
    assert ask(host, f"{X}/Create", uri, body).fault[1] == Wbem.ALREADY_EXISTS
    deleted = ask(host, f"{X}/Delete", uri, selectors={"Name": "new"})
    assert deleted.status == 200
    assert len(deleted.body) == 0
    assert "New" not in host.attached(Nodes).groups
    assert ask(host, f"{X}/Delete", uri, selectors={"Name": "new"}).fault[1] == Wbem.NOT_FOUND


# Methods


def test_an_instance_method_gets_typed_inputs(host: Host) -> None:
    inputs = "<p:NodeName>N3</p:NodeName><p:TimeOut>5</p:TimeOut>"
    reply = call(host, "MSCluster_ResourceGroup", "MoveToNewNode", inputs, selectors={"Name": "web"})
    assert reply.status == 200
    assert soap.local(reply.content) == "MoveToNewNode_OUTPUT"
    assert not reply.values("ReturnValue")
    assert host.attached(Nodes).calls == [{"NodeName": "N3", "TimeOut": 5, "Name": "Web"}]


def test_a_static_method_answers_with_outputs_and_return_value(host: Host) -> None:
    inputs = "<p:hDefKey>2147483650</p:hDefKey><p:sSubKeyName>SOFTWARE</p:sSubKeyName><p:sValueName></p:sValueName>"
    reply = call(host, "StdRegProv", "GetStringValue", inputs, namespace="root/default")
    uri = f"{WMI}root/default/StdRegProv"
    assert reply.content.tag == f"{{{uri}}}GetStringValue_OUTPUT"
    assert [(soap.local(each), each.text) for each in reply.content] == [("sValue", "hello"), ("ReturnValue", "0")]
    assert host.attached(Nodes).calls == [{"hDefKey": 2147483650, "sSubKeyName": "SOFTWARE", "sValueName": ""}]


@pytest.mark.parametrize(
    ("method", "inputs", "number"),
    [
        ("Nonsense", "", Wbem.INVALID_METHOD),
        ("GetStringValue", "<p:sSubKeyName>a</p:sSubKeyName>", Wbem.INVALID_METHOD_PARAMETERS),
        (
            "GetStringValue",
            "<p:sSubKeyName>a</p:sSubKeyName><p:sValueName>b</p:sValueName><p:x>1</p:x>",
            Wbem.INVALID_METHOD_PARAMETERS,
        ),
        (
            "GetStringValue",
            "<p:hDefKey>-1</p:hDefKey><p:sSubKeyName>a</p:sSubKeyName><p:sValueName>b</p:sValueName>",
            Wbem.TYPE_MISMATCH,
        ),
        ("GetStringValue", "<p:sValue>an output</p:sValue>", Wbem.INVALID_METHOD_PARAMETERS),
    ],
)
def test_a_wrong_call_is_refused(host: Host, method: str, inputs: str, number: int) -> None:
    reply = call(host, "StdRegProv", method, inputs, namespace="root/default")
    assert reply.fault[1] == number
    assert not host.attached(Nodes).calls


def test_a_method_without_its_object_is_refused(host: Host) -> None:
    reply = call(host, "MSCluster_ResourceGroup", "MoveToNewNode", "<p:NodeName>N3</p:NodeName>")
    assert reply.fault[1] == Wbem.INVALID_METHOD_PARAMETERS


# Faults


@pytest.mark.parametrize(
    ("namespace", "text", "number"),
    [
        ("root/nonsense", "SELECT * FROM X", Wbem.INVALID_NAMESPACE),
        ("root/MicrosoftNLB", "SELECT * FROM MicrosoftNLB_Node", Wbem.INVALID_NAMESPACE),
        (CLUSTER, "SELECT * FROM Nonsense", Wbem.INVALID_CLASS),
        (CLUSTER, "SELECT Nonsense FROM MSCluster_Node", Wbem.INVALID_QUERY),
        (CLUSTER, "SELECT FROM", Wbem.INVALID_QUERY),
        (CLUSTER, "SELECT * FROM MSCluster_Network", Wbem.PROVIDER_LOAD_FAILURE),
    ],
)
def test_a_query_on_what_is_not_there(host: Host, namespace: str, text: str, number: int) -> None:
    reply = query(host, text, namespace=namespace)
    assert (reply.status, reply.fault[1]) == (500, number)
    assert reply.root.findtext(f".//{{{A}}}Action") == "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"


def test_not_found_is_a_fault_within_a_fault(host: Host) -> None:
    reply = get(host, "MSCluster_Cluster", selectors={"Name": "x"})
    faults = list(reply.body.iter(f"{{{F}}}WSManFault"))
    assert [each.get("Code") for each in faults] == ["2150858752", "2147749890"]
    assert {each.get("Machine") for each in faults} == {"N1"}
    assert reply.root.findtext(f".//{{{W}}}FaultDetail") == f"{soap.FAULT_DETAIL}InvalidResourceURI"
    assert next(reply.body.iter(f"{{{F}}}ProviderFault")).get("provider") == "WMI Provider"


def test_the_other_forms_of_an_error_of_wmi(host: Host) -> None:
    host.switches["wire.wmi_fault"] = "wsman"
    assert get(host, "MSCluster_Cluster", selectors={"Name": "x"}).fault[1] == 2150858752
    host.switches["wire.wmi_fault"] = "msft_wmierror"
    reply = query(host, "SELECT * FROM Nonsense")
    assert reply.values("error_Code") == ["2147749904"]
    assert reply.values("MessageID") == ["HRESULT 0x80041010"]
    assert not list(reply.body.iter(f"{{{F}}}WSManFault"))


def test_the_reason_is_in_the_language_of_the_host(host: Host) -> None:
    host.profile.language = "de-DE"
    reason = query(host, "SELECT * FROM Nonsense").find(f"{{{S}}}Text")
    assert reason is not None
    assert (reason.text or "").strip() == "Ungültige Klasse"
    assert reason.get(f"{{{soap.XML}}}lang") == "de-DE"


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"not xml",
        b"<open>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body/></s:Envelope>',
        b"\xff\xfe\x00",
    ],
)
def test_what_is_no_message_is_answered_by_a_fault(host: Host, message: bytes) -> None:
    reply = send(host, message)
    assert reply.status == 500
    assert list(reply.body.iter(f"{{{F}}}WSManFault"))


def test_a_message_may_be_in_utf_16(host: Host) -> None:
    text = f'<s:Envelope xmlns:s="{S}"><s:Body><i:Identify xmlns:i="{soap.WSMID}"/></s:Body></s:Envelope>'
    assert send(host, text.encode("utf-16")).status == 200


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ("<w:OperationTimeout>soon</w:OperationTimeout>", ("a:InvalidMessageInformationHeader", 2150858767)),
        ('<y:New xmlns:y="urn:y" s:mustUnderstand="1"/>', ("s:MustUnderstand", 0x80338010)),
    ],
)
def test_bad_headers(host: Host, header: str, fault: tuple[str, int]) -> None:
    assert query(host, "SELECT * FROM MSCluster_Node", header=header).fault == fault


def test_a_bad_addressing_header_is_answered_with_the_action_of_addressing(host: Host) -> None:
    reply = query(host, "SELECT * FROM MSCluster_Node", header="<w:OperationTimeout>PT</w:OperationTimeout>")
    assert reply.root.findtext(f".//{{{A}}}Action") == soap.ACTION_ADDRESSING_FAULT


def test_somebody_who_is_no_administrator_is_denied(host: Host) -> None:
    host.users[ADMIN].administrator = False
    reply = query(host, "SELECT * FROM MSCluster_Node")
    assert reply.fault == ("w:AccessDenied", 5)


def test_unknown_resources_and_actions(host: Host) -> None:
    assert ask(host, f"{X}/Get", "http://example.com/nothing").fault[1] == 0x8033803B
    assert ask(host, "urn:nothing", f"{WMI}{CLUSTER}/MSCluster_Node").fault[0] == "a:ActionNotSupported"
    wrong = query(host, "SELECT * FROM MSCluster_Node").status
    assert wrong == 200
    body = f'<n:Enumerate><w:Filter Dialect="{WQL}">SELECT * FROM MSCluster_Node</w:Filter></n:Enumerate>'
    assert ask(host, f"{N}/Enumerate", f"{WMI}{CLUSTER}/MSCluster_Node", body).fault[1] == 0x803380FB


def test_a_provider_that_invents_a_property_is_found_out(host: Host, registry: Registry) -> None:
    @Provider("inventor", registry).instances(CLUSTER, "MSCluster_Network")
    def networks(host: Host) -> list[Instance]:
        return [{"Name": "LAN", "Nonsense": 1}]

    with pytest.raises(LookupError, match="Nonsense"):
        query(host, "SELECT * FROM MSCluster_Network")


# Other servers


def test_servers_like_omi(host: Host) -> None:
    host.switches["wire.dialect"] = "omi"
    reply = query(host, "SELECT Name, InstallDate, HangRecoveryAction FROM MSCluster_Cluster")
    uri = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSCluster_Cluster"
    items = reply.find(f"{{{W}}}Items")
    assert items is not None
    assert [soap.local(each) for each in items[0]] == ["HangRecoveryAction", "InstallDate", "Name"]
    assert items[0].tag == f"{{{uri}}}MSCluster_Cluster"
    assert reply.values("CIM_DateTime") == ["20260131080000.250000+000"]
    assert query(host, "SELECT Name FROM MSCluster_Node").values("Name") == ["N1", "N2", "N3"]


def test_what_hosts_vary(host: Host) -> None:
    host.switches["wire.activity_id"] = "on"
    host.switches["wire.xml_lang"] = "off"
    host.switches["wire.null"] = "absent"
    reply = query(host, "SELECT * FROM MSCluster_Cluster")
    assert reply.find(f"{{{soap.P}}}ActivityId") is not None
    assert reply.root.get(f"{{{soap.XML}}}lang") is None
    assert not reply.values("Caption")


# WinRM itself


@pytest.fixture
def bare() -> Host:
    return Fleet.load({"clock": {"speed": 0}, "hosts": {"N1": {"build": 17763}}}).host("N1")


CONFIG = "http://schemas.microsoft.com/wbem/wsman/1/config"


def test_the_configuration_can_be_read_and_set(bare: Host) -> None:
    reply = ask(bare, f"{X}/Get", CONFIG)
    assert reply.content.tag == f"{{{CONFIG}}}Config"
    assert reply.values("MaxEnvelopeSizekb") == ["500"]
    assert [soap.local(each) for each in reply.content] == [
        "MaxEnvelopeSizekb", "MaxTimeoutms", "MaxBatchItems", "MaxProviderRequests", "Client", "Service", "Winrs",
    ]  # fmt: skip
    assert "<cfg:Auth><cfg:Basic>true</cfg:Basic>" in ask(bare, f"{X}/Get", f"{CONFIG}/service").text
    changed = ET.tostring(reply.content, encoding="unicode").replace("MaxTimeoutms>60000<", "MaxTimeoutms>90000<")
    assert ask(bare, f"{X}/Put", CONFIG, changed).status == 200
    assert bare.winrm.max_timeout_ms == 90000


def test_elements_of_the_configuration_must_be_in_order(bare: Host) -> None:
    body = (
        f'<c:Config xmlns:c="{CONFIG}"><c:MaxTimeoutms>1</c:MaxTimeoutms>'
        "<c:MaxEnvelopeSizekb>500</c:MaxEnvelopeSizekb></c:Config>"
    )
    assert ask(bare, f"{X}/Put", CONFIG, body).fault == ("w:SchemaValidationError", 0x80338041)


def test_identify_tells_more_to_those_it_knows(bare: Host) -> None:
    text = f'<s:Envelope xmlns:s="{S}"><s:Header/><s:Body><i:Identify xmlns:i="{soap.WSMID}"/></s:Body></s:Envelope>'
    known, unknown = send(bare, text.encode()), send(bare, text.encode(), user="")
    assert known.values("ProductVersion") == ["OS: 10.0.17763 SP: 0.0 Stack: 3.0"]
    assert known.values("SecurityProfileName")
    assert unknown.values("ProductVersion") == ["OS: 0.0.0 SP: 0.0 Stack: 3.0"]
    assert not unknown.values("SecurityProfileName")
    assert query(bare, "SELECT * FROM Win32_Service", user="").fault == ("w:AccessDenied", 5)


# The log


def test_every_request_is_logged_with_what_it_would_do(host: Host) -> None:
    query(host, "SELECT Name FROM MSCluster_Node")
    put_fragment(host, "HangRecoveryAction", "<HangRecoveryAction>2</HangRecoveryAction>")
    call(host, "MSCluster_ResourceGroup", "MoveToNewNode", "", selectors={"Name": "web"})
    inputs = "<p:sSubKeyName>a</p:sSubKeyName><p:sValueName>b</p:sValueName>"
    call(host, "StdRegProv", "GetStringValue", inputs, namespace="root/default")
    get(host, "Nonsense")
    send(host, b"nonsense")
    seen = [(entry.action, entry.resource, entry.what, entry.writes, entry.status, entry.fault) for entry in host.log]
    assert seen == [
        ("Enumerate", "*", "", False, 200, None),
        ("Put", "MSCluster_Cluster", "", True, 200, None),
        ("Invoke", "MSCluster_ResourceGroup", "MoveToNewNode", True, 200, None),
        ("Invoke", "StdRegProv", "GetStringValue", False, 200, None),
        ("Get", "Nonsense", "", False, 500, Wbem.INVALID_CLASS),
        ("?", "", "", False, 500, 0x80338043),
    ]
    assert [entry.n for entry in host.log] == [1, 2, 3, 4, 5, 6]
    first = host.log[0]
    assert (first.wql, first.namespace, first.user) == ("SELECT Name FROM MSCluster_Node", CLUSTER, ADMIN)
    assert first.request.startswith("<s:Envelope")
    assert first.secure
    assert host.log[1].properties == ("HangRecoveryAction",)


# Trouble


def write(host: Host) -> wsman.Answer:
    uri = f"{WMI}{CLUSTER}/MSCluster_Cluster"
    message = (
        f'<s:Envelope xmlns:s="{S}" xmlns:a="{A}" xmlns:w="{W}"><s:Header><w:ResourceURI>{uri}</w:ResourceURI>'
        f"<a:Action>{X}/Put</a:Action><a:MessageID>1</a:MessageID><w:FragmentTransfer>HangRecoveryAction"
        '</w:FragmentTransfer><w:SelectorSet><w:Selector Name="Name">CL1</w:Selector></w:SelectorSet></s:Header>'
        "<s:Body><w:XmlFragment><HangRecoveryAction>1</HangRecoveryAction></w:XmlFragment></s:Body></s:Envelope>"
    )
    return wsman.handle(host, ADMIN, message.encode(), secure=True)


@pytest.mark.parametrize(
    ("kind", "effect", "status", "dropped"),
    [
        ("drop_before", False, 0, True),
        ("drop_after", True, 0, True),
        ("http_500", False, 500, False),
        ("unauthorized", False, 401, False),
        ("fault", False, 500, False),
        ("truncated", True, 200, False),
        ("malformed", True, 200, False),
        ("oversized", True, 200, False),
        ("wrong_namespace", True, 200, False),
        ("lost", True, 0, True),
        ("reboot", True, 0, True),
    ],
)
def test_trouble_strikes_before_or_after_the_effect(
    host: Host, kind: str, effect: bool, status: int, dropped: bool
) -> None:
    trouble = Trouble(kind, number=5, subcode="w:AccessDenied", seconds=30, size=1_000_000)
    troubles_of(host).add(trouble, nth=2, when=lambda asked: asked.action == "Put")
    host.attached(Nodes).action = 1
    assert write(host).status == 200
    host.attached(Nodes).action = 3
    query(host, "SELECT Name FROM MSCluster_Node")
    answer = write(host)
    assert (answer.status, answer.drop) == (status, dropped)
    assert host.attached(Nodes).action == (1 if effect else 3)
    assert trouble.struck == 1
    body = answer.body.decode()
    if kind == "fault":
        assert Reply(answer.status, body).fault == ("w:AccessDenied", 5)
    if kind == "truncated":
        assert answer.announced == 2 * len(body) or answer.announced == 2 * len(body) + 1
    if kind in ("truncated", "malformed"):
        with pytest.raises(ET.ParseError):
            ET.fromstring(body)
    if kind == "oversized":
        assert len(body) == 1_000_000
    if kind == "lost":
        assert write(host).drop
        host.fleet.clock.advance(31)
    if kind == "reboot":
        assert not host.reachable
        host.fleet.clock.advance(31)
        assert host.reachable
    assert write(host).status == 200


def test_a_delayed_answer_waits_for_the_clock_and_lets_others_work(host: Host) -> None:
    troubles_of(host).add(Trouble("delay", seconds=90))
    answers: list[wsman.Answer] = []
    waiting = threading.Thread(target=lambda: answers.append(write(host)))
    waiting.start()
    with host.fleet.changed:
        while host.attached(Nodes).action != 1:
            host.fleet.changed.wait(0.05)
    assert query(host, "SELECT Name FROM MSCluster_Node").status == 200
    host.fleet.clock.advance(89)
    assert not answers
    host.fleet.clock.advance(1)
    waiting.join(10)
    assert [answer.status for answer in answers] == [200]
    assert [entry.status for entry in host.log] == [200, 200]
