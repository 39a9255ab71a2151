"""Header fields are the bytes that came: decided by, asked for and stored as such, and made readable where quoted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.optout import policy
from forbear.optout.captures import Captures, redirect
from forbear.optout.decide import decide
from forbear.optout.model import Capture, Decision, Question, Verdict
from forbear.optout.readers import url as urls
from forbear.optout.readers.text import field_octets, field_text, quoted, readable

PAGE = "https://a.example/p"


@given(st.binary())
def test_text_of_a_field_is_its_octets(octets: bytes) -> None:
    assert field_octets(field_text(octets)) == octets
    assert quoted(field_text(octets)) == readable(octets)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        (b"/caf\xe9", "/caf%E9"),
        (b"/caf\xc3\xa9?\xe9=\xc3\xa9", "/caf%C3%A9?%E9=%C3%A9"),
        (b"/r\xe8gles.txt", "/r%E8gles.txt"),
        (b"/\xff\xfe%ff", "/%FF%FE%ff"),
        (b"/a\x01b", "/a%01b"),
    ],
)
def test_a_location_is_asked_for_in_the_octets_that_came(location: bytes, target: str) -> None:
    found = redirect(Capture(PAGE, 302, (("Location", field_text(location)),)))
    assert found
    assert found.href == f"https://a.example{target}"


def test_a_location_whose_host_is_not_a_name_leads_nowhere() -> None:
    assert redirect(Capture(PAGE, 302, (("Location", field_text(b"https://caf\xe9.example/")),))) is None
    assert urls.join(PAGE, field_text("https://café.example/".encode())).host == "xn--caf-dma.example"


@pytest.mark.parametrize(
    ("name", "value", "protocol", "quote"),
    [
        ("X-Robots-Tag", b"caf\xe9, noai", "robots-meta", "caf\\xe9, noai"),
        ("X-Robots-Tag", b"noai; caf\xc3\xa9", "robots-meta", "noai; café"),
        ("tdm-reservation", b"1", "tdmrep", "1"),
    ],
)
def test_a_reservation_beside_octets_that_are_not_text_counts(name, value: bytes, protocol, quote) -> None:
    page = Capture(
        PAGE, 200, (("Content-Type", "text/html"), (name, field_text(value)), ("X-\udce9", "\udce9")), b"<p>"
    )
    decision = decide(Question(PAGE), Captures([page], complete=True), policy.load())
    assert isinstance(decision, Decision)
    assert decision.verdict is Verdict.EXCLUDED
    assert [(reason.protocol, reason.quote) for reason in decision.reasons] == [(protocol, quote)]


@pytest.mark.parametrize(
    "name", ["Link", "Content-Usage", "tdm-policy", "tdm-reservation", "X-Robots-Tag", "Content-Type"]
)
@given(octets=st.binary(max_size=40))
def test_any_octets_are_read(name: str, octets: bytes) -> None:
    value = field_text(b"a, <" + octets + b'>; rel="license"; type="application/rsl+xml", ' + octets)
    page = Capture(PAGE, 200, ((name, value), ("tdm-reservation", "1")), b"<p>")
    decision = decide(Question(PAGE), Captures([page], complete=True), policy.load())
    assert isinstance(decision, Decision)
    said = [each.quote + each.source for each in decision.reasons]
    said += [each.quote + each.source for each in decision.statements]
    said += [each.quote + each.source for each in decision.gaps]
    assert "".join(said).encode()  # no half of a surrogate pair is among what is quoted
    assert not [gap for gap in decision.gaps if gap.where == "reader"]
