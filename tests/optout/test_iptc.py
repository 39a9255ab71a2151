"""IPTC Photo Metadata 2025.1, Data Mining; PLUS LDF 2.0.1: values, how they are written, and what they are about."""

from __future__ import annotations

import pytest

from forbear.optout.model import AI_USES, ALWAYS, EVERY_USE, IN_STRICT, NEVER, Capture, Preference, StatementStatus
from forbear.optout.protocols import iptc, tdmrep
from tests.optout.pictures import DMI, PLUS, PROHIBITED, document, jpeg, main, packet, png, text_chunk

RDF = b"http://www.w3.org/1999/02/22-rdf-syntax-ns#"
ALLOW, DISALLOW, UNKNOWN = Preference.ALLOW, Preference.DISALLOW, Preference.UNKNOWN
STANDING, MALFORMED = StatementStatus.STANDING, StatementStatus.MALFORMED

VALUES = [
    # value, preference, uses, force
    (f"{DMI}PROHIBITED", DISALLOW, EVERY_USE, STANDING),
    (f"{DMI}PROHIBITED-AIMLTRAINING", DISALLOW, AI_USES, STANDING),
    (f"{DMI}PROHIBITED-GENAIMLTRAINING", DISALLOW, AI_USES, STANDING),
    (f"{DMI}PROHIBITED-EXCEPTSEARCHENGINEINDEXING", DISALLOW, AI_USES, STANDING),
    (f"{DMI}PROHIBITED-SEECONSTRAINT", DISALLOW, EVERY_USE, STANDING),
    (f"{DMI}PROHIBITED-SEEEMBEDDEDRIGHTSEXPR", DISALLOW, EVERY_USE, STANDING),
    (f"{DMI}PROHIBITED-SEELINKEDRIGHTSEXPR", DISALLOW, EVERY_USE, STANDING),
    (f"{DMI}ALLOWED", ALLOW, EVERY_USE, STANDING),
    (f"{DMI}UNSPECIFIED", UNKNOWN, EVERY_USE, STANDING),
    (f"\n {DMI}PROHIBITED ", DISALLOW, EVERY_USE, STANDING),
    ("DMI-PROHIBITED-GENAIMLTRAINING", DISALLOW, AI_USES, STANDING),
    ("https://ns.useplus.org/ldf/vocab/DMI-PROHIBITED", DISALLOW, EVERY_USE, STANDING),
    (f"{DMI}PROHIBITED-EVERYTHING", DISALLOW, EVERY_USE, MALFORMED),
    (f"{DMI}ALLOWED-noaitraining", DISALLOW, EVERY_USE, MALFORMED),
    (f"{DMI}prohibited", DISALLOW, EVERY_USE, MALFORMED),
    ("PROHIBITED", DISALLOW, EVERY_USE, MALFORMED),
    ("no", DISALLOW, EVERY_USE, MALFORMED),
]


@pytest.mark.parametrize(("value", "preference", "uses", "force"), VALUES)
def test_value(site, value, preference, uses, force):
    statements, gaps = site.ask(iptc, site.page(jpeg(main(packet(f'plus:DataMining="{value}">')))))
    assert [(s.preference, s.uses, s.force) for s in statements] == [(preference, uses, force)]
    assert value in statements[0].quote
    assert statements[0].where == "segment APP1, plus:DataMining"
    assert [gap.defers for gap in gaps] == ([NEVER] if force is MALFORMED else [])


def test_property_without_a_value_leaves_a_doubt(site):
    statements, gaps = site.ask(iptc, site.page(jpeg(main(packet('plus:DataMining="">')))))
    assert (statements, [(gap.quote, gap.defers) for gap in gaps]) == ([], [("malformed", IN_STRICT)])


WRITTEN = [
    # section of ISO 16684-1, what the Description has, quoted without its ">" if it is an attribute
    ("7.4, element", f"><plus:DataMining>{PROHIBITED}</plus:DataMining>"),
    ("7.4, attribute", f"plus:DataMining='{PROHIBITED}'>"),
    ("7.5, resource", f'><plus:DataMining rdf:resource="{PROHIBITED}"/>'),
    ("7.8, with a qualifier",
     f'><plus:DataMining rdf:parseType="Resource"><rdf:value>{PROHIBITED}</rdf:value></plus:DataMining>'),
    ("7.8, with the value as attribute", f'><plus:DataMining rdf:value="{PROHIBITED}"/>'),
    ("7.8, the same with all elements written out",
     f'><plus:DataMining><rdf:Description rdf:value="{PROHIBITED}"/></plus:DataMining>'),
    ("RDF 1.1 XML 2.4, a node that is its URI",
     f'><plus:DataMining><rdf:Description rdf:about="{PROHIBITED}"/></plus:DataMining>'),
    ("7.7, an array that should be none",
     f"><plus:DataMining><rdf:Bag><rdf:li>{PROHIBITED}</rdf:li></rdf:Bag></plus:DataMining>"),
    ("Namespaces 1.0, another prefix", f'x:DataMining="{PROHIBITED}" xmlns:x="{PLUS}">'),
    ("Namespaces 1.0, the default", f'><DataMining xmlns="{PLUS}">{PROHIBITED}</DataMining>'),
    ("XML 1.0 2.5, a comment inside", f"><plus:DataMining>{PROHIBITED}<!-- no --></plus:DataMining>"),
    ("XML 1.0 2.7", f"><plus:DataMining><![CDATA[{PROHIBITED}]]></plus:DataMining>"),
    ("no RDF that we know", f"><plus:DataMining><b>{PROHIBITED}</b></plus:DataMining>"),
]  # fmt: skip


