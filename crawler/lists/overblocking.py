"""Finds entries that would exclude more than the site that is meant; these wait until a person accepts them."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from tldextract import TLDExtract

_every = TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True)
_public = TLDExtract(suffix_list_urls=(), cache_dir=None)
_FEW_LETTERS = 2


def doubt(host: str, rest: str = "") -> str:
    """Returns why a person must review an entry for a host (A-labels); empty if nobody must.

    ``rest`` is the path that the publication names below the host. The Public Suffix List is the one bundled with
    tldextract; its private section names domains below which anybody can have a site.
    """
    if host.startswith("[") or re.fullmatch(r"[\d.]+", host):
        return "an IP address: other sites may share it"
    suffixes, private = _suffixes()
    if host in suffixes - private or "." not in host:
        return "a public suffix: everybody's domains are below it"
    if host in private or any(f".{suffix}".endswith(f".{host}") for suffix in private):
        return "shared hosting (Public Suffix List, private section): everybody's sites are below it"
    for site in _large():
        if host == site or host.endswith(f".{site}"):
            return f"a part of {site}, which serves everybody"
    label = _every(host).domain
    if label in _names():
        return f"named like {_names()[label]}, which serves everybody: it may be the same in another country"
    if rest:
        return f"only {rest} of it is named, not the whole site"
    return ""


@cache
def _suffixes() -> tuple[frozenset[str], frozenset[str]]:
    """Returns all public suffixes as A-labels, and those of the private section."""
    every, public = (frozenset(map(_ascii, extract.tlds)) for extract in (_every, _public))
    return every, every - public


def _ascii(suffix: str) -> str:
    return suffix.lstrip("!*.").encode("idna").decode() if not suffix.isascii() else suffix.lstrip("!*.")


@cache
def _names() -> dict[str, str]:
    """Returns the large sites by the name before their suffix; names of one or two letters are too common to use."""
    return {label: site for site in reversed(_large()) if len(label := _public(site).domain) > _FEW_LETTERS}


@cache
def _large() -> tuple[str, ...]:
    text = resources.files("forbear.crawler.lists").joinpath("large_sites.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))
