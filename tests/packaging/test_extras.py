"""What each extra brings, and what a command says whose extra is missing.

The packages that an installation without the extra lacks are hidden from a process of its own.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from forbear.scripts.__main__ import COMMANDS
from forbear.scripts.extras import OWN, PACKAGES
from tests.packaging.distributions import EXTRAS, ROOT, closure, modules, names, without

LOAD = """
from forbear.scripts.__main__ import COMMANDS, load
from forbear.scripts.extras import MissingExtra

missing = {}
for name in COMMANDS:
    try:
        load(name)
    except MissingExtra as error:
        missing[name] = error.message
print(json.dumps(missing))
"""

CORE = """
import forbear
from forbear.addon import ForbearAddon

robots = forbear.Capture("https://a.example/robots.txt", 200, body=b"User-agent: *\\nDisallow: /a\\n")
question = forbear.Question("https://a.example/a/b")
print(forbear.decide(question, forbear.Captures([robots], complete=True), forbear.load_policy()).verdict)
"""

RUN = """
import contextlib, io, os
from forbear.__main__ import main

for words, environment in json.loads(sys.argv[1]):
    os.environ.update(environment)
    sys.argv = ["forbear", *words]
    out, err = io.TextIOWrapper(io.BytesIO()), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    out.flush()
    print(json.dumps((code, out.buffer.getvalue().decode(), err.getvalue())))
"""

NEED_CRAWL = {"checkpoint", "corpus", "crawl", "demo", "export", "filter", "recheck", "replay", "run", "verify"}


def run_without(program: str, *words: str, extras: tuple[str, ...] = (), folder: Path = ROOT) -> tuple[int, str, str]:
    command = [sys.executable, *without(program, *words, extras=extras)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=200, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("extras", "missing"),
    [
        ((), dict.fromkeys(NEED_CRAWL, "crawl") | OWN),
        (("crawl",), OWN),
        (("portal",), dict.fromkeys(NEED_CRAWL - {"checkpoint", "export", "verify"}, "crawl")),
        (("reports",), dict.fromkeys(NEED_CRAWL - {"export"}, "crawl") | {"serve": "portal", "user": "portal"}),
    ],
    ids=["core", "crawl", "portal", "reports"],
)
def test_a_command_loads_with_its_extra_and_names_it_without(extras, missing):
    code, out, err = run_without(LOAD, extras=extras)
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        name: f"forbear {name} needs the extra {extra}: pip install 'forbear[{extra}]'"
        for name, extra in missing.items()
    }


def test_deciding_and_the_addon_need_no_extra():
    assert run_without(CORE) == (0, "excluded\n", "")


def test_the_program_says_which_extra_to_install(tmp_path: Path):
    (tmp_path / "forbear.toml").write_text('delay = 2\n[crawl]\ncontact = "https://a.example/"\n', "utf-8")
    sentence = "Error: forbear {0} needs the extra {1}: pip install 'forbear[{1}]'\n"
    shell = {"_FORBEAR_COMPLETE": "bash_complete", "COMP_WORDS": "forbear c", "COMP_CWORD": "1"}
    cases: list[tuple[list[str], dict[str, str], int, str]] = [
        (["serve", "--help"], {}, 2, sentence.format("serve", "portal")),
        (["log", "--db", "postgresql+psycopg://127.0.0.1:1/a"], {}, 2, sentence.format("log", "crawl")),
        (["log", "--bundle", "a.zip"], {}, 2, sentence.format("log", "reports")),
        (["config", "crawl"], {}, 2, sentence.format("crawl", "crawl")),
        (["config"], {}, 0, ""),
        (["policy", "show"], {}, 0, ""),
        ([], shell, 0, ""),
    ]
    code, out, err = run_without(RUN, json.dumps([case[:2] for case in cases]), folder=tmp_path)
    assert (code, err) == (0, "")
    ended = [json.loads(line) for line in out.splitlines()]
    assert [(code, err) for code, _, err in ended] == [case[2:] for case in cases]
    assert "https://a.example/" not in ended[4][1]  # of a command that cannot be called
    completed = {line.partition(",")[2] for line in ended[-1][1].splitlines()}
    assert completed == {"check", "complaints", "config", "conformance"}


def test_the_packages_named_are_those_that_the_extras_bring_and_the_rooms_import():
    core = closure()
    imported = {module for module in _imported() if not modules()[module] & core}
    for extra, packages in PACKAGES.items():
        brought = names(EXTRAS[extra])
        assert set(packages) <= {module for module in imported if modules()[module] & brought}, extra
    named = set().union(*PACKAGES.values())
    assert imported - named == {"datatrove"}  # of a library, which no command loads
    assert set(OWN) <= set(COMMANDS)


def _imported() -> Iterator[str]:
    """What the rooms import from other distributions."""
    files = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    own = {"forbear", "tests", "bench"}
    for name in files.splitlines():
        if name.partition("/")[0] in ("tests", "bench", "examples", "docs"):
            continue
        for node in ast.walk(ast.parse((ROOT / name).read_text("utf-8"))):
            found = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                found = [str(node.module)]
            yield from ({each.partition(".")[0] for each in found} & modules().keys() - own)
