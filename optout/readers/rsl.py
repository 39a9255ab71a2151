"""Parses RSL documents: terms for each use, by scope (Really Simple Licensing 1.0, 10 December 2025, with errata).

Reads conservatively, as 3.1.1 demands: in doubt no right is expanded.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from forbear.optout.model import EVERY_USE, Preference, StatementStatus, Use
from forbear.optout.readers import url as urls
from forbear.optout.readers import xml_source
from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.pattern import Pattern, Target
from forbear.optout.readers.text import human_size
from forbear.optout.readers.url import NotAUrl
from forbear.optout.readers.xml_source import Node

NAMESPACE = "https://rslstandard.org/rsl"
MAX_OCTETS = 1_048_576
"""A longer document is not read: 1 MiB after content decoding."""

# 3.4.1.1: what speaks about a use. ai-index is neither training nor input, and so in none of them alone.
_TOKENS = {
    Use.TRAIN_AI: frozenset({"ai-train", "ai-all", "all"}),
    Use.AI_USE: frozenset({"ai-input", "ai-all", "all"}),
    Use.SEARCH: frozenset({"search", "all"}),
}
_USAGES = frozenset({"all", "ai-all", "ai-train", "ai-input", "ai-index", "search"})
_OTHER_TYPES = frozenset({"user", "geo"})
_TYPES = _OTHER_TYPES | {"usage"}
_TERMS_OF_PAYMENT = ("amount", "standard", "custom", "accepts")
_ELEMENTS = frozenset({"rsl", "content", "license", "permits", "prohibits", "payment", *_TERMS_OF_PAYMENT}) | {
    *("reporting", "legal", "alternate", "schema", "copyright", "terms")
}
_ABSOLUTE = re.compile(r"https?://([^/?#]*)([^#]*)", re.IGNORECASE)


class TooLarge(Unreadable):
    """A document beyond MAX_OCTETS."""


@dataclass(frozen=True, slots=True)
class Term:
    """What an element says of some uses, in its own words; ``note`` is ours."""

    preference: Preference
    uses: frozenset[Use]
    quote: str
    line: int
    force: StatementStatus = StatementStatus.STANDING
    note: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is not as RSL has it: the element, its line, and one sentence of ours."""

    quote: str
    line: int
    detail: str


@dataclass(frozen=True, slots=True)
class _Scope:
    """What a content element's url covers (3.3); without a pattern all that the document was associated with (4.6)."""

    host: str
    pattern: Pattern | None

    def length(self, host: str, target: Target, *, of_page: bool) -> int | None:
        """Returns how narrow it is, in bytes of its path; None if it does not cover the URL."""
        if self.pattern is None:
            return sys.maxsize if of_page else 0
        on_host = not self.host or self.host == host
        on_subdomain = self.host.startswith("*.") and f".{host}".endswith(self.host[1:])
        return self.pattern.length if (on_host or on_subdomain) and self.pattern.matches(target.octets) else None


