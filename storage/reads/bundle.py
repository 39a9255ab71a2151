"""Bundles: decisions with everything that proves them, in one zip that is checked without Forbear (verify.md)."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib.resources import files
from typing import IO, Any, NamedTuple
from zipfile import ZIP_DEFLATED, ZipFile

from sqlalchemy import Connection, select

from forbear.optout.model import Capture
from forbear.optout.policy import Policy
from forbear.optout.readers.text import quoted, readable, to_utf8
from forbear.storage.chain import chain, signed_note
from forbear.storage.chain.chain import ChainRow
from forbear.storage.chain.signed_note import BadNote, Checkpoint, VerifierKey
from forbear.storage.db.dialects import chunks
from forbear.storage.db.errors import StorageError
from forbear.storage.db.schema import bodies, captures, crawls, decision_captures, decisions
from forbear.storage.log import evidence, policies
from forbear.storage.log.evidence import StoredCapture
from forbear.storage.proof import checkpoints
from forbear.storage.reads import redact
from forbear.storage.reads.columns import LOG
from forbear.storage.reads.queries import Filter, ids, log

SHOWN = 500
"""Decisions, and captures, that the report lists; the files have all."""

WORDS = 100
"""Distinct reasons that the report shows in their context."""

AROUND = 300
"""Characters of a file shown before and after a quotation."""

_SPOOL = 16 * 1024 * 1024

Render = Callable[["Case"], Iterable[tuple[str, bytes]]]
"""Renders the report of a case: names and contents of files."""


@dataclass(slots=True)
class ReasonInContext:
    """A reason as a report shows it: the words, where they are, and the text around them."""

    number: int
    protocol: str
    quote: str
    source: str
    where: str
    measure: str
    first_at: str
    last_at: str
    decisions: int = 0
    before: str = ""
    after: str = ""
    found: bool = False
    capture: dict[str, Any] | None = None


@dataclass(slots=True)
class Case:
    """The content of a report: the decisions, whose words decided, from which files, and the checkpoint."""

    asked: list[tuple[str, str]]
    made: str
    redacted: bool
    checkpoint: dict[str, Any] = field(default_factory=dict)
    crawls: list[dict[str, Any]] = field(default_factory=list)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    total: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    words: dict[tuple[str, str, str, str], ReasonInContext] = field(default_factory=dict)
    more_words: int = 0
    captures: list[dict[str, Any]] = field(default_factory=list)
    captures_total: int = 0
    protocols: list[dict[str, str]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Returns the case as JSON, for a renderer that is not in Python."""
        own = {name: getattr(self, name) for name in self.__slots__}
        return {**own, "verdicts": dict(self.verdicts), "words": [asdict(words) for words in self.words.values()]}


class BundleRequest(NamedTuple):
    """What to bundle, also in words of the command line, for whom (``redacted``), and which key must have signed.

    Without a key the newest checkpoint is used, by any key: the recipient compares keys.
    """

    wanted: Filter
    asked: list[tuple[str, str]]
    key: VerifierKey | None
    made: datetime
    redacted: bool = True


def write(connection: Connection, out: IO[bytes], request: BundleRequest, render: Render) -> Case:
    """Writes the bundle; the connection must see one snapshot of the database throughout (``database.reading``).

    Raises StorageError: nothing matches, no checkpoint covers it, none is by this key, or evidence is gone.
    """
    wanted = [key for some in ids(connection, request.wanted) for key in some]
    if not wanted:
        raise StorageError("No decisions match, so there is nothing to bundle.")
    case = Case(request.asked, request.made.isoformat(timespec="seconds"), request.redacted)
    with ZipFile(out, "w", ZIP_DEFLATED) as archive:
        leaves = _rows(connection, archive, wanted, request.redacted)
        rests = _captures(connection, wanted)
        leaves += _sealed(connection, archive, "captures/captures.jsonl", [("capture", rests)], request.redacted)
        _contents(connection, archive, rests)
        _proofs(connection, archive, leaves, request.key, case)
        known = _policies(connection, archive, wanted)
        archive.writestr("verify.py", files("forbear.storage.reads").joinpath("verify_bundle.py").read_bytes())
        _fill(connection, case, request, rests, known)
        for name, content in render(case):
            archive.writestr(name, content)
    return case


