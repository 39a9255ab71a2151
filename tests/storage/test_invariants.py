from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, text

KILLS = 6

BROKEN = {
    "a page without the row that allowed it": """
        SELECT 1 FROM pages LEFT JOIN decisions ON decisions.id = pages.decision
        WHERE decisions.id IS NULL OR decisions.verdict <> 'allowed' OR decisions.stage <> 'page'""",
    "a decision without its evidence": """
        SELECT 1 FROM decisions LEFT JOIN decision_captures ON decision = decisions.id
        LEFT JOIN captures ON captures.id = capture WHERE captures.id IS NULL OR captures.body IS NULL""",
    "evidence without its body": "SELECT 1 FROM captures WHERE body NOT IN (SELECT sha256 FROM bodies)",
    "an exclusion without a reason": """
        SELECT 1 FROM decisions LEFT JOIN reasons ON decision = decisions.id
        WHERE verdict = 'excluded' AND decision IS NULL""",
    "a decision without what was read": """
        SELECT 1 FROM decisions WHERE id NOT IN (SELECT decision FROM statements)
        OR id NOT IN (SELECT decision FROM gaps)""",
    "an entry that is kept, but no page": """
        SELECT 1 FROM frontier WHERE state = 'kept' AND decision NOT IN (SELECT decision FROM pages)""",
    "a page, but an entry that is not kept": """
        SELECT 1 FROM pages WHERE decision NOT IN (SELECT decision FROM frontier WHERE state = 'kept')""",
    "an entry that moved without a row": "SELECT 1 FROM frontier WHERE state <> 'waiting' AND decision IS NULL",
    "a sum that is not the sum": """
        SELECT 1 FROM host_outcomes o WHERE o.urls <> (
          SELECT count(*) FROM urls u WHERE u.host = o.host
          AND (u.verdict = o.outcome OR (o.outcome = 'kept' AND u.kept_at IS NOT NULL)))""",
    "reasons that are not counted": """
        SELECT 1 FROM (SELECT sum(decisions) AS n FROM host_reasons) AS counted
        WHERE n <> (SELECT count(*) FROM reasons)""",
}


def broken(connection: Connection) -> list[str]:
    return [name for name, asked in BROKEN.items() if connection.execute(text(asked)).first()]


def test_killed_at_any_point_no_page_lacks_its_row_and_no_row_its_evidence(
    engine: Engine, child: Callable[..., Any]
) -> None:
    random.seed(engine.dialect.name)
    url = engine.url.render_as_string(hide_password=False)
    for _ in range(KILLS):
        process = child("crawl_until_killed", url)
        reported = [process.stdout.readline().strip()]
        time.sleep(random.uniform(0, 0.4))
        process.kill()
        reported += process.stdout.read().split()
        process.wait()
        with engine.connect() as connection:
            assert broken(connection) == []
            kept = set(connection.scalars(text("SELECT decision FROM pages")))
        complete = {line for line in reported if len(line) == 36}  # the last one may be torn
        assert complete
        assert complete <= kept  # what the writer called done is done


def test_each_of_these_would_be_seen(engine: Engine, child: Callable[..., Any]) -> None:
    process = child("crawl_until_killed", engine.url.render_as_string(hide_password=False))
    process.stdout.readline()
    process.kill()
    process.wait()
    harm = (
        ("UPDATE decisions SET stage = 'request'", "a page without the row that allowed it"),
        ("UPDATE captures SET body = NULL", "a decision without its evidence"),
        ("DELETE FROM reasons", "an exclusion without a reason"),
        ("DELETE FROM gaps", "a decision without what was read"),
        ("DELETE FROM pages", "an entry that is kept, but no page"),
        ("UPDATE frontier SET state = 'allowed'", "a page, but an entry that is not kept"),
        ("UPDATE frontier SET decision = NULL", "an entry that moved without a row"),
        ("UPDATE host_outcomes SET urls = urls + 1", "a sum that is not the sum"),
        ("UPDATE host_reasons SET decisions = 0", "reasons that are not counted"),
    )
    for statement, name in harm:
        with engine.connect() as connection:
            connection.execute(text(statement))
            assert name in broken(connection)
            connection.rollback()
