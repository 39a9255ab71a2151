"""What ``forbear crawl`` was asked to do, and which settings make two commands the same crawl."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from forbear.crawler.fetch.bot_auth import read_signer
from forbear.crawler.fetch.network import Guard
from forbear.crawler.identity import BadConfig, check_contact, check_token, user_agent
from forbear.optout.model import Profile, Use
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
"""Settings that say how a crawl is run, and not which one it is."""


@dataclass(frozen=True, slots=True)
class Config:
    """What ``forbear crawl`` was asked to do; times in seconds, sizes in octets, None where there is no limit."""

    seeds: tuple[str, ...]
    out: Path
    db: str
    contact: str
    agent: str = "ForbearBot"
    use: Use = Use.TRAIN_AI
    profile: Profile = Profile.STANDARD
    shadow: bool = False
    max_pages: int | None = None
    max_depth: int | None = None
    follow: str = "same-host"
    sitemaps: bool = False
    delay: float = 1.0
    max_delay: float | None = None
    concurrency: int = 16
    timeout: float = 60.0
    max_bytes: int = 64 * 1024 * 1024
    retries: int = 2
    proxy: str | None = None
    resolve: tuple[str, ...] = ()
    allow_private_networks: bool = False
    operator_list: Path | None = None
    infringing_list: Path | None = None
    policy: Path | None = None
    evidence: str | None = None
    signing_key: Path | None = None
    signature_agent: str | None = None
    resume: bool = False
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"
    lease: float = 60.0

    def __post_init__(self) -> None:
        """Raises BadConfig, one sentence for a person."""
        check_token(self.agent)
        check_contact(self.contact, "--contact")
        if self.follow not in FOLLOW:
            raise BadConfig(f"{self.follow!r} is not a way to follow links: choose {', '.join(FOLLOW)}.")
        read_signer(self.signing_key, self.signature_agent)
        for seed in self.seeds:
            urls.parse(seed)
        try:
            Guard(resolve=self.resolve)
        except ValueError as error:
            raise BadConfig(f"--resolve: {error}.") from None

    @property
    def user_agent(self) -> str:
        """The User-Agent header that every request carries."""
        return user_agent(self.agent, self.contact)

    def identity(self) -> dict[str, Any]:
        """What makes two commands the same crawl: everything but how fast and in what mood it is run."""
        every = asdict(self) | {"out": str(self.out.resolve()), "operator_list": str(self.operator_list or "")}
        every["policy"] = str(self.policy or "")
        every["infringing_list"] = str(self.infringing_list)
        if not self.infringing_list:
            del every["infringing_list"]  # so that crawls of versions which did not know it go on
        for name in _HOW:
            del every[name]
        return every
