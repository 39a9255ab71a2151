"""What reports cite: files of the project, and tests by their names."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@cache
def _functions(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def missing(files: list[str], tests: list[str]) -> list[str]:
    """Those that are not there."""
    gone = [name for name in files if not (ROOT / name).is_file()]
    for name in tests:
        path, _, function = name.partition("::")
        if not (ROOT / path).is_file() or function not in _functions(path) or not function.startswith("test_"):
            gone.append(name)
    return gone
