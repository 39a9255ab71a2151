from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from fastwarc.warc import ArchiveIterator as FastIterator
from warcio.archiveiterator import ArchiveIterator
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from forbear.crawler.demo.demo_server import Reply, Web
from forbear.optout.protocols import PROTOCOLS
from tests.crawler.crawls import Crawler, plain, until
from tests.crawler.warcs import PACKINGS, PAGE, http, record
from tests.invariants import check_laws
from tests.optout.pictures import packet, picture
from tests.prefork import Done

# warcio leaves the temporary files that it computes digests with to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SITES = {
    "yes.example": {},
    "no.example": {"/robots.txt": plain("User-agent: *\nDisallow: /no\n")},
    "tdm.example": {"/.well-known/tdmrep.json": plain('[{"location": "/*", "tdm-reservation": 1}]')},
    "busy.example": {"/robots.txt": Reply(status=503)},
}
URLS = {
    "http://yes.example/a": "allowed",
    "http://no.example/a": "allowed",
    "http://no.example/no": "excluded",
    "http://tdm.example/a": "excluded",
    "http://busy.example/a": "deferred",
    "ftp://yes.example/a": "unusable",
}
ALLOWED = [url for url, verdict in URLS.items() if verdict == "allowed"]


@pytest.fixture
def web() -> Iterator[Web]:
    with Web(SITES) as web:
        yield web


def filtered(crawler: Crawler, web: Web | None, *inputs: Path, code: int = 0, **options: Any) -> Done:
    crawler.program = "filter"
    return crawler.run(web, *map(str, inputs), code=code, retries=None, **{"delay": 0, **options})


def reasons(crawler: Crawler, name: str) -> dict[str, tuple[str, list[str]]]:
    rows = pq.read_table(crawler.out / "reasons" / f"{name}.parquet").to_pylist()
    return {row["url"]: (row["verdict"], [reason["quote"] for reason in row["reasons"]]) for row in rows}


def test_lists_and_tables_without_what_is_reserved(crawler: Crawler, tmp_path: Path, web: Web) -> None:
    listed = tmp_path / "pages.txt.gz"
    listed.write_bytes(gzip.compress("".join(f"{url}\n" for url in ("# ours", *URLS)).encode()))
    rows = [{"id": number, "url": url, "text": f"t{number}"} for number, url in enumerate(URLS)]
    pq.write_table(pa.Table.from_pylist(rows).replace_schema_metadata({"owner": "us"}), tmp_path / "rows.parquet")
    index = [  # as in Common Crawl's cc-index/table/cc-main/warc
        {
            "url_surtkey": "example,yes)/a",
            "url": url,
            "url_host_name": "yes.example",
            "fetch_status": 200,
            "content_digest": "X",
            "warc_filename": "crawl-data/w.warc.gz",
            "warc_record_offset": 7,
        }
        for url in URLS
    ]
    pq.write_table(pa.Table.from_pylist(index), tmp_path / "part-00000.gz.parquet")
    inputs = [listed, tmp_path / "rows.parquet", tmp_path / "part-00000.gz.parquet"]
    told = filtered(crawler, web, *inputs).summary
    assert told["counts"] == {"allowed": 6, "excluded": 6, "deferred": 3, "unusable": 3}
    kept = crawler.out / "kept"
    assert gzip.decompress((kept / listed.name).read_bytes()).decode().split() == ["#", "ours", *ALLOWED]
    table = pq.read_table(kept / "rows.parquet")
    assert table.to_pylist() == [row for row in rows if row["url"] in ALLOWED]
    assert table.schema.metadata[b"owner"] == b"us"
    assert pq.read_table(kept / inputs[2].name).to_pylist() == [row for row in index if row["url"] in ALLOWED]
    assert reasons(crawler, "rows.parquet") == {
        "http://no.example/no": ("excluded", ["Disallow: /no"]),
        "http://tdm.example/a": ("excluded", ['"tdm-reservation": 1']),
        "http://busy.example/a": ("deferred", ["503"]),
        "ftp://yes.example/a": ("unusable", []),
    }
    logged = crawler.rows("SELECT canonical, verdict, count(*) FROM decisions GROUP BY canonical, verdict")
    assert {url: (verdict, count) for url, verdict, count in logged} == {
        url: (verdict, 3) for url, verdict in URLS.items() if verdict != "unusable"
    }
    assert [hit.path for hit in web.hits if hit.host == "no.example"].count("/robots.txt") == 1
    hits = len(web.hits)
    again = filtered(crawler, web, *inputs).summary
    assert again["counts"] == told["counts"]
    assert all(each["before"] for each in again["inputs"].values())
    assert len(web.hits) == hits
    done = filtered(crawler, web, *inputs, profile="strict", code=2)
    assert "other settings" in done.stderr
    check_laws(crawler.database, tmp_path / "none")


