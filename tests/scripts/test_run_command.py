from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from forbear.crawler.corpus import versions
from forbear.crawler.demo.demo_server import Web
from forbear.scripts.schedule import BadSchedule, Step, read
from forbear.storage.database import open_database
from forbear.storage.frontier import runs
from forbear.storage.frontier.runs import StepRun
from tests.crawler.crawls import page, plain, until
from tests.prefork import Prefork, Process

BEGAN = datetime(2026, 3, 1, 3, 0, 30, tzinfo=UTC)  # a Sunday
STEP = {"name": "a", "command": ["log"], "at": "0 3 * * *"}

WRONG = [
    (None, "it has no"),
    ({"step": []}, "it has no"),
    ({"step": [STEP, STEP]}, "two steps are named 'a'"),
    ({"step": [{**STEP, "when": "now"}]}, "exactly the keys name, command and at"),
    ({"step": [{**STEP, "command": "log"}]}, "'command' of step 1"),
    ({"step": [{**STEP, "command": ["serve"]}]}, "runs 'serve'"),
    ({"step": [{**STEP, "command": ["rm"]}]}, "runs 'rm'"),
    ({"step": [{**STEP, "at": "61 * * * *"}]}, "which is not a time"),
]


@pytest.mark.parametrize(("table", "sentence"), WRONG)
def test_what_is_not_a_schedule_is_reported(table: Any, sentence: str) -> None:
    with pytest.raises(BadSchedule, match=sentence):
        read(table, ["log", "serve", "run"])


@pytest.mark.parametrize(
    ("at", "due"),
    [
        ("0 3 * * *", BEGAN.replace(second=0) + timedelta(days=1)),
        ("*/15 * * * *", BEGAN.replace(minute=15, second=0)),
        ("0 4 * * 1", datetime(2026, 3, 2, 4, tzinfo=UTC)),
        ("@monthly", datetime(2026, 4, 1, tzinfo=UTC)),
    ],
)
def test_a_step_is_due_at_the_first_time_after_it_began(at: str, due: datetime) -> None:
    step = Step("a", ("log",), at)
    assert step.due_at(StepRun("1", BEGAN, BEGAN + timedelta(hours=1), 0)) == due
    assert step.due_at(StepRun("1", BEGAN, None, None)) is None, "cut short: at once"
    assert step.due_at(None) is None, "never: at once"


def write(folder: Path, db: str, *steps: tuple[str, Sequence[str], str]) -> Path:
    lines = [f'db = "{db}"']
    for name, command, at in steps:
        lines += ["[[run.step]]", f"name = {json.dumps(name)}", f"command = {json.dumps(command)}", f'at = "{at}"']
    path = folder / "timetable.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_once_runs_what_is_due_and_says_how_it_ended(forbear: Any, tmp_path: Path, database_url: str) -> None:
    missing = ["corpus", "versions", "--out", "."]
    steps = (("upgrade", ["db", "upgrade"], "@yearly"), ("none", missing, "@yearly"), ("log", ["log"], "* * * * *"))
    path = write(tmp_path, database_url, *steps)
    done = forbear("run", str(path), "--once", "--json")
    result = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(each["step"], each["code"]) for each in result] == [("upgrade", 0), ("none", 2), ("log", 0)]
    assert done.returncode == 2, "the highest"
    assert "has no versions" in done.stderr
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE runs SET finished_at = NULL WHERE step = 'none'"))
        runs_of = "SELECT count(*) FROM runs WHERE step = 'upgrade'"
    again = forbear("run", str(path), "--once", "--json")
    assert "none" in [json.loads(line)["step"] for line in again.stdout.splitlines()], "it was cut short"
    with engine.connect() as connection:
        assert connection.scalar(text(runs_of)) == 1
    engine.dispose()
    status = [json.loads(line) for line in forbear("run", str(path), "--status", "--json").stdout.splitlines()]
    assert [(each["step"], each["exit code"]) for each in status] == [("upgrade", "0"), ("none", "2"), ("log", "0")]
    assert status[0]["due next"] > status[0]["last began"]


