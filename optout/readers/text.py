"""Shows bytes as text, so that a quotation can be found again in its source."""

from __future__ import annotations

import codecs
import re

_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")
_UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def to_utf8(body: bytes) -> bytes:
    """Returns UTF-16 with a byte order mark as UTF-8, UTF-8 without its mark, anything else as it is.

    Bytes that are not UTF-16 become U+FFFD; they spoil only their line (RFC 9309 2.3, our choice for UTF-16).
    """
    encoding = _UTF_16.get(body[:2])
    if encoding:
        return body[2:].decode(encoding, "replace").encode()
    return body.removeprefix(codecs.BOM_UTF8)


def readable(octets: bytes) -> str:
    r"""Returns UTF-8 as text, with ``\xNN`` for other bytes and for control characters that no database keeps."""
    text = octets.decode("utf-8", "backslashreplace")
    return text if text.isprintable() else _CONTROLS.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def field_text(octets: bytes) -> str:
    """Returns the value of a header field as text that ``field_octets`` makes the same bytes of.

    UTF-8 as text; a byte that is not UTF-8 as half a surrogate pair (Python's surrogateescape), as it is no character
    that anybody could send. ``readable`` is how people are shown it.
    """
    return octets.decode("utf-8", "surrogateescape")


def field_octets(text: str) -> bytes:
    """Returns the bytes of a header field's value."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # of a case in JSON, which may hold half a pair of another kind
        return text.encode("utf-8", "surrogatepass")


def quoted(text: str) -> str:
    """Returns a header field's value, or a part of it, as it is quoted."""
    return readable(field_octets(text))


def human_size(octets: int) -> str:
    """Returns a limit as people read it: ``512 KiB``, ``2 MiB``."""
    for unit, factor in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if octets and octets % factor == 0:
            return f"{octets // factor} {unit}"
    return f"{octets} bytes"
