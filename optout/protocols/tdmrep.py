"""Reads TDMRep: ``/.well-known/tdmrep.json``, headers, ``<meta>``, EPUB package documents, the XMP of PDF.

The first matching rule of the file decides; a header outranks it, and a ``<meta>`` element outranks both. A policy that
offers a licence is recorded, but does not lift the reservation. In ``strict``, a contrary value in another place counts
too, an unknown value excludes, and a file that is not an array defers.

W3C Community Group Final Report, 10 May 2024; sections are those of the report.
"""

from __future__ import annotations

import json
import re
from bisect import bisect
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from forbear.optout.captures import Hop
from forbear.optout.model import (
    AI_USES,
    ALWAYS,
    IN_STRICT,
    NEVER,
    Capture,
    Gap,
    Preference,
    Reading,
    Statement,
    StatementStatus,
)
from forbear.optout.readers import container, embedded_xmp, epub, html, json_source, xmp
from forbear.optout.readers.container import Container
from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.json_source import Member, Object, Value
from forbear.optout.readers.pattern import Pattern, Target
from forbear.optout.readers.properties import Property
from forbear.optout.readers.text import human_size, quoted, readable, to_utf8

NAME = "tdmrep"
PLACES: tuple[str, ...] = ("/.well-known/tdmrep.json",)
MAX_FILE = 2_097_152
"""A longer tdmrep.json is not read: 2 MiB after content decoding."""

_MISSPELT = ("tdm_reservation", "tdm:reservation", "tdmreservation", "tdmrep")
_NAMED = "Header and meta element have the name tdm-reservation (TDMRep 6.2, 6.3)."
_NOT_IN_FORM = "It is not a rule in an array of rules, each with a location and tdm-reservation (TDMRep 6.1)."
MAX_WISHES = 64
"""Objects of a file that is not in the protocol's form that are read for what they evidently mean."""


@dataclass(frozen=True, slots=True)
class _Value:
    """A value as found: True is reserved, False is not reserved, None is a protocol error (5.1)."""

    reserved: bool | None
    quote: str
    where: str
    policy: str = ""


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule of the file (6.1): its patterns, one if its location is written once, and its value."""

    patterns: tuple[Pattern, ...]
    value: _Value

    def covers(self, target: Target) -> bool:
        """Returns whether it is about this target."""
        return any(one.matches(target.octets) for one in self.patterns)


@dataclass(frozen=True, slots=True)
class _File:
    """A tdmrep.json, parsed: its rules in order, what could not be read in it, and what that evidently means."""

    rules: tuple[_Rule, ...] = ()
    gaps: tuple[Gap, ...] = ()
    wishes: tuple[_Rule, ...] = ()

    def covering(self, target: Target) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Returns what the file says of a URL: its rules, the first word to the contrary, and what it evidently means.

        The contrary comes too late, since the first match wins (6.1). A rule whose value is an error is as if it were
        not there (5.1), but its value is reported.
        """
        wishes = tuple(number for number, wish in enumerate(self.wishes) if wish.covers(target))
        first: int | None = None
        errors: tuple[int, ...] = ()
        for number, rule in enumerate(self.rules):
            reserved = rule.value.reserved
            # Only the first of each kind is reported: a thousand more would say the same.
            is_reported = (
                errors if reserved is None else first is not None and reserved == self.rules[first].value.reserved
            )
            if is_reported or not rule.covers(target):
                continue
            if reserved is None:
                errors = (number,)
            elif first is None:
                first = number
            else:
                return (*errors, first), (number,), wishes
        return errors if first is None else (*errors, first), (), wishes


