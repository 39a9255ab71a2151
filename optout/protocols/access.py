"""Reads denials of access: 401, 402, 403, 407, 451, a paywall, a login form, a challenge to visitors.

A page that is shut is left alone; Forbear never gets round a barrier. A robots.txt or other well-known file that costs
something (402, ``crawler-price``) or has a challenge before it was refused to us: it may hold a reservation, so both
profiles defer.

RFC 9110 15.5; RFC 7725; schema.org 29.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from forbear.optout.captures import REFUSED, Hop, challenges, redirect
from forbear.optout.model import EVERY_USE, NEVER, Capture, Gap, Preference, Reading, Statement, StatementStatus
from forbear.optout.readers import html, json_source, mime
from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.html import Element
from forbear.optout.readers.json_source import Object, Value
from forbear.optout.readers.schema_org import ADMISSION_TYPES
from forbear.optout.readers.text import quoted, readable
from forbear.optout.readers.url import Url, parse

NAME = REFUSED
PLACES: tuple[str, ...] = ()

SHUT = frozenset({401, 402, 403, 407, 451})

_BLOCKED = "Blocked: a challenge to visitors, which is not an opt-out."
_LOGIN = "Blocked: the page is for those who log in."
_TURNED_AWAY = "Blocked: visitors of this kind are sent away."

_LOGIN_SEGMENT = re.compile(
    r"(?:user-?|account-?|member-?)?(?:log-?in|log-?on|sign-?in|auth(?:enticate|orize|entication)?|sso|saml2?|openid)"
    r"(?:\.\w{2,5})?",
    re.IGNORECASE,
)
_DENIED_SEGMENT = re.compile(r"(?:access-?|bot-?)?(?:denied|blocked|forbidden)(?:\.\w{2,5})?", re.IGNORECASE)

_WIDGETS = frozenset({"g-recaptcha", "h-captcha", "cf-turnstile"})
MAX_CAPTCHA_TEXT = 250
"""A page with a captcha widget and no more visible characters than this is a captcha page.

What such pages say ("Please solve the captcha to go on", browser and request number) is some forty words at most; a
page with a comment or contact form beside its widget has more than that.
"""

_PROPERTY = "isAccessibleForFree"
# Nodes that are the page, its main subject or a part of it; others (about, itemListElement, mentions) are other works.
_OF_THE_PAGE = frozenset({"@graph", "mainEntity", "mainEntityOfPage", "hasPart"})
_FALSE = re.compile(r'"isAccessibleForFree"\s*:\s*(?:false|"[Ff]alse")')
MAX_NODES = 1_000
"""Statements of one page about its own paywall; one is enough, and more than this are not metadata."""


def read(hop: Hop) -> Reading:
    """Yields what shuts the URL: the status and header of its own answer, the markup of the page that may be kept."""
    capture = hop.answer
    if capture is None or capture.status is None:
        return
    if 300 <= capture.status < 400:
        yield from _redirect_to_refusal(capture)
        return
    if capture.status in SHUT:
        yield _no(str(capture.status), capture, "status")
    for name, value in challenges(capture):
        yield _no(quoted(value), capture, f"header {name}", note=_BLOCKED)
    if hop.page is not None:
        yield from _in_page(hop, hop.page)


def _in_page(hop: Hop, page: Capture) -> Iterator[Statement | Gap]:
    try:
        markup = html.read(page)
    except Unreadable as error:
        yield Gap(NAME, "unreadable", page.url, "body", str(error))
        return
    yield from _login(markup, hop)
    yield from _markup(markup.elements, markup.text, page)
    for item in _markup(markup.doubtful, markup.text, page):
        if isinstance(item, Statement):
            yield replace(item, force=StatementStatus.FLAGGED, note=html.DOUBTFUL)


def _redirect_to_refusal(capture: Capture) -> Iterator[Statement]:
    """Yields a redirect to a page of refusal, such as ``/denied``, which is not the page asked for."""
    target = redirect(capture)
    if target is not None and _segment(_DENIED_SEGMENT, target) and not _segment(_DENIED_SEGMENT, parse(capture.url)):
        location = capture.header("location")[0].strip()
        yield _no(quoted(location), capture, "header location", note=_TURNED_AWAY)


def _segment(words: re.Pattern[str], url: Url) -> bool:
    return any(words.fullmatch(segment) for segment in url.path.split("/"))


def _login(markup: html.HtmlPage, hop: Hop) -> Iterator[Statement]:
    """Yields a login form: in place of the page, since its URL led to one elsewhere, or since there is little else."""
    page = hop.page
    for element in markup.elements:
        if element.name != "input" or element.attributes.get("type", "").strip().lower() != "password" or not page:
            continue
        first = parse(hop.question.url)
        led = hop.url.href != first.href and not _segment(_LOGIN_SEGMENT, first) and _is_login(hop.url)
        if led or markup.text <= MAX_CAPTCHA_TEXT:
            yield _no(element.quote, page, element.where, note=_LOGIN)
        return


def _is_login(url: Url) -> bool:
    host = url.host.partition(".")[0]
    return _segment(_LOGIN_SEGMENT, url) or _LOGIN_SEGMENT.fullmatch(host) is not None


def _challenge(element: Element) -> str:
    """Returns the words that show a vendor's challenge, in a start tag or script; empty if there are none."""
    if _WIDGETS.intersection(element.attributes.get("class", "").split()):
        return element.quote
    for mark in html.CHALLENGE_MARKS:
        # Imperva's scripts are on open pages too, its frame on the incident page alone.
        if mark.lower() in element.quote.lower() and (mark != "_Incapsula_Resource" or element.name == "iframe"):
            return element.quote
        if element.name == "script" and mark in element.content and mark != "_Incapsula_Resource":
            return mark
    return ""


