"""CAWG Training and Data Mining 1.1, C2PA 1.4 19.23 and 2.2: entries, manifests and their parents, stores elsewhere."""

from __future__ import annotations

import io
import socket
import zipfile
import zlib

import brotli
import pikepdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.optout import policy
from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.model import (
    AI_USES,
    ALWAYS,
    IN_STRICT,
    NEVER,
    Capture,
    Decision,
    Failure,
    Preference,
    Profile,
    Question,
    StatementStatus,
    Use,
)
from forbear.optout.protocols import c2pa, iptc
from forbear.optout.readers import c2pa_store
from tests.optout.conftest import PAGE
from tests.optout.manifests import signed, training
from tests.optout.pictures import (
    DMI,
    box,
    flac,
    heic,
    id3,
    jp2,
    jpeg,
    jxl,
    main,
    packet,
    picture,
    psd,
    riff,
    video,
)

ALLOW, DISALLOW, UNKNOWN = Preference.ALLOW, Preference.DISALLOW, Preference.UNKNOWN
STANDING, SUPERSEDED, CONTRADICTED = StatementStatus.STANDING, StatementStatus.SUPERSEDED, StatementStatus.CONTRADICTED
MALFORMED = StatementStatus.MALFORMED
INFERENCE = frozenset({Use.AI_USE})
NOTHING = frozenset[Use]()
STORE = "https://manifests.example/1.c2pa"
GENERATIVE = "cawg.ai_generative_training"
BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
NO, YES = training({GENERATIVE: "notAllowed"}), training({GENERATIVE: "allowed"})

ENTRIES = [
    # assertions, (preference, uses, force, quote) of each statement
    ([training({GENERATIVE: "notAllowed"})], [(DISALLOW, AI_USES, STANDING, "notAllowed")]),
    ([training({GENERATIVE: "constrained"})], [(DISALLOW, AI_USES, STANDING, "constrained")]),
    ([training({GENERATIVE: "allowed"})], [(ALLOW, AI_USES, STANDING, "allowed")]),
    ([training({"cawg.data_mining": "notAllowed"})], [(DISALLOW, AI_USES, STANDING, "notAllowed")]),
    ([training({"cawg.ai_training": "notAllowed"})], [(DISALLOW, AI_USES, STANDING, "notAllowed")]),
    ([training({"cawg.ai_inference": "notAllowed"})], [(DISALLOW, INFERENCE, STANDING, "notAllowed")]),
    ([training({"com.example.framing": "notAllowed"})], [(DISALLOW, NOTHING, STANDING, "notAllowed")]),
    ([training({"com.example.framing": "perhaps"})], [(UNKNOWN, NOTHING, STANDING, "perhaps")]),
    ([training({"c2pa.data_mining": "notAllowed"}, "c2pa.training-mining")],
     [(DISALLOW, AI_USES, STANDING, "notAllowed")]),
    ([training({"c2pa.data_mining": "notAllowed"})], [(DISALLOW, AI_USES, STANDING, "notAllowed")]),
    ([{"label": "c2pa.training-mining", "data": {"c2pa.data_mining": {"use": "notAllowed"}}}],
     [(DISALLOW, AI_USES, STANDING, "notAllowed")]),
    ([YES, NO], [(ALLOW, AI_USES, STANDING, "allowed"), (DISALLOW, AI_USES, STANDING, "notAllowed")]),
    ([training({GENERATIVE: "prohibited"})], [(DISALLOW, AI_USES, MALFORMED, "prohibited")]),
    ([training({GENERATIVE: {"use": 1}})], [(DISALLOW, AI_USES, MALFORMED, GENERATIVE)]),
    ([training({GENERATIVE: {}})], [(DISALLOW, AI_USES, MALFORMED, GENERATIVE)]),
    ([{"label": "cawg.training-mining", "data": {"entries": "none"}}],
     [(DISALLOW, AI_USES, MALFORMED, "cawg.training-mining")]),
    ([{"label": "cawg.training-mining", "data": {"entries": {}}}], []),
    ([{"label": "org.example.training-mining", "data": {"entries": {GENERATIVE: {"use": "notAllowed"}}}}], []),
    ([], []),
]  # fmt: skip


@pytest.mark.parametrize(("assertions", "expected"), ENTRIES, ids=range(len(ENTRIES)))
def test_entries(site, assertions, expected):
    octets, _ = signed(picture(), *assertions)
    statements, gaps = site.ask(c2pa, site.page(octets))
    assert sorted((s.preference, s.uses, s.force, s.quote) for s in statements) == sorted(expected)
    assert all(s.quote.encode() in octets for s in statements)
    assert [gap.defers for gap in gaps] == [NEVER] * sum(force is MALFORMED for _, _, force, _ in expected)


