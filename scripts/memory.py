"""Recognises that the program ran out of memory, and words the message."""

from __future__ import annotations

import errno
import re

OUT_OF_MEMORY = (
    "There is not enough memory. Give the program more (ulimit -v, the limit of its container), or lower --concurrency "
    "and --max-bytes of a crawl, --jobs of a replay."
)

_MESSAGES = re.compile(r"Cannot allocate memory|failed to map segment|can't start new thread|std::bad_alloc")


def message_of(error: BaseException) -> str:
    """Returns the message of an error, or a sentence about memory if it is one of the many that mean it ran out."""
    return OUT_OF_MEMORY if is_out_of_memory(error) else str(error)


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether memory ran out, which Python, Arrow and the dynamic linker report differently."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return isinstance(error, ImportError | RuntimeError) and _MESSAGES.search(str(error)) is not None
