"""Compares the robots.txt reader with google/robotstxt and Protego on real files.

``python tests/optout/differential.py`` prints docs/explanation/differential.md; ``--speed`` compares it with Protego.
"""

from __future__ import annotations

import base64
import functools
import gzip
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from protego import Protego

from forbear.optout import policy
from forbear.optout.captures import Captures
from forbear.optout.case import from_json as case_from_json
from forbear.optout.decide import decide
from forbear.optout.model import Capture, Decision, Profile, Question, Verdict
from forbear.optout.readers import robots_txt
from forbear.optout.readers import url as urls
from forbear.optout.readers.pattern import Target

CORPUS = Path(__file__).parent.parent / "corpus"
VECTORS = CORPUS.parent / "vectors"
STANDARD = Profile.STANDARD


class Case(NamedTuple):
    """A URL of the corpus and what google/robotstxt answers."""

    host: str
    agent: str
    url: str
    allowed: bool


class Cause(NamedTuple):
    """Why two readers differ, where that is written, and how to take the cause away, from the file or from the URL."""

    name: str
    section: str
    mend_file: Callable[[str, str], str] = lambda text, agent: text
    mend_url: Callable[[str], str] = lambda url: url


def files() -> dict[str, bytes]:
    """The robots.txt files, by host."""
    found = {}
    with gzip.open(CORPUS / "robots.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            item = json.loads(line)
            found[item["host"]] = base64.b64decode(item["body_b64"]) if "body_b64" in item else item["body"].encode()
    return found


def cases() -> Iterator[Case]:
    """The URLs, with the verdicts of google/robotstxt."""
    with gzip.open(CORPUS / "robots_verdicts.tsv.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            host, agent, url, verdict, _ = line.rstrip("\n").split("\t")
            yield Case(host, agent, url, verdict == "allowed")


class Forbear:
    """This project's reader, through the decision function."""

    name = "Forbear"

    def __init__(self, bodies: dict[str, bytes]) -> None:
        self._captures = {
            host: Captures([Capture(f"https://{host}/robots.txt", 200, (), body)], complete=True)
            for host, body in bodies.items()
        }

    def allows(self, case: Case) -> bool:
        """Whether the URL may be used."""
        decision = decide(Question(case.url, case.agent), self._captures[case.host], policy.load())
        assert isinstance(decision, Decision)
        return decision.verdict is Verdict.ALLOWED

    def allows_without(self, cause: Cause, case: Case) -> bool:
        """The same where a cause is taken away."""
        return self.allows(case._replace(url=cause.mend_url(case.url)))


class Scrapys:
    """Protego, fed as Scrapy feeds it."""

    name = "Protego 0.7"

    def __init__(self, bodies: dict[str, bytes]) -> None:
        self._texts = {host: body.decode("utf-8", "replace") for host, body in bodies.items()}
        self._parsed = functools.cache(Protego.parse)

    def allows(self, case: Case) -> bool:
        """Whether the URL may be used."""
        return bool(self._parsed(self._texts[case.host]).can_fetch(case.url, case.agent))

    def allows_without(self, cause: Cause, case: Case) -> bool:
        """The same where a cause is taken away."""
        text = cause.mend_file(self._texts[case.host], case.agent)
        return bool(self._parsed(text).can_fetch(cause.mend_url(case.url), case.agent))


_LETTER = re.compile(r"%(?=3\d|[46][1-9A-Fa-f]|[57][\dAa])")
_LOWER_CASE = re.compile(r"%(?=[\dA-F][a-f]|[a-f])")
_OTHER_RECORD = re.compile(r"^(?![ \t]*(?:user-?agent|(?:dis)?allow)\b)[^#\r\n]*", re.MULTILINE | re.IGNORECASE)
_WHOLE_URL = re.compile(r"^([ \t]*(?:dis)?allow[ \t]*:[ \t]*)https?://", re.MULTILINE | re.IGNORECASE)

ESCAPED_LETTER = Cause(
    "an escaped letter or digit in the URL is that letter or digit; google/robotstxt leaves it escaped",
    "RFC 9309 2.2.2, table, last row",
    mend_url=lambda url: _LETTER.sub("%25", url),
)
LOWER_CASE = Cause(
    "the hexadecimal digits of an escape in the URL have no case; google/robotstxt compares them as written",
    "RFC 3986 6.2.2.1",
    mend_url=lambda url: _LOWER_CASE.sub("%25", url),
)
OTHER_RECORD = Cause(
    "a record of another kind (Crawl-delay, most often) does not part user-agent lines; in Protego it does",
    "RFC 9309 2.2.4",
    mend_file=lambda text, agent: _OTHER_RECORD.sub("", text),
)
BYTE_ORDER_MARK = Cause(
    "a leading byte order mark is not part of the first line; Protego loses that line",
    "RFC 9309 2.3",
    mend_file=lambda text, agent: text.removeprefix("\ufeff"),
)
WHOLE_URL = Cause(
    "a pattern that begins with neither `/` nor `*` covers nothing; Protego puts a slash before a whole URL",
    "RFC 9309 2.2, path-pattern",
    mend_file=lambda text, agent: _WHOLE_URL.sub(r"\1", text),
)
ALL = (ESCAPED_LETTER, LOWER_CASE, OTHER_RECORD, BYTE_ORDER_MARK, WHOLE_URL)


class Difference(NamedTuple):
    """A case in which a reader does not answer as the reference does, with the causes that explain it, each alone."""

    case: Case
    causes: tuple[Cause, ...]


def compare(reader: Forbear | Scrapys) -> list[Difference]:
    """All differences to the reference; a cause explains one if without it the reader answers as the reference."""
    found = []
    for case in cases():
        if reader.allows(case) != case.allowed:
            causes = (cause for cause in ALL if reader.allows_without(cause, case) == case.allowed)
            found.append(Difference(case, tuple(causes)))
    return found


PAGE = """# Differential tests of the robots.txt reader

For people who compare robots.txt parsers: where Forbear and Protego differ from Google's parser, and why.

{urls} URLs on {hosts} real robots.txt files, against the verdicts of google/robotstxt, Google's open-source parser. The
files and verdicts are in `tests/corpus/`. `python tests/optout/differential.py` prints this page, and a test compares
it with what the readers do. A cause explains a difference if, with the cause removed from the file or the URL, the
reader answers like the reference.

| reader | answer | URLs | of all | cause | where it is written |
| --- | --- | --: | --: | --- | --- |
{rows}

Forbear never allows what the reference disallows. Where its two ways to read a URL differ (with escaped letters decoded
as in RFC 9309, or as google/robotstxt leaves them), the one that shuts the URL counts.

## Protego and the vectors

The conformance vectors of one robots.txt that Protego answers otherwise: {differ} of {asked}. A difference
changes no verdict; `forbear check` shows it to the owner of the site.

| vector | Protego | because it does not do what the vector is about | where it is written |
| --- | --- | --- | --- |
{vectors}
"""


def page() -> str:
    """The text of docs/explanation/differential.md."""
    bodies = files()
    known = list(cases())
    rows = []
    for reader in (Forbear(bodies), Scrapys(bodies)):
        differences = compare(reader)
        for answer, opens in (("allowed, though disallowed", True), ("shut, though allowed", False)):
            mine = [difference for difference in differences if difference.case.allowed is not opens]
            counts = Counter(difference.causes[0] if difference.causes else None for difference in mine)
            for cause, count in counts.most_common() or [(None, 0)]:
                why = (cause.name, cause.section) if cause else ("none" if not count else "unexplained", "")
                share = f"{100 * count / len(known):.2f} %"
                rows.append(" | ".join((reader.name, answer, str(count), share, *why)))
    asked, differing = vectors()
    return PAGE.format(
        urls=f"{len(known):,}",
        hosts=len({case.host for case in known}),
        rows="\n".join(f"| {row} |" for row in rows),
        asked=asked,
        differ=len(differing),
        vectors="\n".join(f"| {row} |" for row in differing),
    )


def vectors() -> tuple[int, list[str]]:
    """How many vectors are about nothing but the words of one robots.txt, and those that Protego answers otherwise."""
    asked, rows = 0, []
    for name in ("robots", "forbear-robots"):
        for line in (VECTORS / f"{name}.jsonl").read_text(encoding="utf-8").split("\n")[:-1]:
            _, question, captures = case_from_json(vector := json.loads(line))
            file = captures.get(urls.parse(question.url).origin + "/robots.txt")
            if len(vector["exchanges"]) != 1 or not file or file.status != 200 or question.profile is not STANDARD:
                continue
            asked += 1
            answer = Protego.parse(file.body.decode("utf-8", "replace")).can_fetch(question.url, question.agent)
            if answer != (vector["expect"]["verdict"] == "allowed"):
                about = vector["about"].replace("|", "\\|").replace("*", "\\*")
                rows.append(f"{vector['id']} | {'allows' if answer else 'shuts'} | {about} | {vector['spec']}")
    return asked, rows


def speed() -> str:
    """Parsing and one question, in time for Protego's time: a file of 20 rules, and one of 500 kB."""
    rules = b"User-agent: *\n" + b"".join(b"Disallow: /section-%d/*/print\n" % number for number in range(20))
    groups = b"".join(b"User-agent: Crawler%d\nDisallow: /a/%d\nAllow: /b\n\n" % (n, n) for n in range(8700))
    lines = []
    for name, body in (("20 rules", rules), ("500 kB, 8,700 groups", groups)):
        ours = _best(lambda body=body: _ask_forbear(body))  # type: ignore[misc]
        theirs = _best(lambda body=body: Protego.parse(body.decode()).can_fetch(URL, "ForbearBot"))  # type: ignore[misc]
        lines.append(f"{name}: Forbear {ours * 1e3:.3f} ms, Protego {theirs * 1e3:.3f} ms, ratio {ours / theirs:.2f}")
    return "\n".join(lines)


URL = "https://archive.example/section-21/letters/1"


def _ask_forbear(body: bytes) -> None:
    file = robots_txt.RobotsTxt(Capture("https://archive.example/robots.txt", 200, (), body))
    file.rules_for("ForbearBot").matching(Target(urls.parse(URL).target))


def _best(run: Callable[[], object]) -> float:
    """The shortest of some runs, in seconds; their number is bounded by a fifth of a second in all."""
    times = []
    while not times or (sum(times) < 0.2 and len(times) < 500):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    print(speed() if "--speed" in sys.argv[1:] else page(), end="")
