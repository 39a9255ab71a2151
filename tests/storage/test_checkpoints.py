from __future__ import annotations

import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID
from rfc3161_client import TimestampRequestBuilder
from sqlalchemy import Engine

from forbear.storage.chain import chain, signed_note
from forbear.storage.chain.signed_note import Checkpoint, SignerKey
from forbear.storage.database import reading, writing
from forbear.storage.db.records import now
from forbear.storage.db.schema import checkpoints as stored
from forbear.storage.proof import checkpoints, keys, timestamps, witnesses
from forbear.storage.proof.keys import BadKey
from forbear.storage.proof.timestamps import BadTimestamp
from forbear.storage.proof.verify import Report, verify
from forbear.storage.proof.witnesses import Unwitnessed

Write = Callable[..., list[int]]
KEY = SignerKey("log.example/forbear", Ed25519PrivateKey.generate())
NOTE = KEY.sign(Checkpoint(KEY.name, 306, bytes(32)).text)


@dataclass
class Answers:
    """What a server is asked, and how it answers: a status, a type, and a body made from what came."""

    status: int = 200
    media_type: str = "text/plain"
    make: Callable[[bytes], bytes] = lambda _body: b""
    asked: list[tuple[str, str, bytes]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def server() -> Iterator[Answers]:
    answers = Answers()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answers.asked.append((self.command, self.path, body))
            answer = answers.make(body)
            self.send_response(answers.status)
            self.send_header("Content-Type", answers.media_type)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_PUT = do_POST  # noqa: N815 - so that is called

        def log_message(self, *words: object) -> None:
            """Says nothing."""

    http = HTTPServer(("127.0.0.1", 0), Handler)
    answers.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield answers
    http.shutdown()
    http.server_close()
    thread.join()


# --- the key


def test_a_key_is_kept_encrypted_and_shown_without_its_passphrase(tmp_path: Path) -> None:
    path = tmp_path / "forbear.key"
    verifier = keys.create(path, "log.example/forbear", "correct horse")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "BEGIN ENCRYPTED PRIVATE KEY" in path.read_text()
    assert keys.public(path) == verifier
    signer = keys.load(path, "correct horse")
    assert signed_note.verify(signer.sign(Checkpoint("x", 1, bytes(32)).text), verifier).size == 1
    only = tmp_path / "forbear.vkey"
    only.write_text(f"{verifier.text}\n")
    assert keys.public(only) == verifier
    printed = subprocess.run(
        ["openssl", "pkey", "-in", str(path), "-passin", "pass:correct horse", "-pubout", "-outform", "DER"],
        capture_output=True,
        check=True,
    )
    assert printed.stdout.endswith(verifier.public)


def test_what_is_not_a_key_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "forbear.key"
    with pytest.raises(BadKey, match="passphrase is empty"):
        keys.create(path, "log.example/forbear", "")
    with pytest.raises(BadKey, match="not a valid key name"):
        keys.create(path, "a name", "secret")
    keys.create(path, "log.example/forbear", "secret")
    with pytest.raises(BadKey, match="exists already"):
        keys.create(path, "log.example/forbear", "secret")
    with pytest.raises(BadKey, match="does not open"):
        keys.load(path, "another")
    other = tmp_path / "other.key"
    keys.create(other, "log.example/forbear", "secret")
    line, rest = other.read_text().partition("\n")[0], path.read_text().partition("\n")[2]
    other.write_text(f"{line}\n{rest}")
    with pytest.raises(BadKey, match="names another key"):
        keys.load(other, "secret")
    clear = KEY.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    other.write_bytes(f"{KEY.verifier.text}\n".encode() + clear)
    with pytest.raises(BadKey, match="not encrypted"):
        keys.load(other, "secret")
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = rsa_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    other.write_bytes(f"{KEY.verifier.text}\n".encode() + pem)
    with pytest.raises(BadKey, match="names another key"):
        keys.load(other, "secret")
    for content in (b"nothing", b"\xff\xfe"):
        other.write_bytes(content)
        with pytest.raises(BadKey, match="is not a key"):
            keys.public(other)


# --- checkpoints


def test_a_checkpoint_is_a_row_of_the_log(engine: Engine, make: Any, write: Write) -> None:
    write(make.decided("https://a.example/", at=now()))
    first = checkpoints.sign(engine, KEY)
    assert (first.new, first.size) == (True, 3)
    with engine.connect() as connection:
        assert signed_note.verify(first.note, KEY.verifier).root == chain.tree(connection, 3).root()
        assert chain.size(connection) == 4
    assert checkpoints.sign(engine, KEY) == first._replace(new=False)
    other = SignerKey("other.example/log", Ed25519PrivateKey.generate())
    assert checkpoints.sign(engine, other).new
    write(make.decided("https://a.example/2", at=now()))
    last = checkpoints.sign(engine, KEY)
    assert last.size == 7
    with reading(engine) as connection:
        assert checkpoints.latest(connection) == last._replace(new=False)
        assert checkpoints.latest(connection, covering=6) == last._replace(new=False)
        assert checkpoints.latest(connection, covering=7) is None
        report = Report()
        assert list(verify(connection, report, keys=[KEY.verifier, other.verifier])) == []
        assert len(report.checkpoints) == 3


def test_an_empty_log_has_a_checkpoint_too(engine: Engine) -> None:
    assert checkpoints.sign(engine, KEY).size == 0
    with reading(engine) as connection:
        assert list(verify(connection, Report(), keys=[KEY.verifier])) == []


# --- timestamps


class Authority:
    """A timestamp authority (RFC 3161) by openssl, with a certificate of its own root."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        root_key, key = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in "12")
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Root")])
        self.root = self._certificate(name, name, root_key.public_key(), root_key, ca=True)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Authority")])
        certificate = self._certificate(subject, name, key.public_key(), root_key, ca=False)
        (folder / "tsa.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        (folder / "tsa.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        (folder / "serial").write_text("01\n")
        (folder / "tsa.cnf").write_text(
            f"[tsa]\ndefault_tsa = t\n[t]\nserial = {folder}/serial\nsigner_cert = {folder}/tsa.pem\n"
            f"signer_key = {folder}/tsa.key\nsigner_digest = sha256\ndefault_policy = 1.2.3.4\n"
            "digests = sha256, sha384, sha512\n"
        )

    @staticmethod
    def _certificate(subject: Any, issuer: Any, public: Any, signer: Any, *, ca: bool) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now() - timedelta(days=1))
            .not_valid_after(now() + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        )
        if not ca:
            stamping = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
            builder = builder.add_extension(stamping, critical=True)
        signed: x509.Certificate = builder.sign(signer, hashes.SHA256())
        return signed

    def answer(self, request: bytes) -> bytes:
        """The response to a request, DER."""
        (self._folder / "q").write_bytes(request)
        command = ["openssl", "ts", "-reply", "-config", "tsa.cnf", "-queryfile", "q", "-out", "r"]
        subprocess.run(command, cwd=self._folder, check=True, capture_output=True)
        return (self._folder / "r").read_bytes()


@pytest.fixture
def authority(tmp_path: Path, server: Answers) -> Authority:
    authority = Authority(tmp_path)
    server.media_type, server.make = "application/timestamp-reply", authority.answer
    return authority


def test_an_authority_stamps_a_checkpoint(
    engine: Engine, authority: Authority, server: Answers, tmp_path: Path
) -> None:
    signed = checkpoints.sign(engine, KEY, lambda note: timestamps.ask(server.url, note))
    assert signed.timestamp is not None
    stamped = timestamps.check(signed.timestamp, signed.note.encode(), [authority.root])
    assert abs(now() - stamped) < timedelta(minutes=5)
    report = Report()
    with reading(engine) as connection:
        assert list(verify(connection, report, roots=[authority.root])) == []
        assert report.timestamps == 1
        other = tmp_path / "other"
        other.mkdir()
        [finding] = verify(connection, Report(), roots=[Authority(other).root])
        assert (finding.change, finding.kind) == ("unsigned", "checkpoint")
        assert "not by an authority that you named" in finding.detail


def test_a_checkpoint_earlier_than_its_timestamp_is_back_dated(
    engine: Engine, authority: Authority, server: Answers
) -> None:
    checkpoints.sign(engine, KEY, lambda note: timestamps.ask(server.url, note))
    with writing(engine) as connection:
        connection.execute(stored.update().values(at=now() - timedelta(days=1)))
    with reading(engine) as connection:
        found = [(finding.change, finding.kind) for finding in verify(connection, Report())]
    assert ("back-dated", "checkpoint") in found


def test_a_timestamp_for_another_text_is_none(authority: Authority, server: Answers) -> None:
    response = timestamps.ask(server.url, b"this")
    with pytest.raises(BadTimestamp, match="for another text"):
        timestamps.check(response, b"that")
    for wrong in (b"", b"nothing", response[:100]):
        with pytest.raises(BadTimestamp, match="not a timestamp"):
            timestamps.check(wrong, b"this")


def test_an_authority_that_gives_none_is_reported(authority: Authority, server: Answers) -> None:
    old = authority.answer(TimestampRequestBuilder().data(b"x").nonce(nonce=True).build().as_bytes())
    server.make = lambda _body: old
    with pytest.raises(BadTimestamp, match="answered another request"):
        timestamps.ask(server.url, b"x")
    server.make = lambda _body: authority.answer(b"nonsense")
    with pytest.raises(BadTimestamp, match="gave no timestamp"):
        timestamps.ask(server.url, b"x")
    server.status = 500
    with pytest.raises(BadTimestamp, match="it answered 500"):
        timestamps.ask(server.url, b"x")
    server.status, server.media_type = 200, "text/html"
    with pytest.raises(BadTimestamp, match="it answered 200"):
        timestamps.ask(server.url, b"x")
    for url in ("http://127.0.0.1:1/", "no URL"):
        with pytest.raises(BadTimestamp, match="cannot be reached"):
            timestamps.ask(url, b"x")


# --- witnesses


def test_a_folder_keeps_each_and_a_file_the_latest(tmp_path: Path) -> None:
    witnesses.write(str(tmp_path), NOTE)
    assert (tmp_path / "checkpoint-000000000306.txt").read_text() == NOTE
    file = tmp_path / "latest.txt"
    file.write_text("older")
    witnesses.write(str(file), NOTE)
    assert file.read_text() == NOTE
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-000000000306.txt", "latest.txt"}
    with pytest.raises(Unwitnessed, match=r"could not be written to .*nowhere"):
        witnesses.write(str(tmp_path / "nowhere" / "latest.txt"), NOTE)


def test_a_server_is_sent_each(server: Answers) -> None:
    witnesses.write(f"{server.url}/a/", NOTE)
    witnesses.write(f"{server.url}/b", NOTE)
    assert server.asked == [
        ("PUT", "/a/checkpoint-000000000306.txt", NOTE.encode()),
        ("POST", "/b", NOTE.encode()),
    ]
    server.status = 403
    with pytest.raises(Unwitnessed, match="it answered 403"):
        witnesses.write(server.url, NOTE)
    with pytest.raises(Unwitnessed, match=r"could not be written to http://127.0.0.1:1/: "):
        witnesses.write("http://127.0.0.1:1/", NOTE)


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True).stdout


def test_a_git_repository_has_a_commit_of_each_and_pushes_it(tmp_path: Path) -> None:
    remote, work = tmp_path / "remote", tmp_path / "work"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(remote))
    git(tmp_path, "init", "--quiet", "--initial-branch=main", str(work))
    (work / "other.txt").write_text("not ours")
    git(work, "add", "other.txt")
    later = KEY.sign(Checkpoint(KEY.name, 307, bytes(32)).text)
    witnesses.write(f"git:{work}", NOTE)
    git(work, "remote", "add", "origin", str(remote))
    git(work, "push", "--quiet", "--set-upstream", "origin", "main")
    for _ in "twice":
        witnesses.write(f"git:{work}", later)
    for folder in (work, remote):
        assert git(folder, "log", "--format=%s %an", "main").splitlines() == [
            "Checkpoint of 307 rows Forbear",
            "Checkpoint of 306 rows Forbear",
        ]
    assert git(remote, "show", "main:checkpoint.txt") == later
    assert git(work, "ls-tree", "--name-only", "main").split() == ["checkpoint.txt"]
    git(work, "remote", "set-url", "origin", str(tmp_path / "gone"))
    with pytest.raises(Unwitnessed, match="could not be written to git:"):
        witnesses.write(f"git:{work}", NOTE)
    (tmp_path / "plain").mkdir()
    with pytest.raises(Unwitnessed, match="not a git repository"):
        witnesses.write(f"git:{tmp_path / 'plain'}", NOTE)
