"""``python -m bench [PIECE…]``: compares Forbear with its peers, in turns, and prints a table of ratios.

``--quick`` runs fewer rounds; ``--write`` writes the table to bench/RESULTS.md. Other pieces print results of their
own: ``readers`` the share of each reader, ``chain`` the cost of the chain over the log, ``questions`` queries of the
log, ``batch [N]`` decisions about a data set of N rows, ``portal`` its pages, ``workers`` several worker processes on
one PostgreSQL, ``frontier [N]`` a crawl that knows N URLs, and ``limits`` the cost of hostile files.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from bench import batch, chain, frontier, limits, pipeline, portal, questions, readers, small, workers, writer
from bench.figures import Figure

OTHERS = {
    "readers": lambda _: readers.main(),
    "chain": chain.main,
    "questions": questions.main,
    "batch": batch.main,
    "portal": portal.main,
    "workers": workers.main,
    "frontier": frontier.main,
    "limits": limits.main,
}
PIECES = {
    "rules": small.rules,
    "worst": small.worst,
    "writer": writer.measure,
    "log": small.log,
    "pipeline": lambda quick: pipeline.measure(1 if quick else 3, 4 if quick else 8),
}


def main() -> None:
    """Runs the named pieces, or all."""
    if sys.argv[1:2] and sys.argv[1] in OTHERS:
        OTHERS[sys.argv[1]](sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("pieces", nargs="*", metavar="PIECE", help=f"any of {', '.join(PIECES)}; all by default")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller sizes")
    parser.add_argument("--write", action="store_true", help="write bench/RESULTS.md")
    arguments = parser.parse_args()
    if unknown := set(arguments.pieces) - set(PIECES):
        parser.error(f"unknown piece: {', '.join(sorted(unknown))}; choose among {', '.join((*PIECES, *OTHERS))}")
    found: list[Figure] = []
    for name in arguments.pieces or PIECES:
        found += PIECES[name](arguments.quick)
    table = "\n".join(["| figure | median | spread | goal |", "| --- | --- | --- | --- |", *map(str, found)])
    print(table)
    if arguments.write:
        words = " ".join([*arguments.pieces, *(["--quick"] if arguments.quick else [])])
        heading = f"# Measured\n\n`python -m bench {words}` on {os.cpu_count()} cores."
        Path(__file__).with_name("RESULTS.md").write_text(f"{heading}\n\n{table}\n", "utf-8")


if __name__ == "__main__":
    main()
