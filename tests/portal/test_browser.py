"""People's journeys through the portal in a real Chromium; every page is held against axe-core in light and dark."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from importlib.resources import files

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from forbear.crawler.demo.demo_server import Reply, Web
from forbear.crawler.demo.sites import SITES
from forbear.crawler.fetch.bot_auth import Signer
from forbear.portal.background.jobs import deliver
from forbear.portal.web.smtp import Smtp
from forbear.storage.accounts import domain_verification
from forbear.storage.accounts.subscriptions import request
from forbear.storage.database import writing
from forbear.storage.db.records import now
from forbear.storage.log.complaints import Attachment, ComplaintState, Notice, advance, receive
from tests.crawler.test_bot_auth import RFC_KEY
from tests.portal.mailbox import Mailbox, search
from tests.portal.zones import Zone

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
AXE = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
SIZES = ((390, 844), (1280, 900))

pytestmark = pytest.mark.usefixtures("crawled")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser that tests/chromium.sh has found or got."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A telephone without JavaScript: everything works without it."""
    context = chromium.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844})
    yield context.new_page()
    context.close()


@pytest.fixture
def web() -> Iterator[Web]:
    with Web(SITES) as web:
        yield web


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as mailbox:
        yield mailbox


def test_a_rightsholder_looks_up_checks_and_sees_every_address_after_proof(serve, page: Page, sites):
    by_https, by_http, proxy = sites
    by_http |= {"journal.example": dict(SITES["journal.example"])}  # type: ignore[arg-type]
    portal = serve(proxy=proxy)
    page.goto(portal.url)
    page.get_by_label("A domain, a host or a page").fill("https://journal.example/secret/plan?from=mail")
    page.get_by_role("button", name="Look up").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("2 copies kept")
    expect(page.get_by_text("Disallow: /no").first).to_be_visible()
    page.get_by_role("link", name="Have journal.example read now").click()
    page.get_by_label("A site or a page of it").fill("http://journal.example/")
    page.get_by_role("button", name="Check now").click()
    expect(page.get_by_role("heading", name="Reserved: our crawler leaves it alone")).to_be_visible()
    page.go_back()
    page.goto(f"{portal.url}/lookup?name=journal.example")
    page.get_by_role("link", name="Prove that it is yours").click()
    page.get_by_role("button", name="Begin").click()
    token = page.get_by_label("Text of the file").inner_text().strip()
    page.get_by_role("button", name="Look now").click()
    expect(page.get_by_role("alert")).to_contain_text("It was not found yet.")
    file = Reply(token.encode(), headers=(("Content-Type", "text/plain"),))
    by_http["journal.example"]["/.well-known/forbear-control.txt"] = file
    page.get_by_role("button", name="Look now").click()
    expect(page.get_by_role("alert")).to_contain_text("It was found by http alone")
    by_https["journal.example"] = {"/.well-known/forbear-control.txt": file}
    page.get_by_role("button", name="Look now").click()
    expect(page.get_by_role("heading", name="It is yours")).to_be_visible()
    page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="Kept")).get_by_role(
        "link", name="See the addresses"
    ).click()
    expect(page.get_by_text("https://journal.example/secret/plan")).to_be_visible()


def test_a_rightsholder_proves_control_by_the_dns_and_takes_the_list_along(serve, page: Page, zone: Zone):
    with Web({}) as nobody:
        portal = serve(proxy=nobody.proxy)
        page.goto(portal.url)
        page.get_by_role("link", name="See every address").click()
        page.get_by_label("Your domain or host").fill("journal.example")
        page.get_by_role("button", name="Begin").click()
        token = page.get_by_label("Text of the record").inner_text().strip()
        page.get_by_role("button", name="Look now").click()
        expect(page.get_by_role("alert")).to_contain_text("_forbear-control.journal.example: no such record")
        zone.records["_forbear-control.journal.example"] = [f"TXT {token}"]
        page.get_by_role("button", name="Look now").click()
    expect(page.get_by_role("heading", name="It is yours")).to_be_visible()
    with page.expect_download() as taken:
        page.get_by_role("link", name="As CSV").first.click()
    assert "https://journal.example/secret/plan" in taken.value.path().read_text("utf-8")


def test_a_rightsholder_complains_and_follows_it_to_its_end(serve, page: Page, engine, tmp_path):
    deed = tmp_path / "deed.pdf"
    deed.write_bytes(b"%PDF-1.7")
    portal = serve()
    page.goto(f"{portal.url}/lookup?name=journal.example")
    page.get_by_role("link", name="Complain").last.click()
    page.get_by_label("Your name").fill("Ada Lamp")
    page.get_by_label("Your mail address").fill("ada@lamp")
    page.get_by_label("The works").fill("The log of 1811")
    page.get_by_label("What went wrong").fill("It was reserved.")
    page.get_by_label("I hold these rights").check()
    page.get_by_role("button", name="Send the complaint").click()
    expect(page.get_by_role("alert")).to_contain_text("This is not a mail address")
    expect(page.get_by_label("The works")).to_have_value("The log of 1811")
    page.get_by_label("Your mail address").fill("ada@lamp.example")
    page.get_by_label("Files").set_input_files(deed)
    page.get_by_role("button", name="Send the complaint").click()
    page.wait_for_url(re.compile(r"/complaints/.+"))
    number = page.get_by_role("heading", level=1).inner_text()
    assert re.fullmatch(r"20\d\d-[0-9A-Z]{6}", number)
    expect(page.get_by_text("deed.pdf")).to_be_visible()
    for state, blocks in (
        (ComplaintState.ACKNOWLEDGED, ()),
        (ComplaintState.IN_REVIEW, ()),
        (ComplaintState.ACCEPTED, ("journal.example",)),
    ):
        with writing(engine) as connection:
            advance(connection, number, state, by="Grace", reason=f"So it is {state}.", at=now(), blocks=blocks)
    page.reload()
    expect(page.get_by_text("So it is accepted.")).to_be_visible()
    expect(page.get_by_text("our crawlers leave alone what is named below")).to_be_visible()


