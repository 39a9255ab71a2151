"""Lists of infringing sites in the layouts of their publications.

FIXTURES, all of them: made up for these tests in the layouts that public descriptions of the publications give, with
names reserved by RFC 2606 and addresses reserved by RFC 5737. No site, case or date in them is real.
"""

from __future__ import annotations

from datetime import date

import pytest
import typst

from forbear.crawler.lists.publications import BadPublication, NamedSite, layouts, read

DENMARK = "# FIXTURE\ndomæne;dato;sag\nfilms.example;02-03-2026;BS-1/2026\nwww.tv.example;02-03-2026;BS-1/2026\n"
DENMARK_BARE = "# FIXTURE\nfilms.example\nhttp://tv.example/\n\nmusic.example\n"
AUSTRIA = """<!doctype html><title>FIXTURE</title>
<table><tr><td><a href="/">start.example</a></td></tr></table>
<table><tr><th>Gesch\u00e4ftszahl</th><th>Datum</th><th>Gesperrte Domains</th></tr>
<tr><td>R 0/26</td><td>02.03.2026</td><td>films.example<br>www.films.test, tv.example</td></tr>
<tr><td>R 1/26</td><td>05.03.2026</td><td>verfahren eingestellt</td></tr></table>"""
ITALY = "# FIXTURE\nfilms.example\nstream.films.test\n"
SHIELD = "# FIXTURE\nfilms.example\n192.0.2.7\n2001:db8::7\n"
GERMANY = """<!doctype html><title>FIXTURE</title><table>
<tr><th>Datum</th><th>Gericht, Aktenzeichen</th><th>Domains</th></tr>
<tr><td>2.3.2026</td><td>LG Beispiel, 1 O 1/26</td><td>films[.]example tv.example</td></tr>
<tr><td>3.2.2022</td><td>CUII 1/22</td><td>\u201e*****\u201c, \u201e*****\u201c</td></tr></table>"""
SPAIN = """#set page(width: 18cm, height: 9cm)
FIXTURE: Sección Segunda
#table(columns: 3, [Expediente], [Dominios], [Fecha], [E/2026/01], [films.example \\ tv.example], [02/03/2026],
  [E/2026/02], [music.test], [05/03/2026])
#pagebreak()
#table(columns: 3, [E/2026/03], [books.test], [06/03/2026])"""
PORTUGAL = """FIXTURE
#table(columns: 2, [Domínio], [Data da decisão], [films.example], [2026-03-02], [tv.example], [2026-03-02])"""
WATCH = """FIXTURE: Counterfeit and Piracy Watch List

Filmhost, allegedly operated from nowhere, with the domains films.example and films.test, is reported by
stakeholders.#footnote[https://press.example/report.pdf]"""


def pdf(source: str) -> bytes:
    made = typst.compile(source.encode())
    assert isinstance(made, bytes)
    return made


def test_denmark_csv_with_a_header() -> None:
    found = read(DENMARK.encode(), layouts()["denmark"])
    assert list(found.named.values()) == [
        NamedSite("films.example", "", date(2026, 3, 2), "BS-1/2026"),
        NamedSite("tv.example", "", date(2026, 3, 2), "BS-1/2026"),
    ]
    assert found.unread == ["# FIXTURE"]


def test_denmark_csv_of_one_column_without_a_header() -> None:
    assert list(read(DENMARK_BARE.encode(), layouts()["denmark"]).named) == [
        "films.example",
        "tv.example",
        "music.example",
    ]


def test_austria_html_table_and_no_link_beside_it() -> None:
    found = read(AUSTRIA.encode(), layouts()["austria"])
    assert list(found.named) == ["films.example", "films.test", "tv.example"]
    assert found.named["films.test"] == NamedSite("films.test", "", date(2026, 3, 2), "R 0/26")
    assert found.unread == ["R 1/26 | 05.03.2026 | verfahren eingestellt"]


def test_italy_attachment_of_an_order() -> None:
    assert list(read(ITALY.encode(), layouts()["italy"]).named) == ["films.example", "stream.films.test"]


def test_piracy_shield_names_addresses_too() -> None:
    found = read(SHIELD.encode(), layouts()["italy-piracy-shield"])
    assert list(found.named) == ["films.example", "192.0.2.7", "[2001:db8::7]"]


def test_germany_masked_domains_are_reported_as_unread() -> None:
    found = read(GERMANY.encode(), layouts()["germany"])
    assert list(found.named) == ["films.example", "tv.example"]
    assert [line.split(" | ")[1] for line in found.unread] == ["CUII 1/22"]


def test_spain_pdf_table_over_two_pages() -> None:
    found = read(pdf(SPAIN), layouts()["spain"])
    assert list(found.named) == ["films.example", "tv.example", "music.test", "books.test"]
    assert found.named["books.test"] == NamedSite("books.test", "", date(2026, 3, 6), "E/2026/03")


def test_portugal_pdf_table() -> None:
    found = read(pdf(PORTUGAL), layouts()["portugal"])
    assert [(site.host, site.decided) for site in found.named.values()] == [
        ("films.example", date(2026, 3, 2)),
        ("tv.example", date(2026, 3, 2)),
    ]


def test_the_watch_list_is_running_text() -> None:
    layout = layouts()["eu-watch-list"]
    assert layout.prose
    assert {"films.example", "films.test"} <= set(read(pdf(WATCH), layout).named)


def test_every_fixture_says_that_it_is_one() -> None:
    for fixture in (DENMARK, DENMARK_BARE, AUSTRIA, ITALY, SHIELD, GERMANY, SPAIN, PORTUGAL, WATCH):
        assert "FIXTURE" in fixture


@pytest.mark.parametrize(
    ("line", "named", "rest"),
    [
        ("*.films.example", "films.example", ""),
        ("FILMS.EXAMPLE.", "films.example", ""),
        ("192.0.2.0/24", "192.0.2.0", "/24"),
        ("2001:db8::/32", "[2001:db8::]", "/32"),
        ("http://google.com/url?q=films", "google.com", "/url?q=films"),
    ],
)
def test_a_line_is_read_for_what_it_names(line: str, named: str, rest: str) -> None:
    assert list(read(line.encode(), layouts()["denmark"]).named.values()) == [NamedSite(named, rest)]


@pytest.mark.parametrize("line", ["com", ".com", "*", "films example", "user@films.example", "mailto:a@films.example"])
def test_what_names_no_site_is_reported_and_not_listed(line: str) -> None:
    found = read(f"tv.example\n{line}\n".encode(), layouts()["denmark"])
    assert list(found.named) == ["tv.example"]
    assert found.unread == [line]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("denmark", b"", "It has no site"),
        ("denmark", b"domain\nnone at all\n", "It has no site"),
        ("austria", b"<p>films.example</p>", "It has no site"),
        ("austria", b"", "not HTML"),
        ("spain", b"%PDF-1.7 cut", "PDF cannot be read"),
        ("spain", b"films.example", "PDF cannot be read"),
    ],
)
def test_another_file_is_an_error_and_not_an_empty_list(name: str, content: bytes, sentence: str) -> None:
    with pytest.raises(BadPublication, match=sentence):
        read(content, layouts()[name])


@pytest.mark.parametrize("layout", layouts().values(), ids=str)
def test_each_layout_says_where_it_is_from(layout) -> None:
    assert layout.source.startswith("https://")
    assert all((layout.title, layout.country, layout.authority, layout.basis, layout.seen))
    assert layout.renew > 0
