"""The corpus as others read it: warcio, fastwarc, pyarrow, duckdb; and what is left of it after kill -9."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastwarc.warc import ArchiveIterator as FastIterator
from warcio.archiveiterator import ArchiveIterator

from forbear.crawler.corpus import table, warc
from forbear.crawler.corpus.writer import Corpus, Original, RepairResult, WarcPage, WarcPosition, repair
from forbear.crawler.files import part_path
from forbear.optout.model import Capture

AT = datetime(2026, 3, 1, 12, 0, 0, 123456, UTC)
HTML = (("Content-Type", "text/html; charset=utf-8"), ("Content-Encoding", "gzip"), ("content-length", "31"))
WORKER = Path(__file__).with_name("corpus_worker.py")


def page(
    name: str, body: bytes | None = None, headers: tuple[tuple[str, str], ...] = HTML, status: int = 200
) -> WarcPage:
    url = f"http://www.example.org/{name}"
    content = f"<html lang=de><title>{name}</title><p>Grüße von {name}".encode() if body is None else body
    return WarcPage(
        f"id-{name}", url, AT, Capture(url, status, headers, content), (("User-Agent", "B"),), "HTTP/1.1", "192.0.2.7"
    )


def corpus(out: Path, **options: Any) -> Corpus:
    return Corpus(out, "w1", software="Forbear/0.1.0", user_agent="B/1 (+mailto:a@b.example)", **options)


def write(out: Path, *pages: WarcPage, **options: Any) -> list[WarcPosition]:
    made = corpus(out, **options)
    stored = [made.write(each) for each in pages]
    made.close()
    return stored


def files(out: Path) -> list[Path]:
    return sorted((out / "warc").glob("*"))


def records(path: Path) -> Iterator[tuple[Any, bytes]]:
    """Every record with its content; a wrong digest raises, as `warcio check` would report it."""
    with path.open("rb") as file:
        for record in ArchiveIterator(file, check_digests="raise"):
            yield record, record.content_stream().read()


def rows(out: Path) -> list[dict[str, Any]]:
    return [row for path in sorted((out / "pages").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def ends(stored: list[WarcPosition]) -> dict[str, int]:
    return {each.warc_file: each.offset + each.length for each in stored}


def test_a_page_is_three_records_that_name_their_decision(tmp_path: Path) -> None:
    write(tmp_path, page("a"))
    (path,) = files(tmp_path)
    info, response, request, metadata = records(path)
    assert b"robots: obeyed (RFC 9309)\r\n" in info[1]
    assert b"http-header-user-agent: B/1 (+mailto:a@b.example)\r\n" in info[1]
    assert [each[0].rec_type for each in (response, request, metadata)] == ["response", "request", "metadata"]
    for record, _ in (response, request, metadata):
        assert record.rec_headers["Forbear-Decision"] == "id-a"
        assert record.rec_headers["WARC-Target-URI"] == "http://www.example.org/a"
        assert record.rec_headers["WARC-Date"] == "2026-03-01T12:00:00.123456Z"
        assert record.rec_headers["WARC-Warcinfo-ID"] == info[0].rec_headers["WARC-Record-ID"]
        assert record.format == "warc"
        assert record.rec_headers.protocol == "WARC/1.1"
    for record, _ in (request, metadata):
        assert record.rec_headers["WARC-Concurrent-To"] == response[0].rec_headers["WARC-Record-ID"]
    assert response[0].rec_headers["WARC-IP-Address"] == "192.0.2.7"
    assert response[0].rec_headers["WARC-Payload-Digest"].startswith("sha1:")
    assert request[0].http_headers.to_str() == "GET /a HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: B\r\n"
    assert b"forbear-decision: id-a\r\n" in metadata[1]


def test_the_command_that_others_check_with_finds_nothing_wrong(tmp_path: Path) -> None:
    write(tmp_path, page("a"), page("b", b""), page("c"), page("d", page("a").capture.body))
    command = [sys.executable, "-m", "warcio.cli", "check", "-v", *map(str, files(tmp_path))]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout.count("digest pass")) == (0, 12)


def test_bodies_are_stored_decoded_and_the_header_says_so(tmp_path: Path) -> None:
    write(tmp_path, page("a"))
    response, body = list(records(files(tmp_path)[0]))[1]
    assert body == page("a").capture.body
    assert response.http_headers.headers == [
        ("Content-Type", "text/html; charset=utf-8"),
        ("X-Crawler-Content-Encoding", "gzip"),
        ("X-Crawler-content-length", "31"),
        ("Content-Length", str(len(body))),
    ]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", ()),
        (bytes(range(256)) * 300, (("Content-Type", "image/png"),)),
        ("Grüße, 世界".encode(), (("X-Name", "Bücher"), ("X-Name", "zwei"), ("Empty", ""))),
        (b"\r\n\r\nWARC/1.1\r\n", (("X-Octets", "\\xff\\x00"),)),
        (gzip.compress(b"a gzip file is content too", mtime=0), (("Content-Type", "application/gzip"),)),
        (random.Random(1).randbytes(3_000_000), ()),
    ],
    ids=["empty", "binary", "other scripts", "line ends", "gzip", "large"],
)
def test_both_readers_give_back_what_was_received(
    tmp_path: Path, body: bytes, headers: tuple[tuple[str, str], ...]
) -> None:
    (stored,) = write(tmp_path, page("ä/b?c=1", body, headers, 203))
    response, content = list(records(files(tmp_path)[0]))[1]
    assert content == body
    assert response.http_headers.get_statuscode() == "203"
    with (tmp_path / stored.warc_file).open("rb") as file:
        file.seek(stored.offset)
        first = next(iter(FastIterator(file, verify_digests=True)))
        assert first.reader.read() == body
        received = tuple((name.encode(), value.encode()) for name, value in headers)
        assert first.http_headers.items_bytes() == (*received, (b"Content-Length", b"%d" % len(body)))
        assert first.headers["WARC-Target-URI"] == "http://www.example.org/ä/b?c=1"
    assert stored.sha256 == hashlib.sha256(body).hexdigest()


def test_a_header_field_cannot_begin_another_one(tmp_path: Path) -> None:
    write(tmp_path, page("a", b"x", (("X-A", "b\r\nWARC-Type: warcinfo\r\n\r\nmore"),)))
    response, body = list(records(files(tmp_path)[0]))[1]
    assert response.http_headers["X-A"] == "b WARC-Type: warcinfo more"
    assert body == b"x"


def test_what_was_stored_is_found_by_offset_and_length(tmp_path: Path) -> None:
    stored = write(tmp_path, page("a"), page("b"))
    path = tmp_path / stored[0].warc_file
    assert stored[1].offset == stored[0].offset + stored[0].length
    assert stored[1].offset + stored[1].length == path.stat().st_size
    part = gzip.decompress(path.read_bytes()[stored[1].offset :][: stored[1].length])
    assert [line.strip() for line in part.splitlines() if line.startswith(b"WARC-Type")] == [
        b"WARC-Type: response",
        b"WARC-Type: request",
        b"WARC-Type: metadata",
    ]


def test_the_same_content_again_is_a_revisit(tmp_path: Path) -> None:
    stored = write(tmp_path, page("a"), page("b", page("a").capture.body))
    first, again = (each for each in records(files(tmp_path)[0]) if each[0].rec_type in ("response", "revisit"))
    headers = again[0].rec_headers
    assert (again[0].rec_type, again[1]) == ("revisit", b"")
    assert headers["WARC-Profile"] == "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"
    assert headers["WARC-Payload-Digest"] == first[0].rec_headers["WARC-Payload-Digest"]
    assert headers["WARC-Refers-To-Target-URI"] == "http://www.example.org/a"
    assert headers["WARC-Refers-To-Date"] == first[0].rec_headers["WARC-Date"]
    assert again[0].http_headers["Content-Length"] == str(len(page("a").capture.body))
    assert rows(tmp_path)[1]["text"] == rows(tmp_path)[0]["text"] == "Grüße von a"
    assert stored[0].sha256 == stored[1].sha256


def test_content_of_earlier_crawls_is_known_by_the_log(tmp_path: Path) -> None:
    (first,) = write(tmp_path, page("a"))
    known = {first.sha256: Original("http://www.example.org/a", AT, first.warc_file, first.offset)}
    stored = write(tmp_path, page("b", page("a").capture.body), seen=known.get)
    second = tmp_path / stored[0].warc_file
    assert [each[0].rec_type for each in records(second)][1] == "revisit"
    (tmp_path / "pages" / second.name.replace(".warc.gz", ".parquet")).unlink()
    repair(tmp_path, ends([first, *stored]).get)
    assert [row["text"] for row in rows(tmp_path)] == ["Grüße von a", "Grüße von a"]


def test_empty_bodies_are_not_revisits(tmp_path: Path) -> None:
    write(tmp_path, page("a", b""), page("b", b""))
    assert [each[0].rec_type for each in records(files(tmp_path)[0])].count("response") == 2


def test_the_table(tmp_path: Path) -> None:
    (stored,) = write(tmp_path, page("a"))
    (row,) = rows(tmp_path)
    text = "Grüße von a"
    assert row == {
        "url": "http://www.example.org/a",
        "domain": "example.org",
        "host": "www.example.org",
        "time": AT,
        "status": 200,
        "media_type": "text/html",
        "language": "de",
        "title": "a",
        "text": text,
        "sha256": stored.sha256,
        "bytes": len(page("a").capture.body),
        "text_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "decision_id": "id-a",
        "warc_file": stored.warc_file,
        "warc_offset": stored.offset,
    }
    (path,) = (tmp_path / "pages").iterdir()
    assert path.stem == files(tmp_path)[0].name.removesuffix(".warc.gz")
    schema = pq.read_schema(path)
    assert schema.metadata[b"software"] == b"Forbear/0.1.0"
    assert all(schema.field(name).metadata[b"description"] for name in schema.names)
    assert schema.field("time").type == pa.timestamp("us", tz="UTC")


def test_duckdb_reads_the_folder_with_one_glob(tmp_path: Path) -> None:
    write(tmp_path, *(page(f"p{number}") for number in range(50)), max_bytes=5000)
    table = duckdb.sql(
        f"select count(*), count(distinct warc_file), min(domain), sum(bytes) from '{tmp_path}/pages/*.parquet'"
    )
    assert table
    (found,) = table.fetchall()
    assert found[0] == 50
    assert found[1] == len(files(tmp_path)) > 2
    assert found[2] == "example.org"
    assert found[3] == sum(len(page(f"p{number}").capture.body) for number in range(50))


def test_the_last_page_can_be_taken_back(tmp_path: Path) -> None:
    made = corpus(tmp_path)
    first, second, third = (made.write(page(name)) for name in "abc")
    assert not made.take_back("id-b", second)
    assert made.take_back("id-c", third)
    assert made.take_back("id-b", second)
    assert not made.take_back("id-b", second)
    again = made.write(page("d", page("b").capture.body))  # which is no copy of what has gone
    made.close()
    assert (again.offset, again.warc_file) == (second.offset, first.warc_file)
    (path,) = files(tmp_path)
    kept = [(record.rec_type, record.rec_headers["WARC-Target-URI"]) for record, _ in records(path)]
    assert [url[-1] for kind, url in kept if kind in ("response", "revisit") and url] == ["a", "d"]
    assert "revisit" not in dict(kept)
    assert [row["decision_id"] for row in rows(tmp_path)] == ["id-a", "id-d"]


def test_files_are_rotated_and_sort_by_time(tmp_path: Path) -> None:
    stored = write(
        tmp_path, *(page(f"p{number}", random.Random(number).randbytes(4000)) for number in range(10)), max_bytes=9000
    )
    names = list(dict.fromkeys(each.warc_file for each in stored))
    assert names == sorted(names)
    assert len(names) == 5
    for name in names:
        assert [each[0].rec_type for each in records(tmp_path / name)].count("warcinfo") == 1
    assert len(rows(tmp_path)) == 10


def test_row_groups_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_ROW_GROUP", 5000)
    write(tmp_path, *(page(f"p{number}") for number in range(40)))
    (path,) = (tmp_path / "pages").iterdir()
    assert pq.ParquetFile(path).num_row_groups > 3
    assert [row["title"] for row in rows(tmp_path)] == [f"p{number}" for number in range(40)]


def test_a_crawl_without_pages_leaves_no_file(tmp_path: Path) -> None:
    corpus(tmp_path).close()
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = corpus(tmp_path)
    first = made.write(page("a"))
    path = tmp_path / first.warc_file

    real = os.write

    def full(file: int, octets: Any) -> int:
        if len(octets) > 100:
            return real(file, octets[:100])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            made.write(page("b"))
    assert path.stat().st_size == first.offset + first.length
    second = made.write(page("c"))
    made.close()
    assert second.offset == first.offset + first.length
    assert [row["title"] for row in rows(tmp_path)] == ["a", "c"]
    assert len(list(records(path))) == 7


def interrupted(out: Path, count: int) -> list[WarcPosition]:
    """A crawl that ended without closing its files, and whose lock is gone with its process."""
    stored = write(out, *(page(f"p{number}") for number in range(count)))
    for path in (out / "pages").iterdir():
        path.rename(part_path(path))
    return stored


@pytest.mark.parametrize("torn", [0, 1, 7, 100, 400])
def test_a_torn_record_is_cut_off(tmp_path: Path, torn: int) -> None:
    stored = interrupted(tmp_path, 4)
    path = tmp_path / stored[0].warc_file
    if torn:
        path.write_bytes(path.read_bytes()[:-torn])
    kept = 3 if torn else 4
    done = repair(tmp_path, ends(stored[:kept]).get)
    assert (done.cut, done.short, done.pages) == ([stored[0].warc_file] if torn else [], [], kept)
    assert path.stat().st_size == stored[kept - 1].offset + stored[kept - 1].length
    assert len(list(records(path))) == 1 + 3 * kept
    assert [row["decision_id"] for row in rows(tmp_path)] == [f"id-p{number}" for number in range(kept)]
    assert repair(tmp_path, ends(stored[:kept]).get) == RepairResult()


def test_the_table_made_again_is_the_one_that_was_lost(tmp_path: Path) -> None:
    stored = write(
        tmp_path, page("a"), page("b", b"\xff\x00", (("Content-Type", "image/png"),)), page("c", page("a").capture.body)
    )
    before = rows(tmp_path)
    (path,) = (tmp_path / "pages").iterdir()
    path.unlink()
    repair(tmp_path, ends(stored).get)
    assert rows(tmp_path) == before


def test_pages_after_the_last_row_of_the_log_leave_even_a_finished_file(tmp_path: Path) -> None:
    stored = write(tmp_path, *(page(f"p{number}") for number in range(4)))
    done = repair(tmp_path, ends(stored[:2]).get)
    assert (done.cut, done.pages) == ([stored[0].warc_file], 2)
    assert [row["title"] for row in rows(tmp_path)] == ["p0", "p1"]


def nothing_known(_: str) -> None:
    return None


def test_a_file_that_the_log_does_not_know(tmp_path: Path) -> None:
    finished = write(tmp_path / "other", page("a"))
    assert repair(tmp_path / "other", nothing_known) == RepairResult()
    assert len(rows(tmp_path / "other")) == 1
    unfinished = interrupted(tmp_path / "mine", 2)
    assert repair(tmp_path / "mine", nothing_known).removed == [unfinished[0].warc_file]
    assert files(tmp_path / "mine") == list((tmp_path / "mine" / "pages").iterdir()) == []
    assert finished


def test_a_disk_that_lost_what_was_written_is_reported(tmp_path: Path) -> None:
    stored = interrupted(tmp_path, 3)
    path = tmp_path / stored[0].warc_file
    path.write_bytes(path.read_bytes()[: stored[2].offset + 20])
    done = repair(tmp_path, ends(stored).get)
    assert (done.short, done.pages) == ([stored[0].warc_file], 2)
    assert path.stat().st_size == stored[2].offset


def test_a_file_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    made = corpus(tmp_path)
    first = made.write(page("a"))
    assert repair(tmp_path, nothing_known) == RepairResult()
    second = made.write(page("b"))
    made.close()
    assert second.offset == first.offset + first.length
    assert [row["title"] for row in rows(tmp_path)] == ["a", "b"]


def test_a_full_file_waits_for_its_last_row(tmp_path: Path) -> None:
    """Its pages are written, its table is there, but the batch that holds its last row is not committed yet."""
    made = corpus(tmp_path, max_bytes=100)
    first, second = made.write(page("a")), made.write(page("b"))
    assert first.warc_file != second.warc_file
    assert repair(tmp_path, {first.warc_file: 300}.get) == RepairResult()
    made.close()
    assert repair(tmp_path, ends([first]).get) == RepairResult()
    assert repair(tmp_path, {first.warc_file: 300}.get).removed == [first.warc_file]


def test_two_corpora_share_a_folder(tmp_path: Path) -> None:
    one, two = corpus(tmp_path), corpus(tmp_path)
    for number in range(6):
        (one, two)[number % 2].write(page(f"p{number}"))
    one.close()
    two.close()
    assert len(files(tmp_path)) == 2
    assert sorted(row["title"] for row in rows(tmp_path)) == [f"p{number}" for number in range(6)]


def test_kill_9_at_any_point_leaves_what_the_log_knows(tmp_path: Path) -> None:
    """A worker writes and then commits a line for each page; after each of 15 kills all that was committed is there."""
    log, chance, last = tmp_path / "log", random.Random(9), 0
    for kill in range(15):
        worker = subprocess.Popen([sys.executable, str(WORKER), str(tmp_path), str(log), str(kill)])
        while log.stat().st_size == last if log.exists() else True:
            assert worker.poll() is None
            time.sleep(0.001)
        time.sleep(chance.random() * 0.05)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        committed = [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        last = log.stat().st_size
        known: dict[str, int] = {}
        for name, end, _ in committed:
            known[name] = max(end, known.get(name, 0))
        repair(tmp_path, known.get)
        assert sorted(row["decision_id"] for row in rows(tmp_path)) == sorted(decision for *_, decision in committed)
    for path in files(tmp_path):
        found = [record.rec_type for record, _ in records(path)]
        assert known[f"warc/{path.name}"] == path.stat().st_size
        assert found.count("response") + found.count("revisit") == found.count("metadata")
    assert len(committed) > 15


def test_a_repair_can_be_killed_and_repeated(tmp_path: Path) -> None:
    stored = interrupted(tmp_path, 1500)
    known = ends(stored[:-1])
    command = (
        "import sys; from pathlib import Path; from forbear.crawler.corpus.writer import repair; print(flush=True);"
    )
    command += f"repair(Path({str(tmp_path)!r}), {known!r}.get)"
    for kill in range(6):
        child = subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(kill * 0.03)
        child.kill()
        child.communicate()
    repair(tmp_path, known.get)
    assert [row["title"] for row in rows(tmp_path)] == [f"p{number}" for number in range(1499)]
    assert files(tmp_path)[0].stat().st_size == known[stored[0].warc_file]
    assert len(list((tmp_path / "pages").iterdir())) == 1


def test_a_revisit_finds_its_content_after_pages_before_it_have_left(tmp_path: Path) -> None:
    first, original, again = write(tmp_path, page("1"), page("2", b"the same"), page("3", b"the same"))
    path = tmp_path / first.warc_file
    octets = path.read_bytes()
    path.write_bytes(octets[: first.offset] + octets[original.offset :])
    assert warc.content(tmp_path, again.warc_file, again.offset - first.length) == b"the same"
    path.write_bytes(octets[: first.offset] + octets[again.offset :])
    with pytest.raises(ValueError, match="does not hold the content"):
        warc.content(tmp_path, again.warc_file, first.offset)
