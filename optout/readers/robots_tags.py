"""Reads X-Robots-Tag and robots meta elements (draft-illyes-repext-03; Google's documentation).

Decisions and links share it. Commas separate rules, as documented, and so do blanks, semicolons and other signs, as
people write them: such a field never means anything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from forbear.optout.readers.html import Element, metas

EVERYBODY = frozenset({"robots", "*", "everyone", "user-agent", "x-robots-tag"})
"""What people write before a colon for everybody; the last three are not documented."""

# draft-illyes-repext-03 3, Google and Bing: what precedes a colon and is not the name of a crawler.
_RULES = (
    "all|follow|index|indexifembedded|noai|noarchive|nocache|nofollow|noimageai|noimageindex|noindex|none|noodp"
    "|nosnippet|notranslate|noydir"
)
_RULE = re.compile(_RULES)
_VALUED = re.compile(r"max-[a-z-]+|unavailable_after", re.IGNORECASE)
_SEPARATORS = re.compile(r"[\s,;|+/()\[\]\"']*+")
_WORD = re.compile(r"[^\s,;:|+/()\[\]\"']++")
# A name may have a version, a comment and more words, "Mozilla/5.0 otherbot", up to its colon.
_SCOPE = re.compile(r"([A-Za-z_*][\w.*/-]*+(?:[ \t]++[\w.*/-]++){0,4}?)[ \t]*+(?:\([^)]{0,300}+\)[ \t]*+)?:(?!\d|-\d)")
_NAME = re.compile(r"[A-Za-z_*][\w.*/-]*+")  # how _SCOPE begins
_COLON = re.compile(r"[ \t]*+:[ \t]*+")
_NOT_RULE = rf"(?!(?:{_RULES})(?![\w-]))"
# A rule where a value belongs is a rule all the same.
_VALUE = re.compile(_NOT_RULE + r"[^\s,;]*+", re.IGNORECASE)
# The dates of RFC 9110 5.6.7, and others: a comma may follow the name of the day, and the day before the year.
_DATE = re.compile(
    r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*+[ \t]*+,[ \t]*+)?"
    r"(?:[a-z]{3,9}\.?[ \t]++\d{1,2}[ \t]*+,[ \t]*+(?=\d{4}))?"
    r"(?:[ \t]*+" + _NOT_RULE + r"[^\s,;]++)*+",
    re.IGNORECASE,
)


def rules(field: str) -> Iterator[tuple[str, str]]:
    """Yields each rule of a field in lower case with the crawler that it binds, empty for all crawlers.

    A name binds what follows up to the next name; each field starts again. The values of rules are left out.
    """
    scope, at = "", _SEPARATORS.match(field, 0).end()  # type: ignore[union-attr]  # it matches nothing at all
    tried = (
        0  # no scope begins before here: what does not end in a colon from one slash of a name does not from the next
    )
    while at < len(field):
        word = _WORD.match(field, at)
        name = word[0].lower() if word else ""
        may_name = word and at >= tried and not _RULE.fullmatch(name) and not _VALUED.fullmatch(name)
        if may_name and (named := _SCOPE.match(field, at)):
            scope, at = named[1].lower(), named.end()
            scope = "" if scope in EVERYBODY else scope
        else:
            if may_name and (begun := _NAME.match(field, at)):
                tried = begun.end()
            at = word.end() if word else at + 1
            if word:
                yield name, scope
            if colon := _COLON.match(field, at):
                value = (_DATE if name == "unavailable_after" else _VALUE).match(field, colon.end())
                at = value.end() if value else colon.end()
        at = _SEPARATORS.match(field, at).end()  # type: ignore[union-attr]


def for_agent(field: str, agent: str) -> frozenset[str]:
    """Returns the rules of a header field that bind everybody or a crawler by its product token."""
    return frozenset(rule for rule, scope in rules(field) if not scope or _is(scope, agent.lower()))


def _is(scope: str, agent: str) -> bool:
    """Returns whether a name is the crawler's: ``ForbearBot/1.0``, ``Mozilla/5.0 ForbearBot``."""
    return any(product.partition("/")[0] == agent for product in scope.split())


def of_meta(content: str) -> frozenset[str]:
    """Returns the rules of a meta element, which bind the crawlers that its name says."""
    return frozenset(rule for rule, _ in rules(content))


def in_page(elements: list[Element], agent: str) -> Iterator[tuple[Element, frozenset[str]]]:
    """Yields the meta elements that bind everybody or the crawler, each with its rules."""
    for name in dict.fromkeys(("robots", agent.lower())):
        for element in metas(elements, name):
            yield element, of_meta(element.attributes.get("content", ""))
