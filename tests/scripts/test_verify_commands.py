"""``forbear key``, ``checkpoint``, ``verify`` and ``erase``, on the log of a crawl."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

Run = Callable[..., Any]
PASSPHRASE = {"FORBEAR_PASSPHRASE": "correct horse"}
ROBOTS = "User-agent: *\nDisallow: /no\n"
PAGES = {"/robots.txt": ROBOTS, "/": '<html><body><a href="/no">no</a><a href="/jane">Jane</a>Text', "/jane": "<html>"}
CONTACT = ("--contact", "https://operator.example/", "--delay", "0", "--allow-private-networks")


@pytest.fixture
def crawled(forbear: Run, site: tuple[str, dict[str, str]]) -> str:
    """A crawl that ends with a checkpoint of a new key; the site's origin."""
    origin, files = site
    files.update(PAGES)
    made = forbear("key", "new", "--name", "log.example/forbear", env=PASSPHRASE)
    assert made.returncode == 0, made.stderr
    done = forbear(
        "crawl", f"{origin}/", "--out", "out", *CONTACT, "--key", "forbear.key", "--witness", ".", "--json",
        env=PASSPHRASE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    checkpoint = json.loads(done.stdout)["checkpoint"]
    assert (checkpoint["new"], checkpoint["failures"]) == (True, [])
    return origin


def tamper(folder: Path, statement: str) -> None:
    engine = create_engine(f"sqlite:///{folder / 'forbear.db'}")
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_a_log_that_is_unchanged(forbear: Run, crawled: str, tmp_path: Path) -> None:
    [outside] = tmp_path.glob("checkpoint-*.txt")
    done = forbear("verify", "--key", "forbear.key", "--checkpoint", outside.name)
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert lines[-1] == "Nothing was changed."
    assert f"It agrees with {outside.name}." in lines
    vkey = forbear("key", "show", "--key", "forbear.key").stdout.strip()
    result = json.loads(forbear("verify", "--json", "--key", vkey).stdout)["summary"]
    assert result["findings"] == 0
    assert result["signatures"]
    assert result["size"] == sum(result["rows"].values())
    assert len(result["checkpoints"]) == 1
    assert "Add --key with the key that signed them" in forbear("verify").stdout


def test_what_was_changed_is_named(forbear: Run, crawled: str, tmp_path: Path) -> None:
    tamper(tmp_path, "UPDATE decisions SET verdict = 'allowed' WHERE verdict = 'excluded'")
    done = forbear("verify")
    assert done.returncode == 1
    finding = done.stdout.splitlines()[0]
    assert finding.startswith("edited      decision ")
    assert finding.endswith(": Its verdict was excluded, and is now allowed.")
    assert done.stdout.splitlines()[-1] == "The log was changed: 1 finding."
    first, last = map(json.loads, forbear("verify", "--json").stdout.splitlines())
    assert (first["change"], first["kind"]) == ("edited", "decision")
    assert last["summary"]["findings"] == 1


def test_an_erasure_leaves_proof(forbear: Run, crawled: str, tmp_path: Path) -> None:
    jane = f"{crawled}/jane"
    assert "/jane" in forbear("log", "--json").stdout
    refused = forbear("erase", "--url", jane, "--reason", "a request")
    assert refused.returncode == 2
    assert "Add --yes" in refused.stderr
    done = forbear("erase", "--url", jane, "--reason", "a request", "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Erased the text of decisions about {jane}: ")
    assert "/jane" not in forbear("log", "--json").stdout
    [outside] = tmp_path.glob("checkpoint-*.txt")
    assert forbear("verify", "--key", "forbear.key", "--checkpoint", outside.name).returncode == 0
    assert forbear("erase", "--older-than", "1d", "--reason", "age", "--yes").stdout.startswith("Nothing to erase: ")
    rows = forbear("erase", "--older-than", "2999-01-01", "--reason", "age", "--yes", "--json").stdout
    assert json.loads(rows)["rows"] > 0
    assert forbear("verify").returncode == 0


def test_a_checkpoint_is_made_when_asked_for(forbear: Run, crawled: str, tmp_path: Path) -> None:
    again = forbear("checkpoint", "--key", "forbear.key", env=PASSPHRASE)
    assert again.returncode == 0
    assert again.stdout.startswith("Nothing was written since the last checkpoint:\nlog.example/forbear\n")
    (tmp_path / "phrase").write_text("correct horse\n")
    failed = forbear(
        "checkpoint", "--key", "forbear.key", "--passphrase-file", "phrase", "--witness", "nowhere/at/all", "--json"
    )
    assert failed.returncode == 4
    assert failed.stderr.startswith("Error: The checkpoint could not be written to nowhere/at/all: ")
    assert json.loads(failed.stdout)["failures"]
    stamped = forbear(
        "crawl", f"{crawled}/", "--out", "out", *CONTACT, "--max-depth", "0", "--key", "forbear.key",
        "--tsa", "http://127.0.0.1:1/", env=PASSPHRASE,
    )  # fmt: skip
    assert stamped.returncode == 4
    assert "The timestamp authority http://127.0.0.1:1/ cannot be reached" in stamped.stderr
    assert "Checkpoint: " in stamped.stdout
    assert forbear("verify", "--key", "forbear.key").returncode == 0


WRONG = [
    (("key", "new", "--name", "a name"), "is not a valid key name"),
    (("key", "show", "--key", "text"), "is not a key of Forbear"),
    (("key", "show", "--key", "nothing"), "does not exist"),
    (("checkpoint", "--key", "text"), "is not a key of Forbear"),
    (("checkpoint",), "Missing option '--key'"),
    (("verify", "--key", "nonsense"), "is not a verifier key"),
    (("verify", "--checkpoint", "binary"), "is not a text file"),
    (("verify", "--tsa-certificate", "text"), "does not contain a certificate"),
    (("erase", "--reason", "x"), "Choose what to erase"),
    (("erase", "--reason", "x", "--url", "a.example", "--older-than", "1d"), "Choose what to erase"),
    (("erase", "--reason", "x", "--older-than", "long ago"), "is not an age"),
    (("erase", "--url", "https://a.example/"), "Missing option '--reason'"),
]


@pytest.mark.parametrize(("words", "sentence"), WRONG)
def test_wrong_use_is_reported_in_a_sentence(
    forbear: Run, tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    (tmp_path / "text").write_text("nothing\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    done = forbear(*words, env=PASSPHRASE)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr


def test_roles_are_for_postgresql(forbear: Run) -> None:
    assert forbear("db", "upgrade").returncode == 0
    done = forbear("db", "roles")
    assert done.returncode == 4
    assert "SQLite has no roles" in done.stderr


def test_a_passphrase_that_does_not_open_the_key(forbear: Run, tmp_path: Path) -> None:
    assert forbear("key", "new", "--name", "log.example/forbear", "--json", env=PASSPHRASE).returncode == 0
    done = forbear("checkpoint", "--key", "forbear.key", env={"FORBEAR_PASSPHRASE": "another"})
    assert done.returncode == 2
    assert "forbear.key does not open with this passphrase." in done.stderr
    taken = forbear("key", "new", "--name", "log.example/forbear", env=PASSPHRASE)
    assert "exists already, and keys are not overwritten" in taken.stderr


def test_what_is_not_a_checkpoint_is_a_finding(forbear: Run, crawled: str, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("nothing\n")
    done = forbear("verify", "--checkpoint", "note.txt")
    assert done.returncode == 1
    assert "unsigned    checkpoint note.txt: This is not a signed checkpoint" in done.stdout
