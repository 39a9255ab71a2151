"""Host names as the database keeps them: A-labels, U-labels, registrable domain (Public Suffix List, bundled)."""

from __future__ import annotations

import hashlib
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from forbear.optout.readers.url import NotAUrl, Url, parse

if TYPE_CHECKING:
    from tldextract import TLDExtract

_LONGEST = 255
"""RFC 1035 2.3.4: no longer name can be asked for, but a link may hold one, and an index cannot."""


def host_of(url: Url) -> str:
    """The host as it is stored; one longer than any DNS name is cut at its left end."""
    return url.host[-_LONGEST:]


@lru_cache(maxsize=4096)
def host_in(canonical: str) -> str:
    """The same of a URL in canonical form, without reading it again."""
    authority = canonical.split("/", 3)[2]
    host = authority.rpartition("@")[2]
    hostname, colon, port = host.rpartition(":")
    return (hostname if colon and port.isdigit() else host)[-_LONGEST:]


@lru_cache(maxsize=65536)
def domain_of(host: str) -> str:
    """The registrable domain of a host; the host itself for an IP address, a single label or a public suffix.

    A top-level domain that the list does not have is a public suffix (its default rule, ``*``).
    """
    parts = _suffixes()(host)
    if not parts.suffix and parts.subdomain and not parts.ipv4 and not parts.ipv6:
        return ".".join(host.rsplit(".", 2)[-2:])
    return parts.top_domain_under_public_suffix or host


def is_delegated(host: str) -> bool:
    """Whether the host is below a top-level domain that the Public Suffix List has, as it does those of the root."""
    return bool(_suffixes()(host).suffix)


@cache
def _suffixes() -> TLDExtract:
    from tldextract import TLDExtract  # noqa: PLC0415 it loads a client for HTTP, and a look-up does without both

    return TLDExtract(suffix_list_urls=(), cache_dir=None)


def unicode_of(host: str) -> str:
    """The host as people write it (U-labels)."""
    try:
        return parse(f"https://{host}/").unicode_host
    except NotAUrl:  # cut at its left end
        return host


def read(text: str) -> Url:
    """A domain or URL as somebody typed or pasted it (``Bücher.example``, ``https://a.example/x``); raises NotAUrl."""
    text = text.strip()
    try:
        return parse(text if "://" in text else f"https://{text.rstrip('.')}")
    except NotAUrl:
        raise NotAUrl(f"{text!r} is no domain or URL: write one like example.org or https://example.org/page") from None


def digest(*parts: str) -> bytes:
    """16 octets of BLAKE2b over texts of any length, to index and compare them by."""
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()
