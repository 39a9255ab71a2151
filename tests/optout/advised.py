"""A site as a table has it, the findings for its owner, and the site with a correction put in its place."""

from __future__ import annotations

from dataclasses import dataclass, field

from forbear.optout import policy
from forbear.optout.advice import UNDERSTOOD, Finding, Level, Placement, advise
from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.model import Capture, Decision, Profile, Question, Verdict

HTML = "text/html"


@dataclass
class Site:
    """Files by path, and the page at ``page`` with its header fields; all else is answered with 404."""

    files: dict[str, str] = field(default_factory=dict)
    headers: list[tuple[str, str]] = field(default_factory=list)
    html: str = "<!DOCTYPE html><title>t</title><p>text</p>"
    origin: str = "https://a.example"
    page: str = "/"
    extra: list[Capture] = field(default_factory=list)
    """Answers that are not plain files."""

    @property
    def question(self) -> Question:
        """May the page be used?"""
        return Question(self.origin + self.page)

    def captures(self) -> list[Capture]:
        """What the site answers."""
        files = [Capture(self.origin + path, 200, (), body.encode()) for path, body in self.files.items()]
        page = Capture(self.question.url, 200, (("Content-Type", HTML), *self.headers), self.html.encode())
        return [*files, page, *self.extra]

    def advice(self) -> list[Finding]:
        """All findings."""
        return list(advise(self.question, self.captures(), policy.load(), complete=True))

    def faults(self) -> list[Finding]:
        """Errors and warnings."""
        return [found for found in self.advice() if found.level is not Level.NOTE]

    def verdict(self, profile: Profile = Profile.STANDARD) -> Verdict:
        """What the crawler decides about the page."""
        question = Question(self.question.url, profile=profile)
        decision = decide(question, Captures(self.captures(), complete=True), policy.load())
        assert isinstance(decision, Decision)
        return decision.verdict

    def corrected(self, found: Finding) -> Site:
        """The site with the correction where it says that it goes."""
        assert found.fix is not None
        files, headers, html = dict(self.files), list(self.headers), self.html
        path, text = found.source.removeprefix(self.origin), found.fix.text
        match found.fix.goes:
            case Placement.FILE:
                files[path] = text
            case Placement.LINE:
                lines = files[path].splitlines()
                lines[int((found.fix.where or found.where).split()[1]) - 1] = text
                files[path] = "\n".join(lines)
            case Placement.HEADER:
                name, _, value = text.partition(": ")
                headers = [(key, old) for key, old in headers if key.lower() != name.lower()] + [(name, value)]
            case Placement.HEAD:
                html = f"{html.replace(found.quote, '')}".replace("<title>", f"{text}<title>", 1)
            case Placement.ROBOTS:
                files["/robots.txt"] = f"{text}\n{files.get('/robots.txt', '')}"
        return Site(files, headers, html, self.origin, self.page, self.extra)


def is_remark(found: Finding) -> bool:
    """Whether it is what is understood, or a note."""
    return found.rule == UNDERSTOOD or found.level is Level.NOTE
