"""TDM Reservation Protocol, 10 May 2024: values, file, patterns, priority, books and documents."""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import Any

import pikepdf
import pytest

from forbear.optout.model import ALWAYS, IN_STRICT, NEVER, Preference, StatementStatus
from forbear.optout.protocols import tdmrep
from tests.line_counter import steps

STANDING, SUPERSEDED, CONTRADICTED, MALFORMED = (
    StatementStatus.STANDING,
    StatementStatus.SUPERSEDED,
    StatementStatus.CONTRADICTED,
    StatementStatus.MALFORMED,
)
WELL_KNOWN = tdmrep.PLACES[0]

VALUES = [
    # section, the member as written, force, preference
    ("5.1", '"tdm-reservation": 1', STANDING, "disallow"),
    ("5.1", '"tdm-reservation" :\t"1"', STANDING, "disallow"),
    ("5.1, RFC 8259 6: the same number", '"tdm-reservation": 1.0', STANDING, "disallow"),
    ("5.1, RFC 8259 7: the same string", '"tdm-reservation": "\\u0031"', STANDING, "disallow"),
    ("5.1, RFC 8259 7: the same name", '"tdm\\u002dreservation": 1', STANDING, "disallow"),
    ("5.1", '"tdm-reservation": 0', STANDING, "allow"),
    ("5.1", '"tdm-reservation": "0"', STANDING, "allow"),
    ("5.1, an error", '"tdm-reservation": true', MALFORMED, "disallow"),
    ("5.1, an error", '"tdm-reservation": false', MALFORMED, "disallow"),
    ("5.1, an error", '"tdm-reservation": null', MALFORMED, "disallow"),
    ("5.1, an error", '"tdm-reservation": "01"', MALFORMED, "disallow"),
    ("5.1, an error", '"tdm-reservation": 2', MALFORMED, "disallow"),
    ("5.1, an error", '"tdm-reservation": 1e400', MALFORMED, "disallow"),
    ("5.1, an error", '"tdm-reservation": [1]', MALFORMED, "disallow"),
    ("5.1, an error", '"tdm-reservation": {"value": 1}', MALFORMED, "disallow"),
]


@pytest.mark.parametrize(("section", "member", "force", "preference"), VALUES)
def test_value_in_the_file(site, section, member, force, preference):
    file = site.file(WELL_KNOWN, f'[\n {{"location": "/", {member}}}\n]')
    statements, gaps = site.ask(tdmrep, file)
    assert [(s.force, s.preference, s.quote, s.where) for s in statements] == [(force, preference, member, "line 2")], (
        section
    )
    assert [gap.defers for gap in gaps] == ([NEVER] if force is MALFORMED else [])


FILES = [
    # section, file, (quote, defers) of the gap
    ("6.1, an array", '{"location": "/", "tdm-reservation": 1}', "malformed", IN_STRICT),
    ("6.1, an array", '"1"', "malformed", IN_STRICT),
    ("6.1, JSON", "", "malformed", IN_STRICT),
    ("6.1, JSON", "<!DOCTYPE html><title>Not found</title>", "malformed", IN_STRICT),
    ("6.1, JSON", '[{"location": "/", "tdm-reservation": 01}]', "malformed", IN_STRICT),
    ("6.1, JSON", '[{"location": "/", "tdm-reservation": 1,}]', "malformed", IN_STRICT),
    ("6.1, JSON", "[{'location': '/', 'tdm-reservation': 1}]", "malformed", IN_STRICT),
    ("6.1, JSON", '[{"location": "/", "tdm-reservation": NaN}]', "malformed", IN_STRICT),
    ("RFC 8259 8.1, UTF-8", '[{"location": "/", "tdm-reservation": 1}]'.encode("utf-16"), "malformed", IN_STRICT),
    ("RFC 8259 8.1, UTF-8", b'[{"location": "/\xff", "tdm-reservation": 1}]', "malformed", IN_STRICT),
    ("6.1, a rule without location", '[{"tdm-reservation": 1}]', "malformed", IN_STRICT),
    ("6.1, a rule without reservation", '[{"location": "/", "tdm_reservation": 1}]', "malformed", IN_STRICT),
    ("6.1.1, no pattern", '[{"location": "https://archive.example/", "tdm-reservation": 1}]', "malformed", IN_STRICT),
    ("6.1, no rule", "[1, null, []]", "malformed", IN_STRICT),
    ("bounded", "[" * 200_000 + "]" * 200_000, "malformed", IN_STRICT),
    ("bounded", '[{"location": "/", "tdm-reservation": ' + "1" * 100_000 + "}]", "malformed", IN_STRICT),
    ("bounded", " " * (tdmrep.MAX_FILE + 1), "too-large", ALWAYS),
]


