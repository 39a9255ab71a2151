"""``forbear policy``: which protocol counts how, in words; what an operator's file changes, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from forbear.optout.model import Profile
from forbear.optout.policy import KINDS_OF_AGENT, Effect, Override, Policy
from forbear.scripts import options, show

if TYPE_CHECKING:
    from forbear.storage.database import Engine

IN_WORDS = {
    "standing": "a no that the protocol's own rules put in force",
    "superseded": "a no that another statement of the protocol replaces",
    "contradicted": "a no that another place of the protocol contradicts, and wins",
    "malformed": "a value that the protocol does not know, where it expects one",
    "flagged": "a plain no in words that the protocol does not carry",
    "unread": "a place that could not be read",
    "doubtful": "a place that refused, or a file that is not in the protocol's form",
    "noted": "a remark",
}
"""What policy.toml's short names mean."""


@click.group()
def command() -> None:
    """Show which protocol counts how, and what an operator's file changes."""


@command.command("show", short_help="Explain the policy in words.")
@options.policy
@options.option("--digest", type=options.text, help="The policy of this digest, from the log of --db.")
@options.db
@options.as_json
def show_command(policy: Path | None, digest: str | None, db: str, as_json: bool) -> None:
    """Explain which protocol counts how in each profile: as it ships, or as your file has it.

    With --digest, the policy that stands in the log under it, or under a digest that begins so.

    \b
    Example:
      forbear policy show
      forbear policy show --policy our-policy.toml
      forbear policy show --digest 5f0c --db sqlite:///forbear.db
    """
    rules = _logged(db, digest) if digest else options.rules(policy)
    if as_json:
        click.echo(json.dumps({"digest": rules.digest, **json.loads(rules.content)}, ensure_ascii=False, indent=2))
        return
    show.line(f"Policy {rules.digest}")
    show.line("")
    columns = ("protocol", "what", "specification", "version", "tier", "speaks about", "measure", "licence lifts it")
    show.table(columns, _protocols(rules))
    show.table(("protocol", "profile", "excludes", "defers", "records only"), _effects(rules))
    show.table(("in the table above", "is"), IN_WORDS.items())
    tokens = ((token, use) for token, use in rules.purpose_tokens.items())
    show.table(("purpose token in robots.txt", "speaks about"), tokens)
    agents = sorted(rules.agents, key=lambda agent: (KINDS_OF_AGENT.index(agent.kind), agent.token.lower()))
    show.table(("crawler", "collects for", "source", "read on"), ((a.token, a.kind, a.source, a.date) for a in agents))
    _show_departures(rules)


@command.command("list", short_help="The policies in the log, with overrides and reasons.")
@options.db
@options.as_json
def list_command(db: str, as_json: bool) -> None:
    """List the policies that the crawls of this database worked by: since when, with which overrides, and why.

    \b
    Example:
      forbear policy list --db sqlite:///forbear.db
    """
    from forbear.storage.log.policies import on_record  # noqa: PLC0415 the other command does not wait for it

    engine = _open(db)
    try:
        with engine.connect() as connection:
            known = list(on_record(connection))
    finally:
        engine.dispose()
    if as_json:
        for one in known:
            overrides = [{"what": d.what, "looser": d.looser, "reason": d.reason} for d in one.overrides]
            row = {"digest": one.digest, "first_at": one.first_at.isoformat(), "overrides": overrides}
            click.echo(show.json_line(row), nl=False)
        return
    rows = (
        (one.digest[:12], show.moment(one.first_at), *override)
        for one in known
        for override in ([_override(d) for d in one.overrides] or [("none: as it ships", "", "")])
    )
    show.table(("policy", "first used", "departs from what ships", "which is", "because"), rows)


def _logged(db: str, digest: str) -> Policy:
    from forbear.storage.log.policies import find  # noqa: PLC0415 what ships is shown without a database

    engine = _open(db)
    try:
        with engine.connect() as connection:
            found = find(connection, digest)
    finally:
        engine.dispose()
    if found is None:
        raise click.UsageError(f"No policy of this log, or more than one, has a digest that begins with {digest!r}.")
    return found


def _open(db: str) -> Engine:
    from forbear.storage.database import open_database  # noqa: PLC0415

    return open_database(db, create=False)


def _protocols(rules: Policy) -> Iterator[tuple[str, ...]]:
    for name, entry in rules.protocols.items():
        lifts = "yes" if entry.licensable else "no"
        known = (entry.title, entry.specification, entry.version, entry.tier, entry.about, entry.measure)
        yield (name, *known, lifts)


def _effects(rules: Policy) -> Iterator[tuple[str, ...]]:
    """What each profile makes of each kind of thing that is read."""
    for name, entry in rules.protocols.items():
        for profile in Profile:
            lists = [entry.listed(profile, effect) for effect in (Effect.EXCLUDES, Effect.DEFERS, Effect.RECORDED)]
            yield (name, profile, *(", ".join(kinds) or "-" for kinds in lists))


def _show_departures(rules: Policy) -> None:
    if not rules.overrides:
        show.line("This is what ships with Forbear: no operator's file departs from it.")
        return
    overrides = map(_override, rules.overrides)
    show.table(("departs from what ships", "which is", "because"), overrides)


def _override(override: Override) -> tuple[str, str, str]:
    return override.what, "looser" if override.looser else "stricter", override.reason
