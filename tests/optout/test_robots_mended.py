"""What a robots.txt plainly means, though RFC 9309 reads it otherwise: flagged, and a doubt in ``strict``."""

from __future__ import annotations

import pytest

from forbear.optout import policy
from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.model import Capture, Decision, Profile, Question, StatementStatus, Verdict
from forbear.optout.readers import robots_mended
from tests.line_counter import PER_OCTET, steps

URL = "https://quay.example/logs/1"
PLAIN = [
    # the file, the line that plainly shuts the URL, where
    ("User-agent: * Disallow: /", "User-agent: * Disallow: /", "line 1"),
    ("User-agent: *; Disallow: /;", "User-agent: *; Disallow: /;", "line 1"),
    ("Sitemap: /s.xml, User-agent: * | Disallow: /", "Sitemap: /s.xml, User-agent: * | Disallow: /", "line 1"),
    ("User-agent: *<br>Disallow: /<br>", "User-agent: *<br>Disallow: /<br>", "line 1"),
    ("User-agent: *<br />\nDisallow: /<br />", "Disallow: /<br />", "line 2"),
    ("<p>User-agent: *</p>\n<p>Disallow: /</p>", "<p>Disallow: /</p>", "line 2"),
    ('User-agent: "*"\nDisallow: "/"', 'Disallow: "/"', "line 2"),
    ("User-agent: \u201c*\u201d\nDisallow: \u201c/\u201d", "Disallow: \u201c/\u201d", "line 2"),
    ("\ufeff\ufeffUser-agent: *\nDisallow: /", "Disallow: /", "line 2"),
    ("Sitemap: /s.xml\r\n\ufeffUser-agent: *\r\nDisallow: /\r\n", "Disallow: /", "line 3"),
    ("User-agent: *\\nDisallow: /\\n", "User-agent: *\\nDisallow: /\\n", "line 1"),
    ("User-agent:\u00a0*\nDisallow:\u00a0/ # no", "Disallow:\u00a0/", "line 2"),
    ("User-agent\uff1a*\nDisallow\uff1a/", "Disallow\uff1a/", "line 2"),
    ("User-agent=*\nDisallow=/", "Disallow=/", "line 2"),
    ("- User-agent: *\n- Disallow: /", "- Disallow: /", "line 2"),
    ("User-agent: *\u2028Disallow: /", "User-agent: *\u2028Disallow: /", "line 1"),
    ("User-agent: *\nDisallow: /;", "Disallow: /;", "line 2"),
]


def decided(body: str, profile: Profile) -> Decision:
    captures = Captures([Capture("https://quay.example/robots.txt", 200, (), body.encode())], complete=True)
    decision = decide(Question(URL, profile=profile), captures, policy.load())
    assert isinstance(decision, Decision)
    return decision


@pytest.mark.parametrize(("body", "quote", "where"), PLAIN)
def test_a_plain_no_is_a_doubt_in_strict(body, quote, where):
    strict = decided(body, Profile.STRICT)
    flagged = [
        (s.quote, s.where) for s in strict.statements if s.protocol == "robots" and s.force is StatementStatus.FLAGGED
    ]
    assert (strict.verdict, flagged) == (Verdict.DEFERRED, [(quote, where)])
    assert decided(body, Profile.STANDARD).verdict is Verdict.ALLOWED


IN_FORM = [
    "User-agent: *\nDisallow: /private # Disallow: /\n",
    "User-agent : *\nDisallow :/private",
    "# User-agent: * Disallow: /\nUser-agent: *\nAllow: /",
    'User-agent: *\nDisallow: /a"b\nDisallow: /*;jsessionid=',
    "User-agent: * Allow: /",
    "User-agent: * Disallow: /private",
    "User-agent: OtherBot Disallow: /",
    "User-agent: *\r\rDisallow: /private\r\n",
    "",
]


@pytest.mark.parametrize("body", IN_FORM)
def test_what_does_not_shut_the_url_is_not_doubtful(body):
    strict = decided(body, Profile.STRICT)
    assert (strict.verdict, [s for s in strict.statements if s.force is StatementStatus.FLAGGED]) == (
        Verdict.ALLOWED,
        [],
    )


@pytest.mark.parametrize("unit", ["<br", "\\n", " ;", "User-agent: * ", "-", '"', "\ufeff", "a:'"])
def test_it_costs_a_few_steps_for_each_octet(unit):
    capture = Capture("https://quay.example/robots.txt", 200, (), (unit * 20_000).encode())
    assert steps(lambda: robots_mended.of(capture)) < PER_OCTET * len(capture.body)
