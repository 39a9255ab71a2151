"""Reservations in prose: a sentence in each official language of the EU, their places, the limits."""

# ruff: noqa: RUF001 - two of the alphabets have letters that look like Latin ones

from __future__ import annotations

import pytest

from forbear.optout import policy
from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.model import AI_USES, Decision, Preference, Profile, Question, StatementStatus, Use, Verdict
from forbear.optout.protocols import prose
from tests.line_counter import PER_OCTET, steps
from tests.optout.conftest import PAGE

SENTENCES = {
    # language: a reservation of mining, one of training
    "bg": (
        "Извличането на информация от текст и данни е забранено.",
        "Обучението на изкуствен интелект с това съдържание не се разрешава.",
    ),
    "cs": (
        "Vytěžování textů a dat ve smyslu čl. 4 směrnice je vyhrazeno.",
        "Trénování umělé inteligence na tomto obsahu není povoleno.",
    ),
    "da": (
        "Rettighederne til tekst- og datamining er forbeholdt.",
        "Indholdet må ikke bruges til træning af kunstig intelligens.",
    ),
    "de": (
        "Die Nutzung für Text und Data Mining gem. § 44b UrhG bleibt vorbehalten.",
        "Das Training von KI-Systemen mit diesen Inhalten ist untersagt.",
    ),
    "el": (
        "Η εξόρυξη κειμένων και δεδομένων απαγορεύεται.",
        "Δεν επιτρέπεται η εκπαίδευση συστημάτων τεχνητής νοημοσύνης με το περιεχόμενο αυτό.",
    ),
    "en": (
        "All rights are reserved, including those for text and data mining under Art. 4(3) of Directive (EU) 2019/790.",
        "No part of this site may be used for training artificial intelligence.",
    ),
    "es": (
        "Quedan reservados los derechos de minería de textos y datos.",
        "Se prohíbe el uso de este contenido para entrenar sistemas de inteligencia artificial.",
    ),
    "et": (
        "Teksti- ja andmekaeve on keelatud.",
        "Tehisintellekti treenimine selle sisuga ei ole lubatud.",
    ),
    "fi": (
        "Oikeudet tekstin- ja tiedonlouhintaan pidätetään.",
        "Sisällön käyttö tekoälyn kouluttamiseen on kielletty.",
    ),
    "fr": (
        "Tous droits réservés, y compris la fouille de textes et de données.",
        "L'entraînement d'une intelligence artificielle sur ces contenus est interdit.",
    ),
    "ga": (
        "Tá cosc ar mhianadóireacht téacs agus sonraí.",
        "Tá toirmeasc ar oiliúint intleachta saorga leis an ábhar seo.",
    ),
    "hr": (
        "Rudarenje teksta i podataka nije dopušteno.",
        "Zabranjeno je treniranje umjetne inteligencije ovim sadržajem.",
    ),
    "hu": (
        "A szöveg- és adatbányászat jogát fenntartjuk.",
        "A mesterséges intelligencia betanítása e tartalommal tilos.",
    ),
    "it": (
        "Sono riservati i diritti di estrazione di testo e di dati.",
        "È vietato addestrare sistemi di intelligenza artificiale con questi contenuti.",
    ),
    "lt": (
        "Teksto ir duomenų gavyba draudžiama.",
        "Dirbtinio intelekto mokymas naudojant šį turinį neleidžiamas.",
    ),
    "lv": (
        "Tekstizrace un datizrace ir aizliegta.",
        "Mākslīgā intelekta apmācība ar šo saturu nav atļauta.",
    ),
    "mt": (
        "L-estrazzjoni tat-test u tad-data mhux permessa.",
        "It-taħriġ tal-intelliġenza artifiċjali b'dan il-kontenut huwa pprojbit.",
    ),
    "nl": (
        "Tekst- en datamining is uitdrukkelijk voorbehouden.",
        "Het trainen van kunstmatige intelligentie met deze inhoud is verboden.",
    ),
    "pl": (
        "Eksploracja tekstów i danych jest zastrzeżona.",
        "Zabrania się trenowania sztucznej inteligencji na tych treściach.",
    ),
    "pt": (
        "A prospeção de textos e dados está reservada.",
        "É proibido treinar sistemas de inteligência artificial com estes conteúdos.",
    ),
    "ro": (
        "Extragerea textului și a datelor este interzisă.",
        "Este interzisă antrenarea sistemelor de inteligență artificială cu acest conținut.",
    ),
    "sk": (
        "Vyťažovanie textov a údajov je vyhradené.",
        "Trénovanie umelej inteligencie na tomto obsahu je zakázané.",
    ),
    "sl": (
        "Besedilno in podatkovno rudarjenje je prepovedano.",
        "Usposabljanje umetne inteligence s to vsebino ni dovoljeno.",
    ),
    "sv": (
        "Rätten till text- och datautvinning är förbehållen.",
        "Innehållet får inte användas för att träna artificiell intelligens.",
    ),
}


def test_every_official_language_is_there():
    assert len(SENTENCES) == 24


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize(("language", "sentence"), [(code, one) for code, both in SENTENCES.items() for one in both])
def test_a_notice_in_a_footer_is_recorded(site, language, sentence, declared):
    lang = f' lang="{language}"' if declared else ""
    page = f"<!DOCTYPE html><html{lang}>\n<p>1811</p>\n<footer><p>{sentence}</p></footer>"
    statements, gaps = site.ask(prose, site.page(page))
    assert [(s.quote, s.where, s.preference, s.force, s.uses) for s in statements] == [
        (sentence, "line 3", Preference.DISALLOW, StatementStatus.FLAGGED, AI_USES)
    ]
    assert gaps == []


