from __future__ import annotations

import re
from datetime import timedelta

import pytest

from forbear.storage.accounts.accounts import Role
from forbear.storage.database import writing
from forbear.storage.db.portal_tables import mails
from forbear.storage.db.records import now
from forbear.storage.log.complaints import WITHIN, Attachment, ComplaintState, Notice, find, operator_lines, receive
from tests.portal.signing_in import enrolled, sign_in

FILE = Attachment('a"\r\nb.html', "application/pdf", b"%PDF-1.7 <script>")
NOTICE = Notice("Ada <b>", "ada@a.example", "", "The Lamp", ("a.example",), "It was kept.", True, (FILE,))


@pytest.fixture
def number(engine) -> str:
    with writing(engine) as connection:
        return receive(connection, NOTICE, now())[1].number


@pytest.fixture
def dashboard(portal, engine):
    sign_in(portal, enrolled(engine, "grace", Role.LEGAL))
    return portal


def step(dashboard, number: str, state: str, **more: str):
    page = f"/dashboard/complaints/{number}"
    return dashboard.post(page, f"{page}/steps", {"state": state, "reason": f"So: {state}.", **more})


def test_a_complaint_is_worked_from_the_queue_to_its_decision(dashboard, engine, number):
    assert number in dashboard.get("/dashboard/complaints").text
    assert "Ada &lt;b&gt;" in dashboard.get(f"/dashboard/complaints/{number}").text
    for state in ("acknowledged", "in review"):
        assert step(dashboard, number, state).status_code == 303
    assert step(dashboard, number, "accepted", blocks="a.example\nhttps://b.example/x\n").status_code == 303
    assert number not in dashboard.get("/dashboard/complaints").text
    assert number in dashboard.get("/dashboard/complaints?state=accepted").text
    with engine.connect() as connection:
        done = find(connection, number)
        assert done
        assert [(one.state, one.by) for one in done.steps[1:]] == [
            (ComplaintState.ACKNOWLEDGED, "grace"),
            (ComplaintState.IN_REVIEW, "grace"),
            (ComplaintState.ACCEPTED, "grace"),
        ]
        assert len(operator_lines(connection)) == 2
        told = connection.execute(mails.select().order_by(mails.c.id)).all()
    assert [mail.subject for mail in told][-1] == f"Complaint {number}: accepted"


@pytest.mark.parametrize(
    ("state", "more", "says"),
    [
        ("accepted", {}, "it cannot become accepted"),
        ("", {}, "Choose the next state."),
        ("acknowledged", {"reason": " "}, "Every step has a person and a reason"),
        ("duplicate", {"duplicate_of": "1"}, "is not another complaint"),
        ("acknowledged", {"blocks": "a.example"}, "names what it blocks, and no other does"),
    ],
)
def test_a_step_that_cannot_be_taken_is_explained_and_nothing_is_lost(dashboard, number, state, more, says):
    answer = step(dashboard, number, state, **{"reason": "Because & so.", **more})
    assert answer.status_code == 422
    assert says in answer.text.replace("&#39;", "'")
    assert more.get("reason", "Because &amp; so.") in answer.text


def test_an_attachment_is_only_ever_saved(dashboard, number):
    sent = dashboard.get(f"/dashboard/complaints/{number}/files/0")
    assert sent.content == FILE.content
    assert sent.headers["content-type"] == "application/octet-stream"
    assert re.fullmatch(r"attachment; filename\*=UTF-8''[\w%.]+", sent.headers["content-disposition"])
    assert sent.headers["content-security-policy"].startswith("sandbox")
    assert dashboard.get(f"/dashboard/complaints/{number}/files/7").status_code == 404


def test_late_complaints_are_marked(dashboard, engine):
    with writing(engine) as connection:
        receive(connection, NOTICE, now() - WITHIN[ComplaintState.RECEIVED] - timedelta(days=1))
    assert "late: was due by" in dashboard.get("/dashboard/complaints").text


def test_a_reader_of_the_log_sees_no_complaints(portal, engine, number):
    sign_in(portal, enrolled(engine, "vera", Role.VIEWER))
    for path in ("/dashboard/complaints", f"/dashboard/complaints/{number}", f"/dashboard/complaints/{number}/files/0"):
        assert portal.get(path).status_code == 403


def test_what_is_not_there_is_reported(dashboard):
    assert dashboard.get("/dashboard/complaints/2026-AAAAAA").status_code == 404
    assert dashboard.get("/dashboard/complaints?state=lost").status_code == 422