def test_one_run_at_a_time_has_a_database(forbear: Any, tmp_path: Path, database_url: str) -> None:
    path = write(tmp_path, database_url, ("log", ["log"], "* * * * *"))
    engine = open_database(database_url)
    with runs.exclusive_lock(engine) as mine:
        assert mine
        done = forbear("run", str(path), "--once")
        assert (done.returncode, done.stdout) == (0, "")
        assert "Another `forbear run` is working on this database" in done.stderr
    engine.dispose()
    assert "log" in forbear("run", str(path), "--once").stdout


SITE = {"/": page("/a"), "/a": page(words="Nine boats.")}


def started(forks: Prefork, path: Path) -> Process:
    return forks.start(["run", str(path), "--json"], path.parent / "run", work=path.parent)


def test_a_crawl_and_rechecks_on_a_schedule(forbear: Any, tmp_path: Path) -> None:
    site = dict(SITE)
    with Web({"a.example": site}) as web:
        db = f"sqlite:///{tmp_path}/f.db"
        steps = (("crawl", ["crawl", "http://a.example/"], "@yearly"), ("recheck", ["recheck"], "* * * * *"))
        path = write(tmp_path, db, *steps)
        common = f'out = "corpus"\ncontact = "https://operator.example/"\ndelay = 0\nproxy = "{web.proxy}"\n'
        path.write_text(common + path.read_text())
        assert forbear("run", str(path), "--once").returncode == 0
        assert len(versions.numbers(tmp_path / "corpus")) == 1
        site["/robots.txt"] = plain("User-agent: *\nDisallow: /a\n")
        engine = create_engine(db)
        with engine.begin() as connection:  # an hour later
            connection.execute(
                text("UPDATE runs SET started_at = '2026-01-01T00:00:00.000000+00:00' WHERE step <> 'crawl'")
            )
        engine.dispose()
        done = forbear("run", str(path), "--once", "--json")
        assert [json.loads(line)["step"] for line in done.stdout.splitlines()] == ["recheck"]
    assert versions.load(tmp_path / "corpus").content["counts"]["pages"] == 1


def test_a_signal_ends_the_step_and_then_the_whole_and_the_step_is_due_again(
    forbear: Any, forks: Prefork, tmp_path: Path
) -> None:
    with Web({"a.example": {path: replace(reply, pause=0.5) for path, reply in SITE.items()}}) as web:
        path = write(tmp_path, f"sqlite:///{tmp_path}/f.db", ("crawl", ["crawl", "http://a.example/"], "@yearly"))
        common = f'out = "corpus"\ncontact = "https://operator.example/"\ndelay = 0\nproxy = "{web.proxy}"\n'
        path.write_text(common + path.read_text())
        process = started(forks, path)
        until(lambda: any(hit.path == "/" for hit in web.hits), 60)
        process.kill(signal.SIGTERM)
        assert process.wait().code == 0
        [status] = [json.loads(line) for line in forbear("run", str(path), "--status", "--json").stdout.splitlines()]
        assert (status["exit code"], status["due next"]) == ("cut short", "now")
        assert forbear("run", str(path), "--once").returncode == 0
    engine = create_engine(f"sqlite:///{tmp_path}/f.db")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*), min(state) FROM crawls")).one() == (1, "finished")
    engine.dispose()


def test_without_once_it_waits_for_what_is_due_next(forks: Prefork, tmp_path: Path) -> None:
    path = write(tmp_path, f"sqlite:///{tmp_path}/f.db", ("quick", ["db", "upgrade"], "@yearly"))
    process = started(forks, path)
    until(lambda: (process.folder / "stdout").read_text().endswith("\n"), 60)
    assert forks.ask(wait=process.pid) is None, "it runs"
    process.kill(signal.SIGTERM)
    done = process.wait()
    assert (done.code, json.loads(done.stdout)["step"]) == (0, "quick")
