"""Reads lists of infringing sites in the forms that authorities publish: CSV, HTML tables, PDF, plain text."""

from __future__ import annotations

import csv
import io
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib import resources

from lxml import etree, html

from forbear.optout.readers.text import readable, to_utf8

FORMS = ("csv", "html", "pdf", "text")

_NAME = r"[a-z0-9\u00a1-\uffff](?:[a-z0-9\u00a1-\uffff-]{0,61}[a-z0-9\u00a1-\uffff])?"
_IPV4 = r"\d{1,3}(?:\.\d{1,3}){3}"
_IPV6 = r"\[?[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}\]?"
_SITE = re.compile(
    rf"(?:[a-z]+://)?(?P<host>{_IPV4}|(?:{_NAME}\.)+(?:xn--[a-z0-9-]{{1,59}}|[a-z\u00a1-\uffff]{{2,63}})|{_IPV6})"
    r"(?::\d+)?(?P<rest>[/?#]\S*)?\.?",
    re.IGNORECASE,
)
_ISO = re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b")
_DAY_FIRST = re.compile(r"\b(\d{1,2})[./-](\d{1,2})[./-](\d{4})\b")


class BadPublication(ValueError):
    """A publication cannot be read; the message is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A publication as described in publications.toml, whose comments explain the fields."""

    name: str
    title: str
    country: str
    authority: str
    basis: str
    form: str
    whole: bool
    renew: int
    source: str
    seen: str
    domain: tuple[str, ...]
    decided: tuple[str, ...]
    basis_column: tuple[str, ...]
    prose: bool = False
    checked: str = ""


@dataclass(frozen=True, slots=True)
class NamedSite:
    """A site named by a publication: host, the path after it, and the day and legal basis of the decision if given."""

    host: str
    rest: str = ""
    decided: date | None = None
    basis: str = ""


@dataclass(slots=True)
class Publication:
    """The sites that were read, in order, each host once; ``unread`` are the rows in which no name was found."""

    named: dict[str, NamedSite] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)


@cache
def layouts() -> dict[str, Layout]:
    """Returns all known publications, by the name that ``--format`` takes."""
    known = tomllib.loads(
        resources.files("forbear.crawler.lists").joinpath("publications.toml").read_text(encoding="utf-8")
    )
    lists = ("domain", "decided", "basis_column")
    return {
        name: Layout(name=name, **(table | {key: tuple(table[key]) for key in lists})) for name, table in known.items()
    }


def read(content: bytes, layout: Layout, form: str | None = None) -> Publication:
    """Returns the sites that a publication names; ``form`` overrides the layout's own. Raises BadPublication.

    Finding no site is an error: the layout has changed, or it is the wrong file.
    """
    found = Publication()
    for rows in _tables(content, form or layout.form, layout):
        _take(rows, layout, found, only_under_header=(form or layout.form) == "html")
    if not found.named:
        raise BadPublication(f"It has no site where {layout.name} lists them: is this the right file and format?")
    return found


def _tables(content: bytes, form: str, layout: Layout) -> Iterator[list[list[str]]]:
    """Yields the rows of each table; plain text is a table of one column."""
    if form == "pdf":
        yield from _pdf(content, layout)
        return
    text = readable(to_utf8(content))
    if form == "csv":
        delimiter = ";" if text.count(";") > text.count(",") else ","  # there may be a title above the header
        yield [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(row)]
    elif form == "html":
        yield from _html(text)
    else:
        yield [line.split("\t") for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def _html(text: str) -> Iterator[list[list[str]]]:
    try:
        page = html.document_fromstring(text.encode(), parser=html.HTMLParser(encoding="utf-8"))
    except (ValueError, etree.ParserError) as error:
        raise BadPublication(f"It is not HTML: {error}") from None
    for table in page.iter("table"):
        rows = [[" ".join(cell.itertext()) for cell in row.iter("th", "td")] for row in table.iter("tr")]
        yield [row for row in rows if row]


def _pdf(content: bytes, layout: Layout) -> Iterator[list[list[str]]]:
    """Yields its tables as one, under one header; its lines if it has no table."""
    rows: list[list[str]] = []
    lines: list[list[str]] = []
    try:
        import pdfplumber  # noqa: PLC0415 slow to import, and each crawl checks how old the lists are

        with pdfplumber.open(io.BytesIO(content)) as file:
            for page in file.pages:
                for table in [] if layout.prose else page.extract_tables():
                    rows += [[cell or "" for cell in row] for row in table]
                lines += [[line] for line in (page.extract_text() or "").splitlines()]
                page.close()
    except Exception as error:  # noqa: BLE001 pdfminer raises whatever a broken file leads to
        raise BadPublication(f"The PDF cannot be read: {type(error).__name__}") from None
    yield rows or lines


def _take(
    rows: Sequence[Sequence[str]], layout: Layout, found: Publication, *, only_under_header: bool = False
) -> None:
    """Adds the sites in rows; a web page has other tables too, so tables without a known header are skipped."""
    columns: dict[str, int] = {}
    for row in rows:
        heads = {kind: _column(row, getattr(layout, kind)) for kind in ("domain", "decided", "basis_column")}
        if heads["domain"] is not None and not _sites(row[heads["domain"]]):
            columns = {kind: place for kind, place in heads.items() if place is not None}
            continue
        if not columns and only_under_header:
            continue
        if not columns:
            cells, about = list(row), {}
        elif columns["domain"] >= len(row):
            found.unread.append(_line(row))
            continue
        else:
            cells, about = [row[columns["domain"]]], columns
        sites = [site for cell in cells for site in _sites(cell, prose=layout.prose)]
        if not sites and not layout.prose:
            found.unread.append(_line(row))
        decided, basis = _day(_cell(row, about.get("decided"))), " ".join(_cell(row, about.get("basis_column")).split())
        for host, rest in sites:
            found.named.setdefault(host, NamedSite(host, rest, decided, basis))


def _column(row: Sequence[str], words: Sequence[str]) -> int | None:
    """Returns the first cell that starts with one of the words, tried in order."""
    heads = [" ".join(cell.split()).lower() for cell in row]
    return next((place for word in words for place, head in enumerate(heads) if head.startswith(word)), None)


def _cell(row: Sequence[str], place: int | None) -> str:
    return row[place] if place is not None and place < len(row) else ""


def _line(row: Sequence[str]) -> str:
    return " | ".join(" ".join(cell.split()) for cell in row)


def _sites(cell: str, *, prose: bool = False) -> list[tuple[str, str]]:
    """Returns host and path of each name in a cell, including defanged ones (``a[.]example``)."""
    plain = re.sub(r"\[\.\]|\(\.\)|\[dot\]", ".", cell, flags=re.IGNORECASE)
    plain = re.sub(r"\bhxxp", "http", plain, flags=re.IGNORECASE)
    words = re.split(r"[\s,;|<>\"'«»„“”()]+", plain)
    found = []
    for word in words:
        match = _SITE.fullmatch(word.removeprefix("*.").rstrip(":"))
        if match and not (prose and word.endswith(".pdf")):
            host = match["host"].lower().removeprefix("www.").rstrip(".")
            rest = match["rest"] or ""
            host = f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host
            found.append((host, "" if rest == "/" else rest))
    return found


def _day(text: str) -> date | None:
    """Returns the first date in a text, day before month as in all these countries; None without one."""
    if match := _ISO.search(text):
        year, month, day = match.groups()
    elif match := _DAY_FIRST.search(text):
        day, month, year = match.groups()
    else:
        return None
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None
