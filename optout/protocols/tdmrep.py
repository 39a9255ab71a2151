"""TDM Reservation Protocol: W3C Community Group Final Report, 10 May 2024 (TDMRep)."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from optout.captures import Asked
from optout.model import AI_USES, ALWAYS, IN_STRICT, NEVER, Capture, Force, Gap, Preference, Reading, Statement
from optout.readers import embedded_xmp, epub, html, json_source, pattern, pdf
from optout.readers.json_source import Member, Object, Value
from optout.readers.pattern import Pattern
from optout.readers.properties import Property
from optout.readers.text import readable
from optout.readers.unreadable import Unreadable

NAME = "tdmrep"
PLACES: tuple[str, ...] = ("/.well-known/tdmrep.json",)
MAX_FILE = 2_097_152
"""A longer tdmrep.json is not read: 2 MiB after content decoding."""

# 6.5 and 6.6 differ in the last character; taken for each other easily, so both are read in both.
_NAMESPACES = ("http://www.w3.org/ns/tdmrep#", "http://www.w3.org/ns/tdmrep/")


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


@dataclass(frozen=True, slots=True)
class _File:
    """A tdmrep.json, parsed: its rules in order, and what could not be read in it."""

    rules: tuple[_Rule, ...] = ()
    gaps: tuple[Gap, ...] = ()


def read(asked: Asked) -> Reading:
    """What the site's file, the header, the markup and the metadata say: each supersedes those before it (6.7)."""
    places: list[tuple[str, list[_Value]]] = []
    capture = yield from asked.look(NAME, asked.url.origin + PLACES[0])
    overruled: list[_Value] = []
    if capture is not None:
        file = _parsed(capture)
        yield from file.gaps
        said, overruled = _matching(file.rules, pattern.target(asked.url.target))
        places.append((capture.url, said))
    if asked.page is not None:
        in_header = yield from _header(asked.page)
        places.append((asked.page.url, in_header))
        for inside in (_markup, _metadata):
            try:
                places.append((asked.page.url, inside(asked.page)))
            except Unreadable as error:
                yield Gap(NAME, "unreadable", asked.page.url, "body", str(error))
    yield from _weighed(places)
    for value in overruled:
        source = places[0][0]
        detail = "An earlier rule of the file covers this page too, and the first that matches is the one (TDMRep 6.1)."
        force = Force.CONTRADICTED if value.reserved else Force.SUPERSEDED
        yield _statement(value, source, force)
        yield Gap(NAME, value.quote, source, value.where, detail, NEVER)


def _weighed(places: list[tuple[str, list[_Value]]]) -> Iterator[Statement | Gap]:
    """All values as statements; the last place that says 0 or 1 decides, and 1 beside 0 in one place is 1 (6.7)."""
    final: bool | None = None
    decides = -1
    for number, (_, values) in enumerate(places):
        said = [value.reserved for value in values if value.reserved is not None]
        if said:
            final, decides = any(said), number
    for number, (source, values) in enumerate(places):
        for value in values:
            if value.reserved is None:
                detail = "TDMRep 5.1 knows the values 0 and 1 alone, any other is as if it were not there."
                yield _statement(value, source, Force.MALFORMED)
                yield Gap(NAME, value.quote, source, value.where, detail, NEVER)
            elif value.reserved:
                yield _statement(value, source, Force.STANDING if final else Force.CONTRADICTED)
            else:
                stands = number == decides and not final
                yield _statement(value, source, Force.STANDING if stands else Force.SUPERSEDED)


def _statement(value: _Value, source: str, force: Force) -> Statement:
    preference = Preference.ALLOW if value.reserved is False else Preference.DISALLOW
    note = f"tdm-policy: {value.policy}" if value.policy else ""
    return Statement(NAME, preference, value.quote, source, value.where, AI_USES, force, note)


def _reserved(text: str) -> bool | None:
    """5.1: 1 is reserved, 0 is not; anything else is an error."""
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
        detail = f"{capture.url} has more than {MAX_FILE} octets."
        return _File(gaps=(gap("too-large", "whole file", detail, always=True),))
    try:
        text = capture.body.decode()
        value = json_source.parse(text)
    except UnicodeDecodeError:
        return _File(gaps=(gap("malformed", "whole file", f"{capture.url} is no UTF-8."),))
    except Unreadable as error:
        return _File(gaps=(gap("malformed", "whole file", f"{capture.url}: {error}"),))
    if not isinstance(value, list):
        return _File(gaps=(gap("malformed", "whole file", f"{capture.url} is no array of rules (TDMRep 6.1)."),))
    rules: list[_Rule] = []
    broken: list[int] = []
    lines = [match.start() for match in re.finditer("\n", text)]
    for number, item in enumerate(value, 1):
        rule = _rule(item, text, lines)
        if rule:
            rules.append(rule)
        else:
            broken.append(number)
    gaps: tuple[Gap, ...] = ()
    if broken:
        detail = f"{len(broken)} of its {len(value)} rules lack a location that begins with / or *, or a reservation."
        gaps = (gap("malformed", f"rule {broken[0]}", f"{capture.url}: {detail}"),)
    return _File(tuple(rules), gaps)


