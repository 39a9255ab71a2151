"""The settings of commands that crawl, by subject, and which of them make two commands the same run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from forbear.crawler.engine.session import DecisionContext
from forbear.crawler.fetch.bot_auth import Signer, read_signer
from forbear.crawler.fetch.network import Guard
from forbear.crawler.identity import (
    BadConfig,
    check_contact,
    check_token,
    read_infringing,
    read_list,
    read_policy,
    user_agent,
)
from forbear.optout.model import Capture, Profile, Use
from forbear.optout.policy import Policy
from forbear.optout.readers import url as urls

FOLLOW = ("same-host", "same-domain", "any")
"""Which links are followed."""

_HOW = (
    "concurrency",
    "resume",
    "retries",
    "timeout",
    "proxy",
    "resolve",
    "db",
    "evidence",
    "signing_key",
    "signature_agent",
    "metrics_port",
    "metrics_host",
    "lease",
)
"""Settings that change how a run proceeds, but not which run it is."""


@dataclass(frozen=True, slots=True)
class Store:
    """Where a run writes: ``out`` is its folder, ``db`` the log's URL, ``evidence`` None if the log holds it too."""

    out: Path
    db: str
    evidence: str | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """Who collects, for which use, and by which policy and lists it is decided."""

    contact: str
    agent: str = "ForbearBot"
    use: Use = Use.TRAIN_AI
    profile: Profile = Profile.STANDARD
    operator_list: Path | None = None
    infringing_list: Path | None = None
    policy: Path | None = None

    def __post_init__(self) -> None:
        """Raises BadConfig, one sentence for a person."""
        check_token(self.agent)
        check_contact(self.contact, "--contact")

    @property
    def user_agent(self) -> str:
        """The User-Agent header that every request carries."""
        return user_agent(self.agent, self.contact)

    def decision_context(
        self, crawl: str, policy: Policy, own: Capture | None, infringing: Capture | None
    ) -> DecisionContext:
        """Returns what every decision of a crawl has in common, with the policy and lists as they were read."""
        return DecisionContext(crawl, self.agent, self.use, self.profile, policy, own, infringing)

    def read_policy(self) -> Policy:
        """Reads the policy in force. Raises BadConfig."""
        return read_policy(self.policy, "--policy")

    def read_operator_list(self) -> Capture | None:
        """Reads the operator's list, if one is named. Raises BadConfig."""
        return read_list(self.operator_list, "--operator-list") if self.operator_list else None

    def read_infringing_list(self, known: bytes | None) -> Capture | None:
        """Reads the list of infringing sites, else takes ``known``, the database's. Raises BadConfig."""
        return read_infringing(self.infringing_list, "--infringing-list", known)


@dataclass(frozen=True, slots=True)
class Network:
    """How requests are sent; times in seconds, ``max_delay`` None if any Crawl-delay is accepted."""

    delay: float = 1.0
    max_delay: float | None = None
    concurrency: int = 16
    timeout: float = 60.0
    proxy: str | None = None
    resolve: tuple[str, ...] = ()
    allow_private_networks: bool = False
    signing_key: Path | None = None
    signature_agent: str | None = None

    def __post_init__(self) -> None:
        """Raises BadConfig, one sentence for a person."""
        self.signer()
        try:
            self.guard()
        except ValueError as error:
            raise BadConfig(f"--resolve: {error}.") from None

    def guard(self) -> Guard:
        """Returns the guard that keeps requests out of private networks."""
        return Guard(resolve=self.resolve, allow_private=self.allow_private_networks)

    def signer(self) -> Signer | None:
        """Returns what signs requests, if there is a key. Raises BadConfig."""
        return read_signer(self.signing_key, self.signature_agent)


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of ``forbear crawl``; times in seconds, sizes in bytes, None for no limit."""

    store: Store
    terms: Terms
    network: Network = field(default_factory=Network)
    seeds: tuple[str, ...] = ()
    shadow: bool = False
    max_pages: int | None = None
    max_depth: int | None = None
    follow: str = "same-host"
    sitemaps: bool = False
    max_bytes: int = 64 * 1024 * 1024
    retries: int = 2
    resume: bool = False
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"
    lease: float = 60.0

    def __post_init__(self) -> None:
        """Raises BadConfig, one sentence for a person."""
        if self.follow not in FOLLOW:
            raise BadConfig(f"{self.follow!r} is not a way to follow links: choose {', '.join(FOLLOW)}.")
        for seed in self.seeds:
            urls.parse(seed)

    def identity(self) -> dict[str, Any]:
        """Returns the settings by which a crawl is recognised, so that the same command continues it."""
        return identity(asdict(self))


def by_subject(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Groups the options of a command: returns ``store``, ``terms``, ``network`` and what belongs to none of them."""
    rest, groups = dict(settings), {"store": Store, "terms": Terms, "network": Network}
    chosen = {
        name: group(**{each.name: rest.pop(each.name) for each in fields(group) if each.name in rest})
        for name, group in groups.items()
    }
    return chosen | rest


def identity(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Flattens settings that are grouped by subject, leaves out those that do not identify a run; paths are text."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= value if isinstance(value, dict) else {name: value}
    flat["out"] = str(flat["out"].resolve())
    for name in ("operator_list", "policy", "infringing_list"):
        flat[name] = str(flat[name] or "")
    return {name: value for name, value in flat.items() if name not in _HOW}
