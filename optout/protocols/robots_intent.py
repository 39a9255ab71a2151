"""robots.txt shuts out crawlers known to collect training data, though not ours: what a site evidently wants.

No specification: decide.md's profile ``strict``. The crawlers are data, in agents.toml.
"""

from __future__ import annotations

from optout import policy
from optout.captures import Asked
from optout.model import Preference, Reading, Statement, Use
from optout.protocols import robots
from optout.readers import robots_txt
from optout.readers.robots_txt import Match, RobotsTxt

NAME = "robots-intent"
PLACES: tuple[str, ...] = ()


def read(asked: Asked) -> Reading:
    """Each rule that shuts the URL to a training crawler that is named; through ``*`` nobody is.

    Not asked where robots.txt shuts the URL to our own crawler, or names it: then the site has spoken to us.
    """
    capture = robots.capture_of(asked)
    if capture is None:
        return
    file, agent, target = robots_txt.parse(capture), asked.question.agent, asked.url.target
    if NAME not in capture.memo:
        capture.memo[NAME] = tuple(token for token in policy.load().training_agents if file.names(token))
    if target == robots.PLACES[0] or file.names(agent) or _shut(file, agent, target):
        return
    said: dict[int, tuple[Match, list[str]]] = {}
    for token in capture.memo[NAME]:
        match = _shut(file, token, target)
        if match:
            said.setdefault(match.line.start, (match, []))[1].append(token)
    for match, tokens in said.values():
        note = f"It shuts out {', '.join(tokens)}."
        where = file.where(match.line)
        quote = file.quote(match.line)
        uses = frozenset({Use.TRAIN_AI})
        yield Statement(NAME, Preference.DISALLOW, quote, file.source, where, uses, note=note)


def _shut(file: RobotsTxt, agent: str, target: str) -> Match | None:
    """The rule that shuts a URL to a crawler."""
    matches = file.rules_for(agent).matching(target)
    return matches[0] if matches and not matches[0].allows else None
