"""Reads C2PA manifest stores (C2PA 2.2): embedded in a file, or fetched from where it names one.

Read by c2pa-rs, configured never to use the network. It is native code: a panic in it ends the process, so it gets only
files that have a mark of a store, and none beyond MAX_OCTETS.
"""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass, field
from typing import Any

import c2pa  # type: ignore[import-untyped]

from forbear.optout.model import Capture
from forbear.optout.readers import c2pa_bounds, container, embedded_xmp, images, pdf
from forbear.optout.readers.container import Container
from forbear.optout.readers.errors import Unreadable
from forbear.optout.readers.text import human_size, to_utf8

MAX_OCTETS = 67_108_864
"""A larger file or store is not read: 64 MiB."""
MAX_REPORT = 33_554_432
"""Characters of a store's contents as JSON."""
STORE_TYPE = "application/c2pa"

# Whatever could make the reader ask somebody else: remote manifests (15.5.3), certificate status (14.5.3), identities
# (CAWG Identity 1.1); and what could make it write to a disk or inflate without end.
_SETTINGS = {
    "core": {
        "allowed_network_hosts": [],
        "allow_redirects": False,
        "backing_store_memory_threshold_in_mb": 512,
        "decode_identity_assertions": False,
        "max_decompressed_manifest_size_in_mb": 1,
    },
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
}

