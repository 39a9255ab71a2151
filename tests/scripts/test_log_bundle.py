"""``forbear log --bundle``: a case that is read in a browser and checked without Forbear."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pdfplumber
import pytest
from click.testing import CliRunner
from sqlalchemy import Engine

from forbear.optout import policy
from forbear.optout.model import Capture, Decision, Preference, Profile, Reason, Stage, Use, Verdict
from forbear.optout.readers.url import parse
from forbear.scripts.__main__ import cli
from forbear.storage.db.records import (
    CaptureRecord,
    DecisionRecord,
    Keep,
    PageRecord,
    RecordDecision,
    RecordPage,
    new_id,
    now,
)
from forbear.storage.log.crawls import CrawlRecord, begin
from forbear.storage.log.evidence import load
from forbear.storage.log.writer import Writer
from forbear.storage.proof import checkpoints, keys

HOSTILE = "<script>document.title='run'</script><img src=x onerror=\"document.title='run'\">#text(1em)[x] $a$ \\"
ROBOTS = f"User-agent: *\nDisallow: /a\n# {HOSTILE}\nDisallow: /b\n".encode()
COOKIE = ("Set-Cookie", "session=s3cret")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "operator.key"
    keys.create(path, "operator.example/forbear", "pass")
    return path


@pytest.fixture
def logged(engine: Engine) -> None:
    """Three decisions about a site: two excluded, by a hostile comment and a page's header; one page kept."""
    record = CrawlRecord(
        "0.1.0", "ForbearBot", "ForbearBot/0.1.0", "https://operator.example/", Use.TRAIN_AI, Profile.STANDARD, False,
        policy.load(), {},
    )  # fmt: skip
    writer = Writer(engine)
    writer.start()
    at = now()
    crawl = writer.call(lambda connection: begin(connection, record, at)).result().id
    robots = CaptureRecord(new_id(), at, at, Capture("https://a.example/robots.txt", 200, (COOKIE,), ROBOTS))

    def job(
        url: str, verdict: Verdict, stage: Stage, reasons: tuple[Reason, ...], *pages: CaptureRecord
    ) -> RecordDecision:
        decision = Decision(verdict, stage, parse(url).href, reasons, (), (), dict.fromkeys(Profile, verdict))
        ids = (robots.id, *(page.id for page in pages))
        return RecordDecision(DecisionRecord(new_id(), now(), crawl, url, decision, captures=ids), (robots, *pages))

    page = Capture("https://a.example/p?user=jane", 200, (("X-Robots-Tag", "noai"),), b"a page that nobody may keep")
    seen = CaptureRecord(new_id(), at, None, page, Keep.QUOTED)
    no = Reason("robots", Preference.DISALLOW, HOSTILE, robots.capture.url, "line 3", "1.3(1)(a)")
    tag = Reason("robots-meta", Preference.DISALLOW, "noai", page.url, "header x-robots-tag", "1.3(1)(b)")
    kept = job("https://a.example/ok", Verdict.ALLOWED, Stage.PAGE, ())
    copy = PageRecord(kept.decision.id, crawl, "https://a.example/ok", at, "1.warc.gz", 0, 9, "ab" * 32, "text/html", 9)
    for each in (
        job("https://a.example/b", Verdict.EXCLUDED, Stage.REQUEST, (no,)),
        job(page.url, Verdict.EXCLUDED, Stage.PAGE, (tag,), seen),
        kept,
        RecordPage(copy),
    ):
        writer.submit(each).result()
    writer.close()


