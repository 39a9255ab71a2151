"""The fuzzer's check on inputs that hypothesis makes of its seeds: real answers, cut, spliced and scratched."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forbear.optout import decide
from forbear.optout.model import Capture, Profile, Verdict
from forbear.optout.protocols import PROTOCOLS
from tests.fuzz import harness
from tests.fuzz.harness import BY_NAME, check, parse, seeds, written
from tests.fuzz.targets import TARGETS

NAMES = [protocol.NAME for protocol in PROTOCOLS]
few = settings(max_examples=60, derandomize=True, deadline=None, database=None)
ODD = [
    b"\0",
    b"\xff",
    b"\n",
    b"\r",
    b'"',
    b"<",
    b">",
    b"&",
    b"%",
    b"*",
    b":",
    b"{",
    b"[",
    b"\x7f\xff\xff\xff",
    b" " * 99,
]


@st.composite
def scratched(draw: st.DrawFn, name: str) -> bytes:
    """A seed with some of its bytes lost, repeated, exchanged for odd ones, or for a part of another seed."""
    octets = draw(st.sampled_from(seeds(name)))
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(octets)))
        end = draw(st.integers(start, min(len(octets), start + 64)))
        other = draw(st.sampled_from(seeds(name)))
        at = draw(st.integers(0, len(other)))
        part = draw(st.sampled_from([b"", octets[start:end] * 2, *ODD, other[at : at + 64]]))
        octets = octets[:start] + part + octets[end:]
    return octets


@pytest.mark.parametrize("name", NAMES)
def test_what_the_fuzzer_begins_with(name: str) -> None:
    read = [check(name, octets) for octets in seeds(name)]
    assert any(decision and decision.statements for decision in read), "a reader with nothing to read is not tested"


@pytest.mark.parametrize("name", TARGETS)
def test_what_earlier_runs_found(name: str) -> None:
    for octets in TARGETS[name].inputs():
        TARGETS[name].check(octets)


@pytest.mark.parametrize("name", NAMES)
@few
@given(data=st.data())
def test_no_answer_breaks_a_reader_or_makes_a_doubt_a_yes(name: str, data: st.DataObject) -> None:
    check(name, data.draw(scratched(name)))


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_that_fails_on_the_way_never_allows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it had read before it failed."""
    protocol = BY_NAME[name]
    for octets in seeds(name)[:40]:
        url, captures = parse(octets) or ("", [])
        for sound in (0, 1):

            class Broken:
                NAME, PLACES = protocol.NAME, protocol.PLACES

                @staticmethod
                def read(asked, sound=sound):
                    for number, item in enumerate(protocol.read(asked)):
                        if number == sound:
                            break
                        yield item
                    raise RecursionError

            monkeypatch.setattr(harness, "BY_NAME", {name: Broken})
            verdicts = harness._decide(name, url, captures).verdicts
            assert Verdict.ALLOWED not in (verdicts[profile] for profile in Profile)


def test_an_input_is_read_as_it_is_written() -> None:
    captures = [
        Capture("https://a.example/b", 200, (("X-Robots-Tag", "noai"), ("X", "")), b"\0\n\nbody\xff"),
        Capture("https://a.example/robots.txt", 404),
    ]
    url, again = parse(written("https://a.example/b", captures)) or ("", [])
    assert url == "https://a.example/b"
    assert [(c.url, c.status, c.headers, c.body) for c in again] == [
        (c.url, c.status, c.headers, c.body) for c in captures
    ]
    assert vars(decide)["PROTOCOLS"] is PROTOCOLS
