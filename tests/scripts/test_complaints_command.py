from __future__ import annotations

import json
from pathlib import Path

import pytest

from forbear.storage.database import open_database, writing
from forbear.storage.db.records import now
from forbear.storage.log.complaints import Attachment, Notice, receive


@pytest.fixture
def number(tmp_path: Path) -> str:
    """A complaint in ./forbear.db."""
    file = Attachment("deed.pdf", "application/pdf", b"%PDF-1.7")
    notice = Notice("Ada", "ada@a.example", "", "The Lamp", ("a.example",), "It was kept.", True, (file,))
    engine = open_database(f"sqlite:///{tmp_path / 'forbear.db'}")
    with writing(engine) as connection:
        _, complaint = receive(connection, notice, now())
    engine.dispose()
    return complaint.number


def test_a_complaint_is_worked_from_its_receipt_to_its_decision(forbear, number: str, tmp_path: Path) -> None:
    assert number in forbear("complaints", "list").stdout
    for state, more in (("acknowledged", ()), ("in review", ()), ("accepted", ("--block", "a.example"))):
        done = forbear("complaints", "step", number, state, "--by", "Grace", "--reason", f"So: {state}.", *more)
        assert (done.returncode, done.stderr) == (0, "")
    assert "forbear recheck" in done.stdout
    checked = forbear("check", "http://a.example/x", "--db", "sqlite:///forbear.db", "--json")
    assert (checked.returncode, f"complaint {number} accepted" in checked.stdout) == (1, True)
    assert number not in forbear("complaints", "list").stdout
    [line] = forbear("complaints", "list", "--state", "accepted", "--json").stdout.splitlines()
    result = json.loads(line)
    assert (result["state"], result["blocks"], [step["by"] for step in result["steps"]]) == (
        "accepted",
        ["a.example"],
        ["Ada", "Grace", "Grace", "Grace"],
    )
    shown = forbear("complaints", "show", number).stdout
    for words in ("Ada <ada@a.example>", "The Lamp", "blocks: a.example", "accepted, by Grace: So: accepted."):
        assert words in shown
    assert json.loads(forbear("complaints", "show", number, "--json").stdout) == result
    assert forbear("complaints", "file", number, "0", "deed.pdf").returncode == 0
    assert (tmp_path / "deed.pdf").read_bytes() == b"%PDF-1.7"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("step", "NUMBER", "accepted", "--by", "G", "--reason", "r", "--block", "a.example"),
            "cannot become accepted",
        ),
        (("step", "NUMBER", "lost", "--by", "G", "--reason", "r"), "'lost'"),
        (("step", "NUMBER", "acknowledged", "--by", "G"), "--reason"),
        (("show", "2026-NOBODY"), "There is no complaint 2026-NOBODY"),
        (("file", "NUMBER", "7", "x.pdf"), "has no file 7"),
    ],
)
def test_wrong_use_is_one_sentence(forbear, number: str, words, says: str) -> None:
    done = forbear("complaints", *(number if word == "NUMBER" else word for word in words))
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_is_not_there_yet_blocks_nothing(forbear, site) -> None:
    origin, files = site
    files["/"] = "<p>x</p>"
    private = ("--allow-private-networks", "--db", "sqlite:///none.db")
    done = forbear("check", f"{origin}/", *private)
    assert (done.returncode, done.stderr) == (0, "")
