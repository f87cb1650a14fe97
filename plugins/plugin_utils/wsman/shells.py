# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""pypsrp's shells, with bounds: what a host sends them is looked at before pypsrp takes it apart.

For this collection only. pypsrp reads any XML, takes any number of fragments, and asks for output as long as there may
be more.
"""

from __future__ import annotations

import base64
import struct
import uuid
import xml.etree.ElementTree as ET
from typing import Any

from ..errors import MalformedAnswer
from .envelope import opened, sendable
from .libraries import (
    ComplexObject,
    Fragmenter,
    GenericComplexObject,
    Message,
    MessageType,
    ObjectMeta,
    PowerShell,
    RunspacePool,
    SerializationError,
    Serializer,
    WinRMTransportError,
    WSMan,
)
from .xml import SOAP, child, local_name, parse

MAX_OUTPUT = 256 * 1024 * 1024
"""Bytes that one command may put out: some hundred thousand objects of a cmdlet."""
MAX_MESSAGE = 16 * 1024 * 1024
"""Bytes of the PSRP messages that have begun and not ended, at most."""
MAX_FRUITLESS = 10_000
"""Questions in a row for output that brought none: two days, where the host waits as long as it may with each."""
MAX_OBJECT_DEPTH = 40
"""Elements inside each other in an object, at most: pypsrp copies the text of each level."""


class Client(WSMan):
    """pypsrp's client for shells. Errors, beside pypsrp's: MalformedAnswer, Unsendable."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._command = ""
        self._received = 0
        self._fruitless = 0

    def invoke(
        self,
        action: str,
        resource_uri: str,
        resource: ET.Element | None,
        option_set: Any = None,
        selector_set: Any = None,
        timeout: int | None = None,
        **_retries: int,
    ) -> ET.Element:
        """The envelope of an answer. No request is repeated: output that was lost on the way does not come again."""
        number, header = self._create_header(action, resource_uri, option_set, selector_set, timeout)
        message_id = f"uuid:{number}"
        request = ET.Element(f"{{{SOAP}}}Envelope")
        request.append(header)
        body = ET.SubElement(request, f"{{{SOAP}}}Body")
        if resource is not None:
            body.append(resource)
        try:
            answer = self.transport.send(sendable(ET.tostring(request, encoding="utf-8")))
        except WinRMTransportError as error:
            if not _has_fault(error.response_text, message_id):
                raise
            raise self._parse_wsman_fault(error.response_text) from error
        return opened(answer, message_id)

    def receive(self, resource_uri: str, resource: ET.Element, *args: Any, **kwargs: Any) -> ET.Element:
        """What a shell or a command has put out since the last time."""
        command = next((each.get("CommandId", "") for each in resource), "")
        if command != self._command:
            self._command, self._received, self._fruitless = command, 0, 0
        # Counted before the answer: that there is no output comes as a fault.
        self._fruitless += 1
        if self._fruitless > MAX_FRUITLESS:
            raise MalformedAnswer(f"the host was asked {MAX_FRUITLESS} times in a row for output and had none")
        body: ET.Element = super().receive(resource_uri, resource, *args, **kwargs)
        for stream in body.iter():
            if local_name(stream) == "Stream" and stream.text:
                self._received += _decoded_length(stream)
                self._fruitless = 0
        if self._received > MAX_OUTPUT:
            raise MalformedAnswer(f"the output is larger than {MAX_OUTPUT // 2**20} MiB")
        return body


def _has_fault(text: str, message_id: str) -> bool:
    try:
        return child(opened(text, message_id), "Body", "Fault") is not None
    except MalformedAnswer:
        return False


def _decoded_length(stream: ET.Element) -> int:
    # Python leaves out what is not base64 unless it is told not to.
    stream.text = "".join((stream.text or "").split())
    try:
        return len(base64.b64decode(stream.text, validate=True))
    except ValueError as error:
        raise MalformedAnswer(f"a stream of the answer is not base64: {error}") from error


