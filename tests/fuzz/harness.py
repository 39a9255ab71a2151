"""What any answer of any site must not do to a reader: one check, for the fuzzer and for the property tests.

An input is written as people read it, so that a finding can be read and shortened by hand: the URL asked about on a
line, then the exchanges, SEPARATOR between them. An exchange is a line ``200 URL`` (or ``timeout URL``), header lines,
an empty line, and the body.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from forbear.optout import case, policy
from forbear.optout import decide as deciding
from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.model import Capture, Decision, Failure, Profile, Question, Use, Verdict
from forbear.optout.protocols import PROTOCOLS, Protocol, infringing_list, operator
from forbear.optout.readers import url as urls
from forbear.optout.readers.text import readable
from forbear.optout.readers.url import NotAUrl

FINDINGS = Path(__file__).parent / "findings"
SEPARATOR = b"\n=====\n"
POLICY = policy.load()
BY_NAME = {protocol.NAME: protocol for protocol in PROTOCOLS}
TESTS = Path(__file__).parent.parent
_PAGE = "https://site.example/a/page.html"
_ASSETS = ("iptc", "c2pa", "tdmrep")
_IN_FILES = {"tdmrep.json": "tdmrep", "ai.txt": "ai-txt", "trust.txt": "trust-txt", "rsl.xml": "rsl"}
_WILD = {"tdmrep.json": "/.well-known/tdmrep.json", "rsl.xml": "/license.xml"}


def check(name: str, octets: bytes) -> Decision | None:
    """Lets one protocol read; raises AssertionError for what must not be. None for an input that is not a question."""
    parsed = parse(octets)
    if parsed is None:
        return None
    url, captures = parsed
    decision = _decide(name, url, captures)
    for gap in decision.gaps:
        assert gap.where != "reader", gap.detail
    # No verdict without its words, and no words without a bound.
    for one in (decision, _decide(name, url, captures, Profile.STRICT)):
        assert one.verdicts == decision.verdicts
        assert bool(one.reasons) == (one.verdict is not Verdict.ALLOWED)
        assert all(reason.quote and reason.source and reason.where for reason in one.reasons)
    assert len(decision.statements) + len(decision.gaps) <= 1_000 + len(octets)
    json.dumps(case.to_json("1", url, decision, POLICY))
    # Doubt never allows: neither does strict what standard does not, nor anybody where a place gives no answer.
    if decision.verdicts[Profile.STANDARD] is not Verdict.ALLOWED:
        assert decision.verdicts[Profile.STRICT] is not Verdict.ALLOWED
    for places in _places(name, url):
        unread = [Capture(place, error=Failure.TIMEOUT) for place in places]
        assert Verdict.ALLOWED not in _decide(name, url, [*captures, *unread]).verdicts.values()
    return decision


def _places(name: str, url: str) -> tuple[list[str], ...]:
    """What the protocol cannot do without: its well-known files, the page itself."""
    parts = urls.parse(url)
    files = [parts.origin + path for path in BY_NAME[name].PLACES]
    return ([parts.href], *([files] if files else ()))


def _decide(name: str, url: str, captures: list[Capture], profile: Profile = Profile.STANDARD) -> Decision:
    with _alone(BY_NAME[name]):
        decision = decide(Question(url, use=Use.TRAIN_AI, profile=profile), Captures(captures, complete=True), POLICY)
    assert isinstance(decision, Decision)
    return decision


@contextmanager
def _alone(protocol: Protocol) -> Iterator[None]:
    """With this protocol and no other: what one allows, another would hide."""
    setattr(deciding, "PROTOCOLS", (protocol,))  # noqa: B010 not part of what the module offers
    try:
        yield
    finally:
        setattr(deciding, "PROTOCOLS", PROTOCOLS)  # noqa: B010


def parse(octets: bytes) -> tuple[str, list[Capture]] | None:
    """The question's URL and the captures of an input."""
    first, _, rest = octets.partition(b"\n")
    try:
        url = first.decode()
        urls.parse(url)
        return url, [_capture(part) for part in rest.split(SEPARATOR)] if rest else []
    except (NotAUrl, ValueError):
        return None


