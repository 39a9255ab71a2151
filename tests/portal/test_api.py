from __future__ import annotations

import base64
import io
import zipfile
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from forbear.storage.accounts import sessions
from forbear.storage.accounts.accounts import Role, Scope
from forbear.storage.chain.signed_note import SignerKey
from forbear.storage.database import writing
from forbear.storage.db.records import now
from forbear.storage.log.complaints import Notice, receive
from forbear.storage.proof import checkpoints
from tests.portal.signing_in import enrolled


@pytest.fixture
def token(engine) -> dict[str, str]:
    enrolled(engine, "ada", Role.ADMIN)
    with writing(engine) as connection:
        given = sessions.issue(connection, "ada", "all", set(Scope), timedelta(days=1), now())
    return {"Authorization": f"Bearer {given}"}


def test_the_log_is_read_page_by_page_and_a_decision_whole(portal, token, crawled):
    seen: list[dict[str, str]] = []
    after: str | None = ""
    while after is not None:
        query = {"domain": "journal.example", "limit": "2", "after": after}
        answer = portal.get("/api/v1/decisions", params=query, headers=token).json()
        assert len(answer["decisions"]) <= 2
        seen += answer["decisions"]
        after = answer["next"]
    assert [row["at"] for row in seen] == sorted((row["at"] for row in seen), reverse=True)
    assert len({row["id"] for row in seen}) == len(seen) == 4
    [no] = [row for row in seen if row["url"] == "https://journal.example/no/1"]
    whole = portal.get(f"/api/v1/decisions/{no['id']}", headers=token).json()
    assert whole["decision"] == no
    assert b"Disallow: /no" in base64.b64decode(whole["evidence"][0]["body"])
    assert whole["proof"]["holds"] is True
    assert whole["gaps"][0]["quote"] == "503"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_decisions_are_had_as_a_bundle(portal, engine, token, crawled):
    missing = portal.get("/api/v1/bundle", headers=token)
    assert (missing.status_code, "No checkpoint" in missing.json()["error"]) == (409, True)
    checkpoints.sign(engine, SignerKey("operator.example/forbear", Ed25519PrivateKey.generate()))
    answer = portal.get("/api/v1/bundle?domain=journal.example", headers=token)
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as bundle:
        assert len(bundle.read("decisions.jsonl").splitlines()) == 6  # with the two pages that were kept


def test_an_answer_that_has_not_changed_is_not_sent_again(portal, token, crawled):
    first = portal.get("/api/v1/decisions", headers=token)
    again = portal.get("/api/v1/decisions", headers={**token, "If-None-Match": f'"x", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    other = portal.get("/api/v1/decisions?verdict=excluded", headers={**token, "If-None-Match": first.headers["etag"]})
    assert other.status_code == 200


@pytest.mark.parametrize(
    "path", ["decisions", "decisions/x", "bundle", "figures", "complaints", "complaints/x", "access-log"]
)
@pytest.mark.parametrize("authorization", [None, "Bearer x", "Basic YTpi"])
def test_without_a_token_nothing_is_reported(portal, path, authorization):
    refused = portal.get(f"/api/v1/{path}", headers={"Authorization": authorization} if authorization else {})
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert set(refused.json()) == {"error"}


def test_a_token_does_no_more_than_its_scopes(portal, engine):
    enrolled(engine, "grace", Role.LEGAL)
    with writing(engine) as connection:
        given = sessions.issue(connection, "grace", "log", {Scope.LOG}, timedelta(days=1), now())
    headers = {"Authorization": f"Bearer {given}"}
    answers = [
        portal.get(f"/api/v1/{path}", headers=headers).status_code for path in ("decisions", "complaints", "access-log")
    ]
    assert answers == [200, 403, 403]


def test_complaints_are_worked(portal, token, engine):
    notice = Notice("Ada", "ada@a.example", "", "The Lamp", ("a.example",), "It was kept.", True)
    with writing(engine) as connection:
        number = receive(connection, notice, now())[1].number
    listed = portal.get("/api/v1/complaints", headers=token).json()["complaints"]
    assert [(one["number"], one["urls"]) for one in listed] == [(number, ["a.example"])]
    path = f"/api/v1/complaints/{number}/steps"
    done = portal.client.post(path, json={"state": "acknowledged", "reason": "Read."}, headers=token)
    assert (done.status_code, done.json()["state"]) == (200, "acknowledged")
    wrong = portal.client.post(path, json={"state": "accepted", "reason": "So."}, headers=token)
    assert (wrong.status_code, "cannot become accepted" in wrong.json()["error"]) == (422, True)
    assert portal.get("/api/v1/complaints/2026-AAAAAA", headers=token).status_code == 404
    assert portal.get(f"/api/v1/complaints/{number}", headers=token).json()["steps"][-1]["by"] == "ada"


def test_the_numbers_of_the_plots_are_reported(portal, token, crawled):
    told = portal.get("/api/v1/figures", headers=token).json()["figures"]
    assert told["deferred"]["rows"] == [{"heading": "503", "numbers": [1]}]
    assert told["adoption"]["labels"] == ["disallow"]


def test_what_is_looked_at_is_written_down(portal, token, crawled):
    portal.get("/api/v1/decisions?domain=journal.example", headers=token)
    [entry] = portal.get("/api/v1/access-log?limit=1", headers=token).json()["entries"]
    assert (entry["name"], entry["event"]) == ("ada", "view")
    assert entry["what"] == "/api/v1/decisions?domain=journal.example"


@pytest.mark.parametrize(
    "query",
    ["decisions?verdict=maybe", "decisions?limit=0", "decisions?protocol=%00", "decisions/%00", "access-log?after=%00"],
)
def test_what_is_not_right_is_a_sentence(portal, token, query):
    answer = portal.get(f"/api/v1/{query}", headers=token)
    assert answer.status_code == 422
    assert set(answer.json()) == {"error"}


def test_the_description_names_every_path_and_its_token(portal):
    told = portal.get("/api/openapi.json").json()
    mine = {path: operations for path, operations in told["paths"].items() if path.startswith("/api/v1/")}
    assert len(mine) == 8
    for operations in mine.values():
        for operation in operations.values():
            assert operation["security"] == [{"HTTPBearer": []}]
            assert {"200", "401", "403", "422"} <= set(operation["responses"])