def read(hop: Hop) -> Reading:
    """Yields what the file, the header, the markup and the metadata say, each superseding the former (6.7)."""
    places: list[tuple[str, list[_Value]]] = []
    capture = yield from hop.look(NAME, hop.url.origin + PLACES[0])
    overruled: list[_Value] = []
    if capture is not None:
        file = _parsed(capture)
        yield from file.gaps
        covering, too_late, wishes = hop.of_target(file.covering)
        places.append((capture.url, [file.rules[number].value for number in covering]))
        overruled = [file.rules[number].value for number in too_late]
        for number in wishes:
            wish = file.wishes[number]
            yield replace(_statement(wish.value, capture.url, StatementStatus.FLAGGED), note=_NOT_IN_FORM)
    if hop.page is not None:
        in_header = yield from _header(hop.page)
        places.append((hop.page.url, in_header))
        for inside in (_markup, _metadata):
            try:
                places.append((hop.page.url, inside(hop.page)))
            except Unreadable as error:
                yield Gap(NAME, "unreadable", hop.page.url, "body", str(error))
        yield from _misspelt(hop.page)
    yield from _ranked(places)
    for value in overruled:
        source = places[0][0]
        detail = "An earlier rule of the file covers this page too, and the first that matches is the one (TDMRep 6.1)."
        force = StatementStatus.CONTRADICTED if value.reserved else StatementStatus.SUPERSEDED
        yield _statement(value, source, force)
        yield Gap(NAME, value.quote, source, value.where, detail, NEVER)


def _ranked(places: list[tuple[str, list[_Value]]]) -> Iterator[Statement | Gap]:
    """Yields all values as statements: the last place with 0 or 1 decides, and 1 wins within one place (6.7)."""
    final: bool | None = None
    decides = -1
    for number, (_, values) in enumerate(places):
        reserved = [value.reserved for value in values if value.reserved is not None]
        if reserved:
            final, decides = any(reserved), number
    for number, (source, values) in enumerate(places):
        for value in values:
            if value.reserved is None:
                detail = "TDMRep 5.1 knows the values 0 and 1 alone, any other is as if it were not there."
                yield _statement(value, source, StatementStatus.MALFORMED)
                yield Gap(NAME, value.quote, source, value.where, detail, NEVER)
            elif value.reserved:
                yield _statement(value, source, StatementStatus.STANDING if final else StatementStatus.CONTRADICTED)
            else:
                counts = number == decides and not final
                yield _statement(value, source, StatementStatus.STANDING if counts else StatementStatus.SUPERSEDED)


def _statement(value: _Value, source: str, force: StatementStatus) -> Statement:
    preference = Preference.ALLOW if value.reserved is False else Preference.DISALLOW
    note = f"tdm-policy: {value.policy}" if value.policy else ""
    return Statement(NAME, preference, value.quote, source, value.where, AI_USES, force, note)


def _reserved(text: str) -> bool | None:
    """Returns True for 1 and False for 0; None for anything else, which is an error (5.1)."""
    return {"1": True, "0": False}.get(text.strip())


# --- (6.1) the file


def _parsed(capture: Capture) -> _File:
    file: _File | None = capture.memo.get(NAME)
    if file is None:
        file = capture.memo[NAME] = _parse(capture)
    return file


def _parse(capture: Capture) -> _File:
    def gap(quote: str, where: str, detail: str, *, always: bool = False) -> Gap:
        return Gap(NAME, quote, capture.url, where, detail, ALWAYS if always else IN_STRICT)

    if len(capture.body) > MAX_FILE:
        detail = f"{capture.url} has more than {human_size(MAX_FILE)}."
        return _File(gaps=(gap("too-large", "whole file", detail, always=True),))
    try:
        text = capture.body.decode()
        value = json_source.parse(text)
    except UnicodeDecodeError:
        wishes = tuple(islice(_in_broken_json(readable(to_utf8(capture.body))), 1))
        return _File(gaps=(gap("malformed", "whole file", f"{capture.url} is not UTF-8."),), wishes=wishes)
    except Unreadable as error:
        wishes = tuple(islice(_in_broken_json(text), 1))
        return _File(gaps=(gap("malformed", "whole file", f"{capture.url}: {error}"),), wishes=wishes)
    lines = [match.start() for match in re.finditer("\n", text)]
    if not isinstance(value, list):
        detail = f"{capture.url} is not an array of rules (TDMRep 6.1)."
        return _File(gaps=(gap("malformed", "whole file", detail),), wishes=tuple(_wishes([value], text, lines)))
    rules: list[_Rule] = []
    broken: list[int] = []
    for number, item in enumerate(value, 1):
        rule = _rule(item, text, lines)
        if rule:
            rules.append(rule)
        else:
            broken.append(number)
    wishes = tuple(_wishes([value[number - 1] for number in broken], text, lines))
    gaps: tuple[Gap, ...] = ()
    if broken:
        detail = f"{len(broken)} of its {len(value)} rules lack a location that begins with / or *, or a reservation."
        gaps = (gap("malformed", f"rule {broken[0]}", f"{capture.url}: {detail}"),)
    return _File(tuple(rules), gaps, wishes)


