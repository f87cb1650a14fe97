# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Why Kerberos gave no ticket, for a person. For this collection only.

By number: the words of the libraries are in the controller's language. The numbers are those of MIT's krb5.h and
gssapi.h, which Heimdal shares.
"""

from __future__ import annotations

_TABLE = -1765328384
"""ERROR_TABLE_BASE_krb5."""

_REASONS = {
    _TABLE + 6: "the realm knows no such user: check ansible_user, which is user@REALM, the realm in capitals",
    _TABLE + 7: "the realm knows no such host: the name must be the host's in the directory, not its address "
    "(ansible_host, ansible_psrp_negotiate_hostname_override or ansible_winrm_kerberos_hostname_override)",
    _TABLE + 18: "the account is locked, disabled or expired",
    _TABLE + 23: "the password has expired",
    _TABLE + 24: "the password is wrong",
    _TABLE + 32: "the ticket has expired: get another one with kinit, or give ansible_password",
    _TABLE + 37: "the clocks of controller and domain controller differ too much: set them",
    _TABLE + 141: "there is no ticket and no password: run kinit before the play, or give ansible_password",
    _TABLE + 154: "the controller knows no domain controller of this realm: name the realm in krb5.conf, in capitals",
    _TABLE + 156: "no domain controller of this realm answers: check the network, and the realm in krb5.conf",
}

_CREDENTIALS_EXPIRED = 11 << 16
"""GSS_S_CREDENTIALS_EXPIRED."""


def reason(error: Exception) -> str:
    """What an error of the libraries krb5, gssapi or pyspnego means, and what to do; empty for any other."""
    native = getattr(error, "base_error", None) or error
    if getattr(native, "maj_code", None) == _CREDENTIALS_EXPIRED:
        return _REASONS[_TABLE + 32]
    number = getattr(native, "err_code", None) or getattr(native, "min_code", None)
    if not isinstance(number, int):
        return ""
    # gssapi counts without a sign.
    return _REASONS.get(number - 2**32 if number >= 2**31 else number, "")
