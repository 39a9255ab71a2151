from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import JSON, Boolean, Table
from sqlalchemy.types import Integer, LargeBinary

from forbear.optout.readers.url import parse
from forbear.storage.chain import leaves
from forbear.storage.db import schema
from forbear.storage.db.canonical_json import canonical
from forbear.storage.db.hostnames import host_in, host_of
from forbear.storage.db.types import Instant, SafeText, iso_utc, printable

TEXTS = st.text(st.characters(codec="utf-8"))
LISTS = st.lists(st.text()) | st.lists(st.tuples(TEXTS, TEXTS).map(list))
TIMES = st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 hypothesis adds the zone


def values(table: Table) -> st.SearchStrategy[dict[str, Any]]:
    """A row of the table, as it is read."""
    return st.fixed_dictionaries({column.name: value(column) for column in table.c})


def value(column: Any) -> st.SearchStrategy[Any]:
    kind = column.type
    if isinstance(kind, Instant):
        some: st.SearchStrategy[Any] = TIMES
    elif isinstance(kind, JSON):
        return LISTS | st.none() if column.nullable else LISTS
    elif isinstance(kind, SafeText):
        some = TEXTS.map(printable)
    elif isinstance(kind, LargeBinary):
        some = st.binary()
    elif isinstance(kind, Integer) and not isinstance(kind, Boolean):
        some = st.integers(-(2**53) + 1, 2**53 - 1)
    else:
        some = TEXTS
    return some | st.none() if column.nullable else some


def stored(table: Table, row: dict[str, Any]) -> tuple[Any, ...]:
    """The same row as it goes into the database."""
    return tuple(_stored(column.type, row[column.name]) for column in table.c)


def _stored(kind: Any, given: Any) -> Any:
    if isinstance(kind, JSON):
        return leaves.NOTHING if given is None else canonical(given)
    return iso_utc(given) if isinstance(kind, Instant) and given is not None else given


def same(quick: leaves.NewLeaf, slow: leaves.NewLeaf) -> None:
    assert quick == slow
    for text in (quick.row, quick.payload or "{}"):
        if "\\ud" not in text:  # RFC 8785 forbids half a surrogate pair, which the log keeps
            assert rfc8785.dumps(json.loads(text)).decode() == text


@given(st.data())
def test_a_decision_is_hashed_alike_on_its_way_in_and_when_it_is_read(data: st.DataObject) -> None:
    row = data.draw(values(schema.decisions))
    children = {name: data.draw(st.lists(values(table), max_size=3)) for name, table in leaves.CHILDREN.items()}
    captures = data.draw(st.lists(TEXTS, max_size=3))
    parts = [[stored(leaves.CHILDREN[name], child) for child in rows] for name, rows in children.items()]
    quick = leaves.decision_leaf(stored(schema.decisions, row), captures, *parts)
    same(quick, leaves.new_leaf("decision", row, children, captures))


@pytest.mark.parametrize(("kind", "quick"), [("capture", leaves.capture_leaf), ("page", leaves.page_leaf)])
@given(data=st.data())
def test_so_is_every_other_row_of_a_crawl(data: st.DataObject, kind: str, quick: Any) -> None:
    table = leaves.FORMS[kind].table
    row = data.draw(values(table))
    same(quick(stored(table, row)), leaves.new_leaf(kind, row))


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example", "http://a.example:8080/x", "https://u:p@a.example/@x:1", "http://[::1]/", "http://[::1]:81/",
        "https://b\u00fccher.example/a//b", f"https://{'a' * 300}.example/:80", "http://127.0.0.1:1/?q=//c.example:2/",
    ],
)  # fmt: skip
def test_the_host_of_a_canonical_url_is_the_one_that_reading_it_gives(url: str) -> None:
    assert host_in(parse(url).href) == host_of(parse(url))
