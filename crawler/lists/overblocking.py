"""What a listed name would shut beside the site that is meant: such an entry waits until a person lets it in."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from tldextract import TLDExtract

_every = TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True)
_public = TLDExtract(suffix_list_urls=(), cache_dir=None)
_FEW_LETTERS = 2


def doubt(host: str, rest: str = "") -> str:
    """Why a person must look at an entry for a host (A-labels), or nothing.

    ``rest`` is what the publication names below the host. The Public Suffix List is the one that tldextract bundles:
    its private section names the domains below which everybody has a site of his own.
    """
    if host.startswith("[") or re.fullmatch(r"[\d.]+", host):
        return "an IP address: other sites may stand at it"
    suffixes, private = _suffixes()
    if host in suffixes - private or "." not in host:
        return "a public suffix: everybody's domains stand below it"
    if host in private or any(f".{suffix}".endswith(f".{host}") for suffix in private):
        return "shared hosting (Public Suffix List, private section): everybody's sites stand below it"
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
    """All public suffixes in A-labels, and those of the private section."""
    every, public = (frozenset(map(_ascii, extract.tlds)) for extract in (_every, _public))
    return every, every - public


def _ascii(suffix: str) -> str:
    return suffix.lstrip("!*.").encode("idna").decode() if not suffix.isascii() else suffix.lstrip("!*.")


@cache
def _names() -> dict[str, str]:
    """The large sites by the name before their suffix; one of one or two letters says nothing."""
    return {label: site for site in reversed(_large()) if len(label := _public(site).domain) > _FEW_LETTERS}


@cache
def _large() -> tuple[str, ...]:
    text = resources.files("forbear.crawler.lists").joinpath("large_sites.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))
