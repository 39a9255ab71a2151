"""The operator's settings of the portal."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from forbear.crawler.fetch.bot_auth import Signer
from forbear.crawler.identity import user_agent
from forbear.optout.model import Capture, Profile, Use
from forbear.optout.policy import Policy, load
from forbear.portal.web.oidc_client import Issuer
from forbear.portal.web.proxies import Network
from forbear.portal.web.smtp import Smtp
from forbear.storage.chain.signed_note import VerifierKey


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests a minute for each client, by their cost; the same number may come at once."""

    pages: int = 240
    forms: int = 20
    checks: int = 6


@dataclass(frozen=True, slots=True)
class Settings:
    """The operator's settings.

    ``contact`` is the URL or mailto: address in the User-Agent; ``operator`` the name that people know. ``base_url`` is
    the portal's public address without a slash at its end, with which links in mails and feeds begin; with https,
    cookies and HSTS are bound to it. ``operator_list``, ``infringing_list`` (a file instead of the database's) and
    ``policy`` are those of the crawler; ``ip_ranges`` are its addresses as the operator states them. ``smtp`` sends
    mails, ``signer`` signs requests, ``issuer`` signs people in; each may be None. Checkpoints by ``log_key`` vouch for
    bundles; None: by the key of the newest. ``proxy``, ``resolve`` and ``allow_private_networks`` are for the live
    check, as in ``forbear check``. ``trusted_proxies`` are the reverse proxies whose X-Forwarded-For and Forwarded
    count. ``dns_servers`` (ADDRESS or ADDRESS:PORT) answer for the records that prove control; empty: those of the
    system. ``secret`` signs forms; by default each process makes its own. With ``keeps_secret`` it outlives a restart
    and is shared by processes, and the secrets of one-time codes are encrypted with a key derived from it.
    """

    contact: str
    base_url: str
    operator: str = ""
    agent: str = "ForbearBot"
    use: Use = Use.TRAIN_AI
    profile: Profile = Profile.STANDARD
    policy: Policy = field(default_factory=load, repr=False)
    operator_list: Capture | None = None
    infringing_list: Path | None = None
    ip_ranges: tuple[str, ...] = ()
    smtp: Smtp | None = None
    signer: Signer | None = None
    log_key: VerifierKey | None = None
    issuer: Issuer | None = None
    rates: Rates = Rates()
    trusted_proxies: tuple[Network, ...] = ()
    proxy: str | None = None
    resolve: tuple[str, ...] = ()
    dns_servers: tuple[str, ...] = ()
    allow_private_networks: bool = False
    keeps_secret: bool = False
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    @property
    def is_https(self) -> bool:
        """Whether people reach the portal over TLS."""
        return self.base_url.startswith("https://")

    @property
    def name(self) -> str:
        """The operator's name, for people."""
        return self.operator or self.contact.removeprefix("mailto:")

    @property
    def user_agent(self) -> str:
        """The User-Agent header of the configured crawler."""
        return user_agent(self.agent, self.contact)
