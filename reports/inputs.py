"""Reads the operator's inputs from a TOML file, and checks each key."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from importlib import resources
from typing import Any


class BadInputs(ValueError):
    """A file of inputs cannot be used; the message is a sentence for a person."""


def read(text: str, known: Mapping[str, Mapping[str, type | tuple[type, ...]]]) -> dict[str, dict[str, Any]]:
    """Reads the tables of a TOML file; ``known`` has the keys of each table, with their types. Raises BadInputs.

    The name ``"paragraphs.*"`` in ``known`` means all tables in ``[paragraphs]``.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInputs(f"it is not TOML: {error}") from None
    for name, table in content.items():
        if not isinstance(table, dict):
            raise BadInputs(f"{name!r} is outside a table: move it to one of {_names(known)}")
        if f"{name}.*" in known:
            for key, inner in table.items():
                _check(f"{name}.{key}", inner, known[f"{name}.*"])
        elif name in known:
            _check(name, table, known[name])
        else:
            raise BadInputs(f"[{name}] is not known here: choose among {_names(known)}")
    return content


def _names(known: Mapping[str, Any]) -> str:
    return ", ".join(f"[{name}]" for name in known)


def _check(name: str, table: Any, keys: Mapping[str, type | tuple[type, ...]]) -> None:
    if not isinstance(table, dict):
        raise BadInputs(f"[{name}] is not a table: write [{name}] above its keys")
    for key, value in table.items():
        if key not in keys:
            raise BadInputs(f"[{name}] has a key {key!r} that is not known: choose among {', '.join(keys)}")
        if not isinstance(value, keys[key]) or (isinstance(value, bool) and keys[key] is not bool):
            raise BadInputs(f"[{name}]: {key} has the wrong type: write {_kind(keys[key])}")


def _kind(kind: type | tuple[type, ...]) -> str:
    words = {str: "a text", bool: "true or false", list: "a list", date: "a date like 2026-11-24", int: "a number"}
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return " or ".join(words.get(one, one.__name__) for one in kinds)


def shipped(name: str) -> dict[str, Any]:
    """Reads a TOML file of this package."""
    return tomllib.loads(resources.files("forbear.reports").joinpath(name).read_text(encoding="utf-8"))
