"""``forbear log``, ``lookup`` and ``db upgrade``, in every output format, on both databases."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner
from pyarrow import parquet
from sqlalchemy import Engine

from forbear.optout import policy
from forbear.optout.model import Capture, Decision, Preference, Profile, Reason, Stage, Use, Verdict
from forbear.optout.readers.url import parse
from forbear.scripts import log as log_command
from forbear.scripts.__main__ import cli
from forbear.scripts.output import write_rows
from forbear.storage.database import hide_password, writing
from forbear.storage.db.records import (
    CaptureRecord,
    DecisionRecord,
    Job,
    PageRecord,
    RecordDecision,
    RecordPage,
    new_id,
)
from forbear.storage.log.crawls import CrawlRecord, begin
from forbear.storage.log.log import write
from forbear.storage.reads.columns import LOG

ROOT = Path(__file__).parents[2]
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYS = (
    "id", "at", "crawl", "url", "host", "domain", "verdict", "reasons", "stage", "status", "content_sha256", "bytes",
    "engine", "policy", "verdict_standard", "verdict_strict",
)  # fmt: skip


ROW: dict[str, Any] = dict.fromkeys(KEYS) | {
    "at": datetime(2026, 3, 1, 12, tzinfo=UTC).isoformat(),
    "verdict": "allowed",
    "stage": "page",
    "url": "https://a.example/",
    "reasons": [],
}


@pytest.fixture
def forbear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs the program in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        result = CliRunner().invoke(cli, words)
        return subprocess.CompletedProcess(words, result.exit_code, result.stdout, result.stderr)

    return run


def decided(crawl: str, url: str, verdict: Verdict, day: int, *reasons: Reason) -> RecordDecision:
    robots = Capture(f"{parse(url).origin}/robots.txt", 200, (), b"User-agent: *\nDisallow: /no\n")
    evidence = CaptureRecord(new_id(), AT, None, robots)
    decision = Decision(verdict, Stage.REQUEST, parse(url).href, reasons, (), (), dict.fromkeys(Profile, verdict))
    record = DecisionRecord(new_id(), AT + timedelta(days=day), crawl, url, decision, captures=(evidence.id,))
    return RecordDecision(record, (evidence,))


def reason(host: str, protocol: str = "robots", measure: str = "1.3(1)(a)", quote: str = "Disallow: /no") -> Reason:
    return Reason(protocol, Preference.DISALLOW, quote, f"https://{host}/robots.txt", "line 2", measure)


@pytest.fixture
def database(engine: Engine, database_url: str) -> str:
    """A crawl of four sites: one excluded, one kept, one deferred, one allowed and not kept."""
    with writing(engine) as connection:
        crawl = begin(
            connection,
            CrawlRecord(
                engine="0.1.0",
                agent="ForbearBot",
                user_agent="ForbearBot/0.1.0",
                contact="https://operator.example/",
                use=Use.TRAIN_AI,
                profile=Profile.STANDARD,
                shadow=False,
                policy=policy.load(),
                configuration={},
            ),
            AT,
        ).id
        kept = decided(crawl, "https://www.example.org/a", Verdict.ALLOWED, 1)
        record = kept.decision
        page = PageRecord(record.id, crawl, record.url, record.at, "1.warc.gz", 0, 9, "ab" * 32, "text/html", 9)
        token = reason("shut.example", "content-signal", "1.3(1)(b)", "ai-train=no, =cmd|' /C calc'!A0")
        jobs: list[Job] = [
            decided(crawl, "https://shut.example/no/ü", Verdict.EXCLUDED, 0, reason("shut.example"), token),
            kept,
            RecordPage(page),
            decided(crawl, "https://later.example/", Verdict.DEFERRED, 2, reason("later.example", quote="timeout")),
            decided(crawl, "https://open.example/", Verdict.ALLOWED, 3),
        ]
        for job in jobs:
            write(connection, [job])
    return database_url


def rows(forbear, database: str, *words: str) -> list[dict[str, Any]]:
    done = forbear("log", "--db", database, "--format", "jsonl", *words)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_line_for_each_decision(forbear, database: str) -> None:
    found = rows(forbear, database)
    assert [row["domain"] for row in found] == ["shut.example", "example.org", "later.example", "open.example"]
    assert all(tuple(row) == KEYS for row in found)
    first = found[0]
    assert (first["verdict"], first["stage"], first["engine"]) == ("excluded", "request", "0.1.0")
    assert datetime.fromisoformat(first["at"]) == AT
    assert first["reasons"][0] == {
        "protocol": "robots",
        "preference": "disallow",
        "quote": "Disallow: /no",
        "source": "https://shut.example/robots.txt",
        "where": "line 2",
        "measure": "1.3(1)(a)",
    }


@pytest.mark.parametrize(
    ("words", "domains"),
    [
        (["--domain", "example.org"], ["example"]),
        (["--domain", "example.org", "--no-subdomains"], []),
        (["--domain", "www.example.org", "--no-subdomains"], ["example"]),
        (["--url", "https://shut.example/no/"], ["shut"]),
        (["--url", "https://shut.example/yes/"], []),
        (["--protocol", "content-signal"], ["shut"]),
        (["--measure", "1.3(1)(a)"], ["shut", "later"]),
        (["--verdict", "deferred"], ["later"]),
        (["--stage", "page"], []),
        (["--crawl", "unknown"], []),
        (["--since", "2026-03-03"], ["later", "open"]),
        (["--until", "2026-03-02T14:00:00+02:00"], ["shut"]),
        (["--since", "2026-03-02T12:00:00Z", "--until", "2026-03-03T12:00:00Z"], ["example"]),
        (["--limit", "2"], ["later", "open"]),
    ],
)
def test_filters(forbear, database: str, words: list[str], domains: list[str]) -> None:
    assert [row["domain"].partition(".")[0] for row in rows(forbear, database, *words)] == domains


def test_json_is_lines_of_json(forbear, database: str) -> None:
    lines = forbear("log", "--db", database, "--format", "jsonl").stdout
    assert forbear("log", "--db", database, "--json").stdout == lines
    assert lines.count("\n") == 4


def test_parquet_is_not_for_a_terminal(database: str) -> None:
    outer, inner = os.openpty()
    command = [sys.executable, "-m", "forbear", "log", "--db", database, "--format", "parquet"]
    done = subprocess.run(command, cwd=ROOT, stdout=inner, stderr=subprocess.PIPE, text=True, timeout=200, check=False)
    os.close(inner)
    os.close(outer)
    assert done.returncode == 2
    assert "Parquet cannot be shown on a terminal. Add > log.parquet to write it to a file." in done.stderr


def test_a_log_without_such_a_decision_says_so(forbear, database: str) -> None:
    done = forbear("log", "--db", database, "--protocol", "ai-txt")
    assert (done.returncode, done.stdout.splitlines()[1:]) == (0, ["No decisions match."])
    assert forbear("log", "--db", database, "--protocol", "ai-txt", "--json").stdout == ""


def test_people_get_a_table(forbear, database: str) -> None:
    done = forbear("log", "--db", database, "--verdict", "excluded")
    assert done.stdout.splitlines() == [
        "at                    verdict   stage    url",
        "2026-03-01 12:00:00Z  excluded  request  https://shut.example/no/ü",
        "                                         robots: Disallow: /no",
        "                                           line 2 of https://shut.example/robots.txt",
        "                                         content-signal: ai-train=no, =cmd|' /C calc'!A0",
        "                                           line 2 of https://shut.example/robots.txt",
    ]


def table(found) -> None:
    lines, heading = log_command._lines, log_command._HEADING
    write_rows(LOG, found, "table", as_json=False, redacted=True, lines=lines, heading=heading)


def test_the_table_has_one_heading_however_long_it_is(capsys) -> None:
    row = ROW | {"url": "https://a.example/\x1b"}
    table(iter([dict(row) for _ in range(3000)]))
    lines = capsys.readouterr().out.splitlines()
    assert (len(lines), sum(line.startswith("at ") for line in lines)) == (3001, 1)
    assert lines[-1] == "2026-03-01 12:00:00Z  allowed   page     https://a.example/\\x1b"


def test_the_table_is_printed_as_it_is_read(capsys) -> None:
    def rows():
        yield dict(ROW)
        assert "https://a.example/" in capsys.readouterr().out
        raise OSError("the database is gone")

    with pytest.raises(OSError, match="gone"):
        table(rows())


def test_csv_has_the_same_rows(forbear, database: str) -> None:
    done = forbear("log", "--db", database, "--format", "csv")
    found = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [tuple(row) for row in found] == [KEYS] * 4
    assert [{**row, "reasons": json.loads(row["reasons"])}["reasons"] for row in found] == [
        row["reasons"] for row in rows(forbear, database)
    ]
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in found for cell in row.values())


def test_parquet_has_the_same_rows(database: str, tmp_path, forbear) -> None:
    target = tmp_path / "log.parquet"
    with target.open("wb") as output:
        command = [sys.executable, "-m", "forbear", "log", "--db", database, "--format", "parquet"]
        subprocess.run(command, cwd=ROOT, stdout=output, check=True)
    table = parquet.read_table(target)
    assert table.schema.field("at").type == pa.timestamp("us", tz="UTC")
    found = [{**row, "at": row["at"].isoformat()} for row in table.to_pylist()]
    assert found == rows(forbear, database)


def test_parquet_goes_through_a_pipe(monkeypatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, write_through=True))
    row = dict.fromkeys(KEYS) | {"url": "https://a.example/", "at": AT.isoformat(), "reasons": []}
    write_rows(LOG, [dict(row) for _ in range(2500)], "parquet", as_json=False, redacted=True)
    assert parquet.read_table(io.BytesIO(written.getvalue())).num_rows == 2500


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("shut.example", "shut.example and its subdomains: excluded since 2026-03-01 12:00:00Z."),
        ("https://shut.example/no/ü", "excluded since 2026-03-01 12:00:00Z."),
        ("example.org", "example.org and its subdomains: copies were kept."),
        ("later.example", "later.example and its subdomains: deferred: it could not be known whether it may be used"),
        ("open.example", "open.example and its subdomains: nothing reserved it, and no copy was kept."),
    ],
)
def test_lookup_shows_what_happened(forbear, database: str, name: str, answer: str) -> None:
    done = forbear("lookup", "--db", database, name)
    assert (done.returncode, done.stderr) == (0, "")
    assert answer in done.stdout.splitlines()[0]


def test_lookup_has_the_words_that_decided(forbear, database: str) -> None:
    done = forbear("lookup", "--db", database, "shut.example")
    assert done.stdout.splitlines()[1:] == [
        "Decisions were made at 2026-03-01 12:00:00Z. The last decision about each URL:",
        "  1 excluded: reserved, so it is not used",
        "      https://shut.example/no/%C3%BC",
        "Excluded because of:",
        "  Disallow: /no",
        "      line 2 of https://shut.example/robots.txt",
        "      robots, since 2026-03-01 12:00:00Z; decided once",
        "  ai-train=no, =cmd|' /C calc'!A0",
        "      line 2 of https://shut.example/robots.txt",
        "      content-signal, since 2026-03-01 12:00:00Z; decided once",
        "See every decision, with the same --db: forbear log --domain shut.example",
        "Ask the site today: forbear check https://shut.example/no/%C3%BC",
    ]
    done = forbear("lookup", "--db", database, "--json", "shut.example")
    known = json.loads(done.stdout)
    assert (known["answer"], known["urls"]) == ("excluded", {"excluded": 1})
    assert datetime.fromisoformat(known["since"]) == AT
    assert {one["quote"] for one in known["words"]} >= {"Disallow: /no"}
    assert all(datetime.fromisoformat(one["first_at"]) == AT for one in known["words"])


def test_lookup_of_what_no_crawl_has_seen(forbear, database: str) -> None:
    done = forbear("lookup", "--db", database, "never.example")
    assert (done.returncode, done.stdout) == (
        3,
        "never.example: never seen. No crawl in this database requested it, so nothing of it was kept.\n",
    )
    done = forbear("lookup", "--db", database, "--json", "never.example")
    assert (done.returncode, json.loads(done.stdout)["answer"]) == (3, "never seen")


@pytest.mark.parametrize("words", [["lookup", "https://"], ["log", "--domain", "a b"], ["log", "--url", "https://"]])
def test_a_name_that_is_none_is_reported(forbear, database: str, words: list[str]) -> None:
    done = forbear(*words, "--db", database)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr


def test_db_upgrade_makes_what_the_others_read(forbear, new_database_url: str) -> None:
    before = forbear("log", "--db", new_database_url)
    assert before.returncode == 4
    upgraded = forbear("db", "upgrade", "--db", new_database_url)
    assert (upgraded.returncode, upgraded.stdout) == (0, f"Created {hide_password(new_database_url)} (schema 0001).\n")
    upgraded = forbear("db", "upgrade", "--db", new_database_url)
    assert upgraded.stdout == f"{hide_password(new_database_url)} is up to date (schema 0001).\n"
    assert json.loads(forbear("db", "upgrade", "--json", "--db", new_database_url).stdout) == {"revision": "0001"}
    assert rows(forbear, new_database_url) == []
    assert forbear("lookup", "--db", new_database_url, "a.example").returncode == 3
