"""Really Simple Licensing 1.0: what the vectors leave out."""

from __future__ import annotations

import pytest

from forbear.optout.captures import Captures, Hop
from forbear.optout.model import ALWAYS, IN_STRICT, NEVER, Capture, Place, Preference, Question, StatementStatus, Use
from forbear.optout.protocols import rsl
from forbear.optout.readers import rsl as documents
from forbear.optout.readers import url as urls

STANDING, SUPERSEDED, MALFORMED = StatementStatus.STANDING, StatementStatus.SUPERSEDED, StatementStatus.MALFORMED
LICENCE = "/licence.xml"
NAMED = "License: https://archive.example/licence.xml\nUser-agent: *\nAllow: /\n"
NO = '<prohibits type="usage">ai-train</prohibits>'
YES = '<permits type="usage">ai-train</permits>'
EVERY = set(Use)


def document(inner: str, attributes: str = 'url="/"') -> str:
    return f'<rsl xmlns="{documents.NAMESPACE}">\n<content {attributes}>{inner}</content>\n</rsl>'


def licence(inner: str) -> str:
    return document(f"<license>{inner}</license>")


TERMS = [
    # section, inside the licence, [(uses, preference, force, beginning of the quotation)]
    ("3.4.1.1, all", '<prohibits type="usage">all</prohibits>', [(EVERY, "disallow", STANDING, "<prohibits")]),
    (
        "3.4.1.1, ai-all",
        '<prohibits type="usage">ai-all</prohibits>',
        [({Use.TRAIN_AI, Use.AI_USE}, "disallow", STANDING, "<prohibits")],
    ),
    ("3.4.1.1, ai-index alone is neither", '<prohibits type="usage">ai-index</prohibits>', []),
    (
        "3.5, two lists side by side",
        '<permits type="usage">search</permits>' + YES,
        [
            ({Use.TRAIN_AI}, "allow", STANDING, YES),
            ({Use.SEARCH}, "allow", STANDING, "<permits"),
            ({Use.AI_USE}, "disallow", STANDING, "<permits"),
        ],
    ),
    ("3.5, an empty list", '<permits type="usage"/>', [(EVERY, "disallow", STANDING, '<permits type="usage"/>')]),
    (
        "3.5, permitted in other letters is not permitted",
        '<permits type="usage">AI-TRAIN</permits>',
        [(EVERY, "disallow", STANDING, "<permits")],
    ),
    (
        "3.6, prohibited in other letters is prohibited",
        '<prohibits type="usage">AI-Train</prohibits>',
        [({Use.TRAIN_AI}, "disallow", STANDING, "<prohibits")],
    ),
    (
        "3.1.1, permitted and prohibited",
        '<permits type="usage">all</permits>' + NO,
        [({Use.TRAIN_AI}, "disallow", STANDING, NO), ({Use.AI_USE, Use.SEARCH}, "allow", STANDING, "<permits")],
    ),
    (
        "3.7, a type without a name is free",
        '<permits type="usage">all</permits><payment/>',
        [(EVERY, "allow", STANDING, "<permits")],
    ),
    (
        "3.10, a price",
        '<permits type="usage">all</permits><payment><amount currency="EUR">1</amount></payment>',
        [(EVERY, "disallow", STANDING, "<payment><amount")],
    ),
    (
        "3.7, attribution is a condition",
        '<permits type="usage">all</permits><payment type="attribution"/>',
        [(EVERY, "disallow", STANDING, '<payment type="attribution"/>')],
    ),
    (
        "3.7, a type that RSL does not know",
        '<permits type="usage">all</permits><payment type="royalty">free</payment>',
        [(EVERY, "disallow", STANDING, '<payment type="royalty">')],
    ),
    (
        "3.7, payment for whatever is not prohibited",
        '<payment type="crawl"/>',
        [(EVERY, "disallow", STANDING, "<payment")],
    ),
    (
        "3.12, reporting is a condition",
        '<permits type="usage">all</permits><reporting type="audit" profile="x:y"/>',
        [(EVERY, "disallow", STANDING, "<reporting")],
    ),
    (
        "3.5, some users",
        '<permits type="usage">all</permits><permits type="user">education</permits>',
        [(EVERY, "disallow", STANDING, '<permits type="user">')],
    ),
    (
        "3.6, a word that RSL does not know",
        '<prohibits type="usage">train-ai</prohibits>',
        [(EVERY, "disallow", MALFORMED, "<prohibits")],
    ),
    ("3.4.1, an extension is not interpreted", '<prohibits type="usage">x:train</prohibits>', []),
    (
        "3.5, the use in the type",
        '<permits type="ai-train">no</permits>',
        [({Use.TRAIN_AI}, "disallow", MALFORMED, "<permits")],
    ),
    (
        "3.6, a type that RSL does not know",
        '<prohibits type="uses">ai-train</prohibits>',
        [({Use.TRAIN_AI}, "disallow", MALFORMED, "<prohibits")],
    ),
    ("3.4.1, a type of somebody else's", '<prohibits type="x:usage">ai-train</prohibits>', []),
    (
        "3.6, the type in other letters",
        '<prohibits type="Usage">ai-train</prohibits>',
        [({Use.TRAIN_AI}, "disallow", STANDING, "<prohibits")],
    ),
    ("3.5, no type", "<prohibits>ai-train</prohibits>", [({Use.TRAIN_AI}, "disallow", MALFORMED, "<prohibits>")]),
    ("3.4, nothing", "", []),
]


