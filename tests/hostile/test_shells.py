# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with shells: streams, fragments and objects that a host sends in place of what a process or a cmdlet
put out. The host logs on and encrypts as it should; only its answers are changed."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import re
import struct
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator

import pytest
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.errors import (
    CmdletFailed,
    FieldnotesError,
    MalformedAnswer,
)
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman import shells
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.cmdlets import Cmdlet, CmdletResult, PSObject
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.session import Session
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.settings import Settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.points import Point
from support.world import World
from winsim import wsman
from winsim.host import Host
from winsim.trouble import Answer

RSP = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
GET_FEATURE = Cmdlet("Get-WindowsFeature", "ServerManager", ("Name",))
CAPABILITY, STATE, OUTPUT, PIPELINE_STATE, ERROR = 0x00010002, 0x00021005, 0x00041004, 0x00041006, 0x00041005
OPENED = '<Obj RefId="0"><MS><I32 N="RunspaceState">2</I32></MS></Obj>'
COMPLETED = '<Obj RefId="0"><MS><I32 N="PipelineState">4</I32></MS></Obj>'

Change = Callable[[ET.Element, bytes], ET.Element | bytes | None]


@dataclasses.dataclass
class Liar:
    """A host of which one kind of answer is changed: a Receive of a command, where ``of`` does not say another."""

    world: World
    change: Change = lambda envelope, request: None
    of: str = "Receive"
    pool: bool = False
    said: bytes = b""

    def hears(self, request: bytes) -> bool:
        """Whether the answer to this request is changed."""
        action = re.search(rb"Action[^>]*>([^<]*)<", request)
        if action is None or not action[1].decode().endswith("/" + self.of):
            return False
        return self.of != "Receive" or self.pool != (b"DesiredStream CommandId" in re.sub(rb"rsp:|\w+:", b"", request))

    @contextlib.contextmanager
    def session(self) -> Iterator[Session]:
        """A session to it that waits a second for an answer."""
        served = self.world.served
        password = str(self.world.variables("N1")["ansible_password"])
        where = (served.address("N1"), served.http_port("N1"), False, "wsman", "Administrator", password, "ntlm")
        with Session(Settings(*where, connection_timeout=5, operation_timeout=1, read_timeout=5)) as session:
            yield session


@pytest.fixture
def liar(monkeypatch: pytest.MonkeyPatch) -> Iterator[Liar]:
    honest = wsman.handle
    fleet = {"clock": {"speed": 0}, "hosts": {"N1": {"build": 17763, "features": ["Failover-Clustering"]}}}
    with World(fleet) as world:
        found = Liar(world)

        def handle(host: Host, user: str, body: bytes, *, secure: bool) -> Answer:
            answer = honest(host, user, body, secure=secure)
            if not found.hears(body):
                return answer
            if answer.status == 200:
                found.said = answer.body
            elif found.said:
                # The command has ended, and with it what the host knows of it: the liar says the same again.
                answer = Answer(200, again(found.said, body))
            changed = found.change(ET.fromstring(answer.body), body)
            if changed is None:
                return answer
            return dataclasses.replace(answer, body=changed if isinstance(changed, bytes) else ET.tostring(changed))

        monkeypatch.setattr(wsman, "handle", handle)
        yield found


def again(said: bytes, request: bytes) -> bytes:
    """An earlier answer, as the one to this request."""
    message_id = re.search(rb"MessageID[^>]*>([^<]*)<", request)
    assert message_id is not None
    return re.sub(rb"(RelatesTo[^>]*>)[^<]*<", rb"\1" + message_id[1] + b"<", said)


def response(envelope: ET.Element) -> ET.Element:
    """The ReceiveResponse in an answer."""
    found = envelope.find(f".//{{{RSP}}}ReceiveResponse")
    assert found is not None
    return found


def check(error: BaseException, attempted: str) -> None:
    """That a message is one for people."""
    assert str(error).startswith(attempted)
    assert len(str(error)) < 5000
    for word in ("Traceback", "object at 0x", "NoneType", "\n"):
        assert word not in str(error)


# Processes


def run(liar: Liar) -> FieldnotesError:
    """The error of a process."""
    with liar.session() as session, pytest.raises(FieldnotesError) as caught:
        session.processes.run("C:\\Windows\\System32\\hostname.exe", [], "asking for the name")
    check(caught.value, "asking for the name")
    return caught.value


