"""``forbear check``: what it shows, and its exit codes."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

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


@pytest.mark.parametrize(
    ("robots_txt", "verdict", "words"),
    [
        (
            "User-agent: ForbearBot\nCrawl-delay: 0.1\nUser-agent: Other\nDisallow: /\n",
            "excluded",
            "line 4: Disallow: /",
        ),
        ("User-agent: Forbear\nDisallow: /\n", "allowed", "whole file: no rule"),
        ("User-agent: ForbearBot\nDisallow: /\n", "excluded", None),
    ],
)
def test_the_owner_hears_where_a_widely_used_parser_reads_otherwise(
    forbear, site, robots_txt: str, verdict: str, words: str | None
) -> None:
    """Protego closes a group at another record, and matches product tokens by substring (RFC 9309 2.2.1, 2.2.4)."""
    origin, files = site
    files |= {"/robots.txt": robots_txt, "/a": "<p>text</p>"}
    done = forbear("check", LOCAL, f"{origin}/a")
    assert done.stdout.startswith(f"{origin}/a for train-ai: {verdict}\n")
    if words is None:
        assert "For the owner" not in done.stdout
        return
    result = done.stdout.partition("For the owner of the site: ")[2]
    assert result.startswith(f"{origin}/robots.txt, {words}\n  A widely used parser reads this otherwise: ")
    assert done.stdout.count("A widely used parser") == 1


def test_sites_are_asked_at_the_same_time_and_answered_in_order(forbear) -> None:
    """The first host waits for a second that is asked after it."""
    asked: list[str] = []
    both = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host = self.headers["Host"]
            if host not in asked:
                asked.append(host)
            if len(asked) == 2:
                both.set()
            self.send_response(404 if both.wait(25) else 503)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *words: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        urls = [f"http://{host}.example:{server.server_port}/" for host in "ab"]
        done = forbear("check", LOCAL, "--json", "--resolve", "*:*:127.0.0.1", *urls)
        server.shutdown()
        thread.join()
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(answer["url"], answer["verdict"]) for answer in answers] == [(url, "allowed") for url in urls]


def test_an_answer_that_takes_too_much_is_deferred_by_its_name(forbear, site) -> None:
    origin, files = site
    files |= {"/a": "\0 as in a picture", "/b": "<p>text</p>"}
    done = forbear("check", LOCAL, "--json", f"{origin}/a", f"{origin}/b", memory=1 << 20)
    costly, other = map(json.loads, done.stdout.splitlines())
    assert (costly["verdict"], costly["reasons"][0]["quote"]) == ("deferred", "too-costly")
    [looked] = [place for place in costly["looked_at"] if place["url"] == f"{origin}/a"]
    assert (looked["error"], looked["detail"]) == ("too-costly", "more than 1 MiB of memory were needed")
    assert (other["verdict"], done.returncode, done.stderr) == ("allowed", 3, "")
    advised = forbear("check", "--advise", LOCAL, f"{origin}/a", memory=1 << 20)
    assert "cannot be read: more than 1 MiB of memory were needed. Its content is not known" in advised.stdout
    assert (advised.returncode, advised.stderr) == (3, "")
