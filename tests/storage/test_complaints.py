from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from sqlalchemy import Engine

from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.model import Capture, Decision, Question, Verdict
from forbear.optout.policy import load
from forbear.optout.protocols import operator
from forbear.storage.database import writing
from forbear.storage.log.complaints import (
    NEXT,
    WITHIN,
    Attachment,
    BadStep,
    ComplaintState,
    Notice,
    advance,
    attachment,
    find,
    find_by_secret,
    open_complaints,
    operator_lines,
    receive,
    revision,
)

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOTICE = Notice("Ada", "ada@a.example", "", "The Lamp, a poem", ("https://a.example/lamp",), "It was kept.", True)
WAYS = {
    ComplaintState.RECEIVED: (),
    ComplaintState.ACKNOWLEDGED: (ComplaintState.ACKNOWLEDGED,),
    ComplaintState.IN_REVIEW: (ComplaintState.ACKNOWLEDGED, ComplaintState.IN_REVIEW),
    **{
        end: (ComplaintState.ACKNOWLEDGED, ComplaintState.IN_REVIEW, end)
        for end in (
            ComplaintState.ACCEPTED,
            ComplaintState.REJECTED,
            ComplaintState.DUPLICATE,
            ComplaintState.UNFOUNDED,
        )
    },
}


def take(connection, number, state, earlier="", at=AT, blocks=("a.example",)):
    return advance(
        connection, number, state, by="Grace", reason="As it is.", at=at,
        blocks=blocks if state is ComplaintState.ACCEPTED else (),
        duplicate_of=earlier if state is ComplaintState.DUPLICATE else "",
    )  # fmt: skip


def sent(connection, *way, notice=NOTICE):
    secret, complaint = receive(connection, notice, AT)
    earlier = receive(connection, NOTICE, AT)[1].number
    for state in way:
        complaint = take(connection, complaint.number, state, earlier)
    return secret, complaint


def test_a_complaint_is_found_by_its_link_and_its_number_alone(engine: Engine):
    file = Attachment("deed.pdf", "application/pdf", b"%PDF-1.7")
    with writing(engine) as connection:
        secret, complaint = receive(connection, Notice(**{**fields(NOTICE), "attachments": (file,)}), AT)
        assert find_by_secret(connection, secret) == find(connection, complaint.number) == complaint
        assert (
            find_by_secret(connection, complaint.number)
            is find_by_secret(connection, "\ud800")
            is find(connection, secret)
            is None
        )
        assert complaint.notice == NOTICE
        assert (complaint.state, complaint.due_at) == (ComplaintState.RECEIVED, AT + WITHIN[ComplaintState.RECEIVED])
        assert [(step.by, step.state) for step in complaint.steps] == [("Ada", ComplaintState.RECEIVED)]
        assert [(sent.name, sent.size) for sent in complaint.files] == [("deed.pdf", 8)]
        assert attachment(connection, complaint.number, 0) == file
        assert attachment(connection, complaint.number, 1) is None


def fields(notice: Notice):
    return {name: getattr(notice, name) for name in Notice.__slots__}


