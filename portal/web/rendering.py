"""Renders pages from templates: escaped by Jinja2, with a token in each form and what every page shows."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from forbear.optout import __version__
from forbear.portal.web.context import portal_of
from forbear.portal.web.security import FIELD, form_token, keep

NAVIGATION = (
    ("/", "Look up"),
    ("/check", "Check"),
    ("/crawlers", "Crawlers"),
    ("/complaints", "Complain"),
    ("/policy", "Policy"),
)
"""Addresses and names of the links on every page, in order."""


_PRIVATE = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex, nofollow"}
"""Header fields of a page for one person only."""


@cache
def environment() -> Environment:
    """Returns the environment of the templates: values are escaped, and an unknown name is an error."""
    made = Environment(
        loader=PackageLoader("forbear.portal"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"coded": coded, "day": day, "moment": moment, "count": count}
    made.globals |= {"engine_version": __version__}
    return made


def render(request: Request, name: str, *, status: int = 200, private: bool = False, **values: Any) -> HTMLResponse:
    """Renders a page; ``private`` ones are not cached and not indexed."""
    portal = portal_of(request)

    def hidden() -> Markup:
        return Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, form_token(request))

    page = portal.templates.get_template(name).render(
        values | {"settings": portal.settings, "navigation": NAVIGATION, "path": request.url.path, "form_token": hidden}
    )
    response = HTMLResponse(page, status, _PRIVATE if private else None)
    keep(request, response)
    return response


def day(at: datetime) -> Markup:
    """Formats a day for people, in UTC, with the exact time for machines."""
    return _time(at, f"{at.astimezone(UTC):%-d %B %Y}")


def moment(at: datetime) -> Markup:
    """Formats a time for people, to the minute, in UTC."""
    return _time(at, f"{at.astimezone(UTC):%-d %B %Y, %H:%M} UTC")


def _time(at: datetime, shown: str) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(at.astimezone(UTC).isoformat(timespec="seconds"), shown)


def coded(text: str) -> Markup:
    """Formats a sentence, with text between backticks as a command."""
    parts = text.split("`")
    shown = [
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part) for number, part in enumerate(parts)
    ]
    return Markup("").join(shown) if len(parts) % 2 else escape(text)


def count(number: int, singular: str, plural: str = "") -> str:
    """Formats a number with its noun: ``1 page``, ``12,000 pages``."""
    return f"{number:,} {singular if number == 1 else plural or f'{singular}s'}"


def plain(text: str) -> str:
    """Escapes a text for HTML outside of a template."""
    return str(escape(text))
