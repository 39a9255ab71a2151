"""Rules for answers and pages: response headers, meta elements, and places that contradict each other."""

from __future__ import annotations

import re
from collections.abc import Iterator

from forbear.optout.advice.finding import TDMREP_JSON, Fix, Level, Placement, Remark, Site, rule
from forbear.optout.advice.robots import usage_faults, usage_mended
from forbear.optout.captures import redirect
from forbear.optout.model import Capture, Preference, Profile, StatementStatus
from forbear.optout.protocols import PROTOCOLS, robots
from forbear.optout.readers import html, representation, robots_txt
from forbear.optout.readers.markup import tags
from forbear.optout.readers.pattern import Target
from forbear.optout.readers.text import quoted, readable

META = '<meta name="robots" content="noai, noimageai">'
TDM_META = '<meta name="tdm-reservation" content="1">'
_HEADERS = {"tdm-reservation": "tdm-reservation: 1", "content-usage": "Content-Usage: train-ai=n"}
_REFUSAL = re.compile(r"denied|blocked|forbidden|no-?bots", re.IGNORECASE)
_NO_WISH = ("0", "false", "no", "n", "off")


def _places(site: Site) -> Iterator[tuple[str, Capture]]:
    """Yields the well-known files that exist, with their paths."""
    for path in dict.fromkeys(path for protocol in PROTOCOLS for path in protocol.PLACES if path.startswith("/")):
        capture = site.file(path)
        if capture is not None:
            yield path, capture


@rule("place/web-page", Level.WARNING, "RFC 9309 2.3.1.5; RFC 8615", "A well-known place holds its file, or nothing.")
def web_page(site: Site) -> Iterator[Remark]:
    """Finds a site that answers every path with its front page."""
    for path, capture in _places(site):
        start = capture.body.lstrip()[:200]
        if start.startswith(b"<"):
            message = f"A web page answers where crawlers look for {path}: serve the file there, or answer 404."
            quote = readable(start.partition(b">")[0] + b">") if b">" in start else readable(start.split()[0])
            yield Remark(message, quote, capture.url, "line 1")


@rule("place/shut", Level.WARNING, "RFC 9309 2.2.2", "robots.txt lets crawlers read where rights are reserved.")
def shut(site: Site) -> Iterator[Remark]:
    """Finds ``Disallow: /.well-known/``, which hides tdmrep.json from crawlers that obey."""
    capture = site.file(robots.PLACES[0])
    if capture is None:
        return
    file = robots_txt.parse(capture)
    rules = file.rules_for(site.question.agent)
    page = rules.matching(Target(site.url.target))
    if page and not page[0].allows:
        return
    for path in dict.fromkeys(path for protocol in PROTOCOLS for path in protocol.PLACES if path.startswith("/")):
        found = rules.matching(Target(path))
        if path != robots.PLACES[0] and found and not found[0].allows and not site.is_absent(path):
            line = found[0].line
            message = f"It keeps obedient crawlers from reading {path}, where your reservation would be."
            fix = Fix(f"{file.quote(line)}\nAllow: {path}$", Placement.LINE)
            yield Remark(message, file.quote(line), file.source, file.where(line), fix)


@rule("place/not-read", Level.WARNING, "RFC 9309 2.3.1.4", "Every place that can hold a reservation can be read.")
def not_read(site: Site) -> Iterator[Remark]:
    """Finds an error, a refusal, a redirect that leads nowhere."""
    for gap in site.gaps:
        failed = Profile.STANDARD in gap.defers or gap.where in ("status", "connection", "header location")
        # Other rules report a licence that is named but missing, and a place that robots.txt shuts.
        if failed and gap.quote not in ("404", "410") and not gap.where.startswith("line "):
            message = f"{gap.detail} Its content is not known, and was not judged."
            yield Remark(message, gap.quote, gap.source, gap.where)