def streams(text: str, name: str = "stdout", *, end: bool = False) -> Change:
    """Every Receive says this in one stream, and the process goes on unless ``end``."""

    def change(envelope: ET.Element, request: bytes) -> ET.Element:
        answer = response(envelope)
        state = answer.find(f"{{{RSP}}}CommandState")
        answer.clear()
        ET.SubElement(answer, f"{{{RSP}}}Stream", Name=name).text = text
        if end and state is not None:
            answer.append(state)
        return envelope

    return change


def coded(code: str) -> Change:
    """The process ends with this exit code."""

    def change(envelope: ET.Element, request: bytes) -> ET.Element:
        for found in response(envelope).iter(f"{{{RSP}}}ExitCode"):
            found.text = code
        return envelope

    return change


def nothing(envelope: ET.Element, request: bytes) -> ET.Element:
    """A Receive that brings neither output nor an end."""
    response(envelope).clear()
    return envelope


@pytest.mark.parametrize("text", ["!!!!", "AAA", "A" * 5, "é", "AAAA=AAA"])
def test_a_stream_that_is_no_base64_is_refused(liar: Liar, text: str) -> None:
    liar.change = streams(text, end=True)
    assert "not base64" in str(run(liar))


def test_a_stream_of_an_unknown_name_is_refused(liar: Liar) -> None:
    liar.change = streams("AAAA", "stdsomething")
    assert isinstance(run(liar), MalformedAnswer)


@pytest.mark.parametrize("code", ["4294967296", "18446744073709551616", "-2147483649", "9" * 5000, "zero", "NaN"])
def test_an_exit_code_beyond_its_type_is_no_success(liar: Liar, code: str) -> None:
    liar.change = coded(code)
    assert isinstance(run(liar), MalformedAnswer)


def test_a_process_that_never_says_anything_is_ended(liar: Liar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shells, "MAX_FRUITLESS", 10)
    liar.change = nothing
    assert "asked 10 times in a row" in str(run(liar))


def test_output_without_end_is_ended(liar: Liar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shells, "MAX_OUTPUT", 2**20)
    liar.change = streams(base64.b64encode(bytes(100_000)).decode())
    assert "the output is larger than 1 MiB" in str(run(liar))


def without_a_command(envelope: ET.Element, request: bytes) -> ET.Element:
    found = envelope.find(f".//{{{RSP}}}CommandResponse")
    assert found is not None
    found.clear()
    return envelope


def test_a_command_without_a_name_is_refused(liar: Liar) -> None:
    liar.of, liar.change = "Command", without_a_command
    assert "which command" in str(run(liar))


DOCUMENTS = {
    "no XML": b"\x00",
    "laughs": b'<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]><a>&d;</a>',
    "external": b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
    "deep": b"<a>" * 100_000 + b"</a>" * 100_000,
    "another shape": b"<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope'><s:Body/></s:Envelope>",
}


@pytest.mark.parametrize("of", ["Create", "Command", "Receive", "Signal", "Delete"])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_an_answer_that_is_none_ends_the_process(liar: Liar, of: str, name: str) -> None:
    liar.of, liar.change = of, lambda envelope, request: DOCUMENTS[name]
    assert isinstance(run(liar), MalformedAnswer)


# Cmdlets


def message(kind: int, text: str | bytes, pipeline: str = "", pool: str = "") -> bytes:
    """A PSRP message (MS-PSRP 2.2.1)."""
    content = text if isinstance(text, bytes) else b"\xef\xbb\xbf" + text.encode()
    ids = [uuid.UUID(each).bytes_le if each else bytes(16) for each in (pool, pipeline)]
    return struct.pack("<II", 1, kind) + b"".join(ids) + content


def fragment(data: bytes, number: int = 900, order: int = 0, flags: int = 3, length: int | None = None) -> bytes:
    """A fragment of one (MS-PSRP 2.2.4); flags: 1 for the first, 2 for the last."""
    return struct.pack(">QQBI", number, order, flags, len(data) if length is None else length) + data


def stream(content: bytes) -> Change:
    """Every Receive of the pipeline brings these bytes."""
    return streams(base64.b64encode(content).decode())


def cmdlet(liar: Liar) -> CmdletResult:
    """What a cmdlet puts out."""
    with liar.session() as session:
        return session.cmdlets.run(GET_FEATURE(Name="DHCP"), attempted="reading features")


