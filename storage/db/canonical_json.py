"""Canonical JSON (RFC 8785) of what the database holds: the form that is hashed and compared."""

from __future__ import annotations

import json
from typing import Any

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, check_circular=False).encode


def canonical(value: Any) -> str:
    """Returns RFC 8785 of text, whole numbers, booleans, lists, and objects whose keys are ASCII.

    There, sorting by code points is sorting by UTF-16 code units (3.2.3), and Python escapes what 3.2.2.2 wants. Half a
    surrogate pair, which a header may hold and RFC 8785 forbids, stays the escape that JSON has for it.
    """
    text = _encode(value)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
