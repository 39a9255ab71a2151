"""``forbear report`` on the log of a crawl."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.scripts.conftest import Run


@pytest.fixture
def crawled(forbear: Run, tmp_path: Path, site: tuple[str, dict[str, str]]) -> str:
    """The database of a crawl: one page kept, one that robots.txt shuts."""
    origin, files = site
    files |= {"/robots.txt": "User-agent: *\nDisallow: /no", "/": "<p>Seven boats.</p><a href='/no'>on</a>"}
    port = origin.rpartition(":")[2]
    done = forbear(
        *("crawl", f"http://a.example:{port}/", "--out", "corpus", "--contact", "https://operator.example/bot"),
        *("--delay", "0", "--retries", "0", "--resolve", f"a.example:{port}:127.0.0.1", "--allow-private-networks"),
    )
    assert done.returncode == 0, done
    return f"sqlite:///{tmp_path / 'forbear.db'}"


def test_coverage_in_every_form_on_record_and_compared(forbear: Run, crawled: str, tmp_path: Path) -> None:
    names = [f"c{form}" for form in (".html", ".docx", ".pdf", ".json", ".txt")]
    done = forbear("report", "coverage", "--issue", *(word for name in names for word in ("--out", name)))
    assert done.returncode == 0, done
    assert "places left open. Fill them in with --inputs" in done.stderr
    assert all((tmp_path / name).stat().st_size > 1000 for name in names)
    content = json.loads((tmp_path / "c.json").read_text())
    assert content["digest"] in forbear("report", "list").stdout
    stored = json.loads(forbear("report", "list", "--document", content["digest"][:12]).stdout)
    assert stored == content
    (tmp_path / "inputs.toml").write_text('[statement]\norganisation = "Example Research"\n')
    done = forbear("report", "coverage", "--inputs", "inputs.toml", "--diff", "c.json")
    assert done.returncode == 0, done
    lines = done.stdout.splitlines()
    at = lines.index("Scope: Organisation")
    assert lines[at + 2] == "  now     Example Research"
    printed = forbear("report", "coverage").stdout
    assert "robots: 1 decision excluded at 1 host" in printed


def test_the_folder_of_the_corpus_in_the_settings_is_not_a_file_of_a_report(
    forbear: Run, crawled: str, tmp_path: Path
) -> None:
    (tmp_path / "forbear.toml").write_text('out = "corpus"\n')
    assert "Coverage of the Copyright chapter" in forbear("report", "coverage").stdout
    (tmp_path / "forbear.toml").write_text('out = "corpus"\n[report.coverage]\nout = "c.json"\n')
    assert forbear("report", "coverage").stdout == ""
    assert json.loads((tmp_path / "c.json").read_text())["kind"] == "coverage"


def test_an_issued_document_is_a_leaf_of_the_chain(forbear: Run, crawled: str) -> None:
    assert forbear("report", "coverage", "--issue").returncode == 0
    engine = create_engine(crawled)
    with engine.connect() as connection:
        wanted = "SELECT count(*) FROM events JOIN chain ON chain.ref = events.id WHERE events.event = 'document'"
        assert connection.scalar(text(wanted)) == 1
    engine.dispose()


def test_wrong_use_is_a_sentence(forbear: Run, crawled: str, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[other]\n")
    (tmp_path / "other.json").write_text('{"kind": "policy", "sections": []}')
    for words, sentence in (
        (("coverage", "--inputs", "bad.toml"), "[other] is not known here"),
        (("coverage", "--out", "c.odt"), "the name has to end in one of"),
        (("coverage", "--diff", "other.json"), "is not a coverage document"),
        (("list", "--document", "ffff"), "No issued document"),
    ):
        done = forbear("report", *words)
        assert (done.returncode, done.stderr.count("Traceback")) == (2, 0), done
        assert sentence in " ".join(done.stderr.split())


def test_the_policy_is_that_of_the_last_crawl_and_its_issue_names_the_digest_of_the_rows(
    forbear: Run, crawled: str, tmp_path: Path
) -> None:
    done = forbear("report", "policy", "--issue", "--out", "p.json", "--out", "p.docx")
    assert done.returncode == 0, done
    [row] = [json.loads(line) for line in forbear("report", "list", "--json").stdout.splitlines()]
    rows = [json.loads(line) for line in forbear("log", "--format", "jsonl").stdout.splitlines()]
    assert {one["policy"] for one in rows} == {row["policy"]}
    assert row["kind"] == "policy"
    assert json.loads((tmp_path / "p.json").read_text())["digest"] == row["digest"]
    printed = forbear("report", "policy").stdout
    assert "ForbearBot" in printed
    assert "was issued before" in forbear("report", "policy", "--issue").stderr


def test_the_public_summary_names_no_settings(forbear: Run, crawled: str) -> None:
    done = forbear("report", "policy", "--summary")
    assert done.returncode == 0, done
    assert "Settings" not in done.stdout
    assert "https://operator.example/bot" in done.stdout
    assert "tdmrep" in done.stdout


def test_the_summary_is_filled_from_the_log_and_versions_are_compared(
    forbear: Run, crawled: str, tmp_path: Path
) -> None:
    done = forbear("report", "summary", "--out", "old.json", "--issue")
    assert done.returncode == 0, done
    content = json.loads((tmp_path / "old.json").read_text())
    [crawling] = [one for part in content["sections"] for one in part["sections"] if one["title"].startswith("2.3")]
    fields = {block["field"]: block["value"] for block in crawling["blocks"] if "field" in block}
    assert fields["2.3.used"] == "yes"
    assert fields["2.3.names"].startswith("ForbearBot/")
    assert fields["2.3.domains"].startswith("1 of 1 domain names")
    assert [block["rows"] for block in crawling["blocks"] if "table" in block] == [[["a.example"]]]
    (tmp_path / "inputs.toml").write_text('["1.2"]\nmodels = ["Example-7B"]\n')
    done = forbear("report", "summary", "--inputs", "inputs.toml", "--diff", "old.json")
    assert done.returncode == 0, done
    lines = done.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if "Versioned model name" in line)
    assert lines[at + 2] == "  now     Example-7B"
    assert "summary" in forbear("report", "list").stdout
    done = forbear("report", "summary", "--crawl", "none")
    assert (done.returncode, "with the ID none" in done.stderr) == (2, True)
