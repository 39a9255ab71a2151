"""What pyproject.toml requires, and which of the packages installed here it leads to."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]

HIDE = """
import json, sys

class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        return None if name in NAMES else self.finder.find_spec(name, path, target)

NAMES = set(json.loads(sys.argv.pop(1)))
sys.meta_path[:] = map(Hiding, sys.meta_path)
"""


def names(requirements: Iterable[str]) -> set[str]:
    """The distributions named by these requirements."""
    return {canonicalize_name(Requirement(each).name) for each in requirements}


def closure(*extras: str) -> set[str]:
    """The distributions that `pip install 'forbear[EXTRA,…]'` brings, as far as they are installed here."""
    found: set[tuple[str, str]] = set()
    waiting = [*PROJECT["dependencies"], *(f"forbear[{extra}]" for extra in extras)]
    while waiting:
        one = Requirement(waiting.pop())
        name = canonicalize_name(one.name)
        for extra in ("", *one.extras):
            if (name, extra) in found or (one.marker and not one.marker.evaluate({"extra": ""})):
                continue
            found.add((name, extra))
            waiting += EXTRAS.get(extra, []) if name == "forbear" else _required(name, extra)
    return {name for name, _ in found}


def _required(name: str, extra: str) -> list[str]:
    try:
        lines = requires(name) or []
    except PackageNotFoundError:  # for another platform
        return []
    found = []
    for line in lines:
        one = Requirement(line)
        if one.marker is None or one.marker.evaluate({"extra": extra}):
            one.marker = None
            found.append(str(one))
    return found


@cache
def modules() -> dict[str, set[str]]:
    """The names that can be imported here, each with the distributions that have it."""
    return {module: set(map(canonicalize_name, found)) for module, found in packages_distributions().items()}


def hidden(*extras: str) -> list[str]:
    """The names that cannot be imported after `pip install 'forbear[EXTRA,…]'`, but can be here."""
    brought = closure(*extras) | {"forbear"}
    return sorted(module for module, found in modules().items() if not found & brought)


def without(program: str, *words: str, extras: Iterable[str] = ()) -> list[str]:
    """The words after `python` that run a program as if only these extras were installed."""
    return ["-c", HIDE + program, json.dumps(hidden(*extras)), *words]
