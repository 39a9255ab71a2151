"""Whoever runs a crawl: how they name themselves (RFC 9309 2.2.1, RFC 9110 10.1.5), their own list, their policy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from forbear.optout import __version__
from forbear.optout import policy as policies
from forbear.optout.model import Capture
from forbear.optout.policy import BadPolicy, Policy
from forbear.optout.protocols import infringing_list, operator

_TOKEN = re.compile(r"[A-Za-z_-]+")


class BadConfig(ValueError):
    """A setting that cannot be used; the message names it and says what to do."""


def user_agent(agent: str, contact: str) -> str:
    """The User-Agent header: the token that rules are matched with, the version, where to complain."""
    return f"{agent}/{__version__} (+{contact})"


def leading_token(header: str) -> str | None:
    """The product token that a User-Agent header begins with."""
    match = _TOKEN.match(header)
    return match[0] if match else None


def check_token(agent: str) -> None:
    """Raises BadConfig if robots.txt rules cannot be matched with it."""
    if not _TOKEN.fullmatch(agent):
        raise BadConfig(f"{agent!r} is no product token: use letters, - and _ only (RFC 9309 2.2.1).")


def check_contact(contact: str, option: str) -> None:
    """Raises BadConfig if nobody could be reached by it; ``option`` is what it was given with."""
    parts = urlsplit(contact)
    web = parts.scheme in ("http", "https") and parts.netloc
    mail = parts.scheme == "mailto" and "@" in parts.path
    if not (web or mail):
        raise BadConfig(
            f"{contact!r} is no contact: give {option} a web page of yours (https://…) or mailto:NAME@DOMAIN."
        )
    if not contact.isascii() or not contact.isprintable():
        raise BadConfig("The contact stands in an HTTP header: write it in ASCII.")


def with_complaints(own: Capture | None, lines: Sequence[str]) -> Capture | None:
    """The operator's list with what accepted complaints block at its end; None if there is neither.

    Raises operator.BadList for a line that is none; those of forbear.storage.log.complaints were checked when they
    were accepted.
    """
    there = set(own.body.decode("utf-8", "replace").splitlines()) if own else set()
    new = [line for line in lines if line not in there]
    return operator.extended(own.body if own else b"", new) if new else own


def read_list(path: Path, option: str) -> Capture:
    """The operator's list as a capture; raises BadConfig. ``option`` is what the path was given with."""
    try:
        return operator.capture_of(path.read_bytes())
    except OSError as error:
        raise BadConfig(f"{option}: {path} cannot be read: {error.strerror}.") from None
    except operator.BadList as error:
        raise BadConfig(f"{option} {path}: {error}.") from None


def read_infringing(path: Path | None, option: str, known: bytes | None = None) -> Capture | None:
    """The list of infringing sites: a file's, or what the database knows, or none; raises BadConfig."""
    try:
        body = path.read_bytes() if path else known
        return infringing_list.capture_of(body) if body is not None else None
    except OSError as error:
        raise BadConfig(f"{option}: {path} cannot be read: {error.strerror}.") from None
    except infringing_list.BadList as error:
        raise BadConfig(f"{option} {path or 'from the database'}: {error}.") from None


def read_policy(path: Path | None, option: str) -> Policy:
    """The policy that ships, as far as the operator's file does not depart from it; raises BadConfig."""
    try:
        return policies.load(path.read_text(encoding="utf-8") if path else "")
    except OSError as error:
        raise BadConfig(f"{option}: {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise BadConfig(f"{option}: {path} is no UTF-8 text.") from None
    except BadPolicy as error:
        raise BadConfig(f"{option} {path}: {error}.") from None
