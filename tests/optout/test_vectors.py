"""The conformance vectors, through the JSON interface: cases in, decisions out; each reason is found where it says."""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import brotli
import pikepdf
import pytest

from forbear.optout import case, policy
from forbear.optout.captures import Captures
from forbear.optout.decide import decide
from forbear.optout.model import Capture, Decision, Failure
from forbear.optout.readers import representation
from forbear.optout.readers.text import readable, to_utf8

POLICY = policy.load()
VECTORS = [
    json.loads(line)
    for path in sorted((Path(__file__).parent.parent / "vectors").glob("*.jsonl"))
    for line in path.read_text(encoding="utf-8").split("\n")
    if line
]
NAMES = {"too many redirects", "too-large", "html", "text/html", "malformed", "unreadable", *map(str, Failure)}
"""What ``unreachable`` quotes for want of words: the failure names of the interface, beside statuses."""


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["id"] for vector in VECTORS])
def test_vector(vector: dict[str, Any]) -> None:
    """RFC 9309, TDMRep and the others, as ``spec`` of the vector says."""
    name, question, captures = case.from_json(vector)
    decision = decide(question, captures, POLICY)
    assert isinstance(decision, Decision)
    answer = case.to_json(name, vector["url"], decision, POLICY)
    expected = vector["expect"]
    assert answer["verdict"] == expected["verdict"], answer
    assert {said["protocol"] for said in answer["reasons"]} == {said["protocol"] for said in expected["reasons"]}
    for wanted, given in (
        (expected["reasons"], answer["reasons"]),
        (expected.get("statements", []), answer["statements"]),
    ):
        for one in wanted:
            same = [said for said in given if said["protocol"] == one["protocol"]]
            assert any(one.get("quote", "").strip() in said["quote"] for said in same), (one, answer)
    assert bool(answer["reasons"]) == (answer["verdict"] != "allowed")
    for said in answer["reasons"] + answer["statements"]:
        check_quote(said, captures)


def check_quote(said: dict[str, Any], captures: Captures) -> None:
    """Checks that a quotation is found in its source, at the place it names; a failure is quoted by its name."""
    quote, where = said["quote"], said["where"]
    assert quote
    capture = captures.get(said["source"])
    if capture is None:
        assert quote == "too many redirects", "its source is the target that was not asked for any more"
    elif where == "connection":
        assert quote == str(capture.error)
    elif where == "status":
        assert quote == str(capture.status)
    elif where.startswith("header ") and quote not in NAMES:
        fields = capture.header(where.removeprefix("header "))
        assert any(quote in readable(field.encode("utf-8", "surrogatepass")) for field in fields)
    elif said["protocol"] == "robots":
        lines = re.split("\r\n|\r|\n", readable(to_utf8(capture.body)))
        assert quote in lines[int(where.removeprefix("line ")) - 1]
    elif said["protocol"] != "unreachable" or quote not in NAMES:
        assert any(quote in readable(to_utf8(text)) for text in texts_of(capture))


def texts_of(capture: Capture) -> Iterator[bytes]:
    """The body, its text, and what is packed up in it: the files of a book, metadata of many kinds, UTF-16."""
    yield capture.body
    yield representation.of(capture).source
    yield capture.body.replace(b"\0", b"")
    if capture.body.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(capture.body)) as book:
            yield from map(book.read, book.namelist())
    elif capture.body.startswith(b"%PDF-"):
        with pikepdf.open(io.BytesIO(capture.body)) as document:
            yield document.Root.Metadata.read_bytes()
    elif capture.body.startswith(b"\x89PNG"):
        for packed in capture.body.split(b"iTXtXML:com.adobe.xmp\0\1\0\0\0")[1:]:
            yield zlib.decompressobj().decompress(packed)
    for box in re.finditer(rb"(....)brobxml ", capture.body, re.DOTALL):
        yield brotli.decompress(capture.body[box.end() : box.start() + int.from_bytes(box[1])])
    for manifest in re.findall(rb"<c2pa:manifest[^>]*>([^<]+)<", capture.body):
        yield base64.b64decode(manifest)
