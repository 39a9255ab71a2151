"""Each command loads only the libraries that it needs, as loading takes most of the time of a short command."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from forbear.optout import policy
from forbear.optout.model import Decision, Profile, Stage, Use, Verdict
from forbear.scripts.__main__ import COMMANDS
from forbear.storage.database import open_database, writing
from forbear.storage.db.records import DecisionRecord, RecordDecision, new_id, now
from forbear.storage.log import log
from forbear.storage.log.crawls import CrawlRecord, begin

ROOT = Path(__file__).parents[2]
URL = "https://a.example/1"
HEAVY = {"aiohttp", "alembic", "httpx", "jinja2", "lxml", "numpy", "pikepdf", "pyarrow", "requests"}
HEAVY |= {"rich.console", "scrapy", "sqlalchemy", "tldextract", "twisted", "forbear.optout.protocols"}


@pytest.mark.parametrize(
    ("words", "code", "loaded"),
    [
        (("--help",), 0, set()),
        (("--version",), 0, set()),
        (("lookup", "a.example", "--db", "DB"), 0, {"sqlalchemy"}),
        (("lookup", "b.example", "--db", "DB"), 3, {"requests", "sqlalchemy", "tldextract"}),
        (("lookup", URL, "--db", "DB"), 0, {"sqlalchemy"}),
        (("log", "--crawl", "01a2", "--db", "DB"), 0, {"sqlalchemy"}),
        (("log", "unreadable", "--db", "DB"), 0, {"sqlalchemy"}),
        (("log", "sql", "SELECT 1", "--db", "DB"), 0, {"rich.console", "sqlalchemy"}),
        (("user", "list", "--db", "DB"), 0, {"rich.console", "sqlalchemy"}),
        (("db", "upgrade", "--db", "DB"), 0, {"sqlalchemy", "alembic"}),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else "",
)
def test_what_a_command_does_not_need_is_not_loaded(words, code, loaded, tmp_path: Path, sqlite_template: Path) -> None:
    path = tmp_path / "forbear.db"
    shutil.copy(sqlite_template, path)
    meet(path)
    words = [f"sqlite:///{path}" if word == "DB" else word for word in words]
    program = f"import sys, runpy; sys.argv = {['forbear', *words]!r}\n"
    program += "try: runpy.run_module('forbear', run_name='__main__')\n"
    program += f"except SystemExit as end: print(end.code or 0, sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.stdout, done.stderr
    assert done.stdout.splitlines()[-1] == f"{code} {sorted(loaded)}"
    assert words != ["--help"] or all(name in done.stdout for name in COMMANDS)


def meet(path: Path) -> None:
    """One decision, as a crawl leaves it."""
    engine = open_database(f"sqlite:///{path}")
    with writing(engine) as connection:
        record = CrawlRecord(
            "0.1.0", "ForbearBot", "ForbearBot", "https://o.example/", Use.TRAIN_AI, Profile.STANDARD, False,
            policy.load(), {},
        )  # fmt: skip
        crawl = begin(connection, record, now()).id
        decision = Decision(Verdict.ALLOWED, Stage.REQUEST, URL, (), (), (), dict.fromkeys(Profile, Verdict.ALLOWED))
        log.write(connection, [RecordDecision(DecisionRecord(new_id(), now(), crawl, URL, decision))])
    engine.dispose()
