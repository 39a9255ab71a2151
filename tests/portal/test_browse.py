from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from html import unescape

import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from forbear.optout.model import Verdict
from forbear.portal.web.highlight import MOST, as_text, marked
from forbear.storage.accounts import sessions
from forbear.storage.accounts.accounts import Role
from forbear.storage.chain.merkle import root_from_inclusion
from forbear.storage.chain.signed_note import SignerKey
from forbear.storage.proof import checkpoints
from forbear.storage.reads.browse import Cursor, decision, page
from forbear.storage.reads.exports import escape_formula
from forbear.storage.reads.queries import Filter, log
from tests.portal.signing_in import enrolled, sign_in


@pytest.fixture
def dashboard(portal, engine, crawled):
    """A portal that somebody has signed in to."""
    sign_in(portal, enrolled(engine, "grace", Role.VIEWER))
    return portal


def urls(text: str) -> list[str]:
    return [unescape(url) for url in re.findall(r'href="/dashboard/decisions/[^"]+">([^<]+)<', text)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            "domain=journal.example&verdict=excluded",
            {"https://www.journal.example/no/2", "https://journal.example/no/1"},
        ),
        ("domain=journal.example&verdict=excluded&subdomains=no", {"https://journal.example/no/1"}),
        ("prefix=https://journal.example/open", {"https://journal.example/open/1"}),
        ("protocol=robots-meta", {"https://gallery.example/hidden/harbour"}),
        ("measure=1.5", {"https://blocked.example/"}),
        ("verdict=deferred", {"https://storm.example/"}),
        ("domain=bücher.example", {"https://xn--bcher-kva.example/"}),
        ("since=2027-01-01", set()),
        ("strict=excluded&domain=nowhere.example", set()),
    ],
)
def test_filters_are_the_url(dashboard, query, expected):
    answer = dashboard.get(f"/dashboard/log?{query}")
    assert answer.status_code == 200
    assert set(urls(answer.text)) == expected
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("query", ["verdict=maybe", "since=yesterday", "after=x", "domain=a b", "stage=x"])
def test_what_is_not_a_filter_is_a_sentence(dashboard, query):
    answer = dashboard.get(f"/dashboard/log?{query}")
    assert answer.status_code == 422


@pytest.mark.parametrize("looked", [7, 10_000])
@pytest.mark.parametrize(
    "wanted",
    [
        Filter(),
        Filter(protocol="robots"),
        Filter(measure="1.3(1)(a)"),
        Filter(protocol="robots", verdict=Verdict.EXCLUDED),
        Filter(domain="site.example"),
        Filter(domain="site.example", protocol="robots"),
        Filter(verdict=Verdict.EXCLUDED),
        Filter(verdict=Verdict.EXCLUDED, protocol="robots", domain="site.example"),
        Filter(verdict=Verdict.EXCLUDED, crawl="CRAWL"),
        Filter(crawl="CRAWL", url_prefix="https://site.example/no/"),
    ],
)
def test_pages_follow_each_other_without_loss(engine, make, write, monkeypatch, wanted, looked):
    """However little is looked at for a page."""
    monkeypatch.setattr("forbear.storage.reads.browse.MOST_LOOKED", looked)
    write(*(make.decided(f"https://site.example/no/{n}", Verdict.EXCLUDED) for n in range(23)))
    write(*(make.decided(f"https://site.example/yes/{n}") for n in range(9)))
    wanted = replace(wanted, crawl=wanted.crawl and make.crawl)
    number = 32 if wanted in (Filter(), Filter(domain="site.example")) else 23
    seen, after = [], None
    with engine.connect() as connection:
        while True:
            found = page(connection, wanted, after, 5)
            seen += [row["id"] for row in found.rows]
            if found.following is None:
                break
            after = Cursor.parse(str(found.following))
        assert seen == [row["id"] for row in log(connection, wanted)][::-1]
    assert len(seen) == number


