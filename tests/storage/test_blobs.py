"""Evidence in a folder, in memory, and in a real S3-compatible server's bucket."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from pyarrow.fs import S3FileSystem
from sqlalchemy import Engine, text

from forbear.storage.database import StorageError, open_database, reading
from forbear.storage.db.blobs import BlobStore, blob_store, pack
from forbear.storage.db.records import now
from forbear.storage.log import evidence
from forbear.storage.log.writer import Writer
from forbear.storage.proof.erasure import by_url
from forbear.storage.proof.verify import Report, verify
from forbear.storage.reads.queries import Filter
from forbear.storage.reads.replay import ReplayOptions, replay

BODY = b"User-agent: *\nDisallow: /no\n"
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The URL of a bucket on a server of moto, a process of its own on loopback."""
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true"}
    program = "import sys; from moto.server import ThreadedMotoServer as S; s = S('127.0.0.1', 0, verbose=False); "
    program += "s.start(); print(s.get_host_and_port()[1], flush=True); sys.stdin.read(); s.stop()"
    server = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert server.stdin
    assert server.stdout
    port = int(server.stdout.readline())
    with pytest.MonkeyPatch.context() as patch:
        for name, value in keys.items():
            patch.setenv(name, value)
        place = {"region": "eu-central-1", "scheme": "http", "endpoint_override": f"127.0.0.1:{port}"}
        S3FileSystem(**place, allow_bucket_creation=True).create_dir("evidence")
        yield f"s3://evidence/of/crawls?{urlencode(place)}"
    server.stdin.close()
    server.wait()
    server.stdout.close()


@pytest.fixture(params=["folder", "memory", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store of each kind."""
    if request.param == "bucket":
        url: str = request.getfixturevalue("bucket")
        return url.replace("/of/crawls", f"/{uuid4().hex}")
    return str(tmp_path / "evidence") if request.param == "folder" else f"memory://{uuid4().hex}"


def test_contents_come_back(place: str) -> None:
    store = BlobStore(place)
    assert store.get([SHA256]) == {}
    store.put({SHA256: pack(BODY)})
    store.put({SHA256: pack(BODY)})  # another process was faster
    assert store.get([SHA256, "ab" * 32]) == {SHA256: BODY}
    store.remove([SHA256, "ab" * 32])
    assert store.get([SHA256]) == {}


def test_anybody_can_unpack_a_file_and_check_it(tmp_path: Path) -> None:
    BlobStore(f"file://{tmp_path}").put({SHA256: pack(BODY)})
    [file] = (path for path in tmp_path.rglob("*") if path.is_file())
    assert file == tmp_path / SHA256[:2] / f"{SHA256}.gz"
    assert hashlib.sha256(gzip.decompress(file.read_bytes())).hexdigest() == SHA256


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://key:secret@bucket/folder", "must not hold a key"),
        ("nothing://x", "cannot hold evidence"),
        ("s3://", "cannot hold evidence"),
    ],
)
def test_what_cannot_be_a_place(url: str, message: str) -> None:
    with pytest.raises(StorageError, match=message) as raised:
        BlobStore(url)
    assert "secret@" not in str(raised.value)


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be used"):
        BlobStore(str(tmp_path / "file")).put({SHA256: pack(BODY)})


@pytest.fixture
def outside(make: Any, database_url: str, place: str) -> Iterator[Any]:
    """A decision whose evidence is outside of the database, and the open database."""
    engine = open_database(database_url, evidence=place)
    writer = Writer(engine)
    writer.start()
    decided = [make.decided(f"https://{name}.example/no") for name in ("a", "a", "b")]
    for job in decided:
        writer.submit(job).result()
    writer.close()
    yield engine, decided
    engine.dispose()


def test_a_decision_rests_on_evidence_outside(outside: Any, place: str) -> None:
    engine, decided = outside
    capture = decided[0].captures[0]
    with engine.connect() as connection:
        assert connection.execute(text("SELECT content, place, size FROM bodies")).all() == [(b"", place, len(BODY))]
        assert evidence.load(connection, capture.id).body == BODY
        assert evidence.size(connection) == (3, 3 * len(BODY), 1, len(BODY), len(pack(BODY)), len(pack(BODY)))


def test_where_it_is_is_found_from_the_row_or_stated_again(
    outside: Any, place: str, engine: Engine, tmp_path: Path
) -> None:
    _, decided = outside
    wanted = decided[0].captures[0].id
    with engine.connect() as connection:
        assert evidence.load(connection, wanted).body == BODY
    moved = tmp_path / "moved"
    with engine.execution_options(evidence=blob_store(str(moved))).connect() as connection:
        with pytest.raises(KeyError):
            evidence.load(connection, wanted)
        BlobStore(str(moved)).put({SHA256: pack(BODY)})
        assert evidence.load(connection, wanted).body == BODY


@pytest.fixture
def in_folder(make: Any, database_url: str, tmp_path: Path) -> Iterator[Engine]:
    """A decision about https://a.example/no whose evidence is in a folder."""
    engine = open_database(database_url, evidence=str(tmp_path))
    writer = Writer(engine)
    writer.start()
    writer.submit(make.decided("https://a.example/no", at=now())).result()
    writer.close()
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    ("content", "change"),
    [
        (None, "deleted"),
        (b"", "edited"),
        (pack(BODY)[:-9], "deleted"),
        (b"no gzip", "deleted"),
        (pack(b"x"), "edited"),
    ],
    ids=["gone", "empty", "torn", "no gzip", "other"],
)
def test_what_is_gone_or_changed_is_reported(
    in_folder: Engine, database_url: str, tmp_path: Path, content: bytes | None, change: str
) -> None:
    BlobStore(str(tmp_path)).remove([SHA256])
    if content is not None:
        BlobStore(str(tmp_path)).put({SHA256: content})
    [batch] = replay(database_url, Filter(), ReplayOptions())
    gone = {"deleted": "evidence that it rests on is gone", "edited": "stored content is not what was received"}
    assert {one.problem for one in batch.differences} == {gone[change]}
    with reading(in_folder) as connection:
        assert [(one.change, one.ref) for one in verify(connection, Report())] == [(change, SHA256)]


def test_what_is_erased_leaves_the_folder_too(in_folder: Engine, database_url: str, tmp_path: Path) -> None:
    with reading(in_folder) as connection:
        assert list(verify(connection, Report())) == []
    assert list(by_url(in_folder, "https://a.example/robots.txt", "a test"))
    assert BlobStore(str(tmp_path)).get([SHA256]) == {}
    with reading(in_folder) as connection:
        assert list(verify(connection, Report())) == []
    [batch] = replay(database_url, Filter(), ReplayOptions())
    assert (batch.decisions, batch.erased, batch.differences) == (1, 1, [])


def test_the_content_is_there_before_the_row(
    make: Any, database_url: str, tmp_path: Path, write: Callable[..., list[int]], engine: Engine
) -> None:
    """A row whose content could not be written is not written either."""
    shut = tmp_path / "shut"
    shut.write_text("a file, no folder")
    opened = open_database(database_url, evidence=str(shut))
    writer = Writer(opened)
    writer.start()
    with pytest.raises(StorageError, match="cannot be used"):
        writer.submit(make.decided("https://a.example/")).result()
    writer.close()
    opened.dispose()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1 FROM decisions UNION SELECT 2 FROM captures")).all() == []
