from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select, text

from forbear.optout.model import Capture, Stage, Verdict
from forbear.storage.chain import chain, merkle
from forbear.storage.chain.chain import ChainDamaged
from forbear.storage.database import writing
from forbear.storage.db import schema
from forbear.storage.db.canonical_json import canonical
from forbear.storage.db.records import Keep, new_id
from forbear.storage.log import log
from forbear.storage.log.writer import Writer

Write = Callable[..., list[int]]

TEXTS = st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(max_codepoint=127)), inner),
)


@given(VALUES)
def test_records_are_canonical_json(value: Any) -> None:
    assert canonical(value).encode() == rfc8785.dumps(value)


@given(st.text())
def test_half_a_surrogate_pair_stays_readable_as_json(value: str) -> None:
    assert json.loads(canonical([value]).encode()) == [value]


ODD = 'a\0\x1b"\\/\n\u2028\ufeffü日本\U0001f600\udc80'


def test_every_row_is_a_leaf(engine: Engine, make: Any) -> None:
    robots = make.robots("https://a.example/no")
    capture = Capture("https://a.example/p", 200, (("Set-Cookie", ODD), ("Set-Cookie", "b")), b"<p>")
    page = make.robots("https://a.example/p", capture=capture, keep=Keep.QUOTED)
    jobs = [
        make.decided("https://Bücher.example/no", Verdict.EXCLUDED, captures=(robots,), quote=ODD),
        make.decided("https://a.example/p", Verdict.EXCLUDED, stage=Stage.PAGE, captures=(robots, page)),
        make.decided("https://a.example/q", stage=Stage.PAGE, captures=()),
    ]
    with writing(engine) as connection:
        log.write(connection, [*jobs, make.kept(jobs[2])])
    with engine.connect() as connection:
        rows = connection.execute(select(schema.chain).order_by(schema.chain.c.position)).all()
        assert [row.position for row in rows] == list(range(len(rows)))
        ids = [make.crawl, robots.id, page.id, *(job.decision.id for job in jobs), jobs[2].decision.id]
        assert sorted(row.ref for row in rows) == sorted(ids)
        assert [row.kind for row in rows] == ["crawl", *("capture",) * 2, *("decision",) * 3, "page"]
        for row in rows:
            [sealed] = chain.chain_rows(connection, row.kind, [row.ref])
            record = json.loads(sealed.record)
            assert canonical(record) == sealed.record
            if "udc80" not in (sealed.payload or ""):
                assert rfc8785.dumps(json.loads(sealed.payload or "0")).decode() == (sealed.payload or "0")
            assert rfc8785.dumps(record).decode() == sealed.record
            assert merkle.leaf_hash(sealed.record.encode()) == row.leaf == sealed.leaf
            if sealed.payload is not None:
                assert sealed.salt is not None
                salted = bytes.fromhex(sealed.salt) + sealed.payload.encode()
                assert record["payload"] == row.payload == sha256(salted).hexdigest()
    assert len({row.salt for row in rows if row.salt}) == len(rows) - 1  # all but the crawl's


def test_what_may_be_erased_is_not_in_the_record(engine: Engine, make: Any, write: Write) -> None:
    page = make.robots("https://a.example/secret", keep=Keep.QUOTED)
    capture = replace(page, capture=replace(page.capture, url="https://a.example/secret", headers=(("X", "secret"),)))
    job = make.decided(
        "https://secret.a.example/secret", Verdict.EXCLUDED, quote="secret", where="secret", captures=(capture,)
    )
    write(job)
    write(make.kept(job))
    with engine.connect() as connection:
        for kind, ref in (("capture", capture.id), ("decision", job.decision.id), ("page", job.decision.id)):
            [sealed] = chain.chain_rows(connection, kind, [ref])
            assert "secret" not in sealed.record
            assert "secret" in (sealed.payload or "")


