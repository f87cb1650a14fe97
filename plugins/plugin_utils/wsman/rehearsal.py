# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is slow the first time, done once before Ansible forks its workers. For this collection only.

A worker lives for one task, so for it everything is the first time: cryptography looks OpenSSL's algorithms up, Python
its codecs. What the parent process has found, the workers inherit.
"""

from __future__ import annotations

import contextlib
import struct

from .libraries import NegotiateOptions, SpnegoError, spnego

# MS-NLMP 2.2.2.5: the flags with which Windows answers; Unicode, signatures, encryption, 128-bit keys among them.
_FLAGS = 0xE28A8235


def rehearse() -> None:
    """Goes through NTLM without anybody at the other end: 3 ms here instead of in each task."""
    # Where pyspnego cannot do it, the user who asks for NTLM is told.
    with contextlib.suppress(SpnegoError, ValueError, ImportError):
        context = spnego.client(
            "user", "password", hostname="host", protocol="ntlm", options=NegotiateOptions.wrapping_winrm
        )
        context.step()
        context.step(_challenge())
        context.wrap_winrm(b"message")


def _challenge() -> bytes:
    """CHALLENGE_MESSAGE (MS-NLMP 2.2.1.2) of a server without a name."""
    end_of_list = b"\x00\x00\x00\x00"
    name, info = (0, 0, 56), (len(end_of_list), len(end_of_list), 56)
    head = struct.pack("<8sIHHIIQQHHIQ", b"NTLMSSP\x00", 2, *name, _FLAGS, 1, 0, *info, 0x0F0000000000000A)
    return head + end_of_list