@pytest.mark.parametrize(("section", "body", "quote", "defers"), FILES, ids=range(len(FILES)))
def test_file_that_is_none(site, section, body, quote, defers):
    statements, gaps = site.ask(tdmrep, site.file(WELL_KNOWN, body))
    assert [s for s in statements if s.force is not StatementStatus.FLAGGED] == [], section
    assert [(gap.quote, gap.defers) for gap in gaps] == [(quote, defers)], section


NO, YES = '"tdm-reservation": 1', '"tdm-reservation": 0'
MEANT = [
    # what, file, URL, [(preference, quote, line)] of the flagged statements
    ("a lone object", f"{{\n{NO}}}", "/", [("disallow", NO, 2)]),
    ("a lone object with a location", f'{{"location": "/letters/",\n{NO}}}', "/letters/1", [("disallow", NO, 2)]),
    ("a lone object with a location", f'{{"location": "/letters/",\n{NO}}}', "/essays/1", []),
    ("a lone object that allows", f'{{\n{YES}, "policy": "/ai.txt"}}', "/", [("allow", YES, 2)]),
    ("an array in an object", f'{{"list": [\n{{"location": "/", {NO}}}]}}', "/", [("disallow", NO, 2)]),
    ("underscores", '{"tdm_reservation": "1",\n"tdm_policy": "x"}', "/", [("disallow", '"tdm_reservation": "1"', 1)]),
    ("JSON's own truth", '{"tdm-reservation": true}', "/", [("disallow", '"tdm-reservation": true', 1)]),
    ("JSON's own untruth", '{"tdm-reservation": false}', "/", [("allow", '"tdm-reservation": false', 1)]),
    (
        "a URL as location",
        f'[{{"location": "https://archive.example/letters/",\n{NO}}}]',
        "/letters/1",
        [("disallow", NO, 2)],
    ),
    ("a URL as location", f'[{{"location": "https://archive.example/letters/", {NO}}}]', "/essays/1", []),
    (
        "the file itself as location",
        f'{{"location": "https://archive.example/.well-known/tdmrep.json",\n{NO}}}',
        "/essays/1",
        [("disallow", NO, 2)],
    ),
    ("no location", f"[{{\n{NO}}}]", "/", [("disallow", NO, 2)]),
    (
        "linked data",
        '{"@context": "http://www.w3.org/ns/tdmrep#",\n"type": "Reservation"}',
        "/",
        [("disallow", '"type": "Reservation"', 2)],
    ),
    ("a comma too many", f'[\n{{"location": "/", {NO}}},\n]', "/", [("disallow", NO, 2)]),
    ("a comma too many, no reservation", f'[\n{{"location": "/", {YES}}},\n]', "/", [("allow", YES, 2)]),
    ("UTF-16", f'[{{"location": "/", {NO}}}]'.encode("utf-16"), "/", [("disallow", NO, 1)]),
    ("another vocabulary", '{"policies": [{"permission": [{"type": "tdm:mine", "status": "allow"}]}]}', "/", []),
    ("a booking", '{"reservation": "Friday"}', "/", []),
    ("bounded", "{" + '"a": {"b": 1},' * 100 + f'"list": [{{{NO}}}]}}', "/", []),
]


@pytest.mark.parametrize(("what", "body", "path", "expected"), MEANT, ids=range(len(MEANT)))
def test_what_a_file_evidently_means_is_flagged(site, what, body, path, expected):
    statements, _ = site.ask(tdmrep, site.file(WELL_KNOWN, body), url=f"https://archive.example{path}")
    assert [(s.preference, s.quote, s.where) for s in statements] == [
        (preference, quote, f"line {line}") for preference, quote, line in expected
    ], what
    assert all(s.force is StatementStatus.FLAGGED for s in statements)


