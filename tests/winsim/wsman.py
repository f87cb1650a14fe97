# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""WS-Management without sockets: the bytes of a request in, an HTTP status and the bytes of the answer out.

Here a message is read, logged, hit by planned trouble, and handed to who answers it: WMI and WinRM's own resources in
cim.py, shells in winrs.py and psrp. Sources: DSP0226, MS-WSMV, recorded answers.
"""

from __future__ import annotations

import uuid
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import timedelta

from . import cim, log, soap
from .host import Host
from .providers import Fault as ProviderRefusal
from .soap import Fault, Request, WmiFault, local, node, qname
from .switches import declare
from .trouble import Answer, Asked, Trouble, is_dark, spoil, troubles_of

__all__ = ["Answer", "handle"]

SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
POWERSHELL = "http://schemas.microsoft.com/powershell/"
SMALLEST_ENVELOPE = 8192

declare(
    "wire.wmi_fault",
    {
        "nested": "a WSManFault in the ProviderFault carries the WMI status",
        "wsman": "the status shows only as the WS-Management number that stands for it, where there is one",
        "msft_wmierror": "an MSFT_WmiError instance in the detail carries the status, there is no WSManFault",
    },
    open_question="how an error of WMI is written into a fault",
    page="DSP0227, MS-WSMV and recordings",
)


def handle(host: Host, user: str, body: bytes, *, secure: bool) -> Answer:
    """The answer to one message of an authenticated user ('' for an anonymous Identify).

    Takes `host.fleet.lock`; a Receive that waits and an answer that is delayed release it while they wait. An Answer
    with `drop` means that the connection ends without one.
    """
    with host.fleet.lock:
        if is_dark(host):
            return Answer(0, drop=True)
        number = len(host.log) + 1
        notes = log.Notes()
        pending = _entry(host, number, user, notes, body, Answer(0, drop=True), None, secure)
        host.log.append(pending)
        answer, fault = _handle(host, user, body, notes)
        done = _entry(host, number, user, notes, body, answer, fault, secure)
        for place in reversed(range(len(host.log))):
            if host.log[place] is pending:
                host.log[place] = replace(done, time=pending.time)
                break
        for watcher in host.fleet.watchers:
            watcher(host, done)
        return answer


def _handle(host: Host, user: str, body: bytes, notes: log.Notes) -> tuple[Answer, int | None]:
    try:
        request = soap.parse(body)
    except Fault as fault:
        return _fault(host, fault, ""), fault.innermost
    _note(request, notes)
    trouble = troubles_of(host).strike(
        Asked(notes.action, notes.resource, notes.namespace, notes.what, notes.wql, request.text)
    )
    if trouble is not None and trouble.kind in _BEFORE:
        return _BEFORE[trouble.kind](host, trouble, request)
    answer, number = _answer(host, user, request, notes)
    if trouble is not None:
        _wait(host, trouble)
        answer = spoil(trouble, answer)
        if trouble.kind == "lost":
            troubles_of(host).dark_until = host.now() + timedelta(seconds=trouble.seconds or 0)
        if trouble.kind == "reboot":
            host.reboot(trouble.seconds)
    return answer, number


def _drop(host: Host, trouble: Trouble, request: Request) -> tuple[Answer, int | None]:
    return Answer(0, drop=True), None


def _plain_500(host: Host, trouble: Trouble, request: Request) -> tuple[Answer, int | None]:
    return Answer(500), None


def _unauthorized(host: Host, trouble: Trouble, request: Request) -> tuple[Answer, int | None]:
    return Answer(401, forget=True), None


def _planned_fault(host: Host, trouble: Trouble, request: Request) -> tuple[Answer, int | None]:
    fault = Fault(trouble.number, trouble.subcode, detail=trouble.detail, reason=trouble.text)
    return _fault(host, fault, request.message_id), fault.number


_BEFORE = {"drop_before": _drop, "http_500": _plain_500, "unauthorized": _unauthorized, "fault": _planned_fault}


def _wait(host: Host, trouble: Trouble) -> None:
    if trouble.kind != "delay":
        return
    until = None if trouble.seconds is None else host.now() + timedelta(seconds=trouble.seconds)
    if until is not None:
        host.fleet.clock.at(until, trouble.release)
    while not trouble.released:
        host.fleet.changed.wait()
    if until is not None:
        trouble.released = False


# --- one request -------------------------------------------------------------------------------------------------


def _answer(host: Host, user: str, request: Request, notes: log.Notes) -> tuple[Answer, int | None]:
    try:
        if notes.action == "Identify":
            return Answer(200, _envelope(host, "", _identify(host, user), request.message_id)), None
        _check_headers(host, user, request)
        reply = _dispatch(host, user, request, notes)
    except ProviderRefusal as refusal:
        fault = _from_provider(refusal)
    except Fault as raised:
        fault = raised
    else:
        answer = _envelope(host, reply.action, reply.body, request.message_id, reply.headers)
        # Shells cut their output to the bytes of the envelope themselves; the other answers are counted as UTF-16.
        used = len(answer) if _is_shell(request) else soap.size(answer.decode())
        if used <= envelope_limit(host, request):
            return Answer(200, answer), None
        fault = Fault(0x80338048, "w:EncodingLimit", detail="MaxEnvelopeSizeExceeded")
    return _fault(host, fault, request.message_id), fault.innermost


def _check_headers(host: Host, user: str, request: Request) -> None:
    if not request.action:
        raise Fault(0x80338011, "a:MessageInformationHeaderRequired", addressing=True)
    if not request.message_id:
        raise Fault(0x80338011, "a:MessageInformationHeaderRequired", addressing=True)
    if request.max_envelope_size is not None and request.max_envelope_size < SMALLEST_ENVELOPE:
        raise Fault(0x80338047, "w:EncodingLimit", detail="MinimumEnvelopeLimit")
    account = host.find_user(user)
    if not user:
        raise Fault(5, "w:AccessDenied")
    if account is not None and not account.administrator:
        raise Fault(5, "w:AccessDenied")
    for header in request.header:
        if header.get(qname(soap.S, "mustUnderstand"), "").lower() in ("true", "1"):
            unsupported = header.tag == cim.FRAGMENT and host.switches["wire.fragments"] == "unsupported"
            if unsupported or header.tag.rpartition("}")[0][1:] not in soap.UNDERSTOOD:
                raise Fault(0x80338010, "s:MustUnderstand", reason=f"Header not understood: {local(header)}")


def _dispatch(host: Host, user: str, request: Request, notes: log.Notes) -> cim.Reply:
    if not _is_shell(request):
        return cim.dispatch(host, user, request, envelope_limit(host, request))
    from . import psrp, winrs  # both are heavy, and CIM needs neither

    answer = request.action + "Response"
    general = request.resource_uri.lower() == SHELL and psrp.owns(host, request)
    if not general and not request.resource_uri.lower().startswith(POWERSHELL):
        return cim.Reply(answer, winrs.dispatch(host, user, request))
    try:
        return cim.Reply(answer, psrp.dispatch(host, user, request))
    finally:
        what, writes = psrp.called()
        if what:
            notes.what, notes.writes = what, writes


def _is_shell(request: Request) -> bool:
    return request.resource_uri.lower().startswith((SHELL, POWERSHELL))


def envelope_limit(host: Host, request: Request) -> int:
    """Most bytes an answer may have."""
    most = host.winrm.max_envelope_kb * 1024
    return most if request.max_envelope_size is None else min(most, request.max_envelope_size)


def _from_provider(refusal: ProviderRefusal) -> Fault:
    subcode = None if refusal.subcode is None else refusal.subcode.replace("wsman:", "w:").replace("wsa:", "a:")
    text = refusal.text or None
    if refusal.code >> 16 == 0x8033:
        return Fault(refusal.code, subcode or "w:InternalError", reason=text)
    return WmiFault(refusal.code, text, subcode=subcode)


def _fault(host: Host, fault: Fault, relates_to: str) -> Answer:
    if isinstance(fault, WmiFault):
        fault = fault.as_form(host.switches["wire.wmi_fault"])
    body = fault.body(host.fqdn, host.language)
    return Answer(fault.status, _envelope(host, fault.action, body, relates_to))


def _envelope(host: Host, action: str, body: cim.Body, relates_to: str, headers: tuple[ET.Element, ...] = ()) -> bytes:
    return soap.envelope(
        action,
        body,
        relates_to,
        language=host.language if host.switches["wire.xml_lang"] == "on" else None,
        activity=str(uuid.uuid4()).upper() if host.switches["wire.activity_id"] == "on" else None,
        headers=headers,
    )


def _identify(host: Host, user: str) -> ET.Element:
    response = node(qname(soap.WSMID, "IdentifyResponse"))
    # The operating system and the security profiles are told only to those who have said who they are.
    version = host.version if user else "0.0.0"
    stack = "3.0" if host.build >= 9200 else "2.0"
    for name, text in (
        ("ProtocolVersion", soap.W),
        ("ProductVendor", "Microsoft Corporation"),
        ("ProductVersion", f"OS: {version} SP: 0.0 Stack: {stack}"),
    ):
        response.append(node(qname(soap.WSMID, name), text))
    if user:
        profiles = node(qname(soap.WSMID, "SecurityProfiles"))
        for transport, enabled in (("http", host.winrm.http), ("https", host.winrm.https)):
            if enabled:
                profile = f"http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/{transport}/spnego-kerberos"
                profiles.append(node(qname(soap.WSMID, "SecurityProfileName"), profile))
        response.append(profiles)
    return response


# --- the log -----------------------------------------------------------------------------------------------------


def _note(request: Request, notes: log.Notes) -> None:
    content = request.content
    if content is not None and content.tag == qname(soap.WSMID, "Identify"):
        notes.action = "Identify"
        return
    verb = request.action.rstrip("/").rpartition("/")[2]
    notes.resource = request.resource_uri.rstrip("/").rpartition("/")[2]
    if _is_shell(request):
        notes.action = verb
        if verb == "Command" and content is not None:
            words = [content.findtext(qname(soap.RSP, "Command")) or ""]
            words += [each.text or "" for each in content.findall(qname(soap.RSP, "Arguments"))]
            if not request.resource_uri.lower().startswith(POWERSHELL):
                notes.what = " ".join(words).strip()
                notes.writes = log.command_writes(notes.what)
        return
    cim.note(request, notes)


def _entry(
    host: Host, number: int, user: str, notes: log.Notes, body: bytes, answer: Answer, fault: int | None, secure: bool
) -> log.Request:
    return log.Request(
        n=number,
        time=host.now(),
        user=user,
        action=notes.action,
        resource=notes.resource,
        namespace=notes.namespace,
        what=notes.what,
        wql=notes.wql,
        properties=notes.properties,
        writes=notes.writes,
        status=0 if answer.drop else answer.status,
        fault=fault,
        request=soap.as_text(body),
        answer=answer.body.decode("utf-8", "replace"),
        secure=secure,
    )
