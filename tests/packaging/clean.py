"""Environments with nothing of this repository but what is installed, and commands run in them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.packaging.distributions import ROOT


def run(command: list[str | Path], folder: Path, **environment: str) -> str:
    """Runs a command as a user would, and returns what it printed."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    kept.pop("PYTHONPATH", None)
    done = subprocess.run(
        command, cwd=folder, env=kept | environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tracked() -> list[str]:
    """The files of the repository."""
    return run(["git", "ls-files"], ROOT).splitlines()


def copy(names: list[str], folder: Path) -> None:
    """Copies files of the repository; what was built from it before stays behind."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())


def borrow(environment: Path) -> None:
    """Lets a virtual environment use the packages of this one, but for the Forbear that is installed here.

    A path file leads to packages, not to the path files beside them, and so not to an editable Forbear.
    """
    [packages] = environment.glob("lib/python*/site-packages")
    borrowed = [name for name in sys.path if name.endswith("site-packages")]
    (packages / "borrowed.pth").write_text("\n".join(borrowed), "utf-8")
