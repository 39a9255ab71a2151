"""Loads the policy: how each protocol counts in each profile, from policy.toml, agents.toml and an operator's file."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import IntEnum
from functools import cache
from importlib import resources
from typing import Any

from forbear.optout.model import ALWAYS, IN_STRICT, NEVER, Gap, Preference, Profile, Statement, StatementStatus, Use

OPERATOR = "operator"
TIERS = ("named in the Code", "IETF or W3C work", "industry", "custom")
KINDS_OF_AGENT = ("training", "search", "user", "unclear")

GAPS = {ALWAYS: "unread", IN_STRICT: "doubtful", NEVER: "noted"}
"""The name of a gap in policy.toml, by the profiles in which it defers."""
KINDS = (*map(str, StatementStatus), *GAPS.values())


class BadPolicy(ValueError):
    """An operator's policy that cannot be used; the message is a sentence for a person."""


class Effect(IntEnum):
    """The effect of a statement or gap in a profile; a higher one is stricter."""

    RECORDED = 0
    DEFERS = 1
    EXCLUDES = 2


@dataclass(frozen=True, slots=True)
class ProtocolPolicy:
    """A table of policy.toml, which explains the fields.

    ``effects``: what each profile makes of each of KINDS. ``opt_out``: how a site opts out with it, as texts by
    where they go; not a part of the rules, so not in the digest.
    """

    title: str
    specification: str
    version: str
    tier: str
    about: str
    measure: str
    licensable: bool
    effects: Mapping[tuple[Profile, str], Effect]
    opt_out: Sequence[Mapping[str, str]] = field(default=(), compare=False)

    def listed(self, profile: Profile, effect: Effect) -> list[str]:
        """Returns the kinds that have this effect in a profile."""
        return [kind for kind in KINDS if self.effects[profile, kind] is effect]


@dataclass(frozen=True, slots=True)
class Agent:
    """A known crawler: its product token, its purpose, the source of that, and the date it was read."""

    token: str
    kind: str
    source: str
    date: str


@dataclass(frozen=True, slots=True)
class Override:
    """One change by an operator's file to the policy that ships; a looser one has a reason."""

    what: str
    looser: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of judging.

    ``content`` is all of it as JSON with sorted keys, and ``digest`` its SHA-256 in hexadecimal. ``purpose_tokens`` are
    robots.txt tokens with the use that they speak about.
    """

    content: str
    digest: str
    protocols: Mapping[str, ProtocolPolicy]
    purpose_tokens: Mapping[str, Use]
    agents: tuple[Agent, ...]
    overrides: tuple[Override, ...]
    training_agents: tuple[str, ...]

    def effect(self, item: Statement | Gap, use: Use, profile: Profile) -> Effect:
        """Returns what follows in a profile from a statement or gap alone."""
        if isinstance(item, Gap):
            kind = GAPS[item.defers]
        elif item.preference is Preference.DISALLOW and item.covers(use):
            kind = item.force
        else:
            return Effect.RECORDED
        return self.protocols[item.protocol].effects[profile, kind]

    def counts(self, statement: Statement, use: Use, profile: Profile) -> bool:
        """Returns whether a statement is a reservation that counts against this use."""
        return self.effect(statement, use, profile) is Effect.EXCLUDES

    def defers(self, item: Statement | Gap, use: Use, profile: Profile) -> bool:
        """Returns whether it leaves a doubt: a place that could not be read, or words that may reserve."""
        return self.effect(item, use, profile) is Effect.DEFERS

    def measure(self, protocol: str) -> str:
        """Returns the paragraph of the Copyright chapter that a reason of this protocol serves."""
        return self.protocols[protocol].measure

    def lifted(self, statements: tuple[Statement, ...]) -> frozenset[str]:
        """Returns the protocols whose reservations a licence on the operator's list lifts, if they are licensable."""
        licences = (s.lifts for s in statements if s.protocol == OPERATOR and s.preference is Preference.ALLOW)
        named: frozenset[str] = frozenset().union(*licences)
        return frozenset(name for name in named if name in self.protocols and self.protocols[name].licensable)


