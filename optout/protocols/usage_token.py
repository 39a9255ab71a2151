"""Reads groups of robots.txt that name a purpose, ``__usage_ai-training``, instead of a crawler.

The rules of such a group are preferences about that purpose, in the path language of RFC 9309.

draft-kelley-aipref-training-preference-signal-00, 30 October 2026.
"""

from __future__ import annotations

from forbear.optout.captures import Hop
from forbear.optout.model import Preference, Reading, Statement, StatementStatus
from forbear.optout.protocols import robots

NAME = "usage-token"
PLACES: tuple[str, ...] = ()


def read(hop: Hop) -> Reading:
    """Yields the rules for each token that robots.txt names, the deciding one first; ``*`` is not a token."""
    file = robots.file_of(hop)
    if file is None:
        return
    for token, use in hop.policy.purpose_tokens.items():
        if not file.names(token):
            continue
        rules = file.rules_for(token)
        covering = hop.of_target(rules.covering)
        for position, match in enumerate(rules.matches(covering[: robots.MOST_STATEMENTS])):
            preference = Preference.ALLOW if match.allows else Preference.DISALLOW
            where = file.where(match.line)
            uses = frozenset({use})
            note = f"In the group of {token}."
            force = StatementStatus.SUPERSEDED if position else StatementStatus.STANDING
            yield Statement(NAME, preference, file.quote(match.line), file.source, where, uses, force, note)
