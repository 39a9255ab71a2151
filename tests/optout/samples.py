"""``python -m tests.optout.samples FOLDER [--mark plus|tdm|c2pa]``: decides about every file in a folder of samples.

Prints each file that is not allowed and why, then the verdicts by number. A folder with a file ``mimetype`` in it is
packed up as a book. With ``--mark``, copies are marked with a reservation by somebody else's tool first, and what comes
out allowed is a fault: ``plus`` and ``tdm`` by ExifTool (``--exiftool COMMAND``), in books by a line in their package
document; ``c2pa`` by c2pa-python, in the types that it writes. Only copies in which the tool finds the mark count.
"""

from __future__ import annotations

import argparse
import io
import json
import mimetypes
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import c2pa  # type: ignore[import-untyped]

from forbear.optout import policy
from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.model import Capture, Decision, Question, Verdict
from tests.optout.manifests import signed, training

URL = "https://samples.example/file"
MOST_OCTETS = 67_108_864
Sample = tuple[str, bytes, str]
"""Name, bytes and media type of a file."""

# The TDM Reservation Protocol's properties (6.6), which ExifTool does not know.
CONFIG = """
%Image::ExifTool::UserDefined = ('Image::ExifTool::XMP::Main' => {
    tdm => { SubDirectory => { TagTable => 'Image::ExifTool::UserDefined::tdm' } } });
%Image::ExifTool::UserDefined::tdm = (GROUPS => { 0 => 'XMP', 1 => 'XMP-tdm', 2 => 'Other' },
    NAMESPACE => { tdm => 'http://www.w3.org/ns/tdmrep/' }, WRITABLE => 'string', reservation => {});
1;
"""
_MARKS = {"plus": ("XMP-plus:DataMining", "Prohibited"), "tdm": ("XMP-tdm:reservation", "1")}


def main() -> int:
    """1 if a marked file is allowed, or a file is not decided about; 2 if there is none."""
    words = argparse.ArgumentParser(prog="python -m tests.optout.samples", description=__doc__)
    words.add_argument("folder", type=Path)
    words.add_argument("--mark", choices=("plus", "tdm", "c2pa"))
    words.add_argument("--exiftool", default="exiftool", metavar="COMMAND", type=shlex.split)
    given = words.parse_args()
    if given.mark in _MARKS and shutil.which(given.exiftool[0]) is None:
        words.error(f"{given.exiftool[0]}: no such program; name ExifTool with --exiftool")
    samples = _samples(given.folder)
    if given.mark == "c2pa":
        samples = _signed(samples)
    elif given.mark:
        files = _by_exiftool(given.folder, given.mark, [*given.exiftool])
        samples = iter([*files, *_marked_books(given.folder)] if given.mark == "tdm" else files)
    counted: Counter[str] = Counter()
    slowest = 0.0
    for name, octets, media_type in samples:
        began = time.process_time()
        try:
            decision = _decided(octets, media_type)
        except Exception as error:  # noqa: BLE001 whatever it is, it is what is looked for
            counted["not decided"] += 1
            print(f"not decided  {name}: {error!r}", flush=True)
            continue
        slowest = max(slowest, time.process_time() - began)
        counted[decision.verdict] += 1
        if (decision.verdict is Verdict.ALLOWED) is bool(given.mark):
            gaps = dict.fromkeys(f"{gap.protocol}: {gap.detail}" for gap in decision.gaps)
            reasons = [f"{reason.protocol}: {reason.quote}" for reason in decision.reasons]
            print(f"{decision.verdict:<9} {name} ({media_type}) {'; '.join([*reasons, *gaps])[:300]}", flush=True)
    if not counted:
        print(
            "There is no file to decide about. ExifTool knows the PLUS property since 12.67: --exiftool names another."
        )
        return 2
    print(", ".join(f"{count} {verdict}" for verdict, count in sorted(counted.items())), end="")
    print(f"; the slowest took {slowest:.1f} s of processor time")
    return int(counted["not decided"] > 0 or (given.mark is not None and counted[Verdict.ALLOWED] > 0))


def _decided(octets: bytes, media_type: str) -> Decision:
    capture = Capture(URL, 200, (("Content-Type", media_type),), octets)
    decision = decide(Question(URL), Captures([capture], complete=True), policy.load())
    assert isinstance(decision, Decision)
    return decision


def _samples(folder: Path) -> Iterator[Sample]:
    books = _books(folder)
    for path in sorted(folder.rglob("*")):
        if path in books:
            yield f"{path.name} (packed)", _packed(path), "application/epub+zip"
        elif path.is_file() and not books.intersection(path.parents) and ".git" not in path.parts:
            yield from _file(path, folder)


def _file(path: Path, folder: Path) -> Iterator[Sample]:
    if path.stat().st_size <= MOST_OCTETS:
        media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        yield str(path.relative_to(folder)), path.read_bytes(), media_type


# --- books


def _books(folder: Path) -> set[Path]:
    return {path.parent for path in folder.rglob("mimetype") if path.is_file()}


def _packed(book: Path, package: tuple[str, bytes] = ("", b"")) -> bytes:
    """OCF 4.3; a package document may be another than that in the folder."""
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", (book / "mimetype").read_bytes(), zipfile.ZIP_STORED)
        for path in sorted(book.rglob("*")):
            name = path.relative_to(book).as_posix()
            if path.is_file() and name != "mimetype":
                archive.writestr(name, package[1] if name == package[0] else path.read_bytes())
    return octets.getvalue()


def _marked_books(folder: Path) -> Iterator[Sample]:
    for book in sorted(_books(folder)):
        container = (book / "META-INF/container.xml").read_text(encoding="utf-8")
        for name in re.findall(r"full-path=[\"']([^\"']+)", container):
            path = book / name
            marked, count = re.subn(
                rb"</(\w+:)?metadata\s*>",
                rb'<\1meta property="tdm:reservation">1</\1meta>\g<0>',
                path.read_bytes(),
                count=1,
            )
            if count:
                yield f"{book.name} ({name})", _packed(book, (name, marked)), "application/epub+zip"


# --- marks by other tools


def _by_exiftool(folder: Path, mark: str, exiftool: list[str]) -> list[Sample]:
    tag, value = _MARKS[mark]
    only = ["-ext", "pdf"] if mark == "tdm" else []
    with tempfile.TemporaryDirectory() as name:
        config, copies = Path(name) / "config", Path(name) / "copies"
        config.write_text(CONFIG, encoding="utf-8")
        command = [*exiftool, "-config", str(config), "-q", "-q", "-m", *only]
        write = [*command, "-r", f"-{tag}={value}", "-o", f"{copies}/%d", str(folder.resolve())]
        subprocess.run(write, capture_output=True, check=False)
        read = [*command, "-r", "-json", f"-{tag}", str(copies)]
        found = subprocess.run(read, capture_output=True, text=True, check=False).stdout or "[]"
        wanted = tag.partition(":")[2].lower()
        marked = [one["SourceFile"] for one in json.loads(found) if wanted in {key.lower() for key in one}]
        return [sample for path in sorted(map(Path, marked)) for sample in _file(path, copies)]


def _signed(samples: Iterable[Sample]) -> Iterator[Sample]:
    types = frozenset(c2pa.Builder.get_supported_mime_types())
    for name, octets, media_type in samples:
        if media_type in types:
            reserved = training({"cawg.ai_generative_training": "notAllowed"})
            try:
                made, _ = signed(octets, reserved, media_type=media_type)
            except c2pa.C2paError:
                continue  # what it cannot write has no mark
            yield name, made, media_type


if __name__ == "__main__":
    sys.exit(main())
