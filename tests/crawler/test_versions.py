from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from forbear.crawler.corpus import versions
from forbear.crawler.demo.demo_server import Reply, Web
from forbear.storage.db.hostnames import digest
from tests.crawler.crawls import Crawler, page, tree

SITES: dict[str, dict[str, Reply]] = {
    "www.a.example": tree(5),
    "b.example": {"/": page("/x"), "/x": page(words="The same."), "/y": page(words="The same.")},
}


def test_versions_of_a_corpus(crawler: Crawler) -> None:
    with Web(SITES) as web:
        assert crawler.run(web, "http://www.a.example/").summary["version"] == 1
        assert crawler.run(web, "http://b.example/", "http://b.example/y").summary["version"] == 2
        assert crawler.run(web, "http://unknown.example/").summary["version"] is None
    says_what_it_held(crawler)
    held_what(crawler)
    is_told_by_domain(crawler)
    for name in CHANGES:
        is_told_when_changed(crawler, name)
    done = crawler.command("corpus", "verify", "9", "--out", str(crawler.out))
    assert done.code == 2
    assert "has no version 9: there are 1 to 2" in done.stderr


def says_what_it_held(corpus: Crawler) -> None:
    first, second = (versions.load(corpus.out, number) for number in (1, 2))
    assert first.content["counts"]["pages"] == 5
    assert second.content["counts"] == {
        "pages": 8,
        "domains": 2,
        "bytes": corpus.rows("SELECT sum(bytes) FROM pages")[0][0],
        "media_types": {"text/html": 8},
    }
    assert second.content["previous"] == {"version": 1, "sha256": first.sha256}
    assert second.content["policy"] == corpus.rows("SELECT policy FROM crawls LIMIT 1")[0][0]
    [leaf] = corpus.rows("SELECT max(position) FROM chain WHERE kind = 'page'")[0]
    assert second.content["log"]["size"] > leaf > first.content["log"]["size"]
    rows = [row for table in versions.pages(corpus.out, second) for row in table.to_pylist()]
    assert Counter(row["domain"] for row in rows) == {"a.example": 5, "b.example": 3}
    kept = corpus.rows("SELECT url, sha256, decision, bytes FROM pages")
    assert {(row["key"], row["sha256"].hex(), row["decision"].hex(), row["bytes"]) for row in rows} == {
        (digest(url), sha256, decision.replace("-", ""), octets) for url, sha256, decision, octets in kept
    }
    listed = list((corpus.out / "versions" / "lists").iterdir())
    assert len(listed) == 2, "the file that both versions have is listed once"


def held_what(corpus: Crawler) -> None:
    def held(asked: str, code: int = 0) -> list[int]:
        done = corpus.command("corpus", "holds", asked, "--out", str(corpus.out), "--json")
        assert done.code == code
        return [json.loads(line)["pages"] for line in done.stdout.splitlines()]

    assert held("b.example") == [0, 3]
    assert held("a.example") == held("www.a.example") == [5, 5]
    assert held("http://b.example/x") == [0, 1]
    assert held("other.example", code=3) == [0, 0]


def is_told_by_domain(corpus: Crawler) -> None:
    done = corpus.command("corpus", "diff", "2", "1", "--out", str(corpus.out), "--db", corpus.database, "--json")
    told = json.loads(done.stdout)
    assert (told["added"], told["removed"], told["domains"]) == (0, 3, {"b.example": {"added": 0, "removed": 3}})
    assert [page["url"] for page in told["pages"]] == [f"http://b.example/{path}" for path in ("", "x", "y")]


def _append(path: Any) -> None:
    path.write_bytes(path.read_bytes() + b" ")


CHANGES = {
    "nothing": (lambda out: None, None),
    "a WARC file": (lambda out: _append(next((out / "warc").iterdir())), "warc/.* was changed since"),
    "a table": (lambda out: next((out / "pages").iterdir()).unlink(), "pages/.* is missing"),
    "a list": (lambda out: _append(next((out / "versions" / "lists").iterdir())), "versions/lists/.* was changed"),
    "an older manifest": (lambda out: _append(out / "versions" / "0001.json"), "manifest of version 1 was changed"),
}


def is_told_when_changed(corpus: Crawler, name: str) -> None:
    change, told = CHANGES[name]
    originals = {path: path.read_bytes() for path in corpus.out.rglob("*") if path.is_file()}
    change(corpus.out)
    done = corpus.command("corpus", "verify", "--out", str(corpus.out), "--json")
    faults = json.loads(done.stdout)["faults"]
    assert done.code == bool(told) == len(faults)
    if told:
        assert re.search(told, faults[0])
    for path, octets in originals.items():
        path.write_bytes(octets)
