"""``forbear demo``: every protocol at work, on a web that runs here."""

from __future__ import annotations

import json

from crawler.demo import SITES
from crawler.web import Web
from optout import policy


def test_each_protocol_is_seen_at_work(forbear, tmp_path) -> None:
    done = forbear("demo", "--out", "out")
    assert (done.returncode, done.stderr) == (0, "")
    table = done.stdout.partition("The crawl finished")[0]
    rows = [line.split() for line in table.splitlines() if "http://" in line]
    ends = {next(word for word in words if word.startswith("http://")): words[0] for words in rows}
    assert set(ends.values()) >= {"kept", "excluded", "deferred", "redirected"}
    seen = {name for name in policy.load().protocols if any(name in words for words in rows)}
    assert seen == set(policy.load().protocols)
    for file in ("photos.example/harbour.jpg", "photos.example/sealed.jpg", "shelf.example/book.epub"):
        assert ends[f"http://{file}"] == "excluded"
    assert ends["http://photos.example/open.jpg"] == "kept"
    assert ["kept", "excluded", "http://choir.example/", "robots-intent"] in [words[:4] for words in rows]
    assert list((tmp_path / "out").glob("*/corpus/warc/*.warc.gz"))


def test_check_shows_each_protocol_at_work(forbear) -> None:
    paths = {
        "robots": "press.example/",
        "tdmrep": "shelf.example/book.epub",
        "robots-meta": "gallery.example/lighthouse",
        "aipref": "studio.example/sketches",
        "content-signal": "theatre.example/",
        "rsl": "records.example/",
        "trust-txt": "weekly.example/",
        "ai-txt": "novels.example/chapter.html",
        "usage-token": "letters.example/drafts/1",
        "robots-intent": "choir.example/",
        "iptc": "photos.example/harbour.jpg",
        "c2pa": "photos.example/sealed.jpg",
        "access": "news.example/premium",
        "prose": "bakery.example/",
        "unreachable": "storm.example/",
    }
    assert set(paths) == set(policy.load().protocols) - {"operator", "infringing-list"}, "whose lists are no site's"
    with Web(SITES) as web:
        done = forbear("check", "--json", "--proxy", web.proxy, *(f"http://{path}" for path in paths.values()))
    assert (done.returncode, done.stderr) == (1, "")
    for name, line in zip(paths, done.stdout.splitlines(), strict=True):
        answer = json.loads(line)
        assert name in {said["protocol"] for said in answer["reasons"] + answer["statements"]}, name
        assert answer["verdicts"]["strict"] == {"unreachable": "deferred", "prose": "allowed"}.get(name, "excluded")