@cache
def load(own: str = "") -> Policy:
    """Returns the policy that ships with this version, changed by an operator's file (``own``, TOML).

    Raises BadPolicy.
    """
    shipped = _toml("policy.toml")
    usual = {Profile(name): table for name, table in shipped["profiles"].items()}
    protocols = {name: _protocol(table, usual) for name, table in shipped["protocols"].items()}
    tokens = {token: Use(use) for token, use in shipped["purpose-tokens"].items()}
    agents = {entry["token"].lower(): _agent(entry) for entry in _toml("agents.toml")["agents"]}
    overrides: list[Override] = []
    for key, value in _parsed(own).items():
        if key == "protocols" and isinstance(value, dict):
            for name, table in value.items():
                if name not in protocols or not isinstance(table, dict):
                    raise BadPolicy(f"[protocols.{name}] is not a protocol: choose among {', '.join(protocols)}")
                before = protocols[name]
                protocols[name] = _overridden(name, before, table)
                overrides += _overrides(name, before, protocols[name], table)
        elif key == "purpose-tokens" and isinstance(value, dict):
            tokens |= {str(token).lower(): _use(token, use) for token, use in value.items()}
            overrides += (Override(f"{token} is a purpose token too", False, "") for token in value)
        elif key == "agents" and isinstance(value, list):
            for entry in value:
                overrides.append(_add_agent(entry, agents))
        else:
            raise BadPolicy(
                f"{key!r} is not known here: the file has [protocols.NAME], [purpose-tokens] and [[agents]]"
            )
    return _policy(protocols, tokens, tuple(agents.values()), tuple(overrides))


def restore(content: str) -> Policy:
    """Returns the policy of which ``content`` was put on record, with its digest.

    Of the words of prose.toml the record has the digest alone: they go with the version.
    """
    known = json.loads(content)
    in_full: dict[Profile, dict[str, list[str]]] = {profile: {} for profile in Profile}
    agents = tuple(Agent(**agent) for agent in known["agents"])
    return Policy(
        content,
        hashlib.sha256(content.encode()).hexdigest(),
        {name: _protocol(table, in_full) for name, table in known["protocols"].items()},
        {token: Use(use) for token, use in known["purpose-tokens"].items()},
        agents,
        tuple(Override(**override) for override in known["overrides"]),
        _training(agents),
    )


def _training(agents: tuple[Agent, ...]) -> tuple[str, ...]:
    return tuple(agent.token for agent in agents if agent.kind == "training")


def _policy(
    protocols: dict[str, ProtocolPolicy],
    tokens: dict[str, Use],
    agents: tuple[Agent, ...],
    overrides: tuple[Override, ...],
) -> Policy:
    content = {
        "protocols": {name: _as_data(entry) for name, entry in protocols.items()},
        "purpose-tokens": tokens,
        "agents": [asdict(agent) for agent in agents],
        "overrides": [asdict(override) for override in overrides],
        # The words of prose.toml go with the version; a change of theirs is a change of the policy all the same.
        "prose": hashlib.sha256(_shipped("prose.toml")).hexdigest(),
    }
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Policy(text, digest, protocols, tokens, agents, overrides, _training(agents))


def _as_data(entry: ProtocolPolicy) -> dict[str, Any]:
    data = {name: getattr(entry, name) for name in ProtocolPolicy.__slots__ if name not in ("effects", "opt_out")}
    for profile in Profile:
        data[str(profile)] = {
            "excludes": entry.listed(profile, Effect.EXCLUDES),
            "defers": entry.listed(profile, Effect.DEFERS),
        }
    return data


def _shipped(name: str) -> bytes:
    return resources.files("forbear.optout").joinpath(name).read_bytes()


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads(_shipped(name).decode())


def _parsed(own: str) -> dict[str, Any]:
    try:
        return tomllib.loads(own)
    except tomllib.TOMLDecodeError as error:
        raise BadPolicy(f"it is not TOML: {error}") from None


def _protocol(table: dict[str, Any], usual: Mapping[Profile, dict[str, list[str]]]) -> ProtocolPolicy:
    effects: dict[tuple[Profile, str], Effect] = {}
    for profile in Profile:
        lists = usual[profile] | table.pop(str(profile), {})
        effects |= {(profile, kind): _effect(kind, lists) for kind in KINDS}
    return ProtocolPolicy(effects=effects, **table)


def _effect(kind: str, lists: Mapping[str, list[str]]) -> Effect:
    if kind in lists["excludes"]:
        return Effect.EXCLUDES
    return Effect.DEFERS if kind in lists["defers"] else Effect.RECORDED


