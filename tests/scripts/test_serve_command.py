from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import click
import pytest

from forbear.scripts import serve
from forbear.storage.accounts import accounts
from forbear.storage.accounts.accounts import Role
from forbear.storage.accounts.totp_encryption import TotpCipher
from forbear.storage.database import open_database, writing
from forbear.storage.db.records import now
from tests.crawler.crawls import until

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "--contact is missing"),
        (("--contact", "https://a.example", "--base-url", "bot.example"), "is not a web address"),
        (("--contact", "https://a.example", "--base-url", "https://bot.example/x"), "write https://bot.example."),
        (("--contact", "https://a.example", "--base-url", "https://a@bot.example"), "write https://bot.example."),
        (("--contact", "https://a.example", "--trust-proxy"), "requires an argument"),
        (("--contact", "https://a.example", "--trust-proxy", "*"), "'*' is not an address or network"),
        (("--contact", "https://a.example", "--trust-proxy", "10.0.0.0/8,0.0.0.0/0"), "0.0.0.0/0 covers every address"),
        (("--contact", "https://a.example", "--oidc-issuer", "http://127.0.0.1.evil.example"), "not an https address"),
        (("--contact", "https://a.example", "--oidc-issuer", "https://id.example"), "needs --oidc-client"),
        (("--contact", "https://a.example", "--ip-range", "192.0.2.1/24"), "write addresses as 192.0.2.0/24"),
        (("--contact", "https://a.example", "--smtp", "smtp://mail.example"), "--smtp needs a sender. Add --mail-from"),
        (
            ("--contact", "https://a.example", "--smtp", "mail", "--mail-from", "a@b.example"),
            "this is not a mail server",
        ),
        (("--contact", "https://a.example", "--dns-server", "dns.example"), "is no address of a server"),
    ],
)
def test_wrong_use_is_one_sentence(forbear, words, says: str) -> None:
    done = forbear("serve", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr


def test_a_secret_is_made_where_there_is_none_and_has_a_least_length(tmp_path: Path) -> None:
    path = tmp_path / "secret.txt"
    made = serve._secret(path)
    assert len(made) == 64
    assert path.stat().st_mode & 0o777 == 0o600
    assert serve._secret(path) == made
    assert [file.name for file in tmp_path.iterdir()] == ["secret.txt"]
    path.write_text("short")
    for wrong, says in ((path, "has 5 characters"), (tmp_path / "no" / "folder", "cannot be created")):
        with pytest.raises(click.UsageError, match=says):
            serve._secret(wrong)


def test_nobody_is_locked_out_by_another_secret_without_a_word(forbear, tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'forbear.db'}")
    with writing(engine.execution_options(totp_cipher=TotpCipher(b"the secret that was"))) as connection:
        accounts.add(connection, "grace", Role.ADMIN, "a long enough password", now())
    engine.dispose()
    done = forbear("serve", "--contact", "https://a.example", "--secret-file", "secret.txt")
    assert done.returncode == 2
    assert "The sign-in codes of grace are encrypted with a different secret" in done.stderr


def test_an_address_that_cannot_be_listened_on_is_named(forbear) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = forbear("serve", "--contact", "https://a.example", "--port", str(port))
    assert (done.returncode, done.stdout) == (4, "")
    reason = "Address already in use. Choose another --host or --port."
    assert done.stderr == f"Error: Cannot listen on 127.0.0.1, port {port}: {reason}\n"


def test_the_portal_is_served_until_it_is_stopped(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    words = [
        "serve",
        "--contact",
        "https://operator.example/bot",
        "--operator",
        "Example Research",
        "--port",
        str(free),
        "--base-url",
        "https://bot.example",
    ]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FORBEAR_")}
    running = subprocess.Popen(
        [sys.executable, "-m", "forbear", *words],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{free}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            assert running.poll() is None, running.communicate()
            return False

    try:
        until(answers, 60)
        with urllib.request.urlopen(f"http://127.0.0.1:{free}/crawlers", timeout=30) as answer:
            assert "Example Research" in answer.read().decode()
    finally:
        running.send_signal(signal.SIGINT)
        printed, wrong = running.communicate(timeout=60)
    assert printed == "The portal is at https://bot.example until you press Ctrl+C.\n"
    assert wrong.startswith("Warning: rate limits count all visitors as one. Add --trust-proxy")
    assert wrong.count("\n") == 1