@pytest.mark.parametrize(("section", "description"), WRITTEN)
def test_how_it_is_written(site, section, description):
    statements, gaps = site.ask(iptc, site.page(jpeg(main(packet(description)))))
    written = (
        description.removeprefix(">") if description.startswith(">") else description.split(" xmlns")[0].rstrip(">")
    )
    assert ([(s.preference, s.quote) for s in statements], gaps) == ([(DISALLOW, written)], []), section


def test_nodes_of_other_types_and_without_their_rdf_are_read(site):
    for octets in (
        packet().replace(b"rdf:Description", b"plus:Photograph"),
        packet().replace(b"rdf:RDF", b"x:any").replace(b"rdf:about", b'xmlns:rdf="%s" rdf:about' % RDF),
    ):
        assert [s.preference for s in site.ask(iptc, site.page(jpeg(main(octets))))[0]] == [DISALLOW]


def test_a_long_value_is_quoted_alone(site):
    value = f"><plus:DataMining>{PROHIBITED}<!-- {'x' * 2_000} --></plus:DataMining>"
    assert [s.quote for s in site.ask(iptc, site.page(jpeg(main(packet(value)))))[0]] == [PROHIBITED]


SILENT = [
    ("another namespace", f'xmlns:x="http://example.org/plus/" x:DataMining="{PROHIBITED}">'),
    ("a comment", f"><!-- <plus:DataMining>{PROHIBITED}</plus:DataMining> -->"),
    ("a caption", f'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:description>{PROHIBITED}</dc:description>'),
    ("a copyright notice", 'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:rights>No data mining</dc:rights>'),
    ("constraints alone",
     "><plus:OtherConstraints><rdf:Alt><rdf:li>No training</rdf:li></rdf:Alt></plus:OtherConstraints>"),
    ("of another thing",
     f'><plus:Licensor rdf:parseType="Resource"><plus:DataMining>{PROHIBITED}</plus:DataMining></plus:Licensor>'),
]  # fmt: skip


@pytest.mark.parametrize(("what", "description"), SILENT)
def test_what_is_not_a_word_on_data_mining(site, what, description):
    assert site.ask(iptc, site.page(jpeg(main(packet(description))))) == ([], []), what


def test_what_people_have_to_read_is_reported(site):
    constraint = '<rdf:Alt><rdf:li xml:lang="x-default">Ask the harbour office</rdf:li></rdf:Alt>'
    description = (
        f'plus:DataMining="{DMI}PROHIBITED-SEECONSTRAINT"><plus:OtherConstraints>{constraint}</plus:OtherConstraints>'
    )
    statements, _ = site.ask(iptc, site.page(jpeg(main(packet(description)))))
    assert statements[0].note.endswith("Ask the harbour office")


def test_a_yes_in_one_packet_lifts_no_no_in_another(site):
    allowed = packet(f'plus:DataMining="{DMI}ALLOWED">')
    statements, _ = site.ask(iptc, site.page(png(text_chunk(allowed), text_chunk(packet()))))
    assert {s.preference: s.force for s in statements} == {ALLOW: STANDING, DISALLOW: STANDING}


def test_what_many_packets_say_is_reported_once(site):
    assert len(site.ask(iptc, site.page(jpeg(*[main(packet())] * 40)))[0]) == 1
    each = [main(packet(f'plus:DataMining="{number}">')) for number in range(40)]
    _, gaps = site.ask(iptc, site.page(jpeg(*each)))
    assert {gap.quote for gap in gaps if gap.defers is ALWAYS} == {"unreadable"}


def test_a_packet_that_cannot_be_read_defers(site):
    statements, gaps = site.ask(iptc, site.page(jpeg(main(packet()[:-50]))))
    assert (statements, [(gap.quote, gap.defers) for gap in gaps]) == ([], [("unreadable", ALWAYS)])


def test_too_many_values_defer(site):
    words = "".join(f"<plus:DataMining>{number}</plus:DataMining>" for number in range(40))
    _, gaps = site.ask(iptc, site.page(jpeg(main(packet(f">{words}")))))
    assert [gap.quote for gap in gaps if gap.defers is ALWAYS] == ["unreadable"]


def test_what_one_protocol_has_read_another_does_not_read_again(site):
    reserved = f'xmlns:t="http://www.w3.org/ns/tdmrep/" t:reservation="1" plus:DataMining="{PROHIBITED}">'
    page = site.page(document(packet(reserved)))
    assert len(site.ask(tdmrep, page)[0]) == 1
    without_its_body = Capture(page.url, 200, (), memo=page.memo)
    assert [s.preference for s in site.ask(iptc, without_its_body)[0]] == [DISALLOW]
