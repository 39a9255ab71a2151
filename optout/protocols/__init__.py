"""One module per protocol: where its words are found, and how they are read. A protocol reads; it does not judge."""

from __future__ import annotations

import typing

from forbear.optout.captures import Hop
from forbear.optout.model import Reading
from forbear.optout.protocols import (
    access,
    ai_txt,
    aipref,
    c2pa,
    content_signal,
    infringing_list,
    iptc,
    operator,
    prose,
    robots,
    robots_intent,
    robots_meta,
    rsl,
    tdmrep,
    trust_txt,
    usage_token,
)


class Protocol(typing.Protocol):
    """The interface of a module in this folder.

    ``NAME`` as in policy.toml; ``PLACES`` the paths of the well-known files it wants; ``read`` yields statements
    about the URL of a hop, gaps, and places that must be looked at first.
    """

    NAME: str
    PLACES: tuple[str, ...]

    def read(self, hop: Hop, /) -> Reading:
        """Yields statements, gaps, and places still to look at."""
        ...


PROTOCOLS: tuple[Protocol, ...] = (
    operator,
    infringing_list,
    robots,
    robots_intent,
    usage_token,
    aipref,
    content_signal,
    rsl,
    tdmrep,
    ai_txt,
    trust_txt,
    robots_meta,
    access,
    iptc,
    c2pa,
    prose,
)
"""All protocols, in the order of looking: the operator's lists, robots.txt, other well-known files, the page."""