RULES = [
    # section, rules, [(reserved, force)] in order
    ("6.1, the first match", '{"location":"/letters/","tdm-reservation":0},{"location":"/","tdm-reservation":1}',
     [(0, STANDING), (1, CONTRADICTED)]),
    ("6.1, the first match", '{"location":"/","tdm-reservation":1},{"location":"/letters/","tdm-reservation":0}',
     [(1, STANDING), (0, SUPERSEDED)]),
    ("6.1, no match", '{"location":"/paid/","tdm-reservation":1}', []),
    ("6.1, a broken rule spoils itself alone", '{"location":"/"},{"location":"/letters/","tdm-reservation":1}',
     [(1, STANDING)]),
    ("5.1, an error is unset", '{"location":"/","tdm-reservation":"x"},{"location":"/","tdm-reservation":1}',
     [(None, MALFORMED), (1, STANDING)]),
    ("RFC 8259 4, a name twice", '{"location":"/","tdm-reservation":1,"tdm-reservation":0}', [(1, STANDING)]),
    ("RFC 8259 4, a name twice", '{"location":"/letters/","location":"/x","tdm-reservation":1}', [(1, STANDING)]),
    ("told once", ",".join(['{"location":"/","tdm-reservation":1}'] * 50), [(1, STANDING)]),
    ("6.1.1, a star", '{"location":"*","tdm-reservation":1}', [(1, STANDING)]),
]  # fmt: skip


@pytest.mark.parametrize(("section", "rules", "expected"), RULES)
def test_rules(site, section, rules, expected):
    statements, _ = site.ask(tdmrep, site.file(WELL_KNOWN, f"[{rules}]"))
    reserved = {Preference.ALLOW: 0, Preference.DISALLOW: 1}
    found = [(None if s.force is MALFORMED else reserved[s.preference], s.force) for s in statements]
    assert found == expected, section


def test_an_exception_that_comes_too_late_is_shown(site):
    rules = '[{"location":"/","tdm-reservation":0},{"location":"/letters/","tdm-reservation":1}]'
    _, gaps = site.ask(tdmrep, site.file(WELL_KNOWN, rules))
    assert [(gap.quote, gap.defers) for gap in gaps] == [('"tdm-reservation":1', NEVER)]


def test_byte_order_mark_is_passed_over(site):
    file = site.file(WELL_KNOWN, b'\xef\xbb\xbf[{"location": "/", "tdm-reservation": 1}]')
    statements, gaps = site.ask(tdmrep, file)
    assert [s.quote for s in statements] == ['"tdm-reservation": 1']
    assert gaps == []


def test_policy_shows_whom_to_ask(site):
    rule = '{"location": "/", "tdm-reservation": 1, "tdm-policy": "https://archive.example/policy"}'
    statements, _ = site.ask(tdmrep, site.file(WELL_KNOWN, f"[{rule}]"))
    assert statements[0].note == "tdm-policy: https://archive.example/policy"


PRIORITY = [
    # file, header, meta -> forces in that order (6.7: each later value supersedes, absence and errors do not)
    ("1", None, None, [STANDING]),
    ("1", "0", None, [CONTRADICTED, STANDING]),
    ("0", "1", None, [SUPERSEDED, STANDING]),
    ("1", "x", None, [STANDING, MALFORMED]),
    ("1", "0", "1", [STANDING, SUPERSEDED, STANDING]),
    ("0", "1", "0", [SUPERSEDED, CONTRADICTED, STANDING]),
    (None, "0", "1", [SUPERSEDED, STANDING]),
    (None, "1", "yes", [STANDING, MALFORMED]),
    ("0", "0", "0", [SUPERSEDED, SUPERSEDED, STANDING]),
    (None, " 1 ", " 1 ", [STANDING, STANDING]),
    (None, "1, 1", None, [STANDING]),
    (None, "0, 1", None, [STANDING]),
    (None, "0, x", None, [MALFORMED]),
    (None, "1;foo", None, [MALFORMED]),
    (None, "01", None, [MALFORMED]),
    (None, "true", None, [MALFORMED]),
]


@pytest.mark.parametrize(("in_file", "header", "meta", "forces"), PRIORITY)
def test_priority(site, in_file, header, meta, forces):
    body = f'<head><meta name="TDM-Reservation" content="{meta}"></head>' if meta else "<p>letters</p>"
    captures = [site.page(body, (("TDM-Reservation", header),) if header else ())]
    if in_file:
        captures.append(site.file(WELL_KNOWN, f'[{{"location": "/", "tdm-reservation": {in_file}}}]'))
    statements, _ = site.ask(tdmrep, *captures)
    assert [s.force for s in statements] == forces