@pytest.fixture
def forbear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str):
    """Runs ``forbear log`` on that database; gives what it says."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(cli, ["log", "--db", database_url, *words])
        assert done.exit_code == code, done.output
        return done.output

    return run


@pytest.fixture
def signed(engine: Engine, key: Path, logged: None) -> str:
    """The key that signed the log."""
    checkpoints.sign(engine, keys.load(key, "pass"))
    return str(key)


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def checked(folder: Path, path: Path) -> subprocess.CompletedProcess[str]:
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    command = [sys.executable, "-I", str(folder / "verify.py")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("choice", ["--redact", "--no-redact"])
def test_a_case_is_whole_and_checks_without_forbear(forbear, signed: str, tmp_path: Path, choice: str) -> None:
    result = forbear("--bundle", "case.zip", "--key", signed, choice)
    assert "case.zip: 3 decisions, 2 captures, 6 proofs." in result
    files = contents(tmp_path / "case.zip")
    assert files.keys() >= {
        "decisions.jsonl", "captures/captures.jsonl", "proofs.jsonl", "checkpoint.txt", "key.vkey", "verify.py",
        "index.html", "report.pdf", f"policy/{policy.load().digest}.json",
    }  # fmt: skip
    assert [content for name, content in files.items() if name.startswith("captures/") and ".jsonl" not in name] == [
        ROBOTS
    ]
    done = checked(tmp_path / "case", tmp_path / "case.zip")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "2 capture, 1 captures, 3 decision, 1 page, 1 policy" in done.stdout


def test_who_is_named_in_a_url_is_not_in_the_case(forbear, signed: str, tmp_path: Path) -> None:
    forbear("--bundle", "case.zip", "--key", signed)
    for name, content in contents(tmp_path / "case.zip").items():
        assert b"jane" not in content, name
        assert b"s3cret" not in content, name
    rows = [json.loads(line) for line in contents(tmp_path / "case.zip")["decisions.jsonl"].splitlines()]
    [row] = [row for row in rows if "redacted" in row]
    assert row.keys() == {"record", "redacted"}
    assert row["redacted"]["url"] == "https://a.example/p?user=redacted"
    forbear("--bundle", "whole.zip", "--key", signed, "--no-redact")
    whole = contents(tmp_path / "whole.zip")
    assert b"user=jane" in whole["index.html"]
    assert b"s3cret" in whole["captures/captures.jsonl"]


def test_the_report_shows_each_quotation_in_its_place_and_runs_none(forbear, signed: str, tmp_path: Path) -> None:
    forbear("--bundle", "case.zip", "--key", signed, "--domain", "a.example")
    files = contents(tmp_path / "case.zip")
    page = files["index.html"].decode()
    assert "<script" not in page
    assert "<img" not in page
    assert "default-src 'none'" in page
    assert "# <mark>&lt;script&gt;" in page
    assert "\nDisallow: /b" in page
    assert "X-Robots-Tag: <mark>noai</mark>" in page
    assert not any(f'{name}="http' in page for name in ("src", "href"))
    with pdfplumber.open(io.BytesIO(files["report.pdf"])) as report:
        text = "".join(sheet.extract_text() for sheet in report.pages).replace("\u200b", "").replace("\n", "")
    assert "<script>document.title='run'</script>" in text
    assert "X-Robots-Tag: noai" in text


def test_what_cannot_be_bundled(forbear, engine: Engine, key: Path, logged: None, tmp_path: Path) -> None:
    assert "--bundle needs the key that signed" in forbear("--bundle", "case.zip", code=2)
    assert "No checkpoint covers" in forbear("--bundle", "case.zip", "--key", str(key), code=4)
    checkpoints.sign(engine, keys.load(key, "pass"))
    assert "nothing to bundle" in forbear("--bundle", "case.zip", "--key", str(key), "--domain", "b.example", code=4)
    other = keys.create(tmp_path / "other.key", "operator.example/other", "pass")
    assert "not by the key" in forbear("--bundle", "case.zip", "--key", other.text, code=4)
    assert not list(tmp_path.glob("*.zip*"))
    assert not list(tmp_path.glob(".*.new"))


def test_evidence_that_is_gone_makes_no_case(forbear, engine: Engine, signed: str, tmp_path: Path) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE bodies SET content = %s" % ("x''" if engine.dialect.name == "sqlite" else "''")
        )
        capture = connection.exec_driver_sql("SELECT id FROM captures WHERE body IS NOT NULL").scalar_one()
        with pytest.raises(KeyError):
            load(connection, capture)
    assert "is gone or damaged: run `forbear verify`" in forbear("--bundle", "case.zip", "--key", signed, code=4)
    assert not (tmp_path / "case.zip").exists()
