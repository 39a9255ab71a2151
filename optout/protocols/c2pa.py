"""Reads training and data mining assertions in Content Credentials, in the file or where the file points to.

A reservation counts even in a manifest that does not validate; a permission in such a manifest counts for nothing.

CAWG 1.1 (DIF, 16 May 2025) and C2PA 1.4, 19.23 for the assertions, C2PA 2.2 for the manifests; sections
without a name are of C2PA 2.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from forbear.optout.captures import Hop
from forbear.optout.model import (
    AI_USES,
    IN_STRICT,
    NEVER,
    Capture,
    Gap,
    Preference,
    Reading,
    Statement,
    StatementStatus,
    Use,
)
from forbear.optout.readers import c2pa_store, embedded_xmp, html, link_header, url, xmp
from forbear.optout.readers.c2pa_store import Manifest, Store
from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.text import quoted, readable

NAME = "c2pa"
PLACES: tuple[str, ...] = ()

# 2.2 6.4: further assertions of a kind have a number.
_LABEL = re.compile(r"(?:cawg|c2pa)\.training-mining(?:\.v\d+)?(?:__\d+)?")
_KEY = re.compile(r"(?:cawg|c2pa)\.(ai_generative_training|ai_training|ai_inference|data_mining)")
_GENERATIVE = "ai_generative_training"
# Training of generative models is the very use (aipref-vocab-08), data mining is what Directive 2019/790 4(3) lets
# reserve; a reservation of training models does not except the generative ones (our rule).
_USES = {
    _GENERATIVE: AI_USES,
    "data_mining": AI_USES,
    "ai_training": AI_USES,
    "ai_inference": frozenset({Use.AI_USE}),
}
_NOTHING: frozenset[Use] = frozenset()
# A constraint is text for people: until they have read it, it is a no (our rule).
_PREFERENCES = {"allowed": Preference.ALLOW, "notAllowed": Preference.DISALLOW, "constrained": Preference.DISALLOW}

MAX_ENTRIES = 500
"""How many entries the assertions of a store may have."""
MAX_REMOTE = 4
"""How many manifest stores an answer may name."""


def read(hop: Hop) -> Reading:
    """Yields what the file's manifests say: the store in it, or else one that its answer or its XMP names (11.5)."""
    page = hop.page
    if page is None:
        return
    found = c2pa_store.embedded(page)
    for store in found.stores:
        yield from _read_store(store, page.url)
    if found.failure:
        yield Gap(NAME, "unreadable", page.url, "manifest store", found.failure)
    elif not found.stores:
        yield from _elsewhere(hop, page, found.remote)


# --- (11.5, 15.5.3) manifests that lie elsewhere


def _elsewhere(hop: Hop, page: Capture, by_reader: str) -> Reading:
    named: dict[str, str] = {}
    for where, target in _named(page, by_reader):
        try:
            named.setdefault(url.join(page.url, target).href, where)
        except url.NotAUrl:
            yield Gap(NAME, quoted(target), page.url, where, "It is not a URL.", IN_STRICT)
    for failure in embedded_xmp.read(page).failures:
        yield Gap(NAME, "unreadable", page.url, "XMP", failure)
    if len(named) > MAX_REMOTE:
        yield Gap(NAME, "unreadable", page.url, "manifest store", f"More than {MAX_REMOTE} manifests are named.")
        return
    for target, where in named.items():
        yield from _fetched(hop, page, target, where)


def _named(page: Capture, by_reader: str) -> Iterator[tuple[str, str]]:
    """Yields where a manifest is named, and its URL as written."""
    for link in link_header.links(page.header("link")):
        if "c2pa-manifest" in link.relations:
            yield "header link", link.target
    by_xmp = [
        (item.where, item.value)
        for packet in embedded_xmp.read(page).packets
        for item in packet.properties((xmp.TERMS,))
        # The property is Dublin Core's and may hold any text; a store in the file itself is not remote.
        if item.name == "provenance" and re.match(r"https?://", item.value, re.IGNORECASE)
    ]
    yield from by_xmp
    if by_reader and not by_xmp:
        yield "XMP", by_reader


