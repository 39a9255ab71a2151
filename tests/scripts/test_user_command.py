from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest


@pytest.fixture
def password(tmp_path: Path) -> str:
    (tmp_path / "password").write_text("correct horse battery staple\n")
    return str(tmp_path / "password")


def test_an_account_is_made_shut_and_erased(forbear, password, tmp_path: Path) -> None:
    made = forbear("user", "add", "grace", "--role", "legal", "--password-file", password)
    assert (made.returncode, made.stderr) == (0, "")
    [one] = map(json.loads, forbear("user", "list", "--json").stdout.splitlines())
    assert (one["name"], one["role"], one["enrolled_at"]) == ("grace", "legal", None)
    with closing(sqlite3.connect(tmp_path / "forbear.db")) as database:
        [(stored,)] = database.execute("SELECT password FROM accounts")
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    token = forbear("user", "token", "grace", "--label", "figures", "--scope", "log").stdout.strip()
    assert token.startswith("forbear_")
    assert forbear("user", "token", "grace", "--label", "figures", "--revoke").stdout == "Revoked 1 token.\n"
    assert forbear("user", "password", "grace", "--password-file", password).returncode == 0
    assert forbear("user", "disable", "grace").stdout == "grace is disabled.\n"
    assert "disabled" in forbear("user", "list").stdout
    assert forbear("user", "remove", "grace").returncode == 0
    assert forbear("user", "list", "--json").stdout == ""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("token", "grace", "--label", "x"), "There is no account grace"),
        (("disable", "grace"), "There is no account grace"),
        (("remove", "grace"), "There is no account grace"),
    ],
)
def test_wrong_use_is_one_sentence(forbear, words, says: str) -> None:
    answer = forbear("user", *words)
    assert answer.returncode == 2
    assert says in answer.stderr
    assert "Traceback" not in answer.stderr
