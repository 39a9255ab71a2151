from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from dataclasses import replace

import pytest
from warcio.archiveiterator import ArchiveIterator

from forbear.crawler.corpus import versions
from forbear.crawler.demo.demo_server import Reply, Web
from forbear.storage.database import open_database, reading
from forbear.storage.proof import keys
from forbear.storage.proof.verify import Report, verify
from tests.crawler.crawls import HTML, Crawler, moved, page, paths, plain, tree, urls
from tests.invariants import check_laws
from tests.prefork import Done

SAME = "The same words under two addresses."
NOAI = ("X-Robots-Tag", "noai")


def tagged(reply: Reply, tag: str, *more: tuple[str, str]) -> Reply:
    return replace(reply, headers=(*HTML, ("ETag", f'"{tag}"'), *more))


def recheck(crawler: Crawler, web: Web, code: int = 0, **options: object) -> Done:
    crawler.program = "recheck"
    try:
        return crawler.run(web, code=code, **options)
    finally:
        crawler.program = "crawl"


@pytest.mark.parametrize("database", ["crawler", "crawler_on_postgresql"])
def test_who_opts_out_between_two_runs_is_taken_out(request: pytest.FixtureRequest, database: str) -> None:
    crawler: Crawler = request.getfixturevalue(database)
    sites: dict[str, dict[str, Reply]] = {
        "a.example": tree(6),
        "b.example": {"/": tagged(page("/x"), "1"), "/x": tagged(page(words="Nine boats."), "2")},
        "c.example": {"/": page(words=SAME), "/stays": page(words="Ten.")},
        "d.example": {"/": page(words=SAME)},
        "e.example": {path: page(words=f"This is {path}.") for path in ("/gone", "/busy", "/moved", "/changed")},
    }
    with Web(sites) as web:
        crawler.run(web, "http://c.example/", "http://d.example/")  # the content of one is that of the other
        others = ("http://a.example/", "http://b.example/", "http://c.example/stays")
        crawler.run(web, *others, *urls("e.example", sites["e.example"]))
        first = crawler.kept()
        text = {row["url"]: row["text"] for row in crawler.table().to_pylist()}
        sites["a.example"] |= {"/robots.txt": plain("User-agent: *\nDisallow: /\n")}
        sites["b.example"]["/x"] = tagged(page(words="Nine boats."), "2", NOAI)
        sites["c.example"]["/"] = page(words=f'{SAME}<meta name="robots" content="noai">')
        sites["e.example"] = {
            "/busy": Reply(status=503),
            "/moved": moved("/new"),
            "/new": Reply(page().body, headers=(*HTML, NOAI)),
            "/changed": page(words="Something else."),
        }
        before = len(web.hits)
        done = recheck(crawler, web)
        asked = web.hits[before:]
    told = done.summary
    gone = {*urls("a.example", ["/", "/1", "/2", "/3", "/4", "/5"]), "http://b.example/x", "http://c.example/"}
    gone |= {"http://e.example/moved"}
    assert told["removed"] == {"excluded": len(gone)}
    assert crawler.kept() == Counter({url: 1 for url in first if url not in gone})
    rows = crawler.rows(
        "SELECT pages.url, protocol, quote FROM removals JOIN pages ON pages.decision = page"
        " JOIN reasons ON reasons.decision = removals.decision"
    )
    assert {url for url, _, _ in rows} == gone
    assert ("http://a.example/3", "robots", "Disallow: /") in rows
    assert ("http://b.example/x", "robots-meta", "noai") in rows
    assert [hit.path for hit in asked if hit.host == "a.example" and hit.path[1:].isdigit()] == []
    conditional = {hit.path: hit.headers.get("If-None-Match") for hit in asked if hit.host == "b.example"}
    assert (conditional["/"], conditional["/x"], conditional["/robots.txt"]) == ('"1"', '"2"', None)
    assert told["outcomes"] == {
        "excluded": 9, "unchanged": 3, "changed": 1, "gone": 1, "redirected": 1, "abandoned": 1
    }  # fmt: skip
    assert told["requests"] == len(asked)
    left = {row["url"]: row["text"] for row in crawler.table().to_pylist()}
    assert left == {url: words for url, words in text.items() if url not in gone}
    assert [record.rec_headers["WARC-Target-URI"] for record in crawler.records("revisit")] == []
    assert told["version"] == 3
    for words in ("This is page 3 of 6.", "Nine boats.", "This is /moved."):
        assert words.encode() not in b"".join(record.octets for record in crawler.records("response"))
    check_laws(crawler.database, crawler.out)
    is_unaltered(crawler.database)
    assert crawler.command("corpus", "verify", "--out", str(crawler.out)).code == 0
    assert crawler.command("corpus", "verify", "1", "--out", str(crawler.out)).code == 0
    difference = versions.diff(crawler.out, versions.load(crawler.out, 2), versions.load(crawler.out, 3))
    assert difference.domains() == {"a.example": (0, 6), "b.example": (0, 1), "c.example": (0, 1), "e.example": (0, 1)}
    difference_told = crawler.command(
        "corpus", "diff", "2", "3", "--out", str(crawler.out), "--db", crawler.database, "--json"
    )
    left = {page["url"]: [reason["quote"] for reason in page["reasons"]] for page in difference_told.summary["pages"]}
    assert left.keys() == gone
    assert left["http://e.example/moved"] == ["noai"]
    known = json.loads(crawler.command("lookup", "a.example", "--db", crawler.database, "--json").stdout)
    assert known["urls"] == {"excluded": 6, "removed": 6}
    assert known["left"][0].keys() == {"url", "kept_at", "left_at"}
    assert recheck_of_nothing_new(crawler, sites) == {"pages": 6, "version": None}