@pytest.mark.parametrize(("section", "inner", "expected"), TERMS)
def test_terms_of_a_licence(site, section, inner, expected):
    file = site.file(LICENCE, licence(inner))
    statements, gaps = site.ask(rsl, site.file("/robots.txt", NAMED), file)
    assert {(frozenset(s.uses), str(s.preference), s.force) for s in statements} == {
        (frozenset(uses), preference, force) for uses, preference, force, _ in expected
    }, section
    for uses, preference, force, quote in expected:
        [said] = [s for s in statements if (s.uses, s.preference, s.force) == (uses, preference, force)]
        assert said.quote.startswith(quote)
        assert said.quote in file.body.decode()
        assert (said.source, said.where) == (file.url, "line 2")
    assert [gap.defers for gap in gaps] == [NEVER] * sum(force is MALFORMED for _, _, force, _ in expected)


SCOPES = [
    # section, content elements as (attributes, licence), what is said of training at https://archive.example/letters/1
    ("3.3, an absolute URL", [('url="https://archive.example/letters/"', NO)], [("disallow", STANDING)]),
    ("3.3, of another host", [('url="https://other.example/"', NO)], []),
    ("3.3, with a star in its path", [('url="http://ARCHIVE.example/*/1$"', NO)], [("disallow", STANDING)]),
    ("3.3, any host of a domain", [('url="https://*.example/"', NO)], [("disallow", STANDING)]),
    ("3.3, without a path", [('url="https://archive.example"', NO)], [("disallow", STANDING)]),
    ("4.6.1, all that it is associated with", [('url=""', NO)], [("disallow", STANDING)]),
    (
        "3.1.1, the narrower one",
        [('url="/"', NO), ('url="/letters/"', YES)],
        [("allow", STANDING), ("disallow", SUPERSEDED)],
    ),
    (
        "3.1.1, which says nothing of training",
        [('url="/"', NO), ('url="/letters/"', '<prohibits type="usage">search</prohibits>')],
        [("disallow", STANDING)],
    ),
    (
        "3.1.1, the same scope",
        [('url="/letters/"', YES), ('url="/letters/"', NO)],
        [("allow", STANDING), ("disallow", STANDING)],
    ),
    ("3.3, a licence server", [('url="/" server="https://licences.example"', YES)], [("disallow", STANDING)]),
]


@pytest.mark.parametrize(("section", "contents", "expected"), SCOPES)
def test_scopes(site, section, contents, expected):
    inner = "".join(f"<content {attributes}><license>{terms}</license></content>" for attributes, terms in contents)
    file = site.file(LICENCE, f'<rsl xmlns="{documents.NAMESPACE}">{inner}</rsl>')
    statements, _ = site.ask(rsl, site.file("/robots.txt", NAMED), file)
    training = [(str(s.preference), s.force) for s in statements if Use.TRAIN_AI in s.uses]
    assert sorted(training) == sorted(expected), section


