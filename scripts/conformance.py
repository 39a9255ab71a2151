"""``forbear conformance``: the conformance vectors, put to any program that speaks as ``forbear decide`` does."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from forbear.optout import policy as policies
from forbear.scripts import options, show

FAILED = 1
NOT_A_PART = 4
SECONDS = 600


@dataclass(frozen=True, slots=True)
class Vector:
    """A case with what must come out; ``file`` holds it, and ``protocol`` is what it is mostly about."""

    file: str
    protocol: str
    case: dict[str, Any]
    expect: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """How a vector went: ``wrong`` says what is missing from the answer, empty if it passed."""

    vector: Vector
    answer: dict[str, Any]
    wrong: str


@click.command()
@options.option(
    "--command", "words", metavar="COMMAND", help="The program: cases on its input, decisions on its output."
)
@options.option(
    "--vectors",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of *.jsonl files with vectors.  [default: those of Forbear]",
)
@options.option(
    "--only", type=options.text, multiple=True, help="The vectors of this file or protocol. Can be repeated."
)
@options.option("--within", type=click.FloatRange(min=1), default=SECONDS, help="Seconds for the program as a whole.")
@options.as_json
def command(words: str | None, vectors: Path | None, only: tuple[str, ...], within: float, as_json: bool) -> int:
    """Put the conformance vectors to a program, and show which it passes, by protocol.

    The program reads cases from standard input, a JSON object a line, and writes a decision for each, in the same
    order, as `forbear decide` does; without --command, it is `forbear decide` itself. Exit code: 0 all pass, 1 some do
    not, 4 the program cannot be run.

    \b
    Example:
      forbear conformance
      forbear conformance --command 'other-checker --stdin' --only tdmrep --only robots
    """
    asked = list(_read(vectors or _own(), only))
    program = shlex.split(words) if words else [sys.executable, "-m", "forbear", "decide"]
    results = [_judged(*pair) for pair in zip(asked, _answers(program, asked, within), strict=True)]
    failures = [result for result in results if result.wrong]
    if as_json:
        click.echo(json.dumps(_as_json(results, failures), ensure_ascii=False, indent=2))
    else:
        _show(results, failures)
    return FAILED if failures else 0


def _own() -> Path:
    """Forbear's own vectors: of the checkout that this is, or as they were installed."""
    here = Path(__file__).parent
    for folder in (here.parent / "tests" / "vectors", here / "vectors"):
        if folder.is_dir():
            return folder
    raise click.UsageError("Forbear's vectors are not installed here: name a folder with --vectors.")


def _read(folder: Path, only: tuple[str, ...]) -> Iterator[Vector]:
    """The vectors of a folder, in order. Raises UsageError for a line that is none."""
    found = False
    files = set()
    for path in sorted(folder.glob("*.jsonl")):
        files.add(path.stem)
        for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
            if not line.strip():
                continue
            vector = _vector(path.stem, line, f"{path}, line {number}")
            if not only or vector.file in only or vector.protocol in only:
                found = True
                yield vector
    if not found:
        known = f"choose among {', '.join(sorted(files))}" if files else "name a folder that has some"
        raise click.UsageError(f"There are no such vectors in {folder}: {known}.")


def _vector(file: str, line: bytes, where: str) -> Vector:
    try:
        vector = json.loads(line)
        expect = vector.pop("expect")
        verdict, reasons, statements = expect["verdict"], expect.get("reasons", []), expect.get("statements", [])
        if isinstance(vector["id"], str) and all(isinstance(said["protocol"], str) for said in reasons + statements):
            expected = {"verdict": verdict, "reasons": reasons, "statements": statements}
            return Vector(file, _protocol(file, reasons + statements), vector, expected)
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise click.UsageError(f"{where} is no vector: a JSON object with id, url and expect (verdict, reasons).")


def _protocol(file: str, said: list[dict[str, Any]]) -> str:
    """By the name of the file; where that is none's, the first whose words are expected."""
    name = file.removeprefix("forbear-")
    if name in policies.load().protocols or not said:
        return name
    words: str = said[0]["protocol"]
    return words


