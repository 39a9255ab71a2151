"""Rules for robots.txt: RFC 9309, and its lines of AIPREF, Content Signals and RSL."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from functools import lru_cache

from forbear.optout import policy
from forbear.optout.advice.finding import ROBOTS_TXT, Fix, Level, Placement, Remark, Site, rule
from forbear.optout.advice.lines import Lines, Record, lines
from forbear.optout.advice.protego_compare import other_reading
from forbear.optout.readers import robots_txt
from forbear.optout.readers.pattern import Target

GENERAL_NO = "Content-Usage: train-ai=n\nContent-Signal: ai-train=no"
"""Lines that tell every crawler what a list of names tells only the crawlers on it."""

_RULES = ("allow", "disallow")
_KEYS = (
    *("user-agent", *_RULES, "sitemap", "crawl-delay", "host", "content-usage", "content-signal", "license"),
    *("request-rate", "visit-time", "clean-param", "noindex", "comment", "policy", "contact"),
)
_USAGE = ("content-usage", "content-signal", "license")
_BARE = re.compile(r"(user-?agent|allow|dis+al+ow)\s+(\S+)", re.IGNORECASE)
MANY = 3
"""From this many training crawlers on, shutting them out by name is a wish about training."""


def _file(site: Site) -> Lines | None:
    capture = site.file(ROBOTS_TXT)
    return None if capture is None or robots_txt.parse(capture).foreign else lines(capture)


def _in_place(file: Lines, record: Record, message: str, text: str) -> Remark:
    return Remark(message, record.text, file.source, record.where, Fix(text, Placement.LINE))


@lru_cache
def _nearest(key: str) -> str:
    """Returns the key that is meant, if it is nearly written."""
    if not 2 < len(key) < 20:
        return ""
    return next(iter(difflib.get_close_matches(key.replace(" ", "-"), _KEYS, 1, 0.85)), "")


@rule("robots/misspelt", Level.WARNING, "RFC 9309 2.2", "The lines of robots.txt are written as crawlers know them.")
def misspelt(site: Site) -> Iterator[Remark]:
    """Finds a misspelt key, or a rule without its colon."""
    file = _file(site)
    for record in file.records if file else ():
        bare = _BARE.fullmatch(record.text)
        near = _nearest(record.key)
        if file and bare:
            key = difflib.get_close_matches(bare[1].lower(), ("user-agent", *_RULES), 1)
            message = "The line has no colon; most crawlers pass it over."
            yield _in_place(file, record, message, f"{key[0].capitalize()}: {bare[2]}")
        elif file and near not in ("", record.key):
            right = near.capitalize()
            message = f"{record.text.partition(':')[0]} is not {right}: crawlers that do not guess pass the line over."
            yield _in_place(file, record, message, f"{right}: {record.value}")


@rule("robots/outside-group", Level.ERROR, "RFC 9309 2.1", "Every rule is under a User-agent line.")
def outside_group(site: Site) -> Iterator[Remark]:
    """Finds a rule before the first User-agent line, which binds nobody."""
    file = _file(site)
    outside = [r for r in file.records if r.group < 0 and r.key in _RULES and r.value] if file else []
    for record in outside[:1]:
        if file:
            message = f"Rules before the first User-agent line ({len(outside)} here) hold for nobody."
            yield _in_place(file, record, message, f"User-agent: *\n{record.text}")


@rule("robots/no-slash", Level.WARNING, "RFC 9309 2.2.2, 2.2.3", "A rule's path begins with / or *.")
def no_slash(site: Site) -> Iterator[Remark]:
    """Finds a path without the slash at its beginning, which covers no page."""
    file = _file(site)
    for record in file.records if file else ():
        if file and record.key in _RULES and record.value and record.value[0] not in "/*":
            path = re.sub(r"^https?://[^/]*", "", record.value).lstrip("/")
            message = "A path begins with /: as it is written, the rule covers no page."
            fix = None if " " in path else Fix(f"{record.key.capitalize()}: /{path}", Placement.LINE)
            yield Remark(message, record.text, file.source, record.where, fix)


@rule("robots/other-readings", Level.WARNING, "RFC 9309 2.2.1", "Widely used parsers read robots.txt alike.")
def other_readings(site: Site) -> Iterator[Remark]:
    """Finds a file that Protego reads otherwise, often for a Crawl-delay line between two User-agent lines."""
    gap = other_reading(site.question, site.captures)
    if gap:
        message = (
            f"{gap.detail} Keep User-agent lines and their rules together, with Sitemap and other lines at the end."
        )
        yield Remark(message, gap.quote, gap.source, gap.where)


@rule(
    "robots/others-group",
    Level.WARNING,
    "RFC 9309 2.1, 2.2.1; attach-05 3.1; RSL 4.4",
    "Content-Usage, Content-Signal and License are in the group for everybody.",
)
def others_group(site: Site) -> Iterator[Remark]:
    """Finds a line for everybody in one crawler's group, or in no group."""
    file = _file(site)
    for key in _USAGE if file else ():
        if not file:
            return
        records = [record for record in file.records if record.key == key]
        outside = [record for record in records if record.group < 0]
        if any("*" in file.agents(record) for record in records) or (key == "license" and outside):
            continue
        for record in records[-1:]:
            names = ", ".join(sorted(file.agents(record))) or "nobody, since no User-agent line comes before it"
            end = file.end_of_general_group()
            message = f"The line is for {names} alone; a line for all crawlers is in the group User-agent: *."
            text = f"{end.text}\n{record.text}" if end else f"User-agent: *\n{record.text}"
            yield Remark(
                message, record.text, file.source, record.where, Fix(text, Placement.LINE, (end or record).where)
            )


