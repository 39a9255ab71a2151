from __future__ import annotations

import re
from datetime import timedelta

import pyotp
import pytest
from sqlalchemy import select

from forbear.portal.dashboard.signin import REFUSED
from forbear.portal.web.proxies import networks
from forbear.portal.web.settings import Rates
from forbear.storage.accounts import accounts, attempts, sessions
from forbear.storage.accounts.accounts import BadAccount, Role, Scope
from forbear.storage.accounts.totp_encryption import TotpCipher
from forbear.storage.database import writing
from forbear.storage.db import account_tables
from forbear.storage.db.records import now
from tests.portal.signing_in import PASSWORD, enrolled, sign_in


def test_at_the_first_time_codes_are_set_up_and_from_then_on_asked_for(portal, engine):
    with writing(engine) as connection:
        account = accounts.add(connection, "grace", Role.ADMIN, PASSWORD, now())
    began = portal.post("/dashboard/sign-in", "/dashboard/sign-in", {"name": "grace", "password": PASSWORD})
    assert began.headers["location"] == "/dashboard/enrolment"
    half = portal.client.cookies["session"]
    assert portal.get("/dashboard/access-log").status_code == 303
    page = portal.get("/dashboard/enrolment")
    assert "<svg" in page.text
    assert " style=" not in page.text
    assert account.totp in page.text.replace(" ", "")
    assert portal.post("/dashboard/enrolment", "/dashboard/enrolment", {"code": "12"}).status_code == 403
    code = pyotp.TOTP(account.totp).now()
    done = portal.post("/dashboard/enrolment", "/dashboard/enrolment", {"code": code})
    assert (done.status_code, done.headers["location"]) == (303, "/dashboard")
    assert portal.client.cookies["session"] != half
    assert portal.get("/dashboard/access-log").status_code == 200
    portal.client.cookies.clear()
    refused = portal.post("/dashboard/sign-in", "/dashboard/sign-in", {"name": "grace", "password": PASSWORD})
    assert refused.status_code == 403
    assert REFUSED in refused.text


