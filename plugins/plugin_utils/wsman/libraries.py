# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The third-party libraries under a session, or the reason why one is missing. For this collection only.

Imported once and at module level, so that workers inherit them. Where one is missing every name stands for an empty
class: the modules above can be imported, and the action plugin tells the user before anything is used.
"""

from __future__ import annotations

import contextlib

__all__ = [
    "AuthenticationError",
    "CommandState",
    "ComplexObject",
    "ContextReq",
    "Fragmenter",
    "GenericComplexObject",
    "GssChannelBindings",
    "HTTPAdapter",
    "HTTPConnection",
    "HTTPConnectionPool",
    "HTTPNegotiateAuth",
    "HTTPSConnection",
    "HTTPSConnectionPool",
    "LogonErrors",
    "Message",
    "MessageType",
    "NegotiateOptions",
    "ObjectMeta",
    "PSInvocationState",
    "PowerShell",
    "PreparedRequest",
    "Process",
    "Response",
    "Retry",
    "RunspacePool",
    "RunspacePoolState",
    "SerializationError",
    "Serializer",
    "SignalCode",
    "SpnegoError",
    "TaggedValue",
    "WSMan",
    "WSManFaultError",
    "WinRMEncryption",
    "WinRMError",
    "WinRMTransportError",
    "WinRS",
    "certifi",
    "get_environ_proxies",
    "missing",
    "requests_errors",
    "spnego",
    "urllib3_errors",
]

missing = ""
"""What the import error said; empty where everything is there."""


class _Absent(Exception):
    """Stands for a name of a library that is not installed."""


try:
    import certifi
    import requests.exceptions as requests_errors
    import spnego
    import urllib3.exceptions as urllib3_errors
    from pypsrp.complex_objects import (
        ComplexObject,
        GenericComplexObject,
        ObjectMeta,
        PSInvocationState,
        RunspacePoolState,
    )
    from pypsrp.encryption import WinRMEncryption
    from pypsrp.exceptions import (
        AuthenticationError,
        SerializationError,
        WinRMError,
        WinRMTransportError,
        WSManFaultError,
    )
    from pypsrp.messages import Message, MessageType
    from pypsrp.negotiate import HTTPNegotiateAuth
    from pypsrp.powershell import Fragmenter, PowerShell, RunspacePool
    from pypsrp.serializer import Serializer, TaggedValue
    from pypsrp.shell import CommandState, Process, SignalCode, WinRS
    from pypsrp.wsman import WSMan
    from requests import PreparedRequest, Response
    from requests.adapters import HTTPAdapter
    from requests.utils import get_environ_proxies
    from spnego import ContextReq, NegotiateOptions
    from spnego.channel_bindings import GssChannelBindings
    from spnego.exceptions import SpnegoError
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.util.retry import Retry
except ImportError as error:
    missing = str(error)
    for _name in __all__:
        globals().setdefault(_name, _Absent)

# The extras of pypsrp raise their own; without them no session of theirs begins.
LogonErrors: tuple[type[Exception], ...] = (AuthenticationError, SpnegoError)
with contextlib.suppress(ImportError):
    from requests_credssp.exceptions import AuthenticationException, InvalidConfigurationException, NTStatusException

    LogonErrors += (AuthenticationException, InvalidConfigurationException, NTStatusException)
with contextlib.suppress(ImportError):
    from gssapi.raw.misc import GSSError  # type: ignore[import-not-found]
    from krb5 import Krb5Error  # type: ignore[import-not-found]

    LogonErrors += (GSSError, Krb5Error)
