"""Options that several commands share, with their environment variables and the checks of their values."""

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
    """Like click.option, with FORBEAR_NAME as the environment variable and the default shown.

    Every option is made with this, which also lets forbear.toml set it: at the top for all commands, or, if it has
    another ``envvar``, only in the table of its command. Whole numbers are shown as N, and others, which are all
    durations, as SECONDS.
    """
    kind = attributes.get("type")
    metavar = "N" if isinstance(kind, click.IntRange) else "SECONDS" if isinstance(kind, click.FloatRange) else None
    defaults: dict[str, Any] = {
        "envvar": envvar_of(name),
        "show_default": attributes.get("default") != "",
        "metavar": metavar,
    }
    return click.option(name, *more, **(defaults | attributes))


class Group(click.Group):
    """A group of commands; its help has the whole first sentence of each, which click would cut off."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(1000)) for name, each in commands.items() if each])


class CheckedText(click.ParamType[str]):
    """A text that a function accepts, or rejects with a ValueError that says why."""

    def __init__(self, name: str, check: Callable[[str], object]) -> None:
        self.name = name
        self._check = check

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Returns the text unchanged, or fails with the message of the ValueError."""
        try:
            self._check(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)
        return str(value)


def _check_text(text: str) -> None:
    if not text.isprintable():
        raise ValueError(f"{text!r} contains characters that cannot be printed: write plain text")


def check_db(db: str) -> None:
    """Raises ValueError unless this is the URL of a supported database."""
    if not _DB.fullmatch(db) or not db.isprintable():  # not repeated in the message: it may contain a password
        raise ValueError("not a database URL: write sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME")


def _check_agent(agent: str) -> None:
    if not _PRODUCT_TOKEN.fullmatch(agent):
        raise ValueError(f"{agent!r} is not a product token: use only letters, '-' and '_' (RFC 9309 2.2.1)")


def _check_contact(contact: str) -> None:
    if not _CONTACT.fullmatch(contact):
        raise ValueError(f"{contact!r} is neither a web page (https://…) nor mailto:NAME@DOMAIN")


def _check_proxy(proxy: str) -> None:
    parts = urlsplit(proxy)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError(f"{proxy!r} is not the URL of an HTTP proxy: write one like http://proxy.example:3128")


def _check_pin(pin: str) -> None:
    from forbear.crawler.fetch.network import parse_pin  # noqa: PLC0415 most commands connect to no site

    parse_pin(pin)


def load_policy(path: Path | None) -> Policy:
    """Returns the built-in policy, with the overrides in the file of ``--policy``; raises UsageError."""
    from forbear.crawler.identity import BadConfig, read_policy  # noqa: PLC0415 most commands decide nothing

    try:
        return read_policy(path, "--policy")
    except BadConfig as error:
        raise click.UsageError(str(error)) from None


def load_infringing(path: Path | None) -> Capture | None:
    """Reads the list of infringing sites in the file of ``--infringing-list``, if given; raises UsageError."""
    from forbear.crawler.identity import BadConfig, read_infringing  # noqa: PLC0415 as above

    try:
        return read_infringing(path, "--infringing-list")
    except BadConfig as error:
        raise click.UsageError(str(error)) from None