def test_somebody_of_a_legal_team_reads_what_is_honoured_and_gets_mail_about_changes(
    serve, page: Page, mailbox: Mailbox
):
    smtp = Smtp("127.0.0.1", mailbox.port, False, "portal@operator.example")
    portal = serve(smtp=smtp)
    page.goto(portal.url)
    page.get_by_role("link", name="Our copyright policy").click()
    expect(page.get_by_text("1.3(1)(b)")).to_be_visible()
    page.get_by_role("link", name="Crawlers", exact=True).click()
    expect(page.get_by_role("heading", name="What they honour")).to_be_visible()
    page.get_by_label("Your mail address").fill("legal@lamp.example")
    page.get_by_role("button", name="Subscribe").click()
    deliver(portal.app.state.portal)
    link = search(r"http://portal\.example(/subscriptions/\S+)", mailbox.mails[0].get_content())
    page.goto(portal.url + link)
    page.get_by_role("button", name="Yes, subscribe").click()
    expect(page.get_by_role("heading", name="You get a mail about every change")).to_be_visible()
    page.get_by_role("button", name="End it").click()
    expect(page.get_by_role("heading", name="It has ended")).to_be_visible()


def test_with_only_a_keyboard_the_content_comes_first(serve, page: Page):
    portal = serve()
    page.goto(portal.url)
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("A domain, a host or a page")).to_be_focused()


def pages(engine) -> dict[str, str]:
    """Every page that there is, by what it shows, and its address."""
    with writing(engine) as connection:
        waiting, _ = domain_verification.request_proof(connection, "journal.example", now())
        weak, control = domain_verification.request_proof(connection, "journal.example", now())
        domain_verification.record_result(
            connection, control, "http://journal.example/.well-known/forbear-control.txt", now()
        )
        proven, control = domain_verification.request_proof(connection, "journal.example", now())
        domain_verification.record_result(
            connection, control, "https://journal.example/.well-known/forbear-control.txt", now()
        )
        file = Attachment("deed.pdf", "application/pdf", b"%PDF-1.7")
        notice = Notice("Ada", "ada@a.example", "Heirs", "Log", ("a.example",), "It was kept.", True, (file,))
        complaint, _ = receive(connection, notice, now())
        asked = request(connection, "ada@a.example", now())
    assert asked
    return {
        "start": "/",
        "kept": "/lookup?name=journal.example",
        "excluded": "/lookup?name=xn--bcher-kva.example",
        "deferred": "/lookup?name=storm.example",
        "never seen": "/lookup?name=nobody.example",
        "no domain": "/lookup?name=a+b",
        "check": "/check",
        "crawlers": "/crawlers",
        "changes": "/crawlers/changes",
        "policy": "/policy",
        "complaint form": "/complaints",
        "complaint": f"/complaints/{complaint}",
        "subscription": f"/subscriptions/{asked.token}",
        "control": "/control",
        "control waiting": f"/control/{waiting}",
        "control weak": f"/control/{weak}",
        "control proven": f"/control/{proven}",
        "addresses": f"/control/{proven}/kept",
        "not found": "/nowhere",
    }


def rules(page: Page, *only: str) -> list[str]:
    """Returns what axe-core finds on a page, by these rules only if any are named."""
    options = {"runOnly": list(only), "resultTypes": ["violations"]} if only else {"resultTypes": ["violations"]}
    found = page.evaluate("options => axe.run(document, options)", options)["violations"]
    return [
        f"{rule['id']}: {node['target']} {node.get('failureSummary', '')}" for rule in found for node in rule["nodes"]
    ]


def faults(page: Page, width: int) -> list[str]:
    """What axe-core finds in light, and of contrast in dark; and whether the page is wider than its window."""
    page.emulate_media(color_scheme="light")
    found = rules(page)
    page.emulate_media(color_scheme="dark")
    found += rules(page, "color-contrast")
    wide = page.evaluate("document.documentElement.scrollWidth")
    return found + ([f"{wide} pixels wide on {width}"] if wide > width else [])


def watched(chromium: Browser, width: int, height: int) -> tuple[BrowserContext, Page, list[str]]:
    """A page with axe-core in it, and what its console says."""
    context = chromium.new_context(viewport={"width": width, "height": height})
    context.add_init_script(AXE)
    page, said = context.new_page(), list[str]()
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    return context, page, said


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}px")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_no_page_has_a_fault_that_axe_finds_or_is_wider_than_its_window(serve, engine, chromium, web, size):
    smtp = Smtp("127.0.0.1", 9, False, "portal@operator.example")
    portal = serve(proxy=web.proxy, smtp=smtp, signer=Signer(RFC_KEY, "http://portal.example"))
    context, page, said = watched(chromium, *size)
    wrong = {}
    for name, path in pages(engine).items():
        page.goto(portal.url + path)
        wrong[name] = faults(page, size[0])
    page.goto(f"{portal.url}/complaints")
    page.get_by_role("button", name="Send the complaint").click()
    wrong["complaint form with faults"] = faults(page, size[0])
    page.goto(f"{portal.url}/check?url=http://journal.example/open/1")
    page.get_by_role("button", name="Check now").click()
    wrong["checked"] = faults(page, size[0])
    context.close()
    assert {name: found for name, found in wrong.items() if found} == {}
    # What is refused (404, 422) is told by the browser itself; anything else would be a policy that was broken.
    assert [told for told in said if "Failed to load resource" not in told] == []
