"""What the legal team does, in a real Chromium; each page of the dashboard is checked with axe-core, light and dark."""

from __future__ import annotations

import zipfile
from typing import Any

import pyotp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.sync_api import Browser, Page, expect

from forbear.storage.accounts import accounts
from forbear.storage.accounts.accounts import Role
from forbear.storage.chain.signed_note import SignerKey
from forbear.storage.database import writing
from forbear.storage.db.records import now
from forbear.storage.log.complaints import Notice, receive
from forbear.storage.proof import checkpoints
from tests.portal.signing_in import PASSWORD
from tests.portal.test_browser import SIZES, chromium, faults, page, watched  # noqa: F401 - fixtures

pytestmark = [
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
    pytest.mark.usefixtures("crawled"),
]
NOTICE = Notice("Ada Lamp", "ada@lamp.example", "", "The log", ("library.example",), "It was kept.", True)


def enrol(page: Page, url: str, engine: Any) -> None:  # noqa: F811 - fixtures
    """Signs somebody in for the first time, as they would."""
    with writing(engine) as connection:
        account = accounts.add(connection, "grace", Role.ADMIN, PASSWORD, now())
    page.goto(f"{url}/dashboard")
    page.get_by_label("Name").fill("grace")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Set up your codes")
    page.get_by_label("Code").fill(pyotp.TOTP(account.totp).now())
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("grace")


def test_the_legal_team_finds_a_decision_and_answers_a_complaint(serve, engine, page: Page):  # noqa: F811
    with writing(engine) as connection:
        number = receive(connection, NOTICE, now())[1].number
    portal = serve()
    enrol(page, portal.url, engine)
    page.get_by_role("link", name="Log", exact=True).click()
    page.get_by_label("Domain or host").fill("journal.example")
    page.get_by_label("Verdict").select_option("excluded")
    page.get_by_role("button", name="Show").click()
    page.get_by_label("Save as").fill("Noes of the journal")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Noes of the journal").click()
    page.get_by_role("link", name="https://journal.example/no/1").click()
    expect(page.locator("mark")).to_have_text("Disallow: /no")
    expect(page.get_by_text("The proof holds:")).to_be_visible()
    page.get_by_role("link", name="Complaints").click()
    page.get_by_role("link", name=number).click()
    page.get_by_role("radio", name="acknowledged").check()
    page.get_by_label("Why").fill("We have read it.")
    page.get_by_role("button", name="Take this step").click()
    expect(page.get_by_text("We have read it.")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{portal.url}/dashboard/log")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_the_legal_team_takes_figures_and_a_bundle_along(serve, engine, page: Page):  # noqa: F811
    checkpoints.sign(engine, SignerKey("operator.example/forbear", Ed25519PrivateKey.generate()))
    portal = serve()
    enrol(page, portal.url, engine)
    page.get_by_role("link", name="Figures", exact=True).click()
    deferred = page.get_by_role("region", name="Deferred, and why", exact=True)
    deferred.get_by_text("The numbers").click()
    with page.expect_download() as taken:
        deferred.get_by_role("link", name="CSV").click()
    assert taken.value.path().read_text("utf-8").splitlines() == ["heading,decisions", "503,1"]
    page.get_by_role("link", name="Log", exact=True).click()
    page.get_by_role("link", name="https://storm.example/").click()
    with page.expect_download() as taken:
        page.get_by_role("link", name="As a bundle").click()
    with zipfile.ZipFile(taken.value.path()) as bundle:
        assert {"decisions.jsonl", "proofs.jsonl", "checkpoint.txt", "index.html"} <= set(bundle.namelist())


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}px")
def test_every_page_of_the_dashboard_is_accessible_and_fits(serve, engine, chromium: Browser, size: Any):  # noqa: F811
    with writing(engine) as connection:
        number = receive(connection, NOTICE, now())[1].number
    portal = serve()
    context, page, refused = watched(chromium, *size)  # noqa: F811
    page.goto(f"{portal.url}/dashboard/sign-in")
    wrong = {"sign in": faults(page, size[0])}
    enrol(page, portal.url, engine)
    page.goto(f"{portal.url}/dashboard/log?verdict=excluded")
    decision = page.locator("ol.log a.address").first.get_attribute("href")
    paths = ("", "/log?verdict=excluded", "/figures", "/complaints", f"/complaints/{number}", "/access-log")
    for path in (*(f"/dashboard{path}" for path in paths), decision):
        page.goto(f"{portal.url}{path}")
        wrong[str(path)] = faults(page, size[0])
    context.close()
    assert {name: found for name, found in wrong.items() if found} == {}
    assert refused == []  # nothing that the policy of the page would have stopped
