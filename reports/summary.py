"""Makes the public summary of training content by the Commission's template (Article 53(1)(d), 24 July 2025).

Log and corpus fill in what they know, with its source. What only the provider knows comes from attestations, and what
nobody has filled in stays visibly open. If an attestation contradicts the log, both are shown.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any

from forbear.optout.policy import Policy
from forbear.reports.document import Block, Document, Field, Open, Section, Table, Text, number_of
from forbear.reports.inputs import BadInputs, read, shipped
from forbear.storage.reads.figures import CrawlRow, Share

_TYPES: dict[str, type | tuple[type, ...]] = {
    "text": str,
    "yes-no": bool,
    "date": date,
    "list": list,
    "modalities": list,
}
_OTHER_SOURCES = (("2.1", "used"), ("2.2.1", "used"), ("2.2.2", "used"), ("2.4", "used"), ("2.4", "services"),
                  ("2.5", "used"), ("2.6", "used"))  # fmt: skip
_TEXT = ("text/", "application/xhtml", "application/xml", "application/json", "application/ld+json", "application/pdf",
         "application/epub", "application/rss", "application/atom")  # fmt: skip
_SIZES = ("size", "types")


@dataclass(frozen=True, slots=True)
class CollectedData:
    """What the log has of crawls for training: pages that are still kept, by domain and media type."""

    runs: Sequence[CrawlRow]
    rules: Policy
    domains: Sequence[Share]
    types: Sequence[Share]
    period: tuple[datetime, datetime] | None
    removed: int
    """Pages that were removed."""
    filtered: int
    """Runs of ``forbear filter`` over data that others collected."""
    lists: int
    """Imported publications of infringing sites."""


def inputs(text: str) -> dict[str, Any]:
    """Reads the provider's attestations: a table for each section of the template, by number. Raises BadInputs.

    ``[provider] sme = true`` is the rule for small and medium-sized enterprises; ``[sizes.text]`` has ``size``, in the
    template's words or other ones, and ``types``.
    """
    template = shipped("summary_template.toml")
    known: dict[str, dict[str, type | tuple[type, ...]]] = {
        "provider": {"sme": bool},
        "sizes.*": dict.fromkeys(_SIZES, str),
    }
    for section in template["sections"]:
        known[section["id"]] = {one["key"]: _TYPES[one["kind"]] for one in section["fields"] if one["kind"] != "table"}
    content = read(text, known)
    words = template["modalities"]
    for name in content.get("sizes", {}):
        if name not in words:
            raise BadInputs(f"[sizes.{name}]: choose among {', '.join(words)}")
    for section in template["sections"]:
        for one in section["fields"]:
            chosen = content.get(section["id"], {}).get(one["key"], [])
            if one["kind"] == "modalities" and not set(chosen) <= set(words):
                raise BadInputs(f'["{section["id"]}"] {one["key"]}: choose among {", ".join(words)}')
    return content


def document(known: CollectedData, inputs: Mapping[str, Any], at: datetime) -> Document:
    """Makes the summary, with every section and field of the template: filled in, not applicable, or open."""
    template = shipped("summary_template.toml")
    filled = _from_log(known, inputs, at, template)
    made = [(one.get("part", ""), _section(one, known, inputs, filled, template)) for one in template["sections"]]
    sections: list[Section] = []
    for part, inner in groupby(made, key=lambda pair: pair[0]):
        some = tuple(section for _, section in inner)
        sections += [Section(part, sections=some)] if part else some
    about = (("Template", template["source"]), ("Field list", template["read"]))
    title = "Public summary of training content"
    return Document("summary", title, at.isoformat(timespec="seconds"), about, tuple(sections))


def _section(
    section: Mapping[str, Any],
    known: CollectedData,
    inputs: Mapping[str, Any],
    filled: Mapping[tuple[str, str], tuple[Text, str]],
    template: Mapping[str, Any],
) -> Section:
    name, own = section["id"], inputs.get(section["id"], {})
    answers: dict[str, Text] = {}
    blocks: list[Block] = []
    for one in section["fields"]:
        key = (name, one["key"])
        value, source = _answer(one, own, filled.get(key), answers, f'["{name}"] {one["key"]}')
        answers[one["key"]] = value
        blocks.append(Field(".".join(key), one["label"], value, source))
        if key == ("1.3", "sizes"):
            blocks.append(_sizes(known, inputs, template))
        elif key == ("2.3", "domains") and known.domains:
            names = tuple((domain,) for domain in top_domains(known.domains, sme=_is_small(inputs)))
            blocks.append(Table(("domain",), names, "Domain names, the largest content first"))
    number = "" if name == "0" else f"{name} "
    above = f" (in {section['above']})" if "above" in section else ""
    return Section(f"{number}{section['title']}{above}", tuple(blocks))


def _answer(
    one: Mapping[str, Any],
    own: Mapping[str, Any],
    filled: tuple[Text, str] | None,
    answers: Mapping[str, Text],
    ask: str,
) -> tuple[Text, str]:
    """Returns the text of a field, and what it rests on."""
    on = answers.get(one.get("when", ""))
    if on == "no":
        return "not applicable", "answered no above"
    attested = _in_words(own[one["key"]]) if one["key"] in own else ""
    if filled is not None and attested and attested != filled[0]:
        return f"{attested}\nThe log: {_plain(filled[0])}", f"attested by the provider; {filled[1]}"
    if attested:
        return attested, "attested by the provider"
    if filled is not None:
        return filled
    if one.get("optional"):
        return "none", "optional"
    if isinstance(on, Open):
        return "depends on the answer above", ""
    return Open(f"{one['label']} ({ask})"), ""


def _in_words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value).strip()


def _plain(text: Text) -> str:
    return "not known" if isinstance(text, Open) else text


def _is_small(inputs: Mapping[str, Any]) -> bool:
    return inputs.get("provider", {}).get("sme") is True


def top_domains(domains: Sequence[Share], *, sme: bool) -> list[str]:
    """Returns the domain names that section 2.3 asks for, largest first.

    The top 10 % by size of the content; of small and medium-sized enterprises the top 5 % or 1,000, whichever is less.
    A part of a domain counts as a whole one.
    """
    ordered = sorted(domains, key=lambda share: (-share.octets, share.name))
    count = math.ceil(len(ordered) * (5 if sme else 10) / 100)
    return [share.name for share in ordered[: min(count, 1000) if sme else count]]


def modality(media_type: str) -> str:
    """Returns the template's word for a media type."""
    kind = media_type.partition("/")[0]
    if kind in ("image", "audio", "video"):
        return kind
    return "text" if media_type.startswith(_TEXT) else "other"