def _fetched(hop: Hop, page: Capture, target: str, where: str) -> Reading:
    capture = yield from hop.look(NAME, target)
    if capture is None:
        yield Gap(NAME, target, page.url, where, f"{target} gave no manifest.", NEVER)
        return
    if html.is_html(capture):
        yield Gap(NAME, "html", capture.url, "whole file", f"{capture.url} is a page and no manifest.", IN_STRICT)
        return
    try:
        store = c2pa_store.detached(capture, page)
    except Unreadable as error:
        yield Gap(NAME, "unreadable", capture.url, "manifest store", str(error))
        return
    yield from _read_store(store, capture.url)


# --- what a store says


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of a training and data mining assertion; ``key`` without its prefix, empty for somebody's own."""

    key: str
    written: str
    use: object
    where: str


def _read_store(store: Store, source: str) -> Iterator[Statement | Gap]:
    """Yields statements of the active manifest, then its parents; of others only that they have one (18.15)."""
    if sum(1 for manifest in store.manifests.values() for _ in _entries(manifest)) > MAX_ENTRIES:
        yield Gap(NAME, "unreadable", source, "manifest store", f"It has more than {MAX_ENTRIES} entries.")
        return
    own, parents, others = _lineage(store)
    entries = [entry for manifest in own for entry in _entries(manifest)]
    allowed = {entry.key for entry in entries if entry.use == "allowed" and store.is_valid}
    note = "" if store.is_valid else f"The manifest does not validate: {', '.join(store.failures)}."
    for entry in entries:
        worthless = entry.use == "allowed" and not store.is_valid
        yield from _statement(
            entry, source, StatementStatus.SUPERSEDED if worthless else StatementStatus.STANDING, note
        )
    for entry in (entry for manifest in parents for entry in _entries(manifest)):
        if entry.use == "allowed":
            force = StatementStatus.SUPERSEDED
        else:
            force = StatementStatus.CONTRADICTED if allowed & {_GENERATIVE, entry.key} else StatementStatus.STANDING
        yield from _statement(entry, source, force, f"It is about what this was made from. {note}".strip())
    for entry in (entry for manifest in others for entry in _entries(manifest)):
        about = "It is about a part or source, not about the whole."
        yield from _statement(entry, source, StatementStatus.SUPERSEDED, f"{about} {note}".strip())


def _lineage(store: Store) -> tuple[list[Manifest], list[Manifest], list[Manifest]]:
    """Returns the manifests of this very content, those of what it was made from, and those of other ingredients.

    An update manifest leaves the content alone (11.2.3), so the one before it speaks of the same.
    """
    own: list[Manifest] = [store.manifests[store.active]]
    parents: list[Manifest] = []
    roles = {store.active: own}
    for manifest in (waiting := list(own)):
        role = roles[manifest.label]
        for relationship, label in manifest.ingredients:
            if relationship == "parentOf" and label not in roles and label in store.manifests:
                roles[label] = own if manifest.is_update and role is own else parents
                roles[label].append(store.manifests[label])
                waiting.append(store.manifests[label])
    return own, parents, [manifest for label, manifest in store.manifests.items() if label not in roles]


def _entries(manifest: Manifest) -> Iterator[_Entry]:
    """Yields the entries of all assertions, with or without the map that C2PA 1.3 left out of its schema."""
    for label, assertion in manifest.assertions.items():
        if not _LABEL.fullmatch(label):
            continue
        where = f"{manifest.label}, {label}"
        maps = [assertion, assertion.get("entries", {})] if isinstance(assertion, dict) else [assertion]
        for entries in maps:
            if not isinstance(entries, dict):
                yield _Entry(_GENERATIVE, label, None, where)
                continue
            for key, entry in sorted(entries.items()):
                match = _KEY.fullmatch(key)
                if match or (isinstance(entry, dict) and "use" in entry):
                    use = entry.get("use") if isinstance(entry, dict) else entry
                    yield _Entry(match[1] if match else "", key, use, f"{where}, {key}")


def _statement(entry: _Entry, source: str, force: StatementStatus, note: str) -> Iterator[Statement | Gap]:
    quote = readable((entry.use if entry.use and isinstance(entry.use, str) else entry.written).encode())
    preference = _PREFERENCES.get(entry.use) if isinstance(entry.use, str) else None
    uses = _USES.get(entry.key, _NOTHING)
    if preference is None and entry.key:
        preference = Preference.DISALLOW
        force = StatementStatus.MALFORMED if force is StatementStatus.STANDING else force
        detail = "The schema of the assertion does not know this use."
        yield Gap(NAME, quote, source, entry.where, detail, NEVER)
    yield Statement(NAME, preference or Preference.UNKNOWN, quote, source, entry.where, uses, force, note)