def _shut_by_name(site: Site) -> tuple[Lines, list[str], Record] | None:
    """Returns the training crawlers that robots.txt shuts out of the page by name, and the first line that does."""
    capture, file = site.file(ROBOTS_TXT), _file(site)
    if capture is None or file is None:
        return None
    parsed, target = robots_txt.parse(capture), Target(site.url.target)
    matches = {
        token: found[0]
        for token in policy.load().training_agents
        if parsed.names(token) and (found := parsed.rules_for(token).matching(target)) and not found[0].allows
    }
    everybody = parsed.rules_for("*").matching(target)
    if not matches or (everybody and not everybody[0].allows):
        return None
    where = min((parsed.where(match.line) for match in matches.values()), key=lambda text: int(text.split()[1]))
    return file, sorted(matches), next(record for record in file.records if record.where == where)


@rule(
    "robots/agents-by-name",
    Level.WARNING,
    "RFC 9309 2.2.1",
    "A wish about AI training is addressed to all crawlers, not only to those known by name.",
)
def agents_by_name(site: Site) -> Iterator[Remark]:
    """Finds a file that shuts out many training crawlers by name and lets everybody else in."""
    found = _shut_by_name(site)
    if found and len(found[1]) >= MANY and not site.reserving():
        file, names, record = found
        end, last = file.end_of_general_group(), file.records[-1]
        message = (
            f"It shuts out {len(names)} training crawlers by name ({', '.join(names)}) and lets in every other,"
            " new ones too; only careful crawlers take that for a reservation. Two lines in the group User-agent: *"
            " say it to all."
        )
        text = f"{end.text}\n{GENERAL_NO}" if end else f"{last.text}\n\nUser-agent: *\nAllow: /\n{GENERAL_NO}"
        yield Remark(message, record.text, file.source, record.where, Fix(text, Placement.LINE, (end or last).where))


@rule("robots/some-agents", Level.NOTE, "RFC 9309 2.2.1", "What shutting out single training crawlers does.")
def some_agents(site: Site) -> Iterator[Remark]:
    """Finds a file that shuts out one or two training crawlers, or has a general rule as well."""
    found = _shut_by_name(site)
    if found and (len(found[1]) < MANY or site.reserving()):
        file, names, record = found
        message = f"It shuts out {', '.join(names)} by name; every other crawler follows the rules for all."
        yield Remark(message, record.text, file.source, record.where)


