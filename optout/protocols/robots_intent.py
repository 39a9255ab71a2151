"""Reads rules in robots.txt against crawlers that are known to collect training data (``optout/agents.toml``).

Our own rule: a site that shuts out such crawlers, though not ours, has not addressed us. The rules decide in ``strict``
alone.
"""

from __future__ import annotations

from itertools import islice

from forbear.optout.captures import Hop
from forbear.optout.model import IN_STRICT, Gap, Preference, Reading, Statement, StatementStatus, Use
from forbear.optout.protocols import robots
from forbear.optout.readers import informal_optouts, robots_txt
from forbear.optout.readers.informal_optouts import Wish
from forbear.optout.readers.robots_txt import Match, RobotsTxt

NAME = "robots-intent"
PLACES: tuple[str, ...] = ()

_TRAINING = frozenset({Use.TRAIN_AI})
MOST_RULES = 70_000
"""Rules for all these crawlers together: more than a file holds, unless it names each of them along with others."""


def read(hop: Hop) -> Reading:
    """Yields each rule that shuts the URL to a training crawler that is named; through ``*`` nobody is.

    And what is written so that no crawler obeys it. Not asked where robots.txt shuts the URL to our own
    crawler, or names it: then the site has spoken to us.
    """
    capture = robots.capture_of(hop)
    if capture is None:
        return
    file, agent = robots_txt.parse(capture), hop.question.agent
    memo = f"{NAME} {hop.policy.digest}"
    if memo not in capture.memo:
        crawlers = tuple(token for token in hop.policy.training_agents if file.names(token))
        unreal = tuple(islice(file.unreal_names(), robots.MOST_STATEMENTS))
        too_many = file.number_of_rules(crawlers + unreal) > MOST_RULES
        capture.memo[memo] = crawlers, unreal, too_many, tuple(informal_optouts.in_lines(capture.body))
    crawlers, unreal, too_many, lines = capture.memo[memo]
    if file.names(agent) or hop.of_target(robots.is_robots_txt) or _shut(file, agent, hop):
        return
    if too_many:
        detail = f"More than {MOST_RULES} rules for crawlers that collect training data are not read."
        yield Gap(NAME, "too-large", file.source, "whole file", detail, IN_STRICT)
        return
    matches: dict[int, tuple[Match, list[str]]] = {}
    for token in crawlers:
        match = _shut(file, token, hop)
        if match:
            matches.setdefault(match.line.start, (match, []))[1].append(token)
    for match, tokens in matches.values():
        note = f"It shuts out {', '.join(tokens)}."
        where = file.where(match.line)
        quote = file.quote(match.line)
        yield Statement(NAME, Preference.DISALLOW, quote, file.source, where, _TRAINING, note=note)
    yield from _flagged(file, unreal, lines, hop)


def _flagged(file: RobotsTxt, unreal: tuple[str, ...], lines: tuple[Wish, ...], hop: Hop) -> Reading:
    """Yields lines that no crawler obeys: rules for a kind of crawlers (``*AI*``), bare wishes (``Noai:``)."""
    for name in unreal:
        match = _shut(file, name, hop)
        if match:
            note = f"Its group names {name!r}, and no crawler has that name (RFC 9309 2.2.1)."
            yield _flag(Preference.DISALLOW, file.quote(match.line), file, file.where(match.line), note)
    for wish in lines:
        yield _flag(wish.preference, wish.quote, file, wish.where, "No crawler knows such a line (RFC 9309 2.2.4).")


def _flag(preference: Preference, quote: str, file: RobotsTxt, where: str, note: str) -> Statement:
    return Statement(NAME, preference, quote, file.source, where, _TRAINING, StatementStatus.FLAGGED, note)


def _shut(file: RobotsTxt, agent: str, hop: Hop) -> Match | None:
    """Returns the rule that shuts a URL to a crawler."""
    rules = file.rules_for(agent)
    decisive = rules.matches(hop.of_target(rules.covering)[:1])
    return decisive[0] if decisive and not decisive[0].allows else None
