"""``python -m tests.fuzz [TARGET…] [--minutes N | --seconds N]``: fuzzes every reader, guided by what it executes.

Each target has a process of its own, as many at once as there are processors, and a corpus that grows below
.cache/fuzz. A finding is left there as a file that ``python -m tests.fuzz TARGET --again FILE`` reads again. ``--save``
puts the inputs that are worth keeping into tests/fuzz/corpus. Prints executions, edges covered, corpus and findings.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

MOST_OCTETS = 64 * 1024
SECONDS_EACH = 20
"""What an input may take at most, instrumented and beside other work; a real one takes milliseconds."""
MEGABYTES = 2_000
CACHE = Path(".cache/fuzz")
SAVED_INPUTS, SAVED_OCTETS = 100, 50_000
"""Of each target, at most."""


def main() -> int:
    """Runs what the command line asks for; 1 if there is a finding."""
    words = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    words.add_argument("targets", nargs="*", metavar="TARGET", help="all, unless some are named")
    words.add_argument("--seconds", type=int, default=60, help="for each target")
    words.add_argument("--minutes", type=float, help="for all of them together")
    words.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="targets at once")
    words.add_argument("--again", type=Path, help="read a finding again")
    words.add_argument("--save", action="store_true", help="keep the corpus in the repository, small")
    words.add_argument("--target", help=argparse.SUPPRESS)
    given = words.parse_args()
    if given.target:
        return _fuzz(given.target, given.seconds, given.targets)
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415 a target instruments before it imports

    names = given.targets or list(TARGETS)
    if unknown := set(names) - set(TARGETS):
        words.error(f"{', '.join(sorted(unknown))}: no such target; choose among {', '.join(TARGETS)}")
    if given.again:
        print(TARGETS[names[0]].check(given.again.read_bytes()))
        return 0
    if given.save:
        for name in names:
            print(f"{name:<18}{_save(name):>6} inputs", flush=True)
        return 0
    seconds = int(given.minutes * 60 * given.jobs / len(names)) if given.minutes else given.seconds
    print(
        f"{'target':<18}{'seeds':>8}{'executions':>12}{'a second':>10}{'edges':>8}{'corpus':>8}  findings", flush=True
    )
    with ThreadPoolExecutor(given.jobs) as pool:
        results = [pool.submit(_run, name, seconds) for name in names]
        total = findings = 0
        for name, result in zip(names, results, strict=True):
            row, executions, found = result.result()
            total, findings = total + executions, findings + found
            print(f"{name:<18}{row}", flush=True)
    print(f"{'all':<26}{total:>12}{'':>26}  {findings or 'none'}")
    return int(findings > 0)


def _run(name: str, seconds: int) -> tuple[str, int, int]:
    """Fuzzes a target in a process of its own; its row of the table, executions and findings."""
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415

    folder = CACHE / name
    for part in ("corpus", "seeds", "findings"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    inputs = TARGETS[name].inputs()
    for number, octets in enumerate(inputs):
        (folder / "seeds" / f"{number:04}").write_bytes(octets)
    command = [sys.executable, "-m", "tests.fuzz", "--target", name, "--seconds", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    (folder / "output.txt").write_text(done.stdout + done.stderr)
    findings = sorted(str(path) for path in (folder / "findings").iterdir())
    if done.returncode and not findings:
        findings = [f"exit code {done.returncode}: see {folder}/output.txt"]
    rate, edges = _last(r"average_exec_per_sec: +(\d+)", done.stderr), _last(r"cov: (\d+)", done.stderr)
    executions = _last(r"number_of_executed_units: +(\d+)", done.stderr)
    grown = sum(1 for _ in (folder / "corpus").iterdir())
    row = f"{len(inputs):>8}{executions:>12}{rate:>10}{edges:>8}{grown:>8}  {', '.join(findings) or 'none'}"
    return row, int(executions) if executions.isdigit() else 0, len(findings)


def _save(name: str) -> int:
    """Keeps the smallest inputs that together reach what the whole corpus reaches; how many."""
    from tests.fuzz.targets import save  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as temporary:
        folder = CACHE / name
        command = [sys.executable, "-m", "tests.fuzz", "--target", name, "--seconds", "0"]
        environment = os.environ | {"FUZZ_MERGE_INTO": temporary}
        subprocess.run(command, capture_output=True, check=False, env=environment)
        known = {path.read_bytes() for path in (folder / "seeds").iterdir()}
        found = sorted({path.read_bytes() for path in Path(temporary).iterdir()} - known, key=lambda o: (len(o), o))
    kept: list[bytes] = []
    for octets in found[:SAVED_INPUTS]:
        if sum(map(len, kept)) + len(octets) <= SAVED_OCTETS:
            kept.append(octets)
    save(name, kept)
    return len(kept)


def _last(pattern: str, text: str) -> str:
    found = re.findall(pattern, text)
    return found[-1] if found else "?"


def _fuzz(name: str, seconds: int, own: list[str]) -> int:
    """Fuzzes in this process; ``own`` are arguments with which libFuzzer calls itself to merge."""
    import atheris  # noqa: PLC0415

    with atheris.instrument_imports(include=["forbear.optout", "crawler"]):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415

    folder, into = CACHE / name, os.environ.get("FUZZ_MERGE_INTO")
    corpora = [str(folder / "corpus"), str(folder / "seeds")]
    limits = [
        f"-max_len={MOST_OCTETS}",
        f"-timeout={SECONDS_EACH}",
        f"-rss_limit_mb={MEGABYTES}",
        f"-artifact_prefix={folder / 'findings'}/",
        "-print_final_stats=1",
    ]
    run = ["-merge=1", into, *corpora] if into else [*corpora, f"-max_total_time={seconds}"]
    check = TARGETS[name].check
    # By its first argument, libFuzzer calls itself.
    itself = f"{sys.executable} -m tests.fuzz --target {name} --"
    atheris.Setup([itself, *(own or [*run, *limits])], lambda octets: check(octets) and None)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
