# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong before the XML begins: HTTP that is none, never ends, is too large, leads elsewhere, asks for ever."""

from __future__ import annotations

import base64
import gzip
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.errors import (
    AnswerTimeout,
    AuthenticationFailed,
    ConnectionLost,
    ConnectionTrouble,
    FieldnotesError,
    MalformedAnswer,
    NotWinRM,
    WsmanFault,
)
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.windows.cluster import Cluster
from hostile.server import PASSWORD, Asked, Hangup, Hostile, cluster, enumerated, envelope, fault, http
from support.ansible_task import run_task
from support.points import Point

ATTEMPTED = "reading MSCluster_Cluster"


def right(asked: Asked) -> bytes:
    """What an honest host would say."""
    return envelope(enumerated(cluster()), asked.message_id).encode()


def outcome(script: Callable[[Asked], Iterable[bytes]]) -> FieldnotesError:
    """What a query comes to, which must be an error for a person."""
    with Hostile(script) as server, server.session() as session:
        with pytest.raises(FieldnotesError) as caught:
            session.cim.query(Cluster)
        check(caught.value, f"127.0.0.1:{server.port}")
        return caught.value


def check(error: FieldnotesError, where: str) -> None:
    """That the message says what was attempted or which host, in one short line, and nothing of Python's or secret."""
    text = str(error)
    assert ATTEMPTED in text or where in text
    assert 20 < len(text) < 5000
    assert "\n" not in text
    for word in ("Traceback", "object at 0x", "NoneType", PASSWORD, base64.b64encode(PASSWORD.encode()).decode()):
        assert word not in text


@dataclass(frozen=True)
class Case:
    """One thing that a server says, and what the user then reads."""

    name: str
    says: Callable[[Hostile, Asked], Iterable[bytes]]
    error: type[FieldnotesError]
    said: str


def whole(answer: bytes) -> Callable[[Hostile, Asked], Iterable[bytes]]:
    """An answer that is the same for every request."""
    return lambda server, asked: [answer]


def cut(answer: bytes) -> Callable[[Hostile, Asked], Iterable[bytes]]:
    """The same, and the connection ends."""

    def says(server: Hostile, asked: Asked) -> Iterable[bytes]:
        yield answer
        raise Hangup

    return says


def endless(begin: bytes, piece: bytes, *, slow: bool = False) -> Callable[[Hostile, Asked], Iterable[bytes]]:
    """An answer that goes on for ever."""

    def says(server: Hostile, asked: Asked) -> Iterable[bytes]:
        yield begin
        yield from server.drip(piece) if slow else server.flood(piece)

    return says


def drop_by_drop(server: Hostile, asked: Asked) -> Iterable[bytes]:
    """The right answer, a byte at a time."""
    answer = http(right(asked))
    for byte, _tick in zip(answer, server.drip(b""), strict=False):
        yield bytes([byte])


CHUNKED = {"Content-Length": "", "Transfer-Encoding": "chunked"}
OK = b"HTTP/1.1 200 OK\r\n"
BEGUN = OK + b"Content-Type: application/soap+xml;charset=UTF-8\r\n"
MANY = b"x" * 65536
BOMB = gzip.compress(b"<a>" * 20_000_000)

