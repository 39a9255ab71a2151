from __future__ import annotations

import hashlib
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest
import rfc8785

from forbear.optout import policy
from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.model import Capture, Decision, Profile, Question, Use, Verdict
from forbear.portal.background.jobs import deliver, work
from forbear.portal.public.examples import HEAD, HEADER, METADATA, Example, examples, is_honoured
from forbear.portal.web.smtp import Smtp
from forbear.storage.accounts import cards, subscriptions
from forbear.storage.database import writing
from forbear.storage.db.portal_tables import mails
from forbear.storage.db.records import now
from forbear.storage.log.crawls import begin
from tests.crawler.crawls import until
from tests.optout.manifests import signed
from tests.optout.pictures import picture
from tests.portal.mailbox import Mailbox, search
from tests.storage.conftest import CRAWL

ATOM = "{http://www.w3.org/2005/Atom}"
STANDARD = examples(policy.load(), Profile.STANDARD, "ForbearBot")


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as mailbox:
        yield mailbox


def captures_of(example: Example) -> list[Capture]:
    """A site that has done what the example says."""
    found, headers, head, body = [], [("Content-Type", "text/html")], "", None
    for part in example.parts:
        if part.goes == HEADER:
            name, _, value = part.text.strip().partition(": ")
            headers.append((name, value))
        elif part.goes == HEAD:
            head = part.text
        elif part.goes == METADATA:
            body, headers = in_a_file(example.protocol, part.text)
        else:
            found.append(
                Capture(f"https://example.org{part.goes}", 200, (("Content-Type", "text/plain"),), part.text.encode())
            )
    body = f"<!doctype html><title>t</title>{head}<p>x</p>".encode() if body is None else body
    return [*found, Capture("https://example.org/page", 200, tuple(headers), body)]


def in_a_file(protocol: str, text: str):
    if protocol == "iptc":
        rdf = f'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{text}</rdf:RDF>'
        xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{rdf}</x:xmpmeta>'
        return picture(xmp=xmp.encode()), [("Content-Type", "image/jpeg")]
    return signed(picture(), json.loads(text))[0], [("Content-Type", "image/jpeg")]


@pytest.mark.parametrize("example", STANDARD, ids=lambda example: f"{example.protocol}-{example.parts[0].goes}")
@pytest.mark.parametrize("profile", Profile)
def test_every_example_to_copy_excludes(example: Example, profile: Profile):
    question = Question("https://example.org/page", profile=profile)
    decision = decide(question, Captures(captures_of(example), complete=True), policy.load())
    assert isinstance(decision, Decision)
    assert decision.verdict is Verdict.EXCLUDED
    assert example.protocol in {reason.protocol for reason in decision.reasons}


def test_every_protocol_that_excludes_has_an_example():
    honoured = {name for name, entry in policy.load().protocols.items() if is_honoured(entry, Profile.STANDARD)}
    without = sorted(honoured - {example.protocol for example in STANDARD})
    assert not without, f"add [[protocols.{without[0]}.opt_out]] to optout/policy.toml: how a site says no by it"
    assert {example.protocol for example in STANDARD} == honoured


def test_what_the_policy_does_not_honour_is_not_offered():
    looser = policy.load('[protocols.ai-txt]\nstandard = { excludes = [] }\nstrict = { excludes = [] }\nreason = "r"\n')
    assert "ai-txt" not in {example.protocol for example in examples(looser, Profile.STANDARD, "ForbearBot")}


def test_the_card_says_who_crawls_by_the_configuration_and_by_the_log(serve, engine):
    portal = serve(agent="OtherBot", use=Use.SEARCH, profile=Profile.STRICT, ip_ranges=("192.0.2.0/24",))
    with writing(engine) as connection:
        begin(connection, CRAWL, now())
    card = portal.get("/crawlers/card.json").json()
    assert [(one["product_token"], one["use"], one["profile"]) for one in card["crawlers"]] == [
        ("OtherBot", "search", "strict"),
        ("ForbearBot", "train-ai", "standard"),
    ]
    assert card["ip_ranges"] == ["192.0.2.0/24"]
    assert card["policy"] == policy.load().digest
    effects = {one["name"]: one["effect"] for one in card["protocols"]}
    assert "a value that it does not know excludes the page" in effects["tdmrep"]
    assert "excludes nothing" in effects["prose"]
    published = {name: value for name, value in card.items() if name not in ("digest", "published_at")}
    assert hashlib.sha256(rfc8785.dumps(published)).hexdigest() == card["digest"]
    page = portal.get("/crawlers").text
    for words in ("OtherBot", "ForbearBot/0.1.0", "192.0.2.0/24", "tdm-reservation: 1", "User-agent: OtherBot"):
        assert words in page


