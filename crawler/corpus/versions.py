"""Versions of a corpus: its files and pages after each run that changed it.

``versions/0001.json`` is a manifest: the digest of each file, counts, the policy, the state of the log, and the digest
of the previous manifest, so that no manifest can be changed unnoticed. ``versions/lists/SHA256.parquet`` lists the
pages of a file without their text, named by the digest of the table it was made from: versions that share a file share
its list, and the pages of an older version are still known after the file was rewritten.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from forbear.crawler.files import atomic_rename, lock, part_path, unlock, write_new
from forbear.optout import __version__
from forbear.storage.chain import chain
from forbear.storage.database import Connection
from forbear.storage.db.hostnames import digest
from forbear.storage.db.records import now
from forbear.storage.proof import checkpoints

_NAME = pa.dictionary(pa.int32(), pa.string())
LIST = pa.schema(
    [
        pa.field("key", pa.binary(16), nullable=False, metadata={"description": "BLAKE2b digest of the URL."}),
        pa.field("domain", _NAME, nullable=False, metadata={"description": "Registrable domain."}),
        pa.field("host", _NAME, nullable=False, metadata={"description": "Host of the URL, in A-labels."}),
        pa.field("sha256", pa.binary(32), nullable=False, metadata={"description": "SHA-256 of the content."}),
        pa.field("bytes", pa.int64(), metadata={"description": "Octets of the content; null if it was lost."}),
        pa.field("media_type", _NAME, nullable=False, metadata={"description": "Type and subtype."}),
        pa.field(
            "decision", pa.binary(16), nullable=False, metadata={"description": "UUID of the row that allowed it."}
        ),
    ]
)
"""The list of pages: one row each, ordered by domain and key."""


class BadVersion(ValueError):
    """A version is missing or cannot be read; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Version:
    """A manifest; ``sha256`` is the hexadecimal digest of its file."""

    number: int
    sha256: str
    content: dict[str, Any]

    @property
    def files(self) -> dict[str, dict[str, Any]]:
        """Every file of the corpus by path: ``bytes``, ``sha256``, and for a table ``pages`` and ``list``."""
        return {entry["path"]: entry for entry in self.content["files"]}


@dataclass(frozen=True, slots=True)
class VersionOrigin:
    """The command and crawl that made a version, and what was in force."""

    by: str
    crawl: str
    agent: str
    use: str
    profile: str
    policy: str


def log_state(connection: Connection) -> dict[str, Any]:
    """Returns the state of the log: leaves of its chain, their root, and the latest signed checkpoint, if any."""
    size = chain.size(connection)
    signed = checkpoints.latest(connection)
    root = chain.tree(connection, size).root().hex()
    return {"size": size, "root": root, "checkpoint": signed.note if signed else None}


EVENT = "corpus version"


def record_version(connection: Connection, version: Version) -> None:
    """Records a version in the log, once: its number, the digest of its manifest, its crawl."""
    if all(event["sha256"] != version.sha256 for event in chain.event_contents(connection, EVENT)):
        content = version.content
        event = {"version": version.number, "sha256": version.sha256, "crawl": content["crawl"]}
        chain.append_event(connection, EVENT, event | {"counts": content["counts"]}, now())


