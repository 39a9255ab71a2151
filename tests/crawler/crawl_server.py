"""Forks a ``forbear`` process for each line on standard input: a crawl starts in no time, the libraries being there.

A line is a JSON object with ``words`` (the command line), ``folder`` (where its stdout and stderr go) and ``largest``
(octets of a file beyond which its disk is full, or null), or with ``wait`` (the pid of one that was started). The
answers, a line each: the pid; or the exit code with the most memory it had (KiB), null while it runs.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
from pathlib import Path


def run(words: list[str], folder: Path, largest: int | None = None) -> None:
    """Becomes the program, as ``python -m scripts`` would, and ends as it does: with its exit code."""
    if largest:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), number)
    from scripts.__main__ import main as program  # noqa: PLC0415 - as late as in a process of its own

    sys.argv = ["forbear", *words]
    program()


def main() -> None:
    """Answers until its input ends."""
    for module in (
        "scripts.crawl",
        "scripts.config",
        "crawler.handler",
        "crawler.pages",
        "crawler.scheduler",
        "psycopg",
    ):
        importlib.import_module(module)
    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            pid, status, used = os.wait4(asked["wait"], os.WNOHANG)
            print(json.dumps([os.waitstatus_to_exitcode(status), used.ru_maxrss] if pid else None), flush=True)
        else:
            pid = os.fork()
            if not pid:
                return run(asked["words"], Path(asked["folder"]), asked["largest"])
            print(pid, flush=True)
    return None


if __name__ == "__main__":
    main()
