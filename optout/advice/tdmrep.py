"""Rules for tdmrep.json: W3C TDM Reservation Protocol, Final Report of 10 May 2024, section 6.1."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from forbear.optout.advice.finding import TDMREP_JSON, Fix, Level, Placement, Remark, Site, rule
from forbear.optout.protocols.tdmrep import MAX_FILE
from forbear.optout.readers import json_source
from forbear.optout.readers import url as urls
from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.json_source import Member, Object, Value
from forbear.optout.readers.text import readable
from forbear.optout.readers.url import NotAUrl

RESERVED = '[\n  {"location": "/", "tdm-reservation": 1}\n]\n'
"""A whole file that reserves a whole site."""

_STRING_OR_COMMA = re.compile(r'("(?:[^"\\]|\\.)*+")|,(?=\s*[\]}])')
_NAMES = frozenset({"tdm-reservation", "tdmreservation", "reservation", "tdm-reserved", "reserved"})
_PLACES = frozenset({"location", "locations", "path", "paths", "url"})
_NO_WISH = frozenset({"0", "false", "no", "none", "off", "allowed", "open"})
_WISH = re.compile(r'"[^"]*reserv[^"]*"\s*:\s*(?:"[^"]*"|[^,}\]\s]+)|"[^"]*"\s*:\s*"reserv[^"]*"', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Meant:
    """One rule as its writer seems to have meant it."""

    locations: tuple[str, ...]
    reserved: bool
    policy: str | None
    item: Object

    @property
    def lines(self) -> list[str]:
        """Returns the rule as the specification has it, one object for each location."""
        rest: dict[str, object] = {"tdm-reservation": int(self.reserved)}
        if self.policy and self.reserved:
            rest["tdm-policy"] = self.policy
        return [json.dumps({"location": path, **rest}, ensure_ascii=False) for path in self.locations]


@dataclass(frozen=True, slots=True)
class _File:
    """The file as text, its value (None if it cannot be parsed), and the rules that its writer meant."""

    source: str
    text: str
    value: Value
    error: str
    meant: list[_Meant]

    def found(self, message: str, quote: str, start: int | None = None, *, fix: bool = True) -> Remark:
        """Returns a finding about the words at an offset, or about the whole file."""
        where = "whole file" if start is None else f"line {self.text.count(chr(10), 0, start) + 1}"
        return Remark(message, readable(quote.encode()), self.source, where, self.fix if fix else None)

    def about(self, member: Member, message: str) -> Remark:
        """Returns a finding about one member of an object."""
        return self.found(message, self.text[member.start : member.end], member.start)

    @property
    def fix(self) -> Fix | None:
        """Returns the whole file corrected, the narrowest locations first; nothing if no wish can be seen in it."""
        ordered = sorted(self.meant, key=lambda meant: -max(len(path.rstrip("*")) for path in meant.locations))
        rules = ordered if any(True for _ in _hidden(self.meant)) else self.meant
        lines = ",\n  ".join(line for meant in rules for line in meant.lines)
        return Fix(f"[\n  {lines}\n]\n", Placement.FILE) if lines else None

    @property
    def wish(self) -> str:
        """Returns the words in which a reservation is most likely meant, or the beginning of the file."""
        match = _WISH.search(self.text)
        return match[0] if match else self.text.strip()[:120]


def _read(site: Site) -> _File | None:
    """Returns the file, read as leniently as any reader could; None if it is absent or not like JSON."""
    capture = site.file(TDMREP_JSON)
    if capture is None or len(capture.body) > MAX_FILE or capture.body.lstrip().startswith(b"<"):
        return None
    text, error, value = capture.body.decode("utf-8", "replace"), "", None
    try:
        value = json_source.parse(text)
    except Unreadable as problem:
        error = str(problem)
        with suppress(Unreadable):
            value = json_source.parse(_STRING_OR_COMMA.sub(lambda match: match[1] or " ", text))
    return _File(capture.url, text, value, error, list(_meant(value)))


def _meant(value: Value) -> Iterator[_Meant]:
    if isinstance(value, list):
        for item in value:
            yield from _meant(item)
        return
    if not isinstance(value, Object):
        return
    reserved = _wish(value)
    if reserved is None:
        for member in value.members:
            if isinstance(member.value, list):
                yield from _meant(member.value)
        return
    policies = [m.value for m in value.members if _name(m) in ("tdm-policy", "policy") and isinstance(m.value, str)]
    policy = next((text for text in policies if text.startswith(("https://", "http://"))), None)
    yield _Meant(tuple(map(_path, _locations(value))) or ("/",), reserved, policy, value)


def _name(member: Member) -> str:
    return member.name.lower().replace("_", "-")


def _wish(item: Object) -> bool | None:
    for member in item.members:
        if _name(member) in _NAMES and not isinstance(member.value, list | Object):
            return member.value is None or str(member.value).strip().lower() not in _NO_WISH
    named = (member.value for member in item.members if member.name in ("type", "@type"))
    return True if any(str(value).lower() == "reservation" for value in named) else None


def _locations(item: Object) -> list[str]:
    values = [member.value for member in item.members if _name(member) in _PLACES]
    flat = (one for value in values for one in (value if isinstance(value, list) else [value]))
    return [one for one in flat if isinstance(one, str)]


def _path(location: str) -> str:
    """Returns a location as a path pattern (6.1.1); the file's own URL means the site."""
    with suppress(NotAUrl):
        location = urls.parse(location).target
    if location in ("", "*", TDMREP_JSON):
        return "/"
    return location if location.startswith("/") else f"/{location}"


