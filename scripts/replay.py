"""``forbear replay``: decides again from stored evidence, and shows every decision that comes out differently."""

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
from forbear.scripts.filters import build_filter, filters
from forbear.scripts.options import option
from forbear.storage.reads import redact
from forbear.storage.reads.replay import CostlyDecision, Difference, Replayed, ReplayOptions, replay

EXAMPLES = 3
"""Decisions printed for each cause without --all."""


@dataclass(slots=True)
class ReplaySummary:
    """The results of a replay; ``groups`` has some decisions of each cause, and ``counts`` the number of all.

    ``costly`` has the decisions that depend on the machine where they were made.
    """

    decisions: int = 0
    different: int = 0
    as_read: int = 0
    erased: int = 0
    unrecorded: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    groups: dict[str, list[Difference]] = field(default_factory=dict)
    costly: list[CostlyDecision] = field(default_factory=list)


@click.command()
@filters
@option(
    "--profile",
    type=click.Choice([str(word) for word in Profile]),
    help="Decide by this profile.  [default: that of each decision]",
)
@options.policy
@option("--shipped-policy", is_flag=True, help="Decide by the built-in policy of this version.")
@option("--out", type=options.existing_folder, help="Read the content of kept pages from this corpus.")
@option("--all", "every", is_flag=True, help=f"Show all decisions of each cause, not just {EXAMPLES}.")
@option("--jobs", type=click.IntRange(1, 1024), help="Use this many processes.  [default: one per core]")
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
    """Decide again from the captures in the log, without asking any site.

    This version of Forbear makes each decision again with its original time, agent, use, policy and profile; --profile,
    --policy and --shipped-policy replace the last two. Decisions that come out differently are shown by cause, with the
    words that decided then and now. For a page that was not kept, the log has only what was read in it, and that is
    judged again. Decisions about an answer that took too much time or memory to read (too-costly) depend on the machine
    and are listed separately. Exit code: 0 every decision is the same, 1 some differ.

    --json prints a line for each decision that differs, and a last line with the summary.

    \b
    Example:
      forbear replay --crawl 01a2… --out corpus
      forbear replay --domain example.org --profile strict
    """
    rules = options.load_policy(policy) if policy or shipped_policy else None
    how = ReplayOptions(
        profile=Profile(profile) if profile else None,
        policy=rules.content if rules else None,
        contents=partial(warc.content, out) if out else None,
    )
    summary = ReplaySummary()
    batches = replay(db, build_filter(conditions), how, jobs, store=evidence)
    for difference in _count(batches, summary, every=every and not as_json, redacted=redacted):
        if as_json:
            sys.stdout.write(show.json_line(_as_json(difference)))
    if as_json:
        sys.stdout.write(show.json_line({"summary": _summary_as_json(summary)}))
    else:
        show.lines(map(show.plain, _lines(summary, profile, rules.digest if rules else None, every=every)))
    return 1 if summary.different else 0


def _count(batches: Iterable[Replayed], summary: ReplaySummary, *, every: bool, redacted: bool) -> Iterator[Difference]:
    """Adds the batches to the summary, and yields every difference."""
    for batch in show.progress(batches, lambda: f"{summary.decisions:,} decided again, {summary.different:,} differ"):
        summary.decisions += batch.decisions
        summary.as_read += batch.as_read
        summary.erased += batch.erased
        summary.unrecorded.update(batch.unrecorded)
        summary.different += len(batch.differences)
        summary.costly += [replace(one, url=redact.url(one.url)) if redacted else one for one in batch.costly]
        for found in batch.differences:
            difference = _redact(found) if redacted else found
            group = summary.groups.setdefault(difference.cause, [])
            summary.counts[difference.cause] += 1
            if every or len(group) < EXAMPLES:
                group.append(difference)
            yield difference


def _redact(difference: Difference) -> Difference:
    then, now = (
        [reason | {"source": redact.url(reason["source"])} for reason in reasons]
        for reasons in (difference.reasons_then, difference.reasons_now)
    )
    return replace(difference, url=redact.url(difference.url), reasons_then=then, reasons_now=now)


def _as_json(difference: Difference) -> dict[str, Any]:
    return {**asdict(difference), "now": difference.now or None, "cause": difference.cause}


def _summary_as_json(summary: ReplaySummary) -> dict[str, Any]:
    return {
        "decisions": summary.decisions,
        "different": summary.different,
        "judged_by_what_was_read": summary.as_read,
        "erased": summary.erased,
        "policies_not_on_record": dict(summary.unrecorded),
        "machine_dependent": [one.id for one in summary.costly],
        "engine": __version__,
        "causes": dict(summary.counts.most_common()),
    }


def _lines(summary: ReplaySummary, profile: str | None, policy: str | None, *, every: bool) -> Iterator[str]:
    by = [f"profile {profile}"] * bool(profile) + [f"policy {policy}"] * bool(policy)
    how = f" by {' and '.join(by)}" if by else ""
    same = summary.decisions - summary.erased - summary.different
    decisions = show.count(summary.decisions, "decision")
    yield f"Forbear {__version__} made {decisions} again{how}: {same:,} the same, {summary.different:,} different."
    if summary.as_read:
        yield f"{summary.as_read:,} about pages whose content is not stored: judged by what was read in them then."
    if summary.erased:
        yield f"{summary.erased:,} cannot be made again: they were erased, or their evidence was."
    for digest, count in summary.unrecorded.items():
        yield f"{count:,} made by policy {digest}, which is not in the log: the built-in policy was used instead."
    for cause, count in summary.counts.most_common():
        yield ""
        yield f"{count:,} {cause}"
        for difference in summary.groups[cause]:
            yield f"  {difference.at}  {difference.stage}  {difference.url}"
            yield from _words("then", difference.was, difference.reasons_then)
            yield from _words("now ", difference.now or difference.problem, difference.reasons_now)
        yield from _more(count - len(summary.groups[cause]))
    if summary.costly:
        yield ""
        yield f"{len(summary.costly):,} about an answer that took more processor time or memory than allowed"
        yield "(too-costly). Another machine might have read it, so these depend on the machine:"
        shown = summary.costly if every else summary.costly[:EXAMPLES]
        for one in shown:
            yield f"  {one.at}  {one.stage}  {one.url}"
        yield from _more(len(summary.costly) - len(shown))


def _more(count: int) -> Iterator[str]:
    if count:
        yield f"  … and {count:,} more. Add --all to show them."


def _words(when: str, verdict: str, reasons: list[dict[str, str]]) -> Iterator[str]:
    yield f"    {when} {verdict}"
    for reason in reasons:
        yield f"         {reason['protocol']}: {reason['quote']}"
        yield f"           {reason['where']} of {reason['source']}"
