"""Properties that a file carries about itself, whatever the container."""

from __future__ import annotations

from dataclasses import dataclass

MAX_PROPERTIES = 32
"""How many different statements of one vocabulary a file can make; more is an attack on its reader."""


@dataclass(frozen=True, slots=True)
class Property:
    """A property with its value (white space round it dropped), its source text and its place in the file."""

    name: str
    value: str
    quote: str
    where: str