CASES = [
    Case("closed", cut(b""), ConnectionLost, "ended before the answer"),
    Case("garbage", cut(b"\x00\x01\x02\xff\xfe" * 20 + b"\r\n\r\n"), ConnectionLost, "ended before the answer"),
    Case("HTTP/0.9", cut(b"<html>It works</html>\n"), ConnectionLost, "ended before the answer"),
    Case("SSH", cut(b"SSH-2.0-OpenSSH_9.2\r\n"), ConnectionLost, "ended before the answer"),
    Case("half a head", cut(OK + b"Content-Le"), FieldnotesError, ""),
    Case("no number", cut(b"HTTP/1.1 OK\r\n\r\n"), ConnectionLost, "ended before the answer"),
    Case("number of four digits", cut(b"HTTP/1.1 2000 OK\r\n\r\n"), ConnectionLost, "ended before the answer"),
    Case("less than announced", cut(BEGUN + b"Content-Length: 5000\r\n\r\n<a/>"), ConnectionLost, "broke off"),
    Case("negative length", cut(BEGUN + b"Content-Length: -5\r\n\r\n<a/>"), MalformedAnswer, "no SOAP 1.2 envelope"),
    Case("two lengths", cut(BEGUN + b"Content-Length: 4\r\nContent-Length: 400\r\n\r\n<a/>"), FieldnotesError, ""),
    Case("length that is none", cut(BEGUN + b"Content-Length: many\r\n\r\n<a/>"), MalformedAnswer, ""),
    Case("chunk without a size", cut(BEGUN + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), ConnectionLost, "broke off"),
    Case("half a chunk", cut(BEGUN + b"Transfer-Encoding: chunked\r\n\r\nff\r\n<a"), ConnectionLost, "broke off"),
    Case("nothing", lambda server, asked: server.drip(b""), AnswerTimeout, "no answer from"),
    Case("slow head", endless(OK, b"X", slow=True), AnswerTimeout, "no answer from"),
    Case("slow body", endless(BEGUN + b"Content-Length: 9999\r\n\r\n", b" ", slow=True), AnswerTimeout, "no answer"),
    Case("slow chunks", endless(http(headers=CHUNKED), b"1\r\n \r\n", slow=True), AnswerTimeout, "no answer"),
    Case("drop by drop", drop_by_drop, AnswerTimeout, "no answer from"),
    Case("continue for ever", endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", slow=True), AnswerTimeout, "no answer"),
    Case("continue in a flood", endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), FieldnotesError, ""),
    Case("heads for ever", endless(OK, b"X-More: and more\r\n"), ConnectionLost, "ended before the answer"),
    Case("a head without end", endless(OK + b"X: ", MANY), ConnectionLost, "ended before the answer"),
    Case("a body without end", endless(BEGUN + b"\r\n", MANY), FieldnotesError, ""),
    Case("chunks without end", endless(http(headers=CHUNKED), b"10000\r\n" + MANY + b"\r\n"), FieldnotesError, ""),
    Case("compressed", whole(http(BOMB, headers={"Content-Encoding": "gzip"})), MalformedAnswer, "not well-formed XML"),
    Case("forbidden", whole(http(status="403 Forbidden")), NotWinRM, "HTTP 403"),
    Case("not found", whole(http(b"<html/>", "404 Not Found")), NotWinRM, "HTTP 404"),
    Case("no POST", whole(http(status="405 Method Not Allowed")), NotWinRM, "HTTP 405"),
    Case("too large", whole(http(status="413 Too Large")), WsmanFault, "HTTP 413"),
    Case("error", whole(http(status="500 Internal Server Error")), ConnectionLost, "HTTP 500 without a reason"),
    Case("error page", whole(http("<p>Oops", "500 Oops", {"Content-Type": "text/html"})), ConnectionLost, "HTTP 500"),
    Case("busy", whole(http(status="503 Service Unavailable")), ConnectionLost, "HTTP 503"),
    Case("no content", whole(b"HTTP/1.1 204 No Content\r\n\r\n"), MalformedAnswer, "not well-formed XML"),
    Case("empty", whole(http()), MalformedAnswer, "not well-formed XML"),
    Case("web page", whole(http("<html><br></html>", headers={"Content-Type": "text/html"})), MalformedAnswer, "XML"),
    Case("JSON", whole(http('{"a": 1}', headers={"Content-Type": "application/json"})), MalformedAnswer, "XML"),
    Case(
        "picture", whole(http(b"\x89PNG\r\n\x1a\n" * 9, headers={"Content-Type": "image/png"})), MalformedAnswer, "XML"
    ),
    Case(
        "encrypted for nobody",
        whole(http(b"--x\r\n", headers={"Content-Type": 'multipart/encrypted;boundary="x"'})),
        MalformedAnswer,
        "",
    ),
    Case(
        "encrypted without boundary",
        whole(http(b"--x\r\n", headers={"Content-Type": "multipart/encrypted;"})),
        MalformedAnswer,
        "not WS-Management",
    ),
    Case("401", whole(http(status="401 Unauthorized")), AuthenticationFailed, "Administrator"),
    Case(
        "401 with realm",
        whole(http(status="401 Unauthorized", headers={"WWW-Authenticate": 'Basic realm="WSMAN"'})),
        AuthenticationFailed,
        "refused the credentials of Administrator (basic)",
    ),
    Case("401 with a large page", whole(http(b"x" * 3_000_000, "401 Unauthorized")), MalformedAnswer, "larger than"),
    Case(
        "401 compressed",
        whole(http(BOMB, "401 Unauthorized", {"Content-Encoding": "gzip"})),
        AuthenticationFailed,
        "Administrator",
    ),
    Case(
        "401 without end",
        endless(b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n", MANY),
        MalformedAnswer,
        "larger than",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_answer_that_is_none_is_one_clear_error(case: Case, point: Point) -> None:
    with point("hostile servers: HTTP", case.name), Hostile(lambda asked: case.says(server, asked)) as server:
        with server.session() as session, pytest.raises(case.error) as caught:
            session.cim.query(Cluster)
        check(caught.value, f"127.0.0.1:{server.port}")
        assert case.said in str(caught.value)


@pytest.mark.parametrize("name", ["drop by drop", "garbage", "error page", "401", "a body without end", "closed"])
def test_a_task_ends_with_that_error(name: str, point: Point) -> None:
    case = next(case for case in CASES if case.name == name)
    with point("hostile servers: tasks", name), Hostile(lambda asked: case.says(server, asked)) as server:
        result = run_task("hang_recovery", {"action": "log"}, server.variables())
        assert result.get("failed") or result.get("unreachable")
        assert bool(result.get("unreachable")) == issubclass(case.error, ConnectionTrouble) or case.said == ""
        assert not result["changed"]
        assert case.said in result["msg"]
        for word in ("Traceback", "object at 0x", "NoneType", PASSWORD):
            assert word not in str(result)


@pytest.mark.parametrize("number", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("elsewhere", ["https", "http"])
def test_nothing_is_sent_to_where_a_redirection_leads(number: int, elsewhere: str) -> None:
    with Hostile(lambda asked: [http(right(asked))], tls=elsewhere == "https") as other:
        place = f"{elsewhere}://127.0.0.1:{other.port}/wsman"
        error = outcome(lambda asked: [http(status=f"{number} Elsewhere", headers={"Location": place})])
        assert isinstance(error, NotWinRM)
        assert f"HTTP {number}" in str(error)
        assert other.asked == []


def test_an_honest_answer_is_read() -> None:
    with Hostile(lambda asked: [http(right(asked))]) as server, server.session() as session:
        assert [each.HangRecoveryAction for each in session.cim.query(Cluster)] == [3]


def test_a_slow_answer_that_ends_in_time_is_read() -> None:
    def says(asked: Asked) -> Iterable[bytes]:
        answer = http(right(asked))
        for start in range(0, len(answer), 100):
            yield answer[start : start + 100]

    with Hostile(says) as server, server.session() as session:
        assert [each.Name for each in session.cim.query(Cluster)] == ["CL1"]


# Other languages and encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_an_answer_in_another_encoding_is_read(encoding: str) -> None:
    def says(asked: Asked) -> Iterable[bytes]:
        text = envelope(enumerated(cluster(Name="Gruppe Köln")), asked.message_id)
        declared = f'<?xml version="1.0" encoding="{encoding}"?>{text}'
        return [http(declared.encode(encoding), headers={"Content-Type": f"application/soap+xml;charset={encoding}"})]

    with Hostile(says) as server, server.session() as session:
        assert [each.Name for each in session.cim.query(Cluster)] == ["Gruppe Köln"]


@pytest.mark.parametrize(
    ("encoding", "charset"),
    [
        ("utf-8", "UTF-8"),
        ("utf-16", "utf-16"),
        ("windows-1252", "windows-1252"),
        ("iso-8859-1", "ISO-8859-1"),
        ("windows-1252", "UTF-8"),
        ("windows-1252", ""),
        ("windows-1252", "klingon"),
        ("utf-8", "punycode"),
        ("utf-8", "unicode_escape"),
    ],
)
def test_a_fault_in_any_language_keeps_its_number(encoding: str, charset: str) -> None:
    def says(asked: Asked) -> Iterable[bytes]:
        text = fault("Zugriff verweigert für Überprüfung: accès refusé", "5").encode(encoding, "xmlcharrefreplace")
        kind = "application/soap+xml" + (f";charset={charset}" if charset else "")
        return [http(text, "500 Internal Server Error", {"Content-Type": kind})]

    error = outcome(says)
    assert isinstance(error, WsmanFault)
    assert error.number == 5
    assert "ERROR_ACCESS_DENIED 5" in str(error)


def test_the_words_of_a_host_do_nothing_to_a_terminal() -> None:
    words = "red \x9b31m turned \u202e around"
    error = outcome(lambda asked: [http(fault(words), "500 Internal Server Error")])
    assert isinstance(error, WsmanFault)
    assert "red" in str(error)
    assert not any(character in str(error) + error.text for character in "\x9b\u202e")


def test_a_fault_of_a_million_words_is_shortened() -> None:
    error = outcome(lambda asked: [http(fault("word " * 1_000_000), "500 Internal Server Error")])
    assert isinstance(error, WsmanFault)
    assert len(error.text) < 5000


# Asked to log on, for ever


def challenge() -> str:
    """An NTLM challenge as any server may send it (MS-NLMP 2.2.1.2)."""
    flags = 0x00028233 | 0x20000000 | 0x00080000
    message = struct.pack("<8sIHHIIQQHHI", b"NTLMSSP\0", 2, 0, 0, 56, flags, 1, 0, 4, 4, 56) + bytes(8) + bytes(4)
    return base64.b64encode(message).decode()


@pytest.mark.parametrize(
    "offer",
    [
        pytest.param("", id="no method"),
        pytest.param("Negotiate", id="never a token"),
        pytest.param("Negotiate !!!!", id="a token that is no base64"),
        pytest.param("Negotiate " + base64.b64encode(b"\xff" * 400).decode(), id="a token that is none"),
        pytest.param(f"Negotiate {challenge()}", id="the same challenge again and again"),
        pytest.param("Negotiate " + "A" * 60000, id="a long token"),
        pytest.param("Digest realm=x", id="another method"),
        pytest.param("Bearer, Bearer, " * 200, id="many methods"),
    ],
)
def test_401_for_ever_ends(offer: str) -> None:
    headers = {"WWW-Authenticate": offer, "Content-Length": "0"}
    with Hostile(lambda asked: [http(status="401 Unauthorized", headers=headers)], tls=False) as server:
        with server.session() as session, pytest.raises(FieldnotesError) as caught:
            session.cim.query(Cluster)
        check(caught.value, f"127.0.0.1:{server.port}")
        assert len(server.asked) < 10


@pytest.mark.parametrize("token", ["", "Negotiate", "Negotiate AAAA"])
def test_a_server_that_lets_everybody_in_gets_no_message(token: str) -> None:
    headers = {"WWW-Authenticate": token}
    with Hostile(lambda asked: [http(b"", headers=headers)], tls=False) as server:
        with server.session() as session, pytest.raises(FieldnotesError) as caught:
            session.cim.query(Cluster)
        check(caught.value, f"127.0.0.1:{server.port}")
        assert not any(b"Envelope" in asked.body for asked in server.asked)
