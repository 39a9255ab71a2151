from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from forbear.crawler.demo.demo_server import Web
from forbear.crawler.demo.sites import SITES
from forbear.portal.background.jobs import deliver
from forbear.portal.web.smtp import Smtp
from forbear.portal.web.validation import MOST_OCTETS, file_name, media_type
from forbear.storage.database import writing
from forbear.storage.db.portal_tables import complaints
from forbear.storage.db.records import now
from forbear.storage.log.complaints import ComplaintState, advance, attachment, find
from tests.portal.mailbox import Mailbox, search

GIVEN = {
    "name": "Ada Lamp",
    "email": "ada@lamp.example",
    "on_behalf": "The heirs of the keeper",
    "works": "The log of 1811\nand its maps",
    "urls": "library.example\nhttp://library.example/lamps",
    "what": "It is <b>reserved</b>, and was kept.",
    "good_faith": "yes",
}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


def send(portal, files=(), **changes):
    return portal.post(
        "/complaints", "/complaints", {**GIVEN, **changes}, files=[("files", one) for one in files] or None
    )


def number_of(page) -> str:
    return search(r"<h1>(20\d\d-[0-9A-Z]{6})</h1>", page.text)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as mailbox:
        yield mailbox


def test_a_complaint_gets_a_number_and_a_private_page_that_follows_it(portal, engine):
    sent = send(portal, [("deed.pdf", b"%PDF-1.7 x", "application/pdf"), ("../map.png", PNG, "text/html")])
    assert sent.status_code == 303
    page = portal.get(sent.headers["location"])
    assert page.headers["cache-control"] == "no-store"
    number = number_of(page)
    for words in ("Ada Lamp", "It is &lt;b&gt;reserved&lt;/b&gt;", "deed.pdf", "map.png", "The complaint was sent."):
        assert words in page.text
    with engine.connect() as connection:
        complaint, picture = find(connection, number), attachment(connection, number, 1)
        assert complaint
        assert picture
        assert [(file.name, file.media_type) for file in complaint.files] == [
            ("deed.pdf", "application/pdf"),
            ("map.png", "image/png"),
        ]
        assert picture.content == PNG
        assert complaint.notice.urls == ("library.example", "http://library.example/lamps")
    assert portal.get(f"/complaints/{number}").status_code == 404


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": " "}, "Say who you are."),
        ({"email": "ada"}, "This is not a mail address"),
        ({"works": ""}, "Say which works it is about."),
        ({"urls": "\n"}, "Name at least one domain or address."),
        ({"urls": "a b"}, "is not a domain or URL"),
        ({"urls": "\n".join(f"{n}.example" for n in range(501))}, "Name at most 500 addresses"),
        ({"what": "x" * 10_001}, "Make it shorter: 10,000 characters at most."),
        ({"good_faith": ""}, "Confirm this, or leave out what you cannot confirm."),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_is_missing_is_reported_and_nothing_is_lost(portal, engine, changes, says):
    page = send(portal, **changes)
    assert page.status_code == 422
    assert says in page.text
    assert "nothing was sent yet" in page.text
    assert "The heirs of the keeper" in page.text
    with engine.connect() as connection:
        assert connection.execute(complaints.select()).all() == []


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (("page.html", b"<script>alert(1)</script>", "application/pdf"), "none of the kinds"),
        (("deed.pdf", b"MZ\x90\x00", "application/pdf"), "none of the kinds"),
        (("big.pdf", b"%PDF-" + bytes(MOST_OCTETS), "application/pdf"), "is larger than 5 MiB"),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_files_are_known_by_their_octets_and_bounded(portal, file, says):
    page = send(portal, [file])
    assert page.status_code == 422
    assert says in page.text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_six_files_are_too_many(portal):
    assert "Send 5 files at most." in send(portal, [(f"{n}.png", PNG, "image/png") for n in range(6)]).text


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.jpg", b"\xff\xd8\xff\xe0", "image/jpeg"),
        ("a.gif", b"GIF89a", "image/gif"),
        ("a.webp", b"RIFF0000WEBPVP8 ", "image/webp"),
        ("a.docx", b"PK\x03\x04", "application/zip"),
        ("a.zip", b"PK\x03\x04", None),
        ("a.txt", "Grüße\n".encode(), "text/plain"),
        ("a.txt", b"\x00\x01", None),
        ("a.txt", b"\xff\xfe", None),
        ("a.svg", b"<svg/>", None),
        ("a.pdf", b"", None),
    ],
)
def test_what_a_file_is(name, content, kind):
    assert media_type(name, content) == kind


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\a.pdf", "a.pdf"),
        ('a"<b>\n.pdf', "ab.pdf"),
        ("", "file"),
        ("x" * 200, "x" * 100),
    ],
)
def test_a_file_name_is_a_name_alone(sent, kept):
    assert file_name(sent) == kept


def step(engine, number, state, **more):
    with writing(engine) as connection:
        return advance(connection, number, state, by="Grace H.", reason=f"Because of {state}.", at=now(), **more)


def test_each_step_and_its_reason_is_shown_and_what_is_accepted_is_excluded_at_once(serve, engine):
    with Web(SITES) as web:
        portal = serve(proxy=web.proxy)
        link = send(portal).headers["location"]
        number = number_of(portal.get(link))
        before = portal.post("/check", "/check", {"url": "http://library.example/lamps"}).text
        step(engine, number, ComplaintState.ACKNOWLEDGED)
        step(engine, number, ComplaintState.IN_REVIEW)
        step(engine, number, ComplaintState.ACCEPTED, blocks=("library.example",))
        after = portal.post("/check", "/check", {"url": "http://library.example/lamps"}).text
    assert "Nothing reserves it" in before
    assert "Reserved: our crawler leaves it alone" in after
    assert "An entry of our own list" in after
    assert "Grace" not in after
    assert number not in after
    page = portal.get(link).text
    assert "leave alone what is named below from now on" in page
    assert "Because of in review." in page
    assert "<code>library.example</code> and all below it" in page


def test_a_late_step_is_marked(portal, engine):
    link = send(portal).headers["location"]
    with writing(engine) as connection:
        connection.execute(complaints.update().values(due_at=now() - timedelta(days=1)))
    assert "and is late" in portal.get(link).text


def test_the_receipt_is_mailed_and_the_contact_gets_a_mail(serve, mailbox):
    smtp = Smtp("127.0.0.1", mailbox.port, False, "portal@operator.example")
    portal = serve(smtp=smtp, contact="mailto:legal@operator.example")
    number = number_of(portal.get(send(portal).headers["location"]))
    deliver(portal.app.state.portal)
    receipt, notice = sorted(mailbox.mails, key=lambda mail: str(mail["To"]))
    assert (receipt["To"], receipt["Subject"]) == ("ada@lamp.example", f"Complaint {number}")
    link = search(r"http://portal\.example(/complaints/\S+)", receipt.get_content())
    assert number_of(portal.get(link)) == number
    assert (notice["To"], notice["Subject"]) == ("legal@operator.example", f"New complaint {number}")
    assert "lamp" not in notice.get_content()


def test_the_domain_that_was_looked_up_is_in_the_form(portal):
    assert ">journal.example</textarea>" in portal.get("/complaints", params={"about": "journal.example"}).text
