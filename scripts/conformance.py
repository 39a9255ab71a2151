"""``forbear conformance``: runs the conformance vectors against a program with the interface of ``forbear decide``."""

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

NOT_ALL_PASS = 1
SECONDS = 600


@dataclass(frozen=True, slots=True)
class Vector:
    """A case with the expected decision, its file, and the protocol that it is mostly about."""

    file: str
    protocol: str
    case: dict[str, Any]
    expect: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a vector: ``wrong`` says what is wrong with the answer, and is empty if it passed."""

    vector: Vector
    answer: dict[str, Any]
    wrong: str


@click.command()
@options.option(
    "--command",
    "words",
    metavar="COMMAND",
    help="Test this program, which reads cases and writes decisions.  [default: forbear decide]",
)
@options.option(
    "--vectors",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Read vectors from the *.jsonl files in this folder.  [default: Forbear's own]",
)
@options.option(
    "--only", type=options.text, multiple=True, help="Only the vectors of this file or protocol. Can be repeated."
)
@options.option(
    "--within", type=click.FloatRange(min=1), default=SECONDS, help="Stop the program if it takes longer in all."
)
@options.as_json
def command(words: str | None, vectors: Path | None, only: tuple[str, ...], within: float, as_json: bool) -> int:
    """Run the conformance vectors against a program, and show how many it passes, by protocol.

    Like `forbear decide`, the program reads cases from standard input, one JSON object per line, and writes a decision
    for each, in the same order. Exit code: 0 all pass, 1 some fail, 4 the program cannot be run.

    \b
    Example:
      forbear conformance
      forbear conformance --command 'other-checker --stdin' --only tdmrep --only robots
    """
    selected = list(_read(vectors or _own_vectors(), only))
    program = shlex.split(words) if words else [sys.executable, "-m", "forbear", "decide"]
    results = [
        Result(vector, answer, _wrong(vector, answer))
        for vector, answer in zip(selected, _answers(program, selected, within), strict=True)
    ]
    failures = [result for result in results if result.wrong]
    if as_json:
        click.echo(json.dumps(_as_json(results, failures), ensure_ascii=False, indent=2))
    else:
        _show(results, failures)
    return NOT_ALL_PASS if failures else 0


def _own_vectors() -> Path:
    """Returns the folder of Forbear's own vectors, in a checkout or as installed."""
    here = Path(__file__).parent
    for folder in (here.parent / "tests" / "vectors", here / "vectors"):
        if folder.is_dir():
            return folder
    raise click.UsageError("Forbear's own vectors are not installed. Name a folder with --vectors.")


def _read(folder: Path, only: tuple[str, ...]) -> Iterator[Vector]:
    """Reads the vectors in a folder, in order. Raises UsageError for a line that is not a vector."""
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
        known = f"--only can be {', '.join(sorted(files))}" if files else "Name another folder with --vectors"
        raise click.UsageError(f"There are no such vectors in {folder}. {known}.")


def _vector(file: str, line: bytes, where: str) -> Vector:
    try:
        vector = json.loads(line)
        expect = vector.pop("expect")
        verdict, reasons, statements = expect["verdict"], expect.get("reasons", []), expect.get("statements", [])
        if isinstance(vector["id"], str) and all(isinstance(one["protocol"], str) for one in reasons + statements):
            expected = {"verdict": verdict, "reasons": reasons, "statements": statements}
            return Vector(file, _protocol(file, reasons + statements), vector, expected)
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise click.UsageError(f"{where} is not a vector. Write a JSON object with id, url and expect (verdict, reasons).")


def _protocol(file: str, expected: list[dict[str, Any]]) -> str:
    """Returns the protocol that the file is named after, or else the first one that is expected to be quoted."""
    name = file.removeprefix("forbear-")
    if name in policies.load().protocols or not expected:
        return name
    first: str = expected[0]["protocol"]
    return first


def _answers(program: list[str], vectors: list[Vector], timeout: float) -> Iterator[dict[str, Any]]:
    """Runs the program, and yields its answers in order; an empty object for a missing or malformed one."""
    cases = "".join(json.dumps(vector.case) + "\n" for vector in vectors)
    try:
        done = subprocess.run(program, input=cases.encode(), stdout=subprocess.PIPE, timeout=timeout, check=False)  # noqa: S603
    except OSError as error:
        raise OSError(f"{program[0]} cannot be run: {error.strerror}. Name another program with --command.") from None
    except subprocess.TimeoutExpired:
        raise OSError(f"{program[0]} did not finish within {timeout:g} seconds. Allow more with --within.") from None
    lines = [line for line in done.stdout.split(b"\n") if line.strip()]
    if not lines:
        raise OSError(
            f"{program[0]} wrote no answer (exit code {done.returncode}). It has to read cases from standard input."
        )
    for number in range(len(vectors)):
        yield _object(lines[number]) if number < len(lines) else {}


def _object(line: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _wrong(vector: Vector, answer: dict[str, Any]) -> str:
    """Compares the verdict, the protocols of the reasons, and each expected quotation; returns what is wrong."""
    expect = vector.expect
    if not answer or answer.get("id") != vector.case["id"]:
        return "no answer with this id in this place"
    if "error" in answer:
        return str(answer["error"])
    if answer.get("verdict") != expect["verdict"]:
        return "different verdict"
    given = {key: _objects(answer, key) for key in ("reasons", "statements")}
    if {one.get("protocol") for one in given["reasons"]} != {one["protocol"] for one in expect["reasons"]}:
        return "different protocols in the reasons"
    for key, objects in given.items():
        for wanted in expect[key]:
            if not any(_matches(wanted, one) for one in objects):
                return f"none of the {key} has the expected quotation"
    return ""


def _objects(answer: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = answer.get(key)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _matches(wanted: dict[str, Any], given: dict[str, Any]) -> bool:
    quote = given.get("quote")
    same = given.get("protocol") == wanted["protocol"] and isinstance(quote, str)
    return same and wanted.get("quote", "").strip() in str(quote)


def _tally(results: list[Result]) -> dict[str, tuple[int, int]]:
    """Counts the vectors that passed, and all, by protocol."""
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
    reasons = (f"{one.get('protocol')}: {one.get('quote', '')}" for one in _objects(answer, "reasons"))
    return f"{answer.get('verdict', '-')} {'; '.join(reasons)}".rstrip()


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
