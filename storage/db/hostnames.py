"""Host names as the database keeps them: A-labels, U-labels, registrable domain (bundled Public Suffix List)."""

from __future__ import annotations

import hashlib
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from forbear.optout.readers.url import NotAUrl, Url, parse

if TYPE_CHECKING:
    from tldextract import TLDExtract

_LONGEST = 255
"""RFC 1035 2.3.4: DNS has no longer name, but a link may hold one, which an index cannot."""


def host_of(url: Url) -> str:
    """Returns the host as it is stored; one longer than any DNS name is cut at its left end."""
    return url.host[-_LONGEST:]


@lru_cache(maxsize=4096)
def host_in(canonical: str) -> str:
    """Like ``host_of``, from a canonical URL, without parsing it."""
    authority = canonical.split("/", 3)[2]
    host = authority.rpartition("@")[2]
    hostname, colon, port = host.rpartition(":")
    return (hostname if colon and port.isdigit() else host)[-_LONGEST:]


@lru_cache(maxsize=65536)
def domain_of(host: str) -> str:
    """Returns the registrable domain of a host; the host itself for an IP address, single label or public suffix.

    A top-level domain that the list does not have counts as a public suffix (the list's default rule, ``*``).
    """
    parts = _suffixes()(host)
    if not parts.suffix and parts.subdomain and not parts.ipv4 and not parts.ipv6:
        return ".".join(host.rsplit(".", 2)[-2:])
    return parts.top_domain_under_public_suffix or host


def is_delegated(host: str) -> bool:
    """Checks that the host's top-level domain is in the Public Suffix List, which has all of the root's."""
    return bool(_suffixes()(host).suffix)


@cache
def _suffixes() -> TLDExtract:
    from tldextract import TLDExtract  # noqa: PLC0415 it loads an HTTP client; look-ups need neither

    return TLDExtract(suffix_list_urls=(), cache_dir=None)


def unicode_of(host: str) -> str:
    """Returns the host as people write it (U-labels)."""
    try:
        return parse(f"https://{host}/").unicode_host
    except NotAUrl:  # cut at its left end
        return host


def read(text: str) -> Url:
    """Parses a domain or URL as people type it (``Bücher.example``, ``https://a.example/x``); raises NotAUrl."""
    text = text.strip()
    try:
        return parse(text if "://" in text else f"https://{text.rstrip('.')}")
    except NotAUrl:
        raise NotAUrl(
            f"{text!r} is not a domain or URL: write one like example.org or https://example.org/page"
        ) from None


def digest(*parts: str) -> bytes:
    """Hashes texts of any length to 16 bytes (BLAKE2b), to index and compare them by."""
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()
