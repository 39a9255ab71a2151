"""How 145 opt-out files of real sites are read: ``python tests/optout/real_world.py`` prints a table.

Each file of corpus/real_world.jsonl is served at its place by a site that has nothing else, and a page of that site is
decided about.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from forbear.optout import policy
from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.model import Capture, Decision, Preference, Profile, Question, StatementStatus, Verdict

CORPUS = Path(__file__).parent.parent / "corpus" / "real_world.jsonl"
_PLACES = {"tdmrep.json": "/.well-known/tdmrep.json", "ai.txt": "/ai.txt", "trust.txt": "/trust.txt"}
_CONTENT = re.compile(r'<content url="https://([^/"]+)([^"*]*)')
_REDIRECT = re.compile(r'"destination": "([^"]+)"')
_FIELD = re.compile(r'^ *([A-Za-z-]+): (.+)$|"key": "([^"]+)",\s*"value": "([^"]+)"', re.MULTILINE)


@dataclass(frozen=True)
class File:
    """A file as its publisher wrote it; ``intent`` is what they wanted, as read by one person (corpus/README.md)."""

    number: int
    kind: str
    source: str
    body: str
    intent: str
    why: str

    def words(self) -> str:
        """All that the site says."""
        return self.body.replace("\r\n", "\n")

    def question(self) -> Question:
        """A page of the site."""
        content = _CONTENT.search(self.body) if self.kind == "rsl.xml" else None
        host, path = (content[1], content[2] or "/") if content else ("site.example", "/about.html")
        return Question(f"https://{host}{path}")

    def captures(self, question: Question) -> Captures:
        """What the site answers."""
        origin = "/".join(question.url.split("/", 3)[:3])
        fields = [(m[1] or m[3], m[2] or m[4]) for m in _FIELD.finditer(self.body)] if self.kind == "headers" else []
        text = (("Content-Type", "text/plain"),)
        known = [Capture(question.url, 200, (("Content-Type", "text/html"), *fields), b"<!DOCTYPE html><p>Seven boats")]
        redirect = _REDIRECT.search(self.body) if self.kind == "headers" else None
        if redirect:
            known[0] = Capture(question.url, 307, (("Location", redirect[1]),))
            known.append(Capture(origin + redirect[1], 200, (("Content-Type", "text/html"),), b"<!DOCTYPE html>"))
        if self.kind == "rsl.xml":
            known.append(Capture(f"{origin}/robots.txt", 200, text, f"License: {origin}/rsl.xml\n".encode()))
        place = _PLACES.get(self.kind, f"/{self.kind}")
        known.append(Capture(f"{origin}{place}", 200, text, self.body.encode()))
        return Captures(known, complete=True)

    def decision(self, profile: Profile) -> Decision:
        """What is decided about the page."""
        question = self.question()
        found = decide(replace(question, profile=profile), self.captures(question), policy.load())
        assert isinstance(found, Decision)
        return found

    def heard(self) -> str:
        """How its no is heard, at the best."""
        for profile in Profile:
            if self.decision(profile).verdict is Verdict.EXCLUDED:
                return f"excluded in {profile}"
        strict = self.decision(Profile.STRICT)
        if any(s.force is StatementStatus.FLAGGED and s.preference is Preference.DISALLOW for s in strict.statements):
            return "flagged" if strict.verdict is Verdict.DEFERRED else "flagged, recorded alone"
        return "deferred in strict" if strict.verdict is Verdict.DEFERRED else "not at all"


@cache
def files() -> tuple[File, ...]:
    """All of them, in order."""
    return tuple(_read())


def _read() -> Iterator[File]:
    for number, line in enumerate(CORPUS.read_text(encoding="utf-8").splitlines()):
        item = json.loads(line)
        yield File(number, *(item[key] for key in ("kind", "source", "body", "intent", "why")))


if __name__ == "__main__":
    for intent in ("reserved", "mixed", "unclear", "open"):
        print(intent, dict(Counter(file.heard() for file in files() if file.intent == intent)))
    for file in files():
        if "-v" in sys.argv and file.heard() != "excluded in standard":
            print(file.number, file.kind, file.intent, "|", file.heard(), "|", file.why)