def _rows(connection: Connection, archive: ZipFile, wanted: Sequence[str], redacted: bool) -> list[tuple[int, bytes]]:
    kinds = [("decision", wanted), ("page", wanted)]
    return _sealed(connection, archive, "decisions.jsonl", kinds, redacted)


def _sealed(
    connection: Connection, archive: ZipFile, name: str, kinds: list[tuple[str, Sequence[str]]], redacted: bool
) -> list[tuple[int, bytes]]:
    """Writes rows as they were hashed; returns their positions and leaves."""
    leaves: list[tuple[int, bytes]] = []
    with archive.open(name, "w", force_zip64=True) as file:
        for kind, refs in kinds:
            for some in chunks(refs, 500):
                for row in chain.chain_rows(connection, kind, some):
                    file.write(_line(row, redacted).encode())
                    leaves.append((row.position, row.leaf))
    return leaves


def _line(row: ChainRow, redacted: bool) -> str:
    """Formats a sealed row; if its words may name a person, without its salt, which still proves the row."""
    if row.salt is None or row.payload is None:
        return f'{{"record":{row.record}}}\n'
    if redacted:
        words = json.loads(row.payload)
        shown = _redacted(words)
        if shown != words:
            return f'{{"record":{row.record},"redacted":{json.dumps(shown, ensure_ascii=True)}}}\n'
    return f'{{"record":{row.record},"salt":"{row.salt}","payload":{row.payload}}}\n'


_URLS = frozenset({"url", "canonical", "source"})


