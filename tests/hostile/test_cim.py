# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with the XML and with what it says: documents without measure, values of no type, enumerations that go
on for ever, answers to something else."""

from __future__ import annotations

import contextlib
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator

import pytest
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.errors import (
    FieldnotesError,
    MalformedAnswer,
    Unsendable,
    WsmanFault,
)
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.windows import registry
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.windows.cluster import Cluster
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.windows.operating_system import read_operating_system
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman import cim, cim_xml, dynamic, faults, xml
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.session import Session
from hostile.server import (
    PASSWORD,
    WSMAN,
    Asked,
    Hostile,
    cluster,
    enumerated,
    envelope,
    fault,
    http,
    pulled,
)
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.ansible_task import run_task
from support.points import Point

Says = Callable[[Asked], str | bytes]


@contextlib.contextmanager
def saying(*answers: Says) -> Iterator[tuple[Session, Hostile]]:
    """A session to a server that gives these answers in turn, the last one for ever."""

    def script(asked: Asked) -> Iterable[bytes]:
        return [http(answers[min(asked.number, len(answers) - 1)](asked))]

    with Hostile(script) as server, server.session() as session:
        yield session, server


def body(text: str) -> Says:
    """An envelope with this body, related to its request."""
    return lambda asked: envelope(text, asked.message_id)


def refused(*answers: Says) -> FieldnotesError:
    """The error of a query for the cluster."""
    with saying(*answers) as (session, _server), pytest.raises(FieldnotesError) as caught:
        session.cim.query(Cluster)
    text = str(caught.value)
    assert "reading MSCluster_Cluster" in text
    assert len(text) < 5000
    for word in ("Traceback", "object at 0x", "NoneType", PASSWORD):
        assert word not in text
    return caught.value


# Documents


def before_the_root(declarations: str, item: str = "") -> Says:
    """The right answer behind a document type declaration."""
    return lambda asked: f"<!DOCTYPE s [{declarations}]>" + envelope(enumerated(cluster() + item), asked.message_id)


LAUGHS = '<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in ("ab", "bc", "cd", "de", "ef", "fg", "gh", "hi", "ij")
)

DOCUMENTS: dict[str, Says] = {
    "no XML": lambda asked: b"\x00\x01\x02",
    "half of it": lambda asked: envelope(enumerated(cluster()), asked.message_id)[:-60],
    "two roots": lambda asked: envelope(enumerated(cluster()), asked.message_id) * 2,
    "wrong order": lambda asked: "<s:Envelope xmlns:s='x'><s:Body></s:Envelope></s:Body>",
    "unknown prefix": body("<q:EnumerateResponse/>"),
    "unknown encoding": lambda asked: b'<?xml version="1.0" encoding="klingon"?><a/>',
    "other SOAP": lambda asked: (
        "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body/></s:Envelope>"
    ),
    "no body": lambda asked: "<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope'/>",
    "empty body": body(""),
    "another body": body("<GetResponse/>"),
    "a million bodies": body("<a/>" * 1000 + "<b>" + "x" * 100_000 + "</b>"),
    "laughs": before_the_root(LAUGHS, "<a>&j;</a>"),
    "external entity": before_the_root('<!ENTITY a SYSTEM "file:///etc/passwd">', "<a>&a;</a>"),
    "external subset": before_the_root('<!ENTITY % p SYSTEM "http://127.0.0.1:9/x.dtd"> %p;'),
    "entity in an attribute": before_the_root('<!ENTITY a "b">', "<a b='&a;'/>"),
    "deep": body("<a>" * 100_000 + "</a>" * 100_000),
    "many elements": body("<a/>" * 1_100_000),
    "many attributes": body("<a " + " ".join(f'a{n}=""' for n in range(1_100_000)) + "/>"),
    "control characters": body("<a>\x00\x07</a>"),
    "character references": body("<a>&#0;&#x1F;</a>"),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_that_is_none_is_refused(name: str, point: Point) -> None:
    with point("hostile servers: XML", name):
        error = refused(DOCUMENTS[name])
        assert isinstance(error, MalformedAnswer)
        assert "root:" not in str(error)


@pytest.mark.parametrize("name", ["laughs", "deep", "many elements", "half of it"])
def test_a_task_says_so(name: str) -> None:
    with Hostile(lambda asked: [http(DOCUMENTS[name](asked))]) as server:
        result = run_task("hang_recovery", {"action": "log"}, server.variables())
    assert result["failed"]
    assert not result["changed"]
    assert "the answer" in result["msg"]
    assert "Traceback" not in str(result)


@pytest.mark.parametrize(
    "relates_to",
    ["uuid:00000000-0000-0000-0000-000000000000", "", None, "x" * 100_000],
    ids=["old", "empty", "no", "long"],
)
def test_an_answer_to_another_message_is_not_this_one(relates_to: str | None) -> None:
    error = refused(lambda asked: envelope(enumerated(cluster()), relates_to))
    assert isinstance(error, MalformedAnswer)
    assert "another message" in str(error)


def test_a_fault_to_another_message_is_not_this_one() -> None:
    error = refused(lambda asked: fault(relates_to="uuid:00000000-0000-0000-0000-000000000000"))
    assert isinstance(error, MalformedAnswer)


def test_a_fault_that_knows_no_message_is_told() -> None:
    assert isinstance(refused(lambda asked: fault(number="5")), WsmanFault)


def test_the_case_of_a_message_id_is_no_matter() -> None:
    with saying(lambda asked: envelope(enumerated(cluster()), asked.message_id.lower())) as (session, _server):
        assert len(session.cim.query(Cluster)) == 1


@pytest.mark.parametrize("number", ["9" * 5000, "-1e5", "0x" + "F" * 5000, "٣", "", "NaN", "1_0"])
def test_a_fault_without_a_number_that_is_one(number: str) -> None:
    error = refused(lambda asked: fault(number=number, relates_to=asked.message_id))
    assert isinstance(error, WsmanFault)
    assert error.number is None


def test_a_fault_inside_of_faults_has_the_number_of_the_innermost() -> None:
    nest = "<a>" * 80 + "<WSManFault Code='5'/>" + "</a>" * 80
    error = refused(lambda asked: fault(detail=nest, relates_to=asked.message_id))
    assert isinstance(error, (WsmanFault, MalformedAnswer))


# Values


@pytest.mark.parametrize(
    "text",
    [
        "-2147483649",
        "4294967296",
        "18446744073709551616",
        "9" * 5000,
        "٣",
        "1_000",
        "1e3",
        "NaN",
        "",
        " ",
        "true",
        "0x",
    ],
)
def test_a_number_outside_its_type_is_refused(text: str) -> None:
    error = refused(body(enumerated(cluster(HangRecoveryAction=text))))
    assert isinstance(error, MalformedAnswer)
    assert "HangRecoveryAction" in str(error)


@pytest.mark.parametrize(
    "items",
    [
        pytest.param(cluster(HangRecoveryAction="<a/>"), id="an element for a number"),
        pytest.param("<w:XmlFragment/>", id="no property"),
        pytest.param("<w:XmlFragment><Name>a</Name><Name>b</Name></w:XmlFragment>", id="two values"),
        pytest.param("<w:XmlFragment><Name xsi:nil='1' xmlns:xsi='x'/></w:XmlFragment>", id="nil of another kind"),
        pytest.param("<Item><EndpointReference/></Item>", id="a reference without parameters"),
        pytest.param("<EndpointReference/>", id="only a reference"),
        pytest.param("<Item/>" * 3 + "<w:XmlFragment/>", id="empty items"),
    ],
)
def test_an_instance_that_is_none_is_refused(items: str) -> None:
    assert isinstance(refused(body(enumerated(items))), MalformedAnswer)


TIMES = [
    "NaN",
    "",
    "0000-00-00T00:00:00Z",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59",
    "2026-13-01",
    "٢٠٢٦",
]


@pytest.mark.parametrize("text", [*TIMES, "2026-01-01T00:00:00+99:99", "99999999999999.******+000", "1e400"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    values = {"Caption": "x", "BuildNumber": "17763", "LastBootUpTime": f"<Datetime>{text}</Datetime>"}
    item = (
        "<w:XmlFragment>" + "".join(f"<{name}>{value}</{name}>" for name, value in values.items()) + "</w:XmlFragment>"
    )
    with saying(body(enumerated(item))) as (session, _server), pytest.raises(MalformedAnswer) as caught:
        read_operating_system(session)
    assert "Win32_OperatingSystem" in str(caught.value)


@pytest.mark.parametrize(
    "value", ["4294967296", "18446744073709551616", "-2147483649", "", "zero", "0x1FFFFFFFF", "0 0"]
)
def test_a_return_value_beyond_its_type_is_no_success(value: str) -> None:
    output = f"<DeleteKey_OUTPUT><ReturnValue>{value}</ReturnValue></DeleteKey_OUTPUT>"
    with saying(body(output)) as (session, _server), pytest.raises(MalformedAnswer, match="no return value"):
        registry.delete_key(session, registry.Key("SOFTWARE\\x"))


@pytest.mark.parametrize("octets", ["A", "A===", "!!!!", "AAAA AAAA*", "é" * 10])
def test_octets_that_are_no_base64_are_refused(octets: str) -> None:
    output = f"<GetBinaryValue_OUTPUT><uValue>{octets}</uValue><ReturnValue>0</ReturnValue></GetBinaryValue_OUTPUT>"
    with saying(body(output)) as (session, _server), pytest.raises(MalformedAnswer, match="uValue"):
        session.cim.invoke(registry.StdRegProv.GetBinaryValue, sSubKeyName="x", sValueName="y")


@pytest.mark.parametrize(
    "answer", ["<ResourceCreated/>", "<x/>", "<ResourceCreated><ReferenceParameters/></ResourceCreated>"]
)
def test_a_creation_without_a_reference_is_no_creation(answer: str) -> None:
    with saying(body(answer)) as (session, _server), contextlib.suppress(MalformedAnswer):
        assert session.cim.create_instance("http://x/Cluster", {}, "creating x").selectors == ()


# Enumerations


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(pulled(""), id="no items"),
        pytest.param("<n:PullResponse/>", id="nothing"),
        pytest.param("<n:PullResponse><n:EnumerationContext/></n:PullResponse>", id="an empty context"),
        pytest.param(pulled("", context="x" * 1000), id="another context"),
    ],
)
def test_an_enumeration_that_brings_nothing_and_does_not_end_is_ended(more: str) -> None:
    with saying(body(enumerated("", end=False)), body(more)) as (session, server):
        with pytest.raises(MalformedAnswer, match="goes on without end after 0 items"):
            session.cim.query(Cluster)
        assert len(server.asked) < 20


def test_an_enumeration_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cim, "MAX_ITEMS", 50)
    with saying(body(enumerated(cluster(), end=False)), body(pulled(cluster() * 10))) as (session, server):
        with pytest.raises(MalformedAnswer, match="goes on without end after 51 items"):
            session.cim.query(Cluster)
        assert len(server.asked) == 6


def test_pauses_in_an_enumeration_are_borne() -> None:
    pauses = [body(pulled(""))] * 5
    with saying(body(enumerated("", end=False)), *pauses, body(pulled(cluster(), end=True))) as (session, _server):
        assert len(session.cim.query(Cluster)) == 1


@pytest.mark.parametrize("answer", ["<n:EnumerateResponse/>", "<w:Items/>", "<n:PullResponse/>", "<n:GetResponse/>"])
def test_something_else_than_a_page_is_named(answer: str) -> None:
    refused(body(enumerated("", end=False)), body(answer if "Pull" not in answer else answer * 2))


# What is sent


@pytest.mark.parametrize("character", ["\x00", "\x07", "\x1b", "\ud800", "\ufffe", "\uffff"])
def test_what_xml_cannot_hold_is_named_and_not_sent(character: str) -> None:
    with saying(body(enumerated(cluster()))) as (session, server):
        with pytest.raises(Unsendable, match="cannot be sent in XML"):
            session.cim.query(Cluster, f"Name = 'a{character}b'")
        with pytest.raises(Unsendable, match="cannot be sent in XML"):
            registry.write_string(session, registry.Key("SOFTWARE\\x"), "y", f"a{character}b")
        assert server.asked == []


def test_a_carriage_return_arrives() -> None:
    with saying(body(enumerated(cluster()))) as (session, server):
        session.cim.query(Cluster, "Name = 'a\r\nb &#13; c'")
        sent = ET.fromstring(server.asked[0].body).find(f".//{{{WSMAN}}}Filter")
        assert sent is not None
        assert str(sent.text).endswith("WHERE Name = 'a\r\nb &#13; c'")


# Anything at all

FEW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=800, deadline=None, suppress_health_check=list(HealthCheck))

RIGHT = envelope(enumerated(cluster()), "uuid:x").encode()
NAMES = st.sampled_from(
    ["Item", "Items", "EndpointReference", "ReferenceParameters", "Selector", "VALUE", "a", "Datetime"]
)
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8), st.sampled_from([*TIMES, "-1", "P1D"])
)
ATTRIBUTES = st.dictionaries(st.sampled_from(["NAME", "TYPE", "Name", xml.NIL, xml.TYPE, "Code"]), TEXTS, max_size=3)


def element(name: str, attributes: dict[str, str], text: str, inside: list[ET.Element]) -> ET.Element:
    """An element from what hypothesis drew."""
    made = ET.Element(name, attributes)
    made.text = text
    made.extend(inside)
    return made


TREES = st.recursive(
    st.builds(element, NAMES, ATTRIBUTES, TEXTS, st.just([])),
    lambda inner: st.builds(element, NAMES, ATTRIBUTES, TEXTS, st.lists(inner, max_size=4)),
    max_leaves=12,
)
KINDS = [
    "CLASS",
    "METHOD",
    "PARAMETER",
    "PROPERTY",
    "PROPERTY.ARRAY",
    "PROPERTY.REFERENCE",
    "QUALIFIER",
    "VALUE",
    "VALUE.ARRAY",
]
DECLARATIONS = st.recursive(
    st.builds(element, st.sampled_from(KINDS), ATTRIBUTES, TEXTS, st.just([])),
    lambda inner: st.builds(element, st.sampled_from(KINDS), ATTRIBUTES, TEXTS, st.lists(inner, max_size=4)),
    max_leaves=12,
)


def only_malformed(work: Callable[[], object]) -> None:
    """What is read, or the one error for what cannot be."""
    with contextlib.suppress(MalformedAnswer):
        work()


class Silent:
    """A host that does not declare its classes."""

    def exchange(self, request: object, attempted: str) -> ET.Element:
        raise AssertionError("nothing is to be asked")


def decoded(tree: ET.Element, declaration: ET.Element) -> None:
    """Takes an element for everything that it could be."""
    reader = dynamic.Reader(dynamic.Declarations(Silent(), ask=False), "root/cimv2")
    only_malformed(lambda: reader.properties(tree, dynamic.Types({}, None, "x")))
    for kind in dynamic.TYPES:
        for written in (kind, f"{kind}[]"):
            member = dynamic.parsed_type("x", written)
            only_malformed(lambda member=member: reader.value(list(tree) or [tree], member, "x"))  # type: ignore[misc]
    only_malformed(lambda: Cluster.__cim__.decode_object(tree))
    only_malformed(lambda: cim.return_value(tree, "x"))
    only_malformed(lambda: dynamic.declaration(declaration))
    only_malformed(lambda: cim_xml.instance(ET.tostring(declaration, encoding="unicode")))
    assert faults.fault_in(tree, "x") is None


@FEW
@given(TREES, DECLARATIONS)
def test_any_element_is_read_or_refused(tree: ET.Element, declaration: ET.Element) -> None:
    decoded(tree, declaration)


@pytest.mark.faults
def test_any_element_is_read_or_refused_many_times(point: Point) -> None:
    @MANY
    @given(TREES, DECLARATIONS)
    def check(tree: ET.Element, declaration: ET.Element) -> None:
        with point("hostile servers: CIM", "any element"):
            decoded(tree, declaration)

    check()


@FEW
@given(st.binary(max_size=200))
@example(b"\xff\xfe<\x00a\x00/\x00>\x00")
@example(b"<a>\x80</a>")
def test_any_bytes_are_xml_or_refused(content: bytes) -> None:
    only_malformed(lambda: xml.parse(content))


EDITS = st.lists(
    st.tuples(st.integers(0, 10**6), st.sampled_from(["cut", "flip", "double", "drop"]), st.integers(0, 255)),
    max_size=4,
)


def edited(content: bytes, edits: list[tuple[int, str, int]]) -> bytes:
    """Bytes with things done to them."""
    for where, what, value in edits:
        at = where % (len(content) + 1)
        if what == "cut":
            content = content[:at]
        elif what == "flip":
            content = content[:at] + bytes([value]) + content[at + 1 :]
        elif what == "double":
            content = content[:at] + content[at : at + value] + content[at:]
        else:
            content = content[:at] + content[at + value :]
    return content


def asked_with(edits: list[tuple[int, str, int]]) -> None:
    """Asks a server whose answer was changed on the way."""
    with (
        saying(lambda asked: edited(envelope(enumerated(cluster()), asked.message_id).encode(), edits)) as (
            session,
            _s,
        ),
        contextlib.suppress(FieldnotesError),
    ):
        assert all(isinstance(each, Cluster) for each in session.cim.query(Cluster))


@settings(FEW, max_examples=15)
@given(EDITS)
def test_an_answer_that_was_changed_is_read_or_refused(edits: list[tuple[int, str, int]]) -> None:
    asked_with(edits)


@pytest.mark.faults
def test_an_answer_that_was_changed_is_read_or_refused_many_times(point: Point) -> None:
    @settings(MANY, max_examples=500)
    @given(EDITS)
    def check(edits: list[tuple[int, str, int]]) -> None:
        with point("hostile servers: CIM", "an answer changed on the way"):
            asked_with(edits)

    check()
