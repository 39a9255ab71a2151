"""Makes the card of the crawlers (measure 1.3(4)) from the configuration, the policy and the log.

Nothing in it is written by hand: names come from the configuration and the crawls in the log, what each protocol does
from the policy in force, and examples from the policy's list, each tested to exclude.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from forbear.crawler.engine.reservation_files import AFTER_FAILURE, LONGEST, SHORTEST
from forbear.optout.model import Profile
from forbear.optout.policy import Effect, ProtocolPolicy
from forbear.portal.public.examples import examples
from forbear.portal.web.settings import Settings
from forbear.storage.database import Connection
from forbear.storage.log.crawls import identities

PURPOSES = {
    "train-ai": "Training of general-purpose AI models",
    "search": "Search",
    "ai-use": "Use by AI systems other than training",
}
"""Uses of the AIPREF vocabulary, in words for people."""

_KINDS = {
    "standing": "a reservation by its rules",
    "contradicted": "a reservation that another place contradicts",
    "malformed": "a value that it does not know",
    "flagged": "words whose wish is plain, though not in its form",
    "unread": "a place that cannot be read",
    "doubtful": "a file that is not in its form, or refused",
    "noted": "a remark",
}
"""forbear.optout.policy.KINDS, in words for people."""

_HOURS = f"{LONGEST.total_seconds() / 3600:.0f} hours"
_MINUTES = f"{SHORTEST.total_seconds() / 60:.0f} minutes"
_SECONDS = f"{AFTER_FAILURE.total_seconds():.0f} seconds"

UNREACHABLE = "unreachable"
"""Not a protocol: the name under which the log has a page that could not be read."""

BEHAVIOUR = (
    "No page is requested before its reservations were read.",
    "Each redirect is decided by the rules of the host that it leads to.",
    "robots.txt is read by RFC 9309: the groups of the crawler's token, else those of *; the longest match wins.",
    "Crawl-delay is kept, and a host gets one request at a time.",
    f"A file with reservations is used for {_HOURS} at most, and not asked for again within {_MINUTES}.",
    f"One that could not be read is asked for again after {_SECONDS} or later, and nothing is kept until it was read.",
    "No logins, no cookies, no solving of captchas, no changed identity: a page that is shut stays shut.",
    "A reservation of training says nothing about search.",
)
"""What every crawl does, whatever its settings."""


def card(connection: Connection, settings: Settings) -> dict[str, Any]:
    """Returns the card as a JSON object."""
    policy, profile = settings.policy, settings.profile
    return {
        "operator": settings.name,
        "contact": settings.contact,
        "crawlers": list(_crawlers(connection, settings)),
        "ip_ranges": list(settings.ip_ranges),
        "signature_key": settings.signer.key_id if settings.signer else "",
        "behaviour": list(BEHAVIOUR),
        "policy": policy.digest,
        "protocols": [
            {
                "name": name,
                "title": entry.title,
                "specification": entry.specification,
                "version": entry.version,
                "standing": entry.tier,
                "about": entry.about,
                "measure": entry.measure,
                "effect": effect(entry, profile),
            }
            for name, entry in policy.protocols.items()
            if name != UNREACHABLE
        ],
        "overrides": [asdict(override) for override in policy.overrides],
        "opt_out": [asdict(example) for example in examples(policy, profile, settings.agent)],
        "complaints": f"{settings.base_url}/complaints",
    }


def _crawlers(connection: Connection, settings: Settings) -> Iterator[dict[str, Any]]:
    """Yields the configured crawler, then others in this database, by name and use."""
    configured = (settings.agent, settings.user_agent, settings.contact, str(settings.use), str(settings.profile))
    logged = [(one.agent, one.user_agent, one.contact, one.use, one.profile) for one in identities(connection)]
    for agent, user_agent, contact, use, profile in dict.fromkeys((configured, *logged)):
        yield {
            "product_token": agent,
            "user_agent": user_agent,
            "contact": contact,
            "use": use,
            "purpose": PURPOSES.get(use, use),
            "profile": profile,
        }


def effect(entry: ProtocolPolicy, profile: Profile) -> str:
    """Returns what a protocol makes the crawlers do in a profile, in a sentence."""
    parts = []
    for found, does in ((Effect.EXCLUDES, "excludes"), (Effect.DEFERS, "defers")):
        kinds = [_KINDS[kind] for kind in entry.listed(profile, found)]
        if kinds:
            parts.append(f"{' and '.join(kinds)} {does} the page")
    if not entry.listed(profile, Effect.EXCLUDES):
        parts.insert(0, "what it says is recorded and excludes nothing")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, str, str]]:
    """Yields the differences of two cards: path, old value, new value; a missing value is empty."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            yield from differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif isinstance(old, list) and isinstance(new, list):
        before, after = _by_name(old), _by_name(new)
        for key in dict.fromkeys((*before, *after)):
            yield from differences(before.get(key), after.get(key), f"{path}[{key}]")
    elif old != new and (_shown(old) or _shown(new)):
        yield path, _shown(old), _shown(new)


def _by_name(items: list[Any]) -> dict[str, Any]:
    """Returns items by name, so that a new one at the front is one difference, not a difference in every place."""
    named: dict[str, Any] = {}
    for item in items:
        name = item
        if isinstance(item, dict):
            name = item.get("user_agent") or item.get("name") or item.get("protocol") or item.get("goes") or "entry"
            if "user_agent" in item:
                name = f"{name}, {item['use']}, {item['profile']}"
        key, number = str(name), 1
        while key in named:
            number += 1
            key = f"{name}, {number}"
        named[key] = item
    return named


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict) and "title" in value:
        return str(value["title"])
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_shown(inner)}" for key, inner in value.items() if inner not in ("", []))
    if isinstance(value, list):
        return ", ".join(_shown(inner) for inner in value)
    return str(value)