def _rule(item: Value, text: str, lines: list[int]) -> _Rule | None:
    """A rule, or nothing if it lacks what 6.1 demands. Of members of the same name the reserving one counts."""
    if not isinstance(item, Object):
        return None
    locations = [member.value for member in item.all("location")]
    paths = [path for path in locations if isinstance(path, str) and path.startswith(("/", "*"))]
    members = item.all("tdm-reservation")
    if not paths or not members:
        return None
    member = max(members, key=lambda member: {True: 2, None: 1, False: 0}[_json_reserved(member)])
    policies = [other.value for other in item.all("tdm-policy") if isinstance(other.value, str)]
    where = f"line {bisect(lines, member.start) + 1}"
    quote = readable(text[member.start : member.end].encode())
    value = _Value(_json_reserved(member), quote, where, policies[0] if policies else "")
    return _Rule(tuple(Pattern(path.encode("utf-8", "surrogatepass")) for path in paths), value)


def _json_reserved(member: Member) -> bool | None:
    """5.1 names the value, not its JSON type: 1 and "1" are the same; true is neither."""
    value = member.value
    if isinstance(value, str):
        return {"1": True, "0": False}.get(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and value in (0, 1):
        return value == 1
    return None


def _matching(rules: tuple[_Rule, ...], target: bytes) -> tuple[list[_Value], list[_Value]]:
    """What the file says of a URL, and the first word to the contrary: it comes too late, the first match wins (6.1).

    A rule whose value is an error is as if it were not there (5.1), but its value is told.
    """
    first: _Value | None = None
    errors: list[_Value] = []
    for rule in rules:
        value = rule.value
        # Only the first of each kind is told: a thousand more would say the same.
        told = errors if value.reserved is None else first and value.reserved == first.reserved
        if told or not any(one.matches(target) for one in rule.patterns):
            continue
        if value.reserved is None:
            errors.append(value)
        elif first is None:
            first = value
        else:
            return [*errors, first], [value]
    return [*errors, first] if first else errors, []


# --- (6.2) to (6.6) the answer itself


def _header(page: Capture) -> Generator[Gap, None, list[_Value]]:
    """6.2: the response header; a field that lists several values says each of them (RFC 9110 5.3)."""
    policy = next((readable(value.encode("utf-8", "surrogatepass")) for value in page.header("tdm-policy")), "")
    values = []
    for field in page.header("tdm-reservation"):
        quote = readable(field.strip().encode("utf-8", "surrogatepass"))
        if not quote:
            yield Gap(NAME, "malformed", page.url, "header tdm-reservation", "The header has no value.", IN_STRICT)
            continue
        parts = [_reserved(part) for part in field.split(",")]
        reserved = True if True in parts else None if None in parts else False
        values.append(_Value(reserved, quote, "header tdm-reservation", policy))
    return values


def _markup(page: Capture) -> list[_Value]:
    """6.3: meta elements."""
    found = html.read(page)
    policy = next((element.attributes.get("content", "") for element in found.metas("tdm-policy")), "")
    return [
        _Value(_reserved(element.attributes.get("content", "")), element.quote, element.where, policy)
        for element in found.metas("tdm-reservation")
    ]


def _metadata(page: Capture) -> list[_Value]:
    """6.4 to 6.6: an EPUB book's or a PDF document's word about itself. The container is told by its octets."""
    properties: list[Property] = []
    if epub.is_epub(page):
        properties = list(epub.properties(page, _NAMESPACES, "tdm"))
    elif pdf.is_pdf(page):
        found = embedded_xmp.read(page)
        if found.failures:
            raise Unreadable(found.failures[0])
        properties = [item for packet in found.packets for item in packet.properties(_NAMESPACES[::-1])]
    policy = next((item.value for item in properties if item.name == "policy"), "")
    return [
        _Value(_reserved(item.value), item.quote, item.where, policy)
        for item in properties
        if item.name == "reservation"
    ]
