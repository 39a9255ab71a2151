"""``forbear policy``: explains how each protocol counts, and what an operator's file overrides and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click

from forbear.optout.model import Profile
from forbear.optout.policy import KINDS_OF_AGENT, Effect, Override, Policy
from forbear.scripts import options, show

IN_WORDS = {
    "standing": "a no that the protocol's own rules put in force",
    "superseded": "a no that another statement of the protocol replaces",
    "contradicted": "a no that another place of the protocol contradicts, and wins",
    "malformed": "a value that the protocol does not know, where it expects one",
    "flagged": "a plain no in words that the protocol does not carry",
    "unread": "a place that could not be read",
    "doubtful": "a place that refused, or a file that does not have the protocol's format",
    "noted": "a remark",
}
"""The meaning of the short names in policy.toml."""


@click.group(cls=options.Group)
def command() -> None:
    """Explain how each protocol counts, and what your own file changes.

    \b
    Example:
      forbear policy show
    """


@command.command("show", short_help="Explain a policy in words.")
@options.policy
@options.option("--digest", type=options.text, help="Show the policy with this digest, from the log in --db.")
@options.db
@options.as_json
def show_command(policy: Path | None, digest: str | None, db: str, as_json: bool) -> None:
    """Explain how each protocol counts in each profile, in the built-in policy or with your overrides.

    With --digest, explain a policy from the log; the first characters of the digest are enough.

    \b
    Example:
      forbear policy show
      forbear policy show --policy our-policy.toml
      forbear policy show --digest 5f0c --db sqlite:///forbear.db
    """
    rules = _logged(db, digest) if digest else options.load_policy(policy)
    if as_json:
        click.echo(json.dumps({"digest": rules.digest, **json.loads(rules.content)}, ensure_ascii=False, indent=2))
        return
    show.line(f"Policy {rules.digest}")
    show.line("")
    columns = ("protocol", "what", "specification", "version", "tier", "about", "measure", "lifted by a licence")
    show.table(columns, _protocols(rules))
    show.table(("protocol", "profile", "excludes", "defers", "records only"), _effects(rules))
    show.table(("in the table above", "means"), IN_WORDS.items())
    tokens = ((token, use) for token, use in rules.purpose_tokens.items())
    show.table(("purpose token in robots.txt", "about"), tokens)
    agents = sorted(rules.agents, key=lambda agent: (KINDS_OF_AGENT.index(agent.kind), agent.token.lower()))
    show.table(("crawler", "collects for", "source", "read on"), ((a.token, a.kind, a.source, a.date) for a in agents))
    _print_overrides(rules)


@command.command("list", short_help="List the policies in the log, with overrides and reasons.")
@options.db
@options.as_json
def list_command(db: str, as_json: bool) -> None:
    """List the policies that the crawls in this database used: since when, with which overrides, and why.

    \b
    Example:
      forbear policy list --db sqlite:///forbear.db
    """
    from forbear.scripts.database import open_connection  # noqa: PLC0415 `policy show` needs no database
    from forbear.storage.log.policies import recorded_policies  # noqa: PLC0415 as above

    with open_connection(db) as connection:
        known = list(recorded_policies(connection))
    if as_json:
        for one in known:
            overrides = [{"what": d.what, "looser": d.looser, "reason": d.reason} for d in one.overrides]
            row = {"digest": one.digest, "first_at": one.first_at.isoformat(), "overrides": overrides}
            click.echo(show.json_line(row), nl=False)
        return
    rows = (
        (one.digest[:12], show.time(one.first_at), *override)
        for one in known
        for override in ([_override(d) for d in one.overrides] or [("none (the built-in policy)", "", "")])
    )
    show.table(("policy", "first used", "override", "which is", "because"), rows)


def _logged(db: str, digest: str) -> Policy:
    from forbear.scripts.database import open_connection  # noqa: PLC0415 the built-in policy needs no database
    from forbear.storage.log.policies import find  # noqa: PLC0415 as above

    with open_connection(db) as connection:
        found = find(connection, digest)
    if found is None:
        raise click.UsageError(
            f"No policy in this log, or more than one, has a digest that begins with {digest!r}. List them: "
            "forbear policy list"
        )
    return found


def _protocols(rules: Policy) -> Iterator[tuple[str, ...]]:
    for name, entry in rules.protocols.items():
        lifts = "yes" if entry.licensable else "no"
        known = (entry.title, entry.specification, entry.version, entry.tier, entry.about, entry.measure)
        yield (name, *known, lifts)


def _effects(rules: Policy) -> Iterator[tuple[str, ...]]:
    """Yields what each profile does with each kind of finding."""
    for name, entry in rules.protocols.items():
        for profile in Profile:
            lists = [entry.listed(profile, effect) for effect in (Effect.EXCLUDES, Effect.DEFERS, Effect.RECORDED)]
            yield (name, profile, *(", ".join(kinds) or "-" for kinds in lists))


def _print_overrides(rules: Policy) -> None:
    if not rules.overrides:
        show.line("This is the built-in policy, without overrides.")
        return
    overrides = map(_override, rules.overrides)
    show.table(("override", "which is", "because"), overrides)


def _override(override: Override) -> tuple[str, str, str]:
    return override.what, "looser" if override.looser else "stricter", override.reason
