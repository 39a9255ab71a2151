"""C2PA manifest stores (C2PA 2.2): embedded in a file, or fetched from where it names one.

Read by c2pa-rs, told never to use the network. It is native code: a panic in it ends the process, so it gets only
files that show a mark of a store, and none beyond MAX_OCTETS.
"""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass, field
from typing import Any

import c2pa  # type: ignore[import-untyped]

from optout.model import Capture
from optout.readers import container, pdf
from optout.readers.container import Container
from optout.readers.text import to_utf8
from optout.readers.unreadable import Unreadable

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
        "max_decompressed_manifest_size_in_mb": 16,
    },
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
}

_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
# Where videos and sounds name a store elsewhere; in images the XMP is read by embedded_xmp.
_TERMS = b"http://purl.org/dc/terms/"
# 11.3, A.3: what holds a store in each container, were it empty. A TIFF tag has two octets, too few for a mark.
_MARKS: dict[Container, tuple[bytes, ...]] = {
    Container.JPEG: (b"\xff\xeb",),
    Container.PNG: (b"caBX",),
    Container.GIF: (b"C2PA_GIF",),
    Container.WEBP: (b"C2PA",),
    Container.TIFF: (b"",),
    Container.BMFF: (_BOX, _TERMS),
    Container.SVG: (b"c2pa",),
    Container.JPEG_XL: (b"jumb", _TERMS),
    Container.RIFF: (b"C2PA", _TERMS),
    Container.MP3: (b"jumb", b"c2pa", _TERMS),
    Container.FLAC: (b"jumb", b"c2pa", _TERMS),
    Container.ZIP: (b"content_credential.c2pa",),
}
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
class Embedded:
    """The stores in a file, a URL that the reader found instead of one, and why it could not be read."""

    stores: list[Store] = field(default_factory=list)
    remote: str = ""
    failure: str = ""


def embedded(capture: Capture) -> Embedded:
    """What an answer carries, read once; nothing if it is no file that can, or shows no mark of a store."""
    found: Embedded | None = capture.memo.get("c2pa_store")
    if found is None:
        found = Embedded()
        try:
            _embedded(capture, found)
        except Unreadable as error:
            found.failure = str(error)
        capture.memo["c2pa_store"] = found  # not before: what fails in another way must fail again
    return found


def detached(store: Capture, asset: Capture) -> Store:
    """A store that was fetched for an asset, read once for it. Raises Unreadable."""
    key = f"c2pa_store at {store.url}"
    found: Store | None = asset.memo.get(key)
    if found is None:
        kind = container.of(asset)
        try:
            # What is bound to a page or a document is read without it: the reader does not know them well.
            if kind is None or kind is Container.PDF:
                found = _read(STORE_TYPE, store.body)
            else:
                found = _read(kind, asset.body, store.body)
        except (c2pa.C2paError.ManifestNotFound, _Elsewhere):
            raise Unreadable("It is no manifest store.") from None
        asset.memo[key] = found
    return found


def _embedded(capture: Capture, found: Embedded) -> None:
    kind = container.of(capture)
    if kind is None:
        return
    if kind is Container.PDF:
        # The catalog may be compressed, so that no mark shows.
        found.stores += [_read(STORE_TYPE, store) for store in pdf.manifest_stores(capture)]
    elif _shows_a_mark(kind, capture.body):
        try:
            found.stores.append(_read(kind, capture.body))
        except c2pa.C2paError.ManifestNotFound:
            return
        except _Elsewhere as error:
            found.remote = str(error)


def _shows_a_mark(kind: Container, body: bytes) -> bool:
    octets = to_utf8(body) if kind is Container.SVG else body
    return any(mark in octets for mark in _MARKS[kind])


class _Elsewhere(Exception):
    """The store is not in the file; the message is its URL."""


def _read(media_type: str, asset: bytes, store: bytes | None = None) -> Store:
    """Raises Unreadable, C2paError.ManifestNotFound for a file without a store, _Elsewhere."""
    if max(len(asset), len(store or b"")) > MAX_OCTETS:
        raise Unreadable(f"The file has more than {MAX_OCTETS} octets.")
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
