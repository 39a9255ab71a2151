"""Reads ``[[run.step]]`` of forbear.toml: which command runs when (cron expressions, in UTC)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from croniter import croniter  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from forbear.storage.frontier.runs import StepRun

_KEYS = {"name": str, "command": list, "at": str}


class BadSchedule(ValueError):
    """A step that cannot be run; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Step:
    """A command with its arguments, and when it is due: five fields as in crontab(5), or @daily and the like."""

    name: str
    words: tuple[str, ...]
    at: str

    def due_at(self, last: StepRun | None) -> datetime | None:
        """Returns when it is due after its last run; None, which means now, if it never ran or did not finish."""
        if last is None or last.finished_at is None:
            return None
        following: datetime = croniter(self.at, last.started_at.astimezone(UTC)).get_next(datetime)
        return following


def read(table: Any, commands: Collection[str]) -> list[Step]:
    """Reads the steps of the table ``[run]``, in order; raises BadSchedule."""
    found = table.get("step", []) if isinstance(table, dict) else []
    if not isinstance(found, list) or not found:
        raise BadSchedule("it has no [[run.step]]; add one with a name, a command and a time (at)")
    steps = [_step(number, entry, commands) for number, entry in enumerate(found, 1)]
    names = [step.name for step in steps]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadSchedule(f"two steps are named {twice!r}; give each its own name")
    return steps


def _step(number: int, entry: Any, commands: Collection[str]) -> Step:
    which = f"step {number}"
    if not isinstance(entry, dict) or set(entry) != set(_KEYS):
        raise BadSchedule(f"{which} must have exactly the keys name, command and at")
    for key, kind in _KEYS.items():
        if not isinstance(entry[key], kind) or not entry[key]:
            wanted = "a list of words" if kind is list else "a text"
            raise BadSchedule(f"{key!r} of {which} is {entry[key]!r}; write {wanted}")
    words = tuple(map(str, entry["command"]))
    if words[0] not in commands or words[0] in ("run", "serve"):
        raise BadSchedule(f"{which} runs {words[0]!r}, which is not a command that ends by itself")
    if not croniter.is_valid(entry["at"]):
        raise BadSchedule(f"{which} is due at {entry['at']!r}, which is not a time; write five fields as in crontab(5)")
    return Step(entry["name"], words, entry["at"])
