"""The portal as an ASGI application (FastAPI), with its state passed in and all assets served by itself."""

from __future__ import annotations

from fastapi import Depends, FastAPI
from fastapi.staticfiles import StaticFiles

from forbear.crawler.limits.workers import WorkerPool
from forbear.optout import __version__
from forbear.portal.api import routes
from forbear.portal.background.jobs import background_jobs
from forbear.portal.dashboard import access_log, browse, figures, oidc, queue, signin
from forbear.portal.public import (
    bot_auth,
    check,
    complaints,
    crawlers,
    domain_verification,
    health,
    lookup,
    policy_page,
)
from forbear.portal.web import errors
from forbear.portal.web.context import Portal
from forbear.portal.web.limits import Limits
from forbear.portal.web.proxies import Proxies
from forbear.portal.web.rendering import environment
from forbear.portal.web.security import SecurityHeaders, protect
from forbear.portal.web.settings import Settings
from forbear.storage.accounts.totp_encryption import TotpCipher
from forbear.storage.database import Engine
from forbear.storage.db.hostnames import domain_of

ROUTERS = tuple(
    part.router for part in (lookup, check, domain_verification, crawlers, complaints, policy_page, bot_auth)
)
"""The public pages, one module for each subject."""

DASHBOARD = tuple(part.router for part in (signin, access_log, browse, figures, queue, oidc))
"""The pages behind the sign-in."""


def create_app(engine: Engine, settings: Settings, pool: WorkerPool) -> FastAPI:
    """Returns the portal on an opened database; workers of ``pool`` read what sites answer."""
    if settings.keeps_secret:
        engine = engine.execution_options(totp_cipher=TotpCipher(settings.secret))
    domain_of("example.org")  # loads the Public Suffix List now, not while somebody waits
    app = FastAPI(
        lifespan=background_jobs,
        title="Forbear",
        version=__version__,
        summary="What a crawler for AI training did, and whose words decided.",
        docs_url=None,  # would load scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/openapi.json",
        redirect_slashes=False,  # a redirect would lead to the host in the request's Host field
    )
    app.state.portal = Portal(engine, settings, environment(), Limits(settings.rates), pool)
    app.add_middleware(SecurityHeaders, is_https=settings.is_https)
    app.add_middleware(Proxies, named=settings.trusted_proxies)
    app.mount("/static", StaticFiles(packages=[("forbear.portal", "static")]), name="static")
    app.include_router(health.router)
    for router in (*ROUTERS, *DASHBOARD):
        app.include_router(router, dependencies=[Depends(protect)])
    app.include_router(crawlers.mail_programs)
    app.include_router(routes.router)  # without protect: other sites cannot use a bearer token as they could a cookie
    errors.install(app)
    return app
