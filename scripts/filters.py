"""The options by which decisions are chosen, the same for every command that reads the log."""

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


class Moment(click.ParamType[datetime]):
    """A day (its first moment in UTC) or a time with its offset, as in RFC 3339."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The moment; fails with a sentence."""
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time: write 2026-01-31 or 2026-01-31T12:00:00Z.", param, ctx)
        return at if at.tzinfo else at.replace(tzinfo=UTC)


_OPTIONS = (
    option("--domain", help="Decisions about this domain or host."),
    option("--subdomains/--no-subdomains", default=True, help="With or without what lies below the domain."),
    option("--url", "url_prefix", metavar="PREFIX", help="URLs that begin so."),
    option("--protocol", type=options.text, help="A reason of this protocol, such as robots or tdmrep."),
    option(
        "--measure",
        type=options.text,
        help="A reason that serves this paragraph of the Copyright chapter, such as '1.3(1)(b)'.",
    ),
    option("--verdict", type=_VERDICTS, help="What followed."),
    option("--standard", type=_VERDICTS, help="What profile standard makes of it."),
    option("--strict", type=_VERDICTS, help="What profile strict makes of it."),
    option(
        "--stage", type=click.Choice([str(word) for word in Stage]), help="Before the page was asked for, or after."
    ),
    option("--crawl", metavar="ID", type=options.text, help="Decisions of this crawl."),
    option("--since", type=Moment(), help="Not before this day or time."),
    option("--until", type=Moment(), help="Before this day or time."),
    option("--limit", type=click.IntRange(1, 10**9), help="The newest rows alone."),
)


def filters(command: Command) -> Command:
    """Gives a command the options of a Filter."""
    for decorator in reversed(_OPTIONS):
        command = decorator(command)
    return command


def chosen(conditions: Mapping[str, Any]) -> Filter:
    """The Filter that such options state."""
    words: dict[str, type[Verdict] | type[Stage]] = dict.fromkeys(("verdict", "standard", "strict"), Verdict)
    given = {name: kind(value) for name, kind in (words | {"stage": Stage}).items() if (value := conditions[name])}
    return Filter(**{**conditions, **given})
