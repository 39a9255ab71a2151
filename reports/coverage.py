"""Makes the statement on the Copyright chapter, paragraph by paragraph: mechanism, evidence, what is left to people.

Its form is a statement of applicability as in management systems (ISO/IEC 27001:2022, 6.1.3 d): applicable or not and
why, responsible, evidence, review, open points, corrective actions and their effect. It states what is there and what
is not; whether that is enough is for people to judge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from forbear.reports.document import Document, Field, Open, Paragraph, Section, Table, Text, number_of
from forbear.reports.inputs import BadInputs, read, shipped
from forbear.storage.reads.figures import Check, CrawlRow, ProtocolFigures, Withdrawn

_ACTION = ("what", "by", "due", "done", "effect")
_KEYS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "statement": {"organisation": str, "scope": str, "approved_by": str, "approved_on": date},
    "paragraphs.*": {
        "applicable": bool,
        "why": str,
        "responsible": str,
        "reviewed": date,
        "next_review": date,
        "evidence": list,
        "open": list,
        "actions": list,
    },
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What this installation knows."""

    engine: str
    decisions: Mapping[str, int]
    served: tuple[ProtocolFigures, ...]
    runs: tuple[CrawlRow, ...]
    checks: tuple[Check, ...]
    withdrawn: tuple[Withdrawn, ...]
    lists: int
    stale_lists: int
    complaints: Mapping[str, int]
    issued: Mapping[str, datetime]
    """When the latest document of each kind was issued."""


def inputs(text: str) -> dict[str, Any]:
    """Reads the operator's part of the statement. Raises BadInputs."""
    content = read(text, _KEYS)
    known = {paragraph["id"] for paragraph in shipped("coverage.toml")["paragraphs"]}
    for name, table in content.get("paragraphs", {}).items():
        if name not in known:
            raise BadInputs(f"{name!r} is not a paragraph of the chapter: choose among {', '.join(sorted(known))}")
        if table.get("applicable") is False and not table.get("why", "").strip():
            raise BadInputs(f"[paragraphs.{name!r}]: what does not apply needs a reason (why)")
        for action in table.get("actions", ()):
            if not isinstance(action, dict) or not set(action) <= set(_ACTION) or "what" not in action:
                raise BadInputs(f"[paragraphs.{name!r}]: an action has {', '.join(_ACTION)}, the first at least")
    return content


def document(evidence: Evidence, inputs: Mapping[str, Any], at: datetime) -> Document:
    """Makes the statement from the evidence here and the operator's inputs; both may be empty."""
    chapter = shipped("coverage.toml")
    statement = inputs.get("statement", {})
    own = inputs.get("paragraphs", {})
    failing = [check for check in evidence.checks if check.found]
    sections = [
        Section("Scope", tuple(_scope(statement))),
        Section("This installation", tuple(_installation(evidence))),
        Section("Checks", (_checks(evidence.checks), _failing(failing))),
        Section("Statement of applicability", (_overview(chapter["paragraphs"], own, evidence, at.date()),)),
        Section(
            "Paragraph by paragraph",
            sections=tuple(
                _paragraph(one, own.get(one["id"], {}), evidence, at.date()) for one in chapter["paragraphs"]
            ),
        ),
    ]
    about = (("Source", chapter["source"]), ("Forbear", evidence.engine))
    return Document(
        "coverage", "Coverage of the Copyright chapter", at.isoformat(timespec="seconds"), about, tuple(sections)
    )


def _scope(statement: Mapping[str, Any]) -> Iterator[Field | Paragraph]:
    yield Paragraph(
        "This statement shows, for each paragraph, which mechanism serves it, what is found of it in the log of this "
        "installation, and what is left to people. It is no finding that the chapter is fulfilled: that is for people "
        "to judge."
    )
    for key, label in (
        ("organisation", "Organisation"),
        ("scope", "Scope"),
        ("approved_by", "Approved by"),
        ("approved_on", "Approved on"),
    ):
        yield _own(f"statement.{key}", label, statement, key, "[statement]")


