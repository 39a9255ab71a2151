"""The independent verifier on a bundle of a real log: run as a program that knows nothing of Forbear."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine

from forbear.optout.model import Capture, Verdict
from forbear.storage.chain import chain, signed_note
from forbear.storage.chain.chain import ChainRow
from forbear.storage.chain.signed_note import SignerKey
from forbear.storage.db.records import Keep, now
from forbear.storage.proof import checkpoints, erasure
from forbear.storage.reads import verify_bundle

Write = Callable[..., list[int]]
PROGRAM = Path(verify_bundle.__file__)
KEY = SignerKey("log.example/forbear", Ed25519PrivateKey.generate())
BODY = b"User-agent: *\nDisallow: /no\n"


def line(sealed: ChainRow) -> str:
    words = f',"salt":"{sealed.salt}","payload":{sealed.payload}' if sealed.salt else ""
    return f'{{"record":{sealed.record}{words}}}\n'


@pytest.fixture
def bundle(engine: Engine, make: Any, write: Write, tmp_path: Path) -> Path:
    """A folder with 21 decisions, one of which was erased, the page kept by one, and their captures."""
    header = ("X-Odd", 'half \udc80 "quoted" ü \u2028 \0')
    page = make.robots(
        "https://a.example/p", capture=Capture("https://a.example/p", 200, (header,), b"<p>"), keep=Keep.QUOTED
    )
    robots = make.robots("https://a.example/", body=BODY)
    jobs = [make.decided(f"https://a.example/{n}", at=now(), captures=(robots,)) for n in range(19)]
    jobs.append(
        make.decided("https://a.example/p", Verdict.EXCLUDED, at=now(), captures=(robots, page), quote='"ü" \\')
    )
    jobs.append(make.decided("https://a.example/erased", at=now(), captures=(robots,)))
    write(*jobs)
    write(make.kept(jobs[0], at=now()))
    assert sum(erasure.by_url(engine, "https://a.example/erased", "asked for")) == 1
    signed = checkpoints.sign(engine, KEY)
    folder = tmp_path / "case"
    (folder / "captures").mkdir(parents=True)
    with engine.connect() as connection:
        ids = [job.decision.id for job in jobs]
        decisions = [*chain.chain_rows(connection, "decision", ids), *chain.chain_rows(connection, "page", ids)]
        captures = chain.chain_rows(connection, "capture", [robots.id, page.id])
        tree = chain.tree(connection, signed.size)
        proofs = [
            {
                "position": row.position,
                "leaf": row.leaf.hex(),
                "path": [node.hex() for node in tree.inclusion(row.position)],
            }
            for row in (*decisions, *captures)
        ]
    (folder / "decisions.jsonl").write_text("".join(map(line, decisions)))
    (folder / "captures" / "captures.jsonl").write_text("".join(map(line, captures)))
    (folder / "captures" / captures_digest(captures)).write_bytes(BODY)
    (folder / "proofs.jsonl").write_text("".join(f"{json.dumps(proof)}\n" for proof in proofs))
    (folder / "checkpoint.txt").write_text(signed.note)
    (folder / "key.vkey").write_text(f"{KEY.verifier.text}\n")
    shutil.copy(PROGRAM, folder / "verify.py")
    return folder


def captures_digest(captures: list[ChainRow]) -> str:
    digests: list[str] = [
        row["body_sha256"] for row in (json.loads(c.record)["row"] for c in captures) if row["body_bytes"] > 3
    ]
    return digests[0]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """In isolated mode, where neither this project nor the folder is on the path."""
    command = [sys.executable, "-I", str(folder / "verify.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")


def test_it_shares_no_code_with_the_project() -> None:
    allowed = {*sys.stdlib_module_names, "cryptography"}
    imported = [
        node for node in ast.walk(ast.parse(PROGRAM.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    for node in imported:
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
        assert {name.partition(".")[0] for name in names} <= allowed


def test_a_bundle_as_it_was_made(bundle: Path) -> None:
    done = run(bundle)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "(the bundle's own key)" in done.stdout
    assert done.stdout.splitlines()[-1] == "In the bundle: 2 capture, 1 captures, 21 decision, 1 page"
    assert run(bundle, "--key", KEY.verifier.text).returncode == 0
    packed = bundle.parent / "case.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in bundle.rglob("*"):
            archive.write(path, path.relative_to(bundle))
    assert run(bundle, str(packed), "--key", KEY.verifier.text).returncode == 0


TAMPERINGS: list[tuple[str, str, str, str, str]] = [
    (
        "a verdict",
        "decisions.jsonl",
        '"verdict":"excluded"',
        '"verdict":"allowed"',
        "the record does not have its hash",
    ),
    ("a URL", "decisions.jsonl", "https://a.example/3", "https://a.example/4", "the words are not those"),
    ("a quotation", "decisions.jsonl", '\\"ü\\" \\\\', "ü", "the words are not those"),
    ("a salt", "decisions.jsonl", '"salt":"', '"salt":"00', "the words are not those"),
    ("no salt", "decisions.jsonl", '"salt":', '"pepper":', "words without a salt"),
    ("a position", "decisions.jsonl", '"position":5,', '"position":6,', "the record does not have its hash"),
    ("a header", "captures/captures.jsonl", "half", "whole", "the words are not those"),
    ("a leaf", "proofs.jsonl", '"leaf": "', '"leaf": "00', "the record does not have its hash"),
    ("a path", "proofs.jsonl", '"path": ["', f'"path": ["{"00" * 32}", "', "the path is too long"),
    ("a shorter path", "proofs.jsonl", '"path": ["', '"path": [], "rest": ["', "the path is too short"),
    ("a proof", "proofs.jsonl", '"position": 3,', '"position": 3000,', "it has no proof"),
    ("a body", "captures/*", "Disallow", "Allow", "does not have the digest"),
    ("no capture", "captures/captures.jsonl", '"record"', '"x"', "is missing"),
    ("the size", "checkpoint.txt", "\n26\n", "\n27\n", "the signature under the checkpoint is not by this key"),
    ("another key", "key.vkey", "log.example", "lag.example", "the verifier key is malformed"),
    ("no key", "key.vkey", "+", " ", "is not a verifier key, NAME+ID+BASE64"),
    ("no line", "decisions.jsonl", "{", "nothing", "decisions.jsonl, line 1"),
]


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"), [row[1:] for row in TAMPERINGS], ids=lambda value: value[:20]
)
def test_what_was_changed_is_named(bundle: Path, name: str, old: str, new: str, sentence: str) -> None:
    [path] = [path for path in bundle.glob(name) if path.suffix in Path(name).suffix or not path.suffix]
    before = path.read_text()
    assert old in before
    path.write_text(before.replace(old, new))
    done = run(bundle)
    assert done.returncode == 1
    assert sentence in done.stdout + done.stderr
    assert "WRONG" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_key_of_somebody_else(bundle: Path) -> None:
    other = SignerKey(KEY.name, Ed25519PrivateKey.generate()).verifier
    done = run(bundle, "--key", other.text)
    assert done.returncode == 1
    assert "did not sign the checkpoint" in done.stderr


def test_a_checkpoint_by_somebody_else(bundle: Path) -> None:
    checkpoint = signed_note.parse((bundle / "checkpoint.txt").read_text())
    other = SignerKey(KEY.name, Ed25519PrivateKey.generate())
    (bundle / "checkpoint.txt").write_text(other.sign(checkpoint.text))
    assert "did not sign the checkpoint" in run(bundle).stderr


def test_what_is_not_a_bundle(bundle: Path, tmp_path: Path) -> None:
    for where in (tmp_path / "nothing", bundle / "key.vkey", bundle / "captures"):
        done = run(bundle, str(where))
        assert done.returncode == 1
        assert "cannot be checked" in done.stderr
