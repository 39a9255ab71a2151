"""What holds an entry of a list of infringing sites back, until a person lets it in."""

from __future__ import annotations

import pytest

from forbear.crawler.lists.overblocking import doubt


@pytest.mark.parametrize(
    ("host", "rest", "because"),
    [
        ("films.example", "", ""),
        ("cdn.films.example", "", ""),
        ("films.github.io", "", ""),  # one customer's site, and nobody else's
        ("films.example", "/page/7", "only /page/7"),
        ("192.0.2.7", "", "IP address"),
        ("[2001:db8::7]", "", "IP address"),
        ("dk", "", "public suffix"),
        ("co.uk", "", "public suffix"),
        ("xn--j6w193g", "", "public suffix"),  # 香港
        ("example", "", "public suffix"),
        ("github.io", "", "shared hosting"),
        ("blogspot.com", "", "shared hosting"),
        ("amazonaws.com", "", "shared hosting"),  # s3.amazonaws.com and others stand in the private section
        ("youtube.com", "", "youtube.com"),
        ("drive.usercontent.google.com", "", "google.com"),  # was shut by mistake on 19 October 2024 in Italy
        ("notyoutube.com", "", ""),
        ("google.co.uk", "", "named like google.com"),
        ("smile.amazon.pl", "", "named like amazon.com"),
        ("x.example", "", ""),  # x.com's name is too short to mean anything
        ("google", "", "public suffix"),
        ("dns.google", "", "dns.google"),
        ("bit.ly", "", "bit.ly"),
        ("127.1", "", "IP address"),
        ("3232235777", "", "IP address"),
        ("192.0.2.0", "/24", "IP address"),
        ("2001:db8::7", "", "public suffix"),  # no host's form: held back all the same
        ("localhost", "", "public suffix"),
    ],
)
def test_doubt(host: str, rest: str, because: str) -> None:
    said = doubt(host, rest)
    assert because in said
    assert bool(said) == bool(because)
