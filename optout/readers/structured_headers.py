"""Reads Structured Field Dictionaries (RFC 9651 3.2 and 4.2.2) with http-sf."""

from __future__ import annotations

import re
from typing import Any

import http_sf

from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.text import human_size

MAX_OCTETS = 65_536
"""A longer field is not read; http-sf takes a fiftieth of a second for this many bytes."""

# RFC 9651 3.3.7 has dates of fifteen digits, http-sf fails beyond the year 9999. No date matters here.
_FAR_DATE = re.compile(rb"@(-?)\d{12,15}(?!\d)")


def dictionary(field: bytes) -> dict[str, str | None]:
    """Returns the members: each key with its value where that is a Token, with None where it is anything else.

    Parameters are left out; the last value of a key counts (4.2.2). Field lines of the same name are joined with ", "
    before (4.2). Raises Unreadable if any part of the field is not a dictionary.
    """
    if len(field) > MAX_OCTETS:
        raise Unreadable(f"The field has more than {human_size(MAX_OCTETS)}.")
    try:
        members: Any = http_sf.parse(_FAR_DATE.sub(rb"@\g<1>0", field), tltype="dictionary")
    except http_sf.StructuredFieldError as error:
        raise Unreadable(f"It is not a dictionary (RFC 9651): {error}.") from None
    return {key: str(value) if isinstance(value, http_sf.Token) else None for key, (value, _) in members.items()}
