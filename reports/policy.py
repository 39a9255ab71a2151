"""Makes the copyright policy document (measure 1.1(1)) and its public summary (1.1(2)).

Its sources are the rules and settings in force and the operator's own paragraphs; what the code does is cited with its
files and tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from forbear.optout.model import Profile
from forbear.optout.policy import Effect, Policy
from forbear.reports.document import Block, Document, Field, Open, Paragraph, Section, Table
from forbear.reports.inputs import read, shipped
from forbear.storage.log.lists import PublicationStatus
from forbear.storage.reads.figures import CrawlRow

_HEAD = {
    "provider": "Provider",
    "version": "Version",
    "adopted_by": "Adopted by",
    "adopted_on": "Adopted on",
    "owner": "Responsible for this policy",
}
_IN_SUMMARY = ("provider", "version", "adopted_on")


@dataclass(frozen=True, slots=True)
class InForce:
    """What the document is made from: rules, the last crawl if any, imported lists of infringing sites."""

    engine: str
    rules: Policy
    run: CrawlRow | None
    lists: Sequence[PublicationStatus]
    titles: Mapping[str, str]
    """Returns the names of the publications of infringing sites."""


def inputs(text: str) -> dict[str, Any]:
    """Reads the operator's paragraphs and who adopted them. Raises BadInputs."""
    own: dict[str, type | tuple[type, ...]] = {section["own"]: str for section in _sections()}
    head: dict[str, type | tuple[type, ...]] = dict.fromkeys(_HEAD, str)
    return read(text, {"policy": head | {"adopted_on": date}, "paragraphs": own})


def document(known: InForce, inputs: Mapping[str, Any], at: datetime, *, summary: bool = False) -> Document:
    """Makes the whole document, or with ``summary`` the part that is published."""
    head = inputs.get("policy", {})
    names = _IN_SUMMARY if summary else tuple(_HEAD)
    adoption = tuple(
        Field(f"policy.{name}", _HEAD[name], value, "" if isinstance(value, Open) else "operator")
        for name in names
        for value in [_own(head, name, f"{_HEAD[name]} ([policy] {name})")]
    )
    wanted = [one for one in _sections() if one["public"] or not summary]
    own = inputs.get("paragraphs", {})
    sections = [Section("Adoption", adoption), *(_section(one, own, known, summary=summary) for one in wanted)]
    about = (("Rules (digest in each row of the log)", known.rules.digest), ("Forbear", known.engine))
    title = "Copyright policy: public summary" if summary else "Copyright policy"
    kind = "policy-summary" if summary else "policy"
    return Document(kind, title, at.isoformat(timespec="seconds"), about, tuple(sections))


def _sections() -> list[dict[str, Any]]:
    sections: list[dict[str, Any]] = shipped("policy_document.toml")["sections"]
    return sections


def _section(section: Mapping[str, Any], own: Mapping[str, str], known: InForce, *, summary: bool) -> Section:
    blocks: list[Block] = []
    for paragraph in section.get("paragraphs", ()):
        cited = [*paragraph.get("files", ()), *(f"shown by {test}" for test in paragraph.get("tests", ()))]
        blocks.append(Paragraph(paragraph["text"], "" if summary else "; ".join(cited)))
    if "insert" in section:
        blocks += _INSERTS[section["insert"]](known, summary)
    key = section["own"]
    if own.get(key, "").strip():
        blocks.append(Paragraph(own[key].strip(), "operator", markdown=True))
    elif section["ask"]:
        blocks.append(Paragraph(Open(f"{section['ask']} ([paragraphs] {key})")))
    title = section["title"] + (f" (measure {section['measure']})" if "measure" in section else "")
    return Section(title, tuple(blocks))


def _own(table: Mapping[str, Any], key: str, ask: str) -> str | Open:
    return str(table[key]) if str(table.get(key, "")).strip() else Open(ask)


def _lists(known: InForce, summary: bool) -> Iterator[Block]:
    if not known.lists:
        yield Paragraph("No list of infringing sites was imported in this installation.", "table list_sources")
        return
    rows = tuple(
        (known.titles.get(state.layout, state.layout), state.published.isoformat(), f"{state.in_force:,}")
        for state in known.lists
    )
    yield Table(("publication", "issue of", "entries in force"), rows, "Lists in use")


def _protocols(known: InForce, summary: bool) -> Iterator[Block]:
    profile = Profile(known.run.profile) if known.run else None
    columns = ["protocol", "what", "specification", "version", "stands behind it", "speaks about", "measure"]
    rows = []
    for name, entry in known.rules.protocols.items():
        row = [name, entry.title, entry.specification, entry.version, entry.tier, entry.about, entry.measure]
        if profile:
            row += [", ".join(entry.listed(profile, effect)) or "-" for effect in (Effect.EXCLUDES, Effect.DEFERS)]
        rows.append(tuple(row))
    if profile:
        columns += ["excludes", "defers"]
        yield Paragraph(f"Doubt is treated as in profile {profile}.", "the last crawl")
    yield Table(tuple(columns), tuple(rows), "Protocols that are read")
    if known.rules.overrides:
        overrides = tuple(
            (one.what, "looser" if one.looser else "stricter", one.reason or "-") for one in known.rules.overrides
        )
        yield Table(("departs from what ships", "which is", "because"), overrides, "Overrides")
    else:
        yield Paragraph("Nothing departs from what ships with Forbear.", "optout/policy.toml")


def _contact(known: InForce, summary: bool) -> Iterator[Block]:
    contact = known.run.contact if known.run else Open("a point of contact: no crawl has run yet (--contact)")
    yield Field("contact", "Point of contact", contact, "the last crawl" if known.run else "")


def _digests(known: InForce, summary: bool) -> Iterator[Block]:
    cited = "storage/log/documents.py; shown by tests/storage/test_documents.py::test_from_a_row_to_its_documents"
    yield Paragraph(
        f"Each row names the rules that it was decided by: the digest {known.rules.digest} is SHA-256 over which "
        "protocol counts how, the lists of agents and purpose tokens, and every override with its reason. This "
        "document explains these rules. Its own digest is another one, over its text, and stands in no row: a document "
        "that names a digest cannot be what the digest is of. When it is issued, both digests and the whole text are "
        "put on record together as one leaf of the log's tree, so that from any row the documents that explained its "
        "rules at that time are found (forbear report list), and a change of either afterwards is seen.",
        "" if summary else cited,
    )


def _settings(known: InForce, summary: bool) -> Iterator[Block]:
    if known.run is None:
        yield Paragraph("No crawl has run in this installation yet.", "table crawls")
        return
    run = known.run
    if run.policy != known.rules.digest:
        yield Paragraph(f"The last crawl worked by other rules: {run.policy}.", f"crawl {run.id}")
    named = {
        "agent": run.agent,
        "user agent": run.user_agent,
        "contact": run.contact,
        "use": run.use,
        "profile": run.profile,
    }
    settings = named | {
        name: value for name, value in sorted(run.configuration.items()) if name not in ("seeds", *named)
    }
    rows = tuple((name.replace("_", "-"), _value(value)) for name, value in settings.items())
    yield Table(("setting", "value"), rows, "Settings of the last crawl")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value in (None, "") else str(value)


_INSERTS = {
    "lists": _lists,
    "protocols": _protocols,
    "contact": _contact,
    "digests": _digests,
    "settings": _settings,
}