@pytest.mark.parametrize("order", [("0", "1"), ("1", "0")])
def test_a_yes_beside_a_no_in_one_place_lifts_nothing(site, order):
    statements, _ = site.ask(tdmrep, site.page("", tuple(("tdm-reservation", value) for value in order)))
    assert {s.quote: s.force for s in statements} == {"1": STANDING, "0": SUPERSEDED}


def test_header_without_a_value_leaves_a_doubt(site):
    statements, gaps = site.ask(tdmrep, site.page("", (("tdm-reservation", " "),)))
    assert (statements, [gap.defers for gap in gaps]) == ([], [IN_STRICT])


def book(
    package: str | bytes, *, container: str = "OEBPS/content.opf", compression: int = zipfile.ZIP_DEFLATED
) -> bytes:
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w", compression) as archive:
        archive.writestr(zipfile.ZipInfo("mimetype"), "application/epub+zip")
        rootfile = f'<rootfile full-path="{container}" media-type="application/oebps-package+xml"/>'
        namespace = "urn:oasis:names:tc:opendocument:xmlns:container"
        archive.writestr(
            "META-INF/container.xml", f'<container xmlns="{namespace}"><rootfiles>{rootfile}</rootfiles></container>'
        )
        archive.writestr("OEBPS/content.opf", package)
    return octets.getvalue()


def opf(metadata: str, prefix: str = 'prefix="tdm: http://www.w3.org/ns/tdmrep#"') -> str:
    return f'<package xmlns="http://www.idpf.org/2007/opf" {prefix}><metadata>{metadata}</metadata></package>'


TWO = '<meta name="tdm:reservation" content="1"/>'
BOOKS = [
    # section, package document, quotes
    ("6.4", opf('<meta name="tdm:reservation" content="1"/>', ""), ['<meta name="tdm:reservation" content="1"/>']),
    ("6.4", opf('<meta content="1" name="tdm:reservation"/>', ""), ['<meta content="1" name="tdm:reservation"/>']),
    ("6.5", opf('<meta property="tdm:reservation"> 1\n</meta>'), ['<meta property="tdm:reservation"> 1\n</meta>']),
    ("6.5", opf('<meta property="r:reservation">1</meta>', 'prefix="a: http://a/ r: http://www.w3.org/ns/tdmrep#"'),
     ['<meta property="r:reservation">1</meta>']),
    ("6.5", opf('<meta property="tdm:reservation">1</meta>', ""), ['<meta property="tdm:reservation">1</meta>']),
    ("6.5", opf('<meta property="tdm:reservation">1</meta>', 'prefix="tdm: http://example.org/tides#"'), []),
    ("D.1.4", opf('<meta property="r:a">1</meta>', 'prefix=": a:\n r:\thttp://www.w3.org/ns/tdmrep# r:"'), []),
    ("6.4, UTF-16", ('<?xml version="1.0" encoding="UTF-16"?>' + opf(TWO, "")).encode("utf-16"),
     [TWO]),
    ("6.5", opf('<meta property="dcterms:modified">1</meta>'), []),
    ("6.5, refines", opf('<meta property="tdm:reservation" refines="#a">0</meta>'), []),
    ("6.5", opf('<!-- <meta property="tdm:reservation">1</meta> -->'), []),
]  # fmt: skip


@pytest.mark.parametrize(("section", "package", "quotes"), BOOKS)
@pytest.mark.parametrize("media_type", ["application/epub+zip", "application/octet-stream", "text/html"])
def test_book(site, section, package, quotes, media_type):
    statements, gaps = site.ask(tdmrep, site.page(book(package), media_type=media_type))
    assert ([s.quote for s in statements], gaps) == (quotes, []), section


def test_path_of_a_package_document_is_written_as_in_urls(site):
    octets = book(opf(TWO), container="OEBPS/%63ontent.opf")
    statements, gaps = site.ask(tdmrep, site.page(octets, media_type="application/epub+zip"))
    assert ([(s.quote, s.where) for s in statements], gaps) == ([(TWO, "OEBPS/%63ontent.opf, (//meta)[1]")], [])


def test_another_archive_is_not_a_book(site):
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w") as archive:
        archive.writestr("a.txt", "harbour")
    assert site.ask(tdmrep, site.page(octets.getvalue(), media_type="application/zip")) == ([], [])