def _capture(octets: bytes) -> Capture:
    head, _, body = octets.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    answer, _, address = first.decode().partition(" ")
    url = address if address in (infringing_list.LIST, operator.LIST) else urls.parse(address).href
    if answer in set(Failure):
        return Capture(url, error=Failure(answer))
    pairs = (line.partition(b": ") for line in lines)
    headers = tuple((readable(field), readable(value)) for field, _, value in pairs)
    return Capture(url, min(max(int(answer[:3]), 100), 599), headers, body)


def written(url: str, captures: list[Capture]) -> bytes:
    """An input that ``parse`` reads."""
    return url.encode() + b"\n" + SEPARATOR.join(map(_written, captures))


def _written(capture: Capture) -> bytes:
    lines = [f"{capture.error or capture.status} {capture.url}"]
    lines += [f"{field}: {value}" for field, value in capture.headers]
    return "\n".join(lines).encode("utf-8", "surrogateescape") + b"\n\n" + capture.body


@cache
def seeds(name: str) -> tuple[bytes, ...]:
    """Inputs in which the protocol has something to read: conformance vectors, real files, pictures and documents."""
    found = [one for one in _vectors() if name in one[1]]
    inputs = [written(url, captures) for _, _, url, captures in found]
    inputs += (
        written(url, captures) for url, captures in (*_real_files(name), *(_assets() if name in _ASSETS else ()))
    )
    if not found:  # no vector is about it alone: the operator's list, prose
        inputs += (written(url, captures) for _, _, url, captures in _vectors()[:40])
    # What was found once is read again at every test; it must not stop the fuzzer from looking further.
    findings = [path.read_bytes() for path in sorted(FINDINGS.glob(f"{name}-*"))]
    return tuple(dict.fromkeys(one for one in (*inputs, *findings) if parse(one)))


@cache
def _vectors() -> list[tuple[str, frozenset[str], str, list[Capture]]]:
    found = []
    for path in sorted((TESTS / "vectors").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").split("\n"):
            if line:
                vector: dict[str, Any] = json.loads(line)
                name, question, known = case.from_json(vector)
                said = vector["expect"]["reasons"] + vector["expect"].get("statements", [])
                about = frozenset({path.stem.removeprefix("forbear-"), *(one["protocol"] for one in said)})
                found.append((name, about, question.url, list(known)))
    return found


def _real_files(name: str) -> Iterator[tuple[str, list[Capture]]]:
    for line in (TESTS / "corpus" / "real_world.jsonl").read_text(encoding="utf-8").splitlines():
        file = json.loads(line)
        wanted = _IN_FILES.get(file["kind"])
        if file["kind"] == "headers" or wanted not in (None, name) or (wanted is None and name in _ASSETS):
            continue
        place = "https://site.example" + _WILD.get(file["kind"], f"/{file['kind']}")
        text = (("Content-Type", "text/plain"),)
        captures = [Capture(place, 200, text, file["body"].encode())]
        if file["kind"] == "rsl.xml":
            captures.append(Capture("https://site.example/robots.txt", 200, text, f"License: {place}\n".encode()))
        yield _PAGE, captures


def _assets() -> Iterator[tuple[str, list[Capture]]]:
    from tests.optout import pictures  # noqa: PLC0415 Pillow is loaded before nothing is instrumented

    xmp = pictures.packet()
    for kind, body in (
        ("image/jpeg", pictures.jpeg(pictures.main(xmp))),
        ("image/png", pictures.png(pictures.text_chunk(xmp, compressed=True))),
        ("image/webp", pictures.picture("WEBP", xmp=xmp)),
        ("image/avif", pictures.picture("AVIF", xmp=xmp)),
        ("image/tiff", pictures.tiff(xmp)),
        ("image/tiff", pictures.tiff(xmp, ">", big=True)),
        ("image/gif", pictures.gif(xmp)),
        ("image/heic", pictures.heic(xmp)),
        ("image/heic", pictures.heic(xmp, 2, 0)),
        ("image/svg+xml", pictures.svg(xmp)),
        ("application/pdf", pictures.document(xmp)),
    ):
        yield _PAGE, [Capture(_PAGE, 200, (("Content-Type", kind),), body)]
