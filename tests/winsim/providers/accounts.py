# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Local groups and their members (Win32_Group, Win32_GroupUser, Win32_UserAccount).

Section `groups` of a host: members by group; who is not in the host's `users` is an account of the domain.

    groups: {DHCP Administrators: [CORP\\dhcpops], DHCP Users: []}

SIDs follow from the names: those of a host are built on its own, those of a domain on the domain's.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from winsim.fleet import mapping, sequence, text
from winsim.host import Host

from . import Instance, Provider, Reference

__all__ = ["Accounts", "Group"]

accounts = Provider("accounts")

NAMESPACE = "root/cimv2"
USER, GROUP, ALIAS = 1, 2, 4
BUILTIN = {"Administrators": "S-1-5-32-544", "Users": "S-1-5-32-545", "Guests": "S-1-5-32-546"}


@dataclass
class Group:
    """A local group; members as `name` (of this host) or `DOMAIN\\name`."""

    name: str
    sid: str
    members: list[str] = field(default_factory=list)


@dataclass
class Accounts:
    """Local groups by lower-case name."""

    groups: dict[str, Group] = field(default_factory=dict)

    def add_group(self, host: Host, name: str) -> Group:
        """The group, made where it is missing."""
        sid = BUILTIN.get(name) or sid_of(host, name)
        return self.groups.setdefault(name.lower(), Group(name, sid))


def sid_of(host: Host, account: str) -> str:
    """The SID of an account of the host, or of a domain where the name says so."""
    owner, _, name = account.rpartition("\\")
    authority = zlib.crc32((owner or host.name).lower().encode())
    relative = 1000 + zlib.crc32(name.lower().encode()) % 60000
    return f"S-1-5-21-{authority}-{authority % 99991}-{authority % 65521}-{relative}"


@accounts.section("groups", Accounts)
def build(host: Host, data: Any, path: str) -> Accounts:
    state = Accounts()
    for name in BUILTIN:
        state.add_group(host, name)
    state.groups["administrators"].members += [user.name for user in host.users.values() if user.administrator]
    if host.has_feature("DHCP"):
        for name in ("DHCP Users", "DHCP Administrators"):
            state.add_group(host, name)
    for name, members in mapping(data, path).items():
        group = state.add_group(host, name)
        group.members = [text(each, f"{path}.{name}") for each in sequence(members, f"{path}.{name}")]
    return state


def _split(host: Host, account: str) -> tuple[str, str]:
    owner, _, name = account.rpartition("\\")
    return owner.upper() or host.name.upper(), name


@accounts.instances(NAMESPACE, "Win32_Group")
def groups(host: Host) -> Iterator[Instance]:
    for group in host.state(Accounts).groups.values():
        yield {
            "Caption": f"{host.name.upper()}\\{group.name}",
            "Description": "",
            "Domain": host.name.upper(),
            "LocalAccount": True,
            "Name": group.name,
            "SID": group.sid,
            "SIDType": ALIAS,
            "Status": "OK",
        }


@accounts.instances(NAMESPACE, "Win32_UserAccount")
def users(host: Host) -> Iterator[Instance]:
    members = [each for group in host.state(Accounts).groups.values() for each in group.members]
    known = dict.fromkeys([*(user.name for user in host.users.values()), *members])
    for account in known:
        domain, name = _split(host, account)
        yield {
            "Caption": f"{domain}\\{name}",
            "Disabled": False,
            "Domain": domain,
            "LocalAccount": domain == host.name.upper(),
            "Name": name,
            "SID": sid_of(host, account),
            "SIDType": USER,
            "Status": "OK",
        }


@accounts.instances(NAMESPACE, "Win32_GroupUser")
def memberships(host: Host) -> Iterator[Instance]:
    for group in host.state(Accounts).groups.values():
        for account in group.members:
            domain, name = _split(host, account)
            yield {
                "GroupComponent": Reference(
                    NAMESPACE, "Win32_Group", {"Domain": host.name.upper(), "Name": group.name}
                ),
                "PartComponent": Reference(NAMESPACE, "Win32_UserAccount", {"Domain": domain, "Name": name}),
            }