def test_a_page_that_would_take_long_says_how_far_it_looked(dashboard, monkeypatch):
    monkeypatch.setattr("forbear.storage.reads.browse.MOST_LOOKED", 3)
    page = dashboard.get(
        "/dashboard/log?stage=request&domain=journal.example&prefix=https://journal.example/nowhere"
    ).text
    assert "and no matching decisions were found" in page
    assert "Look further back" in page
    assert "decisions match." not in page


def test_a_query_is_saved_and_removed(dashboard):
    dashboard.post(
        "/dashboard/log?verdict=excluded", "/dashboard/queries", {"query": "verdict=excluded", "label": "<Noes>"}
    )
    page = dashboard.get("/dashboard/log").text
    assert '<a href="/dashboard/log?verdict=excluded">&lt;Noes&gt;</a>' in page
    [remove] = re.findall(r'action="(/dashboard/queries/[^"]+/remove)"', page)
    dashboard.post("/dashboard/log", remove, {})
    assert "&lt;Noes&gt;" not in dashboard.get("/dashboard/log").text


def test_a_view_is_exported_in_each_form(dashboard):
    expected = {"https://journal.example/no/1", "https://www.journal.example/no/2"}
    query = "domain=journal.example&verdict=excluded"
    table = dashboard.get(f"/dashboard/log.csv?{query}")
    assert table.headers["content-disposition"] == 'attachment; filename="log.csv"'
    assert {row["url"] for row in csv.DictReader(io.StringIO(table.text))} == expected
    lines = dashboard.get(f"/dashboard/log.jsonl?{query}").text.splitlines()
    assert {json.loads(line)["url"] for line in lines} == expected
    file = pq.read_table(io.BytesIO(dashboard.get(f"/dashboard/log.parquet?{query}").content))
    assert set(file.column("url").to_pylist()) == expected
    assert file.column("reasons")[0].as_py()[0]["protocol"] == "robots"
    assert dashboard.get("/dashboard/log.exe").status_code == 404


@pytest.fixture
def key():
    """The operator's key, which signs for the log."""
    return SignerKey("operator.example/forbear", Ed25519PrivateKey.generate())