def make(out: Path, made: VersionOrigin, log: dict[str, Any]) -> Version | None:
    """Writes the next version; None if the corpus has not changed since the latest.

    Files that a process is still writing, or whose rows may not be committed yet, are left to a later version.
    Raises OSError.
    """
    while True:
        last = latest(out)
        known = last.files if last else {}
        files = list(_files(out, known))
        if [_said(entry) for entry in files] == [_said(entry) for entry in known.values()]:
            return None
        number = last.number + 1 if last else 1
        content = {
            "version": number,
            "created_at": now().isoformat(timespec="seconds"),
            "software": f"Forbear/{__version__}",
            "made_by": made.by,
            "crawl": made.crawl,
            "agent": made.agent,
            "use": made.use,
            "profile": made.profile,
            "policy": made.policy,
            "log": log,
            "previous": {"version": last.number, "sha256": last.sha256} if last else None,
            "counts": _counts(out, files),
            "files": files,
        }
        path = _path(out, number)
        if write_new(path, json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n"):
            return _read(path)


def _said(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "modified"}


def _files(out: Path, known: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yields the entries of all finished files, by name; unchanged ones are not hashed again."""
    for table in sorted((out / "pages").glob("*.parquet")):
        warc = out / "warc" / table.name.replace(".parquet", ".warc.gz")
        held = lock(warc)
        if held is None:
            continue
        try:
            yield _entry(out, warc, known)
            entry = _entry(out, table, known)
            name = f"versions/lists/{entry['sha256']}.parquet"
            if not (out / name).exists():
                _list(table, out / name)
            listed = known.get(entry["path"], {})
            digest_of = listed["list_sha256"] if listed.get("list") == name else _sha256(out / name)
            yield entry | {"pages": pq.read_metadata(out / name).num_rows, "list": name, "list_sha256": digest_of}
        finally:
            unlock(held)


def _entry(out: Path, path: Path, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    name, stat = path.relative_to(out).as_posix(), path.stat()
    entry = known.get(name)
    if entry is None or (entry["bytes"], entry["modified"]) != (stat.st_size, stat.st_mtime_ns):
        entry = {"sha256": _sha256(path)}
    return {"path": name, "bytes": stat.st_size, "sha256": entry["sha256"], "modified": stat.st_mtime_ns}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(path: Path) -> str | None:
    return _sha256(path) if path.exists() else None


def _list(table: Path, path: Path) -> None:
    """Writes the list of pages in a table."""
    rows = pq.read_table(table, columns=["url", "domain", "host", "sha256", "bytes", "media_type", "decision_id"])
    made = pa.table(
        {
            "key": pa.array([digest(url) for url in rows["url"].to_pylist()], pa.binary(16)),
            "domain": rows["domain"],
            "host": rows["host"],
            "sha256": pa.array([bytes.fromhex(value) for value in rows["sha256"].to_pylist()], pa.binary(32)),
            "bytes": rows["bytes"],
            "media_type": rows["media_type"],
            "decision": pa.array([UUID(value).bytes for value in rows["decision_id"].to_pylist()], pa.binary(16)),
        }
    ).sort_by([("domain", "ascending"), ("key", "ascending")])
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_path(path)
    pq.write_table(made.cast(LIST), part, compression="zstd")
    atomic_rename(part, path)


def _counts(out: Path, files: list[dict[str, Any]]) -> dict[str, Any]:
    domains: set[str] = set()
    types: Counter[str] = Counter()
    pages = octets = 0
    for rows in _lists(out, files, ["domain", "bytes", "media_type"]):
        domains.update(pc.unique(rows["domain"]).to_pylist())
        pages += rows.num_rows
        octets += pc.sum(rows["bytes"]).as_py() or 0
        types.update({each["values"]: each["counts"] for each in pc.value_counts(rows["media_type"]).to_pylist()})
    return {"pages": pages, "domains": len(domains), "bytes": octets, "media_types": dict(types.most_common())}


def _lists(out: Path, files: list[dict[str, Any]], columns: list[str] | None = None) -> Iterator[pa.Table]:
    for entry in files:
        if "list" in entry:
            yield pq.read_table(out / entry["list"], columns=columns)


def _path(out: Path, number: int) -> Path:
    return out / "versions" / f"{number:04}.json"


def _read(path: Path) -> Version:
    octets = path.read_bytes()
    try:
        content = json.loads(octets)
        return Version(content["version"], hashlib.sha256(octets).hexdigest(), content)
    except (ValueError, KeyError, TypeError):
        raise BadVersion(f"{path} is damaged and no longer a manifest: restore it from a copy") from None


def numbers(out: Path) -> list[int]:
    """Returns all versions, oldest first."""
    return sorted(int(path.stem) for path in (out / "versions").glob("*.json") if path.stem.isdecimal())


def load(out: Path, number: int | None = None) -> Version:
    """Returns a version, by default the latest. Raises BadVersion."""
    known = numbers(out)
    if not known:
        raise BadVersion(f"{out} has no versions: they are made at the end of `forbear crawl` and `forbear recheck`")
    if number is not None and number not in known:
        raise BadVersion(f"{out} has no version {number}: there are {known[0]} to {known[-1]}")
    return _read(_path(out, known[-1] if number is None else number))


def latest(out: Path) -> Version | None:
    """Returns the latest version, or None. Raises BadVersion."""
    return load(out) if numbers(out) else None


def pages(out: Path, version: Version, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """Yields the pages of a version, one list at a time, in the columns of LIST."""
    return _lists(out, version.content["files"], columns)


def holds(out: Path, version: Version, *, column: str, value: str | bytes) -> tuple[int, int]:
    """Returns how many pages and bytes of a domain, a host or a URL's key a version has."""
    count = octets = 0
    for rows in pages(out, version, [column, "bytes"]):
        found = rows.filter(
            pc.equal(rows[column].cast(pa.string() if isinstance(value, str) else pa.binary(16)), value)
        )
        count += found.num_rows
        octets += pc.sum(found["bytes"]).as_py() or 0
    return count, octets


@dataclass(frozen=True, slots=True)
class Difference:
    """Pages that differ between two versions, by what happened; each has key, domain, sha256 and decision.

    A page whose URL stayed and whose content did not is in both lists.
    """

    added: pa.Table
    removed: pa.Table

    def domains(self) -> dict[str, tuple[int, int]]:
        """Returns pages added and removed by domain, most removed first."""
        added, removed = (Counter(rows["domain"].to_pylist()) for rows in (self.added, self.removed))
        both = sorted(added | removed, key=lambda domain: (-removed[domain], -added[domain], domain))
        return {domain: (added[domain], removed[domain]) for domain in both}


def diff(out: Path, old: Version, new: Version) -> Difference:
    """Compares two versions; lists that both share are not read."""
    shared = {entry["list"] for entry in old.content["files"] if "list" in entry}
    shared &= {entry["list"] for entry in new.content["files"] if "list" in entry}
    columns = ["key", "domain", "sha256", "decision"]
    tables = []
    for version in (old, new):
        own = [entry for entry in version.content["files"] if entry.get("list") not in shared]
        tables.append(
            pa.concat_tables([*_lists(out, own, columns), LIST.empty_table().select(columns)]).unify_dictionaries()
        )
    decisions = [rows["decision"].combine_chunks() for rows in tables]
    removed, added = (
        rows.filter(pc.invert(pc.is_in(mine, value_set=other)))
        for rows, mine, other in ((tables[0], *decisions), (tables[1], *reversed(decisions)))
    )
    return Difference(added, removed)


@dataclass(frozen=True, slots=True)
class VersionCheck:
    """The result of a check: ``faults`` are sentences; ``replaced`` files were rewritten by a later version."""

    files: int
    replaced: int
    faults: tuple[str, ...]


def verify(out: Path, version: Version) -> VersionCheck:
    """Compares every file of a version, and every manifest, with its digest. Raises BadVersion and OSError.

    A file that differs from an older version is a fault, unless a later version has it as it is now.
    """
    faults = list(_broken_chain(out))
    later: dict[str, set[str]] = {}
    for number in numbers(out):
        if number > version.number:
            for path, entry in load(out, number).files.items():
                later.setdefault(path, set()).add(entry["sha256"])
    replaced = 0
    for path, entry in version.files.items():
        if "list" in entry and _digest(out / entry["list"]) != entry["list_sha256"]:
            faults.append(f"{entry['list']}, the pages of {path}, was changed since, or is missing.")
        there = _digest(out / path)
        if there == entry["sha256"]:
            continue
        if there in later.get(path, ()):
            replaced += 1
        else:
            faults.append(f"{path} is missing." if there is None else f"{path} was changed since.")
    return VersionCheck(len(version.files), replaced, tuple(faults))


def _broken_chain(out: Path) -> Iterator[str]:
    known = numbers(out)
    for number in known[1:]:
        version = load(out, number)
        previous = version.content["previous"]
        before = _path(out, previous["version"])
        if not before.exists():
            yield f"Version {previous['version']}, which {number} follows, is missing."
        elif load(out, previous["version"]).sha256 != previous["sha256"]:
            yield f"The manifest of version {previous['version']} was changed after version {number} was made."
