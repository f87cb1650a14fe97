# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The IPv6 stack: which of its components the last start left on, the prefix policies, the hosts file.

The stack reads `DisabledComponents` (REG_DWORD in HKLM\\SYSTEM\\CurrentControlSet\\Services\\Tcpip6\\Parameters) while
Windows starts, so a change takes effect with the next start only; a value of another type is ignored
(https://learn.microsoft.com/en-us/troubleshoot/windows-server/networking/configure-ipv6-in-windows).

    tcpip6: {ipv4_precedence: 46, put_back: true}

`ipv4_precedence`: an administrator's own precedence for IPv4 in the prefix policies. `put_back`: a driver or a policy
keeps native IPv6 on, whatever the value says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from winsim.fleet import boolean, integer, mapping
from winsim.host import Host
from winsim.switches import declare

from . import Fault, Instance, Provider, PSObject, Wbem
from .operating_system import File, contributes_files
from .registry import Kind, RegistryState, contributes

__all__ = ["HOSTS", "Tcpip6", "has_native", "prefers_ipv4"]

tcpip6 = Provider("tcpip6")

STANDARD = "root/StandardCimv2"
SERVER_2012, SERVER_2008_R2 = 9200, 7600
PARAMETERS = "HKLM\\SYSTEM\\CurrentControlSet\\Services\\Tcpip6\\Parameters"
HOSTS = "C:\\Windows\\System32\\drivers\\etc\\hosts"
NATIVE, PREFER_IPV4 = 0x10, 0x20

declare(
    "tcpip6.prefix_policy_class",
    {
        "answers": "MSFT_NetPrefixPolicy answers queries",
        "fails": "its provider fails, only the cmdlet answers",
    },
    open_question="whether the class MSFT_NetPrefixPolicy answers where the cmdlet does",
    page="disable_ipv6",
)

declare(
    "tcpip6.policies_without_native",
    {
        "follow": "IPv4 comes first in the prefix policies if 0x20 is set, also with 0x10",
        "untouched": "with 0x10 the prefix policies stay as they are by default",
    },
    open_question="what the prefix policies look like where native IPv6 is off",
    page="disable_ipv6",
)

# RFC 6724 and, before it, RFC 3484: prefix, precedence, label.
RFC_6724 = (
    ("::1/128", 50, 0),
    ("::/0", 40, 1),
    ("::ffff:0:0/96", 35, 4),
    ("2002::/16", 30, 2),
    ("2001::/32", 5, 5),
    ("fc00::/7", 3, 13),
    ("fec0::/10", 1, 11),
    ("3ffe::/16", 1, 12),
    ("::/96", 1, 3),
)
RFC_3484 = (("::1/128", 50, 0), ("::/0", 40, 1), ("2002::/16", 30, 2), ("::/96", 20, 3), ("::ffff:0:0/96", 10, 4))
MAPPED = "::ffff:0:0/96"
ABOVE_ALL = 100
FIRST_BUILD_WITH_RFC_6724 = 9600

HOSTS_TEXT = {
    False: (
        "# Copyright (c) 1993-2006 Microsoft Corp.\r\n#\r\n\r\n"
        "127.0.0.1       localhost\r\n::1             localhost\r\n"
    ),
    True: (
        "# Copyright (c) 1993-2009 Microsoft Corp.\r\n#\r\n\r\n"
        "# localhost name resolution is handled within DNS itself.\r\n"
        "#\t127.0.0.1       localhost\r\n#\t::1             localhost\r\n"
    ),
}


@dataclass
class Tcpip6:
    """`active` is DisabledComponents as it was at the last start."""

    active: int | None = None
    ipv4_precedence: int | None = None
    put_back: bool = False


@tcpip6.section("tcpip6", Tcpip6)
def build(host: Host, data: Any, path: str) -> Tcpip6:
    given = mapping(data, path, {"ipv4_precedence", "put_back"})
    own = given.get("ipv4_precedence")
    return Tcpip6(
        ipv4_precedence=None if own is None else integer(own, f"{path}.ipv4_precedence", 0, 2**32 - 1),
        put_back=boolean(given.get("put_back", False), f"{path}.put_back"),
    )


@contributes
def parameters(host: Host) -> Mapping[str, Any]:
    return {
        PARAMETERS: {"Dhcpv6DUID": {"binary": "000100011c39cf88080027fe8ef9"}},
        "HKLM\\SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters": {
            "DataBasePath": {"expand": "%SystemRoot%\\System32\\drivers\\etc"},
        },
    }


@contributes_files
def hosts_file(host: Host) -> Iterable[File]:
    """The localhost lines are comments since Windows Server 2008 R2."""
    yield File(HOSTS, data=HOSTS_TEXT[host.build >= SERVER_2008_R2].encode("ascii"))


def configured(host: Host) -> int:
    """DisabledComponents as the registry has it now."""
    key = host.state(RegistryState).key(PARAMETERS)
    value = None if key is None else key.values.get("disabledcomponents")
    return value.data if value is not None and value.kind is Kind.DWORD and isinstance(value.data, int) else 0


@tcpip6.arm
def first_start(host: Host) -> None:
    """A host that has just been built started with the registry it has; a loaded one keeps what it had."""
    state = host.state(Tcpip6)
    if state.active is None:
        state.active = configured(host)


@tcpip6.boot
def starting(host: Host) -> None:
    host.state(Tcpip6).active = configured(host)


def has_native(host: Host) -> bool:
    """Whether adapters get IPv6 addresses since the last start."""
    state = host.state(Tcpip6)
    return state.put_back or not (state.active or 0) & NATIVE


def prefers_ipv4(host: Host) -> bool:
    active = host.state(Tcpip6).active or 0
    if active & NATIVE and host.switches["tcpip6.policies_without_native"] == "untouched":
        return False
    return bool(active & PREFER_IPV4)


# The prefix policies


@tcpip6.available(STANDARD)
def since_2012(host: Host) -> bool:
    return host.build >= SERVER_2012


def policies(host: Host, *, active: bool) -> Iterator[tuple[str, int, int]]:
    state = host.state(Tcpip6)
    for prefix, precedence, label in RFC_6724 if host.build >= FIRST_BUILD_WITH_RFC_6724 else RFC_3484:
        if prefix == MAPPED and active:
            precedence = ABOVE_ALL if prefers_ipv4(host) else precedence
            precedence = state.ipv4_precedence if state.ipv4_precedence is not None else precedence
        yield prefix, precedence, label


@tcpip6.instances(STANDARD, "MSFT_NetPrefixPolicy")
def prefix_policies(host: Host) -> Iterator[Instance]:
    if host.switches["tcpip6.prefix_policy_class"] == "fails":
        raise Fault(Wbem.PROVIDER_FAILURE, "The provider failed.")
    for store in (1, 0):
        for prefix, precedence, label in policies(host, active=store == 1):
            yield {
                "InstanceID": f"{prefix};{store}",
                "Prefix": prefix,
                "Precedence": precedence,
                "Label": label,
                "Store": store,
            }


@tcpip6.cmdlet("Get-NetPrefixPolicy")
def get_net_prefix_policy(host: Host, given: dict[str, Any], items: list[Any]) -> Iterator[PSObject]:
    for prefix, precedence, label in policies(host, active=True):
        yield PSObject(
            ("Microsoft.Management.Infrastructure.CimInstance#root/StandardCimv2/MSFT_NetPrefixPolicy",),
            {"Prefix": prefix, "Precedence": precedence, "Label": label, "Store": 1},
        )
