"""Starts ``forbear`` in no time: one process (``python -m tests.prefork``) has the libraries loaded, and forks.

Each request is a JSON object on a line: the fields of ``ForkRequest``, or ``wait`` with the pid of a program that was
started. Each answer is a line: the pid, or the exit code with the most memory it had (KiB), null while it runs.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from forbear.crawler.limits import workers
from tests.kill_injection import watch, watch_pages

ROOT = Path(__file__).parents[1]
LATE = ("forbear.crawler.fetch.handler", "forbear.crawler.crawl.pages", "forbear.crawler.crawl.scheduler", "psycopg")
"""What commands load only when they need it."""


@dataclass(frozen=True)
class ForkRequest:
    """``words``: the command line. ``folder`` has the files ``stdin``, which may be missing, ``stdout`` and ``stderr``.

    It runs in ``work`` with ``environment``; ``largest``: bytes that no file of it can grow beyond, as if the disk
    were full; ``dies``: the step of writing files in which folder that it is killed at; ``memory``: bytes
    that reading an answer may take; ``deadly``: words of a page that it dies of.
    """

    words: Sequence[str]
    folder: str
    work: str
    environment: dict[str, str]
    largest: int | None = None
    dies: tuple[int, str] | None = None
    memory: int | None = None
    deadly: str | None = None


@dataclass(frozen=True)
class Done:
    """How a program ended; ``memory`` is the most that it ever had, in MiB."""

    code: int
    stdout: str
    stderr: str
    memory: int

    @property
    def summary(self) -> dict[str, Any]:
        """What ``forbear crawl --json`` prints."""
        found: dict[str, Any] = json.loads(self.stdout)
        return found


@dataclass
class Process:
    """A program that was started; ``Done`` is what it left."""

    pid: int
    folder: Path
    forks: Prefork

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Sends a signal."""
        os.kill(self.pid, number)

    def wait(self, seconds: float = 200) -> Done:
        """What it printed, once it has ended; one that does not end is killed, and fails the test."""
        until = time.monotonic() + seconds
        while (ended := self.forks.ask(wait=self.pid)) is None:
            if time.monotonic() > until:
                os.kill(self.pid, signal.SIGKILL)
                raise TimeoutError(f"It did not end in {seconds} s: {(self.folder / 'stderr').read_text()}")
            time.sleep(0.01)
        self.forks.running.discard(self.pid)
        code, kibibytes = ended
        stdout, stderr = ((self.folder / name).read_bytes().decode() for name in ("stdout", "stderr"))
        return Done(code, stdout, stderr, kibibytes >> 10)


class Prefork:
    """Starts programs, and ends what of them still runs."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.prefork"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.running: set[int] = set()

    def ask(self, **asked: Any) -> Any:
        """One line there and one back."""
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.write(json.dumps(asked) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())

    def start(
        self,
        words: Sequence[str],
        folder: Path,
        *,
        work: Path = ROOT,
        stdin: bytes | None = None,
        env: dict[str, str] | None = None,
        largest: int | None = None,
        dies: tuple[int, str] | None = None,
        memory: int | None = None,
        deadly: str | None = None,
    ) -> Process:
        """``forbear`` with these words, in an environment without FORBEAR_ variables except ``env``."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("stdout", "stderr"):  # the caller may read them before the process has opened them
            (folder / name).write_bytes(b"")
        if stdin is not None:
            (folder / "stdin").write_bytes(stdin)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("FORBEAR_")}
        environment |= {"PYTHONPATH": str(ROOT), **(env or {})}
        pid = self.ask(
            **asdict(ForkRequest(list(words), str(folder), str(work), environment, largest, dies, memory, deadly))
        )
        self.running.add(pid)
        return Process(pid, folder, self)

    def stop(self) -> None:
        """Ends whatever still runs, this included."""
        for pid in self.running:
            os.kill(pid, signal.SIGKILL)
        self._server.communicate("")


def run(asked: ForkRequest) -> NoReturn:
    """Becomes the program, as ``python -m forbear`` would, and ends with its exit code.

    Threads are waited for and what is registered for the end is done, as ever. What Python would then do to free all
    that is loaded takes longer than most programs, and is left out.
    """
    if asked.largest:
        resource.setrlimit(resource.RLIMIT_FSIZE, (asked.largest, asked.largest))
    folder = Path(asked.folder)
    os.dup2(os.open(folder / "stdin" if (folder / "stdin").exists() else os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), number)
    # The old one has read ahead what others are asked.
    sys.stdin = open(0, encoding=sys.stdin.encoding, errors=sys.stdin.errors, closefd=False)  # noqa: SIM115
    os.chdir(asked.work)
    os.environ.clear()
    os.environ.update(asked.environment)
    from forbear.scripts.__main__ import main as program  # noqa: PLC0415 - as late as in a process of its own

    sys.argv = ["forbear", *asked.words]
    if asked.dies:
        watch(*asked.dies)
    if asked.deadly:
        watch_pages(asked.deadly)
    if asked.memory:
        workers.MEMORY = asked.memory
    code = 1
    try:
        program()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException:  # noqa: BLE001 - as Python does
        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    """Answers until its input ends."""
    from forbear.scripts.__main__ import COMMANDS, load  # noqa: PLC0415 - not in the process that asks

    for name in COMMANDS:
        load(name)
    for module in LATE:
        importlib.import_module(module)
    gc.freeze()  # or each would copy all of it, in order to look for what is in no use
    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            pid, status, used = os.wait4(asked["wait"], os.WNOHANG)
            print(json.dumps([os.waitstatus_to_exitcode(status), used.ru_maxrss] if pid else None), flush=True)
        else:
            pid = os.fork()
            if not pid:
                run(ForkRequest(**asked))
            print(pid, flush=True)


if __name__ == "__main__":
    main()
