# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What NTLM must agree on before its keys may protect messages. For this collection only.

The flags of the challenge travel in clear. A server that knows no password, or somebody on the way, could take out of
them what makes the keys strong; without extended session security both directions even use the same key stream, and
answers could be made up from requests. Windows refuses that too (NtlmMinClientSec), Python's NTLM does not.
"""

from __future__ import annotations

import base64
import binascii

from ..errors import AuthenticationFailed

# MS-NLMP 2.2.2.5, without the prefix NTLMSSP_NEGOTIATE.
SIGN, SEAL, EXTENDED_SESSIONSECURITY = 0x10, 0x20, 0x80000
KEY_128 = 0x20000000
_NEEDED = {
    SIGN: "signatures",
    SEAL: "encryption",
    EXTENDED_SESSIONSECURITY: "extended session security",
    KEY_128: "128-bit keys",
}

# MS-NLMP 2.2.1.3, AUTHENTICATE_MESSAGE: signature, message type, six fields of eight bytes, then the flags.
_AUTHENTICATE = b"NTLMSSP\x00\x03\x00\x00\x00"
_FLAGS_AT = 60


def require_strong(authorization: str | bytes, where: str) -> None:
    """Refuses to log on with NTLM that agreed on less. authorization: of the header. Errors: AuthenticationFailed."""
    text = authorization.decode("latin-1") if isinstance(authorization, bytes) else authorization
    try:
        token = base64.b64decode(text.partition(" ")[2])
    except binascii.Error:
        return
    start = token.find(_AUTHENTICATE)
    if start < 0:
        return
    agreed = int.from_bytes(token[start + _FLAGS_AT : start + _FLAGS_AT + 4], "little")
    lacking = [name for flag, name in _NEEDED.items() if not agreed & flag]
    if lacking:
        raise AuthenticationFailed(
            f"{where} offers NTLM without {', '.join(lacking)}, which Windows grants: somebody on the way may "
            "have taken it out. The logon was not sent; use HTTPS or Kerberos"
        )
