"""Options that several commands share, each with its environment variable, and the kinds of value they take."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import click

from forbear.optout.model import Capture, Profile, Use
from forbear.scripts.settings import envvar_of

if TYPE_CHECKING:
    from forbear.optout.policy import Policy

Command = TypeVar("Command", bound=Callable[..., Any])

_PRODUCT_TOKEN = re.compile(r"[A-Za-z_-]+")
_DB = re.compile(r"sqlite(?:\+pysqlite)?:///(?!:memory:|file:).+|postgresql(?:\+psycopg)?://.*")
_CONTACT = re.compile(r"(?:https?://[^\s/()]+\S*|mailto:[^\s@()]+@[^\s@()]+)", re.ASCII)


def option(name: str, *more: str, **attributes: Any) -> Callable[[Command], Command]:
    """As click.option, with FORBEAR_NAME as its environment variable and its default shown.

    Every option is made with this, which is also what lets forbear.toml set it: at the top for all commands, or, where
    it has another ``envvar``, in the table of its command alone.
    """
    return click.option(name, *more, **{"envvar": envvar_of(name), "show_default": True, **attributes})


class Checked(click.ParamType[str]):
    """A text that a function accepts, or explains in a ValueError why it does not."""

    def __init__(self, name: str, check: Callable[[str], object]) -> None:
        self.name = name
        self._check = check

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text as it is; fails with the sentence of the ValueError."""
        try:
            self._check(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)
        return str(value)


def _check_text(text: str) -> None:
    if not text.isprintable():
        raise ValueError(f"{text!r} holds what is no text")


def check_db(db: str) -> None:
    """Raises ValueError if this is no database URL that is taken."""
    if not _DB.fullmatch(db) or not db.isprintable():  # which is not repeated: a password may stand in it
        raise ValueError("this is no database: write sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME")


def _check_agent(agent: str) -> None:
    if not _PRODUCT_TOKEN.fullmatch(agent):
        raise ValueError(f"{agent!r} is no product token: letters, '-' and '_' alone (RFC 9309 2.2.1)")


def _check_contact(contact: str) -> None:
    if not _CONTACT.fullmatch(contact):
        raise ValueError(f"{contact!r} is neither a URL nor a mailto: address that people can write to")


def _check_proxy(proxy: str) -> None:
    parts = urlsplit(proxy)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError(f"{proxy!r} is no proxy: write one like http://proxy.example:3128")


def _check_pin(pin: str) -> None:
    from forbear.crawler.fetch.network import parse_pin  # noqa: PLC0415 most commands speak to no site

    parse_pin(pin)


def rules(path: Path | None) -> Policy:
    """The policy by the file of ``--policy``, or as it ships; raises UsageError."""
    from forbear.crawler.identity import BadConfig, read_policy  # noqa: PLC0415 most commands decide nothing

    try:
        return read_policy(path, "--policy")
    except BadConfig as error:
        raise click.UsageError(str(error)) from None


def infringing(path: Path | None) -> Capture | None:
    """The list of infringing sites of ``--infringing-list``, or None; raises UsageError."""
    from forbear.crawler.identity import BadConfig, read_infringing  # noqa: PLC0415 as above

    try:
        return read_infringing(path, "--infringing-list")
    except BadConfig as error:
        raise click.UsageError(str(error)) from None


