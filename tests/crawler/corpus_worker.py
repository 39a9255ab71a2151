"""Writes pages until it is killed, and commits a line of a log after each, as a crawl does with its database."""

from __future__ import annotations

import json
import os
import random
import sys
from datetime import UTC, datetime
from pathlib import Path

from forbear.crawler.corpus.writer import Corpus, WarcPage
from forbear.optout.model import Capture


def main(out: str, log: str, seed: str) -> None:
    chance = random.Random(seed)
    corpus = Corpus(Path(out), seed, software="Forbear/0.1.0", max_bytes=150_000)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in range(100_000):
        url = f"http://a.example/{seed}/{number}"
        body = (
            b"the same again" if number % 7 == 3 else b"<p>" + chance.randbytes(chance.randrange(30_000)).hex().encode()
        )
        capture = Capture(url, 200, (("Content-Type", "text/html"),), body)
        stored = corpus.write(WarcPage(f"{seed}-{number}", url, datetime.now(UTC), capture))
        line = json.dumps([stored.warc_file, stored.offset + stored.length, f"{seed}-{number}"]) + "\n"
        os.write(file, line.encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
