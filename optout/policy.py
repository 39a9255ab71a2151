"""Which protocol counts how, for which use, in which profile; the data is in policy.toml and beside it."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from optout.model import ALWAYS, Force, Preference, Profile, Statement, Use

OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class ProtocolPolicy:
    """What is on record about a protocol; ``measure`` is a paragraph of the Copyright chapter.

    ``profiles`` are those in which its statements count at all.
    """

    title: str
    specification: str
    tier: str
    measure: str
    licensable: bool
    profiles: frozenset[Profile] = ALWAYS


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of judging; ``digest`` is the SHA-256 of the data they come from, in hexadecimal.

    ``forces`` are those of the statements that exclude in a profile, ``doubts`` those of the statements that defer.
    ``purpose_tokens`` are robots.txt tokens with the use that they speak about; ``training_agents`` the product tokens
    of crawlers that are known to collect training data.
    """

    digest: str
    forces: dict[Profile, frozenset[Force]]
    doubts: dict[Profile, frozenset[Force]]
    protocols: dict[str, ProtocolPolicy]
    purpose_tokens: dict[str, Use]
    training_agents: tuple[str, ...]

    def counts(self, statement: Statement, use: Use, profile: Profile) -> bool:
        """Whether a statement is a reservation that counts against this use, others of its protocol considered."""
        return statement.force in self.forces[profile] and self._is_no(statement, use, profile)

    def defers(self, statement: Statement, use: Use, profile: Profile) -> bool:
        """Whether a statement is no reservation by its specification, but may be meant as one against this use."""
        return statement.force in self.doubts[profile] and self._is_no(statement, use, profile)

    def _is_no(self, statement: Statement, use: Use, profile: Profile) -> bool:
        heard = profile in self.protocols[statement.protocol].profiles
        return heard and statement.preference is Preference.DISALLOW and statement.covers(use)

    def measure(self, protocol: str) -> str:
        """The paragraph of the Copyright chapter that a reason of this protocol serves."""
        return self.protocols[protocol].measure

    def lifted(self, statements: tuple[Statement, ...]) -> frozenset[str]:
        """The protocols whose reservations a licence of the operator lifts; only he can, and not all of them."""
        licences = (s.lifts for s in statements if s.protocol == OPERATOR and s.preference is Preference.ALLOW)
        named: frozenset[str] = frozenset().union(*licences)
        return frozenset(name for name in named if name in self.protocols and self.protocols[name].licensable)


@cache
def load() -> Policy:
    """The policy that ships with this version."""
    folder = resources.files("optout")
    names = ("policy.toml", "agents.toml", "prose.toml")
    rules, crawlers, words = (folder.joinpath(name).read_bytes() for name in names)
    data = tomllib.loads(rules.decode())
    agents = tomllib.loads(crawlers.decode())["agents"]
    return Policy(
        digest=hashlib.sha256(rules + crawlers + words).hexdigest(),
        forces=_by_profile(data["profiles"]),
        doubts=_by_profile(data["doubts"]),
        protocols={name: _protocol(**entry) for name, entry in data["protocols"].items()},
        purpose_tokens={token: Use(use) for token, use in data["purpose-tokens"].items()},
        training_agents=tuple(agent["token"] for agent in agents if agent["kind"] == "training"),
    )


def _by_profile(table: dict[str, list[str]]) -> dict[Profile, frozenset[Force]]:
    return {Profile(name): frozenset(map(Force, forces)) for name, forces in table.items()}


def _protocol(profiles: Iterable[str] = tuple(Profile), **entry: Any) -> ProtocolPolicy:
    return ProtocolPolicy(profiles=frozenset(map(Profile, profiles)), **entry)