def checked(octets: bytes, *words: str, cwd) -> str:
    """What a bundle's own program says of it."""
    with zipfile.ZipFile(io.BytesIO(octets)) as archive:
        archive.extractall(cwd)
    done = subprocess.run([sys.executable, "verify.py", *words], cwd=cwd, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_a_view_and_a_decision_are_bundles_that_prove_themselves(dashboard, engine, key, tmp_path):
    assert "No checkpoint covers these rows yet" in dashboard.get("/dashboard/log.zip").text
    checkpoints.sign(engine, key)
    answer = dashboard.get("/dashboard/log.zip?domain=journal.example&verdict=excluded")
    assert answer.headers["content-disposition"] == 'attachment; filename="log.zip"'
    verifier = key.verifier.text
    said = checked(answer.content, "--key", verifier, cwd=tmp_path / "view")
    assert "WRONG" not in said
    assert "2 decision" in said
    assert "Name the key" not in (tmp_path / "view" / "index.html").read_text("utf-8")
    assert checked(answer.content, cwd=tmp_path / "view").startswith("The bundle has no key: name the one")
    with engine.connect() as connection:
        [row] = log(connection, Filter(domain="storm.example"))
    one = dashboard.get(f"/dashboard/decisions/{row['id']}.zip")
    said = checked(one.content, "--key", verifier, cwd=tmp_path / "one")
    assert "WRONG" not in said
    assert "1 decision" in said
    assert dashboard.get("/dashboard/decisions/nothing.zip").status_code == 404
    with engine.connect() as connection:
        assert [one["event"] for one in sessions.access_log(connection, "grace")[:3]] == ["export"] * 3


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_bundle_is_signed_by_the_key_that_the_portal_was_given(serve, engine, crawled, key, tmp_path):
    other = SignerKey("other.example/forbear", Ed25519PrivateKey.generate())
    checkpoints.sign(engine, key)
    account = enrolled(engine, "grace", Role.VIEWER)
    theirs, ours = serve(log_key=other.verifier), serve(log_key=key.verifier)
    sign_in(theirs, account)
    refused = theirs.get("/dashboard/log.zip")
    assert refused.status_code == 409
    assert "is signed by operator.example/forbear" in refused.text
    ours.client.cookies = theirs.client.cookies
    said = checked(ours.get("/dashboard/log.zip").content, cwd=tmp_path / "ours")
    assert "WRONG" not in said
    assert "(the bundle's own key)" in said


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_bundle_has_an_end(dashboard, monkeypatch):
    monkeypatch.setattr("forbear.portal.dashboard.bundles.MOST", 3)
    assert "These are more than 3 decisions" in dashboard.get("/dashboard/log.zip").text


def test_a_cell_is_not_a_formula():
    assert [escape_formula(text) for text in ("=1+1", "@a", "-1", "a", 5, None)] == [
        "'=1+1",
        "'@a",
        "'-1",
        "a",
        5,
        None,
    ]


def test_a_decision_shows_the_words_in_place_and_proves_itself(dashboard, engine):
    with engine.connect() as connection:
        [row] = log(connection, Filter(domain="journal.example", verdict=Verdict.EXCLUDED, subdomains=False))
        whole = decision(connection, row["id"])
    assert whole
    assert whole.proof
    proof = whole.proof
    path = [bytes.fromhex(node) for node in proof.path]
    root = root_from_inclusion(bytes.fromhex(proof.leaf), proof.position, proof.size, path)
    assert root == bytes.fromhex(proof.root)
    text = dashboard.get(f"/dashboard/decisions/{row['id']}").text
    assert "User-agent: *\n<mark>Disallow: /no</mark>\n" in text
    assert "The proof holds:" in text
    assert "It answered 503." in text
    with engine.connect() as connection:
        assert sessions.access_log(connection, "grace")[0]["what"] == f"/dashboard/decisions/{row['id']}"


def test_hostile_content_is_text(dashboard, engine, make, write):
    body = b"User-agent: *\nDisallow: /no\n</pre><script>alert(1)</script>\x00\xff<img src=x onerror=alert(1)>"
    url = "https://hostile.example/no"
    write(make.decided(url, Verdict.EXCLUDED, captures=(make.robots(url, body),)))
    with engine.connect() as connection:
        [row] = log(connection, Filter(domain="hostile.example"))
    text = dashboard.get(f"/dashboard/decisions/{row['id']}").text
    assert "<script" not in text
    assert "<img src=x" not in text
    assert "&lt;/pre&gt;&lt;script&gt;alert(1)&lt;/script&gt;\\x00\\xff" in text
    assert "<mark>Disallow: /no</mark>" in text


def test_a_long_content_is_cut_to_the_surroundings_of_its_quotation():
    text = "a" * MOST + "<no>" + "b" * MOST
    shown = str(marked(text, ["<no>"]))
    assert "<mark>&lt;no&gt;</mark>" in shown
    assert shown.count("characters are left out") == 2
    assert len(shown) < 10_000
    assert marked("x" * (MOST + 1), []).endswith("left out …</span>")


def test_quotations_that_span_lines_are_found():
    assert marked(as_text(b"a\r\nb\nc"), ["a\\x0d\\x0ab"]) == "<mark>a\nb</mark>\nc"


@pytest.mark.parametrize("path", ["/dashboard/log", "/dashboard/decisions/x", "/dashboard/log.csv", "/dashboard"])
def test_nobody_sees_addresses_without_signing_in(portal, path):
    assert portal.get(path).status_code == 303


def test_a_decision_that_is_not_there_is_reported(dashboard):
    assert dashboard.get("/dashboard/decisions/nothing").status_code == 404
