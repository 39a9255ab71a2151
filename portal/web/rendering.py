"""Pages from templates: escaped by Jinja2, with a token in each form and the words that every page has."""

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
"""Address and name of what every page links to, in order."""


_PRIVATE = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex, nofollow"}
"""What a page has that is for one person alone."""


@cache
def environment() -> Environment:
    """The templates of this package; whatever is put into them is escaped, and a name they do not know is an error."""
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
    """A page; ``private`` ones are kept by no cache and listed by no search."""
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
    """A day for people, in UTC, with the exact time for machines."""
    return _time(at, f"{at.astimezone(UTC):%-d %B %Y}")


def moment(at: datetime) -> Markup:
    """A time for people, to the minute, in UTC."""
    return _time(at, f"{at.astimezone(UTC):%-d %B %Y, %H:%M} UTC")


def _time(at: datetime, shown: str) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(at.astimezone(UTC).isoformat(timespec="seconds"), shown)


def coded(text: str) -> Markup:
    """A sentence in which what stands between backticks is shown as a command."""
    parts = text.split("`")
    shown = [
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part) for number, part in enumerate(parts)
    ]
    return Markup("").join(shown) if len(parts) % 2 else escape(text)


def count(number: int, singular: str, plural: str = "") -> str:
    """A number with its noun: ``1 page``, ``12,000 pages``."""
    return f"{number:,} {singular if number == 1 else plural or f'{singular}s'}"


def plain(text: str) -> str:
    """A text as it stands in HTML, where no template is used."""
    return str(escape(text))