@pytest.mark.parametrize(("before", "after"), list(product(ComplaintState, ComplaintState)))
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_only_the_steps_of_the_machine_are_possible(engine: Engine, before: ComplaintState, after: ComplaintState):
    with writing(engine) as connection:
        _, complaint = sent(connection, *WAYS[before])
        assert complaint.state is before
        other = receive(connection, NOTICE, AT)[1].number
        if after in NEXT[before]:
            taken = take(connection, complaint.number, after, other)
            assert (taken.state, taken.steps[-1].by, taken.steps[-1].reason) == (after, "Grace", "As it is.")
            assert taken.due_at == (AT + WITHIN[after] if after in WITHIN else None)
        else:
            with pytest.raises(BadStep, match=f"is {before}, so it cannot become {after}"):
                take(connection, complaint.number, after, other)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"by": " "}, "a person and a reason"),
        ({"reason": ""}, "a person and a reason"),
        ({"blocks": ()}, "names what it blocks"),
        ({"blocks": ("a.example/path",)}, "cannot be blocked"),
        ({"blocks": ("not a domain",)}, "cannot be blocked"),
        ({"state": ComplaintState.REJECTED}, "names what it blocks, and no other does"),
        ({"state": ComplaintState.DUPLICATE, "blocks": ()}, "the number of the earlier complaint"),
        ({"state": ComplaintState.DUPLICATE, "blocks": (), "duplicate_of": "2026-NOBODY"}, "is not another complaint"),
        ({"number": "2026-NOBODY"}, "There is no complaint"),
    ],
)
def test_a_step_without_what_belongs_to_it_is_refused(engine: Engine, changes, says):
    with writing(engine) as connection:
        _, complaint = sent(connection, ComplaintState.ACKNOWLEDGED, ComplaintState.IN_REVIEW)
        wanted = {"number": complaint.number, "state": ComplaintState.ACCEPTED, "blocks": ("a.example",), **changes}
        with pytest.raises(BadStep, match=says):
            advance(
                connection, wanted.pop("number"), wanted.pop("state"), **{"by": "G", "reason": "r", "at": AT, **wanted}
            )
        assert find(connection, complaint.number) == complaint


def test_what_an_accepted_complaint_blocks_is_excluded_until_it_is_taken_up_again(engine: Engine):
    def verdict(url: str) -> Verdict:
        listed = operator.with_lines(b"", operator_lines(connection))
        absent = [Capture(f"https://{host}/robots.txt", 404) for host in ("a.example", "www.a.example", "b.example")]
        decision = decide(Question(url, at=AT), Captures([listed, *absent], complete=True), load())
        assert isinstance(decision, Decision)
        return decision.verdict

    with writing(engine) as connection:
        before = revision(connection)
        _, complaint = sent(connection, ComplaintState.ACKNOWLEDGED, ComplaintState.IN_REVIEW)
        assert operator_lines(connection) == ()
        blocks = ("a.example", "https://b.example/poems/")
        accepted = take(connection, complaint.number, ComplaintState.ACCEPTED, blocks=blocks)
        assert accepted.blocks == blocks
        assert revision(connection) > before
        assert operator_lines(connection) == tuple(
            f"block,{match},Grace,2026-03-01,complaint {complaint.number} accepted,," for match in blocks
        )
        assert {
            url: verdict(url) for url in ("https://www.a.example/x", "https://b.example/poems/1", "https://b.example/")
        } == {
            "https://www.a.example/x": Verdict.EXCLUDED,
            "https://b.example/poems/1": Verdict.EXCLUDED,
            "https://b.example/": Verdict.ALLOWED,
        }
        since = revision(connection)
        again = take(connection, complaint.number, ComplaintState.IN_REVIEW)
        assert (again.blocks, operator_lines(connection)) == ((), ())
        assert revision(connection) > since


def test_the_longest_waiting_comes_first(engine: Engine):
    with writing(engine) as connection:
        late = receive(connection, NOTICE, AT - timedelta(days=9))[1]
        new = receive(connection, NOTICE, AT)[1]
        _, closed = sent(connection, ComplaintState.UNFOUNDED)
        open_ = [complaint.number for complaint in open_complaints(connection)]
        assert open_[0] == late.number
        assert new.number in open_
        assert closed.number not in open_
        assert [complaint.number for complaint in open_complaints(connection, ComplaintState.UNFOUNDED)] == [
            closed.number
        ]
        assert (late.is_late(AT), new.is_late(AT), closed.is_late(AT)) == (True, False, False)


def test_a_name_with_commas_and_lines_makes_one_line_of_the_list(engine: Engine):
    with writing(engine) as connection:
        _, complaint = sent(connection, ComplaintState.ACKNOWLEDGED, ComplaintState.IN_REVIEW)
        advance(
            connection,
            complaint.number,
            ComplaintState.ACCEPTED,
            by='Grace "H",\nLegal',
            reason="r",
            at=AT,
            blocks=("a.example",),
        )
        [line] = operator_lines(connection)
        assert line.startswith('block,a.example,"Grace ""H"", Legal",2026-03-01,')
        assert operator.with_lines(b"", [line]).body.count(b"\n") == 2
