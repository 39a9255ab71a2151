"""Identifies the process that owns a lease, and checks whether it is still alive."""

from __future__ import annotations

import os
import socket
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def _pid_namespace() -> str:
    """Returns where process ids mean what they mean here: this host, this boot, this container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()[:8]
        namespace = str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    except OSError:  # not Linux
        boot = namespace = "-"
    return f"{socket.gethostname()}/{boot}/{namespace}"


def _started(pid: int) -> str | None:
    """Returns when a process started, in clock ticks since boot (proc(5)); ``-`` if unknown, None if it is dead."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]  # a zombie sends no requests
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        return "-"
    return "-"


def this_process() -> str:
    """Returns an id that no other process shares: place, process id and start time."""
    return f"{_pid_namespace()}:{os.getpid()}:{_started(os.getpid())}"


def is_dead(owner: str) -> bool:
    """Checks whether a process is known to have ended; one of another machine or container never is."""
    place, _, rest = owner.partition(":")
    pid, _, start = rest.partition(":")
    if place != _pid_namespace() or not pid.isdecimal():
        return False
    now = _started(int(pid))
    return now is None or (now != start and "-" not in (now, start))