DOCUMENTS = [
    # section, document, [(quote, defers)] of the gaps
    ("XML 1.0", "<rsl>", [("malformed", IN_STRICT)]),
    ("XML 1.0", "", [("malformed", IN_STRICT)]),
    ("a web page", "<!DOCTYPE html><title>Gone</title>", [("malformed", IN_STRICT)]),
    ("a web page of XML", "<!DOCTYPE html><html><title>Gone</title></html>", [("malformed", IN_STRICT)]),
    ("XML 1.0 4.1, entities", '<!DOCTYPE rsl [<!ENTITY a "b">]><rsl/>', [("unreadable", ALWAYS)]),
    (
        "XML 1.0 2.8, elsewhere",
        '<!DOCTYPE rsl SYSTEM "https://archive.example/rsl.dtd"><rsl/>',
        [("unreadable", ALWAYS)],
    ),
    ("XML 1.0 4.3.3", '<?xml version="1.0" encoding="shift_jis"?><rsl/>', [("unreadable", ALWAYS)]),
    ("bounded", "<rsl>" + "<a>" * 200, [("unreadable", ALWAYS)]),
    ("bounded", " " * (documents.MAX_OCTETS + 1), [("too-large", ALWAYS)]),
    (
        "2.2, another namespace",
        '<rsl xmlns="http://rslstandard.org/"><content url="/"/></rsl>',
        [('<rsl xmlns="http://rslstandard.org/"><content url="/"/></rsl>', IN_STRICT)],
    ),
    ("3.3, no url", licence(NO).replace('url="/"', ""), [(f"<content ><license>{NO}</license></content>", IN_STRICT)]),
    (
        "3.3, no path",
        licence(NO).replace('"/"', '"letters/"'),
        [(f'<content url="letters/"><license>{NO}</license></content>', IN_STRICT)],
    ),
    ("3.3, no licence", document(""), [('<content url="/"></content>', IN_STRICT)]),
    ("3, an unknown element", licence("<prohibit>ai-train</prohibit>"), [("<prohibit>ai-train</prohibit>", IN_STRICT)]),
]


@pytest.mark.parametrize(("section", "body", "expected"), DOCUMENTS, ids=range(len(DOCUMENTS)))
def test_a_document_that_is_none(site, section, body, expected):
    statements, gaps = site.ask(rsl, site.file("/robots.txt", NAMED), site.file(LICENCE, body))
    assert statements == [], section
    assert [(gap.quote, gap.defers) for gap in gaps] == expected, section


def test_a_document_type_alone_changes_nothing(site):
    """XML 1.0 2.8."""
    file = site.file(LICENCE, f"<!DOCTYPE rsl>{licence(NO)}")
    [statement], gaps = site.ask(rsl, site.file("/robots.txt", NAMED), file)
    assert (statement.quote, gaps) == (NO, [])


ALTERNATES = [
    # 3.14: what is written, is it about https://archive.example/letters/1
    ("/letters/1", True),
    (" https://archive.example/letters/1 ", True),
    ("/letters/", False),
    ("https://other.example/letters/1", False),
    ("letters/1", False),
    ("", False),
]


@pytest.mark.parametrize(("written", "reserved"), ALTERNATES)
def test_another_representation_is_under_the_same_terms(site, written, reserved):
    content = f"<license>{NO}</license><alternate>{written}</alternate>"
    file = site.file(LICENCE, document(content, 'url="/originals/"'))
    statements, gaps = site.ask(rsl, site.file("/robots.txt", NAMED), file)
    assert ([s.quote for s in statements], gaps) == ([NO] * reserved, [])


PLACES = [
    # section, robots.txt, headers, markup: all name the licence
    ("4.4", NAMED, (), ""),
    ("4.4.2, in the crawler's group", "User-agent: ForbearBot\nLicense: https://archive.example/licence.xml\n", (), ""),
    ("4.5, RFC 8288 3", "", (("Link", "</x>; rel=next, </licence.xml>;type=Application/RSL+xml; rel=license"),), ""),
    (
        "4.5, RFC 8288 3",
        "",
        (("Link", '<x>; title="a, <b>", <../licence.xml>; rel="license up"; type="application/rsl+xml"'),),
        "",
    ),
    ("4.6.1", "", (), "<body><LINK HREF=/licence.xml TYPE='application/rsl+xml' REL='me License'>"),
    ("HTML 13.1.4", "", (), '<link rel="license" type="application/rsl&#43;xml" href="/licence.xml">'),
]


@pytest.mark.parametrize(("section", "robots", "headers", "markup"), PLACES)
def test_places_that_name_a_licence(site, section, robots, headers, markup):
    captures = (site.file("/robots.txt", robots), site.page(markup, headers), site.file(LICENCE, licence(NO)))
    statements, _ = site.ask(rsl, *captures)
    assert [(s.quote, s.preference) for s in statements] == [(NO, Preference.DISALLOW)], section


