"""compose.yaml and the Kubernetes manifest call existing commands with existing options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.scripts.conftest import Run

ROOT = Path(__file__).parents[2]


def commands(path: Path) -> list[list[str]]:
    found: list[list[str]] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            found.extend(value[key] for key in ("command", "args") if key in value)
            value = list(value.values())
        if isinstance(value, list):
            for part in value:
                walk(part)

    for document in yaml.safe_load_all(path.read_text("utf-8")):
        walk(document)
    return found


@pytest.mark.parametrize("name", ["compose.yaml", "examples/kubernetes.yaml"])
def test_the_program_knows_the_words(name: str, forbear: Run) -> None:
    called = commands(ROOT / name)
    assert sorted(words[0] for words in called) == ["crawl", "db"]
    for words in called:
        # An unknown option is refused before --help is heard.
        assert forbear(*words, "--help").returncode == 0, words
        assert forbear(*words, "--no-such-option", "--help").returncode == 2