WORDY = opf("".join(f'<meta property="tdm:reservation">{number}</meta>' for number in range(40)))
RESERVED = book(opf('<meta name="tdm:reservation" content="1"/>'))
TORN_BOOKS = [
    ("no package document", book(opf(""), container="OEBPS/other.opf")),
    ("package document cut off", book(opf("")[:-20])),
    ("archive cut off", RESERVED[:-40]),
    ("a long declaration of prefixes", book(opf(TWO, f'prefix="{":" * 70_000}"'))),
    ("a bomb", book(opf(" " * 9_000_000))),
    ("too many words", book(WORDY)),
    ("another name inside", RESERVED.replace(b"OEBPS/content.opf", b"OEBPS/content.op_", 1)),
    ("the first part of an archive", b"PK\7\x08" + RESERVED[:-40]),
    ("no archive at all", b"<!DOCTYPE html><title>Lent out</title>"),
]


@pytest.mark.parametrize(("old", "new"), [(b"/", b"\\"), (b"META-INF", b"meta-inf"), (b"OEBPS/c", b"oebps/C")])
def test_book_by_names_of_another_writer(site, old, new):
    """Windows' signs between folders, other letters: the names in the archive's headers, not those in its files."""
    octets = book(opf(TWO))
    for name in (b"META-INF/container.xml", b"OEBPS/content.opf"):
        octets = octets.replace(name, name.replace(old, new))
    statements, _ = site.ask(tdmrep, site.page(octets, media_type="application/epub+zip"))
    assert [s.preference for s in statements] == [Preference.DISALLOW]


@pytest.mark.parametrize(("what", "octets"), TORN_BOOKS, ids=[what for what, _ in TORN_BOOKS])
def test_book_that_cannot_be_read(site, what, octets):
    statements, gaps = site.ask(tdmrep, site.page(octets, media_type="application/epub+zip"))
    assert (statements, [(gap.quote, gap.defers) for gap in gaps]) == ([], [("unreadable", ALWAYS)])


def xmp(description: str, namespace: str = "http://www.w3.org/ns/tdmrep/") -> bytes:
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:t="{namespace}" {description}</rdf:Description></rdf:RDF></x:xmpmeta>'
        '<?xpacket end="w"?>   \n\n'
    ).encode()


def document(packet: bytes | None, **save: Any) -> bytes:
    pdf = pikepdf.new()
    pdf.add_blank_page()
    if packet is not None:
        pdf.Root.Metadata = pikepdf.Stream(pdf, packet, Type=pikepdf.Name.Metadata, Subtype=pikepdf.Name.XML)
    octets = io.BytesIO()
    pdf.save(octets, fix_metadata_version=False, **save)
    return octets.getvalue()


DOCUMENTS = [
    # section, description, quotes
    ("6.6, element", "><t:reservation> 1 </t:reservation>", ["<t:reservation> 1 </t:reservation>"]),
    ("6.6, attribute", 't:reservation="1">', ['t:reservation="1"']),
    ("6.6, policy", '><t:policy>https://a.example/</t:policy>', []),
    ("6.6, in a comment", "><!-- <t:reservation>1</t:reservation> -->", []),
    ("6.6, of another thing", '><t:history rdf:parseType="Resource"><t:reservation>1</t:reservation></t:history>', []),
]  # fmt: skip


@pytest.mark.parametrize(("section", "description", "quotes"), DOCUMENTS)
@pytest.mark.parametrize("how", [{}, {"object_stream_mode": pikepdf.ObjectStreamMode.generate}, {"linearize": True}])
def test_document(site, section, description, quotes, how):
    page = site.page(document(xmp(description), **how), media_type="application/pdf")
    statements, gaps = site.ask(tdmrep, page)
    assert ([s.quote for s in statements], gaps) == (quotes, []), section


def test_namespace_of_the_other_container_is_the_same_wish(site):
    octets = document(xmp('t:reservation="1">', "http://www.w3.org/ns/tdmrep#"))
    assert len(site.ask(tdmrep, site.page(octets, media_type="application/pdf"))[0]) == 1


def test_document_with_an_empty_password_is_read(site):
    octets = document(xmp('t:reservation="1">'), encryption=pikepdf.Encryption(owner="o", user=""))
    assert len(site.ask(tdmrep, site.page(octets, media_type="application/pdf"))[0]) == 1


def bomb() -> bytes:
    compressor = zlib.compressobj(9)
    deflated = b"".join(compressor.compress(b" " * 1_000_000) for _ in range(300)) + compressor.flush()
    pdf = pikepdf.new()
    stream = pikepdf.Stream(pdf, b"")
    stream.write(deflated, filter=pikepdf.Name.FlateDecode)
    pdf.Root.Metadata = stream
    octets = io.BytesIO()
    pdf.save(
        octets, compress_streams=False, stream_decode_level=pikepdf.StreamDecodeLevel.none, fix_metadata_version=False
    )
    return octets.getvalue()


