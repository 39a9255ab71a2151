"""The simulated sites of ``forbear demo``: many hosts on loopback, each with a different reservation, or none.

Three robots.txt files are real (folder demo_robots; from the test data of Protego, BSD-3-Clause). All pages are made
up. The pictures and documents (folder demo_files) were made with Pillow, pikepdf and c2pa-python.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import resources

from forbear.crawler.demo.demo_server import Reply, Site
from forbear.optout import policy
from forbear.optout.protocols import infringing_list

OPERATOR_LIST = b"""effect,match,by,at,why,until,lifts
block,blocked.example,legal team,2026-11-02,complaint 17: no copies for training,,
"""
"""The list of the demo's operator: sites to leave out, licences held."""

_PUBLICATION = f"sha256:{hashlib.sha256(b'a publication that was made up').hexdigest()}"
_COURT = ("DK", "A court that was made up", "Section 413 of an act that was made up")
INFRINGING_LIST = infringing_list.to_csv(
    [("films.example", *_COURT, "2026-10-05", "2026-10-09", "", _PUBLICATION, "")],
)
"""A list of infringing sites, in the form that `forbear lists` writes."""

_HTML = ("Content-Type", "text/html; charset=utf-8")
_TEXT = (("Content-Type", "text/plain; charset=utf-8"),)


def _page(
    title: str,
    *links: str,
    head: str = "",
    foot: str = "",
    headers: tuple[tuple[str, str], ...] = (),
    status: int = 200,
) -> Reply:
    anchors = "".join(f'<li><a href="{link}">{link}</a></li>' for link in links)
    body = (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n{head}</head>\n'
        f"<body>\n<main><h1>{title}</h1>\n<p>{_SENTENCES[len(title) % len(_SENTENCES)]}</p></main>\n"
        f"<ul>{anchors}</ul>\n{f'<footer>{foot}</footer>' if foot else ''}</body>\n</html>\n"
    )
    return Reply(body.encode(), status, (_HTML, *headers))


_SENTENCES = (
    "Seven boats left the harbour before sunrise and came back with herring, and the gulls had known it all along.",
    "The lamp was lit in 1811 and burned whale oil; the keeper's log names every ship that passed and the weather.",
    "Rye bread wants patience: a sour dough that has stood for a night, a hot oven, and nobody who opens its door.",
)


def _robots(text: str) -> Reply:
    return Reply(text.encode(), 200, _TEXT)


def _real(host: str) -> Reply:
    return Reply(
        resources.files("forbear.crawler.demo").joinpath("demo_robots", f"{host}.txt").read_bytes(), 200, _TEXT
    )


def _file(name: str, media_type: str) -> Reply:
    octets = resources.files("forbear.crawler.demo").joinpath("demo_files", name).read_bytes()
    return Reply(octets, 200, (("Content-Type", media_type),))


def _tdmrep(*rules: dict[str, object]) -> Reply:
    return Reply(json.dumps(list(rules), indent=1).encode(), 200, (("Content-Type", "application/json"),))


_PAYWALL = json.dumps({"@context": "https://schema.org", "@type": "NewsArticle", "isAccessibleForFree": False})

_LICENCE = b"""<?xml version="1.0" encoding="UTF-8"?>
<rsl xmlns="https://rslstandard.org/rsl">
  <content url="/">
    <license>
      <permits type="usage">ai-train</permits>
      <payment type="training"/>
    </license>
  </content>
</rsl>
"""

