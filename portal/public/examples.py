"""How to opt out, ready to copy: for each protocol that the policy in force honours, each of its ways."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from string import Template

from forbear.optout.model import Profile, StatementStatus
from forbear.optout.policy import Effect, Policy, ProtocolPolicy

HEADER, HEAD, METADATA = "response header of each page", "in the head of each page", "inside the file"
"""Where a text goes if it is not a file of its own; a file is named by its path."""

_PLACES = {"header": HEADER, "head": HEAD, "metadata": METADATA}


@dataclass(frozen=True, slots=True)
class Part:
    """A text, and where it goes: the path of a file, or one of HEADER, HEAD, METADATA."""

    goes: str
    text: str


@dataclass(frozen=True, slots=True)
class Example:
    """One way to opt out: all its parts together exclude the whole site, or the file that they are put into."""

    protocol: str
    parts: tuple[Part, ...]
    note: str = ""


def examples(policy: Policy, profile: Profile, agent: str) -> list[Example]:
    """Returns the ``opt_out`` tables of protocols whose reservations exclude in this profile, in the policy's order."""
    return [
        example
        for name, entry in policy.protocols.items()
        if is_honoured(entry, profile)
        for example in _examples(name, entry, policy, agent)
    ]


def is_honoured(entry: ProtocolPolicy, profile: Profile) -> bool:
    """Returns whether a site can reserve its rights by this protocol: what it reserves excludes."""
    return entry.licensable and entry.effects[profile, str(StatementStatus.STANDING)] is Effect.EXCLUDES


def _examples(name: str, entry: ProtocolPolicy, policy: Policy, agent: str) -> Iterator[Example]:
    for table in entry.opt_out:
        texts = {_PLACES.get(key, key): text for key, text in table.items() if key != "note"}
        tokens = policy.purpose_tokens if any("$purpose_token" in text for text in texts.values()) else ("",)
        for token in tokens:
            parts = (
                Part(goes, Template(text).safe_substitute(agent=agent, purpose_token=token))
                for goes, text in texts.items()
            )
            yield Example(name, tuple(parts), table.get("note", ""))