def torn_documents() -> list[tuple[str, bytes]]:
    whole = document(xmp('t:reservation="1">'))
    silent, linear = document(None), document(xmp('t:reservation="1">'), linearize=True)
    first_part = linear[: linear.index(b"%%EOF") + 6]
    return [
        ("a password", document(xmp('t:reservation="1">'), encryption=pikepdf.Encryption(owner="o", user="u"))),
        ("a packet cut off", document(xmp('t:reservation="1">')[:120])),
        ("a packet with a document type", document(b'<!DOCTYPE a [<!ENTITY b "1">]>' + xmp(">").partition(b"?>")[2])),
        ("no octets", document(b"")),
        ("cut before its metadata", whole[: whole.index(b"<?xpacket")]),
        ("only its beginning", b"%PDF-1.7\n"),
        ("cut before its end, nothing said so far", silent[: silent.index(b"trailer") - 20]),
        ("linearized, its first part alone", first_part),
        ("an update that is cut off", document(xmp('t:reservation="0">')) + b"9 0 obj\n<</Type/Meta"),
        ("a bomb", bomb()),
    ]


@pytest.mark.parametrize(("what", "octets"), torn_documents(), ids=[what for what, _ in torn_documents()])
def test_document_that_cannot_be_read(site, what, octets):
    statements, gaps = site.ask(tdmrep, site.page(octets, media_type="application/pdf"))
    assert (statements, [(gap.quote, gap.defers) for gap in gaps]) == ([], [("unreadable", ALWAYS)])


def test_newest_revision_of_a_document_counts(site):
    old = document(xmp('t:reservation="0">'))
    with pikepdf.open(io.BytesIO(old)) as pdf:
        number = pdf.Root.Metadata.objgen[0]
    packet = xmp('t:reservation="1">')
    at = len(old)
    update = b"%d 0 obj\n<</Type/Metadata/Subtype/XML/Length %d>>\nstream\n%s\nendstream\nendobj\n" % (
        number,
        len(packet),
        packet,
    )
    table = b"xref\n%d 1\n%010d 00000 n \ntrailer\n" % (number, at)
    trailer = old[old.rindex(b"trailer") + 7 : old.rindex(b"startxref")].strip().removesuffix(b">>")
    previous = old[old.rindex(b"startxref") + 9 :].split()[0]
    new = old + update + table + trailer + b"/Prev %s>>\nstartxref\n%d\n%%%%EOF\n" % (previous, at + len(update))
    statements, _ = site.ask(tdmrep, site.page(new, media_type="application/pdf"))
    assert [s.preference for s in statements] == [Preference.DISALLOW]


def test_a_file_of_many_rules_is_parsed_once_and_then_compared(site):
    rules = ",".join(f'{{"location": "/{n}/*/x", "tdm-reservation": 1}}' for n in range(20_000))
    file = site.file(WELL_KNOWN, f"[{rules}]")
    assert site.ask(tdmrep, file) == ([], [])
    parsed = file.memo[tdmrep.NAME]
    assert steps(lambda: site.ask(tdmrep, file)) < 20 * len(parsed.rules)
    assert file.memo[tdmrep.NAME] is parsed


MISSPELT = [
    # markup, header, [(quote, preference)] of the flagged statements
    ('<meta name="tdm_reservation" content="1">', (), [('<meta name="tdm_reservation" content="1">', "disallow")]),
    ('<meta property="tdm-reservation" content="0">', (), [('<meta property="tdm-reservation" content="0">', "allow")]),
    ("", (("TDM_Reservation", "1 "),), [("1", "disallow")]),
    ("", (("TDMRep", "1"),), [("1", "disallow")]),
    ('<meta name="tdm_reservation" content="maybe">', (), []),
    ('<meta name="tdm_policy" content="1">', (), []),
]


@pytest.mark.parametrize(("markup", "headers", "expected"), MISSPELT, ids=range(len(MISSPELT)))
def test_other_names_are_flagged(site, markup, headers, expected):
    statements, gaps = site.ask(tdmrep, site.page(f"<!DOCTYPE html>{markup}", headers))
    assert [(s.quote, s.preference) for s in statements] == expected
    assert all(s.force is StatementStatus.FLAGGED for s in statements)
    assert gaps == []
