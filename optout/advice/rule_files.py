"""Rules for ai.txt (Spawning, 30 May 2023) and trust.txt (JournalList, 4 April 2024)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from forbear.optout.advice.finding import Fix, Level, Placement, Remark, Site, rule
from forbear.optout.advice.lines import Lines, lines
from forbear.optout.model import Preference
from forbear.optout.protocols import ai_txt, trust_txt
from forbear.optout.readers.text import readable, to_utf8

AI_TXT = "User-Agent: *\nDisallow: /\nDisallow: *\n"
"""A whole ai.txt that reserves a whole site, as Spawning's generator writes it."""
TRUST_TXT = "datatrainingallowed=no"

_OTHER_KEYS = re.compile(r"usage|training|allow-training|purpose|conditions?|permissions?|tdm[\w-]*|ai[\w-]*")
_NEARLY = re.compile(
    r"(?:data[-_ ]?training[-_ ]?allowed|(?:ai|data)?[-_ ]?training(?:[-_ ]?allowed)?|ai[-_ ]train)\s*[:=]\s*(.*)",
    re.IGNORECASE,
)
_NO = re.compile(r"no|n|false|0|deny|denied|none|never|disallow(?:ed)?|reserved|prohibited", re.IGNORECASE)
_YES = re.compile(r"yes|y|true|1|allow(?:ed)?|permitted|open", re.IGNORECASE)


def _ai_txt(site: Site) -> Lines | None:
    capture = site.file(ai_txt.PLACES[0])
    return None if capture is None or capture.body.lstrip().startswith(b"<") else lines(capture)


@rule("ai-txt/no-group", Level.ERROR, "Spawning's ai.txt", "Rules in ai.txt are under a User-Agent line.")
def no_group(site: Site) -> Iterator[Remark]:
    """Finds Allow and Disallow lines without a User-Agent line before them."""
    file = _ai_txt(site)
    lost = [r for r in file.records if r.group < 0 and r.key in ("allow", "disallow")] if file else []
    for record in lost[:1]:
        kept = [f"{r.key.capitalize()}: {r.value}" for r in lost if r.value[:1] in ("/", "*")]
        text = "\n".join(["User-Agent: *", *kept, ""])
        message = "The rules are not under a User-Agent line, and so hold for nobody."
        if file:
            yield Remark(message, record.text, file.source, record.where, Fix(text, Placement.FILE) if kept else None)


@rule("ai-txt/not-in-form", Level.ERROR, "Spawning's ai.txt", "ai.txt holds User-Agent, Allow and Disallow lines.")
def not_in_form(site: Site) -> Iterator[Remark]:
    """Finds prose, or another file of the same name."""
    file = _ai_txt(site)
    if file is None or file.groups or not file.records or any(r.key in ("allow", "disallow") for r in file.records):
        return
    flagged = (s.quote for s in site.missed(ai_txt.NAME) if s.preference is Preference.DISALLOW)
    words = min(flagged, key=len, default="")
    if words:
        message = "This is a sentence for people: crawlers that read ai.txt look for rules, and find none."
        yield Remark(message, words, file.source, "whole file", Fix(AI_TXT, Placement.FILE))
    else:
        message = "No crawler finds a rule in this file: it allows nothing, and it reserves nothing."
        yield Remark(message, file.records[0].text, file.source, file.records[0].where)


@rule(
    "ai-txt/path",
    Level.WARNING,
    "Spawning's ai.txt; RFC 9309 2.2.3",
    "A rule in ai.txt names a path or a type of file.",
)
def path(site: Site) -> Iterator[Remark]:
    """Finds ``Disallow: training``: a purpose where a path should be."""
    file = _ai_txt(site)
    for record in file.records if file else ():
        if file and record.key in ("allow", "disallow") and record.value and record.value[0] not in "/*":
            message = "A path begins with /, a type of files with *: as it is written, the rule covers nothing."
            everything = record.key == "disallow" and "." not in record.value and "/" not in record.value
            fix = Fix("Disallow: /" if everything else f"{record.key.capitalize()}: /{record.value}", Placement.LINE)
            yield Remark(message, record.text, file.source, record.where, fix if record.key == "disallow" else None)


@rule("ai-txt/unknown-line", Level.WARNING, "Spawning's ai.txt", "ai.txt has no lines about kinds of use.")
def unknown_line(site: Site) -> Iterator[Remark]:
    """Finds ``Usage: training`` under a group: the format has rules for paths, not for uses."""
    file = _ai_txt(site)
    for record in [r for r in file.records if r.group >= 0 and _OTHER_KEYS.fullmatch(r.key)][:1] if file else ():
        if file:
            message = f"ai.txt has rules for paths, not for uses: its readers ignore {record.key.capitalize()}."
            yield Remark(message, record.text, file.source, record.where)


def _trust_lines(site: Site) -> Iterator[tuple[str, int, str]]:
    """Yields the source, number and words of each line of the trust.txt that is read."""
    for place in trust_txt.PLACES:
        capture = site.file(place)
        if capture is not None and not capture.body.lstrip().startswith(b"<"):
            text = readable(to_utf8(capture.body[: trust_txt.MAX_FILE]))
            for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
                if line.strip() and not line.lstrip().startswith("#"):
                    yield capture.url, number, line.strip()
            return


@rule("trust-txt/value", Level.ERROR, "trust.txt, 4 April 2024", "The line is datatrainingallowed=no, or =yes.")
def trust_value(site: Site) -> Iterator[Remark]:
    """Finds another name, a colon, another value."""
    for source, number, words in _trust_lines(site):
        match = _NEARLY.fullmatch(words)
        if match and not re.fullmatch(r"datatrainingallowed\s*=\s*(yes|no)", words, re.IGNORECASE):
            right = "yes" if _YES.fullmatch(match[1]) else "no"
            sure = bool(_YES.fullmatch(match[1]) or _NO.fullmatch(match[1]))
            message = "The line is written datatrainingallowed=no (or =yes): in another form no crawler knows it."
            fix = Fix(f"datatrainingallowed={right}", Placement.LINE)
            yield Remark(message, words, source, f"line {number}", fix if sure else Fix(TRUST_TXT, Placement.LINE))


@rule("trust-txt/not-in-form", Level.WARNING, "trust.txt, 2020", "trust.txt holds lines name=value.")
def trust_form(site: Site) -> Iterator[Remark]:
    """Finds another file under the name, or lines ``name: value``."""
    found = list(_trust_lines(site))
    if found and not any(re.match(r"[a-z]+\s*=", words, re.IGNORECASE) for _, _, words in found):
        source, number, words = found[0]
        message = f"The file has no line name=value, and so says nothing; {TRUST_TXT} would reserve training."
        yield Remark(message, words, source, f"line {number}")


_NAMES = frozenset(
    {"member", "belongto", "control", "controlledby", "social", "vendor", "customer", "disclosure", "contact"}
    | {"datatrainingallowed"}
)


@rule("trust-txt/unknown-name", Level.WARNING, "trust.txt, 2020", "trust.txt has the names of its specification.")
def trust_name(site: Site) -> Iterator[Remark]:
    """Finds ``controls=``, ``datetime=``."""
    for source, number, words in _trust_lines(site):
        match = re.match(r"([\w-]+)\s*=", words)
        if match and match[1].lower() not in _NAMES and not _NEARLY.fullmatch(words):
            message = f"trust.txt has no {match[1]}: its readers pass the line over."
            yield Remark(message, words, source, f"line {number}")
