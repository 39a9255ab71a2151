"""What the compressed structure of a PDF document may cost (ISO 32000-2 7.5.7, 7.5.8): hostile ones are not opened."""

from __future__ import annotations

import io
import struct
import zlib

import pikepdf
import pytest

from forbear.optout.model import Capture
from forbear.optout.readers import embedded_xmp

MIB = 1 << 20


def stream(number: int, dictionary: bytes, contents: bytes, *, deflated: int = 1) -> bytes:
    for _ in range(deflated):
        contents = zlib.compress(contents, 9)
    filters = b"/Filter[%s]" % (b"/FlateDecode" * deflated) if deflated else b""
    head = b"%d 0 obj<<%s%s/Length %d>>stream\n" % (number, dictionary, filters, len(contents))
    return head + contents + b"\nendstream endobj\n"


def document(
    *holders: bytes, first: bytes = b"/First", references: bytes = b"/XRef", deflated: int = 1, before: int = 0
) -> bytes:
    """A document whose associated files are in an object stream each, behind further cross-reference streams."""
    made, places = bytearray(b"%PDF-1.5\n"), {}
    files = b" ".join(b"%d 0 R" % (100 + number) for number in range(len(holders)))
    for number, dictionary in (
        (1, b"/Type/Catalog/Pages 2 0 R/AF[%s]" % files),
        (2, b"/Type/Pages/Kids[3 0 R]/Count 1"),
        (3, b"/Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]"),
    ):
        places[number] = (1, len(made), 0)
        made += b"%d 0 obj<<%s>>endobj\n" % (number, dictionary)
    for number, holder in enumerate(holders):
        head = b"%d 0 " % (100 + number)
        places[1_000 + number], places[100 + number] = (1, len(made), 0), (2, 1_000 + number, 0)
        dictionary = b"/Type/ObjStm/N 1%s %d" % (first, len(head))
        made += stream(1_000 + number, dictionary, head + b"<</X[" + holder + b"]>>", deflated=deflated)
    last = b""
    for _ in range(before):
        at = len(made)
        made += stream(9, b"/Type%s/Size 1000000/W[1 2 1]/Root 1 0 R%s" % (references, last), bytes(4_000_000))
        last = b"/Prev %d" % at
    at = len(made)
    size = 1_000 + len(holders)
    table = b"".join(struct.pack(">BIB", *places.get(number, (0, 0, 0))) for number in range(size))
    made += stream(size, b"/Type/XRef/Size %d/W[1 4 1]/Root 1 0 R%s" % (size, last), table)
    return bytes(made) + b"startxref\n%d\n%%%%EOF" % at


def outlined() -> bytes:
    """An outline, whose dictionary has a First too, before a large stream of much that is like numbers."""
    pdf = pikepdf.new()
    pdf.add_blank_page()
    with pdf.open_outline() as outline:
        outline.root.append(pikepdf.OutlineItem("tides (1)", 0))
    octets = io.BytesIO()
    pdf.save(octets, object_stream_mode=pikepdf.ObjectStreamMode.disable)
    end = octets.getvalue().index(b"endobj", octets.getvalue().index(b"/First")) + 7
    return octets.getvalue()[:end] + stream(99, b"/N 3", b"1 " * MIB * 2) + octets.getvalue()[end:]


NUMBERS = b"1 " * (2 * MIB - 99)
DOCUMENTS = [
    ("one small file", document(b"1"), False),
    ("many small files", document(*[b"1 " * 200] * 50), False),
    ("a large object stream", document(NUMBERS[: 3 * MIB]), False),
    ("an outline", outlined(), False),
    ("two cross-reference streams", document(before=2), False),
    ("a chain of cross-reference streams", document(before=9), True),
    ("a chain by another spelling", document(before=9, references=b"/X#52e#66"), True),
    ("a chain by a type in another object", document(before=9, references=b" 8 0 R"), True),
    ("large object streams", document(*[NUMBERS] * 3), True),
    ("large object streams of brackets", document(*[b"[]" * MIB] * 3), True),
    ("large object streams of strings", document(*[b"(%s)" % (b"a" * 70) * (MIB // 20)] * 20), True),
    ("large object streams by another spelling", document(*[NUMBERS] * 3, first=b"/#46irst"), True),
    ("large object streams, with an end in a string",
     document(*[NUMBERS] * 3, first=b"/A(endobj 1 0 obj)/First"), True),
    ("large object streams, with an end behind the name",
     document(*[NUMBERS] * 3, first=b"/First 6/A(endobj 1 0 obj)/First"), True),
    ("large object streams, with an end in a comment",
     document(*[NUMBERS] * 3, first=b"/First%endobj 1 0 obj\n"), True),
    ("many streams", b"%PDF-1.5\n" + b"/First stream\n" * 270_000, True),
    ("large object streams, deflated twice", document(*[NUMBERS] * 3, deflated=2), True),
]  # fmt: skip


@pytest.mark.parametrize(("what", "body", "is_too_much"), DOCUMENTS, ids=[what for what, *_ in DOCUMENTS])
def test_streams_are_counted_before_they_are_read(what, body, is_too_much):
    capture = Capture("https://lens.example/1", 200, (("Content-Type", "application/pdf"),), body)
    embedded_xmp.read(capture)
    found = capture.memo["pdf"]
    assert bool(found.no_packet or found.no_stores) == is_too_much, (what, found)
    assert not is_too_much or "more than" in found.no_stores
