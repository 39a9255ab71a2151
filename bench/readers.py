"""``python -m bench readers``: the share of each reader in a decision, over a real site and 1,000 pictures.

What several readers share, the tags of a page and the XMP of a picture, is parsed once and has its own line. The host's
robots.txt was read before, as in a crawl.
"""

from __future__ import annotations

import io
import random
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress

from PIL import Image

from bench.site import ROBOTS, folder
from forbear.crawler.corpus import text
from forbear.optout import policy
from forbear.optout.captures import Captures, Hop
from forbear.optout.decide import decide
from forbear.optout.model import Capture, Question
from forbear.optout.protocols import PROTOCOLS
from forbear.optout.readers import embedded_xmp, html
from forbear.optout.readers import url as urls
from forbear.optout.readers.errors import Unreadable
from tests.optout import manifests, pictures

ROUNDS = 2
SHARED = {"tags (shared)": html.read, "XMP (shared)": embedded_xmp.read}
PICTURES = 1_000
ORIGIN = "https://docs.example"
_HTML = (("Content-Type", "text/html; charset=utf-8"),)
_FORMATS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "TIFF": "image/tiff", "GIF": "image/gif"}


def pages() -> list[tuple[str, tuple[tuple[str, str], ...], bytes]]:
    """Returns the HTML pages of a real site: path, headers, body."""
    return [(f"/{file.relative_to(folder())}", _HTML, file.read_bytes()) for file in sorted(folder().rglob("*.html"))]


def photographs() -> list[tuple[str, tuple[tuple[str, str], ...], bytes]]:
    """Makes pictures of 320 by 240 pixels in five formats: one in five has XMP, one in fifty JPEGs a manifest."""
    chance = random.Random(4)
    xmp = pictures.packet("xmlns:dc='http://purl.org/dc/elements/1.1/' dc:format='image/jpeg'>")
    assertion = manifests.training({"cawg.ai_training": "allowed"})
    made = []
    for number in range(PICTURES):
        kind = list(_FORMATS)[number % len(_FORMATS)]
        small = Image.frombytes("RGB", (40, 30), chance.randbytes(3_600))
        options = {"xmp": xmp} if number % 5 == number // 5 % 5 and kind in ("JPEG", "PNG", "WEBP") else {}
        octets = io.BytesIO()
        small.resize((320, 240)).save(octets, kind, **options)
        body = octets.getvalue()
        if kind == "JPEG" and number % 50 == 0:
            body = manifests.signed(body, assertion)[0]
        made.append((f"/{number}", (("Content-Type", _FORMATS[kind]),), body))
    return made


def measure(of: Iterable[tuple[str, tuple[tuple[str, str], ...], bytes]]) -> Counter[str]:
    """Returns the processor time of each reader, of a whole decision, and of extracting the text, in seconds."""
    spent: Counter[str] = Counter()
    rules = policy.load()
    known = Captures([Capture(f"{ORIGIN}/robots.txt", 200, (("Content-Type", "text/plain"),), ROBOTS)], complete=True)
    for path, headers, body in of:
        url = ORIGIN + path
        question = Question(url)
        page = Capture(url, 200, headers, body)
        known.add(page)
        hop = Hop(question, urls.parse(url), known, page, rules)
        for name, read in SHARED.items():
            begin = time.process_time()
            with suppress(Unreadable):
                read(page)
            spent[name] += time.process_time() - begin
        for protocol in PROTOCOLS:
            begin = time.process_time()
            for _ in protocol.read(hop):
                pass
            spent[protocol.NAME] += time.process_time() - begin
        fresh = Capture(url, 200, headers, body)
        known.add(fresh)
        begin = time.process_time()
        decide(question, known, rules)
        spent["decision"] += time.process_time() - begin
        if headers == _HTML:
            begin = time.process_time()
            text.extract(page)
            spent["text"] += time.process_time() - begin
    return spent


def main() -> None:
    """Prints the shares for pages and for pictures."""
    for what, of in (("pages of a real site", pages()), ("pictures", photographs())):
        rounds = [measure(of) for _ in range(ROUNDS)]
        spent = min(rounds, key=lambda one: one["decision"])  # other load on this machine can only add
        reading = sum(spent.values()) - spent["decision"] - spent["text"]
        size = sum(len(body) for _, _, body in of)
        print(f"{len(of):,} {what}, {size / len(of) / 1024:.0f} KiB each: share of the readers' time")
        for name, seconds in spent.most_common():
            if name not in ("decision", "text"):
                print(f"  {name:<16}{100 * seconds / reading:6.1f} %")
        print(f"  a decision takes {spent['decision'] / reading:.2f} times as long as its readers")
        if spent["text"]:
            print(f"  a decision takes {spent['decision'] / spent['text']:.2f} times as long as extracting the text")


if __name__ == "__main__":
    main()
