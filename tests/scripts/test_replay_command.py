"""``forbear replay`` on the crawl of the demo."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the demo leaves behind."""
    out = tmp_path_factory.mktemp("demo")
    subprocess.run([sys.executable, "-m", "forbear", "demo", "--out", out], cwd=ROOT, capture_output=True, check=True)
    [folder] = out.iterdir()
    return folder


@pytest.fixture
def demo(results: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(results, tmp_path / "results")


def test_a_real_crawl_comes_out_as_it_did(forbear, demo: Path) -> None:
    db = f"sqlite:///{demo}/forbear.db"
    done = forbear("replay", "--db", db, "--out", str(demo / "corpus"))
    assert (done.returncode, done.stderr) == (0, "")
    first = done.stdout.splitlines()[0]
    assert " decisions again: " in first
    assert first.endswith(" the same, 0 different.")

    done = forbear("replay", "--db", db, "--profile", "strict", "--json")
    *lines, last = map(json.loads, done.stdout.splitlines())
    assert done.returncode == 1
    assert last["summary"]["different"] == len(lines) > 0
    assert {line["now"] for line in lines} <= {"excluded", "deferred"}
    assert all(line["reasons_now"] for line in lines)

    result = forbear("replay", "--db", db, "--profile", "strict", "--shipped-policy").stdout
    assert "by profile strict and policy " in result
    assert "    then allowed\n    now  excluded\n" in result


def test_what_somebody_changed_is_shown_by_cause(forbear, demo: Path) -> None:
    with sqlite3.connect(demo / "forbear.db") as connection:
        connection.execute("UPDATE decisions SET verdict = 'allowed' WHERE verdict = 'excluded'")
    connection.close()
    done = forbear("replay", "--db", f"sqlite:///{demo}/forbear.db", "--protocol", "robots")
    assert done.returncode == 1
    assert "allowed, now excluded" in done.stdout
    assert " more. Add --all to show them." in done.stdout
    whole = forbear("replay", "--db", f"sqlite:///{demo}/forbear.db", "--protocol", "robots", "--all")
    assert " more. Add --all to show them." not in whole.stdout
    assert len(whole.stdout) > len(done.stdout)


def test_urls_are_redacted_unless_asked_otherwise(forbear, demo: Path) -> None:
    with sqlite3.connect(demo / "forbear.db") as connection:
        where = "(SELECT id FROM decisions WHERE verdict = 'allowed' AND stage = 'request' LIMIT 1)"
        connection.execute(f"UPDATE decisions SET canonical = canonical || '?user=jane' WHERE id = {where}")
    connection.close()
    words = ("replay", "--db", f"sqlite:///{demo}/forbear.db", "--verdict", "allowed", "--stage", "request")
    for more in ((), ("--json",)):
        assert "?user=redacted" in forbear(*words, *more).stdout
        assert "?user=jane" in forbear(*words, *more, "--no-redact").stdout


def test_wrong_use(forbear, demo: Path) -> None:
    done = forbear("replay", "--db", "sqlite:///nothing.db")
    assert (done.returncode, done.stdout) == (4, "")
    done = forbear("replay", "--db", f"sqlite:///{demo}/forbear.db", "--out", "nowhere")
    assert (done.returncode, done.stdout) == (2, "")


def test_what_depends_on_the_machine_is_listed_apart(forbear, demo: Path) -> None:
    with sqlite3.connect(demo / "forbear.db") as connection:
        connection.execute("UPDATE captures SET error = 'too-costly', status = NULL WHERE status = 503")
        costly = connection.execute("UPDATE reasons SET quote = 'too-costly', place = 'connection' WHERE quote = '503'")
        assert costly.rowcount == 1
    connection.close()
    db = f"sqlite:///{demo}/forbear.db"
    done = forbear("replay", "--db", db, "--out", str(demo / "corpus"))
    first, *_, title, _, one = done.stdout.splitlines()
    assert (done.returncode, first.endswith(" the same, 0 different.")) == (0, True)
    assert title.startswith("1 about an answer that took more processor time or memory")
    assert one.endswith("http://storm.example/")
    done = forbear("replay", "--db", db, "--out", str(demo / "corpus"), "--json")
    assert len(json.loads(done.stdout)["summary"]["machine_dependent"]) == 1