class Document:
    """A document, parsed; ``problems`` are those of the whole document. Raises Unreadable."""

    def __init__(self, octets: bytes, encoding: str | None = None) -> None:
        if len(octets) > MAX_OCTETS:
            raise TooLarge(f"It has more than {human_size(MAX_OCTETS)}.")
        root = xml_source.parse(octets, encoding)
        nodes = list(root.iterate())
        contents = [node for node in nodes if node.namespace == NAMESPACE and node.name == "content"]
        if root.namespace == NAMESPACE and root.name == "rsl":
            # Errata 2026-08-07: elements of another namespace are ignored.
            contents = list(root.all("content"))
        self.is_rsl = root.namespace == NAMESPACE and root.name == "rsl"
        self.problems: list[Problem] = []
        self._contents: list[tuple[_Scope, tuple[Term, ...]]] = []
        self._check(root, nodes, contents)
        for node in contents:
            terms = tuple(_merged(_terms(node)))
            scope = _scope(node.attributes.get("url"))
            if scope is None:
                self._problem(node, "The url of a content element is neither a path nor a URL (RSL 3.3).")
            else:
                self._contents.append((scope, terms))
            # 3.14: another representation, under the same terms; it is a URL, not a pattern.
            alternates = (_scope(other.text.strip() + "$") for other in node.all("alternate"))
            self._contents += ((other, terms) for other in alternates if other is not None)

    def _check(self, root: Node, nodes: list[Node], contents: list[Node]) -> None:
        if not contents:
            self._problem(root, "The document has no content element of the RSL namespace (RSL 2.2, 3.1).")
        strange = (node for node in nodes if node.namespace == NAMESPACE and node.name not in _ELEMENTS)
        for node in [*strange][:1]:
            self._problem(node, f"RSL has no element {node.name} (RSL 3).")
        bare = (node for node in contents if not any(node.all("license")))
        for node in [*bare][:1]:
            self._problem(node, "A content element without a license licenses nothing (RSL 3.3).")

    def _problem(self, node: Node, detail: str) -> None:
        self.problems.append(Problem(node.quote, node.line, detail))

    def covering(self, host: str, of_page: bool, target: Target) -> tuple[tuple[int, int], ...]:
        """Returns the content elements that cover a URL, the narrowest first: how narrow, and which.

        ``of_page`` means that the page itself names the document, not its site.
        """
        lengths = (scope.length(host, target, of_page=of_page) for scope, _ in self._contents)
        found = [(length, number) for number, length in enumerate(lengths) if length is not None]
        return tuple(sorted(found, key=lambda one: -one[0]))

    def terms(self, elements: Iterable[tuple[int, int]]) -> Iterator[Term]:
        """Yields what elements that cover a URL say: of each use the narrowest that says something (3.1.1)."""
        covering = [(length, self._contents[number][1]) for length, number in elements]
        narrowest: dict[Use, int] = {}
        for length, terms in covering:
            for term in terms:
                if term.force is not StatementStatus.MALFORMED:
                    for use in term.uses:
                        narrowest.setdefault(use, length)
        for length, terms in covering:
            for term in terms:
                decisive = frozenset(use for use in term.uses if narrowest.get(use, length) == length)
                if decisive:
                    yield _replace(term, decisive, term.force)
                if term.uses - decisive:
                    yield _replace(term, term.uses - decisive, StatementStatus.SUPERSEDED)

    def all_terms(self) -> Iterator[Term]:
        """Yields all terms of the document, whatever they cover."""
        for _, terms in self._contents:
            yield from terms


def _replace(term: Term, uses: frozenset[Use], force: StatementStatus) -> Term:
    return Term(term.preference, uses, term.quote, term.line, force, term.note)


def _scope(written: str | None) -> _Scope | None:
    if written is None:
        return None
    written = written.strip()
    if not written:
        return _Scope("", None)
    if written[0] in "/*":
        return _Scope("", Pattern(written.encode("utf-8", "surrogatepass")))
    match = _ABSOLUTE.fullmatch(written.partition("#")[0])
    try:
        host = urls.parse(f"https://{match[1]}/").host if match else ""
    except NotAUrl:
        return None
    return _Scope(host, Pattern((match[2] or "/").encode("utf-8", "surrogatepass"))) if match else None


# --- one content element


class _Stance(Enum):
    PROHIBITED = "prohibited"
    OFFERED = "offered"
    WITHHELD = "withheld"


def _terms(content: Node) -> Iterator[Term]:
    """Yields the terms of one or more licences: one free offer suffices (3.4), a prohibition always counts (3.1.1)."""
    licences = list(content.all("license"))
    for use in Use:
        stances = [found for licence in licences if (found := _stance(content, licence, use))]
        offered = any(stance is _Stance.OFFERED for stance, _, _ in stances)
        prohibited = any(stance is _Stance.PROHIBITED for stance, _, _ in stances)
        for stance, node, note in stances:
            preference = Preference.ALLOW if stance is _Stance.OFFERED else Preference.DISALLOW
            put_aside = stance is _Stance.WITHHELD and offered and not prohibited
            force = StatementStatus.SUPERSEDED if put_aside else StatementStatus.STANDING
            yield Term(preference, frozenset({use}), node.quote, node.line, force, note)
    for licence in licences:
        yield from _malformed(licence)


