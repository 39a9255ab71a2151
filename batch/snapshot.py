"""Reads and writes snapshots of host rules: Parquet files with what hosts answered, to decide about their URLs.

Format 1 has a row for each answer, sorted by host and URL, with all rows of a host in one row group, and the columns
in COLUMNS. The operator's list and the list of infringing sites are the first rows, with an empty host. The metadata of
the file has two entries: ``forbear.snapshot``, a JSON object with the fields of ``About``, and ``forbear.policy``, the
policy in force as JSON (its SHA-256 is ``policy`` in the first entry). docs/how-to/batch.md explains both.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from forbear.optout import policy as policies
from forbear.optout.model import Capture, Failure
from forbear.optout.policy import Policy
from forbear.optout.protocols import PROTOCOLS, infringing_list, operator
from forbear.optout.readers import url as urls

FORMAT = 1
_ABOUT, _POLICY = b"forbear.snapshot", b"forbear.policy"

_TEXT, _TIME = pa.string(), pa.timestamp("us", "UTC")
COLUMNS = pa.schema(
    [
        pa.field("host", _TEXT, nullable=False),
        pa.field("url", _TEXT, nullable=False),
        pa.field("id", _TEXT),
        pa.field("fetched_at", _TIME, nullable=False),
        pa.field("expires_at", _TIME),
        pa.field("status", pa.int32()),
        pa.field("error", _TEXT),
        pa.field("headers", _TEXT, nullable=False),
        pa.field("sha256", _TEXT, nullable=False),
        pa.field("body", pa.binary(), nullable=False),
    ]
)
"""``id`` is that of the capture in the log; ``headers`` is a JSON list of pairs, as in a case of ``forbear decide``;
``sha256`` is the digest of the body, in hexadecimal."""

ROWS = 1_024
"""Rows of a row group, approximately; the open group is in memory."""
OCTETS = 8 * 1024 * 1024
"""Bytes of bodies after which a row group is closed."""
GROUPS_IN_MEMORY = 16


class BadSnapshot(ValueError):
    """A file that is not a snapshot, or cannot be read; the message is one sentence."""


class SnapshotAnswer(NamedTuple):
    """An answer in a snapshot, which counts until ``expires_at``, or as long as the snapshot if that is None.

    ``id`` is that of the capture in the log; None for the operator's lists, and for what is not in the snapshot.
    """

    capture: Capture
    fetched_at: datetime
    expires_at: datetime | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class About:
    """The description of a snapshot: its format, when it was made, and from what.

    ``engine`` is the version of Forbear; ``policy``, ``operator_list`` and ``infringing_list`` are SHA-256 digests in
    hexadecimal, None for a missing list; ``log_size`` and ``log_root`` (in hexadecimal) are those of the log's Merkle
    tree (RFC 9162) at the time; ``checkpoint`` is its last signed note, or None; ``hosts`` and ``answers`` are counts.
    """

    format: int
    made_at: str
    engine: str
    policy: str
    operator_list: str | None
    infringing_list: str | None
    log_size: int
    log_root: str
    checkpoint: str | None
    hosts: int = 0
    answers: int = 0


def write(
    path: Path, about: About, policy: Policy, lists: Iterable[SnapshotAnswer], known: Iterable[SnapshotAnswer]
) -> About:
    """Writes a snapshot, with one row group at a time in memory; ``known`` has to be sorted by host and URL.

    Raises ValueError if it is not, and OSError.
    """
    hosts = answers = 0
    schema = COLUMNS.with_metadata({_POLICY: policy.content.encode()})
    with (
        path.open("wb") as file,
        pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=["host", "error", "headers"]) as writer,
    ):
        rows = [_row("", each) for each in lists]
        last, octets = "", 0
        for host, some in groupby(known, key=lambda each: urls.parse(each.capture.url).host):
            if host <= last:
                raise ValueError(f"{host} comes after {last}: sort the answers by host")
            last = host
            mine = [_row(host, each) for each in some]
            hosts += 1
            answers += len(mine)
            rows += mine
            octets += sum(len(row["body"]) for row in mine)
            if len(rows) >= ROWS or octets >= OCTETS:
                writer.write_table(pa.Table.from_pylist(rows, COLUMNS), row_group_size=len(rows))
                rows, octets = [], 0
        if rows:
            writer.write_table(pa.Table.from_pylist(rows, COLUMNS), row_group_size=len(rows))
        made = replace(about, hosts=hosts, answers=answers)
        writer.add_key_value_metadata({_ABOUT: json.dumps(asdict(made)).encode()})
    return made


def _row(host: str, known: SnapshotAnswer) -> dict[str, Any]:
    capture = known.capture
    return {
        "host": host,
        "url": capture.url,
        "id": known.id,
        "fetched_at": known.fetched_at,
        "expires_at": known.expires_at,
        "status": capture.status,
        "error": capture.error and str(capture.error),
        "headers": json.dumps(capture.headers),
        "sha256": hashlib.sha256(capture.body).hexdigest(),
        "body": capture.body,
    }


class SnapshotFile:
    """A snapshot that is open for reading; the statistics of the row groups lead to the answers of a host.

    ``path`` is a file, or a URL that fsspec knows. Raises BadSnapshot and OSError, here and when it is read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self._octets = fsspec.open(self.path, "rb").open()
        try:
            self._open()
        except BaseException:
            self._octets.close()
            raise

    def _open(self) -> None:
        try:
            self._file = pq.ParquetFile(self._octets)
        except (OSError, pa.ArrowException) as error:
            raise BadSnapshot(f"{self.path} cannot be read as Parquet: {_first_line(error)}") from None
        metadata = self._file.metadata.metadata or {}
        self.about = self._about(metadata.get(_ABOUT))
        content = metadata.get(_POLICY, b"").decode("utf-8", "replace")
        if hashlib.sha256(content.encode()).hexdigest() != self.about.policy:
            raise BadSnapshot(f"{self.path} is damaged: its policy is not the one that it names")
        self.policy = self._policy(content)
        groups = range(self._file.metadata.num_row_groups)
        try:
            self._first = [self._file.metadata.row_group(number).column(0).statistics.min for number in groups]
        except AttributeError:
            raise BadSnapshot(f"{self.path} was rewritten by a program that dropped its statistics") from None
        self._groups: OrderedDict[int, tuple[pa.Table, dict[str, tuple[int, int]]]] = OrderedDict()
        self.lists = tuple(known.capture for known in self.answers(""))
        for capture, sha256 in self._with_digests():
            if sha256 is None or hashlib.sha256(capture.body).hexdigest() != sha256:
                raise BadSnapshot(f"{self.path} is damaged: {capture.url} is not the list that it names")

    def _about(self, octets: bytes | None) -> About:
        if octets is None:
            raise BadSnapshot(f"{self.path} is not a snapshot of hosts: make one with `forbear export hosts`")
        try:
            given = json.loads(octets)
            version = given["format"]
        except (ValueError, TypeError, KeyError):
            raise BadSnapshot(f"{self.path} is damaged: its description cannot be read") from None
        if version != FORMAT:
            raise BadSnapshot(
                f"{self.path} has format {version!r} and this Forbear reads {FORMAT}: export it again with this version"
            )
        names = [field.name for field in fields(About)]
        if set(names) - set(given) or not self._file.schema_arrow.equals(COLUMNS):
            raise BadSnapshot(f"{self.path} is damaged: a part of format {FORMAT} is missing")
        return About(**{name: given[name] for name in names})

    def _policy(self, content: str) -> Policy:
        """Reads the policy, which has to know every protocol of this version: one that it omits would not count."""
        try:
            policy = policies.restore(content)
        except (ValueError, TypeError, KeyError):
            raise BadSnapshot(f"{self.path} is damaged: its policy cannot be read") from None
        for protocol in PROTOCOLS:
            if protocol.NAME not in policy.protocols:
                raise BadSnapshot(
                    f"{self.path} was made by Forbear {self.about.engine}, which did not know {protocol.NAME}: export "
                    "it again with this version"
                )
        return policy

    def _with_digests(self) -> Iterator[tuple[Capture, str | None]]:
        named = {operator.LIST: self.about.operator_list, infringing_list.LIST: self.about.infringing_list}
        if sum(sha256 is not None for sha256 in named.values()) != len(self.lists):
            raise BadSnapshot(f"{self.path} is damaged: it does not have the lists that it names")
        return ((capture, named.get(capture.url)) for capture in self.lists)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        self._octets.close()

    def answers(self, host: str) -> list[SnapshotAnswer]:
        """Returns the answers of a host, sorted by URL; none if it is not in the snapshot."""
        number = bisect_right(self._first, host) - 1
        if number < 0:
            return []
        table, places = self._group(number)
        first, count = places.get(host, (0, 0))
        try:
            return [_known(row) for row in table.slice(first, count).to_pylist()]
        except (ValueError, TypeError, KeyError):
            raise BadSnapshot(f"{self.path} is damaged: the rows of {host or 'its lists'} cannot be read") from None

    def answer(self, url: str) -> SnapshotAnswer | None:
        """Returns the answer at a canonical URL, if the snapshot has it."""
        return next((known for known in self.answers(urls.parse(url).host) if known.capture.url == url), None)

    def _group(self, number: int) -> tuple[pa.Table, dict[str, tuple[int, int]]]:
        if number in self._groups:
            self._groups.move_to_end(number)
            return self._groups[number]
        try:
            table = self._file.read_row_group(number)
        except (OSError, pa.ArrowException) as error:
            raise BadSnapshot(f"{self.path} is damaged: {_first_line(error)}") from None
        places: dict[str, tuple[int, int]] = {}
        for position, host in enumerate(table["host"].to_pylist()):
            first, count = places.get(host, (position, 0))
            places[host] = first, count + 1
        self._groups[number] = table, places
        if len(self._groups) > GROUPS_IN_MEMORY:
            self._groups.popitem(last=False)
        return table, places


def _known(row: dict[str, Any]) -> SnapshotAnswer:
    """Reads an answer; raises ValueError if its body does not match its digest."""
    if hashlib.sha256(row["body"]).hexdigest() != row["sha256"]:
        raise ValueError(row["url"])
    headers = tuple((str(name), str(value)) for name, value in json.loads(row["headers"]))
    error = Failure(row["error"]) if row["error"] else None
    capture = Capture(row["url"], row["status"], headers, row["body"], error)
    return SnapshotAnswer(capture, row["fetched_at"], row["expires_at"], row["id"])


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")


def parse_time(text: str) -> datetime:
    """Reads the time in ``About.made_at``."""
    return datetime.fromisoformat(text).astimezone(UTC)