def entries(portal):
    answer = portal.get("/crawlers/feed.atom")
    assert answer.headers["content-type"] == "application/atom+xml"
    root = ET.fromstring(answer.content)
    assert root.findtext(f"{ATOM}id") == "http://portal.example/crawlers/feed.atom"
    return [(one.findtext(f"{ATOM}title"), one.findtext(f"{ATOM}content") or "") for one in root.iter(f"{ATOM}entry")]


def test_the_feed_has_an_entry_for_every_change_and_for_nothing_else(serve):
    first = serve()
    [(title, _)] = entries(first)
    assert title == "Our crawlers are published"
    assert entries(first) == entries(first)
    second = serve(profile=Profile.STRICT, ip_ranges=("192.0.2.0/24",))
    (title, content), _ = entries(second)
    assert title == "Our crawlers have changed"
    assert "ip_ranges[192.0.2.0/24]: new: 192.0.2.0/24" in content
    assert re.search(r"protocols\[tdmrep\]\.effect: .* → .*", content)
    digest = second.get("/crawlers/card.json").json()["digest"]
    assert f"SHA-256 of the card: {digest}" in content
    changes = second.get("/crawlers/changes").text
    assert "192.0.2.0/24" in changes
    assert digest in changes


@pytest.mark.parametrize("path", ["/crawlers/card.json", "/crawlers/feed.atom"])
def test_who_has_the_version_is_not_sent_it_again(portal, path):
    tag = portal.get(path).headers["etag"]
    again = portal.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert portal.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def links(mail) -> str:
    return search(r"http://portal\.example(/subscriptions/\S+)", mail.get_content())


