"""The image: what .dockerignore lets in is all that the Dockerfile's steps need.

They run here one by one, without a container: a folder of the image is a folder of the test, and the locked packages
are borrowed from the environment that runs the tests. The second stage only copies the first one's result.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from tests.packaging.clean import borrow, copy, run, tracked
from tests.packaging.distributions import ROOT

HOME = "/opt/forbear"
LOCKED = "requirements/base.txt"


def steps() -> list[list[tuple[str, str]]]:
    """The instructions of the Dockerfile and what they are given, for each stage."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text("utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    stages: list[list[tuple[str, str]]] = []
    for name, _, words in (line.partition(" ") for line in lines):
        if name == "FROM":
            stages.append([])
        stages[-1].append((name, words))
    return stages


def is_let_in(name: str) -> bool:
    """Whether .dockerignore lets a file into the image's context: the last line that matches it decides."""
    is_in = True
    for line in (ROOT / ".dockerignore").read_text("utf-8").split():
        pattern = re.escape(line.removeprefix("!")).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
        if re.fullmatch(f"{pattern}(/.*)?", name):
            is_in = line.startswith("!")
    return is_in


@pytest.mark.parametrize(
    "name",
    [
        ".env",
        ".git/config",
        ".venv/bin/python",
        "build/lib/forbear/__init__.py",
        "forbear.db",
        "optout/__pycache__/decide.cpython-311.pyc",
        "tests/conftest.py",
        "tests/vectors/__pycache__/__init__.cpython-311.pyc",
    ],
)
def test_what_is_not_a_source_stays_outside(name: str):
    assert not is_let_in(name)


def test_the_image_is_built_from_what_is_let_in_and_decides(tmp_path: Path):
    context, image = tmp_path / "context", tmp_path / "image"
    copy([name for name in tracked() if is_let_in(name)], context)
    build, last = steps()
    folder = image
    for name, words in build:
        if name == "WORKDIR":
            folder = image / words.strip("/")
            folder.mkdir(parents=True)
        elif name == "COPY":
            source, target = words.split()
            if (context / source).is_dir():
                shutil.copytree(context / source, folder / target, dirs_exist_ok=True)
            else:
                (folder / target).mkdir(parents=True, exist_ok=True)
                shutil.copy(context / source, folder / target)
        elif name == "RUN" and LOCKED in shlex.split(words):
            assert (folder / LOCKED).is_file()
            run(
                [image / HOME.strip("/") / "bin" / "pip", "uninstall", "--yes", "setuptools"], folder
            )  # for the locked one
            borrow(image / HOME.strip("/"))
        elif name == "RUN":
            run(
                ["sh", "-ec", words.replace(HOME, f"{image}{HOME}")],
                folder,
                PATH=f"{Path(sys.executable).parent}:/usr/bin:/bin",
            )
        else:
            assert name == "FROM"
    assert ("COPY", f"--from=build {HOME} {HOME}") in last
    called = dict(last)
    command = [image / HOME.strip("/") / "bin" / word for word in json.loads(called["ENTRYPOINT"])]
    (data := tmp_path / "data").mkdir()
    assert "Usage: forbear" in run([*command, *json.loads(called["CMD"])], data)
    assert "passed" in run([*command, "conformance"], data)
