"""``forbear check``: asks sites whether URLs may be used, and quotes the words that decide."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from rich.console import Console

from forbear.crawler.engine.live import Live, Outcome, ask
from forbear.crawler.fetch.network import Guard
from forbear.crawler.identity import with_complaints
from forbear.crawler.limits.bounded import BoundedReader
from forbear.crawler.limits.workers import WorkerPool
from forbear.optout import case
from forbear.optout.advice.protego_compare import DIFFERENT_READING, other_reading
from forbear.optout.captures import Captures
from forbear.optout.model import Capture, Profile, Question, Use, Verdict
from forbear.optout.policy import Policy
from forbear.optout.readers import url as urls
from forbear.scripts import advise as advising
from forbear.scripts import options, show
from forbear.scripts.database import open_connection
from forbear.storage.db.errors import NoDatabase
from forbear.storage.log import complaints

Outcomes = dict[Profile, Outcome]
"""The outcome in each profile, the chosen one first."""

EXIT_CODES = {Verdict.EXCLUDED: 1, Verdict.DEFERRED: 3, Verdict.ALLOWED: 0}
"""The exit code for each verdict; of several, the first in this order counts."""

CONCURRENCY = 8
"""URLs checked at a time; a host still gets one request at a time."""


@click.command()
@click.argument("url", nargs=-1, required=True)
@options.use
@options.profile
@options.policy
@options.infringing_list
@options.agent
@options.contact
@options.option("--timeout", type=click.FloatRange(min=0.1), default=30.0, help="Give up a request after this time.")
@options.proxy
@options.resolve
@options.allow_private_networks
@options.option(
    "--db",
    type=options.CheckedText("url", options.check_db),
    help="Also obey the complaints that were accepted in this database.",
)
@options.as_json
@options.option(
    "--advise", is_flag=True, help="Advise the site's owner: what crawlers understand, what they do not, and the fix."
)
@options.option("--sarif", is_flag=True, help="With --advise: print SARIF 2.1.0, for code scanning.")
@options.option(
    "--as", "address", metavar="URL", help="With --advise and a FOLDER: the URL where it will be published."
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    url: tuple[str, ...],
    as_json: bool,
    use: str,
    profile: str,
    policy: Path | None,
    infringing_list: Path | None,
    agent: str,
    db: str | None,
    advise: bool,
    sarif: bool,
    address: str | None,
    **connection: Any,
) -> int:
    """Ask sites whether URLs may be used, and quote the words that decide.

    Reads every place where a site can reserve its rights, and the page itself if that is allowed. --json prints one
    JSON object per line for each URL. Exit code: 0 every URL is allowed, 1 one is excluded, 3 one is deferred.

    With --advise, tells the owner of a site what crawlers understand, what they do not and why, and how to correct it.
    URL can then be a FOLDER of files that are not published yet. Exit code: 0 crawlers understand everything, 1 they do
    not, 3 something could not be read.

    \b
    Example:
      forbear check https://example.org/page
      forbear check --profile strict --json https://example.org/
      forbear check --advise https://example.org/
      forbear check --advise public --as https://example.org/
    """
    if advise:
        if ctx.get_parameter_source("policy") is ParameterSource.COMMANDLINE:
            raise click.UsageError("--policy has no effect with --advise, which is about all crawlers. Leave it out.")
        if as_json and sarif:
            raise click.UsageError("--json and --sarif cannot be combined. Leave one out.")
        form = (
            advising.OutputFormat.SARIF
            if sarif
            else advising.OutputFormat.JSON
            if as_json
            else advising.OutputFormat.TEXT
        )
        return advising.advise_all(url, address, agent, _live(agent, **connection), form)
    for name in ("sarif", "address"):
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError("--sarif and --as need --advise. Add it, or leave them out.")
    rules, infringing = options.load_policy(policy), options.load_infringing(infringing_list)
    known = tuple(capture for capture in (_blocked_by_complaints(db), infringing) if capture)
    for each in url:
        urls.parse(each)  # so that a wrong URL is reported before any site is asked
    questions = [Question(each, agent, Use(use), Profile(profile)) for each in url]
    with WorkerPool() as pool:
        checked = _check_all(questions, _live(agent, **connection), BoundedReader(pool), rules, known, as_json=as_json)
        return asyncio.run(checked)


def _blocked_by_complaints(db: str | None) -> Capture | None:
    """Returns what accepted complaints block, as an operator's list; None if the database does not exist."""
    if db is None:
        return None
    try:
        with open_connection(db) as connection:
            return with_complaints(None, complaints.operator_lines(connection))
    except NoDatabase:
        return None