@rule("place/elsewhere", Level.WARNING, "RFC 9309 2.3; RFC 8615; TDMRep 6.1", "A well-known file is in its place.")
def elsewhere(site: Site) -> Iterator[Remark]:
    """Finds ``/tdmrep.json``, ``/.well-known/ai.txt``, ``/docs/robots.txt``: files where nobody looks."""
    places = dict.fromkeys(path for protocol in PROTOCOLS for path in protocol.PLACES if path.startswith("/"))
    names = {path.rpartition("/")[2]: path for path in reversed(places)}
    for capture in site.looked_at:
        path = capture.url.removeprefix(site.url.origin)
        name = path.rpartition("/")[2]
        if name in names and path not in places and capture.status == 200:
            message = f"Crawlers look for {name} at {site.url.origin}{names[name]}, and nowhere else."
            yield Remark(message, readable(capture.body.strip().partition(b"\n")[0][:120]), capture.url, "whole file")


@rule("place/header", Level.WARNING, "TDMRep 6.2; attach-05 2", "A header about a page is sent with that page.")
def header(site: Site) -> Iterator[Remark]:
    """Finds a reservation in the header of robots.txt, which is about robots.txt alone."""
    if site.page is None or site.reserving():
        return
    for path, capture in _places(site):
        for name, value in ((name, quoted(value)) for name, value in capture.headers):
            speaks = name.lower() in _HEADERS or (name.lower() == "x-robots-tag" and "noai" in value.lower())
            if speaks and not site.page.header(name.lower()):
                message = f"The header is about {path} alone, which carries it; the page is sent without it."
                yield Remark(
                    message, value, capture.url, f"header {name.lower()}", Fix(f"{name}: {value}", Placement.HEADER)
                )


@rule("page/denied-by-redirect", Level.WARNING, "RFC 9110 15.5.4", "A refusal has the status of a refusal.")
def denied_by_redirect(site: Site) -> Iterator[Remark]:
    """Finds a redirect to a page of refusal: a crawler that follows it sees a page like any other."""
    capture = site.captures.get(site.url.href)
    target = redirect(capture) if capture else None
    if capture and target and _REFUSAL.search(target.path):
        message = "The redirect leads to a page like any other: answer 403, which every crawler takes for a no."
        yield Remark(message, quoted(capture.header("location")[0]), capture.url, "header location")


@rule("page/images-only", Level.WARNING, "DeviantArt, 11 November 2022", "noimageai on a page leaves its text open.")
def images_only(site: Site) -> Iterator[Remark]:
    """Finds ``noimageai`` without ``noai`` on a page that nothing else reserves."""
    for statement in site.statements:
        if statement.protocol == "robots-meta" and not statement.uses and not site.reserving():
            message = "noimageai speaks about images: the text of this page stays open. noai is for text."
            in_header = statement.where.startswith("header")
            fix = Fix("X-Robots-Tag: noai, noimageai", Placement.HEADER) if in_header else Fix(META, Placement.HEAD)
            yield Remark(message, statement.quote, statement.source, statement.where, fix)


@rule(
    "page/value",
    Level.ERROR,
    "TDMRep 5.1; DeviantArt, 11 November 2022",
    "The values in headers and meta elements are known.",
)
def page_value(site: Site) -> Iterator[Remark]:
    """Finds ``tdm-reservation: true``, ``noml``."""
    for statement in site.missed():
        known = statement.protocol in ("tdmrep", "robots-meta")
        if site.page is None or statement.source != site.page.url or not known:
            continue
        in_header = statement.where.startswith("header")
        if statement.protocol == "tdmrep":
            message = "The value is 1 (reserved) or 0 (not); any other counts as not written."
            text = _HEADERS["tdm-reservation"] if in_header else TDM_META
            fix: Fix | None = Fix(text, Placement.HEADER if in_header else Placement.HEAD)
            if any(f"={quote}{word}{quote}" in statement.quote.lower() for word in _NO_WISH for quote in ("'", '"')):
                fix = None
        else:
            message = "No crawler knows this word; the known ones are noai and noimageai."
            text = "X-Robots-Tag: noai, noimageai" if in_header else META
            fix = Fix(text, Placement.HEADER if in_header else Placement.HEAD)
        yield Remark(message, statement.quote, statement.source, statement.where, fix)