def _answers(program: list[str], asked: list[Vector], timeout: float) -> Iterator[dict[str, Any]]:
    """What the program answers, in order; an empty object for what is no answer."""
    cases = "".join(json.dumps(vector.case) + "\n" for vector in asked)
    try:
        done = subprocess.run(program, input=cases.encode(), stdout=subprocess.PIPE, timeout=timeout, check=False)  # noqa: S603
    except OSError as error:
        raise OSError(f"{program[0]} cannot be run ({error.strerror}): name a program with --command.") from None
    except subprocess.TimeoutExpired:
        raise OSError(f"{program[0]} gave no answer within {timeout:g} seconds.") from None
    lines = [line for line in done.stdout.split(b"\n") if line.strip()]
    if not lines:
        raise OSError(f"{program[0]} answered nothing (exit code {done.returncode}).")
    for number in range(len(asked)):
        yield _object(lines[number]) if number < len(lines) else {}


def _object(line: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _judged(vector: Vector, answer: dict[str, Any]) -> Result:
    """Whether an answer passes: its verdict, the protocols of its reasons, and each quotation that is expected."""
    return Result(vector, answer, _wrong(vector, answer))


def _wrong(vector: Vector, answer: dict[str, Any]) -> str:
    expect = vector.expect
    if not answer or answer.get("id") != vector.case["id"]:
        return "no answer with this id at its place"
    if "error" in answer:
        return str(answer["error"])
    if answer.get("verdict") != expect["verdict"]:
        return "another verdict"
    given = {key: _said(answer, key) for key in ("reasons", "statements")}
    if {said.get("protocol") for said in given["reasons"]} != {said["protocol"] for said in expect["reasons"]}:
        return "other protocols among the reasons"
    for key, said in given.items():
        for wanted in expect[key]:
            if not any(_matches(wanted, one) for one in said):
                return f"none of the {key} has the quotation"
    return ""


def _said(answer: dict[str, Any], key: str) -> list[dict[str, Any]]:
    said = answer.get(key)
    return [one for one in said if isinstance(one, dict)] if isinstance(said, list) else []


def _matches(wanted: dict[str, Any], given: dict[str, Any]) -> bool:
    quote = given.get("quote")
    same = given.get("protocol") == wanted["protocol"] and isinstance(quote, str)
    return same and wanted.get("quote", "").strip() in str(quote)


def _tally(results: list[Result]) -> dict[str, tuple[int, int]]:
    """Passed and all, by protocol."""
    counts: dict[str, tuple[int, int]] = {}
    for result in results:
        passed, every = counts.get(result.vector.protocol, (0, 0))
        counts[result.vector.protocol] = passed + (not result.wrong), every + 1
    return counts


def _show(results: list[Result], failures: list[Result]) -> None:
    for result in failures:
        case = result.vector.case
        show.line(f"{case['id']}: {case.get('about', '')} ({case.get('spec', '')})")
        show.line(f"  {result.wrong}")
        show.line(f"  expected {_brief(result.vector.expect)}")
        show.line(f"  got      {_brief(result.answer)}")
    if failures:
        show.line("")
    counts = _tally(results)
    rows = [(name, str(passed), str(every)) for name, (passed, every) in sorted(counts.items())]
    show.table(("protocol", "passed", "of"), [*rows, ("all", str(len(results) - len(failures)), str(len(results)))])


def _brief(answer: dict[str, Any]) -> str:
    said = (f"{one.get('protocol')}: {one.get('quote', '')}" for key in ("reasons",) for one in _said(answer, key))
    return f"{answer.get('verdict', '-')} {'; '.join(said)}".rstrip()


def _as_json(results: list[Result], failures: list[Result]) -> dict[str, Any]:
    return {
        "passed": len(results) - len(failures),
        "of": len(results),
        "protocols": {
            name: {"passed": passed, "of": every} for name, (passed, every) in sorted(_tally(results).items())
        },
        "failures": [
            {
                "id": result.vector.case["id"],
                "about": result.vector.case.get("about"),
                "spec": result.vector.case.get("spec"),
                "wrong": result.wrong,
                "expected": result.vector.expect,
                "got": result.answer,
            }
            for result in failures
        ],
    }