CONTAINERS = [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp"), ("TIFF", "image/tiff"),
              ("GIF", "image/gif"), ("AVIF", "image/avif")]  # fmt: skip


@pytest.mark.parametrize(("kind", "media_type"), CONTAINERS)
@pytest.mark.parametrize("served_as", ["image/jpg", "application/octet-stream", "text/plain"])
def test_container_is_known_by_its_octets(site, kind, media_type, served_as):
    octets, _ = signed(picture(kind), NO, media_type=media_type)
    statements, gaps = site.ask(c2pa, site.page(octets, media_type=served_as))
    assert ([s.quote for s in statements], gaps) == (["notAllowed"], [])
    assert statements[0].where.endswith(f", cawg.training-mining, {GENERATIVE}")


@pytest.mark.parametrize(("kind", "media_type"), CONTAINERS)
def test_picture_without_a_store_says_nothing(site, kind, media_type):
    assert site.ask(c2pa, site.page(picture(kind), media_type=media_type)) == ([], [])


def packed(media_type: str) -> bytes:
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w") as archive:
        archive.writestr("mimetype", media_type)
    return octets.getvalue()


OTHERS = [
    (video(), "video/quicktime"),
    (video(brand=b"isom"), "video/mp4"),
    (video(brand=b"M4A "), "audio/mp4"),
    (heic(packet(">")), "image/heic"),
    (jxl(), "image/jxl"),
    (riff(b"WAVE", (b"fmt ", bytes(16)), (b"data", bytes(8))), "audio/wav"),
    (riff(b"AVI ", (b"LIST", b"hdrl")), "video/avi"),
    (id3((b"TIT2", b"\0tides", 0)), "audio/mpeg"),
    (flac(), "audio/flac"),
    (picture("TIFF"), "image/x-adobe-dng"),
    *((packed(media_type), media_type) for media_type in (
        "application/epub+zip", "application/vnd.oasis.opendocument.text",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document")),
]  # fmt: skip


@pytest.mark.parametrize(("asset", "media_type"), OTHERS, ids=[media_type for _, media_type in OTHERS])
def test_every_container_that_c2pa_knows(site, asset, media_type):
    octets, _ = signed(asset, NO, media_type=media_type)
    statements, gaps = site.ask(c2pa, site.page(octets, media_type="application/octet-stream"))
    assert ([s.quote for s in statements], gaps) == (["notAllowed"], [])
    assert site.ask(c2pa, site.page(asset, media_type=media_type)) == ([], [])


def test_a_manifest_elsewhere_is_named_in_any_container(site):
    named = packet(f'dcterms:provenance="{STORE}">')
    _, store = signed(jxl(), NO, media_type="image/jxl")
    elsewhere = Capture(STORE, 200, (), store)
    for asset in (jxl(box(b"brob", b"xml ", brotli.compress(named))), jp2(box(b"xml ", named)), psd(named)):
        assert [s.quote for s in site.ask(c2pa, site.page(asset), elsewhere)[0]] == ["notAllowed"]


def test_hashes_of_a_segment_are_not_a_store(site):
    segment = box(b"styp", b"msdh") + box(b"moof") + box(b"uuid", BOX, bytes(4), b"merkle\0", bytes(30))
    assert site.ask(c2pa, site.page(segment, media_type="video/iso.segment")) == ([], [])


def test_a_store_that_is_called_hashes_is_not_silence(site):
    """What a box is for is not signed."""
    octets, _ = signed(picture("AVIF"), NO, media_type="image/avif")
    for other in (b"merkle\0\0\0", b"manifesX\0"):
        _, gaps = site.ask(c2pa, site.page(octets.replace(b"manifest\0", other)))
        assert [gap.defers for gap in gaps] == [ALWAYS]


def test_a_store_in_a_place_where_none_belongs_is_not_silence(site):
    start = WHOLE.index(b"\xff\xeb")
    end = start + 2 + int.from_bytes(WHOLE[start + 2 : start + 4])
    behind = WHOLE[:start] + WHOLE[end:].removesuffix(b"\xff\xd9") + WHOLE[start:end] + b"\xff\xd9"
    _, gaps = site.ask(c2pa, site.page(behind))
    assert [gap.defers for gap in gaps] == [ALWAYS]


def test_drawing(site):
    octets, _ = signed(b'<svg xmlns="http://www.w3.org/2000/svg"><path/></svg>', NO, media_type="image/svg+xml")
    assert [s.quote for s in site.ask(c2pa, site.page(octets, media_type="image/svg+xml"))[0]] == ["notAllowed"]


def document(store: bytes) -> bytes:
    """C2PA 2.2 A.4: an associated file of the catalog, here in compressed streams."""
    pdf = pikepdf.new()
    pdf.add_blank_page()
    specification = pikepdf.AttachedFileSpec(pdf, store, mime_type="application/c2pa", filename="store.c2pa").obj
    specification.AFRelationship = pikepdf.Name("/C2PA_Manifest")
    pdf.Root.AF = pikepdf.Array([pdf.make_indirect(specification)])
    octets = io.BytesIO()
    pdf.save(octets, object_stream_mode=pikepdf.ObjectStreamMode.generate, compress_streams=True)
    return octets.getvalue()


def test_document(site):
    _, store = signed(picture(), NO)
    octets = document(store)
    assert b"C2PA_Manifest" not in octets
    statements, gaps = site.ask(c2pa, site.page(octets, media_type="application/pdf"))
    assert ([s.quote for s in statements], gaps) == (["notAllowed"], [])


def test_document_that_names_an_empty_store_has_none(site):
    """What the reader says of a file without a store is not a failure."""
    assert site.ask(c2pa, site.page(document(b""), media_type="application/pdf")) == ([], [])


def test_document_whose_store_cannot_be_read(site):
    statements, gaps = site.ask(c2pa, site.page(document(b"harbour"), media_type="application/pdf"))
    assert (statements, [(gap.quote, gap.defers) for gap in gaps]) == ([], [("unreadable", ALWAYS)])


def changed(octets: bytes) -> bytes:
    """The picture changed after it was signed: its last byte of image data."""
    return octets[:-3] + bytes([octets[-3] ^ 1]) + octets[-2:]


def test_no_in_a_manifest_that_does_not_validate_was_said(site):
    statements, _ = site.ask(c2pa, site.page(changed(signed(picture(), NO)[0])))
    assert [(s.preference, s.force) for s in statements] == [(DISALLOW, STANDING)]
    assert statements[0].note == "The manifest does not validate: assertion.dataHash.mismatch."


def test_yes_in_a_manifest_that_does_not_validate_is_worth_nothing(site):
    statements, _ = site.ask(c2pa, site.page(changed(signed(picture(), YES)[0])))
    assert [(s.preference, s.force) for s in statements] == [(ALLOW, SUPERSEDED)]


INGREDIENTS = [
    # relationship, the ingredient's word, the active manifest's, forces of the statements, excluded in
    ("parentOf", NO, None, {(DISALLOW, STANDING)}, ["standard", "strict"]),
    ("parentOf", NO, YES, {(ALLOW, STANDING), (DISALLOW, CONTRADICTED)}, ["strict"]),
    ("parentOf", NO, NO, {(DISALLOW, STANDING)}, ["standard", "strict"]),
    ("parentOf", NO, training({"cawg.ai_training": "allowed"}), {(ALLOW, STANDING), (DISALLOW, STANDING)},
     ["standard", "strict"]),
    ("parentOf", YES, None, {(ALLOW, SUPERSEDED)}, []),
    ("parentOf", YES, NO, {(ALLOW, SUPERSEDED), (DISALLOW, STANDING)}, ["standard", "strict"]),
    ("componentOf", NO, None, {(DISALLOW, SUPERSEDED)}, []),
    ("inputTo", NO, None, {(DISALLOW, SUPERSEDED)}, []),
]  # fmt: skip


@pytest.mark.parametrize(("relationship", "its", "own", "forces", "excluded"), INGREDIENTS)
def test_ingredients(site, relationship, its, own, forces, excluded):
    ingredient, _ = signed(picture(quality=50), its)
    octets, _ = signed(picture(), *([own] if own else []), ingredients=((relationship, ingredient),))
    page = site.page(octets, media_type="image/jpeg")
    statements, gaps = site.ask(c2pa, page)
    assert ({(s.preference, s.force) for s in statements}, gaps) == (forces, [])
    assert [str(profile) for profile in Profile if verdict(profile, page) == "excluded"] == excluded


def verdict(profile: Profile, *captures: Capture) -> str:
    question = Question(PAGE, profile=profile)
    decision = decide(question, Captures(captures, complete=True), policy.load())
    assert isinstance(decision, Decision)
    return str(decision.verdict)


def test_a_grandparent_speaks_too(site):
    first, _ = signed(picture(quality=50), NO)
    second, _ = signed(picture(quality=60), ingredients=(("parentOf", first),))
    third, _ = signed(picture(), ingredients=(("parentOf", second),))
    assert [(s.preference, s.force) for s in site.ask(c2pa, site.page(third))[0]] == [(DISALLOW, STANDING)]


def test_the_manifest_before_an_update_speaks_of_the_same_picture(site):
    before, _ = signed(picture(), NO)
    octets, _ = signed(before, YES, update=True, ingredients=(("parentOf", before),))
    statements, _ = site.ask(c2pa, site.page(octets))
    assert {(s.preference, s.force) for s in statements} == {(ALLOW, STANDING), (DISALLOW, STANDING)}


def test_statements_come_in_the_same_order_each_time(site):
    octets, _ = signed(picture(), NO, YES, training({"c2pa.data_mining": "allowed"}, "c2pa.training-mining"))
    assert len({tuple(site.ask(c2pa, site.page(octets))[0]) for _ in range(8)}) == 1


WHOLE, APART = signed(picture(), NO)
START = WHOLE.index(b"\xff\xeb")
TORN = [
    ("zeroed", WHOLE[: START + 40] + bytes(len(APART) - 100) + WHOLE[START + len(APART) - 60 :]),
    ("cut", WHOLE[:1500]),
    ("the beginning of a claim", WHOLE.replace(b"c2pa.claim.v2", b"c2pa.cl\0im.v2")),
    ("no assertions", WHOLE.replace(b"c2pa.assertions", b"c2pa.asser\0\0\0\0\0")),
    ("no box", WHOLE.replace(b"jumb", b"jumX", 1)),
    ("an empty box", box(b"ftyp", b"avif\0\0\0\0avif") + box(b"uuid", BOX, bytes(4), b"manifest\0", bytes(12))),
]  # fmt: skip


@pytest.mark.parametrize(("what", "octets"), TORN, ids=[what for what, _ in TORN])
def test_store_that_cannot_be_read_defers(site, what, octets):
    statements, gaps = site.ask(c2pa, site.page(octets, media_type="image/jpeg"))
    assert (statements, [(gap.quote, gap.defers) for gap in gaps]) == ([], [("unreadable", ALWAYS)])


@pytest.mark.parametrize(("kind", "media_type"), CONTAINERS)
def test_file_that_is_cut_off_is_never_silent(site, kind, media_type):
    octets, _ = signed(picture(kind), NO, media_type=media_type)
    for length in range(16, len(octets), 53):
        statements, gaps = site.ask(c2pa, site.page(octets[:length], media_type=media_type))
        assert statements or [gap for gap in gaps if gap.defers is ALWAYS], length


@given(st.data())
def test_damage_of_any_kind_is_not_a_crash(data):
    at = data.draw(st.integers(0, len(WHOLE) - 1))
    damaged = WHOLE[:at] + data.draw(st.binary(max_size=8)) + WHOLE[at + data.draw(st.integers(0, 8)) :]
    found = c2pa_store.embedded(Capture(PAGE, 200, (), damaged))
    assert len(found.stores) + bool(found.failure) + bool(found.remote) <= 1


def test_too_many_entries_defer(site):
    octets, _ = signed(picture(), training({f"org.example.use{n}": "allowed" for n in range(600)}))
    statements, gaps = site.ask(c2pa, site.page(octets))
    assert (statements, [gap.quote for gap in gaps]) == ([], ["unreadable"])


def test_page_that_speaks_of_manifests_is_not_a_manifest(site):
    assert site.ask(c2pa, site.page("<p>c2pa jumb content_credential</p>")) == ([], [])
    assert site.ask(c2pa, site.page("c2pa jumb", media_type="text/plain")) == ([], [])
    comment = b"\xff\xfe\x10\0" + APART[:0x0FFE].ljust(0x0FFE)
    assert site.ask(c2pa, site.page(jpeg().replace(b"\xff\xdb", comment + b"\xff\xdb", 1))) == ([], [])


# --- (11.5, 15.5.3) manifests that lie elsewhere

FAR, FAR_STORE = signed(picture(), NO, remote=STORE)


def store(body: bytes = FAR_STORE, status: int = 200, media_type: str = "application/c2pa") -> Capture:
    return Capture(STORE, status, (("Content-Type", media_type),), body)


def test_named_in_the_xmp(site):
    statements, gaps = site.ask(c2pa, site.page(FAR), store())
    assert ([(s.quote, s.source) for s in statements], gaps) == ([("notAllowed", STORE)], [])
    assert statements[0].note == "", "it validates against the picture it was made for"


LINKS = [
    # RFC 8288 3
    f'<{STORE}>; rel="c2pa-manifest"',
    f"<{STORE}>;rel=c2pa-manifest",
    f'<{STORE}> ; type="a,b;c" ; REL="next C2PA-Manifest"',
    f'</other>; rel="next", <{STORE}>; rel="c2pa-manifest"',
    "<//manifests.example/x/../1.c2pa>; rel=c2pa-manifest",
]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("body", [picture(), b"<p>tides</p>", b"plain"])
def test_named_in_the_link_header(site, link, body):
    statements, gaps = site.ask(c2pa, site.page(body, (("Link", link),)), store())
    assert ([(s.quote, s.source) for s in statements], gaps) == ([("notAllowed", STORE)], [])


def test_what_is_embedded_is_the_manifest(site):
    statements, gaps = site.ask(c2pa, site.page(WHOLE, (("Link", LINKS[0]),)), store(status=503))
    assert ([s.source for s in statements], gaps) == ([PAGE], [])


@pytest.mark.parametrize("value", ["A gift of the harbour office", "self#jumbf=/c2pa/urn:uuid:1", ""])
def test_provenance_in_words_names_no_manifest(site, value):
    octets = jpeg(main(packet(f'dcterms:provenance="{value}">')))
    assert site.ask(c2pa, site.page(octets)) == ([], [])


ANSWERS = [
    # the answer, quote and profiles of its gap
    (Capture(STORE, 503), "503", ALWAYS),
    (Capture(STORE, error=Failure.TIMEOUT), "timeout", ALWAYS),
    (Capture(STORE, 403), "403", IN_STRICT),
    (Capture(STORE, 404), STORE, NEVER),
    (store(b"<!DOCTYPE html><title>The collection</title>", media_type="text/html"), "html", IN_STRICT),
    (store(b"harbour"), "unreadable", ALWAYS),
    (store(b""), "unreadable", ALWAYS),
    (store(FAR_STORE[:500]), "unreadable", ALWAYS),
]


@pytest.mark.parametrize(("answer", "quote", "defers"), ANSWERS, ids=range(len(ANSWERS)))
def test_store_that_is_not_given(site, answer, quote, defers):
    statements, gaps = site.ask(c2pa, site.page(FAR), answer)
    assert statements == []
    assert (quote, defers) in [(gap.quote, gap.defers) for gap in gaps]
    assert sum(gap.defers != NEVER for gap in gaps) == (defers != NEVER)


def test_too_many_places_defer(site):
    links = tuple(("Link", f"<https://a.example/{n}>; rel=c2pa-manifest") for n in range(9))
    assert [gap.quote for gap in site.ask(c2pa, site.page(picture(), links))[1]] == ["unreadable"]


def test_the_reader_asks_nobody(site):
    """remote_manifest_fetch off: the store is a place that the crawler may or may not ask for."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.3)
        octets, _ = signed(picture(), NO, remote=f"http://127.0.0.1:{server.getsockname()[1]}/1.c2pa")
        assert site.ask(c2pa, site.page(octets))[0] == []
        with pytest.raises(TimeoutError):
            server.accept()


# --- IPTC's property in a manifest

METADATA = [
    (
        "cawg.metadata",
        {"@context": {"plus": "http://ns.useplus.org/ldf/xmp/1.0/"}, "plus:DataMining": f"{DMI}PROHIBITED"},
    ),
    (
        "cawg.metadata",
        {"@context": {"p": "http://ns.useplus.org/ldf/xmp/1.0/"}, "p:DataMining": {"@id": f"{DMI}PROHIBITED"}},
    ),
]


@pytest.mark.parametrize(("label", "data"), METADATA, ids=range(len(METADATA)))
def test_data_mining_in_a_metadata_assertion(site, label, data):
    octets, _ = signed(picture(), {"label": label, "data": data})
    statements, gaps = site.ask(iptc, site.page(octets))
    assert ([(s.preference, s.quote) for s in statements], gaps) == ([(DISALLOW, f"{DMI}PROHIBITED")], [])
    assert statements[0].quote.encode() in octets


def test_compressed_pictures_are_not_searched_for_words(site):
    """What is in compressed image data by chance is asked about, and says nothing."""
    octets = picture("PNG").replace(b"IEND", b"IEND" + zlib.compress(b"x") + b"jumb c2pa caBX")
    assert site.ask(c2pa, site.page(octets)) == ([], [])
