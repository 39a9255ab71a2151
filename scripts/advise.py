"""``forbear check --advise``: shows owners how crawlers understand their site, and how to correct what they wrote."""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import asdict, dataclass
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click
from rich.console import Console

from forbear.crawler.engine.folder import published
from forbear.crawler.engine.live import Live, survey
from forbear.crawler.limits.advice import advise_later
from forbear.crawler.limits.bounded import BoundedReader
from forbear.crawler.limits.workers import TooCostly, WorkerPool
from forbear.optout import policy
from forbear.optout.advice import RULES, UNDERSTOOD, Finding, Level, Placement, advise, is_unread
from forbear.optout.model import Question
from forbear.optout.readers import url as urls
from forbear.scripts import show

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forbear.optout.model import Capture

HEADINGS = {
    Level.ERROR: "Not understood by any crawler",
    Level.WARNING: "Read differently, or not at all, by some crawlers",
    Level.NOTE: "Good to know",
}

_LINE = re.compile(r"line (\d+)")


@dataclass(frozen=True, slots=True)
class Advice:
    """The findings about a URL or folder; ``files`` names the file of a source, ``lines`` counts its lines."""

    target: str
    findings: tuple[Finding, ...]
    files: dict[str, str]
    lines: dict[str, int]

    def name(self, source: str) -> str:
        """Returns the file of a source, or the source itself, which is a URL."""
        return self.files.get(source, source)


