"""``forbear decide``: one line in, one line out, whatever the line is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


def answers(done) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


SHUT = {
    "id": "1",
    "url": "https://a.example/a",
    "exchanges": [{"url": "https://a.example/robots.txt", "status": 200, "body": "User-agent: *\nDisallow: /a\n"}],
}


def test_the_order_stays_and_a_broken_line_breaks_nothing(forbear) -> None:
    lines = [
        json.dumps(SHUT),
        '{"id": "2", "url"',
        "",
        json.dumps({"id": "3", "url": "ftp://a.example/"}),
        json.dumps({**SHUT, "id": "ü\ud800"}),
    ]
    done = forbear("decide", text="\n".join(lines))
    first, second, third, last = answers(done)
    assert done.returncode == 2
    assert (first["id"], first["verdict"]) == ("1", "excluded")
    assert (second["id"], second["line"]) == (None, 2)
    assert (third["id"], third["line"]) == ("3", 4)
    assert "is not an http or https URL" in str(third["error"])
    assert (last["id"], last["verdict"]) == ("ü\ud800", "excluded")
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"NaN", "NaN is not a JSON number"),
        (b'{"id": "1", "url": Infinity}', "Infinity is not a JSON number"),
        (b"[" * 100_000, "The line is not JSON"),
        (b"9" * 10_000, "The line is not JSON"),
        (b"\xff\xfe\x00", "The line is not JSON"),
        (b'"text"', "A case is a JSON object."),
        (b'{"id": "1"}', "'url' is missing."),
    ],
)
def test_what_is_not_a_case_is_reported_in_a_sentence(forbear, line: bytes, sentence: str) -> None:
    done = forbear("decide", text=line + b"\n" + json.dumps(SHUT).encode())
    broken, whole = answers(done)
    assert sentence in str(broken["error"])
    assert whole["verdict"] == "excluded"
    assert (done.returncode, done.stderr) == (2, "")


def test_nothing_in_is_nothing_out(forbear) -> None:
    done = forbear("decide")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_cases_from_a_file(forbear, tmp_path: Path) -> None:
    (tmp_path / "cases.jsonl").write_text(json.dumps(SHUT))
    done = forbear("decide", "--file", "cases.jsonl")
    assert (done.returncode, answers(done)[0]["verdict"]) == (0, "excluded")


def test_a_long_line_is_a_line(forbear) -> None:
    body = "User-agent: *\nDisallow: /a\n" + "#" * 20_000_000
    exchange = {**SHUT["exchanges"][0], "body": body}  # type: ignore[dict-item]
    done = forbear("decide", text=json.dumps({**SHUT, "exchanges": [exchange]}))
    assert (done.returncode, answers(done)[0]["verdict"]) == (0, "excluded")


def test_an_answer_that_takes_too_much_is_deferred_by_its_name(forbear) -> None:
    exchange = {"url": SHUT["url"], "status": 200, "headers": [["Content-Type", "image/png"]], "body": "PNG"}
    lines = [json.dumps({**SHUT, "id": "2", "exchanges": [exchange]}), json.dumps(SHUT)]
    done = forbear("decide", text="\n".join(lines), memory=1 << 20)
    costly, other = answers(done)
    assert (costly["verdict"], costly["reasons"][0]["quote"]) == ("deferred", "too-costly")
    assert costly["gaps"][0]["detail"] == f"{SHUT['url']} cannot be read: more than 1 MiB of memory were needed."
    assert (other["verdict"], done.returncode, done.stderr) == ("excluded", 0, "")
    answer = {"url": SHUT["url"], "error": "too-costly"}
    (again,) = answers(forbear("decide", text=json.dumps({**SHUT, "exchanges": [answer]})))
    assert (again["verdict"], again["reasons"]) == ("deferred", costly["reasons"])
