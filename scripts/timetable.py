"""What ``[[run.step]]`` of forbear.toml says: which command is due when (cron expressions, in UTC)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from croniter import croniter  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from forbear.storage.frontier.runs import StepRun

_KEYS = {"name": str, "command": list, "at": str}


class BadTimetable(ValueError):
    """A step that cannot be run; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Step:
    """A command with its words, and when it is due: five fields as in crontab(5), or @daily and the like."""

    name: str
    words: tuple[str, ...]
    at: str

    def due_at(self, last: StepRun | None) -> datetime | None:
        """When it is due next: None, at once, if it never ran or was cut short; else the first time since it began."""
        if last is None or last.finished_at is None:
            return None
        following: datetime = croniter(self.at, last.started_at.astimezone(UTC)).get_next(datetime)
        return following


def read(table: Any, commands: Collection[str]) -> list[Step]:
    """The steps in order, from the table ``[run]``; raises BadTimetable."""
    found = table.get("step", []) if isinstance(table, dict) else []
    if not isinstance(found, list) or not found:
        raise BadTimetable("there is no [[run.step]] in it: each has a name, a command and a time (at)")
    steps = [_step(number, entry, commands) for number, entry in enumerate(found, 1)]
    names = [step.name for step in steps]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadTimetable(f"two steps are called {twice!r}: the log of runs tells them apart by their names")
    return steps


def _step(number: int, entry: Any, commands: Collection[str]) -> Step:
    which = f"step {number}"
    if not isinstance(entry, dict) or set(entry) != set(_KEYS):
        raise BadTimetable(f"{which} has other keys than name, command and at")
    for key, kind in _KEYS.items():
        if not isinstance(entry[key], kind) or not entry[key]:
            raise BadTimetable(f"{key!r} of {which} is {entry[key]!r}")
    words = tuple(map(str, entry["command"]))
    if words[0] not in commands or words[0] in ("run", "serve"):
        raise BadTimetable(f"{which} calls {words[0]!r}, which is no command that ends by itself")
    if not croniter.is_valid(entry["at"]):
        raise BadTimetable(f"{which} is due at {entry['at']!r}, which is no time: write five fields as in crontab(5)")
    return Step(entry["name"], words, entry["at"])
