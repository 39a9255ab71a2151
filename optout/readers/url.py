"""Parses URLs by the WHATWG URL standard (ada) and compares them by RFC 3986 and RFC 9309 2.2.2."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import ada_url
import idna

DEFAULT_PORT = {"http": 80, "https": 443}
_OCTET = re.compile("[\udc80-\udcff]")


class NotAUrl(ValueError):
    """Text that is not an http or https URL; the message is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Url:
    """A canonical http(s) URL: no userinfo, no fragment, no dot segments, no default port, host in A-labels.

    ``href`` is what is requested; ``target`` is its path and query, as rules are matched against (RFC 9309 2.2.2);
    ``origin`` is scheme, host and port: what a robots.txt and a well-known file hold for (RFC 9309 2.3, RFC 8615).
    """

    href: str
    scheme: str
    host: str
    port: int
    origin: str

    @property
    def target(self) -> str:
        """Returns path and query: it begins with ``/``, and an empty query keeps its ``?``."""
        return self.href[len(self.origin) :]

    @property
    def path(self) -> str:
        """Returns the path alone."""
        return self.target.partition("?")[0]

    @property
    def unicode_host(self) -> str:
        """Returns the host in U-labels, as people read it; as it is where it has no such form."""
        try:
            return idna.decode(self.host) if "xn--" in self.host else self.host
        except idna.IDNAError:
            return self.host


@lru_cache(maxsize=4096)
def parse(url: str) -> Url:
    """Returns the canonical form of an absolute http(s) URL; raises NotAUrl.

    A backslash after the host is escaped, not taken for a slash as browsers do: rules are compared with it as a
    character of the path (RFC 3986 3.3 has no such separator).
    """
    _, slash, rest = url.partition("://")[2].partition("/")
    if "\\" in rest:
        url = url[: -len(slash + rest)] + slash + rest.replace("\\", "%5C")
    try:
        href = ada_url.URL(url).href
    except ValueError:
        raise NotAUrl(f"{url!r} is not a URL: write one like https://example.org/page") from None
    return _split(href)


def join(base: str, reference: str) -> Url:
    """Returns the canonical form of a reference as found on ``base`` (a Location header, a link); raises NotAUrl.

    A byte of a header field that is not UTF-8 (``readers.text.field_text``) is asked for as it came: ``%E9``.
    """
    reference = _OCTET.sub(lambda match: f"%{ord(match[0]) & 0xFF:02X}", reference)
    try:
        href = ada_url.join_url(base, reference)
    except ValueError:
        raise NotAUrl(f"{reference!r}, found on {base}, is not a URL") from None
    return parse(href) if "\\" in href else _split(href)


def base(page: str, written: str | None) -> str:
    """Returns the URL that a page's references are relative to (HTML 2.4.1); ``written`` is its base element's."""
    try:
        return join(page, written.strip("\t\n\f\r ")).href if written is not None else page
    except NotAUrl:
        return page


@lru_cache(maxsize=4096)
def _split(href: str) -> Url:
    """Returns the parts of a serialised URL (4.5); read here because asking ada for each costs more."""
    scheme, _, rest = href.partition("#")[0].partition(":")
    if scheme not in DEFAULT_PORT:
        raise NotAUrl(f"{href!r} is not an http or https URL, and only those are fetched")
    authority, _, target = rest[2:].partition("/")
    host = authority.rpartition("@")[2]
    hostname, colon, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    origin = f"{scheme}://{host}"
    return Url(
        f"{origin}/{target}", scheme, hostname if colon else host, int(port) if colon else DEFAULT_PORT[scheme], origin
    )


# URL parsers escape an apostrophe in a query (URL standard, special-query percent-encode set), so that it is not known
# any more how it was written: both spellings are one, though RFC 3986 reserves the character.
_MARKS = frozenset(b"-._~'")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") | _MARKS
_ODD = re.compile(rb"%[0-9A-Fa-f]{2}|[^\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]")


def _plain(match: re.Match[bytes], decoded: frozenset[int] = _UNRESERVED) -> bytes:
    octets = match[0]
    if len(octets) == 3:
        octet = int(octets[1:], 16)
        return bytes((octet,)) if octet in decoded else octets.upper()
    return b"%%%02X" % octets[0]


def normalise(octets: bytes) -> bytes:
    r"""Returns one spelling for the two sides of a comparison (RFC 9309 2.2.2, RFC 3986 6.2.2).

    Escaped unreserved characters are decoded, other escapes get upper-case digits, bytes that no URI holds
    (above 0x7F, white space, ``"<>\^`{|}``) are escaped; reserved characters stay as they are written.
    """
    return _ODD.sub(_plain, octets)


def normalise_as_written(octets: bytes) -> bytes:
    """Returns the same, but escaped letters and digits stay escaped: ``%69`` is not ``i``."""
    return _ODD.sub(lambda match: _plain(match, _MARKS), octets)
