"""Recognises that a program ran out of memory, and says so in a sentence."""

from __future__ import annotations

import errno
import re

OUT_OF_MEMORY = (
    "There is not enough memory. Give the program more (ulimit -v, the limit of its container), or let it do less at a "
    "time: --concurrency and --max-bytes of a crawl, --jobs of a replay."
)

_SAYS_SO = re.compile(r"Cannot allocate memory|failed to map segment|can't start new thread|std::bad_alloc")


def sentence(error: BaseException) -> str:
    """What an error is to people: its own words, unless it is one of the many for memory that is used up."""
    return OUT_OF_MEMORY if is_out_of_memory(error) else str(error)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was missing: Python, Arrow and the loader of libraries each say it in their own way."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return isinstance(error, ImportError | RuntimeError) and _SAYS_SO.search(str(error)) is not None
