"""The operator of a crawl: product token and contact (RFC 9309 2.2.1, RFC 9110 10.1.5), block list, policy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from forbear.optout import __version__
from forbear.optout import policy as policies
from forbear.optout.model import Capture, Profile, Use
from forbear.optout.policy import BadPolicy, Policy
from forbear.optout.protocols import infringing_list, operator
from forbear.optout.readers.csv_list import BadList
from forbear.storage.log.crawls import CrawlRecord

_TOKEN = re.compile(r"[A-Za-z_-]+")


class Identity(Protocol):
    """How a crawler names itself, and what it collects for."""

    @property
    def agent(self) -> str:
        """The product token that rules are matched with."""

    @property
    def user_agent(self) -> str:
        """The User-Agent header."""

    @property
    def contact(self) -> str:
        """Where its operator can be reached."""

    @property
    def use(self) -> Use:
        """The use that pages are collected for."""

    @property
    def profile(self) -> Profile:
        """How doubtful signals count."""


class BadConfig(ValueError):
    """A setting cannot be used; the message names it and says what to do."""


def user_agent(agent: str, contact: str) -> str:
    """Returns the User-Agent header: the token that rules are matched against, the version, the contact."""
    return f"{agent}/{__version__} (+{contact})"


def crawl_record(identity: Identity, policy: Policy, configuration: Mapping[str, Any], *, shadow: bool) -> CrawlRecord:
    """Returns what the log holds of a crawl by this version of Forbear."""
    return CrawlRecord(
        engine=__version__,
        agent=identity.agent,
        user_agent=identity.user_agent,
        contact=identity.contact,
        use=identity.use,
        profile=identity.profile,
        shadow=shadow,
        policy=policy,
        configuration=configuration,
    )


def leading_token(header: str) -> str | None:
    """Returns the product token at the start of a User-Agent header."""
    match = _TOKEN.match(header)
    return match[0] if match else None


def check_token(agent: str) -> None:
    """Raises BadConfig unless robots.txt rules can be matched against the token."""
    if not _TOKEN.fullmatch(agent):
        raise BadConfig(f"{agent!r} is not a product token: use only letters, - and _ (RFC 9309 2.2.1).")


def check_contact(contact: str, option: str) -> None:
    """Raises BadConfig unless somebody can be reached at the contact; ``option`` is the option that set it."""
    parts = urlsplit(contact)
    web = parts.scheme in ("http", "https") and parts.netloc
    mail = parts.scheme == "mailto" and "@" in parts.path
    if not (web or mail):
        raise BadConfig(f"{contact!r} is not a contact: set {option} to a web page (https://…) or mailto:NAME@DOMAIN.")
    if not contact.isascii() or not contact.isprintable():
        raise BadConfig("The contact is sent in an HTTP header: write it in ASCII.")


def with_complaints(own: Capture | None, lines: Sequence[str]) -> Capture | None:
    """Returns the operator's list, extended by what accepted complaints block; None if there is neither.

    Raises BadList for a bad line; lines from complaints were checked when they were accepted.
    """
    there = set(own.body.decode("utf-8", "replace").splitlines()) if own else set()
    new = [line for line in lines if line not in there]
    return operator.with_lines(own.body if own else b"", new) if new else own


def read_list(path: Path, option: str) -> Capture:
    """Reads the operator's list as a capture; ``option`` is the option that named the path. Raises BadConfig."""
    try:
        return operator.capture_of(path.read_bytes())
    except OSError as error:
        raise BadConfig(f"{option}: {path} cannot be read: {error.strerror}.") from None
    except BadList as error:
        raise BadConfig(f"{option} {path}: {error}.") from None


def read_infringing(path: Path | None, option: str, known: bytes | None = None) -> Capture | None:
    """Reads the list of infringing sites from a file, else takes ``known``, the database's. Raises BadConfig."""
    try:
        body = path.read_bytes() if path else known
        return infringing_list.capture_of(body) if body is not None else None
    except OSError as error:
        raise BadConfig(f"{option}: {path} cannot be read: {error.strerror}.") from None
    except BadList as error:
        raise BadConfig(f"{option} {path or 'from the database'}: {error}.") from None


def read_policy(path: Path | None, option: str) -> Policy:
    """Reads the built-in policy with the overrides in the operator's file. Raises BadConfig."""
    try:
        return policies.load(path.read_text(encoding="utf-8") if path else "")
    except OSError as error:
        raise BadConfig(f"{option}: {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise BadConfig(f"{option}: {path} is not UTF-8 text.") from None
    except BadPolicy as error:
        raise BadConfig(f"{option} {path}: {error}.") from None