def archive(path: Path, *pages: tuple[str, bytes, dict[str, str]]) -> None:
    """As Common Crawl writes them: warcinfo, then request, response and metadata of each page."""
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        writer.write_record(writer.create_warcinfo_record("w.warc.gz", {"isPartOf": "CC-MAIN-2026-01"}))
        for url, body, fields in pages:
            asked = StatusAndHeaders("GET / HTTP/1.1", [("Host", "x")], is_http_request=True)
            writer.write_record(writer.create_warc_record(url, "request", http_headers=asked))
            sent = [("Content-Type", "text/html"), ("X-Crawler-Content-Encoding", "gzip"), ("Content-Length", "9")]
            head = StatusAndHeaders("200 OK", sent, protocol="HTTP/1.1")
            writer.write_record(
                writer.create_warc_record(
                    url, "response", payload=io.BytesIO(body), http_headers=head, warc_headers_dict=fields
                )
            )
            writer.write_record(writer.create_warc_record(url, "metadata", payload=io.BytesIO(b"fetchTimeMs: 5\r\n")))


def test_an_archive_as_common_crawl_publishes_it(crawler: Crawler, tmp_path: Path, web: Web) -> None:
    path = tmp_path / "CC-MAIN-1.warc.gz"
    noai = b'<meta name="robots" content="noai"><p>no'
    archive(
        path,
        ("http://yes.example/a", b"<p>yes", {}),
        ("http://yes.example/noai", noai, {}),
        ("http://yes.example/half", b"<p>half", {"WARC-Truncated": "length"}),
        ("http://no.example/no", b"<p>no", {}),
        ("http://no.example/last", b"<p>last", {}),
    )
    text = tmp_path / "CC-MAIN-1.warc.wet.gz"
    with text.open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        for url in URLS:
            writer.write_record(writer.create_warc_record(url, "conversion", payload=io.BytesIO(b"words")))
    told = filtered(crawler, web, path, text).summary
    assert told["inputs"][path.name] == {"allowed": 2, "excluded": 2, "deferred": 1, "before": False}
    with (crawler.out / "kept" / path.name).open("rb") as file:
        records = [(record.rec_type, record.rec_headers["WARC-Target-URI"]) for record in ArchiveIterator(file)]
    assert records[0] == ("warcinfo", None)
    kinds = ("request", "response", "metadata")
    pages = ("http://yes.example/a", "http://no.example/last")
    assert records[1:] == [(kind, url) for url in pages for kind in kinds]
    octets, kept = path.read_bytes(), (crawler.out / "kept" / path.name).read_bytes()
    start = kept.index(b"\x1f\x8b", 20)
    assert octets.startswith(kept[:start])
    assert reasons(crawler, path.name) == {
        "http://yes.example/noai": ("excluded", ['<meta name="robots" content="noai">']),
        "http://yes.example/half": ("deferred", ["truncated"]),
        "http://no.example/no": ("excluded", ["Disallow: /no"]),
    }
    with (crawler.out / "kept" / text.name).open("rb") as file:
        assert [record.rec_headers["WARC-Target-URI"] for record in ArchiveIterator(file)] == ALLOWED
    assert crawler.rows("SELECT count(*) FROM decisions WHERE stage = 'page'") == [(5,)]
    whole = tmp_path / "whole.warc.gz"
    whole.write_bytes(gzip.compress(gzip.decompress(octets)))
    done = filtered(crawler, web, whole, text, out=tmp_path / "b", code=1)
    assert "whole.warc.gz, byte 0: several records are compressed together" in done.stderr
    assert [done.summary["inputs"][each.name]["allowed"] for each in (whole, text)] == [0, len(ALLOWED)]
    assert done.summary["broken"] == {whole.name: {"records": 16, "cut": False}}
    assert (tmp_path / "b" / "kept" / whole.name).read_bytes() == b""


