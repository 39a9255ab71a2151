"""Pages made from the code: the commands with their options, the folders and their imports."""

from __future__ import annotations

import subprocess
import sys

import pytest

from forbear.scripts.__main__ import LOADERS
from tests import architecture, cli_reference


def test_the_reference_has_every_command_and_option_as_help_prints_them() -> None:
    page = cli_reference.PAGE.read_text(encoding="utf-8")
    assert cli_reference.page(page) == page, f"{cli_reference.PAGE}: out of date; run `make pages` and commit it."
    for name in LOADERS:
        assert f"\n### forbear {name}\n" in page


def test_the_architecture_is_drawn_as_the_imports_are() -> None:
    """In a process of its own: grimp finds the folders only where nothing of forbear is imported yet."""
    command = [sys.executable, "-m", "tests.architecture", "--check"]
    done = subprocess.run(command, cwd=architecture.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_parts_that_import_each_other_are_named() -> None:
    with pytest.raises(ValueError, match="import each other: a, b"):
        architecture.floors({"a": frozenset("b"), "b": frozenset("a"), "c": frozenset()})