def test_the_tree_grows_with_the_rows(engine: Engine, make: Any, writer: Writer) -> None:
    for _ in range(3):
        jobs = [make.decided(f"https://a.example/{number}") for number in range(300)]
        for future in [writer.submit(job) for job in jobs]:
            future.result(30)
    with engine.connect() as connection:
        size = chain.size(connection)
        stored = list(connection.scalars(select(schema.chain.c.leaf).order_by(schema.chain.c.position)))
        assert size == len(stored) == 1 + 3 * 600
        inner = connection.execute(select(schema.subtrees).order_by(schema.subtrees.c.number)).all()
        assert [(row.level, row.number) for row in inner] == [(1, number) for number in range(size // 256)]
        for part in (1, 256, 1000, size):
            assert chain.tree(connection, part).root() == merkle.root_of(stored[:part])
        tree = chain.tree(connection, size)
        assert merkle.root_from_inclusion(stored[700], 700, size, tree.inclusion(700)) == tree.root()
        proof = tree.consistency(1000)
        assert merkle.verify_consistency(1000, merkle.root_of(stored[:1000]), size, tree.root(), proof)


def test_a_refused_group_leaves_no_leaf(engine: Engine, make: Any, write: Write) -> None:
    good = make.decided("https://a.example/")
    write(good)
    with engine.connect() as connection:
        before = chain.size(connection)
    with pytest.raises(Exception, match=r"(?i)unique"):
        write(good)
    with engine.connect() as connection:
        assert chain.size(connection) == before


def test_time_does_not_run_backwards(engine: Engine, make: Any, write: Write) -> None:
    write(make.decided("https://a.example/"))
    with writing(engine) as connection:
        connection.execute(text("UPDATE chain SET at = '2999-01-01T00:00:00.000000+00:00'"))
    write(make.decided("https://a.example/2"))
    with engine.connect() as connection:
        times = list(connection.scalars(select(schema.chain.c.at).order_by(schema.chain.c.position)))
    assert times == sorted(times)


def test_nothing_is_added_to_a_chain_that_has_lost_rows(engine: Engine, make: Any, write: Write) -> None:
    write(*(make.decided(f"https://a.example/{number}") for number in range(20)))
    with writing(engine) as connection:
        connection.execute(text("DELETE FROM chain WHERE position = 7"))
    with pytest.raises(ChainDamaged, match="lost rows near position 0"):
        write(*(make.decided(f"https://a.example/{number}") for number in range(200)))


def test_ids_that_are_not_in_the_chain_are_left_out(engine: Engine, make: Any, write: Write) -> None:
    job = make.decided("https://a.example/")
    write(job)
    with engine.connect() as connection:
        assert [row.ref for row in chain.chain_rows(connection, "decision", [new_id(), job.decision.id])] == [
            job.decision.id
        ]
        assert chain.chain_rows(connection, "page", [job.decision.id]) == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_processes_that_write_at_once_leave_no_gap(engine: Engine, make: Any, child: Callable[..., Any]) -> None:
    url = engine.url.render_as_string(hide_password=False)
    processes = [child("append_to_chain", url, make.crawl) for _ in range(4)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    written = [process.communicate(timeout=120)[0].split() for process in processes]
    assert all(len(refs) == 400 for refs in written)
    with engine.connect() as connection:
        rows = connection.execute(select(schema.chain).order_by(schema.chain.c.position)).all()
        assert [row.position for row in rows] == list(range(1 + 4 * 800))
        assert {row.ref for row in rows if row.kind == "decision"} == {ref for refs in written for ref in refs}
        owners = {ref: number for number, refs in enumerate(written) for ref in refs}
        order = [owners[row.ref] for row in rows if row.kind == "decision"]
        assert sum(a != b for a, b in pairwise(order)) > 4, "they took no turns"
        assert chain.tree(connection, len(rows)).root() == merkle.root_of([row.leaf for row in rows])
