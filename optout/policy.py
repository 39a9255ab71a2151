"""Which protocol counts how, for which use, in which profile; the data is in policy.toml."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from optout.model import Force, Preference, Profile, Statement, Use

OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class ProtocolPolicy:
    """What is on record about a protocol; ``measure`` is a paragraph of the Copyright chapter."""

    title: str
    specification: str
    tier: str
    measure: str
    licensable: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of judging; ``digest`` is the SHA-256 of the data they come from, in hexadecimal."""

    digest: str
    forces: dict[Profile, frozenset[Force]]
    protocols: dict[str, ProtocolPolicy]

    def counts(self, statement: Statement, use: Use, profile: Profile) -> bool:
        """Whether a statement is a reservation that counts against this use, others of its protocol considered."""
        return (
            statement.preference is Preference.DISALLOW
            and statement.covers(use)
            and statement.force in self.forces[profile]
        )

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
    source = resources.files("optout").joinpath("policy.toml").read_bytes()
    data = tomllib.loads(source.decode())
    return Policy(
        digest=hashlib.sha256(source).hexdigest(),
        forces={Profile(name): frozenset(map(Force, forces)) for name, forces in data["profiles"].items()},
        protocols={name: ProtocolPolicy(**entry) for name, entry in data["protocols"].items()},
    )
