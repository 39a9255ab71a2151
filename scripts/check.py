"""``forbear check``: asks sites now, and shows whose words say whether a URL may be used."""

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
from forbear.optout.advice.protego_compare import other_reading
from forbear.optout.captures import Captures
from forbear.optout.model import Capture, Profile, Question, Use, Verdict
from forbear.optout.policy import Policy
from forbear.optout.readers import url as urls
from forbear.scripts import advise as advising
from forbear.scripts import options, show
from forbear.storage.database import open_database, translated
from forbear.storage.db.errors import NoDatabase
from forbear.storage.log import complaints

Outcomes = dict[Profile, Outcome]
"""What came out in each profile, the chosen one first."""

EXIT_CODES = {Verdict.EXCLUDED: 1, Verdict.DEFERRED: 3, Verdict.ALLOWED: 0}
"""In the order in which one outweighs the other."""

AT_ONCE = 8
"""URLs under way at a time; a host gets one request at a time all the same."""

OTHERWISE = "A widely used parser reads this otherwise"
"""How the gap begins that tells of a second reader of robots.txt."""


@click.command()
@click.argument("url", nargs=-1, required=True)
@options.use
@options.profile
@options.policy
@options.infringing_list
@options.agent
@options.contact
@options.option("--timeout", type=click.FloatRange(min=0.1), default=30.0, help="Seconds for each request as a whole.")
@options.proxy
@options.resolve
@options.allow_private_networks
@options.option("--db", type=options.Checked("url", options.check_db), help="Also honour what this database says.")
@options.as_json
@options.option(
    "--advise", is_flag=True, help="Tell the owner what is understood, what is not and why, and the correction."
)
@options.option("--sarif", is_flag=True, help="With --advise: print SARIF 2.1.0, for code scanning.")
@options.option("--as", "address", metavar="URL", help="With --advise and a FOLDER: the address its files will have.")
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
    """Ask sites now: may these URLs be used, and whose words say so?

    Looks at every place where a reservation can stand, and at the page itself if that is allowed. Exit code: 0 all are
    allowed, 1 something is excluded, 3 something is deferred. With --json, a JSON object a line for each URL.

    With --advise, for the owner of a site: what crawlers understand of it, what they do not and why, and the corrected
    text; also of a FOLDER of files before they are published. Exit code: 0 the site says what it seems to mean, 1 it
    does not, 3 something could not be read.

    \b
    Example:
      forbear check https://example.org/page
      forbear check --profile strict --json https://example.org/
      forbear check --advise https://example.org/
      forbear check --advise public --as https://example.org/
    """
    if advise:
        if ctx.get_parameter_source("policy") is ParameterSource.COMMANDLINE:
            raise click.UsageError("--policy does not go with --advise, which tells what crawlers at large understand.")
        if as_json and sarif:
            raise click.UsageError("--json and --sarif exclude each other: leave one out.")
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
            raise click.UsageError("--sarif and --as go with --advise.")
    rules, infringing = options.rules(policy), options.infringing(infringing_list)
    known = tuple(capture for capture in (_listed(db), infringing) if capture)
    for each in url:
        urls.parse(each)  # before anybody is asked
    questions = [Question(each, agent, Use(use), Profile(profile)) for each in url]
    with WorkerPool() as pool:
        checked = _check_all(questions, _live(agent, **connection), BoundedReader(pool), rules, known, as_json=as_json)
        return asyncio.run(checked)


def _listed(db: str | None) -> Capture | None:
    """What accepted complaints in a database block, as the operator's list; a database that is not there has none."""
    if db is None:
        return None
    try:
        engine = open_database(db, create=False)
    except NoDatabase:
        return None
    try:
        with translated(engine.url), engine.connect() as connection:
            return with_complaints(None, complaints.blocking(connection))
    finally:
        engine.dispose()


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
        room = asyncio.Semaphore(AT_ONCE)
        answers = [asyncio.create_task(_answer(question, live, reader, rules, known, room)) for question in questions]
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
    room: asyncio.Semaphore,
) -> Outcomes:
    """The outcome in both profiles; the page is fetched only if the chosen one allows it.

    Among the gaps of the chosen one is also what a second parser makes of robots.txt, for the owner of the site.
    """
    (other,) = set(Profile) - {question.profile}
    async with room:
        chosen = await ask(question, rules, live, reader, known=known)
        known = (*known, *chosen.captures)
        second = await ask(replace(question, profile=other), rules, live, reader, known=known, page=False)
    remark = other_reading(question, Captures((*chosen.captures, *second.captures)))
    if remark:
        decision = replace(chosen.decision, gaps=(*chosen.decision.gaps, remark))
        chosen = replace(chosen, decision=decision)
    return {question.profile: chosen, other: second}


def _looked_at(outcomes: Outcomes) -> list[Capture]:
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
        for capture in _looked_at(outcomes)
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
    show.table(("place", "answer"), [(capture.url, _came(capture)) for capture in _looked_at(outcomes)])
    said = [(s.protocol, s.preference, s.quote, s.where, s.source) for s in decision.statements]
    if said:
        show.table(("protocol", "says", "quotation", "where", "source"), said)
    otherwise = [gap for gap in decision.gaps if gap.detail.startswith(OTHERWISE)]
    gaps = [gap for gap in decision.gaps if gap not in otherwise]
    if gaps:
        rows = ((g.protocol, g.quote, ", ".join(sorted(g.defers)) or "-", g.detail) for g in gaps)
        show.table(("protocol", "not read", "defers in", "detail"), rows)
    show.table(("profile", "verdict", "because of"), [_verdict(*item) for item in outcomes.items()])
    for gap in otherwise:
        show.line(f"For the owner of the site: {gap.source}, {gap.where}: {gap.quote}")
        show.line(f"  {gap.detail}")
        show.line("")


def _came(capture: Capture) -> str:
    if capture.error is None:
        return str(capture.status)
    return f"{capture.error}: {capture.memo['detail']}"


def _verdict(profile: Profile, outcome: Outcome) -> tuple[str, str, str]:
    reasons = (f"{r.protocol}: {r.quote} ({r.where})" for r in outcome.decision.reasons)
    return profile, outcome.decision.verdict, "; ".join(reasons) or "-"