def _stance(content: Node, licence: Node, use: Use) -> tuple[_Stance, Node, str] | None:
    """Returns what one licence says of a use; None if it neither limits the permitted uses nor asks for anything."""
    for node in _usage(licence, "prohibits"):
        if _TOKENS[use].intersection(word.lower() for word in _words(node)):
            return _Stance.PROHIBITED, node, ""
    permits = _usage(licence, "permits")
    granting = [node for node in permits if _TOKENS[use].intersection(_words(node))]
    if permits and not granting:
        return _Stance.WITHHELD, permits[0], "Uses that are not among those permitted are not permitted (RSL 3.5)."
    condition = _condition(content, licence)
    if condition:
        return _Stance.WITHHELD, *condition
    return (_Stance.OFFERED, granting[0], "") if granting else None


def _condition(content: Node, licence: Node) -> tuple[Node, str] | None:
    """Returns what a licence asks for; nobody has accepted, paid or agreed to it, so it permits nothing."""
    for payment in licence.all("payment"):
        kind = payment.attributes.get("type", "").strip()
        if kind in ("", "free"):
            # 3.7: without a type it is free, unless it names a price or terms.
            if not kind and any(child.name in _TERMS_OF_PAYMENT for child in payment.children):
                return payment, "Permitted under terms that nobody has accepted (RSL 3.7 to 3.11)."
        elif kind in ("attribution", "contribution"):
            return payment, f"Permitted on the condition of {kind} (RSL 3.7), which is for the operator to agree to."
        else:
            return payment, "Permitted against payment (RSL 3.7), which nobody has agreed to."
    if content.attributes.get("server", "").strip():
        return content, "A token of the licence server is needed, even where it is free (RSL 3.3)."
    for node in licence.children:
        if node.namespace == NAMESPACE and node.name == "reporting":
            return node, "Permitted on the condition of reporting (RSL 3.12)."
        if node.name in ("permits", "prohibits") and node.namespace == NAMESPACE and _type(node) in _OTHER_TYPES:
            return (
                node,
                "Permitted to some users or in some places only (RSL 3.5), which is for the operator to settle.",
            )
    return None


def _usage(licence: Node, name: str) -> list[Node]:
    return [node for node in licence.all(name) if _type(node) == "usage"]


def _type(node: Node) -> str:
    """Returns usage, user or geo, in any case of letters (3.5, 3.1.1)."""
    return node.attributes.get("type", "").strip().lower()


def _words(node: Node) -> list[str]:
    """Returns words separated by white space (3.5), or by commas as in the draft of September 2025."""
    return [word for word in re.split(r"[\s,]+", node.text) if word]


def _malformed(licence: Node) -> Iterator[Term]:
    """Yields values that RSL does not know where it expects one; words with a prefix are extensions (3.4.1)."""
    for node in licence.children:
        if node.namespace != NAMESPACE or node.name not in ("permits", "prohibits"):
            continue
        kind, words = _type(node), _words(node)
        uses: frozenset[Use] = frozenset()
        if kind not in _TYPES and ":" not in kind:
            tokens = {word.lower() for word in (kind, *words)}
            uses = frozenset(use for use in Use if tokens & _TOKENS[use]) or EVERY_USE
        elif kind == "usage" and node.name == "prohibits":
            unknown = [word for word in words if ":" not in word and word.lower() not in _USAGES]
            uses = EVERY_USE if unknown else uses
        if uses:
            note = "Its type or a word in it is none of RSL's (RSL 3.4.1, 3.5, 3.6)."
            yield Term(Preference.DISALLOW, uses, node.quote, node.line, StatementStatus.MALFORMED, note)


def _merged(terms: Iterator[Term]) -> Iterator[Term]:
    """Returns one term for what the same element says of several uses."""
    uses: dict[Term, frozenset[Use]] = {}
    for term in terms:
        key = _replace(term, frozenset(), term.force)
        uses[key] = uses.get(key, frozenset()) | term.uses
    return (_replace(key, together, key.force) for key, together in uses.items())