@pytest.mark.parametrize("layout", ["beside", "jsonl", "csv"])
def test_a_folder_of_images_with_their_metadata(crawler: Crawler, tmp_path: Path, web: Web, layout: str) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    said = {
        "1.jpg": ("http://yes.example/1.jpg", picture()),
        "2.jpg": ("http://yes.example/2.jpg", picture(xmp=packet())),
        "3.jpg": ("http://no.example/no/3.jpg", picture()),
        "4.jpg": (None, picture()),
    }
    for name, (url, body) in said.items():
        (folder / name).write_bytes(body)
        if layout == "beside":
            (folder / name).with_suffix(".json").write_text(json.dumps({"url": url, "caption": name}))
    if layout == "jsonl":
        lines = (json.dumps({"file_name": name, "url": url}) + "\n" for name, (url, _) in said.items())
        (folder / "metadata.jsonl").write_text("".join(lines))
    if layout == "csv":
        lines = (f"{name},{url or ''}\n" for name, (url, _) in said.items())
        (folder / "metadata.csv").write_text("file_name,url\n" + "".join(lines))
    told = filtered(crawler, web, folder).summary
    assert told["counts"] == {"allowed": 1, "excluded": 2, "unusable": 1}
    kept = crawler.out / "kept" / "images"
    beside = {"beside": ["1.json"], "jsonl": ["metadata.jsonl"], "csv": ["metadata.csv"]}[layout]
    assert sorted(path.name for path in kept.iterdir()) == ["1.jpg", *beside]
    assert (kept / beside[0]).read_text().count(".jpg") == {"beside": 2, "jsonl": 2, "csv": 2}[layout]
    assert set(reasons(crawler, "images")) == {"http://yes.example/2.jpg", "http://no.example/no/3.jpg", None}


def test_a_tar_file_of_samples(crawler: Crawler, tmp_path: Path, web: Web) -> None:
    long = "a folder with a name/" * 8
    samples: dict[str, tuple[str | None, dict[str, bytes]]] = {
        "0001": ("http://yes.example/1.jpg", {"jpg": picture(), "txt": b"a cat"}),
        "0002": ("http://yes.example/2.jpg", {"jpg": picture(xmp=packet()), "txt": b"a dog"}),
        f"{long}0003": ("http://yes.example/3.png", {"seg.png": picture(), "txt": b"b"}),
        "0004": ("http://no.example/no/4.jpg", {"jpg": picture()}),
        "0005": (None, {"jpg": picture()}),
        "0006": ("http://yes.example/6.jpg", {"jpg": picture(), "mask.png": picture()}),
        "0007": ("http://yes.example/7", {"txt": b"words alone"}),
    }
    path = tmp_path / "00000.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        folder = tarfile.TarInfo("a folder")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for key, (url, files) in samples.items():
            said = json.dumps({"url": url} if url else {"caption": "c"}).encode()
            for ending, octets in {**files, "json": said}.items():
                member = tarfile.TarInfo(f"{key}.{ending}")
                member.size = len(octets)
                tar.addfile(member, io.BytesIO(octets))
    told = filtered(crawler, web, path).summary
    assert told["counts"] == {"allowed": 3, "excluded": 2, "unusable": 2}
    stays = ("0001", f"{long}0003", "0007")
    with tarfile.open(path) as before, tarfile.open(crawler.out / "kept" / path.name) as after:
        assert after.getnames() == [
            name for name in before.getnames() if name.partition(".")[0] in (*stays, "a folder")
        ]
        for name in after.getnames()[1:]:
            ours, theirs = after.extractfile(name), before.extractfile(name)
            assert ours
            assert theirs
            assert ours.read() == theirs.read()
    assert (crawler.out / "kept" / path.name).stat().st_size % 10240 == 0
    assert set(reasons(crawler, path.name)) == {"http://yes.example/2.jpg", "http://no.example/no/4.jpg", None}
    packed = tmp_path / "packed.tar"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert "is not a tar file" in filtered(crawler, web, packed, out=tmp_path / "b", code=2).stderr


