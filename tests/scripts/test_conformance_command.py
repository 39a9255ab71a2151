"""``forbear conformance``: our own program passes, another sees what it misses, and what is not a vector is refused."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

ALWAYS_ALLOWED = """
import json, sys
for line in sys.stdin:
    print(json.dumps({"id": json.loads(line)["id"], "verdict": "allowed", "reasons": []}))
"""
VECTOR = {
    "id": "v-1",
    "about": "shut",
    "spec": "RFC 9309 2.2.2",
    "url": "https://a.example/b",
    "exchanges": [{"url": "https://a.example/robots.txt", "status": 200, "body": "User-agent: *\nDisallow: /b\n"}],
    "expect": {"verdict": "excluded", "reasons": [{"protocol": "robots", "quote": "Disallow: /b"}]},
}
OPEN = {"id": "v-2", "url": "https://a.example/b", "expect": {"verdict": "allowed", "reasons": []}}


@pytest.fixture
def vectors(tmp_path: Path) -> str:
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "shut.jsonl").write_text(json.dumps(VECTOR) + "\n\n", encoding="utf-8")
    (tmp_path / "v" / "open.jsonl").write_text(json.dumps(OPEN), encoding="utf-8")
    return "v"


def program(text: str) -> str:
    return shlex.join([sys.executable, "-c", text])


def answering(*answers: object) -> str:
    return program(f"print({chr(10).join(a if isinstance(a, str) else json.dumps(a) for a in answers)!r})")


def test_our_own_program_passes_all_of_its_vectors(forbear) -> None:
    done = forbear("conformance", "--json")
    result = json.loads(done.stdout)
    assert (done.returncode, result["failures"]) == (0, [])
    assert result["passed"] == result["of"] == sum(one["of"] for one in result["protocols"].values()) > 900
    assert {"robots", "tdmrep", "c2pa", "operator", "prose"} <= set(result["protocols"])


def test_another_program_is_reported_with_what_it_misses(forbear, vectors) -> None:
    done = forbear("conformance", "--vectors", vectors, "--command", program(ALWAYS_ALLOWED))
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "v-1: shut (RFC 9309 2.2.2)",
        "  different verdict",
        "  expected excluded robots: Disallow: /b",
        "  got      allowed",
        "",
        "protocol  passed  of",
        "open      1       1",
        "robots    0       1",
        "all       1       2",
        "",
    ]
    [failure] = json.loads(
        forbear("conformance", "--vectors", vectors, "--command", program(ALWAYS_ALLOWED), "--json").stdout
    )["failures"]
    assert (failure["id"], failure["got"]["verdict"]) == ("v-1", "allowed")
    for only, passed in (("open", 1), ("robots", 1), ("shut", 1)):
        done = forbear("conformance", "--vectors", vectors, "--only", only, "--json")
        assert (done.returncode, json.loads(done.stdout)["passed"]) == (0, passed)


ROBOTS = {"protocol": "robots", "quote": " Disallow: /b "}
GIVEN = (
    # what a program answers to the one vector, what is wrong with it
    ({"id": "v-1", "verdict": "excluded", "reasons": [ROBOTS]}, ""),
    ({"id": "v-1", "verdict": "excluded", "reasons": [ROBOTS, ROBOTS | {"quote": "more"}]}, ""),
    ({"id": "v-2", "verdict": "excluded", "reasons": [ROBOTS]}, "no answer with this id in this place"),
    ({"id": "v-1", "verdict": "deferred", "reasons": [ROBOTS]}, "different verdict"),
    ({"id": "v-1", "verdict": "excluded", "reasons": []}, "different protocols in the reasons"),
    ({"id": "v-1", "verdict": "excluded", "reasons": "robots"}, "different protocols in the reasons"),
    (
        {"id": "v-1", "verdict": "excluded", "reasons": [ROBOTS, ROBOTS | {"protocol": "rsl"}]},
        "different protocols in the reasons",
    ),
    (
        {"id": "v-1", "verdict": "excluded", "reasons": [ROBOTS | {"quote": "/"}]},
        "none of the reasons has the expected quotation",
    ),
    (
        {"id": "v-1", "verdict": "excluded", "reasons": [{"protocol": "robots"}]},
        "none of the reasons has the expected quotation",
    ),
    ({"id": "v-1", "error": "What is that?"}, "What is that?"),
    ("no JSON", "no answer with this id in this place"),
    ("[1]", "no answer with this id in this place"),
)


@pytest.mark.parametrize(("answer", "wrong"), GIVEN)
def test_when_a_vector_passes(forbear, vectors, answer, wrong) -> None:
    words = ("--vectors", vectors, "--only", "shut", "--command", answering(answer), "--json")
    done = forbear("conformance", *words)
    assert (done.returncode, [one["wrong"] for one in json.loads(done.stdout)["failures"]]) == (
        (1, [wrong]) if wrong else (0, [])
    )


def test_a_program_that_stops_early_fails_the_rest(forbear, vectors) -> None:
    first = {"id": "v-2", "verdict": "allowed", "reasons": []}
    done = forbear("conformance", "--vectors", vectors, "--command", answering(first), "--json")
    assert [one["id"] for one in json.loads(done.stdout)["failures"]] == ["v-1"]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (
            ("--command", "no-such-program"),
            4,
            "no-such-program cannot be run: No such file or directory. Name another program with --command.",
        ),
        (("--command", "true"), 4, "true wrote no answer (exit code 0). It has to read cases from standard input."),
        (
            ("--command", "sleep 9", "--within", "1"),
            4,
            "sleep did not finish within 1 seconds. Allow more with --within.",
        ),
        (("--only", "pigeon"), 2, "There are no such vectors in v. --only can be open, shut."),
        (("--vectors", "empty"), 2, "There are no such vectors in empty. Name another folder with --vectors."),
        (("--vectors", "bad"), 2, "one.jsonl, line 2 is not a vector"),
    ],
)
def test_what_cannot_be_run_is_reported(forbear, vectors, tmp_path, words, code, sentence) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "one.jsonl").write_text(json.dumps(OPEN) + '\n{"id": 1}\n', encoding="utf-8")
    done = forbear("conformance", "--vectors", vectors, *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
