"""``forbear serve``: the web portal and its JSON API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import uvicorn

from optout.model import Profile, Use
from portal.app import create_app
from portal.settings import Settings
from scripts import options, show
from storage.database import open_database


@click.command()
@options.option("--host", default="127.0.0.1", help="Address to listen at.")
@options.option("--port", type=click.IntRange(0, 65535), default=8000, help="Port to listen at; 0 is any free one.")
@options.option("--base-url", help="Address that people reach it by.  [default: http://HOST:PORT]")
@options.option("--operator", type=options.text, default="", help="Name of whoever runs the crawler, for people.")
@options.option("--trust-proxy", is_flag=True, help="Believe X-Forwarded-For: only behind a proxy of your own.")
@options.db
@options.contact
@options.agent
@options.use
@options.profile
@options.policy
@options.proxy
@options.resolve
@options.allow_private_networks
def command(
    host: str,
    port: int,
    base_url: str | None,
    trust_proxy: bool,
    db: str,
    contact: str | None,
    use: str,
    profile: str,
    policy: Path | None,
    **settings: Any,
) -> None:
    """Serve the portal: what happened to a domain, and what a site says now.

    --contact, --agent, --use, --profile and --policy are those of the crawler; where they stand in forbear.toml, both
    read them there. Put a server that speaks TLS in front, name its address with --base-url, and set --trust-proxy.

    \b
    Example:
      forbear serve --contact https://example.org/bot --operator "Example Research"
    """
    if contact is None:
        raise click.UsageError(
            "--contact is missing: give a web page (https://…) or mailto:NAME@DOMAIN where people reach you; "
            "it is the point of contact on every page."
        )
    base = (base_url or f"http://{host}:{port}").rstrip("/")
    if not base.startswith(("http://", "https://")):
        raise click.UsageError(f"--base-url {base!r} is no web address: write one like https://bot.example.org.")
    engine = open_database(db)
    try:
        app = create_app(
            engine,
            Settings(
                contact=contact,
                base_url=base,
                use=Use(use),
                profile=Profile(profile),
                policy=options.rules(policy),
                **settings,
            ),
        )
        show.line(f"The portal is at {base} until you press Ctrl+C.")
        uvicorn.run(
            app,
            host=host,
            port=port,
            log_level="warning",
            server_header=False,
            proxy_headers=trust_proxy,
            forwarded_allow_ips="*" if trust_proxy else None,
        )
    finally:
        engine.dispose()