# --- values

_USAGE_VALUE = re.compile(r'(?<![\w-])(train-ai|search|ai-use)\s*=\s*(\?[01]|"[^"]*"|\(?[^\s,;]*)', re.IGNORECASE)
_TRAINING = ("ai-train", "train", "train-genai", "ai", "genai", "tdm", "all", "bots", "training", "ai-training")
_OTHER_LABEL = re.compile(rf"(?<![\w-])({'|'.join(_TRAINING)})\s*=\s*([^\s,;]*)", re.IGNORECASE)
_SIGNAL_VALUE = re.compile(r"(?<![\w-])(ai-train|ai-input|search)\s*[=:]?\s*([^\s,;]*)", re.IGNORECASE)
_OTHER_SIGNAL = re.compile(r"(?<![\w-])(train-ai|train|ai|tdm|(?:ai-)?training)\s*[=:]\s*([^\s,;]*)", re.IGNORECASE)


def usage_faults(text: str) -> Iterator[str]:
    """Yields what is wrong with the words of a Content-Usage field, one sentence for each fault."""
    for match in _USAGE_VALUE.finditer(text):
        if match[2] not in ("y", "n"):
            yield f"{match[0]} says nothing: the values are y and n, and nothing else."
    for match in _OTHER_LABEL.finditer(text):
        if "train-ai" not in text.lower():
            yield f"{match[0]} says nothing about training: the category is named train-ai."


def usage_mended(text: str) -> str:
    """Returns a Content-Usage field as it seems to be meant, with the values of attach-05; unclear is n."""
    pairs = [(match[1].lower(), match[2]) for match in _USAGE_VALUE.finditer(text)]
    if not any(label == "train-ai" for label, _ in pairs):
        pairs += [("train-ai", match[2]) for match in _OTHER_LABEL.finditer(text)][:1]
    mended = {
        label: "y" if value.strip('"').lower() in ("y", "yes", "true", "?1", "1") else "n" for label, value in pairs
    }
    return ", ".join(f"{label}={value}" for label, value in mended.items()) or "train-ai=n"


@rule(
    "aipref/value", Level.ERROR, "vocab-08 4, 6; attach-05 3.2", "Content-Usage in robots.txt names train-ai=n or =y."
)
def usage_value(site: Site) -> Iterator[Remark]:
    """Finds ``train-ai=no``, ``ai-train=n``: unknown words express no preference."""
    file = _file(site)
    for record in file.records if file else ():
        faults = [*usage_faults(record.value)] if record.key == "content-usage" else []
        if file and faults:
            path = re.match(r"(/\S*)\s", record.value)
            text = f"Content-Usage: {path[1] + ' ' if path else ''}{usage_mended(record.value)}"
            yield _in_place(file, record, " ".join(faults), text)


@rule(
    "content-signal/value",
    Level.ERROR,
    "Content Signals Policy",
    "A Content-Signal is search, ai-input, ai-train=yes or no.",
)
def signal_value(site: Site) -> Iterator[Remark]:
    """Finds ``ai-train=n``, ``train-ai=no``: neither yes nor no."""
    file = _file(site)
    for record in file.records if file else ():
        if not file or record.key != "content-signal":
            continue
        wrong = [m for m in _SIGNAL_VALUE.finditer(record.value) if m[2].lower() not in ("yes", "no")]
        strange = [] if "ai-train" in record.value.lower() else [*_OTHER_SIGNAL.finditer(record.value)]
        if wrong or strange:
            signals = {m[1].lower(): m[2] for m in _SIGNAL_VALUE.finditer(record.value)}
            if strange:
                signals["ai-train"] = strange[-1][2]
            mended = {
                key: "yes" if value.lower() in ("yes", "y", "true", "1") else "no" for key, value in signals.items()
            }
            text = ", ".join(f"{key}={value}" for key, value in mended.items())
            message = (
                f"{(wrong or strange)[0][0]} is not a signal: write search, ai-input or ai-train with =yes or =no."
            )
            yield _in_place(file, record, message, f"Content-Signal: {text}")
