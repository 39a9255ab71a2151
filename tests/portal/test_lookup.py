from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

pytestmark = pytest.mark.usefixtures("crawled")


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("journal.example", "journal.example"),
        ("  Journal.Example. ", "journal.example"),
        ("https://user@JOURNAL.example:8443/secret/plan?x=1#y", "journal.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("https://www.journal.example/no/2", "www.journal.example"),
    ],
)
def test_whatever_is_pasted_is_answered(portal, asked, name):
    answer = portal.get("/api/lookup", params={"name": asked}).json()
    assert (answer["name"], answer["answer"] != "never seen") == (name, True)
    page = portal.get("/lookup", params={"name": asked})
    assert page.status_code == 200
    assert answer["unicode"] in page.text


def test_the_figures_and_the_words_of_a_domain_with_all_below_it(portal):
    answer = portal.get("/api/lookup", params={"name": "journal.example"}).json()
    assert answer["urls"] == {"kept": 2, "excluded": 2, "deferred": 0, "allowed": 2}
    assert answer["answer"] == "kept"
    assert {(said["quote"], said["where"], said["source"]) for said in answer["words"]} == {
        ("Disallow: /no", "line 2", "https://journal.example/robots.txt"),
        ("Disallow: /no # <b>&amp;</b>", "line 2", "https://www.journal.example/robots.txt"),
    }
    page = portal.get("/lookup", params={"name": "journal.example"}).text
    assert '>2 copies kept,</span> <span class="whole">2 pages excluded<' in " ".join(page.split())
    assert "Disallow: /no # &lt;b&gt;&amp;amp;&lt;/b&gt;" in page  # a site's words reach the page as text


def test_never_seen_differs_from_excluded(portal):
    unseen = portal.get("/lookup", params={"name": "nobody.example"})
    excluded = portal.get("/lookup", params={"name": "bücher.example"})
    assert unseen.status_code == 200
    assert "Never seen" in unseen.text
    assert "not the same as <em>excluded</em>" in unseen.text
    assert "Never seen" not in excluded.text
    assert "Excluded since" in " ".join(excluded.text.split())
    assert portal.get("/api/lookup", params={"name": "nobody.example"}).json()["answer"] == "never seen"


def test_what_could_not_be_read_is_shown_as_a_failure(portal):
    page = portal.get("/lookup", params={"name": "storm.example"}).text
    assert "Deferred" in page
    assert "The answer was: <code>503</code>" in page


@pytest.mark.parametrize("name", ["journal.example", "gallery.example", "https://gallery.example/hidden/harbour"])
def test_no_address_of_a_page_is_reported_without_proof(portal, name):
    for path in ("/lookup", "/api/lookup"):
        told = portal.get(path, params={"name": name}).text.replace("https://gallery.example/hidden/harbour", "", 1)
        assert "hidden" not in told if path == "/api/lookup" else "/hidden/harbour of" not in told
        assert "secret" not in told


def test_words_on_a_page_are_quoted_under_its_host(portal):
    [said] = portal.get("/api/lookup", params={"name": "gallery.example"}).json()["words"]
    assert (said["quote"], said["source"], said["where"]) == (
        "noai",
        "https://gallery.example",
        "header x-robots-tag",
    )


def test_the_line_of_the_operators_list_is_not_shown(portal):
    [said] = portal.get("/api/lookup", params={"name": "blocked.example"}).json()["words"]
    assert (said["protocol"], said["quote"], said["source"]) == ("operator", "", "")
    assert "An entry of our own list" in portal.get("/lookup", params={"name": "blocked.example"}).text


@pytest.mark.parametrize("asked", ["ftp://a.example/", "http://", "::", "a b.example", "https://exa<mple/"])
def test_what_is_not_a_domain_is_reported_in_a_sentence(portal, asked):
    for path in ("/lookup", "/api/lookup"):
        answer = portal.get(path, params={"name": asked})
        assert answer.status_code == 422
        assert "is not a domain or URL: write one like example.org" in answer.text


def test_without_a_name_the_form_is_shown(portal):
    assert 'name="name"' in portal.get("/lookup").text
    assert portal.get("/api/lookup").json() == {
        "error": "What was sent is not right in name: correct it and send it again."
    }


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("journal.example", "kept"),
        ("xn--bcher-kva.example", "excluded since 2026-03-01"),
        ("storm.example", "deferred"),
        ("nobody.example", "not collected"),
    ],
)
def test_the_badge_says_the_same(portal, name, says):
    answer = portal.get(f"/badge/{name}.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    picture = ET.fromstring(answer.text)
    assert picture.findtext("{http://www.w3.org/2000/svg}title") == f"AI training: {says}"


def test_the_list_of_infringing_sites_is_quoted(portal):
    [said] = portal.get("/api/lookup", params={"name": "pirate.example"}).json()["words"]
    assert (said["protocol"], said["quote"], said["source"]) == ("infringing-list", "pirate.example,a court", "")
    assert "pirate.example,a court" in portal.get("/lookup", params={"name": "pirate.example"}).text


def test_words_are_shown_in_their_file(portal):
    page = portal.get("/lookup", params={"name": "journal.example"}).text
    assert "In its place: https://journal.example/robots.txt" in page
    assert "User-agent: *\n<mark>Disallow: /no</mark>" in page
