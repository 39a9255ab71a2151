"""A file for each protocol: where its words stand, and how they are read. A protocol reads; it does not judge."""

from __future__ import annotations

import typing

from optout.captures import Asked
from optout.model import Reading
from optout.protocols import access, operator, robots, robots_meta, tdmrep


class Protocol(typing.Protocol):
    """What a file of this folder offers.

    ``NAME`` as in policy.toml; ``PLACES`` the paths of the well-known files it wants; ``read`` what was said about the
    URL of a step, what hindered the reading, and what has still to be looked at.
    """

    NAME: str
    PLACES: tuple[str, ...]

    def read(self, asked: Asked, /) -> Reading:
        """Statements, gaps, and places still to look at."""
        ...


PROTOCOLS: tuple[Protocol, ...] = (operator, robots, tdmrep, robots_meta, access)
"""All protocols, in the order of looking: the operator's list, robots.txt, other well-known files, the page."""
