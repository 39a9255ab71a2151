"""``forbear serve``: serves the web portal and its JSON API."""

from __future__ import annotations

import os
import secrets
import socket
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
from forbear.scripts.exit_codes import FAILED
from forbear.scripts.key import key_of
from forbear.storage.accounts import accounts
from forbear.storage.database import open_database

SHORTEST_SECRET = 32
"""Minimum length of the portal's secret, in characters."""


@click.command()
@options.option("--host", default="127.0.0.1", help="Listen on this address.")
@options.option("--port", type=click.IntRange(1, 65535), metavar="PORT", default=8000, help="Listen on this port.")
@options.option("--base-url", metavar="URL", help="Public address of the portal.  [default: http://HOST:PORT]")
@options.option("--operator", type=options.text, default="", help="Name of the operator, shown on every page.")
@options.option(
    "--ip-range",
    multiple=True,
    metavar="NETWORK",
    help="Publish this address range of the crawler, as 192.0.2.0/24. Can be repeated.",
)
@options.option(
    "--smtp",
    metavar="URL",
    help="Send mail through this server: smtp://[USER:PASSWORD@]HOST:PORT, or smtps.  [default: send no mail]",
)
@options.option("--mail-from", metavar="ADDRESS", help="Sender of mail; required with --smtp.")
@options.operator_list
@options.option("--oidc-issuer", metavar="URL", help="Let people sign in with this OpenID Connect issuer.")
@options.option("--oidc-client", metavar="ID", help="Client ID at the issuer; required with --oidc-issuer.")
@options.option(
    "--oidc-secret-file",
    type=options.existing_file,
    help="Read the client secret from the first line of this file; required with --oidc-issuer.",
)
@options.option(
    "--oidc-label", type=options.text, default="your organisation", help="Name of the issuer on the sign-in page."
)
@options.option(
    "--dns-server",
    "dns_servers",
    multiple=True,
    metavar="ADDRESS[:PORT]",
    help="Ask this server for the records that verify a domain. Can be repeated.  [default: those of the system]",
)
@options.option(
    "--key",
    metavar="KEY",
    help="Key that signed the checkpoints in bundles, as NAME+ID+BASE64 or in a file.  [default: the latest signer]",
)
@options.option(
    "--secret-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of the portal's secret, created if missing; all processes of a portal need the same.",
)
@options.option(
    "--trust-proxy",
    "trusted",
    multiple=True,
    metavar="ADDRESS[,NETWORK…]",
    help="Trust X-Forwarded-For and Forwarded from these reverse proxies, as 127.0.0.1 or 10.0.0.0/8. "
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
) -> int:
    """Serve the portal: lookup, live check, the crawler's page and its feed, complaints.

    Use the same --contact, --agent, --use, --profile and --policy as for the crawler, best set in forbear.toml for
    both. In production, put a TLS server in front of the portal, name it with --trust-proxy, and set the public address
    with --base-url.

    \b
    Example:
      forbear serve --contact https://example.org/bot --operator "Example Research"
      forbear serve --contact https://example.org/bot --base-url https://bot.example.org --trust-proxy 127.0.0.1
    """
    if contact is None:
        raise click.UsageError(options.missing_contact("every page of the portal shows it."))
    base = _base(base_url or f"http://{f'[{host}]' if ':' in host else host}:{port}")
    options.load_infringing(infringing_list)  # so that a file that cannot be read is reported before the start
    portal_settings = Settings(
        contact=contact,
        base_url=base,
        use=Use(use),
        profile=Profile(profile),
        policy=options.load_policy(policy),
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
        portal_settings = replace(portal_settings, secret=_secret(secret_file), keeps_secret=True)
    engine = open_database(db, evidence=evidence)
    pool = WorkerPool()
    try:
        app = create_app(engine, portal_settings, pool)
        _check_codes(app.state.portal)
        with _listen(host, port) as listener:
            show.line(f"The portal is at {base} until you press Ctrl+C.")
            if portal_settings.is_https and not portal_settings.trusted_proxies:
                click.echo(
                    "Warning: rate limits count all visitors as one. Add --trust-proxy and the address of the TLS "
                    "server.",
                    err=True,
                )
            config = uvicorn.Config(
                app,
                log_level="warning",
                server_header=False,
                proxy_headers=False,  # forbear.portal.web.proxies reads them: uvicorn accepts malformed addresses
            )
            server = uvicorn.Server(config)
            with suppress(KeyboardInterrupt):
                server.run(sockets=[listener])
            return 0 if server.started else FAILED
    finally:
        pool.close()
        engine.dispose()


def _listen(host: str, port: int) -> socket.socket:
    """Opens the port; raises OSError with a sentence."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]  # create_server appends the address
        raise OSError(f"Cannot listen on {host}, port {port}: {reason}. Choose another --host or --port.") from None


def _base(url: str) -> str:
    """Returns the public address without a slash at its end. Raises UsageError."""
    try:
        parts = parse(url)
    except NotAUrl:
        raise click.UsageError(
            f"--base-url {url!r} is not a web address: write one like https://bot.example.org."
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
    """Reads the secret in a file, which is created if missing. Raises UsageError."""
    if not path.exists():
        _make_secret(path)
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise click.UsageError(
            f"--secret-file: {path} cannot be read as text. Name a file that does not exist, and it is created."
        ) from None
    if len(text) < SHORTEST_SECRET:
        raise click.UsageError(
            f"--secret-file: {path} has {show.count(len(text), 'character')}, but needs at least {SHORTEST_SECRET}. "
            "Name a file that does not exist, and it is created."
        )
    return text.encode()


def _make_secret(path: Path) -> None:
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(f"{secrets.token_hex(32)}\n")
        with suppress(FileExistsError):
            path.hardlink_to(new)  # atomic, as another process may create it at the same time
    except OSError as error:
        raise click.UsageError(
            f"--secret-file: {path} cannot be created: {error.strerror}. Choose another path."
        ) from None
    finally:
        new.unlink(missing_ok=True)


def _check_codes(portal: Portal) -> None:
    """Raises UsageError if accounts could no longer sign in, because the secret is a different one."""
    with portal.reading() as connection:
        names = accounts.undecryptable(connection)
    if names:
        raise click.UsageError(
            f"The sign-in codes of {', '.join(names)} are encrypted with a different secret. Name its file with "
            "--secret-file, or reset an account: forbear user password NAME"
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
        issuer = Issuer(url, client or "", options.first_line(secret) if secret else "", label)
    except ValueError as error:
        raise click.UsageError(f"--oidc-issuer: {error}.") from None
    if not (client and secret):
        raise click.UsageError("--oidc-issuer needs --oidc-client and --oidc-secret-file.")
    return issuer


def _smtp(url: str | None, sender: str | None) -> Smtp | None:
    if url is None:
        return None
    if not sender or "@" not in sender:
        raise click.UsageError("--smtp needs a sender. Add --mail-from ADDRESS.")
    try:
        return Smtp.parse(url, sender)
    except ValueError as error:
        raise click.UsageError(f"--smtp: {error}.") from None
