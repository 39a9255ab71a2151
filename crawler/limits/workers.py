"""A pool of processes that read bytes from strangers, with limits on processor time and memory.

A reader written in C or Rust cannot be interrupted from Python, and one that recurses or inflates can use up memory
before anybody notices. So a worker does that work: a process of its own, started when first needed and then kept. Going
beyond a limit ends the worker, never its parent; the caller gets TooCostly, and the next call gets a new worker. The
kernel enforces the limits: setitimer(ITIMER_PROF) counts the processor time of a call, native code included, and
RLIMIT_DATA bounds what the process may allocate (on Linux; elsewhere its peak is checked after the call).
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import io
import json
import os
import pickle
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from forbear.optout import policy as policies
from forbear.optout.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 5.0
"""Processor time that a call may take."""
MEMORY = 400 << 20
"""Bytes of memory that a worker may use, including what it starts with."""
PATIENCE = 120.0
"""Seconds until a worker is given up that uses neither: it waits, or the machine has no time for it."""
MOST_WORKERS = 4

_NEARLY = 0.95
"""A call that used this share of the memory may have hit the limit: libraries do not always report that."""
_GROWTH = 64 << 20
"""A worker whose idle memory has grown by this much is replaced, so that the next call has room."""
_LARGE = 1 << 16
"""Bytes objects of this size or more are sent beside the pickle, without a copy."""
_OUT_OF_MEMORY = 3
"""Exit code of a worker."""

_PRELOADED = ("forbear.optout.decide",)
_START = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from forbear.crawler.limits.workers import serve;"
    " serve(int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))"
)

T = TypeVar("T")


class TooCostly(Exception):
    """A call exceeded a limit of its worker; the message says which one."""


class WorkerPool:
    """Calls functions in at most ``size`` workers at a time; safe to use from several threads.

    A function is sent by name, so it must be in a module that a worker can import. Its arguments and its result or
    exception are pickled. ``seconds`` and ``memory`` (bytes) limit each call; the defaults are SECONDS and MEMORY.
    """

    def __init__(self, size: int | None = None, *, seconds: float | None = None, memory: int | None = None) -> None:
        self._limits = (seconds or SECONDS, memory or MEMORY)
        size = size or min(os.cpu_count() or 1, MOST_WORKERS)
        self._room = threading.Semaphore(size)
        self._idle: deque[_Worker] = deque()
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="forbear-worker")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Waits until all workers are idle, and ends them."""
        self._threads.shutdown()
        while self._idle:
            self._idle.pop().end()

    def run(self, function: Callable[..., T], *args: Any) -> T:
        """Calls a function in a worker and waits. Raises what it raises, TooCostly, or OSError if no worker starts."""
        with self._room:
            worker = self._take()
            kept = False
            try:
                answer, kept = worker.ask(function, args)
            finally:
                if kept:
                    self._idle.append(worker)
                else:
                    worker.end()
        if isinstance(answer, _Raised):
            raise answer.error
        result: T = answer
        return result

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Like ``run``, without blocking the event loop."""
        return await self.run_in_thread(self.run, function, *args)

    async def run_in_thread(self, function: Callable[..., T], *args: Any) -> T:
        """Calls a function that uses ``run`` in a thread of the pool, which has one for each worker."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    def _take(self) -> _Worker:
        """Returns the most recently used worker that is alive, so that no more are kept than needed."""
        while True:
            try:
                worker = self._idle.pop()
            except IndexError:
                return _Worker(*self._limits)
            if worker.is_alive:
                return worker
            worker.end()


class _Worker:
    """The parent's side of a worker. Raises OSError if it cannot be started."""

    def __init__(self, seconds: float, memory: int) -> None:
        self._seconds, self._memory = seconds, memory
        self._policies: set[str] = set()
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(PATIENCE)
        arguments = [json.dumps(sys.path), str(theirs.fileno()), str(seconds), str(memory)]
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 our own interpreter, our own words
                [sys.executable, "-c", _START, *arguments],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=None if os.environ.get("FORBEAR_DEBUG") else subprocess.DEVNULL,
                start_new_session=True,  # signals from the terminal are for the parent
            )
        try:
            ready = self._socket.recv(1)
        except OSError:
            ready = b""
        if not ready:
            self.end()
            raise OSError(
                f"A process that reads files could not be started ({sys.executable} ended with"
                f" {self._process.returncode}): see what it prints with FORBEAR_DEBUG=1."
            )

    @property
    def is_alive(self) -> bool:
        """Whether the process is still running."""
        return self._process.poll() is None

    def ask(self, function: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Any, bool]:
        """Returns the answer, and whether the worker can be used again. Raises TooCostly; then it cannot."""
        self._socket.settimeout(PATIENCE)
        try:
            _send(self._socket, (f"{function.__module__}:{function.__qualname__}", args), self._policies)
            answer, worn = _receive(self._socket, {})
        except TimeoutError:
            raise TooCostly(f"no answer came within {PATIENCE:g} seconds") from None
        except (EOFError, ConnectionError):
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE)
            raise TooCostly(self._why()) from None
        return answer, not worn

    def _why(self) -> str:
        """Returns which limit ended the worker."""
        code = self._process.returncode or 0
        if code == -signal.SIGPROF:
            return f"more than {self._seconds:g} seconds of processor time were needed"
        if code == _OUT_OF_MEMORY:
            return f"more than {self._memory >> 20} MiB of memory were needed"
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"the process that read it was ended by {how}"

    def end(self) -> None:
        """Kills the worker: it holds nothing that could be lost."""
        self._socket.close()
        self._process.kill()
        self._process.wait()