def _rule(item: Value, text: str, lines: list[int]) -> _Rule | None:
    """Returns a rule, or nothing if it lacks what 6.1 demands. Of members of the same name the reserving one counts."""
    if not isinstance(item, Object):
        return None
    locations = [member.value for member in item.all("location")]
    paths = [path for path in locations if isinstance(path, str) and path.startswith(("/", "*"))]
    members = item.all("tdm-reservation")
    if not paths or not members:
        return None
    member = max(members, key=lambda member: {True: 2, None: 1, False: 0}[_json_reserved(member)])
    policies = [other.value for other in item.all("tdm-policy") if isinstance(other.value, str)]
    value = _value(member, _json_reserved(member), text, lines, policies[0] if policies else "")
    return _Rule(tuple(Pattern(path.encode("utf-8", "surrogatepass")) for path in paths), value)


def _value(member: Member, reserved: bool | None, text: str, lines: list[int], policy: str = "") -> _Value:
    quote = readable(text[member.start : member.end].encode())
    return _Value(reserved, quote, f"line {bisect(lines, member.start) + 1}", policy)


def _json_reserved(member: Member) -> bool | None:
    """Returns the same for a JSON value: 1 and "1" are the same value (5.1), true is neither 0 nor 1."""
    value = member.value
    if isinstance(value, str):
        return {"1": True, "0": False}.get(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and value in (0, 1):
        return value == 1
    return None


# --- what a file means that is not in this form: by people who have copied each other


_RESERVATION = re.compile(r"(?:tdm[-_: ]?)?reserv(?:ation|ed)", re.IGNORECASE)
_ANYWHERE = re.compile(r"[\"']?tdm[-_]?reservation[\"']?\s*[:=]\s*[\"']?(1|true|yes|0|false|no)\b", re.IGNORECASE)
_YES = re.compile(r"1|true|yes|all-?rights-?reserved|reserved", re.IGNORECASE)
_NO = re.compile(r"0|false|no", re.IGNORECASE)


def _wishes(values: list[Value], text: str, lines: list[int]) -> Iterator[_Rule]:
    """Yields rules meant by a lone object, a wrapped array, underscores, a URL as location, JSON-LD."""
    waiting = values[::-1]
    left = MAX_WISHES
    while waiting and left:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += reversed(value)
        if not isinstance(value, Object):
            continue
        left -= 1
        waiting += (member.value for member in reversed(value.members))
        locations = [member.value for member in value.all("location") if isinstance(member.value, str)]
        for member in value.members:
            meant = _meant(member)
            if meant is not None:
                yield _Rule(tuple(map(_path, locations or ["/"])), _value(member, meant, text, lines))


def _meant(member: Member) -> bool | None:
    """Returns whether a member reserves (True) or not (False); nothing if it is not about that."""
    word = json.dumps(member.value) if isinstance(member.value, bool | int) else member.value
    if isinstance(word, str) and member.name in ("type", "@type"):
        return True if _RESERVATION.fullmatch(word.rpartition("/")[2].rpartition("#")[2]) else None
    if not isinstance(word, str) or not _RESERVATION.fullmatch(member.name):
        return None
    return True if _YES.fullmatch(word) else False if _NO.fullmatch(word) else None


def _path(location: str) -> Pattern:
    """Returns a location as it is meant: of a URL its path; that of the file itself is the whole site."""
    path = re.sub(r"https?://[^/?#]*", "", location.strip(), flags=re.IGNORECASE)
    path = "" if path == PLACES[0] else path
    return Pattern((path if path[:1] in ("/", "*") else f"/{path}").encode("utf-8", "surrogatepass"))


def _in_broken_json(text: str) -> Iterator[_Rule]:
    """Yields the first reservation in a file that is not JSON (a comma too many), or else that there is none."""
    found = sorted(islice(_ANYWHERE.finditer(text), MAX_WISHES), key=lambda match: not _YES.fullmatch(match[1]))
    for match in found:
        where = f"line {text.count(chr(10), 0, match.start()) + 1}"
        yield _Rule((_path("/"),), _Value(_YES.fullmatch(match[1]) is not None, readable(match[0].encode()), where))


# --- (6.2) to (6.6) the answer itself


def _header(page: Capture) -> Generator[Gap, None, list[_Value]]:
    """Yields the values of the response header, each of a list (6.2, RFC 9110 5.3)."""
    policy = next((quoted(value) for value in page.header("tdm-policy")), "")
    values = []
    for field in page.header("tdm-reservation"):
        quote = quoted(field.strip())
        if not quote:
            yield Gap(NAME, "malformed", page.url, "header tdm-reservation", "The header has no value.", IN_STRICT)
            continue
        parts = [_reserved(part) for part in field.split(",")]
        reserved = True if True in parts else None if None in parts else False
        values.append(_Value(reserved, quote, "header tdm-reservation", policy))
    return values


def _markup(page: Capture) -> list[_Value]:
    """Yields the values of meta elements (6.3)."""
    elements = html.read(page).elements
    policy = next((element.attributes.get("content", "") for element in html.metas(elements, "tdm-policy")), "")
    return [
        _Value(_reserved(element.attributes.get("content", "")), element.quote, element.where, policy)
        for element in html.metas(elements, "tdm-reservation")
    ]


def _misspelt(page: Capture) -> Iterator[Statement]:
    """Yields what is meant by other names and forms.

    ``tdm_reservation``, a meta element with ``property`` or ``http-equiv`` instead of ``name``, and one that is not an
    element of the page by the HTML standard.
    """
    for name in _MISSPELT:
        for field in page.header(name):
            value = _Value(_reserved(field), quoted(field.strip()), f"header {name}")
            yield from _flagged(value, page)
    try:
        found = html.read(page)
    except Unreadable:
        return  # _markup reports that
    for element in found.elements:
        names = {element.attributes.get(key, "").strip().lower() for key in ("name", "property", "http-equiv")}
        misspelt = names.intersection(_MISSPELT) or (
            "tdm-reservation" in names and not element.attributes.get("name", "").strip()
        )
        if element.name == "meta" and misspelt:
            reserved = _reserved(element.attributes.get("content", ""))
            yield from _flagged(_Value(reserved, element.quote, element.where), page)
    for element in html.metas(found.doubtful, "tdm-reservation"):
        reserved = _reserved(element.attributes.get("content", ""))
        yield from _flagged(_Value(reserved, element.quote, element.where), page, html.DOUBTFUL)


def _flagged(value: _Value, page: Capture, note: str = _NAMED) -> Iterator[Statement]:
    if value.reserved is not None:
        yield replace(_statement(value, page.url, StatementStatus.FLAGGED), note=note)


def _metadata(page: Capture) -> list[_Value]:
    """Yields the values in an EPUB book's or a PDF document's own metadata (6.4 to 6.6), known by its bytes."""
    properties: list[Property] = []
    kind = container.of(page)
    if kind is Container.EPUB:
        properties = list(epub.properties(page, xmp.TDM[::-1], "tdm"))
    elif kind is Container.PDF:
        found = embedded_xmp.read(page)
        if found.failures:
            raise Unreadable(found.failures[0])
        properties = [item for packet in found.packets for item in packet.properties(xmp.TDM)]
    policy = next((item.value for item in properties if item.name == "policy"), "")
    return [
        _Value(_reserved(item.value), item.quote, item.where, policy)
        for item in properties
        if item.name == "reservation"
    ]