def together(*some: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator, in this order."""

    def decorate(command: Command) -> Command:
        for one in reversed(some):
            command = one(command)
        return command

    return decorate


def of_crawl(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a crawl in the types that it takes; raises UsageError where nobody could be reached."""
    if settings["contact"] is None:
        raise click.UsageError(
            "--contact is missing: give a web page (https://…) or mailto:NAME@DOMAIN where people reach you; "
            "a crawler that cannot be reached does not run."
        )
    return settings | {"use": Use(settings["use"]), "profile": Profile(settings["profile"])}


text = Checked("text", _check_text)

agent = option(
    "--agent",
    type=Checked("token", _check_agent),
    default="ForbearBot",
    help="The crawler's product token, for robots.txt and the User-Agent.",
)
contact = option(
    "--contact",
    type=Checked("url_or_mailto", _check_contact),
    help="Where people reach whoever runs this: a URL or mailto: address; stands in the User-Agent.",
)
use = option(
    "--use",
    type=click.Choice([str(word) for word in Use]),
    default=str(Use.TRAIN_AI),
    help="What the copies are for, in the words of the IETF AIPREF vocabulary.",
)
profile = option(
    "--profile",
    type=click.Choice([str(word) for word in Profile]),
    default=str(Profile.STANDARD),
    help="How doubt is treated: by each protocol's own rules, or never in favour.",
)
policy = option(
    "--policy",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TOML file of yours: where you depart from what ships about which protocol counts how.",
)
infringing_list = option(
    "--infringing-list",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV file of infringing sites, as `forbear lists show --csv` prints it.",
)
operator_list = option(
    "--operator-list",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV file of your own blocks and of licences you hold.",
)
delay = option("--delay", type=click.FloatRange(min=0), default=1.0, help="Seconds between two requests to a host.")
fetching = together(
    delay,
    option("--max-delay", type=click.FloatRange(min=0), help="Skip hosts with a longer Crawl-delay.  [default: wait]"),
    option("--concurrency", type=click.IntRange(min=1), default=16, help="Requests under way, to as many hosts."),
    option("--timeout", type=click.FloatRange(min=0, min_open=True), default=60.0, help="Seconds for an exchange."),
    option("--max-bytes", type=click.IntRange(min=1), default=67_108_864, help="Octets of a page, decoded."),
    option("--retries", type=click.IntRange(min=0), default=2, help="How often what failed is asked for again."),
)
proxy = option("--proxy", type=Checked("url", _check_proxy), help="Send every request through this HTTP proxy.")
resolve = option(
    "--resolve",
    multiple=True,
    type=Checked("host:port:addr", _check_pin),
    help="Connect to this address for a host and port, as in curl; * is any. Can be repeated.",
)
allow_private_networks = option(
    "--allow-private-networks",
    is_flag=True,
    help="Also connect to addresses that are not on the public Internet.",
)
signing_key = option(
    "--signing-key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="PEM file of an Ed25519 key: every request is signed with it (Web Bot Auth).",
)
signature_agent = option(
    "--signature-agent", metavar="ORIGIN", help="The site that publishes that key: the portal's --base-url."
)
db = option(
    "--db",
    metavar="URL",
    type=Checked("url", check_db),
    default="sqlite:///forbear.db",
    help="The database: sqlite:///FILE or postgresql+psycopg://…",
)
evidence = option(
    "--evidence",
    metavar="URL",
    type=text,
    help="Folder or s3://BUCKET/FOLDER for what sites answered; in the database unless given.",
)
who = together(contact, agent, use, profile, policy)
connecting = together(
    operator_list, infringing_list, signing_key, signature_agent, proxy, resolve, allow_private_networks
)
redact = option(
    "--redact/--no-redact",
    "redacted",
    default=True,
    help="Take out of URLs what may name a person: user names, values of queries, mail addresses.",
)
as_json = option("--json", "as_json", is_flag=True, help="Print JSON.")
passphrase_file = option(
    "--passphrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File whose first line is the passphrase of the key; otherwise FORBEAR_PASSPHRASE, or it is asked for.",
)
tsa = option("--tsa", metavar="URL", help="Have each checkpoint timestamped by this authority (RFC 3161).")
witness = option(
    "--witness",
    multiple=True,
    metavar="PLACE",
    help="Write checkpoints there too: a folder, a file, http(s)://…, git:FOLDER. Can be repeated.",
)
key = option(
    "--key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Sign the log with this key at the end, as `forbear checkpoint` does.",
)
sealing = together(key, passphrase_file, tsa, witness)
