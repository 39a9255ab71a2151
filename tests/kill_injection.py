"""Has a program killed with SIGKILL: at the n-th step of writing files in a folder, or where it reads a page."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from forbear.crawler.limits import bounded
from forbear.optout.decide import decide


def watch(left: int, folder: str) -> None:
    """Kills this process when the steps are used up: parts of files opened or renamed, folders opened to sync them."""

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event not in ("open", "os.rename") or not isinstance(arguments[0], str | os.PathLike):
            return
        path = Path(arguments[0])
        if folder in str(path) and (event == "os.rename" or path.suffix == ".part" or path.is_dir()):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def watch_pages(words: str) -> None:
    """Kills this process when it decides about a page with these words, as a fault in a library would."""

    def read(question: Any, captures: Any, policy: Any) -> Any:
        if any(words.encode() in capture.body for capture in captures):
            os.kill(os.getpid(), signal.SIGKILL)
        return decide(question, captures, policy)

    vars(bounded)["decide"] = read
