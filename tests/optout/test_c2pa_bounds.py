"""What a manifest store, or the file that has it, may cost the reader in native code: it is counted before."""

from __future__ import annotations

import base64
import io
import struct
import zipfile

import pikepdf
import pytest

from forbear.optout.model import Capture
from forbear.optout.protocols import c2pa
from forbear.optout.readers import c2pa_store
from forbear.optout.readers.c2pa_bounds import MAX_CBOR, MAX_STORE
from tests.optout.conftest import PAGE
from tests.optout.manifests import signed
from tests.optout.pictures import box, id3, jxl, packet, picture, png, video
from tests.optout.test_c2pa import BOX, NO, STORE, document, packed

TOO_MUCH = [
    # what a reader in native code takes minutes for, in a file with the mark of a store
    ("boxes", box(b"ftyp", b"isom") + box(b"uuid", BOX, bytes(30)) + box(b"moov", box(b"free") * 20_001)),
    ("boxes in boxes", box(b"ftyp", b"isom") + box(b"uuid", BOX, bytes(30)) + box(b"moov", *[box(
        b"trak", box(b"mdia", *[box(b"free")] * 99))] * 201)),
    ("chunks", png(*[(b"caBX", b"")] * 50_001)),
    ("segments", b"\xff\xd8" + b"\xff\xeb\0\4JP" * 50_001),
    ("blocks", picture("GIF")[:-1] + b"!\xff\x0bC2PA_GIF\1\0\0\0" + b"!\xfe\0" * 500_001 + b";"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "octets"), TOO_MUCH, ids=[what for what, _ in TOO_MUCH])
def test_what_is_too_much_is_not_given_to_the_reader(what, octets):
    assert "more than" in c2pa_store.embedded(Capture(PAGE, 200, (), octets)).failure


BOMB = struct.pack(">L4s", MAX_CBOR + 9, b"cbor") + bytes(MAX_CBOR + 1)


def in_segments(store: bytes, size: int = 40_000) -> bytes:
    """A store in pieces of a JPEG file; between them pieces of something else, and box headers that lie in two."""
    made = b"\xff\xd8"
    for number, at in enumerate(range(0, len(store), size)):
        piece = b"JP\0\1" + struct.pack(">L", number + 1) + bytes(8) + store[at : at + size]
        made += b"\xff\xeb" + struct.pack(">H", len(piece) + 2) + piece + b"\xff\xeb\0\x0cJP\0\2other "
    return made + b"\xff\xda\0\2"


def in_sub_blocks(store: bytes) -> bytes:
    blocks = b"".join(bytes([len(store[at : at + 255])]) + store[at : at + 255] for at in range(0, len(store), 255))
    return picture("GIF")[:-1] + b"!\xff\x0bC2PA_GIF\1\0\0" + blocks + b"\0;"


def in_drawing(store: bytes) -> bytes:
    manifest = b"<c2pa:manifest>" + base64.b64encode(store) + b"</c2pa:manifest>"
    return b'<svg xmlns="http://www.w3.org/2000/svg" xmlns:c2pa="http://c2pa.org/manifest">' + manifest + b"</svg>"


def in_archive(store: bytes) -> bytes:
    octets = io.BytesIO(packed("a"))
    with zipfile.ZipFile(octets, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/content_credential.c2pa", store)
    return octets.getvalue()


BOMBS = [
    ("PNG", png((b"caBX", BOMB))),
    ("PNG, many boxes", png((b"caBX", b"\0\0\0\x08jumd" * 20_001))),
    ("PNG, compressed manifests", png((b"caBX", b"\0\0\0\x08jumdc2cm" * 3))),
    ("PNG, a box to the end", png((b"caBX", b"\0\0\0\0cbor" + bytes(MAX_CBOR)))),
    ("PNG, a box of a long length", png((b"caBX", struct.pack(">L4sQ", 1, b"cbor", MAX_CBOR + 1) + bytes(MAX_CBOR)))),
    *((f"JPEG, {before}", in_segments(bytes(before) + BOMB)) for before in range(39_990, 40_000, 3)),
    *((f"GIF, {before}", in_sub_blocks(bytes(before) + BOMB)) for before in range(247, 256, 3)),
    ("SVG", in_drawing(BOMB)),
    ("ZIP", in_archive(BOMB)),
    ("ZIP, a bomb", in_archive(bytes(MAX_STORE + 1))),
    ("PDF", document(BOMB)),
    ("MP4", video(box(b"uuid", BOX, bytes(4), b"manifest\0", bytes(8), BOMB))),
    ("MP3", id3((b"GEOB", b"\0application/c2pa\0\0\0" + BOMB, 0))),
]  # fmt: skip


@pytest.mark.parametrize(("what", "octets"), BOMBS, ids=[what for what, _ in BOMBS])
def test_a_store_that_would_take_gigabytes_is_not_given_to_the_reader(what, octets):
    found = c2pa_store.embedded(Capture(PAGE, 200, (), octets))
    assert (found.stores, "more than" in found.failure) == ([], True)


def test_a_store_elsewhere_is_bounded_too(site):
    page = site.page(jxl(box(b"xml ", packet(f'dcterms:provenance="{STORE}">'))))
    _, gaps = site.ask(c2pa, page, Capture(STORE, 200, (), BOMB))
    assert ["more than" in gap.detail for gap in gaps] == [True]


def test_stores_of_a_document_are_read_once_and_bounded(site):
    _, store = signed(picture(), NO)
    pdf = pikepdf.open(io.BytesIO(document(store)))
    pdf.Root.AF = pikepdf.Array([*pdf.Root.AF] * 900)
    octets = io.BytesIO()
    pdf.save(octets)
    assert len(c2pa_store.embedded(Capture(PAGE, 200, (), octets.getvalue())).stores) == 1
    statements, gaps = site.ask(c2pa, site.page(document(bytes(MAX_STORE + 1)), media_type="application/pdf"))
    assert (statements, [gap.quote for gap in gaps]) == ([], ["unreadable"])
