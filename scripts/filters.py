"""The options that select decisions, the same for every command that reads the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from forbear.optout.model import Stage, Verdict
from forbear.scripts import options
from forbear.scripts.options import option
from forbear.storage.reads.queries import Filter

Command = TypeVar("Command", bound=Callable[..., Any])

_VERDICTS = click.Choice([str(word) for word in Verdict])


class TimeParameter(click.ParamType[datetime]):
    """A day, which means its first moment in UTC, or a time as in RFC 3339."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Converts a text to a time, or fails with an example."""
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time: write 2026-01-31 or 2026-01-31T12:00:00Z.", param, ctx)
        return at if at.tzinfo else at.replace(tzinfo=UTC)


_OPTIONS = (
    option("--domain", help="Only decisions about this domain or host."),
    option("--subdomains/--no-subdomains", default=True, help="With --domain: include its subdomains."),
    option("--url", "url_prefix", metavar="PREFIX", help="Only URLs with this prefix."),
    option("--protocol", type=options.text, help="Only with a reason from this protocol, such as robots or tdmrep."),
    option(
        "--measure",
        type=options.text,
        help="Only with a reason under this paragraph of the Copyright chapter, such as '1.3(1)(b)'.",
    ),
    option("--verdict", type=_VERDICTS, help="Only decisions with this verdict."),
    option("--standard", type=_VERDICTS, help="Only with this verdict in profile standard."),
    option("--strict", type=_VERDICTS, help="Only with this verdict in profile strict."),
    option(
        "--stage",
        type=click.Choice([str(word) for word in Stage]),
        help="Only decisions made before the page was requested, or after.",
    ),
    option("--crawl", metavar="ID", type=options.text, help="Only decisions of this crawl."),
    option("--since", type=TimeParameter(), help="Only decisions since this day or time."),
    option("--until", type=TimeParameter(), help="Only decisions before this day or time."),
    option("--limit", type=click.IntRange(1, 10**9), help="Only this many rows, the newest."),
)


def filters(command: Command) -> Command:
    """Gives a command the options of a Filter."""
    for decorator in reversed(_OPTIONS):
        command = decorator(command)
    return command


def build_filter(conditions: Mapping[str, Any]) -> Filter:
    """Builds the Filter from the values of these options."""
    words: dict[str, type[Verdict] | type[Stage]] = dict.fromkeys(("verdict", "standard", "strict"), Verdict)
    given = {name: kind(value) for name, kind in (words | {"stage": Stage}).items() if (value := conditions[name])}
    return Filter(**{**conditions, **given})
