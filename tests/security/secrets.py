# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Looks for secrets wherever somebody could read them, in every form in which something could have written them."""

from __future__ import annotations

import base64
import json
import urllib.parse
from collections.abc import Iterator, Mapping
from xml.sax.saxutils import escape, quoteattr


def found(secrets: Mapping[str, str], places: Mapping[str, bytes]) -> list[str]:
    """Every form of a secret that is in a place, as a line each. secrets, places: by the name for that line.

    Letters may be of either case, as a product key may.
    """
    lines = []
    lowered = {place: content.lower() for place, content in places.items()}
    for name, secret in secrets.items():
        for form, text in forms(secret).items():
            lines += [f"{name}, {form}, in {place}" for place, content in lowered.items() if text.lower() in content]
    return lines


def forms(secret: str) -> dict[str, bytes]:
    """How a secret may be written, by the name of the form; those that look like another are left out."""
    written: dict[str, bytes] = {}
    for name, form in _written(secret):
        if form not in written.values():
            written[name] = form
    return written


def _written(secret: str) -> Iterator[tuple[str, bytes]]:
    plain = {"UTF-8": secret.encode(), "UTF-16": secret.encode("utf-16-le"), "UTF-16BE": secret.encode("utf-16-be")}
    for name, data in plain.items():
        yield name, data
        yield f"{name} in hex", data.hex().encode()
        yield f"{name} in hex with blanks", data.hex(" ").encode()
        yield f"{name} with \\x", "".join(f"\\x{byte:02x}" for byte in data).encode()
        for offset in range(3):
            yield f"{name} in base64 at {offset}", _base64(data, offset, base64.b64encode)
            yield f"{name} in URL-safe base64 at {offset}", _base64(data, offset, base64.urlsafe_b64encode)
    yield "escaped for XML", escape(secret).encode()
    yield "as an XML attribute", quoteattr(secret)[1:-1].encode()
    yield "with numbers for XML", "".join(f"&#{ord(letter)};" for letter in secret).encode()
    yield "escaped for a URL", urllib.parse.quote(secret, safe="").encode()
    yield "escaped for a form", urllib.parse.quote_plus(secret).encode()
    yield "escaped for JSON", json.dumps(secret)[1:-1].encode()
    yield "escaped for Python", repr(secret)[1:-1].encode()
    yield "backwards", secret[::-1].encode()


def _base64(data: bytes, offset: int, encode: object) -> bytes:
    """The letters that stand for `data` wherever it begins `offset` bytes after a group of three."""
    assert callable(encode)
    text: bytes = encode(b"\x00" * offset + data)
    # The first letters also stand for what is before, the last ones for what follows.
    begin = (offset * 8 + 5) // 6
    end = (offset + len(data)) * 8 // 6
    return text[begin:end]
