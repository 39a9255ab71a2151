"""``forbear serve``: the web portal and its JSON API."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import click
import uvicorn

from forbear.crawler.fetch.bot_auth import Signer, read_signer
from forbear.crawler.identity import BadConfig, read_list
from forbear.crawler.limits.workers import WorkerPool
from forbear.optout.model import Capture, Profile, Use
from forbear.optout.readers.url import NotAUrl, parse
from forbear.portal.app import create_app
from forbear.portal.public.dns_txt import servers
from forbear.portal.web.context import Portal
from forbear.portal.web.oidc_client import Issuer
from forbear.portal.web.proxies import Network, networks
from forbear.portal.web.settings import Settings
from forbear.portal.web.smtp import Smtp
from forbear.scripts import options, show
from forbear.scripts.key import key_of
from forbear.storage.accounts import accounts
from forbear.storage.database import open_database

SHORTEST_SECRET = 32
"""Characters of the portal's secret."""


@click.command()
@options.option("--host", default="127.0.0.1", help="Address to listen at.")
@options.option("--port", type=click.IntRange(1, 65535), default=8000, help="Port to listen at.")
@options.option("--base-url", help="Address that people reach it by.  [default: http://HOST:PORT]")
@options.option("--operator", type=options.text, default="", help="Name of whoever runs the crawler, for people.")
@options.option("--ip-range", multiple=True, help="Addresses the crawler comes from, as 192.0.2.0/24. Can be repeated.")
@options.option("--smtp", help="Server that takes mails: smtp://[USER:PASSWORD@]HOST:PORT, or smtps.  [default: none]")
@options.option("--mail-from", help="Address that mails come from; required with --smtp.")
@options.option(
    "--operator-list",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV file of your own blocks and of licences you hold, as for crawl.",
)
@options.option("--oidc-issuer", metavar="URL", help="Issuer of OpenID Connect that signs people in.  [default: none]")
@options.option("--oidc-client", help="What the portal is known as there; required with --oidc-issuer.")
@options.option(
    "--oidc-secret-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File whose first line is the client's secret; required with --oidc-issuer.",
)
@options.option("--oidc-label", type=options.text, default="your organisation", help="What people call the issuer.")
@options.option(
    "--dns-server",
    "dns_servers",
    multiple=True,
    metavar="ADDRESS[:PORT]",
    help="Server asked for records that prove control of a site. Can be repeated.  [default: those of the system]",
)
@options.option(
    "--key",
    metavar="KEY",
    help="Whose checkpoints sign for bundles: NAME+ID+BASE64, or a file with it.  [default: whoever signed the newest]",
)
@options.option(
    "--secret-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with the portal's secret, made where there is none; processes that serve one portal share it.",
)
@options.option(
    "--trust-proxy",
    "trusted",
    multiple=True,
    metavar="ADDRESS[,NETWORK…]",
    help="Reverse proxies whose X-Forwarded-For or Forwarded names the visitor, as 127.0.0.1 or 10.0.0.0/8. "
    "Can be repeated.  [default: none]",
)
@options.evidence
@options.db
@options.contact
@options.agent
@options.use
@options.profile
@options.policy
@options.infringing_list
@options.signing_key
@options.proxy
@options.resolve
@options.allow_private_networks
def command(
    host: str,
    port: int,
    base_url: str | None,
    ip_range: tuple[str, ...],
    smtp: str | None,
    mail_from: str | None,
    operator_list: Path | None,
    signing_key: Path | None,
    oidc_issuer: str | None,
    oidc_client: str | None,
    oidc_secret_file: Path | None,
    oidc_label: str,
    dns_servers: tuple[str, ...],
    key: str | None,
    secret_file: Path | None,
    trusted: tuple[str, ...],
    evidence: str | None,
    db: str,
    contact: str | None,
    use: str,
    profile: str,
    policy: Path | None,
    infringing_list: Path | None,
    **settings: Any,
) -> None:
    """Serve the portal: look-up, live check, the crawlers' page and its feed, complaints.

    --contact, --agent, --use, --profile and --policy are those of the crawler; where they stand in forbear.toml, both
    read them there. Put a server that speaks TLS in front, give the public address with --base-url, and name the server
    with --trust-proxy.

    \b
    Examples:
      forbear serve --contact https://example.org/bot --operator "Example Research"
      forbear serve --contact https://example.org/bot --base-url https://bot.example.org --trust-proxy 127.0.0.1
    """
    if contact is None:
        raise click.UsageError(
            "--contact is missing: give a web page (https://…) or mailto:NAME@DOMAIN where people reach you; "
            "it is the point of contact on every page."
        )
    base = _base(base_url or f"http://{f'[{host}]' if ':' in host else host}:{port}")
    options.infringing(infringing_list)  # a file that cannot be read is said now
    told = Settings(
        contact=contact,
        base_url=base,
        use=Use(use),
        profile=Profile(profile),
        policy=options.rules(policy),
        operator_list=_listed(operator_list),
        infringing_list=infringing_list,
        signer=_signer(signing_key, base),
        ip_ranges=_ranges(ip_range),
        log_key=key_of(key) if key else None,
        dns_servers=_servers(dns_servers),
        trusted_proxies=_proxies(trusted),
        smtp=_smtp(smtp, mail_from),
        issuer=_issuer(oidc_issuer, oidc_client, oidc_secret_file, oidc_label),
        **settings,
    )
    if secret_file:
        told = replace(told, secret=_secret(secret_file), keeps_secret=True)
    engine = open_database(db, evidence=evidence)
    pool = WorkerPool()
    try:
        app = create_app(engine, told, pool)
        _check_codes(app.state.portal)
        show.line(f"The portal is at {base} until you press Ctrl+C.")
        if told.is_https and not told.trusted_proxies:
            click.echo(
                "All visitors count as one in the limits: name the server in front of the portal with --trust-proxy.",
                err=True,
            )
        uvicorn.run(
            app,
            host=host,
            port=port,
            log_level="warning",
            server_header=False,
            proxy_headers=False,  # forbear.portal.web.proxies reads them: uvicorn takes malformed entries for addresses
        )
    finally:
        pool.close()
        engine.dispose()