def _from_log(
    known: CollectedData, inputs: Mapping[str, Any], at: datetime, template: Mapping[str, Any]
) -> dict[tuple[str, str], tuple[Text, str]]:
    """Returns what the log fills in, by section and field, each with what it rests on."""
    found: dict[tuple[str, str], tuple[Text, str]] = {
        ("0", "last_update"): (at.date().isoformat(), "the day on which this was made"),
        ("1.3", "sizes"): ("see the table", ""),
        ("3.1", "measures"): (_measures(known), "policy.toml and the log"),
    }
    if known.period is None:
        return found
    first, last = known.period
    modalities = sorted({modality(share.name) for share in known.types}, key=template["modalities"].index)
    shares, count = sum(share.pages for share in known.types), len(known.domains)
    if _only_crawled(inputs):
        found["1.3", "latest"] = (f"{last:%m/%Y}", "table pages; no other source was used")
    small = _is_small(inputs)
    rule = "top 5 % or 1,000, whichever is less (SME)" if small else "top 10 %"
    listed = len(top_domains(known.domains, sme=small))
    found |= {
        ("2.3", "used"): ("yes", "table crawls"),
        ("2.3", "names"): ("\n".join(dict.fromkeys(run.user_agent for run in known.runs)), "table crawls"),
        ("2.3", "purposes"): (_purposes(known), "table crawls"),
        ("2.3", "behaviour"): (_behaviour(known), "settings of the crawls"),
        ("2.3", "period"): (f"{first:%m/%Y} to {last:%m/%Y}", "table pages"),
        ("2.3", "modalities"): ("\n".join(modalities), f"media types of {shares:,} pages"),
        ("2.3", "domains"): (
            f"{listed:,} of {count:,} domain names: the {rule}, by size of the content kept",
            "tables pages and decisions; pages that were taken out again do not count",
        ),
    }
    return found


