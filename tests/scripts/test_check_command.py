"""``forbear check``: what it shows, and its exit codes (cli.md)."""

from __future__ import annotations

import json

import pytest

LOCAL = "--allow-private-networks"
SHUT = "User-agent: *\nDisallow: /shut\n"


@pytest.mark.parametrize(
    ("paths", "code"),
    [(["/a"], 0), (["/shut"], 1), (["/a", "/shut"], 1)],
)
def test_the_exit_code_is_that_of_the_worst(forbear, site, paths: list[str], code: int) -> None:
    origin, files = site
    files |= {"/robots.txt": SHUT, "/a": "<p>text</p>"}
    assert forbear("check", LOCAL, *(origin + path for path in paths)).returncode == code


def test_what_cannot_be_asked_is_deferred(forbear, site) -> None:
    origin, files = site
    files["/robots.txt"] = SHUT
    done = forbear("check", "http://127.0.0.1:1/a", LOCAL)
    assert (done.returncode, "refused" in done.stdout) == (3, True)
    assert forbear("check", "http://127.0.0.1:1/a", f"{origin}/shut", LOCAL).returncode == 1


def test_an_address_that_is_not_public_is_left_alone_and_said_so(forbear, site) -> None:
    origin, _ = site
    done = forbear("check", f"{origin}/a")
    assert done.returncode == 3
    assert "refused: 127.0.0.1 is not on the public Internet" in done.stdout


def test_people_see_places_words_and_both_verdicts(forbear, site) -> None:
    origin, files = site
    files["/robots.txt"] = "User-agent: GPTBot\nDisallow: /\n\nUser-agent: *\nDisallow: /shut\n"
    done = forbear("check", LOCAL, f"{origin}/shut")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [f"{origin}/robots.txt", "200"] in lines
    words = ["Disallow:", "/shut", "line", "5"]
    assert ["robots", "disallow", *words, f"{origin}/robots.txt"] in lines
    assert [line[:3] for line in lines if line[:1] in (["standard"], ["strict"])] == [
        ["standard", "excluded", "robots:"],
        ["strict", "excluded", "robots:"],
    ]
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_nothing_that_a_site_says_drives_the_terminal(forbear, site) -> None:
    origin, files = site
    files["/robots.txt"] = "User-agent: *\nDisallow: /shut\u009b31m\u202e[bold]\n"
    done = forbear("check", LOCAL, f"{origin}/shut%C2%9B31m%E2%80%AE[bold]")
    assert done.returncode == 1
    assert "Disallow: /shut\\x9b31m\\u202e[bold]" in done.stdout


def test_json_has_the_same(forbear, site) -> None:
    origin, files = site
    files |= {"/robots.txt": SHUT, "/a": "<p>text</p>"}
    done = forbear("check", LOCAL, "--json", "--profile", "strict", f"{origin}/a", f"{origin}/shut")
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["url"], first["verdict"], first["stage"]) == (f"{origin}/a", "allowed", "page")
    assert first["verdicts"] == {"strict": "allowed", "standard": "allowed"}
    assert first["looked_at"][0] == {
        "url": f"{origin}/robots.txt",
        "status": 200,
        "error": None,
        "detail": None,
        "bytes": len(SHUT),
    }
    assert (second["verdict"], second["reasons"][0]["quote"]) == ("excluded", "Disallow: /shut")
    assert f"{origin}/shut" not in [place["url"] for place in second["looked_at"]]