class Pool(RunspacePool):
    """A runspace pool. Errors, beside pypsrp's: MalformedAnswer."""

    def __init__(self, client: WSMan, configuration: str) -> None:
        super().__init__(client, configuration_name=configuration)
        self._serializer = _Objects()
        self._fragmenter = self._messages = _Messages(client.max_payload_size, self._serializer)

    def _parse_responses(self, responses: bytes, pipeline: PowerShell | None = None) -> list[tuple[int, Any]]:
        self._messages.pipeline = pipeline.id if pipeline is not None else ""
        return super()._parse_responses(responses, pipeline)

    def _process_runspacepool_warning(self, message: Message) -> None:
        """Nothing: pypsrp makes a Python warning of it, which ends at the user's terminal."""


class _Messages(Fragmenter):
    """Messages from their fragments (MS-PSRP 2.2.4). pipeline: whose output is read, empty for the pool's."""

    _HEADER = struct.Struct(">QQBI")
    _START, _END = 1, 2
    _NUMBERS = frozenset(number for name, number in vars(MessageType).items() if name.isupper())

    def __init__(self, max_size: int, serializer: Serializer) -> None:
        super().__init__(max_size, serializer)
        self.pipeline = ""
        self._begun: dict[int, list[bytes]] = {}
        self._held = 0

    def defragment(self, data: bytes) -> list[Message]:
        """The messages that are complete now. Errors: MalformedAnswer."""
        position, complete = 0, []
        while position < len(data):
            if len(data) - position < self._HEADER.size:
                raise MalformedAnswer("a PSRP fragment breaks off")
            number, order, flags, length = self._HEADER.unpack_from(data, position)
            position += self._HEADER.size
            piece = data[position : position + length]
            position += length
            if len(piece) < length:
                raise MalformedAnswer("a PSRP fragment breaks off")
            joined = self._joined(number, order, flags, piece)
            if joined is not None:
                complete.append(joined)
        return [self._message(each) for each in complete]

    def _joined(self, number: int, order: int, flags: int, piece: bytes) -> bytes | None:
        """The message that ends with this fragment; None where none does."""
        pieces = self._begun.setdefault(number, [])
        if order != len(pieces) or bool(flags & self._START) != (order == 0):
            raise MalformedAnswer(f"fragment {order} of PSRP object {number} came out of order")
        pieces.append(piece)
        self._held += _held(piece)
        if self._held > MAX_MESSAGE:
            raise MalformedAnswer(f"a PSRP message is larger than {MAX_MESSAGE // 2**20} MiB")
        if not flags & self._END:
            return None
        del self._begun[number]
        self._held -= sum(map(_held, pieces))
        return b"".join(pieces)

    def _message(self, data: bytes) -> Message:
        if len(data) < 40:
            raise MalformedAnswer("a PSRP message breaks off in its header")
        kind = int.from_bytes(data[4:8], "little")
        if kind not in self._NUMBERS:
            raise MalformedAnswer(f"a PSRP message has the type 0x{kind:08X}, which does not exist")
        owner = uuid.UUID(bytes_le=data[24:40])
        if self.pipeline and owner.int and owner != uuid.UUID(self.pipeline):
            raise MalformedAnswer(f"a PSRP message belongs to another pipeline ({owner})")
        return Message.unpack(data, self.serializer)


def _held(piece: bytes) -> int:
    return len(piece) + 64  # what Python needs for it


class _Objects(Serializer):
    """Objects from their XML (MS-PSRP 2.2.5). Errors: MalformedAnswer, and whatever pypsrp stumbles over."""

    def deserialize(self, element: ET.Element | str, metadata: ObjectMeta | None = None, clear: bool = True) -> Any:
        """An object; one of a known type that lacks what its type has comes as any other does."""
        if isinstance(element, str) and element.lstrip().startswith("<"):
            element = parse(element, MAX_OBJECT_DEPTH)
        try:
            found = super().deserialize(element, metadata, clear)
        except SerializationError:
            if metadata is not None or not clear:
                raise
            found = super().deserialize(element, ObjectMeta("ObjDynamic", object=GenericComplexObject), clear)
        if isinstance(found, ComplexObject):
            found._xml = None
        return found