SITES: dict[str, Site] = {
    "library.example": {  # reserves nothing
        "/": _page("The harbour library", "/boats", "/lamps", "/bread"),
        "/boats": _page("Boats", "/"),
        "/lamps": _page("Lamps", "/boats"),
        "/bread": _page("Bread", "/"),
    },
    "government.example": {  # a real robots.txt: www.gov.uk
        "/robots.txt": _real("www.gov.uk"),
        "/": _page("Public services", "/bins", "/bins/print", "/info/bins"),
        "/bins": _page("When the bins are emptied"),
    },
    "database.example": {  # a real robots.txt: www.mysql.com
        "/robots.txt": _real("www.mysql.com"),
        "/": _page("A database", "/doc/", "/get/installer", "/auth/login/?next=/doc/"),
        "/doc/": _page("How to begin"),
    },
    "travel.example": {  # a real robots.txt: www.lonelyplanet.com
        "/robots.txt": _real("www.lonelyplanet.com"),
        "/": _page("Travel", "/lofoten", "/members/ada", "/lofoten?search=cabin"),
        "/lofoten": _page("Lofoten in March"),
    },
    "press.example": {  # shut to everybody
        "/robots.txt": _robots("User-agent: *\nDisallow: /\n"),
        "/": _page("The daily press"),
    },
    "archive.example": {  # lets others in, but not us
        "/robots.txt": _robots(
            "User-agent: *\nDisallow:\n\nUser-agent: ForbearBot\nDisallow: /letters/  # not for training\n"
        ),
        "/": _page("The archive", "/letters/1811", "/catalogue"),
        "/catalogue": _page("Catalogue"),
    },
    "journal.example": {  # TDMRep: a file with rules
        "/.well-known/tdmrep.json": _tdmrep(
            {"location": "/open/", "tdm-reservation": 0},
            {"location": "/", "tdm-reservation": 1, "tdm-policy": "https://journal.example/policy.json"},
        ),
        "/": _page("The journal", "/open/1"),
        "/open/1": _page("An open article"),
    },
    "magazine.example": {  # TDMRep: a header, an element
        "/": _page("The magazine", "/cover", "/essay"),
        "/cover": _page("The cover story", headers=(("tdm-reservation", "1"),)),
        "/essay": _page("An essay", head='<meta name="tdm-reservation" content="1">\n'),
    },
    "gallery.example": {  # noai, in a header and in an element
        "/": _page("The gallery", "/harbour", "/lighthouse"),
        "/harbour": _page("Harbour, oil on canvas", headers=(("X-Robots-Tag", "noai, noimageai"),)),
        "/lighthouse": _page("Lighthouse, etching", head='<meta name="robots" content="noai">\n'),
    },
    "studio.example": {  # AIPREF: Content-Usage, as a header
        "/": _page("The studio", "/sketches"),
        "/sketches": _page("Sketches", headers=(("Content-Usage", "train-ai=n, search=y"),)),
    },
    "theatre.example": {  # Content Signals, in robots.txt
        "/robots.txt": _robots("User-agent: *\nContent-Signal: search=yes, ai-train=no\nAllow: /\n"),
        "/": _page("The theatre"),
    },
    "records.example": {  # RSL: a licence that wants to be paid
        "/robots.txt": _robots("License: http://records.example/licence.xml\nUser-agent: *\nAllow: /\n"),
        "/licence.xml": Reply(_LICENCE, 200, (("Content-Type", "application/rsl+xml"),)),
        "/": _page("Old records"),
    },
    "weekly.example": {  # trust.txt
        "/trust.txt": Reply(b"datatrainingallowed=no\n", 200, _TEXT),
        "/": _page("The weekly"),
    },
    "novels.example": {  # ai.txt
        "/ai.txt": Reply(b"User-Agent: *\nAllow: *.txt\nDisallow: *.html\n", 200, _TEXT),
        "/": _page("Novels", "/chapter.html"),
        "/chapter.html": _page("Chapter one"),
    },
    "letters.example": {  # a purpose token in robots.txt
        "/robots.txt": _robots("User-agent: __usage_ai-training\nDisallow: /drafts/\n"),
        "/": _page("Letters", "/drafts/1"),
        "/drafts/1": _page("A draft"),
    },
    "choir.example": {  # shuts out others who collect training data: counts only in strict
        "/robots.txt": _robots("User-agent: GPTBot\nUser-agent: CCBot\nDisallow: /\n\nUser-agent: *\nAllow: /\n"),
        "/": _page("The choir"),
    },
    "bakery.example": {  # words for people: recorded, for people to judge
        "/": _page("The bakery", foot="All rights reserved, including those for text and data mining."),
    },
    "photos.example": {  # in the files themselves: IPTC's data mining property, Content Credentials
        "/": _page("Photographs", "/open.jpg", "/harbour.jpg", "/sealed.jpg"),
        "/open.jpg": _file("open.jpg", "image/jpeg"),
        "/harbour.jpg": _file("harbour.jpg", "image/jpeg"),
        "/sealed.jpg": _file("sealed.jpg", "image/jpeg"),
    },
    "shelf.example": {  # TDMRep in a book and in a document
        "/": _page("The shelf", "/book.epub", "/report.pdf"),
        "/book.epub": _file("book.epub", "application/epub+zip"),
        "/report.pdf": _file("report.pdf", "application/pdf"),
    },
    "news.example": {  # doors: a paywall, a login, a legal reason
        "/": _page("News", "/premium", "/account", "/removed"),
        "/premium": _page("For subscribers", head=f'<script type="application/ld+json">{_PAYWALL}</script>\n'),
        "/account": _page("Please sign in", status=401),
        "/removed": _page("Not available here", status=451),
    },
    "slow.example": {  # asks for patience
        "/robots.txt": _robots("User-agent: *\nCrawl-delay: 1\n"),
        "/": _page("Take your time", "/two"),
        "/two": _page("One second later"),
    },
    "storm.example": {  # its robots.txt cannot be read now
        "/robots.txt": Reply(b"overloaded\n", 503, _TEXT),
        "/": _page("In the storm"),
    },
    "moved.example": {  # redirects to a shut place
        "/": Reply(b"", 302, (("Location", "http://press.example/moved"),)),
    },
    "blocked.example": {"/": _page("Somebody who complained")},
    "films.example": {"/": _page("On a list of infringing sites")},
}
"""By host, by path."""


def _opting_out(name: str, texts: Mapping[str, str]) -> Site:
    """Returns a host that has done what an ``opt_out`` table of policy.toml says."""
    fields = (line.partition(": ") for line in texts.get("header", "").splitlines())
    headers = tuple((field, value) for field, _, value in fields)
    files = {path: Reply(text.encode(), 200, _TEXT) for path, text in texts.items() if path.startswith("/")}
    return {**files, "/": _page(f"A site with {name}", head=texts.get("head", ""), headers=headers)}


_SHOWN_ABOVE = {
    *("robots", "access", "tdmrep", "aipref", "usage-token", "robots-meta", "content-signal"),
    *("rsl", "iptc", "c2pa", "ai-txt", "trust-txt"),
}
SITES |= {
    f"{name}.example": _opting_out(name, entry.opt_out[0])
    for name, entry in policy.load().protocols.items()
    if entry.opt_out and name not in _SHOWN_ABOVE
}

OPTED_OUT: Site = {"/robots.txt": _robots("User-agent: *\nDisallow: /\n")}
"""A demo host after it has opted out."""

SEEDS = (*(f"http://{host}/" for host in SITES), "http://journal.example/open/1")