def _live(
    agent: str,
    *,
    contact: str | None,
    timeout: float,
    proxy: str | None,
    resolve: tuple[str, ...],
    allow_private_networks: bool,
) -> Live:
    guard = Guard(allow_private=allow_private_networks, resolve=resolve)
    return Live(guard, agent=agent, version=version("forbear"), contact=contact, proxy=proxy, timeout=timeout)


async def _check_all(
    questions: list[Question],
    live: Live,
    reader: BoundedReader,
    rules: Policy,
    known: tuple[Capture, ...],
    *,
    as_json: bool,
) -> int:
    verdicts: set[Verdict] = set()
    async with live:
        slots = asyncio.Semaphore(CONCURRENCY)
        answers = [asyncio.create_task(_answer(question, live, reader, rules, known, slots)) for question in questions]
        for question, answer in zip(questions, answers, strict=True):
            with Console(stderr=True).status(f"asking {urls.parse(question.url).host} …"):
                outcomes = await answer
            verdicts.add(outcomes[question.profile].decision.verdict)
            if as_json:
                click.echo(show.json_line(_as_json(question, outcomes, rules)), nl=False)
            else:
                _show(question, outcomes)
    return next(code for verdict, code in EXIT_CODES.items() if verdict in verdicts)


async def _answer(
    question: Question,
    live: Live,
    reader: BoundedReader,
    rules: Policy,
    known: tuple[Capture, ...],
    slots: asyncio.Semaphore,
) -> Outcomes:
    """Decides in both profiles, and fetches the page only if the chosen one allows it.

    If a second parser of robots.txt disagrees, the gaps of the chosen outcome say so, for the owner of the site.
    """
    (other,) = set(Profile) - {question.profile}
    async with slots:
        chosen = await ask(question, rules, live, reader, known=known)
        known = (*known, *chosen.captures)
        second = await ask(replace(question, profile=other), rules, live, reader, known=known, page=False)
    remark = other_reading(question, Captures((*chosen.captures, *second.captures)))
    if remark:
        decision = replace(chosen.decision, gaps=(*chosen.decision.gaps, remark))
        chosen = replace(chosen, decision=decision)
    return {question.profile: chosen, other: second}


def _captures(outcomes: Outcomes) -> list[Capture]:
    return [capture for outcome in outcomes.values() for capture in outcome.captures]


def _as_json(question: Question, outcomes: Outcomes, rules: Policy) -> dict[str, Any]:
    decision = outcomes[question.profile].decision
    places = [
        {
            "url": capture.url,
            "status": capture.status,
            "error": capture.error,
            "detail": capture.memo.get("detail"),
            "bytes": len(capture.body),
        }
        for capture in _captures(outcomes)
    ]
    return {
        **case.to_json(question.url, question.url, decision, rules),
        "policy": rules.digest,
        "agent": question.agent,
        "use": question.use,
        "profile": question.profile,
        "at": question.at.isoformat(),
        "verdicts": {profile: outcome.decision.verdict for profile, outcome in outcomes.items()},
        "looked_at": places,
    }


def _show(question: Question, outcomes: Outcomes) -> None:
    decision = outcomes[question.profile].decision
    show.line(f"{question.url} for {question.use}: {decision.verdict}")
    show.table(("place", "answer"), [(capture.url, _status(capture)) for capture in _captures(outcomes)])
    statements = [(s.protocol, s.preference, s.quote, s.where, s.source) for s in decision.statements]
    if statements:
        show.table(("protocol", "says", "quotation", "where", "source"), statements)
    remarks = [gap for gap in decision.gaps if gap.detail.startswith(DIFFERENT_READING)]
    gaps = [gap for gap in decision.gaps if gap not in remarks]
    if gaps:
        rows = ((g.protocol, g.quote, ", ".join(sorted(g.defers)) or "-", g.detail) for g in gaps)
        show.table(("protocol", "not understood", "defers in", "detail"), rows)
    show.table(("profile", "verdict", "reason"), [_verdict_row(*item) for item in outcomes.items()])
    for gap in remarks:
        show.line(f"For the owner of the site: {gap.source}, {gap.where}: {gap.quote}")
        show.line(f"  {gap.detail}")
        show.line("")


def _status(capture: Capture) -> str:
    if capture.error is None:
        return str(capture.status)
    return f"{capture.error}: {capture.memo['detail']}"


def _verdict_row(profile: Profile, outcome: Outcome) -> tuple[str, str, str]:
    reasons = (f"{r.protocol}: {r.quote} ({r.where})" for r in outcome.decision.reasons)
    return profile, outcome.decision.verdict, "; ".join(reasons) or "-"
