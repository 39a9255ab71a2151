"""``forbear demo``: every protocol at work, on simulated sites."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from forbear.crawler.demo.demo_server import Web
from forbear.crawler.demo.sites import SITES
from forbear.optout import policy

ROOT = Path(__file__).parents[2]


def test_each_protocol_is_seen_at_work_and_who_opts_out_is_out_of_every_document(forbear, tmp_path) -> None:
    real = tmp_path / "real.db"
    environment = {"FORBEAR_DB": f"sqlite:///{real}", "FORBEAR_CONTACT": "nobody"}
    done = forbear("demo", "--out", "out", "--opt-out", "photos.example", env=environment)
    assert done.returncode == 0, done
    assert not real.exists()  # the settings of real crawls do not reach the demo
    first, _, second = done.stdout.partition("now disallows every crawler in its robots.txt")
    [folder] = (tmp_path / "out").iterdir()
    all_are_seen(first.partition("The crawl finished")[0])
    knows(folder, " ".join(second.split()))


@pytest.mark.parametrize("page", ["README.md", "docs/index.md", "docs/tutorial/first-crawl.md"])
def test_pages_have_the_number_of_sites(page: str) -> None:
    numbers = set(re.findall(r"(\d+) simulated sites", (ROOT / page).read_text(encoding="utf-8")))
    assert numbers == {str(len(SITES))}, f"{page}: write {len(SITES)} simulated sites"


def all_are_seen(table: str) -> None:
    rows = [line.split() for line in table.splitlines() if "http://" in line]
    ends = {next(word for word in words if word.startswith("http://")): words[0] for words in rows}
    assert set(ends.values()) >= {"kept", "excluded", "deferred", "redirected"}
    unseen = [name for name in policy.load().protocols if not any(name in words for words in rows)]
    assert not unseen, (
        f"add [[protocols.{unseen[0]}.opt_out]] to optout/policy.toml: how a site says no by it "
        "(inside a file: add a host to crawler/demo/sites.py)"
    )
    for file in ("photos.example/harbour.jpg", "photos.example/sealed.jpg", "shelf.example/book.epub"):
        assert ends[f"http://{file}"] == "excluded"
    assert ends["http://photos.example/open.jpg"] == "kept"
    assert ["kept", "excluded", "http://choir.example/", "robots-intent"] in [words[:4] for words in rows]


def knows(folder: Path, second: str) -> None:
    assert list(folder.glob("corpus/warc/*.warc.gz"))
    assert "From version 1 to 2: 0 pages added, 3 removed." in second
    assert "bakery.example 0 1" in second
    assert "removed http://photos.example/ robots: Disallow: / line 2 of http://photos.example/robots.txt" in second
    assert "Version 2: 2 files; no faults." in second
    before, after = (json.loads((folder / f"{name}.json").read_text()) for name in ("before", "summary"))
    assert "photos.example" in json.dumps(before)
    assert "photos.example" not in json.dumps(after)
    assert "recheck: 2 pages taken out of the corpus again" in (folder / "coverage.json").read_text()
    assert {path.suffix for path in folder.glob("coverage.*")} == {".html", ".docx", ".pdf", ".json"}
    assert (folder / "corpus" / "croissant-0002.json").exists()
    kept = (folder / "filtered" / "kept" / "urls.txt").read_text()
    assert "library.example" in kept
    assert "photos.example" not in kept
    assert "bakery.example" not in kept


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
    paths |= {name: f"{name}.example/" for name in policy.load().protocols if f"{name}.example" in SITES}
    assert set(paths) == set(policy.load().protocols) - {"operator", "infringing-list"}, "which no site publishes"
    with Web(SITES) as web:
        done = forbear("check", "--json", "--proxy", web.proxy, *(f"http://{path}" for path in paths.values()))
    assert (done.returncode, done.stderr) == (1, "")
    for name, line in zip(paths, done.stdout.splitlines(), strict=True):
        answer = json.loads(line)
        assert name in {one["protocol"] for one in answer["reasons"] + answer["statements"]}, name
        assert answer["verdicts"]["strict"] == {"unreachable": "deferred", "prose": "allowed"}.get(name, "excluded")
