"""Sends views of the log as bundles, as ``forbear log --bundle`` writes them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from typing import IO

from fastapi import HTTPException
from fastapi.responses import StreamingResponse

from forbear.portal.web.context import Portal
from forbear.storage.database import reading, translated
from forbear.storage.db.errors import StorageError
from forbear.storage.db.records import now
from forbear.storage.reads import bundle, queries
from forbear.storage.reads.queries import Filter

MOST = 10_000
"""Most decisions of one bundle, which is written before it is sent."""

_SPOOL = 16 * 1024 * 1024
_CHUNK = 1 << 20


def send_bundle(portal: Portal, wanted: Filter, asked: list[tuple[str, str]], name: str) -> StreamingResponse:
    """Returns the bundle as a file, with what may name a person redacted in URLs.

    Raises HTTPException: 404 if no decisions match, 422 if more than MOST do, 409 if something that it needs is
    missing, such as a checkpoint that covers them.
    """
    from forbear.reports.case import render  # noqa: PLC0415 slow to import, and no other page needs it

    request = bundle.BundleRequest(wanted, asked, portal.settings.log_key, now())
    with translated(portal.engine.url), reading(portal.engine) as connection:
        found = sum(map(len, queries.ids(connection, replace(wanted, limit=MOST + 1))))
        if not found:
            raise HTTPException(404, "No decisions match, so there is nothing to bundle.")
        if found > MOST:
            raise HTTPException(
                422, f"These are more than {MOST:,} decisions: narrow the filters, or run `forbear log --bundle`."
            )
        file: IO[bytes] = tempfile.SpooledTemporaryFile(_SPOOL)  # noqa: SIM115 closed once it was sent
        try:
            bundle.write(connection, file, request, render)
        except BaseException as error:
            file.close()
            if isinstance(error, StorageError):
                raise HTTPException(409, str(error)) from None
            raise
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(_sent(file), media_type="application/zip", headers=headers)


def _sent(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while octets := file.read(_CHUNK):
            yield octets
