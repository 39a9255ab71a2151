"""How much work a call is, in steps that are counted, not in seconds: no machine is too slow for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

PER_OCTET = 20
"""Steps that a reader may take for each byte of a file made to keep it busy. The busiest takes twelve; where its work
grew with the square of the file, it would be thousands."""


def steps(call: Callable[[], object]) -> int:
    """The lines of Python that a call runs in this thread, counting each turn of a loop.

    A function written in C is one line, whatever it does; where one never ends, ``faulthandler_timeout`` ends it.
    """
    counted = 0

    def count(_frame: FrameType, _event: str, _argument: Any) -> Any:
        nonlocal counted
        counted += 1
        return count

    before = sys.gettrace()  # that of coverage, which is given back its place
    sys.settrace(count)
    try:
        call()
    finally:
        sys.settrace(before)
    return counted