def _only_crawled(inputs: Mapping[str, Any]) -> bool:
    """Returns whether the provider attests that crawling was the only source, so that the log has everything."""
    return all(inputs.get(section, {}).get(key) is False for section, key in _OTHER_SOURCES)


def _sizes(known: CollectedData, inputs: Mapping[str, Any], template: Mapping[str, Any]) -> Table:
    pages: Counter[str] = Counter()
    octets: Counter[str] = Counter()
    for share in known.types:
        pages[modality(share.name)] += share.pages
        octets[modality(share.name)] += share.octets
    whole, rows = _only_crawled(inputs), []
    for name in template["modalities"]:
        own = inputs.get("sizes", {}).get(name, {})
        crawled = f"{number_of(pages[name], 'file')}, {octets[name]:,} bytes" if pages[name] else "none"
        size: Text = own.get("size") or Open(f"size ([sizes.{name}] size)")
        kinds: Text = own.get("types") or Open(f"types of content ([sizes.{name}] types)")
        if whole and "size" not in own:
            size = _band(name, pages[name], octets[name], template) or size
        if whole and not pages[name]:
            size, kinds = own.get("size", "none"), own.get("types", "none")
        rows.append((name, size, kinds, crawled))
    columns = ("modality", "training data size", "types of content", "of it crawled, by the log")
    return Table(columns, tuple(rows), "Modalities and sizes")


def _band(name: str, pages: int, octets: int, template: Mapping[str, Any]) -> str:
    """Returns the template's band if the log is sure of it, else nothing.

    Each token has at least one byte, so less than a billion bytes are less than a billion tokens; a file of an image
    is an image. The log does not have hours of sound or video.
    """
    if name == "text" and octets < 10**9:
        return str(template["bands"]["text"][0])
    if name == "image":
        return str(template["bands"]["image"][0 if pages < 10**6 else 1 if pages <= 10**9 else 2])
    return ""


def _purposes(known: CollectedData) -> str:
    uses = ", ".join(sorted({run.use for run in known.runs}))
    return f"Collection of web pages for {uses} (in the words of the IETF AIPREF vocabulary)."


def _behaviour(known: CollectedData) -> str:
    agents = ", ".join(sorted({run.agent for run in known.runs}))
    profiles = ", ".join(sorted({run.profile for run in known.runs}))
    delays = [float(run.configuration["delay"]) for run in known.runs if "delay" in run.configuration]
    wait, least = "", min(delays, default=0.0)
    if least:
        wait = f"At least {least:g} s pass between two requests to one host, longer where it asks for it. "
    elif delays:
        wait = "Between two requests to one host, as much time passes as it asks for. "
    return (
        f"Before each page, robots.txt is read and followed by RFC 9309 as product token {agents}, and a page is "
        f"fetched only if nothing reserves it; before a copy is kept, the answer is looked at (profile {profiles}). "
        "Pages behind a login, a paywall, a challenge or a captcha, or answered with 401, 402, 403, 407 or 451, are "
        f"left alone; no captcha is solved and no access measure circumvented. {wait}What cannot be read is not kept."
    )


def _measures(known: CollectedData) -> str:
    honoured = (
        f"- {entry.title} ({entry.specification}, {entry.version})"
        for entry in known.rules.protocols.values()
        if entry.measure.startswith("1.3(1)")
    )
    lines = [
        "Reservations are read before and during collection, and each decision is kept with the words that decided.",
        "Any standing reservation excludes the page.",
    ]
    if known.removed:
        lines.append(f"Taken out again, after later looks found them reserved: {number_of(known.removed, 'page')}.")
    if known.lists:
        lines.append(f"In use: {number_of(known.lists, 'list')} of infringing sites, which are asked for nothing.")
    if known.filtered:
        runs = number_of(known.filtered, "run")
        lines.append(f"Data sets of others were put to the same decisions: {runs} of forbear filter.")
    return "\n".join([*lines, "Honoured:", *honoured])