SECRET = {"secret": b"a secret of this portal that stays", "keeps_secret": True}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_secrets_of_codes_are_encrypted_at_the_next_sign_in(serve, engine):
    before = enrolled(engine, "grace", Role.ADMIN)
    assert sign_in(serve(**SECRET), before).status_code == 303
    with writing(engine) as connection:
        [stored] = connection.scalars(select(account_tables.accounts.c.totp)).all()
        assert before.totp not in stored
        assert accounts.undecryptable(connection) == ["grace"]
        connection.execute(account_tables.accounts.update().values(counter=0))
    again, other = serve(**SECRET), serve(secret=b"another secret of a portal", keeps_secret=True)
    assert accounts.undecryptable(again.app.state.portal.engine.connect()) == []
    assert sign_in(other, before).status_code == 503
    assert sign_in(serve(), before).status_code == 503
    assert sign_in(again, before).status_code == 303


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_encrypted_secret_opens_for_its_own_account_alone(engine):
    cipher = TotpCipher(b"a secret of this portal that stays")
    kept = engine.execution_options(totp_cipher=cipher)
    with writing(kept) as connection:
        accounts.add(connection, "grace", Role.ADMIN, PASSWORD, now())
        accounts.add(connection, "ada", Role.VIEWER, PASSWORD, now())
        stored = connection.scalar(
            select(account_tables.accounts.c.totp).where(account_tables.accounts.c.name == "grace")
        )
        assert accounts.undecryptable(connection) == []
        connection.execute(
            account_tables.accounts.update().where(account_tables.accounts.c.name == "ada").values(totp=stored)
        )
        assert accounts.undecryptable(connection) == ["ada"]
        connection.execute(account_tables.accounts.update().values(totp="aes-256-gcm:not base64"))
        assert accounts.undecryptable(connection) == ["ada", "grace"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_codes_are_set_up_and_taken_by_portals_that_share_a_secret(serve, engine):
    with writing(engine) as connection:
        accounts.add(connection, "grace", Role.ADMIN, PASSWORD, now())
    one, two = serve(**SECRET), serve(**SECRET)
    one.post("/dashboard/sign-in", "/dashboard/sign-in", {"name": "grace", "password": PASSWORD})
    shown = re.search(r"<code[^>]*>([A-Z2-7 ]{20,})</code>", one.get("/dashboard/enrolment").text)
    assert shown
    two.client.cookies = one.client.cookies
    form = {"form_token": one.form("/dashboard/enrolment"), "code": pyotp.TOTP(shown[1].replace(" ", "")).now()}
    assert two.client.post("/dashboard/enrolment", data=form).headers["location"] == "/dashboard"


def test_a_code_is_taken_once(portal, engine):
    account = enrolled(engine, "grace", Role.LEGAL)
    code = pyotp.TOTP(account.totp).at(now())
    given = {"name": "grace", "password": PASSWORD, "code": code}
    assert portal.post("/dashboard/sign-in", "/dashboard/sign-in", given).status_code == 303
    portal.client.cookies.clear()
    assert portal.post("/dashboard/sign-in", "/dashboard/sign-in", given).status_code == 403


@pytest.mark.parametrize("name", ["grace", "nobody"])
def test_wrong_passwords_are_refused_alike_and_lock_nobody_out(serve, engine, name):
    portal = serve(trusted_proxies=networks(["127.0.0.1"]))
    account = enrolled(engine, "grace", Role.LEGAL)
    portal.client.headers["X-Forwarded-For"] = "198.51.100.1"
    for _ in range(attempts.FREE + 1):
        wrong = {"name": name, "password": "a wrong one, quite long", "code": "000000"}
        refused = portal.post("/dashboard/sign-in", "/dashboard/sign-in", wrong)
        assert (refused.status_code, REFUSED in refused.text) == (403, True)
    assert sign_in(portal, account).status_code == (403 if name == "grace" else 303)
    portal.client.cookies.clear()
    with writing(engine) as connection:
        connection.execute(account_tables.accounts.update().values(counter=0))
        events = [one["event"] for one in sessions.access_log(connection, name)]
    assert events.count("refused") == attempts.FREE
    assert events.count("delayed") == (2 if name == "grace" else 1)
    portal.client.headers["X-Forwarded-For"] = "198.51.100.2"
    assert sign_in(portal, account).status_code == 303


def test_too_many_tries_from_one_address_wait(serve, engine):
    portal = serve(rates=Rates(pages=100, forms=100, checks=2))
    given = {"name": "grace", "password": "x"}
    answers = [portal.post("/dashboard/sign-in", "/dashboard/sign-in", given).status_code for _ in range(3)]
    assert answers == [403, 403, 429]


def test_a_sign_in_without_the_forms_token_is_refused(portal, engine):
    enrolled(engine, "grace", Role.LEGAL)
    assert portal.client.post("/dashboard/sign-in", data={"name": "grace", "password": PASSWORD}).status_code == 403


def test_without_a_session_the_form_comes_first_and_then_the_page(portal, engine):
    account = enrolled(engine, "grace", Role.ADMIN)
    sent = portal.get("/dashboard/access-log?name=a")
    assert sent.headers["location"] == "/dashboard/sign-in?next=/dashboard/access-log%3Fname%3Da"
    assert (
        sign_in(portal, account, next="/dashboard/access-log?name=a").headers["location"]
        == "/dashboard/access-log?name=a"
    )


@pytest.mark.parametrize(
    "target", ["https://a.example/", "//a.example", "/dashboard\\..\\x", "/", "/dashboard/sign-in"]
)
def test_nobody_is_sent_elsewhere_after_signing_in(portal, engine, target):
    account = enrolled(engine, "grace", Role.LEGAL)
    assert sign_in(portal, account, next=target).headers["location"] == "/dashboard"


def test_roles_keep_apart_what_may_be_seen(portal, engine):
    sign_in(portal, enrolled(engine, "vera", Role.VIEWER))
    refused = portal.get("/dashboard/access-log")
    assert refused.status_code == 403
    assert "may not see this" in refused.text


def test_signing_out_ends_every_session(portal, engine):
    sign_in(portal, enrolled(engine, "grace", Role.ADMIN))
    cookie = portal.client.cookies["session"]
    assert portal.post("/dashboard/access-log", "/dashboard/sign-out", {}).headers["location"] == "/"
    portal.client.cookies.set("session", cookie)
    assert portal.get("/dashboard/access-log").status_code == 303


def test_sign_ins_and_views_are_written_down(portal, engine):
    account = enrolled(engine, "grace", Role.ADMIN)
    portal.post("/dashboard/sign-in", "/dashboard/sign-in", {"name": "grace", "password": "wrong"})
    sign_in(portal, account)
    portal.get("/dashboard/access-log?name=grace")
    with engine.connect() as connection:
        found = [(one["event"], one["what"]) for one in reversed(sessions.access_log(connection, "grace"))]
    assert found == [
        ("refused", "/dashboard/sign-in"),
        ("password", "/dashboard/sign-in"),
        ("signed in", "/dashboard/sign-in"),
        ("view", "/dashboard/access-log?name=grace"),
    ]


def test_cookies_are_bound_to_tls_where_there_is_tls(serve, engine):
    portal = serve(base_url="https://portal.example")
    account = enrolled(engine, "grace", Role.LEGAL)
    page = portal.get("/dashboard/sign-in")
    token = page.text.split('name="form_token" value="', 1)[1].split('"', 1)[0]
    form = re.search(r"__Host-form=([0-9a-f]+)", page.headers["set-cookie"])
    assert form
    given = {"form_token": token, "name": "grace", "password": PASSWORD, "code": pyotp.TOTP(account.totp).now()}
    signed = portal.client.post("/dashboard/sign-in", data=given, headers={"Cookie": f"__Host-form={form[1]}"})
    cookie = signed.headers["set-cookie"]
    assert cookie.startswith("__Host-session=")
    for attribute in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert attribute in cookie


def test_a_session_gets_another_secret_and_ends(engine):
    account, at = enrolled(engine, "grace", Role.LEGAL), now()
    with writing(engine) as connection:
        first = sessions.begin(connection, account, at)
        later = at + sessions.ROTATION
        assert sessions.needs_refresh(connection, first, later)
        second = sessions.refresh(connection, first, later)
        assert second not in ("", first)
        assert sessions.find_session(connection, first, later + timedelta(seconds=29))
        assert sessions.refresh(connection, first, later) == ""
        assert sessions.find_session(connection, first, later + timedelta(seconds=31)) is None
        assert sessions.find_session(connection, second, later + sessions.IDLE) is None
        third, clock = second, later
        while clock < at + sessions.LONGEST - timedelta(minutes=20):
            clock += timedelta(minutes=20)
            third = sessions.refresh(connection, third, clock) or third
        assert sessions.find_session(connection, third, clock)
        assert sessions.find_session(connection, third, at + sessions.LONGEST) is None


def test_tokens_may_do_no_more_than_their_account(engine):
    enrolled(engine, "grace", Role.LEGAL)
    at = now()
    with writing(engine) as connection:
        token = sessions.issue(connection, "grace", "figures", {Scope.LOG}, timedelta(days=1), at)
        bearer = sessions.find_bearer(connection, token, at)
        assert bearer
        assert bearer.scopes == {Scope.LOG}
        assert sessions.find_bearer(connection, token, at + timedelta(days=1)) is None
        with pytest.raises(ValueError, match="may not do audit"):
            sessions.issue(connection, "grace", "more", {Scope.AUDIT}, timedelta(days=1), at)
        accounts.change(connection, "grace", disabled_at=at)
        assert sessions.find_bearer(connection, token, at) is None
        accounts.change(connection, "grace", disabled_at=None)
        assert sessions.revoke(connection, "grace", "figures") == 1
        assert sessions.find_bearer(connection, token, at) is None


def test_an_account_that_is_shut_or_erased_cannot_sign_in(portal, engine):
    account = enrolled(engine, "grace", Role.LEGAL)
    with writing(engine) as connection:
        accounts.change(connection, "grace", disabled_at=now())
    assert sign_in(portal, account).status_code == 403
    with writing(engine) as connection:
        accounts.remove(connection, "grace")
        assert accounts.find(connection, "grace") is None


@pytest.mark.parametrize(("name", "password"), [("", PASSWORD), ("a\nb", PASSWORD), (" a", PASSWORD), ("a", "short")])
def test_bad_accounts_are_refused_with_a_sentence(engine, name, password):
    with writing(engine) as connection, pytest.raises(BadAccount):
        accounts.add(connection, name, Role.VIEWER, password, now())