NO_LICENCES = [
    ("4.4, no absolute URI", "License: /licence.xml\nUser-agent: *\n", (), "", [IN_STRICT]),
    (
        "4.4.2, another's group",
        "User-agent: a\nLicense: https://archive.example/licence.xml\nUser-agent: b\n",
        (),
        "",
        [],
    ),
    ("4.5, another relation", "", (("Link", "</licence.xml>; rel=terms; type=application/rsl+xml"),), "", []),
    ("4.6.1, another type", "", (), "<link rel=license href=/licence.xml>", []),
    ("4.6.1, no href", "", (), "<link rel=license type=application/rsl+xml>", []),
    ("HTML 4.12.3, a template", "", (), "<template><link rel=license type=application/rsl+xml href=/licence.xml>", []),
    ("RFC 3986, no URL", "", (), "<link rel=license type=application/rsl+xml href='https://['>", [IN_STRICT]),
]


@pytest.mark.parametrize(("section", "robots", "headers", "markup", "defers"), NO_LICENCES)
def test_places_that_name_none(site, section, robots, headers, markup, defers):
    captures = (site.file("/robots.txt", robots), site.page(markup, headers), site.file(LICENCE, licence(NO)))
    statements, gaps = site.ask(rsl, *captures)
    stood = [statement for statement in statements if statement.force is not StatementStatus.FLAGGED]
    assert (stood, [gap.defers for gap in gaps]) == ([], defers), section


def test_a_licence_for_others_is_flagged_and_not_followed(site):
    [said], gaps = site.ask(
        rsl, site.file("/robots.txt", "User-agent: *\nAllow: /\nUser-agent: a\nLicense: https://a/\n")
    )
    assert (said.force, said.preference, said.where, gaps) == (
        StatementStatus.FLAGGED,
        Preference.UNKNOWN,
        "line 4",
        [],
    )


def test_a_licence_that_is_named_and_not_there_is_a_doubt(site):
    file = Capture(f"https://archive.example{LICENCE}", 410)
    statements, [gap] = site.ask(rsl, site.file("/robots.txt", NAMED), file)
    assert (statements, gap.quote, gap.where, gap.defers) == ([], "410", "status", IN_STRICT)


def test_no_more_than_eight_licences_are_asked_for(site):
    robots = "".join(f"License: https://archive.example/{number}.xml\n" for number in range(100))
    question = Question("https://archive.example/")
    known = Captures([site.file("/robots.txt", robots)])
    found = list(rsl.read(Hop(question, urls.parse(question.url), known)))
    assert len([one for one in found if isinstance(one, Place)]) == rsl.MAX_LICENCES
    _, gaps = site.ask(rsl, site.file("/robots.txt", robots))
    assert [gap.defers for gap in gaps] == [ALWAYS, *[IN_STRICT] * rsl.MAX_LICENCES]


def test_a_licence_in_the_page(site):
    inline = licence(NO).replace('"/"', '""')
    script = f'<p>x</p><script type="application/rsl+xml">\n{inline}</script>'
    [statement], gaps = site.ask(rsl, site.page(script))
    assert (statement.quote, statement.where, gaps) == (NO, "line 1, script", [])
    statements, [gap] = site.ask(rsl, site.page("<script type=application/rsl+xml>prohibited</script>"))
    assert (statements, gap.quote, gap.where, gap.defers) == ([], "malformed", "line 1, script", IN_STRICT)


def test_the_page_is_a_feed_whose_items_are_licensed(site):
    feed = (
        f'<?xml version="1.0"?><rss xmlns:rsl="{documents.NAMESPACE}"><channel><item>\n'
        '<rsl:content url="https://archive.example/elsewhere"><rsl:license>'
        '<rsl:prohibits type="usage">ai-train</rsl:prohibits></rsl:license></rsl:content></item></channel></rss>'
    )
    [statement], gaps = site.ask(rsl, site.page(feed, media_type="application/rss+xml"))
    assert statement.quote == '<rsl:prohibits type="usage">ai-train</rsl:prohibits>'
    assert (statement.where, gaps) == ("line 2", [])


def test_the_page_is_a_licence_itself(site):
    [statement], _ = site.ask(rsl, site.page(licence(NO), media_type="application/rsl+xml"))
    assert statement.quote == NO
    assert site.ask(rsl, site.page(licence(NO).replace('"/"', '"/paid/"'), media_type="text/xml")) == ([], [])


def test_one_document_says_no_more_than_is_listed(site):
    many = "".join(
        f'<content url="/"><license><prohibits type="usage">all {n}</prohibits></license></content>' for n in range(99)
    )
    file = site.file(LICENCE, f'<rsl xmlns="{documents.NAMESPACE}">{many}</rsl>')
    statements, gaps = site.ask(rsl, site.file("/robots.txt", NAMED), file)
    assert len(statements) == rsl.MAX_TERMS
    assert gaps[-1].defers == ALWAYS
