"""Reads Content Signals: ``Content-Signal`` lines in the crawler's group of robots.txt.

Each signal is about its own use: ``search``, ``ai-input``, ``ai-train``.

Cloudflare's Content Signals Policy, 24 September 2025.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from forbear.optout.captures import Hop
from forbear.optout.model import IN_STRICT, NEVER, Gap, Preference, Reading, Statement, StatementStatus, Use
from forbear.optout.protocols import robots
from forbear.optout.readers import informal_optouts, robots_txt
from forbear.optout.readers.robots_txt import RobotsTxt
from forbear.optout.readers.text import readable

NAME = "content-signal"
PLACES: tuple[str, ...] = ()

_KEY = "content-signal"
_SIGNALS = {"search": Use.SEARCH, "ai-input": Use.AI_USE, "ai-train": Use.TRAIN_AI}
_SIGNAL = re.compile(r"([a-z-]+)\s*=\s*(\S+)")
_NAMED = re.compile(r"(?<![\w-])(search|ai-input|ai-train)(?![\w-])")
_PREFERENCES = {"yes": Preference.ALLOW, "no": Preference.DISALLOW}

MOST = 64
"""Signals that are listed; after so many lines the same three have been repeated often enough."""


def read(hop: Hop) -> Reading:
    """Yields what the groups for the asking agent signal: (a) yes, (b) no, (c) neither; a no beside a yes counts."""
    capture = robots.capture_of(hop)
    if capture is None:
        return
    memo = f"{NAME} {hop.question.agent}"
    if memo not in capture.memo:
        capture.memo[memo] = tuple(_read(robots_txt.parse(capture), hop.question.agent))
    yield from capture.memo[memo]


def _read(file: RobotsTxt, agent: str) -> Iterator[Statement | Gap]:
    found = 0
    spoken: set[Use] = set()
    for line in file.records(_KEY, agent):
        quote, where = file.quote(line), file.where(line)
        for part in readable(line.value).lower().split(","):
            if found == MOST:
                detail = f"The file has more than {MOST} signals for this crawler."
                yield Gap(NAME, quote, file.source, where, detail)
                return
            signals = list(_part(part.strip(), quote, file.source, where))
            yield from signals
            spoken.update(*(one.uses for one in signals if isinstance(one, Statement)))
            found += bool(signals)
    misplaced = next(file.ungrouped(_KEY), None)
    if misplaced is not None:
        detail = "A signal before the first User-agent line is in no group, and so for nobody (RFC 9309 2.1)."
        yield Gap(NAME, file.quote(misplaced), file.source, file.where(misplaced), detail, IN_STRICT)
    yield from _elsewhere(file, agent, spoken)


def _elsewhere(file: RobotsTxt, agent: str, spoken: set[Use]) -> Iterator[Statement]:
    """Yields signals of other groups, or of none, about uses that our own groups do not mention."""
    note = "It is in a group of other crawlers, or in none, and so is not for this one (RFC 9309 2.2.1)."
    for line in islice(file.elsewhere(_KEY, agent), MOST):
        for part in readable(line.value).lower().split(",")[:MOST]:
            for signal in _part(part.strip(), file.quote(line), file.source, file.where(line)):
                if isinstance(signal, Statement) and signal.uses - spoken:
                    yield replace(signal, uses=signal.uses - spoken, force=StatementStatus.FLAGGED, note=note)


def _part(part: str, quote: str, source: str, where: str) -> Iterator[Statement | Gap]:
    """Yields one signal between commas."""
    match = _SIGNAL.fullmatch(part)
    if match and match[1] == "use":
        note = "A ceiling on reproduction (Cloudflare, 1 July 2026); whether it forbids training is not written."
        yield Statement(NAME, Preference.UNKNOWN, quote, source, where, frozenset(), note=note)
        return
    preference = _PREFERENCES.get(match[2]) if match else None
    uses = frozenset(_SIGNALS[name] for name in _NAMED.findall(part))
    if not uses:
        wish = informal_optouts.in_line(part)
        if wish:
            note = f"The policy has no signal {part!r}; the one about training is ai-train."
            yield Statement(NAME, wish, quote, source, where, frozenset({Use.TRAIN_AI}), StatementStatus.FLAGGED, note)
        return
    if preference is None:
        detail = f"{part!r} is neither yes nor no, so it is not a signal."
        yield Statement(NAME, Preference.DISALLOW, quote, source, where, uses, StatementStatus.MALFORMED, detail)
        yield Gap(NAME, quote, source, where, detail, NEVER)
    else:
        yield Statement(NAME, preference, quote, source, where, uses)