def _redacted(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _redacted(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        if name == "headers":
            return [[field, redact.header(field, content)] for field, content in value]
        return [_redacted(inner, name) for inner in value]
    return redact.url(value) if name in _URLS and isinstance(value, str) else value


def _captures(connection: Connection, wanted: Sequence[str]) -> list[str]:
    found: dict[str, None] = {}
    columns = decision_captures.c
    for some in chunks(wanted):
        rests = select(columns.capture).where(columns.decision.in_(some)).distinct().order_by(columns.capture)
        found |= dict.fromkeys(connection.scalars(rests))
    return list(found)


def _contents(connection: Connection, archive: ZipFile, rests: Sequence[str]) -> None:
    written: set[str] = set()
    for some in chunks(rests, 100):
        stored = select(bodies).join_from(captures, bodies).where(captures.c.id.in_(some))
        rows = {row.sha256: row for row in connection.execute(stored) if row.sha256 not in written}
        found = evidence.unpacked(connection, rows.values())
        for sha256 in rows:
            if sha256 not in found:
                raise StorageError(f"The stored content {sha256} is gone or damaged: run `forbear verify`.")
            archive.writestr(f"captures/{sha256}", found[sha256])
        written |= rows.keys()


def _proofs(
    connection: Connection, archive: ZipFile, leaves: list[tuple[int, bytes]], key: VerifierKey | None, case: Case
) -> None:
    signed = checkpoints.latest(connection, max(position for position, _ in leaves))
    if signed is None:
        raise StorageError("No checkpoint covers these rows yet: run `forbear checkpoint` first.")
    try:
        checkpoint: Checkpoint = signed_note.verify(signed.note, key) if key else signed_note.parse(signed.note)
    except BadNote as error:
        whose = f"by the key {key.text}" if key else "in its form"
        raise StorageError(f"The checkpoint is not {whose}: {error}") from None
    tree = chain.tree(connection, signed.size)
    with tempfile.SpooledTemporaryFile(_SPOOL) as spool:
        for position, leaf in leaves:
            path = [node.hex() for node in tree.inclusion(position)]
            spool.write(f"{json.dumps({'position': position, 'leaf': leaf.hex(), 'path': path})}\n".encode())
        spool.seek(0)
        with archive.open("proofs.jsonl", "w", force_zip64=True) as file:
            while some := spool.read(1 << 20):
                file.write(some)
    archive.writestr("checkpoint.txt", signed.note)
    if key:
        archive.writestr("key.vkey", f"{key.text}\n")
    case.checkpoint = {
        "size": signed.size,
        "root": checkpoint.root.hex(),
        "origin": checkpoint.origin,
        "key": key.text if key else "",
        "rows": len(leaves),
    }


def _policies(connection: Connection, archive: ZipFile, wanted: Sequence[str]) -> list[Policy]:
    digests: set[str] = set()
    for some in chunks(wanted):
        of = decisions.c
        digests.update(connection.scalars(select(of.policy).where(of.id.in_(some)).distinct()))
    found = [policy for digest in sorted(digests) if (policy := policies.find(connection, digest))]
    for policy in found:
        archive.writestr(f"policy/{policy.digest}.json", policy.content.encode())
    return found


def _fill(
    connection: Connection, case: Case, request: BundleRequest, rests: Sequence[str], known: Sequence[Policy]
) -> None:
    """Fills in the report; beyond what it can show, only counts."""
    for row in log(connection, request.wanted):
        case.total += 1
        case.verdicts[row["verdict"]] += 1
        numbers = [_count(case, reason, row["at"]) for reason in row["reasons"]]
        if len(case.decisions) < SHOWN:
            shown = next(redact.rows(LOG, [row])) if request.redacted else row
            case.decisions.append({**shown, "words": sorted({number for number in numbers if number})})
    _show_crawls(connection, case, request)
    _show_captures(connection, case, rests)
    names = sorted({words.protocol for words in case.words.values()})
    rules = {name: policy.protocols[name] for policy in known for name in names if name in policy.protocols}
    case.protocols = [
        {
            "name": name,
            "title": rules[name].title,
            "specification": rules[name].specification,
            "version": rules[name].version,
            "about": rules[name].about,
            "measure": rules[name].measure,
        }
        for name in names
        if name in rules
    ]


def _count(case: Case, reason: dict[str, str], at: str) -> int:
    key = (reason["protocol"], reason["quote"], reason["source"], reason["where"])
    words = case.words.get(key)
    if words is None:
        if len(case.words) == WORDS:
            case.more_words += 1
            return 0
        words = case.words[key] = ReasonInContext(len(case.words) + 1, *key, reason["measure"], at, at)
    words.decisions += 1
    words.last_at = at
    return words.number


def _show_crawls(connection: Connection, case: Case, request: BundleRequest) -> None:
    columns = crawls.c
    named = sorted({row["crawl"] for row in case.decisions})
    asked = select(columns.id, columns.started_at, columns.user_agent, columns.contact, columns.use, columns.profile)
    for row in connection.execute(asked.where(columns.id.in_(named)).order_by(columns.started_at)):
        case.crawls.append({**row._mapping, "started_at": row.started_at.isoformat(timespec="seconds")})


def _show_captures(connection: Connection, case: Case, rests: Sequence[str]) -> None:
    """Fills in the table of digests, and the context of each quotation."""
    case.captures_total = len(rests)
    sources: dict[str, list[ReasonInContext]] = {}
    for words in case.words.values():
        sources.setdefault(words.source, []).append(words)
    columns = captures.c
    for some in chunks(rests, 100):
        about = {row.id: row for row in connection.execute(select(captures).where(columns.id.in_(some)))}
        for key, held in evidence.stored_captures(connection, some).items():
            row = about[key]
            entry = {
                "url": redact.url(row.url) if case.redacted else row.url,
                "fetched_at": row.fetched_at.isoformat(timespec="seconds"),
                "status": str(row.status or row.error),
                "sha256": row.body_sha256,
                "bytes": row.body_bytes,
                "stored": "whole" if row.body else "what was quoted",
            }
            if len(case.captures) < SHOWN:
                case.captures.append(entry)
            for words in sources.get(row.url, ()):
                if not words.found:
                    _place(words, held, entry)
    for words in case.words.values():
        words.source = redact.url(words.source) if case.redacted else words.source


def _place(words: ReasonInContext, held: StoredCapture, entry: dict[str, Any]) -> None:
    """Finds the words in a capture, and copies the text around them."""
    for text in _texts(held.capture, words.where):
        before, quote, after = text.partition(words.quote)
        if quote:
            words.before = ("…" if len(before) > AROUND else "") + before[-AROUND:]
            words.after = after[:AROUND] + ("…" if len(after) > AROUND else "")
            words.found, words.capture = True, entry
            return


def _texts(capture: Capture, where: str) -> Iterator[str]:
    if where == "status":
        yield f"HTTP status {capture.status}"
    elif where.startswith("header "):
        name = where.removeprefix("header ")
        yield "\n".join(
            f"{field}: {quoted(value)}" for field, value in capture.headers if field.lower() == name.lower()
        )
    elif capture.error:
        yield f"no answer: {capture.error}"
    text = readable(to_utf8(capture.body))
    yield text
