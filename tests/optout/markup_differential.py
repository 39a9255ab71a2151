"""``python -m tests.optout.markup_differential [PAGES] [SEED]``: random pages, beside html5lib.

Counts the reservations that html5lib's tree shows, how many of them count here, are flagged, or leave the page unread,
and prints each that is missed. Exit code 1 if one is.
"""

from __future__ import annotations

import random
import sys
import warnings
from collections import Counter
from collections.abc import Iterator

import html5lib

from forbear.optout.model import Capture
from forbear.optout.readers import html
from forbear.optout.readers.errors import Unreadable

_RESERVING = (
    "<meta name=robots content=noai>",
    "<meta content='noai, noindex' name='ROBOTS' />",
    '<meta name="tdm-reservation" content="1">',
    "<meta/name=tdm-reservation/content=1>",
    "<meta name='tdm&#45;reservation' content=1>",
    "<META NAME=robots\nCONTENT='no&#x61;i'>",
    "<meta name=robots content=noai a='>' b=\"'\">",
)
_TAGS = [
    tag.decode()
    for tag in (
        b"html head body title meta link base script style noscript p div span a b i em font nobr h1 ul li dl dd table "
        b"caption tbody tr td th colgroup col select option optgroup form input button textarea iframe object applet "
        b"marquee frameset frame template plaintext xmp listing pre svg math desc foreignObject title mi mo mtext "
        b"annotation-xml image br hr"
    ).split()
]
_ATTRIBUTES = ("", "", "", " a", " a=b", " a='<'", ' a=">"', " a=<p", " type=hidden", " encoding=text/html", " /")
_TEXTS = (
    "x",
    " ",
    "\n",
    "&amp;",
    "&",
    "<",
    "</",
    "<!",
    "<?x>",
    "<!--",
    "-->",
    "--!>",
    "<![CDATA[",
    "]]>",
    "'",
    '"',
    "\0",
)


def pages(number: int, seed: int) -> Iterator[str]:
    """Yields random pages, each with a reservation in it somewhere."""
    chance = random.Random(seed)
    for _ in range(number):
        pieces = [_piece(chance) for _ in range(chance.randint(1, 18))]
        pieces.insert(chance.randint(0, len(pieces)), chance.choice(_RESERVING))
        yield chance.choice(("", "<!DOCTYPE html>")) + "".join(pieces)


def _piece(chance: random.Random) -> str:
    kind = chance.random()
    if kind < 0.55:
        return f"<{chance.choice(_TAGS)}{chance.choice(_ATTRIBUTES)}{chance.choice(('>', '>', '>', '/>', ''))}"
    if kind < 0.75:
        return f"</{chance.choice(_TAGS)}{chance.choice(('>', '>', ' >', ''))}"
    if kind < 0.8:
        return chance.choice(_RESERVING)
    return chance.choice(_TEXTS)


def reservations(page: str) -> Counter[frozenset[tuple[str, str]]]:
    """Returns the meta elements with a reservation in html5lib's tree, by their attributes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = html5lib.parse(page, namespaceHTMLElements=False)
    templates = {id(node) for template in tree.iter("template") for node in template.iter() if node is not template}
    metas = (node.attrib for node in tree.iter("meta") if id(node) not in templates)
    return Counter(frozenset(each.items()) for each in metas if _reserves(each))


def _reserves(attributes: dict[str, str]) -> bool:
    return "noai" in attributes.get("content", "") or attributes.get("name") == "tdm-reservation"


def compare(page: str) -> Counter[str]:
    """Returns how many reservations of html5lib's count here, are flagged, unread or missed."""
    try:
        expected = reservations(page)
    except (AssertionError, AttributeError, TypeError, IndexError):
        return Counter({"pages": 1, "beyond html5lib": 1})
    outcome = Counter({"pages": 1, "seen by html5lib": expected.total()})
    capture = Capture("https://a.example/", 200, (("Content-Type", "text/html; charset=utf-8"),), page.encode())
    try:
        found = html.read(capture)
    except Unreadable:
        return outcome + Counter({"unread": expected.total()})
    counted, flagged = (
        Counter(frozenset(e.attributes.items()) for e in elements if e.name == "meta" and _reserves(e.attributes))
        for elements in (found.elements, found.doubtful)
    )
    for key, number in expected.items():
        here = min(number, counted[key])
        doubtful = min(number - here, flagged[key])
        outcome.update({"counts": here, "flagged": doubtful, "missed": number - here - doubtful})
    return outcome


def main() -> int:
    """Prints the sums; 1 if a reservation is missed."""
    number, seed = (int(word) for word in [*sys.argv[1:], "100000", "1"][:2])
    total: Counter[str] = Counter()
    for page in pages(number, seed):
        outcome = compare(page)
        if outcome["missed"]:
            print(repr(page))
        total += outcome
    print(dict(total))
    return int(total["missed"] > 0)


if __name__ == "__main__":
    sys.exit(main())