@pytest.mark.parametrize("dictionary", [False, True])
def test_an_archive_packed_with_zstandard(crawler: Crawler, tmp_path: Path, web: Web, dictionary: bool) -> None:
    plain_file = tmp_path / "plain.warc"
    records = []
    with plain_file.open("wb") as file:
        writer = WARCWriter(file, gzip=False)
        for url in URLS:
            start = file.tell()
            writer.write_record(writer.create_warc_record(url, "conversion", payload=io.BytesIO(url.encode() * 99)))
            records.append((start, file.tell()))
    octets = plain_file.read_bytes()
    samples: list[bytes | bytearray | memoryview[int]] = [octets[start:end] for start, end in records]
    words = zstandard.train_dictionary(1024, samples * 40)
    packer = zstandard.ZstdCompressor(dict_data=words) if dictionary else zstandard.ZstdCompressor()
    head = b"\x5d\x2a\x4d\x18" + len(words.as_bytes()).to_bytes(4, "little") + words.as_bytes() if dictionary else b""
    path = tmp_path / "packed.warc.zst"
    path.write_bytes(head + b"".join(packer.compress(octets[start:end]) for start, end in records))
    told = filtered(crawler, web, path).summary
    assert told["counts"] == {"allowed": 2, "excluded": 2, "deferred": 1, "unusable": 1}
    kept = FastIterator(crawler.out / "kept" / path.name)
    assert [(record.headers["WARC-Target-URI"], record.reader.read()) for record in kept] == [
        (url, url.encode() * 99) for url in ALLOWED
    ]


def test_offline_the_log_and_a_snapshot_answer_and_nobody_is_asked(crawler: Crawler, tmp_path: Path, web: Web) -> None:
    listed = tmp_path / "pages.txt"
    listed.write_text("".join(f"{url}\n" for url in (*URLS, "http://unknown.example/")))
    told = filtered(crawler, None, listed, offline=True, contact=None, out=tmp_path / "a").summary
    assert told["counts"] == {"deferred": 6, "unusable": 1}
    assert set(crawler.rows("SELECT quote FROM reasons")) == {("unasked",)}
    known = tmp_path / "known.txt"
    known.write_text("".join(f"{url}\n" for url in URLS))
    filtered(crawler, web, known, out=tmp_path / "b")
    hits = len(web.hits)
    told = filtered(crawler, None, listed, offline=True, contact=None, out=tmp_path / "c").summary
    assert told["counts"] == {"allowed": 2, "excluded": 2, "deferred": 2, "unusable": 1}
    snapshot = tmp_path / "robotstxt.warc.gz"
    with snapshot.open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        head = StatusAndHeaders("200 OK", [("Content-Type", "text/plain")], protocol="HTTP/1.1")
        body = io.BytesIO(b"User-agent: *\nDisallow: /\n")
        url = "http://unknown.example/robots.txt"
        writer.write_record(writer.create_warc_record(url, "response", payload=body, http_headers=head))
    told = filtered(crawler, None, listed, offline=True, contact=None, snapshot=snapshot, out=tmp_path / "d").summary
    assert told["counts"] == {"allowed": 2, "excluded": 3, "deferred": 1, "unusable": 1}
    assert told["requests"] == 0
    assert len(web.hits) == hits
    check_laws(crawler.database, tmp_path / "none")