class OutputFormat(Enum):
    """The format of the output."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


def advise_all(targets: tuple[str, ...], address: str | None, agent: str, live: Live, form: OutputFormat) -> int:
    """Prints the findings about each URL or folder, and returns the exit code. Raises NotAUrl, OSError, UsageError."""
    folders = {target: Path(target) for target in targets if Path(target).is_dir()}
    for target in targets:
        if target in folders and not address:
            raise click.UsageError(f"{target} is a folder. Add --as URL, where its files will be published.")
        urls.parse(address if target in folders and address else target)
    read = {target: of_folder(folder, address, agent) for target, folder in folders.items() if address}
    with WorkerPool() as pool:
        return asyncio.run(_print_all(targets, read, agent, live, BoundedReader(pool), form))


async def _print_all(
    targets: tuple[str, ...], read: dict[str, Advice], agent: str, live: Live, reader: BoundedReader, form: OutputFormat
) -> int:
    all_advice: list[Advice] = []
    async with live:
        for target in targets:
            if target in read:
                advice = read[target]
            else:
                with Console(stderr=True).status(f"asking {urls.parse(target).host} …"):
                    advice = await of_site(Question(target, agent), live, reader)
            all_advice.append(advice)
            if form is OutputFormat.JSON:
                click.echo(show.json_line(as_json(advice)), nl=False)
            elif form is OutputFormat.TEXT:
                print_text(advice)
    if form is OutputFormat.SARIF:
        click.echo(show.json_line(as_sarif(all_advice, version("forbear"))), nl=False)
    return exit_code(all_advice)


async def of_site(question: Question, live: Live, reader: BoundedReader) -> Advice:
    """Advises on a site as it is now. Raises NotAUrl, and UsageError if advising on it takes too much."""
    rules = policy.load()
    seen = await survey(question, rules, live, reader)
    try:
        findings = await advise_later(question, seen, rules, reader)
    except TooCostly as error:
        raise click.UsageError(
            f"There is no advice on {question.url}: {error}. Use `forbear check` without --advise."
        ) from None
    return Advice(question.url, findings, {}, _lines(seen))


def of_folder(folder: Path, address: str, agent: str) -> Advice:
    """Advises on files before they are published, page by page. Raises OSError, NotAUrl, and UsageError without any."""
    site = published(folder, address)
    if not site.captures:
        raise click.UsageError(f"{folder} has no HTML, text, JSON or XML file. Name the folder that will be published.")
    shared = tuple(capture for capture in site.captures if capture not in site.pages)
    findings: dict[tuple[str, ...], Finding] = {}
    for page in site.pages or (None,):
        question = Question(page.url if page else address, agent)
        for found in advise(question, (*shared, page) if page else shared, policy.load(), complete=True):
            findings.setdefault((found.rule, found.source, found.where, found.quote), found)
    order = {Level.ERROR: 1, Level.WARNING: 2, Level.NOTE: 3}  # across all pages
    ordered = sorted(findings.values(), key=lambda one: 0 if one.rule == UNDERSTOOD else order[one.level])
    return Advice(str(folder), tuple(ordered), site.files, _lines(site.captures))


def _lines(captures: Iterable[Capture]) -> dict[str, int]:
    return {capture.url: max(1, len(capture.body.splitlines())) for capture in captures}


def exit_code(all_advice: Iterable[Advice]) -> int:
    """Returns 0 if crawlers understand everything, 1 if they do not, 3 if something could not be read."""
    problems = [found for advice in all_advice for found in advice.findings if found.level is not Level.NOTE]
    return 1 if any(not is_unread(found) for found in problems) else 3 if problems else 0


def as_json(advice: Advice) -> dict[str, Any]:
    """Returns one target as a JSON object; a finding has ``file`` only if its source is a file."""
    findings = [
        {**asdict(found), **({"file": advice.files[found.source]} if found.source in advice.files else {})}
        for found in advice.findings
    ]
    return {"target": advice.target, "exit_code": exit_code([advice]), "findings": findings}


def print_text(advice: Advice) -> None:
    """Prints one target for people: what is understood, then what is not, each correction once."""
    show.line(advice.target)
    groups = [("Understood", [f for f in advice.findings if f.rule == UNDERSTOOD])]
    groups += [
        (heading, [f for f in advice.findings if f.level is level and f.rule != UNDERSTOOD])
        for level, heading in HEADINGS.items()
    ]
    printed: set[tuple[str, str]] = set()
    for heading, findings in groups:
        if findings:
            show.line("")
            show.line(heading)
        for found in findings:
            show.line("")
            show.line(f"  {found.message}")
            if found.quote:
                show.line(f"    you wrote: {shorten(found.quote, 240, placeholder=' …')}")
            show.line(f"    where: {advice.name(found.source)}, {found.where}")
            rule = found.rule if found.section == "-" else f"{found.rule}, {found.section}"
            if found.rule != UNDERSTOOD:
                show.line(f"    rule: {rule}")
            _print_fix(found, printed)
    show.line("")
    counts = {level: sum(f.level is level for f in advice.findings) for level in (Level.ERROR, Level.WARNING)}
    errors, warnings = show.count(counts[Level.ERROR], "error"), show.count(counts[Level.WARNING], "warning")
    show.line(f"{advice.target}: {errors}, {warnings}.")


def _print_fix(found: Finding, printed: set[tuple[str, str]]) -> None:
    if found.fix is None:
        return
    if (found.source, found.fix.text) in printed:
        show.line("    correction: see above")
        return
    printed.add((found.source, found.fix.text))
    where = f" ({found.fix.where})" if found.fix.where else ""
    show.line(f"    correction, {found.fix.goes}{where}:")
    for line in found.fix.text.splitlines():
        show.line(f"      {line}")


# --- SARIF 2.1.0 (OASIS, 27 March 2020)


def as_sarif(all_advice: list[Advice], engine: str) -> dict[str, Any]:
    """Returns one log with one run (3.13, 3.14). What is understood is left out: a result calls for action."""
    results = [_result(advice, found) for advice in all_advice for found in advice.findings if found.rule != UNDERSTOOD]
    rules = [
        {
            "id": rule.id,
            "shortDescription": {"text": rule.title},
            "fullDescription": {"text": f"{rule.title} {rule.look.__doc__ or ''}".strip()},
            "help": {"text": f"{rule.title} Specification: {rule.section}."},
            "defaultConfiguration": {"level": str(rule.level)},
            "properties": {"section": rule.section},
        }
        for rule in RULES
    ]
    driver = {"name": "Forbear", "version": engine, "rules": rules}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}


_INDEX = {rule.id: number for number, rule in enumerate(RULES)}


def _result(advice: Advice, found: Finding) -> dict[str, Any]:
    text = found.message
    if found.fix:
        text += f"\nCorrection, {found.fix.goes}:\n{found.fix.text}"
    artifact = {"uri": _uri(advice, found.source)}
    region: dict[str, Any] = {"startLine": _line(found.where)}
    if found.quote:
        region["snippet"] = {"text": found.quote}
    words = "\0".join((found.rule, advice.name(found.source), found.quote))
    result: dict[str, Any] = {
        "ruleId": found.rule,
        "ruleIndex": _INDEX[found.rule],
        "level": str(found.level),
        "message": {"text": text},
        "locations": [{"physicalLocation": {"artifactLocation": artifact, "region": region}}],
        "partialFingerprints": {"words/v1": hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()},
    }
    if found.fix and found.fix.goes in (Placement.FILE, Placement.LINE):
        line = _line(found.fix.where or found.where)
        deleted = {"startLine": line, "endLine": line}
        if found.fix.goes is Placement.FILE:
            deleted = {"startLine": 1, "endLine": advice.lines[found.source]}
        replacement = {"deletedRegion": deleted, "insertedContent": {"text": found.fix.text.removesuffix("\n")}}
        change = {"artifactLocation": artifact, "replacements": [replacement]}
        result["fixes"] = [{"description": {"text": found.message}, "artifactChanges": [change]}]
    return result


def _line(where: str) -> int:
    match = _LINE.match(where)
    return int(match[1]) if match else 1


def _uri(advice: Advice, source: str) -> str:
    """Returns a path relative to the working directory, as code scanning expects; a URL stays as it is."""
    if source not in advice.files:
        return source
    path = Path(advice.target, advice.files[source])
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