def refused(liar: Liar) -> FieldnotesError:
    """The error of a cmdlet."""
    with pytest.raises(FieldnotesError) as caught:
        cmdlet(liar)
    check(caught.value, "reading features")
    return caught.value


def whole(kind: int, text: str | bytes) -> bytes:
    """A message in one fragment."""
    return fragment(message(kind, text))


END = fragment(message(PIPELINE_STATE, COMPLETED), number=901)
HALF = message(OUTPUT, "<S>half</S>")

STREAMS = {
    "no fragment": b"abc",
    "a head of a fragment": fragment(HALF)[:20],
    "half a fragment": fragment(HALF)[:30],
    "more announced than there is": fragment(HALF, length=2**32 - 1),
    "the second first": fragment(HALF, order=1, flags=2),
    "no beginning": fragment(HALF, flags=2),
    "out of order": fragment(HALF, flags=1) + fragment(HALF, order=2, flags=2),
    "the same again": fragment(HALF, flags=1) * 2,
    "a beginning in the middle": fragment(HALF, flags=1) + fragment(HALF, order=1, flags=3),
    "another object in the middle": fragment(HALF, flags=1) + fragment(HALF, number=7, order=1, flags=2),
    "half a message": fragment(b"\x00" * 30),
    "no message": fragment(b""),
    "an unknown type": fragment(message(0x00099999, "<S>x</S>")),
    "of another pipeline": fragment(message(OUTPUT, "<S>x</S>", pipeline=str(uuid.UUID(int=7)))),
    "no XML": whole(OUTPUT, "<S>x"),
    "no UTF-8": whole(OUTPUT, b"<S>\xff\xfe</S>"),
    "laughs": whole(OUTPUT, '<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]><S>&d;</S>'),
    "external": whole(OUTPUT, '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><S>&b;</S>'),
    "deep": whole(OUTPUT, "<Obj RefId='0'><MS>" * 5000 + "</MS></Obj>" * 5000),
    "a number that is none": whole(OUTPUT, "<I32>many</I32>"),
    "an empty number": whole(OUTPUT, "<I32/>"),
    "an empty boolean": whole(OUTPUT, "<B/>"),
    "a GUID that is none": whole(OUTPUT, "<G>x</G>"),
    "a character beyond all": whole(OUTPUT, "<C>99999999999</C>"),
    "octets that are none": whole(OUTPUT, "<BA>A</BA>"),
    "an object without a number": whole(OUTPUT, "<Obj><MS/></Obj>"),
    "a property without a name": whole(OUTPUT, "<Obj RefId='0'><MS><S>x</S></MS></Obj>"),
    "a reference to nothing": whole(OUTPUT, "<Obj RefId='0'><MS><Ref N='a' RefId='9'/></MS></Obj>"),
    "types of nothing": whole(OUTPUT, "<Obj RefId='0'><TNRef RefId='9'/></Obj>"),
    "a secret without a key": whole(OUTPUT, "<SS>AAAA</SS>"),
    "a state that is none": whole(PIPELINE_STATE, "<Obj RefId='0'><MS/></Obj>"),
    "a state of text": whole(PIPELINE_STATE, "<S>done</S>"),
    "an unknown state": whole(PIPELINE_STATE, "<Obj RefId='0'><MS><I32 N='PipelineState'>77</I32></MS></Obj>"),
    "a negative state": whole(PIPELINE_STATE, "<Obj RefId='0'><MS><I32 N='PipelineState'>-1</I32></MS></Obj>"),
    "an error that is none": whole(ERROR, "<S>kaput</S>") + END,
    "an error without a reason": whole(ERROR, "<Obj RefId='0'><MS/></Obj>") + END,
    "an object inside itself": whole(OUTPUT, "<Obj RefId='0'><MS><Ref N='a' RefId='0'/></MS></Obj>") + END,
    "a key that nobody asked for": whole(0x00010006, "<Obj RefId='0'><MS><S N='EncryptedSessionKey'>AA</S></MS></Obj>"),
}


@pytest.mark.parametrize("name", STREAMS)
def test_output_that_is_none_is_refused(liar: Liar, name: str, point: Point, monkeypatch: pytest.MonkeyPatch) -> None:
    # What can be read is no end of the pipeline: it comes again and again.
    monkeypatch.setattr(shells, "MAX_OUTPUT", 20_000)
    with point("hostile servers: PSRP", name):
        liar.change = stream(STREAMS[name])
        refused(liar)


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize(("of", "pool"), [("Create", False), ("Receive", True), ("Command", False), ("Receive", False)])
def test_an_answer_that_is_none_ends_the_cmdlet(liar: Liar, of: str, pool: bool, name: str) -> None:
    liar.of, liar.pool, liar.change = of, pool, lambda envelope, request: DOCUMENTS[name]
    assert isinstance(refused(liar), MalformedAnswer)