def test_a_damaged_archive_is_filtered_as_far_as_it_is_whole(crawler: Crawler, tmp_path: Path, web: Web) -> None:
    pack = PACKINGS["gzip"]
    good = [pack(record(f"http://yes.example/{number}")) for number in range(3)]
    torn = pack(record("http://yes.example/torn", http(PAGE + bytes(range(256)) * 40)))[:-90]
    path = tmp_path / "data.warc.gz"
    short = pack(record("http://yes.example/short", length=40))
    path.write_bytes(good[0] + short + good[1] + torn[:200] + good[2] + torn)
    done = filtered(crawler, web, path, code=1)
    told = done.summary
    assert told["counts"] == {"allowed": 3, "deferred": 3}
    assert (told["broken_records"], told["cut_files"]) == (3, 1)
    assert told["broken"] == {path.name: {"records": 3, "cut": True}}
    assert (crawler.out / "kept" / path.name).read_bytes() == b"".join(good)
    places = [len(good[0]), len(good[0] + short + good[1]), path.stat().st_size - len(torn)]
    assert [line.partition(": ")[0] for line in done.stderr.splitlines()] == [f"{path}, byte {at}" for at in places]
    assert reasons(crawler, path.name) == {
        "http://yes.example/short": ("deferred", ["protocol"]),
        "http://yes.example/torn": ("deferred", ["truncated"]),
    }
    details = "\n".join(detail for (detail,) in crawler.rows("SELECT detail FROM gaps"))
    assert all(f"byte {at}" in details for at in places)
    again = filtered(crawler, web, path, code=1)
    assert again.summary["broken"] == told["broken"]
    assert again.summary["inputs"][path.name]["before"]
    assert filtered(crawler, web, path, tolerate_damage=True).summary["broken_records"] == 3
    shown = filtered(crawler, web, path, json=None, code=1).stdout
    assert "Damaged: 3 broken records in 1 file, 1 of them truncated." in shown
    check_laws(crawler.database, tmp_path / "none")


def test_a_damaged_snapshot_defers_whom_it_speaks_of(crawler: Crawler, tmp_path: Path) -> None:
    listed = tmp_path / "pages.txt"
    names = ("whole", "torn", "newer", "older", "headless", "cut")
    listed.write_text("".join(f"http://{name}.example/a\n" for name in names))
    robots = http(b"User-agent: *\nAllow: /\n", b"Content-Type: text/plain")
    late, early = (f"WARC-Date: {year}-01-01T00:00:00Z" for year in (2027, 2025))

    def answer(host: str, path: str, block: bytes, *more: str, **wrong: Any) -> bytes:
        made = record(f"http://{host}.example{path}", block, "response", *more, **wrong)
        return gzip.compress(made.replace(b"WARC-Date: 2026-01-01T00:00:00Z\r\n", b"", len(more)))

    absent = http(b"", first=b"HTTP/1.1 404 Not Found")
    others = (place for protocol in PROTOCOLS for place in protocol.PLACES if place != "/robots.txt")
    records = [answer(host, place, absent) for place in dict.fromkeys(others) for host in names]
    records += [answer(host, "/robots.txt", robots) for host in ("whole", "newer", "older")]
    records.append(answer("torn", "/robots.txt", robots, length=len(robots) - 4))
    records.append(answer("newer", "/robots.txt", robots, late, length=len(robots) - 4))
    records.append(answer("older", "/robots.txt", robots, early, length=len(robots) - 4))
    records.append(answer("headless", "/robots.txt", b"User-agent: *\nDisallow: /\n"))
    records.append(answer("cut", "/robots.txt", robots)[:-30])
    snapshot = tmp_path / "robotstxt.warc.gz"
    snapshot.write_bytes(b"".join(records))
    done = filtered(crawler, None, listed, offline=True, contact=None, snapshot=snapshot, code=1)
    assert {url: verdict for url, (verdict, _) in reasons(crawler, listed.name).items()} == {
        f"http://{name}.example/a": "deferred" for name in ("torn", "newer", "headless", "cut")
    }
    assert done.summary["broken"] == {f"--snapshot {snapshot}": {"records": 5, "cut": True}}
    assert len(done.stderr.splitlines()) == 5


def logged(crawler: Crawler, least: int) -> bool:
    return bool(crawler.rows("SELECT count(*) FROM decisions")[0][0] >= least)


