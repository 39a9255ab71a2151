"""What a worker is asked to do: well-behaved calls, and those that it must not survive."""

from __future__ import annotations

import ctypes
import hashlib
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from forbear.optout.captures import Captures

_kept: list[bytearray] = []


def pid(*_anything: object) -> int:
    """The worker's."""
    return os.getpid()


def length(octets: bytes) -> tuple[int, bytes]:
    """How many bytes came, and the last ones."""
    return len(octets), octets[-3:]


def fail(word: str) -> NoReturn:
    """Raises what its caller is to catch."""
    raise ValueError(word)


def descriptors() -> list[str]:
    """What the worker has open."""
    return [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if os.path.lexists(link)]


def oom_score() -> str:
    """How gladly the kernel would end it."""
    return Path("/proc/self/oom_score_adj").read_text("ascii").strip()


def burn() -> NoReturn:
    """Takes processor time in Python."""
    while True:
        pass


def burn_at_a_bomb(_question: object, captures: Captures, _policy: object) -> float:
    """Takes processor time where a page has one."""
    if any(b"a bomb" in capture.body for capture in captures):
        burn()
    return 0.0


def burn_in_c() -> None:
    """Takes processor time in one call that Python cannot interrupt."""
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", 2_000_000_000)


def allocate() -> None:
    """Takes memory."""
    while True:
        _kept.append(bytearray(1 << 20))


def hide_it() -> str:
    """Takes memory, and says nothing of it: as libraries do that take a failed allocation for the end of the file."""
    taken = []
    try:
        while True:
            taken.append(bytearray(1 << 20))
    except MemoryError:
        return "a file that ends here"


def keep(octets: int) -> int:
    """Keeps memory for ever, as a cache would."""
    _kept.append(bytearray(octets))
    return os.getpid()


def crash() -> None:
    """Reads where nothing is."""
    ctypes.string_at(0)


def leave() -> NoReturn:
    """Ends the process as if all were well."""
    os._exit(0)


def wait() -> None:
    """Takes neither time of the processor nor memory, but for ever."""
    time.sleep(3600)


def ignored_signals() -> list[int]:
    """Signals that pass the worker by."""
    return [number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if _is_ignored(number)]


def _is_ignored(number: int) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN
