# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Much data from one host: records of an event log through cim_query, and the leases of two DHCP servers compared.

Answers come from memory, in the form and the size in which a host sends them: what is measured is this collection's own
work, from the bytes of an answer on, and not HTTP. ``python -m benchmarks.bulk`` prints the figures.
"""

from __future__ import annotations

import datetime
import gc
import itertools
import json
import time
import tracemalloc
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.fieldnotes.windows.plugins.plugin_utils.procedures.cim_query import CimQuery
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.procedures.dhcp.compare import (
    Comparison,
    Terms,
    compare,
)
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.procedures.dhcp.inventory import (
    FULL,
    Inventory,
    canonical,
    ordered,
)
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.windows.dhcp import LeaseMethods
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman import envelope
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.cim import Cim
from ansible_collections.fieldnotes.windows.plugins.plugin_utils.wsman.envelope import Request

RECORDS = LEASES = 100_000
LEASES_IN_A_SCOPE = 250
PAGE_BYTES = 150_000
"""Of an answer: what a client asks for by default is 153,600."""

QUERY = "SELECT RecordNumber, TimeGenerated, InsertionStrings FROM Win32_NTLogEvent WHERE EventCode = 12290"

_ID = "uuid:00000000-0000-4000-8000-000000000000"
_NOW = datetime.datetime(2026, 1, 31, 8, 15, tzinfo=datetime.timezone.utc)
_ENVELOPE = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
    ' xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
    ' xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration"'
    ' xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"'
    f' xml:lang="en-US"><s:Header><a:RelatesTo>{_ID}</a:RelatesTo></s:Header><s:Body>%s</s:Body></s:Envelope>'
)
_CLASS = (
    '<CLASS NAME="Win32_NTLogEvent"><PROPERTY.ARRAY NAME="InsertionStrings" TYPE="string"/>'
    '<PROPERTY NAME="RecordNumber" TYPE="uint32"/><PROPERTY NAME="TimeGenerated" TYPE="datetime"/></CLASS>'
)


class Canned:
    """A host whose answers were made beforehand; it also declares the class of the events."""

    def __init__(self, bodies: Iterable[str]) -> None:
        self._answers = iter([(_ENVELOPE % body).encode() for body in bodies])
        self.cim = Cim(self)
        self.session = self

    def exchange(self, request: Request, attempted: str) -> ET.Element:
        """As a session does it, without a wire."""
        answer = (_ENVELOPE % _CLASS).encode() if request.action == envelope.GET else next(self._answers)
        return envelope.body_of(answer, _ID)


def _pages(records: int) -> Iterator[str]:
    each = PAGE_BYTES // len(_record(records))
    for first in range(0, records, each):
        items = "".join(_record(number) for number in range(first, min(first + each, records)))
        end = "<n:EndOfSequence/>" if first + each >= records else ""
        name = "PullResponse" if first else "EnumerateResponse"
        context = "<n:EnumerationContext>uuid:1</n:EnumerationContext>"
        yield f"<n:{name}>{context}<n:Items>{items}</n:Items>{end}</n:{name}>"


def _record(number: int) -> str:
    strings = ("0x0", "5", f"pc{number}.example.test", f"0a6b1d3e-7c11-4a6e-9d7e-{number:012}", "0", "5", "43200")
    elements = "".join(f"<InsertionStrings>{text}</InsertionStrings>" for text in strings)
    moment = _NOW + datetime.timedelta(seconds=number)
    return (
        f"<w:XmlFragment>{elements}<RecordNumber>{number}</RecordNumber>"
        f"<TimeGenerated><Datetime>{moment:%Y-%m-%dT%H:%M:%S}Z</Datetime></TimeGenerated></w:XmlFragment>"
    )


def _scopes(leases: int, *, host: str) -> Iterator[str]:
    """What GetByScopeId answers for each scope. host: what clients are called."""
    for scope in range(leases // LEASES_IN_A_SCOPE):
        network = f"10.{scope >> 8}.{scope & 255}"
        elements = "".join(_lease(network, number, host) for number in range(1, LEASES_IN_A_SCOPE + 1))
        output = "p:GetByScopeId_OUTPUT"
        yield f"<{output} xmlns:p='urn:p'>{elements}<p:ReturnValue>0</p:ReturnValue></{output}>"


def _lease(network: str, number: int, host: str) -> str:
    expiry = _NOW + datetime.timedelta(days=8, seconds=number)
    return (
        f"<p:cmdletOutput><p:AddressState>Active</p:AddressState><p:ClientId>00-15-5d-0a-0b-{number:02x}</p:ClientId>"
        f"<p:ClientType>DHCP</p:ClientType><p:DnsRegistration>Complete</p:DnsRegistration><p:DnsRR>AandPTR</p:DnsRR>"
        f"<p:HostName>{host}{number}.example.test</p:HostName><p:IPAddress>{network}.{number}</p:IPAddress>"
        f"<p:LeaseExpiryTime><Datetime>{expiry:%Y-%m-%dT%H:%M:%S}Z</Datetime></p:LeaseExpiryTime>"
        f"<p:ScopeId>{network}.0</p:ScopeId></p:cmdletOutput>"
    )


def records_per_second(records: int = RECORDS) -> float:
    """Instances that cim_query reads in a second of processor time."""
    module: Any = CimQuery()
    unset = dict.fromkeys(("class", "filter", "match", "properties", "types", "max_results"))
    parameters = module.parameters({**unset, "wql": QUERY, "namespace": "root/cimv2", "references": False})
    host: Any = Canned(_pages(records))
    begin = time.process_time()
    result, _warnings = module.answer(host, parameters)
    seconds = time.process_time() - begin
    assert result["count"] == records
    return records / seconds


def streaming_memory(records: int) -> int:
    """Peak bytes while a query is read and each instance forgotten."""
    canned = Canned(_pages(records))
    gc.collect()
    tracemalloc.start()
    for _item in canned.cim.enumerate("root/cimv2", QUERY, "reading"):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def leases_compared(leases: int = LEASES) -> dict[str, float]:
    """Seconds of processor time for each part of the comparison of two servers, and for all of it."""
    old_host = Canned(_scopes(leases, host="pc"))
    new_host = Canned(_scopes(leases, host="pc"))
    renamed_host = Canned(_scopes(leases, host="desk"))
    marks = [time.process_time()]

    def mark(value: Any) -> Any:
        marks.append(time.process_time())
        return value

    old, new = mark((_read(old_host, leases), _read(new_host, leases)))
    mark(json.dumps(old.as_json()))
    same = mark(_compared(old, new))
    assert same.is_equal
    renamed = _read(renamed_host, leases)
    marks.append(time.process_time())
    assert len(mark(_compared(old, renamed)).tolerated["v4_leases"]) == leases
    reading, manifest, comparing, _reading_again, worst = (
        after - before for before, after in itertools.pairwise(marks)
    )
    return {
        "reading both": reading,
        "the manifest with its digests": manifest,
        "comparing": comparing,
        "comparing where each lease differs": worst,
        "all": reading + manifest + comparing,
    }


def _read(host: Canned, leases: int) -> Inventory:
    found: list[dict[str, Any]] = []
    for scope in range(leases // LEASES_IN_A_SCOPE):
        result = host.cim.invoke(LeaseMethods.GetByScopeId, ScopeId=f"10.{scope >> 8}.{scope & 255}.0")
        found.extend(canonical(lease) for lease in result.outputs["cmdletOutput"])
    return Inventory(FULL, "2026-01-31T08:15:00Z", {"v4_leases": ordered(found)})


def _compared(old: Inventory, new: Inventory) -> Comparison:
    return compare(old, new, Terms(now=_NOW, method="dhcpserver", nap=False))


def main() -> None:
    """Prints a line for each figure."""
    print(f"records of an event log that cim_query reads per second of CPU: {records_per_second():,.0f}")
    for records in (1_000, 10_000, RECORDS):
        peak = streaming_memory(records) // 1024
        print(f"peak memory while {records:,} records stream by: {peak:,} KiB")
    for part, seconds in leases_compared().items():
        print(f"two DHCP servers with {LEASES:,} leases, seconds of CPU, {part}: {seconds:.1f}")


if __name__ == "__main__":
    main()