def is_unaltered(database: str) -> None:
    engine = open_database(database)
    with reading(engine) as connection:
        assert list(verify(connection, Report())) == []
    engine.dispose()


def recheck_of_nothing_new(crawler: Crawler, sites: dict[str, dict[str, Reply]]) -> dict[str, object]:
    with Web(sites) as web:
        told = recheck(crawler, web).summary
        assert paths(web, "a.example") == [], "what has left is not asked for any more"
    assert not told["resumed"]
    return {name: told[name] for name in ("pages", "version")}


def test_a_budget_is_kept_and_the_same_command_goes_on_with_the_next(crawler: Crawler) -> None:
    sites = {f"h{number}.example": tree(6) for number in range(4)}
    with Web(sites) as web:
        crawler.run(web, *(f"http://{host}/" for host in sites))
        for site in sites.values():
            site["/5"] = Reply(b"<p>no", headers=(*HTML, NOAI))
        turns, removed = 0, 0
        while not (told := recheck(crawler, web, budget=12).summary)["finished"]:
            turns += 1
            assert told["requests"] <= 12 + 2 * 16, "what is under way is brought to an end"
            assert told["resumed"] == (turns > 1)
            removed = told["removed"].get("excluded", 0)
    assert turns >= 1
    assert told["removed"] == {"excluded": 4}
    assert removed <= 4
    assert len(crawler.rows("SELECT id FROM crawls")) == 2
    asked = Counter((hit.host, hit.path) for hit in web.hits if hit.path[1:].isdigit())
    assert set(asked.values()) == {2}, "each page once by the crawl and once by the recheck"


def test_shadow_mode_removes_nothing_and_deferred_pages_are_removed_only_on_request(crawler: Crawler) -> None:
    sites = {"a.example": {"/": page()}}
    with Web(sites) as web:
        crawler.run(web, "http://a.example/")
        sites["a.example"] |= {"/robots.txt": Reply(status=503)}
        assert recheck(crawler, web).summary["removed"] == {}
        assert recheck(crawler, web, shadow=True, remove_deferred=True).summary["removed"] == {}
        assert len(crawler.kept()) == 1
        assert recheck(crawler, web, remove_deferred=True).summary["removed"] == {"deferred": 1}
    assert crawler.kept() == Counter()
    assert ("unreachable", "503") in crawler.reasons()["http://a.example/"]


