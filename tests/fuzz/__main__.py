"""``python -m tests.fuzz [PROTOCOL…] [--seconds N]``: the readers, fuzzed with atheris, guided by what they execute.

Each protocol has a process of its own and a corpus that grows below .cache/fuzz; a finding is left there as a file that
``python -m tests.fuzz PROTOCOL --again FILE`` reads again. Prints a table: executions, size of the corpus, findings.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

MOST_OCTETS = 64 * 1024
SECONDS_EACH = 20
"""What an input may take at most, instrumented and beside other work; a real one takes milliseconds."""
MEGABYTES = 2_000
CACHE = Path(".cache/fuzz")


def main() -> int:
    """1 if there is a finding."""
    words = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    words.add_argument("protocols", nargs="*", metavar="PROTOCOL")
    words.add_argument("--seconds", type=int, default=60, help="for each protocol")
    words.add_argument("--again", type=Path, help="read a finding again")
    words.add_argument("--target", help=argparse.SUPPRESS)
    given = words.parse_args()
    if given.target:
        return _fuzz(given.target, given.seconds)
    from tests.fuzz.harness import BY_NAME, check, seeds  # noqa: PLC0415 a target instruments before it imports

    protocols = given.protocols or list(BY_NAME)
    if unknown := set(protocols) - set(BY_NAME):
        words.error(f"{', '.join(unknown)}: no such protocol; choose among {', '.join(BY_NAME)}")
    if given.again:
        print(check(protocols[0], given.again.read_bytes()))
        return 0
    print(
        f"{'protocol':<16}{'seeds':>8}{'executions':>12}{'a second':>10}{'edges':>8}{'corpus':>8}  findings", flush=True
    )
    found = 0
    for name in protocols:
        folder = CACHE / name
        for part in ("corpus", "seeds", "findings"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        for number, octets in enumerate(seeds(name)):
            (folder / "seeds" / f"{number:04}").write_bytes(octets)
        command = [sys.executable, "-m", "tests.fuzz", "--target", name, "--seconds", str(given.seconds)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        (folder / "output.txt").write_text(done.stdout + done.stderr)
        findings = sorted(str(path) for path in (folder / "findings").iterdir())
        if done.returncode and not findings:
            findings = [f"exit code {done.returncode}: see {folder}/output.txt"]
        found += len(findings)
        rate, edges = _last(r"average_exec_per_sec: +(\d+)", done.stderr), _last(r"cov: (\d+)", done.stderr)
        executions = _last(r"number_of_executed_units: +(\d+)", done.stderr)
        grown = sum(1 for _ in (folder / "corpus").iterdir())
        counts = f"{len(seeds(name)):>8}{executions:>12}{rate:>10}{edges:>8}{grown:>8}"
        print(f"{name:<16}{counts}  {', '.join(findings) or 'none'}", flush=True)
    return int(found > 0)


def _last(pattern: str, text: str) -> str:
    found = re.findall(pattern, text)
    return found[-1] if found else "?"


def _fuzz(name: str, seconds: int) -> int:
    import atheris  # noqa: PLC0415

    with atheris.instrument_imports(include=["optout"]):
        from tests.fuzz.harness import check  # noqa: PLC0415

    folder = CACHE / name
    atheris.Setup(
        [
            sys.argv[0],
            str(folder / "corpus"),
            str(folder / "seeds"),
            f"-max_total_time={seconds}",
            f"-max_len={MOST_OCTETS}",
            f"-timeout={SECONDS_EACH}",
            f"-rss_limit_mb={MEGABYTES}",
            f"-artifact_prefix={folder / 'findings'}/",
            "-print_final_stats=1",
        ],
        lambda octets: check(name, octets) and None,
    )
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