# --- what goes between the two


class _Raised:
    """An exception that a function raised."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class _Pickler(pickle.Pickler):
    """Leaves large bytes objects out of the pickle, and sends only the digest of a policy the other side has."""

    def __init__(self, file: io.BytesIO, known: set[str]) -> None:
        super().__init__(file, 5)
        self.large: list[bytes] = []
        self._known = known

    def persistent_id(self, item: Any) -> tuple[str, Any] | None:
        """Implements pickling."""
        if type(item) is bytes and len(item) >= _LARGE:
            self.large.append(item)
            return "large", len(item)
        if isinstance(item, Policy):
            content = None if item.digest in self._known else item.content
            self._known.add(item.digest)
            return item.digest, content
        return None


class _Unpickler(pickle.Unpickler):
    """Restores what _Pickler left out."""

    def __init__(self, file: io.BytesIO, large: list[bytes], policies: dict[str, Policy]) -> None:
        super().__init__(file)
        self._large, self._policies = iter(large), policies

    def persistent_load(self, pid: tuple[str, Any]) -> Any:
        """Implements pickling."""
        name, content = pid
        if name == "large":
            return next(self._large)
        if content is not None:
            self._policies[name] = policies.restore(content)
        return self._policies[name]


def _send(to: socket.socket, message: Any, known: set[str]) -> None:
    """Sends the sizes of all parts, then the parts: the pickle, and the large bytes objects it leaves out."""
    file = io.BytesIO()
    pickler = _Pickler(file, known)
    pickler.dump(message)
    parts: list[bytes | memoryview] = [file.getbuffer(), *pickler.large]
    sizes = json.dumps([len(part) for part in parts]).encode()
    to.sendall(len(sizes).to_bytes(4, "big") + sizes)
    for part in parts:
        to.sendall(part)


def _receive(of: socket.socket, known: dict[str, Policy]) -> Any:
    """Receives a message. Raises EOFError if the other side is gone."""
    sizes = json.loads(_octets(of, int.from_bytes(_octets(of, 4), "big")))
    first, *large = [_octets(of, size) for size in sizes]
    return _Unpickler(io.BytesIO(first), large, known).load()


def _octets(of: socket.socket, size: int) -> bytes:
    """Receives exactly ``size`` bytes, without a copy if they arrive in one piece. Raises EOFError."""
    octets = of.recv(size, socket.MSG_WAITALL) if size else b""
    while len(octets) < size:
        more = of.recv(size - len(octets))
        if not more:
            raise EOFError
        octets += more
    return octets


# --- in the worker


def serve(descriptor: int, seconds: float, memory: int) -> None:
    """Answers calls until the parent is gone: the main loop of a worker."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # its parent ends it
        signal.signal(ignored, signal.SIG_IGN)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(
            "1000", "ascii"
        )  # the kernel should kill this process before its parent
    for name in _PRELOADED:
        importlib.import_module(name)
    gc.freeze()
    os.nice(5)  # its parent has requests to answer
    begun, known = _limit(memory), dict[str, Policy]()
    with socket.socket(fileno=descriptor) as parent:
        parent.sendall(b"\1")
        try:
            while True:
                answer = _answer(parent, seconds, known)
                if (_memory("VmHWM") or _peak()) > _NEARLY * memory:
                    os._exit(_OUT_OF_MEMORY)
                _send(parent, (answer, _memory("VmData") - begun > _GROWTH), set())
                del answer
        except (EOFError, ConnectionError):
            pass
        except MemoryError:
            os._exit(_OUT_OF_MEMORY)


def _answer(parent: socket.socket, seconds: float, known: dict[str, Policy]) -> Any:
    name, args = _receive(parent, known)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    module, _, path = name.partition(":")
    try:
        function: Any = importlib.import_module(module)
        for part in path.split("."):
            function = getattr(function, part)
        answer = function(*args)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 raised again in the parent
        answer = _Raised(error)
    signal.setitimer(signal.ITIMER_PROF, 0)
    return answer


def _limit(memory: int) -> int:
    """Limits the process to ``memory`` bytes in all; returns how much it has allocated already."""
    begun = _memory("VmData")
    if begun:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        most = max(memory - _memory("VmRSS"), 0) + begun
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    return begun


def _memory(what: str) -> int:
    """Returns the bytes in memory now (VmRSS), at most (VmHWM) or allocated (VmData); 0 on other systems."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text("ascii").splitlines():
            if line.startswith(what):
                return int(line.split()[1]) << 10
    return 0


def _peak() -> int:
    """Returns the peak memory on other systems; on Linux this figure would include the parent's."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
