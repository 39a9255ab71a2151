"""Validates what visitors send: mail addresses, and files by their first bytes."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

EMAIL = re.compile(r"[^\s@<>(),;:\"\\\[\]]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z0-9-]{2,63}", re.ASCII)
"""A common mail address; RFC 5321 allows more, which is hardly used."""

_MAGIC = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_OFFICE = ("docx", "odt")

MOST_FILES = 5
MOST_OCTETS = 5 * 1024 * 1024
"""Most bytes of one file."""

ACCEPTED = ".pdf,.png,.jpg,.jpeg,.gif,.webp,.txt,.docx,.odt"
"""File types that a browser offers to choose from."""


def media_type(name: str, content: bytes) -> str | None:
    """Returns the media type of a file by its first bytes and its name; None if it is not accepted."""
    for magic, kind in _MAGIC:
        if content.startswith(magic):
            return kind
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    ending = PurePosixPath(name).suffix.lower().removeprefix(".")
    if content.startswith(b"PK\x03\x04") and ending in _OFFICE:
        return "application/zip"
    return "text/plain" if ending == "txt" and _is_text(content) else None


def _is_text(content: bytes) -> bool:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return False
    return not any(ord(c) < 32 and c not in "\t\r\n\f" for c in text)


def file_name(name: str) -> str:
    """Returns a file name without folders and control characters, at most 100 characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in last if c.isprintable() and c not in '"<>|:*?')[-100:] or "file"
