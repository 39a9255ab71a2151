"""``noai`` and ``noimageai`` in X-Robots-Tag and ``<meta name="robots">``.

No standard defines the words: DeviantArt, 11 November 2022. They are carried as draft-illyes-repext-03, 18 April 2026,
and Google's page on robots meta tags have it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from optout.captures import Asked
from optout.model import AI_USES, Capture, Force, Gap, Preference, Reading, Statement
from optout.readers import html, wishes
from optout.readers.text import readable
from optout.readers.unreadable import Unreadable

NAME = "robots-meta"
PLACES: tuple[str, ...] = ()

_EVERYBODY = frozenset({"robots", "*"})
# Rules of X-Robots-Tag whose colon parts a rule from its value, where another colon ends a crawler's name.
_VALUED = re.compile(r"max-[a-z-]+|unavailable_after|-?\d+")
_AGENT = re.compile(r"[a-z_*][\w.*/ -]*")
_WORDS = re.compile(r"[^\s,;]+")
_RULES = ("noai", "noimageai")

_IMAGES = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")


def read(asked: Asked) -> Reading:
    """What the page's header and markup say to everybody and to the crawler by name: all of it adds up (3.1)."""
    page = asked.page
    if page is None:
        return
    agent = asked.question.agent.lower()
    for field in page.header("x-robots-tag"):
        quote = readable(field.strip().encode("utf-8", "surrogatepass"))
        yield from _statements(_ours(field.lower(), agent), quote, page, "header x-robots-tag")
    try:
        markup = html.read(page)
    except Unreadable as error:
        yield Gap(NAME, "unreadable", page.url, "body", str(error))
        return
    for name in dict.fromkeys(("robots", agent)):
        for element in markup.metas(name):
            words = set(_WORDS.findall(element.attributes.get("content", "").lower()))
            yield from _statements(words, element.quote, page, element.where)


def _ours(field: str, agent: str) -> set[str]:
    """The words of a header field, in lower case, that bind everybody or the agent.

    A crawler's name binds what follows up to the next name; each field begins anew.
    """
    ours, words = True, set()
    for part in field.split(","):
        head, colon, rest = part.partition(":")
        name = head.strip()
        if colon and _AGENT.fullmatch(name) and not (_VALUED.fullmatch(name) or _VALUED.fullmatch(rest.strip())):
            ours = name in _EVERYBODY or name.partition("/")[0].strip() == agent
            head = ""
        if ours:
            words.update(_WORDS.findall(f"{head} {rest}"))
    return words


def _statements(words: set[str], quote: str, page: Capture, where: str) -> Iterator[Statement]:
    unknown = sorted(word for word in words if word not in _RULES and wishes.in_line(word) is Preference.DISALLOW)
    if unknown:
        note = f"The word is noai; {', '.join(unknown)} is known to no crawler."
        yield Statement(NAME, Preference.DISALLOW, quote, page.url, where, AI_USES, Force.FLAGGED, note)
    for rule in _RULES:
        if rule not in words:
            continue
        if rule == "noai" or _is_image(page):
            yield Statement(NAME, Preference.DISALLOW, quote, page.url, where, AI_USES)
        else:
            note = "It speaks about images, and this is none."
            yield Statement(NAME, Preference.DISALLOW, quote, page.url, where, frozenset(), note=note)


def _is_image(page: Capture) -> bool:
    """By its Content-Type, or by its first octets: images are served under wrong names too."""
    return page.media_type.startswith("image/") or (
        page.body.startswith(_IMAGES) or (page.body[:4] == b"RIFF" and page.body[8:12] == b"WEBP")
    )