def group(*some: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Joins several options to one decorator, in this order."""

    def decorate(command: Command) -> Command:
        for one in reversed(some):
            command = one(command)
        return command

    return decorate


def first_line(file: Path) -> str:
    """Reads the secret in the first line of a file; raises UsageError."""
    try:
        return file.read_text("utf-8").partition("\n")[0]
    except UnicodeDecodeError:
        raise click.UsageError(f"{file} is not UTF-8 text. Name a file with the secret in its first line.") from None


def convert_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings of a crawl in the types that it takes; raises UsageError if ``--contact`` is missing."""
    if settings["contact"] is None:
        raise click.UsageError(missing_contact("a crawler that cannot be reached does not run."))
    return settings | {"use": Use(settings["use"]), "profile": Profile(settings["profile"])}


def missing_contact(why: str) -> str:
    """Returns the message for a command that needs ``--contact``; ``why`` ends the sentence."""
    return f"--contact is missing. Add --contact https://…/your-page or --contact mailto:NAME@DOMAIN: {why}"


text = CheckedText("text", _check_text)
existing_file = click.Path(exists=True, dir_okay=False, path_type=Path)
existing_folder = click.Path(exists=True, file_okay=False, path_type=Path)

agent = option(
    "--agent",
    type=CheckedText("token", _check_agent),
    default="ForbearBot",
    help="Product token of the crawler, for robots.txt and the User-Agent.",
)
contact = option(
    "--contact",
    type=CheckedText("url_or_mailto", _check_contact),
    help="Web page or mailto: address where people reach the operator; sent in the User-Agent.",
)
use = option(
    "--use",
    type=click.Choice([str(word) for word in Use]),
    default=str(Use.TRAIN_AI),
    help="What the copies are for, in terms of the IETF AIPREF vocabulary.",
)
profile = option(
    "--profile",
    type=click.Choice([str(word) for word in Profile]),
    default=str(Profile.STANDARD),
    help="How to treat doubtful signals: by each protocol's own rules, or always as a reservation.",
)
policy = option("--policy", type=existing_file, help="TOML file that overrides the built-in policy.")
infringing_list = option(
    "--infringing-list",
    type=existing_file,
    help="CSV file of infringing sites, as printed by `forbear lists show --csv`.",
)
operator_list = option(
    "--operator-list", type=existing_file, help="CSV file of your own blocks and of the licences you hold."
)
delay = option("--delay", type=click.FloatRange(min=0), default=1.0, help="Wait between two requests to one host.")
fetch_limits = group(
    delay,
    option("--max-delay", type=click.FloatRange(min=0), help="Skip hosts with a longer Crawl-delay.  [default: wait]"),
    option("--concurrency", type=click.IntRange(min=1), default=16, help="Fetch from this many hosts at a time."),
    option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=60.0,
        help="Give up a request after this time.",
    ),
    option(
        "--max-bytes", type=click.IntRange(min=1), default=67_108_864, help="Skip larger pages (bytes, decompressed)."
    ),
    option("--retries", type=click.IntRange(min=0), default=2, help="Repeat a failed request this often."),
)
proxy = option("--proxy", type=CheckedText("url", _check_proxy), help="Send every request through this HTTP proxy.")
resolve = option(
    "--resolve",
    multiple=True,
    type=CheckedText("host:port:addr", _check_pin),
    help="Use this address for a host and port, as in curl; * matches any. Can be repeated.",
)
allow_private_networks = option(
    "--allow-private-networks",
    is_flag=True,
    help="Also connect to addresses that are not on the public Internet.",
)
signing_key = option(
    "--signing-key",
    type=existing_file,
    help="Sign every request with the Ed25519 key in this PEM file (Web Bot Auth).",
)
signature_agent = option(
    "--signature-agent", metavar="ORIGIN", help="Site that publishes that key: the portal's --base-url."
)
db = option(
    "--db",
    metavar="URL",
    type=CheckedText("url", check_db),
    default="sqlite:///forbear.db",
    help="Database: sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME.",
)
evidence = option(
    "--evidence",
    metavar="URL",
    type=text,
    help="Folder or s3://BUCKET/FOLDER that holds what sites answered.  [default: the database]",
)
crawler = group(contact, agent, use, profile, policy)
connections = group(
    operator_list, infringing_list, signing_key, signature_agent, proxy, resolve, allow_private_networks
)
redact = option(
    "--redact/--no-redact",
    "redacted",
    default=True,
    help="Remove from URLs what may name a person: user names, query values, mail addresses.",
)
as_json = option("--json", "as_json", is_flag=True, help="Print JSON.")
passphrase_file = option(
    "--passphrase-file",
    type=existing_file,
    help="Read the key's passphrase from the first line of this file.  [default: FORBEAR_PASSPHRASE, or ask]",
)
tsa = option("--tsa", metavar="URL", help="Have this authority timestamp each checkpoint (RFC 3161).")
witness = option(
    "--witness",
    multiple=True,
    metavar="PLACE",
    help="Also write checkpoints here: a folder, a file, http(s)://… or git:FOLDER. Can be repeated.",
)
key = option("--key", type=existing_file, help="Sign the log with this key at the end, like `forbear checkpoint`.")
signing = group(key, passphrase_file, tsa, witness)