def _overridden(name: str, before: ProtocolPolicy, table: dict[str, Any]) -> ProtocolPolicy:
    """Returns the protocol as an operator's table [protocols.NAME] has it."""
    effects = dict(before.effects)
    for key, value in table.items():
        if key in set(Profile) and isinstance(value, dict):
            profile = Profile(key)
            current = {
                effect.name.lower(): before.listed(profile, effect) for effect in (Effect.EXCLUDES, Effect.DEFERS)
            }
            lists = current | _lists(f"protocols.{name}", value)
            effects |= {(profile, kind): _effect(kind, lists) for kind in KINDS}
        elif not (
            (key == "licensable" and isinstance(value, bool))
            or (key == "reason" and isinstance(value, str) and value.strip())
        ):
            raise BadPolicy(
                f"[protocols.{name}]: {key!r} is not known here or of the wrong kind: an operator sets standard and "
                "strict (tables), licensable (true or false) and reason (text)"
            )
    for kind in KINDS:
        if effects[Profile.STRICT, kind] < effects[Profile.STANDARD, kind]:
            raise BadPolicy(
                f"[protocols.{name}]: strict would be looser than standard about what is {kind}: change both"
            )
    return replace(before, effects=effects, licensable=table.get("licensable", before.licensable))


def _lists(where: str, table: dict[str, Any]) -> dict[str, list[str]]:
    for key, kinds in table.items():
        if key not in ("excludes", "defers") or not isinstance(kinds, list):
            raise BadPolicy(f"[{where}]: {key!r} is not a list of excludes or defers")
        for kind in kinds:
            if kind not in KINDS or (key == "excludes" and kind in GAPS.values()):
                known = KINDS if key == "defers" else tuple(map(str, StatementStatus))
                raise BadPolicy(f"[{where}]: {kind!r} is not for {key}: choose among {', '.join(known)}")
    return table


def _overrides(name: str, before: ProtocolPolicy, after: ProtocolPolicy, table: dict[str, Any]) -> Iterator[Override]:
    reason = table.get("reason", "")
    changes = [
        (f"{name} in {profile}: what is {kind} {_effect_words(new)}, not {_effect_words(old)}", new < old)
        for (profile, kind), old in before.effects.items()
        if (new := after.effects[profile, kind]) is not old
    ]
    if after.licensable is not before.licensable:
        can = "can" if after.licensable else "cannot"
        changes.append((f"{name}: a licence {can} lift it", after.licensable))
    for what, looser in changes:
        if looser and not reason:
            raise BadPolicy(f'[protocols.{name}] is looser than what ships ({what}): add reason = "…", which is logged')
        yield Override(what, looser, reason)


def _effect_words(effect: Effect) -> str:
    return "is recorded" if effect is Effect.RECORDED else effect.name.lower()


def _use(token: str, use: Any) -> Use:
    if use not in tuple(Use):
        raise BadPolicy(f"[purpose-tokens]: {token} speaks about {use!r}: choose among {', '.join(Use)}")
    return Use(use)


def _agent(entry: dict[str, Any]) -> Agent:
    return Agent(entry["token"], entry["kind"], entry["source"], str(entry["date"]))


def _add_agent(entry: Any, agents: dict[str, Agent]) -> Override:
    """Adds an agent of the operator's file; one that no longer counts as collecting training data is less strict."""
    keys = {"token", "kind", "source", "date"}
    if not isinstance(entry, dict) or not keys <= set(entry) <= keys | {"reason"} or not str(entry["token"]).strip():
        raise BadPolicy("An entry of [[agents]] has token, kind, source and date, and a reason where it is looser")
    agent, reason = _agent(entry), str(entry.get("reason", "")).strip()
    if agent.kind not in KINDS_OF_AGENT:
        raise BadPolicy(f"[[agents]]: {agent.token} is of kind {agent.kind!r}: choose {', '.join(KINDS_OF_AGENT)}")
    before = agents.get(agent.token.lower())
    looser = before is not None and before.kind == "training" and agent.kind != "training"
    what = f"{agent.token} collects for {agent.kind}" + (f", not {before.kind}" if before else "")
    if looser and not reason:
        raise BadPolicy(f'[[agents]] is looser than what ships ({what}): add reason = "…", which is logged')
    agents[agent.token.lower()] = agent
    return Override(what, looser, reason)