_BOX = rb"\xd8\xfe\xc3\xd6\x1b\x0e\x48\x3c\x92\x97\x58\x28\x87\x7e\xc4\x81"
# The name by which the reader knows each container, and what marks a store in it, were it empty (11.3, A.3). A tag of
# ID3 may compress what it holds. TIFF has a field, which is looked for.
_KNOWN = {
    Container.JPEG: ("image/jpeg", rb"\xff\xeb"),
    Container.PNG: ("image/png", rb"caBX"),
    Container.GIF: ("image/gif", rb"C2PA_GIF"),
    Container.WEBP: ("image/webp", rb"C2PA"),
    Container.TIFF: ("image/tiff", rb""),
    Container.BMFF: ("video/mp4", _BOX),
    Container.JPEG_XL: ("image/jxl", rb"jumb"),
    Container.SVG: ("image/svg+xml", rb"c2pa"),
    Container.RIFF: ("audio/wav", rb"C2PA"),
    Container.ID3: ("audio/mpeg", rb"GEO|jumb|c2pa"),
    Container.FLAC: ("audio/flac", rb"jumb|c2pa"),
    Container.ZIP: ("application/x-zip", rb"content_credential\.c2pa"),
    Container.EPUB: ("application/x-zip", rb"content_credential\.c2pa"),
}
# A segment of a stream has hashes in such boxes, which are checked against the store in its first file (A.5.2).
_SEGMENTS = (b"styp", b"moof", b"sidx", b"emsg", b"prft")
_NOT_OF_HASHES = re.compile(_BOX + rb"(?!.{4}merkle\0)", re.DOTALL)
# JUMBF's description of a manifest store (11.1.4.2), and where one is the file's own wherever it is.
_STORE = b"jumdc2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71"
_OWN = frozenset({Container.JPEG, Container.PNG, Container.GIF, Container.WEBP, Container.JPEG_XL})
_UNTRUSTED = "signingCredential.untrusted"
_MANIFEST = re.compile(r"/c2pa/([^/]+)")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest: its assertions by label, and for each ingredient its relationship and its manifest's label.

    ``is_update`` is true for an update manifest (11.2.3): it is bound to no content of its own.
    """

    label: str
    assertions: dict[str, Any]
    ingredients: tuple[tuple[str, str], ...]
    is_update: bool


@dataclass(frozen=True, slots=True)
class Store:
    """A manifest store; ``failures`` are the codes of what does not validate (15.2.2), trust aside."""

    active: str
    manifests: dict[str, Manifest]
    is_valid: bool
    failures: tuple[str, ...]


@dataclass(slots=True)
class EmbeddedStores:
    """The stores in a file, a URL that the reader found instead of one, and why it could not be read."""

    stores: list[Store] = field(default_factory=list)
    remote: str = ""
    failure: str = ""


def embedded(capture: Capture) -> EmbeddedStores:
    """Returns what an answer carries, read once; nothing if its kind of file cannot, or has no mark of a store."""
    found: EmbeddedStores | None = capture.memo.get("c2pa_store")
    if found is None:
        found = EmbeddedStores()
        try:
            _embedded(capture, found)
        except Unreadable as error:
            found.failure = str(error)
        capture.memo["c2pa_store"] = found  # not before: what fails in another way must fail again
    return found


def detached(store: Capture, asset: Capture) -> Store:
    """Returns a store that was fetched for an asset, read once for it. Raises Unreadable."""
    key = f"c2pa_store at {store.url}"
    found: Store | None = asset.memo.get(key)
    if found is None:
        known = _KNOWN.get(container.of(asset) or Container.PDF)
        c2pa_bounds.check(None, store.body)
        try:
            # What is bound to a page or a document is read without it: the reader does not know them well.
            found = _read(known[0], asset.body, store.body) if known else _read(STORE_TYPE, store.body)
        except (c2pa.C2paError.ManifestNotFound, _Elsewhere):
            raise Unreadable("It is not a manifest store.") from None
        asset.memo[key] = found
    return found


def _embedded(capture: Capture, found: EmbeddedStores) -> None:
    kind = container.of(capture)
    try:
        if kind is Container.PDF:
            # The catalog may be compressed, so that no mark shows.
            for store in pdf.manifest_stores(capture):
                c2pa_bounds.check(None, store)
                found.stores.append(_read(STORE_TYPE, store))
        elif kind is not None and kind in _KNOWN and _shows_a_mark(kind, capture.body):
            _refuse_what_takes_long(kind, capture)
            found.stores.append(_read(_KNOWN[kind][0], capture.body))
    except c2pa.C2paError.ManifestNotFound:
        if kind in _OWN and _STORE in capture.body:
            raise Unreadable("It has a manifest store in a place where none belongs.") from None
    except _Elsewhere as error:
        found.remote = str(error)


def _refuse_what_takes_long(kind: Container, capture: Capture) -> None:
    """Raises Unreadable for a file that would take minutes, since the reader compares boxes with each other."""
    found = embedded_xmp.read(capture)
    # What the frames of a tag inflate to is only known of one that is whole.
    if too_much := found.too_much or (found.failures[0] if kind is Container.ID3 and found.failures else ""):
        raise Unreadable(too_much)
    c2pa_bounds.check(kind, capture.body)


def _shows_a_mark(kind: Container, body: bytes) -> bool:
    if kind is Container.TIFF:
        return images.has_manifest_field(body)
    if kind is Container.BMFF and body[4:8] in _SEGMENTS:
        return _NOT_OF_HASHES.search(body) is not None
    octets = to_utf8(body) if kind is Container.SVG else body
    return re.search(_KNOWN[kind][1], octets, re.DOTALL) is not None


class _Elsewhere(Exception):
    """The store is not in the file; the message is its URL."""


def _read(media_type: str, asset: bytes, store: bytes | None = None) -> Store:
    """Raises Unreadable, C2paError.ManifestNotFound for a file without a store, _Elsewhere."""
    if max(len(asset), len(store or b"")) > MAX_OCTETS:
        raise Unreadable(f"The file has more than {human_size(MAX_OCTETS)}.")
    try:
        context = c2pa.Context(c2pa.Settings.from_dict(_SETTINGS))
        with c2pa.Reader(media_type, io.BytesIO(asset), store, context=context) as reader:
            report = reader.detailed_json()
    except c2pa.C2paError.ManifestNotFound:
        raise
    except c2pa.C2paError as error:
        if found := re.search(r"\bremote manifests?\b.*?(https?://\S+)", str(error)):
            raise _Elsewhere(found[1]) from None
        raise Unreadable(f"The manifest store cannot be read: {error}.") from None
    if len(report) > MAX_REPORT:
        raise Unreadable(f"The manifest store says more than {MAX_REPORT} characters.")
    try:
        return _store(json.loads(report))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable(f"The manifest store has a form that is not known: {error!r}.") from None


def _store(report: dict[str, Any]) -> Store:
    manifests = {label: _manifest(label, contents) for label, contents in sorted(report["manifests"].items())}
    active = report["active_manifest"]
    if active not in manifests:
        raise ValueError("it has no active manifest")
    results = report.get("validation_results", {})
    deltas = [delta["validationDeltas"] for delta in results.get("ingredientDeltas") or ()]
    failed = [
        one["code"] for part in (results.get("activeManifest") or {}, *deltas) for one in part.get("failure") or ()
    ]
    return Store(active, manifests, report["validation_state"] != "Invalid", tuple(sorted({*failed} - {_UNTRUSTED})))


def _manifest(label: str, contents: dict[str, Any]) -> Manifest:
    # The reader gives them in no order, and a decision made again must come out the same.
    assertions: dict[str, Any] = dict(sorted(contents["assertion_store"].items()))
    ingredients = []
    for name, assertion in assertions.items():
        # 18.15: versions 1 to 3 name the manifest in different fields.
        if name.startswith("c2pa.ingredient"):
            reference = assertion.get("activeManifest") or assertion.get("c2pa_manifest") or {}
            match = _MANIFEST.search(reference.get("url") or "")
            if match:
                ingredients.append((str(assertion.get("relationship")), match[1]))
    is_update = not any(name.startswith("c2pa.hash.") for name in assertions)
    return Manifest(label, assertions, tuple(ingredients), is_update)