EN = "Text and data mining is prohibited."
MARKED = "Text&nbsp;and <em>data&nbsp;mining</em> is <b>prohibited</b>."
PLACES = [
    # what, page, quotes
    ("a footer", f"<footer>{EN}</footer>", [EN]),
    ("among other sentences", f"<footer>Seven boats left. {EN} They came back.</footer>", [EN]),
    ("as it is served", f"<footer><p>{MARKED}</p></footer>", [MARKED]),
    ("an element of this class", f'<div class="site-footer"><div>x</div><p>{EN}</p></div>', [EN]),
    ("after it", f'<div class="site-footer"><div>x</div></div><p>{EN}</p>', []),
    ("an article about it", f"<article><p>{EN}</p></article>", []),
    ("a copyright line", f"<p>© 1811. {EN}</p>", [EN]),
    ("the law by name", "<p>Mining under Directive (EU) 2019/790 is reserved.</p>",
     ["Mining under Directive (EU) 2019/790 is reserved."]),
    ("a meta element", f'<meta name="copyright" content="{EN}">', [f'<meta name="copyright" content="{EN}">']),
    ("another meta element", f'<meta name="description" content="{EN}">', []),
    ("a link that says so", '<a href="/ai">AI policy</a>', ['<a href="/ai">AI policy</a>']),
    ("a link that says so", '<a href=/tdm><span>TDM</span> reservation</a>',
     ["<a href=/tdm><span>TDM</span> reservation</a>"]),
    ("a link to other terms", '<a href="/ai-policy">Terms of use</a>', []),
    ("a comment", f"<footer><!-- {EN} --></footer>", []),
    ("a script", f"<footer><script>var a='{EN}'</script></footer>", []),
    ("a permission", "<footer>Text and data mining is welcome.</footer>", []),
    ("a refusal of something else", "<footer>All rights reserved. We read about data mining.</footer>", []),
    ("words without a refusal in their language", "<footer>Data mining ist eine Kunst.</footer>", []),
    ("no page", "", []),
]  # fmt: skip


@pytest.mark.parametrize(("what", "markup", "quotes"), PLACES, ids=range(len(PLACES)))
def test_places(site, what, markup, quotes):
    page = site.page(f"<!DOCTYPE html>{markup}")
    statements, _ = site.ask(prose, page)
    assert [s.quote for s in statements] == quotes, what
    assert all(s.quote in page.body.decode() for s in statements)


def test_what_a_link_leads_to_is_not_known(site):
    [statement], _ = site.ask(prose, site.page('<!DOCTYPE html><a href="/ai">AI policy</a>'))
    assert statement.preference is Preference.UNKNOWN


def test_other_encodings(site):
    page = site.page("<footer>Text und Data Mining für KI ist untersagt.</footer>".encode("latin-1"))
    [statement], _ = site.ask(prose, page)
    assert statement.quote == "Text und Data Mining für KI ist untersagt."


def test_an_image_has_no_footer(site):
    picture = b"\x89PNG\r\n\x1a\n" + f"<footer>{EN}</footer>".encode()
    assert site.ask(prose, site.page(picture, media_type="image/png")) == ([], [])


@pytest.mark.parametrize("profile", Profile)
def test_prose_decides_nothing_unless_the_policy_says_so(site, profile):
    captures = Captures([site.page(f"<!DOCTYPE html><footer>{EN}</footer>")], complete=True)
    decision = decide(Question(PAGE, profile=profile), captures, policy.load())
    assert isinstance(decision, Decision)
    assert (decision.verdict, [s.quote for s in decision.statements]) == (Verdict.ALLOWED, [EN])
    own = policy.load('[protocols.prose]\nstrict = { defers = ["flagged", "unread"] }')
    decision = decide(Question(PAGE, profile=profile), captures, own)
    assert isinstance(decision, Decision)
    reasons = [(r.protocol, r.quote, r.preference, r.measure) for r in decision.reasons]
    strict = profile is Profile.STRICT
    assert decision.verdict is (Verdict.DEFERRED if strict else Verdict.ALLOWED)
    assert reasons == ([("prose", EN, Preference.DISALLOW, "1.3(2)")] if strict else [])
    search = decide(Question(PAGE, use=Use.SEARCH, profile=profile), captures, own)
    assert isinstance(search, Decision)
    assert search.verdict is Verdict.ALLOWED


HOSTILE = [
    f"<footer>{EN}" * 5_000,
    f"<footer>{EN * 20_000}",
    "<footer>" + "mining " * 200_000,
    '<p class="footer">' * 100_000 + "mining",
    "<footer>without " + "our prior written " * 50_000 + "mining",
    "<a>AI policy" * 100_000,
    "<footer>data mining" + " " * 1_000_000 + "X",
    "<footer>mining <" + "<" * 1_000_000,
]


@pytest.mark.parametrize("markup", HOSTILE, ids=range(len(HOSTILE)))
def test_bounded(site, markup):
    statements, gaps = site.ask(prose, site.page(f"<!DOCTYPE html>{markup}"))
    assert steps(lambda: site.ask(prose, site.page(f"<!DOCTYPE html>{markup}"))) < PER_OCTET * len(markup)
    assert len(statements) <= 2 * prose.MOST
    assert all(len(s.quote.encode()) <= 500 for s in statements)
    assert gaps == []
