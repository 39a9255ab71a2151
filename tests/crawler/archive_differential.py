"""Reads every WARC file below a folder, and compares with what warcio reads.

    python -m tests.crawler.archive_differential FOLDER

A line for each file: records, pages, what is deferred, what is broken. Below it, broken records with the reason, and
pages that are whole here and of which warcio reads another URL, status, or body.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from warcio.archiveiterator import ArchiveIterator

from forbear.crawler.archives.warc_records import PAGES, Record, WarcFile
from forbear.crawler.filter.archive import read_page

Read = dict[int, tuple[str, int | None, bytes | None]]
"""URL, status and body by the offset of the record."""


def ours(path: Path) -> tuple[Read, Counter[str], list[str]]:
    """What is whole, how many of which kind there are, and what is broken."""
    read: Read = {}
    counts: Counter[str] = Counter()
    broken: list[str] = []
    with path.open("rb") as file:
        for record in WarcFile(file, path.name).records():
            page, damage = read_page(record, record.url, path.name)
            counts["records"] += 1
            if damage:
                broken.append(str(damage))
            elif page and page.error:
                counts[str(page.error)] += 1
            elif page:
                counts["pages"] += 1
            if _is_compared(record) and page and not page.error:
                read[record.start] = record.url or "", page.status, page.body
    return read, counts, broken


def _is_compared(record: Record) -> bool:
    return record.type in PAGES - {"revisit"}


def theirs(path: Path) -> Read:
    """The same, as far as warcio comes."""
    read: Read = {}
    with path.open("rb") as file:
        records = ArchiveIterator(file)
        try:
            for record in records:
                if record.rec_type in PAGES:
                    url = (record.rec_headers.get_header("WARC-Target-URI") or "").strip("<> ")
                    code = record.http_headers.get_statuscode() if record.http_headers else "200"
                    body = record.content_stream().read()
                    read[records.get_record_offset()] = url, int(code) if code and code.isdigit() else None, body
        except Exception as error:  # noqa: BLE001 whatever makes it stop is told
            print(f"    warcio stops: {type(error).__name__}: {str(error)[:90]!r}")
    return read


def main(folder: Path) -> None:
    """Prints what is read of each file."""
    total: Counter[str] = Counter()
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        read, counts, broken = ours(path)
        print(f"{path.relative_to(folder)}: {dict(counts)}, {len(broken)} broken")
        for sentence in broken[:5]:
            print(f"    {sentence}")
        other = theirs(path)
        differs = [at for at, one in read.items() if other.get(at, one) != one]
        for at in differs:
            print(f"    byte {at}: {str(read[at])[:100]} here, {str(other[at])[:100]} in warcio")
        total += counts
        total.update(files=1, broken=len(broken), differs=len(differs), alike=len(read) - len(differs))
    print(dict(total))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