def test_with_a_key_the_log_is_signed_the_tombstones_included(crawler: Crawler) -> None:
    key, phrase = crawler.folder / "log.key", crawler.folder / "phrase"
    phrase.write_text("pass\n")
    keys.create(key, "operator.example/forbear", "pass")
    sites = {"a.example": {"/": page()}}
    with Web(sites) as web:
        crawler.run(web, "http://a.example/")
        sites["a.example"]["/"] = Reply(page().body, headers=(*HTML, NOAI))
        told = recheck(crawler, web, key=key, passphrase_file=phrase).summary
    assert told["removed"] == {"excluded": 1}
    [(tombstone,)] = crawler.rows("SELECT position FROM chain WHERE kind = 'removal'")
    assert told["checkpoint"]["size"] > tombstone
    assert told["checkpoint"]["note"].startswith("operator.example/forbear\n")
    assert crawler.rows("SELECT note FROM checkpoints") == [(told["checkpoint"]["note"],)]


def opted_out(crawler: Crawler) -> tuple[dict[str, dict[str, Reply]], Counter[str]]:
    """A corpus of two files, the second with revisits of pages in the first; and what is to stay of it."""
    sites = {
        "a.example": {"/": page("/1", "/2"), "/1": page(words=SAME), "/2": page(words="Two.")},
        "b.example": {"/": page("/1", "/2", words="B"), "/1": page(words=SAME), "/2": page(words="Another two.")},
    }
    with Web(sites) as web:
        crawler.run(web, "http://a.example/", "http://b.example/")
        crawler.run(web, "http://a.example/", "http://b.example/", max_depth=1)
    kept = crawler.kept()
    assert set(kept.values()) == {2}, "two crawls, two copies"
    assert len(crawler.records("revisit")) == 2
    sites["a.example"] |= {"/robots.txt": plain("User-agent: *\nDisallow: /1\n")}
    sites["b.example"]["/2"] = Reply(b"<p>no", headers=(*HTML, NOAI))
    gone = ("http://a.example/1", "http://b.example/2")
    return sites, Counter({url: count for url, count in kept.items() if url not in gone})


def named(crawler: Crawler) -> Counter[str]:
    """The URLs in WARC files that have their name: not in those that are still being written."""
    found: Counter[str] = Counter()
    for path in (crawler.out / "warc").glob("*.warc.gz"):
        with path.open("rb") as file:
            records = (record for record in ArchiveIterator(file) if record.rec_type in ("response", "revisit"))
            found.update(record.rec_headers["WARC-Target-URI"] for record in records)
    return found


def test_killed_at_any_point_of_the_rewriting_it_goes_on(crawler: Crawler) -> None:
    sites, stays = opted_out(crawler)
    crawler.program, steps, before = "recheck", 0, crawler.kept()
    with Web(sites) as web:
        while (done := crawler.start(web, dies=steps).wait()).code == -signal.SIGKILL:
            steps += 1
            assert stays <= named(crawler) <= before, "each file is the old one or the new one, and whole"
    assert done.code == 0, done.stderr
    assert steps > 12
    assert crawler.kept() == stays
    assert crawler.records("revisit") == []
    assert len(crawler.rows("SELECT id FROM crawls")) == 3
    assert crawler.command("corpus", "verify", "--out", str(crawler.out)).code == 0


@pytest.mark.parametrize(("database", "kills"), [("crawler", 3), ("crawler_on_postgresql", 1)])
def test_killed_at_any_time_it_goes_on(request: pytest.FixtureRequest, database: str, kills: int) -> None:
    crawler: Crawler = request.getfixturevalue(database)
    chance = random.Random(database)
    sites, stays = opted_out(crawler)
    crawler.program = "recheck"
    with Web(sites) as web:
        for _ in range(kills):
            process = crawler.start(web)
            time.sleep(chance.uniform(0, 1))
            process.kill()
            process.wait()
        crawler.run(web)
    assert crawler.kept() == stays