def _hidden(meant: list[_Meant]) -> Iterator[tuple[_Meant, _Meant]]:
    """Yields rules that never apply since an earlier one with another value matches first, with that earlier one."""
    plain: list[tuple[str, _Meant]] = []
    for rule_ in meant:
        for other_path, other in plain:
            if other.reserved != rule_.reserved and all(path.startswith(other_path) for path in rule_.locations):
                yield other, rule_
                break
        if len(plain) < 100:
            paths = (path.rstrip("*") for path in rule_.locations)
            plain += ((path, rule_) for path in paths if "*" not in path and "$" not in path)


@rule("tdmrep/not-json", Level.ERROR, "TDMRep 6.1; RFC 8259", "tdmrep.json is valid JSON.")
def not_json(site: Site) -> Iterator[Remark]:
    """Finds a comma after the last rule, single quotes, comments."""
    file = _read(site)
    if file and file.error:
        fix = file.fix or Fix(RESERVED, Placement.FILE)
        message = f"No crawler can read any of this file: {file.error.removeprefix('It is ')}"
        yield Remark(message, readable(file.wish.encode()), file.source, "whole file", fix)


@rule("tdmrep/not-an-array", Level.ERROR, "TDMRep 6.1", "The top level of tdmrep.json is an array of rules.")
def not_an_array(site: Site) -> Iterator[Remark]:
    """Finds a lone object, or the array inside an object."""
    file = _read(site)
    if file and file.meant and not isinstance(file.value, list):
        yield file.found("The file must be an array of rules: by the letter all of it says nothing.", file.wish)


@rule("tdmrep/no-rule", Level.ERROR, "TDMRep 6.1, 7", "tdmrep.json holds rules with location and tdm-reservation.")
def no_rule(site: Site) -> Iterator[Remark]:
    """Finds another vocabulary: a policy where the rules should be."""
    file = _read(site)
    if file and not file.error and not file.meant and file.value != []:
        message = "This file has no rule: write location and tdm-reservation (1 reserves, 0 does not)."
        yield file.found(message, file.wish)


@rule("tdmrep/location", Level.ERROR, "TDMRep 6.1, 6.1.1", "Each rule has a location that is a path pattern.")
def location(site: Site) -> Iterator[Remark]:
    """Finds a location that is missing, is a full URL, or lacks the slash at its beginning."""
    file = _read(site)
    for meant in file.meant if file else []:
        members = [member for member in meant.item.members if _name(member) in _PLACES]
        if file and not members:
            message = "The rule has no location, so it is about no page; / is the whole site."
            yield file.found(message, file.wish, meant.item.members[0].start)
        for member in members if file else ():
            wrong = [one for one in _locations(Object([member])) if not one.startswith("/")]
            if file and (wrong or member.name != "location" or not isinstance(member.value, str)):
                message = (
                    "A location is the path alone, beginning with / (the whole site is /): this one matches no page."
                )
                yield file.about(member, message)


@rule("tdmrep/value", Level.ERROR, "TDMRep 5.1", "The value of tdm-reservation is 1 or 0.")
def value(site: Site) -> Iterator[Remark]:
    """Finds ``true``, ``yes``, or another name for the member."""
    file = _read(site)
    for meant in file.meant if file else []:
        for member in meant.item.members if file else ():
            if _name(member) in _NAMES and file:
                right = type(member.value) is int and member.value in (0, 1)
                if member.name != "tdm-reservation":
                    yield file.about(member, f"The member is named tdm-reservation; {member.name} is read by nobody.")
                elif not right and member.value not in ("0", "1"):
                    yield file.about(member, "The value is 1 (reserved) or 0 (not); any other counts as not written.")


@rule("tdmrep/text-value", Level.NOTE, "TDMRep 5.1", "The value of tdm-reservation is a number.")
def text_value(site: Site) -> Iterator[Remark]:
    """Finds ``"1"``: Forbear reads it, other readers may not."""
    file = _read(site)
    for meant in file.meant if file else []:
        for member in meant.item.all("tdm-reservation"):
            if member.value in ("0", "1") and file:
                yield file.about(member, "Written as a text, the value may not be understood by every crawler.")


@rule("tdmrep/unreachable-rule", Level.WARNING, "TDMRep 6.1", "No rule comes after one that covers all it covers.")
def unreachable_rule(site: Site) -> Iterator[Remark]:
    """Finds rules behind a catch-all: the first rule that matches decides."""
    file = _read(site)
    for earlier, meant in _hidden(file.meant) if file else ():
        for member in [m for m in meant.item.members if _name(m) in _PLACES][:1]:
            word = "reservation" if meant.reserved else "exception"
            if file:
                message = (
                    f"This {word} is never read: {earlier.locations[0]} comes before it, and the first rule that"
                    " matches decides. The general rule comes last."
                )
                yield file.about(member, message)


@rule("tdmrep/policy-without-reservation", Level.NOTE, "TDMRep 5.2", "A tdm-policy comes with a reservation.")
def policy_without_reservation(site: Site) -> Iterator[Remark]:
    """Finds a policy beside 0, which nobody looks at."""
    file = _read(site)
    for meant in file.meant if file else []:
        for member in meant.item.all("tdm-policy"):
            if file and not meant.reserved:
                yield file.about(member, "Beside tdm-reservation 0 a policy is not looked at.")