def _base(url: str) -> str:
    """The public address without a slash at its end. Raises UsageError."""
    try:
        parts = parse(url)
    except NotAUrl:
        raise click.UsageError(
            f"--base-url {url!r} is no web address: write one like https://bot.example.org."
        ) from None
    if parts.target != "/" or not url.isprintable() or set(url) & set("@?#"):
        raise click.UsageError(f"--base-url {url!r} has more than scheme, host and port: write {parts.origin}.")
    return parts.origin


def _proxies(texts: tuple[str, ...]) -> tuple[Network, ...]:
    try:
        return networks(texts)
    except ValueError as error:
        raise click.UsageError(f"--trust-proxy: {error}.") from None


def _listed(path: Path | None) -> Capture | None:
    try:
        return read_list(path, "--operator-list") if path else None
    except BadConfig as error:
        raise click.UsageError(str(error)) from None


def _signer(path: Path | None, base: str) -> Signer | None:
    try:
        return read_signer(path, base) if path else None
    except BadConfig as error:
        raise click.UsageError(str(error)) from None


def _ranges(texts: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(str(ip_network(text)) for text in texts)
    except ValueError as error:
        raise click.UsageError(f"--ip-range: {error}: write addresses as 192.0.2.0/24 or 2001:db8::/32.") from None


def _secret(path: Path) -> bytes:
    """The secret in a file; a new one where there is no file. Raises UsageError."""
    if not path.exists():
        _make_secret(path)
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise click.UsageError(f"--secret-file: {path} cannot be read, or is no text.") from None
    if len(text) < SHORTEST_SECRET:
        raise click.UsageError(
            f"--secret-file: {path} has {len(text)} characters, but {SHORTEST_SECRET} are the least: name a new file, "
            "and one is made."
        )
    return text.encode()


def _make_secret(path: Path) -> None:
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(f"{secrets.token_hex(32)}\n")
        with suppress(FileExistsError):
            path.hardlink_to(new)  # whole, or not at all: another process may make it just now
    except OSError as error:
        raise click.UsageError(f"--secret-file: {path} cannot be made: {error.strerror}.") from None
    finally:
        new.unlink(missing_ok=True)


def _check_codes(portal: Portal) -> None:
    """Raises UsageError where nobody could sign in any more, since the secret is another one."""
    with portal.reading() as connection:
        names = accounts.unreadable(connection)
    if names:
        raise click.UsageError(
            f"The codes of {', '.join(names)} are encrypted with another secret: name the file that has it with "
            "--secret-file, or have the codes set up anew with `forbear user password NAME`."
        )


def _servers(texts: tuple[str, ...]) -> tuple[str, ...]:
    try:
        servers(texts)
    except ValueError as error:
        raise click.UsageError(f"--dns-server: {error}: write 192.0.2.53 or [2001:db8::53]:5353.") from None
    return texts


def _issuer(url: str | None, client: str | None, secret: Path | None, label: str) -> Issuer | None:
    if url is None:
        return None
    try:
        issuer = Issuer(url, client or "", secret.read_text("utf-8").partition("\n")[0] if secret else "", label)
    except UnicodeDecodeError:
        raise click.UsageError(f"--oidc-secret-file: {secret} is not a text.") from None
    except ValueError as error:
        raise click.UsageError(f"--oidc-issuer: {error}.") from None
    if not (client and secret):
        raise click.UsageError("--oidc-issuer needs --oidc-client and --oidc-secret-file.")
    return issuer


def _smtp(url: str | None, sender: str | None) -> Smtp | None:
    if url is None:
        return None
    if not sender or "@" not in sender:
        raise click.UsageError("--smtp needs --mail-from: the address that mails come from.")
    try:
        return Smtp.parse(url, sender)
    except ValueError as error:
        raise click.UsageError(f"--smtp: {error}.") from None
