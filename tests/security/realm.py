# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Kerberos realm of its own: MIT's KDC on a port of 127.0.0.1, its database and everything else in one folder."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
from pathlib import Path
from typing import Self

NAME = "CORP.EXAMPLE"
UNREACHABLE = "DEAD.EXAMPLE"
MASTER_PASSWORD = "of-the-database"

_KRB5_CONF = """\
[libdefaults]
    default_realm = {name}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    rdns = false
    udp_preference_limit = 1
    default_ccache_name = FILE:{folder}/no-cache
[realms]
    {name} = {{
        kdc = 127.0.0.1:{port}
    }}
    {unreachable} = {{
        kdc = 127.0.0.1:1
    }}
[domain_realm]
    .corp.example = {name}
    .dead.example = {unreachable}
"""
_KDC_CONF = """\
[kdcdefaults]
    kdc_listen = 127.0.0.1:{port}
    kdc_tcp_listen = 127.0.0.1:{port}
[realms]
    {name} = {{
        database_name = {folder}/principal
        key_stash_file = {folder}/stash
        max_life = 10h
        supported_enctypes = aes256-cts:normal
        default_principal_flags = +preauth
    }}
[logging]
    kdc = STDERR
"""


class Realm:
    """CORP.EXAMPLE, up while the ``with`` block lasts. environment: what a process needs to be in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keytab = folder / "hosts.keytab"
        self.environment = {
            "KRB5_CONFIG": str(folder / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(folder / "kdc.conf"),
            "KRB5_KTNAME": f"FILE:{self.keytab}",
            "KRB5CCNAME": f"FILE:{folder}/no-cache",
            # The acceptor remembers tickets for five minutes in a file of the user's, where two runs would meet.
            "KRB5RCACHETYPE": "none",
        }

    def __enter__(self) -> Self:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        words = {"name": NAME, "unreachable": UNREACHABLE, "folder": self.folder, "port": port}
        (self.folder / "krb5.conf").write_text(_KRB5_CONF.format(**words), encoding="utf-8")
        (self.folder / "kdc.conf").write_text(_KDC_CONF.format(**words), encoding="utf-8")
        self._run("kdb5_util", "create", "-s", "-r", NAME, "-P", MASTER_PASSWORD)
        self._kdc = subprocess.Popen(
            ["krb5kdc", "-n"],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        said = []
        assert self._kdc.stderr is not None
        for line in self._kdc.stderr:
            said.append(line)
            if "commencing operation" in line:
                break
        else:
            raise RuntimeError(f"the KDC did not start: {''.join(said)}")
        return self

    def __exit__(self, *exception: object) -> None:
        self._kdc.terminate()
        self._kdc.communicate()

    def add_user(self, name: str, password: str) -> None:
        """A user of the realm."""
        self._admin(f"addprinc -pw {password} {name}")

    def add_host(self, name: str) -> None:
        """The services of a Windows host that WinRM clients ask for, with their keys in the keytab."""
        services = [f"{service}/{name}" for service in ("HTTP", "WSMAN", "host")]
        self._admin(*(f"addprinc -randkey {service}" for service in services))
        self._admin(f"ktadd -k {self.keytab} {' '.join(services)}")

    def change_key(self, service: str) -> None:
        """The directory gets a new key of a service, and its host does not know it."""
        self._admin(f"change_password -randkey {service}")

    def kinit(self, user: str, password: str, cache: Path, *options: str) -> str:
        """Gets a ticket into a cache; its name for KRB5CCNAME."""
        self._run("kinit", "-c", f"FILE:{cache}", *options, f"{user}@{NAME}", given=f"{password}\n")
        return f"FILE:{cache}"

    def is_valid(self, cache: Path) -> bool:
        """Whether a cache holds a ticket that has not expired."""
        command = ["klist", "-s", "-c", f"FILE:{cache}"]
        return subprocess.run(command, env={**os.environ, **self.environment}, check=False).returncode == 0

    def _admin(self, *commands: str) -> None:
        self._run("kadmin.local", given="".join(f"{command}\n" for command in commands))

    def _run(self, *command: str, given: str = "") -> None:
        result = subprocess.run(
            command,
            env={**os.environ, **self.environment},
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if result.returncode:
            raise RuntimeError(f"{command[0]}: {result.stdout}")


def skew(cache: Path, seconds: int) -> None:
    """Lets whoever uses a cache believe that the KDC's clock is `seconds` ahead, as it is after a kinit on such a KDC.

    The file format: https://web.mit.edu/kerberos/krb5-latest/doc/formats/ccache_file_format.html
    """
    data = cache.read_bytes()
    version, length = struct.unpack_from(">HH", data)
    if version != 0x0504:
        raise ValueError(f"a cache of format {version:#06x}")
    header = struct.pack(">HHii", 1, 8, seconds, 0)
    cache.write_bytes(struct.pack(">HH", version, len(header)) + header + data[4 + length :])