@pytest.mark.parametrize("version", ["", "x", "2", "9" * 5000, "2.2.2", "-1.0"])
def test_a_version_that_is_none_is_borne_or_refused(liar: Liar, version: str) -> None:
    values = {"protocolversion": version, "PSVersion": "2.0", "SerializationVersion": "1.1.0.1"}
    inside = "".join(f'<Version N="{name}">{value}</Version>' for name, value in values.items())
    told = whole(CAPABILITY, f'<Obj RefId="0"><MS>{inside}</MS></Obj>')
    liar.pool, liar.change = True, stream(told + fragment(message(STATE, OPENED), number=901))
    with contextlib.suppress(MalformedAnswer):
        assert cmdlet(liar).output


@pytest.mark.parametrize("state", ["3", "5", "77", "-1", "x"])
def test_a_pool_that_does_not_open_is_refused(liar: Liar, state: str) -> None:
    liar.pool = True
    liar.change = stream(whole(STATE, f'<Obj RefId="0"><MS><I32 N="RunspaceState">{state}</I32></MS></Obj>'))
    assert isinstance(refused(liar), MalformedAnswer)


def test_a_cmdlet_that_never_says_anything_is_ended(liar: Liar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shells, "MAX_FRUITLESS", 10)
    liar.change = nothing
    assert "asked 10 times in a row" in str(refused(liar))


def test_a_cmdlet_that_never_ends_is_ended(liar: Liar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shells, "MAX_OUTPUT", 2**20)
    liar.change = stream(whole(OUTPUT, "<S>" + "more " * 10_000 + "</S>"))
    assert "the output is larger than 1 MiB" in str(refused(liar))


