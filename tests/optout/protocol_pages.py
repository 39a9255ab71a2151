"""``make pages``: writes what the documents say of each protocol, from its module, its vectors and policy.toml.

A generated part of a page lies between ``<!-- begin NAME: make pages -->`` and ``<!-- end NAME -->``; the rest of the
page is written by hand. tests/optout/test_each_protocol.py compares the pages with what this module would write.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from forbear.optout import case, policy
from forbear.optout.captures import Captures, redirect
from forbear.optout.decide import UNREACHABLE, decide
from forbear.optout.model import Capture, Decision, Gap, Preference, Profile, Reason, Stage, Statement, StatementStatus
from forbear.optout.protocols import PROTOCOLS
from forbear.optout.readers import representation
from forbear.optout.readers.text import readable

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests" / "vectors"
NO_DOCSTRING = {UNREACHABLE: "Reads places that may hold a reservation and could not be read.\n\nSuch a place defers."}
"""What is written of a name in policy.toml that has no module."""
LISTS = {"operator:list": "the operator's list", "operator:infringing-list": "the list of infringing sites"}
MAX_EXAMPLE_LINES = 12


@dataclass(frozen=True, slots=True)
class Vector:
    """A conformance vector with what Forbear decides."""

    id: str
    file: str
    captures: Captures
    decision: Decision

    def items(self, name: str) -> Iterator[Statement | Reason]:
        """Yields what a protocol said against the use, and the reasons that bear its name."""
        yield from (one for one in self.decision.statements if one.protocol == name and _is_reservation(one))
        yield from (one for one in self.decision.reasons if one.protocol == name)


def _is_reservation(statement: Statement) -> bool:
    return statement.preference is Preference.DISALLOW and statement.force is not StatementStatus.SUPERSEDED


@cache
def vectors() -> tuple[Vector, ...]:
    """Returns all vectors, decided."""
    return tuple(_vectors())


def _vectors() -> Iterator[Vector]:
    for path in sorted(VECTORS.glob("*.jsonl")):
        for line in filter(None, path.read_text(encoding="utf-8").split("\n")):
            vector: dict[str, Any] = json.loads(line)
            name, question, captures = case.from_json(vector)
            decision = decide(question, captures, policy.load())
            assert isinstance(decision, Decision)
            yield Vector(name, path.stem, captures, decision)


def docstring(name: str) -> tuple[str, str]:
    """Returns the first line (what the protocol reads) and the second paragraph (what counts) of its module."""
    modules = {protocol.NAME: protocol.__doc__ or "" for protocol in PROTOCOLS}
    paragraphs = (modules.get(name) or NO_DOCSTRING[name]).replace("``", "`").split("\n\n")
    reads, counts = (" ".join(paragraph.split()) for paragraph in (*paragraphs, "")[:2])
    if not (reads.startswith("Reads ") and reads.endswith(".") and counts):
        raise SystemExit(
            f"The module of {name} in optout/protocols/ needs a docstring: a first line like "
            '"Reads robots.txt: the rules for the crawler\'s token.", and a paragraph on what counts.'
        )
    return reads.removeprefix("Reads ").removesuffix("."), counts


def specification(entry: policy.ProtocolPolicy) -> str:
    """Returns the specifications, each with its version: ``RFC 9309, September 2022``."""
    names, versions = entry.specification.split("; "), entry.version.split("; ")
    if len(names) != len(versions):
        names, versions = [entry.specification], [entry.version]
    numbered = re.compile(r"\d+(\.\d+)+\b")
    return "; ".join(
        f"{name}{' ' if numbered.match(version) else ', '}{version}"
        for name, version in zip_longest(names, versions, fillvalue="")
    )


# --- the parts of the pages


def overview() -> Iterator[str]:
    """Yields the table of docs/reference/protocols.md."""
    yield "| protocol | what it reads | specification | measure |"
    yield "| --- | --- | --- | --- |"
    for name, entry in policy.load().protocols.items():
        yield f"| `{name}` | {docstring(name)[0]} | {specification(entry)} | {entry.measure} |"


def places() -> Iterator[str]:
    """Yields the table of the places in which the vectors have a reservation, by the stage that decides."""
    yield "| protocol | before the page is requested | before the page is kept |"
    yield "| --- | --- | --- |"
    for name in policy.load().protocols:
        found = [place for vector in vectors() for item in vector.items(name) for place in _place(vector, item)]
        cells = (sorted({label for stage, label in found if stage is wanted}) for wanted in Stage)
        yield f"| `{name}` | {' | '.join(', '.join(labels) for labels in cells)} |"


def _place(vector: Vector, item: Statement | Reason) -> Iterator[tuple[Stage, str]]:
    path = urlsplit(item.source).path
    if item.source in LISTS:
        yield Stage.REQUEST, LISTS[item.source]
    elif path in {place for protocol in PROTOCOLS for place in protocol.PLACES}:
        yield Stage.REQUEST, f"`{path}`"
    elif item.source == vector.decision.url:
        is_named = item.where.startswith("header ")
        yield (
            Stage.PAGE,
            f"header `{item.where.split()[1]}`" if is_named else "status" if item.where == "status" else "content",
        )
    elif not any(redirect(capture) for capture in vector.captures):
        yield vector.decision.stage, "a file that the site names"


def sections() -> Iterator[str]:
    """Yields the sections of docs/reference/each-protocol.md."""
    for name, entry in policy.load().protocols.items():
        reads, counts = docstring(name)
        yield f"## `{name}`\n"
        yield _filled(f"**{entry.title}** ({specification(entry)}).")
        yield _filled(f"Forbear reads {reads}. {counts}")
        vector = example(name)
        for label, lines in _shown(vector, next(vector.items(name))):
            yield f"{label}:\n"
            yield from (f"    {line}".rstrip() for line in lines)
            yield ""
        verdicts = ". ".join(f"`{profile}`: {vector.decision.verdicts[profile]}" for profile in Profile)
        yield f"{verdicts}. Vector `{vector.id}`.\n"


def example(name: str) -> Vector:
    """Returns the first vector in which a protocol speaks: of NAME.jsonl, else of any file."""
    speaking = [vector for vector in vectors() if any(vector.items(name))]
    speaking.sort(key=lambda vector: vector.file != name)
    if not speaking:
        raise SystemExit(f"tests/vectors/{name}.jsonl needs a vector whose page is excluded or deferred by {name}.")
    return speaking[0]


def _shown(vector: Vector, item: Statement | Reason | Gap) -> Iterator[tuple[str, list[str]]]:
    """Yields what the site sent and where: whole files if they are short texts, else the quotation."""
    capture = vector.captures.get(item.source)
    assert capture is not None
    is_page = item.source == vector.decision.url
    if item.where == "status":
        yield "Answer", [f"HTTP {capture.status}"]
    elif item.where.startswith("header "):
        name = item.where.removeprefix("header ")
        yield "Response header", [f"{key}: {value}" for key, value in capture.headers if key.lower() == name]
    elif is_page:
        is_text = representation.of(capture).media_type.startswith("text/")
        yield f"In the {'page' if is_text else 'file'} ({item.where})", item.quote.splitlines()
    else:
        for one in vector.captures:
            if one.url == item.source or (one.url.endswith("/robots.txt") and item.source.encode() in one.body):
                yield _label(one), _lines(one)


def _filled(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False) + "\n"


def _label(capture: Capture) -> str:
    return LISTS.get(capture.url, f"`{urlsplit(capture.url).path}`").capitalize()


def _lines(capture: Capture) -> list[str]:
    lines = readable(capture.body).strip("\n").splitlines()
    return lines if len(lines) <= MAX_EXAMPLE_LINES else [*lines[:MAX_EXAMPLE_LINES], "…"]


def files() -> Iterator[str]:
    """Yields the rows of tests/vectors/README.md for the files that are named after a protocol."""
    yield "| file | what |"
    yield "| --- | --- |"
    for name, entry in policy.load().protocols.items():
        if (VECTORS / f"{name}.jsonl").exists():
            yield f"| `{name}` | {entry.title} |"


PARTS = {
    "docs/reference/protocols.md": {"overview": overview},
    "docs/reference/each-protocol.md": {"places": places, "sections": sections},
    "tests/vectors/README.md": {"files": files},
}


def page(path: str) -> str:
    """Returns a page with its generated parts as they should be."""
    text = (ROOT / path).read_text(encoding="utf-8")
    for name, part in PARTS[path].items():
        text = _replaced(text, name, part())
    return text


def _replaced(text: str, name: str, lines: Iterable[str]) -> str:
    begin, end = f"<!-- begin {name}: make pages -->\n", f"<!-- end {name} -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    made = "\n".join(lines).strip("\n")
    return f"{before}{begin}\n{made}\n\n{end}{after}"


def main() -> None:
    """Writes the pages."""
    for path in PARTS:
        (ROOT / path).write_text(page(path), encoding="utf-8")


if __name__ == "__main__":
    main()