def test_changes_are_mailed_only_to_confirmed_subscribers(serve, mailbox):
    smtp = Smtp("127.0.0.1", mailbox.port, False, "portal@operator.example")
    portal = serve(smtp=smtp)
    portal.get("/crawlers")
    for email in ("ada@a.example", "bob@b.example", "ada@a.example"):
        answer = portal.post("/crawlers", "/subscriptions", {"email": email})
        assert "Look into your mail" in answer.text
    deliver(portal.app.state.portal)
    assert [mail["To"] for mail in mailbox.mails] == ["ada@a.example", "bob@b.example"]
    link = links(mailbox.mails[0])
    assert "Do you want a mail about every change?" in portal.get(link).text
    assert portal.get(link).headers["cache-control"] == "no-store"
    confirmed = portal.post(link, link, {"wish": "begin"}, follow_redirects=True)
    assert "You get a mail about every change" in confirmed.text

    changed = serve(smtp=smtp, operator="Example Research")
    work(changed.app.state.portal)
    [mail] = mailbox.mails[2:]
    assert mail["To"] == "ada@a.example"
    assert mail["List-Unsubscribe"].endswith("/end>")
    assert mail["List-Unsubscribe-Post"] is None, "over http, others could listen in"
    assert "operator: operator.example/bot → Example Research" in mail.get_content().replace("https://", "")
    assert links(mail) == link
    work(changed.app.state.portal)
    assert len(mailbox.mails) == 3

    assert "the address is forgotten" in changed.post(link, link, {"wish": "end"}).text
    assert changed.get(link).status_code == 404
    work(serve(smtp=smtp, operator="Another").app.state.portal)
    assert len(mailbox.mails) == 3


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_portal_publishes_and_sends_by_itself(serve, mailbox, engine):
    with writing(engine) as connection:
        asked = subscriptions.request(connection, "ada@a.example", now())
        assert asked
        subscriptions.confirm(connection, asked.token, now())
        cards.publish(connection, {"operator": "before"}, now())
    serve(lifespan="on", smtp=Smtp("127.0.0.1", mailbox.port, False, "portal@operator.example"))
    until(lambda: mailbox.mails)
    assert mailbox.mails[0]["To"] == "ada@a.example"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_one_click_in_a_mail_program_ends_a_subscription(serve, mailbox, engine):
    smtp = Smtp("127.0.0.1", mailbox.port, False, "portal@operator.example")
    work(serve(smtp=smtp).app.state.portal)
    with writing(engine) as connection:
        asked = subscriptions.request(connection, "ada@a.example", now())
        assert asked
        subscriptions.confirm(connection, asked.token, now())
    portal = serve(smtp=smtp, operator="Example Research", base_url="https://portal.example")
    work(portal.app.state.portal)
    [mail] = mailbox.mails
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    end = search(r"^ ?<https://portal\.example(/subscriptions/\S+)>$", mail["List-Unsubscribe"])
    opened = portal.client.get(end)  # by a program that opens every link of a mail: nothing ends
    assert (opened.status_code, opened.headers["location"]) == (303, f"/subscriptions/{asked.token}")
    for _ in range(2):
        assert portal.client.post(end, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    with engine.connect() as connection:
        assert subscriptions.find(connection, asked.token) is None
        assert connection.execute(mails.select()).one().unsubscribe is None


def test_a_mail_server_that_is_away_is_tried_again(serve, mailbox, engine):
    portal = serve(smtp=Smtp("127.0.0.1", mailbox.port, False, "portal@operator.example"))
    portal.post("/crawlers", "/subscriptions", {"email": "ada@a.example"})
    mailbox.refuses = True
    deliver(portal.app.state.portal)
    assert mailbox.mails == []
    mailbox.refuses = False
    with writing(engine) as connection:
        [row] = connection.execute(mails.select()).all()
        assert (row.attempts, "451" in row.error or "try again later" in row.error) == (1, True)
        connection.execute(mails.update().values(due_at=now()))
    deliver(portal.app.state.portal)
    assert [mail["To"] for mail in mailbox.mails] == ["ada@a.example"]


@pytest.mark.parametrize("email", ["", "ada", "ada@localhost", "a@b.example\nBcc: c@d.example", "a b@c.example"])
def test_what_is_not_an_address_is_not_written_to(serve, mailbox, email):
    portal = serve(smtp=Smtp("127.0.0.1", mailbox.port, False, "portal@operator.example"))
    assert portal.post("/crawlers", "/subscriptions", {"email": email}).status_code == 422
    deliver(portal.app.state.portal)
    assert mailbox.mails == []


def test_without_a_mail_server_the_feed_is_offered_alone(portal):
    assert "/subscriptions" not in portal.get("/crawlers").text
    token = portal.form("/check")
    assert portal.client.post("/subscriptions", data={"form_token": token, "email": "a@b.example"}).status_code == 404


@pytest.mark.parametrize(
    ("url", "host", "port", "is_tls", "user", "password"),
    [
        ("smtp://mail.example", "mail.example", 587, False, "", ""),
        ("smtps://u%40x:p%3A@mail.example", "mail.example", 465, True, "u@x", "p:"),
        ("smtp://127.0.0.1:2525", "127.0.0.1", 2525, False, "", ""),
    ],
)
def test_a_mail_server_is_named_by_a_url(url, host, port, is_tls, user, password):
    assert Smtp.parse(url, "a@b.example") == Smtp(host, port, is_tls, "a@b.example", user, password)
    with pytest.raises(ValueError, match="not a mail server"):
        Smtp.parse(url.replace("smtp", "http"), "a@b.example")


def test_the_policy_page_says_what_is_in_force(serve):
    text = serve(profile=Profile.STRICT).get("/policy").text
    for words in (
        "1.2(1)(a)",
        "1.3(1)(b)",
        "TDM Reservation Protocol",
        "profile <em>strict</em>",
        policy.load().digest[:16],
    ):
        assert words in text
    assert "compliant" not in text
