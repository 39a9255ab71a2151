from __future__ import annotations

import json
import warnings

import pytest

from forbear.crawler.demo.demo_server import Reply, Web
from tests.crawler.crawls import HTML, Crawler, page

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlcroissant  # type: ignore[import-untyped]

# Of the libraries that mlcroissant rests on.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

POLICY = "https://a.example/policy.json"


def test_a_corpus_describes_itself_to_machines_and_people(crawler: Crawler) -> None:
    offering = (("TDM-Reservation", "0"), ("TDM-Policy", POLICY))
    sites = {
        "www.a.example": {"/": Reply(page("/b").body, headers=(*HTML, *offering)), "/b": page(words="Grüße.")},
        "b.example": {"/": page(words="Nine.")},
    }
    with Web(sites) as web:
        crawler.run(web, "http://www.a.example/", "http://b.example/")
    done = crawler.command(
        "corpus", "card", "--out", str(crawler.out), "--db", crawler.database, "--name", "boats", "--json"
    )
    made = json.loads(done.stdout)
    described = mlcroissant.Dataset(jsonld=made["croissant"])
    issues = described.metadata.ctx.issues
    assert (issues.errors, issues.warnings) == (set(), set())
    assert str(described.metadata.conforms_to[0]).endswith("croissant/1.1")
    records = {row["pages/url"].decode(): row for row in described.records("pages")}
    assert records.keys() == {"http://www.a.example/", "http://www.a.example/b", "http://b.example/"}
    assert records["http://www.a.example/b"]["pages/text"].decode().startswith("Grüße.")
    with open(made["croissant"], encoding="utf-8") as file:  # noqa: PTH123 as anybody would
        content = json.load(file)
    [crawl] = crawler.rows("SELECT id, policy FROM crawls")
    [activity] = content["prov:wasGeneratedBy"]
    assert (activity["@id"], activity["prov:used"]["@id"]) == (f"urn:uuid:{crawl[0]}", f"urn:sha256:{crawl[1]}")
    terms, policy = content["usageInfo"]
    assert terms["odrl:permission"]["odrl:constraint"]["odrl:rightOperand"] == "train-ai"
    assert (policy["url"], policy["odrl:target"]["odrl:source"]) == (POLICY, "www.a.example")
    assert "header tdm-reservation" in policy["description"]
    text = (crawler.out / "card-0001.md").read_text("utf-8")
    assert "| a.example | 2 |" in text
    assert f"| www.a.example | {POLICY} |" in text
    assert text.count("Nobody has said.") == 4