def _markup(elements: list[Element], text: int, page: Capture) -> Iterator[Statement | Gap]:
    shut = text <= MAX_CAPTCHA_TEXT
    for element in elements:
        if shut and (quote := _challenge(element)):
            yield _no(quote, page, element.where, note=_BLOCKED)
        if element.name == "script":
            yield from _linked_data(element, page)
        elif any(_name(word) == _PROPERTY for word in element.attributes.get("itemprop", "").split()):
            yield from _microdata(element, page)


def _no(
    quote: str, capture: Capture, where: str, force: StatementStatus = StatementStatus.STANDING, note: str = ""
) -> Statement:
    return Statement(NAME, Preference.DISALLOW, quote, capture.url, where, EVERY_USE, force, note)


def _name(term: str) -> str:
    """Returns a type or property without its vocabulary: ``schema:Article`` is ``Article``."""
    return re.split(r"[/#:]", term.strip())[-1]


def _is_admission(types: list[str]) -> bool:
    """Returns whether the property is about the entrance to a place or event; in doubt it is about the page."""
    return bool(types) and all(_name(one) in ADMISSION_TYPES for one in types)


def _is_false(value: Value) -> bool:
    if isinstance(value, list):
        return any(_is_false(item) for item in value)
    if isinstance(value, Object):
        return any(_is_false(member.value) for member in value.members if member.name in ("@value", "@id"))
    return value is False or (isinstance(value, str) and _name(value).lower() == "false")


def _microdata(element: Element, page: Capture) -> Iterator[Statement]:
    attributes = element.attributes
    given = (attributes[key] for key in ("content", "href", "value") if key in attributes)
    if _is_false(next(given, element.content)) and not _is_admission(list(element.item_types)):
        yield _no(element.quote, page, element.where)


def _linked_data(element: Element, page: Capture) -> Iterator[Statement | Gap]:
    """Yields the property on any JSON-LD 1.1 node that is the page or a part of it."""
    kind = mime.parse(element.attributes.get("type", ""))
    if kind is None or kind.essence != "application/ld+json":
        return
    # Its name may be written with escapes (RFC 8259 7).
    if _PROPERTY not in element.content and "\\u00" not in element.content:
        return
    try:
        value = json_source.parse(element.content.strip())
    except Unreadable as error:
        if match := _FALSE.search(element.content):
            yield _no(match[0], page, element.where, StatementStatus.MALFORMED)
            yield Gap(NAME, match[0], page.url, element.where, f"Linked data with a paywall mark: {error}", NEVER)
        return
    source = element.content.strip()
    for number, (start, end) in enumerate(_marks(value)):
        if number == MAX_NODES:
            return
        yield _no(readable(source[start:end].encode("utf-8", "surrogatepass")), page, element.where)


def _marks(root: Value) -> Iterator[tuple[int, int]]:
    """Yields where the property is false on a node of the page that is neither a place nor an event."""
    waiting: list[Value] = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += reversed(node)
        if not isinstance(node, Object):
            continue
        types = [one for member in node.all("@type") for one in _strings(member.value)]
        for member in node.members:
            if _name(member.name) == _PROPERTY and _is_false(member.value) and not _is_admission(types):
                yield member.start, member.end
            elif member.name in _OF_THE_PAGE or _name(member.name) in _OF_THE_PAGE:
                waiting.append(member.value)


def _strings(value: Value) -> list[str]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]