@pytest.mark.parametrize("pieces", [1, 5000])
def test_a_message_that_never_ends_is_ended(liar: Liar, monkeypatch: pytest.MonkeyPatch, pieces: int) -> None:
    monkeypatch.setattr(shells, "MAX_MESSAGE", 2**18)
    data = b"x" * (2**19 // pieces)
    liar.change = stream(b"".join(fragment(data, order=n, flags=1 if n == 0 else 0) for n in range(pieces)))
    assert "a PSRP message is larger than" in str(refused(liar))


def test_many_messages_that_never_end_are_ended(liar: Liar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shells, "MAX_MESSAGE", 2**18)
    liar.change = stream(b"".join(fragment(b"x", number=n, flags=1) for n in range(5000)))
    assert "a PSRP message is larger than" in str(refused(liar))


def test_an_object_in_many_places_is_read_once(liar: Liar) -> None:
    # Thirty lists, each of which holds the one before it ten times: written out they are 10**30 objects.
    lists = '<Obj RefId="0"><TN RefId="0"><T>System.Array</T><T>System.Object</T></TN><LST/></Obj>'
    for number in range(1, 12):
        again = "".join(f'<Ref RefId="{number - 1}"/>' for _ in range(9))
        lists = f'<Obj RefId="{number}"><TNRef RefId="0"/><LST>{lists}{again}</LST></Obj>'
    liar.change = stream(whole(OUTPUT, lists) + END)
    with contextlib.suppress(MalformedAnswer):
        assert len(cmdlet(liar).output) == 1


@pytest.mark.parametrize(
    "text",
    [
        "<Obj RefId='0'><TN RefId='0'><T>System.Management.Automation.ErrorRecord</T></TN><MS/></Obj>",
        "<Obj RefId='0'><TN RefId='0'><T>System.Collections.Queue</T></TN><QUE><S>x</S></QUE></Obj>",
        "<Obj RefId='0'><TN RefId='0'><T>System.Collections.Stack</T></TN><STK><S>x</S></STK></Obj>",
        "<Obj RefId='0'><TN RefId='0'><T>System.Collections.Hashtable</T></TN><DCT><En/></DCT></Obj>",
        "<Obj RefId='0'><MS><Obj N='a' RefId='1'><DCT><En><Nil N='Key'/><S N='Value'>x</S></En></DCT></Obj></MS></Obj>",
        "<Obj RefId='0'><TN RefId='0'><T>Of.Nobody</T></TN><Props><D N='a'>1e999</D><Db N='b'>NaN</Db></Props></Obj>",
        "<SBK>Get-Process</SBK>",
        "<XD>&lt;a/&gt;</XD>",
        "<Nil/>",
        "<Something/>",
        "",
        "text",
    ],
)
def test_an_object_of_an_unexpected_type_is_read_as_it_is(liar: Liar, text: str) -> None:
    liar.change = stream(whole(OUTPUT, text) + END)
    with contextlib.suppress(MalformedAnswer):
        assert len(cmdlet(liar).output) == 1


def test_the_words_of_a_cmdlet_do_nothing_to_a_terminal(liar: Liar) -> None:
    record = (
        "<Obj RefId='0'><ToString>_x001B_[31mred_x0007_</ToString><MS><Nil N='Exception'/><Nil N='TargetObject'/>"
        "<S N='FullyQualifiedErrorId'>Kaput</S><Nil N='InvocationInfo'/><I32 N='ErrorCategory_Category'>0</I32>"
        "<S N='ErrorCategory_Activity'/><S N='ErrorCategory_Reason'/><S N='ErrorCategory_TargetName'/>"
        "<S N='ErrorCategory_TargetType'/><S N='ErrorCategory_Message'>_x001B_[2J</S>"
        "<B N='SerializeExtendedInfo'>false</B></MS></Obj>"
    )
    liar.change = stream(whole(ERROR, record) + END)
    error = refused(liar)
    assert isinstance(error, (CmdletFailed, MalformedAnswer))
    assert not re.search("[\x00-\x1f]", str(error))


def test_numbers_of_objects_are_numbers() -> None:
    found = PSObject((), {"Port": "1688", "Weight": True, "Priority": None, "Good": 7}, "")
    assert found.number("good") == 7
    for name in ("Port", "Weight", "Priority", "Absent"):
        with pytest.raises(MalformedAnswer, match=f"property {name}"):
            found.number(name)


# Anything at all

EDITS = st.lists(
    st.tuples(st.integers(0, 10**6), st.sampled_from(["cut", "flip", "double", "drop"]), st.integers(0, 255)),
    min_size=1,
    max_size=4,
)


def edited(content: bytes, edits: list[tuple[int, str, int]]) -> bytes:
    """Bytes with things done to them."""
    for where, what, value in edits:
        at = where % (len(content) + 1)
        tail = {"cut": b"", "flip": bytes([value]) + content[at + 1 :], "drop": content[at + value :]}
        content = content[:at] + tail.get(what, content[at : at + value] + content[at:])
    return content


def changed(edits: list[tuple[int, str, int]]) -> Change:
    """The first stream of every Receive, with these edits."""

    def change(envelope: ET.Element, request: bytes) -> ET.Element:
        for found in envelope.iter(f"{{{RSP}}}Stream"):
            found.text = base64.b64encode(edited(base64.b64decode(found.text or ""), edits)).decode()
        return envelope

    return change


def tried(liar: Liar, edits: list[tuple[int, str, int]], pool: bool) -> None:
    """A cmdlet whose output is changed on the way ends with what it put out, or with one of our errors."""
    liar.change, liar.pool = changed(edits), pool
    with pytest.MonkeyPatch.context() as patched, contextlib.suppress(FieldnotesError):
        patched.setattr(shells, "MAX_FRUITLESS", 10)
        patched.setattr(shells, "MAX_OUTPUT", 100_000)
        assert isinstance(cmdlet(liar), CmdletResult)


ONE_HOST = settings(deadline=None, suppress_health_check=list(HealthCheck))


@settings(ONE_HOST, max_examples=15)
@given(edits=EDITS, pool=st.booleans())
def test_output_that_was_changed_is_read_or_refused(liar: Liar, edits: list[tuple[int, str, int]], pool: bool) -> None:
    tried(liar, edits, pool)


@pytest.mark.faults
def test_output_that_was_changed_is_read_or_refused_many_times(liar: Liar, point: Point) -> None:
    @settings(ONE_HOST, max_examples=400)
    @given(edits=EDITS, pool=st.booleans())
    def check_one(edits: list[tuple[int, str, int]], pool: bool) -> None:
        with point("hostile servers: PSRP", "output changed on the way"):
            tried(liar, edits, pool)

    check_one()