def test_killed_it_goes_on_with_the_row_it_was_at(crawler: Crawler, tmp_path: Path, web: Web) -> None:
    inputs = []
    for number in range(2):
        path = tmp_path / f"{number}.parquet"
        rows = [{"url": f"http://{host}.example/{each % 350}"} for each in range(400) for host in ("yes", "no", "tdm")]
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=500)
        inputs.append(path)
    crawler.program = "filter"
    for count in (300, 1100, 1700):
        process = crawler.start(web, *map(str, inputs), retries=None)
        until(partial(logged, crawler, count))
        process.kill()
        process.wait()
    told = filtered(crawler, web, *inputs).summary
    assert told["counts"] == {"allowed": 2 * 800, "excluded": 2 * 400}
    for path in inputs:
        assert pq.read_metadata(crawler.out / "kept" / path.name).num_rows == 800
        assert pq.read_metadata(crawler.out / "reasons" / f"{path.name}.parquet").num_rows == 400
    assert sorted(path.name for path in (crawler.out / "kept").iterdir()) == [path.name for path in inputs]
    left = sorted(path.name for path in (crawler.out / "reasons").iterdir())
    assert left == [f"{path.name}.parquet" for path in inputs]
    assert crawler.rows("SELECT count(*), count(DISTINCT crawl) FROM decisions") == [(2400, 1)], "one for each row"
    decided = {
        row["decision"]
        for path in inputs
        for row in pq.read_table(crawler.out / "reasons" / f"{path.name}.parquet").to_pylist()
    }
    assert decided == {each for (each,) in crawler.rows("SELECT id FROM decisions WHERE verdict <> 'allowed'")}
    check_laws(crawler.database, tmp_path / "none")


def test_killed_in_a_damaged_archive_it_goes_on_and_counts_what_is_broken_once(
    crawler: Crawler, tmp_path: Path, web: Web
) -> None:
    url = "http://yes.example/{}".format
    octets = [gzip.compress(record(url(number), length=9 if number % 100 == 50 else None)) for number in range(1400)]
    path = tmp_path / "data.warc.gz"
    path.write_bytes(b"".join(octets))
    crawler.program = "filter"
    process = crawler.start(web, str(path), retries=None)
    until(partial(logged, crawler, 1100))
    process.kill()
    process.wait()
    told = filtered(crawler, web, path, code=1).summary
    assert told["counts"] == {"allowed": 1386, "deferred": 14}
    assert told["broken"] == {path.name: {"records": 14, "cut": False}}
    kept = [each for number, each in enumerate(octets) if number % 100 != 50]
    assert (crawler.out / "kept" / path.name).read_bytes() == b"".join(kept)
    assert crawler.rows("SELECT count(*), count(DISTINCT url) FROM decisions") == [(1400, 1400)], "each once"


def test_an_input_that_was_changed_meanwhile_is_begun_again(crawler: Crawler, tmp_path: Path, web: Web) -> None:
    listed = tmp_path / "pages.txt"
    listed.write_text("".join(f"http://yes.example/{number}\n" for number in range(1500)))
    crawler.program = "filter"
    process = crawler.start(web, str(listed), retries=None)
    until(partial(logged, crawler, 1050))
    process.kill()
    process.wait()
    listed.write_text("http://no.example/no\nhttp://yes.example/1\n")
    assert filtered(crawler, web, listed).summary["counts"] == {"allowed": 1, "excluded": 1}


def test_what_is_of_no_known_kind_is_wrong_use(crawler: Crawler, tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(b"\0")
    (tmp_path / "bad.parquet").write_bytes(b"no")
    pq.write_table(pa.table({"address": ["http://yes.example/"]}), tmp_path / "other.parquet")
    rows = pa.table({"url": [f"http://yes.example/{each}" for each in range(5000)]})
    pq.write_table(rows, tmp_path / "hurt.parquet", compression="gzip")
    octets = (tmp_path / "hurt.parquet").read_bytes()
    (tmp_path / "hurt.parquet").write_bytes(octets[:2000] + bytes(2000) + octets[4000:])
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(b"http://yes.example/\n" * 999)[:-9])
    told = {
        "hurt.parquet": "is damaged",
        "cut.txt.gz": "is damaged or cut off",
        "data.bin": "name its kind with --kind",
        "bad.parquet": "is not a Parquet file",
        "other.parquet": "name it with --url-column",
    }
    for name, words in told.items():
        assert words in filtered(crawler, None, tmp_path / name, offline=True, code=2).stderr
    done = filtered(crawler, None, tmp_path / "other.parquet", offline=True, url_column="address", out=tmp_path / "o")
    assert done.summary["counts"] == {"deferred": 1}
