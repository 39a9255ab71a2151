"""``forbear replay``: decides again from the evidence stored, and shows every decision that comes out otherwise."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from forbear.crawler.corpus import warc
from forbear.optout import __version__
from forbear.optout.model import Profile
from forbear.scripts import options, show
from forbear.scripts.filters import chosen, filters
from forbear.scripts.options import option
from forbear.storage.reads import redact
from forbear.storage.reads.replay import Costly, Difference, How, Replayed, replay

EXAMPLES = 3
"""Decisions shown of each cause, unless all are asked for."""


@dataclass(slots=True)
class ReplaySummary:
    """What a replay found, summed up; ``groups`` holds a few decisions of each cause, ``counts`` says how many.

    ``costly`` are the decisions that depend on the machine that they were made on.
    """

    decisions: int = 0
    different: int = 0
    as_read: int = 0
    erased: int = 0
    unrecorded: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    groups: dict[str, list[Difference]] = field(default_factory=dict)
    costly: list[Costly] = field(default_factory=list)


@click.command()
@filters
@option(
    "--profile",
    type=click.Choice([str(word) for word in Profile]),
    help="Decide by this profile, instead of the one of each decision.",
)
@options.policy
@option("--shipped-policy", is_flag=True, help="Decide by the policy that ships with this version.")
@option(
    "--out",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the crawl's corpus, from which the content of kept pages is read.",
)
@option("--all", "every", is_flag=True, help=f"Show all decisions of each cause, and not {EXAMPLES} alone.")
@option("--jobs", type=click.IntRange(1, 1024), help="Processes; as many as there are cores, unless said otherwise.")
@options.redact
@options.db
@options.evidence
@options.as_json
def command(
    profile: str | None,
    policy: Path | None,
    shipped_policy: bool,
    out: Path | None,
    every: bool,
    jobs: int | None,
    redacted: bool,
    db: str,
    evidence: str | None,
    as_json: bool,
    **conditions: Any,
) -> int:
    """Decide again what the log holds, from the captures stored with it; nothing is asked of any site.

    Each decision is made anew by this version of Forbear, with the time, agent and use, the policy and the profile
    that it was made with, unless --profile, --policy or --shipped-policy say otherwise. Those that come out otherwise
    are shown by cause, with the words that decided then and those that decide now. Of a page that was not kept only
    what was read in it is stored: it is judged again by that. What rests on an answer that took too much to be read
    (too-costly) depends on the machine of then, and is shown apart. Exit code: 0 all come out as they did, 1 some do
    not.

    --json prints a line for each decision that comes out otherwise, and a last one that sums up.

    \b
    Example:
      forbear replay --crawl 01a2… --out corpus
      forbear replay --domain example.org --profile strict
    """
    rules = options.rules(policy) if policy or shipped_policy else None
    how = How(
        profile=Profile(profile) if profile else None,
        policy=rules.content if rules else None,
        contents=partial(warc.content, out) if out else None,
    )
    told = ReplaySummary()
    batches = replay(db, chosen(conditions), how, jobs, store=evidence)
    for difference in _count(batches, told, every=every and not as_json, redacted=redacted):
        if as_json:
            sys.stdout.write(show.json_line(_as_json(difference)))
    if as_json:
        sys.stdout.write(show.json_line({"summary": _sum(told)}))
    else:
        show.lines(map(show.plain, _tell(told, profile, rules.digest if rules else None, every=every)))
    return 1 if told.different else 0


def _count(batches: Iterable[Replayed], told: ReplaySummary, *, every: bool, redacted: bool) -> Iterator[Difference]:
    for batch in show.progress(batches, lambda: f"{told.decisions:,} decided again, {told.different:,} otherwise"):
        told.decisions += batch.decisions
        told.as_read += batch.as_read
        told.erased += batch.erased
        told.unrecorded.update(batch.unrecorded)
        told.different += len(batch.differences)
        told.costly += [replace(one, url=redact.url(one.url)) if redacted else one for one in batch.costly]
        for found in batch.differences:
            difference = _redacted(found) if redacted else found
            group = told.groups.setdefault(difference.cause, [])
            told.counts[difference.cause] += 1
            if every or len(group) < EXAMPLES:
                group.append(difference)
            yield difference


def _redacted(difference: Difference) -> Difference:
    then, now = (
        [said | {"source": redact.url(said["source"])} for said in reasons]
        for reasons in (difference.reasons_then, difference.reasons_now)
    )
    return replace(difference, url=redact.url(difference.url), reasons_then=then, reasons_now=now)


def _as_json(difference: Difference) -> dict[str, Any]:
    return {**asdict(difference), "now": difference.now or None, "cause": difference.cause}


def _sum(told: ReplaySummary) -> dict[str, Any]:
    return {
        "decisions": told.decisions,
        "different": told.different,
        "judged_by_what_was_read": told.as_read,
        "erased": told.erased,
        "policies_not_on_record": dict(told.unrecorded),
        "machine_dependent": [one.id for one in told.costly],
        "engine": __version__,
        "causes": dict(told.counts.most_common()),
    }


def _tell(told: ReplaySummary, profile: str | None, policy: str | None, *, every: bool) -> Iterator[str]:
    by = [f"profile {profile}"] * bool(profile) + [f"policy {policy}"] * bool(policy)
    how = f" by {' and '.join(by)}" if by else ""
    same = told.decisions - told.erased - told.different
    again = f"Forbear {__version__} decided {told.decisions:,} times again{how}"
    yield f"{again}: {same:,} as then, {told.different:,} not."
    if told.as_read:
        yield f"{told.as_read:,} of them are about pages whose content is not at hand: judged by what was read in it."
    if told.erased:
        yield f"{told.erased:,} of them were erased, or their evidence was: they cannot be decided again."
    for digest, count in told.unrecorded.items():
        yield f"{count:,} were made by policy {digest}, which is not in the log: the one that ships was taken instead."
    for cause, count in told.counts.most_common():
        yield ""
        yield f"{count:,} {cause}"
        for difference in told.groups[cause]:
            yield f"  {difference.at}  {difference.stage}  {difference.url}"
            yield from _words("then", difference.was, difference.reasons_then)
            yield from _words("now ", difference.now or difference.problem, difference.reasons_now)
        if count > len(told.groups[cause]):
            yield f"  … and {count - len(told.groups[cause]):,} more: --all shows them."
    if told.costly:
        yield ""
        yield f"{len(told.costly):,} rest on an answer that took more processor time or memory than one may take"
        yield "(too-costly). Another machine may have read it, so these depend on the machine of then:"
        for one in told.costly if every else told.costly[:EXAMPLES]:
            yield f"  {one.at}  {one.stage}  {one.url}"
        if len(told.costly) > EXAMPLES and not every:
            yield f"  … and {len(told.costly) - EXAMPLES:,} more: --all shows them."


def _words(when: str, verdict: str, reasons: list[dict[str, str]]) -> Iterator[str]:
    yield f"    {when} {verdict}"
    for reason in reasons:
        yield f"         {reason['protocol']}: {reason['quote']}"
        yield f"           {reason['where']} of {reason['source']}"
