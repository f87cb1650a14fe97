# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Message encryption of WinRM: `multipart/encrypted` bodies (MS-WSMV, 2.2.9.1)."""

from __future__ import annotations

import re
import struct

from spnego import ContextProxy
from spnego.exceptions import SpnegoError

SPNEGO = "application/HTTP-SPNEGO-session-encrypted"
KERBEROS = "application/HTTP-Kerberos-session-encrypted"
CREDSSP = "application/HTTP-CredSSP-session-encrypted"

_BOUNDARY = b"--Encrypted Boundary"
_CHUNK = 16384  # a TLS record holds no more, and CredSSP encrypts by TLS records
_HEAD = re.compile(
    rb"--\s?Encrypted Boundary\r\n"
    rb"\s*Content-Type:\s*(?P<protocol>[^\r\n]+)\r\n"
    rb"\s*OriginalContent:\s*type=[^\r\n]*;Length=(?P<length>\d+)\r\n"
    rb"--\s?Encrypted Boundary\r\n"
    rb"\s*Content-Type:\s*application/octet-stream\r\n",
    re.IGNORECASE,
)
_NEXT = re.compile(rb"--\s?Encrypted Boundary(--)?(\r\n|$)")


class NotEncryptedRight(Exception):
    """The body is not what message encryption makes, or the keys of this connection do not open it."""


def is_encrypted(content_type: str) -> bool:
    """Whether a Content-Type announces an encrypted message."""
    return content_type.lower().startswith(("multipart/encrypted", "multipart/x-multi-encrypted"))


def decrypt(context: ContextProxy, body: bytes) -> bytes:
    """The message inside an encrypted body; raises NotEncryptedRight."""
    message = b""
    position = 0
    while head := _HEAD.match(body, position):
        length = int(head["length"])
        start = head.end()
        # The cipher text is at least as long as the message: a boundary before that is cipher text by chance.
        end = _NEXT.search(body, start + 4 + length)
        if end is None:
            raise NotEncryptedRight("no closing boundary")
        (header,) = struct.unpack_from("<I", body, start)
        split = start + 4 + header
        try:
            part = context.unwrap_winrm(body[start + 4 : split], body[split : end.start()])
        except (SpnegoError, ValueError, struct.error) as error:
            raise NotEncryptedRight(str(error)) from error
        if len(part) != length:
            raise NotEncryptedRight(f"Length={length}, but the message has {len(part)} bytes")
        message += part
        if end[1]:
            return message
        position = end.start()
    raise NotEncryptedRight("no encrypted part where one must be")


def encrypt(context: ContextProxy, protocol: str, message: bytes) -> tuple[str, bytes]:
    """Content-Type and body of `message` encrypted with the keys of an authenticated connection."""
    several = protocol == CREDSSP and len(message) > _CHUNK
    size = _CHUNK if several else max(len(message), 1)
    parts = (_part(context, protocol, message[at : at + size]) for at in range(0, max(len(message), 1), size))
    kind = "multipart/x-multi-encrypted" if several else "multipart/encrypted"
    content_type = f'{kind};protocol="{protocol}";boundary="Encrypted Boundary"'
    return content_type, b"".join(parts) + _BOUNDARY + b"--\r\n"


def _part(context: ContextProxy, protocol: str, message: bytes) -> bytes:
    wrapped = context.wrap_winrm(message)
    return b"\r\n".join(
        (
            _BOUNDARY,
            b"\tContent-Type: " + protocol.encode(),
            b"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=%d"
            % (len(message) + wrapped.padding_length),
            _BOUNDARY,
            b"\tContent-Type: application/octet-stream",
            struct.pack("<I", len(wrapped.header)) + wrapped.header + wrapped.data,
        )
    )
