"""``forbear policy`` and ``--policy``: the policy in words, and the overrides of an operator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from forbear.crawler.demo.demo_server import Reply, Web
from forbear.optout import policy
from forbear.optout.policy import KINDS
from forbear.scripts.policy import IN_WORDS

INTENT = "User-agent: GPTBot\nDisallow: /\n"
STRICTER = '[protocols.robots-intent]\nstandard.excludes = ["standing"]\n'
LOOSER = '[protocols.trust-txt]\nreason = "no effect in our law, by counsel"\nstandard.excludes = []\n'


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.toml"
    path.write_text(STRICTER + LOOSER, encoding="utf-8")
    return path


def test_all_is_explained(forbear) -> None:
    assert tuple(IN_WORDS) == KINDS
    done = forbear("policy", "show")
    assert (done.returncode, done.stderr) == (0, "")
    for name, entry in policy.load().protocols.items():
        [line] = [line for line in done.stdout.splitlines() if line.startswith(f"{name} ") and entry.title in line]
        assert all(text in line for text in (entry.specification, entry.version, entry.tier, entry.about))
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["GPTBot", "training", "vendor", "2026-08-22"] in lines
    assert ["__usage_ai-training", "train-ai"] in lines
    assert ["robots", "standard", "standing", "unread"] in [line[:4] for line in lines]
    assert "This is the built-in policy, without overrides." in done.stdout


def test_json_is_what_the_digest_is_of(forbear) -> None:
    shown = json.loads(forbear("policy", "show", "--json").stdout)
    assert shown.pop("digest") == policy.load().digest
    assert shown == json.loads(policy.load().content)


def test_departures_are_shown_with_their_reasons(forbear, own: Path) -> None:
    done = forbear("policy", "show", env={"FORBEAR_POLICY": str(own)})
    assert "robots-intent in standard: what is standing excludes, not is recorded" in done.stdout
    [line] = [line for line in done.stdout.splitlines() if line.startswith("trust-txt in standard: ")]
    assert line.split()[-8:] == ["looser", "no", "effect", "in", "our", "law,", "by", "counsel"]


def test_the_settings_file_names_it_for_all_commands(forbear, own: Path, tmp_path: Path) -> None:
    (tmp_path / "forbear.toml").write_text(f'policy = "{own}"\n', encoding="utf-8")
    assert "no effect in our law, by counsel" in forbear("policy", "show").stdout
    settings = {(one["command"], one["option"]): one["value"] for one in json.loads(forbear("config", "--json").stdout)}
    named = {command for (command, option), value in settings.items() if option == "policy" and value == str(own)}
    assert named >= {"crawl", "check", "decide", "policy show"}


BAD = (
    (b"[protocols.robots]\nstandard.excludes = []\n", "[protocols.robots] is looser than what ships"),
    (b"\xff", "is not UTF-8 text."),
)


@pytest.mark.parametrize(("content", "sentence"), BAD)
@pytest.mark.parametrize(
    "words",
    [
        ("policy", "show"),
        ("decide",),
        ("check", "http://127.0.0.1:9/"),
        ("crawl", "http://127.0.0.1:9/", "--out", "out", "--contact", "mailto:a@operator.example"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(forbear, tmp_path, words, content, sentence) -> None:
    (tmp_path / "bad.toml").write_bytes(content)
    done = forbear(*words, "--policy", "bad.toml")
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_decide_goes_by_it(forbear, own: Path) -> None:
    exchange = {"url": "https://a.example/robots.txt", "status": 200, "body": INTENT}
    case = json.dumps({"id": "1", "url": "https://a.example/", "exchanges": [exchange]})
    assert json.loads(forbear("decide", text=case).stdout)["verdict"] == "allowed"
    answer = json.loads(forbear("decide", "--policy", str(own), text=case).stdout)
    assert (answer["verdict"], answer["verdicts"]) == ("excluded", {"standard": "excluded", "strict": "excluded"})


def test_check_goes_by_it_and_advice_does_not(forbear, own: Path, site) -> None:
    origin, files = site
    files["/robots.txt"] = INTENT
    words = ("check", "--allow-private-networks", "--json", f"{origin}/")
    assert json.loads(forbear(*words).stdout)["verdicts"] == {"standard": "allowed", "strict": "excluded"}
    answer = json.loads(forbear(*words, "--policy", str(own)).stdout)
    assert answer["verdict"] == "excluded"
    assert answer["policy"] == policy.load(STRICTER + LOOSER).digest
    done = forbear(*words, "--advise", "--policy", str(own))
    assert (done.returncode, "--policy has no effect with --advise" in done.stderr) == (2, True)


def test_a_crawl_puts_its_policy_and_both_verdicts_on_record(forbear, own: Path) -> None:
    robots = Reply(INTENT.encode(), headers=(("Content-Type", "text/plain"),))
    with Web({"a.example": {"/robots.txt": robots, "/": Reply(b"<p>Boats")}}) as web:
        words = ("crawl", "http://a.example/", "--contact", "mailto:a@operator.example", "--proxy", web.proxy)
        assert forbear(*words, "--out", "one").returncode == 0
        assert forbear(*words, "--out", "two", "--policy", str(own)).returncode == 0
    rows = [json.loads(line) for line in forbear("log", "--json").stdout.splitlines()]
    verdicts = {(row["policy"], row["verdict"], row["verdict_standard"], row["verdict_strict"]) for row in rows}
    ours, theirs = policy.load().digest, policy.load(STRICTER + LOOSER).digest
    assert verdicts == {
        (ours, "allowed", "allowed", "excluded"),
        (theirs, "excluded", "excluded", "excluded"),
    }
    differing = forbear("log", "--standard", "allowed", "--strict", "excluded").stdout
    assert "in strict: excluded" in differing
    assert forbear("log", "--json", "--verdict", "excluded", "--standard", "allowed").stdout == ""

    known = [json.loads(line) for line in forbear("policy", "list", "--json").stdout.splitlines()]
    assert [one["digest"] for one in known] == [ours, theirs]
    assert known[0]["overrides"] == []
    assert {(d["looser"], d["reason"]) for d in known[1]["overrides"]} == {
        (False, ""),
        (True, "no effect in our law, by counsel"),
    }
    assert "no effect in our law, by counsel" in forbear("policy", "list").stdout
    shown = json.loads(forbear("policy", "show", "--digest", theirs[:16], "--json").stdout)
    assert shown == {"digest": theirs, **json.loads(policy.load(STRICTER + LOOSER).content)}
    done = forbear("policy", "show", "--digest", "0123")
    assert (done.returncode, "has a digest that begins with '0123'" in done.stderr) == (2, True)