@rule(
    "aipref/header",
    Level.ERROR,
    "attach-05 2; RFC 9651 3.2; vocab-08 4",
    "The header is Content-Usage: train-ai=n or =y.",
)
def usage_header(site: Site) -> Iterator[Remark]:
    """Finds a Content-Usage field that fails to parse, or has words that the vocabulary does not know."""
    if site.page is None:
        return
    broken = {statement.quote: statement.note for statement in site.missed("aipref")}
    for value in map(quoted, site.page.header("content-usage")):
        faults = [*usage_faults(value)] or [broken[quote] for quote in (value,) if quote in broken]
        if faults:
            fix = Fix(f"Content-Usage: {usage_mended(value)}", Placement.HEADER)
            yield Remark(" ".join(faults), value, site.page.url, "header content-usage", fix)


@rule(
    "page/not-meta-name",
    Level.ERROR,
    "HTML 4.2.5; TDMRep 6.3; attach-05 1.3",
    "Words in a page are meta elements with a name.",
)
def not_meta_name(site: Site) -> Iterator[Remark]:
    """Finds ``property=`` in place of ``name=``, ``http-equiv``, a header's name as a meta element."""
    page = site.page
    if page is None or not html.is_html(page):
        return
    source = representation.of(page).source
    for tag in tags(source):
        if tag.name != b"meta" or tag.is_end or tag.inert:
            continue
        attributes = tag.attribute()
        name = next((attributes[key].strip().lower() for key in ("property", "http-equiv") if key in attributes), "")
        where = f"line {source.count(bytes([10]), 0, tag.start) + 1}"
        quote = readable(source[tag.start : tag.end])
        if "content-usage" in (name, attributes.get("name", "").strip().lower()) and not page.header("content-usage"):
            fix = Fix(f"Content-Usage: {usage_mended(attributes.get('content', ''))}", Placement.HEADER)
            yield Remark("Content-Usage is a response header; in a page nobody reads it.", quote, page.url, where, fix)
        elif name == "tdm-reservation" and "name" not in attributes:
            fix = Fix(f'<meta name="tdm-reservation" content="{attributes.get("content", "1")}">', Placement.HEAD)
            yield Remark("The attribute is name: in this form nobody reads it.", quote, page.url, where, fix)
        elif (
            name in ("robots", "x-robots-tag")
            and "noai" in attributes.get("content", "").lower()
            and "name" not in attributes
        ):
            fix = Fix(META, Placement.HEAD)
            yield Remark(
                "The attribute is name, and its value robots: so nobody reads it.", quote, page.url, where, fix
            )


@rule("site/contradiction", Level.WARNING, "TDMRep 6.7", "All places of a site say the same about training.")
def contradiction(site: Site) -> Iterator[Remark]:
    """Finds a 1 in the file beside a 0 in the header, a no in trust.txt beside a licence for all."""
    for statement in site.statements:
        in_file = statement.source.endswith(TDMREP_JSON)  # where the order of rules decides: tdmrep/unreachable-rule
        overruled = in_file and any(
            s.source == statement.source and s.force is StatementStatus.STANDING for s in site.statements
        )
        if statement.force is StatementStatus.CONTRADICTED and not overruled:
            message = f"Other words of {statement.protocol} say the contrary, and win by its rules."
            yield Remark(message, statement.quote, statement.source, statement.where)
    no, yes = site.reserving(), site.allowing()
    for statement in yes[:1] if no else ():
        against = next((s for s in no if s.preference is Preference.DISALLOW), no[0])
        message = (
            f"It allows what {against.protocol} reserves ({against.quote!r} in {against.source}): careful crawlers obey"
            " the no, others may cite the yes."
        )
        yield Remark(message, statement.quote, statement.source, statement.where)
