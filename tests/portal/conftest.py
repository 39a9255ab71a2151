"""The portal as people reach it: under uvicorn on loopback, on a database that a crawl has written to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from argon2 import PasswordHasher
from argon2.profiles import CHEAPEST
from sqlalchemy import Engine

from forbear.crawler.demo.demo_server import Reply, Web
from forbear.crawler.limits.workers import WorkerPool
from forbear.optout.model import Stage, Verdict
from forbear.portal.app import create_app
from forbear.portal.web.settings import Rates, Settings
from forbear.storage.accounts import accounts
from forbear.storage.log.writer import Writer
from tests.portal.tls import BothWebs
from tests.portal.zones import Zone
from tests.storage.conftest import Maker, make, write, writer  # noqa: F401 - fixtures

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
PLENTY = Rates(pages=100_000, forms=100_000, checks=100_000)

Serve = Callable[..., "Served"]
Sites = dict[str, dict[str, Reply]]


@dataclass(frozen=True)
class Served:
    """A portal that answers, and a client that keeps cookies as a browser does."""

    url: str
    app: Any
    client: httpx.Client

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.client.get(path, **options)

    def form(self, path: str) -> str:
        """The token of the first form that is sent by POST from a page."""
        return self.get(path).text.split('name="form_token" value="', 1)[1].split('"', 1)[0]

    def post(self, page: str, action: str, data: dict[str, Any], **options: Any) -> httpx.Response:
        """Sends a form of a page as a browser would."""
        return self.client.post(action, data={"form_token": self.form(page), **data}, **options)


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Passwords are hashed as always, in less memory: most tests sign somebody in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "_hasher", PasswordHasher.from_parameters(CHEAPEST))
        yield


@pytest.fixture
def zone() -> Iterator[Zone]:
    """What the DNS of the test says."""
    with Zone() as zone:
        yield zone


@pytest.fixture(scope="session")
def pool() -> Iterator[WorkerPool]:
    """Workers for all portals."""
    with WorkerPool() as pool:
        yield pool


@pytest.fixture
def serve(engine: Engine, zone: Zone, pool: WorkerPool) -> Iterator[Serve]:
    """Starts portals on the database of the test."""
    running: list[tuple[uvicorn.Server, threading.Thread, httpx.Client]] = []

    def start(lifespan: Any = "off", pool: WorkerPool = pool, **changes: Any) -> Served:
        settings = Settings(contact="https://operator.example/bot", base_url="http://portal.example", rates=PLENTY)
        app = create_app(engine, replace(settings, dns_servers=(zone.server,), **changes), pool)
        server = uvicorn.Server(
            uvicorn.Config(
                app, port=0, log_level="critical", server_header=False, proxy_headers=False, lifespan=lifespan
            )
        )
        ready = threading.Event()
        startup = server.startup

        async def started(sockets: Any = None) -> None:
            await startup(sockets)
            ready.set()

        server.startup = started  # type: ignore[method-assign]
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        assert ready.wait(200)
        port = server.servers[0].sockets[0].getsockname()[1]
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
        running.append((server, thread, client))
        return Served(f"http://127.0.0.1:{port}", app, client)

    yield start
    for server, thread, client in running:
        client.close()
        server.should_exit = True
        thread.join()


@pytest.fixture
def portal(serve: Serve) -> Served:
    """A portal with limits that nobody meets."""
    return serve()


@pytest.fixture
def sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Sites, Sites, str]]:
    """Sites by https, sites by http, and the proxy through which the portal reaches both."""
    by_https: Sites = {}
    by_http: Sites = {}
    with (
        Web(by_https) as secure,
        Web(by_http) as plain,
        BothWebs(tmp_path, secure, plain, "journal.example", "www.journal.example") as webs,
    ):
        monkeypatch.setenv("SSL_CERT_FILE", str(webs.authority))
        yield by_https, by_http, webs.proxy


@pytest.fixture
def crawled(make: Maker, write: Callable[..., list[int]], writer: Writer) -> None:  # noqa: F811 - fixtures
    """What a crawl left: kept and excluded pages of one domain, a deferred one, one with words on its pages."""
    robots = make.robots("https://journal.example/", expires_at=AT + timedelta(days=1))
    kept = make.decided("https://journal.example/open/1", stage=Stage.PAGE)
    secret = make.decided("https://journal.example/secret/plan", stage=Stage.PAGE)
    write(kept, make.kept(kept), secret, make.kept(secret))
    write(
        make.decided("https://journal.example/no/1", Verdict.EXCLUDED, captures=(robots,)),
        make.decided("https://www.journal.example/no/2", Verdict.EXCLUDED, quote="Disallow: /no # <b>&amp;</b>"),
        make.decided("https://xn--bcher-kva.example/", Verdict.EXCLUDED),
        make.decided("https://storm.example/", Verdict.DEFERRED, protocol="unreachable", quote="503", where="status"),
    )
    page = make.decided(
        "https://gallery.example/hidden/harbour",
        Verdict.EXCLUDED,
        stage=Stage.PAGE,
        protocol="robots-meta",
        measure="1.3(1)(b)",
        quote="noai",
        where="header x-robots-tag",
        captures=(),
    )
    listed = make.decided("https://blocked.example/", Verdict.EXCLUDED, protocol="operator", measure="1.5", captures=())
    court = make.decided(
        "https://pirate.example/",
        Verdict.EXCLUDED,
        protocol="infringing-list",
        measure="1.2(1)(b)",
        quote="pirate.example,a court",
        where="line 2",
        captures=(),
    )
    decision = court.decision.decision
    reason = replace(decision.reasons[0], source="operator:infringing-list")
    record = replace(court.decision, decision=replace(decision, reasons=(reason,)))
    write(page, listed, replace(court, decision=record))