def _installation(evidence: Evidence) -> Iterator[Field]:
    total = sum(evidence.decisions.values())
    each = ", ".join(f"{verdict} {count:,}" for verdict, count in sorted(evidence.decisions.items()))
    yield Field("decisions", "Decisions in the log", f"{total:,}" + (f": {each}" if each else ""), "table decisions")
    kinds = Counter(str(run.configuration.get("command", "crawl")) for run in evidence.runs)
    rehearsals = sum(run.shadow for run in evidence.runs)
    runs = ", ".join(f"{kind} {count:,}" for kind, count in sorted(kinds.items())) or "none"
    yield Field("runs", "Runs", runs + (f"; {rehearsals:,} of them rehearsals" if rehearsals else ""), "table crawls")
    if evidence.runs:
        last = evidence.runs[-1]
        ended = f", ended {_moment(last.finished_at)}" if last.finished_at else ""
        kind = last.configuration.get("command", "crawl")
        about = f"{kind}, began {_moment(last.started_at)}{ended}, {last.state}; {last.user_agent}; "
        about += f"profile {last.profile}"
        yield Field("last-run", "Last run", about, f"crawl {last.id}")
    yield Field("lists", "Publications of infringing sites", f"{evidence.lists:,}", "table list_sources")
    states = ", ".join(f"{state} {count:,}" for state, count in sorted(evidence.complaints.items()))
    yield Field("complaints", "Complaints", states or "none", "table complaints")


def _checks(checks: Iterable[Check]) -> Table:
    rows = tuple(
        (check.name, check.about, str(check.found), "failing" if check.found else "passing") for check in checks
    )
    return Table(("check", "looks for", "found", "state"), rows)


def _failing(failing: list[Check]) -> Paragraph:
    if not failing:
        return Paragraph("No check fails.")
    return Paragraph(
        "Failing: " + "; ".join(f"{check.name} ({check.found:,} {check.about})" for check in failing) + "."
    )


def _overview(
    paragraphs: Iterable[Mapping[str, Any]], own: Mapping[str, Any], evidence: Evidence, today: date
) -> Table:
    columns = ("paragraph", "applicable", "mechanism", "evidence here", "responsible", "next review", "open points")
    rows = []
    for one in paragraphs:
        inputs = own.get(one["id"], {})
        applicable, _ = _applicable(one, inputs)
        points = len(_points(one, inputs, evidence, today))
        state: Text = str(points) if points else "none"
        review, responsible = (str(inputs.get(key, "")) or "open" for key in ("next_review", "responsible"))
        found = "; ".join(_sums(one, evidence)) or "nothing"
        served = "yes" if one["files"] else "no"
        applies = "open" if isinstance(applicable, Open) else applicable  # shown and counted below
        rows.append((one["id"], applies, served, found, responsible, review, state))
    return Table(columns, tuple(rows))


def _paragraph(one: Mapping[str, Any], inputs: Mapping[str, Any], evidence: Evidence, today: date) -> Section:
    key, place = one["id"], f'[paragraphs."{one["id"]}"]'
    applicable, why = _applicable(one, inputs)
    cited = ", ".join(one["files"])
    blocks: list[Field | Table | Paragraph] = [
        Field(f"{key}.asks", "Asks", one["asks"], "our words"),
        Field(f"{key}.applicable", "Applicable", applicable, "operator" if "applicable" in inputs else "shipped"),
        Field(f"{key}.why", "Why", why),
        Field(f"{key}.mechanism", "Mechanism", one["mechanism"], cited),
        Field(f"{key}.tests", "Shown by tests", "\n".join(one["tests"]) or "none"),
        Field(f"{key}.evidence", "Evidence in this installation", "\n".join(_found(one, evidence)) or "nothing"),
        Field(f"{key}.own", "Further evidence", "\n".join(map(str, inputs.get("evidence", ()))) or "none"),
        Field(f"{key}.people", "Left to people", one["people"] or "nothing"),
        _own(f"{key}.responsible", "Responsible", inputs, "responsible", place),
        _own(f"{key}.reviewed", "Last review", inputs, "reviewed", place),
        _own(f"{key}.next_review", "Next review", inputs, "next_review", place),
        Field(f"{key}.open", "Open points", "\n".join(_points(one, inputs, evidence, today)) or "none"),
    ]
    actions = inputs.get("actions", ())
    if actions:
        rows = tuple(_action(action) for action in actions)
        blocks.append(Table(("corrective action", "by", "due", "done", "effect"), rows, "Corrective actions"))
    else:
        blocks.append(Field(f"{key}.actions", "Corrective actions", "none on record"))
    return Section(f"{key}", tuple(blocks))


def _action(action: Mapping[str, Any]) -> tuple[Text, ...]:
    cells: list[Text] = [str(action["what"])]
    cells += [str(action[name]) if name in action else Open(f"action {name}") for name in ("by", "due")]
    cells.append(str(action.get("done", "not yet")))
    effect: Text = str(action["effect"]) if "effect" in action else "-"
    cells.append(
        Open("whether it had the effect that was meant") if "done" in action and "effect" not in action else effect
    )
    return tuple(cells)


