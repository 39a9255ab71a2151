"""``forbear decide``: cases on standard input, decisions on standard output, one JSON object a line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from forbear.crawler.limits.bounded import BoundedReader
from forbear.crawler.limits.workers import WorkerPool
from forbear.optout import case
from forbear.optout.model import Capture, Decision
from forbear.optout.policy import Policy
from forbear.optout.readers.url import NotAUrl
from forbear.scripts import options, show
from forbear.scripts.options import option


@click.command()
@option(
    "--file",
    "path",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    default="-",
    help="Read the cases from here; - is standard input.",
)
@options.policy
@options.infringing_list
def command(path: str, policy: Path | None, infringing_list: Path | None) -> int:
    """Answer cases without network: what a site said goes in, what follows comes out.

    A case is a JSON object on a line of its own, and so is its decision; the order stays. A line that is no case is
    answered with {"id", "line", "error"}, and makes the exit code 2 in the end.

    \b
    Example:
      echo '{"id": "1", "url": "https://a.example/b", "exchanges": [{"url": "https://a.example/robots.txt",
        "status": 200, "body": "User-agent: *\\nDisallow: /b\\n"}]}' | tr -d '\\n' | forbear decide
    """
    rules, infringing = options.rules(policy), options.infringing(infringing_list)
    broken = False
    with WorkerPool() as pool, click.open_file(path, "rb") as cases:
        reader = BoundedReader(pool)
        for number, line in enumerate(cases, 1):
            if line.strip():
                answer = _answer(line, number, reader, rules, infringing)
                broken |= "error" in answer
                sys.stdout.write(show.json_line(answer))
                sys.stdout.flush()
    return 2 if broken else 0


def _answer(
    line: bytes, number: int, reader: BoundedReader, rules: Policy, infringing: Capture | None
) -> dict[str, Any]:
    """The decision, or the error of a line that is no case."""
    content: Any = None
    try:
        content = json.loads(line, parse_constant=_no_number)
        name, question, captures = case.from_json(content)
        if infringing and not captures.get(infringing.url):
            captures.add(infringing)
        decision = reader.decide(question, captures, rules)
        assert isinstance(decision, Decision), "places are left, though all that is not listed counts as answered"
        return case.to_json(name, question.url, decision, rules)
    except (case.BadCase, NotAUrl) as error:
        sentence = str(error)
    except (ValueError, RecursionError) as error:
        sentence = f"The line is no JSON: {error}"
    given = content.get("id") if isinstance(content, dict) else None
    return {"id": given if isinstance(given, str) else None, "line": number, "error": sentence.rstrip(".") + "."}


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no JSON number")
