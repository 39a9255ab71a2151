"""The program: where settings come from, how errors are reported, with which exit code."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
from pathlib import Path

import click
import pyarrow as pa
import pytest
from click.testing import CliRunner

from forbear.scripts.__main__ import COMMANDS, cli, load
from forbear.scripts.settings import envvar_of, key_of
from forbear.storage.database import StorageError, upgrade

ROOT = Path(__file__).parents[2]
NO_UTF_8 = "\udcff\udcfe"
"""Bytes of a command line that are not text, as Python represents them."""
EMPTY = "sqlite:///empty.db"
CRAWL = ("crawl", "--contact", "https://operator.example/", "--out", "out")


OTHERS = {(f"report {name}", "out"): "FORBEAR_REPORT_OUT" for name in ("coverage", "policy", "summary")}
OTHERS["filter", "out"] = "FORBEAR_FILTER_OUT"
"""Options that mean something else than those of the same name."""


def commands() -> list[tuple[str, click.Command]]:
    found = []
    for name in COMMANDS:
        command = load(name)
        parts = command.commands.items() if isinstance(command, click.Group) else ()
        found += [(f"{name} {part}".strip(), each) for part, each in (("", command), *parts)]
    return found


@pytest.mark.parametrize(("name", "command"), commands())
def test_every_help_has_an_example(name: str, command: click.Command) -> None:
    result = CliRunner().invoke(cli, [*name.split(), "--help"])
    assert result.exit_code == 0
    assert "Example" in result.output
    assert f"forbear {name}" in result.output


@pytest.mark.parametrize(("name", "command"), commands())
def test_every_option_can_come_from_everywhere(name: str, command: click.Command) -> None:
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.envvar == OTHERS.get((name, key_of(option)), envvar_of(key_of(option))), name


def settings(forbear, *words: str, env: dict[str, str] | None = None) -> dict[str, tuple[object, str]]:
    done = forbear("config", "--json", "check", *words, env=env)
    assert done.returncode == 0, done.stderr
    return {setting["option"]: (setting["value"], setting["origin"]) for setting in json.loads(done.stdout)}


def test_the_nearer_source_wins(forbear, tmp_path: Path) -> None:
    assert settings(forbear)["timeout"] == (30.0, "default")
    (tmp_path / "forbear.toml").write_text("timeout = 3\n")
    assert settings(forbear)["timeout"] == (3.0, "forbear.toml")
    (tmp_path / "forbear.toml").write_text("timeout = 3\n[check]\ntimeout = 4\n")
    assert settings(forbear)["timeout"] == (4.0, "forbear.toml")
    env = {"FORBEAR_TIMEOUT": "5"}
    assert settings(forbear, env=env)["timeout"] == (5.0, "environment")
    assert settings(forbear, "--timeout", "6", env=env)["timeout"] == (6.0, "command line")


def test_lists_flags_and_texts_come_from_the_file(forbear, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text(
        'contact = "mailto:a@b.example"\nallow-private-networks = true\nresolve = ["*:80:127.0.0.1", "a:*:::1"]\n'
        '[log]\nlimit = 5\n[db.upgrade]\ndb = "sqlite:///x.db"\n'
    )
    found = settings(forbear, env={"FORBEAR_CONFIG": "other.toml"})
    assert found["contact"] == ("mailto:a@b.example", "other.toml")
    assert found["allow-private-networks"] == (True, "other.toml")
    assert found["resolve"] == (["*:80:127.0.0.1", "a:*:::1"], "other.toml")
    done = forbear("--config", "other.toml", "config")
    assert "sqlite:///x.db" in done.stdout


def test_a_command_runs_with_what_config_shows(forbear, tmp_path: Path) -> None:
    (tmp_path / "cases.jsonl").write_text('{"id": "1", "url": "https://a.example/"}\n')
    (tmp_path / "forbear.toml").write_text('db = "sqlite:///x.db"\n[decide]\nfile = "cases.jsonl"\n')
    assert json.loads(forbear("decide").stdout)["verdict"] == "allowed"
    assert forbear("db", "upgrade").returncode == 0
    assert (tmp_path / "x.db").exists()
    assert not (tmp_path / "forbear.db").exists()


def test_a_password_is_not_printed(forbear) -> None:
    proxy, origin = settings(forbear, "--proxy", "http://me:secret@proxy.example:3128")["proxy"]
    assert (proxy, origin) == ("http://me:***@proxy.example:3128", "command line")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("tiemout = 3", "no command has an option 'tiemout'"),
        ("[check]\ntiemout = 3", "[check] has no option 'tiemout'. See: forbear check --help"),
        ("[chekc]\ntimeout = 3", "there is no command named like the table [chekc]"),
        ("[db]\ndb = 3", "[db] has no option or command 'db'. See: forbear db --help"),
        ("timeout = [3]", "'timeout' is [3]; write a text or number"),
        ("timeout = true", "'timeout' is True; write a text or number"),
        ("allow-private-networks = 1", "'allow-private-networks' is 1; write true or false"),
        ("resolve = [[1]]", "'resolve' is [[1]]; write a text or number, or a list"),
        ("timeout = ", "forbear.toml is not TOML"),
        ("timeout = 'soon'", "'soon' is not a valid float"),
        ("resolve = ['x']", "'x' is not of the form HOST:PORT:ADDRESS"),
    ],
)
def test_a_wrong_settings_file_is_reported(forbear, tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "forbear.toml").write_text(content)
    done = forbear("config")
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_settings_file_that_is_not_there_is_reported(forbear) -> None:
    done = forbear("--config", "nowhere.toml", "config")
    assert (done.returncode, "nowhere.toml cannot be read" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["fly"], "No such command 'fly'"),
        (["check"], "Missing argument 'URL...'"),
        (["check", "--fast", "https://a.example/"], "No such option"),
        (["check", "a.example"], "'a.example' is not a URL: write one like https://example.org/page."),
        (["check", "--use", "eat", "https://a.example/"], "'eat' is not one of"),
        (["check", "--agent", "Bot/1.0", "https://a.example/"], "'Bot/1.0' is not a product token"),
        (
            ["check", "--contact", "me", "https://a.example/"],
            "'me' is neither a web page (https://…) nor mailto:NAME@DOMAIN",
        ),
        (["check", "--contact", "mailto:a@b.c\r\nX: y", "https://a.example/"], "is neither a web page (https://…) nor"),
        (
            ["check", "--contact", "https://a.example/\r\nX: y", "https://a.example/"],
            "is neither a web page (https://…) nor",
        ),
        (["check", "--proxy", "socks5://a.example", "https://a.example/"], "is not the URL of an HTTP proxy"),
        (["check", "--resolve", "a:b:c", "https://a.example/"], "is not of the form HOST:PORT:ADDRESS"),
        (["decide", "--file", "nowhere.jsonl"], "'nowhere.jsonl' does not exist"),
        (["config", "fly"], "There is no command 'fly'"),
        (["log", "--since", "soon"], "'soon' is not a time"),
        (["log", "--limit", "9" * 30], "is not in the range"),
        (["log", "--crawl", NO_UTF_8], "contains characters that cannot be printed"),
        (["log", "--domain", NO_UTF_8, "--db", EMPTY], "is not a domain or URL"),
        (["log", "--db", "nonsense"], "not a database URL: write sqlite:///FILE or postgresql+psycopg://"),
        (["log", "--db", "mysql://me:secret@a.example/b"], "not a database URL"),
        (["log", "--db", "sqlite://"], "not a database URL"),
        (["log", "--db", f"sqlite:///{NO_UTF_8}"], "not a database URL"),
        (["lookup", "", "--db", EMPTY], "'' is not a domain or URL"),
        (["lookup", NO_UTF_8, "--db", EMPTY], "is not a domain or URL"),
        (["db", "upgrade", "--db", ""], "not a database URL"),
        (["check", f"http://a.example/{NO_UTF_8}"], "is not a URL"),
        (["check", "http://a.example:99999/"], "is not a URL"),
        (["decide", "--file", "/"], "File '/' is a directory"),
        (["config", NO_UTF_8], "There is no command"),
        (["--config", "/", "config"], "File '/' is a directory"),
        ([NO_UTF_8], "No such command"),
        (["crawl", "https://a.example/", "--out", "out"], "--contact is missing"),
        ([*CRAWL], "There is nothing to crawl"),
        ([*CRAWL, "a.example"], "'a.example' is not a URL"),
        ([*CRAWL, f"https://a.example/{NO_UTF_8}"], "is not a URL"),
        ([*CRAWL, "https://a.example:99999/"], "is not a URL"),
        (
            [*CRAWL, "https://a.example/", "--contact", "nonsense"],
            "'nonsense' is neither a web page (https://…) nor mailto:NAME@DOMAIN",
        ),
        ([*CRAWL, "https://a.example/", "--db", "nonsense"], "not a database URL"),
        ([*CRAWL, "https://a.example/", "--agent", "Bot/1.0"], "'Bot/1.0' is not a product token"),
        ([*CRAWL, "https://a.example/", "--out", "binary"], "Directory 'binary' is a file"),
        ([*CRAWL, "https://a.example/", "--operator-list", "binary"], "--operator-list binary: "),
        ([*CRAWL, "--seeds", "binary"], "--seeds binary is not UTF-8 text"),
        ([*CRAWL, "--seeds", "nowhere"], "No such file or directory"),
        (["--config", "binary", "config"], "binary is not TOML"),
    ],
)
def test_wrong_use_is_reported_in_a_sentence(forbear, tmp_path: Path, words: list[str], sentence: str) -> None:
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    if EMPTY in words:
        upgrade(f"sqlite:///{tmp_path}/empty.db")
    done = forbear(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--db", "sqlite:////nowhere/forbear.db"], "there is no directory /nowhere: create it first"),
        (["--db", "sqlite:///binary"], "sqlite:///binary cannot be used: file is not a database"),
        (["--db", "sqlite:////proc/forbear.db"], "cannot be used: unable to open database file"),
        (["--db", "postgresql+psycopg://me:secret@127.0.0.1:1/x"], "me:***@127.0.0.1:1/x cannot be used"),
    ],
)
@pytest.mark.parametrize("command", [[*CRAWL, "http://127.0.0.1:9/"], ["db", "upgrade"]])
def test_a_database_that_cannot_be_used_is_reported(
    forbear, tmp_path: Path, command: list[str], words: list[str], sentence: str
) -> None:
    (tmp_path / "binary").write_bytes(bytes(range(256)) * 20)
    done = forbear(*command, *words)
    assert (done.returncode, done.stdout) == (4, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


def test_a_folder_that_cannot_be_written_is_reported(forbear) -> None:
    done = forbear(*CRAWL, "http://127.0.0.1:9/", "--out", "/proc/corpus")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith(
        "Error: Cannot use /proc/corpus: No such file or directory. Correct this, or choose another path."
    )


def test_a_port_where_nothing_can_be_is_deferred(forbear) -> None:
    assert forbear("check", "http://127.0.0.1:0/", "--allow-private-networks").returncode == 3


@pytest.mark.parametrize("words", [["log"], ["lookup", "a.example"]])
def test_a_database_that_is_not_there_is_reported(forbear, words: list[str]) -> None:
    done = forbear(*words)
    assert done.returncode == 4
    assert done.stderr == "Error: There is no database forbear.db: name the right one with --db, or crawl first.\n"


def test_a_bug_is_a_sentence_and_with_debug_a_traceback(monkeypatch) -> None:
    def burst(*_: object) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr("forbear.scripts.decide.case.from_json", burst)
    plain = CliRunner().invoke(cli, ["decide"], input="{}\n")
    assert plain.exit_code == 4
    assert "Internal error (ZeroDivisionError: a fault). Please report this bug" in plain.stderr
    assert "Traceback" not in plain.stderr
    monkeypatch.setenv("FORBEAR_DEBUG", "1")
    assert "Traceback" in CliRunner().invoke(cli, ["decide"], input="{}\n").stderr


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "Error: The operating system reports: No space left on device.",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "x.db"), "Error: Cannot use x.db: Permission denied."),
        (StorageError("The database went away."), "Error: The database went away."),
        (KeyError("x"), "Internal error (KeyError: 'x'). Please report this bug"),
        (ValueError("x"), "Internal error (ValueError: x). Please report this bug"),
    ],
)
def test_the_message_separates_an_outside_failure_from_a_bug(monkeypatch, error: Exception, message: str) -> None:
    def burst(*_: object) -> None:
        raise error

    monkeypatch.setattr("forbear.scripts.decide.options.load_policy", burst)
    done = CliRunner().invoke(cli, ["decide"], input="{}\n")
    assert done.exit_code == 4
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "is_reported"),
    [
        (MemoryError(), True),
        (pa.lib.ArrowMemoryError("malloc of size 128 failed"), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (ImportError("x.so: failed to map segment from shared object"), True),
        (RuntimeError("can't start new thread"), True),
        (RuntimeError("Cannot allocate attention"), False),
        (OSError(errno.ENOSPC, "No space left on device"), False),
    ],
)
def test_that_memory_is_used_up_is_a_sentence(monkeypatch, error: Exception, is_reported: bool) -> None:
    def burst(*_: object) -> None:
        raise error

    monkeypatch.setattr("forbear.scripts.decide.case.from_json", burst)
    done = CliRunner().invoke(cli, ["decide"], input="{}\n")
    assert done.exit_code == 4
    assert done.stderr.startswith("Error: There is not enough memory. Give the program more (ulimit -v,") == is_reported


def test_a_closed_pipe_ends_the_program_quietly(tmp_path: Path) -> None:
    cases = tmp_path / "cases.jsonl"
    cases.write_text('{"id": "1", "url": "https://a.example/"}\n' * 5000)
    program = f"{sys.executable} -m forbear decide --file {cases} | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["id"] == "1"


def test_an_interrupt_is_not_an_error(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "forbear", "decide"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write('{"id": "1", "url": "https://a.example/"}\n')
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == "1"  # answered before the input ends
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=200)
    assert (process.returncode, errors.strip()) == (130, "Stopped.")


def test_the_version_is_printed(forbear) -> None:
    done = forbear("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("forbear, version ")
