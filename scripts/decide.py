"""``forbear decide``: reads cases from standard input, and writes decisions, one JSON object per line."""

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
    help="Read cases from this file; - is standard input.",
)
@options.policy
@options.infringing_list
def command(path: str, policy: Path | None, infringing_list: Path | None) -> int:
    """Decide cases without network access, from what their sites answered.

    Each case is one line of JSON, and so is its decision, in the same order. A malformed line is answered with
    {"id", "line", "error"}, and the exit code is then 2.

    \b
    Example:
      echo '{"id": "1", "url": "https://a.example/b", "exchanges": [{"url": "https://a.example/robots.txt",
        "status": 200, "body": "User-agent: *\\nDisallow: /b\\n"}]}' | tr -d '\\n' | forbear decide
    """
    rules, infringing = options.load_policy(policy), options.load_infringing(infringing_list)
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
    """Returns the decision about a case, or what is wrong with the line."""
    content: Any = None
    try:
        content = json.loads(line, parse_constant=_reject_constant)
        name, question, captures = case.from_json(content)
        if infringing and not captures.get(infringing.url):
            captures.add(infringing)
        decision = reader.decide(question, captures, rules)
        assert isinstance(decision, Decision), "a place is missing, although a case answers every place"
        return case.to_json(name, question.url, decision, rules)
    except (case.BadCase, NotAUrl) as error:
        sentence = str(error)
    except (ValueError, RecursionError) as error:
        sentence = f"The line is not JSON: {error}"
    given = content.get("id") if isinstance(content, dict) else None
    return {"id": given if isinstance(given, str) else None, "line": number, "error": sentence.rstrip(".") + "."}


def _reject_constant(word: str) -> None:
    raise ValueError(f"{word} is not a JSON number")
