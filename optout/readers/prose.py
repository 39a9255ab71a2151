"""Finds sentences by which people reserve text and data mining, or the training of AI.

The words are data, in prose.toml, for the EU's official languages; what is found is for people to judge.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from html import unescape
from importlib import resources

MAX_SENTENCE = 2_000
"""Bytes of a sentence that are looked at."""
MAX_QUOTE = 500
"""Bytes of a sentence that are quoted."""
MAX_SENTENCES = 200
"""Sentences of one text that are looked at word by word."""

# An abbreviation (Art., Abs., gem.) ends no sentence.
_END = re.compile(rb"(?<=[\w)\xbb]{4}[.!?;])\s+(?=[A-Z\xc0-\xff\"<&\xa7])")
_MARKUP = re.compile(r"<[^>]*+>")


@dataclass(frozen=True, slots=True)
class _Language:
    mining: re.Pattern[str]
    training: re.Pattern[str]
    ai: re.Pattern[str]
    refusal: re.Pattern[str]
    stems: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Words:
    """prose.toml, compiled."""

    mining: re.Pattern[str]
    ai: re.Pattern[str]
    links: re.Pattern[str]
    stems: tuple[bytes, ...]
    languages: dict[str, _Language]


@cache
def _words() -> _Words:
    table = tomllib.loads(resources.files("forbear.optout").joinpath("prose.toml").read_text("utf-8"))
    common, links = table["common"], table["links"]
    return _Words(
        _compile(common["mining"]),
        _compile(common["ai"]),
        _compile(links["words"]),
        tuple(stem.encode() for stem in (*common["stems"], *links["stems"])),
        {code: _language(**entry) for code, entry in table["languages"].items()},
    )


def _language(stems: list[str], **patterns: str) -> _Language:
    compiled = {name: _compile(text) for name, text in patterns.items()}
    return _Language(**compiled, stems=tuple(stem.encode() for stem in stems))


def _compile(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


def may_reserve(lower: bytes, language: str = "") -> bool:
    """Returns whether a text in lower case has a part of such words, in these languages or else in any.

    As cheap as bytes can be searched; a text of which this is not true reserves nothing in these languages.
    """
    words = _words()
    known = words.languages.get(language)
    languages = (known, words.languages["en"]) if known else words.languages.values()
    return any(stem in lower for stem in words.stems) or any(
        stem in lower for one in dict.fromkeys(languages) for stem in one.stems
    )


def reserving(text: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields the sentences that reserve, each with its offset, with the markup in them."""
    looked = start = 0
    for end in (*(match.start() for match in _END.finditer(text)), len(text)):
        sentence, at, start = text[start:end], start, end
        if not may_reserve(sentence[:MAX_SENTENCE].lower()):
            continue
        looked += 1
        if looked > MAX_SENTENCES:
            return
        if reserves(sentence[:MAX_SENTENCE].decode("utf-8", "replace")):
            blank = len(sentence) - len(sentence.lstrip())
            yield at + blank, _cut(sentence.strip())


def reserves(sentence: str) -> bool:
    """Returns whether it has words for mining or AI training, and a word of refusal in the same language."""
    words, plain = _words(), _plain(sentence)
    mining, ai = words.mining.search(plain), words.ai.search(plain)
    return any(
        (mining or one.mining.search(plain) or ((ai or one.ai.search(plain)) and one.training.search(plain)))
        and one.refusal.search(plain)
        for one in words.languages.values()
    )


def names_terms(link: str) -> bool:
    """Returns whether the text of a link says that it leads to terms about mining or AI."""
    return _words().links.fullmatch(_plain(link)) is not None


def _plain(text: str) -> str:
    return " ".join(unescape(_MARKUP.sub(" ", text)).split())


def _cut(octets: bytes) -> bytes:
    end = MAX_QUOTE
    while end < len(octets) and octets[end] & 0xC0 == 0x80:
        end -= 1  # A character of several bytes stays whole.
    return octets[:end]