def _applicable(one: Mapping[str, Any], inputs: Mapping[str, Any]) -> tuple[Text, Text]:
    if "applicable" in inputs:
        return ("yes" if inputs["applicable"] else "no"), _given(inputs, "why", f'[paragraphs."{one["id"]}"] why')
    if one.get("applicable", True):
        return "yes", inputs.get("why") or "It concerns everybody who crawls the web for training."
    return Open(f'[paragraphs."{one["id"]}"] applicable'), "No crawler's job; whether it applies, the provider says."


def _sums(one: Mapping[str, Any], evidence: Evidence) -> Iterator[str]:
    """Sums up the evidence for the overview, instead of a line for each protocol."""
    found = [item for item in evidence.served if item.measure in one["measures"]]
    if found:
        protocols = len({item.protocol for item in found})
        decided = number_of(sum(item.decisions for item in found), "decision")
        yield f"{decided} by {number_of(protocols, 'protocol')}, last {_moment(max(item.last_at for item in found))}"
    yield from list(_found(one, evidence))[len(found) :]


def _found(one: Mapping[str, Any], evidence: Evidence) -> Iterator[str]:
    for item in evidence.served:
        if item.measure in one["measures"]:
            yield (
                f"{item.protocol}: {number_of(item.decisions, 'decision')} {item.verdict} at "
                f"{number_of(item.hosts, 'host')}, last {_moment(item.last_at)}"
            )
    for left in evidence.withdrawn:
        if left.measure in one["measures"]:
            pages = number_of(left.pages, "page")
            yield f"recheck: {pages} taken out of the corpus again, last {_moment(left.last_at)}"
    yield from _papers(one["id"], evidence)
    for check in evidence.checks:
        if check.name in one["checks"]:
            yield f"check {check.name}: {'failing' if check.found else 'passing'}"


def _papers(paragraph: str, evidence: Evidence) -> Iterator[str]:
    """Yields what the log has beside decisions."""
    if paragraph == "1.1(1)" and "policy" in evidence.issued:
        yield f"policy document issued {_moment(evidence.issued['policy'])}"
    if paragraph == "1.1(2)" and "policy-summary" in evidence.issued:
        yield f"summary issued {_moment(evidence.issued['policy-summary'])}"
    if paragraph == "1.2(1)(b)" and evidence.lists:
        yield f"{number_of(evidence.lists, 'publication')} imported, {evidence.stale_lists:,} stale"
    if paragraph in ("1.3(4)", "1.5(1)") and evidence.runs:
        yield f"contact of the last crawl: {evidence.runs[-1].contact}"
    if paragraph == "1.5(2)" and evidence.complaints:
        yield f"{number_of(sum(evidence.complaints.values()), 'complaint')} on record"


def _points(one: Mapping[str, Any], inputs: Mapping[str, Any], evidence: Evidence, today: date) -> list[str]:
    """Returns what the operator has written down as open, and what is open by the evidence here."""
    points = [str(point) for point in inputs.get("open", ())]
    points += [
        f"check failing: {check.name} ({check.found:,} {check.about})"
        for check in evidence.checks
        if check.found and check.name in one["checks"]
    ]
    if one["id"] == "1.2(1)(b)" and not evidence.lists:
        points.append("no list of infringing sites was imported")
    if one["id"] == "1.2(1)(b)" and evidence.stale_lists:
        points.append(f"stale: {number_of(evidence.stale_lists, 'list')} of infringing sites")
    for key, kind in (("1.1(1)", "policy"), ("1.1(2)", "policy-summary")):
        if one["id"] == key and kind not in evidence.issued:
            points.append("no such document was issued")
    if "next_review" in inputs and inputs["next_review"] < today:
        points.append(f"the review of {inputs['next_review']} is overdue")
    for action in inputs.get("actions", ()):
        due = action.get("due")
        if isinstance(due, date) and due < today and "done" not in action:
            points.append(f"action overdue since {due}: {action['what']}")
    return points


def _own(key: str, label: str, table: Mapping[str, Any], name: str, place: str) -> Field:
    """Returns a field that only the operator can fill in."""
    value = _given(table, name, f"{label.lower()} ({place} {name})")
    return Field(key, label, value, "" if isinstance(value, Open) else "operator")


def _given(table: Mapping[str, Any], key: str, ask: str) -> Text:
    value = table.get(key)
    return Open(ask) if value is None or not str(value).strip() else str(value)


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}Z"
